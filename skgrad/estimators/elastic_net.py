"""Regularisation paths with cross-validation: the elastic net for any smooth loss."""

from __future__ import annotations

from numbers import Real
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from sklearn.model_selection import check_cv
from sklearn.utils.validation import check_is_fitted

from skgrad.core.params import ParamsMixin
from skgrad.estimators.constraints import penalty_factors
from skgrad.estimators.fitting import Fitting
from skgrad.estimators.linear import BaseGradientLinear
from skgrad.estimators.parameters import documented
from skgrad.estimators.path_fits import Grid, PathFits
from skgrad.estimators.sklearn_private import Interval
from skgrad.estimators.targets import GradientClassifierMixin, GradientRegressorMixin
from skgrad.exceptions import DivergenceError, ParameterError
from skgrad.losses import KinkedLoss, Loss
from skgrad.solvers import Path
from skgrad.train import Epoch, Fit, StopReason, TrainState
from skgrad.typing import Array

__all__ = ["GradientElasticNetCV", "GradientElasticNetClassifierCV"]


class CoordinateDescent(ParamsMixin):
    """Stands where an optimizer does: paths have a solver of their own."""

    stochastic = False


class BaseElasticNetCV(BaseGradientLinear):
    """Base of the paths: what a fit of one strength has and these have not."""

    _own_constraints: ClassVar[dict[str, list[Any]]] = {
        "l1_ratio": [Interval(Real, 0, 1, closed="both"), "array-like"],
        "tol": [Interval(Real, 0, None, closed="neither")],
    }
    optimizer: ClassVar[str] = "auto"
    warm_start: ClassVar[bool] = False
    early_stopping: ClassVar[bool] = False
    refit: ClassVar[None] = None
    clip_norm: ClassVar[None] = None
    max_time: ClassVar[None] = None
    random_state: ClassVar[int] = 0

    def _penalty(self) -> tuple[float, float]:
        return 0.0, 0.0  # it is the solver's

    def _make_optimizer(self, loss: Loss, module: Any) -> Any:
        if isinstance(loss, KinkedLoss):
            raise ParameterError(
                f"The 'loss' parameter of {type(self).__name__} must be smooth. Got "
                f"{loss.name!r}, which has a kink: fit one strength with "
                "GradientLinearRegressor or, for quantiles, QuantileRegressor."
            )
        return CoordinateDescent()

    # --- the fit ------------------------------------------------------------------

    def _solved(self, work: Fitting, on_epoch: Any = None) -> Fit | None:
        began = perf_counter()
        fits = self._fits(work)
        ratios = np.atleast_1d(np.asarray(self.l1_ratio, dtype=np.float64))
        grid = self._grid(fits.shape)
        try:
            paths = [fits.path(ratio, grid) for ratio in ratios]
        except FloatingPointError as error:
            raise DivergenceError(
                f"The loss of {type(self).__name__} is not finite for the constant "
                f"model: the targets are as large as {np.abs(work.data.y).max():.3g}.",
                "Divide them by a power of ten, and look for numbers that stand for "
                "missing values.",
            ) from error
        self._scores(work, fits, ratios, paths)
        best = self._chosen(ratios, paths)
        path = paths[best[0]]
        final = fits.polished(path, best[1], ratios[best[0]], self.max_iter)
        self._keep(work, paths, final, best)
        return self._fit_of(work, path, final, perf_counter() - began, on_epoch)

    def _fits(self, work: Fitting) -> PathFits:
        X, data = work.rows.X, work.data
        p = X.shape[1]
        k = work.objective.n_outputs or 1
        low, high = self._row_bounds(work.loss, k, p)
        scale = np.broadcast_to(work.frame.y_scale, k)[:, None]
        return PathFits(
            work.loss,
            X,
            data.y,
            data.w,
            work.objective.n_outputs,
            penalty_factors(self._features(p), self.penalty_factor),
            (low / scale, high / scale),
            fit_intercept=self.fit_intercept,
            standardize=self.standardize,
        )

    def _grid(self, shape: tuple[int, int]) -> Grid:
        eps = self.eps
        if isinstance(eps, str):
            eps = 1e-4 if shape[0] > shape[1] else 1e-2
        alphas = self.alphas
        if not np.isscalar(alphas):
            alphas = np.asarray(alphas, dtype=np.float64)
            if alphas.ndim != 1 or not len(alphas) or not (alphas >= 0).all():
                raise ParameterError(
                    f"The 'alphas' parameter of {type(self).__name__} must be a number "
                    "of strengths or a sequence of numbers >= 0. Got an array of shape "
                    f"{alphas.shape}: {alphas.tolist()}."
                )
        return Grid(alphas, float(eps), self.tol, self.max_iter)

    def _scores(
        self, work: Fitting, fits: PathFits, ratios: Array, paths: list[Path]
    ) -> None:
        """Cross-validate: set the table of losses, their means and standard errors."""
        y = work.rows.y
        splitter = check_cv(self.cv, y, classifier=self._task == "classification")
        held = [test for _, test in splitter.split(fits.X, y, work.rows.groups)]
        grids = [Grid(path.strengths, 1.0, self.tol, self.max_iter) for path in paths]
        table = fits.folds(ratios, grids, held, self.n_jobs, fits.mean_losses)
        weight = np.array([fits.w[rows].sum() for rows in held])
        mean = np.average(table, axis=1, weights=weight)
        spread = np.average((table - mean[:, None]) ** 2, axis=1, weights=weight)
        self._table = table.swapaxes(1, 2)
        self._mean, self._error = mean, np.sqrt(spread / max(1, len(held) - 1))

    def _chosen(self, ratios: Array, paths: list[Path]) -> tuple[int, int]:
        """Choose the part of L1 and the strength; return where they are."""
        if not np.isfinite(self._mean).any():
            raise ValueError(
                f"The losses of {type(self).__name__} on held-out rows are not finite "
                "for any strength. Look for rows far from all others, or set other "
                "folds by cv."
            )
        which, least = np.unravel_index(np.nanargmin(self._mean), self._mean.shape)
        mean, error = self._mean[which], self._error[which]
        within = np.flatnonzero(mean <= mean[least] + error[least])
        self.l1_ratio_ = float(ratios[which])
        alphas = paths[int(which)].strengths
        self.alpha_min_ = float(alphas[least])
        self.alpha_1se_ = float(alphas[within[0]])  # the first is the largest
        at = within[0] if self.select == "1se" else least
        self.alpha_ = float(alphas[at])
        return int(which), int(at)

    def _keep(
        self, work: Fitting, paths: list[Path], final: Path, best: tuple[int, int]
    ) -> None:
        """Set what is left of the paths, on the original scale of the targets."""
        frame, path = work.frame, paths[best[0]]
        y_scale = np.broadcast_to(frame.y_scale, path.coef.shape[1])
        coef = path.coef * y_scale[:, None]
        intercept = frame.raw_prediction(path.intercept)
        if not self.fit_intercept:
            intercept = np.zeros_like(intercept)
        single = work.objective.n_outputs is None
        self.alphas_ = path.strengths
        self.coef_path_ = coef[:, 0] if single else coef
        self.intercept_path_ = intercept[:, 0] if single else intercept
        self.explained_ = path.explained
        n = len(self.alphas_)
        self.loss_path_ = self._table[best[0], :n]
        self.mean_loss_, self.loss_error_ = (
            part[best[0], :n] for part in (self._mean, self._error)
        )
        del self._table, self._mean, self._error
        self.residual_ = float(final.residual[0])

    def _fit_of(
        self, work: Fitting, path: Path, final: Path, seconds: float, on_epoch: Any
    ) -> Fit:
        frame = work.frame
        coef = final.coef[0] * frame.x_scale
        parts = [coef.ravel() + 0.0]
        if self.fit_intercept:
            parts.append(final.intercept[0] + final.coef[0] @ frame.x_mean)
        state = TrainState(
            np.concatenate(parts), {"buffers": {}, "optimizer": ()}, epoch=1
        )
        reached = bool((path.residual <= self.tol).all())
        fit = work.in_one_step(state, float(final.loss[0]), seconds, on_epoch)
        reason = StopReason.CONVERGED if reached else StopReason.MAX_ITER
        epochs = [
            Epoch(i, float(loss), None, 1.0) for i, loss in enumerate(path.loss, 1)
        ]
        return Fit(fit.state, reason, epochs, executor=fit.executor)

    # --- after the fit ------------------------------------------------------------

    def coefficients_at(self, alpha):
        """Return coefficients and intercept of a strength, between those of the path.

        Parameters
        ----------
        alpha : float
            The strength. Between two strengths of the path the solutions are
            interpolated, which is exact for squared error as long as the same
            coefficients are zero; outside of it the nearest is taken.

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

        coef, intercept = between(self.coef_path_), between(self.intercept_path_)
        return self._shaped_as_fitted(coef, intercept)

    def _shaped_as_fitted(self, coef, intercept):
        if coef.ndim == 1 and np.ndim(self.coef_) == 2:
            return coef[None], np.atleast_1d(intercept)
        if coef.ndim == 1:
            return coef, float(intercept)
        return coef, intercept


_OWN = {
    "l1_ratio": """float in [0, 1] or sequence of float, default={default}
        Part of L1 in the penalty; of several the best is chosen with the strength.""",
    "tol": """float, default={default}
        How far slopes may be from balancing the penalty along the path, relative to the
        largest slope of the model without penalised coefficients. The chosen model is
        solved to 1e-8.""",
    "max_iter": """int, default={default}
        Largest number of steps for each strength.""",
}


@documented(**_OWN)
class GradientElasticNetCV(GradientRegressorMixin, BaseElasticNetCV):
    r"""Linear regression with an elastic net, its strength chosen by cross-validation.

    Minimises ``mean_i(w_i * loss(y_i, x_i @ coef + intercept)) + alpha * (l1_ratio *
    |c|_1 + (1 - l1_ratio) / 2 * |c|²)`` for a decreasing sequence of alpha, for any
    smooth loss, as :class:`~sklearn.linear_model.ElasticNetCV` and R's glmnet do for
    some. Computed in float64.

    {parameters}

    Attributes
    ----------
    alpha_ : float
        The chosen strength.
    l1_ratio_ : float
        The chosen part of L1.
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Coefficients of the chosen model on the original scale.
    intercept_ : float or ndarray of shape (n_outputs,)
        Its intercept; 0 if ``fit_intercept=False``.
    alphas_ : ndarray of shape (n_alphas,)
        The strengths, decreasing. There may be fewer than were asked for: a path ends
        where the loss hardly changes any more.
    coef_path_ : ndarray of shape (n_alphas, n_features) or (n_alphas, n_outputs, \
n_features)
        Coefficients for each strength, for ``l1_ratio_``.
    intercept_path_ : ndarray of shape (n_alphas,) or (n_alphas, n_outputs)
        Intercepts for each strength.
    loss_path_ : ndarray of shape (n_alphas, n_folds)
        Mean loss of the held-out rows.
    mean_loss_, loss_error_ : ndarray of shape (n_alphas,)
        Its mean over the folds, weighted by their rows, and the standard error.
    alpha_min_, alpha_1se_ : float
        The strength with the smallest mean loss, and the largest whose mean loss is
        within one standard error of it.
    explained_ : ndarray of shape (n_alphas,)
        Part of the training loss of the model without penalised coefficients that each
        model takes away; for squared error R².
    residual_ : float
        How far the chosen model is from the minimum, in the units of `tol`.
    {attributes}

    Notes
    -----
    A path has a solver of its own: see :func:`skgrad.solvers.solve_path`. For squared
    error with dense inputs, at least as many rows as features and up to 4000 features
    the rows are read once, and once more by the folds together.

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

    _takes_sparse: ClassVar[bool] = True

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
        max_iter=100,
        tol=1e-4,
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
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.device = device
        self.verbose = verbose

    def _coefficients(self, coef, intercept):
        if self._y_ndim == 1 and len(coef) == 1:
            return coef[0], float(intercept[0])
        return coef, intercept


