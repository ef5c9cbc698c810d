"""Value: what primitives consume and produce."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from skgrad.backend.base import backend_of
from skgrad.typing import Array, Shape

if TYPE_CHECKING:
    from skgrad.core.graph import Node

__all__ = ["Value", "box", "constant", "register_box"]

# In the place of an index: see `Value.is_constant`.
CONSTANT = -1


class Value:
    """An array, or the symbol of one, and the node of the gradient graph it came from.

    ``data`` is a backend array when the value is concrete. Under a trace it is the
    tracer's symbol, which has ``shape`` and ``dtype`` but no elements. ``node`` is
    ``None`` when no gradient is recorded for this value; ``index`` says which output
    of the node it is.

    Parameters
    ----------
    data : array or symbol
        The elements, or what stands for them.
    node : Node, optional
        The node that produced the value.
    index : int, default=0
        Position among the outputs of ``node``; -1 for a constant, which has none, see
        :attr:`is_constant`.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.core import Value
    >>> Value(np.zeros((2, 3))).shape
    (2, 3)
    """

    __slots__ = ("__weakref__", "_data", "_index", "_node")

    def __init__(self, data: Array, node: Node | None = None, index: int = 0) -> None:
        self._data = data
        self._node = node
        self._index = index

    @property
    def shape(self) -> Shape:
        """Extents, a tuple of int."""
        shape: Shape = self._data.shape
        return shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._data.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self._data.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type, a :class:`numpy.dtype`."""
        dtype: np.dtype[Any] = self._data.dtype
        return dtype

    @property
    def is_traced(self) -> bool:
        """Whether the value is abstract: a shape and a dtype without elements."""
        return bool(getattr(self._data, "is_symbol", False))

    @property
    def is_constant(self) -> bool:
        """Whether nobody chose a device for the elements.

        Numbers, lists and NumPy arrays are constants where an operation meets them, and
        so is what was computed from them alone. They live in NumPy arrays, and are
        copied to the device of the tensors they are combined with.
        """
        return self._index < 0

    @property
    def device(self) -> str:
        """Where the elements live: ``"cpu"``, or a GPU such as ``"cuda:0"``."""
        return "cpu" if self.is_traced else backend_of(self._data).device


_box: type[Value] = Value


def register_box(cls: type[Value]) -> type[Value]:
    """Make ``cls`` the class of every value a primitive returns (a class decorator)."""
    global _box  # noqa: PLW0603 - the one place where a higher layer registers itself
    _box = cls
    return cls


def box(data: Array, node: Node | None = None, index: int = 0) -> Any:
    """Return a value of the registered class."""
    return _box(data, node, index)


def constant(data: Array) -> Any:
    """Return a NumPy array as a value that follows those it is combined with."""
    return _box(data, None, CONSTANT)
