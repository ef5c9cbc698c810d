"""Effects and tests of the terms of a fitted additive model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit
from sklearn.utils.validation import check_is_fitted

from skgrad.core.checks import check_interval
from skgrad.estimators.additive_design import Placed
from skgrad.estimators.additive_summary import (
    AdditiveSummary,
    PartialEffect,
    wald_statistic,
)
from skgrad.estimators.additive_terms import FittedTerm, Table
from skgrad.estimators.summary import CoefficientSummary
from skgrad.exceptions import ParameterError
from skgrad.losses import Loss
from skgrad.typing import Array

__all__ = ["EffectsMixin"]

GRID_POINTS = {1: 100, 2: 40}
# Part of its functions from which on a term may be too narrow for its effect.
FULL = 0.9


class EffectsMixin(ABC):
    """Gives a fitted additive model ``partial_effect`` and ``summary``."""

    smoothing_: Array
    term_names_: list[str]
    intercept_: float
    edf_: Array
    total_edf_: float
    scale_: float
    deviance_explained_: float
    n_features_in_: int
    _loss: Loss
    _n: float
    _levels: dict[int, Array]
    _placed: Sequence[Placed]
    _coef: Array
    _covariance: Array
    _gram: Array
    _ref_df: Array
    _scale_known: bool
    _how: str

    @abstractmethod
    def _inputs(self, X: Any) -> Array:
        """Return inputs as numbers."""

    def _column_names(self) -> tuple[str, ...]:
        names = tuple(map(str, getattr(self, "feature_names_in_", ())))
        return names or tuple(f"x{j}" for j in range(self.n_features_in_))

    @property
    def _residual_df(self) -> float:
        """Degrees of freedom that are left; infinite where the scale is known."""
        return np.inf if self._scale_known else max(self._n - self.total_edf_, 1e-3)

    def partial_effect(self, feature, grid=None, *, level=0.95):
        """Return what a term adds to the raw prediction, with pointwise intervals.

        Parameters
        ----------
        feature : str, int or tuple
            The column of the term by name or position, two for a tensor term; or the
            name of the term, as in ``term_names_``.
        grid : array-like of shape (n,) or (n, 2), default=None
            Values of the column or columns. None takes the range of the fit: 100
            values, 40 by 40 for two columns, or each level of a factor.
        level : float, default=0.95
            Coverage of the intervals, in (0, 1): on average over the rows of the fit
            (Marra and Wood 2012). They come from the Bayesian covariance of the
            coefficients, given the smoothing parameters.

        Returns
        -------
        PartialEffect
            Arrays.

        Raises
        ------
        ParameterError
            If there is no such term.

        References
        ----------
        Marra, G. and Wood, S. N. (2012). Coverage properties of confidence intervals
        for generalized additive model components. Scandinavian Journal of Statistics
        39, 53-74.

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad import AdditiveRegressor
        >>> x = np.linspace(0, 1, 100)
        >>> model = AdditiveRegressor().fit(x[:, None], np.sin(6 * x))
        >>> model.partial_effect("x0").grid[[0, -1]].tolist()
        [0.0, 1.0]
        """
        check_is_fitted(self)
        check_interval(f"{type(self).__name__}.partial_effect", "level", level, 0, 1)
        position = self._position(feature)
        placed = self._placed[position]
        term = placed.term
        values, shown = self._grid(term, grid)
        X = np.zeros((len(values), self.n_features_in_))
        X[:, [*term.columns]] = values
        Z = placed.rows(X)
        effect = Z @ self._coef[placed.where]
        variance = ((Z @ self._covariance[placed.where, placed.where]) * Z).sum(axis=1)
        error = np.sqrt(np.maximum(variance, 0.0))
        width = _quantile((1 + level) / 2, self._residual_df) * error
        names = self._column_names()
        return PartialEffect(
            name=term.name,
            kind=term.kind,
            edf=float(self.edf_[position]),
            columns=tuple(names[j] for j in term.columns),
            grid=shown,
            effect=effect,
            standard_error=error,
            low=effect - width,
            high=effect + width,
        )

    def _grid(self, term: FittedTerm, grid: Any) -> tuple[Array, Array]:
        """Return values of a term's columns, as numbers and as users see them."""
        levels = self._levels.get(term.columns[0]) if term.kind == "factor" else None
        if levels is not None:
            known = {str(label): i for i, label in enumerate(levels)}
            given = levels[term.grid(0)[:, 0].astype(int)] if grid is None else grid
            positions = [[known.get(str(label), -1)] for label in given]
            return np.array(positions, dtype=np.float64), np.asarray(given)
        if grid is None:
            grid = term.grid(GRID_POINTS[len(term.columns)])
        values = np.asarray(grid, dtype=np.float64).reshape(-1, len(term.columns))
        return values, values[:, 0] if len(term.columns) == 1 else values

    def rows_of(self, feature, X):
        """Return the columns of a term at some rows, categories as positions of levels.

        Parameters
        ----------
        feature : str, int or tuple
            The term, as in :meth:`partial_effect`.
        X : array-like or data frame of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, 1) or (n_samples, 2)
            Numbers.
        """
        term = self._placed[self._position(feature)].term
        return self._inputs(X)[:, [*term.columns]]

    def _position(self, feature: Any) -> int:
        """Return which term a feature, a pair of them or a name stands for."""
        if isinstance(feature, str) and feature in self.term_names_:
            return self.term_names_.index(feature)
        table = Table(
            np.empty((0, self.n_features_in_)), self._column_names(), self._levels
        )
        asked = feature if isinstance(feature, tuple) else (feature,)
        columns = tuple(table.index(column) for column in asked)
        for i, each in enumerate(self._placed):
            if each.term.columns == columns:
                return i
        raise ParameterError(
            f"There is no term of {feature!r} alone. The terms are {self.term_names_}."
        )

    def summary(self, *, level=0.95):
        """Return tests of the terms and what the fit is like, as a table.

        Parameters
        ----------
        level : float, default=0.95
            Coverage of the confidence intervals of the parametric coefficients.

        Returns
        -------
        AdditiveSummary
            Arrays that print as tables; ``to_frame()`` for pandas.

        Notes
        -----
        A term with a penalty is tested against no effect by a Wald statistic whose
        covariance is the Bayesian one, inverted in as many directions as the reference
        degrees of freedom, ``tr(2 F - F F)`` over the coefficients of the term (Wood
        2013, where F maps coefficients without penalties to those with them). It is
        compared to a chi-squared distribution, or divided by those degrees to an F
        distribution where the scale is estimated. p values are approximate, and too
        small if the smoothing parameters are uncertain; those of penalised factors are
        rough.

        Functions are centred: the intercept is the mean raw prediction over the rows of
        the fit.

        References
        ----------
        Wood, S. N. (2013). On p-values for smooth components of an extended generalized
        additive model. Biometrika 100, 221-228.

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad import AdditiveRegressor
        >>> x = np.linspace(0, 1, 100)
        >>> noise = np.random.default_rng(0).normal(size=100)
        >>> model = AdditiveRegressor().fit(x[:, None], np.sin(6 * x) + noise / 3)
        >>> model.summary().names
        ['x0']
        """
        check_is_fitted(self)
        check_interval(f"{type(self).__name__}.summary", "level", level, 0, 1)
        smooth = [i for i, each in enumerate(self._placed) if each.term.smooth]
        blocks = [self._placed[i].where for i in smooth]
        statistics = [
            wald_statistic(
                self._coef[at], self._covariance[at, at], self._gram[at, at], rank
            )
            for at, rank in zip(blocks, self._ref_df[smooth], strict=True)
        ]
        counts = [len(self._placed[i].penalties) for i in smooth]
        parts = np.split(self.smoothing_, np.cumsum(counts)[:-1]) if counts else []
        known = "" if self._scale_known else f"scale {self.scale_:.4g}; "
        return AdditiveSummary(
            names=[self.term_names_[i] for i in smooth],
            edf=self.edf_[smooth],
            ref_df=self._ref_df[smooth],
            statistics=np.array(statistics),
            smoothing=[tuple(part.tolist()) for part in parts],
            residual_df=self._residual_df,
            parametric=self._parametric(level),
            title=f"{self._loss.name} of {self._n:g} rows; {self._how}",
            footer=(
                f"{known}{100 * self.deviance_explained_:.1f} % of the deviance "
                f"explained with {self.total_edf_:.4g} degrees of freedom"
                + self._narrow()
            ),
        )

    def _narrow(self) -> str:
        """Return a line on terms that use nearly all of their functions, if any do."""
        names = [
            each.term.name
            for each, edf in zip(self._placed, self.edf_, strict=True)
            if each.term.kind in ("spline", "tensor") and edf > FULL * len(each.kept)
        ]
        if not names:
            return ""
        return (
            f"\nnearly all functions are used, try more (n_basis): {', '.join(names)}"
        )

    def _parametric(self, level: float) -> CoefficientSummary:
        """Return the table of the intercept and coefficients without a penalty."""
        names, units = ["intercept"], [1.0]
        index = [0]
        for each in self._placed:
            if each.term.smooth:
                continue
            own, unit = each.term.coefficients()
            names += [own[j] for j in each.kept]
            units += [unit] * len(each.kept)
            index += range(each.where.start, each.where.stop)
        scale = np.array(units)
        covariance = self._covariance[np.ix_(index, index)] / np.outer(scale, scale)
        coef = self._coef[index] / scale
        coef[0] = self.intercept_
        return CoefficientSummary(names, coef, covariance, self._residual_df, level)


def _quantile(p: float, df: float) -> float:
    return float(ndtri(p) if np.isinf(df) else stdtrit(df, p))
