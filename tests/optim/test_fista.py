"""FISTA against scikit-learn's coordinate descent and the conditions of a minimum."""

import numpy as np
import pytest
from optim.objectives import least_squares, logistic
from scipy import optimize
from sklearn.linear_model import Lasso, LogisticRegression

from skgrad.exceptions import ParameterError, ShapeError
from skgrad.optim import FISTA, L1, LBFGS, GroupL1, MinimizeStatus


def make_rows(rng, correlated, n=200, p=40):
    X = rng.normal(size=(n, p)) + 3 * correlated * rng.normal(size=(n, 1))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    w = np.where(np.arange(p) < 8, rng.normal(size=p), 0.0)
    return X, X @ w + 0.3 * rng.normal(size=n)


@pytest.mark.parametrize("correlated", [False, True])
@pytest.mark.parametrize("alpha", [0.3, 0.01])
def test_lasso(rng, correlated, alpha):
    X, y = make_rows(rng, correlated)
    result = FISTA(max_iter=5000, tol=1e-11).minimize(
        least_squares(X, y), np.zeros(40), penalty=L1(alpha)
    )
    reference = Lasso(
        alpha, fit_intercept=False, tol=1e-14, max_iter=10**5, random_state=0
    )
    expected = reference.fit(X, y)
    assert result.status == MinimizeStatus.CONVERGED
    np.testing.assert_allclose(result.x, expected.coef_, atol=1e-8)
    np.testing.assert_array_equal(result.x == 0, expected.coef_ == 0)
    value = least_squares(X, y)(result.x)[0] + alpha * np.abs(result.x).sum()
    np.testing.assert_allclose(result.fun, value, rtol=1e-14)


def test_sparse_logistic_regression(rng):
    X, y = make_rows(rng, correlated=False)
    labels = (y > 0).astype(float)
    result = FISTA(tol=1e-10).minimize(
        logistic(X, labels), np.zeros(40), penalty=L1(0.02)
    )
    reference = LogisticRegression(
        C=1 / (0.02 * len(y)),
        l1_ratio=1.0,
        solver="saga",
        fit_intercept=False,
        tol=1e-11,
        max_iter=10**5,
        random_state=0,
    )
    coef = reference.fit(X, labels).coef_[0]
    np.testing.assert_allclose(result.x, coef, atol=1e-7)
    np.testing.assert_array_equal(result.x == 0, coef == 0)


def test_group_lasso_meets_the_conditions_of_a_minimum(rng):
    X, y = make_rows(rng, correlated=False)
    groups = np.repeat(np.arange(10), 4)
    groups[-4:] = -1
    rates = np.linspace(0.1, 0.5, 9)
    fun = least_squares(X, y)
    result = FISTA(tol=1e-12).minimize(fun, np.ones(40), penalty=GroupL1(rates, groups))
    assert result.success
    zero = []
    for g, rate in enumerate(rates):
        x, slope = result.x[groups == g], result.jac[groups == g]
        if not x.any():
            zero.append(g)
            assert np.linalg.norm(slope) <= rate
        else:
            np.testing.assert_allclose(slope, -rate * x / np.linalg.norm(x), atol=1e-10)
    np.testing.assert_allclose(result.jac[groups == -1], 0.0, atol=1e-11)
    assert 0 < len(zero) < 9


def test_non_negative_least_squares(rng):
    X, y = make_rows(rng, correlated=False)
    fun, bounds = least_squares(X, y), [(0, None)] * 40
    found = FISTA(tol=1e-12).minimize(fun, -np.ones(40), bounds=bounds).x
    expected, _ = optimize.nnls(X, y)
    np.testing.assert_allclose(found, expected, atol=1e-10)
    np.testing.assert_array_equal(found == 0, expected == 0)


def test_a_penalty_within_bounds(rng):
    """With non-negative coefficients the penalty is linear, so L-BFGS-B can do it."""
    X, y = make_rows(rng, correlated=False)
    fun, bounds = least_squares(X, y), optimize.Bounds(0, 0.4)

    def penalised(x):
        value, gradient = fun(x)
        return value + 0.1 * x.sum(), gradient + 0.1

    found = FISTA(tol=1e-11).minimize(fun, np.zeros(40), bounds=bounds, penalty=L1(0.1))
    expected = LBFGS(tol=1e-11).minimize(penalised, np.zeros(40), bounds=bounds)
    np.testing.assert_allclose(found.x, expected.x, atol=1e-9)
    assert {0.0, 0.4} <= set(found.x)


def test_momentum_saves_iterations(rng):
    """Without it the error falls by the condition number, here 1e4, not its root."""
    d = np.geomspace(1, 1e4, 30)
    fun = least_squares(np.diag(np.sqrt(30 * d)), np.ones(30))
    result = FISTA(max_iter=5000, tol=1e-6).minimize(fun, np.zeros(30))
    assert result.status == MinimizeStatus.CONVERGED
    assert result.nit < 1500


def test_the_value_never_rises(rng):
    X, y = make_rows(rng, correlated=True)
    seen = []
    FISTA().minimize(
        least_squares(X, y),
        np.zeros(40),
        lambda x, value, norm, nit: seen.append(value),
        penalty=L1(0.05),
    )
    assert np.all(np.diff(seen) <= 1e-14 * seen[0])


def test_bounds_with_a_penalty_that_couples_parameters():
    with pytest.raises(ParameterError, match="cannot combine bounds with GroupL1"):
        FISTA().minimize(
            lambda x: (x @ x, 2 * x),
            np.ones(2),
            bounds=[(0, 1)] * 2,
            penalty=GroupL1(1.0, [0, 0]),
        )


def test_a_number_is_no_penalty():
    with pytest.raises(ParameterError, match=r"such as optim.L1\(0.1\). Got 0.3"):
        FISTA().minimize(lambda x: (x @ x, x), np.ones(2), penalty=0.3)


def test_a_penalty_of_another_size():
    with pytest.raises(ShapeError, match="'rate' of L1"):
        FISTA().minimize(lambda x: (x @ x, x), np.ones(2), penalty=L1(np.ones(3)))
