"""What is said feature by feature: bounds of coefficients, factors of penalties."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from skgrad.core.params import did_you_mean
from skgrad.exceptions import ParameterError
from skgrad.typing import Array

__all__ = ["Features", "coefficient_bounds", "penalty_factors"]

FREE = (-np.inf, np.inf)


@dataclass(frozen=True)
class Features:
    """The features of a fit: how many there are and, if they have some, their names.

    Examples
    --------
    >>> from skgrad.estimators.constraints import Features
    >>> features = Features(2, ("age", "bmi"))
    >>> features.column("bounds", "bmi"), features.label(1), Features(2).label(1)
    (1, "'bmi'", '1')
    """

    count: int
    names: tuple[str, ...] = ()

    def label(self, column: int) -> str:
        """Return what to call a feature in a message: its name or its column."""
        return repr(self.names[column]) if self.names else str(column)

    def column(self, parameter: str, key: Any) -> int:
        """Return the column that a key of the dict of a parameter means."""
        if isinstance(key, Integral) and 0 <= int(key) < self.count:
            return int(key)
        if key in self.names:
            return self.names.index(key)
        named = f"one of {list(self.names)}" if self.names else "names in a data frame"
        raise ParameterError(
            f"The {parameter!r} parameter has the key {key!r}, which is no feature of "
            f"X. Use {named} or the number of a column, 0 to {self.count - 1}."
            f"{did_you_mean(key, self.names)}"
        )


def coefficient_bounds(
    features: Features,
    *,
    positive: bool = False,
    bounds: Any = None,
    monotonic_cst: Any = None,
) -> tuple[Array, Array]:
    """Return where the coefficient of each feature may lie: all bounds hold at once.

    Parameters
    ----------
    features : Features
        The features.
    positive : bool, default=False
        No coefficient is negative.
    bounds : pair, array-like of shape (n_features, 2) or dict, default=None
        ``(low, high)`` for all features, for each one, or by name or column.
    monotonic_cst : array-like of shape (n_features,) or dict, default=None
        1 for coefficients that are not negative, -1 for those not positive, 0.

    Returns
    -------
    low, high : ndarray of shape (n_features,)
        Infinite where a side is free.

    Raises
    ------
    ParameterError
        If a key, a shape or a value is wrong, or no number lies within all bounds of a
        feature.

    Examples
    --------
    >>> from skgrad.estimators.constraints import Features, coefficient_bounds
    >>> coefficient_bounds(Features(2), positive=True, bounds={1: (-1, 3)})
    (array([0., 0.]), array([inf,  3.]))
    """
    low, high = _pairs(features, bounds).T
    signs = _numbers(features, "monotonic_cst", monotonic_cst, 0.0)
    _check(features, "monotonic_cst", signs, np.isin(signs, (-1, 0, 1)), "-1, 0 or 1")
    low = np.where((signs == 1) | bool(positive), np.maximum(low, 0), low)
    high = np.where(signs == -1, np.minimum(high, 0), high)
    for j in np.flatnonzero(low > high).tolist():
        raise ParameterError(
            f"No coefficient of the feature {features.label(j)} is >= {low[j]:g} and "
            f"<= {high[j]:g}, as 'bounds', 'positive' and 'monotonic_cst' ask together "
            "(positive and 1 mean >= 0, -1 means <= 0). Widen one of them."
        )
    return low, high


def penalty_factors(features: Features, penalty_factor: Any = None) -> Array:
    """Return what the penalty of each feature is multiplied by.

    Parameters
    ----------
    features : Features
        The features.
    penalty_factor : array-like of shape (n_features,) or dict, default=None
        Finite and >= 0, for each feature, or by name or column; 1 by default.

    Returns
    -------
    ndarray of shape (n_features,)
        The factors, as they are given.

    Raises
    ------
    ParameterError
        If a key, the shape or a value is wrong.

    Examples
    --------
    >>> from skgrad.estimators.constraints import Features, penalty_factors
    >>> penalty_factors(Features(3, ("age", "bmi", "sex")), {"age": 0})
    array([0., 1., 1.])
    """
    factors = _numbers(features, "penalty_factor", penalty_factor, 1.0)
    right = np.isfinite(factors) & (factors >= 0)
    _check(features, "penalty_factor", factors, right, "finite and >= 0")
    return factors


def _pairs(features: Features, bounds: Any) -> Array:
    """Return low and high of each feature, (n_features, 2)."""
    rows = _by_column(features, "bounds", bounds, FREE)
    try:
        given = np.asarray(rows, dtype=object)
        if given.shape == (2,):
            given = np.tile(given, (features.count, 1))
        free = np.equal(given, np.array(None))
        pairs = np.where(free, FREE, given).astype(np.float64)
    except (TypeError, ValueError):
        raise _wrong(features, "bounds", bounds) from None
    if given.shape != (features.count, 2):
        raise _wrong(features, "bounds", bounds)
    right = (pairs[:, 0] < np.inf) & (pairs[:, 1] > -np.inf)  # NaN is neither
    _check(features, "bounds", pairs, right, "two numbers, or None for a free side")
    return pairs


def _numbers(features: Features, parameter: str, value: Any, default: float) -> Array:
    """Return the number of each feature, (n_features,)."""
    rows = _by_column(features, parameter, value, default)
    try:
        numbers = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError):
        raise _wrong(features, parameter, value) from None
    if numbers.shape != (features.count,):
        raise _wrong(features, parameter, value)
    return numbers


def _by_column(features: Features, parameter: str, value: Any, default: Any) -> Any:
    """Return a dict as a list with an entry for each feature, else the value itself."""
    if value is None:
        value = {}
    if not isinstance(value, Mapping):
        return value
    rows = [default] * features.count
    columns: set[int] = set()
    for key, entry in value.items():
        column = features.column(parameter, key)
        if column in columns:
            raise ParameterError(
                f"The {parameter!r} parameter has two keys for the feature "
                f"{features.label(column)}: its name and its column. Leave one out."
            )
        columns.add(column)
        rows[column] = entry
    return rows


def _check(
    features: Features, parameter: str, values: Array, right: Array, domain: str
) -> None:
    """Refuse the first value that is not right."""
    for j in np.flatnonzero(~right).tolist():
        raise ParameterError(
            f"The {parameter!r} parameter must be {domain}. Got {values[j].tolist()} "
            f"for the feature {features.label(j)}."
        )


def _wrong(features: Features, parameter: str, value: Any) -> ParameterError:
    n = features.count
    one, all_ = "a number", f"an array of numbers of shape ({n},)"
    if parameter == "bounds":
        one, all_ = "a pair", f"a pair (low, high) or an array of shape ({n}, 2)"
    got = reprlib.repr(value)
    if isinstance(value, np.ndarray):
        got = f"an array of shape {value.shape}"
    return ParameterError(
        f"The {parameter!r} parameter must be {all_} for the {n} features of X, or a "
        f"dict from names or columns to {one}. Got {got}."
    )
