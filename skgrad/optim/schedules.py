"""Learning-rate schedules: constant, falling, cyclic, reacting to the fit."""

from typing import Any

import numpy as np

from skgrad.core.checks import check_integer, check_interval
from skgrad.optim.schedule import Factors, Schedule, State, register_schedule

__all__ = [
    "Constant",
    "Cosine",
    "CosineWarmRestarts",
    "Exponential",
    "OneCycle",
    "Plateau",
    "Step",
]


@register_schedule("constant")
class Constant(Schedule):
    """Keep the learning rate.

    Examples
    --------
    >>> from skgrad.optim import Constant
    >>> Constant().factors(epoch=5, n_steps=2, max_epochs=10)
    array([1., 1.])
    """

    def validate(self) -> None:
        """Check the parameters, of which there are none."""

    def _factors(
        self, epoch: int, n_steps: int, max_epochs: int, state: State
    ) -> float | Factors:
        return 1.0


@register_schedule("step")
class Step(Schedule):
    r"""Multiply the rate by `gamma` every `step_size` epochs.

    .. math:: \gamma^{\lfloor \text{epoch} / \text{step\_size} \rfloor}

    Parameters
    ----------
    step_size : int >= 1, default=30
        Epochs between two changes.
    gamma : float in (0, 1], default=0.1
        The factor γ.

    Examples
    --------
    >>> from skgrad.optim import Step
    >>> schedule = Step(step_size=2, gamma=0.5)
    >>> [float(schedule.factors(epoch, 1, 6)[0]) for epoch in range(6)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(self, step_size: int = 30, gamma: float = 0.1) -> None:
        self.step_size = step_size
        self.gamma = gamma

    def validate(self) -> None:
        """Check the parameters.

        Raises
        ------
        ParameterError
            If `step_size` is no positive integer or `gamma` is not in (0, 1].
        """
        check_integer("Step", "step_size", self.step_size, 1)
        check_interval("Step", "gamma", self.gamma, 0, 1, "right")

    def _factors(
        self, epoch: int, n_steps: int, max_epochs: int, state: State
    ) -> float | Factors:
        return float(self.gamma ** (epoch // self.step_size))


@register_schedule("exponential")
class Exponential(Schedule):
    r"""Multiply the rate by `gamma` after every epoch.

    .. math:: \gamma^{\text{epoch}}

    Parameters
    ----------
    gamma : float in (0, 1], default=0.95
        The factor γ.

    Examples
    --------
    >>> from skgrad.optim import Exponential
    >>> schedule = Exponential(gamma=0.5)
    >>> [float(schedule.factors(epoch, 1, 4)[0]) for epoch in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """

    def __init__(self, gamma: float = 0.95) -> None:
        self.gamma = gamma

    def validate(self) -> None:
        """Check the parameters.

        Raises
        ------
        ParameterError
            If `gamma` is not in (0, 1].
        """
        check_interval("Exponential", "gamma", self.gamma, 0, 1, "right")

    def _factors(
        self, epoch: int, n_steps: int, max_epochs: int, state: State
    ) -> float | Factors:
        return float(self.gamma**epoch)


@register_schedule("cosine")
class Cosine(Schedule):
    r"""Lower the rate along half a cosine, once per epoch [1]_.

    .. math:: f + \tfrac12 (1 - f)
        \left(1 + \cos \frac{\pi\, \text{epoch}}{\text{max\_epochs}}\right)

    Parameters
    ----------
    final : float in [0, 1], default=0.0
        The factor f at the end, reached after the last epoch.

    See Also
    --------
    CosineWarmRestarts : Several half periods.

    Notes
    -----
    One half period without restarts. PyTorch's ``CosineAnnealingLR`` rises again when
    the epochs go on; this one stays at the end.

    References
    ----------
    .. [1] Loshchilov, I. and Hutter, F. (2017). SGDR: stochastic gradient descent
       with warm restarts. ICLR, equation 5.

    Examples
    --------
    >>> from skgrad.optim import Cosine
    >>> Cosine().factors(epoch=5, n_steps=2, max_epochs=10).round(6)
    array([0.5, 0.5])
    """

    def __init__(self, final: float = 0.0) -> None:
        self.final = final

    def validate(self) -> None:
        """Check the parameters.

        Raises
        ------
        ParameterError
            If `final` is not in [0, 1].
        """
        check_interval("Cosine", "final", self.final, 0, 1, "both")

    def _factors(
        self, epoch: int, n_steps: int, max_epochs: int, state: State
    ) -> float | Factors:
        done = min(epoch, max_epochs) / max_epochs
        factor: float = _anneal(1.0, self.final, done)
        return factor


@register_schedule("cosine_warm_restarts")
class CosineWarmRestarts(Schedule):
    r"""Lower the rate along half cosines, each begun at the full rate [1]_.

    .. math:: f + \tfrac12 (1 - f) \left(1 + \cos \frac{\pi\, t}{T}\right)

    with t epochs since the last restart and T epochs from that to the next.

    Parameters
    ----------
    period : int >= 1, default=10
        Epochs of the first half cosine.
    growth : int >= 1, default=2
        How many times longer each is than the one before.
    final : float in [0, 1], default=0.0
        The factor f at the end of each.

    See Also
    --------
    Cosine : One half cosine over all epochs.

    Notes
    -----
    PyTorch's ``CosineAnnealingWarmRestarts``, stepped once per epoch.

    References
    ----------
    .. [1] Loshchilov, I. and Hutter, F. (2017). SGDR: stochastic gradient descent
       with warm restarts. ICLR, equation 5.

    Examples
    --------
    >>> from skgrad.optim import CosineWarmRestarts
    >>> schedule = CosineWarmRestarts(period=2)
    >>> [round(float(schedule.factors(e, 1, 8)[0]), 3) for e in range(8)]
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0, 0.962]
    """

    def __init__(self, period: int = 10, growth: int = 2, final: float = 0.0) -> None:
        self.period = period
        self.growth = growth
        self.final = final

    def validate(self) -> None:
        """Check the parameters.

        Raises
        ------
        ParameterError
            If one is outside its domain.
        """
        check_integer("CosineWarmRestarts", "period", self.period, 1)
        check_integer("CosineWarmRestarts", "growth", self.growth, 1)
        check_interval("CosineWarmRestarts", "final", self.final, 0, 1, "both")

    def _factors(
        self, epoch: int, n_steps: int, max_epochs: int, state: State
    ) -> float | Factors:
        since, period = epoch, self.period
        if self.growth == 1:
            since %= period
        while since >= period:
            since, period = since - period, period * self.growth
        factor: float = _anneal(1.0, self.final, since / period)
        return factor


@register_schedule("one_cycle")
class OneCycle(Schedule):
    """Raise the rate to its peak, then lower it to almost nothing, step by step [1]_.

    Both parts are half cosines: from ``1 / div_factor`` up to 1 in the first
    `pct_start` of all steps, then down to ``1 / (div_factor * final_div_factor)``.

    Parameters
    ----------
    pct_start : float in (0, 1), default=0.3
        Part of the steps in which the rate rises.
    div_factor : float >= 1, default=25
        The peak over the first rate.
    final_div_factor : float >= 1, default=1e4
        The first rate over the last one.

    Notes
    -----
    The learning rate of the optimizer is the *peak*, PyTorch's ``max_lr``. Momentum
    is not cycled.

    References
    ----------
    .. [1] Smith, L. N. and Topin, N. (2019). Super-convergence: very fast training of
       neural networks using large learning rates. SPIE 11006. The two cosine parts
       and the factors are those of PyTorch and fastai.

    Examples
    --------
    >>> from skgrad.optim import OneCycle
    >>> schedule = OneCycle(pct_start=0.5, div_factor=10, final_div_factor=10)
    >>> schedule.factors(epoch=0, n_steps=8, max_epochs=1).round(3)
    array([0.1  , 0.325, 0.775, 1.   , 0.855, 0.505, 0.155, 0.01 ])
    """

    def __init__(
        self,
        pct_start: float = 0.3,
        div_factor: float = 25,
        final_div_factor: float = 1e4,
    ) -> None:
        self.pct_start = pct_start
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor

    def validate(self) -> None:
        """Check the parameters.

        Raises
        ------
        ParameterError
            If `pct_start` is not in (0, 1) or a divisor is below 1.
        """
        check_interval("OneCycle", "pct_start", self.pct_start, 0, 1)
        for name in ("div_factor", "final_div_factor"):
            value = getattr(self, name)
            check_interval("OneCycle", name, value, 1, np.inf, "left")

    def _factors(
        self, epoch: int, n_steps: int, max_epochs: int, state: State
    ) -> float | Factors:
        last = max_epochs * n_steps - 1
        step = np.minimum(epoch * n_steps + np.arange(n_steps), last)
        peak = self.pct_start * (last + 1) - 1
        rising = step / peak if peak > 0 else np.ones(n_steps)
        falling = (step - peak) / (last - peak)
        first = 1 / self.div_factor
        up = _anneal(first, 1.0, np.clip(rising, 0, 1))
        down = _anneal(1.0, first / self.final_div_factor, np.clip(falling, 0, 1))
        factors: Factors = np.where(step <= peak, up, down)
        return factors


@register_schedule("plateau")
class Plateau(Schedule):
    """Lower the rate when the watched value has stopped improving.

    An epoch is good when its value is below the best so far by `threshold` times its
    magnitude. After more than `patience` bad epochs in a row the factor is multiplied
    by `factor`, and counting starts again.

    Parameters
    ----------
    factor : float in (0, 1), default=0.5
        What the rate is multiplied by.
    patience : int >= 0, default=5
        Bad epochs in a row that are let pass.
    min_factor : float in [0, 1], default=1e-4
        The product of all factors stays at or above this.
    threshold : float in [0, 1), default=1e-4
        Relative improvement that counts.

    Notes
    -----
    PyTorch's ``ReduceLROnPlateau`` in mode ``"min"`` with a relative threshold and no
    cooldown; unlike there, a negative best value has to be undercut as well, and the
    rate changes by however little. A NaN is never an improvement.

    Examples
    --------
    >>> from skgrad.optim import Plateau
    >>> plateau = Plateau(patience=1)
    >>> state = plateau.init()
    >>> for value in [3.0, 2.0, 2.0, 2.0]:
    ...     state = plateau.advance(state, value)
    >>> plateau.factors(epoch=4, n_steps=2, max_epochs=10, state=state)
    array([0.5, 0.5])
    """

    def __init__(
        self,
        factor: float = 0.5,
        patience: int = 5,
        min_factor: float = 1e-4,
        threshold: float = 1e-4,
    ) -> None:
        self.factor = factor
        self.patience = patience
        self.min_factor = min_factor
        self.threshold = threshold

    def validate(self) -> None:
        """Check the parameters.

        Raises
        ------
        ParameterError
            If one is outside its domain.
        """
        check_interval("Plateau", "factor", self.factor, 0, 1)
        check_integer("Plateau", "patience", self.patience, 0)
        check_interval("Plateau", "min_factor", self.min_factor, 0, 1, "both")
        check_interval("Plateau", "threshold", self.threshold, 0, 1, "left")

    def _factors(
        self, epoch: int, n_steps: int, max_epochs: int, state: State
    ) -> float | Factors:
        assert state is not None
        return state["factor"]

    def _init(self) -> State:
        return {"best": np.inf, "factor": 1.0, "n_bad_epochs": 0.0}

    def _advance(self, state: State, value: float) -> State:
        assert state is not None
        best, factor, n_bad = state["best"], state["factor"], state["n_bad_epochs"]
        margin = self.threshold * abs(best) if np.isfinite(best) else 0.0
        if value < best - margin:
            return {"best": float(value), "factor": factor, "n_bad_epochs": 0.0}
        if n_bad + 1 > self.patience:
            factor, n_bad = max(factor * self.factor, self.min_factor), -1.0
        return {"best": best, "factor": factor, "n_bad_epochs": n_bad + 1}


def _anneal(start: float, end: float, done: Any) -> Any:
    """Return the value after the part `done` of half a cosine from start to end."""
    return end + 0.5 * (start - end) * (1 + np.cos(np.pi * done))
