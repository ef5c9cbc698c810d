"""Intervals."""

import numpy as np
import pytest

from skgrad.losses import Interval

INF = float("inf")


@pytest.mark.parametrize(
    ("interval", "inside", "outside", "shown"),
    [
        (Interval(-INF, INF), [-1e308, 0, 1e308], [INF, -INF, np.nan], "(-inf, inf)"),
        (Interval(0, INF, "left"), [0.0, 1e-300], [-1e-300, INF], "[0, inf)"),
        (Interval(0, 1), [0.5], [0, 1, np.nan], "(0, 1)"),
        (Interval(0, 1, "right"), [1.0], [0.0], "(0, 1]"),
        (Interval(0, 1, "both"), [0, 1], [-0.1, 1.1], "[0, 1]"),
        (Interval(0, 0, "both", integer=True), [0], [1, 0.5], "{0}"),
        (Interval(0, 1, "both", integer=True), [0, 1.0], [0.5, 2], "{0, 1}"),
        (Interval(0, 2, "both", integer=True), [2], [1.5, 3], "{0, 1, 2}"),
        (Interval(0, 9, "both", integer=True), [7], [-1, 10], "{0, 1, ..., 9}"),
        (Interval(0, INF, "left", integer=True), [1e9], [0.5, INF], "{0, 1, ...}"),
    ],
    ids=str,
)
def test_membership_and_notation(interval, inside, outside, shown):
    assert interval.includes(inside)
    assert not interval.contains(outside).any()
    for value in outside:
        assert not interval.includes([*inside, value])
    assert str(interval) == shown


def test_any_dtype_and_empty():
    labels = Interval(0, 1, "both", integer=True)
    assert labels.includes(np.array([True, False]))
    assert labels.includes(np.array([0, 1], dtype=np.uint8))
    assert labels.includes([])
    assert labels.contains(np.zeros((2, 3))).shape == (2, 3)


@pytest.mark.parametrize("ends", [(1, 0), (np.nan, 0)])
def test_ends_in_the_wrong_order_are_refused(ends):
    with pytest.raises(ValueError, match=r"needs low <= high\. Got low="):
        Interval(*ends)
