"""Each row of DIAGNOSIS.md: the mistake is made, and skgrad says what the row says."""

import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from backend.cuda.simulated import simulated_gpu
from sklearn import linear_model

import skgrad
from skgrad import (
    GradientLinearRegressor,
    MLPRegressor,
    ModuleRegressor,
    QuantileRegressor,
    losses,
    nn,
    optim,
)
from skgrad.estimators.doctor import CHECKS

PAGE = (Path(__file__).parents[1] / "DIAGNOSIS.md").read_text("utf-8")


def rows_of(section):
    """Return the cells of each row of the table in a section, by kind."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    cells = [line.strip("| ").split(" | ") for line in text.splitlines()]
    return {row[0].strip("`"): row[1:] for row in cells if row[0].startswith("`")}


ADVICE = rows_of("Advice after a fit")
MESSAGES = {
    **ADVICE,
    **rows_of("Fits that diverge"),
    **rows_of("Errors and warnings elsewhere"),
}
HARMLESS = rows_of("Mistakes that do no harm")


def make_data(n=40):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    return X, X[:, 0] + 0.1 * rng.normal(size=n)


X, Y = make_data()
FAST = {"hidden_layer_sizes": 8, "max_iter": 5, "tol": None, "random_state": 0}


def mlp(**params):
    return MLPRegressor(**{**FAST, **params})


def module(make, **params):
    return ModuleRegressor(module=make, max_iter=2, tol=None, random_state=0, **params)


# --------------------------------------------------------------------- the mistakes


def different_scales():
    mlp(standardize=False).fit(X * [1.0, 1.0, 1000.0], Y)


def constant_columns():
    mlp().fit(X * [1.0, 1.0, 0.0], Y)


def duplicate_columns():
    GradientLinearRegressor().fit(X[:, [0, 1, 0]], Y)


def rate_too_low():
    mlp(learning_rate=1e-7, max_iter=50).fit(X, Y)


def more_epochs():
    mlp(tol=1e-6).fit(X, Y)


def uphill(y_true, raw_prediction):
    squares = (y_true - raw_prediction) ** 2
    return 2 * squares.detach() - squares  # the squares, with minus their derivative


def no_decrease():
    GradientLinearRegressor(loss=uphill, optimizer="newton_cg").fit(X, Y)


def interrupted():
    def loss(y_true, raw_prediction):
        raise KeyboardInterrupt

    mlp(loss=loss).fit(X, Y)


def out_of_time():
    mlp(tol=1e-6, max_iter=300, max_time=1e-9).fit(X, Y)


def recovered():
    mlp(optimizer="sgd", learning_rate=1e3).fit(X, Y)


def diverged():
    mlp(optimizer="sgd", learning_rate=1e6, on_divergence="raise").fit(X, Y)


def overfitting():
    noise = np.random.default_rng(1).normal(size=(2, 40))
    model = mlp(hidden_layer_sizes=50, learning_rate=0.02, max_iter=100)
    model.fit(X[:20], (Y + noise[0])[:20], X_val=X[20:], y_val=(Y + noise[1])[20:])


def learned_the_mean():
    mlp(alpha=100.0, learning_rate=0.01, max_iter=100, schedule="cosine").fit(X, Y)


def all_zero_coefficients():
    GradientLinearRegressor(loss="quantile", alpha=1.0, l1_ratio=1.0).fit(X, Y)


def crossing_quantiles():
    QuantileRegressor(quantile=(0.3, 0.4, 0.5, 0.6)).fit(X, Y)


def relative_error(y_true, raw_prediction):
    return skgrad.log(raw_prediction / y_true) ** 2


def own_loss():
    mlp(loss=relative_error, standardize=False).fit(X, np.exp(Y))


def column_target():
    losses.SquaredError()(Y, nn.Linear(3, 1)(X))


def mixed_dtypes():
    losses.SquaredError()(Y.astype("float32"), nn.Linear(3, 1)(X)[:, 0])


def input_dtype():
    nn.Linear(3, 1)(X.astype("float32"))


def forgotten_zero_grad():
    model = nn.Linear(3, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    for _ in range(2):
        losses.SquaredError()(Y, model(X)[:, 0]).mean().backward()
        optimizer.step()


def mean_in_loss():
    mlp(loss=lambda y_true, raw_prediction: abs(y_true - raw_prediction).mean()).fit(
        X, Y
    )


def branch_on_a_value():
    def loss(y_true, raw_prediction):
        factor = 2.0 if raw_prediction.sum() > 0 else 1.0
        return factor * (y_true - raw_prediction) ** 2

    mlp(loss=loss, max_iter=1).fit(X, Y)


def module_instance():
    module(nn.Linear(3, 1)).fit(X, Y)


def wrong_outputs():
    module(lambda n_features, n_outputs: nn.Linear(n_features, 3)).fit(X, Y)


def target_domain():
    mlp(loss="poisson").fit(X, Y)


def foreign_parameter():
    MLPRegressor(solver="sgd")


def no_gpu():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", None)
        mlp(device="cuda").fit(X, Y)


def small_for_a_gpu():
    with simulated_gpu():
        mlp(device="cuda").fit(X, Y)


def full_batch_stops_early():
    mlp(optimizer="lbfgs", early_stopping=True).fit(X, Y)


def missing_values():
    mlp().fit(X * np.nan, Y)


# ---------------------------------------------------------------- what is no mistake


def raw_inputs():
    a, b = np.array([1e-3, 1.0, 1e5]), 1e6
    raw, scaled = mlp().fit(X * a + a, Y * b), mlp().fit(X, Y)
    np.testing.assert_allclose(
        raw.predict(X * a + a), scaled.predict(X) * b, rtol=1e-8, atol=1e-8 * b
    )


def training_mode():
    model = mlp(dropout=0.5).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), model.predict(X))
    network = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5))
    assert (network(X) != network(X)).numpy().any()
    network.eval()
    assert (network(X) == network(X)).numpy().all()


def one_seed():
    # The rate is too small to move anything: what is left are the first weights.
    models = [mlp(shuffle=s, learning_rate=1e-300) for s in (True, False)]
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    a, b = (model.fit(X, Y).predict(X) for model in models)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def penalty_by_default():
    theirs = linear_model.QuantileRegressor().fit(X, Y)
    ours = QuantileRegressor().fit(X, Y)
    assert not theirs.coef_.any()
    assert ours.pinball_loss(X, Y) < 0.2 * abs(Y - theirs.predict(X)).mean() / 2


def column_of_targets():
    column = mlp().fit(X, Y[:, None]).predict(X)
    assert column.shape == (40, 1)
    np.testing.assert_array_equal(column[:, 0], mlp().fit(X, Y).predict(X))


# ------------------------------------------------------------------------- the tests


def said(mistake):
    """Return what is said to a mistake: the warnings and the error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            mistake()
        except (ValueError, TypeError, RuntimeError) as error:
            caught_error = [str(error)]
        else:
            caught_error = []
    return [re.sub(r"\s+", " ", str(w.message)) for w in caught] + caught_error


def pattern(excerpt):
    """Return an excerpt of the page as a regular expression; … stands for anything."""
    return ".*".join(map(re.escape, excerpt.split("…")))


def test_every_kind_of_advice_has_a_row():
    assert set(ADVICE) == set(CHECKS)


@pytest.mark.parametrize("kind", MESSAGES)
def test_the_message_is_the_one_on_the_page(kind):
    _, excerpt, _ = MESSAGES[kind]
    messages = said(globals()[kind])
    assert any(re.search(pattern(excerpt), message) for message in messages), messages
    if kind in ADVICE:
        assert len(messages) == 1


@pytest.mark.parametrize("kind", HARMLESS)
def test_it_does_no_harm(kind):
    globals()[kind]()
