"""Datasets: things with a length and rows that can be gathered by number."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from skgrad.exceptions import DTypeError, ParameterError, ShapeError
from skgrad.typing import ArrayLike

__all__ = ["ArrayDataset", "Dataset", "SequenceDataset", "stacked"]


class Dataset(Protocol):
    """What a `DataLoader` needs: a length, and rows gathered by number.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.data import DataLoader
    >>> class Squares:
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, rows):
    ...         x = np.arange(4.0)[rows]
    ...         return x, x**2
    >>> [y.numpy().tolist() for x, y in DataLoader(Squares(), batch_size=2)]
    [[0.0, 1.0], [4.0, 9.0]]
    """

    def __len__(self) -> int:
        """Return the number of rows."""

    def __getitem__(self, rows: Any, /) -> tuple[Any, ...]:
        """Return the arrays of the rows, given by a slice or an array of int."""


class ArrayDataset:
    """Arrays that belong together row by row, such as X, y and sample weights.

    Parameters
    ----------
    *arrays : array-like or Tensor of shape (n_samples, ...)
        At least one; numbers or booleans, each of any dtype, which is kept. NumPy
        arrays are not copied: memory-mapped ones (``np.load(file, mmap_mode="r")``)
        stay on disk, and only the rows that are asked for are read.

    Attributes
    ----------
    arrays : tuple of ndarray
        The arrays.

    Raises
    ------
    ShapeError
        If an array has no axis, or the numbers of rows differ.
    DTypeError
        If an array holds text or objects.
    ParameterError
        If no array is given.

    See Also
    --------
    DataLoader : Iterates over minibatches.
    SequenceDataset : Samples one by one.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.data import ArrayDataset
    >>> dataset = ArrayDataset(np.eye(3), [10, 20, 30])
    >>> len(dataset), dataset[[0, 2]][1]
    (3, array([10, 30]))
    >>> ArrayDataset(np.eye(3), [10, 20])
    Traceback (most recent call last):
        ...
    skgrad.exceptions.ShapeError: All arrays of a dataset need the same number of \
rows. Got 3, 2 rows, from shapes (3, 3), (2,).
    """

    def __init__(self, *arrays: ArrayLike) -> None:
        self.arrays = tuple(_as_array(array, i) for i, array in enumerate(arrays))
        if not arrays:
            raise ParameterError(
                "ArrayDataset needs at least one array, as in ArrayDataset(X, y)."
            )
        lengths = [len(array) for array in self.arrays]
        if len(set(lengths)) > 1:
            rows = ", ".join(map(str, lengths))
            shapes = ", ".join(str(array.shape) for array in self.arrays)
            raise ShapeError(
                f"All arrays of a dataset need the same number of rows. Got {rows} "
                f"rows, from shapes {shapes}."
            )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.arrays[0])

    def __getitem__(self, rows: Any, /) -> tuple[NDArray[Any], ...]:
        """Return the rows of each array; a slice gives views, row numbers copies."""
        return tuple(array[rows] for array in self.arrays)

    def __repr__(self) -> str:
        """Return the shapes and dtypes of the arrays."""
        parts = ", ".join(f"{a.dtype}{list(a.shape)}" for a in self.arrays)
        return f"ArrayDataset({parts})"


class SequenceDataset:
    """Samples of a Python sequence, stacked to batches.

    Parameters
    ----------
    samples : sequence
        Anything with ``len(samples)`` and ``samples[i]``, a list for example, or a
        class that reads a file per sample. Each sample is an array or a number, or a
        tuple of them such as (x, y); the same in all samples.

    Raises
    ------
    ShapeError
        When rows are asked for: if their shapes differ, naming them and the remedy.
    DTypeError
        When rows are asked for: if dtypes differ, or a sample holds text or objects.
    ParameterError
        If the samples have no length.

    See Also
    --------
    ArrayDataset : Faster, if all samples fit into arrays.
    pad_collate : For samples of different lengths.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.data import DataLoader, SequenceDataset
    >>> dataset = SequenceDataset([(np.full(2, i), 10 * i) for i in range(3)])
    >>> dataset[1]
    (array([1, 1]), 10)
    >>> [y.numpy().tolist() for x, y in DataLoader(dataset, batch_size=2)]
    [[0, 10], [20]]
    """

    def __init__(self, samples: Sequence[Any]) -> None:
        try:
            len(samples)
        except TypeError:
            raise ParameterError(
                "SequenceDataset needs samples with a length that can be had by "
                f"number, such as a list. Got a {type(samples).__name__}."
            ) from None
        self.samples = samples

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.samples)

    def __getitem__(self, rows: Any, /) -> tuple[Any, ...]:
        """Return one sample as a tuple, or the stacked samples of several rows."""
        if isinstance(rows, int | np.integer):
            sample = self.samples[int(rows)]
            return sample if isinstance(sample, tuple) else (sample,)
        numbers = range(len(self))[rows] if isinstance(rows, slice) else rows
        return stacked([self[int(i)] for i in numbers])

    def __repr__(self) -> str:
        """Return the kind and the number of samples."""
        return f"SequenceDataset({type(self.samples).__name__} of {len(self)})"


def stacked(samples: Sequence[tuple[Any, ...]]) -> tuple[NDArray[Any], ...]:
    """Return the arrays of a batch from its samples, tuples of arrays and numbers."""
    lengths = sorted({len(sample) for sample in samples})
    if len(lengths) > 1:
        raise ShapeError(
            f"All samples must be tuples of the same length. Got tuples of {lengths}."
        )
    columns = zip(*samples, strict=True)
    return tuple(_stack(column, i) for i, column in enumerate(columns))


def _stack(column: Sequence[Any], position: int) -> NDArray[Any]:
    if all(isinstance(item, int | float) for item in column):
        return np.asarray(column)  # Python's numbers adapt to each other
    arrays = [_as_numbers(item, f"Item {position} of a sample") for item in column]
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise ShapeError(
            f"Item {position} of the samples has different shapes, for example "
            f"{shapes[0]} and {shapes[-1]}, and cannot be stacked. Pad sequences of "
            "different lengths: DataLoader(..., collate=skgrad.data.pad_collate)."
        )
    dtypes = sorted({str(array.dtype) for array in arrays})
    if len(dtypes) > 1:
        raise DTypeError(
            f"Item {position} of the samples has different dtypes, {dtypes}. Convert "
            "them to one."
        )
    return np.stack(arrays)


def _as_numbers(array: ArrayLike, what: str) -> NDArray[Any]:
    """Return an array of numbers or booleans."""
    found: NDArray[Any]
    found = np.asarray(array)  # a tensor on a GPU says how to copy it
    if found.dtype.kind not in "biuf":
        raise DTypeError(
            f"{what} has dtype {found.dtype}. Encode text and objects as numbers "
            f"first, for example with scikit-learn's OrdinalEncoder."
        )
    return found


def _as_array(array: ArrayLike, position: int) -> NDArray[Any]:
    """Return one argument as an array of numbers with at least one axis."""
    found = _as_numbers(array, f"Array number {position} of the dataset")
    if found.ndim == 0:
        raise ShapeError(
            f"Array number {position} of the dataset has shape (). Each needs a first "
            f"axis of samples."
        )
    return found
