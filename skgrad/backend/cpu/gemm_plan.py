"""How a matrix product is computed: for which processor, in which orientation.

Sizes and strides are known before anything runs, so the choice is made here, once, and
handed to the kernel as a table of numbers.
"""

from __future__ import annotations

import platform
from dataclasses import astuple, dataclass, replace
from functools import cache

import llvmlite.binding as llvm
import numpy as np

__all__ = [
    "DOT_COLUMNS",
    "Machine",
    "Plan",
    "check_dtype",
    "checked",
    "host",
]

DOT_COLUMNS = 3  # columns of a tile of dot products
CHUNK = 2**19  # bytes of rows that every panel reads again: half of an L2 of 1 MiB


@dataclass(frozen=True)
class Machine:
    """What the code depends on apart from the dtype.

    Parameters
    ----------
    vector_bytes : int
        Size of a vector register.
    panel : int
        Vectors in the widest panel.
    accumulators : int
        How many registers hold results; the others hold factors.
    masks : bool
        Whether a masked load is one instruction.
    free_masks : bool
        Whether masks cost neither time nor a register of the others. If not, a mask in
        each step puts one result of a full tile out of its register, which halves the
        rate, and a masked store takes 12 cycles on AMD's processors.
    depth : int
        Inner steps at a time.
    """

    vector_bytes: int
    panel: int
    accumulators: int
    masks: bool
    free_masks: bool = False
    depth: int = 128

    def lanes(self, dtype: str) -> int:
        """Return the numbers in a vector."""
        return self.vector_bytes // np.dtype(dtype).itemsize

    def rows(self, vectors: int) -> int:
        """Return the rows of a tile so wide, at most 8."""
        return min(8, self.accumulators // vectors)


# 8 rows of 3 vectors fill 24 of 32 registers, 6 rows of 2 vectors 12 of 16. A panel of
# 512 steps by 3 vectors of 64 bytes is within the 1 MiB L2 of processors with AVX-512;
# 128 steps of two factors, two cache lines each, are just within an L1 of 32 KiB.
AVX512 = Machine(64, 3, 24, masks=True, free_masks=True, depth=512)
AVX2 = Machine(32, 2, 12, masks=True)
NEON = Machine(16, 3, 24, masks=False)
SSE = Machine(16, 2, 12, masks=False)


@cache
def host() -> Machine:
    """Return the processor this process runs on."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return AVX512
    if features.get("avx2"):
        return AVX2
    return NEON if platform.machine().lower() in ("arm64", "aarch64") else SSE


@dataclass(frozen=True)
class Plan:
    """A product as the kernel computes it: the table it reads, in this order."""

    rows: int
    columns: int
    depth: int
    s_row: int  # strides of the factor read by broadcast
    s_depth: int
    v_depth: int  # strides of the factor read by vectors
    v_column: int
    c_row: int
    c_column: int
    swapped: bool = False  # whether this is the transpose of what was asked for
    dots: bool = False  # whether vectors lie along the inner extent
    chunk: int = 1  # rows taken through all panels before the next

    def table(self) -> tuple[int, ...]:
        """Return the numbers as the kernel reads them."""
        return tuple(int(x) for x in astuple(self))

    def transposed(self) -> Plan:
        """Return the plan of the transposed product."""
        return Plan(
            rows=self.columns,
            columns=self.rows,
            depth=self.depth,
            s_row=self.v_column,
            s_depth=self.v_depth,
            v_depth=self.s_depth,
            v_column=self.s_row,
            c_row=self.c_column,
            c_column=self.c_row,
            swapped=not self.swapped,
        )

    def chunked(self, dtype: str, machine: Machine) -> Plan:
        """Return the plan with so many rows at a time that they stay in the cache."""
        chunk = max(self.rows, 1)
        wide = DOT_COLUMNS if self.dots else machine.panel * machine.lanes(dtype)
        again = self.columns > wide
        if again and self.s_depth == 1:
            row = max(self.depth, 1) * np.dtype(dtype).itemsize
            # Packed panels are packed again for each chunk: 64 rows make up for it.
            chunk = min(chunk, max(CHUNK // row // 8 * 8, 64))
        return replace(self, chunk=chunk)

    def packs(self, machine: Machine, lanes: int) -> bool:
        """Return whether panels go through the workspace."""
        whole = machine.masks or self.columns >= lanes
        return not (self.dots or (self.v_column == 1 and whole))

    def cost(self, machine: Machine, lanes: int) -> int:
        """Count vector instructions, four points each."""
        if self.dots:
            # To add up the lanes of a vector takes about as long as three more.
            each = 4 * -(-self.depth // lanes) + 12
            return 4 * -(-self.rows // 4) * self.columns * each
        cost = 4 * self.rows * -(-self.columns // lanes) * self.depth
        # A transposition takes about one instruction for two numbers.
        moved = self.depth if self.packs(machine, lanes) else 0
        moved += self.rows if self.c_column != 1 else 0
        return cost + 2 * moved * self.columns


def planned(
    machine: Machine,
    dtype: str,
    extents: tuple[int, int, int],
    a: tuple[int, int],
    b: tuple[int, int],
    ldc: int,
) -> Plan:
    """Return the cheapest way, factors given by their two strides."""
    plan = Plan(*extents, *a, *b, ldc, 1)
    lanes = machine.lanes(dtype)
    plans = [plan, plan.transposed()]
    if plan.s_depth == plan.v_depth == 1 and lanes >= 4:
        plans += [replace(p, dots=True) for p in plans]
    best = min(plans, key=lambda p: p.cost(machine, lanes))
    return best.chunked(dtype, machine)


def check_dtype(dtype: str) -> None:
    """Refuse what there are no products of."""
    if dtype not in ("float32", "float64"):
        raise ValueError(f"A product is of float32 or float64 numbers. Got {dtype!r}.")


def checked(
    dtype: str,
    extents: tuple[int, int, int],
    transposed: tuple[bool, bool],
    strides: tuple[int | None, int | None, int | None],
) -> Plan:
    """Check what a caller says of a product and plan it."""
    check_dtype(dtype)
    m, n, k = extents
    if min(extents) < 0:
        raise ValueError(f"Extents must not be negative. Got m={m}, n={n}, k={k}.")
    widths = (m if transposed[0] else k, k if transposed[1] else n, n)
    apart = []
    for name, width, stride in zip("abc", widths, strides, strict=True):
        if stride is not None and stride < width:
            raise ValueError(
                f"ld{name} must be at least the length of a stored row, {width}, "
                f"else rows overlap. Got {stride}."
            )
        apart.append(width if stride is None else stride)
    a, b = ((1, x) if t else (x, 1) for x, t in zip(apart, transposed, strict=False))
    return planned(host(), dtype, extents, a, b, apart[2])
