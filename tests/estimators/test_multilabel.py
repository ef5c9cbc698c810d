"""Labels of which a row may have any number, beside scikit-learn's."""

import pickle

import numpy as np
import pandas as pd
import pytest
from estimators.battery import CLASSIFIERS, FAST
from estimators.models import squared_hinge
from estimators.test_trajectories import assert_same_trajectory, pair
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.svm import LinearSVC

from skgrad import GradientLinearClassifier, MLPClassifier
from skgrad.losses import LOSSES, Focal, LogLoss

EACH = pytest.mark.parametrize("name", CLASSIFIERS)
MARGINS = ["log_loss", "focal", "hinge", "squared_hinge"]


@pytest.fixture
def data():
    return make_multilabel_classification(
        n_samples=100, n_features=6, n_classes=4, random_state=0
    )


@EACH
def test_predictions_have_a_column_per_label(data, name):
    X, Y = data
    model = clone(CLASSIFIERS[name]).fit(X, Y)
    assert model.classes_.tolist() == [0, 1, 2, 3]
    assert model.n_outputs_ == 4
    probability = model.predict_proba(X)
    assert probability.shape == (100, 4)
    assert np.abs(probability.sum(axis=1) - 1).max() > 0.1
    decision = model.decision_function(X)
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-decision)), rtol=1e-10)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), probability)
    predicted = model.predict(X)
    np.testing.assert_array_equal(predicted, probability > 0.5)
    assert predicted.dtype.kind == "i"
    assert model.score(X, Y) == accuracy_score(Y, predicted)  # of whole rows
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), probability)


@EACH
def test_kinds_of_indicators_are_equal(data, name):
    X, Y = data
    expected = clone(CLASSIFIERS[name]).fit(X, Y).decision_function(X)
    frame = pd.DataFrame(Y, columns=list("abcd"))
    for kind in (Y.tolist(), Y.astype(bool), Y.astype(float), frame):
        model = clone(CLASSIFIERS[name]).fit(X, kind)
        np.testing.assert_array_equal(model.decision_function(X), expected)


@pytest.mark.parametrize("optimizer", ["sgd", "nesterov", "adam"])
@pytest.mark.parametrize("activation", ["relu", "logistic"])
def test_a_network_goes_the_way_of_scikit_learns(data, optimizer, activation):
    X, Y = data
    X = X / X.std(axis=0)
    model, other = pair(MLPClassifier, optimizer, activation=activation)
    assert_same_trajectory(model, other, X, Y, classes=np.arange(4))
    np.testing.assert_allclose(
        model.predict_proba(X), other.predict_proba(X), rtol=0, atol=1e-6
    )
    np.testing.assert_array_equal(model.predict(X), other.predict(X))
    np.testing.assert_allclose(model.loss_curve_, other.loss_curve_, rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["auto", "lbfgs"])
def test_a_linear_model_is_a_logistic_regression_per_label(data, rng, optimizer):
    X, Y = data
    w = rng.uniform(0.2, 3.0, size=len(X))
    alpha = 0.01
    one = LogisticRegression(
        C=1 / (alpha * w.sum()), solver="newton-cholesky", tol=1e-10
    )
    other = MultiOutputClassifier(one).fit(X, Y, sample_weight=w)
    model = GradientLinearClassifier(
        alpha=alpha, standardize=False, tol=1e-9, optimizer=optimizer
    ).fit(X, Y, w)
    for j, single in enumerate(other.estimators_):
        np.testing.assert_allclose(model.coef_[j], single.coef_[0], atol=1e-6)
        np.testing.assert_allclose(model.intercept_[j], single.intercept_, atol=1e-5)
    share = OneVsRestClassifier(one.set_params(C=1 / (alpha * len(X)))).fit(X, Y)
    np.testing.assert_allclose(
        model.fit(X, Y).predict_proba(X), share.predict_proba(X), atol=1e-7
    )


@pytest.mark.parametrize("loss", ["squared_hinge", "hinge", squared_hinge])
def test_margins_of_labels_are_those_of_linear_svc(data, loss):
    X, Y = data
    params = {"fit_intercept": False, "tol": 1e-9, "max_iter": 10**5}
    C = 0.1
    kinked = loss == "hinge"
    one = LinearSVC(
        C=C,
        loss="hinge" if kinked else "squared_hinge",
        dual=kinked,
        random_state=0,
        **params,
    )
    other = OneVsRestClassifier(one).fit(X, Y)
    model = GradientLinearClassifier(
        loss=loss, alpha=1 / (C * len(X)), standardize=False, **params
    ).fit(X, Y)
    scores = other.decision_function(X)
    tolerance = 1e-3 if kinked else 1e-5
    np.testing.assert_allclose(model.decision_function(X), scores, atol=tolerance)
    np.testing.assert_array_equal(model.predict(X), scores > 0)


