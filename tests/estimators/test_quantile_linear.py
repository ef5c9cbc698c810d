"""Linear quantile regression beside linear programmes, published numbers and proofs."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.optimize import linprog
from sklearn import linear_model
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import NotFittedError
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator

import skgrad
from skgrad import QuantileRegressor
from skgrad.callbacks import Callback, Recorder
from skgrad.exceptions import FitWarning, ParameterError
from skgrad.train import StopReason

INF = np.inf
LEVELS = (0.1, 0.5, 0.9)
ENGEL = Path(__file__).parents[2] / "examples" / "data" / "engel.csv"
EACH_LEVEL = pytest.mark.parametrize("quantile", [0.05, 0.5, 0.8])
WEIGHTED = pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])


def make_data(n=120, p=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * 10.0 ** (np.arange(p) % 3) + 3.0
    # Errors spread with the first feature: quantiles are lines that do not cross.
    return X, X @ (np.arange(p) - 1.0) + (1 + X[:, 0]) * rng.standard_t(3, size=n)


def make_weights(n=120, weighted=True):
    rng = np.random.default_rng(1)
    return rng.uniform(0.2, 3.0, size=n) if weighted else np.ones(n)


@pytest.fixture(scope="module")
def engel():
    data = pd.read_csv(ENGEL)
    return data[["income"]], data["foodexp"]


def pinball(residual, quantile):
    return np.maximum(quantile * residual, (quantile - 1) * residual)


def objective(model, X, y, w, quantile, rates=0.0):
    """Return the weighted mean loss and the penalty, from the coefficients alone."""
    residual = y - X @ model.coef_ - model.intercept_
    penalty = (rates * np.abs(model.coef_)).sum()
    return w @ pinball(residual, quantile) / w.sum() + penalty


def minimum(X, y, w, quantile, rates=0.0, low=None, high=None):
    """Return the minimum by SciPy: coefficients as differences, residuals as parts."""
    n, p = X.shape
    w = w / w.sum()
    rates = np.broadcast_to(rates, p)
    cost = np.concatenate([rates, rates, [0.0], quantile * w, (1 - quantile) * w])
    eye = np.eye(n)
    A = np.hstack([X, -X, np.ones((n, 1)), eye, -eye])
    sides = [(0, None)] * (2 * p) + [(None, None)] + [(0, None)] * (2 * n)
    if low is not None:
        # Without a penalty one signed number per coefficient, within the bounds.
        A, cost = np.delete(A, range(p, 2 * p), 1), np.delete(cost, range(p, 2 * p))
        sides = [*zip(low, high, strict=True), *sides[2 * p :]]
    return linprog(cost, A_eq=A, b_eq=y, bounds=sides).fun


# --------------------------------------------------------------------- the minimum


@WEIGHTED
@EACH_LEVEL
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_the_coefficients_are_scikit_learns(quantile, alpha, weighted):
    X, y = make_data()
    w = make_weights(weighted=weighted)
    theirs = linear_model.QuantileRegressor(quantile=quantile, alpha=alpha)
    theirs.fit(X, y, w)
    params = {"quantile": quantile, "alpha": alpha}
    # Theirs divides the loss by the sum of the weights as well.
    ours = QuantileRegressor(**params, standardize=False).fit(X, y, w)
    expected = objective(theirs, X, y, w, quantile, alpha)
    assert objective(ours, X, y, w, quantile, alpha) == pytest.approx(
        expected, rel=1e-9
    )
    assert ours.loss_ == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-7, atol=1e-9)
    assert ours.intercept_ == pytest.approx(theirs.intercept_, rel=1e-7)
    assert isinstance(ours.intercept_, float)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-7)
    assert 0 <= ours.duality_gap_ < 1e-9


def test_an_intercept_may_be_left_out():
    X, y = make_data()
    theirs = linear_model.QuantileRegressor(alpha=0, fit_intercept=False).fit(X, y)
    ours = QuantileRegressor(fit_intercept=False).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-7)
    assert ours.intercept_ == 0


def test_the_medians_of_engel_are_those_published(engel):
    # R. Koenker and G. Bassett, Econometrica 50 (1982) 43-61, table 1; their R package
    # gives 81.48225 and 0.56018.
    model = QuantileRegressor().fit(*engel)
    assert round(model.intercept_, 2) == 81.48
    assert round(float(model.coef_[0]), 4) == 0.5602


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_several_levels_are_fits_of_each(alpha):
    X, y = make_data()
    w = make_weights()
    together = QuantileRegressor(quantile=LEVELS, alpha=alpha).fit(X, y, w)
    assert together.coef_.shape == (3, 4)
    assert together.intercept_.shape == together.duality_gap_.shape == (3,)
    assert together.quantiles_.tolist() == list(LEVELS)
    single = [QuantileRegressor(quantile=q, alpha=alpha).fit(X, y, w) for q in LEVELS]
    np.testing.assert_allclose(together.coef_, [m.coef_ for m in single], rtol=1e-8)
    expected = np.column_stack([m.predict(X) for m in single])
    np.testing.assert_allclose(together.predict(X), expected, rtol=1e-8)
    assert together.loss_ == pytest.approx(sum(m.loss_ for m in single), rel=1e-9)
    np.testing.assert_allclose(
        together.pinball_loss(X, y, w),
        [
            mean_pinball_loss(y, f, sample_weight=w, alpha=q)
            for q, f in zip(LEVELS, expected.T, strict=True)
        ],
        rtol=1e-8,
    )


@EACH_LEVEL
def test_the_penalty_is_on_the_standardised_scale(quantile):
    X, y = make_data()
    w = make_weights()
    mean = w @ X / w.sum()
    scale = np.sqrt(w @ (X - mean) ** 2 / w.sum())
    theirs = linear_model.QuantileRegressor(quantile=quantile, alpha=0.05)
    theirs.fit((X - mean) / scale, y, w)
    ours = QuantileRegressor(quantile=quantile, alpha=0.05).fit(X, y, w)
    np.testing.assert_allclose(ours.coef_ * scale, theirs.coef_, rtol=1e-7, atol=1e-9)


def test_zero_weights_are_absent_rows():
    X, y = make_data()
    w = np.arange(120) % 3 * 1.0
    weighted = QuantileRegressor(quantile=0.3).fit(X, y, w)
    present = w > 0
    expected = QuantileRegressor(quantile=0.3).fit(X[present], y[present], w[present])
    np.testing.assert_array_equal(weighted.coef_, expected.coef_)
    repeated = np.repeat(np.arange(120), w.astype(int))
    other = QuantileRegressor(quantile=0.3).fit(X[repeated], y[repeated])
    np.testing.assert_allclose(other.coef_, expected.coef_, rtol=1e-8)


# ------------------------------------------------------------ restricted and penalised


@WEIGHTED
@EACH_LEVEL
@pytest.mark.parametrize(
    ("params", "low", "high"),
    [
        ({"positive": True}, [0] * 4, [INF] * 4),
        ({"bounds": (-0.5, 0.5)}, [-0.5] * 4, [0.5] * 4),
        ({"bounds": {2: (1.5, 1.5)}}, [-INF] * 2 + [1.5, -INF], [INF] * 2 + [1.5, INF]),
        ({"monotonic_cst": [1, -1, -1, 0]}, [0, -INF, -INF, -INF], [INF, 0, 0, INF]),
    ],
    ids=["positive", "bounds", "fixed", "monotonic"],
)
def test_bounds_are_kept_at_the_minimum(params, low, high, quantile, weighted):
    X, y = make_data()
    w = make_weights(weighted=weighted)
    model = QuantileRegressor(quantile=quantile, **params).fit(X, y, w)
    assert (low <= model.coef_).all()
    assert (model.coef_ <= high).all()
    expected = minimum(X, y, w, quantile, low=low, high=high)
    assert objective(model, X, y, w, quantile) == pytest.approx(expected, rel=1e-9)
    assert model.duality_gap_ < 1e-9


@EACH_LEVEL
@pytest.mark.parametrize("standardize", [False, True])
def test_each_coefficient_has_a_penalty_of_its_own(quantile, standardize):
    X, y = make_data()
    w, factors = make_weights(), np.array([0.0, 1.0, 5.0, 30.0])
    model = QuantileRegressor(
        quantile=quantile,
        alpha=0.05,
        penalty_factor=factors,
        standardize=standardize,
    ).fit(X, y, w)
    scale = np.sqrt(w @ (X - w @ X / w.sum()) ** 2 / w.sum()) if standardize else 1.0
    rates = 0.05 * factors * scale
    expected = minimum(X, y, w, quantile, rates)
    found = objective(model, X, y, w, quantile, rates)
    assert found == pytest.approx(expected, rel=1e-9)
    assert model.loss_ == pytest.approx(expected, rel=1e-9)


# ------------------------------------------------------------------ the certificate


@WEIGHTED
@EACH_LEVEL
@pytest.mark.parametrize("alpha", [0.0, 0.05])
@pytest.mark.parametrize("standardize", [False, True])
def test_the_dual_variables_prove_the_minimum(quantile, alpha, weighted, standardize):
    X, y = make_data()
    w = make_weights(weighted=weighted)
    params = {"quantile": quantile, "alpha": alpha, "standardize": standardize}
    model = QuantileRegressor(**params).fit(X, y, w)
    dual = model.dual_
    assert dual.shape == y.shape
    assert (quantile - 1 <= dual).all()
    assert (dual <= quantile).all()
    scale = np.sqrt(w @ (X - w @ X / w.sum()) ** 2 / w.sum()) if standardize else 1.0
    rates = np.broadcast_to(alpha * scale, 4)
    size = w @ np.abs(X)
    assert abs(w @ dual) < 1e-10 * w.sum()
    assert (np.abs((w * dual) @ X) <= rates * w.sum() + 1e-10 * size).all()
    # Any model's objective is at least this, whatever its coefficients.
    bound = (w * dual) @ y / w.sum()
    found = objective(model, X, y, w, quantile, rates)
    assert found == pytest.approx(bound, rel=1e-9)
    residual = y - model.predict(X)
    off = np.abs(residual) > 1e-6
    slopes = np.where(residual > 0, quantile, quantile - 1)
    np.testing.assert_allclose(dual[off], slopes[off], rtol=0, atol=1e-12)
    if not alpha:
        assert np.count_nonzero(~off) == 5  # rows fitted exactly, one per coefficient


def test_several_levels_have_a_column_of_dual_variables_each():
    X, y = make_data()
    w = np.arange(120) % 3 * 1.0
    model = QuantileRegressor(quantile=LEVELS).fit(X, y, w)
    assert model.dual_.shape == (80, 3)  # rows of weight zero were not there
    ranks = model.dual_ + 1 - np.array(LEVELS)
    assert ((ranks > -1e-12) & (ranks < 1 + 1e-12)).all()
    shares = np.average(ranks, axis=0, weights=w[w > 0])
    np.testing.assert_allclose(shares, 1 - np.array(LEVELS), rtol=1e-9)


def test_who_has_no_certificate_says_so():
    X, y = make_data()
    assert not hasattr(QuantileRegressor(), "dual_")
    with pytest.raises(NotFittedError, match="not fitted yet"):
        QuantileRegressor().dual_  # noqa: B018
    model = QuantileRegressor(optimizer="smooth").fit(X, y)
    assert np.isnan(model.duality_gap_)
    with pytest.raises(AttributeError, match=r"exact fit\. Fit with optimizer='auto'"):
        model.dual_  # noqa: B018
    # A later fit takes the place of the first one's.
    model = QuantileRegressor().fit(X, y)
    assert model.dual_.shape == (120,)
    model.set_params(optimizer="smooth", quantile=LEVELS).fit(X, y)
    assert not hasattr(model, "dual_")
    assert np.isnan(model.duality_gap_).tolist() == [True] * 3


# ---------------------------------------------------------------- other optimizers


ADAM = {"learning_rate": 5.0, "schedule": "cosine", "batch_size": 40}
ADAM |= {"max_iter": 100, "tol": None, "random_state": 0}


@EACH_LEVEL
@pytest.mark.parametrize(
    ("optimizer", "above", "params"),
    [("smooth", 3e-6, {}), ("lbfgs", 1e-4, {"tol": 1e-8}), ("adam", 5e-3, ADAM)],
)
def test_other_optimizers_come_close(optimizer, above, params, quantile):
    X, y = make_data()
    w = make_weights()
    exact = QuantileRegressor(quantile=quantile, optimizer="exact").fit(X, y, w)
    model = QuantileRegressor(quantile=quantile, optimizer=optimizer, **params)
    model.fit(X, y, w)
    least = objective(exact, X, y, w, quantile)
    assert least <= objective(model, X, y, w, quantile) <= least * (1 + above)
    assert model.fit_report_["optimizer"] != "Exact"
    assert exact.fit_report_["optimizer"] == "Exact"


def test_a_quadratic_part_of_the_penalty_is_smooth():
    # Of mean(pinball) + 0.1 (|c|_1 / 2 + |c|²/ 4) on standardised inputs.
    X, y = make_data()
    model = QuantileRegressor(alpha=0.1, l1_ratio=0.5, standardize=False).fit(X, y)
    assert model.fit_report_["optimizer"] == "LBFGS"
    general = skgrad.GradientLinearRegressor(
        loss="quantile", alpha=0.1, l1_ratio=0.5, standardize=False
    ).fit(X, y)
    np.testing.assert_allclose(model.predict(X), general.predict(X), rtol=1e-6)
    message = r"optimizer='exact'.*alpha=0\.1 and l1_ratio=0\.5.*optimizer='smooth'"
    with pytest.raises(ParameterError, match=message):
        model.set_params(optimizer="exact").fit(X, y)
    model.set_params(alpha=0.0).fit(X, y)  # no penalty has no parts
    assert model.fit_report_["optimizer"] == "Exact"


def test_early_stopping_is_for_epochs():
    X, y = make_data()
    message = "early_stopping needs a stochastic optimizer. Exact uses all rows at once"
    with pytest.raises(ParameterError, match=message):
        QuantileRegressor(early_stopping=True).fit(X, y)
    assert not hasattr(QuantileRegressor(), "partial_fit")
    params = {"optimizer": "adam", "max_iter": 3, "tol": None, "random_state": 0}
    model = QuantileRegressor(early_stopping=True, **params).fit(X, y)
    assert len(model.validation_scores_) == 3


# -------------------------------------------------------------------- predictions


def crossing():
    """Return rows on which nine fitted levels cross."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5))
    return X, rng.normal(size=40), tuple(np.arange(1, 10) / 10)


