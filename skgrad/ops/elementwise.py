"""Elementwise primitives: one declaration each.

A declaration is a scalar expression in the operands ``{0}, {1} ...`` and one gradient
rule per operand, ``rule(g, out, *operands)``. Rules are made of the operations of this
file; broadcasting is undone outside of them. ``None`` means a zero derivative.
"""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from skgrad.core.primitive import Abstract, Primitive, VjpRules, register
from skgrad.exceptions import DTypeError, ShapeError
from skgrad.ops.promotion import as_value, operands, same_dtype
from skgrad.typing import ArrayLike, Shape

__all__ = [
    "absolute",
    "add",
    "clip",
    "cos",
    "divide",
    "equal",
    "erf",
    "exp",
    "expm1",
    "floor",
    "greater",
    "greater_equal",
    "isfinite",
    "isnan",
    "less",
    "less_equal",
    "log",
    "log1p",
    "logical_and",
    "logical_not",
    "logical_or",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "power",
    "relu",
    "sigmoid",
    "sign",
    "sin",
    "softplus",
    "sqrt",
    "square",
    "subtract",
    "tanh",
    "where",
]

_OPERANDS = """Parameters
    ----------
    {names} : tensor, array or scalar
        The operand{s}, broadcast against each other{kind}.

    Returns
    -------
    Tensor
        Of the broadcast shape{out}.

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If the floating dtypes of the arrays differ.
"""
_KINDS = {
    "float": "; integers are computed in float64",
    "number": "; bool counts as integer",
    "any": "",
}


def broadcast_shapes(name: str, *shapes: Shape) -> Shape:
    """Return the broadcast shape, or raise ShapeError naming all shapes."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        shown = " and ".join(str(shape) for shape in shapes)
        raise ShapeError(
            f"{name}: shapes {shown} do not broadcast. Axes are matched from the last "
            "one; extents must be equal or 1."
        ) from error


def elementwise(
    expression: str,
    vjp: VjpRules | None,
    *,
    kind: str = "float",
    out: str | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare an elementwise primitive; the decorated function gives name and docs.

    Parameters
    ----------
    expression : str
        The scalar expression, in the names of the backends' preambles.
    vjp : tuple of callables, callable or None
        One rule per operand, or one for all, see ``Primitive``.
    kind : {"float", "number", "any"}
        Which dtypes it computes with, see ``operands``.
    out : str, optional
        Dtype of the result; by default that of the operands.

    Returns
    -------
    callable
        The public function; its ``primitive`` attribute is the primitive.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.tanh.primitive
    Primitive(tanh)
    """

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__name__
        rule = shape_rule_of(name, inspect.signature(function), out)
        primitive = register(Primitive(name, rule, vjp, lambda: expression))
        return entrance(function, primitive, kind, out)

    return declare


def shape_rule_of(
    name: str, signature: inspect.Signature, out: str | None
) -> Callable[..., Abstract]:
    """Return the shape rule of an elementwise primitive."""
    n_operands = len(signature.parameters)

    def shape_rule(*xs: Any) -> Abstract:
        if len(xs) != n_operands:
            raise ShapeError(f"{name} takes {signature}. Got {len(xs)} operands.")
        shape = broadcast_shapes(name, *(x.shape for x in xs))
        dtype = same_dtype(name, *xs)
        return Abstract(shape, np.dtype(out) if out else dtype)

    return shape_rule


