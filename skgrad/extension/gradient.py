"""Functions with a gradient rule of their own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skgrad.core.graph import Node
from skgrad.core.interpreter import is_recording
from skgrad.core.primitive import Primitive, VjpRules
from skgrad.core.value import CONSTANT, Value, box
from skgrad.exceptions import DTypeError, GradientError, ParameterError, ShapeError
from skgrad.extension.rules import Function, cotangents_of, declared, kind_of
from skgrad.ops.promotion import as_value

__all__ = ["custom_vjp"]


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
        custom = _CustomVjp(function, vjp)

        @functools.wraps(function)
        def public(*args: Any, **kwargs: Any) -> Any:
            return custom(*args, **kwargs)

        return public

    return declare


class _CustomVjp:
    """A function and its gradient rule."""

    def __init__(self, function: Function, vjp: VjpRules) -> None:
        self.name, self.names = declared("custom_vjp", function, vjp)
        if vjp is None:
            raise ParameterError(
                f"{self.name} needs a gradient rule. For a function without gradient, "
                "use x.detach()."
            )
        self.function = function
        self.signature = inspect.signature(function)
        self.vjp = vjp
        # What the nodes of the gradient graph refer to; it is never executed.
        self.primitive = Primitive(self.name, _no_shape, self.pulled)

    def __reduce__(self) -> Any:
        return _CustomVjp, (self.function, self.vjp)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = [_as_operand(arg, self.name) for arg in bound.args]
        out = self.function(
            *[_cut_off(arg) if isinstance(arg, Value) else arg for arg in given]
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
        found = cotangents_of(self.name, self.vjp, g, out, args)
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
                f"{rule}, {kind_of(operand)}, a cotangent. Only floating tensors have "
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


def _no_shape(*operands: Any) -> Any:
    raise GradientError("A function with a gradient rule of its own is no operation.")


def _as_operand(arg: Any, name: str) -> Any:
    """Return an array as a value; anything else as it is."""
    return as_value(arg, name) if isinstance(arg, Value | np.ndarray) else arg


def _cut_off(arg: Value) -> Any:
    """Return a value without its history."""
    return box(arg._data, None, CONSTANT if arg.is_constant else 0)


def _zeros(out: Any) -> Any:
    return as_value(np.zeros(out.shape, dtype=out.dtype))
