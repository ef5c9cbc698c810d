"""Losses of queries: what the papers say, and what padding must not do."""

import numpy as np
import pytest
import torch
from losses.cases import CASES, gradient_of, values_of
from losses.ranks import dcg, lambdarank_in_torch, swap_costs
from sklearn.metrics import ndcg_score

import skgrad
from skgrad import losses, nn, optim
from skgrad.exceptions import ParameterError, ShapeError
from skgrad.train import (
    Data,
    Frame,
    Objective,
    Settings,
    fit_stochastic,
    row_keys,
)

RANKING = [n for n, cls in losses.LOSSES.items() if cls.task == "ranking"]
every_loss = pytest.mark.parametrize(
    "loss", [CASES[name].loss for name in RANKING], ids=RANKING
)


def queries(rng, n=30, n_documents=7, shortest=0):
    """Return grades padded with NaN at the end, and scores."""
    y = rng.integers(0, 5, size=(n, n_documents)).astype(float)
    sizes = rng.integers(shortest, n_documents + 1, size=n)
    y[np.arange(n_documents) >= sizes[:, np.newaxis]] = np.nan
    return y, rng.standard_normal((n, n_documents))


def by_loops(y, raw, weight):
    """Return Σ w_ij log(1 + exp(f_j - f_i)) over i more relevant than j, in loops."""
    total = 0.0
    for i in range(len(y)):
        for j in range(len(y)):
            if y[i] > y[j]:
                total += weight[i, j] * np.log1p(np.exp(raw[j] - raw[i]))
    return total


# ---------------------------------------------------------------------- the oracle


@pytest.mark.parametrize("k", [None, 1, 3])
def test_the_gain_of_the_oracle_is_that_of_scikit_learn(rng, k):
    y, raw = queries(rng, shortest=7)
    for grades, scores in zip(y, raw, strict=True):
        shown = grades[np.argsort(-scores)]
        found = dcg(shown, k) / dcg(np.sort(grades)[::-1], k)
        # scikit-learn takes gains, not grades.
        expected = ndcg_score([2.0**grades - 1], [scores], k=k)
        assert found == pytest.approx(expected, rel=1e-12)


# ------------------------------------------------------------------------- values


def test_pairwise_logistic_in_loops(rng):
    y, raw = queries(rng)
    expected = []
    for grades, scores in zip(y, raw, strict=True):
        n_pairs = sum(a > b for a in grades for b in grades)
        ones = np.ones((7, 7)) / max(n_pairs, 1)
        expected.append(by_loops(grades, scores, ones))
    found = values_of(losses.PairwiseLogistic(), y, raw)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("k", [None, 1, 3, 100])
def test_lambdarank_in_loops(rng, k):
    y, raw = queries(rng)
    expected = []
    for grades, scores in zip(y, raw, strict=True):
        shown = ~np.isnan(grades)
        costs = swap_costs(scores[shown].tolist(), grades[shown].tolist(), k)
        expected.append(by_loops(grades[shown], scores[shown], costs))
    found = values_of(losses.LambdaRank(k=k), y, raw)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("k", [None, 2])
def test_lambdas_of_the_paper(rng, k):
    # Burges (2010), eq. (5) with |ΔNDCG|: the gradient is the sum of the lambdas.
    sigma = 1.3
    y, raw = queries(rng, n=4)
    expected = np.zeros_like(raw)
    for q, (grades, scores) in enumerate(zip(y, raw, strict=True)):
        shown = np.flatnonzero(~np.isnan(grades))
        costs = swap_costs(scores[shown].tolist(), grades[shown].tolist(), k)
        for a, i in enumerate(shown):
            for b, j in enumerate(shown):
                if grades[i] > grades[j]:
                    growth = np.exp(sigma * (scores[i] - scores[j]))
                    rate = -sigma / (1 + growth) * costs[a, b]
                    expected[q, i] += rate
                    expected[q, j] -= rate
    found = gradient_of(losses.LambdaRank(k=k, sigma=sigma), y, raw)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_equal_scores_are_ranked_by_position():
    y = np.array([[0.0, 1.0, 2.0, 2.0, 0.0]])
    raw = np.zeros((1, 5))
    leaf = torch.zeros((1, 5), dtype=torch.float64)
    expected = lambdarank_in_torch(leaf, torch.tensor(y)).numpy()
    found = values_of(losses.LambdaRank(), y, raw)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_listnet_is_smallest_where_scores_are_relevances(rng):
    y, _ = queries(rng, shortest=2)
    raw = np.nan_to_num(y) + rng.standard_normal((len(y), 1))
    np.testing.assert_allclose(gradient_of(losses.ListNet(), y, raw), 0, atol=1e-15)
    first = np.exp(y) / np.nansum(np.exp(y), axis=1, keepdims=True)
    entropy = -np.nansum(first * np.log(first), axis=1)
    np.testing.assert_allclose(values_of(losses.ListNet(), y, raw), entropy, rtol=1e-13)


@every_loss
def test_a_constant_added_to_the_scores_changes_nothing(loss, rng):
    y, raw = queries(rng)
    shifted = raw + 2.0 ** rng.integers(-3, 4, size=(len(y), 1))
    np.testing.assert_allclose(
        values_of(loss, y, shifted), values_of(loss, y, raw), rtol=1e-12, atol=1e-14
    )


