"""Primitives that move elements without computing."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skgrad.core.primitive import Abstract, Primitive, register
from skgrad.exceptions import ShapeError
from skgrad.ops.promotion import as_value, operands, same_dtype
from skgrad.typing import ArrayLike, Shape

__all__ = [
    "concatenate",
    "expand_dims",
    "pad",
    "reshape",
    "squeeze",
    "swapaxes",
    "transpose",
]


def negative_axis(name: str, axis: int, ndim: int) -> int:
    """Return an axis counted from the end, or raise ShapeError."""
    if not -ndim <= axis < ndim:
        raise ShapeError(f"{name}: axis {axis} is out of range for {ndim} axes.")
    return int(axis) - ndim if axis >= 0 else int(axis)


def leading(x: Any, n_axes: int) -> Shape:
    """Return the extents before the last ``n_axes``."""
    shape: Shape = x.shape
    return shape[: len(shape) - n_axes]


# --- reshape ----------------------------------------------------------------------


def _reshape_shape(x: Any, n_axes: int, shape: Shape) -> Abstract:
    lead = leading(x, n_axes)
    if math.prod(x.shape[len(lead) :]) != math.prod(shape):
        raise ShapeError(
            f"reshape: shape {x.shape} has {math.prod(x.shape)} elements and cannot "
            f"become {lead + shape}."
        )
    return Abstract(lead + shape, x.dtype)


def _reshape_vjp(g: Any, out: Any, x: Any, n_axes: int, shape: Shape) -> Any:
    return reshape_p.bind(g, n_axes=len(shape), shape=x.shape[len(x.shape) - n_axes :])


reshape_p = register(Primitive("reshape", _reshape_shape, (_reshape_vjp,)))


def reshape(x: ArrayLike, shape: int | Sequence[int]) -> Any:
    """Return the elements in another shape, in C order.

    Parameters
    ----------
    x : tensor or array
        The elements.
    shape : int or sequence of int
        The new shape; one extent may be -1 and follows from the others.

    Returns
    -------
    Tensor
        Of the new shape.

    Raises
    ------
    ShapeError
        If the numbers of elements differ.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.reshape([1.0, 2.0, 3.0, 4.0], (2, -1)).shape
    (2, 2)
    """
    value = as_value(x, "reshape")
    wanted = (shape,) if isinstance(shape, int | np.integer) else shape
    new = tuple(int(n) for n in wanted)
    if new.count(-1) == 1:
        rest = math.prod(n for n in new if n != -1)
        if rest == 0 or value.size % rest:
            raise ShapeError(
                f"reshape: shape {value.shape} with {value.size} elements cannot "
                f"become {new}."
            )
        new = tuple(value.size // rest if n == -1 else n for n in new)
    if new == value.shape:
        return value
    return reshape_p.bind(value, n_axes=value.ndim, shape=new)


def expand_dims(x: ArrayLike, axis: int) -> Any:
    """Return x with a new axis of extent 1.

    Parameters
    ----------
    x : tensor or array
        The elements.
    axis : int
        Position of the new axis in the result.

    Returns
    -------
    Tensor
        With one more axis.

    Raises
    ------
    ShapeError
        If the axis is out of range.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.expand_dims([1.0, 2.0], -1).shape
    (2, 1)
    """
    value = as_value(x, "expand_dims")
    at = negative_axis("expand_dims", axis, value.ndim + 1) + value.ndim + 1
    return reshape(value, (*value.shape[:at], 1, *value.shape[at:]))


def squeeze(x: ArrayLike, axis: int) -> Any:
    """Return x without an axis of extent 1.

    Parameters
    ----------
    x : tensor or array
        The elements.
    axis : int
        The axis to drop.

    Returns
    -------
    Tensor
        With one axis less.

    Raises
    ------
    ShapeError
        If the axis is out of range or its extent is not 1.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.squeeze([[1.0], [2.0]], -1).shape
    (2,)
    """
    value = as_value(x, "squeeze")
    at = negative_axis("squeeze", axis, value.ndim) + value.ndim
    if value.shape[at] != 1:
        raise ShapeError(f"squeeze: axis {axis} of shape {value.shape} is not 1.")
    return reshape(value, value.shape[:at] + value.shape[at + 1 :])


# --- transpose --------------------------------------------------------------------


def _transpose_shape(x: Any, axes: tuple[int, ...]) -> Abstract:
    return Abstract(leading(x, len(axes)) + tuple(x.shape[a] for a in axes), x.dtype)


def _transpose_vjp(g: Any, out: Any, x: Any, axes: tuple[int, ...]) -> Any:
    inverse = np.argsort([a + len(axes) for a in axes])
    return transpose_p.bind(g, axes=tuple(int(i) - len(axes) for i in inverse))


transpose_p = register(Primitive("transpose", _transpose_shape, (_transpose_vjp,)))


def transpose(x: ArrayLike, axes: Sequence[int] | None = None) -> Any:
    """Return x with its axes in another order.

    Parameters
    ----------
    x : tensor or array
        The elements.
    axes : sequence of int, optional
        A permutation of the axes; reversed by default.

    Returns
    -------
    Tensor
        ``out.shape[i] == x.shape[axes[i]]``.

    Raises
    ------
    ShapeError
        If ``axes`` is not a permutation.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.transpose([[1.0, 2.0, 3.0]]).shape
    (3, 1)
    """
    value = as_value(x, "transpose")
    ndim = value.ndim
    order = tuple(range(ndim))[::-1] if axes is None else tuple(axes)
    order = tuple(negative_axis("transpose", a, ndim) for a in order)
    if sorted(order) != list(range(-ndim, 0)):
        raise ShapeError(
            f"transpose: axes {axes} are no permutation of the axes of {value.shape}."
        )
    if order == tuple(range(-ndim, 0)):
        return value
    return transpose_p.bind(value, axes=order)


def swapaxes(x: ArrayLike, axis1: int, axis2: int) -> Any:
    """Return x with two axes exchanged.

    Parameters
    ----------
    x : tensor or array
        The elements.
    axis1, axis2 : int
        The axes.

    Returns
    -------
    Tensor
        With the two axes exchanged.

    Raises
    ------
    ShapeError
        If an axis is out of range.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.swapaxes([[1.0, 2.0, 3.0]], 0, 1).shape
    (3, 1)
    """
    value = as_value(x, "swapaxes")
    first = negative_axis("swapaxes", axis1, value.ndim)
    second = negative_axis("swapaxes", axis2, value.ndim)
    order = list(range(-value.ndim, 0))
    order[first], order[second] = order[second], order[first]
    return transpose(value, order)


# --- slices -----------------------------------------------------------------------

Triple = tuple[int, int | None, int]


def _extent(triple: Triple, n: int) -> int:
    return len(range(n)[slice(*triple)])


def _slice_shape(x: Any, slices: tuple[Triple, ...]) -> Abstract:
    lead = leading(x, len(slices))
    own = x.shape[len(lead) :]
    return Abstract(
        lead + tuple(_extent(s, n) for s, n in zip(slices, own, strict=True)), x.dtype
    )


def _slice_vjp(g: Any, out: Any, x: Any, slices: tuple[Triple, ...]) -> Any:
    shape = x.shape[len(x.shape) - len(slices) :]
    return scatter_slice_p.bind(g, slices=slices, shape=shape)


def _scatter_slice_shape(x: Any, slices: tuple[Triple, ...], shape: Shape) -> Abstract:
    return Abstract(leading(x, len(shape)) + shape, x.dtype)


slice_p = register(Primitive("slice", _slice_shape, (_slice_vjp,)))
scatter_slice_p = register(
    Primitive(
        "scatter_slice",
        _scatter_slice_shape,
        (lambda g, out, x, slices, shape: slice_p.bind(g, slices=slices),),
    )
)


def pad(x: ArrayLike, widths: Sequence[tuple[int, int]]) -> Any:
    """Return x with zeros added before and after along each axis.

    Parameters
    ----------
    x : tensor or array
        The elements.
    widths : sequence of (before, after)
        One pair of non-negative ints per axis.

    Returns
    -------
    Tensor
        Extents grow by ``before + after``.

    Raises
    ------
    ShapeError
        If there is not one pair per axis, or a width is negative.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.pad([1.0, 2.0], [(1, 2)])
    tensor([0., 1., 2., 0., 0.])
    """
    value = as_value(x, "pad")
    pairs = [(int(a), int(b)) for a, b in widths]
    if len(pairs) != value.ndim or any(a < 0 or b < 0 for a, b in pairs):
        raise ShapeError(
            f"pad: widths must be one pair of non-negative ints per axis of shape "
            f"{value.shape}. Got {widths!r}."
        )
    shape = tuple(n + a + b for n, (a, b) in zip(value.shape, pairs, strict=True))
    slices = tuple((a, a + n, 1) for n, (a, _) in zip(value.shape, pairs, strict=True))
    return scatter_slice_p.bind(value, slices=slices, shape=shape)


# --- concatenate ------------------------------------------------------------------


def _concatenate_shape(*xs: Any, axis: int) -> Abstract:
    first = xs[0].shape
    at = len(first) + axis
    for x in xs:
        if len(x.shape) != len(first) or any(
            a != b
            for i, (a, b) in enumerate(zip(x.shape, first, strict=True))
            if i != at
        ):
            shapes = ", ".join(str(x.shape) for x in xs)
            raise ShapeError(f"concatenate: shapes {shapes} differ outside axis {at}.")
    total = sum(x.shape[at] for x in xs)
    return Abstract(
        (*first[:at], total, *first[at + 1 :]), same_dtype("concatenate", *xs)
    )


def _concatenate_vjp(g: Any, out: Any, *xs: Any, axis: int) -> tuple[Any, ...]:
    stops = np.cumsum([x.shape[axis] for x in xs])
    starts = [0, *stops[:-1]]
    tail = tuple((0, n, 1) for n in g.shape[g.ndim + axis + 1 :])
    return tuple(
        slice_p.bind(g, slices=((int(a), int(b), 1), *tail))
        for a, b in zip(starts, stops, strict=True)
    )


concatenate_p = register(Primitive("concatenate", _concatenate_shape, _concatenate_vjp))


def concatenate(xs: Sequence[ArrayLike], axis: int = 0) -> Any:
    """Return the arrays joined along an existing axis.

    Parameters
    ----------
    xs : sequence of tensor or array
        At least one; equal shapes outside the axis.
    axis : int, default=0
        The axis.

    Returns
    -------
    Tensor
        The joined array.

    Raises
    ------
    ShapeError
        If there is no array, an axis is out of range or the shapes do not fit.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.concatenate([[1.0], [2.0, 3.0]])
    tensor([1., 2., 3.])
    """
    if len(xs) == 0:
        raise ShapeError("concatenate: needs at least one array. Got none.")
    values = operands("concatenate", xs, "any")
    at = negative_axis("concatenate", axis, values[0].ndim)
    return concatenate_p.bind(*values, axis=at)
