"""Many leaves in one flat vector: ``pack`` and ``unpack`` are each other's vjp."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skgrad.core.primitive import Abstract, Primitive, register
from skgrad.exceptions import ShapeError
from skgrad.ops.promotion import as_value, operands, same_dtype
from skgrad.typing import ArrayLike, Shape

__all__ = ["pack", "unpack"]


def _size(shape: Shape) -> int:
    return math.prod(shape)


def _pack_shape(*xs: Any) -> Abstract:
    return Abstract((sum(_size(x.shape) for x in xs),), same_dtype("pack", *xs))


def _unpack_shape(flat: Any, shapes: tuple[Shape, ...]) -> tuple[Abstract, ...]:
    total = sum(_size(shape) for shape in shapes)
    if flat.shape != (total,):
        raise ShapeError(
            f"unpack: shapes {shapes} hold {total} elements. Got a vector of shape "
            f"{flat.shape}."
        )
    return tuple(Abstract(shape, flat.dtype) for shape in shapes)


def _pack_vjp(g: Any, out: Any, *xs: Any) -> tuple[Any, ...]:
    return unpack(g, [x.shape for x in xs])


def _unpack_vjp(gs: Any, outs: Any, flat: Any, shapes: tuple[Shape, ...]) -> Any:
    zeros = (np.zeros(shape, dtype=flat.dtype) for shape in shapes)
    return pack([z if g is None else g for g, z in zip(gs, zeros, strict=True)])


pack_p = register(Primitive("pack", _pack_shape, _pack_vjp))
unpack_p = register(Primitive("unpack", _unpack_shape, (_unpack_vjp,)))


def pack(leaves: Sequence[ArrayLike]) -> Any:
    """Return all elements of the leaves in one vector.

    Parameters
    ----------
    leaves : sequence of tensor or array
        At least one, of one dtype.

    Returns
    -------
    Tensor of shape (n_elements,)
        The leaves one after the other, each in C order.

    Raises
    ------
    ShapeError
        If there is no leaf.
    DTypeError
        If the floating dtypes differ.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.pack([[[1.0, 2.0], [3.0, 4.0]], [5.0]])
    tensor([1., 2., 3., 4., 5.])
    """
    if len(leaves) == 0:
        raise ShapeError("pack: needs at least one leaf. Got none.")
    return pack_p.bind(*operands("pack", leaves, "any"))


def unpack(flat: ArrayLike, shapes: Sequence[Shape]) -> tuple[Any, ...]:
    """Return the leaves of a packed vector.

    Parameters
    ----------
    flat : tensor or array of shape (n_elements,)
        The vector.
    shapes : sequence of tuple of int
        The leaves' shapes.

    Returns
    -------
    tuple of Tensor
        The leaves.

    Raises
    ------
    ShapeError
        If the shapes do not hold exactly the vector's elements.

    Examples
    --------
    >>> from skgrad import ops
    >>> [leaf.shape for leaf in ops.unpack([1.0, 2.0, 3.0], [(2,), ()])]
    [(2,), ()]
    """
    value = as_value(flat, "unpack")
    wanted = tuple(tuple(int(n) for n in shape) for shape in shapes)
    _unpack_shape(value, wanted)  # the kernel alone would take what it finds
    leaves: tuple[Any, ...] = unpack_p.bind(value, shapes=wanted)
    return leaves
