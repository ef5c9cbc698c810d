"""Elements in another arrangement."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skgrad import ops
from skgrad.ops.indexing import from_start
from skgrad.ops.promotion import as_value
from skgrad.ops.shape import negative_axis
from skgrad.tensor import register_numpy
from skgrad.typing import ArrayLike, DTypeLike

__all__ = ["one_hot", "sort", "stack", "take_along_axis", "unstack"]


def stack(xs: Sequence[ArrayLike], axis: int = 0) -> Any:
    """Return the arrays joined along a new axis.

    Parameters
    ----------
    xs : sequence of tensor or array
        At least one; equal shapes.
    axis : int, default=0
        Position of the new axis in the result.

    Returns
    -------
    Tensor
        The joined array.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.stack([[1.0, 2.0], [3.0, 4.0]], axis=1)
    tensor([[1., 3.],
            [2., 4.]])
    """
    return ops.concatenate([ops.expand_dims(x, axis) for x in xs], axis)


def unstack(x: ArrayLike, axis: int = 0) -> tuple[Any, ...]:
    """Return the slices along an axis: the inverse of :func:`stack`.

    All of them together cost one pass on the way back, where ``x[i]`` would cost one
    for each i.

    Parameters
    ----------
    x : tensor or array
        The elements, at least 1-d.
    axis : int, default=0
        The axis that goes.

    Returns
    -------
    tuple of Tensor
        As many as the axis is long.

    Raises
    ------
    ShapeError
        If the axis is out of range.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.unstack([[1.0, 2.0], [3.0, 4.0]], axis=1)
    (tensor([1., 3.]), tensor([2., 4.]))
    """
    value = as_value(x, "unstack")
    at = negative_axis("unstack", axis, value.ndim) + value.ndim
    rest = [a for a in range(value.ndim) if a != at]
    moved = ops.transpose(value, (at, *rest))
    shapes = [moved.shape[1:]] * moved.shape[0]
    return tuple(ops.unpack(ops.reshape(moved, -1), shapes))


def one_hot(labels: ArrayLike, n_classes: int, dtype: DTypeLike = "float64") -> Any:
    """Return indicator columns of integer codes.

    Parameters
    ----------
    labels : tensor or array of int
        Codes in [0, n_classes), of any shape.
    n_classes : int
        Number of columns.
    dtype : dtype, default="float64"
        Element type of the result.

    Returns
    -------
    Tensor of shape ``labels.shape + (n_classes,)``
        1 at the code, 0 elsewhere (a row of zeros for a code out of range).

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.one_hot([2, 0], 3)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    codes = as_value(labels, "one_hot")
    columns = np.arange(n_classes, dtype=codes.dtype)
    return ops.astype(ops.equal(ops.expand_dims(codes, -1), columns), dtype)


def take_along_axis(x: ArrayLike, indices: ArrayLike, axis: int = -1) -> Any:
    """Return elements of x picked along an axis, one position per slice.

    Parameters
    ----------
    x : tensor or array
        The elements.
    indices : tensor or array of int
        Positions, negative ones count from the end; the shape of x except along the
        axis.
    axis : int, default=-1
        The axis.

    Returns
    -------
    Tensor
        Of the shape of ``indices``.

    Raises
    ------
    IndexError
        If a position is out of range. Under a trace this is not checked.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.take_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1], [0]])
    tensor([[2.],
            [3.]])
    """
    value, picks = as_value(x, "take_along_axis"), as_value(indices, "take_along_axis")
    at = negative_axis("take_along_axis", axis, value.ndim)
    value, picks = ops.swapaxes(value, at, -1), ops.swapaxes(picks, at, -1)
    n = value.shape[-1]
    picks = from_start(ops.astype(picks, "int64"), n)
    starts = np.arange(math.prod(value.shape[:-1])).reshape(*value.shape[:-1], 1) * n
    flat = ops.take(ops.reshape(value, -1), ops.add(picks, starts))
    return ops.swapaxes(flat, at, -1)


def sort(x: ArrayLike, axis: int = -1) -> Any:
    """Return the elements in ascending order along an axis.

    Parameters
    ----------
    x : tensor or array
        The elements.
    axis : int, default=-1
        The axis.

    Returns
    -------
    Tensor
        Sorted; gradients flow to the elements that were moved.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.sort([3.0, 1.0, 2.0])
    tensor([1., 2., 3.])
    """
    value = as_value(x, "sort")
    return take_along_axis(value, ops.argsort(value, axis), axis)


register_numpy(
    {
        np.stack: (stack, 2),
        np.sort: (sort, 2),
        np.take_along_axis: (take_along_axis, 3),
    }
)
