"""Rewriting: a graph is written anew, and rules choose what stands in it.

A rule looks at one equation, and through :meth:`Writer.definition` at the equations
that define its operands. It returns variables to use in the place of the equation's
outputs, after writing what they need with :meth:`Writer.apply`, or ``None`` if it has
nothing to say. What a rule writes goes through the rules too. Operands come before
their readers, so when an equation is looked at its operands are as simple as they will
ever be: one sweep is enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import skgrad.ops  # registers the primitives  # noqa: F401
from skgrad.core.primitive import Primitive, registered
from skgrad.executor.graph import Equation, Graph, Variable
from skgrad.executor.passes.common import renamed
from skgrad.typing import Array, Shape

__all__ = ["Rule", "Rules", "Writer", "rewritten"]

Found = Variable | tuple[Variable, ...] | None
Rule = Callable[["Writer", Equation], Found]
Rules = Mapping[str, Sequence[Rule]]
"""By name of the primitive; under ``"elementwise"`` those of every elementwise one."""

_PRIMITIVES = registered()


def rewritten(graph: Graph, rules: Rules) -> Graph:
    """Return the graph written anew by the rules.

    Equations no rule speaks about are kept as they are. What rules have made
    unnecessary is kept too, until the dead code is removed.

    Parameters
    ----------
    graph : Graph
        The graph.
    rules : dict of str to sequence of rules
        The first rule that returns something wins.

    Returns
    -------
    Graph
        A graph with the same inputs, and outputs of the same shapes and dtypes.
    """
    writer = Writer(graph, rules)
    names: dict[Variable, Variable] = {}
    for old in graph.equations:
        equation = renamed(old, names)
        outputs = writer.write(equation)
        if outputs is not equation.outputs:
            names.update(zip(equation.outputs, outputs, strict=True))
    return replace(
        graph,
        constants=writer.constants,
        equations=tuple(writer.equations),
        outputs=tuple(names.get(v, v) for v in graph.outputs),
    )


class Writer:
    """A graph being written, equation after equation.

    Parameters
    ----------
    graph : Graph
        Where the constants come from.
    rules : dict of str to sequence of rules
        What every equation goes through.
    """

    def __init__(self, graph: Graph, rules: Rules) -> None:
        self.constants = dict(graph.constants)
        self.equations: list[Equation] = []
        self._rules = rules
        self._definitions: dict[Variable, Equation] = {}
        self._source: Equation | None = None  # what is being replaced

    def definition(self, variable: Variable, name: str) -> Equation | None:
        """Return the equation of a variable if its primitive has this name."""
        equation = self._definitions.get(variable)
        if equation is None or equation.primitive.name != name:
            return None
        return equation

    def write(self, equation: Equation) -> tuple[Variable, ...]:
        """Write an equation, or what a rule puts in its place; return the outputs."""
        before, self._source = self._source, equation
        for rule in self._applicable(equation.primitive):
            found = rule(self, equation)
            if found is not None:
                self._source = before
                return found if isinstance(found, tuple) else (found,)
        self._source = before
        self.equations.append(equation)
        self._definitions.update(dict.fromkeys(equation.outputs, equation))
        return equation.outputs

    def _applicable(self, primitive: Primitive) -> Sequence[Rule]:
        own = self._rules.get(primitive.name, ())
        if primitive.expression is None:
            return own
        return (*self._rules.get("elementwise", ()), *own)

    def apply(
        self, name: str | Primitive, *inputs: Variable, **params: Any
    ) -> Variable:
        """Write one more equation, of one output, on behalf of the one at hand."""
        source = self._source
        assert source is not None
        primitive = name if isinstance(name, Primitive) else _PRIMITIVES[name]
        rule = primitive.shape_rule(*inputs, **params)
        out = Variable(rule.shape, rule.dtype, source.outputs[0].trace)
        (result,) = self.write(
            Equation(primitive, inputs, params, (out,), source.frame)
        )
        return result

    # --- what rules are made of ---------------------------------------------------

    def reshaped(self, x: Variable, shape: Shape) -> Variable:
        """Return the variable in another shape."""
        if x.shape == shape:
            return x
        return self.apply("reshape", x, n_axes=len(x.shape), shape=shape)

    def repeated(self, x: Variable, shape: Shape) -> Variable:
        """Return the variable broadcast to a shape."""
        return self.apply("broadcast", x, n_axes=len(x.shape), shape=shape)

    def swapped(self, x: Variable) -> Variable:
        """Return the variable with its last two axes exchanged."""
        return self.apply("transpose", x, axes=(-1, -2))

    def number(self, value: Array) -> Variable:
        """Return a constant of one element as a constant scalar."""
        assert self._source is not None
        variable = Variable((), value.dtype, self._source.outputs[0].trace)
        self.constants[variable] = np.array(value.reshape(()))
        self.constants[variable].flags.writeable = False
        return variable

    def is_number(self, variable: Variable, number: float) -> bool:
        """Tell whether a variable is a constant of one element, this one."""
        value = self.constants.get(variable)
        if value is None or value.size != 1 or value.item() != number:
            return False
        if value.dtype.kind != "f":
            return True
        return math.copysign(1.0, value.item()) == math.copysign(1.0, number)
