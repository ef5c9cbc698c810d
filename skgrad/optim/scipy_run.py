"""SciPy's first-order methods as full-batch optimizers: statuses, walls, callbacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from skgrad.optim.bounds import projected
from skgrad.optim.full_batch import (
    Callback,
    MinimizeStatus,
    Objective,
    Point,
    Vector,
    max_norm,
    stopped_by,
)

__all__ = ["ScipyRun"]

# A rise of more than so many times the decrease expected to first order is a wall: the
# cubic interpolation of the line search would make the step too small to be seen.
WALL = 1e3

EPS = float(np.finfo(np.float64).eps)

# Relative decrease below which a failed line search means that the rounding floor is
# reached: 1e4 eps, because the value of a sum of many rows carries many errors.
FLOOR = 2e-12


class ScipyRun:
    """One minimisation by a routine of SciPy, and what it leaves behind."""

    def __init__(
        self,
        objective: Objective,
        x: Vector,
        box: scipy.optimize.Bounds,
        callback: Callback | None,
    ) -> None:
        self.objective = objective
        self.box = box
        self.callback = callback
        self.best = self.latest = objective(np.clip(x, box.lb, box.ub))
        self.first_value = self.best.value
        self.nit = 0
        self.decrease = self.promised = np.inf
        self.stopped = False

    def driven(
        self, method: str, max_iter: int, tol: float, options: dict[str, Any]
    ) -> MinimizeStatus:
        """Let SciPy's `method` minimise, and say why it stopped."""
        if not self.best.finite:
            return MinimizeStatus.NOT_FINITE
        if self.norm() <= tol:
            return MinimizeStatus.CONVERGED
        bounded = np.isfinite([self.box.lb, self.box.ub]).any()
        scipy.optimize.minimize(
            self.evaluate,
            self.best.x,
            method=method,
            jac=True,
            bounds=self.box if bounded else None,
            callback=self.after_iteration,
            options={**options, "maxiter": max_iter, "gtol": tol},
        )
        if self.stopped:
            return MinimizeStatus.STOPPED
        if self.norm() <= tol:
            return MinimizeStatus.CONVERGED
        if self.nit >= max_iter:
            return MinimizeStatus.MAX_ITER
        # Residuals that vanish leave the rounding errors of what they were at first.
        rounding = max(FLOOR * abs(self.best.value), EPS * abs(self.first_value))
        if min(self.decrease, self.promised) <= rounding:
            return MinimizeStatus.ROUNDING_FLOOR
        return MinimizeStatus.NO_DECREASE

    def evaluate(self, x: Vector) -> tuple[float, Vector]:
        """Return the value and the gradient at `x`, or a gentle slope up for a wall."""
        if np.array_equal(x, self.latest.x):
            trial = self.latest
        else:
            trial = self.latest = self.objective(x.copy())
        expected = abs(float(self.best.gradient @ (x - self.best.x)))
        if trial.finite and trial.value <= self.best.value + WALL * expected:
            return trial.value, trial.gradient
        # The parabola with the slope of the best point there, and its minimum at a
        # tenth of the way from there to x.
        return self.best.value + 4 * expected, -9 * self.best.gradient

    def after_iteration(
        self, intermediate_result: scipy.optimize.OptimizeResult
    ) -> None:
        """Keep the accepted point; SciPy has just evaluated it."""
        x = intermediate_result.x
        accepted = (
            self.latest
            if np.array_equal(x, self.latest.x)
            else self.objective(np.array(x))
        )
        if np.array_equal(x, self.best.x):
            return  # what SciPy reports when its line search has failed
        self.decrease = self.best.value - accepted.value
        self.promised = self._promise(accepted)
        self.best = accepted
        self.nit += 1
        if stopped_by(self.callback, self.best, self.norm(), self.nit):
            self.stopped = True
            raise StopIteration

    def norm(self) -> float:
        """Return the max-norm of the projected gradient at the best point."""
        return max_norm(projected(self.best.x, self.best.gradient, self.box))

    def _promise(self, accepted: Point) -> float:
        """Return the decrease left, given the curvature along the last step."""
        step = accepted.x - self.best.x
        curvature = float(step @ (accepted.gradient - self.best.gradient))
        slopes = projected(accepted.x, accepted.gradient, self.box)
        squares = 0.5 * float(slopes @ slopes) * float(step @ step)
        return squares / curvature if curvature > 0 else np.inf
