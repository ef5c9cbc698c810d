"""Matrix products of our own, for the small and thin ones of minibatch training.

A BLAS is written for large matrices. With a few dozen columns or an inner extent of a
thousand it packs both factors, or pads a narrow result to its own tile, and most of its
work is not the product. The kernel here is the textbook one, laid out for thin factors:

- The result is computed in *panels* of one to three vectors of columns. A tile of rows
  times one panel stays in registers while the inner extent runs: each step loads the
  panel's vectors, broadcasts one number per row, and multiplies and adds.
- The factor read by broadcast is read where it lies, whatever its strides. The factor
  read by vectors is read where it lies if its rows run along the vectors, otherwise
  one panel at a time is transposed into the workspace.
- Nothing is padded, for widths of 10, 20 and 100 are the rule here: lanes beyond the
  last column are masked where masks are free, otherwise the last vector begins earlier.
- The transpose of a product is the product of the transposes in reverse order, so
  either extent of the result may lie along the vectors. A transposed result is gathered
  in the workspace, panel by panel, and transposed into place.
- A result of two or three columns fills no vector. Where both factors are contiguous
  along the inner extent, it is computed as dot products.

Which of these is used follows from the extents and the strides, by a count of
instructions in :func:`sizes`. Strides are arguments, so one function per dtype serves
all sizes and transpositions.
"""

from __future__ import annotations

from dataclasses import fields

import llvmlite.ir as ir
import numpy as np

from skgrad.backend.cpu.gemm_code import I64, POINTER, constant, smaller
from skgrad.backend.cpu.gemm_plan import (
    DOT_COLUMNS,
    Plan,
    check_dtype,
    checked,
    host,
)
from skgrad.backend.cpu.gemm_tiles import Tiles

__all__ = ["prefers_own", "sizes", "source", "workspace_bytes"]

# The product of extents up to which OpenBLAS has kernels that do not pack, with AVX-512
# (kernel/x86_64/sgemm_small_kernel_permit_skylakex.c).
SMALL = 10**6
# Bytes of both factors of A transposed times B that were never slower than BLAS.
CACHE = 3 * 2**20
THIN = 256  # one extent no longer than this leaves a BLAS little to block
# The same on 16 registers, where a tile reads more for each result: 450 products of
# each dtype on a Zen 3 beside OpenBLAS 0.3.30, which packs everything there.
NARROW = 64
# Where they want blocking: long dot products of many rows; wide results, where all
# three matrices have so many bytes and no extent is so short that little is read often.
LONG, LONG_ROWS = 1024, 32
WIDE, LARGE, SHORT = 4096, 5 * 2**20, 16