@pytest.mark.parametrize("loss", MARGINS)
def test_every_loss_of_two_classes_is_fitted_label_by_label(data, loss):
    X, Y = data
    model = GradientLinearClassifier(loss=loss, alpha=0.1, tol=1e-9).fit(X, Y)
    assert hasattr(model, "predict_proba") == (loss in ("log_loss", "focal"))
    for j in range(4):
        one = clone(model).fit(X, Y[:, j])
        # Along a kink the sequences of roundings differ: theirs depend on all labels.
        atol = 5e-3 if loss == "hinge" else 1e-6
        np.testing.assert_allclose(model.coef_[j], one.coef_[0], rtol=0, atol=atol)


def test_the_losses_above_are_all_there_are():
    classification = [n for n, cls in LOSSES.items() if cls.task == "classification"]
    assert sorted(classification) == sorted(MARGINS)


def test_parameters_of_a_loss_of_labels(data):
    X, Y = data
    focal = GradientLinearClassifier(loss=Focal(gamma=0.0), tol=1e-9).fit(X, Y)
    plain = GradientLinearClassifier(loss=LogLoss(), tol=1e-9).fit(X, Y)
    np.testing.assert_allclose(focal.coef_, plain.coef_, rtol=1e-6)
    search = GridSearchCV(focal, {"loss__gamma": [0.0, 2.0]}, cv=2).fit(X, Y)
    assert search.best_estimator_.decision_function(X).shape == (100, 4)
    with pytest.raises(ValueError, match=r"'gamma' parameter of Focal"):
        focal.set_params(loss__gamma=-1.0).fit(X, Y)


@pytest.mark.parametrize("name", ["mlp", "linear-adam"])
def test_early_stopping_splits_labels_at_random(data, name):
    X, Y = data
    Y[:, 0] = 0
    Y[0, 0] = 1  # a stratum of one row, which no split could share
    model = clone(CLASSIFIERS[name]).set_params(early_stopping=True)
    model.fit(X, Y)
    assert len(model.validation_scores_) == FAST["max_iter"]
    model.set_params(scoring="f1_macro").fit(X, Y, X_val=X, y_val=Y)
    assert all(0 <= score <= 1 for score in model.validation_scores_)


def test_partial_fit_equals_epochs_in_order(data):
    X, Y = data
    model = clone(CLASSIFIERS["mlp"]).set_params(shuffle=False)
    expected = clone(model).fit(X, Y).decision_function(X)
    for _ in range(FAST["max_iter"]):
        model.partial_fit(X, Y)
    np.testing.assert_allclose(model.decision_function(X), expected, rtol=1e-10)
    with pytest.raises(ValueError, match=r"column for each of 3 labels.*\[0, 1, 2, 3"):
        model.partial_fit(X, Y[:, :3])
    with pytest.raises(ValueError, match=r"column for each of 4 labels.*\[0, 1\]"):
        clone(model).partial_fit(X, Y, classes=[0, 1])


def test_a_label_that_never_or_always_occurs(data):
    X, Y = data
    Y[:, 0], Y[:, 1] = 0, 1
    for name in CLASSIFIERS:
        model = clone(CLASSIFIERS[name]).set_params(max_iter=50).fit(X, Y)
        share = model.predict_proba(X)[:, :2].mean(axis=0)
        assert share[0] < 0.3 < 0.7 < share[1]


def test_what_is_no_indicator_of_labels_is_refused_with_the_remedy(data):
    X, Y = data
    model = MLPClassifier()
    several = np.column_stack([Y.sum(axis=1), Y[:, 0]])
    match = r"MultiOutputClassifier\(MLPClassifier\(\)\)"
    with pytest.raises(ValueError, match=match):
        model.fit(X, several)
    with pytest.raises(ValueError, match=r"\(100, 4\) and values \[2, 3\]"):
        model.fit(X, Y + 2)
    with pytest.raises(ValueError, match=r"Unknown label type: continuous"):
        model.fit(X, Y + 0.5)
    with pytest.raises(ValueError, match=r"sparse.*pass y\.toarray\(\)"):
        model.fit(X, csr_array(Y))
    with pytest.raises(ValueError, match=r"class_weight weights.*4 labels.*=None"):
        model.set_params(class_weight="balanced").fit(X, Y)
    with pytest.raises(ValueError, match=r"must have the same columns"):
        MLPClassifier().fit(X, Y, X_val=X, y_val=Y[:, 0])
    wrapped = MultiOutputClassifier(clone(CLASSIFIERS["mlp"])).fit(X, several)
    assert wrapped.predict(X).shape == (100, 2)


def test_a_warm_fit_cannot_turn_classes_into_labels(data):
    X, Y = data
    model = clone(CLASSIFIERS["mlp"]).set_params(warm_start=True).fit(X, Y[:, 0])
    with pytest.raises(ValueError, match=r"column for each of 4 labels"):
        model.fit(X, Y)
    fresh = model.set_params(warm_start=False).fit(X, Y)
    assert fresh.fit(X, Y[:, 0]).predict_proba(X).shape == (100, 2)
