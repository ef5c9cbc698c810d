"""Sparse inputs: who takes them, and in which form."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from skgrad.typing import Array

__all__ = ["as_rows", "check_dense", "column_counts"]


def as_rows(X: Any) -> Any:
    """Return checked inputs: sparse ones as a CSR array with each element once.

    Parameters
    ----------
    X : ndarray, or CSR array or matrix
        Inputs.

    Returns
    -------
    ndarray or csr_array
        It shares the memory of X; but unsorted or double elements of a sparse X are
        put right in a copy.
    """
    if not issparse(X):
        return X
    rows = csr_array(X)
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    return rows


def check_dense(estimator: Any, X: Any) -> None:
    """Refuse sparse inputs, and say what takes them.

    Parameters
    ----------
    estimator : estimator
        For the message.
    X : array-like or sparse matrix
        Inputs.

    Raises
    ------
    TypeError
        If X is sparse.
    """
    if issparse(X):
        gigabytes = 8e-9 * X.shape[0] * X.shape[1]
        raise TypeError(
            f"{type(estimator).__name__} needs dense inputs. Got a sparse "
            f"{type(X).__name__} of shape {X.shape} with {X.nnz} stored elements, "
            f"which takes {gigabytes:.2g} GB as a dense array. If that is no problem, "
            "pass X.toarray(); or reduce its columns, for example with sklearn's "
            "TruncatedSVD; or take GradientLinearRegressor or "
            "GradientLinearClassifier, which fit sparse inputs as they are."
        )


def column_counts(X: csr_array) -> Array:
    """Return how many elements of each column are not zero.

    Parameters
    ----------
    X : csr_array of shape (n_samples, n_features)
        Inputs.

    Returns
    -------
    ndarray of int of shape (n_features,)
        The counts.
    """
    return np.bincount(X.indices[X.data != 0], minlength=X.shape[1])
