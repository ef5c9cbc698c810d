"""Likelihoods with a location and a scale: the densities of SciPy, and their frames."""

import numpy as np
import pytest
import scipy
from losses.cases import gradient_of, values_of
from mpmath import mp

import skgrad
from skgrad import losses
from skgrad.exceptions import ParameterError, ShapeError
from skgrad.losses.likelihood import _log_gamma_ratio

DFS = [0.01, 0.5, 1.0, 3.0, 40.0, 1e3, 1e6]
LOSSES = [losses.GaussianNLL(), *(losses.StudentTNLL(df=df) for df in DFS)]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=repr)
# With 60 targets the likelihood is infinite for a scale of 0 where df < 1 / 59.
loss_with_constant = pytest.mark.parametrize("loss", LOSSES[:1] + LOSSES[2:], ids=repr)


def density(loss, location, scale):
    if isinstance(loss, losses.GaussianNLL):
        return scipy.stats.norm(location, scale)
    return scipy.stats.t(loss.df, location, scale)


def data(rng, n=50, k=None):
    shape = (n,) if k is None else (n, k)
    y, location, log_scale = rng.standard_normal((3, *shape))
    raw = np.stack if k is None else np.concatenate
    return y, raw([location, log_scale], axis=-1), location, np.exp(log_scale)


@every_loss
def test_minus_the_logarithm_of_scipys_density(loss, rng):
    y, raw, location, scale = data(rng)
    y[:5] *= [1.0, 10.0, 1e3, 1e6, 1e9][: len(y)]
    expected = -density(loss, location, scale).logpdf(y)
    np.testing.assert_allclose(values_of(loss, y, raw), expected, rtol=1e-9, atol=1e-9)


def textbook(loss, y, m, g):
    """Return the negative log-density as it is written."""
    z = (y - m) / mp.exp(g)
    if isinstance(loss, losses.GaussianNLL):
        return mp.log(2 * mp.pi) / 2 + g + z**2 / 2
    df = mp.mpf(loss.df)
    constant = mp.log(df * mp.pi) / 2 + mp.loggamma(df / 2) - mp.loggamma((df + 1) / 2)
    return g + (df + 1) / 2 * mp.log(1 + z**2 / df) + constant


@pytest.mark.parametrize("loss", [LOSSES[0], LOSSES[2], LOSSES[4]], ids=repr)
@pytest.mark.parametrize("order", [(0, 0), (1, 0), (0, 1)])
def test_textbook_formula_in_high_precision(loss, order):
    residuals = [1e-9, -0.3, 1.0, -40.0, 1e6]
    raw = np.array([(0.5 + r, g) for r in residuals for g in (-5.0, 0.0, 0.1, 9.0)])
    y = np.full(len(raw), 0.5)
    if order == (0, 0):
        found = values_of(loss, y, raw)
    else:
        found = gradient_of(loss, y, raw)[:, order[1]]
    with mp.workdps(60):
        expected = [
            float(mp.diff(lambda m, g: textbook(loss, 0.5, m, g), tuple(row), order))
            for row in raw.tolist()
        ]
    # Terms of the size of 10 cancel.
    np.testing.assert_allclose(found, expected, rtol=2e-14, atol=2e-15)


@pytest.mark.parametrize("x", [1e-300, 1e-8, 0.3, 1.0, 7.5, 1e3, 1e9, 1e300])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_ratio_of_gamma_functions(x, dtype):
    limits = np.finfo(dtype)
    x = float(np.dtype(dtype).type(np.clip(x, limits.tiny, limits.max)))
    with mp.workdps(40):
        exact = mp.mpf(x)
        if x > 1e6:  # the difference of two logarithms would need 300 digits
            expected = float(mp.log(exact) / 2 - 1 / (8 * exact))
        else:
            ratio = mp.loggamma(exact + mp.mpf(1) / 2) - mp.loggamma(exact)
            expected = float(ratio)
    found = _log_gamma_ratio(skgrad.tensor(np.array(x, dtype=dtype))).item()
    eps = float(np.finfo(dtype).eps)
    assert found == pytest.approx(expected, rel=8 * eps, abs=8 * eps)


def test_many_degrees_of_freedom_are_normal(rng):
    y, raw, *_ = data(rng)
    found = values_of(losses.StudentTNLL(df=1e9), y, raw)
    expected = values_of(losses.GaussianNLL(), y, raw)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_far_outliers_pull_less_and_less():
    y, raw = np.array([1.0, 1e3, 1e200]), np.zeros((3, 2))
    gradient = gradient_of(losses.StudentTNLL(df=3.0), y, raw)
    # d/dm = -(df + 1) z / (df + z²), d/dg = 1 - (df + 1) z² / (df + z²).
    z = y
    np.testing.assert_allclose(gradient[:, 0], -4 / (3 / z + z), rtol=1e-14)
    np.testing.assert_allclose(
        gradient[:, 1], 1 - 4 / (3 / z / z + 1), rtol=1e-14, atol=1e-15
    )


# ---------------------------------------------------------------- several outputs


@every_loss
def test_outputs_are_summed_with_all_locations_first(loss, rng):
    y, raw, *_ = data(rng, k=3)
    parts = [values_of(loss, y[:, j], raw[:, [j, 3 + j]]) for j in range(3)]
    np.testing.assert_allclose(values_of(loss, y, raw), sum(parts), rtol=1e-13)
    one = values_of(loss, y[:, :1], raw[:, [0, 3]])
    np.testing.assert_array_equal(one, parts[0])


