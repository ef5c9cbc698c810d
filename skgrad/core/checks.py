"""Checks of parameters, in one sentence for all: what it must be, and what it is."""

from __future__ import annotations

from numbers import Real
from typing import Literal

import numpy as np

from skgrad.exceptions import ParameterError

__all__ = ["check_boolean", "check_integer", "check_interval", "wrong_parameter"]

Closed = Literal["both", "left", "neither", "right"]


def check_interval(
    owner: str,
    name: str,
    value: object,
    low: float,
    high: float,
    closed: Closed = "neither",
) -> None:
    """Check that a parameter is a finite number in an interval.

    Parameters
    ----------
    owner : str
        Class the parameter belongs to, for the message.
    name : str
        Name of the parameter, for the message.
    value : object
        The value to check. ``bool`` is no number here, and NaN lies in no interval.
    low, high : float
        Ends of the interval; may be infinite. An infinite end that is closed allows
        that infinity.
    closed : {"both", "left", "neither", "right"}, default="neither"
        Which ends belong to the interval.

    Raises
    ------
    ParameterError
        If `value` is not a real number of that interval.

    Examples
    --------
    >>> from skgrad.core.checks import check_interval
    >>> check_interval("Quantile", "quantile", 0.9, 0, 1)
    >>> check_interval("Quantile", "quantile", 2, 0, 1)
    Traceback (most recent call last):
        ...
    skgrad.exceptions.ParameterError: The 'quantile' parameter of Quantile must be
    a float in (0, 1). Got 2 instead.
    """
    if _in_interval(value, low, high, closed):
        return
    left = "[" if closed in ("left", "both") else "("
    right = "]" if closed in ("right", "both") else ")"
    domain = f"{left}{low:g}, {high:g}{right}"
    raise wrong_parameter(owner, name, f"be a float in {domain}", value)


def check_integer(
    owner: str, name: str, value: object, low: int = 1, high: int | None = None
) -> int:
    """Return a parameter that is an int in a range, or raise.

    Parameters
    ----------
    owner : str
        Class or function the parameter belongs to, for the message.
    name : str
        Name of the parameter, for the message.
    value : object
        The value to check; ``bool`` is no int here.
    low : int, default=1
        Smallest value allowed.
    high : int or None, default=None
        Largest value allowed, if there is one.

    Returns
    -------
    int
        The value, a Python int.

    Raises
    ------
    ParameterError
        If `value` is not an int or is out of range.

    Examples
    --------
    >>> from skgrad.core.checks import check_integer
    >>> check_integer("Linear", "in_features", 3)
    3
    >>> check_integer("Linear", "in_features", 2.5)
    Traceback (most recent call last):
        ...
    skgrad.exceptions.ParameterError: The 'in_features' parameter of Linear must be
    an int in [1, inf). Got 2.5 instead.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        number = int(value)
        if low <= number and (high is None or number <= high):
            return number
    domain = f"[{low}, inf)" if high is None else f"[{low}, {high}]"
    raise wrong_parameter(owner, name, f"be an int in {domain}", value)


def check_boolean(owner: str, name: str, value: object) -> None:
    """Check that a parameter is ``True`` or ``False``.

    Parameters
    ----------
    owner : str
        Class the parameter belongs to, for the message.
    name : str
        Name of the parameter, for the message.
    value : object
        The value to check.

    Raises
    ------
    ParameterError
        If `value` is anything else, 0 and 1 included.

    Examples
    --------
    >>> from skgrad.core.checks import check_boolean
    >>> check_boolean("SGD", "nesterov", True)
    """
    if not isinstance(value, bool):
        raise wrong_parameter(owner, name, "be True or False", value)


def wrong_parameter(owner: str, name: str, must: str, value: object) -> ParameterError:
    """Return the error of a parameter outside its domain, in the one sentence for it.

    Parameters
    ----------
    owner, name : str
        Class or function, and parameter.
    must : str
        What it must be: ``"be True or False"``.
    value : object
        What it is.

    Returns
    -------
    ParameterError
        To be raised.

    Examples
    --------
    >>> from skgrad.core.checks import wrong_parameter
    >>> print(wrong_parameter("SGD", "nesterov", "be True or False", 2))
    The 'nesterov' parameter of SGD must be True or False. Got 2 instead.
    """
    return ParameterError(
        f"The {name!r} parameter of {owner} must {must}. Got {shown(value)} instead."
    )


def shown(value: object) -> str:
    """Return a ``repr`` that reads well in a message; NumPy scalars as numbers."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def _in_interval(value: object, low: float, high: float, closed: Closed) -> bool:
    """Tell whether `value` is a number of the interval; NaN and bool are not."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    number = float(value)
    after = number >= low if closed in ("left", "both") else number > low
    before = number <= high if closed in ("right", "both") else number < high
    return after and before
