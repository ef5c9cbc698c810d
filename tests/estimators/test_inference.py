"""Standard errors of linear models, beside statsmodels, NIST and closed forms."""

import json
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.linalg import sqrtm
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from skgrad import GradientLinearClassifier, GradientLinearRegressor, ops
from skgrad.exceptions import FitWarning, ParameterError
from skgrad.losses import Expectile, Huber, Tweedie

NIST = Path(__file__).parents[1] / "data_files" / "nist_strd_linear.json"
PROBLEMS = {p["name"]: p for p in json.loads(NIST.read_text())}
LOG = sm.families.links.Log()
FAMILIES = {
    "poisson": sm.families.Poisson(),
    "gamma": sm.families.Gamma(LOG),
    "tweedie": sm.families.Tweedie(LOG, 1.5),
    "log_loss": sm.families.Binomial(),
}
TIGHT = {"tol": 1e-14, "tol_criterion": "params"}
ROBUST = ("HC0", "HC1", "HC2", "HC3", "cluster")
WARNING = "cov_type not fully supported with var_weights"


class Data:
    """Rows of different scales, weights, groups and targets for every loss."""

    def __init__(self, n=150):
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(n, 3)) * [1, 10, 0.1] + [0, 5, 1]
        self.Z = sm.add_constant(self.X)
        self.w = rng.integers(1, 4, n).astype(float)
        self.groups = rng.integers(0, 20, n)
        mean = 0.3 + self.X @ [0.5, -0.05, 2.0]
        self.y = mean + rng.normal(size=n) * (1 + np.abs(self.X[:, 0]))
        rate = np.exp(0.3 * mean)
        self.targets = {
            "squared_error": self.y,
            "poisson": rng.poisson(rate),
            "gamma": rng.gamma(2.0, rate / 2),
            "tweedie": rate * rng.gamma(2.0, 0.5, n) * (rng.random(n) < 0.8),
            "log_loss": (rng.random(n) < 1 / (1 + np.exp(2 - mean))).astype(int),
        }
        self.classes = np.where(self.X[:, 0] > 1, 2, rng.integers(0, 3, n))

    def given(self, cov_type):
        """Return the arguments of both programs."""
        if cov_type != "cluster":
            return {"cov_type": cov_type}, {"cov_type": cov_type}
        theirs = {"cov_type": cov_type, "cov_kwds": {"groups": self.groups}}
        return {"cov_type": cov_type, "groups": self.groups}, theirs


@pytest.fixture(scope="module")
def data():
    return Data()


def fitted(loss, X, y, w=None, **params):
    """Return a model at its minimum, to the last digits."""
    kind = GradientLinearRegressor
    if loss in ("log_loss", "focal", "squared_hinge"):
        kind = GradientLinearClassifier
    params = {"alpha": 0.0, "optimizer": "newton", "tol": 1e-12, **params}
    return kind(loss=loss, **params).fit(X, y, w)


def assert_equal_tables(ours, theirs):
    np.testing.assert_allclose(ours.coef, theirs.params, rtol=1e-9)
    np.testing.assert_allclose(ours.covariance, theirs.cov_params(), rtol=1e-8)
    np.testing.assert_allclose(ours.standard_errors, theirs.bse, rtol=1e-9)
    np.testing.assert_allclose(ours.t_values, theirs.tvalues, rtol=1e-8)
    np.testing.assert_allclose(ours.p_values, theirs.pvalues, rtol=1e-7)
    np.testing.assert_allclose(ours.intervals, theirs.conf_int(0.1), rtol=1e-8)


# ----------------------------------------------------------------------- statsmodels


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cov_type", ["nonrobust", *ROBUST])
def test_least_squares(data, cov_type, weighted):
    w = data.w if weighted else None
    ours, theirs = data.given(cov_type)
    model = fitted("squared_error", data.X, data.y, w)
    summary = model.summary(data.X, data.y, w, level=0.9, **ours)
    expected = sm.WLS(data.y, data.Z, weights=data.w if weighted else 1.0)
    assert_equal_tables(summary, expected.fit(use_t=True, **theirs))


def test_least_squares_without_an_intercept(data):
    model = fitted("squared_error", data.X, data.y, fit_intercept=False)
    summary = model.summary(data.X, data.y, level=0.9, cov_type="HC2")
    theirs = sm.OLS(data.y, data.X).fit(cov_type="HC2", use_t=True)
    assert_equal_tables(summary, theirs)
    assert summary.names == ("x0", "x1", "x2")


