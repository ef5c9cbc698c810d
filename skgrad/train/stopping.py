"""When a fit ends, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

__all__ = ["Patience", "StopReason"]


class StopReason(Enum):
    """Why a fit ended; the value is the sentence a user reads.

    Examples
    --------
    >>> from skgrad.train import StopReason
    >>> StopReason.MAX_ITER.converged
    False
    """

    EXACT = "solved exactly"
    CONVERGED = "converged: the gradient is within tol"
    ROUNDING_FLOOR = "converged to the rounding floor of float64"
    NO_IMPROVEMENT = "the objective stopped improving by tol"
    EARLY_STOPPING = "the validation score stopped improving by tol"
    MAX_ITER = "max_iter was reached"
    MAX_TIME = "max_time was used up"
    NO_DECREASE = "no step decreases the objective further"
    STOPPED = "a callback asked to stop"
    INTERRUPTED = "the user interrupted"

    @property
    def converged(self) -> bool:
        """Whether the fit ended where its criterion says it should."""
        return self in (
            StopReason.EXACT,
            StopReason.CONVERGED,
            StopReason.ROUNDING_FLOOR,
            StopReason.NO_IMPROVEMENT,
            StopReason.EARLY_STOPPING,
            StopReason.STOPPED,
        )


@dataclass
class Patience:
    """Watches a quantity that should fall.

    As in scikit-learn's ``MLPRegressor``: an epoch that does not beat the best value
    by ``tol`` counts, and more than ``n_iter_no_change`` of them in a row are too many.

    Parameters
    ----------
    tol : float or None
        Smallest improvement that counts; ``None`` never runs out.
    n_iter_no_change : int
        Epochs without improvement that are tolerated.
    best : float, default=inf
        Smallest value so far.
    n_bad : int, default=0
        Epochs without improvement so far.

    Examples
    --------
    >>> from skgrad.train import Patience
    >>> patience = Patience(tol=0.1, n_iter_no_change=1)
    >>> [patience.update(value) for value in (1.0, 0.5, 0.45)]
    [True, True, True]
    >>> patience.exhausted, patience.update(0.44), patience.exhausted
    (False, True, True)
    """

    tol: float | None
    n_iter_no_change: int
    best: float = np.inf
    n_bad: int = 0

    def update(self, value: float) -> bool:
        """Note the value of an epoch; return whether it is the best so far."""
        improved = value < self.best
        enough = self.tol is None or value <= self.best - self.tol
        self.n_bad = 0 if enough else self.n_bad + 1
        self.best = value if improved else self.best
        return improved

    @property
    def exhausted(self) -> bool:
        """Whether there were too many epochs without improvement."""
        return self.tol is not None and self.n_bad > self.n_iter_no_change
