"""Learning to rank: scores that put the documents of each query in order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from skgrad.estimators.fitting import Rows
from skgrad.estimators.linear import BaseGradientLinear
from skgrad.estimators.network import BaseMLP, BaseModule
from skgrad.estimators.parameters import documented
from skgrad.estimators.ranking_targets import GradientRankerMixin
from skgrad.estimators.scaling import weighted_mean
from skgrad.losses import Loss
from skgrad.optim import LBFGS, Adam
from skgrad.train import Frame

__all__ = ["GradientLinearRanker", "MLPRanker", "ModuleRanker"]

LOSS = """str, Loss or callable, default={default}
        "pairwise_logistic" (RankNet), "listnet" or "lambdarank", a loss object such as
        ``losses.LambdaRank(k=10)``, or your own plain function
        ``loss(y_true, raw_prediction)`` returning one value per query. It sees tensors
        of shape (n_queries, n_documents); where ``y_true`` is NaN there is no document,
        and the score, that of another one, must not count."""
BATCH_SIZE = """int, "auto" or None, default={default}
        Queries per step, never parts of them; "auto" means min(32, n_queries), None all
        queries. A step takes memory for ``batch_size`` times the squared length of its
        longest query; queries of about one length come together."""
FRACTION = """float in (0, 1), default={default}
        Part of the queries set aside for early stopping."""
SPLITTER = """int, splitter or iterable, default={default}
        Chooses the queries set aside for early stopping in the place of the fraction:
        the first split of a scikit-learn splitter, which sees queries as its samples,
        in the order of their sorted labels."""
SCORING = """str or callable, default={default}
        What is watched on the validation rows: "loss" (minus the mean loss), "ndcg" (of
        the first ``ndcg_at`` ranks), "map", or a function ``scoring(estimator, X, y,
        qid=..., sample_weight=...)``, the weights only if there are different ones."""
SHARED = {
    "loss": LOSS,
    "batch_size": BATCH_SIZE,
    "validation_fraction": FRACTION,
    "validation_splitter": SPLITTER,
    "scoring": SCORING,
}


@documented(
    **SHARED,
    optimizer="""str or optimizer, default={default}
        "auto" takes L-BFGS, accurate to ``tol``; for "lambdarank", whose gradient is
        not that of a function, Adam. Or a name of ``optim.OPTIMIZERS``: "lbfgs",
        "newton_cg", "fista" and "nonlinear_cg" use all queries at once, the others
        minibatches; or an object.""",
)
class GradientLinearRanker(GradientRankerMixin, BaseGradientLinear):
    """Linear ranking with any loss of queries.

    Minimises ``mean_q(w_q * loss(y_q, X_q @ coef)) + alpha * penalty`` over the queries
    q, each with its documents' relevances and inputs, weights scaled to mean one. There
    is no intercept: only differences of scores within a query count. Computed in
    float64.

    {parameters}

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients on the original scale of the inputs.
    intercept_ : float
        0.
    {attributes}

    See Also
    --------
    MLPRanker : For scores that are not linear.

    Notes
    -----
    "pairwise_logistic" and "listnet" are convex. With the default optimizer the
    coefficients are those of the minimum, to ``tol``; where the order of the training
    documents can be had without an error there is none, and ``alpha > 0`` makes one.
    A feature that is constant within each query has no influence on their order: its
    coefficient stays 0.

    Queries are padded to at most seven different lengths, chosen so that the padding is
    least. A fit to all queries at once makes one padded copy of `X`. Time grows with
    the sum of the squared lengths of the queries, for "listnet" with their sum.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import GradientLinearRanker
    >>> rng = np.random.default_rng(0)
    >>> X, qid = rng.normal(size=(200, 3)), rng.integers(0, 20, 200)
    >>> merit = X @ [1.0, -2.0, 0.0] + rng.normal(size=20)[qid]
    >>> y = np.digitize(merit + 0.3 * rng.normal(size=200), [-2.0, 0.0, 2.0])
    >>> model = GradientLinearRanker(alpha=0.001).fit(X, y, qid=qid)
    >>> bool(model.score(X, y, qid=qid) > 0.95)
    True
    >>> coef = model.coef_ / model.coef_[0]
    >>> coef.round()
    array([ 1., -2.,  0.])
    """

    fit_intercept: ClassVar[bool] = False

    def __init__(
        self,
        *,
        loss="pairwise_logistic",
        ndcg_at=10,
        alpha=0.0,
        l1_ratio=0.0,
        penalty_factor=None,
        positive=False,
        bounds=None,
        monotonic_cst=None,
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
        self.ndcg_at = ndcg_at
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.penalty_factor = penalty_factor
        self.positive = positive
        self.bounds = bounds
        self.monotonic_cst = monotonic_cst
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

    def _full_batch_optimizer(self, loss: Loss, module: Any):
        return LBFGS() if loss.twice_differentiable else Adam()

    def _make_frame(self, rows: Rows, loss: Loss) -> Frame:
        # The mean cancels in differences; without it they lose no digits.
        mean = weighted_mean(rows.X, rows.w)
        return replace(super()._make_frame(rows, loss), x_mean=mean)

    def _coefficients(self, coef, intercept):
        return coef[0], 0.0


@documented(**SHARED)
class MLPRanker(GradientRankerMixin, BaseMLP):
    """Multilayer perceptron for ranking.

    Minimises ``mean_q(w_q * loss_q) + alpha * penalty`` over queries q by steps over
    minibatches of whole queries, weights scaled to mean one. Inputs are standardised
    inside. The network gives each document a score of its own.

    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    GradientLinearRanker : Coefficients, and a minimum that is found.
    ModuleRanker : Any other network.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import MLPRanker
    >>> rng = np.random.default_rng(0)
    >>> X, qid = rng.normal(size=(200, 2)), rng.integers(0, 20, 200)
    >>> y = np.digitize(np.abs(X[:, 0]) + rng.normal(size=20)[qid], [0.0, 1.0, 2.0])
    >>> model = MLPRanker(learning_rate=0.01, tol=None, max_iter=50, random_state=0)
    >>> bool(model.fit(X, y, qid=qid).score(X, y, qid=qid) > 0.95)
    True
    """

    def __init__(
        self,
        *,
        loss="pairwise_logistic",
        ndcg_at=10,
        hidden_layer_sizes=(100,),
        activation="relu",
        dropout=0.0,
        alpha=0.0,
        l1_ratio=0.0,
        standardize=True,
        optimizer="adam",
        learning_rate=1e-3,
        schedule=None,
        batch_size="auto",
        shuffle=True,
        max_iter=200,
        max_time=None,
        tol=1e-4,
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
        dtype=None,
        device="cpu",
        matmul_precision="highest",
        verbose=0,
    ):
        self.loss = loss
        self.ndcg_at = ndcg_at
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.alpha = alpha
        self.l1_ratio = l1_ratio
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
        self.dtype = dtype
        self.device = device
        self.matmul_precision = matmul_precision
        self.verbose = verbose


@documented(
    **SHARED,
    module="""class or callable
        Called as ``module(n_features, 1, **module_params)``, returns an
        :class:`skgrad.nn.Module` that maps documents (n_documents, n_features), of any
        queries, to scores (n_documents, 1).""",
)
class ModuleRanker(GradientRankerMixin, BaseModule):
    """Ranking with a module of your own.

    Minimises ``mean_q(w_q * loss_q) + alpha * penalty`` over queries q by steps over
    minibatches of whole queries, weights scaled to mean one. Inputs are standardised
    inside. The penalty acts on parameters with two or more axes.

    {parameters}

    Attributes
    ----------
    {attributes}

    Notes
    -----
    The module sees documents as rows, whatever their query, so that `predict` needs no
    queries. Among them are a few copies that pad shorter queries: statistics of batches
    (BatchNorm) count these documents more than once. A module that looks at all
    documents of a query together needs a loop of its own, `skgrad.train`.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import ModuleRanker, nn
    >>> def net(n_features, n_outputs, hidden=16):
    ...     return nn.Sequential(
    ...         nn.Linear(n_features, hidden), nn.Tanh(), nn.Linear(hidden, n_outputs)
    ...     )
    >>> rng = np.random.default_rng(0)
    >>> X, qid = rng.normal(size=(200, 2)), rng.integers(0, 20, 200)
    >>> y = np.digitize(np.abs(X[:, 0]) + rng.normal(size=20)[qid], [0.0, 1.0, 2.0])
    >>> model = ModuleRanker(
    ...     module=net, learning_rate=0.03, tol=None, max_iter=50, random_state=0
    ... )
    >>> bool(model.fit(X, y, qid=qid).score(X, y, qid=qid) > 0.95)
    True
    """

    def __init__(
        self,
        *,
        module,
        module_params=None,
        loss="pairwise_logistic",
        ndcg_at=10,
        alpha=0.0,
        l1_ratio=0.0,
        standardize=True,
        optimizer="adam",
        learning_rate=1e-3,
        schedule=None,
        batch_size="auto",
        shuffle=True,
        max_iter=200,
        max_time=None,
        tol=1e-4,
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
        dtype=None,
        device="cpu",
        matmul_precision="highest",
        verbose=0,
    ):
        self.module = module
        self.module_params = module_params
        self.loss = loss
        self.ndcg_at = ndcg_at
        self.alpha = alpha
        self.l1_ratio = l1_ratio
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
        self.dtype = dtype
        self.device = device
        self.matmul_precision = matmul_precision
        self.verbose = verbose
