import tracemalloc

import numpy as np
import pytest

import skgrad
from skgrad.data import ArrayDataset, DataLoader, SequenceDataset
from skgrad.exceptions import DTypeError, ParameterError, ShapeError


def test_rows_are_gathered_from_every_array():
    dataset = ArrayDataset(np.arange(6.0).reshape(3, 2), [1, 2, 3])
    X, y = dataset[np.array([2, 0])]
    np.testing.assert_array_equal(X, [[4.0, 5.0], [0.0, 1.0]])
    np.testing.assert_array_equal(y, [3, 1])
    assert len(dataset) == 3


def test_arrays_are_not_copied():
    X = np.zeros((4, 2))
    assert np.shares_memory(ArrayDataset(X).arrays[0], X)


def test_memory_mapped_arrays_stay_on_disk(tmp_path):
    np.save(tmp_path / "X.npy", np.arange(8.0).reshape(4, 2))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    dataset = ArrayDataset(X)
    assert np.shares_memory(dataset.arrays[0], X)
    np.testing.assert_array_equal(dataset[[3]][0], [[6.0, 7.0]])


def test_tensors_are_taken():
    dataset = ArrayDataset(skgrad.tensor([1.0, 2.0], requires_grad=True))
    np.testing.assert_array_equal(dataset[[1]][0], [2.0])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int8", "bool"])
def test_dtypes_are_kept(dtype):
    assert ArrayDataset(np.zeros(3, dtype=dtype))[[0]][0].dtype == dtype


def test_repr():
    assert repr(ArrayDataset(np.zeros((3, 2)), [1, 2, 3])) == (
        "ArrayDataset(float64[3, 2], int64[3])"
    )


def test_no_rows_are_allowed():
    assert len(ArrayDataset(np.zeros((0, 3)))) == 0


def test_lengths_must_agree():
    with pytest.raises(ShapeError, match=r"Got 3, 3, 2 rows.*\(3, 2\), \(3,\), \(2,\)"):
        ArrayDataset(np.zeros((3, 2)), np.zeros(3), np.zeros(2))


def test_scalars_have_no_rows():
    with pytest.raises(ShapeError, match=r"Array number 1 .* shape \(\)"):
        ArrayDataset([1.0], 2.0)


@pytest.mark.parametrize("array", [["a", "b"], np.array([None, 1]), [1j]])
def test_what_is_no_number(array):
    with pytest.raises(DTypeError, match=r"Array number 0 .* Encode"):
        ArrayDataset(array)


def test_no_arrays():
    with pytest.raises(ParameterError, match="at least one array"):
        ArrayDataset()


def test_of_a_memory_mapped_array_only_the_batch_is_copied(tmp_path):
    n_rows, row_bytes = 2**12, 2**12
    X = np.memmap(
        tmp_path / "X.bin", mode="w+", dtype=np.float32, shape=(n_rows, row_bytes // 4)
    )
    X[:, 0] = np.arange(n_rows)
    X.flush()
    read = np.memmap(tmp_path / "X.bin", mode="r", dtype=np.float32, shape=X.shape)
    del X
    tracemalloc.start()
    loader = DataLoader(
        ArrayDataset(read, np.arange(n_rows)), 16, shuffle=True, random_state=0
    )
    for inputs, numbers in loader:
        np.testing.assert_array_equal(inputs.numpy()[:, 0], numbers.numpy())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 128 * row_bytes  # eight batches of the 256 of the file


# ----------------------------------------------------------------------- sequences


def test_samples_are_stacked():
    samples = [(np.full((2, 3), i), float(i), i > 1) for i in range(4)]
    dataset = SequenceDataset(samples)
    assert len(dataset) == 4
    assert dataset[-1] is samples[-1]
    for rows in ([0, 2], np.array([0, 2]), slice(0, 4, 2)):
        x, y, flags = dataset[rows]
        np.testing.assert_array_equal(x, np.stack([samples[0][0], samples[2][0]]))
        assert x.dtype == np.int64
        assert y.tolist() == [0.0, 2.0]
        assert flags.tolist() == [False, True]
    assert repr(dataset) == "SequenceDataset(list of 4)"


def test_samples_without_a_tuple_and_of_any_class():
    class Squares:
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return np.float32(i) ** 2

    (x,) = SequenceDataset(Squares())[[2, 1]]
    assert x.dtype == np.float32
    assert x.tolist() == [4.0, 1.0]
    (y,) = SequenceDataset([1, 2.5])[:2]  # Python's numbers adapt to each other
    assert y.tolist() == [1.0, 2.5]
    (z,) = SequenceDataset([skgrad.tensor([1.0]), skgrad.tensor([2.0])])[:]
    assert z.tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("samples", "error", "match"),
    [
        ([np.ones(2), np.ones(3)], ShapeError, r"\(2,\) and \(3,\).*pad_collate"),
        ([np.ones(2), np.ones(2, int)], DTypeError, "float64.*int64"),
        ([(1, 2), (1, 2, 3)], ShapeError, r"tuples of \[2, 3\]"),
        (["a", "b"], DTypeError, "Item 0 .* Encode"),
    ],
)
def test_samples_that_cannot_be_stacked(samples, error, match):
    with pytest.raises(error, match=match):
        SequenceDataset(samples)[:]


def test_samples_need_a_length():
    with pytest.raises(ParameterError, match="Got a generator"):
        SequenceDataset(i for i in range(3))
