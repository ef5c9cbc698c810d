"""Linear models of sparse inputs: those of dense ones, without ever making them."""

import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import (
    ElasticNet,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleRegressor,
    QuantileRegressor,
    nn,
)
from skgrad.callbacks import Checkpoint
from skgrad.estimators.hooks import fit_key
from skgrad.exceptions import DataWarning, FitWarning

REGRESSION, CLASSES = GradientLinearRegressor, GradientLinearClassifier
FIXED = {"max_iter": 5, "tol": None, "random_state": 0, "learning_rate": 0.05}


def make_sparse(rng, n=150, p=12, density=0.3):
    """Return inputs, one column of them without zeros, and linear targets."""
    dense = rng.normal(size=(n, p)) * (rng.random((n, p)) < density)
    dense[:, 0] = 3.0 + rng.normal(size=n)
    X = scipy.sparse.csr_array(dense)
    return X, dense, dense @ rng.normal(size=p) + 1.0 + rng.normal(size=n)


def targets(kind, y):
    """Return targets of a kind, made of numbers."""
    return {
        "numbers": y,
        "outputs": np.column_stack([y, np.sin(y)]),
        "counts": np.abs(y).round(),
        "two": y > np.median(y),
        "three": np.digitize(y, np.quantile(y, [0.3, 0.6])),
        "labels": np.column_stack([y > 0, y > 1, np.sin(y) > 0]).astype(int),
    }[kind]


def fit_both(model, X, dense, y, **arguments):
    """Return coefficients, intercepts and reports of a sparse and a dense fit."""
    found = []
    for inputs in (X, dense):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the same ones, as is checked
            model.fit(inputs, y, **arguments)
        report = dict(model.fit_report_)
        found.append((model.coef_, model.intercept_, report, model.loss_curve_))
    return found


