"""What estimators of quantiles share: levels, interpolation, intervals, measures."""

import numpy as np
import pytest
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import QuantileRegressor
from sklearn.metrics import d2_pinball_score, mean_pinball_loss

from skgrad import GradientLinearRegressor, MLPQuantileRegressor, MLPRegressor
from skgrad.estimators.quantiles import (
    Calibration,
    fewest_rows,
    read_levels,
)
from skgrad.exceptions import ParameterError
from skgrad.losses import Quantiles

LEVELS = (0.05, 0.1, 0.5, 0.95)
FAST = {"hidden_layer_sizes": (4,), "tol": None, "max_iter": 5, "random_state": 0}


def make_data(n=60):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 2))
    return X, 100 + X[:, 0] + rng.normal(size=n) * np.exp(X[:, 1])


@pytest.fixture(scope="module")
def fitted():
    X, y = make_data()
    return MLPQuantileRegressor(quantile=LEVELS, **FAST).fit(X, y), X, y


@pytest.fixture(scope="module")
def single():
    X, y = make_data()
    return MLPQuantileRegressor(quantile=0.3, **FAST).fit(X, y), X, y


# --------------------------------------------------------------------------- levels


@pytest.mark.parametrize("quantile", [0.3, np.float32(0.25), np.float64(0.3)])
def test_a_number_is_a_single_level(quantile):
    levels, single = read_levels("Model", quantile)
    assert levels.tolist() == [float(quantile)]
    assert single


@pytest.mark.parametrize("kind", [tuple, list, np.array])
def test_sequences_are_several_levels(kind):
    levels, single = read_levels("Model", kind([0.1, 0.9]))
    assert levels.tolist() == [0.1, 0.9]
    assert not single
    assert read_levels("Model", kind([0.1])) == (np.array([0.1]), False)


@pytest.mark.parametrize(
    ("quantile", "message"),
    [
        (1.0, r"be a float in \(0, 1\)\. Got 1\.0"),
        (True, "Got True"),
        ("median", "Got 'median': pass a sequence"),
        ((0.9, 0.1), r"Got \(0.9, 0.1\): sort them"),
    ],
)
def test_other_levels_are_refused(quantile, message):
    with pytest.raises(ParameterError, match=f"'quantile' .* of Model must.*{message}"):
        read_levels("Model", quantile)


# ---------------------------------------------------------------------- predictions


def test_a_column_per_level(fitted, single):
    model, X, _ = fitted
    assert model.predict(X).shape == (60, 4)
    assert model.quantiles_.tolist() == list(LEVELS)
    one, _, _ = single
    assert one.predict(X).shape == (60,)
    assert one.predict(X, quantile=0.3).tolist() == one.predict(X).tolist()
    column = one.predict(X, quantile=[0.3])
    assert column.tolist() == one.predict(X)[:, None].tolist()


def test_fitted_levels_are_exact(fitted):
    model, X, _ = fitted
    all_levels = model.predict(X)
    for j, level in enumerate(LEVELS):
        assert model.predict(X, quantile=level).tolist() == all_levels[:, j].tolist()
    some = model.predict(X, quantile=(0.1, 0.95))
    assert some.tolist() == all_levels[:, [1, 3]].tolist()


def test_interpolation_is_numpys(fitted):
    model, X, _ = fitted
    wanted = np.linspace(0.05, 0.95, 17)
    found = model.predict(X, quantile=wanted)
    expected = [np.interp(wanted, LEVELS, row) for row in model.predict(X)]
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert (np.diff(found) >= 0).all()
    one = model.predict(X, quantile=0.37)
    np.testing.assert_allclose(
        one, [np.interp(0.37, LEVELS, r) for r in model.predict(X)]
    )


@pytest.mark.parametrize("quantile", [0.04, 0.96, (0.1, 0.99)])
def test_levels_outside_of_the_fitted_are_refused(fitted, quantile):
    model, X, _ = fitted
    with pytest.raises(ParameterError, match=r"fitted for 0\.05 to 0\.95.*'quantile'"):
        model.predict(X, quantile=quantile)


def test_a_single_level_knows_no_other(single):
    model, X, _ = single
    with pytest.raises(ParameterError, match=r"needs the quantile 0\.5.*only 0\.3 "):
        model.predict(X, quantile=0.5)
    with pytest.raises(
        ParameterError, match=r"coverage=0\.9\) needs the quantile 0\.05"
    ):
        model.predict_interval(X)


@pytest.mark.parametrize("quantile", [0, 2, (0.5, 0.5), "median"])
def test_what_is_no_level_is_refused(fitted, quantile):
    model, X, _ = fitted
    with pytest.raises(ParameterError, match="'quantile' parameter of predict"):
        model.predict(X, quantile=quantile)


def test_a_later_change_of_the_parameter_changes_nothing(fitted):
    model, X, _ = fitted
    before = model.predict(X)
    model.set_params(quantile=0.5)
    np.testing.assert_array_equal(model.predict(X), before)
    model.set_params(quantile=LEVELS)


# ------------------------------------------------------------------------ intervals


@pytest.mark.parametrize("coverage", [0.9, 0.8, 0.123])
def test_an_interval_has_a_pair_of_quantiles(fitted, coverage):
    model, X, _ = fitted
    ends = 0.5 - coverage / 2, 0.5 + coverage / 2
    expected = [np.interp(ends, LEVELS, row) for row in model.predict(X)]
    found = model.predict_interval(X, coverage=coverage)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("coverage", [0.0, 1.0, "all", 90, None])
