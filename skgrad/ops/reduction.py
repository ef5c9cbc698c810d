"""Reductions over axes and their transpose, broadcasting; scans."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skgrad.core.graph import register_arithmetic
from skgrad.core.primitive import Abstract, Primitive, register
from skgrad.exceptions import ShapeError
from skgrad.ops.elementwise import add, divide, equal, multiply, negative
from skgrad.ops.promotion import as_value, astype
from skgrad.ops.shape import (
    concatenate,
    leading,
    negative_axis,
    reshape,
    slice_p,
    transpose,
)
from skgrad.typing import ArrayLike, Axes, Shape

__all__ = ["argmax", "broadcast_to", "cumsum", "max", "min", "prod", "sum"]


def normalize_axes(name: str, axis: Axes, ndim: int) -> tuple[int, ...]:
    """Return the axes counted from the end, sorted; ``None`` means all."""
    if axis is None:
        return tuple(range(-ndim, 0))
    given = (axis,) if np.ndim(axis) == 0 else tuple(axis)  # type: ignore[arg-type]
    axes = tuple(sorted(negative_axis(name, a, ndim) for a in given))  # type: ignore[arg-type]
    if len(set(axes)) != len(axes):
        raise ShapeError(f"{name}: axes {axis} name an axis twice.")
    return axes


def _reduced(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    dropped = {a + len(shape) for a in axes}
    if keepdims:
        return tuple(1 if i in dropped else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in dropped)


def _sum_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return NumPy's accumulator: integers are summed in 64 bits."""
    if dtype.kind == "f":
        return dtype
    return np.dtype("uint64" if dtype.kind == "u" else "int64")


def _sum_shape(x: Any, axes: tuple[int, ...], keepdims: bool) -> Abstract:
    return Abstract(_reduced(x.shape, axes, keepdims), _sum_dtype(x.dtype))


def _max_shape(x: Any, axes: tuple[int, ...], keepdims: bool) -> Abstract:
    if any(x.shape[a] == 0 for a in axes):
        raise ShapeError(f"max: shape {x.shape} has no elements along axes {axes}.")
    return Abstract(_reduced(x.shape, axes, keepdims), x.dtype)


