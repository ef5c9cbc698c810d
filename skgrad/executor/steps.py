"""Running a program many times over, its first results fed back as first arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from skgrad.executor.held import Carried
from skgrad.typing import Array

__all__ = ["Rows", "Same", "StepInput", "Table", "repeated", "summed"]


@dataclass(frozen=True)
class Rows:
    """An input that is some rows of an array: ``source[rows[t]]`` at step t.

    Parameters
    ----------
    source : array of shape (n_rows, ...)
        What is gathered from; may be memory-mapped.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.executor import Rows
    >>> Rows(np.arange(6.0)).at(0, np.array([[4, 0], [1, 2]]))
    array([4., 0.])
    """

    source: Array

    def at(self, step: int, rows: Array) -> Array:
        """Return the input of a step."""
        return self.source[rows[step]]


@dataclass(frozen=True)
class Table:
    """An input with a value of its own at each step: ``values[t]``.

    Parameters
    ----------
    values : array of shape (n_steps, ...)
        The values.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.executor import Table
    >>> Table(np.array([0.1, 0.2])).at(1, np.zeros((2, 1), dtype=int))
    array(0.2)
    """

    values: Array

    def at(self, step: int, rows: Array) -> Array:
        """Return the input of a step."""
        return np.asarray(self.values[step])


@dataclass(frozen=True)
class Same:
    """An input that is the same at each step.

    Parameters
    ----------
    value : array
        The value.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.executor import Same
    >>> Same(np.array([0.1, 0.2])).at(1, np.zeros((2, 1), dtype=int))
    array([0.1, 0.2])
    """

    value: Array

    def at(self, step: int, rows: Array) -> Array:
        """Return the input of a step."""
        return self.value


StepInput: TypeAlias = Rows | Table | Same


def repeated(
    run: Callable[[Sequence[Any]], list[Array]],
    carry: Sequence[Carried],
    fixed: Sequence[Array],
    varying: Sequence[StepInput],
    rows: Array,
) -> tuple[list[Carried], list[Array]]:
    """Run a function of arrays once per step, in Python.

    Parameters
    ----------
    run : callable
        Takes ``[*carry, *fixed, *varying]``; returns the new carry, then the rest.
    carry, fixed : sequence of array
        What is replaced by the first outputs, and what stays.
    varying : sequence of Rows, Table or Same
        What differs from step to step.
    rows : array of int64 of shape (n_steps, n_rows)
        For the inputs that are :class:`Rows`.

    Returns
    -------
    carry : list of array
        After the last step.
    rest : list of array
        The other outputs, with a leading axis of steps.
    """
    state: list[Carried] = list(map(np.asarray, carry))
    rest: list[Array] = []
    for t in range(len(rows)):
        out = run([*state, *fixed, *(v.at(t, rows) for v in varying)])
        state[:], results = out[: len(carry)], out[len(carry) :]
        rest = rest or [np.empty((len(rows), *r.shape), dtype=r.dtype) for r in results]
        for table, result in zip(rest, results, strict=True):
            table[t] = result
    return state, rest


def summed(
    run: Callable[[Sequence[Array]], list[Array]],
    fixed: Sequence[Array],
    blocks: Iterable[Sequence[Array]],
) -> list[Array]:
    """Add up what a function returns for each block of rows, in Python.

    Parameters
    ----------
    run : callable
        Takes ``[*fixed, *block]``.
    fixed : sequence of array
        What all blocks share.
    blocks : iterable of sequence of array
        At least one.

    Returns
    -------
    list of array
        The sums, in the order of the blocks.
    """
    totals: list[Array] = []
    for block in blocks:
        out = run([*fixed, *block])
        totals = [t + o for t, o in zip(totals, out, strict=True)] if totals else out
    return totals
