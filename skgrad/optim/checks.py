"""Checks of constructor arguments that the optimizers and schedules share."""

from typing import Any

import numpy as np

from skgrad.exceptions import ParameterError

__all__ = ["check_boolean", "check_integer"]


def check_integer(owner: str, name: str, value: Any, low: int) -> None:
    """Check that a parameter is an integer of at least `low`.

    Parameters
    ----------
    owner : str
        Class the parameter belongs to, for the message.
    name : str
        Name of the parameter, for the message.
    value : object
        The value to check; ``bool`` is no integer here.
    low : int
        Smallest value allowed.

    Raises
    ------
    ParameterError
        If `value` is no integer or is below `low`.

    Examples
    --------
    >>> from skgrad.optim.checks import check_integer
    >>> check_integer("Step", "step_size", 30, 1)
    >>> check_integer("Step", "step_size", 2.5, 1)
    Traceback (most recent call last):
        ...
    skgrad.exceptions.ParameterError: The 'step_size' parameter of Step must be an \
integer >= 1. Got 2.5 instead.
    """
    number = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if number and value >= low:
        return
    raise ParameterError(
        f"The {name!r} parameter of {owner} must be an integer >= {low}. "
        f"Got {value!r} instead."
    )


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
    >>> from skgrad.optim.checks import check_boolean
    >>> check_boolean("SGD", "nesterov", True)
    """
    if isinstance(value, bool):
        return
    raise ParameterError(
        f"The {name!r} parameter of {owner} must be True or False. "
        f"Got {value!r} instead."
    )
