import json
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch.optim import lr_scheduler

from skgrad.exceptions import ParameterError
from skgrad.optim import (
    SCHEDULES,
    Constant,
    Cosine,
    CosineWarmRestarts,
    Exponential,
    OneCycle,
    Plateau,
    Step,
    Warmup,
    get_schedule,
    register_schedule,
)

EACH = pytest.mark.parametrize("cls", SCHEDULES.values(), ids=SCHEDULES)


def torch_rates(make, n, values=None, per_step=1):
    """Return the rates a PyTorch scheduler gives from an initial rate of 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for i in range(n):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if i < n - 1:
            scheduler.step(*([] if values is None else [values[i]]))
    return np.array(rates)


def epoch_rates(schedule, max_epochs, values=None):
    """Return our factors, one per epoch."""
    state, rates = schedule.init(), []
    for epoch in range(max_epochs):
        factors = schedule.factors(epoch, 3, max_epochs, state)
        assert np.ptp(factors) == 0
        rates.append(factors[0])
        state = schedule.advance(state, 1.0 if values is None else values[epoch])
    return np.array(rates)


# --------------------------------------------------------------- against PyTorch


@pytest.mark.parametrize(("step_size", "gamma"), [(30, 0.1), (1, 0.9), (7, 0.5)])
def test_step(step_size, gamma):
    expected = torch_rates(lambda o: lr_scheduler.StepLR(o, step_size, gamma), 50)
    found = epoch_rates(Step(step_size, gamma), 50)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("max_epochs", [1, 2, 25])
def test_cosine(final, max_epochs):
    expected = torch_rates(
        lambda o: lr_scheduler.CosineAnnealingLR(o, max_epochs, final), max_epochs
    )
    found = epoch_rates(Cosine(final), max_epochs)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"pct_start": 0.1, "div_factor": 10.0, "final_div_factor": 100.0},
        {"pct_start": 0.9, "div_factor": 1.0, "final_div_factor": 1.0},
    ],
)
@pytest.mark.parametrize(("n_steps", "max_epochs"), [(7, 9), (1, 30), (40, 1), (3, 1)])
def test_one_cycle(params, n_steps, max_epochs):
    total = n_steps * max_epochs
    expected = torch_rates(
        lambda o: lr_scheduler.OneCycleLR(
            o, 1.0, total, cycle_momentum=False, **params
        ),
        total,
    )
    schedule = OneCycle(**params)
    found = [schedule.factors(e, n_steps, max_epochs) for e in range(max_epochs)]
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-12)


@pytest.mark.parametrize(("factor", "patience"), [(0.5, 5), (0.1, 0), (0.3, 2)])
@pytest.mark.parametrize("min_factor", [0.0, 0.05])
def test_plateau(rng, factor, patience, min_factor):
    values = np.exp(-np.arange(60) / 10) + 0.2 * rng.random(60)
    expected = torch_rates(
        lambda o: lr_scheduler.ReduceLROnPlateau(
            o, factor=factor, patience=patience, min_lr=min_factor, eps=0.0
        ),
        60,
        values,
    )
    found = epoch_rates(Plateau(factor, patience, min_factor), 60, values)
    assert len(np.unique(found)) > 2
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_exponential():
    expected = torch_rates(lambda o: lr_scheduler.ExponentialLR(o, 0.83), 40)
    found = epoch_rates(Exponential(0.83), 40)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(("period", "growth"), [(1, 1), (7, 1), (3, 2), (1, 3)])
@pytest.mark.parametrize("final", [0.0, 0.1])
def test_cosine_warm_restarts(period, growth, final):
    def make(o):
        return lr_scheduler.CosineAnnealingWarmRestarts(o, period, growth, final)

    found = epoch_rates(CosineWarmRestarts(period, growth, final), 60)
    np.testing.assert_allclose(found, torch_rates(make, 60), rtol=1e-12, atol=1e-15)


def every_step(schedule, n_steps, max_epochs):
    factors = [schedule.factors(e, n_steps, max_epochs) for e in range(max_epochs)]
    return np.concatenate(factors)


@pytest.mark.parametrize(("n_epochs", "start"), [(3, 0.1), (5, 1 / 3), (1, 1.0)])
def test_warmup_of_a_constant_rate(n_epochs, start):
    expected = torch_rates(
        lambda o: lr_scheduler.LinearLR(o, start, 1, n_epochs * 4), 40
    )
    found = every_step(Warmup(None, n_epochs, start), 4, 10)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_warmup_of_a_schedule_that_counts_steps():
    def make(o):
        rising = lr_scheduler.LinearLR(o, 0.2, 1, 6)
        cycle = lr_scheduler.OneCycleLR(o, 1.0, 21, cycle_momentum=False)
        return lr_scheduler.SequentialLR(o, [rising, cycle], [6])

    # OneCycleLR overwrites the initial rate, so the part before it is LinearLR's own.
    rising = torch_rates(lambda o: lr_scheduler.LinearLR(o, 0.2, 1, 6), 27)[:6]
    found = every_step(Warmup("one_cycle", 2, 0.2), 3, 9)
    np.testing.assert_allclose(found[:6], rising, rtol=1e-12)
    np.testing.assert_allclose(found[6:], torch_rates(make, 27)[6:], rtol=1e-12)


def test_warmup_of_a_schedule_that_counts_epochs():
    cosine = torch_rates(lambda o: lr_scheduler.CosineAnnealingLR(o, 8, 0.1), 8)
    found = every_step(Warmup(Cosine(0.1), 2), 3, 10)
    np.testing.assert_allclose(found[6:], np.repeat(cosine, 3), rtol=1e-12)


def test_warmup_passes_on_what_a_plateau_watches():
    schedule, plateau = Warmup(Plateau(patience=1), n_epochs=1), Plateau(patience=1)
    state, expected = schedule.init(), plateau.init()
    for value in (3.0, 3.0, 3.0):
        state, expected = (
            s.advance(t, value) for s, t in ((schedule, state), (plateau, expected))
        )
    assert state == expected
    assert schedule.factors(1, 2, 10, state).tolist() == [0.5, 0.5]


def test_warmup_of_no_epochs_is_the_schedule():
    for epoch in range(5):
        np.testing.assert_array_equal(
            Warmup("cosine", 0).factors(epoch, 2, 4), Cosine().factors(epoch, 2, 4)
        )


def test_parameters_of_the_schedule_after_the_warmup_can_be_set():
    schedule = Warmup(Step()).set_params(schedule__gamma=0.5, n_epochs=2)
    assert schedule == Warmup(Step(gamma=0.5), n_epochs=2)


# ---------------------------------------------------------------------- own rules


def test_one_cycle_peaks_at_the_learning_rate():
    factors = np.concatenate([OneCycle().factors(e, 10, 10) for e in range(10)])
    assert factors.max() == 1.0
    assert factors[0] == pytest.approx(1 / 25)
    assert factors[-1] == pytest.approx(1 / 25e4)
    assert np.argmax(factors) == 29


@pytest.mark.parametrize("total", [1, 2, 3])
def test_one_cycle_of_a_few_steps(total):
    factors = OneCycle(pct_start=1 / 3).factors(0, total, 1)
    assert np.isfinite(factors).all()
    assert (factors > 0).all()


def test_plateau_needs_improvement_of_negative_values_too():
    plateau = Plateau(patience=0)
    state = plateau.advance(plateau.init(), -1.0)
    assert plateau.advance(state, -1.00001)["factor"] == 0.5
    assert plateau.advance(state, -1.1)["factor"] == 1.0


def test_plateau_takes_nan_for_no_improvement():
    plateau = Plateau(patience=0)
    state = plateau.advance(plateau.init(), 1.0)
    assert plateau.advance(state, np.nan)["factor"] == 0.5


def test_plateau_state_is_plain_and_not_modified():
    plateau = Plateau(patience=0)
    state = plateau.advance(plateau.init(), 1.0)
    copy = dict(state)
    plateau.advance(state, 2.0)
    assert state == copy
    assert json.loads(json.dumps(state)) == state


# ------------------------------------------------------------------ every schedule


@EACH
@pytest.mark.parametrize(("n_steps", "max_epochs"), [(1, 1), (0, 3), (5, 4)])
def test_factors_are_one_float64_per_step(cls, n_steps, max_epochs):
    schedule = cls()
    for epoch in range(max_epochs + 3):  # training may go on past the plan
        factors = schedule.factors(epoch, n_steps, max_epochs)
        assert factors.shape == (n_steps,)
        assert factors.dtype == np.float64
        assert ((factors >= 0) & (factors <= 1)).all()
        factors[:] = 0  # a copy of the caller's own


@pytest.mark.parametrize("cls", [Constant, Cosine, OneCycle, Plateau, Warmup])
def test_past_the_plan_the_schedule_stays_at_its_end(cls):
    schedule = cls()
    first, second = (schedule.factors(e, 2, 5)[-1] for e in (5, 9))
    assert first == second


@EACH
def test_is_a_parameter_object(cls):
    schedule = cls()
    assert clone(schedule) == schedule
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert repr(schedule) == f"{cls.__name__}()"


@EACH
def test_get_schedule_takes_name_class_and_object(cls):
    (name,) = [name for name, other in SCHEDULES.items() if other is cls]
    schedule = cls()
    assert get_schedule(schedule) is schedule
    assert get_schedule(name) == get_schedule(cls) == schedule


def test_none_is_a_constant_rate():
    assert get_schedule(None) == Constant()


@pytest.mark.parametrize("spec", ["cosin", 3, dict])
def test_unknown_schedules(spec):
    with pytest.raises(ParameterError, match=r"Unknown schedule .* Known are"):
        get_schedule(spec)


@pytest.mark.parametrize(
    "schedule",
    [
        Step(step_size=0),
        Step(gamma=0.0),
        Step(gamma=1.5),
        Cosine(final=-0.1),
        Exponential(gamma=0.0),
        CosineWarmRestarts(period=0),
        CosineWarmRestarts(growth=1.5),
        CosineWarmRestarts(final=2.0),
        Warmup(n_epochs=-1),
        Warmup(start=1.5),
        OneCycle(pct_start=1.0),
        OneCycle(div_factor=0.5),
        OneCycle(final_div_factor=np.nan),
        Plateau(factor=1.0),
        Plateau(patience=-1),
        Plateau(min_factor=2.0),
        Plateau(threshold=1.0),
    ],
    ids=repr,
)
def test_domains_are_checked_on_use(schedule):
    with pytest.raises(ParameterError, match=f"parameter of {type(schedule).__name__}"):
        get_schedule(schedule)
    with pytest.raises(ParameterError):
        schedule.factors(0, 1, 1)


def test_the_schedule_after_a_warmup_is_checked():
    for inner in (Step(gamma=2.0), "stepp"):
        with pytest.raises(ParameterError, match=r"parameter of Step|schedule 'stepp'"):
            get_schedule(Warmup(inner))


def test_names_are_taken_once():
    with pytest.raises(ParameterError, match="'cosine' is taken by Cosine"):
        register_schedule("cosine")(Step)
