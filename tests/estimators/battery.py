"""The estimators every battery runs over, and data for them."""

import numpy as np
import pytest
from estimators.models import (
    Residual,
    WithDropout,
)
from sklearn.base import clone

from skgrad import (
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

# A few epochs of minibatches, the last of them partial, without a warning.
FAST = {"tol": None, "max_iter": 5, "random_state": 0, "batch_size": 16}
MLP = {"hidden_layer_sizes": (8,), **FAST}
REGRESSORS = {
    "linear": GradientLinearRegressor(),
    "linear-adam": GradientLinearRegressor(optimizer="adam", **FAST),
    "linear-path": GradientElasticNetCV(alphas=5, cv=2),
    "linear-median": QuantileRegressor(),
    "linear-median-adam": QuantileRegressor(optimizer="adam", **FAST),
    "linear-quantiles": QuantileRegressor(quantile=(0.1, 0.5, 0.9)),
    "mlp": MLPRegressor(**MLP),
    "mlp-lbfgs": MLPRegressor(**MLP, optimizer="lbfgs"),
    "mlp-dropout": MLPRegressor(**MLP, dropout=0.3, alpha=0.01, l1_ratio=0.5),
    "mlp-median": MLPQuantileRegressor(**MLP, quantile=0.5),
    "module": ModuleRegressor(module=Residual, **FAST),
    "module-dropout": ModuleRegressor(module=WithDropout, **FAST),
}
CLASSIFIERS = {
    "linear": GradientLinearClassifier(),
    "linear-path": GradientElasticNetClassifierCV(alphas=5, cv=2),
    "linear-adam": GradientLinearClassifier(optimizer="adam", **FAST),
    "mlp": MLPClassifier(**MLP),
    "mlp-dropout": MLPClassifier(**MLP, dropout=0.3),
    "module": ModuleClassifier(module=Residual, **FAST),
}
EACH_REGRESSOR = pytest.mark.parametrize("name", REGRESSORS)
ALL_ROWS = ("linear", "linear-path", "linear-median", "linear-quantiles", "mlp-lbfgs")
STOCHASTIC = [name for name in REGRESSORS if name not in ALL_ROWS]
EACH_STOCHASTIC = pytest.mark.parametrize("name", STOCHASTIC)
ESTIMATORS = {
    **{f"regressor-{name}": model for name, model in REGRESSORS.items()},
    **{f"classifier-{name}": model for name, model in CLASSIFIERS.items()},
}
EACH = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)


def make_data(n=40, p=3, k=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * [1.0, 10.0, 0.1][:p] + 5.0
    W = rng.normal(size=p if k is None else (p, k))
    return X, (X - 5) @ W + 0.1 * rng.normal(size=n if k is None else (n, k)) + 100


def make_for(estimator, **kwargs):
    X, y = make_data(**kwargs)
    if hasattr(estimator, "predict_proba"):
        y = np.where(y > np.median(y), "high", "low")
    return X, y


def regressor(name, **params):
    return clone(REGRESSORS[name]).set_params(**params)


def theta(model):
    return np.concatenate([p.numpy().ravel() for p in model.module_.parameters()])
