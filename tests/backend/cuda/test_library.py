"""Instructions that are not kernels as CUDA C: the CPU's tests, and larger sizes."""

from itertools import chain

import numpy as np
import pytest
from backend.cpu import test_library as cpu
from backend.cuda import host

from skgrad.backend.cpu.library import LIBRARY as CPU_LIBRARY
from skgrad.backend.cpu.sparse import SPARSE
from skgrad.backend.cuda.library import LIBRARY, MOVES, as_move
from skgrad.backend.reference import NUMPY


@pytest.fixture(autouse=True)
def on_the_host(monkeypatch):
    host.compiler()
    monkeypatch.setattr(cpu, "call", call)


def call(name, arrays, sizes, dtypes=(), step=0):
    """Run an instruction; one that moves bytes is the only one of several."""
    if name not in MOVES:
        host.call_instruction(name, arrays, sizes, dtypes, step)
        return
    addresses = [array.ctypes.data for array in arrays]
    pointers, sizes = as_move(name, addresses, list(sizes))
    host.routines([("moves", (name,))])["moves", (name,)](pointers, sizes, step)


def test_every_instruction_of_the_cpu_has_a_routine():
    products = {"blas_gemm"}  # cuBLAS has them
    names = set(LIBRARY) - {"next_step", "moves"} | set(MOVES)
    assert {*CPU_LIBRARY, *SPARSE} - products == names


def test_moves_of_several_sizes_at_once(rng):
    sources = [rng.integers(0, 99, size=(40, n)).astype("int8") for n in (3, 8, 1000)]
    indices = rng.integers(0, 40, size=(2, 7))
    outs = [cpu.guarded((7, source.shape[1]), "int8") for source in sources]
    table, (row, row_intact) = rng.normal(size=(2, 1)), cpu.guarded((1,), "float64")
    kinds = ("copy_rows", "copy_rows", "read_table", "copy_rows")
    moves = [[s, indices, out] for s, (out, _) in zip(sources, outs, strict=True)]
    moves.insert(2, [table, indices, row])
    sizes = [7, 3, 7, 8, 1, 8, 7, 1000]
    host.call_instruction("moves", list(chain(*moves)), sizes, kinds, step=1)
    for source, (out, intact) in zip(sources, outs, strict=True):
        np.testing.assert_array_equal(out, source[indices[1]])
        assert intact()
    assert (row[0], row_intact()) == (table[1, 0], True)


test_rows_are_gathered = cpu.test_rows_are_gathered
test_no_rows_and_rows_of_nothing = cpu.test_no_rows_and_rows_of_nothing
test_rows_of_tables = cpu.test_rows_of_tables
test_zeros = cpu.test_zeros
test_take_and_scatter_add = cpu.test_take_and_scatter_add
test_other_dtypes = cpu.test_take_and_scatter_add_of_other_dtypes
test_bools_are_taken = cpu.test_bools_are_taken
test_an_unsigned_index = cpu.test_an_unsigned_index_does_not_count_from_the_end
test_nothing_outside_is_taken = cpu.test_nothing_outside_is_taken
test_an_axis_of_extent_zero = cpu.test_nothing_is_in_an_axis_of_extent_zero
test_out_of_range = cpu.test_an_index_out_of_range_sets_the_status_and_touches_nothing
test_cumsum = cpu.test_cumsum
test_the_sum_of_a_negative_zero = cpu.test_the_sum_of_a_negative_zero_keeps_its_sign
test_cumsum_of_integers = cpu.test_cumsum_of_integers_wraps_around
test_argmax = cpu.test_argmax
test_first_maximum = cpu.test_the_first_maximum_wins_and_the_first_nan
test_random_bits = cpu.test_random_bits_are_the_reference_s


@pytest.mark.parametrize("shape", [(2, 1000, 3), (1, 257, 1), (1, 33, 5000)])
@pytest.mark.parametrize("dtype", ["float32", "int64"])
@pytest.mark.parametrize("reverse", [False, True])
def test_cumsum_of_many(shape, dtype, reverse, rng):
    x = (100 * rng.normal(size=shape)).astype(dtype)
    out, intact = cpu.guarded(shape, dtype)
    host.call_instruction("cumsum", [x, out], (*shape, int(reverse)), (dtype,))
    wide = NUMPY.instruction("cumsum")(x.astype("float64"), -2, reverse)
    np.testing.assert_allclose(out, wide, rtol=1e-5, atol=0.1)
    assert dtype != "int64" or (out == wide).all()
    assert intact()


@pytest.mark.parametrize("shape", [(3, 5000, 2), (7, 5000, 1), (900, 10, 1)])
def test_argmax_of_many(shape, rng):
    x = rng.integers(0, 50, size=shape).astype("float32")
    x[1, shape[1] // 2 :, 0] = np.nan
    out, intact = cpu.guarded((shape[0], shape[2]), "int64")
    host.call_instruction("argmax", [x, out], shape, ("float32",))
    np.testing.assert_array_equal(out, np.argmax(x, axis=1))
    assert intact()


def test_scattered_numbers_are_added_in_order(rng):
    x = rng.normal(size=(2, 3000, 3)).astype("float32")
    indices, status = rng.integers(-40, 40, size=3000), np.zeros(1, np.int64)
    out, intact = cpu.guarded((2, 40, 3), "float32")
    sizes = (2, 40, 3, 3000)
    arrays = [x, indices, out, status]
    host.call_instruction("scatter_add", arrays, sizes, ("float32", "int64"))
    expected = np.zeros_like(out)
    for k, index in enumerate(indices):
        expected[:, index] += x[:, k]
    np.testing.assert_array_equal(out, expected)
    assert intact()


def test_steps_are_counted():
    counter = np.array([7])
    for _ in range(3):
        host.call_instruction("next_step", [counter], ())
    assert counter.tolist() == [10]
