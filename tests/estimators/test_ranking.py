"""Rankers: queries behind fit and predict."""

import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from estimators.models import Residual, WithDropout
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_expit, log_softmax, softmax
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import make_scorer, ndcg_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import _num_samples

import skgrad
from skgrad import (
    GradientLinearRanker,
    GradientLinearRegressor,
    MLPRanker,
    MLPRegressor,
    ModuleRanker,
    losses,
)
from skgrad.callbacks import Callback, Checkpoint
from skgrad.estimators.ranking_metrics import mean_average_precision, mean_ndcg

FAST = {"tol": None, "max_iter": 5, "random_state": 0, "batch_size": 4}
RANKERS = {
    "linear": GradientLinearRanker(alpha=0.01),
    "linear-adam": GradientLinearRanker(optimizer="adam", **FAST),
    "linear-lambda": GradientLinearRanker(loss="lambdarank", **FAST),
    "mlp": MLPRanker(hidden_layer_sizes=(8,), **FAST),
    "mlp-lbfgs": MLPRanker(hidden_layer_sizes=(8,), optimizer="lbfgs", **FAST),
    "module-dropout": ModuleRanker(module=WithDropout, **FAST),
}
EACH = pytest.mark.parametrize("model", RANKERS.values(), ids=RANKERS)
STOCHASTIC = ["linear-adam", "mlp", "module-dropout"]
EACH_STOCHASTIC = pytest.mark.parametrize("name", STOCHASTIC)
DIAMONDS = Path(__file__).parents[2] / "examples" / "data" / "diamonds.csv"


