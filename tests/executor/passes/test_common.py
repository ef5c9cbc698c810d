"""What counts as the same equation or constant, and what does not."""

import numpy as np
import pytest
from executor.passes.graphs import assert_same_bits, names, raw, run, simplified

from skgrad import ops
from skgrad.core.primitive import Abstract, Primitive
from skgrad.executor.passes import merge_common

X, Y = np.array([0.5, -0.0, np.nan]), np.array([-2.0, 0.0, 1.0])
BIG = np.ones(1000)


@pytest.mark.parametrize(
    ("function", "left", "expected"),
    [
        (lambda x, y: ops.exp(x) - ops.exp(x), ["exp", "subtract"], [0.0, 0.0, np.nan]),
        (lambda x, y: x * y + y * x, ["multiply", "add"], 2.0 * X * Y),
        (lambda x, y: x * 2.0 + x * 2.0, ["multiply", "add"], 4.0 * X),
        (
            lambda x, y: (
                ops.unpack(x, [(1,), (2,)])[0] + ops.unpack(x, [(1,), (2,)])[1]
            ),
            ["unpack", "add"],
            [0.5, np.nan],
        ),
        (lambda x, y: ops.sum(x) - ops.sum(x), ["sum", "subtract"], np.nan),
    ],
    ids=["equations", "commuted", "with equal constants", "several outputs", "params"],
)
def test_equal_equations_are_one(function, left, expected):
    graph = simplified(merge_common, function, X, Y)
    assert names(graph) == left
    assert_same_bits(run(graph, X, Y)[0], expected)


@pytest.mark.parametrize(
    ("function", "n_equations"),
    [
        (lambda x, y: (ops.exp(x), ops.exp(y)), 2),
        (lambda x, y: (x - y, y - x), 2),
        (lambda x, y: (ops.maximum(x, y), ops.maximum(y, x)), 2),
        (lambda x, y: (ops.cumsum(x), ops.sum(x), ops.sum(x, keepdims=True)), 3),
        (lambda x, y: (ops.astype(x, "float32"), ops.astype(x, "int32")), 2),
        (lambda x, y: (x + 0.0, x + -0.0), 2),
    ],
    ids=["operands", "order", "zeros of two signs", "params", "dtypes", "constants"],
)
def test_what_differs_stays_apart(function, n_equations):
    assert len(simplified(merge_common, function, X, Y).equations) == n_equations


def test_params_that_compare_equal_may_differ():
    """0.0 and -0.0 are equal and so are 1 and True, but a rule can tell them apart."""
    rule = Primitive("scaled", lambda x, by: Abstract(x.shape, x.dtype))
    graph = raw(lambda x: [rule.bind(x, by=b) for b in (0.0, -0.0, 1, True, 1)], X)
    assert len(merge_common(graph).equations) == 4


def test_equal_constants_are_one():
    def function(x):
        return [np.array(v) for v in (1.0, 1.0, -0.0, 0.0, 0.0, 1, 0)]

    graph = simplified(merge_common, function, X)
    assert len(graph.constants) == 5
    for found, expected in zip(run(graph, X), function(X), strict=True):
        assert_same_bits(found, expected)
    shapes = simplified(merge_common, lambda x: [np.ones((1, 2)), np.ones(2)], X)
    assert len(shapes.constants) == 2


def test_large_constants_are_not_compared():
    graph = simplified(merge_common, lambda x: (BIG, BIG, BIG.copy()), X)
    assert len(graph.constants) == 2
    assert graph.outputs[0] is graph.outputs[1]


def test_merging_goes_through_the_readers():
    """Readers of merged results are equal in turn."""

    def function(x, y):
        return ops.tanh(ops.exp(x) + 1.0), ops.tanh(1.0 + ops.exp(x))

    graph = simplified(merge_common, function, X, Y)
    assert names(graph) == ["exp", "add", "tanh"]
    assert graph.outputs[0] is graph.outputs[1]


def test_the_first_line_is_kept():
    def function(x):
        first = ops.exp(x)
        second = ops.exp(x)
        return first, second

    before = raw(function, X)
    (equation,) = merge_common(before).equations
    assert equation is before.equations[0]
