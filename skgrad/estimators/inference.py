"""Standard errors of linear models with any loss that has second derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skgrad.core.checks import check_interval, shown
from skgrad.estimators.multilabel import PerLabel
from skgrad.estimators.sample import Sample, check_free, check_option
from skgrad.estimators.sandwich import POWERS, Sandwich, derivatives
from skgrad.estimators.summary import CoefficientSummary
from skgrad.exceptions import ParameterError
from skgrad.losses import (
    Gamma,
    GaussianNLL,
    KinkedLoss,
    LogLoss,
    Loss,
    Poisson,
    SquaredError,
    StudentTNLL,
    Tweedie,
)
from skgrad.typing import Array

__all__ = ["linear_summary"]

# Losses that are, up to a constant, a negative log-likelihood; the first ones times a
# dispersion that is estimated.
DISPERSED = (SquaredError, Gamma, Tweedie)
LIKELIHOODS = (*DISPERSED, Poisson, LogLoss, GaussianNLL, StudentTNLL)
TYPES = ("auto", "nonrobust", *POWERS, "cluster")


def linear_summary(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    cov_type: str = "auto",
    groups: Any = None,
    level: float = 0.95,
) -> CoefficientSummary:
    """Return coefficients with standard errors, tests and confidence intervals.

    With x the inputs of a row, a one for the intercept among them, s and d the first
    and second derivative of its loss with respect to the raw prediction and w its
    weight, the covariance of the coefficients is a sandwich of sums over rows (Huber
    1967; White 1980):

        H = sum(w d x xᵀ),    J = sum(w² s² x xᵀ),    covariance = H⁻¹ J H⁻¹

    The engine gives s and d of any loss, your own function included. With n rows, p
    coefficients, G groups and the leverage h = w d xᵀ H⁻¹ x of a row

    =============== ==================================================================
    ``"nonrobust"`` φ H⁻¹: the loss is a likelihood, and the targets are as it says. φ
                    is the sum of w s² / d over n - p for squared error, gamma and
                    tweedie, and 1 for the others.
    ``"HC0"``       the sandwich
    ``"HC1"``       times n / (n - p)
    ``"HC2"``       s / sqrt(1 - h) instead of s
    ``"HC3"``       s / (1 - h) instead of s: nearly the jackknife
    ``"cluster"``   J = sum(t tᵀ), t = the sum of w s x over a group, times
                    G / (G - 1) · (n - 1) / (n - p) (Liang and Zeger 1986)
    =============== ==================================================================

    The robust ones hold whether or not errors have equal variances; ``"cluster"`` even
    where those of a group depend on each other, if there are some tens of groups.

    Parameters
    ----------
    estimator : estimator
        A fitted linear model, without penalty.
    X : array-like of shape (n_samples, n_features)
        The inputs it was fitted to, which it does not keep.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets it was fitted to.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights it was fitted with. Each row is one observation, however large its
        weight, as in statsmodels' ``WLS``: only their ratios matter. The exception is
        "nonrobust" with φ = 1, where an integer weight is a repeated row.
    cov_type : str, default="auto"
        One of the table. "auto" is "cluster" with groups, otherwise "nonrobust" where
        the loss is a likelihood ("squared_error", "poisson", "gamma", "tweedie",
        "log_loss", "gaussian_nll", "student_t_nll") and there is no class_weight, and
        "HC1" for any other loss.
    groups : array-like of shape (n_samples,), default=None
        The group of each row, of any dtype, for "cluster".
    level : float, default=0.95
        Coverage of the confidence intervals, in (0, 1).

    Returns
    -------
    CoefficientSummary
        Arrays that print as a table; ``to_frame()`` for pandas. Tests and intervals of
        squared error use the t distribution with n - p degrees of freedom ("cluster":
        G - 1), those of all other losses the normal distribution (z).

    Raises
    ------
    ParameterError
        If a parameter is outside its domain; if the model has a penalty, coefficients
        at a bound, or a loss without second derivatives; if `cov_type` and the loss or
        `groups` do not fit.
    ValueError
        If there are fewer rows than coefficients, columns are linearly dependent, the
        loss has no curvature at the predictions, classes are separated, or a leverage
        is 1.

    Warns
    -----
    FitWarning
        If coefficients are more than 0.01 standard errors from the minimum of the loss
        over these rows, by one Newton step.

    Notes
    -----
    Names and numbers are those of statsmodels' ``OLS`` and ``WLS`` (``use_t=True``),
    ``GLM``, ``Logit`` and ``MNLogit``; for the last three its "HC1" to "HC3" are
    "HC0". As there, "nonrobust" of a deviance takes the expected d.

    Outputs that a loss separates have each a covariance and p coefficients of their
    own. For others d and h are matrices, and p counts the coefficients of all outputs.
    A loss that depends only on the differences of outputs, as that of three classes or
    more, leaves their level open: the table then holds differences to the first.

    Where the second derivative of a loss jumps ("huber", "expectile", "squared_hinge")
    formulas hold as long as few rows lie at a jump.

    References
    ----------
    Huber, P. J. (1967). The behavior of maximum likelihood estimates under nonstandard
    conditions. Proc. Fifth Berkeley Symposium 1, 221-233.
    White, H. (1980). A heteroskedasticity-consistent covariance matrix estimator and a
    direct test for heteroskedasticity. Econometrica 48, 817-838.
    MacKinnon, J. G. and White, H. (1985). Some heteroskedasticity-consistent covariance
    matrix estimators with improved finite sample properties. J. Econometrics 29,
    305-325 (HC1, HC2, HC3).
    Liang, K.-Y. and Zeger, S. L. (1986). Longitudinal data analysis using generalized
    linear models. Biometrika 73, 13-22.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import GradientLinearRegressor
    >>> X = np.arange(50.0).reshape(-1, 1)
    >>> y = 1 + 2 * X[:, 0] + X[:, 0] * np.sin(7 * X[:, 0])
    >>> GradientLinearRegressor().fit(X, y).summary(X, y, cov_type="HC3")
    squared_error of 50 rows; covariance HC3
               estimate  std error        t    P>|t|  2.5 %  97.5 %
    intercept   -0.3926      3.455  -0.1136   0.9100  -7.34   6.555
    x0             2.09     0.2146     9.74  <0.0001  1.659   2.522
    """
    owner = f"{type(estimator).__name__}.summary"
    check_is_fitted(estimator)
    check_interval(owner, "level", level, 0, 1)
    loss: Loss = estimator._loss
    cov_type = _chosen(estimator, owner, loss, cov_type, groups)
    check_free(estimator, owner, "Fit with alpha=0, and bounds that are not reached.")
    sample, raw, codes = _read(estimator, owner, X, y, sample_weight, groups)
    if hasattr(estimator, "classes_"):
        _check_overlap(owner, loss, sample.y, raw)
    slopes, second = derivatives(loss, sample.y, raw)
    dispersed = type(loss) in DISPERSED
    if cov_type == "nonrobust" and dispersed:
        _, second = derivatives(loss, loss.inverse_link(raw), raw)
    word, outputs = _outputs(estimator, loss, len(sample.parameters))
    title = f"{loss.name} of {sample.n} rows; covariance {cov_type}"
    parameters = sample.parameters
    if _depends_on_differences(slopes, second):
        slopes, second = slopes[:, 1:], second[:, 1:, 1:]
        parameters = parameters[1:] - parameters[0]
        title += f"; differences to {word} {outputs[0]}"
        outputs = outputs[1:]
    if codes is not None:
        title += f"; {codes.max() + 1} groups"
    sandwich = Sandwich(sample, loss.name, cov_type, codes, dispersed)
    covariances = sandwich.covariances(slopes, second)
    one = len(parameters) == 1
    return CoefficientSummary(
        names=sample.names,
        coef=parameters[0] if one else parameters,
        covariance=covariances[0] if one else covariances,
        df=sandwich.df if type(loss) is SquaredError else np.inf,
        level=level,
        output="" if one else word,
        outputs=() if one else outputs,
        title=title,
    )


def _chosen(estimator: Any, owner: str, loss: Loss, cov_type: str, groups: Any) -> str:
    """Return the type of covariance, or say why the loss has not got it."""
    check_option(owner, "cov_type", cov_type, TYPES)
    if isinstance(loss, KinkedLoss):
        raise ParameterError(
            f"{owner}: the loss {loss.name!r} is straight between kinks, and so has no "
            "second derivatives to estimate standard errors with. For quantiles and "
            "absolute error use QuantileRegressor and its summary, for classes "
            "loss='log_loss' or 'squared_hinge'."
        )
    plain = getattr(estimator, "class_weight", None) is None
    kind = type(loss.loss if isinstance(loss, PerLabel) else loss)
    likelihood = plain and kind in LIKELIHOODS
    if cov_type == "auto":
        robust = "HC1" if groups is None else "cluster"
        return "nonrobust" if likelihood and groups is None else robust
    if (cov_type == "cluster") != (groups is not None):
        got = "no groups" if groups is None else "groups"
        raise ParameterError(
            f"{owner}: cov_type='cluster' and groups belong together. Got "
            f"cov_type={cov_type!r} and {got}. Pass the group of each row with "
            "cov_type='cluster', or no groups with another."
        )
    if cov_type == "nonrobust" and not likelihood:
        why = "class_weight makes weights that count nothing"
        if plain:
            why = f"the loss {loss.name!r} is not known to be a likelihood"
        raise ParameterError(
            f"{owner}: {why}, and so the inverse of the Hessian alone is no "
            "covariance. Use cov_type='HC1'."
        )
    return cov_type


def _read(
    estimator: Any, owner: str, X: Any, y: Any, sample_weight: Any, groups: Any
) -> tuple[Sample, Array, Array | None]:
    """Return rows as the fit saw them, their raw predictions and numbers of groups."""
    loss, dtype = estimator._loss, estimator._compute_dtype()
    rows = estimator._rows(X, y, sample_weight, groups, dtype=dtype, reset=False)
    estimator._check_domain(loss, rows.y)
    rows = estimator._weighted_by_class(rows)
    targets, columns = estimator._encode(rows.y, loss)
    sample = Sample.of(estimator, rows.X, targets, rows.w)
    k = len(sample.parameters)
    if (columns or 1) != k:
        raise ValueError(
            f"y has shape {rows.y.shape}, but the model was fitted to targets with "
            f"{k // loss.raw_per_target} columns. Pass the y of the fit."
        )
    raw = sample.fitted()[0] if columns is None else sample.fitted().T
    codes = None if rows.groups is None else _codes(owner, rows.groups)
    return sample, raw, codes


def _check_overlap(owner: str, loss: Loss, y: Array, raw: Array) -> None:
    """Refuse classes that the model tells apart in every row: see Albert and Anderson.

    A. Albert and J. A. Anderson, On the existence of maximum likelihood estimates in
    logistic regression models, Biometrika 71 (1984) 1-10.
    """
    if loss.link not in ("logit", "multinomial_logit"):
        return
    if raw.ndim == y.ndim:  # two classes, or labels
        right = ((raw > 0) == (y > 0)).all(axis=0)
    else:
        right = (raw.argmax(axis=1) == y).all()
    if np.any(right):
        raise ValueError(
            f"{owner}: the classes are separated, every row is classified correctly, "
            f"and so the loss {loss.name!r} falls for ever as coefficients grow: they "
            "have no standard errors. Leave out the features that give the classes "
            "away."
        )


def _codes(owner: str, groups: Array) -> Array:
    """Return groups as numbers 0, 1, ...; one group is none."""
    found, codes = np.unique(groups, return_inverse=True)
    if len(found) > 1:
        return codes
    raise ParameterError(
        f"{owner}: all rows are of one group, {shown(found[0])}, and how groups differ "
        "cannot be told from one. Pass groups with two values or more, or use "
        "cov_type='HC1'."
    )


def _depends_on_differences(slopes: Array, second: Array) -> bool:
    """Tell whether a number added to all outputs leaves the loss as it is."""
    if second.ndim == 2:
        return False
    sums = slopes.sum(axis=1), second.sum(axis=2)
    largest = np.abs(slopes).max(), np.abs(second).max()
    return all(
        np.abs(x).max() <= 1e-10 * top for x, top in zip(sums, largest, strict=True)
    )


def _outputs(estimator: Any, loss: Loss, k: int) -> tuple[str, list[Any]]:
    """Return what outputs are told apart by, and their names."""
    if hasattr(estimator, "classes_"):
        word = "label" if isinstance(loss, PerLabel) else "class"
        return word, estimator.classes_.tolist()
    if loss.raw_per_target == 1:
        return "output", list(range(k))
    m = k // loss.raw_per_target
    names = ["location", "log scale"]
    return "parameter", [f"{a} {j}" if m > 1 else a for a in names for j in range(m)]