def make(n_queries=20, p=3, seed=0, most=12):
    """Return rows of all queries in a random order, grades 0 to 3, and queries."""
    rng = np.random.default_rng(seed)
    qid = np.repeat(np.arange(n_queries), rng.integers(2, most, n_queries))
    qid = 7 * rng.permutation(qid) + 3
    X = rng.normal(size=(len(qid), p)) * [1.0, 10.0, 0.1][:p] + 5.0
    merit = (X - 5) @ [1.0, -0.1, 5.0][:p] + rng.normal(size=n_queries)[qid // 7]
    y = np.digitize(merit + 0.5 * rng.normal(size=len(qid)), [-1.0, 0.0, 1.0])
    return X, y, qid


def theta(model):
    return np.concatenate([p.numpy().ravel() for p in model.module_.parameters()])


def queries_of(qid):
    return [np.flatnonzero(qid == query) for query in np.unique(qid)]


def pairs_of(X, y, qid, w=None):
    """Return differences of the pairs of each query and their weights, by loops."""
    differences, weights = [], []
    w = np.ones(len(y)) if w is None else w
    total = sum(w[rows[0]] for rows in queries_of(qid))
    for rows in queries_of(qid):
        own = [X[i] - X[j] for i in rows for j in rows if y[i] > y[j]]
        differences += own
        weights += len(own) * [w[rows[0]] / total / max(1, len(own))]
    return np.array(differences), np.array(weights)


# ------------------------------------------------------------------ the minimum


@pytest.mark.parametrize("weighted", [False, True])
def test_pairwise_logistic_is_logistic_regression_of_the_pairs(rng, weighted):
    X, y, qid = make()
    w = rng.uniform(0.5, 2, 20)[qid // 7] if weighted else None
    model = GradientLinearRanker(alpha=0.01, standardize=False, tol=1e-10)
    model.fit(X, y, qid=qid, sample_weight=w)
    D, weights = pairs_of(X, y, qid, w)
    peer = LogisticRegression(C=100.0, fit_intercept=False, tol=1e-12, max_iter=10_000)
    both = np.vstack([D, -D]), np.repeat([1, 0], len(D)), np.tile(weights / 2, 2)
    coef = peer.fit(*both).coef_[0]
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-5)
    assert model.fit_report_["optimizer"] == "LBFGS"
    assert model.fit_report_["converged"]


def test_the_minimum_over_all_directions_is_reached():
    X, y, qid = make(n_queries=15, p=2)
    model = GradientLinearRanker(tol=1e-10).fit(X, y, qid=qid)
    D, weights = pairs_of(X, y, qid)
    scale = X.std(axis=0)

    def loss(coef):
        return -weights @ log_expit(D @ coef)

    def best_length(direction):
        return minimize_scalar(lambda r: loss(np.exp(r) * direction), (-3, 3))

    angles = np.linspace(0, 2 * np.pi, 1440, endpoint=False)
    directions = np.column_stack([np.cos(angles), np.sin(angles)]) / scale
    coarse = [min(loss(r * d) for r in (0.5, 1.0, 2.0, 4.0)) for d in directions]
    near = directions[np.argsort(coarse)[:20]]
    best = min(best_length(d).fun for d in near)
    # A grid of angles is within its step of the best one, the minimum flat there.
    assert loss(model.coef_) == pytest.approx(model.loss_, rel=1e-12)
    assert model.loss_ <= best + 1e-12
    assert model.loss_ == pytest.approx(best, rel=1e-5)
    # The order is that of the best angle, and its NDCG about the best of any angle.
    scores = [mean_ndcg(y, X @ d, qid, k=10) for d in directions]
    assert model.score(X, y, qid=qid) >= max(scores) - 0.01


def test_listnet_is_the_minimum_of_scipy():
    X, y, qid = make()
    Z = X - X.mean(axis=0)
    rows = queries_of(qid)

    def loss(coef):
        each = [-softmax(y[r]) @ log_softmax(Z[r] @ coef) for r in rows]
        return np.mean(each) + 0.005 * coef @ coef

    model = GradientLinearRanker(
        loss="listnet", alpha=0.01, standardize=False, tol=1e-9
    ).fit(X, y, qid=qid)
    assert model.loss_ == pytest.approx(minimize(loss, np.zeros(3)).fun, rel=1e-9)


def test_l1_and_bounds(rng):
    X, y, qid = make()
    D, weights = pairs_of(X / X.std(axis=0), y, qid)

    def loss(c):
        return -weights @ log_expit(D @ c)

    sparse = GradientLinearRanker(alpha=0.1, l1_ratio=1.0).fit(X, y, qid=qid)
    coef = sparse.coef_ * X.std(axis=0)
    split = minimize(
        lambda c: loss(c[:3] - c[3:]) + 0.1 * c.sum(), np.ones(6), bounds=6 * [(0, 9)]
    )
    assert loss(coef) + 0.1 * abs(coef).sum() == pytest.approx(split.fun, rel=1e-6)
    assert (GradientLinearRanker(positive=True).fit(X, y, qid=qid).coef_ >= 0).all()


def test_coefficients_have_no_intercept_and_are_on_the_original_scale():
    X, y, qid = make()
    model = GradientLinearRanker(alpha=0.01).fit(X, y, qid=qid)
    assert model.intercept_ == 0
    assert model.coef_.shape == (3,)
    np.testing.assert_allclose(model.predict(X), X @ model.coef_, rtol=1e-12)
    scaled = clone(model).fit(1000 * X + 1e6, y, qid=qid)
    np.testing.assert_allclose(1000 * scaled.coef_, model.coef_, rtol=1e-6)


def test_a_constant_within_queries_has_no_coefficient(rng):
    X, y, qid = make()
    own = np.column_stack([X, rng.normal(size=200)[qid]])
    model = GradientLinearRanker(alpha=0.01, tol=1e-9).fit(own, y, qid=qid)
    assert abs(model.coef_[3]) < 1e-12
    without = clone(model).fit(X, y, qid=qid)
    np.testing.assert_allclose(model.coef_[:3], without.coef_, rtol=1e-6)


# ----------------------------------------------------------------------- queries


@EACH
def test_labels_of_any_kind_in_any_order(model):
    X, y, qid = make()
    order = np.argsort(qid, kind="stable")
    names = np.array([f"query {q:03}" for q in qid])
    expected = clone(model).fit(X[order], y[order], qid=qid[order])
    for labels in (qid, names.tolist(), pd.Series(names), pd.Categorical(names)):
        found = clone(model).fit(X, y, qid=labels)
        # Sums over the rows in another order round otherwise.
        np.testing.assert_allclose(theta(found), theta(expected), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["linear", "mlp-lbfgs"])
def test_weights_equal_repeated_queries(rng, name):
    X, y, qid = make(n_queries=10)
    w = rng.integers(0, 3, 100)[qid]
    repeated = [np.repeat(a, w, axis=0) for a in (X, y, 1000 * qid)]
    repeated[2] += np.concatenate([np.arange(n) for n in w])
    weighted = clone(RANKERS[name]).fit(X, y, qid=qid, sample_weight=w)
    expected = clone(RANKERS[name]).fit(*repeated[:2], qid=repeated[2])
    np.testing.assert_allclose(theta(weighted), theta(expected), rtol=1e-5)
    present = w > 0
    absent = clone(RANKERS[name]).fit(
        X[present], y[present], qid=qid[present], sample_weight=w[present]
    )
    np.testing.assert_array_equal(theta(weighted), theta(absent))
    scored = weighted.score(X, y, qid=qid, sample_weight=w)
    assert scored == pytest.approx(weighted.score(*repeated[:2], qid=repeated[2]))


@EACH
def test_one_seed_gives_equal_bits(model):
    X, y, qid = make()
    fits = [theta(clone(model).fit(X, y, qid=qid)) for _ in range(2)]
    np.testing.assert_array_equal(*fits)


def test_batches_hold_whole_queries():
    X, y, qid = make()
    seen = []

    def noting(y_true, raw_prediction):
        seen.append(tuple(y_true.shape))
        found = skgrad.logical_not(skgrad.isnan(y_true))
        errors = skgrad.where(found, raw_prediction - y_true, 0.0)
        return skgrad.sum(errors**2, axis=1)

    model = MLPRanker(loss=noting, hidden_layer_sizes=(4,), **FAST).fit(X, y, qid=qid)
    lengths = np.unique(qid, return_counts=True)[1]
    assert {n for n, _ in seen} == {4}
    assert {width for _, width in seen} <= set(lengths)
    assert model.fit_report_["n_traces"] <= 7


def test_a_loss_of_ones_own_is_that_of_a_name():
    X, y, qid = make()

    def pairwise(y_true, raw_prediction):
        ordered = skgrad.greater(
            skgrad.expand_dims(y_true, -1), skgrad.expand_dims(y_true, -2)
        )
        margin = skgrad.expand_dims(raw_prediction, -1) - skgrad.expand_dims(
            raw_prediction, -2
        )
        each = skgrad.where(ordered, skgrad.softplus(-margin), 0.0)
        count = skgrad.sum(skgrad.where(ordered, 1.0, 0.0), axis=(1, 2))
        return skgrad.sum(each, axis=(1, 2)) / skgrad.maximum(count, 1.0)

    own = GradientLinearRanker(loss=pairwise, alpha=0.01, tol=1e-8).fit(X, y, qid=qid)
    named = GradientLinearRanker(alpha=0.01, tol=1e-8).fit(X, y, qid=qid)
    np.testing.assert_allclose(own.coef_, named.coef_, rtol=1e-6)


# ---------------------------------------------------------------- score and stopping


def test_score_is_the_mean_ndcg_of_scikit_learn():
    X, y, qid = make()
    model = GradientLinearRanker(alpha=0.01, ndcg_at=3).fit(X, y, qid=qid)
    scores = model.predict(X)
    expected = [
        ndcg_score([2.0 ** y[r] - 1], [scores[r]], k=3) if y[r].max() > 0 else 1.0
        for r in queries_of(qid)
    ]
    assert model.score(X, y, qid=qid) == pytest.approx(np.mean(expected))
    assert model.set_params(ndcg_at=None).score(X, y, qid=qid) == pytest.approx(
        mean_ndcg(y, scores, qid)
    )


@pytest.mark.parametrize("scoring", ["loss", "ndcg", "map"])
def test_early_stopping_scores_given_queries(scoring):
    X, y, qid = make()
    X_val, y_val, qid_val = make(seed=1)
    model = MLPRanker(
        hidden_layer_sizes=(8,), early_stopping=True, scoring=scoring, **FAST
    ).fit(X, y, qid=qid, X_val=X_val, y_val=y_val, qid_val=qid_val)
    best = max(model.validation_scores_)
    scores = model.predict(X_val)
    D, weights = pairs_of(scores[:, None], y_val, qid_val)
    expected = {
        "loss": weights @ log_expit(D[:, 0]),
        "ndcg": mean_ndcg(y_val, scores, qid_val, k=10),
        "map": mean_average_precision(y_val, scores, qid_val),
    }
    assert len(model.validation_scores_) == 5
    assert best == pytest.approx(expected[scoring], rel=1e-6)


@pytest.mark.parametrize(
    "splitter", [None, 5, KFold(4), GroupShuffleSplit(n_splits=1, random_state=0)]
)
def test_queries_are_never_split(splitter):
    X, y, qid = make()
    numbers = np.arange(len(X))
    seen = []

    def scoring(estimator, X, y, qid):
        seen.append((X[:, 3], qid))
        return mean_ndcg(y, estimator.predict(X), qid)

    model = MLPRanker(
        hidden_layer_sizes=(4,),
        early_stopping=True,
        validation_fraction=0.3,
        validation_splitter=splitter,
        scoring=scoring,
        **FAST,
    ).fit(np.column_stack([X, numbers]), y, qid=qid)
    held_out = seen[0][0].astype(int)
    assert 0 < len(held_out) < len(X)
    assert not set(qid[held_out]) & set(np.delete(qid, held_out))
    codes = np.unique(qid, return_inverse=True)[1]
    np.testing.assert_array_equal(seen[0][1], codes[held_out])
    assert len(model.validation_scores_) == 5


def test_the_best_epoch_is_refitted_on_all_queries():
    X, y, qid = make()
    X_val, y_val, _ = make(seed=1)
    qid_val = make(seed=1)[2]  # the same labels, of other queries
    model = MLPRanker(
        hidden_layer_sizes=(8,), early_stopping=True, refit="best_epoch", **FAST
    ).fit(X, y, qid=qid, X_val=X_val, y_val=y_val, qid_val=qid_val)
    epochs = model.fit_report_["refit"]["epochs"]
    both = np.append(qid, qid_val + 1000)
    params = {**FAST, "max_iter": epochs}
    expected = MLPRanker(hidden_layer_sizes=(8,), **params).fit(
        np.vstack([X, X_val]), np.append(y, y_val), qid=both
    )
    np.testing.assert_allclose(theta(model), theta(expected), rtol=1e-6)


@EACH_STOCHASTIC
def test_partial_fit_and_warm_start_go_on(name):
    X, y, qid = make()
    model = clone(RANKERS[name]).set_params(shuffle=False)
    whole = clone(model).set_params(max_iter=2).fit(X, y, qid=qid)
    parts = clone(model).partial_fit(X, y, qid=qid).partial_fit(X, y, qid=qid)
    np.testing.assert_array_equal(theta(parts), theta(whole))
    warm = clone(model).set_params(max_iter=1, warm_start=True)
    warm.fit(X, y, qid=qid).fit(X, y, qid=qid)
    np.testing.assert_array_equal(theta(warm), theta(whole))


class Killer(Callback):
    """Cuts a fit off."""

    def on_epoch(self, estimator, progress):
        if len(progress.epochs) == 3:
            raise RuntimeError


@EACH_STOCHASTIC
def test_a_fit_that_was_cut_off_goes_on_to_the_same_bits(name, tmp_path):
    X, y, qid = make()
    whole = clone(RANKERS[name]).fit(X, y, qid=qid)
    cut = clone(RANKERS[name]).set_callbacks(Checkpoint(tmp_path), Killer())
    with pytest.raises(RuntimeError):
        cut.fit(X, y, qid=qid)
    again = clone(RANKERS[name]).set_callbacks(Checkpoint(tmp_path))
    np.testing.assert_array_equal(theta(again.fit(X, y, qid=qid)), theta(whole))
    assert again.loss_curve_ == whole.loss_curve_
    other = clone(RANKERS[name]).set_callbacks(Checkpoint(tmp_path))
    assert other.fit(X, y, qid=qid // 14).loss_curve_ != whole.loss_curve_


def test_a_rate_that_is_found():
    X, y, qid = make()
    model = clone(RANKERS["mlp"]).set_params(learning_rate="auto").fit(X, y, qid=qid)
    assert 1e-5 < model.fit_report_["learning_rate"] < 10


# ------------------------------------------------------------- inside scikit-learn


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_cross_validation_routes_queries():
    X, y, qid = make()
    model = GradientLinearRanker(alpha=0.01)
    params = {"qid": qid, "groups": qid}
    found = cross_validate(model, X, y, cv=GroupKFold(4), params=params)["test_score"]
    for score, (train, test) in zip(found, GroupKFold(4).split(X, y, qid), strict=True):
        fitted = clone(model).fit(X[train], y[train], qid=qid[train])
        assert score == fitted.score(X[test], y[test], qid=qid[test])


@pytest.mark.usefixtures("routing")
def test_requests_can_be_made_and_other_metrics_scored():
    X, y, qid = make()
    model = GradientLinearRanker(alpha=0.01).set_fit_request(
        qid=True, sample_weight=True
    )
    model.set_score_request(qid=True, sample_weight=True)
    scorer = make_scorer(mean_average_precision).set_score_request(qid=True)
    params = {"qid": qid, "groups": qid, "sample_weight": np.ones(len(y))}
    found = cross_validate(
        model,
        X,
        y,
        cv=GroupKFold(3),
        params=params,
        scoring={"map": scorer},
        error_score="raise",
    )
    assert (found["test_map"] > 0.5).all()


@pytest.mark.usefixtures("routing")
def test_a_search_through_a_pipeline():
    X, y, qid = make()
    pipeline = make_pipeline(
        StandardScaler(), GradientLinearRanker(standardize=False, alpha=0.01)
    )
    search = GridSearchCV(
        pipeline,
        {"gradientlinearranker__loss": ["listnet", "pairwise_logistic"]},
        cv=GroupKFold(3),
        error_score="raise",
    ).fit(X, y, qid=qid, groups=qid)
    assert 0.5 < search.best_score_ <= 1
    assert search.score(X, y, qid=qid) == search.best_estimator_.score(X, y, qid=qid)


@EACH
def test_pickles_and_clones_predict_the_same(model):
    X, y, qid = make()
    fitted = clone(model).fit(X, y, qid=qid)
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.predict(X), fitted.predict(X))
    assert copy.score(X, y, qid=qid) == fitted.score(X, y, qid=qid)


@EACH
def test_frames_and_float32(model):
    X, y, qid = make()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    frame.index = frame.index[::-1]
    fitted = clone(model).fit(frame, pd.Series(y), qid=pd.Series(qid))
    assert fitted.feature_names_in_.tolist() == ["a", "b", "c"]
    expected = clone(model).fit(X, y, qid=qid)
    np.testing.assert_allclose(fitted.predict(frame), expected.predict(X), rtol=1e-6)
    single = (
        clone(model).fit(X.astype("float32"), y, qid=qid).predict(X.astype("float32"))
    )
    linear = isinstance(model, GradientLinearRanker)
    assert single.dtype == (np.float64 if linear else np.float32)
    assert single.shape == y.shape


class OfOneQuery(GradientLinearRanker):
    """A ranker for scikit-learn's checks, which know no queries."""

    def fit(self, X, y, qid=None, sample_weight=None):
        qid = np.zeros(_num_samples(X)) if qid is None else qid
        return super().fit(X, y, qid=qid, sample_weight=sample_weight)

    def score(self, X, y, qid=None, sample_weight=None):
        qid = np.zeros(_num_samples(X)) if qid is None else qid
        return super().score(X, y, qid=qid, sample_weight=sample_weight)


ROW_WEIGHTS = "rows of a query have one weight: those of the check differ"
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": ROW_WEIGHTS,
    "check_sample_weight_equivalence_on_sparse_data": ROW_WEIGHTS,
    "check_sample_weights_not_overwritten": ROW_WEIGHTS,
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [OfOneQuery(alpha=0.01)], expected_failed_checks=lambda _: EXPECTED_FAILURES
)
def test_scikit_learn_checks(estimator, check):
    state = np.random.get_state()  # noqa: NPY002 - some checks draw from it
    try:
        check(estimator)
    finally:
        np.random.set_state(state)  # noqa: NPY002


