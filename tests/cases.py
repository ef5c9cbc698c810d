"""One row per registered primitive: how to call it, and what it must return.

The expected values come from mpmath, from exact Python arithmetic or from another NumPy
function than the one the reference backend uses: never from the primitive itself.
"""

import math
import operator
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import MagicMock

import numpy as np
from scipy.sparse import csr_array

from skgrad import ops
from skgrad.core.primitive import registered
from skgrad.transforms import alias_p

try:
    import mpmath
except ModuleNotFoundError:  # on a device's machine, where no value of its is asked for
    mpmath = MagicMock()

mpmath.mp.dps = 40


@dataclass(frozen=True)
class Kink:
    """Arguments on a kink, and the sub-gradient the documentation promises."""

    args: tuple[Any, ...]
    grads: tuple[Any, ...]


@dataclass(frozen=True)
class Elementwise:
    """An elementwise primitive.

    ``expected`` takes mpmath numbers (bools for ``kind="bool"``) and returns one, or a
    bool. ``domains`` has one interval per operand, away from kinks; operands are drawn
    far enough from each other where ``apart`` says so.
    """

    call: Callable[..., Any]
    expected: Callable[..., Any]
    domains: tuple[tuple[float, float], ...]
    differentiable: bool = True
    kinks: tuple[Kink, ...] = ()
    out: str | None = None
    smooth: bool = True  # mpmath can differentiate ``expected``

    def args(self, rng, shape, dtype="float64"):
        return [rng.uniform(*d, size=shape).astype(dtype) for d in self.domains]

    def value(self, *arrays):
        """Return the expected result, float64 or bool."""
        arrays = np.broadcast_arrays(*arrays)
        flat = [
            self.expected(*map(_exact, row))
            for row in zip(*(a.ravel() for a in arrays), strict=True)
        ]
        dtype = np.bool_ if self.out == "bool" else np.float64
        if dtype is np.float64:
            flat = [float(v) for v in flat]
        return np.array(flat, dtype=dtype).reshape(arrays[0].shape)


def _exact(x):
    return bool(x) if isinstance(x, np.bool_) else mpmath.mpf(float(x))


@dataclass(frozen=True)
class Structural:
    """One call of any other primitive, with fixed shapes of its arguments."""

    call: Callable[..., Any]
    expected: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    differentiable: bool = True
    kinks: tuple[Kink, ...] = ()
    # Which operands of the primitive get a leading batch axis; None: see `no_batch`.
    batched: tuple[int, ...] | None = (0,)
    no_batch: str = field(default="")

    def args(self, rng, dtype="float64"):
        # Distinct by 0.1 or more, so that no order changes within a difference step.
        sizes = [math.prod(shape) for shape in self.shapes]
        values = rng.permutation(sum(sizes)) * 0.1 - 0.05 * sum(sizes) + 0.03
        parts = np.split(values, np.cumsum(sizes))
        return [
            p.reshape(s).astype(dtype) for p, s in zip(parts, self.shapes, strict=False)
        ]


def _float32(x):
    return mpmath.mpf(struct.unpack("f", struct.pack("f", float(x)))[0])


def _comparison(call, expected):
    domains = ((-2.0, 2.0), (-2.0, 2.0))
    return Elementwise(call, expected, domains, differentiable=False, out="bool")


REAL = ((-2.0, 2.0),)
POSITIVE = ((0.3, 3.0),)
TWO = ((-2.0, 2.0), (-2.0, 2.0))

