"""Losses: a domain of targets, a link and a value per sample.

A loss is a registered name, an object such as ``Huber(delta=2.0)`` or a plain function
``loss(y_true, raw_prediction) -> values per sample``; `get_loss` accepts all three.
"""

from skgrad.losses.base import Loss
from skgrad.losses.checks import check_shapes
from skgrad.losses.classification import LogLoss
from skgrad.losses.domain import Interval
from skgrad.losses.function import FunctionLoss
from skgrad.losses.links import (
    LINKS,
    IdentityLink,
    Link,
    LogitLink,
    LogLink,
    MultinomialLogitLink,
    get_link,
)
from skgrad.losses.registry import LOSSES, get_loss, register_loss
from skgrad.losses.regression import (
    AbsoluteError,
    Huber,
    LogCosh,
    Poisson,
    Quantile,
    SquaredError,
)
from skgrad.losses.separable import PiecewiseLinearLoss, SeparableLoss

__all__ = [
    "LINKS",
    "LOSSES",
    "AbsoluteError",
    "FunctionLoss",
    "Huber",
    "IdentityLink",
    "Interval",
    "Link",
    "LogCosh",
    "LogLink",
    "LogLoss",
    "LogitLink",
    "Loss",
    "MultinomialLogitLink",
    "PiecewiseLinearLoss",
    "Poisson",
    "Quantile",
    "SeparableLoss",
    "SquaredError",
    "check_shapes",
    "get_link",
    "get_loss",
    "register_loss",
]
