"""Which models a display draws, and by which names."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgrad import GradientLinearRegressor
from skgrad.plotting.models import final_estimator, named_models, one_target, require


def test_names_of_models():
    a, b, c = LinearRegression(), GradientLinearRegressor(), LinearRegression()
    assert named_models(a) == {"LinearRegression": a}
    assert named_models({1: a, "b": b}) == {"1": a, "b": b}
    assert list(named_models([a, b, c])) == [
        "LinearRegression 1",
        "GradientLinearRegressor",
        "LinearRegression 2",
    ]
    assert list(named_models([make_pipeline(StandardScaler(), a)])) == [
        "LinearRegression"
    ]


@pytest.mark.parametrize("nothing", [[], {}])
def test_nothing_to_draw(nothing):
    with pytest.raises(ValueError, match="no model to draw"):
        named_models(nothing)


def test_the_innermost_estimator_of_pipelines_and_searches(rng):
    X, y = rng.normal(size=(20, 2)), rng.normal(size=20)
    inner = make_pipeline(StandardScaler(), LinearRegression())
    grid = {"linearregression__fit_intercept": [True]}
    search = GridSearchCV(inner, grid, cv=2).fit(X, y)
    found = final_estimator(make_pipeline(StandardScaler(), search))
    assert found is search.best_estimator_[-1]


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match=r"LinearRegression has no coef_\. Fit it\."):
        require(LinearRegression(), "coef_", "Fit it.")


def test_one_output_only():
    assert one_target([[1.0], [2.0]], "y").tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"y must have one output.*\(3, 2\)"):
        one_target(np.zeros((3, 2)), "y")
