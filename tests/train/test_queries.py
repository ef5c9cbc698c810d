"""Queries: gathered, padded to few lengths, cut into batches and blocks."""

from itertools import combinations

import numpy as np
import pytest

from skgrad import losses, nn, optim, random_seed
from skgrad.data import pad_groups
from skgrad.train import (
    Data,
    Frame,
    Objective,
    Queries,
    Settings,
    TrainState,
    find_learning_rate,
    fit_stochastic,
    minus_loss,
    row_keys,
)
from skgrad.train.evaluation import Evaluation
from skgrad.train.queries import widths_of


def make(lengths=(1, 4, 2, 2, 9, 3), p=3, seed=0, shuffled=True):
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(lengths)), lengths)
    if shuffled:
        codes = rng.permutation(codes)
    X = rng.normal(size=(len(codes), p))
    w = rng.uniform(0.5, 1.5, size=len(lengths))
    y = rng.integers(0, 4, len(codes)).astype(float)
    return Queries(X, y, w / w.mean(), codes, row_keys(X))


def objective(loss, p=3):
    return Objective(nn.Linear(p, 1, bias=False), loss, None, documents=True)


def skewed(n, rng):
    return np.minimum(rng.geometric(1 / 30, n), 200)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_widths_pad_least_of_all_choices(rng, most):
    lengths = rng.integers(1, 12, 20)
    longest = lengths.max()
    others = list(range(1, longest))

    def padded(widths):
        return sum(min(w for w in widths if w >= n) for n in lengths)

    found = widths_of(lengths, most)
    assert found[-1] == longest
    assert len(found) <= most
    choices = combinations(others, most - 1)
    assert padded(found) == min(padded((*c, longest)) for c in choices)


def test_long_queries_have_few_widths_and_little_padding(rng):
    for lengths in (skewed(1000, rng), rng.integers(1, 5000, 1000), np.full(9, 7)):
        widths = widths_of(lengths)
        assert len(widths) <= 7
        padded = widths[np.searchsorted(widths, lengths)]
        assert (padded >= lengths).all()
        assert padded.sum() <= 1.3 * lengths.sum()


def test_documents_of_a_query_keep_their_order():
    queries = make()
    X, y, w, keys = queries[[4, 0, 1]]
    assert X.shape == (3, 9, 3)
    for row, code in enumerate([4, 0, 1]):
        own = np.flatnonzero(queries.codes == code)
        np.testing.assert_array_equal(X[row, : len(own)], queries.X[own])
        np.testing.assert_array_equal(y[row, : len(own)], queries.y[own])
        np.testing.assert_array_equal(keys[row, : len(own)], queries.keys[own])
        assert np.isnan(y[row, len(own) :]).all()
        assert (X[row, len(own) :] == queries.X[own[0]]).all()
    np.testing.assert_array_equal(w, queries.w[[4, 0, 1]])


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 8, 50])
def test_an_epoch_holds_every_query_once(rng, batch_size, shuffle):
    queries = make(skewed(50, rng))
    for epoch in range(3):
        parts = queries.epoch(batch_size, seed=0, epoch=epoch, shuffle=shuffle)
        rows = np.concatenate([part.ravel() for part in parts])
        assert sorted(rows) == list(range(50))
        assert [part.shape[1] for part in parts] == [batch_size, 50 % batch_size][
            : len(parts)
        ]
        again = queries.epoch(batch_size, seed=0, epoch=epoch, shuffle=shuffle)
        assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))


def test_batches_have_few_shapes_and_little_padding(rng):
    queries = make(skewed(1000, rng))
    shapes, padded = set(), 0
    for part in queries.epoch(16, seed=0, epoch=0):
        for rows in part:
            shape = queries[rows][1].shape
            shapes.add(shape)
            padded += np.prod(shape)
    assert len(shapes) <= 8
    assert padded <= 1.4 * len(queries.X)
    orders = [queries.epoch(16, seed=0, epoch=epoch)[0] for epoch in (0, 1)]
    pairs = [
        {frozenset(pair) for row in o for pair in combinations(row, 2)} for o in orders
    ]
    assert len(pairs[0] & pairs[1]) < 0.3 * len(pairs[0])


