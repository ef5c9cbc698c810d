"""Derivatives of plain Python functions.

All transforms take a function of tensors and return a function of arrays or tensors.
They compose with each other and with traces; results carry no recorded history unless
an enclosing transform or a tensor with ``requires_grad`` asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skgrad import ops
from skgrad.core.graph import Node, backward, leaf_node, leaves_of
from skgrad.core.interpreter import is_recording, recording
from skgrad.core.primitive import Abstract, Primitive, register
from skgrad.core.tree import tree_flatten, tree_leaves, tree_map, tree_unflatten
from skgrad.core.value import Value
from skgrad.exceptions import GradientError, ParameterError, ShapeError
from skgrad.ops.promotion import as_value, beside
from skgrad.tensor import Tensor
from skgrad.typing import Tree

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]

# A new node for the variable of a transform, connected to what it came from.
alias_p = register(
    Primitive(
        "alias",
        lambda x: Abstract(x.shape, x.dtype),
        (lambda g, out, x: g,),
        lambda: "{0}",
    )
)


def _variable(x: Any, name: str) -> Any:
    value = as_value(x, name)
    if value.dtype.kind != "f":
        raise GradientError(
            f"{name}: derivatives exist with respect to floating arrays only. Got "
            f"{value.dtype} of shape {value.shape}; pass floats (3.0 instead of 3)."
        )
    if value._node is not None:
        return alias_p.bind(value)
    return Tensor(value._data, leaf_node())


def _released(tree: Tree, own: set[Node]) -> Tree:
    """Return the tree without the history that leads to our own variables only."""
    values = [v for v in tree_leaves(tree) if isinstance(v, Value)]
    if not is_recording() or leaves_of(values) <= own:
        return tree_map(lambda v: v.detach() if isinstance(v, Tensor) else v, tree)
    return tree


class _Recorded:
    """A function evaluated at variables of our own, ready to be walked back."""

    def __init__(
        self, function: Callable[..., Any], args: Sequence[Any], argnums: Sequence[int]
    ) -> None:
        name = function_name(function)
        if not all(0 <= i < len(args) for i in argnums):
            raise ParameterError(
                "The 'argnums' parameter must name positions of arguments. Got "
                f"{argnums!r} and {len(args)} arguments of {name}."
            )
        with recording(True):
            wrapped = [
                tree_map(lambda x: _variable(x, name), arg) if i in argnums else arg
                for i, arg in enumerate(args)
            ]
            self.variables = [tree_leaves(wrapped[i]) for i in argnums]
            self.treedefs = [tree_flatten(wrapped[i])[1] for i in argnums]
            self.out = function(*wrapped)
        self.nodes = {v._node for leaves in self.variables for v in leaves}

    def pull(self, outputs: Sequence[Any], cotangents: Sequence[Any]) -> list[Tree]:
        """Return the cotangents of the variables, one tree per argnum."""
        with recording(True):
            found = backward(outputs, cotangents, self.nodes)
            return [
                tree_unflatten(treedef, [_or_zero(found, v) for v in leaves])
                for leaves, treedef in zip(self.variables, self.treedefs, strict=True)
            ]

    def release(self, tree: Tree) -> Tree:
        """Return the tree without the history of these variables only."""
        return _released(tree, self.nodes)


def _or_zero(found: dict[Node, Value], variable: Any) -> Any:
    if variable._node in found:
        return found[variable._node]
    return beside(variable, np.zeros(variable.shape, dtype=variable.dtype))


def function_name(function: Callable[..., Any]) -> str:
    """Return how to call a function in a message."""
    function = getattr(function, "func", function)  # of a functools.partial
    return getattr(function, "__name__", type(function).__name__)


def _scalar(out: Any, function: Callable[..., Any]) -> Any:
    name = function_name(function)
    if not isinstance(out, Value):
        raise GradientError(
            f"The function {name} must return a tensor computed from its arguments. "
            f"Got {type(out).__name__}."
        )
    if out.shape != ():
        raise GradientError(
            f"grad needs a function with a scalar value. {name} returned shape "
            f"{out.shape}: reduce it with .mean() or .sum(), or use vjp."
        )
    return out


def value_and_grad(
    function: Callable[..., Any],
    argnums: int | tuple[int, ...] = 0,
    has_aux: bool = False,
) -> Callable[..., Any]:
    """Return a function computing both the value and the gradient of a scalar function.

    Parameters
    ----------
    function : callable
        Takes tensors (or trees of them), returns a scalar tensor, or a pair (scalar,
        auxiliary tree) if ``has_aux``.
    argnums : int or tuple of int, default=0
        Positions of the arguments to differentiate with respect to.
    has_aux : bool, default=False
        Whether the function returns an auxiliary tree besides its value.

    Returns
    -------
    callable
        Returns (value, gradient) or ((value, aux), gradient). The gradient has the
        structure of the argument; a tuple of them if ``argnums`` is a tuple.

    Raises
    ------
    GradientError
        When called: if the value is not a scalar tensor or an argument is not floating.

    Examples
    --------
    >>> import skgrad
    >>> x = skgrad.tensor([1.0, 2.0])
    >>> skgrad.value_and_grad(lambda x: (x**2).sum())(x)
    (tensor(5.), tensor([2., 4.]))
    """
    several = isinstance(argnums, tuple)
    positions = argnums if isinstance(argnums, tuple) else (argnums,)

    def differentiated(*args: Any) -> Any:
        record = _Recorded(function, args, positions)
        out, aux = record.out if has_aux else (record.out, None)
        value = _scalar(out, function)
        one = beside(value, np.ones((), dtype=value.dtype))
        gradients = tuple(record.pull([value], [one]))
        value, gradients, aux = record.release((value, gradients, aux))
        result = (value, aux) if has_aux else value
        return result, gradients if several else gradients[0]

    return differentiated


def grad(
    function: Callable[..., Any],
    argnums: int | tuple[int, ...] = 0,
    has_aux: bool = False,
) -> Callable[..., Any]:
    """Return the gradient of a scalar function, itself a function.

    Parameters
    ----------
    function : callable
        Takes tensors (or trees of them), returns a scalar tensor, or a pair (scalar,
        auxiliary tree) if ``has_aux``.
    argnums : int or tuple of int, default=0
        Positions of the arguments to differentiate with respect to.
    has_aux : bool, default=False
        Whether the function returns an auxiliary tree besides its value.

    Returns
    -------
    callable
        Returns the gradient, or (gradient, aux). It may be differentiated again.

    Raises
    ------
    GradientError
        When called: if the value is not a scalar tensor or an argument is not floating.

    Examples
    --------
    >>> import skgrad
    >>> skgrad.grad(skgrad.grad(lambda x: x**3))(2.0)
    tensor(12.)
    """
    both = value_and_grad(function, argnums, has_aux)

    def differentiated(*args: Any) -> Any:
        result, gradients = both(*args)
        return (gradients, result[1]) if has_aux else gradients

    return differentiated


def vjp(function: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """Return the value of a function and its vector-Jacobian product (reverse mode).

    Parameters
    ----------
    function : callable
        Takes and returns tensors or trees of them.
    *primals : array, tensor or tree
        Where to evaluate it.

    Returns
    -------
    value : tensor or tree
        ``function(*primals)``.
    pullback : callable
        Takes a cotangent of the structure of ``value`` and returns a tuple with one
        cotangent per primal.

    Raises
    ------
    ShapeError
        From the pullback: if the cotangent has another structure or shape.

    Examples
    --------
    >>> import skgrad
    >>> value, pullback = skgrad.vjp(skgrad.square, skgrad.tensor([1.0, 2.0]))
    >>> pullback([1.0, 10.0])
    (tensor([ 2., 40.]),)
    """
    record = _Recorded(function, primals, range(len(primals)))
    outputs, _ = tree_flatten(record.out)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        given = [cotangent] if isinstance(record.out, Value) else tree_leaves(cotangent)
        gs = _matching(given, outputs, "vjp")
        return tuple(record.release(record.pull(outputs, gs)))

    return record.release(record.out), pullback


def _matching(given: Sequence[Any], values: Sequence[Any], name: str) -> list[Any]:
    found = [
        ops.astype(as_value(g, name), v.dtype)
        for g, v in zip(given, values, strict=False)
    ]
    if len(given) != len(values) or any(
        g.shape != v.shape for g, v in zip(found, values, strict=True)
    ):
        raise ShapeError(
            f"{name}: expected arrays of shapes {[v.shape for v in values]}. Got "
            f"{[np.shape(g) for g in given]}."
        )
    return found


def _as_leaves(given: Sequence[Any], primals: Sequence[Any]) -> list[Any]:
    """Return the leaves of tangents; a list beside a tensor is an array, not a tree."""
    if len(given) != len(primals):
        raise ShapeError(
            f"Expected one tangent per primal ({len(primals)}). Got {len(given)}."
        )
    return [
        leaf
        for tangent, primal in zip(given, primals, strict=True)
        for leaf in ([tangent] if _is_leaf(primal) else tree_leaves(tangent))
    ]


def _is_leaf(x: Any) -> bool:
    return not isinstance(x, dict | list | tuple)


def jvp(
    function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[Any, Any]:
    """Return the value of a function and its Jacobian-vector product.

    Computed as the derivative of the (linear) vector-Jacobian product, so that no
    second set of gradient rules is needed.

    Parameters
    ----------
    function : callable
        Takes and returns tensors or trees of them.
    primals : sequence of array, tensor or tree
        Where to evaluate it.
    tangents : sequence of array, tensor or tree
        The direction, in the structure of ``primals``.

    Returns
    -------
    value : tensor or tree
        ``function(*primals)``.
    tangent : tensor or tree
        The directional derivative, in the structure of ``value``.

    Raises
    ------
    ShapeError
        If the tangents have another structure or shape than the primals.

    References
    ----------
    Townsend (2017). A new trick for calculating Jacobian vector products.

    Examples
    --------
    >>> import skgrad
    >>> skgrad.jvp(skgrad.square, [skgrad.tensor([1.0, 2.0])], [[1.0, 10.0]])
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    record = _Recorded(function, primals, range(len(primals)))
    outputs, treedef = tree_flatten(record.out)
    flat = [v for leaves in record.variables for v in leaves]
    directions = _matching(_as_leaves(tangents, primals), flat, "jvp")
    push = _Linear(record, outputs)
    tangent = tree_unflatten(treedef, push(push.pulled, directions))
    return _released(record.out, push.own), _released(tangent, push.own)


