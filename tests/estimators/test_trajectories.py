"""Networks and linear models step by step with scikit-learn's, from the same weights.

Both see the same rows in the same batches (``shuffle=False``). What is compared are all
weights after each epoch, with a relative tolerance of 1e-6.
"""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.preprocessing import StandardScaler

from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPClassifier,
    MLPRegressor,
)
from skgrad.losses import Huber
from skgrad.optim import SGD, Adam, Averaged

N_EPOCHS = 5


def load(loader, n=100):
    X, y = loader(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(y))[:n]
    y = (y - y.mean()) / y.std() if loader is load_diabetes else y
    return StandardScaler().fit_transform(X)[rows], y[rows]


def assert_close(actual, expected):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6 * scale)


# ------------------------------------------------------------------------ networks


class Started:
    """scikit-learn's network, begun at weights given by the attribute ``start``."""

    def _init_coef(self, fan_in, fan_out, dtype):
        coef, intercept = self.start.pop(0)
        assert coef.shape == (fan_in, fan_out)
        return coef.copy(), intercept.copy()


class StartedClassifier(Started, TheirClassifier):
    pass


class StartedRegressor(Started, TheirRegressor):
    pass


def layers(model):
    """Return the weights of one of our networks as scikit-learn writes them."""
    parameters = [p.numpy() for p in model.module_.parameters()]
    return [
        (weight.T, bias)
        for weight, bias in zip(parameters[::2], parameters[1::2], strict=True)
    ]


