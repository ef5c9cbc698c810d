"""What notebooks show: scikit-learn's diagram, and our tables in it."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from estimators.battery import EACH, make_data, make_for
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgrad import MLPRegressor, ModuleRegressor, nn
from skgrad.estimators.html import architecture_rows, spans_a_decade, sparkline

OURS = ("Architecture</summary>", "Fit report <svg")


def small_mlp():
    return MLPRegressor(
        hidden_layer_sizes=(4,), tol=None, max_iter=3, batch_size=16, random_state=0
    )


@EACH
def test_fitted_estimators_show_what_scikit_learn_shows_and_more(estimator):
    model = clone(estimator)
    before = model._repr_html_()
    assert "<summary>Parameters</summary>" in before
    assert all(part not in before for part in (*OURS, "Fitted attributes"))
    model.fit(*make_for(model))
    after = model._repr_html_()
    parts = ("<summary>Parameters</summary>", "Fitted attributes", "Architecture")
    assert all(after.count(part) == 1 for part in parts)
    assert model.fit_report_["stop_reason"] in after
    # The dict of scikit-learn's table is as it was.
    own = model._get_fitted_attr_html()
    theirs = BaseEstimator._get_fitted_attr_html(model)
    assert list(own) == list(theirs)
    assert own._repr_html_inner().startswith(theirs._repr_html_inner())


def test_text_is_the_usual_repr():
    model = small_mlp().fit(*make_data())
    bundle = model._repr_mimebundle_()
    assert bundle["text/plain"] == repr(model)
    assert OURS[0] in bundle["text/html"]
    with config_context(display="text"):
        assert model._repr_mimebundle_() == {"text/plain": repr(model)}
        assert not hasattr(model, "_repr_html_")


def test_a_step_of_a_pipeline_shows_them_too():
    pipeline = make_pipeline(StandardScaler(), small_mlp()).fit(*make_data())
    assert all(part in pipeline._repr_html_() for part in OURS)


def test_layers_and_their_parameters():
    model = small_mlp().fit(*make_data(p=3))
    assert architecture_rows(model.module_) == [
        ("0", "Linear", "weight (4, 3), bias (4,)", "16"),  # 4 * 3 + 4
        ("1", "ReLU", "", "0"),
        ("2", "Linear", "weight (1, 4), bias (1,)", "5"),
        ("total", "", "", "21"),
    ]


class Tied(nn.Module):
    """One layer used under two names, and a parameter of its own."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.shift = nn.Parameter(np.zeros(n_outputs))
        self.first = nn.Linear(n_features, n_outputs, bias=False)
        self.second = self.first

    def forward(self, x):
        return self.first(x) + self.second(x) + self.shift


def test_a_shared_layer_counts_once():
    assert architecture_rows(Tied(3, 2)) == [
        ("(module)", "Tied", "shift (2,)", "2"),
        ("first", "Linear", "weight (2, 3)", "6"),
        ("total", "", "", "8"),
    ]


def test_names_of_the_user_are_escaped():
    evil = type("Net<script>alert(1)</script>", (Tied,), {})
    model = ModuleRegressor(module=evil, max_iter=2, tol=None, batch_size=16)
    html = model.fit(*make_data())._repr_html_()
    assert "Net&lt;script&gt;" in html
    assert "<script>alert" not in html


def points(svg):
    """Return the points of a sparkline, and check that it is well-formed."""
    root = ET.fromstring(svg)
    assert root.find("title").text == root.get("aria-label")
    assert root.get("role") == "img"
    pairs = root.find("polyline").get("points").split()
    return np.array([[float(number) for number in pair.split(",")] for pair in pairs])


def test_sparkline_is_linear_within_a_decade():
    # 160 by 24 with margins of 2: the largest value is at the top.
    np.testing.assert_allclose(
        points(sparkline([4.0, 3.0, 2.0], "x")), [[2, 2], [80, 12], [158, 22]]
    )


def test_sparkline_is_logarithmic_beyond():
    np.testing.assert_allclose(
        points(sparkline([100.0, 10.0, 1.0], "x")), [[2, 2], [80, 12], [158, 22]]
    )


def test_sparkline_leaves_out_what_is_not_finite():
    svg = sparkline([np.inf, 4.0, np.nan, 2.0], "x")
    np.testing.assert_allclose(points(svg), [[2, 2], [158, 22]])
    assert "x: 4 to 2 in 4 steps" in svg


@pytest.mark.parametrize("values", [[], [1.0], [np.nan, 1.0]])
def test_one_value_is_no_curve(values):
    assert sparkline(values, "x") == ""


def test_long_and_constant_curves_stay_small():
    drawn = points(sparkline(np.ones(10_000), "a < b"))
    assert len(drawn) == 80
    assert np.all(drawn[:, 1] == 22)
    np.testing.assert_allclose(drawn[[0, -1], 0], [2, 158])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 10.0], False),
        ([1.0, 10.1], True),
        ([0.0, 10.0], False),
        ([-1.0, 100.0], False),
        ([np.nan, 1.0, 20.0], True),
        ([], False),
    ],
)
def test_when_a_scale_is_logarithmic(values, expected):
    assert spans_a_decade(values) is expected
