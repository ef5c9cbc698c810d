"""Estimators with losses that ask more of them than one number per target."""

import warnings

import numpy as np
import pytest
import scipy
from estimators.battery import FAST
from estimators.models import LaplaceNLL, LogMeanNLL, Residual
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import GammaRegressor, SGDClassifier, TweedieRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleRegressor,
    tensor,
)
from skgrad.exceptions import ShapeError
from skgrad.losses import Expectile, Focal, GaussianNLL, Hinge, StudentTNLL, Tweedie
from skgrad.testing import check_loss

LIKELIHOODS = [GaussianNLL(), StudentTNLL(df=4.0)]
every_likelihood = pytest.mark.parametrize("loss", LIKELIHOODS, ids=repr)
MLP = {**FAST, "hidden_layer_sizes": (8,)}


def classes(rng, n=200, k=2):
    X = rng.standard_normal((n, 3))
    scores = X @ rng.standard_normal((3, k)) + rng.standard_normal((n, k))
    return X, np.array(["a", "b", "c"])[scores.argmax(axis=1)]


def spread(rng, n=400):
    """Return rows whose noise grows with the second feature."""
    X = rng.standard_normal((n, 2))
    scale = 30 * np.exp(0.5 * X[:, 1])
    return X, 1000 + 200 * X[:, 0] + scale * rng.standard_normal(n), scale


# --------------------------------------------------------------------- deviances


@pytest.mark.parametrize("power", [0, 1, 1.5, 2, 3])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_tweedie_equals_tweedie_regressor(rng, power, alpha):
    X = rng.standard_normal((200, 3))
    y = rng.gamma(2.0, np.exp(0.3 * X[:, 0] + 1) / 2)
    model = GradientLinearRegressor(
        loss=Tweedie(power=power), alpha=alpha, standardize=False, tol=1e-10
    ).fit(X, y)
    other = TweedieRegressor(
        power=power, alpha=alpha, link="log", tol=1e-12, max_iter=10_000, solver="lbfgs"
    ).fit(X, y)
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.predict(X), other.predict(X), rtol=1e-4)


def test_gamma_equals_gamma_regressor(rng):
    X = rng.standard_normal((200, 3))
    y = rng.gamma(2.0, np.exp(0.3 * X[:, 0] + 1) / 2)
    model = GradientLinearRegressor(loss="gamma", standardize=False, tol=1e-10)
    other = GammaRegressor(alpha=0, solver="newton-cholesky", tol=1e-10).fit(X, y)
    np.testing.assert_allclose(model.fit(X, y).coef_, other.coef_, rtol=1e-7)


def test_targets_of_zero_are_refused_by_gamma_and_taken_by_tweedie(rng):
    X, y = rng.standard_normal((50, 2)), np.zeros(50)
    y[::2] = rng.gamma(2.0, size=25)
    with pytest.raises(ValueError, match=r"Gamma must lie in \(0, inf\)\. Got 0\.0"):
        GradientLinearRegressor(loss="gamma").fit(X, y)
    assert (GradientLinearRegressor(loss="tweedie").fit(X, y).predict(X) > 0).all()


def test_a_search_over_the_power_finds_one(rng):
    X = rng.standard_normal((100, 2))
    y = rng.gamma(2.0, np.exp(X[:, 0]))
    search = GridSearchCV(
        GradientLinearRegressor(loss=Tweedie()),
        {"loss__power": [1, 1.5, 2]},
        scoring="neg_mean_gamma_deviance",
        cv=3,
    ).fit(X, y)
    assert search.best_params_["loss__power"] in (1, 1.5, 2)


def test_expectiles_of_a_linear_model_are_least_squares_at_a_half(rng):
    X, y, _ = spread(rng)
    half = GradientLinearRegressor(loss=Expectile(), tol=1e-10).fit(X, y)
    squared = GradientLinearRegressor().fit(X, y)
    np.testing.assert_allclose(half.coef_, squared.coef_, rtol=1e-8)
    upper = GradientLinearRegressor(loss=Expectile(expectile=0.9), tol=1e-10).fit(X, y)
    # The condition of first order: distances above and below balance.
    residual = y - upper.predict(X)
    weight = np.where(residual < 0, 0.1, 0.9)
    np.testing.assert_allclose(weight * residual @ X, 0, atol=1e-5)
    assert (upper.predict(X) > squared.predict(X)).mean() > 0.95


