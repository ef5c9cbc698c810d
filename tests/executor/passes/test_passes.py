"""What holds for every pass: sound before and after, the same function, one sweep."""

import sys

import numpy as np
import pytest
from cases import ELEMENTWISE, STRUCTURAL_ROWS
from executor.passes.graphs import applied, assert_same_bits, names, raw, run
from hypothesis import given, settings
from hypothesis import strategies as st

import skgrad
from skgrad import ops
from skgrad.exceptions import ShapeError
from skgrad.executor.passes import COMPILED_PASSES, PASSES, remove_dead_code

X, Y = np.linspace(-1.0, 1.0, 6).reshape(2, 3), np.array([0.5, -1.0, 2.0])
EVERY = {p.__name__: p for p in (*PASSES, *COMPILED_PASSES)}


def useless(x, y):
    _ = ops.exp(x) @ y
    return x * 2.0


def training(x, y):
    def loss(y):
        return ops.sum(ops.softplus(x @ y)) + ops.prod(y)

    value, slope = skgrad.value_and_grad(loss)(y)
    return value, y - 0.1 * slope


FUNCTIONS = {
    "an input": lambda x, y: x,
    "a constant": lambda x, y: (y, 3.0),
    "an output twice": lambda x, y: (x * 1.0, x, x * 1.0),
    "dead code": useless,
    "a training step": training,
    "packing": lambda x, y: ops.unpack(ops.pack([x, y]), [(3,), (6,)])[1],
    "a hessian": lambda x, y: skgrad.hessian(lambda v: ops.sum(ops.sin(v) * v[0]))(y),
}


def all_passes(graph, passes=PASSES):
    for transform in passes:
        graph = applied(transform, graph)
    return graph


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("name", EVERY)
def test_a_pass_keeps_the_values_and_is_done_after_one_sweep(name, function):
    graph = raw(function, X, Y)
    after = applied(EVERY[name], graph)
    close = {"rtol": 1e-14} if EVERY[name] not in PASSES else {"rtol": 0}
    for found, expected in zip(run(after, X, Y), run(graph, X, Y), strict=True):
        np.testing.assert_allclose(found, expected, **close)
    again = applied(EVERY[name], after)
    assert again.equations == after.equations
    assert again.outputs == after.outputs
    assert list(again.constants) == list(after.constants)


@pytest.mark.parametrize("order", range(3))
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_primitives_and_their_gradients_keep_every_bit(name, order, rng):
    case = ELEMENTWISE[name]
    if order and not case.differentiable:
        return
    function = case.call
    for _ in range(order):
        function = skgrad.grad(lambda *xs, f=function: ops.sum(f(*xs)))
    args = case.args(rng, (2, 3))
    _assert_unchanged(function, args)
    _assert_unchanged(function, [a if i else a[:, :1] for i, a in enumerate(args)])


@pytest.mark.parametrize(("name", "number", "case"), STRUCTURAL_ROWS)
def test_structural_primitives_and_their_gradients_keep_every_bit(
    name, number, case, rng
):
    args = case.args(rng)
    _assert_unchanged(case.call, args)
    if case.differentiable and args:
        leaves = skgrad.core.tree_leaves

        def total(*xs):
            return sum(ops.sum(ops.square(leaf)) for leaf in leaves(case.call(*xs)))

        _assert_unchanged(skgrad.grad(total, tuple(range(len(args)))), args)


def _assert_unchanged(function, args):
    graph = raw(function, *args)
    after = all_passes(graph)
    assert len(after.equations) <= len(graph.equations)
    for found, expected in zip(run(after, *args), run(graph, *args), strict=True):
        assert_same_bits(found, expected)


# ------------------------------------------------------------------------ random graphs

# Values stay small integers beside infinities, NaN and both zeros, so that sums and
# products of matrices are exact in every order: layouts differ where views are merged.
LIMIT = 8.0
NUMBERS = (np.nan, np.inf, -np.inf, -0.0, 0.0, 1.0, -1.0, 2.0, -3.0)


def bounded(x):
    return ops.clip(x, -LIMIT, LIMIT)


def repeated(x, shape):
    return ops.reduction.broadcast_p.bind(x, n_axes=x.ndim, shape=shape)


def reshaped(x, shape):
    return ops.shape.reshape_p.bind(x, n_axes=x.ndim, shape=shape)


