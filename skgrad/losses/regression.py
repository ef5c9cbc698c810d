"""Losses for regression: a mean, a quantile or an expectile per output."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import scipy

from skgrad import ops
from skgrad.losses.base import Hyper
from skgrad.losses.domain import Interval
from skgrad.losses.registry import register_loss
from skgrad.losses.separable import PiecewiseLinearLoss, SeparableLoss, split
from skgrad.tensor import Tensor

__all__ = [
    "AbsoluteError",
    "Expectile",
    "Huber",
    "LogCosh",
    "Quantile",
    "SquaredError",
]

LOG_2 = math.log(2.0)


@register_loss("squared_error")
class SquaredError(SeparableLoss):
    r"""Half the squared error, for the mean: :math:`\tfrac12 (y - f)^2`.

    Note the factor ½: the mean of the values is half the mean squared error.

    Notes
    -----
    ``y_domain`` all reals, identity link, twice differentiable. The best constant is
    the weighted mean.

    Examples
    --------
    >>> from skgrad.losses import SquaredError
    >>> SquaredError()([0.0, 1.0], [3.0, 1.0]).numpy().tolist()
    [4.5, 0.0]
    """

    def elementwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return half the squared residuals, see `SeparableLoss.elementwise`."""
        values: Tensor = 0.5 * ops.square(ops.subtract(y_true, raw_prediction))
        return values

    def _best_constant(self, y: Any, weights: Any) -> float:
        return float(np.average(y, weights=weights))


@register_loss("absolute_error")
class AbsoluteError(PiecewiseLinearLoss):
    r"""The absolute error, for the median: :math:`|y - f|`.

    Notes
    -----
    ``y_domain`` all reals, identity link. Not differentiable at :math:`y = f`, where 0
    is returned as the derivative; second derivatives are 0. The best constant is the
    weighted median (the middle of the interval if there is more than one). The loss is
    twice that of ``Quantile(0.5)``.

    Examples
    --------
    >>> from skgrad.losses import AbsoluteError
    >>> AbsoluteError()([0.0, 1.0], [3.0, 1.0]).numpy().tolist()
    [3.0, 0.0]
    """

    def elementwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return the absolute residuals, see `SeparableLoss.elementwise`."""
        values: Tensor = ops.absolute(ops.subtract(y_true, raw_prediction))
        return values

    def smoothed_elementwise(
        self,
        y_true: Tensor,
        raw_prediction: Tensor,
        width: Hyper,
        **hyperparameters: Hyper,
    ) -> Tensor:
        """Return (r² / w + w) / 2 where |r| <= w, see `smoothed`."""
        inner, outer = split(ops.subtract(y_true, raw_prediction), width)
        values: Tensor = ops.absolute(outer) + 0.5 * (inner * (inner / width) + width)
        return values

    def _best_constant(self, y: Any, weights: Any) -> float:
        return _weighted_quantile(y, weights, 0.5)


@register_loss("quantile")
class Quantile(PiecewiseLinearLoss):
    r"""The pinball loss, for a conditional quantile.

    .. math:: \ell(y, f) = \max\bigl(q\,(y - f),\; (q - 1)(y - f)\bigr)

    Parameters
    ----------
    quantile : float, default=0.5
        The level q, in (0, 1): the share of targets that should lie below the
        prediction.

    Raises
    ------
    ParameterError
        On use, if `quantile` is not in (0, 1).

    Notes
    -----
    ``y_domain`` all reals, identity link. Not differentiable at :math:`y = f`, where
    :math:`½ - q`, the middle of the subgradients, is returned as the derivative with
    respect to f; second derivatives are 0. The best constant is the weighted quantile
    (the middle of the interval if there is more than one).

    References
    ----------
    R. Koenker and G. Bassett, Regression quantiles, Econometrica 46 (1978) 33-50,
    eq. (3.1).

    Examples
    --------
    >>> from skgrad.losses import Quantile
    >>> Quantile(quantile=0.75)([2.0, 0.0], [0.0, 2.0]).numpy().tolist()
    [1.5, 0.5]
    """

    hyperparameter_domains: ClassVar[Mapping[str, Interval]] = MappingProxyType(
        {"quantile": Interval(0.0, 1.0)}
    )

    def __init__(self, quantile: float = 0.5) -> None:
        self.quantile = quantile

    def elementwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return the tilted absolute residuals, see `SeparableLoss.elementwise`."""
        residual = ops.subtract(y_true, raw_prediction)
        return _pinball(residual, hyperparameters["quantile"])

    def smoothed_elementwise(
        self,
        y_true: Tensor,
        raw_prediction: Tensor,
        width: Hyper,
        **hyperparameters: Hyper,
    ) -> Tensor:
        """Return (q - ½) r + (r² / w + w) / 4 where |r| <= w, see `smoothed`."""
        quantile = hyperparameters["quantile"]
        inner, outer = split(ops.subtract(y_true, raw_prediction), width)
        parabola = 0.25 * (inner * (inner / width) + width)
        values: Tensor = _pinball(outer, quantile) + (quantile - 0.5) * inner + parabola
        return values

    def _best_constant(self, y: Any, weights: Any) -> float:
        return _weighted_quantile(y, weights, float(self.quantile))