def test_rearranged_predictions_do_not_cross():
    X, y, levels = crossing()
    with pytest.warns(FitWarning, match="non_crossing='rearrange'"):
        plain = QuantileRegressor(quantile=levels).fit(X, y)
    model = QuantileRegressor(quantile=levels, non_crossing="rearrange").fit(X, y)
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    assert (np.diff(plain.predict(X)) < 0).any()
    np.testing.assert_array_equal(model.predict(X), np.sort(plain.predict(X), axis=1))
    between = model.predict(X, quantile=[0.15, 0.85])
    assert (np.diff(between) >= 0).all()
    # An interval has a lower and an upper end either way.
    far = 10 * X
    assert (np.diff(plain.predict(far)[:, [3, 5]], axis=1) < 0).any()
    for other in (plain, model):
        assert (np.diff(other.predict_interval(far, coverage=0.2)) >= 0).all()


def test_lines_that_cross_are_advised_of():
    X, y, levels = crossing()
    model = QuantileRegressor(quantile=levels)
    with pytest.warns(FitWarning, match=r"cross in \S+ % of the training rows") as said:
        model.fit(X, y)
    steps = np.diff(model.predict(X), axis=1) < -1e-6
    most = steps.sum(axis=0).argmax()
    share = f"{100 * steps.any(axis=1).mean():.2g} %"
    assert share in str(said[0].message)
    assert f"{levels[most]:g} and {levels[most + 1]:g}" in str(said[0].message)
    assert [a["kind"] for a in model.fit_report_["advice"]] == ["crossing_quantiles"]
    # Lines through the same rows meet there, and that is no crossing.
    same = QuantileRegressor(quantile=(0.49, 0.5)).fit(X[:10, :3], y[:10])
    assert same.fit_report_["advice"] == []


