"""The objective of all rows and its derivatives, as full-batch optimizers call it."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np

from skgrad.core.random import RandomScope, entered
from skgrad.core.tree import tree_leaves, tree_map
from skgrad.exceptions import ParameterError, TraceError
from skgrad.executor import Culprit, Traced, culprit_of_sums, trace
from skgrad.losses import SquaredError
from skgrad.nn import Dropout
from skgrad.ops import SparseRows
from skgrad.train.curvature import Curvature, product_sums
from skgrad.train.data import Data
from skgrad.train.objective import Frame, Objective, batch_of, mode
from skgrad.train.queries import Queries
from skgrad.typing import Array, Shape

__all__ = ["Evaluation"]

# On a GPU a block is to take longer than its launches do: rows of so many bytes, unless
# what is computed from them takes more.
GPU_BLOCK_BYTES, GPU_SCRATCH_BYTES = 2**29, 2**30
# Rows that tell how much that is.
PROBE_ROWS = 256

# Few fits take more evaluations than this, whatever they are allowed.
EVALUATIONS = 10

# What is summed over the rows, in the order of the programs' results.
GRADIENT_SUMS = ("gradient", "loss", "weight")
HESSIAN_SUMS = ("gradient", "hessian", "loss", "weight")


class Evaluation:
    """The objective of all rows, its gradient and Hessian, from sums over blocks."""

    def __init__(
        self,
        objective: Objective,
        data: Data | Queries,
        frame: Frame,
        max_iter: int = 1,
    ) -> None:
        self.objective = objective
        self.data = data
        self.curvature = Curvature(objective)
        self.hyper = objective.hyper(frame)
        self.buffers = objective.buffers()
        if isinstance(data, Data) and objective.device != "cpu":
            self.data = data = self._in_large_blocks(data)
        self.weight = float(np.sum(data.w, dtype=np.float64))
        self.quadratic = type(objective.loss) is SquaredError
        n_runs = data.n_blocks * min(max_iter, EVALUATIONS)
        traced = partial(Traced, fallback=True, n_runs=n_runs, device=objective.device)
        self.gradient = traced(objective.sums_and_gradient)
        self.hessian = traced(self.curvature.sums)
        self.products = traced(partial(product_sums, objective))
        self._programs: dict[tuple[Traced, Shape], Any] = {}
        self._groups: list[tuple[Data, list[list[Array]]]] = []
        self._last: tuple[Any, tuple[Any, ...]] = (None, ())
        self._not_finite_at: Array | None = None

    def _in_large_blocks(self, data: Data) -> Data:
        """Return data in blocks of a size for GPUs, the same for all of them."""
        if data.block_bytes is not None or isinstance(data.X, SparseRows):
            return data
        o = self.objective
        before = self._before(o.parameters())
        rows = batch_of(data.rows(slice(0, PROBE_ROWS)))
        try:
            with mode(o.module, training=True), entered(RandomScope(0)):
                probe = trace(o.sums_and_gradient, *before, rows).on(o.device)
        except TraceError:
            return data
        row_bytes = data.X[:1].nbytes
        scratch = max(1, probe.scratch_bytes / min(PROBE_ROWS, len(data)))
        most = GPU_SCRATCH_BYTES / scratch * row_bytes
        return replace(data, block_bytes=int(min(GPU_BLOCK_BYTES, most)))

    def on(self, data: Data) -> Evaluation:
        """Return the same objective of other rows, in blocks of the same size."""
        other = copy.copy(self)
        other.data = data
        other.weight = float(np.sum(data.w, dtype=np.float64))
        other._last, other._groups = (None, ()), []
        return other

    @property
    def executor(self) -> str:
        """What ran the evaluations."""
        names = [p.executor for p in self._programs.values()]
        return names[0] if names else "reference"

    def __call__(
        self, theta: Array, hessian: bool = False, vector: Array | None = None
    ) -> Any:
        """Return value and gradient, and the Hessian if asked, or its product only.

        The last point is remembered: Newton's method starts where the scale of the
        gradient was measured.
        """
        if vector is not None:
            return self._product(theta, vector)
        key = (theta.tobytes(), tree_map(lambda h: h.tolist(), self.hyper["loss"]))
        if (
            self._last is None
            or self._last[0] != key
            or len(self._last[1]) < 2 + hessian
        ):
            found = self._finished(theta, self._sums(theta, hessian))
            if not all(np.isfinite(part).all() for part in found[:2]):
                self._not_finite_at = theta.copy()
            self._last = (key, found)
        return self._last[1][: 2 + hessian]

    def _sums(self, theta: Array, hessian: bool) -> dict[str, Any]:
        """Return the sums over all rows by name."""
        names = HESSIAN_SUMS if hessian else GRADIENT_SUMS
        function = self.hessian if hessian else self.gradient
        return dict(zip(names, self._over_rows(function, theta), strict=True))

    def culprit(self, theta: Array) -> Culprit | None:
        """Return what is to blame for the last evaluation that was not finite.

        Where value and gradient always were, it is looked for in the Hessian at theta.
        """
        at = theta if self._not_finite_at is None else self._not_finite_at
        before = tree_leaves(self._before(at))
        for function in (self.gradient, self.hessian):
            for first, blocks in self._row_groups():
                program = self._programs.get((function, first.X.shape))
                if program is not None and program.executor != "eager":
                    found = culprit_of_sums(program.graph, before, blocks)
                    if found is not None:
                        return found
        return None

    def _product(self, theta: Array, vector: Array) -> Array:
        """Return the Hessian of the objective, smooth penalty included, times a vector.

        Its largest element is made 1, so that it loses no digits in float32.
        """
        size = float(np.abs(vector).max(initial=0.0)) or 1.0
        (total,) = self._over_rows(self.products, theta, vector / size)
        return total / self.weight * size + self._ridge() * vector

    def _ridge(self) -> Array:
        """Return the second derivatives of the smooth part of the penalty."""
        o = self.objective
        return o.alpha * (1.0 - o.l1_ratio) * o.factors

    def _over_rows(self, function: Traced, *vectors: Array) -> list[Array]:
        """Return what a function of vectors and rows adds up to, block by block."""
        before = self._before(*vectors)
        with mode(self.objective.module, training=True), entered(RandomScope(0)) as s:
            sums = [
                self._program(function, before, first).sums(tree_leaves(before), blocks)
                for first, blocks in self._row_groups()
            ]
        if s.n_draws:  # drawn while tracing
            raise _random(self.objective)
        return sums[0] if len(sums) == 1 else list(map(sum, zip(*sums, strict=True)))

    def _before(self, *vectors: Array) -> tuple[Any, ...]:
        """Return the arguments of a function of vectors that come before the rows."""
        flat = [vector.astype(self.objective.dtype) for vector in vectors]
        return (*flat, self.buffers, self.hyper)

    def _row_groups(self) -> list[tuple[Data, list[list[Array]]]]:
        """Return the blocks of one shape together, and the first; made once."""
        if not self._groups:
            groups = groupby(self.data.blocks(), key=lambda block: block.X.shape)
            for blocks in (list(group) for _, group in groups):
                leaves = [tree_leaves(batch_of(block)) for block in blocks]
                self._groups.append((blocks[0], leaves))
        return self._groups

    def _program(self, function: Traced, before: tuple[Any, ...], block: Data) -> Any:
        key = function, block.X.shape
        if key not in self._programs:
            self._programs[key] = function.program(*before, batch_of(block))
        return self._programs[key]

    def _finished(self, theta: Array, totals: dict[str, Any]) -> tuple[Any, ...]:
        """Divide by the weight and add the smooth part of the penalty, once."""
        with np.errstate(over="ignore", invalid="ignore"):  # the optimizer looks at it
            return self._divided(theta, totals)

    def _divided(self, theta: Array, totals: dict[str, Any]) -> tuple[Any, ...]:
        ridge = self._ridge()
        value = totals["loss"] / self.weight + 0.5 * np.sum(ridge * theta**2)
        gradient = totals["gradient"] / self.weight + ridge * theta
        if "hessian" not in totals:
            return value, gradient
        hessian = self.curvature.assembled(totals["hessian"], self.weight, ridge)
        return value, gradient, hessian

    def gradient_scale(self, theta: Array, hessian: bool = False) -> float:
        """Return the size of the gradient far from the minimum.

        For a linear model far means without its coefficients, so that a fit started
        close to the minimum is held to the same tolerance as one started at zero.
        """
        far = theta * ~self.objective.mask if self.curvature.available else theta
        if hessian and (far == theta).all():
            self(far, hessian=True)  # it will be asked for there
        return float(np.abs(self(far)[1]).max(initial=0.0)) or 1.0

    @property
    def n_traces(self) -> int:
        """How many programs were traced."""
        return sum(f.n_traces for f in (self.gradient, self.hessian, self.products))


def _random(objective: Objective) -> ParameterError:
    modules = objective.module.named_modules()
    dropouts = [repr(name) for name, m in modules if isinstance(m, Dropout)]
    where = f" (Dropout at {', '.join(dropouts)})" if dropouts else ""
    return ParameterError(
        "An optimizer of all rows must see one objective at every evaluation, but "
        f"{type(objective.module).__name__}{where} draws random numbers while it is "
        "trained. Use a stochastic optimizer such as 'adam', or leave out the dropout."
    )
