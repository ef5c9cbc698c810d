"""Which query each row belongs to, as users say it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import column_or_1d

from skgrad.typing import Array

__all__ = ["check_query_weights", "query_codes", "weights_of_queries"]


def query_codes(qid: Any, n_rows: int, name: str = "qid") -> Array:
    """Return the query of each row as numbers from 0, in the order of the labels.

    Parameters
    ----------
    qid : array-like of shape (n_rows,)
        Labels of any one kind that can be sorted, in any order.
    n_rows : int
        How many there must be.
    name : str, default="qid"
        What the argument is called.

    Returns
    -------
    array of int64 of shape (n_rows,)
        The codes.

    Raises
    ------
    ValueError
        If there is another number of labels, or one is missing.
    TypeError
        If labels cannot be sorted.
    """
    labels = column_or_1d(qid)
    if len(labels) != n_rows:
        raise ValueError(
            f"{name} must hold the query of each row. Got {len(labels)} labels for "
            f"{n_rows} rows. From sizes of queries whose rows are adjacent (the group "
            "of LightGBM and XGBoost) make numpy.repeat(numpy.arange(len(sizes)), "
            "sizes)."
        )
    for row, label in enumerate(labels.tolist()):
        if label is None or label != label:
            raise ValueError(
                f"{name} has no label at row {row}: got {label!r}. Drop such rows, or "
                "label their query."
            )
    try:
        codes: Array = np.unique(labels, return_inverse=True)[1]
    except TypeError as error:
        raise TypeError(
            f"The labels of {name} cannot be sorted: {error}. Use one kind of them, "
            "all numbers or all text."
        ) from None
    return codes


def check_query_weights(sample_weight: Any, codes: Array) -> None:
    """Raise unless the rows of each query have one weight.

    Parameters
    ----------
    sample_weight : array-like or None
        As given to ``fit``.
    codes : array of shape (n_rows,)
        The query of each row, as numbers from 0.

    Raises
    ------
    ValueError
        If a query has several weights, or there is one weight per query.
    """
    w = np.asarray(1.0 if sample_weight is None else sample_weight)
    n_queries = int(codes.max(initial=-1)) + 1
    if w.ndim == 1 and len(w) == n_queries != len(codes):
        raise ValueError(
            f"sample_weight has shape {w.shape}, a weight for each of {n_queries} "
            f"queries, but must have shape ({len(codes)},): repeat it for the rows of "
            "each, sample_weight[numpy.unique(qid, return_inverse=True)[1]] where the "
            "weights are in the order of the sorted labels."
        )
    if w.shape != codes.shape or w.dtype.kind not in "biuf" or np.isnan(w).any():
        return  # a number, or what scikit-learn refuses
    first = np.unique(codes, return_index=True)[1]
    differs = w != w[first][codes]
    if differs.any():
        row = int(differs.argmax())
        raise ValueError(
            "sample_weight must be the same for all rows of a query, as a query is a "
            f"sample of the loss. Rows {int(first[codes[row]])} and {row} of one have "
            f"the weights {w[first[codes[row]]]:g} and {w[row]:g}."
        )


def weights_of_queries(sample_weight: Any, codes: Array) -> Array | None:
    """Return the weight of each query from those of the rows.

    Parameters
    ----------
    sample_weight : array-like of shape (n_rows,) or None
        Weights of the rows.
    codes : array of shape (n_rows,)
        The query of each row, as numbers.

    Returns
    -------
    array of shape (n_queries,) or None
        In the order of the codes.
    """
    if sample_weight is None:
        return None
    weights: Array = np.asarray(sample_weight)[np.unique(codes, return_index=True)[1]]
    return weights
