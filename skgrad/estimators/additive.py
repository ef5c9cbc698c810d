"""Generalised additive models with any twice differentiable loss."""

from __future__ import annotations

import warnings
from abc import ABCMeta, abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from scipy.special import log_expit, ndtri, stdtrit, xlogy
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    check_array,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from skgrad.backend.cpu.threads import single_threaded
from skgrad.core.checks import check_interval
from skgrad.estimators.additive_columns import as_numbers, levels_of
from skgrad.estimators.additive_design import (
    AdditiveRows,
    Placed,
    SquaredRows,
    moment_scale,
    placed_terms,
    row_slices,
)
from skgrad.estimators.additive_summary import (
    AdditiveSummary,
    PartialEffect,
    wald_statistic,
)
from skgrad.estimators.additive_terms import Table, fitted_terms
from skgrad.estimators.base import classifier_loss
from skgrad.estimators.parameters import NestedParams
from skgrad.estimators.sklearn_private import (
    Interval,
    StrOptions,
    check_sample_weight,
    fit_context,
)
from skgrad.estimators.summary import CoefficientSummary
from skgrad.estimators.targets import has_probabilities
from skgrad.exceptions import DataWarning, ParameterError
from skgrad.losses import (
    Gamma,
    KinkedLoss,
    LogLoss,
    Loss,
    Poisson,
    SquaredError,
    Tweedie,
    get_loss,
)
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

__all__ = ["AdditiveClassifier", "AdditiveRegressor"]

CRITERIA = ("reml", "gcv")
# Part of the deviance of the constant model that is told from none.
LEAST_DEVIANCE = 1e-15
GRID_POINTS = {1: 100, 2: 40}


