"""Normalisation: over the rows of a batch, or within each sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from skgrad import functional, ops
from skgrad.core.checks import check_integer, check_interval
from skgrad.exceptions import ParameterError, ShapeError
from skgrad.functional.normalization import standardized
from skgrad.nn.inputs import input_of
from skgrad.nn.module import Module
from skgrad.nn.parameter import Parameter, floating_dtype
from skgrad.tensor import Tensor
from skgrad.typing import ArrayLike, DTypeLike, Shape

__all__ = ["BatchNorm1d", "BatchNorm2d", "LayerNorm", "RMSNorm"]


class _BatchNorm(Module):
    """What the batch normalisations share; a subclass says what it may be given."""

    ndims: ClassVar[tuple[int, ...]]
    shapes: ClassVar[str]
    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.num_features = check_integer(owner, "num_features", num_features)
        check_interval(owner, "eps", eps, 0, float("inf"), "left")
        if momentum is not None:
            check_interval(owner, "momentum", momentum, 0, 1, "both")
        self.eps = eps
        self.momentum = momentum
        kind = floating_dtype(dtype)
        self.weight = Parameter(np.ones(num_features, kind)) if affine else None
        self.bias = Parameter(np.zeros(num_features, kind)) if affine else None
        self.register_buffer("running_mean", np.zeros(num_features, kind))
        self.register_buffer("running_var", np.ones(num_features, kind))
        self.register_buffer("num_batches_tracked", np.int64(0))

    def forward(self, x: ArrayLike) -> Tensor:
        """Return `x` normalised, channel by channel.

        Parameters
        ----------
        x : Tensor or array-like of shape (n_samples, num_features, ...)
            Of the dtype of the layer, or of integers.

        Returns
        -------
        Tensor
            Of the shape of `x`.

        Raises
        ------
        ShapeError
            If the shape does not fit, or there is one element per channel only, whose
            variance is not known, while training.
        DTypeError
            If `x` is of another floating dtype.
        """
        value = input_of(self, x, self.running_mean.dtype)
        self._check(value)
        axes = (0, *range(2, value.ndim))
        if self.training:
            out, mean, variance = standardized(value, axes, self.eps)
            self._track(mean, variance, value.size // self.num_features)
        else:
            scale = ops.sqrt(self.running_var + self.eps)
            centred = ops.subtract(value, self._along(self.running_mean, value))
            out = ops.divide(centred, self._along(scale, value))
        if self.weight is not None:
            out = ops.multiply(out, self._along(self.weight, value))
        if self.bias is not None:
            out = ops.add(out, self._along(self.bias, value))
        result: Tensor = out
        return result

    def _along(self, values: Tensor, x: Tensor) -> Any:
        """Return values of the channels as they meet x."""
        return ops.reshape(values, (-1, *(1,) * (x.ndim - 2)))

    def _track(self, mean: Any, variance: Any, count: int) -> None:
        """Let the running statistics follow those of a batch of `count` elements."""
        self.num_batches_tracked = self.num_batches_tracked + 1
        rate: Any = self.momentum
        if rate is None:
            batches = ops.astype(self.num_batches_tracked, self.running_mean.dtype)
            rate = ops.divide(1.0, batches)
        unbiased = variance * (count / (count - 1))
        for name, found in (("running_mean", mean), ("running_var", unbiased)):
            old = getattr(self, name)
            step = ops.subtract(ops.reshape(found, old.shape).detach(), old)
            setattr(self, name, old + step * rate)

    def _check(self, x: Tensor) -> None:
        owner = type(self).__name__
        if x.ndim not in self.ndims or x.shape[1] != self.num_features:
            raise ShapeError(
                f"{owner}({self.num_features}) needs an input of shape {self.shapes} "
                f"with {self.num_features} channels. Got {x.shape}."
            )
        if self.training and x.size // self.num_features < 2:
            raise ShapeError(
                f"{owner} needs more than one element per channel while training: the "
                f"variance of one is not known. Got shape {x.shape}. If it is the last "
                "batch of an epoch, choose a batch_size that leaves no single row."
            )

    def extra_repr(self) -> str:
        """Return the settings.

        Returns
        -------
        str
            ``"8, eps=1e-05, momentum=0.1, affine=True"``.
        """
        return (
            f"{self.num_features}, eps={self.eps:g}, momentum={self.momentum}, "
            f"affine={self.weight is not None}"
        )


class BatchNorm1d(_BatchNorm):
    r"""Normalise each channel over the batch.

    .. math:: y = w\,\frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + b

    While training, μ and σ² are mean and variance (divided by n) of the batch, and the
    running statistics move towards them by the factor `momentum`; in evaluation mode
    the running statistics take their place.

    Parameters
    ----------
    num_features : int
        Channels: extent of axis 1 of the input.
    eps : float, default=1e-5
        Added to the variance.
    momentum : float in [0, 1] or None, default=0.1
        Weight of the new batch in the running statistics; None keeps their plain
        average over all batches.
    affine : bool, default=True
        Whether to learn w and b.
    dtype : {"float32", "float64"}, numpy dtype or None, default=None
        Of parameters and buffers; None means that of `default_dtype`.

    Attributes
    ----------
    weight, bias : Parameter of shape (num_features,) or None
        w and b, at first 1 and 0.
    running_mean, running_var : Tensor of shape (num_features,)
        Buffers, at first 0 and 1; the variance is divided by n - 1.
    num_batches_tracked : Tensor of shape (), int64
        Buffer: batches seen.

    Raises
    ------
    ParameterError
        If a setting is out of range.

    Notes
    -----
    The input is of shape (n_samples, num_features) or (n_samples, num_features,
    length). Rows of a batch depend on one another: the objective is no sum over rows,
    so that full-batch optimizers refuse the layer; sample weights do not enter the
    statistics, and a row of weight zero does.

    References
    ----------
    Ioffe, Szegedy (2015). Batch normalization. ICML, algorithms 1 and 2.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> layer = nn.BatchNorm1d(1)
    >>> layer(skgrad.tensor([[1.0], [3.0]])).numpy().round(4)
    array([[-1.],
           [ 1.]])
    >>> layer.running_mean.numpy()
    array([0.2])
    """

    ndims = (2, 3)
    shapes = "(n_samples, num_features) or (n_samples, num_features, length)"


class BatchNorm2d(_BatchNorm):
    """Normalise each channel of images over the batch and both other axes.

    Parameters
    ----------
    num_features : int
        Channels: extent of axis 1 of the input.
    eps : float, default=1e-5
        Added to the variance.
    momentum : float in [0, 1] or None, default=0.1
        Weight of the new batch in the running statistics; None keeps their plain
        average over all batches.
    affine : bool, default=True
        Whether to learn scale and shift.
    dtype : {"float32", "float64"}, numpy dtype or None, default=None
        Of parameters and buffers; None means that of `default_dtype`.

    Raises
    ------
    ParameterError
        If a setting is out of range.

    See Also
    --------
    BatchNorm1d : The same formula, attributes, notes and reference.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import nn
    >>> nn.BatchNorm2d(3)(np.zeros((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    ndims = (4,)
    shapes = "(n_samples, num_features, height, width)"


class LayerNorm(Module):
    """Normalise each sample over its last axes.

    See `skgrad.functional.layer_norm` for the formula.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        Extents of the last axes of the input.
    eps : float, default=1e-5
        Added to the variance.
    elementwise_affine : bool, default=True
        Whether to learn scale and shift.
    bias : bool, default=True
        Whether to learn the shift.
    dtype : {"float32", "float64"}, numpy dtype or None, default=None
        Of the parameters; None means that of `default_dtype`.

    Attributes
    ----------
    weight, bias : Parameter of shape ``normalized_shape`` or None
        Scale and shift, at first 1 and 0.

    Raises
    ------
    ParameterError
        If an extent is not a positive int or `eps` is negative.

    References
    ----------
    Ba, Kiros, Hinton (2016). Layer normalization. arXiv:1607.06450.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.LayerNorm(2)(skgrad.tensor([[1.0, 3.0]])).numpy().round(4)
    array([[-1.,  1.]])
    """

    weight: Tensor | None
    bias: Tensor | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _extents("LayerNorm", normalized_shape)
        check_interval("LayerNorm", "eps", eps, 0, float("inf"), "left")
        self.eps = eps
        ones = np.ones(self.normalized_shape, floating_dtype(dtype))
        self.weight = Parameter(ones) if elementwise_affine else None
        self.bias = Parameter(0 * ones) if elementwise_affine and bias else None

    def forward(self, x: ArrayLike) -> Tensor:
        """Return `x` normalised.

        Parameters
        ----------
        x : Tensor or array-like of shape (..., *normalized_shape)
            Of the dtype of the layer, or of integers.

        Returns
        -------
        Tensor
            Of the shape of `x`.

        Raises
        ------
        ShapeError
            If the last axes of `x` have other extents.
        """
        scales = self.weight, self.bias
        out: Tensor = functional.layer_norm(x, self.normalized_shape, *scales, self.eps)
        return out

    def extra_repr(self) -> str:
        """Return the settings.

        Returns
        -------
        str
            ``"(8,), eps=1e-05"``.
        """
        return f"{self.normalized_shape}, eps={self.eps:g}"


class RMSNorm(Module):
    """Divide each sample by the root of its mean square over the last axes.

    See `skgrad.functional.rms_norm` for the formula.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        Extents of the last axes of the input.
    eps : float or None, default=None
        Added to the mean square; None is the spacing of the dtype at 1.
    elementwise_affine : bool, default=True
        Whether to learn a scale.
    dtype : {"float32", "float64"}, numpy dtype or None, default=None
        Of the scale; None means that of `default_dtype`.

    Attributes
    ----------
    weight : Parameter of shape ``normalized_shape`` or None
        The scale, at first 1.

    Raises
    ------
    ParameterError
        If an extent is not a positive int or `eps` is negative.

    References
    ----------
    Zhang, Sennrich (2019). Root mean square layer normalization. NeurIPS.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.RMSNorm(2)(skgrad.tensor([[3.0, -3.0]])).numpy().round(4)
    array([[ 1., -1.]])
    """

    weight: Tensor | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _extents("RMSNorm", normalized_shape)
        if eps is not None:
            check_interval("RMSNorm", "eps", eps, 0, float("inf"), "left")
        self.eps = eps
        ones = np.ones(self.normalized_shape, floating_dtype(dtype))
        self.weight = Parameter(ones) if elementwise_affine else None

    def forward(self, x: ArrayLike) -> Tensor:
        """Return `x` divided by its size.

        Parameters
        ----------
        x : Tensor or array-like of shape (..., *normalized_shape)
            Of the dtype of the layer, or of integers.

        Returns
        -------
        Tensor
            Of the shape of `x`.

        Raises
        ------
        ShapeError
            If the last axes of `x` have other extents.
        """
        shape = self.normalized_shape
        out: Tensor = functional.rms_norm(x, shape, self.weight, self.eps)
        return out

    def extra_repr(self) -> str:
        """Return the settings.

        Returns
        -------
        str
            ``"(8,), eps=None"``.
        """
        return f"{self.normalized_shape}, eps={self.eps}"


def _extents(owner: str, shape: int | Sequence[int]) -> Shape:
    """Return the extents normalised over, checked."""
    given = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    if not given:
        raise ParameterError(
            f"The 'normalized_shape' parameter of {owner} must name one extent at "
            f"least. Got {shape!r} instead."
        )
    return tuple(check_integer(owner, "normalized_shape", n) for n in given)
