"""Training by minibatches: the loop around the traced step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from skgrad.backend.cpu.threads import blas_threads
from skgrad.core.random import STREAMS
from skgrad.core.tree import tree_flatten, tree_map
from skgrad.data import DataLoader, Dataset
from skgrad.optim import Optimizer, Schedule
from skgrad.tensor import tensor
from skgrad.train.data import Data
from skgrad.train.divergence import diverged, not_finite
from skgrad.train.feed import Feed, feed_of
from skgrad.train.objective import Frame, Objective, as_arrays
from skgrad.train.records import Epoch, Fit, Settings, TrainState
from skgrad.train.steps import NotFiniteError, Steps
from skgrad.train.stopping import Patience, StopReason

__all__ = ["fit_stochastic", "initial_state", "stops"]


# A mean over all rows that has grown by this factor diverges. Less may be the noise of
# dropout or of Adam's steps around an objective close to zero.
GROWTH = 100.0


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
        except NotFiniteError as error:
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