class BaseAdditive(NestedParams, BaseEstimator, metaclass=ABCMeta):
    """Base of the additive models: terms, a loss, and how smoothness is chosen."""

    _task: ClassVar[str]
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "terms": ["array-like", None],
        "loss": [str, callable, type, Loss],
        "smoothing": [
            StrOptions(set(CRITERIA)),
            Interval(Real, 0, None, closed="left"),
            "array-like",
        ],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
    }

    # --- what subclasses give -----------------------------------------------------

    @abstractmethod
    def _encode(self, y: Array, loss: Loss) -> Array:
        """Return targets as the loss sees them."""

    @abstractmethod
    def _make_loss(self) -> Loss:
        """Return the loss."""

    # --- fitting ------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Inputs. Columns of a data frame may hold categories (text or a categorical
            dtype), for :class:`FactorTerm`.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights: an integer weight equals a repeated row, a zero weight
            an absent one.

        Returns
        -------
        estimator
            The fitted estimator itself.

        Raises
        ------
        ValueError
            If the data, a term or a parameter is not valid; the message says what to
            do.

        Warns
        -----
        ConvergenceWarning
            If smoothing parameters have not converged after `max_iter` steps.
        FitWarning
            If effects of terms cannot be told apart.
        DataWarning
            If columns are constant where ``terms=None``; they have no term.
        """
        X, y = self._validated(X, y)
        w = check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
        present = w > 0
        if not present.all():
            X, y, w = X[present], y[present], w[present]
        loss = self._checked_loss(self._make_loss())
        target = self._encode(y, loss)
        table = Table(X, self._column_names(), self._levels)
        self._warn_of_constants(table)
        terms = fitted_terms(self.terms, table)
        with single_threaded():
            placed = placed_terms(terms, X, w)
            rows = _rows(placed, X, loss, target, w)
            found, null = self._solved(rows, loss, target, w)
        self._store(found, placed, loss, rows.offset, float(w.sum()), null)
        return self

    def _validated(self, X: Any, y: Any) -> tuple[Array, Array]:
        """Return the inputs as numbers, and targets; remember the levels of columns."""
        self._levels = levels_of(X)
        if not self._levels:
            numeric = {"y_numeric": True} if self._task == "regression" else {}
            X, y = validate_data(self, X, y, dtype=np.float64, **numeric)
            return X, y
        validate_data(self, X, y, skip_check_array=True)
        X = check_array(as_numbers(X, self._levels), estimator=self, input_name="X")
        y = check_array(y, ensure_2d=False, dtype=None, estimator=self, input_name="y")
        if len(X) != len(y):
            raise ValueError(f"X has {len(X)} rows and y has {len(y)}.")
        return X, column_or_1d(y, warn=True)

    def _column_names(self) -> tuple[str, ...]:
        names = tuple(map(str, getattr(self, "feature_names_in_", ())))
        return names or tuple(f"x{j}" for j in range(self.n_features_in_))

    def _warn_of_constants(self, table: Table) -> None:
        constant = np.flatnonzero(np.ptp(table.X, axis=0) == 0)
        if self.terms is None and constant.size:
            names = [table.names[j] for j in constant.tolist()]
            warnings.warn(
                f"The columns {names} have one value in all rows with a positive "
                "weight, and no term.",
                DataWarning,
                stacklevel=4,
            )

    def _checked_loss(self, loss: Loss) -> Loss:
        """Return the loss, or refuse one that smoothness cannot be chosen with."""
        loss.validate()
        owner = type(self).__name__
        rule = f"The 'loss' parameter of {owner} must be a {self._task} loss with "
        if loss.task not in (None, self._task):
            raise ParameterError(f"{rule[:-6]}. Got {loss.name!r}, a {loss.task} loss.")
        if isinstance(loss, KinkedLoss):
            other = (
                "QuantileRegressor and MLPQuantileRegressor"
                if self._task == "regression"
                else "loss='squared_hinge' and GradientLinearClassifier"
            )
            raise ParameterError(
                f"{rule}second derivatives. Got {loss.name!r}, which is straight on "
                f"each side of a kink: take {other}, or a smooth loss such as "
                + ("'huber'." if self._task == "regression" else "'log_loss'.")
            )
        if loss.raw_per_target > 1:
            raise ParameterError(
                f"{rule}one raw prediction per target. Got {loss.name!r}, which has "
                f"{loss.raw_per_target}: take ModuleRegressor or MLPRegressor."
            )
        return loss

    def _solved(
        self, rows: AdditiveRows, loss: Loss, y: Array, w: Array
    ) -> tuple[Smoothness, tuple[float, float]]:
        """Return the fit, and the losses of a constant and of a perfect model."""
        n, saturated = float(w.sum()), _saturated(loss, y, w)
        null = _constant_loss(rows)
        deviance = 2 * (null - saturated)
        least = LEAST_DEVIANCE * deviance + np.finfo(float).tiny

        def scale(fit: PenalizedFit) -> FixedScale | FreeScale:
            if isinstance(loss, Poisson | LogLoss):
                return FixedScale(1.0)
            if isinstance(loss, Gamma):
                return GammaScale(n, least)
            if isinstance(loss, SquaredError | Tweedie):
                return FreeScale(n, least)
            return FixedScale(moment_scale(rows, fit, n))

        squared = isinstance(loss, SquaredError)
        penalties = _penalties(rows.placed)
        problem = SmoothnessProblem(
            SquaredRows(rows) if squared else rows, penalties, scale, saturated, squared
        )
        start = np.zeros(penalties.shape[1])
        if isinstance(self.smoothing, str):
            found = problem.select(self.smoothing, start, self.max_iter, self.tol)
        else:
            found = problem.fixed(self._given_smoothing(len(penalties)), start)
        if not found.converged:
            warnings.warn(_advice(found, self.max_iter), ConvergenceWarning, 4)
        return found, (null, saturated)

    def _given_smoothing(self, m: int) -> Array:
        given = np.asarray(self.smoothing, dtype=np.float64)
        if given.ndim == 0:
            given = np.full(m, given)
        if given.shape != (m,) or not (np.isfinite(given) & (given >= 0)).all():
            raise ParameterError(
                f"The 'smoothing' parameter of {type(self).__name__} must be "
                f"{' or '.join(map(repr, CRITERIA))}, a number >= 0, or one for each "
                f"of the {m} penalties (a tensor term has two). Got {self.smoothing!r}."
            )
        return given

    def _store(
        self,
        found: Smoothness,
        placed: list[Placed],
        loss: Loss,
        offset: float,
        n: float,
        null: tuple[float, float],
    ) -> None:
        fit = found.fit
        self._placed, self._loss, self._n = placed, loss, n
        self._coef, self._gram = fit.coef, fit.sums.hessian
        self._covariance = found.phi * fit.inverse
        shrunken, edf = fit.shrunken, fit.edf
        by_coef = 2 * edf - (shrunken * shrunken.T).sum(axis=1)
        self.term_names_ = [each.term.name for each in placed]
        self.intercept_ = float(fit.coef[0] + offset)
        self.coef_ = [fit.coef[each.where] for each in placed]
        self.smoothing_ = found.smoothing
        self.edf_ = np.array([edf[each.where].sum() for each in placed])
        self.total_edf_ = float(edf.sum())
        self._ref_df = np.array([by_coef[each.where].sum() for each in placed])
        self.scale_ = found.phi
        self._scale_known = isinstance(loss, Poisson | LogLoss)
        self.criterion_ = found.criterion
        self.loss_ = fit.sums.loss / n
        constant, perfect = null
        left = (fit.sums.loss - perfect) / max(constant - perfect, np.finfo(float).tiny)
        self.deviance_explained_ = 1 - left
        self.n_iter_ = found.n_iter

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "term_names_")

    # --- predictions --------------------------------------------------------------

    def _inputs(self, X: Any) -> Array:
        check_is_fitted(self)
        if not self._levels:
            return validate_data(self, X, dtype=np.float64, reset=False)
        validate_data(self, X, skip_check_array=True, reset=False)
        X = as_numbers(X, self._levels)
        return check_array(X, dtype=np.float64, estimator=self, input_name="X")

    def _raw_predict(self, X: Any) -> Array:
        X = self._inputs(X)
        raw = np.full(len(X), self.intercept_)
        for rows in row_slices(len(X), len(self._coef)):
            for each in self._placed:
                raw[rows] += each.rows(X[rows]) @ self._coef[each.where]
        return raw

    # --- what is known of the terms -----------------------------------------------

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
        >>> model = AdditiveRegressor().fit(x[:, None], x**2)
        >>> model.partial_effect("x0").grid[[0, -1]].tolist()
        [0.0, 1.0]
        """
        check_is_fitted(self)
        check_interval(f"{type(self).__name__}.partial_effect", "level", level, 0, 1)
        placed = self._placed[self._position(feature)]
        term = placed.term
        labels = self._levels.get(term.columns[0]) if term.kind == "factor" else None
        if grid is None:
            values = term.grid(GRID_POINTS[len(term.columns)])
        elif labels is not None:
            known = {str(label): i for i, label in enumerate(labels)}
            values = [[known.get(str(value), -1)] for value in grid]
        else:
            values = np.asarray(grid, dtype=np.float64)
        values = np.asarray(values, dtype=np.float64).reshape(-1, len(term.columns))
        X = np.zeros((len(values), self.n_features_in_))
        X[:, [*term.columns]] = values
        Z = placed.rows(X)
        effect = Z @ self._coef[placed.where]
        variance = ((Z @ self._covariance[placed.where, placed.where]) * Z).sum(axis=1)
        error = np.sqrt(np.maximum(variance, 0.0))
        width = _quantile((1 + level) / 2, self._residual_df) * error
        shown = values[:, 0] if len(term.columns) == 1 else values
        if labels is not None:
            shown = labels[shown.astype(int)] if grid is None else np.asarray(grid)
        names = self._column_names()
        return PartialEffect(
            term.name,
            tuple(names[j] for j in term.columns),
            shown,
            effect,
            error,
            effect - width,
            effect + width,
        )

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
        how = (
            f"smoothness by {self.smoothing.upper()}"
            if isinstance(self.smoothing, str)
            else "smoothing parameters given"
        )
        known = "" if self._scale_known else f"scale {self.scale_:.4g}; "
        return AdditiveSummary(
            names=[self.term_names_[i] for i in smooth],
            edf=self.edf_[smooth],
            ref_df=self._ref_df[smooth],
            statistics=np.array(statistics),
            smoothing=[tuple(part.tolist()) for part in parts],
            residual_df=self._residual_df,
            parametric=self._parametric(level),
            title=f"{self._loss.name} of {self._n:g} rows; {how}",
            footer=(
                f"{known}{100 * self.deviance_explained_:.1f} % of the deviance "
                f"explained with {self.total_edf_:.4g} degrees of freedom"
            ),
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


def _advice(found: Smoothness, max_iter: int) -> str:
    """Return why smoothing parameters have not converged, and what to do."""
    if found.perfect:
        return (
            "The model fits its rows without error (classes may be separated, or there "
            "are as many coefficients as rows), and no smoothing parameters are best: "
            "effects and their errors mean little. Fit fewer or simpler terms, or give "
            "numbers for smoothing."
        )
    return (
        f"The smoothing parameters have not converged after {found.n_iter} steps; "
        f"max_iter={max_iter}. Increase max_iter or tol, or fit fewer terms."
    )


def _quantile(p: float, df: float) -> float:
    return float(ndtri(p) if np.isinf(df) else stdtrit(df, p))


def _penalties(placed: list[Placed] | Any) -> Array:
    """Return the diagonals of all penalty matrices, a row each."""
    p = placed[-1].where.stop if placed else 1
    rows = []
    for each in placed:
        for own in each.penalties:
            row = np.zeros(p)
            row[each.where] = own
            rows.append(row)
    return np.array(rows).reshape(-1, p)


def _rows(
    placed: list[Placed], X: Array, loss: Loss, y: Array, w: Array
) -> AdditiveRows:
    """Return the rows with their loss, which begin at the best constant."""
    known = loss.has_optimal_constant
    offset = float(loss.optimal_constant(y, w)) if known else 0.0
    return AdditiveRows(placed, X, RowDerivatives(loss, y, w), offset)


def _constant_loss(rows: AdditiveRows) -> float:
    """Return the loss of the best constant model."""
    constant = AdditiveRows([], rows.X, rows.derivatives, rows.offset)
    return minimize_penalized(constant, np.zeros(1), np.zeros(1)).sums.loss


def _saturated(loss: Loss, y: Array, w: Array) -> float:
    """Return the loss of a perfect model, 0 where it is not known to be another."""
    if isinstance(loss, Poisson):
        return float(w @ (y - xlogy(y, y)))
    if isinstance(loss, Gamma):
        return float(w @ (1 + np.log(y)))
    if isinstance(loss, Tweedie):
        raw = np.log(np.maximum(y, np.finfo(float).tiny))
        return RowDerivatives(loss, y, w)(raw, 0).total
    return 0.0


_PARAMETERS = """Parameters
    ----------
    terms : sequence, default=None
        The terms of the model: :class:`SplineTerm`, :class:`LinearTerm`,
        :class:`FactorTerm` and :class:`TensorTerm` objects; a column by name or
        position stands for its default term, a pair of columns for their tensor term.
        None takes the default term of every column: a factor for categories of a data
        frame, a spline for numbers, a straight line for numbers with fewer than 8
        distinct values.
    loss : str, Loss or callable, default="{loss}"
        Any loss with second derivatives: {losses}, a loss object, or your own plain
        function ``loss(y_true, raw_prediction)`` that returns one value per sample.
    smoothing : {{"reml", "gcv"}}, float or array-like of shape (n_penalties,), \
default="reml"
        How much the penalties count. "reml" maximises the restricted marginal
        likelihood by Laplace's method (Wood 2011); "gcv" minimises generalised
        cross-validation, or where the scale is known the unbiased risk estimator. Or
        numbers: smoothing parameters, one for all or one for each penalty, in the order
        of the terms.
    max_iter : int, default=100
        Steps of Newton's method on the smoothing parameters, at most.
    tol : float, default=1e-6
        The fit ends where no derivative of the criterion by the logarithm of a
        smoothing parameter is larger; the criterion is a log-likelihood, or of its
        size."""

_ATTRIBUTES = """term_names_ : list of str
        The terms by name: that of the column, two joined by a colon.
    intercept_ : float
        The mean raw prediction over the rows of the fit.
    coef_ : list of ndarray
        Coefficients of each term's functions, which are centred and in the order of
        their penalties; see :meth:`partial_effect` for the effects.
    edf_ : ndarray of shape (n_terms,)
        Effective degrees of freedom of each term.
    total_edf_ : float
        Their sum and one for the intercept.
    smoothing_ : ndarray of shape (n_penalties,)
        The smoothing parameters; given as `smoothing` they repeat the fit.
    scale_ : float
        The scale φ, by which the loss is divided to be a negative log-likelihood: the
        variance of the residuals for squared error, 1 for "poisson" and "log_loss".
    criterion_ : float
        What was minimised, up to a constant; nan where smoothing parameters are given.
    loss_ : float
        Mean loss per row at the fit, without penalty.
    deviance_explained_ : float
        1 less the loss over that of the best constant, both less that of a perfect fit.
    n_iter_ : int
        Steps of Newton's method on the smoothing parameters.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if they have names."""

_NOTES = """The objective is the sum over rows of weight times loss plus, for each
    penalty, half a smoothing parameter times the integral of the squared second
    derivative of a term by its column scaled to [0, 1] (or another penalty, see
    :class:`SplineTerm`). Weights are counts of rows: twice the weights halve what given
    smoothing parameters do.

    Each penalty is diagonal in coordinates that begin with a constant and a straight
    line, and the rows enter through sums of products alone: one pass over them for
    squared error, some tens of passes for other losses. A design that would take more
    than 256 MB is made anew in every pass, block by block.

    The scale of other losses than squared error, "gamma", "tweedie", "poisson" and
    "log_loss" is the mean of squared first derivatives over that of second ones, which
    makes them quasi-likelihoods. Negative second derivatives count as 0.

    Beyond the range of a column in the fit effects go on as straight lines."""

_REFERENCES = """Wood, S. N. (2011). Fast stable restricted maximum likelihood and
    marginal likelihood estimation of semiparametric generalized linear models. Journal
    of the Royal Statistical Society B 73, 3-36.
    Wood, S. N. (2008). Fast stable direct fitting and smoothness selection for
    generalized additive models. Journal of the Royal Statistical Society B 70, 495-518.
    """


def _described(loss: str, losses: str) -> Any:
    """Return a decorator that fills in what both estimators share."""

    def decorate(cls: Any) -> Any:
        parts = {
            "parameters": _PARAMETERS.format(loss=loss, losses=losses),
            "attributes": _ATTRIBUTES,
            "notes": _NOTES,
            "references": _REFERENCES.rstrip(),
        }
        for name, text in parts.items():
            cls.__doc__ = cls.__doc__.replace(f"{{{name}}}", text)
        return cls

    return decorate


@_described(
    "squared_error",
    '"squared_error", "poisson", "gamma", "tweedie", "huber", "log_cosh"',
)
class AdditiveRegressor(RegressorMixin, BaseAdditive):
    """Generalised additive model: a sum of smooth effects, with any smooth loss.

    The raw prediction is an intercept plus a smooth function of each column, or two;
    how smooth each is follows from the data. Computed in float64.

    {parameters}

    Attributes
    ----------
    {attributes}

    Notes
    -----
    {notes}

    References
    ----------
    {references}

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import AdditiveRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(300, 2))
    >>> y = np.sin(6 * X[:, 0]) + 2 * X[:, 1] + rng.normal(scale=0.3, size=300)
    >>> model = AdditiveRegressor().fit(X, y)
    >>> model.term_names_, bool(model.edf_[0] > 4), bool(model.edf_[1] < 2)
    (['x0', 'x1'], True, True)
    """

    _task = "regression"

    def __init__(
        self,
        *,
        terms=None,
        loss="squared_error",
        smoothing="reml",
        max_iter=100,
        tol=1e-6,
    ):
        self.terms = terms
        self.loss = loss
        self.smoothing = smoothing
        self.max_iter = max_iter
        self.tol = tol

    def _make_loss(self) -> Loss:
        return get_loss(self.loss)

    def _encode(self, y: Array, loss: Loss) -> Array:
        y = np.asarray(y, dtype=np.float64)
        loss.check_targets(y, y.shape)
        return y

    def predict(self, X):
        """Return predictions on the scale of the target.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,)
            The inverse link of the raw predictions: means or rates.
        """
        raw = self._raw_predict(X)
        return self._loss.inverse_link(raw)

    def predict_raw(self, X):
        """Return the raw predictions, sums of the intercept and all effects.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,)
            What the loss sees, before the inverse link.
        """
        return self._raw_predict(X)


@_described("log_loss", '"log_loss", "focal", "squared_hinge"')
class AdditiveClassifier(ClassifierMixin, BaseAdditive):
    """Generalised additive model of two classes: log-odds are sums of smooth effects.

    The raw prediction is an intercept plus a smooth function of each column, or two;
    how smooth each is follows from the data. Computed in float64. For more classes put
    it into a :class:`~sklearn.multiclass.OneVsRestClassifier`.

    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The classes, sorted; effects are those on the second.
    {attributes}

    Notes
    -----
    {notes}

    References
    ----------
    {references}

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import AdditiveClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(300, 1))
    >>> inside = np.abs(X[:, 0]) + 0.2 * rng.normal(size=300) < 0.5
    >>> model = AdditiveClassifier().fit(X, np.where(inside, "in", "out"))
    >>> model.predict([[-0.9], [0.0], [0.9]]).tolist()
    ['out', 'in', 'out']
    """

    _task = "classification"

    def __init__(
        self,
        *,
        terms=None,
        loss="log_loss",
        smoothing="reml",
        max_iter=100,
        tol=1e-6,
    ):
        self.terms = terms
        self.loss = loss
        self.smoothing = smoothing
        self.max_iter = max_iter
        self.tol = tol

    def _make_loss(self) -> Loss:
        return classifier_loss(self.loss, 2)

    def _encode(self, y: Array, loss: Loss) -> Array:
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        n_classes, owner = len(self.classes_), type(self).__name__
        if n_classes > 2:
            raise ValueError(
                "Only binary classification is supported. The type of the target is "
                f"{type_of_target(y)}, with {n_classes} classes: use "
                f"sklearn.multiclass.OneVsRestClassifier({owner}())."
            )
        if n_classes < 2:
            raise ValueError(
                f"{owner} needs two classes in the rows with a positive weight. Got "
                f"one class: {self.classes_[0]!r}."
            )
        return codes.astype(np.float64)

    def decision_function(self, X):
        """Return the raw predictions: log-odds of the second class for the log loss.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,)
            Positive where ``classes_[1]`` is predicted.
        """
        return self._raw_predict(X)

    def predict(self, X):
        """Return the more likely class.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,)
            Elements of ``classes_``.
        """
        raw = self._raw_predict(X)  # before classes_: there may be no fit
        return self.classes_[(raw > 0).astype(np.int64)]

    @available_if(has_probabilities)
    def predict_proba(self, X):
        """Return class probabilities.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, 2)
            Columns in the order of ``classes_``; rows sum to one.
        """
        raw = self._raw_predict(X)
        probability = self._loss.inverse_link(raw)
        return np.column_stack([1 - probability, probability])

    @available_if(has_probabilities)
    def predict_log_proba(self, X):
        """Return the logarithms of class probabilities.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, 2)
            Columns in the order of ``classes_``.
        """
        raw = self._raw_predict(X)
        return log_expit(np.column_stack([-raw, raw]))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
