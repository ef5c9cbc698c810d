"""Columns against products of NumPy."""

import numpy as np
import pytest
import scipy.sparse

from skgrad.solvers import columns as module
from skgrad.solvers.columns import DenseColumns, SparseColumns, columns_of

SHAPE = (37, 12)


@pytest.fixture(params=["dense", "Fortran", "float32", "csr", "csc", "int64"])
def pair(request, rng):
    """Return columns, and the dense matrix they stand for."""
    X = rng.normal(size=SHAPE) * (rng.random(SHAPE) < 0.5)
    X[:, 5] = 0.0
    if request.param in ("csr", "csc", "int64"):
        matrix = scipy.sparse.csr_array(X)
        if request.param == "csc":
            matrix = scipy.sparse.csc_matrix(X)
        if request.param == "int64":
            matrix.indices = matrix.indices.astype(np.int64)
            matrix.indptr = matrix.indptr.astype(np.int64)
        return columns_of(matrix, np.ones(SHAPE[1])), X
    X = X.astype(np.float32 if request.param == "float32" else np.float64)
    centre = X.mean(axis=0, dtype=np.float64)
    given = np.asfortranarray(X) if request.param == "Fortran" else X
    return columns_of(given, centre), X - centre


@pytest.mark.parametrize("which", [None, [], [3], [0, 1, 2, 7, 11]], ids=str)
@pytest.mark.parametrize("k", [1, 3])
def test_products(pair, which, k, rng):
    columns, X = pair
    if which is not None:
        which = np.array(which, dtype=int)
        columns, X = columns.some(which), X[:, which]
    coef, rows = rng.normal(size=(k, X.shape[1])), rng.normal(size=(SHAPE[0], k))
    np.testing.assert_allclose(columns.times(coef), X @ coef.T, atol=1e-13)
    np.testing.assert_allclose(columns.pulled(rows), rows.T @ X, atol=1e-13)


@pytest.mark.parametrize("block", [1, 100, 10**6])
def test_second_moments(pair, block, rng, monkeypatch):
    for name in ("BLOCK", "SPARSE_BLOCK"):
        monkeypatch.setattr(module, name, block)
    columns, X = pair
    w = rng.random(SHAPE[0])
    np.testing.assert_allclose(columns.squares(w), w @ X**2, atol=1e-13)
    which = np.array([0, 2, 3, 8])
    for weights in (w, w - 0.5):
        for dtype, atol in ((np.float64, 1e-13), (np.float32, 1e-5)):
            found = columns.gram(weights, which, dtype)
            part = X[:, which]
            np.testing.assert_allclose(
                found, part.T @ (weights[:, None] * part), atol=atol
            )


def test_a_matrix_in_columns_is_shared():
    X = scipy.sparse.random(20, 10, 0.3, format="csc", random_state=0)
    assert np.shares_memory(SparseColumns(X).arrays[0], X.data)


def test_duplicates_are_added_up_elsewhere():
    X = scipy.sparse.csc_matrix(
        (np.ones(3), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2)
    )
    np.testing.assert_array_equal(SparseColumns(X).squares(np.ones(2)), [4.0, 1.0])
    assert X.nnz == 3


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_memory_is_that_of_the_matrix(order, rng):
    X = np.asarray(rng.normal(size=(400, 30)), order=order)
    columns = DenseColumns(X, X.mean(axis=0))
    assert columns.X is X
    np.testing.assert_allclose(columns.arrays[0], (X - X.mean(axis=0)).T, atol=1e-13)


def test_large_means_cost_no_digits(rng):
    X = rng.normal(size=(50, 2)) + 1e9
    centre = X.mean(axis=0)
    columns, Z, w = DenseColumns(X, centre), X - centre, np.ones(50)
    np.testing.assert_allclose(columns.squares(w), (Z**2).sum(axis=0), rtol=1e-12)
    coef, rows = rng.normal(size=(1, 2)), rng.normal(size=(50, 1))
    np.testing.assert_allclose(columns.times(coef), Z @ coef.T, atol=1e-13)
    np.testing.assert_allclose(columns.pulled(rows), rows.T @ Z, atol=1e-12)