@documented(
    loss="""str, Loss or callable, default={default}
        "log_loss" (logistic or multinomial), "squared_hinge", "focal", a loss object or
        your own plain function, as in :class:`GradientLinearClassifier`; smooth.""",
    **_OWN,
)
class GradientElasticNetClassifierCV(GradientClassifierMixin, BaseElasticNetCV):
    r"""Linear classification with an elastic net, cross-validated.

    Logistic regression, for several classes multinomial, or another smooth loss, with
    ``alpha * (l1_ratio * |c|_1 + (1 - l1_ratio) / 2 * |c|²)`` added to its mean, for a
    decreasing sequence of alpha: what R's ``cv.glmnet`` does for "binomial" and
    "multinomial" (each coefficient by itself). Computed in float64.

    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    alpha_ : float
        The chosen strength.
    l1_ratio_ : float
        The chosen part of L1.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients of the chosen model on the original scale.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Its intercepts; 0 if ``fit_intercept=False``.
    alphas_ : ndarray of shape (n_alphas,)
        The strengths, decreasing; see :class:`GradientElasticNetCV`.
    coef_path_ : ndarray of shape (n_alphas, n_features) or (n_alphas, n_classes, \
n_features)
        Coefficients for each strength, for ``l1_ratio_``.
    intercept_path_ : ndarray of shape (n_alphas,) or (n_alphas, n_classes)
        Intercepts for each strength.
    loss_path_ : ndarray of shape (n_alphas, n_folds)
        Mean loss of the held-out rows.
    mean_loss_, loss_error_ : ndarray of shape (n_alphas,)
        Its mean over the folds, weighted by their rows, and the standard error.
    alpha_min_, alpha_1se_ : float
        As of :class:`GradientElasticNetCV`.
    explained_ : ndarray of shape (n_alphas,)
        Part of the training loss of the model without penalised coefficients that each
        model takes away.
    residual_ : float
        How far the chosen model is from the minimum, in the units of `tol`.
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

    _takes_sparse: ClassVar[bool] = True

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
        class_weight=None,
        max_iter=100,
        tol=1e-4,
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
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.device = device
        self.verbose = verbose

    def _coefficients(self, coef, intercept):
        return coef, intercept
