"""Generalised additive models with any twice differentiable loss."""

from __future__ import annotations

import warnings
from abc import ABCMeta, abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    check_array,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from skgrad.backend.cpu.threads import single_threaded
from skgrad.estimators.additive_columns import as_numbers, levels_of
from skgrad.estimators.additive_design import placed_terms, row_slices
from skgrad.estimators.additive_docs import described
from skgrad.estimators.additive_effects import EffectsMixin
from skgrad.estimators.additive_fit import AdditiveFit, scale_is_known
from skgrad.estimators.additive_terms import Table, fitted_terms
from skgrad.estimators.base import forget
from skgrad.estimators.parameters import NestedParams
from skgrad.estimators.predictions import ClassifierPredictions, RegressorPredictions
from skgrad.estimators.scaling import too_large
from skgrad.estimators.sklearn_private import (
    Interval,
    StrOptions,
    check_sample_weight,
    fit_context,
)
from skgrad.estimators.targets import classifier_loss
from skgrad.exceptions import DataWarning, ParameterError
from skgrad.losses import KinkedLoss, Loss, get_loss
from skgrad.solvers import Smoothness
from skgrad.typing import Array

__all__ = ["AdditiveClassifier", "AdditiveRegressor"]

CRITERIA = ("reml", "gcv")
# Mean of weights below which they are no counts.
LEAST_WEIGHT = 0.1


class BaseAdditive(EffectsMixin, NestedParams, BaseEstimator, metaclass=ABCMeta):
    """Base of the additive models: terms, a loss, and how smoothness is chosen."""

    _task: ClassVar[str]
    _y_ndim: ClassVar[int] = 1
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
        forget(self)
        X, y, w = self._present_rows(X, y, sample_weight)
        loss = self._checked_loss(self._make_loss())
        target = self._encode(y, loss)
        table = Table(X, self._column_names(), self._levels)
        self._warn_of_constants(table)
        terms = fitted_terms(self.terms, table)
        with single_threaded(), np.errstate(over="raise", invalid="raise"):
            placed = placed_terms(terms, X, w)
            work = AdditiveFit(placed, X, loss, target, w)
            smoothing = self._smoothing(len(work.penalties))
            try:
                found = work.solve(smoothing, self.max_iter, self.tol)
            except (FloatingPointError, np.linalg.LinAlgError) as error:
                raise too_large("The model", X, target) from error
        if not found.converged:
            warnings.warn(_advice(found, self.max_iter), ConvergenceWarning, 3)
        self._store(found, work)
        return self

    def _present_rows(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[Array, Array, Array]:
        """Return the validated rows with a positive weight, and their weights."""
        X, y = self._validated(X, y)
        w = check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
        present = w > 0
        if not present.all():
            X, y, w = X[present], y[present], w[present]
        if w.sum() < LEAST_WEIGHT * len(w):
            warnings.warn(
                f"Weights are counts of rows, and those of {len(w)} rows sum to "
                f"{w.sum():.3g}: smoothness is chosen as for so few. Where they only "
                "say how rows compare, divide them by their mean.",
                DataWarning,
                stacklevel=4,
            )
        return X, y, w

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

    def _smoothing(self, m: int) -> str | Array:
        """Return the criterion, or the smoothing parameter of each of m penalties."""
        if isinstance(self.smoothing, str):
            return self.smoothing
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

    def _store(self, found: Smoothness, work: AdditiveFit) -> None:
        fit, placed = found.fit, work.placed
        edf, shrunken = fit.edf, fit.shrunken
        reference = 2 * edf - (shrunken * shrunken.T).sum(axis=1)
        self._placed, self._loss, self._n = placed, work.loss, work.n
        self._coef, self._gram = fit.coef, fit.sums.hessian
        self._covariance = found.phi * fit.inverse
        self._ref_df = np.array([reference[each.where].sum() for each in placed])
        self._scale_known = scale_is_known(work.loss)
        self._how = (
            f"smoothness by {self.smoothing.upper()}"
            if isinstance(self.smoothing, str)
            else "smoothing parameters given"
        )
        self.term_names_ = [each.term.name for each in placed]
        self.intercept_ = float(fit.coef[0] + work.rows.offset)
        self.coef_ = [fit.coef[each.where] for each in placed]
        self.smoothing_ = found.smoothing
        self.edf_ = np.array([edf[each.where].sum() for each in placed])
        self.total_edf_ = float(edf.sum())
        self.scale_ = found.phi
        self.criterion_ = found.criterion
        self.loss_ = fit.sums.loss / work.n
        self.deviance_explained_ = work.explained(fit.sums.loss)
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


@described(
    "squared_error",
    '"squared_error", "poisson", "gamma", "tweedie", "huber", "log_cosh"',
)
class AdditiveRegressor(RegressorPredictions, BaseAdditive):
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


@described("log_loss", '"log_loss", "focal", "squared_hinge"')
class AdditiveClassifier(ClassifierPredictions, BaseAdditive):
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
