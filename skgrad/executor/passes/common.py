"""What is computed twice is computed once."""

from collections.abc import Hashable
from dataclasses import replace

from skgrad.executor.graph import Equation, Graph, Variable
from skgrad.typing import Array

__all__ = ["merge_common"]

# Constants up to a page are compared by their bytes; a larger one that is used twice
# is one constant of the trace already.
SMALL = 4096
# NaNs aside, bit for bit. `maximum` is not among them: it may return either zero.
COMMUTATIVE = frozenset({"add", "multiply"})


def merge_common(graph: Graph) -> Graph:
    """Merge equal equations, and equal constants.

    Equations are equal if primitive, operands and parameters are. The first one stays
    and serves the readers of all.

    Parameters
    ----------
    graph : Graph
        The graph.

    Returns
    -------
    Graph
        A graph where no two equations compute the same.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import ops
    >>> from skgrad.executor import trace
    >>> print(trace(lambda x: ops.exp(x) + ops.exp(x), np.ones(2)).graph)
    <lambda>(%0: float64[2])
      %1: float64[2] = exp(%0)
      %2: float64[2] = add(%1, %1)
      return %2
    """
    same: dict[Variable, Variable] = {}
    constants = _constants(graph, same)
    seen: dict[Hashable, tuple[Variable, ...]] = {}
    kept = []
    for old in graph.equations:
        equation = renamed(old, same)
        outputs = seen.setdefault(_key(equation), equation.outputs)
        if outputs is equation.outputs:
            kept.append(equation)
        else:
            same.update(zip(equation.outputs, outputs, strict=True))
    results = tuple(same.get(v, v) for v in graph.outputs)
    return replace(graph, constants=constants, equations=tuple(kept), outputs=results)


def renamed(equation: Equation, names: dict[Variable, Variable]) -> Equation:
    """Return the equation with the operands that ``names`` says in place of its own."""
    if names.keys().isdisjoint(equation.inputs):
        return equation
    return equation._replace(inputs=tuple([names.get(v, v) for v in equation.inputs]))


def _constants(graph: Graph, same: dict[Variable, Variable]) -> dict[Variable, Array]:
    seen: dict[Hashable, Variable] = {}
    kept = {}
    for variable, value in graph.constants.items():
        small = value.nbytes <= SMALL
        key = (value.dtype, value.shape, value.tobytes()) if small else variable
        first = seen.setdefault(key, variable)
        if first is variable:
            kept[variable] = value
        else:
            same[variable] = first
    return kept


def _key(equation: Equation) -> Hashable:
    inputs: Hashable = equation.inputs
    if equation.primitive.name in COMMUTATIVE:
        inputs = frozenset(equation.inputs)
    # The text tells 1 from 1.0 and True, and 0.0 from -0.0, which are equal.
    params = equation.params
    return equation.primitive, inputs, tuple(params.values()), str(params)
