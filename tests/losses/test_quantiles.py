"""The pinball losses of several quantiles: sums of those of each, and their frames."""

import numpy as np
import pytest
from losses.cases import gradient_of, values_of
from sklearn.metrics import mean_pinball_loss

import skgrad
from skgrad.exceptions import ParameterError, ShapeError
from skgrad.losses import Quantile, Quantiles, get_loss

LEVELS = (0.1, 0.37, 0.5, 0.95)


def data(rng, n=50, k=None):
    outputs = () if k is None else (k,)
    y = rng.standard_normal((n, *outputs))
    return y, 3 * rng.standard_normal((n, len(LEVELS) * (k or 1)))


@pytest.mark.parametrize("k", [None, 1, 3])
def test_the_sum_of_scikit_learns_pinball_losses(k, rng):
    y, raw = data(rng, k=k)
    columns, by_level = y.reshape(len(y), -1), raw.reshape(len(y), len(LEVELS), -1)
    expected = sum(
        mean_pinball_loss(columns[:, j], by_level[:, i, j], alpha=level)
        for i, level in enumerate(LEVELS)
        for j in range(columns.shape[1])
    )
    found = values_of(Quantiles(LEVELS), y, raw)
    assert found.shape == (50,)
    assert found.mean() == pytest.approx(expected, rel=1e-13)


def test_derivatives_are_those_of_each_level(rng):
    y, raw = data(rng)
    raw[3] = y[3]  # the middle of the subgradients
    expected = [
        gradient_of(Quantile(q), y, f) for q, f in zip(LEVELS, raw.T, strict=True)
    ]
    found = gradient_of(Quantiles(LEVELS), y, raw)
    np.testing.assert_array_equal(found, np.transpose(expected))


@pytest.mark.parametrize("k", [None, 2])
def test_one_level_is_the_loss_of_one_quantile(k, rng):
    y = rng.standard_normal((20, k) if k else 20)
    raw = rng.standard_normal(y.shape)
    one, several = Quantile(0.3), Quantiles([0.3])
    np.testing.assert_array_equal(values_of(several, y, raw), values_of(one, y, raw))
    found = several.optimal_constant(y)
    np.testing.assert_array_equal(found, one.optimal_constant(y))
    shift, scale = np.array(2.0), np.array(3.0)
    assert several.rescaled(shift, scale) == (shift, scale)


@pytest.mark.parametrize("k", [None, 2])
def test_optimal_constants_are_those_of_each_level(k, rng):
    y, _ = data(rng, k=k)
    weights = rng.integers(0, 3, size=50)
    found = Quantiles(LEVELS).optimal_constant(y, weights)
    expected = np.quantile(
        np.repeat(y, weights, axis=0), LEVELS, axis=0, method="averaged_inverted_cdf"
    )
    np.testing.assert_allclose(found, expected.ravel(), rtol=1e-14)


@pytest.mark.parametrize("k", [None, 2])
def test_smoothed_is_the_sum_of_the_smoothed(k, rng):
    y, raw = data(rng, k=k)
    by_level = raw.reshape(50, len(LEVELS), *y.shape[1:])
    tensors = skgrad.tensor(y), skgrad.tensor(raw)
    found = Quantiles(LEVELS).smoothed(*tensors, 0.7).numpy()
    expected = sum(
        Quantile(q)
        .smoothed(tensors[0], skgrad.tensor(by_level[:, i].copy()), 0.7)
        .numpy()
        for i, q in enumerate(LEVELS)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("k", [None, 2])
def test_a_frame_shifts_and_scales_each_level(k, rng):
    y, raw = data(rng, k=k)
    outputs = () if k is None else (k,)
    shift, scale = rng.standard_normal(outputs), rng.uniform(1, 2, size=outputs)
    a, b = Quantiles(LEVELS).rescaled(np.asarray(shift), np.asarray(scale))
    assert a.shape == b.shape == raw.shape[1:]
    loss = Quantiles(LEVELS)
    if k is None:  # then the loss is scaled as well
        found = values_of(loss, shift + scale * y, a + b * raw)
        np.testing.assert_allclose(found, scale * values_of(loss, y, raw), rtol=1e-12)
    constant = loss.optimal_constant(y)
    moved = loss.optimal_constant(shift + scale * y)
    np.testing.assert_allclose(moved, a + b * constant, rtol=1e-12)


def test_predictions_are_all_quantiles(rng):
    raw = data(rng)[1]
    assert Quantiles(LEVELS).inverse_link(raw).tolist() == raw.tolist()
    assert Quantiles(LEVELS).raw_per_target == 4


def test_raw_predictions_of_another_number_are_refused():
    with pytest.raises(ShapeError, match=r"3 raw predictions per target.* \(5, 3\)"):
        get_loss("quantiles")(np.zeros(5), np.zeros((5, 2)))


@pytest.mark.parametrize(
    ("quantiles", "message"),
    [
        ((0.5, 0.5), r"Got \(0.5, 0.5\): leave out what is there twice"),
        ((0.9, 0.1), r"Got \(0.9, 0.1\): sort them"),
        ((0.0, 0.5), "Got 0 among them"),
        ((0.5, np.nan), "Got nan among them"),
        ((0.5, 90), "Got 90 among them"),
        ((), r"Got \(\): pass a sequence such as"),
        (0.5, "Got 0.5: pass a sequence such as"),
        ("ab", "Got 'ab': pass a sequence such as"),
        (("a", "b"), "pass a sequence such as"),
        ([[0.1, 0.9]], "pass a sequence such as"),
        ([[0.1], [0.1, 0.9]], "pass a sequence such as"),
        (None, "Got None: pass a sequence such as"),
        ([True], "pass a sequence such as"),
    ],
)
def test_levels_are_checked_on_use(quantiles, message):
    loss = Quantiles(quantiles)
    rule = "'quantiles' parameter of Quantiles must hold floats in"
    for use in (loss.validate, lambda: loss.optimal_constant(np.zeros(2))):
        with pytest.raises(ParameterError, match=f"{rule}.*{message}"):
            use()


@pytest.mark.parametrize("levels", [[0.1, 0.9], np.array([0.1, 0.9], "float32")])
def test_levels_of_any_kind(levels, rng):
    raw = rng.standard_normal((5, 2)).astype("float32")
    y = np.zeros(5, "float32")
    found = values_of(Quantiles(levels), y, raw)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, values_of(Quantiles((0.1, 0.9)), y, raw), 1e-6)
