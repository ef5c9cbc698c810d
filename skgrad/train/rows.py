"""The loss of rows and its derivatives with respect to their raw predictions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from skgrad import ops
from skgrad.core.tree import tree_map
from skgrad.exceptions import ParameterError
from skgrad.executor import Traced
from skgrad.losses import Loss
from skgrad.transforms import grad, value_and_grad, vjp
from skgrad.typing import Array, Tree

__all__ = ["RowDerivatives", "RowValues"]


class RowValues(NamedTuple):
    """What :class:`RowDerivatives` found at some raw predictions.

    Parameters
    ----------
    loss : array of shape (n_samples,)
        The weighted loss of each row.
    slope : array of the shape of the raw predictions, or None
        First derivatives of the weighted losses.
    curvature : array, or None
        Second derivatives: of the shape of the raw predictions if the loss is separable
        or there is one output; otherwise of shape (n_samples, k * (k + 1) / 2), the
        upper triangle of the k x k matrix of each row, row by row.
    third : array of the shape of the raw predictions, or None
        Third derivatives.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.train.rows import RowValues
    >>> RowValues(np.array([1.0, 2.0])).total
    3.0
    """

    loss: Array
    slope: Array | None = None
    curvature: Array | None = None
    third: Array | None = None

    @property
    def total(self) -> float:
        """The sum of the weighted losses."""
        return float(self.loss.sum())


class RowDerivatives:
    """The weighted loss of each row as a function of its raw predictions.

    What linear models and smooth terms need of a loss, whichever it is: they know how
    raw predictions depend on their parameters. Compiled where that pays.

    Parameters
    ----------
    loss : Loss
        Value per row.
    y : array of shape (n_samples,) or (n_samples, n_outputs)
        Targets as the loss sees them.
    w : array of shape (n_samples,), float64
        Weights; may have any sum.
    n_runs : int, default=100
        How often it will be evaluated, about: decides whether to compile.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.losses import SquaredError
    >>> from skgrad.train.rows import RowDerivatives
    >>> y, w = np.array([1.0, 2.0]), np.array([1.0, 3.0])
    >>> found = RowDerivatives(SquaredError(), y, w)(np.zeros(2))
    >>> found.total, found.slope, found.curvature
    (6.5, array([-1., -6.]), array([1., 3.]))
    """

    def __init__(self, loss: Loss, y: Array, w: Array, n_runs: float = 100) -> None:
        self.loss, self.y, self.w = loss, y, w
        self.hyper: Tree = tree_map(np.float64, loss.hyperparameters())
        self._functions = [
            Traced(partial(self._values, order), fallback=True, n_runs=n_runs)
            for order in range(4)
        ]

    def rows(self, index: Array | slice) -> RowDerivatives:
        """Return those of some of the rows; what is traced stays of use."""
        other = object.__new__(RowDerivatives)
        other.__dict__.update(self.__dict__)
        other.y, other.w = self.y[index], self.w[index]
        return other

    def __call__(self, raw: Array, order: int = 2) -> RowValues:
        """Return losses and derivatives.

        Parameters
        ----------
        raw : array of shape (n_samples,) or (n_samples, n_outputs), float64
            Raw predictions.
        order : {0, 1, 2, 3}, default=2
            The highest derivative; the third exists for separable losses or one
            output.

        Returns
        -------
        RowValues
            New arrays. Nothing warns where they are not finite.

        Raises
        ------
        ParameterError
            If the third derivative is asked of a loss that couples outputs.
        """
        with np.errstate(all="ignore"):  # the caller looks at what comes out
            found = self._functions[order](raw, self.y, self.w, self.hyper)
        return RowValues(*found)

    def _values(self, order: int, raw: Any, y: Any, w: Any, hyper: Any) -> Any:
        def losses(out: Any) -> Any:
            return ops.multiply(w, self.loss.pointwise(y, out, **hyper))

        def total(out: Any) -> Any:
            values = losses(out)
            return ops.sum(values), values

        if order == 0:
            return (losses(raw),)
        if order == 1:
            (_, values), slope = value_and_grad(total, has_aux=True)(raw)
            return values, slope
        slope_of = grad(lambda out: total(out)[0])
        if self.loss.separable or raw.ndim == 1 or raw.shape[-1] == 1:
            second = _diagonal(slope_of)
            found = [losses(raw), slope_of(raw), second(raw)]
            return (*found, _diagonal(second)(raw)) if order == 3 else tuple(found)
        if order == 3:
            raise ParameterError(
                f"The loss {self.loss.name!r} couples the {raw.shape[-1]} outputs of a "
                "row: there is no third derivative for each of them. Ask for order=2."
            )
        slope, pullback = vjp(slope_of, raw)
        k = raw.shape[-1]
        units = [ops.broadcast_to(unit, raw.shape) for unit in np.eye(k)]
        columns = [pullback(unit)[0][:, a:] for a, unit in enumerate(units)]
        return losses(raw), slope, ops.concatenate(columns, axis=1)


def _diagonal(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the derivative of a function of each element alone."""
    return grad(lambda x: ops.sum(function(x)))
