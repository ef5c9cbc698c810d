"""Malformed input: every call gives finite numbers or one of the documented errors."""

import faulthandler
import pickle
import re
import traceback
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from estimators.battery import make_data
from estimators.malformed import INPUTS, TARGETS, WEIGHTS
from estimators.models import Residual
from hypothesis import event, given, settings
from hypothesis import strategies as st
from sklearn.base import is_classifier
from sklearn.exceptions import (
    ConvergenceWarning,
    DataConversionWarning,
    NotFittedError,
    UndefinedMetricWarning,
)
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit

from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
)
from skgrad.losses import Quantile

EPOCHS = {"max_iter": 2, "random_state": 0}
STOP = {**EPOCHS, "early_stopping": True, "validation_fraction": 0.3}
MLP = {"hidden_layer_sizes": (3,), **EPOCHS}
SPLIT = {"validation_splitter": ShuffleSplit(1, test_size=0.3, random_state=0)}
GROUPS = {"validation_splitter": GroupShuffleSplit(1, test_size=0.3, random_state=0)}
ESTIMATORS = {
    "linear": lambda: GradientLinearRegressor(),
    "linear-raw": lambda: GradientLinearRegressor(standardize=False, alpha=0.1),
    "linear-no-intercept": lambda: GradientLinearRegressor(fit_intercept=False),
    "linear-lbfgs": lambda: GradientLinearRegressor(optimizer="lbfgs", alpha=1.0),
    "linear-adam": lambda: GradientLinearRegressor(optimizer="adam", **EPOCHS),
    "linear-sgd-warm": lambda: GradientLinearRegressor(
        optimizer="sgd", standardize=False, warm_start=True, **EPOCHS
    ),
    "linear-poisson": lambda: GradientLinearRegressor(loss="poisson"),
    "linear-quantile": lambda: GradientLinearRegressor(loss=Quantile(0.7), max_iter=9),
    "linear-gaussian": lambda: GradientLinearRegressor(loss="gaussian_nll", max_iter=9),
    "linear-bounds": lambda: GradientLinearRegressor(
        bounds=(-1, 1), positive=True, penalty_factor=[0, 1, 2], alpha=0.1
    ),
    "linear-l1": lambda: GradientLinearRegressor(alpha=0.1, l1_ratio=0.5),
    "mlp": lambda: MLPRegressor(**MLP),
    "mlp-raw": lambda: MLPRegressor(**MLP, standardize=False),
    "mlp-stop": lambda: MLPRegressor(hidden_layer_sizes=(3,), **STOP, scoring="r2"),
    "mlp-groups": lambda: MLPRegressor(hidden_layer_sizes=(3,), **STOP, **GROUPS),
    "mlp-poisson": lambda: MLPRegressor(**MLP, loss="poisson"),
    "mlp-float32": lambda: MLPRegressor(**MLP, dtype="float32"),
    "mlp-lbfgs-gaussian": lambda: MLPRegressor(
        **MLP, optimizer="lbfgs", loss="gaussian_nll"
    ),
    "module": lambda: ModuleRegressor(module=Residual, **EPOCHS),
    "module-auto-rate": lambda: ModuleRegressor(
        module=Residual, **STOP, learning_rate="auto", refit="best_epoch"
    ),
    "class": lambda: GradientLinearClassifier(),
    "class-raw": lambda: GradientLinearClassifier(standardize=False),
    "class-lbfgs-hinge": lambda: GradientLinearClassifier(
        optimizer="lbfgs", loss="hinge", max_iter=9
    ),
    "class-balanced": lambda: GradientLinearClassifier(class_weight="balanced"),
    "class-sgd-warm": lambda: GradientLinearClassifier(
        optimizer="sgd", warm_start=True, **EPOCHS
    ),
    "class-weights": lambda: GradientLinearClassifier(class_weight={0: 0.5}),
    "mlp-class": lambda: MLPClassifier(**MLP),
    "mlp-class-stop": lambda: MLPClassifier(
        hidden_layer_sizes=(3,), **STOP, scoring="accuracy", class_weight="balanced"
    ),
    "mlp-class-split": lambda: MLPClassifier(
        hidden_layer_sizes=(3,), **STOP, **SPLIT, dtype="float32"
    ),
    "mlp-class-focal": lambda: MLPClassifier(**MLP, loss="focal"),
    "module-class": lambda: ModuleClassifier(module=Residual, **EPOCHS),
    "module-class-hinge": lambda: ModuleClassifier(
        module=Residual, **EPOCHS, loss="squared_hinge"
    ),
}

