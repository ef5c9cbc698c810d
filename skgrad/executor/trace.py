"""Tracing: run a function on abstract tensors and record what it does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import skgrad
from skgrad.core.graph import Node, leaf_node
from skgrad.core.interpreter import escaped, is_recording, pushed
from skgrad.core.primitive import Abstract, Primitive
from skgrad.core.tree import tree_flatten, tree_unflatten
from skgrad.core.value import Value
from skgrad.exceptions import DeviceError, GradientError, TraceError
from skgrad.executor.graph import Equation, Frame, Graph, Variable
from skgrad.executor.known import simplified
from skgrad.executor.passes import PASSES
from skgrad.executor.program import Program
from skgrad.ops.promotion import as_value
from skgrad.tensor import Tensor
from skgrad.transforms import function_name
from skgrad.typing import Tree

__all__ = ["trace"]

_PACKAGE = f"{Path(skgrad.__file__).parent}{os.sep}"


class Tracer:
    """The interpreter of a trace: records equations, computes nothing."""

    def __init__(self) -> None:
        self.equations: list[Equation] = []
        self.constants: dict[Variable, Any] = {}
        self._lifted: dict[int, Variable] = {}
        self._start = leaf_node().id
        self._frames: dict[Variable, Frame] = {}
        self._differentiated: Frame | None = None

    def variable(self, abstract: Any) -> Variable:
        """Return a new variable of this trace."""
        return Variable(abstract.shape, abstract.dtype, self)

    def forget(self) -> None:
        """Let go of what was recorded: variables refer to their tracer.

        Without it every trace is a cycle of a thousand objects, which only Python's
        garbage collection ends, and that stops a large process for 80 ms.
        """
        self.equations, self.constants, self._lifted = [], {}, {}
        self._frames = {}

    def process(
        self, primitive: Primitive, args: tuple[Value, ...], params: dict[str, Any]
    ) -> Any:
        """Record an equation and return the variables of its outputs."""
        inputs = tuple([self.lift(arg, primitive.name) for arg in args])
        expected = _expected(primitive, inputs, params)
        several = not isinstance(expected, Abstract)
        outputs = tuple(map(self.variable, expected if several else (expected,)))
        frame = self._differentiated or user_frame(sys._getframe(1))
        self.equations.append(Equation(primitive, inputs, params, outputs, frame))
        if frame is not None:
            self._frames.update(dict.fromkeys(outputs, frame))
        return outputs if several else outputs[0]

    def differentiating(self, node: Node | None) -> None:
        """Let what follows come from the line of what is differentiated."""
        made = node.outputs[0] if node else None
        # What was made before the trace is no variable.
        frame = self._frames.get(made) if isinstance(made, Variable) else None
        if frame is not None and node is not None and node.primitive is not None:
            frame = frame._replace(derivative_of=node.primitive.name)
        self._differentiated = frame

    def lift(self, value: Value, name: str) -> Variable:
        """Return the variable of a value; a concrete one becomes a constant."""
        data = value._data
        if isinstance(data, Variable):
            if data.trace is not self:
                raise escaped(name)
            return data
        node = value._node
        if node is not None and node.id < self._start and is_recording():
            raise GradientError(
                f"{name}: a tensor with requires_grad=True (shape {value.shape}), made "
                "outside the traced function, would become a constant of the trace: "
                "its updates would not be seen and no gradient would reach it. Pass "
                "it as an argument (nn.functional_call does that for a module), or fix "
                "it on purpose by detach() or under no_grad()."
            )
        if value.device != "cpu":
            raise DeviceError(
                f"{name}: a tensor of shape {value.shape} on {value.device!r} cannot "
                "be a constant of a traced function: what is traced is given arrays of "
                "the host, and runs on a GPU as a whole. Move it: x.to('cpu')."
            )
        if id(data) not in self._lifted:
            variable = self.variable(data)
            self.constants[variable] = data  # also keeps id(data) from being reused
            self._lifted[id(data)] = variable
        return self._lifted[id(data)]


def _expected(
    primitive: Primitive, inputs: tuple[Variable, ...], params: dict[str, Any]
) -> Any:
    """Return the shapes and dtypes of the outputs, of elementwise ones remembered."""
    if primitive.expression is None or params:
        return primitive.shape_rule(*inputs, **params)
    return _of_elements(primitive, *[(v.shape, v.dtype) for v in inputs])


@lru_cache(1024)
def _of_elements(primitive: Primitive, *operands: tuple[Any, Any]) -> Any:
    return primitive.shape_rule(*[Abstract(*operand) for operand in operands])


def user_frame(frame: FrameType | None) -> Frame | None:
    """Return the first frame outside skgrad, walking outwards to the traced call.

    There is none where skgrad's own modules and losses are traced.
    """
    outermost = _called.__code__
    while frame is not None and (code := frame.f_code) is not outermost:
        if not code.co_filename.startswith(_PACKAGE):
            return Frame(code.co_filename, frame.f_lineno, code.co_name)
        frame = frame.f_back
    return None


def trace(function: Callable[..., Tree], *args: Tree) -> Program:
    """Record a function once and return the program that replays it.

    Parameters
    ----------
    function : callable
        Takes tensors or trees of them and returns a tree of tensors. It must be pure:
        Python side effects happen once, at trace time, and Python control flow cannot
        depend on traced values.
    *args : tree of array or tensor
        Examples: only shapes and dtypes are used.

    Returns
    -------
    Program
        Computes the same function of arrays of these shapes and dtypes.

    Raises
    ------
    TraceError
        If the function asks for the value of a traced tensor, naming the line.
    GradientError
        If it uses a tensor with ``requires_grad`` that is not an argument.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.executor import trace
    >>> program = trace(lambda x, y: {"sum": (x + y).sum()}, np.zeros(3), np.zeros(3))
    >>> float(program(np.ones(3), np.ones(3))["sum"])
    6.0
    """
    leaves, treedef = tree_flatten(args)
    tracer = Tracer()
    with pushed(tracer):  # which copies no example
        inputs = tuple([tracer.variable(as_value(leaf, "trace")) for leaf in leaves])
        tensors = [Tensor(variable) for variable in inputs]
        out = _called(function, tree_unflatten(treedef, tensors))
        out_leaves, out_treedef = tree_flatten(out)
        outputs = tuple(
            tracer.lift(as_value(leaf, "trace"), "trace") for leaf in out_leaves
        )
    graph = Graph(
        inputs,
        {v: _frozen(value) for v, value in tracer.constants.items()},
        tuple(tracer.equations),
        outputs,
        function_name(function),
    )
    tracer.forget()
    return Program(simplified(graph, PASSES), treedef, out_treedef)


def _frozen(array: Any) -> Any:
    """Return a copy nobody can change, not even who gets it as an output."""
    copy = np.array(array)
    copy.flags.writeable = False
    return copy


def _called(function: Callable[..., Tree], args: Any) -> Tree:
    try:
        return function(*args)
    except TraceError as error:
        at = _error_frame(error)
        if at is not None:
            error.add_note(f"While tracing {function_name(function)}, at {at}.")
        raise


def _error_frame(error: BaseException) -> Frame | None:
    """Return the innermost user frame an error passed through inside the trace."""
    found, step = None, error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if not code.co_filename.startswith(_PACKAGE):
            found = Frame(code.co_filename, step.tb_lineno, code.co_name)
        step = step.tb_next
    return found
