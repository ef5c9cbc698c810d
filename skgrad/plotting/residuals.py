"""Residuals of regressors, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from skgrad.exceptions import ParameterError
from skgrad.plotting.models import named_models, one_target
from skgrad.plotting.style import INK, color, figure_style, panels, shortened
from skgrad.typing import Array

__all__ = ["ResidualsDisplay"]

COLUMNS = 3
ROWS_PER_BIN = 20  # fewer do not tell a decile from noise
MOST_BINS = 10


class ResidualsDisplay:
    """Residuals against predictions of one or several regressors, one panel each.

    The line is the median of the residuals, and the band reaches from their first to
    their last decile, both in bins of equal numbers of predictions: a line that is not
    flat shows what the model misses, a band that widens a spread that is not constant.
    For a model of a quantile q the share of residuals below 0 should be q. Use
    :meth:`from_estimator`.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Targets.
    predictions : dict of str to array-like of shape (n_samples,)
        Predictions by name of the model.

    Attributes
    ----------
    figure_ : Figure
        The figure.
    axes_ : dict of str to Axes
        The panels by name of the model.
    ax_ : Axes
        The first of them.
    scatter_ : dict of str to PathCollection
        The points by name of the model.
    lines_ : dict of str to Line2D
        The medians by name of the model, where they are drawn.
    bands_ : dict of str to FillBetweenPolyCollection
        The bands by name of the model, where they are drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.plotting import ResidualsDisplay
    >>> y = np.arange(50.0)
    >>> display = ResidualsDisplay(y, {"mean": np.full(50, 24.5), "exact": y}).plot()
    >>> display.axes_["mean"].get_ylabel()
    'residual'
    """

    def __init__(self, y_true: Any, predictions: Mapping[str, Any]) -> None:
        self.y_true = one_target(y_true, "y")
        self.predictions = {
            name: one_target(y_pred, f"The predictions of {name}")
            for name, y_pred in predictions.items()
        }
        for name, y_pred in self.predictions.items():
            if y_pred.shape != self.y_true.shape:
                raise ParameterError(
                    f"y has shape {self.y_true.shape} and the predictions of {name} "
                    f"{y_pred.shape}: they must be the same."
                )

    @classmethod
    def from_estimator(
        cls,
        models: Any,
        X: Any,
        y: Any,
        *,
        trend: bool = True,
        max_points: int = 2000,
        random_state: int | None = 0,
        ax: Any = None,
    ) -> Self:
        """Draw the residuals of fitted regressors.

        Parameters
        ----------
        models : estimator, list of estimators or dict of estimators
            Fitted regressors, of any library; the keys of a dict are their names.
        X : array-like of shape (n_samples, n_features)
            Inputs, best those of a test set.
        y : array-like of shape (n_samples,)
            Targets.
        trend : bool, default=True
            Draw the median and the band of the residuals.
        max_points : int, default=2000
            Points drawn, a random sample; everything else uses all rows.
        random_state : int, default=0
            Seed of the sample.
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        ResidualsDisplay
            The display, drawn.
        """
        predictions = {
            name: model.predict(X) for name, model in named_models(models).items()
        }
        return cls(y, predictions).plot(
            trend=trend, max_points=max_points, random_state=random_state, ax=ax
        )

    def plot(
        self,
        *,
        trend: bool = True,
        max_points: int = 2000,
        random_state: int | None = 0,
        ax: Any = None,
    ) -> Self:
        """Draw the residuals.

        Parameters
        ----------
        trend : bool, default=True
            See :meth:`from_estimator`.
        max_points : int, default=2000
            See :meth:`from_estimator`.
        random_state : int, default=0
            See :meth:`from_estimator`.
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        ResidualsDisplay
            The display itself.
        """
        n_rows = -(-len(self.predictions) // COLUMNS)
        n_columns = -(-len(self.predictions) // n_rows)
        n = len(self.y_true)
        rng = np.random.default_rng(random_state)
        shown = np.sort(rng.permutation(n)[:max_points])
        with figure_style(ax):
            self.figure_, axes = panels(
                ax,
                [1] * n_rows,
                [1] * n_columns,
                size=(max(5.5, 3.6 * n_columns), 0.6 + 3.4 * n_rows),
                sharex=True,
                sharey=True,
            )
            self.axes_ = dict(zip(self.predictions, axes, strict=False))
            self.ax_ = axes[0]
            self.scatter_: dict[str, Any] = {}
            self.lines_: dict[str, Any] = {}
            self.bands_: dict[str, Any] = {}
            for name in self.predictions:
                self._draw(name, shown, trend)
            _label_outer(axes, len(self.predictions), n_columns)
        return self

    def _draw(self, name: str, shown: Array, trend: bool) -> None:
        ax, y_pred = self.axes_[name], self.predictions[name]
        residual = self.y_true - y_pred
        self.scatter_[name] = ax.scatter(
            y_pred[shown],
            residual[shown],
            s=14,
            color=color(0),
            alpha=0.35 if trend else 0.5,
            linewidths=0,
        )
        ax.axhline(0, color=INK, linewidth=1)
        centers, deciles = _deciles_by_bin(y_pred, residual)
        if trend and len(centers) > 1:
            low, middle, high = deciles
            (self.lines_[name],) = ax.plot(centers, middle, color=color(1))
            self.bands_[name] = ax.fill_between(
                centers, low, high, color=color(1), alpha=0.2, linewidth=0
            )
        finite = residual[np.isfinite(residual)]
        ax.set_title(
            f"{shortened(name, 32)}\nmean |r| {abs(finite).mean():.3g}, "
            f"{(finite < 0).mean():.0%} below 0",
            loc="left",
        )


def _deciles_by_bin(y_pred: Array, residual: Array) -> tuple[Array, Array]:
    """Return the mean prediction and deciles 1, 5 and 9 of the residuals of each bin.

    Bins hold equal numbers of rows, in the order of their predictions.
    """
    finite = np.isfinite(y_pred) & np.isfinite(residual)
    y_pred, residual = y_pred[finite], residual[finite]
    n_bins = min(MOST_BINS, len(y_pred) // ROWS_PER_BIN)
    if n_bins < 2 or np.ptp(y_pred) == 0:
        return np.empty(0), np.empty((3, 0))
    bins = np.array_split(np.argsort(y_pred, kind="stable"), n_bins)
    centers = np.array([y_pred[rows].mean() for rows in bins])
    deciles = [np.quantile(residual[rows], (0.1, 0.5, 0.9)) for rows in bins]
    return centers, np.array(deciles).T


def _label_outer(axes: list[Any], n_used: int, n_columns: int) -> None:
    """Label the outer panels only, and drop those without a model."""
    for i, ax in enumerate(axes):
        if i % n_columns == 0:
            ax.set_ylabel("residual")
        if i + n_columns >= n_used:
            ax.set_xlabel("prediction")
            ax.tick_params(labelbottom=True)
        if i >= n_used:
            ax.set_axis_off()
