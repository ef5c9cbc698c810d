"""The objective of all rows and its derivatives, as full-batch optimizers call it."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np

from skgrad.core.random import RandomScope, entered
from skgrad.core.tree import tree_leaves, tree_map
from skgrad.exceptions import ParameterError
from skgrad.executor import Culprit, Traced, culprit_of_sums
from skgrad.losses import SquaredError
from skgrad.nn import Dropout
from skgrad.train.blocks import Blocks, for_device
from skgrad.train.curvature import Curvature, product_sums
from skgrad.train.data import Data
from skgrad.train.objective import Frame, Objective, mode
from skgrad.train.queries import Queries
from skgrad.typing import Array

__all__ = ["Evaluation"]

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
        before = self._before(objective.parameters())
        with mode(objective.module, training=True):
            self.data = data = for_device(
                data, objective.device, objective.sums_and_gradient, before
            )
        self.blocks = Blocks(data.blocks)
        self.weight = float(np.sum(data.w, dtype=np.float64))
        self.quadratic = type(objective.loss) is SquaredError
        n_runs = data.n_blocks * min(max_iter, EVALUATIONS)
        traced = partial(Traced, fallback=True, n_runs=n_runs, device=objective.device)
        self.gradient = traced(objective.sums_and_gradient)
        self.hessian = traced(self.curvature.sums)
        self.products = traced(partial(product_sums, objective))
        self._last: tuple[Any, tuple[Any, ...]] = (None, ())
        self._not_finite_at: Array | None = None

    def on(self, data: Data) -> Evaluation:
        """Return the same objective of other rows, in blocks of the same size."""
        other = copy.copy(self)
        other.data = data
        other.weight = float(np.sum(data.w, dtype=np.float64))
        other.blocks, other._last = self.blocks.on(data.blocks), (None, ())
        return other

    @property
    def executor(self) -> str:
        """What ran the evaluations."""
        return self.blocks.executor

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
            for first, blocks in self.blocks.groups():
                program = self.blocks.program(function, first)
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
            sums = self.blocks.sums(function, before)
        if s.n_draws:  # drawn while tracing
            raise _random(self.objective)
        return sums

    def _before(self, *vectors: Array) -> tuple[Any, ...]:
        """Return the arguments of a function of vectors that come before the rows."""
        flat = [vector.astype(self.objective.dtype) for vector in vectors]
        return (*flat, self.buffers, self.hyper)

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
