"""Weighted means and scales, for the frozen affine layers."""

from __future__ import annotations

import numpy as np

from skgrad.typing import Array

__all__ = ["weighted_mean", "weighted_mean_and_scale"]

# Rows are centred in blocks that stay in the cache, once, without a copy of the data.
BLOCK_BYTES = 2**19


def weighted_mean(x: Array, w: Array) -> Array:
    """Return the weighted mean of each column, in float64."""
    total = np.zeros(x.shape[1:])
    for rows in _blocks(x):
        total += w[rows] @ x[rows].astype(np.float64, copy=False)
    return np.asarray(total / w.sum())


def _blocks(x: Array) -> list[slice]:
    size = max(1, BLOCK_BYTES // max(1, x.itemsize * int(np.prod(x.shape[1:]))))
    return [slice(start, start + size) for start in range(0, len(x), size)]


def weighted_mean_and_scale(x: Array, w: Array) -> tuple[Array, Array]:
    """Return the weighted mean and standard deviation of each column, in float64.

    As :class:`~sklearn.preprocessing.StandardScaler`: the divisor is the sum of the
    weights, and a column that is constant up to rounding gets the scale 1.
    """
    total = w.sum()
    blocks = _blocks(x)
    # By the mean of the first block, so that the difference of two sums below loses no
    # digits that matter: it is at most n / size times as large as what is left (Chan,
    # Golub, LeVeque 1983, on shifted data).
    shift = weighted_mean(x[blocks[0]], w[blocks[0]])
    first, second = np.zeros_like(shift), np.zeros_like(shift)
    memory = np.empty((len(x[blocks[0]]), *x.shape[1:]))  # new pages take half the time
    for rows in blocks:
        centred = memory[: len(x[rows])]
        np.subtract(x[rows], shift, out=centred)
        first += w[rows] @ centred
        centred *= centred
        second += w[rows] @ centred
    first /= total
    mean = shift + first
    variance = np.maximum(second / total - first**2, 0.0)
    eps = np.finfo(np.float64).eps
    constant = variance <= len(x) * eps * variance + (len(x) * mean * eps) ** 2
    return mean, np.where(constant, 1.0, np.sqrt(variance))
