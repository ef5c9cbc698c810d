"""What is said of single features, and the constrained optima of others."""

import numpy as np
import pytest
from scipy import optimize
from scipy.special import expit
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from skgrad import GradientLinearClassifier, GradientLinearRegressor, losses, optim
from skgrad.estimators.constraints import (
    Features,
    coefficient_bounds,
    penalty_factors,
)
from skgrad.exceptions import ParameterError

INF = np.inf
STANDARDIZE = pytest.mark.parametrize("standardize", [True, False])
NAMED = Features(3, ("age", "bmi", "sex"))


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True, scaled=False)


def assert_relatively_close(actual, desired, tolerance):
    """Assert that errors are small beside the largest entry."""
    scale = np.abs(desired).max()
    np.testing.assert_allclose(actual, desired, rtol=0, atol=tolerance * scale)


def with_ones(X):
    return np.column_stack([X, np.ones(len(X))])


# ------------------------------------------------------------ from names to arrays


@pytest.mark.parametrize(
    ("params", "low", "high"),
    [
        ({}, [-INF] * 3, [INF] * 3),
        ({"positive": True}, [0] * 3, [INF] * 3),
        ({"bounds": (-1, 2)}, [-1] * 3, [2] * 3),
        ({"bounds": (None, 2)}, [-INF] * 3, [2] * 3),
        ({"bounds": [(0, 1), (None, 2), (-3, None)]}, [0, -INF, -3], [1, 2, INF]),
        ({"bounds": np.arange(6.0).reshape(3, 2)}, [0, 2, 4], [1, 3, 5]),
        ({"bounds": {"bmi": (0, 1), 2: [None, 5]}}, [-INF, 0, -INF], [INF, 1, 5]),
        ({"bounds": {np.int64(0): (2, 2)}}, [2, -INF, -INF], [2, INF, INF]),
        ({"monotonic_cst": [1, -1, 0]}, [0, -INF, -INF], [INF, 0, INF]),
        ({"monotonic_cst": {"sex": -1}}, [-INF] * 3, [INF, INF, 0]),
        (
            {"positive": True, "monotonic_cst": {0: -1}, "bounds": {1: (-2, 3)}},
            [0, 0, 0],
            [0, 3, INF],
        ),
    ],
)
def test_bounds_of_each_feature(params, low, high):
    found = coefficient_bounds(NAMED, **params)
    np.testing.assert_array_equal(found, (low, high))
    assert found[0].dtype == found[1].dtype == np.float64


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, [1, 1, 1]),
        ([0, 0.5, 3], [0, 0.5, 3]),
        ({"age": 0}, [0, 1, 1]),
        ({2: 7, "bmi": 0.1}, [1, 0.1, 7]),
    ],
)
def test_factors_of_each_feature(value, expected):
    np.testing.assert_array_equal(penalty_factors(NAMED, value), expected)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"bounds": (0, 1, 2)}, r"'bounds'.*pair \(low, high\).*\(3, 2\).*\(0, 1, 2\)"),
        ({"bounds": np.array(3)}, r"'bounds'.*of shape \(\)"),
        ({"bounds": np.zeros((3, 1))}, r"'bounds'.*of shape \(3, 1\)"),
        ({"bounds": np.zeros((2, 3))}, r"'bounds'.*of shape \(2, 3\)"),
        ({"bounds": ("low", 1)}, r"'bounds'.*Got \('low', 1\)"),
        ({"bounds": [(0, 1), (0, 1, 2), (0, 1)]}, "'bounds'.*pair"),
        ({"bounds": {"age": 3}}, "'bounds'.*to a pair.*'age': 3"),
        ({"bounds": (np.nan, 1)}, r"'bounds'.*\[nan, 1.0\] for the feature 'age'"),
        ({"bounds": (np.inf, None)}, r"'bounds'.*\[inf, inf\]"),
        ({"bounds": (None, -np.inf)}, r"'bounds'.*\[-inf, -inf\]"),
        ({"bounds": {"agee": (0, 1)}}, "'bounds'.*'agee'.*'bmi'.*mean 'age'"),
        ({"bounds": {3: (0, 1)}}, "'bounds'.*key 3.*0 to 2"),
        ({"bounds": {-1: (0, 1)}}, "'bounds'.*key -1.*0 to 2"),
        ({"bounds": {0: (0, 1), "age": (0, 1)}}, "'bounds'.*two keys.*'age'"),
        ({"bounds": {"bmi": (2, 1)}}, "'bmi' is >= 2 and <= 1"),
        ({"bounds": {2: (-2, -1)}, "positive": True}, "'sex' is >= 0 and <= -1"),
        ({"bounds": (1, 3), "monotonic_cst": {1: -1}}, "'bmi' is >= 1 and <= 0"),
        ({"monotonic_cst": [1, 0]}, r"'monotonic_cst'.*\(3,\).*\[1, 0\]"),
        ({"monotonic_cst": [1, 0, 2]}, "'monotonic_cst'.*2.0 .*'sex'"),
        ({"monotonic_cst": [1, 0, np.nan]}, "'monotonic_cst'.*nan .*'sex'"),
        ({"monotonic_cst": {"age": "up"}}, "'monotonic_cst'.*'up'"),
    ],
)
def test_wrong_bounds_are_refused(params, message):
    with pytest.raises(ParameterError, match=message):
        coefficient_bounds(NAMED, **params)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], r"'penalty_factor'.*\(3,\).*\[1, 2\]"),
        ([1, 2, -0.5], "'penalty_factor'.*>= 0. Got -0.5 for the feature 'sex'"),
        ({"age": np.inf}, "'penalty_factor'.*inf for the feature 'age'"),
        ({"age": np.nan}, "'penalty_factor'.*nan"),
    ],
)
def test_wrong_factors_are_refused(value, message):
    with pytest.raises(ParameterError, match=message):
        penalty_factors(NAMED, value)


