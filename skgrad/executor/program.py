"""Program: a graph ready to run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skgrad.backend.base import get_backend
from skgrad.core.tree import TreeDef, tree_flatten, tree_unflatten
from skgrad.exceptions import DTypeError, ShapeError
from skgrad.executor.graph import Graph, Variable
from skgrad.typing import Array, Tree

__all__ = ["Program"]

Instruction = tuple[
    Callable[..., Any], tuple[int, ...], tuple[int, ...], tuple[int, ...]
]


class Program:
    """A traced function on arrays: immutable, shared, thread-safe.

    The reference executor runs the graph's equations one by one on the NumPy backend
    and drops each array after its last use.

    Parameters
    ----------
    graph : Graph
        What to compute.
    in_treedef, out_treedef : TreeDef
        Structure of the arguments (a tuple) and of the result.

    Attributes
    ----------
    graph : Graph
        The graph it runs.
    executor : str
        ``"reference"``.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.executor import trace
    >>> program = trace(lambda x: x * 2.0, np.zeros(2))
    >>> program.executor, program(np.ones(2)).tolist()
    ('reference', [2.0, 2.0])
    """

    executor = "reference"

    def __init__(self, graph: Graph, in_treedef: TreeDef, out_treedef: TreeDef) -> None:
        self.graph = graph
        self.in_treedef = in_treedef
        self.out_treedef = out_treedef
        self._slots = _numbered(graph)
        self._instructions = _scheduled(graph, self._slots)
        self._outputs = tuple(self._slots[v] for v in graph.outputs)

    def __str__(self) -> str:
        return str(self.graph)

    def __call__(self, *args: Tree) -> Tree:
        """Return the function's value: a tree of arrays.

        Parameters
        ----------
        *args : tree of array
            In the structure, shapes and dtypes of the trace.

        Returns
        -------
        tree of array
            In the structure the traced function returned. An output that is an
            argument, or a part of one, shares its memory.

        Raises
        ------
        ShapeError, DTypeError
            If structure, shape or dtype of an argument differ from the trace.
        """
        leaves, treedef = tree_flatten(args)
        if treedef != self.in_treedef:
            raise ShapeError(
                f"{self.graph.name} was traced with arguments of another structure."
            )
        arrays = [np.asarray(leaf) for leaf in leaves]
        for array, variable in zip(arrays, self.graph.inputs, strict=True):
            _check(array, variable, self.graph.name)
        return tree_unflatten(self.out_treedef, self.run(arrays))

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the output leaves for input leaves, which are not checked.

        Parameters
        ----------
        arrays : sequence of array
            One per input variable, of its shape and dtype.

        Returns
        -------
        list of array
            One per output variable; may share memory with inputs and constants.
        """
        slots: list[Any] = [None] * len(self._slots)
        slots[: len(arrays)] = arrays
        for i, value in enumerate(self.graph.constants.values(), start=len(arrays)):
            slots[i] = value
        with np.errstate(all="ignore"):
            for kernel, sources, targets, dead in self._instructions:
                out = kernel(*[slots[i] for i in sources])
                if len(targets) == 1 and not isinstance(out, tuple):
                    slots[targets[0]] = out
                else:
                    for i, array in zip(targets, out, strict=True):
                        slots[i] = array
                for i in dead:
                    slots[i] = None
        return [np.asarray(slots[i]) for i in self._outputs]


def _numbered(graph: Graph) -> dict[Variable, int]:
    """Return a slot per variable: inputs, then constants, then the rest."""
    slots: dict[Variable, int] = {}
    for variable in (*graph.inputs, *graph.constants):
        slots[variable] = len(slots)
    for equation in graph.equations:
        for variable in equation.outputs:
            slots[variable] = len(slots)
    return slots


def _scheduled(graph: Graph, slots: dict[Variable, int]) -> list[Instruction]:
    """Return the instructions, each with the slots that are dead after it."""
    backend = get_backend("cpu")
    alive = {slots[v] for v in graph.outputs}
    instructions: list[Instruction] = []
    for equation in reversed(graph.equations):
        sources = tuple(slots[v] for v in equation.inputs)
        targets = tuple(slots[v] for v in equation.outputs)
        dead = tuple(i for i in {*sources, *targets} if i not in alive)
        alive.update(dead)
        kernel = equation.primitive.kernel(backend, equation.params)
        instructions.append((kernel, sources, targets, dead))
    return instructions[::-1]


def _check(array: Array, variable: Variable, name: str) -> None:
    if array.shape != variable.shape:
        raise ShapeError(
            f"{name} was traced for shape {variable.shape}. Got {array.shape}."
        )
    if array.dtype != variable.dtype:
        raise DTypeError(
            f"{name} was traced for dtype {variable.dtype}. Got {array.dtype}."
        )
