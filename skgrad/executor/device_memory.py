"""Memory of a device: what the host gives and gets goes there and back at each run.

Small arrays lie side by side, so that one copy brings them all and one returns what was
lent; arrays of rows stay on the device as long as the fit uses them. Several steps are
one step that is captured and replayed, with its number kept on the device.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from skgrad.backend.cuda.device import Buffer
from skgrad.backend.cuda.residents import Mirror
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
        self._captured: tuple[bytes, Any] = (b"", None)
        self._take_own(plan)
        self._lend(self.first["status"], self.status, "both")
        self._counter = plan.n_memories

    def _take_own(self, plan: Plan) -> None:
        """Allocate what only the device reads and writes."""
        outputs = [b.n_bytes for b in plan.lowered.outputs]
        n_fetched = len(plan.varying)
        inputs = [b.n_bytes for b in plan.lowered.inputs]
        fetched = inputs[len(inputs) - n_fetched :]
        constants = plan.lowered.constants
        nowhere = np.zeros(len(plan.code.memories), dtype=np.int64)
        workspace = self.backend.workspace_of(plan.code.calls(nowhere))
        sizes = [plan.arena_bytes, constants.nbytes, workspace, *fetched, *outputs]
        starts = np.cumsum([0, *(-(-size // 256) * 256 for size in sizes)])
        self.own = self.device.allocate(int(starts[-1]))
        places = (starts + self.own.address).tolist()
        self.bases[self.first["scratch"]] = places[0]
        self.bases[self.first["constant"]] = places[1]
        self.workspace = places[2]
        first = self.first["input"] + len(inputs) - n_fetched
        self.bases[first : first + n_fetched] = places[3 : 3 + n_fetched]
        self.own_outputs = places[3 + n_fetched : -1]
        self.device.upload_beside(constants, places[1])

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

    def lend(
        self, kind: str, arrays: Sequence[Array], skip: int = 0, filled: bool = False
    ) -> None:
        """Do the same with arrays that are written; `filled` if they are read too."""
        for i, array in enumerate(arrays, start=self.first[kind] + skip):
            self._lend(i, array, "both" if filled else "out")

    def keep(self, kind: str) -> None:
        """Let the outputs be ones that nobody reads afterwards."""
        first = self.first[kind]
        for i, place in enumerate(self.own_outputs, start=first):
            self._lend(i)
            self.bases[i] = place

    def _lend(self, i: int, array: Array | None = None, way: str = "") -> None:
        for arrays in self.given.values():
            arrays.pop(i, None)
        self.on_device.pop(i, None)
        if array is not None:
            self.given[way][i] = array

    def placed(self, blocks: Iterable[Iterable[Array]]) -> Iterable[list[Any]]:
        """Yield arrays of rows as they are on the device, or on their way."""
        streamed: Iterable[list[Any]] = self.backend.residents.streamed(blocks)
        return streamed

    # --- running ------------------------------------------------------------------

    def execute(self, first_step: int, n_steps: int) -> None:
        """Run the code for some steps; what was lent is written then."""
        self.counter[0] = first_step
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
            self._run(n_steps)
            self.mirror.download(ends[n_in], end)
            for (_, array), start in zip(order[n_in:], starts[n_in:], strict=True):
                self.mirror.get(array, start)
        self.on_device.clear()  # it is held anew for the next run, if it is still there
        check_status(self.name, self.status)

    def _run(self, n_steps: int) -> None:
        key, (captured, step) = self.bases.tobytes(), self._captured
        if key == captured:
            self.device.replay(step, n_steps)
            return
        memories, offsets, _ = self.code.arrays
        calls = list(self.code.calls(self.bases[memories] + offsets))
        if self.calls:
            for _ in range(n_steps):
                self._segments(calls)
            return
        calls, counter = self.backend.joined(calls), int(self.bases[self._counter])

        def launches() -> None:
            step = [*calls, (self.next_step, [counter], [])]
            self.backend.call(step, self.workspace, counter)

        # The first step is not captured: libraries load and choose at a first call.
        launches()
        if n_steps > 1:
            self._captured = key, self.device.captured(launches)
            self.device.replay(self._captured[1], n_steps - 1)

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


def _span(view: View) -> tuple[int, int]:
    """Return the bytes between which a view lies, from its first element."""
    if math.prod(view.shape) == 0:
        return 0, 0
    steps = [(n - 1) * s for n, s in zip(view.shape, view.strides, strict=True)]
    low, high = sum(min(s, 0) for s in steps), sum(max(s, 0) for s in steps)
    size = view.dtype.itemsize
    return low * size, (high + 1) * size
