"""What all estimators share: fitting, stopping, continuing, interruption, errors."""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from estimators.models import (
    Bare,
    Counting,
    Residual,
    ThreeOutputs,
    WithDropout,
    asymmetric,
    branching,
    cross_entropy,
    fourth_power,
    squared_hinge,
    squared_sum,
)
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import (
    ConvergenceWarning,
    DataConversionWarning,
    NotFittedError,
)
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skgrad
from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
    nn,
)
from skgrad.exceptions import DeviceError, DivergenceError, ParameterError, ShapeError
from skgrad.losses import LogLoss
from skgrad.optim import Adam

ROOT = Path(__file__).parents[2]
FAST = {"tol": None, "max_iter": 5, "random_state": 0, "batch_size": 16}
MLP = {"hidden_layer_sizes": (8,), **FAST}
REGRESSORS = {
    "linear": GradientLinearRegressor(),
    "linear-adam": GradientLinearRegressor(optimizer="adam", **FAST),
    "mlp": MLPRegressor(**MLP),
    "mlp-lbfgs": MLPRegressor(**MLP, optimizer="lbfgs"),
    "mlp-dropout": MLPRegressor(**MLP, dropout=0.3, alpha=0.01, l1_ratio=0.5),
    "module": ModuleRegressor(module=Residual, **FAST),
    "module-dropout": ModuleRegressor(module=WithDropout, **FAST),
}
CLASSIFIERS = {
    "linear": GradientLinearClassifier(),
    "linear-adam": GradientLinearClassifier(optimizer="adam", **FAST),
    "mlp": MLPClassifier(**MLP),
    "mlp-dropout": MLPClassifier(**MLP, dropout=0.3),
    "module": ModuleClassifier(module=Residual, **FAST),
}
EACH_REGRESSOR = pytest.mark.parametrize("name", REGRESSORS)
STOCHASTIC = [name for name in REGRESSORS if name not in ("linear", "mlp-lbfgs")]
EACH_STOCHASTIC = pytest.mark.parametrize("name", STOCHASTIC)
ESTIMATORS = [*REGRESSORS.values(), *CLASSIFIERS.values()]
EACH = pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)


def make_data(n=40, p=3, k=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * [1.0, 10.0, 0.1][:p] + 5.0
    W = rng.normal(size=p if k is None else (p, k))
    return X, (X - 5) @ W + 0.1 * rng.normal(size=n if k is None else (n, k)) + 100


def make_for(estimator, **kwargs):
    X, y = make_data(**kwargs)
    if hasattr(estimator, "predict_proba"):
        y = np.where(y > np.median(y), "high", "low")
    return X, y


def regressor(name, **params):
    return clone(REGRESSORS[name]).set_params(**params)


def assert_same_predictions(actual, expected):
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(actual, expected, rtol=1e-9)
    else:
        np.testing.assert_array_equal(actual, expected)


def theta(model):
    return np.concatenate([p.numpy().ravel() for p in model.module_.parameters()])


# ------------------------------------------------------------------- reproducible


@EACH
def test_one_seed_gives_equal_bits_and_leaves_global_seeds_alone(estimator):
    X, y = make_for(estimator)
    fits = []
    for global_seed in (1, 2):
        np.random.seed(global_seed)  # noqa: NPY002 - it must not matter
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        fits.append(clone(estimator).fit(X, y))
        np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    one, other = fits
    np.testing.assert_array_equal(theta(one), theta(other))
    assert one.loss_curve_ == other.loss_curve_
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    again = one.fit(X, y)
    np.testing.assert_array_equal(theta(again), theta(other))


@pytest.fixture(autouse=True)
def numpy_state():
    """Restore NumPy's global state, which some tests here set on purpose."""
    state = np.random.get_state()  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002


@EACH_STOCHASTIC
def test_other_seeds_give_other_fits(name):
    X, y = make_data()
    seeds = [0, 1, None, None, np.random.RandomState(0), np.random.RandomState(1)]
    fits = [theta(regressor(name, random_state=s).fit(X, y)) for s in seeds]
    assert len({fit.tobytes() for fit in fits}) == len(seeds)


def test_a_random_state_object_advances_and_can_be_repeated():
    X, y = make_data()
    state = np.random.RandomState(5)
    model = regressor("mlp", random_state=state)
    first, second = theta(model.fit(X, y)), theta(model.fit(X, y))
    assert not np.array_equal(first, second)
    model.set_params(random_state=np.random.RandomState(5))
    np.testing.assert_array_equal(theta(model.fit(X, y)), first)


def test_streams_of_a_seed_are_independent():
    # Shuffling draws nothing from the stream of the initial weights.
    X, y = make_data()
    start = {"learning_rate": 1e-300}
    shuffled = theta(regressor("mlp", shuffle=True, **start).fit(X, y))
    np.testing.assert_array_equal(
        shuffled, theta(regressor("mlp", shuffle=False, **start).fit(X, y))
    )
    np.testing.assert_array_equal(
        shuffled, theta(regressor("mlp", early_stopping=True, **start).fit(X, y))
    )


# -------------------------------------------------------------------------- traces


@EACH_STOCHASTIC
@pytest.mark.parametrize(("n", "n_traces"), [(32, 1), (40, 2), (16, 1), (5, 1)])
def test_one_trace_per_batch_shape(name, n, n_traces):
    X, y = make_data(n=n)
    model = regressor(name, schedule="cosine", clip_norm=0.5)
    assert model.fit(X, y).fit_report_["n_traces"] == n_traces


def test_a_loss_that_looks_at_values_runs_eagerly_and_fits_the_same():
    X, y = make_data()
    expected = regressor("mlp").fit(X, y)
    model = regressor("mlp", loss=branching)
    with pytest.warns(RuntimeWarning, match=r"cannot be traced and runs eagerly"):
        model.fit(X, y)
    np.testing.assert_allclose(theta(model), theta(expected), rtol=1e-10)
    assert model.fit_report_["executor"] == "eager"
    assert expected.fit_report_["executor"] == "reference"


@pytest.mark.filterwarnings("ignore:.*cannot be traced:RuntimeWarning")
def test_a_linear_loss_that_looks_at_values_equals_least_squares():
    X, y = make_data()
    model = GradientLinearRegressor(loss=branching).fit(X, y)
    expected = GradientLinearRegressor().fit(X, y)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-8)


