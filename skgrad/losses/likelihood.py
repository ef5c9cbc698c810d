"""Negative log-likelihoods of distributions with a location and a scale."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from skgrad import ops
from skgrad.losses.base import Hyper, Loss
from skgrad.losses.checks import check_targets_and_weights
from skgrad.losses.domain import Interval
from skgrad.losses.registry import register_loss
from skgrad.losses.separable import split, sum_outputs
from skgrad.tensor import Tensor

__all__ = ["GaussianNLL", "StudentTNLL"]

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class LocationScaleNLL(Loss):
    """Base of the likelihoods of (y - location) / scale.

    With k outputs the raw predictions are k locations and then the logarithms of k
    scales; a logarithm makes every scale positive, and multiplying the targets by a
    number adds its logarithm.
    """

    task = "regression"
    raw_per_target = 2
    has_distribution = True

    @abstractmethod
    def standard(self, half: Tensor, rate: Tensor, **hyperparameters: Hyper) -> Tensor:
        """Return the negative log-density of z = 2 half · rate for a scale of 1.

        Parameters
        ----------
        half : Tensor
            Half the residuals, which cannot overflow.
        rate : Tensor of the same shape
            The reciprocal of the scale, positive and finite.
        **hyperparameters : Tensor of shape () or float
            All of the loss's hyperparameters.

        Returns
        -------
        Tensor of the same shape
            Values per sample and output.
        """

    @abstractmethod
    def _frozen(self, location: Any, scale: Any) -> Any:
        """Return the frozen distribution of SciPy."""

    @abstractmethod
    def _best_constant(self, y: Any, weights: Any) -> tuple[float, float]:
        """Return location and scale of one output; the weights sum to one."""

    def pointwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return the negative log-likelihood, summed over outputs, without any check.

        See `Loss.pointwise`.
        """
        hyper: dict[str, Hyper] = {**self.hyperparameters(), **hyperparameters}
        location, log_scale = _halves(raw_prediction, y_true.ndim)
        # The density has no bound where the scale is 0, and exp none for a computer.
        inner, outer = split(log_scale, _largest_log_scale(raw_prediction.dtype))
        half = ops.multiply(0.5, y_true) - ops.multiply(0.5, location)
        values = self.standard(half, ops.exp(-inner), **hyper)
        return sum_outputs(values + inner + ops.absolute(outer))

    def rescaled(self, shift: Any, scale: Any) -> tuple[Any, Any]:
        """Return shift and scale of locations and log scales, see `Loss.rescaled`."""
        raw_shift, raw_scale = super().rescaled(shift, scale)
        raw_shift[np.size(scale) :] = np.log(scale)
        return raw_shift, raw_scale

    def distribution(self, raw_prediction: Any) -> Any:
        """Return the distributions of the targets, see `Loss.distribution`."""
        raw_prediction = np.asarray(raw_prediction)
        n_axes = 1 if raw_prediction.shape[-1] == 2 else 2
        location, log_scale = _halves(raw_prediction, n_axes)
        return self._frozen(location, np.exp(log_scale))

    def optimal_constant(self, y: Any, sample_weight: Any = None) -> Any:
        """Return the locations and log scales of the best constant model.

        See `Loss.optimal_constant`. A scale is kept above the rounding of the targets,
        so that it is positive when all of them are equal.
        """
        self.validate()
        y, weights = check_targets_and_weights(y, sample_weight)
        self.check_targets(y, y.shape)
        y, weights = y.astype(np.float64), weights / weights.sum()
        columns = y.reshape(len(y), -1).T
        best = np.array([self._best_constant(column, weights) for column in columns])
        location, scale = best.T
        limits = np.finfo(np.float64)
        smallest = np.maximum(limits.eps * np.abs(location), limits.tiny)
        return np.concatenate([location, np.log(np.maximum(scale, smallest))])


