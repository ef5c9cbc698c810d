"""The instructions of a lowered program: kernels, and others by name.

A kernel's operands are slots: a buffer and one stride for each loop. Neighbouring loops
that every operand walks through as one are one loop, so that a kernel over a contiguous
matrix and one over a vector are the same kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from skgrad.backend.base import Binding, KernelSpec, Operand, Output
from skgrad.executor.graph import Frame
from skgrad.executor.storage import Buffer, View

__all__ = ["Instruction", "Kernel", "Slot", "Write"]


@dataclass(frozen=True)
class Slot:
    """How a kernel moves over a buffer: one stride per loop, in elements."""

    buffer: Buffer
    dtype: np.dtype[Any]
    offset: int
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Write:
    """A value a kernel stores or reduces over some of its loops."""

    value: int
    slot: Slot
    reduction: str = ""
    over: tuple[int, ...] = ()


@dataclass
class Instruction:
    """One call: what it reads and writes, and its sizes."""

    name: str
    reads: tuple[View, ...]
    writes: tuple[View, ...]
    sizes: tuple[int, ...] = ()
    dtypes: tuple[str, ...] = ()
    function: Callable[..., Any] | None = None
    frame: Frame | None = None
    flops: float = 0.0

    @property
    def buffers(self) -> tuple[list[Buffer], list[Buffer]]:
        """The buffers it reads and writes."""
        return [v.buffer for v in self.reads], [v.buffer for v in self.writes]


@dataclass
class Kernel:
    """Loops over a body of scalar values, on buffers."""

    extents: tuple[int, ...]
    reads: list[Slot]
    bindings: list[Binding]
    writes: list[Write]
    names: tuple[str, ...] = ()
    frame: Frame | None = None
    flops: float = 0.0
    name: str = field(default="kernel")

    @property
    def buffers(self) -> tuple[list[Buffer], list[Buffer]]:
        """The buffers it reads and writes."""
        return [s.buffer for s in self.reads], [w.slot.buffer for w in self.writes]

    def spec(self, same: Callable[[Slot], Any]) -> tuple[KernelSpec, list[Slot], Any]:
        """Return the kernel for a backend, its operands and its sizes.

        Parameters
        ----------
        same : callable
            Maps a slot to what identifies its memory: equal ones are one operand.

        Returns
        -------
        spec : KernelSpec
            Neither sizes nor addresses are in it.
        operands : list of Slot
            In the order of the spec.
        sizes : list of int
            Extents of the loops, then the strides the spec calls "s".
        """
        places = {same(slot): i for i, slot in enumerate(self.reads)}
        operands, targets = list(self.reads), []
        for write in self.writes:
            place = places.get(same(write.slot)) if not write.reduction else None
            if place is None:
                place = len(operands)
                operands.append(write.slot)
            targets.append(place)
        extents, strides, groups = _collapsed(
            self.extents, [s.strides for s in operands], [w.over for w in self.writes]
        )
        rank = len(extents)
        depth = {0: 0, len(self.extents): rank}
        classes = ["".join(map(_stride_class, row)) for row in strides]
        spec = KernelSpec(
            rank,
            tuple(
                Operand(s.dtype.name, c) for s, c in zip(operands, classes, strict=True)
            ),
            len(self.reads),
            tuple(replace(b, depth=depth[b.depth]) for b in self.bindings),
            tuple(
                Output(w.value, t, w.reduction, over)
                for w, t, over in zip(self.writes, targets, groups, strict=True)
            ),
        )
        moving = [
            s
            for row, letters in zip(strides, classes, strict=True)
            for s, letter in zip(row, letters, strict=True)
            if letter == "s"
        ]
        return spec, operands, [*extents, *moving]


def _stride_class(stride: int) -> str:
    return str(stride) if stride in (0, 1) else "s"


def _collapsed(
    extents: Sequence[int],
    strides: Sequence[Sequence[int]],
    over: Sequence[Sequence[int]],
) -> tuple[list[int], list[list[int]], list[tuple[int, ...]]]:
    """Join neighbouring loops that every operand walks through as one."""
    loops: list[list[int]] = []
    for k in range(len(extents)):
        joined = bool(loops) and all(
            row[k - 1] == row[k] * extents[k] for row in strides
        )
        if joined and all((k in o) == (k - 1 in o) for o in over):
            loops[-1].append(k)
        else:
            loops.append([k])
    sizes = [math.prod(extents[k] for k in loop) for loop in loops]
    rows = [[row[loop[-1]] for loop in loops] for row in strides]
    kept = [tuple(j for j, loop in enumerate(loops) if loop[0] in o) for o in over]
    return sizes, rows, kept
