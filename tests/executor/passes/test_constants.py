"""What is computed at trace time, and what is left to the run."""

import numpy as np
import pytest
from executor.passes.graphs import assert_same_bits, names, run, simplified

from skgrad import ops
from skgrad.executor.passes import fold_constants

X = np.ones(3)
KEY = np.array([7, 3], dtype=np.uint32)
W = np.arange(6.0).reshape(2, 3)
LONG = np.arange(1000.0)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x * ops.log(ops.add(np.array(1.0), 1.0)), X * np.log(2.0)),
        (lambda x: ops.log(np.zeros(2)), np.full(2, -np.inf)),
        (lambda x: ops.astype(np.array(0.1), "float32"), np.float32(0.1)),
        (lambda x: ops.transpose(W), W.T),
        (lambda x: ops.unpack(np.arange(3.0), [(2,), ()])[1], 2.0),
        (lambda x: ops.pad(np.ones(1), [(0, 511)]), np.eye(512)[0]),
        (lambda x: ops.square(LONG), LONG**2),
        (lambda x: ops.less(np.array(1), 2), True),
    ],
    ids=lambda value: "" if callable(value) else f"{np.shape(value)}",
)
def test_constants_are_computed_once(function, expected):
    graph = simplified(fold_constants, function, X)
    assert set(names(graph)) <= {"multiply"}
    assert_same_bits(run(graph, X)[0], expected)
    assert all(not value.flags.writeable for value in graph.constants.values())


def test_random_bits_of_constants_are_constant():
    def function(x):
        rows = np.arange(3, dtype=np.uint32)
        bits = ops.random.random_bits(KEY, np.int64(9), rows, draw=1)
        return x * ops.astype(bits, "float64")

    graph = simplified(fold_constants, function, X)
    assert names(graph) == ["multiply"]


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: x * 2.0 + 3.0, ["multiply", "add"]),
        (lambda x: x * ops.broadcast_to(2.0, (3,)), ["broadcast", "multiply"]),
        (lambda x: ops.pad(np.ones(1, np.int8), [(0, 4096)]), ["scatter_slice"]),
        (lambda x: np.ones((600, 1)) + ops.sin(np.ones((1, 1))), []),
        (lambda x: ops.add(np.ones((600, 1)), np.ones((1, 600))), ["add"]),
    ],
    ids=["inputs", "a broadcast", "just too large", "just small", "an outer sum"],
)
def test_results_that_grow_are_left_to_the_run(function, left):
    assert names(simplified(fold_constants, function, X)) == left


def test_an_error_belongs_to_the_run():
    graph = simplified(fold_constants, lambda x: x + ops.take(np.ones(2), [5] * 3), X)
    assert names(graph) == ["take", "add"]
    with pytest.raises(IndexError):
        run(graph, X)


def test_a_folded_array_keeps_its_layout():
    """A product of a transpose may add up in another order than one of a copy."""
    graph = simplified(fold_constants, lambda x: ops.transpose(W) * x[:2], X)
    assert any(value.flags.f_contiguous for value in graph.constants.values())
    (matrix,) = (value for value in graph.constants.values() if value.ndim == 2)
    assert matrix.strides == (8, 24)
