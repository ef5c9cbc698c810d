"""Every operation in the functions of an array module, one call after another.

Elementwise primitives arrive as scalar expressions and are evaluated with the
preamble below. Every other primitive has one method here, of the same name behind an
underscore, taking arrays and the primitive's static parameters. All are pure and return
arrays.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skgrad.typing import Array, ArrayLike, DTypeLike, Shape

__all__ = ["ArrayBackend", "philox_4x32"]

_INSTRUCTIONS = (
    *("sum", "max", "prod", "cumsum", "argmax", "matmul", "gram"),
    *("sparse_matmul", "sparse_matmul_transposed", "sparse_gram"),
    *("reshape", "transpose", "broadcast", "slice", "scatter_slice"),
    *("windows", "scatter_windows", "concatenate", "take", "scatter_add", "argsort"),
    *("pack", "unpack", "random_bits", "nonzero"),
)


class ArrayBackend:
    """The backend of a module with NumPy's functions: NumPy itself, or CuPy.

    What a module lacks or does otherwise is in a class derived from this one; so are
    the products with sparse matrices.

    Parameters
    ----------
    xp : module
        NumPy or CuPy.
    scipy : module
        SciPy, or what has its functions for the arrays of `xp`.
    device : str
        Where the arrays live.

    Attributes
    ----------
    preamble : dict of str to object
        The names an expression may use.
    names : dict of str to tuple of str
        The same by kind: ``"functions"``, ``"constants"`` and ``"dtypes"``.

    Examples
    --------
    >>> from skgrad.backend import get_backend
    >>> numpy_backend = get_backend("cpu")
    >>> numpy_backend.elementwise("({0} * {1} + one)", 2)(3.0, 4.0)
    13.0
    """

    def __init__(self, xp: Any, scipy: Any, device: str) -> None:
        self.xp, self.scipy, self.device = xp, scipy, device
        self.preamble = self._preamble()
        self.names = _by_kind(self.preamble)
        self._instructions = {
            name: self._placed(getattr(self, f"_{name}")) for name in _INSTRUCTIONS
        }
        self._functions: dict[str, Callable[..., Array]] = {}

    def array(self, data: ArrayLike, dtype: DTypeLike = None) -> Array:
        """Return a new array holding a copy of ``data``."""
        return self.xp.array(data, dtype=dtype)

    def host(self, array: Array) -> np.ndarray[Any, Any]:
        """Return the elements as a NumPy array, which may be the array itself."""
        raise NotImplementedError

    def constant(self, array: np.ndarray[Any, Any]) -> Array:
        """Return a NumPy array here; nobody may write to the result."""
        return self.array(array)

    def limits(self, array: Array) -> tuple[Any, Any]:
        """Return the least and the largest element, Python numbers; not of none."""
        return array.min().item(), array.max().item()

    def instruction(self, name: str) -> Callable[..., Any]:
        """Return the function of an instruction."""
        return self._instructions[name]

    def elementwise(self, expression: str, n_operands: int) -> Callable[..., Array]:
        """Return ``f(*arrays)`` evaluating a scalar expression in ``{0}, {1} ...``."""
        found = self._functions.get(expression)
        if found is None:
            names = [f"x{i}" for i in range(n_operands)]
            source = f"lambda {', '.join(names)}: {expression.format(*names)}"
            found = self._placed(eval(source, dict(self.preamble)))
            self._functions[expression] = found
        return found

    def _placed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that computes on this device."""
        return function

    # --- scalar functions ---------------------------------------------------------

    def _preamble(self) -> dict[str, Any]:
        """Return the names an expression may use.

        The constants are Python numbers: NumPy's rule for them keeps float32
        expressions in float32.
        """
        xp = self.xp
        shared = (
            *("exp", "expm1", "log", "log1p", "sqrt", "absolute", "sign", "floor"),
            *("sin", "cos", "tanh", "power", "maximum", "minimum", "equal"),
            *("not_equal", "less", "less_equal", "greater", "greater_equal"),
            *("logical_and", "logical_or", "logical_not", "isnan", "isfinite"),
        )
        dtypes = (
            *("bool", "float32", "float64", "int8", "int16", "int32", "int64"),
            *("uint8", "uint16", "uint32", "uint64"),
        )
        return {
            "zero": 0.0,
            "one": 1.0,
            "half": 0.5,
            "two": 2.0,
            **{name: getattr(xp, name) for name in shared},
            "relu": lambda x: xp.maximum(x, 0),
            "softplus": lambda x: xp.logaddexp(x, 0.0),
            "sigmoid": self._sigmoid,
            "erf": self._erf,
            "cast": self._cast,
            "where": self._where,
            **{name: np.dtype(name) for name in dtypes},
        }

    # SciPy's special functions load in 0.2 s at the first use of one.

    def _sigmoid(self, x: Array) -> Array:
        return self.scipy.special.expit(x)

    def _erf(self, x: Array) -> Array:
        return self.scipy.special.erf(x)

    def _cast(self, x: Array, dtype: np.dtype[Any]) -> Array:
        return self.xp.asarray(x).astype(dtype)

    def _where(self, c: Array, x: Array, y: Array) -> Array:
        return self.xp.where(c, x, y)

    # --- reductions ---------------------------------------------------------------

    def _sum(self, x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
        return self.xp.sum(x, axis=axes, keepdims=keepdims)

    def _max(self, x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
        return self.xp.max(x, axis=axes, keepdims=keepdims)

    def _prod(self, x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
        return self.xp.prod(x, axis=axes, keepdims=keepdims)

    def _cumsum(self, x: Array, axis: int, reverse: bool) -> Array:
        xp = self.xp
        if not reverse:
            return xp.cumsum(x, axis=axis)
        return xp.flip(xp.cumsum(xp.flip(x, axis), axis=axis), axis)

    def _argmax(self, x: Array, axis: int) -> Array:
        return self.xp.argmax(x, axis=axis)

    # --- linear algebra -----------------------------------------------------------

    def _matmul(self, x: Array, y: Array) -> Array:
        return self.xp.matmul(x, y)

    def _gram(self, x: Array, w: Array) -> Array:
        return self.xp.matmul(self.xp.swapaxes(x, -1, -2), w[..., np.newaxis] * x)

    def check_columns(self, indices: Array, n_columns: int) -> None:
        """Raise IndexError unless the columns of a sparse matrix fit."""
        if indices.size == 0:
            return
        low, high = self.limits(indices)
        if not 0 <= low <= high < n_columns:
            raise IndexError(
                f"Columns from {low} to {high} are out of range for a dense factor of "
                f"extent {n_columns}, in a product with a sparse matrix."
            )

    def _flat(self, B: Array) -> Array:
        """Return stacked matrices side by side."""
        width = math.prod(B.shape[:-2]) * B.shape[-1]
        return self.xp.moveaxis(B, -2, 0).reshape(B.shape[-2], width)

    def _stacked(self, out: Array, B: Array) -> Array:
        """Return matrices side by side stacked as those of B were."""
        wide = out.reshape(len(out), *B.shape[:-2], B.shape[-1])
        return self.xp.moveaxis(wide, 0, -2)

    # --- shape --------------------------------------------------------------------

    def _reshape(self, x: Array, n_axes: int, shape: Shape) -> Array:
        return x.reshape(x.shape[: x.ndim - n_axes] + shape)

    def _transpose(self, x: Array, axes: tuple[int, ...]) -> Array:
        n = x.ndim
        return x.transpose((*range(n - len(axes)), *(a + n for a in axes)))

    def _broadcast(self, x: Array, n_axes: int, shape: Shape) -> Array:
        return self.xp.broadcast_to(x, x.shape[: x.ndim - n_axes] + shape)

    def _slice(self, x: Array, slices: tuple[tuple[Any, ...], ...]) -> Array:
        return x[(..., *(slice(*s) for s in slices))]

    def _scatter_slice(
        self, x: Array, slices: tuple[tuple[Any, ...], ...], shape: Shape
    ) -> Array:
        """Return zeros of ``shape`` with ``x`` written into the slices."""
        out = self.xp.zeros(x.shape[: x.ndim - len(shape)] + shape, dtype=x.dtype)
        out[(..., *(slice(*s) for s in slices))] = x
        return out

    def _windows(
        self, x: Array, sizes: Shape, strides: Shape, dilations: Shape
    ) -> Array:
        lead = x.ndim - len(sizes)
        own, steps = x.shape[lead:], x.strides[lead:]
        reach = [d * (k - 1) + 1 for k, d in zip(sizes, dilations, strict=True)]
        counts = [
            max(0, (n - r) // s + 1)
            for n, r, s in zip(own, reach, strides, strict=True)
        ]
        return self._strided(
            x,
            (*x.shape[:lead], *counts, *sizes),
            (
                *x.strides[:lead],
                *(s * step for s, step in zip(strides, steps, strict=True)),
                *(d * step for d, step in zip(dilations, steps, strict=True)),
            ),
        )

    def _strided(self, x: Array, shape: Shape, strides: Shape) -> Array:
        """Return a view of the memory of ``x``."""
        return self.xp.lib.stride_tricks.as_strided(x, shape, strides)

    def _scatter_windows(
        self, x: Array, strides: Shape, dilations: Shape, shape: Shape
    ) -> Array:
        """Return zeros of ``shape`` to which every window is added."""
        d = len(shape)
        out = self.xp.zeros(x.shape[: x.ndim - 2 * d] + shape, dtype=x.dtype)
        counts = x.shape[x.ndim - 2 * d : x.ndim - d]
        for position in np.ndindex(*x.shape[x.ndim - d :]):
            starts = [p * gap for p, gap in zip(position, dilations, strict=True)]
            part = tuple(
                slice(first, first + step * (m - 1) + 1, step)
                for first, step, m in zip(starts, strides, counts, strict=True)
            )
            out[(..., *part)] += x[(..., *position)]
        return out

    def _concatenate(self, *xs: Array, axis: int) -> Array:
        return self.xp.concatenate(xs, axis=axis)

    # --- indexing -----------------------------------------------------------------

    def _take(self, x: Array, indices: Array, axis: int) -> Array:
        return self.xp.take(x, indices, axis=axis)

    def _out_of_range(self, extent: int, indices: Array) -> IndexError:
        low, high = self.limits(indices)
        return IndexError(
            f"Positions from {low} to {high} are out of range for an axis of extent "
            f"{extent}, in a gather (take, an embedding or indexing with an array)."
        )

    def _scatter_add(self, x: Array, indices: Array, axis: int, size: int) -> Array:
        """Add the slices of ``x`` into zeros along ``axis`` (counted before)."""
        xp, n = self.xp, indices.ndim
        first = x.ndim + axis - n + 1
        source = xp.moveaxis(x, tuple(range(first, first + n)), tuple(range(n)))
        return xp.moveaxis(self._summed(source, indices, size), 0, axis)

    def _summed(self, source: Array, indices: Array, size: int) -> Array:
        """Return zeros with the slices of ``source`` added along the first axis."""
        out = self.xp.zeros((size, *source.shape[indices.ndim :]), dtype=source.dtype)
        self.xp.add.at(out, indices, source)
        return out

    def _argsort(self, x: Array, axis: int) -> Array:
        return self.xp.argsort(x, axis=axis, kind="stable")

    def _nonzero(self, x: Array) -> tuple[Array, ...]:
        found: tuple[Array, ...] = x.nonzero()
        return found

    # --- packing ------------------------------------------------------------------

    def _pack(self, *xs: Array) -> Array:
        return self.xp.concatenate([x.reshape(-1) for x in xs])

    def _unpack(self, flat: Array, shapes: tuple[Shape, ...]) -> tuple[Array, ...]:
        parts, start = [], 0
        for shape in shapes:
            stop = start + math.prod(shape)
            parts.append(flat[start:stop].reshape(shape))
            start = stop
        return tuple(parts)

    # --- random bits --------------------------------------------------------------

    def _random_bits(
        self, key: Array, step: Array, rows: Array, shape: Shape, draw: int
    ) -> Array:
        """Return 24 bits per element of ``rows.shape + shape``, 4 to a counter."""
        xp, size = self.xp, math.prod(shape)
        blocks = xp.arange(-(-size // 4), dtype=np.uint64)
        row = rows.reshape(-1, 1)
        counter = [
            xp.asarray(c).astype(np.uint64)
            for c in (step, np.uint64(draw), blocks[None, :], row)
        ]
        words = xp.broadcast_arrays(*philox_4x32(counter, key.tolist()))
        bits = xp.stack(words, axis=-1).reshape(row.shape[0], 4 * blocks.size)
        shifted = (bits[:, :size] >> np.uint64(8)).astype(np.uint32)
        return shifted.reshape(rows.shape + shape)


def _by_kind(preamble: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {
        "functions": tuple(n for n, v in preamble.items() if callable(v)),
        "constants": tuple(n for n, v in preamble.items() if isinstance(v, float)),
        "dtypes": tuple(n for n, v in preamble.items() if isinstance(v, np.dtype)),
    }


# Philox-4x32-10: Salmon, Moraes, Dror, Shaw (2011), "Parallel random numbers: as easy
# as 1, 2, 3", SC'11, section 3.3 and table 2 (multipliers and Weyl constants).
_PHILOX_M = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_PHILOX_W = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def philox_4x32(counter: Sequence[Array], key: Sequence[int]) -> tuple[Array, ...]:
    """Return the four words of Philox-4x32-10.

    Parameters
    ----------
    counter : sequence of four arrays of uint64
        Of these the lower 32 bits count.
    key : sequence of two ints
        Below 2³².

    Returns
    -------
    tuple of four arrays of uint64
        Values below 2³².

    References
    ----------
    Salmon, Moraes, Dror, Shaw (2011). Parallel random numbers: as easy as 1, 2, 3.
    SC'11, section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.backend.arrays import philox_4x32
    >>> [hex(word) for word in philox_4x32([np.uint64(0)] * 4, [0, 0])]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = (c & _LOW for c in counter)
    k0, k1 = (int(k) for k in key)
    for _ in range(10):
        p0, p1 = c0 * _PHILOX_M[0], c2 * _PHILOX_M[1]
        c0, c1, c2, c3 = (
            (p1 >> _SHIFT) ^ c1 ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> _SHIFT) ^ c3 ^ np.uint64(k1),
            p0 & _LOW,
        )
        k0, k1 = (k0 + _PHILOX_W[0]) & 0xFFFFFFFF, (k1 + _PHILOX_W[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3
