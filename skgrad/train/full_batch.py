"""Training on all rows at once: Newton and L-BFGS on sums over row blocks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy

from skgrad.backend.cpu.threads import blas_threads
from skgrad.core.random import RandomScope, entered
from skgrad.core.tree import tree_leaves, tree_map
from skgrad.exceptions import DivergenceError, ParameterError
from skgrad.executor import Traced
from skgrad.losses import KinkedLoss, Loss, SquaredError
from skgrad.nn import Dropout
from skgrad.optim import LBFGS, MinimizeStatus, Newton
from skgrad.tensor import Tensor
from skgrad.train.curvature import Curvature
from skgrad.train.data import Data
from skgrad.train.objective import Frame, Objective, batch_of, mode
from skgrad.train.stochastic import Epoch, Fit, TrainState
from skgrad.train.stopping import StopReason
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
MAX_ITER_PART, TOL_PART = 20, 0.03


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


# What is summed over the rows, in the order of the programs' results.
GRADIENT_SUMS = ("gradient", "loss", "weight")
HESSIAN_SUMS = ("gradient", "hessian", "loss", "weight")


class Evaluation:
    """The objective of all rows, its gradient and Hessian, from sums over blocks."""

    def __init__(
        self, objective: Objective, data: Data, frame: Frame, max_iter: int = 1
    ) -> None:
        self.objective = objective
        self.data = data
        self.curvature = Curvature(objective)
        self.hyper = objective.hyper(frame)
        self.buffers = objective.buffers()
        self.weight = float(np.sum(data.w, dtype=np.float64))
        self.quadratic = type(objective.loss) is SquaredError
        # Few fits take more evaluations than this, whatever they are allowed.
        n_runs = data.n_blocks * min(max_iter, 10)
        self.gradient = Traced(
            objective.sums_and_gradient, fallback=True, n_runs=n_runs
        )
        self.hessian = Traced(self.curvature.sums, fallback=True, n_runs=n_runs)
        self._programs: dict[bool, Any] = {}
        self._last: tuple[Any, tuple[Any, ...]] = (None, ())

    def on(self, data: Data) -> Evaluation:
        """Return the same objective of other rows, in blocks of the same size."""
        other = copy.copy(self)
        other.data = data
        other.weight = float(np.sum(data.w, dtype=np.float64))
        other._last = (None, ())
        return other

    @property
    def executor(self) -> str:
        """What ran the evaluations."""
        names = [p.executor for p in self._programs.values()]
        return names[0] if names else "reference"

    def __call__(self, theta: Array, hessian: bool = False) -> tuple[Any, ...]:
        """Return value and gradient, and the Hessian if asked.

        The last point is remembered: Newton's method starts where the scale of the
        gradient was measured.
        """
        key = (theta.tobytes(), tree_map(float, self.hyper["loss"]))
        if (
            self._last is None
            or self._last[0] != key
            or len(self._last[1]) < 2 + hessian
        ):
            self._last = (key, self._finished(theta, self._sums(theta, hessian)))
        return self._last[1][: 2 + hessian]

    def _sums(self, theta: Array, hessian: bool) -> dict[str, Any]:
        """Return the sums over all rows, block by block."""
        flat = theta.astype(self.objective.dtype)
        fixed = tree_leaves((flat, self.buffers, self.hyper))
        names = HESSIAN_SUMS if hessian else GRADIENT_SUMS
        with mode(self.objective.module, training=True), entered(RandomScope(0)) as s:
            program = self._program(flat, hessian)
            blocks = (tree_leaves(batch_of(block)) for block in self.data.blocks())
            sums = program.sums(fixed, blocks)
        if s.n_draws:  # drawn while tracing
            raise _random(self.objective)
        return dict(zip(names, sums, strict=True))

    def _program(self, flat: Array, hessian: bool) -> Any:
        if hessian not in self._programs:
            function = self.hessian if hessian else self.gradient
            batch = batch_of(next(self.data.blocks()))
            program = function.program(flat, self.buffers, self.hyper, batch)
            self._programs[hessian] = program
        return self._programs[hessian]

    def _finished(self, theta: Array, totals: dict[str, Any]) -> tuple[Any, ...]:
        """Divide by the weight and add the smooth part of the penalty, once."""
        o = self.objective
        ridge = o.alpha * (1.0 - o.l1_ratio) * o.mask
        value = totals["loss"] / self.weight + 0.5 * np.sum(ridge * theta**2)
        gradient = totals["gradient"] / self.weight + ridge * theta
        if "hessian" not in totals:
            return value, gradient
        hessian = self.curvature.assembled(totals["hessian"], self.weight, ridge)
        return value, gradient, hessian

    def gradient_scale(self, theta: Array, hessian: bool = False) -> float:
        """Return the size of the gradient far from the minimum.

        For a linear model far means without its coefficients, so that a fit started
        close to the minimum is held to the same tolerance as one started at zero.
        """
        far = theta * ~self.objective.mask if self.curvature.available else theta
        if hessian and (far == theta).all():
            self(far, hessian=True)  # it will be asked for there
        return float(np.abs(self(far)[1]).max(initial=0.0)) or 1.0

    @property
    def n_traces(self) -> int:
        """How many programs were traced."""
        return self.gradient.n_traces + self.hessian.n_traces


def fit_full_batch(
    objective: Objective,
    optimizer: Newton | LBFGS,
    data: Data,
    frame: Frame,
    *,
    max_iter: int,
    tol: float,
    score: Callable[[TrainState], float] | None = None,
    on_epoch: Callable[[Epoch], object] | None = None,
) -> Fit:
    """Minimise an objective over all rows, from where the module is.

    Parameters
    ----------
    objective : Objective
        What to minimise; must be a sum over rows (no batch statistics).
    optimizer : Newton or LBFGS
        Newton needs a linear model. Its own ``max_iter`` and ``tol`` are replaced.
    data : Data
        Training rows.
    frame : Frame
        The affine layers around the module.
    max_iter : int
        Iterations.
    tol : float
        Bound on the max-norm of the gradient, relative to that of the linear model
        without coefficients (of other models at their start).
    score : callable, optional
        ``score(state) -> float``, the validation score, larger is better; called
        after each iteration and recorded.
    on_epoch : callable, optional
        Called with each iteration as an :class:`Epoch`.

    Returns
    -------
    Fit
        The module itself is not changed.

    Raises
    ------
    ParameterError
        If the module draws random numbers, as dropout does.
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
    fit = _FullBatch(objective, optimizer, data, frame, max_iter, tol, score, on_epoch)
    with blas_threads(objective.largest_product(data.block_size)):
        return fit.run()


