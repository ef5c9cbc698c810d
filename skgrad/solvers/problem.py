"""The rows of a linear quantile regression, read in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from skgrad.typing import Array

__all__ = ["QuantileProblem"]

# Rows of a block take about so many bytes: it is read twice, from the cache.
BLOCK_BYTES = 2**20


@dataclass(frozen=True)
class QuantileProblem:
    r"""Minimise a weighted sum of pinball losses, with an L1 penalty and bounds.

    .. math:: \sum_i w_i \max\bigl(q r_i, (q - 1) r_i\bigr) + \sum_j \lambda_j |b_j|,
        \qquad r = y - b_0 - X b, \qquad h_j \le b_j \le k_j

    Parameters
    ----------
    X : array of shape (n, p), float32 or float64
        Inputs, in any order of memory; never copied.
    y : array of shape (n,), float64
        Targets.
    w : array of shape (n,), float64
        Positive weights.
    fit_intercept : bool, default=True
        Whether there is an intercept :math:`b_0`, free and not penalised.
    penalty : array of shape (p,), default=None
        :math:`\lambda \ge 0` of each coefficient; None is no penalty.
    low, high : array of shape (p,), default=None
        Bounds of the coefficients; infinities are free sides.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers import QuantileProblem
    >>> problem = QuantileProblem(np.zeros((4, 2)), np.zeros(4), np.ones(4))
    >>> problem.n_rows, problem.n_columns
    (4, 3)
    """

    X: Array
    y: Array
    w: Array
    fit_intercept: bool = True
    penalty: Array | None = None
    low: Array | None = None
    high: Array | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.X.shape[0])

    @property
    def n_columns(self) -> int:
        """Number of coefficients, the intercept included."""
        return int(self.X.shape[1]) + self.fit_intercept

    def blocks(self) -> Iterator[tuple[slice, Array, Array, Array]]:
        """Yield slices, inputs in float64, targets and weights of blocks of rows."""
        size = max(64, BLOCK_BYTES // (8 * max(1, self.X.shape[1])))
        for start in range(0, self.n_rows, size):
            at = slice(start, min(start + size, self.n_rows))
            X = self.X[at].astype(np.float64, copy=False)
            yield at, X, self.y[at], self.w[at]

    def rows(self, index: Array) -> QuantileProblem:
        """Return some of the rows, as a copy, with their part of the penalty."""
        X = self.X[index].astype(np.float64, copy=False)
        w, penalty = self.w[index], self.penalty
        if penalty is not None:
            penalty = penalty * (w.sum() / self.w.sum())
        parts: Any = (self.fit_intercept, penalty, self.low, self.high)
        return QuantileProblem(X, self.y[index], w, *parts)
