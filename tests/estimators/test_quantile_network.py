"""Quantiles of a network: they never cross, and conformal intervals cover."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import betabinom
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator

from skgrad import MLPQuantileRegressor, MLPRegressor, nn
from skgrad.backend.cpu import cache
from skgrad.exceptions import ParameterError
from skgrad.losses import Quantile, Quantiles

FAST = {"tol": None, "max_iter": 5, "random_state": 0, "batch_size": 16}
SMALL = {"hidden_layer_sizes": (8,), **FAST}
NINE = tuple(np.arange(1, 10) / 10)


def make_data(n=80, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) * [1.0, 100.0, 0.01]
    return X, 1e3 + 10 * X[:, 0] + rng.normal(size=n) * np.exp(X[:, 0])


# -------------------------------------------------------------------------- the fit


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("params", [{}, {"learning_rate": 0.3}, {"dropout": 0.5}])
def test_predictions_never_cross(dtype, params):
    X, y = make_data()
    model = MLPQuantileRegressor(quantile=NINE, **SMALL, **params)
    model.fit(X.astype(dtype), y)
    far = np.random.default_rng(1).normal(size=(500, 3)) * [10.0, 1e4, 1.0]
    found = model.predict(far.astype(dtype))
    assert found.dtype == dtype
    assert (np.diff(found) >= 0).all()


def test_it_is_a_network_with_a_loss_and_a_layer():
    X, y = make_data()
    model = MLPQuantileRegressor(quantile=(0.1, 0.5), **SMALL).fit(X, y)
    assert isinstance(model.module_[-1], nn.Increasing)
    standard = (y - y.mean()) / y.std()
    raw = model.module_((X - X.mean(0)) / X.std(0)).numpy()
    np.testing.assert_allclose(model.predict(X), y.mean() + y.std() * raw, rtol=1e-12)
    # The objective of the first epoch without a step is the mean loss of the module.
    still = clone(model).set_params(learning_rate=1e-300, max_iter=1).fit(X, y)
    raw = still.module_((X - X.mean(0)) / X.std(0)).numpy()
    loss = Quantiles((0.1, 0.5))(standard, raw).numpy().mean()
    assert still.loss_curve_[0] == pytest.approx(loss, rel=1e-12)


def test_the_fit_starts_at_the_quantiles_of_the_targets():
    X, y = make_data()
    model = MLPQuantileRegressor(
        quantile=NINE, **{**SMALL, "max_iter": 1}, learning_rate=1e-300
    ).fit(X, y)
    weight = model.module_[-2].weight
    weight.assign_(np.zeros(weight.shape))
    expected = np.quantile(y, NINE, method="averaged_inverted_cdf")
    found = model.predict(X)
    np.testing.assert_allclose(found, np.tile(expected, (80, 1)), rtol=1e-9)


def test_one_level_is_the_network_with_the_loss_of_a_quantile():
    X, y = make_data()
    one = MLPQuantileRegressor(quantile=0.8, **SMALL, learning_rate=1e-300).fit(X, y)
    plain = MLPRegressor(loss=Quantile(0.8), **SMALL, learning_rate=1e-300).fit(X, y)
    start = np.quantile(y, 0.8, method="averaged_inverted_cdf")
    shift = plain.module_[-1].bias.item() * y.std() + y.mean() - start
    np.testing.assert_allclose(one.predict(X), plain.predict(X) - shift, rtol=1e-10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_quantiles_are_found():
    # Of y = x + s(x) z with z standard normal: x + s(x) Φ⁻¹(q). Noise of 4000 rows
    # leaves about 0.05 s in the 0.1 quantile, that of the network is larger.
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=4000)
    scale = 0.2 + 0.8 * (x > 0)
    y = x + scale * rng.normal(size=4000)
    model = MLPQuantileRegressor(
        quantile=(0.1, 0.5, 0.9),
        hidden_layer_sizes=(16,),
        learning_rate=0.02,
        max_iter=25,
        random_state=0,
    ).fit(x[:, None], y)
    grid = np.array([-0.8, -0.4, 0.4, 0.8])
    sd = 0.2 + 0.8 * (grid > 0)
    expected = grid[:, None] + sd[:, None] * [-1.2815515655, 0.0, 1.2815515655]
    error = (model.predict(grid[:, None]) - expected) / sd[:, None]
    assert np.abs(error).max() < 0.3
    shares = (y[:, None] <= model.predict(x[:, None])).mean(axis=0)
    np.testing.assert_allclose(shares, [0.1, 0.5, 0.9], atol=0.03)


def test_levels_of_a_grid_are_inputs_of_the_trace():
    X, y = make_data()
    model = MLPQuantileRegressor(quantile=(0.1, 0.9), warm_start=True, **SMALL)
    assert model.fit(X, y).fit_report_["n_traces"] == 1
    model.set_params(quantile=(0.4, 0.6)).fit(X, y)  # goes on, as with other losses
    assert model.n_iter_ == 10
    assert model.quantiles_.tolist() == [0.4, 0.6]
    with pytest.raises(ValueError, match="number of raw predictions per target"):
        model.set_params(quantile=(0.4, 0.5, 0.6)).fit(X, y)


def test_zero_weights_are_absent_rows():
    X, y = make_data()
    w = np.arange(80) % 3 * 1.0
    model = MLPQuantileRegressor(**SMALL, conformalize=True, calibration_fraction=0.4)
    weighted = clone(model).fit(X, y, w)
    present = w > 0
    expected = clone(model).fit(X[present], y[present], w[present])
    np.testing.assert_array_equal(weighted.predict(X), expected.predict(X))
    found = weighted.predict_interval(X)
    np.testing.assert_array_equal(found, expected.predict_interval(X))


# ------------------------------------------------------------- inside scikit-learn


@pytest.mark.parametrize("conformalize", [False, True])
@pytest.mark.parametrize("quantile", [0.5, (0.05, 0.5, 0.95)])
def test_copies_predict_the_same(conformalize, quantile):
    X, y = make_data()
    model = MLPQuantileRegressor(quantile=quantile, conformalize=conformalize, **SMALL)
    model.fit(X, y)
    again = clone(model).fit(X, y)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), again):
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
        if quantile != 0.5:
            found = other.predict_interval(X)
            np.testing.assert_array_equal(found, model.predict_interval(X))
    assert model.n_calibration_ == (20 if conformalize else 0)
    assert not hasattr(model, "_kept_out")


def test_frames_and_a_grid():
    X, y = make_data()
    frame = pd.DataFrame(X, columns=list("abc"))
    model = MLPQuantileRegressor(**SMALL, conformalize=True)
    grid = {"quantile": [(0.1, 0.9), (0.05, 0.5, 0.95)], "optimizer__b1": [0.8, 0.9]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise")
    best = search.fit(frame, pd.Series(y)).best_estimator_
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    plain = clone(best).fit(X, y)
    np.testing.assert_array_equal(best.predict(frame), plain.predict(X))
    assert best.feature_names_in_.tolist() == ["a", "b", "c"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert best.predict_interval(frame, coverage=0.8).shape == (80, 2)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("params", "failures"),
    [
        ({}, {"check_regressors_train": "predicts a column per level"}),
        (
            {"quantile": 0.5, "conformalize": True},
            {
                "check_sample_weight_equivalence_on_dense_data": "a random part of the "
                "rows is kept out, and rows that are repeated are other rows"
            },
        ),
    ],
)
def test_scikit_learn_checks_with_what_cannot_hold(params, failures):
    state = np.random.get_state()  # noqa: NPY002 - some checks draw from it
    try:
        check_estimator(
            MLPQuantileRegressor(**params),
            expected_failed_checks=failures,
            on_skip=None,
        )
    finally:
        np.random.set_state(state)  # noqa: NPY002


# --------------------------------------------------------------- conformal intervals


def interval_by_hand(model, kept, X_new, coverage):
    """Return the paper's interval from a model and the rows kept out of its fit."""
    ends = 0.5 - coverage / 2, 0.5 + coverage / 2
    X, y = kept
    low, high = model.predict(X, quantile=ends).T
    scores = np.sort(np.maximum(low - y, y - high))
    rank = int(np.ceil(round((len(y) + 1) * coverage, 9)))
    low, high = model.predict(X_new, quantile=ends).T
    return np.column_stack([low - scores[rank - 1], high + scores[rank - 1]])


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"early_stopping": True, "validation_fraction": 0.3},
        {"early_stopping": True, "refit": "best_epoch"},
    ],
)
def test_a_quarter_is_kept_out_of_every_fit(params, monkeypatch):
    X, y = make_data()
    seen = []
    step = MLPQuantileRegressor._make_frame

    def noted(self, rows, loss):
        seen.append(rows)
        return step(self, rows, loss)

    monkeypatch.setattr(MLPQuantileRegressor, "_make_frame", noted)
    model = MLPQuantileRegressor(**SMALL, conformalize=True, **params).fit(X, y)
    kept = np.isin(y, model._calibration.y)
    assert kept.sum() == model.n_calibration_ == 20
    for rows in seen:
        assert not np.isin(rows.y, y[kept]).any()
    if "refit" in params:
        assert sorted(seen[-1].y) == sorted(y[~kept])
    for coverage in (0.5, 0.9):
        expected = interval_by_hand(model, (X[kept], y[kept]), X, coverage)
        found = model.predict_interval(X, coverage=coverage)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_other_seeds_keep_other_rows_and_the_plain_fit_is_that_of_the_rest():
    X, y = make_data()
    model = MLPQuantileRegressor(**SMALL, conformalize=True).fit(X, y)
    kept = np.isin(y, model._calibration.y)
    plain = MLPQuantileRegressor(**SMALL).fit(X[~kept], y[~kept])
    np.testing.assert_array_equal(plain.predict(X), model.predict(X))
    other = clone(model).set_params(random_state=1).fit(X, y)
    assert set(other._calibration.y) != set(model._calibration.y)


