"""Compiled steps compute what Python and NumPy compute, and nothing but that."""

import inspect
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from estimators.models import asymmetric
from train.problems import LOSS_ROWS, make_network, make_problem

import skgrad
from skgrad import nn
from skgrad.backend.cpu import backend, driver
from skgrad.core import tree_leaves, tree_map
from skgrad.core.random import STREAMS
from skgrad.executor import EagerProgram, Rows, Table, Traced
from skgrad.losses import FunctionLoss, LogLoss, SquaredError
from skgrad.optim import LBFGS, OPTIMIZERS, Adam, Constant, Newton
from skgrad.train import (
    Objective,
    Settings,
    fit_full_batch,
    fit_stochastic,
    initial_state,
    mode,
)

ROOT = Path(__file__).parents[2]
STOCHASTIC = {n: cls for n, cls in OPTIMIZERS.items() if cls.stochastic}
ALWAYS = np.inf  # runs of a program that make compiling worth while
N_ROWS = 10


# ------------------------------------------------------------------------- parity


def hyper_of(objective, optimizer, frame, seed=7):
    return {
        **objective.hyper(frame),
        "key": np.array([seed, STREAMS["mask"]], dtype=np.uint32),
        "optimizer": tree_map(np.float64, optimizer.hyperparameters()),
    }


def batch_of(data, per_row, **per_step):
    arrays = {"X": data.X, "y": data.y, "w": data.w, "keys": data.keys}
    return {**{name: per_row(a) for name, a in arrays.items()}, **per_step}


class Problem:
    """One training step, traced, and what it takes to run it many times."""

    def __init__(self, objective, data, frame, optimizer=None, n_rows=N_ROWS):
        self.objective, self.data, self.n_rows = objective, data, n_rows
        optimizer = optimizer or Adam()
        start = initial_state(objective, optimizer, Constant())
        self.carry = tree_leaves((start.params, start.state))
        hyper = hyper_of(objective, optimizer, frame)
        self.hyper = tree_leaves(hyper)
        self.traced = Traced(partial(objective.step, optimizer), n_runs=ALWAYS)
        args = (start.params, start.state, hyper)
        with mode(objective.module, training=True):
            for first in (0, 1):  # the values of a batch do not matter
                rows = np.arange(first, first + n_rows)
                batch = batch_of(
                    data,
                    lambda a, rows=rows: a[rows],
                    learning_rate=np.float64(first),
                    step=np.int64(first),
                )
                self.program = self.traced.program(*args, batch)

    def run(self, program, n_steps, seed=0):
        """Return every leaf of the state and the sums of each step."""
        rng = np.random.default_rng(seed)
        size = (n_steps, self.n_rows)
        rows = rng.integers(0, self.data.n_samples, size=size)
        batch = batch_of(
            self.data,
            Rows,
            learning_rate=Table(np.linspace(0.02, 0.01, n_steps)),
            step=Table(np.arange(n_steps)),
        )
        with mode(self.objective.module, training=True):
            carry, sums = program.steps(
                self.carry, self.hyper, tree_leaves(batch), rows
            )
        return [*carry, *sums]


def assert_parity(problem, n_steps=50):
    program = problem.program
    assert problem.traced.n_traces == 1
    assert program.executor == "cpu"
    assert ", 0 reference instructions." in program.explain()
    found = problem.run(program, n_steps)
    python = EagerProgram(problem.traced.function, program.in_treedef)
    for other in (program.on("reference"), python):
        assert other.executor != "cpu"
        for a, b in zip(found, problem.run(other, n_steps), strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            scale = np.abs(b).max(initial=0.0)
            assert np.isfinite(scale)
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12 * scale)
    changed = [not np.array_equal(a, b) for a, b in zip(found, problem.carry)]
    assert changed[0]
    return changed


# At a kink two roundings of one residual may have different slopes.
KINKED = ("absolute_error", "quantile")


@pytest.mark.parametrize("loss", LOSS_ROWS)
def test_losses(loss):
    assert_parity(Problem(*make_problem(loss)), 1 if loss in KINKED else 50)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_optimizers(name):
    optimizer = STOCHASTIC[name](weight_decay=0.013)
    assert_parity(Problem(*make_problem(), optimizer))


def test_momentum():
    for nesterov in (False, True):
        optimizer = STOCHASTIC["sgd"](momentum=0.9, nesterov=nesterov)
        assert_parity(Problem(*make_problem(), optimizer))


@pytest.mark.parametrize(
    "settings",
    [
        {"alpha": 0.0173},
        {"alpha": 0.0173, "l1_ratio": 0.31},
        {"clip_norm": 0.29},
        {"dropout": 0.21},
        {"alpha": 0.0173, "l1_ratio": 0.31, "clip_norm": 0.29, "dropout": 0.21},
    ],
    ids=lambda settings: "+".join(settings),
)
def test_penalty_clipping_and_masks(settings):
    assert_parity(Problem(*make_problem(**settings)))


def test_a_loss_of_the_user():
    objective, data, frame = make_problem()
    objective.loss = FunctionLoss(asymmetric)
    assert_parity(Problem(objective, data, frame))


def test_several_outputs(rng):
    _, data, frame = make_problem()
    data = replace(data, y=rng.normal(size=(23, 3)))
    objective = Objective(make_network(n_outputs=3), SquaredError(), 3)
    assert_parity(Problem(objective, data, frame))


