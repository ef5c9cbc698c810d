"""What a fit says about itself: data that prints as a table."""

from __future__ import annotations

import textwrap
from html import escape
from typing import Any

__all__ = ["FitReport"]

WIDTH = 88


class FitReport(dict[str, Any]):
    """What happened in a fit: a dictionary of plain values that prints as a table.

    ``json.dumps`` takes it as it is. Entries:

    - ``optimizer``, ``executor``: the class that minimised, and what ran it;
    - ``device``, ``device_reason``: where it ran, and why there;
    - ``stop_reason``, ``converged``: why the fit ended, and whether where it should;
    - ``n_iter``, ``best_epoch``: epochs or iterations, those of continued fits
      included, and the one whose weights were restored (None: the last);
    - ``loss``: the objective over the last epoch, or after the last iteration;
    - ``learning_rate``: the initial one, as it was used; None where there is none;
    - ``learning_rates``, ``gradient_norms``: one number per epoch or iteration; the
      norms are None where nobody asked for them;
    - ``learning_rate_test``: ``{"rates", "losses", "suggestion"}`` of
      ``learning_rate="auto"``, otherwise None;
    - ``recoveries``: the divergences the fit recovered from, each with ``epoch``,
      ``step``, ``back_to`` (an epoch), ``learning_rate`` (the one tried next),
      ``message`` and ``advice``;
    - ``exact``: of a solver that proves its solution, ``{"solver", "duality_gap",
      "pivots", "passes", "rows"}``: the largest gap and all pivots of the levels, how
      often all rows were read, and how many were in the largest programme; otherwise
      None;
    - ``advice``: what the fit warned of, each with ``kind`` and ``message``;
    - ``n_traces``: how many programs were traced.

    Examples
    --------
    >>> from skgrad.estimators.report import FitReport
    >>> print(FitReport(optimizer="Adam", loss=0.25, learning_rates=[0.1, 0.05]))
    optimizer       Adam
    loss            0.25
    learning_rates  2 values, 0.1 to 0.05
    """

    def rows(self) -> list[tuple[str, str]]:
        """Return names and values as words, what is None left out.

        Returns
        -------
        list of (str, str)
            One row per entry, one per item of a list of events.

        Examples
        --------
        >>> from skgrad.estimators.report import FitReport
        >>> FitReport(loss=0.5, best_epoch=None).rows()
        [('loss', '0.5')]
        """
        rows = []
        for name, value in self.items():
            rows += [(name, text) for text in _words(value)]
        return rows

    def __repr__(self) -> str:
        rows = self.rows()
        width = max((len(name) for name, _ in rows), default=0)
        lines, previous = [], None
        for name, text in rows:
            head = f"{'' if name == previous else name:{width}}  "
            lines += textwrap.wrap(
                text or "-",
                WIDTH,
                initial_indent=head,
                subsequent_indent=" " * len(head),
            )
            previous = name
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align: left'>{escape(name)}</th>"
            f"<td style='text-align: left'>{escape(text)}</td></tr>"
            for name, text in self.rows()
        )
        return f"<table>{cells}</table>"


def _words(value: Any) -> list[str]:
    """Return how a value reads; None and empty lists say nothing."""
    if value is None or (isinstance(value, list) and not value):
        return []
    if isinstance(value, dict):
        parts = ", ".join(f"{k}: {'; '.join(_words(v))}" for k, v in value.items())
        return [value.get("message", parts)]
    if isinstance(value, float):
        return [f"{value:.6g}"]
    if isinstance(value, list) and isinstance(value[0], dict):
        return [text for item in value for text in _words(item)]
    if isinstance(value, list):
        first, last = (_words(value[i])[0] for i in (0, -1))
        return [f"{len(value)} values, {first} to {last}"]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    return [str(value)]
