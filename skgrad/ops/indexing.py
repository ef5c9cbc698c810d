"""Gathering, scattering, sorting, and Python's square brackets."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skgrad.backend.base import backend_of
from skgrad.core.interpreter import concrete
from skgrad.core.primitive import Abstract, Primitive, register
from skgrad.core.value import Value, box, constant
from skgrad.exceptions import DTypeError, ShapeError
from skgrad.ops.elementwise import add, less, multiply, where
from skgrad.ops.promotion import as_value, astype
from skgrad.ops.shape import Triple, negative_axis, reshape, slice_p
from skgrad.typing import ArrayLike

__all__ = ["argsort", "getitem", "scatter_add", "take"]


def _take_shape(x: Any, indices: Any, axis: int) -> Abstract:
    at = len(x.shape) + axis
    return Abstract(x.shape[:at] + indices.shape + x.shape[at + 1 :], x.dtype)


def _take_vjp(g: Any, out: Any, x: Any, indices: Any, axis: int) -> Any:
    return scatter_add_p.bind(g, indices, axis=axis, size=x.shape[axis])


def _scatter_add_shape(x: Any, indices: Any, axis: int, size: int) -> Abstract:
    n = len(indices.shape)
    first = len(x.shape) + axis + 1 - n
    if first < 0 or x.shape[first : first + n] != indices.shape:
        raise ShapeError(
            f"scatter_add: shape {x.shape} does not carry the indices' shape "
            f"{indices.shape} at axis {axis}."
        )
    return Abstract((*x.shape[:first], size, *x.shape[first + n :]), x.dtype)


take_p = register(Primitive("take", _take_shape, (_take_vjp, None)))
scatter_add_p = register(
    Primitive(
        "scatter_add",
        _scatter_add_shape,
        (
            lambda g, out, x, indices, axis, size: take_p.bind(g, indices, axis=axis),
            None,
        ),
    )
)


def _integers(name: str, indices: ArrayLike) -> Any:
    value = as_value(indices, name)
    if value.size == 0 and not value.is_traced and value.dtype.kind == "f":
        value = constant(np.empty(value.shape, dtype=np.int64))  # np.array([]) is float
    if value.dtype.kind not in "iu":
        raise DTypeError(f"{name}: indices must be integers. Got {value.dtype}.")
    return value


def take(x: ArrayLike, indices: ArrayLike, axis: int = 0) -> Any:
    """Return the slices of x at the given positions along an axis.

    Parameters
    ----------
    x : tensor or array
        The elements.
    indices : tensor or array of int
        Positions, of any shape; negative ones count from the end.
    axis : int, default=0
        The axis.

    Returns
    -------
    Tensor
        The axis is replaced by the axes of ``indices``.

    Raises
    ------
    ShapeError
        If the axis is out of range.
    DTypeError
        If the indices are not integers.
    IndexError
        If a position is out of range.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.take([10.0, 20.0, 30.0], [2, 0])
    tensor([30., 10.])
    """
    value, positions = as_value(x, "take"), _integers("take", indices)
    return take_p.bind(value, positions, axis=negative_axis("take", axis, value.ndim))


def scatter_add(x: ArrayLike, indices: ArrayLike, axis: int = 0, *, size: int) -> Any:
    """Return zeros with the slices of x added at the given positions.

    The transpose of :func:`take`: positions that occur several times accumulate.

    Parameters
    ----------
    x : tensor or array
        The slices; carries the shape of ``indices`` in place of the axis.
    indices : tensor or array of int
        Positions in [-size, size).
    axis : int, default=0
        The axis of the *result* along which positions count.
    size : int
        The extent of that axis.

    Returns
    -------
    Tensor
        The sums.

    Raises
    ------
    ShapeError
        If x does not carry the indices' shape.
    DTypeError
        If the indices are not integers.
    IndexError
        If a position is out of range.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.scatter_add([1.0, 2.0, 3.0], [0, 0, 2], size=4)
    tensor([3., 0., 3., 0.])
    """
    value, positions = as_value(x, "scatter_add"), _integers("scatter_add", indices)
    ndim = value.ndim - positions.ndim + 1
    at = negative_axis("scatter_add", axis, ndim)
    return scatter_add_p.bind(value, positions, axis=at, size=int(size))


argsort_p = register(
    Primitive("argsort", lambda x, axis: Abstract(x.shape, np.dtype("int64")))
)


def argsort(x: ArrayLike, axis: int = -1) -> Any:
    """Return the positions that sort x along an axis, ascending and stable.

    Parameters
    ----------
    x : tensor or array
        The elements; NaN sorts last.
    axis : int, default=-1
        The axis.

    Returns
    -------
    Tensor
        Positions, int64; no derivative flows through them.

    Raises
    ------
    ShapeError
        If the axis is out of range.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.argsort([3.0, 1.0, 2.0])
    tensor([1, 2, 0])
    """
    value = as_value(x, "argsort")
    return argsort_p.bind(value, axis=negative_axis("argsort", axis, value.ndim))


# --- square brackets --------------------------------------------------------------


def getitem(x: ArrayLike, index: Any) -> Any:
    """Return x[index].

    Parameters
    ----------
    x : tensor or array
        The elements.
    index : int, slice, None, Ellipsis, array of int or bool, or a tuple of these
        As in NumPy. Index arrays must stand on neighbouring axes, with no ``...`` or
        None between them. A bool mask must be concrete: under a trace the result would
        have no known shape.

    Returns
    -------
    Tensor
        The selected elements; a gradient flows back to them.

    Raises
    ------
    ShapeError
        If there are too many indices, index arrays on axes that are not neighbours, or
        a mask of another shape than the axes it selects from.
    IndexError
        If a position is out of range.
    TraceError
        If a mask is traced.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.getitem([[1.0, 2.0], [3.0, 4.0]], (slice(None), -1))
    tensor([2., 4.])
    """
    value = as_value(x, "getitem")
    items = _expanded(value, index if isinstance(index, tuple) else (index,))
    arrays = [i for i, item in enumerate(items) if isinstance(item, Value)]
    if arrays:
        # Beside index arrays an int is an index array too, as in NumPy.
        items = [constant(np.array(i)) if isinstance(i, int) else i for i in items]
        arrays = [i for i, item in enumerate(items) if isinstance(item, Value)]
    basic = [slice(None) if i in arrays else item for i, item in enumerate(items)]
    sliced, kept = _slice(value, basic)
    return _gather(sliced, kept, [items[i] for i in arrays], arrays, items)


def _expanded(x: Any, index: tuple[Any, ...]) -> list[Any]:
    """Return one item per axis, Nones and the ellipsis: masks are spelled out.

    The slices an ellipsis stands for follow it. It stays because it separates index
    arrays even where it stands for no axis.
    """
    items = [_item(item) for item in index]
    used = sum(map(_n_axes, items))
    if used > x.ndim:
        raise ShapeError(f"Too many indices: {used} for shape {x.shape}.")
    if sum(item is Ellipsis for item in items) > 1:
        raise ShapeError("An index can only have a single ellipsis ('...').")
    if not any(item is Ellipsis for item in items):
        items.append(Ellipsis)
    at = next(i for i, item in enumerate(items) if item is Ellipsis)
    items[at + 1 : at + 1] = [slice(None)] * (x.ndim - used)
    return _without_masks(x, items)


def _item(item: Any) -> Any:
    """Return an int, slice, None, Ellipsis or a Value of ints or bools."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, int | np.integer) and not isinstance(item, bool):
        return int(item)
    value = as_value(item, "getitem")
    if value.dtype != np.bool_:
        return _integers("getitem", value)
    if value.ndim == 0:
        raise DTypeError("Indexing with a single bool is not supported.")
    return value


