"""Columns against products of NumPy."""

import numpy as np
import pytest
import scipy.sparse

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


WHICH = [None, [], [3], [0, 1, 2, 7, 11], list(range(10))]


@pytest.mark.parametrize("which", WHICH, ids=str)
@pytest.mark.parametrize("k", [1, 3])
def test_products(pair, which, k, rng):
    columns, X = pair
    part = X if which is None else X[:, which]
    which = None if which is None else np.array(which, dtype=int)
    coef, rows = rng.normal(size=(k, part.shape[1])), rng.normal(size=(SHAPE[0], k))
    np.testing.assert_allclose(columns.times(coef, which), part @ coef.T, atol=1e-13)
    np.testing.assert_allclose(columns.pulled(rows, which), rows.T @ part, atol=1e-13)


def test_second_moments(pair, rng):
    columns, X = pair
    w = rng.random(SHAPE[0])
    left, right = np.array([0, 2, 3, 8]), np.array([1, 2, 9])
    np.testing.assert_allclose(columns.squares(w), w @ X**2, atol=1e-13)
    weighted = w[:, None] * X
    for dtype, atol in ((np.float64, 1e-13), (np.float32, 1e-5)):
        found = columns.gram(w, left, right, dtype)
        np.testing.assert_allclose(found, X[:, left].T @ weighted[:, right], atol=atol)
        found = columns.gram(w, left, None, dtype)
        np.testing.assert_allclose(found, X[:, left].T @ weighted[:, left], atol=atol)


def test_a_matrix_in_columns_is_shared():
    X = scipy.sparse.random(20, 10, 0.3, format="csc", random_state=0)
    assert np.shares_memory(SparseColumns(X).arrays[0], X.data)


def test_duplicates_are_added_up_elsewhere():
    X = scipy.sparse.csc_matrix(
        (np.ones(3), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2)
    )
    np.testing.assert_array_equal(SparseColumns(X).squares(np.ones(2)), [4.0, 1.0])
    assert X.nnz == 3


def test_large_means_cost_no_digits(rng):
    X = rng.normal(size=(50, 2)) + 1e9
    centre = X.mean(axis=0)
    found = DenseColumns(X, centre).squares(np.ones(50))
    np.testing.assert_allclose(found, ((X - centre) ** 2).sum(axis=0), rtol=1e-12)
