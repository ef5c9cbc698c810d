"""Estimators as parts of scikit-learn: copies, threads, searches, pipelines."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from estimators.battery import (
    CLASSIFIERS,
    EACH,
    FAST,
    REGRESSORS,
    make_data,
    make_for,
    regressor,
    theta,
)
from estimators.models import (
    Counting,
    Residual,
    asymmetric,
    fourth_power,
)
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import AdaBoostRegressor, BaggingRegressor, StackingRegressor
from sklearn.exceptions import (
    NotFittedError,
)
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgrad import (
    GradientLinearRegressor,
    ModuleRegressor,
)

# -------------------------------------------------------- buffers, threads, pickle


def test_buffers_are_part_of_the_state():
    X, y = make_data()
    model = ModuleRegressor(module=Counting, **FAST, warm_start=True).fit(X, y)
    assert model.module_.n_calls.item() == 15  # 3 batches, 5 epochs
    assert model.fit(X, y).module_.n_calls.item() == 30
    stopped = ModuleRegressor(
        module=Counting, **FAST, early_stopping=True, scoring="r2"
    )
    stopped.set_params(learning_rate=1e-300).fit(X, y)
    assert stopped.module_.n_calls.item() == 3 * stopped.fit_report_["best_epoch"]


@EACH
def test_predict_is_thread_safe(estimator):
    X, y = make_for(estimator)
    model = clone(estimator).fit(X, y)
    parts = [X[i % 8 : i % 8 + 30] for i in range(64)]
    expected = [model.predict(part) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        for one, other in zip(pool.map(model.predict, parts), expected, strict=True):
            np.testing.assert_array_equal(one, other)


@EACH
def test_pickles_before_and_after_the_fit(estimator):
    X, y = make_for(estimator)
    model = pickle.loads(pickle.dumps(clone(estimator))).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.predict(X), again.predict(X))
    assert again.fit_report_ == model.fit_report_
    json.dumps(again.fit_report_)  # plain numbers and words


def test_a_pickled_fit_goes_on_where_it_was():
    X, y = make_data()
    model = regressor("mlp-dropout", warm_start=True).fit(X, y)
    again = pickle.loads(pickle.dumps(model)).fit(X, y)
    np.testing.assert_array_equal(theta(again), theta(model.fit(X, y)))


@EACH
def test_fitted_attributes(estimator):
    X, y = make_for(estimator)
    model = clone(estimator)
    assert model.fit(X, y) is model
    assert model.n_features_in_ == 3
    assert model.n_iter_ == len(model.loss_curve_) >= 1
    assert model.loss_ == model.loss_curve_[-1]
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.n_outputs_ == np.size(getattr(estimator, "quantile", 0.5))
    assert not model.module_.training
    report = model.fit_report_
    assert {"optimizer", "executor", "stop_reason", "converged", "n_traces"} <= set(
        report
    )
    assert "objective" in repr(model) or type(model).__name__ in repr(model)
    with pytest.raises(NotFittedError):
        clone(estimator).predict(X)


# ------------------------------------------------------------- inside scikit-learn


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_grid_search_in_two_processes_with_a_loss_and_a_module_of_the_user():
    X, y = make_data()
    model = ModuleRegressor(module=Residual, loss=fourth_power, **FAST)
    grid = {
        "regressor__module__hidden": [4, 6],
        "regressor__loss": [fourth_power, asymmetric],
        "regressor__optimizer__b1": [0.5, 0.9],
    }
    pipeline = make_pipeline(StandardScaler(), model)
    pipeline.steps[-1] = ("regressor", model)
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, error_score="raise")
    search.fit(pd.DataFrame(X, columns=list("abc")), y)
    assert len(search.cv_results_["params"]) == 8
    best = search.best_estimator_[-1]
    assert best.module_params == {
        "hidden": search.best_params_["regressor__module__hidden"]
    }
    alone = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    np.testing.assert_allclose(
        alone.cv_results_["mean_test_score"],
        search.cv_results_["mean_test_score"],
        rtol=1e-12,
    )


def test_cross_validation_and_pipelines_with_names():
    X, y = make_data(n=90)
    frame = pd.DataFrame(X, columns=list("abc"))
    pipeline = make_pipeline(
        StandardScaler().set_output(transform="pandas"), GradientLinearRegressor()
    )
    assert (cross_val_score(pipeline, frame, y, cv=3) > 0.9).all()
    pipeline.fit(frame, y)
    assert pipeline[-1].feature_names_in_.tolist() == ["a", "b", "c"]


def test_metadata_routing():
    X, y = make_data()
    w = np.arange(40) % 3
    with config_context(enable_metadata_routing=True):
        model = GradientLinearRegressor().set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, model).fit(X, y, sample_weight=w)
        network = regressor("mlp").set_fit_request(X_val=True, y_val=True)
        routed = make_pipeline(StandardScaler(), network, transform_input=["X_val"])
        routed.fit(X, y, X_val=X, y_val=y)
    expected = GradientLinearRegressor().fit(X, y, w)
    np.testing.assert_allclose(pipeline.predict(X), expected.predict(X), rtol=1e-9)
    assert len(routed[-1].validation_scores_) == 5
    # The validation rows went through the scaler.
    direct = regressor("mlp").fit(
        *(routed[0].transform(X), y), X_val=routed[0].transform(X), y_val=y
    )
    np.testing.assert_allclose(
        routed[-1].validation_scores_, direct.validation_scores_, rtol=1e-10
    )


@EACH
def test_fits_in_threads_equal_fits_in_turn(estimator):
    X, y = make_for(estimator)
    models = [clone(estimator) for _ in range(4)]
    for seed, model in enumerate(models):
        if "random_state" in model.get_params():
            model.set_params(random_state=seed)
    expected = [theta(clone(model).fit(X, y)) for model in models]
    with ThreadPoolExecutor(4) as pool:
        fits = list(pool.map(lambda model: theta(model.fit(X, y)), models))
    np.testing.assert_array_equal(fits, expected)


@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_meta_estimators(name):
    X, y = make_data()
    model, classifier = REGRESSORS[name], CLASSIFIERS[name]
    c = y > np.median(y)
    for meta in (
        BaggingRegressor(model, n_estimators=2, random_state=0),
        AdaBoostRegressor(model, n_estimators=2, random_state=0),
        StackingRegressor([("a", model)], cv=2),
        MultiOutputRegressor(model),
        TransformedTargetRegressor(model, func=np.cbrt, inverse_func=lambda x: x**3),
    ):
        target = y if not isinstance(meta, MultiOutputRegressor) else y[:, None]
        assert np.isfinite(clone(meta).fit(X, target).predict(X)).all()
    calibrated = CalibratedClassifierCV(classifier, cv=2).fit(X, c)
    assert calibrated.predict_proba(X).shape == (40, 2)
    fitted = clone(model).fit(X, y)
    importance = permutation_importance(fitted, X, y, n_repeats=2, random_state=0)
    assert importance.importances_mean.shape == (3,)
