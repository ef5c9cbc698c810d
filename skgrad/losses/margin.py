"""Losses for classification by a margin: scores of classes, without probabilities."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from skgrad import ops
from skgrad.losses.base import Hyper
from skgrad.losses.classification import LabelLoss, class_indicators, class_shares
from skgrad.losses.registry import register_loss
from skgrad.losses.separable import KinkedLoss, split, sum_outputs
from skgrad.tensor import Tensor

__all__ = ["Hinge", "SquaredHinge"]


class MarginLoss(LabelLoss):
    """Base of losses of signs: +1 for the class of a sample, -1 for the others.

    With a column per class the losses of all columns are added: one model against the
    rest for each class, as scikit-learn's ``LinearSVC`` and ``SGDClassifier`` fit.
    """

    separable = True
    convex = True
    twice_differentiable = False

    @abstractmethod
    def of_margin(self, margin: Tensor) -> Tensor:
        """Return the loss of signs times raw predictions, elementwise.

        Parameters
        ----------
        margin : Tensor of any shape
            Positive where the sign of the raw prediction is right.

        Returns
        -------
        Tensor of the same shape
            Values.
        """

    @abstractmethod
    def best_score(self, share: Any) -> Any:
        """Return the best constant for shares of the sign +1."""

    def pointwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return the loss of every sample, summed over classes, without any check.

        See `Loss.pointwise`.
        """
        return sum_outputs(self.of_margin(_margin(y_true, raw_prediction)))

    def optimal_constant(
        self, y: Any, sample_weight: Any = None, n_classes: int | None = None
    ) -> Any:
        """Return the score, or the score of each class, of the best constant model.

        See `LogLoss.optimal_constant`.
        """
        shares, binary = class_shares(self, y, sample_weight, n_classes)
        best = self.best_score(shares)
        return float(best[1]) if binary else best


@register_loss("hinge")
class Hinge(MarginLoss, KinkedLoss):
    r"""The hinge loss of support vector machines.

    With :math:`s = +1` for class 1 and -1 for class 0,

    .. math:: \ell = \max(0,\; 1 - s f)

    and with one raw prediction per class the sum over the classes, where s is +1 for
    the class of the sample and -1 for all others (one against the rest).

    Notes
    -----
    Targets are class codes as for `LogLoss`. The raw prediction is a score, positive
    for class 1, without a probability. Convex; not differentiable at :math:`s f = 1`,
    where 0 is returned as the derivative; second derivatives are 0. The best constant
    is the sign of the majority, 0 (the middle) if there is none.

    References
    ----------
    C. Cortes and V. Vapnik, Support-vector networks, Machine Learning 20 (1995)
    273-297.

    Examples
    --------
    >>> from skgrad.losses import Hinge
    >>> Hinge()([1, 0], [0.5, 0.5]).numpy().tolist()
    [0.5, 1.5]
    >>> Hinge()([2], [[-1.0, 0.0, 2.0]]).numpy().tolist()
    [1.0]
    """

    def of_margin(self, margin: Tensor) -> Tensor:
        """Return what is missing to a margin of 1, see `MarginLoss.of_margin`."""
        values: Tensor = ops.relu(1.0 - margin)
        return values

    def smoothed(
        self,
        y_true: Tensor,
        raw_prediction: Tensor,
        width: Hyper,
        **hyperparameters: Hyper,
    ) -> Tensor:
        """Return the loss averaged over a window, see `KinkedLoss.smoothed`."""
        inner, outer = split(1.0 - _margin(y_true, raw_prediction), width)
        parabola = 0.25 * (inner * (inner / width) + width)
        return sum_outputs(ops.relu(outer) + 0.5 * inner + parabola)

    def best_score(self, share: Any) -> Any:
        """Return the sign of the majority, see `MarginLoss.best_score`."""
        return np.sign(share - 0.5)


@register_loss("squared_hinge")
class SquaredHinge(MarginLoss):
    r"""The squared hinge loss of support vector machines.

    With :math:`s = +1` for class 1 and -1 for class 0,

    .. math:: \ell = \max(0,\; 1 - s f)^2

    without a factor ½, and with one raw prediction per class the sum over the classes,
    where s is +1 for the class of the sample and -1 for all others (one against the
    rest).

    Notes
    -----
    Targets are class codes as for `LogLoss`. The raw prediction is a score, positive
    for class 1, without a probability. Convex; the second derivative is 2 where
    :math:`s f < 1` and 0 elsewhere, so ``twice_differentiable`` is False. With
    ``alpha = 1 / (C n)`` the objective is that of scikit-learn's ``LinearSVC``, which
    penalises the intercept as well. The best constant is the difference of the shares
    of the signs.

    References
    ----------
    R.-E. Fan, K.-W. Chang, C.-J. Hsieh, X.-R. Wang and C.-J. Lin, LIBLINEAR: a library
    for large linear classification, Journal of Machine Learning Research 9 (2008)
    1871-1874, eq. (1).

    Examples
    --------
    >>> from skgrad.losses import SquaredHinge
    >>> SquaredHinge()([1, 0], [0.5, 0.5]).numpy().tolist()
    [0.25, 2.25]
    """

    def of_margin(self, margin: Tensor) -> Tensor:
        """Return the square of what is missing, see `MarginLoss.of_margin`."""
        values: Tensor = ops.square(ops.relu(1.0 - margin))
        return values

    def best_score(self, share: Any) -> Any:
        """Return the difference of the shares, see `MarginLoss.best_score`."""
        return 2.0 * share - 1.0


def _margin(y_true: Tensor, raw_prediction: Tensor) -> Tensor:
    """Return signs times raw predictions."""
    if raw_prediction.ndim == 1:
        positive = ops.equal(y_true, 1)
    else:
        positive = class_indicators(y_true, raw_prediction.shape[-1])
    margin: Tensor = ops.where(positive, raw_prediction, -raw_prediction)
    return margin
