"""Minibatches of a dataset: in order, shuffled each epoch, or as a sampler says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from skgrad.core.checks import check_boolean, check_integer, wrong_parameter
from skgrad.data.dataset import Dataset
from skgrad.data.samplers import Epochs
from skgrad.exceptions import ParameterError
from skgrad.tensor import Tensor, tensor

__all__ = ["DataLoader"]

BATCH_SIZE = 32


class Sampler(Protocol):
    """Row numbers of an epoch, or batches of them, with a length."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __iter__(self) -> Iterator[Any]:
        """Yield them."""


class DataLoader(Epochs):
    """Iterate over the minibatches of a dataset, any number of times.

    Each iteration is one epoch. Batches are tuples of tensors, one per array of the
    dataset, with its dtype. Only the rows of a batch are copied: a memory-mapped
    dataset stays on disk.

    Parameters
    ----------
    dataset : Dataset
        Usually an `ArrayDataset` or a `SequenceDataset`; any object with
        ``len(dataset)`` and ``dataset[rows]`` will do.
    batch_size : int, default=32
        Rows per batch; the last batch may be smaller.
    shuffle : bool, default=False
        Whether to put the rows into another random order each epoch.
    sampler : iterable of int with a length, default=None
        The rows of an epoch in order, iterated anew for each; in the place of
        ``shuffle``.
    batch_sampler : iterable of array of int with a length, default=None
        The rows of each batch; in the place of ``batch_size``, ``shuffle``, ``sampler``
        and ``drop_last``.
    collate : callable, default=None
        ``collate(samples)`` makes the arrays of a batch, a tuple, of the list of its
        samples, ``dataset[i]`` each; see `pad_collate`. By default the dataset gathers
        the rows itself, ``dataset[rows]``.
    drop_last : bool, default=False
        Whether to leave out a last batch that is smaller.
    random_state : int in [0, 2**32), default=None
        Seed of the orders: the epochs of two loaders with the same seed are equal,
        one after the other. ``None`` draws from the ``"shuffle"`` stream of
        `skgrad.random_seed`. NumPy's global state is neither used nor changed.

    Attributes
    ----------
    epoch : int
        Number of iterations begun.

    Raises
    ------
    ParameterError
        If a parameter is outside its domain, or two exclude each other.
    IndexError
        When iterated: if a sampler names a row that the dataset does not have.

    See Also
    --------
    WeightedRandomSampler, StratifiedBatchSampler : Samplers.
    skgrad.train.fit_stochastic : Trains on a loader with compiled steps.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.data import ArrayDataset, DataLoader, StratifiedBatchSampler
    >>> y = np.arange(5)
    >>> dataset = ArrayDataset(np.arange(5.0), y)
    >>> loader = DataLoader(dataset, batch_size=2)
    >>> len(loader), [x.numpy().tolist() for x, y in loader]
    (3, [[0.0, 1.0], [2.0, 3.0], [4.0]])
    >>> loader = DataLoader(dataset, batch_size=5, shuffle=True, random_state=0)
    >>> first, second = [[y.numpy().tolist() for _, y in loader] for _ in range(2)]
    >>> first == second, sorted(first[0]) == sorted(second[0])
    (False, True)
    >>> halves = StratifiedBatchSampler(y % 2, 2, shuffle=False)
    >>> [y.numpy().tolist() for _, y in DataLoader(dataset, batch_sampler=halves)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = BATCH_SIZE,
        *,
        shuffle: bool = False,
        sampler: Sampler | None = None,
        batch_sampler: Sampler | None = None,
        collate: Callable[[list[Any]], tuple[Any, ...]] | None = None,
        drop_last: bool = False,
        random_state: int | None = None,
    ) -> None:
        super().__init__(random_state)
        check_integer("DataLoader", "batch_size", batch_size, 1)
        check_boolean("DataLoader", "shuffle", shuffle)
        check_boolean("DataLoader", "drop_last", drop_last)
        if collate is not None and not callable(collate):
            raise wrong_parameter("DataLoader", "collate", "be a function", collate)
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.collate = collate
        self.drop_last = drop_last
        self._check_samplers()

    def _check_samplers(self) -> None:
        """Refuse parameters that would be ignored."""
        ordered = {
            "shuffle": self.shuffle,
            "random_state": self.random_state is not None,
        }
        cut = {
            "batch_size": self.batch_size != BATCH_SIZE,
            "drop_last": self.drop_last,
            "sampler": self.sampler is not None,
        }
        for name, excluded in (
            ("sampler", ordered),
            ("batch_sampler", {**ordered, **cut}),
        ):
            if getattr(self, name) is None:
                continue
            _check_sized(name, getattr(self, name))
            others = [other for other, given in excluded.items() if given]
            if others:
                raise ParameterError(
                    f"The {name!r} parameter of DataLoader says which rows come, so "
                    f"that {', '.join(others)} would have no effect. Give them to the "
                    f"{name} instead, or leave the {name} out."
                )

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        n_rows = len(self.dataset if self.sampler is None else self.sampler)
        whole, rest = divmod(n_rows, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """Begin the next epoch; iterators that overlap do not disturb each other."""
        return map(self._batch, self._rows(self.begin()))

    def next_rows(self) -> Iterator[NDArray[np.int64]]:
        """Begin the next epoch and yield the row numbers of its batches."""
        order = np.arange(len(self.dataset))
        for rows in self._rows(self.begin()):
            yield order[rows] if isinstance(rows, slice) else rows

    def __repr__(self) -> str:
        """Return the dataset and how it is cut into batches."""
        named: dict[str, Any] = {
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
            "random_state": self.random_state,
        }
        if self.batch_sampler is not None:
            named = {}
        for name in ("sampler", "batch_sampler", "collate"):
            if getattr(self, name) is not None:
                named[name] = getattr(self, name)
        shown = "".join(f", {name}={value}" for name, value in named.items())
        return f"DataLoader({self.dataset!r}{shown})"

    def _rows(self, rng: np.random.Generator) -> Iterator[Any]:
        """Return the rows of each batch of an epoch: numbers, or a slice."""
        if self.batch_sampler is not None:
            return (self._checked(rows) for rows in self.batch_sampler)
        size = self.batch_size
        parts = (slice(i * size, (i + 1) * size) for i in range(len(self)))
        if self.sampler is not None:
            order = self._checked(list(self.sampler))
        elif self.shuffle:
            order = rng.permutation(len(self.dataset))
        else:
            return parts
        return (order[part] for part in parts)

    def _checked(self, rows: Iterable[int]) -> NDArray[np.int64]:
        """Return row numbers as an array; refuse those of no row."""
        numbers = np.asarray(rows, dtype=np.int64)
        n_rows = len(self.dataset)
        wrong = numbers[(numbers < 0) | (numbers >= n_rows)]
        if wrong.size:
            raise IndexError(
                f"A sampler named row {wrong[0]} of a dataset with {n_rows} rows."
            )
        return numbers

    def _batch(self, rows: Any) -> tuple[Tensor, ...]:
        if self.collate is None:
            arrays: Any = self.dataset[rows]
        else:
            numbers: Sequence[Any] = rows
            if isinstance(rows, slice):
                numbers = range(len(self.dataset))[rows]
            arrays = self.collate([self.dataset[int(i)] for i in numbers])
        several = isinstance(arrays, tuple | list)
        return tuple(map(tensor, arrays if several else (arrays,)))


def _check_sized(name: str, sampler: Any) -> None:
    if not (isinstance(sampler, Sized) and isinstance(sampler, Iterable)):
        must = "have a length and be iterable"
        raise wrong_parameter("DataLoader", name, must, sampler)
