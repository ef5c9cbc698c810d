"""Coefficients, and losses of held-out rows, by the strength of the penalty."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from estimators.battery import make_data
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgrad import GradientElasticNetClassifierCV, GradientElasticNetCV
from skgrad.plotting import CoefficientPathDisplay, CrossValidationPathDisplay

NAMES = ["small", "large", "middle"]
FEW = {"alphas": 6, "cv": 3}


def table():
    X, y = make_data()
    return pd.DataFrame(X, columns=NAMES), y


def texts(display):
    return [text.get_text() for text in display.ax_.texts]


def top_axis(display):
    (top,) = (ax for ax in display.figure_.axes if ax is not display.ax_)
    return top


def test_lines_are_the_coefficients_and_the_penalty_falls():
    X, y = table()
    model = GradientElasticNetCV(**FEW).fit(X, y)
    display = CoefficientPathDisplay.from_estimator(model)
    assert len(display.lines_) == 3
    for line, coef in zip(display.lines_, model.coef_path_.T, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), model.alphas_)
        np.testing.assert_array_equal(line.get_ydata(), coef)
    assert display.ax_.xaxis_inverted()
    assert display.ax_.get_xscale() == "log"
    sizes = np.abs(model.coef_path_).max(axis=0)
    order = [j for j in np.argsort(-sizes) if sizes[j] > 0]
    np.testing.assert_array_equal(display.features_, order)
    assert {NAMES[j] for j in order} <= set(texts(display))


def test_on_top_is_how_many_are_not_zero():
    coef_path = [[0.0, 0.0], [0.0, -1.0], [0.5, -2.0]]
    display = CoefficientPathDisplay([1.0, 0.1, 0.01], coef_path).plot()
    top = top_axis(display)
    counts = [label.get_text() for label in top.get_xticklabels()]
    assert counts == ["0", "1", "2"]
    assert top.get_xlim() == display.ax_.get_xlim()


def test_the_chosen_strengths_are_marked():
    X, y = table()
    noise = 20 * np.random.default_rng(1).normal(size=len(y))
    model = GradientElasticNetCV(alphas=30, cv=3).fit(X, y + noise)
    display = CoefficientPathDisplay.from_estimator(model)
    assert display.marks == {"1se": model.alpha_1se_, "min": model.alpha_min_}
    assert {"1se", "min"} <= set(texts(display))
    one = GradientElasticNetCV(alphas=[0.1], cv=3).fit(X, y)
    assert "min = 1se" in texts(CoefficientPathDisplay.from_estimator(one))


def test_the_norm_to_the_right():
    X, y = table()
    model = GradientElasticNetCV(**FEW).fit(X, y)
    display = CoefficientPathDisplay.from_estimator(model, x="norm")
    norms = np.abs(model.coef_path_).sum(axis=1)
    np.testing.assert_allclose(display.lines_[0].get_xdata(), norms)
    assert not display.ax_.xaxis_inverted()
    chosen = np.flatnonzero(model.alphas_ == model.alpha_min_)[0]
    dotted = [line for line in display.ax_.get_lines() if line.get_linestyle() == ":"]
    places = [line.get_xdata()[0] for line in dotted]
    assert np.isclose(places, norms[chosen]).any()
    with pytest.raises(ValueError, match=r"x must be 'alpha' or 'norm'. Got 'lambda'"):
        display.plot(x="lambda")


def test_standardized_is_the_effect_of_one_deviation():
    X, y = table()
    model = GradientElasticNetCV(**FEW).fit(X, y)
    display = CoefficientPathDisplay.from_estimator(model, standardized=True)
    np.testing.assert_allclose(
        display.coef_path, model.coef_path_ * X.std(ddof=0).to_numpy()
    )
    assert "standard deviation" in display.ax_.get_ylabel()
    model = GradientElasticNetCV(standardize=False, **FEW).fit(X, y)
    with pytest.raises(ValueError, match="standardize=True, which knows"):
        CoefficientPathDisplay.from_estimator(model, standardized=True)


def test_one_output_of_several():
    X, y = make_data(k=2)
    model = GradientElasticNetCV(**FEW).fit(X, y)
    display = CoefficientPathDisplay.from_estimator(model, output=1)
    np.testing.assert_array_equal(display.coef_path, model.coef_path_[:, 1])
    with pytest.raises(ValueError, match=r"has 2 paths: \['output 0', 'output 1'\]"):
        CoefficientPathDisplay.from_estimator(model)
    X, y = make_data(n=60)
    kinds = np.array(["a", "b", "c"])[np.digitize(y, np.quantile(y, [0.3, 0.6]))]
    model = GradientElasticNetClassifierCV(**FEW).fit(X, kinds)
    display = CoefficientPathDisplay.from_estimator(model, output="c")
    np.testing.assert_array_equal(display.coef_path, model.coef_path_[:, 2])
    with pytest.raises(ValueError, match="Got 'd'"):
        CoefficientPathDisplay.from_estimator(model, output="d")


def test_a_few_of_many_have_names(rng):
    coef_path = rng.normal(size=(4, 50)) * [[0.0], [1.0], [2.0], [3.0]]
    coef_path[:, :10] = 0.0
    display = CoefficientPathDisplay([8.0, 4.0, 2.0, 1.0], coef_path).plot()
    order = np.argsort(-np.abs(coef_path).max(axis=0))
    np.testing.assert_array_equal(display.features_, order[:8])
    assert len(texts(display)) == 8
    everything = CoefficientPathDisplay([8.0, 4.0, 2.0, 1.0], coef_path)
    assert len(everything.plot(max_features=50).features_) == 40  # not those of zero


def test_names_do_not_overlap():
    coef_path = np.array([[0.0] * 5, [1.0, 1.01, 1.02, 1.0, -1.0]])
    display = CoefficientPathDisplay([1.0, 0.1], coef_path).plot()
    heights = sorted(text.xyann[1] for text in display.ax_.texts)
    assert (np.diff(heights) > 0.05).all()


def test_names_come_out_of_pipelines_and_searches():
    X, y = table()
    pipeline = make_pipeline(StandardScaler(), GradientElasticNetCV(**FEW))
    grid = {"gradientelasticnetcv__l1_ratio": [0.5]}
    for model in (pipeline, GridSearchCV(pipeline, grid, cv=2)):
        display = CoefficientPathDisplay.from_estimator(model.fit(X, y))
        assert display.feature_names == NAMES
        assert CrossValidationPathDisplay.from_estimator(model).alphas[0] > 0


def test_a_strength_of_zero_is_left_out():
    X, y = table()
    model = GradientElasticNetCV(alphas=[1.0, 0.1, 0.0], cv=3).fit(X, y)
    display = CoefficientPathDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), [1.0, 0.1])
    display = CrossValidationPathDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.line_.get_xdata(), [1.0, 0.1])
    only = GradientElasticNetCV(alphas=[0.0], cv=3).fit(X, y)
    CoefficientPathDisplay.from_estimator(only)
    CrossValidationPathDisplay.from_estimator(only)


def test_means_and_standard_errors():
    X, y = table()
    model = GradientElasticNetCV(**FEW).fit(X, y)
    display = CrossValidationPathDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.line_.get_xdata(), model.alphas_)
    np.testing.assert_array_equal(display.line_.get_ydata(), model.mean_loss_)
    (bars,) = display.ax_.containers
    ends = np.array(bars.lines[2][0].get_segments())[:, :, 1]
    np.testing.assert_allclose(np.diff(ends)[:, 0], 2 * model.loss_error_)
    assert display.ax_.get_ylabel() == "mean loss of held-out rows"
    np.testing.assert_array_equal(
        display.n_nonzero, (model.coef_path_ != 0).sum(axis=1)
    )


def test_scores_have_their_name():
    X, y = table()
    model = GradientElasticNetCV(scoring="neg_mean_absolute_error", **FEW).fit(X, y)
    display = CrossValidationPathDisplay.from_estimator(model)
    assert "neg mean absolute error" in display.ax_.get_ylabel()
    np.testing.assert_array_equal(display.line_.get_ydata(), model.mean_score_)
    model = GradientElasticNetCV(scoring=lambda m, X, y: m.score(X, y), **FEW)
    display = CrossValidationPathDisplay.from_estimator(model.fit(X, y))
    assert display.ax_.get_ylabel() == "mean score of held-out rows"


def test_axes_of_the_user():
    X, y = table()
    model = GradientElasticNetCV(**FEW).fit(X, y)
    figure, (left, right) = plt.subplots(1, 2)
    display = CoefficientPathDisplay.from_estimator(model, ax=left)
    assert display.ax_ is left
    assert display.figure_ is figure
    assert CrossValidationPathDisplay.from_estimator(model, ax=right).ax_ is right


def test_errors_say_what_was_got():
    with pytest.raises(ValueError, match=r"the shapes \(2,\) and \(2,\)"):
        CoefficientPathDisplay([1.0, 2.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="2 coefficients and 1 feature_names"):
        CoefficientPathDisplay([1.0], [[1.0, 2.0]], ["a"])
    with pytest.raises(ValueError, match=r"vectors of one length.*\(2,\)"):
        CrossValidationPathDisplay([1.0], [1.0, 2.0], [0.0])
    for display in (CoefficientPathDisplay, CrossValidationPathDisplay):
        with pytest.raises(ValueError, match=r"no coef_path_\. Fit Gradient"):
            display.from_estimator(LinearRegression())
