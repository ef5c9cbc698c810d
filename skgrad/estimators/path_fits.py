"""Regularisation paths of all rows and of the folds of a cross-validation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils.parallel import Parallel, delayed

from skgrad.backend.cpu.threads import single_threaded
from skgrad.estimators.scaling import weighted_mean
from skgrad.losses import Loss, SquaredError
from skgrad.solvers import (
    Moments,
    Path,
    PathProblem,
    columns_of,
    solve_moments,
    solve_path,
)
from skgrad.train import RowDerivatives
from skgrad.typing import Array

__all__ = ["STEPS", "Grid", "HeldOut", "PathFits", "Split"]

# Least squares needs no rows once the Gram matrix of so many columns is known. It has
# no more elements than the inputs, and takes less time than a few readings of them.
MOMENT_FEATURES = 4000
# A difference of moments loses a digit where nine tenths of the weight are held out.
HELD = 0.9
# Rows are predicted in blocks of about so many numbers.
BLOCK = 2**22
# Steps for a strength: 1.5 to 2.3 with Huber, Poisson, log and multinomial losses of
# 500 rows of 30 inputs.
STEPS = 2
# The solution that was chosen is brought so close to the minimum.
POLISHED = 1e-8


@dataclass(frozen=True)
class Split:
    """Rows of one part of a cross-validation, by their numbers.

    Parameters
    ----------
    left_out : array of int
        Those that are not trained on.
    test : array of int
        Those that are predicted.
    """

    left_out: Array
    test: Array


@dataclass(frozen=True)
class HeldOut:
    """How paths do on held-out rows.

    Parameters
    ----------
    table : array of shape (n_ratios, n_strengths, n_folds)
        Losses or scores; NaN beyond the end of a path.
    weights : array of shape (n_folds,)
        Sums of the weights of the rows.
    sign : {1, -1}
        1 where small numbers are good, -1 where large ones are.
    """

    table: Array
    weights: Array
    sign: int

    @cached_property
    def mean(self) -> Array:
        """Weighted means over the folds, (n_ratios, n_strengths)."""
        return np.asarray(np.average(self.table, axis=2, weights=self.weights))

    @cached_property
    def error(self) -> Array:
        """Standard errors of the means, from the spread of the folds."""
        with np.errstate(over="ignore", invalid="ignore"):  # of losses that diverge
            squares = (self.table - self.mean[:, :, None]) ** 2
            spread = np.average(squares, axis=2, weights=self.weights)
        return np.asarray(np.sqrt(spread / max(1, len(self.weights) - 1)))

    def on(self, ratio: int, n_strengths: int) -> HeldOut:
        """Return that of the path at a position, which may have ended before others."""
        return replace(self, table=self.table[[ratio], :n_strengths])

    def best(self) -> tuple[int, int, int]:
        """Return where the best mean is, and the first within a standard error of it.

        Returns
        -------
        ratio, strength, first : int
            Positions in the table; strengths decrease, so the first is the largest.
        """
        values = self.sign * self.mean
        values = np.where(np.isfinite(values), values, np.inf)
        ratio, best = np.unravel_index(values.argmin(), values.shape)
        most = values[ratio, best] + self.error[ratio, best]
        first = np.flatnonzero(values[ratio] <= most)[0]
        return int(ratio), int(best), int(first)


@dataclass(frozen=True)
class Grid:
    """Which strengths a path has, and how closely each is solved for.

    Parameters
    ----------
    alphas : int or array of shape (n_alphas,)
        How many strengths, or which.
    eps : float
        The last over the first, if they are not given.
    tol : float
        Largest residual, see :class:`~skgrad.solvers.Path`.
    max_iter : int
        Steps for each strength.
    """

    alphas: Any
    eps: float
    tol: float
    max_iter: int

    @property
    def size(self) -> int:
        """The number of strengths; a path may end before."""
        return int(self.alphas) if np.ndim(self.alphas) == 0 else len(self.alphas)


class PathFits:
    """The paths of one penalised linear model over all rows, or over some.

    Parameters
    ----------
    loss : Loss
        The loss.
    X : array or sparse matrix of shape (n_samples, n_features)
        Inputs.
    y : array of shape (n_samples,) or (n_samples, n_outputs)
        Targets as the loss sees them.
    w : array of shape (n_samples,)
        Positive weights.
    n_outputs : int or None
        Columns of the raw predictions; None for vectors.
    factors : array of shape (n_features,)
        What penalties are multiplied by.
    bounds : low, high
        Of shape (n_outputs, n_features).
    fit_intercept, standardize : bool
        As of the estimators.
    n_runs : float, default=1000
        How often the loss of all rows will be computed, about.
    """

    def __init__(
        self,
        loss: Loss,
        X: Any,
        y: Array,
        w: Array,
        n_outputs: int | None,
        factors: Array,
        bounds: tuple[Array, Array],
        *,
        fit_intercept: bool,
        standardize: bool,
        n_runs: float = 1000,
    ) -> None:
        self.loss, self.X, self.y, self.w = loss, X, y, w
        self.n_outputs, self.factors, self.bounds = n_outputs, factors, bounds
        self.fit_intercept, self.standardize = fit_intercept, standardize
        self.rows = RowDerivatives(loss, y, w, n_runs=n_runs)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and features."""
        return (int(self.X.shape[0]), int(self.X.shape[1]))

    @cached_property
    def _has_moments(self) -> bool:
        """Whether second moments say all of the rows that a fit needs."""
        n, p = self.shape
        few = p <= min(n, MOMENT_FEATURES)
        squared = type(self.loss) is SquaredError
        return bool(few and squared and not scipy.sparse.issparse(self.X))

    # --- what is computed once ----------------------------------------------------

    @cached_property
    def columns(self) -> Any:
        """The columns of the inputs, about their means if there is an intercept."""
        if scipy.sparse.issparse(self.X) or not self.fit_intercept:
            return columns_of(self.X, np.zeros(self.shape[1]))
        return columns_of(self.X, self._centre)

    @cached_property
    def _centre(self) -> Array:
        return weighted_mean(self.X, self.w)

    @cached_property
    def moments(self) -> Moments:
        """Second moments of all rows."""
        return self._moments(np.arange(self.shape[0]))

    def _moments(self, rows: Array) -> Moments:
        y = self.y.reshape(len(self.y), -1)
        zero = np.zeros(self.shape[1]), np.zeros(y.shape[1])
        w = self.w / self.w.sum()
        centres = (self._centre, w @ y) if self.fit_intercept else zero
        some = None if len(rows) == len(y) else rows
        return Moments.of(self.X, y, self.w, centres[0], centres[1], some)

    def _moments_without(self, held: Array) -> Moments:
        """Return the moments of the rows that are not held out.

        Those that are held out are read, where enough is left when theirs are
        subtracted; otherwise the others.
        """
        if len(held) <= self.shape[0] / 2 and self.w[held].sum() <= HELD * self.w.sum():
            return self.moments - self._moments(held)
        return self._moments(np.setdiff1d(np.arange(self.shape[0]), held))

    def _blocks(self, rows: Array) -> list[Array | slice]:
        """Return the rows in blocks; slices if they are all."""
        size = max(64, BLOCK // max(1, self.shape[1]))
        starts = range(0, len(rows), size)
        if len(rows) == self.shape[0]:
            return [slice(start, start + size) for start in starts]
        return [rows[start : start + size] for start in starts]

    # --- paths --------------------------------------------------------------------

    def path(self, l1_ratio: float, grid: Grid, without: Array | None = None) -> Path:
        """Return the path of all rows, or of those that are not held out.

        Parameters
        ----------
        l1_ratio : float
            The part of L1 in the penalty.
        grid : Grid
            The strengths.
        without : array of int, default=None
            Rows that are held out.

        Returns
        -------
        Path
            The solutions.
        """
        w = self.w
        if without is not None:
            w = w.copy()
            w[without] = 0.0
        strengths = {"strengths": grid.alphas, "eps": grid.eps, "tol": grid.tol}
        if not self._has_moments:
            problem = self._problem(w, l1_ratio)
            path = solve_path(problem, max_iter=grid.max_iter, **strengths)
            softmax = self.loss.matrix_link == "multinomial_logit"
            if softmax and self.n_outputs and self.fit_intercept:
                # Only their differences are determined; as glmnet's they sum to zero.
                path.intercept -= path.intercept.mean(axis=1, keepdims=True)
            return path
        moments = self.moments if without is None else self._moments_without(without)
        square = moments.xx.diagonal() / moments.weight
        scale, low, high = self._scaled(square, moments.x / moments.weight)
        return solve_moments(
            moments,
            self.factors,
            scale,
            low,
            high,
            l1_ratio,
            fit_intercept=self.fit_intercept,
            **strengths,
        )

    def _problem(self, w: Array, l1_ratio: float) -> PathProblem:
        whole, w = w is self.w, w / w.sum()
        rows = copy.copy(self.rows)
        rows.w = w
        mean = self.columns.pulled(w[:, None])[0]
        square = self._square if whole else self._squares(w)
        scale, low, high = self._scaled(square, mean)
        k = self.n_outputs or 1
        return PathProblem(
            self.columns,
            rows,
            self._start(w, k),
            vector=self.n_outputs is None,
            factors=self.factors,
            scale=scale,
            low=low,
            high=high,
            l1_ratio=l1_ratio,
            fit_intercept=self.fit_intercept,
            quadratic=type(self.loss) is SquaredError,
            convex=self.loss.convex,
        )

    def _scaled(self, square: Array, mean: Array) -> tuple[Array, Array, Array]:
        """Return the scale of each column and its bounds, from its moments.

        A column without variance, of some rows perhaps, has the scale 1 and, beside an
        intercept, no coefficient.
        """
        if not np.isfinite(square).all():
            stored = self.X.data if scipy.sparse.issparse(self.X) else self.X
            raise ValueError(
                f"Squares of values as large as {np.abs(stored).max():.3g} are beyond "
                "float64. Divide the inputs by a power of ten, and look for numbers "
                "that stand for missing values."
            )
        variance = square - mean**2
        eps = np.finfo(np.float64).eps * self.shape[0]
        constant = variance <= eps * self._square
        low, high = self.bounds
        without = constant if self.fit_intercept else square <= 0
        low, high = np.where(without, 0.0, low), np.where(without, 0.0, high)
        if not self.standardize:
            return np.ones_like(variance), low, high
        scale = np.sqrt(np.where(constant, 1.0, variance))
        return scale, low, high

    def _start(self, w: Array, k: int) -> Array:
        """Return the intercepts of the best constant model, where they are known."""
        if not (self.fit_intercept and self.loss.has_optimal_constant):
            return np.zeros(k)
        known = {"n_classes": k} if self.loss.labels and self.n_outputs else {}
        return np.atleast_1d(self.loss.optimal_constant(self.y, w, **known))

    @cached_property
    def _square(self) -> Array:
        """Mean squares of the columns of all rows, as they are kept."""
        if self._has_moments:
            return np.asarray(self.moments.xx.diagonal() / self.moments.weight)
        return self._squares(self.w / self.w.sum())

    def _squares(self, w: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):  # seen where they are used
            return np.asarray(self.columns.squares(w))

    def polished(self, path: Path, at: int, l1_ratio: float, grid: Grid) -> Path:
        """Return the solution of one strength of a path, closer to the minimum."""
        tol = min(POLISHED, grid.tol)
        grid = replace(grid, alphas=path.strengths[at : at + 1], tol=tol)
        return self.path(l1_ratio, grid)

    # --- folds --------------------------------------------------------------------

    def folds(
        self,
        ratios: Sequence[float],
        grids: Sequence[Grid],
        splits: Sequence[Split],
        n_jobs: int | None,
        score: Callable[[Path, Array], Array],
    ) -> Array:
        """Return scores of held-out rows, (n_ratios, n_strengths, n_folds).

        Parameters
        ----------
        ratios : sequence of float
            Parts of L1.
        grids : sequence of Grid
            The strengths of each.
        splits : sequence of Split
            The rows of each fold.
        n_jobs : int or None
            Threads.
        score : callable
            ``score(path, rows)``: one number per strength.
        """
        _ = self._square  # computed once, before threads ask for it
        jobs = [(r, g, s) for r, g in zip(ratios, grids, strict=True) for s in splits]

        def run(ratio: float, grid: Grid, split: Split) -> Array:
            return score(self.path(ratio, grid, split.left_out), split.test)

        parallel = Parallel(n_jobs=n_jobs, require="sharedmem")
        alone = parallel.n_jobs in (None, 1)
        with nullcontext() if alone else single_threaded():
            found = parallel(delayed(run)(*job) for job in jobs)
        longest = max(len(one) for one in found)
        table = np.full((len(jobs), longest), np.nan)
        for row, one in zip(table, found, strict=True):
            row[: len(one)] = one
        return table.reshape(len(ratios), len(splits), longest).swapaxes(1, 2)

    def raw(self, path: Path, rows: Array) -> Array:
        """Return raw predictions of rows, (n_rows, n_strengths, k)."""
        n, k, p = path.coef.shape
        flat = np.ascontiguousarray(path.coef.reshape(n * k, p).T)
        parts = [np.asarray(self.X[at] @ flat) for at in self._blocks(rows)]
        return np.concatenate(parts).reshape(-1, n, k) + path.intercept

    def mean_losses(self, path: Path, rows: Array) -> Array:
        """Return the weighted mean loss of rows for each strength."""
        raw, part = self.raw(path, rows), self.rows.rows(rows)
        total = part.w.sum()
        found = []
        for at in range(raw.shape[1]):
            values = raw[:, at, 0] if self.n_outputs is None else raw[:, at]
            loss = part(np.ascontiguousarray(values), order=0).total
            found.append(loss / total)
        return np.array(found)
