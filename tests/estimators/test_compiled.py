"""Estimators give the same answers whatever runs their steps."""

import os
import signal
import subprocess
import sys
import threading
import tracemalloc
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from estimators.battery import FAST, make_data, make_for
from estimators.models import Counting, branching
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from threadpoolctl import ThreadpoolController

from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleRegressor,
    nn,
)
from skgrad.backend.cpu import backend, cache, driver, threads
from skgrad.losses import Huber, Quantile

ROOT = Path(__file__).parents[2]
WORTH = "skgrad.executor.work.WORTH_COMPILING"
EXECUTORS = {"cpu": 0.0, "reference": np.inf}
MLP = {**FAST, "hidden_layer_sizes": (8,)}


def fits(model, X, y, monkeypatch, then=lambda model: model, **kwargs):
    """Return a model fitted with compiled kernels and one fitted without."""
    made = []
    for executor, worth in EXECUTORS.items():
        monkeypatch.setattr(WORTH, worth)
        fitted = then(clone(model).fit(X, y, **kwargs))
        assert fitted.fit_report_["executor"] == executor
        made.append(fitted)
    return made


def answers(model, X):
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)
    return model.predict(X)


def assert_same(made, X, rtol=1e-8):
    one, other = made
    found, expected = answers(one, X), answers(other, X)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=rtol)
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=rtol)
    assert one.n_iter_ == other.n_iter_
    names = ("n_iter", "stop_reason", "best_epoch", "n_traces")
    for name in names:
        assert one.fit_report_[name] == other.fit_report_[name]


# -------------------------------------------------------------------- equal answers

MODELS = {
    "linear": GradientLinearRegressor(),
    "linear-lbfgs": GradientLinearRegressor(optimizer="lbfgs", tol=1e-10),
    "linear-adam": GradientLinearRegressor(optimizer="adam", **FAST),
    # With a smaller tol the value no longer falls in the last step, and it is rounding
    # that decides whether that is noticed before it or after it.
    "logistic": GradientLinearClassifier(alpha=0.01, tol=1e-8),
    "logistic-lbfgs": GradientLinearClassifier(
        alpha=0.01, optimizer="lbfgs", tol=1e-12
    ),
    "logistic-adam": GradientLinearClassifier(optimizer="adam", **FAST),
    "mlp": MLPRegressor(**MLP),
    "mlp-classifier": MLPClassifier(**MLP),
    "mlp-dropout": MLPRegressor(**MLP, dropout=0.3, alpha=0.01, l1_ratio=0.5),
    "mlp-schedule": MLPRegressor(**MLP, optimizer="sgd", schedule="cosine"),
    "mlp-plateau": MLPRegressor(**MLP, schedule="plateau", clip_norm=0.5),
    "module-buffers": ModuleRegressor(module=Counting, **FAST),
}


@pytest.mark.parametrize("name", MODELS)
def test_answers(name, monkeypatch):
    X, y = make_for(MODELS[name], n=100)
    made = fits(MODELS[name], X, y, monkeypatch)
    if hasattr(made[0], "coef_"):
        coefs = [model.coef_ for model in made]
        np.testing.assert_allclose(*coefs, rtol=1e-6, atol=1e-8)
    if "lbfgs" in name:  # the last iterations are of rounding's size
        np.testing.assert_allclose(*(answers(m, X) for m in made), rtol=1e-7)
    else:
        assert_same(made, X)


def test_a_buffer_comes_back_to_the_module(monkeypatch):
    X, y = make_data(n=100)
    for model in fits(MODELS["module-buffers"], X, y, monkeypatch):
        # Five epochs of six batches of 16 rows and one of 4.
        assert model.module_.n_calls.item() == 5 * 7


@pytest.mark.parametrize("cls", [MLPRegressor, MLPClassifier])
def test_float32(cls, monkeypatch):
    X, y = make_for(cls(), n=100)
    X = X.astype(np.float32)
    y = y if cls is MLPClassifier else y.astype(np.float32)
    made = fits(cls(**MLP), X, y, monkeypatch)
    assert_same(made, X, rtol=1e-3)
    assert answers(made[0], X).dtype == np.float32


