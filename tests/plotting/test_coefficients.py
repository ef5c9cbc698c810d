"""Coefficients as dots."""

import numpy as np
import pandas as pd
import pytest
from estimators.battery import make_data
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    QuantileRegressor,
)
from skgrad.plotting import CoefficientDisplay

NAMES = ["small", "large", "middle"]


def labels(display):
    return [text.get_text() for text in display.ax_.get_yticklabels()]


def table():
    X, y = make_data()
    return pd.DataFrame(X, columns=NAMES), y


def test_dots_are_the_coefficients_the_largest_on_top():
    X, y = table()
    model = GradientLinearRegressor().fit(X, y)
    exact = LinearRegression().fit(X, y).coef_
    order = np.argsort(-np.abs(exact))
    display = CoefficientDisplay.from_estimator(model)
    assert labels(display) == [NAMES[i] for i in order]
    values, rows = display.lines_["GradientLinearRegressor"].get_data()
    np.testing.assert_allclose(values, exact[order])
    np.testing.assert_array_equal(rows, [0, 1, 2])
    assert display.ax_.yaxis_inverted()
    unsorted = CoefficientDisplay.from_estimator(model, sort=False)
    assert labels(unsorted) == NAMES


def test_standardized_is_the_effect_of_one_deviation():
    X, y = table()
    scaled = StandardScaler().fit_transform(X)
    exact = LinearRegression().fit(scaled, y).coef_
    display = CoefficientDisplay.from_estimator(
        GradientLinearRegressor().fit(X, y), sort=False, standardized=True
    )
    values = display.lines_["GradientLinearRegressor"].get_xdata()
    np.testing.assert_allclose(values, exact)
    assert "standard deviation" in display.ax_.get_xlabel()


@pytest.mark.parametrize(
    "model", [LinearRegression(), GradientLinearRegressor(standardize=False)]
)
def test_standardized_needs_the_deviations(model):
    X, y = make_data()
    with pytest.raises(ValueError, match="standardize=True, which knows"):
        CoefficientDisplay.from_estimator(model.fit(X, y), standardized=True)


def test_several_models_share_the_rows():
    X, y = table()
    models = {"ours": GradientLinearRegressor(), "theirs": LinearRegression()}
    models = {name: model.fit(X, y) for name, model in models.items()}
    display = CoefficientDisplay.from_estimator(models)
    assert list(display.lines_) == ["ours", "theirs"]
    above, below = (line.get_ydata() for line in display.lines_.values())
    np.testing.assert_array_equal(np.round(above), [0, 1, 2])
    assert np.all(above < below)
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["ours", "theirs"]


def test_classes_and_outputs_are_series():
    iris = load_iris(as_frame=True)
    model = GradientLinearClassifier().fit(iris.data, iris.target_names[iris.target])
    display = CoefficientDisplay.from_estimator(model)
    assert list(display.lines_) == ["setosa", "versicolor", "virginica"]
    X, y = make_data(k=2)
    models = {"a": LinearRegression().fit(X, y), "b": LinearRegression().fit(X, y)}
    display = CoefficientDisplay.from_estimator(models)
    assert list(display.lines_) == [f"{m}: output {i}" for m in "ab" for i in (0, 1)]
    np.testing.assert_array_equal(
        display.coefficients["b: output 1"], models["b"].coef_[1]
    )


def test_two_classes_are_one_series():
    X, y = make_data()
    model = GradientLinearClassifier().fit(X, y > np.median(y))
    display = CoefficientDisplay.from_estimator(model)
    assert list(display.lines_) == ["GradientLinearClassifier"]
    np.testing.assert_array_equal(
        display.coefficients["GradientLinearClassifier"], model.coef_[0]
    )


def test_location_and_scale_are_named():
    X, y = make_data()
    model = GradientLinearRegressor(loss="gaussian_nll").fit(X, y)
    display = CoefficientDisplay.from_estimator(model)
    assert list(display.lines_) == ["location", "log scale"]


def test_quantiles_are_named():
    X, y = make_data()
    model = QuantileRegressor(quantile=(0.1, 0.75)).fit(X, y)
    display = CoefficientDisplay.from_estimator(model)
    assert list(display.lines_) == ["quantile 0.1", "quantile 0.75"]


def test_names_come_out_of_pipelines_and_searches():
    X, y = table()
    pipeline = make_pipeline(StandardScaler(), LinearRegression())
    grid = {"linearregression__fit_intercept": [True]}
    for model in (pipeline, GridSearchCV(pipeline, grid, cv=2)):
        display = CoefficientDisplay.from_estimator(model.fit(X, y), sort=False)
        assert labels(display) == NAMES


def test_zeros_are_hollow():
    display = CoefficientDisplay({"lasso": [0.0, 2.0, 0.0]}).plot()
    hollow = [
        line
        for line in display.ax_.get_lines()
        if line.get_markerfacecolor() == "white"
    ]
    assert [line.get_xdata().tolist() for line in hollow] == [[0, 0]]


def test_only_the_largest_of_many(rng):
    coef = rng.normal(size=200)
    display = CoefficientDisplay({"a": coef}).plot()
    np.testing.assert_array_equal(display.features_, np.argsort(-np.abs(coef))[:30])
    assert display.ax_.get_title("left") == "the 30 largest of 200"
    everything = CoefficientDisplay({"a": coef}).plot(max_features=None)
    assert len(everything.features_) == 200
    assert everything.ax_.get_title("left") == ""


def test_not_a_number_is_last_and_one_feature_is_enough():
    display = CoefficientDisplay({"a": [np.nan, 1.0]}, ["x", "y"]).plot()
    assert labels(display) == ["y", "x"]
    assert labels(CoefficientDisplay({"a": [1.0]}).plot()) == ["feature 0"]


def test_long_names_are_shortened():
    display = CoefficientDisplay({"a": [1.0]}, ["n" * 100]).plot()
    assert len(labels(display)[0]) <= 32


def test_errors_name_the_numbers():
    with pytest.raises(ValueError, match=r"\{'a': \(2,\), 'b': \(3,\)\}"):
        CoefficientDisplay({"a": [1, 2], "b": [1, 2, 3]})
    with pytest.raises(ValueError, match="2 coefficients and 1 feature_names"):
        CoefficientDisplay({"a": [1, 2]}, ["x"])
    with pytest.raises(ValueError, match=r"StandardScaler has no coef_"):
        CoefficientDisplay.from_estimator(StandardScaler())