# ------------------------------------------------------------------------ hinges


@pytest.mark.parametrize("k", [2, 3])
def test_squared_hinge_equals_linear_svc(rng, k):
    X, y = classes(rng, k=k)
    C = 0.7
    model = GradientLinearClassifier(
        loss="squared_hinge",
        alpha=1 / (C * len(X)),
        fit_intercept=False,
        standardize=False,
        tol=1e-10,
    ).fit(X, y)
    other = LinearSVC(
        C=C, fit_intercept=False, dual=False, tol=1e-10, random_state=0
    ).fit(X, y)
    np.testing.assert_allclose(model.coef_, other.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(model.predict(X), other.predict(X))
    np.testing.assert_allclose(
        model.decision_function(X), other.decision_function(X), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("k", [2, 3])
def test_hinge_comes_to_the_optimum_of_linear_svc(rng, k):
    X, y = classes(rng, k=k)
    C = 0.7
    model = GradientLinearClassifier(
        loss="hinge", alpha=1 / (C * len(X)), fit_intercept=False, standardize=False
    ).fit(X, y)
    other = LinearSVC(
        C=C, loss="hinge", fit_intercept=False, tol=1e-9, max_iter=10**6, random_state=0
    ).fit(X, y)

    def objective(coef):
        codes = np.searchsorted(model.classes_, y)
        sign = np.where(codes[:, np.newaxis] == np.arange(k), 1, -1)[:, -len(coef) :]
        missing = np.maximum(0, 1 - sign * (X @ coef.T))
        return missing.sum() + (coef**2).sum() / (2 * C)

    assert objective(model.coef_) <= objective(other.coef_) * (1 + 1e-4)


def test_the_hinge_of_a_stochastic_optimizer_classifies_as_sgd_classifier(rng):
    X, y = classes(rng, n=500, k=3)
    params = {"learning_rate": 0.02, "max_iter": 50, "tol": None, "random_state": 0}
    model = GradientLinearClassifier(loss="hinge", optimizer="adam", **params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = model.fit(X, y).score(X, y)
        expected = SGDClassifier(random_state=0).fit(X, y).score(X, y)
    assert found >= expected - 0.02


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("k", [2, 3])
def test_a_hinge_gives_scores_and_no_probabilities(rng, loss, k):
    X, y = classes(rng, k=k)
    model = MLPClassifier(**MLP, loss=loss).fit(X, y)
    scores = model.decision_function(X)
    assert scores.shape == ((len(X),) if k == 2 else (len(X), k))
    codes = (scores > 0).astype(int) if k == 2 else scores.argmax(axis=1)
    np.testing.assert_array_equal(model.predict(X), model.classes_[codes])
    for name in ("predict_proba", "predict_log_proba"):
        assert not hasattr(model, name)
        with pytest.raises(AttributeError) as caught:
            getattr(model, name)
        reason = str(caught.value.__cause__)
        assert f"Loss {loss!r} gives scores without probabilities" in reason
        assert "loss='log_loss' or 'focal'" in reason


def test_scores_of_a_hinge_can_be_calibrated_and_wrapped(rng):
    X, y = classes(rng, k=3)
    hinge = GradientLinearClassifier(loss=Hinge())
    share = CalibratedClassifierCV(hinge, cv=3).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(share.sum(axis=1), 1)
    wrapped = OneVsRestClassifier(clone(hinge)).fit(X, y)
    np.testing.assert_array_equal(wrapped.predict(X), hinge.fit(X, y).predict(X))


@pytest.mark.parametrize("k", [2, 3])
def test_focal_gives_probabilities_between_those_of_the_log_loss(rng, k):
    X, y = classes(rng, n=400, k=k)
    focal = GradientLinearClassifier(loss=Focal(gamma=2.0), alpha=0.0).fit(X, y)
    log_loss = GradientLinearClassifier(alpha=0.0).fit(X, y)
    share = focal.predict_proba(X)
    np.testing.assert_allclose(share.sum(axis=1), 1)
    # Lin et al. (2017): less is asked of those that are right already.
    assert share.max(axis=1).mean() < log_loss.predict_proba(X).max(axis=1).mean()
    assert focal.score(X, y) > log_loss.score(X, y) - 0.03


# ------------------------------------------------------------------------ shares


@pytest.mark.parametrize("cls", [GradientLinearRegressor, MLPRegressor])
def test_shares_are_predicted_as_rows_of_probabilities(rng, cls):
    X = rng.standard_normal((200, 3))
    logits = X @ rng.standard_normal((3, 3))
    y = scipy.special.softmax(logits, axis=1)
    params = (
        {}
        if cls is GradientLinearRegressor
        else {**MLP, "max_iter": 60, "batch_size": 50}
    )
    model = cls(loss="kl_div", **params)
    if cls is MLPRegressor:
        model.set_params(learning_rate=0.02)
    share = model.fit(X, y).predict(X)
    np.testing.assert_allclose(share.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(share, y, atol=1e-4 if params == {} else 0.1)


def test_targets_that_are_no_shares_are_refused(rng):
    X, y = rng.standard_normal((20, 3)), rng.uniform(size=(20, 2))
    with pytest.raises(ValueError, match=r"Row 0 sums to .* divide each row"):
        MLPRegressor(loss="kl_div").fit(X, y)
    with pytest.raises(ValueError, match="columns 1 - y and y"):
        MLPRegressor(loss="kl_div").fit(X, y[:, 0])


# ------------------------------------------------------- locations and scales


def likelihood_by_scipy(loss, X, y):
    """Return the optimum of the linear model with two linear parts."""
    Z = np.column_stack([np.ones(len(X)), X])

    def total(theta):
        location, log_scale = Z @ theta.reshape(2, -1).T[:, 0], Z @ theta[Z.shape[1] :]
        z = (y - location) * np.exp(-log_scale)
        if isinstance(loss, GaussianNLL):
            return -(scipy.stats.norm.logpdf(z) - log_scale).mean()
        return -(scipy.stats.t.logpdf(z, loss.df) - log_scale).mean()

    start = np.zeros(2 * Z.shape[1])
    return scipy.optimize.minimize(total, start, tol=1e-12)


@every_likelihood
@pytest.mark.parametrize("optimizer", ["auto", "lbfgs"])
def test_a_linear_model_comes_to_the_optimum_of_scipy(rng, loss, optimizer):
    X, y, _ = spread(rng)
    y = (y - 1000) / 200  # where SciPy gets to the optimum
    model = GradientLinearRegressor(loss=loss, tol=1e-9, optimizer=optimizer).fit(X, y)
    assert model.coef_.shape == (2, 2)
    assert model.intercept_.shape == (2,)
    expected = likelihood_by_scipy(loss, X, y)
    found = model.predict_distribution(X).logpdf(y).mean()
    assert -found == pytest.approx(expected.fun, abs=1e-9)
    theta = np.column_stack([model.intercept_, model.coef_]).ravel()
    np.testing.assert_allclose(theta, expected.x, atol=1e-4)


@every_likelihood
@pytest.mark.parametrize("optimizer", ["newton", "lbfgs"])
def test_the_unit_of_the_target_does_not_matter_to_a_linear_model(rng, loss, optimizer):
    X, y, _ = spread(rng)
    y = (y - 1000) / 200
    model = GradientLinearRegressor(loss=loss, optimizer=optimizer, tol=1e-8)
    one = clone(model).fit(X, y)
    other = clone(model).fit(X, 1e6 * y - 5e7)
    factor = np.array([1e6, 1.0])
    np.testing.assert_allclose(other.coef_.T, one.coef_.T * factor, rtol=1e-4)
    expected = one.intercept_ * factor + [-5e7, np.log(1e6)]
    np.testing.assert_allclose(other.intercept_, expected, rtol=1e-6)
    plain = clone(model).set_params(fit_intercept=False).fit(X, y)
    assert plain.intercept_.tolist() == [0.0, 0.0]


@every_likelihood
@pytest.mark.parametrize("cls", ["mlp", "module"])
def test_a_network_predicts_location_and_scale_in_the_users_units(rng, loss, cls):
    X, y, scale = spread(rng, n=1000)
    params = {**FAST, "loss": loss, "max_iter": 60, "learning_rate": 0.03}
    params["batch_size"] = 200
    if cls == "mlp":
        model = MLPRegressor(hidden_layer_sizes=(16,), **params)
    else:
        model = ModuleRegressor(module=Residual, **params)
    model.fit(X, y)
    assert model.n_outputs_ == 2
    assert model.predict(X).shape == (1000,)
    assert model.score(X, y) > 0.9
    found = model.predict_distribution(X)
    np.testing.assert_array_equal(found.kwds["loc"], model.predict(X))
    log_scale = model.predict_raw(X)[:, 1]
    np.testing.assert_allclose(np.exp(log_scale), found.kwds["scale"], rtol=1e-14)
    low, high = found.interval(0.9)
    assert 0.85 < ((low < y) & (y < high)).mean() < 0.98
    spread_of = np.log(found.kwds["scale"])
    assert np.corrcoef(spread_of, np.log(scale))[0, 1] > 0.9


@pytest.mark.parametrize("standardize", [True, False])
def test_other_units_of_the_target_are_other_units_of_the_prediction(rng, standardize):
    X, y, _ = spread(rng)
    y = (y - 1000) / 200
    model = MLPRegressor(loss="gaussian_nll", standardize=standardize, **MLP)
    one = model.fit(X, y).predict_distribution(X)
    if standardize:
        other = model.fit(X, 1000 * y + 5e4).predict_distribution(X)
        np.testing.assert_allclose(other.mean(), 1000 * one.mean() + 5e4, rtol=1e-9)
        np.testing.assert_allclose(other.std(), 1000 * one.std(), rtol=1e-9)
    # The objective is that of the targets the network sees.
    raw = np.stack([one.kwds["loc"], np.log(one.kwds["scale"])], axis=1)
    mean, std = (y.mean(), y.std()) if standardize else (0.0, 1.0)
    seen = -one.logpdf(y).mean() - np.log(std)
    shifted = GaussianNLL()((y - mean) / std, (raw - [mean, np.log(std)]) / [std, 1.0])
    assert shifted.mean().item() == pytest.approx(seen, rel=1e-12)


@every_likelihood
def test_several_outputs_have_a_location_and_a_scale_each(rng, loss):
    X, y, _ = spread(rng)
    Y = np.column_stack([y, -3 * y, y**2 / 1000])
    for model in (MLPRegressor(loss=loss, **MLP), GradientLinearRegressor(loss=loss)):
        model.fit(X, Y)
        assert model.n_outputs_ == 6
        assert model.predict(X).shape == Y.shape
        found = model.predict_distribution(X)
        np.testing.assert_array_equal(found.mean(), model.predict(X))
        assert (found.std() > 0).all()
        assert found.logpdf(Y).shape == Y.shape


def test_a_column_of_targets_has_one_location(rng):
    X, y, _ = spread(rng)
    column = MLPRegressor(loss="gaussian_nll", **MLP).fit(X, y[:, np.newaxis])
    vector = MLPRegressor(loss="gaussian_nll", **MLP).fit(X, y)
    np.testing.assert_array_equal(column.predict(X)[:, 0], vector.predict(X))


def test_early_stopping_and_weights_with_a_likelihood(rng):
    X, y, _ = spread(rng)
    w = rng.integers(1, 3, size=len(y)).astype(float)
    model = MLPRegressor(loss="gaussian_nll", **{**MLP, "batch_size": None})
    one = model.fit(X, y, sample_weight=w).predict(X)
    rows = np.repeat(np.arange(len(y)), w.astype(int))
    np.testing.assert_allclose(model.fit(X[rows], y[rows]).predict(X), one, rtol=1e-6)
    model.set_params(early_stopping=True, scoring="r2").fit(X, y)
    assert len(model.validation_scores_) == 5


def test_a_loss_of_the_user_may_take_several_raw_predictions(rng):
    X, y, scale = spread(rng)
    check_loss(LaplaceNLL(), y / 1e3, 1 + rng.standard_normal((len(y), 2)), order=1)
    params = {**MLP, "max_iter": 60, "batch_size": 100, "learning_rate": 0.03}
    model = MLPRegressor(loss=LaplaceNLL(), **params).fit(X, y)
    assert model.n_outputs_ == 2
    assert model.score(X, y) > 0.9
    # The location is in the units of the target, the rest in those of the network.
    log_scale = model.predict_raw(X)[:, 1]
    assert np.corrcoef(log_scale, np.log(scale))[0, 1] > 0.8
    assert np.exp(log_scale).mean() < 1
    assert not hasattr(model, "predict_distribution")
    with pytest.raises(ShapeError, match=r"takes \(5, 2\).*Give the model 2 outputs"):
        LaplaceNLL()(np.zeros(5), np.zeros(5))


def test_with_a_log_link_only_locations_start_at_the_mean(rng):
    X, y, _ = spread(rng)
    params = {**MLP, "max_iter": 1, "learning_rate": 1e-300, "loss": LogMeanNLL()}
    model = MLPRegressor(**params).fit(X, y / 1000)
    raw = model.predict_raw(X)
    np.testing.assert_array_equal(model.predict(X), np.exp(raw[:, 0]))
    network = model.module_(tensor((X - X.mean(axis=0)) / X.std(axis=0))).numpy()
    start = [np.log(y.mean() / 1000), 0.0]
    np.testing.assert_allclose(raw, network + start, rtol=1e-10, atol=1e-12)


def test_a_point_prediction_has_no_distribution(rng):
    X, y, _ = spread(rng)
    model = MLPRegressor(**MLP).fit(X, y)
    assert not hasattr(model, "predict_distribution")
    with pytest.raises(AttributeError) as caught:
        model.predict_distribution(X)
    reason = str(caught.value.__cause__)
    assert "'squared_error' predicts a point" in reason
    assert "'gaussian_nll' or 'student_t_nll'" in reason


def test_a_warm_fit_cannot_change_the_number_of_raw_predictions(rng):
    X, y, _ = spread(rng)
    model = MLPRegressor(**MLP, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"raw predictions per target.* from 1 to 2"):
        model.set_params(loss="gaussian_nll").fit(X, y)


# ----------------------------------------------------------------------- rankings


@pytest.mark.parametrize("loss", ["lambdarank", "listnet", "pairwise_logistic"])
@pytest.mark.parametrize(
    "model", [MLPRegressor(), MLPClassifier(), GradientLinearRegressor()], ids=repr
)
def test_losses_of_queries_are_refused_with_the_remedy(rng, loss, model):
    X, y, _ = spread(rng)
    message = rf"Got {loss!r}, a ranking loss\. Its samples are queries.*use .*Ranker"
    with pytest.raises(ValueError, match=message):
        clone(model).set_params(loss=loss).fit(X, (y > 1000).astype(int))


def test_scaled_inputs_are_those_of_a_pipeline(rng):
    X, y = classes(rng)
    inside = GradientLinearClassifier(loss="squared_hinge", tol=1e-10).fit(X, y)
    Z = StandardScaler().fit_transform(X)
    outside = GradientLinearClassifier(
        loss="squared_hinge", standardize=False, tol=1e-10
    ).fit(Z, y)
    np.testing.assert_allclose(
        inside.decision_function(X), outside.decision_function(Z), rtol=1e-6, atol=1e-8
    )
