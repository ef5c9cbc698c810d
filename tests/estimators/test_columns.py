"""Constant and equal columns, found wherever the rows differ."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skgrad.estimators.columns import (
    constant_columns,
    equal_columns,
    has_zeros,
    spread,
    spread_rows,
)

SIZES = [1, 2, 63, 64, 65, 576, 577, 5000]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_one_row_that_differs_is_enough(n, order, rng):
    for row in {0, n // 2, n - 1}:
        X = np.array(np.tile(rng.normal(size=(n, 2)), 2), order=order)
        X = np.array(np.column_stack([X, np.full((n, 2), 0.1)]), order=order)
        assert equal_columns(X, [0, 1, 2, 3]) == [[0, 2], [1, 3]]
        assert constant_columns(X) == ([4, 5] if n > 1 else [0, 1, 2, 3, 4, 5])
        X[row, 2] += 1.0
        X[row, 4] += 1.0
        assert equal_columns(X, [0, 1, 2, 3]) == [[1, 3]]
        assert constant_columns(X) == ([5] if n > 1 else [0, 1, 2, 3, 4, 5])


def test_they_are_those_of_a_comparison_of_all_pairs(rng):
    X = rng.integers(0, 2, size=(6, 60)).astype(float)
    p = X.shape[1]
    constant = [j for j in range(p) if len(set(X[:, j])) == 1]
    assert constant_columns(X) == constant
    groups = {}
    for j in range(p):
        groups.setdefault(tuple(X[:, j]), []).append(j)
    expected = [group for group in groups.values() if len(group) > 1]
    assert len(expected) > 5
    assert equal_columns(X, list(range(p))) == expected


@pytest.mark.parametrize("n", SIZES)
def test_rows_at_equal_distances(n):
    rows = np.arange(n)[spread_rows(n, 100)]
    assert min(n, 51) <= len(rows) <= 100
    assert len(set(np.diff(rows))) <= 1
    assert n - rows[-1] <= -(-n // 100)


def test_those_of_sparse_inputs_are_those_of_dense_ones(rng):
    X = rng.integers(-1, 2, size=(6, 200)) * (rng.random((6, 200)) < 0.4) * 0.1
    X[:, 3], X[:, 7] = 0.1, -0.3
    A = csr_array(X)
    A.data[::7] = 0.0  # zeros that are stored
    X = A.toarray()
    assert {3, 7} < set(constant_columns(A))
    assert constant_columns(A) == constant_columns(X)
    everything = list(range(200))
    assert len(equal_columns(X, everything)) > 10
    assert equal_columns(A, everything) == equal_columns(X, everything)
    assert equal_columns(A, [5, 9]) == equal_columns(X, [5, 9])
    np.testing.assert_array_equal(has_zeros(A), has_zeros(X))
    for found, expected in zip(spread(A), spread(X), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-16)
