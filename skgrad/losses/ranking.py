"""Losses for ranking: a sample is a query with its documents.

Targets (relevances) and raw predictions (scores) have shape (n_queries, n_documents).
Queries with fewer documents are padded: a relevance of NaN is no document, and its
score is ignored, whatever it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from skgrad import functional, ops
from skgrad.exceptions import ParameterError, ShapeError
from skgrad.losses.base import Hyper, Loss
from skgrad.losses.divergence import surprise
from skgrad.losses.domain import Interval
from skgrad.losses.registry import register_loss
from skgrad.tensor import Tensor

__all__ = ["LambdaRank", "ListNet", "PairwiseLogistic"]

# Gains are 2^relevance - 1, in float32 too: as LightGBM's, up to 31 grades.
MOST_RELEVANT = 31.0


class RankingLoss(Loss):
    """Base of the losses of queries. Only differences of scores count."""

    task = "ranking"

    def _check_shapes(self, y_true: Tensor, raw_prediction: Tensor) -> None:
        y, raw = tuple(y_true.shape), tuple(raw_prediction.shape)
        if y != raw or len(y) != 2:
            raise ShapeError(
                f"y_true has shape {y} and raw_prediction has shape {raw}; "
                f"{type(self).__name__} takes a row per query, both of shape "
                "(n_queries, n_documents). Pad shorter queries with a relevance of "
                "NaN; of (n_queries, n_documents, 1) use raw_prediction[..., 0]."
            )

    def check_targets(self, y_true: Any, raw_shape: tuple[int, ...]) -> None:
        """Check the relevances that are not NaN, see `Loss.check_targets`."""
        super().check_targets(y_true[~np.isnan(y_true)], raw_shape)


@register_loss("pairwise_logistic")
class PairwiseLogistic(RankingLoss):
    r"""The log loss of the order of two documents, RankNet's, for ranking.

    The mean, over the pairs of documents of a query of which the first is more
    relevant, :math:`y_i > y_j`, of

    .. math:: \log\bigl(1 + e^{-\sigma (f_i - f_j)}\bigr)

    per query, in natural logarithms. A query without such a pair has the value 0.

    Parameters
    ----------
    sigma : float, default=1.0
        Steepness, positive: the unit of the scores is 1 / sigma.

    Raises
    ------
    ParameterError
        On use, if `sigma` is not positive and finite.

    Notes
    -----
    Targets and raw predictions have shape (n_queries, n_documents), and a relevance of
    NaN is padding. Relevances are any real numbers; only their order counts. Convex and
    twice differentiable. The paper adds up the pairs; the mean gives every query the
    same weight: weight it with its number of pairs to have the sum. Time and memory
    grow with n_queries · n_documents².

    References
    ----------
    C. Burges, T. Shaked, E. Renshaw, A. Lazier, M. Deeds, N. Hamilton and G. Hullender,
    Learning to rank using gradient descent, ICML 2005, eq. (3).

    Examples
    --------
    >>> from skgrad.losses import PairwiseLogistic
    >>> y_true = [[1.0, 0.0, float("nan")], [2.0, 2.0, 2.0]]
    >>> scores = [[0.0, 0.0, 9.0], [1.0, 2.0, 3.0]]
    >>> PairwiseLogistic()(y_true, scores).numpy().round(4).tolist()
    [0.6931, 0.0]
    """

    convex = True
    hyperparameter_domains: ClassVar[Mapping[str, Interval]] = MappingProxyType(
        {"sigma": Interval(0.0, np.inf)}
    )

    def __init__(self, sigma: float = 1.0) -> None:
        self.sigma = sigma

    def pointwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return the mean over the pairs of every query, without any check.

        See `Loss.pointwise`.
        """
        hyper: dict[str, Hyper] = {**self.hyperparameters(), **hyperparameters}
        ordered = _pairs(ops.greater, y_true)
        weights = ops.where(ordered, ops.astype(1.0, raw_prediction.dtype), 0.0)
        count = ops.maximum(ops.sum(weights, axis=(-2, -1)), 1.0)
        total = _pair_losses(ordered, weights, raw_prediction, hyper["sigma"])
        values: Tensor = total / count
        return values


