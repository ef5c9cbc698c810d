"""L-BFGS: quasi-Newton steps from the last few gradients, with box constraints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import scipy

from skgrad.core.checks import check_integer
from skgrad.optim.bounds import box_of
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

__all__ = ["LBFGS"]


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

    takes: ClassVar[frozenset[str]] = frozenset({"bounds"})

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
        options = {
            "maxcor": self.memory,
            "maxfun": 100 * self.max_iter,
            "maxls": 50,
            "ftol": 0.0,
        }
        x = start(x0)
        run = ScipyRun(Objective(fun), x, box_of(bounds, x.size), callback)
        status = run.driven("L-BFGS-B", self.max_iter, self.tol, options)
        return self._result(status, run.best, run.objective, run.nit, run.norm())