def test_too_few_rows_of_calibration():
    X, y = make_data(40)
    model = MLPQuantileRegressor(
        quantile=(0.025, 0.975), **SMALL, conformalize=True, calibration_fraction=0.4
    ).fit(X, y)
    assert model.n_calibration_ == 16
    assert np.isfinite(model.predict_interval(X, coverage=0.9)).all()
    message = "coverage=0.95.*at least 19 rows for calibration. There were 16"
    with pytest.raises(ValueError, match=message):
        model.predict_interval(X, coverage=0.95)
    with pytest.raises(ParameterError, match=r"no rows to fit of n_samples=2\."):
        model.set_params(calibration_fraction=0.9).fit(X[:2], y[:2])


def test_an_interval_that_shrinks_to_nothing_is_its_middle():
    X, y = make_data()
    model = MLPQuantileRegressor(**SMALL, conformalize=True).fit(X, y)
    low, high = model._calibration.predicted[:, [0, -1]].T
    model._calibration.y[:] = 0.5 * (low + high)  # far inside
    found = model.predict_interval(X)
    assert (found[:, 0] <= found[:, 1]).all()
    plain = model.predict(X)[:, [0, -1]]
    assert (found[:, 0] >= plain[:, 0]).all()
    assert (found[:, 1] <= plain[:, 1]).all()


