"""Arrays with the protocol of Number, and loops compiled around functions of Numbers.

The first evaluates the mathematics of the kernels without a compiler and without
multiply-adds, the second with both.
"""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.ir as ir
import numpy as np

from skgrad.backend.cpu.engine import compiled, loaded
from skgrad.backend.cpu.scalar import Scalar, llvm_type


class ArrayNumber:
    """An array of at least one dimension that follows the rules of Scalar."""

    def __init__(self, array: Any) -> None:
        self.array = np.atleast_1d(array)
        self.dtype = str(self.array.dtype)

    def like(self, value: float) -> ArrayNumber:
        return ArrayNumber(np.full_like(self.array, value))

    def _binary(
        self, other: Any, function: Callable[..., Any], swapped: bool = False
    ) -> ArrayNumber:
        y = other if isinstance(other, ArrayNumber) else self.like(other)
        if y.dtype != self.dtype:
            raise TypeError(f"operands of {self.dtype} and {y.dtype}")
        pair = (y.array, self.array) if swapped else (self.array, y.array)
        with np.errstate(all="ignore"):
            return ArrayNumber(function(*pair))

    def __add__(self, other: Any) -> ArrayNumber:
        return self._binary(other, operator.add)

    __radd__ = __add__

    def __sub__(self, other: Any) -> ArrayNumber:
        return self._binary(other, operator.sub)

    def __rsub__(self, other: Any) -> ArrayNumber:
        return self._binary(other, operator.sub, swapped=True)

    def __mul__(self, other: Any) -> ArrayNumber:
        return self._binary(other, operator.mul)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> ArrayNumber:
        return self._binary(other, operator.truediv)

    def __rtruediv__(self, other: Any) -> ArrayNumber:
        return self._binary(other, operator.truediv, swapped=True)

    def __and__(self, other: Any) -> ArrayNumber:
        return self._binary(other, operator.and_)

    def __or__(self, other: Any) -> ArrayNumber:
        return self._binary(other, operator.or_)

    def __xor__(self, other: Any) -> ArrayNumber:
        return self._binary(other, operator.xor)

    def __lshift__(self, other: Any) -> ArrayNumber:
        return self._shift(other, operator.lshift)

    def __rshift__(self, other: Any) -> ArrayNumber:
        return self._shift(other, operator.rshift)

    def _shift(self, other: Any, function: Callable[..., Any]) -> ArrayNumber:
        # A shift by the width or more is undefined in LLVM and not in NumPy.
        count = other.array if isinstance(other, ArrayNumber) else np.asarray(other)
        assert (count >= 0).all()
        assert (count < 8 * self.array.itemsize).all()
        return self._binary(other, function)

    def __lt__(self, other: Any) -> ArrayNumber:
        return self._binary(other, operator.lt)

    def __le__(self, other: Any) -> ArrayNumber:
        return self._binary(other, operator.le)

    def __gt__(self, other: Any) -> ArrayNumber:
        return self._binary(other, operator.gt)

    def __ge__(self, other: Any) -> ArrayNumber:
        return self._binary(other, operator.ge)

    def __eq__(self, other: Any) -> ArrayNumber:  # type: ignore[override]
        return self._binary(other, operator.eq)

    def __ne__(self, other: Any) -> ArrayNumber:  # type: ignore[override]
        return self._binary(other, operator.ne)

    __hash__ = None  # type: ignore[assignment]

    def __neg__(self) -> ArrayNumber:
        return ArrayNumber(-self.array)

    def __invert__(self) -> ArrayNumber:
        return ArrayNumber(~self.array)

    def cast(self, dtype: str) -> ArrayNumber:
        return ArrayNumber(self.array.astype(dtype))

    def view(self, dtype: str) -> ArrayNumber:
        assert np.dtype(dtype).itemsize == self.array.itemsize
        return ArrayNumber(self.array.view(dtype))

    def select(self, x: Any, y: Any) -> ArrayNumber:
        assert self.dtype == "bool"
        typed = x if isinstance(x, ArrayNumber) else y
        x, y = (v if isinstance(v, ArrayNumber) else typed.like(v) for v in (x, y))
        assert x.dtype == y.dtype
        return ArrayNumber(np.where(self.array, x.array, y.array))

    def floor(self) -> ArrayNumber:
        return ArrayNumber(np.floor(self.array))

    def rint(self) -> ArrayNumber:
        return ArrayNumber(np.rint(self.array))

    def sqrt(self) -> ArrayNumber:
        with np.errstate(all="ignore"):
            return ArrayNumber(np.sqrt(self.array))

    def absolute(self) -> ArrayNumber:
        return ArrayNumber(np.abs(self.array))


