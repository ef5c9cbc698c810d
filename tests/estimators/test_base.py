"""What all estimators share: seeds, traces, weights, validation, continuing."""

import warnings

import numpy as np
import pandas as pd
import pytest
from estimators.battery import (
    CLASSIFIERS,
    EACH,
    EACH_STOCHASTIC,
    MLP,
    REGRESSORS,
    STOCHASTIC,
    make_data,
    make_for,
    regressor,
    theta,
)
from estimators.models import (
    branching,
)
from sklearn.base import clone
from sklearn.exceptions import (
    ConvergenceWarning,
    NotFittedError,
)

from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPClassifier,
    MLPRegressor,
)
from skgrad.exceptions import ParameterError, ShapeError
from skgrad.optim import Adam

# -------------------------------------------------------------------- reproducible


@EACH
def test_one_seed_gives_equal_bits_and_leaves_global_seeds_alone(estimator):
    X, y = make_for(estimator)
    fits = []
    for global_seed in (1, 2):
        np.random.seed(global_seed)  # noqa: NPY002 - it must not matter
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        fits.append(clone(estimator).fit(X, y))
        np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    one, other = fits
    np.testing.assert_array_equal(theta(one), theta(other))
    assert one.loss_curve_ == other.loss_curve_
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    again = one.fit(X, y)
    np.testing.assert_array_equal(theta(again), theta(other))


@pytest.fixture(autouse=True)
def numpy_state():
    """Restore NumPy's global state, which some tests here set on purpose."""
    state = np.random.get_state()  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002


@EACH_STOCHASTIC
def test_other_seeds_give_other_fits(name):
    X, y = make_data()
    seeds = [0, 1, None, None, np.random.RandomState(0), np.random.RandomState(1)]
    fits = [theta(regressor(name, random_state=s).fit(X, y)) for s in seeds]
    assert len({fit.tobytes() for fit in fits}) == len(seeds)


def test_a_random_state_object_advances_and_can_be_repeated():
    X, y = make_data()
    state = np.random.RandomState(5)
    model = regressor("mlp", random_state=state)
    first, second = theta(model.fit(X, y)), theta(model.fit(X, y))
    assert not np.array_equal(first, second)
    model.set_params(random_state=np.random.RandomState(5))
    np.testing.assert_array_equal(theta(model.fit(X, y)), first)


def test_streams_of_a_seed_are_independent():
    # Shuffling draws nothing from the stream of the initial weights.
    X, y = make_data()
    start = {"learning_rate": 1e-300}
    shuffled = theta(regressor("mlp", shuffle=True, **start).fit(X, y))
    np.testing.assert_array_equal(
        shuffled, theta(regressor("mlp", shuffle=False, **start).fit(X, y))
    )
    np.testing.assert_array_equal(
        shuffled, theta(regressor("mlp", early_stopping=True, **start).fit(X, y))
    )


# -------------------------------------------------------------------------- traces


@EACH_STOCHASTIC
@pytest.mark.parametrize(("n", "n_traces"), [(32, 1), (40, 2), (16, 1), (5, 1)])
def test_one_trace_per_batch_shape(name, n, n_traces):
    X, y = make_data(n=n)
    model = regressor(name, schedule="cosine", clip_norm=0.5)
    assert model.fit(X, y).fit_report_["n_traces"] == n_traces


def test_a_loss_that_looks_at_values_runs_eagerly_and_fits_the_same():
    X, y = make_data()
    expected = regressor("mlp").fit(X, y)
    model = regressor("mlp", loss=branching)
    with pytest.warns(RuntimeWarning, match=r"cannot be traced and runs eagerly"):
        model.fit(X, y)
    np.testing.assert_allclose(theta(model), theta(expected), rtol=1e-10)
    assert model.fit_report_["executor"] == "eager"
    assert expected.fit_report_["executor"] == "reference"


@pytest.mark.filterwarnings("ignore:.*cannot be traced:RuntimeWarning")
def test_a_linear_loss_that_looks_at_values_equals_least_squares():
    X, y = make_data()
    model = GradientLinearRegressor(loss=branching).fit(X, y)
    expected = GradientLinearRegressor().fit(X, y)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-8)


# ------------------------------------------------------------------ sample weights