ELEMENTWISE = {
    "add": Elementwise(ops.add, operator.add, TWO),
    "subtract": Elementwise(ops.subtract, operator.sub, TWO),
    "multiply": Elementwise(ops.multiply, operator.mul, TWO),
    "divide": Elementwise(ops.divide, operator.truediv, ((-2.0, 2.0), (0.5, 2.0))),
    "negative": Elementwise(ops.negative, operator.neg, REAL),
    "power": Elementwise(
        ops.power,
        mpmath.power,
        ((0.3, 2.0), (-2.0, 3.0)),
        kinks=(
            Kink((0.0, 0.0), (0.0, 0.0)),
            Kink((0.0, 1.0), (1.0, 0.0)),
            Kink((0.0, 2.0), (0.0, 0.0)),
            Kink((-2.0, 3.0), (12.0, 0.0)),
        ),
    ),
    "square": Elementwise(ops.square, lambda x: x**2, REAL),
    "absolute": Elementwise(
        ops.absolute, mpmath.fabs, ((0.2, 2.0),), kinks=(Kink((0.0,), (0.0,)),)
    ),
    "sign": Elementwise(
        ops.sign, mpmath.sign, REAL, differentiable=False, kinks=(Kink((0.0,), (0.0,)),)
    ),
    "floor": Elementwise(ops.floor, mpmath.floor, REAL, differentiable=False),
    "exp": Elementwise(ops.exp, mpmath.exp, REAL),
    "expm1": Elementwise(ops.expm1, mpmath.expm1, REAL),
    "log": Elementwise(ops.log, mpmath.log, POSITIVE),
    "log1p": Elementwise(ops.log1p, mpmath.log1p, ((-0.7, 3.0),)),
    "sqrt": Elementwise(
        ops.sqrt, mpmath.sqrt, POSITIVE, kinks=(Kink((0.0,), (np.inf,)),)
    ),
    "sin": Elementwise(ops.sin, mpmath.sin, REAL),
    "cos": Elementwise(ops.cos, mpmath.cos, REAL),
    "tanh": Elementwise(ops.tanh, mpmath.tanh, REAL),
    "sigmoid": Elementwise(ops.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x)), REAL),
    "softplus": Elementwise(
        ops.softplus, lambda x: mpmath.log(1 + mpmath.exp(x)), REAL
    ),
    "relu": Elementwise(
        ops.relu,
        lambda x: max(x, 0),
        ((0.2, 2.0),),
        kinks=(Kink((0.0,), (0.0,)), Kink((-1.0,), (0.0,))),
        smooth=False,
    ),
    "erf": Elementwise(ops.erf, mpmath.erf, REAL),
    "maximum": Elementwise(
        ops.maximum,
        max,
        ((-2.0, 0.4), (0.5, 2.0)),
        kinks=(Kink((1.0, 1.0), (0.5, 0.5)), Kink((2.0, 1.0), (1.0, 0.0))),
        smooth=False,
    ),
    "minimum": Elementwise(
        ops.minimum,
        min,
        ((-2.0, 0.4), (0.5, 2.0)),
        kinks=(Kink((1.0, 1.0), (0.5, 0.5)), Kink((2.0, 1.0), (0.0, 1.0))),
        smooth=False,
    ),
    "clip": Elementwise(
        ops.clip,
        lambda x, low, high: sorted([x, low, high])[1],
        ((-0.9, 0.9), (-2.0, -1.0), (1.0, 2.0)),
        kinks=(
            Kink((0.0, 0.0, 1.0), (1.0, 0.0, 0.0)),
            Kink((1.0, 0.0, 1.0), (1.0, 0.0, 0.0)),
            Kink((-3.0, 0.0, 1.0), (0.0, 1.0, 0.0)),
            Kink((3.0, 0.0, 1.0), (0.0, 0.0, 1.0)),
            Kink((0.5, 1.0, 0.0), (0.0, 0.0, 1.0)),  # low > high: the result is high
        ),
        smooth=False,
    ),
    "where": Elementwise(
        lambda c, x, y: ops.where(ops.greater(c, 0.0), x, y),
        lambda c, x, y: x if c > 0 else y,
        ((0.2, 1.0), (-2.0, 2.0), (-2.0, 2.0)),
        smooth=False,
    ),
    "equal": _comparison(ops.equal, operator.eq),
    "not_equal": _comparison(ops.not_equal, operator.ne),
    "less": _comparison(ops.less, operator.lt),
    "less_equal": _comparison(ops.less_equal, operator.le),
    "greater": _comparison(ops.greater, operator.gt),
    "greater_equal": _comparison(ops.greater_equal, operator.ge),
    "logical_and": _comparison(ops.logical_and, lambda x, y: bool(x) and bool(y)),
    "logical_or": _comparison(ops.logical_or, lambda x, y: bool(x) or bool(y)),
    "logical_not": Elementwise(
        ops.logical_not, operator.not_, REAL, differentiable=False, out="bool"
    ),
    "isnan": Elementwise(
        ops.isnan, mpmath.isnan, REAL, differentiable=False, out="bool"
    ),
    "isfinite": Elementwise(
        ops.isfinite, mpmath.isfinite, REAL, differentiable=False, out="bool"
    ),
    "alias": Elementwise(lambda x: alias_p.bind(ops.add(x, 0.0)), operator.pos, REAL),
}


