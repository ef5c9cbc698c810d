"""Instructions that are not kernels, against the reference backend's functions."""

import re

import numpy as np
import pytest
from backend.cpu.test_driver import record

from skgrad.backend.cpu import engine
from skgrad.backend.cpu.driver import run
from skgrad.backend.cpu.library import LIBRARY
from skgrad.backend.reference import NUMPY


def call(name, arrays, sizes, dtypes=(), step=0):
    one, _kept = record(name, arrays, sizes, dtypes)
    run(np.array([one]), 0, 1, step, 1)


def guarded(shape, dtype):
    """Return an array with a guard on either side, and a check of the guards."""
    size = int(np.prod(shape))
    memory = np.full(size + 16, 77, dtype=dtype)
    inside = memory[8 : 8 + size].reshape(shape)

    def intact():
        outside = np.concatenate([memory[:8], memory[8 + size :]])
        return (outside == memory.dtype.type(77)).all()

    return inside, intact


# Below, at and above each of the pieces rows are copied by: 32, 8, 4 and 1 bytes.
@pytest.mark.parametrize("dtype", ["int8", "float32", "float64", "bool"])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8, 9, 15, 16, 20, 31, 32, 33, 64, 80])
def test_rows_are_gathered(width, dtype, rng):
    source = rng.integers(0, 2 if dtype == "bool" else 99, size=(9, width)).astype(
        dtype
    )
    indices = rng.integers(0, 9, size=(4, 5))
    out, intact = guarded((5, width), dtype)
    for step in range(4):
        sizes = (5, width * source.itemsize)
        call("copy_rows", [source, indices, out], sizes, step=step)
        np.testing.assert_array_equal(out, source[indices[step]])
    assert intact()


@pytest.mark.parametrize(("n_rows", "width"), [(0, 4), (4, 0), (0, 0)])
def test_no_rows_and_rows_of_nothing(n_rows, width):
    out, intact = guarded((n_rows, width), "int8")
    indices = np.zeros(2 * n_rows, dtype=np.int64)
    call("copy_rows", [np.ones(9, "int8"), indices, out], (n_rows, width), step=1)
    assert intact()


@pytest.mark.parametrize("n_bytes", [0, 1, 3, 4, 7, 8, 31, 32, 33, 64, 100, 4097])
def test_rows_of_tables(n_bytes, rng):
    table = rng.integers(0, 99, size=(4, n_bytes)).astype("int8")
    row, intact = guarded((n_bytes,), "int8")
    copy, copy_intact = guarded((4, n_bytes), "int8")
    for step in (2, 0):
        call("read_table", [table, row], (n_bytes,), step=step)
        np.testing.assert_array_equal(row, table[step])
        copy[...] = 77
        call("write_table", [row, copy], (n_bytes,), step=step)
        np.testing.assert_array_equal(copy[step], table[step])
        assert (np.delete(copy, step, axis=0) == 77).all()
    assert intact()
    assert copy_intact()


@pytest.mark.parametrize("n_bytes", [0, 1, 5, 64, 1000])
def test_zeros(n_bytes):
    out, intact = guarded((n_bytes,), "int8")
    out[...] = 3
    call("fill_zero", [out], (n_bytes,))
    assert not out.any()
    assert intact()


AXES = [
    ((2, 5, 3), 1),
    ((2, 5, 13), 1),
    ((2, 3, 32), 1),
    ((5,), 0),
    ((4, 5), 0),
    ((4, 5), 1),
    ((0, 3), 1),
    ((2, 3, 0), 1),
]


def around(shape, axis):
    return int(np.prod(shape[:axis])), shape[axis], int(np.prod(shape[axis + 1 :]))


