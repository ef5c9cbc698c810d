"""Effects of additive models as lines, dots and contours."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from skgrad.estimators import AdditiveClassifier, AdditiveRegressor
from skgrad.exceptions import ParameterError
from skgrad.plotting import PartialEffectDisplay


def table(n=120):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "age": rng.uniform(20, 70, n),
            "town": rng.choice(["north", "south"], n),
            "lon": rng.uniform(size=n),
            "lat": rng.uniform(size=n),
        }
    )
    y = np.sin(X["age"] / 8) + X["lon"] * X["lat"] + rng.normal(scale=0.1, size=n)
    return X, y


@pytest.fixture
def model():
    X, y = table()
    return AdditiveRegressor(terms=["age", "town", ("lon", "lat")]).fit(X, y)


def test_each_term_has_a_panel(model):
    display = PartialEffectDisplay.from_estimator(model, table()[0])
    assert list(display.axes_) == ["age", "town", "lon:lat"]
    effect = model.partial_effect("age")
    x, y = display.lines_["age"].get_data()
    np.testing.assert_array_equal(x, effect.grid)
    np.testing.assert_array_equal(y, effect.effect)
    band = display.bands_["age"].get_paths()[0].vertices
    assert band[:, 1].max() == effect.high.max()
    labels = [text.get_text() for text in display.axes_["town"].get_xticklabels()]
    assert labels == ["north", "south"]
    assert set(display.contours_) == {"lon:lat"}
    same = {display.axes_[name].get_ylim() for name in ("age", "town")}
    assert len(same) == 1
    assert "degrees of freedom" in display.axes_["age"].get_title(loc="left")


def test_some_terms_of_a_pipeline_with_a_level(model):
    X, y = table()
    pipeline = make_pipeline(AdditiveClassifier(terms=["age", "town"]))
    pipeline.fit(X, y > y.mean())
    display = PartialEffectDisplay.from_estimator(pipeline, features=["age"], level=0.5)
    assert list(display.lines_) == ["age"]
    effect = pipeline[-1].partial_effect("age", level=0.5)
    assert (
        display.bands_["age"].get_paths()[0].vertices[:, 1].max() == effect.high.max()
    )


def test_errors_teach(model):
    X, y = table()
    with pytest.raises(ParameterError, match="not a fitted additive model"):
        PartialEffectDisplay.from_estimator(LinearRegression().fit(X[["age"]], y))
    with pytest.raises(ParameterError, match="no effect to draw"):
        PartialEffectDisplay([])
    with pytest.raises(ParameterError, match="1 effects and 2 arrays"):
        PartialEffectDisplay([model.partial_effect("age")], [[1.0], [2.0]])
