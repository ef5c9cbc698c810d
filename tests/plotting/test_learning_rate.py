"""The range test of the learning rate."""

import numpy as np
import pytest
from estimators.battery import make_data

from skgrad import MLPRegressor
from skgrad.plotting import LearningRateDisplay

RATES = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]


def test_the_test_of_a_fit_is_drawn():
    model = MLPRegressor(tol=None, max_iter=1, random_state=0).fit(*make_data())
    losses = [1.0, 0.9, 0.5, 0.4, 0.6]
    model.fit_report_["learning_rate_test"] = {
        "rates": RATES,
        "losses": losses,
        "suggestion": 0.01,
    }
    display = LearningRateDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.line_.get_data(), [RATES, losses])
    assert display.suggestion_.get_xdata()[0] == 0.01
    assert [text.get_text() for text in display.ax_.texts] == ["suggestion 0.01"]
    assert display.ax_.get_xscale() == "log"
    assert display.ax_.get_ylim()[1] >= 1.0


def test_an_explosion_is_cut_off():
    display = LearningRateDisplay(RATES, [1.0, 0.8, 0.4, 1e6, np.inf]).plot()
    low, high = display.ax_.get_ylim()
    assert 0.3 < low < 0.4
    assert high == pytest.approx(1.3)  # half of the decrease above the first loss
    assert display.ax_.get_yscale() == "linear"
    assert display.suggestion_ is None


def test_losses_over_a_decade_are_logarithmic():
    display = LearningRateDisplay(RATES, [1.0, 0.5, 0.01, 0.005, 1e6]).plot()
    assert display.ax_.get_yscale() == "log"
    low, high = display.ax_.get_ylim()
    assert 0 < low < 0.005 < 1.0 < high < 2.0


@pytest.mark.parametrize("losses", [[np.nan] * 5, [1.0] * 5, [1.0, np.nan, 2, 3, 4]])
def test_tests_that_found_nothing(losses):
    display = LearningRateDisplay(RATES, losses).plot()
    display.figure_.canvas.draw()
    np.testing.assert_array_equal(display.line_.get_ydata(), losses)


def test_without_a_test_says_how_to_make_one():
    model = MLPRegressor(tol=None, max_iter=1, random_state=0)
    with pytest.raises(ValueError, match=r"has no fit_report_.*learning_rate='auto'"):
        LearningRateDisplay.from_estimator(model)
    model.fit(*make_data())
    with pytest.raises(ValueError, match=r"tested no learning rates.*='auto'"):
        LearningRateDisplay.from_estimator(model)


def test_one_loss_per_rate():
    with pytest.raises(ValueError, match=r"rates of shape \(2,\) .* \(3,\)"):
        LearningRateDisplay([1, 2], [1, 2, 3])