def test_what_a_later_fit_does():
    X, y = make_data()
    model = MLPQuantileRegressor(**SMALL, conformalize=True, warm_start=True).fit(X, y)
    first = model._calibration.y.copy()
    assert model.fit(X, y)._calibration.y.tolist() == first.tolist()
    with pytest.raises(ValueError, match="'conformalize' parameter belongs to"):
        model.set_params(conformalize=False).fit(X, y)
    model.set_params(warm_start=False).fit(X, y)
    expected = model.predict(X, quantile=(0.05, 0.95))
    np.testing.assert_array_equal(model.predict_interval(X), expected)


def test_partial_fit_is_there_without_calibration():
    X, y = make_data()
    assert not hasattr(MLPQuantileRegressor(conformalize=True), "partial_fit")
    model = MLPQuantileRegressor(**SMALL).partial_fit(X, y).partial_fit(X, y)
    assert model.n_iter_ == 2
    assert model.predict_interval(X).shape == (80, 2)


def mean_coverage(n_splits, coverage, **params):
    """Return mean coverage of new rows, its expectation and its standard error.

    Rows of a real data set are split at random, so that those kept out and the new ones
    are exchangeable, whatever the model and the data are: given both, the number of new
    rows inside is beta-binomial, and splits are independent.
    """
    X, y = load_diabetes(return_X_y=True)
    # No two rows have the same score: targets are whole numbers, predictions are not.
    rng = np.random.default_rng(0)
    shares, n_new = [], 142
    for seed in range(n_splits):
        order = rng.permutation(len(y))
        new, rest = order[:n_new], order[n_new:]
        model = MLPQuantileRegressor(
            conformalize=True, calibration_fraction=1 / 3, random_state=seed, **params
        ).fit(X[rest], y[rest])
        low, high = model.predict_interval(X[new], coverage=coverage).T
        shares.append(((low <= y[new]) & (y[new] <= high)).mean())
    n = model.n_calibration_
    assert n == 100
    rank = int(np.ceil(round((n + 1) * coverage, 9)))
    law = betabinom(n_new, rank, n + 1 - rank)
    return np.mean(shares), rank / (n + 1), law.std() / n_new / np.sqrt(n_splits)


@pytest.mark.parametrize("coverage", [0.8])
def test_conformal_intervals_cover_as_they_say(coverage):
    params = {"hidden_layer_sizes": (4,), "tol": None, "max_iter": 3}
    found, expected, error = mean_coverage(50, coverage, **params)
    assert coverage <= expected <= coverage + 1 / 101
    assert abs(found - expected) < 4 * error


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
def test_conformal_intervals_of_a_network_that_overfits_cover(coverage):
    params = {"max_iter": 200, "learning_rate": 0.01}
    found, expected, error = mean_coverage(100, coverage, **params)
    assert coverage <= expected <= coverage + 1 / 101
    assert abs(found - expected) < 4 * error
    print(f"{coverage}: {found:.4f}, expected {expected:.4f} ± {error:.4f}")  # noqa: T201


@pytest.mark.long
def test_a_grid_over_levels_compiles_once(monkeypatch):
    monkeypatch.setattr("skgrad.executor.work.WORTH_COMPILING", 0.0)
    X, y = make_data()
    counts = []
    for quantile in [(0.1, 0.9), (0.25, 0.75), (0.3, 0.31)]:
        model = MLPQuantileRegressor(quantile=quantile, **SMALL).fit(X, y)
        assert model.fit_report_["executor"] == "cpu"
        counts.append(cache.n_compiled() + cache.n_loaded())
    assert len(set(counts)) == 1
