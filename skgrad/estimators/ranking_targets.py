"""What targets of rankers are: relevances of documents to queries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.metaestimators import available_if

from skgrad.estimators.base import BaseGradientEstimator
from skgrad.estimators.doctor import examine
from skgrad.estimators.fitting import Rows
from skgrad.estimators.queries import check_query_weights, query_codes
from skgrad.estimators.ranking_metrics import mean_average_precision, mean_ndcg
from skgrad.estimators.sklearn_private import fit_context, num_samples
from skgrad.estimators.solving import can_partial_fit
from skgrad.estimators.targets import checked_numbers
from skgrad.estimators.validation import split_rows
from skgrad.exceptions import ParameterError
from skgrad.losses import LambdaRank, Loss
from skgrad.optim import Newton, ProximalNewton
from skgrad.train import Data, Queries
from skgrad.typing import Array

__all__ = ["GradientRankerMixin"]

ROUTING = (
    "Inside of cross-validation, searches and pipelines: "
    "sklearn.set_config(enable_metadata_routing=True), then for example "
    "cross_validate(model, X, y, cv=GroupKFold(), params={'qid': qid, 'groups': qid})."
)


class GradientRankerMixin(BaseGradientEstimator):
    """Targets are relevances of documents to queries; a sample is a query."""

    _task: ClassVar[str] = "ranking"
    _auto_batch_size: ClassVar[int] = 32
    # There is no fit and no score without it.
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"qid": True}
    __metadata_request__partial_fit: ClassVar[dict[str, bool]] = {"qid": True}
    __metadata_request__score: ClassVar[dict[str, bool]] = {"qid": True}

    # --- from rows to queries -----------------------------------------------------

    def _check_y(self, X, y, dtype, reset):
        X, y = self._validated(X, y, dtype=dtype, y_numeric=True, reset=reset)
        return X, checked_numbers(y)

    def _rows(self, X, y, sample_weight, groups=None, *, dtype, reset):
        codes = self._codes(X, groups)
        check_query_weights(sample_weight, codes)
        return super()._rows(X, y, sample_weight, codes, dtype=dtype, reset=reset)

    def _codes(self, X, qid):
        if qid is None:
            raise ValueError(
                f"{type(self).__name__} needs the query of each row: pass qid, of "
                f"shape (n_samples,). {ROUTING}"
            )
        return query_codes(qid, num_samples(X))

    def _encode(self, y: Array, loss: Loss) -> tuple[Array, int | None]:
        return np.asarray(y, dtype=np.float64), None

    def _collected(self, data: Data, rows: Rows) -> Queries:
        codes = np.unique(_queries(rows), return_inverse=True)[1]
        w = rows.w[np.unique(codes, return_index=True)[1]]
        weights = (w / w.mean()).astype(data.w.dtype)
        return Queries(data.X, data.y, weights, codes)

    def _held_out(
        self, rows: Rows, given: Rows | None, seed: int
    ) -> tuple[Rows, Rows | None]:
        """Return training and validation rows, whole queries each."""
        if given is None and self.early_stopping:
            rows, given = self._split(rows, seed)
        if not hasattr(self, "module_"):
            _check_pairs(rows)
        return rows, given

    def _split(self, rows: Rows, seed: int) -> tuple[Rows, Rows]:
        """Return the rows of two sets of queries: the splitter sees a row of each."""
        queries = _queries(rows)
        first = np.unique(queries, return_index=True)[1]
        if len(first) < 2:
            raise ParameterError(
                f"early_stopping keeps whole queries back, and there is only "
                f"{len(first)}. Set early_stopping=False, or pass X_val, y_val and "
                "qid_val."
            )
        numbered = replace(rows.take(first), X=queries[first])
        # Some splitters refuse to be without groups, others warn of them.
        routing = get_routing_for_object(self.validation_splitter)
        if not routing.consumes("split", {"groups"}):
            numbered = replace(numbered, groups=None)
        parts = split_rows(self, numbered, None, seed)
        train, held_out = (np.isin(queries, part.X) for part in parts)
        return rows.take(train), rows.take(held_out)

    def _make_optimizer(self, loss: Loss, module: Any):
        optimizer = super()._make_optimizer(loss, module)
        if not optimizer.stochastic:
            _check_all_rows(optimizer, loss)
        return optimizer

    # --- what users call ----------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        *,
        qid=None,
        sample_weight=None,
        X_val=None,
        y_val=None,
        qid_val=None,
        sample_weight_val=None,
    ):
        """Fit the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs, a row per document.
        y : array-like of shape (n_samples,)
            Relevances, higher is better: grades, or any numbers for losses that take
            them. Those of different queries are not compared.
        qid : array-like of shape (n_samples,)
            The query of each row: labels of any kind, in any order. Rows of one query
            are gathered and keep their order.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the queries, the same for all rows of one: an
            integer weight equals a repeated query, a zero weight an absent one.
        X_val : array-like of shape (n_val, n_features), default=None
            Validation inputs; their score is recorded after each epoch.
        y_val : array-like of shape (n_val,), default=None
            Validation targets.
        qid_val : array-like of shape (n_val,), default=None
            Validation queries. All of them are others than those of `qid`.
        sample_weight_val : array-like of shape (n_val,), default=None
            Validation weights.

        Returns
        -------
        estimator
            The fitted estimator itself.

        Raises
        ------
        ValueError
            If `qid` is missing, the data or a parameter is not valid, or no query has
            documents of different relevance; the message says what to do.
        """
        if (X_val is None) != (qid_val is None):
            raise ValueError(
                "Pass all of X_val, y_val and qid_val, the query of each validation "
                "row, or none of them."
            )
        if X_val is not None:
            query_codes(qid_val, num_samples(X_val), "qid_val")
        rows = X, y, sample_weight, qid
        validation = X_val, y_val, sample_weight_val, qid_val
        metadata = {"qid": qid, "sample_weight": sample_weight}
        examine(self, *self._fit_with_hooks(rows, validation, metadata))
        return self

    @available_if(can_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, *, qid=None, sample_weight=None):
        """Make one pass over some queries, keeping weights and optimizer state.

        The first call fixes the scaling of the inputs. Queries are those of the call:
        the rows of one must come together.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,)
            Relevances.
        qid : array-like of shape (n_samples,)
            The query of each row.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the queries.

        Returns
        -------
        estimator
            The fitted estimator itself.
        """
        return self._partial_fit(X, y, sample_weight, qid)

    def predict(self, X):
        """Return scores: within a query, documents of higher scores come first.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs, a row per document; no query is needed.

        Returns
        -------
        ndarray of shape (n_samples,)
            Scores. Only differences within a query mean something.
        """
        return self._raw_predict(X)

    def score(self, X, y, *, qid=None, sample_weight=None):
        """Return the mean NDCG of the first ``ndcg_at`` ranks over the queries.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,)
            Relevances in [0, 31].
        qid : array-like of shape (n_samples,)
            The query of each row.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the queries, the same for all rows of one.

        Returns
        -------
        float
            In [0, 1]; a query without a relevant document counts as 1. See
            :func:`~skgrad.estimators.ranking_metrics.mean_ndcg`.
        """
        codes = self._codes(X, qid)
        k = self.ndcg_at
        return mean_ndcg(y, self.predict(X), codes, k=k, sample_weight=sample_weight)

    def _scorer(self) -> Any:
        if callable(self.scoring):
            return self.scoring
        if self.scoring == "ndcg":
            return type(self).score
        if self.scoring == "map":
            return _score_by_map
        raise ParameterError(
            f"The 'scoring' parameter of {type(self).__name__} must be 'loss', 'ndcg', "
            "'map' or a callable (estimator, X, y, qid=..., sample_weight=...). Got "
            f"{self.scoring!r} instead."
        )

    def _score_params(self, rows: Rows) -> dict[str, Array]:
        return {"qid": _queries(rows), **super()._score_params(rows)}


def _score_by_map(
    estimator: Any, X: Any, y: Any, qid: Any, sample_weight: Any = None
) -> float:
    scores = estimator.predict(X)
    return mean_average_precision(y, scores, qid, sample_weight=sample_weight)


def _queries(rows: Rows) -> Array:
    """Return the number of the query of each row."""
    assert rows.groups is not None
    return rows.groups


def _check_pairs(rows: Rows) -> None:
    """Refuse queries none of which has an order."""
    codes = np.unique(_queries(rows), return_inverse=True)[1]
    n_queries = int(codes.max()) + 1
    low, high = np.full(n_queries, np.inf), np.full(n_queries, -np.inf)
    np.minimum.at(low, codes, rows.y)
    np.maximum.at(high, codes, rows.y)
    if not (low < high).any():
        raise ValueError(
            "No query has two documents of different relevance, so there is no order "
            f"to learn. qid has {n_queries} different labels (n_samples="
            f"{len(rows.y)}); it must be the same for all documents of a query."
        )


def _check_all_rows(optimizer: Any, loss: Loss) -> None:
    """Refuse what optimizers of all rows cannot minimise."""
    kind = type(optimizer).__name__
    if isinstance(loss, LambdaRank):
        raise ParameterError(
            f"{kind} needs a loss whose gradient is its own. That of LambdaRank is not "
            "(its value jumps where ranks change). Set optimizer='adam', or "
            "loss='pairwise_logistic' or 'listnet'."
        )
    if isinstance(optimizer, Newton | ProximalNewton):
        raise ParameterError(
            f"{kind} needs the second derivatives of a sum over rows, which a ranking "
            "loss is not. Set optimizer='lbfgs', or 'newton_cg'."
        )
