"""Half the deviances of exponential families, with a log link: counts, rates, sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from skgrad import ops
from skgrad.exceptions import ParameterError
from skgrad.losses.base import Hyper
from skgrad.losses.domain import REALS, Interval
from skgrad.losses.registry import register_loss
from skgrad.losses.separable import SeparableLoss, split
from skgrad.tensor import Tensor

__all__ = ["Gamma", "Poisson", "Tweedie"]

# Rates are kept above 10 eps, as in scikit-learn's BaseLoss.fit_intercept_only, so that
# the logarithm of a rate that is zero on the training set is finite.
SMALLEST_RATE = 10 * float(np.finfo(np.float64).eps)


class Deviance(SeparableLoss):
    """Base of the deviances: the best rate is the mean, whatever the family."""

    link = "log"

    def _best_constant(self, y: Any, weights: Any) -> float:
        return math.log(max(float(np.average(y, weights=weights)), SMALLEST_RATE))


@register_loss("poisson")
class Poisson(Deviance):
    r"""Half the Poisson deviance with a log link, for counts and rates.

    :math:`\ell = e^f - y f`, with :math:`\hat y = e^f`. Like scikit-learn's
    ``HalfPoissonLoss`` it leaves out what does not depend on f: half the deviance is
    :math:`\ell + y \log y - y`, so the value of a perfect fit is :math:`y - y \log y`,
    not 0, and values may be negative.

    Notes
    -----
    ``y_domain`` is [0, inf), log link, twice differentiable. The best constant is the
    logarithm of the weighted mean, which is kept above 10 eps as in scikit-learn, so
    that it is finite when all targets are zero. Above f = 709 (float32: 88) the value
    exceeds the largest number and is infinite.

    Examples
    --------
    >>> from skgrad.losses import Poisson
    >>> Poisson()([3.0, 0.0], [0.0, 0.0]).numpy().tolist()
    [1.0, 1.0]
    """

    y_domain = Interval(0.0, np.inf, "left")

    def elementwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return exp(f) - y f, see `SeparableLoss.elementwise`."""
        rate = ops.exp(raw_prediction)
        # An infinite rate outweighs any count: inf - inf would be NaN.
        log_rate = ops.where(ops.isfinite(rate), raw_prediction, 0.0)
        values: Tensor = rate - ops.multiply(y_true, log_rate)
        return values


