"""Regularisation paths: coefficients, and losses of held-out rows, by the strength."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from skgrad.exceptions import ParameterError
from skgrad.plotting.models import (
    feature_names,
    final_estimator,
    input_scales,
    require,
    row_names,
)
from skgrad.plotting.style import GREY, INK, color, figure_style, panels, shortened
from skgrad.typing import Array

__all__ = ["CoefficientPathDisplay", "CrossValidationPathDisplay"]

REMEDY = "Fit GradientElasticNetCV or GradientElasticNetClassifierCV first."
LABEL_GAP = 0.055  # of the height of the axes, between two labels


class CoefficientPathDisplay:
    """Coefficients of a linear model, each a line along a sequence of penalties.

    The penalty falls from left to right. The features with the largest coefficients
    have a colour and a name, the others are grey; on top is how many coefficients are
    not zero. Use :meth:`from_estimator`.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,)
        The strengths of the penalty.
    coef_path : array-like of shape (n_alphas, n_features)
        The coefficients.
    feature_names : list of str, default=None
        Names of the features; None numbers them.
    marks : dict of str to float, default=None
        Strengths to mark with a line, by name.

    Attributes
    ----------
    figure_ : Figure
        The figure.
    ax_ : Axes
        Where the lines are.
    lines_ : list of Line2D
        One for each feature.
    features_ : ndarray of int
        The features that are named, the largest coefficients first.

    Examples
    --------
    >>> from skgrad.plotting import CoefficientPathDisplay
    >>> coef_path = [[0.0, 0.0], [0.0, -1.0], [0.5, -2.0]]
    >>> display = CoefficientPathDisplay([1.0, 0.1, 0.01], coef_path).plot()
    >>> display.features_, display.ax_.get_xlabel()
    (array([1, 0]), 'alpha')
    """

    def __init__(
        self,
        alphas: Any,
        coef_path: Any,
        feature_names: Any = None,
        marks: Mapping[str, float] | None = None,
    ) -> None:
        self.alphas = np.asarray(alphas, dtype=float)
        self.coef_path = np.asarray(coef_path, dtype=float)
        shape = self.coef_path.shape
        if len(shape) != 2 or self.alphas.shape != shape[:1] or not shape[0]:
            raise ParameterError(
                "coef_path must have a row of coefficients for each of the alphas. Got "
                f"the shapes {shape} and {self.alphas.shape}."
            )
        if feature_names is None:
            feature_names = [f"feature {j}" for j in range(shape[1])]
        self.feature_names = [str(name) for name in feature_names]
        if len(self.feature_names) != shape[1]:
            raise ParameterError(
                f"There are {shape[1]} coefficients and {len(self.feature_names)} "
                "feature_names: pass one for each."
            )
        self.marks = dict(marks or {})

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        *,
        x: str = "alpha",
        max_features: int = 8,
        output: Any = None,
        standardized: bool = False,
        ax: Any = None,
    ) -> Self:
        """Draw the path of a fitted model.

        Parameters
        ----------
        model : estimator
            A fitted :class:`~skgrad.GradientElasticNetCV` or
            :class:`~skgrad.GradientElasticNetClassifierCV`, or a pipeline or search
            that ends with one. Its ``alpha_min_`` and ``alpha_1se_`` are marked.
        x : {"alpha", "norm"}, default="alpha"
            What is to the right: a smaller penalty, on a logarithmic scale that leaves
            out 0; or a larger sum of the absolute coefficients.
        max_features : int, default=8
            How many features have a colour and a name.
        output : int or class, default=None
            Which output or class of several.
        standardized : bool, default=False
            Draw the effect of a change by one standard deviation of the feature; for
            models with ``standardize=True``, which know it.
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        CoefficientPathDisplay
            The display, drawn.

        Raises
        ------
        ParameterError
            If the model has no path, or several outputs of which none is chosen.
        """
        last = final_estimator(model)
        coef = np.asarray(require(last, "coef_path_", REMEDY))
        coef = _of_output(last, coef, output)
        coef = coef * (input_scales(last) if standardized else 1.0)
        marks = _marks(last)
        display = cls(last.alphas_, coef, feature_names(model), marks)
        display.plot(x=x, max_features=max_features, ax=ax)
        if standardized:
            display.ax_.set_ylabel(
                "coefficient times standard deviation of the feature"
            )
        return display

    def plot(self, *, x: str = "alpha", max_features: int = 8, ax: Any = None) -> Self:
        """Draw the path.

        Parameters
        ----------
        x : {"alpha", "norm"}, default="alpha"
            See :meth:`from_estimator`.
        max_features : int, default=8
            See :meth:`from_estimator`.
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        CoefficientPathDisplay
            The display itself.
        """
        if x not in ("alpha", "norm"):
            raise ParameterError(f"x must be 'alpha' or 'norm'. Got {x!r}.")
        by_alpha = x == "alpha"
        drawn = self.alphas > 0 if by_alpha else np.ones(len(self.alphas), dtype=bool)
        norms = np.abs(self.coef_path).sum(axis=1)
        places, coef = (
            (self.alphas if by_alpha else norms)[drawn],
            self.coef_path[drawn],
        )
        sizes = np.abs(coef).max(axis=0, initial=0.0)
        order = np.argsort(-sizes, kind="stable")[:max_features]
        self.features_ = order[sizes[order] > 0]
        with figure_style(ax):
            self.figure_, (self.ax_,) = panels(ax)
            self._draw(places, coef)
            if by_alpha:
                _falling(self.ax_)
                marks = self.marks
            else:
                self.ax_.set_xlabel("sum of absolute coefficients")
                rising, order = self.alphas[::-1], norms[::-1]
                marks = {
                    name: float(np.interp(alpha, rising, order))
                    for name, alpha in self.marks.items()
                }
            _mark(self.ax_, marks)
            _count(self.ax_, places, (coef != 0).sum(axis=1))
            _label_ends(
                self.ax_,
                [self.lines_[j] for j in self.features_],
                [shortened(self.feature_names[j], 20) for j in self.features_],
            )
        return self

    def _draw(self, places: Array, coef: Array) -> None:
        ax = self.ax_
        ax.axhline(0, color=GREY, linewidth=1, zorder=1)
        rank = {int(j): i for i, j in enumerate(self.features_)}
        marker = "o" if len(places) == 1 else None
        self.lines_ = []
        for j, values in enumerate(coef.T):
            named = j in rank
            style: dict[str, Any] = {"color": GREY, "linewidth": 0.8, "alpha": 0.6}
            if named:
                style = {"color": color(rank[j]), "zorder": 3}
                style["linestyle"] = "-" if rank[j] < 6 else "--"  # six colours
            (line,) = ax.plot(places, values, marker=marker, **style)
            self.lines_.append(line)
        ax.set_ylabel("coefficient")
        ax.margins(x=0.02)


class CrossValidationPathDisplay:
    """Mean loss or score of held-out rows along a sequence of penalties.

    Bars reach one standard error up and down. Use :meth:`from_estimator`.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,)
        The strengths of the penalty.
    mean, error : array-like of shape (n_alphas,)
        Means over the folds and their standard errors.
    n_nonzero : array-like of shape (n_alphas,), default=None
        How many coefficients are not zero.
    marks : dict of str to float, default=None
        Strengths to mark with a line, by name.
    name : str, default="loss"
        What the means are of.

    Attributes
    ----------
    figure_ : Figure
        The figure.
    ax_ : Axes
        Where the means are.
    line_ : Line2D
        The means.

    Examples
    --------
    >>> from skgrad.plotting import CrossValidationPathDisplay
    >>> alphas, mean, error = [1.0, 0.1, 0.01], [3.0, 1.0, 1.2], [0.5, 0.3, 0.3]
    >>> display = CrossValidationPathDisplay(alphas, mean, error).plot()
    >>> display.ax_.get_ylabel()
    'mean loss of held-out rows'
    """

    def __init__(
        self,
        alphas: Any,
        mean: Any,
        error: Any,
        n_nonzero: Any = None,
        marks: Mapping[str, float] | None = None,
        name: str = "loss",
    ) -> None:
        parts = [np.asarray(part, dtype=float) for part in (alphas, mean, error)]
        self.alphas, self.mean, self.error = parts
        shapes = [part.shape for part in parts]
        if len(shapes[0]) != 1 or len(set(shapes)) != 1:
            raise ParameterError(
                "alphas, mean and error must be vectors of one length. Got the shapes "
                f"{shapes}."
            )
        self.n_nonzero = None if n_nonzero is None else np.asarray(n_nonzero)
        self.marks, self.name = dict(marks or {}), name

    @classmethod
    def from_estimator(cls, model: Any, *, ax: Any = None) -> Self:
        """Draw the cross-validation of a fitted model.

        Parameters
        ----------
        model : estimator
            As for :meth:`CoefficientPathDisplay.from_estimator`.
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        CrossValidationPathDisplay
            The display, drawn.

        Raises
        ------
        ParameterError
            If the model has no path.
        """
        last = final_estimator(model)
        coef = np.asarray(require(last, "coef_path_", REMEDY))
        kind = "loss" if last.scoring == "loss" else "score"
        mean, error = getattr(last, f"mean_{kind}_"), getattr(last, f"{kind}_error_")
        name = kind
        if kind == "score":
            name = last.scoring if isinstance(last.scoring, str) else "score"
        n_nonzero = (coef != 0).reshape(len(coef), -1).sum(axis=1)
        display = cls(
            last.alphas_, mean, error, n_nonzero, _marks(last), name.replace("_", " ")
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the means.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        CrossValidationPathDisplay
            The display itself.
        """
        drawn = self.alphas > 0
        alphas, mean, error = (
            part[drawn] for part in (self.alphas, self.mean, self.error)
        )
        with figure_style(ax):
            self.figure_, (self.ax_,) = panels(ax)
            bars = self.ax_.errorbar(
                alphas,
                mean,
                error,
                color=color(0),
                ecolor=GREY,
                elinewidth=0.8,
                capsize=2,
                fmt="o",
                markersize=4,
            )
            self.line_ = bars.lines[0]
            _falling(self.ax_)
            self.ax_.set_ylabel(f"mean {self.name} of held-out rows")
            # Names are where the curve is not: losses fall to the best, scores rise.
            _mark(self.ax_, self.marks, at_top=bool((mean[:1] > mean).any()))
            if self.n_nonzero is not None:
                _count(self.ax_, alphas, self.n_nonzero[drawn])
        return self


