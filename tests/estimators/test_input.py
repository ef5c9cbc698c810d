"""Inputs: what is refused, and what is the same."""

import numpy as np
import pandas as pd
import pytest
from estimators.battery import (
    CLASSIFIERS,
    EACH,
    REGRESSORS,
    make_data,
    make_for,
    regressor,
)
from estimators.models import (
    Bare,
    ThreeOutputs,
    WithDropout,
)
from sklearn.base import clone

from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPClassifier,
    ModuleRegressor,
    nn,
)
from skgrad.exceptions import DeviceError, ParameterError, ShapeError
from skgrad.losses import LogLoss


def assert_same_predictions(actual, expected):
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(actual, expected, rtol=1e-9)
    else:
        np.testing.assert_array_equal(actual, expected)


# --------------------------------------------------------------------- wrong input


@EACH
def test_wrong_input_raises_the_usual_errors(estimator):
    X, y = make_for(estimator)
    model = clone(estimator)
    for bad, message in [
        (np.where(X[0, 0] == X, np.nan, X), "Input X contains NaN"),
        (np.where(X[0, 0] == X, np.inf, X), "Input X contains infinity"),
        (X[:0], "0 sample"),
        (X[:, :0], "0 feature"),
        (X[:, 0], "Expected 2D array, got 1D array instead"),
        (X[None], "Found array with dim 3"),
        (X[:30], "inconsistent numbers of samples"),
        ([*X.tolist()[:-1], ["a"] * 3], "convert|numeric"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.fit(bad, y[: len(bad)] if len(bad) not in (1, 30) else y)
    model.fit(X, y)
    with pytest.raises(ValueError, match="X has 2 features, but"):
        model.predict(X[:, :2])
    with pytest.raises(ValueError, match="NaN"):
        model.predict(X * np.nan)
    if not hasattr(model, "predict_proba"):
        with pytest.raises(ValueError, match="Input y contains NaN"):
            model.fit(X, np.full(40, np.nan))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"standardize": False, "alpha": 0.1},
        {"standardize": False, "fit_intercept": False},
        {"optimizer": "lbfgs", "standardize": False, "fit_intercept": False},
        {"alpha": 0.1, "l1_ratio": 0.5},
        {"loss": "huber", "bounds": (0, None)},
        {"loss": "absolute_error"},
        {"optimizer": "adam"},
        {"optimizer": "adam", "standardize": False},
        {"optimizer": "adam", "early_stopping": True},
    ],
    ids=str,
)
def test_many_rows_are_refused_as_few_are(params, value, monkeypatch):
    monkeypatch.setattr("skgrad.estimators.input.MANY_ELEMENTS", 0)
    X, y = make_data()
    X[-1, 1] = value
    message = "Input X contains NaN" if np.isnan(value) else "Input X contains infinity"
    for model in (GradientLinearRegressor(**params), regressor("mlp")):
        with pytest.raises(ValueError, match=message):
            model.fit(X, y)
    if "loss" not in params:
        with pytest.raises(ValueError, match=message):
            GradientLinearClassifier(**params).fit(X, y > np.median(y))


def test_absent_rows_must_be_finite_too(monkeypatch):
    monkeypatch.setattr("skgrad.estimators.input.MANY_ELEMENTS", 0)
    X, y = make_data()
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"contains NaN\.\nGradientLinearRegressor"):
        GradientLinearRegressor().fit(X, y, np.arange(len(y)) != 3)
    classes = np.where(np.arange(len(y)) == 3, 2, y > np.median(y))
    with pytest.raises(ValueError, match=r"contains NaN"):
        GradientLinearClassifier(class_weight={0: 1, 1: 1, 2: 0}).fit(X, classes)


