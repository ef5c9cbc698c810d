"""The columns of a matrix, as the solvers of regularisation paths use them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg.blas
import scipy.sparse

from skgrad.typing import Array

__all__ = ["Columns", "DenseColumns", "SparseColumns", "columns_of"]

# Elements of what is made of some rows at a time; for products of columns with columns,
# whose sums take time too; and of some sparse columns.
BLOCK, GRAM_BLOCK, SPARSE_BLOCK = 2**17, 2**20, 2**15
# Columns whose means are so many times as large as their spread lose that many digits
# where their means are subtracted from products, not from elements.
FAR = 1e5


class Columns:
    """A matrix X of shape (n, p), float64, less what is subtracted of each column.

    An intercept makes up for the latter; it saves digits where a matrix is dense.

    Attributes
    ----------
    shape : tuple of int
        (n, p).
    centre : array of shape (p,)
        What is subtracted from the columns.
    """

    shape: tuple[int, int]
    centre: Array
    sparse: bool

    @property
    def arrays(self) -> tuple[Array, Array | None, Array | None]:
        """The matrix as the sweeps of coordinate descent take it."""
        raise NotImplementedError

    def some(self, which: Array) -> Columns:
        """Return some of the columns, in order, in memory of their own."""
        raise NotImplementedError

    def times(self, coef: Array) -> Array:
        """Return X times coefficients (k, p), as (n, k)."""
        raise NotImplementedError

    def pulled(self, rows: Array) -> Array:
        """Return the products (k, p) of the columns with vectors (n, k)."""
        raise NotImplementedError

    def squares(self, weights: Array) -> Array:
        """Return the weighted sum of squares of each column, (p,)."""
        raise NotImplementedError

    def gram(self, weights: Array, which: Array, dtype: Any = np.float64) -> Array:
        """Return the weighted products of columns with each other.

        Parameters
        ----------
        weights : array of shape (n,)
            Of any sign.
        which : array of int
            The columns, in order.
        dtype : dtype, default=float64
            What they may be computed in: float32 takes half as long.

        Returns
        -------
        array of shape (len(which), len(which)), float64
        """
        raise NotImplementedError


class DenseColumns(Columns):
    """A matrix where it is: what is subtracted is so as it is read.

    Parameters
    ----------
    X : array of shape (n, p)
        The matrix, of any float dtype and order; it is not copied.
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
        self.X, self.centre = X, centre
        self.shape = X.shape
        # Whether products are those of X, less those of the centre.
        self.near = not self._far()

    def _far(self) -> bool:
        """Tell from some rows whether any column's mean is far beyond its spread."""
        n, p = self.shape
        some = self.X[:: max(1, n * p // BLOCK)] - self.centre
        size, spread = np.abs(self.centre), np.sqrt((some**2).mean(axis=0))
        constant = spread <= np.finfo(np.float64).eps * n * size
        return bool(((size > FAR * spread) & ~constant).any())

    @cached_property
    def arrays(self) -> tuple[Array, Array | None, Array | None]:
        """A centred copy, a row for each column."""
        rows = np.empty(self.shape[::-1])
        for at in self._slices():
            np.subtract(self.X[at].T, self.centre[:, None], out=rows[:, at])
        return rows, None, None

    def _slices(self) -> Iterator[slice]:
        """Yield rows whose elements stay in the cache."""
        n, p = self.shape
        step = max(1, BLOCK // max(1, p))
        for start in range(0, n, step):
            yield slice(start, start + step)

    def _parts(self) -> Iterator[tuple[slice, Array]]:
        """Yield rows in float64, less the centre where that is not near."""
        if self.near and self.X.dtype == np.float64:
            yield slice(None), self.X
            return
        for at in self._slices():
            part = self.X[at].astype(np.float64)
            if not self.near:
                part -= self.centre
            yield at, part

    def some(self, which: Array) -> DenseColumns:
        """Return some of the columns, in order, in memory of their own."""
        part = np.empty((len(which), self.shape[0]))
        for at in self._slices():
            part[:, at] = self.X[at].T[which]
        part -= self.centre[which, None]
        return DenseColumns(part.T, np.zeros(len(which)))

    def times(self, coef: Array) -> Array:
        """Return X times coefficients (k, p), as (n, k)."""
        total = np.empty((self.shape[0], len(coef)))
        for at, part in self._parts():
            total[at] = _product(part, coef)
        return total - coef @ self.centre if self.near else total

    def pulled(self, rows: Array) -> Array:
        """Return the products (k, p) of the columns with vectors (n, k)."""
        total = np.zeros((rows.shape[1], self.shape[1]))
        for at, part in self._parts():
            total += _product(part.T, rows[at].T).T
        if self.near:
            total -= rows.sum(axis=0)[:, None] * self.centre
        return total

    def squares(self, weights: Array) -> Array:
        """Return the weighted sum of squares of each column, (p,)."""
        total = np.zeros(self.shape[1])
        for at in self._slices():
            part = self.X[at] - self.centre
            total += weights[at] @ np.square(part, out=part)
        return total

    def gram(self, weights: Array, which: Array, dtype: Any = np.float64) -> Array:
        """Return the weighted products of columns with each other."""
        size, positive = len(which), bool((weights >= 0).all())
        factors = (np.sqrt(weights) if positive else weights).astype(dtype)[:, None]
        total = np.zeros((size, size), dtype, order="F")
        syrk, gemm = scipy.linalg.blas.get_blas_funcs(("syrk", "gemm"), dtype=dtype)
        step = max(256, GRAM_BLOCK // max(1, size))
        for start in range(0, self.shape[0], step) if size else ():
            at = slice(start, start + step)
            part = self._centred(at, which, dtype)
            if positive:  # half the work, and half of the matrix
                part *= factors[at]
                syrk(1.0, part.T, beta=1.0, c=total, overwrite_c=1)
            else:
                scaled = (part * factors[at]).T
                gemm(1.0, scaled, part.T, 1.0, total, trans_b=1, overwrite_c=1)
        upper = np.tri(size, dtype=bool).T
        return np.where(upper, total, total.T).astype(np.float64, copy=False)

    def _centred(self, rows: slice, which: Array, dtype: Any) -> Array:
        """Return some rows of some columns."""
        whole, centre = self.X[rows], self.centre[which]
        every = len(which) == self.shape[1]
        found = np.empty((len(whole), len(which)), dtype)
        step = max(1, BLOCK // max(1, self.shape[1]))
        for start in range(0, len(whole), step):
            at = slice(start, start + step)
            part = whole[at] if every else whole[at][:, which]
            np.subtract(part, centre, out=found[at], casting="same_kind")
        return found


class SparseColumns(Columns):
    """A sparse matrix by columns; nothing is subtracted.

    Parameters
    ----------
    X : sparse array or matrix of shape (n, p)
        Of any format and float dtype; a matrix in columns of float64 is not copied.

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

    @property
    def arrays(self) -> tuple[Array, Array | None, Array | None]:
        """The elements, their rows, and where columns start."""
        return self.X.data, self.X.indices, self.X.indptr

    def some(self, which: Array) -> SparseColumns:
        """Return some of the columns, in order, in memory of their own."""
        return SparseColumns(self.X[:, which])

    def times(self, coef: Array) -> Array:
        """Return X times coefficients (k, p), as (n, k)."""
        return _product(self.X, coef)

    def pulled(self, rows: Array) -> Array:
        """Return the products (k, p) of the columns with vectors (n, k)."""
        return np.ascontiguousarray(_product(self.X.T, rows.T).T)

    def squares(self, weights: Array) -> Array:
        """Return the weighted sum of squares of each column, (p,)."""
        n, p = self.shape
        total, starts = np.zeros(p), self.X.indptr
        first = 0
        while first < p:
            # So many columns that they have few elements, and at least one.
            most = (
                np.searchsorted(starts, starts[first] + SPARSE_BLOCK, side="right") - 1
            )
            last = max(first + 1, int(most))
            at = slice(starts[first], starts[last])
            with np.errstate(over="ignore"):  # the caller looks at sums of them
                squared = self.X.data[at] ** 2
            part = (squared, self.X.indices[at], starts[first : last + 1] - at.start)
            shape = (last - first, n)
            total[first:last] = scipy.sparse.csr_array(part, shape=shape) @ weights
            first = last
        return total

    def gram(self, weights: Array, which: Array, dtype: Any = np.float64) -> Array:
        """Return the weighted products of columns with each other."""
        part = self.X[:, which]
        return np.asarray((part.T @ part.multiply(weights[:, None])).toarray())


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
        They share the memory of a matrix that is dense or in sparse columns.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers import columns_of
    >>> columns_of(np.ones((3, 2)), np.ones(2)).shape
    (3, 2)
    """
    return SparseColumns(X) if scipy.sparse.issparse(X) else DenseColumns(X, centre)


def _product(X: Any, coef: Array) -> Array:
    """Return a matrix (n, p) times coefficients (k, p), as (n, k)."""
    if len(coef) == 1:
        return np.asarray(X @ coef[0])[:, None]
    return np.asarray(X @ coef.T)
