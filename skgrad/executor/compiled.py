"""The compiled executor: instructions at fixed places, run by a compiled loop.

Built once from a graph: fuse, lower, give every buffer its place. A run owns the
memory (one arena, the results) and a table with the address of every operand; building
the table is one addition per operand, running it takes no Python and no allocation.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from skgrad.executor.fuse import fuse
from skgrad.executor.graph import Graph, Variable, checked
from skgrad.executor.instruction import Instruction, Kernel, Slot
from skgrad.executor.lower import Lowered, lower
from skgrad.executor.passes import COMPILED_PASSES
from skgrad.executor.steps import Rows, Same, StepInput, Table
from skgrad.executor.storage import Buffer, View, place
from skgrad.typing import Array

__all__ = ["CompiledExecutor"]


@dataclass(frozen=True)
class _Place:
    """Where a buffer is: a piece of memory the run knows, and bytes from its start."""

    memory: int
    offset: int


class _Code:
    """Instructions with their operands' places: what a run turns into addresses."""

    def __init__(self) -> None:
        self.functions: list[int] = []
        self.starts: list[tuple[int, int]] = []  # of pointers, of sizes
        self.memories: list[int] = []
        self.offsets: list[int] = []
        self.sizes: list[int] = []

    def add(
        self, function: int, places: Sequence[_Place], sizes: Sequence[int]
    ) -> None:
        self.functions.append(function)
        self.starts.append((len(self.memories), len(self.sizes)))
        self.memories.extend(p.memory for p in places)
        self.offsets.extend(p.offset for p in places)
        self.sizes.extend(sizes)

    @cached_property
    def arrays(self) -> tuple[Array, Array, Array]:
        """Memories, offsets and sizes, as int64."""
        memories, offsets, sizes = (
            np.array(column, dtype=np.int64)
            for column in (self.memories, self.offsets, [*self.sizes, 0])
        )
        return memories, offsets, sizes

    def records(self, pointers: Array) -> Array:
        """Return one row per instruction: function, its pointers, its sizes."""
        starts = np.array(self.starts, dtype=np.int64).reshape(-1, 2)
        functions = np.array(self.functions, dtype=np.uint64).view(np.int64)
        sizes = self.arrays[2]
        return np.ascontiguousarray(
            np.column_stack(
                [
                    functions,
                    pointers.ctypes.data + 8 * starts[:, 0],
                    sizes.ctypes.data + 8 * starts[:, 1],
                ]
            )
        )


@dataclass(frozen=True)
class _Call:
    """A call of Python between two pieces of compiled code."""

    at: int
    function: Callable[..., Any]
    reads: tuple[tuple[_Place, View], ...]
    writes: tuple[tuple[_Place, View], ...]


_KINDS: dict[type, str] = {Rows: "rows", Table: "table", Same: "same"}


