"""scikit-learn's own checks, with an empty list of expected failures."""

import numpy as np
import pytest
from estimators.models import Residual, WithDropout
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgrad import (
    AdditiveClassifier,
    AdditiveRegressor,
    GradientElasticNetClassifierCV,
    GradientElasticNetCV,
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPClassifier,
    MLPQuantileRegressor,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
    QuantileRegressor,
)

ESTIMATORS = [
    GradientLinearRegressor(),
    GradientLinearClassifier(),
    GradientElasticNetCV(alphas=10, cv=2),
    GradientElasticNetClassifierCV(alphas=10, cv=2),
    GradientElasticNetCV(alphas=10, cv=2, loss="huber", standardize=False),
    QuantileRegressor(alpha=0.01),
    MLPRegressor(),
    MLPQuantileRegressor(quantile=0.5),
    MLPClassifier(),
    ModuleRegressor(module=Residual),
    ModuleClassifier(module=Residual),
    ModuleRegressor(module=WithDropout),
    ModuleClassifier(module=WithDropout),
    GradientLinearRegressor(standardize=False),
    GradientLinearClassifier(standardize=False),
    QuantileRegressor(quantile=0.6, alpha=1e-3, standardize=False),
    QuantileRegressor(optimizer="smooth"),
    MLPRegressor(standardize=False),
    MLPClassifier(standardize=False),
    ModuleRegressor(module=Residual, standardize=False),
    ModuleClassifier(module=Residual, standardize=False),
    GradientLinearRegressor(optimizer="sgd", learning_rate=0.1, max_iter=50),
    GradientLinearClassifier(optimizer="adam", learning_rate=0.1, max_iter=50),
    AdditiveRegressor(),
    AdditiveClassifier(),
    AdditiveRegressor(smoothing="gcv"),
    AdditiveClassifier(smoothing=1.0),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Parts of the terms:skgrad.exceptions.FitWarning")
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check):
    state = np.random.get_state()  # noqa: NPY002 - some checks draw from it
    try:
        check(estimator)
    finally:
        np.random.set_state(state)  # noqa: NPY002
