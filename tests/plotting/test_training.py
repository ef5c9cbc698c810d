"""The history of a fit as a picture."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from estimators.battery import make_data
from sklearn.neural_network import MLPRegressor as ScikitMLP
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgrad import GradientLinearRegressor, MLPRegressor
from skgrad.plotting import TrainingCurve, TrainingCurveDisplay

SMALL = {"hidden_layer_sizes": (8,), "tol": None, "batch_size": 16, "random_state": 0}


def fitted(**params):
    return MLPRegressor(**{**SMALL, "max_iter": 12, **params}).fit(*make_data())


def drawn(display, quantity, name="MLPRegressor"):
    return np.array(display.lines_[name, quantity].get_data())


def test_objective_and_validation_loss_share_an_axis():
    model = fitted(early_stopping=True)
    display = TrainingCurveDisplay.from_estimator(model)
    epochs = np.arange(1, 13)
    np.testing.assert_array_equal(
        drawn(display, "objective"), [epochs, model.loss_curve_]
    )
    loss = -np.array(model.validation_scores_)
    np.testing.assert_array_equal(drawn(display, "validation"), [epochs, loss])
    assert display.axes_ == {"objective": display.ax_}
    assert display.ax_.get_ylabel() == "loss"
    assert display.ax_.get_xlabel() == "epoch"
    texts = {text.get_text() for text in display.ax_.texts}
    assert texts == {"training", "validation", f"best epoch: {1 + loss.argmin()}"}


def test_the_best_epoch_is_marked_on_the_validation_curve():
    curve = TrainingCurve([3.0, 2.0, 1.0], validation=[3.0, 2.5, 2.75], best_epoch=2)
    display = TrainingCurveDisplay({"a": curve}).plot()
    (mark,) = (
        line
        for line in display.ax_.get_lines()
        if line.get_linestyle() == "None" and line.get_marker() == "o"
    )
    assert [*mark.get_xdata(), *mark.get_ydata()] == [2, 2.5]


def test_another_score_has_its_own_panel():
    model = fitted(early_stopping=True, scoring="neg_mean_absolute_error")
    display = TrainingCurveDisplay.from_estimator(model)
    panel = display.axes_["validation"]
    assert panel.get_ylabel() == "validation\nneg mean absolute error"
    line = display.lines_["MLPRegressor", "validation"]
    assert line.axes is panel
    np.testing.assert_array_equal(line.get_ydata(), model.validation_scores_)
    assert display.ax_.get_ylabel() == "objective"
    assert panel.get_xlabel() == "epoch"


def test_a_full_batch_fit_counts_iterations():
    model = GradientLinearRegressor(optimizer="lbfgs").fit(*make_data())
    display = TrainingCurveDisplay.from_estimator(model, optimum=model.loss_)
    assert display.ax_.get_xlabel() == "iteration"
    dashed = [line for line in display.ax_.get_lines() if line.is_dashed()]
    assert [line.get_ydata()[0] for line in dashed] == [model.loss_]
    assert "optimum" in [text.get_text() for text in display.ax_.texts]


def test_distance_from_the_optimum():
    model = fitted(early_stopping=True)
    optimum = min(model.loss_curve_)
    display = TrainingCurveDisplay.from_estimator(
        model, optimum=optimum, above_optimum=True
    )
    distance = np.array(model.loss_curve_) - optimum
    distance[distance == 0] = np.nan
    np.testing.assert_array_equal(drawn(display, "objective")[1], distance)
    assert list(display.lines_) == [("MLPRegressor", "objective")]
    assert display.ax_.get_ylabel() == "objective above optimum"
    with pytest.raises(ValueError, match="above_optimum=True needs the optimum"):
        TrainingCurveDisplay.from_estimator(model, above_optimum=True)


def test_units_of_several_kinds_are_both_named():
    models = [GradientLinearRegressor(optimizer="lbfgs").fit(*make_data()), fitted()]
    display = TrainingCurveDisplay.from_estimator(models)
    assert display.ax_.get_xlabel() == "epoch or iteration"


def test_models_overlaid_have_a_legend_and_colors_of_their_own():
    models = {f"seed {i}": fitted(random_state=i, max_iter=3) for i in range(6)}
    display = TrainingCurveDisplay.from_estimator(models)
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == list(models)
    assert len({line.get_color() for line in display.lines_.values()}) == 6
    for name, model in models.items():
        np.testing.assert_array_equal(
            drawn(display, "objective", name)[1], model.loss_curve_
        )


def test_legend_tells_training_from_validation():
    curve = TrainingCurve([2.0, 1.0], validation=[2.0, 1.5], best_epoch=2)
    display = TrainingCurveDisplay({"a": curve, "b": curve}).plot()
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["a", "b", "training objective", "validation loss", "best epoch"]


RATES = [0.1, 0.05, 0.01]


@pytest.mark.parametrize(
    ("rates", "asked", "expected"),
    [
        (RATES, "auto", True),
        (RATES, False, False),
        ([0.1, 0.1, 0.1], "auto", False),
        ([0.1, 0.1, 0.1], True, True),
        ((), "auto", False),
    ],
)
def test_when_the_learning_rate_is_drawn(rates, asked, expected):
    curve = TrainingCurve([3.0, 2.0, 1.0], learning_rates=rates)
    display = TrainingCurveDisplay({"a": curve}).plot(learning_rate=asked)
    assert ("learning_rate" in display.axes_) is expected
    if expected:
        np.testing.assert_array_equal(drawn(display, "learning_rate", "a")[1], rates)


def test_gradient_norms_have_a_panel_and_a_scale_of_their_own():
    curve = TrainingCurve([3.0, 2.0], gradient_norms=[1.0, 1e-4], best_epoch=1)
    display = TrainingCurveDisplay({"a": curve}).plot()
    assert list(display.axes_) == ["objective", "gradient_norm"]
    assert display.axes_["gradient_norm"].get_yscale() == "log"
    assert display.ax_.get_yscale() == "linear"
    hidden = TrainingCurveDisplay({"a": curve}).plot(gradient_norm=False)
    assert list(hidden.axes_) == ["objective"]


def test_the_report_of_a_fit_is_read():
    model = fitted(max_iter=3)
    model.fit_report_["learning_rates"] = RATES
    model.fit_report_["gradient_norms"] = [3.0, 2.0, 1.0]
    display = TrainingCurveDisplay.from_estimator(model)
    assert list(display.axes_) == ["objective", "learning_rate", "gradient_norm"]
    np.testing.assert_array_equal(drawn(display, "learning_rate")[1], RATES)


def test_short_histories_belong_to_the_last_epochs():
    curve = TrainingCurve([4.0, 3.0, 2.0, 1.0], validation=[2.5, 1.5])
    display = TrainingCurveDisplay({"a": curve}).plot()
    np.testing.assert_array_equal(drawn(display, "validation", "a")[0], [3, 4])


@pytest.mark.parametrize(
    ("optimum", "log_scale", "expected"),
    [
        (None, "auto", "log"),
        (None, False, "linear"),
        (0.0, "auto", "linear"),
        (1e-3, "auto", "log"),
    ],
)
def test_scale_of_the_objective(optimum, log_scale, expected):
    curves = {"a": TrainingCurve([100.0, 1.0])}
    display = TrainingCurveDisplay(curves, optimum=optimum).plot(log_scale=log_scale)
    assert display.ax_.get_yscale() == expected


def test_one_epoch_is_a_point_on_a_whole_number():
    display = TrainingCurveDisplay({"a": TrainingCurve([1.0])}).plot()
    assert display.lines_["a", "objective"].get_markevery() == [0]
    display.figure_.canvas.draw()
    ticks = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert ticks == ["0", "1", "2"]


def test_gaps_stay_gaps():
    values = [2.0, np.nan, 1.0, 0.8, np.inf]
    display = TrainingCurveDisplay({"a": TrainingCurve(values)}, optimum=0.5).plot()
    display.figure_.canvas.draw()
    np.testing.assert_array_equal(drawn(display, "objective", "a")[1], values)
    # A point alone is marked, or nobody would see it.
    assert display.lines_["a", "objective"].get_markevery() == [0]


def test_pipelines_and_scikit_learn_s_networks():
    X, y = make_data()
    theirs = ScikitMLP(
        hidden_layer_sizes=(4,), max_iter=3, early_stopping=True, random_state=0
    )
    with pytest.warns(UserWarning, match="Maximum iterations"):
        theirs.fit(X, y)
    ours = make_pipeline(StandardScaler(), MLPRegressor(**SMALL, max_iter=3)).fit(X, y)
    display = TrainingCurveDisplay.from_estimator({"theirs": theirs, "ours": ours})
    np.testing.assert_array_equal(
        drawn(display, "objective", "theirs")[1], theirs.loss_curve_
    )
    np.testing.assert_array_equal(
        drawn(display, "validation", "theirs")[1], theirs.validation_scores_
    )
    np.testing.assert_array_equal(
        drawn(display, "objective", "ours")[1], ours[-1].loss_curve_
    )


def test_panels_stay_within_the_users_axes():
    _, ax = plt.subplots()
    curve = TrainingCurve([3.0, 2.0, 1.0], learning_rates=RATES)
    display = TrainingCurveDisplay({"a": curve}).plot(ax=ax)
    assert len(display.axes_) == 2
    assert display.figure_ is ax.figure


def test_what_was_not_recorded_cannot_be_drawn():
    display = TrainingCurveDisplay({"a": TrainingCurve([2.0, 1.0])})
    for name in ("learning_rate", "gradient_norm"):
        with pytest.raises(ValueError, match=f"no fit recorded its {name}s"):
            display.plot(**{name: True})
    with pytest.raises(ValueError, match="fit of a completed no epoch"):
        TrainingCurveDisplay({"a": TrainingCurve([])})


def test_what_was_not_fitted_has_no_history():
    with pytest.raises(ValueError, match="MLPRegressor has no loss_curve_"):
        TrainingCurveDisplay.from_estimator(MLPRegressor())
