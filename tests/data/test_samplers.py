"""Samplers draw what they say, and nothing depends on anything but the seed."""

import pickle

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

import skgrad
from skgrad.data import (
    ArrayDataset,
    DataLoader,
    StratifiedBatchSampler,
    WeightedRandomSampler,
)
from skgrad.exceptions import ParameterError, ShapeError

WEIGHTS = np.array([1.0, 0.0, 2.0, 5.0, 0.5])
SAMPLERS = {
    "weighted": lambda **p: WeightedRandomSampler(WEIGHTS, 30, **p),
    "stratified": lambda **p: StratifiedBatchSampler(np.arange(30) % 4, 7, **p),
}


def rows(sampler):
    """Return the rows of one epoch."""
    return np.concatenate([np.atleast_1d(part) for part in sampler]).tolist()


@pytest.mark.parametrize("name", SAMPLERS)
def test_epochs_follow_from_the_seed_and_differ(name):
    make = SAMPLERS[name]
    one, two = make(random_state=3), make(random_state=3)
    epochs = [rows(one) for _ in range(3)]
    assert epochs == [rows(two) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert rows(make(random_state=4)) != epochs[0]
    copy = pickle.loads(pickle.dumps(one))
    assert rows(copy) == rows(one)

    def scoped():
        with skgrad.random_seed(5):
            return rows(make())

    assert scoped() == scoped()


# ----------------------------------------------------------------------- weighted


def test_draws_have_the_probabilities_of_the_weights():
    n = 20_000
    drawn = np.array(list(WeightedRandomSampler(3 * WEIGHTS, n, random_state=0)))
    counts = np.bincount(drawn, minlength=5)
    assert counts[1] == 0
    kept = WEIGHTS > 0
    expected = n * WEIGHTS[kept] / WEIGHTS.sum()
    assert scipy.stats.chisquare(counts[kept], expected).pvalue > 0.01
    # The test can tell: the same draws are not those of equal weights.
    assert scipy.stats.chisquare(counts[kept]).pvalue < 1e-6


def test_without_replacement_no_row_comes_twice():
    sampler = WeightedRandomSampler(WEIGHTS, 4, replacement=False, random_state=0)
    firsts = []
    for _ in range(4000):
        drawn = list(sampler)
        assert sorted(drawn) == [0, 2, 3, 4]
        firsts.append(drawn[0])
    counts = np.bincount(firsts, minlength=5)[WEIGHTS > 0]
    expected = 4000 * WEIGHTS[WEIGHTS > 0] / WEIGHTS.sum()
    assert scipy.stats.chisquare(counts, expected).pvalue > 0.01


def test_by_default_an_epoch_is_as_long_as_the_weights():
    assert len(WeightedRandomSampler(WEIGHTS)) == 5


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "match"),
    [
        (([[1.0]],), {}, ShapeError, r"Got shape \(1, 1\)"),
        (([1.0, -1.0],), {}, ParameterError, "'weights' parameter"),
        (([1.0, np.nan],), {}, ParameterError, "must be finite"),
        (([0.0, 0.0],), {}, ParameterError, "not all zero"),
        ((WEIGHTS, 0), {}, ParameterError, r"'num_samples' .* \[1, inf\)"),
        ((WEIGHTS, 5), {"replacement": False}, ParameterError, r"in \[1, 4\]"),
        ((WEIGHTS,), {"replacement": 1}, ParameterError, "True or False"),
        ((WEIGHTS,), {"random_state": -1}, ParameterError, "'random_state'"),
    ],
)
def test_wrong_weights(args, kwargs, error, match):
    with pytest.raises(error, match=match):
        WeightedRandomSampler(*args, **kwargs)


# --------------------------------------------------------------------- stratified


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=8),
    st.integers(1, 40),
    st.booleans(),
)
def test_every_batch_holds_the_classes_in_their_proportions(counts, size, shuffle):
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    sampler = StratifiedBatchSampler(y, size, shuffle=shuffle, random_state=0)
    batches = list(sampler)
    assert sorted(np.concatenate(batches)) == list(range(len(y)))
    assert [len(b) for b in batches[:-1]] == [size] * (len(sampler) - 1)
    for batch in batches:
        found = np.bincount(y[batch], minlength=len(counts))
        share = len(batch) * np.array(counts) / len(y)
        assert (abs(found - share) < 1.0).all()


def test_rows_are_mixed_or_kept_in_order():
    y = np.array(list("abababababca"))
    first, second = (
        [
            sorted(batch.tolist())
            for batch in StratifiedBatchSampler(y, 4, random_state=s)
        ]
        for s in (0, 1)
    )
    assert first != second
    ordered = list(StratifiedBatchSampler(y, 4, shuffle=False))
    for label in "abc":
        of_label = [i for batch in ordered for i in batch if y[i] == label]
        assert of_label == sorted(of_label)


def test_the_last_batch_may_be_left_out():
    y = np.arange(10) % 2
    kept = StratifiedBatchSampler(y, 4, random_state=0)
    dropped = StratifiedBatchSampler(y, 4, random_state=0, drop_last=True)
    assert (len(kept), len(dropped)) == (3, 2)
    assert [b.tolist() for b in dropped] == [b.tolist() for b in kept][:2]
    assert list(StratifiedBatchSampler([], 4)) == []


def test_in_a_loader():
    y = np.array([0] * 15 + [1] * 5)
    sampler = StratifiedBatchSampler(y, 4, random_state=0)
    loader = DataLoader(ArrayDataset(np.arange(20), y), batch_sampler=sampler)
    assert len(loader) == 5
    batches = list(loader)
    assert [int(labels.numpy().sum()) for _, labels in batches] == [1] * 5
    assert sorted(i for numbers, _ in batches for i in numbers.numpy()) == list(
        range(20)
    )


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "match"),
    [
        (([[1]], 2), {}, ShapeError, r"Got shape \(1, 1\)"),
        (([1], 0), {}, ParameterError, "'batch_size'"),
        (([1], 1), {"shuffle": None}, ParameterError, "'shuffle'"),
        (([1], 1), {"drop_last": 0}, ParameterError, "'drop_last'"),
    ],
)
def test_wrong_parameters(args, kwargs, error, match):
    with pytest.raises(error, match=match):
        StratifiedBatchSampler(*args, **kwargs)
