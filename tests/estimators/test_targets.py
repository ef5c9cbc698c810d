"""Targets: shapes of numbers, kinds of classes, weights of classes."""

import numpy as np
import pytest
from estimators.battery import (
    CLASSIFIERS,
    REGRESSORS,
    make_data,
    make_for,
    regressor,
    theta,
)
from estimators.models import (
    cross_entropy,
    squared_hinge,
    squared_sum,
)
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import (
    DataConversionWarning,
)
from sklearn.utils import get_tags

from skgrad import (
    GradientLinearRegressor,
    MLPRegressor,
)
from skgrad.estimators import targets

SEVERAL = [n for n, m in REGRESSORS.items() if get_tags(m).target_tags.multi_output]


@pytest.mark.parametrize("name", SEVERAL)
def test_shapes_of_targets(name):
    X, y = make_data(k=2)
    model = regressor(name)
    assert model.fit(X, y).predict(X).shape == (40, 2)
    assert model.n_outputs_ == 2
    assert model.fit(X, y[:, :1]).predict(X).shape == (40, 1)
    column = theta(model)
    assert model.n_outputs_ == 1
    assert model.fit(X, y[:, 0]).predict(X).shape == (40,)
    np.testing.assert_allclose(theta(model), column, rtol=1e-8, atol=1e-10)
    assert np.isfinite(model.fit(X, np.arange(40)).predict(X)).all()


def test_several_outputs_learn_each():
    X, y = make_data(n=100, k=2)
    y[:, 1] *= 1000
    model = MLPRegressor(learning_rate=0.02, max_iter=400, random_state=0).fit(X, y)
    assert (np.corrcoef(model.predict(X).T, y.T)[[0, 1], [2, 3]] > 0.99).all()
    custom = clone(model).set_params(loss=squared_sum).fit(X, y)
    np.testing.assert_allclose(custom.predict(X), model.predict(X), rtol=1e-6)


@pytest.mark.parametrize(
    "classes",
    [
        np.array(["b", "a"]),
        np.array([True, False]),
        np.array([3, -7]),
        np.array([0.0, 1.0]),
        np.array(["z", "x", "y"]),
        np.array([5, 2, 11]),
        np.array(["a", "b"], dtype=object),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_kinds_of_classes(name, classes):
    rng = np.random.default_rng(0)
    codes = np.arange(45) % len(classes)
    X = rng.normal(size=(45, 3)) + 4 * np.eye(3)[codes]
    y = classes[codes]
    model = clone(CLASSIFIERS[name]).set_params(max_iter=40)
    if "learning_rate" in model.get_params():
        model.set_params(learning_rate=0.03)
    model.fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.sort(classes))
    assert model.predict(X).dtype == y.dtype
    assert model.score(X, y) > 0.7
    probability = model.predict_proba(X)
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), probability)
    np.testing.assert_array_equal(
        model.classes_[probability.argmax(axis=1)], model.predict(X)
    )
    decision = model.decision_function(X)
    assert decision.shape == ((45,) if len(classes) == 2 else (45, 3))


def test_columns_of_classes_warn_and_unseen_ones_of_validation_raise():
    X, y = make_for(CLASSIFIERS["mlp"])
    model = clone(CLASSIFIERS["mlp"])
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        model.fit(X, y.reshape(-1, 1))
    with pytest.raises(ValueError, match=r"classes \['new'\] that were not among"):
        model.fit(X, y, X_val=X, y_val=np.where(y == "low", "new", y))


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_a_function_as_the_loss_of_a_classifier(name):
    X, y = load_iris(return_X_y=True)
    model = clone(CLASSIFIERS[name])
    expected = clone(model).fit(X, y)
    model.set_params(loss=cross_entropy).fit(X, y)
    np.testing.assert_allclose(
        model.predict_proba(X), expected.predict_proba(X), rtol=1e-5, atol=1e-8
    )
    hinge = clone(model).set_params(loss=squared_hinge, max_iter=100)
    hinge.fit(X[:100], y[:100])
    assert hinge.score(X[:100], y[:100]) > 0.9


def test_predictions_are_those_of_the_loss_that_was_fitted():
    X, y = make_data()
    model = GradientLinearRegressor(loss="poisson").fit(X, y)
    expected = model.predict(X)
    np.testing.assert_array_equal(
        model.set_params(loss="squared_error").predict(X), expected
    )


def test_class_weights_multiply_sample_weights():
    X, y = make_for(CLASSIFIERS["mlp"])
    w = np.linspace(0.5, 2, 40)
    model = clone(CLASSIFIERS["mlp"]).set_params(class_weight={"low": 3.0, "high": 1.0})
    by_hand = clone(CLASSIFIERS["mlp"]).fit(X, y, w * np.where(y == "low", 3.0, 1.0))
    np.testing.assert_allclose(theta(model.fit(X, y, w)), theta(by_hand), rtol=1e-10)
    absent = model.set_params(class_weight={"low": 0.0, "high": 1.0})
    assert np.isfinite(absent.fit(X, y).predict_proba(X)).all()


@pytest.mark.parametrize(
    "y",
    [
        np.array([-128, 127, 0] * 200, dtype=np.int8),
        np.array([200, 3, 255] * 100, dtype=np.uint8),
        np.array([5, -7, 90] * 50),
        np.array([True, False] * 9),
        np.array([2**62, -(2**62)]),
        np.array([2**63 + 5, 3], dtype=np.uint64),
        np.array([0.5, -1.0, 0.5]),
        np.array(["b", "a", "b"]),
        np.array(["b", "a", "b"], dtype=object),
    ],
    ids=lambda y: f"{y.dtype}-{len(y)}",
)
def test_classes_and_codes_are_those_of_numpy(y):
    expected, codes = np.unique(y, return_inverse=True)
    classes = targets._classes(y)
    np.testing.assert_array_equal(classes, expected)
    assert classes.dtype == expected.dtype
    np.testing.assert_array_equal(targets._codes(classes, y), codes)
