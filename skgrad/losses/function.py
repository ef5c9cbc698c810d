"""A plain function as a loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skgrad.exceptions import DTypeError, ShapeError
from skgrad.losses.base import Hyper, Loss
from skgrad.tensor import Tensor

__all__ = ["FunctionLoss"]


class FunctionLoss(Loss):
    """Use a function ``loss(y_true, raw_prediction) -> values per sample`` as a loss.

    The function sees Tensors of shapes (n_samples,) and (n_samples,), or with several
    outputs (n_samples, n_outputs) twice, and returns a float Tensor of shape
    (n_samples,): no mean and no weights, which are the fit's business. It is composed
    of operators, ``skgrad.ops`` and ``skgrad.functional``; its derivatives follow.

    Parameters
    ----------
    function : callable
        The function. To be pickled it must be defined in a module, not be a lambda.
    link : {"identity", "log", "logit", "multinomial_logit"}, default="identity"
        Link of the raw prediction. With "multinomial_logit" the targets are class
        codes of shape (n_samples,) and `raw_prediction` has a column per class.

    Notes
    -----
    Nothing is known about the function: its domain is all reals, `task` is None, it is
    assumed to be twice differentiable, and neither convex nor separable.

    A logarithm of a number that is not positive gives NaN or minus infinity, as in
    NumPy. In a fit it ends in a DivergenceError that names the operation, the number
    and the line of the function: ``log(-0.43) is nan in my_loss, script.py:12``.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.losses import FunctionLoss
    >>> def fourth_power(y_true, raw_prediction):
    ...     return (y_true - raw_prediction) ** 4
    >>> loss = FunctionLoss(fourth_power)
    >>> loss(skgrad.tensor([0.0]), skgrad.tensor([2.0])).numpy().tolist()
    [16.0]
    """

    def __init__(
        self, function: Callable[[Tensor, Tensor], Tensor], link: str = "identity"
    ) -> None:
        self.function = function
        self.link = link

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the function."""
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    @property
    def labels(self) -> bool:  # type: ignore[override]
        """Whether targets are class codes: with the link "multinomial_logit"."""
        return self.link == "multinomial_logit"

    def pointwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return what the function returns, checked.

        Parameters
        ----------
        y_true, raw_prediction : Tensor
            Passed on.
        **hyperparameters
            None: a function has no hyperparameters.

        Returns
        -------
        Tensor of shape (n_samples,)
            Values per sample.

        Raises
        ------
        DTypeError
            If the function returns something else than a float Tensor.
        ShapeError
            If it does not return one value per sample.

        Examples
        --------
        >>> import skgrad
        >>> from skgrad.losses import FunctionLoss
        >>> def mean_error(y_true, raw_prediction):
        ...     return skgrad.ops.sum(abs(y_true - raw_prediction))
        >>> y_true = raw_prediction = skgrad.tensor([0.0, 1.0])
        >>> FunctionLoss(mean_error).pointwise(y_true, raw_prediction)
        Traceback (most recent call last):
            ...
        skgrad.exceptions.ShapeError: The loss function 'mean_error' must return one
        value per sample, a Tensor of shape (2,). It returned shape (): leave out the
        mean or sum, weights and averaging are applied by the fit.
        """
        values = self.function(y_true, raw_prediction)
        _check_returned(self.name, values, raw_prediction.shape[0])
        return values


def _check_returned(name: str, values: Any, n_samples: int) -> None:
    """Raise unless `values` are a float Tensor with one value per sample."""
    rule = (
        f"The loss function {name!r} must return one value per sample, a Tensor of "
        f"shape ({n_samples},)."
    )
    if not isinstance(values, Tensor):
        raise DTypeError(
            f"{rule} It returned {_describe(values)}: write it with operators, "
            f"skgrad.ops and skgrad.functional, so that it can be differentiated."
        )
    if values.shape != (n_samples,):
        raise ShapeError(
            f"{rule} It returned shape {values.shape}: {_remedy(values.shape)}."
        )
    if np.dtype(values.dtype).kind != "f":
        raise DTypeError(
            f"{rule} It returned dtype {values.dtype}: return float values."
        )


def _remedy(shape: tuple[int, ...]) -> str:
    """Return what to change in a function that returned `shape`."""
    if not shape:
        return "leave out the mean or sum, weights and averaging are applied by the fit"
    if len(shape) == 2:
        return "sum over the outputs, values.sum(axis=1)"
    return "return as many values as there are samples"


def _describe(values: Any) -> str:
    """Return a short description of a value that is no Tensor."""
    if isinstance(values, np.ndarray):
        return f"a NumPy array of shape {values.shape}"
    if values is None:
        return "None (is the return statement missing?)"
    return f"{type(values).__name__} {values!r}"[:80]
