"""LLVM instructions for matrix products: vectors, masks, and loops as written.

Lengths, offsets and strides are in numbers, not bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import llvmlite.ir as ir
import numpy as np

from skgrad.backend.cpu.gemm_plan import Machine

__all__ = ["I1", "I32", "I64", "POINTER", "VOID", "Writer", "constant", "smaller"]

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
POINTER = ir.PointerType()
VOID = ir.VoidType()


def constant(value: int) -> ir.Constant:
    """Return an integer of 64 bits."""
    return ir.Constant(I64, value)


def smaller(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """Return the smaller of two integers."""
    return b.select(b.icmp_signed("<", x, y), x, y)


class Writer:
    """Writes the functions of one module.

    Parameters
    ----------
    dtype : str
        Of all numbers: ``"float32"`` or ``"float64"``.
    machine : Machine
        The processor.
    """

    def __init__(self, dtype: str, machine: Machine) -> None:
        self.machine = machine
        self.module = ir.Module("gemm")
        self.bytes = np.dtype(dtype).itemsize
        self.number = ir.FloatType() if self.bytes == 4 else ir.DoubleType()
        self.lanes = machine.lanes(dtype)
        self.vector = ir.VectorType(self.number, self.lanes)
        # Tiles are unrolled here, so LLVM does not unroll them again: that doubles
        # code and compilation (0.4 s for 0.2 s) and gains nothing.
        off = [
            self.module.add_metadata(["llvm.loop.unroll.disable"]),
            self.module.add_metadata(
                ["llvm.loop.vectorize.enable", ir.Constant(I1, 0)]
            ),
        ]
        # What describes a loop refers to itself first, by LLVM's convention.
        self._as_written = self.module.add_metadata(["loop", *off])
        self._as_written.operands = (self._as_written, *off)

    # --- instructions -------------------------------------------------------------

    def function(
        self, name: str, types: Sequence[ir.Type], internal: bool = True
    ) -> tuple[ir.Function, ir.IRBuilder]:
        """Begin a function without a result."""
        f = ir.Function(self.module, ir.FunctionType(VOID, types), name)
        f.attributes.add("nounwind")
        if internal:
            f.linkage = "internal"
            f.attributes.add("noinline")
            for x in f.args:
                if x.type == POINTER:
                    x.add_attribute("noalias")
        return f, ir.IRBuilder(f.append_basic_block("entry"))

    @contextmanager
    def loop(
        self, b: ir.IRBuilder, stop: ir.Value, step: int = 1
    ) -> Iterator[ir.Value]:
        """Write ``for i in range(0, stop, step)`` around what is written inside."""
        before = b.block
        head, body, after = (b.append_basic_block(x) for x in ("head", "body", "after"))
        b.branch(head)
        b.position_at_end(head)
        i = b.phi(I64)
        i.add_incoming(constant(0), before)
        b.cbranch(b.icmp_signed("<", i, stop), body, after)
        b.position_at_end(body)
        yield i
        i.add_incoming(b.add(i, constant(step)), b.block)
        b.branch(head).set_metadata("llvm.loop", self._as_written)
        b.position_at_end(after)

    @contextmanager
    def until(
        self, b: ir.IRBuilder, place: ir.Value, stop: ir.Value
    ) -> Iterator[ir.Value]:
        """Write a loop while the integer at an address is below ``stop``."""
        head, body, after = (b.append_basic_block(x) for x in ("head", "body", "after"))
        b.branch(head)
        b.position_at_end(head)
        i = b.load(place, typ=I64)
        b.cbranch(b.icmp_signed("<", i, stop), body, after)
        b.position_at_end(body)
        yield i
        b.branch(head).set_metadata("llvm.loop", self._as_written)
        b.position_at_end(after)

    def summed(
        self,
        b: ir.IRBuilder,
        stop: ir.Value,
        steps: Sequence[ir.Value],
        count: int,
        body: Callable[..., list[ir.Value]],
    ) -> list[ir.Value]:
        """Write a loop that keeps sums in registers.

        ``body(sums, *offsets)`` returns the next sums; the offsets begin at 0 and
        advance by the steps while the first is below ``stop``.
        """
        before = b.block
        head, inside, after = (
            b.append_basic_block(x) for x in ("head", "body", "after")
        )
        b.branch(head)
        b.position_at_end(head)
        offsets = [b.phi(I64) for _ in steps]
        sums = [b.phi(self.vector) for _ in range(count)]
        for x in offsets:
            x.add_incoming(constant(0), before)
        for x in sums:
            x.add_incoming(ir.Constant(self.vector, None), before)
        b.cbranch(b.icmp_signed("<", offsets[0], stop), inside, after)
        b.position_at_end(inside)
        for x, value in zip(sums, body(sums, *offsets), strict=True):
            x.add_incoming(value, inside)
        for x, step in zip(offsets, steps, strict=True):
            x.add_incoming(b.add(x, step), inside)
        b.branch(head).set_metadata("llvm.loop", self._as_written)
        b.position_at_end(after)
        return sums

    def at(self, b: ir.IRBuilder, base: ir.Value, *offsets: ir.Value) -> ir.Value:
        """Return the address so many numbers on."""
        for x in offsets:
            base = b.gep(base, [x], source_etype=self.number)
        return base

    def _call(
        self, b: ir.IRBuilder, name: str, result: ir.Type, values: Sequence[ir.Value]
    ) -> ir.Value:
        name = f"llvm.{name}.v{self.lanes}f{8 * self.bytes}"
        if "masked" in name:
            name += ".p0"
        f = self.module.globals.get(name)
        if f is None:
            types = [x.type for x in values]
            f = ir.Function(self.module, ir.FunctionType(result, types), name)
        return b.call(f, values)

    def load(
        self, b: ir.IRBuilder, where: ir.Value, mask: ir.Value | None = None
    ) -> ir.Value:
        """Read a vector; lanes outside the mask are zero and not touched."""
        if mask is None:
            return b.load(where, align=self.bytes, typ=self.vector)
        zero = ir.Constant(self.vector, None)
        values = [where, ir.Constant(I32, self.bytes), mask, zero]
        return self._call(b, "masked.load", self.vector, values)

    def store(
        self,
        b: ir.IRBuilder,
        value: ir.Value,
        where: ir.Value,
        mask: ir.Value | None = None,
    ) -> None:
        """Write a vector; memory outside the mask is not touched."""
        if mask is None:
            b.store(value, where, align=self.bytes)
            return
        values = [value, where, ir.Constant(I32, self.bytes), mask]
        self._call(b, "masked.store", VOID, values)

    def multiply_add(
        self, b: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value
    ) -> ir.Value:
        """Return x y + z: rounded once where the processor can, else twice."""
        return self._call(b, "fmuladd", self.vector, [x, y, z])

    def splat(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        """Return a vector with one number in all lanes."""
        none = ir.Constant(ir.VectorType(x.type, self.lanes), ir.Undefined)
        first = b.insert_element(none, x, ir.Constant(I32, 0))
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), None)
        return b.shuffle_vector(first, none, zeros)

    def mixed(
        self, b: ir.IRBuilder, x: ir.Value, y: ir.Value, lanes: Sequence[int]
    ) -> ir.Value:
        """Return a vector of lanes of x, then y, by number."""
        index = ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes))
        return b.shuffle_vector(x, y, index)

    def first(self, b: ir.IRBuilder, count: ir.Value) -> ir.Value:
        """Return the mask of the first lanes."""
        lanes = ir.Constant(ir.VectorType(I32, self.lanes), list(range(self.lanes)))
        return b.icmp_unsigned("<", lanes, self.splat(b, b.trunc(count, I32)))
