"""CuPy's functions, one call after another: what tensors on a GPU are computed with.

Nothing here imports CuPy before a GPU is asked for. Each call makes its device the
current one, so that several can be used side by side. Every sum is made in an order
that depends on sizes alone, and so is the same at each run.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np

from skgrad.backend.arrays import ArrayBackend
from skgrad.backend.base import register_arrays
from skgrad.backend.cuda.available import checked_number, cupy
from skgrad.typing import Array, ArrayLike, DTypeLike, Shape

__all__ = ["CupyBackend", "backend", "register"]

# Scalars kept on a device: the constants of a training step, and room for more.
N_SCALARS = 1024

# One thread adds up one element of the result. CuPy's own `add.at` lets threads add in
# any order, and knows few dtypes.
_ADD_RUNS = (
    "raw T x, raw int64 order, raw int64 starts, int64 width",
    "T out",
    """
    const long long row = i / width, column = i % width;
    T total = 0;
    for (long long k = starts[row]; k < starts[row + 1]; k++) {
        total += x[order[k] * width + column];
    }
    out = total;
    """,
    "skgrad_add_runs",
)


class CupyBackend(ArrayBackend):
    """The functions of CuPy, on one device.

    Parameters
    ----------
    number : int
        Number of the device.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        special = importlib.import_module("cupyx.scipy")
        importlib.import_module("cupyx.scipy.special")
        super().__init__(cupy(), special, f"cuda:{number}")
        self._add_runs = self.xp.ElementwiseKernel(*_ADD_RUNS)
        self._scalar = lru_cache(N_SCALARS)(self._new_scalar)

    def array(self, data: ArrayLike, dtype: DTypeLike = None) -> Array:
        """Return a new array on the device, copied before this returns."""
        with self._current():
            return self.xp.array(data, dtype=dtype, blocking=True)

    def host(self, array: Array) -> np.ndarray[Any, Any]:
        """Return a copy of the elements as a NumPy array."""
        with self._current():
            found: np.ndarray[Any, Any] = array.get()
        return found

    def constant(self, array: np.ndarray[Any, Any]) -> Array:
        """Return a NumPy array on the device; scalars are kept there."""
        if array.ndim:
            return self.array(array)
        return self._scalar(array.tobytes(), array.dtype)

    def limits(self, array: Array) -> tuple[Any, Any]:
        """Return the least and the largest element, Python numbers; not of none."""
        with self._current():
            return super().limits(array)

    def _new_scalar(self, data: bytes, dtype: np.dtype[Any]) -> Array:
        return self.array(np.frombuffer(data, dtype).reshape(()))

    def _current(self) -> Any:
        """Return a context in which the device is the current one."""
        return self.xp.cuda.Device(self.number)

    def _placed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **params: Any) -> Any:
            with self._current():
                return function(*args, **params)

        return run

    # --- reductions ---------------------------------------------------------------

    def _argmax(self, x: Array, axis: int) -> Array:
        # CuPy's finds any NaN, NumPy's the first.
        if x.dtype.kind != "f":
            return self.xp.argmax(x, axis=axis)
        nan = self.xp.isnan(x)
        first, largest = (self.xp.argmax(v, axis=axis) for v in (nan, x))
        return self.xp.where(nan.any(axis=axis), first, largest)

    # --- indexing -----------------------------------------------------------------

    def _take(self, x: Array, indices: Array, axis: int) -> Array:
        # Of a position out of range, CuPy takes the remainder.
        self._check_positions(x.shape[axis], indices)
        return self.xp.take(x, indices, axis=axis)

    def _check_positions(self, extent: int, indices: Array) -> None:
        if indices.size == 0:
            return
        low, high = self.limits(indices)
        if not -extent <= low <= high < extent:
            raise self._out_of_range(extent, indices)

    def _summed(self, source: Array, indices: Array, size: int) -> Array:
        xp, rest = self.xp, source.shape[indices.ndim :]
        self._check_positions(size, indices)
        flat = indices.reshape(-1).astype(np.int64)
        flat = xp.where(flat < 0, flat + size, flat)
        order = self._argsort(flat, axis=-1)
        starts = xp.searchsorted(flat[order], xp.arange(size + 1, dtype=np.int64))
        width = math.prod(rest)
        out = xp.zeros((size, *rest), dtype=source.dtype)
        if out.size and flat.size:
            x = xp.ascontiguousarray(source).reshape(-1)
            self._add_runs(x, order, starts, width, out.reshape(-1))
        return out

    # --- shape --------------------------------------------------------------------

    def _strided(self, x: Array, shape: Shape, strides: Shape) -> Array:
        return self.xp.lib.stride_tricks.as_strided(x, shape, strides)

    # --- sparse matrices ----------------------------------------------------------

    def _elements(
        self, data: Array, indices: Array, indptr: Array, rows: Array, n_columns: int
    ) -> tuple[Array, Array, Array]:
        """Return the elements of some rows: values, columns and numbers of the row."""
        xp = self.xp
        firsts, ends = indptr[rows], indptr[rows + 1]
        stops = xp.cumsum(ends - firsts)
        n = int(stops[-1]) if len(rows) else 0
        place = xp.arange(n, dtype=np.int64)
        row = xp.searchsorted(stops, place, side="right")
        place = place - stops[row] + ends[row]
        columns = indices[place]
        self.check_columns(columns, n_columns)
        return data[place], columns, row

    def _sparse_matmul(
        self, data: Array, indices: Array, indptr: Array, rows: Array, B: Array
    ) -> Array:
        matrix = data, indices, indptr, rows
        values, columns, row = self._elements(*matrix, B.shape[-2])
        terms = values.astype(B.dtype)[:, np.newaxis] * self._flat(B)[columns]
        return self._stacked(self._summed(terms, row, len(rows)), B)

    def _sparse_matmul_transposed(
        self,
        data: Array,
        indices: Array,
        indptr: Array,
        rows: Array,
        G: Array,
        size: int,
    ) -> Array:
        values, columns, row = self._elements(data, indices, indptr, rows, size)
        terms = values.astype(G.dtype)[:, np.newaxis] * self._flat(G)[row]
        return self._stacked(self._summed(terms, columns, size), G)

    def _sparse_gram(
        self,
        data: Array,
        indices: Array,
        indptr: Array,
        rows: Array,
        w: Array,
        size: int,
    ) -> Array:
        values, columns, row = self._elements(data, indices, indptr, rows, size)
        dense = self.xp.zeros((len(rows), size), dtype=w.dtype)
        dense[row, columns] = values.astype(w.dtype)
        return self._gram(dense, w)


def backend(device: str) -> CupyBackend:
    """Return the backend of a GPU.

    Parameters
    ----------
    device : str
        ``"cuda"``, which is the first, or ``"cuda:1"``.

    Returns
    -------
    CupyBackend
        The same one for all names of a device.

    Raises
    ------
    DeviceError
        If there is no such GPU, or it cannot be used here: what is missing.
    """
    number = checked_number(device)
    register()
    return _backend(number)


@cache
def _backend(number: int) -> CupyBackend:
    return CupyBackend(number)


def register() -> None:
    """Make arrays of CuPy known as arrays on a GPU."""
    register_arrays(cupy().ndarray, lambda array: f"cuda:{array.device.id}")
