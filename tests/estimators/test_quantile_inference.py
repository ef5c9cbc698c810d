"""Standard errors of quantile regression, beside statsmodels, R and simulations."""

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import QuantileRegressor

from skgrad.estimators.densities import BANDWIDTHS
from skgrad.estimators.quantile_inference import quantile_summary
from skgrad.exceptions import ParameterError


class Exact(RegressorMixin, BaseEstimator):
    """Linear quantile regressions by HiGHS."""

    def __init__(self, *, quantile=0.5, fit_intercept=True, alpha=0.0, bounds=None):
        self.quantile = quantile
        self.fit_intercept = fit_intercept
        self.alpha = alpha
        self.bounds = bounds

    def fit(self, X, y, sample_weight=None):
        models = [
            QuantileRegressor(
                quantile=level, alpha=self.alpha, fit_intercept=self.fit_intercept
            ).fit(X, y, sample_weight)
            for level in np.atleast_1d(self.quantile)
        ]
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(models[0], name):
                setattr(self, name, getattr(models[0], name))
        self.coef_ = np.array([model.coef_ for model in models])
        self.intercept_ = np.array([model.intercept_ for model in models])
        if np.ndim(self.quantile) == 0:
            self.coef_, self.intercept_ = self.coef_[0], self.intercept_[0]
        return self


def with_coefficients(parameters, X, **params):
    """Return a model as if fitted, with the coefficients of another program."""
    model = Exact(**params)
    parameters = np.asarray(parameters)
    model.n_features_in_ = X.shape[1]
    model.intercept_ = parameters[0] if model.fit_intercept else 0.0
    model.coef_ = parameters[model.fit_intercept :]
    return model


@pytest.fixture(scope="module")
def engel():
    data = sm.datasets.engel.load_pandas().data
    return data[["income"]], data["foodexp"].to_numpy()


@pytest.fixture(scope="module")
def spreading():
    """Return rows whose errors grow with x."""
    rng = np.random.default_rng(0)
    x = 5 * rng.random((500, 1)) ** 2
    return x, 1 + x[:, 0] + (0.2 + x[:, 0]) * rng.standard_normal(500)


def many_columns(n=400, p=4):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((n, p)) @ rng.standard_normal((p, p)) + 10
    return X, X.sum(axis=1) + rng.standard_t(3, n)


# ------------------------------------------------------------------- other programs


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.75])
@pytest.mark.parametrize("method", ["robust", "iid"])
def test_covariances_are_those_of_statsmodels(method, quantile, fit_intercept):
    X, y = many_columns()
    exog = sm.add_constant(X) if fit_intercept else X
    theirs = sm.QuantReg(y, exog).fit(q=quantile, vcov=method, p_tol=1e-4)
    params = {"quantile": quantile, "fit_intercept": fit_intercept}
    model = with_coefficients(theirs.params, X, **params)
    ours = quantile_summary(model, X, y, method=method, level=0.9)
    np.testing.assert_allclose(ours.covariance, theirs.cov_params(), rtol=1e-6)
    np.testing.assert_allclose(ours.standard_errors, theirs.bse, rtol=1e-6)
    np.testing.assert_allclose(ours.t_values, theirs.tvalues, rtol=1e-6)
    np.testing.assert_allclose(ours.p_values, theirs.pvalues, rtol=1e-5, atol=1e-300)
    np.testing.assert_allclose(ours.intervals, theirs.conf_int(0.1), rtol=1e-6)


@pytest.mark.parametrize(
    ("kernel", "theirs"),
    [
        ("biweight", "biw"),
        ("cosine", "cos"),
        ("epanechnikov", "epa"),
        ("gaussian", "gau"),
        ("parzen", "par"),
    ],
)
@pytest.mark.parametrize("bandwidth", ["hall_sheather", "chamberlain"])
def test_kernels_and_bandwidths_are_those_of_statsmodels(kernel, theirs, bandwidth):
    X, y = many_columns()
    fit = sm.QuantReg(y, sm.add_constant(X)).fit(
        q=0.3, kernel=theirs, bandwidth=bandwidth.replace("hall_s", "hs")
    )
    model = with_coefficients(fit.params, X, quantile=0.3)
    ours = quantile_summary(
        model, X, y, method="robust", kernel=kernel, bandwidth=bandwidth
    )
    np.testing.assert_allclose(ours.standard_errors, fit.bse, rtol=1e-6)