@pytest.mark.filterwarnings(f"ignore:{WARNING}")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cov_type", ["nonrobust", "HC0", "cluster"])
@pytest.mark.parametrize("loss", FAMILIES)
def test_generalised_linear_models(data, loss, cov_type, weighted):
    w = data.w if weighted else None
    y = data.targets[loss]
    ours, theirs = data.given(cov_type)
    summary = fitted(loss, data.X, y, w).summary(data.X, y, w, level=0.9, **ours)
    model = sm.GLM(y, data.Z, family=FAMILIES[loss], var_weights=w)
    assert_equal_tables(summary, model.fit(**TIGHT, **theirs))


@pytest.mark.parametrize(("cov_type", "power"), [("HC1", 0), ("HC2", 1), ("HC3", 2)])
@pytest.mark.parametrize("loss", FAMILIES)
def test_corrections_of_generalised_linear_models(data, loss, cov_type, power):
    """Which statsmodels computes for least squares only: from its parts."""
    y, (n, p) = data.targets[loss], data.Z.shape
    theirs = sm.GLM(y, data.Z, family=FAMILIES[loss]).fit(**TIGHT)
    leverage = theirs.get_influence(observed=True).hat_matrix_diag
    scores = theirs.model.score_obs(theirs.params, scale=1)
    meat = scores.T @ (scores / (1 - leverage[:, None]) ** power)
    bread = np.linalg.inv(theirs.model.hessian(theirs.params, scale=1))
    expected = bread @ meat @ bread * (n / (n - p) if cov_type == "HC1" else 1)
    summary = fitted(loss, data.X, y).summary(data.X, y, cov_type=cov_type)
    np.testing.assert_allclose(summary.covariance, expected, rtol=1e-8)


@pytest.mark.parametrize("cov_type", ["nonrobust", "cluster"])
def test_logit(data, cov_type):
    y = data.targets["log_loss"]
    ours, theirs = data.given(cov_type)
    summary = fitted("log_loss", data.X, y).summary(data.X, y, level=0.9, **ours)
    assert_equal_tables(summary, sm.Logit(y, data.Z).fit(disp=0, tol=1e-14, **theirs))


def test_integer_weights_of_counts_are_repeated_rows(data):
    y = data.targets["poisson"]
    model = fitted("poisson", data.X, y, data.w)
    summary = model.summary(data.X, y, data.w, level=0.9)
    family = FAMILIES["poisson"]
    theirs = sm.GLM(y, data.Z, family=family, freq_weights=data.w).fit(**TIGHT)
    assert_equal_tables(summary, theirs)


@pytest.mark.parametrize("cov_type", ["nonrobust", "HC0", "cluster"])
def test_classes(data, cov_type):
    """Differences to the first class."""
    ours, theirs = data.given(cov_type)
    model = fitted("log_loss", data.X, data.classes)
    summary = model.summary(data.X, data.classes, **ours)
    model = sm.MNLogit(data.classes, data.Z)
    theirs = model.fit(method="newton", tol=1e-14, disp=0, **theirs)
    np.testing.assert_allclose(summary.coef, theirs.params.T, rtol=1e-9)
    np.testing.assert_allclose(summary.standard_errors, theirs.bse.T, rtol=1e-9)
    assert summary.outputs == [1, 2]
    assert "differences to class 0" in summary.title


@pytest.mark.parametrize(("cov_type", "power"), [("HC2", -0.5), ("HC3", -1.0)])
def test_corrections_of_classes(data, cov_type, power):
    """The leverage is a matrix: powers by a symmetric matrix of the same eigenvalues.

    Bell and McCaffrey (2002), Survey Methodology 28, for least squares.
    """
    theirs = sm.MNLogit(data.classes, data.Z).fit(method="newton", tol=1e-14, disp=0)
    prob = theirs.predict()[:, 1:]
    slopes = prob - (data.classes[:, None] == [1, 2])
    bread = np.linalg.inv(theirs.model.hessian(theirs.params))
    meat = 0.0
    for z, p, s in zip(data.Z, prob, slopes, strict=True):
        wide = np.kron(np.eye(2), z)
        root = sqrtm(np.diag(p) - np.outer(p, p))
        values, vectors = np.linalg.eigh(
            np.eye(2) + root @ wide @ bread @ wide.T @ root
        )
        enlarged = root @ vectors @ np.diag(values**power) @ vectors.T
        score = wide.T @ enlarged @ np.linalg.solve(root, s)
        meat = meat + np.outer(score, score)
    expected = np.diag(bread @ meat @ bread).reshape(2, -1)
    model = fitted("log_loss", data.X, data.classes)
    summary = model.summary(data.X, data.classes, cov_type=cov_type)
    np.testing.assert_allclose(summary.standard_errors**2, expected, rtol=1e-7)


