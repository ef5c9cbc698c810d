"""Solvers: each optimizer is one, and so is whatever finds a linear model at once."""

import numpy as np
import pytest
from estimators.battery import make_data

from skgrad import GradientLinearRegressor, MLPRegressor
from skgrad.callbacks import Callback
from skgrad.estimators import solving
from skgrad.estimators.solving import AtOnce, Solution, optimized
from skgrad.exceptions import ParameterError
from skgrad.optim import OPTIMIZERS, Adam, Averaged
from skgrad.train import StopReason


class LeastSquares(AtOnce):
    """NumPy's solution, on the inputs as they are."""

    name = "LeastSquares"

    def solution(self, work):
        X, y, w = work.rows.X, work.rows.y, work.rows.w
        ones = np.column_stack([X, np.ones(len(X))])
        root = np.sqrt(w)
        found = np.linalg.lstsq(ones * root[:, None], y * root, rcond=None)[0]
        loss = 0.5 * np.average((ones @ found - y) ** 2, weights=w)
        return Solution(found[None, :-1], found[-1:], loss, StopReason.ROUNDING_FLOOR)


class Regressor(GradientLinearRegressor):
    """Least squares by a solver of its own."""

    def _make_solver(self, loss, module):
        return LeastSquares()


class Watching(Callback):
    """Notes what it sees, and asks to stop."""

    def on_epoch(self, estimator, progress):
        self.objective, self.fitted = (
            progress.epoch.objective,
            hasattr(estimator, "coef_"),
        )
        return True

    def on_end(self, estimator, progress):
        self.reason = progress.reason


@pytest.fixture
def data(rng):
    X = rng.normal(3.0, [1.0, 100.0], size=(50, 2))
    return X, X @ [2.0, 0.1] + 5 + rng.normal(size=50), rng.uniform(0.5, 2.0, 50)


@pytest.mark.parametrize("standardize", [True, False])
def test_a_solution_is_a_fit_of_one_epoch(data, standardize):
    expected = GradientLinearRegressor().fit(*data)
    model = Regressor(standardize=standardize).fit(*data)
    assert np.allclose(model.coef_, expected.coef_, rtol=1e-12)
    assert model.intercept_ == pytest.approx(expected.intercept_, rel=1e-12)
    assert model.loss_curve_ == pytest.approx([expected.loss_], rel=1e-12)
    report = model.fit_report_
    assert (report["optimizer"], report["n_iter"]) == ("LeastSquares", 1)
    assert report["stop_reason"] == StopReason.ROUNDING_FLOOR.value


def test_a_solution_is_scored_printed_and_shown_to_callbacks(data, capsys):
    X, y, w = data
    watching = Watching()
    model = Regressor(scoring="r2", verbose=1).set_callbacks(watching)
    model.fit(X, y, w, X_val=X[:20], y_val=y[:20])
    assert model.validation_scores_ == pytest.approx([model.score(X[:20], y[:20])])
    assert (watching.objective, watching.fitted) == (model.loss_, False)
    assert watching.reason is StopReason.ROUNDING_FLOOR
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(f"s: {StopReason.ROUNDING_FLOOR.value}")


def test_what_needs_epochs_is_refused_before_anything_is_solved(data, monkeypatch):
    monkeypatch.setattr(LeastSquares, "solution", None)
    message = "early_stopping needs a stochastic optimizer. LeastSquares uses all rows"
    with pytest.raises(ParameterError, match=message):
        Regressor(early_stopping=True).fit(*data)


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=list(OPTIMIZERS))
def test_optimizers_are_solvers(make):
    optimizer = make(Adam()) if make is Averaged else make()
    solver = optimized(optimizer)
    assert solver.name == make.__name__
    assert solver.stochastic == optimizer.stochastic


def test_a_model_that_is_refitted_keeps_its_learning_rate(monkeypatch):
    calls = []
    find = solving.find_learning_rate
    monkeypatch.setattr(
        solving, "find_learning_rate", lambda *args: calls.append(1) or find(*args)
    )
    params = {"early_stopping": True, "refit": "best_epoch", "learning_rate": "auto"}
    model = MLPRegressor(max_iter=3, tol=None, random_state=0, **params)
    model.fit(*make_data())
    report = model.fit_report_
    assert report["refit"]["epochs"] == report["best_epoch"]
    assert report["learning_rate"] == report["learning_rate_test"]["suggestion"]
    assert calls == [1]
