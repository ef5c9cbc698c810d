"""What targets are: numbers for regressors, classes for classifiers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from skgrad.estimators.base import forget
from skgrad.estimators.fitting import Rows
from skgrad.estimators.multilabel import check_indicators, is_multilabel, per_label
from skgrad.estimators.predictions import ClassifierPredictions, RegressorPredictions
from skgrad.estimators.sklearn_private import fit_context
from skgrad.estimators.solving import can_partial_fit
from skgrad.exceptions import ParameterError
from skgrad.losses import FunctionLoss, Loss, get_loss
from skgrad.typing import Array

__all__ = ["GradientClassifierMixin", "GradientRegressorMixin", "classifier_loss"]


def _has_distribution(estimator: Any) -> bool:
    """Return whether the loss has a distribution; the reason is raised if not."""
    loss = estimator._make_loss()
    if not loss.has_distribution:
        raise AttributeError(
            f"Loss {loss.name!r} predicts a point, not a distribution. Use predict, or "
            "loss='gaussian_nll' or 'student_t_nll'."
        )
    return True


def classifier_loss(loss: Any, n_classes: int) -> Loss:
    """Return the loss of a classifier; a plain function sees logits."""
    if callable(loss) and not isinstance(loss, type | Loss):
        link = "logit" if n_classes == 2 else "multinomial_logit"
        return FunctionLoss(loss, link=link)
    return get_loss(loss)


def checked_numbers(y: Any) -> Array:
    """Return targets that are numbers of a dtype that float64 holds."""
    if issparse(y):
        raise TypeError(f"y is sparse, of shape {y.shape}. Pass y.toarray().")
    if y.dtype.kind not in "biuf" or y.ndim not in (1, 2):
        raise ValueError(
            f"y must hold numbers and have shape (n_samples,) or (n_samples, "
            f"n_outputs). Got dtype {y.dtype} and shape {y.shape}."
        )
    if y.dtype.itemsize <= np.dtype(np.float64).itemsize:
        return y
    with np.errstate(over="ignore"):
        y = y.astype(np.float64)
    assert_all_finite(y, input_name="y")
    return y


class GradientRegressorMixin(RegressorPredictions):
    """Targets are numbers, one column or several."""

    _task: ClassVar[str] = "regression"

    def _check_y(self, X, y, dtype, reset):
        options = {"dtype": dtype, "multi_output": True, "y_numeric": True}
        X, y = self._validated(X, y, reset=reset, **options)
        return X, checked_numbers(y)

    def _encode(self, y: Array, loss: Loss) -> tuple[Array, int | None]:
        encoded = np.asarray(y, dtype=np.float64)
        if y.ndim == 2 and y.shape[1] > 1:
            return encoded, loss.raw_per_target * y.shape[1]
        # One output: the loss sees vectors.
        columns = None if loss.raw_per_target == 1 else loss.raw_per_target
        return encoded.reshape(len(y)), columns

    @available_if(can_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Make one pass over some rows, keeping weights and optimizer state.

        The first call fixes the scaling of inputs and targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        estimator
            The fitted estimator itself.
        """
        return self._partial_fit(X, y, sample_weight)

    @available_if(_has_distribution)
    def predict_distribution(self, X):
        """Return the distributions of the targets, for a loss that has one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        scipy.stats.rv_frozen
            A frozen distribution of SciPy with an entry per sample (and output), in
            the units of the target: ``mean()``, ``std()``, ``interval(0.9)``,
            ``ppf(q)``, ``logpdf(y)``, ``rvs()``; its parameters are in ``kwds``.
        """
        return self._loss.distribution(self._raw_predict(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class GradientClassifierMixin(ClassifierPredictions):
    """Targets are classes of any dtype, or indicators of labels."""

    _task: ClassVar[str] = "classification"

    def _check_y(self, X, y, dtype, reset):
        multilabel = is_multilabel(y)
        if issparse(y):
            raise ValueError(
                f"y is a sparse matrix of shape {y.shape}; pass y.toarray() instead."
            )
        X, y = self._validated(X, y, dtype=dtype, multi_output=multilabel, reset=reset)
        if _n_values(y) > len(y) // 2:  # where there may be something to say
            check_classification_targets(y)
        return X, check_indicators(type(self).__name__, y) if multilabel else y

    def _rows(self, *data, dtype, reset):
        rows = super()._rows(*data, dtype=dtype, reset=reset)
        self._multilabel = rows.y.ndim == 2
        first = not hasattr(self, "classes_")
        if self._multilabel:
            self._check_labels(rows.y.shape[1], first)
            return rows
        if first:
            self.classes_ = _classes(rows.y)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least two classes in the rows with a "
                f"positive weight. Got one class: {self.classes_[0]!r}."
            )
        unseen = [] if first else np.setdiff1d(rows.y, self.classes_).tolist()
        if unseen:
            raise ValueError(
                f"y has classes {unseen} that were not among the classes "
                f"{self.classes_.tolist()} of the first fit."
            )
        return rows

    def _check_labels(self, n_labels: int, first: bool) -> None:
        labels = np.arange(n_labels)
        if not first and not np.array_equal(self.classes_, labels):
            raise ValueError(
                f"y has a column for each of {n_labels} labels, but the classes are "
                f"{self.classes_.tolist()}."
            )
        self.classes_ = labels

    def _weighted_by_class(self, rows: Rows) -> Rows:
        if self.class_weight is None:
            return rows
        if self._multilabel:
            raise ParameterError(
                "class_weight weights rows by their one class, but these have "
                f"{rows.y.shape[1]} labels. Set class_weight=None, and pass "
                "sample_weight to fit."
            )
        factors = _class_factors(self.class_weight, rows.y, rows.w)
        for i in np.flatnonzero(~(np.isfinite(factors) & (factors >= 0)))[:1]:
            raise ParameterError(
                "The 'class_weight' parameter must hold finite numbers >= 0. Got "
                f"{factors[i]:g} for the class {rows.y[i]}."
            )
        return replace(rows, w=rows.w * factors).present()

    def _make_loss(self) -> Loss:
        multilabel = getattr(self, "_multilabel", False)
        n_classes = 2 if multilabel else len(getattr(self, "classes_", (0, 1)))
        loss = self._checked_task(classifier_loss(self.loss, n_classes))
        return per_label(loss) if multilabel else loss

    def _encode(self, y: Array, loss: Loss) -> tuple[Array, int | None]:
        if y.ndim == 2:
            return y.astype(np.float64), y.shape[1]
        codes = _codes(self.classes_, y)
        if len(self.classes_) == 2:
            return codes.astype(np.float64), None
        return codes.astype(np.int64), len(self.classes_)

    def _check_domain(self, loss: Loss, y: Array) -> None:
        """Classes are encoded: always in the domain."""

    def _strata(self, y: Array) -> Array | None:
        return None if y.ndim == 2 else y

    @available_if(can_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Make one pass over some rows, keeping weights and optimizer state.

        The first call fixes the classes and the scaling of the inputs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Classes, or indicators of labels.
        classes : array-like of shape (n_classes,), default=None
            All classes; needed in the first call, except with indicators of labels:
            each has a column.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        estimator
            The fitted estimator itself.
        """
        if not hasattr(self, "module_"):
            if classes is None and not is_multilabel(y):
                raise ValueError(
                    "classes must be passed on the first call to partial_fit: rows to "
                    "come may have classes that these rows have not."
                )
            forget(self)
            if classes is not None:
                self.classes_ = np.unique(classes)
        elif classes is not None and not np.array_equal(
            np.unique(classes), self.classes_
        ):
            raise ValueError(
                f"classes={np.unique(classes).tolist()} is not the same as on the "
                f"first call to partial_fit: {self.classes_.tolist()}."
            )
        return self._partial_fit(X, y, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _n_values(y: Array) -> float:
    """Return how many values integers may have, from the least to the largest."""
    counted = y.ndim == 1 and y.size and np.can_cast(y.dtype, np.int64)
    return int(y.max()) - int(y.min()) + 1 if counted else np.inf


def _classes(y: Array) -> Array:
    """Return the values, sorted: those of integers counted, in a tenth of the time."""
    if _n_values(y) > len(y):
        return np.unique(y)
    low = y.min()
    present = np.bincount(y.astype(np.int64) - int(low)) > 0
    return (np.flatnonzero(present) + int(low)).astype(y.dtype)


def _codes(classes: Array, y: Array) -> Array:
    """Return the position of each value among the classes, for integers by a table."""
    n_values = _n_values(classes)
    if y.dtype != classes.dtype or n_values > len(y):
        return np.searchsorted(classes, y)
    table = np.zeros(int(n_values), dtype=np.int64)
    table[classes.astype(np.int64) - int(classes[0])] = np.arange(len(classes))
    return table[y.astype(np.int64) - int(classes[0])]


def _class_factors(class_weight: Any, y: Array, w: Array) -> Array:
    """Return the factor of each row; "balanced" counts weights, not rows."""
    if class_weight != "balanced":
        return compute_sample_weight(class_weight, y)
    classes, codes = np.unique(y, return_inverse=True)
    totals = np.bincount(codes, weights=w)
    return (w.sum() / (len(classes) * totals))[codes]
