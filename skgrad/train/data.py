"""Training data: arrays with equal rows, cut into batches and blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from skgrad.core.random import host_generator
from skgrad.ops import SparseRows
from skgrad.typing import Array

__all__ = ["Data", "row_keys"]

# Rows of a block of a full-batch evaluation take about so many bytes: a block and what
# is computed from it stay in the cache.
BLOCK_BYTES = 2**21

# Each block of sparse rows gives a dense gradient, as long as there are columns: that
# is to be little beside the products, and few rows are nothing beside the columns.
SPARSE_ROWS, SPARSE_BLOCKS = 2**14, 8


@dataclass(frozen=True)
class Data:
    """Rows of inputs, targets and weights.

    Parameters
    ----------
    X : array of shape (n_samples, ...) or SparseRows
        Inputs, float32 or float64: (n_samples, n_features), or with more axes, such as
        sequences and images. A memory-mapped array in C order stays on disk.
        :class:`~skgrad.ops.SparseRows` for models that begin with a
        :class:`~skgrad.nn.Linear`; all parts of them share one matrix.
    y : array of shape (n_samples,) or (n_samples, n_outputs)
        Targets as the loss sees them.
    w : array of shape (n_samples,)
        Weights with mean one, in the dtype of the computation.
    keys : array of shape (n_samples,), optional
        uint32 identities of the rows, see :func:`row_keys`.
    block_bytes : int, default=None
        Size of the inputs of a block, see :meth:`blocks`; by default 2 MB, and what is
        computed in it at once on a GPU.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.train import Data
    >>> data = Data(np.zeros((5, 2)), np.zeros(5), np.ones(5))
    >>> [len(rows) for rows in data.batches(2, seed=0, epoch=0)]
    [2, 2, 1]
    """

    X: Any
    y: Array
    w: Array
    keys: Array | None = None
    block_bytes: int | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        return self.n_samples

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return int(self.w.shape[0])

    def n_batches(self, batch_size: int) -> int:
        """Return the number of batches of an epoch, the last partial one included."""
        return -(-self.n_samples // batch_size)

    def batches(
        self, batch_size: int, seed: int, epoch: int, shuffle: bool = True
    ) -> Iterator[Array]:
        """Yield the row numbers of each batch of an epoch.

        Parameters
        ----------
        batch_size : int
            Rows per batch; the last one may be smaller.
        seed : int
            Seed of the shuffles.
        epoch : int
            Number of the epoch: the order is a pure function of seed and epoch.
        shuffle : bool, default=True
            Whether to shuffle; a single batch is never shuffled.

        Yields
        ------
        array of int64
            Row numbers.
        """
        for rows in self.epoch(batch_size, seed, epoch, shuffle):
            yield from rows

    def epoch(
        self, batch_size: int, seed: int, epoch: int, shuffle: bool = True
    ) -> list[Array]:
        """Return the row numbers of an epoch, batches of one size together.

        Parameters
        ----------
        batch_size, seed, epoch, shuffle
            As in :meth:`batches`.

        Returns
        -------
        list of array of int64 of shape (n_steps, n_rows)
            The full batches, then the partial one if there is one.
        """
        return epoch_rows(self.n_samples, batch_size, seed, epoch, shuffle)

    def rows(self, index: Array | slice) -> Data:
        """Return some of the rows."""
        keys = None if self.keys is None else self.keys[index]
        sparse = isinstance(self.X, SparseRows)
        X = self.X.take(index) if sparse else self.X[index]
        return replace(self, X=X, y=self.y[index], w=self.w[index], keys=keys)

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        if isinstance(self.X, SparseRows):
            most = max(SPARSE_ROWS, -(-self.n_samples // SPARSE_BLOCKS))
            return -(-self.n_samples // most)
        row_bytes = int(self.X.itemsize) * int(np.prod(self.X.shape[1:]))
        most = max(256, (self.block_bytes or BLOCK_BYTES) // max(1, row_bytes))
        return -(-self.n_samples // most)

    @property
    def block_size(self) -> int:
        """Rows of a block, the same for all."""
        return -(-self.n_samples // self.n_blocks)

    def blocks(self) -> Iterator[Data]:
        """Yield all rows in order, in blocks of one size that fit the cache, as views.

        Where the size does not divide the number of rows, the last block begins with
        rows of the block before, their weights set to zero.
        """
        size = self.block_size
        for start in range(0, self.n_samples - size + 1, size):
            yield self.rows(slice(start, start + size))
        rest = self.n_samples % size
        if rest:
            last = self.rows(slice(self.n_samples - size, None))
            w = last.w.copy()
            w[: size - rest] = 0
            yield replace(last, w=w)


def epoch_rows(
    n_samples: int, batch_size: int, seed: int, epoch: int, shuffle: bool
) -> list[Array]:
    """Return the row numbers of an epoch, batches of one size together."""
    order = np.arange(n_samples)
    if shuffle and batch_size < n_samples:
        host_generator(seed, "shuffle", epoch).shuffle(order)
    full = n_samples // batch_size * batch_size
    parts = [order[:full].reshape(-1, batch_size), order[None, full:]]
    return [rows for rows in parts if rows.size]


def row_keys(X: Array) -> Array:
    """Return a 32-bit identity of each row, computed from its elements.

    Equal rows have equal keys. Random masks keyed by them follow a row wherever it
    stands in a batch, so that a row with weight two equals the row written twice, and
    the order of the rows does not matter, for models with dropout too.

    Parameters
    ----------
    X : array of shape (n_samples, ...)
        Rows, of any fixed-size dtype.

    Returns
    -------
    array of uint32 of shape (n_samples,)
        The keys.

    References
    ----------
    The mixing step is MurmurHash3's (A. Appleby, 2011), applied to 32-bit words.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.train import row_keys
    >>> keys = row_keys(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))
    >>> bool(keys[0] == keys[2]), bool(keys[0] == keys[1])
    (True, False)
    """
    flat = np.ascontiguousarray(X).reshape(X.shape[0], int(np.prod(X.shape[1:])))
    words = flat.view(np.uint32) if flat.itemsize % 4 == 0 else flat.astype(np.uint32)
    keys = np.full(X.shape[0], words.shape[1], dtype=np.uint32)
    for column in words.T:
        k = column * np.uint32(0xCC9E2D51)
        k = ((k << np.uint32(15)) | (k >> np.uint32(17))) * np.uint32(0x1B873593)
        keys ^= k
        keys = (keys << np.uint32(13)) | (keys >> np.uint32(19))
        keys = keys * np.uint32(5) + np.uint32(0xE6546B64)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        keys = (keys ^ (keys >> np.uint32(shift))) * np.uint32(factor)
    return keys ^ (keys >> np.uint32(16))