def _is_mask(item: Any) -> bool:
    return isinstance(item, Value) and item.dtype == np.bool_


def _n_axes(item: Any) -> int:
    """Return how many axes of the indexed tensor an item takes."""
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if _is_mask(item) else 1


def _without_masks(x: Any, items: Sequence[Any]) -> list[Any]:
    """Replace each mask by the positions where it holds, one array per axis."""
    out: list[Any] = []
    axis = 0
    for item in items:
        n_axes = _n_axes(item)
        if _is_mask(item):
            mask = concrete(item, "Indexing with a bool mask")
            if mask.shape != x.shape[axis : axis + n_axes]:
                raise ShapeError(
                    f"A mask of shape {mask.shape} does not fit axis {axis} and "
                    f"following of shape {x.shape}."
                )
            places = backend_of(mask).instruction("nonzero")(mask)
            out.extend(box(place, None, item._index) for place in places)
        else:
            out.append(item)
        axis += n_axes
    return out


def _slice(x: Any, items: Sequence[Any]) -> tuple[Any, list[int]]:
    """Apply ints, slices and Nones; return where each item's axis ended up."""
    triples: list[Triple] = []
    shape: list[int] = []
    kept: list[int] = []
    axis = 0
    for item in items:
        kept.append(len(shape))
        if item is Ellipsis:
            continue
        if item is None:
            shape.append(1)
            continue
        n = x.shape[axis]
        triple = _triple(item, n, axis, x.shape)
        triples.append(triple)
        if not isinstance(item, int):
            shape.append(len(range(n)[slice(*triple)]))
        axis += 1
    if any(t != (0, n, 1) for t, n in zip(triples, x.shape, strict=True)):
        x = slice_p.bind(x, slices=tuple(triples))
    return reshape(x, shape), kept


def _triple(item: int | slice, n: int, axis: int, shape: tuple[int, ...]) -> Triple:
    if isinstance(item, int):
        if not -n <= item < n:
            raise IndexError(
                f"index {item} is out of range for axis {axis} of shape {shape}."
            )
        return (item % n, item % n + 1, 1)
    start, stop, step = item.indices(n)
    if len(range(start, stop, step)) == 0:
        return (0, 0, 1)  # a start before the first element would wrap around
    return (start, None if step < 0 and stop < 0 else stop, step)


def _gather(
    x: Any, kept: list[int], arrays: list[Any], positions: list[int], items: list[Any]
) -> Any:
    """Take at index arrays on neighbouring axes, through one flat index."""
    if not arrays:
        return x
    first = kept[positions[0]]
    if positions != list(range(positions[0], positions[0] + len(positions))):
        raise ShapeError(
            "Index arrays must stand on neighbouring axes, with no '...' or None "
            "between them. Index in two steps, or transpose first."
        )
    extents = x.shape[first : first + len(arrays)]
    flat = arrays[0] if len(arrays) == 1 else from_start(arrays[0], extents[0])
    for array, n in zip(arrays[1:], extents[1:], strict=True):
        flat = add(multiply(flat, n), from_start(array, n))
    merged = (*x.shape[:first], math.prod(extents), *x.shape[first + len(arrays) :])
    return take(reshape(x, merged), flat, axis=first)


def from_start(index: Any, n: int) -> Any:
    """Return positions on an axis of extent n with the negative ones counted from 0.

    Positions out of range raise IndexError, unless they are traced.
    """
    index = astype(index, "int64")
    if not index.is_traced:
        positions = concrete(index, "Indexing")
        if not positions.size:
            return index
        low, high = backend_of(positions).limits(positions)
        if not -n <= low <= high < n:
            raise IndexError(f"an index is out of range for an axis of extent {n}.")
        if low >= 0:
            return index
    return where(less(index, 0), add(index, n), index)
