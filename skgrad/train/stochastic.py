"""Training by minibatches: the loop around the traced step."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from skgrad.backend.cpu.threads import blas_threads
from skgrad.core.random import STREAMS
from skgrad.core.tree import (
    TreeDef,
    tree_flatten,
    tree_leaves,
    tree_map,
    tree_unflatten,
)
from skgrad.data import DataLoader, Dataset
from skgrad.exceptions import GraphError, ParameterError
from skgrad.executor import Culprit, Table, Traced, culprit_of_steps
from skgrad.executor.steps import StepInput
from skgrad.optim import Optimizer, Schedule
from skgrad.tensor import tensor
from skgrad.train.data import Data
from skgrad.train.divergence import diverged, not_finite
from skgrad.train.feed import Block, Feed, Group, feed_of
from skgrad.train.objective import Frame, Objective, as_arrays, batch_of, mode
from skgrad.train.stopping import Patience, StopReason
from skgrad.typing import Array, Tree

__all__ = ["Epoch", "Fit", "Settings", "TrainState", "fit_stochastic"]


@dataclass(frozen=True)
class TrainState:
    """Everything a fit changes: what a checkpoint holds.

    Parameters
    ----------
    params : array of shape (n_parameters,)
        The flat vector of parameters.
    state : tree of array
        ``{"buffers": ..., "optimizer": ...}``.
    epoch, step : int
        How many were completed.
    schedule : dict or None
        State of the schedule.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.train import TrainState
    >>> TrainState(np.zeros(3), {"buffers": {}, "optimizer": ()}).epoch
    0
    """

    params: Array
    state: Tree
    epoch: int = 0
    step: int = 0
    schedule: Any = None


@dataclass(frozen=True)
class Settings:
    """How to train; see the estimators for the meaning of each.

    Parameters
    ----------
    learning_rate : float
        The initial rate.
    batch_size : int
        Rows per step, of data that are not cut into batches yet.
    max_iter : int
        Epochs.
    tol : float or None
        Smallest improvement per epoch that counts.
    n_iter_no_change : int
        Epochs without improvement that are tolerated.
    early_stopping : bool
        Watch the validation score instead of the training objective and return the
        best epoch.
    shuffle : bool
        Shuffle the rows before each epoch.
    seed : int
        Seed of shuffles and masks.
    schedule_epochs : int or None
        Epochs the schedule spans, counted from the first epoch of all. By default it
        spans the ``max_iter`` epochs of this fit, counted from where it starts.

    Examples
    --------
    >>> from skgrad.train import Settings
    >>> Settings(learning_rate=0.01).batch_size
    200
    """

    learning_rate: float = 1e-3
    batch_size: int = 200
    max_iter: int = 200
    tol: float | None = 1e-4
    n_iter_no_change: int = 10
    early_stopping: bool = False
    shuffle: bool = True
    seed: int = 0
    schedule_epochs: int | None = None


@dataclass(frozen=True)
class Epoch:
    """What happened in one epoch.

    Parameters
    ----------
    number : int
        Counted from 1.
    objective : float
        Weighted mean loss plus penalty over the epoch, each batch before its step.
    score : float or None
        Validation score, larger is better.
    learning_rate : float
        Of the last step.

    Examples
    --------
    >>> from skgrad.train import Epoch
    >>> Epoch(1, 0.5, None, 0.001).objective
    0.5
    """

    number: int
    objective: float
    score: float | None
    learning_rate: float


@dataclass(frozen=True)
class Fit:
    """The result of a fit.

    Parameters
    ----------
    state : TrainState
        Where it ended: the best epoch after early stopping or an interruption.
        Another fit may go on from it.
    reason : StopReason
        Why it ended.
    epochs : list of Epoch
        The history, one entry per completed epoch.
    best_epoch : int or None
        The epoch that was restored; None if it is simply the last.
    n_traces : int
        How many programs were traced.
    executor : str
        What ran the steps.
    average : array of shape (n_parameters,) or None
        What the optimizer made of the parameters passed through, see
        :class:`~skgrad.optim.Averaged`; None if it was not asked.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.train import Fit, StopReason, TrainState
    >>> state = TrainState(np.zeros(1), {})
    >>> Fit(state, StopReason.MAX_ITER).epochs
    []
    """

    state: TrainState
    reason: StopReason
    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int | None = None
    n_traces: int = 0
    executor: str = "reference"
    average: Array | None = None

    @property
    def params(self) -> Array:
        """Parameters of the fitted model: the average, or those of the state."""
        return self.state.params if self.average is None else self.average


# A mean over all rows that has grown by this factor diverges. Less may be the noise of
# dropout or of Adam's steps around an objective close to zero.
GROWTH = 100.0

# What a step sums over its rows, in the order of its outputs.
SUMS = ("loss", "penalty", "weight")


class Steps:
    """Runs the steps of epochs through programs, one per batch shape."""

    def __init__(
        self, objective: Objective, optimizer: Optimizer, hyper: Tree, n_runs: float = 0
    ) -> None:
        self.objective = objective
        self.optimizer = optimizer
        step = partial(objective.step, optimizer)
        self.traced = Traced(step, fallback=True, n_runs=n_runs)
        self.hyper = hyper
        self.hyper_leaves = list(map(np.asarray, tree_leaves(hyper)))
        self.executor = "reference"
        self._programs: dict[Hashable, Any] = {}

    def run(
        self, state: TrainState, groups: Iterable[Group], rates: Array
    ) -> tuple[TrainState, dict[str, float]]:
        """Return the state after the batches and the sums over them.

        `groups` hold the batches of each shape, `rates` the learning rates of all
        steps.
        """
        carry, treedef = tree_flatten((state.params, state.state))
        totals = np.zeros(len(SUMS))
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
                if not all(np.isfinite(values).all() for values in (carry[0], *sums)):
                    run = before, self.hyper_leaves, varying, block.rows
                    raise _NotFiniteError(_culprit(program, *run))
                # One after the other, so that the blocks change no bit.
                terms = np.empty((len(block.rows) + 1, len(SUMS)))
                terms[0] = totals
                for column, values in zip(terms[1:].T, sums, strict=True):
                    column[:] = values
                totals = np.add.accumulate(terms)[-1]
                first = last
                n_rows += block.n_rows
        _check_length(first, len(rates), first == len(rates))
        loss, penalty, weight = totals.tolist()
        named = {"loss": loss, "penalty": penalty, "weight": weight}
        named["objective"] = loss / weight + penalty / n_rows
        params, changed = tree_unflatten(treedef, carry)
        step = state.step + first
        return replace(state, params=params, state=changed, step=step), named

    def fitted(self, state: TrainState) -> Array:
        """Return the parameters of the model that is fitted so far."""
        fitted: Array = self.optimizer.fitted(state.params, state.state["optimizer"])
        return fitted

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


class _NotFiniteError(Exception):
    """A step gave what is not finite."""

    def __init__(self, culprit: Culprit | None) -> None:
        super().__init__(culprit)
        self.culprit = culprit


def _culprit(
    program: Any,
    carry: list[Array],
    fixed: list[Array],
    varying: list[StepInput],
    rows: Array,
) -> Culprit | None:
    """Return what is to blame; unknown where nothing was traced."""
    if program.executor == "eager":
        return None
    return culprit_of_steps(program.graph, carry, fixed, varying, rows)[1]


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
# steps take about a tenth of what the reference executor is estimated to take.
RETURN_SECONDS = 0.1
SPEEDUP = 10.0


def _steps_per_return(program: Any) -> int | None:
    """Return how many steps are about 0.1 s of work; no limit where all is Python."""
    if program.executor != "cpu":
        return None
    seconds = program.reference_seconds / SPEEDUP
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


def initial_state(
    objective: Objective, optimizer: Optimizer, schedule: Schedule
) -> TrainState:
    """Return the state before the first step, from the module as it is.

    Parameters
    ----------
    objective : Objective
        Gives parameters and buffers.
    optimizer : Optimizer
        Gives its state.
    schedule : Schedule
        Gives its state.

    Returns
    -------
    TrainState
        Arrays of its own.

    Examples
    --------
    >>> from skgrad import nn, optim
    >>> from skgrad.losses import SquaredError
    >>> from skgrad.train import Objective, initial_state
    >>> objective = Objective(nn.Linear(2, 1), SquaredError(), None)
    >>> initial_state(objective, optim.SGD(), optim.Constant()).params.shape
    (3,)
    """
    params = objective.parameters()
    moments = as_arrays(optimizer.init(tensor(params)))
    state = {"buffers": objective.buffers(), "optimizer": moments}
    return TrainState(params, state, schedule=schedule.init())


def fit_stochastic(
    objective: Objective,
    optimizer: Optimizer,
    schedule: Schedule,
    data: Data | Dataset | DataLoader,
    frame: Frame,
    settings: Settings,
    *,
    state: TrainState | None = None,
    score: Callable[[TrainState], float] | None = None,
    on_epoch: Callable[[Epoch], object] | None = None,
) -> Fit:
    """Minimise an objective by minibatch steps.

    Parameters
    ----------
    objective : Objective
        What to minimise.
    optimizer : Optimizer
        The pure pair of functions.
    schedule : Schedule
        Multiplies the learning rate.
    data : Data, Dataset or DataLoader
        Training rows. Of a dataset, ``dataset[rows]`` is ``(X, y)``, ``(X, y, w)`` or
        ``(X, y, w, keys)``, the fields of :class:`Data`; a batch of a loader likewise.
        X has any number of axes. Weights are 1 by default, and should have mean one:
        they multiply the loss of each step. Equal batches train equally, to the last
        bit, wherever they come from. Memory-mapped arrays stay on disk. Batches that
        Python makes, by a dataset of one's own or a ``collate`` function, are stacked a
        few megabytes at a time. One program is traced per shape of a batch: pad to one.
    frame : Frame
        The affine layers around the module.
    settings : Settings
        How to train. A loader has its own ``batch_size`` and ``shuffle``, and the
        ``seed`` is that of the masks alone.
    state : TrainState, optional
        Where to continue; by default a new state from the module. A loader counts its
        epochs itself: pickle it along with the state.
    score : callable, optional
        ``score(state) -> float``, the validation score, larger is better; called
        after each epoch.
    on_epoch : callable, optional
        Called with each :class:`Epoch`; may raise ``StopIteration`` to stop.

    Returns
    -------
    Fit
        The module itself is not changed.

    Raises
    ------
    DivergenceError
        If the objective is no longer finite; says at which epoch and what to do.
    ParameterError
        If there are no rows, a batch has another number of arrays, or an epoch of a
        loader another number of batches than its length.
    ShapeError
        If the arrays of a batch have different numbers of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import nn, optim
    >>> from skgrad.losses import SquaredError
    >>> from skgrad.train import Data, Frame, Objective, Settings, fit_stochastic
    >>> from skgrad.train import row_keys
    >>> X = np.array([[0.0], [1.0], [2.0]])
    >>> data = Data(X, 2 * X[:, 0], np.ones(3), row_keys(X))
    >>> fit = fit_stochastic(
    ...     Objective(nn.Linear(1, 1), SquaredError(), None),
    ...     optim.SGD(),
    ...     optim.Constant(),
    ...     data,
    ...     Frame.identity(1, "float64"),
    ...     Settings(learning_rate=0.5, tol=None),
    ... )
    >>> fit.state.params.round(3) + 0.0
    array([2., 0.])

    Batches of a loader, here of short sequences of which a module sees the mean:

    >>> from skgrad.data import DataLoader, SequenceDataset
    >>> class Mean(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.linear = nn.Linear(2, 1)
    ...     def forward(self, x):
    ...         return self.linear(x.mean(axis=1))
    >>> rng = np.random.default_rng(0)
    >>> sequences = [rng.normal(size=(3, 2)) for _ in range(50)]
    >>> dataset = SequenceDataset([(s, s.mean(axis=0) @ [1.0, 3.0]) for s in sequences])
    >>> fit = fit_stochastic(
    ...     Objective(Mean(), SquaredError(), None),
    ...     optim.Adam(),
    ...     optim.Constant(),
    ...     DataLoader(dataset, batch_size=10, shuffle=True, random_state=0),
    ...     Frame.identity((3, 2), "float64"),
    ...     Settings(learning_rate=0.1, max_iter=100, tol=None),
    ... )
    >>> fit.state.params.round(3) + 0.0
    array([1., 3., 0.])
    """
    hyper = {
        **objective.hyper(frame),
        "key": np.array([settings.seed, STREAMS["mask"]], dtype=np.uint32),
        "optimizer": tree_map(np.float64, optimizer.hyperparameters()),
    }
    state = _continued(state, initial_state(objective, optimizer, schedule))
    feed = feed_of(data, settings, objective.dtype)
    steps = Steps(objective, optimizer, hyper, feed.n_batches * settings.max_iter)
    run = _Run(steps, feed, schedule, settings, score, state)
    fresh = state.epoch == 0
    with blas_threads(objective.largest_product(feed.batch_size)):
        reason = run.until_stop(on_epoch)
    keep_best = reason is StopReason.INTERRUPTED or settings.early_stopping
    if fresh and not keep_best:
        run.check_growth()
    best = run.best if keep_best and run.best is not None else None
    state = run.state if best is None else best
    return Fit(
        state,
        reason,
        run.epochs,
        None if best is None else best.epoch,
        steps.traced.n_traces,
        steps.executor,
        steps.fitted(state),
    )


def _continued(state: TrainState | None, fresh: TrainState) -> TrainState:
    """Return where to start; another kind of optimizer or schedule starts afresh."""
    if state is None:
        return fresh
    if tree_flatten(state.state)[1] != tree_flatten(fresh.state)[1]:
        buffers = state.state["buffers"]
        state = replace(state, state={**fresh.state, "buffers": buffers})
    if type(state.schedule) is not type(fresh.schedule):
        state = replace(state, schedule=fresh.schedule)
    return state


def stops(on_epoch: Callable[[Epoch], object] | None, epoch: Epoch) -> bool:
    """Call a hook; return whether it asked to stop by raising ``StopIteration``."""
    try:
        if on_epoch is not None:
            on_epoch(epoch)
    except StopIteration:
        return True
    return False


class _Run:
    """One fit in progress."""

    def __init__(
        self,
        steps: Steps,
        feed: Feed,
        schedule: Schedule,
        settings: Settings,
        score: Callable[[TrainState], float] | None,
        state: TrainState,
    ) -> None:
        self.steps = steps
        self.feed = feed
        self.schedule = schedule
        self.settings = settings
        self.score = score
        self.state = state
        self.last_epoch = state.epoch + settings.max_iter
        self.schedule_start = 0 if settings.schedule_epochs else state.epoch
        self.patience = Patience(settings.tol, settings.n_iter_no_change)
        self.epochs: list[Epoch] = []
        self.best: TrainState | None = None

    def until_stop(self, on_epoch: Callable[[Epoch], object] | None) -> StopReason:
        """Run epochs until one of the reasons to stop."""
        try:
            while self.state.epoch < self.last_epoch:
                epoch = self.one_epoch()
                if stops(on_epoch, epoch):
                    return StopReason.STOPPED
                if self.patience.exhausted:
                    return (
                        StopReason.EARLY_STOPPING
                        if self.settings.early_stopping
                        else StopReason.NO_IMPROVEMENT
                    )
        except KeyboardInterrupt:
            return StopReason.INTERRUPTED
        return StopReason.MAX_ITER

    def check_growth(self) -> None:
        """Refuse to return a model that is far worse than that of the first epoch."""
        if not self.epochs:
            return
        first, last = self.epochs[0].objective, self.epochs[-1].objective
        if last - first > GROWTH * abs(first):
            what = f"grew from {first:.6g} to {last:.6g} in {len(self.epochs)} epochs"
            raise diverged(what, self.settings.learning_rate)

    def one_epoch(self) -> Epoch:
        """Run one epoch and note what came of it."""
        s, number = self.settings, self.state.epoch
        factors = self.schedule.factors(
            number - self.schedule_start,
            self.feed.n_batches,
            s.schedule_epochs or s.max_iter,
            self.state.schedule,
        )
        rates = s.learning_rate * factors
        try:
            state, sums = self.steps.run(self.state, self.feed.groups(number), rates)
        except _NotFiniteError as error:
            was = [f" (it was {e.objective:.6g} before)" for e in self.epochs[-1:]]
            when = f"in epoch {number + 1}{''.join(was)}"
            raise not_finite(when, error.culprit, s.learning_rate) from None
        objective = sums["objective"]
        state = replace(state, epoch=number + 1)
        value = None if self.score is None else self._scored(state)
        watched = -value if s.early_stopping and value is not None else objective
        state = replace(state, schedule=self.schedule.advance(state.schedule, watched))
        if self.patience.update(watched):
            self.best = state
        self.state = state
        epoch = Epoch(number + 1, objective, value, float(rates[-1]))
        self.epochs.append(epoch)
        return epoch

    def _scored(self, state: TrainState) -> float:
        """Return the score of the model that is fitted so far."""
        assert self.score is not None
        return self.score(replace(state, params=self.steps.fitted(state)))