def test_levels_between_are_interpolated_and_those_beyond_refused():
    X, y = make_data()
    model = QuantileRegressor(quantile=LEVELS).fit(X, y)
    found = model.predict(X, quantile=0.3)
    expected = 0.5 * (model.predict(X)[:, 0] + model.predict(X)[:, 1])
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    interval = model.predict_interval(X, coverage=0.8)
    np.testing.assert_allclose(interval, model.predict(X)[:, [0, 2]], rtol=1e-12)
    with pytest.raises(
        ParameterError, match=r"quantile 0\.95.*fitted for 0\.1 to 0\.9"
    ):
        model.predict(X, quantile=0.95)
    with pytest.raises(
        ParameterError, match=r"quantile 0\.05.*was fitted for only 0\.5"
    ):
        QuantileRegressor().fit(X, y).predict_interval(X)


# ---------------------------------------------------------------- kinds of inputs


def test_float32_and_columns_in_memory_are_the_same_rows(tmp_path):
    X, y = make_data()
    X32 = X.astype(np.float32)
    expected = QuantileRegressor(quantile=0.3).fit(X32.astype(np.float64), y)
    assert expected.coef_.dtype == np.float64
    X32.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", np.float32, mode="r", shape=X.shape)
    for kind in (X32, np.asfortranarray(X32), mapped):
        model = QuantileRegressor(quantile=0.3).fit(kind, y)
        np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-10)
        assert model.predict(kind).dtype == np.float64
    for kind in (np.asfortranarray(X), X[::-1][::-1], X.tolist()):
        model = QuantileRegressor(quantile=0.3).fit(kind, y)
        reference = QuantileRegressor(quantile=0.3).fit(X, y)
        np.testing.assert_allclose(model.coef_, reference.coef_, rtol=1e-10)