@register_loss("gaussian_nll")
class GaussianNLL(LocationScaleNLL):
    r"""The negative log-likelihood of a normal distribution with its own scale.

    The raw predictions of a target are the mean m and the logarithm g of the standard
    deviation, :math:`\sigma = e^g`:

    .. math:: \ell = \tfrac12 \log 2\pi + g + \tfrac12 (y - m)^2 e^{-2g}

    so that a model says for every sample how far off it may be.

    Notes
    -----
    ``y_domain`` all reals, identity link, two raw predictions per target: shape
    (n_samples, 2) for targets of shape (n_samples,), the mean first, and (n_samples,
    2 k) for k outputs, all means first; values are summed over outputs. The predictions
    (``inverse_link``) are the means, `distribution` gives ``scipy.stats.norm``. The
    value contains ½ log 2π, as PyTorch's ``gaussian_nll_loss`` with ``full=True``, of
    which ``var`` is :math:`e^{2g}`. Not convex, twice differentiable. The best
    constants are weighted mean and standard deviation (divisor: sum of the weights).

    A scale is kept in :math:`e^{\pm 353}` (float32: :math:`e^{\pm 43}`): for a g
    outside the density is that of the limit, and the value grows by the distance to it.

    References
    ----------
    D. A. Nix and A. S. Weigend, Estimating the mean and variance of the target
    probability distribution, ICNN 1994, 55-60, eq. (4).

    Examples
    --------
    >>> from skgrad.losses import GaussianNLL
    >>> GaussianNLL()([1.0, 1.0], [[1.0, 0.0], [0.0, 0.0]]).numpy().round(4).tolist()
    [0.9189, 1.4189]
    """

    def standard(self, half: Tensor, rate: Tensor, **hyperparameters: Hyper) -> Tensor:
        """Return ½ log 2π + ½ z², see `LocationScaleNLL.standard`."""
        values: Tensor = 2.0 * ops.square(half * rate) + HALF_LOG_2PI
        return values

    def _frozen(self, location: Any, scale: Any) -> Any:
        from scipy.stats import norm  # noqa: PLC0415  (half a second of its own)

        return norm(loc=location, scale=scale)

    def _best_constant(self, y: Any, weights: Any) -> tuple[float, float]:
        mean = weights @ y
        return mean, math.sqrt(weights @ (y - mean) ** 2)


@register_loss("student_t_nll")
class StudentTNLL(LocationScaleNLL):
    r"""The negative log-likelihood of Student's t distribution with its own scale.

    The raw predictions of a target are the location m and the logarithm g of the scale,
    :math:`s = e^g`; with :math:`z = (y - m) / s` and :math:`\nu` degrees of freedom

    .. math:: \ell = g + \tfrac{\nu + 1}2 \log\Bigl(1 + \frac{z^2}\nu\Bigr)
              + \tfrac12 \log(\nu\pi)
              + \log\Gamma(\tfrac\nu2) - \log\Gamma(\tfrac{\nu + 1}2),

    for targets with outliers, which pull less the farther away they are.

    Parameters
    ----------
    df : float, default=5.0
        Degrees of freedom :math:`\nu`, positive; 1 is the Cauchy distribution, and
        large ones approach the normal one.

    Raises
    ------
    ParameterError
        On use, if `df` is not positive and finite.

    Notes
    -----
    Shapes, and limits of the scale, as for `GaussianNLL`; `distribution` gives
    ``scipy.stats.t``, whose ``logpdf`` is minus this value. The location is the mean
    (df > 1) and the median; the standard deviation is :math:`s \sqrt{\nu / (\nu - 2)}`
    for df > 2. Not convex, twice differentiable. The best constants are found by the
    EM algorithm; for df < 1 that may be a local minimum, or none but a scale of 0.

    References
    ----------
    K. L. Lange, R. J. A. Little and J. M. G. Taylor, Robust statistical modeling using
    the t distribution, Journal of the American Statistical Association 84 (1989)
    881-896. J. T. Kent, D. E. Tyler and Y. Vardi, A curious likelihood identity for the
    multivariate t-distribution, Communications in Statistics: Simulation 23 (1994)
    441-453 (the iteration of the best constant).

    Examples
    --------
    >>> from skgrad.losses import StudentTNLL
    >>> loss = StudentTNLL(df=1.0)
    >>> loss([0.0, 3.0], [[0.0, 0.0], [0.0, 0.0]]).numpy().round(4).tolist()
    [1.1447, 3.4473]
    """

    hyperparameter_domains: ClassVar[Mapping[str, Interval]] = MappingProxyType(
        {"df": Interval(0.0, np.inf)}
    )

    def __init__(self, df: float = 5.0) -> None:
        self.df = df

    def standard(self, half: Tensor, rate: Tensor, **hyperparameters: Hyper) -> Tensor:
        """Return the negative log-density, see `LocationScaleNLL.standard`."""
        df = ops.astype(hyperparameters["df"], half.dtype)
        root = ops.sqrt(df)
        a = half * (2.0 * rate / root)
        # With m = max(|a|, 1) and c = a clipped to ±1 it is log(1 + a²) = 2 log m +
        # log(1 + (c / m)²): no square of a large number, and no kink of |a| near 0.
        size = ops.absolute(a)
        m = ops.where(ops.greater(size, 1.0), size, 1.0)
        inner, _ = split(a, 1.0)
        log_sum = 2.0 * ops.log(m) + ops.log1p(ops.square(inner / m))
        constant = ops.log(root) + 0.5 * math.log(math.pi) - _log_gamma_ratio(0.5 * df)
        values: Tensor = 0.5 * (df + 1.0) * log_sum + constant
        return values

    def _frozen(self, location: Any, scale: Any) -> Any:
        from scipy.stats import t  # noqa: PLC0415  (half a second of its own)

        return t(df=float(self.df), loc=location, scale=scale)

    def _best_constant(self, y: Any, weights: Any) -> tuple[float, float]:
        df = float(self.df)
        m, s = _median_and_spread(y, weights)
        smallest = (
            EM_TOL * s
        )  # with few targets and df < 1 the likelihood may be infinite
        for _ in range(MAX_EM):
            if s <= smallest:
                break
            u = weights / (df + ((y - m) / s) ** 2)
            u /= u.sum()
            before, m = (m, s), u @ y
            s = math.sqrt(u @ (y - m) ** 2)
            if max(abs(m - before[0]), abs(s - before[1])) <= EM_TOL * s:
                break
        return m, s


