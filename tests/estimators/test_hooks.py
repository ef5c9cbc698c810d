"""scikit-learn's callbacks around our epochs, and what identifies a fit."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from estimators.battery import EACH, make_data, make_for, regressor, theta
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgrad import MLPRegressor, losses, optim
from skgrad.estimators.hooks import fit_key
from skgrad.train import StopReason

ROOT = Path(__file__).parents[2]


class Spy:
    """A callback that remembers what it was called with."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.calls.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(
        self, estimator, context, *, X=None, metadata=None, fitted_estimator=None
    ):
        progress = getattr(context, "progress", None)
        made = None if progress is None else len(progress.epochs)
        self.calls.append(("end", context.task_name, context.task_id, made))
        self.X, self.metadata, self.fitted = X, metadata, fitted_estimator
        return made == self.stop_at


@EACH
def test_the_hooks_are_called_around_fit_and_epochs(estimator):
    X, y = make_for(estimator)
    spy = Spy()
    model = clone(estimator).set_callbacks(spy).fit(X, y)
    n = len(model.loss_curve_)
    assert spy.calls[:2] == [("setup", "fit"), ("begin", "fit", 0)]
    made = [c for c in spy.calls if c[:2] == ("end", "epoch") and c[3] is not None]
    assert made == [("end", "epoch", i, i + 1) for i in range(n)]
    begun = [c for c in spy.calls if c[:2] == ("begin", "epoch")]
    ended = [c for c in spy.calls if c[:2] == ("end", "epoch")]
    assert [c[2] for c in begun] == [c[2] for c in ended]
    assert spy.calls[-2:] == [("end", "fit", 0, n), ("teardown", "fit")]


@EACH
def test_callbacks_change_nothing(estimator):
    X, y = make_for(estimator)
    plain, with_spy = clone(estimator).fit(X, y), clone(estimator)
    with_spy.set_callbacks(Spy()).fit(X, y)
    np.testing.assert_array_equal(theta(plain), theta(with_spy))
    assert plain.loss_curve_ == with_spy.loss_curve_


@pytest.mark.parametrize("name", ["mlp", "mlp-lbfgs", "linear-adam"])
def test_a_callback_stops_by_returning_true(name):
    X, y = make_data()
    model = regressor(name).set_callbacks(Spy(stop_at=2)).fit(X, y)
    assert model.fit_report_["stop_reason"] == StopReason.STOPPED.value
    assert len(model.loss_curve_) == 2
    if name != "mlp-lbfgs":
        shorter = regressor(name, max_iter=2).fit(X, y)
        np.testing.assert_array_equal(theta(model), theta(shorter))


@pytest.mark.parametrize("optimizer", ["adam", optim.Averaged(optim.Adam()), "lbfgs"])
def test_the_fitted_estimator_is_that_of_the_epoch(optimizer):
    X, y = make_data()

    class Predicting(Spy):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            if fitted_estimator is not None:
                predictions.append(fitted_estimator.predict(X))

    predictions = []
    model = regressor("mlp", optimizer=optimizer).set_callbacks(Predicting()).fit(X, y)
    np.testing.assert_array_equal(predictions[-1], model.predict(X))
    np.testing.assert_array_equal(predictions[-2], model.predict(X))
    assert not np.array_equal(predictions[0], predictions[1])
    if optimizer != "lbfgs":
        first = regressor("mlp", optimizer=optimizer, max_iter=1).fit(X, y)
        np.testing.assert_array_equal(predictions[0], first.predict(X))


def test_hooks_see_what_the_user_gave():
    X, y = make_data()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    w = np.ones(len(y))
    spy = Spy()
    regressor("mlp").set_callbacks(spy).fit(frame, y, w)
    assert spy.X is frame
    assert spy.metadata["sample_weight"] is w


