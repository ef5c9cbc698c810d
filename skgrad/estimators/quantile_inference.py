"""Standard errors of linear quantile regression."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.special import ndtri
from sklearn.utils.validation import check_is_fitted, validate_data

from skgrad.core.checks import check_integer, check_interval
from skgrad.estimators.bootstrap import REPLICATES, bootstrap, refit
from skgrad.estimators.densities import BANDWIDTHS, KERNELS, Bandwidth, Kernel
from skgrad.estimators.design import is_singular
from skgrad.estimators.sample import Sample, check_free, check_option
from skgrad.estimators.sklearn_private import check_sample_weight
from skgrad.estimators.summary import CoefficientSummary
from skgrad.typing import Array

__all__ = ["quantile_summary"]

TITLES = {
    "kernel": "kernel estimates of local densities",
    "hendricks_koenker": "densities from neighbouring quantiles",
    "robust": "one density for all rows, residuals' own signs",
    "iid": "independent errors of one distribution",
    "bootstrap": "bootstrap of rows",
    "wild_bootstrap": "wild bootstrap of errors",
}


def quantile_summary(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    method: str = "kernel",
    level: float = 0.95,
    kernel: str = "epanechnikov",
    bandwidth: str = "hall_sheather",
    n_bootstrap: int = 200,
    random_state: Any = None,
    n_jobs: int | None = None,
) -> CoefficientSummary:
    """Return coefficients of quantile regression with standard errors and intervals.

    The covariance of the coefficients of quantile q is a sandwich of two sums over
    rows (Koenker 2005, section 3.4), with the density f of y at its quantile and the
    slope s = q - [y < prediction] of the loss, of variance q (1 - q):

        H = sum(w f x xᵀ),    J = sum(w² s² x xᵀ),    covariance = H⁻¹ J H⁻¹

    Methods differ in f and s²:

    ======================= ======================================== ==========
    method                  f                                        s²
    ======================= ======================================== ==========
    ``"kernel"``            K(e / h) / h of each row (Powell 1991)   q (1 - q)
    ``"hendricks_koenker"`` 2 b / (its quantile q + b minus q - b)   q (1 - q)
    ``"robust"``            mean of K(e / h) / h over rows           of the row
    ``"iid"``               mean of K(e / h) / h over rows           q (1 - q)
    ======================= ======================================== ==========

    Parameters
    ----------
    estimator : estimator
        A fitted linear quantile regression: ``coef_``, ``intercept_``, ``quantile``.
    X : array-like of shape (n_samples, n_features)
        The inputs it was fitted to, which it does not keep.
    y : array-like of shape (n_samples,)
        The targets it was fitted to.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights it was fitted with. Only their ratios matter: each row is one
        observation, however large its weight. Rows that stand for several are
        repeated, not weighted.
    method : str, default="kernel"
        One of the table, ``"bootstrap"`` (of rows) or ``"wild_bootstrap"`` (of errors).
        Where errors spread more for some x than for others, ``"robust"`` and ``"iid"``
        are wrong, however many rows there are.
    level : float, default=0.95
        Coverage of the confidence intervals, in (0, 1).
    kernel : str, default="epanechnikov"
        K: ``"biweight"``, ``"cosine"``, ``"epanechnikov"``, ``"gaussian"``,
        ``"parzen"`` or ``"uniform"``.
    bandwidth : {"hall_sheather", "bofinger", "chamberlain"}, default="hall_sheather"
        b, in probability; halved until q - b and q + b are quantiles. h follows from it
        and the spread of the residuals e.
    n_bootstrap : int, default=200
        Number of refits of a bootstrap.
    random_state : int, RandomState or None, default=None
        Seed of a bootstrap.
    n_jobs : int or None, default=None
        Processes that refit, as everywhere in scikit-learn. The result does not depend
        on it.

    Returns
    -------
    CoefficientSummary
        Arrays that print as a table; ``to_frame()`` for pandas. Tests and intervals
        use the t distribution with n - p degrees of freedom.

    Raises
    ------
    ParameterError
        If a parameter is outside its domain; if the model has a penalty, or
        coefficients at a bound, and the method is no bootstrap.
    ValueError
        If there are fewer rows than coefficients, columns are linearly dependent, or
        residuals do not allow to estimate a density.

    Notes
    -----
    With ``kernel="gaussian"`` the method ``"kernel"`` is ``se="ker"`` of R's quantreg,
    ``"hendricks_koenker"`` is its ``se="nid"``. ``"robust"`` and ``"iid"`` are the
    ``vcov`` of statsmodels. A bootstrap of a penalised model says how its coefficients
    vary, not how far they are from those without a penalty.

    References
    ----------
    Koenker, R. (2005). Quantile Regression. Cambridge University Press.
    Powell, J. L. (1991). Estimation of monotonic regression models under quantile
    restrictions. In: Nonparametric and Semiparametric Methods in Econometrics.
    Hendricks, W. and Koenker, R. (1992). Hierarchical spline models for conditional
    quantiles and the demand for electricity. JASA 87, 58-68.
    Hall, P. and Sheather, S. J. (1988). On the distribution of a studentized quantile.
    JRSS B 50, 381-391.
    Feng, X., He, X. and Hu, J. (2011). Wild bootstrap for quantile regression.
    Biometrika 98, 995-999.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import QuantileRegressor
    >>> from skgrad.estimators.quantile_inference import quantile_summary
    >>> X = np.arange(50.0).reshape(-1, 1)
    >>> y = 1 + 2 * X[:, 0] + X[:, 0] * np.sin(7 * X[:, 0])
    >>> model = QuantileRegressor(alpha=0).fit(X, y)
    >>> quantile_summary(model, X, y)
    Quantile regression of 50 rows; kernel estimates of local densities
    quantile             estimate  std error       t    P>|t|   2.5 %  97.5 %
    0.5       intercept         1      6.361  0.1572   0.8757  -11.79   13.79
              x0            2.124     0.3808   5.577  <0.0001   1.358   2.889
    """
    owner = f"{type(estimator).__name__}.summary"
    check_option(owner, "method", method, TITLES)
    check_option(owner, "kernel", kernel, KERNELS)
    check_option(owner, "bandwidth", bandwidth, BANDWIDTHS)
    check_interval(owner, "level", level, 0, 1)
    check_integer(owner, "n_bootstrap", n_bootstrap, low=2)
    sample = _validated(estimator, X, y, sample_weight)
    # Parameters may name features: such an estimator is refitted to a frame.
    inputs = X if hasattr(estimator, "feature_names_in_") else sample.design.X
    levels = np.atleast_1d(estimator.quantile).astype(np.float64)
    if method in REPLICATES:
        covariances = bootstrap(
            estimator,
            inputs,
            sample.y,
            sample.w,
            sample.fitted(),
            method=method,
            n_bootstrap=n_bootstrap,
            random_state=random_state,
            n_jobs=n_jobs,
        )
    else:
        remedy = "Use method='bootstrap', or fit without it."
        check_free(estimator, owner, f"{remedy} Got method={method!r}.")
        refitted = partial(refit, estimator, inputs, sample.y, sample.w)
        choice = refitted, method, KERNELS[kernel], BANDWIDTHS[bandwidth]
        covariances = np.array(
            [
                _sandwich(sample, q, predicted, *choice)
                for q, predicted in zip(levels, sample.fitted(), strict=True)
            ]
        )
    one = np.ndim(estimator.quantile) == 0
    n, p = sample.n, sample.parameters.shape[1]
    return CoefficientSummary(
        names=sample.names,
        coef=sample.parameters[0] if one else sample.parameters,
        covariance=covariances[0] if one else covariances,
        df=n - p,
        level=level,
        output="quantile",
        outputs=tuple(levels.tolist()),
        title=f"Quantile regression of {n} rows; {TITLES[method]}",
    )


def _validated(estimator: Any, X: Any, y: Any, sample_weight: Any) -> Sample:
    """Return the rows of any linear model that is fitted as scikit-learn's are."""
    check_is_fitted(estimator)
    dtypes = [np.float64, np.float32]
    X, y = validate_data(estimator, X, y, dtype=dtypes, y_numeric=True, reset=False)
    w = check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True
    )
    return Sample.of(estimator, X, np.asarray(y, dtype=np.float64), w)


