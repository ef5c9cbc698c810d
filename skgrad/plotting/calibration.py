"""Whether probabilities, intervals and quantiles are what they claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import is_classifier
from sklearn.calibration import calibration_curve

from skgrad.estimators.base import BaseGradientEstimator
from skgrad.estimators.quantiles import QuantileMixin
from skgrad.exceptions import ParameterError
from skgrad.losses import Quantile, get_loss
from skgrad.plotting.models import final_estimator, named_models, one_target, require
from skgrad.plotting.style import GREY, color, figure_style, panels
from skgrad.typing import Array

__all__ = ["CalibrationCurve", "CalibrationDisplay"]

LEVELS = np.linspace(0.05, 0.95, 19)
N_HISTOGRAM = 20  # bins
NORMAL_95 = 1.96  # half the width of a 95 % interval in standard errors

# Axis labels of each kind, and that of the histogram beneath.
LABELS = {
    "probability": (
        "predicted probability",
        "observed frequency",
        "predicted probability",
    ),
    "confidence": ("confidence", "accuracy", "confidence"),
    "coverage": ("nominal coverage of the interval", "observed coverage", "cdf at y"),
    "quantile": ("nominal quantile", "share of y below", ""),
}


@dataclass(frozen=True)
class CalibrationCurve:
    """What one model claims, and what is observed.

    Parameters
    ----------
    claimed : array-like of shape (n_points,)
        Probabilities, nominal coverages or quantiles.
    observed : array-like of shape (n_points,)
        Frequencies, coverages or shares below.
    values : array-like of shape (n_samples,), default=()
        Numbers in [0, 1] whose histogram is drawn beneath.

    Examples
    --------
    >>> from skgrad.plotting import CalibrationCurve
    >>> CalibrationCurve([0.1, 0.9], [0.12, 0.85]).observed
    [0.12, 0.85]
    """

    claimed: Any
    observed: Any
    values: Any = ()


class CalibrationDisplay:
    """Claims against observations, on the diagonal where a model is right.

    Of classifiers the predicted probability against the frequency of the positive
    class, or, with three or more classes, the probability of the predicted class
    against the accuracy. Of regressors with ``predict_distribution`` the nominal
    coverage of central intervals against the observed one. Of quantile regressors the
    quantile against the share of targets not above it: a curve of those of one quantile
    together, and one of each that predicts several. Use :meth:`from_estimator`.

    Beneath is the histogram of the probabilities, or of the distribution functions at
    the targets, which is flat if the distributions are right. The grey band is where
    95 % of the points of an ideal model would be, by the number of samples alone.

    Parameters
    ----------
    curves : dict of str to CalibrationCurve
        One per model, by name; regressors of one quantile each are one together.
    kind : {"probability", "confidence", "coverage", "quantile"}, default="probability"
        What is claimed.
    n_samples : int, default=None
        For the band, which is drawn for coverages and quantiles.

    Attributes
    ----------
    figure_ : Figure
        The figure.
    ax_ : Axes
        Where the curves are.
    histogram_ax_ : Axes or None
        Where the histogram is.
    lines_ : dict of str to Line2D
        The curves by name.

    Examples
    --------
    >>> from skgrad.plotting import CalibrationCurve, CalibrationDisplay
    >>> curve = CalibrationCurve([0.1, 0.5, 0.9], [0.05, 0.5, 0.93])
    >>> CalibrationDisplay({"model": curve}).plot().ax_.get_ylabel()
    'observed frequency'
    """

    def __init__(
        self,
        curves: Mapping[str, CalibrationCurve],
        kind: str = "probability",
        n_samples: int | None = None,
    ) -> None:
        if kind not in LABELS:
            raise ParameterError(f"kind must be one of {list(LABELS)}. Got {kind!r}.")
        self.curves = dict(curves)
        self.kind = kind
        self.n_samples = n_samples

    @classmethod
    def from_estimator(
        cls,
        models: Any,
        X: Any,
        y: Any,
        *,
        n_bins: int = 10,
        strategy: str = "quantile",
        ax: Any = None,
    ) -> Self:
        """Draw the calibration of fitted models, all of one kind.

        Parameters
        ----------
        models : estimator, list of estimators or dict of estimators
            Classifiers with probabilities, regressors with distributions, or quantile
            regressors; the keys of a dict are their names.
        X : array-like of shape (n_samples, n_features)
            Inputs, best those of a test set.
        y : array-like of shape (n_samples,)
            Targets.
        n_bins : int, default=10
            Bins of probabilities.
        strategy : {"quantile", "uniform"}, default="quantile"
            Bins with equal numbers of samples or of equal width.
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        CalibrationDisplay
            The display, drawn.

        Raises
        ------
        ParameterError
            If a model claims nothing that can be checked, or models differ in kind.
        """
        named, y = named_models(models), one_target(y, "y")
        kinds = {name: _kind(model) for name, model in named.items()}
        kind = next(iter(kinds.values()))
        if set(kinds.values()) != {kind}:
            raise ParameterError(
                f"All models must be of one kind. Got {kinds}: draw a display of each."
            )
        if kind == "quantile":
            curves = _quantile_curves(named, X, y)
        elif kind == "coverage":
            curves = {name: _coverage(model, X, y) for name, model in named.items()}
        else:
            options = {"n_bins": n_bins, "strategy": strategy}
            curves = {
                name: _reliability(model, X, y, options)
                for name, model in named.items()
            }
        return cls(curves, kind, len(y)).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        CalibrationDisplay
            The display itself.
        """
        below = any(len(curve.values) for curve in self.curves.values())
        heights = [4.0, 1.3] if below else [4.0]
        with figure_style(ax):
            self.figure_, axes = panels(ax, heights, size=(6.0, 0.6 + sum(heights)))
            self.ax_, self.histogram_ax_ = axes[0], axes[1] if below else None
            self._draw_reference()
            self.lines_ = {
                name: self._draw(i, name) for i, name in enumerate(self.curves)
            }
            self._set_axes()
        return self

    def _draw_reference(self) -> None:
        self.ax_.plot(
            [0, 1], [0, 1], color=GREY, linewidth=1.2, zorder=1, label="ideal"
        )
        if self.n_samples and self.kind in ("coverage", "quantile"):
            p = np.linspace(0, 1, 101)
            margin = NORMAL_95 * np.sqrt(p * (1 - p) / self.n_samples)
            style = {"color": GREY, "alpha": 0.25, "linewidth": 0, "zorder": 0}
            style["label"] = "95 % if ideal"
            self.ax_.fill_between(p, p - margin, p + margin, **style)

    def _draw(self, index: int, name: str) -> Any:
        curve = self.curves[name]
        style: dict[str, Any] = {"color": color(index), "label": name}
        if len(curve.claimed) < len(LEVELS):
            style |= {"marker": "o", "markersize": 5}
        (line,) = self.ax_.plot(curve.claimed, curve.observed, **style)
        if len(curve.values) and self.histogram_ax_ is not None:
            self.histogram_ax_.hist(
                curve.values,
                bins=np.linspace(0, 1, N_HISTOGRAM + 1),
                histtype="step",
                color=color(index),
                linewidth=1.6,
            )
        return line

    def _set_axes(self) -> None:
        x_label, y_label, histogram_label = LABELS[self.kind]
        self.ax_.set(
            xlabel=x_label, ylabel=y_label, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02)
        )
        if self.histogram_ax_ is not None:
            if self.kind == "coverage" and self.n_samples:
                flat = self.n_samples / N_HISTOGRAM
                self.histogram_ax_.axhline(flat, color=GREY, linewidth=1.2, zorder=0)
            self.histogram_ax_.set(
                xlabel=histogram_label,
                ylabel="samples",
                xlim=(-0.02, 1.02),
            )
        self.ax_.legend(loc="upper left", frameon=False)


