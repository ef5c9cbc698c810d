"""Primitives that are instructions of their own, known to the backend by name.

Each function emits the instructions of one primitive and returns whether it could; if
not, the equation runs on the reference backend.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from skgrad.exceptions import GraphError
from skgrad.executor.graph import Equation
from skgrad.executor.storage import Buffer, View, contiguous_strides, n_bytes, views_of
from skgrad.typing import Shape

if TYPE_CHECKING:
    from skgrad.executor.lower import Lowering

__all__ = ["NAMED"]


def matmul(low: Lowering, equation: Equation) -> bool:
    x, y = (low.views[v] for v in equation.inputs)
    dtype = x.dtype.name
    if dtype not in ("float32", "float64"):
        return False
    out = low.target(equation.outputs[0])
    lead = out.shape[:-2]
    if None in [_joined(v, lead) for v in (x, y)]:
        x, y = (low.contiguous(_broadcast(v, lead)) for v in (x, y))
    (x, lda, ta), (y, ldb, tb) = _factor(low, x), _factor(low, y)
    batch = [_joined(v, lead) or 0 for v in (x, y, out)]
    m, n, k = out.shape[-2], out.shape[-1], x.shape[-1]
    count = math.prod(lead)
    ldc = max(1, n)
    sizes = (m, n, k, lda, ldb, ldc, ta, tb, count, *batch)
    n_bytes = low.workspace("product", dtype, sizes)
    scratch = [low.scratch((n_bytes,), np.dtype("uint8"))] if n_bytes else []
    low.emit(
        "product",
        [x, y],
        out,
        *scratch,
        sizes=sizes,
        dtypes=(dtype,),
        flops=2.0 * m * n * k * count,
    )
    return True


def _factor(low: Lowering, view: View) -> tuple[View, int, int]:
    """Return a factor as a product takes it: row length, and if transposed."""
    rows, columns = view.shape[-2:]
    for _ in range(2):
        row, column = view.strides[-2:]
        if (column == 1 or columns == 1) and (row >= columns or rows == 1):
            return view, max(row if rows != 1 else columns, columns, 1), 0
        if (row == 1 or rows == 1) and (column >= rows or columns == 1):
            return view, max(column if columns != 1 else rows, rows, 1), 1
        view = low.contiguous(view)
    raise GraphError(f"A factor of shape {view.shape} has strides {view.strides}.")


def gram(low: Lowering, equation: Equation) -> bool:
    x, w = (low.contiguous(low.views[v]) for v in equation.inputs)
    dtype = x.dtype.name
    if dtype not in ("float32", "float64"):
        return False
    out = low.target(equation.outputs[0])
    *lead, n, p = x.shape
    sizes = (n, p, p)
    size = low.workspace("gram", dtype, sizes)
    for i in range(math.prod(lead)):
        parts = [
            replace(view, shape=shape, offset=view.offset + i * math.prod(shape))
            for view, shape in ((x, (n, p)), (w, (n,)), (out, (p, p)))
        ]
        parts = [replace(v, strides=contiguous_strides(v.shape)) for v in parts]
        low.emit(
            "gram",
            parts[:2],
            parts[2],
            low.scratch((size,), np.dtype("uint8")),
            sizes=sizes,
            dtypes=(dtype,),
            flops=1.0 * n * p * (p + 1),
        )
    return True


def pack(low: Lowering, equation: Equation) -> bool:
    (packed,) = equation.outputs
    target = low.target(packed)
    start = 0
    for leaf in equation.inputs:
        view, size = low.views[leaf], math.prod(leaf.shape)
        part = View(
            target.buffer,
            target.dtype,
            leaf.shape,
            contiguous_strides(leaf.shape),
            start,
        )
        placed = view.buffer.root == (
            target.buffer.root[0],
            target.buffer.root[1] + start * target.dtype.itemsize,
        )
        if size and not (placed and view.is_contiguous and view.offset == 0):
            low.copy(view, part)
        start += size
    return True


def concatenate(low: Lowering, equation: Equation) -> bool:
    target = low.target(equation.outputs[0])
    axis = equation.params["axis"] % len(target.shape)
    start = 0
    for variable in equation.inputs:
        view = low.views[variable]
        offset = target.offset + start * target.strides[axis]
        low.copy(view, replace(target, shape=view.shape, offset=offset))
        start += view.shape[axis]
    return True


def scatter_slice(low: Lowering, equation: Equation) -> bool:
    target = low.target(equation.outputs[0])
    low.emit("fill_zero", [], target, sizes=(n_bytes(equation.outputs[0]),))
    view = low.views[equation.inputs[0]]
    part = equation._replace(
        inputs=equation.outputs,
        outputs=equation.inputs,
        params={"slices": equation.params["slices"]},
    )
    for inside in views_of(part, target) or ():
        low.copy(view, inside)
    return True


def scatter_windows(low: Lowering, equation: Equation) -> bool:
    x = low.views[equation.inputs[0]]
    if x.dtype.kind == "b":
        return False
    target = low.target(equation.outputs[0])
    low.emit("fill_zero", [], target, sizes=(n_bytes(equation.outputs[0]),))
    strides, dilations = equation.params["strides"], equation.params["dilations"]
    d = len(strides)
    lead = len(target.shape) - d
    sizes = x.shape[lead + d :]
    steps = target.strides[lead:]
    part = replace(
        target,
        shape=x.shape[: lead + d],
        strides=(*target.strides[:lead], *map(operator.mul, strides, steps)),
    )
    reach = [gap * (k - 1) for gap, k in zip(dilations, sizes, strict=True)]
    apart = all(map(operator.lt, reach, strides))
    put = low.copy if apart else low.add_to
    # One kernel for each element of a window: within one no two windows meet.
    for position in np.ndindex(*sizes):
        moved = map(operator.mul, position, map(operator.mul, dilations, steps))
        source = replace(
            x,
            shape=part.shape,
            strides=x.strides[: lead + d],
            offset=x.offset + sum(map(operator.mul, position, x.strides[lead + d :])),
        )
        put(source, replace(part, offset=target.offset + sum(moved)))
    return True


def take(low: Lowering, equation: Equation) -> bool:
    x, indices = (low.contiguous(low.views[v]) for v in equation.inputs)
    axis = equation.params["axis"] % len(x.shape)
    outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    low.emit(
        "take",
        [x, indices],
        low.target(equation.outputs[0]),
        _status(low.status),
        sizes=(outer, x.shape[axis], inner, math.prod(indices.shape)),
        dtypes=(x.dtype.name, indices.dtype.name),
    )
    return True


def scatter_add(low: Lowering, equation: Equation) -> bool:
    x, indices = (low.contiguous(low.views[v]) for v in equation.inputs)
    if x.dtype.kind not in "fiu":
        return False
    out = low.target(equation.outputs[0])
    axis = equation.params["axis"] % len(out.shape)
    outer, inner = math.prod(out.shape[:axis]), math.prod(out.shape[axis + 1 :])
    low.emit(
        "scatter_add",
        [x, indices],
        out,
        _status(low.status),
        sizes=(outer, out.shape[axis], inner, math.prod(indices.shape)),
        dtypes=(x.dtype.name, indices.dtype.name),
    )
    return True


def sparse_matmul(low: Lowering, equation: Equation) -> bool:
    B = low.views[equation.inputs[4]]
    return _sparse(low, equation, B.shape[-2], B.shape[-1:])


def sparse_matmul_transposed(low: Lowering, equation: Equation) -> bool:
    G = low.views[equation.inputs[4]]
    return _sparse(low, equation, equation.params["size"], G.shape[-1:])


def sparse_gram(low: Lowering, equation: Equation) -> bool:
    return _sparse(low, equation, equation.params["size"], ())


def _sparse(
    low: Lowering, equation: Equation, n_columns: int, more: tuple[int, ...]
) -> bool:
    """Emit a product with the rows of a sparse matrix; stacks have none."""
    if len(equation.outputs[0].shape) != 2:
        return False
    reads = [low.contiguous(low.views[v]) for v in equation.inputs]
    data, indices, indptr, rows, dense = reads
    low.emit(
        equation.primitive.name,
        reads,
        low.target(equation.outputs[0]),
        _status(low.status),
        sizes=(rows.shape[0], indptr.shape[0] - 1, n_columns, *more),
        dtypes=(dense.dtype.name, data.dtype.name, indices.dtype.name),
    )
    return True


def cumsum(low: Lowering, equation: Equation) -> bool:
    x = low.contiguous(low.views[equation.inputs[0]])
    if x.dtype != equation.outputs[0].dtype:
        return False
    axis = equation.params["axis"] % len(x.shape)
    outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    low.emit(
        "cumsum",
        [x],
        low.target(equation.outputs[0]),
        sizes=(outer, x.shape[axis], inner, int(equation.params["reverse"])),
        dtypes=(x.dtype.name,),
    )
    return True


def argmax(low: Lowering, equation: Equation) -> bool:
    x = low.contiguous(low.views[equation.inputs[0]])
    axis = equation.params["axis"] % len(x.shape)
    outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    if x.shape[axis] == 0:
        return False  # the reference raises
    low.emit(
        "argmax",
        [x],
        low.target(equation.outputs[0]),
        sizes=(outer, x.shape[axis], inner),
        dtypes=(x.dtype.name,),
    )
    return True


def random_bits(low: Lowering, equation: Equation) -> bool:
    key, step, rows = (low.contiguous(low.views[v]) for v in equation.inputs)
    if (key.dtype.name, step.dtype.name, rows.dtype.name) != (
        "uint32",
        "int64",
        "uint32",
    ):
        return False
    size = math.prod(equation.params["shape"])
    low.emit(
        "random_bits",
        [key, step, rows],
        low.target(equation.outputs[0]),
        sizes=(math.prod(rows.shape), size, equation.params["draw"]),
    )
    return True


def _status(buffer: Buffer) -> View:
    return View(buffer, np.dtype("int64"), (1,), (1,))


def _broadcast(view: View, lead: Shape) -> View:
    shape = (*lead, *view.shape[-2:])
    pad = len(shape) - len(view.shape)
    strides = tuple(
        0 if i < pad or view.shape[i - pad] == 1 != n else view.strides[i - pad]
        for i, n in enumerate(shape)
    )
    return replace(view, shape=shape, strides=strides)


def _joined(view: View, lead: Shape) -> int | None:
    """Return the one stride over the leading axes, or None if there is none."""
    strides = _broadcast(view, lead).strides[: len(lead)]
    moving = [(n, s) for n, s in zip(lead, strides, strict=True) if n != 1]
    for (_, outer), (n, inner) in itertools.pairwise(moving):
        if outer != inner * n:
            return None
    return moving[-1][1] if moving else 0


NAMED: dict[str, Callable[[Lowering, Equation], bool]] = {
    f.__name__: f
    for f in (
        argmax,
        concatenate,
        cumsum,
        gram,
        matmul,
        pack,
        random_bits,
        scatter_add,
        scatter_slice,
        scatter_windows,
        sparse_gram,
        sparse_matmul,
        sparse_matmul_transposed,
        take,
    )
}
"""What emits the instructions of a primitive, by its name."""