@register_loss("lambdarank")
class LambdaRank(RankingLoss):
    r"""The log loss of the order of two documents, weighted by what it does to NDCG.

    The sum, over the pairs of documents of a query of which the first is more relevant,
    :math:`y_i > y_j`, of

    .. math:: |\Delta \mathrm{NDCG}_{ij}|\,\log\bigl(1 + e^{-\sigma (f_i - f_j)}\bigr)
              \qquad |\Delta \mathrm{NDCG}_{ij}| =
              \frac{|2^{y_i} - 2^{y_j}|\,|D_{r_i} - D_{r_j}|}{\mathrm{maxDCG}}

    per query, in natural logarithms: how much NDCG changes when the two documents swap
    their present ranks r (1 is best), with discounts :math:`D_r = 1 / \log_2(1 + r)`.

    Parameters
    ----------
    k : int, default=None
        Only the first k ranks count (NDCG@k): :math:`D_r = 0` for r > k. None: all.
    sigma : float, default=1.0
        Steepness, positive: the unit of the scores is 1 / sigma.

    Raises
    ------
    ParameterError
        On use, if `k` is neither None nor a whole number of at least 1, or `sigma` not
        positive and finite.

    Notes
    -----
    Targets and raw predictions have shape (n_queries, n_documents), and a relevance of
    NaN is padding. Relevances are grades in [0, 31], of which the gain is
    :math:`2^y - 1`. The weights :math:`|\Delta\mathrm{NDCG}|` are constants to the
    derivative, which is then the :math:`\lambda` of the paper; the value jumps where
    ranks change, so it is not what an optimizer decreases at every step: watch NDCG.
    Equal scores are ranked by position. A query whose documents are all equally
    relevant has the value 0. As |ΔNDCG| is relative to the best DCG, every query has
    about the same weight, however many pairs it has. Time and memory grow with
    n_queries · n_documents².

    References
    ----------
    C. J. C. Burges, From RankNet to LambdaRank to LambdaMART: an overview, Microsoft
    Research technical report MSR-TR-2010-82 (2010), eqs. (2), (5) and Section 4.

    Examples
    --------
    >>> from skgrad.losses import LambdaRank
    >>> y_true = [[1.0, 0.0, float("nan")], [2.0, 2.0, 2.0]]
    >>> scores = [[0.0, 0.0, 9.0], [1.0, 2.0, 3.0]]
    >>> LambdaRank()(y_true, scores).numpy().round(4).tolist()
    [0.2558, 0.0]
    """

    y_domain = Interval(0.0, MOST_RELEVANT, "both")
    twice_differentiable = False
    hyperparameter_domains: ClassVar[Mapping[str, Interval]] = MappingProxyType(
        {"sigma": Interval(0.0, np.inf)}
    )

    def __init__(self, k: int | None = None, sigma: float = 1.0) -> None:
        self.k = k
        self.sigma = sigma

    def validate(self) -> None:
        """Check truncation and steepness, see `Loss.validate`."""
        super().validate()
        if self.k is not None and not _is_count(self.k):
            raise ParameterError(
                "The 'k' parameter of LambdaRank must be None or an int >= 1. "
                f"Got {self.k!r} instead."
            )

    def hyperparameters(self) -> dict[str, float]:
        """Return k, infinite for None, and sigma, see `Loss.hyperparameters`."""
        k = math.inf if self.k is None else float(self.k)
        return {"k": k, **super().hyperparameters()}

    def pointwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return the weighted sum over the pairs of every query, without any check.

        See `Loss.pointwise`.
        """
        hyper: dict[str, Hyper] = {**self.hyperparameters(), **hyperparameters}
        ordered = _pairs(ops.greater, y_true)
        weights = ops.where(
            ordered, _ndcg_changes(y_true, raw_prediction, hyper["k"]), 0.0
        )
        return _pair_losses(ordered, weights, raw_prediction, hyper["sigma"])


@register_loss("listnet")
class ListNet(RankingLoss):
    r"""The cross-entropy of the probabilities of being ranked first, for ranking.

    .. math:: \ell = -\sum_i P_i(y) \log P_i(f), \qquad
              P_i(f) = \frac{e^{f_i}}{\sum_j e^{f_j}}

    per query, over its documents, in natural logarithms.

    Notes
    -----
    Targets and raw predictions have shape (n_queries, n_documents), and a relevance of
    NaN is padding. Relevances are any real numbers and are on the scale of the scores:
    the value is smallest, the entropy of :math:`P(y)`, where the scores are the
    relevances plus a constant. Convex and twice differentiable. A query without
    documents has the value 0.

    References
    ----------
    Z. Cao, T. Qin, T.-Y. Liu, M.-F. Tsai and H. Li, Learning to rank: from pairwise
    approach to listwise approach, ICML 2007, Section 4 (top one probability).

    Examples
    --------
    >>> from skgrad.losses import ListNet
    >>> y_true = [[1.0, 1.0, float("nan")], [3.0, 0.0, 0.0]]
    >>> scores = [[0.0, 0.0, 9.0], [3.0, 0.0, 0.0]]
    >>> ListNet()(y_true, scores).numpy().round(4).tolist()
    [0.6931, 0.3666]
    """

    convex = True

    def pointwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return the cross-entropy of every query, without any check.

        See `Loss.pointwise`.
        """
        is_document = _is_document(y_true)
        # The lowest number, not -inf: in a query without documents all scores are then
        # equal, where a softmax of nothing would be NaN.
        lowest = float(np.finfo(raw_prediction.dtype).min)
        y, raw = (ops.where(is_document, x, lowest) for x in (y_true, raw_prediction))
        first = ops.where(is_document, functional.softmax(y), 0.0)
        values: Tensor = ops.sum(ops.multiply(first, surprise(first, raw)), axis=-1)
        return values


