"""The battery of a device: `pytest -m gpu`, with CuPy, NumPy, SciPy and pytest alone.

On a machine without one all of it is skipped; the same programs run there on a
simulated device (tests/executor/test_device_memory.py).
"""

import threading

import numpy as np
import pytest
from backend.cuda.programs import CASES, made
from scipy.sparse import random_array
from train.problems import make_problem
from train.traced_steps import EVERYTHING, Problem, float32_problem

import skgrad
from skgrad import nn, ops
from skgrad.backend.cuda.backend import backend
from skgrad.executor import Rows, trace
from skgrad.losses import SquaredError
from skgrad.train import Data, Frame, Objective
from skgrad.train.evaluation import Evaluation

pytestmark = pytest.mark.gpu


def close(found, expected, rtol):
    for f, e in zip(found, expected, strict=True):
        assert (f.shape, f.dtype) == (e.shape, e.dtype)
        tol = rtol if e.dtype.kind == "f" else 0
        np.testing.assert_allclose(f, e, rtol=tol, atol=tol)


@pytest.mark.parametrize("name", CASES)
def test_values_are_the_references(name):
    case = made(name)
    program = case.program.on("cuda")
    assert program.executor == "cuda:0"
    expected = case.run(case.program.on("reference"))
    for _ in range(2):
        close(case.run(program), expected, case.rtol)


def test_fifty_steps_with_all_settings():
    problem = Problem(*make_problem("squared_error", **EVERYTHING))
    expected = problem.run(problem.program.on("reference"), 50)
    close(problem.run(problem.program.on("cuda"), 50), expected, 1e-9)


def test_runs_repeat_to_the_last_bit():
    problem = float32_problem(n=2000)
    runs = [problem.run(problem.program.on("cuda"), 50) for _ in range(3)]
    for other in runs[1:]:
        for a, b in zip(runs[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


SIZES = (1, 2, 31, 32, 33, 255, 256, 257, 1000, 70_000)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_reductions_of_any_size(n, dtype):
    rng = np.random.default_rng(n)
    for shape in ((n,), (n, 3), (3, n), (2, n, 5)):
        x = rng.normal(size=shape).astype(dtype)

        def both(x):
            axes = range(len(x.shape))
            return [(x.sum(k), x.max(k)) for k in axes], x.sum(), (x * x).mean()

        program = trace(both, x)
        tol = 3e-5 if dtype == "float32" else 1e-12
        found, expected = (
            program.on(executor).run([x]) for executor in ("cuda", "reference")
        )
        for f, e in zip(found, expected, strict=True):
            scale = np.abs(e).max()
            np.testing.assert_allclose(f, e, rtol=tol, atol=tol * scale * n**0.5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (257, 64, 1000), (1, 300, 9)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products(shape, dtype):
    m, n, k = shape
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=s).astype(dtype) for s in ((m, k), (k, n)))
    at, bt = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    many = np.stack([a, 2 * a])

    def all_ways(a, b, at, bt, many):
        return (
            a @ b,
            at.T @ b,
            a @ bt.T,
            at.T @ bt.T,
            many @ b,
            many @ skgrad.swapaxes(many, 1, 2),
        )

    arrays = [a, b, at, bt, many]
    found = trace(all_ways, *arrays).on("cuda").run(arrays)
    A, B = a.astype("float64"), b.astype("float64")
    M = np.stack([A, 2 * A])
    expected = [A @ B] * 4 + [M @ B, M @ M.swapaxes(1, 2)]
    tol = 1e-5 if dtype == "float32" else 1e-13
    for f, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(f, e, rtol=tol, atol=tol * k)


@pytest.mark.parametrize(("precision", "digits"), [("tf32", 10), ("bf16", 7)])
def test_products_of_rounded_factors(precision, digits):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(256, 256)).astype("float32") for _ in range(2))
    program = trace(ops.matmul, a, b)
    exact = a.astype("float64") @ b
    (full,), (rounded,) = (
        program.on(f"cuda{more}").run([a, b]) for more in ("", f"/{precision}")
    )
    error, least = (np.abs(x - exact).max() for x in (rounded, full))
    assert least < 2e-4
    # A sum of 256 products, each off by 2**-digits at most: four standard deviations.
    assert least < error < 4 * 256**0.5 * 2.0**-digits


@pytest.mark.parametrize("n", [0, 1, 999, 300_000])
def test_gram_matrices(n):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(n, 7)), rng.random(n)
    (found,) = trace(ops.gram, x, w).on("cuda").run([x, w])
    np.testing.assert_allclose(found, x.T @ (w[:, None] * x), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("n", "p", "k", "n_rows"),
    [(200_000, 200, 1, 200_000), (50_000, 20_000, 3, 50_000), (9_000, 90_000, 1, 300)],
)
def test_products_with_sparse_rows(n, p, k, n_rows):
    rng = np.random.default_rng(0)
    X = random_array((n, p), density=20 / p, rng=rng, format="csr")
    index = rng.integers(0, n, size=n_rows)
    A, taken = ops.SparseRows.of(X).take(index), X[index]
    B, G, w = (rng.normal(size=s) for s in ((p, k), (n_rows, k), n_rows))

    def products(A, B, G, w):
        gram = ops.sparse_gram(A, w, p) if p <= 200 else w
        return ops.sparse_matmul(A, B), ops.sparse_matmul_transposed(A, G, p), gram

    program, arrays = trace(products, A, B, G, w).on("cuda"), [*A[:4], B, G, w]
    found = program.run(arrays)
    gram = (taken.T @ (taken * w[:, None])).toarray() if p <= 200 else w
    close(found, [taken @ B, taken.T @ G, gram], 1e-10)
    for f, again in zip(found, program.run(arrays), strict=True):
        np.testing.assert_array_equal(f, again)


def test_rows_larger_than_what_is_left_are_streamed(monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200_000, 8)), rng.normal(size=200_000)
    objective = Objective(nn.Linear(8, 1), SquaredError(), None, device="cuda")
    data = Data(X, y, np.ones(len(X)), block_bytes=2**20)
    frame, theta = Frame.identity(8, "float64"), rng.normal(size=9)
    expected = Evaluation(objective, data, frame)(theta, hessian=True)
    device = type(backend("cuda").device)
    monkeypatch.setattr(device, "free_bytes", property(lambda self: 2**20))
    streamed = Evaluation(objective, data, frame)(theta, hessian=True)
    residuals = X @ theta[:8] + theta[8] - y
    np.testing.assert_allclose(expected[0], 0.5 * (residuals**2).mean(), rtol=1e-12)
    for a, b in zip(streamed, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_threads_share_a_device():
    def step(total, x):
        return total + x.sum(axis=0), x.max()

    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, 6))
    program = trace(step, np.zeros(6), np.zeros((50, 6))).on("cuda")
    rows = [rng.integers(0, 5000, size=(100, 50)) for _ in range(4)]
    found = [None] * 4

    def run(i):
        found[i] = program.steps([np.zeros(6)], [], [Rows(X)], rows[i])

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, ((total,), (largest,)) in enumerate(found):
        np.testing.assert_allclose(total, X[rows[i]].sum(axis=(0, 1)), rtol=1e-9)
        np.testing.assert_array_equal(largest, X[rows[i]].max(axis=(1, 2)))


def test_an_index_out_of_range_is_reported():
    program = trace(ops.take, np.zeros(5), np.zeros(3, dtype=np.int64)).on("cuda")
    with pytest.raises(IndexError, match="out of range in a gather"):
        program(np.zeros(5), np.array([0, 7, 1]))