@register_loss("expectile")
class Expectile(SeparableLoss):
    r"""The asymmetric squared error, for a conditional expectile.

    With :math:`r = y - f`,

    .. math:: \ell = \tau\, r^2 \text{ if } r \ge 0
              \text{, otherwise } (1 - \tau)\, r^2

    Parameters
    ----------
    expectile : float, default=0.5
        The level :math:`\tau`, in (0, 1): the share of all distances to the prediction
        that belongs to targets below it.

    Raises
    ------
    ParameterError
        On use, if `expectile` is not in (0, 1).

    Notes
    -----
    ``y_domain`` all reals, identity link. At 0.5 it is the squared error with its
    factor ½. The second derivative is :math:`2\tau` for targets above the prediction
    and on it and :math:`2(1 - \tau)` below, so ``twice_differentiable`` is False. The
    best constant is the weighted expectile.

    References
    ----------
    W. K. Newey and J. L. Powell, Asymmetric least squares estimation and testing,
    Econometrica 55 (1987) 819-847, eq. (2.1).

    Examples
    --------
    >>> from skgrad.losses import Expectile
    >>> Expectile(expectile=0.75)([2.0, 0.0], [0.0, 2.0]).numpy().tolist()
    [3.0, 1.0]
    """

    twice_differentiable = False
    hyperparameter_domains: ClassVar[Mapping[str, Interval]] = MappingProxyType(
        {"expectile": Interval(0.0, 1.0)}
    )

    def __init__(self, expectile: float = 0.5) -> None:
        self.expectile = expectile

    def elementwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return the tilted squared residuals, see `SeparableLoss.elementwise`."""
        residual = ops.subtract(y_true, raw_prediction)
        level = ops.astype(hyperparameters["expectile"], residual.dtype)
        below = ops.less(residual, 0.0)
        weights = ops.where(below, 1.0 - level, level)
        values: Tensor = weights * ops.square(residual)
        return values

    def _best_constant(self, y: Any, weights: Any) -> float:
        level = float(self.expectile)
        return _root(
            lambda c: weights @ np.where(y < c, (1 - level) * (c - y), level * (c - y)),
            y,
        )


@register_loss("huber")
class Huber(SeparableLoss):
    r"""Huber's loss: squared for small residuals, absolute for large ones.

    With :math:`r = y - f`,

    .. math:: \ell = \tfrac12 r^2 \text{ if } |r| \le \delta
              \text{, otherwise } \delta (|r| - \tfrac12 \delta)

    Parameters
    ----------
    delta : float, default=1.0
        Where the two meet, positive, in units of the target.

    Raises
    ------
    ParameterError
        On use, if `delta` is not positive and finite.

    Notes
    -----
    ``y_domain`` all reals, identity link. The second derivative is 1 for
    :math:`|r| \le \delta` and 0 outside, so ``twice_differentiable`` is False. As in
    PyTorch's ``huber_loss``; scikit-learn's ``HuberRegressor`` estimates a scale as
    well and is another model.

    References
    ----------
    P. J. Huber, Robust estimation of a location parameter, Annals of Mathematical
    Statistics 35 (1964) 73-101, Section 4.

    Examples
    --------
    >>> from skgrad.losses import Huber
    >>> Huber(delta=2.0)([0.0, 0.0], [1.0, 3.0]).numpy().tolist()
    [0.5, 4.0]
    """

    twice_differentiable = False
    hyperparameter_domains: ClassVar[Mapping[str, Interval]] = MappingProxyType(
        {"delta": Interval(0.0, np.inf)}
    )

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = delta

    def elementwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return Huber's function of the residuals, see `SeparableLoss.elementwise`."""
        # With c = r clipped to ±delta both pieces are c (r - c / 2): no square that
        # overflows, and no |r|, whose second derivative at 0 would be lost.
        residual = ops.subtract(y_true, raw_prediction)
        inner, _ = split(residual, hyperparameters["delta"])
        values: Tensor = inner * (residual - 0.5 * inner)
        return values

    def _best_constant(self, y: Any, weights: Any) -> float:
        delta = float(self.delta)
        return _root(lambda c: weights @ np.clip(c - y, -delta, delta), y)


