"""The reference executor: a graph's equations one by one on the NumPy backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from skgrad.backend.base import get_backend
from skgrad.core.primitive import Abstract
from skgrad.executor.fuse import FUSED
from skgrad.executor.graph import Equation, Graph, Variable
from skgrad.executor.held import Carried
from skgrad.executor.steps import StepInput, repeated, summed
from skgrad.typing import Array

__all__ = ["ReferenceExecutor"]

# What is called, what gets its operands out of the slots in one call of C, where its
# outputs go, and the slots that nobody reads afterwards.
Call = tuple[Callable[..., Any], Callable[..., Any], int | slice, tuple[int, ...]]


class _Schedule(NamedTuple):
    """What is called in which order, and the slots of the values."""

    calls: list[Call]
    n_slots: int
    outputs: tuple[int, ...]


# Of the graphs that programs use, or that are known.
_schedules: WeakKeyDictionary[Graph, _Schedule] = WeakKeyDictionary()


class ReferenceExecutor:
    """Runs a graph with NumPy and drops each array after its last use.

    Parameters
    ----------
    graph : Graph
        What to compute; fused equations run their body.

    Attributes
    ----------
    name : str
        ``"reference"``.
    """

    name = "reference"

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @cached_property
    def _schedule(self) -> _Schedule:
        # Made at the first run: most programs are traced here and run elsewhere.
        if self.graph not in _schedules:
            _schedules[self.graph] = _scheduled(self.graph)
        return _schedules[self.graph]

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the outputs for inputs that are not checked."""
        schedule = self._schedule
        slots: list[Any] = [*arrays, *self.graph.constants.values()]
        slots += [None] * (schedule.n_slots - len(slots))
        with np.errstate(all="ignore"):
            for kernel, operands, targets, dead in schedule.calls:
                slots[targets] = kernel(*operands(slots))
                for i in dead:
                    slots[i] = None
        return [np.asarray(slots[i]) for i in schedule.outputs]

    def steps(
        self,
        carry: Sequence[Carried],
        fixed: Sequence[Array],
        varying: Sequence[StepInput],
        rows: Array,
    ) -> tuple[list[Carried], list[Array]]:
        """Run a step for each row of `rows`; see :meth:`Program.steps`."""
        return repeated(self.run, carry, fixed, varying, rows)

    def sums(
        self, fixed: Sequence[Array], blocks: Iterable[Sequence[Array]]
    ) -> list[Array]:
        """Add up the outputs over blocks; see :meth:`Program.sums`."""
        return summed(self.run, fixed, blocks)


def _numbered(graph: Graph) -> dict[Variable, int]:
    """Return a slot per variable: inputs, then constants, then the rest."""
    slots: dict[Variable, int] = {}
    for variable in (*graph.inputs, *graph.constants):
        slots[variable] = len(slots)
    for equation in graph.equations:
        for variable in equation.outputs:
            slots[variable] = len(slots)
    return slots


def _scheduled(graph: Graph) -> _Schedule:
    """Return the calls, each with the slots that are dead after it."""
    slots = _numbered(graph)
    alive = {slots[v] for v in graph.outputs}
    calls: list[Call] = []
    for equation in reversed(graph.equations):
        sources = tuple(slots[v] for v in equation.inputs)
        targets = tuple(slots[v] for v in equation.outputs)
        dead = tuple(i for i in {*sources, *targets} if i not in alive)
        alive.update(dead)
        where = _several(targets) if _gives_tuple(equation) else targets[0]
        calls.append((_function(equation), _getter(sources), where, dead))
    outputs = tuple(slots[v] for v in graph.outputs)
    return _Schedule(calls[::-1], len(slots), outputs)


def _getter(sources: tuple[int, ...]) -> Callable[..., Any]:
    """Return what gets the values of some slots, as a sequence also of one or none."""
    return itemgetter(*sources) if len(sources) > 1 else itemgetter(_several(sources))


def _several(neighbours: tuple[int, ...]) -> slice:
    return slice(neighbours[0], neighbours[-1] + 1) if neighbours else slice(0)


def _gives_tuple(equation: Equation) -> bool:
    """Return whether the outputs come as a tuple: a single one may, too."""
    primitive = equation.primitive
    if primitive.expression is not None:
        return False
    rule = primitive.shape_rule(*equation.inputs, **equation.params)
    return not isinstance(rule, Abstract)


def _function(equation: Equation) -> Callable[..., Any]:
    if equation.primitive is FUSED:
        body = ReferenceExecutor(equation.params["body"])
        return lambda *xs: tuple(body.run(xs))
    return equation.primitive.kernel(get_backend("cpu"), equation.params)
