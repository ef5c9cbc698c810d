"""Programs of all that is registered, and what they ask of a backend.

A case makes a program and says how to run it, so that it runs on the reference executor
and with the CUDA text of its kernels, compiled for the host.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from backend.cuda import host
from cases import ELEMENTWISE, STRUCTURAL_ROWS
from nn.layers import LAYERS
from nn.test_torch import results
from train.families import FAMILIES
from train.problems import LOSS_ROWS, make_problem
from train.test_compiled import (
    EVERYTHING,
    OPTIONS,
    STOCHASTIC,
    Problem,
    float32_problem,
    layers_problem,
)

from skgrad import functional, grad, ops
from skgrad.backend.cpu import backend as cpu
from skgrad.backend.cuda.library import LIBRARY
from skgrad.core.tree import tree_leaves
from skgrad.executor import trace

N_STEPS = 3


@dataclass(frozen=True)
class Case:
    """A program and how to run it: ``run(program)`` returns arrays."""

    program: Any
    run: Callable[[Any], list[np.ndarray]]

    @property
    def rtol(self):
        """What rounding amounts to: of sums in float32, and of others."""
        dtypes = {variable.dtype.name for variable in self.program.graph.inputs}
        return 2e-5 if "float32" in dtypes else 1e-10

    def on(self, backend):
        """Return the program with compiled kernels of a backend."""
        program = self.program.on("reference").on("cpu")
        program._executor.backend = backend
        return program


def _call(function, *args):
    arrays = [np.asarray(leaf) for leaf in tree_leaves(args)]
    return Case(trace(function, *args), lambda program: program.run(arrays))


def _steps(problem):
    return Case(problem.program, lambda program: problem.run(program, N_STEPS))


def _elementwise(name, dtype):
    case = ELEMENTWISE[name]
    args = case.args(np.random.default_rng(0), (3, 7), dtype)
    if not case.differentiable:
        return _call(case.call, *args)

    def both(*xs):
        slopes = grad(lambda *ys: case.call(*ys).sum(), argnums=tuple(range(len(xs))))
        return case.call(*xs), slopes(*xs)

    return _call(both, *args)


def _structural(case):
    rng = np.random.default_rng(0)
    return _call(case.call, *(rng.normal(size=shape) for shape in case.shapes))


def _layer(name, dtype="float32"):
    function, args, _ = results(name, dtype, True, np.random.default_rng(0))
    return _call(function, *args)


def _loss(name, **settings):
    return _steps(Problem(*make_problem(name, **settings)))


def _optimizer(name):
    optimizer = STOCHASTIC[name](weight_decay=0.013, **OPTIONS.get(name, {}))
    return _steps(Problem(*make_problem(), optimizer))


def _reductions(x):
    """Return sums, products and maxima over each axis, and what is made of them."""
    return [
        (x.sum(axis), x.max(axis), ops.prod(x, axis), functional.softmax(x, axis))
        for axis in (0, 1)
    ]


CASES = {
    **{
        f"{name} {dtype}": lambda name=name, dtype=dtype: _elementwise(name, dtype)
        for name in ELEMENTWISE
        for dtype in ("float32", "float64")
    },
    **{
        f"{name} {i}": lambda case=case: _structural(case)
        for name, i, case in STRUCTURAL_ROWS
    },
    "reductions": lambda: _call(
        _reductions, np.random.default_rng(0).normal(size=(40, 30))
    ),
    "float32 step": lambda: _steps(float32_problem()),
    "all settings": lambda: _loss("squared_error", **EVERYTHING),
    **{f"loss {name}": lambda name=name: _loss(name) for name in LOSS_ROWS},
    **{f"optimizer {n}": lambda name=n: _optimizer(name) for n in STOCHASTIC},
    **{f"layer {name}": lambda name=name: _layer(name) for name in LAYERS},
    **{
        f"family {family.__name__}": lambda family=family: _steps(
            layers_problem(family)
        )
        for family in FAMILIES
    },
}

made = cache(lambda name: CASES[name]())


class Recorder:
    """A backend that notes what it is asked for and runs nothing."""

    def __init__(self):
        self.specs = {}
        self.instructions = {}

    def kernel(self, spec):
        self.specs[spec] = None
        return 0

    def instruction(self, name, dtypes, sizes):
        if name in LIBRARY:
            self.instructions[name, dtypes] = None
        return 0, (), sizes

    def workspace(self, name, dtype, sizes):
        return 0

    def run(self, *args):
        pass


@cache
def collected(names):
    """Return the kernels and the instructions of programs."""
    recorder = Recorder()
    for name in names:
        case = made(name)
        case.run(case.on(recorder))
    return list(recorder.specs), list(recorder.instructions)


_FUNCTION = ctypes.CFUNCTYPE(
    None,
    ctypes.POINTER(ctypes.c_int64),
    ctypes.POINTER(ctypes.c_int64),
    ctypes.c_int64,
)


class HostBackend:
    """A backend of CUDA text compiled for the host; products are the CPU's."""

    run = staticmethod(cpu.run)
    workspace = staticmethod(cpu.workspace)

    def __init__(self, names, *flags):
        specs, instructions = collected(names)
        self.kernels = host.kernels(specs, *flags)
        self.routines = host.routines(instructions, *flags)
        self._alive = []

    def _address(self, function, n_pointers, n_sizes):
        def called(pointers, sizes, step):
            function(pointers[:n_pointers], sizes[:n_sizes], step)

        self._alive.append(_FUNCTION(called))
        return ctypes.cast(self._alive[-1], ctypes.c_void_p).value

    def kernel(self, spec):
        n_strides = sum(operand.strides.count("s") for operand in spec.operands)
        n_pointers = len(spec.operands)
        return self._address(self.kernels[spec], n_pointers, spec.rank + n_strides)

    def instruction(self, name, dtypes, sizes):
        if name not in LIBRARY:
            return cpu.instruction(name, dtypes, sizes)
        function = self.routines[name, dtypes]
        return self._address(function, function.n_pointers, len(sizes)), (), sizes
