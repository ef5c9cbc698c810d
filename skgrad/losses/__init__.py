"""Losses: a domain of targets, a link and a value per sample.

A loss is a registered name, an object such as ``Huber(delta=2.0)`` or a plain function
``loss(y_true, raw_prediction) -> values per sample``; `get_loss` accepts all three.
"""

from skgrad.losses.base import Loss
from skgrad.losses.checks import check_shapes
from skgrad.losses.classification import Focal, LogLoss
from skgrad.losses.deviance import Gamma, Poisson, Tweedie
from skgrad.losses.divergence import KLDiv
from skgrad.losses.domain import Interval
from skgrad.losses.function import FunctionLoss
from skgrad.losses.likelihood import GaussianNLL, StudentTNLL
from skgrad.losses.links import (
    LINKS,
    IdentityLink,
    Link,
    LogitLink,
    LogLink,
    MultinomialLogitLink,
    get_link,
)
from skgrad.losses.margin import Hinge, SquaredHinge
from skgrad.losses.quantiles import Quantiles
from skgrad.losses.ranking import LambdaRank, ListNet, PairwiseLogistic
from skgrad.losses.registry import LOSSES, get_loss, register_loss
from skgrad.losses.regression import (
    AbsoluteError,
    Expectile,
    Huber,
    LogCosh,
    Quantile,
    SquaredError,
)
from skgrad.losses.separable import KinkedLoss, PiecewiseLinearLoss, SeparableLoss

__all__ = [
    "LINKS",
    "LOSSES",
    "AbsoluteError",
    "Expectile",
    "Focal",
    "FunctionLoss",
    "Gamma",
    "GaussianNLL",
    "Hinge",
    "Huber",
    "IdentityLink",
    "Interval",
    "KLDiv",
    "KinkedLoss",
    "LambdaRank",
    "Link",
    "ListNet",
    "LogCosh",
    "LogLink",
    "LogLoss",
    "LogitLink",
    "Loss",
    "MultinomialLogitLink",
    "PairwiseLogistic",
    "PiecewiseLinearLoss",
    "Poisson",
    "Quantile",
    "Quantiles",
    "SeparableLoss",
    "SquaredError",
    "SquaredHinge",
    "StudentTNLL",
    "Tweedie",
    "check_shapes",
    "get_link",
    "get_loss",
    "register_loss",
]