# ------------------------------------------------------------------ sample weights


@pytest.mark.parametrize("name", [n for n in REGRESSORS if n != "linear"])
def test_weights_equal_repeated_rows_when_one_batch_holds_all(name):
    X, y = make_data()
    w = np.arange(len(y)) % 4
    model = regressor(name, batch_size=None)
    weighted = theta(model.fit(X, y, w))
    repeated = theta(model.fit(np.repeat(X, w, axis=0), np.repeat(y, w)))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_zero_weight_is_an_absent_row_in_minibatches_too(name):
    X, y = make_data()
    w = np.arange(len(y)) % 3 * 0.5
    model = regressor(name)
    weighted = theta(model.fit(X, y, w))
    present = w > 0
    absent = theta(model.fit(X[present], y[present], w[present]))
    np.testing.assert_array_equal(weighted, absent)


def test_weights_that_are_all_zero_or_negative_raise():
    X, y = make_data()
    with pytest.raises(ValueError, match="zero"):
        regressor("mlp").fit(X, y, np.zeros(40))
    with pytest.raises(ValueError, match="Negative values in data passed to"):
        regressor("mlp").fit(X, y, -np.ones(40))


# ---------------------------------------------------------------------- validation


@pytest.mark.parametrize("name", ["linear-adam", "mlp", "mlp-lbfgs", "module-dropout"])
def test_validation_rows_are_scored_after_each_epoch(name):
    X, y = make_data()
    X_val, y_val = make_data(seed=1)
    model = regressor(name, batch_size=None)
    plain = clone(model).fit(X, y)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert len(model.validation_scores_) == len(model.loss_curve_)
    # They are recorded and change nothing else.
    np.testing.assert_array_equal(theta(model), theta(plain))
    assert plain.validation_scores_ == []
    model.set_params(scoring="r2").fit(X, y, X_val=X_val, y_val=y_val)
    np.testing.assert_allclose(model.validation_scores_[-1], model.score(X_val, y_val))


def test_the_validation_loss_is_weighted_and_on_the_standardised_scale():
    X, y = make_data()
    X_val, y_val = make_data(seed=1)
    w = np.linspace(0, 2, 40)
    model = regressor("mlp-dropout")
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=w)
    error = (y_val - model.predict(X_val)) / y.std()
    expected = -np.average(error**2 / 2, weights=w)
    np.testing.assert_allclose(model.validation_scores_[-1], expected, rtol=1e-10)


