"""Rules of equations that move elements, or reduce over nothing."""

import math
from collections.abc import Sequence

from skgrad.executor.graph import Equation, Variable
from skgrad.executor.passes.arithmetic import is_aligned, stripped
from skgrad.executor.passes.rewrite import Found, Rule, Writer

__all__ = [
    "STRUCTURE",
    "is_floating",
    "over_single_elements",
    "own_order",
    "swaps_last_two",
]


def _size(variable: Variable) -> int:
    return math.prod(variable.shape)


# --- reshape and broadcast --------------------------------------------------------


def _reshape(writer: Writer, equation: Equation) -> Found:
    (x,), (out,) = equation.inputs, equation.outputs
    if x.shape == out.shape:
        return x
    source = writer.definition(x, "reshape")
    if source is not None:
        return writer.reshaped(source.inputs[0], out.shape)
    return _of_one_element(writer, equation)


def _of_one_element(writer: Writer, equation: Equation) -> Found:
    """One element repeated, however it is moved, is repeated."""
    source = writer.definition(equation.inputs[0], "broadcast")
    if source is None or _size(source.inputs[0]) != 1:
        return None
    one = writer.reshaped(source.inputs[0], ())
    return writer.repeated(one, equation.outputs[0].shape)


def _broadcast(writer: Writer, equation: Equation) -> Found:
    (x,), (out,) = equation.inputs, equation.outputs
    if stripped(x.shape) == stripped(out.shape):
        return writer.reshaped(x, out.shape)
    if not is_aligned(equation):
        return None
    source = writer.definition(x, "broadcast")
    if source is not None and is_aligned(source):
        return writer.repeated(source.inputs[0], out.shape)
    source = writer.definition(x, "reshape")
    if source is None:
        return None
    y = source.inputs[0]
    if stripped(y.shape) != stripped(x.shape) or len(y.shape) > len(out.shape):
        return None
    return writer.repeated(y, out.shape)


# --- transpose --------------------------------------------------------------------


def own_order(axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return a permutation without the leading axes that it leaves in place."""
    n = len(axes)
    first = next((i for i, a in enumerate(axes) if a != i - n), n)
    return axes[first:]


def swaps_last_two(transpose: Equation) -> bool:
    """Tell whether an equation exchanges the last two axes and no others."""
    return own_order(transpose.params["axes"]) == (-1, -2)


def _transpose(writer: Writer, equation: Equation) -> Found:
    (x,), (out,) = equation.inputs, equation.outputs
    axes = own_order(equation.params["axes"])
    moving = [a for a in axes if x.shape[a] != 1]
    if moving == sorted(moving):  # an extent of 1 moves without moving an element
        return writer.reshaped(x, out.shape)
    source = writer.definition(x, "transpose")
    if source is not None:
        order = _composed(own_order(source.params["axes"]), axes)
        return writer.apply("transpose", source.inputs[0], axes=order)
    return _of_one_element(writer, equation)


def _composed(first: tuple[int, ...], then: tuple[int, ...]) -> tuple[int, ...]:
    n = max(len(first), len(then))
    before = (*range(-n, -len(first)), *first)
    return tuple(before[a] for a in (*range(-n, -len(then)), *then))


# --- slices -----------------------------------------------------------------------


def _everything(writer: Writer, equation: Equation) -> Found:
    """Skip a slice of all of x, and zeros that x overwrites."""
    (x,), (out,) = equation.inputs, equation.outputs
    slices = equation.params["slices"]
    if x.shape != out.shape:
        return None
    own = x.shape[len(x.shape) - len(slices) :]
    spans = zip(slices, own, strict=True)
    return x if all(range(n)[slice(*s)] == range(n) for s, n in spans) else None


def _alone(writer: Writer, equation: Equation) -> Found:
    return equation.inputs[0] if len(equation.inputs) == 1 else None


# --- packing ----------------------------------------------------------------------


def _pack(writer: Writer, equation: Equation) -> Found:
    inputs = tuple(_flattened(writer, v) for v in equation.inputs)
    if len(inputs) == 1:
        return writer.reshaped(inputs[0], equation.outputs[0].shape)
    source = writer.definition(inputs[0], "unpack")
    if source is not None and source.outputs == inputs:
        return source.inputs[0]
    if inputs != equation.inputs:
        return writer.apply("pack", *inputs)
    return None


def _flattened(writer: Writer, variable: Variable) -> Variable:
    """Return what has the same elements in the same order: a pack takes these only."""
    source = writer.definition(variable, "reshape")
    return variable if source is None else source.inputs[0]


def _unpack(writer: Writer, equation: Equation) -> Found:
    (flat,) = equation.inputs
    if len(equation.outputs) == 1:
        return writer.reshaped(flat, equation.outputs[0].shape)
    source = writer.definition(flat, "pack")
    if source is None or len(source.inputs) != len(equation.outputs):
        return None
    pairs = list(zip(source.inputs, equation.outputs, strict=True))
    if any(_size(a) != _size(b) for a, b in pairs):
        return None
    return tuple(writer.reshaped(a, b.shape) for a, b in pairs)


# --- reductions -------------------------------------------------------------------


def over_single_elements(writer: Writer, equation: Equation) -> Found:
    """Skip a reduction over extents of 1."""
    (x,), (out,) = equation.inputs, equation.outputs
    if x.dtype != out.dtype or any(x.shape[a] != 1 for a in equation.params["axes"]):
        return None
    return writer.reshaped(x, out.shape)


def _sum(writer: Writer, equation: Equation) -> Found:
    # A sum starts from 0, so that of -0.0 alone is 0.0.
    floating = equation.inputs[0].dtype.kind == "f"
    return None if floating else over_single_elements(writer, equation)


# --- products ---------------------------------------------------------------------


def is_floating(equation: Equation) -> bool:
    """Tell whether the result is of floating-point numbers."""
    return equation.outputs[0].dtype.kind == "f"


def _outer(writer: Writer, equation: Equation) -> Found:
    """Multiply elementwise where the inner extent is 1: NumPy calls BLAS for it."""
    x, y = equation.inputs
    if x.shape[-1] != 1 or not is_floating(equation):
        return None
    return writer.apply("multiply", x, y)


STRUCTURE: dict[str, Sequence[Rule]] = {
    "broadcast": (_broadcast,),
    "concatenate": (_alone,),
    "matmul": (_outer,),
    "max": (over_single_elements,),
    "pack": (_pack,),
    "prod": (over_single_elements,),
    "reshape": (_reshape,),
    "scatter_slice": (_everything,),
    "slice": (_everything,),
    "sum": (_sum,),
    "transpose": (_transpose,),
    "unpack": (_unpack,),
}
