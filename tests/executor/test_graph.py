"""The written spec of a graph: every way to break it is found."""

import importlib
from dataclasses import replace

import numpy as np
import pytest

import skgrad
from skgrad import ops
from skgrad.exceptions import GraphError
from skgrad.executor import Equation, Variable, passes, trace, verify


def traced():
    def f(x, y):
        return ops.sum(ops.exp(x) * y, axis=0) + 3.0

    return trace(f, np.ones((2, 3)), np.ones(3)).graph


def variable(shape=(3,), dtype="float64"):
    return Variable(shape, np.dtype(dtype), None)


def with_equation(graph, number, **changes):
    equations = list(graph.equations)
    equations[number] = equations[number]._replace(**changes)
    return replace(graph, equations=tuple(equations))


def swapped(graph):
    first, second, *rest = graph.equations
    return replace(graph, equations=(second, first, *rest))


def constant_of(graph, value):
    (key,) = graph.constants
    return replace(graph, constants={key: value})


BROKEN = {
    "an equation is missing": lambda g: replace(g, equations=g.equations[1:]),
    "equations in the wrong order": swapped,
    "an equation twice": lambda g: replace(g, equations=(g.equations[0], *g.equations)),
    "an input is defined again": lambda g: with_equation(g, 0, outputs=(g.inputs[0],)),
    "an input twice": lambda g: replace(g, inputs=(g.inputs[0], *g.inputs)),
    "an input that is a constant": lambda g: replace(
        g, constants={**g.constants, g.inputs[0]: np.ones((2, 3))}
    ),
    "an unknown output": lambda g: replace(g, outputs=(variable(),)),
    "an unknown operand": lambda g: with_equation(g, 0, inputs=(variable((2, 3)),)),
    "a wrong shape": lambda g: with_equation(g, 0, outputs=(variable((2, 4)),)),
    "a wrong dtype": lambda g: with_equation(
        g, 0, outputs=(variable((2, 3), "float32"),)
    ),
    "too many outputs": lambda g: with_equation(
        g, 0, outputs=(*g.equations[0].outputs, variable())
    ),
    "too few operands": lambda g: with_equation(g, 1, inputs=(g.inputs[0],)),
    "operands that do not fit": lambda g: with_equation(
        g, -1, inputs=(g.equations[-1].inputs[0], g.inputs[0])
    ),
    "a parameter that is not hashable": lambda g: with_equation(
        g, 2, params={**g.equations[2].params, "axes": [-2]}
    ),
    "an unknown parameter": lambda g: with_equation(g, 0, params={"axis": 0}),
    "a constant of another shape": lambda g: constant_of(g, np.ones(3)),
    "a constant of another dtype": lambda g: constant_of(g, np.ones((), np.float32)),
}


def test_the_graph_of_a_trace_is_sound():
    graph = traced()
    assert verify(graph) is graph
    assert [e.primitive.name for e in graph.equations] == [
        "exp",
        "multiply",
        "sum",
        "add",
    ]


@pytest.mark.parametrize("name", BROKEN)
def test_every_broken_graph_is_found(name):
    with pytest.raises(GraphError):
        verify(BROKEN[name](traced()))


def test_mixed_dtypes_are_found_by_the_rule_itself():
    x, y = variable(), variable(dtype="float32")
    out = variable()
    equation = Equation(ops.multiply.primitive, (x, y), {}, (out,))
    graph = replace(
        traced(), inputs=(x, y), constants={}, equations=(equation,), outputs=(out,)
    )
    with pytest.raises(GraphError, match=r"multiply.*float32"):
        verify(graph)


def test_messages_say_where():
    with pytest.raises(GraphError, match=r"equation 0 \(Primitive\(exp\)\)"):
        verify(BROKEN["a wrong shape"](traced()))


@pytest.mark.parametrize("number", range(len(passes.PASSES)))
def test_a_pass_that_breaks_the_graph_is_caught(monkeypatch, number):
    def broken(graph):
        return replace(graph, equations=graph.equations[1:])

    broken_passes = list(passes.PASSES)
    broken_passes.insert(number, broken)
    # The package's attribute of that name is the function.
    module = importlib.import_module("skgrad.executor.trace")
    monkeypatch.setattr(module, "PASSES", tuple(broken_passes))
    with pytest.raises(GraphError):
        traced()


def test_a_trace_that_breaks_the_spec_is_caught_before_the_first_pass(monkeypatch):
    """A primitive whose rule is not a function of its inputs."""
    shapes = iter([(3,), (4,)])
    rule = lambda x: skgrad.core.primitive.Abstract(next(shapes), x.dtype)  # noqa: E731
    primitive = skgrad.core.Primitive("fickle", rule)
    with pytest.raises(GraphError, match="fickle"):
        trace(primitive.bind, np.ones(3))


def test_variables_have_no_values():
    with pytest.raises(skgrad.exceptions.TraceError):
        np.asarray(variable())
    with pytest.raises(skgrad.exceptions.TraceError):
        bool(variable())
