"""Compiled steps compute what Python and NumPy compute, and nothing but that."""

import inspect
import os
import re
import subprocess
import sys
import threading
import tracemalloc
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from estimators.models import asymmetric
from train.families import FAMILIES, Activations
from train.problems import LOSS_ROWS, Together, make_frame, make_problem
from train.traced_steps import (
    EVERYTHING,
    N_ROWS,
    OPTIONS,
    STOCHASTIC,
    Problem,
    batch_of,
    float32_problem,
    layers_problem,
)

import skgrad
from skgrad import nn
from skgrad.backend.cpu import backend, driver, engine, gemm, library, printer
from skgrad.core import tree_leaves
from skgrad.executor import EagerProgram, Rows, Table
from skgrad.losses import FunctionLoss, LogLoss, SquaredError
from skgrad.optim import (
    LBFGS,
    Accumulated,
    Adam,
    Averaged,
    Constant,
    Newton,
    NewtonCG,
)
from skgrad.train import (
    Objective,
    Settings,
    fit_full_batch,
    fit_stochastic,
)

ROOT = Path(__file__).parents[2]

# ------------------------------------------------------------------------- parity


def assert_parity(problem, n_steps):
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
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=2e-11 * scale)
    assert not np.array_equal(found[0], problem.carry[0])


# Kernels in Python take milliseconds for each step.
N_STEPS = {"in Python": 5, "compiled": 50}


@pytest.fixture
def n_steps(kernels):
    return N_STEPS[kernels]


# At a kink two roundings of one residual may have different slopes.
KINKED = ("absolute_error", "quantile", "quantiles")


# Rows of one shape share a program: every kernel is compiled once, and none for long.
SHARED = (
    ("gamma", "tweedie", "expectile"),
    ("focal", "hinge", "squared_hinge"),
    ("focal-multinomial", "hinge-multinomial", "squared_hinge-multinomial"),
    ("gaussian_nll", "student_t_nll"),
    ("pairwise_logistic", "lambdarank", "listnet"),
)
ALONE = [name for name in LOSS_ROWS if name not in {n for row in SHARED for n in row}]


@pytest.mark.parametrize("loss", ALONE)
def test_losses(loss, n_steps):
    assert_parity(Problem(*make_problem(loss)), 1 if loss in KINKED else n_steps)


@pytest.mark.parametrize("losses", SHARED, ids="+".join)
def test_losses_of_one_shape(losses, n_steps):
    objective, data, frame = make_problem(losses[0])
    objective = objective.with_loss(Together(*losses))
    assert_parity(Problem(objective, data, frame), n_steps)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_optimizers(name, n_steps):
    optimizer = STOCHASTIC[name](weight_decay=0.013, **OPTIONS.get(name, {}))
    assert_parity(Problem(*make_problem(), optimizer), n_steps)


def test_optimizers_around_others(n_steps):
    inside = Averaged(Adam(), decay=0.9)
    optimizer = Accumulated(inside, n_steps=3)
    assert_parity(Problem(*make_problem(), optimizer), n_steps)


SETTINGS = [
    {"alpha": 0.0173},
    {"alpha": 0.0173, "l1_ratio": 0.31},
    {"clip_norm": 0.29},
    {"dropout": 0.21},
    EVERYTHING,
]


@pytest.mark.parametrize("settings", SETTINGS, ids="+".join)
def test_penalty_clipping_and_masks(settings, n_steps):
    assert_parity(Problem(*make_problem(**settings)), n_steps)


def test_everything_at_once_is_compiled():
    assert_parity(Problem(*make_problem(**EVERYTHING)), N_STEPS["compiled"])


def test_a_loss_of_the_user(n_steps):
    objective, data, frame = make_problem()
    objective.loss = FunctionLoss(asymmetric)
    assert_parity(Problem(objective, data, frame), n_steps)


def test_several_outputs(rng, n_steps):
    _, data, frame = make_problem()
    data = replace(data, y=rng.normal(size=(23, 3)))
    frame = replace(frame, offset=np.array([0.1, -0.2, 0.3]))
    with skgrad.random_seed(0), nn.default_dtype("float64"):
        module = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 3))
    assert_parity(Problem(Objective(module, SquaredError(), 3), data, frame), n_steps)


