"""Memory of a device: what the host gives and gets goes there and back at each run.

Small arrays lie side by side, so that one copy brings them all and one returns what was
lent; arrays of rows stay on the device as long as the fit uses them, and so does what
steps hand on to later ones. What is launched again with the same addresses is captured
and replayed: a step, its number kept on the device, or the blocks of a sum. Nothing
that was asked for is still to be done when a run returns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from skgrad.backend.base import Binding, KernelSpec, Operand, Output
from skgrad.backend.cuda.device import Buffer, aligned
from skgrad.backend.cuda.residents import Mirror
from skgrad.executor.graph import Variable
from skgrad.executor.held import Carried, Held
from skgrad.executor.plan import Place, Plan, array_at, check_status
from skgrad.executor.storage import View
from skgrad.typing import Array

__all__ = ["DeviceMemory"]


class DeviceMemory:
    """Memory of one run at a time.

    Parameters
    ----------
    plan : Plan
        What it is for; its backend has a device.
    """

    def __init__(self, plan: Plan) -> None:
        self.first, self.name = plan.first, plan.graph.name
        self.backend, self.device = plan.backend, plan.backend.device
        self.calls, self.code = plan.calls, plan.code
        self.next_step = self.backend.instruction("next_step", (), ())[0]
        self.status = np.zeros(1, dtype=np.int64)
        self.counter = np.zeros(1, dtype=np.int64)
        self.mirror = Mirror(self.device)
        self.bases = np.zeros(plan.n_memories + 1, dtype=np.int64)
        # Memory number to array: what is read, what is read and written, written only.
        self.given: dict[str, dict[int, Array]] = {"in": {}, "both": {}, "out": {}}
        self.on_device: dict[int, Buffer] = {}
        self._captured: tuple[Any, Any] = (None, None)
        self._take_own(plan)
        self._lend(self.first["status"], self.status, "both")
        self._counter = plan.n_memories
        self.outputs: list[Variable] = list(plan.graph.outputs)
        self._waiting: list[Carried] = []
        self._carried: list[Carried] = []

    def _take_own(self, plan: Plan) -> None:
        """Allocate what only the device reads and writes."""
        inputs = [b.n_bytes for b in plan.lowered.inputs]
        outputs = [b.n_bytes for b in plan.lowered.outputs]
        n_fetched = len(plan.varying)
        first_fetched = len(inputs) - n_fetched
        constants = plan.lowered.constants
        nowhere = np.zeros(len(plan.code.memories), dtype=np.int64)
        workspace = self.backend.workspace_of(plan.code.calls(nowhere))
        parts = {
            "scratch": [plan.arena_bytes],
            "constant": [constants.nbytes],
            "workspace": [workspace],
            "fetched": inputs[first_fetched:],
            "output": outputs,
            "carry": inputs[: plan.n_carry],
        }
        n_bytes = sum(aligned(size) for sizes in parts.values() for size in sizes)
        self.own = self.device.allocate(n_bytes)
        self.own_places: dict[str, list[int]] = {}
        end = self.own.address
        for kind, sizes in parts.items():
            self.own_places[kind] = []
            for size in sizes:
                self.own_places[kind].append(end)
                end += aligned(size)
        self.own_end = end
        (self.workspace,) = self.own_places["workspace"]
        self._use_own("scratch")
        self._use_own("constant")
        self._use_own("fetched", self.first["input"] + first_fetched)
        self.carried_variables = list(plan.graph.inputs[: plan.n_carry])
        self.device.upload_beside(constants, *self.own_places["constant"])

    def _use_own(self, part: str, first: int | None = None) -> None:
        """Let memories be a part of what only the device reads and writes."""
        first = self.first[part] if first is None else first
        for i, place in enumerate(self.own_places[part], start=first):
            self._lend(i)
            self.bases[i] = place

    # --- what the host gives and gets ---------------------------------------------

    def hold(self, kind: str, arrays: Sequence[Any], skip: int = 0) -> None:
        """Use arrays as the memories of a kind, from the number `skip` on."""
        for i, array in enumerate(arrays, start=self.first[kind] + skip):
            if isinstance(array, Buffer):
                self._lend(i)
                self.on_device[i] = array
                self.bases[i] = array.address
            else:
                self._lend(i, array, "in")

    def lend(self, kind: str, arrays: Sequence[Array], skip: int = 0) -> None:
        """Do the same with arrays that are written."""
        for i, array in enumerate(arrays, start=self.first[kind] + skip):
            self._lend(i, array, "out")

    def keep_outputs(self) -> None:
        """Let the outputs be ones that nobody reads afterwards."""
        self._use_own("output")

    def carry(self, arrays: Sequence[Carried]) -> None:
        """Let the first inputs be copies of arrays, which the steps change."""
        self._use_own("carry", self.first["input"])
        self._waiting = list(arrays)

    def carried(self) -> list[Carried]:
        """Return what the steps made of them."""
        carried, self._carried = self._carried, []
        return carried

    def _lend(self, i: int, array: Array | None = None, way: str = "") -> None:
        for arrays in self.given.values():
            arrays.pop(i, None)
        self.on_device.pop(i, None)
        if array is not None:
            self.given[way][i] = array

    def placed(self, arrays: Iterable[Array]) -> Iterable[Any]:
        """Return arrays of rows as they are on the device, or on their way."""
        (placed,) = self.backend.residents.streamed([arrays])
        return list(placed)

    # --- running ------------------------------------------------------------------

    def execute(self, first_step: int, n_steps: int) -> None:
        """Run the code for some steps; what was lent is written then."""
        self.counter[0] = first_step
        with self._brought():
            self._bring_carry()
            self._run(n_steps)
            self._leave_carry()

    @contextmanager
    def _brought(self) -> Iterator[None]:
        """Bring what is given, then return what was lent."""
        self._lend(self._counter, self.counter, "in")
        order = [pair for way in self.given.values() for pair in way.items()]
        with self.device.active():
            starts, end = self.mirror.places(array.nbytes for _, array in order)
            for (i, array), start in zip(order, starts, strict=True):
                self.bases[i] = self.mirror.buffer.address + start
                self.mirror.put(array, start)
            n_in, n_out = len(self.given["in"]), len(self.given["out"])
            ends = [*starts, end]
            self.mirror.upload(ends[len(order) - n_out])
            yield
            self.mirror.download(ends[n_in], end)
            for (_, array), start in zip(order[n_in:], starts[n_in:], strict=True):
                self.mirror.get(array, start)
        self.on_device.clear()  # it is held anew for the next run, if it is still there
        check_status(self.name, self.status)

    def _bring_carry(self) -> None:
        for array, place in zip(self._waiting, self.own_places["carry"], strict=False):
            address = None
            if isinstance(array, Held):
                address = array.address_on(self.device)
            if address is None:
                self.device.upload(np.ascontiguousarray(array), place)
            else:
                self.device.copy(address, place, array.nbytes)

    def _leave_carry(self) -> None:
        """Leave a copy of what is handed on, which later steps do not change."""
        if not self._waiting:
            return
        self._waiting = []
        first, *_ = places = self.own_places["carry"]
        copy = self.device.allocate(self.own_end - first)
        self.device.copy(first, copy.address, copy.n_bytes)
        self._carried = [
            Held(self.backend, copy, place - first, v.shape, v.dtype)
            for v, place in zip(self.carried_variables, places, strict=True)
        ]

    def _run(self, n_steps: int) -> None:
        calls = self._calls()
        if self.calls:
            for _ in range(n_steps):
                self._segments(calls)
            return
        counter = int(self.bases[self._counter])
        step = [*self.backend.joined(calls), (self.next_step, [counter], [])]
        self._launch(self.bases.tobytes(), lambda: step, n_steps)

    def _calls(self) -> list[Any]:
        memories, offsets, _ = self.code.arrays
        return list(self.code.calls(self.bases[memories] + offsets))

    def _launch(self, key: Any, calls: Callable[[], list[Any]], times: int) -> None:
        """Launch calls that a key identifies, captured where they come again."""
        counter = int(self.bases[self._counter])

        def launches() -> None:
            self.backend.call(calls(), self.workspace, counter)

        if key != self._captured[0]:
            # The first time is not captured: libraries load and choose at first calls.
            launches()
            self._captured = key, None
            times -= 1
        if times:
            if self._captured[1] is None:
                self._captured = key, self.device.captured(launches)
            self.device.replay(self._captured[1], times)

    def sums(self, blocks: Iterable[Iterable[Array]], skip: int) -> list[Array]:
        """Return the outputs added up over blocks, the inputs from `skip` on.

        Blocks that all are on the device are waited for once, others one by one.
        """
        self.keep_outputs()
        totals = [np.zeros(v.shape, dtype=v.dtype) for v in self.outputs]
        for i, total in enumerate(totals, start=self.first["result"]):
            self._lend(i, total, "both")
        residents, arrays = self.backend.residents, list(map(list, blocks))
        resident = residents.all_of(arrays)
        streamed = ([block] for block in residents.streamed(arrays))
        for together in streamed if resident is None else [resident]:
            self._add(together, skip)
        for i in range(len(totals)):
            self._lend(self.first["result"] + i)
        return totals

    def _add(self, blocks: list[list[Any]], skip: int) -> None:
        """Add the outputs of blocks to the totals."""
        self.hold("input", blocks[0], skip)
        with self._brought():
            bases = []
            for block in blocks:
                self.hold("input", block, skip)
                bases.append(self.bases.tobytes())
                if self.calls:
                    self._segments(self._calls())
                    self.backend.call(self._additions(), self.workspace, 0)
            if not self.calls:
                self._launch(b"".join(bases), lambda: self._of_all(bases), 1)

    def _of_all(self, bases: list[bytes]) -> list[Any]:
        """Return the calls of blocks, with the places of each."""
        made, additions = [], self._additions()
        for places in bases:
            self.bases[:] = np.frombuffer(places, dtype=np.int64)
            made += [*self.backend.joined(self._calls()), *additions]
        return made

    def _additions(self) -> list[Any]:
        """Return the calls that add the outputs to the totals."""
        n = len(self.outputs)
        totals, outputs = (
            self.bases[self.first[kind] : self.first[kind] + n].tolist()
            for kind in ("result", "output")
        )
        calls = []
        for v, total, part in zip(self.outputs, totals, outputs, strict=True):
            kernel = self.backend.kernel(_addition(v.dtype.name))
            calls.append((kernel, [total, part], [math.prod(v.shape)]))
        return calls

    def _segments(self, calls: list[Any]) -> None:
        """Run a step with calls of Python in between."""
        counter, start = int(self.bases[self._counter]), 0
        for call in self.calls:
            part = self.backend.joined(calls[start : call.at])
            self.backend.call(part, self.workspace, counter)
            start = call.at
            call.run(self._read, self._write)
        step = [*self.backend.joined(calls[start:]), (self.next_step, [counter], [])]
        self.backend.call(step, self.workspace, counter)

    def _read(self, where: Place, view: View) -> Array:
        """Return a view, copied to the host."""
        span, memory = _span(view), self.bases[where.memory] + where.offset
        copy = np.empty(span[1] - span[0], dtype=np.uint8)
        self.device.download(int(memory) + span[0], copy)
        return array_at(copy, -span[0], view)

    def _write(self, where: Place, view: View, value: Array) -> None:
        span, memory = _span(view), self.bases[where.memory] + where.offset
        copy = np.empty(span[1] - span[0], dtype=np.uint8)
        self.device.download(int(memory) + span[0], copy)
        array_at(copy, -span[0], view)[...] = value
        self.device.upload(copy, int(memory) + span[0])


def _addition(dtype: str) -> KernelSpec:
    """Return the kernel that adds a vector to another."""
    vector = Operand(dtype, "1")
    total = Binding("({0} + {1})", (0, 1), 1, dtype)
    return KernelSpec(1, (vector, vector), 2, (total,), (Output(2, 0),))


def _span(view: View) -> tuple[int, int]:
    """Return the bytes between which a view lies, from its first element."""
    if math.prod(view.shape) == 0:
        return 0, 0
    steps = [(n - 1) * s for n, s in zip(view.shape, view.strides, strict=True)]
    low, high = sum(min(s, 0) for s in steps), sum(max(s, 0) for s in steps)
    size = view.dtype.itemsize
    return low * size, (high + 1) * size
