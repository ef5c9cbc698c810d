"""The rows of an additive model: its functions, centred, and sums over them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skgrad.estimators.additive_terms import FittedTerm
from skgrad.exceptions import FitWarning, SolverError
from skgrad.losses import Loss
from skgrad.solvers import LossSums, PenalizedFit
from skgrad.solvers.penalized import NO_CURVATURE
from skgrad.train import RowDerivatives
from skgrad.typing import Array

__all__ = [
    "AdditiveRows",
    "Placed",
    "SquaredRows",
    "design_rows",
    "moment_scale",
    "pearson_scale",
    "placed_terms",
    "row_slices",
]

# The functions of a block of rows take so many bytes, all that are kept so many.
BLOCK_BYTES, KEPT_BYTES = 2**21, 2**28
# Part of a column's variance that others leave, below which it follows from them.
DEPENDENT = 1e-10
# A scale that is none, whose inverse squared is still a number.
TINY = 1e-140


@dataclass(frozen=True, eq=False)
class Placed:
    """A term in its place among the coefficients, of which the first is the intercept.

    Functions are centred: they sum to zero over the rows of the fit, and those that
    follow from others are left out.
    """

    term: FittedTerm
    mean: Array
    kept: Array
    start: int

    @property
    def where(self) -> slice:
        """Which coefficients are its own."""
        return slice(self.start, self.start + len(self.kept))

    @property
    def penalties(self) -> Array:
        """Diagonals of its penalty matrices."""
        return self.term.penalties[:, self.kept]

    def rows(self, X: Array) -> Array:
        """Return the centred functions at rows of X."""
        centred = self.term.basis(X) - self.mean
        whole = len(self.kept) == len(self.mean)
        return centred if whole else centred[:, self.kept]


def design_rows(placed: Sequence[Placed], X: Array) -> Array:
    """Return the rows of the design, a one for the intercept first."""
    columns = [np.ones((len(X), 1)), *(each.rows(X) for each in placed)]
    return np.hstack(columns)


def row_slices(n: int, p: int) -> list[slice]:
    """Return slices of rows whose functions fit the cache."""
    size = max(64, BLOCK_BYTES // (8 * max(p, 1)))
    return [slice(start, start + size) for start in range(0, n, size)]


def placed_terms(terms: Sequence[FittedTerm], X: Array, w: Array) -> list[Placed]:
    """Return the terms with their means, without functions that follow from others.

    Only functions without a penalty are looked at: a penalty tells those that have one
    apart.

    Warns
    -----
    FitWarning
        If some were left out; the message names their terms.
    """
    placed, start = [], 1
    for term in terms:
        mean = _mean(term, X, w)
        every = np.arange(len(mean))
        placed.append(Placed(term, mean, every, start))
        start += len(mean)
    free = [np.flatnonzero(term.penalties.sum(axis=0) == 0) for term in terms]
    left_out = _dependent(placed, free, X, w)
    if left_out.any():
        placed = _without(placed, free, left_out)
    return placed


def _mean(term: FittedTerm, X: Array, w: Array) -> Array:
    total = 0.0
    for rows in row_slices(len(X), term.penalties.shape[1]):
        total = total + w[rows] @ term.basis(X[rows])
    return np.asarray(total / w.sum())


def _dependent(placed: list[Placed], free: list[Array], X: Array, w: Array) -> Array:
    """Tell which of the unpenalised functions follow from those before them."""
    p = sum(map(len, free))
    gram = np.zeros((p, p))
    for rows in row_slices(len(X), p):
        parts = [
            each.rows(X[rows])[:, columns]
            for each, columns in zip(placed, free, strict=True)
        ]
        Z = np.hstack([np.empty((len(X[rows]), 0)), *parts])
        gram += (Z * w[rows, None]).T @ Z
    scale = np.sqrt(np.maximum(np.diagonal(gram), np.finfo(float).tiny))
    left = gram / scale / scale[:, None]
    lost = np.zeros(p, dtype=bool)
    for j in range(p):  # eliminate one column after another
        lost[j] = left[j, j] <= DEPENDENT
        if not lost[j]:
            left = left - np.outer(left[:, j], left[j] / left[j, j])
    return lost


def _without(placed: list[Placed], free: list[Array], left_out: Array) -> list[Placed]:
    """Return the terms less some of the unpenalised functions."""
    found, start, position = [], 1, 0
    names = []
    for each, columns in zip(placed, free, strict=True):
        lost = columns[left_out[position : position + len(columns)]]
        position += len(columns)
        kept = np.delete(each.kept, lost)
        found.append(Placed(each.term, each.mean, kept, start))
        start += len(kept)
        names += [each.term.name] * bool(lost.size)
    warnings.warn(
        f"Parts of the terms {', '.join(map(repr, names))} follow from the terms "
        "before them in the rows of the fit, and are left out: effects of these terms "
        "cannot be told apart. Leave out a term, or a column.",
        FitWarning,
        stacklevel=5,
    )
    return found


# ------------------------------------------------------------------------------- sums


@dataclass(frozen=True, eq=False)
class AdditiveRows:
    """Rows of an additive model with any loss, as its solver sees them."""

    placed: Sequence[Placed]
    X: Array
    derivatives: RowDerivatives
    offset: float

    @property
    def _p(self) -> int:
        return self.placed[-1].where.stop if self.placed else 1

    @cached_property
    def _kept(self) -> list[tuple[slice, Array]] | None:
        """Blocks of the design, if all of it may be kept."""
        if 8 * self._p * len(self.X) > KEPT_BYTES:
            return None
        return list(self._made())

    def _made(self) -> Iterator[tuple[slice, Array]]:
        for rows in row_slices(len(self.X), self._p):
            yield rows, design_rows(self.placed, self.X[rows])

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Yield slices of rows and their design."""
        yield from self._made() if self._kept is None else self._kept

    def sums(self, coef: Array) -> LossSums:
        """Return the loss, its gradient and its Hessian, negative curvatures as 0."""
        loss, gradient = 0.0, np.zeros(len(coef))
        hessian = np.zeros((len(coef), len(coef)))
        with np.errstate(all="ignore"):  # the solver looks at what comes out
            for rows, Z in self.blocks():
                found = self.derivatives.rows(rows)(self.offset + Z @ coef, 2)
                assert found.slope is not None
                assert found.curvature is not None
                loss += found.total
                gradient += Z.T @ found.slope
                half = Z * np.sqrt(np.maximum(found.curvature, 0.0))[:, None]
                hessian += half.T @ half  # of one array: half the products
        return LossSums(loss, gradient, hessian)

    def third(self, coef: Array, weight: Array) -> Array:
        """Return how the Hessian's product with a matrix changes with coefficients."""
        total = np.zeros(len(coef))
        for rows, Z in self.blocks():
            found = self.derivatives.rows(rows)(self.offset + Z @ coef, 3)
            assert found.curvature is not None
            assert found.third is not None
            bend = np.where(found.curvature > 0, found.third, 0.0)
            total += Z.T @ (bend * ((Z @ weight) * Z).sum(axis=1))
        return total

    def moments(self, coef: Array) -> tuple[float, float]:
        """Return the weighted sums of squared slopes and of curvatures."""
        squares = curvatures = 0.0
        for rows, Z in self.blocks():
            part = self.derivatives.rows(rows)
            found = part(self.offset + Z @ coef, 2)
            assert found.slope is not None
            assert found.curvature is not None
            squares += float(np.sum(found.slope**2 / part.w))
            curvatures += float(np.maximum(found.curvature, 0.0).sum())
        return squares, curvatures


