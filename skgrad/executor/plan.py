"""Instructions at fixed places: a graph made ready for one way of running.

Built once from a graph: fuse, lower, give every buffer its place. Where the memories
are and what calls the instructions is for a memory to know, of the host or of a device.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from skgrad.executor.graph import Graph, Variable
from skgrad.executor.held import Carried
from skgrad.executor.instruction import Instruction, Kernel, Slot
from skgrad.executor.lower import Lowered, lower
from skgrad.executor.steps import Rows, StepInput, Table
from skgrad.executor.storage import Buffer, View, place
from skgrad.typing import Array

__all__ = [
    "Call",
    "Code",
    "Memory",
    "Place",
    "Plan",
    "array_at",
    "check_status",
    "empty",
]


@dataclass(frozen=True)
class Place:
    """Where a buffer is: a piece of memory the run knows, and bytes from its start."""

    memory: int
    offset: int


class Code:
    """Instructions with their operands' places: what a run turns into addresses."""

    def __init__(self) -> None:
        self.functions: list[int] = []
        self.starts: list[tuple[int, int]] = []  # of pointers, of sizes
        self.memories: list[int] = []
        self.offsets: list[int] = []
        self.sizes: list[int] = []

    def add(self, function: int, places: Sequence[Place], sizes: Sequence[int]) -> None:
        """Append a function with its operands' places and its sizes."""
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

    def calls(self, pointers: Array) -> Iterator[tuple[int, list[int], list[int]]]:
        """Yield each function with its pointers and its sizes."""
        ends = [*self.starts, (len(self.memories), len(self.sizes))][1:]
        flat = pointers.tolist()
        for function, (p, s), (p_end, s_end) in zip(
            self.functions, self.starts, ends, strict=True
        ):
            yield function, flat[p:p_end], self.sizes[s:s_end]

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
class Call:
    """A call of Python between two pieces of compiled code."""

    at: int
    function: Callable[..., Any]
    reads: tuple[tuple[Place, View], ...]
    writes: tuple[tuple[Place, View], ...]

    def run(
        self,
        read: Callable[[Place, View], Array],
        write: Callable[[Place, View, Array], None],
    ) -> None:
        """Call the function with what is read, and write what it returns."""
        with np.errstate(all="ignore"):
            out = self.function(*[read(*operand) for operand in self.reads])
        outs = out if isinstance(out, tuple) else (out,)
        for (where, view), value in zip(self.writes, outs, strict=True):
            write(where, view, value)


