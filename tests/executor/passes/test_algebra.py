"""Each identity where it holds, and next to it where it does not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from executor.passes.graphs import assert_same_bits, names, run, simplified

from skgrad import ops
from skgrad.core.primitive import Abstract, Primitive, registered
from skgrad.executor.passes import simplify_algebra
from skgrad.executor.passes.algebra import ALGEBRA
from skgrad.ops.reduction import broadcast_p, sum_p
from skgrad.ops.shape import reshape_p, slice_p, transpose_p
from skgrad.transforms import alias_p

# Where identities of real numbers fail.
X = np.array([[np.nan, np.inf, -np.inf], [0.0, -0.0, 1.5]])
Y = np.array([[2.0, -0.0, np.inf], [-0.0, 0.0, 1.5]])
V = np.array([1.0, -0.0, np.nan])
N = np.array([3, -1, 2**60 + 1])
B = np.array([True, False, True])
ONE = np.array(-0.0)


@dataclass(frozen=True)
class Row:
    """A function, what NumPy says it is, and the equations that are left."""

    function: Callable[..., Any]
    expected: Callable[..., Any]
    args: tuple[Any, ...]
    left: tuple[str, ...] = ()


def reshaped(x, shape):
    return reshape_p.bind(x, n_axes=x.ndim, shape=shape)


def repeated(x, shape):
    return broadcast_p.bind(x, n_axes=x.ndim, shape=shape)


def same(x, *_):
    return x


HOLDS = {
    "x * 1": Row(lambda x: x * 1.0, same, (X,)),
    "1 * x": Row(lambda x: 1.0 * x, same, (X,)),
    "n * 1": Row(lambda n: n * 1, same, (N,)),
    "x * 1 of another shape": Row(lambda x: x * np.ones((1, 1)), same, (X,)),
    "x / 1": Row(lambda x: x / 1.0, same, (X,)),
    "x - 0": Row(lambda x: x - 0.0, same, (X,)),
    "n + 0": Row(lambda n: n + 0, same, (N,)),
    "x + -0": Row(lambda x: x + -0.0, same, (X,)),
    "-0 + x": Row(lambda x: -0.0 + x, same, (X,)),
    "x * -1": Row(lambda x: x * -1.0, np.negative, (X,), ("negative",)),
    "-1 * x": Row(lambda x: -1.0 * x, np.negative, (X,), ("negative",)),
    "n * -1": Row(lambda n: n * -1, np.negative, (N,), ("negative",)),
    "x / -1": Row(lambda x: x / -1.0, np.negative, (X,), ("negative",)),
    "-(-x)": Row(lambda x: ops.negative(-x), same, (X,)),
    "-(-1 * x)": Row(lambda x: -(x * -1.0), same, (X,)),
    "x + (-y)": Row(lambda x, y: x + (-y), np.subtract, (X, Y), ("subtract",)),
    "-x + y": Row(lambda x, y: -x + y, lambda x, y: y - x, (X, Y), ("subtract",)),
    "x - (-y)": Row(lambda x, y: x - (-y), np.add, (X, Y), ("add",)),
    "square(-x)": Row(lambda x: ops.square(-x), lambda x: x * x, (X,), ("square",)),
    "abs(-x)": Row(lambda x: ops.absolute(-x), np.fabs, (X,), ("absolute",)),
    "power(x, 1)": Row(lambda x: ops.power(x, 1.0), same, (X,)),
    "power(x, 2)": Row(lambda x: ops.power(x, 2.0), lambda x: x * x, (X,), ("square",)),
    "maximum(x, x)": Row(lambda x: ops.maximum(x, x), same, (X,)),
    "minimum(x, x)": Row(lambda x: ops.minimum(x, x), same, (X,)),
    "b or b": Row(lambda b: ops.logical_or(b, b), same, (B,)),
    "b and b": Row(lambda b: ops.logical_and(b, b), same, (B,)),
    "not not b": Row(lambda b: ops.logical_not(ops.logical_not(b)), same, (B,)),
    "where(b, x, x)": Row(lambda b, x: ops.where(b, x, x), lambda b, x: x, (B, X)),
    "where(True, x, y)": Row(lambda x, y: ops.where(True, x, y), same, (X, Y)),
    "where(no, x, y)": Row(
        lambda x, y: ops.where(np.zeros(3, bool), x, y), lambda x, y: y, (X, Y)
    ),
    "an alias": Row(alias_p.bind, same, (X,)),
    "float32 and back": Row(
        lambda x: ops.astype(ops.astype(x, "float64"), "float32"),
        same,
        (X.astype("float32"),),
    ),
    "int32 and back": Row(
        lambda n: ops.astype(ops.astype(n, "float64"), "int32"),
        same,
        (np.array([-(2**31), 2**31 - 1], dtype="int32"),),
    ),
    "bool and back": Row(
        lambda b: ops.astype(ops.astype(b, "int8"), "bool"), same, (B,)
    ),
    "reshape to the same": Row(lambda x: reshaped(x, (2, 3)), same, (X,)),
    "reshape twice": Row(
        lambda x: reshaped(reshaped(x, (6,)), (3, 2)),
        lambda x: x.reshape(3, 2),
        (X,),
        ("reshape",),
    ),
    "reshape and back": Row(lambda x: reshaped(reshaped(x, (6,)), (2, 3)), same, (X,)),
    "reshape of one repeated": Row(
        lambda s: reshaped(repeated(s, (2, 3)), (6,)),
        lambda s: np.full(6, s),
        (ONE,),
        ("broadcast",),
    ),
    "broadcast to the same": Row(lambda x: repeated(x, (2, 3)), same, (X,)),
    "broadcast to a leading 1": Row(
        lambda v: repeated(v, (1, 3)), lambda v: v[None], (V,), ("reshape",)
    ),
    "broadcast twice": Row(
        lambda v: repeated(repeated(v, (2, 3)), (4, 2, 3)),
        lambda v: v + np.zeros((4, 2, 3)),
        (np.array([1.0, 2.0, np.nan]),),
        ("broadcast",),
    ),
    "broadcast of a leading 1": Row(
        lambda s: repeated(reshaped(s, (1,)), (4,)),
        lambda s: np.full(4, s),
        (ONE,),
        ("broadcast",),
    ),
    "transpose to the same": Row(
        lambda x: transpose_p.bind(x, axes=(-2, -1)), same, (X,)
    ),
    "transpose twice": Row(
        lambda x: ops.transpose(ops.transpose(x, (1, 2, 0)), (0, 2, 1)),
        lambda x: np.transpose(x, (1, 0, 2)),
        (np.arange(24.0).reshape(2, 3, 4),),
        ("transpose",),
    ),
    "transpose twice, of fewer axes": Row(
        lambda x: transpose_p.bind(ops.transpose(x, (2, 0, 1)), axes=(-1, -2)),
        lambda x: np.transpose(x, (2, 1, 0)),
        (np.arange(24.0).reshape(2, 3, 4),),
        ("transpose",),
    ),
    "transpose and back": Row(
        lambda x: ops.transpose(ops.transpose(x, (1, 2, 0)), (2, 0, 1)),
        same,
        (np.arange(24.0).reshape(2, 3, 4),),
    ),
    "transpose of a column": Row(
        ops.transpose, np.transpose, (X[:, :1],), ("reshape",)
    ),
    "transpose that moves a single extent of 1": Row(
        lambda x: ops.transpose(x, (1, 0, 2)),
        lambda x: x.swapaxes(0, 1),
        (X[:, None],),
        ("reshape",),
    ),
    "transpose of one repeated": Row(
        lambda s: ops.transpose(repeated(s, (2, 3))),
        lambda s: np.full((3, 2), s),
        (ONE,),
        ("broadcast",),
    ),
    "slice of everything": Row(
        lambda x: slice_p.bind(x, slices=((0, 2, 1), (0, None, 1))), same, (X,)
    ),
    "pad by nothing": Row(lambda x: ops.pad(x, [(0, 0), (0, 0)]), same, (X,)),
    "one concatenated": Row(lambda x: ops.concatenate([x]), same, (X,)),
    "sum of single integers": Row(
        lambda n: ops.sum(n, 1), lambda n: n[:, 0], (N[:, None],), ("reshape",)
    ),
    "max of single elements": Row(
        lambda x: ops.max(x, 0), lambda x: x[0], (X[1:],), ("reshape",)
    ),
    "prod of single elements": Row(
        lambda x: ops.prod(x, 0), lambda x: x[0], (X[1:],), ("reshape",)
    ),
    "pack one": Row(lambda x: ops.pack([x]), np.ravel, (X,), ("reshape",)),
    "pack one vector": Row(lambda v: ops.pack([v]), same, (V,)),
    "pack reshaped": Row(
        lambda x, v: ops.pack([ops.reshape(x, (3, 2)), v]),
        lambda x, v: np.concatenate([x.ravel(), v]),
        (X, V),
        ("pack",),
    ),
    "pack what was unpacked": Row(
        lambda v: ops.pack(ops.unpack(v, [(1,), (0,), (2, 1)])), same, (V,)
    ),
    "pack what was unpacked and reshaped": Row(
        lambda v: ops.pack([reshaped(p, (1, 1, 1)) for p in ops.unpack(v, [()] * 3)]),
        same,
        (V,),
    ),
    "unpack what was packed": Row(
        lambda x, v: ops.unpack(ops.pack([x, v]), [(2, 3), (3,)])[1],
        lambda x, v: v,
        (X, V),
    ),
    "unpack what was packed in other shapes": Row(
        lambda x, v: ops.unpack(ops.pack([x, v]), [(3, 2), (3,)])[0],
        lambda x, v: x.reshape(3, 2),
        (X, V),
        ("reshape",),
    ),
    "unpack one": Row(
        lambda v: ops.unpack(v, [(3, 1)])[0], lambda v: v[:, None], (V,), ("reshape",)
    ),
    "a repeated scalar as an operand": Row(
        lambda x, s: x * repeated(reshaped(s, (1, 1)), (2, 3)),
        lambda x, s: x * s,
        (X, ONE),
        ("multiply",),
    ),
    "a repeated row as an operand": Row(
        lambda x, v: ops.where(x > 0.0, repeated(v, (2, 3)), x),
        lambda x, v: np.where(x > 0, v, x),
        (X, V),
        ("greater", "where"),
    ),
    "a repeated constant as an operand": Row(
        lambda x: x * ops.broadcast_to([1.0], (2, 3)), same, (X,)
    ),
    "a reshaped row as an operand": Row(
        lambda x, v: x - reshaped(v, (1, 3)), np.subtract, (X, V), ("subtract",)
    ),
}

FAILS = {
    "x + 0": Row(lambda x: x + 0.0, lambda x: x + 0.0, (X,), ("add",)),
    "x - -0": Row(lambda x: x - -0.0, lambda x: x + 0.0, (X,), ("subtract",)),
    "0 - x": Row(lambda x: 0.0 - x, lambda x: 0.0 - x, (X,), ("subtract",)),
    "x * 0": Row(lambda x: x * 0.0, lambda x: x * 0.0, (X,), ("multiply",)),
    "1 / x": Row(lambda x: 1.0 / x, np.reciprocal, (X,), ("divide",)),
    "-1 / x": Row(lambda x: -1.0 / x, lambda x: -np.reciprocal(x), (X,), ("divide",)),
    "x * y that happens to be 1": Row(
        lambda x, s: x * s,
        same,
        (X, np.array(1.0)),
        ("multiply",),
    ),
    "x * 1 that adds axes": Row(
        lambda v: v * np.ones((1, 1)), lambda v: v[None], (V,), ("multiply",)
    ),
    "x * ones": Row(lambda v: v * np.ones(3), same, (V,), ("multiply",)),
    "x * -1 that adds axes": Row(
        lambda v: v * np.full((1, 1), -1.0), lambda v: -v[None], (V,), ("multiply",)
    ),
    "power(1, x)": Row(lambda x: ops.power(1.0, x), np.ones_like, (X,), ("power",)),
    "power(x, ½)": Row(
        # C's pow gives 0 and inf at -0 and -inf, a square root -0 and NaN.
        lambda x: ops.power(x, 0.5),
        lambda x: np.array([0.0, 1.5, np.inf]),
        (np.array([0.0, 2.25, np.inf]),),
        ("power",),
    ),
    "power(x, 2) that adds axes": Row(
        lambda v: ops.power(v, [[2.0]]), lambda v: (v * v)[None], (V,), ("power",)
    ),
    "maximum(x, y)": Row(ops.maximum, np.maximum, (X, V), ("maximum",)),
    "not not x": Row(
        lambda n: ops.logical_not(ops.logical_not(n)),
        lambda n: n != 0,
        (N,),
        ("logical_not", "logical_not"),
    ),
    "n or n": Row(
        lambda n: ops.logical_or(n, n), lambda n: n != 0, (N,), ("logical_or",)
    ),
    "where(b, v, v) that repeats": Row(
        lambda x, v: ops.where(x > 0.0, v, v),
        lambda x, v: np.stack([v, v]),
        (X, V),
        ("greater", "where"),
    ),
    "where(mixed, x, y)": Row(
        lambda x, y: ops.where(B, x, y),
        lambda x, y: np.where(B, x, y),
        (X, Y),
        ("where",),
    ),
    "where(True, v, x)": Row(
        lambda v, x: ops.where(True, v, x),
        lambda v, x: np.stack([v, v]),
        (V, X),
        ("where",),
    ),
    "float64 to float32 and back": Row(
        lambda x: ops.astype(ops.astype(x, "float32"), "float64"),
        lambda x: np.array([float(np.float32(0.1))]),
        (np.array([0.1]),),
        ("astype", "astype"),
    ),
    "int64 to float64 and back": Row(
        lambda n: ops.astype(ops.astype(n, "float64"), "int64"),
        lambda n: np.array([3, -1, 2**60]),
        (N,),
        ("astype", "astype"),
    ),
    "int32 to float32 and back": Row(
        lambda n: ops.astype(ops.astype(n, "float32"), "int32"),
        lambda n: np.array([2**24], dtype="int32"),
        (np.array([2**24 + 1], dtype="int32"),),
        ("astype", "astype"),
    ),
    "uint8 to int8 and back": Row(
        lambda n: ops.astype(ops.astype(n, "int8"), "uint8"),
        same,
        (np.array([200], dtype="uint8"),),
        ("astype", "astype"),
    ),
    "a broadcast that repeats": Row(
        lambda v: repeated(v, (2, 3)), lambda v: np.stack([v, v]), (V,), ("broadcast",)
    ),
    "broadcast of a column": Row(
        lambda v: repeated(reshaped(v, (3, 1)), (3, 2)),
        lambda v: np.stack([v, v], 1),
        (V,),
        ("reshape", "broadcast"),
    ),
    "broadcast of many leading 1s": Row(
        lambda x: repeated(reshaped(x, (3,)), (2, 3)),
        lambda x: np.stack([x[0, 0], x[0, 0]]),
        (V[None, None],),
        ("reshape", "broadcast"),
    ),
    "reshape of a row repeated": Row(
        lambda v: reshaped(repeated(v, (2, 3)), (6,)),
        lambda v: np.concatenate([v, v]),
        (V,),
        ("broadcast", "reshape"),
    ),
    "a transpose": Row(ops.transpose, np.transpose, (X,), ("transpose",)),
    "a slice": Row(lambda x: x[:, :2], lambda x: x[:, :2], (X,), ("slice",)),
    "a slice backwards": Row(
        lambda x: x[:, ::-1], lambda x: x[:, ::-1], (X,), ("slice",)
    ),
    "a slice of as many elements": Row(
        lambda v: ops.pad(v, [(1, 0)])[1:],
        same,
        (V,),
        ("scatter_slice", "slice"),
    ),
    "a sum of one number": Row(
        lambda x: sum_p.bind(x, axes=(-1,), keepdims=False),
        lambda x: np.array([0.0]),
        (np.array([[-0.0]]),),
        ("sum",),
    ),
    "a sum of one bool": Row(
        lambda b: ops.sum(b, 1), lambda b: np.array([1, 0, 1]), (B[:, None],), ("sum",)
    ),
    "max of several": Row(lambda x: ops.max(x, (0, 1)), np.max, (Y,), ("max",)),
    "pack in another order": Row(
        lambda v: ops.pack(ops.unpack(v, [(1,), (2,)])[::-1]),
        lambda v: np.roll(v, -1),
        (V,),
        ("unpack", "pack"),
    ),
    "pack some of the leaves": Row(
        lambda v: ops.pack(ops.unpack(v, [(), (), ()])[:2]),
        lambda v: v[:2],
        (V,),
        ("unpack", "pack"),
    ),
    "pack what was transposed": Row(
        lambda x, v: ops.pack([x.T, v]),
        lambda x, v: np.concatenate([x.T.ravel(), v]),
        (X, V),
        ("transpose", "pack"),
    ),
    "unpack leaves of other sizes": Row(
        lambda x, v: ops.unpack(ops.pack([x, v]), [(3,), (6,)])[1],
        lambda x, v: np.concatenate([x.ravel(), v])[3:],
        (X, V),
        ("pack", "unpack"),
    ),
    "unpack more leaves than packed": Row(
        lambda x, v: ops.unpack(ops.pack([x, v]), [(2, 3), (1,), (2,)])[2],
        lambda x, v: v[1:],
        (X, V),
        ("pack", "unpack"),
    ),
    "operands that are repeated both": Row(
        lambda s, t: repeated(s, (3,)) + repeated(t, (3,)),
        lambda s, t: np.full(3, s + t),
        (np.array(1.5), np.array(2.0)),
        ("broadcast", "add"),
    ),
    "the only operand is repeated": Row(
        lambda s: -repeated(s, (3,)),
        lambda s: np.full(3, -s),
        (ONE,),
        ("broadcast", "negative"),
    ),
    "a repeated row that is summed": Row(
        lambda v: ops.sum(repeated(v, (2, 3)), 0),
        lambda v: 0.0 + v + v,
        (V,),
        ("broadcast", "sum"),
    ),
    "a column as an operand": Row(
        lambda x, v: x * reshaped(v, (3, 1)),
        lambda x, v: x * v[:, None],
        (np.ones((3, 2)), V),
        ("reshape", "multiply"),
    ),
}


@pytest.mark.parametrize("row", HOLDS.values(), ids=HOLDS)
def test_an_identity_is_used_where_it_holds(row):
    graph = simplified(simplify_algebra, row.function, *row.args)
    assert tuple(names(graph)) == row.left
    (found,) = run(graph, *row.args)
    with np.errstate(all="ignore"):
        assert_same_bits(found, row.expected(*row.args))


@pytest.mark.parametrize("row", FAILS.values(), ids=FAILS)
def test_an_identity_is_not_used_where_it_fails(row):
    graph = simplified(simplify_algebra, row.function, *row.args)
    assert tuple(names(graph)) == row.left
    (found,) = run(graph, *row.args)
    with np.errstate(all="ignore"):
        assert_same_bits(found, row.expected(*row.args))


def behind(x, n):
    """Repeat behind the leading axis, where NumPy would repeat in front of it."""
    return broadcast_p.bind(x, n_axes=1, shape=(n, *x.shape[1:]))


@pytest.mark.parametrize(
    ("function", "x", "left"),
    [
        (lambda x: behind(x, 2) * np.ones((2, 2, 3)), X, ("broadcast", "multiply")),
        (lambda x: repeated(behind(x, 2), (5, 2, 2, 3)), X, ("broadcast", "broadcast")),
        (
            lambda x: behind(repeated(x, (2, 3)), 2),
            X[:, :1],
            ("broadcast", "broadcast"),
        ),
    ],
    ids=["read", "repeated again", "repeated before"],
)
def test_a_repetition_behind_leading_axes_stays(function, x, left):
    assert tuple(names(simplified(simplify_algebra, function, x))) == left


def test_every_rule_has_a_name_of_a_primitive():
    assert set(ALGEBRA) - {"elementwise"} <= set(registered())


def test_operands_shared_with_other_readers_stay():
    def function(x):
        minus = -x
        return minus, 2.0 - minus

    graph = simplified(simplify_algebra, function, X)
    assert names(graph) == ["negative", "add"]


def test_an_elementwise_primitive_of_a_user_reads_what_was_repeated():
    def shape(x, y):
        return Abstract(np.broadcast_shapes(x.shape, y.shape), x.dtype)

    hypot = Primitive("hypot", shape, expression=lambda: "sqrt({0} * {0} + {1} * {1})")
    x = np.array([3.0, 6.0])
    graph = simplified(
        simplify_algebra,
        lambda x, s: hypot.bind(x, repeated(s, (2,))),
        x,
        np.array(4.0),
    )
    assert names(graph) == ["hypot"]
    np.testing.assert_allclose(run(graph, x, 4.0)[0], [5.0, 52.0**0.5])