def test_several_classes_and_several_outputs(monkeypatch):
    X, y = make_data(n=100)
    codes = np.digitize(y, np.quantile(y, [0.3, 0.6]))
    assert_same(fits(MLPClassifier(**MLP), X, codes, monkeypatch), X)
    X, Y = make_data(n=100, k=3)
    assert_same(fits(MLPRegressor(**MLP), X, Y, monkeypatch), X)


@pytest.mark.parametrize("scoring", ["loss", "r2"])
def test_early_stopping(scoring, monkeypatch):
    X, y = make_data(n=100)
    params = {**MLP, "max_iter": 40, "tol": 1e-4, "n_iter_no_change": 2}
    model = MLPRegressor(
        **params, early_stopping=True, scoring=scoring, learning_rate=0.1
    )
    made = fits(model, X, y, monkeypatch)
    assert_same(made, X)
    scores = [m.validation_scores_ for m in made]
    np.testing.assert_allclose(*scores, rtol=1e-8)
    assert made[0].fit_report_["best_epoch"] < made[0].n_iter_ < 40


def test_going_on(monkeypatch):
    X, y = make_data(n=100)

    def twice(model):
        return model.set_params(warm_start=True, learning_rate=0.003).fit(X, y)

    made = fits(MLPRegressor(**MLP), X, y, monkeypatch, then=twice)
    assert_same(made, X)
    assert made[0].n_iter_ == 10

    def further(model):
        return model.partial_fit(X, y).partial_fit(X[:30], y[:30])

    assert_same(fits(MLPRegressor(**MLP), X, y, monkeypatch, then=further), X)


def test_a_weight_of_zero_is_an_absent_row(monkeypatch):
    X, y = make_data(n=100)
    w = np.arange(100) % 3 * 0.7
    model = MLPRegressor(**{**MLP, "batch_size": None}, dropout=0.3)
    made = fits(model, X, y, monkeypatch, sample_weight=w)
    assert_same(made, X)
    monkeypatch.setattr(WORTH, 0.0)
    present = clone(model).fit(X[w > 0], y[w > 0], sample_weight=w[w > 0])
    np.testing.assert_allclose(made[0].predict(X), present.predict(X), rtol=1e-12)


def test_verbose_lines_are_the_same(monkeypatch, capsys):
    X, y = make_data(n=100)
    lines = []
    for worth in EXECUTORS.values():
        monkeypatch.setattr(WORTH, worth)
        MLPRegressor(**MLP, verbose=1).fit(X, y, X_val=X, y_val=y)
        lines.append(capsys.readouterr().out.splitlines())
    assert len(lines[0]) == 4
    assert lines[0][:-1] == lines[1][:-1]  # the last one has the seconds


# ------------------------------------------------------------------ who is compiled

SMALL = """
import sys, warnings
import numpy as np
from skgrad import GradientLinearRegressor, MLPRegressor

X = np.random.default_rng(0).normal(size=(60, 3))
warnings.simplefilter("ignore")
for model in (GradientLinearRegressor(), MLPRegressor(max_iter=5)):
    model.fit(X, X[:, 0])
    print(model.fit_report_["executor"], "llvmlite" in sys.modules)
big = MLPRegressor(max_iter=2).fit(X.repeat(2000, axis=0), X[:, 0].repeat(2000))
print(big.fit_report_["executor"], "llvmlite" in sys.modules)
"""