def test_frames_name_the_features():
    X, y = make_data()
    frame = pd.DataFrame(X, columns=["age", "bmi", "sex", "bp"])
    model = QuantileRegressor(
        monotonic_cst={"bmi": 1},
        bounds={"bp": (0, 1)},
        alpha=0.1,
        penalty_factor={"age": 0},
    ).fit(frame, pd.Series(y))
    by_number = QuantileRegressor(
        monotonic_cst=[0, 1, 0, 0], bounds={3: (0, 1)}, alpha=0.1, penalty_factor={0: 0}
    ).fit(X, y)
    np.testing.assert_allclose(model.coef_, by_number.coef_, rtol=1e-9)
    assert model.feature_names_in_.tolist() == ["age", "bmi", "sex", "bp"]
    with pytest.raises(ValueError, match="yet now missing:\n- bp"):
        model.predict(frame[["age", "bmi", "sex"]])


def test_two_targets_are_refused():
    X, y = make_data()
    with pytest.raises(ValueError, match=r"one target\. y has shape \(120, 2\)"):
        QuantileRegressor().fit(X, np.column_stack([y, y]))


@pytest.mark.parametrize("unit", [1e-200, 1e-100, 1e100, 1e200])
def test_units_at_the_ends_of_float64(unit):
    X, y = make_data()
    expected = QuantileRegressor().fit(X, y)
    model = QuantileRegressor().fit(X * unit, y)
    assert model.duality_gap_ < 1e-9
    np.testing.assert_allclose(model.coef_ * unit, expected.coef_, rtol=1e-10)


