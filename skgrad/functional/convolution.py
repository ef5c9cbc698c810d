"""Convolutions and poolings: windows of the input, multiplied or reduced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from skgrad import ops
from skgrad.core.checks import check_integer
from skgrad.exceptions import ParameterError, ShapeError
from skgrad.functional.convert import as_float
from skgrad.ops.promotion import operands
from skgrad.typing import ArrayLike, Shape

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "conv1d",
    "conv2d",
    "max_pool1d",
    "max_pool2d",
]

Size: TypeAlias = int | Sequence[int]
Padding: TypeAlias = Size | str


def conv1d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Any:
    r"""Return the convolution (cross-correlation) of sequences with filters.

    .. math:: y_{n o i} = b_o + \sum_{c k} w_{o c k}\, x_{n c, i s + k d - p}

    with stride s, dilation d and p zeros of padding at both ends.

    Parameters
    ----------
    x : tensor or array of shape (n_samples, n_channels, length)
        The sequences.
    weight : tensor or array of shape (n_filters, n_channels / groups, size)
        The filters.
    bias : tensor or array of shape (n_filters,), optional
        Added to the result of each filter.
    stride : int, default=1
        Steps from one window to the next.
    padding : int, {"same", "valid"}, default=0
        Zeros added before and after; ``"same"`` adds as many as keep the length (one
        more after, if their number is odd) and needs stride 1, ``"valid"`` none.
    dilation : int, default=1
        Steps from one element of a window to the next.
    groups : int, default=1
        The channels are cut into so many groups, each with its own filters.

    Returns
    -------
    Tensor of shape (n_samples, n_filters, n_windows)
        With ``(length + 2 p - d (size - 1) - 1) // s + 1`` windows.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or no window fits.
    ParameterError
        If a setting is not an int in its range.

    References
    ----------
    Dumoulin, Visin (2016). A guide to convolution arithmetic for deep learning.
    arXiv:1603.07285.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.conv1d([[[1.0, 2.0, 4.0, 8.0]]], [[[1.0, -1.0]]])
    tensor([[[-1., -2., -4.]]])
    """
    settings = stride, padding, dilation, groups
    return _convolution("conv1d", 1, x, weight, bias, *settings)


def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Any:
    """Return the convolution (cross-correlation) of images with filters.

    The formula is that of :func:`conv1d`, along both axes.

    Parameters
    ----------
    x : tensor or array of shape (n_samples, n_channels, height, width)
        The images.
    weight : tensor or array of shape (n_filters, n_channels / groups, k_h, k_w)
        The filters.
    bias : tensor or array of shape (n_filters,), optional
        Added to the result of each filter.
    stride, padding, dilation : int or pair of ints
        As in :func:`conv1d`; one int stands for both axes.
    groups : int, default=1
        The channels are cut into so many groups, each with its own filters.

    Returns
    -------
    Tensor of shape (n_samples, n_filters, m_h, m_w)
        One element for each window.

    Raises
    ------
    ShapeError
        If the shapes do not fit, or no window fits.
    ParameterError
        If a setting is not an int, or a pair of them, in its range.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import functional as F
    >>> F.conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), padding=(0, 1))
    tensor([[[[2., 4., 4., 2.],
              [2., 4., 4., 2.]]]])
    """
    settings = stride, padding, dilation, groups
    return _convolution("conv2d", 2, x, weight, bias, *settings)


def _convolution(
    name: str,
    d: int,
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: Size,
    padding: Padding,
    dilation: Size,
    groups: int,
) -> Any:
    value, filters = operands(name, (x, weight), "float")
    _check_convolution(name, d, value, filters, groups)
    sizes = filters.shape[2:]
    strides = spread(name, "stride", stride, d)
    dilations = spread(name, "dilation", dilation, d)
    widths = paddings(name, padding, sizes, strides, dilations)
    seen = ops.windows(_padded(value, widths), sizes, strides, dilations)
    n, counts = value.shape[0], seen.shape[2 : 2 + d]
    # (channels and places of a window, samples and windows): long rows to copy, and
    # one product for all samples.
    axes = (1, *range(2 + d, 2 + 2 * d), 0, *range(2, 2 + d))
    columns = ops.reshape(
        ops.transpose(seen, axes), (groups, -1, n * math.prod(counts))
    )
    rows = ops.reshape(filters, (groups, filters.shape[0] // groups, -1))
    if groups == 1:
        rows, columns = ops.squeeze(rows, 0), ops.squeeze(columns, 0)
    out = ops.reshape(ops.matmul(rows, columns), (-1, n, *counts))
    if bias is not None:
        out = out + ops.reshape(bias, (-1, *(1,) * (d + 1)))
    return ops.swapaxes(out, 0, 1)


def _check_convolution(name: str, d: int, x: Any, filters: Any, groups: Any) -> None:
    if x.ndim != d + 2 or filters.ndim != d + 2:
        extents = ", ".join(("height", "width") if d == 2 else ("length",))
        raise ShapeError(
            f"{name} needs an input of shape (n_samples, n_channels, {extents}) and "
            f"as many axes of the filters. Got shapes {x.shape} and {filters.shape}."
        )
    check_integer(name, "groups", groups)
    n_filters, n_channels = filters.shape[:2]
    if n_filters % groups or x.shape[1] != groups * n_channels:
        raise ShapeError(
            f"{name}: filters of shape {filters.shape} in {groups} group(s) need an "
            f"input with {groups * n_channels} channels (axis 1), and the number of "
            f"filters ({n_filters}) must be a multiple of the groups. Got an input of "
            f"shape {x.shape}."
        )


# --- poolings ---------------------------------------------------------------------


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
    padded = _padded(value, widths)
    if padded is not value:
        padded = ops.where(_inside(value, widths), padded, -np.inf)
    return _reduced(ops.max, ops.windows(padded, sizes, strides, dilations), d)


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
    seen = ops.windows(_padded(value, widths), sizes, strides)
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


# --- settings ---------------------------------------------------------------------


def _padded(x: Any, widths: Sequence[tuple[int, int]]) -> Any:
    """Return x with zeros around its last axes."""
    if not any(map(any, widths)):
        return x
    return ops.pad(x, [(0, 0)] * (x.ndim - len(widths)) + list(widths))


def _inside(x: Any, widths: Sequence[tuple[int, int]]) -> Any:
    """Return where the padded last axes hold elements of x: an array, a constant."""
    own = x.shape[x.ndim - len(widths) :]
    return np.pad(np.ones(own, dtype=bool), widths)


def paddings(
    name: str, padding: Padding, sizes: Shape, strides: Shape, dilations: Shape
) -> list[tuple[int, int]]:
    """Return how many zeros are added before and after each axis."""
    if padding == "valid":
        return [(0, 0)] * len(sizes)
    if padding == "same":
        if any(s != 1 for s in strides):
            raise ParameterError(
                f"{name}: padding='same' keeps the extents, which needs stride 1. Got "
                f"stride {strides}."
            )
        totals = [d * (k - 1) for k, d in zip(sizes, dilations, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    if isinstance(padding, str):
        raise ParameterError(
            f"The 'padding' parameter of {name} must be an int, a sequence of "
            f"{len(sizes)}, 'same' or 'valid'. Got {padding!r} instead."
        )
    return [(p, p) for p in spread(name, "padding", padding, len(sizes), low=0)]


def spread(owner: str, name: str, value: Any, d: int, low: int = 1) -> Shape:
    """Return a setting of each of d axes, from one int for all of them or d ints."""
    given = (value,) * d if np.ndim(value) == 0 else tuple(value)
    if len(given) != d:
        raise ParameterError(
            f"The {name!r} parameter of {owner} must be an int or a sequence of {d}. "
            f"Got {value!r} instead."
        )
    return tuple(check_integer(owner, name, one, low) for one in given)
