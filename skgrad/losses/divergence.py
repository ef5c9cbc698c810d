"""Losses for targets that are probabilities themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from skgrad import functional, ops
from skgrad.exceptions import ParameterError, ShapeError
from skgrad.losses.base import Hyper, Loss
from skgrad.losses.checks import check_targets_and_weights
from skgrad.losses.domain import Interval
from skgrad.losses.links import get_link
from skgrad.losses.registry import register_loss
from skgrad.tensor import Tensor

__all__ = ["KLDiv", "surprise"]

# How far the sum of a row may be from 1: three decimals of rounded probabilities.
SUM_TOLERANCE = 1e-3


@register_loss("kl_div")
class KLDiv(Loss):
    r"""The Kullback-Leibler divergence from predicted to given probabilities.

    With one raw prediction (logit) per class,

    .. math:: \ell = \sum_j y_j \log \frac{y_j}{p_j}, \qquad
              p_j = \frac{e^{f_j}}{\sum_l e^{f_l}}

    per row, in natural logarithms; a probability :math:`y_j = 0` adds nothing.

    Notes
    -----
    Targets are rows of probabilities, shape (n_samples, n_classes), in [0, 1] and
    summing to 1 within 0.001: soft labels, shares, the output of another model. Link
    "multinomial_logit", so that a regressor predicts rows of probabilities; convex and
    twice differentiable. The gradient is that of the cross-entropy. PyTorch's
    ``kl_div`` takes log-probabilities instead of logits and returns a value for each
    class. The best constant are the logarithms of the mean probabilities, shifted to
    sum to zero.

    References
    ----------
    S. Kullback and R. A. Leibler, On information and sufficiency, Annals of
    Mathematical Statistics 22 (1951) 79-86, eq. (2.4).

    Examples
    --------
    >>> from skgrad.losses import KLDiv
    >>> y_true = [[0.5, 0.5], [1.0, 0.0]]
    >>> KLDiv()(y_true, [[3.0, 3.0], [0.0, 0.0]]).numpy().round(4).tolist()
    [0.0, 0.6931]
    """

    link = "multinomial_logit"
    y_domain = Interval(0.0, 1.0, "both")
    task = "regression"
    convex = True

    def pointwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return the divergence of every row, without any check.

        See `Loss.pointwise`.
        """
        positive = ops.greater(y_true, 0)
        logs = ops.log(ops.where(positive, y_true, 1.0))
        excess = logs + surprise(y_true, raw_prediction)
        values: Tensor = ops.sum(ops.multiply(y_true, excess), axis=-1)
        return values

    def optimal_constant(self, y: Any, sample_weight: Any = None) -> Any:
        """Return the logarithms of the mean probabilities.

        See `Loss.optimal_constant`.
        """
        y, weights = check_targets_and_weights(y, sample_weight)
        self._check_rows(y)
        self.check_targets(y, y.shape)
        mean = np.average(y.astype(np.float64), axis=0, weights=weights)
        return get_link(self.link).link(mean)

    def _check_shapes(self, y_true: Tensor, raw_prediction: Tensor) -> None:
        super()._check_shapes(y_true, raw_prediction)
        self._check_rows(y_true)

    def _check_rows(self, y: Any) -> None:
        """Raise unless there is a column per class."""
        if y.ndim != 2 or y.shape[1] < 2:
            raise ShapeError(
                "The targets of KLDiv must be rows of probabilities, shape (n_samples, "
                f"n_classes). Got shape {tuple(y.shape)} instead: for two classes give "
                "the columns 1 - y and y; for class codes use log_loss."
            )

    def check_targets(self, y_true: Any, raw_shape: tuple[int, ...]) -> None:
        """Check that targets are rows of probabilities, see `Loss.check_targets`."""
        self._check_rows(y_true)
        super().check_targets(y_true, raw_shape)
        sums = y_true.sum(axis=1)
        wrong = np.abs(sums - 1.0) > SUM_TOLERANCE
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ParameterError(
                "The targets of KLDiv must be rows of probabilities that sum to 1. "
                f"Row {row} sums to {sums[row]:g}: divide each row by its sum."
            )


def surprise(probabilities: Tensor, raw_prediction: Tensor) -> Tensor:
    """Return log Σ exp f - f, and 0 where a probability is 0.

    Parameters
    ----------
    probabilities, raw_prediction : Tensor of shape (n_samples, n_classes)
        Rows; a raw prediction may be -inf where the probability is 0.

    Returns
    -------
    Tensor of shape (n_samples, n_classes)
        Minus logarithms of the softmax. Their sum, weighted with the probabilities, is
        the cross-entropy.
    """
    total = functional.logsumexp(raw_prediction, axis=-1, keepdims=True)
    terms: Tensor = ops.where(
        ops.greater(probabilities, 0), total - raw_prediction, 0.0
    )
    return terms
