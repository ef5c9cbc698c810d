"""What users ask a fitted model for: values on the scale of the target, or classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import log_expit, log_softmax
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

__all__ = ["ClassifierPredictions", "RegressorPredictions", "has_probabilities"]


def has_probabilities(estimator: Any) -> bool:
    """Return whether the loss gives probabilities; the reason is raised if not."""
    loss = estimator._make_loss()
    if loss.link not in ("logit", "multinomial_logit"):
        raise AttributeError(
            f"Loss {loss.name!r} gives scores without probabilities (its link is "
            f"{loss.link!r}). Use decision_function, or loss='log_loss' or 'focal'; "
            "CalibratedClassifierCV makes probabilities of scores."
        )
    return True


class RegressorPredictions(RegressorMixin):
    """Predictions of numbers, from raw predictions."""

    def predict(self, X):
        """Return predictions on the scale of the target.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs, as in the fit.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The inverse link of the raw predictions: means, quantiles or rates. For a
            loss with a distribution its location.
        """
        raw = self._raw_predict(X)
        y_pred = self._loss.inverse_link(raw)
        return y_pred.reshape(len(y_pred), -1) if self._y_ndim == 2 else y_pred

    def predict_raw(self, X):
        """Return the raw predictions, on the scale of the target where it has one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs, as in the fit.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_columns)
            What the loss sees, before the inverse link; with several raw predictions
            per target all locations first, then the logarithms of all scales.
        """
        return self._raw_predict(X)


class ClassifierPredictions(ClassifierMixin):
    """Predictions of classes or labels, from raw predictions."""

    def decision_function(self, X):
        """Return the raw predictions: log-odds for the log loss, scores for a hinge.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs, as in the fit.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the score of ``classes_[1]``, positive where it is
            predicted; otherwise one column per class or label.
        """
        return self._raw_predict(X)

    def predict(self, X):
        """Return the class with the largest score, or all labels with a positive one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs, as in the fit.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Elements of ``classes_``, or indicators of labels.
        """
        raw = self._raw_predict(X)
        if self._y_ndim == 2:
            return (raw > 0).astype(np.int64)
        codes = (raw > 0).astype(np.int64) if raw.ndim == 1 else raw.argmax(axis=1)
        return self.classes_[codes]

    @available_if(has_probabilities)
    def predict_proba(self, X):
        """Return class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs, as in the fit.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``; rows sum to one, unless columns are
            labels, each with a probability of its own.
        """
        raw = self._raw_predict(X)
        probability = self._loss.inverse_link(raw)
        if probability.ndim == 1:
            return np.column_stack([1 - probability, probability])
        return probability

    @available_if(has_probabilities)
    def predict_log_proba(self, X):
        """Return the logarithms of class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs, as in the fit.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        raw = self._raw_predict(X)
        if raw.ndim == 1:
            return log_expit(np.column_stack([-raw, raw]))
        return log_expit(raw) if self._y_ndim == 2 else log_softmax(raw, axis=1)
