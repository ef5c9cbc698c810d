"""Validation rows: given, a fraction, the first split of a splitter; refitting."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from estimators.battery import make_data, regressor, theta
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    PredefinedSplit,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skgrad import MLPClassifier, MLPRegressor
from skgrad.exceptions import ParameterError

EARLY = {"early_stopping": True, "tol": None, "max_iter": 8}
N = 40


def split_of(splitter, X, y, groups=None):
    return next(iter(splitter.split(X, y, groups)))


@pytest.mark.parametrize(
    "splitter",
    [
        ShuffleSplit(random_state=0),
        KFold(3),
        TimeSeriesSplit(4),
        PredefinedSplit(np.repeat([-1, 0], N // 2)),
        GroupKFold(4),
        GroupShuffleSplit(random_state=1),
    ],
    ids=lambda s: type(s).__name__,
)
@pytest.mark.parametrize("name", ["mlp", "linear-adam"])
def test_the_first_split_of_a_splitter_is_that_given_by_hand(splitter, name):
    X, y = make_data(N)
    groups = np.arange(N) // 4
    w = np.linspace(0.5, 2.0, N)
    grouped = {"groups": groups} if "Group" in type(splitter).__name__ else {}
    train, val = split_of(splitter, X, y, **grouped)
    model = regressor(name, **EARLY, validation_splitter=splitter)
    model.fit(X, y, sample_weight=w, **grouped)
    by_hand = regressor(name, **EARLY)
    given = {"X_val": X[val], "y_val": y[val], "sample_weight_val": w[val]}
    by_hand.fit(X[train], y[train], sample_weight=w[train], **given)
    assert model.validation_scores_ == by_hand.validation_scores_
    np.testing.assert_array_equal(theta(model), theta(by_hand))


def test_splits_given_as_indices_and_a_number_of_folds():
    X, y = make_data(N)
    split = (np.arange(30), np.arange(30, 40))
    one = regressor("mlp", **EARLY, validation_splitter=[split]).fit(X, y)
    four = regressor("mlp", **EARLY, validation_splitter=4).fit(X, y)
    expected = regressor("mlp", **EARLY)
    expected.fit(X[10:], y[10:], X_val=X[:10], y_val=y[:10])
    assert four.validation_scores_ == expected.validation_scores_
    expected.fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:])
    assert one.validation_scores_ == expected.validation_scores_


def test_a_number_of_folds_is_stratified_for_classes():
    X, y = make_data(N)
    labels = np.where(y > np.quantile(y, 0.8), "high", "low")
    params = {**EARLY, "hidden_layer_sizes": (4,), "random_state": 0}
    model = MLPClassifier(**params, validation_splitter=4).fit(X, labels)
    train, val = split_of(StratifiedKFold(4), X, labels)
    by_hand = MLPClassifier(**params)
    by_hand.fit(X[train], labels[train], X_val=X[val], y_val=labels[val])
    assert model.validation_scores_ == by_hand.validation_scores_


def test_groups_of_rows_without_weight_are_dropped_with_them():
    X, y = make_data(N)
    groups, w = np.arange(N) // 4, np.arange(N) % 3.0
    model = regressor("mlp", **EARLY, validation_splitter=GroupKFold(3))
    here = w > 0
    with_zeros = model.fit(X, y, w, groups=groups).validation_scores_
    without = model.fit(X[here], y[here], w[here], groups=groups[here])
    assert with_zeros == without.validation_scores_


@pytest.mark.parametrize(
    ("params", "fit_params", "match"),
    [
        ({}, {"groups": np.zeros(N)}, "groups are used by a validation_splitter"),
        ({"validation_splitter": GroupKFold(2)}, {}, "groups"),
        ({"validation_splitter": 3}, {"groups": np.zeros(7)}, "inconsistent numbers"),
        ({"validation_splitter": [([], [1])]}, {}, "leaves 0 rows to train on and 1"),
        ({}, {"X_val": np.zeros((2, 3))}, "both X_val and y_val"),
        ({}, {"sample_weight_val": np.ones(2)}, "X_val, which is missing"),
        ({}, {"X_val": np.zeros((2, 2)), "y_val": [0, 1]}, "2 features"),
        ({}, {"X_val": np.zeros((2, 3)), "y_val": np.ones((2, 2))}, "same columns"),
        ({}, {"X_val": np.full((2, 3), np.nan), "y_val": [0, 1]}, "NaN"),
    ],
)
def test_what_does_not_fit_together_is_said(params, fit_params, match):
    model = regressor("mlp", **EARLY, **params)
    with pytest.raises(ValueError, match=match):
        model.fit(*make_data(N), **fit_params)
    assert not hasattr(model, "module_")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_a_score_that_is_no_number_is_refused():
    X, y = make_data(N)
    model = regressor("mlp", **EARLY, scoring="r2")
    with pytest.raises(ValueError, match=r"'r2' gives nan on the 1 validation rows"):
        model.fit(X, y, X_val=X[:1], y_val=y[:1])
    assert not hasattr(model, "module_")


# ------------------------------------------------------------------------- refitting


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("schedule", [None, "cosine"])
def test_the_best_epoch_is_refitted_on_all_rows(given, schedule):
    X, y = make_data(N)
    scores = iter([0.1, 0.2, 0.5, 0.3, 0.4, 0.2, 0.1, 0.0])
    params = {**EARLY, "schedule": schedule, "scoring": lambda *args: next(scores)}
    model = regressor("mlp", **params, refit="best_epoch")
    if given:
        model.fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:])
    else:
        model.fit(X, y)
    assert model.fit_report_["best_epoch"] == 3
    assert model.fit_report_["refit"]["epochs"] == 3
    assert len(model.validation_scores_) == len(model.loss_curve_) == 8
    # All rows, in the same order, for three of the eight epochs of the schedule.
    stops = StopAfter(3)
    whole = regressor("mlp", max_iter=8, schedule=schedule).set_callbacks(stops)
    np.testing.assert_array_equal(theta(model), theta(whole.fit(X, y)))


class StopAfter:
    """A callback of scikit-learn's protocol that stops after some epochs."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def setup(self, estimator, context):
        self.n_calls = 0

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.n_calls += 1
        return self.n_calls >= self.n_epochs


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"refit": "best_epoch"}, "Set early_stopping=True"),
        ({"refit": "best_epoch", **EARLY, "warm_start": True}, "Set one of them"),
    ],
)
def test_refitting_needs_a_best_epoch_and_a_new_start(params, match):
    with pytest.raises(ParameterError, match=match):
        regressor("mlp", **params).fit(*make_data(N))


