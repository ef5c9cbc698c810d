"""Pivots of the vertex method for tilted absolute residuals, many in one call.

What a pivot does is written in NumPy in :mod:`skgrad.solvers.vertex`; this is the same
without NumPy's calls, which take ten times as long as the arithmetic of some hundred
rows. The code itself is in ``pivots_code``, imported only where it is compiled.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import cache
from typing import NamedTuple

import numpy as np

from skgrad.typing import Array

__all__ = ["ARRAYS", "BLOCK", "COUNTS", "NUMBERS", "SCRATCH", "Done", "End", "run"]

# The tables that the code reads, in this order. A programme has m rows of q numbers.
ARRAYS = (
    "A",  # (m, q)
    "up",  # (m,), and so on to `away`
    "down",
    "width",
    "slack",
    "side",
    "away",
    "edges",  # (q, q)
    "pull",  # (q,), and so on to the end
    "noise",
    "basic_dual",
    "basis",
)
SCRATCH = ("nears", "times", "minima", "passed", "weights", "column")
COUNTS = ("end", "n_pivots", "most", "stalled", "stall", "k", "entering", "n_passed")
NUMBERS = ("tiny", "share", "no_length", "excess", "time")
BLOCK = 64  # breakpoints of which the nearest one is known


class End(IntEnum):
    """Why pivots end."""

    NO_ROW = 1
    """No row of the basis leaves it downhill."""
    NO_EDGE_END = 2
    """A row leaves, and its edge has no end."""
    STALLED = 3
    """Too many steps in a row have no length."""
    ENOUGH = 4
    """As many pivots are done as were asked for."""


class Done(NamedTuple):
    """What pivots came to.

    Parameters
    ----------
    end : End
        Why they end.
    n_pivots : int
        How many there were.
    stalled : int
        How many of the last steps had no length, those before the first included.
    """

    end: End
    n_pivots: int
    stalled: int


@cache
def _code() -> Callable[[int, int, int], None]:
    from skgrad.backend.cpu import cache as kernels  # noqa: PLC0415 - heavy

    def source() -> str:
        from skgrad.backend.cpu import pivots_code  # noqa: PLC0415 - see the module

        return pivots_code.source()

    types = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    return ctypes.CFUNCTYPE(None, *types)(kernels.function("pivots", source))


def run(
    arrays: Mapping[str, Array],
    most: int,
    stalled: int,
    stall: int,
    limits: tuple[float, float, float],
) -> Done:
    """Pivot until there is a reason to end; the lock of the interpreter is released.

    Parameters
    ----------
    arrays : mapping of array
        Those of :data:`ARRAYS`, by name: in C order, of float64, the basis of int64.
        Nothing is checked. From ``side`` on they are updated, but for ``noise``.
    most : int
        How many pivots, at least 1.
    stalled, stall : int
        How many of the last steps had no length, and how many may be in a row.
    limits : tuple of float
        What is next to nothing beside the largest change of a residual, the part of a
        descent that gains must use up, and the longest step that has no length.

    Returns
    -------
    Done
        Why pivots end, and their number.

    Examples
    --------
    The median of three numbers, from the largest to the one in the middle:

    >>> import numpy as np
    >>> from skgrad.backend.cpu import pivots
    >>> ones, zero = np.ones(3), np.zeros(1)
    >>> arrays = dict(A=ones[:, None], up=ones, down=ones, width=2 * ones)
    >>> arrays |= dict(slack=0 * ones, side=np.array([-1.0, -1.0, 0.0]))
    >>> arrays |= dict(away=np.array([5.0, 4.0, 0.0]))
    >>> arrays |= dict(edges=np.ones((1, 1)), pull=np.array([-2.0]), noise=zero)
    >>> arrays |= dict(basic_dual=zero.copy(), basis=np.array([2]))
    >>> done = pivots.run(arrays, 64, 0, 30, (1e-11, 1.0, 0.0))
    >>> done.end.name, done.n_pivots, arrays["basis"]
    ('NO_ROW', 1, array([1]))
    """
    m, q = arrays["A"].shape
    n_blocks = -(-m // BLOCK)
    scratch = {
        "nears": np.empty(m),
        "times": np.full(n_blocks * BLOCK, np.inf),
        "minima": np.empty(n_blocks),
        "passed": np.empty(m, dtype=np.int64),
        "weights": np.empty(q),
        "column": np.empty(q),
    }
    counts = np.array([0, 0, most, stalled, stall, 0, 0, 0])
    numbers = np.array([*limits, 0.0, 0.0])
    table = [arrays[name] for name in ARRAYS] + [scratch[name] for name in SCRATCH]
    table += [counts, numbers]
    pointers = np.array([x.ctypes.data for x in table])
    sizes = np.array([m, q, n_blocks])
    _code()(pointers.ctypes.data, sizes.ctypes.data, 0)
    end, n_pivots, _, after = counts[:4].tolist()
    return Done(End(end), n_pivots, after)
