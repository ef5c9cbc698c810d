"""Coordinate descent against scikit-learn, quasi-Newton methods and conditions."""

import sys

import numpy as np
import pytest
import scipy
from sklearn.linear_model import ElasticNet

from skgrad.optim import gram_descent as module
from skgrad.optim.gram_descent import minimize_gram


@pytest.fixture(params=["Python", pytest.param("compiled", marks=pytest.mark.long)])
def loop(request, monkeypatch):
    """Choose one of the loops, whatever the size."""
    least = {"Python": sys.maxsize, "compiled": 0}[request.param]
    monkeypatch.setattr(module, "COMPILED_FROM", least)


pytestmark = pytest.mark.usefixtures("loop")


def correlated(rng, n=80, k=12, rho=0.9):
    """Return X and y, neighbours among the columns being correlated."""
    root = np.linalg.cholesky(scipy.linalg.toeplitz(rho ** np.arange(k)))
    X = rng.normal(size=(n, k)) @ root.T
    y = X[:, ::3] @ rng.normal(size=len(range(0, k, 3))) + rng.normal(size=n)
    return X, y


def gram(X, y):
    n = len(X)
    return np.ascontiguousarray(X.T @ X) / n, X.T @ y / n


def unbounded(k):
    return np.full(k, -np.inf), np.full(k, np.inf)


def violation(minimum, l1, low, high):
    """Return how far the gradient is from the subgradients of the rest."""
    b, s = minimum.coef, minimum.gradient
    assert ((low <= b) & (b <= high)).all()
    least = np.where(b > 0, l1, -l1)  # of subgradients of l1 |b|
    largest = np.where(b < 0, -l1, l1)
    least = np.where(b == low, -np.inf, least)
    largest = np.where(b == high, np.inf, largest)
    return np.maximum(least - s, s - largest).max(initial=0.0)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.01])
