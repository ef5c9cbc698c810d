"""Training data of rankings: a sample is a query with its documents, of any number.

Documents stay where they are, a row each. Queries are padded to one length when a batch
or a block of them is read, together with others of about their length: to at most seven
different lengths, so that few programs are traced and little is padded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from skgrad.core.random import host_generator
from skgrad.train.data import Data, epoch_rows
from skgrad.typing import Array

__all__ = ["Queries"]

# Full batches and a partial one of each width: fewer shapes than steps.MANY_SHAPES.
MOST_WIDTHS = 7
# Lengths told apart when widths are chosen, so that this takes no time.
MOST_LENGTHS = 256
# What a block of queries may take, its inputs and its pairs of documents each: some
# temporaries of the pairs live at a time.
BLOCK_BYTES = 2**22
# From here on, parts of the stream of shuffles are for batches, those before for rows.
BATCHES = 2**32


@dataclass(frozen=True)
class Queries:
    """Documents, which query each belongs to, and a weight of each query.

    Parameters
    ----------
    X : array of shape (n_documents, n_features)
        Inputs, float32 or float64.
    y : array of shape (n_documents,)
        Relevances, in the dtype of the computation.
    w : array of shape (n_queries,)
        Weights of the queries with mean one, in the dtype of the computation.
    codes : array of int64 of shape (n_documents,)
        The query of each document: numbers from 0, none left out. Documents of a query
        need not be adjacent, and are ranked in the order of their rows.
    keys : array of shape (n_documents,), optional
        uint32 identities of the documents, see :func:`row_keys`.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.train import Queries
    >>> X, y = np.arange(4.0).reshape(4, 1), np.array([0.0, 2.0, 1.0, 0.0])
    >>> queries = Queries(X, y, np.ones(2), np.array([0, 1, 0, 0]))
    >>> inputs, relevances, weights = queries[[0, 1]]
    >>> inputs.shape, relevances.tolist()
    ((2, 3, 1), [[0.0, 1.0, 0.0], [2.0, nan, nan]])
    """

    X: Array
    y: Array
    w: Array
    codes: Array
    keys: Array | None = None

    def __len__(self) -> int:
        return self.n_samples

    @property
    def n_samples(self) -> int:
        """Number of queries."""
        return len(self.w)

    @cached_property
    def lengths(self) -> Array:
        """Documents of each query."""
        return np.bincount(self.codes, minlength=len(self.w))

    @cached_property
    def widths(self) -> Array:
        """What each query is padded to among queries of its length."""
        steps = widths_of(self.lengths)
        return steps[np.searchsorted(steps, self.lengths)]

    @cached_property
    def _order(self) -> tuple[Array, Array]:
        """Rows sorted by query, and where each query starts among them."""
        starts = np.cumsum(self.lengths) - self.lengths
        return np.argsort(self.codes, kind="stable"), starts

    def __getitem__(self, queries: Any, /) -> tuple[Array, ...]:
        """Return some queries, padded to the width of the longest.

        The padding repeats the first document of the query, with a relevance of NaN: no
        module sees numbers that no document has.
        """
        queries = np.asarray(queries)
        return self._padded(queries, int(self.widths[queries].max()))

    def _padded(self, queries: Array, width: int) -> tuple[Array, ...]:
        order, starts = self._order
        places = np.arange(width)
        is_document = places < self.lengths[queries, None]
        rows = order[starts[queries, None] + np.where(is_document, places, 0)]
        y = np.where(is_document, self.y[rows], np.asarray(np.nan, self.y.dtype))
        parts = (self.X[rows], y, self.w[queries])
        return parts if self.keys is None else (*parts, self.keys[rows])

    # --- batches ------------------------------------------------------------------

    def epoch(
        self, batch_size: int, seed: int, epoch: int, shuffle: bool = True
    ) -> list[Array]:
        """Return the queries of each batch of an epoch, batches of one size together.

        Shuffled, the queries of a full batch have about one length, except where one
        length ends and the next begins: which ones come together, and the order of the
        batches, is drawn anew for each epoch. A partial batch holds queries of any
        length, so that none of them counts for more than others.

        Parameters
        ----------
        batch_size, seed, epoch, shuffle
            As in :meth:`Data.batches`; the batch size counts queries.

        Returns
        -------
        list of array of int64 of shape (n_steps, n_queries)
            The full batches, then the partial one if there is one.
        """
        parts = epoch_rows(len(self), batch_size, seed, epoch, shuffle)
        if shuffle and batch_size < len(self):
            full = parts[0].ravel()
            by_width = full[np.argsort(self.widths[full], kind="stable")]
            parts[0] = by_width.reshape(-1, batch_size)
            host_generator(seed, "shuffle", BATCHES + epoch).shuffle(parts[0])
        return parts

    # --- blocks -------------------------------------------------------------------

    @cached_property
    def _blocks(self) -> list[Data]:
        """All queries, padded once: a block has one width, and a bounded size.

        The widest come first: what runs the others is chosen by their work.
        """
        blocks: list[Data] = []
        for width in np.unique(self.widths)[::-1].tolist():
            members = np.flatnonzero(self.widths == width)
            inputs = self.X.itemsize * int(np.prod(self.X.shape[1:]))
            most = max(1, BLOCK_BYTES // (width * max(inputs, 8 * width)))
            n_blocks = -(-len(members) // most)
            parts = np.array_split(members, n_blocks)
            blocks.extend(Data(*self._padded(part, width)) for part in parts)
        return blocks

    def blocks(self) -> Iterator[Data]:
        """Yield all queries in padded blocks, those of one width together."""
        return iter(self._blocks)

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self._blocks)

    @property
    def block_size(self) -> int:
        """Documents of the largest block."""
        return max(int(block.y.size) for block in self._blocks)


def widths_of(lengths: Array, most: int = MOST_WIDTHS) -> Array:
    """Return at most so many widths that pad queries of these lengths the least.

    Parameters
    ----------
    lengths : array of int of shape (n_queries,)
        Documents of each query.
    most : int, default=7
        Number of widths.

    Returns
    -------
    array of int64 of shape (n_widths,)
        Ascending; the last is the longest length.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.train.queries import widths_of
    >>> widths_of(np.array([2, 3, 3, 3, 9, 10]), most=2)
    array([ 3, 10])
    """
    longest = int(lengths.max())
    step = -(-longest // MOST_LENGTHS)
    coarse = np.minimum(-(-lengths // step) * step, longest)
    values, counts = np.unique(coarse, return_counts=True)
    # cost[i, j]: documents of queries of values i to j - 1 when all have width j - 1.
    below = np.concatenate([[0], np.cumsum(counts)])
    cost = np.full((len(values) + 1,) * 2, np.inf)
    first, end = np.triu_indices(len(values) + 1, 1)
    cost[first, end] = (below[end] - below[first]) * values[end - 1]
    # best[j]: the least for values up to j - 1 with one more width in each round.
    best, choices = cost[0], []
    for _ in range(min(most, len(values)) - 1):
        total = best[:, None] + cost
        choices.append(total.argmin(axis=0))
        best = total.min(axis=0)
    ends = [len(values)]
    for choice in reversed(choices):
        ends.append(int(choice[ends[-1]]))
    return values[np.unique(ends) - 1].astype(np.int64)
