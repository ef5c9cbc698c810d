"""Calling a module as a pure function of its parameters and buffers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MethodType
from typing import Any

import numpy as np

from skgrad.core.params import did_you_mean
from skgrad.exceptions import DTypeError, ParameterError, ShapeError, TraceError
from skgrad.nn.module import Module
from skgrad.nn.registry import BUFFERS, holds_traced, positions, registry
from skgrad.tensor import Tensor, tensor
from skgrad.typing import ArrayLike

__all__ = ["functional_call"]


def functional_call(
    module: Module,
    params: Mapping[str, ArrayLike],
    buffers: Mapping[str, ArrayLike],
    /,
    *args: Any,
    **kwargs: Any,
) -> tuple[Any, dict[str, Tensor]]:
    """Call a module with other parameters and buffers, without changing it.

    The forward pass runs on a copy of the tree of modules: modules, built-in
    containers and arrays among their attributes are copied, other objects are shared.
    So several threads may call one module at a time, and what ``forward`` assigns
    stays on the copy.

    Parameters
    ----------
    module : Module
        The module; its `training` flags hold.
    params : mapping of str to Tensor or array-like
        A value for every name of ``module.named_parameters()``, with the same shape.
        A shared parameter is replaced wherever it occurs.
    buffers : mapping of str to Tensor or array-like
        A value for every name of ``module.named_buffers()``, with the same shape and
        dtype.
    *args, **kwargs
        What ``forward`` takes.

    Returns
    -------
    out : Tensor
        What ``forward`` returns.
    new_buffers : dict of str to Tensor
        All buffers after the call, under the same names.

    Raises
    ------
    ParameterError
        If a name is missing, and would be a constant, or is unknown.
    ShapeError
        If a value has another shape.
    DTypeError
        If a value has another dtype.
    TraceError
        If ``forward`` stores a traced tensor anywhere but in a registered buffer.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> layer = nn.Linear(2, 1)
    >>> params = {"weight": skgrad.tensor([[1.0, 2.0]]), "bias": skgrad.tensor([3.0])}
    >>> out, buffers = nn.functional_call(
    ...     layer, params, {}, skgrad.tensor([[10.0, 1.0]])
    ... )
    >>> out.numpy(), buffers
    (array([[15.]]), {})
    """
    held = dict(module.named_parameters())
    new_params = _matched(module, "parameter", held, params)
    new_buffers = _matched(module, "buffer", dict(module.named_buffers()), buffers)
    clone = _copied(module, {id(old): new_params[name] for name, old in held.items()})
    places = list(positions(clone, *BUFFERS))
    for name, owner, attribute in places:
        owner.__dict__[attribute] = new_buffers[name]
    out = clone(*args, **kwargs)
    _check_leaks(clone)
    return out, {name: getattr(owner, attribute) for name, owner, attribute in places}


def _matched(
    module: Module,
    kind: str,
    held: Mapping[str, Tensor],
    given: Mapping[str, ArrayLike],
) -> dict[str, Tensor]:
    """Return a Tensor for each name `held`, checked against the one it replaces."""
    owner = type(module).__name__
    _check_names(owner, kind, held, given)
    values = {
        name: value
        if isinstance(value, Tensor)
        else tensor(value, device=held[name].device)
        for name, value in given.items()
    }
    for name, old in held.items():
        label = f"The {kind} {name!r} of {owner}"
        if values[name].shape != old.shape:
            raise ShapeError(
                f"{label} has shape {old.shape}. Got a value of shape "
                f"{values[name].shape}."
            )
        if values[name].dtype != old.dtype:
            raise DTypeError(
                f"{label} has dtype {old.dtype}. Got a value of dtype "
                f"{values[name].dtype}; cast it, or convert the module with "
                f".to(dtype=...)."
            )
    return values


def _check_names(
    owner: str, kind: str, held: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    """Refuse names that are missing or unknown."""
    missing = [name for name in held if name not in given]
    if missing:
        raise ParameterError(
            f"functional_call needs a value for every {kind} of {owner}; without one "
            f"it would be a constant of a trace. Missing: {missing}. Start from "
            f"dict(module.named_{kind}s())."
        )
    for name in given:
        if name not in held:
            raise ParameterError(
                f"{owner} has no {kind} {name!r}. Its {kind}s are {list(held)}."
                f"{did_you_mean(name, held)}"
            )


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    """Return `value` with modules, containers and arrays copied, each once.

    `memo` maps the id of an object to its copy; tensors in it are replaced.
    """
    if id(value) in memo:
        return memo[id(value)]
    if isinstance(value, Module):
        clone = memo[id(value)] = object.__new__(type(value))
        for name, item in vars(value).items():
            clone.__dict__[name] = _copied(item, memo)
        return clone
    if isinstance(value, MethodType) and isinstance(value.__self__, Module):
        return MethodType(value.__func__, _copied(value.__self__, memo))
    if type(value) is dict:
        copy: Any = {}
        memo[id(value)] = copy
        copy.update({key: _copied(item, memo) for key, item in value.items()})
        return copy
    return _copied_sequence(value, memo)


def _copied_sequence(value: Any, memo: dict[int, Any]) -> Any:
    """Return a copied list, tuple, set or array; anything else itself."""
    if type(value) is list:
        copy: Any = []
        memo[id(value)] = copy
        copy.extend(_copied(item, memo) for item in value)
        return copy
    if type(value) in (tuple, set):
        return type(value)(_copied(item, memo) for item in value)
    return value.copy() if type(value) is np.ndarray else value


def _check_leaks(clone: Module) -> None:
    """Refuse a traced tensor that ``forward`` put into a list or a dict."""
    for path, module in clone.named_modules():
        registered = registry(module)
        for name, value in vars(module).items():
            if name not in registered and holds_traced(value):
                where = f"{path}.{name}" if path else name
                raise TraceError(
                    f"forward of {type(module).__name__} put a traced tensor into "
                    f"the attribute {where!r}. It has no values, and nothing would "
                    f"update it when the trace is run. Return it from forward, or "
                    f"make it state with register_buffer in __init__."
                )
