import numpy as np
import pytest
import torch

import skgrad
from skgrad.data import (
    DataLoader,
    SequenceDataset,
    pad_collate,
    pad_groups,
    pad_sequences,
)
from skgrad.exceptions import DTypeError, ParameterError, ShapeError


@pytest.fixture
def sequences(rng):
    return [rng.normal(size=(n, 2)).astype(np.float32) for n in (3, 1, 5, 0)]


# ---------------------------------------------------------------------- sequences


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_agrees_with_torch(sequences, side):
    padded, mask = pad_sequences(sequences, value=-1.5, side=side)
    expected = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(s) for s in sequences],
        batch_first=True,
        padding_value=-1.5,
        padding_side=side,
    )
    np.testing.assert_array_equal(padded, expected.numpy())
    assert padded.dtype == np.float32
    assert mask.sum(axis=1).tolist() == [3, 1, 5, 0]
    for row, where, sequence in zip(padded, mask, sequences, strict=True):
        np.testing.assert_array_equal(row[where], sequence)
        assert (row[~where] == -1.5).all()


def test_a_fixed_length():
    padded, mask = pad_sequences([[1], [2, 3], []], max_length=4)
    assert padded.tolist() == [[1, 0, 0, 0], [2, 3, 0, 0], [0, 0, 0, 0]]
    assert padded.dtype == np.int64
    assert mask.dtype == bool
    padded, _ = pad_sequences([skgrad.tensor([1.0])], value=np.nan, max_length=2)
    np.testing.assert_array_equal(padded, [[1.0, np.nan]])


@pytest.mark.parametrize(
    ("sequences", "kwargs", "error", "match"),
    [
        (
            [[1, 2, 3]],
            {"max_length": 2},
            ShapeError,
            "number 0 has length 3.*x\\[:2\\]",
        ),
        ([[1], [1.5]], {}, DTypeError, "float64.*int64"),
        ([[1]], {"value": 0.5}, DTypeError, "int64 cannot be padded with 0.5"),
        ([[1]], {"value": np.nan}, DTypeError, "cannot be padded with nan"),
        ([["a"]], {}, DTypeError, "numbers"),
        ([np.ones((2, 3)), np.ones((2, 4))], {}, ShapeError, r"\(3,\) and \(4,\)"),
        ([1.0, 2.0], {}, ShapeError, r"shape \(\)"),
        ([], {}, ParameterError, "at least one sequence"),
        ([[1]], {"side": "top"}, ParameterError, "'left' or 'right'"),
        ([[1]], {"max_length": 0}, ParameterError, "'max_length'"),
    ],
)
def test_what_cannot_be_padded(sequences, kwargs, error, match):
    with pytest.raises(error, match=match):
        pad_sequences(sequences, **kwargs)


def test_collate_pads_the_first_item_and_stacks_the_others(sequences):
    samples = [(s, i, np.full(2, float(i))) for i, s in enumerate(sequences)]
    loader = DataLoader(SequenceDataset(samples), batch_size=3, collate=pad_collate)
    first, last = list(loader)
    padded, numbers, vectors = first
    np.testing.assert_array_equal(padded.numpy(), pad_sequences(sequences[:3])[0])
    assert numbers.numpy().tolist() == [0, 1, 2]
    assert vectors.shape == (3, 2)
    assert last[0].shape == (1, 0, 2)
    padded, mask, *_ = pad_collate(samples, with_mask=True, max_length=6, side="left")
    expected = pad_sequences(sequences, max_length=6, side="left")
    np.testing.assert_array_equal(padded, expected[0])
    np.testing.assert_array_equal(mask, expected[1])
    (only,) = pad_collate([[1.0], [2.0, 3.0]])
    assert only.tolist() == [[1.0, 0.0], [2.0, 3.0]]


# ------------------------------------------------------------------------- groups


def test_groups_keep_their_order_and_lead_back(rng):
    qid = np.array([5, 2, 5, 9, 2, 5])
    X, y = rng.normal(size=(6, 3)), np.arange(6.0)
    groups = pad_groups(X, y, qid)
    expected = [[0, 2, 5], [1, 4, None], [3, None, None]]
    for row, numbers in enumerate(expected):
        for column, i in enumerate(numbers):
            if i is None:
                assert np.isnan(groups.y[row, column])
                assert not groups.X[row, column].any()
            else:
                assert groups.y[row, column] == y[i]
                np.testing.assert_array_equal(groups.X[row, column], X[i])
    np.testing.assert_array_equal(groups.unpad(groups.X), X)
    np.testing.assert_array_equal(groups.unpad(skgrad.tensor(groups.y)), y)


def test_groups_by_a_plain_loop(rng):
    qid = rng.integers(0, 20, size=300).astype(str)
    X, y = rng.normal(size=(300, 2)).astype(np.float32), rng.integers(0, 5, size=300)
    padded, targets, _ = pad_groups(X, y, qid, n_documents=40)
    assert (padded.dtype, targets.dtype) == (np.float32, np.float32)
    assert padded.shape == (len(set(qid)), 40, 2)
    for row, name in enumerate(dict.fromkeys(qid)):
        own = np.flatnonzero(qid == name)
        np.testing.assert_array_equal(padded[row, : len(own)], X[own])
        np.testing.assert_array_equal(targets[row, : len(own)], y[own])
        assert np.isnan(targets[row, len(own) :]).all()


X3 = np.ones((3, 1))


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "match"),
    [
        ((np.ones(3), [1, 2, 3], [1, 1, 1]), {}, ShapeError, r"X \(3,\)"),
        ((X3, [1, 2], [1, 1, 1]), {}, ShapeError, "equal numbers of rows"),
        ((X3, [1, 2, 3], [[1, 1, 1]]), {}, ShapeError, r"qid \(1, 3\)"),
        ((X3, [1, 2, 3], [1, 1, 2]), {"n_documents": 1}, ShapeError, "has 2 rows"),
        ((X3, [1, 2, 3], [1, 1, 2]), {"n_documents": 0}, ParameterError, r"\[1, inf\)"),
        ((X3[:0], [], []), {}, ParameterError, "at least one row"),
    ],
)
def test_what_cannot_be_grouped(args, kwargs, error, match):
    with pytest.raises(error, match=match):
        pad_groups(*args, **kwargs)


def test_values_of_another_shape_lead_nowhere():
    groups = pad_groups(X3, [1, 2, 3], [1, 1, 2])
    with pytest.raises(ShapeError, match=r"padded to \(2, 2\). Got .* \(3, 2\)"):
        groups.unpad(np.ones((3, 2)))
