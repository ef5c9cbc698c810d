"""A fit that is killed goes on to the result it would have had."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from estimators.battery import CLASSIFIERS, EACH_STOCHASTIC, make_data, regressor, theta
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skgrad import MLPRegressor
from skgrad.callbacks import Callback, Checkpoint
from skgrad.exceptions import ParameterError

ROOT = Path(__file__).parents[2]


class KilledError(Exception):
    """Raised in the place of a signal that cannot be caught."""


class Killer(Callback):
    """Raises after some epochs, once."""

    def __init__(self, at, error=KilledError):
        self.at = at
        self.error = error

    def on_epoch(self, estimator, progress):
        if len(progress.epochs) == self.at:
            self.at = None
            raise self.error


def files(directory):
    return sorted(os.listdir(directory))


@EACH_STOCHASTIC
@pytest.mark.parametrize("at", [1, 3])
def test_a_fit_that_was_cut_off_goes_on_to_the_same_bits(name, at, tmp_path):
    X, y = make_data()
    whole = regressor(name).fit(X, y)
    cut = regressor(name).set_callbacks(Checkpoint(tmp_path), Killer(at))
    with pytest.raises(KilledError):
        cut.fit(X, y)
    assert not hasattr(cut, "module_")
    assert len(files(tmp_path)) == 1
    again = regressor(name).set_callbacks(Checkpoint(tmp_path)).fit(X, y)
    np.testing.assert_array_equal(theta(again), theta(whole))
    assert again.loss_curve_ == whole.loss_curve_
    assert again.fit_report_ == whole.fit_report_
    assert files(tmp_path) == []


FULL = {
    "optimizer": "adam",
    "schedule": "plateau",
    "early_stopping": True,
    "scoring": "r2",
    "dropout": 0.2,
    "max_iter": 9,
    "n_iter_no_change": 3,
}


@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.parametrize("refit", [None, "best_epoch"])
def test_with_validation_schedule_dropout_and_refit(at, refit, tmp_path):
    X, y = make_data()
    whole = regressor("mlp", **FULL, refit=refit).fit(X, y)
    model = regressor("mlp", **FULL, refit=refit)
    model.set_callbacks(Checkpoint(tmp_path), Killer(at))
    with pytest.raises(KilledError):
        model.fit(X, y)
    model.fit(X, y)
    np.testing.assert_array_equal(theta(model), theta(whole))
    assert model.fit_report_ == whole.fit_report_
    assert model.validation_scores_ == whole.validation_scores_


def test_without_a_seed_it_comes_from_the_file(tmp_path):
    X, y = make_data()
    first = regressor("mlp-dropout", random_state=None)
    curve = []

    class Keep(Callback):
        def on_epoch(self, estimator, progress):
            curve[:] = [epoch.objective for epoch in progress.epochs]

    first.set_callbacks(Checkpoint(tmp_path), Keep(), Killer(3))
    with pytest.raises(KilledError):
        first.fit(X, y)
    before = list(curve)
    again = clone(first).fit(X, y)
    assert again.loss_curve_[:3] == before
    # From the seed of the file the whole fit follows.
    whole = regressor("mlp-dropout", random_state=again._seed).fit(X, y)
    np.testing.assert_array_equal(theta(again), theta(whole))


def test_a_warm_start_has_a_file_of_its_own(tmp_path):
    X, y = make_data()
    whole = regressor("mlp", warm_start=True).fit(X, y).fit(X, y)
    model = regressor("mlp", warm_start=True).fit(X, y)
    model.set_callbacks(Checkpoint(tmp_path), Killer(2))
    with pytest.raises(KilledError):
        model.fit(X, y)
    model.fit(X, y)
    np.testing.assert_array_equal(theta(model), theta(whole))
    assert model.loss_curve_ == whole.loss_curve_


@pytest.mark.parametrize(
    "changed",
    [{"alpha": 0.5}, {"random_state": 1}, {"max_iter": 6}, "rows", "weights"],
    ids=str,
)
def test_another_fit_does_not_go_on_from_it(changed, tmp_path):
    X, y = make_data()
    model = regressor("mlp").set_callbacks(Checkpoint(tmp_path), Killer(2))
    with pytest.raises(KilledError):
        model.fit(X, y)
    other = clone(model)
    args = [X, y]
    if changed == "rows":
        args[0] = X + 1e-9
    elif changed == "weights":
        args.append(np.arange(len(y)) + 1.0)
    else:
        other.set_params(**changed)
    expected = clone(other).set_callbacks().fit(*args)
    np.testing.assert_array_equal(theta(other.fit(*args)), theta(expected))
    assert len(files(tmp_path)) == 1  # that of the first fit


def test_candidates_of_a_search_may_share_a_directory(tmp_path):
    X, y = make_data()
    grid = {"alpha": [0.0, 0.1, 1.0]}
    expected = GridSearchCV(regressor("mlp"), grid, cv=2).fit(X, y)
    killer = Killer(4)
    model = regressor("mlp").set_callbacks(Checkpoint(tmp_path), killer)
    search = GridSearchCV(model, grid, cv=2, error_score="raise")
    with pytest.raises(KilledError):
        search.fit(X, y)
    assert len(files(tmp_path)) == 1
    search.fit(X, y)
    for name in ("mean_test_score", "rank_test_score"):
        np.testing.assert_array_equal(
            search.cv_results_[name], expected.cv_results_[name]
        )
    assert files(tmp_path) == []


def test_it_is_kept_after_an_interruption_and_written_every_so_many_epochs(tmp_path):
    X, y = make_data()
    model = regressor("mlp", max_iter=7)
    model.set_callbacks(Checkpoint(tmp_path, every=2), Killer(5, KeyboardInterrupt))
    with pytest.warns(ConvergenceWarning, match="interrupted after 5"):
        model.fit(X, y)
    (name,) = files(tmp_path)
    progress, _ = pickle.loads((tmp_path / name).read_bytes())
    assert progress.epoch.number == 4
    whole = regressor("mlp", max_iter=7).fit(X, y)
    np.testing.assert_array_equal(theta(model.fit(X, y)), theta(whole))
    assert files(tmp_path) == []


def test_a_file_that_cannot_be_read_costs_a_warning(tmp_path):
    X, y = make_data()
    model = regressor("mlp").set_callbacks(Checkpoint(tmp_path), Killer(2))
    with pytest.raises(KilledError):
        model.fit(X, y)
    (name,) = files(tmp_path)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.warns(RuntimeWarning, match=r"cannot be read.*begins anew") as caught:
        model.fit(X, y)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(theta(model), theta(regressor("mlp").fit(X, y)))


def test_mistakes_are_said(tmp_path):
    X, y = make_data()
    with pytest.raises(ParameterError, match="'every' parameter of Checkpoint"):
        regressor("mlp").set_callbacks(Checkpoint(tmp_path, every=0)).fit(X, y)
    with pytest.raises(ParameterError, match="Checkpoint needs a stochastic optimizer"):
        regressor("linear").set_callbacks(Checkpoint(tmp_path)).fit(X, y)
    (tmp_path / "file").touch()
    model = regressor("mlp").set_callbacks(Checkpoint(tmp_path / "file"))
    with pytest.raises(FileExistsError):
        model.fit(X, y)


def test_a_classifier(tmp_path):
    X, y = make_data()
    labels = np.where(y > np.median(y), "high", "low")
    whole = clone(CLASSIFIERS["mlp-dropout"]).fit(X, labels)
    model = clone(CLASSIFIERS["mlp-dropout"])
    model.set_callbacks(Checkpoint(tmp_path), Killer(2))
    with pytest.raises(KilledError):
        model.fit(X, labels)
    np.testing.assert_array_equal(theta(model.fit(X, labels)), theta(whole))


# --------------------------------------------------------------------- real signals

# Dropout, validation, a schedule and a recovery: all of the state is needed.
SCRIPT = """
import sys, warnings
import numpy as np
from skgrad import MLPRegressor, optim
from skgrad.callbacks import Callback, Checkpoint
warnings.simplefilter("ignore")
class Slow(Callback):
    def on_epoch(self, estimator, progress):
        print(progress.epoch.number, flush=True)
