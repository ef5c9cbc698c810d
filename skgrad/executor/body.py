"""The kernel of a fused equation: its equations as loops over scalar values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from skgrad.backend.base import Binding
from skgrad.core.primitive import is_registered
from skgrad.executor.fuse import REDUCTIONS, VIEWS, squeezed
from skgrad.executor.graph import Equation, Graph, Variable
from skgrad.executor.instruction import Kernel, Slot, Write
from skgrad.executor.storage import View
from skgrad.typing import Shape

__all__ = ["LITERALS", "kernel_of"]

# Numbers a backend writes into a kernel; all others are operands, so that a kernel
# serves every value. The preambles know these by name.
LITERALS = {0.0: "zero", 1.0: "one", 0.5: "half", 2.0: "two"}


def kernel_of(
    equation: Equation,
    views: Mapping[Variable, View],
    literals: Mapping[Variable, str],
    target: Callable[[Variable], View],
) -> Kernel:
    """Return the kernel of a fused equation.

    Parameters
    ----------
    equation : Equation
        Of the primitive ``fused``.
    views : mapping of Variable to View
        Where its inputs are.
    literals : mapping of Variable to str
        Constants that are written into the kernel, by their name.
    target : callable
        Gives the view a result is written to.

    Returns
    -------
    Kernel
        Loops over the extents of its space other than 1.
    """
    return _Body(equation, views, literals, target).kernel()


class _Body:
    """The kernel of a fused equation."""

    def __init__(
        self,
        equation: Equation,
        views: Mapping[Variable, View],
        literals: Mapping[Variable, str],
        target: Callable[[Variable], View],
    ) -> None:
        self.equation = equation
        self.views = views
        self.literals = literals
        self.target = target
        body: Graph = equation.params["body"]
        self.body = body
        self.space = self._space()
        self.slots: dict[Slot, int] = {}
        self.values: dict[Variable, tuple[str, Any]] = {}
        self.pending: list[tuple[str, tuple[Any, ...], int, str]] = []

    def _space(self) -> Shape:
        for equation in self.body.equations:
            ends = equation.primitive.name in REDUCTIONS
            variable = (equation.inputs if ends else equation.outputs)[0]
            if equation.primitive.name not in VIEWS and squeezed(variable.shape):
                return squeezed(variable.shape)
        return ()

    def kernel(self) -> Kernel:
        stored: list[tuple[Variable, Any, Equation | None]] = []
        outputs = set(self.body.outputs)
        flops = 0.0
        for equation in self.body.equations:
            name, (out, *_) = equation.primitive.name, equation.outputs
            if name in VIEWS:
                source = equation.inputs[0]
                self.values[out] = self.values.get(source, ("view", source))
                continue
            if name in REDUCTIONS:
                value = self._term(equation)
                stored.append((out, value, equation))
                flops += math.prod(equation.inputs[0].shape)
                continue
            self.values[out] = self._bind(equation)
            flops += math.prod(out.shape)
            if out in outputs:
                stored.append((out, self.values[out], None))
        return self._assembled(stored, flops)

    def _term(self, equation: Equation) -> tuple[str, int]:
        """Return what a reduction combines, in the dtype of the result."""
        (x,), (out,) = equation.inputs, equation.outputs
        value = self._argument(x, x.shape)
        if x.dtype == out.dtype:
            return value
        cast = f"cast({{0}}, {out.dtype.name})"
        self.pending.append((cast, (value,), len(self.space), out.dtype.name))
        return "binding", len(self.pending) - 1

    def _bind(self, equation: Equation) -> tuple[str, int]:
        primitive, (out,) = equation.primitive, equation.outputs
        assert primitive.expression is not None
        expression = primitive.expression(**equation.params)
        shape = out.shape
        texts: list[str] = []
        arguments: list[Any] = []
        literals = self._literals(equation)
        for variable in equation.inputs:
            if variable in literals:
                texts.append(literals[variable])
                continue
            argument = self._argument(variable, shape)
            if argument not in arguments:
                arguments.append(argument)
            texts.append(f"{{{arguments.index(argument)}}}")
        depth = len(self.space) if squeezed(shape) else 0
        self.pending.append(
            (expression.format(*texts), tuple(arguments), depth, out.dtype.name)
        )
        return "binding", len(self.pending) - 1

    def _literals(self, equation: Equation) -> dict[Variable, str]:
        """Return the inputs to write as numbers; at least one input stays typed."""
        known = self.literals
        if not is_registered(equation.primitive):
            # A user's expression may take a function of one operand alone, and a
            # number in its place would have no dtype.
            return {}
        if equation.primitive.name == "where":
            choices = [v for v in equation.inputs[1:] if v not in known]
        else:
            choices = [v for v in equation.inputs if v not in known]
        if not choices or equation.primitive.name == "astype":
            return {}
        found = {v: known[v] for v in equation.inputs if v in known}
        if equation.primitive.name == "where" and equation.inputs[0] in found:
            return {}
        return found

    def _argument(self, variable: Variable, shape: Shape) -> tuple[str, int]:
        value = self.values.get(variable)
        if value is not None and value[0] == "binding":
            return value
        view = self.views[variable]
        return "slot", self._slot(_loop_slot(view, shape, len(self.space)))

    def _slot(self, slot: Slot) -> int:
        return self.slots.setdefault(slot, len(self.slots))

    def _assembled(
        self, stored: list[tuple[Variable, Any, Equation | None]], flops: float
    ) -> Kernel:
        n_reads = len(self.slots)

        def number(value: tuple[str, int]) -> int:
            kind, i = value
            return i if kind == "slot" else n_reads + i

        bindings = [
            Binding(text, tuple(map(number, arguments)), depth, dtype)
            for text, arguments, depth, dtype in self.pending
        ]
        writes = []
        for variable, value, reduction in stored:
            view = self.target(variable)
            if reduction is None:
                slot = _loop_slot(view, variable.shape, len(self.space))
                writes.append(Write(number(value), slot))
            else:
                writes.append(self._reduced(number(value), view, reduction))
        names = tuple(
            e.primitive.name
            for e in self.body.equations
            if e.primitive.name not in VIEWS
        )
        return Kernel(
            self.space,
            list(self.slots),
            bindings,
            writes,
            names,
            self.equation.frame,
            flops,
        )

    def _reduced(self, value: int, view: View, equation: Equation) -> Write:
        shape = equation.inputs[0].shape
        axes = {a % len(shape) for a in equation.params["axes"]}
        loops = [a for a, n in enumerate(shape) if n != 1]
        over = tuple(j for j, a in enumerate(loops) if a in axes)
        moving = iter(
            s for n, s in zip(view.shape, view.strides, strict=True) if n != 1
        )
        strides = tuple(0 if a in axes else next(moving) for a in loops)
        slot = Slot(view.buffer, view.dtype, view.offset, strides)
        name = equation.primitive.name if over else ""
        return Write(value, slot, name, over)


def _loop_slot(view: View, shape: Shape, rank: int) -> Slot:
    """Return how loops over the extents of `shape` other than 1 move over a view."""
    lead = len(shape) - len(view.shape)
    strides = []
    for axis, n in enumerate(shape):
        if n != 1:
            inside = axis >= lead and view.shape[axis - lead] != 1
            strides.append(view.strides[axis - lead] if inside else 0)
    moves = tuple(strides) if strides else (0,) * rank
    return Slot(view.buffer, view.dtype, view.offset, moves)
