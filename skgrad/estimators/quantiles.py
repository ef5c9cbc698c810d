"""What estimators of quantiles share: predictions, intervals and their measures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils.validation import column_or_1d

from skgrad.core.checks import check_interval
from skgrad.core.random import host_generator
from skgrad.estimators.base import BaseGradientEstimator
from skgrad.estimators.fitting import Rows
from skgrad.estimators.targets import GradientRegressorMixin
from skgrad.exceptions import ParameterError
from skgrad.losses import Loss, Quantiles
from skgrad.losses.quantiles import check_levels
from skgrad.typing import Array

__all__ = ["Calibration", "ConformalEstimator", "QuantileMixin", "read_levels"]

# Levels and ranks computed from a coverage may miss by rounding: (1 - 0.9) / 2 < 0.05.
ROUNDING = 1e-9


def read_levels(owner: str, quantile: Any) -> tuple[Array, bool]:
    """Return the levels that a ``quantile`` parameter holds.

    Parameters
    ----------
    owner : str
        Class or method the parameter belongs to, for the message.
    quantile : float or sequence of float
        One level in (0, 1), or several, strictly increasing.

    Returns
    -------
    levels : ndarray of shape (n_levels,)
        In float64.
    single : bool
        Whether it was a number.

    Raises
    ------
    ParameterError
        Otherwise.

    Examples
    --------
    >>> from skgrad.estimators.quantiles import read_levels
    >>> read_levels("MLPQuantileRegressor", 0.5)
    (array([0.5]), True)
    >>> read_levels("MLPQuantileRegressor", (0.1, 0.9))
    (array([0.1, 0.9]), False)
    """
    single = isinstance(quantile, Real)
    if single:
        check_interval(owner, "quantile", quantile, 0.0, 1.0)
    else:
        check_levels(owner, "quantile", quantile)
    return np.atleast_1d(np.asarray(quantile, dtype=np.float64)), single


@dataclass(frozen=True)
class Calibration:
    """Rows that were kept out of a fit, to correct its intervals by.

    Parameters
    ----------
    predicted : array of shape (n_rows, n_levels)
        Their predicted quantiles.
    y : array of shape (n_rows,)
        Their targets.
    w : array of shape (n_rows,)
        Their weights, all positive.
    """

    predicted: Array
    y: Array
    w: Array

    def margin(self, interval: Array, coverage: float) -> float:
        """Return what an interval must grow by at both ends, negative if it shrinks.

        It is the smallest number that reaches the rank ``(n_rows + 1) * coverage``
        among the scores ``max(lower - y, y - upper)``, each counted with its weight
        (of mean one).

        Parameters
        ----------
        interval : array of shape (n_rows, 2)
            Lower and upper ends for these rows.
        coverage : float
            In (0, 1).

        Returns
        -------
        float
            In the units of the target.

        Raises
        ------
        ValueError
            If there are too few rows.

        References
        ----------
        Y. Romano, E. Patterson and E. J. Candès, Conformalized quantile regression,
        NeurIPS 2019, eq. (6)-(8). R. J. Tibshirani, R. Foygel Barber, E. J. Candès and
        A. Ramdas, Conformal prediction under covariate shift, NeurIPS 2019 (weights).
        """
        n = len(self.y)
        rank = (n + 1) * coverage - ROUNDING
        if rank > n:
            raise ValueError(
                f"predict_interval(coverage={coverage:g}) needs at least "
                f"{fewest_rows(coverage)} rows for calibration. There were {n}: fit "
                "more rows, raise calibration_fraction, or ask for less coverage."
            )
        lower, upper = interval.T.astype(np.float64)
        scores = np.maximum(lower - self.y, self.y - upper)
        order = np.argsort(scores, kind="stable")
        reached = np.cumsum(self.w[order] / self.w.mean())
        return float(scores[order][min(np.searchsorted(reached, rank), n - 1)])


def fewest_rows(coverage: float) -> int:
    """Return the fewest rows of calibration that an interval needs.

    Parameters
    ----------
    coverage : float
        In (0, 1).

    Returns
    -------
    int
        The smallest n with ``(n + 1) * coverage <= n``.

    Examples
    --------
    >>> from skgrad.estimators.quantiles import fewest_rows
    >>> [fewest_rows(coverage) for coverage in (0.5, 0.9, 0.95, 0.999)]
    [1, 9, 19, 999]
    """
    exact = coverage / (1 - coverage)
    return max(1, math.ceil(exact * (1 - ROUNDING)))


class QuantileMixin(GradientRegressorMixin):
    """Regressors of one or several quantiles of one target.

    The estimator has a parameter ``quantile`` and no ``loss``. Its fit calls
    ``_publish``, and ``_raw_predict`` returns a column per level (or a vector).
    """

    _calibration: Calibration | None = None

    def _make_loss(self) -> Loss:
        levels, _ = read_levels(type(self).__name__, self.quantile)
        return Quantiles(tuple(levels.tolist()))

    def _check_y(self, X, y, dtype, reset):
        X, y = super()._check_y(X, y, dtype, reset)
        if y.ndim == 2 and y.shape[1] > 1:
            raise ValueError(
                f"{type(self).__name__} fits quantiles of one target. y has shape "
                f"{y.shape}: fit a model for each column, for example with "
                "sklearn.multioutput.MultiOutputRegressor and one quantile."
            )
        return X, column_or_1d(y, warn=True)

    def _publish(self) -> None:
        self.quantiles_, self._single = read_levels(type(self).__name__, self.quantile)
        super()._publish()

    # --- predictions --------------------------------------------------------------

    def predict(self, X, quantile=None):
        """Return predicted quantiles on the scale of the target.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        quantile : float or sequence of float, default=None
            Levels, strictly increasing if there are several, within the range of the
            fitted ones; between two of these predictions are interpolated linearly.
            None stands for the levels of the fit.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_levels)
            A column per level; a vector if ``quantile`` (or that of the fit) is a
            number.

        Raises
        ------
        ParameterError
            If a level lies outside of the fitted range.
        """
        predicted = self._predicted(X)
        if quantile is None:
            return predicted[:, 0] if self._single else predicted
        levels, single = read_levels("predict", quantile)
        self._check_range(levels, f"predict(quantile={quantile!r})")
        found = self._interpolated(predicted, levels)
        return found[:, 0] if single else found

    def predict_interval(self, X, coverage=0.9):
        """Return an interval per sample that holds the target with some probability.

        Its ends are the quantiles of the levels ``(1 - coverage) / 2`` and
        ``(1 + coverage) / 2``, interpolated as in `predict`. With ``conformalize=True``
        both ends are moved outwards by one number (inwards, if it is negative), so that
        rows which were kept out of the fit are covered.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        coverage : float, default=0.9
            The probability, in (0, 1).

        Returns
        -------
        ndarray of shape (n_samples, 2)
            Lower and upper ends; both the middle, where they would cross.

        Raises
        ------
        ParameterError
            If a level lies outside of the fitted range.
        ValueError
            If there are too few rows of calibration: the message says how many are
            needed.
        """
        predicted = self._predicted(X)
        check_interval("predict_interval", "coverage", coverage, 0.0, 1.0)
        levels = np.array([0.5 - 0.5 * coverage, 0.5 + 0.5 * coverage])
        self._check_range(levels, f"predict_interval(coverage={coverage:g})")
        interval = self._interpolated(predicted, levels)
        kept, margin = self._calibration, 0.0
        if kept is not None:
            margin = kept.margin(self._interpolated(kept.predicted, levels), coverage)
        middle = interval.mean(axis=1)
        lower = np.minimum(interval[:, 0] - margin, middle)
        upper = np.maximum(interval[:, 1] + margin, middle)
        return np.column_stack([lower, upper]).astype(interval.dtype)

    def _predicted(self, X: Any) -> Array:
        """Return the fitted quantiles, (n_samples, n_levels)."""
        raw = self._raw_predict(X)
        return raw.reshape(len(raw), -1)

    def _check_range(self, levels: Array, asked: str) -> None:
        """Refuse levels that would be extrapolated."""
        low, high = self.quantiles_[[0, -1]]
        outside = (levels < low - ROUNDING) | (levels > high + ROUNDING)
        if not outside.any():
            return
        fitted = f"only {low:g}" if low == high else f"{low:g} to {high:g}"
        raise ParameterError(
            f"{asked} needs the quantile {levels[outside][0]:g}. {type(self).__name__} "
            f"was fitted for {fitted} and interpolates between levels, never beyond. "
            "Fit it with a 'quantile' parameter that holds it."
        )

    def _interpolated(self, predicted: Array, levels: Array) -> Array:
        """Return predictions of levels from those of the fitted ones around them."""
        fitted = self.quantiles_
        levels = np.clip(levels, fitted[0], fitted[-1])
        left = np.searchsorted(fitted, levels, side="right") - 1
        right = np.minimum(left + 1, len(fitted) - 1)
        gap = np.where(right > left, fitted[right] - fitted[left], 1.0)
        share = ((levels - fitted[left]) / gap).astype(predicted.dtype)
        low, high = predicted[:, left], predicted[:, right]
        return low + share * (high - low)

    # --- measures -----------------------------------------------------------------

    def pinball_loss(self, X, y, sample_weight=None):
        """Return the mean pinball loss of each level, the smaller the better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        float or ndarray of shape (n_levels,)
            :func:`sklearn.metrics.mean_pinball_loss` per level, in the units of the
            target; a float if the fitted ``quantile`` is a number.
        """
        # Imported by what needs it: 0.1 s of a process that does nothing else.
        from sklearn.metrics import mean_pinball_loss  # noqa: PLC0415

        found = self._per_level(mean_pinball_loss, X, y, sample_weight)
        return float(found[0]) if self._single else found

    def score(self, X, y, sample_weight=None):
        """Return the part of the pinball loss that is explained, not R².

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        float
            The mean over the levels of :func:`sklearn.metrics.d2_pinball_score`: 1 for
            exact predictions, 0 for those of the best constants.
        """
        from sklearn.metrics import d2_pinball_score  # noqa: PLC0415 - as above

        return float(self._per_level(d2_pinball_score, X, y, sample_weight).mean())

    def _per_level(self, metric: Any, X: Any, y: Any, sample_weight: Any) -> Array:
        """Return a metric of scikit-learn for each level."""
        predicted = self._predicted(X)
        pairs = zip(self.quantiles_.tolist(), predicted.T, strict=True)
        return np.array(
            [metric(y, f, sample_weight=sample_weight, alpha=q) for q, f in pairs]
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = False
        return tags


class ConformalEstimator(BaseGradientEstimator):
    """Keeps a random part of the rows out of the fit, to correct intervals by.

    Base of the estimators with the parameters ``conformalize`` and
    ``calibration_fraction``; stands right of `QuantileMixin`.
    """

    conformalize: bool
    calibration_fraction: float
    _kept_out: Rows | None

    def _fit(self, *args, **kwargs):
        try:
            fitted = super()._fit(*args, **kwargs)
            self._calibrate(self._kept_out)
        finally:
            self.__dict__.pop("_kept_out", None)
        return fitted

    def _calibrate(self, kept: Rows | None) -> None:
        """Note what is predicted for the rows that were kept out."""
        self._calibration, self.n_calibration_ = None, 0
        if kept is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                raw = self._raw_of(kept.X)
            predicted = raw.reshape(len(raw), -1)
            self._calibration = Calibration(predicted, kept.y, kept.w)
            self.n_calibration_ = len(raw)

    def _held_out(self, rows: Rows, given: Rows | None, seed: int):
        rows, self._kept_out = self._split_off(rows, seed)
        return super()._held_out(rows, given, seed)

    def _refitted(self, rows: Rows, *args):
        return super()._refitted(self._split_off(rows, args[-1].seed)[0], *args)

    def _split_off(self, rows: Rows, seed: int) -> tuple[Rows, Rows | None]:
        """Return the rows for the fit and those for calibration, the same each time."""
        if not self.conformalize:
            return rows, None
        n = rows.n_rows
        size = math.ceil(self.calibration_fraction * n)
        if size == n:
            raise ParameterError(
                f"calibration_fraction={self.calibration_fraction:g} leaves no rows to "
                f"fit of n_samples={n}. Fit more rows, or set conformalize=False."
            )
        order = host_generator(seed, "split", 1).permutation(n)
        return rows.take(np.sort(order[size:])), rows.take(np.sort(order[:size]))

    def _structure(self, rows: Rows, loss: Loss):
        names = "conformalize", "calibration_fraction"
        own = {f"the {name!r} parameter": getattr(self, name) for name in names}
        return {**super()._structure(rows, loss), **own}