# What scikit-learn's own estimators raise; skgrad's errors inherit from these. The
# last is what its check_array lets through for an int that no float holds.
ERRORS = (ValueError, TypeError, NotFittedError, AttributeError, OverflowError)
WARNINGS = (ConvergenceWarning, DataConversionWarning, UndefinedMetricWarning)
METHODS = (
    *("predict", "predict_proba", "predict_log_proba", "decision_function"),
    *("predict_raw", "score"),
)


def good_data(classifier):
    X, y = make_data(n=12)
    return X, (np.arange(12) % 3 > 0) * 1.0 if classifier else y


@pytest.fixture(autouse=True)
def _no_hang(request):
    seconds = 3600 if request.node.get_closest_marker("long") else 240
    faulthandler.dump_traceback_later(seconds, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


# ------------------------------------------------------------------------ one call


def image(value):
    """Return what tells whether a value was modified."""
    if isinstance(value, pd.DataFrame | pd.Series):
        return value.to_csv(), str(value.dtypes)
    if scipy.sparse.issparse(value):
        return value.tocoo().data.tolist(), value.shape
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.dtype, value.shape, value.strides, value.tobytes()
    return re.sub("0x[0-9a-f]+", "", repr(value))


def check_warning(warning, inputs=""):
    """Ours have a category of scikit-learn's; NumPy's do not come from our code."""
    from_us = "/skgrad/" in warning.filename
    if issubclass(warning.category, WARNINGS):
        return
    if warning.category is UserWarning:
        assert str(warning.message), inputs
        return
    assert not from_us, f"{inputs}: {warning.category.__name__} {warning}"


def outcome(call, **arguments):
    """Return the result of a call, or the error, having checked what surrounds it."""
    before = {name: image(value) for name, value in arguments.items()}
    result = error = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = call(**arguments)
        except ERRORS as e:
            error = e
    for warning in caught:
        check_warning(warning)
    after = {name: image(value) for name, value in arguments.items()}
    assert {n: v for n, v in after.items() if v != before[n]} == {}
    if error is not None:
        if isinstance(error, OverflowError):
            assert "/sklearn/" in traceback.extract_tb(error.__traceback__)[-1].filename
        assert len(str(error)) > 10
        assert not re.search("Traceback|internal|assert", str(error)), str(error)
    return result, error


def predictions(model, X):
    """Return what each method gives, having checked shapes, dtypes and values."""
    found = {}
    for method in METHODS:
        if method == "score" or not hasattr(model, method):
            continue
        found[method], error = outcome(getattr(model, method), X=X)
        if error is not None:
            raise AssertionError(f"{method} after fit: {error!r}") from error
        values = found[method]
        assert len(values) == len(X)
        if method == "predict" and is_classifier(model):
            assert np.isin(values, model.classes_).all()
            assert values.dtype == model.classes_.dtype
        elif method == "predict_log_proba":
            assert not np.isnan(values).any()
        else:
            assert values.dtype in (np.float32, np.float64)
            assert np.isfinite(values).all(), (method, values)
    if "predict_proba" in found:
        np.testing.assert_allclose(found["predict_proba"].sum(axis=1), 1, rtol=1e-5)
        assert found["predict_proba"].shape == (len(X), len(model.classes_))
    return found


def assert_identical(actual, expected):
    assert actual.keys() == expected.keys()
    for method, values in expected.items():
        np.testing.assert_array_equal(actual[method], values)


# --------------------------------------------------------------------------- fits


def check_fit(name, X_kind, y_kind, w_kind, call, history):
    model = ESTIMATORS[name]()
    if call == "partial_fit" and model.early_stopping:
        model.set_params(early_stopping=False, refit=None)
    X, y = good_data(is_classifier(model))
    partial = call == "partial_fit"
    if partial and not hasattr(model, "partial_fit"):
        call, partial = "fit", False
    before = None
    if history and partial:
        _, error = first_pass(model, X, y)
        assert error is None
    elif history:
        _, error = outcome(model.fit, X=X, y=y, **groups(name, X))
        assert error is None
    if history:
        before = predictions(model, X)
    arguments = {
        "X": INPUTS[X_kind](X),
        "y": TARGETS[y_kind](y),
        "sample_weight": WEIGHTS[w_kind](np.linspace(0.5, 1.5, 12)),
    }
    if partial and is_classifier(model) and not history:
        arguments["classes"] = [*np.unique(y)]
    if call == "fit_val":
        arguments |= {"X_val": INPUTS[X_kind](X), "y_val": TARGETS[y_kind](y)}
        arguments |= {"sample_weight_val": arguments.pop("sample_weight")}
        arguments |= {"X": X, "y": y}
    if call == "fit":
        arguments |= groups(name, X)
    method = model.partial_fit if partial else model.fit
    _, error = outcome(method, **arguments)
    continues = partial or model.warm_start
    event(f"{call}: {'fitted' if error is None else type(error).__name__}")
    if error is None:
        rows = X if X_kind in ("generator",) or call == "fit_val" else INPUTS[X_kind](X)
        predictions(model, np.asarray(rows) if not hasattr(rows, "shape") else rows)
    elif history and continues:
        assert_identical(predictions(model, X), before)
    else:
        with pytest.raises(NotFittedError):
            model.predict(X)


def first_pass(model, X, y):
    if is_classifier(model):
        return outcome(model.partial_fit, X=X, y=y, classes=np.unique(y))
    return outcome(model.partial_fit, X=X, y=y)


def groups(name, X):
    return {"groups": np.arange(len(X)) // 2} if name == "mlp-groups" else {}


# Most often one thing is malformed; now and then several are.
def mostly(usual, kinds):
    return st.one_of(st.just(usual), st.sampled_from(list(kinds)))


FITS = st.tuples(
    st.sampled_from(list(ESTIMATORS)),
    mostly("as they are", INPUTS),
    mostly("as they are", TARGETS),
    mostly("none given", WEIGHTS),
    st.sampled_from(["fit", "fit", "partial_fit", "fit_val"]),
    st.booleans(),
)


@given(FITS)
@settings(max_examples=250)
def test_malformed_fit(case):
    check_fit(*case)


@pytest.mark.long
@given(FITS)
@settings(max_examples=8000)
def test_many_malformed_fits(case):
    check_fit(*case)


# -------------------------------------------------------------------- predictions

FITTED: dict[str, bytes] = {}


def fitted(name):
    """Return an estimator fitted to good data, each fitted once."""
    if name not in FITTED:
        model = ESTIMATORS[name]()
        X, y = good_data(is_classifier(model))
        _, error = outcome(model.fit, X=X, y=y, **groups(name, X))
        assert error is None
        FITTED[name] = pickle.dumps(model)
    return pickle.loads(FITTED[name])


def check_prediction(name, method, X_kind, y_kind, w_kind):
    model = fitted(name)
    X, y = good_data(is_classifier(model))
    expected = predictions(model, X)
    arguments = {"X": INPUTS[X_kind](X)}
    if method == "score":
        arguments["y"] = TARGETS[y_kind](y)
        arguments["sample_weight"] = WEIGHTS[w_kind](np.linspace(0.5, 1.5, 12))
    result, error = outcome(lambda **a: getattr(model, method)(**a), **arguments)
    event(f"{method}: {'result' if error is None else type(error).__name__}")
    assert_identical(predictions(model, X), expected)
    if error is not None:
        return
    if method == "score":
        assert not np.isnan(result)
    else:
        rows = np.asarray(INPUTS[X_kind](X)).shape
        assert result.shape == (rows[0], *expected[method].shape[1:])
        assert result.dtype == expected[method].dtype
        assert not (result != result).any()  # NaN; a rate may be infinite


PREDICTIONS = st.tuples(
    st.sampled_from(list(ESTIMATORS)),
    st.sampled_from(METHODS),
    st.sampled_from(list(INPUTS)),
    mostly("as they are", TARGETS),
    mostly("none given", WEIGHTS),
)


@given(PREDICTIONS)
@settings(max_examples=150)
def test_malformed_prediction(case):
    check_prediction(*case)


@pytest.mark.long
@given(PREDICTIONS)
@settings(max_examples=2000)
def test_many_malformed_predictions(case):
    check_prediction(*case)
