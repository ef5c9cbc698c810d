"""How kernels are launched: a function of what they compute and of sizes alone.

The order in which a reduction adds follows from the launch, so nothing here asks which
device there is: results are the same on all, and from run to run.

A kernel of the CPU is one nest of loops that stores some values and reduces others. On
a device, each reduction over a set of loops is a pass of its own: a launch whose
blocks own some kept elements each, and a second one that combines the blocks' parts
where there are several to an element.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skgrad.backend.base import KernelSpec, Output

__all__ = [
    "SIDE_BY_SIDE",
    "THREADS",
    "Launch",
    "Pass",
    "blocks",
    "kernel_launches",
    "kernel_workspace",
    "lanes",
    "passes",
]

THREADS = 256  # of a block, always: a power of two, as the trees of reductions need
_WARP = 32
_SECTOR = 8  # neighbours that read at least 32 bytes in a row, what memory hands out
_ONE_WAVE = 1024  # blocks that fill most devices; beyond, threads take some elements
_MOST_BLOCKS = 4096  # some waves of any device; the loops of a kernel do the rest
SIDE_BY_SIDE = 4  # elements a thread computes side by side
_SPLIT_BLOCKS = 1024  # blocks a reduction is split into to occupy a device
_MOST_SPLITS = 512  # so that one block combines them at once
_TURNS = 8  # elements a thread adds before the threads of a block meet


@dataclass(frozen=True)
class Launch:
    """One launch of a function.

    Parameters
    ----------
    function : str
        What its name has after the module's: ``"_0"`` of ``kernel_0``.
    grid : tuple of two int
        Blocks, of ``THREADS`` threads.
    sizes : tuple of int, default=()
        Arguments after the sizes of the kernel.

    Examples
    --------
    >>> from skgrad.backend.cuda.launch import Launch
    >>> Launch("_0", (4, 1), (32, 1)).grid
    (4, 1)
    """

    function: str
    grid: tuple[int, int]
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Pass:
    """Outputs that are computed together.

    Parameters
    ----------
    depth : int
        How many loops, from the outermost, its elements are inside of.
    over : tuple of int
        The loops reduced over; with none it stores only.
    reduced, stored : tuple of Output
        What it reduces and what it stores at each element.

    Examples
    --------
    >>> from skgrad.backend.base import Output
    >>> from skgrad.backend.cuda.launch import Pass
    >>> Pass(2, (1,), (Output(0, 1, "sum", (1,)),), ()).kept
    (0,)
    """

    depth: int
    over: tuple[int, ...]
    reduced: tuple[Output, ...]
    stored: tuple[Output, ...]

    @property
    def kept(self) -> tuple[int, ...]:
        """The other loops."""
        return tuple(k for k in range(self.depth) if k not in self.over)

    @property
    def along_reduced(self) -> bool:
        """Whether neighbouring threads take elements that are reduced to one."""
        return self.depth - 1 in self.over


def passes(spec: KernelSpec) -> tuple[Pass, ...]:
    """Return the passes of a kernel, in order.

    What is stored in place is stored last, the deepest first: nothing reads an element
    after it was overwritten.

    Parameters
    ----------
    spec : KernelSpec
        What it computes.

    Returns
    -------
    tuple of Pass
        One per set of loops that is reduced over, one per depth of what is stored; a
        pass that visits each element once anyway stores on the way.

    Examples
    --------
    >>> from skgrad.backend.base import KernelSpec, Operand, Output
    >>> from skgrad.backend.cuda.launch import passes
    >>> operands = Operand("float32", "s1"), Operand("float32", "10")
    >>> spec = KernelSpec(2, operands, 1, (), (Output(0, 1, "sum", (1,)),))
    >>> [p.over for p in passes(spec)]
    [(1,)]
    """
    reductions: dict[tuple[int, tuple[int, ...]], list[Output]] = {}
    stores: dict[int, list[Output]] = {}
    for output in spec.outputs:
        depth = spec.depth(output)
        if output.over:
            reductions.setdefault((depth, output.over), []).append(output)
        else:
            stores.setdefault(depth, []).append(output)
    made = []
    for number, ((depth, over), outputs) in enumerate(sorted(reductions.items()), 1):
        last = number == len(reductions)
        visits_all = last and depth == max(stores, default=0)
        stored = stores.pop(depth) if visits_all else []
        made.append(Pass(depth, over, tuple(outputs), tuple(stored)))
    deepest_first = sorted(stores.items(), reverse=True)
    return (*made, *(Pass(depth, (), (), tuple(o)) for depth, o in deepest_first))


# --- shapes -----------------------------------------------------------------------


def blocks(n: int) -> int:
    """Return how many blocks take n elements, at least one of them per thread."""
    full = min(-(-n // (THREADS * SIDE_BY_SIDE)), _MOST_BLOCKS)
    return max(full, min(-(-n // THREADS), _ONE_WAVE))


def _power(n: int) -> int:
    """Return the smallest power of two not below n, within a block."""
    return min(THREADS, 1 << max(0, n - 1).bit_length())


def lanes(n_kept: int, n_reduced: int, along_reduced: bool) -> int:
    """Return how many elements a block reduces to at once, several threads to each.

    Neighbouring threads read neighbouring elements, at least those that memory hands
    out together, or a warp of elements that are kept; beyond that, a thread has some
    elements of its own to reduce.
    """
    if along_reduced:
        least = min(_SECTOR, _power(n_reduced))
        return THREADS // max(least, _power(-(-n_reduced // _TURNS)))
    side_by_side = min(_WARP, _power(n_kept))
    return THREADS // min(THREADS // side_by_side, _power(n_reduced))


@dataclass(frozen=True)
class _Shape:
    """How a reduction is laid out."""

    n_kept: int
    lanes: int
    splits: int

    @property
    def blocks(self) -> int:
        return min(-(-self.n_kept // self.lanes), _MOST_BLOCKS)


def _shape(one: Pass, extents: Sequence[int]) -> _Shape:
    n_kept = math.prod(extents[k] for k in one.kept)
    n_reduced = math.prod(extents[k] for k in one.over)
    width = lanes(n_kept, n_reduced, one.along_reduced)
    wanted = -(-n_reduced // (THREADS // width * _TURNS))
    room = _SPLIT_BLOCKS // max(1, -(-n_kept // width))
    return _Shape(n_kept, width, max(1, min(wanted, room, _MOST_SPLITS)))


def kernel_launches(spec: KernelSpec, extents: Sequence[int]) -> list[Launch]:
    """Return the launches of a kernel.

    Parameters
    ----------
    spec : KernelSpec
        What it computes.
    extents : sequence of int
        Of its loops.

    Returns
    -------
    list of Launch
        In order; none where there is nothing to write.

    Examples
    --------
    >>> from skgrad.backend.base import KernelSpec, Operand, Output
    >>> from skgrad.backend.cuda.launch import kernel_launches
    >>> vector = Operand("float64", "1")
    >>> spec = KernelSpec(1, (vector, vector), 1, (), (Output(0, 1),))
    >>> kernel_launches(spec, (1000,))[0].grid
    (4, 1)
    """
    made = []
    for number, one in enumerate(passes(spec)):
        if not one.over:
            n = math.prod(extents[: one.depth])
            made += [Launch(f"_{number}", (blocks(n), 1), (1, 1))] if n else []
            continue
        shape = _shape(one, extents)
        if shape.n_kept == 0:
            continue
        grid, sizes = (shape.blocks, shape.splits), (shape.lanes, shape.splits)
        made.append(Launch(f"_{number}", grid, sizes))
        if shape.splits > 1:
            width = lanes(shape.n_kept, shape.splits, along_reduced=False)
            combined = _Shape(shape.n_kept, width, 1)
            sizes = (width, shape.splits)
            made.append(Launch(f"_{number}_combine", (combined.blocks, 1), sizes))
    return made


def kernel_workspace(spec: KernelSpec, extents: Sequence[int]) -> int:
    """Return how many bytes the launches of a kernel need beside its operands.

    Parameters
    ----------
    spec : KernelSpec
        What it computes.
    extents : sequence of int
        Of its loops.

    Returns
    -------
    int
        Bytes, aligned to 16; kernels that run one after the other may share them.

    Examples
    --------
    >>> from skgrad.backend.base import KernelSpec, Operand, Output
    >>> from skgrad.backend.cuda.launch import kernel_workspace
    >>> operands = Operand("float32", "1"), Operand("float32", "0")
    >>> spec = KernelSpec(1, operands, 1, (), (Output(0, 1, "sum", (0,)),))
    >>> kernel_workspace(spec, (100,)), kernel_workspace(spec, (100_000,))
    (0, 256)
    """
    most = 0
    for one in passes(spec):
        shape = _shape(one, extents)
        if shape.splits > 1 and one.over:
            operands = (spec.operands[output.operand] for output in one.reduced)
            itemsize = sum(np.dtype(operand.dtype).itemsize for operand in operands)
            most = max(most, -(-shape.n_kept * shape.splits // 16) * 16 * itemsize)
    return most
