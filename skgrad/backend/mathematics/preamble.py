"""The names that scalar expressions may use, for the compiled kernels.

The same names as the reference backend's, with NumPy's behaviour, for anything with the
protocol of :class:`~skgrad.backend.mathematics.number.Number`: scalars that write
code, or arrays. A Python number beside a Number takes its dtype.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from skgrad.backend.base import Binding
from skgrad.backend.mathematics import elementary
from skgrad.backend.mathematics.elementary import (
    Value,
    erf,
    exp,
    expm1,
    log,
    log1p,
    sigmoid,
    softplus,
    tanh,
)
from skgrad.backend.mathematics.trigonometry import cos, sin

__all__ = ["PREAMBLE", "bound", "philox_4x32"]

# --- what NumPy's functions do ----------------------------------------------------


def _kind(x: Value) -> str:
    return str(np.dtype(x.dtype).kind)


def _typed(x: Value, y: Value) -> tuple[Value, Value]:
    """Return both as Numbers: a Python number takes the dtype of the other."""
    if isinstance(x, int | float):
        return y.like(x), y
    return x, (x.like(y) if isinstance(y, int | float) else y)


def power(x: Value, y: Value) -> Value:
    """Return x raised to the power y."""
    return elementary.power(*_typed(x, y))


def sqrt(x: Value) -> Value:
    """Return the square root."""
    return x.sqrt()


def absolute(x: Value) -> Value:
    """Return the absolute value."""
    return x.absolute()


def floor(x: Value) -> Value:
    """Return the largest integer not above."""
    return x.floor() if _kind(x) == "f" else x


def sign(x: Value) -> Value:
    """Return -1, 0 or 1; NaN stays NaN."""
    if _kind(x) == "u":
        return (x > 0).select(1, x)
    other = (x == 0).select(0, x) if _kind(x) == "f" else x  # NaN stays, -0 does not
    return (x > 0).select(1, (x < 0).select(-1, other))


def maximum(x: Value, y: Value) -> Value:
    """Return the larger; NaN if either is."""
    x, y = _typed(x, y)
    return ((x > y) | (x != x)).select(x, y)


def minimum(x: Value, y: Value) -> Value:
    """Return the smaller; NaN if either is."""
    x, y = _typed(x, y)
    return ((x < y) | (x != x)).select(x, y)


def relu(x: Value) -> Value:
    """Return the positive part; NaN stays NaN."""
    return (x <= 0).select(0, x)


def where(condition: Value, x: Value, y: Value) -> Value:
    """Return x where the condition holds, y elsewhere."""
    return condition.cast("bool").select(x, y)


def logical_and(x: Value, y: Value) -> Value:
    """Return whether both are nonzero."""
    x, y = _typed(x, y)
    return x.cast("bool") & y.cast("bool")


def logical_or(x: Value, y: Value) -> Value:
    """Return whether either is nonzero."""
    x, y = _typed(x, y)
    return x.cast("bool") | y.cast("bool")


def logical_not(x: Value) -> Value:
    """Return whether x is zero."""
    return ~x.cast("bool")


def isnan(x: Value) -> Value:
    """Return whether x is NaN."""
    return x != x


def isfinite(x: Value) -> Value:
    """Return whether x is neither infinite nor NaN."""
    return x.absolute() < math.inf if _kind(x) == "f" else x == x


def cast(x: Value, dtype: str) -> Value:
    """Return x converted to another dtype."""
    return x.cast(dtype)


# --- random bits ------------------------------------------------------------------

# Philox-4x32-10: Salmon, Moraes, Dror, Shaw (2011), "Parallel random numbers: as easy
# as 1, 2, 3", SC'11, section 3.3 and table 2 (multipliers and Weyl constants).
_PHILOX_M = (0xD2511F53, 0xCD9E8D57)
_PHILOX_W = (0x9E3779B9, 0xBB67AE85)


def _product(x: Value, multiplier: int) -> tuple[Value, Value]:
    """Return the upper and the lower 32 bits of a product of uint32."""
    wide = x.cast("uint64") * multiplier
    return (wide >> 32).cast("uint32"), wide.cast("uint32")


def philox_4x32(counter: Sequence[Value], key: Sequence[Value]) -> tuple[Value, ...]:
    """Return four words of Philox-4x32-10.

    Parameters
    ----------
    counter : sequence of four Numbers
        uint32, or wider integers of which the lower 32 bits count.
    key : sequence of two Numbers
        Likewise.

    Returns
    -------
    tuple of four Numbers
        uint32, uniform over all their values: 128 random bits per counter.

    References
    ----------
    Salmon, Moraes, Dror, Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3",
    SC'11, section 3.3.

    Examples
    --------
    >>> import llvmlite.ir as ir
    >>> from skgrad.backend.mathematics.preamble import philox_4x32
    >>> from skgrad.backend.cpu.scalar import Scalar
    >>> builder = ir.IRBuilder(ir.Block(ir.Function(ir.Module(), ir.FunctionType(
    ...     ir.VoidType(), [ir.IntType(32)]), "f")))
    >>> x = Scalar(builder, builder.function.args[0], "uint32")
    >>> [word.dtype for word in philox_4x32((x, x, x, x), (x, x))]
    ['uint32', 'uint32', 'uint32', 'uint32']
    """
    c0, c1, c2, c3 = (c.cast("uint32") for c in counter)
    k0, k1 = (k.cast("uint32") for k in key)
    for _ in range(10):
        (high0, low0), (high1, low1) = (
            _product(c0, _PHILOX_M[0]),
            _product(c2, _PHILOX_M[1]),
        )
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = k0 + _PHILOX_W[0], k1 + _PHILOX_W[1]
    return c0, c1, c2, c3


# The names a scalar expression may use, those of the reference backend.
PREAMBLE: dict[str, Callable[..., Value] | float | str] = {
    "zero": 0.0,
    "one": 1.0,
    "half": 0.5,
    "two": 2.0,
    **{
        function.__name__: function
        for function in (
            *(exp, expm1, log, log1p, sqrt, absolute, sign, floor, sin, cos, tanh),
            *(sigmoid, softplus, erf, power, maximum, minimum, relu, where),
            *(logical_and, logical_or, logical_not, isnan, isfinite, cast),
        )
    },
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    **{
        name: name
        for name in (
            *("bool", "float32", "float64", "int8", "int16", "int32", "int64"),
            *("uint8", "uint16", "uint32", "uint64"),
        )
    },
}


# --- bindings ---------------------------------------------------------------------


def bound(
    binding: Binding,
    arguments: Sequence[Value],
    constant: Callable[[float, str], Value],
) -> Value:
    """Return the value of a binding.

    Parameters
    ----------
    binding : Binding
        What to evaluate.
    arguments : sequence of Numbers
        Its arguments.
    constant : callable
        ``constant(value, dtype)`` is a Number, for an expression without arguments.

    Returns
    -------
    Number
        Of the dtype of the binding.

    Raises
    ------
    TypeError
        If the expression computes another dtype.
    """
    value = _body(binding.expression, len(arguments))(*arguments)
    if isinstance(value, int | float):
        return constant(value, binding.dtype)
    if value.dtype != binding.dtype:
        raise TypeError(
            f"The expression {binding.expression!r} computes {value.dtype} from "
            f"{[x.dtype for x in arguments]}; its binding says {binding.dtype}. "
            f"Cast it: cast(..., {binding.dtype})."
        )
    return value


@cache
def _body(expression: str, n_arguments: int) -> Callable[..., Value]:
    names = [f"x{i}" for i in range(n_arguments)]
    text = f"lambda {', '.join(names)}: {expression.format(*names)}"
    function: Callable[..., Value] = eval(text, dict(PREAMBLE))
    return function