@pytest.mark.parametrize("scoring", ["loss", "r2", "neg_mean_absolute_error"])
@pytest.mark.parametrize("given", [True, False])
def test_early_stopping_restores_the_best_epoch(scoring, given):
    X, y = make_data(n=80)
    validation = dict(zip(("X_val", "y_val"), make_data(seed=1), strict=True))
    model = regressor("mlp", early_stopping=True, scoring=scoring, tol=0.0)
    model.set_params(learning_rate=0.1, n_iter_no_change=3, max_iter=200)
    model.fit(X, y, **validation if given else {})
    scores, best = model.validation_scores_, model.fit_report_["best_epoch"]
    assert best == 1 + int(np.argmax(scores))
    assert best < model.n_iter_ == len(scores)
    assert "validation score stopped" in model.fit_report_["stop_reason"]
    # As if it had been stopped there.
    shorter = clone(model).set_params(max_iter=best)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        shorter.fit(X, y, **validation if given else {})
    np.testing.assert_array_equal(theta(model), theta(shorter))


def test_early_stopping_with_a_scorer_object_and_pandas():
    X, y = make_data(n=60)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])

    def scorer(estimator, X, y, sample_weight=None):
        assert X.shape == (6, 3)
        return estimator.score(X, y, sample_weight)

    model = regressor("mlp", early_stopping=True, scoring=scorer).fit(frame, y)
    assert len(model.validation_scores_) == 5
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]


def test_validation_rows_are_checked():
    X, y = make_data()
    model = regressor("mlp")
    with pytest.raises(ValueError, match="both X_val and y_val, or neither"):
        model.fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="2 features, but MLPRegressor is expecting 3"):
        model.fit(X, y, X_val=X[:, :2], y_val=y)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X, y, X_val=X, y_val=y * np.nan)


@pytest.mark.parametrize("name", ["linear", "mlp-lbfgs"])
def test_early_stopping_needs_a_stochastic_optimizer(name):
    with pytest.raises(ParameterError, match=r"early_stopping needs a stochastic opt"):
        regressor(name, early_stopping=True).fit(*make_data())


# ---------------------------------------------------------------------- continuing


@EACH_STOCHASTIC
def test_partial_fit_equals_epochs_in_order(name):
    X, y = make_data()
    model = regressor(name, shuffle=False, max_iter=1)
    expected = theta(model.fit(X, y))
    np.testing.assert_array_equal(
        theta(regressor(name, shuffle=False).partial_fit(X, y)), expected
    )
    model = regressor(name, shuffle=False)
    for _ in range(5):
        model.partial_fit(X, y)
    whole = regressor(name, shuffle=False).fit(X, y)
    np.testing.assert_array_equal(theta(model), theta(whole))
    assert model.loss_curve_ == whole.loss_curve_
    assert model.n_iter_ == 5


@EACH_STOCHASTIC
def test_two_warm_fits_equal_one_of_twice_the_epochs(name):
    X, y = make_data()
    model = regressor(name, warm_start=True, max_iter=3).fit(X, y).fit(X, y)
    whole = regressor(name, max_iter=6).fit(X, y)
    np.testing.assert_array_equal(theta(model), theta(whole))
    assert model.loss_curve_ == whole.loss_curve_
    assert model.n_iter_ == whole.n_iter_ == 6


def test_a_warm_fit_starts_at_the_last_solution():
    X, y = make_data()
    model = regressor("mlp-lbfgs", warm_start=True).fit(X, y)
    first = model.loss_
    assert model.fit(X, y).loss_curve_[5] < first
    model = GradientLinearRegressor(loss="log_cosh", warm_start=True).fit(X, y)
    n_iter = len(model.loss_curve_)
    assert len(model.fit(X, y).loss_curve_) < 2 * n_iter


@pytest.mark.parametrize(
    ("before", "after"),
    [("lbfgs", "adam"), ("adam", "lbfgs"), ("adam", "sgd"), ("sgd", Adam(b1=0.5))],
)
def test_a_warm_fit_may_change_the_optimizer(before, after):
    X, y = make_data()
    model = regressor("mlp", optimizer=before, warm_start=True).fit(X, y)
    first = model.loss_
    model.set_params(optimizer=after, schedule="plateau", learning_rate=1e-3)
    assert model.fit(X, y).loss_ < 1.01 * first


