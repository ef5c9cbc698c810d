"""Products with a sparse matrix in compressed row format, of which rows are taken.

The functions have the operands and sizes of those of :mod:`skgrad.backend.cpu.sparse`,
with the convention of this package. A product with the rows is a sum per row, which
some neighbouring threads add up in pairs.

A product with their transpose adds into columns, and the elements of a column are
anywhere. So each warp has some columns and some rows to itself: it finds by bisection
where its columns begin in each of its rows, and its threads add the elements there, one
row after the other, no two of one column. What different rows gave for the same columns
is added up at last. Nothing is sorted or prepared, and there are no atomics: the order
of the sums depends on sizes alone, in a product with the rows on the mean length of the
matrix's rows too.
"""

from __future__ import annotations

import math

from skgrad.backend.cuda.launch import THREADS, Launch, blocks
from skgrad.backend.cuda.printer import function
from skgrad.backend.cuda.routine import STATUS, Routine, each, outside, read, write
from skgrad.backend.cuda.scalar import TYPES

__all__ = ["SPARSE"]

_WARP = 32
_WARPS_OF_BLOCK = THREADS // _WARP
_WARPS = 1024 * _WARPS_OF_BLOCK  # that are wanted, to occupy a device
_MOST_SPLITS = 256  # of the rows: one thread adds up what they gave for an element
_LEAST_ROWS = 8  # of a split: a warp looks for its columns in 32 at once
_MOST_BYTES = 2**26  # of the workspace
# A bisection reads about five sectors of 32 bytes; an element of a part is set to zero,
# written and read. So many of these cost as much as a bisection; not measured.
_BISECTION = 5

_MATRIX = ["n_rows", "n_stored", "n_columns"]


def _pointers(stored: str, index: str, *more: str) -> list[str]:
    matrix = [read("data", stored), read("indices", index), read("indptr", index)]
    return [*matrix, read("rows", "int64"), *more, STATUS]


def _row(number: str) -> str:
    """Return lines that set begin and end of a row taken; one out of range is empty."""
    return f"""
            const long long row = rows[{number}];
            const bool missing = {outside("row", "n_stored")};
            if (missing) *status = 1;
            const long long begin = missing ? 0 : (long long)indptr[row];
            const long long end = missing ? 0 : (long long)indptr[row + 1];"""


# --- products with the rows -------------------------------------------------------


def _matmul(name: str, dtype: str, stored: str, index: str) -> str:
    """Multiply rows: pointers (matrix, B, out, status), sizes (..., k).

    B is (n_columns, k), out is (n_rows, k). The elements of a row of out have together
    about as many threads as a row of the matrix has elements, each of them at most a
    warp.
    """
    # One element of out: N. Bell and M. Garland, "Implementing sparse matrix-vector
    # multiplication on throughput-oriented processors" (2009), and their CUSP.
    kind = TYPES[dtype]
    body = f"""
    __shared__ {kind} totals[{THREADS}];
    const long long mean = n_stored > 0 ? (long long)indptr[n_stored] / n_stored : 0;
    int width = 1;
    while (width < {_WARP} && width * k < mean) width *= 2;
    const int t = threadIdx.x, turn = t % width, teams = {THREADS} / width;
    const long long size = n_rows * k, stride = (long long)gridDim.x * teams;
    for (long long e = (long long)blockIdx.x * teams; e < size; e += stride) {{
        const long long place = e + t / width;
        {kind} total = 0;
        if (place < size) {{
            const long long r = k == 1 ? place : place / k;{_row("r")}
            for (long long i = begin + turn; i < end; i += width) {{
                const long long column = indices[i];
                if ({outside("column", "n_columns")}) {{ *status = 1; break; }}
                total += ({kind})data[i] * B[column * k + place - r * k];
            }}
        }}
        totals[t] = total;
        __syncwarp();
        for (int half = width / 2; half > 0; half /= 2) {{
            if (turn < half) totals[t] += totals[t + half];
            __syncwarp();
        }}
        if (turn == 0 && place < size) out[place] = totals[t];
    }}
"""
    pointers = _pointers(stored, index, read("B", dtype), write("out", dtype))
    return function(f"{name}_0", pointers, [*_MATRIX, "k"], body)


def _matmul_launches(n_rows: int, _stored: int, _columns: int, k: int) -> list[Launch]:
    # The device finds how many threads an element has: a warp at most.
    n = n_rows * k * _WARP
    return [Launch("_0", (blocks(n), 1))] if n else []


# --- products with their transpose ------------------------------------------------


