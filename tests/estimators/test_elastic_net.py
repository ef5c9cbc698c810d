"""Paths with cross-validation against scikit-learn's, other fits and rules by hand."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import xlogy
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.linear_model import (
    ElasticNetCV,
    LassoCV,
    LogisticRegressionCV,
    QuantileRegressor,
)
from sklearn.metrics import (
    log_loss,
    mean_absolute_error,
    mean_poisson_deviance,
)
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgrad import (
    GradientElasticNetClassifierCV,
    GradientElasticNetCV,
    GradientLinearClassifier,
    GradientLinearRegressor,
    losses,
)
from skgrad.exceptions import DataWarning, DivergenceError
from skgrad.train import StopReason

TOL = {"tol": 1e-9}
FEW = {"alphas": 5, "cv": 3}


def make_data(n=90, p=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) * np.linspace(0.5, 3.0, p) + 2.0
    return X, X @ np.r_[3.0, -2.0, np.zeros(p - 3), 1.0] + rng.normal(size=n)


def make_classes(k=2, n=90):
    X, y = make_data(n)
    y = y + 4 * np.random.default_rng(1).normal(size=n)
    return X, np.array(["a", "b", "c"])[np.digitize(y, np.quantile(y, [0.4, 0.7]))] if (
        k == 3
    ) else np.where(y > np.median(y), "yes", "no")


def regression_of(loss):
    X, y = make_data()
    if loss == "poisson":
        y = np.random.default_rng(2).poisson(np.exp(0.1 * y)).astype(float)
    return X, y


def assert_same_fit(model, other, rtol=1e-12):
    for name in ("alphas_", "coef_path_", "loss_path_", "coef_", "intercept_"):
        np.testing.assert_allclose(
            getattr(model, name), getattr(other, name), rtol=rtol, atol=1e-12
        )


# ------------------------------------------------------------------- scikit-learn's


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_equals_the_elastic_net_of_scikit_learn(standardize, fit_intercept):
    X, y = load_diabetes(return_X_y=True)
    X = 10 * X + 0.2
    params = {"l1_ratio": 0.7, "fit_intercept": fit_intercept}
    model = GradientElasticNetCV(
        alphas=30, eps=1e-3, standardize=standardize, **params, **TOL
    ).fit(X, y)
    Z = X / X.std(axis=0) if standardize else X
    theirs = ElasticNetCV(
        alphas=30, eps=1e-3, tol=1e-10, max_iter=10**5, random_state=0, **params
    )
    theirs.fit(Z, y)
    np.testing.assert_allclose(model.alphas_, theirs.alphas_[: len(model.alphas_)])
    # Scales are those of all rows here, of the rows of the fold there.
    if not standardize:
        mse = theirs.mse_path_[: len(model.alphas_)]
        np.testing.assert_allclose(2 * model.loss_path_, mse, rtol=1e-6)
        assert model.alpha_ == pytest.approx(theirs.alpha_)
    theirs = ElasticNetCV(
        alphas=[model.alpha_], tol=1e-10, max_iter=10**5, random_state=0, **params
    )
    theirs.fit(Z, y)
    scale = X.std(axis=0) if standardize else 1.0
    np.testing.assert_allclose(model.coef_ * scale, theirs.coef_, rtol=1e-6, atol=1e-7)
    assert model.intercept_ == pytest.approx(theirs.intercept_, rel=1e-6)


def test_folds_are_standardised_by_their_own_rows():
    X, y = make_data()
    model = GradientElasticNetCV(l1_ratio=1.0, alphas=10, **TOL).fit(X, y)
    theirs = make_pipeline(
        StandardScaler(),
        LassoCV(alphas=model.alphas_, tol=1e-10, max_iter=10**5, random_state=0),
    )
    for fold, (train, test) in enumerate(KFold(5).split(X)):
        for at, alpha in enumerate(model.alphas_):
            one = theirs.set_params(lassocv__alphas=[alpha]).fit(X[train], y[train])
            loss = 0.5 * np.mean((y[test] - one.predict(X[test])) ** 2)
            assert model.loss_path_[at, fold] == pytest.approx(loss, rel=1e-6)


def test_several_parts_of_l1_equal_scikit_learns():
    X, y = load_diabetes(return_X_y=True)
    ratios = [0.1, 0.5, 0.9]
    alphas = np.geomspace(2.0, 1e-4, 20)
    model = GradientElasticNetCV(
        l1_ratio=ratios, alphas=alphas, standardize=False, **TOL
    ).fit(X, y)
    theirs = ElasticNetCV(
        l1_ratio=ratios, alphas=alphas, tol=1e-10, max_iter=10**5, random_state=0
    )
    theirs.fit(X, y)
    assert model.l1_ratio_ == theirs.l1_ratio_
    assert model.alpha_ == pytest.approx(theirs.alpha_)
    np.testing.assert_allclose(model.coef_, theirs.coef_, rtol=1e-5, atol=1e-5)
    chosen = ratios.index(model.l1_ratio_)
    np.testing.assert_allclose(
        2 * model.loss_path_, theirs.mse_path_[chosen], rtol=1e-6
    )


@pytest.mark.parametrize("k", [2, 3])
def test_equals_the_logistic_regression_of_scikit_learn(k):
    X, y = make_classes(k)
    Z = StandardScaler().fit_transform(X)
    folds = list(StratifiedKFold(3).split(Z, y))
    alphas = np.array([0.1, 0.03, 0.01])
    # The strengths of folds are per row: folds of one size have one C.
    n_train = len(folds[0][0])
    assert all(len(train) == n_train for train, _ in folds)
    theirs = LogisticRegressionCV(
        Cs=1 / (n_train * alphas),
        l1_ratios=(1.0,),
        solver="saga",
        scoring="neg_log_loss",
        cv=folds,
        tol=1e-9,
        max_iter=10**5,
        random_state=0,
        refit=False,
        use_legacy_attributes=False,
    ).fit(Z, y)
    ours = GradientElasticNetClassifierCV(
        l1_ratio=1.0, alphas=alphas, cv=folds, standardize=False, **TOL
    ).fit(Z, y)
    scores = np.reshape(theirs.scores_, (3, -1))
    np.testing.assert_allclose(ours.loss_path_, -scores.T, rtol=1e-5)


# --------------------------------------------------------------------- other losses


@pytest.mark.parametrize("loss", ["huber", "poisson", lambda y, f: (y - f) ** 4])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.6])
def test_each_strength_and_fold_is_a_fit_of_its_own(loss, l1_ratio):
    X, y = regression_of(loss)
    model = GradientElasticNetCV(loss=loss, l1_ratio=l1_ratio, **FEW, **TOL).fit(X, y)
    params = {"loss": loss, "l1_ratio": l1_ratio, "tol": 1e-9}
    at = len(model.alphas_) // 2
    one = GradientLinearRegressor(alpha=model.alphas_[at], **params)
    coef = one.fit(X, y).coef_
    np.testing.assert_allclose(model.coef_path_[at], coef, rtol=1e-5, atol=1e-6)
    train, test = next(KFold(3).split(X))
    one.fit(X[train], y[train])
    raw = one.predict_raw(X[test])
    if loss == "poisson":
        constant = np.mean(xlogy(y[test], y[test]) - y[test])  # left out by the loss
        expected = mean_poisson_deviance(y[test], np.exp(raw)) / 2 - constant
    elif loss == "huber":
        e = np.abs(y[test] - raw)
        delta = one._make_loss().delta
        expected = np.mean(np.where(e < delta, e**2 / 2, delta * (e - delta / 2)))
    else:
        expected = np.mean((y[test] - raw) ** 4)
    assert model.loss_path_[at, 0] == pytest.approx(expected, rel=1e-5)


def test_a_distribution_has_paths_too():
    X, y = make_data()
    model = GradientElasticNetCV(loss="gaussian_nll", **FEW, **TOL).fit(X, y)
    one = GradientLinearRegressor(
        loss="gaussian_nll", alpha=model.alpha_, l1_ratio=0.5, tol=1e-9
    ).fit(X, y)
    assert model.coef_.shape == (2, 6)
    np.testing.assert_allclose(model.coef_, one.coef_, rtol=1e-5, atol=1e-6)
    assert model.predict_distribution(X).std().shape == (90,)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_outputs_are_fitted_together(loss):
    X, y = make_data()
    Y = np.column_stack([y, -2 * y + X[:, 2]])
    model = GradientElasticNetCV(loss=loss, **FEW, **TOL).fit(X, Y)
    assert model.coef_path_.shape == (len(model.alphas_), 2, 6)
    assert model.coef_.shape == (2, 6)
    alphas = model.alphas_
    each = [
        GradientElasticNetCV(loss=loss, alphas=alphas, cv=3, **TOL).fit(X, column)
        for column in Y.T
    ]
    for a, one in enumerate(each):
        np.testing.assert_allclose(
            model.coef_path_[:, a], one.coef_path_, rtol=1e-6, atol=1e-6
        )
    total = sum(one.loss_path_ for one in each)
    np.testing.assert_allclose(model.loss_path_, total, rtol=1e-6)


def test_a_column_of_targets_has_a_row_of_coefficients():
    X, y = make_data()
    model = GradientElasticNetCV(**FEW).fit(X, y[:, None])
    assert model.predict(X).shape == (90, 1)
    coef, intercept = model.coefficients_at(model.alpha_)
    assert coef.shape == model.coef_.shape
    assert np.shape(intercept) == np.shape(model.intercept_)


def test_three_classes_are_multinomial():
    X, y = make_classes(3)
    model = GradientElasticNetClassifierCV(**FEW, **TOL).fit(X, y)
    one = GradientLinearClassifier(alpha=model.alpha_, l1_ratio=0.5, tol=1e-9)
    np.testing.assert_allclose(model.coef_, one.fit(X, y).coef_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(X), one.predict_proba(X), rtol=1e-5)


def test_intercepts_of_classes_sum_to_zero():
    X, y = make_classes(3)
    model = GradientElasticNetClassifierCV(**FEW).fit(X, y)
    assert abs(model.intercept_.sum()) < 1e-10
    np.testing.assert_allclose(model.intercept_path_.sum(axis=1), 0, atol=1e-10)
    bare = GradientElasticNetClassifierCV(fit_intercept=False, **FEW).fit(X, y)
    np.testing.assert_array_equal(bare.intercept_, 0)


def test_labels_are_classified_each_by_itself():
    X, y = make_classes()
    Y = np.column_stack([y == "yes", X[:, 0] > 2]).astype(int)
    alphas = [0.1, 0.02]
    model = GradientElasticNetClassifierCV(alphas=alphas, cv=3, **TOL).fit(X, Y)
    for a in range(2):
        one = GradientLinearClassifier(alpha=model.alpha_, l1_ratio=0.5, tol=1e-9)
        one.fit(X, Y[:, a])
        np.testing.assert_allclose(model.coef_[a], one.coef_[0], rtol=1e-5, atol=1e-6)
    assert model.predict(X).shape == Y.shape


def test_weights_of_classes():
    X, y = make_classes()
    w = np.where(y == "yes", 3.0, 1.0)
    folds = list(StratifiedKFold(3).split(X, y))
    params = {"alphas": 5, "cv": folds, **TOL}
    model = GradientElasticNetClassifierCV(class_weight={"yes": 3.0}, **params)
    weighted = GradientElasticNetClassifierCV(**params).fit(X, y, w)
    assert_same_fit(model.fit(X, y), weighted)
    # What a scorer sees is weighted by sample_weight alone.
    model.set_params(scoring="neg_log_loss", class_weight={"yes": 3.0}).fit(X, y)
    train, test = folds[0]
    one = GradientLinearClassifier(
        alpha=model.alphas_[-1], l1_ratio=0.5, class_weight={"yes": 3.0}, tol=1e-9
    ).fit(X[train], y[train])
    expected = -log_loss(y[test], one.predict_proba(X[test]))
    assert model.score_path_[-1, 0] == pytest.approx(expected, rel=1e-6)


# -------------------------------------------------------------------- what is chosen


def test_the_rule_of_one_standard_error():
    X, y = make_data(n=47)
    w = np.linspace(0.5, 2.0, 47)
    model = GradientElasticNetCV(alphas=30, cv=4, select="1se").fit(X, y, w)
    weight = np.array([w[test].sum() for _, test in KFold(4).split(X)])
    weight /= weight.sum()
    mean = model.loss_path_ @ weight
    error = np.sqrt((model.loss_path_ - mean[:, None]) ** 2 @ weight / 3)
    np.testing.assert_allclose(model.mean_loss_, mean)
    np.testing.assert_allclose(model.loss_error_, error)
    least = mean.argmin()
    first = np.flatnonzero(mean <= mean[least] + error[least])[0]
    assert model.alpha_min_ == model.alphas_[least]
    assert model.alpha_1se_ == model.alphas_[first] == model.alpha_
    assert model.alpha_1se_ > model.alpha_min_
    np.testing.assert_allclose(model.coef_, model.coef_path_[first], atol=1e-3)
    model.set_params(select="min").fit(X, y, w)
    assert model.alpha_ == model.alpha_min_ == model.alphas_[least]


def test_scores_are_those_of_predictions():
    X, y = make_data()
    model = GradientElasticNetCV(scoring="neg_mean_absolute_error", **FEW, **TOL)
    model.fit(X, y)
    assert not hasattr(model, "loss_path_")
    for fold, (train, test) in enumerate(KFold(3).split(X)):
        one = GradientLinearRegressor(alpha=model.alphas_[2], l1_ratio=0.5)
        one.fit(X[train], y[train])
        expected = -mean_absolute_error(y[test], one.predict(X[test]))
        assert model.score_path_[2, fold] == pytest.approx(expected, rel=1e-6)
    best = model.mean_score_.argmax()
    assert model.alpha_ == model.alphas_[best]
    enough = model.mean_score_ >= model.mean_score_[best] - model.score_error_[best]
    assert model.alpha_1se_ == model.alphas_[np.flatnonzero(enough)[0]]


def test_scores_of_classes_of_any_kind():
    X, y = make_classes(3)
    model = GradientElasticNetClassifierCV(scoring="accuracy", **FEW).fit(X, y)
    counts = model.score_path_ * 30  # rows of a fold
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)
    X, y = make_classes()
    order = np.argsort(y)
    model.set_params(scoring="roc_auc", cv=KFold(3))
    with (
        pytest.raises(ValueError, match=r"scoring='roc_auc' gives nan on the 30"),
        pytest.warns(UndefinedMetricWarning),
    ):
        model.fit(X[order], y[order])


def test_scores_are_weighted_as_rows():
    X, y = make_data()
    w = np.arange(90) % 3 + 1.0
    model = GradientElasticNetCV(scoring="neg_mean_squared_error", **FEW, **TOL)
    model.fit(X, y, w)
    direct = clone(model).set_params(scoring="loss").fit(X, y, w)
    np.testing.assert_allclose(model.score_path_, -2 * direct.loss_path_, rtol=1e-9)
    assert model.alpha_ == direct.alpha_


# ------------------------------------------------------------------------- the rows


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_a_weight_is_a_row_repeated_and_zero_an_absent_one(loss):
    X, y = make_data(n=60)
    w = np.arange(60) % 3
    rows = np.repeat(np.arange(60), w)
    half = np.arange(60) < 25
    splits = [(half, ~half), (~half, half)]
    params = {"loss": loss, "alphas": 5, **TOL}
    weighted = GradientElasticNetCV(cv=splits, **params).fit(X, y, w)
    splits = [(a[rows], b[rows]) for a, b in splits]
    repeated = GradientElasticNetCV(cv=splits, **params).fit(X[rows], y[rows])
    assert_same_fit(weighted, repeated, rtol=1e-7)
    # The folds of a splitter are those of the rows that are there.
    present = w > 0
    params["cv"] = 3
    zero = GradientElasticNetCV(**params).fit(X, y, w)
    absent = GradientElasticNetCV(**params).fit(X[present], y[present], w[present])
    assert_same_fit(zero, absent, rtol=0)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_folds_train_on_what_the_splitter_says(loss):
    X, y = make_data()
    cv = TimeSeriesSplit(3)
    model = GradientElasticNetCV(loss=loss, alphas=4, cv=cv, **TOL).fit(X, y)
    for fold, (train, test) in enumerate(cv.split(X)):
        one = GradientLinearRegressor(
            loss=loss, alpha=model.alphas_[1], l1_ratio=0.5, tol=1e-9
        ).fit(X[train], y[train])
        only = GradientElasticNetCV(
            loss=loss, alphas=model.alphas_, cv=[(train, test)], **TOL
        ).fit(X, y)
        np.testing.assert_allclose(model.loss_path_[:, fold], only.loss_path_[:, 0])
        if loss == "squared_error":
            expected = 0.5 * np.mean((y[test] - one.predict(X[test])) ** 2)
            assert model.loss_path_[1, fold] == pytest.approx(expected, rel=1e-6)


def test_groups_stay_together():
    X, y = make_data()
    groups = np.random.default_rng(0).integers(10, size=90)
    cv = GroupKFold(3)
    model = GradientElasticNetCV(alphas=5, cv=cv).fit(X, y, groups=groups)
    splits = list(cv.split(X, y, groups))
    assert_same_fit(model, GradientElasticNetCV(alphas=5, cv=splits).fit(X, y), rtol=0)
    with pytest.raises(ValueError, match="groups"):
        GradientElasticNetCV(alphas=5, cv=cv).fit(X, y)


def test_a_split_without_rows_is_refused():
    X, y = make_data()
    w = np.r_[np.zeros(30), np.ones(60)]
    splits = [(np.arange(30, 90), np.arange(30))]
    with pytest.raises(ValueError, match="Split 0 has 60 and 0 of 60"):
        GradientElasticNetCV(cv=splits).fit(X, y, w)


@pytest.mark.parametrize(
    "model",
    [
        GradientElasticNetCV(**FEW),
        GradientElasticNetCV(loss="huber", l1_ratio=[0.5, 1.0], **FEW),
        GradientElasticNetCV(scoring="r2", **FEW),
    ],
)
def test_threads_change_no_bit(model):
    X, y = make_data()
    alone = clone(model).fit(X, y)
    threads = clone(model).set_params(n_jobs=2).fit(X, y)
    for name in ("coef_path_", "coef_", "intercept_", "alpha_"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(threads, name))
    table = "score_path_" if model.scoring == "r2" else "loss_path_"
    np.testing.assert_array_equal(getattr(alone, table), getattr(threads, table))


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_any_layout_of_the_inputs(loss, tmp_path):
    X, y = make_data()
    X = X.astype(np.float32)
    expected = GradientElasticNetCV(loss=loss, **FEW).fit(X.astype(np.float64), y)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    strided = np.repeat(X, 2, axis=0)[::2]
    for other in (X, np.asfortranarray(X), mapped, strided):
        model = GradientElasticNetCV(loss=loss, **FEW).fit(other, y)
        assert_same_fit(model, expected, rtol=1e-8)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
@pytest.mark.parametrize("scoring", ["loss", "r2"])
def test_sparse_inputs_give_what_dense_ones_do(loss, scoring):
    X, y = make_data()
    X = np.where(np.abs(X) > 2, X, 0.0)
    w = np.arange(90) % 3
    half = np.arange(90) < 50
    params = {"loss": loss, "scoring": scoring, "alphas": 4, "tol": 1e-10}
    params["cv"] = [(half, ~half), (~half, half)]
    dense = GradientElasticNetCV(**params).fit(X, y, w)
    sparse = GradientElasticNetCV(**params).fit(csr_array(X), y, w)
    assert sparse.alpha_ == pytest.approx(dense.alpha_)
    table = "loss_path_" if scoring == "loss" else "score_path_"
    for name in ("coef_path_", table, "coef_"):
        np.testing.assert_allclose(
            getattr(sparse, name), getattr(dense, name), rtol=1e-6, atol=1e-7
        )


# ------------------------------------------------------------------ what is penalised


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_penalty_factors(loss):
    X, y = make_data()
    factors = np.array([1.0, 2.0, 0.0, 0.5, 1.0, 3.0])
    model = GradientElasticNetCV(loss=loss, penalty_factor=factors, **FEW, **TOL)
    model.fit(X, y)
    assert (model.coef_path_[:, 2] != 0).all()  # also where all others are zero
    np.testing.assert_array_equal(np.delete(model.coef_path_[0], 2), 0)
    for at in (1, -1):
        one = GradientLinearRegressor(
            loss=loss,
            penalty_factor=factors,
            alpha=model.alphas_[at],
            l1_ratio=0.5,
            tol=1e-9,
        ).fit(X, y)
        np.testing.assert_allclose(
            model.coef_path_[at], one.coef_, rtol=1e-5, atol=1e-6
        )


def test_nothing_is_penalised():
    X, y = make_data()
    model = GradientElasticNetCV(penalty_factor=np.zeros(6), **FEW).fit(X, y)
    design = np.column_stack([np.ones(90), X])
    expected = np.linalg.lstsq(design, y)[0]
    np.testing.assert_allclose(model.coef_, expected[1:], rtol=1e-6)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_positive_coefficients_and_bounds(loss):
    X, y = regression_of(loss)
    model = GradientElasticNetCV(loss=loss, positive=True, **FEW, **TOL).fit(X, y)
    assert (model.coef_path_ >= 0).all()
    if loss == "squared_error":
        theirs = ElasticNetCV(
            alphas=[model.alpha_],
            positive=True,
            tol=1e-10,
            max_iter=10**5,
            random_state=0,
        )
        scale = X.std(axis=0)
        theirs.fit(X / scale, y)
        np.testing.assert_allclose(model.coef_ * scale, theirs.coef_, atol=1e-6)
    bounds = {0: (0.2, 0.4), 1: (-0.1, 0.1)}
    model = GradientElasticNetCV(loss=loss, bounds=bounds, **FEW).fit(X, y)
    assert (model.coef_path_[:, 0] >= 0.2).all()
    assert (model.coef_path_[:, 0] <= 0.4).all()
    assert (np.abs(model.coef_path_[:, 1]) <= 0.1).all()


# -------------------------------------------------------------------------- the path


def test_strengths_that_are_given():
    X, y = make_data()
    model = GradientElasticNetCV(alphas=[0.1, 1.0, 0.0], cv=3, **TOL).fit(X, y)
    np.testing.assert_array_equal(model.alphas_, [1.0, 0.1, 0.0])
    coef = GradientLinearRegressor(tol=1e-9).fit(X, y).coef_
    np.testing.assert_allclose(model.coef_path_[-1], coef, rtol=1e-6)
    one = GradientElasticNetCV(alphas=[0.3], cv=3, select="1se").fit(X, y)
    assert one.alpha_ == one.alpha_min_ == one.alpha_1se_ == 0.3
    one = GradientElasticNetCV(alphas=1, cv=3).fit(X, y)
    np.testing.assert_array_equal(one.coef_, 0)
    assert one.intercept_ == pytest.approx(y.mean())


def test_the_first_strength_is_the_smallest_without_coefficients():
    X, y = make_data()
    model = GradientElasticNetCV(l1_ratio=1.0, eps=0.9, alphas=2, cv=3).fit(X, y)
    Z = StandardScaler().fit_transform(X)
    assert model.alphas_[0] == pytest.approx(np.abs(Z.T @ (y - y.mean())).max() / 90)
    assert model.alphas_[1] == pytest.approx(0.9 * model.alphas_[0])
    assert not model.coef_path_[0].any()
    assert model.coef_path_[1].any()
    assert model.explained_[0] == pytest.approx(0, abs=1e-12)
    r2 = 1 - np.mean((y - X @ model.coef_path_[1] - model.intercept_path_[1]) ** 2) / (
        y.var()
    )
    assert model.explained_[1] == pytest.approx(r2)


def test_coefficients_between_strengths():
    X, y = make_data()
    model = GradientElasticNetCV(l1_ratio=1.0, alphas=[0.5, 0.1], cv=3, **TOL)
    model.fit(X, y)
    coef, intercept = model.coefficients_at(0.2)
    np.testing.assert_allclose(
        coef, 0.25 * model.coef_path_[0] + 0.75 * model.coef_path_[1]
    )
    assert isinstance(intercept, float)
    exact = GradientLinearRegressor(alpha=0.2, l1_ratio=1.0, tol=1e-9).fit(X, y)
    same = (model.coef_path_ != 0).all(axis=0) == (exact.coef_ != 0)
    if same.all():  # no coefficient came in between
        np.testing.assert_allclose(coef, exact.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(model.coefficients_at(9)[0], model.coef_path_[0])
    np.testing.assert_array_equal(model.coefficients_at(0)[0], model.coef_path_[1])
    for wrong in (-1, "a", None):
        with pytest.raises(ValueError, match=r"must be a number >= 0\. Got"):
            model.coefficients_at(wrong)
    classifier = GradientElasticNetClassifierCV(**FEW).fit(X, y > 0)
    coef, intercept = classifier.coefficients_at(classifier.alphas_[1])
    np.testing.assert_array_equal(coef, classifier.coef_path_[1:2])
    assert intercept.shape == (1,)


def test_the_objective_is_that_of_the_chosen_model():
    X, y = make_data()
    model = GradientElasticNetCV(l1_ratio=0.3, **FEW).fit(X, y)
    b = model.coef_ * X.std(axis=0)
    objective = 0.5 * np.mean((y - model.predict(X)) ** 2) + model.alpha_ * (
        0.3 * np.abs(b).sum() + 0.35 * b @ b
    )
    assert model.loss_ == pytest.approx(objective)
    assert model.loss_curve_ == [model.loss_]
    assert model.residual_ < 1e-8
    # One fit at the same strength comes to the same.
    one = GradientLinearRegressor(alpha=model.alpha_, l1_ratio=0.3).fit(X, y)
    assert one.loss_ == pytest.approx(model.loss_)


# ---------------------------------------------------------------------- difficult data


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
@pytest.mark.parametrize("factor", [1.0, 0.0])
def test_constant_columns_also_of_a_fold_have_no_coefficient(loss, factor):
    X, y = make_data()
    X[:, 2] = 7.0
    X[:, 3] = np.arange(90) < 30  # constant outside of the first fold
    params = {"loss": loss, "penalty_factor": {3: factor}, **FEW}
    with pytest.warns(DataWarning, match="one value in all training rows: column 2"):
        model = GradientElasticNetCV(**params, **TOL).fit(X, y)
    assert (model.coef_path_[:, 2] == 0).all()
    assert model.coef_path_[-1, 3] != 0
    # The first fold knows nothing of the column.
    train, test = next(KFold(3).split(X))
    columns = [0, 1, 4, 5]
    one = GradientElasticNetCV(
        loss=loss, alphas=model.alphas_, cv=[(train, test)], **TOL
    ).fit(X[:, columns], y)
    np.testing.assert_allclose(model.loss_path_[:, 0], one.loss_path_[:, 0], rtol=1e-6)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_more_features_than_rows(loss):
    X, y = make_data(n=24, p=60)
    model = GradientElasticNetCV(loss=loss, **FEW, **TOL).fit(X, y)
    assert model.alphas_[-1] == pytest.approx(1e-2 * model.alphas_[0])
    one = GradientLinearRegressor(
        loss=loss, alpha=model.alphas_[2], l1_ratio=0.5, tol=1e-9
    ).fit(X, y)
    np.testing.assert_allclose(model.coef_path_[2], one.coef_, rtol=1e-4, atol=1e-5)


def test_one_feature_few_rows_and_constant_targets():
    X, y = make_data()
    model = GradientElasticNetCV(**FEW).fit(X[:, :1], y)
    assert model.coef_.shape == (1,)
    model = GradientElasticNetCV(alphas=3, cv=2).fit(X[:2], y[:2])
    assert np.isfinite(model.predict(X)).all()
    with pytest.raises(ValueError, match="n_splits=5 greater than the number"):
        GradientElasticNetCV().fit(X[:3], y[:3])
    for constant in (0.0, 3.0):
        for loss in ("squared_error", "huber"):
            model = GradientElasticNetCV(loss=loss, **FEW).fit(X, np.full(90, constant))
            np.testing.assert_array_equal(model.coef_, 0)
            np.testing.assert_allclose(model.predict(X), constant)
            np.testing.assert_array_equal(model.explained_, 0)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_targets_of_any_size(loss):
    X, y = make_data()
    model = GradientElasticNetCV(**FEW).fit(X, y)
    large = GradientElasticNetCV(**FEW).fit(X, 2.0**200 * y)
    assert large.alpha_ != model.alpha_  # its L2 part has another unit
    lasso = GradientElasticNetCV(l1_ratio=1.0, **FEW).fit(X, y)
    large = GradientElasticNetCV(l1_ratio=1.0, **FEW).fit(X, 2.0**200 * y)
    np.testing.assert_allclose(large.coef_, 2.0**200 * lasso.coef_, rtol=1e-10)
    with pytest.raises(DivergenceError, match=r"beyond float64: .*e\+201\. Div"):
        GradientElasticNetCV(loss=loss, **FEW).fit(X, 1e200 * y)


def test_no_row_is_curved_at_the_start():
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X[:60, 2:5]), y[:60]
    delta, alpha = 0.1, 0.01
    model = GradientElasticNetCV(
        loss=losses.Huber(delta=delta),
        l1_ratio=1.0,
        standardize=False,
        alphas=[2 * delta * 10 * alpha, 2 * delta * alpha],
        cv=[(np.arange(60), np.arange(60))],
        max_iter=1000,
        tol=1e-3,
    ).fit(X, y)
    # Half the median's pinball loss, up to a quarter of delta where errors are small.
    theirs = QuantileRegressor(quantile=0.5, alpha=alpha).fit(X, y)
    penalty = alpha * np.abs(theirs.coef_).sum()
    least = 0.5 * np.abs(y - theirs.predict(X)).mean() + penalty
    assert model.alpha_ == 2 * delta * alpha
    assert least - delta / 4 <= model.loss_ / (2 * delta) <= least * (1 + 1e-6)


def test_a_fold_without_a_class():
    X, y = make_classes()
    order = np.argsort(y)
    for loss in ("log_loss", "squared_hinge"):
        model = GradientElasticNetClassifierCV(loss=loss, alphas=5, cv=KFold(2))
        model.fit(X[order], y[order])
        assert np.isfinite(model.mean_loss_).all()


# -------------------------------------------------------------------- with the others


def test_pickles_pipelines_and_searches():
    X, y = make_data()
    model = GradientElasticNetCV(**FEW).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    np.testing.assert_array_equal(again.coef_path_, model.coef_path_)
    unfitted = clone(model)
    assert not hasattr(unfitted, "coef_")
    pipeline = make_pipeline(StandardScaler(), clone(model)).fit(X, y)
    np.testing.assert_allclose(pipeline.predict(X), model.predict(X), rtol=1e-6)
    search = GridSearchCV(clone(model), {"l1_ratio": [0.2, 1.0]}, cv=2).fit(X, y)
    assert search.best_estimator_.l1_ratio_ in (0.2, 1.0)


def test_a_fit_that_ends_too_early_says_so(capsys):
    X, y = regression_of("poisson")
    model = GradientElasticNetCV(loss="poisson", max_iter=1, tol=1e-9, verbose=1, **FEW)
    with pytest.warns(ConvergenceWarning, match=r"max_iter=1 steps.*Increase max_iter"):
        model.fit(X, y)
    assert not model.fit_report_["converged"]
    assert StopReason.MAX_ITER.value in capsys.readouterr().out
    assert model.set_params(max_iter=100).fit(X, y).fit_report_["converged"]


def test_a_loss_with_a_kink_is_refused_with_what_to_do():
    X, y = make_data()
    with pytest.raises(ValueError, match=r"'absolute_error', .* Take 'huber'"):
        GradientElasticNetCV(loss="absolute_error").fit(X, y)
    with pytest.raises(ValueError, match=r"'hinge', .* Take 'squared_hinge'"):
        GradientElasticNetClassifierCV(loss="hinge").fit(X, y > 0)


def test_equal_columns_share_or_are_told_of():
    X, y = make_data()
    X = np.column_stack([X, X[:, 0]])
    model = GradientElasticNetCV(alphas=[0.1], cv=3).fit(X, y)
    assert model.coef_[0] == pytest.approx(model.coef_[-1])
    with pytest.warns(DataWarning, match=r"equal.*or set l1_ratio < 1"):
        GradientElasticNetCV(l1_ratio=1.0, alphas=[0.1], cv=3).fit(X, y)


def test_validation_rows_are_scored_once():
    X, y = make_data()
    model = GradientElasticNetCV(**FEW).fit(X, y, X_val=X[:9], y_val=y[:9])
    loss = 0.5 * np.mean((y[:9] - model.predict(X[:9])) ** 2)
    assert model.validation_scores_ == [pytest.approx(-loss)]


def test_there_is_no_partial_fit():
    with pytest.raises(AttributeError, match="partial_fit"):
        GradientElasticNetCV().partial_fit([[1.0]], [1.0])


def test_iris_by_one_standard_error():
    X, y = load_iris(return_X_y=True)
    model = GradientElasticNetClassifierCV(l1_ratio=1.0, alphas=20, cv=3, select="1se")
    assert model.fit(X, y).score(X, y) > 0.9
    assert (model.coef_ == 0).any()
