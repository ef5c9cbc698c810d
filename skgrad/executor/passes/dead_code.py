"""What no output depends on."""

from dataclasses import replace

from skgrad.executor.graph import Graph

__all__ = ["remove_dead_code"]


def remove_dead_code(graph: Graph) -> Graph:
    """Drop equations and constants no output depends on.

    Parameters
    ----------
    graph : Graph
        The graph; its inputs are kept, used or not.

    Returns
    -------
    Graph
        A graph with the same inputs and outputs.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.executor import trace
    >>> def f(x):
    ...     unused = x * 2.0
    ...     return x + 1.0
    >>> len(trace(f, np.zeros(3)).graph.equations)
    1
    """
    needed = set(graph.outputs)
    kept = []
    for equation in reversed(graph.equations):
        if not needed.isdisjoint(equation.outputs):
            kept.append(equation)
            needed.update(equation.inputs)
    constants = {v: value for v, value in graph.constants.items() if v in needed}
    return replace(graph, equations=tuple(reversed(kept)), constants=constants)
