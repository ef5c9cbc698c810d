import numpy as np
import pytest

import skgrad
from skgrad.data import ArrayDataset
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