def test_the_target_must_fit_the_loss_and_the_task():
    X, y = make_data()
    with pytest.raises(ValueError, match=r"Poisson must lie in \[0, inf\)"):
        regressor("mlp", loss="poisson").fit(X, y - y.max())
    with pytest.raises(ParameterError, match=r"must be a regression loss.*'log_loss'"):
        regressor("mlp", loss="log_loss").fit(X, y)
    with pytest.raises(ParameterError, match=r"must be a regression loss"):
        regressor("linear", loss=LogLoss()).fit(X, y)
    with pytest.raises(ParameterError, match=r"a classification loss.*'huber'"):
        MLPClassifier(loss="huber").fit(X, y > 100)
    with pytest.raises(ValueError, match=r"Unknown label type: continuous"):
        MLPClassifier().fit(X, y)
    with pytest.raises(ValueError, match=r"two classes .*Got one class: .*'a'"):
        MLPClassifier().fit(X, ["a"] * 40)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"module": Bare}, ParameterError, "Bare has no parameters to fit"),
        (
            {"module": ThreeOutputs},
            ShapeError,
            r"ThreeOutputs.forward must return shape \(16,\).*Got \(16, 3\)",
        ),
        (
            {"module": lambda n, k: (n, k)},
            ParameterError,
            r"must return a skgrad.nn.Module. Got tuple",
        ),
        ({"module_params": {"width": 3}}, TypeError, "unexpected keyword.*'width'"),
        ({"optimizer": "newton"}, ParameterError, "'newton' needs a linear model"),
        (
            {"module": WithDropout, "optimizer": "lbfgs"},
            ParameterError,
            r"WithDropout \(Dropout at 'dropout'\) draws random numbers.*'adam'",
        ),
        ({"device": "tpu"}, DeviceError, "tpu"),
    ],
)
def test_what_cannot_be_fitted_is_refused(params, error, message):
    model = regressor("module", **params)
    with pytest.raises(error, match=message):
        model.fit(*make_data())


def test_newton_fits_a_module_that_is_one_linear_layer():
    X, y = make_data()
    model = ModuleRegressor(module=nn.Linear, optimizer="newton", alpha=0.1).fit(X, y)
    expected = GradientLinearRegressor(alpha=0.1).fit(X, (y - y.mean()) / y.std())
    np.testing.assert_allclose(
        (model.predict(X) - y.mean()) / y.std(), expected.predict(X), rtol=1e-8
    )


# ------------------------------------------------------------------ kinds of input


@EACH
def test_kinds_of_input_are_equal(estimator, tmp_path):
    X, y = make_for(estimator)
    expected = clone(estimator).fit(X, y).predict(X)
    before = X.copy(), y.copy()
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for kind in (X.tolist(), np.asfortranarray(X), np.repeat(X, 2, 0)[::2], mapped):
        model = clone(estimator).fit(kind, y.tolist())
        assert_same_predictions(model.predict(kind), expected)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])
    frame = pd.DataFrame(X, columns=list("abc"))
    model = clone(estimator).fit(frame, pd.Series(y))
    assert_same_predictions(model.predict(frame), expected)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[["b", "a", "c"]])


@EACH
def test_rows_are_predicted_one_by_one(estimator, monkeypatch):
    X, y = make_for(estimator)
    model = clone(estimator).fit(X, y)
    method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    predicted = getattr(model, method)(X)
    order = np.random.default_rng(0).permutation(40)
    np.testing.assert_allclose(
        getattr(model, method)(X[order]), predicted[order], rtol=1e-12
    )
    monkeypatch.setattr("skgrad.estimators.base.PREDICT_ROWS", 7)
    np.testing.assert_allclose(getattr(model, method)(X), predicted, rtol=1e-12)


@pytest.mark.parametrize("name", [n for n in REGRESSORS if not n.startswith("linear")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_networks_keep_the_dtype(name, dtype):
    X, y = make_data()
    X = X.astype(dtype)
    model = regressor(name, early_stopping=name == "mlp").fit(X, y)
    assert {p.dtype for p in model.module_.parameters()} == {np.dtype(dtype)}
    assert model.predict(X).dtype == dtype
    other = np.float64 if dtype == np.float32 else np.float32
    assert model.predict(X.astype(other)).dtype == dtype
    model.set_params(dtype=np.dtype(other).name).fit(X, y)
    assert model.predict(X).dtype == other


def test_float32_of_classifiers_and_links():
    X, y = make_for(CLASSIFIERS["mlp"])
    model = clone(CLASSIFIERS["mlp"]).fit(X.astype(np.float32), y)
    assert model.predict_proba(X).dtype == np.float32
    assert model.decision_function(X).dtype == np.float32
    model = regressor("mlp", loss="poisson").fit(X.astype(np.float32), np.abs(X[:, 0]))
    assert model.predict(X).dtype == np.float32
    ints = regressor("mlp").fit((10 * X).astype(np.int64), np.arange(40))
    assert ints.predict((10 * X).astype(np.int64)).dtype == np.float64


def test_linear_models_compute_in_float64():
    X, y = make_data()
    model = GradientLinearRegressor().fit(X.astype(np.float32), y)
    assert model.coef_.dtype == np.float64
    assert model.predict(X.astype(np.float32)).dtype == np.float64
