"""Checks of parameters, in one sentence for all classes of this package."""

from __future__ import annotations

from typing import Any

import numpy as np

from skgrad.exceptions import ParameterError

__all__ = ["check_boolean", "check_integer", "wrong_parameter"]


def wrong_parameter(owner: str, name: str, must: str, value: Any) -> ParameterError:
    """Return the error of a parameter outside its domain."""
    return ParameterError(
        f"The {name!r} parameter of {owner} must {must}. Got {value!r} instead."
    )


def check_integer(
    owner: str, name: str, value: Any, low: int, high: int | None = None
) -> None:
    """Refuse what is no integer from ``low`` to ``high``."""
    number = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if number and low <= value and (high is None or value <= high):
        return
    domain = f">= {low}" if high is None else f"in [{low}, {high}]"
    raise wrong_parameter(owner, name, f"be an integer {domain}", value)


def check_boolean(owner: str, name: str, value: object) -> None:
    """Refuse what is not True or False."""
    if not isinstance(value, bool):
        raise wrong_parameter(owner, name, "be True or False", value)
