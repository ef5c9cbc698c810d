"""The solver of regularisation paths, their strength chosen by cross-validation."""

from __future__ import annotations

import copy
from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.model_selection import check_cv

from skgrad.estimators.constraints import penalty_factors
from skgrad.estimators.fitting import Fitting, Rows
from skgrad.estimators.path_fits import STEPS, Grid, HeldOut, PathFits, Split
from skgrad.estimators.solving import AtOnce, Solution
from skgrad.exceptions import DivergenceError, ParameterError
from skgrad.solvers import Path
from skgrad.train import StopReason
from skgrad.typing import Array

__all__ = ["CoordinateDescent", "has_row_numbers", "on_user_scale"]


class CoordinateDescent(AtOnce):
    """Follows a path for each part of L1, over all rows and over those of each fold."""

    name = "CoordinateDescent"
    only_cpu: ClassVar[str] = (
        "regularisation paths run on the CPU only. Set device='cpu'."
    )
    path: Path  # the one of all rows that was chosen
    l1_ratio: float
    held_out: HeldOut  # of that path
    best: int  # the strength with the best mean of the folds
    first: int  # the first within a standard error of it
    alpha: float  # the one of them that was chosen
    final: Path  # its solution, closer to the minimum

    def solution(self, work: Fitting) -> Solution:
        """Return the model of the chosen strength."""
        e = work.estimator
        scorer = None if e.scoring == "loss" else e._scorer()
        ratios = _numbers(e, "l1_ratio", e.l1_ratio, 1.0)
        grid = _grid(e, work.rows.X.shape)
        splits = _splits(e, work.rows)
        n_paths = len(ratios) * (1 + len(splits))
        fits = _fits(work, STEPS * n_paths * grid.size)
        try:
            paths = [fits.path(ratio, grid) for ratio in ratios]
        except FloatingPointError as error:
            raise _beyond_float64(work) from error
        residuals: list[float] = []

        def score(path: Path, rows: Array) -> Array:
            residuals.append(float(path.residual.max()))
            if scorer is None:
                return fits.mean_losses(path, rows)
            return _scores(work, scorer, path, rows)

        grids = [replace(grid, alphas=path.strengths) for path in paths]
        table = fits.folds(ratios, grids, splits, e.n_jobs, score)
        weights = np.array([fits.w[split.test].sum() for split in splits])
        held_out = HeldOut(table, weights, 1 if scorer is None else -1)
        which, self.best, self.first = _best(e, held_out)
        self.path, self.l1_ratio = paths[which], float(ratios[which])
        at = self.first if e.select == "1se" else self.best
        self.alpha = float(self.path.strengths[at])
        self.held_out = held_out.on(which, len(self.path.strengths))
        self.final = fits.polished(self.path, at, ratios[which], grid)
        residuals += [float(one.residual.max()) for one in (*paths, self.final)]
        return self._solution(work, max(residuals) <= e.tol)

    def _solution(self, work: Fitting, reached: bool) -> Solution:
        e, coef, part = work.estimator, self.final.coef[0], self.l1_ratio
        scaled = coef * work.frame.x_scale
        factors = penalty_factors(e._features(coef.shape[1]), e.penalty_factor)
        l1, l2 = (np.abs(scaled) @ factors).sum(), (scaled**2 @ factors).sum()
        penalty = part * l1 + 0.5 * (1 - part) * l2
        objective = float(self.final.loss[0] + self.alpha * penalty)
        intercept = self.final.intercept[0] if e.fit_intercept else None
        reason = StopReason.CONVERGED if reached else StopReason.MAX_ITER
        return Solution(coef, intercept, objective, reason)


def on_user_scale(work: Fitting, path: Path) -> tuple[Array, Array]:
    """Return coefficients (n, k, p) and intercepts (n, k) of a path."""
    e, frame = work.estimator, work.frame
    y_scale = np.broadcast_to(frame.y_scale, path.coef.shape[1])
    # Clipped, because the way back from a scale may round across a bound.
    coef = np.clip(path.coef * y_scale[:, None], *e._bounds)
    if not e.fit_intercept:
        return coef, np.zeros(coef.shape[:2])
    return coef, frame.raw_prediction(path.intercept)


# ------------------------------------------------------------------- what is asked for