class CompiledExecutor:
    """Runs a graph with compiled kernels on preallocated memory.

    Parameters
    ----------
    graph : Graph
        What to compute.

    Attributes
    ----------
    name : str
        ``"cpu"``.
    """

    name = "cpu"

    def __init__(self, graph: Graph) -> None:
        if graph not in _planned:
            _planned[graph] = _Planned(graph)
        self._shared = _planned[graph]
        self.graph = self._shared.graph
        self.backend: Any = importlib.import_module("skgrad.backend.cpu.backend")
        self._plans: dict[tuple[Any, ...], Plan] = {}

    def plan(self, n_carry: int = 0, varying: tuple[str, ...] = ()) -> Plan:
        """Return the instructions for a way of running; made at its first use."""
        key = (n_carry, varying)
        if key not in self._plans:
            plan = self._shared.plan(*key, self.backend)
            self._plans[key] = plan.with_own_memory()
        return self._plans[key]

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the outputs for inputs that are not checked."""
        return self.plan().run(arrays)

    def steps(
        self,
        carry: Sequence[Array],
        fixed: Sequence[Array],
        varying: Sequence[StepInput],
        rows: Array,
    ) -> tuple[list[Array], list[Array]]:
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

    def plan(self, n_carry: int, varying: tuple[str, ...], backend: Any) -> Plan:
        """Return the instructions for a way of running."""
        key = (n_carry, varying, backend)
        if key not in self._plans:
            self._plans[key] = Plan(self.graph, n_carry, varying, backend)
        return self._plans[key]


# Of the graphs that programs use, or that are known.
_planned: WeakKeyDictionary[Graph, _Planned] = WeakKeyDictionary()


class Plan:
    """Instructions and places for one way of running a graph.

    Parameters
    ----------
    graph : Graph
        A fused graph.
    n_carry : int
        How many of the first outputs are fed back as inputs.
    varying : tuple of {"rows", "table", "same"}
        How the last inputs vary from step to step.
    backend : module
        What gives kernels and runs them.
    """

    def __init__(
        self, graph: Graph, n_carry: int, varying: tuple[str, ...], backend: Any
    ) -> None:
        self.graph = graph
        self.backend = backend
        self.n_carry = n_carry
        self.varying = varying
        self.lowered: Lowered = lower(graph, n_carry, backend.workspace)
        uses = [i.buffers for i in self.lowered.instructions]
        self.places, self.arena_bytes = place(uses, self.lowered.heirs)
        self._number_memories()
        self.code = _Code()
        self.calls: list[_Call] = []
        for number, kind in enumerate(varying):
            self._read_step(number, kind)
        self.start = len(self.code.functions)
        for instruction in self.lowered.instructions:
            self._add(instruction)
        if varying:
            self._write_results()
        self._idle: list[_Memory] = []

    def with_own_memory(self) -> Plan:
        """Return the same plan for runs of another owner."""
        own = copy.copy(self)
        own._idle = []
        return own

    # --- memories: inputs, outputs, constants, arena, status, then those of a loop --

    def _number_memories(self) -> None:
        n_inputs, n_outputs = len(self.lowered.inputs), len(self.lowered.outputs)
        self._first = {
            "input": 0,
            "output": n_inputs,
            "constant": n_inputs + n_outputs,
            "scratch": n_inputs + n_outputs + 1,
            "status": n_inputs + n_outputs + 2,
            "rows": n_inputs + n_outputs + 3,
            "source": n_inputs + n_outputs + 4,
            "result": n_inputs + n_outputs + 4 + len(self.varying),
            "absolute": 2 * n_outputs + n_inputs + 4 + len(self.varying),
        }
        self.n_memories = self._first["absolute"] + 1

    def _place(self, buffer: Buffer, n_bytes: int = 0) -> _Place:
        root, start = buffer.root
        if root.kind == "scratch":
            start += self.places[root]
        return _Place(self._first[root.kind] + root.number, start + n_bytes)

    def _of_view(self, view: View) -> _Place:
        return self._place(view.buffer, view.offset * view.dtype.itemsize)

    def _of_slot(self, slot: Slot) -> _Place:
        return self._place(slot.buffer, slot.offset * slot.dtype.itemsize)

    # --- code ---------------------------------------------------------------------

    def _add(self, instruction: Kernel | Instruction) -> None:
        if isinstance(instruction, Kernel):
            spec, operands, sizes = instruction.spec(
                lambda s: (self._of_slot(s), s.dtype, s.strides)
            )
            places = [self._of_slot(s) for s in operands]
            self.code.add(self.backend.kernel(spec), places, sizes)
            return
        reads, writes = instruction.reads, instruction.writes
        if instruction.function is not None:
            self.calls.append(
                _Call(
                    len(self.code.functions),
                    instruction.function,
                    tuple((self._of_view(v), v) for v in reads),
                    tuple((self._of_view(v), v) for v in writes),
                )
            )
            return
        places = [self._of_view(v) for v in (*reads, *writes)]
        self._call(instruction.name, instruction.dtypes, instruction.sizes, places)

    def _call(
        self,
        name: str,
        dtypes: tuple[str, ...],
        sizes: tuple[int, ...],
        places: Sequence[_Place],
    ) -> None:
        function, pointers, sizes = self.backend.instruction(name, dtypes, sizes)
        fixed = [_Place(self._first["absolute"], p) for p in pointers]
        self.code.add(function, [*places, *fixed], sizes)

    def _read_step(self, number: int, kind: str) -> None:
        """Fetch what varies into the buffer of its input, at the start of a step."""
        if kind == "same":
            return
        first = len(self.graph.inputs) - len(self.varying)
        variable = self.graph.inputs[first + number]
        target = _Place(first + number, 0)
        source = _Place(self._first["source"] + number, 0)
        n_bytes = self.lowered.inputs[first + number].n_bytes
        if kind == "table":
            self._call("read_table", (), (n_bytes,), [source, target])
            return
        n_rows = variable.shape[0]
        sizes = (n_rows, n_bytes // max(1, n_rows))
        rows = _Place(self._first["rows"], 0)
        self._call("copy_rows", (), sizes, [source, rows, target])

    def _write_results(self) -> None:
        """Append the results of a step to their tables."""
        for j in range(self.n_carry, len(self.lowered.outputs)):
            n_bytes = self.lowered.outputs[j].n_bytes
            source = _Place(self._first["output"] + j, 0)
            target = _Place(self._first["result"] + j, 0)
            self._call("write_table", (), (n_bytes,), [source, target])

    # --- running ------------------------------------------------------------------

    def _memory(self) -> _Memory:
        try:
            return self._idle.pop()
        except IndexError:
            return _Memory(self)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the outputs for inputs of the traced shapes and dtypes."""
        memory = self._memory()
        inputs = [np.ascontiguousarray(a) for a in arrays]
        outputs = list(map(_empty, self.graph.outputs))
        memory.hold("input", inputs)
        memory.hold("output", outputs)
        memory.execute(0, 1)
        self._idle.append(memory)
        return outputs

    def sums(
        self, fixed: Sequence[Array], blocks: Iterable[Sequence[Array]]
    ) -> list[Array]:
        """Return the outputs added up over blocks."""
        memory = self._memory()
        outputs = memory.outputs
        totals = [np.zeros_like(array) for array in outputs]
        memory.hold("input", [np.ascontiguousarray(a) for a in fixed])
        memory.hold("output", outputs)
        for block in blocks:
            memory.hold("input", list(map(_contiguous, block)), skip=len(fixed))
            memory.execute(0, 1)
            for total, array in zip(totals, outputs, strict=True):
                np.add(total, array, out=total)
        self._idle.append(memory)
        return totals

    def steps(
        self,
        carry: Sequence[Array],
        fixed: Sequence[Array],
        varying: Sequence[StepInput],
        rows: Array,
    ) -> tuple[list[Array], list[Array]]:
        """Run a step for each row of `rows`; see :meth:`Program.steps`."""
        memory = self._memory()
        state = [np.array(a, order="C") for a in carry]
        n_steps = len(rows)
        inputs = [*state, *map(_contiguous, fixed)]
        for own, given in zip(memory.fetched, varying, strict=True):
            same = _contiguous(given.value) if isinstance(given, Same) else own
            inputs.append(same)
        results = [
            np.empty((n_steps, *v.shape), dtype=v.dtype)
            for v in self.graph.outputs[self.n_carry :]
        ]
        memory.hold("input", inputs)
        memory.hold("output", memory.outputs)
        memory.hold("rows", [np.ascontiguousarray(rows, dtype=np.int64)])
        memory.hold("source", [_source(v) for v in varying])
        memory.hold("result", results, skip=self.n_carry)
        memory.execute(0, n_steps)
        self._idle.append(memory)
        return state, results


