"""Coefficients of least loss with quadratic penalties, by Newton's method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from skgrad.exceptions import SolverError
from skgrad.typing import Array

__all__ = [
    "NO_CURVATURE",
    "LossSums",
    "PenalizedFit",
    "PenalizedProblem",
    "minimize_penalized",
]

# Newton steps, halvings of a step, and steps of 10 in which a Hessian is damped.
MOST_STEPS, MOST_HALVINGS, MOST_DAMPINGS = 200, 30, 12
FIRST_DAMPING = 1e-8  # of the unit diagonal
DAMPINGS = (1e-4, 1.0, 1e4)  # of steps that did not pay
LEAST_PIVOT = 1e-9  # of a unit diagonal, whose pivots are known to about 1e-8
# A decrement of this part of the loss is too much to end with.
UNSETTLED = 1e-6
# By which part of itself a sum of losses may rise through rounding, and a decrement of
# it that is none: those of exact steps fall to the square of rounding.
ROUNDING, NOTHING = 1e-13, 1e-20

NO_CURVATURE = (
    "No row has a prediction at which the loss has a second derivative: no step can be "
    "made, nor smoothness be chosen. Divide the targets by their standard deviation, "
    "or widen the curved part of the loss (the delta of 'huber')."
)


class LossSums(NamedTuple):
    """Sums over the rows at some coefficients.

    Parameters
    ----------
    loss : float
        The sum of the weighted losses.
    gradient : array of shape (p,)
        Its first derivatives.
    hessian : array of shape (p, p)
        Its second derivatives, positive semidefinite.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers import LossSums
    >>> LossSums(1.0, np.zeros(2), np.eye(2)).loss
    1.0
    """

    loss: float
    gradient: Array
    hessian: Array


class PenalizedProblem(Protocol):
    """Rows whose raw predictions are linear in the coefficients.

    Examples
    --------
    >>> from skgrad.solvers import PenalizedProblem
    >>> [name for name in vars(PenalizedProblem) if name in ("sums", "third")]
    ['sums', 'third']
    """

    def sums(self, coef: Array) -> LossSums:
        """Return the sums over the rows at some coefficients, (p,)."""

    def third(self, coef: Array, weight: Array) -> Array:
        """Return the sum of ``(zᵀ weight z) t z`` over rows z, (p,).

        t is the third derivative of the loss of a row by its raw prediction.
        """


@dataclass(frozen=True, eq=False)
class PenalizedFit:
    """Coefficients of least penalised loss, and what follows from their Hessian.

    Parameters
    ----------
    coef : array of shape (p,)
        The coefficients.
    sums : LossSums
        The sums over the rows at `coef`.
    ridge : array of shape (p,)
        Diagonal of the penalty ``½ Σ ridge coef²``.
    n_passes : int, default=0
        How often the rows were read.
    settled : bool, default=True
        Whether it is a minimum, up to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers import LossSums, PenalizedFit
    >>> sums = LossSums(0.0, np.zeros(2), np.diag([1.0, 3.0]))
    >>> PenalizedFit(np.zeros(2), sums, np.array([0.0, 1.0])).edf.tolist()
    [1.0, 0.75]
    """

    coef: Array
    sums: LossSums
    ridge: Array
    n_passes: int = 0
    settled: bool = True

    @cached_property
    def _factor(self) -> tuple[Array, Array, float]:
        """Return the scale and the triangular factor of the Hessian, and its damping.

        Scaled to a unit diagonal: penalties of very different size do no harm then.
        """
        damping = 0.0
        for i in range(MOST_DAMPINGS):
            scale, root = self._damped_factor(damping)
            if np.diagonal(root).min(initial=1.0) > LEAST_PIVOT:
                return scale, root, damping
            damping = FIRST_DAMPING * 10.0**i
        raise SolverError(NO_CURVATURE)

    def _damped_factor(self, damping: float) -> tuple[Array, Array]:
        A = self.sums.hessian + np.diag(self.ridge)
        diagonal = np.diagonal(A)
        if not diagonal.max(initial=0.0) > 0:
            raise SolverError(NO_CURVATURE)
        scale = np.sqrt(np.where(diagonal > 0, diagonal, diagonal.max()))
        try:
            A = A / scale / scale[:, None] + damping * np.eye(len(A))
            return scale, cholesky(A, lower=True)
        except (np.linalg.LinAlgError, ValueError):  # not positive, or not finite
            return scale, np.zeros_like(A)

    @property
    def penalty(self) -> float:
        """``Σ ridge coef²``, twice what is added to the loss."""
        return float(self.ridge @ self.coef**2)

    @property
    def objective(self) -> float:
        """The penalised loss."""
        return self.sums.loss + self.penalty / 2

    @property
    def log_determinant(self) -> float:
        """Logarithm of the determinant of the penalised Hessian."""
        scale, root, _ = self._factor
        return float(2 * np.log(scale * np.diagonal(root)).sum())

    @cached_property
    def inverse(self) -> Array:
        """Inverse of the penalised Hessian, (p, p)."""
        scale, root, _ = self._factor
        half = solve_triangular(root, np.diag(1 / scale), lower=True)
        return np.asarray(half.T @ half)

    @cached_property
    def shrunken(self) -> Array:
        """How the coefficients depend on those without penalty, F = A⁻¹ H, (p, p)."""
        return np.eye(len(self.coef)) - self.inverse * self.ridge

    @property
    def edf(self) -> Array:
        """Effective degrees of freedom of each coefficient, the diagonal of F."""
        return 1 - np.diagonal(self.inverse) * self.ridge

    def newton_step(self, damping: float = 0.0) -> tuple[Array, float]:
        """Return the step to the minimum of the quadratic model, and its decrement.

        Parameters
        ----------
        damping : float, default=0.0
            What is added to the diagonal of the Hessian, scaled to ones; makes steps
            shorter.

        Returns
        -------
        step : ndarray of shape (p,)
            The step.
        decrement : float
            Twice what the quadratic model falls by.
        """
        scale, root = self._damped_factor(damping) if damping else self._factor[:2]
        gradient = self.sums.gradient + self.ridge * self.coef
        half = solve_triangular(root, gradient / scale, lower=True)
        step = -solve_triangular(root, half, lower=True, trans=1) / scale
        return step, float(half @ half)


def minimize_penalized(
    problem: PenalizedProblem, ridge: Array, start: Array, tol: float = 1e-10
) -> PenalizedFit:
    """Minimise a sum of losses plus ``½ Σ ridge coef²``.

    Parameters
    ----------
    problem : PenalizedProblem
        The rows.
    ridge : array of shape (p,)
        Non-negative, of very different size where need be.
    start : array of shape (p,)
        First coefficients.
    tol : float, default=1e-10
        Ends where the next step would lower the penalised loss by less than half of it.

    Returns
    -------
    PenalizedFit
        The minimum.

    Raises
    ------
    SolverError
        If the sums are not finite at `start`, or the Hessian is not.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers import LossSums, minimize_penalized
    >>> class Parabola:
    ...     def sums(self, coef):
    ...         error = coef - 3.0
    ...         return LossSums(error @ error / 2, error, np.eye(len(coef)))
    >>> minimize_penalized(Parabola(), np.array([0.0, 2.0]), np.zeros(2)).coef
    array([3., 1.])
    """
    fit = PenalizedFit(start, problem.sums(start), ridge, 1)
    if not np.isfinite(fit.sums.loss):
        raise SolverError(
            f"The sum of the losses is {fit.sums.loss} at the first coefficients."
        )
    last = np.inf
    for _ in range(MOST_STEPS):
        step, decrement = fit.newton_step()
        size = abs(fit.sums.loss)
        rounded = ROUNDING * size >= decrement >= last / 2
        if rounded or not decrement > max(tol, NOTHING * size):
            break
        settled = decrement <= max(tol, UNSETTLED * size)
        better = _line_search(problem, fit, step, decrement)
        if better is None and not settled:
            better = _damped_search(problem, fit)
        if better is None:
            return replace(fit, settled=settled)
        fit, last = better, decrement
    return fit


def _damped_search(problem: PenalizedProblem, fit: PenalizedFit) -> PenalizedFit | None:
    """Return the first of ever more damped steps that pays.

    Where few rows have curvature, Newton steps are far too long for the others.
    """
    for damping in DAMPINGS:
        better = _line_search(problem, fit, *fit.newton_step(damping))
        if better is not None:
            return better
    return None


def _line_search(
    problem: PenalizedProblem, fit: PenalizedFit, step: Array, decrement: float
) -> PenalizedFit | None:
    """Return the first of ever shorter steps that pays; None where none does."""
    n_passes, slack = fit.n_passes, ROUNDING * abs(fit.sums.loss)
    for i in range(MOST_HALVINGS):
        length = 0.5**i
        coef = fit.coef + length * step
        n_passes += 1
        moved = PenalizedFit(coef, problem.sums(coef), fit.ridge, n_passes)
        finite = all(np.isfinite(part).all() for part in moved.sums)
        least = fit.objective - 1e-4 * length * decrement + slack
        if finite and moved.objective <= least:
            return moved
    return None
