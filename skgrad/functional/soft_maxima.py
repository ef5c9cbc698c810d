"""Soft maxima: exponentials that do not overflow."""

from typing import Any

from skgrad import ops
from skgrad.functional.convert import as_float
from skgrad.typing import ArrayLike, Axes

__all__ = ["log_softmax", "logsumexp", "softmax"]


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
    value = as_float(x, "logsumexp")
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
    value = as_float(x, "softmax")
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
    value = as_float(x, "log_softmax")
    return ops.subtract(value, logsumexp(value, axis, keepdims=True))