def test_names_need_a_data_frame():
    with pytest.raises(ParameterError, match=r"'age'.*data frame.*0 to 1\.$"):
        penalty_factors(Features(2), {"age": 1})
    with pytest.raises(ParameterError, match="for the feature 1"):
        penalty_factors(Features(2), [1, -1])


# ------------------------------------------------------------------ least squares


@STANDARDIZE
@pytest.mark.parametrize("optimizer", ["auto", "fista"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_positive_equals_linear_regression(
    diabetes, standardize, optimizer, fit_intercept
):
    X, y = diabetes
    X = StandardScaler().fit_transform(X) + 1.0
    model = GradientLinearRegressor(
        positive=True,
        standardize=standardize,
        optimizer=optimizer,
        fit_intercept=fit_intercept,
        tol=1e-10,
        max_iter=10_000,
    ).fit(X, y)
    expected = LinearRegression(positive=True, fit_intercept=fit_intercept).fit(X, y)
    assert_relatively_close(model.coef_, expected.coef_, 1e-7)
    np.testing.assert_allclose(model.intercept_, expected.intercept_, rtol=1e-6)
    np.testing.assert_array_equal(model.coef_ == 0, expected.coef_ == 0)
    assert 0 < (model.coef_ == 0).sum() < 10
    taken = {"auto": "ProximalNewton", "fista": "FISTA"}[optimizer]
    assert model.fit_report_["optimizer"] == taken


@STANDARDIZE
def test_without_intercept_equals_nnls(rng, standardize):
    A = np.abs(rng.normal(size=(40, 12))) * 10.0 ** rng.integers(-2, 3, size=12)
    b = A @ np.where(np.arange(12) % 3, 1.0, 0.0) / np.abs(A).max(axis=0).max()
    b += 0.1 * rng.normal(size=40)
    expected, _ = optimize.nnls(A, b)
    model = GradientLinearRegressor(
        positive=True, fit_intercept=False, standardize=standardize, tol=1e-12
    ).fit(A, b)
    residual = np.linalg.norm(A @ expected - b)
    assert np.linalg.norm(A @ model.coef_ - b) <= residual * (1 + 1e-9)


@STANDARDIZE
@pytest.mark.parametrize("n_outputs", [None, 2])
def test_bounds_equal_lsq_linear(diabetes, standardize, n_outputs):
    X, y = diabetes
    Y = y if n_outputs is None else np.column_stack([y, -3 * y + X[:, 2]])
    low = np.array([-INF, -1, 0, 0.5, -2, -INF, -INF, -3, 1, 1])
    high = np.array([INF, 2, 4, 0.9, -1, 0.2, -0.1, 3, 9, INF])
    model = GradientLinearRegressor(
        bounds=np.column_stack([low, high]), standardize=standardize, tol=1e-12
    ).fit(X, Y)
    for j, target in enumerate(np.atleast_2d(Y.T)):
        expected = optimize.lsq_linear(
            with_ones(X), target, (np.r_[low, -INF], np.r_[high, INF]), method="bvls"
        )
        assert expected.success
        coef = np.atleast_2d(model.coef_)[j]
        assert_relatively_close(coef, expected.x[:-1], 1e-7)
        at_bounds = (coef == low) | (coef == high)
        np.testing.assert_array_equal(at_bounds, expected.active_mask[:-1] != 0)
        assert 1 < at_bounds.sum() < 10


@STANDARDIZE
def test_weights_and_bounds_equal_lsq_linear(rng, diabetes, standardize):
    X, y = diabetes
    w = rng.uniform(0.1, 3.0, size=len(y))
    model = GradientLinearRegressor(
        bounds=(-0.5, 1.5), standardize=standardize, tol=1e-12
    ).fit(X, y, w)
    root = np.sqrt(w)
    bounds = np.r_[np.full(10, -0.5), -INF], np.r_[np.full(10, 1.5), INF]
    expected = optimize.lsq_linear(
        with_ones(X) * root[:, None], y * root, bounds, method="bvls"
    )
    assert_relatively_close(model.coef_, expected.x[:-1], 1e-7)


def test_bounds_that_do_not_bind_change_nothing(diabetes):
    X, y = diabetes
    expected = LinearRegression().fit(X, y)
    model = GradientLinearRegressor(bounds=(-1e3, 1e3), tol=1e-12).fit(X, y)
    assert_relatively_close(model.coef_, expected.coef_, 1e-6)
    free = GradientLinearRegressor(bounds=(None, INF), monotonic_cst=[0] * 10)
    assert free.fit(X, y).fit_report_["optimizer"] == "Newton"


def test_signs_are_bounds_of_zero(diabetes):
    X, y = diabetes
    signs = np.array([1, 0, 1, 1, -1, 1, -1, 1, -1, 0])
    model = GradientLinearRegressor(monotonic_cst=signs, tol=1e-12).fit(X, y)
    low, high = np.where(signs == 1, 0, -INF), np.where(signs == -1, 0, INF)
    expected = optimize.lsq_linear(
        with_ones(X), y, (np.r_[low, -INF], np.r_[high, INF]), method="bvls"
    )
    assert_relatively_close(model.coef_, expected.x[:-1], 1e-7)
    assert (model.coef_ * signs >= 0).all()


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_every_coefficient_fixed(diabetes, fit_intercept):
    X, y = diabetes
    fixed = np.linspace(-1, 1, 10) / 3
    model = GradientLinearRegressor(
        bounds=np.column_stack([fixed, fixed]), fit_intercept=fit_intercept
    ).fit(X, y)
    np.testing.assert_array_equal(model.coef_, fixed)
    rest = (y - X @ fixed).mean() if fit_intercept else 0.0
    np.testing.assert_allclose(model.intercept_, rest, rtol=1e-6)
    loss = 0.5 * np.mean((y - X @ fixed - rest) ** 2)
    np.testing.assert_allclose(model.loss_, loss, rtol=1e-9)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("optimizer", ["auto", "fista", "adam"])
def test_coefficients_lie_within_their_bounds_to_the_last_bit(seed, optimizer):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, 6)) * 10.0 ** rng.uniform(-5, 5, size=6)
    y = X @ rng.normal(size=6) + rng.normal(size=30)
    low = rng.normal(size=6)
    high = low + rng.exponential(size=6) * rng.integers(0, 2, size=6)
    model = GradientLinearRegressor(
        bounds=np.column_stack([low, high]), optimizer=optimizer, random_state=0
    )
    limits = {"max_iter": 20, "tol": None} if optimizer == "adam" else {"tol": 1e-3}
    model.set_params(**limits).fit(X, y)
    assert (low <= model.coef_).all()
    assert (model.coef_ <= high).all()
    np.testing.assert_array_equal(model.predict(X), X @ model.coef_ + model.intercept_)