def test_a_failed_first_warm_fit_leaves_nothing():
    X, y = make_for(CLASSIFIERS["mlp"])
    model = MLPClassifier(**MLP, warm_start=True, loss=lambda y, f: f.sum())
    with pytest.raises(ShapeError):
        model.fit(X, y)
    model.set_params(loss="log_loss").fit(X, y == "low")
    assert model.classes_.tolist() == [False, True]


@EACH
def test_a_failing_fit_leaves_no_model(estimator):
    X, y = make_for(estimator)
    model = clone(estimator).fit(X, y)
    model.set_params(loss=lambda y, f: f.sum())
    with pytest.raises(ShapeError, match="one value per sample"):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_partial_fit_is_there_for_stochastic_optimizers_only():
    assert not hasattr(GradientLinearRegressor(), "partial_fit")
    assert hasattr(GradientLinearRegressor(optimizer="sgd"), "partial_fit")
    assert not hasattr(MLPRegressor(optimizer="lbfgs"), "partial_fit")
    with pytest.raises(AttributeError) as error:
        _ = GradientLinearClassifier().partial_fit
    assert "set optimizer='sgd' or 'adam'" in str(error.value.__cause__)
    with pytest.raises(ParameterError, match="early_stopping=False"):
        regressor("mlp", early_stopping=True).partial_fit(*make_data())


def test_partial_fit_of_a_classifier_needs_the_classes_once():
    X, y = make_for(CLASSIFIERS["mlp"])
    model = clone(CLASSIFIERS["mlp"])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    model.partial_fit(
        X[y == "low"][:5], y[y == "low"][:5], classes=["low", "high", "x"]
    )
    model.partial_fit(X, y)
    assert model.classes_.tolist() == ["high", "low", "x"]
    assert model.predict_proba(X).shape == (40, 3)
    with pytest.raises(ValueError, match=r"classes \['new'\] that were not among"):
        model.partial_fit(X, np.where(y == "low", "new", y))


# -------------------------------------------------------------------- interruption


def interrupting(at):
    """Return a squared error that is interrupted when it is traced or run ``at``."""
    calls = []

    def loss(y_true, raw_prediction):
        calls.append(None)
        if len(calls) == at:
            raise KeyboardInterrupt
        float(raw_prediction[0])  # not traceable: called at every step
        return 0.5 * (y_true - raw_prediction) ** 2

    return loss


@pytest.mark.filterwarnings("ignore:.*cannot be traced:RuntimeWarning")
def test_ctrl_c_keeps_the_best_epoch_and_warns():
    X, y = make_data()
    # Three batches per epoch: the trace of the full batch (which fails) and its eager
    # steps, that of the last batch, ...; call 13 is in the fourth epoch.
    model = regressor("mlp", loss=interrupting(13))
    with pytest.warns(ConvergenceWarning, match=r"interrupted after 3 iter.*is kept"):
        model.fit(X, y)
    assert len(model.loss_curve_) == 3
    assert model.fit_report_["best_epoch"] == 1 + int(np.argmin(model.loss_curve_))
    assert not model.fit_report_["converged"]
    shorter = regressor("mlp", max_iter=model.fit_report_["best_epoch"]).fit(X, y)
    np.testing.assert_allclose(model.predict(X), shorter.predict(X), rtol=1e-10)


@pytest.mark.filterwarnings("ignore:.*cannot be traced:RuntimeWarning")
def test_ctrl_c_in_the_first_epoch_leaves_the_initial_model():
    X, y = make_data()
    for model in (
        regressor("mlp", loss=interrupting(2)),
        GradientLinearRegressor(loss=interrupting(3)),
    ):
        with pytest.warns(ConvergenceWarning, match="interrupted after 0 iterations"):
            model.fit(X, y)
        assert np.isfinite(model.predict(X)).all()
        assert model.n_iter_ == 1


@pytest.mark.filterwarnings("ignore:.*cannot be traced:RuntimeWarning")
def test_ctrl_c_in_partial_fit_ends_the_loop_of_the_user():
    X, y = make_data()
    model = regressor("mlp", loss=interrupting(7))
    model.partial_fit(X, y)
    before = model.predict(X)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(X, y)
    assert model.n_iter_ == 1
    np.testing.assert_array_equal(model.predict(X), before)


