"""Where random numbers come from: scopes with a seed, never a global state.

A scope owns one host generator per stream (initialisation, splits, shuffles) and the
key of the counter-based bits drawn inside a computation (dropout masks). Each stream
is a Philox generator keyed by (seed, stream), so drawing from one never moves another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from skgrad.core.value import Value, constant
from skgrad.exceptions import ParameterError

__all__ = ["RandomScope", "current_scope", "entered", "generator", "random_seed"]

STREAMS = {"init": 0, "split": 1, "shuffle": 2, "mask": 3}


def host_generator(seed: int, stream: str, index: int = 0) -> np.random.Generator:
    """Return the host generator of one stream of a seed.

    Parameters
    ----------
    seed : int
        A seed in [0, 2³²).
    stream : {"init", "split", "shuffle", "mask"}
        Which stream.
    index : int, default=0
        Which part of the stream, for example an epoch: parts do not overlap, and each
        is had without drawing those before it.

    Returns
    -------
    numpy.random.Generator
        A Philox generator with key (seed, stream).

    Examples
    --------
    >>> from skgrad.core.random import host_generator
    >>> a, b = host_generator(0, "init"), host_generator(0, "init")
    >>> a.random() == b.random()
    True
    """
    key = np.array([seed, STREAMS[stream]], dtype=np.uint64)
    counter = np.array([0, 0, 0, index], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(counter=counter, key=key))


class RandomScope:
    """The streams of one seed.

    Parameters
    ----------
    seed : int
        A seed in [0, 2³²).
    key : Value, optional
        uint32 tensor of shape (2,): the key of the masks; by default (seed, 3).
    step : Value, optional
        int64 tensor of shape (): the step, one word of the counter; by default 0.
    rows : Value, optional
        uint32 tensor of shape (n_rows,): what identifies each row of the batch. Masks
        of arrays with that leading extent depend on it instead of the row's position.
    """

    def __init__(
        self,
        seed: int,
        key: Value | None = None,
        step: Value | None = None,
        rows: Value | None = None,
    ) -> None:
        self.seed = seed
        own_key = np.array([seed, STREAMS["mask"]], dtype=np.uint32)
        first = np.array(0, dtype=np.int64)
        self.key: Value = constant(own_key) if key is None else key
        self.step: Value = constant(first) if step is None else step
        self.rows = rows
        self.n_draws = 0
        self._generators: dict[str, np.random.Generator] = {}

    def generator(self, stream: str) -> np.random.Generator:
        """Return the scope's host generator of a stream; its state advances."""
        if stream not in self._generators:
            self._generators[stream] = host_generator(self.seed, stream)
        return self._generators[stream]

    def next_draw(self) -> int:
        """Return the number of the next draw of masks."""
        self.n_draws += 1
        return self.n_draws - 1


_scope: ContextVar[RandomScope | None] = ContextVar("random_scope", default=None)
_process_scope: RandomScope | None = None


def current_scope() -> RandomScope:
    """Return the innermost scope; outside any, one seeded from the OS, per process."""
    global _process_scope  # noqa: PLW0603 - made at first use, so import draws nothing
    scope = _scope.get()
    if scope is not None:
        return scope
    if _process_scope is None:
        _process_scope = RandomScope(int(np.random.SeedSequence().generate_state(1)[0]))
    return _process_scope


def generator(stream: str) -> np.random.Generator:
    """Return the current scope's host generator of a stream.

    Parameters
    ----------
    stream : {"init", "split", "shuffle", "mask"}
        Which stream.

    Returns
    -------
    numpy.random.Generator
        Its state advances with each draw.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.core.random import generator
    >>> with skgrad.random_seed(0):
    ...     a = generator("init").random()
    >>> with skgrad.random_seed(0):
    ...     b = generator("init").random()
    >>> a == b
    True
    """
    return current_scope().generator(stream)


@contextmanager
def entered(scope: RandomScope) -> Iterator[RandomScope]:
    """Make ``scope`` the current one inside the block."""
    token = _scope.set(scope)
    try:
        yield scope
    finally:
        _scope.reset(token)


def random_seed(seed: int) -> Any:
    """Return a context manager inside which all random draws follow from ``seed``.

    Weights initialised and dropout masks drawn inside the block are reproducible.
    NumPy's global random state is neither used nor changed.

    Parameters
    ----------
    seed : int
        A seed in [0, 2³²).

    Returns
    -------
    context manager
        Use as ``with skgrad.random_seed(0): ...``; holds for the current thread or
        task, may be nested.

    Raises
    ------
    ParameterError
        If the seed is not an int in [0, 2³²).

    Examples
    --------
    >>> import skgrad
    >>> with skgrad.random_seed(0):
    ...     a = skgrad.nn.Linear(2, 1)
    >>> with skgrad.random_seed(0):
    ...     b = skgrad.nn.Linear(2, 1)
    >>> bool((a.weight.numpy() == b.weight.numpy()).all())
    True

    Weights and masks have a stream each: masks drawn first change no weight. Shuffles
    and splits have theirs, from the ``random_state`` of a loader or an estimator.

    >>> with skgrad.random_seed(0):
    ...     _ = skgrad.nn.Dropout(0.5)(skgrad.tensor([1.0, 2.0]))
    ...     c = skgrad.nn.Linear(2, 1)
    >>> bool((a.weight.numpy() == c.weight.numpy()).all())
    True
    """
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise ParameterError(
            "The 'seed' parameter of random_seed must be an int in [0, 2**32). "
            f"Got {seed!r} instead."
        )
    return entered(RandomScope(int(seed)))
