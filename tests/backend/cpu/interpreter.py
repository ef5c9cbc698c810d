"""Kernels run one turn at a time, in Python: what compiled ones are compared with.

With `address` in the place of the backend's ``kernel``, a compiled program runs whole,
its memory, its views and its instructions, without a kernel being compiled.
"""

import ctypes
import itertools
import math

import numpy as np

from skgrad.backend.reference import NUMPY

COMBINE = {"sum": np.add, "prod": np.multiply, "max": np.maximum}


def run(spec, arrays, extents):
    """Run a kernel on arrays of one axis per loop, of extent 1 for stride "0"."""
    kernels = [NUMPY.elementwise(b.expression, len(b.arguments)) for b in spec.bindings]
    for output in spec.outputs:
        if output.reduction:
            arrays[output.operand][...] = identity(output, spec)
    values = [None] * len(spec.depths)
    with np.errstate(all="ignore"):
        for turn in itertools.product(*map(range, extents)):
            _turn(spec, arrays, kernels, turn, values)


def _turn(spec, arrays, kernels, turn, values):
    """Renew the values whose loops have moved on, and write them."""

    def at(array):
        return tuple(i if n != 1 else 0 for i, n in zip(turn, array.shape, strict=True))

    def is_new(depth):
        return not any(turn[depth:])

    for i, depth in enumerate(spec.depths):
        if is_new(depth) and i < spec.n_reads:
            values[i] = arrays[i][at(arrays[i])]
        elif is_new(depth):
            binding = spec.bindings[i - spec.n_reads]
            out = kernels[i - spec.n_reads](*[values[k] for k in binding.arguments])
            values[i] = np.asarray(out).astype(binding.dtype)[()]
    for output in spec.outputs:
        if not is_new(spec.depth(output)):
            continue
        array, value = arrays[output.operand], values[output.value]
        if output.reduction:
            combine = COMBINE[output.reduction]
            array[at(array)] = combine(array[at(array)], value)
        else:
            array[at(array)] = value


def identity(output, spec):
    dtype = np.dtype(spec.operands[output.operand].dtype)
    if output.reduction == "max":
        lowest = {"f": lambda: -math.inf, "b": lambda: False}
        return lowest.get(dtype.kind, lambda: np.iinfo(dtype).min)()
    return 0 if output.reduction == "sum" else 1


_FUNCTION = ctypes.CFUNCTYPE(
    None,
    ctypes.POINTER(ctypes.c_int64),
    ctypes.POINTER(ctypes.c_int64),
    ctypes.c_int64,
)
_alive = []


def address(spec):
    """Return the address of a function that runs a kernel in Python."""

    def function(pointers, sizes, step):
        extents = sizes[: spec.rank]
        moving = iter(range(spec.rank, 1 << 30))
        run(
            spec,
            [
                _array(pointers[i], operand, extents, sizes, moving)
                for i, operand in enumerate(spec.operands)
            ],
            extents,
        )

    _alive.append(_FUNCTION(function))
    return ctypes.cast(_alive[-1], ctypes.c_void_p).value


def _array(pointer, operand, extents, sizes, moving):
    """Return the elements a kernel's operand reaches, one axis per loop."""
    dtype = np.dtype(operand.dtype)
    strides = [
        sizes[next(moving)] if letter == "s" else int(letter)
        for letter in operand.strides
    ]
    shape = [1 if s == 0 else n for n, s in zip(extents, strides, strict=True)]
    if 0 in shape:
        return np.zeros(shape, dtype)
    reach = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
    low = sum(r for r in reach if r < 0)
    count = sum(r for r in reach if r > 0) - low + 1
    n_bytes = dtype.itemsize
    memory = (ctypes.c_char * (count * n_bytes)).from_address(pointer + low * n_bytes)
    first = -low * n_bytes
    return np.ndarray(shape, dtype, memory, first, [s * n_bytes for s in strides])
