"""Bases of losses that treat every output by itself, and of those with a kink."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from skgrad import ops
from skgrad.losses.base import Hyper, Loss
from skgrad.losses.checks import check_targets_and_weights
from skgrad.tensor import Tensor

__all__ = [
    "KinkedLoss",
    "PiecewiseLinearLoss",
    "SeparableLoss",
    "split",
    "sum_outputs",
]


class SeparableLoss(Loss):
    """Base of losses that are a sum over outputs of a function of one output.

    Subclasses write `elementwise` and `_best_constant` for one output.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import ops
    >>> from skgrad.losses import Interval, SeparableLoss
    >>> class SquaredLogError(SeparableLoss):
    ...     y_domain = Interval(0.0, np.inf, "left")
    ...     link = "log"
    ...
    ...     def elementwise(self, y_true, raw_prediction, **hyperparameters):
    ...         return ops.square(ops.log1p(y_true) - raw_prediction)
    ...
    ...     def _best_constant(self, y, weights):
    ...         return float(np.average(np.log1p(y), weights=weights))
    >>> SquaredLogError()([0.0, 0.0], [1.0, 3.0]).numpy().tolist()
    [1.0, 9.0]
    >>> SquaredLogError().optimal_constant([0.0, 0.0])
    0.0
    """

    task = "regression"
    separable = True
    convex = True

    @abstractmethod
    def elementwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return the loss of every sample and output, without any check.

        Parameters
        ----------
        y_true, raw_prediction : Tensor of shape (n_samples,) or (n_samples, n_outputs)
            Targets and raw predictions, of the same shape.
        **hyperparameters : Tensor of shape () or float
            All of the loss's hyperparameters.

        Returns
        -------
        Tensor of the same shape
            Values per sample and output.
        """

    @abstractmethod
    def _best_constant(self, y: Any, weights: Any) -> float:
        """Return the best constant for one output; all weights are positive."""

    def pointwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return the loss of every sample, summed over outputs, without any check.

        See `Loss.pointwise`.
        """
        hyper: dict[str, Hyper] = {**self.hyperparameters(), **hyperparameters}
        return sum_outputs(self.elementwise(y_true, raw_prediction, **hyper))

    def optimal_constant(self, y: Any, sample_weight: Any = None) -> Any:
        """Return the raw prediction of the best constant model, per output.

        See `Loss.optimal_constant`.
        """
        self.validate()
        y, weights = check_targets_and_weights(y, sample_weight)
        self.check_targets(y, y.shape)
        present = weights > 0
        y, weights = y[present].astype(np.float64), weights[present]
        if y.ndim == 1:
            return self._best_constant(y, weights)
        return np.array([self._best_constant(column, weights) for column in y.T])


class KinkedLoss(Loss):
    """Base of losses with straight pieces, whose kink can be rounded for a solver.

    Examples
    --------
    >>> from skgrad.losses import LOSSES, KinkedLoss
    >>> sorted(n for n, cls in LOSSES.items() if issubclass(cls, KinkedLoss))
    ['absolute_error', 'hinge', 'quantile', 'quantiles']
    """

    twice_differentiable = False

    @abstractmethod
    def smoothed(
        self,
        y_true: Tensor,
        raw_prediction: Tensor,
        width: Hyper,
        **hyperparameters: Hyper,
    ) -> Tensor:
        r"""Return the loss averaged over a window of residuals, without any check.

        With :math:`r` the residual and :math:`w` the width, the mean of the loss over
        residuals in :math:`[r - w, r + w]`: a parabola for :math:`|r| \le w`, the loss
        itself outside, with a continuous first derivative. It exceeds the loss by a
        quarter (`Quantile`, `Hinge`) or half (`AbsoluteError`) of the width at most,
        so that a solver may fit with a falling sequence of widths.

        Parameters
        ----------
        y_true, raw_prediction : Tensor
            As in the call of the loss.
        width : Tensor of shape () or float
            Half-width of the window, positive, in units of `raw_prediction`.
        **hyperparameters : Tensor of shape () or float
            As in `pointwise`.

        Returns
        -------
        Tensor of shape (n_samples,)
            Values per sample, summed over outputs.

        References
        ----------
        M. Fernandes, E. Guerre and E. Horta, Smoothing quantile regressions, Journal
        of Business & Economic Statistics 39 (2021) 338-357 (here: uniform kernel).

        Examples
        --------
        >>> import skgrad
        >>> from skgrad.losses import AbsoluteError
        >>> y_true, raw = skgrad.tensor([0.0, 0.0]), skgrad.tensor([0.0, 2.0])
        >>> AbsoluteError().smoothed(y_true, raw, width=1.0).numpy().tolist()
        [0.5, 2.0]
        """


class PiecewiseLinearLoss(SeparableLoss, KinkedLoss):
    """Base of losses made of straight pieces, an output by itself.

    Subclasses write `smoothed_elementwise` as well.

    Examples
    --------
    >>> from skgrad.losses import LOSSES, PiecewiseLinearLoss
    >>> [n for n, cls in LOSSES.items() if issubclass(cls, PiecewiseLinearLoss)]
    ['absolute_error', 'quantile']
    """

    @abstractmethod
    def smoothed_elementwise(
        self,
        y_true: Tensor,
        raw_prediction: Tensor,
        width: Hyper,
        **hyperparameters: Hyper,
    ) -> Tensor:
        """Return the smoothed loss of every sample and output, without any check.

        Parameters
        ----------
        y_true, raw_prediction, width, **hyperparameters
            As in `elementwise` and `smoothed`.

        Returns
        -------
        Tensor of the shape of `raw_prediction`
            Values per sample and output.
        """

    def smoothed(
        self,
        y_true: Tensor,
        raw_prediction: Tensor,
        width: Hyper,
        **hyperparameters: Hyper,
    ) -> Tensor:
        """Return the loss averaged over a window, see `KinkedLoss.smoothed`."""
        hyper: dict[str, Hyper] = {**self.hyperparameters(), **hyperparameters}
        return sum_outputs(
            self.smoothed_elementwise(y_true, raw_prediction, width, **hyper)
        )


def split(x: Tensor, width: Hyper) -> tuple[Tensor, Tensor]:
    """Return the part of numbers inside ±width and the part beyond it.

    Parameters
    ----------
    x : Tensor
        Residuals or raw predictions.
    width : Tensor of shape () or float
        Non-negative.

    Returns
    -------
    inner, outer : Tensor
        ``clip(x, -width, width)`` and what is left of x.
    """
    inner = ops.clip(x, -width, width)
    return inner, x - inner


def sum_outputs(values: Tensor) -> Tensor:
    """Return values per sample from values per sample and output.

    Parameters
    ----------
    values : Tensor of shape (n_samples,) or (n_samples, n_outputs)
        Values.

    Returns
    -------
    Tensor of shape (n_samples,)
        Their sums over the outputs.
    """
    summed: Tensor = values if values.ndim == 1 else ops.sum(values, axis=-1)
    return summed
