"""Constrained parameters: computed from free ones, so that the constraint always holds.

A parametrised parameter is no parameter any more: it is what a module, the map, makes
of a free one, anew at each use. So the fit is unconstrained, any optimizer will do, and
gradients pass through the map.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, TypeVar

import numpy as np

from skgrad import functional, ops
from skgrad.core.checks import check_interval
from skgrad.exceptions import ParameterError
from skgrad.nn.container import ModuleDict
from skgrad.nn.module import Module
from skgrad.nn.parameter import Parameter
from skgrad.nn.registry import PARAMETRIZATIONS, Kind, registry
from skgrad.tensor import Tensor, tensor
from skgrad.typing import Array, ArrayLike

__all__ = ["Bounded", "Constraint", "Positive", "Simplex", "parametrize"]

M = TypeVar("M", bound=Module)


class Constraint(Module):
    """Base of the maps from free values to those that satisfy a constraint.

    Subclasses define ``forward(free)`` and its inverse on arrays, `free`.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import nn, ops
    >>> class Symmetric(nn.Constraint):
    ...     def forward(self, free):
    ...         return (free + ops.transpose(free)) / 2.0
    ...
    ...     def free(self, value):
    ...         return value
    >>> layer = nn.parametrize(nn.Linear(2, 2), "weight", Symmetric())
    >>> bool(layer.weight[0, 1] == layer.weight[1, 0])
    True
    """

    @abstractmethod
    def free(self, value: Array) -> Array:
        """Return free values that the map takes to given ones.

        Parameters
        ----------
        value : ndarray
            What the parameter is to be.

        Returns
        -------
        ndarray
            Of the same shape and dtype.

        Raises
        ------
        ParameterError
            If there are none, for the value violates the constraint.
        """


class Positive(Constraint):
    """Positive values: log(1 + exp(free)), near the free value where that is large.

    Examples
    --------
    >>> from skgrad import nn
    >>> layer = nn.parametrize(nn.Linear(3, 1), "weight", nn.Positive())
    >>> bool((layer.weight > 0).numpy().all())
    True
    """

    def forward(self, free: Tensor) -> Tensor:
        """Return log(1 + exp(free)).

        Parameters
        ----------
        free : Tensor
            Any shape.

        Returns
        -------
        Tensor
            Of the same shape, positive.
        """
        out: Tensor = ops.softplus(free)
        return out

    def free(self, value: Array) -> Array:
        """Return log(exp(value) - 1), see `Constraint.free`."""
        _require(self, value, bool((value > 0).all()), "be positive")
        return value + np.log(-np.expm1(-value))


class Bounded(Constraint):
    """Values between two bounds: low + (high - low) · sigmoid(free).

    Parameters
    ----------
    low, high : float, default=0.0 and 1.0
        The bounds, finite; inputs of every trace.

    Raises
    ------
    ParameterError
        If they are not finite or not in order.

    Examples
    --------
    >>> from skgrad import nn
    >>> layer = nn.parametrize(nn.Linear(3, 1), "weight", nn.Bounded(-1.0, 1.0))
    >>> bool((abs(layer.weight) < 1).numpy().all())
    True
    """

    low: Tensor
    high: Tensor

    def __init__(self, low: float = 0.0, high: float = 1.0) -> None:
        super().__init__()
        largest = float(np.finfo(np.float64).max)
        check_interval("Bounded", "low", low, -largest, largest, "both")
        check_interval("Bounded", "high", high, low, largest, "right")
        self.register_hyperparameter("low", low)
        self.register_hyperparameter("high", high)

    def forward(self, free: Tensor) -> Tensor:
        """Return low + (high - low) · sigmoid(free).

        Parameters
        ----------
        free : Tensor
            Any shape.

        Returns
        -------
        Tensor
            Of the same shape; a bound itself only where rounding makes it so.
        """
        low, high = (ops.astype(v, free.dtype) for v in (self.low, self.high))
        # As a mean of the bounds, no rounding passes them.
        share = ops.sigmoid(free)
        out: Tensor = low * (1.0 - share) + high * share
        return out

    def free(self, value: Array) -> Array:
        """Return the logit of the share of the way, see `Constraint.free`."""
        low, high = self.low.item(), self.high.item()
        inside = bool(((low < value) & (value < high)).all())
        _require(self, value, inside, f"lie between {low:g} and {high:g}")
        free: Array = np.log(value - low) - np.log(high - value)
        return free

    def extra_repr(self) -> str:
        """Return the bounds.

        Returns
        -------
        str
            ``"low=0, high=1"``.
        """
        if self.low.is_traced:
            return "low=traced, high=traced"
        return f"low={self.low.item():g}, high={self.high.item():g}"


class Simplex(Constraint):
    """Positive values that sum to one along an axis: softmax(free).

    Parameters
    ----------
    axis : int, default=-1
        The axis.

    Examples
    --------
    >>> from skgrad import nn
    >>> layer = nn.Linear(3, 1, bias=False)
    >>> layer = nn.parametrize(layer, "weight", nn.Simplex())
    >>> layer.weight = [[0.2, 0.3, 0.5]]
    >>> layer.weight.numpy().round(6)
    array([[0.2, 0.3, 0.5]])
    """

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, free: Tensor) -> Tensor:
        """Return softmax(free).

        Parameters
        ----------
        free : Tensor
            Any shape with the axis.

        Returns
        -------
        Tensor
            Of the same shape.
        """
        out: Tensor = functional.softmax(free, self.axis)
        return out

    def free(self, value: Array) -> Array:
        """Return the logarithms, see `Constraint.free`."""
        sums = value.sum(self.axis)
        slack = 10 * value.shape[self.axis] * np.finfo(value.dtype).eps
        holds = bool((value > 0).all() and (abs(sums - 1) <= slack).all())
        rule = f"be positive and sum to 1 along axis {self.axis}"
        _require(self, value, holds, rule)
        free: Array = np.log(value)
        return free

    def extra_repr(self) -> str:
        """Return the axis.

        Returns
        -------
        str
            ``"axis=-1"``.
        """
        return f"axis={self.axis}"


def _require(owner: Module, value: Array, holds: bool, rule: str) -> None:
    if not holds:
        raise ParameterError(
            f"{type(owner).__name__}: the values must {rule}. Got values from "
            f"{value.min():g} to {value.max():g} of shape {value.shape}."
        )


class Parametrization(Module):
    """A free parameter and the map that makes the constrained one of it."""

    original: Tensor

    def __init__(self, original: Tensor, constraint: Module) -> None:
        super().__init__()
        self.original = original
        setattr(self, "0", constraint)

    def forward(self) -> Any:
        """Return the constrained parameter."""
        return getattr(self, "0")(self.original)

    def assign(self, value: ArrayLike) -> None:
        """Set the free parameter so that the constrained one has the values given."""
        constraint, old = getattr(self, "0"), self.original
        if not isinstance(constraint, Constraint):
            raise ParameterError(
                f"{type(constraint).__name__} is no nn.Constraint: its inverse is not "
                "known. Assign the free values, "
                "module.parametrizations[name].original.assign_(...)."
            )
        given = tensor(value, dtype=old.dtype).numpy()
        if given.shape != old.shape:
            raise ParameterError(
                f"The parametrised parameter has shape {old.shape}. Got a value of "
                f"shape {given.shape}."
            )
        old.assign_(constraint.free(given))


def parametrize(module: M, name: str, constraint: Module) -> M:
    """Let a parameter of a module be computed from a free one, by a map.

    Parameters
    ----------
    module : Module
        The module that holds the parameter; changed in place.
    name : str
        The parameter, such as ``"weight"``.
    constraint : Module
        The map: `Positive`, `Bounded`, `Simplex`, a `Constraint` of your own, or any
        module from a tensor to one of the same shape.

    Returns
    -------
    Module
        `module`. Its attribute ``name`` now gives the constrained tensor and takes
        values that satisfy the constraint; the free parameter, with the values the
        parameter had, is ``parametrizations.<name>.original`` in `named_parameters`
        and the state dict, as in PyTorch.

    Raises
    ------
    ParameterError
        If there is no such parameter, it is parametrised already or the map changes
        its shape.

    Notes
    -----
    The values a parameter had become free ones: small ones around 0, as layers are
    initialised with, begin near log 2 (`Positive`), in the middle (`Bounded`) or at
    equal shares (`Simplex`). An estimator's penalty acts on the free values. Where
    inputs are standardised the constraint holds for the standardised coefficients:
    pass ``standardize=False`` if it is meant for the inputs as they are.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> layer = nn.parametrize(nn.Linear(2, 1, bias=False), "weight", nn.Simplex())
    >>> float(layer(skgrad.tensor([[3.0, 3.0]])).numpy()[0, 0].round(12))
    3.0
    >>> [name for name, _ in layer.named_parameters()]
    ['parametrizations.weight.original']
    """
    owner = type(module).__name__
    if registry(module).get(name) is not Kind.PARAMETER:
        known = [n for n, kind in registry(module).items() if kind is Kind.PARAMETER]
        raise ParameterError(
            f"{owner} has no parameter {name!r} to parametrise. It has {known}; those "
            "of a submodule are parametrised there."
        )
    free = getattr(module, name)
    out = constraint(free)
    if out.shape != free.shape:
        raise ParameterError(
            f"{type(constraint).__name__} must keep the shape of {name!r}, "
            f"{free.shape}. It returned {out.shape}."
        )
    assert isinstance(free, Parameter)
    delattr(module, name)
    if PARAMETRIZATIONS not in registry(module):
        setattr(module, PARAMETRIZATIONS, ModuleDict())
    getattr(module, PARAMETRIZATIONS)[name] = Parametrization(free, constraint)
    return module
