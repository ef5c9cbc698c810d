"""Memory of the host: arrays where they are, code run by a compiled loop.

A run owns one arena and a table with the address of every operand; building the table
is one addition per operand, running it takes no Python and no allocation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from skgrad.executor.plan import Call, Place, Plan, array_at, check_status, empty
from skgrad.executor.storage import View
from skgrad.typing import Array

__all__ = ["HostMemory"]


class HostMemory:
    """Memory of one run at a time: arena, tables of addresses, arrays in use.

    Parameters
    ----------
    plan : Plan
        What it is for.
    """

    def __init__(self, plan: Plan) -> None:
        # Not the plan itself, which keeps this for its next run: together they would
        # wait for the garbage collection.
        self.first, self.run = plan.first, plan.backend.run
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
        self.outputs = list(map(empty, graph.outputs))
        self.state: list[Array] = []
        self.hold("input", list(map(empty, graph.inputs[first:])), skip=first)
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

    def lend(self, kind: str, arrays: Sequence[Array], skip: int = 0) -> None:
        """Do the same with arrays that are written: there is no difference here."""
        self.hold(kind, arrays, skip)

    def keep_outputs(self) -> None:
        """Let the outputs be ones that nobody reads afterwards."""
        self.hold("output", self.outputs)

    def carry(self, arrays: Sequence[Any]) -> None:
        """Let the first inputs be copies of arrays, which the steps change."""
        self.state = [np.array(array, order="C") for array in arrays]
        self.hold("input", self.state)

    def carried(self) -> list[Any]:
        """Return what the steps made of them."""
        return self.state

    def placed(self, arrays: Iterable[Array]) -> Iterable[Array]:
        """Return arrays of rows: they are used where they are."""
        return arrays

    def sums(self, blocks: Iterable[Iterable[Array]], skip: int) -> list[Array]:
        """Return the outputs added up over blocks, the inputs from `skip` on."""
        self.keep_outputs()
        totals = [np.zeros_like(array) for array in self.outputs]
        for block in blocks:
            self.hold("input", list(block), skip)
            self.execute(0, 1)
            for total, array in zip(totals, self.outputs, strict=True):
                np.add(total, array, out=total)
        return totals

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
        check_status(self.name, self.status)

    def _segments(self, run: Any, calls: Sequence[Call], step: int) -> None:
        start = 0
        for call in calls:
            run(self.records, start, call.at, step, 1)
            start = call.at
            call.run(self._array, self._write)
        run(self.records, start, len(self.records), step, 1)

    def _array(self, where: Place, view: View) -> Array:
        """Return a view as an array."""
        memory = self.arrays[where.memory].reshape(-1).view(np.uint8)
        return array_at(memory, where.offset, view)

    def _write(self, where: Place, view: View, value: Array) -> None:
        self._array(where, view)[...] = value


def _aligned(n_bytes: int) -> Array:
    """Return memory that begins at a multiple of 64 bytes."""
    memory = np.empty(n_bytes + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + max(1, n_bytes)]
