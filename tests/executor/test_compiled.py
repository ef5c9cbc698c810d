"""The compiled executor computes what the reference executor computes."""

import threading

import numpy as np
import pytest
import random_graphs
from cases import ELEMENTWISE, STRUCTURAL_ROWS
from hypothesis import given, settings

from skgrad import functional, grad, ops
from skgrad.core.tree import tree_leaves
from skgrad.executor import Rows, Same, Table, trace
from skgrad.executor.compiled import CompiledExecutor

RTOL = {"float32": 3e-6, "float64": 2e-14}


def compiled(function, *args, rtol=None, reference=0):
    """Return a compiled program, its results checked against the reference."""
    program = trace(function, *args)
    fast = program.on("cpu")
    assert fast.executor == "cpu"
    assert f"{reference} reference instructions" in fast.explain()
    arrays = [np.asarray(leaf) for leaf in tree_leaves(args)]
    kept = [a.copy() for a in arrays]
    expected, found = program.run(arrays), fast.run(arrays)
    again = fast.run(arrays)
    for array, before in zip(arrays, kept, strict=True):
        np.testing.assert_array_equal(array, before)
    for variable, e, f, a in zip(
        program.graph.outputs, expected, found, again, strict=True
    ):
        assert (f.shape, f.dtype) == (e.shape, e.dtype) == (variable.shape, e.dtype)
        tol = rtol or RTOL.get(e.dtype.name, 0)
        np.testing.assert_allclose(f, e, rtol=tol, atol=tol)
        np.testing.assert_array_equal(f, a)
    return fast


# --- every primitive ------------------------------------------------------------------


# Two dozen at a time, and all read the same ones, so that few kernels are compiled.
NAMES = sorted(ELEMENTWISE)
TOGETHER = [NAMES[i : i + 24] for i in range(0, len(NAMES), 24)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("names", TOGETHER, ids=lambda names: f"{names[0]}-{names[-1]}")
def test_elementwise_primitives(names, dtype, rng):
    cases = [ELEMENTWISE[name] for name in names]

    def together(ones, args):
        same = [[ops.multiply(x, ones) for x in xs] for xs in args]
        return [case.call(*xs) for case, xs in zip(cases, same, strict=True)]

    args = [case.args(rng, (3, 7), dtype) for case in cases]
    compiled(together, np.ones((3, 7), dtype), args)


# What has no instruction of its own and runs on the reference backend, and why.
WITHOUT = {"argsort": "NumPy's sort uses the processor's vectors already"}


@pytest.mark.parametrize(
    ("name", "case"),
    [pytest.param(name, case, id=f"{name}-{i}") for name, i, case in STRUCTURAL_ROWS],
)
def test_other_primitives(name, case, rng, kernels):
    args = [rng.normal(size=shape) for shape in case.shapes]
    compiled(case.call, *args, reference=int(name in WITHOUT))


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x, i: i @ ops.transpose(i), "products of integers are not a model's"),
        (
            lambda x, i: ops.scatter_add(x > 0, np.array([0, 0, 1, 1, 1, 0]), size=2),
            "nor are sums of truth values",
        ),
    ],
    ids=["integer product", "scattered bools"],
)
def test_dtypes_without_an_instruction(function, why, kernels):
    compiled(function, M, np.arange(6).reshape(2, 3), reference=1)


# --- layouts, places, shapes ----------------------------------------------------------

