"""What full-batch optimizers share: the objective, the callback, the ways to stop.

A full-batch optimizer sees a smooth function of one flat float64 vector,
``fun(x) -> (value, gradient)``, and nothing of models, data or automatic
differentiation. It returns a :class:`scipy.optimize.OptimizeResult` whose ``status``
is a `MinimizeStatus`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
import scipy
from numpy.typing import NDArray

from skgrad.core.checks import check_integer, check_interval
from skgrad.core.params import ParamsMixin
from skgrad.exceptions import ParameterError, ShapeError
from skgrad.typing import ArrayLike

__all__ = ["FullBatchOptimizer", "MinimizeStatus"]

Vector: TypeAlias = NDArray[np.float64]
Matrix: TypeAlias = NDArray[np.float64]
BoundsLike: TypeAlias = (
    "scipy.optimize.Bounds | Sequence[tuple[float | None, float | None]]"
)
Callback: TypeAlias = Callable[[Vector, float, float, int], object]


class MinimizeStatus(IntEnum):
    """Why a full-batch optimizer stopped; the ``status`` of its result.

    Attributes
    ----------
    CONVERGED : int
        0: the max-norm of the (projected) gradient is at most ``tol``.
    MAX_ITER : int
        1: ``max_iter`` iterations were made.
    ROUNDING_FLOOR : int
        2: the function cannot decrease further in float64 although the gradient is
        above ``tol``; counts as success.
    NO_DECREASE : int
        3: the line search found no lower value although the gradient promises one.
    NOT_FINITE : int
        4: the function or its derivatives are not finite where they must be.
    STOPPED : int
        5: the callback raised ``StopIteration``.

    Examples
    --------
    >>> from skgrad.optim import MinimizeStatus
    >>> MinimizeStatus(0).name, MinimizeStatus.CONVERGED.success
    ('CONVERGED', True)
    >>> MinimizeStatus.MAX_ITER.success
    False
    """

    CONVERGED = 0
    MAX_ITER = 1
    ROUNDING_FLOOR = 2
    NO_DECREASE = 3
    NOT_FINITE = 4
    STOPPED = 5

    @property
    def success(self) -> bool:
        """Whether the result is a minimum to the accuracy asked or possible."""
        return self in (MinimizeStatus.CONVERGED, MinimizeStatus.ROUNDING_FLOOR)


MESSAGES = {
    MinimizeStatus.CONVERGED: "Converged: gradient max-norm {norm:.3g} <= tol {tol:g}.",
    MinimizeStatus.MAX_ITER: (
        "Stopped after max_iter={max_iter} iterations with gradient max-norm "
        "{norm:.3g} > tol {tol:g}. Increase max_iter, or scale the inputs."
    ),
    MinimizeStatus.ROUNDING_FLOOR: (
        "No further decrease is possible in float64: gradient max-norm {norm:.3g}, "
        "tol {tol:g}."
    ),
    MinimizeStatus.NO_DECREASE: (
        "The line search found no lower value although the gradient max-norm is "
        "{norm:.3g} > tol {tol:g}. The function has a kink here, or its gradient "
        "does not belong to its value: check the gradient by finite differences."
    ),
    MinimizeStatus.NOT_FINITE: (
        "The function, its gradient or its Hessian is not finite (value {value:g}). "
        "Start where it is finite, and check the inputs for huge values."
    ),
    MinimizeStatus.STOPPED: "Stopped by the callback: gradient max-norm {norm:.3g}.",
}


class FullBatchOptimizer(ParamsMixin, ABC):
    """Minimise a smooth function of a flat float64 vector.

    The common interface of `LBFGS`, `Newton` and others; their ``max_iter`` and
    ``tol`` are checked when ``minimize`` is called.

    Attributes
    ----------
    stochastic : bool
        Class attribute, False: an iteration uses all rows.
    takes : frozenset of str
        Class attribute: which of ``"bounds"`` and ``"penalty"`` (see
        :meth:`FISTA.minimize`) its ``minimize`` knows what to do with.
    max_iter : int
        Largest number of iterations.
    tol : float
        Bound on the max-norm of the (projected) gradient.

    Examples
    --------
    >>> from skgrad.optim import LBFGS, Newton
    >>> from skgrad.optim.full_batch import FullBatchOptimizer
    >>> [isinstance(o, FullBatchOptimizer) for o in (LBFGS(), Newton())]
    [True, True]
    """

    stochastic: ClassVar[bool] = False
    takes: ClassVar[frozenset[str]] = frozenset()

    max_iter: int
    tol: float

    @abstractmethod
    def minimize(
        self,
        fun: Callable[..., Any],
        x0: ArrayLike,
        callback: Callback | None = None,
        bounds: BoundsLike | None = None,
    ) -> scipy.optimize.OptimizeResult:
        """Minimise `fun` from `x0`.

        Parameters
        ----------
        fun : callable
            ``fun(x) -> (value, gradient)`` with ``x`` and the gradient float64 of
            shape (n_parameters,) and the value a float. `Newton` also calls
            ``fun(x, hessian=True) -> (value, gradient, hessian)``, the Hessian of
            shape (n_parameters, n_parameters); `NewtonCG` calls
            ``fun(x, vector=v) -> hessian @ v``.
        x0 : array-like of shape (n_parameters,)
            Starting point; not modified.
        callback : callable, default=None
            ``callback(x, value, gradient_norm, iteration)``, called after each
            iteration, counted from 1; the norm is the one compared with ``tol``.
            It may raise ``StopIteration`` to end the run at this ``x``; any other
            exception passes through.
        bounds : sequence of (low, high) pairs or scipy.optimize.Bounds, default=None
            Box constraints, ``None`` or infinity for a free side.

        Returns
        -------
        scipy.optimize.OptimizeResult
            With ``x, fun, jac, nit, nfev, nhev, status`` (a `MinimizeStatus`),
            ``success`` and ``message``. ``nfev`` counts evaluations of the value,
            ``nhev`` Hessians or products with one.

        Raises
        ------
        ParameterError
            If a parameter of the optimizer or `bounds` is invalid.
        ShapeError
            If `x0` is not a vector, or `fun` returns derivatives of another shape.
        """

    def validate(self) -> None:
        """Check the parameters.

        Raises
        ------
        ParameterError
            If ``max_iter`` is not a positive integer or ``tol`` is negative.
        """
        owner = type(self).__name__
        check_integer(owner, "max_iter", self.max_iter, 1)
        check_interval(owner, "tol", self.tol, 0, np.inf, closed="left")

    def _result(
        self,
        status: MinimizeStatus,
        point: Point,
        objective: Objective,
        nit: int,
        norm: float,
    ) -> scipy.optimize.OptimizeResult:
        """Return the result that ends a run at `point`."""
        message = MESSAGES[status].format(
            norm=norm, value=point.value, tol=self.tol, max_iter=self.max_iter
        )
        return scipy.optimize.OptimizeResult(
            x=point.x,
            fun=point.value,
            jac=point.gradient,
            nit=nit,
            nfev=objective.nfev,
            nhev=objective.nhev,
            status=status,
            success=status.success,
            message=message,
        )


class Point(NamedTuple):
    """A vector with the value and the gradient of the function there."""

    x: Vector
    value: float
    gradient: Vector

    @property
    def norm(self) -> float:
        """Max-norm of the gradient; 0 without parameters."""
        return max_norm(self.gradient)

    @property
    def finite(self) -> bool:
        """Whether the value and every entry of the gradient are finite."""
        return bool(np.isfinite(self.value) and np.isfinite(self.gradient).all())


class Objective:
    """The user's function with its evaluations counted and its answers checked."""

    def __init__(self, fun: Callable[..., Any]) -> None:
        self.fun = fun
        self.nfev = 0
        self.nhev = 0

    def __call__(self, x: Vector) -> Point:
        """Evaluate the value and the gradient."""
        self.nfev += 1
        value, gradient = self.fun(x.copy())
        return _point(x, value, gradient)


