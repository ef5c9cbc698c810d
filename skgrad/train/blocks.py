"""Sums over all rows, block by block, and how large blocks are on a GPU."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

from skgrad.core.random import RandomScope, entered
from skgrad.core.tree import tree_leaves
from skgrad.exceptions import TraceError
from skgrad.executor import Traced, trace
from skgrad.ops import SparseRows
from skgrad.train.data import Data
from skgrad.train.objective import batch_of
from skgrad.typing import Array, Shape, Tree

__all__ = ["Blocks", "for_device"]

# On a GPU a block is to take longer than its launches do: rows of so many bytes, unless
# what is computed from them takes more.
GPU_BLOCK_BYTES, GPU_SCRATCH_BYTES = 2**29, 2**30
# Rows that tell how much that is.
PROBE_ROWS = 256


class Blocks:
    """Blocks of rows, over which functions of a batch are added up.

    Parameters
    ----------
    blocks : callable
        ``blocks() -> iterator of Data``: all rows, once.
    lasting : bool, default=True
        Whether they are the same arrays each time: they are then taken once, blocks of
        one shape together, and stay on the GPU that computes.
    """

    def __init__(
        self, blocks: Callable[[], Iterator[Data]], lasting: bool = True
    ) -> None:
        self.blocks = blocks
        self.lasting = lasting
        self._groups: list[tuple[Data, list[list[Array]]]] = []
        self._programs: dict[tuple[Traced, Shape], Any] = {}

    def on(self, blocks: Callable[[], Iterator[Data]]) -> Blocks:
        """Return other blocks, with the same programs for those of a known shape."""
        other = copy.copy(self)
        other.blocks, other._groups = blocks, []
        return other

    def groups(self) -> Iterable[tuple[Data, list[list[Array]]]]:
        """Return the blocks of one shape together, after the first of them."""
        if not self.lasting:
            return ((block, [_leaves(block)]) for block in self.blocks())
        if not self._groups:
            for _, group in groupby(self.blocks(), key=lambda block: block.X.shape):
                first, *rest = group
                self._groups.append((first, list(map(_leaves, (first, *rest)))))
        return self._groups

    def sums(self, function: Traced, before: tuple[Tree, ...]) -> list[Array]:
        """Return what a function of some arguments and a batch adds up to."""
        leaves = tree_leaves(before)
        sums = [
            self.program(function, first, before).sums(leaves, blocks)
            for first, blocks in self.groups()
        ]
        return sums[0] if len(sums) == 1 else list(map(sum, zip(*sums, strict=True)))

    def program(
        self, function: Traced, first: Data, before: tuple[Tree, ...] | None = None
    ) -> Any:
        """Return the program for blocks of a shape; None if there is none yet."""
        key = function, first.X.shape
        if key not in self._programs and before is not None:
            self._programs[key] = function.program(*before, batch_of(first))
        return self._programs.get(key)

    @property
    def executor(self) -> str:
        """What runs the programs."""
        names = [p.executor for p in self._programs.values()]
        return names[0] if names else "reference"


def _leaves(block: Data) -> list[Array]:
    leaves: list[Array] = tree_leaves(batch_of(block))
    return leaves


def for_device(
    data: Any, device: str, function: Callable[..., Tree], before: tuple[Tree, ...]
) -> Any:
    """Return data in blocks of a size for a device, the same size on all GPUs.

    Parameters
    ----------
    data : Data or Queries or ...
        Only dense arrays of rows whose blocks have no size yet are changed.
    device : str
        As the executor calls it.
    function : callable
        What is to be summed over them, of the arguments `before` and a batch.
    before : tuple of tree
        Arguments.

    Returns
    -------
    Data or Queries or ...
        The same rows, ``block_bytes`` set. What cannot be traced is not changed.
    """
    ours = isinstance(data, Data) and data.block_bytes is None
    if device == "cpu" or not ours or isinstance(data.X, SparseRows):
        return data
    rows = data.rows(slice(0, PROBE_ROWS))
    try:
        with entered(RandomScope(0)):
            probe = trace(function, *before, batch_of(rows)).on(device)
    except TraceError:
        return data
    row_bytes = data.X[:1].nbytes
    scratch = max(1, probe.scratch_bytes / len(rows))
    most = GPU_SCRATCH_BYTES / scratch * row_bytes
    return replace(data, block_bytes=int(min(GPU_BLOCK_BYTES, most)))
