"""The printer: a kernel's specification becomes the LLVM IR of its loops.

The loops are nested as the specification says, and every value is computed as far out
as it can be. How a reduction runs follows from where its loops are: over the innermost
loops it accumulates in a register; over a loop further out it accumulates in the
array it is written to, so that the innermost loop has no dependence between its turns.
Either way the innermost loop vectorises. Sums and products may be reordered for that;
nothing else is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import llvmlite.ir as ir

from skgrad.backend.base import KernelSpec, Output
from skgrad.backend.cpu.loops import Function, element, in_memory, load, loop, store
from skgrad.backend.cpu.scalar import Scalar, constant, llvm_type
from skgrad.backend.mathematics.preamble import bound

__all__ = ["source"]

# What LLVM may do with an accumulation: reorder it, and fuse it with a product.
_ACCUMULATION = ("reassoc", "contract")


def source(spec: KernelSpec) -> str:
    """Return a kernel's LLVM IR."""
    return _Printer(spec).text()


@dataclass(frozen=True, slots=True)
class _Sink:
    """Where an output is combined and where it is written, in numbers of loops."""

    output: Output
    depth: int  # loops each element of the value is inside of
    end: int  # loops the result is inside of, once its innermost loops have ended
    fill: tuple[int, ...] | None  # loops over the elements to fill first


class _Printer:
    def __init__(self, spec: KernelSpec) -> None:
        self.spec = spec
        self.depths = spec.depths
        self.sinks = tuple(_sink(spec, output) for output in spec.outputs)
        n_strides = sum(operand.strides.count("s") for operand in spec.operands)
        self.function = Function(len(spec.operands), spec.rank + n_strides)
        self.builder = self.function.builder
        self.extents = self.function.sizes[: spec.rank]
        self.strides = _strides(spec, self.function.sizes[spec.rank :])
        self.pointers = self.function.pointers
        self.values: dict[int, Scalar] = {}
        self.innermost = max((sink.depth for sink in self.sinks), default=0)
        self.accumulators = {
            sink: self.builder.alloca(llvm_type(self._dtype(sink)))
            for sink in self.sinks
            if sink.end < sink.depth
        }

    def text(self) -> str:
        for sink in self.sinks:
            if sink.fill is not None:
                self._fill(sink)
        self._level(0)
        return self.function.text()

    # --- loops --------------------------------------------------------------------

    def _level(self, depth: int) -> None:
        """Append what is inside of ``depth`` loops."""
        self._compute(depth)
        for sink in self.sinks:
            if sink.depth == depth:
                self._consume(sink)
            elif sink.end == depth:
                self.builder.store(self._identity(sink).value, self.accumulators[sink])
        if depth < self.innermost:
            with self._turn(depth):
                self._level(depth + 1)
        for sink in self.sinks:
            if sink.end == depth < sink.depth:
                self._write(sink, self._accumulated(sink))

    @contextmanager
    def _turn(self, level: int) -> Iterator[None]:
        """Run a block for each index of a loop, with the pointers moved along."""
        outside = self.pointers
        with loop(self.builder, self.extents[level]) as index:
            self.pointers = [self._moved(i, level, index) for i in range(len(outside))]
            yield
        self.pointers = outside

    def _moved(self, i: int, level: int, index: ir.Value) -> ir.Value:
        operand, pointer = self.spec.operands[i], self.pointers[i]
        if operand.strides[level] == "0":
            return pointer
        if operand.strides[level] == "s":
            index = self.builder.mul(index, self.strides[i, level], flags=("nsw",))
        return element(self.builder, pointer, index, in_memory(operand.dtype))

    # --- values -------------------------------------------------------------------

    def _compute(self, depth: int) -> None:
        spec = self.spec
        for i, operand in enumerate(spec.operands[: spec.n_reads]):
            if self.depths[i] == depth:
                self.values[i] = load(self.builder, self.pointers[i], operand.dtype)
        for i, binding in enumerate(spec.bindings, start=spec.n_reads):
            if binding.depth == depth:
                arguments = [self.values[k] for k in binding.arguments]
                self.values[i] = bound(binding, arguments, self._constant)

    # --- outputs ------------------------------------------------------------------

    def _dtype(self, sink: _Sink) -> str:
        return self.spec.operands[sink.output.operand].dtype

    def _identity(self, sink: _Sink) -> Scalar:
        dtype = self._dtype(sink)
        return self._constant(sink.output.identity(dtype), dtype)

    def _constant(self, value: float, dtype: str) -> Scalar:
        return constant(self.builder, value, dtype)

    def _accumulated(self, sink: _Sink) -> Scalar:
        dtype = self._dtype(sink)
        return Scalar(
            self.builder,
            self.builder.load(self.accumulators[sink], typ=llvm_type(dtype)),
            dtype,
        )

    def _consume(self, sink: _Sink) -> None:
        """Take in one element of an output."""
        value = self.values[sink.output.value]
        if sink.end == sink.depth:
            self._write(sink, value)
        else:
            total = _combined(sink.output.reduction, self._accumulated(sink), value)
            self.builder.store(total.value, self.accumulators[sink])

    def _write(self, sink: _Sink, value: Scalar) -> None:
        pointer = self.pointers[sink.output.operand]
        if sink.fill is not None:
            old = load(self.builder, pointer, value.dtype)
            value = _combined(sink.output.reduction, old, value)
        if sink.output.operand < self.spec.n_reads:
            value = _whole(value)
        store(self.builder, value, pointer)

    def _fill(self, sink: _Sink) -> None:
        with ExitStack() as turns:
            for level in sink.fill or ():
                turns.enter_context(self._turn(level))
            pointer = self.pointers[sink.output.operand]
            store(self.builder, self._identity(sink), pointer)