# ---------------------------------------------------------------------- penalties


@STANDARDIZE
@pytest.mark.parametrize("optimizer", ["auto", "fista"])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("alpha", [0.01, 0.1])
def test_positive_equals_elastic_net(diabetes, standardize, optimizer, l1_ratio, alpha):
    X, y = diabetes
    X, y = StandardScaler().fit_transform(X), y / y.std()
    model = GradientLinearRegressor(
        alpha=alpha, l1_ratio=l1_ratio, positive=True, standardize=standardize
    ).set_params(optimizer=optimizer, tol=1e-11, max_iter=10_000)
    net = ElasticNet(
        alpha=alpha, l1_ratio=l1_ratio, positive=True, tol=1e-14
    ).set_params(max_iter=10**6, random_state=0)
    coef = net.fit(X, y).coef_
    assert_relatively_close(model.fit(X, y).coef_, coef, 1e-6)
    np.testing.assert_array_equal(model.coef_ == 0, coef == 0)
    assert 0 < (coef == 0).sum() < 10


FACTORS = np.array([1, 0.5, 2, 1, 4, 1, 0.25, 3, 1, 1.5])


@STANDARDIZE
@pytest.mark.parametrize("positive", [True, False])
def test_factors_equal_a_lasso_of_rescaled_columns(diabetes, standardize, positive):
    X, y = diabetes
    X, y = StandardScaler().fit_transform(X), y / y.std()
    model = GradientLinearRegressor(
        alpha=0.03, l1_ratio=1.0, penalty_factor=FACTORS, positive=positive
    ).set_params(tol=1e-12, standardize=standardize)
    lasso = Lasso(alpha=0.03, tol=1e-14, max_iter=10**6)
    lasso.set_params(positive=positive, random_state=0)
    coef = lasso.fit(X / FACTORS, y).coef_ / FACTORS
    assert_relatively_close(model.fit(X, y).coef_, coef, 1e-6)
    np.testing.assert_array_equal(model.coef_ == 0, coef == 0)
    assert 0 < (coef == 0).sum() < 9


