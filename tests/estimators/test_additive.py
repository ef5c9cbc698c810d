"""Additive models, compared to R's mgcv and to what must hold of any smooth."""

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier

from skgrad import ops
from skgrad.estimators import (
    AdditiveClassifier,
    AdditiveRegressor,
    FactorTerm,
    LinearTerm,
    SplineTerm,
    TensorTerm,
)
from skgrad.exceptions import DataWarning, FitWarning, ParameterError, SolverError
from skgrad.losses import Huber

FILE = Path(__file__).parents[1] / "data_files" / "additive_mgcv.json"
MGCV = json.loads(FILE.read_text("utf-8"))
SIMULATED = pd.DataFrame(MGCV["simulated"])
LOSSES = {
    "gaussian": "squared_error",
    "poisson": "poisson",
    "binomial": "log_loss",
    "Gamma": "gamma",
}
# Here mgcv warns of a step that failed, and ends at a higher value of its criterion.
LOWER = "diabetes-steps-poisson-GCV.Cp-bs"
METHODS = {"REML": "reml", "GCV.Cp": "gcv"}


def frame(name):
    """Return the data that R had, scikit-learn's as scikit-learn gives them."""
    if name == "simulated":
        return SIMULATED
    if name == "diabetes":
        data = load_diabetes(as_frame=True, scaled=False).frame
        return data.assign(steps=(data["target"] / 25).round())
    data = load_breast_cancer(as_frame=True).frame
    names = {"mean texture": "texture", "mean smoothness": "smoothness"}
    return data.rename(columns={**names, "target": "benign"})


def fitted(case, terms):
    """Return the model of a case of R's and its raw predictions at R's rows."""
    data, loss = frame(case["name"]), LOSSES[case["family"]]
    kind = AdditiveClassifier if loss == "log_loss" else AdditiveRegressor
    model = kind(terms=terms, loss=loss, smoothing=METHODS[case["method"]])
    X = data[case["columns"]]
    model.fit(X, data[case["response"]])
    return model, model._raw_predict(X)


def case_name(case):
    return "-".join(case[k] for k in ("name", "response", "family", "method", "basis"))


@pytest.fixture(params=MGCV["cases"], ids=case_name)
def case(request):
    return request.param


def test_is_mgcv_with_the_same_basis(case):
    penalty = {"bs": "curvature", "ps": "difference"}[case["basis"]]
    terms = [
        SplineTerm(name, knots=tuple(case["breaks"][name]), penalty=penalty)
        for name in case["columns"]
    ]
    model, raw = fitted(case, terms)
    if case_name(case) == LOWER:
        assert model.criterion_ < case["criterion"] - 1
        return
    expected = case["same_basis"]
    deviation = raw.std()
    # mgcv stops where its criterion changes by 1e-10 of itself, and gamma's degrees of
    # freedom are those of the expected Hessian there, here of the observed one.
    gamma = case["family"] == "Gamma"
    np.testing.assert_allclose(
        raw[case["rows"]], expected["raw"], rtol=0, atol=1e-4 * deviation
    )
    np.testing.assert_allclose(
        model.edf_, expected["edf"], rtol=0.02 if gamma else 1e-4
    )
    np.testing.assert_allclose(
        model.scale_, expected["scale"], rtol=1e-3 if gamma else 1e-5
    )
    if gamma:
        return
    summary = model.summary()
    np.testing.assert_allclose(summary.ref_df, case["ref_df"], rtol=2e-4)
    first = case["columns"][0]
    grid = frame(case["name"])[first].to_numpy()[case["rows"]]
    effect = model.partial_effect(first, grid)
    np.testing.assert_allclose(effect.standard_error, case["standard_error"], rtol=1e-3)
    # Two ways to count a fraction of a direction: ours is the mean of both signs.
    scale = summary.ref_df if case["family"] == "gaussian" else 1.0
    statistics = summary.statistics / scale
    np.testing.assert_allclose(statistics, case["statistic"], rtol=0.1, atol=0.5)
    np.testing.assert_allclose(summary.p_values, case["p_value"], atol=0.05)


