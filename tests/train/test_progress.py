"""Fits that go back from a divergence, go on from a checkpoint, or run out of time."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
from train.problems import make_problem
from train.test_stochastic import SETTINGS, assert_same_state, run

from skgrad import log
from skgrad.exceptions import DivergenceError
from skgrad.losses import FunctionLoss
from skgrad.optim import SGD, Adam, Averaged, Constant
from skgrad.train import StopReason

RECOVERING = replace(SETTINGS, max_recoveries=8, max_iter=6)


# -------------------------------------------------------------------------- recovery


def test_a_fit_that_recovers_at_once_is_that_with_the_lower_rate():
    fit = run(make_problem(), replace(RECOVERING, learning_rate=50.0), SGD())
    tried = [r.learning_rate for r in fit.recoveries]
    np.testing.assert_allclose(tried, 50.0 * 0.1 ** np.arange(1, len(tried) + 1))
    assert {(r.epoch, r.back_to) for r in fit.recoveries} == {(1, 0)}
    lower = run(make_problem(), replace(RECOVERING, learning_rate=tried[-1]), SGD())
    assert lower.recoveries == []
    assert_same_state(fit.state, lower.state)
    assert fit.epochs == lower.epochs


def test_numbers_that_overflow_are_gone_back_from_too():
    settings = replace(RECOVERING, learning_rate=1e200, max_recoveries=400)
    fit = run(make_problem(), settings, SGD())
    first = fit.recoveries[0]
    assert (first.epoch, first.step, first.back_to) == (1, 2, 0)
    assert "not finite in epoch 1, step 2" in first.message
    assert np.isfinite(fit.state.params).all()


class Rising(Constant):
    """A rate that rises to what diverges at the fifth epoch."""

    def _factors(self, epoch, n_steps, max_epochs, state):
        return 1e5 if epoch >= 4 else 1.0


def test_a_late_divergence_goes_back_to_the_best_epoch_and_forgets_what_followed():
    settings = replace(RECOVERING, learning_rate=0.1, max_iter=9, max_recoveries=12)
    fit = run(make_problem(), settings, SGD(), Rising())
    first = fit.recoveries[0]
    assert first.epoch == 5
    kept = fit.epochs[: first.back_to]
    plain = run(make_problem(), replace(settings, max_iter=4), SGD())
    assert kept == plain.epochs[: first.back_to]
    # The weights of the best epoch are those it began with.
    assert first.back_to == int(np.argmin([e.objective for e in plain.epochs]))
    assert [e.number for e in fit.epochs] == list(range(1, 10))
    rates = [e.learning_rate for e in fit.epochs[first.back_to : 4]]
    np.testing.assert_allclose(rates, 0.1 * 0.1 ** len(fit.recoveries))


def test_with_early_stopping_it_goes_back_to_the_best_score():
    scores = {1: 1.0, 2: 3.0, 3: 2.0, 4: 2.0}

    def score(state):
        return scores.get(state.epoch, 0.0)

    settings = replace(RECOVERING, learning_rate=0.1, max_iter=8, early_stopping=True)
    settings = replace(settings, max_recoveries=12)
    fit = run(make_problem(), settings, SGD(), Rising(), score=score)
    assert fit.recoveries[0].back_to == 2
    assert fit.best_epoch == 2
    plain = run(make_problem(), replace(settings, max_iter=2), SGD(), score=score)
    assert_same_state(fit.state, plain.state)


def test_after_the_last_try_it_is_an_error_that_says_what_was_tried():
    problem = make_problem()
    n_rows = len(problem[1].y)

    def loss(y, raw):  # breaks in the second batch of any epoch, whatever the rate
        return log(y + 1e6) + 0.0 * raw

    problem[1].y[n_rows // 2] = -1e7
    problem[0].loss = FunctionLoss(loss)
    match = r"log\(-9e\+06\) is nan.*went back to its last good weights 3 times"
    with pytest.raises(DivergenceError, match=match):
        run(problem, replace(RECOVERING, max_recoveries=3, shuffle=False))


def test_a_loss_that_is_broken_at_the_start_is_not_tried_again():
    problem = make_problem()
    calls = []

    def loss(y, raw):
        calls.append(None)
        return log(raw - raw - 1.0)

    problem[0].loss = FunctionLoss(loss)
    with pytest.raises(DivergenceError) as error:
        run(problem, RECOVERING)
    assert "went back" not in str(error.value)
    assert len(calls) == 1


def test_growth_in_the_first_epoch_is_measured_from_the_loss_of_all_rows():
    objective, data, frame = make_problem()
    settings = replace(SETTINGS, learning_rate=20.0, shuffle=False)
    batch = {"X": data.X, "y": data.y, "w": data.w}
    sums = objective.sums(objective.parameters(), {}, objective.hyper(frame), batch)
    at_start = sums["loss"].item() / sums["weight"].item()
    with pytest.raises(DivergenceError, match=f"grew from {at_start:.6g} to"):
        run((objective, data, frame), settings, SGD())


# ------------------------------------------------------------------ going on, resuming


class KilledError(Exception):
    """What a hook raises in the place of a signal that cannot be caught."""


@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.parametrize("optimizer", [Adam(), Averaged(SGD(), decay=0.9)], ids=str)
def test_a_fit_goes_on_from_its_progress_to_the_same_bits(at, optimizer):
    settings = replace(
        RECOVERING,
        learning_rate=0.5,
        max_iter=9,
        tol=1e-4,
        n_iter_no_change=4,
        early_stopping=True,
    )
    schedule = "plateau"

    def score(state):
        return float(-np.sum(state.params**2))

    kwargs = {"optimizer": optimizer, "schedule": schedule, "score": score}
    whole = run(make_problem(dropout=0.3), settings, **kwargs)
    kept = []

    def on_epoch(progress):
        if len(progress.epochs) == at:
            kept.append(pickle.dumps(progress))
            raise KilledError

    try:
        run(make_problem(dropout=0.3), settings, on_epoch=on_epoch, **kwargs)
    except KilledError:
        progress = pickle.loads(kept[0])
        rest = run(make_problem(dropout=0.3), settings, progress=progress, **kwargs)
        assert_same_state(rest.state, whole.state)
        assert rest.epochs == whole.epochs
        assert (rest.reason, rest.best_epoch) == (whole.reason, whole.best_epoch)
    else:
        assert len(whole.epochs) < at


def test_recoveries_are_remembered_when_a_fit_goes_on():
    settings = replace(RECOVERING, learning_rate=50.0)
    whole = run(make_problem(), settings, SGD())
    kept = []
    run(
        make_problem(),
        settings,
        SGD(),
        on_epoch=lambda p: kept.append(copy.deepcopy(p)),
    )
    rest = run(make_problem(), settings, SGD(), progress=kept[2])
    assert_same_state(rest.state, whole.state)
    assert rest.recoveries == whole.recoveries != []


# -------------------------------------------------------------------- time, gradients


def test_no_epoch_begins_after_max_time():
    fit = run(make_problem(), replace(SETTINGS, max_time=1e-9, max_iter=50))
    assert fit.reason is StopReason.MAX_TIME
    assert len(fit.epochs) == 1
    assert not fit.reason.converged
    whole = run(make_problem(), replace(SETTINGS, max_time=1e9, max_iter=3))
    assert whole.reason is StopReason.MAX_ITER


@pytest.mark.parametrize("clip_norm", [None, 1e-3])
def test_the_norm_of_the_gradient_is_that_of_the_steps(clip_norm):
    problem = make_problem()
    objective = problem[0]
    objective.clip_norm = clip_norm
    objective.record_gradient = True
    settings = replace(SETTINGS, learning_rate=1e-12, max_iter=1, shuffle=False)
    fit = run(problem, settings, SGD())
    _, data, frame = problem
    squares = []
    for rows in np.split(np.arange(len(data.y)), range(5, len(data.y), 5)):
        batch = {"X": data.X[rows], "y": data.y[rows], "w": data.w[rows]}
        sums = objective.sums_and_gradient(
            objective.parameters(), {}, objective.hyper(frame), batch
        )
        squares.append(np.sum((sums["gradient"].numpy() / len(rows)) ** 2))
    expected = np.sqrt(np.mean(squares))
    np.testing.assert_allclose(fit.epochs[0].gradient_norm, expected, rtol=1e-6)
