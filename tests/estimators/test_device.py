"""Where a fit runs, what is said where it cannot, and fits on a simulated device."""

import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest
from backend.cuda.simulated import simulated_gpu
from estimators.battery import EACH, make_for
from scipy.sparse import random_array
from sklearn.base import clone

from skgrad import (
    GradientElasticNetCV,
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPRegressor,
    QuantileRegressor,
)
from skgrad.estimators.device import (
    LAUNCHES,
    LAUNCHES_PER_TENSOR,
    Work,
    placed,
    placed_prediction,
)
from skgrad.exceptions import DeviceError, FitWarning

SMALL = Work(20_000, 80, 32, 6250, 1409, 4, "float32")
LARGE = Work(1_000_000, 4000, 16_384, 6200, 20_000_000, 6, "float32")
# 1000 steps over a million rows with 100 elements each.
SPARSE = Work(10**6, 1200, 10**6, 1000, 10**5, 2, "float64", density=1e-3)


@pytest.fixture
def gpu():
    with simulated_gpu() as device:
        yield device


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)


# --- where it cannot run ------------------------------------------------------------


@EACH
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_small_fit_is_told_that_a_gpu_would_not_pay(estimator, device, no_gpu):
    model = clone(estimator).set_params(device=device)
    match = f"device='{device}' cannot (be used here|do this).*Set device='cpu'"
    with pytest.raises(DeviceError, match=match):
        model.fit(*make_for(estimator))
    assert not hasattr(model, "module_")


def test_a_large_fit_and_another_device_are_not(no_gpu):
    with pytest.raises(DeviceError, match="CuPy is not installed") as error:
        placed("cuda", LARGE)
    assert "pay" not in str(error.value)
    with pytest.raises(DeviceError, match=r"no device 'tpu'\. Devices are 'cpu', 'cu"):
        placed("tpu", LARGE)


def test_what_only_the_cpu_can_do_is_refused_with_the_remedy(gpu):
    X, y = np.eye(8), np.arange(8.0)
    fits = [
        (GradientElasticNetCV(device="cuda", cv=2), "paths run on the CPU only"),
        (QuantileRegressor(device="cuda"), "or optimizer='lbfgs'"),
    ]
    for model, message in fits:
        with pytest.raises(DeviceError, match=message):
            model.fit(X, y)
        model.set_params(device="auto").fit(X, y)
        assert model.device_ == "cpu"
        assert "CPU only" in model.fit_report_["device_reason"]


# --- what is chosen -----------------------------------------------------------------


def test_auto_takes_a_gpu_for_large_work_only(gpu):
    small, large = placed("auto", SMALL), placed("auto", LARGE)
    assert (small.device, large.device) == ("cpu", "cuda:0")
    assert "too small for a GPU: about 0.034 s on a core" in small.reason
    assert "the fit is large: about" in large.reason


def test_auto_without_a_gpu_says_why(no_gpu):
    device, reason, _ = placed("auto", LARGE)
    assert device == "cpu"
    assert "CuPy is not installed" in reason


def test_more_rows_or_steps_never_speak_for_the_cpu():
    def chosen(factor, **changed):
        times = {k: v * factor for k, v in changed.items()}
        work = Work(**{**vars(LARGE), **times})
        return work.cpu_seconds / work.gpu_seconds

    for name in ("n_rows", "n_steps", "n_parameters"):
        ratios = [chosen(f, **{name: vars(LARGE)[name]}) for f in (1, 4, 16)]
        assert ratios == sorted(ratios)


def test_the_zeros_of_sparse_inputs_are_no_work(gpu):
    assert placed("auto", SPARSE).device == "cuda:0"
    few = replace(SPARSE, n_rows=200, n_steps=5000, n_parameters=20_000)
    # 70 µs of benchmarks/bench_sparse.py: 375 ms for 20 epochs of 250 steps.
    assert 1 / 3 < few.cpu_step / 75e-6 < 3
    assert "too small" in placed("auto", few).reason
    full = replace(few, density=1.0)
    assert few.cpu_step < full.cpu_step / 100
    assert few.gpu_step < full.gpu_step


@pytest.mark.parametrize(
    ("n_rows", "hidden", "seconds"),
    # One core of a Zen 3, benchmarks/results/bench_fit.md: epochs of 20,000 rows.
    [(32, 64, 0.0024 / 625), (256, 256, 0.114 / 79)],
)
def test_the_estimate_is_of_the_size_of_what_was_measured(n_rows, hidden, seconds):
    depth = 1 if hidden == 64 else 2
    n_parameters = 20 * hidden + (depth - 1) * hidden**2 + hidden * depth + hidden + 1
    work = Work(20_000, 80, n_rows, 1, n_parameters, 2 * depth + 2, "float32")
    assert 1 / 3 < work.cpu_step / seconds < 3


# --- fits ---------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::skgrad.exceptions.FitWarning")
@pytest.mark.parametrize("hidden", [(), (8,), (8, 8), (8, 8, 8)])
def test_as_many_launches_are_reckoned_with_as_there_are(hidden, gpu):
    settings = {"batch_size": 150, "max_iter": 1, "tol": None, "random_state": 0}
    model = MLPRegressor(hidden_layer_sizes=hidden, device="cuda", **settings)
    model.fit(*make_data())
    # Of the first step, and of what looks for numbers that are not finite.
    n_tensors = 2 * (1 + len(hidden))
    reckoned = LAUNCHES + LAUNCHES_PER_TENSOR * n_tensors
    assert 0.8 < reckoned / gpu.n_launched < 1.8


