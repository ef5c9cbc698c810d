"""Instructions that are not kernels, against the reference backend's functions."""

import numpy as np
import pytest
from backend.cpu.test_driver import record

from skgrad.backend.cpu.driver import run
from skgrad.backend.reference import instruction as reference


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


@pytest.mark.parametrize(
    "row", [(1, "int8"), (1, "f4"), (1, "f8"), (20, "f4"), (3, "?")]
)
def test_rows_are_gathered(row, rng):
    width, dtype = row
    source = rng.integers(0, 2 if dtype == "?" else 99, size=(9, width)).astype(dtype)
    indices = rng.integers(0, 9, size=(4, 5))
    out, intact = guarded((5, width), dtype)
    for step in range(4):
        sizes = (5, width * source.itemsize)
        call("copy_rows", [source, indices, out], sizes, step=step)
        np.testing.assert_array_equal(out, source[indices[step]])
    assert intact()


AXES = [
    ((2, 5, 3), 1),
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
    expected = reference("take")(x, indices, axis - x.ndim)
    taken, intact = guarded(expected.shape, dtype)
    sizes = (outer, n, inner, 6)
    call("take", [x, indices, taken, status], sizes, (dtype, "int64"))
    np.testing.assert_array_equal(taken, expected)
    assert intact()
    back = reference("scatter_add")(expected, indices % n, axis - x.ndim, n)
    out, intact = guarded(back.shape, dtype)
    call("scatter_add", [taken, indices, out, status], sizes, (dtype, "int64"))
    np.testing.assert_allclose(out, back, rtol=1e-6)
    assert intact()
    assert status[0] == 0


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
    expected = reference("cumsum")(x, axis - x.ndim, reverse)
    np.testing.assert_allclose(out, expected, rtol=1e-13)
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


@pytest.mark.parametrize("size", [1, 3, 4, 7, 100])
def test_random_bits_are_the_reference_s(size):
    key = np.array([7, 3], dtype=np.uint32)
    step, rows = np.array(2**33 + 5), np.array([0, 9, 2**32 - 1], dtype=np.uint32)
    out, intact = guarded((3, size), "uint32")
    call("random_bits", [key, step, rows, out], (3, size, 11))
    expected = reference("random_bits")(key, step, rows, (size,), 11)
    np.testing.assert_array_equal(out, expected)
    assert intact()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("turned", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_products_by_blas(dtype, turned, rng):
    from skgrad.backend.cpu import backend, library  # noqa: PLC0415 - loads BLAS

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
        pointers[3] = library.blas_pointer(dtype)
        table = np.array(sizes, dtype=np.int64)
        address = backend._library("blas_gemm", dtype)
        run(np.array([[address, pointers.ctypes.data, table.ctypes.data]]), 0, 1, 0, 1)
        tol = 1e-4 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(out[:, :, :n], a @ b, rtol=tol, atol=tol)
        assert (out[:, :, n:] == 7).all()
