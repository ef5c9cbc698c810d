"""One fit: from validated rows to a minimised objective."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse, vstack

from skgrad import nn
from skgrad.core.tree import tree_map
from skgrad.estimators.device import Work, placed
from skgrad.estimators.hooks import Hooks
from skgrad.estimators.verbose import reporter
from skgrad.exceptions import ParameterError
from skgrad.losses import Loss
from skgrad.ops import SparseRows
from skgrad.train import (
    Data,
    Fit,
    Frame,
    Objective,
    Progress,
    Queries,
    TrainState,
    minus_loss,
    mode,
    row_keys,
)
from skgrad.train.evaluation import EVALUATIONS, Evaluation
from skgrad.typing import Array

__all__ = ["NO_ROWS", "Fitting", "Limits", "Rows", "Solver"]


@dataclass(frozen=True)
class Rows:
    """Validated rows: inputs, targets on the user's scale, weights, maybe groups."""

    X: Any  # an array, or a csr_array of SciPy
    y: Array
    w: Array
    groups: Array | None = None

    def arrays(self) -> list[Array | None]:
        """Return the arrays."""
        return [self.X, self.y, self.w, self.groups]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.X.shape[0])

    def take(self, index: Array) -> Rows:
        """Return some of the rows."""
        return Rows(*(None if a is None else a[index] for a in self.arrays()))

    def present(self) -> Rows:
        """Return the rows with a positive weight: a zero weight is an absent row."""
        with np.errstate(over="ignore"):
            total = self.w.sum()
        if not 0 < total < np.inf:
            raise ValueError(
                f"The weights of the {len(self.w)} rows sum to {total:g}, which must "
                "be positive and finite. Check sample_weight (and class_weight), or "
                "divide the weights by their mean: only their ratios matter."
            )
        return self if (self.w > 0).all() else self.take(np.flatnonzero(self.w > 0))

    def joined(self, other: Rows) -> Rows:
        """Return these rows and others, whose groups are others too."""
        pairs = (self.y, other.y), (self.w, other.w)
        y, w = (np.concatenate(pair) for pair in pairs)
        inputs = self.X, other.X
        sparse = any(map(issparse, inputs))
        X = vstack(inputs, format="csr") if sparse else np.concatenate(inputs)
        return Rows(X, y, w, self._all_groups(other))

    def _all_groups(self, other: Rows) -> Array | None:
        """Return numbers of the groups, different ones of the other rows."""
        if self.groups is None or other.groups is None:
            return None
        own = np.unique(self.groups, return_inverse=True)[1]
        others = np.unique(other.groups, return_inverse=True)[1]
        return np.concatenate([own, others + own.max() + 1])


NO_ROWS = Rows(np.empty(0), np.empty(0), np.empty(0))


@dataclass(frozen=True)
class Limits:
    """Where a fit ends, and how many epochs its schedule spans."""

    max_iter: int
    tol: float | None
    schedule_epochs: int | None = None


class Solver(ABC):
    """What finds the parameters of one fit, and may say more of it."""

    name: str  # as reports and messages have it
    stochastic: ClassVar[bool] = False
    only_cpu: ClassVar[str] = ""  # why a GPU cannot do it

    @abstractmethod
    def solve(self, work: Fitting) -> Fit:
        """Minimise, from the state or progress of an earlier fit if there is one."""

    def steps(self, work: Fitting) -> tuple[int, int]:
        """Return the samples of a step and the number of steps, about."""
        return work.n_rows, min(work.max_iter, EVALUATIONS)

    def fitted(self, state: TrainState) -> Array:
        """Return the parameters that predictions in the middle of a fit are made by."""
        return state.params

    def gradient(self, work: Fitting, params: Array) -> Array:
        """Return the gradient of the mean loss (and a quadratic penalty)."""
        return Evaluation(work.objective, work.data, work.frame)(params)[1]

    def report(self) -> dict[str, Any]:
        """Return the entries of the report that it alone knows."""
        return {}


