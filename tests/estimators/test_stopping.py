"""Fits that are interrupted, diverge or do not converge."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from estimators.battery import (
    make_data,
    regressor,
)
from sklearn.exceptions import (
    ConvergenceWarning,
)

import skgrad
from skgrad import (
    GradientLinearRegressor,
    MLPRegressor,
)
from skgrad.exceptions import DivergenceError

ROOT = Path(__file__).parents[2]


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


# In the background a shell lets processes ignore the signal; a user's does not.
SCRIPT = """
import signal
import numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)
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
            if re.search(r"MLPRegressor +2 ", line):
                break
        process.send_signal(signal.SIGINT)
        out, error = process.communicate()
    finally:
        timer.cancel()
    assert process.returncode == 0, error
    assert re.search(r"kept \d+ True", out)
    assert "ConvergenceWarning: MLPRegressor was interrupted after" in error


# ------------------------------------------------------------ divergence, warnings


def test_divergence_is_an_error_with_a_remedy():
    X, y = make_data()
    model = regressor("linear-adam", optimizer="sgd", learning_rate=1e6)
    model.set_params(standardize=False, max_iter=1000, on_divergence="raise")
    with pytest.raises(DivergenceError, match=r"grew from .* by epoch 1.*try 100000"):
        model.fit(1e3 * X, y)
    assert not hasattr(model, "coef_")
    with pytest.raises(
        DivergenceError, match=r"The objective .*learning rate is too h"
    ):
        model.set_params(tol=1e-6, max_iter=1000).fit(1e3 * X, y)


@pytest.mark.parametrize("seed", range(5))
def test_a_first_row_that_fits_by_chance_is_no_divergence(seed):
    X, y = make_data()
    regressor("mlp", batch_size=1, max_iter=2, random_state=seed).fit(X, y)
    regressor("mlp", random_state=seed).partial_fit(X[:1], y[:1]).partial_fit(X, y)


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


def log_of_ratio(y_true, raw_prediction):
    return skgrad.log(raw_prediction / y_true) ** 2  # the logarithm


def root_of_zero(y_true, raw_prediction):
    error = (raw_prediction - y_true) ** 2
    return error + skgrad.sqrt(error * 0.0)  # the root


@pytest.mark.parametrize(
    ("loss", "match", "line"),
    [
        (log_of_ratio, r"log\(-\S+\) is nan in log_of_ratio", "# the logarithm"),
        (
            root_of_zero,
            "divide.* is inf in the derivative of sqrt in root_of_zero",
            "# the root",
        ),
    ],
)
# The last one is compiled.
@pytest.mark.parametrize(
    ("optimizer", "max_iter"), [("adam", 2), ("lbfgs", 2), ("adam", 4000)]
)
def test_a_loss_of_ones_own_is_blamed_by_its_line(
    loss, match, line, optimizer, max_iter, rng
):
    X = rng.normal(size=(60, 3))
    model = MLPRegressor(
        loss=loss,
        optimizer=optimizer,
        max_iter=max_iter,
        hidden_layer_sizes=(4,),
        standardize=False,
        random_state=0,
    )
    with pytest.raises(DivergenceError, match=match) as error:
        model.fit(X, np.exp(X[:, 0]))
    assert line in str(error.value)
    assert "Keep the operand positive" in str(error.value)
    assert "test_stopping.py:" in str(error.value)
