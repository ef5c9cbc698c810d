"""Linear models and scikit-learn's, both at convergence, on real data.

``test_linear`` and ``test_losses`` compare them on data made for a purpose, and without
weights; here are the conventions that differ, each turned into ours in one line.
"""

import warnings

import numpy as np
import pytest
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    HuberRegressor,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
    TweedieRegressor,
)
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC, LinearSVR

import skgrad
from skgrad import GradientLinearClassifier, GradientLinearRegressor
from skgrad.losses import Huber, Quantile, Tweedie

WEIGHTED = pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])


def load(loader):
    X, y = loader(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def weights(rng, y, weighted):
    return rng.uniform(0.2, 3.0, size=len(y)) if weighted else np.ones(len(y))


def assert_same_model(model, other, tolerance):
    """Assert that coefficients differ by little beside the largest one."""
    for name in ("coef_", "intercept_"):
        actual, expected = getattr(model, name), getattr(other, name)
        assert np.shape(actual) == np.shape(expected)
        atol = tolerance * np.abs(other.coef_).max()
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=atol)


# --------------------------------------------------------------------- regression


@WEIGHTED
@pytest.mark.parametrize("alpha", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.3, 1.0])
def test_elastic_net_on_diabetes(rng, weighted, alpha, l1_ratio):
    X, y = load(load_diabetes)
    w = weights(rng, y, weighted)
    params = {"alpha": alpha, "l1_ratio": l1_ratio}
    model = GradientLinearRegressor(**params, standardize=False, tol=1e-12)
    other = ElasticNet(**params, tol=1e-14, max_iter=10**6, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of coordinate descent without L1
        other.fit(X, y, w)
    assert_same_model(model.fit(X, y, w), other, 1e-6)
    np.testing.assert_array_equal(model.coef_ == 0, other.coef_ == 0)


DEVIANCES = {
    "poisson": (PoissonRegressor, {}),
    "gamma": (GammaRegressor, {}),
    "tweedie-1.5": (TweedieRegressor, {"power": 1.5, "link": "log"}),
    "tweedie-3": (TweedieRegressor, {"power": 3, "link": "log"}),
}


@WEIGHTED
@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("name", DEVIANCES)
def test_deviances_on_diabetes(rng, weighted, alpha, name):
    """Theirs is half the mean deviance plus alpha/2 |w|², which is ours."""
    X, y = load(load_diabetes)
    w = weights(rng, y, weighted)
    cls, params = DEVIANCES[name]
    other = cls(alpha=alpha, solver="newton-cholesky", tol=1e-12, **params)
    loss = Tweedie(params["power"]) if params else name
    model = GradientLinearRegressor(loss=loss, alpha=alpha, standardize=False)
    assert_same_model(model.fit(X, y, w), other.fit(X, y, w), 1e-7)


@WEIGHTED
@pytest.mark.parametrize("alpha", [1e-4, 1.0, 100.0])
@pytest.mark.parametrize("epsilon", [1.1, 1.35, 2.0])
def test_huber_on_diabetes(rng, weighted, alpha, epsilon):
    """Theirs, with its scale s held: Σ w 2/s huber(r; epsilon s) + alpha |c|²."""
    X, y = load(load_diabetes)
    X, y = X[:, [0, 1, 2, 3, 8, 9]], y / y.std()  # it is inexact on collinear columns
    w = weights(rng, y, weighted)
    other = HuberRegressor(
        epsilon=epsilon, alpha=alpha, tol=3e-6, max_iter=10_000, warm_start=True
    )
    for _ in range(4):  # its L-BFGS stops before it comes to tol; a new one goes on
        other.fit(X, y, w)
    model = GradientLinearRegressor(
        loss=Huber(delta=epsilon * other.scale_),
        alpha=alpha * other.scale_ / w.sum(),
        standardize=False,
        tol=1e-10,
    )
    assert_same_model(model.fit(X, y, w), other, 1e-5)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("alpha", [0.0, 0.02])
@WEIGHTED
def test_quantile_on_diabetes(rng, quantile, alpha, weighted):
    """Both penalise alpha |c|_1; the general model comes within 1e-6."""
    X, y = load(load_diabetes)
    w = weights(rng, y, weighted)

    def objective(model):
        residual = y - model.predict(X)
        pinball = np.maximum(quantile * residual, (quantile - 1) * residual)
        return w @ pinball / w.sum() + alpha * np.abs(model.coef_).sum()

    other = QuantileRegressor(quantile=quantile, alpha=alpha).fit(X, y, w)
    assert np.count_nonzero(other.coef_) > 1
    exact = skgrad.QuantileRegressor(
        quantile=quantile, alpha=alpha, standardize=False
    ).fit(X, y, w)
    assert objective(exact) == pytest.approx(objective(other), rel=1e-9)
    assert exact.loss_ == pytest.approx(objective(other), rel=1e-9)
    model = GradientLinearRegressor(
        loss=Quantile(quantile), alpha=alpha, l1_ratio=1.0, standardize=False
    ).fit(X, y, w)
    assert objective(model) <= objective(other) * (1 + 1e-6)
    assert objective(model) >= objective(other) * (1 - 1e-9)


# ---------------------------------------------------------------- classification


@pytest.mark.filterwarnings("ignore:.*one value in all:skgrad.exceptions.DataWarning")
@WEIGHTED
@pytest.mark.parametrize("class_weight", [None, "balanced", "dict"])
@pytest.mark.parametrize(
    "loader", [load_breast_cancer, load_iris, load_wine, load_digits]
)
def test_log_loss_is_logistic_regression(rng, loader, class_weight, weighted):
    """C times the sum of the losses: alpha = 1 / (C Σ w), class weights included."""
    X, y = load(loader)
    X, y = X[::2], y[::2]
    if loader is load_digits:
        X, y = X[:400], y[:400]
    w = weights(rng, y, weighted)
    if class_weight == "dict":
        class_weight = {c: 1.0 + c / 3 for c in np.unique(y)}
    total = w.copy()
    if class_weight == "balanced":
        # LogisticRegression counts rows, ours counts weights: test_contract.
        total *= (w.sum() / (y.max() + 1) / np.bincount(y, weights=w))[y]
    elif class_weight is not None:
        total *= np.vectorize(class_weight.get)(y)
    other = LogisticRegression(C=0.5, solver="newton-cholesky", tol=1e-10)
    model = GradientLinearClassifier(
        alpha=1 / (0.5 * total.sum()),
        class_weight=class_weight,
        standardize=False,
        tol=1e-10,
    )
    assert_same_model(model.fit(X, y, w), other.fit(X, y, total), 1e-6)
    np.testing.assert_allclose(
        model.predict_proba(X), other.predict_proba(X), rtol=0, atol=1e-7
    )


@pytest.mark.parametrize("loss", ["squared_hinge", "hinge"])
@pytest.mark.parametrize("loader", [load_breast_cancer, load_wine])
@WEIGHTED
def test_hinges_are_linear_svc(rng, loss, loader, weighted):
    """LinearSVC penalises its intercept: it is a coefficient of a column of ones."""
    X, y = load(loader)
    w = weights(rng, y, weighted)
    C = 0.1
    other = LinearSVC(
        C=C, loss=loss, dual=loss == "hinge", tol=1e-10, max_iter=10**6, random_state=0
    ).fit(X, y, w)
    ones = np.column_stack([X, np.ones(len(X))])
    model = GradientLinearClassifier(
        loss=loss,
        alpha=1 / (C * w.sum()),
        fit_intercept=False,
        standardize=False,
        tol=1e-10,
    ).fit(ones, y, w)
    expected = np.column_stack([other.coef_, other.intercept_])
    scale = np.abs(expected).max()
    tolerance = 1e-6 if loss == "squared_hinge" else 1e-3  # of a kinked loss
    np.testing.assert_allclose(model.coef_, expected, rtol=0, atol=tolerance * scale)
    np.testing.assert_array_equal(model.predict(ones), other.predict(X))


def squared_epsilon_insensitive(y_true, raw_prediction):
    return skgrad.relu(abs(y_true - raw_prediction) - 20.0) ** 2


def test_a_loss_of_ones_own_is_linear_svr_on_diabetes():
    X, y = load(load_diabetes)
    C = 0.01
    other = LinearSVR(
        C=C,
        epsilon=20.0,
        loss="squared_epsilon_insensitive",
        tol=1e-12,
        max_iter=10**6,
        dual=False,
        random_state=0,
    ).fit(X, y)
    ones = np.column_stack([X, np.ones(len(X))])
    model = GradientLinearRegressor(
        loss=squared_epsilon_insensitive,
        alpha=1 / (C * len(y)),
        fit_intercept=False,
        standardize=False,
        tol=1e-9,
    ).fit(ones, y)
    expected = np.r_[other.coef_, other.intercept_]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(model.coef_, expected, rtol=0, atol=1e-6 * scale)
