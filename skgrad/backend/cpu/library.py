"""Instructions that are not kernels: moving rows, indexed access, scans, random bits.

Each is a function of the convention all kernels follow, ``kernel(pointers, sizes,
step)``; its docstring says which operands and sizes it takes. An index out of range
reads or writes nothing outside: it sets the status cell, and the run raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from skgrad.backend.cpu.scalar import Scalar, constant, llvm_type
from skgrad.backend.mathematics.preamble import philox_4x32

__all__ = ["LIBRARY"]

Builder: TypeAlias = ir.IRBuilder
_WORD = ir.IntType(32)
_BYTE = ir.IntType(8)
_POINTER = ir.PointerType()


def _at(b: Builder, pointer: ir.Value, index: ir.Value, dtype: str) -> Scalar:
    return load(b, element(b, pointer, index, in_memory(dtype)), dtype)


def _put(b: Builder, value: Scalar, pointer: ir.Value, index: ir.Value) -> None:
    store(b, value, element(b, pointer, index, in_memory(value.dtype)))


# --- moving bytes -----------------------------------------------------------------

# Rows are copied by the largest of these pieces that is not larger than a row, the
# last one overlapping the one before it: no remainder, and no loop for a row of one
# element. A call of memcpy takes 2 ns more for a row of 4 bytes, 1 ns more for 80.
_PIECES = (32, 8, 4, 1)  # bytes


def _by_pieces(
    b: Builder, n_bytes: ir.Value, copies: Callable[[int], None], pieces: Sequence[int]
) -> None:
    """Append copies by each size of piece; run those of the largest that fits."""
    if not pieces:
        return
    fits = b.icmp_signed(">=", n_bytes, integer(pieces[0]))
    with b.if_else(fits) as (large, small):
        with large:
            copies(pieces[0])
        with small:
            _by_pieces(b, n_bytes, copies, pieces[1:])


def _copy_by(
    b: Builder, source: ir.Value, target: ir.Value, n_bytes: ir.Value, size: int
) -> None:
    """Copy bytes, at least ``size`` of them, by pieces of that size."""
    kind = ir.VectorType(_BYTE, size)

    def piece(offset: ir.Value) -> None:
        word = b.load(element(b, source, offset, _BYTE), typ=kind, align=1)
        b.store(word, element(b, target, offset, _BYTE), align=1)

    last = b.sub(n_bytes, integer(size))
    n_before = b.udiv(b.add(last, integer(size - 1)), integer(size))
    with loop(b, n_before, width=1) as i:
        piece(b.mul(i, integer(size)))
    piece(last)


def _copy(
    b: Builder, x: ir.Value, out: ir.Value, n: ir.Value, pieces: Sequence[int] = _PIECES
) -> None:
    """Copy n bytes."""
    _by_pieces(b, n, lambda size: _copy_by(b, x, out, n, size), pieces)


def copy_rows() -> str:
    """Gather rows: pointers (source, indices, out), sizes (n_rows, row_bytes).

    Step t copies the rows ``indices[t * n_rows : (t + 1) * n_rows]``.
    """
    f = Function(3, 2)
    b, (source, indices, out), (n_rows, row_bytes) = f.builder, f.pointers, f.sizes
    first = b.mul(f.step, n_rows)

    def rows(size: int) -> None:
        with loop(b, n_rows, width=1) as r:
            row = b.load(element(b, indices, b.add(first, r), I64), typ=I64)
            start = element(b, source, b.mul(row, row_bytes), _BYTE)
            target = element(b, out, b.mul(r, row_bytes), _BYTE)
            _copy_by(b, start, target, row_bytes, size)

    _by_pieces(b, row_bytes, rows, _PIECES)
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
    with loop(b, f.sizes[0]) as i:  # LLVM makes it one memset
        b.store(ir.Constant(_BYTE, 0), element(b, f.pointers[0], i, _BYTE))
    return f.text()


# --- indexed access ---------------------------------------------------------------


def _position(
    b: Builder, index: Scalar, extent: ir.Value, status: ir.Value
) -> ir.Value:
    """Return an index counted from the start; out of range, set the status."""
    wide = index.cast("int64").value
    if index.kind == "i":  # an unsigned one beyond 2⁶³ does not count from the end
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
    itemsize = np.dtype(dtype).itemsize
    row_bytes = b.mul(inner, integer(itemsize))
    with loop(b, outer, width=1) as o, loop(b, n, width=1) as k:
        place = _position(b, _at(b, indices, k, index_dtype), extent, status)
        # With an axis of extent 0 there is nothing to read, in range or not.
        with b.if_then(b.icmp_signed(">", extent, integer(0))):
            source = b.mul(b.add(b.mul(o, extent), place), row_bytes)
            target = b.mul(b.add(b.mul(o, n), k), row_bytes)
            addresses = element(b, x, source, _BYTE), element(b, out, target, _BYTE)
            _copy(b, *addresses, row_bytes, (_PIECES[0], itemsize))
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
    with loop(b, outer, width=1) as o, loop(b, n, width=1) as k:
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


# Columns that are added up together, in one or two vector registers. The loop that LLVM
# vectorises, from row to row through memory, takes 120 ms to compile instead of 30 and
# four times as long for a single column (3.3 ns per element).
_COLUMNS = 8


def cumsum(dtype: str) -> str:
    """Add up as it goes: pointers (x, out), sizes (outer, n, inner, reverse)."""
    f = Function(2, 4)
    b, (outer, n, inner, reverse) = f.builder, f.sizes
    backwards = b.icmp_signed("!=", reverse, integer(0))
    start = b.select(backwards, b.sub(n, integer(1)), integer(0))
    forth = b.select(backwards, b.neg(inner), inner)
    n_wide, n_narrow = (op(inner, integer(_COLUMNS)) for op in (b.sdiv, b.srem))
    with loop(b, outer, width=1) as o:
        row = b.mul(b.add(b.mul(o, n), start), inner)
        with loop(b, n_wide, width=1) as c:
            _add_up(f, dtype, _COLUMNS, b.add(row, b.mul(c, integer(_COLUMNS))), forth)
        rest = b.add(row, b.mul(n_wide, integer(_COLUMNS)))
        with loop(b, n_narrow, width=1) as c:
            _add_up(f, dtype, 1, b.add(rest, c), forth)
    return f.text()


def _add_up(
    f: Function, dtype: str, width: int, first: ir.Value, forth: ir.Value
) -> None:
    """Add up columns that lie side by side, from one row to the next."""
    b, (x, out), n = f.builder, f.pointers, f.sizes[1]
    item, align = llvm_type(dtype), np.dtype(dtype).itemsize
    kind = ir.VectorType(item, width)
    with b.goto_entry_block():  # elsewhere it would take more stack at each turn
        total = b.alloca(kind)
    # The sum of nothing is -0.0: added to -0.0 it gives -0.0.
    nothing, add = (-0.0, b.fadd) if np.dtype(dtype).kind == "f" else (0, b.add)
    b.store(ir.Constant(kind, [nothing] * width), total)
    with loop(b, n, width=1) as k:
        at = b.add(first, b.mul(k, forth))
        here = b.load(element(b, x, at, item), typ=kind, align=align)
        following = add(b.load(total, typ=kind), here)
        b.store(following, total)
        b.store(following, element(b, out, at, item), align=align)


def argmax(dtype: str) -> str:
    """Find the first maximum: pointers (x, out), sizes (outer, n, inner).

    The first NaN is the maximum, as in NumPy.
    """
    f = Function(2, 3)
    b, (x, out) = f.builder, f.pointers
    outer, n, inner = f.sizes
    best = b.alloca(I64)
    with loop(b, outer, width=1) as o, loop(b, inner, width=1) as i:
        b.store(integer(0), best)
        start = b.add(b.mul(b.mul(o, n), inner), i)
        with loop(b, n, width=1) as k:
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

# Blocks of four words at once. LLVM's own choice, 16 and then 4 for what is left over,
# takes 80 ms to compile instead of 45, and 1.6 ns per element instead of 1.4 for rows
# of 100 elements.
_BLOCKS = 8


def random_bits() -> str:
    """Draw 24 random bits per element: pointers (key, step, rows, out).

    Sizes (n_rows, size, draw); as the reference backend, bit by bit.
    """
    f = Function(4, 3)
    b, (key, number, rows, out) = f.builder, f.pointers
    n_rows, size, draw = f.sizes
    keys = [_at(b, key, integer(i), "uint32") for i in (0, 1)]
    step, drawn = _at(b, number, integer(0), "int64"), Scalar(b, draw, "int64")
    four, spare = integer(4), b.bitcast(b.alloca(_WORD, 4), _POINTER)
    whole = b.sdiv(size, four)
    rest = b.sub(size, b.mul(whole, four))
    partial = b.zext(b.icmp_signed(">", rest, integer(0)), I64)
    with loop(b, n_rows, width=1) as r:
        row = _at(b, rows, r, "uint32")
        target = element(b, out, b.mul(r, size), _WORD)
        # Twice through one loop rather than two loops of a body this long: the whole
        # blocks of four, then a partial one, into memory of its own.
        with loop(b, integer(2), width=1) as turn:
            again = b.icmp_signed("!=", turn, integer(0))
            first = b.select(again, whole, integer(0))
            place = b.select(again, spare, target)
            with loop(b, b.select(again, partial, whole), _BLOCKS) as k:
                counter = (step, drawn, Scalar(b, b.add(first, k), "int64"), row)
                for j, word in enumerate(philox_4x32(counter, keys)):
                    _put(b, word >> 8, place, b.add(b.mul(k, four), integer(j)))
        with loop(b, rest, width=1) as j:
            _put(b, _at(b, spare, j, "uint32"), target, b.add(b.mul(whole, four), j))
    return f.text()


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
