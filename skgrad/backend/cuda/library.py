"""Instructions that are not kernels: moving rows, indexed access, scans, random bits.

The functions have the operands, sizes and results of those of
:mod:`skgrad.backend.cpu.library`, with the convention of this package. Every result has
one thread that writes it, in an order that depends on sizes alone: no atomics.
"""

from __future__ import annotations

import numpy as np

from skgrad.backend.cuda.launch import THREADS, Launch, blocks, lanes
from skgrad.backend.cuda.printer import STORED, function
from skgrad.backend.cuda.routine import (
    STATUS,
    Routine,
    each,
    elementwise,
    outside,
    read,
    write,
)
from skgrad.backend.cuda.scalar import TYPES, Block, Scalar, constant
from skgrad.backend.cuda.sparse import SPARSE
from skgrad.backend.mathematics.preamble import philox_4x32

__all__ = ["LIBRARY", "MOVES", "as_move"]


# --- moving bytes -----------------------------------------------------------------

# Words of four bytes where the rows consist of them: their places then do as well.
_MOVE = """
        if (row_bytes{i} % 4 == 0) {{
            const unsigned int *x = (const unsigned int *)({source});
            unsigned int *y = (unsigned int *)({target});
            {each_word}
        }} else {{
            const unsigned char *x = {source};
            unsigned char *y = {target};
            {each_byte}
        }}
"""

# By instruction: what is read, what is written, and where element e is read.
_ROW = "indices{i}[*step * n_rows{i} + e / width] * width + e % width"
MOVES = {
    "copy_rows": ("source{i}", "out{i}", _ROW),
    "read_table": ("source{i} + *step * row_bytes{i}", "out{i}", "e"),
    "write_table": ("source{i}", "out{i} + *step * row_bytes{i}", "e"),
}


def as_move(
    kind: str, pointers: list[int], sizes: list[int]
) -> tuple[list[int], list[int]]:
    """Return the arguments of one of ``MOVES`` as those of a move.

    A table has one row, that of the step, and no row number of it is read.
    """
    if kind == "copy_rows":
        return pointers, sizes
    source, out = pointers
    return [source, 0, out], [1, *sizes]


def _moved(kind: str, i: int) -> str:
    """Return the copy of move number i."""
    source, target, place = (text.format(i=i) for text in MOVES[kind])
    body = each(f"n_rows{i} * width", f"y[e] = x[{place}];")
    words, single = (
        f"const long long width = row_bytes{i} / {size};{body}" for size in (4, 1)
    )
    return _MOVE.format(
        i=i, source=source, target=target, each_word=words, each_byte=single
    )


def _moves(name: str, *kinds: str) -> str:
    """Move bytes, several times at once: pointers (source, indices, out) of each.

    Sizes are (n_rows, row_bytes) of each. Nothing that is written may be read.
    """
    pointers, sizes, parts = [], [], []
    for i, kind in enumerate(kinds):
        pointers += [read(f"source{i}", "uint8"), read(f"indices{i}", "int64")]
        pointers.append(write(f"out{i}", "uint8"))
        sizes += [f"n_rows{i}", f"row_bytes{i}"]
        parts.append(f"    if (blockIdx.y == {i}) {{{_moved(kind, i)}    }}\n")
    return function(f"{name}_0", pointers, sizes, "".join(parts))


def _moves_launches(*sizes: int) -> list[Launch]:
    counts = [
        n * row_bytes for n, row_bytes in zip(sizes[::2], sizes[1::2], strict=True)
    ]
    most = max(counts, default=0)
    return [Launch("_0", (blocks(most), len(counts)))] if most else []


def _fill_zero(name: str) -> str:
    body = each("n_bytes", "out[e] = 0;")
    return function(f"{name}_0", [write("out", "uint8")], ["n_bytes"], body)


def _next_step(name: str) -> str:
    """Advance the counter of steps: pointers (counter,), no sizes."""
    body = "    if (blockIdx.x == 0 && threadIdx.x == 0) *counter += 1;\n"
    return function(f"{name}_0", ["long long *counter"], [], body)


# --- indexed access ---------------------------------------------------------------


def _position(index_dtype: str, k: str, extent: str, status: bool) -> str:
    """Return lines that set ``place`` to index k counted from the start.

    One that is out of range becomes 0 and sets the status.
    """
    signed = np.dtype(index_dtype).kind == "i"
    from_end = f"if (place < 0) place += {extent};" if signed else ""
    report = "*status = 1;" if status else ""
    return f"""
        long long place = (long long)indices[{k}];
        {from_end}
        if ({outside("place", extent)}) {{ {report} place = 0; }}"""


