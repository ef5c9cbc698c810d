"""Poolings: windows of the input, reduced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skgrad import ops
from skgrad.exceptions import ParameterError
from skgrad.functional.convert import as_float
from skgrad.functional.settings import Size, padded, spread
from skgrad.typing import ArrayLike, Shape

__all__ = ["avg_pool1d", "avg_pool2d", "max_pool1d", "max_pool2d"]


def max_pool1d(
    x: ArrayLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
) -> Any:
    """Return the largest element of each window along the last axis.

    Parameters
    ----------
    x : tensor or array of shape (..., length)
        The sequences.
    kernel_size : int
        Elements of a window.
    stride : int or None, default=None
        Steps from one window to the next; None means ``kernel_size``.
    padding : int, default=0
        Elements added before and after, which are never the largest; at most half of
        the window.
    dilation : int, default=1
        Steps from one element of a window to the next.

    Returns
    -------
    Tensor of shape (..., n_windows)
        The maxima. Ties share the derivative equally; PyTorch gives it to the first.

    Raises
    ------
    ShapeError
        If no window fits.
    ParameterError
        If a setting is not an int in its range.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.max_pool1d([1.0, 5.0, 2.0, 3.0, 9.0], 2)
    tensor([5., 3.])
    """
    return _max_pool("max_pool1d", 1, x, kernel_size, stride, padding, dilation)


def max_pool2d(
    x: ArrayLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
) -> Any:
    """Return the largest element of each window over the last two axes.

    Parameters
    ----------
    x : tensor or array of shape (..., height, width)
        The images.
    kernel_size, stride, padding, dilation : int or pair of ints
        As in :func:`max_pool1d`; one int stands for both axes.

    Returns
    -------
    Tensor of shape (..., m_h, m_w)
        The maxima. Ties share the derivative equally; PyTorch gives it to the first.

    Raises
    ------
    ShapeError
        If no window fits.
    ParameterError
        If a setting is not an int, or a pair of them, in its range.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.max_pool2d([[1.0, 2.0, 5.0], [3.0, 4.0, 0.0]], 2, stride=1)
    tensor([[4., 5.]])
    """
    return _max_pool("max_pool2d", 2, x, kernel_size, stride, padding, dilation)


def avg_pool1d(
    x: ArrayLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    count_include_pad: bool = True,
) -> Any:
    """Return the mean of each window along the last axis.

    Parameters
    ----------
    x : tensor or array of shape (..., length)
        The sequences.
    kernel_size : int
        Elements of a window.
    stride : int or None, default=None
        Steps from one window to the next; None means ``kernel_size``.
    padding : int, default=0
        Zeros added before and after; at most half of the window.
    count_include_pad : bool, default=True
        Whether they count in the mean.

    Returns
    -------
    Tensor of shape (..., n_windows)
        The means.

    Raises
    ------
    ShapeError
        If no window fits.
    ParameterError
        If a setting is not an int in its range.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.avg_pool1d([1.0, 5.0, 2.0, 3.0, 9.0], 2)
    tensor([3. , 2.5])
    """
    return _avg_pool(
        "avg_pool1d", 1, x, kernel_size, stride, padding, count_include_pad
    )


def avg_pool2d(
    x: ArrayLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    count_include_pad: bool = True,
) -> Any:
    """Return the mean of each window over the last two axes.

    Parameters
    ----------
    x : tensor or array of shape (..., height, width)
        The images.
    kernel_size, stride, padding : int or pair of ints
        As in :func:`avg_pool1d`; one int stands for both axes.
    count_include_pad : bool, default=True
        Whether the zeros of the padding count in the mean.

    Returns
    -------
    Tensor of shape (..., m_h, m_w)
        The means.

    Raises
    ------
    ShapeError
        If no window fits.
    ParameterError
        If a setting is not an int, or a pair of them, in its range.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.avg_pool2d([[1.0, 2.0, 5.0], [3.0, 4.0, 0.0]], 2, stride=1)
    tensor([[2.5 , 2.75]])
    """
    return _avg_pool(
        "avg_pool2d", 2, x, kernel_size, stride, padding, count_include_pad
    )


def _max_pool(
    name: str,
    d: int,
    x: ArrayLike,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
) -> Any:
    value = as_float(x, name)
    sizes, strides, widths = _pool_settings(name, d, kernel_size, stride, padding)
    dilations = spread(name, "dilation", dilation, d)
    wider = padded(value, widths)
    if wider is not value:
        wider = ops.where(_inside(value, widths), wider, -np.inf)
    return _reduced(ops.max, ops.windows(wider, sizes, strides, dilations), d)


def _avg_pool(
    name: str,
    d: int,
    x: ArrayLike,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    count_include_pad: bool,
) -> Any:
    value = as_float(x, name)
    sizes, strides, widths = _pool_settings(name, d, kernel_size, stride, padding)
    seen = ops.windows(padded(value, widths), sizes, strides)
    counts: Any = float(math.prod(sizes))
    if not count_include_pad:
        ones = _inside(value, widths).astype(value.dtype)
        counts = _reduced(ops.sum, ops.windows(ones, sizes, strides), d)
    return _reduced(ops.sum, seen, d) / counts


def _reduced(reduction: Any, seen: Any, d: int) -> Any:
    """Reduce each window; its axes come first, so that the inner loops are long."""
    first = range(seen.ndim - d, seen.ndim)
    moved = ops.transpose(seen, (*first, *range(seen.ndim - d)))
    return reduction(moved, tuple(range(d)))


def _pool_settings(
    name: str, d: int, kernel_size: Size, stride: Size | None, padding: Size
) -> tuple[Shape, Shape, list[tuple[int, int]]]:
    sizes = spread(name, "kernel_size", kernel_size, d)
    strides = spread(name, "stride", kernel_size if stride is None else stride, d)
    widths = spread(name, "padding", padding, d, low=0)
    if any(2 * p > k for p, k in zip(widths, sizes, strict=True)):
        raise ParameterError(
            f"The 'padding' parameter of {name} must be at most half of the "
            f"kernel_size: a window could lie in it. Got {padding!r} with "
            f"kernel_size={kernel_size!r}."
        )
    return sizes, strides, [(p, p) for p in widths]


def _inside(x: Any, widths: Sequence[tuple[int, int]]) -> Any:
    """Return where the padded last axes hold elements of x: an array, a constant."""
    own = x.shape[x.ndim - len(widths) :]
    return np.pad(np.ones(own, dtype=bool), widths)
