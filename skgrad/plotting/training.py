"""How training went: objective, validation, learning rate, gradient norm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from skgrad.exceptions import ParameterError
from skgrad.plotting.curve import TrainingCurve
from skgrad.plotting.models import named_models
from skgrad.plotting.style import (
    GREY,
    INK,
    color,
    figure_style,
    label_end,
    panels,
    pyplot,
    scaled,
)
from skgrad.typing import Array

__all__ = ["TrainingCurveDisplay"]

PANEL_INCHES = 1.3


class TrainingCurveDisplay:
    """How one or several fits went, epoch by epoch.

    The training objective is drawn solid and the validation loss dashed, on one axis; a
    validation score of another kind has a panel beneath, and so have the learning rate,
    if it varies, and the norm of the gradient. The epoch that early stopping kept is
    marked. Use :meth:`from_estimator`.

    Parameters
    ----------
    curves : dict of str to TrainingCurve
        Histories by name.
    optimum : float, default=None
        The value of the objective at its minimum, if it is known.

    Attributes
    ----------
    figure_ : Figure
        The figure.
    ax_ : Axes
        Where the objective is.
    axes_ : dict of str to Axes
        All panels: "objective" and, where drawn, "validation", "learning_rate" and
        "gradient_norm".
    lines_ : dict of (str, str) to Line2D
        The lines by names of model and quantity.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import MLPRegressor
    >>> from skgrad.plotting import TrainingCurveDisplay
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> model = MLPRegressor(tol=None, max_iter=5, random_state=0).fit(X, X[:, 0] ** 2)
    >>> display = TrainingCurveDisplay.from_estimator(model)
    >>> len(display.lines_["MLPRegressor", "objective"].get_xdata())
    5
    """

    def __init__(
        self, curves: Mapping[str, TrainingCurve], *, optimum: float | None = None
    ) -> None:
        self.curves = dict(curves)
        for name, curve in self.curves.items():
            if not len(curve.objective):
                raise ParameterError(
                    f"The fit of {name} completed no epoch: there is nothing to draw."
                )
        self.optimum = optimum

    @classmethod
    def from_estimator(
        cls,
        models: Any,
        *,
        optimum: float | None = None,
        above_optimum: bool = False,
        log_scale: Any = "auto",
        learning_rate: Any = "auto",
        gradient_norm: Any = "auto",
        ax: Any = None,
    ) -> Self:
        """Draw the history of fitted estimators.

        Parameters
        ----------
        models : estimator, list of estimators or dict of estimators
            Fitted models with a ``loss_curve_``, scikit-learn's too; the keys of a dict
            are their names.
        optimum : float, default=None
            The value of the objective at its minimum, if it is known.
        above_optimum : bool, default=False
            Draw how far the objective is above the optimum, which shows the last steps
            too, in place of the objective.
        log_scale : bool or "auto", default="auto"
            Draw the objective on a logarithmic scale; "auto" does so where it is
            positive and spans more than a decade.
        learning_rate : bool or "auto", default="auto"
            Draw the learning rate; "auto" does so where it varies.
        gradient_norm : bool or "auto", default="auto"
            Draw the norm of the gradient; "auto" does so where a callback recorded it
            (iterations over all rows always have one).
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        TrainingCurveDisplay
            The display, drawn.
        """
        curves = {
            name: TrainingCurve.from_estimator(model)
            for name, model in named_models(models).items()
        }
        if above_optimum:
            if optimum is None:
                raise ParameterError("above_optimum=True needs the optimum, a number.")
            curves = {name: curve.above(optimum) for name, curve in curves.items()}
            optimum = None
        display = cls(curves, optimum=optimum).plot(
            log_scale=log_scale,
            learning_rate=learning_rate,
            gradient_norm=gradient_norm,
            ax=ax,
        )
        if above_optimum:
            display.ax_.set_ylabel("objective above optimum")
        return display

    def plot(
        self,
        *,
        log_scale: Any = "auto",
        learning_rate: Any = "auto",
        gradient_norm: Any = "auto",
        ax: Any = None,
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        log_scale : bool or "auto", default="auto"
            See :meth:`from_estimator`.
        learning_rate : bool or "auto", default="auto"
            See :meth:`from_estimator`.
        gradient_norm : bool or "auto", default="auto"
            See :meth:`from_estimator`.
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        TrainingCurveDisplay
            The display itself.
        """
        asked = {"learning_rate": learning_rate, "gradient_norm": gradient_norm}
        names = ["objective", *self._beneath(asked)]
        heights = [3.2, *[PANEL_INCHES] * (len(names) - 1)]
        with figure_style(ax):
            size = (7.0, 0.8 + sum(heights))
            self.figure_, axes = panels(ax, heights, size=size, sharex=True)
            self.axes_ = dict(zip(names, axes, strict=True))
            self.ax_ = axes[0]
            self.lines_: dict[tuple[str, str], Any] = {}
            for i, (name, curve) in enumerate(self.curves.items()):
                self._draw_curve(i, name, curve)
            self._draw_optimum()
            self._set_axes(log_scale)
            self._name_lines()
        return self

    # --- what there is --------------------------------------------------------------

    def _beneath(self, asked: Mapping[str, Any]) -> list[str]:
        """Return the panels below the objective."""
        curves = self.curves.values()
        rates = [c.learning_rates for c in curves if len(c.learning_rates)]
        varies = any(np.ptp(each) > 0 for each in rates)
        recorded = any(len(c.gradient_norms) for c in curves if c.unit == "epoch")
        auto = {"learning_rate": varies, "gradient_norm": recorded}
        names = []
        if any(c.score_name is not None and len(c.validation) for c in curves):
            names.append("validation")
        for name, wanted in asked.items():
            present = any(len(getattr(c, f"{name}s")) for c in curves)
            if wanted is True and not present:
                raise ParameterError(
                    f"{name}=True, but no fit recorded its {name}s. Set {name}='auto'."
                )
            if present and (auto[name] if wanted == "auto" else wanted):
                names.append(name)
        return names

    def _quantities(self, curve: TrainingCurve) -> dict[str, tuple[str, Array]]:
        """Return what is drawn of a curve: its panel and values, by name."""
        panel = "objective" if curve.score_name is None else "validation"
        drawn = {
            "objective": ("objective", curve.objective),
            "validation": (panel, curve.validation),
            "learning_rate": ("learning_rate", curve.learning_rates),
            "gradient_norm": ("gradient_norm", curve.gradient_norms),
        }
        return {
            name: (panel, np.asarray(values, dtype=float))
            for name, (panel, values) in drawn.items()
            if len(values) and panel in self.axes_
        }

    # --- drawing --------------------------------------------------------------------

    def _draw_curve(self, index: int, name: str, curve: TrainingCurve) -> None:
        last = len(curve.objective)
        for quantity, (panel, values) in self._quantities(curve).items():
            validation = quantity == "validation"
            own = validation and len(self.curves) == 1
            (line,) = self.axes_[panel].plot(
                # Continued fits record some quantities for the last epochs only.
                np.arange(last - len(values), last) + 1,
                values,
                color=color(index + own),
                linestyle="--" if validation and panel == "objective" else "-",
                marker="o",
                markersize=4,
                markevery=_alone(values),
            )
            self.lines_[name, quantity] = line
        self._mark_best(name, curve)

    def _mark_best(self, name: str, curve: TrainingCurve) -> None:
        """Mark the epoch that was kept on the line it was chosen by."""
        if curve.best_epoch is None:
            return
        line = self.lines_.get((name, "validation"), self.lines_[name, "objective"])
        x, y = line.get_data()
        (at,) = np.nonzero(np.asarray(x) == curve.best_epoch)
        if not len(at):
            return
        line.axes.plot(
            x[at],
            y[at],
            "o",
            markersize=9,
            color=line.get_color(),
            mec="white",
            mew=1.5,
        )
        if len(self.curves) == 1:
            for ax in self.axes_.values():
                ax.axvline(curve.best_epoch, color=GREY, linewidth=0.8, zorder=0)
            # Above the axes, where it hides no line.
            self.ax_.annotate(
                f"best {curve.unit}: {curve.best_epoch}",
                (curve.best_epoch, 1),
                xycoords=self.ax_.get_xaxis_transform(),
                ha="center",
                va="bottom",
            )

    def _draw_optimum(self) -> None:
        if self.optimum is None:
            return
        self.ax_.axhline(self.optimum, color=INK, linestyle=(0, (4, 3)), linewidth=1.2)
        self.ax_.annotate(
            "optimum",
            (1, self.optimum),
            xycoords=self.ax_.get_yaxis_transform(),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            annotation_clip=False,
        )

    def _set_axes(self, log_scale: Any) -> None:
        for name, ax in self.axes_.items():
            drawn = [
                line.get_ydata() for line in self.lines_.values() if line.axes is ax
            ]
            if name == "objective" and self.optimum is not None:
                drawn.append([self.optimum])
            ax.set_yscale(scaled(log_scale if name == "objective" else "auto", drawn))
            ax.set_ylabel(self._axis_label(name))
            ax.locator_params(axis="x", integer=True)
        if max(len(curve.objective) for curve in self.curves.values()) == 1:
            ax.set_xlim(0, 2)
        ax.set_xlabel(" or ".join(sorted({c.unit for c in self.curves.values()})))

    def _axis_label(self, name: str) -> str:
        if name == "validation":
            names = {c.score_name for c in self.curves.values() if c.score_name}
            return "validation\n" + "\n".join(sorted(names))
        labels = {"learning_rate": "learning\nrate", "gradient_norm": "gradient\nnorm"}
        return labels.get(name, "loss" if self._shows_loss() else "objective")

    def _shows_loss(self) -> bool:
        """Tell whether a validation loss shares the axis of the objective."""
        return any(
            c.score_name is None and len(c.validation) for c in self.curves.values()
        )

    # --- names ----------------------------------------------------------------------

    def _name_lines(self) -> None:
        if len(self.curves) == 1:
            self._name_at_ends()
        else:
            self._draw_legend()

    def _name_at_ends(self) -> None:
        if not self._shows_loss():
            return
        (name,) = self.curves
        lines = [self.lines_[name, q] for q in ("objective", "validation")]
        ends = [np.asarray(line.get_ydata(), dtype=float)[-1] for line in lines]
        for line, text in zip(lines, ("training", "validation"), strict=True):
            lower = np.asarray(line.get_ydata(), dtype=float)[-1] == min(ends)
            label_end(self.ax_, line, text, below=bool(lower))

    def _draw_legend(self) -> None:
        line = pyplot().Line2D
        handles = [
            line([], [], color=color(i), label=name)
            for i, name in enumerate(self.curves)
        ]
        if self._shows_loss():
            handles += [
                line([], [], color=GREY, label="training objective"),
                line([], [], color=GREY, linestyle="--", label="validation loss"),
            ]
        if any(c.best_epoch is not None for c in self.curves.values()):
            best = {"linestyle": "none", "marker": "o", "markersize": 8}
            handles.append(line([], [], color=GREY, label="best epoch", **best))
        # Beside the axes, where it hides no line.
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
        self.ax_.legend(handles=handles, frameon=False, **place)


def _alone(values: Array) -> list[int]:
    """Return the values without a neighbour, to which no line would lead."""
    finite = np.concatenate([[False], np.isfinite(values), [False]])
    alone = finite[1:-1] & ~finite[:-2] & ~finite[2:]
    return [int(i) for i in np.flatnonzero(alone)]
