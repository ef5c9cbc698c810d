"""Optimizers by name, full-batch and stochastic ones alike."""

from collections.abc import Callable
from typing import TypeVar

from skgrad.core.params import did_you_mean
from skgrad.exceptions import ParameterError
from skgrad.optim.base import Optimizer
from skgrad.optim.full_batch import FullBatchOptimizer

__all__ = ["OPTIMIZERS", "get_optimizer", "register_optimizer"]

AnyOptimizer = Optimizer | FullBatchOptimizer
C = TypeVar("C", bound=type[AnyOptimizer])

OPTIMIZERS: dict[str, type[AnyOptimizer]] = {}
"""Optimizer classes by the name estimators know them by."""


def register_optimizer(name: str) -> Callable[[C], C]:
    """Return a class decorator that enters an optimizer under `name`.

    Parameters
    ----------
    name : str
        The name, in lower case.

    Returns
    -------
    callable
        The decorator; it returns the class itself.

    Raises
    ------
    ParameterError
        If the name is taken.

    Examples
    --------
    >>> from skgrad.optim import OPTIMIZERS
    >>> OPTIMIZERS["adam"]()
    Adam()
    """

    def register(cls: C) -> C:
        if name in OPTIMIZERS:
            raise ParameterError(
                f"The optimizer name {name!r} is taken by {OPTIMIZERS[name].__name__}."
            )
        OPTIMIZERS[name] = cls
        return cls

    return register


def get_optimizer(spec: object) -> AnyOptimizer:
    """Return the optimizer that `spec` describes, its parameters checked.

    Parameters
    ----------
    spec : str, optimizer or optimizer class
        A name of `OPTIMIZERS`, an object (returned as it is) or a class (called
        without arguments).

    Returns
    -------
    Optimizer or FullBatchOptimizer
        ``stochastic`` tells which.

    Raises
    ------
    ParameterError
        If there is no such optimizer, a parameter is outside its domain, or the
        object was made for the parameters of one model.

    Examples
    --------
    >>> from skgrad.optim import Adam, get_optimizer
    >>> get_optimizer("adam"), get_optimizer(Adam(b1=0.8))
    (Adam(), Adam(b1=0.8))
    >>> get_optimizer("adm")
    Traceback (most recent call last):
        ...
    skgrad.exceptions.ParameterError: Unknown optimizer 'adm'. Known are [...]; an \
optimizer object will do too. Did you mean 'adam'?
    """
    optimizer = _instance(spec)
    if isinstance(optimizer, Optimizer) and optimizer.params is not None:
        kind = type(optimizer).__name__
        raise ParameterError(
            f"This {kind} was made for the parameters of one model. Pass {optimizer!r} "
            f"without 'params' and 'lr': the fit makes its own parameters and has its "
            f"own learning rate."
        )
    optimizer.validate()
    return optimizer


def _instance(spec: object) -> AnyOptimizer:
    """Return the object that a name, a class or an object stands for."""
    if isinstance(spec, Optimizer | FullBatchOptimizer):
        return spec
    if isinstance(spec, type) and issubclass(spec, Optimizer | FullBatchOptimizer):
        return spec()
    if isinstance(spec, str) and spec in OPTIMIZERS:
        return OPTIMIZERS[spec]()
    known = sorted(OPTIMIZERS)
    raise ParameterError(
        f"Unknown optimizer {spec!r}. Known are {known}; an optimizer object will do "
        f"too.{did_you_mean(spec, known)}"
    )
