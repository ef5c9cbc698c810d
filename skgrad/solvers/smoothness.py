"""How smooth: penalties of least marginal likelihood or of least prediction error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, gammaln, polygamma

from skgrad.solvers.penalized import (
    PenalizedFit,
    PenalizedProblem,
    minimize_penalized,
)
from skgrad.typing import Array

__all__ = [
    "FixedScale",
    "FreeScale",
    "GammaScale",
    "Smoothness",
    "SmoothnessProblem",
]

# Of logarithms: how far penalties may be from where they weigh as much as the data, and
# a step.
RANGE = (np.log(1e-10), np.log(1e15))
LONGEST_STEP, MOST_HALVINGS = 5.0, 20
# Where a penalty counts for all or nothing derivatives fall exponentially, and each
# Newton step has length 1; longer ones save most of them.
FLAT, TAIL_STEP = 1e-2, 3.0
# Parts of the constant model's deviance that are none, where the scale is known and
# where it is not. Derivatives of a minimum where rounding, or a second derivative of
# the loss that jumps, ends the descent: they are of log-likelihoods.
SEPARATED, PERFECT, STALLED = 1e-5, 1e-13, 1e-2
# Newton's method on the criterion needs coefficients more accurate than its tolerance.
# Both are in units of log-likelihoods, as is the tolerance without a criterion.
INNER, FIXED = 1e-3, 1e-10
ROUNDING, EPS = 1e-12, 1e-15


# ------------------------------------------------------------------------------- scale


class Profile(NamedTuple):
    """A function of the deviance, its derivatives, and the scale it holds for."""

    value: float
    slope: float
    curvature: float
    phi: float


@dataclass(frozen=True)
class FixedScale:
    """A scale φ that is known: the loss over φ is a negative log-likelihood.

    Parameters
    ----------
    phi : float
        The scale.

    Examples
    --------
    >>> from skgrad.solvers import FixedScale
    >>> FixedScale(1.0).profile(4.0, 0).value
    2.0
    """

    phi: float

    def profile(self, deviance: float, n_null: float) -> Profile:
        """Return half the deviance over the scale.

        Parameters
        ----------
        deviance : float
            Twice the loss, less that of a perfect fit.
        n_null : float
            How many coefficients have no penalty.

        Returns
        -------
        Profile
            Minus the log-likelihood by the deviance.
        """
        null = n_null / 2 * float(np.log(2 * np.pi * self.phi))
        value = deviance / 2 / self.phi - null
        return Profile(value, 0.5 / self.phi, 0.0, self.phi)


@dataclass(frozen=True)
class FreeScale:
    """The variance of normal distributions, or a dispersion treated as one.

    Parameters
    ----------
    n : float
        Number of rows, the sum of their weights.
    least : float
        The smallest deviance told from none.

    Examples
    --------
    >>> from skgrad.solvers import FreeScale
    >>> FreeScale(10.0, 1e-9).profile(16.0, 2).phi
    2.0
    """

    n: float
    least: float

    def profile(self, deviance: float, n_null: float) -> Profile:
        """Return minus the restricted log-likelihood at the best scale.

        Parameters
        ----------
        deviance : float
            Twice the loss, less that of a perfect fit.
        n_null : float
            How many coefficients have no penalty.

        Returns
        -------
        Profile
            It by the deviance.
        """
        df, deviance = max(self.n - n_null, 1e-3), max(deviance, self.least)
        phi = deviance / df
        value = df / 2 * (np.log(2 * np.pi * phi) + 1)
        return Profile(value, 0.5 / phi, -0.5 / phi / deviance, phi)


@dataclass(frozen=True)
class GammaScale(FreeScale):
    """The dispersion of gamma distributions, one over their shape.

    Parameters
    ----------
    n : float
        Number of rows, the sum of their weights.
    least : float
        The smallest deviance told from none.

    Examples
    --------
    >>> from skgrad.solvers import GammaScale
    >>> round(GammaScale(100.0, 1e-9).profile(50.0, 1).phi, 2)
    0.47
    """

    def profile(self, deviance: float, n_null: float) -> Profile:
        """Return minus the restricted log-likelihood, see `FreeScale.profile`."""
        n, deviance = self.n, max(deviance, self.least)

        def slope(log_shape: float) -> float:
            shape = np.exp(log_shape)
            saturated = 2 * n * (log_shape - digamma(shape))
            return float(saturated - n_null / shape - deviance)

        shape = float(np.exp(brentq(slope, -20.0, 40.0)))
        phi = 1 / shape
        perfect = n * (shape * np.log(shape) - shape - gammaln(shape))
        value = deviance / 2 / phi - perfect - n_null / 2 * np.log(2 * np.pi * phi)
        # Of the shape by the deviance, from the equation above.
        bend = 2 * n * (phi - polygamma(1, shape)) + n_null * phi**2
        return Profile(float(value), shape / 2, float(0.5 / bend), phi)


Scale = FixedScale | FreeScale


# ---------------------------------------------------------------------------- criteria


@dataclass(frozen=True, eq=False)
class Pieces:
    """What both criteria are made of, at one fit.

    ``D`` has a row per penalty, its diagonal times its smoothing parameter. All penalty
    matrices being diagonal, traces of products are sums over elements.
    """

    fit: PenalizedFit
    D: Array
    scale: Scale
    saturated: float

    @cached_property
    def moves(self) -> Array:
        """Derivatives of the coefficients by the logarithms, (m, p)."""
        return np.asarray(-(self.D * self.fit.coef) @ self.fit.inverse)

    def traces(self, left: Array, right: Array) -> Array:
        """Return tr(left Sⱼ right Sₖ) of all pairs of penalties."""
        return np.asarray(self.D @ (left * right.T) @ self.D.T)

    @property
    def penalized(self) -> Array:
        """Which coefficients have a penalty."""
        return self.D.sum(axis=0) > 0

    @property
    def deviance(self) -> float:
        """Twice the loss, less that of a perfect fit."""
        return 2 * (self.fit.sums.loss - self.saturated)


class Criterion(NamedTuple):
    """A criterion and its derivatives by logarithms of smoothing parameters.

    As if the Hessian of the losses were constant; how the criterion depends on it is
    the trace of its product with ``leverage``.
    """

    value: float
    gradient: Array
    hessian: Array
    leverage: Array


def reml(pieces: Pieces) -> Criterion:
    """Return minus the logarithm of the restricted marginal likelihood.

    By Laplace's method: Wood 2011, Section 2.
    """
    fit, D, seen = pieces.fit, pieces.D, pieces.penalized
    total = D[:, seen].sum(axis=0)
    share = D[:, seen] / total
    deviance = pieces.deviance + fit.penalty
    profile = pieces.scale.profile(deviance, float((~seen).sum()))
    quadratic, trace = D @ fit.coef**2, D @ np.diagonal(fit.inverse)
    rank = share.sum(axis=1)
    second = np.diag(quadratic) + 2 * (D * fit.coef) @ pieces.moves.T
    return Criterion(
        profile.value + (fit.log_determinant - np.log(total).sum()) / 2,
        profile.slope * quadratic + (trace - rank) / 2,
        profile.slope * second
        + profile.curvature * np.outer(quadratic, quadratic)
        + (np.diag(trace - rank) - pieces.traces(fit.inverse, fit.inverse)) / 2
        + share @ share.T / 2,
        fit.inverse / 2,
    )


def gcv(pieces: Pieces) -> Criterion:
    """Return n/2 times the logarithm of the score of generalised cross-validation.

    Where the scale is known half the deviance over it, plus the effective degrees of
    freedom: the estimator of the risk also known as Cp (Wood 2008, Section 2).
    """
    fit, D, moves, scale = pieces.fit, pieces.D, pieces.moves, pieces.scale
    inverse, edf = fit.inverse, float(fit.edf.sum())
    between = inverse - (inverse * fit.ridge) @ inverse  # A⁻¹ H A⁻¹
    pull = fit.ridge * fit.coef
    # Of the deviance, then of the effective degrees of freedom.
    first = -2 * moves @ pull
    bent = (D * (inverse @ pull)) @ moves.T
    own = moves @ fit.sums.hessian @ moves.T
    second = 2 * (own + bent + bent.T) + np.diag(first)
    lost = -D @ np.diagonal(between)
    turned = np.diag(lost) + 2 * pieces.traces(inverse, between)
    if isinstance(scale, FixedScale):
        value, price, rise = edf, 1.0, 0.0
    else:
        left = max(1 - edf / scale.n, 1e-3)
        value, price, rise = -scale.n * np.log(left), 1 / left, 1 / left**2 / scale.n
        scale = FreeScale(scale.n, scale.least)
    profile = scale.profile(pieces.deviance, 0.0)
    return Criterion(
        profile.value + value,
        profile.slope * first + price * lost,
        profile.slope * second
        + profile.curvature * np.outer(first, first)
        + price * turned
        + rise * np.outer(lost, lost),
        price * (inverse - between),
    )


CRITERIA: dict[str, Callable[[Pieces], Criterion]] = {"reml": reml, "gcv": gcv}


# --------------------------------------------------------------------------- selection


@dataclass(frozen=True, eq=False)
class Smoothness:
    """Chosen smoothing parameters and the fit with them.

    Parameters
    ----------
    smoothing : array of shape (m,)
        The smoothing parameters.
    fit : PenalizedFit
        The coefficients.
    phi : float
        Estimate of the scale.
    criterion : float
        Value of what was minimised; nan where nothing was.
    n_iter : int
        Steps of Newton's method on the smoothing parameters.
    n_passes : int
        How often the rows were read.
    converged : bool
        Whether the criterion is at a minimum.
    perfect : bool
        Whether the fit has no loss left: there is no minimum then.

    Examples
    --------
    >>> from skgrad.solvers import Smoothness
    >>> list(Smoothness.__dataclass_fields__)[:2]
    ['smoothing', 'fit']
    """

    smoothing: Array
    fit: PenalizedFit
    phi: float
    criterion: float
    n_iter: int
    n_passes: int
    converged: bool
    perfect: bool = False


@dataclass(eq=False)
class SmoothnessProblem:
    """Choose how much each penalty counts.

    Parameters
    ----------
    rows : PenalizedProblem
        The sums over the rows.
    penalties : array of shape (m, p)
        Diagonals of the penalty matrices, non-negative; none is zero.
    scale : callable
        The scale of the loss, given a fit.
    saturated : float, default=0.0
        The sum of the losses of a perfect fit.
    constant_hessian : bool, default=False
        Whether the second derivatives of the loss do not depend on predictions.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers import FixedScale, LossSums, SmoothnessProblem
    >>> class Parabola:
    ...     def sums(self, coef):
    ...         error = coef - np.array([3.0, 3.0, 4.0])
    ...         return LossSums(error @ error / 2, error, np.eye(3))
    >>> problem = SmoothnessProblem(
    ...     Parabola(), np.ones((1, 3)), lambda fit: FixedScale(1.0), 0.0, True
    ... )
    >>> found = problem.select("reml", np.zeros(3))
    >>> round(float(found.smoothing[0]), 4)  # 3 / (3² + 3² + 4² - 3)
    0.0968
    """

    rows: PenalizedProblem
    penalties: Array
    scale: Callable[[PenalizedFit], Scale]
    saturated: float = 0.0
    constant_hessian: bool = False

    def fixed(self, smoothing: Array, start: Array) -> Smoothness:
        """Fit with given smoothing parameters.

        Parameters
        ----------
        smoothing : array of shape (m,)
            Non-negative.
        start : array of shape (p,)
            First coefficients.

        Returns
        -------
        Smoothness
            The fit.
        """
        first = PenalizedFit(start, self.rows.sums(start), smoothing @ self.penalties)
        tol = 0.0
        if not self.constant_hessian:
            tol = FIXED * self._phi(self._pieces(first, smoothing))
        fit = minimize_penalized(self.rows, first.ridge, start, tol)
        phi = self._phi(self._pieces(fit, smoothing))
        return Smoothness(smoothing, fit, phi, np.nan, 1, fit.n_passes, fit.settled)

    def select(
        self, criterion: str, start: Array, max_iter: int = 100, tol: float = 1e-6
    ) -> Smoothness:
        """Minimise a criterion by Newton's method on logarithms.

        Steps take the Hessian of the criterion as if that of the losses were constant,
        and learn the rest from the change of the gradient, which is exact.

        Generalised cross-validation has several minima more often than the marginal
        likelihood (Reiss and Ogden 2009), so it is minimised a second time from where
        the latter is largest, and the lower minimum is taken.

        Parameters
        ----------
        criterion : {"reml", "gcv"}
            The criterion.
        start : array of shape (p,)
            First coefficients, those of the constant model.
        max_iter : int, default=100
            Steps at most.
        tol : float, default=1e-6
            Ends where no derivative of the criterion by a logarithm is larger.

        Returns
        -------
        Smoothness
            The minimum, or where the last step led.

        References
        ----------
        Reiss, P. T. and Ogden, R. T. (2009). Smoothing parameter selection for a class
        of semiparametric linear models. Journal of the Royal Statistical Society B 71,
        505-523.
        """
        path = _Path(self, start, tol)
        path.run(CRITERIA["reml"], max_iter)
        if criterion != "reml":
            other = _Path(self, start, tol)
            for each in (path, other):
                each.run(CRITERIA[criterion], max_iter)
            path = min(path, other, key=lambda each: each.value)
        return Smoothness(
            np.exp(path.log),
            path.fit,
            path.phi,
            path.value,
            max(path.n_iter, 1),
            path.n_passes,
            path.converged and not path.perfect and path.fit.settled,
            path.perfect,
        )

    def _pieces(self, fit: PenalizedFit, smoothing: Array) -> Pieces:
        D = smoothing[:, None] * self.penalties
        return Pieces(fit, D, self.scale(fit), self.saturated)

    def _phi(self, pieces: Pieces) -> float:
        """Return the scale, from what is left of the degrees of freedom."""
        edf = float(pieces.fit.edf.sum())
        return pieces.scale.profile(pieces.deviance, edf).phi


class _Path:
    """Where Newton's method on the logarithms of smoothing parameters is."""

    def __init__(self, problem: SmoothnessProblem, start: Array, tol: float) -> None:
        self.problem, self.tol = problem, tol
        rows, penalties = problem.rows, problem.penalties
        sums = rows.sums(start)
        first = np.diagonal(sums.hessian)
        first = np.maximum(first, 1e-8 * first.max(initial=1e-100))
        self.log = np.log((penalties > 0) @ first / penalties.sum(axis=1))
        self.low, self.high = self.log + RANGE[0], self.log + RANGE[1]
        self.n_passes, self.n_iter = 1, 0
        self.correction = np.zeros((len(self.log), len(self.log)))
        smoothing = np.exp(self.log)
        constant = PenalizedFit(start, sums, smoothing @ penalties)
        pieces = problem._pieces(constant, smoothing)
        self.phi, self.first_deviance = problem._phi(pieces), abs(pieces.deviance)
        self.fit = self._solved(self.log, start)

    def _solved(self, log: Array, start: Array) -> PenalizedFit:
        ridge = np.exp(log) @ self.problem.penalties
        exact = self.problem.constant_hessian  # one step is all it takes
        tol = 0.0 if exact else self.tol * INNER * self.phi
        fit = minimize_penalized(self.problem.rows, ridge, start, tol)
        self.n_passes += fit.n_passes
        return fit

    def _settle(self, fit: PenalizedFit) -> None:
        """Take a fit as the present one, and differentiate there."""
        self.fit = fit
        self.pieces = self.problem._pieces(fit, np.exp(self.log))
        self.phi = self.problem._phi(self.pieces)
        found = self.criterion(self.pieces)
        self.value, self.gradient, self.hessian, leverage = found
        if not self.problem.constant_hessian:
            bend = self.problem.rows.third(fit.coef, leverage)
            self.gradient = self.gradient + self.pieces.moves @ bend
            self.n_passes += 1

    def _learn(self, moved: Array, change: Array) -> None:
        """Correct the Hessian for what it leaves out, by symmetric rank one."""
        bend = np.abs(np.diagonal(self.hessian))
        live = bend >= FLAT * bend.max()  # the others fall exponentially, as expected
        self.correction = self.correction * np.outer(live, live)
        missed = live * (change - (self.hessian + self.correction) @ moved)
        size = float(missed @ moved)
        if abs(size) > 1e-3 * np.linalg.norm(missed) * np.linalg.norm(moved):
            self.correction = self.correction + np.outer(missed, missed) / size

    @property
    def _free(self) -> Array:
        """Which parameters may go where the criterion falls."""
        down = (self.log <= self.low) & (self.gradient > 0)
        up = (self.log >= self.high) & (self.gradient < 0)
        return ~(down | up)

    @property
    def converged(self) -> bool:
        """Whether the criterion is at a minimum."""
        tol = max(self.tol, STALLED) if self.stalled else self.tol
        return bool((np.abs(self.gradient[self._free]) <= tol).all())

    @property
    def perfect(self) -> bool:
        """Whether no loss is left, and so the criterion has no minimum."""
        known = isinstance(self.pieces.scale, FixedScale)
        least = SEPARATED if known else PERFECT
        return abs(self.pieces.deviance) <= least * self.first_deviance

    def _step(self) -> Array:
        """Return the Newton step of the free parameters, uphill directions turned."""
        free = self._free & (np.abs(self.gradient) > 1e-2 * self.tol)
        hessian = (self.hessian + self.correction)[np.ix_(free, free)]
        values, vectors = np.linalg.eigh(hessian)
        sizes = np.maximum(np.abs(values), 1e-8 * np.abs(values).max(initial=1e-300))
        step = np.zeros_like(self.log)
        step[free] = -vectors @ ((vectors.T @ self.gradient[free]) / sizes)
        flat = (np.abs(self.gradient) < FLAT) & (np.abs(np.abs(step) - 1) < 0.1)
        step[flat] *= TAIL_STEP
        return step / max(1.0, np.abs(step).max() / LONGEST_STEP)

    def run(self, criterion: Callable[[Pieces], Criterion], max_iter: int) -> None:
        """Make steps until a criterion is at a minimum."""
        self.criterion, self.stalled = criterion, False
        self.correction = np.zeros_like(self.correction)
        self._settle(self.fit)
        for _ in range(max_iter):
            if self.converged or self.perfect:
                break
            self.n_iter += 1
            self.stalled = not self.advance()
            if self.stalled:
                break

    def advance(self) -> bool:
        """Make a step that lowers the criterion; tell whether there was one."""
        # Of the value, and of a deviance that is a small difference of sums.
        slack = ROUNDING * abs(self.value) + EPS * self.first_deviance / self.phi
        step = self._step()
        for _ in range(MOST_HALVINGS):
            log = np.clip(self.log + step, self.low, self.high)
            fit = self._solved(log, self._foreseen(log))
            D = np.exp(log)[:, None] * self.problem.penalties
            pieces = replace(self.pieces, fit=fit, D=D)
            if self.criterion(pieces).value <= self.value + slack:
                moved, before = log - self.log, self.gradient
                self.log = log
                self._settle(fit)
                if not self.problem.constant_hessian:
                    self._learn(moved, self.gradient - before)
                return True
            step = step / 2
        return False

    def _foreseen(self, log: Array) -> Array:
        """Return where the coefficients will be, to first order."""
        return np.asarray(self.fit.coef + (log - self.log) @ self.pieces.moves)
