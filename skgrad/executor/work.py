"""How much work a program is, and which executor that makes worth while.

The estimate depends on shapes alone, never on the clock, so that the same fit always
runs the same way.
"""

from __future__ import annotations

import math

from skgrad.executor.fuse import VIEWS
from skgrad.executor.graph import Equation, Graph

__all__ = ["chosen_executor", "reference_seconds"]

# Of the NumPy backend on one core of a current processor, measured on the training step
# of a network with one hidden layer (85 equations in 0.25 ms at 32 rows).
CALL = 1.5e-6  # seconds per equation
ELEMENT = 1.0e-9  # seconds per element of an elementwise operation
STORED = 6.0e-9  # seconds per product with a stored element of a sparse matrix
FLOP = 2.5e-11  # seconds per floating-point operation of a product

# Seconds of NumPy that justify compiled kernels: what loading the compiler costs a
# process the first time.
WORTH_COMPILING = 0.1


def reference_seconds(graph: Graph) -> float:
    """Return the estimated seconds of one run on the reference executor.

    Parameters
    ----------
    graph : Graph
        What is run.

    Returns
    -------
    float
        Seconds; from shapes alone.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.executor import trace
    >>> from skgrad.executor.work import reference_seconds
    >>> graph = trace(lambda x: x + x, np.zeros(1000)).graph
    >>> round(1e6 * reference_seconds(graph), 2)
    2.5
    """
    return sum(map(_seconds, graph.equations))


def _seconds(equation: Equation) -> float:
    out = math.prod(equation.outputs[0].shape)
    if equation.primitive.name in VIEWS:
        return CALL
    if equation.primitive.name == "matmul":
        return CALL + FLOP * 2 * out * equation.inputs[0].shape[-1]
    if equation.primitive.name == "gram":
        return CALL + FLOP * 2 * out * equation.inputs[0].shape[-2]
    if equation.primitive.name.startswith("sparse_"):
        return CALL + ELEMENT * out + STORED * _sparse_products(equation)
    read = max((math.prod(v.shape) for v in equation.inputs), default=0)
    return CALL + ELEMENT * max(out, read)


def _sparse_products(equation: Equation) -> float:
    """Return how many elements of the rows of a sparse matrix are multiplied.

    The rows are taken to be as full as the matrix is on average.
    """
    data, _, indptr, rows, dense = (v.shape for v in equation.inputs)
    per_row = data[0] / max(1, indptr[0] - 1)
    gram = equation.primitive.name == "sparse_gram"
    columns = per_row if gram else math.prod((*dense[:-2], dense[-1]))
    return rows[0] * per_row * columns


def chosen_executor(graph: Graph, n_runs: float) -> str:
    """Return which executor to run a graph on.

    Parameters
    ----------
    graph : Graph
        What is run.
    n_runs : float
        How often, at most.

    Returns
    -------
    {"cpu", "reference"}
        Compiled kernels if the reference executor would take more than 0.1 s.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.executor import trace
    >>> from skgrad.executor.work import chosen_executor
    >>> graph = trace(lambda x: x + x, np.zeros(1000)).graph
    >>> chosen_executor(graph, n_runs=10), chosen_executor(graph, n_runs=1e6)
    ('reference', 'cpu')
    """
    worth = n_runs * reference_seconds(graph) > WORTH_COMPILING
    return "cpu" if worth else "reference"
