"""Hinges, and the focal loss: what scikit-learn and the papers say of them."""

import numpy as np
import pytest
from losses.cases import gradient_of, values_of
from sklearn.metrics import hinge_loss

import skgrad
from skgrad import losses

HINGES = [losses.Hinge(), losses.SquaredHinge()]
every_hinge = pytest.mark.parametrize("loss", HINGES, ids=repr)


def test_equals_scikit_learns_metric(rng):
    y, raw = rng.integers(0, 2, size=50), 2 * rng.standard_normal(50)
    found = values_of(losses.Hinge(), y, raw)
    assert found.mean() == pytest.approx(hinge_loss(y, raw), rel=1e-14)
    np.testing.assert_allclose(values_of(losses.SquaredHinge(), y, raw), found**2)


@every_hinge
def test_columns_are_one_model_against_the_rest_each(loss, rng):
    y, raw = rng.integers(0, 3, size=50), 2 * rng.standard_normal((50, 3))
    each = [values_of(loss, (y == j).astype(int), raw[:, j]) for j in range(3)]
    np.testing.assert_allclose(values_of(loss, y, raw), sum(each), rtol=1e-14)
    slopes = [gradient_of(loss, (y == j).astype(int), raw[:, j]) for j in range(3)]
    np.testing.assert_array_equal(gradient_of(loss, y, raw), np.stack(slopes, axis=1))


@every_hinge
def test_at_the_margin_the_derivative_is_zero(loss):
    assert gradient_of(loss, np.array([1, 0]), np.array([1.0, -1.0])).tolist() == [0, 0]


@every_hinge
def test_a_hinge_has_no_link(loss, rng):
    raw = rng.standard_normal((5, 3))
    assert loss.link == "identity"
    np.testing.assert_array_equal(loss.inverse_link(raw), raw)


def test_best_scores():
    y = [0, 0, 0, 1]
    assert losses.Hinge().optimal_constant(y) == -1.0
    assert losses.Hinge().optimal_constant(y, [1, 1, 1, 4]) == 1.0
    assert losses.Hinge().optimal_constant([0, 1]) == 0.0
    assert losses.SquaredHinge().optimal_constant(y) == -0.5
    assert losses.SquaredHinge().optimal_constant([0, 1, 2, 2]).tolist() == [
        -0.5,
        -0.5,
        0.0,
    ]


@pytest.mark.parametrize("width", [1e-9, 0.3, 2.0])
def test_the_rounded_hinge_is_the_mean_over_the_window(width):
    raw = np.linspace(-1.0, 4.0, 101)
    y = np.ones(101)
    # The mean of max(0, u) over [u - w, u + w]: 0, (u + w)² / 4w, u.
    missing = 1 - raw
    inside = (missing + width) ** 2 / (4 * width)
    expected = np.where(np.abs(missing) <= width, inside, np.maximum(missing, 0))
    found = losses.Hinge().smoothed(skgrad.tensor(y), skgrad.tensor(raw), width)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-15)


# ---------------------------------------------------------------------- focal loss


def test_a_gamma_of_zero_is_the_log_loss(rng):
    for shape in ((20,), (20, 3)):
        y, raw = rng.integers(0, shape[-1] if len(shape) > 1 else 2, 20), 5 * np.ones(1)
        raw = raw * rng.standard_normal(shape)
        found = values_of(losses.Focal(gamma=0.0), y, raw)
        np.testing.assert_array_equal(found, values_of(losses.LogLoss(), y, raw))


def test_two_columns_are_one_difference(rng):
    y, raw = rng.integers(0, 2, 20), rng.standard_normal((20, 2))
    found = values_of(losses.Focal(), y, raw)
    expected = values_of(losses.Focal(), y, raw[:, 1] - raw[:, 0])
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_the_numbers_of_the_paper():
    # Lin et al. (2017), Section 3.2: with gamma = 2 an example of p = 0.9 has a loss
    # 100 times lower than the cross-entropy, one of p = 0.968 about 1000 times.
    raw = np.log([0.9 / 0.1, 0.968 / 0.032])
    log_loss = values_of(losses.LogLoss(), np.ones(2), raw)
    focal = values_of(losses.Focal(gamma=2.0), np.ones(2), raw)
    np.testing.assert_allclose(log_loss / focal, [100.0, 1 / 0.032**2], rtol=1e-12)


def test_the_best_constant_of_the_focal_loss_is_not_known():
    assert not losses.Focal().has_optimal_constant