# ------------------------------------------------------------------------- errors


@EACH
def test_queries_are_needed(model):
    X, y, qid = make()
    with pytest.raises(ValueError, match=r"needs the query.*qid.*enable_metadata"):
        clone(model).fit(X, y)
    fitted = clone(model).fit(X, y, qid=qid)
    with pytest.raises(ValueError, match="needs the query of each row"):
        fitted.score(X, y)


@pytest.mark.parametrize(
    ("qid", "message"),
    [
        ([3, 2], r"Got 2 labels for 5 rows.*numpy.repeat\(numpy.arange\(len\(sizes"),
        ([1, 1, 1, 2, np.nan], "qid has no label at row 4: got nan"),
        (["a", None, "a", "b", "b"], "qid has no label at row 1: got None"),
        (
            [1, 2, 3, 4, 5],
            "No query has two documents.*5 different labels .n_samples=5",
        ),
        (np.ones((5, 2)), "1d array"),
    ],
)
def test_wrong_queries_are_refused_with_the_remedy(qid, message):
    X, y = np.arange(10.0).reshape(5, 2), [0, 1, 2, 1, 0]
    with pytest.raises(ValueError, match=message):
        GradientLinearRanker().fit(X, y, qid=qid)


def test_labels_that_cannot_be_sorted_are_refused():
    X, y = np.arange(10.0).reshape(5, 2), [0, 1, 2, 1, 0]
    with pytest.raises(TypeError, match="labels of qid cannot be sorted"):
        GradientLinearRanker().fit(
            X, y, qid=np.array([1, "a", 1, "a", 2], dtype=object)
        )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 1, 2, 2, 3], "Rows 2 and 4 of one have the weights 2 and 3"),
        ([1, 2], r"a weight for each of 2 queries, but must have shape \(5,\): repeat"),
        ([1, 1, 1, 1], r"sample_weight.shape"),
        ([-1, -1, 1, 1, 1], "Negative values"),
        ([1, 1, 2, 2, np.nan], "contains NaN"),
        ([0, 0, 0, 0, 0], "must be positive and finite|zero"),
    ],
)
def test_wrong_weights_are_refused(weights, message):
    X, y, qid = np.arange(10.0).reshape(5, 2), [0, 1, 2, 1, 0], [1, 1, 2, 2, 2]
    with pytest.raises(ValueError, match=message):
        GradientLinearRanker().fit(X, y, qid=qid, sample_weight=weights)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss": "squared_error"}, "must be a ranking loss. Got 'squared_error'"),
        ({"loss": "lambdarank", "optimizer": "lbfgs"}, "LambdaRank is not.*'adam'"),
        ({"optimizer": "newton"}, "Newton needs the second derivatives.*'lbfgs'"),
        ({"early_stopping": True}, "early_stopping needs a stochastic optimizer"),
        (
            {"early_stopping": True, "optimizer": "adam", "scoring": "r2"},
            "must be 'loss', 'ndcg', 'map' or a callable",
        ),
    ],
)
def test_wrong_parameters_are_refused(params, message):
    X, y, qid = make()
    with pytest.raises(ValueError, match=message):
        GradientLinearRanker(**params).fit(X, y, qid=qid)


