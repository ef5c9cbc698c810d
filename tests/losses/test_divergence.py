"""Targets that are probabilities."""

import numpy as np
import pytest
import scipy
from losses.cases import gradient_of, values_of

from skgrad import losses
from skgrad.exceptions import ParameterError, ShapeError


def rows(rng, n=30, k=4):
    y = rng.dirichlet(np.full(k, 0.5), size=n)
    y[::4] = np.eye(k)[rng.integers(0, k, size=len(y[::4]))]
    return y, rng.standard_normal((n, k))


def test_equals_scipys_relative_entropy(rng):
    y, raw = rows(rng)
    share = scipy.special.softmax(raw, axis=1)
    expected = scipy.special.rel_entr(y, share).sum(axis=1)
    np.testing.assert_allclose(values_of(losses.KLDiv(), y, raw), expected, rtol=1e-12)


def test_indicator_columns_have_the_log_loss(rng):
    _, raw = rows(rng)
    codes = rng.integers(0, 4, size=len(raw))
    found = values_of(losses.KLDiv(), np.eye(4)[codes], raw)
    expected = values_of(losses.LogLoss(), codes, raw)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_it_is_zero_where_the_prediction_is_the_target(rng):
    y = rng.dirichlet(np.ones(5), size=20)
    raw = np.log(y) + rng.standard_normal((20, 1))
    np.testing.assert_allclose(values_of(losses.KLDiv(), y, raw), 0, atol=1e-15)
    np.testing.assert_allclose(gradient_of(losses.KLDiv(), y, raw), 0, atol=1e-15)


def test_a_target_of_zero_adds_nothing_whatever_is_predicted():
    y, raw = np.array([[1.0, 0.0]]), np.array([[0.0, -1e308]])
    assert values_of(losses.KLDiv(), y, raw).tolist() == [0.0]
    assert gradient_of(losses.KLDiv(), y, raw).tolist() == [[0.0, 0.0]]


def test_the_best_constant_predicts_the_mean(rng):
    y, _ = rows(rng)
    w = rng.uniform(size=len(y))
    best = losses.KLDiv().optimal_constant(y, w)
    mean = losses.KLDiv().inverse_link(best[np.newaxis])[0]
    np.testing.assert_allclose(mean, w @ y / w.sum(), rtol=1e-12)
    gradient = w @ gradient_of(losses.KLDiv(), y, np.tile(best, (len(y), 1)))
    np.testing.assert_allclose(gradient, 0, atol=1e-14)


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_a_single_column_is_refused_with_the_remedy(shape):
    with pytest.raises(ShapeError, match=r"columns 1 - y and y.*log_loss") as caught:
        losses.KLDiv()(np.ones(shape), np.zeros(shape))
    assert f"Got shape {shape}" in str(caught.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.5, 0.6], r"Row 1 sums to 1\.1: divide each row by its sum"),
        ([0.0, 0.0], "Row 1 sums to 0"),
        ([-0.5, 1.5], r"must lie in \[0, 1\]. Got -0\.5"),
        ([np.nan, 1.0], r"must lie in \[0, 1\]. Got nan"),
    ],
)
def test_rows_that_are_no_probabilities_are_refused(row, message):
    y = np.array([[0.5, 0.5], row])
    for use in (
        lambda: losses.KLDiv()(y, np.zeros((2, 2))),
        lambda: losses.KLDiv().optimal_constant(y),
    ):
        with pytest.raises(ParameterError, match=message):
            use()


def test_rounded_probabilities_are_taken():
    third = np.full((1, 3), 0.333, dtype=np.float32)
    assert values_of(losses.KLDiv(), third, np.zeros((1, 3), np.float32)).size == 1