# Standard errors of summary(rq(foodexp ~ income, tau, data = engel), se = ...) by
# quantreg 5.94 of R 4, printed with 15 digits.
QUANTREG = {
    ("kernel", 0.1): (29.2965433965998, 0.0398968801973131),
    ("kernel", 0.5): (30.2153158527793, 0.0373170354527435),
    ("kernel", 0.9): (22.5691951036302, 0.0279602328286965),
    ("hendricks_koenker", 0.1): (29.3976787976089, 0.0402401676685388),
    ("hendricks_koenker", 0.5): (19.250660252106, 0.0282772096838577),
    ("hendricks_koenker", 0.9): (22.3953831454532, 0.0284907223757293),
}


@pytest.mark.parametrize("method", ["kernel", "hendricks_koenker"])
def test_sandwiches_are_those_of_quantreg(method, engel):
    levels = [0.1, 0.5, 0.9]
    model = Exact(quantile=levels).fit(*engel)
    ours = quantile_summary(model, *engel, method=method, kernel="gaussian")
    expected = [QUANTREG[method, level] for level in levels]
    np.testing.assert_allclose(ours.standard_errors, expected, rtol=2e-7)
    assert ours.names == ("intercept", "income")
    assert ours.outputs == (0.1, 0.5, 0.9)
    assert ours.df == 233
    # Koenker and Bassett's estimates of the median.
    np.testing.assert_allclose(ours.coef[1], [81.48, 0.5602], rtol=1e-4)


def test_bandwidth_of_bofinger():
    """As bandwidth.rq(p, 235, hs = FALSE) of quantreg 5.94."""
    found = [BANDWIDTHS["bofinger"](235, q) for q in (0.1, 0.3, 0.5, 0.9)]
    expected = [0.0629618060370381, 0.163400560848933, 0.217348667976785]
    np.testing.assert_allclose(found, [*expected, expected[0]], rtol=1e-13)


def test_weights_are_those_of_quantreg(engel):
    """As se="nid" of quantreg 5.94 with weights 1, 2, 3, 1, 2, ..."""
    w = np.resize([1.0, 2.0, 3.0], 235)
    model = Exact().fit(*engel, w)
    for scale in (1, 10):
        ours = quantile_summary(model, *engel, scale * w, method="hendricks_koenker")
        expected = 21.1593843097173, 0.0319019374717631
        np.testing.assert_allclose(ours.standard_errors, expected, rtol=2e-7)


@pytest.mark.parametrize(
    ("method", "kernel"), [("kernel", "uniform"), ("robust", "parzen")]
)
def test_weights_of_zero_are_rows_left_out(method, kernel):
    X, y = many_columns()
    w = np.arange(400.0) % 4
    model = Exact(quantile=[0.25, 0.5]).fit(X, y, w)
    params = {"method": method, "kernel": kernel}
    whole = quantile_summary(model, X, y, w, **params)
    part = quantile_summary(model, X[w > 0], y[w > 0], w[w > 0], **params)
    np.testing.assert_allclose(whole.covariance, part.covariance, rtol=1e-9)
    assert whole.df == part.df == 300 - 5


# ---------------------------------------------------------------------- simulations


def test_only_local_densities_see_errors_that_spread(spreading):
    """Standard deviations of 200 simulated medians: 0.0402 and 0.0867."""
    model = Exact().fit(*spreading)
    slopes = {
        method: quantile_summary(model, *spreading, method=method).standard_errors[1]
        for method in ("kernel", "hendricks_koenker", "robust", "iid")
    }
    assert abs(slopes["kernel"] / 0.0867 - 1) < 0.3
    assert abs(slopes["hendricks_koenker"] / 0.0867 - 1) < 0.3
    assert max(slopes["robust"], slopes["iid"]) < 0.0867 / 1.5


@pytest.mark.parametrize("method", ["bootstrap", "wild_bootstrap"])
def test_bootstraps_agree_with_the_sandwich(method, spreading):
    X, y = (array[:300] for array in spreading)
    model = Exact(quantile=[0.4, 0.6]).fit(X, y)
    sandwich = quantile_summary(model, X, y, method="hendricks_koenker")
    found = quantile_summary(model, X, y, method=method, n_bootstrap=80, random_state=0)
    # The relative error of a standard deviation of 80 refits is 8 %.
    np.testing.assert_allclose(
        found.standard_errors, sandwich.standard_errors, rtol=0.35
    )
    np.testing.assert_array_equal(found.coef, sandwich.coef)