def test_wrong_targets_and_validation_are_refused():
    X, y, qid = make()
    with pytest.raises(ValueError, match=r"LambdaRank must lie in \[0, 31\]. Got -1"):
        MLPRanker(loss="lambdarank").fit(X, y - 1.0, qid=qid)
    with pytest.raises(ValueError, match="y contains NaN"):
        MLPRanker().fit(X, np.where(y > 2, np.nan, y), qid=qid)
    with pytest.raises(ValueError, match=r"all of X_val, y_val and qid_val"):
        MLPRanker().fit(X, y, qid=qid, X_val=X, y_val=y)
    with pytest.raises(ValueError, match=r"all of X_val, y_val and qid_val"):
        MLPRanker().fit(X, y, qid=qid, qid_val=qid)
    with pytest.raises(ValueError, match="qid_val must hold the query of each row"):
        MLPRanker().fit(X, y, qid=qid, X_val=X, y_val=y, qid_val=qid[1:])
    with pytest.raises(ValueError, match="whole queries back, and there is only 1"):
        MLPRanker(early_stopping=True).fit(X, y, qid=np.zeros(len(y)))
    fitted = GradientLinearRanker(alpha=0.01).fit(X, y - 1.0, qid=qid)
    with pytest.raises(ValueError, match="NDCG needs relevances in"):
        fitted.score(X, y - 1.0, qid=qid)


