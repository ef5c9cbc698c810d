"""Columns of the inputs that are constant, equal or of very different size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from skgrad.typing import Array

__all__ = ["constant_columns", "equal_columns", "spread_rows"]

# Columns that differ do so in the first rows, mostly: few are looked at further.
FIRST_ROWS = 64


def _growing(n_rows: int) -> Iterator[slice]:
    """Yield slices of rows, each eight times as long as the one before."""
    start, size = 0, FIRST_ROWS
    while start < n_rows:
        yield slice(start, start + size)
        start, size = start + size, 8 * size


def constant_columns(X: Array) -> list[int]:
    """Return the columns that have one value in all rows."""
    columns = np.arange(X.shape[1])
    for rows in _growing(len(X)):
        same = X[rows][:, columns] == X[0, columns]
        columns = columns[same.all(axis=0)]
        if not columns.size:
            break
    return [int(j) for j in columns]


def equal_columns(X: Array, columns: list[int]) -> list[list[int]]:
    """Return the groups of columns, among those given, that are equal in all rows."""
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


def spread_rows(n_rows: int, most: int) -> slice:
    """Return at most so many rows at equal distances: all parts of sorted data."""
    return slice(None, None, max(1, -(-n_rows // most)))
