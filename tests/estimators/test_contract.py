"""What a user of scikit-learn may rely on, line by line, and the tests that show it.

``CONTRACT`` names them; the rest of this file are those that had no other place.
"""

import ast
import copy
import pickle
from pathlib import Path

import cloudpickle
import numpy as np
import pandas as pd
import polars as pl
import pytest
from estimators.battery import (
    CLASSIFIERS,
    EACH,
    FAST,
    REGRESSORS,
    make_data,
    make_for,
    theta,
)
from estimators.models import Residual, fourth_power
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - it registers
from sklearn.inspection import PartialDependenceDisplay
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    LearningCurveDisplay,
    StratifiedKFold,
)
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import compute_sample_weight

from skgrad import GradientLinearClassifier, ModuleRegressor
from skgrad.losses import Huber
from skgrad.optim import SGD, Cosine, Warmup

CONTRACT = {
    "arguments are keyword-only, stored untouched, validated in fit": [
        "test_parameters::test_arguments_are_keyword_only_described_and_constrained",
        "test_parameters::test_parameters_are_stored_untouched",
        "test_parameters::test_a_wrong_value_is_refused_by_name",
    ],
    "get_params, set_params and clone, nested": [
        "test_parameters::test_a_round_trip_of_all_parameters",
        "test_parameters::test_nested_parameters_through_a_pipeline",
        "test_contract::test_clones_of_parts_of_ones_own_fit_as_they_do",
        "test_contract::test_a_grid_over_parts_within_a_pipeline",
    ],
    "names, instances and callables, that can be pickled and searched": [
        "test_parameters::test_objects_of_every_kind_fit_as_their_names_do",
        "test_scikit_learn::test_grid_search_in_two_processes_with_a_loss_and_a_module"
        "_of_the_user",
    ],
    "fit returns self, repeats with a seed, leaves global seeds alone": [
        "test_base::test_one_seed_gives_equal_bits_and_leaves_global_seeds_alone",
        "test_base::test_a_random_state_object_advances_and_can_be_repeated",
        "test_base::test_streams_of_a_seed_are_independent",
    ],
    "inputs of every kind": [
        "test_input::test_kinds_of_input_are_equal",
        "test_contract::test_frames_of_polars",
        "test_contract::test_arrays_of_objects_and_of_other_classes",
    ],
    "targets of every shape and kind": [
        "test_targets::test_shapes_of_targets",
        "test_targets::test_kinds_of_classes",
        "test_targets::test_columns_of_classes_warn_and_unseen_ones_of_validation_raise",
        "test_contract::test_labels_of_any_dtype",
        "test_multilabel::test_kinds_of_indicators_are_equal",
    ],
    "errors with scikit-learn's words": [
        "test_input::test_wrong_input_raises_the_usual_errors",
    ],
    "the dtype of the inputs": [
        "test_input::test_networks_keep_the_dtype",
        "test_input::test_float32_of_classifiers_and_links",
        "test_input::test_linear_models_compute_in_float64",
    ],
    "fitted attributes": [
        "test_scikit_learn::test_fitted_attributes",
        "test_fitting::test_n_iter_counts_what_the_loss_curve_holds",
    ],
    "sample_weight and class_weight": [
        "test_base::test_weights_equal_repeated_rows_when_one_batch_holds_all",
        "test_base::test_a_zero_weight_is_an_absent_row_in_minibatches_too",
        "test_base::test_weights_that_are_all_zero_or_negative_raise",
        "test_targets::test_class_weights_multiply_sample_weights",
        "test_contract::test_balanced_classes_have_scikit_learns_weights",
    ],
    "validation rows": [
        "test_base::test_validation_rows_are_scored_after_each_epoch",
        "test_base::test_the_validation_loss_is_weighted_and_on_the_standardised_scale",
        "test_validation::test_the_first_split_of_a_splitter_is_that_given_by_hand",
        "test_validation::test_the_best_epoch_is_refitted_on_all_rows",
    ],
    "partial_fit and warm_start": [
        "test_base::test_partial_fit_equals_epochs_in_order",
        "test_base::test_partial_fit_of_a_classifier_needs_the_classes_once",
        "test_base::test_two_warm_fits_equal_one_of_twice_the_epochs",
    ],
    "convergence, divergence, interruption": [
        "test_stopping::test_the_warning_says_what_to_change",
        "test_stopping::test_divergence_is_an_error_with_a_remedy",
        "test_stopping::test_ctrl_c_keeps_the_best_epoch_and_warns",
        "test_divergence::test_unscaled_columns_end_in_a_model_or_an_error_never_in"
        "_nonsense",
    ],
    "predictions row by row": [
        "test_input::test_rows_are_predicted_one_by_one",
        "test_scikit_learn::test_predict_is_thread_safe",
    ],
    "inside scikit-learn": [
        "test_checks::test_scikit_learn_checks",
        "test_scikit_learn::test_meta_estimators",
        "test_scikit_learn::test_metadata_routing",
        "test_validation::test_every_argument_of_fit_can_be_requested",
        "test_validation::test_a_pipeline_transforms_the_validation_rows",
        "test_contract::test_meta_estimators_of_classifiers",
        "test_contract::test_halving_spends_epochs",
        "test_contract::test_displays_draw",
    ],
    "callbacks": [
        "test_hooks::test_the_hooks_are_called_around_fit_and_epochs",
        "test_hooks::test_a_scoring_monitor_scores_each_epoch",
        "test_hooks::test_they_propagate_from_a_search_through_a_pipeline",
        "test_hooks::test_a_progress_bar_of_a_search_shows_our_epochs",
    ],
    "copies": [
        "test_scikit_learn::test_pickles_before_and_after_the_fit",
        "test_contract::test_deep_copies_and_cloudpickle",
    ],
    "silent unless asked": [
        "test_verbose::test_nothing_is_printed_by_default",
        "test_verbose::test_lines_come_after_1_2_5_10_epochs_and_at_the_end",
        "test_contract::test_a_fit_prints_nothing",
    ],
    "text and HTML": [
        "test_parameters::test_the_text_representation_shows_what_was_changed",
        "test_contract::test_html_names_the_parameters",
    ],
}


