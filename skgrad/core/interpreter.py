"""Who executes a primitive: a stack of interpreters, eager at the bottom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from skgrad.backend.base import Backend, backend_of, get_backend
from skgrad.core.value import Value
from skgrad.exceptions import DeviceError, TraceError
from skgrad.typing import Array

if TYPE_CHECKING:
    from skgrad.core.graph import Node
    from skgrad.core.primitive import Primitive

__all__ = ["Interpreter", "current", "is_recording", "no_grad", "pushed", "recording"]


class Interpreter(Protocol):
    """What stands between a primitive and its result."""

    def process(
        self, primitive: Primitive, args: tuple[Value, ...], params: dict[str, Any]
    ) -> Any:
        """Return the output array or symbol, or a tuple of them."""

    def differentiating(self, node: Node | None) -> None:
        """Note whose gradient rules follow; None at the end of them all."""


class Eager:
    """Computes each primitive at once on the backend of its operands."""

    def process(
        self, primitive: Primitive, args: tuple[Value, ...], params: dict[str, Any]
    ) -> Any:
        """Return the computed array, or a tuple of them."""
        arrays = [arg._data for arg in args]
        try:
            for array in arrays:
                if type(array) is not np.ndarray:
                    backend, arrays = _placed(primitive.name, args)
                    break
            else:
                backend = get_backend("cpu")
            kernel = primitive.kernel(backend, params)
            with np.errstate(all="ignore"):
                out = kernel(*arrays)
        except Exception:
            if any(arg.is_traced for arg in args):
                raise escaped(primitive.name) from None
            # The shape rule knows better than the backend what is wrong.
            primitive.shape_rule(*args, **params)
            raise
        return np.asarray(out) if isinstance(out, np.generic) else out

    def differentiating(self, node: Node | None) -> None:
        """Do nothing."""


def _placed(name: str, args: tuple[Value, ...]) -> tuple[Backend, list[Array]]:
    """Return the backend of operands and their arrays, those of constants moved."""
    owners = [backend_of(arg._data) for arg in args]
    pairs = list(zip(args, owners, strict=True))
    chosen = {owner.device for arg, owner in pairs if not arg.is_constant}
    if len(chosen) > 1:
        raise other_device(name, args)
    backend = get_backend(chosen.pop()) if chosen else owners[0]
    return backend, [
        arg._data if owner is backend else backend.constant(arg._data)
        for arg, owner in pairs
    ]


def other_device(name: str, args: tuple[Value, ...]) -> DeviceError:
    """Return the error of tensors that live on several devices."""
    fixed = [arg for arg in args if not arg.is_constant]
    shown = " and ".join(f"{x.dtype}{list(x.shape)} on {x.device!r}" for x in fixed)
    return DeviceError(
        f"{name}: the tensors live on different devices, {shown}. None is moved "
        f"silently: move one, for example with x.to({fixed[0].device!r})."
    )


def escaped(name: str) -> TraceError:
    """Return the error of a traced tensor that is used after its trace."""
    return TraceError(
        f"{name}: an operand is a traced tensor, used outside the trace that made it. "
        "A traced function must return what it computes, not store it elsewhere."
    )


_EAGER = Eager()
_stack: ContextVar[tuple[Interpreter, ...]] = ContextVar("stack", default=(_EAGER,))
_recording: ContextVar[bool] = ContextVar("recording", default=True)


def current() -> Interpreter:
    """Return the interpreter that processes primitives now."""
    return _stack.get()[-1]


@contextmanager
def pushed(interpreter: Interpreter) -> Iterator[None]:
    """Let ``interpreter`` process the primitives inside the block."""
    token = _stack.set((*_stack.get(), interpreter))
    try:
        yield
    finally:
        _stack.reset(token)


def is_recording() -> bool:
    """Return whether primitives record nodes for gradients."""
    return _recording.get()


@contextmanager
def recording(mode: bool) -> Iterator[None]:
    """Switch the recording of gradients on or off inside the block."""
    token = _recording.set(mode)
    try:
        yield
    finally:
        _recording.reset(token)


def no_grad() -> Any:
    """Return a context manager inside which no gradients are recorded.

    Returns
    -------
    context manager
        Use as ``with skgrad.no_grad(): ...``; it holds for the current thread or
        task only and may be nested.

    Examples
    --------
    >>> import skgrad
    >>> x = skgrad.tensor([1.0, 2.0], requires_grad=True)
    >>> with skgrad.no_grad():
    ...     y = x * 2.0
    >>> y.requires_grad
    False
    """
    return recording(False)


def concrete(value: Value, what: str) -> Array:
    """Return the elements of a value, or say why there are none.

    ``what`` names the Python operation that asked for them.
    """
    if value.is_traced:
        raise TraceError(
            f"{what} needs the elements of a tensor, but this one (shape "
            f"{value.shape}, {value.dtype}) is being traced: only its shape and dtype "
            "are known. Python control flow and conversions cannot depend on traced "
            "values; use skgrad.where(condition, a, b) to choose elementwise, or "
            "compute the decision outside the traced function."
        )
    return value._data
