"""Intervals: where targets and hyperparameters may lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skgrad.core.checks import Closed

__all__ = ["REALS", "Interval"]


@dataclass(frozen=True)
class Interval:
    """Describe an interval of real numbers or of integers.

    Parameters
    ----------
    low, high : float
        Ends, possibly infinite.
    closed : {"both", "left", "neither", "right"}, default="neither"
        Which ends belong to the interval.
    integer : bool, default=False
        Whether only whole numbers belong to it (of any dtype).

    Raises
    ------
    ValueError
        If `low` exceeds `high`.

    Examples
    --------
    >>> from skgrad.losses import Interval
    >>> counts = Interval(0, float("inf"), "left")
    >>> print(counts), counts.includes([0.0, 3.5]), counts.includes([-1.0])
    [0, inf)
    (None, True, False)
    >>> print(Interval(0, 2, "both", integer=True))
    {0, 1, 2}
    """

    low: float
    high: float
    closed: Closed = "neither"
    integer: bool = False

    def __post_init__(self) -> None:
        """Check that the ends are in order."""
        if not self.low <= self.high:
            raise ValueError(
                f"An Interval needs low <= high. Got low={self.low:g} and "
                f"high={self.high:g} instead."
            )

    def contains(self, values: Any) -> Any:
        """Tell for each value whether it lies in the interval.

        Parameters
        ----------
        values : array-like
            Numbers of any dtype and shape. NaN lies in no interval.

        Returns
        -------
        ndarray of bool
            Array of the shape of `values`.

        Examples
        --------
        >>> from skgrad.losses import Interval
        >>> Interval(0, 1, "left").contains([0.0, 0.5, 1.0]).tolist()
        [True, True, False]
        """
        values = np.asarray(values)
        left, right = self.closed in ("left", "both"), self.closed in ("right", "both")
        inside = values >= self.low if left else values > self.low
        inside &= values <= self.high if right else values < self.high
        if self.integer and values.dtype.kind == "f":
            inside &= np.floor(values) == values
        return inside

    def includes(self, values: Any) -> bool:
        """Tell whether all values lie in the interval.

        Parameters
        ----------
        values : array-like
            Numbers of any dtype and shape. An empty array is included.

        Returns
        -------
        bool
            False if any value is outside or NaN.

        Examples
        --------
        >>> from skgrad.losses import Interval
        >>> Interval(0, 1, "both").includes([0, 1, float("nan")])
        False
        """
        return bool(np.all(self.contains(values)))

    def __str__(self) -> str:
        """Return the usual notation: ``[0, inf)``, ``{0, 1}``, ``{0, 1, ...}``."""
        if self.integer:
            return self._as_set()
        left = "[" if self.closed in ("left", "both") else "("
        right = "]" if self.closed in ("right", "both") else ")"
        return f"{left}{self.low:g}, {self.high:g}{right}"

    def _as_set(self) -> str:
        """Return the notation of a set of whole numbers from `low` on."""
        if self.high == self.low:
            return f"{{{self.low:g}}}"
        if self.high == self.low + 1:
            return f"{{{self.low:g}, {self.high:g}}}"
        if self.high == self.low + 2:
            return f"{{{self.low:g}, {self.low + 1:g}, {self.high:g}}}"
        last = "" if np.isinf(self.high) else f", {self.high:g}"
        return f"{{{self.low:g}, {self.low + 1:g}, ...{last}}}"


REALS = Interval(-np.inf, np.inf)
"""All finite real numbers."""
