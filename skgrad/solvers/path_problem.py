"""A penalised linear model of any smooth loss, to be fitted for many strengths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from skgrad.solvers.columns import Columns
from skgrad.typing import Array

__all__ = ["PathProblem", "Point"]


class Point(NamedTuple):
    """Coefficients of a problem and what follows from them.

    Parameters
    ----------
    coef, intercept : array of shape (k, p) and (k,)
        Coefficients, and intercepts of the columns as they are kept.
    raw : array of shape (n, k)
        Raw predictions.
    loss : float
        The mean loss.
    slope : array of shape (n, k)
        Derivatives of the losses by the raw predictions.
    curvature : array of shape (n, k) or (n, k (k + 1) / 2)
        Second derivatives; of pairs of outputs where the loss couples them.
    """

    coef: Array
    intercept: Array
    raw: Array
    loss: float
    slope: Array
    curvature: Array

    @property
    def coupled(self) -> bool:
        """Whether the loss couples the outputs of a row."""
        return bool(self.curvature.shape[1] != self.slope.shape[1])


@dataclass(frozen=True)
class PathProblem:
    r"""Minimise a mean loss of linear predictors plus a penalty, for many strengths.

    .. math:: \min_{B, c}\ \sum_i \ell_i(c + B x_i) + \lambda \sum_{aj}
        \bigl(\rho f_j s_j |b_{aj}| + \tfrac12 (1 - \rho) f_j s_j^2 b_{aj}^2 \bigr),
        \qquad \mathrm{low} \le b \le \mathrm{high}

    Parameters
    ----------
    columns : Columns
        The inputs :math:`x_i`, (n, p).
    rows : callable
        ``rows(raw) -> (loss, slope, curvature, ...)`` of each row at raw predictions
        (n,) or (n, k), as :class:`~skgrad.train.RowDerivatives` gives them; weights sum
        to one.
    start : array of shape (k,)
        Intercepts to start at.
    vector : bool
        Whether raw predictions are (n,).
    factors : array of shape (p,)
        :math:`f \ge 0`.
    scale : array of shape (p,)
        :math:`s > 0`: the penalty acts on the coefficients of inputs divided by it.
    low, high : array of shape (k, p)
        Bounds, infinite where there are none.
    l1_ratio : float
        :math:`\rho`.
    fit_intercept : bool, default=True
        Whether c is fitted; it is zero otherwise.
    quadratic : bool, default=False
        Whether second derivatives are constant.
    convex : bool, default=True
        Whether the loss is convex.

    Examples
    --------
    See :func:`solve_path`.
    """

    columns: Columns
    rows: Callable[[Array], Any]
    start: Array
    vector: bool
    factors: Array
    scale: Array
    low: Array
    high: Array
    l1_ratio: float
    fit_intercept: bool = True
    quadratic: bool = False
    convex: bool = True

    @cached_property
    def l1(self) -> Array:
        """What absolute values are multiplied by for strength one, (p,)."""
        return self.l1_ratio * self.factors * self.scale

    @cached_property
    def l2(self) -> Array:
        """What half the squares are multiplied by for strength one, (p,)."""
        return (1 - self.l1_ratio) * self.factors * self.scale**2

    @property
    def n_outputs(self) -> int:
        """Number of raw predictions of a row."""
        return len(self.start)

    def at(self, coef: Array, intercept: Array, raw: Array) -> Point:
        """Return the point of some coefficients, whose raw predictions are known."""
        found = self.rows(raw[:, 0] if self.vector else raw)
        loss, slope, curvature = found[:3]
        if self.vector:
            slope, curvature = slope[:, None], curvature[:, None]
        return Point(coef, intercept, raw, float(loss.sum()), slope, curvature)