def test_defaults_are_near_thin_plate_splines(case):
    """Another basis of ten functions, knots at other places: much the same smooths."""
    model, raw = fitted(case, None)
    expected = case["thin_plate"]
    difference = raw[case["rows"]] - expected["raw"]
    loose = case["name"] != "simulated"
    assert difference.std() < (0.05 if loose else 0.01) * raw.std()
    atol = 0.5 if loose else 0.1
    np.testing.assert_allclose(model.edf_, expected["edf"], rtol=0, atol=atol)


@pytest.mark.parametrize("smoothing", ["reml", "gcv"])
def test_tensor_products_are_mgcvs(smoothing):
    terms = [
        TensorTerm("x0", "x1", knots=((0.0, 0.5, 1.0), (0.0, 0.5, 1.0))),
        SplineTerm("x2", knots=tuple(np.linspace(0, 1, 8))),
    ]
    X = SIMULATED[["x0", "x1", "x2"]]
    model = AdditiveRegressor(terms=terms, smoothing=smoothing).fit(X, SIMULATED["y"])
    expected, raw = MGCV["tensor"][smoothing], model.predict(X)
    assert model.smoothing_.shape == (3,)
    np.testing.assert_allclose(model.edf_, expected["edf"], rtol=1e-4)
    np.testing.assert_allclose(model.scale_, expected["scale"], rtol=1e-5)
    np.testing.assert_allclose(
        raw[MGCV["rows"]], expected["raw"], rtol=0, atol=1e-4 * raw.std()
    )


@pytest.mark.parametrize("penalized", [True, False])
def test_factors_and_lines_are_mgcvs(penalized):
    X = SIMULATED[["x0", "x1", "level"]]
    terms = [
        SplineTerm("x0", knots=tuple(np.linspace(0, 1, 8))),
        FactorTerm("level", penalized=penalized),
        LinearTerm("x1"),
    ]
    model = AdditiveRegressor(terms=terms).fit(X, SIMULATED["y"])
    expected = MGCV["random" if penalized else "parametric"]
    smooth = [0, 1] if penalized else [0]
    np.testing.assert_allclose(model.edf_[smooth], expected["edf"], rtol=1e-4)
    np.testing.assert_allclose(
        model.predict(X)[MGCV["rows"]], expected["raw"], atol=1e-4
    )
    table = model.summary().parametric
    found = np.column_stack(
        [table.coef, table.standard_errors, table.t_values, table.p_values]
    )[1:]
    known = [MGCV["random_slope"]] if penalized else MGCV["parametric_table"]
    np.testing.assert_allclose(found, known, rtol=2e-3, atol=1e-8)
    names = ["x1"] if penalized else ["level[b]", "level[c]", "level[d]", "x1"]
    assert table.names == ["intercept", *names]


# ------------------------------------------------------------------ what must hold