def _take(name: str, dtype: str, index_dtype: str) -> str:
    pointers = [read("x", dtype), read("indices", index_dtype)]
    pointers += [write("out", dtype), STATUS]
    body = each(
        "outer * n_indices * inner",
        f"""const long long i = e % inner, row = e / inner;
        const long long k = row % n_indices, o = row / n_indices;
        {_position(index_dtype, "k", "extent", True)}
        if (extent > 0) out[e] = x[(o * extent + place) * inner + i];""",
    )
    return function(
        f"{name}_0", pointers, ["outer", "extent", "inner", "n_indices"], body
    )


def _scatter_add(name: str, dtype: str, index_dtype: str) -> str:
    """Return three functions that add into zeros along an axis.

    Equal indices are linked in their order, and one thread per column adds up a chain.
    An index is compared with those after it up to the next equal one: work of the
    number of indices times the smaller of it and the extent of the axis, in parallel,
    and as many additions in a row as an index has occurrences.
    """
    pointers = [read("x", dtype), read("indices", index_dtype)]
    pointers += [write("out", dtype), STATUS]
    sizes = ["outer", "extent", "inner", "n_indices"]
    links = """
    long long *next = (long long *)workspace;
    unsigned char *first = workspace + 8 * n_indices;
"""
    block = Block()
    x = Scalar(block, "x[(o * n_indices + j) * inner + i]", dtype)
    total = Scalar(block, "total", dtype) + x
    (addition,) = block.taken()
    kind, zero = TYPES[dtype], constant(block, 0, dtype)
    bodies = (
        links
        + each("outer * extent * inner", f"out[e] = {zero};")
        + "    for (long long k = thread; k < n_indices; k += n_threads)"
        " first[k] = 1;\n",
        links
        + each(
            "n_indices",
            f"""{_position(index_dtype, "e", "extent", True)}
        const long long here = place;
        next[e] = -1;
        for (long long k = e + 1; k < n_indices; k++) {{
            {_position(index_dtype, "k", "extent", False)}
            if (place == here) {{ next[e] = k; first[k] = 0; break; }}
        }}""",
        ),
        links
        + each(
            "outer * n_indices * inner",
            f"""const long long i = e % inner, row = e / inner;
        const long long k = row % n_indices, o = row / n_indices;
        if (!first[k] || extent == 0) continue;
        {_position(index_dtype, "k", "extent", False)}
        {kind} total = {zero};
        for (long long j = k; j >= 0; j = next[j]) {{
            {addition}
            total = {total};
        }}
        out[(o * extent + place) * inner + i] = total;""",
        ),
    )
    return "\n".join(
        function(f"{name}_{i}", pointers, sizes, body) for i, body in enumerate(bodies)
    )


def _scatter_workspace(outer: int, extent: int, inner: int, n_indices: int) -> int:
    return 9 * n_indices


# --- scans ------------------------------------------------------------------------

# Columns this short, or this many, are added up by a thread each; the others by a
# block each, a tile at a time.
_SHORT = 32
_MANY_COLUMNS = 4096


def _cumsum(name: str, dtype: str) -> str:
    """Return two functions: a thread per column, and a block per column."""
    pointers = [read("x", dtype), write("out", dtype)]
    sizes = ["outer", "n", "inner", "reverse"]
    block, kind = Block(), TYPES[dtype]
    # The sum of nothing is -0.0: added to -0.0 it gives -0.0.
    nothing = constant(block, -0.0 if np.dtype(dtype).kind == "f" else 0, dtype)

    def added(x: str, y: str) -> tuple[str, Scalar]:
        total = Scalar(block, x, dtype) + Scalar(block, y, dtype)
        return " ".join(block.taken()), total

    place = "((c / inner) * n + (reverse ? n - 1 - k : k)) * inner + c % inner"
    line, total = added("carry", "x[at]")
    serial = each(
        "outer * inner",
        f"""const long long c = e;
        {kind} carry = {nothing};
        for (long long k = 0; k < n; k++) {{
            const long long at = {place};
            {line}
            carry = {total};
            out[at] = carry;
        }}""",
    )
    near, near_total = added("shared[t - apart]", "here")
    here, here_total = added("carry", "shared[t]")
    last, last_total = added("carry", f"shared[{THREADS - 1}]")
    tiles = f"""
    __shared__ {kind} shared[{THREADS}];
    const int t = threadIdx.x;
    for (long long c = blockIdx.x; c < outer * inner; c += gridDim.x) {{
        {kind} carry = {nothing};
        for (long long first = 0; first < n; first += {THREADS}) {{
            const long long k = first + t;
            const long long at = {place};
            shared[t] = k < n ? x[at] : {nothing};
            __syncthreads();
            for (int apart = 1; apart < {THREADS}; apart *= 2) {{
                {kind} here = shared[t];
                if (t >= apart) {{ {near} here = {near_total}; }}
                __syncthreads();
                shared[t] = here;
                __syncthreads();
            }}
            if (k < n) {{ {here} out[at] = {here_total}; }}
            {last}
            carry = {last_total};
            __syncthreads();
        }}
    }}
"""
    return "\n".join(
        function(f"{name}_{i}", pointers, sizes, body)
        for i, body in enumerate((serial, tiles))
    )


