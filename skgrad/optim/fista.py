"""FISTA: accelerated proximal gradient steps, for penalties with kinks and boxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import scipy

from skgrad.exceptions import ParameterError
from skgrad.optim.bounds import box_of
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
from skgrad.optim.newton import EPS
from skgrad.optim.penalties import Penalty
from skgrad.optim.registry import register_optimizer
from skgrad.typing import ArrayLike

__all__ = ["FISTA", "Rest"]

# Doublings of the curvature before a step is given up: 1e-18 of the first one.
MAX_BACKTRACKS = 60

# Where the decrease of a step is below so many rounding errors of the value, the
# slopes at both ends decide whether the curvature was estimated high enough.
UNCERTAIN = 100

# Iterations without a smaller gradient or a value smaller by more than rounding after
# which there is nothing more to gain. Momentum makes both oscillate.
STAGNATION = 100


@register_optimizer("fista")
class FISTA(FullBatchOptimizer):
    r"""Minimise a smooth function plus a penalty with kinks, or within a box.

    .. math::
        x' = \mathrm{prox}_{h / L} \left(y - \tfrac1L g(y)\right), \qquad
        y' = x' + \frac{t - 1}{t'} (x' - x), \qquad
        t' = \tfrac12 \left(1 + \sqrt{1 + 4 t^2}\right)

    for :math:`f + h` with f smooth; L is found by backtracking, and the momentum is
    restarted where it leads astray. Coefficients that are zero are exactly zero.

    Parameters
    ----------
    max_iter : int, default=1000
        Largest number of iterations, of two evaluations each.
    tol : float, default=1e-8
        Stop when the max-norm of ``x - prox(x - g)``, with a step of 1, is at most
        this; without penalty and bounds that is the gradient itself.

    See Also
    --------
    ProximalNewton : With a Hessian; a few iterations.
    LBFGS : For smooth functions, with bounds; far fewer iterations.

    Notes
    -----
    A step that would raise the value is made again without momentum, so that the
    value never rises, of a function that is not convex either. Both tests of [2]_ are
    used: that on the value and, for the next step, that on the slope.

    References
    ----------
    .. [1] Beck, A. and Teboulle, M. (2009). A fast iterative shrinkage-thresholding
       algorithm for linear inverse problems. SIAM J. Imaging Sci. 2(1), 183-202.
    .. [2] O'Donoghue, B. and Candès, E. (2015). Adaptive restart for accelerated
       gradient schemes. Found. Comput. Math. 15, 715-732.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.optim import FISTA, L1
    >>> def fun(x):
    ...     return 0.5 * float((x - c) @ (x - c)), x - c
    >>> c = np.array([3.0, 0.5])
    >>> result = FISTA().minimize(fun, np.zeros(2), penalty=L1(1.0))
    >>> result.x, float(result.fun)
    (array([2., 0.]), 2.625)
    >>> FISTA().minimize(fun, np.zeros(2), bounds=[(0, 1), (None, None)]).x
    array([1. , 0.5])
    """

    takes: ClassVar[frozenset[str]] = frozenset({"bounds", "penalty"})

    def __init__(self, max_iter: int = 1000, tol: float = 1e-8) -> None:
        self.max_iter = max_iter
        self.tol = tol

    def minimize(
        self,
        fun: Callable[..., Any],
        x0: ArrayLike,
        callback: Callback | None = None,
        bounds: BoundsLike | None = None,
        *,
        penalty: Penalty | None = None,
    ) -> scipy.optimize.OptimizeResult:
        """Minimise `fun` plus a penalty from `x0`.

        Parameters
        ----------
        fun : callable
            ``fun(x) -> (value, gradient)`` of the smooth part.
        x0 : array-like of shape (n_parameters,)
            Starting point; clipped to the bounds.
        callback : callable, default=None
            ``callback(x, value, norm, iteration)``, value and norm with the penalty.
        bounds : sequence of (low, high) pairs or scipy.optimize.Bounds, default=None
            Box constraints.
        penalty : L1, GroupL1 or another Penalty, default=None
            What is added to `fun`.

        Returns
        -------
        scipy.optimize.OptimizeResult
            As :meth:`FullBatchOptimizer.minimize` says. ``fun`` includes the penalty,
            ``jac`` is the gradient of the smooth part.

        Raises
        ------
        ParameterError
            If a parameter is invalid, a lower bound exceeds its upper bound, or
            bounds are combined with a penalty that couples parameters.
        ShapeError
            If `x0`, `bounds`, the penalty or the gradient has the wrong shape.
        """
        self.validate()
        x = start(x0)
        rest = Rest(penalty, bounds, x.size)
        run = _Run(Objective(fun), rest, rest.prox(x, 0.0), callback)
        status = run.descend(self.max_iter, self.tol)
        result = self._result(status, run.point, run.objective, run.nit, run.norm)
        result.fun = run.total
        return result


class Rest:
    """What is not smooth: the penalty and the box."""

    def __init__(
        self, penalty: Penalty | None, bounds: BoundsLike | None, size: int
    ) -> None:
        if penalty is not None:
            _check_penalty(penalty, bounds, size)
        self.penalty = penalty
        self.box = box_of(bounds, size)

    def value(self, x: Vector) -> float:
        """Return the penalty."""
        return 0.0 if self.penalty is None else self.penalty.value(x)

    def prox(self, x: Vector, step: float) -> Vector:
        """Return the proximal point; of a sum over parameters the clipped one."""
        near = x if self.penalty is None else self.penalty.prox(x, step)
        return self.inside(near)

    def inside(self, x: Vector) -> Vector:
        """Return the nearest point of the box."""
        clipped: Vector = np.clip(x, self.box.lb, self.box.ub)
        return clipped

    def norm(self, point: Point) -> float:
        """Return the max-norm of what a step of 1 would change."""
        moved = point.x - point.gradient
        near = self.prox(moved, 1.0)
        return max_norm(np.where(near == moved, point.gradient, point.x - near))


class _Run:
    """State of one minimisation."""

    def __init__(
        self, objective: Objective, rest: Rest, x: Vector, callback: Callback | None
    ) -> None:
        self.objective = objective
        self.rest = rest
        self.callback = callback
        self.nit = 0
        self._accept(objective(x))
        self.before = x
        self.t, self.momentum = 1.0, 0.0
        self.curvature = self.promised = 0.0
        self.first_total = self.total
        self.least_norm, self.least_total, self.idle = self.norm, self.total, 0

    def _accept(self, point: Point) -> None:
        self.point = point
        self.total = point.value + self.rest.value(point.x)
        self.norm = self.rest.norm(point) if point.finite else np.inf

    def descend(self, max_iter: int, tol: float) -> MinimizeStatus:
        """Take steps until something stops them."""
        if not self.point.finite:
            return MinimizeStatus.NOT_FINITE
        if self.norm > tol:
            self.curvature = self._first_curvature()
        while self.norm > tol:
            if self.nit == max_iter:
                return MinimizeStatus.MAX_ITER
            if not self._advance():
                promised = self.promised
                self._restart()
                if not self._advance():
                    return self._why_no_step(max(promised, self.promised))
            if stopped_by(self.callback, self._shown(), self.norm, self.nit):
                return MinimizeStatus.STOPPED
            if self.norm > tol and self._stagnates():
                return MinimizeStatus.ROUNDING_FLOOR
        return MinimizeStatus.CONVERGED

    def _shown(self) -> Point:
        return self.point._replace(value=self.total)

    def _first_curvature(self) -> float:
        """Return the curvature along the gradient, seen over a short distance."""
        x, _, gradient = self.point
        slope, size = np.linalg.norm(gradient), 1.0 + np.linalg.norm(x)
        if slope == 0:
            return 1.0
        near = self.objective(self.rest.prox(x - 1e-4 * size / slope * gradient, 0.0))
        moved = np.linalg.norm(near.x - x)
        change = np.linalg.norm(near.gradient - gradient)
        if near.finite and moved > 0 and change > 0:
            return float(change / moved)
        return float(slope / size)

    def _advance(self) -> bool:
        """Make a step that does not raise the value; tell whether there was one."""
        x, origin = self.point.x, self.point
        if self.momentum:
            origin = self.objective(x + self.momentum * (x - self.before))
        trial = self._backtracked(origin) if origin.finite else None
        if trial is None:
            return False
        total = trial.value + self.rest.value(trial.x)
        if total > self.total + 8 * EPS * abs(self.total):
            return False
        after = 0.5 * (1 + np.sqrt(1 + 4 * self.t**2))
        self.momentum, self.t = (self.t - 1) / after, after
        if (origin.x - trial.x) @ (trial.x - x) > 0:
            self._restart()
        self.before = x
        self._accept(trial)
        self.nit += 1
        return True

    def _restart(self) -> None:
        """Go on without momentum, and with less curvature if that will do."""
        self.t, self.momentum = 1.0, 0.0
        self.curvature *= 0.5

    def _why_no_step(self, promised: float) -> MinimizeStatus:
        """Tell a minimum reached to rounding from a function that misbehaves."""
        rounding = EPS * max(1e4 * abs(self.total), abs(self.first_total))
        if promised <= rounding:
            return MinimizeStatus.ROUNDING_FLOOR
        return MinimizeStatus.NO_DECREASE

    def _backtracked(self, origin: Point) -> Point | None:
        """Return the proximal step from `origin`, with a curvature that bounds it."""
        for i in range(MAX_BACKTRACKS):
            step = 1 / self.curvature
            x = self.rest.prox(origin.x - step * origin.gradient, step)
            if not i:
                self.promised = self._parabola(x - origin.x)
            trial = self.objective(x)
            if trial.finite and self._bounded(origin, trial):
                return trial
            self.curvature *= 2.0 if trial.finite else 10.0
        return None

    def _bounded(self, origin: Point, trial: Point) -> bool:
        """Tell whether the parabola of the curvature lies above the function."""
        step = trial.x - origin.x
        parabola = self._parabola(step)
        rounding = EPS * max(abs(origin.value), abs(trial.value))
        if parabola > UNCERTAIN * rounding:
            above = trial.value - origin.value - float(origin.gradient @ step)
            return above <= parabola
        return float((trial.gradient - origin.gradient) @ step) <= 2 * parabola

    def _parabola(self, step: Vector) -> float:
        """Return the height of the parabola over a step, which it promises to fall."""
        return 0.5 * self.curvature * float(step @ step)

    def _stagnates(self) -> bool:
        """Tell whether for long neither the norm nor the value has fallen."""
        lower = self.total < self.least_total - EPS * abs(self.least_total)
        self.idle = 0 if lower or self.norm < self.least_norm else self.idle + 1
        self.least_norm = min(self.least_norm, self.norm)
        self.least_total = min(self.least_total, self.total)
        return self.idle >= STAGNATION


def _check_penalty(penalty: object, bounds: BoundsLike | None, size: int) -> None:
    """Check that a penalty is one, of this size, and goes with the bounds."""
    if not isinstance(penalty, Penalty):
        raise ParameterError(
            f"The 'penalty' of FISTA must be a Penalty, such as optim.L1(0.1). Got "
            f"{penalty!r} instead."
        )
    penalty.check(size)
    if bounds is not None and not penalty.separable:
        raise ParameterError(
            f"FISTA cannot combine bounds with {type(penalty).__name__}, which couples "
            f"parameters. Leave out the bounds, or use L1."
        )