@STANDARDIZE
@pytest.mark.parametrize("optimizer", ["auto", "lbfgs", "newton_cg", "fista"])
def test_factors_of_l2_are_a_ridge_of_their_own_for_each_feature(
    diabetes, standardize, optimizer
):
    X, y = diabetes
    X = StandardScaler().fit_transform(X)
    factors = np.where(np.arange(10) == 3, 0.0, FACTORS)
    model = GradientLinearRegressor(
        alpha=0.3, penalty_factor=factors, standardize=standardize, optimizer=optimizer
    ).set_params(tol=1e-11, max_iter=10_000)
    gram = X.T @ X / len(y) + 0.3 * np.diag(factors)
    expected = np.linalg.solve(gram, X.T @ (y - y.mean()) / len(y))
    assert_relatively_close(model.fit(X, y).coef_, expected, 1e-7)


def test_a_factor_of_0_is_never_penalised(diabetes):
    X, y = diabetes
    model = GradientLinearRegressor(
        alpha=1e6, l1_ratio=1.0, penalty_factor={2: 0, 8: 0}, tol=1e-12
    ).fit(X, y)
    expected = LinearRegression().fit(X[:, [2, 8]], y)
    assert_relatively_close(model.coef_[[2, 8]], expected.coef_, 1e-7)
    assert np.flatnonzero(model.coef_).tolist() == [2, 8]


