"""Rules of elementwise equations: identities that hold for every number.

"Every" includes infinities, NaN and both zeros. So x + 0 is not x (-0 + 0 is 0), and
the power ½ is not the square root (of -0, of -inf); they have no rule here. NaNs are
all the same: their sign is not part of a result.
"""

from collections.abc import Sequence

import numpy as np

from skgrad.executor.graph import Equation, Variable
from skgrad.executor.passes.rewrite import Found, Rule, Writer
from skgrad.typing import Array, Shape

__all__ = ["ARITHMETIC"]


def _unrepeated(writer: Writer, equation: Equation) -> Found:
    """Elementwise equations broadcast by themselves: read what was repeated."""
    if len(equation.inputs) == 1:
        return None
    inputs = list(equation.inputs)
    for i, variable in enumerate(inputs):
        source = _smaller(writer, variable)
        if source is None:
            continue
        shapes = [v.shape for v in (*inputs[:i], *inputs[i + 1 :])]
        if np.broadcast_shapes(source.shape, *shapes) == equation.outputs[0].shape:
            found = isinstance(source, Variable)
            inputs[i] = source if found else writer.number(source)
    if all(a is b for a, b in zip(inputs, equation.inputs, strict=True)):
        return None
    return writer.apply(equation.primitive, *inputs, **equation.params)


def _smaller(writer: Writer, variable: Variable) -> Variable | Array | None:
    """Return what an operand repeats, or repeats up to leading axes of extent 1."""
    value = writer.constants.get(variable)
    if value is not None:
        return value.reshape(()) if value.size == 1 and value.ndim else None
    source = writer.definition(variable, "broadcast")
    if source is not None:
        return source.inputs[0] if is_aligned(source) else None
    source = writer.definition(variable, "reshape")
    if source is None or stripped(source.inputs[0].shape) != stripped(variable.shape):
        return None
    return source.inputs[0]


def is_aligned(broadcast: Equation) -> bool:
    """Tell whether a broadcast matches axes from the last one, as NumPy's does.

    New axes may instead stand behind leading axes that the equation does not touch.
    """
    n_axes, shape = broadcast.params["n_axes"], broadcast.params["shape"]
    return n_axes in (len(broadcast.inputs[0].shape), len(shape))


def stripped(shape: Shape) -> Shape:
    """Return the shape without leading extents of 1."""
    first = next((i for i, n in enumerate(shape) if n != 1), len(shape))
    return shape[first:]


# --- neutral elements -------------------------------------------------------------


def _neutral(at: int, number: float) -> Rule:
    """Return the rule that a number as operand ``at`` changes nothing."""

    def rule(writer: Writer, equation: Equation) -> Found:
        other = equation.inputs[1 - at]
        if other.shape != equation.outputs[0].shape:
            return None
        return other if writer.is_number(equation.inputs[at], number) else None

    return rule


def _changes_sign(at: int) -> Rule:
    """Return the rule of -1 as operand ``at`` of a product or quotient."""

    def rule(writer: Writer, equation: Equation) -> Found:
        other = equation.inputs[1 - at]
        if other.shape != equation.outputs[0].shape:
            return None
        if not writer.is_number(equation.inputs[at], -1.0):
            return None
        return writer.apply("negative", other)

    return rule


def _squares(writer: Writer, equation: Equation) -> Found:
    # NumPy computes power(x, 2.0) as this product too.
    x, exponent = equation.inputs
    if x.shape != equation.outputs[0].shape or not writer.is_number(exponent, 2.0):
        return None
    return writer.apply("square", x)


# --- signs ------------------------------------------------------------------------


def _negated(writer: Writer, variable: Variable) -> Variable | None:
    source = writer.definition(variable, "negative")
    return None if source is None else source.inputs[0]


def _double_negation(writer: Writer, equation: Equation) -> Found:
    return _negated(writer, equation.inputs[0])


def _forgets_sign(writer: Writer, equation: Equation) -> Found:
    x = _negated(writer, equation.inputs[0])
    return None if x is None else writer.apply(equation.primitive, x)


def _adds_negative(writer: Writer, equation: Equation) -> Found:
    x, y = equation.inputs
    for a, b in ((x, y), (y, x)):
        minus = _negated(writer, b)
        if minus is not None:
            return writer.apply("subtract", a, minus)
    return None


def _subtracts_negative(writer: Writer, equation: Equation) -> Found:
    x, y = equation.inputs
    minus = _negated(writer, y)
    return None if minus is None else writer.apply("add", x, minus)


# --- choices ----------------------------------------------------------------------


def _same(writer: Writer, equation: Equation) -> Found:
    """Of two operands that are one, either is the result."""
    *_, x, y = equation.inputs
    out = equation.outputs[0]
    same = x is y and (x.shape, x.dtype) == (out.shape, out.dtype)
    return x if same else None


def _decided(writer: Writer, equation: Equation) -> Found:
    condition, x, y = equation.inputs
    value = writer.constants.get(condition)
    if value is None or not (value.all() or not value.any()):
        return None
    chosen = x if value.all() else y
    return chosen if chosen.shape == equation.outputs[0].shape else None


def _not_not(writer: Writer, equation: Equation) -> Found:
    source = writer.definition(equation.inputs[0], "logical_not")
    if source is None or source.inputs[0].dtype.kind != "b":
        return None
    return source.inputs[0]


# --- conversions ------------------------------------------------------------------


def _as_it_was(writer: Writer, equation: Equation) -> Found:
    """Undo a conversion to the same dtype, or to a wider one and back."""
    (x,), (out,) = equation.inputs, equation.outputs
    if x.dtype == out.dtype:
        return x
    source = writer.definition(x, "astype")
    if source is None or source.inputs[0].dtype != out.dtype:
        return None
    return source.inputs[0] if _is_wider(x.dtype, out.dtype) else None


def _is_wider(wide: np.dtype[np.generic], narrow: np.dtype[np.generic]) -> bool:
    """Tell whether every value survives; int64 in float64 does not."""
    if wide.kind == "f" and narrow.kind in "iu" and narrow.itemsize >= wide.itemsize:
        return False
    return np.can_cast(narrow, wide, "safe")


def _itself(writer: Writer, equation: Equation) -> Found:
    return equation.inputs[0]


ARITHMETIC: dict[str, Sequence[Rule]] = {
    "elementwise": (_unrepeated,),
    "absolute": (_forgets_sign,),
    "add": (_neutral(0, -0.0), _neutral(1, -0.0), _adds_negative),
    "alias": (_itself,),
    "astype": (_as_it_was,),
    "divide": (_neutral(1, 1.0), _changes_sign(1)),
    "logical_and": (_same,),
    "logical_not": (_not_not,),
    "logical_or": (_same,),
    "maximum": (_same,),
    "minimum": (_same,),
    "multiply": (
        _neutral(0, 1.0),
        _neutral(1, 1.0),
        _changes_sign(0),
        _changes_sign(1),
    ),
    "negative": (_double_negation,),
    "power": (_neutral(1, 1.0), _squares),
    "square": (_forgets_sign,),
    "subtract": (_neutral(1, 0.0), _subtracts_negative),
    "where": (_decided, _same),
}
