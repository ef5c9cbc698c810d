"""What is known when a function is traced is computed then, once."""

import math
from dataclasses import replace

import numpy as np

from skgrad.backend.base import get_backend
from skgrad.executor.graph import Equation, Graph, Variable
from skgrad.typing import Array

__all__ = ["fold_constants"]

# A page of memory. Results beyond it are folded only if their operands were as large:
# a program does not keep an array that it can make from a few numbers.
SMALL = 4096


def fold_constants(graph: Graph) -> Graph:
    """Compute the equations whose operands are all constants.

    The reference backend computes them, so a run gives the same bits. Results that are
    much larger than their operands stay equations; so does a broadcast, whose elements
    cost nothing to repeat, and what raises an error, which belongs to the run.

    Parameters
    ----------
    graph : Graph
        The graph.

    Returns
    -------
    Graph
        A graph with more constants and fewer equations.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import ops
    >>> from skgrad.executor import trace
    >>> print(trace(lambda x: x * ops.exp(np.zeros(())) * 3.0, np.ones(2)).graph)
    <lambda>(%0: float64[2])
      %1: float64[] = constant 3.0
      %2: float64[2] = multiply(%0, %1)
      return %2
    """
    constants = dict(graph.constants)
    kept = []
    for equation in graph.equations:
        values = _folded(equation, constants)
        if values is None:
            kept.append(equation)
        else:
            constants.update(zip(equation.outputs, values, strict=True))
    return replace(graph, equations=tuple(kept), constants=constants)


def _folded(equation: Equation, constants: dict[Variable, Array]) -> list[Array] | None:
    if any(v not in constants for v in equation.inputs):
        return None
    operands = [constants[v] for v in equation.inputs]
    limit = max(SMALL, sum(value.nbytes for value in operands))
    size = sum(v.dtype.itemsize * math.prod(v.shape) for v in equation.outputs)
    if size > limit or equation.primitive.name == "broadcast":
        return None
    return _computed(equation, operands)


def _computed(equation: Equation, operands: list[Array]) -> list[Array] | None:
    kernel = equation.primitive.kernel(get_backend("cpu"), equation.params)
    try:
        with np.errstate(all="ignore"):
            out = kernel(*operands)
    except IndexError:
        return None
    return [_frozen(a) for a in (out if isinstance(out, tuple) else (out,))]


def _frozen(array: Array) -> Array:
    """Return a copy in the same layout, so that products and sums keep their order."""
    copy = np.array(array)
    copy.flags.writeable = False
    return copy
