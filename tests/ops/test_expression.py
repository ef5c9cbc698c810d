"""Expressions that a backend could not compute are refused, with a way out."""

import numpy as np
import pytest

from skgrad.core.primitive import registered
from skgrad.exceptions import DTypeError, ParameterError
from skgrad.ops.expression import check_computes, check_written

OWN = {
    name: primitive.expression()
    for name, primitive in registered().items()
    if primitive.expression is not None and name != "astype"
}


@pytest.mark.parametrize("name", OWN)
def test_our_own_expressions_pass(name):
    names = [x for i, x in enumerate("xyz") if f"{{{i}}}" in OWN[name]]
    check_written(name, OWN[name], names)


@pytest.mark.parametrize(
    ("expression", "match"),
    [
        (
            "{0} + {2}",
            r"uses \{2\}\. Its operands are written \{0\} for x, \{1\} for y",
        ),
        ("{0} + {}", r"uses \{\}"),
        ("{x} + {1}", r"uses \{x\}"),
        ("{0:.1f} + {1}", r"uses \{0\}"),
        ("{0", "wrong braces"),
        ("{0} * two", "does not use y"),
        ("{0} + * {1}", "not a Python expression: invalid syntax"),
        ("tanhh({0}) + {1}", "unknown name 'tanhh'. Did you mean 'tanh'"),
        ("abs({0}) + {1}", "unknown name 'abs'. Did you mean 'absolute'"),
        ("max({0}, {1})", "unknown name 'max'. Did you mean 'maximum'"),
        ("{0} ** {1}", r"write power\(x, y\)"),
        ("{0} if {1} > zero else zero", "write where"),
        ("{0} > zero and {1} > zero", "write logical_and"),
        ("not {0} > {1}", "write logical_not"),
        ("zero < {0} < {1}", "chains comparisons"),
        ("{0}.real + {1}", "uses Attribute"),
        ("[{0}, {1}]", "uses List"),
        ("{0} % {1}", "uses Mod"),
        ("__import__('os').system('true') + {0} + {1}", "calls something else"),
        ("where({0} > zero, {1}, y=one)", "by name"),
        ("{0} + {1} + 1j", "constants are real"),
        ("{0} + {1} + True", "constants are real"),
    ],
)
def test_what_cannot_be_read(expression, match):
    with pytest.raises(ParameterError, match=match):
        check_written("f", expression, ["x", "y"])


@pytest.mark.parametrize(
    ("expression", "dtype", "out", "match"),
    [
        ("({0} > zero) * {0}", "float32", "float32", "Choose by where"),
        ("where({0} > zero, one, two)", "float32", "float32", "gives float64"),
        ("{0} > zero", "float64", "float64", "gives bool, not float64"),
        ("exp(2.0) * {0}", "float64", "float64", "cannot be computed"),
        ("{0} / two", "int64", "int64", "gives float64, not int64"),
        ("cast({0}, float32)", "float64", "float64", "gives float32"),
        ("exp + {0}", "float64", "float64", "cannot be computed"),
        ("power({0})", "float64", "float64", "cannot be computed"),
        ("one({0})", "float64", "float64", "cannot be computed"),
    ],
)
def test_what_has_another_dtype(expression, dtype, out, match):
    with pytest.raises(DTypeError, match=match):
        check_computes("f", expression, 1, dtype, out)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_take_the_dtype_beside_them(dtype):
    expression = "minimum(0.1 + {0} * 3, where({0} < 1e-3, {0}, 0.7978845608028654))"
    check_written("f", expression, ["x"])
    check_computes("f", expression, 1, dtype, np.dtype(dtype).name)
