import numpy as np
import pytest
from scipy.sparse import csr_array

from skgrad.ops import SparseRows
from skgrad.train import Data, row_keys


def make_data(n=10, p=3):
    X = np.arange(n * p, dtype=np.float64).reshape(n, p)
    return Data(X, X[:, 0], np.ones(n), row_keys(X))


def test_batches_hold_every_row_once_in_the_given_sizes():
    data = make_data()
    batches = list(data.batches(4, seed=0, epoch=0))
    assert [len(b) for b in batches] == [4, 4, 2]
    assert data.n_batches(4) == 3
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(10))


def test_the_order_is_a_function_of_seed_and_epoch():
    data = make_data(100)

    def order(seed, epoch):
        return np.concatenate(list(data.batches(7, seed, epoch))).tolist()

    assert order(0, 5) == order(0, 5)
    orders = [order(seed, epoch) for seed in (0, 1) for epoch in range(3)]
    assert len({tuple(o) for o in orders}) == 6


@pytest.mark.parametrize(("size", "shuffle"), [(4, False), (10, True), (99, True)])
def test_rows_stay_in_order_without_shuffle_and_in_a_single_batch(size, shuffle):
    batches = make_data().batches(size, 0, 0, shuffle)
    np.testing.assert_array_equal(np.concatenate(list(batches)), np.arange(10))


def test_rows_takes_everything_along():
    part = make_data().rows(np.array([3, 1]))
    np.testing.assert_array_equal(part.X[:, 0], [9, 3])
    np.testing.assert_array_equal(part.y, [9, 3])
    assert part.w.shape == part.keys.shape == (2,)


def test_blocks_are_views_of_all_rows_in_order():
    data = make_data(99_999, 20)
    blocks = list(data.blocks())
    assert len(blocks) == data.n_blocks > 1
    assert {len(block) for block in blocks} == {data.block_size}
    assert all(np.shares_memory(block.X, data.X) for block in blocks)
    # The last block reaches back to be as large as the others, with weights of zero.
    again = len(blocks) * data.block_size - len(data)
    assert again > 0
    assert not blocks[-1].w[:again].any()
    parts = [(b.X, b.keys, b.w) for b in blocks[:-1]]
    last = blocks[-1].rows(slice(again, None))
    X, keys, w = map(
        np.concatenate, zip(*parts, (last.X, last.keys, last.w), strict=True)
    )
    np.testing.assert_array_equal(X, data.X)
    np.testing.assert_array_equal(keys, data.keys)
    np.testing.assert_array_equal(w, data.w)


@pytest.mark.parametrize(("n", "size"), [(1, 1), (256, 256), (257, 129), (1000, 250)])
def test_few_rows_are_one_block_and_none_is_small(monkeypatch, n, size):
    monkeypatch.setattr("skgrad.train.data.BLOCK_BYTES", 1)  # 256 rows, the least
    data = make_data(n, 2)
    assert data.block_size == size
    assert sum(int((b.w != 0).sum()) for b in data.blocks()) == n


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int16])
def test_keys_follow_the_row(rng, dtype):
    X = rng.integers(-1000, 1000, size=(50, 3)).astype(dtype)
    keys, order = row_keys(X), rng.permutation(50)
    np.testing.assert_array_equal(row_keys(X[order]), keys[order])
    np.testing.assert_array_equal(row_keys(np.asfortranarray(X)), keys)
    assert keys.dtype == np.uint32
    assert len(np.unique(keys)) == len(np.unique(X, axis=0))


def test_keys_of_close_rows_differ(rng):
    X = np.ones((2000, 1)) + np.arange(2000).reshape(-1, 1) * np.finfo(float).eps
    keys = row_keys(X)
    assert len(np.unique(keys)) == 2000
    # Every bit is set in about half of the keys.
    bits = (keys[:, None] >> np.arange(32, dtype=np.uint32)) & 1
    np.testing.assert_allclose(bits.mean(axis=0), 0.5, atol=0.06)


def test_keys_of_rows_without_features_and_of_no_rows():
    assert len(np.unique(row_keys(np.zeros((5, 0))))) == 1
    assert row_keys(np.zeros((0, 3))).shape == (0,)


def test_parts_of_sparse_rows_share_one_matrix():
    n = 40_000
    diagonal = csr_array((np.arange(n) + 1.0, np.arange(n) % 3, np.arange(n + 1)))
    data = Data(SparseRows.of(diagonal), np.arange(n), np.ones(n))
    assert len(data) == n
    blocks = list(data.blocks())
    assert len(blocks) == data.n_blocks == 3
    assert {len(block) for block in blocks} == {data.block_size}
    assert all(block.X.data is data.X.data for block in blocks)
    np.testing.assert_array_equal(blocks[1].X.rows, blocks[1].y)
    again = len(blocks) * data.block_size - n
    assert again > 0
    assert not blocks[-1].w[:again].any()
    part = data.rows(np.array([7, 2]))
    np.testing.assert_array_equal(part.X.rows, [7, 2])
