"""Kernels run one turn at a time, in Python: what compiled ones are compared with."""

import itertools
import math

import numpy as np

from skgrad.backend import reference

COMBINE = {"sum": np.add, "prod": np.multiply, "max": np.maximum}


def run(spec, arrays, extents):
    """Run a kernel on arrays of one axis per loop, of extent 1 for stride "0"."""
    kernels = [
        reference.elementwise(b.expression, len(b.arguments)) for b in spec.bindings
    ]
    for output in spec.outputs:
        if output.reduction:
            arrays[output.operand][...] = identity(output, spec)
    with np.errstate(all="ignore"):
        for turn in itertools.product(*map(range, extents)):
            _turn(spec, arrays, kernels, turn, extents)


def _turn(spec, arrays, kernels, turn, extents):
    def at(array):
        return tuple(i if n != 1 else 0 for i, n in zip(turn, array.shape, strict=True))

    values = [arrays[i][at(arrays[i])] for i in range(spec.n_reads)]
    for kernel, binding in zip(kernels, spec.bindings, strict=True):
        out = kernel(*[values[k] for k in binding.arguments])
        values.append(np.asarray(out).astype(binding.dtype)[()])
    for output in spec.outputs:
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
