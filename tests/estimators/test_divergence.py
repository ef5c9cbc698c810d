"""Fits that would diverge: they recover, or say what broke."""

import warnings

import numpy as np
import pytest
from estimators.battery import make_data, regressor, theta
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDRegressor

import skgrad
from skgrad import GradientLinearRegressor, MLPRegressor
from skgrad.exceptions import DivergenceError


def make_unscaled(n=200):
    """Return columns scaled by 1000, where scikit-learn's SGD ends in nonsense."""
    rng = np.random.default_rng(0)
    X = 1000 * rng.normal(size=(n, 3))
    return X, X @ [1e-3, 2e-3, 3e-3] + 0.1 * rng.normal(size=n)


def test_unscaled_columns_end_in_a_model_or_an_error_never_in_nonsense():
    X, y = make_unscaled()
    assert SGDRegressor(random_state=0).fit(X, y).score(X, y) < -1e10
    params = {"optimizer": "sgd", "random_state": 0, "max_iter": 300, "tol": None}
    scaled = GradientLinearRegressor(**params).fit(X, y)
    assert scaled.score(X, y) > 0.99
    raw = GradientLinearRegressor(**params, standardize=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        raw.fit(X, y)
    assert raw.score(X, y) > 0.99
    texts = [str(w.message) for w in caught]
    assert any("went back to its weights at the start" in text for text in texts)
    raw.set_params(on_divergence="raise")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DivergenceError, match=r"inputs have very different sc"):
            raw.fit(X, y)
    assert not hasattr(raw, "coef_")


@pytest.mark.parametrize("rate", [100.0, 1e4, 1e200])
def test_a_rate_that_is_too_high_is_lowered_and_the_warning_says_to_what(rate):
    X, y = make_data()
    model = regressor("mlp", optimizer="sgd", learning_rate=rate, max_iter=10)
    if rate > 1e100:
        with pytest.raises(DivergenceError, match=r"went back .* 8 times, with"):
            model.fit(X, y)
        return
    with pytest.warns(ConvergenceWarning, match="went back to its weights") as caught:
        model.fit(X, y)
    report = model.fit_report_
    used = report["recoveries"][-1]["learning_rate"]
    assert f"learning_rate={used:g}" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert report["learning_rates"] == [used] * 10
    # One row each, and one for the advice.
    assert str(report).count("The objective") == len(report["recoveries"]) + 1
    lower = regressor("mlp", optimizer="sgd", learning_rate=used, max_iter=10)
    np.testing.assert_array_equal(theta(model), theta(lower.fit(X, y)))
    assert lower.fit_report_["recoveries"] == []


def test_partial_fit_recovers_and_warns_where_it_was_called():
    X, y = make_data()
    model = regressor("mlp", optimizer="sgd", learning_rate=1e4)
    with pytest.warns(ConvergenceWarning, match="went back") as caught:
        model.partial_fit(X, y)
    assert caught[0].filename == __file__
    assert np.isfinite(model.predict(X)).all()


def test_the_step_the_operation_and_the_line_are_named():
    def own(y_true, raw_prediction):
        return skgrad.log(y_true - raw_prediction) ** 2

    X, y = make_data()
    model = regressor("mlp", loss=own, standardize=False, learning_rate=1e-12)
    match = r"not finite in epoch 1, step \d: log\(-\S+\) is nan in own, test_diverg"
    with pytest.raises(DivergenceError, match=match) as error:
        model.fit(X, y - y.mean())
    assert "Keep the operand positive" in str(error.value)
    assert "went back" not in str(error.value)  # no rate would have helped


# ------------------------------------------------------------------ the learning rate


@pytest.mark.parametrize("name", ["mlp", "linear-adam", "mlp-dropout"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_auto_finds_a_rate_that_learns(name, optimizer):
    X, y = make_data(n=200)
    params = {"optimizer": optimizer, "max_iter": 40, "batch_size": 20}
    model = regressor(name, **params, alpha=0.0, learning_rate="auto").fit(X, y)
    report = model.fit_report_
    rate = report["learning_rate"]
    assert report["learning_rate_test"]["suggestion"] == rate
    assert report["learning_rates"] == [rate] * 40
    assert report["recoveries"] == []
    fixed = regressor(name, **params, alpha=0.0, learning_rate=rate).fit(X, y)
    np.testing.assert_array_equal(theta(model), theta(fixed))
    assert model.loss_ < 0.3 * model.loss_curve_[0]


def test_auto_is_reproducible_and_ignored_where_there_is_no_rate():
    X, y = make_data()
    fits = [
        MLPRegressor(learning_rate="auto", random_state=s, tol=None, max_iter=2)
        for s in (0, 0, 1)
    ]
    rates = [m.fit(X, y).fit_report_["learning_rate"] for m in fits]
    assert rates[0] == rates[1]
    np.testing.assert_array_equal(theta(fits[0]), theta(fits[1]))
    exact = GradientLinearRegressor(learning_rate="auto").fit(X, y)
    assert exact.fit_report_["learning_rate"] is None
    again = regressor("mlp", learning_rate="auto", warm_start=True).fit(X, y)
    first = again.fit_report_["learning_rate"]
    assert again.fit(X, y).fit_report_["learning_rate"] > 0
    assert first > 0


def test_max_time_ends_a_fit_with_a_warning():
    X, y = make_data()
    for name in ("mlp", "linear-adam", "mlp-lbfgs"):
        model = regressor(name, max_time=1e-9, max_iter=50, tol=1e-9)
        with pytest.warns(ConvergenceWarning, match=r"used up max_time=1e-09 seconds"):
            model.fit(X, y)
        assert len(model.loss_curve_) == 1
        assert not model.fit_report_["converged"]
