"""Scalars of CUDA C: exact literals, integers that wrap around, bits."""

import re

import numpy as np
import pytest
from backend.cuda import host

from skgrad.backend.cuda.launch import Launch
from skgrad.backend.cuda.printer import STORED, function, module
from skgrad.backend.cuda.scalar import PRELUDE, TYPES, Block, Scalar, constant
from skgrad.backend.mathematics.number import Operators

FLOATS = [0.0, -0.0, 1.0, -1 / 3, 0.1, 1e-45, 5e-324, 3e38, 1e308]
FLOATS += [np.inf, -np.inf, np.nan]
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def computed(functions, dtype):
    """Return the values of functions of a block, of one dtype."""
    block = Block()
    values = [f(block) for f in functions]
    assert {value.dtype for value in values} == {dtype}
    lines = [*block.taken(), *(f"out[{i}] = {v};" for i, v in enumerate(values))]
    pointers = [f"{STORED[dtype]} *out"]
    library = host.build(module([function("f_0", pointers, [], "\n".join(lines))]))
    out = np.zeros(len(values), dtype)
    host.launch(library, "f", [Launch("_0", (1, 1))], [out.ctypes.data], 0, 0, [])
    return out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float_literals_are_exact(dtype):
    with np.errstate(over="ignore"):
        expected = np.array(FLOATS).astype(dtype)
    found = computed([lambda b, x=x: constant(b, x, dtype) for x in expected], dtype)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_literals_wrap_around_and_shift(dtype):
    info = np.iinfo(dtype)
    values = [info.min, info.min + 1, 0, 1, 7, info.max - 1, info.max]
    x, y = np.meshgrid(np.array(values, dtype), np.array(values, dtype))
    x, y = x.ravel(), y.ravel()

    operations = [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: -a ^ ~b,
        lambda a, b: (a << 3) >> 2,
        lambda a, b: (a & b) | a,
    ]
    functions = [
        lambda block, i=i, j=j, f=f: f(
            constant(block, i, dtype), constant(block, j, dtype)
        )
        for f in (lambda a, b: a, *operations)
        for i, j in zip(x.tolist(), y.tolist(), strict=True)
    ]
    functions += [lambda block, i=i: constant(block, i, dtype).absolute() for i in x]
    with np.errstate(over="ignore"):
        expected = np.concatenate([x, *(f(x, y) for f in operations), np.abs(x)])
    np.testing.assert_array_equal(computed(functions, dtype), expected)


def test_bools_add_and_multiply_as_numpy_s():
    pairs = [(a, b) for a in (False, True) for b in (False, True)]

    def of(operation):
        return computed(
            [
                lambda block, a=a, b=b: operation(
                    constant(block, a, "bool"), constant(block, b, "bool")
                )
                for a, b in pairs
            ],
            "bool",
        ).tolist()

    x, y = np.array(pairs).T
    assert of(lambda a, b: a + b) == (x + y).tolist()
    assert of(lambda a, b: a * b) == (x * y).tolist()
    assert of(lambda a, b: ~a) == (~x).tolist()
    assert of(lambda a, b: (a ^ b) & (a | b)) == ((x ^ y) & (x | y)).tolist()


@pytest.mark.parametrize(
    ("dtype", "integer"),
    [*(("float32", f"{s}int32") for s in ("", "u")), ("float64", "int64")],
)
def test_bits_are_read_and_read_back(dtype, integer):
    x = np.array(FLOATS[:-1]).clip(-3e38, 3e38).astype(dtype)
    patterns = computed(
        [lambda b, v=v: constant(b, v, dtype).view(integer) for v in x], integer
    )
    np.testing.assert_array_equal(patterns, x.view(integer))
    back = computed(
        [lambda b, p=p: constant(b, p, integer).view(dtype) for p in patterns.tolist()],
        dtype,
    )
    np.testing.assert_array_equal(back, x)


def test_a_quotient_of_integers_and_operands_of_two_dtypes_are_errors():
    block = Block()
    x, y = Scalar(block, "x", "int32"), Scalar(block, "y", "float32")
    with pytest.raises(TypeError, match="a quotient of int32: cast to a float first"):
        x / x
    with pytest.raises(TypeError, match="operands of int32 and float32"):
        x + y
    with pytest.raises(TypeError, match="select needs a typed alternative"):
        (x < 0).select(1, 2)
    assert isinstance(x, Operators)


def test_the_prelude_has_types_of_one_size_everywhere():
    for text in (*TYPES.values(), *STORED.values(), PRELUDE):
        assert not re.search(r"\blong\b", text.replace("long long", ""))
