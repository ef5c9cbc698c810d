"""Nanoseconds per element of the kernels' mathematical functions, beside NumPy's.

    python benchmarks/bench_mathematics.py [--size 10000] [--output FILE]

A loop over contiguous arrays that stay in the cache, compiled as kernels are, against
the ufunc of NumPy (SciPy for sigmoid and erf, ``logaddexp(x, 0)`` for softplus) writing
to an array; alone, and fused with a product, f(x) y, against two ufuncs. Medians of
interleaved runs, one thread; a product of two arrays is timed beside each round: where
it moves, the machine moved. Arguments: normal with standard deviation 2, for
logarithms and powers exponentials of normal numbers. The last column is what the
object code is made of: the widest vectors, and calls, of which there should be none.
"""

import argparse
import re
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import scipy
from scipy import special

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from backend.cpu.array_number import kernel, loop_source  # noqa: E402

from skgrad.backend.cpu import engine  # noqa: E402
from skgrad.backend.mathematics.preamble import PREAMBLE  # noqa: E402

PEERS = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": special.expit,
    "softplus": lambda x, out: np.logaddexp(x, x.dtype.type(0), out=out),
    "erf": special.erf,
    "sin": np.sin,
    "cos": np.cos,
    "power": np.power,
}
ROUNDS, CALLS = 31, 10


def contenders(name, dtype, size):
    """Return functions of no arguments that compute the same, by column."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 2, size).astype(dtype)
    if name in {"log", "log1p", "power"}:
        x = np.exp(x)
    y, z = (rng.normal(size=size).astype(dtype) for _ in range(2))
    out, function, peer = np.empty_like(x), PREAMBLE[name], PEERS[name]
    inputs = (x, y) if name == "power" else (x,)
    types = [dtype] * len(inputs)
    alone = kernel(function, types, [dtype])
    fused = kernel(lambda *v: function(*v[:-1]) * v[-1], [*types, dtype], [dtype])
    # Addresses are taken here: numpy.ndarray.ctypes costs microseconds.
    alone_arguments = (size, *(a.ctypes.data for a in (*inputs, out)))
    fused_arguments = (size, *(a.ctypes.data for a in (*inputs, z, out)))

    def two_ufuncs():
        peer(*inputs, out=out)
        np.multiply(out, z, out=out)

    functions = {
        "ours": lambda: alone(*alone_arguments),
        "NumPy": lambda: peer(*inputs, out=out),
        "ours, f(x) y": lambda: fused(*fused_arguments),
        "NumPy, f(x) y": two_ufuncs,
        "control": lambda: np.multiply(y, z, out=out),
    }
    functions["ours, f(x) y"]()
    ours = out.copy()
    two_ufuncs()
    np.testing.assert_allclose(ours, out, rtol=32 * np.finfo(dtype).eps)
    return functions


def nanoseconds(functions, size):
    """Return the median time per element of each function."""
    samples = {column: [] for column in functions}
    for _ in range(ROUNDS):
        for column, function in functions.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                function()
            samples[column].append(time.perf_counter() - start)
    return {
        column: statistics.median(times) / (CALLS * size) * 1e9
        for column, times in samples.items()
    }


def assembly(name, dtype):
    """Return the widest vector registers of the code, and how many calls it has."""
    n = 2 if name == "power" else 1
    module = engine.optimized(loop_source(PREAMBLE[name], [dtype] * n, [dtype]))
    text = engine._machine().emit_assembly(module)
    widths = [w for w in ("zmm", "ymm", "xmm", "v") if re.search(rf"\b{w}\d", text)]
    n_calls = len(re.findall(r"\tcall|\tbl\t", text))
    return f"{widths[0]}, {n_calls} calls"


def table(size):
    """Return the rows of the results, measured now."""
    rows = []
    for dtype in ("float32", "float64"):
        for name in PEERS:
            times = nanoseconds(contenders(name, dtype, size), size)
            row = [
                name,
                dtype,
                *(f"{t:.2f}" for t in list(times.values())[:2]),
                f"{times['NumPy'] / times['ours']:.2f}",
                *(f"{t:.2f}" for t in list(times.values())[2:4]),
                f"{times['NumPy, f(x) y'] / times['ours, f(x) y']:.2f}",
                f"{times['control']:.2f}",
                assembly(name, dtype),
            ]
            print(*row, sep="  ")
            rows.append(row)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument(
        "--output", type=Path, default=HERE / "results" / "bench_mathematics.md"
    )
    arguments = parser.parse_args()
    columns = ("function", "dtype", "ours", "NumPy", "ratio", "ours, f(x) y")
    columns += ("NumPy, f(x) y", "ratio", "control", "code")
    lines = [
        "# Mathematical functions beside NumPy's",
        "",
        "Written by `python benchmarks/bench_mathematics.py`: nanoseconds per element,"
        f" {arguments.size:,} elements, one thread, medians of {ROUNDS} interleaved"
        f" rounds; NumPy {np.__version__}, SciPy {scipy.__version__},"
        f" {engine.target().split('|')[3]}. Ratio: NumPy's time over ours; above 1 ours"
        " is faster. Control: a product of two arrays.",
        "",
        "| " + " | ".join(columns) + " |",
        "| " + " | ".join("---" for _ in columns) + " |",
        *("| " + " | ".join(row) + " |" for row in table(arguments.size)),
    ]
    arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
