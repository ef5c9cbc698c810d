"""Sequences and groups of different lengths, in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skgrad.core.checks import check_integer, wrong_parameter
from skgrad.data.dataset import stacked
from skgrad.exceptions import DTypeError, ParameterError, ShapeError
from skgrad.tensor import Tensor
from skgrad.typing import ArrayLike

__all__ = ["PaddedGroups", "pad_collate", "pad_groups", "pad_sequences"]


def pad_sequences(
    sequences: Sequence[ArrayLike],
    *,
    value: float = 0.0,
    max_length: int | None = None,
    side: str = "right",
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Put sequences of different lengths into one array.

    Parameters
    ----------
    sequences : sequence of array-like of shape (length, ...)
        Of any lengths, zero too; of one dtype, which is kept, and with the same axes
        after the first.
    value : float, default=0.0
        What the places beyond the end of a sequence hold.
    max_length : int, default=None
        Extent of the axis of time; by default the longest of these sequences. With a
        fixed one, all batches have one shape, and a compiled loop is traced once.
    side : {"right", "left"}, default="right"
        Where the padding is: after the sequences, or before them.

    Returns
    -------
    padded : array of shape (n_sequences, max_length, ...)
        The sequences.
    mask : array of bool of shape (n_sequences, max_length)
        True where an element of a sequence is; ``mask.sum(axis=1)`` are the lengths.

    Raises
    ------
    ShapeError
        If a sequence is longer than ``max_length`` (nothing is cut off silently), has
        no axis, or other axes after the first.
    DTypeError
        If dtypes differ, or cannot hold ``value``.
    ParameterError
        If ``side`` or ``max_length`` is outside its domain, or there is no sequence.

    See Also
    --------
    pad_collate : The same for a `DataLoader`.

    Examples
    --------
    >>> from skgrad.data import pad_sequences
    >>> padded, mask = pad_sequences([[1, 2, 3], [4]], value=-1)
    >>> padded
    array([[ 1,  2,  3],
           [ 4, -1, -1]])
    >>> mask.sum(axis=1)
    array([3, 1])
    """
    if side not in ("left", "right"):
        raise wrong_parameter("pad_sequences", "side", "be 'left' or 'right'", side)
    arrays = [np.asarray(x) for x in sequences]
    dtype, rest = _common(arrays)
    _check_value(value, dtype)
    length = _length(arrays, max_length)
    padded = np.full((len(arrays), length, *rest), value, dtype=dtype)
    mask = np.zeros((len(arrays), length), dtype=bool)
    for i, array in enumerate(arrays):
        n = len(array)
        where = slice(0, n) if side == "right" else slice(length - n, length)
        padded[i, where] = array
        mask[i, where] = True
    return padded, mask


