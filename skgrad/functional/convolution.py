"""Convolutions: windows of the input, multiplied."""

from __future__ import annotations

import math
from typing import Any

from skgrad import ops
from skgrad.core.checks import check_integer
from skgrad.exceptions import ShapeError
from skgrad.functional.settings import Padding, Size, padded, paddings, spread
from skgrad.ops.promotion import operands
from skgrad.typing import ArrayLike

__all__ = ["conv1d", "conv2d"]


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
    seen = ops.windows(padded(value, widths), sizes, strides, dilations)
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
