"""Checks of parameters."""

import numpy as np
import pytest

from skgrad.core.checks import check_boolean, check_integer
from skgrad.exceptions import ParameterError


@pytest.mark.parametrize("value", [1, 7, np.int32(3)])
def test_integers(value):
    check_integer("Step", "step_size", value, 1)


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "3", None])
def test_what_is_no_integer(value):
    with pytest.raises(ParameterError, match=r"parameter of Step .* \[1, inf\)"):
        check_integer("Step", "step_size", value, 1)


@pytest.mark.parametrize("value", [0, 1, "yes", None])
def test_what_is_no_boolean(value):
    with pytest.raises(ParameterError, match="must be True or False"):
        check_boolean("SGD", "nesterov", value)
