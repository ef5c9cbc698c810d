"""Instructions that are not kernels: moving rows, indexed access, scans, random bits.

Each is a function of the convention all kernels follow, ``kernel(pointers, sizes,
step)``; its docstring says which operands and sizes it takes. An index out of range
reads or writes nothing outside: it sets the status cell, and the run raises.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import llvmlite.ir as ir
import numpy as np

from skgrad.backend.cpu.loops import (
    I64,
    Function,
    element,
    in_memory,
    integer,
    load,
    loop,
    store,
)
from skgrad.backend.cpu.mathematics import philox_4x32
from skgrad.backend.cpu.scalar import Scalar, constant, llvm_type

__all__ = ["LIBRARY", "blas_pointer"]

Builder: TypeAlias = ir.IRBuilder
_WORD = ir.IntType(32)
_BYTE = ir.IntType(8)


def _at(b: Builder, pointer: ir.Value, index: ir.Value, dtype: str) -> Scalar:
    return load(b, element(b, pointer, index, in_memory(dtype)), dtype)


def _put(b: Builder, value: Scalar, pointer: ir.Value, index: ir.Value) -> None:
    store(b, value, element(b, pointer, index, in_memory(value.dtype)))


# --- moving bytes -----------------------------------------------------------------


def _copy(b: Builder, source: ir.Value, target: ir.Value, n_bytes: ir.Value) -> None:
    """Copy bytes in a loop, by words if there are only whole ones."""
    # A loop beats a call of memcpy for the few dozen bytes of a row.
    partial = b.icmp_signed("!=", b.and_(n_bytes, integer(3)), integer(0))
    with b.if_else(partial) as (bytewise, wordwise):
        for way, kind, size in ((bytewise, _BYTE, 1), (wordwise, _WORD, 4)):
            with way, loop(b, b.sdiv(n_bytes, integer(size))) as i:
                word = b.load(element(b, source, i, kind), typ=kind)
                b.store(word, element(b, target, i, kind))


def copy_rows() -> str:
    """Gather rows: pointers (source, indices, out), sizes (n_rows, row_bytes).

    Step t copies the rows ``indices[t * n_rows : (t + 1) * n_rows]``.
    """
    f = Function(3, 2)
    b, (source, indices, out), (n_rows, row_bytes) = f.builder, f.pointers, f.sizes
    first = b.mul(f.step, n_rows)
    one_word = b.icmp_signed("==", row_bytes, integer(4))
    with b.if_else(one_word) as (single, several):
        with single, loop(b, n_rows) as r:
            row = b.load(element(b, indices, b.add(first, r), I64), typ=I64)
            word = b.load(element(b, source, row, _WORD), typ=_WORD)
            b.store(word, element(b, out, r, _WORD))
        with several, loop(b, n_rows) as r:
            row = b.load(element(b, indices, b.add(first, r), I64), typ=I64)
            start = element(b, source, b.mul(row, row_bytes), _BYTE)
            _copy(b, start, element(b, out, b.mul(r, row_bytes), _BYTE), row_bytes)
    return f.text()


def read_table() -> str:
    """Fetch the row of the step: pointers (table, out), sizes (row_bytes,)."""
    f = Function(2, 1)
    b, (table, out), (n_bytes,) = f.builder, f.pointers, f.sizes
    _copy(b, element(b, table, b.mul(f.step, n_bytes), _BYTE), out, n_bytes)
    return f.text()


def write_table() -> str:
    """Store the row of the step: pointers (value, table), sizes (row_bytes,)."""
    f = Function(2, 1)
    b, (value, table), (n_bytes,) = f.builder, f.pointers, f.sizes
    _copy(b, value, element(b, table, b.mul(f.step, n_bytes), _BYTE), n_bytes)
    return f.text()


def fill_zero() -> str:
    """Write zeros: pointers (out,), sizes (n_bytes,)."""
    f = Function(1, 1)
    b = f.builder
    with loop(b, f.sizes[0]) as i:
        b.store(ir.Constant(_BYTE, 0), element(b, f.pointers[0], i, _BYTE))
    return f.text()


# --- indexed access ---------------------------------------------------------------


def _position(
    b: Builder, index: Scalar, extent: ir.Value, status: ir.Value
) -> ir.Value:
    """Return an index counted from the start; out of range, set the status."""
    wide = index.cast("int64").value
    below = b.icmp_signed("<", wide, integer(0))
    wide = b.select(below, b.add(wide, extent), wide)
    outside = b.icmp_unsigned(">=", wide, extent)
    with b.if_then(outside, likely=False):
        b.store(integer(1), status)
    return b.select(outside, integer(0), wide)


def take(dtype: str, index_dtype: str) -> str:
    """Gather along an axis: pointers (x, indices, out, status).

    Sizes (outer, n_axis, inner, n_indices); x is (outer, n_axis, inner), out is
    (outer, n_indices, inner).
    """
    f = Function(4, 4)
    b, (x, indices, out, status) = f.builder, f.pointers
    outer, extent, inner, n = f.sizes
    with loop(b, outer) as o, loop(b, n) as k:
        place = _position(b, _at(b, indices, k, index_dtype), extent, status)
        # With an axis of extent 0 there is nothing to read, in range or not.
        with b.if_then(b.icmp_signed(">", extent, integer(0))):
            source = b.mul(b.add(b.mul(o, extent), place), inner)
            target = b.mul(b.add(b.mul(o, n), k), inner)
            with loop(b, inner) as i:
                _put(b, _at(b, x, b.add(source, i), dtype), out, b.add(target, i))
    return f.text()


def scatter_add(dtype: str, index_dtype: str) -> str:
    """Add into zeros along an axis: pointers (x, indices, out, status).

    Sizes (outer, size, inner, n_indices); x is (outer, n_indices, inner), out is
    (outer, size, inner). Added in the order of the indices.
    """
    f = Function(4, 4)
    b, (x, indices, out, status) = f.builder, f.pointers
    outer, size, inner, n = f.sizes
    with loop(b, b.mul(outer, b.mul(size, inner))) as i:
        _put(b, constant(b, 0, dtype), out, i)
    with loop(b, outer) as o, loop(b, n) as k:
        place = _position(b, _at(b, indices, k, index_dtype), size, status)
        with b.if_then(b.icmp_signed(">", size, integer(0))):
            target = b.mul(b.add(b.mul(o, size), place), inner)
            source = b.mul(b.add(b.mul(o, n), k), inner)
            with loop(b, inner) as i:
                to = b.add(target, i)
                total = _at(b, out, to, dtype) + _at(b, x, b.add(source, i), dtype)
                _put(b, total, out, to)
    return f.text()


# --- scans ------------------------------------------------------------------------


def cumsum(dtype: str) -> str:
    """Add up as it goes: pointers (x, out), sizes (outer, n, inner, reverse)."""
    f = Function(2, 4)
    b, (x, out) = f.builder, f.pointers
    outer, n, inner, reverse = f.sizes
    backwards = b.icmp_signed("!=", reverse, integer(0))
    last = b.sub(n, integer(1))
    with loop(b, outer) as o, loop(b, n) as k:
        place = b.select(backwards, b.sub(last, k), k)
        before = b.select(backwards, b.add(place, integer(1)), b.sub(place, integer(1)))
        row = b.mul(b.add(b.mul(o, n), place), inner)
        first = b.icmp_signed("==", k, integer(0))
        with b.if_else(first) as (start, further):
            with start, loop(b, inner) as i:
                at = b.add(row, i)
                _put(b, _at(b, x, at, dtype), out, at)
            with further:
                sums = b.mul(b.add(b.mul(o, n), before), inner)
                with loop(b, inner) as i:
                    at = b.add(row, i)
                    total = _at(b, out, b.add(sums, i), dtype) + _at(b, x, at, dtype)
                    _put(b, total, out, at)
    return f.text()


def argmax(dtype: str) -> str:
    """Find the first maximum: pointers (x, out), sizes (outer, n, inner).

    The first NaN is the maximum, as in NumPy.
    """
    f = Function(2, 3)
    b, (x, out) = f.builder, f.pointers
    outer, n, inner = f.sizes
    best = b.alloca(I64)
    with loop(b, outer) as o, loop(b, inner) as i:
        b.store(integer(0), best)
        start = b.add(b.mul(b.mul(o, n), inner), i)
        with loop(b, n) as k:
            value = _at(b, x, b.add(start, b.mul(k, inner)), dtype)
            known = b.load(best, typ=I64)
            top = _at(b, x, b.add(start, b.mul(known, inner)), dtype)
            wins = value > top
            if np.dtype(dtype).kind == "f":
                wins = wins | ((value != value) & (top == top))
            b.store(b.select(wins.value, k, known), best)
        b.store(b.load(best, typ=I64), element(b, out, b.add(b.mul(o, inner), i), I64))
    return f.text()


# --- random bits ------------------------------------------------------------------


def random_bits() -> str:
    """Draw 24 random bits per element: pointers (key, step, rows, out).

    Sizes (n_rows, size, draw); as the reference backend, bit by bit.
    """
    f = Function(4, 3)
    b, (key, number, rows, out) = f.builder, f.pointers
    n_rows, size, draw = f.sizes
    keys = [_at(b, key, integer(i), "uint32") for i in (0, 1)]
    step = _at(b, number, integer(0), "int64").cast("uint32")
    draw32 = Scalar(b, b.trunc(draw, _WORD), "uint32")
    with loop(b, n_rows) as r:
        row = _at(b, rows, r, "uint32")
        start = b.mul(r, size)
        whole = b.sdiv(size, integer(4))
        with loop(b, whole) as k:
            for j, word in enumerate(_words(b, k, (step, draw32, row), keys)):
                place = b.add(start, b.add(b.mul(k, integer(4)), integer(j)))
                _put(b, word >> 8, out, place)
        rest = b.sub(size, b.mul(whole, integer(4)))
        for j, word in enumerate(_words(b, whole, (step, draw32, row), keys)):
            with b.if_then(b.icmp_signed("<", integer(j), rest)):
                place = b.add(start, b.add(b.mul(whole, integer(4)), integer(j)))
                _put(b, word >> 8, out, place)
    return f.text()


def _words(
    b: Builder, block: ir.Value, counter: tuple[Scalar, ...], keys: list[Scalar]
) -> tuple[Scalar, ...]:
    step, draw, row = counter
    number = Scalar(b, b.trunc(block, _WORD), "uint32")
    return tuple(philox_4x32((step, draw, number, row), keys))


# --- products ---------------------------------------------------------------------


def blas_gemm(dtype: str) -> str:
    """Multiply matrices by BLAS: pointers (A, B, C, function).

    ``C = op(A) op(B)`` for row-major matrices, `batch` times. Sizes (m, n, k, lda, ldb,
    ldc, transposed A, transposed B, batch, strides of A, B and C in elements). The
    function is Fortran's ``gemm``, which sees the transposes of row-major matrices:
    it is asked for ``Cᵀ = op(B)ᵀ op(A)ᵀ``.
    """
    f = Function(4, 12)
    b, (x, y, out, gemm) = f.builder, f.pointers
    kind = llvm_type(dtype)
    m, n, k, lda, ldb, ldc, ta, tb, batch, *strides = f.sizes

    def cell(value: ir.Value) -> ir.Value:
        where = b.alloca(value.type)
        b.store(value, where)
        return where

    def letter(flag: ir.Value) -> ir.Value:
        no, yes = (ir.Constant(_BYTE, ord(c)) for c in "NT")
        return cell(b.select(b.icmp_signed("!=", flag, integer(0)), yes, no))

    ints = [cell(b.trunc(v, _WORD)) for v in (n, m, k, ldb, lda, ldc)]
    cells = [letter(tb), letter(ta)]
    one, zero = (cell(ir.Constant(kind, v)) for v in (1.0, 0.0))
    signature = ir.FunctionType(ir.VoidType(), [ir.PointerType()] * 13)
    some = b.icmp_signed(">", b.mul(m, n), integer(0))
    with b.if_then(some), loop(b, batch) as i:
        a, c, d = (
            element(b, p, b.mul(i, s), kind)
            for p, s in zip((x, y, out), strides, strict=True)
        )
        arguments = [*cells, *ints[:3], one, c, ints[3], a, ints[4], zero, d, ints[5]]
        address = b.ptrtoint(gemm, I64)  # a pointer alone has no signature to call
        b.call(b.inttoptr(address, signature.as_pointer()), arguments)
    return f.text()


@cache
def blas_pointer(dtype: str) -> int:
    """Return the address of SciPy's ``gemm`` for a dtype.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Of the matrices.

    Returns
    -------
    int
        Address of a function with Fortran's arguments and 32-bit integers.

    Examples
    --------
    >>> from skgrad.backend.cpu.library import blas_pointer
    >>> blas_pointer("float64") > 0
    True
    """
    from scipy.linalg import cython_blas  # noqa: PLC0415 - heavy

    name = {"float32": "sgemm", "float64": "dgemm"}[dtype]
    capsule = cython_blas.__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return int(api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule)))


LIBRARY: dict[str, Callable[..., str]] = {
    f.__name__: f
    for f in (
        argmax,
        blas_gemm,
        copy_rows,
        cumsum,
        fill_zero,
        random_bits,
        read_table,
        scatter_add,
        take,
        write_table,
    )
}
"""Sources by name; they take the dtypes the instruction needs."""
