"""Where a number that is not finite comes from.

The program runs once more on the reference executor and keeps every array. From an
element of a result that is not finite the search goes back to the operand it came from,
element by element, until an operation is found whose operands are all finite.
"""

from __future__ import annotations

import linecache
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skgrad.backend.base import get_backend
from skgrad.executor.graph import Equation, Frame, Graph, Variable
from skgrad.executor.reference import ReferenceExecutor
from skgrad.executor.steps import StepInput
from skgrad.typing import Array

__all__ = ["Culprit", "culprit", "culprit_of_steps", "culprit_of_sums"]

Index = tuple[int, ...]


@dataclass(frozen=True)
class Culprit:
    """An operation that makes a number that is not finite of finite ones.

    Parameters
    ----------
    name : str
        The operation.
    operands : tuple of float
        What it was given at that element; empty if it is not elementwise.
    result : float
        What it made of them.
    frame : Frame or None
        The user's line it comes from; that of the operation it is the derivative of.

    Examples
    --------
    >>> from skgrad.executor.diagnose import Culprit
    >>> print(Culprit("log", (-2.0,), float("nan"), None))
    log(-2) is nan
    """

    name: str
    operands: tuple[float, ...]
    result: float
    frame: Frame | None

    @property
    def operation(self) -> str:
        """The operation of the user's line: that whose derivative it is, if it is."""
        derivative_of = self.frame.derivative_of if self.frame else None
        return derivative_of or self.name

    def __str__(self) -> str:
        given = f"({', '.join(f'{x:g}' for x in self.operands)})" * bool(self.operands)
        what = f"{self.name}{given} is {self.result:g}"
        if self.frame is None:
            return what
        path, line, function, differentiated = self.frame
        if differentiated is not None:
            what += f" in the derivative of {differentiated}"
        where = f"in {function}, {Path(path).name}:{line}"
        code = linecache.getline(path, line).strip()
        return f"{what} {where}" + (f": {code}" if code else "")


def culprit(graph: Graph, arrays: Sequence[Array]) -> Culprit | None:
    """Return what makes a result of a graph not finite.

    Parameters
    ----------
    graph : Graph
        A graph of primitives, not fused.
    arrays : sequence of array
        Its inputs.

    Returns
    -------
    Culprit or None
        The earliest operation that is to blame for an element of a result; None if all
        results are finite, or an input or a constant is to blame.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import ops
    >>> from skgrad.executor import trace
    >>> from skgrad.executor.diagnose import culprit
    >>> program = trace(lambda x: ops.sum(ops.sqrt(x) + 1.0), np.zeros(2))
    >>> found = culprit(program.graph, [np.array([4.0, -9.0])])
    >>> found.name, found.operands
    ('sqrt', (-9.0,))
    """
    return _Search(graph, arrays).earliest()


def culprit_of_steps(
    graph: Graph,
    carry: Sequence[Array],
    fixed: Sequence[Array],
    varying: Sequence[StepInput],
    rows: Array,
) -> tuple[int, Culprit | None]:
    """Return the first step that gives what is not finite, and what is to blame.

    Parameters
    ----------
    graph : Graph
        A graph of primitives, not fused.
    carry, fixed : sequence of array
        As in :meth:`skgrad.executor.Program.steps`; repeated on the reference executor.
    varying : sequence of Rows, Table or Same
        Likewise.
    rows : array of int64 of shape (n_steps, n_rows)
        Likewise.

    Returns
    -------
    step : int
        Counted from 0; the number of steps if all results are finite.
    culprit : Culprit or None
        As :func:`culprit` returns it.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import ops
    >>> from skgrad.executor import Table, culprit_of_steps, trace
    >>> program = trace(lambda total, x: (total + ops.log(x), total), 0.0, 1.0)
    >>> step, found = culprit_of_steps(
    ...     program.graph,
    ...     [np.array(0.0)],
    ...     [],
    ...     [Table(np.array([1.0, -1.0]))],
    ...     np.zeros((2, 0), dtype=np.int64),
    ... )
    >>> step, found.operands
    (1, (-1.0,))
    """
    run = ReferenceExecutor(graph).run
    for step in range(len(rows)):
        arrays = [*carry, *fixed, *(v.at(step, rows) for v in varying)]
        out = run(arrays)
        if not _all_finite(out):
            return step, culprit(graph, arrays)
        carry = out[: len(carry)]
    return len(rows), None


