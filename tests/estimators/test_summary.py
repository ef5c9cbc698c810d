"""The table of coefficients: its numbers, as text, in notebooks and as a frame."""

import numpy as np
import pytest
from scipy import stats

from skgrad.estimators.summary import CoefficientSummary


def make(df=20, **params):
    return CoefficientSummary(
        ("intercept", "<x>"),
        np.array([[1.0, -2.0], [0.5, 300.0]]),
        np.array([[[0.25, 0.1], [0.1, 1.0]], [[1.0, 0.0], [0.0, 4.0]]]),
        df,
        **{"output": "quantile", "outputs": (0.1, 0.30000000000000004), **params},
    )


def test_numbers_follow_from_the_covariance():
    summary = make(level=0.9)
    np.testing.assert_array_equal(summary.standard_errors, [[0.5, 1], [1, 2]])
    np.testing.assert_array_equal(summary.t_values, [[2, -2], [0.5, 150]])
    expected = 2 * stats.t.sf([[2, 2], [0.5, 150]], 20)
    np.testing.assert_allclose(summary.p_values, expected, rtol=1e-10)
    assert summary.intervals.shape == (2, 2, 2)
    expected = stats.t.interval(0.9, 20, summary.coef, summary.standard_errors)
    np.testing.assert_allclose(np.moveaxis(summary.intervals, -1, 0), expected)


def test_without_degrees_of_freedom_it_is_the_normal_distribution():
    summary = make(df=np.inf)
    expected = 2 * stats.norm.sf([[2, 2], [0.5, 150]])
    np.testing.assert_allclose(summary.p_values, expected, rtol=1e-10)
    expected = stats.norm.interval(0.95, summary.coef, summary.standard_errors)
    np.testing.assert_allclose(np.moveaxis(summary.intervals, -1, 0), expected)
    assert repr(summary).splitlines()[0].split()[4:6] == ["z", "P>|z|"]


def test_it_prints_as_a_table():
    assert repr(make(title="Title")).splitlines() == [
        "Title",
        "quantile             estimate  std error    t    P>|t|     2.5 %   97.5 %",
        "0.1       intercept         1        0.5    2   0.0593  -0.04298    2.043",
        "          <x>              -2          1   -2   0.0593    -4.086  0.08596",
        "0.3       intercept       0.5          1  0.5   0.6225    -1.586    2.586",
        "          <x>             300          2  150  <0.0001     295.8    304.2",
    ]
    one = CoefficientSummary(("a",), np.array([1.0]), np.eye(1), 5, level=0.9)
    assert repr(one).splitlines()[0].split()[-4:] == ["5", "%", "95", "%"]
    assert repr(one).splitlines()[1].split()[:3] == ["a", "1", "1"]


def test_notebooks_show_names_as_they_are():
    html = make(title="T & U")._repr_html_()
    assert "&lt;x&gt;" in html
    assert "<x>" not in html
    assert "<caption>T &amp; U</caption>" in html
    assert html.count("<tr>") == 5


@pytest.mark.parametrize("outputs", [(0.1, 0.3), ("a", "b")])
def test_frames_have_names_and_outputs(outputs):
    frame = make(outputs=outputs).to_frame()
    assert list(frame.columns) == [
        "estimate",
        "std_error",
        "t",
        "p_value",
        "low",
        "high",
    ]
    assert frame.index.names == ["quantile", "coefficient"]
    assert frame.loc[(outputs[1], "<x>"), "estimate"] == 300
    assert repr(make(outputs=outputs)).splitlines()[1].startswith(str(outputs[0]))
    one = CoefficientSummary(("a",), np.array([1.0]), np.eye(1), 5).to_frame()
    assert one.index.tolist() == ["a"]
