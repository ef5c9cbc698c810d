"""Near the solution by a few Newton steps on smoothed pinball losses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skgrad.solvers.problem import QuantileProblem
from skgrad.typing import Array

__all__ = ["Coordinates", "Located", "locate"]

MAX_PASSES = 12
# Added to the Hessian's diagonal, relative to its mean: dependent columns do not move.
RIDGE = 1e-10
# After a step shorter than HALF the window, it shrinks to so many expected errors of
# the step, at least by HALF and at most by FASTEST. A step further than FURTHEST
# windows is cut, and the window grows.
ERRORS, HALF, FASTEST = 3.0, 0.5, 1e-3
FURTHEST, WIDER = 2.0, 3.0


@dataclass(frozen=True)
class Coordinates:
    """Coefficients of standardised inputs, the intercept last.

    Parameters
    ----------
    mean, scale : array of shape (p,)
        Of the inputs, about; the mean is zero without an intercept, the scale infinite
        for columns that count for nothing.
    fit_intercept : bool
        Whether there is an intercept.
    """

    mean: Array
    scale: Array
    fit_intercept: bool

    @classmethod
    def of(cls, problem: QuantileProblem, part: Array) -> Coordinates:
        """Return those of some rows of a problem, whose inputs are `part`.

        Columns that are constant beside an intercept, or zero, are divided by infinity:
        they count for nothing, and their coefficients are zero.
        """
        mean, scale = _moments(part, problem.fit_intercept)
        for j in np.flatnonzero(np.isinf(scale)):  # a rare value may not be in the part
            mean[j], scale[j] = _moments(problem.X[:, j], problem.fit_intercept)
        return cls(mean, scale, problem.fit_intercept)

    def coefficients(
        self, theta: Array, problem: QuantileProblem
    ) -> tuple[Array, Array]:
        """Return coefficients (..., p) and intercepts (...) for the raw inputs."""
        p = len(self.scale)
        # Clipped, because the way back may round across a bound.
        coef = np.clip(theta[..., :p] / self.scale, problem.low, problem.high)
        if not self.fit_intercept:
            return coef, np.zeros(theta.shape[:-1])
        return coef, theta[..., p] - coef @ self.mean

    def rows(self, X: Array) -> Array:
        """Return standardised rows with a column of ones for the intercept."""
        Z = np.empty((len(X), len(self.scale) + self.fit_intercept))
        p = len(self.scale)
        np.subtract(X, self.mean, out=Z[:, :p])
        Z[:, :p] /= self.scale
        Z[:, p:] = 1.0
        return Z

    def pulled(self, weighted: Array, total: Array) -> Array:
        """Return sums of weighted standardised rows from those of raw rows.

        Parameters
        ----------
        weighted : array of shape (..., p)
            Sums of weights times inputs.
        total : array of shape (...)
            Sums of the weights.
        """
        inner = (weighted - total[..., None] * self.mean) / self.scale
        if not self.fit_intercept:
            return inner
        return np.concatenate([inner, total[..., None]], axis=-1)

    def bounds(self, problem: QuantileProblem) -> tuple[Array, Array]:
        """Return the bounds of all coefficients."""
        free = np.full(len(self.scale), np.inf)
        low = -free if problem.low is None else problem.low
        high = free if problem.high is None else problem.high
        counts = np.isfinite(self.scale)
        scale = np.where(counts, self.scale, 1.0)
        low = self.scaled(np.where(counts, low, -np.inf) * scale, -np.inf)
        return low, self.scaled(np.where(counts, high, np.inf) * scale, np.inf)

    def scaled(self, per_coefficient: Array, of_intercept: float = 0.0) -> Array:
        """Return numbers of each coefficient with that of the intercept."""
        return np.append(per_coefficient, [of_intercept] * self.fit_intercept)


def _moments(x: Array, centred: bool) -> tuple[Array, Array]:
    """Return means and standard deviations, or zeros and root mean squares."""
    mean = np.mean(x, axis=0, dtype=np.float64)
    rest = x - mean
    scale = np.sqrt(np.mean(rest * rest, axis=0))
    if not centred:
        mean, scale = 0.0 * mean, np.hypot(mean, scale)
    return mean, np.where(scale > 1e-13 * np.abs(mean), scale, np.inf)


@dataclass(frozen=True)
class Located:
    """Where the smoothed losses led, for each of k quantiles.

    Parameters
    ----------
    theta : array of shape (k, q)
        Coefficients of the standardised inputs.
    width : array of shape (k,)
        Half-width of the last window of smoothing.
    count : array of shape (k,)
        Rows that were in it.
    n_passes : int
        How often the rows were read.
    """

    theta: Array
    width: Array
    count: Array
    n_passes: int


def locate(
    problem: QuantileProblem,
    coordinates: Coordinates,
    quantiles: Array,
    theta: Array,
    width: Array,
    enough: int,
) -> Located:
    r"""Make Newton steps on pinball losses that are smoothed less and less.

    The loss is averaged over a window of half-width h, so that its second derivative
    is the density of the residuals at zero: the rows in the window, the only ones whose
    products are needed. With m of them, q coefficients and a step that was shorter than
    the window, the error left is about :math:`h \sqrt{q / m}`; the window shrinks to
    some of these. All quantiles share each reading of the rows.

    Parameters
    ----------
    problem : QuantileProblem
        The rows, the penalty and the bounds.
    coordinates : Coordinates
        Of `theta`.
    quantiles : array of shape (k,)
        The levels.
    theta : array of shape (k, q)
        Where to start.
    width : array of shape (k,)
        Half-widths to start with, in units of the targets.
    enough : int
        Rows in the window with which a step is the last.

    Returns
    -------
    Located
        What was found, without any promise: the exact method starts there.

    References
    ----------
    M. Fernandes, E. Guerre and E. Horta, Smoothing quantile regressions, Journal of
    Business & Economic Statistics 39 (2021) 338-357 (here: uniform kernel).
    """
    q = coordinates.scaled(coordinates.scale).size
    theta, width = theta.copy(), width.copy()
    low, high = coordinates.bounds(problem)
    count = np.zeros(len(quantiles), dtype=np.int64)
    left = np.arange(len(quantiles))
    n_passes = 0
    while len(left) and n_passes < MAX_PASSES:
        n_passes += 1
        parts = theta[left], quantiles[left], width[left]
        gradients, hessians, counts = _derivatives(problem, coordinates, *parts)
        count[left] = counts
        going = []
        for k, g, H, m in zip(left, gradients, hessians, counts, strict=True):
            step = _step(theta[k], g, H, low, high)
            length = float(np.linalg.norm(step))
            if m < min(2 * q, problem.n_rows) or length > FURTHEST * width[k]:
                # Too few rows in the window for what it says of the others.
                if length > FURTHEST * width[k]:
                    step *= FURTHEST * width[k] / length
                theta[k] += step
                width[k] *= WIDER
                going.append(k)
                continue
            theta[k] += step
            near = length <= HALF * width[k]
            if m <= enough and near:
                continue
            going.append(k)
            if near:
                error = ERRORS * np.sqrt(q / m)
                width[k] *= min(max(error, 0.9 * enough / m, FASTEST), HALF)
        left = np.array(going, dtype=np.int64)
    return Located(theta, width, count, n_passes)


def _step(theta: Array, g: Array, H: Array, low: Array, high: Array) -> Array:
    """Return a step of Newton's method, projected onto the bounds.

    D. P. Bertsekas, Projected Newton methods for optimization problems with simple
    constraints, SIAM Journal on Control and Optimization 20 (1982) 221-246.
    """
    free = ~(((theta <= low) & (g > 0)) | ((theta >= high) & (g < 0)))
    part, step = H[np.ix_(free, free)], np.zeros_like(theta)
    size = np.trace(part) / max(1, len(part))
    if not size > 0:
        return step
    part[np.diag_indices_from(part)] += RIDGE * size
    step[free] = -np.linalg.solve(part, g[free])
    return np.clip(theta + step, low, high) - theta


def _derivatives(
    problem: QuantileProblem,
    coordinates: Coordinates,
    theta: Array,
    quantiles: Array,
    width: Array,
) -> tuple[Array, Array, Array]:
    """Return gradients (k, q), Hessians (k, q, q) and rows in the windows (k,)."""
    K, q = theta.shape
    coef, intercept = coordinates.coefficients(theta, problem)
    p = len(coordinates.scale)
    weighted, total = np.zeros((K, p)), np.zeros(K)
    hessian, count = np.zeros((K, q, q)), np.zeros(K, dtype=np.int64)
    half = (0.5 / width)[:, None]
    tilt = (quantiles - 0.5)[:, None]
    for _, X, y, w in problem.blocks():
        slopes = coef @ X.T
        np.subtract(y - intercept[:, None], slopes, out=slopes)
        slopes *= half
        inside = np.abs(slopes) < 0.5
        np.clip(slopes, -0.5, 0.5, out=slopes)
        slopes += tilt
        slopes *= w
        weighted += slopes @ X
        total += slopes.sum(axis=1)
        for k in range(K):
            index = np.flatnonzero(inside[k])
            Z = coordinates.rows(X[index])
            hessian[k] += (Z.T * w[index]) @ Z
            count[k] += len(index)
    hessian *= half[:, :, None]
    gradient = -coordinates.pulled(weighted, total)
    if problem.penalty is not None:
        # A penalty is a row of a unit vector, smoothed as the others.
        rate = coordinates.scaled(problem.penalty / coordinates.scale)
        slope = np.clip(theta / width[:, None], -1.0, 1.0)
        gradient += rate * slope
        curved = np.where(np.abs(slope) < 1.0, rate / width[:, None], 0.0)
        hessian[:, range(q), range(q)] += curved
    return gradient, hessian, count
