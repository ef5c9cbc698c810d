"""One fit: from validated rows to a minimised objective."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from skgrad import nn
from skgrad.exceptions import ParameterError
from skgrad.losses import Loss
from skgrad.optim import get_schedule
from skgrad.train import (
    Data,
    Epoch,
    Fit,
    Frame,
    Objective,
    Settings,
    TrainState,
    fit_full_batch,
    fit_stochastic,
    minus_loss,
    mode,
    row_keys,
)
from skgrad.typing import Array

__all__ = ["Fitting", "Rows"]


@dataclass(frozen=True)
class Rows:
    """Validated rows: inputs, targets on the user's scale, weights."""

    X: Array
    y: Array
    w: Array

    def take(self, index: Array) -> Rows:
        """Return some of the rows."""
        return Rows(self.X[index], self.y[index], self.w[index])

    def present(self) -> Rows:
        """Return the rows with a positive weight: a zero weight is an absent row."""
        return self if (self.w > 0).all() else self.take(np.flatnonzero(self.w > 0))


class Fitting:
    """One fit: everything it needs, and how it is run."""

    def __init__(
        self,
        estimator: Any,
        rows: Rows,
        held_out: Rows | None,
        frame: Frame,
        module: nn.Module,
        loss: Loss,
        seed: int,
        partial: bool,
    ) -> None:
        self.estimator = estimator
        self.frame = frame
        self.module = module
        self.seed = seed
        self.partial = partial
        self.max_iter = 1 if partial else estimator.max_iter
        self.y_ndim = rows.y.ndim
        self.rows, self.held_out = rows, held_out
        self.n_rows = len(rows.X)
        self.optimizer = estimator._make_optimizer(loss, module)
        self.loss = loss
        self.data, n_outputs = self._data(rows)
        if self.optimizer.stochastic:
            self.data = replace(self.data, keys=row_keys(rows.X))
        self.objective = Objective(
            module,
            loss,
            n_outputs,
            estimator.alpha,
            estimator.l1_ratio,
            estimator.clip_norm,
        )

    def _data(self, rows: Rows) -> tuple[Data, int | None]:
        encoded, n_outputs = self.estimator._encode(rows.y, self.loss)
        dtype = self.estimator._parameter_dtype(rows)
        if encoded.dtype.kind == "f":
            # Targets of an identity link are standardised with the frame.
            shift = self.loss.location(self.frame.y_shift - self.frame.offset)
            encoded = (encoded - shift) / self.loss.location(self.frame.y_scale)
            encoded = encoded.astype(dtype)
        weights = (rows.w / rows.w.mean()).astype(dtype)
        return Data(rows.X, encoded, weights), n_outputs

    def run(self, state: TrainState | None) -> Fit:
        """Minimise with the optimizer, whichever kind it is."""
        e = self.estimator
        if self.optimizer.stochastic:
            return fit_stochastic(
                self.objective,
                self.optimizer,
                get_schedule(e.schedule),
                self.data,
                self.frame,
                self._settings(),
                state=state,
                score=self._score(),
                on_epoch=self._reporter(),
            )
        if e.early_stopping:
            raise ParameterError(
                f"early_stopping needs a stochastic optimizer. "
                f"{type(self.optimizer).__name__} uses all rows at once; set "
                "early_stopping=False or optimizer='adam'."
            )
        _check_own_limits(self.optimizer)
        return fit_full_batch(
            self.objective,
            self.optimizer,
            self.data,
            self.frame,
            max_iter=self.max_iter,
            tol=0.0 if e.tol is None else e.tol,
            score=self._score(),
            on_epoch=self._reporter(),
        )

    def _settings(self) -> Settings:
        e = self.estimator
        size = min(200, self.n_rows) if e.batch_size == "auto" else e.batch_size
        return Settings(
            learning_rate=float(e.learning_rate),
            batch_size=self.n_rows if size is None else min(int(size), self.n_rows),
            max_iter=self.max_iter,
            schedule_epochs=e.max_iter if self.partial else None,
            tol=None if e.tol is None else float(e.tol),
            n_iter_no_change=e.n_iter_no_change,
            early_stopping=e.early_stopping,
            shuffle=e.shuffle,
            seed=self.seed,
        )

    # --- validation ---------------------------------------------------------------

    def _score(self) -> Callable[[TrainState], float] | None:
        if self.held_out is None:
            return None
        if self.estimator.scoring == "loss":
            data, _ = self._data(self.held_out)
            return minus_loss(self.objective, data, self.frame, self.max_iter)
        # Imported by the fits that score: 0.1 s of a process that does nothing else.
        from sklearn.metrics import check_scoring  # noqa: PLC0415

        scorer = check_scoring(self.estimator, self.estimator.scoring)
        return partial(self._scored, scorer, self.held_out)

    def _scored(self, scorer: Any, rows: Rows, state: TrainState) -> float:
        """Score a copy of the estimator, fitted with the weights of the moment."""
        probe = copy.copy(self.estimator)
        self.objective.store(state.params, state.state["buffers"])
        with mode(self.module, training=False):
            probe.module_, probe._frame = self.module, self.frame
            probe._n_columns = self.objective.n_outputs
            probe._loss, probe._y_ndim = self.objective.loss, self.y_ndim
            probe.__dict__.pop("feature_names_in_", None)  # the rows are arrays by now
            probe._publish()
            # Scorers need not know weights unless there are some.
            weights = {} if rows.w.min() == rows.w.max() else {"sample_weight": rows.w}
            return float(scorer(probe, rows.X, rows.y, **weights))

    def _reporter(self) -> Callable[[Epoch], None] | None:
        if not self.estimator.verbose:
            return None
        name = type(self.estimator).__name__

        def report(epoch: Epoch) -> None:
            score = "" if epoch.score is None else f"  validation {epoch.score:.6g}"
            sys.stdout.write(
                f"{name}  {epoch.number:5d}  objective {epoch.objective:.6g}{score}\n"
            )

        return report


def _check_own_limits(optimizer: Any) -> None:
    """Refuse limits set on the optimizer: those of the estimator hold."""
    given, default = optimizer.get_params(), type(optimizer)().get_params()
    for name in ("max_iter", "tol"):
        if given[name] != default[name]:
            kind = type(optimizer).__name__
            raise ParameterError(
                f"The {name!r} parameter of {kind} (here {given[name]!r}) is set by "
                f"the estimator. Set {name} on the estimator instead."
            )
