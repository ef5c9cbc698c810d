"""Residuals against predictions."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from estimators.battery import make_data
from sklearn.linear_model import LinearRegression

from skgrad import GradientLinearRegressor, losses
from skgrad.plotting import ResidualsDisplay


def points(display, name):
    return np.asarray(display.scatter_[name].get_offsets())


def test_points_are_predictions_and_residuals():
    X, y = make_data()
    models = {
        "scikit-learn": LinearRegression().fit(X, y),
        "median": GradientLinearRegressor(loss="absolute_error").fit(X, y),
    }
    display = ResidualsDisplay.from_estimator(models, X, y)
    for name, model in models.items():
        y_pred = model.predict(X)
        np.testing.assert_array_equal(
            points(display, name), np.column_stack([y_pred, y - y_pred])
        )
        mean, title = np.abs(y - y_pred).mean(), display.axes_[name].get_title("left")
        assert title.startswith(f"{name}\nmean |r| {mean:.3g}, ")
    assert display.axes_["median"].get_xlim() == display.ax_.get_xlim()
    assert display.ax_.get_ylabel() == "residual"
    assert display.ax_.get_xlabel() == "prediction"


def test_residuals_of_a_quantile_are_mostly_on_one_side():
    X, y = make_data(n=400)
    model = GradientLinearRegressor(loss=losses.Quantile(0.9)).fit(X, y)
    display = ResidualsDisplay.from_estimator({"90 %": model}, X, y)
    share = float(display.ax_.get_title("left").split()[-3].rstrip("%"))
    assert share == pytest.approx(90, abs=1)


def test_trend_is_the_deciles_of_each_bin(rng):
    y_pred = rng.permutation(100.0 + np.arange(100))
    y = y_pred + rng.normal(size=100)
    display = ResidualsDisplay(y, {"a": y_pred}).plot()
    # 100 rows make 5 bins of 20, and a bin of consecutive numbers has this mean.
    x, median = display.lines_["a"].get_data()
    np.testing.assert_allclose(x, 109.5 + 20 * np.arange(5))
    rows = [(y_pred >= 100 + a) & (y_pred < 120 + a) for a in range(0, 100, 20)]
    low, middle, high = np.array(
        [np.percentile((y - y_pred)[row], (10, 50, 90)) for row in rows]
    ).T
    np.testing.assert_allclose(median, middle)
    band = display.bands_["a"].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(high.max())
    assert band[:, 1].min() == pytest.approx(low.min())


def test_trend_can_be_left_out_and_needs_rows():
    y = np.arange(100.0)
    with_trend = ResidualsDisplay(y, {"a": y + 1})
    assert list(with_trend.plot().lines_) == ["a"]
    assert with_trend.plot(trend=False).lines_ == {}
    assert ResidualsDisplay(y[:39], {"a": y[:39]}).plot().lines_ == {}
    assert ResidualsDisplay(y, {"a": np.ones(100)}).plot().lines_ == {}


def test_a_sample_of_many_points_is_drawn():
    y = np.arange(5000.0)
    display = ResidualsDisplay(y, {"a": y - 1}).plot(max_points=50)
    drawn = points(display, "a")
    assert drawn.shape == (50, 2)
    assert len(np.unique(drawn[:, 0])) == 50
    again = ResidualsDisplay(y, {"a": y - 1}).plot(max_points=50)
    np.testing.assert_array_equal(points(again, "a"), drawn)


def test_what_is_not_a_number_does_not_count():
    y = np.array([1.0, 2.0, 3.0])
    display = ResidualsDisplay(y, {"a": np.array([1.5, np.nan, 2.0])}).plot()
    assert display.ax_.get_title("left") == "a\nmean |r| 0.75, 50% below 0"


@pytest.mark.parametrize(
    ("n_models", "shape"), [(1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3))]
)
def test_grid_of_models(n_models, shape):
    y = np.arange(4.0)
    display = ResidualsDisplay(y, {str(i): y for i in range(n_models)}).plot()
    assert display.ax_.get_subplotspec().get_gridspec().get_geometry() == shape
    assert len(display.axes_) == n_models
    assert sum(ax.axison for ax in display.figure_.axes) == n_models


def test_several_models_share_the_users_axes():
    figure, (left, _) = plt.subplots(1, 2)
    y = np.arange(4.0)
    display = ResidualsDisplay(y, {"a": y, "b": y}).plot(ax=left)
    assert display.figure_ is figure
    assert display.axes_["b"].get_position().x1 <= left.get_position().x1 + 1e-9


def test_errors_name_the_shapes():
    with pytest.raises(ValueError, match=r"y must have one output.*\(3, 2\)"):
        ResidualsDisplay(np.zeros((3, 2)), {})
    with pytest.raises(ValueError, match=r"shape \(3,\) .* of a \(4,\)"):
        ResidualsDisplay(np.zeros(3), {"a": np.zeros(4)})