def _source(varying: StepInput) -> Array:
    if isinstance(varying, Rows):
        return _contiguous(varying.source)
    return _contiguous(varying.values if isinstance(varying, Table) else varying.value)


def _contiguous(array: Array) -> Array:
    """Return the same array if it is in C order: its address is then known already."""
    # A scalar of NumPy's has flags too, and no address that lasts.
    same = isinstance(array, np.ndarray) and array.flags.c_contiguous
    return array if same else np.ascontiguousarray(array)


class _Memory:
    """Memory of one run at a time: arena, tables of addresses, arrays in use."""

    def __init__(self, plan: Plan) -> None:
        # Not the plan itself, which keeps this for its next run: together they would
        # wait for the garbage collection.
        self.first, self.run = plan._first, plan.backend.run
        self.calls, self.name = plan.calls, plan.graph.name
        self.arrays: dict[int, Array] = {}
        self.bases = np.zeros(plan.n_memories, dtype=np.int64)
        memories, self.offsets, _ = plan.code.arrays
        self.memories = memories
        self.pointers = np.zeros(max(1, len(memories)), dtype=np.int64)
        self.records = plan.code.records(self.pointers)
        self.status = np.zeros(1, dtype=np.int64)
        graph = plan.graph
        first = len(graph.inputs) - len(plan.varying)
        self.fetched = list(map(_empty, graph.inputs[first:]))
        self.outputs = list(map(_empty, graph.outputs))
        self.hold("constant", [plan.lowered.constants])
        self.hold("scratch", [_aligned(plan.arena_bytes)])
        self.hold("status", [self.status])

    def hold(self, kind: str, arrays: Sequence[Array], skip: int = 0) -> None:
        """Use arrays as the memories of a kind, from the number `skip` on."""
        first = self.first[kind] + skip
        for i, array in enumerate(arrays, start=first):
            if self.arrays.get(i) is array:
                continue
            self.arrays[i] = array
            # Half the time of array.ctypes.data, which makes an object for the address.
            self.bases[i] = array.__array_interface__["data"][0]

    def execute(self, first_step: int, n_steps: int) -> None:
        """Run the code for some steps."""
        np.take(self.bases, self.memories, out=self.pointers[: len(self.memories)])
        self.pointers[: len(self.memories)] += self.offsets
        run, calls = self.run, self.calls
        if not calls:
            run(self.records, 0, len(self.records), first_step, n_steps)
        else:
            for step in range(first_step, first_step + n_steps):
                self._segments(run, calls, step)
        if self.status[0]:
            self.status[0] = 0
            raise IndexError(
                f"{self.name}: an index is out of range in a gather "
                "(take, an embedding or indexing with an array)."
            )

    def _segments(self, run: Any, calls: Sequence[_Call], step: int) -> None:
        start = 0
        for call in calls:
            run(self.records, start, call.at, step, 1)
            start = call.at
            with np.errstate(all="ignore"):
                out = call.function(*[self._array(p, v) for p, v in call.reads])
            outs = out if isinstance(out, tuple) else (out,)
            for (where, view), value in zip(call.writes, outs, strict=True):
                self._array(where, view)[...] = value
        run(self.records, start, len(self.records), step, 1)

    def _array(self, where: _Place, view: View) -> Array:
        """Return a view as an array."""
        memory = self.arrays[where.memory]
        flat = memory.reshape(-1).view(np.uint8)
        strides = tuple(s * view.dtype.itemsize for s in view.strides)
        if 0 in view.shape:
            return np.empty(view.shape, dtype=view.dtype)
        return np.ndarray(view.shape, view.dtype, flat, where.offset, strides)


def _empty(variable: Variable) -> Array:
    return np.empty(variable.shape, dtype=variable.dtype)


def _aligned(n_bytes: int) -> Array:
    """Return memory that begins at a multiple of 64 bytes."""
    memory = np.empty(n_bytes + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + max(1, n_bytes)]
