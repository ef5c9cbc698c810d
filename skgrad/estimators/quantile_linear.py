"""Linear quantile regression, exact where it is a linear programme."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skgrad.estimators.fitting import Fitting, Rows, Solver
from skgrad.estimators.linear import BaseGradientLinear
from skgrad.estimators.parameters import documented
from skgrad.estimators.quantile_inference import quantile_summary
from skgrad.estimators.quantiles import QuantileMixin, read_levels
from skgrad.estimators.scaling import too_large, weighted_mean_and_scale
from skgrad.estimators.solving import AtOnce, Solution
from skgrad.exceptions import ParameterError
from skgrad.losses import Loss
from skgrad.solvers import (
    QuantileProblem,
    QuantileSolution,
    solve_ordered_quantiles,
    solve_quantiles,
)
from skgrad.train import Frame
from skgrad.typing import Array

__all__ = ["QuantileRegressor"]


class Exact(AtOnce):
    """Solves the linear programme as such, and proves it."""

    name = "Exact"
    only_cpu: ClassVar[str] = (
        "the exact solver of quantile regression runs on the CPU only. Set "
        "device='cpu', or optimizer='lbfgs'."
    )
    solutions: list[QuantileSolution]

    def solution(self, work: Fitting) -> Solution:
        """Return the solution of all levels."""
        e = work.estimator
        levels, _ = read_levels(type(e).__name__, e.quantile)
        together = e.non_crossing == "constrained"
        solve = solve_ordered_quantiles if together else solve_quantiles
        try:
            with np.errstate(over="raise", divide="raise", invalid="raise"):
                found = self.solutions = solve(_problem(work), levels)
        except FloatingPointError as error:
            owner = type(e).__name__
            raise too_large(owner, work.data.X, work.data.y) from error
        intercept = np.array([s.intercept for s in found]) if e.fit_intercept else None
        objective = sum(s.objective for s in found) / work.n_rows
        return Solution(np.array([s.coef for s in found]), intercept, objective)

    def gradient(self, work: Fitting, params: Array) -> Array:
        """Return that of the dual variables, the slope that balances the penalty."""
        dual = np.array([s.dual for s in self.solutions]) * work.data.w
        slopes = -(dual @ work.data.X) / work.frame.x_scale
        parts = [slopes, -dual.sum(axis=1)][: len(work.objective.shapes)]
        return np.concatenate([part.ravel() for part in parts]) / work.n_rows

    def report(self) -> dict[str, Any]:
        """Return what proves the solutions, and what they took."""
        found = self.solutions
        exact = {
            "solver": ", ".join(sorted({s.solver for s in found})),
            "duality_gap": max(s.duality_gap for s in found),
            "pivots": sum(s.n_pivots for s in found),
            "passes": max(s.n_passes for s in found),
            "rows": max(len(s.free_rows) for s in found),
        }
        return {"exact": exact}


def _problem(work: Fitting) -> QuantileProblem:
    e, data, p = work.estimator, work.data, work.data.X.shape[1]
    penalty = None
    if e.alpha:
        factors = work.objective.factors[:p]
        penalty = e.alpha * work.n_rows * factors * work.frame.x_scale
    low, high = e._coef_bounds(p)
    bound = np.isfinite(low).any() or np.isfinite(high).any()
    bounds = (low, high) if bound else (None, None)
    return QuantileProblem(data.X, data.y, data.w, e.fit_intercept, penalty, *bounds)


@documented(
    alpha="""float, default={default}
        Strength of the penalty ``l1_ratio * |c|_1 + (1 - l1_ratio) / 2 * |c|²`` of each
        level's coefficients that is added to the (weighted) mean of its loss per
        sample; biases are not penalised.""",
    non_crossing="""{{"none", "rearrange", "constrained"}}, default={default}
        What keeps the predictions of several levels in order. "none": nothing, each
        level is fitted by itself, and far from the mean of the inputs lines may cross.
        "rearrange" sorts the predictions of each row, which never takes them further
        from the quantiles [4]_. "constrained" fits the levels together under the
        condition that no rows of the fit are crossed, which then holds for all rows
        between them [5]_; it takes longer, and is exact too.""",
    optimizer="""str or optimizer, default={default}
        "auto" is "exact" wherever the problem is a linear programme (without a penalty
        or with ``l1_ratio=1``; with weights and bounds), and "smooth" otherwise.
        "exact" finds the minimum, up to rounding, and proves it. "smooth" minimises a
        sequence of smoothed losses by Newton's method or L-BFGS, and ends a little
        above, by 1e-8 to 1e-6 of the minimum. Names of ``optim.OPTIMIZERS`` and objects
        as in :class:`GradientLinearRegressor`, stochastic ones too.""",
    max_iter="""int, default={default}
        Epochs for a stochastic optimizer, iterations of "smooth"; "exact" needs no
        limit.""",
    tol="""float or None, default={default}
        As in :class:`GradientLinearRegressor`; "exact" does without.""",
)
class QuantileRegressor(QuantileMixin, BaseGradientLinear):
    r"""Linear quantile regression, exact and certified.

    Minimises for each level q

    .. math:: \frac{1}{\sum_i w_i} \sum_i w_i \max\bigl(q r_i, (q - 1) r_i\bigr)
        + \alpha \lVert c \rVert_1, \qquad r = y - c_0 - X c

    by a method of its own: Newton steps on smoothed losses come near the solution
    [1]_, residuals far from zero keep their signs [2]_, and the linear programme of the
    few that are left is solved from vertex to vertex [3]_. Computed in float64, in
    blocks of rows: no second X is made.

    {parameters}

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_levels, n_features)
        Coefficients on the original scale, a row per level if `quantile` is a sequence.
    intercept_ : float or ndarray of shape (n_levels,)
        Intercepts; 0 if ``fit_intercept=False``.
    quantiles_ : ndarray of shape (n_levels,)
        The fitted levels.
    duality_gap_ : float or ndarray of shape (n_levels,)
        By how much the objective may exceed the minimum at most, relative to it; nan
        if the optimizer was not exact. Above 1e-9 the fit is an error.
    dual_ : ndarray of shape (n_samples,) or (n_samples, n_levels)
        With an exact optimizer the certificate: dual variables in [q - 1, q] per row
        (of those with a positive weight), whose weighted sums with each column of X are
        0, or at most ``alpha * sum(w)`` in absolute value (bounds apart), and whose
        weighted sum with y is the minimum times ``sum(w)``. Plus 1 - q they are the
        regression rank scores.
    {attributes}

    Notes
    -----
    The minimum may be attained by more than one model: with an even number of rows the
    median is an interval. The one returned is a vertex: as many rows as coefficients
    are fitted exactly, or fewer where coefficients are zero or at a bound.

    Raises :class:`~skgrad.exceptions.SolverError` if no solution can be certified,
    which takes inputs whose columns are dependent up to the eighth digit.

    References
    ----------
    .. [1] M. Fernandes, E. Guerre and E. Horta, Smoothing quantile regressions, Journal
       of Business & Economic Statistics 39 (2021) 338-357.
    .. [2] S. Portnoy and R. Koenker, The Gaussian hare and the Laplacian tortoise,
       Statistical Science 12 (1997) 279-300.
    .. [3] I. Barrodale and F. D. K. Roberts, An improved algorithm for discrete l1
       linear approximation, SIAM Journal on Numerical Analysis 10 (1973) 839-848.
    .. [4] V. Chernozhukov, I. Fernández-Val and A. Galichon, Quantile and probability
       curves without crossing, Econometrica 78 (2010) 1093-1125.
    .. [5] H. D. Bondell, B. J. Reich and H. Wang, Noncrossing quantile regression curve
       estimation, Biometrika 97 (2010) 825-838.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import QuantileRegressor
    >>> X = np.arange(6.0).reshape(-1, 1)
    >>> y = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 100.0])
    >>> model = QuantileRegressor().fit(X, y)
    >>> model.coef_.round(6), model.predict([[10.0]]).round(6)
    (array([1.]), array([10.]))
    >>> bool(model.duality_gap_ < 1e-9)
    True
    >>> levels = QuantileRegressor(quantile=[0.1, 0.5, 0.9]).fit(X, y)
    >>> levels.predict(X).shape, levels.predict(X, quantile=0.3).shape
    ((6, 3), (6,))
    """

    _optimizer_words: ClassVar[tuple[str, ...]] = ("auto", "exact", "smooth")
    summary = quantile_summary

    def __init__(
        self,
        *,
        quantile=0.5,
        alpha=0.0,
        l1_ratio=1.0,
        penalty_factor=None,
        positive=False,
        bounds=None,
        monotonic_cst=None,
        non_crossing="none",
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
        self.quantile = quantile
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.penalty_factor = penalty_factor
        self.positive = positive
        self.bounds = bounds
        self.monotonic_cst = monotonic_cst
        self.non_crossing = non_crossing
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

    # --- which method -------------------------------------------------------------

    @property
    def _is_exact(self) -> bool:
        """Whether the fit solves a linear programme, or the reason why it cannot."""
        named = isinstance(self.optimizer, str)
        if not named or self.optimizer not in ("auto", "exact"):
            return False
        linear = self.alpha == 0 or self.l1_ratio == 1
        if self.optimizer == "exact" and not linear:
            raise ParameterError(
                f"optimizer='exact' solves linear programmes. With alpha={self.alpha:g}"
                f" and l1_ratio={self.l1_ratio:g} the penalty is partly quadratic: set "
                "l1_ratio=1, or optimizer='smooth'."
            )
        return linear

    def _make_solver(self, loss: Loss, module: Any) -> Solver:
        return Exact() if self._is_exact else super()._make_solver(loss, module)

    def _make_optimizer(self, loss: Loss, module: Any) -> Any:
        if self.non_crossing == "constrained":
            raise ParameterError(
                "non_crossing='constrained' is a linear programme, and "
                f"optimizer={self.optimizer!r} with alpha={self.alpha:g} and "
                f"l1_ratio={self.l1_ratio:g} does not solve it as one. Set "
                "optimizer='auto' and l1_ratio=1, or non_crossing='rearrange'."
            )
        return super()._make_optimizer(loss, module)

    # --- the exact fit ------------------------------------------------------------

    def _make_frame(self, rows: Rows, loss: Loss) -> Frame:
        if not self._is_exact:
            return super()._make_frame(rows, loss)
        # The solver scales by itself; only a penalty depends on it.
        frame = Frame.identity(rows.X.shape[1], np.float64)
        if not (self.alpha and self.standardize):
            return frame
        return replace(frame, x_scale=weighted_mean_and_scale(rows.X, rows.w)[1])

    def _start(
        self, module, rows: Rows, encoded: Array, loss: Loss, frame: Frame
    ) -> None:
        if not self._is_exact:
            super()._start(module, rows, encoded, loss, frame)

    def _store(self, fit, work, final, model, proceed) -> None:
        super()._store(fit, work, final, model, proceed)
        exact = model.solver.solutions if self._is_exact else []
        self._solutions: list[QuantileSolution] = exact
        gaps = [s.duality_gap for s in exact]
        gaps = gaps or [np.nan] * len(self.quantiles_)
        self.duality_gap_ = gaps[0] if self._single else np.array(gaps)

    @property
    def dual_(self) -> Array:
        """Dual variables of the rows, the certificate of an exact fit."""
        check_is_fitted(self)
        if not vars(self).get("_solutions"):
            raise AttributeError(
                "dual_ belongs to an exact fit. Fit with optimizer='auto' and, where "
                "there is a penalty, l1_ratio=1."
            )
        dual = np.column_stack([s.dual for s in self._solutions])
        return dual[:, 0] if self._single else dual

    def _coefficients(self, coef, intercept):
        if self._single:
            return coef[0], float(intercept[0])
        return coef, intercept

    # --- predictions --------------------------------------------------------------

    def _predicted(self, X: Any) -> Array:
        predicted = super()._predicted(X)
        if self.non_crossing != "none":
            predicted = np.sort(predicted, axis=1)
        return predicted