@register_loss("log_cosh")
class LogCosh(SeparableLoss):
    r"""The logarithm of the hyperbolic cosine of the residual, a smooth Huber loss.

    :math:`\ell = \log\cosh(y - f)`: near :math:`\tfrac12 r^2` for small residuals and
    :math:`|r| - \log 2` for large ones.

    Notes
    -----
    ``y_domain`` all reals, identity link, twice differentiable. Accurate to rounding
    for small residuals and free of overflow for large ones.

    Examples
    --------
    >>> from skgrad.losses import LogCosh
    >>> LogCosh()([0.0, 0.0], [0.0, 10000.0]).numpy().round(4).tolist()
    [0.0, 9999.3069]
    """

    def elementwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return log cosh of the residuals, see `SeparableLoss.elementwise`."""
        residual = ops.subtract(y_true, raw_prediction)
        # cosh r - 1 = -expm1(r) expm1(-r) / 2 keeps all digits near 0; the other form,
        # |r| + log1p(exp(-2 |r|)) - log 2, keeps them far from it.
        inner, _ = split(residual, 1.0)
        near = ops.log1p(-0.5 * ops.expm1(inner) * ops.expm1(-inner))
        size = ops.absolute(residual)
        far = size + ops.softplus(-2.0 * size) - LOG_2
        values: Tensor = ops.where(ops.less(size, 1.0), near, far)
        return values

    def _best_constant(self, y: Any, weights: Any) -> float:
        return _root(lambda c: weights @ np.tanh(c - y), y)


def _pinball(residual: Tensor, quantile: Hyper) -> Tensor:
    """Return the larger of q r and (q - 1) r."""
    larger: Tensor = ops.maximum(quantile * residual, (quantile - 1.0) * residual)
    return larger


def _weighted_quantile(y: Any, weights: Any, quantile: float) -> float:
    """Return the middle of the minimisers of the weighted pinball loss."""
    order = np.argsort(y, kind="stable")
    y, below = y[order], np.cumsum(weights[order])
    target = quantile * below[-1]
    # Where the cumulated weight meets the target every point up to the next target is a
    # minimiser; "meets" allows for the rounding of the sums, which is at most n eps.
    slack = below[-1] * y.size * np.finfo(np.float64).eps
    first = np.searchsorted(below, target - slack, side="left")
    last = np.searchsorted(below, target + slack, side="right")
    low, high = float(y[first]), float(y[min(last, y.size - 1)])
    return low + 0.5 * (high - low)


def _root(gradient: Callable[[float], float], y: Any) -> float:
    """Return a zero of a nondecreasing function, which lies between the targets."""
    low, high = float(y.min()), float(y.max())
    if gradient(low) >= 0:
        return low
    if gradient(high) <= 0:
        return high
    smallest = float(np.finfo(np.float64).tiny)
    precision = 4 * float(np.finfo(np.float64).eps)
    return float(
        scipy.optimize.brentq(gradient, low, high, xtol=smallest, rtol=precision)
    )
