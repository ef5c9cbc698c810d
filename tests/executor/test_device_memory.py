"""Programs on a simulated device: arrays go there and back, steps are replayed."""

import gc
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from backend.cuda.programs import CASES, made
from backend.cuda.simulated import SimulatedDevice

from skgrad import ops
from skgrad.backend.cuda.backend import CudaBackend
from skgrad.executor import Rows, Same, Table, trace
from skgrad.executor.cuda import CudaExecutor
from skgrad.executor.held import is_finite

ORDINARY = (
    *("float32 step", "all settings", "sparse step", "sparse_matmul 0"),
    *("scatter_add 0", "argsort 0"),
)
NAMES = [
    *ORDINARY,
    *(pytest.param(n, marks=pytest.mark.long) for n in CASES if n not in ORDINARY),
]


@pytest.fixture
def device():
    return SimulatedDevice()


def on(device, program):
    """Return a program that runs on a device."""
    moved = program.on("reference").on("cpu")
    moved._executor = CudaExecutor(program.graph, CudaBackend(device))
    return moved


@pytest.mark.parametrize("name", NAMES)
def test_values_are_the_references(name, device):
    case = made(name)
    program = on(device, case.program)
    expected = case.run(case.program.on("reference"))
    for _ in range(2):  # the second run finds its memory in place
        for f, e in zip(case.run(program), expected, strict=True):
            assert (f.shape, f.dtype) == (e.shape, e.dtype)
            tol = case.rtol if e.dtype.kind == "f" else 0
            np.testing.assert_allclose(f, e, rtol=tol, atol=tol)
    assert program.executor == "cuda:0"


def weighted(total, scale, x, w):
    """Return a running sum, and the sum of a step."""
    part = (scale * x * w.reshape(-1, 1)).sum(axis=0)
    return total + part, part


def run_steps(program, X, w, rows, start):
    """Run steps over rows of arrays; also return what NumPy makes of them."""
    scale = np.array(2.0)
    found = program.steps([start], [scale], [Rows(X), Rows(w)], rows)
    parts = np.stack([2 * (X[r] * w[r][:, None]).sum(axis=0) for r in rows])
    return found, ([start + parts.sum(axis=0)], [parts])


def check(found, expected):
    for fs, es in zip(found, expected, strict=True):
        for f, e in zip(fs, es, strict=True):
            np.testing.assert_allclose(f, e, rtol=1e-12, atol=1e-12)


@pytest.fixture
def rows_of_arrays():
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(4000, 5)), rng.random(4000)
    program = trace(weighted, np.zeros(5), 1.0, np.zeros((20, 5)), np.zeros(20))
    return program, X, w, rng


def test_rows_go_to_the_device_once(device, rows_of_arrays):
    program, X, w, rng = rows_of_arrays
    program = on(device, program)
    for _ in range(3):
        rows = rng.integers(0, len(X), size=(30, 20))
        check(*run_steps(program, X, w, rows, rng.normal(size=5)))
    assert device.uploads.count(X.nbytes) == 1


def test_a_sparse_matrix_goes_to_the_device_once(device):
    case = made("sparse step")
    program = on(device, case.program)
    for _ in range(3):
        case.run(program)
    n_stored = 900 * 40 * 3 // 10
    assert device.uploads.count(8 * n_stored) == 1
    assert "0 reference instructions" in program.explain()


def test_a_step_is_captured_once_and_replayed(device, rows_of_arrays):
    program, X, w, rng = rows_of_arrays
    program = on(device, program)
    launched = []
    for _ in range(3):
        rows = rng.integers(0, len(X), size=(30, 20))
        check(*run_steps(program, X, w, rows, rng.normal(size=5)))
        launched.append(device.n_launched)  # outside of captured steps
    assert 0 < launched[0] < 20
    assert len(set(launched)) == 1
    # Another number of steps, also one alone, gives the same.
    for n in (1, 7, 30):
        rows = rng.integers(0, len(X), size=(n, 20))
        check(*run_steps(program, X, w, rows, rng.normal(size=5)))


