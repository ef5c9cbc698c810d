"""The products against NumPy's of float64, in memory that notices stray writes."""

import ctypes
import itertools
import re
from dataclasses import replace

import numpy as np
import pytest

from skgrad.backend.cpu import engine, gemm, gemm_plan
from skgrad.backend.cpu.gemm_plan import host, planned

DTYPES = ["float32", "float64"]
FLAGS = list(itertools.product([False, True], repeat=2))
EXTENTS = [0, 1, 2, 3, 7, 15, 16, 17, 20, 33, 64, 100]
# Nothing, less than a tile, a whole one, one more, several with a rest.
FEW_EXTENTS = [0, 1, 7, 16, 17, 100]
GUARD = 7777.0

# What this machine is not, as far as it can run the code of others: AVX2 with its 16
# registers, vectors of 16 bytes without masked loads, and the code for AVX-512 with
# shorter vectors.
MACHINES = {
    "host": host(),
    "free masks": replace(gemm_plan.AVX512, vector_bytes=32),
    "avx2": gemm_plan.AVX2,
    "sse": gemm_plan.SSE,
}


@pytest.fixture(scope="module", params=list(MACHINES))
def machine(request):
    chosen = MACHINES[request.param]
    if chosen.vector_bytes > host().vector_bytes:
        pytest.skip("this processor has shorter vectors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gemm, "host", lambda: chosen)
        patch.setattr(gemm_plan, "host", lambda: chosen)
        yield chosen


@pytest.fixture(scope="module")
def kernels(machine):
    """Return the compiled products by dtype; the machine is patched in meanwhile."""
    types = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    prototype = ctypes.CFUNCTYPE(None, *types)
    return {
        dtype: prototype(engine.loaded(engine.compiled(gemm.source(dtype)), "kernel"))
        for dtype in DTYPES
    }


def stored(rows, columns, dtype, extra, rng):
    """Return a matrix with gaps of NaN between its rows, and the memory it lies in."""
    memory = np.full((rows, columns + extra), np.nan, dtype)
    memory[:, :columns] = rng.normal(size=(rows, columns))
    return memory[:, :columns], memory


def product(kernels, dtype, a, b, trans_a, trans_b, extra=0):
    """Return A B computed by the kernel, after looking at the memory around it."""
    m, k = a.shape[::-1] if trans_a else a.shape
    n = b.shape[0] if trans_b else b.shape[1]
    memory = np.full((m + 2, n + extra), GUARD, dtype)
    c = memory[1 : m + 1]
    strides = {
        "lda": a.strides[0] // a.itemsize if a.size else None,
        "ldb": b.strides[0] // b.itemsize if b.size else None,
        "ldc": n + extra,
    }
    size = gemm.workspace_bytes(dtype, m, n, k, trans_a, trans_b, **strides)
    raw = np.full(size + 192, 0xA5, np.uint8)
    start = 64 - raw.ctypes.data % 64 + 64
    table = np.array(gemm.sizes(dtype, m, n, k, trans_a, trans_b, **strides))
    addresses = [a.ctypes.data, b.ctypes.data, c.ctypes.data, raw.ctypes.data + start]
    pointers = np.array(addresses, np.uint64)
    kernels[dtype](pointers.ctypes.data, table.ctypes.data, 0)
    assert (raw[:start] == 0xA5).all(), "written before the workspace"
    assert (raw[start + size :] == 0xA5).all(), "written beyond the workspace"
    assert (memory[[0, -1]] == GUARD).all(), "written around C"
    assert (c[:, n:] == GUARD).all(), "written between the rows of C"
    return c[:, :n]


def factors(m, n, k, trans_a, trans_b, dtype, extra, rng):
    a, _ = stored(*((k, m) if trans_a else (m, k)), dtype, extra, rng)
    b, _ = stored(*((n, k) if trans_b else (k, n)), dtype, extra, rng)
    return a, b


def expected(a, b, trans_a, trans_b):
    """Return the product in float64 and a bound of its rounding errors."""
    a, b = a.astype(float), b.astype(float)
    a, b = (a.T if trans_a else a), (b.T if trans_b else b)
    with np.errstate(invalid="ignore"):  # NumPy warns of infinity minus infinity
        return a @ b, np.abs(a) @ np.abs(b)


def assert_product(kernels, dtype, m, n, k, flags, extra, rng):
    a, b = factors(m, n, k, *flags, dtype, extra, rng)
    actual = product(kernels, dtype, a, b, *flags, extra)
    exact, magnitude = expected(a, b, *flags)
    # Higham, Accuracy and Stability of Numerical Algorithms, (3.5): k u |A| |B|.
    bound = max(k, 1) * np.finfo(dtype).eps * magnitude
    wrong = ~(np.abs(actual - exact) <= bound)
    assert not wrong.any(), f"{dtype} {m, n, k} {flags}: {wrong.sum()} wrong"


@pytest.mark.parametrize("flags", FLAGS, ids=["AB", "ABt", "AtB", "AtBt"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_extents(kernels, dtype, flags):
    assert_products(kernels, dtype, flags, FEW_EXTENTS)


@pytest.mark.long
@pytest.mark.parametrize("flags", FLAGS, ids=["AB", "ABt", "AtB", "AtBt"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_extents(kernels, dtype, flags):
    assert_products(kernels, dtype, flags, EXTENTS)


def assert_products(kernels, dtype, flags, extents):
    rng = np.random.default_rng(0)
    for m, n, k in itertools.product(extents, repeat=3):
        extra = (m + 2 * n + k) % 4  # rows without gaps among them
        assert_product(kernels, dtype, m, n, k, flags, extra, rng)


@pytest.mark.parametrize("flags", FLAGS, ids=["AB", "ABt", "AtB", "AtBt"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(64, 20, 1024), (20, 64, 1300), (3, 2, 513), (201, 50, 1025)]
)
def test_blocks_of_rows_and_inner_steps_add_up(kernels, dtype, flags, shape):
    assert_product(kernels, dtype, *shape, flags, 1, np.random.default_rng(0))


@pytest.mark.parametrize("flags", FLAGS, ids=["AB", "ABt", "AtB", "AtBt"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(20, 33, 40), (33, 2, 64), (100, 20, 7)])
def test_nan_and_infinity_propagate_as_in_numpy(kernels, dtype, flags, shape):
    m, n, k = shape
    a, b = factors(m, n, k, *flags, dtype, 1, np.random.default_rng(0))
    left, right = (a.T if flags[0] else a), (b.T if flags[1] else b)
    left[3, 2], left[5, 1], left[7] = np.nan, np.inf, 0
    right[4, 1], right[2, 0] = np.inf, 0  # 0 times infinity is NaN
    exact, magnitude = expected(a, b, *flags)
    actual = product(kernels, dtype, a, b, *flags)
    assert np.isnan(exact).any()
    assert not np.isnan(exact).all()
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(exact))
    np.testing.assert_array_equal(np.isinf(actual), np.isinf(exact))
    fine = np.isfinite(exact)
    bound = k * np.finfo(dtype).eps * magnitude[fine]
    assert (np.abs(actual[fine] - exact[fine]) <= bound).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_either_orientation_gives_the_same_bits(kernels, machine, dtype):
    rng = np.random.default_rng(0)
    a, _ = stored(70, 33, dtype, 0, rng)  # A transposed: (33, 70)
    b, _ = stored(70, 50, dtype, 0, rng)
    results = []
    plan = planned(machine, dtype, (33, 50, 70), (1, 33), (50, 1), 50)
    for chosen in (plan, plan.transposed()):
        c = np.empty((33, 50), dtype)
        space = np.empty(1 << 20, np.uint8)
        pointers = np.array([x.ctypes.data for x in (a, b, c, space)], np.uint64)
        table = np.array(chosen.table())
        kernels[dtype](pointers.ctypes.data, table.ctypes.data, 0)
        results.append(c)
    np.testing.assert_array_equal(*results)


def test_source_does_not_depend_on_sizes_and_keeps_to_its_dtype():
    text = gemm.source("float32")
    assert "double" not in text
    assert not re.search(r"\b(fast|nnan|ninf|nsz|afn|arcp)\b", text)
    assert text == gemm.source("float32")


PREFERENCES = {
    "AVX512": [
        ((32, 64, 20), False, True, True),  # forward
        ((256, 100, 100), False, False, True),  # backward to inputs
        ((256, 100, 10), False, False, False),  # OpenBLAS does not pack
        ((64, 20, 1024), True, False, True),  # backward to weights
        ((64, 20, 256), True, False, False),  # OpenBLAS does not pack
        ((512, 512, 1024), True, False, False),  # beyond the cache
        ((512, 512, 512), False, False, False),  # large
        ((512, 512, 512), False, True, False),  # large
        ((64, 20, 1024), True, True, False),
    ],
    "AVX2": [
        ((32, 64, 20), False, True, True),  # forward
        ((256, 100, 10), False, False, True),  # backward to inputs
        ((1024, 100, 100), False, False, False),
        ((64, 20, 256), True, False, True),  # backward to weights
        ((64, 20, 1024), True, False, True),
        ((512, 20, 4096), True, False, True),
        ((100, 100, 1024), True, False, False),
        ((512, 512, 512), False, True, False),  # large
        ((64, 20, 256), True, True, False),
        ((32, 6400, 144), False, False, True),  # a convolution
        ((64, 25600, 288), False, False, False),  # a large one
        ((288, 25600, 64), True, False, False),  # backward to inputs
        ((64, 288, 25600), False, True, False),  # backward to weights
        ((16, 102400, 9), False, False, True),  # few terms
        ((32, 27, 25600), False, True, True),
    ],
}


@pytest.mark.parametrize(
    ("name", "case"),
    [(name, case) for name in PREFERENCES for case in PREFERENCES[name]],
)
def test_preference(monkeypatch, name, case):
    shape, trans_a, trans_b, own = case
    monkeypatch.setattr(gemm, "host", lambda: getattr(gemm_plan, name))
    assert gemm.prefers_own("float32", *shape, trans_a, trans_b) is own


def test_workspace_does_not_grow_with_the_inner_extent():
    assert gemm.workspace_bytes("float32", 64, 20, 10**6, True) == (
        gemm.workspace_bytes("float32", 64, 20, 1000, True)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("float16", 1, 1, 1), "float32 or float64.*float16"),
        (("float32", 2, -1, 3), "negative.*m=2, n=-1, k=3"),
        (("float32", 2, 3, 4, False, False, 3), "lda.*4.*Got 3"),
        (("float32", 2, 3, 4, True, True, None, 3), "ldb.*4.*Got 3"),
        (("float32", 2, 3, 4, False, False, None, None, 1), "ldc.*3.*Got 1"),
    ],
)
def test_errors_name_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        gemm.sizes(*arguments)


def test_unknown_dtype_has_no_source():
    with pytest.raises(ValueError, match="int64"):
        gemm.source("int64")
