"""Tables of mixed columns as numbers: categories become the positions of levels."""

from __future__ import annotations

from typing import Any

import numpy as np

from skgrad.typing import Array

__all__ = ["as_numbers", "levels_of"]

CATEGORICAL = ("category", "Categorical", "Enum", "String", "str", "string")


def levels_of(X: Any) -> dict[int, Array]:
    """Return the levels of each column of a data frame that holds categories.

    Parameters
    ----------
    X : array-like or data frame
        Inputs.

    Returns
    -------
    dict of int to ndarray
        The distinct values by position of the column, sorted or in the order of their
        categories; none for arrays.
    """
    if not hasattr(X, "columns"):
        return {}
    levels = {}
    for j, name in enumerate(X.columns):
        column = X[name]
        if _is_categorical(column):
            levels[j] = _in_order(np.unique(_texts(column, name)), column)
    return levels


def _in_order(present: Array, column: Any) -> Array:
    """Return levels in the order of a categorical column of pandas, if it is one."""
    order = getattr(getattr(column, "cat", None), "categories", None)
    if order is None:
        return present
    return np.array([text for text in map(str, order) if text in present])


def as_numbers(X: Any, levels: dict[int, Array]) -> Any:
    """Return inputs with positions of levels in the place of categories.

    Parameters
    ----------
    X : array-like or data frame
        Inputs.
    levels : dict of int to ndarray
        As :func:`levels_of` found them in the fit.

    Returns
    -------
    ndarray of shape (n_samples, n_features), or X itself
        Numbers; -1 for a category that is new. X itself where there are no categories.
    """
    if not levels:
        return X
    names = list(X.columns) if hasattr(X, "columns") else range(np.shape(X)[1])
    columns = []
    for j, name in enumerate(names):
        column = X[name] if hasattr(X, "columns") else np.asarray(X, dtype=object)[:, j]
        if j in levels:
            columns.append(_positions(_texts(column, name), levels[j]))
        else:
            columns.append(np.asarray(column, dtype=np.float64))
    return np.column_stack(columns)


def _is_categorical(column: Any) -> bool:
    """Tell by its dtype, or by its values if they may be any objects."""
    name = str(column.dtype)
    if name.lower() != "object":
        return name.startswith(CATEGORICAL)
    return any(isinstance(value, str) for value in column)


def _texts(column: Any, name: Any) -> Array:
    """Return the categories of a column as text."""
    values = np.asarray(column, dtype=object)
    missing = np.array([value is None or value != value for value in values])
    if missing.any():
        raise ValueError(
            f"The column {name!r} has no category in row {int(missing.argmax())}. Fill "
            "in a category of its own, such as 'missing', or remove such rows."
        )
    return values.astype(str)


def _positions(values: Array, levels: Array) -> Array:
    order = np.argsort(levels)
    at = np.searchsorted(levels, values, sorter=order)
    found = order[np.minimum(at, len(levels) - 1)]
    return np.where(levels[found] == values, found, -1).astype(np.float64)
