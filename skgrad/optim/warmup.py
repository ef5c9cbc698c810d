"""A schedule in front of another one: the rate rises before it falls."""

import numpy as np

from skgrad.core.checks import check_integer, check_interval
from skgrad.optim.schedule import (
    Factors,
    Schedule,
    State,
    get_schedule,
    register_schedule,
)

__all__ = ["Warmup"]


@register_schedule("warmup")
class Warmup(Schedule):
    r"""Raise the rate in a straight line, step by step, then follow another schedule.

    .. math:: s + (1 - s) \frac{\text{step}}{\text{n\_epochs} \cdot \text{n\_steps}}

    in the first `n_epochs` epochs, steps counted from 0; after them the factors of
    `schedule`, for which the first epoch is the one after the warm-up and which spans
    what is left.

    Parameters
    ----------
    schedule : None, str or Schedule, default=None
        What follows; ``None`` is a constant rate.
    n_epochs : int >= 0, default=5
        Epochs of the warm-up.
    start : float in [0, 1], default=0.1
        The factor s of the first step.

    Notes
    -----
    PyTorch's ``LinearLR`` and what follows, joined by ``SequentialLR``. A `Plateau`
    watches from the first epoch on.

    References
    ----------
    .. [1] Goyal, P. et al. (2017). Accurate, large minibatch SGD: training ImageNet in
       1 hour. arXiv:1706.02677, section 2.2.

    Examples
    --------
    >>> from skgrad.optim import Cosine, Warmup
    >>> schedule = Warmup(Cosine(), n_epochs=2, start=0.0)
    >>> [schedule.factors(epoch, 2, 6).round(3).tolist() for epoch in range(6)]
    [[0.0, 0.25], [0.5, 0.75], [1.0, 1.0], [0.854, 0.854], [0.5, 0.5], [0.146, 0.146]]
    """

    def __init__(
        self,
        schedule: Schedule | str | None = None,
        n_epochs: int = 5,
        start: float = 0.1,
    ) -> None:
        self.schedule = schedule
        self.n_epochs = n_epochs
        self.start = start

    def validate(self) -> None:
        """Check the parameters.

        Raises
        ------
        ParameterError
            If one is outside its domain or there is no such schedule.
        """
        check_integer("Warmup", "n_epochs", self.n_epochs, 0)
        check_interval("Warmup", "start", self.start, 0, 1, "both")
        get_schedule(self.schedule)

    def _factors(
        self, epoch: int, n_steps: int, max_epochs: int, state: State
    ) -> float | Factors:
        after = epoch - self.n_epochs
        if after >= 0:
            left = max(1, max_epochs - self.n_epochs)
            return get_schedule(self.schedule).factors(after, n_steps, left, state)
        done = epoch + np.arange(n_steps) / max(1, n_steps)
        rising: Factors = self.start + (1 - self.start) * done / self.n_epochs
        return rising

    def _init(self) -> State:
        return get_schedule(self.schedule).init()

    def _advance(self, state: State, value: float) -> State:
        return get_schedule(self.schedule).advance(state, value)
