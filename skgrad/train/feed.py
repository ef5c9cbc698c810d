"""What feeds the steps of an epoch: rows of arrays, or the batches of a loader.

A feed gives the epoch in groups of consecutive batches of one shape, which one program
serves; a group gives them in blocks, which the program runs without returning to
Python. Rows of arrays are gathered inside of the program, step by step; batches that
only Python can make are stacked, a few at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, groupby, islice
from mmap import mmap
from typing import Any, NamedTuple, Protocol

import numpy as np

from skgrad.data import ArrayDataset, DataLoader, Dataset
from skgrad.exceptions import ParameterError, ShapeError
from skgrad.executor import Rows, Same, Table
from skgrad.ops import SparseRows
from skgrad.tensor import Tensor
from skgrad.train.data import Data, epoch_rows
from skgrad.train.queries import Queries
from skgrad.typing import Array, DTypeLike

__all__ = ["Block", "Feed", "Group", "blocks_of", "feed_of"]

# Batches made in Python are stacked to blocks of about so many bytes: enough for
# thousands of small steps, few enough to stay in a cache.
STACK_BYTES = 2**23

# Rows of a dataset that are evaluated together.
BLOCK_ROWS = 1024


class Block(NamedTuple):
    """Steps that are run together: how their inputs vary, and which rows they read."""

    inputs: Data  # of step inputs in the place of arrays
    rows: Array  # (n_steps, n_rows), for inputs that are Rows
    n_rows: int  # of all steps


class Group(Protocol):
    """Consecutive batches of one shape."""

    signature: Hashable

    def example(self) -> Data:
        """Return the first batch."""

    def blocks(self, size: int | None) -> Iterator[Block]:
        """Yield the batches in blocks of at most ``size`` steps."""


class Feed(Protocol):
    """The batches of each epoch."""

    batch_size: int

    @property
    def n_batches(self) -> int:
        """Number of batches of an epoch."""

    def groups(self, epoch: int) -> Iterator[Group]:
        """Yield the batches of an epoch in groups of one shape."""


def feed_of(
    data: Data | Queries | Dataset | DataLoader,
    settings: Any,
    dtype: DTypeLike,
    ahead: bool = False,
) -> Feed:
    """Return the feed of what the user calls data.

    Parameters
    ----------
    data : Data, Queries, Dataset or DataLoader
        What to train on.
    settings : Settings
        Batch size, shuffle and seed, for what is not cut into batches yet.
    dtype : dtype
        Of the weights, where none are given.
    ahead : bool, default=False
        Shuffle rows of arrays while the epoch before them is computed, elsewhere than
        on the cores of this machine.

    Returns
    -------
    Feed
        The batches of each epoch.

    Raises
    ------
    ParameterError
        If there are no rows, or the data are bare arrays.
    """
    if isinstance(data, np.ndarray | tuple | list):
        raise ParameterError(
            "Data to train on are a Data, a Dataset or a DataLoader. Got a "
            f"{type(data).__name__}: wrap arrays, skgrad.data.ArrayDataset(X, y)."
        )
    if isinstance(data, DataLoader):
        feed: Feed = LoaderFeed(data, dtype)
    elif isinstance(data, ArrayDataset) and _gathers(data):
        feed = RowFeed(_as_data(data.arrays, dtype), settings, ahead)
    elif isinstance(data, Data):
        feed = RowFeed(data, settings, ahead)
    else:
        feed = DatasetFeed(data, settings, dtype)
    if not feed.n_batches:
        raise ParameterError(f"There is nothing to train on: {data!r} has no batches.")
    return feed


def blocks_of(
    data: Data | Queries | Dataset | DataLoader, dtype: DTypeLike
) -> tuple[Callable[[], Iterator[Data]], int]:
    """Return a function that yields all rows in blocks, and the number of blocks."""
    if isinstance(data, ArrayDataset) and _gathers(data):
        data = _as_data(data.arrays, dtype)
    if isinstance(data, Data | Queries):
        return data.blocks, data.n_blocks
    loader = data if isinstance(data, DataLoader) else DataLoader(data, BLOCK_ROWS)
    return lambda: (_as_data(batch, dtype) for batch in loader), len(loader)


# --- rows of arrays ---------------------------------------------------------------


class Gathered:
    """Batches that are rows of arrays, given by number: (n_steps, n_rows) of them."""

    def __init__(self, data: Data, rows: Array, inputs: Data) -> None:
        self.data = data
        self.rows = rows
        self.signature = rows.shape[1]
        self.inputs = inputs  # the arrays of the data, as a step is given them

    def example(self) -> Data:
        """Return the first batch."""
        return self.data.rows(self.rows[0])

    def blocks(self, size: int | None) -> Iterator[Block]:
        """Yield the batches in blocks of at most ``size`` steps."""
        size = size or len(self.rows)
        for i in range(0, len(self.rows), size):
            rows = self.rows[i : i + size]
            yield Block(self.inputs, rows, rows.size)


class RowFeed:
    """Batches of arrays, shuffled by the loop itself."""

    def __init__(self, data: Data, settings: Any, ahead: bool = False) -> None:
        # Views of this fit: what a GPU keeps of them goes when they go.
        self.data = _in_order(data).rows(slice(None))
        self.settings = settings
        self.batch_size: int = settings.batch_size
        whole = self.batch_size >= len(self.data)
        self.inputs = _each(Same if whole else Rows, self.data)
        self._pool = ThreadPoolExecutor(1) if ahead and not whole else None
        self._next: tuple[int, Future[list[Array]]] | None = None

    @property
    def n_batches(self) -> int:
        """Number of batches of an epoch."""
        return self.data.n_batches(self.batch_size)

    def groups(self, epoch: int) -> Iterator[Group]:
        """Yield the full batches, then the partial one."""
        for rows in self._taken(epoch):
            yield from self.groups_of(rows)

    def _taken(self, epoch: int) -> list[Array]:
        """Return the row numbers of an epoch, and have the next ones made."""
        if self._pool is None:
            return self.rows(epoch)
        waiting = self._next
        self._next = epoch + 1, self._pool.submit(self.rows, epoch + 1)
        if waiting is not None and waiting[0] == epoch:
            return waiting[1].result()
        return self.rows(epoch)

    def rows(self, epoch: int) -> list[Array]:
        """Return the row numbers of an epoch, see :meth:`Data.epoch`."""
        s = self.settings
        return self.data.epoch(self.batch_size, s.seed, epoch, s.shuffle)

    def groups_of(self, rows: Array) -> Iterator[Group]:
        """Yield batches of the rows (n_steps, n_rows)."""
        yield Gathered(self.data, rows, self.inputs)


# --- batches made in Python -------------------------------------------------------


class Stacked:
    """Batches that come one by one."""

    def __init__(self, signature: Hashable, batches: Iterator[Data]) -> None:
        self.signature = signature
        self.first = next(batches)
        self.rest = batches

    def example(self) -> Data:
        """Return the first batch."""
        return self.first

    def blocks(self, size: int | None) -> Iterator[Block]:
        """Yield the batches in blocks of at most ``size`` steps."""
        most = max(1, STACK_BYTES // max(1, _n_bytes(self.first)))
        batches = chain([self.first], self.rest)
        while part := list(islice(batches, min(most, size or most))):
            columns = zip(*map(_arrays, part), strict=True)
            inputs = Data(*(Table(np.stack(column)) for column in columns))
            rows = np.empty((len(part), 0), dtype=np.int64)
            yield Block(inputs, rows, sum(map(len, part)))


class DatasetFeed:
    """Rows of a dataset, shuffled by the loop as those of arrays are."""

    def __init__(
        self, dataset: Dataset | Queries, settings: Any, dtype: DTypeLike
    ) -> None:
        self.dataset = dataset
        self.settings = settings
        self.dtype = dtype
        self.batch_size: int = settings.batch_size

    @property
    def n_batches(self) -> int:
        """Number of batches of an epoch."""
        return -(-len(self.dataset) // self.batch_size)

    def groups(self, epoch: int) -> Iterator[Group]:
        """Yield the batches of an epoch in groups of one shape."""
        return self.groups_of(rows for part in self.rows(epoch) for rows in part)

    def rows(self, epoch: int) -> list[Array]:
        """Return the row numbers of an epoch, see :meth:`Data.epoch`."""
        s, size = self.settings, self.batch_size
        if isinstance(self.dataset, Queries):
            return self.dataset.epoch(size, s.seed, epoch, s.shuffle)
        return epoch_rows(len(self.dataset), size, s.seed, epoch, s.shuffle)

    def groups_of(self, rows: Iterable[Array]) -> Iterator[Group]:
        """Yield batches of the rows in groups of one shape."""
        return _grouped((self.dataset[part] for part in rows), self.dtype)


class LoaderFeed:
    """The batches of a loader, which counts its epochs itself."""

    def __init__(self, loader: DataLoader, dtype: DTypeLike) -> None:
        self.loader = loader
        self.dtype = dtype
        self.arrays: Data | None = None
        dataset: Any = loader.dataset
        if loader.collate is None and _gathers(dataset):
            self.arrays = _in_order(_as_data(dataset.arrays, dtype))
        self.batch_size = -(-len(dataset) // max(1, len(loader)))

    @property
    def n_batches(self) -> int:
        """Number of batches of an epoch."""
        return len(self.loader)

    def groups(self, epoch: int) -> Iterator[Group]:
        """Yield the batches of the loader's next epoch in groups of one shape."""
        if self.arrays is None:
            return _grouped(self.loader, self.dtype)
        batches = groupby(self.loader.next_rows(), key=len)
        inputs = _each(Rows, self.arrays)
        parts = (np.stack(list(part)) for _, part in batches)
        return (Gathered(self.arrays, rows, inputs) for rows in parts)