def test_class_numbers_are_gathered_as_integers(n_steps):
    objective, data, frame = make_problem("log_loss-multinomial")
    assert data.y.dtype.kind == "i"
    assert isinstance(objective.loss, LogLoss)
    problem = Problem(objective, data, frame)
    dtypes = [v.dtype.kind for v in problem.program.graph.inputs]
    assert dtypes.count("i") == 2  # the classes and the number of the step
    assert_parity(problem, n_steps)


# ------------------------------------------------------------------------ modules


class Centred(nn.Module):
    """Centres by the batch, keeps a running mean, and scales by parameters."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", np.zeros(3))
        self.register_buffer("count", np.int64(0))
        self.scale = nn.Parameter(np.array([0.5, 1.0, 1.5]))
        self.shift = nn.Parameter(np.full(3, 0.1))
        self.shift.requires_grad = False

    def forward(self, x):
        mean = skgrad.mean(x, axis=0)
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * mean
            self.count = self.count + 1
        return (x - mean) * self.scale + self.shift


def test_every_module_is_in_a_family():
    public = {n: getattr(nn, n) for n in nn.__all__}
    modules = {
        name
        for name, cls in public.items()
        if inspect.isclass(cls) and issubclass(cls, nn.Module) and cls is not nn.Module
    }
    assert modules == frozenset().union(*(family.USES for family in FAMILIES))


# tests/nn/test_torch.py has each layer by itself. Most families have many kernels.
@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=() if family is Activations else pytest.mark.long)
        for family in FAMILIES
    ],
)
def test_modules(family, n_steps):
    assert_parity(layers_problem(family), n_steps)


def test_a_module_of_the_user_with_buffers_that_change(n_steps):
    first, last = partial(nn.Linear, 3, 5), partial(nn.Linear, 5, 1)
    problem = layers_problem(Centred, first, nn.Tanh, last)
    assert list(problem.objective.buffers()) == ["0.mean", "0.count"]
    assert "0.shift" not in problem.objective.names
    assert_parity(problem, n_steps)
    _, count, mean, *_ = problem.run(problem.program, 50)
    assert count.dtype == np.int64
    assert int(count) == 50
    # What the inputs, less the frame's numbers, are about on average.
    frame, X = make_frame(), problem.data.X
    expected = ((X - frame.x_mean) / frame.x_scale).mean(axis=0)
    np.testing.assert_allclose(mean, expected, atol=0.3)


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
        monkeypatch.setattr("skgrad.train.steps.RETURN_SECONDS", seconds)
        fit = fit_stochastic(objective, Adam(), Constant(), data, frame, settings)
        states.append(tree_leaves((fit.state.params, fit.state.state)))
        states[-1].append(np.array([epoch.objective for epoch in fit.epochs]))
    assert lengths == [1] * 30 + [10] * 3
    for a, b in zip(*states, strict=True):
        np.testing.assert_array_equal(a, b)


LOSSES = ["squared_error", "log_loss", "quantile", "log_loss-multinomial"]
FITS = [(loss, cls()) for loss in LOSSES for cls in (Newton, LBFGS)]


@pytest.mark.parametrize(
    ("loss", "optimizer"), [*FITS, ("log_loss", NewtonCG())], ids=str
)
def test_full_batch_fits(monkeypatch, loss, optimizer):
    _, data, frame = make_problem(loss, n=300)
    k = 3 if loss == "log_loss-multinomial" else None
    with skgrad.random_seed(0), nn.default_dtype("float64"):
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
    np.testing.assert_allclose(*params, rtol=1e-6, atol=1e-7)


# -------------------------------------------------------------------- machine code


def specs_of(problem, monkeypatch):
    """Return the kernels of a step."""
    specs = []

    def noted(spec):
        specs.append(spec)
        return kernel(spec)

    kernel = backend.kernel
    monkeypatch.setattr(backend, "kernel", noted)
    problem.run(problem.program, 1)
    return specs


def words(spec):
    """Return the words of a kernel's optimised code."""
    return set(re.findall(r"\w+", str(engine.optimized(printer.source(spec)))))


def test_float32_steps_are_computed_in_float32(monkeypatch):
    specs = specs_of(float32_problem(), monkeypatch)
    loops = [spec for spec in specs if spec.rank > 0]
    scalars = [spec for spec in specs if spec.rank == 0]
    assert len(loops) >= 4
    for spec in loops:
        found = words(spec)
        assert {"float", "load", "store"} <= found
        assert not found & {"double", "fast", "nnan"}
    # Rates and sums are float64: cast once per step, not once per element.
    assert 1 <= len(scalars) <= 3
    assert any("double" in words(spec) for spec in scalars)