def test_blocks_hold_every_query_once(rng):
    queries = make(skewed(300, rng), p=50)
    blocks = list(queries.blocks())
    assert len(blocks) == queries.n_blocks
    assert len({block.y.shape for block in blocks}) <= 14
    assert sum(block.X.nbytes for block in blocks) <= 1.3 * queries.X.nbytes
    assert max(8 * block.y.shape[1] * block.y.size for block in blocks) <= 2**22
    assert queries.block_size == max(block.y.size for block in blocks)
    assert sum(len(block) for block in blocks) == 300
    found = np.concatenate([b.y[~np.isnan(b.y)] for b in blocks])
    np.testing.assert_array_equal(np.sort(found), np.sort(queries.y))


@pytest.mark.parametrize("loss", [losses.PairwiseLogistic(), losses.ListNet()])
def test_sums_are_those_of_queries_padded_to_one_length(rng, loss):
    queries = make()
    theta = rng.normal(size=3)
    value, gradient = Evaluation(
        objective(loss), queries, Frame.identity(3, "float64")
    )(theta)
    padded = pad_groups(queries.X, queries.y, queries.codes)
    order = queries.codes[np.sort(np.unique(queries.codes, return_index=True)[1])]

    def total(theta):
        values = loss(padded.y, padded.X @ theta).numpy()
        return np.average(values, weights=queries.w[order])

    h = 1e-6 * np.eye(3)
    slopes = [(total(theta + d) - total(theta - d)) / 2e-6 for d in h]
    assert value == pytest.approx(total(theta), rel=1e-12)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-9)
    score = minus_loss(objective(loss), queries, Frame.identity(3, "float64"))
    assert score(TrainState(theta, {"buffers": {}})) == pytest.approx(-value)


def test_steps_are_those_of_queries_padded_to_one_length():
    queries = make()
    loss, frame = losses.PairwiseLogistic(), Frame.identity(3, "float64")
    settings = Settings(batch_size=6, max_iter=5, tol=None, learning_rate=0.1)
    module = objective(loss)
    parts = (optim.SGD(), optim.Constant())
    found = fit_stochastic(module, *parts, queries, frame, settings)
    data = Data(*queries[np.arange(6)])
    expected = fit_stochastic(module, *parts, data, frame, settings)
    np.testing.assert_array_equal(found.state.params, expected.state.params)


def test_masks_follow_documents():
    queries = make()
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 1, bias=False))
    module = Objective(net, losses.ListNet(), None, documents=True)
    frame = Frame.identity(3, "float64")
    fits = []
    for seed in (0, 1):
        order = np.random.default_rng(seed).permutation(len(queries.X))
        data = Queries(
            *(a[order] for a in (queries.X, queries.y)),
            queries.w,
            queries.codes[order],
            queries.keys[order],
        )
        settings = Settings(batch_size=6, max_iter=3, tol=None, learning_rate=0.1)
        parts = (optim.SGD(), optim.Constant())
        fits.append(fit_stochastic(module, *parts, data, frame, settings).state.params)
    np.testing.assert_allclose(*fits, rtol=1e-12)


def test_a_range_test_of_queries(rng):
    queries = make(rng.integers(2, 9, 40))
    queries.y[:] = np.digitize(queries.X[:, 0], [-1.0, 0.0, 1.0])
    with random_seed(0):
        module = objective(losses.PairwiseLogistic())
    settings = Settings(batch_size=8)
    frame = Frame.identity(3, "float64")
    found = find_learning_rate(module, optim.Adam(), queries, frame, settings)
    assert 1e-4 < found.suggestion < 10
