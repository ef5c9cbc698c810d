"""Identities: what an equation says in another way, with fewer equations."""

from collections.abc import Sequence

from skgrad.executor.graph import Graph
from skgrad.executor.passes.arithmetic import ARITHMETIC
from skgrad.executor.passes.rewrite import Rule, rewritten
from skgrad.executor.passes.structure import STRUCTURE

__all__ = ["ALGEBRA", "simplify_algebra"]

ALGEBRA: dict[str, Sequence[Rule]] = {**ARITHMETIC, **STRUCTURE}


def simplify_algebra(graph: Graph) -> Graph:
    """Apply identities that hold for every number, infinities and -0.0 included.

    Operands that need no computation are read where they are: neutral elements, double
    signs, conversions there and back, moves of elements that cancel, repetitions that
    the reader makes itself, leaves packed as they were unpacked.

    Parameters
    ----------
    graph : Graph
        The graph.

    Returns
    -------
    Graph
        The same function; equations that nothing reads any more are still there.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.executor import trace
    >>> print(trace(lambda x: (-(x.T * 1.0)).T + 0.0, np.ones((2, 3))).graph)
    <lambda>(%0: float64[2, 3])
      %1: float64[] = constant 0.0
      %2: float64[3, 2] = transpose(%0, axes=(-1, -2))
      %3: float64[3, 2] = negative(%2)
      %4: float64[2, 3] = transpose(%3, axes=(-1, -2))
      %5: float64[2, 3] = add(%4, %1)
      return %5
    """
    return rewritten(graph, ALGEBRA)