def culprit_of_sums(
    graph: Graph, fixed: Sequence[Array], blocks: Iterable[Sequence[Array]]
) -> Culprit | None:
    """Return what is to blame in the first block whose sums are not finite.

    Parameters
    ----------
    graph : Graph
        A graph of primitives, not fused.
    fixed : sequence of array
        As in :meth:`skgrad.executor.Program.sums`; run on the reference executor.
    blocks : iterable of sequence of array
        Likewise.

    Returns
    -------
    Culprit or None
        As :func:`culprit` returns it.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import ops
    >>> from skgrad.executor import culprit_of_sums, trace
    >>> program = trace(lambda w, x: ops.sum(ops.sqrt(w * x)), 1.0, np.zeros(2))
    >>> blocks = [[np.array([1.0, 4.0])], [np.array([9.0, -9.0])]]
    >>> culprit_of_sums(program.graph, [np.array(1.0)], blocks).operands
    (-9.0,)
    """
    run = ReferenceExecutor(graph).run
    for block in blocks:
        arrays = [*fixed, *block]
        if not _all_finite(run(arrays)):
            return culprit(graph, arrays)
    return None


def _all_finite(arrays: Iterable[Array]) -> bool:
    return all(np.isfinite(a).all() for a in arrays if a.dtype.kind == "f")


class _Search:
    def __init__(self, graph: Graph, arrays: Sequence[Array]) -> None:
        self.graph = graph
        self.values: dict[Variable, Any] = {
            **dict(zip(graph.inputs, arrays, strict=True)),
            **graph.constants,
        }
        self.maker: dict[Variable, int] = {}
        backend = get_backend("cpu")
        with np.errstate(all="ignore"):
            for i, equation in enumerate(graph.equations):
                kernel = equation.primitive.kernel(backend, equation.params)
                out = kernel(*[self.values[v] for v in equation.inputs])
                outs = out if isinstance(out, tuple) else (out,)
                for variable, array in zip(equation.outputs, outs, strict=True):
                    self.values[variable] = np.asarray(array)
                    self.maker[variable] = i

    def earliest(self) -> Culprit | None:
        ends = [self.end(v) for v in self.graph.outputs if self.bad(v) is not None]
        found = [end for end in ends if end is not None]
        if not found:
            return None
        i, variable, index = min(found, key=lambda end: end[0])
        equation = self.graph.equations[i]
        result = float(self.values[variable][index])
        operands = self._elements(equation, index) if _is_elementwise(equation) else []
        given = tuple(float(self.values[v][at]) for v, at in operands)
        return Culprit(equation.primitive.name, given, result, equation.frame)

    def bad(self, variable: Variable) -> Index | None:
        """Return an element that is not finite, NaN before infinity, or None."""
        array = self.values[variable]
        if array.dtype.kind != "f":
            return None
        for test in (np.isnan, np.isinf):
            places = np.argwhere(test(array))
            if len(places):
                return tuple(map(int, places[0]))
        return None

    def end(self, variable: Variable) -> tuple[int, Variable, Index] | None:
        """Return the equation, output and element where the way back ends."""
        index = self.bad(variable)
        while index is not None and variable in self.maker:
            i = self.maker[variable]
            step = self._before(self.graph.equations[i], index)
            if step is None:
                return i, variable, index
            variable, index = step
        return None

    def _before(
        self, equation: Equation, index: Index
    ) -> tuple[Variable, Index] | None:
        """Return the element an equation's element that is not finite came from."""
        if _is_elementwise(equation):
            candidates = self._elements(equation, index)
        else:
            places = [(v, self.bad(v)) for v in equation.inputs]
            candidates = [(v, at) for v, at in places if at is not None]
        bad = [(v, at) for v, at in candidates if not np.isfinite(self.values[v][at])]
        return next(iter(bad), None)

    def _elements(
        self, equation: Equation, index: Index
    ) -> list[tuple[Variable, Index]]:
        """Return the elements that an element of an elementwise result is made of."""
        inputs = list(equation.inputs)
        places = [_broadcast(index, v.shape) for v in inputs]
        if equation.primitive.name == "where":  # only what was chosen
            chosen = 1 if self.values[inputs[0]][places[0]] else 2
            return [(inputs[chosen], places[chosen])]
        return list(zip(inputs, places, strict=True))


def _is_elementwise(equation: Equation) -> bool:
    return equation.primitive.expression is not None


def _broadcast(index: Index, shape: Sequence[int]) -> Index:
    """Return the position of a broadcast result in an operand."""
    own = index[len(index) - len(shape) :]
    return tuple(0 if n == 1 else i for i, n in zip(own, shape, strict=True))
