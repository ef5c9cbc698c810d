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
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from sklearn import neural_network
from sklearn.base import clone, is_classifier
from sklearn.exceptions import (
    ConvergenceWarning,
    DataConversionWarning,
    NotFittedError,
    UndefinedMetricWarning,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit

from skgrad import (
    GradientElasticNetClassifierCV,
    GradientElasticNetCV,
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPClassifier,
    MLPQuantileRegressor,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
    QuantileRegressor,
)
from skgrad.estimators.sklearn_private import num_samples
from skgrad.exceptions import SolverError
from skgrad.losses import Quantile

EPOCHS = {"max_iter": 2, "random_state": 0}
STOP = {**EPOCHS, "early_stopping": True, "validation_fraction": 0.3}
MLP = {"hidden_layer_sizes": (3,), **EPOCHS}
PATH = {"alphas": 3, "cv": 2}
SPLIT = {"validation_splitter": ShuffleSplit(1, test_size=0.3, random_state=0)}
GROUPS = {"validation_splitter": GroupShuffleSplit(1, test_size=0.3, random_state=0)}
ESTIMATORS = {
    "linear": GradientLinearRegressor,
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
    "path": lambda: GradientElasticNetCV(**PATH),
    "path-huber": lambda: GradientElasticNetCV(
        **PATH, loss="huber", standardize=False, positive=True, l1_ratio=[0, 1]
    ),
    "linear-median": QuantileRegressor,
    "linear-quantiles": lambda: QuantileRegressor(
        quantile=(0.1, 0.5), alpha=0.1, positive=True, non_crossing="rearrange"
    ),
    "mlp": lambda: MLPRegressor(**MLP),
    "mlp-raw": lambda: MLPRegressor(**MLP, standardize=False),
    "mlp-stop": lambda: MLPRegressor(hidden_layer_sizes=(3,), **STOP, scoring="r2"),
    "mlp-groups": lambda: MLPRegressor(hidden_layer_sizes=(3,), **STOP, **GROUPS),
    "mlp-poisson": lambda: MLPRegressor(**MLP, loss="poisson"),
    "mlp-float32": lambda: MLPRegressor(**MLP, dtype="float32"),
    "mlp-lbfgs-gaussian": lambda: MLPRegressor(
        **MLP, optimizer="lbfgs", loss="gaussian_nll"
    ),
    "mlp-quantiles": lambda: MLPQuantileRegressor(**MLP, conformalize=True),
    "mlp-median-stop": lambda: MLPQuantileRegressor(
        hidden_layer_sizes=(3,), **STOP, quantile=0.5, refit="best_epoch"
    ),
    "module": lambda: ModuleRegressor(module=Residual, **EPOCHS),
    "module-auto-rate": lambda: ModuleRegressor(
        module=Residual, **STOP, learning_rate="auto", refit="best_epoch"
    ),
    "class": GradientLinearClassifier,
    "class-raw": lambda: GradientLinearClassifier(standardize=False),
    "class-lbfgs-hinge": lambda: GradientLinearClassifier(
        optimizer="lbfgs", loss="hinge", max_iter=9
    ),
    "class-balanced": lambda: GradientLinearClassifier(class_weight="balanced"),
    "class-sgd-warm": lambda: GradientLinearClassifier(
        optimizer="sgd", warm_start=True, **EPOCHS
    ),
    "class-weights": lambda: GradientLinearClassifier(class_weight={0: 0.5}),
    "path-class": lambda: GradientElasticNetClassifierCV(
        **PATH, class_weight="balanced", select="1se"
    ),
    "path-class-scored": lambda: GradientElasticNetClassifierCV(
        **PATH, fit_intercept=False, scoring="accuracy"
    ),
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
# last but one is what its check_array lets through for an int that no float holds, the
# last what the exact solver says where rounding leaves it without a proof.
ERRORS = (
    *(ValueError, TypeError, NotFittedError, AttributeError, OverflowError),
    SolverError,
)
WARNINGS = (ConvergenceWarning, DataConversionWarning, UndefinedMetricWarning)
WEIGHT = np.linspace(0.5, 1.5, 12)
HUGE = ("wide range", "1e100", "1e160", "1e300", "one of 1e300", "largest floats")
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


def made(kinds, kind, good):
    """Return an input of a kind; NumPy may warn while it is made."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return kinds[kind](good)


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
            frames = [f.filename for f in traceback.extract_tb(error.__traceback__)]
            assert "/sklearn/" in [f for f in frames if "/numpy/" not in f][-1]
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
        assert len(values) == num_samples(X)
        if method == "predict" and is_classifier(model):
            assert np.isin(values, model.classes_).all()
            assert values.dtype == model.classes_.dtype
        elif method == "predict_log_proba":
            assert not np.isnan(values).any()
        else:
            assert values.dtype in (np.float32, np.float64)
            assert np.isfinite(values).all(), (method, values)
    if "predict_proba" in found:
        probabilities = found["predict_proba"]
        assert probabilities.shape == (len(X), len(model.classes_))
        if found["predict"].ndim == 1:  # classes exclude each other, labels do not
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
    return found


def assert_identical(actual, expected):
    assert actual.keys() == expected.keys()
    for method, values in expected.items():
        np.testing.assert_array_equal(actual[method], values)


# --------------------------------------------------------------------------- fits


def check_fit(name, X_kind, y_kind, w_kind, call, history):
    model = ESTIMATORS[name]()
    X, y = good_data(is_classifier(model))
    if call == "partial_fit":
        if "early_stopping" in model.get_params():
            model.set_params(early_stopping=False, refit=None)
        call = call if hasattr(model, call) else "fit"
    before = None
    if history:
        arguments = {"X": X, "y": y, **companions(name, call, y)}
        _, error = outcome(getattr(model, call), **arguments)
        assert error is None
        before = predictions(model, X)
    arguments = {
        "X": made(INPUTS, X_kind, X),
        "y": made(TARGETS, y_kind, y),
        "sample_weight": made(WEIGHTS, w_kind, WEIGHT),
        **companions(name, call, y),
    }
    _, error = outcome(getattr(model, call), **arguments)
    if error is None and X_kind in HUGE and not model.standardize:
        # The last step of a pass may be one too long, and predictions say so then.
        _, error = outcome(model.predict, X=made(INPUTS, X_kind, X))
        assert error is None or "cannot predict row" in str(error)
    elif error is None:
        predictions(model, made(INPUTS, X_kind, X))
    elif history and (call == "partial_fit" or model.warm_start):
        assert_identical(predictions(model, X), before)
    else:
        with pytest.raises(NotFittedError):
            model.predict(X)
    return f"{call}: {said(error)}"


def said(error):
    return "fitted" if error is None else type(error).__name__


def companions(name, call, y):
    """Return the other arguments that a call needs."""
    if call == "partial_fit" and is_classifier(ESTIMATORS[name]()):
        return {"classes": np.unique(y)}
    grouped = name == "mlp-groups" and call == "fit"
    return {"groups": np.arange(len(y)) // 2} if grouped else {}


def check_validation(name, X_kind, y_kind, w_kind):
    model = ESTIMATORS[name]()
    X, y = good_data(is_classifier(model))
    _, error = outcome(
        model.fit,
        X=X,
        y=y,
        X_val=made(INPUTS, X_kind, X),
        y_val=made(TARGETS, y_kind, y),
        sample_weight_val=made(WEIGHTS, w_kind, WEIGHT),
    )
    if error is None:
        predictions(model, X)
    else:
        with pytest.raises(NotFittedError):
            model.predict(X)
    return f"validation: {said(error)}"


# Most often one thing is malformed; now and then several are.
def mostly(usual, kinds):
    return st.one_of(st.just(usual), st.sampled_from(list(kinds)))


# Each was a bug: a warning of NumPy's, an error of none of the kinds, or a result.
FITS_ONCE_WRONG = [
    ("module", "as they are", "1e300", "none given", "fit", False),
    ("class-raw", "largest floats", "as they are", "none given", "fit", False),
    ("mlp", "one of 1e300", "as they are", "none given", "fit", False),
    ("linear", "as they are", "as they are", "largest floats", "fit", False),
    ("class-balanced", "as they are", "as they are", "largest floats", "fit", True),
    ("linear-bounds", "as they are", "one of 1e300", "none given", "fit", False),
    ("linear-gaussian", "as they are", "1e160", "none given", "fit", False),
    ("mlp-class-split", "denormal float32", "as they are", "none given", "fit", False),
    ("mlp-float32", "as they are", "1e100", "none given", "fit", False),
    ("mlp-float32", "as they are", "1e-100", "none given", "fit", False),
    ("mlp-float32", "as they are", "wide range", "none given", "partial_fit", True),
]
FITS = st.tuples(
    st.sampled_from(list(ESTIMATORS)),
    mostly("as they are", INPUTS),
    mostly("as they are", TARGETS),
    mostly("none given", WEIGHTS),
    st.sampled_from(["fit", "fit", "partial_fit"]),
    st.booleans(),
)


VALIDATIONS = st.tuples(
    st.sampled_from(list(ESTIMATORS)),
    mostly("as they are", INPUTS),
    mostly("as they are", TARGETS),
    mostly("none given", WEIGHTS),
)


@given(FITS)
@example(("class-sgd-warm", "as they are", "indicator", "none given", "fit", False))
@example(
    ("class-sgd-warm", "as they are", "indicator", "none given", "partial_fit", False)
)
@settings(max_examples=120)
def test_malformed_fit(case):
    event(check_fit(*case))


@given(VALIDATIONS)
@settings(max_examples=60)
def test_malformed_validation(case):
    event(check_validation(*case))


def test_weights_of_validation_that_have_no_sum_are_refused():
    check_validation("linear", "as they are", "as they are", "largest floats")


@pytest.mark.parametrize("case", FITS_ONCE_WRONG, ids=lambda case: "-".join(case[:4]))
def test_fits_once_wrong(case):
    check_fit(*case)


@pytest.mark.long
@given(FITS)
@settings(max_examples=6000)
def test_many_malformed_fits(case):
    event(check_fit(*case))


@pytest.mark.long
@given(VALIDATIONS)
@settings(max_examples=2000)
def test_many_malformed_validations(case):
    event(check_validation(*case))


# -------------------------------------------------------------------- predictions

FITTED: dict[str, bytes] = {}


def fitted(name):
    """Return an estimator fitted to good data, each fitted once."""
    if name not in FITTED:
        model = ESTIMATORS[name]()
        X, y = good_data(is_classifier(model))
        _, error = outcome(model.fit, X=X, y=y, **companions(name, "fit", y))
        assert error is None
        FITTED[name] = pickle.dumps(model)
    return pickle.loads(FITTED[name])


def check_prediction(name, number, X_kind, y_kind, w_kind):
    model = fitted(name)
    methods = [method for method in METHODS if hasattr(model, method)]
    method = methods[number % len(methods)]
    X, y = good_data(is_classifier(model))
    expected = predictions(model, X)
    arguments = {"X": made(INPUTS, X_kind, X)}
    if method == "score":
        arguments["y"] = made(TARGETS, y_kind, y)
        arguments["sample_weight"] = made(WEIGHTS, w_kind, WEIGHT)
    result, error = outcome(getattr(model, method), **arguments)
    assert_identical(predictions(model, X), expected)
    found = f"{method}: {said(error)}"
    if error is not None:
        return found
    if method == "score":
        assert isinstance(result, float)
    else:
        rows = np.shape(made(INPUTS, X_kind, X))
        assert result.shape == (rows[0], *expected[method].shape[1:])
        assert result.dtype == expected[method].dtype
        assert not (result != result).any()  # NaN; a rate may be infinite
    return found


PREDICTIONS = st.tuples(
    st.sampled_from(list(ESTIMATORS)),
    st.integers(0, 59),  # of a method, whichever it has
    st.sampled_from(list(INPUTS)),
    mostly("as they are", TARGETS),
    mostly("none given", WEIGHTS),
)


@given(PREDICTIONS)
@settings(max_examples=60)
def test_malformed_prediction(case):
    event(check_prediction(*case))


@pytest.mark.parametrize(
    "kind",
    ["datetimes", "numbers as str", "sparse columns", "longdouble beyond float64"],
)
@pytest.mark.parametrize("name", ["linear", "mlp", "module"])
def test_what_no_regression_takes_for_targets(name, kind):
    said = check_fit(name, "as they are", kind, "none given", "fit", False)
    assert said in ("fit: ValueError", "fit: TypeError")


@pytest.mark.parametrize("name", ["linear", "mlp", "class"])
def test_inputs_too_far_away_are_not_predicted(name):
    model = ESTIMATORS[name]()
    X, y = good_data(is_classifier(model))
    outcome(model.fit, X=1e-3 * X, y=1e3 * y)
    X[3] = np.finfo(float).max
    _, error = outcome(model.predict, X=X)
    assert re.search(r"cannot predict row 3 of X.*float64.* 1.8e\+308", str(error))


@pytest.mark.parametrize("factor", [0.0, -1.0, np.nan, np.inf])
def test_class_weights_leave_rows(factor):
    X, y = good_data(classifier=True)
    model = GradientLinearClassifier(class_weight={0: factor, 1: factor})
    with pytest.raises(ValueError, match="weight"):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_a_negative_class_weight_is_not_an_absent_class():
    X, y = good_data(classifier=True)
    model = GradientLinearClassifier(class_weight={0: -1.0})
    with pytest.raises(ValueError, match=r"'class_weight'.*Got -1 for the class 0.0"):
        model.fit(X, y)


@pytest.mark.long
@given(PREDICTIONS)
@settings(max_examples=2000)
def test_many_malformed_predictions(case):
    event(check_prediction(*case))


# ------------------------------------------------------- what scikit-learn refuses

OVERFLOW = "the mean, the variance or the objective would be infinite"
CONVERTED = "dtype=float64 converts strings, as in scikit-learn's own classifiers"
NOT_NUMBERS = "targets of a regression that are no numbers are not converted"
SPARSE = "networks take no sparse inputs, and the tags say so"

LABELS = "columns of 0 and 1 are labels, as for scikit-learn's MLPClassifier"

PAIRS = {
    "MLPRegressor": (
        ESTIMATORS["mlp"],
        neural_network.MLPRegressor(hidden_layer_sizes=(3,), **EPOCHS),
    ),
    "LinearRegression": (ESTIMATORS["linear"], LinearRegression()),
    "LogisticRegression": (
        lambda: GradientLinearClassifier(max_iter=5),
        LogisticRegression(max_iter=5),
    ),
}
# Where one of the two fits and the other refuses, by input, and why.
DIFFERENCES = {
    "MLPRegressor": {
        **dict.fromkeys(["X: csr", "X: csc array", "X: sparse frame"], SPARSE),
        **dict.fromkeys(["y: 1e300", "y: 1e160", "y: one of 1e300"], OVERFLOW),
        **dict.fromkeys(["y: wide range", "y: longdouble beyond float64"], OVERFLOW),
        "y: sparse columns": "scikit-learn makes an array of one object of it",
        **dict.fromkeys(["w: negative", "w: one negative"], "weights are >= 0"),
    },
    "LinearRegression": {
        **dict.fromkeys(["X: numbers as str", "X: numbers as bytes"], CONVERTED),
        **dict.fromkeys(["X: 1e300", "X: 1e160", "X: one of 1e300"], OVERFLOW),
        **dict.fromkeys(["X: wide range", "X: one column of 1e300"], OVERFLOW),
        "X: largest float32": "inputs of float32 are computed with in float64",
        **dict.fromkeys(["y: datetimes", "y: timedeltas"], NOT_NUMBERS),
        **dict.fromkeys(["y: numbers as str", "y: numbers as bytes"], NOT_NUMBERS),
        **dict.fromkeys(["y: each its own string", "y: series of dates"], NOT_NUMBERS),
        **dict.fromkeys(["y: 1e300", "y: 1e160", "y: one of 1e300"], OVERFLOW),
        "y: wide range": OVERFLOW,
    },
    "LogisticRegression": {
        **dict.fromkeys(["X: 1e300", "X: 1e160", "X: one of 1e300"], OVERFLOW),
        **dict.fromkeys(["X: wide range", "X: one column of 1e300"], OVERFLOW),
        "X: largest floats": OVERFLOW,
        **dict.fromkeys(["w: largest floats", "w: largest and denormal"], OVERFLOW),
        **dict.fromkeys(["w: negative", "w: one negative"], "weights are >= 0"),
        **dict.fromkeys(["y: indicator", "y: two columns", "y: frame of two"], LABELS),
        "w: one positive": "a zero weight is an absent row: one class is left",
        "w: tensor": "a tensor stands for its array",
    },
}


def fits(model, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.fit(**arguments)
        except ERRORS:
            return False
    return True


@pytest.mark.parametrize("name", PAIRS)
def test_scikit_learn_refuses_the_same(name):
    ours, theirs = PAIRS[name]
    X, y = good_data(is_classifier(theirs))
    kinds = [("X", X, INPUTS), ("y", y, TARGETS), ("sample_weight", WEIGHT, WEIGHTS)]
    found = set()
    for argument, value, table in kinds:
        for kind in table:
            both = [
                fits(model, **{"X": X, "y": y, argument: made(table, kind, value)})
                for model in (ours(), clone(theirs))
            ]
            if both[0] != both[1]:
                found.add(f"{argument.removeprefix('sample_')[0]}: {kind}")
    assert found == set(DIFFERENCES[name])
