"""What an additive model knows of its terms: tests, and effects with their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from scipy.special import chdtrc, fdtrc

from skgrad.estimators.summary import CoefficientSummary, aligned, shown_p_value
from skgrad.typing import Array

__all__ = ["AdditiveSummary", "PartialEffect", "wald_statistic"]

HEADER = ("", "edf", "ref df", "statistic", "p value", "smoothing")


@dataclass(frozen=True, eq=False)
class PartialEffect:
    """The effect of a term of an additive model, with pointwise intervals.

    Parameters
    ----------
    name : str
        The name of the term.
    kind : {"spline", "linear", "factor", "tensor"}
        What the term is.
    edf : float
        Its effective degrees of freedom.
    columns : tuple of str
        Names of its columns.
    grid : ndarray of shape (n,) or (n, 2)
        Values of the columns; the labels of a factor.
    effect : ndarray of shape (n,)
        What the term adds to the raw prediction; its weighted mean over the rows of the
        fit is 0.
    standard_error : ndarray of shape (n,)
        Square roots of the variances of `effect`.
    low, high : ndarray of shape (n,)
        Ends of the intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import AdditiveRegressor
    >>> x = np.linspace(0, 1, 50)
    >>> model = AdditiveRegressor().fit(x[:, None], np.sin(6 * x))
    >>> effect = model.partial_effect(0, grid=[0.0, 0.5])
    >>> effect.columns, effect.effect.shape
    (('x0',), (2,))
    """

    name: str
    kind: str
    edf: float
    columns: tuple[str, ...]
    grid: Array
    effect: Array
    standard_error: Array
    low: Array
    high: Array


def wald_statistic(coef: Array, covariance: Array, gram: Array, rank: float) -> float:
    """Return how far an effect is from zero, beside its errors (Wood 2013, eq. 7).

    The covariance of the effect at the rows of the fit is inverted in its `rank`
    largest directions, a fraction of one counting as that fraction.
    """
    values, vectors = np.linalg.eigh(gram)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))).T
    sizes, turned = np.linalg.eigh(root @ covariance @ root.T)
    sizes, turned = sizes[::-1], turned[:, ::-1]
    parts = (turned.T @ (root @ coef)) ** 2
    share = np.clip(rank - np.arange(len(coef)), 0.0, 1.0)
    seen = (share > 0) & (sizes > 1e-14 * sizes.max(initial=0.0))
    return float(np.sum(share[seen] * parts[seen] / sizes[seen]))


@dataclass(frozen=True, eq=False, repr=False)
class AdditiveSummary:
    """The terms of an additive model, their degrees of freedom and tests.

    Parameters
    ----------
    names : sequence of str
        Names of the terms with a penalty.
    edf, ref_df, statistics : ndarray of shape (n_terms,)
        Effective degrees of freedom, those of the test, and its statistic.
    smoothing : sequence of tuple of float
        The smoothing parameters of each term.
    residual_df : float
        Degrees of freedom that are left, for the test; infinite where the scale is
        known.
    parametric : CoefficientSummary
        The intercept and coefficients without a penalty.
    title, footer : str
        What stands above and below the tables.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import AdditiveRegressor
    >>> x = np.linspace(0, 1, 50)
    >>> model = AdditiveRegressor().fit(x[:, None], np.sin(6 * x) + np.cos(99 * x))
    >>> bool(model.summary().p_values[0] < 0.05)
    True
    """

    names: Sequence[str]
    edf: Array
    ref_df: Array
    statistics: Array
    smoothing: Sequence[tuple[float, ...]]
    residual_df: float
    parametric: CoefficientSummary
    title: str
    footer: str

    @property
    def p_values(self) -> Array:
        """Probabilities of a statistic as large where a term has no effect."""
        ref_df = np.maximum(self.ref_df, 1e-12)
        if np.isinf(self.residual_df):
            return np.asarray(chdtrc(ref_df, self.statistics))
        ratios = self.statistics / ref_df
        return np.asarray(fdtrc(ref_df, self.residual_df, ratios))

    def to_frame(self) -> Any:
        """Return the table of terms with a penalty as a data frame.

        Returns
        -------
        pandas.DataFrame
            With the columns edf, ref_df, statistic and p_value, indexed by term.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        import pandas as pd  # noqa: PLC0415 - optional

        columns = {
            "edf": self.edf,
            "ref_df": self.ref_df,
            "statistic": self.statistics,
            "p_value": self.p_values,
        }
        return pd.DataFrame(columns, index=pd.Index(self.names, name="term"))

    def _cells(self) -> list[list[str]]:
        """Return the table of terms with a penalty as text, its header first."""
        rows = [[*HEADER]]
        each = (self.names, self.edf, self.ref_df, self.statistics, self.p_values)
        for i, (name, *numbers, p) in enumerate(zip(*each, strict=True)):
            texts = [f"{number:.4g}" for number in numbers]
            smoothing = ", ".join(f"{value:.3g}" for value in self.smoothing[i])
            rows.append([name, *texts, shown_p_value(p), smoothing])
        return rows

    def __repr__(self) -> str:
        tables = [[repr(self.parametric)]]
        if self.names:
            tables.append(aligned(self._cells(), 1))
        parts = [self.title, *("\n".join(lines) for lines in tables), self.footer]
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        head, *rows = self._cells()

        def line(row: list[str], tag: str) -> str:
            return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in row)

        body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
        table = f"<table><tr>{line(head, 'th')}</tr>{body}</table>"
        title, footer = (f"<p>{escape(t)}</p>" for t in (self.title, self.footer))
        return title + self.parametric._repr_html_() + table * bool(rows) + footer