@pytest.mark.parametrize("name", ["mlp", "linear"])
def test_a_scoring_monitor_scores_each_epoch(name):
    X, y = make_data()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    monitor = ScoringMonitor(scoring="neg_mean_squared_error")
    model = regressor(name).set_callbacks(monitor).fit(frame, y)
    rows = monitor.get_logs().data
    scores = [r["neg_mean_squared_error"] for r in rows if r["task_name"] == "epoch"]
    assert len(scores) == len(model.loss_curve_)
    expected = -mean_squared_error(y, model.predict(frame))
    np.testing.assert_allclose(scores[-1], expected, rtol=1e-12)


def test_they_propagate_from_a_search_through_a_pipeline():
    X, y = make_data()
    monitor = ScoringMonitor(scoring="r2")
    pipeline = make_pipeline(StandardScaler(), regressor("mlp"))
    grid = {"mlpregressor__alpha": [0.0, 1.0]}
    pipeline[-1].set_callbacks(monitor)
    GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    n_fits = 2 * 2 + 1
    rows = monitor.get_logs(include_lineage=True).data
    assert sum(row["task_name"] == "epoch" for row in rows) == 5 * n_fits


def test_a_progress_bar_of_a_search_shows_our_epochs(capsys):
    X, y = make_data()
    grid = {"alpha": [0.0, 1.0]}
    search = GridSearchCV(regressor("mlp"), grid, cv=2)
    search.set_callbacks(ProgressBar())
    search.fit(X, y)
    out = capsys.readouterr().out
    assert "MLPRegressor" in out
    assert "100%" in out


def test_a_fit_that_fails_is_torn_down():
    X, y = make_data()
    spy = Spy()
    model = regressor("mlp", loss=losses.Poisson()).set_callbacks(spy)
    with pytest.raises(ValueError, match="Poisson"):
        model.fit(X, -y)
    assert spy.calls[-1][0] == "teardown"
    assert not hasattr(model, "module_")


def test_partial_fit_calls_no_hooks():
    spy = Spy()
    regressor("mlp").set_callbacks(spy).partial_fit(*make_data())
    assert spy.calls == []


def test_epochs_that_are_repeated_after_a_divergence_fit_into_the_tasks():
    X, y = make_data()
    spy = Spy()
    model = regressor("mlp", optimizer="sgd", learning_rate=100.0, max_iter=4)
    model.set_callbacks(spy)
    with pytest.warns(UserWarning, match="went back to its weights"):
        model.fit(X, y)
    assert len([c for c in spy.calls if c[:2] == ("begin", "epoch")]) <= 4


# ------------------------------------------------------------------------- the key


def square(y_true, raw_prediction, power=2):
    return abs(y_true - raw_prediction) ** power


def key(X=None, state=None, **params):
    X = np.ones(3) if X is None else X
    return fit_key(MLPRegressor(**params), [X, None], state)


def test_a_key_depends_on_everything_a_fit_depends_on():
    keys = [
        key(),
        key(np.zeros(3)),
        key(np.ones(3, dtype=np.float32)),
        key(np.ones((3, 1))),
        key(np.array(["a", "b"], dtype=object)),
        key(alpha=0.1),
        key(loss="huber"),
        key(loss=losses.Huber()),
        key(loss=losses.Huber(delta=2.0)),
        key(loss=square),
        key(loss=partial(square, power=4)),
        key(optimizer=optim.Adam()),
        key(optimizer=optim.Adam(b1=0.5)),
        key(optimizer=optim.Averaged(optim.Adam())),
        key(hidden_layer_sizes=(3, 4)),
        key(hidden_layer_sizes=(3,)),
        key(max_iter=7),
    ]
    assert len(set(keys)) == len(keys)
    assert key(loss=losses.Huber(delta=2.0)) == key(loss=losses.Huber(delta=2.0))


KEY = """
import sys
sys.path.insert(0, "tests")
from estimators.test_hooks import key, square
from functools import partial
from skgrad import losses, nn, optim
print(key(loss=partial(square, power=4), optimizer=optim.Averaged(optim.Adam())))
print(key(loss=losses.Huber(delta=2.0), activation=nn.PReLU))
"""


def test_a_key_is_the_same_in_another_process():
    out = [
        subprocess.run(
            [sys.executable, "-c", KEY],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert out[0] == out[1]
    assert len(set(out[0].split())) == 2