def _numbers(estimator: Any, name: str, value: Any, most: float) -> Array:
    """Return a parameter of one or more numbers, each from 0 to the most."""
    try:
        numbers = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        numbers = np.empty(0)
    inside = (numbers >= 0) & (numbers <= most)
    if numbers.ndim != 1 or not len(numbers) or not inside.all():
        one, kind = "a number", "in [0, 1]"
        if name == "alphas":
            one, kind = "a number of strengths", "finite and >= 0"
        raise ParameterError(
            f"The {name!r} parameter of {type(estimator).__name__} must be {one} or a "
            f"sequence of numbers {kind}. Got {value!r}."
        )
    return numbers


def _grid(estimator: Any, shape: tuple[int, int]) -> Grid:
    eps, alphas = estimator.eps, estimator.alphas
    if isinstance(eps, str):
        eps = 1e-4 if shape[0] > shape[1] else 1e-2
    if not isinstance(alphas, Integral):
        alphas = _numbers(estimator, "alphas", alphas, np.finfo(np.float64).max)
    return Grid(alphas, float(eps), estimator.tol, estimator.max_iter)


def has_row_numbers(cv: Any) -> bool:
    """Tell whether cv is splits by the numbers of rows, absent ones counted."""
    return not (cv is None or isinstance(cv, Integral) or hasattr(cv, "split"))


def _splits(estimator: Any, rows: Rows) -> list[Split]:
    """Return the rows of each fold; none may be empty."""
    cv, classifier = estimator.cv, estimator._task == "classification"
    numbers = rows.groups if has_row_numbers(cv) else np.arange(rows.n_rows)
    found: list[Split] = []
    splitter = check_cv(cv, rows.y, classifier=classifier)
    for parts in splitter.split(rows.X, rows.y, rows.groups):
        is_train, is_test = (_marked(part, numbers) for part in parts)
        if not is_train.any() or not is_test.any():
            raise ParameterError(
                f"The 'cv' parameter of {type(estimator).__name__} must leave rows "
                "with a positive weight to train on and rows to predict. Split "
                f"{len(found)} has {is_train.sum()} and {is_test.sum()} of "
                f"{rows.n_rows}."
            )
        found.append(Split(np.flatnonzero(~is_train), np.flatnonzero(is_test)))
    return found


def _marked(wanted: Any, numbers: Any) -> Array:
    """Return which of the rows with these numbers are meant."""
    wanted = np.asarray(wanted)
    if wanted.dtype == bool:
        wanted = np.flatnonzero(wanted)
    return np.isin(numbers, wanted)


# ------------------------------------------------------------------- what is computed


def _fits(work: Fitting, n_runs: float) -> PathFits:
    e, X, data = work.estimator, work.rows.X, work.data
    p, k = X.shape[1], work.objective.n_outputs or 1
    low, high = e._row_bounds(work.loss, k, p)
    scale = np.broadcast_to(work.frame.y_scale, k)[:, None]
    return PathFits(
        work.loss,
        X,
        data.y,
        data.w,
        work.objective.n_outputs,
        penalty_factors(e._features(p), e.penalty_factor),
        (low / scale, high / scale),
        fit_intercept=e.fit_intercept,
        standardize=e.standardize,
        n_runs=n_runs,
    )


def _scores(work: Fitting, scorer: Any, path: Path, rows: Array) -> Array:
    """Return the score of each strength, by what the estimator predicts."""
    probe, held = copy.copy(work.estimator), work.scored.take(rows)
    work.publish(probe)
    scores = []
    for one in zip(*on_user_scale(work, path), strict=True):
        probe.coef_, probe.intercept_ = probe._coefficients(*one)
        scores.append(work.score_of(probe, scorer, held))
    return np.array(scores)


def _best(estimator: Any, held_out: HeldOut) -> tuple[int, int, int]:
    """Return where the best mean is, and the first within a standard error of it."""
    if not np.isfinite(held_out.mean).any():
        raise ValueError(
            f"The losses of {type(estimator).__name__} on held-out rows are not finite "
            "for any strength. Look for rows far from all others, or set other folds "
            "by cv."
        )
    return held_out.best()


def _beyond_float64(work: Fitting) -> DivergenceError:
    return DivergenceError(
        f"The loss of {type(work.estimator).__name__} for the constant model, or its "
        f"square, is beyond float64: the targets are as large as "
        f"{np.abs(work.data.y).max():.3g}",
        "Divide them by a power of ten, and look for numbers that stand for missing "
        "values.",
    )
