"""The weighted Gram matrix against NumPy's products of float64."""

import ctypes
import re
from dataclasses import replace

import numpy as np
import pytest

from skgrad.backend.cpu import engine, gemm_plan, gram
from skgrad.backend.cpu.gemm_plan import host

GUARD = 7777.0
MACHINES = {
    "host": host(),
    "free masks": replace(gemm_plan.AVX512, vector_bytes=32),
    "sse": gemm_plan.SSE,
}


@pytest.fixture(scope="module", params=list(MACHINES))
def kernels(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gram, "host", lambda: MACHINES[request.param])
        types = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        prototype = ctypes.CFUNCTYPE(None, *types)
        yield {
            dtype: prototype(
                engine.loaded(engine.compiled(gram.source(dtype)), "kernel")
            )
            for dtype in ("float32", "float64")
        }


def computed(kernel, x, w):
    """Return the matrix, after looking at the memory around all that is written."""
    n, p = x.shape
    memory = np.full(p * p + 16, GUARD, x.dtype)
    size = gram.workspace_bytes()
    raw = np.full(size + 192, 0xA5, np.uint8)
    start = 128 - raw.ctypes.data % 64
    table = np.array([n, p, x.strides[0] // x.itemsize if n else p])
    addresses = [x.ctypes.data, w.ctypes.data, memory.ctypes.data + 8 * x.itemsize]
    pointers = np.array([*addresses, raw.ctypes.data + start], np.uint64)
    kernel(pointers.ctypes.data, table.ctypes.data, 0)
    assert (raw[:start] == 0xA5).all(), "written before the workspace"
    assert (raw[start + size :] == 0xA5).all(), "written beyond the workspace"
    assert (memory[[*range(8), *range(-8, 0)]] == GUARD).all(), "written around C"
    return memory[8:-8].reshape(p, p)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 20, 31, 33, 50, 100])
@pytest.mark.parametrize("n", [0, 1, 5, 127, 128, 129, 400])
def test_all_extents(kernels, dtype, p, n, rng):
    rows = np.full((n, p + n % 3), np.nan, dtype)  # gaps between the rows
    rows[:, :p] = rng.normal(size=(n, p))
    x, w = rows[:, :p], rng.normal(size=n).astype(dtype)
    actual = computed(kernels[dtype], x, w)
    z, d = x.astype(float), w.astype(float)
    exact = z.T @ (d[:, np.newaxis] * z)
    magnitude = np.abs(z).T @ (np.abs(d)[:, np.newaxis] * np.abs(z))
    # Higham, Accuracy and Stability of Numerical Algorithms, (3.5): k u |A| |B|.
    bound = (n + 1) * np.finfo(dtype).eps * magnitude
    assert (np.abs(actual - exact) <= bound).all()
    np.testing.assert_array_equal(actual, actual.T)


def test_not_a_number_spreads(kernels):
    x, w = np.ones((3, 5)), np.array([1.0, np.nan, 1.0])
    assert np.isnan(computed(kernels["float64"], x, w)).all()


def test_source_keeps_to_its_dtype():
    text = gram.source("float32")
    assert "double" not in text
    assert not re.search(r"\b(fast|nnan|ninf|nsz|afn|arcp)\b", text)


def test_unknown_dtype_has_no_source():
    with pytest.raises(ValueError, match="int64"):
        gram.source("int64")