def wave(n=200, p=2, seed=0):
    """Return a sine of the first column with noise."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(n, p))
    return X, np.sin(6 * X[:, 0]) + rng.normal(scale=0.3, size=n)


def test_given_smoothing_repeats_the_fit():
    X, y = wave()
    model = AdditiveRegressor().fit(X, y)
    again = AdditiveRegressor(smoothing=model.smoothing_).fit(X, y)
    np.testing.assert_allclose(again.predict(X), model.predict(X), rtol=1e-10)
    np.testing.assert_allclose(again.edf_, model.edf_)
    assert np.isnan(again.criterion_)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_heavy_penalties_leave_straight_lines(loss):
    X, y = wave()
    y = y if loss == "squared_error" else np.round(np.exp(y))
    model = AdditiveRegressor(smoothing=1e12, loss=loss).fit(X, y)
    lines = [LinearTerm(0), LinearTerm(1)]
    linear = AdditiveRegressor(terms=lines, loss=loss).fit(X, y)
    np.testing.assert_allclose(model.predict(X), linear.predict(X), rtol=1e-6)
    np.testing.assert_allclose(model.edf_, 1, rtol=1e-6)
    if loss == "squared_error":
        exact = LinearRegression().fit(X, y)
        np.testing.assert_allclose(linear.predict(X), exact.predict(X))
        slopes = linear.summary().parametric.coef[1:]
        np.testing.assert_allclose(slopes, exact.coef_)


def test_no_penalty_is_least_squares():
    X, y = wave(p=1)
    model = AdditiveRegressor(smoothing=1e-10).fit(X, y)
    np.testing.assert_allclose(model.edf_, 9, rtol=1e-6)
    basis = np.column_stack([each.rows(X) for each in model._placed])
    exact = LinearRegression().fit(basis, y)
    np.testing.assert_allclose(model.predict(X), exact.predict(basis), atol=1e-6)


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "huber"])
def test_weights_are_counts_of_rows(loss):
    X, y = wave(120)
    y = np.round(np.exp(y)) if loss == "poisson" else y
    counts = np.random.default_rng(1).integers(0, 3, len(y))
    model = AdditiveRegressor(loss=loss).fit(X, y, sample_weight=counts)
    repeated = AdditiveRegressor(loss=loss)
    repeated.fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(model.predict(X), repeated.predict(X), atol=1e-6)
    np.testing.assert_allclose(model.edf_, repeated.edf_, rtol=1e-5)
    np.testing.assert_allclose(model.scale_, repeated.scale_, rtol=1e-6)


def test_units_do_not_matter():
    X, y = wave()
    model = AdditiveRegressor().fit(X, y)
    moved = AdditiveRegressor().fit(1e6 * X - 3e7, 1e-6 * y + 5)
    expected = 1e-6 * model.predict(X) + 5
    np.testing.assert_allclose(moved.predict(1e6 * X - 3e7), expected, atol=1e-11)
    np.testing.assert_allclose(moved.edf_, model.edf_, rtol=1e-5)
    np.testing.assert_allclose(moved.scale_, 1e-12 * model.scale_, rtol=1e-6)


def test_beyond_the_range_effects_are_straight():
    X, y = wave(p=1)
    model = AdditiveRegressor().fit(X, y)
    low, high = X.min(), X.max()
    for end, step in ((low, -0.5), (high, 0.5)):
        at = model.predict([[end], [end + step], [end + 2 * step]])
        np.testing.assert_allclose(at[2] - at[1], at[1] - at[0])
        inside = (model.predict([[end]]) - model.predict([[end - 1e-6 * step]])) / 1e-6
        np.testing.assert_allclose(at[1] - at[0], inside[0], rtol=1e-3)


def test_a_function_of_ones_own_is_a_loss():
    X, y = wave()
    y = np.random.default_rng(1).poisson(np.exp(1 + np.sin(6 * X[:, 0])))
    by_name = AdditiveRegressor(loss="poisson").fit(X, y)

    def counts(y_true, raw_prediction):
        return 3 * (ops.exp(raw_prediction) - y_true * raw_prediction)

    own = AdditiveRegressor(loss=counts, smoothing=3 * by_name.smoothing_)
    own.fit(X, y)
    np.testing.assert_allclose(own.predict(X), by_name.predict_raw(X), atol=1e-6)
    # The scale takes out a factor of the loss.
    assert own.scale_ == pytest.approx(3, rel=0.15)
    free = AdditiveRegressor(loss=counts).fit(X, y)
    np.testing.assert_allclose(free.edf_, by_name.edf_, rtol=0.1)


def test_the_scale_of_any_loss_is_that_of_its_rows():
    """Huber's loss with a wide window is squared error, and chooses as it does."""
    X, y = wave()
    exact = AdditiveRegressor().fit(X, y)
    wide = AdditiveRegressor(loss=Huber(delta=1e3)).fit(X, y)
    np.testing.assert_allclose(wide.edf_, exact.edf_, rtol=1e-4)
    np.testing.assert_allclose(wide.scale_, exact.scale_, rtol=1e-5)


def test_effects_add_up_and_are_centred():
    X, y = wave()
    model = AdditiveRegressor().fit(X, y)
    effects = [model.partial_effect(j, X[:, j]) for j in range(2)]
    total = model.intercept_ + sum(each.effect for each in effects)
    np.testing.assert_allclose(total, model.predict(X))
    for each in effects:
        assert abs(each.effect.mean()) < 1e-12
        np.testing.assert_allclose((each.low + each.high) / 2, each.effect, atol=1e-12)
    assert model.intercept_ == pytest.approx(y.mean())


def test_intervals_cover():
    """Over rows and samples about 95 % (Marra and Wood 2012)."""
    inside = []
    for seed in range(30):
        X, y = wave(150, 1, seed)
        truth = np.sin(6 * X[:, 0])
        effect = AdditiveRegressor().fit(X, y).partial_effect(0, X[:, 0])
        centred = truth - truth.mean()
        inside.append(np.mean((effect.low <= centred) & (centred <= effect.high)))
    assert 0.9 < np.mean(inside) < 0.99


