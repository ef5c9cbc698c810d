import pickle

import numpy as np
import pytest

import skgrad
from skgrad.data import ArrayDataset, DataLoader
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


# --------------------------------------------------------------------------- errors


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
