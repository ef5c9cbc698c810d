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
    taken = {"auto": "LBFGS", "fista": "FISTA"}[optimizer]
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
