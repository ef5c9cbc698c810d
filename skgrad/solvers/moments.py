"""Regularisation paths of least squares from second moments: no row is read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skgrad.optim.gram_descent import descend_gram
from skgrad.solvers.strengths import (
    Path,
    check_null_loss,
    ends,
    grid_of,
    largest_strength,
    residuals,
    tolerance_of,
)
from skgrad.typing import Array

__all__ = ["Moments", "solve_moments"]

# Rows of a block take about so many bytes.
BLOCK_BYTES = 2**24
# Inner problems are solved to so small a part of the residual that is asked for, and to
# a tenth of that where it was not enough.
INNER, MOST_TRIES = 0.3, 8
MAX_SWEEPS = 10_000


@dataclass(frozen=True)
class Moments:
    """Weighted sums of rows: enough for any penalised least squares fit of them.

    Parameters
    ----------
    weight : float
        Sum of the weights.
    x, y : array of shape (p,) and (k,)
        Weighted sums of inputs and targets, less their `centre`.
    xx, xy, yy : array of shape (p, p), (p, k) and (k,)
        Weighted sums of products.
    centre_x, centre_y : array of shape (p,) and (k,)
        What was subtracted first, so that no digits are lost later.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers.moments import Moments
    >>> X, y = np.array([[0.0], [1.0], [5.0]]), np.array([[1.0], [3.0], [0.0]])
    >>> zero = np.zeros(1)
    >>> all_rows = Moments.of(X, y, np.ones(3), zero, zero)
    >>> last_row = Moments.of(X[2:], y[2:], np.ones(1), zero, zero)
    >>> (all_rows - last_row).xx
    array([[1.]])
    """

    weight: float
    x: Array
    y: Array
    xx: Array
    xy: Array
    yy: Array
    centre_x: Array
    centre_y: Array

    @classmethod
    def of(
        cls,
        X: Array,
        y: Array,
        w: Array,
        centre_x: Array,
        centre_y: Array,
        rows: Array | None = None,
    ) -> Moments:
        """Return the moments of all rows, or of some, read once, in blocks.

        Nothing warns where they are beyond float64.
        """
        p, k = X.shape[1], y.shape[1]
        x, xx, xy = np.zeros(p), np.zeros((p, p)), np.zeros((p, k))
        sum_y, yy = np.zeros(k), np.zeros(k)
        size = max(256, BLOCK_BYTES // (8 * max(1, p)))
        n, total = (len(X), w.sum()) if rows is None else (len(rows), w[rows].sum())
        for start in range(0, n, size):
            at: Any = slice(start, start + size)
            at = at if rows is None else rows[at]
            Z, t, weights = X[at] - centre_x, y[at] - centre_y, w[at]
            with np.errstate(over="ignore", invalid="ignore"):
                weighted = weights[:, None] * t
                x += weights @ Z
                sum_y += weighted.sum(axis=0)
                xy += Z.T @ weighted
                yy += (weighted * t).sum(axis=0)
                Z *= np.sqrt(weights)[:, None]
                xx += Z.T @ Z
        return cls(float(total), x, sum_y, xx, xy, yy, centre_x, centre_y)

    def __sub__(self, part: Moments) -> Moments:
        """Return the moments of the other rows."""
        return Moments(
            self.weight - part.weight,
            self.x - part.x,
            self.y - part.y,
            self.xx - part.xx,
            self.xy - part.xy,
            self.yy - part.yy,
            self.centre_x,
            self.centre_y,
        )

    def centred(self, fit_intercept: bool) -> tuple[Array, Array, Array, Array, Array]:
        """Return means of products, about the means if there is an intercept.

        Returns
        -------
        G, c, yy : array of shape (p, p), (k, p) and (k,)
            Means of products of inputs, of inputs with targets, of squares of targets.
        mean_x, mean_y : array of shape (p,) and (k,)
            What the intercept makes up for; zeros without one.
        """
        G, c, yy = (m / self.weight for m in (self.xx, self.xy.T, self.yy))
        if not fit_intercept:
            return G, c, yy, np.zeros(len(G)), np.zeros(len(c))
        x, y = self.x / self.weight, self.y / self.weight
        G = G - np.outer(x, x)
        mean_x, mean_y = self.centre_x + x, self.centre_y + y
        with np.errstate(over="ignore", invalid="ignore"):  # seen by the solver
            return G, c - np.outer(y, x), yy - y**2, mean_x, mean_y


def solve_moments(
    moments: Moments,
    factors: Array,
    scale: Array,
    low: Array,
    high: Array,
    l1_ratio: float,
    strengths: int | Sequence[float] | Array = 100,
    eps: float = 1e-3,
    *,
    fit_intercept: bool = True,
    tol: float = 1e-5,
    ends_early: bool = True,
) -> Path:
    """Solve least squares for a decreasing sequence of strengths.

    Parameters
    ----------
    moments : Moments
        Of the rows; without an intercept its centres must be zero.
    factors, scale : array of shape (p,)
        As those of :class:`PathProblem`.
    low, high : array of shape (k, p)
        Bounds of the coefficients.
    l1_ratio : float
        The part of L1 in the penalty.
    strengths : int or sequence of float, default=100
        How many, or which, as those of :func:`solve_path`.
    eps : float, default=1e-3
        The last strength over the first.
    fit_intercept : bool, default=True
        Whether there is an intercept.
    tol : float, default=1e-5
        As that of :func:`solve_path`.
    ends_early : bool, default=True
        As that of :func:`solve_path`.

    Returns
    -------
    Path
        The solutions.

    Notes
    -----
    Coordinate descent on the Gram matrix [1]_. Solutions are piecewise linear in the
    strength: each starts at the continuation of the line through the two before, which
    takes a third of the sweeps away.

    References
    ----------
    .. [1] J. Friedman, T. Hastie and R. Tibshirani, Regularization paths for
       generalized linear models via coordinate descent, Journal of Statistical Software
       33 (2010), section 2.2.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers import Moments, solve_moments
    >>> X, y = np.array([[-1.0], [0.0], [1.0]]), np.array([[-3.0], [0.0], [3.0]])
    >>> one, free = np.ones(1), np.full((1, 1), np.inf)
    >>> moments = Moments.of(X, y, np.ones(3), 0 * one, 0 * one)
    >>> path = solve_moments(moments, one, one, -free, free, 1.0, [2.0, 1.0, 0.0])
    >>> path.coef.ravel().round(6)
    array([0. , 1.5, 3. ])
    """
    G, c, yy, mean_x, mean_y = moments.centred(fit_intercept)
    G /= scale
    G /= scale[:, None]
    solver = _Gram(G, c / scale, factors, low * scale, high * scale, l1_ratio, tol)
    coef, path = solver.path(yy, strengths, eps, ends_early)
    path.coef = coef / scale
    path.intercept = mean_y - path.coef @ mean_x
    return path


class _Gram:
    """Least squares with inputs of scale one."""

    def __init__(
        self,
        G: Array,
        c: Array,
        factors: Array,
        low: Array,
        high: Array,
        l1_ratio: float,
        tol: float,
    ) -> None:
        self.G, self.c, self.low, self.high = G, c, low, high
        self.diagonal = G.diagonal().copy()
        self.factors, self.l1_ratio, self.tol = factors, l1_ratio, tol
        self.coef = np.clip(np.zeros_like(c), low, high)
        self.gradient = c - self.coef @ G  # the negative one of the loss
        self.size = float(np.abs(c).max(initial=0.0)) or 1.0

    def path(
        self, yy: Array, strengths: Any, eps: float, ends_early: bool
    ) -> tuple[Array, Path]:
        """Return coefficients and the rest of the path."""
        check_null_loss(0.5 * float(yy.sum()))
        self._without_penalised()
        null_loss = self._loss(yy)
        given = not isinstance(strengths, int | np.integer)
        largest = largest_strength(
            -self.gradient,
            self.coef,
            (self.low, self.high),
            self.factors,
            self.l1_ratio,
        )
        grid = grid_of(strengths, largest, eps)
        found: list[tuple[Any, ...]] = []
        for at, strength in enumerate(grid):
            start = self.coef
            if at > 1 and grid[at - 2] > grid[at - 1]:
                part = (grid[at - 1] - strength) / (grid[at - 2] - grid[at - 1])
                start = self.coef + part * (self.coef - found[-2][0])
                start = np.where(start * self.coef > 0, start, 0.0)
            tol = tolerance_of(self.tol, strength, largest)
            sweeps_and_residual = self._solve(strength, start, tol)
            found.append((self.coef, self._loss(yy), *sweeps_and_residual))
            losses = [one[1] for one in found]
            if not given and ends_early and ends(null_loss, losses):
                break
        coef, loss, n_sweeps, residual = map(np.array, zip(*found, strict=True))
        done, none = grid[: len(found)], coef[:, :, 0]
        return coef, Path(
            done, coef, none, loss, residual, null_loss, self.size, n_sweeps
        )

    def _loss(self, yy: Array) -> float:
        """Return half the mean square of the residuals, summed over the targets."""
        explained = ((self.c + self.gradient) * self.coef).sum(axis=1)
        return float(0.5 * (yy - explained).sum())

    def _without_penalised(self) -> None:
        """Fit what is not penalised."""
        free = np.flatnonzero(self.factors == 0)
        if not len(free):
            return
        part = np.ascontiguousarray(self.G[np.ix_(free, free)])
        for a in range(len(self.c)):
            found = descend_gram(
                part,
                self.gradient[a, free],
                np.zeros(len(free)),
                self.low[a, free],
                self.high[a, free],
                self.coef[a, free],
                tol=(INNER * self.tol * self.size) ** 2,
                max_sweeps=MAX_SWEEPS,
            )
            self.coef[a, free] = found.coef
        self.gradient = self.c - self.coef @ self.G

    def _solve(self, strength: float, start: Array, tol: float) -> tuple[int, float]:
        """Move to the solution for a strength; return sweeps and the residual."""
        l1 = strength * self.l1_ratio * self.factors
        l2 = strength * (1 - self.l1_ratio) * self.factors
        self.G[np.diag_indices_from(self.G)] = self.diagonal + l2
        n_sweeps, residual, coef = 0, np.inf, np.clip(start, self.low, self.high)
        target = INNER * tol * self.size
        gradient = self.c - coef @ self.G
        for _ in range(MOST_TRIES):
            if residual <= tol * self.size:
                break
            for a in range(len(self.c)):
                found = descend_gram(
                    self.G,
                    gradient[a],
                    l1,
                    self.low[a],
                    self.high[a],
                    coef[a],
                    tol=target**2,
                    max_sweeps=MAX_SWEEPS,
                )
                coef[a], gradient[a] = found.coef, found.gradient
                n_sweeps += found.n_sweeps
            bounds = self.low, self.high
            residual = float(residuals(-gradient, coef, l1, bounds).max(initial=0.0))
            target *= 0.1
        self.G[np.diag_indices_from(self.G)] = self.diagonal
        self.coef, self.gradient = coef, gradient + l2 * coef
        return n_sweeps, residual / self.size