class _Linear:
    """The vector-Jacobian product as a function of its cotangents, to be transposed."""

    def __init__(self, record: _Recorded, outputs: Sequence[Any]) -> None:
        self.cotangents: list[Any] = [
            Tensor(beside(v, np.zeros(v.shape, dtype=v.dtype))._data, leaf_node())
            for v in outputs
        ]
        self.pulled = tree_leaves(record.pull(outputs, self.cotangents))
        self.own = record.nodes | {c._node for c in self.cotangents}

    def __call__(self, pulled: Sequence[Any], directions: Sequence[Any]) -> list[Any]:
        """Return the tangents of the outputs for directions of the arguments."""
        with recording(True):
            found = backward(pulled, directions, {c._node for c in self.cotangents})
            return [_or_zero(found, c) for c in self.cotangents]


def hvp(
    function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]
) -> Any:
    """Return the product of the Hessian of a scalar function with a vector.

    Parameters
    ----------
    function : callable
        Takes one array or tree, returns a scalar tensor.
    primals : sequence of one array, tensor or tree
        Where to evaluate it.
    tangents : sequence of one array, tensor or tree
        The vector, in the structure of the primal.

    Returns
    -------
    tensor or tree
        H v, in the structure of the primal.

    Raises
    ------
    GradientError
        If the value is not a scalar.
    ShapeError
        If the vector has another structure or shape than the primal.

    Examples
    --------
    >>> import skgrad
    >>> x = skgrad.tensor([1.0, 2.0])
    >>> skgrad.hvp(lambda x: (x**3).sum(), [x], [[1.0, 0.0]])
    tensor([6., 0.])
    """
    vector = _as_leaves(tangents, primals)
    gradient = grad(function)

    def slope(x: Any) -> Any:
        leaves = tree_leaves(gradient(x))
        terms = [
            ops.sum(ops.multiply(g, v))
            for g, v in zip(leaves, _matching(vector, leaves, "hvp"), strict=True)
        ]
        total = terms[0]
        for term in terms[1:]:
            total = ops.add(total, term)
        return total

    return grad(slope)(*primals)


