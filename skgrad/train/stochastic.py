"""Training by minibatches: the loop around the traced step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from skgrad.backend.cpu.threads import blas_threads
from skgrad.core.random import STREAMS
from skgrad.core.tree import tree_flatten, tree_map
from skgrad.data import DataLoader, Dataset
from skgrad.exceptions import DivergenceError
from skgrad.optim import Optimizer, Schedule
from skgrad.tensor import tensor
from skgrad.train.data import Data
from skgrad.train.divergence import diverged, gave_up, not_finite
from skgrad.train.feed import Feed, feed_of
from skgrad.train.objective import Frame, Objective, as_arrays
from skgrad.train.queries import Queries
from skgrad.train.records import (
    Epoch,
    Fit,
    Progress,
    Recovery,
    Settings,
    TrainState,
)
from skgrad.train.steps import EpochSums, NotFiniteError, Steps
from skgrad.train.stopping import Patience, StopReason
from skgrad.train.validation import minus_loss
from skgrad.typing import Array, Tree

__all__ = ["fit_stochastic", "initial_state", "stochastic_hyper", "stops"]


# A mean over all rows that has grown by this factor diverges. Less may be the noise of
# dropout or of Adam's steps around an objective close to zero.
GROWTH = 100.0
# What a recovery multiplies the learning rate by. A quarter ended closer below the
# largest stable rate, where networks lose their units: R² of 0.04 and -1.3 on problems
# where a tenth gave 0.93 (ReLU network and linear model, SGD at rates of 10 to 1000).
RECOVERY = 0.1


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


def stochastic_hyper(
    objective: Objective, optimizer: Optimizer, frame: Frame, seed: int
) -> Tree:
    """Return every number a step depends on that stays as it is."""
    return {
        **objective.hyper(frame),
        "key": np.array([seed, STREAMS["mask"]], dtype=np.uint32),
        "optimizer": tree_map(np.float64, optimizer.hyperparameters()),
    }


def fit_stochastic(
    objective: Objective,
    optimizer: Optimizer,
    schedule: Schedule,
    data: Data | Queries | Dataset | DataLoader,
    frame: Frame,
    settings: Settings,
    *,
    state: TrainState | None = None,
    progress: Progress | None = None,
    score: Callable[[TrainState], float] | None = None,
    on_epoch: Callable[[Progress], object] | None = None,
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
    data : Data, Queries, Dataset or DataLoader
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
    progress : Progress, optional
        Of a fit that was cut off, as a hook got it: the fit goes on to the result it
        would have had, to the last bit where the data are arrays.
    score : callable, optional
        ``score(state) -> float``, the validation score, larger is better; called
        after each epoch.
    on_epoch : callable, optional
        Called with the :class:`Progress` after each epoch; may raise
        ``StopIteration`` to stop.

    Returns
    -------
    Fit
        The module itself is not changed.

    Raises
    ------
    DivergenceError
        If the objective is no longer finite or has grown a hundredfold, and going
        back to the last good weights with a lower rate (``max_recoveries`` times) did
        not help; says at which step and what to do.
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
    hyper = stochastic_hyper(objective, optimizer, frame, settings.seed)
    start = initial_state(objective, optimizer, schedule)
    state = _continued(state, start)
    state = replace(state, params=objective.projected(state.params))
    # What nobody looks at meanwhile stays on the GPU.
    watched = any(x is not None for x in (progress, score, on_epoch))
    if progress is None:
        patience = Patience(settings.tol, settings.n_iter_no_change)
        progress = Progress(state, patience, first_epoch=state.epoch)
    feed = feed_of(data, settings, objective.dtype, objective.device != "cpu")
    steps = Steps(objective, optimizer, hyper, feed.n_batches * settings.max_iter)
    loss_of = partial(_loss_of, objective, data, frame)
    parts = steps, feed, schedule, settings, score, progress, start, loss_of
    run = _Run(*parts, watched)
    with blas_threads(objective.largest_product(feed.batch_size)):
        progress.reason = run.until_stop(on_epoch)
    interrupted = progress.reason is StopReason.INTERRUPTED
    keep_best = interrupted or settings.early_stopping
    best = progress.best if keep_best else None
    state = (best or progress.state).here()
    return Fit(
        state,
        progress.reason,
        progress.epochs,
        None if best is None else best.epoch,
        steps.traced.n_traces,
        steps.executor,
        steps.fitted(state),
        progress.recoveries,
    )


def _loss_of(
    objective: Objective, data: Any, frame: Frame, state: TrainState
) -> float | None:
    """Return the mean loss of all rows; unknown for a loader, which counts epochs."""
    if isinstance(data, DataLoader):
        return None
    return -minus_loss(objective, data, frame)(state)


def _grew(before: float, now: float) -> bool:
    return not now - before <= GROWTH * abs(before)  # or is no number


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


def stops(on_epoch: Callable[[Progress], object] | None, progress: Progress) -> bool:
    """Call a hook; return whether it asked to stop by raising ``StopIteration``."""
    try:
        if on_epoch is not None:
            on_epoch(progress)
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
        progress: Progress,
        start: TrainState,
        loss_of: Callable[[TrainState], float | None],
        watched: bool,
    ) -> None:
        self.steps = steps
        self.feed = feed
        self.schedule = schedule
        self.settings = settings
        self.score = score
        self.progress = progress
        self.start = start
        self.loss_of = loss_of
        self.is_watched = watched
        first = progress.first_epoch
        self.last_epoch = first + settings.max_iter
        self.schedule_start = 0 if settings.schedule_epochs else first
        self.began = perf_counter() - progress.seconds

    def until_stop(self, on_epoch: Callable[[Progress], object] | None) -> StopReason:
        """Run epochs until one of the reasons to stop."""
        p = self.progress
        try:
            while (reason := self.reason_to_stop()) is None:
                if self.one_epoch():
                    p.seconds = perf_counter() - self.began
                    if stops(on_epoch, p):
                        return StopReason.STOPPED
        except KeyboardInterrupt:
            return StopReason.INTERRUPTED
        return reason

    def reason_to_stop(self) -> StopReason | None:
        """Return why there is no further epoch, if there is none."""
        p, s = self.progress, self.settings
        if p.patience.exhausted:
            early = s.early_stopping
            return StopReason.EARLY_STOPPING if early else StopReason.NO_IMPROVEMENT
        if p.state.epoch >= self.last_epoch:
            return StopReason.MAX_ITER
        if s.max_time is not None and p.epochs and p.seconds >= s.max_time:
            return StopReason.MAX_TIME
        return None

    def one_epoch(self) -> bool:
        """Run one epoch and note what came of it; return whether it counts."""
        p, start = self.progress, self.progress.state
        rates = self.rates()
        p.good = p.good or start
        try:
            state, sums = self.steps.run(start, self.feed.groups(start.epoch), rates)
            state = state.here() if self.is_watched else state
            self.check_growth(state, sums)
        except NotFiniteError as error:
            was = [f" (it was {e.objective:.6g} before)" for e in p.epochs[-1:]]
            when = f"in epoch {start.epoch + 1}, step {error.step + 1}{''.join(was)}"
            rate = self.settings.learning_rate * p.rate_factor
            failure = not_finite(when, error.culprit, rate)
            helps = not (error.at_start and start is p.good)
            return self.recovered(failure, error.step + 1, helps)
        except DivergenceError as failure:
            return self.recovered(failure, None)
        self.note(start, replace(state, epoch=start.epoch + 1), sums, float(rates[-1]))
        return True

    def rates(self) -> Array:
        """Return the learning rate of each step of the epoch to come."""
        s, state = self.settings, self.progress.state
        factors = self.schedule.factors(
            state.epoch - self.schedule_start,
            self.feed.n_batches,
            s.schedule_epochs or s.max_iter,
            state.schedule,
        )
        return s.learning_rate * self.progress.rate_factor * factors

    def note(
        self, start: TrainState, state: TrainState, sums: EpochSums, rate: float
    ) -> None:
        """Note an epoch: its score, and whether it is the best so far."""
        p, early_stopping = self.progress, self.settings.early_stopping
        value = None if self.score is None else self._scored(state)
        watched = self.watched(sums.objective, value)
        schedule = self.schedule.advance(state.schedule, watched)
        p.state = replace(state, schedule=schedule)
        if p.patience.update(watched):
            p.best = p.state
            # The objective of an epoch is that of the weights it began with.
            p.good = p.state if early_stopping else start
        number = p.state.epoch
        p.epochs.append(Epoch(number, sums.objective, value, rate, sums.gradient_norm))

    def check_growth(self, state: TrainState, sums: EpochSums) -> None:
        """Refuse an epoch that ends far worse than the fit began."""
        p, now = self.progress, sums.objective
        if p.first_epoch:
            return  # other rows, or another objective, than in the first fit
        before = p.epochs[0].objective if p.epochs else float(sums.losses[0])
        if not _grew(before, now):
            return
        # A batch, or a mask of dropout, may be small by chance: look at all rows.
        before, now = self.loss_of(self.start) or before, self.loss_of(state) or now
        if _grew(before, now):
            what = f"grew from {before:.6g} to {now:.6g} by epoch {state.epoch + 1}"
            raise diverged(what, self.settings.learning_rate * p.rate_factor)

    def recovered(
        self, failure: DivergenceError, step: int | None, helps: bool = True
    ) -> bool:
        """Go back to the last good weights with a lower rate, or raise the failure."""
        p, s = self.progress, self.settings
        if not helps or len(p.recoveries) >= s.max_recoveries:
            raise gave_up(failure, len(p.recoveries), s.learning_rate * p.rate_factor)
        assert p.good is not None
        p.rate_factor *= RECOVERY
        rate = s.learning_rate * p.rate_factor
        number, back_to = p.state.epoch + 1, p.good.epoch
        words = failure.what, failure.advice
        p.recoveries.append(Recovery(number, step, back_to, rate, *words))
        p.state = p.good
        p.epochs = p.epochs[: back_to - p.first_epoch]
        p.best = p.good if p.epochs else None
        p.patience = Patience(s.tol, s.n_iter_no_change)
        for epoch in p.epochs:
            p.patience.update(self.watched(epoch.objective, epoch.score))
        return False

    def watched(self, objective: float, score: float | None) -> float:
        """Return what should fall: the objective, or minus the score to stop early."""
        if score is None or not self.settings.early_stopping:
            return objective
        return -score

    def _scored(self, state: TrainState) -> float:
        """Return the score of the model that is fitted so far."""
        assert self.score is not None
        return self.score(replace(state, params=self.steps.fitted(state)))