@pytest.mark.parametrize(
    ("y", "raw", "needed"),
    [
        ((5,), (5,), r"\(5, 2\)"),
        ((5,), (4, 2), r"\(5, 2\)"),
        ((5, 3), (5, 3), r"\(5, 6\).*Give the model 6 outputs"),
        ((5, 1), (5, 1), r"\(5, 2\)"),
        ((), (2,), "one value per sample"),
        ((5, 1, 1), (5, 2), "Reshape both"),
    ],
)
def test_other_shapes_are_refused(y, raw, needed):
    with pytest.raises(ShapeError, match=needed) as caught:
        losses.GaussianNLL()(np.zeros(y), np.zeros(raw))
    assert f"y_true has shape {y} and raw_prediction has shape {raw}" in str(
        caught.value
    )


# ------------------------------------------------------- predictions and the frame


@every_loss
@pytest.mark.parametrize("k", [None, 3])
def test_location_and_distribution_are_what_the_raw_predictions_say(loss, k, rng):
    y, raw, location, scale = data(rng, k=k)
    np.testing.assert_array_equal(loss.inverse_link(raw), location)
    found = loss.distribution(raw)
    assert found.mean().shape == y.shape
    np.testing.assert_allclose(
        found.logpdf(y), density(loss, location, scale).logpdf(y), rtol=1e-12
    )


@every_loss
@pytest.mark.parametrize("k", [None, 3])
def test_rescaled_targets_have_the_rescaled_density(loss, k, rng):
    y, raw, *_ = data(rng, k=k)
    shift, scale = rng.standard_normal(y.shape[1:]), rng.uniform(2, 9, size=y.shape[1:])
    raw_shift, raw_scale = loss.rescaled(shift, scale)
    found = values_of(loss, shift + scale * y, raw_shift + raw_scale * raw)
    expected = values_of(loss, y, raw) + np.log(scale).sum()
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(loss.location(raw_shift), shift)
    np.testing.assert_array_equal(loss.location(raw_scale), scale)


def test_other_losses_have_no_distribution():
    assert not losses.Poisson().has_distribution
    with pytest.raises(ParameterError, match=r"'poisson' predicts a point.*gaussian"):
        losses.Poisson().distribution(np.zeros(3))


# ---------------------------------------------------------------- best constants


@loss_with_constant
@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_is_zero_at_the_best_constant(loss, weighted, rng):
    y = 1e4 + 10 * rng.standard_t(2.0, size=60)
    w = rng.integers(0, 4, size=60).astype(float) if weighted else np.ones(60)
    best = loss.optimal_constant(y, w if weighted else None)
    assert best.shape == (2,)
    gradient = w @ gradient_of(loss, y, np.tile(best, (60, 1)))
    scale = np.exp(best[1])
    np.testing.assert_allclose(gradient * [scale, 1.0], 0, atol=1e-6)
    np.testing.assert_allclose(
        loss.optimal_constant(np.repeat(y, w.astype(int))), best, rtol=1e-7
    )


def test_best_constants_are_scipys(rng):
    y = 5 + 3 * rng.standard_t(3.0, size=500)
    mean, log_scale = losses.GaussianNLL().optimal_constant(y)
    assert (mean, np.exp(log_scale)) == pytest.approx(scipy.stats.norm.fit(y))
    location, log_scale = losses.StudentTNLL(df=3.0).optimal_constant(y)
    _, *expected = scipy.stats.t.fit(y, fix_df=3.0)
    assert [location, np.exp(log_scale)] == pytest.approx(expected, rel=1e-3)


@loss_with_constant
def test_best_constants_of_several_outputs(loss, rng):
    y = rng.standard_normal((20, 3)) * [1.0, 5.0, 20.0]
    each = np.array([loss.optimal_constant(column) for column in y.T])
    np.testing.assert_allclose(loss.optimal_constant(y), each.T.ravel(), rtol=1e-13)


@every_loss
@pytest.mark.parametrize("value", [0.0, 5.0, -1e300])
def test_the_scale_of_equal_targets_is_small_and_positive(loss, value):
    location, log_scale = loss.optimal_constant(np.full(4, value))
    assert location == value
    assert np.isfinite(log_scale)
    assert np.exp(log_scale) <= 1e-15 * max(1.0, abs(value))


# --------------------------------------------------------------- limits of scales


@every_loss
@pytest.mark.parametrize(("dtype", "limit"), [("float32", 43.4), ("float64", 353.9)])
def test_beyond_its_limits_the_scale_is_led_back(loss, dtype, limit):
    log_scale = np.array([-limit - 5, -limit - 1, limit + 1, limit + 5], dtype=dtype)
    raw = np.stack([np.zeros(4, dtype=dtype), log_scale], axis=1)
    gradient = gradient_of(loss, np.zeros(4, dtype=dtype), raw)
    np.testing.assert_array_equal(gradient[:, 1], [-1.0, -1.0, 1.0, 1.0])


@pytest.mark.parametrize("df", [0.0, -1.0, np.inf, np.nan, None])
def test_degrees_of_freedom_are_checked(df):
    with pytest.raises(ParameterError, match=r"'df' .* of StudentTNLL .* \(0, inf\)"):
        losses.get_loss(losses.StudentTNLL(df=df))
