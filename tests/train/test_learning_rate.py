"""The range test of the learning rate."""

from dataclasses import replace

import numpy as np
import pytest
from train.problems import make_problem
from train.test_stochastic import SETTINGS, run

from skgrad import log, nn
from skgrad.exceptions import DivergenceError
from skgrad.losses import FunctionLoss, SquaredError
from skgrad.optim import SGD, Adam
from skgrad.train import (
    Data,
    Frame,
    Objective,
    Settings,
    find_learning_rate,
    row_keys,
)
from skgrad.train.learning_rate import _smoothed, _until_growth


def find(problem, optimizer, settings=SETTINGS):
    objective, data, frame = problem
    return find_learning_rate(objective, optimizer, data, frame, settings)


def quadratic(scale, n=64):
    """Return least squares whose SGD on all rows diverges above 2 / scale²."""
    X = np.where(np.arange(n) % 2, scale, -scale).reshape(-1, 1).astype(float)
    with nn.default_dtype("float64"):
        objective = Objective(nn.Linear(1, 1, bias=False), SquaredError(), None)
    data = Data(X, 3.0 * X[:, 0], np.ones(n), row_keys(X))
    return objective, data, Frame.identity(1, "float64")


@pytest.mark.parametrize("scale", [1.0, 10.0, 100.0])
@pytest.mark.parametrize("batch_size", [64, 16])
def test_gradient_descent_on_a_quadratic_gets_a_stable_rate(scale, batch_size):
    """The largest stable rate is 2 / λ: the suggestion is below, not far below."""
    settings = Settings(batch_size=batch_size)
    found = find(quadratic(scale), SGD(), settings)
    assert 0.01 < found.suggestion / (2 / scale**2) < 1.0


@pytest.mark.parametrize("optimizer", [SGD(), SGD(momentum=0.9), Adam()], ids=str)
def test_the_suggestion_trains(optimizer):
    found = find(make_problem(), optimizer)
    settings = replace(SETTINGS, learning_rate=found.suggestion, max_iter=100)
    fit = run(make_problem(), settings, optimizer)
    assert fit.epochs[-1].objective < 0.75 * fit.epochs[0].objective
    assert fit.recoveries == []


def test_equal_seeds_find_the_same_and_nothing_is_changed():
    problem = make_problem(dropout=0.3)
    before = problem[0].parameters()
    found = [find(problem, Adam(), replace(SETTINGS, seed=s)) for s in (1, 1, 2)]
    np.testing.assert_array_equal(found[0].losses, found[1].losses)
    assert found[0].suggestion == found[1].suggestion
    assert len(found[0].losses) == len(found[0].rates)
    assert not np.array_equal(found[0].losses[:5], found[2].losses[:5])
    np.testing.assert_array_equal(problem[0].parameters(), before)


def test_numbers_that_overflow_end_the_test():
    found = find(quadratic(1e100), SGD())
    assert np.isfinite(found.losses).all()
    assert found.suggestion == pytest.approx(1e-6 / 4)
    assert len(found.losses) <= 2


def test_a_loss_that_is_broken_at_the_start_is_blamed():
    problem = make_problem()
    problem[0].loss = FunctionLoss(lambda y, raw: log(raw - raw - 1.0))
    with pytest.raises(DivergenceError, match=r"not finite at the start: log\(-1\)"):
        find(problem, Adam())


def test_losses_are_averaged_with_those_before():
    losses = np.array([4.0, 2.0, 1.0])
    expected = [4.0, (2 + 0.9 * 4) / 1.9, (1 + 0.9 * 2 + 0.81 * 4) / 2.71]
    np.testing.assert_allclose(_smoothed(losses), expected, rtol=1e-12)
    assert _until_growth(np.array([1.0, 0.5, 1.9, 2.1, 0.1])) == 3
    assert _until_growth(np.array([-1.0, -2.0, 3.0, 5.0])) == 3
    assert _until_growth(losses) == 3
