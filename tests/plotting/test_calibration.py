"""Claims against observations."""

import numpy as np
import pytest
import scipy.stats
from estimators.battery import make_data
from sklearn.calibration import calibration_curve
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, QuantileRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skgrad
from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPQuantileRegressor,
    losses,
)
from skgrad.plotting import CalibrationCurve, CalibrationDisplay


def binary(n=300):
    X, y = make_data(n=n)
    noise = np.random.default_rng(1).normal(size=n)
    return X, np.where(y + 2 * noise > np.median(y), "yes", "no")


def test_probabilities_as_scikit_learn_bins_them():
    X, y = binary()
    models = {
        "ours": GradientLinearClassifier().fit(X, y),
        "theirs": LogisticRegression().fit(X, y),
    }
    display = CalibrationDisplay.from_estimator(models, X, y, n_bins=5)
    for name, model in models.items():
        p = model.predict_proba(X)[:, 1]
        observed, claimed = calibration_curve(
            y == "yes", p, n_bins=5, strategy="quantile"
        )
        np.testing.assert_allclose(display.lines_[name].get_data(), [claimed, observed])
        np.testing.assert_array_equal(display.curves[name].values, p)
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["ideal", "ours", "theirs"]
    assert display.ax_.get_xlabel() == "predicted probability"


def test_three_classes_are_judged_by_the_predicted_one():
    X, y = make_data(n=300)
    y = np.digitize(y, np.quantile(y, (0.33, 0.67)))
    model = GradientLinearClassifier().fit(X, y)
    display = CalibrationDisplay.from_estimator(model, X, y, n_bins=1)
    ((claimed,), (observed,)) = display.lines_["GradientLinearClassifier"].get_data()
    assert display.kind == "confidence"
    assert claimed == pytest.approx(model.predict_proba(X).max(axis=1).mean())
    assert observed == pytest.approx(model.score(X, y))


def test_coverage_of_central_intervals():
    X, y = make_data(n=400)
    model = GradientLinearRegressor(loss="gaussian_nll").fit(X, y)
    display = CalibrationDisplay.from_estimator({"normal": model}, X, y)
    levels, observed = display.lines_["normal"].get_data()
    assert display.kind == "coverage"
    distribution = model.predict_distribution(X)
    normal = scipy.stats.norm(distribution.mean(), distribution.std())
    for level, share in zip(levels, observed, strict=True):
        low, high = normal.interval(level)
        assert share == pytest.approx(((low <= y) & (y <= high)).mean())
    np.testing.assert_allclose(display.curves["normal"].values, normal.cdf(y))
    # The model is right for these data: its points are in the band.
    assert np.all(np.abs(observed - levels) < 3 * np.sqrt(0.25 / 400))


def test_distributions_at_the_end_of_a_pipeline():
    X, y = make_data(n=100)
    model = GradientLinearRegressor(loss="gaussian_nll")
    pipeline = make_pipeline(StandardScaler(), model).fit(X, y)
    display = CalibrationDisplay.from_estimator({"a": pipeline}, X, y)
    inner = pipeline[-1].predict_distribution(pipeline[0].transform(X))
    np.testing.assert_array_equal(display.curves["a"].values, inner.cdf(y))


def test_quantile_regressors_are_one_curve():
    X, y = make_data(n=200)
    models = [
        GradientLinearRegressor(loss=losses.Quantile(0.9)).fit(X, y),
        QuantileRegressor(quantile=0.25, alpha=0).fit(X, y),
        GradientLinearRegressor(loss="quantile").fit(X, y),
    ]
    display = CalibrationDisplay.from_estimator(models, X, y)
    (line,) = display.lines_.values()
    claimed, observed = line.get_data()
    assert list(claimed) == [0.25, 0.5, 0.9]
    # Of the rows fitted to, up to the few that are fitted exactly.
    np.testing.assert_allclose(observed, claimed, atol=5 / 200)
    assert display.histogram_ax_ is None


