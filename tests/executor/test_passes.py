"""Every pass: sound before and after, and the same function."""

import numpy as np
import pytest

import skgrad
from skgrad import ops
from skgrad.core.interpreter import pushed
from skgrad.core.tree import tree_flatten
from skgrad.executor import verify
from skgrad.executor.graph import Graph
from skgrad.executor.passes import PASSES
from skgrad.executor.program import Program
from skgrad.executor.trace import Tracer

X, Y = np.linspace(-1.0, 1.0, 6).reshape(2, 3), np.array([0.5, -1.0, 2.0])


def useless(x, y):
    _ = ops.exp(x) @ y
    return x * 2.0


def training(x, y):
    def loss(y):
        return ops.sum(ops.softplus(x @ y)) + ops.prod(y)

    value, slope = skgrad.value_and_grad(loss)(y)
    return value, y - 0.1 * slope


FUNCTIONS = [
    lambda x, y: x,
    lambda x, y: (y, 3.0),
    useless,
    training,
    lambda x, y: ops.unpack(ops.pack([x, y]), [(3,), (6,)])[1],
    lambda x, y: skgrad.hessian(lambda v: ops.sum(ops.sin(v) * v[0]))(y),
]


def raw(function):
    """Trace without any pass."""
    tracer = Tracer()
    inputs = tuple(tracer.variable(a) for a in (X, Y))
    with pushed(tracer):
        out, treedef = tree_flatten(function(*map(skgrad.Tensor, inputs)))
        outputs = tuple(tracer.lift(ops.promotion.as_value(v), "test") for v in out)
    graph = Graph(inputs, tracer.constants, tuple(tracer.equations), outputs)
    return graph, tree_flatten((X, Y))[1], treedef


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("transform", PASSES, ids=lambda p: p.__name__)
def test_a_pass_keeps_the_spec_and_the_values(transform, function):
    graph, *treedefs = raw(function)
    verify(graph)
    after = verify(transform(graph))
    assert after.inputs == graph.inputs
    assert len(after.outputs) == len(graph.outputs)
    assert len(after.equations) <= len(graph.equations)
    before_values = Program(graph, *treedefs).run([X, Y])
    for b, a in zip(before_values, Program(after, *treedefs).run([X, Y]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert transform(after) == after