@pytest.mark.parametrize("line", CONTRACT)
def test_every_line_of_the_contract_has_its_tests(line):
    for name in CONTRACT[line]:
        file, _, test = name.partition("::")
        tree = ast.parse((Path(__file__).parent / f"{file}.py").read_text())
        functions = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
        assert test in functions, name


# --------------------------------------------------------------------- parameters


def test_clones_of_parts_of_ones_own_fit_as_they_do():
    X, y = make_data()
    model = ModuleRegressor(
        module=Residual,
        module_params={"hidden": 3},
        loss=fourth_power,
        optimizer=SGD(momentum=0.5),
        schedule=Warmup(Cosine()),
        **FAST,
    ).set_params(learning_rate=1e-3)
    other = clone(model)
    assert other.optimizer is not model.optimizer
    assert other.schedule is not model.schedule
    np.testing.assert_array_equal(theta(other.fit(X, y)), theta(model.fit(X, y)))
    assert str(other.get_params()) == str(clone(other).get_params())


def test_a_grid_over_parts_within_a_pipeline():
    X, y = make_data()
    model = ModuleRegressor(
        module=Residual, loss=Huber(), optimizer="sgd", schedule="cosine", **FAST
    )
    grid = {
        "model__module__hidden": [2, 3],
        "model__optimizer__momentum": [0.0, 0.9],
        "model__loss__delta": [0.5],
        "model__schedule__final": [0.1],
    }
    pipeline = make_pipeline(StandardScaler(), model)
    pipeline.steps[-1] = ("model", model)
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    best = search.best_estimator_[-1]
    for name, value in search.best_params_.items():
        assert best.get_params()[name.removeprefix("model__")] == value
    assert model.get_params()["loss__delta"] == 1.0  # a search changes clones only


# ------------------------------------------------------------------------- inputs


@EACH
def test_frames_of_polars(estimator):
    X, y = make_for(estimator)
    frame = pl.DataFrame(X, schema=list("abc"))
    model = clone(estimator).fit(frame, pl.Series(y.tolist()))
    expected = clone(estimator).fit(X, y).predict(X)
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(model.predict(frame), expected, rtol=1e-9)
    else:
        assert model.predict(frame).tolist() == expected.tolist()
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.select("b", "a", "c"))


class Wrapped:
    """Something that only knows its shape and how to become an array."""

    def __init__(self, values):
        self.values = values
        self.shape = values.shape

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)

    def __len__(self):
        return len(self.values)


@EACH
def test_arrays_of_objects_and_of_other_classes(estimator):
    X, y = make_for(estimator)
    expected = clone(estimator).fit(X, y).predict(X)
    for kind in (X.astype(object), Wrapped(X)):
        found = clone(estimator).fit(kind, y).predict(kind)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_of_any_dtype(name, n_classes):
    rng = np.random.default_rng(0)
    codes = np.arange(45) % n_classes
    X = rng.normal(size=(45, 3)) + 4 * np.eye(3)[codes]
    expected = clone(CLASSIFIERS[name]).fit(X, codes)
    kinds = [
        codes.astype(np.int8),
        codes.astype(np.uint64),
        codes.astype(np.float32),
        np.array(["a", "b", "c"], dtype=object)[codes],
        pd.Series(codes).astype("category"),
        pd.Series(np.array(["a", "b", "c"])[codes]),
    ]
    if n_classes == 2:
        kinds.append(codes == 1)
    for y in kinds:
        model = clone(CLASSIFIERS[name]).fit(X, y)
        np.testing.assert_array_equal(
            model.decision_function(X), expected.decision_function(X)
        )
        assert model.score(X, y) == expected.score(X, codes)
        if isinstance(y, np.ndarray):
            assert model.predict(X).dtype == model.classes_.dtype == y.dtype