M = np.random.default_rng(1).normal(size=(6, 5))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x,
        lambda x: (x, x, ops.transpose(x)),
        lambda x: (ops.exp(x), ops.transpose(ops.exp(x))),
        lambda x: ops.transpose(x) @ x,
        lambda x: x @ ops.transpose(x) + 1.0,
        lambda x: ops.transpose(x[::2]) @ x[1::2],
        lambda x: x[:, ::-1] @ x[1:],
        lambda x: x[:, 1:3] @ ops.transpose(x[:, 3:]),
        lambda x: x @ np.ones((5, 1)),
        lambda x: np.ones((1, 6)) @ x,
        lambda x: x[:, :1] @ x[:1],
        lambda x: ops.concatenate([x, ops.exp(x), x[:, :2]], axis=1),
        lambda x: ops.concatenate([x.sum(0), x.sum(1)]),
        lambda x: ops.pack([ops.exp(x), x.sum(0), x @ x[:5], x]),
        lambda x: [v * 2.0 for v in ops.unpack(ops.reshape(x, -1), [(2, 5), (20,)])],
        lambda x: functional.softmax(x, -1),
        lambda x: functional.softmax(x, 0),
        lambda x: (x.max(), x.max(0), x.max(1), ops.prod(x, 0)),
        lambda x: ops.broadcast_to(x.sum(0, keepdims=True), (6, 5)) - x,
        lambda x: ops.reshape(ops.transpose(x), (30,)) * 2.0,
        lambda x: x[:0].sum(0) + x[:0].sum(),
        lambda x: x[:, :0] @ ops.transpose(x[:, :0]),
        lambda x: ops.where(x > 0, x, 0.0) + ops.where(x > 0, 1.0, x),
        lambda x: ops.sum(x > 0, axis=0),
        lambda x: ops.reshape(x, (2, 3, 5)) @ ops.reshape(x, (2, 5, 3)),
        lambda x: ops.reshape(x, (2, 3, 5)) @ x[:5],
        lambda x: ops.reshape(x, (2, 1, 3, 5)) @ ops.reshape(x, (1, 2, 5, 3)),
        lambda x: x[np.array([[0, -1], [2, 2]])] * 2.0,
    ],
)
def test_layouts(function, kernels):
    compiled(function, M)


def test_not_a_number_wins_a_maximum():
    x = M.copy()
    x[2, 3] = np.nan
    compiled(lambda x: (x.max(0), x.max(1), ops.maximum(x, 0.0), x.max()), x)


def test_an_index_out_of_range_is_an_error():
    program = trace(lambda x, i: ops.take(x, i, axis=0), M, np.array([0, 5])).on("cpu")
    program(M, np.array([0, -6]))
    with pytest.raises(IndexError, match="out of range"):
        program(M, np.array([0, 6]))
    program(M, np.array([0, 5]))


def test_gradients_and_curvature(kernels):
    def loss(w, x):
        hidden = ops.tanh(x @ w)
        return ops.sum(ops.log1p(ops.exp(-(hidden @ np.ones((4, 1))))))

    w = np.random.default_rng(2).normal(size=(5, 4))
    compiled(grad(loss), w, M)
    compiled(grad(lambda w, x: ops.sum(grad(loss)(w, x) * 0.3)), w, M, rtol=1e-12)


@given(random_graphs.steps, random_graphs.points)
@settings(max_examples=2)  # a kernel or two to compile for each; many are in the next
def test_random_graphs(graph, point):
    def value(*xs):
        return random_graphs.grown("skgrad", graph, xs)

    n = tuple(range(len(point)))
    arrays = [np.array(v) for v in point]
    compiled(lambda *xs: (value(*xs), grad(value, n)(*xs)), *arrays, rtol=1e-9)


@pytest.mark.long
@given(random_graphs.steps, random_graphs.points)
@settings(max_examples=600)
def test_many_random_graphs(graph, point):
    def value(*xs):
        return ops.sum(random_graphs.grown("skgrad", graph, xs))

    n = tuple(range(len(point)))
    arrays = [np.linspace(v, v + 0.5, 7) for v in point]
    compiled(lambda *xs: (value(*xs), grad(value, n)(*xs)), *arrays, rtol=1e-9)


# --- steps ----------------------------------------------------------------------------


def descent(w, count, rate, x, y, step):
    """Return a step of gradient descent: new weights, a counter, then the loss."""
    residual = x @ w - y
    gradient = ops.transpose(x) @ residual
    loss = ops.sum(ops.square(residual))
    return w - rate * gradient, count + 1.0, loss, step * 2


def steps_of(program, rows, rates):
    x, y = M, M[:, 0] * 2
    return program.steps(
        [np.zeros(5), np.zeros(())],
        [],
        [Table(rates), Rows(x), Rows(y), Table(np.arange(len(rows)))],
        rows,
    )


