"""Fits of additive models: what each loss means for the choice of smoothness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import xlogy

from skgrad.estimators.additive_design import (
    AdditiveRows,
    Placed,
    SquaredRows,
    moment_scale,
    pearson_scale,
)
from skgrad.losses import Gamma, LogLoss, Loss, Poisson, SquaredError, Tweedie
from skgrad.solvers import (
    FixedScale,
    FreeScale,
    GammaScale,
    PenalizedFit,
    Smoothness,
    SmoothnessProblem,
    minimize_penalized,
)
from skgrad.train import RowDerivatives
from skgrad.typing import Array

__all__ = ["AdditiveFit", "scale_is_known"]

# Part of the deviance of the constant model that is told from none, and a deviance that
# is none whose inverse squared is still a number.
LEAST_DEVIANCE, TINY = 1e-15, 1e-140


def scale_is_known(loss: Loss) -> bool:
    """Tell whether a loss is a negative log-likelihood as it is."""
    return isinstance(loss, Poisson | LogLoss)


@dataclass(frozen=True, eq=False)
class AdditiveFit:
    """Placed terms, rows and a loss, to be fitted."""

    placed: Sequence[Placed]
    X: Array
    loss: Loss
    y: Array
    w: Array

    @cached_property
    def rows(self) -> AdditiveRows:
        """The rows, whose raw predictions begin at the best constant."""
        known = self.loss.has_optimal_constant
        offset = float(self.loss.optimal_constant(self.y, self.w)) if known else 0.0
        derivatives = RowDerivatives(self.loss, self.y, self.w)
        return AdditiveRows(self.placed, self.X, derivatives, offset)

    @cached_property
    def n(self) -> float:
        """Number of rows, the sum of their weights."""
        return float(self.w.sum())

    @cached_property
    def penalties(self) -> Array:
        """Diagonals of all penalty matrices, a row each."""
        p = self.placed[-1].where.stop if self.placed else 1
        rows = []
        for each in self.placed:
            for own in each.penalties:
                row = np.zeros(p)
                row[each.where] = own
                rows.append(row)
        return np.array(rows).reshape(-1, p)

    @cached_property
    def constant_loss(self) -> float:
        """The loss of the best constant model."""
        if self.loss.has_optimal_constant:
            return self.rows.derivatives(
                np.full(len(self.y), self.rows.offset), 0
            ).total
        constant = replace(self.rows, placed=())
        return minimize_penalized(constant, np.zeros(1), np.zeros(1)).sums.loss

    @cached_property
    def perfect_loss(self) -> float:
        """The loss of a perfect model, 0 where it is not known to be another."""
        loss, y, w = self.loss, self.y, self.w
        if isinstance(loss, Poisson):
            return float(w @ (y - xlogy(y, y)))
        if isinstance(loss, Gamma):
            return float(w @ (1 + np.log(y)))
        if isinstance(loss, Tweedie):
            raw = np.log(np.maximum(y, np.finfo(float).tiny))
            return RowDerivatives(loss, y, w)(raw, 0).total
        return 0.0

    def explained(self, loss: float) -> float:
        """Return which part of the deviance of the constant model is explained."""
        whole = self.constant_loss - self.perfect_loss
        return 1 - (loss - self.perfect_loss) / whole if whole > 0 else np.nan

    def scale(self, fit: PenalizedFit) -> FixedScale | FreeScale:
        """Return what the scale of the loss is, given a fit."""
        deviance = 2 * (self.constant_loss - self.perfect_loss)
        least = LEAST_DEVIANCE * deviance + TINY
        if scale_is_known(self.loss):
            return FixedScale(1.0)
        if isinstance(self.loss, Gamma):
            return GammaScale(self.n, least)
        if isinstance(self.loss, SquaredError | Tweedie):
            return FreeScale(self.n, least)
        return FixedScale(moment_scale(self.rows, fit, self.n))

    def solve(self, smoothing: str | Array, max_iter: int, tol: float) -> Smoothness:
        """Return the fit, by a criterion or with given smoothing parameters."""
        squared = isinstance(self.loss, SquaredError)
        problem = SmoothnessProblem(
            SquaredRows(self.rows) if squared else self.rows,
            self.penalties,
            self.scale,
            self.perfect_loss,
            squared,
        )
        start = np.zeros(self.penalties.shape[1])
        if isinstance(smoothing, str):
            found = problem.select(smoothing, start, max_iter, tol)
        else:
            found = problem.fixed(smoothing, start)
        if isinstance(self.loss, Gamma | Tweedie):
            phi = pearson_scale(self.rows, self.loss, found.fit, self.n)
            found = replace(found, phi=phi)
        return found
