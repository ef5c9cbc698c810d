"""What instructions that are not kernels are made of: text and launches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from skgrad.backend.cuda.launch import Launch, blocks
from skgrad.backend.cuda.printer import STORED

__all__ = ["STATUS", "Routine", "each", "elementwise", "outside", "read", "write"]

STATUS = "long long *status"
"""The declaration of the status: of one value only, threads may write it at once."""


@dataclass(frozen=True)
class Routine:
    """An instruction: its source, and how it is launched.

    Parameters
    ----------
    source : callable
        ``source(name, *dtypes)``: its functions, whose names begin with ``name``.
    launches : callable
        ``launches(*sizes)``: a list of Launch, in order.
    workspace : callable
        ``workspace(*sizes)``: bytes it needs beside its operands.
    """

    source: Callable[..., str]
    launches: Callable[..., list[Launch]]
    workspace: Callable[..., int] = lambda *sizes: 0


def read(name: str, dtype: str) -> str:
    """Return the declaration of an operand that is read.

    Examples
    --------
    >>> from skgrad.backend.cuda.routine import read
    >>> read("x", "float32")
    'const float *__restrict__ x'
    """
    return f"const {STORED[dtype]} *__restrict__ {name}"


def write(name: str, dtype: str) -> str:
    """Return the declaration of an operand that is written.

    Examples
    --------
    >>> from skgrad.backend.cuda.routine import write
    >>> write("out", "float32")
    'float *__restrict__ out'
    """
    return f"{STORED[dtype]} *__restrict__ {name}"


def outside(place: str, extent: str) -> str:
    """Return whether a place is not one from 0 on below an extent.

    Examples
    --------
    >>> from skgrad.backend.cuda.routine import outside
    >>> outside("row", "n")
    '(unsigned long long)row >= (unsigned long long)n'
    """
    return f"(unsigned long long){place} >= (unsigned long long){extent}"


def each(count: str, body: str) -> str:
    """Return a loop over elements ``e`` that the threads of the grid share out."""
    return f"""
    const long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const long long n_threads = (long long)gridDim.x * blockDim.x;
    for (long long e = thread; e < {count}; e += n_threads) {{
        {body}
    }}
"""


def elementwise(*sizes_of: Callable[..., int]) -> Callable[..., list[Launch]]:
    """Return the launches of functions that share out elements, one after another."""

    def launches(*sizes: int) -> list[Launch]:
        counts = [count(*sizes) for count in sizes_of]
        return [Launch(f"_{i}", (blocks(n), 1)) for i, n in enumerate(counts) if n > 0]

    return launches
