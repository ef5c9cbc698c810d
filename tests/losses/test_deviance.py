"""Deviances: scikit-learn's for every power, and what they leave out."""

import numpy as np
import pytest
import sklearn._loss.loss as sklearn_loss
from losses.cases import gradient_of, second_of, values_of
from mpmath import mp
from sklearn.metrics import mean_tweedie_deviance

from skgrad import losses
from skgrad.exceptions import ParameterError

POWERS = [-2.0, -0.5, 0, 1, 1.1, 1.5, 1.9, 2, 2.5, 3]


def data(power, rng, n=50):
    raw = rng.standard_normal(n)
    y = rng.standard_normal(n) if power <= 0 else rng.gamma(2.0, size=n)
    if 1 <= power < 2:
        y[::3] = 0.0
    return y, raw


@pytest.mark.parametrize("power", POWERS)
def test_derivatives_are_scikit_learns(power, rng):
    y, raw = data(power, rng)
    other = sklearn_loss.HalfTweedieLoss(power=power)
    gradient, second = other.gradient_hessian(y, raw)
    loss = losses.Tweedie(power=power)
    np.testing.assert_allclose(gradient_of(loss, y, raw), gradient, rtol=1e-11)
    np.testing.assert_allclose(second_of(loss, y, raw), second, rtol=1e-11)


@pytest.mark.parametrize("power", POWERS)
def test_differences_of_values_are_half_the_deviance(power, rng):
    y, raw = data(power, rng)
    y = np.abs(y) if power < 0 else y  # the metric takes no others
    loss = losses.Tweedie(power=power)
    found = values_of(loss, y, raw) - values_of(loss, y, np.zeros_like(raw))
    expected = [
        mean_tweedie_deviance([a], [np.exp(f)], power=power)
        - mean_tweedie_deviance([a], [1.0], power=power)
        for a, f in zip(y, raw, strict=True)
    ]
    np.testing.assert_allclose(found, 0.5 * np.array(expected), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("limit", [1.0, 2.0])
@pytest.mark.parametrize("away", [1e-12, 1e-6, 1e-3])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_value_is_continuous_at_the_limits(limit, away, order):
    y, raw = np.array([0.5, 3.0, 0.5]), np.array([-1.0, 0.7, 30.0])
    of = (values_of, gradient_of, second_of)[order]
    for power in (limit + away, max(limit - away, 1.0)):
        expected = of(losses.Tweedie(power=limit), y, raw)
        found = of(losses.Tweedie(power=power), y, raw)
        np.testing.assert_allclose(found, expected, rtol=1e3 * away, atol=2 * away)


def test_poisson_and_gamma_are_powers_one_and_two(rng):
    y, raw = data(2.0, rng)
    found = values_of(losses.Tweedie(power=1), y, raw)
    np.testing.assert_allclose(found, values_of(losses.Poisson(), y, raw) - 1)
    found = values_of(losses.Tweedie(power=2), y, raw)
    np.testing.assert_allclose(found, values_of(losses.Gamma(), y, raw) - y)


@pytest.mark.parametrize("power", [-3.0, 1.5, 3.0, 6.0])
@pytest.mark.parametrize(("y", "raw"), [(2e8, 19.0), (3e-8, -18.0), (1.0, 30.0)])
def test_gradients_of_large_and_small_means_keep_their_digits(power, y, raw):
    # One less than 1e-8 has half the digits; only the difference of both terms counts.
    with mp.workdps(50):
        p, f = mp.mpf(power), mp.mpf(raw)
        up, down = mp.exp((2 - p) * f), y * mp.exp((1 - p) * f)
        expected, size = float(up - down), float(up + down)
    found = gradient_of(losses.Tweedie(power=power), np.array([y]), np.array([raw]))
    assert found[0] == pytest.approx(expected, abs=1e-13 * size)


@pytest.mark.parametrize(
    ("power", "domain"),
    [
        (-1.0, "(-inf, inf)"),
        (0, "(-inf, inf)"),
        (1, "[0, inf)"),
        (1.9, "[0, inf)"),
        (2, "(0, inf)"),
        (3.5, "(0, inf)"),
    ],
)
def test_the_domain_depends_on_the_power(power, domain):
    loss = losses.Tweedie(power=power)
    assert str(loss.y_domain) == domain
    assert loss.convex == (1 <= power <= 2)
    other = sklearn_loss.HalfTweedieLoss(power=power)
    for y in (-1.0, 0.0, 1.0):
        assert loss.y_domain.includes([y]) == other.in_y_true_range(np.array([y]))


@pytest.mark.parametrize("power", [0.5, 0.999, np.nan, np.inf, "1", None])
def test_powers_without_a_distribution_are_refused(power):
    with pytest.raises(ParameterError, match=r"The 'power' parameter of Tweedie must"):
        losses.get_loss(losses.Tweedie(power=power))


@pytest.mark.parametrize("power", [-1.0, 1.5, 3.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_beyond_the_range_of_numbers_the_value_goes_on_outwards(power, dtype):
    largest = np.log(np.finfo(dtype).max) / max(abs(1 - power), abs(2 - power))
    raw = np.array([-2 * largest, 2 * largest], dtype=dtype)
    gradient = gradient_of(losses.Tweedie(power=power), np.ones(2, dtype), raw)
    assert gradient.tolist() == [-1.0, 1.0]
