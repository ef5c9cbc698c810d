"""Splines against SciPy's, and their penalties against integrals."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.interpolate import BSpline, make_lsq_spline

from skgrad.estimators.additive_basis import breakpoints, spline_basis
from skgrad.exceptions import ParameterError

BREAKS = np.array([2.0, 2.5, 4.0, 5.0, 7.0])


def test_functions_span_the_cubic_splines():
    basis = spline_basis(BREAKS, "curvature")
    x = np.linspace(2, 7, 40)
    y = np.sin(3 * x)
    knots = np.concatenate([[2.0] * 3, BREAKS, [7.0] * 3])
    expected = make_lsq_spline(x, y, knots)(x)
    fitted = basis(x) @ np.linalg.lstsq(basis(x), y)[0]
    np.testing.assert_allclose(fitted, expected, atol=1e-10)


def test_penalty_is_the_integral_of_the_squared_second_derivative():
    basis = spline_basis(BREAKS, "curvature")
    rng = np.random.default_rng(0)
    coef = rng.normal(size=len(basis.penalty))
    second = BSpline(basis.knots, basis.turn @ coef, 3).derivative(2)
    inner = (BREAKS - 2) / 5
    pieces = pairwise(inner)
    expected = sum(quad(lambda u: second(u) ** 2, *ends)[0] for ends in pieces)
    assert basis.penalty @ coef**2 == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("penalty", ["curvature", "difference"])
def test_the_first_functions_are_a_constant_and_a_line(penalty):
    breaks = np.linspace(2, 7, 5) if penalty == "difference" else BREAKS
    basis = spline_basis(breaks, penalty)
    x = np.linspace(0, 9, 50)  # beyond the ends too
    first = basis(x)[:, :2]
    np.testing.assert_allclose(first[:, 0], first[0, 0])
    np.testing.assert_allclose(np.diff(first[:, 1], n=2), 0, atol=1e-12)
    np.testing.assert_array_equal(basis.penalty[:2], 0)
    assert (basis.penalty[2:] > 0).all()
    np.testing.assert_allclose(basis.turn.T @ basis.turn, np.eye(7), atol=1e-12)


def test_difference_penalty():
    basis = spline_basis(np.linspace(0, 1, 5), "difference")
    coef = np.random.default_rng(0).normal(size=7)
    expected = (np.diff(basis.turn @ coef, n=2) ** 2).sum()
    assert basis.penalty @ coef**2 == pytest.approx(expected)


def test_breakpoints():
    values = np.array([0.0, 1.0, 2.0, 10.0, 20.0])
    assert breakpoints(values, 2, "uniform").tolist() == [0, 10, 20]
    assert breakpoints(values, 2, "quantile").tolist() == [0, 2, 20]
    assert breakpoints(values, 2, (0, 5)).tolist() == [0, 5]
    with pytest.raises(ParameterError, match="must increase"):
        spline_basis(np.array([0.0, 1.0, 1.0]), "curvature")
