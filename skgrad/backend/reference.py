"""The NumPy backend: the living definition of every operation.

The functions are those of :mod:`skgrad.backend.arrays`; here is what only NumPy needs:
what makes it faster, and SciPy's sparse matrices. Results are arrays, but for the NumPy
scalars that NumPy makes of arrays without axes.
"""

from typing import Any

import numpy as np
import scipy

from skgrad.backend.arrays import ArrayBackend
from skgrad.typing import Array, Shape

__all__ = ["NUMPY"]

_WORDS = {np.dtype("float32"): np.int32, np.dtype("float64"): np.int64}


class NumpyBackend(ArrayBackend):
    """The functions of NumPy."""

    def __init__(self) -> None:
        super().__init__(np, scipy, "cpu")

    def host(self, array: Array) -> np.ndarray[Any, Any]:
        """Return the array itself."""
        found: np.ndarray[Any, Any] = array
        return found

    def constant(self, array: np.ndarray[Any, Any]) -> Array:
        """Return the array itself."""
        return array

    def _where(self, c: Array, x: Array, y: Array) -> Array:
        # np.where branches on each element, and mispredicts half of them where the
        # condition is random, as on the way back through a relu: zeros are put in place
        # of elements as bits, in a quarter of the time.
        arrays = type(x) is type(y) is np.ndarray and x.ndim == 0 and c.shape == y.shape
        if arrays and x.dtype == y.dtype and y.dtype in _WORDS:
            word = _WORDS[y.dtype]
            if x.view(word) == 0:
                # 0 where the condition holds, -1, which is all bits, elsewhere.
                bits: Array = (c.view(np.int8) - np.int8(1)).astype(word)
                bits &= y.view(word)
                return bits.view(y.dtype)
        return np.where(c, x, y)

    def _sum(self, x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
        # np.sum does the same, and takes three times as long for a small array.
        out: Array = np.add.reduce(x, axis=axes, keepdims=keepdims)  # type: ignore[call-overload]
        return out

    def _strided(self, x: Array, shape: Shape, strides: Shape) -> Array:
        as_strided = np.lib.stride_tricks.as_strided
        return as_strided(x, shape, strides, writeable=False)

    def _take(self, x: Array, indices: Array, axis: int) -> Array:
        try:
            return np.take(x, indices, axis=axis)
        except IndexError:
            raise self._out_of_range(x.shape[axis], indices) from None

    # --- sparse matrices ----------------------------------------------------------

    def _sparse_matmul(
        self, data: Array, indices: Array, indptr: Array, rows: Array, B: Array
    ) -> Array:
        A = _sparse(data, indices, indptr, rows, B.shape[-2], B.dtype)
        return self._stacked(A @ self._flat(B), B)

    def _sparse_matmul_transposed(
        self,
        data: Array,
        indices: Array,
        indptr: Array,
        rows: Array,
        G: Array,
        size: int,
    ) -> Array:
        A = _sparse(data, indices, indptr, rows, size, G.dtype)
        return self._stacked(A.T @ self._flat(G), G)

    def _sparse_gram(
        self,
        data: Array,
        indices: Array,
        indptr: Array,
        rows: Array,
        w: Array,
        size: int,
    ) -> Array:
        A = _sparse(data, indices, indptr, rows, size, w.dtype)
        weighted = scipy.sparse.diags_array(w, dtype=w.dtype) @ A
        out: Array = (A.T @ weighted).toarray()
        return out


def _sparse(
    data: Array, indices: Array, indptr: Array, rows: Array, n_columns: int, dtype: Any
) -> Any:
    """Return some rows of a matrix in compressed row format, in a dtype."""
    if len(rows) and (rows[1:] == rows[:-1] + 1).all():  # neighbours: nothing is copied
        first, last = indptr[rows[0]], indptr[rows[-1] + 1]
        data, indices = data[first:last], indices[first:last]
        indptr, rows = indptr[rows[0] : rows[-1] + 2] - first, slice(None)
    NUMPY.check_columns(indices, n_columns)
    triple = data.astype(dtype, copy=False), indices, indptr
    return scipy.sparse.csr_array(triple, shape=(len(indptr) - 1, n_columns))[rows]


NUMPY = NumpyBackend()
