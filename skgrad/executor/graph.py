"""The graph of a traced function, and its written spec.

A graph is a straight-line program in static single assignment:

- ``inputs``: variables given at each run, in order;
- ``constants``: variables with a value fixed at trace time;
- ``equations``: ``outputs = primitive(inputs, **params)``, in order of execution;
- ``outputs``: the variables a run returns, in order.

The spec, checked by :func:`verify`:

1. every variable is defined exactly once: as an input, as a constant or as an output
   of an equation;
2. a variable is used only after it is defined;
3. shape and dtype of the outputs of an equation are what the primitive's shape rule
   says for its inputs;
4. constants have the shape and dtype of their variable;
5. static parameters are hashable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from skgrad.core.primitive import Abstract, Primitive
from skgrad.exceptions import GraphError, TraceError
from skgrad.typing import Array, Shape

__all__ = ["Equation", "Frame", "Graph", "Variable", "verify"]


class Frame(NamedTuple):
    """The line of the user's code an equation came from.

    ``derivative_of`` names the operation of that line whose gradient rule it is a part
    of, if it is.
    """

    filename: str
    lineno: int
    function: str
    derivative_of: str | None = None

    def __str__(self) -> str:
        return f"{self.filename}:{self.lineno} in {self.function}"


class Variable:
    """What stands for an array in a graph: a shape and a dtype.

    Parameters
    ----------
    shape : tuple of int
        Extents.
    dtype : numpy.dtype
        Element type.
    trace : object
        The trace the variable belongs to.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.executor import trace
    >>> (variable,) = trace(lambda x: x * 2.0, np.zeros(3)).graph.inputs
    >>> variable.shape, variable.dtype
    ((3,), dtype('float64'))
    """

    __slots__ = ("dtype", "shape", "trace")
    is_symbol = True

    def __init__(self, shape: Shape, dtype: np.dtype[Any], trace: object) -> None:
        self.shape = shape
        self.dtype = dtype
        self.trace = trace

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise TraceError("A traced tensor has no elements.")

    def __bool__(self) -> bool:
        raise TraceError("A traced tensor has no truth value.")


class Equation(NamedTuple):
    """One instruction of a graph: ``outputs = primitive(inputs, **params)``.

    Parameters
    ----------
    primitive : Primitive
        What is computed.
    inputs : tuple of Variable
        Its operands.
    params : dict
        Its static parameters, hashable.
    outputs : tuple of Variable
        What it defines.
    frame : Frame, optional
        The line of the user's code it came from.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.executor import trace
    >>> (equation,) = trace(lambda x: x.sum(), np.zeros(3)).graph.equations
    >>> equation.primitive, equation.params
    (Primitive(sum), {'axes': (-1,), 'keepdims': False})
    """

    primitive: Primitive
    inputs: tuple[Variable, ...]
    params: dict[str, Any]
    outputs: tuple[Variable, ...]
    frame: Frame | None = None


@dataclass(frozen=True, eq=False)
class Graph:
    """A traced function; see the module's docstring for the spec.

    Parameters
    ----------
    inputs : tuple of Variable
        What is given at each run.
    constants : dict of Variable to array
        What is fixed at trace time.
    equations : tuple of Equation
        The instructions, in order of execution.
    outputs : tuple of Variable
        What a run returns.
    name : str, default="function"
        Name of the traced function, for messages.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.executor import trace
    >>> def double(x):
    ...     return x + x
    >>> print(trace(double, np.zeros(3)).graph)
    double(%0: float64[3])
      %1: float64[3] = add(%0, %0)
      return %1
    """

    inputs: tuple[Variable, ...]
    constants: dict[Variable, Array]
    equations: tuple[Equation, ...]
    outputs: tuple[Variable, ...]
    name: str = field(default="function")

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def _lines(graph: Graph) -> Iterator[str]:
    names: dict[Variable, str] = {}

    def name(variable: Variable) -> str:
        if variable not in names:
            names[variable] = f"%{len(names)}"
        return names[variable]

    def typed(variable: Variable) -> str:
        return f"{name(variable)}: {variable.dtype}{list(variable.shape)}"

    yield f"{graph.name}({', '.join(map(typed, graph.inputs))})"
    for variable, value in graph.constants.items():
        shown = value.item() if value.size == 1 else "..."
        yield f"  {typed(variable)} = constant {shown}"
    for equation in graph.equations:
        left = ", ".join(map(typed, equation.outputs))
        right = ", ".join(map(name, equation.inputs))
        params = "".join(f", {k}={v}" for k, v in equation.params.items())
        yield f"  {left} = {equation.primitive.name}({right}{params})"
    yield f"  return {', '.join(map(name, graph.outputs))}"


# Whether traces and passes are verified; the tests switch it on. It takes as long as
# all passes together.
CHECKED = False


def checked(graph: Graph) -> Graph:
    """Return a graph, verified where that is switched on."""
    return verify(graph) if CHECKED else graph


def verify(graph: Graph) -> Graph:
    """Check a graph against the spec.

    Parameters
    ----------
    graph : Graph
        What to check.

    Returns
    -------
    Graph
        The graph itself.

    Raises
    ------
    GraphError
        Naming the first point of the spec that is broken, and where.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.executor import trace, verify
    >>> graph = trace(lambda x: x * 2.0, np.zeros(3)).graph
    >>> verify(graph) is graph
    True
    """
    defined: set[Variable] = set()
    for variable in (*graph.inputs, *graph.constants):
        _define(variable, defined, "an input or constant")
    for variable, value in graph.constants.items():
        if (value.shape, value.dtype) != (variable.shape, variable.dtype):
            raise GraphError(
                f"A constant of {value.dtype}{value.shape} is declared as "
                f"{variable.dtype}{variable.shape}."
            )
    for number, equation in enumerate(graph.equations):
        _verify_equation(equation, defined, f"equation {number} ({equation.primitive})")
    _use(graph.outputs, defined, "the outputs")
    return graph


def _define(variable: Variable, defined: set[Variable], where: str) -> None:
    if variable in defined:
        raise GraphError(f"A variable is defined twice, the second time by {where}.")
    defined.add(variable)


def _use(variables: tuple[Variable, ...], defined: set[Variable], where: str) -> None:
    if any(variable not in defined for variable in variables):
        raise GraphError(f"A variable is used by {where} before it is defined.")


def _verify_equation(equation: Equation, defined: set[Variable], where: str) -> None:
    _use(equation.inputs, defined, where)
    try:
        hash(tuple(equation.params.values()))
    except TypeError as error:
        raise GraphError(f"A parameter of {where} is not hashable.") from error
    try:
        expected = equation.primitive.shape_rule(*equation.inputs, **equation.params)
    except Exception as error:
        raise GraphError(f"The inputs of {where} break its rule: {error}") from error
    rules = (expected,) if isinstance(expected, Abstract) else expected
    found = tuple(Abstract(v.shape, v.dtype) for v in equation.outputs)
    if rules != found:
        raise GraphError(f"The outputs of {where} are {found}, its rule says {rules}.")
    for variable in equation.outputs:
        _define(variable, defined, where)