def start(x0: ArrayLike) -> Vector:
    """Return `x0` as a new float64 vector."""
    x = np.array(x0, dtype=np.float64)
    if x.ndim != 1:
        raise ShapeError(
            f"x0 must be a vector of shape (n_parameters,). Got shape {x.shape}; "
            f"flatten it with x0.ravel()."
        )
    if not np.isfinite(x).all():
        raise ParameterError(f"x0 must be finite. Got {x} instead.")
    return x


def max_norm(vector: Vector) -> float:
    """Return max |v_i|, 0 for an empty vector."""
    return float(np.abs(vector).max(initial=0.0))


def stopped_by(callback: Callback | None, point: Point, norm: float, nit: int) -> bool:
    """Call `callback`; tell whether it raised ``StopIteration``."""
    if callback is None:
        return False
    try:
        callback(point.x.copy(), point.value, norm, nit)
    except StopIteration:
        return True
    return False


def _point(x: Vector, value: Any, gradient: Any) -> Point:
    """Check what the function returned and keep a private copy of it."""
    gradient = np.array(gradient, dtype=np.float64)
    _check_shape("gradient", gradient, x.shape)
    return Point(x, float(value), gradient)


def _check_shape(what: str, array: Vector, expected: tuple[int, ...]) -> None:
    if array.shape != expected:
        raise ShapeError(
            f"The {what} returned by fun must have shape {expected}, that of x0. "
            f"Got shape {array.shape}."
        )
