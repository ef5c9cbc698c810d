"""Estimators with each kind of optimizer that does not come by default."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import ElasticNet, LogisticRegression
from sklearn.model_selection import GridSearchCV

from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPRegressor,
    optim,
)
from skgrad.exceptions import ParameterError

FEW = {"max_iter": 5, "tol": None, "hidden_layer_sizes": (8,), "random_state": 0}


@pytest.fixture
def data(rng):
    X = rng.normal(size=(120, 4))
    return X, X @ [1.0, 2.0, 0.0, -1.0] + 0.1 * rng.normal(size=120)


def first_weights(model):
    return next(model.module_.parameters()).numpy()


def test_the_model_has_the_average_and_goes_on_from_the_weights(data):
    plain = MLPRegressor(**FEW, warm_start=True).fit(*data)
    averaged = clone(plain).set_params(optimizer=optim.Averaged(optim.Adam()))
    averaged.fit(*data)
    assert not np.array_equal(first_weights(averaged), first_weights(plain))
    np.testing.assert_array_equal(averaged._state.params, plain._state.params)
    averaged.fit(*data)
    plain.fit(*data)
    np.testing.assert_array_equal(averaged._state.params, plain._state.params)
    assert averaged.loss_curve_ == plain.loss_curve_


def test_the_average_is_what_validation_scores_and_predict_uses(data):
    X, y = data
    optimizer = optim.Averaged(optim.Adam(), decay=0.9)
    model = MLPRegressor(**FEW, optimizer=optimizer, scoring="r2")
    model.fit(X, y, X_val=X, y_val=y)
    np.testing.assert_allclose(model.validation_scores_[-1], model.score(X, y))


def test_parameters_of_the_optimizer_inside_are_searched(data):
    model = MLPRegressor(**FEW, optimizer=optim.Averaged(optim.Adam()))
    changed = clone(model).set_params(optimizer__optimizer__b1=0.5)
    assert changed.optimizer == optim.Averaged(optim.Adam(b1=0.5))
    assert model.optimizer == optim.Averaged(optim.Adam())
    grid = {"optimizer__decay": [0.5, 0.9], "optimizer__optimizer__b1": [0.5, 0.9]}
    search = GridSearchCV(model, grid, cv=2).fit(*data)
    assert len(np.unique(search.cv_results_["mean_test_score"])) == 4


def test_accumulated_batches_are_one_large_batch(data):
    model = MLPRegressor(**FEW, shuffle=False, batch_size=40)
    accumulated = optim.Accumulated(optim.Adam(), n_steps=4)
    small = clone(model).set_params(optimizer=accumulated, batch_size=10)
    small.fit(*data)
    np.testing.assert_allclose(
        first_weights(small), first_weights(model.fit(*data)), rtol=1e-8
    )


@pytest.mark.parametrize("optimizer", ["adagrad", "lion", "nadam"])
def test_further_optimizers_fit(data, optimizer):
    rate = {"adagrad": 0.1}.get(optimizer, 0.01)
    model = MLPRegressor(
        max_iter=100,
        tol=None,
        optimizer=optimizer,
        learning_rate=rate,
        schedule=optim.Warmup("cosine"),
        random_state=0,
    )
    assert model.fit(*data).score(*data) > 0.97


# ------------------------------------------------------------------ all rows at once


@pytest.mark.parametrize("alpha", [0.03, 0.3])
@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_fista_is_the_elastic_net_with_exact_zeros(rng, alpha, l1_ratio):
    X = rng.normal(size=(150, 20)) + rng.normal(size=(150, 1))
    y = X[:, :5] @ rng.normal(size=5) + 2 + 0.3 * rng.normal(size=150)
    model = GradientLinearRegressor(
        optimizer="fista", alpha=alpha, l1_ratio=l1_ratio, standardize=False, tol=1e-11
    )
    model.fit(X, y)
    reference = ElasticNet(
        alpha=alpha, l1_ratio=l1_ratio, tol=1e-14, max_iter=10**5, random_state=0
    )
    reference.fit(X, y)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-8)
    np.testing.assert_array_equal(model.coef_ == 0, reference.coef_ == 0)
    np.testing.assert_allclose(model.intercept_, reference.intercept_, atol=1e-8)
    assert model.fit_report_["optimizer"] == "FISTA"
    assert 0 < np.sum(model.coef_ == 0) < 20


@pytest.mark.parametrize("optimizer", ["newton_cg", "nonlinear_cg", "fista"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_logistic_regression(rng, optimizer, n_classes):
    X = rng.normal(size=(200, 6))
    y = np.digitize(X[:, 0] + rng.normal(size=200), [0.0, 1.0][: n_classes - 1])
    model = GradientLinearClassifier(
        optimizer=optimizer, alpha=0.01, standardize=False, tol=1e-9
    )
    reference = LogisticRegression(C=1 / (0.01 * 200), tol=1e-12, max_iter=10_000)
    reference.fit(X, y)
    np.testing.assert_allclose(model.fit(X, y).coef_, reference.coef_, atol=1e-6)


def test_more_coefficients_than_a_hessian_has_room_for(rng):
    X = rng.normal(size=(300, 2500)).astype(np.float32)
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    model = GradientLinearClassifier(optimizer="newton_cg", alpha=0.1).fit(X, y)
    assert model.fit_report_["converged"]
    assert model.n_iter_ < 20
    expected = GradientLinearClassifier(optimizer="lbfgs", alpha=0.1).fit(X, y)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-5)


def test_a_network_by_newton_cg(data):
    model = MLPRegressor(
        hidden_layer_sizes=(8,),
        activation="tanh",
        optimizer="newton_cg",
        alpha=1e-3,
        max_iter=500,
        random_state=0,
    )
    assert model.fit(*data).score(*data) > 0.98
    assert model.fit_report_["converged"]


def test_l1_is_refused_by_name_for_networks_too(data):
    model = MLPRegressor(optimizer="newton_cg", alpha=0.1, l1_ratio=0.5)
    with pytest.raises(ParameterError, match="'newton_cg' cannot minimise an L1"):
        model.fit(*data)
