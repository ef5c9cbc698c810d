"""The range test of the learning rate."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from skgrad.estimators.html import spans_a_decade
from skgrad.exceptions import ParameterError
from skgrad.plotting.models import final_estimator, require
from skgrad.plotting.style import color, figure_style, panels

__all__ = ["LearningRateDisplay"]

REMEDY = (
    "Fit with a stochastic optimizer and learning_rate='auto', which tests a range of "
    "rates first."
)


class LearningRateDisplay:
    """The loss of a fit whose learning rate grows from step to step.

    The loss falls while the rate is useful and explodes where it is too large; the
    suggested rate is marked. Losses far above the first one are cut off. Use
    :meth:`from_estimator`.

    Parameters
    ----------
    rates : array-like of shape (n_steps,)
        Learning rates.
    losses : array-like of shape (n_steps,)
        The loss at each.
    suggestion : float, default=None
        The rate that is suggested.

    Attributes
    ----------
    figure_ : Figure
        The figure.
    ax_ : Axes
        Where the curve is.
    line_ : Line2D
        The curve.
    suggestion_ : Line2D or None
        The line at the suggestion.

    Examples
    --------
    >>> from skgrad.plotting import LearningRateDisplay
    >>> rates, losses = [1e-4, 1e-3, 1e-2, 1e-1], [1.0, 0.8, 0.4, 90.0]
    >>> LearningRateDisplay(rates, losses, 1e-2).plot().ax_.get_xscale()
    'log'
    """

    def __init__(
        self, rates: Any, losses: Any, suggestion: float | None = None
    ) -> None:
        self.rates = np.asarray(rates, dtype=float)
        self.losses = np.asarray(losses, dtype=float)
        self.suggestion = suggestion
        if self.rates.shape != self.losses.shape or self.rates.ndim != 1:
            raise ParameterError(
                "There must be one loss per rate. Got rates of shape "
                f"{self.rates.shape} and losses of shape {self.losses.shape}."
            )

    @classmethod
    def from_estimator(cls, model: Any, *, ax: Any = None) -> Self:
        """Draw the test that chose the learning rate of a fitted estimator.

        Parameters
        ----------
        model : estimator
            One fitted with ``learning_rate="auto"``.
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        LearningRateDisplay
            The display, drawn.

        Raises
        ------
        ParameterError
            If the fit made no such test.
        """
        model = final_estimator(model)
        report = require(model, "fit_report_", f"{REMEDY}")
        test = report.get("learning_rate_test")
        if test is None:
            raise ParameterError(
                f"This {type(model).__name__} tested no learning rates. {REMEDY}"
            )
        return cls(test["rates"], test["losses"], test["suggestion"]).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the curve.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        LearningRateDisplay
            The display itself.
        """
        with figure_style(ax):
            self.figure_, (self.ax_,) = panels(ax, size=(7.0, 4.0))
            (self.line_,) = self.ax_.plot(self.rates, self.losses, color=color(0))
            self.ax_.set(xscale="log", xlabel="learning rate", ylabel="loss")
            self._cut_off()
            self.suggestion_ = self._draw_suggestion()
        return self

    def _cut_off(self) -> None:
        """Leave the explosion out, which would flatten everything else."""
        finite = self.losses[np.isfinite(self.losses)]
        if not finite.size:
            return
        ceiling = finite[0] + 0.5 * (finite[0] - finite.min())
        visible = finite[finite <= ceiling]
        if visible.size < finite.size and np.ptp(visible) > 0:
            margin = 0.05 * np.ptp(visible)
            self.ax_.set_ylim(visible.min() - margin, ceiling)
        if spans_a_decade(visible):
            self.ax_.set_yscale("log")
            self.ax_.set_ylim(0.8 * visible.min(), ceiling)

    def _draw_suggestion(self) -> Any:
        if self.suggestion is None:
            return None
        style = {"color": color(1), "linestyle": "--", "linewidth": 1.5}
        line = self.ax_.axvline(self.suggestion, **style)
        self.ax_.annotate(
            f"suggestion {self.suggestion:.2g}",
            (self.suggestion, 1),
            xycoords=self.ax_.get_xaxis_transform(),
            xytext=(-6, -2),
            textcoords="offset points",
            ha="right",
            va="top",
            color=color(1),
        )
        return line