def make_data(n=300, dtype="float32"):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4)).astype(dtype)
    return X, (np.sin(X[:, 0]) + 0.1 * rng.normal(size=n)).astype(dtype)


@pytest.mark.filterwarnings("ignore:A GPU does not pay:skgrad.exceptions.FitWarning")
def test_a_network_is_fitted_as_on_the_cpu(gpu):
    X, y = make_data()
    settings = {
        "hidden_layer_sizes": (8,),
        "max_iter": 5,
        "tol": None,
        "dropout": 0.2,
        "early_stopping": True,
        "batch_size": 50,
        "random_state": 0,
    }
    here = MLPRegressor(**settings).fit(X, y)
    there = MLPRegressor(device="cuda", **settings).fit(X, y)
    assert there.fit_report_["executor"] == "cuda:0"
    assert (here.device_, there.device_) == ("cpu", "cuda:0")
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(
        there.validation_scores_, here.validation_scores_, rtol=1e-5
    )
    np.testing.assert_allclose(there.predict(X), here.predict(X), rtol=1e-4, atol=1e-5)
    assert gpu.uploads.count(X[:270].nbytes) <= 1


@pytest.mark.filterwarnings("ignore:A GPU does not pay:skgrad.exceptions.FitWarning")
@pytest.mark.parametrize("optimizer", ["newton", "lbfgs"])
def test_optimizers_of_all_rows(gpu, optimizer):
    X, y = make_data(dtype="float64")
    model = GradientLinearClassifier(optimizer=optimizer, tol=1e-8)
    here = clone(model).fit(X, y > 0)
    there = clone(model).set_params(device="cuda:0").fit(X, y > 0)
    assert there.fit_report_["executor"] == "cuda:0"
    np.testing.assert_allclose(there.coef_, here.coef_, rtol=1e-6)
    np.testing.assert_array_equal(there.predict(X), here.predict(X))


def make_sparse(n=1500, p=8):
    """Return inputs of which a device keeps what is stored, and targets."""
    rng = np.random.default_rng(0)
    X = random_array((n, p), density=0.7, rng=rng, format="csr")
    return X, X @ rng.normal(size=p) + rng.normal(size=n)


@pytest.mark.filterwarnings("ignore:A GPU does not pay:skgrad.exceptions.FitWarning")
@pytest.mark.parametrize(("optimizer", "tol"), [("lbfgs", 0.1), ("adam", None)])
def test_sparse_inputs(gpu, optimizer, tol):
    X, y = make_sparse()
    model = GradientLinearClassifier(
        optimizer=optimizer, max_iter=3, tol=tol, batch_size=300, random_state=0
    )
    here = clone(model).fit(X, y > 0)
    there = clone(model).set_params(device="cuda").fit(X, y > 0)
    assert there.fit_report_["executor"] == "cuda:0"
    np.testing.assert_allclose(there.coef_, here.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(there.loss_curve_, here.loss_curve_, rtol=1e-9)
    assert gpu.uploads.count(X.data.nbytes) == 1  # it stays there


@pytest.mark.filterwarnings("ignore:A GPU does not pay:skgrad.exceptions.FitWarning")
def test_sparse_inputs_changed_between_fits_are_not_those_of_the_fit_before(gpu):
    X, y = make_sparse()
    here = GradientLinearRegressor(optimizer="newton")
    there = clone(here).set_params(device="cuda")
    for _ in range(2):
        coef = here.fit(X, y).coef_
        np.testing.assert_allclose(there.fit(X, y).coef_, coef, rtol=1e-9)
        X.data[::3] *= 2


@pytest.mark.filterwarnings("ignore:A GPU does not pay:skgrad.exceptions.FitWarning")
def test_what_was_fitted_on_a_gpu_needs_none_any_more(no_gpu):
    X, y = make_data()
    settings = {"max_iter": 2, "tol": None, "random_state": 0}
    model = MLPRegressor(hidden_layer_sizes=3, device="cuda", **settings)
    with simulated_gpu():
        model.fit(X, y)
        expected, stored = model.predict(X), pickle.dumps(model)
    np.testing.assert_array_equal(pickle.loads(stored).predict(X), expected)


def test_a_gpu_that_only_slows_a_fit_down_is_warned_of(gpu):
    X, y = make_data()
    settings = {"max_iter": 2, "tol": None, "random_state": 0}
    model = MLPRegressor(hidden_layer_sizes=3, device="cuda", **settings)
    with pytest.warns(
        FitWarning, match="does not pay for work this small: a step"
    ) as w:
        model.fit(X, y)
    assert w[0].filename == __file__


def test_large_predictions_go_where_the_fit_was(gpu, monkeypatch):
    assert placed_prediction("cuda:0", 10**6, 10**5) == "cuda:0"
    assert placed_prediction("cuda:0", 10, 10**5) == "cpu"
    assert placed_prediction("cpu", 10**9, 10**5) == "cpu"
    assert placed_prediction("cuda:1", 10**6, 10**5) == "cpu"  # there is one here
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert placed_prediction("cuda:0", 10**6, 10**5) == "cpu"
