"""Scalars that write LLVM instructions: what a scalar expression is evaluated with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.ir as ir
import numpy as np

from skgrad.backend.mathematics.number import Operators

__all__ = ["Scalar", "llvm_type"]

# What a product and a sum may be fused into: a multiply-add. Nothing is reordered and
# no case (NaN, infinity, signed zero) is assumed away.
FLAGS = ("contract",)

_ARITHMETIC = {"+": "add", "-": "sub", "*": "mul", "/": "div"}
_BITWISE = {"&": "and_", "|": "or_", "^": "xor", "<<": "shl", ">>": "lshr"}

_TYPES: dict[str, ir.Type] = {
    "bool": ir.IntType(1),  # in a register; in memory it is a byte
    "float32": ir.FloatType(),
    "float64": ir.DoubleType(),
    **{f"{sign}int{n}": ir.IntType(n) for sign in ("", "u") for n in (8, 16, 32, 64)},
}


def llvm_type(dtype: str) -> ir.Type:
    """Return the type of a dtype in a register."""
    return _TYPES[dtype]


class Scalar(Operators):
    """A value in a function under construction.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
        Where instructions are appended.
    value : llvmlite.ir.Value
        The value.
    dtype : str
        Its NumPy dtype.
    """

    __slots__ = ("builder", "value")

    def __init__(self, builder: ir.IRBuilder, value: ir.Value, dtype: str) -> None:
        self.builder = builder
        self.value = value
        self.dtype = dtype

    # --- construction -------------------------------------------------------------

    def _new(self, value: ir.Value, dtype: str | None = None) -> Scalar:
        return Scalar(self.builder, value, dtype or self.dtype)

    def like(self, value: float) -> Scalar:
        """Return a constant of this dtype."""
        return constant(self.builder, value, self.dtype)

    # --- operators ----------------------------------------------------------------

    def _arithmetic(self, symbol: str, x: Scalar, y: Scalar) -> Scalar:
        name = _ARITHMETIC[symbol]
        if self.kind == "f":
            method: Callable[..., ir.Value] = getattr(self.builder, f"f{name}")
            return self._new(method(x.value, y.value, flags=FLAGS))
        return self._new(getattr(self.builder, name)(x.value, y.value))

    def __neg__(self) -> Scalar:
        method = self.builder.fneg if self.kind == "f" else self.builder.neg
        return self._new(method(self.value))

    def _compare(self, symbol: str, y: Scalar) -> Scalar:
        if self.kind == "f":
            # Unordered (true for NaN) for "not equal" alone, as IEEE 754 and NumPy.
            compare = (
                self.builder.fcmp_unordered
                if symbol == "!="
                else self.builder.fcmp_ordered
            )
        elif self.kind == "i":
            compare = self.builder.icmp_signed
        else:
            compare = self.builder.icmp_unsigned
        return self._new(compare(symbol, self.value, y.value), "bool")

    def _bitwise(self, symbol: str, y: Scalar) -> Scalar:
        name = "ashr" if (symbol, self.kind) == (">>", "i") else _BITWISE[symbol]
        return self._new(getattr(self.builder, name)(self.value, y.value))

    def __invert__(self) -> Scalar:
        return self._new(self.builder.not_(self.value))

    # --- conversion ---------------------------------------------------------------

    def view(self, dtype: str) -> Scalar:
        """Return the bit pattern read as another dtype of the same size."""
        return self._new(self.builder.bitcast(self.value, llvm_type(dtype)), dtype)

    def cast(self, dtype: str) -> Scalar:
        """Return the value converted to another dtype, as NumPy's astype does."""
        if dtype == self.dtype:
            return self
        if dtype == "bool":
            return self != 0
        target = np.dtype(dtype)
        method = _conversion(np.dtype(self.dtype), target)
        if method == "":
            return self._new(self.value, dtype)
        convert = getattr(self.builder, method)
        return self._new(convert(self.value, llvm_type(dtype)), dtype)

    # --- functions the machine has ------------------------------------------------

    def _choose(self, x: Scalar, y: Scalar) -> Scalar:
        return x._new(self.builder.select(self.value, x.value, y.value))

    def _intrinsic(self, name: str) -> Scalar:
        declared = self.builder.module.declare_intrinsic(name, [llvm_type(self.dtype)])
        return self._new(self.builder.call(declared, [self.value]))

    def floor(self) -> Scalar:
        """Return the largest integer not above."""
        return self._intrinsic("llvm.floor")

    def rint(self) -> Scalar:
        """Return the nearest integer, the even one at a tie."""
        return self._intrinsic("llvm.rint")

    def sqrt(self) -> Scalar:
        """Return the square root."""
        return self._intrinsic("llvm.sqrt")

    def absolute(self) -> Scalar:
        """Return the absolute value."""
        if self.kind == "f":
            return self._intrinsic("llvm.fabs")
        return self if self.kind in "ub" else (self < 0).select(-self, self)


def constant(builder: ir.IRBuilder, value: float, dtype: str) -> Scalar:
    """Return a typed constant."""
    kind = np.dtype(dtype).kind
    # Rounded to the dtype first: LLVM refuses a float constant it cannot represent.
    number = float(np.dtype(dtype).type(value)) if kind == "f" else int(value)
    return Scalar(builder, ir.Constant(llvm_type(dtype), number), dtype)


def _conversion(source: np.dtype[Any], target: np.dtype[Any]) -> str:
    """Return the instruction that converts, or "" if the bits are the same."""
    signed = source.kind == "i"
    if source.kind == "f" and target.kind == "f":
        return "fpext" if target.itemsize > source.itemsize else "fptrunc"
    if source.kind == "f":
        return "fptosi" if target.kind == "i" else "fptoui"
    if target.kind == "f":
        return "sitofp" if signed else "uitofp"
    bits = 1 if source.kind == "b" else 8 * source.itemsize
    if 8 * target.itemsize == bits:
        return ""
    if 8 * target.itemsize < bits:
        return "trunc"
    return "sext" if signed else "zext"
