"""The rows of a linear model, for sums of their products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skgrad.estimators.scaling import row_blocks, weighted_mean_and_scale
from skgrad.typing import Array

__all__ = ["Design", "is_singular"]


@dataclass(frozen=True, eq=False)
class Design:
    """Rows of a linear model, standardised block by block: X is never copied."""

    X: Array
    mean: Array
    scale: Array
    has_intercept: bool

    @classmethod
    def of(cls, X: Array, w: Array, has_intercept: bool) -> Design:
        """Return the design of weighted rows."""
        mean, scale = weighted_mean_and_scale(X, w)
        if not has_intercept:
            # Centring would be an intercept.
            mean, scale = np.zeros_like(mean), np.hypot(mean, scale)
        return cls(X, mean, scale, has_intercept)

    def predict(self, parameters: Array) -> Array:
        """Return the predictions of coefficients on the original scale, in float64."""
        coef = parameters[self.has_intercept :]
        predicted = np.concatenate([self.X[rows] @ coef for rows in row_blocks(self.X)])
        return predicted + parameters[0] if self.has_intercept else predicted

    def gram(self, v: Array) -> Array:
        """Return the sum of ``v z zᵀ`` over rows z of the standardised design."""
        total = 0.0
        for rows in row_blocks(self.X):
            z = (self.X[rows] - self.mean) / self.scale
            if self.has_intercept:
                z = np.column_stack([np.ones(len(z)), z])
            total = total + (z * v[rows, None]).T @ z
        return np.asarray(total)

    def original(self, covariance: Array) -> Array:
        """Return a covariance on the scale of X from one of the standardised design."""
        back = np.diag(1 / self.scale)
        if self.has_intercept:
            back = np.pad(back, ((1, 0), (1, 0)))
            back[0] = np.append(1.0, -self.mean / self.scale)
        return back @ covariance @ back.T


def is_singular(values: Array) -> bool:
    """Tell it from the eigenvalues, ascending, of a standardised Gram matrix."""
    return bool(values[0] <= len(values) * 1e-13 * values[-1])