def test_coefficients_beyond_float64_are_refused():
    X, y = make_data()
    message = r"cannot be fitted in float64: inputs are as large as \S+e-\d+ and"
    with pytest.raises(ValueError, match=message):
        QuantileRegressor().fit(X * 1e-200, y * 1e150)


@pytest.mark.parametrize(
    ("quantile", "message"),
    [
        (90, r"'quantile' parameter of QuantileRegressor.*\(0\.0, 1\.0\).*Got 90"),
        ([0.9, 0.1], r"strictly increasing\. Got \[0\.9, 0\.1\]: sort them"),
        ([0.5, 0.5], "leave out what is there twice"),
        ("median", "Got 'median'"),
        ([], "pass a sequence such as"),
    ],
)
def test_a_wrong_level_is_refused(quantile, message):
    X, y = make_data()
    with pytest.raises(ValueError, match=message):
        QuantileRegressor(quantile=quantile).fit(X, y)


# ------------------------------------------------------------ what a fit says and does


def test_an_exact_fit_is_one_step():
    X, y = make_data()
    model = QuantileRegressor(max_iter=1, tol=None, warm_start=True).fit(X, y)
    report = model.fit_report_
    assert report["optimizer"] == "Exact"
    assert report["stop_reason"] == "solved exactly"
    assert report["converged"]
    assert report["n_traces"] == 0
    assert report["exact"]["solver"] == "vertex"
    assert report["exact"]["duality_gap"] == np.max(model.duality_gap_)
    assert report["advice"] == []
    assert model.n_iter_ == 1
    assert model.loss_curve_ == [model.loss_]
    # A warm fit solves anew, from whatever came before, and counts on.
    again = copy.deepcopy(model).fit(X[:60], y[:60])
    expected = QuantileRegressor().fit(X[:60], y[:60])
    np.testing.assert_allclose(again.coef_, expected.coef_, rtol=1e-9)
    assert again.n_iter_ == 2
    assert again.loss_ == pytest.approx(expected.loss_, rel=1e-9)


def test_warm_starts_go_on_with_another_optimizer():
    X, y = make_data()
    model = QuantileRegressor(warm_start=True).fit(X, y)
    least = model.loss_
    model.set_params(optimizer="adam", learning_rate=1e-6, max_iter=2, tol=None)
    model.set_params(random_state=0).fit(X, y)
    residual = y - X @ model.coef_ - model.intercept_
    assert pinball(residual, 0.5).mean() == pytest.approx(least, rel=1e-4)


