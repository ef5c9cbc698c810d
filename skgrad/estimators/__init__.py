"""Estimators: skgrad behind scikit-learn's ``fit`` and ``predict``."""

from skgrad.estimators.additive import AdditiveClassifier, AdditiveRegressor
from skgrad.estimators.additive_terms import (
    FactorTerm,
    LinearTerm,
    SplineTerm,
    TensorTerm,
)
from skgrad.estimators.elastic_net import (
    GradientElasticNetClassifierCV,
    GradientElasticNetCV,
)
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
from skgrad.estimators.quantile_linear import QuantileRegressor
from skgrad.estimators.quantile_network import MLPQuantileRegressor
from skgrad.estimators.ranking import GradientLinearRanker, MLPRanker, ModuleRanker

__all__ = [
    "AdditiveClassifier",
    "AdditiveRegressor",
    "FactorTerm",
    "GradientElasticNetCV",
    "GradientElasticNetClassifierCV",
    "GradientLinearClassifier",
    "GradientLinearRanker",
    "GradientLinearRegressor",
    "LinearTerm",
    "MLPClassifier",
    "MLPQuantileRegressor",
    "MLPRanker",
    "MLPRegressor",
    "ModuleClassifier",
    "ModuleRanker",
    "ModuleRegressor",
    "QuantileRegressor",
    "SplineTerm",
    "TensorTerm",
]
