"""Poolings: the largest element or the mean of each window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from skgrad import functional
from skgrad.functional.settings import Size
from skgrad.nn.module import Module
from skgrad.tensor import Tensor

__all__ = ["AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d"]


class _Pool(Module):
    """What the poolings share; a subclass names its function and what it takes."""

    function: ClassVar[Callable[..., Any]]
    options: ClassVar[tuple[str, ...]]

    def forward(self, x: Tensor) -> Tensor:
        """Return what the pooling makes of each window.

        Parameters
        ----------
        x : Tensor
            The windows slide over its last axes.

        Returns
        -------
        Tensor
            One element for each window.

        Raises
        ------
        ShapeError
            If no window fits.
        ParameterError
            If a setting is not an int, or a pair of them, in its range.
        """
        settings = {name: getattr(self, name) for name in self.options}
        out: Tensor = type(self).function(x, **settings)
        return out

    def extra_repr(self) -> str:
        """Return the settings.

        Returns
        -------
        str
            ``"kernel_size=2, stride=2, padding=0, dilation=1"``.
        """
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.options)


class _MaxPool(_Pool):
    options = ("kernel_size", "stride", "padding", "dilation")

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation


class _AvgPool(_Pool):
    options = ("kernel_size", "stride", "padding", "count_include_pad")

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.count_include_pad = count_include_pad


class MaxPool1d(_MaxPool):
    """Take the largest element of each window along the last axis.

    Parameters
    ----------
    kernel_size : int
        Elements of a window.
    stride : int or None, default=None
        Steps from one window to the next; None means ``kernel_size``.
    padding : int, default=0
        Elements added before and after, which are never the largest.
    dilation : int, default=1
        Steps from one element of a window to the next.

    See Also
    --------
    skgrad.functional.max_pool1d : The function; it says how ties are treated.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.MaxPool1d(2)(skgrad.tensor([[1.0, 5.0, 2.0, 3.0]])).numpy()
    array([[5., 3.]])
    """

    function = staticmethod(functional.max_pool1d)


class MaxPool2d(_MaxPool):
    """Take the largest element of each window over the last two axes.

    Parameters
    ----------
    kernel_size : int or pair of ints
        Elements of a window.
    stride : int, pair of ints or None, default=None
        Steps from one window to the next; None means ``kernel_size``.
    padding : int or pair of ints, default=0
        Elements added before and after, which are never the largest.
    dilation : int or pair of ints, default=1
        Steps from one element of a window to the next.

    See Also
    --------
    skgrad.functional.max_pool2d : The function; it says how ties are treated.

    Examples
    --------
    >>> import numpy as np
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.MaxPool2d(2)(skgrad.tensor(np.zeros((1, 8, 6, 6)))).shape
    (1, 8, 3, 3)
    """

    function = staticmethod(functional.max_pool2d)


class AvgPool1d(_AvgPool):
    """Take the mean of each window along the last axis.

    Parameters
    ----------
    kernel_size : int
        Elements of a window.
    stride : int or None, default=None
        Steps from one window to the next; None means ``kernel_size``.
    padding : int, default=0
        Zeros added before and after.
    count_include_pad : bool, default=True
        Whether they count in the mean.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.AvgPool1d(2)(skgrad.tensor([[1.0, 5.0, 2.0, 3.0]])).numpy()
    array([[3. , 2.5]])
    """

    function = staticmethod(functional.avg_pool1d)


class AvgPool2d(_AvgPool):
    """Take the mean of each window over the last two axes.

    Parameters
    ----------
    kernel_size : int or pair of ints
        Elements of a window.
    stride : int, pair of ints or None, default=None
        Steps from one window to the next; None means ``kernel_size``.
    padding : int or pair of ints, default=0
        Zeros added before and after.
    count_include_pad : bool, default=True
        Whether they count in the mean.

    Examples
    --------
    >>> import numpy as np
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.AvgPool2d(3, stride=1)(skgrad.tensor(np.zeros((1, 8, 6, 6)))).shape
    (1, 8, 4, 4)
    """

    function = staticmethod(functional.avg_pool2d)