def _grouped(batches: Iterable[Any], dtype: DTypeLike) -> Iterator[Group]:
    found = (_as_data(batch, dtype) for batch in batches)
    for signature, part in groupby(found, key=_signature):
        yield Stacked(signature, part)


def _gathers(dataset: Dataset) -> bool:
    """Return whether a compiled loop can gather the rows of a dataset by itself.

    It needs arrays in C order. Others are copied once, but not from disk.
    """
    return isinstance(dataset, ArrayDataset) and all(
        array.flags.c_contiguous or not _is_on_disk(array) for array in dataset.arrays
    )


def _is_on_disk(array: Any) -> bool:
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap)


def _as_data(batch: Any, dtype: DTypeLike) -> Data:
    """Return the arrays of a batch (X, y), (X, y, w) or (X, y, w, keys) as data."""
    parts = batch if isinstance(batch, tuple | list) else (batch,)
    arrays = [x.numpy() if isinstance(x, Tensor) else np.asarray(x) for x in parts]
    shapes = [array.shape for array in arrays]
    if len(arrays) not in (2, 3, 4):
        raise ParameterError(
            "A batch to train on is (X, y), (X, y, weights) or (X, y, weights, keys). "
            f"Got {len(arrays)} arrays, of shapes {shapes}."
        )
    if len({shape[:1] for shape in shapes}) > 1 or () in shapes:
        raise ShapeError(
            "The arrays of a batch need the same number of rows. Got shapes "
            f"{', '.join(map(str, shapes))}."
        )
    if len(arrays) == 2:
        arrays.append(np.ones(len(arrays[0]), dtype=dtype))
    return Data(*arrays)


def _arrays(data: Data) -> list[Array]:
    return [data.X, data.y, data.w, *([] if data.keys is None else [data.keys])]


def _signature(data: Data) -> Hashable:
    return tuple((array.shape, array.dtype.char) for array in _arrays(data))


def _n_bytes(data: Data) -> int:
    return sum(int(array.nbytes) for array in _arrays(data))


def _in_order(data: Data) -> Data:
    """Return data in C order, copied once and not at each return to Python."""
    return _each(np.ascontiguousarray, data)


def _each(kind: Callable[[Array], Any], data: Data) -> Data:
    """Return data with each array of rows replaced by what is made of it."""
    keys = None if data.keys is None else kind(data.keys)
    if isinstance(data.X, SparseRows):  # rows of one matrix, which is itself no rows
        of_matrix = Same if kind is Rows else kind
        stored, indices, indptr = map(of_matrix, data.X[:3])
        shift = None if data.X.shift is None else of_matrix(data.X.shift)
        X: Any = SparseRows(stored, indices, indptr, kind(data.X.rows), shift)
    else:
        X = kind(data.X)
    return replace(data, X=X, y=kind(data.y), w=kind(data.w), keys=keys)