def jacobian(
    function: Callable[..., Any], argnums: int | tuple[int, ...] = 0
) -> Callable[..., Any]:
    """Return the Jacobian of a function with a tensor as value, itself a function.

    J[i, j] = ∂ out[i] / ∂ x[j], where i runs over the axes of the result and j over
    those of the argument. It is computed row by row (reverse mode), or column by column
    (forward mode) if the result has more elements than the arguments. Either way it may
    be traced, and differentiated again.

    Parameters
    ----------
    function : callable
        Takes tensors (or trees of them) of any shape, returns a tensor of any shape.
    argnums : int or tuple of int, default=0
        Positions of the arguments to differentiate with respect to.

    Returns
    -------
    callable
        Returns a tensor of shape ``out.shape + x.shape``; a tree of them, in the
        structure of the argument, if that is a tree; a tuple if ``argnums`` is one.

    Raises
    ------
    GradientError
        When called: if the value is not a floating tensor, or an argument not floating.
    ParameterError
        When called: if ``argnums`` names an argument that is not there.

    See Also
    --------
    grad : For scalar functions.
    vjp, jvp : Products with the Jacobian, much cheaper than the Jacobian.

    Examples
    --------
    >>> import skgrad
    >>> def polar(r, angle):
    ...     return r * skgrad.functional.stack([skgrad.cos(angle), skgrad.sin(angle)])
    >>> skgrad.jacobian(polar, argnums=(0, 1))(2.0, 0.0)
    (tensor([1., 0.]), tensor([0., 2.]))
    >>> skgrad.jacobian(skgrad.square)(skgrad.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    positions = argnums if isinstance(argnums, tuple) else (argnums,)

    def differentiated(*args: Any) -> Any:
        record = _Recorded(function, args, positions)
        out = _floating(record.out, function)
        variables = [v for leaves in record.variables for v in leaves]
        wide = sum(v.size for v in variables) < out.size
        blocks = iter((_columns if wide else _rows)(record, out, variables))
        found = tuple(
            tree_unflatten(treedef, [next(blocks) for _ in leaves])
            for treedef, leaves in zip(record.treedefs, record.variables, strict=True)
        )
        return found if isinstance(argnums, tuple) else found[0]

    return differentiated


def _floating(out: Any, function: Callable[..., Any]) -> Any:
    if isinstance(out, Value) and out.dtype.kind == "f":
        return out
    got = f"dtype {out.dtype}" if isinstance(out, Value) else type(out).__name__
    raise GradientError(
        f"jacobian needs a function that returns one floating tensor. "
        f"{function_name(function)} returned {got}."
    )


def _units(value: Any) -> list[Any]:
    """Return the arrays of the value's shape with a single one."""
    eye = np.eye(value.size, dtype=value.dtype)
    return [beside(value, unit.reshape(value.shape)) for unit in eye]