@pytest.mark.parametrize("name", PROBLEMS)
def test_certified_standard_errors_of_nist(name):
    """All but those of a perfect fit, which are 0, to 10 digits."""
    problem = PROBLEMS[name]
    rows = np.array(problem["data"], dtype=np.float64)
    X, y = rows[:, 1:], rows[:, 0]
    if "x**2" in problem["model"]:
        X = X ** np.arange(1, len(problem["certified_params"]))
    certified = [float(b["sd"]) for b in problem["certified_params"].values()]
    model = GradientLinearRegressor(fit_intercept="B0" in problem["certified_params"])
    found = model.fit(X, y).summary(X, y)
    if not any(certified):
        assert np.all(found.standard_errors < 1e-9 * np.abs(found.coef))
        return
    np.testing.assert_allclose(found.standard_errors, certified, rtol=1e-10)


# ----------------------------------------------------------- losses without a program


def straightened(residuals):
    return np.clip(residuals, -1.5, 1.5), np.abs(residuals) <= 1.5


def tilted(residuals):
    weights = 2 * np.where(residuals < 0, 0.3, 0.7)
    return weights * residuals, weights


@pytest.mark.parametrize(
    ("loss", "parts"), [(Huber(delta=1.5), straightened), (Expectile(0.7), tilted)]
)
def test_robust_regression(data, loss, parts):
    """The sandwich of M-estimators (Huber 1967), written out."""
    model = fitted(loss, data.X, data.y)
    slopes, second = parts(data.y - model.predict(data.X))
    bread = np.linalg.inv(data.Z.T @ (data.Z * second[:, None]))
    expected = bread @ data.Z.T @ (data.Z * slopes[:, None] ** 2) @ bread
    summary = model.summary(data.X, data.y, cov_type="HC0")
    np.testing.assert_allclose(summary.covariance, expected, rtol=1e-8)
    n, p = data.Z.shape
    default = model.summary(data.X, data.y)
    np.testing.assert_allclose(default.covariance, expected * n / (n - p), rtol=1e-8)
    assert default.df == np.inf


def test_location_and_scale(data):
    """The inverse of the Hessian of the log-likelihood, written out."""
    model = fitted("gaussian_nll", data.X, data.y)
    summary = model.summary(data.X, data.y)
    location, log_scale = summary.coef
    r, rate = data.y - data.Z @ location, np.exp(-2 * data.Z @ log_scale)
    parts = [[rate, 2 * r * rate], [2 * r * rate, 2 * r**2 * rate]]
    hessian = np.block(
        [[data.Z.T @ (data.Z * d[:, None]) for d in row] for row in parts]
    )
    expected = np.sqrt(np.diag(np.linalg.inv(hessian))).reshape(2, -1)
    np.testing.assert_allclose(summary.standard_errors, expected, rtol=1e-7)
    assert summary.outputs == ["location", "log scale"]
    assert "covariance nonrobust" in summary.title


def half_squares(y_true, raw_prediction):
    return 0.5 * ops.square(y_true - raw_prediction)


def summed_half_squares(y_true, raw_prediction):
    return ops.sum(half_squares(y_true, raw_prediction), axis=1)


@pytest.mark.parametrize("cov_type", ROBUST)
def test_own_functions(data, cov_type):
    """The same as the built-in loss, alone and with outputs that are coupled."""
    arguments, _ = data.given(cov_type)
    Y = np.column_stack([data.y, data.X[:, 0] - data.y**2])
    alone = [
        fitted("squared_error", data.X, y).summary(data.X, y, **arguments)
        for y in (data.y, *Y.T)
    ]
    own = fitted(half_squares, data.X, data.y).summary(data.X, data.y, **arguments)
    np.testing.assert_allclose(own.covariance, alone[0].covariance, rtol=1e-9)
    built_in = fitted("squared_error", data.X, Y).summary(data.X, Y, **arguments)
    expected = [each.covariance for each in alone[1:]]
    np.testing.assert_allclose(built_in.covariance, expected, rtol=1e-9)
    coupled = fitted(summed_half_squares, data.X, Y).summary(data.X, Y, **arguments)
    n, p = data.Z.shape
    if cov_type in ("HC1", "cluster"):  # all coefficients count
        expected = np.multiply(expected, (n - p) / (n - 2 * p))
    np.testing.assert_allclose(coupled.covariance, expected, rtol=1e-9)
    assert coupled.outputs == [0, 1]


