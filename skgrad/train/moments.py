"""Sums of the columns of X and of their squares, from one pass over the rows."""

from __future__ import annotations

from typing import Any

from skgrad import ops
from skgrad.executor import trace
from skgrad.train.data import Data
from skgrad.typing import Array

__all__ = ["COMPILED_ELEMENTS", "shifted_sums"]

# Elements of X from which the pass is compiled, as fits of so many are: 3 ms in the
# place of NumPy's 9 at 100,000 x 50.
COMPILED_ELEMENTS = 2**22


def shifted_sums(X: Array, w: Array, shift: Array) -> tuple[Array, Array]:
    """Return Σ wᵢ (xᵢ - shift) and Σ wᵢ (xᵢ - shift)² of each column.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        Rows, float32 or float64.
    w : array of shape (n_samples,)
        Weights, float64.
    shift : array of shape (n_features,)
        Close to the means, float64.

    Returns
    -------
    tuple of array of shape (n_features,)
        Both sums, float64.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.train.moments import shifted_sums
    >>> X = np.array([[1.0, 5.0], [3.0, 5.0]])
    >>> first, second = shifted_sums(X, np.ones(2), np.array([1.0, 5.0]))
    >>> first.tolist(), second.tolist()
    ([2.0, 0.0], [4.0, 0.0])
    """
    blocks = [[block.X, block.w] for block in Data(X, w, w).blocks()]
    program = trace(_sums, shift, *blocks[0]).on("cpu")
    first, second = program.sums([shift], blocks)
    return first, second


def _sums(shift: Any, X: Any, w: Any) -> tuple[Any, Any]:
    centred = ops.subtract(ops.astype(X, "float64"), shift)
    weighted = ops.multiply(ops.expand_dims(w, -1), centred)
    return ops.sum(weighted, 0), ops.sum(ops.multiply(weighted, centred), 0)