def entrance(
    function: Callable[..., Any], primitive: Primitive, kind: str, out: str | None
) -> Callable[..., Any]:
    """Return the public function of an elementwise primitive."""
    name, signature = function.__name__, inspect.signature(function)
    n_operands = len(signature.parameters)

    @functools.wraps(function)
    def public(*args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != n_operands:
            args = signature.bind(*args, **kwargs).args
        return primitive.bind(*operands(name, args, kind))

    public.__doc__ = _documented(function, signature, kind, out)
    public.primitive = primitive  # type: ignore[attr-defined]
    return public


def _documented(
    function: Callable[..., Any],
    signature: inspect.Signature,
    kind: str,
    out: str | None,
) -> str:
    """Return the docstring with the section every elementwise function shares."""
    names = list(signature.parameters)
    section = _OPERANDS.format(
        names=", ".join(names),
        s="s" if len(names) > 1 else "",
        kind=_KINDS[kind],
        out=f", dtype {out}" if out else "",
    )
    return (function.__doc__ or "").replace("{operands}\n", section)


# --- arithmetic -------------------------------------------------------------------


@elementwise(
    "({0} + {1})", (lambda g, out, x, y: g, lambda g, out, x, y: g), kind="number"
)
def add(x: ArrayLike, y: ArrayLike) -> Any:
    """Return x + y.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.add([1.0, 2.0], 10.0)
    tensor([11., 12.])
    """


@elementwise(
    "({0} - {1})",
    (lambda g, out, x, y: g, lambda g, out, x, y: negative(g)),
    kind="number",
)
def subtract(x: ArrayLike, y: ArrayLike) -> Any:
    """Return x - y.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.subtract([1.0, 2.0], 1.0)
    tensor([0., 1.])
    """


@elementwise(
    "({0} * {1})",
    (lambda g, out, x, y: multiply(g, y), lambda g, out, x, y: multiply(g, x)),
    kind="number",
)
def multiply(x: ArrayLike, y: ArrayLike) -> Any:
    """Return x · y.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.multiply([1.0, 2.0], 3.0)
    tensor([3., 6.])
    """


@elementwise(
    "({0} / {1})",
    (
        lambda g, out, x, y: divide(g, y),
        lambda g, out, x, y: negative(divide(multiply(g, out), y)),
    ),
)
def divide(x: ArrayLike, y: ArrayLike) -> Any:
    """Return x / y; a division by zero gives inf or NaN, as in NumPy.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.divide([1.0, 2.0], 2.0)
    tensor([0.5, 1. ])
    """


@elementwise("(-{0})", (lambda g, out, x: negative(g),), kind="number")
def negative(x: ArrayLike) -> Any:
    """Return -x.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.negative([1.0, -2.0])
    tensor([-1.,  2.])
    """


def _power_vjp_x(g: Any, out: Any, x: Any, y: Any) -> Any:
    # y = 0 would give 0 · x⁻¹, NaN at x = 0; the derivative is 0 there.
    exponent = where(equal(y, 0.0), 1.0, subtract(y, 1.0))
    return multiply(g, multiply(y, power(x, exponent)))


def _power_vjp_y(g: Any, out: Any, x: Any, y: Any) -> Any:
    return multiply(g, multiply(out, log(where(greater(x, 0.0), x, 1.0))))


@elementwise("power({0}, {1})", (_power_vjp_x, _power_vjp_y))
def power(x: ArrayLike, y: ArrayLike) -> Any:
    """Return x to the power y; NaN for negative x and non-integer y.

    The derivative with respect to y is taken as 0 where x <= 0.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.power([1.0, 2.0], 3.0)
    tensor([1., 8.])
    """


@elementwise(
    "({0} * {0})",
    (lambda g, out, x: multiply(g, multiply(x, 2.0)),),
    kind="number",
)
def square(x: ArrayLike) -> Any:
    """Return x².

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.square([1.0, -3.0])
    tensor([1., 9.])
    """


@elementwise("absolute({0})", (lambda g, out, x: multiply(g, sign(x)),), kind="number")
def absolute(x: ArrayLike) -> Any:
    """Return abs(x); the derivative at 0 is taken as 0.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.absolute([1.0, -3.0])
    tensor([1., 3.])
    """


@elementwise("sign({0})", None, kind="number")
def sign(x: ArrayLike) -> Any:
    """Return -1, 0 or 1; the derivative is 0 everywhere.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.sign([2.0, 0.0, -3.0])
    tensor([ 1.,  0., -1.])
    """


@elementwise("floor({0})", None)
def floor(x: ArrayLike) -> Any:
    """Return the largest integer not above x; the derivative is 0 everywhere.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.floor([1.7, -0.2])
    tensor([ 1., -1.])
    """


# --- exponentials and friends -----------------------------------------------------


@elementwise("exp({0})", (lambda g, out, x: multiply(g, out),))
def exp(x: ArrayLike) -> Any:
    """Return eˣ.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.exp([0.0])
    tensor([1.])
    """


@elementwise("expm1({0})", (lambda g, out, x: multiply(g, add(out, 1.0)),))
def expm1(x: ArrayLike) -> Any:
    """Return eˣ - 1, accurate near 0.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.expm1([0.0])
    tensor([0.])
    """


@elementwise("log({0})", (lambda g, out, x: divide(g, x),))
def log(x: ArrayLike) -> Any:
    """Return the natural logarithm; -inf at 0, NaN below.

    A fit that breaks on it says so, with the number and the line of the loss or module
    it was taken in.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.log([1.0])
    tensor([0.])
    """


@elementwise("log1p({0})", (lambda g, out, x: divide(g, add(x, 1.0)),))
def log1p(x: ArrayLike) -> Any:
    """Return log(1 + x), accurate near 0.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.log1p([0.0])
    tensor([0.])
    """


@elementwise("sqrt({0})", (lambda g, out, x: divide(multiply(g, 0.5), out),))
def sqrt(x: ArrayLike) -> Any:
    """Return the square root; NaN below 0, derivative inf at 0.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.sqrt([4.0])
    tensor([2.])
    """


@elementwise("sin({0})", (lambda g, out, x: multiply(g, cos(x)),))
def sin(x: ArrayLike) -> Any:
    """Return the sine of x radians.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.sin([0.0])
    tensor([0.])
    """


@elementwise("cos({0})", (lambda g, out, x: negative(multiply(g, sin(x))),))
def cos(x: ArrayLike) -> Any:
    """Return the cosine of x radians.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.cos([0.0])
    tensor([1.])
    """


@elementwise("tanh({0})", (lambda g, out, x: multiply(g, subtract(1.0, square(out))),))
def tanh(x: ArrayLike) -> Any:
    """Return the hyperbolic tangent.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.tanh([0.0])
    tensor([0.])
    """


@elementwise(
    "relu({0})",
    # The result says as well as the operand where the derivative is 0, and is read
    # again anyway: no mask has to be kept for the way back.
    (lambda g, out, x: where(less_equal(out, 0), 0, g),),
    kind="number",
)
def relu(x: ArrayLike) -> Any:
    """Return max(x, 0); the derivative at 0 is taken as 0, and NaN stays NaN.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.relu([-1.0, 2.0])
    tensor([0., 2.])
    """


@elementwise(
    "sigmoid({0})",
    (lambda g, out, x: multiply(g, multiply(out, subtract(1.0, out))),),
)
def sigmoid(x: ArrayLike) -> Any:
    """Return 1 / (1 + e⁻ˣ), the inverse of the logit.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.sigmoid([0.0])
    tensor([0.5])
    """


@elementwise("softplus({0})", (lambda g, out, x: multiply(g, sigmoid(x)),))
def softplus(x: ArrayLike) -> Any:
    """Return log(1 + eˣ) without overflow.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.softplus([-1000.0, 1000.0])
    tensor([   0., 1000.])
    """


_TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)


