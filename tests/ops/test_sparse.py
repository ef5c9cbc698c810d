"""Products with sparse rows: which matrices, dtypes and shapes, and what is refused."""

import numpy as np
import pytest
import scipy.sparse

import skgrad
from skgrad import ops
from skgrad.exceptions import DTypeError, GradientError, ShapeError
from skgrad.executor import trace
from skgrad.testing import check_grads

FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")


def make(rng, n=7, p=5, dtype="float64"):
    A = rng.normal(size=(n, p)) * (rng.random((n, p)) < 0.4)
    return A.astype(dtype)


@pytest.mark.parametrize("container", ["array", "matrix"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_scipy(rng, name, container):
    dense, B = make(rng), rng.normal(size=(5, 2))
    A = getattr(scipy.sparse, f"{name}_{container}")(dense)
    np.testing.assert_allclose(ops.sparse_matmul(A, B).numpy(), dense @ B)
    G = rng.normal(size=(7, 2))
    found = ops.sparse_matmul_transposed(A, G).numpy()
    np.testing.assert_allclose(found, dense.T @ G)
    w = rng.normal(size=7)
    expected = np.einsum("ni,n,nj->ij", dense, w, dense)
    np.testing.assert_allclose(ops.sparse_gram(A, w).numpy(), expected, atol=1e-15)


@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("stored", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dense_factor_gives_the_dtype(rng, index, stored, dtype):
    dense = (4 * make(rng)).round().astype(stored)
    A = scipy.sparse.csr_array(dense)
    A.indices, A.indptr = A.indices.astype(index), A.indptr.astype(index)
    B = rng.integers(-3, 3, size=(5, 2)).astype(dtype)
    out = ops.sparse_matmul(A, B)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out.numpy(), dense.astype(dtype) @ B)


def test_a_csr_matrix_is_shared_and_stays_as_it_is(rng):
    A = scipy.sparse.csr_array(make(rng))
    rows = ops.SparseRows.of(A)
    assert np.shares_memory(rows.data, A.data)
    assert np.shares_memory(rows.take(slice(2, 4)).indices, A.indices)
    double = scipy.sparse.csr_array(
        (np.array([1.0, 2.0, 4.0]), np.array([3, 0, 3]), np.array([0, 3])), shape=(1, 5)
    )
    out = ops.sparse_matmul(double, np.eye(5))
    np.testing.assert_array_equal(out.numpy(), [[2.0, 0.0, 0.0, 5.0, 0.0]])
    np.testing.assert_array_equal(double.indices, [3, 0, 3])


def test_a_change_of_the_matrix_comes_too_late_for_its_gradient(rng):
    A = scipy.sparse.csr_array(make(rng))
    before = A.toarray()
    B = skgrad.tensor(rng.normal(size=(5, 1)), requires_grad=True)
    out = ops.sparse_matmul(A, B).sum()
    A.data[:] = 0.0
    out.backward()
    np.testing.assert_allclose(B.grad.numpy()[:, 0], before.sum(axis=0))


def test_standardised_rows_equal_dense_ones(rng):
    dense, index = make(rng, n=30), rng.integers(0, 30, size=11)
    mean, scale = dense.mean(axis=0), dense.std(axis=0)
    Z = (dense[index] - mean) / scale
    A = ops.SparseRows.of(scipy.sparse.csr_array(dense)).take(index)
    A = A.standardised(mean, 1 / scale)
    B, G, w = rng.normal(size=(5, 3)), rng.normal(size=(11, 3)), rng.normal(size=11)
    close = {"rtol": 1e-13, "atol": 1e-13}
    np.testing.assert_allclose(ops.sparse_matmul(A, B).numpy(), Z @ B, **close)
    found = ops.sparse_matmul_transposed(A, G, 5).numpy()
    np.testing.assert_allclose(found, Z.T @ G, **close)
    expected = np.einsum("ni,n,nj->ij", Z, w, Z)
    np.testing.assert_allclose(ops.sparse_gram(A, w, 5).numpy(), expected, **close)
    check_grads(lambda b: ops.square(ops.sparse_matmul(A, b)), [B], order=2)


@pytest.mark.parametrize("offset", [1.0, 1e3, 1e6])
def test_what_means_far_from_zero_cost(rng, offset):
    """Errors are float64's rounding times the mean over the scale, squared for Gram."""
    dense = make(rng, n=200)
    dense[:, 0] = offset + rng.normal(size=200)
    mean, scale = dense.mean(axis=0), dense.std(axis=0)
    Z, B = (dense - mean) / scale, rng.normal(size=(5, 2))
    A = ops.SparseRows.of(scipy.sparse.csr_array(dense)).standardised(mean, 1 / scale)
    eps, size = np.finfo(float).eps, (np.abs(mean) / scale).max()
    found = ops.sparse_matmul(A, B).numpy()
    np.testing.assert_allclose(found, Z @ B, rtol=0, atol=50 * eps * (1 + size))
    gram = ops.sparse_gram(A, np.ones(200), 5).numpy() / 200
    error = np.abs(gram - Z.T @ Z / 200).max()
    assert error < 50 * eps * (1 + size**2)


def test_a_trace_serves_all_rows_of_a_matrix(rng):
    dense = make(rng, n=20)
    A, B = ops.SparseRows.of(scipy.sparse.csr_array(dense)), rng.normal(size=(5, 2))
    program = trace(ops.sparse_matmul, A.take(slice(0, 4)), B)
    for index in (slice(0, 4), slice(16, 20), np.array([3, 3, 19, 0])):
        np.testing.assert_allclose(program(A.take(index), B), dense[index] @ B)


def test_stacks_of_matrices(rng):
    dense, B = make(rng), rng.normal(size=(2, 3, 5, 4))
    A = scipy.sparse.csr_array(dense)
    np.testing.assert_allclose(ops.sparse_matmul(A, B).numpy(), dense @ B)
    program = trace(lambda b: ops.sparse_matmul(A, b), B).on("cpu")
    assert "1 reference instructions" in program.explain()
    np.testing.assert_allclose(program(B), dense @ B)


def test_matrices_without_rows_columns_or_elements():
    for shape in ((0, 3), (3, 0), (0, 0), (4, 3)):
        A = scipy.sparse.csr_array(shape)
        n, p = shape
        assert ops.sparse_matmul(A, np.ones((p, 2))).shape == (n, 2)
        assert ops.sparse_matmul_transposed(A, np.ones((n, 2))).shape == (p, 2)
        assert not ops.sparse_gram(A, np.ones(n)).numpy().any()


def test_what_does_not_fit_is_refused(rng):
    A = scipy.sparse.csr_array(make(rng))
    rows = ops.SparseRows.of(A)
    with pytest.raises(ShapeError, match=r"\(7, 5\) and \(4, 2\) do not fit"):
        ops.sparse_matmul(A, np.ones((4, 2)))
    with pytest.raises(IndexError, match=r"Columns from 0 to 4 .* extent 4"):
        ops.sparse_matmul(rows, np.ones((4, 2)))
    with pytest.raises(ShapeError, match="7 sparse rows and a dense factor of 3"):
        ops.sparse_matmul_transposed(A, np.ones((3, 2)))
    with pytest.raises(ShapeError, match=r"Pass size=\."):
        ops.sparse_gram(rows, np.ones(7))
    with pytest.raises(ShapeError, match="needs 2 axes"):
        ops.sparse_matmul_transposed(A, np.ones(7))
    with pytest.raises(ShapeError, match=r"ndarray of shape \(2, 2\): use scipy"):
        ops.sparse_matmul(np.eye(2), np.ones((2, 1)))
    with pytest.raises(ShapeError, match="one axis each"):
        trace(ops.sparse_matmul, rows._replace(data=rows.data[:-1]), np.ones((5, 1)))
    few = rows._replace(rows=rows.rows.astype("int32"))
    with pytest.raises(DTypeError, match=r"'int32', 'int32', 'int32'"):
        trace(ops.sparse_matmul, few, np.ones((5, 1)))
    A.indices[0] = 99
    with pytest.raises(ValueError, match="ind"):
        ops.sparse_matmul(A, np.ones((5, 2)))


def test_elements_that_require_a_gradient_are_refused(rng):
    rows = ops.SparseRows.of(scipy.sparse.csr_array(make(rng)))
    rows = rows._replace(data=skgrad.tensor(rows.data, requires_grad=True))
    with pytest.raises(GradientError, match="constants"):
        ops.sparse_matmul(rows, np.ones((5, 1)))
