"""The steps of an epoch, run through programs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from skgrad.core.tree import TreeDef, tree_flatten, tree_leaves, tree_unflatten
from skgrad.exceptions import GraphError, ParameterError
from skgrad.executor import Culprit, Table, Traced, culprit_of_steps
from skgrad.executor.held import Carried, is_finite
from skgrad.executor.steps import StepInput
from skgrad.optim import Optimizer
from skgrad.train.feed import Block, Group
from skgrad.train.objective import Objective, batch_of, mode
from skgrad.train.records import TrainState
from skgrad.typing import Array, Tree

__all__ = ["EpochSums", "NotFiniteError", "Steps"]


class EpochSums(NamedTuple):
    """What the steps of an epoch sum to."""

    objective: float  # weighted mean loss plus penalty, each batch before its step
    gradient_norm: float | None  # root mean square over the steps
    losses: Array  # mean loss of each step


class Steps:
    """Runs the steps of epochs through programs, one per batch shape."""

    def __init__(
        self, objective: Objective, optimizer: Optimizer, hyper: Tree, n_runs: float = 0
    ) -> None:
        self.objective = objective
        self.optimizer = optimizer
        step = partial(objective.step, optimizer)
        self.traced = Traced(step, True, n_runs, objective.device)
        self.hyper = hyper
        self.hyper_leaves = list(map(np.asarray, tree_leaves(hyper)))
        self.executor = "reference"
        # What a step sums over its rows, in the order of its outputs.
        self.sums: tuple[str, ...] = ("loss", "penalty", "weight")
        if objective.record_gradient:
            self.sums = ("gradient", *self.sums)
        self._programs: dict[Hashable, Any] = {}

    def run(
        self, state: TrainState, groups: Iterable[Group], rates: Array
    ) -> tuple[TrainState, EpochSums]:
        """Return the state after the batches and what they sum to.

        `groups` hold the batches of each shape, `rates` the learning rates of all
        steps. The arrays of the state stay where the program ran.
        """
        carry, treedef = tree_flatten((state.params, state.state))
        parts = [np.zeros((1, len(self.sums)))]
        first = n_rows = 0
        for group in groups:
            program = self._program(carry, treedef, group)
            for block in group.blocks(_steps_per_return(program)):
                last = first + len(block.rows)
                _check_length(last, len(rates), last <= len(rates))
                varying = _varying(block, rates[first:last], state.step + first)
                before = carry
                carry, sums = program.steps(
                    carry, self.hyper_leaves, varying, block.rows
                )
                parts.append(np.array(sums).T)
                if not (is_finite(carry[0]) and is_finite(parts[-1])):
                    run = before, self.hyper_leaves, varying, block.rows
                    raise _not_finite(program, run, sums, first)
                first = last
                n_rows += block.n_rows
        _check_length(first, len(rates), first == len(rates))
        params, changed = tree_unflatten(treedef, carry)
        step = state.step + first
        state = replace(state, params=params, state=changed, step=step)
        return state, self._summed(np.concatenate(parts), n_rows)

    def _summed(self, terms: Array, n_rows: int) -> EpochSums:
        """Return the sums over all steps; the first row is zero."""
        # One after the other, so that the blocks of steps change no bit.
        totals = dict(
            zip(self.sums, np.add.accumulate(terms)[-1].tolist(), strict=True)
        )
        objective = totals["loss"] / totals["weight"] + totals["penalty"] / n_rows
        norm = None
        if self.objective.record_gradient:
            norm = math.sqrt(totals["gradient"] / (len(terms) - 1))
        of = dict(zip(self.sums, terms[1:].T, strict=True))
        return EpochSums(objective, norm, of["loss"] / of["weight"])

    def fitted(self, state: TrainState) -> Array:
        """Return the parameters of the model that is fitted so far."""
        fitted = self.optimizer.fitted(state.params, state.state["optimizer"])
        return self.objective.projected(fitted)  # an average may lie outside

    def _program(self, carry: list[Array], treedef: TreeDef, group: Group) -> Any:
        if group.signature not in self._programs:
            part = group.example()
            batch = batch_of(
                part, keys=part.keys, learning_rate=np.float64(0), step=np.int64(0)
            )
            params, state = tree_unflatten(treedef, carry)
            with mode(self.objective.module, training=True):
                program = self.traced.program(params, state, self.hyper, batch)
            _check_carry(program, len(carry))
            self._programs[group.signature] = program
            _warn_of_shapes(len(self._programs))
            self.executor = program.executor
        return self._programs[group.signature]


class NotFiniteError(Exception):
    """A step gave what is not finite: which one of the epoch, from 0, and why."""

    def __init__(self, step: int, at_start: bool, culprit: Culprit | None) -> None:
        super().__init__(step, culprit)
        self.step = step
        self.at_start = at_start  # the loss of the first step: no rate can help
        self.culprit = culprit


def _not_finite(
    program: Any,
    run: tuple[list[Carried], list[Array], list[StepInput], Array],
    sums: list[Array],
    first: int,
) -> NotFiniteError:
    """Return the error of a block of steps, the first of which has a number."""
    bad = np.flatnonzero(~np.isfinite(np.stack(sums)).all(axis=0))
    at_start = first == 0 and bool(len(bad)) and bad[0] == 0
    if program.executor == "eager":  # nothing was traced that could be searched
        step, culprit = bad[0] if len(bad) else len(run[3]) - 1, None
    else:
        before, *rest = run
        here = list(map(np.asarray, before))
        step, culprit = culprit_of_steps(program.graph, here, *rest)
    return NotFiniteError(first + int(step), at_start, culprit)


# More shapes of batches than a last one that is smaller, or a few lengths, explain.
MANY_SHAPES = 16


def _warn_of_shapes(n_shapes: int) -> None:
    if n_shapes == MANY_SHAPES:
        warnings.warn(
            f"Batches had {n_shapes} different shapes so far, and each is traced anew. "
            "Pad them to one, or to a few: skgrad.data.pad_collate with max_length.",
            RuntimeWarning,
            stacklevel=7,  # who called fit_stochastic
        )


def _varying(block: Block, rates: Array, first_step: int) -> list[StepInput]:
    """Return how the leaves of a batch vary from step to step."""
    steps = np.arange(first_step, first_step + len(rates))
    batch: dict[str, Any] = batch_of(
        block.inputs,
        keys=block.inputs.keys,
        learning_rate=Table(np.asarray(rates, dtype=np.float64)),
        step=Table(steps.astype(np.int64)),
    )
    leaves: list[StepInput] = tree_leaves(batch)
    return leaves


def _check_length(found: int, expected: int, right: bool) -> None:
    if not right:
        raise ParameterError(
            f"The loader says that an epoch has {expected} batches (its length), but "
            f"it gave {found} or more. Schedules need to know: let its sampler have "
            "the length of an epoch."
        )


# Seconds of work between two returns to Python, where an interrupt is noticed. Compiled
# steps take about a tenth of what the reference executor is estimated to take, on a GPU
# a hundredth, and not less than some launches.
RETURN_SECONDS = 0.1
SPEEDUP, SPEEDUP_GPU = 10.0, 100.0
LAUNCHED = 5e-5


def _steps_per_return(program: Any) -> int | None:
    """Return how many steps are about 0.1 s of work; no limit where all is Python."""
    if program.executor in ("reference", "eager"):
        return None
    seconds = program.reference_seconds / SPEEDUP
    if program.executor != "cpu":
        seconds = max(LAUNCHED, program.reference_seconds / SPEEDUP_GPU)
    return max(1, int(RETURN_SECONDS / seconds))


def _check_carry(program: Any, n_carry: int) -> None:
    """Check that every leaf of params and state keeps its shape and dtype."""
    if program.executor == "eager":
        return
    pairs = zip(program.graph.inputs, program.graph.outputs[:n_carry], strict=False)
    for before, after in pairs:
        if (before.shape, before.dtype) != (after.shape, after.dtype):
            raise GraphError(
                "A step changes a leaf of its state from "
                f"{before.dtype}{before.shape} to {after.dtype}{after.shape}."
            )
