"""Linear models with any loss."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import numpy as np

from skgrad import nn
from skgrad.estimators.base import BaseGradientEstimator
from skgrad.estimators.constraints import (
    Features,
    coefficient_bounds,
    penalty_factors,
)
from skgrad.estimators.fitting import Rows
from skgrad.estimators.inference import linear_summary
from skgrad.estimators.parameters import NestedParams, documented
from skgrad.estimators.scaling import (
    target_frame,
    weighted_mean,
    weighted_mean_and_scale,
)
from skgrad.estimators.solving import uses_minibatches
from skgrad.estimators.targets import GradientClassifierMixin, GradientRegressorMixin
from skgrad.losses import KinkedLoss, Loss, SquaredError
from skgrad.losses.classification import LabelLoss
from skgrad.optim import LBFGS, Newton, ProximalNewton
from skgrad.train import Frame
from skgrad.typing import Array

__all__ = ["GradientLinearClassifier", "GradientLinearRegressor"]

# Where 'auto' takes Newton's method. Times are of whole fits with one core, relative to
# L-BFGS's at tol=1e-6, by a script over the shapes named, on random normal inputs,
# where L-BFGS needs the fewest iterations (on correlated ones Newton took 0.04 to 1.1
# of its time).
#
# Squared error, one Cholesky factorisation for all outputs: 0.4 (n=800, p=600) to 1.5
# (n=20000, p=2000), exact to 1e-14 where L-BFGS left errors of 1e-5; 37 for the
# minimum-norm solution of n=300, p=2000 (3 s), whose Hessian is singular.
#
# Proximal Newton, with L1 or bounds, relative to L-BFGS at tol=1e-8: 0.1 to 0.4 for
# squared error, 0.3 to 0.6 for two classes (n in 500, 5000, 20000, 2000 with p = 10,
# 50, 100, 300), with errors of 1e-13 where L-BFGS left 1e-8.
CLOSED_FORM_FEATURES = 2000
# One Hessian of (p + 1)² elements per output: 1.9 to 3.3 for n in 1000, 20000 and k
# outputs in 1, 10, 50 inside these limits; 4.5 at k=100, p=100.
NEWTON_FEATURES = 500
NEWTON_ELEMENTS = 1_000_000
# Hessians that couple the outputs: 1.7 to 2.9 for n in 600, 20000, k in 3, 5, 10 and p
# in 5, 20, 50 inside these limits; 3.0 to 11 for k=3, p=100, for k=10, p=50 or 100 and
# for k=20.
COUPLED_OUTPUTS = 10
COUPLED_PARAMETERS = 256


class BaseGradientLinear(NestedParams, BaseGradientEstimator):
    """Base of the linear models: one Linear layer, computed in float64."""

    _optimizer_words: ClassVar[tuple[str, ...]] = ("auto",)

    def _parameter_dtype(self, rows: Rows):
        # Rows of float32 stay as they are: each block is converted as it is read.
        return np.dtype(np.float64)

    def _make_module(self, n_features: int, n_outputs: int | None) -> nn.Linear:
        module = nn.Linear(n_features, n_outputs or 1, bias=self.fit_intercept)
        for parameter in module.parameters():
            parameter.assign_(np.zeros(parameter.shape))
        return module

    def _start(
        self, module, rows: Rows, encoded: Array, loss: Loss, frame: Frame
    ) -> None:
        """Start at the best constant model, where that is known."""
        all_rows = not uses_minibatches(self)
        if self.fit_intercept and all_rows and loss.has_optimal_constant:
            # The last class may have no row left: class_weight can be 0.
            labels = isinstance(loss, LabelLoss) and encoded.dtype.kind == "i"
            known = {"n_classes": len(module.bias.numpy())} if labels else {}
            constant = loss.optimal_constant(encoded, rows.w, **known)
            output = (constant - frame.y_shift) / frame.y_scale
            module.bias.assign_(np.atleast_1d(np.asarray(output, dtype=np.float64)))

    def _make_frame(self, rows: Rows, loss: Loss) -> Frame:
        frame = Frame.identity(rows.X.shape[1], np.float64)
        if not self.standardize and uses_minibatches(self):
            return frame
        mean, scale = frame.x_mean, frame.x_scale
        if self.standardize:
            mean, scale = weighted_mean_and_scale(rows.X, rows.w)
        elif self.fit_intercept:
            # Centring leaves the model as it is, as the intercept is not penalised. It
            # makes the minimum-norm solution LinearRegression's, and saves digits.
            mean = weighted_mean(rows.X, rows.w)
        if not self.fit_intercept:
            mean = np.zeros_like(mean)  # centring would be an intercept
        target = (frame.offset, frame.y_shift, frame.y_scale)
        if loss.raw_per_target > 1 and self.standardize and self.fit_intercept:
            # One tolerance for coefficients of a location and of the logarithm of a
            # scale: only then are they of one size, whatever the unit of the targets.
            target = target_frame(rows.y, rows.w, loss, np.float64)
        return Frame(mean, scale, *target)

    def _make_optimizer(self, loss: Loss, module: Any):
        if isinstance(self.optimizer, str) and self.optimizer in self._optimizer_words:
            return self._full_batch_optimizer(loss, module)
        return super()._make_optimizer(loss, module)

    def _full_batch_optimizer(self, loss: Loss, module: Any):
        bound = np.isfinite(self._coef_bounds(module.weight.shape[1])).any()
        restricted = bound or bool(self.alpha and self.l1_ratio)
        if not self._curvature_pays(loss, module):
            return LBFGS()
        if not restricted:
            return Newton()
        return LBFGS() if isinstance(loss, KinkedLoss) else ProximalNewton()

    def _curvature_pays(self, loss: Loss, module: Any) -> bool:
        """Tell whether the work of Newton's method is worth its accuracy."""
        if not (loss.twice_differentiable or loss.convex):
            return False
        k, p = module.weight.shape
        if isinstance(loss, SquaredError):
            return p <= CLOSED_FORM_FEATURES
        if loss.separable or k == 1:
            return p <= NEWTON_FEATURES and k * (p + 1) ** 2 <= NEWTON_ELEMENTS
        return k <= COUPLED_OUTPUTS and k * (p + 1) <= COUPLED_PARAMETERS

    def _features(self, n_features: int) -> Features:
        return Features(n_features, tuple(getattr(self, "feature_names_in_", ())))

    def _coef_bounds(self, n_features: int) -> tuple[Array, Array]:
        """Return the bounds of each feature's coefficients, on the original scale."""
        return coefficient_bounds(
            self._features(n_features),
            positive=self.positive,
            bounds=self.bounds,
            monotonic_cst=self.monotonic_cst,
        )

    def _row_bounds(self, loss: Loss, k: int, p: int) -> tuple[Array, Array]:
        """Return the bounds of all coefficients (k, p): the same for each location.

        What a distribution has besides its location is free: it does not move along
        when the targets are shifted, as quantiles do.
        """
        ones = np.ones(k // loss.raw_per_target)
        located = (loss.rescaled(ones, ones)[0] != 0)[:, None]
        low, high = self._coef_bounds(p)
        return np.where(located, low, -np.inf), np.where(located, high, np.inf)

    def _restrictions(self, frame: Frame, loss: Loss, module: Any) -> dict[str, Any]:
        k, p = module.weight.shape
        factors = penalty_factors(self._features(p), self.penalty_factor)
        self._bounds = low, high = self._row_bounds(loss, k, p)

        def flat(rows: Array, of_bias: float) -> Array:
            return np.append(rows, np.full(k * self.fit_intercept, of_bias))

        restrictions: dict[str, Any] = {"factors": flat(np.tile(factors, k), 1.0)}
        if np.isfinite(self._bounds).any():
            scale = frame.x_scale / np.broadcast_to(frame.y_scale, k)[:, None]
            restrictions["bounds"] = (
                flat(low * scale, -np.inf),
                flat(high * scale, np.inf),
            )
        return restrictions

    def _publish(self) -> None:
        """Set ``coef_`` and ``intercept_`` on the original scale."""
        frame, module = self._frame, cast(nn.Linear, self.module_)
        coef = module.weight.numpy() / frame.x_scale
        intercept = -coef @ frame.x_mean
        if module.bias is not None:
            intercept = frame.raw_prediction(intercept + module.bias.numpy())
        else:
            intercept = np.zeros(len(coef))
        # Clipped, because the way back from the scaled bounds may round across them.
        coef = np.clip((coef.T * frame.y_scale).T, *self._bounds)
        self.coef_, self.intercept_ = self._coefficients(coef, intercept)

    def _coefficients(self, coef: Array, intercept: Array) -> tuple[Any, Any]:
        """Return coefficients (k, p) and intercepts (k,) in the shape users see."""
        if self._task == "regression" and self._y_ndim == 1 and len(coef) == 1:
            return coef[0], float(intercept[0])
        return coef, intercept

    def _raw_of(self, X: Array) -> Array:
        raw = X @ np.atleast_2d(self.coef_).T + self.intercept_
        return raw[:, 0] if self._n_columns is None else raw


@documented(
    optimizer="""str or optimizer, default={default}
        "auto" takes Newton's method, with L1 or bounds proximal Newton, where it is
        exact at little cost: for squared error (the closed form, the exact elastic net)
        up to 2000 features and any number of outputs; for other convex or twice
        differentiable losses up to 500 features and ``n_outputs * (n_features + 1)**2
        <= 1e6``, or, if the loss is a function of several outputs together (your own
        function), up to 10 outputs and ``n_outputs * (n_features + 1) <= 256``.
        Otherwise, and for piecewise linear losses with L1 or bounds, it takes L-BFGS,
        accurate to ``tol``. Or a name of ``optim.OPTIMIZERS``: "newton",
        "proximal_newton", "newton_cg", "lbfgs", "fista" and "nonlinear_cg" use all
        rows, the others minibatches; or an object.""",
)
class GradientLinearRegressor(GradientRegressorMixin, BaseGradientLinear):
    """Linear regression with any loss.

    Minimises ``mean_i(w_i * loss(y_i, x_i @ coef + intercept)) + alpha * penalty``,
    weights scaled to mean one; squared error carries the factor ½. Computed in float64.

    {parameters}

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Coefficients on the original scale of the inputs and targets; for a loss with a
        distribution a row for each location, then one for the logarithm of each scale.
    intercept_ : float or ndarray of shape (n_outputs,)
        Intercept; 0 if ``fit_intercept=False``.
    {attributes}

    Notes
    -----
    For squared error and up to 2000 features the default optimizer gives the exact
    solution: without L1 the closed form,
    :class:`~sklearn.linear_model.LinearRegression`'s or
    :class:`~sklearn.linear_model.Ridge`'s (of minimum norm if there are more features
    than rows), with L1 what :class:`~sklearn.linear_model.ElasticNet` converges to;
    there is no reason to prefer a stochastic optimizer. Beyond, the solution is
    iterative: a smaller `tol` brings it closer.

    :meth:`summary` gives standard errors, tests and confidence intervals of the
    coefficients, for any loss with second derivatives.

    X may be sparse, here and in predictions: SciPy's CSR as it is, other formats
    converted to it, which takes a copy. It is never made dense: the zeros count in the
    means and scales of ``standardize=True``, which go into the products instead. The
    model is that of the dense inputs, to rounding. Elements of columns without a zero
    are centred in a copy. Dense inputs are faster where more than about a fifth of the
    elements are not zero.

    Piecewise linear losses (quantile, absolute error) are minimised through a sequence
    of smoothed losses and come close to the optimum without reaching it exactly. For
    quantiles, the median among them, take :class:`QuantileRegressor`: it is exact, and
    has several levels, intervals and standard errors.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import GradientLinearRegressor
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> y = 2 * X[:, 0] + 1
    >>> model = GradientLinearRegressor().fit(X, y)
    >>> model.coef_.round(6), round(float(model.intercept_), 6)
    (array([2.]), 1.0)

    Sparse inputs:

    >>> from scipy.sparse import csr_array
    >>> GradientLinearRegressor().fit(csr_array(X), y).predict(csr_array([[5.0]]))
    array([11.])
    """

    _takes_sparse: ClassVar[bool] = True
    _sums_all_rows: ClassVar[bool] = True

    def __init__(
        self,
        *,
        loss="squared_error",
        alpha=0.0,
        l1_ratio=0.0,
        penalty_factor=None,
        positive=False,
        bounds=None,
        monotonic_cst=None,
        fit_intercept=True,
        standardize=True,
        optimizer="auto",
        learning_rate=0.01,
        schedule=None,
        batch_size="auto",
        shuffle=True,
        max_iter=1000,
        max_time=None,
        tol=1e-6,
        n_iter_no_change=10,
        early_stopping=False,
        validation_fraction=0.1,
        validation_splitter=None,
        scoring="loss",
        refit=None,
        clip_norm=None,
        on_divergence="recover",
        warm_start=False,
        random_state=None,
        device="cpu",
        verbose=0,
    ):
        self.loss = loss
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.penalty_factor = penalty_factor
        self.positive = positive
        self.bounds = bounds
        self.monotonic_cst = monotonic_cst
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.max_iter = max_iter
        self.max_time = max_time
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.validation_splitter = validation_splitter
        self.scoring = scoring
        self.refit = refit
        self.clip_norm = clip_norm
        self.on_divergence = on_divergence
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    summary = linear_summary


@documented(
    loss="""str, Loss or callable, default={default}
        "log_loss" (logistic or multinomial), "focal", "hinge", "squared_hinge" (support
        vector machines; scores only), a loss object, or your own plain function
        ``loss(y_true, raw_prediction)`` returning one value per sample. For two classes
        it sees codes 0.0 and 1.0 and log-odds, both of shape (n_samples,); otherwise
        integer codes (n_samples,) and logits (n_samples, n_classes). For labels it is
        that of two classes, summed over the labels: your function sees all of them one
        after the other, (n_samples * n_labels,).""",
    optimizer="""str or optimizer, default={default}
        "auto" takes Newton's method, with L1 or bounds proximal Newton, where it is
        exact at little cost: for convex or twice differentiable losses, for two classes
        up to 500 features, for 3 to 10 classes if ``n_classes * (n_features + 1) <=
        256``. Otherwise it takes L-BFGS, accurate to ``tol``. Or a name of
        ``optim.OPTIMIZERS``: "newton", "proximal_newton", "newton_cg", "lbfgs", "fista"
        and "nonlinear_cg" use all rows, the others minibatches; or an object.""",
)
class GradientLinearClassifier(GradientClassifierMixin, BaseGradientLinear):
    """Linear classification with any loss; logistic regression by default.

    Minimises ``mean_i(w_i * loss(y_i, x_i @ coef + intercept)) + alpha * penalty``,
    weights scaled to mean one. With ``standardize=False`` and ``alpha = 1 / (C n)`` it
    is :class:`~sklearn.linear_model.LogisticRegression`. Computed in float64. A y of
    shape (n_samples, n_labels) that holds 0 and 1 is fitted as labels of which a row
    may have any number, one model for each.

    Two classes, and up to ten with few features, are fitted with Newton's method (with
    L1 or bounds proximal Newton) to about the square of `tol`, larger models with
    L-BFGS to `tol`: see `optimizer`. Newton's method begins at the minimum over every
    eighth row where there are 20,000 rows or more, and 200 per parameter.

    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted; ``arange(n_labels)`` for labels.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients on the original scale of the inputs; one row for two classes, one
        per label for labels.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts; 0 if ``fit_intercept=False``.
    {attributes}

    Notes
    -----
    :meth:`summary` gives standard errors, tests and confidence intervals of the
    coefficients, for any loss with second derivatives and ``alpha=0``.

    X may be sparse, here and in predictions: SciPy's CSR as it is, other formats
    converted to it, which takes a copy. It is never made dense: the zeros count in the
    means and scales of ``standardize=True``, which go into the products instead. The
    model is that of the dense inputs, to rounding. Elements of columns without a zero
    are centred in a copy. Dense inputs are faster where more than about a fifth of the
    elements are not zero.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import GradientLinearClassifier
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> model = GradientLinearClassifier().fit(X, ["no", "no", "yes", "yes"])
    >>> model.predict([[0.5], [2.5]]).tolist()
    ['no', 'yes']
    """

    _takes_sparse: ClassVar[bool] = True
    _sums_all_rows: ClassVar[bool] = True

    def __init__(
        self,
        *,
        loss="log_loss",
        alpha=1e-4,
        l1_ratio=0.0,
        penalty_factor=None,
        positive=False,
        bounds=None,
        monotonic_cst=None,
        fit_intercept=True,
        standardize=True,
        optimizer="auto",
        learning_rate=0.01,
        schedule=None,
        batch_size="auto",
        shuffle=True,
        max_iter=1000,
        max_time=None,
        tol=1e-6,
        n_iter_no_change=10,
        early_stopping=False,
        validation_fraction=0.1,
        validation_splitter=None,
        scoring="loss",
        refit=None,
        clip_norm=None,
        on_divergence="recover",
        class_weight=None,
        warm_start=False,
        random_state=None,
        device="cpu",
        verbose=0,
    ):
        self.loss = loss
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.penalty_factor = penalty_factor
        self.positive = positive
        self.bounds = bounds
        self.monotonic_cst = monotonic_cst
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.max_iter = max_iter
        self.max_time = max_time
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.validation_splitter = validation_splitter
        self.scoring = scoring
        self.refit = refit
        self.clip_norm = clip_norm
        self.on_divergence = on_divergence
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    summary = linear_summary