@elementwise(
    "erf({0})",
    (
        lambda g, out, x: multiply(
            g, multiply(exp(negative(square(x))), _TWO_OVER_SQRT_PI)
        ),
    ),
)
def erf(x: ArrayLike) -> Any:
    """Return the error function, 2/√π ∫₀ˣ exp(-t²) dt.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.erf([0.0])
    tensor([0.])
    """


# --- choices ----------------------------------------------------------------------


def _winner_share(g: Any, wins: Any, ties: Any) -> Any:
    return where(wins, g, where(ties, multiply(g, 0.5), 0.0))


@elementwise(
    "maximum({0}, {1})",
    (
        lambda g, out, x, y: _winner_share(g, greater(x, y), equal(x, y)),
        lambda g, out, x, y: _winner_share(g, greater(y, x), equal(x, y)),
    ),
    kind="number",
)
def maximum(x: ArrayLike, y: ArrayLike) -> Any:
    """Return the larger of x and y; at a tie each gets half of the derivative.

    NaN if either is NaN.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.maximum([1.0, 5.0], 3.0)
    tensor([3., 5.])
    """


@elementwise(
    "minimum({0}, {1})",
    (
        lambda g, out, x, y: _winner_share(g, less(x, y), equal(x, y)),
        lambda g, out, x, y: _winner_share(g, less(y, x), equal(x, y)),
    ),
    kind="number",
)
def minimum(x: ArrayLike, y: ArrayLike) -> Any:
    """Return the smaller of x and y; at a tie each gets half of the derivative.

    NaN if either is NaN.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.minimum([1.0, 5.0], 3.0)
    tensor([1., 3.])
    """


def _inside(x: Any, low: Any, high: Any) -> Any:
    return logical_and(greater_equal(x, low), less_equal(x, high))


@elementwise(
    "minimum(maximum({0}, {1}), {2})",
    (
        lambda g, out, x, lo, hi: where(_inside(x, lo, hi), g, 0.0),
        lambda g, out, x, lo, hi: where(
            logical_and(less(x, lo), less_equal(lo, hi)), g, 0.0
        ),
        lambda g, out, x, lo, hi: where(greater(maximum(x, lo), hi), g, 0.0),
    ),
    kind="number",
)
def clip(x: ArrayLike, low: ArrayLike, high: ArrayLike) -> Any:
    """Return x limited to [low, high]; the derivative is 1 on the bounds themselves.

    Where low > high the result is high, as in NumPy.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.clip([-1.0, 0.5, 2.0], 0.0, 1.0)
    tensor([0. , 0.5, 1. ])
    """


