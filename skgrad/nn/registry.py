"""What a module has registered: the kinds, the walks over them, the checks.

A module's ``_registry`` is a dict from attribute name to `Kind`. The functions here
read it; none of them names the class `Module`, which is built on top.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from inspect import isroutine
from typing import Any

import numpy as np

from skgrad.exceptions import (
    DeviceError,
    DTypeError,
    ParameterError,
    ShapeError,
    TraceError,
)
from skgrad.tensor import Tensor, tensor

__all__ = [
    "BUFFERS",
    "PARAMETRIZATIONS",
    "Kind",
    "check_name",
    "check_plain",
    "contents",
    "holds",
    "holds_traced",
    "next_value",
    "positions",
    "registry",
    "saved_positions",
    "walk",
]


class Kind(Enum):
    """What a registered attribute is."""

    PARAMETER = "parameter"
    BUFFER = "buffer"
    TRANSIENT = "non-persistent buffer"
    HYPERPARAMETER = "hyperparameter"
    MODULE = "submodule"


# The submodule that holds what `skgrad.nn.parametrize` computes, named as in PyTorch.
PARAMETRIZATIONS = "parametrizations"

BUFFERS = (Kind.BUFFER, Kind.TRANSIENT, Kind.HYPERPARAMETER)


def registry(module: Any, attempt: str = "use the module") -> dict[str, Kind]:
    """Return the names registered in `module`, in order, with their kinds.

    Parameters
    ----------
    module : Any
        The module.
    attempt : str
        What is being tried, for the message.

    Returns
    -------
    dict of str to Kind
        The module's own dict.

    Raises
    ------
    AttributeError
        If ``super().__init__()`` was not called.
    """
    try:
        known: dict[str, Kind] = module.__dict__["_registry"]
    except KeyError:
        name = type(module).__name__
        raise AttributeError(
            f"Cannot {attempt} before Module.__init__ has run. "
            f"Write 'super().__init__()' as the first line of {name}.__init__."
        ) from None
    return known


def contents(module: Any, *kinds: Kind) -> Iterator[tuple[str, Any]]:
    """Iterate over the names and values registered in `module` itself.

    Parameters
    ----------
    module : Any
        The module.
    *kinds : Kind
        Which ones.

    Yields
    ------
    name : str
        The attribute.
    value : Tensor or Module
        Its value.
    """
    for name, kind in list(registry(module).items()):
        if kind in kinds:
            yield name, module.__dict__[name]


def positions(module: Any, *kinds: Kind) -> Iterator[tuple[str, Any, str]]:
    """Iterate over every place in the tree of `module` that holds one of `kinds`.

    Parameters
    ----------
    module : Any
        The root.
    *kinds : Kind
        Which ones.

    Yields
    ------
    name : str
        The path with dots.
    owner : Any
        The module that holds it.
    attribute : str
        The name within the owner. A tensor in two places comes twice.
    """
    for path, owner in module.named_modules():
        prefix = f"{path}." if path else ""
        for attribute, _ in contents(owner, *kinds):
            yield prefix + attribute, owner, attribute


def saved_positions(module: Any) -> Iterator[tuple[str, Any, str]]:
    """Iterate over the places in a state dict, also those of modules used twice."""
    return _saved_below("", module, ())


def _saved_below(
    prefix: str, module: Any, above: tuple[Any, ...]
) -> Iterator[tuple[str, Any, str]]:
    for kind in (Kind.PARAMETER, Kind.BUFFER):
        for attribute, _ in contents(module, kind):
            yield prefix + attribute, module, attribute
    for name, child in contents(module, Kind.MODULE):
        if child is not module and child not in above:
            yield from _saved_below(f"{prefix}{name}.", child, (*above, module))


def walk(path: str, module: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Iterate over `module` and all below it, skipping those in `seen`."""
    if id(module) in seen:
        return
    seen.add(id(module))
    yield path, module
    for name, child in contents(module, Kind.MODULE):
        yield from walk(f"{path}.{name}" if path else name, child, seen)


def check_name(module: Any, name: str, kind: Kind) -> None:
    """Refuse a name that could not be reached, or would hide a part of the class."""
    owner = type(module).__name__
    if not isinstance(name, str) or not name or "." in name:
        raise ParameterError(
            f"The name of a {kind.value} of {owner} must be a non-empty str without "
            f"dots. Got {name!r} instead."
        )
    inherited = getattr(type(module), name, None)
    if isroutine(inherited) or isinstance(inherited, property):
        raise ParameterError(
            f"The {kind.value} {name!r} would hide {owner}.{name}. Choose another name."
        )