OPERATIONS = {
    "x * 1": lambda x, y: x * 1.0,
    "x / 1": lambda x, y: x / 1.0,
    "x * -1": lambda x, y: x * -1.0,
    "-x": lambda x, y: -x,
    "x + 0": lambda x, y: x + 0.0,
    "x - 0": lambda x, y: x - 0.0,
    "x * [[1]]": lambda x, y: x * np.ones((1, 1)),
    "x + y": lambda x, y: bounded(x + y),
    "x - y": lambda x, y: bounded(x - y),
    "x * y": lambda x, y: bounded(x * y),
    "maximum": ops.maximum,
    "where": lambda x, y: ops.where(x < y, x, y),
    "where constant": lambda x, y: ops.where(False, x, y),
    "square": lambda x, y: bounded(ops.square(x)),
    "power": lambda x, y: bounded(ops.power(x, 2.0)),
    "astype": lambda x, y: ops.astype(ops.astype(x, "float32"), "float64"),
    "transpose": lambda x, y: ops.transpose(x),
    "swap": lambda x, y: ops.swapaxes(x, -1, -2),
    "same order": lambda x, y: ops.shape.transpose_p.bind(x, axes=(-1,)),
    "flat": lambda x, y: reshaped(x, (x.size,)),
    "column": lambda x, y: reshaped(x, (x.size, 1)),
    "row": lambda x, y: reshaped(x, (1, *x.shape)),
    "repeat": lambda x, y: repeated(x, (2, *x.shape)),
    "repeat as": lambda x, y: repeated(x, y.shape),
    "sum": lambda x, y: bounded(ops.sum(ops.where(ops.isfinite(x), x, 1.0), -1)),
    "kept sum": lambda x, y: bounded(ops.sum(x, 0, keepdims=True)),
    "max": lambda x, y: ops.max(x, -1, keepdims=True),
    "product": lambda x, y: bounded(ops.maximum(x, 1.0) @ ops.maximum(y, 1.0)),
    "product xᵀ": lambda x, y: bounded(ops.square(x).T @ ops.maximum(y, 1.0)),
    "packed": lambda x, y: ops.unpack(ops.pack([x, y]), [x.shape, y.shape])[1],
    "repacked": lambda x, y: ops.unpack(ops.pack([x, y]), [(x.size,), y.shape])[0],
    "unpacked": lambda x, y: ops.pack(ops.unpack(x, [(1,), (x.size - 1, 1)])),
    "slice": lambda x, y: x[::-1],
    "slice of all": lambda x, y: ops.shape.slice_p.bind(
        x, slices=tuple((0, n, 1) for n in x.shape)
    ),
    "concatenated": lambda x, y: ops.concatenate([x, y], -1),
    "alone": lambda x, y: ops.concatenate([x]),
}

recipes = st.lists(
    st.tuples(
        st.sampled_from(sorted(OPERATIONS)), st.integers(0, 99), st.integers(0, 99)
    ),
    min_size=1,
    max_size=16,
)
elements = st.lists(st.sampled_from(NUMBERS), min_size=9, max_size=9)


def grown(recipe, x, y, scalar):
    """Return all values of a random graph; steps whose shapes do not fit are left."""
    values = [x, y, scalar, skgrad.tensor(np.full((2, 3), 2.0))]
    for name, i, j in recipe:
        # The latest values are chosen most often, so that graphs are deep too.
        a, b = (values[-1 - k % min(len(values), 5)] for k in (i, j))
        try:
            out = OPERATIONS[name](a, b)
        except (ShapeError, IndexError, ValueError):
            continue
        if out.size <= 60 and out.ndim <= 4:
            values.append(out)
    return values[4:]


def check(recipe, numbers):
    x, y, scalar = (np.array(v) for v in (numbers[:6], numbers[5:8], numbers[8]))
    args = (x.reshape(2, 3), y, scalar)
    graph = raw(lambda *xs: grown(recipe, *xs), *args)
    after = all_passes(graph)
    expected = run(graph, *args)
    for found, value in zip(run(after, *args), expected, strict=True):
        assert_same_bits(found, value)
    compiled = all_passes(after, COMPILED_PASSES)
    for found, value in zip(run(compiled, *args), expected, strict=True):
        np.testing.assert_array_equal(found, value)  # zeros may change their sign


@given(recipes, elements)
@settings(max_examples=100)
def test_random_graphs(recipe, numbers):
    check(recipe, numbers)


@pytest.mark.long
@given(recipes, elements)
@settings(max_examples=20_000)
def test_many_random_graphs(recipe, numbers):
    check(recipe, numbers)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_of_the_random_graphs_can_occur(name):
    """No operation is left out for good because no shape fits."""
    recipe = [(name, i, j) for i in range(4) for j in range(4)]
    assert raw(lambda *xs: grown(recipe, *xs), X, Y, np.array(2.0)).outputs


# --------------------------------------------------------------------------- dead code


def test_dead_code_goes_and_inputs_stay():
    graph = raw(lambda x, y: (useless(x, y), np.ones(2))[0], X, Y)
    after = applied(remove_dead_code, graph)
    assert names(graph) == ["exp", "reshape", "matmul", "reshape", "multiply"]
    assert names(after) == ["multiply"]
    assert len(after.inputs) == 2
    assert len(after.constants) == 1


def test_an_equation_stays_for_any_of_its_outputs():
    after = applied(
        remove_dead_code, raw(lambda x, y: ops.unpack(y, [(1,), (2,)])[1], X, Y)
    )
    assert names(after) == ["unpack"]


# ------------------------------------------------------------------------------- speed


def long(x, n):
    """Return a chain of n equations in which every pass has something to do."""
    for i in range(n // 10):
        x = ops.transpose((x * 1.0).T / 1.0) - 0.0
        x = reshaped(reshaped(-x, (6,)), (2, 3))
        x = ops.sin(x + repeated(ops.exp(np.array(i % 7.0)), (2, 3)))
    return x


def lines_run(function, *args):
    """Count the lines of Python a call executes, one more for each turn of a loop."""
    count = 0

    def local(frame, event, arg):
        nonlocal count
        count += event == "line"
        return local

    before = sys.gettrace()
    sys.settrace(lambda frame, event, arg: local)
    try:
        function(*args)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", EVERY)
def test_passes_take_as_long_as_the_graph(name):
    """Ten times as many equations, at most ten times as many lines."""
    short, tall = (raw(lambda x, n=n: long(x, n), X) for n in (2_000, 20_000))
    n_short, n_tall = (lines_run(EVERY[name], graph) for graph in (short, tall))
    assert len(tall.equations) >= 20_000
    assert n_tall <= 10.1 * n_short
    assert n_tall <= 200 * len(tall.equations)


def test_a_long_chain_comes_out_right():
    graph = raw(lambda x: long(x, 5_000), X)
    after = all_passes(graph)
    assert names(after) == ["subtract", "sin"] * 500
    assert_same_bits(run(after, X)[0], run(graph, X)[0])
