"""How all pictures look: colours, sizes, axes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np

from skgrad.estimators.html import spans_a_decade
from skgrad.exceptions import ParameterError

__all__ = [
    "GREY",
    "INK",
    "color",
    "figure_style",
    "label_end",
    "panels",
    "pyplot",
    "scaled",
    "shortened",
]

# The palette of Okabe and Ito, which the colour-blind tell apart; without yellow, too
# pale for a line, and black, which is for text.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK = "#333333"
GREY = "#8C8C8C"

# Sizes read from the back of a room when the figure fills half a slide.
RC = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 12,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "font.size": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 11,
    "ytick.color": INK,
    "ytick.labelsize": 11,
}


def pyplot() -> Any:
    """Return ``matplotlib.pyplot``.

    Returns
    -------
    module
        matplotlib.pyplot.

    Raises
    ------
    ImportError
        If matplotlib is not installed; the message says how to install it.
    """
    try:
        return import_module("matplotlib.pyplot")
    except ImportError as error:
        raise ImportError(
            "Pictures are drawn by matplotlib, which cannot be imported. Install it "
            'with: pip install "skgrad[plot]"'
        ) from error


@contextmanager
def figure_style(ax: Any) -> Iterator[None]:
    """Draw in our style, or in the user's where the axes are the user's.

    Parameters
    ----------
    ax : Axes or None
        What the user passed.
    """
    plt = pyplot()
    with plt.rc_context(RC if ax is None else {}):
        yield


def color(index: int) -> str:
    """Return the colour of a series; they repeat after six.

    Parameters
    ----------
    index : int
        Counted from 0.

    Returns
    -------
    str
        The colour in hexadecimal.
    """
    return COLORS[index % len(COLORS)]


def panels(
    ax: Any,
    heights: Iterable[float] = (1,),
    widths: Iterable[float] = (1,),
    size: tuple[float, float] = (7.0, 4.5),
    **share: Any,
) -> tuple[Any, list[Any]]:
    """Return a figure and axes in a grid, within the user's axes if there are some.

    Parameters
    ----------
    ax : Axes or None
        The place they share; None makes a figure.
    heights, widths : iterable of float
        Relative sizes of rows and columns.
    size : tuple of float
        Width and height of a new figure in inches.
    **share
        ``sharex`` and ``sharey`` of ``subplots``.

    Returns
    -------
    figure : Figure
        The figure.
    axes : list of Axes
        Row by row.

    Raises
    ------
    ParameterError
        If the user's axes are not in a grid, which several panels need.
    """
    heights, widths = list(heights), list(widths)
    ratios = {"height_ratios": heights, "width_ratios": widths}
    shape = len(heights), len(widths)
    if ax is None:
        figure = pyplot().figure(figsize=size, layout="constrained")
        grid = figure.add_gridspec(*shape, **ratios)
    elif shape == (1, 1):
        figure, grid = ax.figure, None
    elif ax.get_subplotspec() is None:
        raise ParameterError(
            f"This picture has {shape[0] * shape[1]} panels, which share the place of "
            "ax in its grid. Pass an ax made by plt.subplots, or ask for one panel."
        )
    else:
        figure, grid = ax.figure, ax.get_subplotspec().subgridspec(*shape, **ratios)
        ax.set_axis_off()
    axes = [ax] if grid is None else list(np.ravel(grid.subplots(**share)))
    for each in axes:
        each.spines[["right", "top"]].set_visible(False)
    return figure, axes


def scaled(log_scale: Any, values: list[Any]) -> str:
    """Return the scale of an axis from the parameter ``log_scale``.

    Parameters
    ----------
    log_scale : bool or "auto"
        What the user asked for.
    values : list of array-like
        All that is drawn on the axis.

    Returns
    -------
    str
        "log" or "linear".

    Raises
    ------
    ParameterError
        If a logarithm of a number that is not positive is asked for.
    """
    if log_scale == "auto":
        together = np.concatenate([np.ravel(each) for each in values])
        return "log" if spans_a_decade(together) else "linear"
    lowest = min(np.nanmin(np.asarray(v, dtype=float), initial=np.inf) for v in values)
    if log_scale and lowest <= 0:
        raise ParameterError(
            f"log_scale=True needs positive values. The smallest is {lowest:.6g}: set "
            "log_scale=False or 'auto'."
        )
    return "log" if log_scale else "linear"


def shortened(text: str, width: int = 32) -> str:
    """Return a text, its middle left out if it is long.

    Parameters
    ----------
    text : str
        The text.
    width : int
        Characters to keep.

    Returns
    -------
    str
        The text as it is drawn.
    """
    if len(text) <= width:
        return text
    half = (width - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def label_end(ax: Any, line: Any, text: str, below: bool = False) -> None:
    """Write the name of a line at its right end.

    Parameters
    ----------
    ax : Axes
        Where the line is.
    line : Line2D
        The line.
    text : str
        Its name.
    below : bool
        Write below the end of the line, not above it.
    """
    x, y = (np.asarray(data, dtype=float) for data in line.get_data())
    drawn = np.flatnonzero(np.isfinite(y))
    if drawn.size:
        last = drawn[-1]
        ax.annotate(
            text,
            (x[last], y[last]),
            xytext=(6, 0),
            textcoords="offset points",
            color=line.get_color(),
            va="top" if below else "bottom",
        )
