"""Coefficients of linear models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from skgrad.exceptions import ParameterError
from skgrad.plotting.models import (
    feature_names,
    final_estimator,
    input_scales,
    named_models,
    require,
    row_names,
)
from skgrad.plotting.style import GREY, color, figure_style, panels, shortened
from skgrad.typing import Array

__all__ = ["CoefficientDisplay"]

ROW_INCHES = 0.28
DODGE = 0.55  # of the height of a row, shared by its series


class CoefficientDisplay:
    """Coefficients of linear models as dots on a line per feature.

    Filled dots are coefficients, hollow ones exact zeros. The features with the largest
    coefficients are at the top. Use :meth:`from_estimator`.

    Parameters
    ----------
    coefficients : dict of str to array-like of shape (n_features,)
        One series each, by name.
    feature_names : list of str, default=None
        Names of the features; None numbers them.

    Attributes
    ----------
    figure_ : Figure
        The figure.
    ax_ : Axes
        Where the dots are.
    lines_ : dict of str to Line2D
        The dots by name of the series, from the top down.
    features_ : ndarray of int
        The features that are shown, from the top down.

    Examples
    --------
    >>> from skgrad.plotting import CoefficientDisplay
    >>> display = CoefficientDisplay({"lasso": [0.0, -3.0]}, ["age", "income"]).plot()
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['income', 'age']
    """

    def __init__(
        self, coefficients: Mapping[str, Any], feature_names: Any = None
    ) -> None:
        self.coefficients = {
            name: np.asarray(coef, dtype=float) for name, coef in coefficients.items()
        }
        shapes = {name: coef.shape for name, coef in self.coefficients.items()}
        first = next(iter(shapes.values()))
        if len(first) != 1 or set(shapes.values()) != {first}:
            raise ParameterError(
                "Every series needs one coefficient per feature, the same number in "
                f"all. Got the shapes {shapes}."
            )
        if feature_names is None:
            feature_names = [f"feature {i}" for i in range(first[0])]
        self.feature_names = [str(name) for name in feature_names]
        if len(self.feature_names) != first[0]:
            raise ParameterError(
                f"There are {first[0]} coefficients and {len(self.feature_names)} "
                "feature_names: pass one for each."
            )

    @classmethod
    def from_estimator(
        cls,
        models: Any,
        *,
        sort: bool = True,
        max_features: int | None = 30,
        standardized: bool = False,
        ax: Any = None,
    ) -> Self:
        """Draw the coefficients of fitted linear models.

        Parameters
        ----------
        models : estimator, list of estimators or dict of estimators
            Fitted models with a ``coef_``, of any library, or pipelines that end with
            one; the keys of a dict are their names. Those of several outputs or classes
            have a series for each.
        sort : bool, default=True
            Order the features by their largest coefficient in any series, otherwise as
            they are.
        max_features : int, default=30
            Show those with the largest coefficients only; None shows all.
        standardized : bool, default=False
            Draw the effect of a change by one standard deviation of the feature. For
            models of skgrad with ``standardize=True``, which know it.
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        CoefficientDisplay
            The display, drawn.
        """
        named = named_models(models)
        series: dict[str, Array] = {}
        for name, model in named.items():
            rows = _coefficients(model, standardized)
            for label, coef in rows.items():
                parts = [name] * (len(named) > 1 or not label) + [label] * bool(label)
                series[": ".join(parts)] = coef
        display = cls(series, feature_names(next(iter(named.values()))))
        display.plot(sort=sort, max_features=max_features, ax=ax)
        if standardized:
            display.ax_.set_xlabel(
                "coefficient times standard deviation of the feature"
            )
        return display

    def plot(
        self,
        *,
        sort: bool = True,
        max_features: int | None = 30,
        ax: Any = None,
    ) -> Self:
        """Draw the coefficients.

        Parameters
        ----------
        sort : bool, default=True
            See :meth:`from_estimator`.
        max_features : int, default=30
            See :meth:`from_estimator`.
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        CoefficientDisplay
            The display itself.
        """
        self.features_ = self._shown(sort, max_features)
        with figure_style(ax):
            height = 1.2 + ROW_INCHES * len(self.features_) * self._crowding()
            self.figure_, (self.ax_,) = panels(ax, size=(7.0, max(2.4, height)))
            self.lines_ = {
                name: self._draw(i, name) for i, name in enumerate(self.coefficients)
            }
            self._set_axes()
        return self

    def _crowding(self) -> float:
        """Return the height of a row, which grows with the number of series."""
        return max(1.0, len(self.coefficients) / 2)

    def _shown(self, sort: bool, max_features: int | None) -> Array:
        sizes = np.nan_to_num(np.abs(list(self.coefficients.values()))).max(axis=0)
        largest = np.argsort(-sizes, kind="stable")[:max_features]
        return largest if sort else np.sort(largest)

    def _draw(self, index: int, name: str) -> Any:
        """Draw one series, a little above or below the middle of the rows."""
        n = len(self.coefficients)
        offset = 0.0 if n == 1 else DODGE * (index / (n - 1) - 0.5)
        values = self.coefficients[name][self.features_]
        rows = np.arange(len(values)) + offset
        style = {"linestyle": "none", "marker": "o", "markersize": 7, "zorder": 3}
        (line,) = self.ax_.plot(values, rows, color=color(index), label=name, **style)
        zero = values == 0
        hollow = {**style, "markerfacecolor": "white", "color": color(index)}
        self.ax_.plot(values[zero], rows[zero], **hollow)
        return line

    def _draw_rows(self) -> None:
        """Lead the eye from a name to its dots: a line for one, a band for several."""
        if len(self.coefficients) == 1:
            self.ax_.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.8)
            self.ax_.set_axisbelow(True)
            return
        for row in range(1, len(self.features_), 2):
            style = {"color": GREY, "alpha": 0.13, "linewidth": 0, "zorder": 0}
            self.ax_.axhspan(row - 0.5, row + 0.5, **style)

    def _set_axes(self) -> None:
        ax, n_left = self.ax_, len(self.feature_names) - len(self.features_)
        ax.axvline(0, color=GREY, linewidth=1, zorder=1)
        self._draw_rows()
        names = [shortened(self.feature_names[i]) for i in self.features_]
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel("coefficient")
        if n_left:
            ax.set_title(
                f"the {len(names)} largest of {n_left + len(names)}", loc="left"
            )
        if len(self.coefficients) > 1:
            ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def _coefficients(model: Any, standardized: bool) -> dict[str, Array]:
    """Return the rows of ``coef_`` by name; one row has none."""
    model = final_estimator(model)
    coef = np.asarray(require(model, "coef_", "It is not a fitted linear model."))
    rows = np.atleast_2d(coef) * (input_scales(model) if standardized else 1.0)
    return dict(zip(row_names(model, len(rows)), rows, strict=True))
