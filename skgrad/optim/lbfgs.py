"""L-BFGS: quasi-Newton steps from the last few gradients, with box constraints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy

from skgrad.exceptions import ParameterError
from skgrad.optim.checks import check_integer
from skgrad.optim.full_batch import (
    BoundsLike,
    Callback,
    FullBatchOptimizer,
    MinimizeStatus,
    Objective,
    Point,
    Vector,
    max_norm,
    start,
    stopped_by,
)
from skgrad.optim.registry import register_optimizer
from skgrad.typing import ArrayLike

__all__ = ["LBFGS"]

# A rise of more than so many times the decrease expected to first order is a wall: the
# cubic interpolation of the line search would make the step too small to be seen.
WALL = 1e3

EPS = float(np.finfo(np.float64).eps)

# Relative decrease below which a failed line search means that the rounding floor is
# reached: 1e4 eps, because the value of a sum of many rows carries many errors.
FLOOR = 2e-12


@register_optimizer("lbfgs")
class LBFGS(FullBatchOptimizer):
    """Minimise with L-BFGS-B, the limited-memory quasi-Newton method of SciPy.

    Parameters
    ----------
    memory : int, default=10
        Number of past steps that model the curvature.
    max_iter : int, default=1000
        Largest number of iterations.
    tol : float, default=1e-8
        Stop when the max-norm of the projected gradient, ``x - clip(x - g, low,
        high)``, is at most this; without bounds that is the gradient itself.

    See Also
    --------
    Newton : For up to some hundred parameters and a Hessian: more digits, fewer steps.

    Notes
    -----
    The method stops as well when a step no longer decreases the value
    (``ROUNDING_FLOOR``); there is no other test on the value. Where a trial step
    meets a value that is not finite, or one out of all proportion, it is shortened
    to a tenth.

    References
    ----------
    .. [1] Byrd, R. H., Lu, P., Nocedal, J. and Zhu, C. (1995). A limited memory
       algorithm for bound constrained optimization. SIAM Journal on Scientific
       Computing 16(5), 1190-1208.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.optim import LBFGS
    >>> def fun(x):
    ...     return float((x - 3) @ (x - 3)), 2 * (x - 3)
    >>> result = LBFGS().minimize(fun, np.zeros(2))
    >>> result.x.round(6), result.status.name
    (array([3., 3.]), 'CONVERGED')
    >>> LBFGS().minimize(fun, np.zeros(2), bounds=[(0, 1), (None, None)]).x.round(6)
    array([1., 3.])
    """

    def __init__(
        self, memory: int = 10, max_iter: int = 1000, tol: float = 1e-8
    ) -> None:
        self.memory = memory
        self.max_iter = max_iter
        self.tol = tol

    def validate(self) -> None:
        """Check the parameters.

        Raises
        ------
        ParameterError
            If ``memory`` or ``max_iter`` is not a positive integer or ``tol`` is
            negative.
        """
        super().validate()
        check_integer("LBFGS", "memory", self.memory, 1)

    def minimize(
        self,
        fun: Callable[..., Any],
        x0: ArrayLike,
        callback: Callback | None = None,
        bounds: BoundsLike | None = None,
    ) -> scipy.optimize.OptimizeResult:
        """Minimise `fun` from `x0`; see :meth:`FullBatchOptimizer.minimize`.

        Parameters
        ----------
        fun : callable
            ``fun(x) -> (value, gradient)``.
        x0 : array-like of shape (n_parameters,)
            Starting point; clipped to the bounds.
        callback : callable, default=None
            ``callback(x, value, gradient_norm, iteration)``, with the max-norm of the
            projected gradient.
        bounds : sequence of (low, high) pairs or scipy.optimize.Bounds, default=None
            Box constraints.

        Returns
        -------
        scipy.optimize.OptimizeResult
            As :meth:`FullBatchOptimizer.minimize` says; ``status`` is never
            inferred from a message.

        Raises
        ------
        ParameterError
            If a parameter is invalid, or a lower bound exceeds its upper bound.
        ShapeError
            If `x0`, `bounds` or the gradient has the wrong shape.
        """
        self.validate()
        x = start(x0)
        box = _box(bounds, x.size)
        run = _Run(Objective(fun), np.clip(x, box.lb, box.ub), box, callback)
        status = self._status(run)
        return self._result(status, run.best, run.objective, run.nit, run.norm())

    def _status(self, run: _Run) -> MinimizeStatus:
        """Drive SciPy's routine and say why it stopped."""
        if not run.best.finite:
            return MinimizeStatus.NOT_FINITE
        if run.norm() <= self.tol:
            return MinimizeStatus.CONVERGED
        options = {
            "maxcor": self.memory,
            "maxiter": self.max_iter,
            "maxfun": 100 * self.max_iter,
            "maxls": 50,
            "gtol": self.tol,
            "ftol": 0.0,
        }
        scipy.optimize.minimize(
            run.evaluate,
            run.best.x,
            method="L-BFGS-B",
            jac=True,
            bounds=run.box,
            callback=run.after_iteration,
            options=options,
        )
        if run.stopped:
            return MinimizeStatus.STOPPED
        if run.norm() <= self.tol:
            return MinimizeStatus.CONVERGED
        if run.nit >= self.max_iter:
            return MinimizeStatus.MAX_ITER
        # Residuals that vanish leave the rounding errors of what they were at first.
        rounding = max(FLOOR * abs(run.best.value), EPS * abs(run.first_value))
        if min(run.decrease, run.promised) <= rounding:
            return MinimizeStatus.ROUNDING_FLOOR
        return MinimizeStatus.NO_DECREASE


class _Run:
    """What one call of SciPy's routine leaves behind."""

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
        self.best = self.latest = objective(x)
        self.first_value = self.best.value
        self.nit = 0
        self.decrease = self.promised = np.inf
        self.stopped = False

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
        return max_norm(self._projected(self.best))

    def _projected(self, point: Point) -> Vector:
        """Return the gradient, cut off where its step would leave the box."""
        x, _, gradient = point
        moved = np.clip(x - gradient, self.box.lb, self.box.ub)
        inside: Vector = np.where(moved == x - gradient, gradient, x - moved)
        return inside

    def _promise(self, accepted: Point) -> float:
        """Return the decrease left, given the curvature along the last step."""
        step = accepted.x - self.best.x
        curvature = float(step @ (accepted.gradient - self.best.gradient))
        projected = self._projected(accepted)
        squares = 0.5 * float(projected @ projected) * float(step @ step)
        return squares / curvature if curvature > 0 else np.inf


def _box(bounds: BoundsLike | None, size: int) -> scipy.optimize.Bounds:
    """Return `bounds` as two vectors, infinite where a side is free."""
    if bounds is None:
        return scipy.optimize.Bounds(np.full(size, -np.inf), np.full(size, np.inf))
    if isinstance(bounds, scipy.optimize.Bounds):
        low, high = bounds.lb, bounds.ub
    else:
        low = np.array([-np.inf if b[0] is None else b[0] for b in bounds], dtype=float)
        high = np.array([np.inf if b[1] is None else b[1] for b in bounds], dtype=float)
    if isinstance(bounds, scipy.optimize.Bounds) or len(bounds) == size:
        box = scipy.optimize.Bounds(
            np.broadcast_to(low, size), np.broadcast_to(high, size)
        )
        if not np.all(box.lb <= box.ub):
            raise ParameterError(f"Every lower bound must be <= its upper bound: {box}")
        return box
    raise ParameterError(
        f"'bounds' must hold one (low, high) pair per parameter, {size} in all. "
        f"Got {len(bounds)}."
    )
