"""The rows of a linear model, for sums of their products."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from skgrad.estimators.scaling import row_blocks, weighted_mean_and_scale
from skgrad.typing import Array

__all__ = ["Design", "is_singular"]


@dataclass(frozen=True, eq=False)
class Design:
    """Rows of a linear model, standardised block by block: X is never copied."""

    X: Any  # an array, or a csr_array of SciPy
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
        parts = (slice(None),) if issparse(self.X) else row_blocks(self.X)
        predicted = np.concatenate([self.X[rows] @ coef for rows in parts])
        return predicted + parameters[0] if self.has_intercept else predicted

    def blocks(self, order: Array | None = None) -> Iterator[tuple[Any, Array]]:
        """Yield the rows of the standardised design, z, and which ones they are."""
        for rows in row_blocks(self.X):
            index = rows if order is None else order[rows]
            x = self.X[index]
            # Sparse rows are made dense block by block, as dense ones are standardised.
            x = x.toarray() if issparse(x) else x
            z = (x - self.mean) / self.scale
            if self.has_intercept:
                z = np.column_stack([np.ones(len(z)), z])
            yield index, z

    def gram(self, v: Array) -> Array:
        """Return the sum of ``v z zᵀ`` over rows z of the standardised design."""
        total = 0.0
        for rows, z in self.blocks():
            total = total + (z * v[rows, None]).T @ z
        return np.asarray(total)

    def joint_gram(self, d: Array) -> Array:
        """Return the sum of ``d ⊗ z zᵀ`` for symmetric d of k outputs, (n, k, k)."""
        k = d.shape[1]
        grid: list[list[Any]] = [[None] * k for _ in range(k)]
        for a in range(k):
            for b in range(a, k):
                grid[a][b] = grid[b][a] = self.gram(d[:, a, b])
        return np.block(grid)

    def total(self, u: Array) -> Array:
        """Return the sum of ``u ⊗ z`` for u of k outputs, (n, k)."""
        total = 0.0
        for rows, z in self.blocks():
            total = total + u[rows].T @ z
        return np.ravel(total)

    def grouped_gram(self, u: Array, codes: Array) -> Array:
        """Return the sum of ``t tᵀ`` over groups, t the sum of ``u ⊗ z`` of a group."""
        q = len(self.scale) + self.has_intercept
        carry, last = np.zeros(u.shape[1] * q), -1
        total = np.outer(carry, carry)
        for rows, z in self.blocks(np.argsort(codes, kind="stable")):
            scores = (u[rows][:, :, None] * z[:, None]).reshape(len(z), -1)
            here = codes[rows]
            sums = np.add.reduceat(scores, np.flatnonzero(np.diff(here, prepend=-1)))
            if here[0] == last:  # a group that began in the block before
                sums[0] += carry
            else:
                total = total + np.outer(carry, carry)
            total = total + sums[:-1].T @ sums[:-1]
            carry, last = sums[-1], here[-1]
        return np.asarray(total + np.outer(carry, carry))

    def quadratic(self, A: Array) -> Array:
        """Return ``zᵀ A z`` of every row for the k x k blocks of A, (n, k, k)."""
        q = len(self.scale) + self.has_intercept
        k = len(A) // q
        grid = A.reshape(k, q, k, q)
        values = np.empty((self.X.shape[0], k, k))
        for rows, z in self.blocks():
            values[rows] = np.einsum("ni,aibj,nj->nab", z, grid, z, optimize=True)
        return values

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
