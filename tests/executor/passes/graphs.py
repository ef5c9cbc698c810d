"""Graphs as they are traced, what they compute, and what every pass must keep."""

import numpy as np

import skgrad
from skgrad import ops
from skgrad.backend import get_backend
from skgrad.core.interpreter import pushed
from skgrad.core.tree import tree_leaves
from skgrad.executor import verify
from skgrad.executor.graph import Graph
from skgrad.executor.passes import remove_dead_code
from skgrad.executor.trace import Tracer


def raw(function, *arrays):
    """Trace without any pass."""
    tracer = Tracer()
    inputs = tuple(tracer.variable(np.asarray(a)) for a in arrays)
    with pushed(tracer):
        out = tree_leaves(function(*map(skgrad.Tensor, inputs)))
        outputs = tuple(tracer.lift(ops.promotion.as_value(v), "test") for v in out)
    return verify(Graph(inputs, tracer.constants, tuple(tracer.equations), outputs))


def applied(transform, graph):
    """Return the graph after a pass, having checked what holds for every pass."""
    after = verify(transform(graph))
    assert after.inputs == graph.inputs
    assert [(v.shape, v.dtype) for v in after.outputs] == [
        (v.shape, v.dtype) for v in graph.outputs
    ]
    lines = {equation.frame for equation in graph.equations}
    assert {equation.frame for equation in after.equations} <= lines
    return after


def simplified(transform, function, *arrays):
    """Return the graph of a function after one pass, without dead code."""
    return remove_dead_code(applied(transform, raw(function, *arrays)))


def names(graph):
    return [equation.primitive.name for equation in graph.equations]


def run(graph, *arrays):
    """Compute equation by equation with the reference backend."""
    inputs = zip(graph.inputs, map(np.asarray, arrays), strict=True)
    values = {**graph.constants, **dict(inputs)}
    for equation in graph.equations:
        kernel = equation.primitive.kernel(get_backend("cpu"), equation.params)
        with np.errstate(all="ignore"):
            out = kernel(*(values[v] for v in equation.inputs))
        out = out if isinstance(out, tuple) else (out,)
        values.update(zip(equation.outputs, map(np.asarray, out), strict=True))
    return [values[v] for v in graph.outputs]


def assert_same_bits(found, expected):
    """Compare shape, dtype and every bit but those of NaNs, which are all the same."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found, expected)
    if found.dtype.kind == "f":
        numbers = ~np.isnan(expected)
        signs = np.signbit(found[numbers]), np.signbit(expected[numbers])
        np.testing.assert_array_equal(*signs)
