"""Losses for classification that give probabilities of classes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import scipy

from skgrad import functional, ops
from skgrad.exceptions import ShapeError
from skgrad.losses.base import Hyper, Loss
from skgrad.losses.checks import check_targets_and_weights
from skgrad.losses.domain import Interval
from skgrad.losses.registry import register_loss
from skgrad.tensor import Tensor

__all__ = ["Focal", "LabelLoss", "LogLoss"]

# Priors are kept this far from 0 and 1, as in scikit-learn's fit_intercept_only.
SMALLEST_PRIOR = float(np.finfo(np.float64).eps)
# exp(-750) is 0, and 1 + exp(-60) is 1 with room for a gamma of 1e9.
MOST_CERTAIN, LEAST_CERTAIN = 750.0, 60.0


class LabelLoss(Loss):
    """Base of losses of class codes: one raw prediction in all, or one per class."""

    y_domain = Interval(0, np.inf, "left", integer=True)
    labels = True
    task = "classification"


class ProbabilityLoss(LabelLoss):
    """Base of losses that are functions of the odds against the class of a sample."""

    link = "logit"
    matrix_link = "multinomial_logit"

    @abstractmethod
    def of_odds(self, against: Tensor, **hyperparameters: Hyper) -> Tensor:
        """Return the loss of every sample from the log-odds against its class.

        Parameters
        ----------
        against : Tensor of shape (n_samples,)
            Logarithms of (1 - p) / p, p the probability of the class of the sample.
        **hyperparameters : Tensor of shape () or float
            All of the loss's hyperparameters.

        Returns
        -------
        Tensor of shape (n_samples,)
            Values per sample.
        """

    def pointwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return the loss of every sample, without any check.

        See `Loss.pointwise`.
        """
        hyper: dict[str, Hyper] = {**self.hyperparameters(), **hyperparameters}
        return self.of_odds(_odds_against(y_true, raw_prediction), **hyper)


@register_loss("log_loss")
class LogLoss(ProbabilityLoss):
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

    convex = True

    def of_odds(self, against: Tensor, **hyperparameters: Hyper) -> Tensor:
        """Return the negative log-likelihood, see `ProbabilityLoss.of_odds`."""
        values: Tensor = ops.softplus(against)
        return values

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
        shares, binary = class_shares(self, y, sample_weight, n_classes)
        inner = np.clip(shares, SMALLEST_PRIOR, 1 - SMALLEST_PRIOR)
        if binary:
            return float(scipy.special.logit(inner[1]))
        logs = np.log(inner)
        return logs - logs.mean()


@register_loss("focal")
class Focal(ProbabilityLoss):
    r"""The log loss with samples that are already right counting less.

    With p the probability given to the class of the sample,

    .. math:: \ell = -(1 - p)^\gamma \log p,

    where p is the logistic function of the raw prediction (two classes) or the softmax
    of one raw prediction per class. In natural logarithms, per sample.

    Parameters
    ----------
    gamma : float, default=2.0
        How much less, non-negative; 0 is the log loss.

    Raises
    ------
    ParameterError
        On use, if `gamma` is negative or not finite.

    Notes
    -----
    Targets and shapes as for `LogLoss`; class weights (the paper's :math:`\alpha_t`)
    are sample weights. Link "logit", or "multinomial_logit" for a column per class.
    Twice differentiable, but not convex for :math:`\gamma > 0`; and not a proper score:
    probabilities are drawn towards each other, so calibrate them if they are to be
    read as such. Values and derivatives neither overflow nor lose their sign for
    samples classified with certainty.

    References
    ----------
    T.-Y. Lin, P. Goyal, R. Girshick, K. He and P. Dollár, Focal loss for dense object
    detection, ICCV 2017, eq. (4).

    Examples
    --------
    >>> from skgrad.losses import Focal
    >>> Focal(gamma=2.0)([1, 1], [0.0, 4.0]).numpy().round(6).tolist()
    [0.173287, 6e-06]
    """

    hyperparameter_domains: ClassVar[Mapping[str, Interval]] = MappingProxyType(
        {"gamma": Interval(0.0, np.inf, "left")}
    )

    def __init__(self, gamma: float = 2.0) -> None:
        self.gamma = gamma

    def of_odds(self, against: Tensor, **hyperparameters: Hyper) -> Tensor:
        """Return the damped log loss, see `ProbabilityLoss.of_odds`."""
        # (1 - p)^gamma through its logarithm: no power of 0 to differentiate. Beyond
        # the limits either factor is what it is at them, 1 or 0 to rounding, and the
        # derivative would be 0 times an overflow.
        damped = ops.clip(against, -MOST_CERTAIN, LEAST_CERTAIN)
        factor = ops.exp(-(hyperparameters["gamma"] * ops.softplus(-damped)))
        values: Tensor = factor * ops.softplus(against)
        return values


def _odds_against(y_true: Tensor, raw_prediction: Tensor) -> Tensor:
    """Return the log-odds against the class of each sample."""
    if raw_prediction.ndim == 1:
        is_one = ops.equal(y_true, 1)
        binary: Tensor = ops.where(is_one, -raw_prediction, raw_prediction)
        return binary
    # log sum_{j != y} exp(f_j) - f_y, the argument of a softplus: log sum exp(f) - f_y
    # would round to 0 once the class is certain.
    is_class = class_indicators(y_true, raw_prediction.shape[-1])
    own = ops.sum(ops.where(is_class, raw_prediction, 0.0), axis=-1)
    others = functional.logsumexp(ops.where(is_class, -np.inf, raw_prediction), axis=-1)
    odds: Tensor = others - own
    return odds


def class_indicators(y_true: Tensor, n_classes: int) -> Tensor:
    """Return which class each sample has, a column per class.

    Parameters
    ----------
    y_true : Tensor of shape (n_samples,)
        Class codes.
    n_classes : int
        Number of columns.

    Returns
    -------
    Tensor of bool of shape (n_samples, n_classes)
        True in the column of the class.
    """
    codes = ops.reshape(y_true, (*y_true.shape, 1))
    indicators: Tensor = ops.equal(codes, np.arange(n_classes))
    return indicators


def class_shares(
    loss: LabelLoss, y: Any, sample_weight: Any, n_classes: int | None
) -> tuple[Any, bool]:
    """Return the share of each class and whether one raw prediction is enough.

    Parameters
    ----------
    loss, y, sample_weight, n_classes
        As in `LogLoss.optimal_constant`.

    Returns
    -------
    shares : ndarray of shape (n_classes,)
        Parts of the weight; they sum to 1.
    binary : bool
        Whether there is one raw prediction in all, for two classes.

    Raises
    ------
    ShapeError, ParameterError
        As in `LogLoss.optimal_constant`.
    """
    loss.validate()
    y, weights = check_targets_and_weights(y, sample_weight)
    if y.ndim != 1:
        raise ShapeError(
            f"y must hold class codes of shape (n_samples,). Got shape {y.shape} "
            f"instead; use y[:, 0] or y.argmax(axis=1)."
        )
    largest = int(y.max()) if loss.y_domain.includes(y) else 1
    columns = n_classes or max(largest + 1, 2)
    loss.check_targets(y, (y.size, columns))
    counts = np.bincount(y.astype(np.intp), weights=weights, minlength=columns)
    return counts / counts.sum(), n_classes is None and columns == 2
