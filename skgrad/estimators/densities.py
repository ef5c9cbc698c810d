"""Kernels and bandwidths of the density of a target at its quantile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtri

from skgrad.typing import Array

__all__ = ["BANDWIDTHS", "KERNELS", "Bandwidth", "Kernel"]

Kernel = Callable[[Array], Array]
Bandwidth = Callable[[int, float], float]


def _normal(u: Any) -> Any:
    """Return the density of the standard normal distribution."""
    return np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi)


def _parzen(u: Array) -> Array:
    a = np.abs(u)
    return np.where(a <= 0.5, 4 / 3 - 8 * a**2 + 8 * a**3, 8 / 3 * (1 - a) ** 3)


def _within(radius: float, density: Kernel) -> Any:
    """Return a kernel that is zero beyond a radius."""
    return lambda u: np.where(np.abs(u) <= radius, density(u), 0.0)


# Greene, Econometric Analysis (2008), table 14.2; the cosine has a support of length 1.
KERNELS: dict[str, Kernel] = {
    "biweight": _within(1, lambda u: 15 / 16 * (1 - u**2) ** 2),
    "cosine": _within(0.5, lambda u: 1 + np.cos(2 * np.pi * u)),
    "epanechnikov": _within(1, lambda u: 3 / 4 * (1 - u**2)),
    "gaussian": _normal,
    "parzen": _within(1, _parzen),
    "uniform": _within(1, lambda u: np.full_like(u, 0.5)),
}


def _hall_sheather(n: int, q: float) -> float:
    z = ndtri(q)
    shape = 1.5 * _normal(z) ** 2 / (2 * z**2 + 1)
    return n ** (-1 / 3) * ndtri(0.975) ** (2 / 3) * shape ** (1 / 3)


def _bofinger(n: int, q: float) -> float:
    z = ndtri(q)
    # As R's quantreg has it, and as it follows from s = 1 / density and its second
    # derivative; statsmodels 0.15 takes the density at 2 z instead of z.
    return n ** (-1 / 5) * (4.5 * _normal(z) ** 4 / (2 * z**2 + 1) ** 2) ** 0.2


def _chamberlain(n: int, q: float) -> float:
    return ndtri(0.975) * np.sqrt(q * (1 - q) / n)


# Half the width, in probability, of the neighbourhood of a quantile.
BANDWIDTHS: dict[str, Bandwidth] = {
    "bofinger": _bofinger,
    "chamberlain": _chamberlain,
    "hall_sheather": _hall_sheather,
}
