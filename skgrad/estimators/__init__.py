"""Estimators: skgrad behind scikit-learn's ``fit`` and ``predict``.

An estimator is imported where it is first used; all of them take half as long again.
"""

from typing import Any

from skgrad.core.lazy import imported

_NAMES = {
    "additive": ("AdditiveClassifier", "AdditiveRegressor"),
    "additive_terms": ("FactorTerm", "LinearTerm", "SplineTerm", "TensorTerm"),
    "elastic_net": ("GradientElasticNetCV", "GradientElasticNetClassifierCV"),
    "linear": ("GradientLinearClassifier", "GradientLinearRegressor"),
    "network": ("MLPClassifier", "MLPRegressor", "ModuleClassifier", "ModuleRegressor"),
    "quantile_linear": ("QuantileRegressor",),
    "quantile_network": ("MLPQuantileRegressor",),
    "ranking": ("GradientLinearRanker", "MLPRanker", "ModuleRanker"),
}
_ORIGIN = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_ORIGIN)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    return imported(__name__, _ORIGIN, name)


def __dir__() -> list[str]:
    return __all__