def _sandwich(
    sample: Sample,
    q: float,
    predicted: Array,
    refitted: Callable[..., Array],
    method: str,
    kernel: Kernel,
    bandwidth: Bandwidth,
) -> Array:
    """Return the covariance of the coefficients of one quantile."""
    b = bandwidth(sample.n, q)
    while not 0 < q - b < q + b < 1:
        b /= 2
    e = sample.y - predicted
    if method == "hendricks_koenker":
        density = _between_quantiles(sample, refitted, q, b)
    else:
        h = (ndtri(q + b) - ndtri(q - b)) * _spread(sample, e, q, method)
        density = kernel(e / h) / h
    if method in ("robust", "iid"):
        density = np.full_like(e, np.average(density, weights=sample.w))
    slope = np.full_like(e, q * (1 - q))
    if method == "robust":
        # A row on the plane is above it or below by rounding alone.
        apart = np.abs(e) > 100 * np.spacing(np.abs(sample.y).max())
        slope[apart] = np.where(e > 0, q**2, (1 - q) ** 2)[apart]
    values, vectors = np.linalg.eigh(sample.design.gram(sample.w * density))
    near = np.count_nonzero(sample.w * density)
    # The plane goes through as many rows as it has coefficients: they say nothing.
    if near <= len(values) or is_singular(values):
        raise ValueError(
            f"The density at quantile {q:g} cannot be estimated: {near} of {sample.n} "
            f"rows are near enough, for {len(values)} coefficients. Use "
            "method='bootstrap', kernel='gaussian', or more rows."
        )
    inverse = vectors / values @ vectors.T
    return sample.design.original(
        inverse @ sample.design.gram(sample.w**2 * slope) @ inverse
    )


def _between_quantiles(
    sample: Sample, refitted: Callable[..., Array], q: float, b: float
) -> Array:
    """Return the density of each row from the quantiles at q - b and q + b."""
    low, high = refitted(quantile=[q - b, q + b])
    width = sample.design.predict(high) - sample.design.predict(low)
    # Where they cross they say nothing; R's quantreg leaves out such rows too.
    positive = width > 0
    return np.divide(2 * b, width, out=np.zeros_like(width), where=positive)


def _spread(sample: Sample, e: Array, q: float, method: str) -> float:
    """Return the robust scale of residuals that the bandwidth is a multiple of."""
    e, y = e[sample.w > 0], sample.y[sample.w > 0]
    quartiles = np.subtract(*np.percentile(e, [75, 25])) / 1.34
    # R's quantreg takes the deviation of the residuals, statsmodels that of y; either
    # is rarely the smaller one.
    deviation = e.std(ddof=1) if method == "kernel" else y.std()
    if quartiles > 0:
        return min(deviation, quartiles)
    raise ValueError(
        f"Half of the residuals of quantile {q:g} are the same, and so there is no "
        "density to estimate. Use method='bootstrap'."
    )
