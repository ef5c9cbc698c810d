"""What a scalar expression may be: the check of expressions that users write.

An expression is evaluated by NumPy on arrays and by the compiled backend on scalars
that write instructions. Both understand less than Python does; what one of them would
refuse later, or compute in another dtype, is refused here.
"""

from __future__ import annotations

import ast
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skgrad.backend.base import Binding, KernelSpec, Operand, Output, get_backend
from skgrad.core.params import did_you_mean
from skgrad.exceptions import DTypeError, ParameterError

__all__ = ["check_computes", "check_written"]

_OPERATORS = (
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.BitAnd, ast.BitOr, ast.USub, ast.Invert),
    *(ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq),
)
_SYNTAX = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call, ast.Name),
    *(ast.Constant, ast.Load),
)
_INSTEAD: dict[type[ast.AST], str] = {
    ast.Pow: "power(x, y)",
    ast.IfExp: "where(condition, x, y)",
    ast.And: "logical_and(x, y)",
    ast.Or: "logical_or(x, y)",
    ast.BoolOp: "logical_and(x, y) or logical_or(x, y)",
    ast.Not: "logical_not(x)",
}


def check_written(name: str, expression: str, operands: Sequence[str]) -> None:
    """Refuse an expression that the backends could not read.

    Parameters
    ----------
    name : str
        Of the primitive, for messages.
    expression : str
        The expression.
    operands : sequence of str
        Names of the operands, for messages: ``{0}`` stands for the first.
    """
    _check_placeholders(name, expression, operands)
    texts = [f"operand_{i}" for i in range(len(operands))]
    try:
        tree = ast.parse(expression.format(*texts), mode="eval")
    except SyntaxError as error:
        raise ParameterError(
            f"The expression {expression!r} of {name} is not a Python expression: "
            f"{error.msg}."
        ) from None
    for node in ast.walk(tree):
        _check_node(node, lambda why: _refused(name, expression, why), texts)


def _refused(name: str, expression: str, why: str) -> ParameterError:
    return ParameterError(f"The expression {expression!r} of {name} {why}")


def _check_placeholders(name: str, expression: str, operands: Sequence[str]) -> None:
    legend = ", ".join(f"{{{i}}} for {operand}" for i, operand in enumerate(operands))
    try:
        fields = [f for f in string.Formatter().parse(expression) if f[1] is not None]
    except ValueError as error:
        raise _refused(name, expression, f"has wrong braces: {error}.") from None
    known = {str(i) for i in range(len(operands))}
    for _, field, spec, conversion in fields:
        if field not in known or spec or conversion:
            found = "{" + str(field) + "}"
            why = f"uses {found}. Its operands are written {legend}."
            raise _refused(name, expression, why)
    missing = sorted(known - {str(field) for _, field, *_ in fields})
    if missing:
        unused = ", ".join(operands[int(i)] for i in missing)
        why = f"does not use {unused}. Write {legend}, or leave the operand out."
        raise _refused(name, expression, why)


def _check_node(
    node: ast.AST, refused: Callable[[str], Exception], operands: Sequence[str]
) -> None:
    for kind, instead in _INSTEAD.items():
        if isinstance(node, kind):
            what = f"uses what only Python can compute; write {instead}."
            raise refused(what)
    if isinstance(node, ast.Name):
        _check_name(node.id, refused, operands)
    elif isinstance(node, ast.Constant):
        if type(node.value) not in (int, float):
            raise refused(f"holds {node.value!r}; constants are real numbers.")
    elif isinstance(node, ast.Compare) and len(node.ops) > 1:
        raise refused("chains comparisons; write logical_and(x < y, y < z).")
    elif isinstance(node, ast.Call):
        _check_call(node, refused)
    elif not isinstance(node, (*_SYNTAX, *_OPERATORS)):
        raise refused(
            f"uses {type(node).__name__}. It may use the operands, numbers, + - * /, "
            "comparisons, & | ~, and calls of the known functions."
        )


def _check_name(
    found: str, refused: Callable[[str], Exception], operands: Sequence[str]
) -> None:
    known = [name for names in get_backend("cpu").names.values() for name in names]
    if found not in known and found not in operands:
        longer = [name for name in known if name.startswith(found)]  # abs, max
        near = f" Did you mean {longer[0]!r}?" if longer else did_you_mean(found, known)
        raise refused(
            f"uses the unknown name {found!r}.{near} Known are {', '.join(known)}."
        )


def _check_call(node: ast.Call, refused: Callable[[str], Exception]) -> None:
    if not isinstance(node.func, ast.Name):
        raise refused("calls something else than a function by its name.")
    if node.keywords or any(isinstance(arg, ast.Starred) for arg in node.args):
        raise refused("passes arguments by name or with a star; list them.")


def check_computes(
    name: str, expression: str, n_operands: int, dtype: str, out: str
) -> None:
    """Refuse an expression that does not give a dtype from operands of another.

    It is evaluated once by NumPy and printed once as a kernel.

    Parameters
    ----------
    name : str
        Of the primitive, for messages.
    expression : str
        A checked expression.
    n_operands : int
        How many operands it has.
    dtype, out : str
        Of all operands, and of the result.
    """
    failure = f"The expression {expression!r} of {name}, with operands of {dtype},"
    try:
        found = _evaluated(expression, n_operands, dtype).dtype.name
        if found == out:
            _printed(expression, n_operands, dtype, out)
    except (TypeError, AttributeError, ValueError) as error:
        raise DTypeError(
            f"{failure} cannot be computed: {error}. Choose by where(condition, x, y) "
            "instead of multiplying by a condition; one of x and y, and an argument "
            "of each function, must come from an operand."
        ) from None
    if found != out:
        raise DTypeError(
            f"{failure} gives {found}, not {out}. One of the alternatives of where() "
            "must come from an operand; divisions and functions need floats; and what "
            "returns a condition needs out='bool'."
        )


def _evaluated(expression: str, n_operands: int, dtype: str) -> Any:
    ones = [np.ones(1, dtype=dtype)] * n_operands
    with np.errstate(all="ignore"):
        return np.asarray(get_backend("cpu").elementwise(expression, n_operands)(*ones))


def _printed(expression: str, n_operands: int, dtype: str, out: str) -> str:
    """Return the kernel that computes the expression; the compiler need not load."""
    from skgrad.backend.cpu import printer  # noqa: PLC0415 - only for users' expressions

    operands = (*[Operand(dtype, "1")] * n_operands, Operand(out, "1"))
    binding = Binding(expression, tuple(range(n_operands)), 1, out)
    write = Output(n_operands, n_operands)
    return printer.source(KernelSpec(1, operands, n_operands, (binding,), (write,)))
