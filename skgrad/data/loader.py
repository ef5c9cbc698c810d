"""Minibatches of a dataset, in order or shuffled anew each epoch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skgrad.core.random import generator
from skgrad.data.dataset import Dataset
from skgrad.exceptions import ParameterError
from skgrad.tensor import Tensor, tensor

__all__ = ["DataLoader"]

# Second word of the Philox key, apart from the streams of `skgrad.random_seed`, whose
# numbers are small.
STREAM = 0x6461_7461


class DataLoader:
    """Iterate over the minibatches of a dataset, any number of times.

    Each iteration is one epoch. Batches are tuples of tensors, one per array of the
    dataset, with its dtype.

    Parameters
    ----------
    dataset : Dataset
        Usually an `ArrayDataset`; any object with ``len(dataset)`` and
        ``dataset[rows]`` will do.
    batch_size : int, default=32
        Rows per batch; the last batch may be smaller.
    shuffle : bool, default=False
        Whether to put the rows into another random order each epoch.
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
        If a parameter is outside its domain.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.data import ArrayDataset, DataLoader
    >>> dataset = ArrayDataset(np.arange(5.0), np.arange(5))
    >>> loader = DataLoader(dataset, batch_size=2)
    >>> len(loader), [x.numpy().tolist() for x, y in loader]
    (3, [[0.0, 1.0], [2.0, 3.0], [4.0]])
    >>> loader = DataLoader(dataset, batch_size=5, shuffle=True, random_state=0)
    >>> first, second = [[y.numpy().tolist() for _, y in loader] for _ in range(2)]
    >>> first == second, sorted(first[0]) == sorted(second[0])
    (False, True)
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 32,
        *,
        shuffle: bool = False,
        drop_last: bool = False,
        random_state: int | None = None,
    ) -> None:
        _check_integer("batch_size", batch_size, 1, None)
        _check_boolean("shuffle", shuffle)
        _check_boolean("drop_last", drop_last)
        if random_state is not None:
            _check_integer("random_state", random_state, 0, 2**32 - 1)
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.random_state = random_state
        self.epoch = 0

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """Begin the next epoch; iterators that overlap do not disturb each other."""
        order = self._order() if self.shuffle else None
        self.epoch += 1
        return self._batches(order)

    def __repr__(self) -> str:
        """Return the dataset and the numbers of rows and batches."""
        return (
            f"DataLoader({self.dataset!r}, batch_size={self.batch_size}, "
            f"shuffle={self.shuffle}, drop_last={self.drop_last}, "
            f"random_state={self.random_state})"
        )

    def _order(self) -> NDArray[np.int64]:
        """Return the order of the rows in the epoch that begins."""
        if self.random_state is None:
            return generator("shuffle").permutation(len(self.dataset))
        # The epoch is the top word of the counter, so an epoch's order depends on
        # nothing that came before it.
        bits = np.random.Philox(
            key=np.array([self.random_state, STREAM], dtype=np.uint64),
            counter=np.array([0, 0, 0, self.epoch], dtype=np.uint64),
        )
        return np.random.Generator(bits).permutation(len(self.dataset))

    def _batches(self, order: NDArray[np.int64] | None) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batches of one epoch."""
        for i in range(len(self)):
            rows = slice(i * self.batch_size, (i + 1) * self.batch_size)
            chosen: Any = rows if order is None else order[rows]
            yield tuple(tensor(array) for array in self.dataset[chosen])


def _check_integer(name: str, value: Any, low: int, high: int | None) -> None:
    number = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if number and low <= value and (high is None or value <= high):
        return
    domain = f">= {low}" if high is None else f"in [{low}, {high}]"
    raise ParameterError(
        f"The {name!r} parameter of DataLoader must be an integer {domain}. "
        f"Got {value!r} instead."
    )


def _check_boolean(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ParameterError(
            f"The {name!r} parameter of DataLoader must be True or False. "
            f"Got {value!r} instead."
        )
