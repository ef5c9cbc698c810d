"""Newton's method without a Hessian: its products with vectors are enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy

from skgrad.exceptions import ShapeError
from skgrad.optim.bounds import refuse_bounds
from skgrad.optim.full_batch import (
    BoundsLike,
    Callback,
    FullBatchOptimizer,
    MinimizeStatus,
    Objective,
    Vector,
    start,
    stopped_by,
)
from skgrad.optim.newton import EPS, line_search
from skgrad.optim.registry import register_optimizer
from skgrad.typing import ArrayLike

__all__ = ["NewtonCG"]

# The residual of Newton's equations is reduced at least to this part of the gradient,
# and to less the smaller the gradient has become: Nocedal & Wright (2006), (7.3).
FORCING = 0.5


@register_optimizer("newton_cg")
class NewtonCG(FullBatchOptimizer):
    r"""Minimise with Newton's method, its equations solved by conjugate gradients.

    .. math::
        \lVert H s + g \rVert \le
        \min\left(\tfrac12, \sqrt{\lVert g \rVert / \lVert g_0 \rVert}\right)
        \lVert g \rVert, \qquad x' = x + \alpha s

    with :math:`\alpha = 1` tried first (Armijo's rule). Only products of the Hessian
    with vectors are needed, each at about twice the price of a gradient.

    Parameters
    ----------
    max_iter : int, default=1000
        Largest number of iterations, each of several Hessian-vector products.
    tol : float, default=1e-8
        Stop when the max-norm of the gradient is at most this.

    See Also
    --------
    Newton : With the whole Hessian, for up to some hundred parameters.
    LBFGS : Without curvature; takes bounds.

    Notes
    -----
    Where a direction of negative curvature is met, the step is what was found before
    it, or the gradient's direction if it is the first one [1]_. The convergence is
    superlinear, as the equations are solved the better the smaller the gradient is.

    References
    ----------
    .. [1] Nocedal, J. and Wright, S. J. (2006). Numerical Optimization, 2nd ed.,
       algorithm 7.1 (line search Newton-CG). Springer.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.optim import NewtonCG
    >>> d = np.array([1.0, 10.0, 100.0])
    >>> def fun(x, vector=None):
    ...     if vector is not None:
    ...         return d * vector
    ...     return float((x - 3) @ (d * (x - 3))) / 2, d * (x - 3)
    >>> result = NewtonCG().minimize(fun, np.zeros(3))
    >>> result.x.round(6), result.status.name
    (array([3., 3., 3.]), 'CONVERGED')
    """

    def __init__(self, max_iter: int = 1000, tol: float = 1e-8) -> None:
        self.max_iter = max_iter
        self.tol = tol

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
            ``fun(x) -> (value, gradient)`` and ``fun(x, vector=v) -> H(x) v``, all
            three of shape (n_parameters,).
        x0 : array-like of shape (n_parameters,)
            Starting point.
        callback : callable, default=None
            ``callback(x, value, gradient_norm, iteration)``.
        bounds : None
            There are none.

        Returns
        -------
        scipy.optimize.OptimizeResult
            As :meth:`FullBatchOptimizer.minimize` says; ``nhev`` counts products.

        Raises
        ------
        ParameterError
            If a parameter is invalid or `bounds` is given.
        ShapeError
            If `x0`, the gradient or a product has the wrong shape.
        """
        self.validate()
        refuse_bounds("NewtonCG", bounds)
        run = _Run(Objective(fun), start(x0), callback)
        status = run.descend(self.max_iter, self.tol)
        return self._result(status, run.point, run.objective, run.nit, run.point.norm)


class _Run:
    """State of one minimisation."""

    def __init__(
        self, objective: Objective, x: Vector, callback: Callback | None
    ) -> None:
        self.objective = objective
        self.callback = callback
        self.point = objective(x)
        self.first_value = self.point.value
        self.first_norm = norm(self.point.gradient)
        self.nit = 0

    def descend(self, max_iter: int, tol: float) -> MinimizeStatus:
        """Take damped steps until something stops them."""
        if not self.point.finite:
            return MinimizeStatus.NOT_FINITE
        while self.point.norm > tol:
            if self.nit == max_iter:
                return MinimizeStatus.MAX_ITER
            step = self._step()
            if not np.isfinite(step).all():
                return MinimizeStatus.NOT_FINITE
            trial, _ = line_search(self.objective, self.point, step)
            if trial is None:
                return self._why_no_step(step)
            self.point = trial
            self.nit += 1
            if stopped_by(self.callback, self.point, self.point.norm, self.nit):
                return MinimizeStatus.STOPPED
        return MinimizeStatus.CONVERGED

    def _step(self) -> Vector:
        """Return an approximate solution of H s = -g, always a direction of descent."""
        residual = -self.point.gradient
        size = norm(residual)
        enough = size * min(FORCING, np.sqrt(size / self.first_norm))
        step, direction = np.zeros_like(residual), residual
        square = float(residual @ residual)
        for _ in range(2 * residual.size):
            product = self._product(direction)
            curvature = float(direction @ product)
            if not np.isfinite(curvature):
                return product
            if curvature <= EPS * norm(direction) * norm(product):
                # As long a first step as if the curvature were positive.
                return step if step.any() else residual * scale(square, curvature)
            length = square / curvature
            step = step + length * direction
            residual = residual - length * product
            before, square = square, float(residual @ residual)
            if np.sqrt(square) <= enough:
                break
            direction = residual + square / before * direction
        return step

    def _product(self, vector: Vector) -> Vector:
        """Return the Hessian times a vector."""
        self.objective.nhev += 1
        product = self.objective.fun(self.point.x.copy(), vector=vector.copy())
        product = np.array(product, dtype=np.float64)
        if product.shape != vector.shape:
            raise ShapeError(
                f"fun(x, vector=v) must return the Hessian times v, of shape "
                f"{vector.shape}. Got shape {product.shape}."
            )
        return product

    def _why_no_step(self, step: Vector) -> MinimizeStatus:
        """Tell a minimum reached to rounding from a function that misbehaves."""
        promised = float(-0.5 * self.point.gradient @ step)
        rounding = EPS * max(1e4 * abs(self.point.value), abs(self.first_value))
        if promised <= rounding:
            return MinimizeStatus.ROUNDING_FLOOR
        return MinimizeStatus.NO_DECREASE


def norm(vector: Vector) -> float:
    """Return the Euclidean norm."""
    return float(np.linalg.norm(vector))


def scale(square: float, curvature: float) -> float:
    """Return how long a step against the gradient is where it has no minimum."""
    return square / -curvature if curvature < 0 else 1.0