# -------------------------------------------------------------- beside regressions


def split(X, y, qid, seed=0):
    splitter = GroupShuffleSplit(n_splits=1, test_size=0.3, random_state=seed)
    train, test = next(splitter.split(X, y, qid))
    return (X[train], y[train], qid[train]), (X[test], y[test], qid[test])


def diamonds():
    """Return quality and price class of diamonds, those of one weight a query."""
    data = pd.read_csv(DIAMONDS)[::3]
    grades = {
        "cut": ["Fair", "Good", "Very Good", "Premium", "Ideal"],
        "color": list("JIHGFED"),
        "clarity": ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"],
    }
    columns = [data[name].map(order.index) for name, order in grades.items()]
    X = np.column_stack([*columns, data["depth"], data["table"]]).astype(float)
    y = np.digitize(data["price"], [500, 1000, 2000, 3500, 6000, 10_000])
    qid = (100 * data["carat"]).round().astype(int).to_numpy()
    many = np.bincount(qid)[qid] >= 5
    return X[many], y[many], qid[many]


def test_diamonds_of_one_weight_are_ordered_better_than_by_regressions():
    # Large diamonds have lower grades of quality and cost more: a regression of the
    # price classes on the quality alone learns the opposite of what it is worth.
    train, test = split(*diamonds())
    ranker = GradientLinearRanker(alpha=1e-4).fit(*train[:2], qid=train[2])
    pointwise = (LinearRegression(), HistGradientBoostingRegressor(random_state=0))
    grades = [
        mean_ndcg(test[1], model.fit(*train[:2]).predict(test[0]), test[2], k=10)
        for model in pointwise
    ]
    assert ranker.score(*test[:2], qid=test[2]) > 0.9 > max(grades) + 0.15
    assert (ranker.coef_[:3] > 0).all()
    assert pointwise[0].coef_[2] < 0


