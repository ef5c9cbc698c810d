"""Nonlinear conjugate gradients: a gradient method that keeps three vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import scipy

from skgrad.optim.bounds import box_of, refuse_bounds
from skgrad.optim.full_batch import (
    BoundsLike,
    Callback,
    FullBatchOptimizer,
    Objective,
    start,
)
from skgrad.optim.registry import register_optimizer
from skgrad.optim.scipy_run import ScipyRun
from skgrad.typing import ArrayLike

__all__ = ["NonlinearCG"]


@register_optimizer("nonlinear_cg")
class NonlinearCG(FullBatchOptimizer):
    r"""Minimise with nonlinear conjugate gradients, SciPy's method "CG".

    .. math::
        d' = -g' + \max\left(0, \frac{g'^\top (g' - g)}{g^\top g}\right) d

    (Polak and Ribière, restarted where the factor would be negative), with a line
    search that fulfils the strong conditions of Wolfe.

    Parameters
    ----------
    max_iter : int, default=1000
        Largest number of iterations.
    tol : float, default=1e-8
        Stop when the max-norm of the gradient is at most this.

    See Also
    --------
    LBFGS : Mostly fewer evaluations, for ten pairs of vectors more.
    NewtonCG : With curvature, where the gradient alone is too slow.

    Notes
    -----
    There is no test on the value. A trial step to a value that is not finite, or out
    of all proportion, is shortened.

    References
    ----------
    .. [1] Nocedal, J. and Wright, S. J. (2006). Numerical Optimization, 2nd ed.,
       section 5.2, equation 5.45 (PR+). Springer.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.optim import NonlinearCG
    >>> def fun(x):
    ...     return float((x - 3) @ (x - 3)), 2 * (x - 3)
    >>> result = NonlinearCG().minimize(fun, np.zeros(2))
    >>> result.x.round(6), result.status.name
    (array([3., 3.]), 'CONVERGED')
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
            ``fun(x) -> (value, gradient)``.
        x0 : array-like of shape (n_parameters,)
            Starting point.
        callback : callable, default=None
            ``callback(x, value, gradient_norm, iteration)``.
        bounds : None
            There are none.

        Returns
        -------
        scipy.optimize.OptimizeResult
            As :meth:`FullBatchOptimizer.minimize` says.

        Raises
        ------
        ParameterError
            If a parameter is invalid or `bounds` is given.
        ShapeError
            If `x0` or the gradient has the wrong shape.
        """
        self.validate()
        refuse_bounds("NonlinearCG", bounds)
        x = start(x0)
        run = ScipyRun(Objective(fun), x, box_of(None, x.size), callback)
        status = run.driven("CG", self.max_iter, self.tol, {})
        return self._result(status, run.best, run.objective, run.nit, run.norm())