@pytest.mark.parametrize("name", [n for n in REGRESSORS if n != "linear"])
def test_weights_equal_repeated_rows_when_one_batch_holds_all(name):
    X, y = make_data()
    w = np.arange(len(y)) % 4
    model, rows = regressor(name), np.repeat(np.arange(len(y)), w)
    again = clone(model)
    if name in STOCHASTIC:
        model, again = (m.set_params(batch_size=None) for m in (model, again))
    if name == "linear-path":  # the folds are to be the same
        half = np.arange(len(y)) < 20
        model.set_params(cv=[(half, ~half)])
        again.set_params(cv=[(half[rows], ~half[rows])])
    weighted = theta(model.fit(X, y, w))
    repeated = theta(again.fit(X[rows], y[rows]))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_zero_weight_is_an_absent_row_in_minibatches_too(name):
    X, y = make_data()
    w = np.arange(len(y)) % 3 * 0.5
    model = regressor(name)
    weighted = theta(model.fit(X, y, w))
    present = w > 0
    absent = theta(model.fit(X[present], y[present], w[present]))
    np.testing.assert_array_equal(weighted, absent)


def test_weights_that_are_all_zero_or_negative_raise():
    X, y = make_data()
    with pytest.raises(ValueError, match="zero"):
        regressor("mlp").fit(X, y, np.zeros(40))
    with pytest.raises(ValueError, match="Negative values in data passed to"):
        regressor("mlp").fit(X, y, -np.ones(40))


# ---------------------------------------------------------------------- validation


@pytest.mark.parametrize("name", ["linear-adam", "mlp", "mlp-lbfgs", "module-dropout"])
def test_validation_rows_are_scored_after_each_epoch(name):
    X, y = make_data()
    X_val, y_val = make_data(seed=1)
    model = regressor(name, batch_size=None)
    plain = clone(model).fit(X, y)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert len(model.validation_scores_) == len(model.loss_curve_)
    # They are recorded and change nothing else.
    np.testing.assert_array_equal(theta(model), theta(plain))
    assert plain.validation_scores_ == []
    model.set_params(scoring="r2").fit(X, y, X_val=X_val, y_val=y_val)
    np.testing.assert_allclose(model.validation_scores_[-1], model.score(X_val, y_val))


def test_the_validation_loss_is_weighted_and_on_the_standardised_scale():
    X, y = make_data()
    X_val, y_val = make_data(seed=1)
    w = np.linspace(0, 2, 40)
    model = regressor("mlp-dropout")
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=w)
    error = (y_val - model.predict(X_val)) / y.std()
    expected = -np.average(error**2 / 2, weights=w)
    np.testing.assert_allclose(model.validation_scores_[-1], expected, rtol=1e-10)


@pytest.mark.parametrize("scoring", ["loss", "r2", "neg_mean_absolute_error"])
@pytest.mark.parametrize("given", [True, False])
def test_early_stopping_restores_the_best_epoch(scoring, given):
    X, y = make_data(n=80)
    validation = dict(zip(("X_val", "y_val"), make_data(seed=1), strict=True))
    model = regressor("mlp", early_stopping=True, scoring=scoring, tol=0.0)
    model.set_params(learning_rate=0.1, n_iter_no_change=3, max_iter=200)
    model.fit(X, y, **validation if given else {})
    scores, best = model.validation_scores_, model.fit_report_["best_epoch"]
    assert best == 1 + int(np.argmax(scores))
    assert best < model.n_iter_ == len(scores)
    assert "validation score stopped" in model.fit_report_["stop_reason"]
    # As if it had been stopped there.
    shorter = clone(model).set_params(max_iter=best)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        shorter.fit(X, y, **validation if given else {})
    np.testing.assert_array_equal(theta(model), theta(shorter))


def test_early_stopping_with_a_scorer_object_and_pandas():
    X, y = make_data(n=60)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])

    def scorer(estimator, X, y, sample_weight=None):
        assert X.shape == (6, 3)
        return estimator.score(X, y, sample_weight)

    model = regressor("mlp", early_stopping=True, scoring=scorer).fit(frame, y)
    assert len(model.validation_scores_) == 5
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]


def test_validation_rows_are_checked():
    X, y = make_data()
    model = regressor("mlp")
    with pytest.raises(ValueError, match="both X_val and y_val, or neither"):
        model.fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="2 features, but MLPRegressor is expecting 3"):
        model.fit(X, y, X_val=X[:, :2], y_val=y)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X, y, X_val=X, y_val=y * np.nan)


@pytest.mark.parametrize("name", ["linear", "mlp-lbfgs"])
def test_early_stopping_needs_a_stochastic_optimizer(name):
    with pytest.raises(ParameterError, match=r"early_stopping needs a stochastic opt"):
        regressor(name, early_stopping=True).fit(*make_data())


