"""The linear models against scikit-learn's, SciPy's optima and certified values."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from estimators.models import fourth_power
from scipy import optimize
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import (
    ElasticNet,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgrad import GradientLinearClassifier, GradientLinearRegressor, nn
from skgrad.exceptions import FitWarning, ParameterError
from skgrad.losses import Huber, LogLoss, Quantile, SquaredError
from skgrad.optim import LBFGS, Newton, ProximalNewton

NIST = Path(__file__).parents[1] / "data_files" / "nist_strd_linear.json"
PROBLEMS = {p["name"]: p for p in json.loads(NIST.read_text())}
STANDARDIZE = pytest.mark.parametrize("standardize", [True, False])


def make_linear(rng, n=60, p=4, k=None, noise=0.5):
    """Return inputs of different scales and linear targets."""
    X = rng.normal(size=(n, p)) * 10.0 ** np.arange(p) + np.arange(p)
    shape = p if k is None else (p, k)
    y = X / 10.0 ** np.arange(p) @ rng.normal(size=shape) + 3.0
    return X, y + noise * rng.normal(size=y.shape)


def scaled(model):
    return make_pipeline(StandardScaler(), model)


def assert_relatively_close(actual, desired, tolerance):
    """Assert that errors are small beside the largest entry."""
    scale = np.abs(desired).max()
    np.testing.assert_allclose(actual, desired, rtol=0, atol=tolerance * scale)


# ------------------------------------------------------------------ least squares


@pytest.mark.parametrize("name", PROBLEMS)
@STANDARDIZE
def test_certified_values_of_nist(name, standardize):
    problem = PROBLEMS[name]
    rows = np.array(problem["data"], dtype=np.float64)
    X, y = rows[:, 1:], rows[:, 0]
    if "x**2" in problem["model"]:
        X = X ** np.arange(1, len(problem["certified_params"]))
    fit_intercept = "B0" in problem["certified_params"]
    certified = [float(b["value"]) for b in problem["certified_params"].values()]
    model = GradientLinearRegressor(
        fit_intercept=fit_intercept, standardize=standardize
    )
    model.fit(X, y)
    estimates = np.r_[[model.intercept_] if fit_intercept else [], model.coef_]
    error = np.abs(estimates / certified - 1).max()
    digits = -np.log10(max(error, 1e-16))
    print(f"{name}: {digits:.1f} digits")  # noqa: T201 - for `pytest -s`
    assert digits >= 8


@STANDARDIZE
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_outputs", [None, 1, 3])
def test_equals_linear_regression(rng, standardize, fit_intercept, n_outputs):
    X, y = make_linear(rng, k=n_outputs)
    params = {"fit_intercept": fit_intercept}
    model = GradientLinearRegressor(standardize=standardize, **params).fit(X, y)
    expected = LinearRegression(**params).fit(X, y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-8)
    np.testing.assert_allclose(model.intercept_, expected.intercept_, rtol=1e-8)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-8)
    assert model.coef_.shape == expected.coef_.shape
    assert np.shape(model.intercept_) == np.shape(
        expected.intercept_ * np.ones(y.T[..., 0].shape)
    )
    assert model.n_iter_ == 1


def test_equals_linear_regression_on_the_diabetes_data():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    model = GradientLinearRegressor().fit(X, y)
    expected = LinearRegression().fit(X, y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-8)
    np.testing.assert_allclose(model.intercept_, expected.intercept_, rtol=1e-8)


def test_more_features_than_rows_predict_as_the_minimum_norm_solution(rng):
    X, y = rng.normal(size=(20, 50)), rng.normal(size=20)
    new = rng.normal(size=(10, 50))
    model = GradientLinearRegressor(standardize=False).fit(X, y)
    expected = LinearRegression().fit(X, y)
    np.testing.assert_allclose(model.predict(X), y, rtol=1e-8)
    assert_relatively_close(model.predict(new), expected.predict(new), 1e-8)
    model = GradientLinearRegressor().fit(X, y)
    expected = scaled(LinearRegression()).fit(X, y)
    assert_relatively_close(model.predict(new), expected.predict(new), 1e-8)


@pytest.mark.parametrize(
    ("n", "p", "k"), [(800, 600, None), (300, 100, 12), (60, 5, 300), (40, 550, 3)]
)
def test_equals_linear_regression_whatever_the_shape(rng, n, p, k):
    X = rng.normal(size=(n, p))
    y = X @ rng.normal(size=p if k is None else (p, k))
    y += rng.normal(size=y.shape)
    if k is not None:
        y *= 10.0 ** rng.integers(-3, 4, size=k)
    # Which solution has minimum norm depends on the scale of the inputs.
    model = GradientLinearRegressor(standardize=p < n).fit(X, y)
    expected = LinearRegression().fit(X, y)
    for actual, desired in zip(
        np.atleast_2d(model.coef_), np.atleast_2d(expected.coef_), strict=True
    ):
        assert_relatively_close(actual, desired, 1e-8)
    assert model.fit_report_["optimizer"] == "Newton"


@pytest.mark.parametrize(
    ("loss", "n_outputs", "n_features", "newton"),
    [
        (SquaredError(), 1, 2000, True),
        (SquaredError(), 1, 2001, False),
        (SquaredError(), 500, 100, True),
        (Huber(), 1, 500, True),
        (Huber(), 1, 501, False),
        (Huber(), 10, 300, True),
        (Huber(), 100, 100, False),
        (LogLoss(), 1, 500, True),
        (LogLoss(), 3, 84, True),
        (LogLoss(), 3, 85, False),
        (LogLoss(), 10, 24, True),
        (LogLoss(), 11, 5, False),
    ],
)
def test_newton_where_it_costs_little_more_than_lbfgs(
    loss, n_outputs, n_features, newton
):
    module = nn.Linear(n_features, n_outputs)
    model = GradientLinearRegressor(loss=loss)
    chosen = model._make_optimizer(loss, module)
    assert isinstance(chosen, Newton if newton else LBFGS)
    model.set_params(alpha=0.1, l1_ratio=0.5)
    chosen = model._make_optimizer(loss, module)
    assert isinstance(chosen, ProximalNewton if newton else LBFGS)
    model.set_params(alpha=0.0, positive=True)
    chosen = model._make_optimizer(loss, module)
    assert isinstance(chosen, ProximalNewton if newton else LBFGS)


@pytest.mark.filterwarnings("ignore::skgrad.exceptions.DataWarning")
def test_constant_and_duplicated_columns(rng):
    X, y = make_linear(rng)
    wide = np.column_stack([X, X[:, 0], np.full(len(X), 7.0)])
    model = GradientLinearRegressor().fit(wide, y)
    expected = LinearRegression().fit(X, y)
    np.testing.assert_allclose(model.predict(wide), expected.predict(X), rtol=1e-8)


@STANDARDIZE
def test_sample_weight_equals_linear_regression(rng, standardize):
    X, y = make_linear(rng)
    w = rng.uniform(0.1, 5.0, size=len(y))
    model = GradientLinearRegressor(standardize=standardize).fit(X, y, w)
    expected = LinearRegression().fit(X, y, w)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-8)
    np.testing.assert_allclose(model.intercept_, expected.intercept_, rtol=1e-8)


def test_rows_in_many_blocks(rng):
    X, y = make_linear(rng, n=40_000, p=20, noise=10.0)
    X /= 10.0 ** np.arange(20)
    model = GradientLinearRegressor().fit(X, y)
    expected = LinearRegression().fit(X, y)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-8)


@pytest.mark.parametrize("optimizer", ["lbfgs", "newton"])
@pytest.mark.parametrize(
    "loss", ["squared_error", "log_cosh", "poisson", Huber(delta=0.5)]
)
def test_lbfgs_equals_newton(rng, optimizer, loss):
    X, y = make_linear(rng, noise=0.3)
    y = np.abs(y)
    model = GradientLinearRegressor(loss=loss, alpha=0.01, optimizer=optimizer)
    model.set_params(tol=1e-10).fit(X, y)
    auto = GradientLinearRegressor(loss=loss, alpha=0.01, tol=1e-10).fit(X, y)
    assert_relatively_close(model.predict(X), auto.predict(X), 1e-6)
    assert model.fit_report_["optimizer"].lower() == optimizer
    assert auto.fit_report_["optimizer"] == "Newton"


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam", "adamw"])
def test_stochastic_optimizers_come_close(rng, optimizer):
    X, y = make_linear(rng)
    model = GradientLinearRegressor(optimizer=optimizer, random_state=0)
    model.set_params(learning_rate=0.05, schedule="cosine", tol=None, max_iter=300)
    model.fit(X, y)
    expected = LinearRegression().fit(X, y)
    assert model.score(X, y) > expected.score(X, y) - 1e-3


# ---------------------------------------------------------------------- penalties


@STANDARDIZE
@pytest.mark.parametrize("alpha", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_l2_equals_ridge(rng, standardize, alpha, fit_intercept):
    X, y = make_linear(rng)
    X /= 10.0 ** np.arange(X.shape[1])
    model = GradientLinearRegressor(
        alpha=alpha, standardize=standardize, fit_intercept=fit_intercept
    ).fit(X, y)
    ridge = Ridge(alpha=len(y) * alpha, fit_intercept=fit_intercept, solver="svd")
    if standardize:
        scaler = StandardScaler(with_mean=fit_intercept)
        ridge = make_pipeline(scaler, ridge)
    np.testing.assert_allclose(model.predict(X), ridge.fit(X, y).predict(X), rtol=1e-8)


@STANDARDIZE
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.05])
@pytest.mark.parametrize("alpha", [0.03, 0.3, 3.0])
def test_elastic_net_equals_elastic_net(standardize, l1_ratio, alpha):
    X, y = load_diabetes(return_X_y=True)
    X = X * np.sqrt(len(y)) * np.linspace(0.5, 1.5, X.shape[1])
    y = y / y.std()
    alpha = alpha / (1 + 9 * l1_ratio)
    model = GradientLinearRegressor(
        alpha=alpha, l1_ratio=l1_ratio, standardize=standardize, tol=1e-12
    ).fit(X, y)
    net = ElasticNet(
        alpha=alpha, l1_ratio=l1_ratio, tol=1e-14, random_state=0, max_iter=10**6
    )
    if standardize:
        coef = scaled(net).fit(X, y)[-1].coef_ / X.std(axis=0)
    else:
        coef = net.fit(X, y).coef_
    assert_relatively_close(model.coef_, coef, 1e-6)
    np.testing.assert_array_equal(model.coef_ == 0, coef == 0)


def test_elastic_net_with_weights_and_without_intercept(rng):
    X, y = make_linear(rng, p=3)
    X /= [1, 10, 100]
    w = rng.uniform(0.1, 3, size=len(y))
    params = {"alpha": 0.2, "l1_ratio": 0.7, "fit_intercept": False}
    model = GradientLinearRegressor(standardize=False, tol=1e-12, **params)
    expected = ElasticNet(**params, tol=1e-14, random_state=0).fit(X, y, w)
    assert_relatively_close(model.fit(X, y, w).coef_, expected.coef_, 1e-6)


@pytest.mark.parametrize("optimizer", ["lbfgs", "fista"])
def test_a_weak_l1_penalty_of_large_targets_is_followed_to_the_end(optimizer):
    rng = np.random.RandomState(42)
    X, y, w = rng.rand(10, 5), rng.rand(10), rng.uniform(0.01, 2, 10)
    y[-5:] *= 1000
    rows = np.r_[:10, :5]
    params = {"alpha": 0.01, "l1_ratio": 0.5, "fit_intercept": False}
    model = GradientLinearRegressor(
        **params, standardize=False, optimizer=optimizer, tol=1e-9
    ).fit(X[rows], y[rows], w[rows])
    other = ElasticNet(**params, tol=1e-14, max_iter=10**6, random_state=0)
    other.fit(X[rows], y[rows], w[rows])
    assert_relatively_close(model.coef_, other.coef_, 1e-6)


def test_the_zeros_of_lasso_at_the_default_tolerance(rng):
    X = rng.normal(size=(100, 30))
    y = 3 * X[:, 0] - 2 * X[:, 1] + 0.1 * rng.normal(size=100)
    model = GradientLinearRegressor(alpha=0.1, l1_ratio=1.0).fit(X, y)
    assert np.flatnonzero(model.coef_).tolist() == [0, 1]


def test_a_penalty_that_kills_everything_leaves_the_mean(rng):
    X, y = make_linear(rng)
    with pytest.warns(FitWarning, match="every coefficient"):
        model = GradientLinearRegressor(alpha=1e6, l1_ratio=1.0).fit(X, y)
    assert (model.coef_ == 0).all()
    np.testing.assert_allclose(model.intercept_, y.mean())


def test_the_penalty_acts_on_every_output(rng):
    X, y = make_linear(rng, k=2)
    model = GradientLinearRegressor(alpha=0.1, l1_ratio=0.5, tol=1e-12).fit(X, y)
    for j in range(2):
        one = GradientLinearRegressor(alpha=0.1, l1_ratio=0.5, tol=1e-12)
        assert_relatively_close(model.coef_[j], one.fit(X, y[:, j]).coef_, 1e-6)


def test_newton_refuses_l1(rng):
    X, y = make_linear(rng)
    model = GradientLinearRegressor(optimizer="newton", alpha=1.0, l1_ratio=0.5)
    with pytest.raises(
        ParameterError, match=r"'newton' cannot .* L1 penalty .*'fista'"
    ):
        model.fit(X, y)


# ------------------------------------------------------------------- other losses


def test_poisson_equals_poisson_regressor(rng):
    X = rng.normal(size=(200, 3)) * [1, 10, 100]
    y = rng.poisson(np.exp(0.3 * X[:, 0] - 0.02 * X[:, 1] + 1)).astype(float)
    w = rng.uniform(0.5, 2, size=200)
    Z = X / [1, 10, 100]
    for alpha in (0.0, 0.1):
        expected = PoissonRegressor(
            alpha=alpha, solver="newton-cholesky", tol=1e-12
        ).fit(Z, y, w)
        model = GradientLinearRegressor(loss="poisson", alpha=alpha, standardize=False)
        model.fit(Z, y, w)
        np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-8)
        np.testing.assert_allclose(model.predict(Z), expected.predict(Z), rtol=1e-8)
        model.set_params(standardize=True).fit(X, y, w)
        expected = make_pipeline(
            StandardScaler(),
            PoissonRegressor(alpha=alpha, solver="newton-cholesky", tol=1e-12),
        )
        expected.fit(
            X, y, standardscaler__sample_weight=w, poissonregressor__sample_weight=w
        )
        np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-8)


def test_poisson_of_targets_with_zeros_only_and_outside_the_domain(rng):
    X = rng.normal(size=(20, 2))
    with pytest.raises(ValueError, match=r"Poisson must lie in \[0, inf\).*-1"):
        GradientLinearRegressor(loss="poisson").fit(X, np.full(20, -1.0))


@pytest.mark.parametrize("optimizer", ["auto", "lbfgs"])
@pytest.mark.parametrize("delta", [0.1, 1.0, 10.0])
def test_huber_equals_the_optimum_of_scipy(rng, optimizer, delta):
    X, y = make_linear(rng)
    X /= 10.0 ** np.arange(4)
    y[::7] += 30 * rng.normal(size=len(y[::7]))

    def objective(w):
        r = np.abs(y - X @ w[:4] - w[4])
        return np.where(r <= delta, r**2 / 2, delta * (r - delta / 2)).mean()

    best = min(
        optimize.minimize(objective, start, method="BFGS", options={"gtol": 1e-9}).fun
        for start in (np.zeros(5), np.r_[LinearRegression().fit(X, y).coef_, 3])
    )
    model = GradientLinearRegressor(loss=Huber(delta=delta), optimizer=optimizer)
    model.fit(X, y)
    reached = objective(np.r_[model.coef_, model.intercept_])
    assert reached <= best * (1 + 1e-8)


def pinball(y, f, quantile):
    return np.maximum(quantile * (y - f), (quantile - 1) * (y - f)).mean()


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("data", ["diabetes", "random"])
@STANDARDIZE
def test_quantile_comes_within_1e_4_of_the_optimum(rng, quantile, data, standardize):
    if data == "diabetes":
        X, y = load_diabetes(return_X_y=True)
        X = X[:, [2, 3, 8]]
    else:
        X, y = make_linear(rng, n=120, p=3)
    best = QuantileRegressor(alpha=0, quantile=quantile).fit(X, y).predict(X)
    best = pinball(y, best, quantile)
    model = GradientLinearRegressor(loss=Quantile(quantile), standardize=standardize)
    assert pinball(y, model.fit(X, y).predict(X), quantile) <= best * (1 + 1e-4)


def test_absolute_error_comes_within_1e_4_of_the_optimum(rng):
    X, y = make_linear(rng, n=100)
    best = QuantileRegressor(alpha=0, quantile=0.5).fit(X, y).predict(X)
    model = GradientLinearRegressor(loss="absolute_error").fit(X, y)
    ratio = np.abs(y - model.predict(X)).mean() / np.abs(y - best).mean()
    assert ratio <= 1 + 1e-4
    assert model.fit_report_["n_traces"] == 3  # the widths are inputs of one trace


def test_a_function_as_the_loss_finds_the_optimum_of_scipy(rng):
    X, y = make_linear(rng, n=40, p=2)
    X /= [1, 10]

    def objective(w):
        return ((y - X @ w[:2] - w[2]) ** 4).mean()

    best = optimize.minimize(objective, np.zeros(3), options={"gtol": 1e-10}).x
    model = GradientLinearRegressor(loss=fourth_power, tol=1e-9).fit(X, y)
    np.testing.assert_allclose(np.r_[model.coef_, model.intercept_], best, rtol=1e-4)


def test_a_tight_tol_ends_at_the_rounding_floor_without_a_warning(rng):
    X, y = make_linear(rng)
    model = GradientLinearRegressor(tol=0.0).fit(X, y)
    assert model.fit_report_["converged"]


# ------------------------------------------------------------------ classification


@pytest.mark.parametrize("alpha", [1e-4, 1e-2, 1.0])
def test_two_classes_equal_logistic_regression(alpha):
    X, y = load_breast_cancer(return_X_y=True)
    expected = LogisticRegression(
        C=1 / (alpha * len(y)), solver="newton-cholesky", tol=1e-10
    )
    expected = scaled(expected).fit(X, y)
    model = GradientLinearClassifier(alpha=alpha).fit(X, y)
    np.testing.assert_allclose(
        model.coef_ * X.std(axis=0), expected[-1].coef_, rtol=1e-8
    )
    np.testing.assert_allclose(
        model.predict_proba(X), expected.predict_proba(X), rtol=1e-7, atol=1e-10
    )
    Z = expected[0].transform(X)
    model = GradientLinearClassifier(alpha=alpha, standardize=False).fit(Z, y)
    np.testing.assert_allclose(model.coef_, expected[-1].coef_, rtol=1e-8)
    np.testing.assert_allclose(model.intercept_, expected[-1].intercept_, rtol=1e-8)


@pytest.mark.parametrize("alpha", [1e-3, 0.1])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_many_classes_equal_logistic_regression(alpha, fit_intercept):
    X, y = load_iris(return_X_y=True)
    expected = LogisticRegression(
        C=1 / (alpha * len(y)),
        solver="newton-cg",
        tol=1e-12,
        max_iter=10_000,
        fit_intercept=fit_intercept,
    ).fit(X, y)
    model = GradientLinearClassifier(
        alpha=alpha, standardize=False, fit_intercept=fit_intercept
    ).fit(X, y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(
        model.predict_proba(X), expected.predict_proba(X), rtol=1e-6, atol=1e-10
    )
    assert model.coef_.shape == (3, 4)
    assert model.intercept_.shape == (3,)


def test_many_classes_of_a_wide_model_equal_logistic_regression(rng):
    X = rng.normal(size=(400, 6))
    y = (X @ rng.normal(size=(6, 12)) + rng.gumbel(size=(400, 12))).argmax(axis=1)
    expected = LogisticRegression(
        C=1 / (1e-2 * len(y)), solver="newton-cg", tol=1e-12, max_iter=10_000
    ).fit(X, y)
    model = GradientLinearClassifier(alpha=1e-2, standardize=False, tol=1e-10)
    model.fit(X, y)
    assert model.fit_report_["optimizer"] == "LBFGS"
    assert_relatively_close(model.coef_, expected.coef_, 1e-7)


@pytest.mark.parametrize("class_weight", [None, {0: 1.0, 1: 3.0}, "balanced"])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_weights_equal_logistic_regression(rng, class_weight, weighted, n_classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[30 : 50 * n_classes], y[30 : 50 * n_classes]
    X = X[:, :2]  # the classes overlap
    if isinstance(class_weight, dict) and n_classes == 3:
        class_weight = {**class_weight, 2: 0.5}
    w = rng.uniform(0.1, 3.0, size=len(y)) if weighted else None
    model = GradientLinearClassifier(
        alpha=0.01, standardize=False, class_weight=class_weight
    ).fit(X, y, w)
    # The penalty is relative to the sum of all weights, classes' included.
    total = np.ones(len(y)) if w is None else w
    if class_weight == "balanced":
        sums = np.bincount(y, weights=total)
        total = total * (total.sum() / (n_classes * sums))[y]
    elif class_weight is not None:
        total = total * np.array([class_weight[c] for c in y])
    expected = LogisticRegression(
        C=1 / (0.01 * total.sum()), solver="newton-cg", tol=1e-12, max_iter=10_000
    ).fit(X, y, total)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge"])
@pytest.mark.parametrize("absent", [0, 1, 2])
def test_a_class_of_weight_zero_is_never_predicted(loss, absent):
    X, y = load_iris(return_X_y=True)
    weight = {c: float(c != absent) for c in range(3)}
    model = GradientLinearClassifier(loss=loss, class_weight=weight, alpha=0.01)
    model.fit(X, y)
    assert model.coef_.shape == (3, 4)
    others = y != absent
    assert not (model.predict(X) == absent).any()
    assert model.score(X[others], y[others]) > 0.9


def test_lasso_of_a_classifier_has_the_zeros_of_saga(rng):
    X = rng.normal(size=(200, 10))
    y = (X[:, 0] - X[:, 1] + 0.5 * rng.normal(size=200) > 0).astype(int)
    alpha = 0.05
    model = GradientLinearClassifier(
        alpha=alpha, l1_ratio=1.0, standardize=False, tol=1e-10
    ).fit(X, y)
    expected = LogisticRegression(
        C=1 / (alpha * 200),
        l1_ratio=1.0,
        solver="saga",
        random_state=0,
        tol=1e-12,
        max_iter=10_000,
    ).fit(X, y)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-6)
    np.testing.assert_array_equal(model.coef_ == 0, expected.coef_ == 0)


def test_separable_classes_without_penalty_end(rng):
    X = np.linspace(-1, 1, 20).reshape(-1, 1)
    model = GradientLinearClassifier(alpha=0.0).fit(X, X[:, 0] > 0)
    assert model.score(X, X[:, 0] > 0) == 1.0
    assert np.isfinite(model.coef_).all()


# ------------------------------------------------------------------ sample weights

LINEAR = [
    GradientLinearRegressor(),
    GradientLinearRegressor(alpha=0.1),
    GradientLinearRegressor(alpha=0.1, l1_ratio=0.5, tol=1e-10),
    GradientLinearRegressor(loss=Huber(0.5), standardize=False),
    GradientLinearRegressor(loss="log_cosh", optimizer="lbfgs", tol=1e-10),
    GradientLinearClassifier(),
    GradientLinearClassifier(class_weight="balanced"),
]


@pytest.mark.parametrize("model", LINEAR, ids=str)
def test_integer_weights_equal_repeated_rows_and_zero_ones_absent_rows(rng, model):
    X, y = make_linear(rng)
    X /= 10.0 ** np.arange(4)
    if isinstance(model, GradientLinearClassifier):
        y = y > np.median(y)
    w = rng.integers(0, 4, size=len(y))
    weighted = model.fit(X, y, w).coef_
    repeated = model.fit(np.repeat(X, w, axis=0), np.repeat(y, w)).coef_
    assert_relatively_close(weighted, repeated, 1e-6)
    absent = model.fit(X[w > 0], y[w > 0], w[w > 0]).coef_
    np.testing.assert_array_equal(weighted, absent)
    if not isinstance(model, GradientLinearClassifier):
        scaled_up = model.fit(X, y, 1e3 * w).coef_
        assert_relatively_close(scaled_up, weighted, 1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_are_read_from_a_file_as_they_are(rng, tmp_path, dtype):
    n, p = 80_000, 20
    path = tmp_path / "X"
    X = rng.normal(size=(n, p)).astype(dtype)
    X.tofile(path)
    mapped = np.memmap(path, dtype=dtype, mode="r", shape=(n, p))
    y = X[:, 0] - 2 * X[:, 1] + rng.normal(size=n)
    labels = y > 0
    for model, target in (
        (GradientLinearRegressor(alpha=0.1), y),
        (GradientLinearClassifier(alpha=0.1), labels),
    ):
        expected = clone(model).fit(X.astype("float64"), target).coef_
        tracemalloc.start()
        model.fit(mapped, target)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert model.coef_.dtype == np.float64
        np.testing.assert_allclose(model.coef_, expected, rtol=1e-9, atol=1e-12)
        # Targets, weights and a block of rows; a copy of X alone would be 160 bytes a
        # row in float64.
        assert peak < 150 * n