def _is_document(y_true: Tensor) -> Tensor:
    """Return where there is a document: where the relevance is not NaN."""
    found: Tensor = ops.logical_not(ops.isnan(y_true))
    return found


def _pairs(compare: Any, x: Tensor) -> Tensor:
    """Return ``compare(x_i, x_j)`` for all pairs of documents, (n_queries, n, n)."""
    compared: Tensor = compare(ops.expand_dims(x, -1), ops.expand_dims(x, -2))
    return compared


def _pair_losses(ordered: Tensor, weights: Tensor, raw: Tensor, sigma: Hyper) -> Tensor:
    """Return Σ w_ij log(1 + exp(-σ (f_i - f_j))) over the ordered pairs of a query."""
    margin = ops.where(ordered, _pairs(ops.subtract, raw), 0.0)
    losses = ops.multiply(weights, ops.softplus(-(sigma * margin)))
    values: Tensor = ops.sum(losses, axis=(-2, -1))
    return values


def _ndcg_changes(y_true: Tensor, raw: Tensor, k: Hyper) -> Tensor:
    """Return |ΔNDCG@k| of a swap of each two documents, (n_queries, n, n).

    Made of comparisons and of targets only, so no derivative passes through.
    """
    is_document = _is_document(y_true)
    gain = ops.expm1(ops.where(is_document, y_true, 0.0) * math.log(2.0))
    discount = _discounts(raw, is_document, k)
    best = ops.sum(gain * _discounts(y_true, is_document, k), axis=-1, keepdims=True)
    share = gain / ops.where(ops.greater(best, 0.0), best, 1.0)
    gains, discounts = _pairs(ops.subtract, share), _pairs(ops.subtract, discount)
    changes: Tensor = ops.absolute(gains * discounts)
    return changes


def _discounts(scores: Tensor, is_document: Tensor, k: Hyper) -> Tensor:
    """Return 1 / log2(1 + rank) of the documents by descending scores, 0 beyond k.

    The rank is counted: 1 plus the documents ahead, those of a larger score and those
    of an equal score and a lower position. Counting needs no sort, and compiles.
    """
    position = np.arange(scores.shape[-1])
    before = position < position[:, np.newaxis]  # [i, j]: j comes before i
    tied = ops.logical_and(_pairs(ops.equal, scores), before)
    ahead = ops.logical_or(_pairs(ops.less, scores), tied)
    counted = ops.logical_and(ahead, ops.expand_dims(is_document, -2))
    one = ops.astype(1.0, scores.dtype)
    rank = ops.sum(ops.where(counted, one, 0.0), axis=-1) + 1.0
    counts = ops.logical_and(is_document, ops.less_equal(rank, k))
    discount: Tensor = ops.where(counts, math.log(2.0) / ops.log1p(rank), 0.0)
    return discount


def _is_count(k: Any) -> bool:
    """Return whether `k` is a whole number of at least 1."""
    return isinstance(k, int | np.integer) and not isinstance(k, bool) and bool(k >= 1)
