"""LLVM instructions of the pivots of the vertex method.

One function for each part of a pivot. All parts take the same arguments: the arrays,
the extents, and two tables whose cells hold what one part tells the next.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import llvmlite.ir as ir

from skgrad.backend.cpu.gemm_code import I64, POINTER, constant, smaller
from skgrad.backend.cpu.gemm_plan import host
from skgrad.backend.cpu.gemm_tiles import Tiles
from skgrad.backend.cpu.loops import element, loop
from skgrad.backend.cpu.pivots import ARRAYS, BLOCK, COUNTS, NUMBERS, SCRATCH, End

__all__ = ["source"]

_DOUBLE = ir.DoubleType()
_SIZES = ("m", "q", "n_blocks")
# The bits of numbers that are not negative are ordered as they are: smallest and
# largest ones are found among integers, where LLVM may change the order and so uses
# vectors.
_INFINITY = constant(0x7FF0_0000_0000_0000)


def _number(value: float) -> ir.Constant:
    return ir.Constant(_DOUBLE, value)


def _get(
    b: ir.IRBuilder, array: ir.Value, i: ir.Value, kind: ir.Type = _DOUBLE
) -> ir.Value:
    return b.load(element(b, array, i, kind), typ=kind)


def _put(b: ir.IRBuilder, value: ir.Value, array: ir.Value, i: ir.Value) -> None:
    b.store(value, element(b, array, i, value.type))


class _Kernel(Tiles):
    """Writes the pivots."""

    def write(self) -> str:
        self.dot_products = self.dots(1)
        self.add = self._add()
        self.smallest = self._smallest()
        self.first_of = self._first_of()
        parts = [
            self._leaving(),
            self._breakpoints(),
            self._rise(),
            self._step(),
            self._exchange(),
        ]
        f, b = self.function("kernel", [POINTER, POINTER, I64], internal=False)
        pointers, table, _ = f.args
        n = len(ARRAYS) + len(SCRATCH) + 2
        values = [_get(b, pointers, constant(i), POINTER) for i in range(n)]
        counts = values[-2]
        values += [_get(b, table, constant(i), I64) for i in range(len(_SIZES))]
        with self.until(b, counts, constant(1)):  # its first cell is `end`
            for part in parts:
                end = b.load(counts, typ=I64)
                with b.if_then(b.icmp_signed("==", end, constant(0))):
                    b.call(part, values)
        b.ret_void()
        return str(self.module)

    # --- parts of parts -----------------------------------------------------------

    def _part(self, name: str) -> tuple[ir.Function, ir.IRBuilder, SimpleNamespace]:
        """Begin a part; its arguments and the addresses of cells have names."""
        names = (*ARRAYS, *SCRATCH, "counts", "numbers", *_SIZES)
        n_pointers = len(names) - len(_SIZES)
        types = [POINTER] * n_pointers + [I64] * len(_SIZES)
        f, b = self.function(name, types)
        at = SimpleNamespace(**dict(zip(names, f.args, strict=True)))
        for table, cells, kind in (
            (at.counts, COUNTS, I64),
            (at.numbers, NUMBERS, _DOUBLE),
        ):
            for i, cell in enumerate(cells):
                setattr(at, cell, element(b, table, constant(i), kind))
        return f, b, at

    def _result(
        self, name: str, types: list[ir.Type]
    ) -> tuple[ir.Function, ir.IRBuilder]:
        """Begin a function that returns an integer."""
        f = ir.Function(self.module, ir.FunctionType(I64, types), name)
        f.attributes.add("nounwind")
        f.linkage = "internal"
        return f, ir.IRBuilder(f.append_basic_block("entry"))

    def _row(
        self, b: ir.IRBuilder, matrix: ir.Value, i: ir.Value, q: ir.Value
    ) -> ir.Value:
        """Return the address of a row of q numbers."""
        return self.at(b, matrix, b.mul(i, q))

    def _products(
        self,
        b: ir.IRBuilder,
        rows: ir.Value,
        q: ir.Value,
        matrix: ir.Value,
        vector: ir.Value,
        out: ir.Value,
    ) -> None:
        """Write the product of a matrix and a vector."""
        zero, one = constant(0), constant(1)
        b.call(self.dot_products, [rows, q, matrix, q, vector, zero, out, one, zero])

    def _add(self) -> ir.Function:
        """Write ``y += factor * x``; arguments: n, factor, x, y."""
        f, b = self.function("add", [I64, _DOUBLE, POINTER, POINTER])
        n, factor, x, y = f.args
        with loop(b, n) as i:
            more = b.fmul(factor, _get(b, x, i))
            _put(b, b.fadd(_get(b, y, i), more), y, i)
        b.ret_void()
        return f

    def _smallest(self) -> ir.Function:
        """Return the bits of the smallest of some numbers that are not negative."""
        f, b = self._result("smallest", [POINTER, I64])
        x, n = f.args
        best = b.alloca(I64)
        b.store(_INFINITY, best)
        with loop(b, n) as i:
            bits = _get(b, x, i, I64)
            b.store(smaller(b, bits, b.load(best, typ=I64)), best)
        b.ret(b.load(best, typ=I64))
        return f

    def _first_of(self) -> ir.Function:
        """Return the first of some numbers that has given bits."""
        f, b = self._result("first_of", [POINTER, I64, I64])
        x, n, wanted = f.args
        place = b.alloca(I64)
        b.store(n, place)
        with loop(b, n) as i:
            equal = b.icmp_signed("==", _get(b, x, i, I64), wanted)
            here = b.select(equal, i, n)
            b.store(smaller(b, here, b.load(place, typ=I64)), place)
        b.ret(b.load(place, typ=I64))
        return f

    # --- parts of a pivot ---------------------------------------------------------

    def _leaving(self) -> ir.Function:
        """Find the row of the basis with the steepest edge, and its excess."""
        f, b, at = self._part("leaving")
        square, best = b.alloca(_DOUBLE), b.alloca(_DOUBLE)
        b.store(_number(0.0), best)
        self._products(b, at.q, at.q, at.edges, at.pull, at.basic_dual)
        with loop(b, at.q, width=1) as i:
            row = _get(b, at.basis, i, I64)
            dual = b.fneg(_get(b, at.basic_dual, i))
            _put(b, dual, at.basic_dual, i)
            high = b.fsub(dual, _get(b, at.up, row))
            low = b.fsub(b.fneg(_get(b, at.down, row)), dual)
            is_high = b.fcmp_ordered(">", high, low)
            excess = b.select(is_high, high, low)
            limit = b.fadd(_get(b, at.slack, row), _get(b, at.noise, i))
            with b.if_then(b.fcmp_ordered(">", excess, limit)):
                edge = self._row(b, at.edges, i, at.q)
                self._products(b, constant(1), at.q, edge, edge, square)
                root = self._root(b, b.load(square, typ=_DOUBLE))
                steepness = b.fdiv(excess, root)
                steepest = b.load(best, typ=_DOUBLE)
                with b.if_then(b.fcmp_ordered(">", steepness, steepest)):
                    b.store(steepness, best)
                    b.store(i, at.k)
                    b.store(b.select(is_high, excess, b.fneg(excess)), at.excess)
        none = b.fcmp_ordered("==", b.load(best, typ=_DOUBLE), _number(0.0))
        with b.if_then(none):
            b.store(constant(End.NO_ROW), at.end)
        b.ret_void()
        return f

    def _root(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        return b.call(self.module.declare_intrinsic("llvm.sqrt", [_DOUBLE]), [x])

    def _size(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        return b.call(self.module.declare_intrinsic("llvm.fabs", [_DOUBLE]), [x])

    def _breakpoints(self) -> ir.Function:
        """Compute how fast rows come nearer to their kinks, and when they arrive."""
        f, b, at = self._part("breakpoints")
        most = b.alloca(I64)
        b.store(constant(0), most)
        edge = self._row(b, at.edges, b.load(at.k, typ=I64), at.q)
        self._products(b, at.m, at.q, at.A, edge, at.nears)
        with loop(b, at.m) as i:
            bits = b.bitcast(self._size(b, _get(b, at.nears, i)), I64)
            largest = b.load(most, typ=I64)
            b.store(b.select(b.icmp_signed(">", bits, largest), bits, largest), most)
        largest = b.bitcast(b.load(most, typ=I64), _DOUBLE)
        limit = b.fmul(b.load(at.tiny, typ=_DOUBLE), largest)
        excess = b.load(at.excess, typ=_DOUBLE)
        above = b.fcmp_ordered(">", excess, _number(0.0))
        sign = b.select(above, _number(-1.0), _number(1.0))
        never = b.bitcast(_INFINITY, _DOUBLE)
        with loop(b, at.m) as i:
            change = b.fmul(sign, _get(b, at.nears, i))
            nears = b.fmul(change, _get(b, at.side, i))
            _put(b, nears, at.nears, i)
            time = b.fdiv(_get(b, at.away, i), nears)
            arrives = b.fcmp_ordered(">", nears, limit)
            _put(b, b.select(arrives, time, never), at.times, i)
        with loop(b, at.n_blocks, width=1) as j:
            block = self.at(b, at.times, b.mul(j, constant(BLOCK)))
            least = b.call(self.smallest, [block, constant(BLOCK)])
            _put(b, least, at.minima, j)
        b.ret_void()
        return f

    def _rise(self) -> ir.Function:
        """Pass breakpoints, the nearest first, until gains use up the descent."""
        f, b, at = self._part("rise")
        gains = b.alloca(_DOUBLE)
        b.store(_number(0.0), gains)
        b.store(constant(0), at.n_passed)
        b.store(constant(-1), at.entering)
        descent = self._size(b, b.load(at.excess, typ=_DOUBLE))
        descent = b.fmul(descent, b.load(at.share, typ=_DOUBLE))
        with self.until(b, at.entering, constant(0)):
            time = b.call(self.smallest, [at.minima, at.n_blocks])
            j = b.call(self.first_of, [at.minima, at.n_blocks, time])
            start = b.mul(j, constant(BLOCK))
            block = self.at(b, at.times, start)
            row = b.add(start, b.call(self.first_of, [block, constant(BLOCK), time]))
            arrives = b.icmp_signed("<", time, _INFINITY)
            with b.if_else(arrives) as (some, none):
                with none:
                    b.store(constant(End.NO_EDGE_END), at.end)
                    b.store(constant(0), at.entering)
                with some:
                    self._pass(b, at, gains, descent, row, (j, block))
        b.ret_void()
        return f

    def _pass(
        self,
        b: ir.IRBuilder,
        at: SimpleNamespace,
        gains: ir.Value,
        descent: ir.Value,
        row: ir.Value,
        place: tuple[ir.Value, ir.Value],
    ) -> None:
        """Let a row enter the basis, or note that its kink is passed."""
        gain = b.fmul(_get(b, at.nears, row), _get(b, at.width, row))
        total = b.fadd(b.load(gains, typ=_DOUBLE), gain)
        b.store(total, gains)
        with b.if_else(b.fcmp_ordered(">=", total, descent)) as (last, passed):
            with last:
                b.store(row, at.entering)
                b.store(_get(b, at.times, row), at.time)
            with passed:
                n = b.load(at.n_passed, typ=I64)
                _put(b, row, at.passed, n)
                b.store(b.add(n, constant(1)), at.n_passed)
                _put(b, _INFINITY, at.times, row)
                j, block = place
                least = b.call(self.smallest, [block, constant(BLOCK)])
                _put(b, least, at.minima, j)

    def _step(self) -> ir.Function:
        """Go to where a row enters: residuals, and the sides of the kinks passed."""
        f, b, at = self._part("step")
        time = b.load(at.time, typ=_DOUBLE)
        with loop(b, at.m) as i:
            nearer = b.fmul(time, _get(b, at.nears, i))
            _put(b, self._size(b, b.fsub(_get(b, at.away, i), nearer)), at.away, i)
        with loop(b, b.load(at.n_passed, typ=I64), width=1) as n:
            row = _get(b, at.passed, n, I64)
            side = _get(b, at.side, row)
            _put(b, b.fneg(side), at.side, row)
            change = b.fneg(b.fmul(side, _get(b, at.width, row)))
            self._pull(b, at, change, row)
        b.ret_void()
        return f

    def _pull(
        self, b: ir.IRBuilder, at: SimpleNamespace, slope: ir.Value, row: ir.Value
    ) -> None:
        b.call(self.add, [at.q, slope, self._row(b, at.A, row, at.q), at.pull])

    def _slope(
        self, b: ir.IRBuilder, at: SimpleNamespace, above: ir.Value, row: ir.Value
    ) -> ir.Value:
        """Return the slope of a row on a side of its kink."""
        down = b.fneg(_get(b, at.down, row))
        return b.select(above, _get(b, at.up, row), down)

    def _exchange(self) -> ir.Function:
        """Let a row enter the basis in the place of its k-th."""
        f, b, at = self._part("exchange")
        zero, one = _number(0.0), _number(1.0)
        k, entering = b.load(at.k, typ=I64), b.load(at.entering, typ=I64)
        time, excess = b.load(at.time, typ=_DOUBLE), b.load(at.excess, typ=_DOUBLE)
        leaving = _get(b, at.basis, k, I64)

        above = b.fcmp_ordered(">", excess, zero)
        self._pull(b, at, self._slope(b, at, above, leaving), leaving)
        before = b.fcmp_ordered(">", _get(b, at.side, entering), zero)
        slope = self._slope(b, at, before, entering)
        self._pull(b, at, b.fneg(slope), entering)

        side = b.select(above, one, _number(-1.0))
        counts = b.fcmp_ordered(">", _get(b, at.width, leaving), zero)
        _put(b, b.select(counts, side, zero), at.side, leaving)
        _put(b, time, at.away, leaving)
        _put(b, entering, at.basis, k)
        _put(b, zero, at.side, entering)
        _put(b, zero, at.away, entering)

        row = self._row(b, at.A, entering, at.q)
        self._products(b, at.q, at.q, at.edges, row, at.weights)
        weight = _get(b, at.weights, k)
        edge = self._row(b, at.edges, k, at.q)
        with loop(b, at.q) as i:
            _put(b, b.fdiv(_get(b, edge, i), weight), at.column, i)
        _put(b, b.fsub(weight, one), at.weights, k)
        with loop(b, at.q, width=1) as i:
            change = b.fneg(_get(b, at.weights, i))
            b.call(self.add, [at.q, change, at.column, self._row(b, at.edges, i, at.q)])
        self._count(b, at, time)
        b.ret_void()
        return f

    def _count(self, b: ir.IRBuilder, at: SimpleNamespace, time: ir.Value) -> None:
        """Count the pivot and steps without length; end where there are enough."""
        n = b.add(b.load(at.n_pivots, typ=I64), constant(1))
        b.store(n, at.n_pivots)
        moved = b.fcmp_ordered(">", time, b.load(at.no_length, typ=_DOUBLE))
        stalled = b.add(b.load(at.stalled, typ=I64), constant(1))
        stalled = b.select(moved, constant(0), stalled)
        b.store(stalled, at.stalled)
        with b.if_then(b.icmp_signed(">=", n, b.load(at.most, typ=I64))):
            b.store(constant(End.ENOUGH), at.end)
        with b.if_then(b.icmp_signed(">", stalled, b.load(at.stall, typ=I64))):
            b.store(constant(End.STALLED), at.end)


def source() -> str:
    """Return the LLVM IR of the pivots for this machine.

    The function ``kernel(pointers, sizes, step)`` has ``pointers`` to the arrays of
    :data:`~skgrad.backend.cpu.pivots.ARRAYS` and ``SCRATCH`` and to the tables of
    ``COUNTS`` (int64) and ``NUMBERS``, and ``sizes`` m, q and the number of blocks.

    Returns
    -------
    str
        A module in LLVM's assembly language.

    Examples
    --------
    >>> from skgrad.backend.cpu import pivots_code
    >>> "double" in pivots_code.source()
    True
    """
    # Four dot products are added up at once: vectors of four numbers at least, which
    # LLVM makes two of where registers are shorter.
    machine = replace(host(), vector_bytes=max(32, host().vector_bytes))
    return _Kernel("float64", machine).write()