def evaluated(function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    """Return the arrays of a function's results, computed by NumPy."""
    result = function(*(ArrayNumber(a) for a in arrays))
    if isinstance(result, ArrayNumber):
        return result.array
    return tuple(r.array for r in result)


def loop_source(
    function: Callable[..., Any], inputs: Sequence[str], outputs: Sequence[str]
) -> str:
    """Return the IR of ``kernel(size, *inputs, *outputs)`` over contiguous arrays."""
    size, pointer = ir.IntType(64), ir.PointerType()
    module = ir.Module("loop")
    dtypes = (*inputs, *outputs)
    kind = ir.FunctionType(ir.VoidType(), [size, *(pointer for _ in dtypes)])
    kernel = ir.Function(module, kind, "kernel")
    for argument in kernel.args[1:]:
        argument.add_attribute("noalias")
    entry, loop, done = (kernel.append_basic_block(s) for s in ("entry", "loop", "end"))
    start = ir.IRBuilder(entry)
    start.cbranch(
        start.icmp_signed(">", kernel.args[0], ir.Constant(size, 0)), loop, done
    )
    builder = ir.IRBuilder(loop)
    i = builder.phi(size)
    i.add_incoming(ir.Constant(size, 0), entry)
    places = [
        builder.gep(p, [i], source_etype=_stored(d))
        for p, d in zip(kernel.args[1:], dtypes, strict=True)
    ]
    values = [
        _loaded(builder, p, d)
        for p, d in zip(places[: len(inputs)], inputs, strict=True)
    ]
    results = function(*values)
    results = results if isinstance(results, tuple) else (results,)
    for result, p, d in zip(results, places[len(inputs) :], outputs, strict=True):
        assert result.dtype == d, (result.dtype, d)
        value = builder.zext(result.value, _stored(d)) if d == "bool" else result.value
        builder.store(value, p)
    after = builder.add(i, ir.Constant(size, 1))
    i.add_incoming(after, loop)
    builder.cbranch(builder.icmp_signed("<", after, kernel.args[0]), loop, done)
    ir.IRBuilder(done).ret_void()
    return str(module)


def _stored(dtype: str) -> ir.Type:
    return ir.IntType(8) if dtype == "bool" else llvm_type(dtype)


def _loaded(builder: ir.IRBuilder, pointer: ir.Value, dtype: str) -> Scalar:
    value = builder.load(pointer, typ=_stored(dtype))
    if dtype == "bool":
        value = builder.icmp_unsigned("!=", value, ir.Constant(ir.IntType(8), 0))
    return Scalar(builder, value, dtype)


def kernel(
    function: Callable[..., Any], inputs: Sequence[str], outputs: Sequence[str]
) -> Callable[..., None]:
    """Return ``f(size, *addresses)``, compiled."""
    address = loaded(compiled(loop_source(function, inputs, outputs)), "kernel")
    n = len(inputs) + len(outputs)
    return ctypes.CFUNCTYPE(None, ctypes.c_int64, *[ctypes.c_void_p] * n)(address)


def loop(
    function: Callable[..., Any], inputs: Sequence[str], outputs: Sequence[str]
) -> Callable[..., None]:
    """Return ``f(*inputs, *outputs)`` of contiguous arrays of one size, compiled."""
    compiled_loop = kernel(function, inputs, outputs)

    def call(*arrays: np.ndarray) -> None:
        compiled_loop(arrays[0].size, *(a.ctypes.data for a in arrays))

    return call