@every_loss
def test_the_order_of_the_documents_changes_nothing(loss, rng):
    y, raw = queries(rng)
    order = rng.permutation(7)
    np.testing.assert_allclose(
        values_of(loss, y[:, order], raw[:, order]), values_of(loss, y, raw), rtol=1e-12
    )


# ------------------------------------------------------------------------ padding


@every_loss
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("padded", [0.0, 1e30, -1e30, np.inf, -np.inf, np.nan])
def test_padded_scores_are_ignored_whatever_they_are(loss, dtype, padded, rng):
    y, raw = (x.astype(dtype) for x in queries(rng))
    no_document = np.isnan(y)
    filled = np.where(no_document, np.dtype(dtype).type(padded), raw)
    np.testing.assert_array_equal(
        values_of(loss, y, filled), values_of(loss, y, np.where(no_document, 0, raw))
    )
    gradient = gradient_of(loss, y, filled)
    assert not gradient[no_document].any()
    assert not np.isnan(gradient).any()


@every_loss
def test_more_padding_changes_nothing(loss, rng):
    y, raw = queries(rng)
    wider = [np.pad(x, ((0, 0), (0, 3)), constant_values=np.nan) for x in (y, raw)]
    np.testing.assert_allclose(
        values_of(loss, *wider), values_of(loss, y, raw), rtol=1e-13
    )


@every_loss
@pytest.mark.parametrize("grades", [[np.nan, np.nan], [1.0, np.nan]])
def test_queries_without_a_pair_have_the_value_zero(loss, grades):
    y, raw = np.array([grades]), np.array([[1.0, 2.0]])
    assert values_of(loss, y, raw).tolist() == [0.0]
    assert gradient_of(loss, y, raw).tolist() == [[0.0, 0.0]]


def test_a_query_of_irrelevant_documents_has_no_preference():
    y, raw = np.zeros((1, 3)), np.array([[1.0, 2.0, 3.0]])
    for loss in (losses.LambdaRank(), losses.PairwiseLogistic()):
        assert values_of(loss, y, raw).tolist() == [0.0]


# ------------------------------------------------------------------------- errors


@every_loss
@pytest.mark.parametrize(
    ("y", "raw"), [((5,), (5,)), ((5, 3), (5, 4)), ((5, 3), (5, 3, 1)), ((), ())]
)
def test_other_shapes_are_refused(loss, y, raw):
    with pytest.raises(ShapeError, match=r"\(n_queries, n_documents\).*NaN") as caught:
        loss(np.zeros(y), np.zeros(raw))
    assert f"{y} and raw_prediction has shape {raw}" in str(caught.value)


@pytest.mark.parametrize("grade", [-1.0, 32.0, np.inf])
def test_grades_outside_the_domain_are_refused(grade):
    with pytest.raises(ParameterError, match=r"LambdaRank must lie in \[0, 31\]"):
        losses.LambdaRank()(np.array([[grade, np.nan]]), np.zeros((1, 2)))


@pytest.mark.parametrize("k", [0, -1, 2.0, "3", True])
def test_truncations_that_are_no_counts_are_refused(k):
    with pytest.raises(ParameterError, match=r"None or an int >= 1\. Got .* instead"):
        losses.LambdaRank(k=k).validate()


@every_loss
def test_there_is_no_best_constant(loss):
    assert not loss.has_optimal_constant
    with pytest.raises(ParameterError, match=f"{loss.name!r} is not known"):
        loss.optimal_constant(np.zeros((2, 3)))


# ----------------------------------------------------------------------- a ranker


class Ranker(nn.Module):
    """Scores of documents from their features."""

    def __init__(self, n_features):
        super().__init__()
        self.score = nn.Linear(n_features, 1)

    def forward(self, x):
        return self.score(x)[..., 0]


def ranked_data(rng, n=60):
    """Return features, and grades by a hidden linear score, some of them padded."""
    X = rng.standard_normal((n, 8, 4))
    y = np.clip(np.round(X @ [2.0, -1.0, 0.5, 0.0] + 1), 0, 4)
    y[: n // 3, 6:] = np.nan
    with skgrad.random_seed(0), nn.default_dtype("float64"):
        return X, y, Ranker(4)


def mean_ndcg(X, y, model):
    raw = model(skgrad.tensor(X)).numpy()
    whole = np.flatnonzero(~np.isnan(y).any(axis=1))
    return np.mean([ndcg_score(y[[q]], raw[[q]]) for q in whole])


@every_loss
def test_a_loop_of_ones_own_learns_to_rank(loss, rng):
    X, y, model = ranked_data(rng)
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    assert mean_ndcg(X, y, model) < 0.9
    for _ in range(50):
        optimizer.zero_grad()
        loss(y, model(skgrad.tensor(X))).mean().backward()
        optimizer.step()
    assert mean_ndcg(X, y, model) > 0.98


@every_loss
def test_the_training_loop_takes_queries_as_rows(loss, rng):
    X, y, model = ranked_data(rng)
    objective = Objective(model, loss, 8)
    data, frame = Data(X, y, np.ones(60), row_keys(X)), Frame.identity(4, "float64")
    settings = Settings(batch_size=20, max_iter=20, tol=None, learning_rate=0.1)
    fit = fit_stochastic(
        objective, optim.Adam(), optim.Constant(), data, frame, settings
    )
    assert fit.epochs[-1].objective < fit.epochs[0].objective
    objective.store(fit.state.params, fit.state.state["buffers"])
    assert mean_ndcg(X, y, model) > 0.98
