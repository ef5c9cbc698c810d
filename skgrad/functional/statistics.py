"""Means, variances and norms."""

import math
from typing import Any

import numpy as np

from skgrad import ops
from skgrad.functional.convert import as_float
from skgrad.ops.reduction import normalize_axes
from skgrad.tensor import register_numpy
from skgrad.typing import ArrayLike, Axes

__all__ = ["dot", "mean", "norm", "std", "var"]


def _count(value: Any, axis: Axes) -> int:
    axes = normalize_axes("mean", axis, value.ndim)
    return math.prod(value.shape[a] for a in axes)


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
    value = as_float(x, "mean")
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
    value = as_float(x, "var")
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
    squares = ops.sum(ops.square(as_float(x, "norm")), axis, keepdims)
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


register_numpy(
    {
        np.mean: (mean, 2),
        np.var: (var, 2),
        np.std: (std, 2),
        np.linalg.norm: (norm, 1),
    }
)
