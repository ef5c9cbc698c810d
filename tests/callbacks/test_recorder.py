"""Records of fits, epoch by epoch."""

import numpy as np
import pytest
from estimators.battery import EACH_STOCHASTIC, make_data, regressor, theta
from sklearn.model_selection import cross_validate

from skgrad.callbacks import Callback, Recorder


@EACH_STOCHASTIC
def test_it_records_what_the_fit_says_and_changes_nothing(name):
    X, y = make_data()
    recorder = Recorder()
    model = regressor(name, schedule="cosine").set_callbacks(recorder)
    model.fit(X, y, X_val=X[:5], y_val=y[:5])
    history = {k: [row[k] for row in recorder.history] for k in recorder.history[0]}
    assert history["epoch"] == [1, 2, 3, 4, 5]
    assert history["run"] == [0] * 5
    assert history["objective"] == model.loss_curve_
    assert history["score"] == model.validation_scores_
    assert history["learning_rate"] == model.fit_report_["learning_rates"]
    assert history["gradient_norm"] == model.fit_report_["gradient_norms"]
    assert min(history["gradient_norm"]) > 0
    assert history["seconds"] == sorted(history["seconds"])
    plain = regressor(name, schedule="cosine").fit(X, y, X_val=X[:5], y_val=y[:5])
    np.testing.assert_array_equal(theta(plain), theta(model))
    assert plain.fit_report_["gradient_norms"] is None


def test_the_norm_is_left_out_on_request():
    recorder = Recorder(gradient_norm=False)
    model = regressor("mlp").set_callbacks(recorder).fit(*make_data())
    assert {row["gradient_norm"] for row in recorder.history} == {None}
    assert model.fit_report_["gradient_norms"] is None


def test_an_optimizer_of_all_rows_gives_its_largest_element():
    recorder = Recorder()
    model = regressor("mlp-lbfgs", max_iter=8).set_callbacks(recorder)
    model.fit(*make_data())
    assert len(recorder.history) == len(model.loss_curve_)
    norms = [row["gradient_norm"] for row in recorder.history]
    assert norms == model.fit_report_["gradient_norms"]
    assert norms[-1] < norms[0]


def test_each_fit_is_a_run():
    X, y = make_data()
    recorder = Recorder()
    model = regressor("mlp").set_callbacks(recorder)
    cross_validate(model, X, y, cv=3)
    assert [row["run"] for row in recorder.history] == np.repeat(range(3), 5).tolist()


@pytest.mark.parametrize("name", ["mlp", "linear"])
def test_a_callback_of_ones_own_sees_every_epoch_and_the_end(name):
    seen = []

    class Mine(Callback):
        def on_epoch(self, estimator, progress):
            seen.append((estimator, progress.epoch.objective))

        def on_end(self, estimator, progress):
            seen.append((estimator.predict(X).shape, progress.reason.converged))

    X, y = make_data()
    model = regressor(name).set_callbacks(Mine()).fit(X, y)
    expected = [(model, value) for value in model.loss_curve_]
    assert seen == [*expected, ((40,), name == "linear")]
