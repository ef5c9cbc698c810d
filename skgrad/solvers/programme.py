"""The small linear programme that is left of a quantile regression."""

from __future__ import annotations

import numpy as np

from skgrad.solvers.highs import minimize_highs
from skgrad.solvers.tilted import TiltedRows
from skgrad.solvers.vertex import (
    Vertex,
    VertexStatus,
    minimize_vertex,
    starting_basis,
)
from skgrad.typing import Array

__all__ = ["TOLERANCE", "Programme", "excess"]

# A duality gap above this, relative to the objective, is not accepted.
TOLERANCE = 1e-9
# Sums of dual variables are off by this part of the largest sum they may have: where
# all are about zero nothing is left but rounding.
BALANCE = 1e-12

_NONE = np.empty(0)
NOWHERE = Vertex(_NONE, _NONE, _NONE, VertexStatus.FAILED, 0)


class Programme:
    """What is left of the problem of one level: the rows near zero, and a slope."""

    def __init__(
        self, quantile: float, rows: TiltedRows, index: Array, above: Array
    ) -> None:
        self.quantile = quantile
        self.rows = rows
        self.index = index  # number of each row's row in the problem, -1 for unit rows
        self.above = above
        self.start = np.zeros(rows.n_columns)
        self.basis: Array | None = None
        self.n_pivots = 0
        self.n_passes = 0
        self.solver = "vertex"
        self.vertex = NOWHERE

    @property
    def is_row(self) -> Array:
        """Which rows of the programme are rows of the problem."""
        return self.index >= 0

    def slope(self, at: Array, w: Array) -> Array:
        """Return the slopes of rows that are fixed."""
        return w * np.where(self.above[at], self.quantile, self.quantile - 1.0)

    def add(self, at: Array, Z: Array, y: Array, w: Array, fixed: bool) -> None:
        """Let rows of the problem join."""
        q = self.quantile
        linear = self.rows.linear
        if fixed:
            linear = linear - self.slope(at, w) @ Z
        new = TiltedRows(Z, y, w * q, w * (1.0 - q), linear)
        self.rows = self.rows.joined(new).with_linear(linear)
        self.index = np.concatenate([self.index, at])

    def minimize(self) -> Vertex:
        """Minimise, from the last basis or rows near zero at the start."""
        if self.basis is None:
            self.make_basis(self.start)
        vertex = minimize_vertex(self.rows, self.basis_rows)
        self.n_pivots += vertex.n_pivots
        self.basis = vertex.basis
        if vertex.status is VertexStatus.FAILED:
            vertex = self.minimize_otherwise()
        self.vertex = vertex
        return vertex

    def minimize_otherwise(self) -> Vertex:
        """Minimise by HiGHS."""
        self.basis, self.solver = None, "highs"
        return minimize_highs(self.rows)

    @property
    def basis_rows(self) -> Array:
        """The rows of the last basis."""
        assert self.basis is not None
        return self.basis

    def make_basis(self, start: Array) -> None:
        """Choose a basis of rows near zero at some coefficients."""
        rows, q = self.rows, self.rows.n_columns
        distance = np.abs(rows.y - rows.A @ start)
        # Coefficients that are zero, or at a bound, are determined by that alone.
        held = np.flatnonzero(~self.is_row & (distance == 0))
        columns, first = np.unique(rows.A[held].argmax(axis=1), return_index=True)
        rest = np.setdiff1d(np.arange(q), columns)
        basis, missing = starting_basis(rows.A[:, rest], distance)
        basis, missing = np.append(held[first], basis), rest[missing]
        if len(missing):
            # Rows without a slope: they complete the basis, and change nothing.
            m = len(missing)
            none = np.zeros(m)
            units = TiltedRows(np.eye(q)[missing], start[missing], none, none, none)
            basis = np.append(basis, len(rows) + np.arange(m))
            self.rows = rows.joined(units)
            self.index = np.append(self.index, np.full(m, -1))
        self.basis = basis

    def residual(self, theta: Array, of_rows: Array) -> Array:
        """Return the residuals, those of unit rows at some coefficients."""
        residual = self.rows.y - self.rows.A @ theta
        residual[self.is_row] = of_rows
        return residual


def excess(rows: TiltedRows, dual: Array, residual: Array) -> float:
    """Return by how much the terms of rows exceed what their dual variables prove.

    It is infinite where these do not balance the linear term. No row's part of it is
    negative: nothing is lost to cancellation, as in a difference of two objectives.

    Parameters
    ----------
    rows : TiltedRows
        The programme.
    dual : array of shape (m,)
        Within the slopes of the rows.
    residual : array of shape (m,)
        Of the rows, at some coefficients.

    Returns
    -------
    float
        At least the value there less the minimum.
    """
    unbalanced = np.abs(rows.linear + dual @ rows.A)
    size = np.abs(rows.A)
    scale = TOLERANCE * (np.abs(rows.linear) + np.abs(dual) @ size)
    if (unbalanced > scale + BALANCE * (np.maximum(rows.up, rows.down) @ size)).any():
        return np.inf
    slope = np.where(residual > 0, rows.up, -rows.down)
    return float((slope - dual) @ residual)