def test_callbacks_and_lines_come_once(capsys):
    X, y = make_data()
    recorder = Recorder()
    model = QuantileRegressor(verbose=1).set_callbacks(recorder)
    model.fit(X, y, X_val=X[:20], y_val=y[:20])
    assert [row["epoch"] for row in recorder.history] == [1]
    out, err = capsys.readouterr()
    first, last = out.splitlines()
    assert f"{model.loss_:.6g}"[:6] in first
    assert "solved exactly" in last
    assert err == ""
    loss = mean_pinball_loss(y[:20], model.predict(X[:20]), alpha=0.5)
    assert model.validation_scores_ == pytest.approx([-loss], rel=1e-9)


class Stop(Callback):
    reason = None

    def on_epoch(self, estimator, progress):
        return True

    def on_end(self, estimator, progress):
        self.reason = progress.reason


def test_a_callback_cannot_stop_what_is_done():
    stop = Stop()
    model = QuantileRegressor().set_callbacks(stop).fit(*make_data())
    assert stop.reason is StopReason.EXACT
    assert model.duality_gap_ < 1e-9


@pytest.mark.parametrize("quantile", [0.3, LEVELS])
def test_copies_predict_the_same(quantile):
    X, y = make_data()
    model = QuantileRegressor(quantile=quantile, alpha=0.1).fit(X, y)
    again = clone(model).fit(X, y)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), again):
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
        np.testing.assert_array_equal(other.dual_, model.dual_)
        np.testing.assert_array_equal(other.duality_gap_, model.duality_gap_)


def test_a_grid_over_levels_and_penalties():
    X, y = make_data()
    grid = {"quantile": [0.25, 0.5, LEVELS], "alpha": [0.0, 0.01, 0.1]}
    search = GridSearchCV(QuantileRegressor(), grid, cv=3, error_score="raise").fit(
        X, y
    )
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_
    assert best.score(X, y) == pytest.approx(search.score(X, y))


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_the_summary_of_engel_is_that_of_statsmodels(engel, quantile):
    X, y = engel
    theirs = sm.QuantReg(y, sm.add_constant(X)).fit(q=quantile, vcov="iid")
    model = QuantileRegressor(quantile=quantile).fit(X, y)
    # Its "robust" takes signs of residuals which at rows fitted exactly are rounding.
    ours = model.summary(X, y, method="iid")
    assert ours.names == ("intercept", "income")
    # Theirs are weighted least squares, repeated.
    np.testing.assert_allclose(ours.coef, theirs.params, rtol=1e-4)
    np.testing.assert_allclose(ours.standard_errors, theirs.bse, rtol=1e-3)
    np.testing.assert_allclose(ours.intervals, theirs.conf_int(), rtol=1e-3)
    assert "income" in str(ours)


def test_real_rows_with_ties_are_solved():
    # Whole numbers, many of them equal, of 442 patients.
    X, y = load_diabetes(return_X_y=True, scaled=False)
    levels = tuple(np.arange(1, 20) / 20)
    with pytest.warns(FitWarning, match="cross in"):
        model = QuantileRegressor(quantile=levels).fit(X, y)
    assert (model.duality_gap_ < 1e-9).all()
    shares = (y[:, None] < model.predict(X) - 1e-6).mean(axis=0)
    below = (y[:, None] < model.predict(X) + 1e-6).mean(axis=0)
    # Koenker and Bassett 1978, theorem 3.4: rows below, and those not above.
    assert (shares <= levels).all()
    assert (below >= levels).all()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("params", "failures"),
    [
        (
            {},
            {
                "check_sample_weight_equivalence_on_dense_data": "more columns than "
                "rows: many models attain the minimum, and rows in another order lead "
                "to another one"
            },
        ),
        (
            {"quantile": LEVELS, "alpha": 0.01},
            {"check_regressors_train": "predicts a column per level"},
        ),
    ],
    ids=["default", "levels"],
)
def test_scikit_learn_checks_fail_for_known_reasons(params, failures):
    state = np.random.get_state()  # noqa: NPY002 - some checks draw from it
    try:
        check_estimator(QuantileRegressor(**params), expected_failed_checks=failures)
    finally:
        np.random.set_state(state)  # noqa: NPY002
