"""How a fit is solved: by an optimizer in steps, or at once."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, ClassVar

import numpy as np

from skgrad.estimators.fitting import Fitting, Solver
from skgrad.exceptions import ParameterError
from skgrad.optim import OPTIMIZERS, get_optimizer, get_schedule
from skgrad.train import (
    Epoch,
    Fit,
    Patience,
    Progress,
    RangeTest,
    Settings,
    StopReason,
    TrainState,
    find_learning_rate,
    fit_full_batch,
    fit_stochastic,
)
from skgrad.typing import Array

__all__ = ["AtOnce", "Solution", "can_partial_fit", "optimized", "uses_minibatches"]

# Each divides the learning rate by ten.
MAX_RECOVERIES = 8


def optimized(optimizer: Any) -> Solver:
    """Return the solver that an optimizer is."""
    return Minibatches(optimizer) if optimizer.stochastic else AllRows(optimizer)


def uses_minibatches(estimator: Any) -> bool:
    """Return whether the optimizer of an estimator is stochastic."""
    optimizer = estimator.optimizer
    if isinstance(optimizer, str) and optimizer not in OPTIMIZERS:
        return False  # "auto" and the like
    return bool(get_optimizer(optimizer).stochastic)


def can_partial_fit(estimator: Any) -> bool:
    """Return whether partial_fit makes sense; the reason is raised if not."""
    if not uses_minibatches(estimator):
        raise AttributeError(
            f"partial_fit needs a stochastic optimizer. optimizer="
            f"{estimator.optimizer!r} uses all rows at once; set optimizer='sgd' or "
            "'adam'."
        )
    if getattr(estimator, "conformalize", False):
        raise AttributeError(
            "partial_fit changes the model that intervals were corrected for. Set "
            "conformalize=False."
        )
    return True


class Optimized(Solver):
    """An optimizer as it is applied to a fit."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer = optimizer
        self.name = type(optimizer).__name__


class Minibatches(Optimized):
    """Steps after each few rows."""

    stochastic: ClassVar[bool] = True
    rate: float | None = None
    range_test: RangeTest | None = None

    def solve(self, work: Fitting) -> Fit:
        """Make as many epochs as it takes."""
        settings = self._settings(work)
        self.rate = self._learning_rate(work, settings)
        return fit_stochastic(
            work.objective,
            self.optimizer,
            get_schedule(work.estimator.schedule),
            work.data,
            work.frame,
            replace(settings, learning_rate=self.rate),
            state=work.state,
            progress=work.progress,
            score=work.score(),
            on_epoch=work.on_epoch,
        )

    def steps(self, work: Fitting) -> tuple[int, int]:
        """Return the samples of a step and the number of steps."""
        size = self._batch_size(work)
        return size, -(-work.n_rows // size) * work.max_iter

    def fitted(self, state: TrainState) -> Array:
        """Return what the optimizer makes of the parameters."""
        params: Array = self.optimizer.fitted(state.params, state.state["optimizer"])
        return params

    def report(self) -> dict[str, Any]:
        """Return the initial learning rate and how it was found."""
        test = self.range_test
        if test is None:
            return {"learning_rate": self.rate}
        rates, losses = test.rates.tolist(), test.losses.tolist()
        found = {"rates": rates, "losses": losses, "suggestion": test.suggestion}
        return {"learning_rate": self.rate, "learning_rate_test": found}

    def _batch_size(self, work: Fitting) -> int:
        size = work.estimator.batch_size
        most = work.estimator._auto_batch_size if size == "auto" else size
        return work.n_rows if most is None else min(int(most), work.n_rows)

    def _settings(self, work: Fitting) -> Settings:
        e = work.estimator
        return Settings(
            batch_size=self._batch_size(work),
            max_iter=work.max_iter,
            schedule_epochs=work.limits.schedule_epochs,
            tol=work.limits.tol,
            n_iter_no_change=e.n_iter_no_change,
            early_stopping=work.held_out is not None and e.early_stopping,
            shuffle=e.shuffle,
            seed=work.seed,
            max_time=e.max_time,
            max_recoveries=MAX_RECOVERIES if e.on_divergence == "recover" else 0,
        )

    def _learning_rate(self, work: Fitting, settings: Settings) -> float:
        """Return the initial learning rate; "auto" finds one, once."""
        rate = work.estimator.learning_rate
        if not isinstance(rate, str):
            return float(rate)
        if self.range_test is None:
            self.range_test = find_learning_rate(
                work.objective, self.optimizer, work.data, work.frame, settings
            )
        return self.range_test.suggestion


class AllRows(Optimized):
    """Steps after all rows."""

    def solve(self, work: Fitting) -> Fit:
        """Make as many iterations as it takes, from where the module is."""
        self._check_own_limits()
        return fit_full_batch(
            work.objective,
            self.optimizer,
            work.data,
            work.frame,
            max_iter=work.max_iter,
            tol=work.limits.tol or 0.0,
            max_time=work.estimator.max_time,
            score=work.score(),
            on_epoch=work.on_epoch,
        )

    def _check_own_limits(self) -> None:
        """Refuse limits set on the optimizer: those of the estimator hold."""
        given = self.optimizer.get_params()
        default = type(self.optimizer)().get_params()
        for name in ("max_iter", "tol"):
            if given[name] != default[name]:
                raise ParameterError(
                    f"The {name!r} parameter of {self.name} (here {given[name]!r}) is "
                    f"set by the estimator. Set {name} on the estimator instead."
                )


@dataclass(frozen=True)
class Solution:
    """A linear model that was found at once, and its objective."""

    # Of the inputs as they are, for targets as the loss sees them.
    coef: Array  # (n_outputs, n_features)
    intercept: Array | None  # (n_outputs,)
    objective: float
    reason: StopReason = StopReason.EXACT


class AtOnce(Solver):
    """A solver of its own kind for linear models, without iterations to show."""

    @abstractmethod
    def solution(self, work: Fitting) -> Solution:
        """Return the solution."""

    def solve(self, work: Fitting) -> Fit:
        """Return the solution as a fit of one epoch."""
        began = perf_counter()
        found = self.solution(work)
        seconds = perf_counter() - began
        state, score = _state(found, work), work.score()
        scored = None if score is None else score(state)
        epochs = [Epoch(1, found.objective, scored, 1.0)]
        if work.on_epoch is not None:
            patience = Patience(None, work.max_iter)
            progress = Progress(state, patience, epochs=epochs, seconds=seconds)
            with suppress(StopIteration):  # asked to stop, where it does anyway
                work.on_epoch(progress)
            progress.reason = found.reason
        return Fit(state, found.reason, epochs, executor="numpy")


def _state(found: Solution, work: Fitting) -> TrainState:
    """Return the parameters inside the frame."""
    frame = work.frame
    parts = [(found.coef * frame.x_scale).ravel() + 0.0]  # no zeros with a sign
    if found.intercept is not None:
        parts.append(found.intercept + found.coef @ frame.x_mean)
    state: dict[str, Any] = {"buffers": {}, "optimizer": ()}
    return TrainState(np.concatenate(parts), state, epoch=1)
