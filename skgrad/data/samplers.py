"""Which rows come in an epoch, and in which order.

A sampler is anything with a length whose iteration yields the row numbers of an epoch;
a batch sampler yields them batch by batch. Those here draw each epoch anew.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from skgrad.core.checks import check_boolean, check_integer, wrong_parameter
from skgrad.core.random import generator
from skgrad.exceptions import ShapeError
from skgrad.typing import ArrayLike

__all__ = ["StratifiedBatchSampler", "WeightedRandomSampler"]

# Second word of the Philox key, apart from the streams of `skgrad.random_seed`, whose
# numbers are small.
STREAM = 0x6461_7461


class Epochs:
    """Counts epochs and gives each a generator of its own."""

    def __init__(self, random_state: int | None) -> None:
        if random_state is not None:
            owner = type(self).__name__
            check_integer(owner, "random_state", random_state, 0, 2**32 - 1)
        self.random_state = random_state
        self.epoch = 0

    def begin(self) -> np.random.Generator:
        """Begin the next epoch and return its generator."""
        self.epoch += 1
        if self.random_state is None:
            return generator("shuffle")
        # The epoch is the top word of the counter, so an epoch's order depends on
        # nothing that came before it.
        bits = np.random.Philox(
            key=np.array([self.random_state, STREAM], dtype=np.uint64),
            counter=np.array([0, 0, 0, self.epoch - 1], dtype=np.uint64),
        )
        return np.random.Generator(bits)


class WeightedRandomSampler(Epochs):
    """Draw rows with probabilities proportional to weights.

    P(row i) = wᵢ / Σ w at each draw; without replacement among the rows not drawn yet.
    Pass it to a `DataLoader` as ``sampler``, for example with the inverse of the class
    frequencies to see all classes equally often. The loss is not weighted by it.

    Parameters
    ----------
    weights : array-like of shape (n_samples,)
        Not negative, finite, not all zero; their scale does not matter.
    num_samples : int, default=None
        Rows per epoch; by default as many as there are weights.
    replacement : bool, default=True
        Whether a row may be drawn again in the same epoch.
    random_state : int in [0, 2**32), default=None
        Seed of the epochs, as in `DataLoader`.

    Attributes
    ----------
    epoch : int
        Number of iterations begun.

    Raises
    ------
    ShapeError
        If the weights have another number of axes than one.
    ParameterError
        If a parameter is outside its domain, or if more rows are to be drawn without
        replacement than have a positive weight.

    See Also
    --------
    StratifiedBatchSampler : Classes in the same proportions in every batch.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.data import WeightedRandomSampler
    >>> y = np.array([0, 0, 0, 1])
    >>> weights = 1.0 / np.bincount(y)[y]
    >>> drawn = list(WeightedRandomSampler(weights, 1000, random_state=0))
    >>> len(drawn), round(float(y[drawn].mean()), 1)
    (1000, 0.5)
    """

    def __init__(
        self,
        weights: ArrayLike,
        num_samples: int | None = None,
        *,
        replacement: bool = True,
        random_state: int | None = None,
    ) -> None:
        super().__init__(random_state)
        owner = type(self).__name__
        check_boolean(owner, "replacement", replacement)
        array = np.asarray(weights, dtype=np.float64)
        if array.ndim != 1:
            raise ShapeError(
                f"{owner} needs one weight per row, of shape (n_samples,). Got shape "
                f"{array.shape}."
            )
        if not (np.isfinite(array).all() and (array >= 0).all() and array.any()):
            must = "be finite and not negative, and not all zero"
            raise wrong_parameter(owner, "weights", must, weights)
        most = None if replacement else int((array > 0).sum())
        n_samples = len(array) if num_samples is None else num_samples
        check_integer(owner, "num_samples", n_samples, 1, most)
        self.probabilities = array / array.sum()
        self.num_samples = n_samples
        self.replacement = replacement

    def __len__(self) -> int:
        """Return the number of rows per epoch."""
        return self.num_samples

    def __iter__(self) -> Iterator[int]:
        """Draw the rows of the next epoch."""
        drawn = self.begin().choice(
            len(self.probabilities),
            self.num_samples,
            replace=self.replacement,
            p=self.probabilities,
        )
        return iter(drawn.tolist())


class StratifiedBatchSampler(Epochs):
    """Cut the rows into batches that hold the classes in their overall proportions.

    A batch of b rows holds b · n_c / n rows of class c, rounded down or up; over the
    epoch every row comes once. Pass it to a `DataLoader` as ``batch_sampler``.

    Parameters
    ----------
    labels : array-like of shape (n_samples,)
        The class of each row, of any dtype that can be sorted. For a continuous target,
        its bins, for example of ``np.digitize``.
    batch_size : int
        Rows per batch; the last batch may be smaller.
    shuffle : bool, default=True
        Whether to draw, each epoch anew, which rows of a class come in which batch.
        Otherwise they come in their order.
    drop_last : bool, default=False
        Whether to leave out a last batch that is smaller.
    random_state : int in [0, 2**32), default=None
        Seed of the epochs, as in `DataLoader`.

    Attributes
    ----------
    epoch : int
        Number of iterations begun.

    Raises
    ------
    ShapeError
        If the labels have another number of axes than one.
    ParameterError
        If a parameter is outside its domain.

    References
    ----------
    Cox (1987), "A constructive procedure for unbiased controlled rounding", JASA
    82(398): that such a rounding exists. Here it is made in one sweep, because all
    batches but the last have the same shares; the sweep is the wrap-around rule of
    McNaughton (1959), "Scheduling with deadlines and loss functions", theorem 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.data import StratifiedBatchSampler
    >>> y = np.array([0] * 8 + [1] * 4)
    >>> batches = StratifiedBatchSampler(y, batch_size=3, random_state=0)
    >>> [int(y[rows].sum()) for rows in batches]
    [1, 1, 1, 1]
    """

    def __init__(
        self,
        labels: ArrayLike,
        batch_size: int,
        *,
        shuffle: bool = True,
        drop_last: bool = False,
        random_state: int | None = None,
    ) -> None:
        super().__init__(random_state)
        owner = type(self).__name__
        check_integer(owner, "batch_size", batch_size, 1)
        check_boolean(owner, "shuffle", shuffle)
        check_boolean(owner, "drop_last", drop_last)
        array = np.asarray(labels)
        if array.ndim != 1:
            raise ShapeError(
                f"{owner} needs one label per row, of shape (n_samples,). Got shape "
                f"{array.shape}."
            )
        _, self.codes = np.unique(array, return_inverse=True)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self._classes = _classes_in_order(np.bincount(self.codes), batch_size)

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        full, rest = divmod(len(self.codes), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        """Yield the row numbers of each batch of the next epoch."""
        rng, n_rows = self.begin(), len(self.codes)
        rows = rng.permutation(n_rows) if self.shuffle else np.arange(n_rows)
        by_class = rows[np.argsort(self.codes[rows], kind="stable")]
        order = np.empty(n_rows, dtype=np.int64)
        order[np.argsort(self._classes, kind="stable")] = by_class
        n_full = n_rows // self.batch_size
        numbers = rng.permutation(n_full) if self.shuffle else np.arange(n_full)
        starts = self.batch_size * np.append(numbers, np.arange(n_full, len(self)))
        return (order[i : i + self.batch_size] for i in starts)


def _classes_in_order(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Return the class of each place of an epoch, batch by batch."""
    n_rows, n_classes = int(counts.sum()), len(counts)
    n_full, rest = divmod(n_rows, size)
    sizes = np.full((n_full + 1, 1), size)
    sizes[-1] = rest
    shares = sizes * counts // max(1, n_rows)
    # The last batch rounds up where most is missing. What the classes lack then is
    # dealt out to the full batches, one after the other: no class lacks more rows than
    # there are full batches, so none gets two in one.
    missing = rest * counts % max(1, n_rows)
    up = np.argsort(-missing, kind="stable")[: rest - shares[-1].sum()]
    shares[-1, up] += 1
    lacking = np.repeat(np.arange(n_classes), counts - shares.sum(axis=0))
    if n_full:
        np.add.at(shares, (np.arange(len(lacking)) % n_full, lacking), 1)
    return np.repeat(np.tile(np.arange(n_classes), n_full + 1), shares.ravel())