def python(script):
    return subprocess.Popen(
        [sys.executable, "-u", "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(("tests", "."))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_small_fits_do_not_wake_the_compiler():
    process = python(SMALL)
    out, error = process.communicate()
    assert process.returncode == 0, error
    assert out.splitlines() == ["reference False", "reference False", "cpu True"]


def test_the_choice_depends_on_the_amount_of_work_alone():
    X, y = make_data(n=100)
    small = MLPRegressor(**MLP).fit(X, y)
    assert small.fit_report_["executor"] == "reference"
    many = MLPRegressor(**{**MLP, "max_iter": 200, "tol": 0.0, "n_iter_no_change": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        many.fit(X, y)
    # Were all its epochs run: whether it stops early is not known before.
    assert many.fit_report_["executor"] == "cpu"


def test_control_flow_on_values_falls_back_with_one_warning(monkeypatch):
    monkeypatch.setattr(WORTH, 0.0)
    X, y = make_data(n=100)
    with pytest.warns(RuntimeWarning, match="cannot be traced") as seen:
        model = MLPRegressor(**MLP, loss=branching).fit(X, y)
    assert len(seen) == 1
    assert "models.py" in str(seen[0].message)
    assert model.fit_report_["executor"] == "eager"
    plain = MLPRegressor(**MLP).fit(X, y)
    assert plain.fit_report_["executor"] == "cpu"
    np.testing.assert_allclose(model.predict(X), plain.predict(X), rtol=1e-8)


class Wavering(nn.Module):
    """A module that looks at its input."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.linear = nn.Linear(n_features, n_outputs)

    def forward(self, x):
        if x.max() > 1e6:
            x = x / 1e6
        return self.linear(x)


def test_a_module_with_control_flow_on_values_falls_back():
    X, y = make_data(n=2000)
    params = {**FAST, "max_iter": 40, "batch_size": 50}
    with pytest.warns(RuntimeWarning, match=r"traced.*Python control flow") as seen:
        model = ModuleRegressor(module=Wavering, **params).fit(X, y)
    assert len(seen) == 1
    assert model.fit_report_["executor"] == "eager"
    linear = ModuleRegressor(module=nn.Linear, **params).fit(X, y)
    assert linear.fit_report_["executor"] == "cpu"
    np.testing.assert_allclose(model.predict(X), linear.predict(X), rtol=1e-8)


# ------------------------------------------------------------- compiled only once

SIZES = {1: [(16,), (4,), (50,), (100,)], 2: [(16, 16), (7, 30), (64, 20)]}
GRID = {
    "alpha": [1e-3, 1e-5, 0.2],
    "learning_rate": [1e-3, 1e-2],
    "batch_size": [32, 16, 50, 64, 200, None],  # the last batch has 3 rows or more
}
LOSSES = {"delta": Huber, "quantile": Quantile}


def candidates(rng, depth, name, n):
    """Yield the first of all choices, then random ones."""
    values = [0.5, 0.9, 0.37]
    yield {
        **{key: choices[0] for key, choices in GRID.items()},
        "hidden_layer_sizes": SIZES[depth][0],
        "loss": LOSSES[name](**{name: values[0]}),
    }
    for _ in range(n - 1):
        yield {
            **{
                key: choices[rng.integers(len(choices))]
                for key, choices in GRID.items()
            },
            "hidden_layer_sizes": SIZES[depth][rng.integers(len(SIZES[depth]))],
            "loss": LOSSES[name](**{name: values[rng.integers(3)]}),
        }


def test_a_grid_compiles_for_its_first_candidate_only(monkeypatch, rng):
    """Kernels asked for are counted too: those that other tests have made cost nothing.

    Sizes, rates and numbers of the user are no part of a kernel; an extent of one, a
    penalty or none, another loss and another depth may be.
    """
    asked = set()
    function = cache.function

    def noted(key, source):
        asked.add(key)
        return function(key, source)

    monkeypatch.setattr(cache, "function", noted)
    monkeypatch.setattr(WORTH, 0.0)
    X, y = make_data(n=203)
    n_fits = 0
    for depth in SIZES:
        for name in LOSSES:
            counts = []
            for params in candidates(rng, depth, name, 13):
                model = MLPRegressor(**{**FAST, "max_iter": 1, **params}).fit(X, y)
                assert model.fit_report_["executor"] == "cpu"
                made = cache.n_compiled() + cache.n_loaded()
                counts.append((made, frozenset(asked)))
                n_fits += 1
            assert len(set(counts)) == 1
    assert n_fits >= 50
    assert any(key.startswith("KernelSpec") for key in asked)
    assert {"gemm float64", "copy_rows", "driver"} & asked


# ------------------------------------------------------------------- interruption

# An epoch of minutes: the fit ends sooner because the steps are run in parts.
LONG = """
import signal
import threading
import numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)
from skgrad import MLPRegressor
from skgrad.backend.cpu import backend, driver
from skgrad.losses import Quantile

def run(*args):
    threading.Timer(0.5, print, ["running"]).start()  # heard from within the steps
    backend.run = driver.run
    driver.run(*args)

backend.run = run
X = np.random.default_rng(0).normal(size=(500_000, 2))
params = {"hidden_layer_sizes": (1500, 1500), "batch_size": 128, "alpha": 1e-3}
model = MLPRegressor(loss=Quantile(), max_iter=10, tol=None, **params)
model.fit(X, X[:, 0])
print("executor", model.fit_report_["executor"])
print("kept", np.isfinite(model.predict(X[:5])).all())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no GPU, and no SIGINT to others")
def test_a_sigint_within_an_epoch_ends_the_fit():
    process = python(LONG)
    timer = threading.Timer(60, process.kill)
    timer.start()
    try:
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGINT)
        out, error = process.communicate()
    finally:
        timer.cancel()
    assert process.returncode == 0, error
    assert out.splitlines() == ["executor cpu", "kept True"]
    assert "MLPRegressor was interrupted after 0 iterations" in error


# ------------------------------------------------------------------ memory-mapped X


CLASSIFIER = GradientLinearClassifier(alpha=0.1)
LBFGS = GradientLinearRegressor(optimizer="lbfgs", loss="log_cosh", tol=1e-6)


@pytest.mark.parametrize(
    ("model", "dtype"),
    [
        (GradientLinearRegressor(), "float32"),
        (GradientLinearRegressor(), "float64"),
        (CLASSIFIER, "float64"),
        (LBFGS, "float64"),
        # Two kernels that no other test needs.
        pytest.param(CLASSIFIER, "float32", marks=pytest.mark.long),
        pytest.param(LBFGS, "float32", marks=pytest.mark.long),
    ],
    ids=str,
)
def test_a_memory_mapped_input_is_never_copied(
    model, dtype, tmp_path, monkeypatch, rng
):
    monkeypatch.setattr(WORTH, 0.0)
    monkeypatch.setattr("skgrad.train.data.BLOCK_BYTES", 2**18)
    X = rng.normal(size=(20_000, 100)).astype(dtype)
    y = X[:, 0] - X[:, 1] + rng.normal(size=20_000)
    y = y > 0 if hasattr(model, "predict_proba") else y
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", dtype=dtype, mode="r", shape=X.shape)
    model = clone(model).fit(X, y)  # what is loaded and cached once is not counted
    tracemalloc.start()
    try:
        found = clone(model).fit(mapped, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.fit_report_["executor"] == "cpu"
    # The target, the weights and copies of them have 1 or 2 % of X's bytes each.
    assert peak < 0.5 * X.nbytes
    np.testing.assert_array_equal(found.coef_, model.coef_)
    np.testing.assert_array_equal(found.intercept_, model.intercept_)


# ------------------------------------------------------------------------- threads


def search(n_jobs):
    X, y = make_data(n=200)
    model = MLPRegressor(**{**MLP, "max_iter": 3})
    grid = {"alpha": [1e-3, 1e-1], "learning_rate": [1e-3, 1e-2]}
    found = GridSearchCV(model, grid, n_jobs=n_jobs, cv=2, refit=False)
    with joblib.parallel_config("threading"):
        return found.fit(X, y)


def test_two_fits_run_at_once_and_change_no_bit(monkeypatch):
    monkeypatch.setattr(WORTH, 0.0)
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    before = [library.num_threads for library in libraries]
    barrier, seen = threading.Barrier(2, timeout=60), {}

    def meeting(*args):
        thread = threading.get_ident()
        if thread not in seen:  # the first steps of two fits wait for each other
            seen[thread] = [library.num_threads for library in libraries]
            barrier.wait()
        driver.run(*args)

    def give(counts):
        for library, count in zip(libraries, counts, strict=True):
            library.set_num_threads(count)
            threads._release_control(library)

    give([2] * len(libraries))
    try:
        with monkeypatch.context() as patch:
            patch.setattr(backend, "run", meeting)
            both = search(n_jobs=2)
        after = [library.num_threads for library in libraries]
    finally:
        give(before)
    assert len(seen) == 2
    assert not barrier.broken
    assert list(seen.values()) == [[1] * len(libraries)] * 2
    assert after == [2] * len(libraries)
    alone = search(n_jobs=1)
    for name in ("mean_test_score", "split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(both.cv_results_[name], alone.cv_results_[name])
