"""The pitfalls every tutorial warns about, and what skgrad does about each.

Every mistake is made here on purpose, and the message is shown.
"""

import warnings

import numpy as np

import skgrad
from skgrad import MLPRegressor, data, losses, nn, optim

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 3))
y = np.exp(X[:, 0])


def title(text):
    print(f"\n{text}\n{'-' * len(text)}")


def forgotten_zero_grad():
    """Gradients add up; one that a step has used already should not be added to."""
    title("1. optimizer.zero_grad() forgotten")
    with skgrad.random_seed(0):
        model = nn.Linear(3, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for _ in range(2):
            prediction = model(X)[:, 0]
            losses.SquaredError()(y, prediction).mean().backward()
            optimizer.step()
    print("RuntimeWarning:", found[0].message)


def column_against_vector():
    """(n,) minus (n, 1) is (n, n) in NumPy, and its mean is a number like any other."""
    title("2. Targets (n,) against predictions (n, 1)")
    model = nn.Linear(3, 1)
    try:
        losses.SquaredError()(y, model(X))
    except skgrad.exceptions.ShapeError as error:
        print("ShapeError:", error)


def dropout_at_prediction():
    """Estimators switch a module to evaluation; predictions repeat to the last bit."""
    title("3. Dropout while predicting")
    model = MLPRegressor(dropout=0.5, max_iter=20, tol=None, random_state=0).fit(X, y)
    same = bool((model.predict(X) == model.predict(X)).all())
    print(f"An estimator: two predictions are the same: {same}")
    module = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5))
    same = bool((module(X) == module(X)).numpy().all())
    print(f"A module in training mode: {same}")
    module.eval()
    same = bool((module(X) == module(X)).numpy().all())
    print(f"After module.eval(): {same}")


def streams():
    """Initial weights, shuffles, splits and masks are drawn from separate streams."""
    title("4. One random seed for everything")

    def first_weights(shuffle):
        loader = data.DataLoader(
            data.ArrayDataset(X, y), batch_size=50, shuffle=shuffle, random_state=0
        )
        with skgrad.random_seed(0):
            next(iter(loader))
            return nn.Linear(3, 1).weight.numpy()

    same = bool((first_weights(True) == first_weights(False)).all())
    print(f"Shuffling changes the initial weights: {not same}")
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    MLPRegressor(max_iter=2, tol=None, random_state=0).fit(X, y)
    after = np.random.get_state()[1]  # noqa: NPY002
    print(f"NumPy's global seed is used: {bool((before != after).any())}")


def relative_error(y_true, raw_prediction):
    return skgrad.log(raw_prediction / y_true) ** 2


def logarithm():
    """The operation that broke is found, its operand and the line of the loss."""
    title("5. A logarithm of a negative number in a loss of one's own")
    model = MLPRegressor(loss=relative_error, standardize=False, random_state=0)
    try:
        model.fit(X, y)
    except skgrad.exceptions.DivergenceError as error:
        print("DivergenceError:", error)


def learning_rate():
    """A fit that diverges goes back and lowers the rate, or is an error."""
    title("6. A learning rate far too high")
    model = MLPRegressor(optimizer="sgd", learning_rate=100.0, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    print(f"{caught[0].category.__name__}: {caught[0].message}")
    print(f"R² of the model: {model.score(X, y):.3f}")
    try:
        model.set_params(on_divergence="raise").fit(X, y)
    except skgrad.exceptions.DivergenceError as error:
        print("DivergenceError:", error)


def values_while_tracing():
    """Python's if on a traced tensor is reported with its line."""
    title("7. Control flow on values, in a function that is traced")

    def clipped(x):
        if x.sum() > 1.0:
            return x * 0.5
        return x

    try:
        skgrad.executor.trace(clipped, X)
    except skgrad.exceptions.TraceError as error:
        print("TraceError:", error)
        print(*error.__notes__, sep="\n")


if __name__ == "__main__":
    forgotten_zero_grad()
    column_against_vector()
    dropout_at_prediction()
    streams()
    logarithm()
    learning_rate()
    values_while_tracing()
