"""Elementwise primitives that users declare."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from skgrad.backend.base import get_backend
from skgrad.core.primitive import Primitive, VjpRules
from skgrad.core.value import Value
from skgrad.exceptions import GradientError, ParameterError
from skgrad.extension.rules import Function, cotangents_of, declared, kind_of
from skgrad.ops.elementwise import entrance, shape_rule_of
from skgrad.ops.expression import check_computes, check_written

__all__ = ["elementwise"]

KINDS = {
    "float": ("float32", "float64"),
    "number": ("float32", "float64", "int64"),
    "any": ("float32", "float64", "int64", "bool"),
}


def elementwise(
    expression: str,
    vjp: VjpRules | None,
    *,
    kind: str = "float",
    out: str | None = None,
) -> Callable[[Function], Function]:
    """Declare an elementwise operation: a scalar expression and its gradient rules.

    One declaration makes a primitive: NumPy evaluates the expression, and the compiled
    backend writes the same text into a kernel, fused with what surrounds it. The
    decorated function gives the name, the operands and the documentation; its body is
    not run.

    Parameters
    ----------
    expression : str
        A Python expression in the operands ``{0}``, ``{1}`` ..., each used at least
        once, with the operators ``+ - * /``, comparisons, ``& | ~`` for conditions,
        numbers, and these names. Functions: {functions}. Constants: {constants}. For
        ``cast(x, dtype)``: {dtypes}. A number is of the dtype of what stands beside it.
        It is compiled into the kernel: make what a search varies an operand.
    vjp : tuple of callables, callable or None
        One rule per operand, ``rule(g, out, *operands)``: its cotangent from that of
        the result ``out``; ``None`` for a zero one. Or one rule that returns all of
        them as a tuple, as in :func:`custom_vjp`. Rules are made of skgrad's operations
        and of such primitives, and may be differentiated again. Broadcasting is undone
        outside of them. ``None`` alone: the derivative is zero.
    kind : {"float", "number", "any"}, default="float"
        Dtypes it computes with: float32 and float64 (integers are computed in
        float64), integers too, or also bool.
    out : str, default=None
        Dtype of the result, for example ``"bool"``; by default that of the operands.

    Returns
    -------
    callable
        A decorator. The function it returns takes tensors, arrays or scalars, which are
        broadcast, and returns a tensor; its attribute ``primitive`` is the primitive.
        Where ``{operands}`` stands in the docstring, a section on the operands is put.
        To declare a function again, under the same name, is no error: each declaration
        makes a primitive of its own.

    Raises
    ------
    ParameterError
        When declared: if the expression is no expression, uses an unknown name, or not
        exactly the operands; if the rules do not fit the operands.
    DTypeError
        When declared: if the expression does not give the dtype it should. When called:
        if the floating dtypes of arrays differ.
    ShapeError
        When called: if shapes do not broadcast.

    See Also
    --------
    custom_vjp : A gradient rule for a function made of operations.
    skgrad.testing.check_grads : Compares the rules with differences.

    Examples
    --------
    >>> import skgrad
    >>> @skgrad.elementwise(
    ...     "{0} / (one + absolute({0}))",
    ...     (lambda g, out, x: g * (1.0 - abs(out)) ** 2,),
    ... )
    ... def softsign(x):
    ...     "Return x / (1 + abs(x))."
    >>> softsign([1.0, -3.0])
    tensor([ 0.5 , -0.75])
    >>> skgrad.testing.check_grads(softsign, [[1.0, -3.0]])
    >>> @skgrad.elementwise("{0} / (one + abs({0}))", None)
    ... def typed_wrong(x):
    ...     pass
    Traceback (most recent call last):
        ...
    skgrad.exceptions.ParameterError: The expression '{0} / (one + abs({0}))' of \
typed_wrong uses the unknown name 'abs'. Did you mean 'absolute'? Known are ...
    """
    if kind not in KINDS:
        raise ParameterError(
            f"The 'kind' parameter of elementwise must be one of {sorted(KINDS)}. Got "
            f"{kind!r} instead."
        )

    def declare(function: Function) -> Function:
        name, operands = declared("elementwise", function, vjp)
        check_written(name, expression, operands)
        for dtype in KINDS[kind]:
            result = out or dtype
            check_computes(name, expression, len(operands), dtype, result)
        # Not a name of skgrad's own, by which passes recognise primitives.
        known_as = f"{function.__module__}.{function.__qualname__}"
        rule = shape_rule_of(name, inspect.signature(function), out)
        rules = None if vjp is None else _broadcast_rules(name, vjp)
        primitive = Primitive(known_as, rule, rules, lambda: expression)
        return entrance(function, primitive, kind, out)

    return declare


def _broadcast_rules(name: str, vjp: VjpRules) -> Function:
    """Return the rules as one, which checks that they return tensors."""

    def rule(g: Any, out: Any, *operands: Any) -> tuple[Any, ...]:
        found = cotangents_of(name, vjp, g, out, operands)
        for cotangent in found:
            if cotangent is not None and not isinstance(cotangent, Value):
                raise GradientError(
                    f"A gradient rule of {name} must return tensors or None. Got "
                    f"{kind_of(cotangent)}."
                )
        return found

    return rule


def _with_names(text: str) -> str:
    """Return a docstring with the names that expressions may use."""
    for kind, names in get_backend("cpu").names.items():
        text = text.replace(f"{{{kind}}}", ", ".join(names))
    return text


elementwise.__doc__ = _with_names(elementwise.__doc__ or "")