class _FullBatch:
    """One full-batch fit in progress."""

    def __init__(
        self,
        objective: Objective,
        optimizer: Newton | LBFGS,
        data: Data,
        frame: Frame,
        max_iter: int,
        tol: float,
        score: Callable[[TrainState], float] | None,
        on_epoch: Callable[[Epoch], object] | None,
    ) -> None:
        if isinstance(optimizer, Newton) and not Curvature(objective).available:
            raise ParameterError(
                "optimizer='newton' needs a linear model, all of whose parameters are "
                f"fitted. Got {type(objective.module).__name__}. Use 'lbfgs' for all "
                "rows at once, or a stochastic optimizer such as 'adam'."
            )
        self.objective = objective
        self.optimizer = optimizer
        self.data = data
        self.frame = frame
        self.max_iter = max_iter
        self.tol = tol
        self.score = score
        self.on_epoch = on_epoch
        self.evaluations: list[Evaluation] = []
        self.epochs: list[Epoch] = []
        self.theta = objective.parameters().astype(np.float64)
        self.hessian: Any = None  # one close to that at theta

    def run(self) -> Fit:
        """Minimise; a loss with a kink through a sequence of smoothed ones."""
        try:
            reason = self._until_stop()
        except KeyboardInterrupt:
            reason = StopReason.INTERRUPTED
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
        scale = evaluation.gradient_scale(self.theta, newton and part is None)
        at_start = evaluation(self.theta)[0]
        if not np.isfinite([scale, at_start]).all():
            raise _not_finite(0)
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
            self._note(self.theta, at_start, 0.0, 0)
        return reason

    def _part(self, evaluation: Evaluation) -> Evaluation | None:
        """Return the objective of a part of the rows, where it pays to begin there."""
        data, size = self.data, self.data.block_size
        n_blocks = data.n_samples // (PART * size)
        few = data.n_samples < ROWS_PER_PARAMETER * self.theta.size or not n_blocks
        if few or data.n_samples < MANY_ROWS or evaluation.quadratic:
            return None
        return evaluation.on(data.rows(np.arange(n_blocks * size) * PART))

    def _start_from(
        self, part: Evaluation, evaluation: Evaluation, at_start: float, tol: float
    ) -> None:
        """Move to the minimum over a part of the rows, if that is an improvement."""
        optimizer = type(self.optimizer)(max_iter=MAX_ITER_PART, tol=tol)
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
            raise _not_finite(len(self.epochs))
        return _REASONS[status]

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
        if self.objective.alpha and self.objective.l1_ratio:
            return self._with_l1(evaluation, optimizer)
        known: dict[str, Any] = {}
        if isinstance(optimizer, Newton):
            known = {"hessian": self.hessian, "quadratic": evaluation.quadratic}
        self.hessian = None
        result = optimizer.minimize(
            evaluation, self.theta, callback=self._note, **known
        )
        return result.x, MinimizeStatus(result.status)

    def _with_l1(
        self, evaluation: Evaluation, optimizer: Any
    ) -> tuple[Array, MinimizeStatus]:
        """Write each penalised coefficient as u - v with u, v >= 0."""
        theta, n, mask = self.theta, self.theta.size, self.objective.mask
        rate = self.objective.alpha * self.objective.l1_ratio * mask

        def split(x: Array) -> tuple[float, Array]:
            value, g = evaluation(x[:n] - x[n:])
            total = value + rate @ (x[:n] + x[n:])
            return total, np.concatenate([g + rate, rate - g])

        def note(x: Array, value: float, norm: float, iteration: int) -> None:
            # On the way u and v may both be positive: more than the penalty of u - v.
            surplus = 2 * rate @ np.minimum(x[:n], x[n:])
            self._note(x[:n] - x[n:], value - surplus, norm, iteration)

        low = np.concatenate([np.where(mask, 0.0, -np.inf), np.zeros(n)])
        high = np.concatenate([np.full(n, np.inf), np.where(mask, np.inf, 0.0)])
        x0 = np.concatenate(
            [np.where(mask, theta.clip(0), theta), mask * (-theta).clip(0)]
        )
        result = optimizer.minimize(
            split, x0, callback=note, bounds=scipy.optimize.Bounds(low, high)
        )
        return result.x[:n] - result.x[n:], MinimizeStatus(result.status)

    def _note(self, theta: Array, value: float, norm: float, iteration: int) -> None:
        self.theta = theta
        if len(self.evaluations) > 1:  # the value is that of the smoothed loss
            o = self.objective
            l1 = o.alpha * o.l1_ratio * float(np.abs(theta) @ o.mask)
            value = self.evaluations[0](theta)[0] + l1
        score = None if self.score is None else self.score(self._state(theta))
        epoch = Epoch(len(self.epochs) + 1, value, score, 1.0)
        self.epochs.append(epoch)
        if self.on_epoch is not None:
            self.on_epoch(epoch)


def _random(objective: Objective) -> ParameterError:
    modules = objective.module.named_modules()
    dropouts = [repr(name) for name, m in modules if isinstance(m, Dropout)]
    where = f" (Dropout at {', '.join(dropouts)})" if dropouts else ""
    return ParameterError(
        "An optimizer of all rows must see one objective at every evaluation, but "
        f"{type(objective.module).__name__}{where} draws random numbers while it is "
        "trained. Use a stochastic optimizer such as 'adam', or leave out the dropout."
    )


def _not_finite(n_iter: int) -> DivergenceError:
    return DivergenceError(
        f"The objective or a derivative of it is not finite after {n_iter} "
        "iterations. Most often a custom loss takes the logarithm or root of a value "
        "out of its domain, or an exponential overflows because the inputs have very "
        "different scales (keep standardize=True)."
    )
