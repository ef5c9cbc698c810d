"""What users add to the engine: gradient rules and elementwise primitives.

Both are decorators of a function, both take gradient rules as the engine's own
primitives do: ``rule(g, out, *operands)``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skgrad.backend.base import get_backend
from skgrad.core.graph import Node
from skgrad.core.interpreter import is_recording
from skgrad.core.primitive import Primitive, VjpRules
from skgrad.core.value import Value, box
from skgrad.exceptions import DTypeError, GradientError, ParameterError, ShapeError
from skgrad.ops.elementwise import entrance, shape_rule_of
from skgrad.ops.expression import check_computes, check_written
from skgrad.ops.promotion import as_value

__all__ = ["custom_vjp", "elementwise"]

Function = Callable[..., Any]


# --- gradient rules ---------------------------------------------------------------


def custom_vjp(vjp: VjpRules) -> Callable[[Function], Function]:
    """Give a function a gradient rule of its own.

    The function itself runs as before: eagerly, or recorded operation by operation in
    a trace, fused and compiled with what surrounds it. Only its derivative is taken
    from the rule, which is called with values and must itself be made of operations
    that can be differentiated, if higher derivatives are wanted. The rule is passed to
    the decorator, as it is to :func:`elementwise`, so that there is no function with
    its rule still missing.

    Parameters
    ----------
    vjp : callable or tuple of callables
        ``vjp(g, out, *operands)`` returns a tuple with the cotangent of each operand,
        ``None`` for a zero one. ``g`` is the cotangent of the result ``out``: tensors
        of its shape and dtype, tuples of them if the function returns a tuple; the
        operands are all arguments of the function, by position. A cotangent has the
        shape and the dtype of its operand: nothing is broadcast. Or, as in primitives:
        a tuple with one such rule per operand, each returning one cotangent, or
        ``None``.

    Returns
    -------
    callable
        A decorator. The function it takes has positional arguments and returns a tensor
        or a tuple of tensors. Arguments that are arrays arrive as tensors; others
        (Python numbers, strings, ``None``) are passed on, and their cotangent is
        ``None``.

    Raises
    ------
    ParameterError
        When declared: if the rule does not take ``(g, out, *operands)``.
    GradientError
        When called: if the function's result depends on a differentiable tensor that is
        not among its arguments, for no gradient could reach it. In the derivative: if
        there is not one cotangent per argument.
    ShapeError, DTypeError
        In the derivative: if a cotangent has another shape or dtype than its operand.

    See Also
    --------
    elementwise : A primitive from a scalar expression.

    Notes
    -----
    A rule should be linear in ``g``, as derivatives are. With one that is not, such as
    clipping, reverse mode does what it says, but ``jvp`` and ``hvp``, which transpose
    the rule, see its slope at ``g = 0``.

    References
    ----------
    Bengio, Léonard, Courville (2013), "Estimating or propagating gradients through
    stochastic neurons for conditional computation", arXiv:1308.3432 (straight-through).
    Ganin et al. (2016), "Domain-adversarial training of neural networks", JMLR 17(59),
    eq. 10 to 12 (gradient reversal). Mächler (2012), "Accurately computing
    log(1 - exp(-abs(a)))", eq. 7.

    Examples
    --------
    A straight-through estimator: steps on the way forward, the identity on the way
    back.

    >>> import skgrad
    >>> @skgrad.custom_vjp(lambda g, out, x: (g,))
    ... def rounded(x):
    ...     return skgrad.floor(x + 0.5)
    >>> skgrad.value_and_grad(lambda x: rounded(x) ** 2)(1.7)
    (tensor(4.), tensor(4.))

    A gradient that is reversed, and scaled by a second operand that has none:

    >>> @skgrad.custom_vjp(lambda g, out, x, scale: (-scale * g, None))
    ... def reversed_gradient(x, scale):
    ...     return x
    >>> skgrad.grad(lambda x: reversed_gradient(x, 0.5))(3.0)
    tensor(-0.5)

    A function whose derivative is accurate where that of its formula is not:

    >>> def log1mexp_vjp(g, out, a):
    ...     return (g / skgrad.expm1(a),)
    >>> @skgrad.custom_vjp(log1mexp_vjp)
    ... def log1mexp(a):
    ...     "Return log(1 - exp(-a)) for a > 0."
    ...     small = skgrad.log(-skgrad.expm1(-a))
    ...     return skgrad.where(a < 0.693, small, skgrad.log1p(-skgrad.exp(-a)))
    >>> skgrad.grad(log1mexp)(1e-20), skgrad.grad(log1mexp)(800.0)
    (tensor(1.e+20), tensor(0.))
    """

    def declare(function: Function) -> Function:
        declared = _CustomVjp(function, vjp)

        @functools.wraps(function)
        def public(*args: Any, **kwargs: Any) -> Any:
            return declared(*args, **kwargs)

        return public

    return declare


class _CustomVjp:
    """A function and its gradient rule."""

    def __init__(self, function: Function, vjp: VjpRules) -> None:
        self.name, self.names = _declared("custom_vjp", function, vjp)
        self.function = function
        self.signature = inspect.signature(function)
        self.vjp = vjp
        # What the nodes of the gradient graph refer to; it is never executed.
        self.primitive = Primitive(self.name, _no_shape, self.pulled)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = [_as_operand(arg, self.name) for arg in bound.args]
        out = self.function(
            *[box(arg._data) if isinstance(arg, Value) else arg for arg in given]
        )
        outs = out if isinstance(out, tuple) else (out,)
        self._check_result(outs)
        node = self._node(given, outs)
        boxed = tuple(
            box(o._data, node if o.dtype.kind == "f" else None, i)
            for i, o in enumerate(outs)
        )
        return boxed if isinstance(out, tuple) else boxed[0]

    def _check_result(self, outs: tuple[Any, ...]) -> None:
        for out in outs:
            if not isinstance(out, Value):
                raise GradientError(
                    f"{self.name} must return a tensor or a tuple of tensors. Got "
                    f"{type(out).__name__}."
                )
            if out._node is not None:
                raise GradientError(
                    f"The result of {self.name} depends on a tensor with gradients "
                    "that is not one of its arguments; its rule could give it none. "
                    "Make it an argument, or cut it off by detach()."
                )

    def _node(self, given: Sequence[Any], outs: tuple[Any, ...]) -> Node | None:
        operands = tuple(arg for arg in given if isinstance(arg, Value))
        floats = any(out.dtype.kind == "f" for out in outs)
        needed = floats and any(x._node is not None for x in operands)
        if not (needed and is_recording()):
            return None
        static = {i: x for i, x in enumerate(given) if not isinstance(x, Value)}
        params = {"static": static}
        return Node(self.primitive, operands, params, tuple(o._data for o in outs))

    def pulled(
        self, g: Any, out: Any, *operands: Any, static: dict[int, Any]
    ) -> tuple[Any, ...]:
        """Return the cotangents of the tensors among the arguments, checked."""
        if isinstance(out, tuple):
            g = tuple(
                _zeros(o) if c is None else c for c, o in zip(g, out, strict=True)
            )
        tensors = iter(operands)
        n_arguments = len(operands) + len(static)
        args = [static[i] if i in static else next(tensors) for i in range(n_arguments)]
        found = _cotangents(self.name, self.vjp, g, out, args)
        checked = [
            self._checked(i, c, x)
            for i, (c, x) in enumerate(zip(found, args, strict=True))
        ]
        return tuple(c for i, c in enumerate(checked) if i not in static)

    def _checked(self, position: int, cotangent: Any, operand: Any) -> Any:
        """Return a cotangent as a value of the shape and dtype of its operand."""
        if cotangent is None:
            return None
        name = self.names[min(position, len(self.names) - 1)]
        rule = f"The gradient rule of {self.name} returned for the argument {name!r}"
        if not isinstance(operand, Value) or operand.dtype.kind != "f":
            raise GradientError(
                f"{rule}, {_kind(operand)}, a cotangent. Only floating tensors have "
                "one: return None in its place."
            )
        found = as_value(cotangent, self.name)
        if found.shape != operand.shape:
            raise ShapeError(
                f"{rule} a cotangent of shape {found.shape}. Expected that of the "
                f"argument, {operand.shape}: sum it over axes that were broadcast."
            )
        if found.dtype != operand.dtype:
            raise DTypeError(
                f"{rule} a cotangent of dtype {found.dtype}. Expected that of the "
                f"argument, {operand.dtype}: convert it with x.to(dtype=...)."
            )
        return found


def _cotangents(
    name: str, vjp: VjpRules, g: Any, out: Any, args: Sequence[Any]
) -> tuple[Any, ...]:
    """Return what the rules say, one cotangent or ``None`` per argument."""
    if not callable(vjp):
        return tuple(None if rule is None else rule(g, out, *args) for rule in vjp)
    found = vjp(g, out, *args)
    if not isinstance(found, tuple) or len(found) != len(args):
        got = f"{len(found)}" if isinstance(found, tuple) else _kind(found)
        raise GradientError(
            f"The gradient rule of {name} must return a tuple of {len(args)}, a "
            f"cotangent or None per argument. Got {got}."
        )
    return found


def _no_shape(*operands: Any) -> Any:
    raise GradientError("A function with a gradient rule of its own is no operation.")


def _as_operand(arg: Any, name: str) -> Any:
    """Return an array as a value; anything else as it is."""
    return as_value(arg, name) if isinstance(arg, Value | np.ndarray) else arg


def _zeros(out: Any) -> Any:
    return as_value(np.zeros(out.shape, dtype=out.dtype))


def _kind(x: Any) -> str:
    if isinstance(x, Value):
        return f"a tensor of {x.dtype} and shape {x.shape}"
    return f"a {type(x).__name__}"


def _declared(
    decorator: str, function: Any, vjp: VjpRules | None
) -> tuple[str, list[str]]:
    """Return name and arguments of a function, checked against its rules."""
    if not inspect.isroutine(function):
        raise ParameterError(
            f"@skgrad.{decorator}(...) decorates a function. Got {_kind(function)}: "
            "were the parentheses with the gradient rule left out?"
        )
    parameters = inspect.signature(function).parameters.values()
    by_name = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD)]
    if by_name:
        raise ParameterError(
            f"{function.__name__}: the arguments {by_name} can be passed by name only, "
            "but gradient rules take all arguments by position."
        )
    names = [p.name for p in parameters]
    fixed = all(p.kind is not p.VAR_POSITIONAL for p in parameters)
    _check_rules(function.__name__, names, fixed, vjp)
    return function.__name__, names


def _check_rules(
    name: str, names: Sequence[str], fixed: bool, vjp: VjpRules | None
) -> None:
    takes = f"(g, out, {', '.join(names)})"
    rules = vjp if isinstance(vjp, tuple) else (vjp,)
    if isinstance(vjp, tuple) and (len(vjp) != len(names) or not fixed):
        raise ParameterError(
            f"{name} needs one gradient rule per argument ({', '.join(names)}), or one "
            f"that returns all cotangents. Got {len(vjp)} rules."
        )
    for rule in rules:
        if rule is None:
            continue
        if not callable(rule):
            raise ParameterError(
                f"A gradient rule of {name} is a function of {takes}. Got "
                f"{_kind(rule)}."
            )
        if fixed and not _accepts(rule, 2 + len(names)):
            raise ParameterError(
                f"A gradient rule of {name} must take {takes}. Got "
                f"{getattr(rule, '__name__', rule)}{inspect.signature(rule)}."
            )


def _accepts(function: Function, n_arguments: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * n_arguments)
    except TypeError:
        return False
    except ValueError:  # a builtin that does not say what it takes
        return True
    return True


# --- elementwise primitives -------------------------------------------------------

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
        name, operands = _declared("elementwise", function, vjp)
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
        found = _cotangents(name, vjp, g, out, operands)
        for cotangent in found:
            if cotangent is not None and not isinstance(cotangent, Value):
                raise GradientError(
                    f"A gradient rule of {name} must return tensors or None. Got "
                    f"{_kind(cotangent)}."
                )
        return found

    return rule


def _with_names(text: str) -> str:
    """Return a docstring with the names that expressions may use."""
    for kind, names in get_backend("cpu").names.items():
        text = text.replace(f"{{{kind}}}", ", ".join(names))
    return text


elementwise.__doc__ = _with_names(elementwise.__doc__ or "")
