"""Convolutions of sequences and images."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from skgrad import functional
from skgrad.core.checks import check_integer
from skgrad.exceptions import ParameterError
from skgrad.functional.settings import Padding, Size, paddings, spread
from skgrad.nn import init
from skgrad.nn.inputs import input_of
from skgrad.nn.module import Module
from skgrad.nn.parameter import Parameter, floating_dtype
from skgrad.tensor import Tensor
from skgrad.typing import ArrayLike, DTypeLike, Shape

__all__ = ["Conv1d", "Conv2d"]


class _Convolution(Module):
    """What the convolutions share; a subclass names its number of axes."""

    n_axes: ClassVar[int]
    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        owner, d = type(self).__name__, self.n_axes
        self.in_channels = check_integer(owner, "in_channels", in_channels)
        self.out_channels = check_integer(owner, "out_channels", out_channels)
        self.groups = check_integer(owner, "groups", groups)
        self.kernel_size: Shape = spread(owner, "kernel_size", kernel_size, d)
        self.stride: Shape = spread(owner, "stride", stride, d)
        self.dilation: Shape = spread(owner, "dilation", dilation, d)
        paddings(owner, padding, self.kernel_size, self.stride, self.dilation)
        self.padding = padding
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ParameterError(
                f"The 'groups' parameter of {owner} must divide in_channels="
                f"{in_channels} and out_channels={out_channels}. Got {groups} instead."
            )
        kind = floating_dtype(dtype)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(np.zeros(shape, kind))
        self.bias = Parameter(np.zeros(out_channels, kind)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew from the current `skgrad.random_seed` scope.

        Examples
        --------
        >>> from skgrad import nn
        >>> layer = nn.Conv1d(1, 2, 3)
        >>> before = layer.weight.numpy().copy()
        >>> layer.reset_parameters()
        >>> bool((layer.weight.numpy() == before).any())
        False
        """
        bound = 1.0 / math.sqrt(math.prod(self.weight.shape[1:]))
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: ArrayLike) -> Tensor:
        """Return the convolution.

        Parameters
        ----------
        x : Tensor or array-like of shape (n_samples, in_channels, ...)
            With one axis (length) or two (height, width) more; of the dtype of the
            weight, or of integers.

        Returns
        -------
        Tensor of shape (n_samples, out_channels, ...)
            One element for each window.

        Raises
        ------
        ShapeError
            If the shape does not fit.
        DTypeError
            If `x` is of another floating dtype.
        """
        convolve = functional.conv1d if self.n_axes == 1 else functional.conv2d
        out: Tensor = convolve(
            input_of(self, x, self.weight.dtype),
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )
        return out

    def extra_repr(self) -> str:
        """Return the sizes, and the settings that are not the defaults.

        Returns
        -------
        str
            ``"1, 8, kernel_size=(3,), stride=(1,)"``.
        """
        text = (
            f"{self.in_channels}, {self.out_channels}, "
            f"kernel_size={self.kernel_size}, stride={self.stride}"
        )
        defaults = {"padding": 0, "dilation": (1,) * self.n_axes, "groups": 1}
        for name, default in defaults.items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)!r}"
        return text if self.bias is not None else text + ", bias=False"


class Conv1d(_Convolution):
    r"""Convolve sequences with filters.

    See `skgrad.functional.conv1d` for the formula; the product with the windows of the
    input is one matrix product, whose windows are copied once.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    out_channels : int
        Filters.
    kernel_size : int
        Elements of a filter.
    stride : int, default=1
        Steps from one window to the next.
    padding : int, {"same", "valid"}, default=0
        Zeros added before and after.
    dilation : int, default=1
        Steps from one element of a window to the next.
    groups : int, default=1
        Groups of channels, each with its own filters.
    bias : bool, default=True
        Whether to add a bias for each filter.
    dtype : {"float32", "float64"}, numpy dtype or None, default=None
        Of weight and bias; None means that of `default_dtype`.

    Attributes
    ----------
    weight : Parameter of shape (out_channels, in_channels / groups, kernel_size)
        Drawn uniformly on ±1/√(in_channels / groups · kernel_size), as in PyTorch,
    bias : Parameter of shape (out_channels,) or None
        and so is this.

    Raises
    ------
    ParameterError
        If a size or setting is not an int in its range, or ``groups`` does not divide
        the channels.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import nn
    >>> nn.Conv1d(1, 8, kernel_size=3, padding="same")(np.zeros((2, 1, 10))).shape
    (2, 8, 10)
    """

    n_axes = 1


class Conv2d(_Convolution):
    """Convolve images with filters.

    See `skgrad.functional.conv2d`.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    out_channels : int
        Filters.
    kernel_size : int or pair of ints
        Elements of a filter along each axis; one int stands for both.
    stride, dilation : int or pair of ints, default=1
        Steps from one window to the next, and from one element of a window to the next.
    padding : int, pair of ints, {"same", "valid"}, default=0
        Zeros added before and after.
    groups : int, default=1
        Groups of channels, each with its own filters.
    bias : bool, default=True
        Whether to add a bias for each filter.
    dtype : {"float32", "float64"}, numpy dtype or None, default=None
        Of weight and bias; None means that of `default_dtype`.

    Attributes
    ----------
    weight : Parameter of shape (out_channels, in_channels / groups, k_h, k_w)
        Drawn uniformly on ±1/√(in_channels / groups · k_h · k_w), as in PyTorch,
    bias : Parameter of shape (out_channels,) or None
        and so is this.

    Raises
    ------
    ParameterError
        If a size or setting is not an int, or a pair of them, in its range, or
        ``groups`` does not divide the channels.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import nn
    >>> nn.Conv2d(1, 8, kernel_size=3)(np.zeros((2, 1, 8, 8))).shape
    (2, 8, 6, 6)
    """

    n_axes = 2