L1 = {"alpha": 0.05, "l1_ratio": 0.5}
CASES = {
    "closed form": (REGRESSION(), "numbers"),
    "minimum norm": (REGRESSION(standardize=False), "numbers"),
    "ridge of two": (REGRESSION(alpha=0.1), "outputs"),
    "no intercept": (REGRESSION(alpha=0.1, fit_intercept=False), "numbers"),
    "plain": (REGRESSION(fit_intercept=False, standardize=False), "numbers"),
    "elastic net": (REGRESSION(**L1), "outputs"),
    "factors": (REGRESSION(alpha=0.1, penalty_factor=[0.0] + [1.0] * 11), "numbers"),
    "poisson": (REGRESSION(loss="poisson", alpha=0.01), "counts"),
    "median": (REGRESSION(loss="absolute_error", max_iter=400), "numbers"),
    "gaussian": (REGRESSION(loss="gaussian_nll"), "numbers"),
    "bounds": (REGRESSION(positive=True), "numbers"),
    "L-BFGS": (REGRESSION(optimizer="lbfgs", tol=1e-9, **L1), "numbers"),
    "FISTA": (REGRESSION(optimizer="fista", tol=1e-10, **L1), "numbers"),
    "Newton-CG": (REGRESSION(optimizer="newton_cg", loss="huber"), "numbers"),
    "logistic": (CLASSES(), "two"),
    "logistic L1": (CLASSES(**L1), "two"),
    "balanced": (CLASSES(class_weight="balanced"), "three"),
    "multinomial L-BFGS": (CLASSES(alpha=0.1, optimizer="lbfgs", tol=1e-10), "three"),
    "labels": (CLASSES(alpha=0.01), "labels"),
    "SGD": (REGRESSION(optimizer="sgd", **FIXED), "numbers"),
    "AdamW": (CLASSES(optimizer="adamw", batch_size=40, **FIXED), "three"),
    "one batch": (CLASSES(optimizer="sgd", batch_size=None, **FIXED), "labels"),
    "found rate": (
        CLASSES(optimizer="adam", **{**FIXED, "learning_rate": "auto"}),
        "three",
    ),
    "L1 steps": (CLASSES(optimizer="sgd", **FIXED, **L1), "two"),
    "early": (CLASSES(optimizer="adam", early_stopping=True, **FIXED), "two"),
    "refit": (
        REGRESSION(
            optimizer="adam",
            early_stopping=True,
            refit="best_epoch",
            scoring="r2",
            **FIXED,
        ),
        "numbers",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_everything_is_as_of_dense_inputs(name, rng):
    model, kind = CASES[name]
    X, dense, y = make_sparse(rng)
    y, w = targets(kind, y), rng.uniform(0.5, 2.0, size=len(y))
    sparse, expected = found = fit_both(model, X, dense, y, sample_weight=w)
    tol = 1e-10 if name != "multinomial L-BFGS" else 1e-7  # the last steps are rounding
    np.testing.assert_allclose(sparse[0], expected[0], rtol=tol, atol=tol)
    levels = [part[1] - np.mean(part[1]) * (kind == "three") for part in found]
    np.testing.assert_allclose(*levels, rtol=tol, atol=tol)
    np.testing.assert_allclose(sparse[3], expected[3], rtol=1e-10)
    for key in ("optimizer", "stop_reason", "n_iter", "advice"):
        assert sparse[2][key] == expected[2][key]
    np.testing.assert_allclose(
        model.predict(X).astype(float), model.predict(dense).astype(float), atol=1e-12
    )


FORMATS = [
    f"{name}_{kind}" for name in ("csr", "csc", "coo") for kind in ("array", "matrix")
]


@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
@pytest.mark.parametrize("name", FORMATS)
def test_formats_dtypes_and_indices(name, dtype, index, rng):
    _, dense, y = make_sparse(rng)
    dense = (3 * dense).round().astype(dtype)
    X = getattr(scipy.sparse, name)(dense)
    if "coo" not in name:
        X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    before = X.copy()
    model = REGRESSION().fit(X, y)
    expected = REGRESSION().fit(dense, y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-10)
    predicted = model.predict(X)
    assert predicted.dtype == np.float64
    np.testing.assert_allclose(predicted, expected.predict(dense), rtol=1e-6)
    assert not (X - before).nnz


def test_double_and_unsorted_elements_are_added_up_in_a_copy(rng):
    _, dense, y = make_sparse(rng)
    rows, columns = np.nonzero(dense)
    values = dense[rows, columns] / 2
    order = np.lexsort((-np.tile(columns, 2), np.tile(rows, 2)))
    ends = np.concatenate([[0], np.cumsum(2 * (dense != 0).sum(axis=1))])
    parts = np.tile(values, 2)[order], np.tile(columns, 2)[order], ends
    X = scipy.sparse.csr_array(parts, shape=dense.shape)
    stored = X.indices.copy()
    model, expected = REGRESSION().fit(X, y), REGRESSION().fit(dense, y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-10)
    np.testing.assert_array_equal(X.indices, stored)


# ----------------------------------------------------------- scikit-learn's own models


@pytest.mark.parametrize("intercept", [True, False])
def test_models_of_scikit_learn(intercept, rng):
    X, _, y = make_sparse(rng)
    n, alpha = len(y), 0.03
    options = {"standardize": False, "fit_intercept": intercept, "tol": 1e-12}
    theirs = {"fit_intercept": intercept, "tol": 1e-12}
    counts, classes = targets("counts", y), targets("three", y)
    pairs = [
        (
            REGRESSION(alpha=alpha, **options),
            Ridge(alpha=alpha * n, random_state=0, **theirs),
            y,
        ),
        (
            REGRESSION(alpha=alpha, l1_ratio=0.7, **options),
            ElasticNet(
                alpha=alpha, l1_ratio=0.7, max_iter=10**5, random_state=0, **theirs
            ),
            y,
        ),
        (
            REGRESSION(loss="poisson", alpha=alpha, **options),
            PoissonRegressor(alpha=alpha, max_iter=10**4, **theirs),
            counts,
        ),
        (
            CLASSES(alpha=alpha, **options),
            LogisticRegression(C=1 / (alpha * n), max_iter=10**4, **theirs),
            classes,
        ),
    ]
    for ours, other, target in pairs:
        ours.fit(X, target)
        other.fit(X, target)
        np.testing.assert_allclose(ours.coef_, other.coef_, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            ours.intercept_, other.intercept_, rtol=1e-5, atol=1e-6
        )


def test_text_in_a_pipeline_and_a_search():
    texts = ["good film", "bad film", "very good", "very bad", "so good", "so bad"] * 5
    labels = ["+", "-"] * 15
    model = make_pipeline(HashingVectorizer(n_features=2**13), CLASSES(max_iter=50))
    alphas = {"gradientlinearclassifier__alpha": [1e-3, 1e-1]}
    search = GridSearchCV(model, alphas, cv=3).fit(texts, labels)
    assert search.predict(["a good one", "a bad one"]).tolist() == ["+", "-"]


def test_a_frame_of_sparse_columns(rng):
    X, _, y = make_sparse(rng)
    frame = pd.DataFrame.sparse.from_spmatrix(X, columns=[f"c{j}" for j in range(12)])
    model = REGRESSION().fit(frame, y)
    np.testing.assert_allclose(model.coef_, REGRESSION().fit(X, y).coef_)
    assert model.feature_names_in_[3] == "c3"


# ---------------------------------------------------------------------- the other ways


def test_dense_and_sparse_inputs_may_alternate(rng):
    X, dense, y = make_sparse(rng)
    weights = []
    for parts in ((X, X, X), (dense, X, dense), (X, dense, X)):
        model = REGRESSION(optimizer="adam", random_state=0, batch_size=32)
        for part in parts:
            model.partial_fit(part, y)
        weights.append(model.coef_)
    np.testing.assert_allclose(weights[1:], [weights[0]] * 2, rtol=1e-10)


def test_warm_starts_and_validation_rows(rng):
    X, dense, y = make_sparse(rng)
    options = {**FIXED, "optimizer": "adam", "warm_start": True}
    sparse, expected = CLASSES(**options), CLASSES(**options)
    labels = targets("two", y)
    for _ in range(2):
        sparse.fit(X[:100], labels[:100], X_val=dense[100:], y_val=labels[100:])
        expected.fit(dense[:100], labels[:100], X_val=X[100:], y_val=labels[100:])
    np.testing.assert_allclose(sparse.coef_, expected.coef_, rtol=1e-10)
    np.testing.assert_allclose(
        sparse.validation_scores_, expected.validation_scores_, rtol=1e-10
    )


def test_a_refit_joins_sparse_and_dense_rows(rng):
    X, dense, y = make_sparse(rng)
    options = {**FIXED, "optimizer": "adam", "early_stopping": True}
    models = [REGRESSION(refit="best_epoch", **options) for _ in range(2)]
    models[0].fit(X[:100], y[:100], X_val=dense[100:], y_val=y[100:])
    models[1].fit(dense[:100], y[:100], X_val=dense[100:], y_val=y[100:])
    np.testing.assert_allclose(models[0].coef_, models[1].coef_, rtol=1e-10)


@pytest.mark.parametrize("cov_type", ["nonrobust", "HC3", "cluster"])
def test_standard_errors(cov_type, rng):
    X, dense, y = make_sparse(rng)
    groups = np.arange(len(y)) % 20 if cov_type == "cluster" else None
    options = {"cov_type": cov_type, "groups": groups}
    model = REGRESSION().fit(X, y)
    sparse, expected = (
        model.summary(inputs, y, **options).to_frame() for inputs in (X, dense)
    )
    np.testing.assert_allclose(sparse, expected, rtol=1e-9, atol=1e-12)


def test_a_checkpoint_belongs_to_its_inputs(rng, tmp_path):
    X, dense, y = make_sparse(rng)
    model = REGRESSION(optimizer="adam", **FIXED)
    other = X.copy()
    other.data[0] += 1e-9
    moved = X.copy()
    moved.indices[:1] = np.setdiff1d(np.arange(12), moved.indices[: moved.indptr[1]])[0]
    keys = [fit_key(model, [part, y], None) for part in (X, other, moved, dense)]
    assert len(set(keys)) == 4
    assert fit_key(model, [X.copy(), y], None) == keys[0]
    path = tmp_path / "fit.npz"
    model.set_callbacks(Checkpoint(path)).fit(X, y)
    again = REGRESSION(optimizer="adam", **FIXED).set_callbacks(Checkpoint(path))
    np.testing.assert_array_equal(again.fit(X, y).coef_, model.coef_)


def test_advice_about_columns(rng):
    X, dense, y = make_sparse(rng)
    dense[:, 4], dense[:, 5], dense[:, 6] = dense[:, 3], 7.0, 0.0
    with pytest.warns(DataWarning) as found:
        REGRESSION().fit(scipy.sparse.csr_array(dense), y)
    words = " ".join(str(w.message) for w in found)
    assert "column 5. Nothing" in words  # not column 6: zeros are ordinary here
    assert "column 3 = column 4" in words
    dense[:, 0] *= 1e4
    slow = {**FIXED, "learning_rate": 1e-9, "standardize": False}
    with pytest.warns(DataWarning, match=r"very different scales.*column 0"):
        REGRESSION(optimizer="sgd", **slow).fit(scipy.sparse.csr_array(dense[:, :4]), y)
    with pytest.warns(FitWarning, match="shrank every coefficient"):
        REGRESSION(alpha=1e3, l1_ratio=1.0).fit(X, y)


def test_inputs_without_an_element(rng):
    X = scipy.sparse.csr_array((20, 3))
    y = rng.normal(size=20)
    with pytest.warns(DataWarning, match="one value in all training rows"):
        model = REGRESSION(alpha=0.1).fit(X, y)
    np.testing.assert_allclose(model.predict(X), np.full(20, y.mean()))


def test_rows_too_far_to_predict_are_named(rng):
    X, _, y = make_sparse(rng)
    model = REGRESSION().fit(X, y)
    far = X.copy()
    far.data[far.indptr[3]] = 1.7e308
    model.coef_[:] = 10.0
    with pytest.raises(ValueError, match=r"cannot predict row 3 of X.*1\.7e\+308"):
        model.predict(far)


# ------------------------------------------------------------------------------ memory


LARGE = {
    "L-BFGS": CLASSES(max_iter=3, tol=None),
    "labels": CLASSES(max_iter=2, tol=None),
    "L1": CLASSES(max_iter=2, tol=None, alpha=1e-3, l1_ratio=1.0),
    "FISTA": REGRESSION(max_iter=2, tol=None, optimizer="fista"),
    "Newton-CG": REGRESSION(max_iter=2, tol=None, optimizer="newton_cg"),
    "early stopping": CLASSES(
        max_iter=1, tol=None, optimizer="adam", batch_size=2000, early_stopping=True
    ),
    "median": REGRESSION(loss="absolute_error", max_iter=2, tol=None),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", LARGE)
def test_no_array_of_rows_times_columns_is_made(name, rng, monkeypatch):
    monkeypatch.setattr("skgrad.executor.work.WORTH_COMPILING", np.inf)
    n = p = 10_000
    X = scipy.sparse.random_array((n, p), density=1e-3, rng=rng, format="csr")
    z = X @ rng.normal(size=p)
    y = np.column_stack([z > 0, z > 1]) if name == "labels" else z > 0
    y = y.astype(float) if isinstance(LARGE[name], REGRESSION) else y.astype(int)
    tracemalloc.start()
    try:
        model = LARGE[name].fit(X, y)
        model.predict(X)
        if name == "early stopping":
            model.set_params(early_stopping=False).partial_fit(X, y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # X itself takes 1 MB; n x p bytes would be 100 MB, and 800 MB as float64.
    assert peak < 20e6


def test_summary_makes_no_array_of_all_rows(rng, monkeypatch):
    monkeypatch.setattr("skgrad.executor.work.WORTH_COMPILING", np.inf)
    n, p = 40_000, 60
    X = scipy.sparse.random_array((n, p), density=0.02, rng=rng, format="csr")
    y = X @ rng.normal(size=p) + rng.normal(size=n)
    tracemalloc.start()
    try:
        REGRESSION().fit(X, y).summary(X, y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * n * p


# ----------------------------------------------------------------- who does not take it


@pytest.mark.parametrize(
    "model",
    [
        MLPRegressor(),
        MLPClassifier(),
        ModuleRegressor(module=nn.Linear),
        QuantileRegressor(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_others_refuse_and_say_what_takes_it(model, rng):
    X, dense, y = make_sparse(rng)
    assert not model.__sklearn_tags__().input_tags.sparse
    y = targets("two", y) if isinstance(model, MLPClassifier) else y
    words = rf"{type(model).__name__} needs dense inputs.*sparse csr_array of shape "
    words += r"\(150, 12\) with \d+ stored elements.*GradientLinearRegressor"
    with pytest.raises(TypeError, match=words):
        model.fit(X, y)
    if not isinstance(model, ModuleRegressor):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.set_params(max_iter=2).fit(dense, y)
        with pytest.raises(TypeError, match=words):
            model.predict(X)


@pytest.mark.parametrize("model", [REGRESSION(), CLASSES()])
def test_the_tags_say_who_takes_it(model):
    assert model.__sklearn_tags__().input_tags.sparse


# ------------------------------------------------------------------------------- traces


def branching(y_true, raw_prediction):
    """Return squared errors by a rule that no trace can follow."""
    error = y_true - raw_prediction
    return error**2 if float(error.numpy().sum()) > 0 else 1.0 * error**2


@pytest.mark.parametrize("optimizer", ["lbfgs", "sgd"])
def test_a_loss_that_cannot_be_traced(optimizer, rng):
    X, dense, y = make_sparse(rng)
    options = {**FIXED, "optimizer": optimizer, "batch_size": 50}
    found = []
    for inputs in (X, dense):
        with pytest.warns(RuntimeWarning, match="runs eagerly"):
            found.append(REGRESSION(loss=branching, **options).fit(inputs, y).coef_)
    np.testing.assert_allclose(*found, rtol=1e-9)


def test_minibatches_of_one_size_are_one_trace(rng):
    X, _, y = make_sparse(rng)
    X.data[X.indptr[5] : X.indptr[9]] = 0.0
    X.eliminate_zeros()  # rows, and so batches, of very different numbers of elements
    model = REGRESSION(optimizer="adam", batch_size=25, **FIXED).fit(X, y)
    assert model.fit_report_["n_traces"] == 1
    model.set_params(batch_size=40).fit(X, y)
    assert model.fit_report_["n_traces"] == 2  # the last batch is smaller


@pytest.mark.long
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_compiled_fits_are_those_of_numpy(name, dtype, rng, monkeypatch):
    model, kind = CASES[name]
    X, _, y = make_sparse(rng)
    X, y, found = X.astype(dtype), targets(kind, y), []
    for worth in (np.inf, 0.0):
        monkeypatch.setattr("skgrad.executor.work.WORTH_COMPILING", worth)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, y)
        found.append(np.ravel(model.coef_))
    assert model.fit_report_["executor"] == "cpu"
    np.testing.assert_allclose(*found, rtol=1e-6, atol=1e-6)