SCRIPT = """
import numpy as np
from skgrad import MLPRegressor
X = np.random.default_rng(0).normal(size=(2000, 5))
model = MLPRegressor(max_iter=10**6, tol=None, verbose=1, random_state=0)
model.fit(X, X[:, 0])
print("kept", len(model.loss_curve_), model.score(X, X[:, 0]) > -1)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no GPU, and no SIGINT to others")
def test_a_real_sigint_ends_the_fit():
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", SCRIPT],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    timer = threading.Timer(60, process.kill)
    timer.start()
    try:
        for line in process.stdout:
            if re.search(r"MLPRegressor +3 ", line):
                break
        process.send_signal(signal.SIGINT)
        out, error = process.communicate()
    finally:
        timer.cancel()
    assert process.returncode == 0, error
    assert re.search(r"kept \d+ True", out)
    assert "ConvergenceWarning: MLPRegressor was interrupted after" in error


# ----------------------------------------------------------- divergence, warnings


def test_divergence_is_an_error_with_a_remedy():
    X, y = make_data()
    model = regressor("linear-adam", optimizer="sgd", learning_rate=1e6)
    model.set_params(standardize=False, max_iter=1000)
    with pytest.raises(DivergenceError, match=r"not finite after epoch .*try 100000"):
        model.fit(1e3 * X, y)
    assert not hasattr(model, "coef_")


def test_a_divergence_at_once_in_full_batch_is_an_error():
    model = GradientLinearRegressor(loss=lambda y, f: skgrad.log(f - f - 1.0))
    with pytest.raises(DivergenceError, match="not finite after 0 iterations"):
        model.fit(*make_data())


@pytest.mark.parametrize("name", ["linear-adam", "mlp", "mlp-lbfgs"])
def test_the_warning_says_what_to_change(name):
    model = regressor(name, tol=1e-9, max_iter=3, n_iter_no_change=100)
    with pytest.warns(
        ConvergenceWarning, match=r"max_iter=3 .*tol=1e-09. Increase max"
    ):
        model.fit(*make_data())
    assert not model.fit_report_["converged"]


def test_verbose_prints_a_line_per_epoch(capsys):
    X, y = make_data()
    regressor("mlp").fit(X, y)
    assert capsys.readouterr() == ("", "")
    regressor("mlp", verbose=1).fit(X, y, X_val=X, y_val=y)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 5
    pattern = r"MLPRegressor +5  objective \d\S+  validation -\d\S+"
    assert re.fullmatch(pattern, lines[-1])
    assert err == ""
    GradientLinearRegressor(verbose=1).fit(X, y)
    assert len(capsys.readouterr().out.splitlines()) == 1


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


def test_the_target_must_fit_the_loss_and_the_task():
    X, y = make_data()
    with pytest.raises(ValueError, match=r"loss 'poisson' must lie in \[0, inf\)"):
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


# -------------------------------------------------------------------- kinds of input


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


# ---------------------------------------------------------------- kinds of targets


@EACH_REGRESSOR
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
    if name != "linear":
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


def test_class_weights_multiply_sample_weights():
    X, y = make_for(CLASSIFIERS["mlp"])
    w = np.linspace(0.5, 2, 40)
    model = clone(CLASSIFIERS["mlp"]).set_params(class_weight={"low": 3.0, "high": 1.0})
    by_hand = clone(CLASSIFIERS["mlp"]).fit(X, y, w * np.where(y == "low", 3.0, 1.0))
    np.testing.assert_allclose(theta(model.fit(X, y, w)), theta(by_hand), rtol=1e-10)
    absent = model.set_params(class_weight={"low": 0.0, "high": 1.0})
    assert np.isfinite(absent.fit(X, y).predict_proba(X)).all()


# ---------------------------------------------------------- buffers, threads, pickle


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
    assert model.n_outputs_ == 1
    assert not model.module_.training
    report = model.fit_report_
    assert {"optimizer", "executor", "stop_reason", "converged", "n_traces"} <= set(
        report
    )
    assert "objective" in repr(model) or type(model).__name__ in repr(model)
    with pytest.raises(NotFittedError):
        clone(estimator).predict(X)


# --------------------------------------------------------------- inside scikit-learn


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