def _kept(g: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """Return g with the reduced axes back, as extents of 1."""
    return reshape(g, _reduced(x.shape, axes, keepdims=True))


def _sum_vjp(g: Any, out: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    return broadcast_to(_kept(g, x, axes), x.shape)


def _max_vjp(g: Any, out: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    winners = astype(equal(x, _kept(out, x, axes)), x.dtype)
    share = divide(winners, sum(winners, axes, keepdims=True))
    return multiply(_kept(g, x, axes), share)


sum_p = register(Primitive("sum", _sum_shape, (_sum_vjp,)))
max_p = register(Primitive("max", _max_shape, (_max_vjp,)))


def sum(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """Return the sum over axes; 0 over an empty axis.

    Parameters
    ----------
    x : tensor or array
        The elements; bool and integers are summed in 64-bit integers.
    axis : int, sequence of int or None, default=None
        The axes; all by default.
    keepdims : bool, default=False
        Keep the axes, with extent 1.

    Returns
    -------
    Tensor
        The sums.

    Raises
    ------
    ShapeError
        If an axis is out of range or named twice.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([4., 6.])
    """
    value = as_value(x, "sum")
    axes = normalize_axes("sum", axis, value.ndim)
    if not axes and value.dtype == _sum_dtype(value.dtype):
        return value
    return sum_p.bind(value, axes=axes, keepdims=keepdims)


def max(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """Return the largest element over axes; ties share the derivative equally.

    Parameters
    ----------
    x : tensor or array
        The elements; NaN if one of them is NaN.
    axis : int, sequence of int or None, default=None
        The axes; all by default.
    keepdims : bool, default=False
        Keep the axes, with extent 1.

    Returns
    -------
    Tensor
        The maxima.

    Raises
    ------
    ShapeError
        If an axis is out of range, named twice or empty.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.max([[1.0, 2.0], [3.0, 4.0]], axis=1)
    tensor([2., 4.])
    """
    value = as_value(x, "max")
    axes = normalize_axes("max", axis, value.ndim)
    return max_p.bind(value, axes=axes, keepdims=keepdims) if axes else value


def min(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """Return the smallest element over axes; ties share the derivative equally.

    Parameters
    ----------
    x : tensor or array
        The elements; NaN if one of them is NaN.
    axis : int, sequence of int or None, default=None
        The axes; all by default.
    keepdims : bool, default=False
        Keep the axes, with extent 1.

    Returns
    -------
    Tensor
        The minima.

    Raises
    ------
    ShapeError
        If an axis is out of range, named twice or empty.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.min([[1.0, 2.0], [3.0, 4.0]], axis=1)
    tensor([1., 3.])
    """
    value = as_value(x, "min")
    signed = value if value.dtype.kind == "f" else astype(value, "int64")
    smallest = negative(max(negative(signed), axis, keepdims))
    return astype(smallest, value.dtype)


# --- broadcast --------------------------------------------------------------------


def _broadcast_shape(x: Any, n_axes: int, shape: Shape) -> Abstract:
    lead = leading(x, n_axes)
    own = x.shape[len(lead) :]
    fits = len(own) <= len(shape) and all(
        a in (1, b) for a, b in zip(own[::-1], shape[::-1], strict=False)
    )
    if not fits:
        raise ShapeError(f"broadcast_to: shape {own} does not broadcast to {shape}.")
    return Abstract(lead + shape, x.dtype)


def _broadcast_vjp(g: Any, out: Any, x: Any, n_axes: int, shape: Shape) -> Any:
    return sum_to(g, x.shape)


broadcast_p = register(Primitive("broadcast", _broadcast_shape, (_broadcast_vjp,)))


def broadcast_to(x: ArrayLike, shape: Sequence[int]) -> Any:
    """Return x repeated along axes of extent 1 and new leading axes.

    Parameters
    ----------
    x : tensor or array
        The elements.
    shape : sequence of int
        The target shape.

    Returns
    -------
    Tensor
        Of the target shape.

    Raises
    ------
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.broadcast_to([1.0, 2.0], (3, 2)).shape
    (3, 2)
    """
    value = as_value(x, "broadcast_to")
    target = tuple(int(n) for n in shape)
    if target == value.shape:
        return value
    return broadcast_p.bind(value, n_axes=value.ndim, shape=target)


def sum_to(x: Any, shape: Shape) -> Any:
    """Return the sum of x over the axes along which ``shape`` was broadcast."""
    extra = x.ndim - len(shape)
    axes = tuple(range(-x.ndim, -len(shape))) + tuple(
        i - len(shape)
        for i, n in enumerate(shape)
        if n == 1 and x.shape[i + extra] != 1
    )
    return reshape(sum(x, axes, keepdims=True), shape)


register_arithmetic(add, sum_to)


# --- product ----------------------------------------------------------------------


def _prod_vjp(g: Any, out: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """Multiply g by the product of the *other* elements, right at zeros too."""
    rest = tuple(a for a in range(-x.ndim, 0) if a not in axes)
    order = rest + axes
    moved = transpose(x, order)
    n = math.prod(x.shape[a] for a in axes)
    rows = reshape(moved, (*(x.shape[a] for a in rest), n))
    others = reshape(_products_of_others(rows), moved.shape)
    back = tuple(int(i) - x.ndim for i in np.argsort([a + x.ndim for a in order]))
    return multiply(_kept(g, x, axes), transpose(others, back))


def _products_of_others(x: Any) -> Any:
    """Return for each element the product of the others along the last axis.

    A binary tree of pairwise products up, then down: O(n) products without a division.
    """
    n = x.shape[-1]
    if n == 0:
        return x
    levels = [_padded_even(x)]
    while levels[-1].shape[-1] > 2:
        even, odd = _halves(levels[-1])
        levels.append(_padded_even(multiply(even, odd)))
    above: Any = None
    for level in reversed(levels):
        even, odd = _halves(level)
        pairs = (
            (odd, even) if above is None else (_times(odd, above), _times(even, above))
        )
        above = _interleave(*pairs)
    return slice_p.bind(above, slices=((0, n, 1),))


def _times(x: Any, above: Any) -> Any:
    return multiply(x, slice_p.bind(above, slices=((0, x.shape[-1], 1),)))


def _padded_even(x: Any) -> Any:
    if x.shape[-1] % 2 == 0:
        return x
    ones = as_value(np.ones((*x.shape[:-1], 1), dtype=x.dtype))
    return concatenate([x, ones], axis=-1)


def _halves(x: Any) -> tuple[Any, Any]:
    n = x.shape[-1]
    return (
        slice_p.bind(x, slices=((0, n, 2),)),
        slice_p.bind(x, slices=((1, n, 2),)),
    )


def _interleave(x: Any, y: Any) -> Any:
    pairs = concatenate([reshape(v, (*v.shape, 1)) for v in (x, y)], axis=-1)
    return reshape(pairs, (*x.shape[:-1], 2 * x.shape[-1]))


prod_p = register(Primitive("prod", _sum_shape, (_prod_vjp,)))


def prod(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """Return the product over axes; 1 over an empty axis.

    The derivative is exact where elements are zero too.

    Parameters
    ----------
    x : tensor or array
        The elements; bool and integers are multiplied in 64-bit integers.
    axis : int, sequence of int or None, default=None
        The axes; all by default.
    keepdims : bool, default=False
        Keep the axes, with extent 1.

    Returns
    -------
    Tensor
        The products.

    Raises
    ------
    ShapeError
        If an axis is out of range or named twice.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.prod([[1.0, 2.0], [3.0, 4.0]], axis=1)
    tensor([ 2., 12.])
    """
    value = as_value(x, "prod")
    axes = normalize_axes("prod", axis, value.ndim)
    if not axes and value.dtype == _sum_dtype(value.dtype):
        return value
    return prod_p.bind(value, axes=axes, keepdims=keepdims)


# --- scans and positions ----------------------------------------------------------

cumsum_p: Primitive = register(
    Primitive(
        "cumsum",
        lambda x, axis, reverse: Abstract(x.shape, _sum_dtype(x.dtype)),
        (
            lambda g, out, x, axis, reverse: cumsum_p.bind(
                g, axis=axis, reverse=not reverse
            ),
        ),
    )
)


def cumsum(x: ArrayLike, axis: int = -1) -> Any:
    """Return the cumulative sums along an axis.

    Parameters
    ----------
    x : tensor or array
        The elements, at least 1-d; bool and integers are summed in 64-bit integers.
    axis : int, default=-1
        The axis.

    Returns
    -------
    Tensor
        Of the same shape.

    Raises
    ------
    ShapeError
        If the axis is out of range.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.cumsum([1.0, 2.0, 3.0])
    tensor([1., 3., 6.])
    """
    value = as_value(x, "cumsum")
    at = negative_axis("cumsum", axis, value.ndim)
    return cumsum_p.bind(value, axis=at, reverse=False)


def _argmax_shape(x: Any, axis: int) -> Abstract:
    if x.shape[axis] == 0:
        raise ShapeError(f"argmax: shape {x.shape} has no elements along axis {axis}.")
    return Abstract(_reduced(x.shape, (axis,), keepdims=False), np.dtype("int64"))


argmax_p = register(Primitive("argmax", _argmax_shape))


def argmax(x: ArrayLike, axis: int = -1) -> Any:
    """Return the position of the largest element along an axis, the first of ties.

    Parameters
    ----------
    x : tensor or array
        The elements, at least 1-d.
    axis : int, default=-1
        The axis.

    Returns
    -------
    Tensor
        Positions, int64; no derivative flows through them.

    Raises
    ------
    ShapeError
        If the axis is out of range or empty.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.argmax([1.0, 3.0, 2.0])
    tensor(1)
    """
    value = as_value(x, "argmax")
    return argmax_p.bind(value, axis=negative_axis("argmax", axis, value.ndim))
