"""What all regularisation paths share: their strengths, and what they return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skgrad.typing import Array

__all__ = [
    "Path",
    "check_null_loss",
    "ends",
    "grid_of",
    "largest_strength",
    "residuals",
    "tolerance_of",
]

# The path ends where a strength explains so little more of the loss, as glmnet's does,
# or where so much of it is explained; at least so many strengths are done.
LEAST_GAIN, MOST_EXPLAINED, FIRST = 1e-5, 0.999, 5
# The largest strength of a ridge penalty, which no strength makes zero, is that of this
# part of L1, as in glmnet.
LEAST_RATIO = 1e-3
# Tolerances fall no more below this part of the largest strength.
LEAST_PART = 1e-3


@dataclass
class Path:
    """The solutions for a sequence of strengths.

    Parameters
    ----------
    strengths : array of shape (n_strengths,)
        The penalties' strengths, decreasing.
    coef : array of shape (n_strengths, k, p)
        Coefficients of the inputs as they were given.
    intercept : array of shape (n_strengths, k)
        Intercepts.
    loss : array of shape (n_strengths,)
        The mean loss, without the penalty.
    residual : array of shape (n_strengths,)
        How far the slopes are from balancing the penalty, in the largest coordinate,
        for inputs of scale one, relative to `size`.
    null_loss, size : float
        The mean loss and the largest slope of the model without penalised coefficients.
    n_steps : array of int of shape (n_strengths,)
        How many models were tried for each strength.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers import Path
    >>> one = np.ones(1)
    >>> parts = one, np.ones((1, 1, 1)), np.ones((1, 1)), one, 0 * one
    >>> path = Path(*parts, null_loss=4.0, size=1.0, n_steps=one)
    >>> path.explained
    array([0.75])
    """

    strengths: Array
    coef: Array
    intercept: Array
    loss: Array
    residual: Array
    null_loss: float
    size: float
    n_steps: Array

    @property
    def explained(self) -> Array:
        """Part of the null model's loss that each model takes away; 0 of none."""
        gain = np.abs(self.null_loss)
        return (self.null_loss - self.loss) / gain if gain else 0.0 * self.loss


def check_null_loss(value: float) -> None:
    """Refuse losses so large that their squares are beyond float64.

    Parameters
    ----------
    value : float
        The loss of the model without penalised coefficients.

    Raises
    ------
    FloatingPointError
        If its square is not finite.
    """
    if not np.isfinite(value * value):
        raise FloatingPointError(
            f"The loss of the null model, {value:g}, is too large for float64."
        )


def largest_strength(
    gradient: Array,
    coef: Array,
    bounds: tuple[Array, Array],
    factors: Array,
    l1_ratio: float,
) -> float:
    """Return the smallest strength at which no penalised coefficient moves.

    Parameters
    ----------
    gradient, coef : array of shape (k, p)
        The gradient of the loss at the null model, and its coefficients.
    bounds : low, high
        Of shape (k, p).
    factors : array of shape (p,)
        What each penalty is multiplied by.
    l1_ratio : float
        The part of L1; a part below 1e-3 counts as that.

    Returns
    -------
    float
        0 where none would move at all.
    """
    low, high = bounds
    rates = max(l1_ratio, LEAST_RATIO) * factors
    can = np.where(gradient < 0, coef < high, coef > low) & (rates > 0)
    ratios = np.zeros_like(gradient)
    np.divide(np.abs(gradient), rates, out=ratios, where=can)
    return float(ratios.max(initial=0.0))


def grid_of(strengths: Any, largest: float, eps: float) -> Array:
    """Return strengths, decreasing: those given, or so many from the largest down."""
    if not isinstance(strengths, int | np.integer):
        return np.sort(np.asarray(strengths, dtype=np.float64))[::-1]
    largest = largest or np.finfo(np.float64).eps
    return largest * np.geomspace(1.0, eps, int(strengths))


def ends(null_loss: float, losses: list[float]) -> bool:
    """Tell whether further strengths would hardly change the loss."""
    if len(losses) < FIRST:
        return False
    explained = null_loss - losses[-1]
    full = losses[-1] >= 0 and explained > MOST_EXPLAINED * null_loss
    return bool(full or losses[-2] - losses[-1] < LEAST_GAIN * explained)


def residuals(
    gradient: Array, coef: Array, l1: Array, bounds: tuple[Array, Array]
) -> Array:
    """Return how far gradients of the smooth part are from balancing the rest.

    Parameters
    ----------
    gradient, coef : array of shape (k, p)
        The gradient, an L2 penalty's included, and the coefficients.
    l1 : array of shape (p,)
        What their absolute values are multiplied by.
    bounds : low, high
        Of shape (k, p).

    Returns
    -------
    array of shape (k, p)
        Not negative.
    """
    r = np.where(
        coef == 0, gradient - np.clip(gradient, -l1, l1), gradient + l1 * np.sign(coef)
    )
    held = (coef <= bounds[0]) & (r > 0) | (coef >= bounds[1]) & (r < 0)
    return np.where(held, 0.0, np.abs(r))


def tolerance_of(tol: float, strength: float, largest: float) -> float:
    """Return the bound on the residual for a strength.

    What a residual costs in the objective is about its product with the coefficients,
    and these grow along the path: the bound falls with the square root of the strength.

    Parameters
    ----------
    tol : float
        The bound for the largest strength.
    strength, largest : float
        This strength, and the smallest one at which no coefficient moves.

    Returns
    -------
    float
        At most `tol`, and at least 3 % of it.
    """
    part = strength / largest if largest else 1.0
    return float(tol * np.sqrt(np.clip(part, LEAST_PART, 1.0)))
