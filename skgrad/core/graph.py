"""The gradient graph: nodes, and the walk back along them."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from skgrad.core.interpreter import current
from skgrad.core.value import Value, box
from skgrad.exceptions import GradientError

if TYPE_CHECKING:
    from skgrad.core.primitive import Primitive

__all__ = ["Node", "backward", "leaf_node", "leaves_of", "register_arithmetic"]

_ids = itertools.count()


class Node:
    """One executed primitive, or a leaf (``primitive`` is ``None``).

    Nodes refer to their inputs, never to values made from their outputs, so that a
    graph is freed when its last value goes. Ids grow with time: a node's inputs always
    have smaller ids, and descending ids are a topological order.

    Parameters
    ----------
    primitive : Primitive or None
        What was executed.
    inputs : tuple of Value
        Its operands.
    params : dict
        Its static parameters.
    outputs : tuple of array or symbol
        The data it returned.

    Examples
    --------
    >>> import skgrad
    >>> x = skgrad.tensor(2.0, requires_grad=True)
    >>> node = (x * 3.0)._node
    >>> node.primitive.name, len(node.inputs)
    ('multiply', 2)
    """

    __slots__ = (
        "__weakref__",
        "grad",
        "id",
        "inputs",
        "outputs",
        "params",
        "primitive",
        "spent",
    )

    def __init__(
        self,
        primitive: Primitive | None,
        inputs: tuple[Value, ...],
        params: dict[str, Any],
        outputs: tuple[Any, ...],
    ) -> None:
        self.primitive = primitive
        self.inputs = tuple([_frozen(value) for value in inputs])
        self.params = params
        self.outputs = outputs
        self.grad: Any = None
        self.spent = False  # whether ``grad`` has served a step already
        self.id = next(_ids)

    def __lt__(self, other: Node) -> bool:
        return self.id > other.id  # the youngest first: heapq takes the smallest


def leaf_node() -> Node:
    """Return the node of a new leaf: a value gradients are wanted for."""
    return Node(None, (), {}, ())


def _frozen(value: Value) -> Value:
    """Return the value as it is now: what is not computed may be assigned later."""
    if value._node is None or value._node.primitive is None:
        return box(value._data, value._node, value._index)  # type: ignore[no-any-return]
    return value


_add: Callable[[Any, Any], Any]
_sum_to: Callable[[Any, Any], Any]


def register_arithmetic(
    add: Callable[[Any, Any], Any], sum_to: Callable[[Any, Any], Any]
) -> None:
    """Tell the walk how to add cotangents and how to undo broadcasting."""
    global _add, _sum_to
    _add, _sum_to = add, sum_to


def backward(
    outputs: Sequence[Value],
    cotangents: Sequence[Value],
    targets: Iterable[Node] | None = None,
) -> dict[Node, Value]:
    """Carry cotangents from outputs back through the graph.

    Whether the walk itself is recorded (for higher derivatives) is the caller's
    choice, by :func:`~skgrad.core.interpreter.recording`.

    Parameters
    ----------
    outputs : sequence of Value
        Where to start; values without a node are ignored.
    cotangents : sequence of Value
        One per output, of the same shape.
    targets : iterable of Node, optional
        Nodes to stop at. By default the walk ends at the leaves.

    Returns
    -------
    dict of Node to Value
        The cotangent of each target (each leaf, by default) that was reached.

    Raises
    ------
    GradientError
        If a primitive on the way has no gradient rule.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.core import backward
    >>> x = skgrad.tensor(2.0, requires_grad=True)
    >>> list(backward([x * 3.0], [skgrad.tensor(1.0)]).values())
    [tensor(3.)]
    """
    stop = frozenset(() if targets is None else targets)
    # What is older than every target does not depend on any of them.
    oldest = min((node.id for node in stop), default=0)
    pending: dict[Node, list[Value | None]] = {}
    heap: list[Node] = []
    reached: dict[Node, Value] = {}

    def push(value: Value, cotangent: Value) -> None:
        node = value._node
        if node is None or node.id < oldest:
            return
        if node not in pending:
            pending[node] = [None] * max(1, len(node.outputs))
            heapq.heappush(heap, node)
        have = pending[node][value._index]
        pending[node][value._index] = (
            cotangent if have is None else _add(have, cotangent)
        )

    for output, cotangent in zip(outputs, cotangents, strict=True):
        push(output, cotangent)
    interpreter = current()
    while heap:
        node = heapq.heappop(heap)
        gs = pending.pop(node)
        if node.primitive is None or node in stop:
            if gs[0] is not None:
                reached[node] = gs[0]
            continue
        interpreter.differentiating(node)
        for value, cotangent_in in zip(node.inputs, _vjp(node, gs), strict=True):
            if cotangent_in is not None:
                push(value, cotangent_in)
    interpreter.differentiating(None)
    return reached


def _vjp(node: Node, gs: list[Value | None]) -> list[Value | None]:
    """Return the cotangents of a node's inputs, of the inputs' shapes."""
    primitive = node.primitive
    assert primitive is not None
    if primitive.vjp is None:
        raise GradientError(f"{primitive.name} has no gradient rule.")
    outs = [box(data, node, i) for i, data in enumerate(node.outputs)]
    g: Any = gs[0] if len(outs) == 1 and primitive.name != "unpack" else tuple(gs)
    out: Any = outs[0] if len(outs) == 1 else tuple(outs)
    if callable(primitive.vjp):
        found = list(primitive.vjp(g, out, *node.inputs, **node.params))
    else:
        found = [
            None
            if rule is None or value._node is None
            else rule(g, out, *node.inputs, **node.params)
            for rule, value in zip(primitive.vjp, node.inputs, strict=True)
        ]
    return [
        _sum_to(c, value.shape) if c is not None and c.shape != value.shape else c
        for c, value in zip(found, node.inputs, strict=True)
    ]


def leaves_of(values: Iterable[Value]) -> set[Node]:
    """Return the leaves the values depend on."""
    stack = [value._node for value in values if value._node is not None]
    seen: set[Node] = set(stack)
    leaves: set[Node] = set()
    while stack:
        node = stack.pop()
        if node.primitive is None:
            leaves.add(node)
        for value in node.inputs:
            parent = value._node
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return leaves