@pytest.mark.parametrize(
    "bounds",
    [(-0.1, 0.15), {0: (0.01, 0.1), 1: (-0.1, -0.01), 2: (0, 0.1), 9: (0.2, 1)}],
)
@pytest.mark.parametrize("optimizer", ["auto", "fista"])
def test_the_optimum_of_everything_together_meets_its_conditions(
    diabetes, bounds, optimizer
):
    X, y = diabetes
    X, y = StandardScaler().fit_transform(X), y / y.std()
    alpha, ratio = 0.1, 0.6
    factors = np.where(np.arange(10) == 3, 0.0, FACTORS)
    model = GradientLinearRegressor(
        alpha=alpha, l1_ratio=ratio, penalty_factor=factors, bounds=bounds
    ).set_params(optimizer=optimizer, tol=1e-12, standardize=False, max_iter=10_000)
    c = model.fit(X, y).coef_
    low, high = coefficient_bounds(Features(10), bounds=bounds)
    assert ((low <= c) & (c <= high)).all()
    slope = X.T @ (X @ c + model.intercept_ - y) / len(y)
    slope += alpha * (1 - ratio) * factors * c
    l1 = alpha * ratio * factors
    # The slopes to the right and to the left, neither of which leads down.
    right = slope + l1 * np.where(c >= 0, 1, -1)
    left = slope + l1 * np.where(c > 0, 1, -1)
    assert (right[c < high] >= -1e-9).all()
    assert (left[c > low] <= 1e-9).all()
    assert (c == 0).any()
    assert (((c == low) | (c == high)) & (c != 0)).any()


@STANDARDIZE
def test_a_positive_ridge_equals_nnls_with_rows_for_the_penalty(diabetes, standardize):
    X, y = diabetes
    X, y = StandardScaler().fit_transform(X), y / y.std()
    model = GradientLinearRegressor(
        alpha=0.2, penalty_factor=FACTORS, positive=True, standardize=standardize
    ).set_params(tol=1e-12)
    A = np.vstack([X, np.diag(np.sqrt(0.2 * len(y) * FACTORS))])
    expected, _ = optimize.nnls(A, np.r_[y - y.mean(), np.zeros(10)])
    assert_relatively_close(model.fit(X, y).coef_, expected, 1e-7)
    np.testing.assert_array_equal(model.coef_ == 0, expected == 0)


@pytest.mark.parametrize("optimizer", ["auto", "adam"])
def test_factors_are_taken_as_they_are(rng, optimizer):
    X = rng.normal(size=(50, 3))
    y = X @ [1.0, -2.0, 0.5] + rng.normal(size=50)
    params = {"l1_ratio": 0.3, "optimizer": optimizer, "tol": 1e-10, "random_state": 0}
    params["max_iter"] = 20 if optimizer == "adam" else 1000
    if optimizer == "adam":
        params["tol"] = None
    doubled = GradientLinearRegressor(alpha=0.1, penalty_factor=[2, 2, 2], **params)
    expected = GradientLinearRegressor(alpha=0.2, **params).fit(X, y).coef_
    np.testing.assert_allclose(doubled.fit(X, y).coef_, expected, rtol=1e-7)


# ------------------------------------------------------------------- other losses


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_positive_quantiles_equal_linear_programming(diabetes, quantile):
    X, y = diabetes
    n, p = X.shape
    cost = np.r_[np.zeros(p + 1), np.full(n, quantile), np.full(n, 1 - quantile)] / n
    best = optimize.linprog(
        cost,
        A_eq=np.hstack([with_ones(X), np.eye(n), -np.eye(n)]),
        b_eq=y,
        bounds=[(0, None)] * p + [(None, None)] + [(0, None)] * (2 * n),
    ).fun
    model = GradientLinearRegressor(loss=losses.Quantile(quantile), positive=True)
    residual = y - model.fit(X, y).predict(X)
    reached = np.maximum(quantile * residual, (quantile - 1) * residual).mean()
    assert (model.coef_ >= 0).all()
    print(f"{quantile}: {reached / best - 1:.1e}")  # noqa: T201 - for `pytest -s`
    assert best * (1 - 1e-12) <= reached <= best * (1 + 1e-6)