def check_plain(
    module: Any, name: str, kind: Kind | None, value: Any, lost: tuple[type, ...]
) -> None:
    """Refuse an unregistered value that would be lost or would break a registration."""
    owner = type(module).__name__
    if holds_traced(value):
        raise TraceError(
            f"{owner}.{name} was assigned a traced tensor in forward. It has no "
            f"values, and nothing would update {owner}.{name} when the trace is run. "
            f"Return it from forward, or make it state with "
            f"self.register_buffer({name!r}, ...) in {owner}.__init__."
        )
    if kind is not None and value is not None:
        raise ParameterError(
            f"{owner}.{name} is a {kind.value}. Got {type(value).__name__} instead. "
            f"{_ways_out(name, kind)}"
        )
    if holds(value, lost):
        raise ParameterError(
            f"{owner}.{name} was assigned a {type(value).__name__} that holds modules "
            f"or parameters; they would not be fitted, saved or moved. Put modules "
            f"into nn.ModuleList or nn.ModuleDict, and parameters into attributes of "
            f"their own."
        )


def _ways_out(name: str, kind: Kind) -> str:
    """Return the sentence that says how to replace a parameter or a submodule."""
    if kind is Kind.PARAMETER:
        return (
            f"Assign nn.Parameter(...) to replace it, self.{name}.assign_(...) to "
            f"change its values, None to remove it."
        )
    return "Assign another module to replace it, None to remove it."


def holds(value: Any, kinds: type | tuple[type, ...]) -> bool:
    """Tell whether a built-in container holds, at any depth, an object of `kinds`.

    Parameters
    ----------
    value : object
        The container; anything else holds nothing.
    kinds : type or tuple of type
        What to look for.

    Returns
    -------
    bool
        Whether there is one.

    Examples
    --------
    >>> from skgrad.nn.registry import holds
    >>> holds({"a": [1, "x"]}, str), holds("x", str)
    (True, False)
    """
    return any(
        isinstance(item, kinds) or holds(item, kinds) for item in _members(value)
    )


def holds_traced(value: Any) -> bool:
    """Tell whether `value` is a traced tensor or a built-in container with one.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    bool
        Whether there is one.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.nn.registry import holds_traced
    >>> holds_traced([skgrad.tensor(1.0)])
    False
    """
    if isinstance(value, Tensor):
        return bool(value.is_traced)
    return any(holds_traced(item) for item in _members(value))


def _members(value: Any) -> Iterable[Any]:
    """Return the members of a built-in container; nothing for other objects."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return value
    return ()


def next_value(module: Any, name: str, value: Any) -> Tensor:
    """Return what a buffer becomes: of the same shape and dtype, without gradient."""
    old: Tensor = module.__dict__[name]
    if isinstance(value, np.generic):
        value = value.item()
    scalar = isinstance(value, bool | int | float)
    if not scalar and not isinstance(value, Tensor | np.ndarray):
        raise ParameterError(
            f"The buffer {name!r} of {type(module).__name__} must be a Tensor, an "
            f"array or a number. Got {type(value).__name__} instead. Use "
            f"'del module.{name}' to remove it."
        )
    if not isinstance(value, Tensor):
        weak = scalar and np.result_type(old.dtype, value) == old.dtype
        kind = old.dtype if weak else None
        value = tensor(value, dtype=kind, device=old.device)
    _check_like(module, name, old, value)
    new: Tensor = value.detach()
    return new.to(old.device) if value.is_constant else new


def _check_like(module: Any, name: str, old: Tensor, new: Tensor) -> None:
    """Refuse a new value of a buffer whose shape, dtype or device differs."""
    label = f"The buffer {name!r} of {type(module).__name__}"
    advice = "call register_buffer again to change it."
    if new.shape != old.shape:
        raise ShapeError(
            f"{label} has shape {old.shape} and keeps it. Got shape {new.shape}; "
            f"reshape the value, or {advice}"
        )
    if new.dtype != old.dtype:
        raise DTypeError(
            f"{label} has dtype {old.dtype} and keeps it. Got {new.dtype}; cast with "
            f"skgrad.ops.astype, or {advice}"
        )
    traced = new.is_traced or old.is_traced
    if not traced and not new.is_constant and new.device != old.device:
        raise DeviceError(
            f"{label} lives on {old.device!r} and stays there. Got a value on "
            f"{new.device!r}; move it with x.to({old.device!r}), or the module with "
            "module.to(device=...)."
        )