def test_each_model_of_several_quantiles_is_a_curve():
    X, y = make_data(n=200)
    levels = [0.1, 0.5, 0.9]
    linear = skgrad.QuantileRegressor(quantile=levels).fit(X, y)
    network = MLPQuantileRegressor(
        quantile=(0.2, 0.8), hidden_layer_sizes=(4,), max_iter=2, tol=None
    )
    models = {
        "linear": make_pipeline(StandardScaler(), linear).fit(X, y),
        "network": network.set_params(random_state=0).fit(X, y),
        "median": skgrad.QuantileRegressor().fit(X, y),
        "0.3": QuantileRegressor(quantile=0.3, alpha=0).fit(X, y),
    }
    display = CalibrationDisplay.from_estimator(models, X, y)
    assert list(display.lines_) == ["linear", "network", "quantile regressors"]
    claimed, observed = display.lines_["linear"].get_data()
    assert list(claimed) == levels
    expected = [(y <= f).mean() for f in models["linear"].predict(X).T]
    np.testing.assert_array_equal(observed, expected)
    np.testing.assert_allclose(observed, levels, atol=5 / 200)
    assert list(display.lines_["network"].get_xdata()) == [0.2, 0.8]
    assert list(display.lines_["quantile regressors"].get_xdata()) == [0.3, 0.5]


def test_band_is_that_of_a_binomial_share():
    display = CalibrationDisplay(
        {"a": CalibrationCurve([0.5], [0.5])}, "quantile", n_samples=100
    ).plot()
    (band,) = display.ax_.collections
    vertices = band.get_paths()[0].vertices
    at = np.isclose(vertices[:, 0], 0.5)
    low, high = scipy.stats.norm(0.5, 0.05).interval(0.95)
    assert vertices[at, 1].min() == pytest.approx(low, abs=1e-5)
    assert vertices[at, 1].max() == pytest.approx(high, abs=1e-5)


@pytest.mark.parametrize("kind", ["probability", "confidence"])
def test_bins_of_probabilities_have_no_common_band(kind):
    curve = CalibrationCurve([0.5], [0.5])
    assert not CalibrationDisplay({"a": curve}, kind, 100).plot().ax_.collections


def test_histogram_counts_the_samples():
    values = [0.01, 0.02, 0.51, 0.99]
    display = CalibrationDisplay(
        {"a": CalibrationCurve([0.5], [0.5], values)}, "coverage", 4
    ).plot()
    (patch,) = display.histogram_ax_.patches
    assert patch.get_xy()[:, 1].max() == 2
    flat = display.histogram_ax_.get_lines()[0].get_ydata()
    assert list(flat) == [0.2, 0.2]  # 4 samples in 20 bins


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LinearRegression(), "LinearRegression has no predict_distribution"),
        (GradientLinearRegressor(), "has no predict_distribution"),
        (
            GradientBoostingRegressor(loss="quantile", random_state=0),
            "has no predict_distribution",
        ),
    ],
)
def test_points_claim_nothing(model, message):
    X, y = make_data()
    with pytest.raises(ValueError, match=message):
        CalibrationDisplay.from_estimator(model.fit(X, y), X, y)


def test_scores_are_no_probabilities():
    X, y = binary(60)
    model = GradientLinearClassifier(loss="hinge", alpha=0.1).fit(X, y)
    with pytest.raises(ValueError, match=r"has no predict_proba.*'log_loss'"):
        CalibrationDisplay.from_estimator(model, X, y)


def test_kinds_are_not_mixed():
    X, y = make_data()
    models = [
        GradientLinearRegressor(loss="quantile").fit(X, y),
        GradientLinearRegressor(loss="gaussian_nll").fit(X, y),
    ]
    with pytest.raises(ValueError, match=r"one kind.*'quantile'.*'coverage'"):
        CalibrationDisplay.from_estimator(models, X, y)


def test_unknown_kind():
    with pytest.raises(ValueError, match=r"kind must be one of.*Got 'pit'"):
        CalibrationDisplay({}, "pit")
