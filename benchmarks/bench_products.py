"""Rates of our matrix products beside those of SciPy's BLAS.

    python benchmarks/bench_products.py

The products of minibatch training, batch b, p inputs, h hidden units, o outputs:
forward, backward to the weights and to the inputs. Both sides are called from one
compiled loop, so Python is not timed. Results are compared first, then timed in turns:
rates are medians over the rounds, a ratio is the median of the ratios within a round,
so that it holds where the machine is shared. One BLAS thread. Matrices begin at a
multiple of 64 bytes, as they do in an arena. Writes results/bench_products.md.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import ctypes
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import scipy
import scipy.linalg.cython_blas as cython_blas

from skgrad.backend.cpu import engine, gemm

RESULT = Path(__file__).parent / "results" / "bench_products.md"
ROUNDS = 41
SECONDS = 3e-4  # of one measurement


def products():
    """Yield what it is, m, n, k and whether A and B are stored transposed."""
    for b in (32, 200, 256, 1024):
        for h in (64, 100, 256):
            for p in (10, 20, 50):
                yield "forward", b, h, p, False, True
                yield "to weights", h, p, b, True, False
            for o in (2, 3, 10):
                yield "forward", b, o, h, False, True
                yield "to weights", o, h, b, True, False
                yield "to inputs", b, h, o, False, False
            yield "forward", b, h, h, False, True
            yield "to weights", h, h, b, True, False
            yield "to inputs", b, h, h, False, False


# --- calling compiled code without Python -----------------------------------------


def compiled_loop(count):
    """Return a function that calls another with so many pointers, many times."""
    values = ", ".join(f"ptr %v{i}" for i in range(count))
    loads = "\n".join(
        f"  %p{i} = getelementptr ptr, ptr %table, i64 {i}\n"
        f"  %v{i} = load ptr, ptr %p{i}"
        for i in range(count)
    )
    code = f"""
define void @repeat(ptr %f, ptr %table, i64 %n) {{
entry:
{loads}
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%j, %loop]
  call void %f({values})
  %j = add i64 %i, 1
  %more = icmp slt i64 %j, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}}
"""
    address = engine.loaded(engine.compiled(code), "repeat")
    types = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    return ctypes.CFUNCTYPE(None, *types)(address)


def blas_address(name):
    capsule = cython_blas.__pyx_capi__[name]
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get_pointer.restype = ctypes.c_void_p
    get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return get_pointer(capsule, get_name(capsule))


def aligned(x):
    memory = np.empty(x.nbytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    y = memory[start : start + x.nbytes].view(x.dtype).reshape(x.shape)
    y[...] = x
    return y


def caller(loop, function, arrays):
    """Return ``call(n)``: n calls of a function of these arrays' addresses."""
    table = np.array([x.ctypes.data for x in arrays], np.uint64)

    def call(n, keep=arrays):
        loop(function, table.ctypes.data, n)

    return call


def blas(loop, A, B, C, trans_a, trans_b):
    """Row-major C = A B is column-major C' = B' A'."""
    m, n = C.shape
    k = A.shape[0] if trans_a else A.shape[1]
    integers = [np.array([x], np.int32) for x in (n, m, k, *map(width, (B, A, C)))]
    flags = [np.array([ord("T" if t else "N")], np.uint8) for t in (trans_b, trans_a)]
    one, zero = np.ones(1, C.dtype), np.zeros(1, C.dtype)
    n, m, k, ldb, lda, ldc = integers
    arrays = [*flags, n, m, k, one, B, ldb, A, lda, zero, C, ldc]
    name = "sgemm" if C.dtype == np.float32 else "dgemm"
    return caller(loop, blas_address(name), arrays)


def width(x):
    return x.shape[1]


def own(loop, kernels, A, B, C, trans_a, trans_b):
    m, n = C.shape
    k = A.shape[0] if trans_a else A.shape[1]
    dtype = C.dtype.name
    table = np.array(gemm.sizes(dtype, m, n, k, trans_a, trans_b))
    size = gemm.workspace_bytes(dtype, m, n, k, trans_a, trans_b)
    workspace = aligned(np.zeros(size, np.uint8))
    matrices = (A, B, C, workspace)
    pointers = np.array([x.ctypes.data for x in matrices], np.uint64)
    # The third argument, the step, is an integer that is not used: any will do.
    return caller(loop, kernels[dtype], [pointers, table, pointers, *matrices])


