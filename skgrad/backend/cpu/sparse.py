"""Products with a sparse matrix in compressed row format, of which rows are taken.

Each is a function ``kernel(pointers, sizes, step)``, as those of
:mod:`~skgrad.backend.cpu.library`, of the dtypes of the dense arrays, of the stored
elements and of the indices. Its pointers begin with data, indices, indptr and rows, its
sizes with the numbers of rows taken, of rows stored and of columns. A row or column out
of range reads and writes nothing outside: it sets the status cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import llvmlite.ir as ir

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

__all__ = ["SPARSE"]


class _Product:
    """A function over the elements of the rows taken, under construction."""

    def __init__(
        self, dtype: str, stored: str, index: str, n_pointers: int, n_sizes: int
    ) -> None:
        self.dtype, self.stored, self.index = dtype, stored, index
        self.function = Function(4 + n_pointers, 3 + n_sizes)
        self.b = self.function.builder
        self.matrix, self.dense = (
            self.function.pointers[:4],
            self.function.pointers[4:-1],
        )
        self.status = self.function.pointers[-1]
        self.n_rows, self.n_stored, self.n_columns, *self.sizes = self.function.sizes

    def at(self, pointer: ir.Value, index: ir.Value) -> Scalar:
        """Return an element of a dense array."""
        place = element(self.b, pointer, index, in_memory(self.dtype))
        return load(self.b, place, self.dtype)

    def put(self, value: Scalar, pointer: ir.Value, index: ir.Value) -> None:
        """Write an element of a dense array."""
        store(self.b, value, element(self.b, pointer, index, in_memory(self.dtype)))

    def add_to(self, value: Scalar, pointer: ir.Value, index: ir.Value) -> None:
        """Add to an element of a dense array."""
        self.put(self.at(pointer, index) + value, pointer, index)

    def clear(self, pointer: ir.Value, n: ir.Value) -> None:
        """Write zeros."""
        with loop(self.b, n) as i:  # LLVM makes it one memset
            self.put(constant(self.b, 0, self.dtype), pointer, i)

    def value(self, e: ir.Value) -> Scalar:
        """Return a stored element."""
        place = element(self.b, self.matrix[0], e, in_memory(self.stored))
        return load(self.b, place, self.stored).cast(self.dtype)

    def column(self, e: ir.Value) -> ir.Value:
        """Return the column of a stored element."""
        place = element(self.b, self.matrix[1], e, in_memory(self.index))
        wide = load(self.b, place, self.index).cast("int64").value
        return self._inside(wide, self.n_columns)

    def _inside(self, place: ir.Value, extent: ir.Value) -> ir.Value:
        outside = self.b.icmp_unsigned(">=", place, extent)
        with self.b.if_then(outside, likely=False):
            self.b.store(integer(1), self.status)
        return self.b.select(outside, integer(0), place)

    @contextmanager
    def rows(self) -> Iterator[tuple[ir.Value, ir.Value, ir.Value]]:
        """Loop over rows: their numbers, first elements and numbers of elements.

        Without a column there is nothing to read or write.
        """
        b, (_, _, indptr, rows) = self.b, self.matrix
        some = b.icmp_signed(">", self.n_columns, integer(0))
        with loop(b, b.select(some, self.n_rows, integer(0)), width=1) as r:
            row = b.load(element(b, rows, r, I64), typ=I64)
            row = self._inside(row, self.n_stored)
            ends = [
                load(b, element(b, indptr, at, in_memory(self.index)), self.index)
                for at in (row, b.add(row, integer(1)))
            ]
            first, last = (end.cast("int64").value for end in ends)
            yield r, first, b.sub(last, first)

    def text(self) -> str:
        return self.function.text()


def sparse_matmul(dtype: str, stored: str, index: str) -> str:
    """Multiply rows: pointers (matrix, B, out, status), sizes (..., k).

    B is (n_columns, k), out is (n_rows, k).
    """
    f = _Product(dtype, stored, index, n_pointers=3, n_sizes=1)
    b, (B, out), (k,) = f.b, f.dense, f.sizes
    with b.goto_entry_block():
        total = b.alloca(llvm_type(dtype))
    f.clear(out, b.mul(f.n_rows, k))
    single = b.icmp_signed("==", k, integer(1))
    with f.rows() as (r, first, n), b.if_else(single) as (one, many):
        with one:  # in a register: through memory each sum waits for the one before
            b.store(constant(b, 0, dtype).value, total)
            with loop(b, n, width=1) as i:
                e = b.add(first, i)
                before = Scalar(b, b.load(total, typ=llvm_type(dtype)), dtype)
                b.store((before + f.value(e) * f.at(B, f.column(e))).value, total)
            f.put(Scalar(b, b.load(total, typ=llvm_type(dtype)), dtype), out, r)
        with many, loop(b, n, width=1) as i:
            e = b.add(first, i)
            value, row, target = f.value(e), b.mul(f.column(e), k), b.mul(r, k)
            with loop(b, k) as j:
                f.add_to(value * f.at(B, b.add(row, j)), out, b.add(target, j))
    return f.text()


def sparse_matmul_transposed(dtype: str, stored: str, index: str) -> str:
    """Multiply the transpose: pointers (matrix, G, out, status), sizes (..., k).

    G is (n_rows, k), out is (n_columns, k). Added in the order of the rows.
    """
    f = _Product(dtype, stored, index, n_pointers=3, n_sizes=1)
    b, (G, out), (k,) = f.b, f.dense, f.sizes
    f.clear(out, b.mul(f.n_columns, k))
    single = b.icmp_signed("==", k, integer(1))
    with f.rows() as (r, first, n), b.if_else(single) as (one, many):
        with one:  # half the time of a loop of one turn
            g = f.at(G, r)
            with loop(b, n, width=1) as i:
                e = b.add(first, i)
                f.add_to(f.value(e) * g, out, f.column(e))
        with many, loop(b, n, width=1) as i:
            e = b.add(first, i)
            value, target, row = f.value(e), b.mul(f.column(e), k), b.mul(r, k)
            with loop(b, k) as j:
                f.add_to(value * f.at(G, b.add(row, j)), out, b.add(target, j))
    return f.text()


def sparse_gram(dtype: str, stored: str, index: str) -> str:
    """Add up products of pairs: pointers (matrix, w, out, status), sizes (...).

    w is (n_rows,), out is (n_columns, n_columns). As columns ascend in a row, what is
    added is on and above the diagonal; the rest is copied from there.
    """
    f = _Product(dtype, stored, index, n_pointers=3, n_sizes=0)
    b, (w, out), p = f.b, f.dense, f.n_columns
    f.clear(out, b.mul(p, p))
    with f.rows() as (r, first, n):
        weight, end = f.at(w, r), b.add(first, n)
        with loop(b, n, width=1) as i:
            e = b.add(first, i)
            value, row = f.value(e) * weight, b.mul(f.column(e), p)
            with loop(b, b.sub(end, e), width=1) as j:
                other = b.add(e, j)
                place = b.add(row, f.column(other))
                f.add_to(value * f.value(other), out, place)
    with loop(b, p, width=1) as i, loop(b, i, width=1) as j:
        above = f.at(out, b.add(b.mul(j, p), i))
        f.put(above, out, b.add(b.mul(i, p), j))
    return f.text()


SPARSE: dict[str, Callable[..., str]] = {
    f.__name__: f for f in (sparse_gram, sparse_matmul, sparse_matmul_transposed)
}
"""Sources by name; they take the dtypes of dense, stored elements and indices."""
