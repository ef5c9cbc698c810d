"""Estimators with each kind of optimizer that does not come by default."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skgrad import MLPRegressor, optim

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