rng = np.random.default_rng(0)
X = rng.normal(size=(120, 4))
y = X[:, 0] ** 2 + X[:, 1]
model = MLPRegressor(
    hidden_layer_sizes=(16,), dropout=0.1, batch_size=20, max_iter=40, tol=None,
    optimizer=optim.Averaged(optim.SGD(momentum=0.9)), learning_rate=30.0,
    schedule="plateau", early_stopping=True, random_state=0,
)
callbacks = [Checkpoint(sys.argv[1])] if sys.argv[1] else []
model.set_callbacks(*callbacks, Slow()).fit(X, y)
parts = [p.numpy().ravel() for p in model.module_.parameters()]
print("bits", np.concatenate(parts).tobytes().hex())
print("report", dict(model.fit_report_), model.validation_scores_)
"""


def start(directory):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(directory)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def result(out):
    return [line for line in out.splitlines() if line[:4] in ("bits", "repo")]


def killed_and_resumed(directory, rng, n_kills):
    """Kill the fit at random moments, then let it end; return its last words."""
    for _ in range(n_kills):
        process = start(directory)
        n_epochs = int(rng.integers(1, 15))
        for line in process.stdout:
            n_epochs -= 1
            if n_epochs == 0 or line.startswith("bits"):
                break
        time.sleep(float(rng.uniform(0, 0.01)))  # within an epoch, or a write
        process.send_signal(signal.SIGKILL)
        process.communicate()
    out, _ = start(directory).communicate()
    return out


@pytest.fixture(scope="module")
def uninterrupted():
    out, _ = start("").communicate()
    assert "'recoveries': [{" in out
    return result(out)


KILLS = pytest.mark.skipif(sys.platform == "win32", reason="no GPU, and no SIGKILL")


@KILLS
def test_killed_fits_end_in_the_same_bits(tmp_path, uninterrupted):
    out = killed_and_resumed(tmp_path, np.random.default_rng(1), 1)
    assert result(out) == uninterrupted
    # It did go on: fewer epochs than the whole fit takes.
    assert int(out.split()[0]) > 1
    assert files(tmp_path) == []


@KILLS
@pytest.mark.long
def test_killed_fits_end_in_the_same_bits_fifty_times(tmp_path, uninterrupted):
    rng = np.random.default_rng(7)
    for i in range(50):
        out = killed_and_resumed(tmp_path / str(i), rng, 1)
        assert result(out) == uninterrupted


def test_the_number_of_a_write_is_the_epoch_it_goes_on_from(tmp_path):
    X, y = make_data()
    numbers = []

    class Count(Callback):
        def on_epoch(self, estimator, progress):
            numbers.append(progress.epoch.number)

    model = MLPRegressor(max_iter=6, tol=None, random_state=0)
    model.set_callbacks(Count(), Checkpoint(tmp_path, every=2), Killer(5))
    with pytest.raises(KilledError):
        model.fit(X, y)
    model.fit(X, y)
    assert numbers == [1, 2, 3, 4, 5, 5, 6]


def test_a_fit_that_was_killed_after_its_last_epoch_ends_and_removes_its_file(tmp_path):
    X, y = make_data()
    whole = regressor("mlp").fit(X, y)
    model = regressor("mlp").set_callbacks(Checkpoint(tmp_path), Killer(5))
    with pytest.raises(KilledError):
        model.fit(X, y)
    np.testing.assert_array_equal(theta(model.fit(X, y)), theta(whole))
    assert model.loss_curve_ == whole.loss_curve_
    assert files(tmp_path) == []