class SquaredRows:
    """Rows of an additive model with squared error: read once."""

    def __init__(self, rows: AdditiveRows) -> None:
        first = rows.sums(np.zeros(rows._p))
        self.loss, self.slope, self.gram = first

    def sums(self, coef: Array) -> LossSums:
        """Return the loss, its gradient and its Hessian, the Gram matrix."""
        moved = self.gram @ coef
        loss = self.loss + coef @ (self.slope + moved / 2)
        return LossSums(max(float(loss), 0.0), self.slope + moved, self.gram)

    def third(self, coef: Array, weight: Array) -> Array:
        """Return zeros: the Hessian is constant."""
        return np.zeros_like(coef)


def pearson_scale(rows: AdditiveRows, loss: Loss, fit: PenalizedFit, n: float) -> float:
    """Return Pearson's statistic over the degrees of freedom that are left."""
    total = 0.0
    for block, Z in rows.blocks():
        part = rows.derivatives.rows(block)
        raw = rows.offset + Z @ fit.coef
        slope = part(raw, 1).slope
        expected = RowDerivatives(loss, loss.inverse_link(raw), part.w)(
            raw, 2
        ).curvature
        assert slope is not None
        assert expected is not None
        total += float(np.sum(slope**2 / expected))
    return total / max(n - float(fit.edf.sum()), 1e-3)


def moment_scale(rows: AdditiveRows, fit: PenalizedFit, n: float) -> float:
    """Return the scale at which slopes and curvatures are those of a likelihood.

    The mean of squared slopes over that of curvatures, n - edf in the place of n: for
    squared error the variance of the residuals.
    """
    squares, curvatures = rows.moments(fit.coef)
    left = max(n - float(fit.edf.sum()), 1e-3)
    if not curvatures > 0:
        raise SolverError(NO_CURVATURE)
    return max(squares / curvatures * n / left, TINY)