# Their Adam adds epsilon to another root: it must be too small to matter.
OPTIMIZERS = {
    "sgd": (SGD(), {"solver": "sgd", "momentum": 0.0}),
    "momentum": (
        SGD(momentum=0.9),
        {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": False},
    ),
    "nesterov": (
        SGD(momentum=0.9, nesterov=True),
        {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": True},
    ),
    "adam": (Adam(eps=1e-14), {"solver": "adam", "epsilon": 1e-14}),
    "adam-b": (
        Adam(b1=0.5, b2=0.9, eps=1e-14),
        {"solver": "adam", "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-14},
    ),
}


def pair(ours, optimizer="adam", *, alpha=0.0, batch_size=32, **shared):
    """Return one of our networks and scikit-learn's with the same parameters.

    Their penalty is alpha / 2 |w|² divided by the rows of the batch.
    """
    shared = {"hidden_layer_sizes": (7, 5), **shared}
    rate = 0.01 if optimizer.startswith("adam") else 0.05
    own, parameters = OPTIMIZERS[optimizer]
    model = ours(
        **shared,
        optimizer=own,
        learning_rate=rate,
        alpha=alpha,
        batch_size=batch_size,
        shuffle=False,
        standardize=False,
        random_state=0,
    )
    cls = StartedClassifier if ours is MLPClassifier else StartedRegressor
    other = cls(
        **shared,
        **parameters,
        learning_rate_init=rate,
        alpha=alpha * batch_size,
        batch_size=batch_size,
        shuffle=False,
        random_state=0,
    )
    return model, other


def unmoved(model):
    """Return a copy of one of our networks that stays at its initial weights."""
    return clone(model).set_params(learning_rate=1e-300)


def assert_same_trajectory(model, other, X, y, **fit_params):
    other.start = start = layers(unmoved(model).partial_fit(X, y, **fit_params))
    first = start[0][0]
    for _ in range(N_EPOCHS):
        model.partial_fit(X, y, **fit_params)
        other.partial_fit(X, y, **fit_params)
        for i, (weight, bias) in enumerate(layers(model)):
            assert_close(weight, other.coefs_[i])
            assert_close(bias, other.intercepts_[i])
    assert np.abs(layers(model)[0][0] - first).max() > 1e-3


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_regression(optimizer, activation):
    X, y = load(load_diabetes)  # 100 rows: the last batch has 4
    model, other = pair(MLPRegressor, optimizer, activation=activation)
    assert_same_trajectory(model, other, X, y)
    np.testing.assert_allclose(model.predict(X), other.predict(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.loss_curve_, other.loss_curve_, rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["nesterov", "adam"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_several_outputs(optimizer, activation):
    """The loss is summed over the outputs in their gradients, averaged in loss_."""
    X, y = load(load_diabetes)
    Y = np.column_stack([y, y**2, -y])
    model, other = pair(MLPRegressor, optimizer, activation=activation)
    assert_same_trajectory(model, other, X, Y)
    curve = np.multiply(other.loss_curve_, 3)
    np.testing.assert_allclose(model.loss_curve_, curve, rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam"])
@pytest.mark.parametrize("loader", [load_breast_cancer, load_iris])
@pytest.mark.parametrize("activation", ["relu", "logistic"])
def test_two_and_three_classes(optimizer, loader, activation):
    X, y = load(loader)
    model, other = pair(MLPClassifier, optimizer, activation=activation)
    assert_same_trajectory(model, other, X, y, classes=np.unique(y))
    np.testing.assert_allclose(
        model.predict_proba(X), other.predict_proba(X), rtol=0, atol=1e-6
    )
    np.testing.assert_array_equal(model.predict(X), other.predict(X))
    np.testing.assert_allclose(model.loss_curve_, other.loss_curve_, rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["nesterov", "adam"])
@pytest.mark.parametrize("ours", [MLPRegressor, MLPClassifier])
def test_the_penalty(optimizer, ours):
    X, y = load(load_diabetes if ours is MLPRegressor else load_iris)
    model, other = pair(ours, optimizer, alpha=0.1, batch_size=25)
    known = {} if ours is MLPRegressor else {"classes": np.unique(y)}
    assert_same_trajectory(model, other, X, y, **known)
    np.testing.assert_allclose(model.loss_curve_, other.loss_curve_, rtol=1e-6)


@pytest.mark.parametrize("ours", [MLPRegressor, MLPClassifier])
def test_sample_weights_where_a_batch_is_all_rows(ours):
    """Their steps divide by the weight of the batch, ours by its number of rows."""
    X, y = load(load_diabetes if ours is MLPRegressor else load_iris)
    w = np.random.default_rng(0).uniform(0.2, 3.0, size=100)
    model, other = pair(ours, "adam", batch_size=100)
    known = {} if ours is MLPRegressor else {"classes": np.unique(y)}
    assert_same_trajectory(model, other, X, y, sample_weight=w, **known)


def test_one_call_of_fit_is_the_same_as_its_epochs():
    X, y = load(load_diabetes)
    model, other = pair(MLPRegressor, "adam")
    model.set_params(max_iter=20, tol=None).fit(X, y)
    other.start = layers(unmoved(model).fit(X, y))
    other.set_params(max_iter=20, tol=0.0, n_iter_no_change=20)
    with pytest.warns(match="Maximum iterations"):
        other.fit(X, y)
    np.testing.assert_allclose(model.loss_curve_, other.loss_curve_, rtol=1e-6)
    assert_close(layers(model)[0][0], other.coefs_[0])


# ------------------------------------------------------------------- linear models

CONSTANT = {"learning_rate": "constant", "shuffle": False, "random_state": 0}


def linear_pair(ours, theirs, loss, own_loss, alpha, average=False):
    model = ours(
        loss=own_loss,
        optimizer=Averaged(SGD(), decay=1.0) if average else SGD(),
        learning_rate=0.01,
        alpha=alpha,
        batch_size=1,
        shuffle=False,
        standardize=False,
    )
    other = theirs(loss=loss, alpha=alpha, eta0=0.01, average=average, **CONSTANT)
    return model, other


def assert_same_linear_trajectory(model, other, X, y, **fit_params):
    for _ in range(N_EPOCHS):
        model.partial_fit(X, y, **fit_params)
        other.partial_fit(X, y, **fit_params)
        assert_close(model.coef_, other.coef_)
        assert_close(np.ravel(model.intercept_), other.intercept_)
    assert np.abs(model.coef_).max() > 0.01


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_sgd_regressor(loss, alpha, average):
    """Their decay w (1 - rate alpha) is the gradient of our penalty.

    With L1 they differ: theirs truncates the weights, ours takes a subgradient.
    """
    X, y = load(load_diabetes)
    own = Huber(delta=0.1) if loss == "huber" else loss
    model, other = linear_pair(
        GradientLinearRegressor, SGDRegressor, loss, own, alpha, average
    )
    assert_same_linear_trajectory(model, other, X, y)


@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_hinge"])
def test_sgd_classifier_of_two_classes(loss):
    X, y = load(load_breast_cancer)
    model, other = linear_pair(GradientLinearClassifier, SGDClassifier, loss, loss, 0.1)
    assert_same_linear_trajectory(model, other, X, y, classes=[0, 1])
    np.testing.assert_array_equal(model.predict(X), other.predict(X))


@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_hinge"])
def test_averaged_sgd_classifier(loss):
    """With an average, their partial_fit of two classes forgets the intercept."""
    X, y = load(load_breast_cancer)
    model, other = linear_pair(
        GradientLinearClassifier, SGDClassifier, loss, loss, 0.1, average=True
    )
    for epoch in range(1, N_EPOCHS + 1):
        model.partial_fit(X, y, classes=[0, 1])
        other.set_params(max_iter=epoch, tol=None).fit(X, y)
        assert_close(model.coef_, other.coef_)
        assert_close(model.intercept_, other.intercept_)


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_sgd_classifier_of_three_classes(loss):
    """Hinges are sums over classes in both; their log loss is too, ours multinomial."""
    X, y = load(load_iris)
    model, other = linear_pair(GradientLinearClassifier, SGDClassifier, loss, loss, 0.1)
    assert_same_linear_trajectory(model, other, X, y, classes=[0, 1, 2])
    np.testing.assert_array_equal(model.predict(X), other.predict(X))


@pytest.mark.parametrize("theirs", [SGDRegressor, SGDClassifier])
def test_sample_weights_multiply_steps(theirs):
    """Ours are scaled to mean one."""
    regression = theirs is SGDRegressor
    X, y = load(load_diabetes if regression else load_breast_cancer)
    w = np.random.default_rng(0).uniform(0.2, 3.0, size=100)
    ours = GradientLinearRegressor if regression else GradientLinearClassifier
    loss = "squared_error" if regression else "log_loss"
    model, other = linear_pair(ours, theirs, loss, loss, 0.1)
    known = {} if regression else {"classes": [0, 1]}
    assert_same_linear_trajectory(
        model, other, X, y, sample_weight=w / w.mean(), **known
    )
    again = linear_pair(ours, theirs, loss, loss, 0.1)[0]
    for _ in range(N_EPOCHS):
        again.partial_fit(X, y, sample_weight=7 * w, **known)
    assert_close(again.coef_, model.coef_)