class _Kernel(Tiles):
    """Writes the product of any two matrices of one dtype."""

    def write(self) -> str:
        copy = self.transpose(self.copy())
        ways = [self._panels(copy)]
        if self.lanes >= 4:
            ways.append(self._columns())
        f, b = self.function("kernel", [POINTER, POINTER, I64], internal=False)
        pointers, table, _ = f.args
        a, v, c, workspace = (
            b.load(b.gep(pointers, [constant(i)], source_etype=POINTER), typ=POINTER)
            for i in range(4)
        )
        rows, *numbers, swapped, dots, chunk = (
            b.load(b.gep(table, [constant(i)], source_etype=I64), typ=I64)
            for i in range(len(fields(Plan)))
        )
        swap = b.icmp_signed("!=", swapped, constant(0))
        s, v = b.select(swap, v, a), b.select(swap, a, v)
        way = b.add(dots, constant(1))
        s_row, c_row = numbers[2], numbers[6]
        place = b.alloca(I64)
        b.store(constant(0), place)
        with self.until(b, place, rows) as i:
            count = smaller(b, b.sub(rows, i), chunk)
            left = self.at(b, s, b.mul(i, s_row))
            out = self.at(b, c, b.mul(i, c_row))
            values = [left, v, out, workspace, count, *numbers]
            self.choose(b, way, ways, values)
            b.store(b.add(i, chunk), place)
        b.ret_void()
        return str(self.module)

    def _columns(self) -> ir.Function:
        """Write the product as dot products, up to three columns at a time."""
        ways = [self.dots(n) for n in range(1, DOT_COLUMNS + 1)]
        f, b = self.function("columns", [POINTER] * 4 + [I64] * 9)
        s, v, c, _, rows, columns, depth, s_row, _, _, v_column, c_row, c_column = (
            f.args
        )
        place = b.alloca(I64)
        b.store(constant(0), place)
        with self.until(b, place, columns) as j:
            n = self.groups(b, b.sub(columns, j), DOT_COLUMNS)
            right = self.at(b, v, b.mul(j, v_column))
            out = self.at(b, c, b.mul(j, c_column))
            values = [rows, depth, s, s_row, right, v_column, out, c_row, c_column]
            self.choose(b, n, ways, values)
            b.store(b.add(j, n), place)
        b.ret_void()
        return f

    def _panels(self, transpose: ir.Function) -> ir.Function:
        """Write the product panel by panel, so many inner steps at a time.

        The steps are the outer loop: what a few of them read of both factors stays in
        the cache for all panels.
        """
        free, ways = self.machine.free_masks, self.panels()
        f, b = self.function("panels", [POINTER] * 4 + [I64] * 9)
        s, v, c, workspace, rows, columns, depth, *strides = f.args
        s_row, s_depth, v_depth, v_column, c_row, c_column = strides
        lanes, most = constant(self.lanes), constant(self.machine.depth)
        turned = b.icmp_signed("!=", c_column, constant(1))
        gathered = b.mul(rows, self.padded(b, columns))
        packed = self.at(b, workspace, b.select(turned, gathered, constant(0)))
        # One round without a step writes the zeros of an empty inner extent.
        rounds = b.select(b.icmp_signed(">", depth, constant(0)), depth, constant(1))
        place = b.alloca(I64)
        with self.loop(b, rounds, self.machine.depth) as k:
            steps = smaller(b, b.sub(depth, k), most)
            s_at = self.at(b, s, b.mul(k, s_depth))
            add = b.icmp_signed(">", k, constant(0))
            last = b.icmp_signed(">=", b.add(k, most), depth)
            b.store(constant(0), place)
            with self.until(b, place, columns) as done:
                j, n, way = self.panel(b, done, columns)
                pitch = b.mul(n, lanes)
                width = smaller(b, b.sub(columns, j), pitch)
                final = b.sub(width, b.sub(pitch, lanes))
                target = self.at(b, c, b.mul(j, c_column))
                gather = self.at(b, workspace, b.mul(done, rows))
                out = b.select(turned, gather, target)
                out_row = b.select(turned, pitch, c_row)
                direct = b.icmp_signed("==", v_column, constant(1))
                if not self.machine.masks:
                    whole = b.icmp_signed("==", final, lanes)
                    direct = b.and_(direct, whole)
                right = self.at(b, v, b.mul(j, v_column), b.mul(k, v_depth))
                with b.if_then(b.not_(direct)):
                    self._clear(b, packed, pitch, steps)
                    values = [right, v_column, v_depth, packed, pitch, width, steps]
                    b.call(transpose, values)
                right = b.select(direct, right, packed)
                right_row = b.select(direct, v_depth, pitch)
                if not free:
                    # What the panel before has added must not be added again.
                    again = b.select(turned, constant(0), b.sub(done, j))
                    final = b.sub(final, again)
                values = [rows, steps, s_at, s_row, s_depth, right, right_row]
                self.choose(b, way, ways, [*values, out, out_row, final, add])
                with b.if_then(b.and_(turned, last)):
                    values = [gather, pitch, constant(1), target, c_column, rows, width]
                    b.call(transpose, values)
                b.store(b.add(done, pitch), place)
        b.ret_void()
        return f

    def _clear(
        self, b: ir.IRBuilder, packed: ir.Value, pitch: ir.Value, steps: ir.Value
    ) -> None:
        """Write zeros to the last vectors of a panel, where they are read unmasked."""
        if self.machine.masks:
            return
        final = b.sub(pitch, constant(self.lanes))
        with self.loop(b, steps) as i:
            where = self.at(b, packed, b.mul(i, pitch), final)
            self.store(b, ir.Constant(self.vector, None), where)


# --- what the caller uses -------------------------------------------------------------


def source(dtype: str) -> str:
    """Return the LLVM IR of the product ``C = A B`` for this machine.

    The function ``kernel(pointers, sizes, step)`` has ``pointers`` to A, B, C and a
    workspace aligned to 64 bytes; ``sizes`` are those of :func:`sizes`; ``step`` is not
    used. C is overwritten and may overlap neither factor; what lies between its
    rows is not touched. Sums are taken in the dtype, in blocks of 512 inner steps.
    Zeros are multiplied like other numbers, so NaN and infinity propagate.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Of all three matrices.

    Returns
    -------
    str
        A module in LLVM's assembly language.

    Raises
    ------
    ValueError
        If the dtype is another.

    Examples
    --------
    >>> from skgrad.backend.cpu.gemm import source
    >>> "double" in source("float32")
    False
    """
    check_dtype(dtype)
    return _Kernel(dtype, host()).write()


