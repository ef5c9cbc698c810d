"""Near the solution by a few Newton steps on smoothed pinball losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skgrad.optim.gram_descent import minimize_gram
from skgrad.solvers.problem import QuantileProblem
from skgrad.typing import Array

__all__ = ["Coordinates", "Located", "locate"]

MAX_PASSES = 12
# Rows of a window that are taken at a time.
WINDOW_ROWS = 4096
# Added to the Hessian's diagonal, relative to its mean: dependent columns do not move.
RIDGE = 1e-10
# Of steps with a penalty or bounds, relative to what they gain.
PRECISION, MAX_SWEEPS = 1e-6, 1000
# What a step leaves, in half-widths of the window: a part of the root of coefficients
# per row in it, and a part of its own length squared, as the window moves along. On
# Gaussian and on skewed inputs, with errors of three and more degrees of freedom, 0.4
# and 0.05 to 0.11 were seen.
NOISE, BEND = 0.5, 0.12
# The next window is so many errors wide, within these parts of the last one.
ERRORS, FASTEST, SLOWEST = 3.0, 1e-3, 0.5
# Rows per coefficient that a window should hold.
FEWEST = 6
# A step that moves predictions by more half-widths is cut, and the window grows.
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
        Z[:, :p] *= 1.0 / self.scale
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
    rest = x - mean if centred else x
    size = np.abs(rest).max(axis=0)  # squares of tiny or huge numbers are none
    unit = rest / np.where(size > 0, size, 1.0)
    scale = size * np.sqrt(np.mean(unit * unit, axis=0))
    counts = scale > 1e-13 * np.abs(mean) * centred
    return mean * centred, np.where(counts, scale, np.inf)


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
        Rows that were in the last.
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
    reach: Array,
) -> Located:
    r"""Make Newton steps on pinball losses that are smoothed less and less.

    The loss is averaged over a window of half-width h, so that its second derivative
    is the density of the residuals at zero: the rows in the window are the only ones
    whose products are needed. With m of them, q coefficients and a step of length s
    the coefficients are off by about :math:`h (\tfrac12 \sqrt{q / m} + 0.12 (s / h)^2)`
    after it; the next window is some of these wide. All quantiles share each reading of
    the rows.

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
    reach : array of shape (k,)
        Where to stop: when a window that is off by the error holds so many rows.

    Returns
    -------
    Located
        What was found, without any promise: the exact method starts there.

    References
    ----------
    M. Fernandes, E. Guerre and E. Horta, Smoothing quantile regressions, Journal of
    Business & Economic Statistics 39 (2021) 338-357 (here: uniform kernel).
    """
    q = problem.n_columns
    theta, width = theta.copy(), width.copy()
    low, high = coordinates.bounds(problem)
    count = np.zeros(len(quantiles), dtype=np.int64)
    origin, most = theta.copy(), np.full(len(quantiles), np.inf)
    rise = 0.25 * float(problem.w.sum())  # by which smoothing raises a value, per width
    rate = np.zeros(q)
    if problem.penalty is not None:
        rate = coordinates.scaled(problem.penalty / coordinates.scale)
    left = np.arange(len(quantiles))
    n_passes = 0
    while len(left) and n_passes < MAX_PASSES:
        n_passes += 1
        parts = theta[left], quantiles[left], width[left]
        found = _derivatives(problem, coordinates, *parts)
        count[left] = found.count
        going = []
        for k, loss, g, H, m in zip(left, *found, strict=True):
            value = loss + rate @ np.abs(theta[k])
            if value > most[k]:  # no step on the smoothed loss leads here
                theta[k] = origin[k]
                width[k] *= WIDER
                going.append(k)
                continue
            origin[k], most[k] = theta[k], value + rise * width[k]
            step = _step(theta[k], g, H, rate, low, high)
            # How far predictions move, by the rows in the window.
            length = float(np.sqrt(2.0 * abs(step @ H @ step) / (max(m, 1) * width[k])))
            few = m < min(2 * q, problem.n_rows)
            if few or length > FURTHEST:
                # Of the rows outside the window, the window says too little.
                if not few:
                    theta[k] += step * (FURTHEST / length)
                width[k] *= WIDER
                going.append(k)
                continue
            theta[k] += step
            error = NOISE * np.sqrt(q / m) + BEND * length**2
            if length > 1.0 or (error * m > reach[k] and m > FEWEST * q):
                narrower = max(ERRORS * error, 0.8 * FEWEST * q / m, FASTEST)
                width[k] *= min(narrower, SLOWEST)
                going.append(k)
        left = np.array(going, dtype=np.int64)
    return Located(theta, width, count, n_passes)


def _step(
    theta: Array, g: Array, H: Array, rate: Array, low: Array, high: Array
) -> Array:
    """Return a step of Newton's method, with the penalty and within the bounds."""
    size = np.trace(H) / max(1, len(H))
    if not size > 0:
        return np.zeros_like(theta)
    H[np.diag_indices_from(H)] += RIDGE * size
    if not (rate.any() or np.isfinite(low).any() or np.isfinite(high).any()):
        return -np.linalg.solve(H, g)
    within = (
        PRECISION * abs(float(g @ theta))
        + PRECISION * float(np.abs(g).max()) ** 2 / size
    )
    minimum = minimize_gram(
        H, H @ theta - g, rate, low, high, theta, tol=within, max_sweeps=MAX_SWEEPS
    )
    return minimum.coef - theta


class _Derivatives(NamedTuple):
    """Of each of k levels.

    Values (k,) are those of the loss itself, without the penalty; gradients (k, q) and
    Hessians (k, q, q) are those of the smoothed one, and counts (k,) the rows in its
    windows.
    """

    value: Array
    gradient: Array
    hessian: Array
    count: Array


def _derivatives(
    problem: QuantileProblem,
    coordinates: Coordinates,
    theta: Array,
    quantiles: Array,
    width: Array,
) -> _Derivatives:
    """Return value and derivatives at some coefficients, from one reading."""
    K, q = theta.shape
    coef, intercept = coordinates.coefficients(theta, problem)
    p = len(coordinates.scale)
    weighted, total, value = np.zeros((K, p)), np.zeros(K), np.zeros(K)
    windows: list[tuple[Array, Array]] = []
    half = (0.5 / width)[:, None]
    tilt = (quantiles - 0.5)[:, None]
    for at, X, y, w in problem.blocks():
        slopes = coef @ X.T
        np.subtract(y - intercept[:, None], slopes, out=slopes)
        value += (quantiles - 0.5) * (slopes @ w) + 0.5 * (np.abs(slopes) @ w)
        slopes *= half
        level, index = np.nonzero(np.abs(slopes) < 0.5)
        windows.append((level, index + at.start))
        np.clip(slopes, -0.5, 0.5, out=slopes)
        slopes += tilt
        slopes *= w
        weighted += slopes @ X
        total += slopes.sum(axis=1)
    level, index = (np.concatenate(parts) for parts in zip(*windows, strict=True))
    hessian, count = np.zeros((K, q, q)), np.bincount(level, minlength=K)
    for k in range(K):
        rows = index[level == k]
        for part in np.split(rows, range(WINDOW_ROWS, len(rows), WINDOW_ROWS)):
            Z = coordinates.rows(problem.X[part])
            Z *= np.sqrt(problem.w[part])[:, None]
            hessian[k] += Z.T @ Z  # of one array with itself: half the work
    hessian *= half[:, :, None]
    gradient = -coordinates.pulled(weighted, total)
    return _Derivatives(value, gradient, hessian, count)
