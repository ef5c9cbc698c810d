"""What a fit prints: nothing, lines now and then, a bar."""

import builtins
import re

import numpy as np
import pytest
from estimators.battery import make_data, regressor

from skgrad import GradientLinearRegressor
from skgrad.callbacks import Callback
from skgrad.estimators.verbose import Lines
from skgrad.train import Epoch, Patience, Progress, StopReason, TrainState


def test_nothing_is_printed_by_default(capsys):
    X, y = make_data()
    regressor("mlp").fit(X, y)
    GradientLinearRegressor().fit(X, y)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["mlp", "mlp-lbfgs", "linear-adam"])
def test_lines_come_after_1_2_5_10_epochs_and_at_the_end(name, capsys):
    X, y = make_data()
    model = regressor(name, verbose=1, max_iter=23).fit(X, y, X_val=X, y_val=y)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    kind = type(model).__name__
    pattern = rf"{kind} +(\d+)  objective (\S+)  validation (-\S+)"
    found = [re.fullmatch(pattern, line) for line in lines[:-1]]
    assert [int(m[1]) for m in found] == [1, 2, 5, 10, 20, 23]
    assert float(found[-1][2]) == pytest.approx(model.loss_, rel=1e-5)
    score = model.validation_scores_[-1]
    assert float(found[-1][3]) == pytest.approx(score, rel=1e-5)
    reason = StopReason.MAX_ITER.value
    assert re.fullmatch(rf"{kind}  \S+ s: {reason}", lines[-1])
    assert err == ""


def test_a_slow_epoch_has_a_line(capsys, monkeypatch):
    seconds = iter([0.0, 0.1, 0.2, 0.5, 1.6, 1.7, 1.8, 1.9, 2.0])
    monkeypatch.setattr("skgrad.estimators.verbose.perf_counter", lambda: next(seconds))
    lines = Lines("Slow")
    progress = Progress(TrainState(np.zeros(1), {}), Patience(None, 10))
    for number in range(1, 5):
        progress.epochs.append(Epoch(number, 0.5, None, 0.1))
        lines(progress)
    numbers = re.findall(r"Slow +(\d+)", capsys.readouterr().out)
    assert numbers == ["1", "2", "4"]


@pytest.mark.parametrize("name", ["mlp", "linear"])
def test_a_bar_shows_how_far_it_is(name, capsys):
    X, y = make_data()
    model = regressor(name, verbose=2).fit(X, y)
    out, err = capsys.readouterr()
    assert type(model).__name__ in out
    assert f"objective {model.loss_:.4g}" in out
    assert model.fit_report_["stop_reason"] in out
    assert f"{len(model.loss_curve_)}/{model.max_iter}" in out
    assert err == ""


def test_a_bar_that_a_failing_fit_leaves_is_stopped(capsys):
    class Failing(Callback):
        def on_epoch(self, estimator, progress):
            raise RuntimeError

    X, y = make_data()
    model = regressor("mlp", verbose=2).set_callbacks(Failing())
    with pytest.raises(RuntimeError):
        model.fit(X, y)
    model.set_callbacks().fit(X, y)  # rich refuses two live bars
    assert "5/5" in capsys.readouterr().out


def test_without_rich_it_says_what_to_install(monkeypatch):
    original = builtins.__import__

    def importing(name, *args, **kwargs):
        if name.split(".")[0] == "rich":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(ImportError, match=r'pip install "skgrad\[progress\]"'):
        regressor("mlp", verbose=2).fit(*make_data())
    regressor("mlp", verbose=1).fit(*make_data())
