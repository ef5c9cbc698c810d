"""Normalisation of each sample by statistics of its own."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skgrad import ops
from skgrad.exceptions import ShapeError
from skgrad.functional.convert import as_float
from skgrad.functional.statistics import mean
from skgrad.ops.reduction import normalize_axes
from skgrad.typing import ArrayLike, Axes

__all__ = ["layer_norm", "rms_norm", "standardized"]


def standardized(x: Any, axis: Axes, eps: float) -> tuple[Any, Any, Any]:
    """Return x with mean 0 and variance 1 over axes, and both statistics.

    Parameters
    ----------
    x : Tensor
        The elements, floating.
    axis : int, sequence of int or None
        The axes.
    eps : float
        Added to the variance, for constant elements.

    Returns
    -------
    standardized : Tensor
        Of the shape of x.
    mean, variance : Tensor
        With the axes kept, of extent 1; the variance is divided by n.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.functional.normalization import standardized
    >>> standardized(skgrad.tensor([1.0, 3.0]), 0, 0.0)[0]
    tensor([-1.,  1.])
    """
    centre = mean(x, axis, keepdims=True)
    centred = ops.subtract(x, centre)
    variance = mean(ops.square(centred), axis, keepdims=True)
    return ops.divide(centred, ops.sqrt(variance + eps)), centre, variance


def layer_norm(
    x: ArrayLike,
    normalized_shape: Sequence[int],
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> Any:
    r"""Return :math:`w (x - \bar x) / \sqrt{\mathrm{var}(x) + \epsilon} + b`.

    Mean and variance (divided by n) are over the last axes, for each sample.

    Parameters
    ----------
    x : tensor or array of shape (..., *normalized_shape)
        The elements.
    normalized_shape : sequence of int
        Extents of the axes that are normalised over.
    weight, bias : tensor or array of shape ``normalized_shape``, optional
        Scale and shift; 1 and 0 by default.
    eps : float, default=1e-5
        Added to the variance.

    Returns
    -------
    Tensor
        Of the shape of x.

    Raises
    ------
    ShapeError
        If x, the weight or the bias does not end with ``normalized_shape``.

    References
    ----------
    Ba, Kiros, Hinton (2016). Layer normalization. arXiv:1607.06450.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.layer_norm([[1.0, 3.0], [10.0, 30.0]], (2,), eps=0.0)
    tensor([[-1.,  1.],
            [-1.,  1.]])
    """
    value, axes = _ending_with("layer_norm", x, normalized_shape, weight, bias)
    return _scaled(standardized(value, axes, eps)[0], weight, bias)


def rms_norm(
    x: ArrayLike,
    normalized_shape: Sequence[int],
    weight: ArrayLike | None = None,
    eps: float | None = None,
) -> Any:
    r"""Return :math:`w x / \sqrt{\overline{x^2} + \epsilon}`.

    The mean of the squares is over the last axes, for each sample.

    Parameters
    ----------
    x : tensor or array of shape (..., *normalized_shape)
        The elements.
    normalized_shape : sequence of int
        Extents of the axes that are normalised over.
    weight : tensor or array of shape ``normalized_shape``, optional
        Scale; 1 by default.
    eps : float or None, default=None
        Added to the mean square; None is the spacing of the dtype at 1, as in PyTorch.

    Returns
    -------
    Tensor
        Of the shape of x.

    Raises
    ------
    ShapeError
        If x or the weight does not end with ``normalized_shape``.

    References
    ----------
    Zhang, Sennrich (2019). Root mean square layer normalization. NeurIPS.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.rms_norm([[3.0, 3.0], [1.0, -1.0]], (2,), eps=0.0)
    tensor([[ 1.,  1.],
            [ 1., -1.]])
    """
    value, axes = _ending_with("rms_norm", x, normalized_shape, weight)
    small = float(np.finfo(value.dtype).eps) if eps is None else eps
    size = ops.sqrt(mean(ops.square(value), axes, keepdims=True) + small)
    return _scaled(ops.divide(value, size), weight, None)


def _ending_with(
    name: str, x: ArrayLike, shape: Sequence[int], *scales: ArrayLike | None
) -> tuple[Any, tuple[int, ...]]:
    """Return x and its last axes, of extents `shape`; refuse other shapes."""
    value, own = as_float(x, name), tuple(shape)
    found = [value.shape[max(0, value.ndim - len(own)) :]]
    found += [as_float(scale, name).shape for scale in scales if scale is not None]
    if not own or math.prod(own) == 0 or any(f != own for f in found):
        raise ShapeError(
            f"{name} over {own} needs an input whose last axes have these extents, "
            f"and scales of this shape. Got an input of shape {value.shape} and "
            f"scales of shapes {found[1:]}."
        )
    return value, normalize_axes(name, tuple(range(-len(own), 0)), value.ndim)


def _scaled(x: Any, weight: ArrayLike | None, bias: ArrayLike | None) -> Any:
    if weight is not None:
        x = ops.multiply(x, weight)
    return x if bias is None else ops.add(x, bias)
