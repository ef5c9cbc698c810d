"""Proximal Newton against scikit-learn, SciPy and the conditions of a minimum."""

import numpy as np
import pytest
from optim.objectives import huber, least_squares, logistic
from optim.test_fista import make_rows
from scipy import optimize
from sklearn.linear_model import ElasticNet, LogisticRegression

from skgrad.exceptions import ParameterError
from skgrad.optim import (
    FISTA,
    L1,
    GroupL1,
    MinimizeStatus,
    Newton,
    ProximalNewton,
)
from skgrad.optim.curvature import BlockDiagonal

CORRELATED = pytest.mark.parametrize("correlated", [False, True])


@CORRELATED
@pytest.mark.parametrize("alpha", [0.3, 0.01, 1e-4])
def test_lasso_in_one_iteration(rng, correlated, alpha):
    X, y = make_rows(rng, correlated)
    fun = least_squares(X, y)
    result = ProximalNewton(tol=1e-11).minimize(
        fun, np.zeros(40), penalty=L1(alpha), quadratic=True
    )
    reference = ElasticNet(
        alpha=alpha, l1_ratio=1.0, fit_intercept=False, tol=1e-14, max_iter=10**6
    )
    expected = reference.set_params(random_state=0).fit(X, y).coef_
    assert result.status == MinimizeStatus.CONVERGED
    assert (result.nit, result.nhev) == (1, 1)
    np.testing.assert_allclose(result.x, expected, atol=1e-8)
    np.testing.assert_array_equal(result.x == 0, expected == 0)
    # The conditions of a minimum hold to the last digits.
    slope = result.jac
    on = result.x != 0
    np.testing.assert_allclose(slope[on], -alpha * np.sign(result.x[on]), atol=1e-13)
    assert (np.abs(slope[~on]) <= alpha).all()
    value = fun(result.x)[0] + alpha * np.abs(result.x).sum()
    np.testing.assert_allclose(result.fun, value, rtol=1e-14)


def test_rates_of_their_own(rng):
    X, y = make_rows(rng, correlated=False)
    rates = np.where(np.arange(40) % 2, 0.2, 0.0)
    result = ProximalNewton().minimize(
        least_squares(X, y), np.zeros(40), penalty=L1(rates)
    )
    assert result.success
    np.testing.assert_allclose(result.jac[::2], 0.0, atol=1e-12)
    assert (np.abs(result.jac[1::2]) <= 0.2 + 1e-12).all()
    assert 0 < (result.x[1::2] == 0).sum() < 20


@CORRELATED
def test_sparse_logistic_regression(rng, correlated):
    X, y = make_rows(rng, correlated)
    labels = (y > 0).astype(float)
    fun, penalty = logistic(X, labels), L1(0.02)
    result = ProximalNewton(tol=1e-12).minimize(fun, np.zeros(40), penalty=penalty)
    slow = FISTA(max_iter=20_000, tol=1e-12).minimize(
        fun, np.zeros(40), penalty=penalty
    )
    assert result.success
    assert result.nit < 15
    assert result.fun <= slow.fun + 1e-15
    np.testing.assert_allclose(result.x, slow.x, atol=1e-9)
    np.testing.assert_array_equal(result.x == 0, slow.x == 0)
    if not correlated:
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


@CORRELATED
def test_non_negative_and_bounded_least_squares(rng, correlated):
    X, y = make_rows(rng, correlated)
    fun = least_squares(X, y)
    result = ProximalNewton(tol=1e-12).minimize(
        fun, np.zeros(40), bounds=[(0, None)] * 40, quadratic=True
    )
    np.testing.assert_allclose(result.x, optimize.nnls(X, y)[0], atol=1e-11)
    bounds = optimize.Bounds(-0.1, rng.uniform(0, 0.5, 40))
    result = ProximalNewton(tol=1e-12).minimize(fun, np.ones(40), bounds=bounds)
    expected = optimize.lsq_linear(X, y, (bounds.lb, bounds.ub), method="bvls")
    np.testing.assert_allclose(result.x, expected.x, atol=1e-10)
    assert ((result.x >= bounds.lb) & (result.x <= bounds.ub)).all()


def test_penalty_and_bounds_together(rng):
    X, y = make_rows(rng, correlated=True)
    fun, bounds, penalty = least_squares(X, y), [(0, 0.3)] * 40, L1(0.05)
    both = {"bounds": bounds, "penalty": penalty}
    result = ProximalNewton(tol=1e-12).minimize(fun, np.zeros(40), **both)
    slow = FISTA(max_iter=20_000, tol=1e-12).minimize(fun, np.zeros(40), **both)
    np.testing.assert_allclose(result.x, slow.x, atol=1e-9)


def test_neither_is_newton(rng):
    X, y = make_rows(rng, correlated=True)
    fun = logistic(X, (y > 0).astype(float), alpha=0.1)
    result = ProximalNewton(tol=1e-12).minimize(fun, np.zeros(40))
    expected = Newton(tol=1e-12).minimize(fun, np.zeros(40))
    np.testing.assert_allclose(result.x, expected.x, atol=1e-11)


def test_steps_that_go_too_far_are_shortened(rng):
    X, y = make_rows(rng, correlated=False)
    fun = huber(X, 50 * y, delta=0.1)
    result = ProximalNewton(tol=1e-10, max_iter=500).minimize(
        fun, np.zeros(40), penalty=L1(1e-3)
    )
    slow = FISTA(max_iter=20_000, tol=1e-10).minimize(
        fun, np.zeros(40), penalty=L1(1e-3)
    )
    assert result.fun <= slow.fun + 1e-9


def test_blocks_are_solved_by_themselves(rng):
    X, y = make_rows(rng, correlated=True, p=10)
    other = np.roll(y, 1)
    index = np.arange(20).reshape(2, 10)[::-1].copy()
    first, second = least_squares(X, y), least_squares(X, other)

    def fun(x, hessian=False):
        values = [first(x[index[0]], hessian), second(x[index[1]], hessian)]
        gradient = np.empty(20)
        gradient[index[0]], gradient[index[1]] = values[0][1], values[1][1]
        whole = values[0][0] + values[1][0], gradient
        if not hessian:
            return whole
        return (*whole, BlockDiagonal(values[0][2][np.newaxis], index))

    result = ProximalNewton(tol=1e-12).minimize(fun, np.zeros(20), penalty=L1(0.05))
    for rows, part in zip((first, second), index, strict=True):
        alone = ProximalNewton(tol=1e-12).minimize(rows, np.zeros(10), penalty=L1(0.05))
        np.testing.assert_allclose(result.x[part], alone.x, atol=1e-13)


def test_dependent_columns(rng):
    X, y = make_rows(rng, correlated=False, p=5)
    X = np.column_stack([X, X[:, :2], np.zeros(len(X))])
    fun = least_squares(X, y)
    result = ProximalNewton(tol=1e-9).minimize(fun, np.zeros(8), penalty=L1(0.1))
    expected = ProximalNewton(tol=1e-12).minimize(
        least_squares(X[:, :5], y), np.zeros(5), penalty=L1(0.1)
    )
    assert result.success
    assert result.fun == pytest.approx(expected.fun, rel=1e-12)
    assert result.x[-1] == 0


def test_other_penalties_are_refused():
    fun = least_squares(np.eye(2), np.ones(2))
    with pytest.raises(ParameterError, match=r"takes the penalty L1\. Got GroupL1"):
        ProximalNewton().minimize(fun, np.zeros(2), penalty=GroupL1(1.0, [0, 0]))