class Memory(Protocol):
    """Memory of one run at a time, and what calls the instructions on it."""

    def hold(self, kind: str, arrays: Sequence[Any], skip: int = 0) -> None:
        """Use arrays as the memories of a kind, from the number `skip` on."""

    def lend(self, kind: str, arrays: Sequence[Array], skip: int = 0) -> None:
        """Do the same with arrays that are written."""

    def keep_outputs(self) -> None:
        """Let the outputs be ones that nobody reads afterwards."""

    def carry(self, arrays: Sequence[Carried]) -> None:
        """Let the first inputs be copies of arrays, which the steps change."""

    def carried(self) -> list[Carried]:
        """Return what the steps made of them."""

    def placed(self, arrays: Iterable[Array]) -> Iterable[Any]:
        """Return arrays of rows as they are to be held."""

    def execute(self, first_step: int, n_steps: int) -> None:
        """Run the code for some steps; what was lent is written then."""

    def sums(self, blocks: Iterable[Iterable[Array]], skip: int) -> list[Array]:
        """Return the outputs added up over blocks, the inputs from `skip` on."""


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
    backend : Any
        What gives kernels and runs them.
    make_memory : callable
        ``make_memory(plan)``: memory for a run.
    """

    def __init__(
        self,
        graph: Graph,
        n_carry: int,
        varying: tuple[str, ...],
        backend: Any,
        make_memory: Callable[[Plan], Memory],
    ) -> None:
        self.graph = graph
        self.backend = backend
        self.make_memory = make_memory
        self.n_carry = n_carry
        self.varying = varying
        self.lowered: Lowered = lower(graph, n_carry, backend.workspace)
        uses = [i.buffers for i in self.lowered.instructions]
        self.places, self.arena_bytes = place(uses, self.lowered.heirs)
        self._number_memories()
        self.code = Code()
        self.calls: list[Call] = []
        for number, kind in enumerate(varying):
            self._read_step(number, kind)
        self.start = len(self.code.functions)
        for instruction in self.lowered.instructions:
            self._add(instruction)
        if varying:
            self._write_results()
        self._idle: list[Memory] = []

    def with_own_memory(self) -> Plan:
        """Return the same plan for runs of another owner."""
        own = copy.copy(self)
        own._idle = []
        return own

    # --- memories: inputs, outputs, constants, arena, status, then those of a loop --

    def _number_memories(self) -> None:
        n_inputs, n_outputs = len(self.lowered.inputs), len(self.lowered.outputs)
        self.first = {
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
        self.n_memories = self.first["absolute"] + 1

    def _place(self, buffer: Buffer, n_bytes: int = 0) -> Place:
        root, start = buffer.root
        if root.kind == "scratch":
            start += self.places[root]
        return Place(self.first[root.kind] + root.number, start + n_bytes)

    def _of_view(self, view: View) -> Place:
        return self._place(view.buffer, view.offset * view.dtype.itemsize)

    def _of_slot(self, slot: Slot) -> Place:
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
                Call(
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
        places: Sequence[Place],
    ) -> None:
        function, pointers, sizes = self.backend.instruction(name, dtypes, sizes)
        fixed = [Place(self.first["absolute"], p) for p in pointers]
        self.code.add(function, [*places, *fixed], sizes)

    def _read_step(self, number: int, kind: str) -> None:
        """Fetch what varies into the buffer of its input, at the start of a step."""
        if kind == "same":
            return
        first = len(self.graph.inputs) - len(self.varying)
        variable = self.graph.inputs[first + number]
        target = Place(first + number, 0)
        source = Place(self.first["source"] + number, 0)
        n_bytes = self.lowered.inputs[first + number].n_bytes
        if kind == "table":
            self._call("read_table", (), (n_bytes,), [source, target])
            return
        n_rows = variable.shape[0]
        sizes = (n_rows, n_bytes // max(1, n_rows))
        rows = Place(self.first["rows"], 0)
        self._call("copy_rows", (), sizes, [source, rows, target])

    def _write_results(self) -> None:
        """Append the results of a step to their tables."""
        for j in range(self.n_carry, len(self.lowered.outputs)):
            n_bytes = self.lowered.outputs[j].n_bytes
            source = Place(self.first["output"] + j, 0)
            target = Place(self.first["result"] + j, 0)
            self._call("write_table", (), (n_bytes,), [source, target])

    # --- running ------------------------------------------------------------------

    def _memory(self) -> Memory:
        try:
            return self._idle.pop()
        except IndexError:
            return self.make_memory(self)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the outputs for inputs of the traced shapes and dtypes."""
        memory = self._memory()
        outputs = list(map(empty, self.graph.outputs))
        memory.hold("input", [np.ascontiguousarray(a) for a in arrays])
        memory.lend("output", outputs)
        memory.execute(0, 1)
        self._idle.append(memory)
        return outputs

    def sums(
        self, fixed: Sequence[Array], blocks: Iterable[Sequence[Array]]
    ) -> list[Array]:
        """Return the outputs added up over blocks."""
        memory = self._memory()
        memory.hold("input", [np.ascontiguousarray(a) for a in fixed])
        totals = memory.sums((map(contiguous, b) for b in blocks), len(fixed))
        self._idle.append(memory)
        return totals

    def steps(
        self,
        carry: Sequence[Carried],
        fixed: Sequence[Array],
        varying: Sequence[StepInput],
        rows: Array,
    ) -> tuple[list[Carried], list[Array]]:
        """Run a step for each row of `rows`; see :meth:`Program.steps`."""
        memory = self._memory()
        results = [
            np.empty((len(rows), *v.shape), dtype=v.dtype)
            for v in self.graph.outputs[self.n_carry :]
        ]
        memory.carry(carry)
        memory.hold("input", list(map(contiguous, fixed)), skip=len(carry))
        memory.keep_outputs()
        memory.hold("rows", [np.ascontiguousarray(rows, dtype=np.int64)])
        self._hold_varying(memory, varying)
        memory.lend("result", results, skip=self.n_carry)
        memory.execute(0, len(rows))
        state = memory.carried()
        self._idle.append(memory)
        return state, results

    def _hold_varying(self, memory: Memory, varying: Sequence[StepInput]) -> None:
        """Let a memory hold what varies, tables apart from arrays of all rows."""
        first = len(self.graph.inputs) - len(varying)
        lasting: list[tuple[str, int, Array]] = []
        for number, given in enumerate(varying):
            if isinstance(given, Table):
                memory.hold("source", [contiguous(given.values)], skip=number)
            elif isinstance(given, Rows):
                lasting.append(("source", number, contiguous(given.source)))
            else:
                lasting.append(("input", first + number, contiguous(given.value)))
        placed = memory.placed(array for *_, array in lasting)
        for (kind, skip, _), array in zip(lasting, placed, strict=True):
            memory.hold(kind, [array], skip=skip)


def check_status(name: str, status: Array) -> None:
    """Raise if an instruction set the status, and set it back."""
    if status[0]:
        status[0] = 0
        raise IndexError(
            f"{name}: an index is out of range in a gather "
            "(take, an embedding or indexing with an array)."
        )


def array_at(memory: Array, offset: int, view: View) -> Array:
    """Return a view as an array over bytes, some from the start of them."""
    strides = tuple(s * view.dtype.itemsize for s in view.strides)
    if 0 in view.shape:
        return np.empty(view.shape, dtype=view.dtype)
    return np.ndarray(view.shape, view.dtype, memory, offset, strides)


def contiguous(array: Array) -> Array:
    """Return the same array if it is in C order: its address is then known already."""
    # A scalar of NumPy's has flags too, and no address that lasts.
    same = isinstance(array, np.ndarray) and array.flags.c_contiguous
    return array if same else np.ascontiguousarray(array)


def empty(variable: Variable) -> Array:
    """Return an array for the value of a variable."""
    return np.empty(variable.shape, dtype=variable.dtype)