def test_what_is_handed_on_stays_on_the_device(device, rows_of_arrays):
    program, X, w, rng = rows_of_arrays
    program = on(device, program)
    start = rng.normal(size=5)
    rows = rng.integers(0, len(X), size=(3, 10, 20))
    state, states = [start], []
    for some in rows:
        state, _ = program.steps(state, [np.array(2.0)], [Rows(X), Rows(w)], some)
        states.append(state[0])
    assert device.downloads == device.downloads[:1] * 3  # of what the steps gave
    for i, held in enumerate(states):  # later steps changed none of them
        parts = [
            2 * (X[r] * w[r][:, None]).sum(axis=0) for r in np.vstack(rows[: i + 1])
        ]
        assert held.is_finite()
        np.testing.assert_allclose(held, start + sum(parts), rtol=1e-12, atol=1e-12)
    # It goes on from what was read, too, and on another device.
    other = on(SimulatedDevice(), program)
    for run in (program, other):
        found, _ = run.steps(
            [states[0], *state[1:]], [np.array(2.0)], [Rows(X), Rows(w)], rows[1]
        )
        np.testing.assert_array_equal(found[0], states[1])


def test_what_is_held_frees_its_memory_when_it_is_read(device):
    program = on(device, trace(lambda x: x * 2.0, np.ones(5120)))
    rows = np.zeros((3, 0), dtype=np.int64)
    (held,), _ = program.steps([np.ones(5120)], [], [], rows)
    used = device.used
    copy = pickle.loads(pickle.dumps(held))
    assert isinstance(copy, np.ndarray)
    assert (copy == 8.0).all()
    assert device.used == used - 5120 * 8
    assert np.asarray(held) is np.asarray(held)
    assert held.is_finite()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_held_knows_whether_it_is_finite(device, bad, dtype):
    x = np.full(70_000, 3e38, dtype=dtype)
    program = on(device, trace(lambda x: x * np.ones((), dtype), x))
    rows = np.zeros((1, 0), dtype=np.int64)
    for value, finite in ((3e38, True), (bad, False)):
        x[60_000] = value
        (held,), _ = program.steps([x], [], [], rows)
        assert held.is_finite() is finite
        assert is_finite(np.asarray(held)) is finite


def test_carry_and_arguments_are_not_changed(device, rows_of_arrays):
    program, X, w, rng = rows_of_arrays
    start = rng.normal(size=5)
    before = start.copy(), X.copy(), w.copy()
    run_steps(on(device, program), X, w, np.arange(40).reshape(2, 20), start)
    for kept, array in zip(before, (start, X, w), strict=True):
        np.testing.assert_array_equal(kept, array)


def test_what_is_on_the_device_goes_with_the_array(device):
    backend = CudaBackend(device)
    mine = np.zeros((4000, 5))
    n_bytes = mine.nbytes
    backend.residents.get(mine)
    held = device.used
    assert held >= n_bytes
    del mine
    gc.collect()
    assert device.used == held - n_bytes


@pytest.mark.parametrize("n_bytes", [2**26, 3 * 20 * 40], ids=["at once", "in pieces"])
def test_arrays_larger_than_the_device_are_gathered_on_the_host(
    rows_of_arrays, monkeypatch, n_bytes
):
    monkeypatch.setattr("skgrad.executor.cuda.GATHERED_BYTES", n_bytes)
    program, X, w, rng = rows_of_arrays
    device = SimulatedDevice(memory=X.nbytes)
    program = on(device, program)
    for _ in range(2):
        rows = rng.integers(0, len(X), size=(30, 20))
        check(*run_steps(program, X, w, rows, rng.normal(size=5)))
    assert max(device.uploads) < X.nbytes // 2


def test_tables_and_whole_arrays(device):
    def step(total, x, rate):
        return total + rate * x.sum(axis=0), rate

    X = np.random.default_rng(0).normal(size=(9000, 2))
    rates = np.linspace(0.1, 0.5, 5)
    program = on(device, trace(step, np.zeros(2), X, 0.0))
    none = np.zeros((5, 0), dtype=np.int64)
    for _ in range(2):
        (total,), (used,) = program.steps(
            [np.ones(2)], [], [Same(X), Table(rates)], none
        )
        np.testing.assert_allclose(total, 1 + 1.5 * X.sum(axis=0), rtol=1e-12)
        np.testing.assert_array_equal(used, rates)
    assert device.uploads.count(X.nbytes) == 1


@pytest.mark.parametrize("room", [2**33, 300_000], ids=["resident", "streamed"])
def test_sums_over_blocks(room):
    rng = np.random.default_rng(0)
    blocks = [[rng.normal(size=(2500, 4)), rng.random(2500)] for _ in range(5)]
    device = SimulatedDevice(memory=room)

    def sums(beta, x, w):
        z = x @ beta
        return (w * z * z).sum(), ops.gram(x, w)

    program = on(device, trace(sums, np.zeros(4), *blocks[0]))
    beta = rng.normal(size=4)
    for _ in range(2):
        value, gram = program.sums([beta], blocks)
        x, w = (np.concatenate(part) for part in zip(*blocks, strict=True))
        np.testing.assert_allclose(value, (w * (x @ beta) ** 2).sum(), rtol=1e-12)
        np.testing.assert_allclose(gram, x.T @ (w[:, None] * x), rtol=1e-11)
    assert len(device.downloads) == 2 * (1 if room == 2**33 else len(blocks))
    n_bytes = blocks[0][0].nbytes
    large = [n for n in device.uploads if n >= n_bytes]
    # Two of the five blocks find room; the other three come anew each time.
    assert len(large) == (5 if room == 2**33 else 2 + 2 * 3)


