"""Products with sparse rows as CUDA C: the CPU's tests, and matrices of any shape."""

import numpy as np
import pytest
import scipy.sparse
from backend.cpu import test_sparse as cpu
from backend.cpu.test_library import guarded
from backend.cuda import host
from backend.cuda import test_races as races
from hypothesis import given, settings
from hypothesis import strategies as st

from skgrad.backend.cuda import sparse


@pytest.fixture(autouse=True)
def on_the_host(monkeypatch):
    host.compiler()
    monkeypatch.setattr(cpu, "call", host.call_instruction)


test_products = cpu.test_products_of_small_integers_are_exact
test_gram = cpu.test_the_gram_matrix_of_small_integers_is_exact
test_out_of_range = cpu.test_out_of_range_sets_the_status_and_touches_nothing
test_without_a_column = cpu.test_without_a_column_nothing_is_read


def product(name, A, rows, dense, dtypes):
    """Return a product with rows of a matrix, which writes nothing beside it."""
    dtype, stored, index = dtypes
    n, p = A.shape
    shape, more = {
        "sparse_matmul": ((len(rows), *dense.shape[1:]), dense.shape[1:]),
        "sparse_matmul_transposed": ((p, *dense.shape[1:]), dense.shape[1:]),
        "sparse_gram": ((p, p), ()),
    }[name]
    matrix = [A.data.astype(stored), A.indices.astype(index), A.indptr.astype(index)]
    status = np.zeros(1, dtype=np.int64)
    out, intact = guarded(shape, dtype)
    arrays = [*matrix, rows, dense.astype(dtype), out, status]
    host.call_instruction(name, arrays, (len(rows), n, p, *more), dtypes)
    assert intact()
    assert not status[0]
    return out


def products(A, rows, B, G, w, dtypes):
    factors = {"matmul": B, "matmul_transposed": G, "gram": w}
    return [
        product(f"sparse_{name}", A, rows, dense, dtypes)
        for name, dense in factors.items()
    ]


def random_matrix(rng, n, p, density):
    """Return a matrix of small integers, its last rows and columns empty."""
    dense = rng.integers(1, 4, size=(n, p)) * (rng.random((n, p)) < density)
    dense[n - n // 4 :] = dense[:, p - p // 5 :] = 0
    return dense * rng.choice([-1, 1], size=dense.shape)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 99),
    n=st.sampled_from([1, 3, 9, 50]),
    p=st.sampled_from([1, 2, 7, 60]),
    k=st.sampled_from([1, 2, 3, 40]),
    n_rows=st.sampled_from([0, 1, 7, 33, 90]),
    density=st.sampled_from([0.0, 0.05, 0.4, 1.0]),
    # From a warp that has all rows and columns to one for each column.
    warps=st.sampled_from([1, 6, 8192]),
    least_rows=st.sampled_from([1, 8, 40]),
    dtypes=st.sampled_from(
        [
            ("float64", "float64", "int32"),
            ("float64", "float32", "int64"),
            ("float32", "float32", "int32"),
        ]
    ),
)
def test_matrices_of_any_shape(
    seed, n, p, k, n_rows, density, warps, least_rows, dtypes
):
    rng = np.random.default_rng(seed)
    dense = random_matrix(rng, n, p, density)
    rows = rng.integers(0, n, size=n_rows)  # some of them more than once
    B, G = rng.integers(-3, 4, size=(p, k)), rng.integers(-3, 4, size=(n_rows, k))
    w, X = rng.integers(-2, 3, size=n_rows), dense[rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse, "_WARPS", warps)
        patch.setattr(sparse, "_LEAST_ROWS", least_rows)
        found = products(scipy.sparse.csr_array(dense), rows, B, G, w, dtypes)
    for f, e in zip(found, (X @ B, X.T @ G, (X.T * w) @ X), strict=True):
        np.testing.assert_array_equal(f, e)


DOUBLE = ("float64", "float64", "int32")


@pytest.mark.parametrize("name", ["matmul", "matmul_transposed", "gram"])
def test_only_stored_elements_meet_what_is_not_finite(name, rng):
    stored = rng.random((20, 6)) < 0.4
    dense = np.where(stored, rng.integers(1, 4, size=stored.shape), 0.0)
    r, c = np.argwhere(stored)[[3, 11]].T
    dense[r, c] = np.nan, np.inf
    A, rows = scipy.sparse.csr_array(dense), np.arange(20)
    factor = np.ones(20) if name == "gram" else np.ones((6, 2))
    factor = np.ones((20, 2)) if name == "matmul_transposed" else factor
    factor[2] = np.inf
    X, S = dense[:, :, None], stored[:, :, None]
    expected = {
        "matmul": lambda: np.where(S, X * factor, 0).sum(1),
        "matmul_transposed": lambda: np.where(S, X * factor[:, None], 0).sum(0),
        "gram": lambda: np.where(
            S & S.swapaxes(1, 2), X * factor[:, None, None] * X.swapaxes(1, 2), 0
        ).sum(0),
    }
    with np.errstate(invalid="ignore"):
        found = product(f"sparse_{name}", A, rows, factor, DOUBLE)
        np.testing.assert_array_equal(found, expected[name]())


def test_many_rows_in_parts_are_accurate_and_repeat_to_the_last_bit(rng):
    A = scipy.sparse.random_array((3000, 40), density=0.1, rng=rng, format="csr")
    rows = rng.permutation(3000)
    B, G, w = rng.normal(size=(40, 1)), rng.normal(size=(3000, 1)), rng.random(3000)
    assert sparse._split(3000, 40, 1)[1] > 100
    found = products(A, rows, B, G, w, DOUBLE)
    X = A.toarray()[rows]
    for f, e in zip(found, (X @ B, X.T @ G, (X.T * w) @ X), strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-13, atol=1e-13)
    for f, again in zip(found, products(A, rows, B, G, w, DOUBLE), strict=True):
        np.testing.assert_array_equal(f, again)
    np.testing.assert_array_equal(found[2], found[2].T)


@pytest.mark.parametrize("rows_of_warp", [8, 64])
def test_threads_do_not_race(rows_of_warp, monkeypatch):
    monkeypatch.setattr(sparse, "_LEAST_ROWS", rows_of_warp)
    races.test_programs_do_not("sparse step")


@pytest.mark.parametrize("n_rows", [0, 1, 256, 50_000, 10**7])
@pytest.mark.parametrize("p", [1, 20, 20_000, 10**7])
@pytest.mark.parametrize("k", [1, 30])
def test_the_workspace_is_bounded_and_enough_warps_have_work(n_rows, p, k):
    tile, splits = sparse._split(n_rows, p, k)
    n_warps = -(-p // tile) * splits
    n_bytes = sparse._transposed_workspace(n_rows, 0, p, k)
    assert n_bytes == (8 * splits * p * k if splits > 1 else 0)
    assert n_bytes <= 2**26
    assert n_warps <= 8192 + 256
    most = p * min(256, max(1, n_rows // 8))
    assert n_warps >= min(most, 256) // 2