def _cumsum_launches(outer: int, n: int, inner: int, reverse: int) -> list[Launch]:
    columns = outer * inner
    if columns * n == 0:
        return []
    if n <= _SHORT or columns >= _MANY_COLUMNS:
        return [Launch("_0", (blocks(columns), 1))]
    return [Launch("_1", (columns, 1))]


def _argmax(name: str, dtype: str) -> str:
    """Return the search of the first maximum, or the first NaN, by pairs."""
    pointers = [read("x", dtype), write("out", "int64")]
    # Of two places, the lower one wins unless the other has more; -1 is no place.
    wins = "j >= 0 && (best < 0 || y > top || (y == top && j < best))"
    if np.dtype(dtype).kind == "f":
        wins = (
            "j >= 0 && (best < 0 || (y != y ? top == top || j < best "
            ": y > top || (y == top && j < best)))"
        )
    kind = STORED[dtype]
    body = f"""
    __shared__ {kind} tops[{THREADS}];
    __shared__ long long places[{THREADS}];
    const int t = threadIdx.x, turns = {THREADS} / lanes;
    const int turn = inner == 1 ? t % turns : t / lanes;
    const int lane = inner == 1 ? t / turns : t % lanes;
    for (long long first = blockIdx.x * lanes; first < outer * inner;
         first += gridDim.x * lanes) {{
        const long long c = first + lane;
        long long best = -1;
        {kind} top = 0;
        if (c < outer * inner) {{
            for (long long j = turn; j < n; j += turns) {{
                const {kind} y = x[((c / inner) * n + j) * inner + c % inner];
                if ({wins}) {{ best = j; top = y; }}
            }}
        }}
        tops[t] = top;
        places[t] = best;
        __syncthreads();
        for (int half = turns / 2; half > 0; half /= 2) {{
            if (turn < half) {{
                const int other = t + (inner == 1 ? half : half * (int)lanes);
                const {kind} y = tops[other];
                const long long j = places[other];
                if ({wins}) {{ best = j; top = y; }}
                tops[t] = top;
                places[t] = best;
            }}
            __syncthreads();
        }}
        if (turn == 0 && c < outer * inner) out[c] = best;
    }}
"""
    return function(f"{name}_0", pointers, ["outer", "n", "inner", "lanes"], body)


def _argmax_launches(outer: int, n: int, inner: int) -> list[Launch]:
    columns = outer * inner
    width = lanes(columns, n, along_reduced=inner == 1)
    grid = (min(-(-columns // width), blocks(columns * THREADS)), 1)
    return [Launch("_0", grid, (width,))] if columns else []


# --- random bits ------------------------------------------------------------------


def _random_bits(name: str) -> str:
    """Return the draw of 24 bits per element, four elements to a thread."""
    block = Block()
    counter = (
        Scalar(block, "*number", "int64"),
        Scalar(block, "draw", "int64"),
        Scalar(block, "k", "int64"),
        Scalar(block, "rows[r]", "uint32"),
    )
    key = [Scalar(block, f"key[{i}]", "uint32") for i in (0, 1)]
    words = [word >> 8 for word in philox_4x32(counter, key)]
    draws = "\n        ".join(block.taken())
    writes = "\n        ".join(
        f"if (4 * k + {j} < size) out[r * size + 4 * k + {j}] = {word};"
        for j, word in enumerate(words)
    )
    body = "    const long long quarter = (size + 3) / 4;" + each(
        "n_rows * quarter",
        f"""const long long k = e % quarter, r = e / quarter;
        {draws}
        {writes}""",
    )
    pointers = [read("key", "uint32"), read("number", "int64")]
    pointers += [read("rows", "uint32"), write("out", "uint32")]
    return function(f"{name}_0", pointers, ["n_rows", "size", "draw"], body)


LIBRARY: dict[str, Routine] = {
    "argmax": Routine(_argmax, _argmax_launches),
    "cumsum": Routine(_cumsum, _cumsum_launches),
    "fill_zero": Routine(_fill_zero, elementwise(lambda n_bytes: n_bytes)),
    "moves": Routine(_moves, _moves_launches),
    "next_step": Routine(_next_step, elementwise(lambda: 1)),
    "random_bits": Routine(
        _random_bits, elementwise(lambda n_rows, size, draw: n_rows * -(-size // 4))
    ),
    "scatter_add": Routine(
        _scatter_add,
        elementwise(
            lambda outer, extent, inner, n: max(outer * extent * inner, n),
            lambda outer, extent, inner, n: n,
            lambda outer, extent, inner, n: outer * n * inner * (extent > 0),
        ),
        _scatter_workspace,
    ),
    "take": Routine(
        _take, elementwise(lambda outer, extent, inner, n: outer * n * inner)
    ),
    **SPARSE,
}
"""Routines by name; products and Gram matrices are not among them: cuBLAS has them."""