def logistic(X, y, alpha):
    """Return the objective of two classes and its gradient, in NumPy."""
    signs, Z = 2.0 * y - 1, with_ones(X)
    penalised = np.arange(Z.shape[1]) < X.shape[1]

    def objective(theta):
        margin = signs * (Z @ theta)
        slope = -signs * expit(-margin)
        value = np.logaddexp(0, -margin).mean() + alpha / 2 * penalised @ theta**2
        return value, Z.T @ slope / len(y) + alpha * penalised * theta

    return objective


@STANDARDIZE
def test_log_odds_within_bounds_equal_lbfgsb(standardize):
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X[:, :10])
    y = 1 - y
    bounds = [(0, None), (0.5, 1), (None, 0), (-0.2, 0.2), (0, 1)] * 2
    model = GradientLinearClassifier(
        alpha=1e-3, bounds=bounds, standardize=standardize, tol=1e-10
    ).fit(X, y)
    expected = optimize.minimize(
        logistic(X, y, 1e-3),
        np.zeros(11),
        jac=True,
        method="L-BFGS-B",
        bounds=[*bounds, (None, None)],
        options={"gtol": 1e-11, "ftol": 0, "maxiter": 10_000},
    ).x
    assert_relatively_close(model.coef_[0], expected[:-1], 1e-6)
    np.testing.assert_allclose(model.intercept_, expected[-1], rtol=1e-6)
    np.testing.assert_array_equal(model.coef_[0] == 0, expected[:-1] == 0)


def test_bounds_hold_for_every_class():
    X, y = load_iris(return_X_y=True)
    model = GradientLinearClassifier(alpha=1e-2, bounds={0: (-0.1, 0.2), 3: (0, None)})
    coef = model.fit(X, y).coef_
    assert coef.shape == (3, 4)
    assert (coef[:, 0] >= -0.1).all()
    assert (coef[:, 0] <= 0.2).all()
    assert (coef[:, 3] >= 0).all()
    assert (coef[:, [0, 3]] == [[-0.1, 0], [0.2, 0], [0.2, 0]]).any()
    assert (coef[:, 2] < 0).any()


@STANDARDIZE
def test_bounds_of_a_distribution_are_those_of_its_location(rng, standardize):
    X = rng.normal(size=(300, 2)) * [1, 10]
    y = 3 * X[:, 0] - X[:, 1] + np.exp(-0.5 * X[:, 0]) * rng.normal(size=300)
    model = GradientLinearRegressor(
        loss="gaussian_nll", bounds=(0, 2.5), standardize=standardize, tol=1e-8
    ).fit(X, y)
    location, log_scale = model.coef_

    def negative_log_likelihood(theta):
        residual = y - theta[0] * X[:, 0] - theta[1] * X[:, 1] - theta[2]
        log_scale = theta[3] * X[:, 0] + theta[4] * X[:, 1] + theta[5]
        return (log_scale + 0.5 * residual**2 * np.exp(-2 * log_scale)).mean()

    best = optimize.minimize(
        negative_log_likelihood,
        np.array([2, 0, y.mean(), 0, 0, np.log(y.std())]),
        method="L-BFGS-B",
        bounds=[(0, 2.5)] * 2 + [(None, None)] * 4,
        options={"ftol": 1e-15, "gtol": 1e-9},
    )
    np.testing.assert_allclose(location, best.x[:2], atol=1e-4)
    np.testing.assert_allclose(log_scale, best.x[3:5], atol=1e-4)
    assert (log_scale < 0).any()


# ------------------------------------------------------------- stochastic optimizers


