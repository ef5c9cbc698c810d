"""scikit-learn's own checks, with an empty list of expected failures."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
    nn,
)


class Residual(nn.Module):
    """A linear model plus a small network."""

    def __init__(self, n_features, n_outputs, hidden=8):
        super().__init__()
        self.linear = nn.Linear(n_features, n_outputs)
        self.network = nn.Sequential(
            nn.Linear(n_features, hidden), nn.Tanh(), nn.Linear(hidden, n_outputs)
        )

    def forward(self, x):
        return self.linear(x) + self.network(x)


class WithDropout(nn.Module):
    """A network with dropout."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.hidden = nn.Linear(n_features, 32)
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(32, n_outputs)

    def forward(self, x):
        return self.out(self.dropout(nn.ReLU()(self.hidden(x))))


ESTIMATORS = [
    GradientLinearRegressor(),
    GradientLinearClassifier(),
    MLPRegressor(),
    MLPClassifier(),
    ModuleRegressor(module=Residual),
    ModuleClassifier(module=Residual),
    ModuleRegressor(module=WithDropout),
    ModuleClassifier(module=WithDropout),
    GradientLinearRegressor(standardize=False),
    GradientLinearClassifier(standardize=False),
    MLPRegressor(standardize=False),
    MLPClassifier(standardize=False),
    ModuleRegressor(module=Residual, standardize=False),
    ModuleClassifier(module=Residual, standardize=False),
    GradientLinearRegressor(optimizer="sgd", learning_rate=0.1),
    GradientLinearClassifier(optimizer="adam", learning_rate=0.1),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check):
    state = np.random.get_state()  # noqa: NPY002 - some checks draw from it
    try:
        check(estimator)
    finally:
        np.random.set_state(state)  # noqa: NPY002
