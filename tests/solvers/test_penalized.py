"""Newton's method with quadratic penalties."""

import numpy as np
import pytest
from scipy.optimize import minimize

from skgrad.exceptions import SolverError
from skgrad.solvers import LossSums, PenalizedFit, minimize_penalized

RNG = np.random.default_rng(0)
Z = np.column_stack([np.ones(80), RNG.normal(size=(80, 4))])
COUNTS = RNG.poisson(np.exp(Z @ [1.0, 0.5, -0.5, 0.2, 0.0])).astype(float)


class Poisson:
    """Sums of exp(f) - y f."""

    def sums(self, coef):
        raw = Z @ coef
        rate = np.exp(raw)
        gradient = Z.T @ (rate - COUNTS)
        return LossSums(float((rate - COUNTS * raw).sum()), gradient, Z.T * rate @ Z)


def test_is_the_minimum_scipy_finds():
    ridge = np.array([0.0, 1.0, 10.0, 1e3, 1e9])
    fit = minimize_penalized(Poisson(), ridge, np.zeros(5))

    def objective(coef):
        return Poisson().sums(coef).loss + ridge @ coef**2 / 2

    expected = minimize(objective, np.zeros(5), tol=1e-12)
    assert fit.objective <= expected.fun + 1e-9
    np.testing.assert_allclose(fit.coef, expected.x, atol=1e-4)
    assert fit.penalty == pytest.approx(ridge @ fit.coef**2)


def test_what_follows_from_the_hessian():
    ridge = np.array([0.0, 1.0, 10.0, 1e3, 1e12])
    fit = minimize_penalized(Poisson(), ridge, np.zeros(5))
    H = fit.sums.hessian
    A = H + np.diag(ridge)
    np.testing.assert_allclose(fit.inverse @ A, np.eye(5), atol=1e-8)
    np.testing.assert_allclose(fit.shrunken, np.linalg.solve(A, H), atol=1e-8)
    np.testing.assert_allclose(fit.edf, np.diagonal(fit.shrunken), atol=1e-8)
    assert fit.log_determinant == pytest.approx(np.linalg.slogdet(A)[1])


def test_starts_far_away():
    far = minimize_penalized(Poisson(), np.zeros(5), np.full(5, -6.0))
    near = minimize_penalized(Poisson(), np.zeros(5), np.zeros(5))
    np.testing.assert_allclose(far.coef, near.coef, atol=1e-6)


def test_a_singular_hessian_is_damped():
    sums = LossSums(1.0, np.array([1.0, 1.0]), np.ones((2, 2)))
    step, _ = PenalizedFit(np.zeros(2), sums, np.zeros(2)).newton_step()
    np.testing.assert_allclose(step, -0.5, rtol=1e-6)


def test_few_rows_with_curvature():
    """Huber's loss far from the targets: Newton steps are far too long."""
    y = 200 * Z @ [1.0, 0.5, -0.5, 0.2, 0.0] + RNG.normal(size=80)

    class Huber:
        def sums(self, coef):
            r = Z @ coef - y
            inside = np.abs(r) < 1
            loss = np.where(inside, r**2 / 2, np.abs(r) - 0.5)
            return LossSums(
                loss.sum(), Z.T @ np.clip(r, -1, 1), Z.T * inside.astype(float) @ Z
            )

    near = np.array([195.0, 98.0, -98.0, 39.0, 1.0])
    assert np.trace(Huber().sums(near).hessian) < 100
    fit = minimize_penalized(Huber(), np.zeros(5), near)
    assert fit.settled
    np.testing.assert_allclose(fit.coef, [200, 100, -100, 40, 0], atol=1)
    with pytest.raises(SolverError, match="No row has a prediction"):
        minimize_penalized(Huber(), np.zeros(5), np.full(5, 1e6))


def test_what_is_not_finite_is_an_error():
    quiet = np.errstate(over="ignore", invalid="ignore")
    with quiet, pytest.raises(SolverError, match="at the first coefficients"):
        minimize_penalized(Poisson(), np.zeros(5), np.full(5, 1e4))