@STANDARDIZE
@pytest.mark.parametrize(
    "optimizer", ["sgd", "adam", "rmsprop", optim.Averaged(optim.Adam(), decay=0.9)]
)
def test_projected_steps_come_close_to_lsq_linear(diabetes, optimizer, standardize):
    X, y = diabetes
    X, y = StandardScaler().fit_transform(X), (y - y.mean()) / y.std()
    bounds = np.r_[np.full(10, -0.1), -INF], np.r_[np.full(10, 0.2), INF]
    expected = optimize.lsq_linear(with_ones(X), y, bounds, method="bvls").x[:-1]
    model = GradientLinearRegressor(
        optimizer=optimizer, bounds=(-0.1, 0.2), standardize=standardize, random_state=0
    ).set_params(learning_rate=0.05, schedule="cosine", tol=None, max_iter=200)
    coef = model.fit(X, y).coef_
    assert coef.max() == 0.2
    if not standardize:  # not only what is published lies within
        np.testing.assert_array_equal(model.module_.weight.numpy()[0], coef)
    best = np.mean((y - X @ expected) ** 2)
    assert np.mean((y - model.predict(X)) ** 2) <= best * (1 + 1e-3)


def test_the_first_step_begins_within_the_bounds(rng):
    X, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    model = GradientLinearRegressor(
        optimizer="sgd", bounds=(1, None), standardize=False, fit_intercept=False
    ).set_params(batch_size=None, max_iter=1, tol=None, random_state=0)
    at_start = 0.5 * np.mean((y - X.sum(axis=1)) ** 2)
    np.testing.assert_allclose(model.fit(X, y).loss_curve_, [at_start])


@pytest.mark.parametrize("optimizer", ["newton", "newton_cg", "nonlinear_cg"])
def test_other_optimizers_refuse_bounds(diabetes, optimizer):
    model = GradientLinearRegressor(optimizer=optimizer, positive=True)
    with pytest.raises(ParameterError, match=f"'{optimizer}' cannot .* 'lbfgs'"):
        model.fit(*diabetes)


# ------------------------------------------------------------ from one fit to another


@pytest.mark.parametrize("optimizer", ["lbfgs", "sgd"])
def test_bounds_may_change_between_fits(diabetes, optimizer):
    X, y = diabetes
    model = GradientLinearRegressor(
        optimizer=optimizer, warm_start=True, tol=None, max_iter=20, random_state=0
    ).fit(X, y)
    assert model.coef_.min() < -1
    model.set_params(bounds=(-0.5, 0.5)).fit(X, y)
    assert np.abs(model.coef_).max() == 0.5
    model.set_params(bounds=(0.6, None)).fit(X, y)
    assert model.coef_.min() == 0.6
    model.set_params(bounds=None).fit(X, y)
    assert model.coef_.min() < 0.6


def test_partial_fit_within_bounds(diabetes):
    X, y = diabetes
    model = GradientLinearRegressor(optimizer="sgd", positive=True, random_state=0)
    for _ in range(3):
        model.partial_fit(X, y)
        assert (model.coef_ >= 0).all()
    classifier = GradientLinearClassifier(
        optimizer="adam", monotonic_cst=[-1] * 10, random_state=0
    ).partial_fit(X, y > 140, classes=[False, True])
    assert (classifier.coef_ <= 0).all()
    assert (classifier.coef_ < 0).any()


def test_names_of_a_data_frame():
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    named = GradientLinearRegressor(
        bounds={"bmi": (0, 2)}, monotonic_cst={"age": 1}, penalty_factor={"s5": 0}
    ).set_params(alpha=0.1, optimizer="adam", random_state=0, max_iter=5, tol=None)
    named.set_params(scoring="r2").fit(X, y, X_val=X, y_val=y)
    by_column = clone(named).set_params(
        bounds={2: (0, 2)}, monotonic_cst=[1] + [0] * 9, penalty_factor={8: 0}
    )
    np.testing.assert_array_equal(named.coef_, by_column.fit(X.to_numpy(), y).coef_)
    with pytest.raises(ParameterError, match=r"'weight'.*'age', 'sex', 'bmi'"):
        named.set_params(bounds={"weight": (0, 1)}).fit(X, y)


def test_bounds_are_searched(diabetes):
    grid = {"bounds": [None, (0, 1), {0: (0, 1)}], "positive": [False, True]}
    search = GridSearchCV(GradientLinearRegressor(), grid, cv=2).fit(*diabetes)
    assert len(np.unique(search.cv_results_["mean_test_score"].round(6))) == 4
