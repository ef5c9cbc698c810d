"""NDCG and average precision over queries, beside scikit-learn's of each query."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, make_scorer, ndcg_score

from skgrad.estimators.ranking_metrics import mean_average_precision, mean_ndcg


def make(rng, n=400, n_queries=50, ties=True):
    y, qid = rng.integers(0, 4, n), rng.integers(0, n_queries, n)
    return y, np.round(rng.normal(size=n), 0 if ties else 9), qid


def with_relevant(y, qid):
    queries = [qid == query for query in np.unique(qid)]
    return [q for q in queries if q.sum() > 1 and y[q].max() > 0]


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("k", [None, 1, 3, 10])
def test_ndcg_is_scikit_learns_of_exponential_gains(rng, k, ties):
    y, score, qid = make(rng, ties=ties)
    queries = with_relevant(y, qid)
    expected = [ndcg_score([2.0 ** y[q] - 1], [score[q]], k=k) for q in queries]
    rows = np.any(queries, axis=0)
    found = mean_ndcg(y[rows], score[rows], qid[rows], k=k)
    assert found == pytest.approx(np.mean(expected), rel=1e-12)


@pytest.mark.parametrize("ties", [True, False])
def test_average_precision_is_scikit_learns(rng, ties):
    y, score, qid = make(rng, ties=ties)
    queries = with_relevant(y, qid)
    expected = [average_precision_score(y[q] > 0, score[q]) for q in queries]
    rows = np.any(queries, axis=0)
    found = mean_average_precision(y[rows], score[rows], qid[rows])
    assert found == pytest.approx(np.mean(expected), rel=1e-12)


@pytest.mark.parametrize("metric", [mean_ndcg, mean_average_precision])
def test_weights_repeat_queries_and_labels_are_of_any_kind(rng, metric):
    y, score, qid = make(rng, n=60, n_queries=9)
    w = rng.integers(0, 3, 9)[qid]
    repeated = [np.repeat(a, w) for a in (y, score, qid)]
    copies = np.concatenate([np.arange(n) for n in w])
    repeated[2] = 10 * repeated[2] + copies
    weighted = metric(y, score, [f"q{q}" for q in qid], sample_weight=w)
    assert weighted == pytest.approx(metric(*repeated), rel=1e-12)


@pytest.mark.parametrize("metric", [mean_ndcg, mean_average_precision])
def test_a_query_without_a_relevant_document_counts_as_one(metric):
    assert metric([0, 0, 0], [1.0, 2.0, 3.0], [1, 1, 2]) == 1.0
    assert metric([3], [1.0], [1]) == 1.0
    worst = metric([0, 1], [1.0, 0.0], [1, 1])
    assert metric([0, 1, 0], [1.0, 0.0, 0.0], [1, 1, 2]) == (1 + worst) / 2


def test_wrong_arguments_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"\[0, 31\].*Got -1 among.*'map'"):
        mean_ndcg([-1, 2], [0.0, 1.0], [1, 1])
    with pytest.raises(ValueError, match=r"y_true contains NaN"):
        mean_average_precision([np.nan, 2], [0.0, 1.0], [1, 1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        mean_ndcg([1, 2], [0.0], [1, 1])
    with pytest.raises(ValueError, match="3 labels for 2 rows"):
        mean_ndcg([1, 2], [0.0, 1.0], [1, 1, 1])
    with pytest.raises(ValueError, match="Rows 0 and 1 of one have the weights 1 and"):
        mean_ndcg([1, 2], [0.0, 1.0], [1, 1], sample_weight=[1, 2])


def test_they_make_scorers():
    assert "mean_ndcg" in repr(make_scorer(mean_ndcg, k=5))