def test_steps_are_repeated_runs(rng, kernels):
    rows = rng.integers(0, 6, size=(7, 4))
    rates = np.linspace(0.01, 0.02, 7)
    example = (np.zeros(5), 0.0, 0.0, M[:4], M[:4, 0], 0)
    program = trace(descent, *example)
    (w, count), (loss, numbers) = steps_of(program, rows, rates)
    fast = program.on("cpu")
    found = steps_of(fast, rows, rates)
    np.testing.assert_allclose(found[0][0], w, rtol=1e-12)
    np.testing.assert_allclose(found[1][0], loss, rtol=1e-12)
    assert float(found[0][1]) == float(count) == 7
    assert found[1][1].tolist() == numbers.tolist() == list(range(0, 14, 2))
    # In parts, as between two returns to Python: no bit changes.
    state, losses = [np.zeros(5), np.zeros(())], []
    for part in (slice(0, 3), slice(3, 7)):
        varying = [Table(rates[part]), Rows(M), Rows(M[:, 0] * 2)]
        varying.append(Table(np.arange(7)[part]))
        state, (some, _) = fast.steps(state, [], varying, rows[part])
        losses.extend(some)
    np.testing.assert_array_equal(state[0], found[0][0])
    np.testing.assert_array_equal(losses, found[1][0])


def test_the_same_input_is_not_copied(kernels):
    program = trace(lambda total, x: total + x.sum(), 0.0, M).on("cpu")
    (total,), _ = program.steps([np.zeros(())], [], [Same(M)], np.zeros((3, 6), int))
    np.testing.assert_allclose(total, 3 * M.sum(), rtol=1e-13)


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: (b, a),  # exchanged
        lambda a, b: (a, b),
        lambda a, b: (a + 1.0, a),  # the old value is fed on
        lambda a, b: (a + b, b * 2.0),
        lambda a, b: (b * 2.0, a + b),
        lambda a, b: (a * 2.0, ops.transpose(a) + b),
        lambda a, b: (ops.transpose(b), ops.transpose(a)),
        lambda a, b: (a @ b, a - b),
        lambda a, b: (a - ops.sum(a) * 0.01, b + ops.reshape(a, -1)[0]),
        lambda a, b: (ops.exp(-ops.square(a)), ops.exp(-ops.square(a))),
        lambda a, b: (a[::-1] + 0.0, ops.unpack(ops.reshape(b, -1), [(3, 3)])[0]),
    ],
)
def test_updating_in_place_never_shows(function, kernels):
    a, b = np.random.default_rng(3).normal(size=(2, 3, 3)) / 2
    program = trace(function, a, b)
    nothing = np.zeros((4, 0), dtype=int)
    expected, _ = program.steps([a, b], [], [], nothing)
    kept = a.copy(), b.copy()
    found, _ = program.on("cpu").steps([a, b], [], [], nothing)
    np.testing.assert_array_equal([a, b], kept)
    for e, f in zip(expected, found, strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-12)


def test_an_elementwise_update_is_in_place():
    program = trace(lambda w, g: (w - g * 0.1,), np.zeros(9), np.zeros(9))
    plan = CompiledExecutor(program.graph).plan(1)
    (kernel,) = plan.lowered.instructions
    assert kernel.writes[0].slot.buffer is plan.lowered.inputs[0]
    assert plan.arena_bytes == 0


def test_a_program_with_reference_instructions_runs_in_segments(kernels):
    def f(x):
        return ops.exp(ops.take(x * 2.0, ops.argsort(x, -1), axis=0))

    compiled(f, M[0], reference=1)
    program = trace(lambda x: (f(x) * 0.1,), M[0])
    nothing = np.zeros((3, 0), dtype=int)
    (expected,), _ = program.steps([M[0]], [], [], nothing)
    (found,), _ = program.on("cpu").steps([M[0]], [], [], nothing)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_runs_in_threads_are_independent():
    program = trace(lambda x: ops.sum(ops.tanh(x @ x.T) * 3.0), np.ones((20, 20)))
    program = program.on("cpu")
    inputs = [np.random.default_rng(k).standard_normal((20, 20)) for k in range(8)]
    expected = [float(program(x)) for x in inputs]
    wrong = []

    def work(x, value):
        wrong.extend(1 for _ in range(200) if float(program(x)) != value)

    threads = [
        threading.Thread(target=work, args=pair)
        for pair in zip(inputs, expected, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