@pytest.mark.parametrize("alpha", [1.0, 0.1, 1e-3])
def test_elastic_net_of_scikit_learn(alpha, l1_ratio, rng):
    X, y = correlated(rng)
    net = ElasticNet(
        alpha=alpha,
        l1_ratio=l1_ratio,
        fit_intercept=False,
        tol=1e-15,
        max_iter=10**6,
        random_state=0,
    ).fit(X, y)
    G, c = gram(X, y)
    G += alpha * (1 - l1_ratio) * np.eye(12)
    l1 = np.full(12, alpha * l1_ratio)
    minimum = minimize_gram(
        G, c, l1, *unbounded(12), np.zeros(12), tol=1e-24, max_sweeps=10_000
    )
    assert minimum.converged
    np.testing.assert_allclose(minimum.coef, net.coef_, rtol=0, atol=1e-10)
    np.testing.assert_allclose(minimum.gradient, c - G @ minimum.coef, atol=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_bounds_and_single_penalties_by_quasi_newton(seed):
    rng = np.random.default_rng(seed)
    k = 15
    G, c = gram(*correlated(rng, k=k, rho=0.6))
    l1 = rng.uniform(0.0, 0.2, k) * (rng.uniform(size=k) < 0.7)
    low, high = rng.uniform(-0.5, 0.1, k), rng.uniform(0.1, 0.5, k)
    low[::5], high[1::5] = -np.inf, np.inf
    minimum = minimize_gram(G, c, l1, low, high, np.zeros(k), tol=1e-26, max_sweeps=999)
    assert minimum.converged
    assert violation(minimum, l1, low, high) < 1e-12

    def objective(uv):  # b = u - v, and u v = 0 where it pays
        b = uv[:k] - uv[k:]
        value = 0.5 * b @ G @ b - c @ b + l1 @ (uv[:k] + uv[k:])
        return value, np.concatenate([G @ b - c + l1, c - G @ b + l1])

    bounds = [*zip(np.maximum(low, 0), high, strict=True)]
    bounds += [*zip(np.maximum(-high, 0), np.maximum(-low, 0), strict=True)]
    options = {"maxiter": 10_000, "ftol": 1e-16, "gtol": 1e-10}
    peer = scipy.optimize.minimize(
        objective,
        [np.clip(0.0, *bound) for bound in bounds],
        jac=True,
        bounds=bounds,
        options=options,
    )
    b = minimum.coef
    reached = 0.5 * b @ G @ b - c @ b + l1 @ np.abs(b)
    assert reached <= peer.fun + 1e-14
    np.testing.assert_allclose(b, peer.x[:k] - peer.x[k:], rtol=0, atol=1e-6)


def test_no_penalty_solves_the_system(rng):
    G, c = gram(*correlated(rng))
    zero = np.zeros(12)
    minimum = minimize_gram(
        G, c, zero, *unbounded(12), zero, tol=1e-26, max_sweeps=9999
    )
    assert minimum.converged
    np.testing.assert_allclose(minimum.coef, np.linalg.solve(G, c), rtol=1e-10)
    assert not zero.any()


def test_penalties_above_every_slope_leave_zeros(rng):
    G, c = gram(*correlated(rng))
    l1 = np.full(12, np.abs(c).max())
    zero = np.zeros(12)
    minimum = minimize_gram(G, c, l1, *unbounded(12), zero, tol=1e-20, max_sweeps=5)
    assert minimum.n_sweeps == 1
    assert minimum.converged
    np.testing.assert_array_equal(minimum.coef, zero)
    np.testing.assert_array_equal(minimum.gradient, c)


def test_sign_constraints_by_least_squares(rng):
    X, y = correlated(rng)
    G, c = gram(X, y)
    zero, infinite = np.zeros(12), np.full(12, np.inf)
    minimum = minimize_gram(G, c, zero, zero, infinite, zero, tol=1e-26, max_sweeps=999)
    expected, _ = scipy.optimize.nnls(X, y)
    np.testing.assert_allclose(minimum.coef, expected, rtol=0, atol=1e-10)


def test_without_curvature_a_coefficient_stays(rng):
    X, y = correlated(rng)
    X[:, [0, 5]] = 0.0
    G, c = gram(X, y)
    start = np.zeros(12)
    start[5] = 3.0
    l1 = np.full(12, 0.05)
    minimum = minimize_gram(G, c, l1, *unbounded(12), start, tol=1e-24, max_sweeps=9999)
    assert minimum.converged
    assert minimum.coef[0] == 0.0
    assert minimum.coef[5] == 3.0
    others = np.delete(np.arange(12), [0, 5])
    left = minimum._replace(
        coef=minimum.coef[others], gradient=minimum.gradient[others]
    )
    assert violation(left, l1[others], *unbounded(10)) < 1e-11


def test_start_at_the_minimum_needs_one_sweep(rng):
    G, c = gram(*correlated(rng))
    l1, bounds = np.full(12, 0.05), unbounded(12)
    options = {"tol": 1e-20, "max_sweeps": 9999}
    first = minimize_gram(G, c, l1, *bounds, np.zeros(12), **options)
    again = minimize_gram(G, c, l1, *bounds, first.coef, **options)
    assert first.n_sweeps > 1
    assert again.n_sweeps == 1
    assert again.converged
    np.testing.assert_allclose(again.coef, first.coef, rtol=0, atol=1e-9)


def test_start_outside_of_the_bounds(rng):
    G, c = gram(*correlated(rng))
    l1, low, high = np.full(12, 0.05), np.full(12, -0.2), np.full(12, 0.3)
    options = {"tol": 1e-26, "max_sweeps": 9999}
    start = 5.0 * rng.normal(size=12)
    outside = minimize_gram(G, c, l1, low, high, start, **options)
    inside = minimize_gram(G, c, l1, low, high, np.zeros(12), **options)
    np.testing.assert_allclose(outside.coef, inside.coef, rtol=0, atol=1e-11)
    assert violation(outside, l1, low, high) < 1e-12


def slow(rng):
    """Return a problem whose coefficients settle in thousands of sweeps."""
    G, c = gram(*correlated(rng, n=60, k=30, rho=0.999))
    return G, c, np.full(30, 1e-5)


def test_slow_sweeps_are_cut_short(rng, monkeypatch):
    G, c, l1 = slow(rng)
    problem = (G, c, l1, *unbounded(30), np.zeros(30))
    minimum = minimize_gram(*problem, tol=1e-22, max_sweeps=5000)
    assert minimum.converged
    assert violation(minimum, l1, *unbounded(30)) < 1e-10
    monkeypatch.setattr(module, "PATIENCE", sys.maxsize)
    assert not minimize_gram(*problem, tol=1e-22, max_sweeps=5000).converged


@pytest.mark.parametrize("n", [1, 5, 29])
def test_dependent_columns(n, rng):
    X, y = correlated(rng, n=n, k=30)
    X = np.concatenate([X, X[:, :3]], axis=1)
    G, c = gram(X, y)
    low, high = unbounded(33)
    low[::4] = -0.1
    l1 = np.full(33, 1e-3 * np.abs(c).max())
    minimum = minimize_gram(
        G, c, l1, low, high, np.zeros(33), tol=1e-18, max_sweeps=5000
    )
    assert minimum.converged
    assert violation(minimum, l1, low, high) < 1e-7 * np.abs(c).max()


@pytest.mark.parametrize("max_sweeps", [1, 2, 3, 33, 40])
def test_sweeps_are_limited(max_sweeps, rng):
    G, c, l1 = slow(rng)
    minimum = minimize_gram(
        G, c, l1, *unbounded(30), np.zeros(30), tol=1e-24, max_sweeps=max_sweeps
    )
    assert not minimum.converged
    assert minimum.n_sweeps == max_sweeps
    np.testing.assert_allclose(minimum.gradient, c - G @ minimum.coef, atol=1e-12)


def test_objective_falls_with_every_sweep_and_step(rng):
    G, c, l1 = slow(rng)
    values = []
    for max_sweeps in range(1, 120, 3):
        b = minimize_gram(
            G, c, l1, *unbounded(30), np.zeros(30), tol=1e-24, max_sweeps=max_sweeps
        ).coef
        values.append(0.5 * b @ G @ b - c @ b + l1 @ np.abs(b))
    assert (np.diff(values) <= 1e-13).all()


def test_not_a_number_has_not_converged(rng):
    G, c = gram(*correlated(rng))
    c[3] = np.nan
    start = np.zeros(12)
    minimum = minimize_gram(
        G, c, start, *unbounded(12), start, tol=1e-8, max_sweeps=1000
    )
    assert not minimum.converged


def test_no_coefficient():
    none = np.zeros(0)
    minimum = minimize_gram(
        np.zeros((0, 0)), none, none, none, none, none, tol=0.0, max_sweeps=1
    )
    assert minimum.converged
    assert minimum.n_sweeps == 1