def _kind(model: Any) -> str:
    """Return what a model claims."""
    final = final_estimator(model)
    if is_classifier(model):
        remedy = "Use a loss with probabilities, such as 'log_loss'."
        require(model, "predict_proba", remedy)
        return "probability" if len(model.classes_) == 2 else "confidence"
    if _levels(final):
        return "quantile"
    remedy = "Use loss='gaussian_nll' or 'quantile': a point claims nothing to check."
    require(final, "predict_distribution", remedy)
    return "coverage"


def _levels(model: Any) -> list[float]:
    """Return which quantiles a regressor predicts."""
    if isinstance(model, QuantileMixin):
        return [float(level) for level in model.quantiles_]
    if isinstance(model, BaseGradientEstimator):
        loss = get_loss(model.loss)
        return [float(loss.quantile)] if isinstance(loss, Quantile) else []
    level = getattr(model, "quantile", None)  # as scikit-learn's regressors call it
    return [] if level is None else [float(level)]


def _reliability(
    model: Any, X: Any, y: Array, options: Mapping[str, Any]
) -> CalibrationCurve:
    """Return binned probabilities and the frequencies of what they are of."""
    probabilities = np.asarray(model.predict_proba(X))
    if probabilities.shape[1] == 2:
        values, happened = probabilities[:, 1], y == model.classes_[1]
    else:
        values = probabilities.max(axis=1)
        happened = y == model.classes_[probabilities.argmax(axis=1)]
    observed, claimed = calibration_curve(happened, values, **options)
    return CalibrationCurve(claimed, observed, values)


def _coverage(model: Any, X: Any, y: Array) -> CalibrationCurve:
    """Return how many targets are in the central intervals of their distributions."""
    final = final_estimator(model)
    inputs = X if final is model else model[:-1].transform(X)
    cdf = np.asarray(final.predict_distribution(inputs).cdf(y))
    distance = 2 * np.abs(cdf - 0.5)
    return CalibrationCurve(
        LEVELS, [(distance <= level).mean() for level in LEVELS], cdf
    )


def _quantile_curves(
    models: Mapping[str, Any], X: Any, y: Array
) -> dict[str, CalibrationCurve]:
    """Return a curve of each model of several quantiles, and one of all others."""
    points: dict[str, list[tuple[float, float]]] = {}
    for name, model in models.items():
        levels = _levels(final_estimator(model))
        predicted = np.reshape(model.predict(X), (len(y), -1))
        shares = (y[:, None] <= predicted).mean(axis=0).tolist()
        curve = name if len(levels) > 1 else "quantile regressors"
        points.setdefault(curve, []).extend(zip(levels, shares, strict=True))
    return {
        name: CalibrationCurve(*zip(*sorted(some), strict=True))
        for name, some in points.items()
    }
