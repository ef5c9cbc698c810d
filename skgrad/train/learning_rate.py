"""The range test: which learning rate a fit should begin with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skgrad.optim import Constant, Optimizer
from skgrad.train.data import Data
from skgrad.train.divergence import not_finite
from skgrad.train.feed import DatasetFeed, RowFeed
from skgrad.train.objective import Frame, Objective
from skgrad.train.queries import Queries
from skgrad.train.records import Settings
from skgrad.train.steps import NotFiniteError, Steps
from skgrad.train.stochastic import initial_state, stochastic_hyper
from skgrad.typing import Array

__all__ = ["RangeTest", "find_learning_rate"]

# The rates that are tried, from the first to the last in equal factors.
LOWEST, HIGHEST, N_STEPS = 1e-6, 10.0, 141
PART = 20  # steps per factor of 10; after each the test may end
# The test ends where the loss has grown by this factor.
GREW = 4.0
# Losses of single batches are noisy: each is averaged with those before, as in Smith.
SMOOTHING = 0.9
# The rate by which the loss has made most of its fall is close to where it diverges;
# the rest is the lag of the average where the batches have no noise. On least squares
# the suggestion is then about a tenth of the largest stable rate.
FALL, MARGIN = 0.9, 4.0


@dataclass(frozen=True)
class RangeTest:
    """What a range test found.

    Parameters
    ----------
    rates : array of shape (n_steps,)
        The learning rate of each step, growing.
    losses : array of shape (n_steps,)
        The smoothed mean loss of the batches up to each step.
    suggestion : float
        The rate to begin with.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.train import RangeTest
    >>> RangeTest(np.array([0.1, 1.0]), np.array([2.0, 1.0]), 0.1).suggestion
    0.1
    """

    rates: Array
    losses: Array
    suggestion: float


def find_learning_rate(
    objective: Objective,
    optimizer: Optimizer,
    data: Data | Queries,
    frame: Frame,
    settings: Settings,
) -> RangeTest:
    """Train for a few batches at a rate that grows, and see where the loss rises.

    The rate grows from 1e-6 to 10, by a factor of 10 in 20 steps, until the smoothed
    loss exceeds four times its smallest value. Suggested is a quarter of the rate by
    which it had made nine tenths of its fall. The weights are thrown away, and the same
    settings, with the same seed, find the same rate.

    Parameters
    ----------
    objective : Objective
        What to minimise.
    optimizer : Optimizer
        A stochastic one.
    data : Data or Queries
        Training rows.
    frame : Frame
        The affine layers around the module.
    settings : Settings
        Gives batch size, shuffle and seed.

    Returns
    -------
    RangeTest
        The rates, the losses and the suggestion.

    Raises
    ------
    DivergenceError
        If the loss is not finite at the first step.

    References
    ----------
    L. N. Smith, "Cyclical learning rates for training neural networks", WACV 2017,
    section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import nn, optim
    >>> from skgrad.losses import SquaredError
    >>> from skgrad.train import Data, Frame, Objective, Settings, find_learning_rate
    >>> from skgrad.train import row_keys
    >>> X = np.linspace(-1, 1, 100).reshape(-1, 1)
    >>> data = Data(X, 2 * X[:, 0], np.ones(100), row_keys(X))
    >>> objective = Objective(nn.Linear(1, 1), SquaredError(), None)
    >>> frame = Frame.identity(1, "float64")
    >>> found = find_learning_rate(objective, optim.Adam(), data, frame, Settings())
    >>> 0.01 < found.suggestion < 1.0
    True
    """
    return _Test(objective, optimizer, data, frame, settings).run()


class _Test:
    """One range test in progress."""

    def __init__(
        self,
        objective: Objective,
        optimizer: Optimizer,
        data: Data | Queries,
        frame: Frame,
        settings: Settings,
    ) -> None:
        hyper = stochastic_hyper(objective, optimizer, frame, settings.seed)
        self.steps = Steps(objective, optimizer, hyper, N_STEPS)
        self.feed: RowFeed | DatasetFeed
        if isinstance(data, Queries):
            self.feed = DatasetFeed(data, settings, objective.dtype)
        else:
            self.feed = RowFeed(data, settings)
        self.state = initial_state(objective, optimizer, Constant())
        self.rates = np.geomspace(LOWEST, HIGHEST, N_STEPS)
        self.losses = np.empty(0)

    def run(self) -> RangeTest:
        """Make the steps until the loss has grown."""
        rows = self.batches()
        for start in range(0, N_STEPS, PART):
            if not self.part(rows[start : start + PART], start):
                break
        smooth = _smoothed(self.losses)
        n = _until_growth(smooth)
        found = float(self.rates[_most_of_fall(smooth[:n])])
        return RangeTest(self.rates[:n], smooth[:n], found / MARGIN)

    def batches(self) -> Array:
        """Return the rows of full batches, of as many epochs as there are steps for."""
        per_epoch = len(self.feed.rows(0)[0])
        full = [self.feed.rows(e)[0] for e in range(-(-N_STEPS // per_epoch))]
        return np.concatenate(full)[:N_STEPS]

    def part(self, rows: Array, start: int) -> bool:
        """Make some steps; return whether the test goes on."""
        groups = self.feed.groups_of(rows)
        rates = self.rates[start : start + len(rows)]
        try:
            self.state, sums = self.steps.run(self.state, groups, rates)
        except NotFiniteError as error:
            if error.at_start and start == 0:
                raise not_finite("at the start", error.culprit) from None
            # Once more, without the step that broke.
            if error.step:
                self.part(rows[: error.step], start)
            return False
        self.losses = np.concatenate([self.losses, sums.losses])
        smooth = _smoothed(self.losses)
        return _until_growth(smooth) == len(smooth)


def _smoothed(losses: Array) -> Array:
    """Return the exponential moving average, as if it had always been going on."""
    weights = SMOOTHING ** np.arange(len(losses))
    sums = np.convolve(losses, weights)[: len(losses)]
    return np.asarray(sums / np.cumsum(weights))


def _most_of_fall(losses: Array) -> int:
    """Return where losses have made most of their fall from the first few."""
    first, last = losses[:PART].mean(), losses.min()
    return int(np.argmax(losses <= first - FALL * (first - last)))


def _until_growth(losses: Array) -> int:
    """Return how many losses there are before they have grown."""
    smallest = np.minimum.accumulate(losses)
    grew = losses - smallest > (GREW - 1) * np.abs(smallest)
    return int(np.argmax(grew)) if grew.any() else len(losses)
