"""Checking a state dict against a module before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from skgrad.core.params import did_you_mean
from skgrad.exceptions import DTypeError, ParameterError, ShapeError, SkgradError
from skgrad.tensor import Tensor
from skgrad.typing import ArrayLike

__all__ = ["IncompatibleKeys", "load_arrays"]

Arrays = dict[str, np.ndarray[Any, Any]]


class IncompatibleKeys(NamedTuple):
    """Names that a module and a state dict do not share.

    Attributes
    ----------
    missing : list of str
        Names of the module that the state lacks.
    unexpected : list of str
        Names of the state that the module lacks.

    Examples
    --------
    >>> from skgrad import nn
    >>> nn.Linear(2, 1).load_state_dict({"scale": 1.0}, strict=False)
    IncompatibleKeys(missing=['weight', 'bias'], unexpected=['scale'])
    """

    missing: list[str]
    unexpected: list[str]


def load_arrays(
    owner: str,
    held: Mapping[str, Tensor],
    state: Mapping[str, ArrayLike],
    strict: bool,
) -> tuple[Arrays, IncompatibleKeys]:
    """Return the arrays of `state` that go into the tensors `held`, all checked.

    Parameters
    ----------
    owner : str
        Class of the module, for the messages.
    held : mapping of str to Tensor
        What the module saves; a shared tensor under each of its names.
    state : mapping of str to array-like
        What is loaded.
    strict : bool
        Whether the names must be the same.

    Returns
    -------
    arrays : dict of str to numpy.ndarray
        Those with a name in both.
    keys : IncompatibleKeys
        The other names.

    Raises
    ------
    ParameterError
        If `strict` and names differ, or two names of one tensor have different
        values.
    ShapeError
        If a shape differs.
    DTypeError
        If a dtype differs.
    """
    keys = IncompatibleKeys(
        [name for name in held if name not in state],
        [name for name in state if name not in held],
    )
    arrays = {name: _on_host(state[name]) for name in held if name in state}
    problems: dict[type[SkgradError], list[str]] = {
        ParameterError: _key_problems(held, keys) if strict else [],
        ShapeError: _shape_problems(held, arrays),
        DTypeError: _dtype_problems(owner, held, arrays),
    }
    _raise_all(owner, problems)
    _check_shared(owner, held, arrays)
    return arrays, keys


def _on_host(values: ArrayLike) -> np.ndarray[Any, Any]:
    return values.numpy() if isinstance(values, Tensor) else np.asarray(values)


def _raise_all(owner: str, problems: Mapping[type[SkgradError], list[str]]) -> None:
    """Raise one error that lists every problem, of the first kind that has any."""
    lines = [line for found in problems.values() for line in found]
    for error, found in problems.items():
        if found:
            raise error("\n  ".join([f"The state does not fit {owner}:", *lines]))


def _key_problems(held: Mapping[str, Tensor], keys: IncompatibleKeys) -> list[str]:
    """Return a line for the names missing and one for each unexpected name."""
    missing = [f"missing: {_listed(keys.missing)}"] if keys.missing else []
    known = keys.missing or list(held)
    unexpected = [
        f"unexpected: {name!r}.{did_you_mean(name, known)}" for name in keys.unexpected
    ]
    lines = missing + unexpected
    hint = "(strict=False leaves the missing and ignores the unexpected names)"
    return [*lines, hint] if lines else []


def _shape_problems(held: Mapping[str, Tensor], arrays: Arrays) -> list[str]:
    """Return a line for each array of another shape."""
    return [
        f"shape of {name!r}: {held[name].shape} in the module, {array.shape} in the "
        f"state"
        for name, array in arrays.items()
        if array.shape != held[name].shape
    ]


def _dtype_problems(
    owner: str, held: Mapping[str, Tensor], arrays: Arrays
) -> list[str]:
    """Return a line for each array of another dtype, and the remedy."""
    lines = [
        f"dtype of {name!r}: {held[name].dtype} in the module, {array.dtype} in the "
        f"state"
        for name, array in arrays.items()
        if array.dtype != held[name].dtype
    ]
    hint = f"(convert the {owner} with .to(dtype=...), or the arrays with .astype)"
    return [*lines, hint] if lines else []


def _check_shared(owner: str, held: Mapping[str, Tensor], arrays: Arrays) -> None:
    """Refuse two values for one tensor, of which the second would win."""
    first: dict[int, str] = {}
    for name, array in arrays.items():
        other = first.setdefault(id(held[name]), name)
        if not np.array_equal(arrays[other], array, equal_nan=True):
            raise ParameterError(
                f"{owner} uses one tensor as {other!r} and as {name!r}, but the state "
                f"has two different values for it. Remove one of them from the state "
                f"and pass strict=False."
            )


def _listed(names: Iterable[str]) -> str:
    """Return the names in quotes, separated by commas."""
    return ", ".join(repr(name) for name in names)
