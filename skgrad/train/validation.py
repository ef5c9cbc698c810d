"""The score that is watched when it is the loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skgrad.data import DataLoader, Dataset
from skgrad.executor import Traced
from skgrad.train.blocks import Blocks, for_device
from skgrad.train.data import Data
from skgrad.train.feed import blocks_of
from skgrad.train.objective import Frame, Objective, mode
from skgrad.train.queries import Queries
from skgrad.train.records import TrainState

__all__ = ["minus_loss"]


def minus_loss(
    objective: Objective,
    data: Data | Queries | Dataset | DataLoader,
    frame: Frame,
    n_evaluations: int = 1,
) -> Callable[[TrainState], float]:
    """Return a score: minus the weighted mean loss of some rows, without the penalty.

    Parameters
    ----------
    objective : Objective
        Gives module and loss; the module is evaluated, not trained.
    data : Data, Queries, Dataset or DataLoader
        The validation rows, as in :func:`fit_stochastic`.
    frame : Frame
        The affine layers around the module.
    n_evaluations : int, default=1
        How often the score will be asked for, at most.

    Returns
    -------
    callable
        ``score(state) -> float``, larger is better.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import nn
    >>> from skgrad.losses import SquaredError
    >>> from skgrad.train import Data, Frame, Objective, TrainState, minus_loss
    >>> objective = Objective(nn.Linear(1, 1), SquaredError(), None)
    >>> data = Data(np.ones((2, 1)), np.array([1.0, 3.0]), np.ones(2))
    >>> score = minus_loss(objective, data, Frame.identity(1, "float64"))
    >>> score(TrainState(np.array([1.0, 0.0]), {"buffers": {}}))
    -1.0
    """
    hyper = objective.hyper(frame)
    before = objective.parameters(), objective.buffers(), hyper
    with mode(objective.module, training=False):
        data = for_device(data, objective.device, objective.sums, before)
    made, n_blocks = blocks_of(data, objective.dtype)
    blocks = Blocks(made, lasting=isinstance(data, Data | Queries))
    traced = Traced(objective.sums, True, n_blocks * n_evaluations, objective.device)

    def score(state: TrainState) -> float:
        before = np.asarray(state.params), state.state["buffers"], hyper
        with mode(objective.module, training=False):
            loss, weight = blocks.sums(traced, before)
        return -float(loss) / float(weight)

    return score
