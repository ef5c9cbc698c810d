"""Regularisation paths with cross-validation: the elastic net for any smooth loss."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skgrad.estimators.fitting import Fitting, Rows
from skgrad.estimators.linear import BaseGradientLinear
from skgrad.estimators.parameters import documented
from skgrad.estimators.path_solver import (
    CoordinateDescent,
    has_row_numbers,
    on_user_scale,
)
from skgrad.estimators.sklearn_private import Interval, num_samples
from skgrad.estimators.targets import GradientClassifierMixin, GradientRegressorMixin
from skgrad.exceptions import ParameterError
from skgrad.losses import KinkedLoss, Loss
from skgrad.typing import Array

__all__ = ["GradientElasticNetCV", "GradientElasticNetClassifierCV"]


class BaseElasticNetCV(BaseGradientLinear):
    """Base of the paths: what a fit of one strength has and these have not."""

    _own_constraints: ClassVar[dict[str, list[Any]]] = {
        "l1_ratio": [Interval(Real, 0, 1, closed="both"), "array-like"],
        "tol": [Interval(Real, 0, None, closed="neither")],
    }
    _is_path: ClassVar[bool] = True
    _takes_sparse: ClassVar[bool] = True
    _if_kinked: ClassVar[str] = ""  # what to do then
    optimizer: ClassVar[str] = "auto"
    warm_start: ClassVar[bool] = False
    early_stopping: ClassVar[bool] = False
    refit: ClassVar[None] = None
    clip_norm: ClassVar[None] = None
    max_time: ClassVar[None] = None
    random_state: ClassVar[int] = 0

    def _penalty(self) -> tuple[float, float]:
        # While it fits, the penalty is the solver's.
        return getattr(self, "alpha_", 0.0), getattr(self, "l1_ratio_", 0.0)

    def _make_solver(self, loss: Loss, module: Any) -> CoordinateDescent:
        if isinstance(loss, KinkedLoss):
            raise ParameterError(
                f"The 'loss' parameter of {type(self).__name__} must be smooth. Got "
                f"{loss.name!r}, which has a kink. {self._if_kinked}"
            )
        return CoordinateDescent()

    def _rows(self, X, y, sample_weight, groups=None, *, dtype, reset) -> Rows:
        if has_row_numbers(self.cv):
            groups = np.arange(num_samples(X))  # rows of weight zero will be left out
        return super()._rows(X, y, sample_weight, groups, dtype=dtype, reset=reset)

    # --- after the fit ------------------------------------------------------------

    def _store(self, fit, work, final, model, proceed) -> None:
        super()._store(fit, work, final, model, proceed)
        found: CoordinateDescent = work.solver
        path, held_out = found.path, found.held_out
        self.alpha_, self.l1_ratio_ = found.alpha, found.l1_ratio
        self.alphas_ = path.strengths
        self.alpha_min_ = float(self.alphas_[found.best])
        self.alpha_1se_ = float(self.alphas_[found.first])
        coef, intercept = on_user_scale(work, path)
        single = work.objective.n_outputs is None
        self.coef_path_ = coef[:, 0] if single else coef
        self.intercept_path_ = intercept[:, 0] if single else intercept
        self.explained_ = path.explained
        self.residual_ = float(found.final.residual[0])
        table, mean, error = held_out.table[0], held_out.mean[0], held_out.error[0]
        if self.scoring == "loss":
            self.loss_path_, self.mean_loss_, self.loss_error_ = table, mean, error
        else:
            self.score_path_, self.mean_score_, self.score_error_ = table, mean, error

    def coefficients_at(self, alpha):
        """Return coefficients and intercept of a strength, between those of the path.

        Parameters
        ----------
        alpha : float
            The strength. Between two strengths of the path the solutions are
            interpolated, which is exact for squared error with ``l1_ratio=1`` as long
            as the same coefficients are zero; outside of it the nearest is taken.

        Returns
        -------
        coef : ndarray of shape (n_features,) or (n_outputs, n_features)
            As ``coef_``.
        intercept : float or ndarray of shape (n_outputs,)
            As ``intercept_``.

        Raises
        ------
        ParameterError
            If `alpha` is negative or no number.
        """
        check_is_fitted(self)
        if not (isinstance(alpha, Real) and float(alpha) >= 0):
            raise ParameterError(
                f"The strength alpha must be a number >= 0. Got {alpha!r}."
            )
        rising = self.alphas_[::-1]
        at = np.interp(float(alpha), rising, np.arange(len(rising))[::-1].astype(float))
        first = int(np.floor(at))
        part, then = at - first, min(first + 1, len(rising) - 1)

        def between(values: Array) -> Array:
            return (1 - part) * values[first] + part * values[then]

        return self._coefficients(
            np.atleast_2d(between(self.coef_path_)),
            np.atleast_1d(between(self.intercept_path_)),
        )


_OWN = {
    "l1_ratio": """float in [0, 1] or sequence of float, default={default}
        Part of L1 in the penalty; of several the best is chosen with the strength.""",
    "tol": """float, default={default}
        How far slopes may be from balancing the penalty where the path starts, relative
        to the largest slope of the model without penalised coefficients. It falls with
        the square root of the strength, which makes duality gaps more alike, to 3 % of
        this at most. The chosen model is solved to 1e-8 at least.""",
    "max_iter": """int, default={default}
        Largest number of steps for each strength.""",
    "scoring": """str or callable, default={default}
        What the held-out rows are compared by: "loss" (small is good), weighted by
        ``sample_weight`` and classes as in the fit, or any scikit-learn scorer (large
        is good), weighted by ``sample_weight``. A scorer predicts anew for each
        strength and fold.""",
}

# Fitted attributes of both, for k outputs or classes.
_FOUND = """alpha_ : float
        The chosen strength.
    l1_ratio_ : float
        The chosen part of L1.
    alphas_ : ndarray of shape (n_alphas,)
        The strengths, decreasing. There may be fewer than were asked for: a path ends
        where the loss hardly changes any more.
    coef_path_ : ndarray of shape (n_alphas, n_features) or (n_alphas, {k}, \
n_features)
        Coefficients for each strength, for ``l1_ratio_``.
    intercept_path_ : ndarray of shape (n_alphas,) or (n_alphas, {k})
        Intercepts for each strength.
    loss_path_ : ndarray of shape (n_alphas, n_folds)
        Mean loss of the held-out rows; with another `scoring` it is ``score_path_``.
    mean_loss_, loss_error_ : ndarray of shape (n_alphas,)
        Its mean over the folds, weighted by their rows, and the standard error; with
        another `scoring` ``mean_score_, score_error_``.
    alpha_min_, alpha_1se_ : float
        The strength with the best mean loss or score, and the largest whose mean is
        within one standard error of it.
    explained_ : ndarray of shape (n_alphas,)
        Part of the training loss of the model without penalised coefficients that each
        model takes away.
    residual_ : float
        How far the chosen model is from the minimum, in the units of `tol`.
    """


@documented(attributes=_FOUND.format(k="n_outputs"), **_OWN)
class GradientElasticNetCV(GradientRegressorMixin, BaseElasticNetCV):
    """Linear regression with an elastic net, its strength chosen by cross-validation.

    Minimises ``mean_i(w_i * loss(y_i, x_i @ coef + intercept)) + alpha * (l1_ratio *
    |c|_1 + (1 - l1_ratio) / 2 * |c|²)`` for a decreasing sequence of alpha, for any
    smooth loss, as :class:`~sklearn.linear_model.ElasticNetCV` and R's glmnet do for
    some. Computed in float64.

    {parameters}

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Coefficients of the chosen model on the original scale.
    intercept_ : float or ndarray of shape (n_outputs,)
        Its intercept; 0 if ``fit_intercept=False``.
    {attributes}

    Notes
    -----
    A path has a solver of its own: see :func:`skgrad.solvers.solve_path`. For squared
    error with dense inputs, at least as many rows as features and up to 4000 features
    the rows are read once, and once more by the folds together. ``loss_curve_`` has
    one entry, the objective of the chosen model. ``explained_`` is R² for squared
    error; Poisson's loss and others leave out constants, and what a model takes away of
    them is no share of the deviance.

    Several parts of L1 have a path and strengths each, as in
    :class:`~sklearn.linear_model.ElasticNetCV`; the best mean of all decides, and
    ``select="1se"`` stays on that path.

    The elastic net of glmnet for squared error divides the targets by their standard
    deviation first: its L2 penalty is ours if they have the standard deviation one.

    References
    ----------
    J. Friedman, T. Hastie and R. Tibshirani, Regularization paths for generalized
    linear models via coordinate descent, Journal of Statistical Software 33 (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import GradientElasticNetCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 10))
    >>> y = 3 * X[:, 0] - 2 * X[:, 1] + rng.normal(size=200)
    >>> model = GradientElasticNetCV(l1_ratio=1.0, select="1se").fit(X, y)
    >>> np.flatnonzero(model.coef_)
    array([0, 1])
    """

    _if_kinked = (
        "Take 'huber', or fit one strength with GradientLinearRegressor or, for "
        "quantiles, QuantileRegressor."
    )

    def __init__(
        self,
        *,
        loss="squared_error",
        l1_ratio=0.5,
        alphas=100,
        eps="auto",
        penalty_factor=None,
        positive=False,
        bounds=None,
        monotonic_cst=None,
        fit_intercept=True,
        standardize=True,
        cv=None,
        select="min",
        scoring="loss",
        max_iter=100,
        tol=2e-3,
        n_jobs=None,
        device="cpu",
        verbose=0,
    ):
        self.loss = loss
        self.l1_ratio = l1_ratio
        self.alphas = alphas
        self.eps = eps
        self.penalty_factor = penalty_factor
        self.positive = positive
        self.bounds = bounds
        self.monotonic_cst = monotonic_cst
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.cv = cv
        self.select = select
        self.scoring = scoring
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.device = device
        self.verbose = verbose


@documented(
    loss="""str, Loss or callable, default={default}
        "log_loss" (logistic or multinomial), "squared_hinge", "focal", a loss object or
        your own plain function, as in :class:`GradientLinearClassifier`; smooth.""",
    attributes=_FOUND.format(k="n_classes"),
    **_OWN,
)
class GradientElasticNetClassifierCV(GradientClassifierMixin, BaseElasticNetCV):
    """Linear classification with an elastic net, cross-validated.

    Logistic regression, for several classes multinomial, or another smooth loss, with
    ``alpha * (l1_ratio * |c|_1 + (1 - l1_ratio) / 2 * |c|²)`` added to its mean, for a
    decreasing sequence of alpha: what R's ``cv.glmnet`` does for "binomial" and
    "multinomial" (each coefficient by itself). Computed in float64.

    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients of the chosen model on the original scale.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Its intercepts; 0 if ``fit_intercept=False``.
    {attributes}

    See Also
    --------
    GradientElasticNetCV : Regression; notes on the solver.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skgrad import GradientElasticNetClassifierCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = GradientElasticNetClassifierCV(l1_ratio=1.0).fit(X, y)
    >>> model.score(X, y) > 0.98, model.coef_.shape
    (True, (1, 30))
    """

    _if_kinked = (
        "Take 'squared_hinge', or fit one strength with GradientLinearClassifier."
    )

    def __init__(
        self,
        *,
        loss="log_loss",
        l1_ratio=0.5,
        alphas=100,
        eps="auto",
        penalty_factor=None,
        positive=False,
        bounds=None,
        monotonic_cst=None,
        fit_intercept=True,
        standardize=True,
        cv=None,
        select="min",
        scoring="loss",
        class_weight=None,
        max_iter=100,
        tol=2e-3,
        n_jobs=None,
        device="cpu",
        verbose=0,
    ):
        self.loss = loss
        self.l1_ratio = l1_ratio
        self.alphas = alphas
        self.eps = eps
        self.penalty_factor = penalty_factor
        self.positive = positive
        self.bounds = bounds
        self.monotonic_cst = monotonic_cst
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.cv = cv
        self.select = select
        self.scoring = scoring
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.device = device
        self.verbose = verbose

    def _work(self, rows: Rows, *rest: Any) -> Fitting:
        work = super()._work(rows, *rest)
        if self.class_weight is not None:
            # Classes of weight zero are gone; scorers know nothing of the others.
            present = np.isin(rows.y, work.rows.y)
            work.scored = replace(work.rows, w=rows.w[present])
        return work