# --------------------------------------------------------------- pipelines, routing


@pytest.mark.parametrize("frame", [False, True])
def test_a_pipeline_transforms_the_validation_rows(frame):
    X, y = make_data(N)
    rows, val = X[:30], X[30:]
    if frame:
        rows, val = (pd.DataFrame(x, columns=["a", "b", "c"]) for x in (rows, val))
    model = regressor("mlp", **EARLY, standardize=False)
    scaler = StandardScaler().fit(rows)
    expected = regressor("mlp", **EARLY, standardize=False).fit(
        scaler.transform(rows),
        y[:30],
        X_val=scaler.transform(val),
        y_val=y[30:],
        sample_weight=np.arange(30) + 1.0,
    )
    with sklearn.config_context(enable_metadata_routing=True):
        model.set_fit_request(X_val=True, y_val=True, sample_weight=True)
        pipeline = Pipeline(
            [
                ("scale", StandardScaler().set_fit_request(sample_weight=False)),
                ("model", model),
            ],
            transform_input=["X_val"],
        )
        pipeline.fit(
            rows, y[:30], X_val=val, y_val=y[30:], sample_weight=np.arange(30) + 1.0
        )
    assert pipeline[-1].validation_scores_ == expected.validation_scores_
    np.testing.assert_array_equal(theta(pipeline[-1]), theta(expected))


def test_every_argument_of_fit_can_be_requested():
    with sklearn.config_context(enable_metadata_routing=True):
        model = MLPRegressor().set_fit_request(
            X_val=True, y_val=True, sample_weight_val=True, groups=True
        )
        requests = model.get_metadata_routing().fit.requests
        assert {n for n, asked in requests.items() if asked} == {
            *("X_val", "y_val", "sample_weight_val", "groups")
        }
        MLPRegressor().set_partial_fit_request(sample_weight=True)
        MLPClassifier().set_partial_fit_request(classes=True, sample_weight=True)
        MLPRegressor().set_score_request(sample_weight=True)


def test_without_routing_a_step_takes_them_by_name():
    X, y = make_data(N)
    model = regressor("mlp", **EARLY)
    pipeline = make_pipeline(StandardScaler(with_mean=False, with_std=False), model)
    pipeline.fit(X[:30], y[:30], mlpregressor__X_val=X[30:], mlpregressor__y_val=y[30:])
    expected = regressor("mlp", **EARLY)
    expected.fit(X[:30], y[:30], X_val=X[30:], y_val=y[30:])
    np.testing.assert_array_equal(theta(model), theta(expected))