def test_no_flag_forgets_what_a_number_may_be(monkeypatch):
    specs = specs_of(Problem(*make_problem(**EVERYTHING)), monkeypatch)
    for spec in specs:
        assert not words(spec) & {"fast", "nnan", "ninf", "nsz", "arcp", "afn"}


def test_nothing_in_a_step_calls_an_allocator(monkeypatch):
    """No code of a step calls a function outside it, but through a BLAS pointer."""
    kernels = specs_of(Problem(*make_problem(**EVERYTHING)), monkeypatch)
    sources = [printer.source(spec) for spec in kernels]
    sources += [gemm.source("float64"), driver.source()]
    names = ("blas_gemm", "copy_rows", "read_table", "write_table", "random_bits")
    sources += [
        library.LIBRARY[name](*(["float64"] if name == "blas_gemm" else []))
        for name in names
    ]
    for source in sources:
        code = str(engine.optimized(source))
        declared = re.findall(r"^declare .*?@([\w.]+)\(", code, re.MULTILINE)
        assert [name for name in declared if not name.startswith("llvm.")] == []


def test_python_allocates_what_the_steps_return():
    problem = float32_problem(n=2000)
    problem.run(problem.program, 10)

    def peak(n_steps):
        rows = np.zeros((n_steps, N_ROWS), dtype=np.int64)
        batch = batch_of(
            problem.data,
            Rows,
            learning_rate=Table(np.zeros(n_steps)),
            step=Table(np.arange(n_steps)),
        )
        leaves = tree_leaves(batch)
        tracemalloc.start()
        try:
            problem.program.steps(problem.carry, problem.hyper, leaves, rows)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(100), peak(1000)
    # Three sums of eight bytes for each step; a batch has 200.
    assert abs(many - few - 24 * 900) < 2000


SCRIPT = """
import resource, sys
sys.path[:0] = ["tests"]
from train.traced_steps import float32_problem

problem = float32_problem(n=2000)
peaks = []
for n_steps in (500, 50_000):
    problem.run(problem.program, n_steps)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(peaks[1] - peaks[0])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no GPU, and no getrusage")
def test_memory_does_not_grow_with_the_steps():
    """A batch forgotten at each step would be 50,000 of 200 bytes and more."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    # Rows (80 bytes a step) and tables (40) are the caller's.
    assert int(done.stdout) * unit < 50_000 * 120 + 3e6


# ------------------------------------------------------------------------- threads

# Raises its own flag, waits for the other's and says whether it came: true only if two
# runs are in machine code at the same time. The wait ends after some seconds.
MEETING = """
define void @kernel(ptr %pointers, ptr %sizes, i64 %step) nounwind {
entry:
  %mine = load ptr, ptr %pointers
  %second = getelementptr ptr, ptr %pointers, i64 1
  %other = load ptr, ptr %second
  %third = getelementptr ptr, ptr %pointers, i64 2
  %met = load ptr, ptr %third
  store atomic i64 1, ptr %mine seq_cst, align 8
  br label %wait
wait:
  %i = phi i64 [0, %entry], [%next, %wait]
  %flag = load atomic i64, ptr %other seq_cst, align 8
  %next = add i64 %i, 1
  %late = icmp ugt i64 %next, 5000000000
  %came = icmp ne i64 %flag, 0
  %over = or i1 %late, %came
  br i1 %over, label %done, label %wait
done:
  store i64 %flag, ptr %met, align 8
  ret void
}
"""


def test_two_runs_are_in_machine_code_at_once():
    function = engine.loaded(engine.compiled(MEETING), "kernel")
    flags, met = np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64)
    records, kept = [], []
    for me in (0, 1):
        at = [flags[me:], flags[1 - me :], met[me:]]
        pointers = np.array([a.ctypes.data for a in at])
        records.append(np.array([[function, pointers.ctypes.data, 0]]))
        kept.append(pointers)
    threads = [
        threading.Thread(target=driver.run, args=(r, 0, 1, 0, 1)) for r in records
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert met.tolist() == [1, 1]