def _of_output(model: Any, coef: Array, output: Any) -> Array:
    """Return the path of one output, (n_alphas, n_features)."""
    if coef.ndim == 2:
        return coef
    names = row_names(model, coef.shape[1])
    if coef.shape[1] == 1 and output is None:
        return coef[:, 0]
    if output is not None and str(output) in names:
        return coef[:, names.index(str(output))]
    if isinstance(output, int | np.integer) and 0 <= output < coef.shape[1]:
        return coef[:, int(output)]
    raise ParameterError(
        f"{type(model).__name__} has {coef.shape[1]} paths: {names}. Choose one by "
        f"output, a name or a number from 0. Got {output!r}."
    )


def _marks(model: Any) -> dict[str, float]:
    """Return the strengths to mark; one name where they are one."""
    best, within = model.alpha_min_, model.alpha_1se_
    if best == within:
        return {"min = 1se": best}
    return {"1se": within, "min": best}


def _falling(ax: Any) -> None:
    """Let the penalty fall from left to right."""
    ax.set_xscale("log")
    ax.invert_xaxis()
    ax.set_xlabel("alpha")


def _mark(ax: Any, marks: Mapping[str, float], at_top: bool = False) -> None:
    """Draw a line at each of some places, its name at the foot or on top."""
    for name, place in marks.items():
        if place > 0 or ax.get_xscale() == "linear":
            ax.axvline(place, color=INK, linewidth=1, linestyle=":", zorder=2)
            ax.annotate(
                name,
                (place, float(at_top)),
                xycoords=("data", "axes fraction"),
                xytext=(-3, -4 if at_top else 4),
                textcoords="offset points",
                ha="right",
                va="top" if at_top else "bottom",
                rotation=90,
                color=INK,
                fontsize="small",
            )


