"""Fusion: which equations become one, and that nothing changes."""

import sys

import numpy as np
import pytest
import random_graphs
from hypothesis import given, settings

from skgrad import functional, grad, ops
from skgrad.executor import trace, verify
from skgrad.executor.fuse import FUSED, fuse
from skgrad.executor.reference import ReferenceExecutor

M = np.arange(6.0).reshape(2, 3) / 3
V = np.arange(3.0)


def fused(function, *args):
    """Return the fused graph, checked against the unfused one."""
    program = trace(function, *args)
    graph = verify(fuse(program.graph))
    arrays = [np.asarray(a) for a in args]
    expected = program.run(arrays)
    for out, value in zip(ReferenceExecutor(graph).run(arrays), expected, strict=True):
        np.testing.assert_array_equal(out, value)
    return graph


def names(graph):
    """Return what each equation is, a fused one as the list of its operations."""
    return [
        [e.primitive.name for e in equation.params["body"].equations]
        if equation.primitive is FUSED
        else equation.primitive.name
        for equation in graph.equations
    ]


@pytest.mark.parametrize(
    ("function", "args", "expected"),
    [
        (lambda x: ops.exp(ops.sin(x) * 3.0), [M], [["sin", "multiply", "exp"]]),
        # A reduction ends a kernel; what reads it is in the next one.
        (
            lambda x: ops.exp(x).sum(0) * 3.0,
            [M],
            [["exp", "sum"], ["multiply"]],
        ),
        # Two reductions of one array are one kernel, over whichever axes.
        (
            lambda x: (ops.exp(x).sum(0), ops.exp(x).sum(1)),
            [M],
            [["exp", "sum", "sum"]],
        ),
        # A row is an operand of a matrix; what is computed of it is stored first.
        (lambda x, v: x * ops.exp(v), [M, V], [["exp"], ["multiply"]]),
        # A scalar is computed in the kernel that reads it.
        (lambda x, s: x * ops.exp(s), [M, 2.0], [["exp", "multiply"]]),
        # A product stands between two kernels.
        (
            lambda x: ops.tanh(ops.tanh(x) @ np.ones((3, 2))),
            [M],
            [["tanh"], "matmul", ["tanh"]],
        ),
        # An element read at another place is read from memory.
        (
            lambda x: ops.exp(x) + ops.transpose(ops.exp(x)),
            [M[:, :2]],
            [["exp"], "transpose", ["add"]],
        ),
        # Extents of 1 come and go in registers.
        (
            lambda x: ops.exp(ops.reshape(ops.sin(x), (3, 1))),
            [V],
            [["sin", "reshape", "exp"]],
        ),
        (lambda x: x, [M], []),
        (ops.transpose, [M], ["transpose"]),
    ],
)
def test_groups(function, args, expected):
    assert names(fused(function, *args)) == expected


def test_a_kernel_has_one_precision():
    def f(x, s):
        return ops.astype(x * ops.astype(ops.exp(s), "float32"), "float64") * 2.0

    graph = fused(f, M.astype("float32"), np.float64(1.0))
    for equation in graph.equations:
        floats = {
            v.dtype.name
            for e in equation.params["body"].equations
            if e.primitive.name != "astype"
            for v in (*e.inputs, *e.outputs)
            if v.dtype.kind == "f"
        }
        assert len(floats) <= 1


def test_what_backward_reads_is_stored_once():
    graph = fused(grad(lambda x: ops.sum(ops.tanh(x) * ops.tanh(x))), V)
    assert len(graph.equations) == 1


def standardised(x, mean, weights):
    return (x - mean) * weights


def test_what_takes_little_of_an_argument_is_computed_again_and_not_stored():
    def f(x, mean, weights):
        z = standardised(x, mean, weights)
        return ops.sum(ops.tanh(ops.sum(z, -1, keepdims=True)) * z, 0)

    graph = fused(f, M, M[0], M[1])
    assert sum(v.shape == M.shape for e in graph.equations for v in e.outputs) == 0
    *_, last = graph.equations
    assert last.inputs[0] is graph.inputs[0]


@pytest.mark.parametrize(
    "f",
    [
        lambda x, m, w: (ops.sum(standardised(x, m, w)), standardised(x, m, w)),
        lambda x, m, w: ops.transpose(standardised(x, m, w)) @ standardised(x, m, w),
        lambda x, m, w: ops.sum(ops.exp(x) * ops.sum(ops.exp(x), -1, keepdims=True), 0),
        lambda x, m, w: ops.sum(ops.sum(x * x * w, -1, keepdims=True) + x * x, 0) * m,
        lambda x, m, w: ops.sum(
            ops.transpose(x - m) + ops.sum(x - m, -1) + ops.sum(x * m), 0
        ),
    ],
    ids=["returned", "multiplied", "dear", "of one matrix", "seen otherwise"],
)
def test_a_matrix_that_some_need_stored_is_right(f):
    fused(f, M, M[0], M[1])


def test_softmax_reads_each_row_in_four_kernels():
    graph = fused(lambda x: functional.softmax(x, -1), M)
    assert len(graph.equations) <= 4


def test_long_chains_are_cut_into_kernels_of_bounded_size():
    def recurrence(x):
        for _ in range(1000):
            x = ops.sin(x) + 0.1
        return x

    graph = fused(recurrence, V)
    sizes = [len(e.params["body"].equations) for e in graph.equations]
    assert sum(sizes) == 2000
    assert max(sizes) <= 96
    assert len(sizes) < 40


def test_fusing_looks_at_each_equation_a_bounded_number_of_times(monkeypatch):
    counts = {}

    def counted(size):
        def recurrence(x, y):
            for _ in range(size):
                x, y = ops.sin(x) + y.sum(), ops.cos(y) @ np.ones((3, 3))
            return x, y

        graph = trace(recurrence, V, M).graph
        calls = [0]
        module = sys.modules["skgrad.executor.fuse"]
        original = module._is_aligned

        def counting(*args):
            calls[0] += 1
            return original(*args)

        monkeypatch.setattr(module, "_is_aligned", counting)
        fuse(graph)
        monkeypatch.setattr(module, "_is_aligned", original)
        counts[size] = calls[0]

    counted(50)
    counted(200)
    assert counts[200] < 5 * counts[50]


@given(random_graphs.steps, random_graphs.points)
@settings(max_examples=40)
def test_random_graphs(graph, point):
    def f(*xs):
        value = random_graphs.grown("skgrad", graph, xs)
        return value, ops.exp(ops.sin(value)).sum()

    fused(f, *[np.full(3, v) for v in point])
    n = tuple(range(len(point)))
    fused(
        grad(lambda *xs: random_graphs.grown("skgrad", graph, xs), n),
        *map(np.asarray, point),
    )
