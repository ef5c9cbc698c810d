"""Advice after a fit: mistakes are named once, with what to do; good fits are not."""

import json
import linecache
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, LinearRegression, SGDRegressor
from sklearn.neural_network import MLPRegressor as ScikitLearnMLP
from sklearn.preprocessing import StandardScaler

from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleRegressor,
    nn,
)
from skgrad.exceptions import DataWarning


def make_data(n=100, p=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X, X[:, 0] - 2 * X[:, 1] + 0.1 * rng.normal(size=n)


def mlp(**params):
    """Return a small network, fitted by NumPy."""
    defaults = {"hidden_layer_sizes": 8, "learning_rate": 0.01, "random_state": 0}
    return MLPRegressor(**{**defaults, **params})


def make_houses(n=100, seed=0):
    """Return columns of the sizes of California's houses, and prices in dollars."""
    rng = np.random.default_rng(seed)
    income = rng.lognormal(1.2, 0.5, size=n)
    X = pd.DataFrame(
        {
            "income": income,
            "age": rng.uniform(1, 52, size=n),
            "rooms": rng.normal(5.4, 1.0, size=n),
            "population": rng.lognormal(7.0, 0.7, size=n),
            "latitude": rng.uniform(32.5, 42.0, size=n),
        }
    )
    price = 4e4 * income - 5e3 * X["latitude"] + 1e4 * X["rooms"] + 2e5
    return X, price + 1e4 * rng.normal(size=n)


def advised(model, *args, **kwargs):
    """Return the messages of a fit by kind: all that was recorded, and warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(*args, **kwargs)
    advice = model.fit_report_["advice"]
    assert [item["message"] for item in advice] == [str(w.message) for w in caught]
    return {item["kind"]: item["message"] for item in advice}


# ------------------------------------------------------------------- how it is said


def test_a_warning_points_at_the_line_of_the_fit():
    X, y = make_data()
    X[:, 2] = 7.0
    with pytest.warns(DataWarning) as caught:
        GradientLinearRegressor().fit(X, y)
    assert [w.filename for w in caught] == [__file__]
    line = linecache.getline(__file__, caught[0].lineno)
    assert line.strip() == "GradientLinearRegressor().fit(X, y)"


def test_it_is_in_the_report_and_printed():
    X, y = make_data()
    X[:, 2] = 7.0
    model = GradientLinearRegressor()
    message = advised(model, X, y)["constant_columns"]
    report = json.loads(json.dumps(model.fit_report_))
    assert report["advice"] == [{"kind": "constant_columns", "message": message}]
    assert message in re.sub(r"\s+", " ", str(model.fit_report_))


def test_partial_fit_gives_none():
    X, y = make_data()
    X[:, 2] = 7.0
    GradientLinearRegressor(optimizer="sgd").partial_fit(X, y)


GOOD = {
    "newton": GradientLinearRegressor(),
    "newton, not scaled": GradientLinearRegressor(standardize=False),
    "sgd": GradientLinearRegressor(optimizer="sgd", learning_rate=0.1, tol=1e-4),
    "mlp": mlp(tol=1e-3),
    "early stopping": mlp(tol=1e-3, early_stopping=True),
    "few epochs": mlp(max_iter=5, tol=None),
}


@pytest.mark.parametrize("model", GOOD.values(), ids=GOOD)
def test_a_good_fit_gets_no_advice(model):
    X, y = (part[:100] for part in load_diabetes(return_X_y=True))
    assert advised(model, X, y / 100) == {}
    noise = np.random.default_rng(0).normal(size=len(y))
    assert advised(model, X, noise) == {}


# ------------------------------------------------------------------------- the data


def test_scales_are_named():
    X, y = make_houses()
    model = GradientLinearRegressor(
        optimizer="adam", standardize=False, max_iter=5, tol=None
    )
    message = advised(model, X, y)["different_scales"]
    sd = StandardScaler().fit(X).scale_
    assert f"deviation of 'rooms' is about {sd[2]:.2g}," in message
    assert f"that of 'population' {sd[3]:.2g}." in message
    assert "Set standardize=True" in message
    assert "different_scales" not in advised(model.set_params(standardize=True), X, y)


def test_scales_do_not_matter_to_newton():
    X, y = make_houses()
    model = GradientLinearRegressor(standardize=False)
    assert advised(model, X, y) == {}
    np.testing.assert_allclose(
        model.predict(X), LinearRegression().fit(X, y).predict(X)
    )


@pytest.mark.parametrize(("ratio", "named"), [(50.0, False), (200.0, True)])
@pytest.mark.parametrize("n", [100, 5000])
def test_the_ratio_of_scales_that_is_named(ratio, named, n):
    X, y = make_data(n=n)
    X[:, 3] *= ratio
    model = mlp(standardize=False, max_iter=1, tol=None)
    assert ("different_scales" in advised(model, X, y)) == named


def test_rare_values_are_no_other_scale():
    X, y = (part[:1000] for part in load_digits(return_X_y=True))
    sd = X.std(axis=0)
    X = X[:, sd > 0]
    assert sd.max() > 200 * sd[sd > 0].min()
    model = MLPClassifier(standardize=False, max_iter=2, tol=None, random_state=0)
    assert advised(model, X, y) == {}
    assert advised(model, np.eye(10)[y], y) == {}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_constant_columns_are_named(dtype, order):
    X, y = make_data(n=1000, p=12)
    X[:, 3:10] = 0.1
    X[-1, 9] = 0.2  # not constant, after all
    X = X.astype(dtype, order=order)
    message = advised(GradientLinearRegressor(), X, y)["constant_columns"]
    names = ", ".join(f"column {j}" for j in range(3, 8))
    assert f"one value in all training rows: {names} and 1 more. " in message


def test_a_constant_column_is_an_intercept_where_there_is_none():
    X, y = make_data()
    X[:, 2] = 1.0
    assert advised(GradientLinearRegressor(fit_intercept=False), X, y) == {}


def test_pixels_and_categories_may_be_empty():
    X, y = (part[:200] for part in load_digits(return_X_y=True))
    assert not X[:, 0].any()
    model = MLPClassifier(hidden_layer_sizes=4, max_iter=2, tol=None, random_state=0)
    assert advised(model, X, y) == {}
    X[:, 0] = 5.0
    assert "rows: column 0. " in advised(model, X, y)["constant_columns"]


def test_a_network_may_do_anything_with_a_constant_column():
    X, y = make_data()
    X[:, 2] = 1.0
    model = mlp(max_iter=30, tol=None)
    assert (
        "another value later is arbitrary" in advised(model, X, y)["constant_columns"]
    )
    other = X + np.array([0.0, 0.0, 3.0, 0.0])
    assert np.abs(model.predict(other) - model.predict(X)).max() > 0.1


def test_equal_columns_are_named():
    X, y = make_data(n=1000)
    X = np.column_stack([X, X[:, 0], X[:, 1], X[:, 0], X[:, 2], np.zeros((1000, 2))])
    X[-1, 7] += 1.0  # not equal, after all
    frame = pd.DataFrame(X, columns=list("abcdefghij"))
    messages = advised(GradientLinearRegressor(), frame, y)
    assert "rows: 'a' = 'e' = 'g', 'b' = 'f'. Only the" in messages["duplicate_columns"]
    assert "rows: 'i', 'j'. Nothing" in messages["constant_columns"]


def test_an_l2_penalty_shares_the_coefficient_of_equal_columns():
    X, y = make_data()
    twice = np.column_stack([X, X[:, 0]])
    model = GradientLinearRegressor(alpha=0.1)
    assert advised(model, twice, y) == {}
    np.testing.assert_allclose(model.coef_[0], model.coef_[4], rtol=1e-10)
    assert "duplicate_columns" in advised(model.set_params(l1_ratio=1.0), twice, y)


# ---------------------------------------------------------------------- the history


@pytest.mark.parametrize("learning_rate", [1e-6, 1e-12])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("schedule", [None, "cosine"])
def test_a_rate_that_moves_nothing(learning_rate, dtype, schedule):
    X, y = make_data()
    # Sums of other batches in each epoch are equal up to rounding.
    params = {"dtype": dtype, "schedule": schedule, "batch_size": 16, "max_iter": 30}
    model = mlp(learning_rate=learning_rate, **params)
    messages = advised(model, X, y)
    assert list(messages) == ["rate_too_low"]
    tried = f"try {10 * learning_rate:g} or learning_rate='auto'"
    assert f"Raise learning_rate={learning_rate:g}: {tried}" in messages["rate_too_low"]
    assert "rate_too_low" not in advised(model.set_params(learning_rate=0.01), X, y)


def test_a_rate_too_low_for_targets_that_are_not_scaled():
    X, y = make_data()
    model = GradientLinearRegressor(optimizer="adam", max_iter=100)
    assert list(advised(model, X, 100 * y + 1e5)) == ["rate_too_low"]


def test_at_the_minimum_no_rate_is_too_low():
    X, _ = make_data()
    y = np.random.default_rng(1).normal(size=len(X))
    y -= LinearRegression().fit(X, y).predict(X)  # coefficients of zero are best
    model = GradientLinearRegressor(optimizer="sgd", batch_size=None, tol=1e-4)
    assert advised(model, X, y) == {}


def test_a_weak_signal_is_learned_at_once():
    X, _ = make_data()
    noise = np.random.default_rng(1).normal(size=len(X))
    y = noise - LinearRegression().fit(X, noise).predict(X) + 0.05 * X[:, 0]
    model = GradientLinearRegressor(
        optimizer="sgd", batch_size=None, learning_rate=0.1, max_iter=100, tol=None
    )
    assert advised(model, X, y) == {}
    curve = np.array(model.loss_curve_)
    assert 0.99 < curve[-1] / curve[0] < 1.0
    assert (np.diff(curve) < 0).all()


def test_a_fit_that_goes_on_may_be_fine_tuned():
    X, y = make_data()
    model = GradientLinearRegressor(
        optimizer="sgd",
        batch_size=None,
        learning_rate=0.1,
        tol=1e-3,
        warm_start=True,
    )
    assert advised(model, X, y) == {}
    before = len(model.loss_curve_)
    assert advised(model.set_params(learning_rate=1e-4), X, y) == {}
    assert (np.diff(model.loss_curve_[before:]) < 0).all()


def test_more_epochs_as_a_geometric_series():
    X, _ = make_data()
    X = StandardScaler().fit_transform(X[:, :1])
    # The distance to 3 becomes 0.99 of itself in each epoch, the objective is half its
    # square: that falls by less than tol from the epoch n on.
    tol, n_more = 1e-4, 10 + 1
    n = 1 + np.log(tol / (0.5 * 9 * (1 - 0.99**2))) / np.log(0.99**2)
    model = GradientLinearRegressor(
        optimizer="sgd", batch_size=None, fit_intercept=False, tol=tol, max_iter=150
    )
    message = advised(model, X, 3 * X[:, 0])["more_epochs"]
    tried = int(re.search(r"falls by .* per epoch: try (\d+)\)", message)[1])
    assert n + n_more - 1 <= tried <= n + n_more + 10
    assert advised(model.set_params(max_iter=tried), X, 3 * X[:, 0]) == {}


def test_more_iterations_of_all_rows():
    X, y = (part[:100] for part in load_breast_cancer(return_X_y=True))
    model = GradientLinearClassifier(optimizer="lbfgs", max_iter=10)
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(X, y)
    assert re.fullmatch(
        r"GradientLinearClassifier made max_iter=10 iterations without converging to "
        r"tol=1e-06\. Increase max_iter \(the objective still falls by \S+ per "
        r"iteration: try 100\), raise tol, or set tol=None if this many are what you "
        r"want\.",
        str(caught[0].message),
    )


def test_overfitting_is_told_from_the_validation_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 10))
    y = X[:, 0] + rng.normal(size=100)
    parts = X[:40], y[:40]
    validation = {"X_val": X[40:], "y_val": y[40:]}
    model = mlp(hidden_layer_sizes=50, max_iter=100, tol=None)
    message = advised(model, *parts, **validation)["overfitting"]
    best = int(np.argmax(model.validation_scores_))
    assert f"best after epoch {best + 1} " in message
    assert "Set early_stopping=True" in message
    model.set_params(early_stopping=True)
    assert advised(model, *parts, **validation) == {}
    assert advised(model.set_params(early_stopping=False), *parts) == {}


# ------------------------------------------------------------------------ the model


@pytest.mark.parametrize("loss", ["squared_error", "huber", "gaussian_nll"])
def test_a_penalty_that_leaves_only_the_mean(loss):
    X, y = make_data()
    model = mlp(loss=loss, alpha=30.0, schedule="cosine", max_iter=100, tol=None)
    message = advised(model, X, y)["learned_the_mean"]
    assert "alpha=30: try 0.3" in message
    assert advised(model.set_params(alpha=0.0), X, y) == {}


def test_a_penalty_that_leaves_only_the_majority():
    X, y = make_data()
    model = MLPClassifier(
        hidden_layer_sizes=8,
        alpha=30.0,
        learning_rate=0.01,
        schedule="cosine",
        tol=None,
        random_state=0,
    )
    message = advised(model, X, y > 0)["learned_the_mean"]
    assert "alpha=30: try 0.3" in message
    assert len(set(model.predict(X))) == 1


def test_all_predictions_may_be_one_class_of_a_network_that_learned():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3))
    y = rng.random(500) < 0.05 / (1 + np.exp(-X[:, 0]))
    model = MLPClassifier(learning_rate=0.01, max_iter=30, tol=None, random_state=0)
    assert advised(model, X, y) == {}
    assert len(set(model.predict(X))) == 1


def dead(n_features, n_outputs):
    """Return a network whose hidden units are zero for all rows."""
    hidden = nn.Linear(n_features, 8)
    hidden.bias.assign_(np.full(8, -100.0))
    return nn.Sequential(hidden, nn.ReLU(), nn.Linear(8, n_outputs))


def test_units_that_died():
    X, y = make_data()
    model = ModuleRegressor(module=dead, max_iter=20, random_state=0)
    message = advised(model, X, y)["learned_the_mean"]
    assert "the units of a layer died" in message
    assert "lower learning_rate=0.001" in message
    np.testing.assert_allclose(np.ptp(model.predict(X)), 0.0, atol=1e-12)


def test_targets_that_are_far_away():
    X, y = make_data()
    model = mlp(standardize=False)
    messages = advised(model, X, 1e6 * y)
    assert "set standardize=True" in messages["learned_the_mean"]
    assert "rate_too_low" not in messages


@pytest.mark.parametrize("optimizer", ["lbfgs", "fista"])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_the_alpha_that_leaves_no_coefficient_is_that_of_the_elastic_net(
    optimizer, l1_ratio
):
    X, y = make_data()
    Z = StandardScaler().fit_transform(X)
    most = np.abs(Z.T @ (y - y.mean())).max() / len(y) / l1_ratio
    for factor, zero in ((1.001, True), (0.99, False)):
        params = {"alpha": factor * most, "l1_ratio": l1_ratio}
        theirs = ElasticNet(**params, tol=1e-12, random_state=0).fit(Z, y)
        assert (theirs.coef_ == 0).all() == zero
        advice = advised(GradientLinearRegressor(**params, optimizer=optimizer), X, y)
        assert list(advice) == ["all_zero_coefficients"] * zero
        said = f"All are zero from alpha={most:.3g} on; try {most / 10:.1g}."
        assert not zero or said in advice["all_zero_coefficients"]


def test_quantile_regression_with_the_default_penalty_of_scikit_learn():
    X, y = make_data()
    model = GradientLinearRegressor(loss="quantile", alpha=1.0, l1_ratio=1.0)
    message = advised(model, X, y)["all_zero_coefficients"]
    most = float(re.search("from alpha=(\\S+) on", message)[1])
    assert 0 < most < 1
    assert advised(model.set_params(alpha=most / 10), X, y) == {}


def test_without_anything_to_learn_no_penalty_is_to_blame():
    X, _ = make_data()
    model = GradientLinearRegressor(alpha=1.0, l1_ratio=1.0)
    assert advised(model, X, np.full(len(X), 3.0)) == {}


# ------------------------------------------------------- mistakes that are harmless


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_raw_houses_are_learned_where_others_diverge():
    X, y = make_houses()
    for theirs in (
        ScikitLearnMLP(solver="sgd", random_state=0),
        SGDRegressor(random_state=0),
    ):
        assert theirs.fit(X, y).score(X, y) < -1e6
    model = MLPRegressor(random_state=0)
    assert set(advised(model, X, y)) <= {"more_epochs"}
    assert model.score(X, y) > 0.98
    slow = MLPRegressor(optimizer="sgd", learning_rate=0.03, tol=None, random_state=0)
    assert advised(slow, X, y) == {}
    assert slow.score(X, y) > 0.95