def test_p_values_of_nothing_are_uniform():
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        X, y = rng.uniform(size=(100, 1)), rng.normal(size=100)
        found.append(AdditiveRegressor().fit(X, y).summary().p_values[0])
    assert 0.01 <= np.mean(np.array(found) < 0.05) <= 0.12


# ------------------------------------------------------------------------------- terms


def test_columns_of_a_data_frame_have_their_default_terms():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "size": rng.uniform(size=80),
            "rooms": rng.integers(1, 5, 80),
            "town": rng.choice(["north", "south", "west"], 80),
            "kind": pd.Categorical(rng.choice([3, 7], 80)),
        }
    )
    y = X["size"] + (X["town"] == "west") + rng.normal(scale=0.1, size=80)
    model = AdditiveRegressor().fit(X, y)
    kinds = [each.term.kind for each in model._placed]
    assert kinds == ["spline", "linear", "factor", "factor"]
    assert model.term_names_ == list(X.columns) == list(model.feature_names_in_)
    effect = model.partial_effect("town")
    assert effect.grid.tolist() == ["north", "south", "west"]
    assert effect.effect.argmax() == 2
    asked = model.partial_effect("town", ["west", "elsewhere"])
    np.testing.assert_allclose(asked.effect[0], effect.effect[2])
    # A town that is new has the mean of all towns.
    new = X.assign(town="elsewhere")
    known = [X.assign(town=town) for town in effect.grid]
    mean = np.mean([model.predict(each) for each in known], axis=0)
    np.testing.assert_allclose(model.predict(new), mean)
    polars = pytest.importorskip("polars")
    other = polars.DataFrame(X.assign(kind=X["kind"].astype(str)).to_dict("list"))
    np.testing.assert_allclose(
        AdditiveRegressor().fit(other, y).predict(other), model.predict(X)
    )


def test_categories_keep_their_order():
    rng = np.random.default_rng(0)
    order = ["low", "middle", "high", "never"]
    level = pd.Categorical(rng.choice(order[:3], 60), categories=order, ordered=True)
    X = pd.DataFrame({"level": level})
    y = level.codes + rng.normal(scale=0.1, size=60)
    model = AdditiveRegressor().fit(X, y)
    effect = model.partial_effect("level")
    assert effect.grid.tolist() == order[:3]
    assert (np.diff(effect.effect) > 0.5).all()
    np.testing.assert_allclose(model.predict(X), level.codes, atol=0.2)


def test_more_classes_one_against_the_rest():
    X, y = load_iris(return_X_y=True)
    with warnings.catch_warnings():  # setosa is apart from the others
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = OneVsRestClassifier(AdditiveClassifier(terms=[2, 3])).fit(X, y)
    assert model.score(X, y) > 0.95


def test_warnings_name_the_line_of_the_user():
    X, y = wave(p=1)
    cases = [
        (np.hstack([X, X]), y, None, FitWarning),
        (np.hstack([X, np.ones_like(X)]), y, None, DataWarning),
        (X, y, np.full(len(y), 1e-3), DataWarning),
        (X, np.ones(len(y)), None, ConvergenceWarning),
    ]
    for inputs, targets, weights, kind in cases:
        with pytest.warns(kind) as caught:
            AdditiveRegressor().fit(inputs, targets, weights)
        assert {Path(each.filename) for each in caught} == {Path(__file__)}


def test_a_fit_that_fails_leaves_no_model():
    X, y = wave()
    model = AdditiveRegressor().fit(X, y)
    with pytest.raises(ParameterError):
        model.set_params(smoothing=[1.0]).fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_terms_by_short_names():
    X = SIMULATED[["x0", "x1", "level"]]
    short = AdditiveRegressor(terms=["level", ("x0", "x1")]).fit(X, SIMULATED["y"])
    full = AdditiveRegressor(terms=[FactorTerm("level"), TensorTerm(0, 1)])
    full.fit(X, SIMULATED["y"])
    assert short.term_names_ == ["level", "x0:x1"]
    np.testing.assert_array_equal(short.predict(X), full.predict(X))
    assert short.partial_effect(("x0", "x1")).grid.shape == (1600, 2)
    assert short.partial_effect("x0:x1").columns == ("x0", "x1")


