"""The columns of a matrix, as the solvers of regularisation paths use them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.linalg.blas
import scipy.sparse

from skgrad.typing import Array

__all__ = ["Columns", "DenseColumns", "SparseColumns", "columns_of"]

# Elements of what is made of some rows at a time.
BLOCK = 2**20
# From so large a part of the columns on, all of them are read: one product is faster
# than many.
MOST = 0.7
# So few neighbours are added one by one, in place: a product makes a vector more.
FEW = 4


class Columns:
    """A matrix X of shape (n, p), float64, less what was subtracted of each column.

    An intercept makes up for the latter; it saves digits where a matrix is dense.

    Attributes
    ----------
    shape : tuple of int
        (n, p).
    centre : array of shape (p,)
        What was subtracted from the columns.
    arrays : data, indices, indptr
        The matrix as :func:`~skgrad.solvers.column_descent.minimize_columns` takes it.
    """

    shape: tuple[int, int]
    centre: Array
    arrays: tuple[Array, Array | None, Array | None]
    sparse: bool

    def times(self, coef: Array, which: Array | None = None) -> Array:
        """Return X times coefficients (k, p), or those of some columns, as (n, k)."""
        raise NotImplementedError

    def pulled(self, rows: Array, which: Array | None = None) -> Array:
        """Return the products (k, p) of columns, or some, with vectors (n, k)."""
        raise NotImplementedError

    def squares(self, weights: Array) -> Array:
        """Return the weighted sum of squares of each column, (p,)."""
        raise NotImplementedError

    def gram(
        self,
        weights: Array,
        left: Array,
        right: Array | None = None,
        dtype: Any = np.float64,
    ) -> Array:
        """Return the weighted products of columns with columns.

        Parameters
        ----------
        weights : array of shape (n,)
            Not negative where `right` is None.
        left, right : array of int
            The columns, in order; without the latter `left` with themselves.
        dtype : dtype, default=float64
            What products of some thousand rows may be computed in: float32 takes half
            as long.

        Returns
        -------
        array of shape (len(left), len(right)), float64
        """
        raise NotImplementedError


class DenseColumns(Columns):
    """Columns side by side in memory, a centred copy of the matrix.

    Parameters
    ----------
    X : array of shape (n, p)
        The matrix, of any float dtype and order.
    centre : array of shape (p,)
        What to subtract.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers.columns import DenseColumns
    >>> columns = DenseColumns(np.array([[1.0, 0.0], [3.0, 1.0]]), np.array([2.0, 0.0]))
    >>> columns.times(np.array([[1.0, 2.0]])).ravel()
    array([-1.,  3.])
    """

    sparse = False

    def __init__(self, X: Array, centre: Array) -> None:
        n, p = self.shape = X.shape
        self.centre = centre
        self.rows = np.empty((p, n))  # a row for each column
        # Squares of some hundred elements, so that both orders stay in the cache.
        size = 256
        for i in range(0, n, size):
            for j in range(0, p, size):
                part = X[i : i + size, j : j + size]
                np.subtract(
                    part.T,
                    centre[j : j + size, None],
                    out=self.rows[j : j + size, i : i + size],
                )
        self.arrays = (self.rows, None, None)

    def _runs(self, which: Array) -> Iterator[tuple[slice, slice]]:
        """Yield neighbours among columns in order, and where they are in `which`."""
        breaks = np.flatnonzero(np.diff(which) != 1) + 1
        edges = [0, *breaks.tolist(), len(which)]
        for start, stop in pairwise(edges):
            first = int(which[start])
            yield slice(first, first + stop - start), slice(start, stop)

    def times(self, coef: Array, which: Array | None = None) -> Array:
        """Return X times coefficients (k, p), or those of some columns, as (n, k)."""
        if which is None:
            return _product(coef, self.rows)
        if len(which) > MOST * self.shape[1]:
            whole = np.zeros((len(coef), self.shape[1]))
            whole[:, which] = coef
            return self.times(whole)
        total = np.zeros((self.shape[0], len(coef)))
        for columns, at in self._runs(which) if len(which) else ():
            if len(coef) == 1 and at.stop - at.start < FEW:
                for row, factor in zip(self.rows[columns], coef[0, at], strict=True):
                    scipy.linalg.blas.daxpy(row, total[:, 0], a=factor)
            else:
                total += _product(coef[:, at], self.rows[columns])
        return total

    def pulled(self, rows: Array, which: Array | None = None) -> Array:
        """Return the products (k, p) of columns, or some, with vectors (n, k)."""
        if which is None:
            return np.ascontiguousarray((self.rows @ rows).T)
        if len(which) > MOST * self.shape[1]:
            return self.pulled(rows)[:, which]
        found = np.empty((rows.shape[1], len(which)))
        for columns, at in self._runs(which) if len(which) else ():
            found[:, at] = (self.rows[columns] @ rows).T
        return found

    def squares(self, weights: Array) -> Array:
        """Return the weighted sum of squares of each column, (p,)."""
        n, p = self.shape
        size = max(1, BLOCK // max(1, n))
        parts = [self.rows[j : j + size] ** 2 @ weights for j in range(0, p, size)]
        return np.concatenate(parts) if parts else np.empty(0)

    def gram(
        self,
        weights: Array,
        left: Array,
        right: Array | None = None,
        dtype: Any = np.float64,
    ) -> Array:
        """Return the weighted products of columns with columns, (left, right)."""
        width = len(left) if right is None else max(len(left), len(right))
        size = max(256, BLOCK // max(1, width))
        total = np.zeros((len(left), len(left if right is None else right)))
        root = np.sqrt(weights) if right is None else weights
        for start in range(0, self.shape[0], size):
            rows = self.rows[:, start : start + size]
            scaled = rows[left if right is None else right].astype(dtype, copy=False)
            scaled *= root[start : start + size].astype(dtype)
            part = scaled if right is None else rows[left].astype(dtype, copy=False)
            total += part @ scaled.T  # with itself half the work
        return total


class SparseColumns(Columns):
    """A sparse matrix by columns; nothing is subtracted.

    Parameters
    ----------
    X : sparse array or matrix of shape (n, p)
        Of any format and float dtype; a matrix in columns of float64 is not copied.
        The squares of its elements are kept beside it.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> from skgrad.solvers.columns import SparseColumns
    >>> columns = SparseColumns(scipy.sparse.csr_array([[1.0, 0.0], [3.0, 1.0]]))
    >>> columns.pulled(np.ones((2, 1)))
    array([[4., 1.]])
    """

    sparse = True

    def __init__(self, X: Any) -> None:
        X = scipy.sparse.csc_array(X)
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        self.X = X.astype(np.float64, copy=False)
        self.shape = self.X.shape
        self.centre = np.zeros(self.shape[1])
        self.arrays = (self.X.data, self.X.indices, self.X.indptr)
        with np.errstate(over="ignore"):  # the caller looks at sums of them
            squared = (self.X.data**2, self.X.indices, self.X.indptr)
        self.squared = scipy.sparse.csc_array(squared, shape=self.shape)

    def times(self, coef: Array, which: Array | None = None) -> Array:
        """Return X times coefficients (k, p), or those of some columns, as (n, k)."""
        if which is not None:
            whole = np.zeros((len(coef), self.shape[1]))
            whole[:, which] = coef
            coef = whole
        if len(coef) == 1:
            return (self.X @ coef[0])[:, None]
        return np.asarray(self.X @ coef.T)

    def pulled(self, rows: Array, which: Array | None = None) -> Array:
        """Return the products (k, p) of columns, or some, with vectors (n, k)."""
        if rows.shape[1] == 1:
            found = (self.X.T @ rows[:, 0])[None]
        else:
            found = np.ascontiguousarray((self.X.T @ rows).T)
        return found if which is None else found[:, which]

    def squares(self, weights: Array) -> Array:
        """Return the weighted sum of squares of each column, (p,)."""
        return np.asarray(self.squared.T @ weights)

    def gram(
        self,
        weights: Array,
        left: Array,
        right: Array | None = None,
        dtype: Any = np.float64,
    ) -> Array:
        """Return the weighted products of columns with columns, (left, right)."""
        part = self.X[:, left]
        scaled = part if right is None else self.X[:, right]
        scaled = scaled.multiply(weights[:, None])
        return np.asarray((part.T @ scaled).toarray())


def columns_of(X: Any, centre: Array) -> Columns:
    """Return the columns of a matrix, dense or sparse.

    Parameters
    ----------
    X : array or sparse matrix of shape (n, p)
        The matrix.
    centre : array of shape (p,)
        What to subtract from the columns of a dense one.

    Returns
    -------
    Columns
        A copy of a dense matrix; a sparse one may be shared.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers import columns_of
    >>> columns_of(np.ones((3, 2)), np.ones(2)).shape
    (3, 2)
    """
    return SparseColumns(X) if scipy.sparse.issparse(X) else DenseColumns(X, centre)


def _product(coef: Array, rows: Array) -> Array:
    """Return coefficients (k, m) times m rows, as (n, k)."""
    if len(coef) == 1:
        return (coef[0] @ rows)[:, None]
    return rows.T @ coef.T