def sizes(
    dtype: str,
    m: int,
    n: int,
    k: int,
    trans_a: bool = False,
    trans_b: bool = False,
    lda: int | None = None,
    ldb: int | None = None,
    ldc: int | None = None,
) -> tuple[int, ...]:
    """Return the table of sizes of one product, and with it how it is computed.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Of all three matrices.
    m, n, k : int
        Extents: the product is ``(m, k)`` times ``(k, n)``. Any may be 0.
    trans_a, trans_b : bool, default=False
        Whether the factor is stored transposed: A as ``(k, m)``, B as ``(n, k)``.
    lda, ldb, ldc : int, default=None
        Numbers from one stored row to the next; None: rows without gaps.

    Returns
    -------
    tuple of int
        The twelve numbers that ``kernel`` reads as ``sizes``.

    Raises
    ------
    ValueError
        If the dtype is another, an extent is negative or rows overlap.

    Examples
    --------
    >>> from skgrad.backend.cpu.gemm import sizes
    >>> sizes("float32", 32, 64, 20, trans_b=True)[:3]
    (32, 64, 20)
    """
    return checked(dtype, (m, n, k), (trans_a, trans_b), (lda, ldb, ldc)).table()


def workspace_bytes(
    dtype: str,
    m: int,
    n: int,
    k: int,
    trans_a: bool = False,
    trans_b: bool = False,
    lda: int | None = None,
    ldb: int | None = None,
    ldc: int | None = None,
) -> int:
    """Return the size of the workspace of one product.

    Parameters
    ----------
    dtype, m, n, k, trans_a, trans_b, lda, ldb, ldc
        As in :func:`sizes`, and the same as there.

    Returns
    -------
    int
        In bytes; 0 if the product needs none.

    Raises
    ------
    ValueError
        As in :func:`sizes`.

    Examples
    --------
    >>> from skgrad.backend.cpu.gemm import workspace_bytes
    >>> workspace_bytes("float32", 32, 64, 2)
    0
    """
    plan = checked(dtype, (m, n, k), (trans_a, trans_b), (lda, ldb, ldc))
    machine = host()
    lanes = machine.lanes(dtype)
    vectors = 0
    if plan.c_column != 1 and not plan.dots:
        vectors += min(plan.rows, plan.chunk) * -(-plan.columns // lanes)
    if plan.packs(machine, lanes):
        vectors += min(plan.depth, machine.depth) * machine.panel
    return vectors * machine.vector_bytes


def prefers_own(
    dtype: str,
    m: int,
    n: int,
    k: int,
    trans_a: bool = False,
    trans_b: bool = False,
) -> bool:
    """Return whether this product is better computed here than by BLAS.

    - A times B transposed (forward): yes, if one extent is at most 256.
    - B in rows (backward), with AVX-512: only if ``m n k`` is above a million; below,
      OpenBLAS does not pack either and the two are level. Above, A times B (to the
      inputs) again if one extent is at most 256, and A transposed times B (to the
      weights) if both factors fit in 3 MiB: larger ones want blocking that is not done
      here.
    - B in rows, with fewer registers: if one extent is at most 64 (to the weights, one
      of the result), or the product of all three at most a million.
    - With fewer registers, where a matrix is read again and again from beyond the L2,
      as in convolutions of large images: no.
    - Both transposed: no.

    Parameters
    ----------
    dtype, m, n, k, trans_a, trans_b
        As in :func:`sizes`.

    Returns
    -------
    bool
        False also where the two are about level.

    Examples
    --------
    >>> from skgrad.backend.cpu.gemm import prefers_own
    >>> prefers_own("float32", 64, 20, 1024, trans_a=True)
    True
    >>> prefers_own("float32", 1024, 1024, 1024)
    False
    """
    if not host().free_masks and _wants_blocking(dtype, m, n, k, trans_b):
        return False
    if trans_b:
        return not trans_a and min(m, n, k) <= THIN
    small = m * n * k <= SMALL
    if not host().free_masks:
        return small or min((m, n) if trans_a else (m, n, k)) <= NARROW
    if small:
        return False
    stored = (m + n) * k * np.dtype(dtype).itemsize
    return stored <= CACHE if trans_a else min(m, n, k) <= THIN


def _wants_blocking(dtype: str, m: int, n: int, k: int, trans_b: bool) -> bool:
    """Return whether a product is too large for tiles that are not blocked.

    Measured on a Zen 3 (L2 of 512 KiB) beside OpenBLAS 0.3.30, in float32: 48 products
    of convolutions with 16 to 64 filters.
    """
    if trans_b:  # long dot products
        return k > LONG and min(m, n) > LONG_ROWS
    total = ((m + n) * k + m * n) * np.dtype(dtype).itemsize
    return bool(n > WIDE and min(m, k) > SHORT and total > LARGE)
