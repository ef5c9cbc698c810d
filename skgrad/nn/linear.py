"""The affine layer."""

from __future__ import annotations

import math

import numpy as np

from skgrad import ops
from skgrad.core.checks import check_integer
from skgrad.exceptions import ShapeError
from skgrad.nn import init
from skgrad.nn.inputs import input_of
from skgrad.nn.module import Module
from skgrad.nn.parameter import Parameter, floating_dtype
from skgrad.tensor import Tensor
from skgrad.typing import ArrayLike, DTypeLike

__all__ = ["Linear"]


class Linear(Module):
    """Affine map x ↦ x·weightᵀ + bias of the last axis.

    Parameters
    ----------
    in_features : int
        Length of the last axis of the input, at least 1.
    out_features : int
        Length of the last axis of the output, at least 1.
    bias : bool, default=True
        Whether to add a bias; without it the attribute `bias` is None.
    dtype : {"float32", "float64"}, numpy dtype or None, default=None
        Of weight and bias; None means that of `default_dtype`, float64.

    Attributes
    ----------
    weight : Parameter of shape (out_features, in_features)
        Drawn uniformly on ±1/√in_features, then
    bias : Parameter of shape (out_features,) or None
        on the same interval; both as in PyTorch.

    Raises
    ------
    ParameterError
        If a size is not an int of at least 1.
    DTypeError
        If `dtype` is not floating.

    References
    ----------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998, section 4.6, asks for
    the standard deviation 1/√in_features. PyTorch's interval has that half-width, so
    its standard deviation is smaller by √3.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> layer = nn.Linear(3, 2)
    >>> layer(skgrad.tensor([[1.0, 2.0, 3.0]])).shape
    (1, 2)
    >>> layer
    Linear(in_features=3, out_features=2, bias=True)  # 8 parameters
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        self.in_features = check_integer("Linear", "in_features", in_features)
        self.out_features = check_integer("Linear", "out_features", out_features)
        kind = floating_dtype(dtype)
        shape = (self.out_features, self.in_features)
        self.weight = Parameter(np.zeros(shape, kind))
        self.bias = Parameter(np.zeros(self.out_features, kind)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew from the current `skgrad.random_seed` scope.

        Examples
        --------
        >>> import skgrad
        >>> from skgrad import nn
        >>> layer = nn.Linear(3, 2)
        >>> before = layer.weight.numpy().copy()
        >>> layer.reset_parameters()
        >>> bool((layer.weight.numpy() == before).any())
        False
        """
        bound = 1.0 / math.sqrt(self.in_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: ArrayLike) -> Tensor:
        """Return x·weightᵀ + bias.

        Parameters
        ----------
        x : Tensor or array-like of shape (..., in_features), or SparseRows
            Of the dtype of the weight, or of integers; :class:`~skgrad.ops.SparseRows`
            of any dtype.

        Returns
        -------
        Tensor of shape (..., out_features)
            Of the dtype of the weight.

        Raises
        ------
        ShapeError
            If the last axis of `x` has another length.
        DTypeError
            If `x` is of another floating dtype.

        Examples
        --------
        >>> import skgrad
        >>> from skgrad import nn
        >>> nn.Linear(3, 2)(skgrad.tensor([[1.0, 2.0]]))
        Traceback (most recent call last):
            ...
        skgrad.exceptions.ShapeError: Linear(in_features=3, out_features=2, \
bias=True) needs an input whose last axis has length 3. Got shape (1, 2).
        """
        if isinstance(x, ops.SparseRows):
            out: Tensor = ops.sparse_matmul(x, ops.transpose(self.weight))
            return out if self.bias is None else out + self.bias
        x = input_of(self, x, self.weight.dtype)
        if x.shape[-1:] != (self.in_features,):
            raise ShapeError(
                f"Linear({self.extra_repr()}) needs an input whose last axis has "
                f"length {self.in_features}. Got shape {x.shape}."
            )
        out = ops.matmul(x, ops.transpose(self.weight))
        return out if self.bias is None else out + self.bias

    def extra_repr(self) -> str:
        """Return the sizes, and the dtype when it is not float64.

        Returns
        -------
        str
            ``"in_features=3, out_features=2, bias=True"``.
        """
        text = (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )
        dtype = self.weight.dtype
        return text if dtype == np.float64 else f"{text}, dtype={dtype}"