# --- timing -----------------------------------------------------------------------


def measured(functions, operations):
    """Return the rates of two functions in GFLOP/s, and the ratio of the second."""
    calls = max(1, int(SECONDS * 5e10 / operations))
    rates = []
    for _ in range(ROUNDS):
        pair = []
        for function in functions:
            start = time.perf_counter()
            function(calls)
            seconds = time.perf_counter() - start
            pair.append(calls * operations / seconds / 1e9)
        rates.append(pair)
    first, second = (statistics.median(x) for x in zip(*rates, strict=True))
    return first, second, statistics.median(y / x for x, y in rates)


def compared(loops, kernels, dtype, m, n, k, trans_a, trans_b):
    """Return what `measured` does for BLAS and ours, after comparing results."""
    rng = np.random.default_rng(0)
    A = aligned(rng.normal(size=(k, m) if trans_a else (m, k)).astype(dtype))
    B = aligned(rng.normal(size=(n, k) if trans_b else (k, n)).astype(dtype))
    C, D = (aligned(np.full((m, n), np.nan, dtype)) for _ in range(2))
    functions = [
        blas(loops[13], A, B, C, trans_a, trans_b),
        own(loops[3], kernels, A, B, D, trans_a, trans_b),
    ]
    for function in functions:
        function(1)
    tolerance = 10 * k * np.finfo(dtype).eps
    np.testing.assert_allclose(D, C, rtol=tolerance, atol=tolerance)
    return measured(functions, 2 * m * n * k)


def compiled_kernels():
    """Return addresses by dtype, and the seconds they took to compile."""
    kernels, seconds = {}, {}
    for dtype in ("float32", "float64"):
        text = gemm.source(dtype)
        start = time.perf_counter()
        code = engine.compiled(text)
        seconds[dtype] = time.perf_counter() - start
        kernels[dtype] = engine.loaded(code, "kernel")
    return kernels, seconds


def summary(rows):
    lines = []
    for own_side in (True, False):
        ratios = [ratio for preferred, ratio in rows if preferred is own_side]
        lines.append(
            f"- {len(ratios)} products {'ours' if own_side else 'left to BLAS'} by "
            f"`prefers_own`: ratio ours / BLAS {min(ratios):.2f} to {max(ratios):.2f}, "
            f"geometric mean {statistics.geometric_mean(ratios):.2f}, "
            f"below 0.95: {sum(r < 0.95 for r in ratios)}."
        )
    return lines


def report():
    loops = {n: compiled_loop(n) for n in (3, 13)}
    kernels, seconds = compiled_kernels()
    rows, table = [], []
    for name, *shape in products():
        cells = []
        for dtype in ("float32", "float64"):
            *rates, ratio = compared(loops, kernels, dtype, *shape)
            preferred = gemm.prefers_own(dtype, *shape)
            rows.append((preferred, ratio))
            cells += [f"{x:.0f}" for x in rates]
            cells += [f"{ratio:.2f}", "own" if preferred else "BLAS"]
        extents = " x ".join(map(str, shape[:3]))
        table.append(f"| {name} | {extents} | " + " | ".join(cells) + " |")
    return "\n".join(
        [
            "# Matrix products of minibatch training, GFLOP/s",
            "",
            f"{platform.processor() or platform.machine()}, {platform.system()}, "
            f"NumPy {np.__version__}, SciPy {scipy.__version__} and its OpenBLAS, one "
            f"thread; compiled in "
            + ", ".join(f"{s:.2f} s ({d})" for d, s in seconds.items())
            + ".",
            "Written by `benchmarks/bench_products.py`. Extents are m x n x k; *rule* "
            "is what `prefers_own` says.",
            "",
            *summary(rows),
            "",
            "| product | extents | BLAS f32 | ours | ratio | rule "
            "| BLAS f64 | ours | ratio | rule |",
            "| --- " * 10 + "|",
            *table,
            "",
        ]
    )


if __name__ == "__main__":
    text = report()
    RESULT.write_text(text)
    print(text)
