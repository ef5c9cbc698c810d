"""Compositions of operations: no gradient rule of their own."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skgrad import ops
from skgrad.exceptions import ParameterError
from skgrad.ops import relu
from skgrad.ops.indexing import from_start
from skgrad.ops.promotion import as_value
from skgrad.ops.reduction import normalize_axes
from skgrad.ops.shape import negative_axis
from skgrad.tensor import register_numpy
from skgrad.typing import ArrayLike, Axes, DTypeLike

__all__ = [
    "dot",
    "gelu",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "mean",
    "norm",
    "one_hot",
    "relu",
    "silu",
    "softmax",
    "sort",
    "stack",
    "std",
    "take_along_axis",
    "var",
]


def _float(x: ArrayLike, name: str) -> Any:
    value = as_value(x, name)
    return value if value.dtype.kind == "f" else ops.astype(value, "float64")


def _count(value: Any, axis: Axes) -> int:
    axes = normalize_axes("mean", axis, value.ndim)
    return math.prod(value.shape[a] for a in axes)


# --- statistics -------------------------------------------------------------------


def mean(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """Return the arithmetic mean over axes; NaN over an empty one.

    Parameters
    ----------
    x : tensor or array
        The elements; integers are averaged in float64.
    axis : int, sequence of int or None, default=None
        The axes; all by default.
    keepdims : bool, default=False
        Keep the axes, with extent 1.

    Returns
    -------
    Tensor
        The means.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.mean([1.0, 2.0, 3.0])
    tensor(2.)
    """
    value = _float(x, "mean")
    return ops.divide(ops.sum(value, axis, keepdims), float(_count(value, axis)))


def var(x: ArrayLike, axis: Axes = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """Return the variance over axes, computed from the centred elements.

    Parameters
    ----------
    x : tensor or array
        The elements.
    axis : int, sequence of int or None, default=None
        The axes; all by default.
    ddof : int, default=0
        The divisor is n - ddof.
    keepdims : bool, default=False
        Keep the axes, with extent 1.

    Returns
    -------
    Tensor
        The variances.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.var([1.0, 3.0])
    tensor(1.)
    """
    value = _float(x, "var")
    centred = ops.subtract(value, mean(value, axis, keepdims=True))
    total = ops.sum(ops.square(centred), axis, keepdims)
    return ops.divide(total, float(_count(value, axis) - ddof))


def std(x: ArrayLike, axis: Axes = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """Return the standard deviation over axes.

    Parameters
    ----------
    x : tensor or array
        The elements.
    axis : int, sequence of int or None, default=None
        The axes; all by default.
    ddof : int, default=0
        The divisor is n - ddof.
    keepdims : bool, default=False
        Keep the axes, with extent 1.

    Returns
    -------
    Tensor
        The standard deviations; their derivative is infinite where they are 0.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.std([1.0, 3.0])
    tensor(1.)
    """
    return ops.sqrt(var(x, axis, ddof, keepdims))


def norm(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """Return the Euclidean norm over axes; its derivative at 0 is taken as 0.

    Parameters
    ----------
    x : tensor or array
        The elements.
    axis : int, sequence of int or None, default=None
        The axes; all by default.
    keepdims : bool, default=False
        Keep the axes, with extent 1.

    Returns
    -------
    Tensor
        The norms.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.norm([3.0, 4.0])
    tensor(5.)
    """
    squares = ops.sum(ops.square(_float(x, "norm")), axis, keepdims)
    # The derivative of the root is infinite at 0: keep 0 away from it.
    positive = ops.greater(squares, 0.0)
    return ops.where(positive, ops.sqrt(ops.where(positive, squares, 1.0)), 0.0)


def dot(x: ArrayLike, y: ArrayLike) -> Any:
    """Return the sum of the elementwise product, a scalar.

    Parameters
    ----------
    x, y : tensor or array
        Of one shape.

    Returns
    -------
    Tensor of shape ()
        Σ xᵢyᵢ over all elements.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.dot([1.0, 2.0], [3.0, 4.0])
    tensor(11.)
    """
    return ops.sum(ops.multiply(x, y))


# --- soft maxima ------------------------------------------------------------------


def _safe_max(value: Any, axis: Axes) -> Any:
    """Return the maximum as a constant shift: finite, without a derivative."""
    peak = ops.max(value, axis, keepdims=True).detach()
    return ops.where(ops.isfinite(peak), peak, 0.0)


def logsumexp(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """Return log Σ exp(x) over axes, without overflow.

    Parameters
    ----------
    x : tensor or array
        The elements.
    axis : int, sequence of int or None, default=None
        The axes; all by default.
    keepdims : bool, default=False
        Keep the axes, with extent 1.

    Returns
    -------
    Tensor
        The logarithms.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> round(F.logsumexp([1000.0, 1000.0]).item() - 1000.0, 8)
    0.69314718
    """
    value = _float(x, "logsumexp")
    shift = _safe_max(value, axis)
    total = ops.sum(ops.exp(ops.subtract(value, shift)), axis, keepdims=True)
    out = ops.add(ops.log(total), shift)
    if keepdims:
        return out
    return ops.sum(out, axis)  # of extents 1


def softmax(x: ArrayLike, axis: int = -1) -> Any:
    """Return exp(x) / Σ exp(x) along an axis, without overflow.

    Parameters
    ----------
    x : tensor or array
        The elements.
    axis : int, default=-1
        The axis.

    Returns
    -------
    Tensor
        Positive, summing to 1 along the axis.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.softmax([0.0, 0.0])
    tensor([0.5, 0.5])
    """
    value = _float(x, "softmax")
    powers = ops.exp(ops.subtract(value, _safe_max(value, axis)))
    return ops.divide(powers, ops.sum(powers, axis, keepdims=True))


def log_softmax(x: ArrayLike, axis: int = -1) -> Any:
    """Return the logarithm of :func:`softmax`, accurate for small probabilities.

    Parameters
    ----------
    x : tensor or array
        The elements.
    axis : int, default=-1
        The axis.

    Returns
    -------
    Tensor
        x - log Σ exp(x).

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.log_softmax([0.0, 1000.0])
    tensor([-1000.,     0.])
    """
    value = _float(x, "log_softmax")
    return ops.subtract(value, logsumexp(value, axis, keepdims=True))


def log_sigmoid(x: ArrayLike) -> Any:
    """Return log(1 / (1 + e⁻ˣ)) without overflow.

    Parameters
    ----------
    x : tensor or array
        The elements.

    Returns
    -------
    Tensor
        Of the same shape.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.log_sigmoid([-1000.0])
    tensor([-1000.])
    """
    return ops.negative(ops.softplus(ops.negative(x)))


# --- activations ------------------------------------------------------------------


def silu(x: ArrayLike) -> Any:
    """Return x · sigmoid(x), the SiLU or swish.

    Parameters
    ----------
    x : tensor or array
        The elements.

    Returns
    -------
    Tensor
        Of the same shape.

    References
    ----------
    Elfwing, Uchibe, Doya (2018). Sigmoid-weighted linear units. Neural Networks 107.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.silu([0.0])
    tensor([0.])
    """
    return ops.multiply(x, ops.sigmoid(x))


def gelu(x: ArrayLike, approximate: str = "none") -> Any:
    """Return x · Φ(x), Φ the normal distribution function.

    Parameters
    ----------
    x : tensor or array
        The elements.
    approximate : {"none", "tanh"}, default="none"
        ``"tanh"``: ½x(1 + tanh(√(2/π)(x + 0.044715x³))).

    Returns
    -------
    Tensor
        Of the same shape.

    Raises
    ------
    ParameterError
        If ``approximate`` is something else.

    References
    ----------
    Hendrycks, Gimpel (2016). Gaussian error linear units. arXiv:1606.08415.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.gelu([0.0])
    tensor([0.])
    """
    value = _float(x, "gelu")
    if approximate == "none":
        phi = ops.erf(ops.multiply(value, 1.0 / math.sqrt(2.0)))
    elif approximate == "tanh":
        cubic = ops.multiply(ops.multiply(ops.square(value), value), 0.044715)
        phi = ops.tanh(ops.multiply(ops.add(value, cubic), math.sqrt(2.0 / math.pi)))
    else:
        raise ParameterError(
            "The 'approximate' parameter of gelu must be 'none' or 'tanh'. "
            f"Got {approximate!r} instead."
        )
    return ops.multiply(ops.multiply(value, 0.5), ops.add(phi, 1.0))


# --- arranging --------------------------------------------------------------------


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
        np.mean: (mean, 2),
        np.var: (var, 2),
        np.std: (std, 2),
        np.stack: (stack, 2),
        np.sort: (sort, 2),
        np.take_along_axis: (take_along_axis, 3),
        np.linalg.norm: (norm, 1),
    }
)