def test_class_numbers_are_gathered_as_integers():
    objective, data, frame = make_problem("log_loss-multinomial")
    assert data.y.dtype.kind == "i"
    assert isinstance(objective.loss, LogLoss)
    problem = Problem(objective, data, frame)
    dtypes = [v.dtype.kind for v in problem.program.graph.inputs]
    assert dtypes.count("i") == 2  # the classes and the number of the step
    assert_parity(problem)


# ------------------------------------------------------------------------ modules


class Scale(nn.Module):
    """Parameters of its own, one of them frozen."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(np.linspace(0.5, 1.5, 5))
        self.shift = nn.Parameter(np.full(5, 0.1))
        self.shift.requires_grad = False

    def forward(self, x):
        return x * self.scale + self.shift


class RunningSquare(nn.Module):
    """Divides by the root mean square of the batch and keeps a running one."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("square", np.zeros(width))
        self.register_buffer("count", np.int64(0))

    def forward(self, x):
        square = skgrad.mean(x * x, axis=0)
        if self.training:
            self.square = 0.9 * self.square + 0.1 * square
            self.count = self.count + 1
        return x / skgrad.sqrt(square + 0.5)


MODULES = {
    "GELU": nn.GELU,
    "Dropout": lambda: nn.Dropout(0.3),
    "Identity": nn.Identity,
    "Linear": lambda: nn.Linear(5, 5),
    "ReLU": nn.ReLU,
    "Sequential": lambda: nn.Sequential(nn.Tanh(), nn.Sequential(nn.Linear(5, 5))),
    "SiLU": nn.SiLU,
    "Sigmoid": nn.Sigmoid,
    "Tanh": nn.Tanh,
    "Scale": Scale,
    "RunningSquare": lambda: RunningSquare(5),
}


def module_problem(name):
    _, data, frame = make_problem()
    with skgrad.random_seed(0), nn.default_dtype("float64"):
        module = nn.Sequential(nn.Linear(3, 5), MODULES[name](), nn.Linear(5, 1))
    return Problem(Objective(module, SquaredError(), None), data, frame)


def test_every_module_has_a_row():
    public = {n: getattr(nn, n) for n in nn.__all__}
    modules = {
        name
        for name, cls in public.items()
        if inspect.isclass(cls) and issubclass(cls, nn.Module) and cls is not nn.Module
    }
    assert modules == set(MODULES) - {"Scale", "RunningSquare"}


@pytest.mark.parametrize("name", MODULES)
def test_modules(name):
    assert_parity(module_problem(name))


def test_buffers_travel_from_step_to_step():
    problem = module_problem("RunningSquare")
    _, count, square, *_ = problem.run(problem.program, 50)
    assert count.dtype == np.int64
    assert int(count) == 50
    # A running mean of weights (1 - 0.9 ** 50) of squares close to their mean.
    assert (square > 0.01).all()


# ----------------------------------------------------------------- the whole loop


def test_a_second_shape_is_a_second_trace_and_no_third():
    objective, data, frame = make_problem(dropout=0.3)
    settings = Settings(batch_size=5, max_iter=4, tol=None)
    fits = []
    for worth in (0.0, np.inf):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("skgrad.executor.work.WORTH_COMPILING", worth)
            fits.append(
                fit_stochastic(objective, Adam(), Constant(), data, frame, settings)
            )
    assert [fit.executor for fit in fits] == ["cpu", "reference"]
    assert [fit.n_traces for fit in fits] == [2, 2]  # 5 rows and the last 3
    np.testing.assert_allclose(*(fit.state.params for fit in fits), rtol=1e-10)
    for one, other in zip(*(fit.epochs for fit in fits), strict=True):
        np.testing.assert_allclose(one.objective, other.objective, rtol=1e-12)


def test_parts_of_an_epoch_change_no_bit(monkeypatch):
    objective, data, frame = make_problem(n=50, dropout=0.3)
    monkeypatch.setattr("skgrad.executor.work.WORTH_COMPILING", 0.0)
    settings = Settings(batch_size=5, max_iter=3, tol=None)
    lengths, states = [], []

    def counted(records, start, stop, first_step, n_steps):
        lengths.append(n_steps)
        driver.run(records, start, stop, first_step, n_steps)

    monkeypatch.setattr(backend, "run", counted)
    for seconds in (1e-12, 1e6):
        monkeypatch.setattr("skgrad.train.stochastic.RETURN_SECONDS", seconds)
        fit = fit_stochastic(objective, Adam(), Constant(), data, frame, settings)
        states.append(tree_leaves((fit.state.params, fit.state.state)))
        states[-1].append(np.array([epoch.objective for epoch in fit.epochs]))
    assert lengths == [1] * 30 + [10] * 3
    for a, b in zip(*states, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("optimizer", [Newton(), LBFGS()], ids=["newton", "lbfgs"])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss-multinomial", "quantile"])
def test_full_batch_fits(monkeypatch, loss, optimizer):
    _, data, frame = make_problem(loss, n=300)
    k = 3 if loss == "log_loss-multinomial" else None
    with nn.default_dtype("float64"):
        module = nn.Linear(3, k or 1)
    monkeypatch.setattr("skgrad.train.data.BLOCK_BYTES", 1)  # 256 rows, the least
    fits = []
    for worth in (0.0, np.inf):
        monkeypatch.setattr("skgrad.executor.work.WORTH_COMPILING", worth)
        objective = Objective(module, LOSS_ROWS[loss], k, alpha=0.01)
        fits.append(
            fit_full_batch(objective, optimizer, data, frame, max_iter=200, tol=1e-10)
        )
    assert [fit.executor for fit in fits] == ["cpu", "reference"]
    params = [fit.state.params for fit in fits]
    np.testing.assert_allclose(*params, rtol=1e-6, atol=1e-8)