def test_search_over_terms_and_smoothing():
    X, y = wave()
    grid = {"terms": [None, [SplineTerm(0, n_basis=4)]], "smoothing": ["reml", 1e9]}
    search = GridSearchCV(AdditiveRegressor(), grid, cv=3).fit(X, y)
    assert search.best_params_ == {"terms": None, "smoothing": "reml"}
    copy = clone(search.best_estimator_.set_params(terms=[SplineTerm(0)]))
    assert copy.terms == [SplineTerm(0)]
    model = pickle.loads(pickle.dumps(copy.fit(X, y)))
    np.testing.assert_array_equal(model.predict(X), copy.predict(X))


def test_few_distinct_values_have_fewer_functions():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 6, 100).astype(float)
    y = np.sin(x) + rng.normal(scale=0.1, size=100)
    model = AdditiveRegressor(terms=[SplineTerm(0)]).fit(x[:, None], y)
    assert len(model.coef_[0]) == 5
    means = [y[x == value].mean() for value in range(6)]
    fitted = model.predict(np.arange(6.0)[:, None])
    np.testing.assert_allclose(fitted, means, atol=0.1)


def test_equal_columns_share_their_effect():
    X, y = wave(p=1)
    with pytest.warns(FitWarning, match="Parts of the terms 'x1' follow"):
        model = AdditiveRegressor().fit(np.hstack([X, X]), y)
    single = AdditiveRegressor().fit(X, y)
    difference = model.predict(np.hstack([X, X])) - single.predict(X)
    assert np.abs(difference).max() < 0.02


def test_constant_columns():
    X, y = wave()
    X[:, 1] = 3.0
    with pytest.warns(DataWarning, match=r"\['x1'\] have one value"):
        model = AdditiveRegressor().fit(X, y)
    assert model.term_names_ == ["x0"]
    with pytest.raises(ValueError, match="has one value, 3, in all rows"):
        AdditiveRegressor(terms=[0, SplineTerm(1)]).fit(X, y)


def test_without_terms_the_model_is_the_mean():
    X, y = wave()
    model = AdditiveRegressor(terms=[]).fit(X, y)
    np.testing.assert_allclose(model.predict(X), y.mean())
    assert "intercept" in repr(model.summary())


def test_weights_that_are_no_counts_are_said():
    X, y = wave()
    with pytest.warns(DataWarning, match="those of 200 rows sum to 1"):
        AdditiveRegressor().fit(X, y, sample_weight=np.full(200, 1 / 200))


def test_losses_with_little_curvature():
    X, y = wave()
    y = y + 50 * np.sin(6 * X[:, 0])  # few rows are near the constant model
    model = AdditiveRegressor(loss="huber").fit(X, y)
    assert model.score(X, y) > 0.999
    with pytest.raises(SolverError, match="widen the curved part"):
        AdditiveRegressor(loss=Huber(delta=1e-9)).fit(X, y)


def test_numbers_beyond_float64():
    X, y = wave()
    with pytest.raises(ValueError, match="targets as large as 1"):
        AdditiveRegressor().fit(X, 1e150 * y)
    X[0, 0] = 1e8
    with pytest.raises(ValueError, match="no spline fits both"):
        AdditiveRegressor().fit(X, y)


def test_constant_targets():
    X, y = wave()
    with pytest.warns(ConvergenceWarning, match="without error"):
        model = AdditiveRegressor().fit(X, np.full_like(y, 3.0))
    np.testing.assert_allclose(model.predict(X), 3.0)


def test_separated_classes_are_said():
    X = np.linspace(-1, 1, 60)[:, None]
    with pytest.warns(ConvergenceWarning, match="without error"):
        model = AdditiveClassifier().fit(X, X[:, 0] > 0)
    assert model.score(X, X[:, 0] > 0) == 1.0


def test_blocks_that_are_not_kept_give_the_same(monkeypatch):
    X, y = wave(1000)
    y = np.round(np.exp(y))
    expected = AdditiveRegressor(loss="poisson", smoothing=1.0).fit(X, y)
    module = "skgrad.estimators.additive_design."
    monkeypatch.setattr(module + "KEPT_BYTES", 0)
    monkeypatch.setattr(module + "BLOCK_BYTES", 2**15)
    model = AdditiveRegressor(loss="poisson", smoothing=1.0).fit(X, y)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-9)