@register_loss("gamma")
class Gamma(Deviance):
    r"""Half the gamma deviance with a log link, for positive sizes and durations.

    :math:`\ell = f + y e^{-f}`, with :math:`\hat y = e^f`. Like scikit-learn's
    ``HalfGammaLoss`` it leaves out what does not depend on f: half the deviance is
    :math:`\ell - \log y - 1`, so the value of a perfect fit is :math:`1 + \log y`,
    not 0, and values may be negative.

    Notes
    -----
    ``y_domain`` is (0, inf), log link, twice differentiable. Errors count relative to
    the prediction: the standard deviation is taken to be proportional to the mean. The
    best constant is the logarithm of the weighted mean. Far below f = -700 (float32:
    -80) the value exceeds the largest number and is infinite.

    Examples
    --------
    >>> from skgrad.losses import Gamma
    >>> Gamma()([3.0, 1.0], [0.0, 0.0]).numpy().tolist()
    [3.0, 1.0]
    """

    y_domain = Interval(0.0, np.inf)

    def elementwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return f + y exp(-f), see `SeparableLoss.elementwise`."""
        ratio = ops.multiply(y_true, ops.exp(-raw_prediction))
        values: Tensor = raw_prediction + ratio
        return values


@register_loss("tweedie")
class Tweedie(Deviance):
    r"""Half the Tweedie deviance with a log link: variance :math:`\propto \hat y^p`.

    With :math:`\hat y = e^f`,

    .. math:: \ell = \frac{e^{(2 - p) f} - 1}{2 - p}
              - y\,\frac{e^{(1 - p) f} - 1}{1 - p}

    and its limits :math:`e^f - 1 - y f` at p = 1 and :math:`f + y (e^{-f} - 1)` at
    p = 2.

    Parameters
    ----------
    power : float, default=1.5
        The power p of the variance: 0 normal, 1 Poisson, between 1 and 2 compound
        Poisson-gamma (many zeros and positive amounts), 2 gamma, 3 inverse Gaussian. No
        distribution has a power in (0, 1).

    Raises
    ------
    ParameterError
        On use, if `power` is not finite or lies in (0, 1).

    Notes
    -----
    ``y_domain`` is all reals for p <= 0, [0, inf) for 1 <= p < 2 and (0, inf) for
    p >= 2; log link; convex for 1 <= p <= 2. The best constant is the logarithm of the
    weighted mean.

    The terms -1 keep the value a continuous function of p; scikit-learn's
    ``HalfTweedieLoss`` leaves them out and changes formula at 0, 1 and 2, so that its
    values differ by :math:`-1 / (2 - p) + y / (1 - p)`, which does not depend on f.
    One formula also means that the power is an input of a compiled fit, like any other
    hyperparameter: a grid search over it compiles once. ``Tweedie(power=1)`` is
    `Poisson` less 1, ``Tweedie(power=2)`` is `Gamma` less y.

    Beyond :math:`|f| = 702 / \max(|1 - p|, |2 - p|)` (float32: 87), where powers leave
    the range of numbers, the value goes on with slope ±1, away from the origin upwards.

    References
    ----------
    B. Jørgensen, Exponential dispersion models, Journal of the Royal Statistical
    Society B 49 (1987) 127-162, Section 4.

    Examples
    --------
    >>> from skgrad.losses import Tweedie
    >>> Tweedie(power=1.5)([0.0, 4.0], [0.0, 0.0]).numpy().tolist()
    [0.0, 0.0]
    >>> Tweedie(power=1)([4.0], [1.0]).numpy().round(4).tolist()
    [-2.2817]
    """

    hyperparameter_domains: ClassVar[Mapping[str, Interval]] = MappingProxyType(
        {"power": REALS}
    )

    def __init__(self, power: float = 1.5) -> None:
        self.power = power

    def validate(self) -> None:
        """Check the power, see `Loss.validate`."""
        super().validate()
        if 0 < self.power < 1:
            raise ParameterError(
                "The 'power' parameter of Tweedie must be <= 0 or >= 1: no "
                "distribution has a power between. "
                f"Got {float(self.power)!r} instead."
            )

    @property
    def y_domain(self) -> Interval:  # type: ignore[override]
        """Where targets may lie, which depends on the power."""
        if self.power <= 0:
            return REALS
        return Interval(0.0, np.inf, "left" if self.power < 2 else "neither")

    @property
    def convex(self) -> bool:  # type: ignore[override]
        """Whether the value is convex in the raw prediction."""
        return 1 <= self.power <= 2

    def elementwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return the deviance, see `SeparableLoss.elementwise`."""
        power = ops.astype(hyperparameters["power"], raw_prediction.dtype)
        one, two = 1.0 - power, 2.0 - power
        largest = 0.99 * math.log(np.finfo(raw_prediction.dtype).max)
        width = largest / ops.maximum(ops.absolute(one), ops.absolute(two))
        inner, outer = split(raw_prediction, width)
        deviance = _box_cox(inner, two) - ops.multiply(y_true, _box_cox(inner, one))
        values: Tensor = deviance + ops.absolute(outer)
        return values


def _box_cox(log_x: Tensor, power: Tensor) -> Tensor:
    """Return (x^power - 1) / power, which is log x for a power of 0."""
    is_log = ops.equal(power, 0.0)
    safe = ops.where(is_log, 1.0, power)
    exponent = safe * log_x
    # The derivative of expm1, 1 more than its value, has no digits left far below 0.
    low = ops.less(exponent, -1.0)
    grown = ops.where(low, ops.exp(exponent) - 1.0, ops.expm1(exponent))
    values: Tensor = ops.where(is_log, log_x, grown / safe)
    return values
