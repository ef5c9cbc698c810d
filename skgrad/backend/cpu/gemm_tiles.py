"""The parts of a matrix product as LLVM functions: tiles, dot products, transposition.

Extents and strides are arguments of the functions written.
"""

from __future__ import annotations

from collections.abc import Sequence

import llvmlite.ir as ir

from skgrad.backend.cpu.gemm_code import (
    I1,
    I32,
    I64,
    POINTER,
    Writer,
    constant,
    smaller,
)

__all__ = ["Tiles"]

SQUARE = 4  # side of the squares that a transposition moves through registers
DOTS = 4  # rows of a tile of dot products: four sums are added up at once


class Tiles(Writer):
    """Writes the functions that products are made of."""

    # --- columns, a panel at a time ---------------------------------------------------

    def groups(self, b: ir.IRBuilder, count: ir.Value, most: int) -> ir.Value:
        """Return how many of so many vectors or columns to take next."""
        few = smaller(b, count, constant(most))
        if most < 3:
            return few
        # Four are two and two: one alone leaves the processor waiting for its sums.
        return b.select(b.icmp_signed("==", count, constant(4)), constant(2), few)

    def panel(
        self, b: ir.IRBuilder, j: ir.Value, columns: ir.Value
    ) -> tuple[ir.Value, ir.Value, ir.Value]:
        """Return where the next panel begins, its vectors, and its function's number.

        Where masks are not free, a last vector that is not full begins early enough to
        be full: what it has in common with the vector before is computed twice. Only a
        result narrower than a vector is masked.
        """
        lanes, most = constant(self.lanes), self.machine.panel
        left = b.sub(columns, j)
        if self.machine.free_masks:
            n = b.udiv(b.add(left, constant(self.lanes - 1)), lanes)
            n = self.groups(b, n, most)
            return j, n, n
        n = self.groups(b, b.udiv(left, lanes), most)
        partial = b.icmp_signed("==", n, constant(0))
        narrow = b.icmp_signed("<", columns, lanes)
        early = b.select(narrow, j, smaller(b, j, b.sub(columns, lanes)))
        n = b.select(partial, constant(1), n)
        return early, n, b.select(narrow, constant(most + 1), n)

    def choose(
        self,
        b: ir.IRBuilder,
        n: ir.Value,
        ways: list[ir.Function],
        values: list[ir.Value],
    ) -> None:
        """Call the first function for 1, the second for 2 and so on."""
        after = b.append_basic_block("chosen")
        switch = b.switch(n, after)
        for i, way in enumerate(ways, 1):
            case = b.append_basic_block("case")
            switch.add_case(constant(i), case)
            b.position_at_end(case)
            b.call(way, values)
            b.branch(after)
        b.position_at_end(after)

    def panels(self) -> list[ir.Function]:
        """Write the functions of panels, in the order of their numbers from 1."""
        free, most = self.machine.free_masks, self.machine.panel
        ways = [self.rows(n, masked=free) for n in range(1, most + 1)]
        return ways if free else [*ways, self.rows(1, masked=True)]

    def padded(self, b: ir.IRBuilder, columns: ir.Value) -> ir.Value:
        """Return the columns of whole vectors."""
        more = b.add(columns, constant(self.lanes - 1))
        return b.and_(more, constant(-self.lanes))

    # --- rows times one panel -----------------------------------------------------

    def rows(self, vectors: int, masked: bool) -> ir.Function:
        """Write the product of rows and one panel of so many vectors.

        Arguments: rows, depth; the factor read by broadcast and its two strides; the
        panel and its stride; the result and its row stride; the lanes of the last
        vector in use, the first ones if it is masked, else those to add to; whether to
        add to the result.
        """
        types = [I64, I64, POINTER, I64, I64, POINTER, I64, POINTER, I64, I64, I1]
        f, b = self.function(f"rows{vectors}{'_masked' * masked}", types)
        rows, s, s_row, c, c_row = (f.args[i] for i in (0, 2, 3, 7, 8))
        mask = self.first(b, f.args[9]) if masked else None

        def tile(i: ir.Value, count: int) -> None:
            from_row = self.at(b, s, b.mul(i, s_row))
            sums = self._tile(b, f, from_row, count, vectors, mask)
            self._finish(b, f, self.at(b, c, b.mul(i, c_row)), sums, vectors, mask)

        most = self.machine.rows(vectors)
        rest = b.urem(rows, constant(most))
        if most == 6:
            # Two rows alone leave the processor waiting for their sums: 6 + 2 is 4 + 4.
            two = b.icmp_signed("==", rest, constant(2))
            more = b.and_(two, b.icmp_signed(">", rows, constant(most)))
            rest = b.select(more, constant(8), rest)
        first = b.sub(rows, rest)
        with self.loop(b, first, most) as i:
            tile(i, most)
        if most > 4:
            with self.loop(b, b.and_(rest, constant(-4)), 4) as i:
                tile(b.add(first, i), 4)
        for few in (2, 1):
            with b.if_then(
                b.icmp_signed("!=", b.and_(rest, constant(few)), constant(0))
            ):
                tile(b.sub(rows, b.and_(rest, constant(2 * few - 1))), few)
        b.ret_void()
        return f

    def _tile(
        self,
        b: ir.IRBuilder,
        f: ir.Function,
        s: ir.Value,
        count: int,
        vectors: int,
        mask: ir.Value | None,
    ) -> list[ir.Value]:
        _, depth, _, s_row, s_depth, v, v_depth, *_ = f.args
        rows = [b.mul(constant(r), s_row) for r in range(count)]

        def step(
            sums: list[ir.Value], _: ir.Value, s_at: ir.Value, v_at: ir.Value
        ) -> list[ir.Value]:
            panel = []
            for q in range(vectors):
                cut = self.machine.masks and q == vectors - 1
                where = self.at(b, v, v_at, constant(q * self.lanes))
                panel.append(self.load(b, where, mask if cut else None))
            following = []
            for r, row in enumerate(rows):
                x = self.splat(b, b.load(self.at(b, s, s_at, row), typ=self.number))
                for q, y in enumerate(panel):
                    z = sums[r * vectors + q]
                    following.append(self.multiply_add(b, x, y, z))
            return following

        steps = (constant(1), s_depth, v_depth)
        return self.summed(b, depth, steps, count * vectors, step)

    def _finish(
        self,
        b: ir.IRBuilder,
        f: ir.Function,
        c: ir.Value,
        sums: list[ir.Value],
        vectors: int,
        mask: ir.Value | None,
    ) -> None:
        """Write sums to the result, added to what is there where asked."""
        c_row, lanes, add = f.args[8:]
        places = []
        for i in range(len(sums)):
            r, q = divmod(i, vectors)
            start = self.at(b, c, b.mul(constant(r), c_row))
            where = self.at(b, start, constant(q * self.lanes))
            places.append((where, mask if q == vectors - 1 else None))
        before = b.block
        with b.if_then(add):
            inside = b.block
            news = list(sums)
            if mask is None and vectors == 1:
                new = self.first(b, b.sub(constant(self.lanes), lanes))
                zero = ir.Constant(self.vector, None)
                news = [b.select(new, zero, x) for x in sums]
            totals = [
                b.fadd(self.load(b, *place), x)
                for x, place in zip(news, places, strict=True)
            ]
        joined = []
        for x, total in zip(sums, totals, strict=True):
            joined.append(b.phi(self.vector))
            joined[-1].add_incoming(x, before)
            joined[-1].add_incoming(total, inside)
        for x, place in zip(joined, places, strict=True):
            self.store(b, x, *place)

    # --- dot products -------------------------------------------------------------

    def dots(self, columns: int) -> ir.Function:
        """Write the product of rows and so many columns, both contiguous in depth.

        Arguments: rows, depth; the rows and their stride; the columns and their
        stride; the result and its two strides.
        """
        types = [I64, I64, POINTER, I64, POINTER, I64, POINTER, I64, I64]
        f, b = self.function(f"dots{columns}", types)
        rows, depth, s, s_row, v, v_column, c, c_row, c_column = f.args
        last = b.sub(rows, constant(1))
        whole = b.and_(depth, constant(-self.lanes))
        rest = b.sub(depth, whole)
        mask = self.first(b, rest)
        right = [self.at(b, v, b.mul(constant(q), v_column)) for q in range(columns)]
        with self.loop(b, rows, DOTS) as i:
            # Beyond the last row the last is computed again, to the same place.
            place = [smaller(b, b.add(i, constant(r)), last) for r in range(DOTS)]
            left = [self.at(b, s, b.mul(p, s_row)) for p in place]

            def step(
                sums: list[ir.Value],
                k: ir.Value,
                mask: ir.Value | None = None,
                left: list[ir.Value] = left,
            ) -> list[ir.Value]:
                x = [self.load(b, self.at(b, row, k), mask) for row in left]
                y = [self.load(b, self.at(b, column, k), mask) for column in right]
                pairs = ((p, q) for q in y for p in x)
                return [
                    self.multiply_add(b, *pair, z)
                    for pair, z in zip(pairs, sums, strict=True)
                ]

            count = DOTS * columns
            sums = self.summed(b, whole, [constant(self.lanes)], count, step)
            before = b.block
            with b.if_then(b.icmp_signed(">", rest, constant(0))):
                more = step(sums, whole, mask)
                inside = b.block
            for n in range(count):
                x = b.phi(self.vector)
                x.add_incoming(sums[n], before)
                x.add_incoming(more[n], inside)
                sums[n] = x
            for q in range(columns):
                total = self._total(b, sums[q * DOTS : (q + 1) * DOTS])
                for r, p in enumerate(place):
                    at = b.add(b.mul(p, c_row), b.mul(constant(q), c_column))
                    number = b.extract_element(total, ir.Constant(I32, r))
                    b.store(number, self.at(b, c, at))
        b.ret_void()
        return f

    def _total(self, b: ir.IRBuilder, sums: list[ir.Value]) -> ir.Value:
        """Return the totals of four vectors, in one vector of four."""
        n = self.lanes
        even, odd = ([i for i in range(n) if i % 2 == x] for x in (0, 1))
        low, high = ([i for i in range(n) if i // 2 % 2 == x] for x in (0, 1))

        pairs = [self._merged(b, sums[i : i + 2], 1, (even, odd)) for i in (0, 2)]
        total = self._merged(b, pairs, 2, (low, high))
        while n > DOTS:
            n //= 2
            halves = (range(n), range(n, 2 * n))
            total = b.fadd(*(self.mixed(b, total, total, half) for half in halves))
        return total

    def _merged(
        self,
        b: ir.IRBuilder,
        pair: list[ir.Value],
        group: int,
        halves: Sequence[list[int]],
    ) -> ir.Value:
        """Return sums of lanes of two vectors, groups from either in turn."""
        parts = []
        for half in halves:
            groups = (half[i : i + group] for i in range(0, len(half), group))
            lanes = [lane + n for x in groups for n in (0, self.lanes) for lane in x]
            parts.append(self.mixed(b, pair[0], pair[1], lanes))
        return b.fadd(*parts)

    # --- transposition ------------------------------------------------------------

    def copy(self) -> ir.Function:
        """Write ``destination[c, r] = source[r, c]``, number by number.

        Arguments: the source and its two strides; the destination and its row stride;
        rows and columns of the source.
        """
        types = [POINTER, I64, I64, POINTER, I64, I64, I64]
        f, b = self.function("copy", types)
        source, s_row, s_column, destination, d_row, rows, columns = f.args
        with self.loop(b, rows) as r, self.loop(b, columns) as c:
            where = self.at(b, source, b.mul(r, s_row), b.mul(c, s_column))
            number = b.load(where, typ=self.number)
            b.store(number, self.at(b, destination, b.mul(c, d_row), r))
        b.ret_void()
        return f

    def transpose(self, copy: ir.Function) -> ir.Function:
        """Write the same, by squares in registers where the source's rows allow."""
        f, b = self.function("transpose", [x.type for x in copy.args])
        source, s_row, s_column, destination, d_row, rows, columns = f.args
        contiguous = b.icmp_signed("==", s_column, constant(1))
        tall = b.select(contiguous, b.and_(rows, constant(-SQUARE)), constant(0))
        wide = b.and_(columns, constant(-SQUARE))
        with self.loop(b, tall, SQUARE) as r, self.loop(b, wide, SQUARE) as c:
            x = self.at(b, source, b.mul(r, s_row), c)
            self._square(
                b, x, s_row, self.at(b, destination, b.mul(c, d_row), r), d_row
            )
        x = self.at(b, source, b.mul(wide, s_column))
        y = self.at(b, destination, b.mul(wide, d_row))
        b.call(copy, [x, s_row, s_column, y, d_row, tall, b.sub(columns, wide)])
        x = self.at(b, source, b.mul(tall, s_row))
        y = self.at(b, destination, tall)
        b.call(copy, [x, s_row, s_column, y, d_row, b.sub(rows, tall), columns])
        b.ret_void()
        return f

    def _square(
        self,
        b: ir.IRBuilder,
        source: ir.Value,
        s_row: ir.Value,
        destination: ir.Value,
        d_row: ir.Value,
    ) -> None:
        four = ir.VectorType(self.number, SQUARE)
        rows = []
        for i in range(SQUARE):
            where = self.at(b, source, b.mul(constant(i), s_row))
            rows.append(b.load(where, align=self.bytes, typ=four))
        turned = []
        for outer in ([0, 4, 1, 5], [2, 6, 3, 7]):
            top, bottom = (self.mixed(b, rows[i], rows[i + 1], outer) for i in (0, 2))
            turned += [
                self.mixed(b, top, bottom, inner)
                for inner in ([0, 1, 4, 5], [2, 3, 6, 7])
            ]
        for i, row in enumerate(turned):
            where = self.at(b, destination, b.mul(constant(i), d_row))
            b.store(row, where, align=self.bytes)
