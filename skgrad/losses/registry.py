"""The losses by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from skgrad.core.params import did_you_mean
from skgrad.exceptions import ParameterError
from skgrad.losses.base import Loss
from skgrad.losses.function import FunctionLoss

__all__ = ["LOSSES", "get_loss", "register_loss"]

L = TypeVar("L", bound=type[Loss])

_registered: dict[str, type[Loss]] = {}
LOSSES: Mapping[str, type[Loss]] = MappingProxyType(_registered)
"""The registered losses by name, read-only; `register_loss` adds to it."""


def register_loss(name: str) -> Callable[[L], L]:
    """Return a class decorator that makes a loss known under a name.

    Parameters
    ----------
    name : str
        The name, as passed to an estimator's ``loss``. It becomes ``cls.name``.

    Returns
    -------
    callable
        The decorator; it returns the class.

    Raises
    ------
    ParameterError
        If another class has that name.

    Examples
    --------
    >>> from skgrad.losses import LOSSES, get_loss
    >>> sorted(LOSSES)
    ['absolute_error', 'expectile', 'focal', 'gamma', 'gaussian_nll', 'hinge', 'huber',
    'kl_div', 'lambdarank', 'listnet', 'log_cosh', 'log_loss', 'pairwise_logistic',
    'poisson', 'quantile', 'quantiles', 'squared_error', 'squared_hinge',
    'student_t_nll', 'tweedie']
    """

    def register(cls: L) -> L:
        if name in _registered:
            raise ParameterError(
                f"A loss named {name!r} exists already: "
                f"{_registered[name].__name__}. Choose another name."
            )
        cls.name = name
        _registered[name] = cls
        return cls

    return register


def get_loss(loss: Any) -> Loss:
    """Return a loss object, from whatever describes one.

    Parameters
    ----------
    loss : str, Loss, type or callable
        A registered name; a `Loss`, returned as it is; a `Loss` class, used with its
        defaults; or a function ``loss(y_true, raw_prediction) -> values per sample``,
        see `FunctionLoss`.

    Returns
    -------
    Loss
        The loss, validated.

    Raises
    ------
    ParameterError
        If there is no such loss or one of its parameters is out of range.

    Examples
    --------
    >>> from skgrad.losses import get_loss
    >>> get_loss("huber")
    Huber()
    >>> def cubed_error(y_true, raw_prediction):
    ...     return abs(y_true - raw_prediction) ** 3
    >>> get_loss(cubed_error).name
    'cubed_error'
    >>> get_loss("hubert")
    Traceback (most recent call last):
        ...
    skgrad.exceptions.ParameterError: There is no loss named 'hubert'. Did you mean
    'huber'? The losses are ['absolute_error', ..., 'tweedie']; a function
    loss(y_true, raw_prediction) that returns one value per sample is one too.
    """
    found = _find(loss)
    found.validate()
    return found


def _find(loss: Any) -> Loss:
    """Return the loss object that `loss` describes, not yet validated."""
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str) and loss in _registered:
        return _registered[loss]()
    if isinstance(loss, type) and issubclass(loss, Loss):
        return loss()
    if callable(loss) and not isinstance(loss, type):
        return FunctionLoss(loss)
    raise ParameterError(
        f"There is no loss named {loss!r}.{did_you_mean(loss, _registered)} "
        f"The losses are {sorted(_registered)}; a function "
        f"loss(y_true, raw_prediction) that returns one value per sample is one too."
    )
