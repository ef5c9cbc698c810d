"""The weighted Gram matrix, half of whose products are enough.

The tiles are those of :mod:`~skgrad.backend.cpu.gemm`. So many rows at a time, the
columns of X are taken panel by panel: multiplied by the weights into the workspace,
then by the columns of X up to the end of the panel. What is below the diagonal is
copied from above in the end.
"""

from __future__ import annotations

import llvmlite.ir as ir

from skgrad.backend.cpu.gemm_code import I64, POINTER, constant, smaller
from skgrad.backend.cpu.gemm_plan import check_dtype, host
from skgrad.backend.cpu.gemm_tiles import Tiles

__all__ = ["source", "workspace_bytes"]


class _Kernel(Tiles):
    """Writes the Gram matrix of rows of one dtype."""

    def write(self) -> str:
        ways = self.panels()
        f, b = self.function("kernel", [POINTER, POINTER, I64], internal=False)
        pointers, table, _ = f.args
        x, w, c, packed = (
            b.load(b.gep(pointers, [constant(i)], source_etype=POINTER), typ=POINTER)
            for i in range(4)
        )
        n, p, x_row = (
            b.load(b.gep(table, [constant(i)], source_etype=I64), typ=I64)
            for i in range(3)
        )
        lanes, most = constant(self.lanes), constant(self.machine.depth)
        # One round without a row writes the zeros of an empty sum.
        rounds = b.select(b.icmp_signed(">", n, constant(0)), n, constant(1))
        place = b.alloca(I64)
        with self.loop(b, rounds, self.machine.depth) as k:
            count = smaller(b, b.sub(n, k), most)
            rows = self.at(b, x, b.mul(k, x_row))
            weights = self.at(b, w, k)
            add = b.icmp_signed(">", k, constant(0))
            b.store(constant(0), place)
            with self.until(b, place, p) as done:
                j, vectors, way = self.panel(b, done, p)
                pitch = b.mul(vectors, lanes)
                width = smaller(b, b.sub(p, j), pitch)
                self._pack(b, self.at(b, rows, j), x_row, weights, packed, count, width)
                final = b.sub(width, b.sub(pitch, lanes))
                final = b.sub(final, b.sub(done, j))
                above = smaller(b, p, b.add(j, pitch))
                values = [above, count, rows, constant(1), x_row, packed, pitch]
                values += [self.at(b, c, j), p, final, add]
                self.choose(b, way, ways, values)
                b.store(b.add(done, pitch), place)
        self._mirror(b, c, p)
        b.ret_void()
        return str(self.module)

    def _pack(
        self,
        b: ir.IRBuilder,
        x: ir.Value,
        x_row: ir.Value,
        weights: ir.Value,
        packed: ir.Value,
        count: ir.Value,
        width: ir.Value,
    ) -> None:
        """Write so many columns, each row times its weight, in whole vectors."""
        pitch = self.padded(b, width)
        mask = self.first(b, b.sub(width, b.sub(pitch, constant(self.lanes))))
        with self.loop(b, count) as i:
            weight = b.load(self.at(b, weights, i), typ=self.number)
            many = self.splat(b, weight)
            source = self.at(b, x, b.mul(i, x_row))
            target = self.at(b, packed, b.mul(i, pitch))
            before = b.sub(pitch, constant(self.lanes))
            with self.loop(b, before, self.lanes) as q:
                value = self.load(b, self.at(b, source, q))
                self.store(b, b.fmul(value, many), self.at(b, target, q))
            value = self.load(b, self.at(b, source, before), mask)
            self.store(b, b.fmul(value, many), self.at(b, target, before))

    def _mirror(self, b: ir.IRBuilder, c: ir.Value, p: ir.Value) -> None:
        with self.loop(b, p) as i, self.loop(b, i) as j:
            above = self.at(b, c, b.mul(j, p), i)
            below = self.at(b, c, b.mul(i, p), j)
            b.store(b.load(above, typ=self.number), below)


def source(dtype: str) -> str:
    """Return the LLVM IR of ``C = Xᵀ diag(w) X`` for this machine.

    The function ``kernel(pointers, sizes, step)`` has ``pointers`` to X, w, C and a
    workspace aligned to 64 bytes, and ``sizes`` (n, p, numbers from one row of X to the
    next). C, of shape (p, p) without gaps, is overwritten. Sums are taken in the dtype.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Of all arrays.

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
    >>> from skgrad.backend.cpu import gram
    >>> "double" in gram.source("float32")
    False
    """
    check_dtype(dtype)
    return _Kernel(dtype, host()).write()


def workspace_bytes() -> int:
    """Return the size of the workspace, whatever the rows.

    Examples
    --------
    >>> from skgrad.backend.cpu import gram
    >>> gram.workspace_bytes() % 64
    0
    """
    machine = host()
    return machine.depth * machine.panel * machine.vector_bytes