@pytest.mark.parametrize(("shape", "axis"), AXES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_take_and_scatter_add(shape, axis, dtype, rng):
    x = rng.normal(size=shape).astype(dtype)
    outer, n, inner = around(shape, axis)
    indices = rng.integers(-n, n, size=6)
    status = np.zeros(1, dtype=np.int64)
    expected = NUMPY.instruction("take")(x, indices, axis - x.ndim)
    taken, intact = guarded(expected.shape, dtype)
    sizes = (outer, n, inner, 6)
    call("take", [x, indices, taken, status], sizes, (dtype, "int64"))
    np.testing.assert_array_equal(taken, expected)
    assert intact()
    back = NUMPY.instruction("scatter_add")(expected, indices % n, axis - x.ndim, n)
    out, intact = guarded(back.shape, dtype)
    call("scatter_add", [taken, indices, out, status], sizes, (dtype, "int64"))
    np.testing.assert_allclose(out, back, rtol=1e-6)
    assert intact()
    assert status[0] == 0


@pytest.mark.parametrize(
    ("dtype", "index_dtype"), [("int64", "int32"), ("float32", "uint64")]
)
def test_take_and_scatter_add_of_other_dtypes(dtype, index_dtype, rng):
    x = rng.integers(-99, 99, size=(4, 3)).astype(dtype)
    indices = rng.integers(0, 4, size=7).astype(index_dtype)
    status = np.zeros(1, dtype=np.int64)
    taken, out = np.zeros((7, 3), dtype), np.full((4, 3), 9, dtype)
    sizes, dtypes = (1, 4, 3, 7), (dtype, index_dtype)
    call("take", [x, indices, taken, status], sizes, dtypes)
    np.testing.assert_array_equal(taken, x[indices])
    call("scatter_add", [taken, indices, out, status], sizes, dtypes)
    np.testing.assert_array_equal(
        out, NUMPY.instruction("scatter_add")(taken, indices, -2, 4)
    )
    assert status[0] == 0


def test_bools_are_taken():
    x, out = np.array([True, False, True]), np.zeros(4, dtype=bool)
    indices, status = np.array([1, 0, -1, 1]), np.zeros(1, dtype=np.int64)
    call("take", [x, indices, out, status], (1, 3, 1, 4), ("bool", "int64"))
    assert out.tolist() == [False, True, True, False]
    assert status[0] == 0


@pytest.mark.parametrize("name", ["take", "scatter_add"])
def test_an_unsigned_index_does_not_count_from_the_end(name):
    x, indices = np.ones(5, "float32"), np.array([2**64 - 1], dtype=np.uint64)
    out, intact = guarded((1,) if name == "take" else (5,), "float32")
    status = np.zeros(1, dtype=np.int64)
    call(name, [x, indices, out, status], (1, 5, 1, 1), ("float32", "uint64"))
    assert status[0] == 1
    assert intact()


@pytest.mark.parametrize("inner", [1, 3, 40])
@pytest.mark.parametrize("index", [-6, 5, -(2**63), 2**63 - 1])
def test_nothing_outside_is_taken(index, inner):
    memory = np.full((25, inner), np.nan)
    x = memory[10:15]
    x[...] = 1
    indices, status = np.array([3, index]), np.zeros(1, dtype=np.int64)
    out, intact = guarded((2, inner), "float64")
    call("take", [x, indices, out, status], (1, 5, inner, 2), ("float64", "int64"))
    assert status[0] == 1
    assert (out == 1).all()
    assert intact()


@pytest.mark.parametrize("name", ["take", "scatter_add"])
@pytest.mark.parametrize("index", [0, -1])
def test_nothing_is_in_an_axis_of_extent_zero(name, index):
    x, indices = np.zeros(0), np.array([index])
    out, intact = guarded((3,), "float64")
    out[...] = 77
    status = np.zeros(1, dtype=np.int64)
    call(name, [x, indices, out, status], (1, 0, 3, 1), ("float64", "int64"))
    assert status[0] == 1
    assert (out == 77).all()
    assert intact()


@pytest.mark.parametrize("index", [5, -6, 2**40])
@pytest.mark.parametrize("name", ["take", "scatter_add"])
def test_an_index_out_of_range_sets_the_status_and_touches_nothing(name, index):
    x, indices = np.ones(5), np.array([0, index])
    out, intact = guarded((2,) if name == "take" else (5,), "float64")
    status = np.zeros(1, dtype=np.int64)
    arrays = [x if name == "take" else x[:2], indices, out, status]
    call(name, arrays, (1, 5, 1, 2), ("float64", "int64"))
    assert status[0] == 1
    assert intact()


@pytest.mark.parametrize(("shape", "axis"), AXES)
@pytest.mark.parametrize("reverse", [False, True])
def test_cumsum(shape, axis, reverse, rng):
    x = rng.normal(size=shape)
    out, intact = guarded(shape, "float64")
    call("cumsum", [x, out], (*around(shape, axis), int(reverse)), ("float64",))
    expected = NUMPY.instruction("cumsum")(x, axis - x.ndim, reverse)
    np.testing.assert_allclose(out, expected, rtol=1e-13)
    assert intact()


@pytest.mark.parametrize("inner", [1, 7, 8, 9, 24])
@pytest.mark.parametrize("reverse", [False, True])
def test_cumsum_of_many_columns(inner, reverse, rng):
    x = rng.normal(size=(2, 9, inner))
    x[:, 4, inner // 2] = np.nan
    out, intact = guarded(x.shape, "float64")
    call("cumsum", [x, out], (2, 9, inner, int(reverse)), ("float64",))
    expected = NUMPY.instruction("cumsum")(x, -2, reverse)
    np.testing.assert_array_equal(out, expected)  # NumPy adds in the same order
    assert intact()


def test_the_sum_of_a_negative_zero_keeps_its_sign():
    x, out = np.full(3, -0.0), np.zeros(3)
    call("cumsum", [x, out], (1, 3, 1, 0), ("float64",))
    assert np.signbit(out).all()


def test_cumsum_of_integers_wraps_around(rng):
    x = rng.integers(2**30, 2**31, size=(20, 9)).astype("int32")
    out, intact = guarded(x.shape, "int32")
    call("cumsum", [x, out], (1, 20, 9, 0), ("int32",))
    np.testing.assert_array_equal(out, np.cumsum(x, axis=0, dtype="int32"))
    assert intact()


@pytest.mark.parametrize(("shape", "axis"), [((3, 7, 4), 1), ((0, 3), 1), ((3, 0), 0)])
@pytest.mark.parametrize("dtype", ["int32", "bool", "float64"])
def test_argmax(shape, axis, dtype, rng):
    x = rng.integers(0, 2 if dtype == "bool" else 5, size=shape) - (dtype == "int32")
    x = x.astype(dtype)
    expected = NUMPY.instruction("argmax")(x, axis - x.ndim)
    out, intact = guarded(expected.shape, "int64")
    call("argmax", [x, out], around(shape, axis), (dtype,))
    np.testing.assert_array_equal(out, expected)
    assert intact()


@pytest.mark.parametrize(
    "column", [[1, 3, 3], [np.nan, 5, np.nan], [2, np.nan, 9], [0, 0, 0]]
)
def test_the_first_maximum_wins_and_the_first_nan(column, rng):
    x = np.stack([np.array(column, dtype=float), rng.normal(size=3)], axis=1)
    out = np.zeros(2, dtype=np.int64)
    call("argmax", [x, out], (1, 3, 2), ("float64",))
    assert out.tolist() == np.argmax(x, axis=0).tolist()


def test_argmax_of_many_rows_needs_no_stack():
    x = np.zeros((3_000_000, 2), dtype=np.float32)
    x[:, 1] = 1
    out = np.zeros(len(x), dtype=np.int64)
    call("argmax", [x, out], (len(x), 2, 1), ("float32",))
    assert (out == 1).all()


# Every remainder of blocks of four words, and of vectors of eight blocks.
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 7, 31, 32, 33, 64, 95, 100, 130])
def test_random_bits_are_the_reference_s(size):
    key = np.array([7, 3], dtype=np.uint32)
    step, rows = np.array(2**33 + 5), np.array([0, 9, 2**32 - 1], dtype=np.uint32)
    out, intact = guarded((3, size), "uint32")
    call("random_bits", [key, step, rows, out], (3, size, 11))
    expected = NUMPY.instruction("random_bits")(key, step, rows, (size,), 11)
    np.testing.assert_array_equal(out, expected)
    assert intact()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("turned", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_products_by_blas(dtype, turned, rng):
    from skgrad.backend.cpu import backend, blas  # noqa: PLC0415 - loads BLAS

    for m, n, k in [(3, 4, 5), (1, 2, 300), (2, 3, 0), (0, 2, 2), (65, 33, 17)]:
        a, b = rng.normal(size=(2, m, k)), rng.normal(size=(2, k, n))
        stored = [
            np.ascontiguousarray(x.swapaxes(1, 2) if t else x).astype(dtype)
            for x, t in zip((a, b), turned, strict=True)
        ]
        out = np.full((2, m, n + 2), 7, dtype=dtype)
        widths = [max(1, s.shape[2]) for s in stored]
        strides = [s[0].size for s in stored]
        sizes = (m, n, k, *widths, n + 2, *turned, 2, *strides, m * (n + 2))
        pointers = np.array([*(x.ctypes.data for x in (*stored, out)), 0])
        pointers[3] = blas.blas_pointer(dtype)
        table = np.array(sizes, dtype=np.int64)
        address = backend._library("blas_gemm", dtype)
        run(np.array([[address, pointers.ctypes.data, table.ctypes.data]]), 0, 1, 0, 1)
        tol = 1e-4 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(out[:, :, :n], a @ b, rtol=tol, atol=tol)
        assert (out[:, :, n:] == 7).all()


SOURCES = {
    "argmax": ("float32",),
    "blas_gemm": ("float32",),
    "cumsum": ("float32",),
    "scatter_add": ("float32", "int64"),
    "take": ("float32", "int64"),
}


@pytest.mark.parametrize("name", LIBRARY)
def test_nothing_allocates(name):
    text = LIBRARY[name](*SOURCES.get(name, ()))
    *_, body = text.split("define internal")
    first, *others = re.split(r"^[\w.]+:$", body, flags=re.M)[1:]
    # A place on the stack, if at all, once: in a loop it would be one per turn.
    assert not any("alloca" in block for block in others)
    assert "alloca" in first or name not in ("argmax", "blas_gemm", "random_bits")
    optimised = str(engine.optimized(text))
    called = re.findall(r"call [^@\n]*@([\w.]+)", optimised)
    assert all(function.startswith("llvm.") for function in called), called
    n_calls = len(re.findall(r"^.*\bcall\b", optimised, flags=re.M)) - len(called)
    assert n_calls == 0 if name != "blas_gemm" else n_calls > 0  # through a pointer
    assert not set(re.findall(r"\w+", text)) & {"double", "fast", "nnan", "ninf"}
