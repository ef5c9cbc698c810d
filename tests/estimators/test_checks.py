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

# Each class goes through every check, with small sizes where defaults take seconds.
FEW = {"learning_rate": 0.05, "max_iter": 20}
CLASSES = [
    GradientLinearRegressor(),
    GradientLinearClassifier(),
    GradientElasticNetCV(alphas=10, cv=2),
    GradientElasticNetClassifierCV(alphas=2, cv=2),
    QuantileRegressor(alpha=0.01),
    MLPRegressor(**FEW),
    MLPQuantileRegressor(**FEW, quantile=0.5),
    MLPClassifier(**FEW),
    ModuleRegressor(**FEW, module=Residual),
    ModuleClassifier(**FEW, module=Residual),
    AdditiveRegressor(),
    AdditiveClassifier(),
]

# Settings change the numbers of a fit and not its interface: the checks of numbers run
# always, the others in the long run, and so do all that take longer by default.
SETTINGS = [
    GradientElasticNetCV(alphas=10, cv=2, loss="huber", standardize=False),
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
    AdditiveRegressor(smoothing="gcv"),
    AdditiveClassifier(smoothing=1.0),
]
DEFAULTS = [
    MLPRegressor(),
    MLPClassifier(),
    MLPQuantileRegressor(quantile=0.5),
    ModuleRegressor(module=Residual),
    ModuleClassifier(module=Residual),
]
OF_NUMBERS = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
    "check_fit_idempotent",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_fit2d_1sample",
    "check_fit2d_1feature",
}
EACH = parametrize_with_checks([*CLASSES, *SETTINGS, *DEFAULTS])


def in_its_run(estimator, check):
    is_number = check.func.__name__ in OF_NUMBERS
    always = estimator in CLASSES or (estimator in SETTINGS and is_number)
    return pytest.param(estimator, check, marks=() if always else pytest.mark.long)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Parts of the terms:skgrad.exceptions.FitWarning")
@pytest.mark.parametrize(
    EACH.args[0], [in_its_run(*row) for row in EACH.args[1]], **EACH.kwargs
)
def test_scikit_learn_checks(estimator, check):
    state = np.random.get_state()  # noqa: NPY002 - some checks draw from it
    try:
        check(estimator)
    finally:
        np.random.set_state(state)  # noqa: NPY002


def test_the_checks_of_numbers_are_scikit_learns():
    assert {check.func.__name__ for _, check in EACH.args[1]} >= OF_NUMBERS
