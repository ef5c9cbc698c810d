"""Training on all rows at once: Newton and L-BFGS on sums over row blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import Bounds

from skgrad.executor import Traced
from skgrad.losses import Loss, PiecewiseLinearLoss
from skgrad.optim import LBFGS, MinimizeStatus, Newton
from skgrad.tensor import Tensor
from skgrad.train.curvature import Curvature
from skgrad.train.data import Data
from skgrad.train.objective import Frame, Objective, batch_of, mode
from skgrad.train.stochastic import Epoch, Fit, TrainState
from skgrad.train.stopping import StopReason
from skgrad.typing import Array, Tree

__all__ = ["fit_full_batch"]

_REASONS = {
    MinimizeStatus.CONVERGED: StopReason.CONVERGED,
    MinimizeStatus.MAX_ITER: StopReason.MAX_ITER,
    MinimizeStatus.ROUNDING_FLOOR: StopReason.ROUNDING_FLOOR,
    MinimizeStatus.NO_DECREASE: StopReason.NO_DECREASE,
    MinimizeStatus.NOT_FINITE: StopReason.NO_DECREASE,
    MinimizeStatus.STOPPED: StopReason.STOPPED,
}

# Half-widths of the window a piecewise linear loss is smoothed over, in units of the
# mean loss of the start. Each fit starts at the one before.
WIDTHS = (1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5)


class Smoothed(Loss):
    """A piecewise linear loss with its kink rounded over a window of residuals."""

    convex = True

    def __init__(self, loss: PiecewiseLinearLoss, width: float) -> None:
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


@dataclass
class Evaluation:
    """The objective of all rows, its gradient and Hessian, from sums over blocks."""

    objective: Objective
    data: Data
    frame: Frame

    def __post_init__(self) -> None:
        objective = self.objective
        self.curvature = Curvature(objective)
        self.hyper = objective.hyper(self.frame)
        self.buffers = objective.buffers()
        self.weight = float(np.sum(self.data.w, dtype=np.float64))
        self.gradient = Traced(objective.sums_and_gradient, fallback=True)
        self.hessian = Traced(self.curvature.sums, fallback=True)

    def __call__(self, theta: Array, hessian: bool = False) -> tuple[Any, ...]:
        """Return value and gradient, and the Hessian if asked."""
        function = self.hessian if hessian else self.gradient
        totals: dict[str, Any] = {}
        with mode(self.objective.module, training=True):
            for block in self.data.blocks():
                sums = self._of_block(function, theta, block)
                for name, value in sums.items():
                    totals[name] = totals.get(name, 0.0) + value
        return self._finished(theta, totals, hessian)

    def _of_block(self, function: Traced, theta: Array, block: Data) -> Tree:
        flat = theta.astype(self.objective.dtype)
        return function(flat, self.buffers, self.hyper, batch_of(block))

    def _finished(
        self, theta: Array, totals: dict[str, Any], hessian: bool
    ) -> tuple[Any, ...]:
        """Divide by the weight and add the smooth part of the penalty, once."""
        o = self.objective
        ridge = o.alpha * (1.0 - o.l1_ratio) * o.mask
        value = totals["loss"] / self.weight + 0.5 * np.sum(ridge * theta**2)
        gradient = totals["gradient"] / self.weight + ridge * theta
        if not hessian:
            return value, gradient
        H = self.curvature.assembled(totals["hessian"]) / self.weight
        return value, gradient, H + np.diag(ridge)


def fit_full_batch(
    objective: Objective,
    optimizer: Newton | LBFGS,
    data: Data,
    frame: Frame,
    *,
    max_iter: int,
    tol: float,
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
        Bound on the max-norm of the gradient, relative to that of the best constant
        model (of the start, if that is known to be no constant).
    on_epoch : callable, optional
        Called with each iteration as an :class:`Epoch`.

    Returns
    -------
    Fit
        The module itself is not changed.

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
    ...     Data(X, 2 * X[:, 0], np.ones(3)),
    ...     Frame.identity(1, "float64"),
    ...     max_iter=10,
    ...     tol=1e-8,
    ... )
    >>> fit.state.params.round(6) + 0.0
    array([2., 0.])
    """
    fit = _FullBatch(objective, optimizer, data, frame, max_iter, tol, on_epoch)
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
        on_epoch: Callable[[Epoch], object] | None,
    ) -> None:
        self.objective = objective
        self.optimizer = optimizer
        self.evaluation = Evaluation(objective, data, frame)
        self.max_iter = max_iter
        self.tol = tol
        self.on_epoch = on_epoch
        self.epochs: list[Epoch] = []
        self.best: Array | None = None

    def run(self) -> Fit:
        """Minimise, through a sequence of smoothed losses if there is a kink."""
        theta = self.objective.parameters().astype(np.float64)
        reason = StopReason.CONVERGED
        try:
            for loss in self._losses(theta):
                self.objective.loss = loss
                self.evaluation.__post_init__()
                theta, reason = self._minimized(theta)
                if reason is StopReason.STOPPED:
                    break
        except KeyboardInterrupt:
            theta = theta if self.best is None else self.best
            reason = StopReason.INTERRUPTED
        n_iter = len(self.epochs)
        evaluation = self.evaluation
        return Fit(
            TrainState(
                theta.astype(self.objective.dtype),
                {"buffers": evaluation.buffers, "optimizer": ()},
                epoch=n_iter,
            ),
            reason,
            self.epochs,
            n_traces=evaluation.gradient.n_traces + evaluation.hessian.n_traces,
        )

    def _losses(self, theta: Array) -> Sequence[Loss]:
        loss = self.objective.loss
        if not isinstance(loss, PiecewiseLinearLoss):
            return (loss,)
        scale = self.evaluation(theta)[0] or 1.0
        return [Smoothed(loss, scale * width) for width in WIDTHS]

    def _minimized(self, theta: Array) -> tuple[Array, StopReason]:
        floor = np.abs(self.evaluation(theta)[1]).max(initial=0.0)
        scale = self._gradient_scale(floor)
        params = {"max_iter": self.max_iter, "tol": max(self.tol * scale, 1e-300)}
        optimizer = type(self.optimizer)(**{**self.optimizer.get_params(), **params})
        if self.objective.alpha and self.objective.l1_ratio:
            return self._with_l1(theta, optimizer)
        result = optimizer.minimize(self.evaluation, theta, callback=self._note)
        return result.x, _REASONS[MinimizeStatus(result.status)]

    def _gradient_scale(self, at_start: float) -> float:
        """Return the size a gradient has far from the minimum."""
        if not hasattr(self, "_scale"):
            self._scale = at_start or 1.0
        return self._scale

    def _with_l1(self, theta: Array, optimizer: Any) -> tuple[Array, StopReason]:
        """Write each penalised coefficient as u - v with u, v >= 0."""
        n, mask = theta.size, self.objective.mask
        rate = self.objective.alpha * self.objective.l1_ratio * mask

        def split(x: Array) -> tuple[float, Array]:
            value, g = self.evaluation(x[:n] - x[n:])
            total = value + rate @ (x[:n] + x[n:])
            return total, np.concatenate([g + rate, rate - g])

        def note(x: Array, value: float, norm: float, iteration: int) -> None:
            self._note(x[:n] - x[n:], value, norm, iteration)

        low = np.concatenate([np.where(mask, 0.0, -np.inf), np.zeros(n)])
        high = np.concatenate([np.full(n, np.inf), np.where(mask, np.inf, 0.0)])
        x0 = np.concatenate(
            [np.where(mask, theta.clip(0), theta), mask * (-theta).clip(0)]
        )
        result = optimizer.minimize(split, x0, callback=note, bounds=Bounds(low, high))
        return result.x[:n] - result.x[n:], _REASONS[MinimizeStatus(result.status)]

    def _note(self, theta: Array, value: float, norm: float, iteration: int) -> None:
        self.best = theta
        epoch = Epoch(len(self.epochs) + 1, value, None, 1.0)
        self.epochs.append(epoch)
        if self.on_epoch is not None:
            self.on_epoch(epoch)
