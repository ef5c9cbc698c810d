"""Proximal Newton: exact curvature beside penalties with kinks, and boxes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import scipy

from skgrad.exceptions import ParameterError
from skgrad.optim.curvature import BlockDiagonal
from skgrad.optim.fista import Rest
from skgrad.optim.full_batch import (
    BoundsLike,
    Callback,
    FullBatchOptimizer,
    Matrix,
    MinimizeStatus,
    Objective,
    Point,
    Vector,
    start,
    stopped_by,
)
from skgrad.optim.gram_descent import minimize_gram
from skgrad.optim.newton import ARMIJO, EPS, with_hessian
from skgrad.optim.penalties import L1, Penalty
from skgrad.optim.registry import register_optimizer
from skgrad.typing import ArrayLike

__all__ = ["ProximalNewton"]

# Where the promised decrease is below so many rounding errors of the value, a value
# that rises by one of them is as good.
UNCERTAIN = 100

# A coordinate whose curvature is below this part of the largest one has none: steps are
# damped by a shift of the Hessian, in units of the curvature along the gradient.
FLAT, LEAST_DAMPING, LARGEST_DAMPING = 1e-12, 1e-8, 1e8

# Halvings of a step before it is damped instead.
MAX_HALVINGS = 10

# Sweeps of coordinate descent within one step.
MAX_SWEEPS = 1000


@register_optimizer("proximal_newton")
class ProximalNewton(FullBatchOptimizer):
    r"""Minimise a smooth function plus an L1 penalty, or within a box, by curvature.

    .. math:: x' = x + \alpha (z - x), \qquad
        z = \arg\min_z \; g^\top (z - x) + \tfrac12 (z - x)^\top H (z - x) + h(z)

    for :math:`f + h`, with the gradient g and the Hessian H of f at x. The inner
    problem is solved by coordinate descent [2]_, and exactly once its zeros are known.
    A few steps reach the minimum to the last digits, where first-order methods take
    hundreds; for a quadratic function (elastic net, non-negative least squares) the
    first one does. Coefficients that are zero are exactly zero. Where the Hessian shows
    no curvature, or a step leads uphill, it is damped (Levenberg).

    Parameters
    ----------
    max_iter : int, default=100
        Largest number of iterations, each of which evaluates a Hessian.
    tol : float, default=1e-8
        Stop when the max-norm of ``x - prox(x - g)``, with a step of 1, is at most
        this, as in `FISTA`.

    See Also
    --------
    FISTA : Without a Hessian; other penalties.
    Newton : Without penalty and bounds.

    References
    ----------
    .. [1] Lee, J. D., Sun, Y. and Saunders, M. A. (2014). Proximal Newton-type methods
       for minimizing composite functions. SIAM J. Optim. 24(3), 1420-1443.
    .. [2] Friedman, J., Hastie, T. and Tibshirani, R. (2010). Regularization paths for
       generalized linear models via coordinate descent. J. Stat. Softw. 33(1), 1-22.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.optim import L1, ProximalNewton
    >>> H, c = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([3.0, 0.5])
    >>> def fun(x, hessian=False):
    ...     first = 0.5 * float(x @ H @ x - 2 * c @ x), H @ x - c
    ...     return (*first, H) if hessian else first
    >>> result = ProximalNewton().minimize(fun, np.zeros(2), penalty=L1(1.0))
    >>> result.x, result.nit
    (array([1., 0.]), 1)
    """

    takes: ClassVar[frozenset[str]] = frozenset({"bounds", "penalty"})

    def __init__(self, max_iter: int = 100, tol: float = 1e-8) -> None:
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
        quadratic: bool = False,
    ) -> scipy.optimize.OptimizeResult:
        """Minimise `fun` plus a penalty from `x0`.

        Parameters
        ----------
        fun : callable
            As that of :meth:`Newton.minimize`, of the smooth part.
        x0 : array-like of shape (n_parameters,)
            Starting point; clipped to the bounds.
        callback : callable, default=None
            ``callback(x, value, norm, iteration)``, value and norm with the penalty.
        bounds : sequence of (low, high) pairs or scipy.optimize.Bounds, default=None
            Box constraints.
        penalty : L1, default=None
            What is added to `fun`.
        quadratic : bool, default=False
            Whether the Hessian is constant, and so evaluated once.

        Returns
        -------
        scipy.optimize.OptimizeResult
            As :meth:`FullBatchOptimizer.minimize` says. ``fun`` includes the penalty,
            ``jac`` is the gradient of the smooth part.

        Raises
        ------
        ParameterError
            If a parameter is invalid, a lower bound exceeds its upper bound, or the
            penalty is another than L1.
        ShapeError
            If `x0`, `bounds`, the penalty or a derivative has the wrong shape.
        """
        self.validate()
        if penalty is not None and not isinstance(penalty, L1):
            raise ParameterError(
                "ProximalNewton takes the penalty L1. Got "
                f"{type(penalty).__name__}: use FISTA (optimizer='fista')."
            )
        x = start(x0)
        rest = Rest(penalty, bounds, x.size)
        rates = np.zeros(x.size) if penalty is None else penalty.rates(x.size)
        run = _Run(Objective(fun), rest, rates, rest.prox(x, 0.0), callback, quadratic)
        status = run.descend(self.max_iter, self.tol)
        result = self._result(status, run.point, run.objective, run.nit, run.norm)
        result.fun = run.total
        return result


class _Run:
    """State of one minimisation."""

    def __init__(
        self,
        objective: Objective,
        rest: Rest,
        rates: Vector,
        x: Vector,
        callback: Callback | None,
        quadratic: bool,
    ) -> None:
        self.objective = objective
        self.rest = rest
        self.rates = rates
        self.callback = callback
        self.quadratic = quadratic
        self.nit = 0
        self.damping = 0.0
        self.stiffness: float | None = None
        self.why_no_step = MinimizeStatus.NO_DECREASE
        self._accept(*with_hessian(objective, x))
        self.first_total = self.total

    def _accept(self, point: Point, hessian: Matrix | BlockDiagonal) -> None:
        self.point, self.hessian = point, hessian
        self.total = point.value + self.rest.value(point.x)
        self.norm = self.rest.norm(point) if point.finite else np.inf

    def descend(self, max_iter: int, tol: float) -> MinimizeStatus:
        """Take steps until something stops them."""
        if not _finite(self.point, self.hessian):
            return MinimizeStatus.NOT_FINITE
        while self.norm > tol:
            if self.nit == max_iter:
                return MinimizeStatus.MAX_ITER
            before, promised = self.norm, self._step(tol)
            if promised is None:
                return self.why_no_step
            self.nit += 1
            shown = self.point._replace(value=self.total)
            if stopped_by(self.callback, shown, self.norm, self.nit):
                return MinimizeStatus.STOPPED
            negligible = promised <= EPS * abs(self.total) and not self.damping
            if self.norm > tol and negligible and self.norm >= 0.5 * before:
                return MinimizeStatus.ROUNDING_FLOOR
        return MinimizeStatus.CONVERGED

    def _step(self, tol: float) -> float | None:
        """Take a step, damped as far as needed; return what it promised."""
        if self._flat() and not self.damping:
            self.damping = 1.0
        least = np.inf
        while True:
            step = self._inner(tol) - self.point.x
            promised = self._promised(step)
            least = min(least, promised) if not self.damping else least
            length = self._advance(step, promised)
            if length:
                self.damping *= 0.1 if length == 1 else 10.0
                self.damping *= self.damping >= LEAST_DAMPING
                return promised
            rounding = EPS * max(1e4 * abs(self.total), abs(self.first_total))
            if least <= rounding or self.damping >= LARGEST_DAMPING:
                floor = min(least, promised) <= rounding
                stuck = MinimizeStatus.NO_DECREASE
                self.why_no_step = MinimizeStatus.ROUNDING_FLOOR if floor else stuck
                return None
            self.damping = max(10 * self.damping, 1e-3)

    def _flat(self) -> bool:
        """Tell whether the Hessian shows no curvature along some coordinate."""
        diagonal = np.diagonal(_entries(self.hessian), axis1=-2, axis2=-1)
        return bool((diagonal <= FLAT * diagonal.max(initial=0.0)).any())

    def _shift(self) -> float:
        """Return what is added to the diagonal: curvature seen along the gradient."""
        if not self.damping:
            return 0.0
        if self.stiffness is None:
            x, _, gradient = self.point
            slope, size = np.linalg.norm(gradient), 1.0 + np.linalg.norm(x)
            near = self.objective(x - 1e-4 * size / slope * gradient)
            change = float(np.linalg.norm(near.gradient - gradient))
            seen = change / (1e-4 * size) if near.finite else 0.0
            self.stiffness = float(seen or slope / size)
        return self.damping * self.stiffness

    def _promised(self, step: Vector) -> float:
        """Return the decrease that slope and penalty promise for the full step."""
        x = self.point.x
        change = self.rest.value(x + step) - self.rest.value(x)
        return float(-(self.point.gradient @ step) - change)

    def _advance(self, step: Vector, promised: float) -> float:
        """Take the step, or a part of it; return which part, 0 if none."""
        x, length = self.point.x, 1.0
        # What is promised may be less than the value's rounding errors.
        rounding = 8 * EPS * abs(self.total)
        rounding *= promised <= UNCERTAIN * rounding and not self.damping
        for _ in range(MAX_HALVINGS):
            target = self.rest.inside(x + length * step)
            if self.quadratic:
                point, hessian = self.objective(target), self.hessian
            else:
                point, hessian = with_hessian(self.objective, target)
            total = point.value + self.rest.value(target)
            enough = ARMIJO * length * promised
            lower = total <= self.total - enough + rounding
            if lower and _finite(point, hessian):
                self._accept(point, hessian)
                return length
            length *= 0.5
        return 0.0

    # --- the inner problem --------------------------------------------------------

    def _inner(self, tol: float) -> Vector:
        """Return the minimum of the quadratic model with the penalty in the box."""
        hessian = self.hessian
        if not isinstance(hessian, BlockDiagonal):
            return self._part(hessian, np.arange(self.point.x.size), tol)
        z = self.point.x.copy()
        for k, index in enumerate(hessian.index):
            block = hessian.blocks[k % len(hessian.blocks)]  # one may stand for all
            z[index] = self._part(block, index, tol)
        return z

    def _part(self, H: Matrix, index: Any, tol: float) -> Vector:
        """Return the minimum over some coordinates that no others are coupled to."""
        x, g, l1 = self.point.x[index], self.point.gradient[index], self.rates[index]
        low, high = self.rest.box.lb[index], self.rest.box.ub[index]
        shift = self._shift()
        if shift:
            H = H + shift * np.eye(len(H))
        size = np.abs(np.diag(H)).max(initial=0.0)
        c = H @ x - g
        within = (0.01 * tol) ** 2 / max(size, 1e-300)
        z, *_ = minimize_gram(H, c, l1, low, high, x, tol=within, max_sweeps=MAX_SWEEPS)
        return self._polished(H, c, l1, low, high, z)

    def _polished(
        self, H: Matrix, c: Vector, l1: Vector, low: Vector, high: Vector, z: Vector
    ) -> Vector:
        """Solve for the coordinates that are neither zero nor at a bound, exactly."""
        free = (z > low) & (z < high) & ((z != 0) | (l1 == 0))
        if not free.any():
            return z
        held = np.where(free, 0.0, z)
        right = (c - H @ held - l1 * np.sign(z))[free]
        try:
            factor = scipy.linalg.cho_factor(H[np.ix_(free, free)])
        except np.linalg.LinAlgError:
            return z  # dependent coordinates: as coordinate descent shared them
        exact = z.copy()
        exact[free] = scipy.linalg.cho_solve(factor, right)
        kept = (np.sign(exact) == np.sign(z)) | (l1 == 0)
        return exact if (kept & (low <= exact) & (exact <= high)).all() else z


def _entries(hessian: Matrix | BlockDiagonal) -> Any:
    return hessian.blocks if isinstance(hessian, BlockDiagonal) else hessian


def _finite(point: Point, hessian: Matrix | BlockDiagonal) -> bool:
    return bool(point.finite and np.isfinite(_entries(hessian)).all())