class Fitting:
    """One fit: everything it needs, and how it is run."""

    def __init__(
        self,
        estimator: Any,
        solver: Solver,
        rows: Rows,
        held_out: Rows | None,
        frame: Frame,
        module: nn.Module,
        loss: Loss,
        seed: int,
        limits: Limits,
        record_gradient: bool = False,
    ) -> None:
        self.estimator = estimator
        self.solver = solver
        self.frame = frame
        self.module = module
        self.seed = seed
        self.limits = limits
        self.y_ndim = rows.y.ndim
        self.rows, self.held_out = rows, held_out
        self.scored = rows  # what scorers see, without the weights of classes
        self.loss = loss
        self.data, n_outputs = self._data(rows)
        self.n_rows = len(self.data)  # of a ranker queries, which are its samples
        if solver.stochastic:
            # Linear models, which alone take sparse rows, draw no masks by keys.
            none = np.zeros(self.n_rows, dtype=np.uint32)
            keys = none if issparse(rows.X) else row_keys(rows.X)
            self.data = replace(self.data, keys=keys)
        alpha, l1_ratio = estimator._penalty()
        self.objective = Objective(
            module,
            loss,
            n_outputs,
            alpha,
            l1_ratio,
            estimator.clip_norm,
            record_gradient=record_gradient,
            documents=isinstance(self.data, Queries),
            **estimator._restrictions(frame, loss, module),
        )
        self.placement = placed(estimator.device, self._work())
        if self.placement.device != "cpu":
            self._move_to_gpu()
        self.state: TrainState | None = None
        self.progress: Progress | None = None
        self.on_epoch: Callable[[Progress], None] | None = None

    def _work(self) -> Work:
        """Return what is to be done, for the choice of a device."""
        X, objective = self.rows.X, self.objective
        n_rows, n_steps = self.solver.steps(self)
        sizes = objective.mask.size, len(objective.shapes)
        row_bytes, density = _stored(X)
        dtype, only_cpu = objective.dtype.name, self.solver.only_cpu
        shapes = X.shape[0], row_bytes, n_rows, n_steps, *sizes
        return Work(*shapes, dtype, only_cpu, density)

    def _move_to_gpu(self) -> None:
        precision = getattr(self.estimator, "matmul_precision", "highest")
        rounded = "" if precision == "highest" else f"/{precision}"
        self.objective.device = self.placement.device + rounded

    @property
    def max_iter(self) -> int:
        """The most epochs or iterations."""
        return self.limits.max_iter

    def _data(self, rows: Rows) -> tuple[Data | Queries, int | None]:
        encoded, n_outputs = self.estimator._encode(rows.y, self.loss)
        dtype = self.estimator._parameter_dtype(rows)
        if encoded.dtype.kind == "f":
            # Targets of an identity link are standardised with the frame.
            shift = self.loss.location(self.frame.y_shift - self.frame.offset)
            scale = self.loss.location(self.frame.y_scale)
            with np.errstate(over="ignore"):  # an infinite objective is refused
                if np.any(shift != 0) or np.any(scale != 1):
                    encoded = (encoded - shift) / scale
                encoded = encoded.astype(dtype, copy=False)
        mean = rows.w.mean()
        weights = rows.w if mean == 1 else rows.w / mean
        X = rows.X
        if issparse(X):
            # Views of this fit: what a GPU keeps of them goes when they go.
            X = tree_map(np.ndarray.view, SparseRows.of(X).shifted(self.frame.x_mean))
        data = Data(X, encoded, weights.astype(dtype, copy=False))
        return self.estimator._collected(data, rows), n_outputs

    def run(
        self,
        state: TrainState | None = None,
        progress: Progress | None = None,
        hooks: Hooks | None = None,
    ) -> Fit:
        """Minimise, and call what is to be called after each epoch."""
        self._check_minibatches(hooks)
        self.state, self.progress = state, progress
        if hooks is None:
            return self.solver.solve(self)
        e = self.estimator
        report = reporter(type(e).__name__, e.verbose, self.max_iter)

        def on_epoch(progress: Progress) -> None:
            self.progress = progress
            report(progress)
            hooks.end(progress, lambda: self.attributes(progress.state))

        hooks.begin()
        try:
            self.on_epoch = on_epoch if e.verbose or hooks.callbacks else None
            return self.solver.solve(self)
        finally:
            report.close(self.progress)

    def _check_minibatches(self, hooks: Hooks | None) -> None:
        """Refuse what only an optimizer that takes minibatches can do."""
        if self.solver.stochastic:
            return
        if hooks is not None and hooks.restoring:
            raise ParameterError(
                f"{type(hooks.restoring[0]).__name__} needs a stochastic optimizer. "
                f"{self.solver.name} uses all rows at once and takes few iterations; "
                "remove the callback, or set optimizer='adam'."
            )
        if self.estimator.early_stopping:
            raise ParameterError(
                f"early_stopping needs a stochastic optimizer. {self.solver.name} uses "
                "all rows at once; set early_stopping=False or optimizer='adam'."
            )

    # --- validation ---------------------------------------------------------------

    def score(self) -> Callable[[TrainState], float] | None:
        """Return what scores the validation rows, if there are any."""
        if self.held_out is None:
            return None
        if self.estimator.scoring == "loss":
            data, _ = self._data(self.held_out)
            return minus_loss(self.objective, data, self.frame, self.max_iter)
        return partial(self._scored, self.estimator._scorer(), self.held_out)

    def _scored(self, scorer: Any, rows: Rows, state: TrainState) -> float:
        """Score a copy of the estimator, fitted with the weights of the moment."""
        probe = copy.copy(self.estimator)
        self.fill(state.params, state.state["buffers"])
        with mode(self.module, training=False):
            self.publish(probe)
            return self.score_of(probe, scorer, rows)

    def score_of(self, probe: Any, scorer: Any, rows: Rows) -> float:
        """Score a copy of the estimator that predicts; not a number is an error."""
        probe.__dict__.pop("feature_names_in_", None)  # the rows are arrays by now
        params = self.estimator._score_params(rows)
        score = float(scorer(probe, rows.X, rows.y, **params))
        if np.isnan(score):
            raise ValueError(
                f"scoring={self.estimator.scoring!r} gives nan on the {rows.n_rows} "
                "validation rows. Hold out more of them, or choose scoring='loss'."
            )
        return score

    # --- the model ----------------------------------------------------------------

    def fill(self, params: Array, buffers: Any) -> None:
        """Fill the module."""
        self.objective.store(params, buffers)

    def publish(self, estimator: Any) -> None:
        """Set what an estimator predicts with."""
        estimator.module_ = self.module
        estimator._frame = self.frame
        estimator._n_columns = self.objective.n_outputs
        estimator._y_ndim = self.y_ndim
        estimator.device_ = self.placement.device
        estimator._loss = self.objective.loss
        estimator.n_outputs_ = self.objective.n_outputs or 1
        estimator._publish()

    def attributes(self, state: TrainState) -> dict[str, Any]:
        """Return what makes a copy of the estimator predict with the given state."""
        probe = copy.copy(self.estimator)
        self.fill(self.solver.fitted(state), state.state["buffers"])
        self.publish(probe)
        probe.module_ = copy.deepcopy(self.module).eval()
        before = vars(self.estimator)
        after = vars(probe).items()
        return {n: v for n, v in after if n not in before or before[n] is not v}

    def report(self, fit: Fit, before: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is to be said of a fit that may continue another one."""
        rates = [e.learning_rate for e in fit.epochs if self.solver.stochastic]
        norms = [e.gradient_norm for e in fit.epochs if e.gradient_norm is not None]
        return {
            "optimizer": self.solver.name,
            "executor": fit.executor,
            "device": self.placement.device,
            "device_reason": self.placement.reason,
            "stop_reason": fit.reason.value,
            "converged": fit.reason.converged,
            "n_iter": len(fit.epochs),
            "best_epoch": fit.best_epoch,
            "loss": None,
            "refit": None,
            "learning_rate": None,
            "learning_rates": before.get("learning_rates", []) + rates,
            "gradient_norms": (before.get("gradient_norms") or []) + norms or None,
            "learning_rate_test": None,
            "exact": None,
            "recoveries": [asdict(recovery) for recovery in fit.recoveries],
            "n_traces": fit.n_traces,
            **self.solver.report(),
        }


def _stored(X: Any) -> tuple[int, float | None]:
    """Return the bytes of a row, and which part of its elements sparse inputs store."""
    if not issparse(X):
        return X[:1].nbytes, None
    n_bytes = X.data.nbytes + X.indices.nbytes
    return n_bytes // X.shape[0], X.nnz / math.prod(X.shape)
