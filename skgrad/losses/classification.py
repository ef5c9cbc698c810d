"""Losses for classification: probabilities of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from skgrad import functional, ops
from skgrad.exceptions import ShapeError
from skgrad.losses.base import Hyper, Loss
from skgrad.losses.checks import check_targets_and_weights
from skgrad.losses.domain import Interval
from skgrad.losses.registry import register_loss
from skgrad.tensor import Tensor

__all__ = ["LogLoss"]

# Priors are kept this far from 0 and 1, as in scikit-learn's fit_intercept_only.
SMALLEST_PRIOR = float(np.finfo(np.float64).eps)


@register_loss("log_loss")
class LogLoss(Loss):
    r"""The negative log-likelihood of the class of each sample (cross-entropy).

    With two classes and one raw prediction per sample, the log-odds f of class 1,

    .. math:: \ell = \log(1 + e^{-f}) \text{ if } y = 1
              \text{, } \log(1 + e^{f}) \text{ if } y = 0,

    and with one raw prediction per class :math:`\ell = \log\sum_j e^{f_j} - f_y`. In
    natural logarithms, per sample, without a factor.

    Notes
    -----
    Targets are class codes 0, 1, ..., n_classes - 1 of shape (n_samples,), of any
    dtype; which of the two forms applies follows from the shape of `raw_prediction`,
    (n_samples,) or (n_samples, n_classes). Link "logit", or "multinomial_logit" for a
    column per class; twice differentiable. Values and derivatives keep their relative
    accuracy for samples classified with certainty and never overflow.

    Examples
    --------
    >>> from skgrad.losses import LogLoss
    >>> LogLoss()([1, 0], [0.0, 10000.0]).numpy().round(4).tolist()
    [0.6931, 10000.0]
    >>> LogLoss()([2], [[0.0, 0.0, 0.0]]).numpy().round(4).tolist()
    [1.0986]
    """

    link = "logit"
    matrix_link = "multinomial_logit"
    y_domain = Interval(0, np.inf, "left", integer=True)
    labels = True
    task = "classification"
    convex = True

    def pointwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return the negative log-likelihood, without any check.

        See `Loss.pointwise`.
        """
        if raw_prediction.ndim == 1:
            is_one = ops.equal(y_true, 1)
            against = ops.where(is_one, -raw_prediction, raw_prediction)
            values: Tensor = ops.softplus(against)
            return values
        return _multinomial(y_true, raw_prediction)

    def optimal_constant(
        self, y: Any, sample_weight: Any = None, n_classes: int | None = None
    ) -> Any:
        """Return the log-odds or the log-priors of the classes.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Class codes.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; None means equal ones.
        n_classes : int, default=None
            Number of columns of the raw prediction. None: one in all if no code exceeds
            1, otherwise as many as the largest code asks for.

        Returns
        -------
        float or ndarray of shape (n_classes,)
            The logit of the share of class 1; or the logarithms of the shares, shifted
            to sum to zero. Shares are kept eps away from 0 and 1, so that a class
            that does not occur has a finite value.

        Raises
        ------
        ShapeError
            If `y` or `sample_weight` is not of shape (n_samples,).
        ParameterError
            If a code is not a whole number in range, or the weights are invalid.

        Examples
        --------
        >>> from skgrad.losses import LogLoss
        >>> LogLoss().optimal_constant([0, 1, 0, 1])
        0.0
        >>> LogLoss().optimal_constant([0, 1, 2]).tolist()
        [0.0, 0.0, 0.0]
        """
        y, weights = check_targets_and_weights(y, sample_weight)
        if y.ndim != 1:
            raise ShapeError(
                f"y must hold class codes of shape (n_samples,). Got shape {y.shape} "
                f"instead; use y[:, 0] or y.argmax(axis=1)."
            )
        largest = int(y.max()) if self.y_domain.includes(y) else 1
        columns = n_classes or max(largest + 1, 2)
        self._check_targets(y, (y.size, columns))
        counts = np.bincount(y.astype(np.intp), weights=weights, minlength=columns)
        priors = np.clip(counts / counts.sum(), SMALLEST_PRIOR, 1 - SMALLEST_PRIOR)
        if n_classes is None and columns == 2:
            return float(scipy.special.logit(priors[1]))
        logs = np.log(priors)
        return logs - logs.mean()


def _multinomial(y_true: Tensor, raw_prediction: Tensor) -> Tensor:
    """Return the negative log-likelihood for a column of raw predictions per class."""
    # The odds against the class, log sum_{j != y} exp(f_j) - f_y, through softplus:
    # log sum exp(f) - f_y would round to 0 once the class is certain.
    codes = ops.reshape(y_true, (*y_true.shape, 1))
    is_class = ops.equal(codes, np.arange(raw_prediction.shape[-1]))
    own = ops.sum(ops.where(is_class, raw_prediction, 0.0), axis=-1)
    others = functional.logsumexp(ops.where(is_class, -np.inf, raw_prediction), axis=-1)
    values: Tensor = ops.softplus(others - own)
    return values
