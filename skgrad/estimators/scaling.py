"""Weighted means and scales, for the frozen affine layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from skgrad.losses import Loss, get_link
from skgrad.train.moments import COMPILED_ELEMENTS, shifted_sums
from skgrad.typing import Array

__all__ = [
    "row_blocks",
    "target_frame",
    "too_large",
    "weighted_mean",
    "weighted_mean_and_scale",
]

# Rows are centred in blocks that stay in the cache, once, without a copy of the data.
BLOCK_BYTES = 2**19


def weighted_mean(x: Array, w: Array) -> Array:
    """Return the weighted mean of each column, in float64."""
    if issparse(x):
        with np.errstate(over="ignore", invalid="ignore"):
            return _finite(_sparse_mean(x, w), x)
    total = np.zeros(x.shape[1:])
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in row_blocks(x):
            total += w[rows] @ x[rows].astype(np.float64, copy=False)
        return _finite(np.asarray(total / w.sum()), x)


def _finite(moments: Array, x: Array) -> Array:
    """Return moments of x, or refuse an x too large for them."""
    if np.isfinite(moments).all():
        return moments
    raise ValueError(
        f"The mean or variance of values as large as {np.abs(x).max():.3g} is beyond "
        f"{moments.dtype}, and so they cannot be scaled. Divide the inputs or targets "
        "by a power of ten, and look for numbers that stand for missing values."
    )


def too_large(name: str, X: Array, y: Array) -> ValueError:
    """Return the error of a model whose fit overflows, by name."""
    return ValueError(
        f"{name} cannot be fitted in float64: inputs are as large as "
        f"{np.abs(X).max():.3g} and targets as large as {np.abs(y).max():.3g}. Divide "
        "them by a power of ten, and look for numbers that stand for missing values."
    )


def row_blocks(x: Array) -> list[slice]:
    """Return slices of rows that stay in the cache, in order."""
    row_bytes = x.dtype.itemsize * int(np.prod(x.shape[1:]))
    size = max(1, BLOCK_BYTES // max(1, row_bytes))
    return [slice(start, start + size) for start in range(0, x.shape[0], size)]


def weighted_mean_and_scale(
    x: Array, w: Array, dtype: Any = np.float64
) -> tuple[Array, Array]:
    """Return the weighted mean and standard deviation of each column, in float64.

    As :class:`~sklearn.preprocessing.StandardScaler`: the divisor is the sum of the
    weights, and a column that is constant up to rounding, or to what `dtype` resolves,
    gets the scale 1. Zeros of sparse columns count, and are not made.

    Raises
    ------
    ValueError
        If a mean or a variance is beyond the largest number of float64, or a mean or
        scale beyond that of `dtype`.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        moments = _sparse_mean_and_variance if issparse(x) else _mean_and_variance
        mean, variance = moments(x, w)
        scale = _scale(mean, variance, x.shape[0])
        for moment in (scale, mean.astype(dtype), scale.astype(dtype)):
            _finite(moment, x)
    return mean, np.where(scale < np.finfo(dtype).tiny, 1.0, scale)


def _mean_and_variance(x: Array, w: Array) -> tuple[Array, Array]:
    total = w.sum()
    # By the mean of the first block, so that the difference of two sums below loses no
    # digits that matter: it is at most n / size times as large as what is left (Chan,
    # Golub, LeVeque 1983, on shifted data).
    first_rows = row_blocks(x)[0]
    shift = weighted_mean(x[first_rows], w[first_rows])
    compiled = x.ndim == 2 and x.size >= COMPILED_ELEMENTS
    first, second = (shifted_sums if compiled else _shifted_sums)(x, w, shift)
    first /= total
    return shift + first, np.maximum(second / total - first**2, 0.0)


def _scale(mean: Array, variance: Array, n: int) -> Array:
    """Return standard deviations, 1 of a column that is constant up to rounding."""
    eps = np.finfo(np.float64).eps
    constant = variance <= n * eps * variance + (n * mean * eps) ** 2
    # A variance that overflows would pass for constant: infinity is not above infinity.
    constant &= np.isfinite(variance)
    return np.where(constant, 1.0, np.sqrt(variance))


def _sparse_mean(x: Any, w: Array) -> Array:
    total: Array = x.T @ w
    return total / w.sum()


def _sparse_mean_and_variance(x: Any, w: Array) -> tuple[Array, Array]:
    """Sum squares about the mean over what is stored, then over the zeros."""
    total, p = w.sum(), x.shape[1]
    mean = _sparse_mean(x, w)
    weights = np.repeat(w, np.diff(x.indptr))

    def summed(values: Array) -> Array:
        return np.bincount(x.indices, values, minlength=p)

    # Of a column without a zero exactly none is left, not the rounding of a difference.
    full = np.bincount(x.indices, minlength=p) == x.shape[0]
    zeros = np.where(full, 0.0, np.maximum(total - summed(weights), 0.0))
    centred = x.data - mean[x.indices]
    weights *= centred
    first = (summed(weights) - zeros * mean) / total
    weights *= centred
    second = (summed(weights) + zeros * mean**2) / total
    # As above: the mean was rounded, and first is what it missed.
    return mean + first, np.maximum(second - first**2, 0.0)


def _shifted_sums(x: Array, w: Array, shift: Array) -> tuple[Array, Array]:
    """Return what :func:`~skgrad.train.moments.shifted_sums` does, of any axes."""
    blocks = row_blocks(x)
    first, second = np.zeros_like(shift), np.zeros_like(shift)
    memory = np.empty((len(x[blocks[0]]), *x.shape[1:]))  # new pages take half the time
    for rows in blocks:
        centred = memory[: len(x[rows])]
        np.subtract(x[rows], shift, out=centred)
        first += w[rows] @ centred
        centred *= centred
        second += w[rows] @ centred
    return first, second


def target_frame(
    y: Array, w: Array, loss: Loss, dtype: Any
) -> tuple[Array, Array, Array]:
    """Return offset, y_shift and y_scale.

    With an identity link the targets are standardised. With another link the model
    starts at the link of the mean: it only has to learn the deviations.
    """
    mean, scale = weighted_mean_and_scale(y.astype(np.float64), w, dtype)
    if loss.link == "identity":
        shift, scale = loss.rescaled(mean, scale)
        parts = (np.zeros_like(shift), shift, scale)
    else:
        start = get_link(loss.link).link(np.maximum(mean, np.finfo(dtype).tiny))
        shift, scale = loss.rescaled(start, np.ones_like(scale))
        parts = (shift, shift, scale)
    offset, y_shift, y_scale = (np.asarray(part, dtype=dtype) for part in parts)
    return offset, y_shift, y_scale