def test_labels_are_models_of_their_own(data):
    first = data.targets["log_loss"]
    Y = np.column_stack([first, data.X[:, 1] > 3 + data.y])
    together = fitted("log_loss", data.X, Y).summary(data.X, Y)
    assert (together.output, together.outputs) == ("label", [0, 1])
    alone = fitted("log_loss", data.X, first).summary(data.X, first)
    np.testing.assert_allclose(together.covariance[0], alone.covariance, rtol=1e-8)


def test_distributions_over_outputs_are_compared_with_the_first(data):
    rng = np.random.default_rng(1)
    Y = rng.dirichlet([2.0, 3.0, 4.0], len(data.X))
    model = fitted("kl_div", data.X, Y)
    summary = model.summary(data.X, Y)
    assert "differences to output 0" in summary.title
    np.testing.assert_array_equal(summary.coef[:, 1:], model.coef_[1:] - model.coef_[0])


# ----------------------------------------------------------------------- rows, weights


@pytest.mark.parametrize("cov_type", ["nonrobust", *ROBUST])
def test_weights_of_zero_are_rows_left_out(data, cov_type):
    w = data.w - 1
    keep = w > 0
    model = fitted("gamma", data.X, data.targets["gamma"], w)
    arguments, _ = data.given(cov_type)
    whole = model.summary(data.X, data.targets["gamma"], w, **arguments)
    if cov_type == "cluster":
        arguments["groups"] = np.array([f"group {g}" for g in data.groups[keep]])
    rest = data.X[keep], data.targets["gamma"][keep]
    part = model.summary(*rest, 5 * w[keep], **arguments)
    np.testing.assert_allclose(part.covariance, whole.covariance, rtol=1e-9)
    assert part.title == whole.title


@pytest.mark.parametrize("cov_type", ["HC3", "cluster"])
@pytest.mark.parametrize("coupled", [False, True])
def test_blocks_and_dtypes_do_not_matter(data, monkeypatch, cov_type, coupled):
    X = data.X.astype(np.float32)
    y = data.classes if coupled else data.targets["log_loss"]
    arguments, _ = data.given(cov_type)
    model = fitted("log_loss", X, y)
    whole = model.summary(X.astype(float), y, **arguments)
    monkeypatch.setattr("skgrad.estimators.scaling.BLOCK_BYTES", 100)
    blocks = model.summary(X, y, **arguments)
    np.testing.assert_allclose(blocks.covariance, whole.covariance, rtol=1e-9)


def test_class_weights_are_those_of_the_fit(data):
    y = data.targets["log_loss"]
    model = fitted("log_loss", data.X, y, class_weight={0: 1.0, 1: 3.0})
    theirs = fitted("log_loss", data.X, y, 1.0 + 2 * y)
    ours = model.summary(data.X, y)
    assert "covariance HC1" in ours.title
    expected = theirs.summary(data.X, y, 1.0 + 2 * y, cov_type="HC1")
    np.testing.assert_allclose(ours.covariance, expected.covariance, rtol=1e-9)
    with pytest.raises(ParameterError, match="class_weight makes weights"):
        model.summary(data.X, y, cov_type="nonrobust")


def test_defaults_and_names(data):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(data.X, columns=["a", "b", "c"])
    model = fitted("squared_error", frame, data.y)
    assert model.summary(frame, data.y).names == ("intercept", "a", "b", "c")
    assert "covariance nonrobust" in model.summary(frame, data.y).title
    grouped = model.summary(frame, data.y, groups=data.groups)
    assert grouped.title.endswith("covariance cluster; 20 groups")
    assert grouped.df == 19
    assert model.summary(frame, data.y, cov_type="HC3").df == 146
    tweedie = fitted(Tweedie(power=1.2), frame, data.targets["tweedie"])
    summary = tweedie.summary(frame, data.targets["tweedie"])
    assert "covariance nonrobust" in summary.title
    assert summary.df == np.inf


# --------------------------------------------------------------------------- refusals


def test_refusals_of_models(data):
    X, y = data.X, data.y
    with pytest.raises(NotFittedError):
        GradientLinearRegressor().summary(X, y)
    with pytest.raises(ParameterError, match=r"penalty alpha=0\.1 .* Fit with alpha=0"):
        fitted("squared_error", X, y, alpha=0.1).summary(X, y)
    bounded = fitted("squared_error", X, y, bounds={0: (10, None)}, optimizer="lbfgs")
    with pytest.raises(ParameterError, match="features 0 lie at a bound"):
        bounded.summary(X, y)
    classes = data.targets["log_loss"]
    hinge = GradientLinearClassifier(loss="hinge", alpha=0.0).fit(X, classes)
    with pytest.raises(ParameterError, match=r"'hinge' is straight .* QuantileRegr"):
        hinge.summary(X, classes)
    own = fitted(lambda y, f: abs(y - f), X, y, optimizer="lbfgs", tol=None, max_iter=9)
    with pytest.raises(ValueError, match="no curvature at the predictions"):
        own.summary(X, y)
    apart = fitted("log_loss", X, X[:, 0] > 0, max_iter=20, tol=None)
    with pytest.raises(ValueError, match="the classes are separated"):
        apart.summary(X, X[:, 0] > 0)


