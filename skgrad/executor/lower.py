"""Lowering: a fused graph becomes a list of instructions on buffers.

A fused equation becomes a kernel: loops, operands with a stride for each loop, scalar
values. The other primitives become instructions that the backend knows by name
(product, gather, random bits); what it does not know runs on the reference backend.
Views become views. Nothing is computed and no memory is taken here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skgrad.backend.base import Binding, get_backend
from skgrad.executor.body import LITERALS, kernel_of
from skgrad.executor.fuse import FUSED, VIEWS, squeezed
from skgrad.executor.graph import Equation, Frame, Graph, Variable
from skgrad.executor.home import chosen_homes
from skgrad.executor.instruction import Instruction, Kernel, Slot, Write
from skgrad.executor.named import NAMED
from skgrad.executor.storage import (
    Buffer,
    View,
    contiguous_strides,
    n_bytes,
    views_of,
    whole,
)
from skgrad.typing import Array, Shape

__all__ = ["Lowered", "Lowering", "lower"]


@dataclass
class Lowered:
    """Instructions on buffers, before they have a place.

    Parameters
    ----------
    graph : Graph
        The fused graph.
    inputs, outputs : list of Buffer
        One per input and output of the graph.
    constants : Array
        All constants, as bytes.
    constant_buffer : Buffer
        Theirs.
    instructions : list of Kernel or Instruction
        In order of execution.
    heirs : dict of Buffer to Buffer
        See :func:`skgrad.executor.storage.place`.
    """

    graph: Graph
    inputs: list[Buffer]
    outputs: list[Buffer]
    constants: Array
    constant_buffer: Buffer
    status: Buffer
    instructions: list[Kernel | Instruction]
    heirs: dict[Buffer, Buffer]
    returned: list[tuple[int, int]]


def lower(
    graph: Graph,
    n_carry: int = 0,
    workspace: Callable[..., int] = lambda name, dtype, sizes: 0,
) -> Lowered:
    """Return the instructions that compute a fused graph.

    Parameters
    ----------
    graph : Graph
        Result of :func:`skgrad.executor.fuse.fuse`.
    n_carry : int, default=0
        How many of the first outputs replace the input of the same number for the next
        step. They are updated in place where nothing reads the old value any more.
    workspace : callable
        ``workspace(name, dtype, sizes)``: bytes the backend needs beside a product.

    Returns
    -------
    Lowered
        Instructions and buffers.
    """
    return Lowering(graph, n_carry, workspace).lowered()


class Lowering:
    """A graph being lowered."""

    def __init__(self, graph: Graph, n_carry: int, workspace: Any) -> None:
        self.graph = graph
        self.workspace = workspace
        self.n_carry = n_carry
        self.inputs = [
            Buffer(n_bytes(v), "input", i) for i, v in enumerate(graph.inputs)
        ]
        self.outputs = [
            Buffer(n_bytes(v), "output", i) for i, v in enumerate(graph.outputs)
        ]
        self.status = Buffer(8, "status")
        self.views: dict[Variable, View] = {}
        self.literals: dict[Variable, str] = {}
        self.instructions: list[Kernel | Instruction] = []
        self.heirs: dict[Buffer, Buffer] = {}
        self.homes: dict[Variable, Buffer] = {}
        self.frame: Frame | None = None
        for variable, buffer in zip(graph.inputs, self.inputs, strict=True):
            self.views[variable] = whole(buffer, variable)
        self.constants, self.constant_buffer = self._constants()

    def _constants(self) -> tuple[Array, Buffer]:
        values = list(self.graph.constants.items())
        starts, size = [], 0
        for _, value in values:
            starts.append(size)
            size += -(-value.nbytes // 64) * 64
        memory = np.zeros(max(size, 1), dtype=np.uint8)
        blob = Buffer(len(memory), "constant")
        for (variable, value), start in zip(values, starts, strict=True):
            raw = np.frombuffer(np.ascontiguousarray(value).tobytes(), dtype=np.uint8)
            memory[start : start + value.nbytes] = raw
            part = Buffer(value.nbytes, "constant", parent=blob, offset=start)
            self.views[variable] = whole(part, variable)
            if value.size == 1 and value.dtype.kind == "f":
                number = float(value.reshape(()))
                if number in LITERALS and math.copysign(1, number) > 0:
                    self.literals[variable] = LITERALS[number]
        return memory, blob

    def lowered(self) -> Lowered:
        """Return the instructions, in order, with their buffers."""
        self.homes = chosen_homes(self.graph, self.n_carry, self.inputs, self.outputs)
        for equation in self.graph.equations:
            self.frame = equation.frame
            self._equation(equation)
        self.frame = None
        returned = self._return()
        return Lowered(
            self.graph,
            self.inputs,
            self.outputs,
            self.constants,
            self.constant_buffer,
            self.status,
            self.instructions,
            self.heirs,
            returned,
        )

    # --- where results go ---------------------------------------------------------

    def target(self, variable: Variable) -> View:
        """Return where a new result is written."""
        home = self.homes.get(variable)
        if home is None:
            home = Buffer(n_bytes(variable), "scratch")
        view = whole(home, variable)
        self.views[variable] = view
        return view

    def scratch(self, shape: Shape, dtype: np.dtype[Any]) -> View:
        """Return a view of a new scratch buffer."""
        size = math.prod(shape) * dtype.itemsize
        return View(Buffer(size, "scratch"), dtype, shape, contiguous_strides(shape))

    def _return(self) -> list[tuple[int, int]]:
        """Bring every result to its output; return (output, input) pairs to feed back.

        A result that was updated in place is there already.
        """
        pairs = []
        for j, variable in enumerate(self.graph.outputs):
            view, target = self.views[variable], self.outputs[j]
            if view.buffer is target and view.covers:
                pairs.append((j, j))
                continue
            own = j < self.n_carry and view.buffer is self.inputs[j] and view.covers
            if not own:
                self.copy(view, whole(target, variable))
                pairs.append((j, j))
        for j, _ in pairs:
            if j < self.n_carry:
                variable = self.graph.outputs[j]
                source = whole(self.outputs[j], variable)
                self.copy(source, whole(self.inputs[j], variable))
        return pairs

    # --- instructions -------------------------------------------------------------

    def _equation(self, equation: Equation) -> None:
        name = equation.primitive.name
        if name in VIEWS:
            self._view(equation)
        elif equation.primitive is FUSED:
            self._fused(equation)
        else:
            lowered = NAMED.get(name)
            if lowered is None or not lowered(self, equation):
                self._reference(equation)

    def _view(self, equation: Equation) -> None:
        view = self.views[equation.inputs[0]]
        made = views_of(equation, view)
        if made is None:
            made = views_of(equation, self.contiguous(view)) or []
        for variable, out in zip(equation.outputs, made, strict=True):
            self.views[variable] = out

    def emit(
        self, name: str, reads: Sequence[View], *writes: View, **more: Any
    ) -> None:
        """Append an instruction that the backend knows by name."""
        self.instructions.append(
            Instruction(name, tuple(reads), writes, frame=self.frame, **more)
        )

    def contiguous(self, view: View) -> View:
        """Return a view in C order: the same, or of a copy."""
        if view.is_contiguous:
            return view
        copy = self.scratch(view.shape, view.dtype)
        self.copy(view, copy)
        return copy

    def copy(self, view: View, target: View) -> None:
        """Append a kernel that copies the elements of a view to another."""
        self._elements([view], [], target, "copy")

    def add_to(self, view: View, target: View) -> None:
        """Append a kernel that adds the elements of a view to those of another."""
        dtype = target.dtype.name
        total = Binding("({0} + {1})", (0, 1), len(squeezed(view.shape)), dtype)
        self._elements([target, view], [total], target, "add")

    def _elements(
        self, reads: list[View], bindings: list[Binding], target: View, name: str
    ) -> None:
        """Append a kernel over views of one shape; it stores its last value."""
        axes = [a for a, n in enumerate(target.shape) if n != 1]
        *sources, sink = (
            Slot(v.buffer, v.dtype, v.offset, tuple(v.strides[a] for a in axes))
            for v in (*reads, target)
        )
        extents = tuple(target.shape[a] for a in axes)
        writes = [Write(len(reads) + len(bindings) - 1, sink)]
        self.instructions.append(
            Kernel(extents, sources, bindings, writes, (name,), self.frame)
        )

    def _reference(self, equation: Equation) -> None:
        backend = get_backend("cpu")
        kernel = equation.primitive.kernel(backend, equation.params)
        self.emit(
            equation.primitive.name,
            [self.views[v] for v in equation.inputs],
            *map(self.target, equation.outputs),
            function=kernel,
        )

    # --- fused equations ----------------------------------------------------------

    def _fused(self, equation: Equation) -> None:
        kernel = kernel_of(equation, self.views, self.literals, self.target)
        self.instructions.append(kernel)
        self._note_heirs(kernel)

    def _note_heirs(self, kernel: Kernel) -> None:
        """Let results overwrite what is read at the same place for the last time."""
        for write in kernel.writes:
            if write.reduction or write.slot.buffer.parent is not None:
                continue
            for slot in kernel.reads:
                same = replace(slot, buffer=write.slot.buffer) == write.slot
                alone = sum(s.buffer.root[0] is slot.buffer for s in kernel.reads) == 1
                equal = slot.buffer.n_bytes == write.slot.buffer.n_bytes
                if same and alone and equal and slot.buffer.kind == "scratch":
                    self.heirs.setdefault(write.slot.buffer, slot.buffer)