def _whole(value: Scalar) -> Scalar:
    """Keep LLVM from storing the choice of an old or a new number by a mask.

    Written in place, ``where`` would become a masked store, which takes 12 cycles on
    AMD's processors: three times the time of the whole kernel. The intrinsic is a
    multiplication by one.
    """
    if not isinstance(value.value, ir.SelectInstr) or value.kind != "f":
        return value
    kind = value.value.type
    signature = ir.FunctionType(kind, [kind])
    module = value.builder.module
    declared = module.declare_intrinsic("llvm.canonicalize", [kind], signature)
    call = value.builder.call(declared, [value.value])
    return Scalar(value.builder, call, value.dtype)


def _sink(spec: KernelSpec, output: Output) -> _Sink:
    depth = end = spec.depth(output)
    while end - 1 in output.over:
        end -= 1
    kept = tuple(level for level in range(end) if level not in output.over)
    return _Sink(output, depth, end, None if len(kept) == end else kept)


def _strides(
    spec: KernelSpec, sizes: list[ir.Value]
) -> dict[tuple[int, int], ir.Value]:
    """Return the stride of each operand and loop that has one given at each call."""
    places = [
        (i, level)
        for i, operand in enumerate(spec.operands)
        for level, letter in enumerate(operand.strides)
        if letter == "s"
    ]
    return dict(zip(places, sizes, strict=True))


# --- reductions -------------------------------------------------------------------


def _combined(reduction: str, x: Scalar, y: Scalar) -> Scalar:
    """Return two elements combined, in a way LLVM can vectorise."""
    builder, operands = x.builder, (x.value, y.value)
    if reduction == "max":
        name = {"f": "llvm.maximum", "i": "llvm.smax"}.get(x.kind, "llvm.umax")
        kind = x.value.type
        signature = ir.FunctionType(kind, [kind, kind])
        declared = builder.module.declare_intrinsic(name, [kind], signature)
        return Scalar(builder, builder.call(declared, operands), x.dtype)
    method = "add" if reduction == "sum" else "mul"
    if x.kind == "f":
        value = getattr(builder, f"f{method}")(*operands, flags=_ACCUMULATION)
    else:
        value = getattr(builder, method)(*operands)
    return Scalar(builder, value, x.dtype)