@pytest.mark.long
@pytest.mark.parametrize("method", ["kernel", "hendricks_koenker", "bootstrap"])
def test_intervals_cover_the_truth(method):
    """As often as they say, up to three standard errors of the share."""
    n_samples = 60 if method == "bootstrap" else 300
    rng = np.random.default_rng(0)
    covered = []
    for seed in range(n_samples):
        x = 5 * rng.random((300, 1)) ** 2
        y = 1 + x[:, 0] + (1 + x[:, 0]) * rng.standard_normal(300)
        model = Exact().fit(x, y)
        low, high = quantile_summary(
            model, x, y, method=method, level=0.9, n_bootstrap=50, random_state=seed
        ).intervals.T
        covered.append((low < 1) & (high > 1))
    share = np.mean(covered, axis=0)
    assert np.all(share > 0.9 - 3 * np.sqrt(0.9 * 0.1 / n_samples))
    assert np.all(share < 0.98)


# --------------------------------------------------------------------------- inputs


def test_blocks_and_dtypes_do_not_matter(monkeypatch):
    X, y = many_columns()
    X = X.astype(np.float32)
    model = Exact(quantile=[0.25, 0.5]).fit(X.astype(float), y)
    whole = quantile_summary(model, X.astype(float), y)
    monkeypatch.setattr("skgrad.estimators.scaling.BLOCK_BYTES", 1000)
    blocks = quantile_summary(model, X, y)
    np.testing.assert_allclose(blocks.covariance, whole.covariance, rtol=1e-9)
    np.testing.assert_allclose(blocks.t_values, whole.t_values, rtol=1e-9)


def test_large_offsets_cost_no_digits():
    """A column such as a year: the same slopes, and the same intercept at the mean."""
    X, y = many_columns()
    shifted = X + 1e5
    near, far = (
        quantile_summary(Exact(quantile=0.4).fit(x, y), x, y) for x in (X, shifted)
    )
    np.testing.assert_allclose(
        far.standard_errors[1:], near.standard_errors[1:], rtol=1e-5
    )


def test_refusals_say_why():
    X, y = many_columns(40)
    model = Exact().fit(X, y)
    with pytest.raises(ParameterError, match=r"'method' .* Exact\.summary .* 'kern'"):
        quantile_summary(model, X, y, method="kern")
    with pytest.raises(ParameterError, match=r"'level' .* Got 95 instead"):
        quantile_summary(model, X, y, level=95)
    with pytest.raises(ValueError, match=r"5 rows .* for 5 coefficients"):
        quantile_summary(model, X[:5], y[:5])
    with pytest.raises(ValueError, match="3 rows with a positive weight"):
        quantile_summary(model, X, y, np.arange(40) < 3)
    with pytest.raises(ValueError, match="Half of the residuals"):
        quantile_summary(model, X, X @ model.coef_ + model.intercept_)
    other = with_coefficients([50, *model.coef_], X)
    with pytest.raises(ValueError, match=r"0\.5 cannot be estimated: 0 of 40 rows"):
        quantile_summary(other, X, y)
    with pytest.raises(ParameterError, match=r"penalty alpha=0\.1 .*'bootstrap'"):
        quantile_summary(Exact(alpha=0.1).fit(X, y), X, y)
    bounded = Exact(bounds={2: (model.coef_[2], None)}).fit(X, y)
    with pytest.raises(ParameterError, match="features 2 lie at a bound"):
        quantile_summary(bounded, X, y)
    bounded.set_params(bounds=(-100, 100))
    quantile_summary(bounded, X, y)


def test_dependent_columns_are_named(engel):
    X = engel[0].assign(other=1.0, twice=2 * engel[0]["income"])
    model = Exact().fit(X, engel[1])
    with pytest.raises(ValueError, match=r"'income', 'twice'|'other'"):
        quantile_summary(model, X, engel[1])
    X = X.drop(columns="other")
    with pytest.raises(ValueError, match="columns 'income', 'twice' of X are"):
        quantile_summary(Exact().fit(X, engel[1]), X, engel[1])
