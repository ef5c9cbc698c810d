"""Columns of the inputs that are constant, equal or of very different size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from skgrad.estimators.scaling import weighted_mean_and_scale
from skgrad.estimators.sparse import column_counts
from skgrad.typing import Array

__all__ = ["constant_columns", "equal_columns", "has_zeros", "spread", "spread_rows"]

# Columns that differ do so in the first rows, mostly: few are looked at further.
FIRST_ROWS = 64


def _growing(n_rows: int) -> Iterator[slice]:
    """Yield slices of rows, each eight times as long as the one before."""
    start, size = 0, FIRST_ROWS
    while start < n_rows:
        yield slice(start, start + size)
        start, size = start + size, 8 * size


def constant_columns(X: Any) -> list[int]:
    """Return the columns that have one value in all rows."""
    if issparse(X):
        return _constant_sparse(X)
    columns = np.arange(X.shape[1])
    for rows in _growing(len(X)):
        same = X[rows][:, columns] == X[0, columns]
        columns = columns[same.all(axis=0)]
        if not columns.size:
            break
    return [int(j) for j in columns]


def _constant_sparse(X: csr_array) -> list[int]:
    counts = column_counts(X)
    full = np.flatnonzero(counts == X.shape[0])
    first = X[[0]].toarray()[0]
    other = np.bincount(X.indices[X.data != first[X.indices]], minlength=X.shape[1])
    empty = np.flatnonzero(counts == 0)
    return sorted([*empty.tolist(), *full[other[full] == 0].tolist()])


def equal_columns(X: Any, columns: list[int]) -> list[list[int]]:
    """Return the groups of columns, among those given, that are equal in all rows."""
    if issparse(X):
        return _equal_sparse(X, columns)
    groups = [columns]
    for rows in _growing(len(X)):
        block = X[rows]
        groups = [part for group in groups for part in _equal_in(block, group)]
        if not groups:
            break
    return groups


def _equal_in(block: Array, columns: list[int]) -> list[list[int]]:
    groups: dict[bytes, list[int]] = {}
    for j in columns:
        groups.setdefault(block[:, j].tobytes(), []).append(j)
    return [group for group in groups.values() if len(group) > 1]


def _equal_sparse(X: csr_array, columns: list[int]) -> list[list[int]]:
    # Equal columns have equal sums of random multiples, to the last bit, and few others
    # have: only those are looked at element by element.
    factors = np.random.default_rng(0).standard_normal(X.shape[0])
    sums = X.T @ factors
    groups = []
    for alike in _equal_in(sums[None], columns):
        part = X[:, alike].tocsc()
        part.eliminate_zeros()
        words: dict[bytes, list[int]] = {}
        ends = zip(part.indptr, part.indptr[1:], strict=False)
        for j, (a, b) in zip(alike, ends, strict=True):
            word = part.indices[a:b].tobytes() + part.data[a:b].tobytes()
            words.setdefault(word, []).append(j)
        groups += [group for group in words.values() if len(group) > 1]
    return groups


def spread(X: Any) -> tuple[Array, Array]:
    """Return the standard deviation and the width, largest minus smallest, of columns.

    Parameters
    ----------
    X : array or csr_array of shape (n_samples, n_features)
        Few rows.

    Returns
    -------
    sd, width : ndarray of shape (n_features,)
        Zero of a constant column.
    """
    if not issparse(X):
        return X.std(axis=0, dtype=np.float64), np.ptp(X, axis=0)
    high, low = (np.ravel(m.toarray()) for m in (X.max(axis=0), X.min(axis=0)))
    width = high - low
    _, scale = weighted_mean_and_scale(X, np.ones(X.shape[0]))
    return np.where(width > 0, scale, 0.0), width


def has_zeros(X: Any) -> Array:
    """Tell for each column whether it has a zero."""
    if issparse(X):
        return column_counts(X) < X.shape[0]
    zeros: Array = (X == 0).any(axis=0)
    return zeros


def spread_rows(n_rows: int, most: int) -> slice:
    """Return at most so many rows at equal distances: all parts of sorted data."""
    return slice(None, None, max(1, -(-n_rows // most)))