MAX_EM, EM_TOL = 1000, 1e-15


def _median_and_spread(y: Any, weights: Any) -> tuple[float, float]:
    """Return a median and the mean distance to it."""
    order = np.argsort(y)
    middle = np.searchsorted(np.cumsum(weights[order]), 0.5)
    m = float(y[order[min(middle, y.size - 1)]])
    return m, float(weights @ np.abs(y - m))


# log Γ(x + ½) - log Γ(x) = ½ log w + Σ c_k / w^2k with w = x - ¼. The c_k follow from
# the series of log Γ(x + a) in Bernoulli polynomials (NIST DLMF 5.11.8), computed with
# mpmath; six of them are exact to 2e-17 from w = 12 on.
SERIES = (
    1 / 64,
    -5 / 2048,
    61 / 49152,
    -1385 / 1048576,
    50521 / 20971520,
    -2702765 / 402653184,
)
STEPS = 12


def _log_gamma_ratio(x: Tensor) -> Tensor:
    """Return log Γ(x + ½) - log Γ(x) for positive x."""
    product: Any = 1.0
    for j in range(STEPS):  # Γ(x + 1) = x Γ(x): up to where the series is exact
        product = product * ((x + float(j)) / (x + (j + 0.5)))
    w = x + (STEPS - 0.25)
    power = 1.0 / ops.square(w)
    series: Any = 0.0
    for c in reversed(SERIES):
        series = (series + c) * power
    ratio: Tensor = ops.log(product) + 0.5 * ops.log(w) + series
    return ratio


def _largest_log_scale(dtype: Any) -> float:
    """Return the largest log scale whose square is a number, and some room."""
    return 0.5 * math.log(np.finfo(dtype).max) - 1.0


def _halves(raw_prediction: Any, n_axes: int) -> tuple[Any, Any]:
    """Return the two halves of the columns, as vectors for targets of one axis."""
    if n_axes == 1:
        return raw_prediction[..., 0], raw_prediction[..., 1]
    k = raw_prediction.shape[-1] // 2
    return raw_prediction[..., :k], raw_prediction[..., k:]