def _sum_of(axes):
    """Sum in another way: exactly, element by element."""

    def expected(x):
        moved = np.moveaxis(x, axes, range(len(axes)))
        flat = moved.reshape(math.prod(moved.shape[: len(axes)]), -1)
        sums = [math.fsum(column) for column in flat.T]
        return np.array(sums).reshape(moved.shape[len(axes) :])

    return expected


def _running(x, axis):
    n = x.shape[axis]
    lower = np.tril(np.ones((n, n)))
    return np.moveaxis(np.tensordot(lower, x, axes=(1, axis)), 0, axis)


def _product(x, axis):
    out = np.ones(np.delete(x.shape, axis))
    for part in np.moveaxis(x, axis, 0):
        out = out * part
    return out


def _positions(x, axis, order):
    return np.apply_along_axis(order, axis, x)


def _first_largest(row):
    return list(row).index(max(row))


def _sorted_positions(row):
    return np.array(sorted(range(len(row)), key=lambda i: row[i]))


def _scattered(x, indices, size):
    """Scatter by a product with indicator columns."""
    hot = np.equal.outer(np.arange(size), np.asarray(indices) % size).astype(float)
    return np.tensordot(hot, x, axes=np.ndim(indices))


def _bits(key, step, rows, shape, draw):
    """Philox-4x32-10 in Python's integers, element by element."""
    out = []
    for row in np.ravel(rows):
        words = []
        for block in range(-(-math.prod(shape) // 4)):
            words += philox((int(step), draw, block, int(row)), tuple(map(int, key)))
        out += [w >> 8 for w in words[: math.prod(shape)]]
    return np.array(out, dtype=np.uint32).reshape(np.shape(rows) + shape)


def philox(counter, key):
    """Return the four words of Philox-4x32-10 (Salmon et al. 2011, section 3.3)."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    mask = 0xFFFFFFFF
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c0, 1 << 32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 1 << 32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
    return [c0, c1, c2, c3]


def _scattered_windows(x, shape, strides, dilations):
    """Add element by element."""
    out = np.zeros(shape)
    for index in np.ndindex(x.shape):
        first, within = index[: len(shape)], index[len(shape) :]
        steps = zip(first, strides, within, dilations, strict=True)
        out[tuple(i * s + k * d for i, s, k, d in steps)] += x[index]
    return out


KEY = np.array([7, 3], dtype=np.uint32)
ROWS = np.array([5, 0, 5], dtype=np.uint32)
PICKS = np.array([[2, 0], [-1, 2]])
SPARSE = csr_array(
    [[0.0, 2.0, -1.0], [0.0, 0.0, 0.0], [3.0, 0.0, 0.5], [0.0, 1.0, 0.0]]
)
MEAN, SCALE = np.array([0.5, 1.0, -2.0]), np.array([2.0, 1.0, 0.5])
SPARSE_ROWS = ops.SparseRows.of(SPARSE).take(np.array([2, 0, 2]))
SPARSE_ROWS = SPARSE_ROWS.standardised(MEAN, 1 / SCALE)
DENSE_ROWS = (SPARSE.toarray()[[2, 0, 2]] - MEAN) / SCALE

STRUCTURAL = {
    "sum": [
        Structural(lambda x: ops.sum(x, 1), _sum_of((1,)), ((2, 3, 4),)),
        Structural(ops.sum, _sum_of((0, 1, 2)), ((2, 3, 4),)),
        Structural(lambda x: ops.sum(x, (0, -1)), _sum_of((0, 2)), ((2, 3, 4),)),
        Structural(
            lambda x: ops.sum(x, -1, keepdims=True),
            lambda x: _sum_of((1,))(x)[:, None],
            ((2, 3),),
        ),
        Structural(lambda x: ops.sum(x, 0), lambda x: np.zeros(3), ((0, 3),)),
    ],
    "max": [
        Structural(lambda x: ops.max(x, 1), lambda x: np.sort(x, 1)[:, -1], ((3, 4),)),
        Structural(
            ops.max,
            lambda x: np.array(max(x.ravel().tolist())),
            ((2, 3, 2),),
            kinks=(
                Kink(([1.0, 3.0, 3.0],), ([0.0, 0.5, 0.5],)),
                Kink(([2.0, 2.0, 2.0, 2.0],), ([0.25] * 4,)),
            ),
        ),
        Structural(
            lambda x: ops.max(x, (0, 2), keepdims=True),
            lambda x: np.sort(np.swapaxes(x, 0, 1).reshape(3, -1))[:, -1].reshape(
                1, 3, 1
            ),
            ((2, 3, 2),),
        ),
    ],
    "prod": [
        Structural(lambda x: ops.prod(x, 0), lambda x: _product(x, 0), ((3, 2),)),
        Structural(lambda x: ops.prod(x, -1), lambda x: _product(x, 1), ((2, 5),)),
        Structural(lambda x: ops.prod(x, 1), lambda x: np.ones(2), ((2, 0),)),
        Structural(
            ops.prod,
            lambda x: np.array(math.prod(x.ravel().tolist())),
            ((1, 3),),
            kinks=(
                Kink(([0.0, 2.0, 3.0],), ([6.0, 0.0, 0.0],)),
                Kink(([0.0, 0.0, 3.0],), ([0.0, 0.0, 0.0],)),
            ),
        ),
    ],
    "cumsum": [
        Structural(ops.cumsum, lambda x: _running(x, 1), ((2, 4),)),
        Structural(lambda x: ops.cumsum(x, 0), lambda x: _running(x, 0), ((3, 2),)),
        Structural(lambda x: ops.cumsum(x, 0), lambda x: x, ((0,),)),
    ],
    "argmax": [
        Structural(
            ops.argmax,
            lambda x: _positions(x, -1, _first_largest),
            ((2, 4),),
            differentiable=False,
        ),
        Structural(
            lambda x: ops.argmax(x, 0),
            lambda x: _positions(x, 0, _first_largest),
            ((3, 2),),
            differentiable=False,
        ),
    ],
    "matmul": [
        Structural(
            ops.matmul,
            lambda x, y: np.einsum("ij,jk->ik", x, y),
            ((2, 3), (3, 4)),
            batched=(0, 1),
        ),
        Structural(
            ops.matmul,
            lambda x, y: np.einsum("abij,bjk->abik", x, y),
            ((2, 3, 2, 4), (3, 4, 1)),
            batched=(0,),
        ),
        Structural(
            ops.matmul,
            lambda x, y: np.einsum("j,bjk->bk", x, y),
            ((3,), (2, 3, 4)),
            batched=(1,),
        ),
        Structural(ops.matmul, lambda x, y: np.einsum("ij,j->i", x, y), ((2, 3), (3,))),
        Structural(ops.matmul, lambda x, y: np.einsum("j,j->", x, y), ((3,), (3,))),
        Structural(ops.matmul, lambda x, y: np.zeros((2, 2)), ((2, 0), (0, 2))),
    ],
    "gram": [
        Structural(
            ops.gram, lambda x, w: np.einsum("ni,n,nj->ij", x, w, x), ((5, 3), (5,))
        ),
        Structural(
            ops.gram,
            lambda x, w: np.einsum("bni,bn,bnj->bij", x, w, x),
            ((2, 3, 2), (2, 3)),
        ),
        Structural(ops.gram, lambda x, w: np.zeros((2, 2)), ((0, 2), (0,))),
    ],
    "sparse_matmul": [
        Structural(
            lambda x: ops.sparse_matmul(SPARSE, x),
            lambda x: np.einsum("ij,jk->ik", SPARSE.toarray(), x),
            ((3, 2),),
            batched=(4,),
        ),
        Structural(  # rows by number, standardised
            lambda x: ops.sparse_matmul(SPARSE_ROWS, x),
            lambda x: np.einsum("ij,j->i", DENSE_ROWS, x),
            ((3,),),
            batched=(4,),
        ),
        Structural(
            lambda x: ops.sparse_matmul(SPARSE[:0], x),
            lambda x: np.zeros((0, 1)),
            ((3, 1),),
            batched=(4,),
        ),
    ],
    "sparse_matmul_transposed": [
        Structural(
            lambda x: ops.sparse_matmul_transposed(SPARSE, x),
            lambda x: np.einsum("ij,ik->jk", SPARSE.toarray(), x),
            ((4, 2),),
            batched=(4,),
        ),
        Structural(
            lambda x: ops.sparse_matmul_transposed(SPARSE_ROWS, x, 3),
            lambda x: np.einsum("ij,ik->jk", DENSE_ROWS, x),
            ((3, 1),),
            batched=(4,),
        ),
    ],
    "sparse_gram": [
        Structural(
            lambda w: ops.sparse_gram(SPARSE, w),
            lambda w: np.einsum("ni,n,nj->ij", SPARSE.toarray(), w, SPARSE.toarray()),
            ((4,),),
            batched=None,
            no_batch="what one Hessian is; several are several matrices",
        ),
        Structural(
            lambda w: ops.sparse_gram(SPARSE_ROWS, w, 3),
            lambda w: np.einsum("ni,n,nj->ij", DENSE_ROWS, w, DENSE_ROWS),
            ((3,),),
            batched=None,
            no_batch="as above",
        ),
    ],
    "reshape": [
        Structural(
            lambda x: ops.reshape(x, (3, -1)),
            lambda x: np.array(x.ravel().tolist()).reshape(3, 4),
            ((2, 6),),
        ),
        Structural(lambda x: ops.reshape(x, ()), lambda x: x[0, 0], ((1, 1),)),
        Structural(
            lambda x: ops.reshape(x, (3, 0)), lambda x: np.zeros((3, 0)), ((0,),)
        ),
    ],
    "transpose": [
        Structural(
            lambda x: ops.transpose(x, (2, 0, 1)),
            lambda x: np.einsum("abc->cab", x),
            ((2, 3, 4),),
        ),
        Structural(ops.transpose, lambda x: np.einsum("ab->ba", x), ((2, 3),)),
    ],
    "broadcast": [
        Structural(
            lambda x: ops.broadcast_to(x, (4, 2, 3)),
            lambda x: x + np.zeros((4, 2, 3)),
            ((2, 1),),
            batched=None,
            no_batch="new leading axes go in front of a batch axis",
        ),
        Structural(
            lambda x: ops.broadcast_to(x, (2, 3)),
            lambda x: np.repeat(x, 3, axis=1),
            ((2, 1),),
        ),
    ],
    "slice": [
        Structural(
            lambda x: ops.getitem(x, (slice(None, None, -2), 1)),
            lambda x: np.take(np.take(x, [4, 2, 0], 0), 1, 1),
            ((5, 3),),
        ),
        Structural(
            lambda x: ops.getitem(x, slice(3, 1)), lambda x: np.zeros((0, 2)), ((4, 2),)
        ),
    ],
    "scatter_slice": [
        Structural(
            lambda x: ops.pad(x, [(1, 0), (0, 2)]),
            lambda x: np.block(
                [[np.zeros((1, 3)), np.zeros((1, 2))], [x, np.zeros((2, 2))]]
            ),
            ((2, 3),),
        ),
        Structural(lambda x: ops.pad(x, [(2, 1)]), lambda x: np.zeros(3), ((0,),)),
    ],
    "windows": [
        Structural(
            lambda x: ops.windows(x, (3,)),
            lambda x: np.array([row[i : i + 3] for row in x for i in (0, 1)]).reshape(
                2, 2, 3
            ),
            ((2, 4),),
        ),
        Structural(
            lambda x: ops.windows(x, (2, 3), (1, 2), (2, 1)),
            lambda x: np.array(
                [
                    [x[i, 2 * j : 2 * j + 3], x[i + 2, 2 * j : 2 * j + 3]]
                    for i in range(2)
                    for j in range(2)
                ]
            ).reshape(2, 2, 2, 3),
            ((4, 6),),
        ),
        Structural(
            lambda x: ops.windows(x, (1,), (3,)), lambda x: x[:, ::3, None], ((2, 5),)
        ),
    ],
    "scatter_windows": [
        Structural(
            lambda x: ops.scatter_windows(x, (5,), (2,)),
            lambda x: _scattered_windows(x, (5,), (2,), (1,)),
            ((2, 3),),
        ),
        Structural(
            lambda x: ops.scatter_windows(x, (4, 6), (1, 2), (2, 1)),
            lambda x: _scattered_windows(x, (4, 6), (1, 2), (2, 1)),
            ((2, 2, 2, 3),),
        ),
        Structural(  # windows that do not touch
            lambda x: ops.scatter_windows(x, (7,), (3,)),
            lambda x: _scattered_windows(x, (7,), (3,), (1,)),
            ((2, 2),),
        ),
    ],
    "concatenate": [
        Structural(
            lambda x, y: ops.concatenate([x, y], axis=1),
            lambda x, y: np.block([x, y]),
            ((2, 3), (2, 1)),
            batched=(0, 1),
        ),
        Structural(
            lambda x, y, z: ops.concatenate([x, y, z]),
            lambda x, y, z: np.array([*x, *y, *z]),
            ((2,), (0,), (3,)),
            batched=(0, 1, 2),
        ),
    ],
    "take": [
        Structural(lambda x: ops.take(x, PICKS), lambda x: x[PICKS], ((3, 2),)),
        Structural(
            lambda x: ops.take(x, [1, 1, 0], axis=1),
            lambda x: x[:, [1, 1, 0]],
            ((2, 3, 2),),
        ),
        Structural(lambda x: ops.take(x, 1), lambda x: x[1], ((3,),)),
    ],
    "scatter_add": [
        Structural(
            lambda x: ops.scatter_add(x, PICKS, size=4),
            lambda x: _scattered(x, PICKS, 4),
            ((2, 2, 3),),
        ),
        Structural(
            lambda x: ops.scatter_add(x, [1, 1, 0], axis=-1, size=2),
            lambda x: np.stack([x[:, 2], x[:, 0] + x[:, 1]], axis=1),
            ((2, 3),),
        ),
    ],
    "argsort": [
        Structural(
            ops.argsort,
            lambda x: _positions(x, -1, _sorted_positions),
            ((2, 4),),
            differentiable=False,
        ),
        Structural(
            lambda x: ops.argsort(x, 0),
            lambda x: _positions(x, 0, _sorted_positions),
            ((3, 2),),
            differentiable=False,
        ),
    ],
    "pack": [
        Structural(
            lambda x, y, z: ops.pack([x, y, z]),
            lambda x, y, z: np.array([*x.flat, *y.flat, *z.flat]),
            ((2, 3), (), (0, 2)),
            batched=None,
            no_batch="flattens all axes; a batch of vectors is another operation",
        )
    ],
    "unpack": [
        Structural(
            lambda x: ops.unpack(x, [(2, 2), (), (0,), (3,)]),
            lambda x: [
                np.array([x[:2], x[2:4]]),
                np.array(x[4]),
                np.zeros(0),
                np.array(list(x[5:])),
            ],
            ((8,),),
            batched=None,
            no_batch="as pack",
        )
    ],
    "random_bits": [
        Structural(
            lambda: ops.random_bits(KEY, np.array(9), ROWS, shape=(2, 3), draw=1),
            lambda: _bits(KEY, 9, ROWS, (2, 3), 1),
            (),
            differentiable=False,
            batched=None,
            no_batch="rows are its leading axes already",
        )
    ],
    "astype": [
        Structural(
            lambda x: ops.astype(ops.astype(x, "int32"), "float64"),
            lambda x: np.array([int(v) for v in x], dtype=float),
            ((5,),),
            differentiable=False,
        ),
        Structural(
            lambda x: ops.astype(x, "float32" if x.dtype == np.float64 else "float64"),
            lambda x: np.array([float(_float32(v)) for v in x.flat]).reshape(x.shape),
            ((2, 3),),
            differentiable=False,
        ),
    ],
}

CASES = {**{name: [case] for name, case in ELEMENTWISE.items()}, **STRUCTURAL}

STRUCTURAL_ROWS = [
    (name, i, case)
    for name, cases in STRUCTURAL.items()
    for i, case in enumerate(cases)
]


def missing():
    """Return the registered primitives without a row, and the rows without one."""
    return set(registered()) ^ set(CASES)