def test_sums_with_calls_of_python_in_between(device):
    def largest(w, x):
        return w * ops.take(x, ops.argsort(x))[-1]

    rng = np.random.default_rng(0)
    blocks = [[rng.normal(size=50)] for _ in range(4)]
    program = on(device, trace(largest, 1.0, *blocks[0]))
    (total,) = program.sums([np.array(2.0)], blocks)
    np.testing.assert_allclose(total, 2 * sum(x.max() for (x,) in blocks), rtol=1e-12)
    (one,) = program.run([np.array(3.0), *blocks[0]])  # with the memory of the sums
    np.testing.assert_allclose(one, 3 * blocks[0][0].max(), rtol=1e-12)
    np.testing.assert_allclose(total, 2 * sum(x.max() for (x,) in blocks), rtol=1e-12)


def test_sums_over_the_same_blocks_are_captured(device):
    rng = np.random.default_rng(0)
    blocks = [[rng.normal(size=(50, 4))] for _ in range(3)]
    program = on(device, trace(lambda w, x: (w * x).sum(), 1.0, *blocks[0]))
    launched = []
    for w in (1.0, 2.0, 3.0):
        (total,) = program.sums([np.array(w)], blocks)
        np.testing.assert_allclose(total, w * np.sum(blocks), rtol=1e-12)
        launched.append(device.n_launched)
    assert launched[0] > 0
    assert launched == launched[:1] * 3  # the others were replayed
    # Other blocks are no replay of these.
    (total,) = program.sums([np.array(1.0)], blocks[1:])
    np.testing.assert_allclose(total, np.sum(blocks[1:]), rtol=1e-12)


def test_threads_stream_blocks_of_their_own():
    rng = np.random.default_rng(0)
    device = SimulatedDevice(memory=100_000)
    program = on(device, trace(lambda w, x: (x * w).sum(), 1.0, np.zeros((2500, 4))))
    many = [[[rng.normal(size=(2500, 4))] for _ in range(6)] for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda b: program.sums([np.array(2.0)], b), many))
    for (total,), blocks in zip(found, many, strict=True):
        np.testing.assert_allclose(total, 2 * np.sum(blocks), rtol=1e-10)


def test_what_has_no_routine_runs_on_the_host_in_between(device):
    def sorted_twice(x):
        order = ops.argsort(x * 2.0)
        return ops.take(x, order) + 1.0, x.sum()

    x = np.random.default_rng(0).normal(size=50)
    program = on(device, trace(sorted_twice, x))
    found, total = program(x)
    np.testing.assert_array_equal(found, np.sort(x) + 1.0)
    np.testing.assert_allclose(total, x.sum(), rtol=1e-14)
    assert "1 reference instruction" in program.explain()


def test_an_index_out_of_range_is_reported(device):
    program = on(device, trace(ops.take, np.zeros(5), np.zeros(3, dtype=np.int64)))
    with pytest.raises(IndexError, match="out of range in a gather"):
        program(np.zeros(5), np.array([0, 7, 1]))
    taken = program(np.arange(5.0), np.array([4, 0, 1]))
    assert taken.tolist() == [4.0, 0.0, 1.0]  # the program goes on


def test_products_and_gram_matrices_of_nothing(device):
    def both(x, y, w):
        return x @ y, ops.gram(x.T, w)

    x, y, w = np.zeros((3, 0)), np.zeros((0, 4)), np.zeros(0)
    program = on(device, trace(both, x, y, w))
    product, gram = program(x, y, w)
    assert (product.tolist(), gram.tolist()) == ([[0.0] * 4] * 3, [[0.0] * 3] * 3)


def test_gram_matrices_of_many_rows_are_added_up(device, monkeypatch):
    monkeypatch.setattr("skgrad.backend.cuda.backend._GRAM_BYTES", 1000)
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(101, 3)), rng.random(101)
    program = on(device, trace(ops.gram, x, w))
    np.testing.assert_allclose(program(x, w), x.T @ (w[:, None] * x), rtol=1e-12)
