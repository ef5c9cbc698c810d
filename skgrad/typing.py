"""Names for the types that cross layers."""

from collections.abc import Sequence
from typing import Any, TypeAlias

__all__ = ["Array", "ArrayLike", "Axes", "DTypeLike", "Shape", "Tree"]

Array: TypeAlias = Any
"""An array of some backend: ``numpy.ndarray`` or ``cupy.ndarray``."""

ArrayLike: TypeAlias = Any
"""What :func:`skgrad.tensor` takes: arrays, nested sequences, scalars, tensors."""

DTypeLike: TypeAlias = Any
"""What :class:`numpy.dtype` takes."""

Shape: TypeAlias = tuple[int, ...]
"""Extents of an array."""

Axes: TypeAlias = int | Sequence[int] | None
"""One axis, several, or ``None`` for all of them."""

Tree: TypeAlias = Any
"""Nested dicts, lists, tuples and named tuples of leaves."""
