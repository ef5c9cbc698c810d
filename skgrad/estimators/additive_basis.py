"""Cubic B-splines in coordinates in which their penalty is diagonal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import BSpline
from scipy.linalg import eigh, qr

from skgrad.exceptions import ParameterError
from skgrad.typing import Array

__all__ = ["DEGREE", "PENALTIES", "SplineBasis", "breakpoints", "spline_basis"]

DEGREE = 3
PENALTIES = ("curvature", "difference")
# Gauss-Legendre points that integrate a product of two straight pieces exactly.
POINTS = np.array([-1.0, 1.0]) / np.sqrt(3.0)


@dataclass(frozen=True, eq=False)
class SplineBasis:
    """k functions of one feature: a constant, a straight line and curves.

    Parameters
    ----------
    low, width : float
        The feature is scaled to ``u = (x - low) / width``, in [0, 1] between the outer
        breakpoints; beyond them functions go on straight.
    knots : array of shape (k + 4,)
        Knots of the B-splines, in u.
    turn : array of shape (k, k)
        Orthogonal: B-spline coefficients of each function.
    penalty : array of shape (k,)
        The penalty of each function, ascending; 0 for the first two.
    """

    low: float
    width: float
    knots: Array
    turn: Array
    penalty: Array

    def __call__(self, x: Array) -> Array:
        """Return the functions at values of the feature, (n, k)."""
        u = (x - self.low) / self.width
        inside = np.clip(u, 0.0, 1.0)
        values = np.asarray(BSpline(self.knots, self.turn, DEGREE)(inside))
        beyond = np.flatnonzero(u != inside)
        if beyond.size:
            ends = np.array([0.0, 1.0])
            slopes = _derivatives(ends, self.knots, 1) @ self.turn
            upper = (u[beyond] > 1).astype(int)
            values[beyond] += (u - inside)[beyond, None] * slopes[upper]
        return values

    def grid(self, n: int) -> Array:
        """Return values of the feature between the outer breakpoints."""
        return np.linspace(self.low, self.low + self.width, n)


def breakpoints(values: Array, n_pieces: int, knots: Any) -> Array:
    """Return where the pieces of a spline meet, ends included.

    Parameters
    ----------
    values : array
        Distinct values of the feature, ascending.
    n_pieces : int
        Number of pieces.
    knots : {"quantile", "uniform"} or sequence of float
        "quantile" has as many distinct values in each piece, "uniform" makes them of
        equal length; or the breakpoints themselves.

    Returns
    -------
    array of shape (n_pieces + 1,)
        Increasing.
    """
    if not isinstance(knots, str):
        return np.asarray(knots, dtype=np.float64)
    if knots == "uniform":
        return np.linspace(values[0], values[-1], n_pieces + 1)
    return np.quantile(values, np.linspace(0, 1, n_pieces + 1))


def spline_basis(breaks: Array, penalty: str) -> SplineBasis:
    """Return the basis of the cubic splines with given breakpoints.

    Parameters
    ----------
    breaks : array of shape (k - 2,)
        Increasing.
    penalty : {"curvature", "difference"}
        The integral of the squared second derivative by u from 0 to 1, or the sum of
        squared second differences of neighbouring coefficients.

    Returns
    -------
    SplineBasis
        In coordinates in which the penalty is diagonal.
    """
    low, width = float(breaks[0]), float(breaks[-1] - breaks[0])
    if not (np.diff(breaks) > 0).all() or not np.isfinite(breaks).all():
        raise ParameterError(f"Knots must increase. Got {breaks.tolist()}.")
    inner = (breaks - low) / width
    inner[-1] = 1.0
    steps = np.arange(1, DEGREE + 1)
    left = inner[0] - steps[::-1] * (inner[1] - inner[0])
    right = inner[-1] + steps * (inner[-1] - inner[-2])
    knots = np.concatenate([left, inner, right])
    k = len(knots) - DEGREE - 1
    if penalty == "difference":
        second = np.diff(np.eye(k), n=2, axis=0)
        S, line = second.T @ second, np.arange(k, dtype=float)
    else:
        S = _curvature(knots, inner)
        line = np.array([knots[j + 1 : j + 1 + DEGREE].mean() for j in range(k)])
    turn, values = _diagonalized(S, np.column_stack([np.ones(k), line]))
    return SplineBasis(low, width, knots, turn, values)


def _diagonalized(S: Array, null: Array) -> tuple[Array, Array]:
    """Return orthogonal coordinates that begin with a known null space of S."""
    q, r = qr(null)
    q[:, :2] *= np.sign(np.diagonal(r))
    values, vectors = eigh(q[:, 2:].T @ S @ q[:, 2:])
    turn = np.hstack([q[:, :2], q[:, 2:] @ vectors])
    return turn, np.append(np.zeros(2), np.maximum(values, 0.0))


def _curvature(knots: Array, inner: Array) -> Array:
    """Return the integrals of products of second derivatives of the B-splines."""
    middle, half = (inner[1:] + inner[:-1]) / 2, np.diff(inner) / 2
    u = (middle[:, None] + half[:, None] * POINTS).ravel()
    second = _derivatives(u, knots, 2)
    return np.asarray((second.T * np.repeat(half, 2)) @ second)


def _derivatives(u: Array, knots: Array, order: int) -> Array:
    """Return derivatives of all B-splines, (n, k)."""
    k = len(knots) - DEGREE - 1
    return np.asarray(BSpline(knots, np.eye(k), DEGREE)(u, nu=order))
