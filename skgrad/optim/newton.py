"""Damped Newton: exact curvature for models of up to some thousand parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import scipy

from skgrad.exceptions import ShapeError
from skgrad.optim.bounds import refuse_bounds
from skgrad.optim.curvature import BlockDiagonal, prepared
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
from skgrad.optim.registry import register_optimizer
from skgrad.typing import ArrayLike

__all__ = ["Newton"]

EPS = float(np.finfo(np.float64).eps)

# Sufficient decrease of Armijo's rule: Nocedal & Wright (2006), section 3.1.
ARMIJO = 1e-4

# Halvings and tenths of a step before the line search gives up: 1e-16 of the step.
MAX_BACKTRACKS = 54

# A full step that reduces the gradient to this part of it at least is followed by one
# with the same Hessian, which reduces it as much again, if so many of those will do. A
# Hessian of many rows costs about three gradients.
REUSE, REUSES = 0.1, 3

# Refinement steps of a quadratic function; each must be half as long as the one before.
MAX_REFINEMENTS = 20

# Relative error of the predicted decrease of the first step up to which a function is
# quadratic.
QUADRATIC = 1e-6

# What is known of a quadratic function after one evaluation is taken for its minimum if
# the reciprocal condition number of its Hessian and the part of the value that is left
# are above these: 12 digits of the one and 10 of the other are right.
WELL_CONDITIONED, LEFT = 1e-4, 1e-6

# Relative error of the predicted decrease up to which the curvature of the point
# before still holds.
TRUST = 0.01

# Range of the Levenberg shift, in units of the largest eigenvalue.
LEAST_DAMPING, LARGEST_DAMPING = 1e-10, 1e4


@register_optimizer("newton")
class Newton(FullBatchOptimizer):
    r"""Minimise with Newton's method, damped by backtracking.

    .. math:: x' = x - \alpha H(x)^{+} g(x), \qquad
        f(x') \le f(x) - 10^{-4} \alpha\, g^\top H^{+} g

    with :math:`\alpha = 1` tried first. For a quadratic function (least squares,
    ridge) the first step is the closed form.

    Parameters
    ----------
    max_iter : int, default=100
        Largest number of iterations, each of which evaluates at most one Hessian.
    tol : float, default=1e-8
        Stop when the max-norm of the gradient is at most this.

    See Also
    --------
    LBFGS : For many parameters, box constraints or no Hessian.

    Notes
    -----
    *Scaling.* The Hessian is scaled to a unit diagonal before it is factorised, so
    the units of the parameters do not matter.

    *Blocks.* Parameters that no curvature couples, as those of the outputs of a
    separable loss, are solved for block by block when the Hessian is given in blocks.

    *Rank deficiency.* Where the curvature is zero to rounding, the Hessian is
    inverted on its range only and the step has the smallest Euclidean norm: from
    ``x0 = 0`` a least-squares problem ends at its minimum-norm solution. The rank is
    decided on the Hessian (``result.rank``), so least squares with a condition
    number of the (column scaled) design above about 1e7 counts as rank-deficient,
    and directions weaker than that are left out.

    *No or negative curvature.* A direction with negative curvature, or with none and
    yet a slope, gets a Levenberg shift, which is adapted from step to step [1]_.

    *Hessians.* Close to the minimum some steps may follow one with the same Hessian
    (Shamanskii's method), where a new one costs more than it saves. Far from it, where
    the next step will want one, it is evaluated with the value and the gradient of
    the step before: a function that computes all three from one pass over its data
    makes fewer of them.

    *Last digits.* After the tolerance, or the rounding floor of the value, is reached,
    a function that is not quadratic is minimised until the gradient has fallen by
    the same factor again, which a Newton step does. For a quadratic one, full steps
    with the last Hessian continue for as long as each is at most half as long as
    the one before (iterative refinement [2]_, section 12.1: the length of the step,
    not the gradient, shows the error in directions of small curvature). Neither are
    counted in ``nit``.

    References
    ----------
    .. [1] Nocedal, J. and Wright, S. J. (2006). Numerical Optimization, 2nd ed.,
       algorithm 3.2 and section 3.4 (eigenvalue modification). Springer.
    .. [2] Higham, N. J. (2002). Accuracy and Stability of Numerical Algorithms,
       2nd ed. SIAM.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.optim import Newton
    >>> X = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])   # rank one
    >>> y = np.array([5.0, 10.0, 15.0])
    >>> def fun(x, hessian=False):
    ...     r = X @ x - y
    ...     first = 0.5 * r @ r, X.T @ r
    ...     return (*first, X.T @ X) if hessian else first
    >>> result = Newton().minimize(fun, np.zeros(2))
    >>> result.x.round(8), result.nit
    (array([1., 2.]), 1)
    """

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
        hessian: Matrix | BlockDiagonal | None = None,
        quadratic: bool = False,
    ) -> scipy.optimize.OptimizeResult:
        """Minimise `fun` from `x0`; see :meth:`FullBatchOptimizer.minimize`.

        Parameters
        ----------
        fun : callable
            ``fun(x) -> (value, gradient)`` and
            ``fun(x, hessian=True) -> (value, gradient, hessian)``, the Hessian of
            shape (n_parameters, n_parameters) or a
            `~skgrad.optim.curvature.BlockDiagonal`.
        x0 : array-like of shape (n_parameters,)
            Starting point.
        callback : callable, default=None
            ``callback(x, value, gradient_norm, iteration)``.
        bounds : None
            Newton takes none.
        hessian : ndarray or BlockDiagonal, default=None
            One close to that at `x0`, for the first step. By default it is evaluated.
        quadratic : bool, default=False
            Whether the Hessian is constant: unless digits would be lost, the minimum
            is then known after the first evaluation.

        Returns
        -------
        scipy.optimize.OptimizeResult
            As :meth:`FullBatchOptimizer.minimize` says, and ``rank``: the number of
            directions in which the last Hessian is positive beyond rounding.

        Raises
        ------
        ParameterError
            If a parameter is invalid or `bounds` is given.
        ShapeError
            If `x0`, the gradient or the Hessian has the wrong shape.
        """
        self.validate()
        refuse_bounds("Newton", bounds)
        run = _Run(Objective(fun), start(x0), callback, hessian, quadratic)
        status = run.descend(self.max_iter, self.tol)
        if status.success:
            status = run.refine(status, self.tol)
        result = self._result(status, run.point, run.objective, run.nit, run.point.norm)
        result.rank = run.rank
        return result


class _Run:
    """State of one minimisation: the point, the curvature there, the damping."""

    def __init__(
        self,
        objective: Objective,
        x: Vector,
        callback: Callback | None,
        hessian: Matrix | BlockDiagonal | None,
        quadratic: bool,
    ) -> None:
        self.objective = objective
        self.callback = callback
        self.nit = 0
        self.rank = 0
        self.damping = 1.0
        self.last_length = np.inf
        self.declared = quadratic
        self.quadratic = True  # as far as the first step shows
        self.keep = hessian is not None  # whether the next step may have this Hessian
        self.part = 1.0  # of the gradient that the last step left
        self.ahead: Matrix | BlockDiagonal | None = None  # Hessian of a full step
        self.refining = False
        self.tol = 0.0
        self.expandable = self._expand(x, hessian)
        self.first_value, self.first_norm = self.point.value, self.point.norm

    def _expand(self, x: Vector, hessian: Matrix | BlockDiagonal | None = None) -> bool:
        """Evaluate the function and its curvature at `x`; tell whether all finite."""
        if self.ahead is not None:
            hessian, self.ahead = self.ahead, None
        elif hessian is None:
            self.point, hessian = with_hessian(self.objective, x)
        else:
            self.point, hessian = self.objective(x), _checked(hessian, (x.size, x.size))
        self.here = not self.keep  # whether the Hessian is that of the point
        entries = hessian.blocks if isinstance(hessian, BlockDiagonal) else hessian
        if not (self.point.finite and np.isfinite(entries).all()):
            return False
        self.curvature = prepared(hessian)
        self.rank = self.curvature.rank
        return True

    def descend(self, max_iter: int, tol: float) -> MinimizeStatus:
        """Take damped Newton steps until something stops them."""
        self.tol = tol
        if not self.expandable:
            return MinimizeStatus.NOT_FINITE
        while self.point.norm > tol:
            if self.nit == max_iter:
                return MinimizeStatus.MAX_ITER
            if not (self.here or self.keep or self._expand(self.point.x)):
                return MinimizeStatus.NOT_FINITE
            step = self.curvature.step(self.point.gradient, self.damping)
            if not self._advance(step):
                if not self.here:  # misled by a Hessian of another point
                    self.keep = False
                    continue
                if not self._recover():
                    return self._why_no_step()
            if stopped_by(self.callback, self.point, self.point.norm, self.nit):
                return MinimizeStatus.STOPPED
            if self.point.norm > tol and self._at_floor():
                return MinimizeStatus.ROUNDING_FLOOR
        return MinimizeStatus.CONVERGED

    def _advance(self, step: Vector) -> bool:
        """Take `step` or a part of it; tell whether there was one."""
        trial, fraction = self._known(step), 1.0
        if trial is None:
            search = self._with_hessian if self._further() else self.objective
            trial, fraction = line_search(search, self.point, step)
        if trial is None or fraction < 1:
            self.ahead = None
        if trial is None:
            return False
        predicted = -0.5 * self.point.gradient @ step
        actual = self.point.value - trial.value
        error = abs(actual - predicted) if fraction == 1 else np.inf
        self.trusted = bool(error <= TRUST * predicted)
        if not self.nit:
            self.quadratic = bool(error <= QUADRATIC * predicted)
        self.part = trial.norm / self.point.norm if fraction == 1 else 1.0
        self.keep = self.ahead is None and self._again(trial.norm, self.part)
        self.here = False
        if not self.curvature.definite:
            damping = self.damping * (0.1 if fraction == 1 else 10.0)
            self.damping = min(max(damping, LEAST_DAMPING), LARGEST_DAMPING)
        self.last_length = fraction * self.curvature.length(step)
        self.point = trial
        self.nit += 1
        return True

    def _again(self, norm: float, part: float) -> bool:
        """Tell whether steps that leave this part of the gradient will soon do."""
        return part <= REUSE and norm * part**REUSES <= self.tol

    def _further(self) -> bool:
        """Tell whether a step after the full one will want the Hessian there.

        It comes with value and gradient for less than by itself. A step is expected to
        leave the square of the part that the last one left, as Newton's do; the first
        says nothing yet, and one with a Hessian from elsewhere will not do better than
        the least that another may follow.
        """
        if not self.here:
            return not self.nit and self.point.norm * REUSE > self.tol
        part = self.part**2
        left = self.point.norm * part
        return self.nit > 0 and left > self.tol and not self._again(left, part)

    def _with_hessian(self, x: Vector) -> Point:
        """Evaluate a trial step, the first with the Hessian."""
        if self.ahead is not None:
            return self.objective(x)
        point, self.ahead = with_hessian(self.objective, x)
        return point

    def _known(self, step: Vector) -> Point | None:
        """Return where a step leads on a quadratic function, if that is exact."""
        if not self.declared or self.curvature.rcond < WELL_CONDITIONED:
            return None
        x, value, gradient = self.point
        change = self.curvature.product(step)
        after = value + float(step @ (gradient + 0.5 * change))
        if not after > LEFT * abs(value):
            return None
        return Point(x + step, after, gradient + change)

    def _recover(self) -> bool:
        """Descend along the scaled gradient where Newton's direction led nowhere.

        That happens at kinks of the gradient (Huber's loss with few small residuals),
        where the curvature says little about the neighbourhood.
        """
        if self._at_rounding():
            return False
        self.damping = 1.0
        return self._advance(self.curvature.gradient_step(self.point.gradient))

    def _at_floor(self) -> bool:
        """Tell whether the next step would change the value by rounding only.

        The curvature is that of the point before, which saves a Hessian; it is used
        where it predicted the last decrease well.
        """
        if self.refining or not self.trusted:
            return False
        return self._promised() <= EPS * abs(self.point.value)

    def _promised(self) -> float:
        """Return the decrease of the value that the quadratic model promises."""
        gradient = self.point.gradient
        return float(-0.5 * gradient @ self.curvature.step(gradient, damping=1.0))

    def _at_rounding(self) -> bool:
        """Tell whether the promised decrease could be lost in rounding errors.

        The value carries the rounding errors of its terms, which may be larger than
        itself: the value at the start measures them (residuals that vanish).
        """
        rounding = EPS * max(1e4 * abs(self.point.value), abs(self.first_value))
        return self._promised() <= rounding

    def _why_no_step(self) -> MinimizeStatus:
        """Tell a minimum reached to rounding from a function that misbehaves."""
        if self._at_rounding():
            return MinimizeStatus.ROUNDING_FLOOR
        return MinimizeStatus.NO_DECREASE

    def refine(self, status: MinimizeStatus, tol: float) -> MinimizeStatus:
        """Add the last digits, as the notes say."""
        nit, self.callback, self.refining = self.nit, None, True
        if self.quadratic:
            self._correct()
        elif self.first_norm > tol:
            self.descend(nit + MAX_REFINEMENTS, tol * tol / self.first_norm)
        self.nit = nit
        return MinimizeStatus.CONVERGED if self.point.norm <= tol else status

    def _correct(self) -> None:
        """Take full steps with the last curvature while each halves the step."""
        rounding = 1e4 * EPS * max(abs(self.point.value), abs(self.first_value))
        for _ in range(MAX_REFINEMENTS):
            x, value, gradient = self.point
            step = self.curvature.newton_step(gradient)
            length = self.curvature.length(step)
            least = 16 * EPS * self.curvature.length(x)  # digits it would change
            if not least < length <= 0.5 * self.last_length:
                break
            trial = self.objective(x + step)
            if not (trial.finite and trial.value <= value + rounding):
                break
            self.point, self.last_length = trial, length


def with_hessian(
    objective: Objective, x: Vector
) -> tuple[Point, Matrix | BlockDiagonal]:
    """Evaluate the value, the gradient and the Hessian."""
    kept: list[Any] = []

    def first_order(x: Vector) -> tuple[Any, Any]:
        value, gradient, hessian = objective.fun(x, hessian=True)
        kept.append(hessian)
        return value, gradient

    point = Objective(first_order)(x)
    objective.nfev += 1
    objective.nhev += 1
    return point, _checked(kept[0], (x.size, x.size))


def _checked(hessian: Any, expected: tuple[int, int]) -> Matrix | BlockDiagonal:
    """Return a float64 matrix, or the blocks of one, of the expected shape."""
    if not isinstance(hessian, BlockDiagonal):
        hessian = np.asarray(hessian, dtype=np.float64)
    if hessian.shape != expected:
        raise ShapeError(
            f"The Hessian returned by fun must have shape {expected}, as x0 has "
            f"{expected[0]} elements. Got shape {hessian.shape}."
        )
    return cast(Matrix | BlockDiagonal, hessian)


def line_search(
    objective: Callable[[Vector], Point], point: Point, step: Vector
) -> tuple[Point | None, float]:
    """Backtrack from the full step until Armijo's rule holds.

    Where the decrease is below the rounding of the value, a smaller gradient counts
    instead. Returns the new point and the step length, or ``(None, 0.0)``.
    """
    slope = float(point.gradient @ step)
    rounding = 8 * EPS * abs(point.value)
    length = 1.0
    for _ in range(MAX_BACKTRACKS):
        trial = objective(point.x + length * step)
        rise = trial.value - point.value
        if trial.finite and rise <= ARMIJO * length * slope < 0:
            return trial, length
        if trial.finite and rise <= rounding and trial.norm < point.norm:
            return trial, length
        if -length * slope <= 0.01 * rounding:
            break
        length *= _shrink(rise, length * slope)
    return None, 0.0


def _shrink(rise: float, slope: float) -> float:
    """Return the minimum of the parabola through what is known, in [0.1, 0.5].

    The parabola has value 0 and the given slope at 0, and the value `rise` at 1.
    """
    if not np.isfinite(rise):
        return 0.1
    curvature = 2 * (rise - slope)
    return 0.5 if curvature <= 0 else float(np.clip(-slope / curvature, 0.1, 0.5))
