"""A sum of tilted absolute residuals: every piecewise linear term is a row of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skgrad.typing import Array

__all__ = ["TiltedRows"]


@dataclass(frozen=True)
class TiltedRows:
    r"""Minimise a sum of tilted absolute residuals less a linear term.

    .. math:: F(b) = \sum_i (u_i r_i^+ + l_i r_i^-) - c^\top b,
        \qquad r = y - A b

    A target with weight w at the quantile q has the slopes u = w q and l = w (1 - q); a
    penalty :math:`\lambda |b_j|` is the row of the unit vector j with y = 0 and both
    slopes :math:`\lambda`; a bound :math:`b_j \le h` is that row with y = h, u = 0 and
    an l that exceeds every multiplier. The dual is

    .. math:: \max_d\; y^\top d \quad\text{with}\quad A^\top d = -c,
        \qquad -l \le d \le u

    Parameters
    ----------
    A : array of shape (m, q), float64
        The rows.
    y : array of shape (m,)
        Their targets.
    up, down : array of shape (m,)
        Slopes u of positive and l of negative residuals, >= 0.
    linear : array of shape (q,)
        The linear term c.

    References
    ----------
    R. Koenker, Quantile Regression, Cambridge University Press 2005, section 6.2.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers import TiltedRows
    >>> ones = np.ones(3)
    >>> y = np.array([1.0, 2.0, 6.0])
    >>> rows = TiltedRows(ones[:, None], y, ones, ones, np.zeros(1))
    >>> rows.value(np.array([2.0]))
    5.0
    """

    A: Array
    y: Array
    up: Array
    down: Array
    linear: Array

    def __len__(self) -> int:
        return len(self.y)

    @property
    def n_columns(self) -> int:
        """Number of coefficients."""
        return int(self.A.shape[1])

    @property
    def width(self) -> Array:
        """By how much the slope of each row changes at its kink."""
        return self.up + self.down

    def value(self, coef: Array) -> float:
        """Return F at some coefficients."""
        r = self.y - self.A @ coef
        terms = self.up @ np.maximum(r, 0.0) - self.down @ np.minimum(r, 0.0)
        return float(terms - self.linear @ coef)

    def joined(self, other: TiltedRows) -> TiltedRows:
        """Return these rows and others; the linear term is that of these."""
        return TiltedRows(
            np.concatenate([self.A, other.A]),
            np.concatenate([self.y, other.y]),
            np.concatenate([self.up, other.up]),
            np.concatenate([self.down, other.down]),
            self.linear,
        )

    def with_linear(self, linear: Array) -> TiltedRows:
        """Return these rows with another linear term."""
        return TiltedRows(self.A, self.y, self.up, self.down, linear)
