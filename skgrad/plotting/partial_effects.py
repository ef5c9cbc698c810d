"""Effects of the terms of additive models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from skgrad.estimators.additive_summary import PartialEffect
from skgrad.exceptions import ParameterError
from skgrad.plotting.models import final_estimator, require
from skgrad.plotting.style import GREY, color, figure_style, panels, shortened
from skgrad.typing import Array

__all__ = ["PartialEffectDisplay"]

COLUMNS = 3
MOST_MARKS = 500  # of the rows at the foot of a panel
LEVELS = 15
# Where a line ends and a mark begins, in parts of the height of a panel.
RUG_HEIGHT = 0.035


class PartialEffectDisplay:
    """What each term of an additive model adds to the raw prediction.

    Lines with a band for smooth effects, dots with bars for factors, both on one scale;
    contours for effects of two columns. Use :meth:`from_estimator`.

    Parameters
    ----------
    effects : sequence of PartialEffect
        One for each panel, as ``partial_effect`` of a model returns them.
    rows : sequence of array-like, default=None
        Values of the columns of each term at some rows, marked at the foot of its
        panel.

    Attributes
    ----------
    figure_ : Figure
        The figure.
    axes_ : dict of str to Axes
        The panels by name of the term.
    lines_ : dict of str to Line2D
        Effects of one column.
    bands_ : dict of str to PolyCollection
        Their intervals.
    contours_ : dict of str to QuadContourSet
        Effects of two columns.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import AdditiveRegressor
    >>> from skgrad.plotting import PartialEffectDisplay
    >>> x = np.linspace(0, 1, 50)
    >>> model = AdditiveRegressor().fit(x[:, None], np.sin(6 * x) + np.cos(99 * x))
    >>> display = PartialEffectDisplay.from_estimator(model)
    >>> list(display.axes_)
    ['x0']
    """

    def __init__(self, effects: Sequence[PartialEffect], rows: Any = None) -> None:
        self.effects = list(effects)
        if not self.effects:
            raise ParameterError("There is no effect to draw. Pass at least one.")
        self.rows = [None] * len(self.effects) if rows is None else list(rows)
        if len(self.rows) != len(self.effects):
            raise ParameterError(
                f"There are {len(self.effects)} effects and {len(self.rows)} arrays of "
                "rows: pass one for each."
            )

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        X: Any = None,
        *,
        features: Any = None,
        level: float = 0.95,
        ax: Any = None,
    ) -> Self:
        """Draw the effects of a fitted additive model.

        Parameters
        ----------
        model : AdditiveRegressor or AdditiveClassifier
            A fitted model, or a pipeline or search that ends with one.
        X : array-like of shape (n_samples, n_features), default=None
            Inputs as the model sees them, which are marked at the foot of the panels.
        features : sequence, default=None
            Terms by name or by their columns, as ``partial_effect`` takes them; None
            draws all.
        level : float, default=0.95
            Coverage of the intervals, in (0, 1).
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        PartialEffectDisplay
            The display, drawn.
        """
        model = final_estimator(model)
        names = require(model, "term_names_", "It is not a fitted additive model.")
        asked = list(names if features is None else features)
        effects = [model.partial_effect(each, level=level) for each in asked]
        rows = None if X is None else [model.rows_of(each, X) for each in asked]
        return cls(effects, rows).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the effects.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        PartialEffectDisplay
            The display itself.
        """
        n = len(self.effects)
        n_rows = -(-n // COLUMNS)
        n_columns = -(-n // n_rows)
        with figure_style(ax):
            self.figure_, axes = panels(
                ax,
                [1] * n_rows,
                [1] * n_columns,
                size=(max(5.5, 3.6 * n_columns), 0.4 + 3.1 * n_rows),
            )
            names = [effect.name for effect in self.effects]
            self.axes_ = dict(zip(names, axes, strict=False))
            self.lines_: dict[str, Any] = {}
            self.bands_: dict[str, Any] = {}
            self.contours_: dict[str, Any] = {}
            limits = self._limits()
            for effect, rows, axis in zip(self.effects, self.rows, axes, strict=False):
                self._draw(effect, axis, limits)
                if rows is not None:
                    _draw_rows(effect, np.asarray(rows), axis)
            for axis in axes[n:]:
                axis.set_axis_off()
        return self

    def _limits(self) -> tuple[float, float]:
        """Return what all panels of one column show, so that sizes can be compared."""
        single = [each for each in self.effects if len(each.columns) == 1]
        low = min((each.low.min() for each in single), default=-1.0)
        high = max((each.high.max() for each in single), default=1.0)
        margin = 0.05 * (high - low) or 1.0
        return low - margin, high + margin

    def _draw(
        self, effect: PartialEffect, ax: Any, limits: tuple[float, float]
    ) -> None:
        if len(effect.columns) == 2:
            self._draw_surface(effect, ax)
            return
        ax.axhline(0, color=GREY, linewidth=1, zorder=0)
        if effect.kind == "factor":
            self._draw_levels(effect, ax)
        else:
            self._draw_curve(effect, ax)
        ax.set_ylim(*limits)
        ax.set_xlabel(shortened(effect.columns[0]))
        ax.set_ylabel("effect")
        ax.set_title(f"{effect.edf:.3g} degrees of freedom", loc="left")

    def _draw_curve(self, effect: PartialEffect, ax: Any) -> None:
        (line,) = ax.plot(effect.grid, effect.effect, color=color(0))
        self.lines_[effect.name] = line
        self.bands_[effect.name] = ax.fill_between(
            effect.grid,
            effect.low,
            effect.high,
            color=color(0),
            alpha=0.2,
            linewidth=0,
        )

    def _draw_levels(self, effect: PartialEffect, ax: Any) -> None:
        at = np.arange(len(effect.grid))
        ax.vlines(at, effect.low, effect.high, color=color(0), alpha=0.4, linewidth=3)
        style = {"linestyle": "none", "marker": "o", "markersize": 7}
        (line,) = ax.plot(at, effect.effect, color=color(0), **style)
        self.lines_[effect.name] = line
        ax.set_xlim(-0.5, len(at) - 0.5)
        names = [shortened(str(label), 12) for label in effect.grid]
        turned = sum(len(name) + 1 for name in names) > 24
        ax.set_xticks(
            at, names, rotation=30 * turned, ha="right" if turned else "center"
        )

    def _draw_surface(self, effect: PartialEffect, ax: Any) -> None:
        first, second = (np.unique(column) for column in effect.grid.T)
        values = effect.effect.reshape(len(first), len(second)).T
        most = float(np.abs(values).max()) or 1.0
        self.contours_[effect.name] = ax.contourf(
            first,
            second,
            values,
            levels=np.linspace(-most, most, LEVELS),
            cmap="RdBu_r",
        )
        bar = ax.figure.colorbar(self.contours_[effect.name], ax=ax)
        bar.set_ticks([-most, 0, most], labels=[f"{-most:.2g}", "0", f"{most:.2g}"])
        bar.outline.set_visible(False)
        ax.set_xlabel(shortened(effect.columns[0]))
        ax.set_ylabel(shortened(effect.columns[1]))
        ax.set_title(f"{effect.edf:.3g} degrees of freedom", loc="left")


def _draw_rows(effect: PartialEffect, rows: Array, ax: Any) -> None:
    """Mark values of the columns, evenly chosen where there are many."""
    rows = rows.reshape(len(rows), -1)
    rows = rows[:: max(1, -(-len(rows) // MOST_MARKS))]
    if effect.kind == "factor":
        return
    if len(effect.columns) == 2:
        ax.scatter(*rows.T, s=4, color="black", alpha=0.25, linewidths=0)
        return
    place = ax.get_xaxis_transform()
    style = {"color": GREY, "alpha": 0.5, "linewidth": 0.6}
    ax.vlines(rows[:, 0], 0, RUG_HEIGHT, transform=place, **style)