# ------------------------------------------------------------------------ weights


def test_balanced_classes_have_scikit_learns_weights():
    X, y = load_iris(return_X_y=True)
    X, y = X[20:, :2], y[20:]
    by_hand = compute_sample_weight("balanced", y)
    assert len(np.unique(by_hand)) == 2
    balanced = GradientLinearClassifier(class_weight="balanced").fit(X, y)
    weighted = GradientLinearClassifier().fit(X, y, by_hand)
    np.testing.assert_allclose(balanced.coef_, weighted.coef_, rtol=1e-10)
    # With weights a row of weight 2 counts as two rows, as everywhere.
    w = np.random.default_rng(0).integers(1, 4, size=len(y))
    rows = np.repeat(np.arange(len(y)), w)
    repeated = clone(balanced).fit(X[rows], y[rows])
    weighted = clone(balanced).fit(X, y, w)
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-8)


# ------------------------------------------------------------- inside scikit-learn


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_meta_estimators_of_classifiers(name):
    X, y = load_iris(return_X_y=True)
    X, y = X[::3], y[::3]
    model = clone(CLASSIFIERS[name])
    if name == "mlp":
        model.set_params(max_iter=30, learning_rate=0.02)
    cv = StratifiedKFold(2)
    for meta in (
        BaggingClassifier(model, n_estimators=3, random_state=0),
        AdaBoostClassifier(model, n_estimators=3, random_state=0),
        VotingClassifier([("a", model), ("b", model)], voting="soft"),
        StackingClassifier([("a", model)], GradientLinearClassifier(), cv=cv),
    ):
        fitted = clone(meta).fit(X, y)
        np.testing.assert_allclose(fitted.predict_proba(X).sum(axis=1), 1.0)
        assert fitted.score(X, y) > 0.85
    labels = np.column_stack([y == 0, y])
    several = MultiOutputClassifier(model).fit(X, labels)
    np.testing.assert_array_equal(several.predict(X)[:, 1], model.fit(X, y).predict(X))


def test_halving_spends_epochs():
    X, y = make_data(n=60)
    model = REGRESSORS["mlp"]
    search = HalvingGridSearchCV(
        model,
        {"learning_rate": [1e-300, 1e-2, 1e-3, 1e-4]},
        resource="max_iter",
        max_resources=8,
        min_resources=2,
        factor=2,
        cv=2,
        random_state=0,
        error_score="raise",
    ).fit(X, y)
    assert search.n_resources_ == [2, 4, 8]
    assert search.best_estimator_.n_iter_ == 8
    assert search.best_params_["learning_rate"] == 1e-2


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_displays_draw(name):
    X, y = make_data()
    model = clone(REGRESSORS[name]).fit(X, y)
    shown = PartialDependenceDisplay.from_estimator(model, X, [0, (1, 2)])
    if name == "linear":
        averages = np.ravel(shown.pd_results[0]["average"])
        grid = shown.pd_results[0]["grid_values"][0]
        np.testing.assert_allclose(
            np.diff(averages), model.coef_[0] * np.diff(grid), rtol=1e-8
        )
    curve = LearningCurveDisplay.from_estimator(
        model, X, y, cv=2, train_sizes=[0.5, 1.0]
    )
    assert np.isfinite(curve.test_scores).all()


# ------------------------------------------------------------------ copies, output


@EACH
def test_deep_copies_and_cloudpickle(estimator):
    X, y = make_for(estimator)
    model = clone(estimator).fit(X, y)
    expected = model.predict(X)
    for other in (copy.deepcopy(model), pickle.loads(cloudpickle.dumps(model))):
        np.testing.assert_array_equal(other.predict(X), expected)
    other = copy.deepcopy(model)
    if "random_state" in other.get_params():
        other.set_params(random_state=1)
    other.fit(X[::-1], y)
    np.testing.assert_array_equal(model.predict(X), expected)


def test_cloudpickle_takes_a_loss_of_a_notebook():
    X, y = make_data()
    model = clone(REGRESSORS["mlp"]).set_params(loss=lambda y, f: (y - f) ** 2)
    other = pickle.loads(cloudpickle.dumps(model.fit(X, y)))
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    np.testing.assert_array_equal(other.fit(X, y).predict(X), model.predict(X))


@EACH
def test_a_fit_prints_nothing(estimator, capfd):
    X, y = make_for(estimator)
    clone(estimator).fit(X, y).predict(X)
    out, err = capfd.readouterr()
    assert out == err == ""


@EACH
def test_html_names_the_parameters(estimator):
    html = clone(estimator)._repr_html_()
    assert type(estimator).__name__ in html
    assert "max_iter" in html
