"""Proximal operators against their definition, minimised by SciPy."""

import numpy as np
import pytest
from scipy import optimize

from skgrad.exceptions import ParameterError, ShapeError
from skgrad.optim import L1, GroupL1

CASES = {
    "l1": L1(0.7),
    "l1-rates": L1(np.array([0.0, 0.3, 2.0, 0.5, 0.1])),
    "group": GroupL1(0.8, [0, 1, 0, -1, 1]),
    "group-rates": GroupL1(np.array([0.2, 5.0]), np.array([0, 0, 1, 1, 0])),
    "groups-of-one": GroupL1(0.7, np.arange(5)),
}
EACH = pytest.mark.parametrize("penalty", CASES.values(), ids=CASES)


@EACH
@pytest.mark.parametrize("step", [0.3, 2.0])
def test_prox_is_the_minimum_of_its_definition(rng, penalty, step):
    x = rng.normal(size=5)
    near = penalty.prox(x, step)

    def definition(z):
        return penalty.value(z) + (z - x) @ (z - x) / (2 * step)

    found = optimize.minimize(definition, near, method="Powell", tol=1e-12)
    assert definition(near) <= found.fun + 1e-12
    np.testing.assert_allclose(near, found.x, atol=1e-5)


@EACH
def test_value_is_the_sum_of_the_formula(rng, penalty):
    x = rng.normal(size=5)
    groups = np.asarray(getattr(penalty, "groups", np.arange(5)))
    rates = np.broadcast_to(penalty.rate, groups.max() + 1)
    expected = sum(r * np.linalg.norm(x[groups == g]) for g, r in enumerate(rates))
    np.testing.assert_allclose(penalty.value(x), expected, rtol=1e-14)
    assert penalty.value(np.zeros(5)) == 0


def test_groups_of_one_are_l1(rng):
    x = rng.normal(size=5)
    l1, groups = CASES["l1"], CASES["groups-of-one"]
    np.testing.assert_allclose(l1.prox(x, 0.9), groups.prox(x, 0.9), rtol=1e-13)


def test_a_group_is_zero_as_a_whole():
    penalty = GroupL1(1.0, [0, 0, 1])
    np.testing.assert_array_equal(
        penalty.prox(np.array([0.6, 0.6, 3.0]), 1.0), [0, 0, 2]
    )
    np.testing.assert_array_equal(penalty.prox(np.zeros(3), 1.0), np.zeros(3))


@pytest.mark.parametrize(
    ("penalty", "error", "message"),
    [
        (L1(-1.0), ParameterError, "'rate' of L1 must be finite and >= 0"),
        (L1(np.nan), ParameterError, "'rate' of L1"),
        (L1(np.ones(4)), ShapeError, r"or of shape \(5,\). Got shape \(4,\)"),
        (GroupL1(1.0, [0, 1]), ShapeError, "an int per parameter, 5 in all"),
        (GroupL1(1.0, np.zeros(5)), ShapeError, "Got float64 of shape"),
        (GroupL1(1.0, [0, 0, 0, 0, -2]), ParameterError, "must be >= -1. Got -2"),
        (GroupL1(np.ones(3), [0, 0, 0, 1, 1]), ShapeError, r"of shape \(2,\)"),
    ],
)
def test_what_does_not_fit_is_refused(penalty, error, message):
    with pytest.raises(error, match=message):
        penalty.check(5)