def _common(arrays: Sequence[NDArray[Any]]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return the dtype and the axes after the first that all sequences have."""
    if not arrays:
        raise ParameterError("pad_sequences needs at least one sequence.")
    if any(array.ndim == 0 for array in arrays):
        raise ShapeError("pad_sequences needs sequences. Got a number, of shape ().")
    # An empty list has neither dtype nor further axes.
    known = [array for array in arrays if array.shape != (0,)] or list(arrays)
    dtypes = sorted({str(array.dtype) for array in known})
    if len(dtypes) > 1:
        raise DTypeError(f"Sequences have different dtypes, {dtypes}. Convert them.")
    shapes = sorted({array.shape[1:] for array in known})
    if len(shapes) > 1:
        raise ShapeError(
            "Sequences must have the same axes after the first. Got shapes "
            f"(length, ...) with {shapes[0]} and {shapes[-1]} after it."
        )
    return known[0].dtype, shapes[0]


def _check_value(value: float, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "biuf":
        raise DTypeError(f"Sequences hold numbers. Got dtype {dtype}.")
    if dtype.kind != "f" and np.asarray(value).astype(float) % 1 != 0:
        raise DTypeError(
            f"Sequences of {dtype} cannot be padded with {value}. Convert them to "
            "floats, or choose another value."
        )


def _length(arrays: Sequence[NDArray[Any]], max_length: int | None) -> int:
    longest = max(map(len, arrays))
    if max_length is None:
        return longest
    check_integer("pad_sequences", "max_length", max_length, 1)
    if longest > max_length:
        number = next(i for i, array in enumerate(arrays) if len(array) > max_length)
        raise ShapeError(
            f"Sequence number {number} has length {len(arrays[number])}, more than "
            f"max_length={max_length}. Raise max_length, or cut the sequences: "
            f"[x[:{max_length}] for x in sequences]."
        )
    return max_length


def pad_collate(
    samples: Sequence[tuple[Any, ...]],
    *,
    value: float = 0.0,
    max_length: int | None = None,
    side: str = "right",
    with_mask: bool = False,
) -> tuple[NDArray[Any], ...]:
    """Make a batch of samples whose first item is a sequence of any length.

    For ``DataLoader(..., collate=pad_collate)``; fix further arguments with
    :func:`functools.partial`.

    Parameters
    ----------
    samples : sequence of tuple
        ``(sequence, *others)``; the others are arrays or numbers of one shape.
    value : float, default=0.0
        What the places beyond the end of a sequence hold.
    max_length : int, default=None
        Extent of the axis of time; by default the longest of the batch. A compiled loop
        needs a fixed one, to be traced once.
    side : {"right", "left"}, default="right"
        Where the padding is.
    with_mask : bool, default=False
        Whether the mask of :func:`pad_sequences` comes after the padded sequences. For
        loops of one's own: `skgrad.train` passes a module one array, and a module can
        tell the padding by its value.

    Returns
    -------
    tuple of array
        Padded sequences of shape (n_samples, max_length, ...), the mask if it is asked
        for, and the other items stacked.

    Raises
    ------
    ShapeError, DTypeError, ParameterError
        As in :func:`pad_sequences`, and if other items cannot be stacked.

    Examples
    --------
    >>> from functools import partial
    >>> from skgrad.data import DataLoader, SequenceDataset, pad_collate
    >>> words = SequenceDataset([([7, 8], 1.0), ([9], 0.0), ([5, 6, 4], 1.0)])
    >>> collate = partial(pad_collate, max_length=4)
    >>> for x, y in DataLoader(words, batch_size=2, collate=collate):
    ...     print(x.numpy().tolist(), y.numpy().tolist())
    [[7, 8, 0, 0], [9, 0, 0, 0]] [1.0, 0.0]
    [[5, 6, 4, 0]] [1.0]
    """
    pairs = [s if isinstance(s, tuple) else (s,) for s in samples]
    padded, mask = pad_sequences(
        [sequence for sequence, *_ in pairs],
        value=value,
        max_length=max_length,
        side=side,
    )
    others = stacked([tuple(rest) for _, *rest in pairs])
    return (padded, mask, *others) if with_mask else (padded, *others)


class PaddedGroups(NamedTuple):
    """Rows in groups, padded to one size; what :func:`pad_groups` returns.

    Parameters
    ----------
    X : array of shape (n_queries, n_documents, ...)
        Inputs, zero in the padding.
    y : array of shape (n_queries, n_documents)
        Targets, NaN in the padding.
    places : array of int64 of shape (n_samples,)
        Where each row is: its place among the ``n_queries * n_documents``.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.data import pad_groups
    >>> groups = pad_groups(np.ones((3, 1)), [1.0, 2.0, 3.0], ["a", "b", "a"])
    >>> groups.y
    array([[ 1.,  3.],
           [ 2., nan]])
    >>> groups.unpad(groups.y)
    array([1., 2., 3.])
    """

    X: NDArray[Any]
    y: NDArray[Any]
    places: NDArray[np.int64]

    def unpad(self, values: ArrayLike | Tensor) -> NDArray[Any]:
        """Return padded values in the order of the rows, without the padding.

        Parameters
        ----------
        values : array or Tensor of shape (n_queries, n_documents, ...)
            Scores for example.

        Returns
        -------
        array of shape (n_samples, ...)
            One per row.

        Raises
        ------
        ShapeError
            If the values have other first axes than ``y``.
        """
        array: NDArray[Any]
        array = values.numpy() if isinstance(values, Tensor) else np.asarray(values)
        if array.shape[:2] != self.y.shape:
            raise ShapeError(
                f"These groups are padded to {self.y.shape}. Got values of shape "
                f"{array.shape}."
            )
        return array.reshape(-1, *array.shape[2:])[self.places]


def pad_groups(
    X: ArrayLike, y: ArrayLike, qid: ArrayLike, *, n_documents: int | None = None
) -> PaddedGroups:
    """Put the rows of each group into one row of a padded array, for ranking losses.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Inputs of the documents.
    y : array-like of shape (n_samples,)
        Their targets, such as grades of relevance. Integers become floats of the dtype
        of ``X`` (float64 if that holds integers), which can hold NaN.
    qid : array-like of shape (n_samples,)
        The query each document belongs to, of any dtype that can be sorted. Rows of one
        query need not be adjacent.
    n_documents : int, default=None
        Documents per query after padding; by default those of the largest query.

    Returns
    -------
    PaddedGroups
        ``(X, y, places)``: queries in the order of their first appearance, the
        documents of each in the order of their rows; zeros and NaN in the padding.
        ``unpad(scores)`` goes back.

    Raises
    ------
    ShapeError
        If the numbers of rows differ, ``X`` has no second axis, ``y`` or ``qid`` more
        than one, or a query has more than ``n_documents`` rows.
    ParameterError
        If there are no rows, or ``n_documents`` is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.data import pad_groups
    >>> X = np.arange(4.0).reshape(4, 1)
    >>> X_padded, y_padded, places = pad_groups(X, [0, 2, 1, 0], qid=[7, 3, 7, 7])
    >>> X_padded.shape, y_padded.tolist()
    ((2, 3, 1), [[0.0, 1.0, 0.0], [2.0, nan, nan]])
    >>> places
    array([0, 3, 1, 2])
    """
    X, y, qid = np.asarray(X), np.asarray(y), np.asarray(qid)
    _check_groups(X, y, qid)
    query, position = _places(qid)
    n_queries, largest = int(query.max()) + 1, int(position.max()) + 1
    width = largest if n_documents is None else n_documents
    check_integer("pad_groups", "n_documents", width, 1)
    if largest > width:
        raise ShapeError(
            f"The largest query has {largest} rows, more than n_documents={width}."
        )
    places = query * width + position
    floats = np.result_type(X) if X.dtype.kind == "f" else np.dtype("float64")
    kept = y.dtype if y.dtype.kind == "f" else floats
    padded = np.zeros((n_queries * width, *X.shape[1:]), dtype=X.dtype)
    targets = np.full(n_queries * width, np.nan, dtype=kept)
    padded[places], targets[places] = X, y
    shape = (n_queries, width)
    return PaddedGroups(
        padded.reshape(*shape, *X.shape[1:]), targets.reshape(shape), places
    )


def _check_groups(X: NDArray[Any], y: NDArray[Any], qid: NDArray[Any]) -> None:
    shapes = f"X {X.shape}, y {y.shape}, qid {qid.shape}"
    if X.ndim < 2 or y.ndim != 1 or qid.ndim != 1:
        raise ShapeError(
            "pad_groups needs X of shape (n_samples, n_features), y and qid of shape "
            f"(n_samples,). Got {shapes}."
        )
    if not len(X) == len(y) == len(qid):
        raise ShapeError(f"pad_groups needs equal numbers of rows. Got {shapes}.")
    if not len(X):
        raise ParameterError("pad_groups needs at least one row.")


def _places(qid: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the number of the query of each row, and the row's place in it."""
    _, first, codes = np.unique(qid, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    query = number[codes]
    order = np.argsort(query, kind="stable")
    starts = np.cumsum(np.bincount(query)) - np.bincount(query)
    position = np.empty(len(query), dtype=np.int64)
    position[order] = np.arange(len(query)) - starts[query[order]]
    return query, position
