"""Labels that are not exclusive: a loss of two classes for each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skgrad import ops
from skgrad.losses import KinkedLoss, Loss
from skgrad.tensor import Tensor
from skgrad.typing import Array

__all__ = ["check_indicators", "is_multilabel", "per_label"]


class PerLabel(Loss):
    """The sum over labels of a loss of two classes."""

    task = "classification"
    separable = True

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.name = loss.name
        self.link = loss.link
        self.convex = loss.convex
        self.twice_differentiable = loss.twice_differentiable

    @property
    def has_optimal_constant(self) -> bool:
        """Whether the loss of one label has one."""
        return self.loss.has_optimal_constant

    def hyperparameters(self) -> dict[str, float]:
        """Return those of the loss of one label."""
        return self.loss.hyperparameters()

    def validate(self) -> None:
        """Check the loss of one label."""
        self.loss.validate()

    def pointwise(self, y_true: Tensor, raw_prediction: Tensor, **hyper: Any) -> Tensor:
        """Return the loss of each row, summed over labels."""
        return _summed(self.loss.pointwise, y_true, raw_prediction, **hyper)

    def optimal_constant(self, y: Any, sample_weight: Any = None) -> Any:
        """Return the constant of each label."""
        columns = np.asarray(y).T
        best = [self.loss.optimal_constant(c, sample_weight) for c in columns]
        return np.array(best)


class KinkedPerLabel(PerLabel, KinkedLoss):
    """The same of a loss with a kink."""

    loss: KinkedLoss

    def smoothed(
        self, y_true: Tensor, raw_prediction: Tensor, width: Any, **hyper: Any
    ) -> Tensor:
        """Return the smoothed loss of each row, summed over labels."""
        return _summed(self.loss.smoothed, y_true, raw_prediction, width=width, **hyper)


def _summed(
    of_rows: Callable[..., Tensor], y_true: Tensor, raw_prediction: Tensor, **hyper: Any
) -> Tensor:
    """Return values summed over labels; the loss sees each label as a row."""
    n, k = raw_prediction.shape
    rows = (n * k,)
    values = of_rows(
        ops.reshape(y_true, rows), ops.reshape(raw_prediction, rows), **hyper
    )
    summed: Tensor = ops.sum(ops.reshape(values, (n, k)), axis=1)
    return summed


def per_label(loss: Loss) -> Loss:
    """Return the sum over labels of a loss of two classes."""
    return KinkedPerLabel(loss) if isinstance(loss, KinkedLoss) else PerLabel(loss)


def is_multilabel(y: Any) -> bool:
    """Return whether targets have several columns."""
    shape = y.shape if hasattr(y, "shape") else np.asarray(y).shape
    return len(shape) == 2 and shape[1] > 1


def check_indicators(owner: str, y: Array) -> Array:
    """Return indicators of labels as integers; refuse other columns of classes."""
    values = np.unique(y)
    if np.isin(values, [0, 1]).all():
        return y.astype(np.int64)
    raise ValueError(
        f"A y with several columns must hold indicators 0 and 1, a column per label. "
        f"Got shape {y.shape} and values {values[:5].tolist()}. For several targets "
        f"with classes of their own use "
        f"sklearn.multioutput.MultiOutputClassifier({owner}())."
    )