# ---------------------------------------------------------------------- continuing


@EACH_STOCHASTIC
def test_partial_fit_equals_epochs_in_order(name):
    X, y = make_data()
    model = regressor(name, shuffle=False, max_iter=1)
    expected = theta(model.fit(X, y))
    np.testing.assert_array_equal(
        theta(regressor(name, shuffle=False).partial_fit(X, y)), expected
    )
    model = regressor(name, shuffle=False)
    for _ in range(5):
        model.partial_fit(X, y)
    whole = regressor(name, shuffle=False).fit(X, y)
    np.testing.assert_array_equal(theta(model), theta(whole))
    assert model.loss_curve_ == whole.loss_curve_
    assert model.n_iter_ == 5


@EACH_STOCHASTIC
def test_two_warm_fits_equal_one_of_twice_the_epochs(name):
    X, y = make_data()
    model = regressor(name, warm_start=True, max_iter=3).fit(X, y).fit(X, y)
    whole = regressor(name, max_iter=6).fit(X, y)
    np.testing.assert_array_equal(theta(model), theta(whole))
    assert model.loss_curve_ == whole.loss_curve_
    assert model.n_iter_ == whole.n_iter_ == 6


def test_a_warm_fit_starts_at_the_last_solution():
    X, y = make_data()
    model = regressor("mlp-lbfgs", warm_start=True).fit(X, y)
    first = model.loss_
    assert model.fit(X, y).loss_curve_[5] < first
    model = GradientLinearRegressor(loss="log_cosh", warm_start=True).fit(X, y)
    n_iter = len(model.loss_curve_)
    assert len(model.fit(X, y).loss_curve_) < 2 * n_iter


@pytest.mark.parametrize(
    ("before", "after"),
    [("lbfgs", "adam"), ("adam", "lbfgs"), ("adam", "sgd"), ("sgd", Adam(b1=0.5))],
)
def test_a_warm_fit_may_change_the_optimizer(before, after):
    X, y = make_data()
    model = regressor("mlp", optimizer=before, warm_start=True).fit(X, y)
    first = model.loss_
    model.set_params(optimizer=after, schedule="plateau", learning_rate=1e-3)
    assert model.fit(X, y).loss_ < 1.01 * first


def test_a_failed_first_warm_fit_leaves_nothing():
    X, y = make_for(CLASSIFIERS["mlp"])
    model = MLPClassifier(**MLP, warm_start=True, loss=lambda y, f: f.sum())
    with pytest.raises(ShapeError):
        model.fit(X, y)
    model.set_params(loss="log_loss").fit(X, y == "low")
    assert model.classes_.tolist() == [False, True]


@EACH
def test_a_failing_fit_leaves_no_model(estimator):
    X, y = make_for(estimator)
    model = clone(estimator).fit(X, y)
    wrong = {"loss": lambda y, f: f.sum(), "quantile": (0.9, 0.1)}
    model.set_params(**{n: v for n, v in wrong.items() if n in model.get_params()})
    with pytest.raises(ValueError, match=r"one value per sample|strictly increasing"):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_partial_fit_is_there_for_stochastic_optimizers_only():
    assert not hasattr(GradientLinearRegressor(), "partial_fit")
    assert hasattr(GradientLinearRegressor(optimizer="sgd"), "partial_fit")
    assert not hasattr(MLPRegressor(optimizer="lbfgs"), "partial_fit")
    with pytest.raises(AttributeError) as error:
        _ = GradientLinearClassifier().partial_fit
    assert "set optimizer='sgd' or 'adam'" in str(error.value.__cause__)
    with pytest.raises(ParameterError, match="early_stopping=False"):
        regressor("mlp", early_stopping=True).partial_fit(*make_data())


def test_partial_fit_of_a_classifier_needs_the_classes_once():
    X, y = make_for(CLASSIFIERS["mlp"])
    model = clone(CLASSIFIERS["mlp"])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    model.partial_fit(
        X[y == "low"][:5], y[y == "low"][:5], classes=["low", "high", "x"]
    )
    model.partial_fit(X, y)
    assert model.classes_.tolist() == ["high", "low", "x"]
    assert model.predict_proba(X).shape == (40, 3)
    with pytest.raises(ValueError, match=r"classes \['new'\] that were not among"):
        model.partial_fit(X, np.where(y == "low", "new", y))
