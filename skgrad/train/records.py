"""What a fit starts from, what it is told, and what it leaves."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from skgrad.core.tree import tree_map
from skgrad.train.stopping import Patience, StopReason
from skgrad.typing import Array, Tree

__all__ = ["Epoch", "Fit", "Progress", "Recovery", "Settings", "TrainState"]


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

    def here(self) -> TrainState:
        """Return the same state, brought from the GPU if it was left there."""
        params, state = np.asarray(self.params), tree_map(np.asarray, self.state)
        return replace(self, params=params, state=state)


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
    max_time : float or None
        Seconds after which no further epoch is begun.
    max_recoveries : int
        How often a fit that diverges may go back to its last good weights and try a
        lower learning rate before it is an error.

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
    max_time: float | None = None
    max_recoveries: int = 0


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
    gradient_norm : float or None
        Root mean square over the steps of the Euclidean norm of the gradient, before
        it is clipped; None where it was not asked for. Of an optimizer of all rows the
        largest element of the gradient.

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
    gradient_norm: float | None = None


@dataclass(frozen=True)
class Recovery:
    """A divergence that a fit went back from.

    Parameters
    ----------
    epoch, step : int
        Where it broke, counted from 1; the step within the epoch, None for an epoch
        that is much worse as a whole.
    back_to : int
        The epoch after which the weights were taken that the fit went on from; 0 is
        the start.
    learning_rate : float
        What was tried next.
    message : str
        What broke.
    advice : str
        The likely cause and the remedy.

    Examples
    --------
    >>> from skgrad.train import Recovery
    >>> Recovery(1, 17, 0, 0.25, "The objective is nan", "Scale ...").learning_rate
    0.25
    """

    epoch: int
    step: int | None
    back_to: int
    learning_rate: float
    message: str
    advice: str


@dataclass
class Progress:
    """A fit in progress: what a hook sees after each epoch, and a checkpoint holds.

    A hook may look at it, and pickle it; the fit goes on with the same object. A fit
    that is given an unpickled one goes on as if it had never ended.

    Parameters
    ----------
    state : TrainState
        After the last epoch.
    patience : Patience
        What counts the epochs without improvement.
    first_epoch : int
        Epochs made by earlier fits that this one continues.
    epochs : list of Epoch
        The history of this fit.
    best : TrainState or None
        After the best epoch so far, by the objective or, with early stopping, by the
        validation score.
    good : TrainState or None
        Where a fit that diverges goes back to.
    rate_factor : float
        What recoveries have lowered the learning rate by.
    recoveries : list of Recovery
        The divergences so far.
    seconds : float
        Time used so far.
    reason : StopReason or None
        Why the fit ended, once it has.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.train import Patience, Progress, TrainState
    >>> Progress(TrainState(np.zeros(1), {}), Patience(None, 10)).epochs
    []
    """

    state: TrainState
    patience: Patience
    first_epoch: int = 0
    epochs: list[Epoch] = field(default_factory=list)
    best: TrainState | None = None
    good: TrainState | None = None
    rate_factor: float = 1.0
    recoveries: list[Recovery] = field(default_factory=list)
    seconds: float = 0.0
    reason: StopReason | None = None

    @property
    def epoch(self) -> Epoch:
        """The last epoch."""
        return self.epochs[-1]


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
    recoveries : list of Recovery
        The divergences it went back from.

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
    recoveries: list[Recovery] = field(default_factory=list)

    @property
    def params(self) -> Array:
        """Parameters of the fitted model: the average, or those of the state."""
        return self.state.params if self.average is None else self.average
