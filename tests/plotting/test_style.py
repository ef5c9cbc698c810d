"""What all pictures share, and what they say without matplotlib."""

import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from skgrad.plotting import (
    CalibrationCurve,
    CalibrationDisplay,
    CoefficientDisplay,
    LearningRateDisplay,
    ResidualsDisplay,
    TrainingCurve,
    TrainingCurveDisplay,
)
from skgrad.plotting.style import color, panels, scaled, shortened

DISPLAYS = {
    "training": TrainingCurveDisplay({"a": TrainingCurve([2.0, 1.0])}),
    "residuals": ResidualsDisplay([1.0, 2.0], {"a": [1.0, 1.5]}),
    "calibration": CalibrationDisplay({"a": CalibrationCurve([0.5], [0.4])}),
    "coefficients": CoefficientDisplay({"a": [1.0, 0.0]}),
    "learning_rate": LearningRateDisplay([0.1, 1.0], [2.0, 1.0], 0.1),
}
EACH = pytest.mark.parametrize("display", DISPLAYS.values(), ids=DISPLAYS)


@EACH
def test_plot_returns_the_display_and_leaves_the_settings(display):
    before = dict(mpl.rcParams)
    assert display.plot() is display
    assert dict(mpl.rcParams) == before
    assert display.ax_.figure is display.figure_
    assert not display.ax_.spines["top"].get_visible()


@EACH
def test_draws_where_the_user_says(display):
    figure, (left, right) = plt.subplots(1, 2)
    display.plot(ax=right)
    assert display.ax_ is right
    assert display.figure_ is figure
    assert not left.has_data()


@EACH
def test_without_matplotlib_says_how_to_get_it(display, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib.pyplot", None)
        with pytest.raises(ImportError, match=r'pip install "skgrad\[plot\]"'):
            display.plot()


def test_importing_the_displays_does_not_import_matplotlib():
    code = "import sys, skgrad.plotting; print('matplotlib' in sys.modules)"
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_panels_share_the_place_of_the_users_axes():
    figure, ax = plt.subplots()
    owner, axes = panels(ax, (2, 1), sharex=True)
    assert owner is figure
    assert len(axes) == 2
    assert not ax.axison
    outer = ax.get_position()
    for each in axes:
        inner = each.get_position()
        assert inner.x0 == pytest.approx(outer.x0)
        assert outer.y0 - 1e-9 <= inner.y0 < inner.y1 <= outer.y1 + 1e-9


def test_panels_need_a_grid():
    ax = plt.figure().add_axes([0, 0, 1, 1])
    assert panels(ax)[1] == [ax]
    with pytest.raises(ValueError, match=r"2 panels.*plt\.subplots"):
        panels(ax, (1, 1))


def test_scale_of_an_axis():
    assert scaled("auto", [[1.0, 2.0], [30.0]]) == "log"
    assert scaled("auto", [[1.0, 2.0]]) == "linear"
    assert scaled(True, [[1.0, 2.0]]) == "log"
    assert scaled(False, [[1.0, 200.0]]) == "linear"
    with pytest.raises(ValueError, match="The smallest is -1"):
        scaled(True, [[5.0], [float("nan"), -1.0]])


def test_colors_repeat_after_six():
    assert len({color(i) for i in range(6)}) == 6
    assert color(6) == color(0)


def test_long_names_lose_their_middle():
    assert shortened("short") == "short"
    text = shortened("x" * 30 + "y" * 30, 21)
    assert text == "x" * 10 + "…" + "y" * 10
