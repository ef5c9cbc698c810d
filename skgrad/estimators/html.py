"""What notebooks show of a fitted estimator, in scikit-learn's own diagram.

Beneath the table of fitted attributes: the layers with their parameters, and the report
of the fit with a small curve of its objective. All of it is text and SVG.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from skgrad.estimators.sklearn_private import AttrsDict
from skgrad.nn import Module

__all__ = ["HTMLMixin", "architecture_rows", "spans_a_decade", "sparkline"]

WIDTH, HEIGHT, MARGIN = 160, 24, 2
MOST_POINTS = 80  # half as many as pixels

# The colours of scikit-learn's tables are for a white background, in dark themes too.
TABLE = """
<div class="estimator-table"><details><summary>{title}</summary>
<table class="parameters-table"><tbody>{rows}</tbody></table></details></div>"""
CELL = '<{tag} style="padding: .5em; text-align: {align}; white-space: {wrap}">{text}'


class FittedTables(AttrsDict):
    """scikit-learn's table of fitted attributes, and ours beneath it."""

    def __init__(self, attributes: AttrsDict, model: Any) -> None:
        super().__init__(
            fitted_attrs=attributes.data,
            estimator_class=attributes.estimator_class,
            doc_link=attributes.doc_link,
        )
        self.model = model

    def _html_repr(self) -> str:
        tables = [super()._html_repr(), _architecture(self.model.module_)]
        return "".join([*tables, _report(self.model)])


class HTMLMixin:
    """Adds layers and the report of the fit to the diagram of a fitted estimator."""

    def _get_fitted_attr_html(self, doc_link: str = "") -> FittedTables:
        attributes = super()._get_fitted_attr_html(doc_link)  # type: ignore[misc]
        return FittedTables(attributes, self)


# ------------------------------------------------------------------------------ tables


def architecture_rows(module: Module) -> list[tuple[str, str, str, str]]:
    """Return one row per layer and one for the total.

    Parameters
    ----------
    module : Module
        A network.

    Returns
    -------
    list of (str, str, str, str)
        Path, kind, shapes of the parameters and how many numbers they hold. A parameter
        used in several places counts once, where it is first.

    Examples
    --------
    >>> from skgrad import nn
    >>> from skgrad.estimators.html import architecture_rows
    >>> for row in architecture_rows(nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5))):
    ...     print(row)
    ('0', 'Linear', 'weight (3, 2), bias (3,)', '9')
    ('1', 'Dropout(p=0.5)', '', '0')
    ('total', '', '', '9')
    """
    own: dict[str, list[tuple[str, Any]]] = {}
    for path, parameter in module.named_parameters():
        owner, _, name = path.rpartition(".")
        own.setdefault(owner, []).append((name, parameter))
    rows = []
    for path, layer in module.named_modules():
        parameters = own.get(path, [])
        if parameters or not any(layer.children()):
            shapes = ", ".join(f"{name} {p.shape}" for name, p in parameters)
            count = sum(p.size for _, p in parameters)
            kind = _kind(layer, bool(parameters))
            rows.append((path or "(module)", kind, shapes, f"{count:,}"))
    total = sum(parameter.size for parameter in module.parameters())
    return [*rows, ("total", "", "", f"{total:,}")]


def _kind(layer: Module, has_parameters: bool) -> str:
    """Return the class; what it is made with too, unless shapes say that."""
    name, extra = type(layer).__name__, layer.extra_repr()
    return name if has_parameters or not extra else f"{name}({extra})"


def _architecture(module: Module) -> str:
    header = _row(("Layer", "Kind", "Shapes of parameters", "Number"), "th")
    rows = "".join(_row(row, numbers=(3,)) for row in architecture_rows(module))
    return TABLE.format(title="Architecture", rows=header + rows)


def _report(model: Any) -> str:
    rows = "".join(_row(row, wrap="normal") for row in model.fit_report_.rows())
    curve = sparkline(model.loss_curve_, "Training objective")
    return TABLE.format(title=f"Fit report {curve}", rows=rows)


def _row(
    texts: Iterable[str],
    tag: str = "td",
    numbers: Sequence[int] = (),
    wrap: str = "nowrap",
) -> str:
    cells = "".join(
        CELL.format(
            tag=tag,
            align="right !important" if i in numbers else "left",
            wrap=wrap,
            text=f"{escape(text)}</{tag}>",
        )
        for i, text in enumerate(texts)
    )
    return f'<tr class="default">{cells}</tr>'


# --------------------------------------------------------------------------- sparkline


def spans_a_decade(values: Any) -> bool:
    """Tell whether values are best drawn on a logarithmic scale.

    Parameters
    ----------
    values : array-like
        Numbers; those that are not finite do not count.

    Returns
    -------
    bool
        Whether all are positive and the largest is over ten times the smallest.

    Examples
    --------
    >>> from skgrad.estimators.html import spans_a_decade
    >>> spans_a_decade([0.1, 0.5, 2.0]), spans_a_decade([-0.1, 2.0])
    (True, False)
    """
    array = np.asarray(values, dtype=float)
    array = array[np.isfinite(array)]
    positive = array.size > 0 and array.min() > 0
    return bool(positive and array.max() > 10 * array.min())


def sparkline(values: Any, name: str) -> str:
    """Return a small curve as SVG, in the colour of the text around it.

    Parameters
    ----------
    values : array-like of shape (n_values,)
        What is drawn, on a logarithmic scale where it spans a decade.
    name : str
        What it is: the text alternative says from where to where it goes.

    Returns
    -------
    str
        The element, empty where there are less than two finite values.

    Examples
    --------
    >>> from skgrad.estimators.html import sparkline
    >>> sparkline([1.0, 0.5], "Objective").partition("<title>")[2].partition("<")[0]
    'Objective: 1 to 0.5 in 2 steps'
    >>> sparkline([1.0], "Objective")
    ''
    """
    array = np.asarray(values, dtype=float)
    steps = np.flatnonzero(np.isfinite(array))
    if len(steps) < 2:
        return ""
    first, last = array[steps[[0, -1]]]
    text = escape(f"{name}: {first:.4g} to {last:.4g} in {len(array)} steps")
    shown = steps[np.unique(np.linspace(0, len(steps) - 1, MOST_POINTS).astype(int))]
    heights = np.log(array[shown]) if spans_a_decade(array[steps]) else array[shown]
    x = MARGIN + _unit(shown) * (WIDTH - 2 * MARGIN)
    y = MARGIN + (1 - _unit(heights)) * (HEIGHT - 2 * MARGIN)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return (
        f'<svg role="img" aria-label="{text}" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" style="vertical-align: middle">'
        f'<title>{text}</title><polyline points="{points}" fill="none" '
        'stroke="currentColor" stroke-width="1.5" stroke-linejoin="round"/></svg>'
    )


def _unit(values: Any) -> Any:
    """Return values scaled to [0, 1]; 0 where all are the same."""
    span = np.ptp(values)
    return (values - values.min()) / span if span > 0 else np.zeros(len(values))
