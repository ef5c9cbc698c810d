"""The NumPy backend: the living definition of every operation.

Elementwise primitives arrive as scalar expressions and are evaluated with the
preamble below. Every other primitive has one function here, of the same name, taking
arrays and the primitive's static parameters. All functions are pure and return arrays
(never NumPy scalars).
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import scipy

from skgrad.typing import Array, ArrayLike, DTypeLike, Shape

__all__ = ["array", "device", "elementwise", "instruction", "names"]

device = "cpu"


# --- scalar functions -------------------------------------------------------------

# Of SciPy's special functions, which load in 0.2 s at the first use of one.


def _sigmoid(x: Array) -> Array:
    out: Array = scipy.special.expit(x)
    return out


def _erf(x: Array) -> Array:
    out: Array = scipy.special.erf(x)
    return out


_WORDS = {np.dtype("float32"): np.int32, np.dtype("float64"): np.int64}


def _where(c: Array, x: Array, y: Array) -> Array:
    # np.where branches on each element, and mispredicts half of them where the
    # condition is random, as on the way back through a relu: zeros are put in place of
    # elements as bits, in a quarter of the time.
    arrays = type(x) is type(y) is np.ndarray and x.ndim == 0 and c.shape == y.shape
    if arrays and x.dtype == y.dtype and y.dtype in _WORDS:
        word = _WORDS[y.dtype]
        if x.view(word) == 0:
            out: Array = (y.view(word) & (c.astype(word) - word(1))).view(y.dtype)
            return out
    return np.where(c, x, y)


# The names an expression may use. The constants are Python numbers: NumPy's rule for
# them keeps float32 expressions in float32.
_PREAMBLE: dict[str, Any] = {
    "zero": 0.0,
    "one": 1.0,
    "half": 0.5,
    "two": 2.0,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "absolute": np.absolute,
    "sign": np.sign,
    "floor": np.floor,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "erf": _erf,
    "power": np.power,
    "relu": lambda x: np.maximum(x, 0),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "where": _where,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_not": np.logical_not,
    "isnan": np.isnan,
    "isfinite": np.isfinite,
    "cast": lambda x, dtype: np.asarray(x).astype(dtype),
    **{
        name: np.dtype(name)
        for name in (
            *("bool", "float32", "float64", "int8", "int16", "int32", "int64"),
            *("uint8", "uint16", "uint32", "uint64"),
        )
    },
}


def array(data: ArrayLike, dtype: DTypeLike = None) -> Array:
    """Return a new array holding a copy of ``data``."""
    return np.array(data, dtype=dtype)


# The names an expression may use, by kind.
names: dict[str, tuple[str, ...]] = {
    "functions": tuple(n for n, v in _PREAMBLE.items() if callable(v)),
    "constants": tuple(n for n, v in _PREAMBLE.items() if isinstance(v, float)),
    "dtypes": tuple(n for n, v in _PREAMBLE.items() if isinstance(v, np.dtype)),
}


@cache
def instruction(name: str) -> Callable[..., Any]:
    """Return the NumPy function of an instruction."""
    return _INSTRUCTIONS[name]


@cache
def elementwise(expression: str, n_operands: int) -> Callable[..., Array]:
    """Return ``f(*arrays)`` evaluating a scalar expression in ``{0}, {1} ...``."""
    names = [f"x{i}" for i in range(n_operands)]
    source = f"lambda {', '.join(names)}: {expression.format(*names)}"
    function: Callable[..., Array] = eval(source, dict(_PREAMBLE))
    return function


# --- reductions -------------------------------------------------------------------


def _sum(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    # np.sum does the same, and takes three times as long for a small array.
    out: Array = np.add.reduce(x, axis=axes, keepdims=keepdims)  # type: ignore[call-overload]
    return out


def _max(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    return np.max(x, axis=axes, keepdims=keepdims)


def _prod(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    return np.prod(x, axis=axes, keepdims=keepdims)


def _cumsum(x: Array, axis: int, reverse: bool) -> Array:
    if not reverse:
        return np.cumsum(x, axis=axis)
    return np.flip(np.cumsum(np.flip(x, axis), axis=axis), axis)


def _argmax(x: Array, axis: int) -> Array:
    return np.argmax(x, axis=axis)


# --- linear algebra ---------------------------------------------------------------


def _gram(x: Array, w: Array) -> Array:
    return np.matmul(np.swapaxes(x, -1, -2), w[..., np.newaxis] * x)


def _sparse(
    data: Array, indices: Array, indptr: Array, rows: Array, n_columns: int, dtype: Any
) -> Any:
    """Return some rows of a matrix in compressed row format, in a dtype."""
    if len(rows) and (rows[1:] == rows[:-1] + 1).all():  # neighbours: nothing is copied
        first, last = indptr[rows[0]], indptr[rows[-1] + 1]
        data, indices = data[first:last], indices[first:last]
        indptr, rows = indptr[rows[0] : rows[-1] + 2] - first, slice(None)
    if indices.size and not 0 <= indices.min() <= indices.max() < n_columns:
        raise IndexError(
            f"Columns from {indices.min()} to {indices.max()} are out of range for a "
            f"dense factor of extent {n_columns}, in a product with a sparse matrix."
        )
    triple = data.astype(dtype, copy=False), indices, indptr
    return scipy.sparse.csr_array(triple, shape=(len(indptr) - 1, n_columns))[rows]


def _flat(B: Array) -> Array:
    """Return stacked matrices side by side."""
    width = math.prod(B.shape[:-2]) * B.shape[-1]
    return np.moveaxis(B, -2, 0).reshape(B.shape[-2], width)


def _stacked(out: Array, B: Array) -> Array:
    """Return matrices side by side stacked as those of B were."""
    wide = out.reshape(len(out), *B.shape[:-2], B.shape[-1])
    return np.moveaxis(wide, 0, -2)


def _sparse_matmul(
    data: Array, indices: Array, indptr: Array, rows: Array, B: Array
) -> Array:
    A = _sparse(data, indices, indptr, rows, B.shape[-2], B.dtype)
    return _stacked(A @ _flat(B), B)


def _sparse_matmul_transposed(
    data: Array, indices: Array, indptr: Array, rows: Array, G: Array, size: int
) -> Array:
    A = _sparse(data, indices, indptr, rows, size, G.dtype)
    return _stacked(A.T @ _flat(G), G)


def _sparse_gram(
    data: Array, indices: Array, indptr: Array, rows: Array, w: Array, size: int
) -> Array:
    A = _sparse(data, indices, indptr, rows, size, w.dtype)
    weighted = scipy.sparse.diags_array(w, dtype=w.dtype) @ A
    out: Array = (A.T @ weighted).toarray()
    return out


# --- shape ------------------------------------------------------------------------


def _reshape(x: Array, n_axes: int, shape: Shape) -> Array:
    return x.reshape(x.shape[: x.ndim - n_axes] + shape)


def _transpose(x: Array, axes: tuple[int, ...]) -> Array:
    n = x.ndim
    return x.transpose((*range(n - len(axes)), *(a + n for a in axes)))


def _broadcast(x: Array, n_axes: int, shape: Shape) -> Array:
    return np.broadcast_to(x, x.shape[: x.ndim - n_axes] + shape)


def _slice(x: Array, slices: tuple[tuple[Any, ...], ...]) -> Array:
    return x[(..., *(slice(*s) for s in slices))]


def _scatter_slice(
    x: Array, slices: tuple[tuple[Any, ...], ...], shape: Shape
) -> Array:
    """Return zeros of ``shape`` with ``x`` written into the slices."""
    out: Array = np.zeros(x.shape[: x.ndim - len(shape)] + shape, dtype=x.dtype)
    out[(..., *(slice(*s) for s in slices))] = x
    return out


def _windows(x: Array, sizes: Shape, strides: Shape, dilations: Shape) -> Array:
    lead = x.ndim - len(sizes)
    own, steps = x.shape[lead:], x.strides[lead:]
    reach = [d * (k - 1) + 1 for k, d in zip(sizes, dilations, strict=True)]
    counts = [
        max(0, (n - r) // s + 1) for n, r, s in zip(own, reach, strides, strict=True)
    ]
    out: Array = np.lib.stride_tricks.as_strided(
        x,
        (*x.shape[:lead], *counts, *sizes),
        (
            *x.strides[:lead],
            *(s * step for s, step in zip(strides, steps, strict=True)),
            *(d * step for d, step in zip(dilations, steps, strict=True)),
        ),
        writeable=False,
    )
    return out


def _scatter_windows(x: Array, strides: Shape, dilations: Shape, shape: Shape) -> Array:
    """Return zeros of ``shape`` to which every window is added."""
    d = len(shape)
    out: Array = np.zeros(x.shape[: x.ndim - 2 * d] + shape, dtype=x.dtype)
    counts = x.shape[x.ndim - 2 * d : x.ndim - d]
    for position in np.ndindex(*x.shape[x.ndim - d :]):
        starts = [p * gap for p, gap in zip(position, dilations, strict=True)]
        part = tuple(
            slice(first, first + step * (m - 1) + 1, step)
            for first, step, m in zip(starts, strides, counts, strict=True)
        )
        out[(..., *part)] += x[(..., *position)]
    return out


def _concatenate(*xs: Array, axis: int) -> Array:
    return np.concatenate(xs, axis=axis)


# --- indexing ---------------------------------------------------------------------


def _take(x: Array, indices: Array, axis: int) -> Array:
    try:
        return np.take(x, indices, axis=axis)
    except IndexError:
        raise IndexError(
            f"Positions from {indices.min()} to {indices.max()} are out of range for "
            f"an axis of extent {x.shape[axis]}, in a gather (take, an embedding or "
            "indexing with an array)."
        ) from None


def _scatter_add(x: Array, indices: Array, axis: int, size: int) -> Array:
    """Add the slices of ``x`` into zeros along ``axis`` (counted before indexing)."""
    n = indices.ndim
    first = x.ndim + axis - n + 1
    source = np.moveaxis(x, range(first, first + n), range(n))
    out = np.zeros((size, *source.shape[n:]), dtype=x.dtype)
    np.add.at(out, indices, source)
    return np.moveaxis(out, 0, axis)


def _argsort(x: Array, axis: int) -> Array:
    return np.argsort(x, axis=axis, kind="stable")


# --- packing ----------------------------------------------------------------------


def _pack(*xs: Array) -> Array:
    return np.concatenate([x.reshape(-1) for x in xs])


def _unpack(flat: Array, shapes: tuple[Shape, ...]) -> tuple[Array, ...]:
    parts, start = [], 0
    for shape in shapes:
        stop = start + math.prod(shape)
        parts.append(flat[start:stop].reshape(shape))
        start = stop
    return tuple(parts)


# --- random bits ------------------------------------------------------------------

# Philox-4x32-10: Salmon, Moraes, Dror, Shaw (2011), "Parallel random numbers: as easy
# as 1, 2, 3", SC'11, section 3.3 and table 2 (multipliers and Weyl constants).
_PHILOX_M = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_PHILOX_W = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def philox_4x32(counter: Sequence[Array], key: Sequence[int]) -> tuple[Array, ...]:
    """Return the four uint64 arrays (values below 2³²) of Philox-4x32-10."""
    c0, c1, c2, c3 = (np.asarray(c).astype(np.uint64) & _LOW for c in counter)
    k0, k1 = (int(k) for k in key)
    for _ in range(10):
        p0, p1 = _PHILOX_M[0] * c0, _PHILOX_M[1] * c2
        c0, c1, c2, c3 = (
            (p1 >> _SHIFT) ^ c1 ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> _SHIFT) ^ c3 ^ np.uint64(k1),
            p0 & _LOW,
        )
        k0, k1 = (k0 + _PHILOX_W[0]) & 0xFFFFFFFF, (k1 + _PHILOX_W[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def _random_bits(
    key: Array, step: Array, rows: Array, shape: Shape, draw: int
) -> Array:
    """Return 24 bits per element of ``rows.shape + shape``; a counter serves four."""
    size = int(np.prod(shape))
    blocks = np.arange(-(-size // 4), dtype=np.uint64)
    row = rows.reshape(-1, 1)
    counter = (step, np.uint64(draw), blocks[None, :], row)
    words = np.broadcast_arrays(*philox_4x32(counter, key))
    bits = np.stack(words, axis=-1).reshape(row.shape[0], 4 * blocks.size)[:, :size]
    return (bits >> np.uint64(8)).astype(np.uint32).reshape(rows.shape + shape)


_INSTRUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _sum,
    "max": _max,
    "prod": _prod,
    "cumsum": _cumsum,
    "argmax": _argmax,
    "matmul": np.matmul,
    "gram": _gram,
    "sparse_matmul": _sparse_matmul,
    "sparse_matmul_transposed": _sparse_matmul_transposed,
    "sparse_gram": _sparse_gram,
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast": _broadcast,
    "slice": _slice,
    "scatter_slice": _scatter_slice,
    "windows": _windows,
    "scatter_windows": _scatter_windows,
    "concatenate": _concatenate,
    "take": _take,
    "scatter_add": _scatter_add,
    "argsort": _argsort,
    "pack": _pack,
    "unpack": _unpack,
    "random_bits": _random_bits,
}