def _count(ax: Any, places: Array, counts: Array) -> None:
    """Write on top how many coefficients are not zero."""
    top = ax.twiny()
    top.set_xscale(ax.get_xscale())
    top.set_xlim(ax.get_xlim())
    top.spines[["right", "left", "top"]].set_visible(False)
    at = np.unique(np.linspace(0, len(places) - 1, min(8, len(places))).astype(int))
    top.set_xticks(places[at], [str(int(n)) for n in counts[at]])
    top.minorticks_off()
    top.tick_params(length=0)
    top.set_xlabel("coefficients that are not zero")


def _label_ends(ax: Any, lines: Sequence[Any], names: Sequence[str]) -> None:
    """Write names at the right ends of lines, apart from each other."""
    if not lines:
        return
    low, high = ax.get_ylim()
    ends = np.array([(line.get_ydata()[-1] - low) / (high - low) for line in lines])
    for i, height in zip(np.argsort(ends), _apart(np.sort(ends)), strict=True):
        x, y = lines[i].get_xdata()[-1], lines[i].get_ydata()[-1]
        ax.annotate(
            names[i],
            (x, y),
            xytext=(1.04, height),
            textcoords="axes fraction",
            color=lines[i].get_color(),
            va="center",
            arrowprops={
                "arrowstyle": "-",
                "color": lines[i].get_color(),
                "linewidth": 0.6,
                "shrinkA": 1,
                "shrinkB": 2,
            },
        )


def _apart(heights: Array) -> Array:
    """Return heights in order, moved up and down until there is a gap between them."""
    gaps = LABEL_GAP * np.arange(len(heights))
    # The nearest heights with the gap: an isotonic regression by pooling neighbours.
    pools: list[list[float]] = []
    for value in heights - gaps:
        pools.append([value])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    return np.concatenate([np.full(len(p), np.mean(p)) for p in pools]) + gaps
