"""Gradient rules that users write, and what they must be."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from skgrad.core.primitive import VjpRules
from skgrad.core.value import Value
from skgrad.exceptions import GradientError, ParameterError

__all__ = ["Function", "cotangents_of", "declared", "kind_of"]

Function = Callable[..., Any]


def cotangents_of(
    name: str, vjp: VjpRules, g: Any, out: Any, args: Sequence[Any]
) -> tuple[Any, ...]:
    """Return what the rules say, one cotangent or ``None`` per argument."""
    if not callable(vjp):
        return tuple(None if rule is None else rule(g, out, *args) for rule in vjp)
    found = vjp(g, out, *args)
    if not isinstance(found, tuple) or len(found) != len(args):
        got = f"{len(found)}" if isinstance(found, tuple) else kind_of(found)
        raise GradientError(
            f"The gradient rule of {name} must return a tuple of {len(args)}, a "
            f"cotangent or None per argument. Got {got}."
        )
    return found


def kind_of(x: Any) -> str:
    """Return what something is, for a message."""
    if isinstance(x, Value):
        return f"a tensor of {x.dtype} and shape {x.shape}"
    return f"a {type(x).__name__}"


def declared(
    decorator: str, function: Any, vjp: VjpRules | None
) -> tuple[str, list[str]]:
    """Return name and arguments of a function, checked against its rules."""
    if not inspect.isroutine(function):
        raise ParameterError(
            f"@skgrad.{decorator}(...) decorates a function. Got {kind_of(function)}: "
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
                f"{kind_of(rule)}."
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
