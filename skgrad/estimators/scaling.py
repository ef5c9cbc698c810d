"""Weighted means and scales, for the frozen affine layers."""

from __future__ import annotations

import numpy as np

from skgrad.typing import Array

__all__ = ["weighted_mean_and_scale"]


def weighted_mean_and_scale(x: Array, w: Array) -> tuple[Array, Array]:
    """Return the weighted mean and standard deviation of each column, in float64.

    As :class:`~sklearn.preprocessing.StandardScaler`: the divisor is the sum of the
    weights, and a column that is constant up to rounding gets the scale 1.
    """
    total = w.sum()
    mean = w @ x / total
    centred = x - mean
    # The second term removes the rounding of the mean (Chan, Golub, LeVeque 1983, the
    # corrected two-pass algorithm).
    variance = w @ centred**2 / total - (w @ centred / total) ** 2
    variance = np.maximum(variance, 0.0)
    eps = np.finfo(np.float64).eps
    constant = variance <= len(x) * eps * variance + (len(x) * mean * eps) ** 2
    return mean, np.where(constant, 1.0, np.sqrt(variance))
