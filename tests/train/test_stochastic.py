"""The loop: when it traces, when it stops, what it gives back."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from backend.cuda.simulated import simulated_gpu
from train.problems import make_problem

from skgrad.core import tree_leaves
from skgrad.exceptions import DivergenceError
from skgrad.losses import FunctionLoss
from skgrad.optim import (
    SGD,
    Accumulated,
    Adam,
    Averaged,
    Cosine,
    Plateau,
    get_schedule,
)
from skgrad.train import Settings, StopReason, fit_stochastic, initial_state

SETTINGS = Settings(learning_rate=0.05, batch_size=5, max_iter=4, tol=None)


def run(problem, settings=SETTINGS, optimizer=None, schedule=None, **kwargs):
    objective, data, frame = problem
    optimizer, schedule = optimizer or Adam(), get_schedule(schedule)
    return fit_stochastic(
        objective, optimizer, schedule, data, frame, settings, **kwargs
    )


def assert_same_state(one, other):
    leaves = zip(
        tree_leaves((one.params, one.state)),
        tree_leaves((other.params, other.state)),
        strict=True,
    )
    assert all(np.array_equal(a, b) for a, b in leaves)
    assert (one.epoch, one.step) == (other.epoch, other.step)


@pytest.mark.parametrize(
    ("n", "size", "n_traces"),
    [(20, 5, 1), (23, 5, 2), (5, 5, 1), (23, 23, 1), (1, 1, 1)],
)
def test_one_trace_per_batch_shape(n, size, n_traces):
    settings = replace(SETTINGS, batch_size=size)
    fit = run(make_problem(n=n, dropout=0.3, alpha=0.1), settings, schedule="cosine")
    assert fit.n_traces == n_traces
    assert fit.state.epoch == 4
    assert fit.state.step == 4 * -(-n // size)


def test_the_objective_falls_and_the_module_is_not_touched():
    problem = make_problem()
    before = problem[0].parameters()
    fit = run(problem, replace(SETTINGS, max_iter=30))
    values = [epoch.objective for epoch in fit.epochs]
    assert values[-1] < 0.8 * values[0]
    assert [epoch.number for epoch in fit.epochs] == list(range(1, 31))
    np.testing.assert_array_equal(problem[0].parameters(), before)
    assert fit.reason is StopReason.MAX_ITER


def test_the_epoch_objective_is_the_mean_over_all_rows_of_each_batch():
    problem = make_problem(alpha=0.2)
    settings = replace(SETTINGS, learning_rate=1e-300, max_iter=1, shuffle=False)
    fit = run(problem, settings)
    objective, data, frame = problem
    hyper = objective.hyper(frame)
    batch = {"X": data.X, "y": data.y, "w": data.w}
    sums = objective.sums(objective.parameters(), {}, hyper, batch)
    c = objective.parameters()[objective.mask]
    expected = sums["loss"].item() / sums["weight"].item() + 0.1 * c @ c
    np.testing.assert_allclose(fit.epochs[0].objective, expected, rtol=1e-12)


def test_equal_seeds_give_equal_bits_and_others_do_not():
    fits = [
        run(make_problem(dropout=0.3), replace(SETTINGS, seed=s)) for s in (1, 1, 2)
    ]
    assert_same_state(fits[0].state, fits[1].state)
    assert fits[0].epochs == fits[1].epochs
    assert not np.array_equal(fits[0].state.params, fits[2].state.params)


@pytest.mark.parametrize(
    "optimizer",
    [
        Adam(),
        SGD(momentum=0.9),
        Averaged(Adam(), decay=0.9),
        Accumulated(Adam(), n_steps=3),
    ],
    ids=str,
)
def test_two_runs_of_k_epochs_equal_one_of_2k(optimizer):
    problem = make_problem(dropout=0.3, alpha=0.01)
    whole = run(problem, replace(SETTINGS, max_iter=6), optimizer)
    half = run(problem, replace(SETTINGS, max_iter=3), optimizer)
    rest = run(problem, replace(SETTINGS, max_iter=3), optimizer, state=half.state)
    assert_same_state(rest.state, whole.state)
    assert half.epochs + rest.epochs == whole.epochs


def test_a_schedule_multiplies_the_rate():
    problem = make_problem()
    fit = run(problem, replace(SETTINGS, max_iter=5), schedule=Cosine(final=0.1))
    rates = np.array([epoch.learning_rate for epoch in fit.epochs])
    expected = [Cosine(final=0.1).factors(i, 1, 5, None)[-1] for i in range(5)]
    np.testing.assert_allclose(rates, 0.05 * np.array(expected))


def test_plateau_watches_the_validation_score_with_early_stopping():
    problem = make_problem()
    schedule = Plateau(factor=0.5, patience=1)
    settings = replace(SETTINGS, max_iter=9, early_stopping=True)
    fit = run(problem, settings, schedule=schedule, score=lambda state: 1.0)
    rates = [epoch.learning_rate for epoch in fit.epochs]
    assert rates[-1] < rates[0]
    rising = run(
        problem, settings, schedule=schedule, score=lambda state: float(state.epoch)
    )
    assert {epoch.learning_rate for epoch in rising.epochs} == {0.05}


# ------------------------------------------------------------------------ stopping


def test_without_improvement_by_tol_it_stops():
    settings = replace(SETTINGS, max_iter=100, tol=1e9, n_iter_no_change=3)
    fit = run(make_problem(), settings)
    # The first epoch is an improvement on infinity.
    assert len(fit.epochs) == 5
    assert fit.reason is StopReason.NO_IMPROVEMENT
    assert fit.best_epoch is None


def test_early_stopping_gives_back_the_best_epoch():
    scores = [1.0, 3.0, 2.0, 2.0, 2.0, 2.0]
    states = []

    def score(state):
        states.append(state)
        return scores[len(states) - 1]

    settings = replace(
        SETTINGS, max_iter=100, tol=0.0, n_iter_no_change=2, early_stopping=True
    )
    fit = run(make_problem(), settings, score=score)
    assert fit.reason is StopReason.EARLY_STOPPING
    assert [epoch.score for epoch in fit.epochs] == scores[:5]
    assert fit.best_epoch == 2
    assert_same_state(fit.state, states[1])


def test_a_score_without_early_stopping_is_only_recorded():
    fit = run(make_problem(), score=lambda state: -float(state.epoch))
    assert [epoch.score for epoch in fit.epochs] == [-1.0, -2.0, -3.0, -4.0]
    assert fit.state.epoch == 4
    assert fit.best_epoch is None


def test_a_callback_may_stop():
    def on_epoch(progress):
        if progress.epoch.number == 2:
            raise StopIteration

    fit = run(make_problem(), on_epoch=on_epoch)
    assert fit.reason is StopReason.STOPPED
    assert fit.state.epoch == 2


def test_an_interruption_keeps_the_best_epoch():
    states = []

    def on_epoch(progress):
        if progress.epoch.number == 7:
            raise KeyboardInterrupt

    def score(state):
        states.append(state)
        return 0.0

    # A rate at which the objective rises and falls.
    settings = replace(SETTINGS, learning_rate=0.6, max_iter=20)
    fit = run(make_problem(), settings, SGD(), score=score, on_epoch=on_epoch)
    values = [epoch.objective for epoch in fit.epochs]
    assert fit.reason is StopReason.INTERRUPTED
    assert len(values) == 7
    assert fit.best_epoch == 1 + int(np.argmin(values))
    assert_same_state(fit.state, states[fit.best_epoch - 1])


def test_an_interruption_within_the_first_epoch_keeps_the_start():
    def interrupted(y_true, raw_prediction):
        raise KeyboardInterrupt

    problem = make_problem()
    problem[0].loss = FunctionLoss(interrupted)
    fit = run(problem)
    assert fit.reason is StopReason.INTERRUPTED
    assert fit.epochs == []
    np.testing.assert_array_equal(fit.state.params, problem[0].parameters())


def test_divergence_is_an_error_that_says_when_and_what_to_do():
    settings = replace(SETTINGS, learning_rate=1e200, max_iter=50)
    message = r"not finite in epoch 1, step 2.*learning_rate=1e\+200: try 1e\+199.*clip"
    with pytest.raises(DivergenceError, match=message):
        run(make_problem(), settings, SGD())


def test_growth_that_patience_would_end_is_divergence():
    settings = replace(SETTINGS, learning_rate=1.0, tol=1e-4, n_iter_no_change=10)
    settings = replace(settings, batch_size=23, max_iter=200)
    problem = make_problem()
    with pytest.raises(DivergenceError, match=r"grew from 0\.\d+ to \S+ by epoch \d+"):
        run(problem, replace(settings, learning_rate=8.0), SGD())
    # A large rate that does no harm is none, nor is noise around a small objective.
    run(problem, replace(settings, learning_rate=0.1), SGD())
    for seed in range(5):
        noisy = replace(SETTINGS, seed=seed, batch_size=1, max_iter=3)
        run(make_problem(dropout=0.5, rng=np.random.default_rng(seed)), noisy)


def test_the_initial_state_is_a_copy():
    objective, _, _ = make_problem(dropout=0.5)
    before = objective.parameters()
    state = initial_state(objective, Adam(), get_schedule("plateau"))
    state.params[:] = 0.0
    state.state["buffers"]["2.p"][...] = 0.0
    np.testing.assert_array_equal(objective.parameters(), before)
    assert objective.buffers()["2.p"] == 0.5
    assert (state.epoch, state.step) == (0, 0)
    assert state.schedule is not None


def test_sizes_of_batches_weigh_rows_equally_in_one_batch():
    """With all rows in one batch a weight of two equals the row written twice."""
    objective, data, frame = make_problem(n=12, dropout=0.4)
    settings = replace(SETTINGS, batch_size=1000, max_iter=3)
    counts = np.arange(12) % 3 + 1
    weighted = replace(data, w=counts / counts.mean())
    repeated = data.rows(np.repeat(np.arange(12), counts))
    repeated = replace(repeated, w=np.ones(len(repeated.w)))
    one = run((objective, weighted, frame), settings)
    other = run((objective, repeated, frame), settings)
    np.testing.assert_allclose(one.state.params, other.state.params, rtol=1e-9)


# ------------------------------------------------------- optimizers around another one


def test_the_average_is_scored_and_fitted_and_the_steps_go_on_from_the_weights():
    problem, settings = make_problem(), replace(SETTINGS, batch_size=23, max_iter=6)
    weights, scored = [], []
    plain = run(problem, settings, score=lambda s: weights.append(s.params) or 0.0)
    optimizer = Averaged(Adam(), decay=0.5)
    fit = run(
        problem, settings, optimizer, score=lambda s: scored.append(s.params) or 0
    )
    np.testing.assert_array_equal(fit.state.params, plain.state.params)
    np.testing.assert_array_equal(plain.params, plain.state.params)
    for n in range(1, 7):  # one step per epoch
        share = 0.5 ** np.arange(n)[::-1]
        expected = share @ np.array(weights[:n]) / share.sum()
        np.testing.assert_allclose(scored[n - 1], expected, rtol=1e-12)
    np.testing.assert_array_equal(fit.params, scored[-1])


def test_early_stopping_gives_back_the_average_of_the_best_epoch():
    states, scores = [], [1.0, 3.0, 2.0, 2.0, 2.0]

    def score(state):
        states.append(state)
        return scores[len(states) - 1]

    settings = replace(SETTINGS, tol=0.0, n_iter_no_change=2, early_stopping=True)
    settings = replace(settings, max_iter=100)
    fit = run(make_problem(), settings, Averaged(Adam()), score=score)
    assert fit.best_epoch == 2
    np.testing.assert_array_equal(fit.params, states[1].params)
    assert not np.array_equal(fit.params, fit.state.params)


def test_accumulated_batches_are_one_large_batch():
    objective, data, frame = make_problem(n=24)
    settings = replace(SETTINGS, shuffle=False, max_iter=3)
    large = run((objective, data, frame), replace(settings, batch_size=12))
    small = replace(settings, batch_size=4)
    fit = run((objective, data, frame), small, Accumulated(Adam(), n_steps=3))
    np.testing.assert_allclose(fit.params, large.params, rtol=1e-10)


# --- on a GPU ---------------------------------------------------------------------


def on_a_gpu(problem, *args, **kwargs):
    problem[0].device = "cuda"
    with simulated_gpu() as gpu:
        fit = run(problem, *args, **kwargs)
    assert fit.executor == "cuda:0"
    return fit, gpu


def test_a_gpu_keeps_the_state_and_ends_where_the_cpu_does():
    settings = replace(SETTINGS, max_iter=12, batch_size=6)  # a last one of two rows
    here = run(make_problem(n=20, dropout=0.3, alpha=0.1), settings)
    there, gpu = on_a_gpu(make_problem(n=20, dropout=0.3, alpha=0.1), settings)
    leaves = tree_leaves((there.state.params, there.state.state))
    assert all(isinstance(leaf, np.ndarray) for leaf in leaves)
    np.testing.assert_allclose(there.state.params, here.state.params, rtol=1e-9)
    assert [e.objective for e in there.epochs] == pytest.approx(
        [e.objective for e in here.epochs], rel=1e-9
    )
    # Parameters and two moments come back at the end, and once for the trace of the
    # last batch.
    assert gpu.downloads.count(here.state.params.nbytes) == 3 * 2


def test_who_watches_a_fit_on_a_gpu_sees_arrays():
    seen = []

    def on_epoch(progress):
        states = (progress.state, progress.best, progress.good)
        leaves = tree_leaves([(s.params, s.state) for s in states])
        assert all(isinstance(leaf, np.ndarray) for leaf in leaves)
        seen.append(pickle.loads(pickle.dumps(progress)).state.params)

    fit, _ = on_a_gpu(make_problem(), on_epoch=on_epoch)
    assert len(seen) == len(fit.epochs)
    np.testing.assert_array_equal(seen[-1], fit.state.params)


def test_a_gpu_finds_the_step_that_is_not_finite():
    settings = replace(SETTINGS, learning_rate=1e200, max_iter=50)
    errors = []
    for of in (run, on_a_gpu):
        with pytest.raises(DivergenceError) as error:
            of(make_problem(), settings, SGD())
        errors.append(str(error.value))
    assert errors[0] == errors[1]
