import pickle

import numpy as np
import pytest

import skgrad
from skgrad.data import (
    ArrayDataset,
    DataLoader,
    SequenceDataset,
    WeightedRandomSampler,
)
from skgrad.exceptions import ParameterError


def loader(n=10, **params):
    return DataLoader(ArrayDataset(np.arange(n)), **params)


def epoch(source):
    """Return the rows of one epoch, batch by batch."""
    return [batch.numpy().tolist() for (batch,) in source]


def order(source):
    return [row for batch in epoch(source) for row in batch]


# ------------------------------------------------------------------------ batches


@pytest.mark.parametrize("n", [0, 1, 9, 10, 11])
@pytest.mark.parametrize("batch_size", [1, 3, 10, 100])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_sizes_of_the_batches(n, batch_size, drop_last, shuffle):
    source = loader(n, batch_size=batch_size, drop_last=drop_last, shuffle=shuffle)
    sizes = [len(batch) for batch in epoch(source)]
    assert len(source) == len(sizes)
    assert sizes[: n // batch_size] == [batch_size] * (n // batch_size)
    rest = [] if drop_last or n % batch_size == 0 else [n % batch_size]
    assert sizes[n // batch_size :] == rest


def test_order_is_kept_without_shuffle():
    source = loader(batch_size=4)
    for _ in range(2):
        assert epoch(source) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_arrays_stay_together(rng):
    X = rng.normal(size=(50, 3)).astype(np.float32)
    y = X.sum(axis=1)
    source = DataLoader(ArrayDataset(X, y), batch_size=7, shuffle=True)
    for inputs, target in source:
        assert isinstance(inputs, skgrad.tensor([0.0]).__class__)
        assert inputs.dtype == np.float32
        np.testing.assert_array_equal(inputs.numpy().sum(axis=1), target.numpy())


def test_batches_are_copies():
    X = np.zeros(4)
    ((batch,),) = DataLoader(ArrayDataset(X), batch_size=4)
    X[:] = 1
    np.testing.assert_array_equal(batch.numpy(), 0)


def test_batches_train_a_model(rng):
    X, w_true = rng.normal(size=(200, 3)), np.array([1.0, -2.0, 0.5])
    source = DataLoader(ArrayDataset(X, X @ w_true), shuffle=True, random_state=0)
    w = skgrad.tensor(np.zeros(3), requires_grad=True)
    for _ in range(20):
        for inputs, target in source:
            w.grad = None
            residual = inputs @ w - target
            (residual * residual).sum().backward()
            w.assign_(w.detach() - 0.01 * w.grad)
    np.testing.assert_allclose(w.numpy(), w_true, atol=1e-6)


# ------------------------------------------------------------------------ shuffling


@pytest.mark.parametrize("random_state", [None, 0, 7, 2**32 - 1, np.int64(3)])
def test_every_epoch_is_another_permutation(random_state):
    source = loader(100, shuffle=True, random_state=random_state)
    first, second = order(source), order(source)
    assert first != second != list(range(100))
    assert sorted(first) == sorted(second) == list(range(100))


def test_epochs_follow_from_the_seed():
    one, two = (loader(100, shuffle=True, random_state=3) for _ in range(2))
    assert [order(one) for _ in range(3)] == [order(two) for _ in range(3)]
    assert order(loader(100, shuffle=True, random_state=4)) != order(
        loader(100, shuffle=True, random_state=3)
    )


def test_the_order_does_not_depend_on_the_batch_size():
    one = loader(100, shuffle=True, random_state=3, batch_size=7)
    two = loader(100, shuffle=True, random_state=3, batch_size=50)
    assert order(one) == order(two)


def test_iterators_that_overlap_do_not_disturb_each_other():
    source = loader(20, shuffle=True, random_state=0, batch_size=5)
    reference = loader(20, shuffle=True, random_state=0, batch_size=5)
    first, second = iter(source), iter(source)
    pairs = list(zip(first, second, strict=True))
    assert order([a for a, _ in pairs]) == order(reference)
    assert order([b for _, b in pairs]) == order(reference)


def test_breaking_off_an_epoch_ends_it():
    source = loader(20, shuffle=True, random_state=0)
    reference = loader(20, shuffle=True, random_state=0)
    next(iter(source))
    order(reference)
    assert order(source) == order(reference)
    assert source.epoch == 2


def test_no_seed_follows_the_scope():
    def shuffled():
        with skgrad.random_seed(5):
            return order(loader(50, shuffle=True))

    assert shuffled() == shuffled()
    assert order(loader(50, shuffle=True)) != order(loader(50, shuffle=True))


def test_the_global_random_state_changes_nothing():
    def shuffled(seed):
        state = np.random.get_state()  # noqa: NPY002
        np.random.seed(seed)  # noqa: NPY002
        try:
            return order(loader(50, shuffle=True, random_state=1))
        finally:
            np.random.set_state(state)  # noqa: NPY002

    assert shuffled(0) == shuffled(1)


def test_a_pickled_loader_goes_on_where_it_was():
    source = loader(50, shuffle=True, random_state=1)
    order(source)
    copy = pickle.loads(pickle.dumps(source))
    assert order(copy) == order(source)


def test_repr():
    assert repr(loader(batch_size=4, shuffle=True, random_state=1)) == (
        "DataLoader(ArrayDataset(int64[10]), batch_size=4, shuffle=True, "
        "drop_last=False, random_state=1)"
    )


# ------------------------------------------------------------- samplers and collate


def test_a_sampler_gives_the_rows_of_each_epoch():
    source = loader(sampler=[3, 1, 1, 7, 9], batch_size=2)
    assert len(source) == 3
    for _ in range(2):
        assert epoch(source) == [[3, 1], [1, 7], [9]]
    assert epoch(loader(sampler=range(9, 4, -1), batch_size=2, drop_last=True)) == [
        [9, 8],
        [7, 6],
    ]
    weighted = WeightedRandomSampler([0.0, 1.0, 1.0], 50, random_state=0)
    source = loader(3, sampler=weighted, batch_size=20)
    assert weighted.epoch == 0
    assert [len(batch) for batch in epoch(source)] == [20, 20, 10]
    assert set(order(source)) == {1, 2}


def test_a_batch_sampler_gives_whole_batches():
    source = loader(batch_sampler=[[0], [4, 2, 0], np.array([9])])
    assert len(source) == 3
    for _ in range(2):
        assert epoch(source) == [[0], [4, 2, 0], [9]]


def test_collate_makes_the_arrays_of_a_list_of_samples():
    seen = []

    def collate(samples):
        seen.append(samples)
        return (np.array([sum(sample) for sample in samples]),)

    dataset = SequenceDataset([(i, 10 * i) for i in range(4)])
    sums = [b.numpy().tolist() for (b,) in DataLoader(dataset, 3, collate=collate)]
    assert sums == [[0, 11, 22], [33]]
    assert seen[1] == [(3, 30)]
    # A single array is a batch of one array, not one of its rows.
    ((batch,),) = DataLoader(dataset, 4, collate=lambda samples: np.eye(4))
    assert batch.shape == (4, 4)
    ((rows, _),) = DataLoader(dataset, 4, shuffle=True, random_state=0)
    ((mixed, _),) = DataLoader(
        dataset,
        4,
        shuffle=True,
        random_state=0,
        collate=lambda samples: tuple(map(np.array, zip(*samples, strict=True))),
    )
    np.testing.assert_array_equal(rows.numpy(), mixed.numpy())


def test_repr_shows_samplers():
    assert repr(loader(batch_sampler=[[0]])) == (
        "DataLoader(ArrayDataset(int64[10]), batch_sampler=[[0]])"
    )


# --------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"sampler": [0], "shuffle": True}, "'sampler' .* shuffle would have no"),
        ({"sampler": [0], "random_state": 1}, "random_state would have no effect"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "'batch_sampler' .* batch_size"),
        ({"batch_sampler": [[0]], "sampler": [0]}, "'batch_sampler' .* sampler"),
        ({"batch_sampler": [[0]], "drop_last": True}, "drop_last"),
        ({"sampler": iter([0])}, "must have a length and be iterable"),
        ({"collate": "pad"}, "'collate' parameter of DataLoader must be a function"),
    ],
)
def test_what_excludes_each_other(params, match):
    with pytest.raises(ParameterError, match=match):
        loader(**params)


@pytest.mark.parametrize("row", [10, -1])
@pytest.mark.parametrize("name", ["sampler", "batch_sampler"])
def test_rows_that_are_not_there(name, row):
    source = loader(**{name: [row] if name == "sampler" else [[row]]})
    with pytest.raises(IndexError, match=f"row {row} of a dataset with 10 rows"):
        order(source)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, None, True, "32"])
def test_batch_size(batch_size):
    with pytest.raises(ParameterError, match="'batch_size' parameter of DataLoader"):
        loader(batch_size=batch_size)


@pytest.mark.parametrize("random_state", [-1, 2**32, 0.5, np.random.default_rng(0)])
def test_random_state(random_state):
    with pytest.raises(ParameterError, match="'random_state' parameter of DataLoader"):
        loader(random_state=random_state)


@pytest.mark.parametrize("name", ["shuffle", "drop_last"])
def test_switches(name):
    with pytest.raises(ParameterError, match=f"'{name}' .* must be True or False"):
        loader(**{name: 1})
