"""Primitive: one operation, its shape rule and its gradient rule."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from skgrad.backend.base import Backend
from skgrad.core.graph import Node
from skgrad.core.interpreter import current, is_recording
from skgrad.core.value import CONSTANT, Value, box
from skgrad.typing import Shape

__all__ = ["Abstract", "Primitive"]


class Abstract(NamedTuple):
    """Shape and dtype of an output, what a shape rule returns."""

    shape: Shape
    dtype: np.dtype[Any]


_PLACEHOLDER = re.compile(r"\{\d+\}")

VjpRule = Callable[..., Value | None]
VjpRules = tuple[VjpRule | None, ...] | Callable[..., tuple[Value | None, ...]]


class Primitive:
    """An operation the engine knows; everything else is composed of these.

    Axes in static parameters count from the end and rules never look at leading axes,
    so that a leading batch axis would change no parameter.

    Parameters
    ----------
    name : str
        The instruction's name; ``backend.instruction(name)`` computes it unless there
        is an ``expression``.
    shape_rule : callable
        ``shape_rule(*operands, **params) -> Abstract`` (a tuple of them if there are
        several outputs); looks at ``shape`` and ``dtype`` only, raises the typed
        errors.
    vjp : tuple of callables, callable or None
        One rule per operand, ``rule(g, out, *operands, **params)``, giving the
        cotangent of that operand from the cotangent ``g`` of the output ``out``
        (``None`` for a zero one). For operations with any number of operands, one
        callable returning all cotangents. Rules are made of primitives. ``None``
        altogether: nothing flows back.
    expression : callable, optional
        ``expression(**params)`` gives the scalar expression of an elementwise
        primitive in the operands ``{0}, {1} ...``.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.tanh.primitive.name
    'tanh'
    """

    __slots__ = ("_kernels", "expression", "name", "shape_rule", "vjp")

    def __init__(
        self,
        name: str,
        shape_rule: Callable[..., Any],
        vjp: VjpRules | None = None,
        expression: Callable[..., str] | None = None,
    ) -> None:
        self.name = name
        self.shape_rule = shape_rule
        self.vjp = vjp
        self.expression = expression
        self._kernels: dict[Any, Callable[..., Any]] = {}

    def __repr__(self) -> str:
        return f"Primitive({self.name})"

    def __reduce__(self) -> Any:
        # Our own are module-level constants, and referred to by name. Those of users
        # travel to other processes along with the function that declares them.
        if is_registered(self):
            return _lookup, (self.name,)
        return Primitive, (self.name, self.shape_rule, self.vjp, self.expression)

    def bind(self, *args: Value, **params: Any) -> Any:
        """Execute or trace the primitive; the only entrance.

        Parameters
        ----------
        *args : Value
            The operands, already of fitting dtypes.
        **params
            Static, hashable parameters.

        Returns
        -------
        Tensor or tuple of Tensor
            The outputs, with a node if an operand has one.
        """
        out = current().process(self, args, params)
        several = isinstance(out, tuple)
        index = CONSTANT  # what was computed from constants alone is one
        depends = False
        for arg in args:
            if arg._index >= 0:
                index = 0
            if arg._node is not None:
                depends = True
        node = None
        if depends and self.vjp is not None and is_recording():
            first = out[0] if several else out
            if first.dtype.kind == "f":
                node = Node(self, args, params, out if several else (out,))
        if several:
            return tuple(box(data, node, index or i) for i, data in enumerate(out))
        return box(out, node, index)

    def kernel(self, backend: Backend, params: dict[str, Any]) -> Callable[..., Any]:
        """Return the backend's function with the static parameters filled in."""
        if self.expression is None:
            function = backend.instruction(self.name)
            return partial(function, **params) if params else function
        key = (backend.device, *params.values()) if params else backend.device
        kernel = self._kernels.get(key)
        if kernel is None:
            expression = self.expression(**params)
            n_operands = len(set(_PLACEHOLDER.findall(expression)))
            kernel = backend.elementwise(expression, n_operands)
            self._kernels[key] = kernel
        return kernel


_registry: dict[str, Primitive] = {}


def register(primitive: Primitive) -> Primitive:
    """Add a primitive to the registry, the list the tests run over."""
    if primitive.name in _registry:
        raise ValueError(f"There is a primitive called {primitive.name!r} already.")
    _registry[primitive.name] = primitive
    return primitive


def is_registered(primitive: Primitive) -> bool:
    """Return whether a primitive is one of skgrad's own."""
    return _registry.get(primitive.name) is primitive


def registered() -> dict[str, Primitive]:
    """Return the registered primitives by name."""
    return dict(_registry)


def _lookup(name: str) -> Primitive:
    return _registry[name]
