"""Datasets: things with a length and rows that can be gathered by number."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from skgrad.exceptions import DTypeError, ParameterError, ShapeError
from skgrad.tensor import Tensor
from skgrad.typing import ArrayLike

__all__ = ["ArrayDataset", "Dataset"]


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
        arrays, memory-mapped ones too, are not copied.

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


def _as_array(array: ArrayLike, position: int) -> NDArray[Any]:
    """Return one argument as an array of numbers with at least one axis."""
    array = array.numpy() if isinstance(array, Tensor) else np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise DTypeError(
            f"Array number {position} of the dataset has dtype {array.dtype}. Encode "
            f"text and objects as numbers first, for example with scikit-learn's "
            f"OrdinalEncoder."
        )
    if array.ndim == 0:
        raise ShapeError(
            f"Array number {position} of the dataset has shape (). Each needs a first "
            f"axis of samples."
        )
    found: NDArray[Any] = array
    return found