def _where_shape(condition: Any, x: Any, y: Any) -> Abstract:
    shape = broadcast_shapes("where", condition.shape, x.shape, y.shape)
    return Abstract(shape, same_dtype("where", x, y))


where_p = register(
    Primitive(
        "where",
        _where_shape,
        (
            None,
            lambda g, out, c, x, y: where(c, g, 0.0),
            lambda g, out, c, x, y: where(c, 0.0, g),
        ),
        lambda: "where({0}, {1}, {2})",
    )
)


def where(condition: ArrayLike, x: ArrayLike, y: ArrayLike) -> Any:
    """Return x where the condition holds, y elsewhere.

    Both branches are computed: a branch that is NaN where it is not chosen gives a
    NaN *gradient* only if its own derivative is infinite there. Make the argument
    safe first, ``log(where(x > 0, x, 1.0))``.

    Parameters
    ----------
    condition : tensor or array of bool
        The choice.
    x, y : tensor, array or scalar
        The alternatives, broadcast with the condition.

    Returns
    -------
    Tensor
        Of the broadcast shape and the common dtype of x and y.

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If the condition is not bool, or the floating dtypes of x and y differ.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.where([True, False], [1.0, 2.0], 0.0)
    tensor([1., 0.])
    """
    choice = as_value(condition, "where")
    if choice.dtype != np.bool_:
        raise DTypeError(
            f"where: the condition must be bool. Got {choice.dtype}; write a "
            "comparison such as x != 0."
        )
    return where_p.bind(choice, *operands("where", (x, y), "any"))


# --- comparisons: no derivative ---------------------------------------------------


@elementwise("equal({0}, {1})", None, kind="any", out="bool")
def equal(x: ArrayLike, y: ArrayLike) -> Any:
    """Return x == y elementwise.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.equal([1.0, 2.0], 2.0)
    tensor([False,  True])
    """


@elementwise("not_equal({0}, {1})", None, kind="any", out="bool")
def not_equal(x: ArrayLike, y: ArrayLike) -> Any:
    """Return x != y elementwise.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.not_equal([1.0, 2.0], 2.0)
    tensor([ True, False])
    """


@elementwise("less({0}, {1})", None, kind="any", out="bool")
def less(x: ArrayLike, y: ArrayLike) -> Any:
    """Return x < y elementwise.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.less([1.0, 2.0], 2.0)
    tensor([ True, False])
    """


@elementwise("less_equal({0}, {1})", None, kind="any", out="bool")
def less_equal(x: ArrayLike, y: ArrayLike) -> Any:
    """Return x <= y elementwise.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.less_equal([1.0, 2.0], 1.0)
    tensor([ True, False])
    """


@elementwise("greater({0}, {1})", None, kind="any", out="bool")
def greater(x: ArrayLike, y: ArrayLike) -> Any:
    """Return x > y elementwise.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.greater([1.0, 2.0], 1.0)
    tensor([False,  True])
    """


@elementwise("greater_equal({0}, {1})", None, kind="any", out="bool")
def greater_equal(x: ArrayLike, y: ArrayLike) -> Any:
    """Return x >= y elementwise.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.greater_equal([1.0, 2.0], 2.0)
    tensor([False,  True])
    """


@elementwise("logical_and({0}, {1})", None, kind="any", out="bool")
def logical_and(x: ArrayLike, y: ArrayLike) -> Any:
    """Return x and y elementwise; a number counts as true unless it is 0.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.logical_and([True, False], True)
    tensor([ True, False])
    """


@elementwise("logical_or({0}, {1})", None, kind="any", out="bool")
def logical_or(x: ArrayLike, y: ArrayLike) -> Any:
    """Return x or y elementwise; a number counts as true unless it is 0.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.logical_or([True, False], False)
    tensor([ True, False])
    """


@elementwise("logical_not({0})", None, kind="any", out="bool")
def logical_not(x: ArrayLike) -> Any:
    """Return not x elementwise; a number counts as true unless it is 0.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.logical_not([True, False])
    tensor([False,  True])
    """


@elementwise("isnan({0})", None, out="bool")
def isnan(x: ArrayLike) -> Any:
    """Return whether x is NaN.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.isnan([1.0, float("nan")])
    tensor([False,  True])
    """


@elementwise("isfinite({0})", None, out="bool")
def isfinite(x: ArrayLike) -> Any:
    """Return whether x is neither infinite nor NaN.

    {operands}

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.isfinite([1.0, float("inf")])
    tensor([ True, False])
    """