def test_what_is_no_coverage_is_refused(fitted, coverage):
    model, X, _ = fitted
    with pytest.raises(
        ParameterError, match="'coverage' parameter of predict_interval"
    ):
        model.predict_interval(X, coverage=coverage)


def test_a_coverage_beyond_the_fitted_levels_is_refused(fitted):
    model, X, _ = fitted
    with pytest.raises(ParameterError, match=r"coverage=0\.95\).* quantile 0\.025"):
        model.predict_interval(X, coverage=0.95)


@pytest.mark.parametrize("n", [1, 5, 9, 19, 40])
@pytest.mark.parametrize("coverage", [0.5, 0.55, 0.9, 0.95])
def test_the_margin_is_the_order_statistic_of_the_paper(n, coverage, rng):
    lower, width, y = rng.normal(size=(3, n))
    interval = np.column_stack([lower, lower + abs(width)])
    kept = Calibration(interval, y, np.full(n, 2.5))
    rank = int(np.ceil(round((n + 1) * coverage, 9)))
    if rank > n:
        with pytest.raises(ValueError, match=f"at least {fewest_rows(coverage)} rows"):
            kept.margin(interval, coverage)
        return
    scores = np.maximum(lower - y, y - interval[:, 1])
    assert kept.margin(interval, coverage) == np.sort(scores)[rank - 1]


@pytest.mark.parametrize("percent", range(1, 100))
def test_fewest_rows_are_enough_and_no_fewer(percent):
    fits = [n for n in range(1, 101) if (n + 1) * percent <= 100 * n]
    assert fewest_rows(percent / 100) == fits[0]


def test_weights_count_scores(rng):
    y, w = rng.normal(size=30), rng.integers(1, 4, size=30).astype(float)
    interval = np.zeros((30, 2))
    found = Calibration(interval, y, w).margin(interval, 0.7)
    scores, total = np.abs(y), w.sum()
    reached = [w[scores <= s].sum() for s in scores]
    enough = np.array(reached) >= total / 30 * 31 * 0.7
    assert found == scores[enough].min()


# ------------------------------------------------------------------------- measures


@pytest.mark.parametrize("weighted", [False, True])
def test_measures_are_scikit_learns(fitted, weighted):
    model, X, y = fitted
    w = np.random.default_rng(0).uniform(size=60) if weighted else None
    columns = model.predict(X).T
    expected = [
        mean_pinball_loss(y, f, sample_weight=w, alpha=q)
        for q, f in zip(LEVELS, columns, strict=True)
    ]
    np.testing.assert_allclose(model.pinball_loss(X, y, w), expected, rtol=1e-14)
    scores = [
        d2_pinball_score(y, f, sample_weight=w, alpha=q)
        for q, f in zip(LEVELS, columns, strict=True)
    ]
    assert model.score(X, y, w) == pytest.approx(np.mean(scores), rel=1e-13)


def test_measures_of_a_single_level(single):
    model, X, y = single
    loss = model.pinball_loss(X, y)
    assert isinstance(loss, float)
    assert loss == mean_pinball_loss(y, model.predict(X), alpha=0.3)
    assert model.score(X, y) == d2_pinball_score(y, model.predict(X), alpha=0.3)


# -------------------------------------------------------------------------- targets


def test_several_targets_are_refused():
    X, y = make_data()
    message = r"one target. y has shape \(60, 2\).*MultiOutputRegressor"
    with pytest.raises(ValueError, match=message):
        MLPQuantileRegressor(**FAST).fit(X, np.column_stack([y, y]))


def test_a_column_is_a_vector_with_a_warning(fitted):
    model, X, y = fitted
    with pytest.warns(DataConversionWarning, match="column-vector"):
        other = MLPQuantileRegressor(quantile=LEVELS, **FAST).fit(X, y[:, None])
    np.testing.assert_array_equal(other.predict(X), model.predict(X))


# ------------------------------------------------------- the loss in other estimators


def test_a_linear_model_with_the_loss_is_one_of_each_level():
    X, y = make_data()
    levels = (0.25, 0.5, 0.9)
    model = GradientLinearRegressor(loss=Quantiles(levels)).fit(X, y)
    assert model.coef_.shape == (3, 2)
    for q, f in zip(levels, model.predict(X).T, strict=True):
        best = QuantileRegressor(quantile=q, alpha=0).fit(X, y).predict(X)
        lowest = mean_pinball_loss(y, best, alpha=q)
        assert mean_pinball_loss(y, f, alpha=q) <= lowest * (1 + 1e-4)


def test_bounds_hold_for_each_level():
    X, y = make_data()
    loss = Quantiles((0.1, 0.5, 0.9))
    free = GradientLinearRegressor(loss=loss).fit(X, y)
    assert (np.abs(free.coef_).max(axis=1) > 0.5).all()
    model = GradientLinearRegressor(loss=loss, bounds=(-0.5, 0.5)).fit(X, y)
    assert (np.abs(model.coef_) <= 0.5).all()


def test_a_network_with_the_loss_predicts_every_level():
    X, y = make_data()
    model = MLPRegressor(loss="quantiles", **FAST).fit(X, y)
    assert model.predict(X).shape == (60, 3)
    several = np.column_stack([y, -y])
    assert model.fit(X, several).predict(X).shape == (60, 6)