@pytest.mark.parametrize("power", [-8, 12])
def test_smoothing_parameters_of_any_size(power):
    X, y = wave(300, 3)
    labels = y > 0
    model = AdditiveClassifier(smoothing=[10.0**power, 1.0, 10.0**-power])
    model.fit(X, labels)
    assert np.isfinite(model.predict_proba(X)).all()
    assert ((model.edf_ > 0.99) & (model.edf_ < 9.01)).all()


# ------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"loss": "quantile"}, "QuantileRegressor and MLPQuantileRegressor"),
        ({"loss": "absolute_error"}, "straight on each side of a kink"),
        ({"loss": "gaussian_nll"}, "one raw prediction per target"),
        ({"loss": "log_loss"}, "must be a regression loss. Got 'log_loss'"),
        ({"smoothing": [1.0]}, "one for each of the 2 penalties"),
        ({"smoothing": "aic"}, "smoothing"),
        ({"terms": ["x7"]}, "no column 'x7' in X"),
        ({"terms": [9]}, "position below 2"),
        ({"terms": [0, SplineTerm("x0")]}, "Two terms have the columns of 'x0'"),
        ({"terms": [None]}, "must hold SplineTerm"),
        ({"terms": [SplineTerm(0, n_basis=3)]}, r"int in \[4, inf\). Got 3"),
        ({"terms": [SplineTerm(0, knots="cubic")]}, "'knots' parameter of SplineTerm"),
        ({"terms": [SplineTerm(0, knots=(1.0, 0.0))]}, "Knots must increase"),
        ({"terms": [SplineTerm(0, penalty="ridge")]}, "'penalty' parameter"),
        ({"terms": [TensorTerm(0, 0)]}, "needs two columns"),
    ],
)
def test_errors_teach(parameters, message):
    X, y = wave()
    with pytest.raises(ValueError, match=message):
        AdditiveRegressor(**parameters).fit(X, y)


def test_more_errors():
    X, y = wave()
    with pytest.raises(ParameterError, match="squared_hinge"):
        AdditiveClassifier(loss="hinge").fit(X, y > 0)
    with pytest.raises(ValueError, match=r"OneVsRestClassifier\(AdditiveClassifier"):
        AdditiveClassifier().fit(X, np.digitize(y, [-0.5, 0.5]))
    with pytest.raises(ParameterError, match="must lie in"):
        AdditiveRegressor(loss="poisson").fit(X, y)
    model = AdditiveRegressor(terms=[0]).fit(X, y)
    with pytest.raises(ParameterError, match="no term of 1 alone"):
        model.partial_effect(1)
    levels = pd.DataFrame({"a": ["u", "v"] * 100})
    model = AdditiveRegressor(terms=[FactorTerm("a", penalized=False)]).fit(levels, y)
    with pytest.raises(ValueError, match=r"had; those are \['u', 'v'\]"):
        model.predict(pd.DataFrame({"a": ["w"]}))
    with pytest.raises(ParameterError, match="holds categories"):
        AdditiveRegressor(terms=[SplineTerm("a")]).fit(levels, y)
    with pytest.raises(ValueError, match="has 2 distinct values"):
        AdditiveRegressor(terms=[SplineTerm(0)]).fit((X > 0.5).astype(float), y)
    with pytest.raises(ValueError, match="no category in row 1"):
        AdditiveRegressor().fit(pd.DataFrame({"a": ["u", None] * 100}), y)
    with pytest.raises(AttributeError, match="no attribute"):
        AdditiveClassifier(loss="squared_hinge").fit(X, y > 0).predict_proba(X)


def test_summary_prints():
    X = SIMULATED[["x0", "x1", "level"]]
    model = AdditiveRegressor(terms=["x0", "x1", "level"]).fit(X, SIMULATED["y"])
    summary = model.summary()
    text = repr(summary).splitlines()
    assert text[0] == "squared_error of 200 rows; smoothness by REML"
    assert text[-1].endswith("degrees of freedom")
    assert "n_basis" not in text[-1]
    narrow = AdditiveRegressor(terms=[SplineTerm("x0", n_basis=4)])
    narrow.fit(X, np.sin(8 * X["x0"]))
    assert repr(narrow.summary()).endswith("try more (n_basis): x0")
    assert summary.to_frame().loc["x0", "edf"] == model.edf_[0]
    assert "<table>" in summary._repr_html_()
