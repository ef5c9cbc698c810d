"""Estimators: skgrad behind scikit-learn's ``fit`` and ``predict``."""

from skgrad.estimators.linear import (
    GradientLinearClassifier,
    GradientLinearRegressor,
)
from skgrad.estimators.network import (
    MLPClassifier,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
)

__all__ = [
    "GradientLinearClassifier",
    "GradientLinearRegressor",
    "MLPClassifier",
    "MLPRegressor",
    "ModuleClassifier",
    "ModuleRegressor",
]