def _into_columns(
    name: str, pointers: list[str], k: str, dtype: str, n_others: str, add: str
) -> str:
    """Return two functions that add into the rows of out, (n_columns, k).

    ``add`` are lines for one element, number ``i`` of row ``r + q``, and number ``j``
    of the ``n_others`` numbers that it is multiplied by. Columns ascend in a row.
    """
    kind = TYPES[dtype]
    parts = f"{kind} *parts = n_splits == 1 ? out : ({kind} *)workspace;"
    body = f"""
    __shared__ long long begins[{THREADS}], firsts[{THREADS}], ends[{THREADS}];
    const int t = threadIdx.x, lane = t % {_WARP};
    const long long n_tiles = (n_columns + tile - 1) / tile;
    const long long job = (long long)blockIdx.x * {_WARPS_OF_BLOCK} + t / {_WARP};
    if (job >= n_tiles * n_splits) return;
    const long long low = job % n_tiles * tile, split = job / n_tiles;
    const long long high = low + tile < n_columns ? low + tile : n_columns;
    const long long stop = (split + 1) * n_rows / n_splits;
    {parts}
    {kind} *part = parts + split * n_columns * {k};
    for (long long e = low * {k} + lane; e < high * {k}; e += {_WARP}) part[e] = 0;
    for (long long r = split * n_rows / n_splits; r < stop; r += {_WARP}) {{
        __syncwarp();
        firsts[t] = ends[t] = 0;
        if (r + lane < stop) {{{_row("r + lane")}
            long long first = begin, after = low > 0 ? end : begin;
            while (first < after) {{
                const long long middle = first + (after - first) / 2;
                if (indices[middle] < low) first = middle + 1; else after = middle;
            }}
            // One beyond the last column is left to be reported.
            const bool others = high < n_columns && first < end;
            if (others && indices[first] >= high) first = end;
            begins[t] = begin;
            firsts[t] = first;
            ends[t] = end;
        }}
        __syncwarp();
        for (int q = 0; q < {_WARP}; q++) {{
            const int at = t - lane + q;
            const long long first = firsts[at], end = ends[at];
            if (first == end) continue;
            const long long begin = begins[at];
            const int n_others = {n_others};
            int j = lane % n_others;
            for (long long i = first + lane / n_others; i < end;) {{
                const long long column = indices[i];
                if ({outside("column", "n_columns")}) *status = 1;
                if (column < low || column >= high) break;
                {add}
                i += {_WARP} / n_others;
                j += {_WARP} % n_others;
                if (j >= n_others) {{ j -= n_others; i++; }}
            }}
            __syncwarp();
        }}
    }}
"""
    total = f"""{kind} total = 0;
        for (long long s = 0; s < n_splits; s++)
            total += parts[s * n_columns * {k} + e];
        out[e] = total;"""
    bodies = body, f"    {parts}{each(f'n_columns * {k}', total)}"
    sizes = [*_MATRIX, *(["k"] if k == "k" else []), "tile", "n_splits"]
    return "\n".join(
        function(f"{name}_{i}", pointers, sizes, text) for i, text in enumerate(bodies)
    )


def _matmul_transposed(name: str, dtype: str, stored: str, index: str) -> str:
    """Multiply the transpose: pointers (matrix, G, out, status), sizes (..., k).

    G is (n_rows, k), out is (n_columns, k).
    """
    pointers = _pointers(stored, index, read("G", dtype), write("out", dtype))
    add = f"part[column * k + j] += ({TYPES[dtype]})data[i] * G[(r + q) * k + j];"
    return _into_columns(name, pointers, "k", dtype, "(int)k", add)


def _gram(name: str, dtype: str, stored: str, index: str) -> str:
    """Add up products of pairs: pointers (matrix, w, out, status), sizes (...).

    w is (n_rows,), out is (n_columns, n_columns). Its two halves are the same to the
    last bit: both are computed, in the same way.
    """
    kind = TYPES[dtype]
    pointers = _pointers(stored, index, read("w", dtype), write("out", dtype))
    add = f"""
                const long long k = begin + j, other = indices[k];
                if ({outside("other", "n_columns")}) {{ *status = 1; break; }}
                const {kind} x = data[i < k ? i : k], y = data[i < k ? k : i];
                part[column * n_columns + other] += x * w[r + q] * y;"""
    n_others = "(int)(end - begin)"
    return _into_columns(name, pointers, "n_columns", dtype, n_others, add)


def _split(n_rows: int, n_columns: int, k: int) -> tuple[int, int]:
    """Return how many columns a warp has, and into how many parts the rows are split.

    With S parts there are W / S tiles of columns for W warps: that many bisections in
    each row, and S times the size of the result to be added up. Both cost the same
    where S² is W times rows over size, times the cost of a bisection.
    """
    size = max(1, n_columns * k)
    splits = min(
        math.isqrt(_BISECTION * _WARPS * n_rows // size),
        _MOST_SPLITS,
        n_rows // _LEAST_ROWS,
        _MOST_BYTES // (8 * size),
    )
    splits = max(1, splits)
    return -(-n_columns // min(max(1, n_columns), -(-_WARPS // splits))), splits


def _transposed_launches(
    n_rows: int, _stored: int, n_columns: int, k: int
) -> list[Launch]:
    if n_columns * k == 0:
        return []
    tile, splits = sizes = _split(n_rows, n_columns, k)
    jobs = -(-n_columns // tile) * splits
    first = Launch("_0", (-(-jobs // _WARPS_OF_BLOCK), 1), sizes)
    second = Launch("_1", (blocks(n_columns * k), 1), sizes)
    return [first, second] if splits > 1 else [first]


def _transposed_workspace(n_rows: int, _stored: int, n_columns: int, k: int) -> int:
    """Return 0, or a result in float64 for each part of the rows: at most 64 MB."""
    _, splits = _split(n_rows, n_columns, k)
    return 8 * splits * n_columns * k if splits > 1 else 0


SPARSE: dict[str, Routine] = {
    "sparse_gram": Routine(
        _gram,
        lambda n_rows, stored, p: _transposed_launches(n_rows, stored, p, p),
        lambda n_rows, stored, p: _transposed_workspace(n_rows, stored, p, p),
    ),
    "sparse_matmul": Routine(_matmul, _matmul_launches),
    "sparse_matmul_transposed": Routine(
        _matmul_transposed, _transposed_launches, _transposed_workspace
    ),
}
"""Routines by name; they take the dtypes of dense, stored elements and indices."""