def _rows(record: _Recorded, out: Any, variables: Sequence[Any]) -> list[Any]:
    """Return the Jacobians from one walk back per element of the result."""
    rows = [tree_leaves(record.pull([out], [unit])) for unit in _units(out)]
    columns = zip(*rows, strict=True) if rows else [()] * len(variables)
    return [
        record.release(_joined(parts, (1, -1), 0, out, v))
        for parts, v in zip(columns, variables, strict=True)
    ]


def _columns(record: _Recorded, out: Any, variables: Sequence[Any]) -> list[Any]:
    """Return the Jacobians from one walk along per element of the arguments."""
    push = _Linear(record, [out])
    found = []
    for i, variable in enumerate(variables):
        parts = []
        for unit in _units(variable):
            (tangent,) = push([push.pulled[i]], [unit])
            parts.append(tangent)
        joined = _joined(parts, (-1, 1), -1, out, variable)
        found.append(_released(joined, push.own))
    return found


def _joined(
    parts: Sequence[Any], shape: tuple[int, int], axis: int, out: Any, variable: Any
) -> Any:
    """Return rows or columns put together to a Jacobian."""
    whole = out.shape + variable.shape
    if not parts:
        return beside(out, np.zeros(whole, dtype=out.dtype))
    with recording(True):
        flat = ops.concatenate([ops.reshape(p, shape) for p in parts], axis=axis)
        return ops.reshape(flat, whole)


def hessian(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the Hessian of a scalar function of one array, itself a function.

    Parameters
    ----------
    function : callable
        Takes one tensor, returns a scalar tensor.

    Returns
    -------
    callable
        Returns a tensor of shape ``x.shape + x.shape``.

    Raises
    ------
    GradientError
        When called: if the value is not a scalar.

    Examples
    --------
    >>> import skgrad
    >>> skgrad.hessian(lambda x: x[0] ** 2 * x[1])(skgrad.tensor([1.0, 3.0]))
    tensor([[6., 2.],
            [2., 0.]])
    """
    gradient = jacobian(grad(function))

    def second(x: Any) -> Any:
        return gradient(as_value(x, "hessian"))

    return second
