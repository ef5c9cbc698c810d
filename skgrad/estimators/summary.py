"""Coefficients with what is known of their errors: arrays that print as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from skgrad.typing import Array

__all__ = ["CoefficientSummary", "aligned", "shown_p_value"]

COLUMNS = ("estimate", "std_error", "t", "p_value", "low", "high")
P_VALUE = COLUMNS.index("p_value")


@dataclass(frozen=True, eq=False, repr=False)
class CoefficientSummary:
    """Coefficients, their standard errors, tests and confidence intervals.

    Of any linear model: all but the covariance is the same for every one. Arrays have
    a leading axis where the model has several outputs, as its ``coef_`` has.

    Parameters
    ----------
    names : sequence of str
        Names of the coefficients, the intercept among them.
    coef : ndarray of shape (n_coefficients,) or (n_outputs, n_coefficients)
        Estimates, on the scale of the targets.
    covariance : ndarray of shape (n_coefficients, n_coefficients) or \
(n_outputs, n_coefficients, n_coefficients)
        Covariances of the estimates of each output.
    df : float
        Degrees of freedom of the t distribution of estimate / standard error;
        ``numpy.inf`` means a normal distribution, and the table says z.
    level : float, default=0.95
        Coverage of the confidence intervals, in (0, 1).
    output : str, default="output"
        What outputs are told apart by, such as ``"quantile"``.
    outputs : sequence, default=()
        One value per output: the levels of quantile, or the names of targets.
    title : str, default=""
        First line of the table.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.estimators.summary import CoefficientSummary
    >>> summary = CoefficientSummary(
    ...     ("intercept", "income"),
    ...     np.array([81.48, 0.5602]),
    ...     np.diag([14.63, 0.0132]) ** 2,
    ...     df=233,
    ... )
    >>> summary
               estimate  std error      t    P>|t|   2.5 %  97.5 %
    intercept     81.48      14.63  5.569  <0.0001   52.66   110.3
    income       0.5602     0.0132  42.44  <0.0001  0.5342  0.5862
    >>> summary.p_values < 0.05
    array([ True,  True])
    """

    names: Sequence[str]
    coef: Array
    covariance: Array
    df: float
    level: float = 0.95
    output: str = "output"
    outputs: Sequence[Any] = ()
    title: str = ""

    @property
    def standard_errors(self) -> Array:
        """Square roots of the variances, in the shape of ``coef``."""
        return np.sqrt(np.diagonal(self.covariance, axis1=-2, axis2=-1))

    @property
    def t_values(self) -> Array:
        """Estimates in units of their standard errors."""
        return self.coef / self.standard_errors

    @property
    def p_values(self) -> Array:
        """Probabilities of a |t| as large where the coefficient is zero."""
        below = -np.abs(self.t_values)
        return 2 * (ndtr(below) if np.isinf(self.df) else stdtr(self.df, below))

    @property
    def intervals(self) -> Array:
        """Lower and upper ends of the confidence intervals, in a last axis of 2."""
        tail = (1 + self.level) / 2
        width = ndtri(tail) if np.isinf(self.df) else stdtrit(self.df, tail)
        return self.coef[..., None] + np.multiply.outer(
            width * self.standard_errors, (-1, 1)
        )

    def to_frame(self) -> Any:
        """Return the table as a data frame, a row per coefficient.

        Returns
        -------
        pandas.DataFrame
            With the columns estimate, std_error, t (z, if degrees of freedom are
            infinite), p_value, low and high; the index holds the names, below the
            outputs where there are several.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        import pandas as pd  # noqa: PLC0415 - optional

        index = pd.Index(self.names, name="coefficient")
        if self.coef.ndim > 1:
            index = pd.MultiIndex.from_product(
                [self.outputs, self.names], names=[self.output, "coefficient"]
            )
        return pd.DataFrame(self._numbers(), index=index, columns=COLUMNS)

    def _numbers(self) -> Array:
        """Return what a row says of each coefficient, outputs one after another."""
        each = (self.coef, self.standard_errors, self.t_values, self.p_values)
        return np.column_stack([*map(np.ravel, each), self.intervals.reshape(-1, 2)])

    def _cells(self) -> list[list[str]]:
        """Return the table as text, its header first."""
        ends = [f"{50 * (1 + side * self.level):.4g} %" for side in (-1, 1)]
        letter = "z" if np.isinf(self.df) else "t"
        head = ["", "estimate", "std error", letter, f"P>|{letter}|", *ends]
        several = len(self.outputs) > 0
        rows = [[self.output, *head] if several else head]
        for i, numbers in enumerate(self._numbers().tolist()):
            k, j = divmod(i, len(self.names))
            words = [self.names[j]]
            if several:
                words.insert(0, _shown(self.outputs[k]) if j == 0 else "")
            texts = [f"{number:.4g}" for number in numbers]
            texts[P_VALUE] = shown_p_value(numbers[P_VALUE])
            rows.append([*words, *texts])
        return rows

    def __repr__(self) -> str:
        rows = self._cells()
        # Words to the left, numbers to the right.
        lines = aligned(rows, len(rows[0]) - len(COLUMNS))
        return "\n".join([self.title] * bool(self.title) + lines)

    def _repr_html_(self) -> str:
        head, *rows = self._cells()
        left = len(head) - len(COLUMNS)

        def line(row: list[str], tag: str) -> str:
            return "".join(
                f"<{tag} style='text-align: {'left' if j < left else 'right'}'>"
                f"{escape(text)}</{tag}>"
                for j, text in enumerate(row)
            )

        body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
        caption = f"<caption>{escape(self.title)}</caption>" if self.title else ""
        return f"<table>{caption}<tr>{line(head, 'th')}</tr>{body}</table>"


def aligned(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Return the lines of a table, its first columns of words and then numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{text:<{width}}" if j < left else f"{text:>{width}}"
            for j, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def shown_p_value(p: float) -> str:
    """Return a probability with four digits, or that it is smaller."""
    return "<0.0001" if p < 1e-4 else f"{p:.4f}"


def _shown(output: Any) -> str:
    return f"{output:.6g}" if isinstance(output, float) else str(output)
