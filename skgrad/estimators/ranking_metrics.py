"""How good the order of the documents of queries is: NDCG and average precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skgrad.estimators.queries import (
    check_query_weights,
    query_codes,
    weights_of_queries,
)
from skgrad.losses.ranking import MOST_RELEVANT
from skgrad.typing import Array

__all__ = ["mean_average_precision", "mean_ndcg"]


def mean_ndcg(
    y_true: Any,
    y_score: Any,
    qid: Any,
    *,
    k: int | None = None,
    sample_weight: Any = None,
) -> float:
    """Return the normalised discounted cumulative gain, averaged over queries.

    That of a query is the sum of ``(2**relevance - 1) / log2(1 + rank)`` over its first
    k ranks, divided by the largest it can be, as in LambdaRank, LightGBM and XGBoost.
    It is :func:`sklearn.metrics.ndcg_score` for gains of ``2**relevance - 1``;
    documents of equal scores share their ranks equally, as there.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Relevances, grades in [0, 31].
    y_score : array-like of shape (n_samples,)
        Scores, higher is better.
    qid : array-like of shape (n_samples,)
        The query of each document, of any dtype that can be sorted, in any order.
    k : int or None, default=None
        Ranks that count; None: all.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the queries: the same for all documents of one.

    Returns
    -------
    float
        In [0, 1]. A query without a relevant document has the value 1, as in LightGBM
        and XGBoost: no order of it is better than another.

    Raises
    ------
    ValueError
        If relevances lie outside [0, 31], or labels or weights are not valid.

    See Also
    --------
    mean_average_precision : For documents that are relevant or not.

    References
    ----------
    K. Järvelin and J. Kekäläinen, Cumulated gain-based evaluation of IR techniques, ACM
    Transactions on Information Systems 20 (2002). F. McSherry and M. Najork, Computing
    information retrieval performance measures efficiently in the presence of tied
    scores, ECIR 2008, for ties.

    Examples
    --------
    >>> from skgrad.estimators.ranking_metrics import mean_ndcg
    >>> y_true, y_score = [0, 1, 0, 2, 2], [3.0, 2.0, 1.0, 0.0, 1.0]
    >>> round(mean_ndcg(y_true, y_score, ["a", "a", "a", "b", "b"]), 4)
    0.8155

    As a scorer for cross-validation, with ``enable_metadata_routing=True``:

    >>> from sklearn.metrics import make_scorer
    >>> scorer = make_scorer(mean_ndcg, k=5)
    """
    y, ranking = _checked(y_true, y_score, qid)
    inside = (y >= 0) & (y <= MOST_RELEVANT)
    if not inside.all():
        raise ValueError(
            f"NDCG needs relevances in [0, {MOST_RELEVANT:g}], of which the gain is "
            f"2**relevance - 1. Got {y[~inside][0]:g} among them. Grade them, for "
            "example with numpy.digitize, or score by average precision ('map')."
        )
    gain, best = np.expm1(y * np.log(2.0)), _Ranking(y, ranking.codes)
    dcg = ranking.per_query(ranking.shared(gain) * ranking.discounts(k))
    most = best.per_query(best.sorted(gain) * best.discounts(k))
    return ranking.averaged(dcg, most, sample_weight)


def mean_average_precision(
    y_true: Any, y_score: Any, qid: Any, *, sample_weight: Any = None
) -> float:
    """Return the average precision, averaged over queries: MAP.

    That of a query is the mean, over its relevant documents, of the share of relevant
    ones among those with at least the same score
    (:func:`sklearn.metrics.average_precision_score`).

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Relevances: a document is relevant if it is positive.
    y_score : array-like of shape (n_samples,)
        Scores, higher is better.
    qid : array-like of shape (n_samples,)
        The query of each document, of any dtype that can be sorted, in any order.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the queries: the same for all documents of one.

    Returns
    -------
    float
        In [0, 1]. A query without a relevant document has the value 1, as in LightGBM
        and XGBoost.

    Raises
    ------
    ValueError
        If labels or weights are not valid.

    See Also
    --------
    mean_ndcg : For grades.

    Examples
    --------
    >>> from skgrad.estimators.ranking_metrics import mean_average_precision
    >>> y_true, y_score = [1, 0, 1, 0], [3.0, 2.0, 1.0, 0.0]
    >>> round(mean_average_precision(y_true, y_score, [7, 7, 7, 7]), 4)
    0.8333
    """
    y, ranking = _checked(y_true, y_score, qid)
    hits = ranking.sorted((y > 0).astype(np.float64))
    total = np.cumsum(hits)
    found = total - (total - hits)[ranking.starts][ranking.query]
    # Documents of one score are found together, with the last of them.
    precision = (found / ranking.rank)[ranking.tie_ends - 1]
    gained = ranking.per_query(hits * precision[ranking.tie])
    return ranking.averaged(gained, ranking.per_query(hits), sample_weight)


def _checked(y_true: Any, y_score: Any, qid: Any) -> tuple[Array, _Ranking]:
    y, score = (column_or_1d(a, dtype=np.float64) for a in (y_true, y_score))
    check_consistent_length(y, score)
    for name, values in (("y_true", y), ("y_score", score)):
        assert_all_finite(values, input_name=name)
    return y, _Ranking(score, query_codes(qid, len(y)))


class _Ranking:
    """Documents sorted by query, then by descending score."""

    def __init__(self, score: Array, codes: Array) -> None:
        self.codes = codes
        self.order = np.lexsort((-score, codes))
        self.query, score = codes[self.order], score[self.order]
        new = np.append(True, self.query[1:] != self.query[:-1])
        self.starts = np.flatnonzero(new)
        self.rank = np.arange(len(score)) - self.starts[self.query] + 1
        new[1:] |= score[1:] != score[:-1]
        self.tie = np.cumsum(new) - 1
        self.tie_starts = np.flatnonzero(new)
        self.tie_ends = np.append(self.tie_starts[1:], len(score))

    def sorted(self, values: Array) -> Array:
        """Return values of the documents in this order."""
        return values[self.order]

    def shared(self, values: Array) -> Array:
        """Return the same, the mean of them where scores are equal."""
        sums = np.add.reduceat(self.sorted(values), self.tie_starts)
        return np.asarray((sums / (self.tie_ends - self.tie_starts))[self.tie])

    def discounts(self, k: int | None) -> Array:
        """Return 1 / log2(1 + rank), 0 beyond rank k."""
        counts = np.ones(len(self.rank)) if k is None else self.rank <= k
        return counts / np.log2(1.0 + self.rank)

    def per_query(self, values: Array) -> Array:
        """Return the sum of sorted values over each query."""
        return np.add.reduceat(values, self.starts)

    def averaged(self, value: Array, most: Array, sample_weight: Any) -> float:
        """Return the weighted mean share of what queries can have, 1 of nothing."""
        share = np.divide(value, most, out=np.ones_like(value), where=most > 0)
        check_query_weights(sample_weight, self.codes)
        w = weights_of_queries(sample_weight, self.codes)
        return float(np.average(share, weights=w))
