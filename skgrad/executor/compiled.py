"""The compiled executors: plans of a graph, run by a backend's kernels."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from skgrad.executor.fuse import fuse
from skgrad.executor.graph import Graph, checked
from skgrad.executor.held import Carried
from skgrad.executor.host_memory import HostMemory
from skgrad.executor.passes import COMPILED_PASSES
from skgrad.executor.plan import Memory, Plan
from skgrad.executor.steps import Rows, Same, StepInput, Table
from skgrad.typing import Array

__all__ = ["CompiledExecutor"]

_KINDS: dict[type, str] = {Rows: "rows", Table: "table", Same: "same"}


class CompiledExecutor:
    """Runs a graph with compiled kernels on preallocated memory.

    Parameters
    ----------
    graph : Graph
        What to compute.
    backend : Any, default=None
        What gives kernels and runs them; that of the CPU by default.

    Attributes
    ----------
    name : str
        ``"cpu"``.
    """

    name = "cpu"
    make_memory: type[Memory] = HostMemory

    def __init__(self, graph: Graph, backend: Any = None) -> None:
        if graph not in _planned:
            _planned[graph] = _Planned(graph)
        self._shared = _planned[graph]
        self.graph = self._shared.graph
        cpu = "skgrad.backend.cpu.backend"
        self.backend = importlib.import_module(cpu) if backend is None else backend
        self._plans: dict[tuple[Any, ...], Plan] = {}

    def plan(self, n_carry: int = 0, varying: tuple[str, ...] = ()) -> Plan:
        """Return the instructions for a way of running; made at its first use."""
        key = (n_carry, varying)
        if key not in self._plans:
            plan = self._shared.plan(*key, self.backend, self.make_memory)
            self._plans[key] = plan.with_own_memory()
        return self._plans[key]

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the outputs for inputs that are not checked."""
        return self.plan().run(arrays)

    def steps(
        self,
        carry: Sequence[Carried],
        fixed: Sequence[Array],
        varying: Sequence[StepInput],
        rows: Array,
    ) -> tuple[list[Carried], list[Array]]:
        """Run a step for each row of `rows`; see :meth:`Program.steps`."""
        kinds = tuple(_KINDS[type(v)] for v in varying)
        plan = self.plan(len(carry), kinds)
        return plan.steps(carry, fixed, varying, rows)

    def sums(
        self, fixed: Sequence[Array], blocks: Iterable[Sequence[Array]]
    ) -> list[Array]:
        """Add up the outputs over blocks; see :meth:`Program.sums`."""
        return self.plan().sums(fixed, blocks)


class _Planned:
    """What the executors of one graph share: it fused, and plans without memory."""

    def __init__(self, graph: Graph) -> None:
        for transform in COMPILED_PASSES:
            graph = checked(transform(graph))
        self.graph = checked(fuse(graph))
        self._plans: dict[tuple[Any, ...], Plan] = {}

    def plan(
        self,
        n_carry: int,
        varying: tuple[str, ...],
        backend: Any,
        make_memory: Callable[[Plan], Memory],
    ) -> Plan:
        """Return the instructions for a way of running."""
        key = (n_carry, varying, backend)
        if key not in self._plans:
            plan = Plan(self.graph, n_carry, varying, backend, make_memory)
            self._plans[key] = plan
        return self._plans[key]


# Of the graphs that programs use, or that are known.
_planned: WeakKeyDictionary[Graph, _Planned] = WeakKeyDictionary()