@pytest.mark.long
def test_networks_order_simulated_queries_better_than_regressions(rng):
    n = rng.integers(5, 26, 300)
    qid = np.repeat(np.arange(300), n)
    X = rng.normal(size=(len(qid), 5))
    merit = X[:, 0] + np.tanh(2 * X[:, 1] * X[:, 2]) + 0.5 * np.abs(X[:, 3])
    level = merit + 3 * rng.normal(size=300)[qid] + 0.5 * rng.normal(size=len(qid))
    y = np.digitize(level, [-3.0, -1.0, 1.0, 3.0])
    train, test = split(X, y, qid)
    params = {"hidden_layer_sizes": (32,), "learning_rate": 0.01, "max_iter": 60}
    params |= {"tol": None, "random_state": 0, "schedule": "cosine"}
    found = {
        loss: MLPRanker(loss=loss, **params)
        .fit(*train[:2], qid=train[2])
        .score(*test[:2], qid=test[2])
        for loss in ("pairwise_logistic", "listnet", "lambdarank")
    }
    pointwise = (
        MLPRegressor(**params),
        GradientLinearRegressor(),
        HistGradientBoostingRegressor(random_state=0),
    )
    grades = [
        mean_ndcg(test[1], model.fit(*train[:2]).predict(test[0]), test[2], k=10)
        for model in pointwise
    ]
    assert min(found.values()) > max(grades) + 0.01


def test_modules_of_ones_own():
    X, y, qid = make()
    model = ModuleRanker(module=Residual, module_params={"hidden": 4}, **FAST).fit(
        X, y, qid=qid
    )
    assert model.module_.network[0].weight.shape == (4, 3)
    assert re.search("Residual", repr(model.module_))
    assert model.set_params(loss=losses.LambdaRank(k=5)).fit(X, y, qid=qid).n_iter_ == 5
