"""Training on all rows at once: optimizers on sums over row blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np
import scipy

from skgrad.backend.cpu.threads import blas_threads
from skgrad.exceptions import ParameterError
from skgrad.losses import KinkedLoss, Loss
from skgrad.optim import (
    L1,
    OPTIMIZERS,
    FullBatchOptimizer,
    MinimizeStatus,
    Newton,
    ProximalNewton,
)
from skgrad.tensor import Tensor
from skgrad.train.curvature import Curvature
from skgrad.train.data import Data
from skgrad.train.divergence import not_finite
from skgrad.train.evaluation import Evaluation
from skgrad.train.objective import Frame, Objective
from skgrad.train.queries import Queries
from skgrad.train.records import Epoch, Fit, Progress, TrainState
from skgrad.train.stopping import Patience, StopReason
from skgrad.typing import Array

__all__ = ["fit_full_batch"]

_REASONS = {
    MinimizeStatus.CONVERGED: StopReason.CONVERGED,
    MinimizeStatus.MAX_ITER: StopReason.MAX_ITER,
    MinimizeStatus.ROUNDING_FLOOR: StopReason.ROUNDING_FLOOR,
    MinimizeStatus.NO_DECREASE: StopReason.NO_DECREASE,
    MinimizeStatus.STOPPED: StopReason.STOPPED,
}

# Half-widths of the window a piecewise linear loss is smoothed over, in units of the
# mean loss of the start. Each fit starts at the one before.
WIDTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5)


# Newton's method begins on every so-many-th row where there are many: the minimum there
# is as far from that of all rows as their noise makes it, for the price of a part of an
# iteration.
PART = 8
MANY_ROWS, ROWS_PER_PARAMETER = 20_000, 200
MAX_ITER_PART, TOL_PART = 20, 0.1


class Smoothed(Loss):
    """A piecewise linear loss with its kink rounded over a window."""

    convex = True

    def __init__(self, loss: KinkedLoss, width: float) -> None:
        self.loss = loss
        self.width = width
        self.separable = loss.separable

    def hyperparameters(self) -> dict[str, float]:
        """Return those of the loss, and the width."""
        return {**self.loss.hyperparameters(), "width": self.width}

    def pointwise(self, y_true: Tensor, raw_prediction: Tensor, **hyper: Any) -> Tensor:
        """Return the smoothed loss of each row."""
        return self.loss.smoothed(y_true, raw_prediction, **hyper)

    def optimal_constant(self, y: Any, sample_weight: Any = None) -> Any:
        """Return that of the loss."""
        return self.loss.optimal_constant(y, sample_weight)


def fit_full_batch(
    objective: Objective,
    optimizer: FullBatchOptimizer,
    data: Data | Queries,
    frame: Frame,
    *,
    max_iter: int,
    tol: float,
    max_time: float | None = None,
    score: Callable[[TrainState], float] | None = None,
    on_epoch: Callable[[Progress], object] | None = None,
) -> Fit:
    """Minimise an objective over all rows, from where the module is.

    Parameters
    ----------
    objective : Objective
        What to minimise; must be a sum over rows (no batch statistics).
    optimizer : FullBatchOptimizer
        `Newton` needs a linear model. Its own ``max_iter`` and ``tol`` are replaced.
    data : Data or Queries
        Training rows.
    frame : Frame
        The affine layers around the module.
    max_iter : int
        Iterations.
    tol : float
        Bound on the max-norm of the gradient, relative to that of the linear model
        without coefficients (of other models at their start).
    max_time : float or None, default=None
        Seconds after which no further iteration is begun.
    score : callable, optional
        ``score(state) -> float``, the validation score, larger is better; called
        after each iteration and recorded.
    on_epoch : callable, optional
        Called with the :class:`Progress` after each iteration; may raise
        ``StopIteration`` to stop.

    Returns
    -------
    Fit
        The module itself is not changed.

    Raises
    ------
    ParameterError
        If the module draws random numbers, as dropout does, or the optimizer cannot
        minimise this model, its L1 penalty, or within bounds.
    DivergenceError
        If the objective or a derivative of it is not finite.

    Notes
    -----
    Piecewise linear losses are minimised as a sequence of smoothed ones, each started
    at the minimum of the one before.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import nn, optim
    >>> from skgrad.losses import SquaredError
    >>> from skgrad.train import Data, Frame, Objective, fit_full_batch
    >>> X = np.array([[0.0], [1.0], [2.0]])
    >>> fit = fit_full_batch(
    ...     Objective(nn.Linear(1, 1), SquaredError(), None),
    ...     optim.Newton(),
    ...     Data(X, 2 * X[:, 0] + 1, np.ones(3)),
    ...     Frame.identity(1, "float64"),
    ...     max_iter=10,
    ...     tol=1e-8,
    ... )
    >>> fit.state.params.round(6), fit.reason.name
    (array([2., 1.]), 'CONVERGED')
    """
    limits = (max_iter, tol, max_time)
    fit = _FullBatch(objective, optimizer, data, frame, limits, score, on_epoch)
    with blas_threads(objective.largest_product(data.block_size)):
        return fit.run()


class _FullBatch:
    """One full-batch fit in progress."""

    def __init__(
        self,
        objective: Objective,
        optimizer: FullBatchOptimizer,
        data: Data | Queries,
        frame: Frame,
        limits: tuple[int, float, float | None],
        score: Callable[[TrainState], float] | None,
        on_epoch: Callable[[Progress], object] | None,
    ) -> None:
        hessians = isinstance(optimizer, Newton | ProximalNewton)
        if hessians and not Curvature(objective).available:
            raise ParameterError(
                f"optimizer={_name(optimizer)!r} needs a linear model, all of whose "
                f"parameters are fitted. Got {type(objective.module).__name__}. Use "
                "'lbfgs' for all rows at once, or a stochastic optimizer such as "
                "'adam'."
            )
        if objective.alpha and objective.l1_ratio and not optimizer.takes:
            raise _no_l1(objective, optimizer)
        if objective.bounds is not None and not optimizer.takes:
            raise _no_bounds(optimizer)
        self.objective = objective
        self.optimizer = optimizer
        self.data = data
        self.frame = frame
        self.max_iter, self.tol, self.max_time = limits
        self.began = perf_counter()
        self.score = score
        self.on_epoch = on_epoch
        self.evaluations: list[Evaluation] = []
        self.epochs: list[Epoch] = []
        start = objective.parameters().astype(np.float64)
        self.theta = objective.projected(start)
        patience = Patience(None, self.max_iter)
        self.progress = Progress(self._state(self.theta), patience, epochs=self.epochs)
        self.hessian: Any = None  # one close to that at theta

    def run(self) -> Fit:
        """Minimise; a loss with a kink through a sequence of smoothed ones."""
        try:
            reason = self._until_stop()
        except KeyboardInterrupt:
            reason = StopReason.INTERRUPTED
        self.progress.reason = reason
        n_traces = sum(e.n_traces for e in self.evaluations)
        executor = self.evaluations[-1].executor
        state = self._state(self.theta)
        return Fit(state, reason, self.epochs, n_traces=n_traces, executor=executor)

    def _until_stop(self) -> StopReason:
        evaluation = self._evaluation(self.objective)
        loss = self.objective.loss
        kinked = isinstance(loss, KinkedLoss)
        newton = isinstance(self.optimizer, Newton) and not kinked
        part = self._part(evaluation) if newton else None
        first = part or evaluation  # a part of the rows tells both well enough
        scale = first.gradient_scale(self.theta, newton)
        at_start = first(self.theta)[0]
        if not np.isfinite([scale, at_start]).all():
            raise not_finite("after 0 iterations", evaluation.culprit(self.theta))
        tol = self.tol * scale
        widths: Sequence[float | None] = (None,)
        if isinstance(loss, KinkedLoss):
            widths = [(at_start or 1.0) * width for width in WIDTHS]
            smoothed = self.objective.with_loss(Smoothed(loss, at_start))
            evaluation = self._evaluation(smoothed)
        elif part is not None:
            self._start_from(part, evaluation, at_start, TOL_PART * scale)
        reason = self._through(widths, evaluation, tol)
        if not self.epochs:  # started at the minimum
            value = at_start if part is None else evaluation(self.theta)[0]
            self._note(self.theta, value, 0.0, 0)
        return reason

    def _part(self, evaluation: Evaluation) -> Evaluation | None:
        """Return the objective of a part of the rows, where it pays to begin there."""
        data, size = self.data, self.data.block_size
        if isinstance(data, Queries):
            return None
        n_blocks = data.n_samples // (PART * size)
        few = data.n_samples < ROWS_PER_PARAMETER * self.theta.size or not n_blocks
        if few or data.n_samples < MANY_ROWS or evaluation.quadratic:
            return None
        return evaluation.on(data.rows(np.arange(n_blocks * size) * PART))

    def _start_from(
        self, part: Evaluation, evaluation: Evaluation, at_start: float, tol: float
    ) -> None:
        """Move to the minimum over a part of the rows, if that is an improvement."""
        optimizer = Newton(max_iter=MAX_ITER_PART, tol=tol)
        theta = optimizer.minimize(part, self.theta).x
        if np.isfinite(theta).all() and evaluation(theta)[0] < at_start:
            self.theta, self.hessian = theta, part(theta, hessian=True)[2]

    def _evaluation(self, objective: Objective) -> Evaluation:
        self.evaluations.append(
            Evaluation(objective, self.data, self.frame, self.max_iter)
        )
        return self.evaluations[-1]

    def _through(
        self, widths: Sequence[float | None], evaluation: Evaluation, tol: float
    ) -> StopReason:
        """Minimise for each width of smoothing, from the minimum of the one before."""
        status = MinimizeStatus.CONVERGED
        for width in widths:
            if len(self.epochs) >= self.max_iter:
                return StopReason.MAX_ITER
            if width is not None:
                evaluation.hyper["loss"]["width"] = np.float64(width)
            self.theta, status = self._minimized(evaluation, tol)
            if status is MinimizeStatus.STOPPED:
                break
        if status is MinimizeStatus.NOT_FINITE:
            when = f"after {len(self.epochs)} iterations"
            raise not_finite(when, evaluation.culprit(self.theta))
        return self.progress.reason or _REASONS[status]

    def _state(self, theta: Array) -> TrainState:
        params = theta.astype(self.objective.dtype)
        state = {"buffers": self.objective.buffers(), "optimizer": ()}
        return TrainState(params, state, epoch=len(self.epochs))

    def _minimized(
        self, evaluation: Evaluation, tol: float
    ) -> tuple[Array, MinimizeStatus]:
        left = self.max_iter - len(self.epochs)
        params = {"max_iter": left, "tol": max(tol, 1e-300)}
        optimizer = type(self.optimizer)(**{**self.optimizer.get_params(), **params})
        known: dict[str, Any] = {}
        if self.objective.bounds is not None:
            known["bounds"] = scipy.optimize.Bounds(*self.objective.bounds)
        if self.objective.alpha and self.objective.l1_ratio:
            if "penalty" not in optimizer.takes:
                self.theta, status, overlap = self._with_l1(evaluation, optimizer)
                # The line search fails early where u and v are both positive. Every
                # attempt makes a step, or ends where it began: without an overlap.
                stuck = status in (
                    MinimizeStatus.ROUNDING_FLOOR,
                    MinimizeStatus.NO_DECREASE,
                )
                if stuck and overlap:
                    return self._minimized(evaluation, tol)
                return self.theta, status
            known["penalty"] = L1(self._l1_rates())
        if isinstance(optimizer, ProximalNewton):
            known["quadratic"] = evaluation.quadratic
        if isinstance(optimizer, Newton):
            known = {"hessian": self.hessian, "quadratic": evaluation.quadratic}
        self.hessian = None
        result = optimizer.minimize(
            evaluation, self.theta, callback=self._note, **known
        )
        return result.x, MinimizeStatus(result.status)

    def _with_l1(
        self, evaluation: Evaluation, optimizer: Any
    ) -> tuple[Array, MinimizeStatus, bool]:
        """Write each penalised coefficient as u - v with u, v >= 0.

        The last result is whether some u and v are both positive at the end.
        """
        theta, n, rate = self.theta, self.theta.size, self._l1_rates()

        def split(x: Array) -> tuple[float, Array]:
            value, g = evaluation(x[:n] - x[n:])
            total = value + rate @ (x[:n] + x[n:])
            return total, np.concatenate([g + rate, rate - g])

        def note(x: Array, value: float, norm: float, iteration: int) -> None:
            # On the way u and v may both be positive: more than the penalty of u - v.
            surplus = 2 * rate @ np.minimum(x[:n], x[n:])
            self._note(x[:n] - x[n:], value - surplus, norm, iteration)

        low, high = self.objective.bounds or (np.full(n, -np.inf), np.full(n, np.inf))

        def halves(x: Array) -> Array:
            # Of what is not penalised u is the whole and v is 0.
            u, v = np.where(rate > 0, [x.clip(0), (-x).clip(0)], [x, 0 * rate])
            return np.concatenate([u, v])

        ends = halves(low), halves(high)
        bounds = scipy.optimize.Bounds(np.minimum(*ends), np.maximum(*ends))
        x0 = halves(theta)
        result = optimizer.minimize(split, x0, callback=note, bounds=bounds)
        u, v = result.x[:n], result.x[n:]
        overlap = bool((np.minimum(u, v)[rate > 0] > 0).any())
        return u - v, MinimizeStatus(result.status), overlap

    def _l1_rates(self) -> Array:
        """Return what the absolute value of each parameter is multiplied by."""
        return self.objective.alpha * self.objective.l1_ratio * self.objective.factors

    def _note(self, theta: Array, value: float, norm: float, iteration: int) -> None:
        self.theta = theta
        if len(self.evaluations) > 1:  # the value is that of the smoothed loss
            l1 = float(np.abs(theta) @ self._l1_rates())
            value = self.evaluations[0](theta)[0] + l1
        score = None if self.score is None else self.score(self._state(theta))
        self.epochs.append(Epoch(len(self.epochs) + 1, value, score, 1.0, norm))
        progress = self.progress
        progress.seconds = perf_counter() - self.began
        if self.on_epoch is not None:
            progress.state = self._state(theta)
            self.on_epoch(progress)
        if self.max_time is not None and progress.seconds >= self.max_time:
            progress.reason = StopReason.MAX_TIME
            raise StopIteration


def _name(optimizer: FullBatchOptimizer) -> object:
    return next((n for n, c in OPTIMIZERS.items() if c is type(optimizer)), optimizer)


def _no_bounds(optimizer: FullBatchOptimizer) -> ParameterError:
    return ParameterError(
        f"optimizer={_name(optimizer)!r} cannot minimise within bounds of the "
        "coefficients. Use 'lbfgs' or 'fista', or a stochastic optimizer such as 'sgd'."
    )


def _no_l1(objective: Objective, optimizer: FullBatchOptimizer) -> ParameterError:
    return ParameterError(
        f"optimizer={_name(optimizer)!r} cannot minimise an L1 penalty "
        f"(alpha={objective.alpha:g}, l1_ratio={objective.l1_ratio:g}). "
        "Use 'lbfgs' or 'fista', or l1_ratio=0."
    )
