"""Criteria against their differences, and their minima against SciPy's."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import gammaln

from skgrad.solvers import (
    FixedScale,
    FreeScale,
    GammaScale,
    LossSums,
    SmoothnessProblem,
    minimize_penalized,
)

N, P = 120, 9
RNG = np.random.default_rng(0)
Z = np.column_stack([np.ones(N), RNG.normal(size=(N, P - 1))])
PENALTIES = np.zeros((3, P))
PENALTIES[0, 2:5] = RNG.uniform(0.5, 2, 3)
PENALTIES[1, 5:] = RNG.uniform(0.5, 2, P - 5)
PENALTIES[2, 6:] = RNG.uniform(0.5, 2, P - 6)  # overlaps, as those of tensor products
RAW = Z @ RNG.normal(scale=0.4, size=P)


class Rows:
    """Sums over rows, from the loss of a row and its derivatives."""

    def __init__(self, *functions):
        self.functions = functions

    def sums(self, coef):
        loss, slope, second, _ = (f(Z @ coef) for f in self.functions)
        return LossSums(float(loss.sum()), Z.T @ slope, Z.T * second @ Z)

    def third(self, coef, weight):
        bend = self.functions[3](Z @ coef) * np.ones(N)
        return Z.T @ (bend * np.einsum("ij,jk,ik->i", Z, weight, Z))


def problem(family):
    if family == "poisson":
        y = RNG.poisson(np.exp(RAW)).astype(float)
        exp = np.exp
        rows = Rows(lambda f: exp(f) - y * f, lambda f: exp(f) - y, exp, exp)
        return SmoothnessProblem(rows, PENALTIES, lambda fit: FixedScale(1.0))
    if family == "gamma":
        y = RNG.gamma(2, np.exp(RAW) / 2)

        def ratio(f):
            return y * np.exp(-f)

        rows = Rows(
            lambda f: f + ratio(f), lambda f: 1 - ratio(f), ratio, lambda f: -ratio(f)
        )
        perfect = float((1 + np.log(y)).sum())
        scale = GammaScale(N, 1e-9)
        return SmoothnessProblem(rows, PENALTIES, lambda fit: scale, perfect)
    y = RAW + RNG.normal(size=N)
    rows = Rows(
        lambda f: (f - y) ** 2 / 2, lambda f: f - y, np.ones_like, np.zeros_like
    )
    scale = FreeScale(N, 1e-9)
    return SmoothnessProblem(rows, PENALTIES, lambda fit: scale, 0.0, True)


def value(given, criterion, log):
    """Return the criterion from determinants and traces of whole matrices."""
    smoothing = np.exp(log)
    fit = minimize_penalized(given.rows, smoothing @ PENALTIES, np.zeros(P), 1e-14)
    S = np.diag(smoothing @ PENALTIES)
    H = fit.sums.hessian
    scale = given.scale(fit)
    deviance = 2 * (fit.sums.loss - given.saturated)
    if criterion == "gcv":
        edf = np.trace(np.linalg.solve(H + S, H))
        if isinstance(scale, FixedScale):
            return deviance / 2 + edf
        return N / 2 * np.log(deviance / (N - edf) ** 2)
    free = 2
    deviance += fit.coef @ S @ fit.coef
    volume = np.linalg.slogdet(H + S)[1] - np.log(np.diagonal(S)[free:]).sum()
    if isinstance(scale, FixedScale):
        return deviance / 2 + volume / 2
    if isinstance(scale, GammaScale):

        def likelihood(log_phi):
            shape = np.exp(-log_phi[0])
            perfect = N * (shape * np.log(shape) - shape - gammaln(shape))
            return deviance * shape / 2 - perfect - free / 2 * log_phi[0]

        return minimize(likelihood, [0.0], tol=1e-12).fun + volume / 2
    return (N - free) / 2 * np.log(deviance) + volume / 2


@pytest.mark.parametrize("criterion", ["reml", "gcv"])
@pytest.mark.parametrize("family", ["normal", "poisson", "gamma"])
def test_is_the_minimum_of_the_criterion(family, criterion):
    given = problem(family)
    found = given.select(criterion, np.zeros(P))
    assert found.converged
    log = np.log(found.smoothing)
    least = value(given, criterion, log)
    for step in 1e-2 * np.vstack([np.eye(3), -np.eye(3)]):
        assert value(given, criterion, log + step) > least - 1e-7
    other = minimize(
        lambda log: value(given, criterion, log), np.zeros(3), method="Nelder-Mead"
    )
    assert least <= other.fun + 1e-3


@pytest.mark.parametrize("scale", [FreeScale(50, 1e-9), GammaScale(50, 1e-9)])
def test_derivatives_of_profiles(scale):
    step = 1e-4
    low, middle, high = (scale.profile(30 + d, 3) for d in (-step, 0, step))
    assert middle.slope == pytest.approx((high.value - low.value) / 2 / step, rel=1e-6)
    curvature = (high.slope - low.slope) / 2 / step
    assert middle.curvature == pytest.approx(curvature, rel=1e-5)


def test_given_smoothing_parameters():
    given = problem("poisson")
    found = given.fixed(np.array([1.0, 2.0, 3.0]), np.zeros(P))
    ridge = np.array([1.0, 2.0, 3.0]) @ PENALTIES
    expected = minimize_penalized(given.rows, ridge, np.zeros(P)).coef
    np.testing.assert_allclose(found.fit.coef, expected, atol=1e-6)
    assert np.isnan(found.criterion)
    assert found.phi == 1


def test_without_penalties_there_is_nothing_to_choose():
    given = problem("normal")
    bare = SmoothnessProblem(given.rows, np.empty((0, P)), given.scale, 0.0, True)
    found = bare.select("reml", np.zeros(P))
    assert found.converged
    assert found.smoothing.shape == (0,)
    assert found.fit.edf.sum() == pytest.approx(P)


def test_a_fit_without_error_ends_early():
    y = Z @ np.arange(1.0, P + 1)
    rows = Rows(
        lambda f: (f - y) ** 2 / 2, lambda f: f - y, np.ones_like, np.zeros_like
    )
    given = SmoothnessProblem(
        rows, 1e-9 * PENALTIES, lambda fit: FreeScale(N, 1e-12), 0.0, True
    )
    found = given.select("reml", np.zeros(P), max_iter=50)
    assert found.perfect or found.converged
    np.testing.assert_allclose(found.fit.coef, np.arange(1.0, P + 1), rtol=1e-4)
