"""Compiled products with sparse rows, against dense ones."""

import numpy as np
import pytest
import scipy.sparse
from backend.cpu.test_library import call, guarded

# One combination of dtypes compiles three functions: the others in the long run.
DTYPES = [
    ("float64", "float64", "int32"),
    pytest.param(("float32", "float32", "int32"), marks=pytest.mark.long),
    pytest.param(("float64", "float32", "int64"), marks=pytest.mark.long),
]
dtypes = pytest.mark.parametrize("dtypes", DTYPES, ids=" ".join)


def make(rng, dtypes, n=9, p=6):
    _, stored, index = dtypes
    dense = rng.integers(-3, 4, size=(n, p)) * (rng.random((n, p)) < 0.5)
    A = scipy.sparse.csr_array(dense.astype(stored))
    rows = rng.integers(0, n, size=5)
    matrix = [A.data, A.indices.astype(index), A.indptr.astype(index), rows]
    return dense[rows], matrix, (len(rows), n, p)


@dtypes
@pytest.mark.parametrize("k", [0, 1, 3, 8, 17])
def test_products_of_small_integers_are_exact(dtypes, k, rng):
    dense, matrix, sizes = make(rng, dtypes)
    status = np.zeros(1, dtype=np.int64)
    for name, A in (("sparse_matmul", dense), ("sparse_matmul_transposed", dense.T)):
        B = rng.integers(-3, 4, size=(A.shape[1], k)).astype(dtypes[0])
        out, intact = guarded((A.shape[0], k), dtypes[0])
        call(name, [*matrix, B, out, status], (*sizes, k), dtypes)
        np.testing.assert_array_equal(out, A @ B)
        assert intact()
        assert not status[0]


@dtypes
def test_the_gram_matrix_of_small_integers_is_exact(dtypes, rng):
    dense, matrix, sizes = make(rng, dtypes)
    w, status = rng.integers(-3, 4, size=5).astype(dtypes[0]), np.zeros(1, np.int64)
    out, intact = guarded((6, 6), dtypes[0])
    call("sparse_gram", [*matrix, w, out, status], sizes, dtypes)
    np.testing.assert_array_equal(out, np.einsum("ni,n,nj->ij", dense, w, dense))
    assert intact()


@pytest.mark.parametrize("place", [-1, 6, 2**31 - 1])
@pytest.mark.parametrize("which", ["column", "row"])
def test_out_of_range_sets_the_status_and_touches_nothing(which, place, rng):
    kinds = ("float64", "float64", "int32")
    _, matrix, (n, stored, p) = make(rng, kinds)
    if which == "column":
        matrix[1] = np.full_like(matrix[1], place)
    else:
        matrix[3] = np.full_like(matrix[3], place + 9)
        matrix[3][matrix[3] == 8] = -1
    cases = {
        "sparse_matmul": ((p, 2), (n, 2), (2,)),
        "sparse_matmul_transposed": ((n, 2), (p, 2), (2,)),
        "sparse_gram": ((n,), (p, p), ()),
    }
    for name, (dense, result, more) in cases.items():
        status = np.zeros(1, dtype=np.int64)
        out, intact = guarded(result, "float64")
        arrays = [*matrix, np.ones(dense), out, status]
        call(name, arrays, (n, stored, p, *more), kinds)
        assert status[0] == 1
        assert intact()


def test_without_a_column_nothing_is_read(rng):
    kinds = ("float64", "float64", "int32")
    _, matrix, (n, stored, _) = make(rng, kinds)
    out, intact = guarded((n, 2), "float64")
    arrays = [*matrix, np.ones((0, 2)), out, np.zeros(1, np.int64)]
    call("sparse_matmul", arrays, (n, stored, 0, 2), kinds)
    assert not out.any()
    assert intact()