def test_refusals_of_arguments(data):
    X, y = data.X, data.y
    model = fitted("squared_error", X, y)
    with pytest.raises(ParameterError, match=r"'cov_type' .*Regressor\.summary .*HC9"):
        model.summary(X, y, cov_type="HC9")
    with pytest.raises(ParameterError, match=r"'level' .* Got 95 instead"):
        model.summary(X, y, level=95)
    with pytest.raises(ParameterError, match="cov_type='cluster' and no groups"):
        model.summary(X, y, cov_type="cluster")
    with pytest.raises(ParameterError, match="cov_type='HC0' and groups"):
        model.summary(X, y, cov_type="HC0", groups=data.groups)
    with pytest.raises(ParameterError, match="of one group, 7,"):
        model.summary(X, y, groups=np.full(len(y), 7))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.summary(X, y, groups=data.groups[1:])
    own = fitted(half_squares, X, y)
    with pytest.raises(ParameterError, match="'half_squares' is not known to be a lik"):
        own.summary(X, y, cov_type="nonrobust")
    with pytest.raises(ValueError, match=r"4 rows .* for 4 coefficients"):
        model.summary(X[:4], y[:4])
    Y = np.column_stack([y, y**2])
    with pytest.raises(ValueError, match=r"shape \(150,\), but .* 2 columns"):
        fitted("squared_error", X, Y).summary(X, y)


def test_refusals_of_rows(data):
    X, y = data.X, data.y
    twice = np.column_stack([X, X[:, 0] - 2 * X[:, 2]])
    with pytest.raises(ValueError, match="columns 'x0', 'x2', 'x3' of X are"):
        GradientLinearRegressor().fit(twice, y).summary(twice, y)
    alone = np.column_stack([X, np.arange(len(y)) == 7])
    model = GradientLinearRegressor().fit(alone, y)
    with pytest.raises(ValueError, match=r"Row 7 .* leverage 1 .* Use cov_type='HC1'"):
        model.summary(alone, y, cov_type="HC3")
    assert np.isfinite(model.summary(alone, y, cov_type="HC1").standard_errors).all()
    # As NIST's Filip: a polynomial whose columns float64 cannot tell apart.
    powers = np.linspace(-9, -3, 82)[:, None] ** np.arange(1, 11)
    model = GradientLinearRegressor().fit(powers, powers[:, 0])
    with pytest.raises(ValueError, match="dependent, or too nearly so for float64"):
        model.summary(powers, powers[:, 0])


def test_coefficients_away_from_the_minimum_are_reported(data):
    X, y = data.X, data.y
    model = GradientLinearRegressor(optimizer="adam", max_iter=5, random_state=0)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    with pytest.warns(FitWarning, match="standard errors away") as seen:
        model.summary(X, y)
    assert seen[0].filename == __file__
    with pytest.warns(FitWarning, match="Pass the rows and weights of the fit"):
        fitted("squared_error", X, y).summary(X[:100], y[:100])


# ------------------------------------------------------------------------- simulation


@pytest.mark.long
@pytest.mark.parametrize("cov_type", ["nonrobust", "HC3", "cluster"])
def test_intervals_cover_the_truth(cov_type):
    """As often as they say, up to three standard errors of the share.

    Errors spread with x, which the classical table does not see, or belong to groups.
    """
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    covered = []
    for _ in range(400):
        x = rng.normal(size=40)[groups] + 0.3 * rng.normal(size=200)
        error = np.abs(x) * rng.normal(size=200)
        if cov_type == "cluster":
            error = rng.normal(size=40)[groups] + rng.normal(size=200)
        y = 1 + x + error
        model = GradientLinearRegressor().fit(x[:, None], y)
        given = {"groups": groups} if cov_type == "cluster" else {}
        summary = model.summary(x[:, None], y, cov_type=cov_type, level=0.9, **given)
        low, high = summary.intervals[1]
        covered.append(low < 1 < high)
    enough = np.mean(covered) > 0.9 - 3 * np.sqrt(0.09 / 400)
    assert enough == (cov_type != "nonrobust")
