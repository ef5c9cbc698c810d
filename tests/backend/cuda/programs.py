"""Programs of all that is registered.

A case makes a program and says how to run it, so that it runs on the reference
executor, on a GPU, and with the CUDA text of its kernels compiled for the host.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from cases import ELEMENTWISE, STRUCTURAL_ROWS
from scipy.sparse import random_array
from train.families import FAMILIES
from train.problems import LOSS_ROWS, make_problem
from train.traced_steps import (
    EVERYTHING,
    OPTIONS,
    STOCHASTIC,
    Problem,
    float32_problem,
    layers_problem,
)

from skgrad import functional, grad, ops
from skgrad.core.tree import tree_leaves
from skgrad.executor import Rows, Same, trace

N_STEPS = 3

# Layers are written down beside PyTorch's; without it families of them are left.
if importlib.util.find_spec("torch"):
    from nn.layers import LAYERS
    from nn.test_torch import results
else:
    LAYERS = {}


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


def _sparse_steps(dtype, stored, index, n=900, p=40, k=3):
    """Return steps over some rows of a sparse matrix, and their Gram matrices."""
    rng = np.random.default_rng(0)
    A = ops.SparseRows.of(random_array((n, p), density=0.3, rng=rng, format="csr"))
    types = (stored, index, index, "int64")
    A = ops.SparseRows(*(x.astype(t) for x, t in zip(A[:4], types, strict=True)))
    y, start = (rng.normal(size=(m, k)).astype(dtype) for m in (n, p))
    rows = rng.integers(0, n, size=(N_STEPS, 64))

    def step(B, A, y):
        error = ops.sparse_matmul(A, B) - y
        gram = ops.sparse_gram(A, error[:, 0], p)
        return B - ops.sparse_matmul_transposed(A, error, p) / 64.0, gram

    program = trace(step, start, A.take(rows[0]), y[rows[0]])
    varying = [*map(Same, A[:3]), Rows(A.rows), Rows(y)]

    def run(program):
        carry, results = program.steps([start], [], varying, rows)
        return [*carry, *results]

    return Case(program, run)


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
    "sparse step": lambda: _sparse_steps("float64", "float64", "int32"),
    "sparse step of float32": lambda: _sparse_steps("float32", "float32", "int64"),
    "sparse step of both": lambda: _sparse_steps("float64", "float32", "int32"),
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
