"""Products for compiled loops: in the layout of their readers, and without BLAS.

A product of a matrix and a vector is one sum per row or column. As elementwise products
and sums these share a loop with their neighbours, read each matrix once and in the
order in which it lies in memory. The sums add up in another order than BLAS does, so
that results differ in the last digits.
"""

from collections import Counter
from collections.abc import Sequence

from skgrad.executor.graph import Equation, Graph, Variable
from skgrad.executor.passes.algebra import ALGEBRA
from skgrad.executor.passes.rewrite import Found, Rule, Writer, rewritten
from skgrad.executor.passes.structure import (
    is_floating,
    over_single_elements,
    swaps_last_two,
)

__all__ = ["orient_products"]


def orient_products(graph: Graph) -> Graph:
    """Turn products so that transposes cancel; write thin ones as sums.

    The transpose of a product with no other reader becomes the product of the
    transposes: the gradient of a weight is made in the weight's own layout.

    Parameters
    ----------
    graph : Graph
        A graph without dead code: readers are counted.

    Returns
    -------
    Graph
        The same function up to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.executor import trace
    >>> from skgrad.executor.passes import orient_products, remove_dead_code
    >>> graph = trace(lambda x, w: x @ w.T, np.ones((5, 3)), np.ones((1, 3))).graph
    >>> print(remove_dead_code(orient_products(graph)))
    <lambda>(%0: float64[5, 3], %1: float64[1, 3])
      %2: float64[5, 3] = multiply(%0, %1)
      %3: float64[5, 1] = sum(%2, axes=(-1,), keepdims=True)
      return %3
    """
    reads = Counter(v for equation in graph.equations for v in equation.inputs)
    reads.update(graph.outputs)

    def of_product(writer: Writer, equation: Equation) -> Found:
        product = writer.definition(equation.inputs[0], "matmul")
        if product is None or reads[product.outputs[0]] != 1:
            return None
        if not swaps_last_two(equation):
            return None
        x, y = product.inputs
        return writer.apply("matmul", writer.swapped(y), writer.swapped(x))

    rules: dict[str, Sequence[Rule]] = {
        **ALGEBRA,
        "matmul": (*ALGEBRA["matmul"], _matrix_vector, _vector_matrix),
        "sum": (over_single_elements,),
        "transpose": (*ALGEBRA["transpose"], of_product),
    }
    return rewritten(graph, rules)


def _matrix_vector(writer: Writer, equation: Equation) -> Found:
    """Sum along the rows of x, or along the columns of what x is the transpose of."""
    (x, y), (out,) = equation.inputs, equation.outputs
    if y.shape[-1] != 1 or not is_floating(equation):
        return None
    original = _original(writer, x)
    if original is not None:
        return writer.reshaped(_summed(writer, original, y, -2), out.shape)
    return _summed(writer, x, _turned(writer, y), -1)


def _vector_matrix(writer: Writer, equation: Equation) -> Found:
    """Sum along the columns of y, or along the rows of what y is the transpose of."""
    (x, y), (out,) = equation.inputs, equation.outputs
    if x.shape[-2] != 1 or not is_floating(equation):
        return None
    original = _original(writer, y)
    if original is not None:
        return writer.reshaped(_summed(writer, original, x, -1), out.shape)
    return _summed(writer, _turned(writer, x), y, -2)


def _original(writer: Writer, x: Variable) -> Variable | None:
    source = writer.definition(x, "transpose")
    return source.inputs[0] if source is not None and swaps_last_two(source) else None


def _turned(writer: Writer, x: Variable) -> Variable:
    """Return rows as columns where one of the extents is 1: no element moves."""
    *lead, n, m = x.shape
    return writer.reshaped(x, (*lead, m, n))


def _summed(writer: Writer, x: Variable, y: Variable, axis: int) -> Variable:
    terms = writer.apply("multiply", x, y)
    return writer.apply("sum", terms, axes=(axis,), keepdims=True)
