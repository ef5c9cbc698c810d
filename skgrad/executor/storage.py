"""Where arrays of a lowered program live: buffers, views of them, and one arena.

A buffer is an argument, a constant, a result or scratch memory. A view is what an
instruction reads or writes of it: an offset and a stride for each axis, in elements.
Reshapes, transposes, slices and broadcasts are views of what they are applied to and
cost nothing.

Scratch buffers share one arena. The plan walks the instructions once: a buffer's place
is free again after the last instruction that reads it, and given to the next buffer
that fits.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from skgrad.executor.fuse import squeezed
from skgrad.executor.graph import Equation, Variable
from skgrad.typing import Shape

__all__ = [
    "Buffer",
    "View",
    "contiguous_strides",
    "n_bytes",
    "place",
    "views_of",
    "whole",
]

Use: TypeAlias = tuple[Iterable["Buffer"], Iterable["Buffer"]]

# A cache line, and the widest vector of today's processors.
ALIGNMENT = 64


@dataclass(eq=False)
class Buffer:
    """Memory of one array.

    Parameters
    ----------
    n_bytes : int
        Its size.
    kind : {"input", "constant", "output", "scratch", "status"}
        What it is.
    number : int, default=0
        Which of its kind.
    """

    n_bytes: int
    kind: str
    number: int = 0
    parent: Buffer | None = None
    offset: int = 0

    @property
    def root(self) -> tuple[Buffer, int]:
        """The buffer this one is a part of, and where it begins there, in bytes."""
        if self.parent is None:
            return self, 0
        root, start = self.parent.root
        return root, start + self.offset


@dataclass(frozen=True)
class View:
    """Elements of a buffer.

    Parameters
    ----------
    buffer : Buffer
        Where they are.
    dtype : numpy.dtype
        Their type.
    shape : tuple of int
        Extents.
    strides : tuple of int
        Steps from one element to the next along each axis, in elements.
    offset : int, default=0
        Position of the first, in elements.
    """

    buffer: Buffer
    dtype: np.dtype[Any]
    shape: Shape
    strides: tuple[int, ...]
    offset: int = 0

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements follow each other in C order."""
        if 0 in self.shape:
            return True
        expected = contiguous_strides(self.shape)
        return all(
            n == 1 or s == e
            for n, s, e in zip(self.shape, self.strides, expected, strict=True)
        )

    @property
    def covers(self) -> bool:
        """Whether it is all of its buffer, in C order."""
        size = math.prod(self.shape) * self.dtype.itemsize
        return self.is_contiguous and self.offset == 0 and size == self.buffer.n_bytes


def contiguous_strides(shape: Shape) -> tuple[int, ...]:
    """Return the strides of an array in C order, in elements."""
    strides = [1]
    for n in shape[:0:-1]:
        strides.append(strides[-1] * n)
    return tuple(reversed(strides)) if shape else ()


def n_bytes(variable: Variable) -> int:
    """Return the size of a variable's array."""
    return int(math.prod(variable.shape)) * int(variable.dtype.itemsize)


def whole(buffer: Buffer, variable: Variable) -> View:
    """Return all of a buffer, in C order, as the array of a variable."""
    strides = contiguous_strides(variable.shape)
    return View(buffer, variable.dtype, variable.shape, strides)


def views_of(equation: Equation, view: View) -> list[View] | None:
    """Return what a view equation makes of a view; None if it must be copied.

    Parameters
    ----------
    equation : Equation
        Of a primitive that moves no element.
    view : View
        Its operand.

    Returns
    -------
    list of View or None
        One per output.
    """
    name, params = equation.primitive.name, equation.params
    shape = equation.outputs[0].shape
    if name == "alias":
        return [view]
    if name == "unpack":
        return _unpacked(view, params["shapes"])
    if name == "reshape":
        return _reshaped(view, shape)
    if name == "broadcast":
        lead = len(shape) - len(view.shape)
        pairs = zip(view.shape, shape[lead:], view.strides, strict=True)
        strides = tuple(0 if n != m else s for n, m, s in pairs)
        return [replace(view, shape=shape, strides=(0,) * lead + strides)]
    if name == "transpose":
        n_lead = len(shape) - len(params["axes"])
        order = [*range(n_lead), *(a % len(shape) for a in params["axes"])]
        return [
            replace(view, shape=shape, strides=tuple(view.strides[a] for a in order))
        ]
    if name == "windows":
        return _windowed(view, params["strides"], params["dilations"], shape)
    return _sliced(view, params["slices"], shape)


def _unpacked(view: View, shapes: Sequence[Shape]) -> list[View] | None:
    if not view.is_contiguous:
        return None
    views, start = [], view.offset
    for shape in shapes:
        strides = contiguous_strides(shape)
        views.append(View(view.buffer, view.dtype, shape, strides, start))
        start += math.prod(shape)
    return views


def _reshaped(view: View, shape: Shape) -> list[View] | None:
    if view.is_contiguous:
        return [replace(view, shape=shape, strides=contiguous_strides(shape))]
    if squeezed(view.shape) != squeezed(shape):
        return None
    pairs = zip(view.shape, view.strides, strict=True)
    moving = iter([s for n, s in pairs if n != 1])
    strides = tuple(next(moving) if n != 1 else 0 for n in shape)
    return [replace(view, shape=shape, strides=strides)]


def _sliced(view: View, slices: Sequence[Any], shape: Shape) -> list[View]:
    lead = len(shape) - len(slices)
    strides, offset = list(view.strides), view.offset
    for axis, part in enumerate(slices, start=lead):
        start, _, step = slice(*part).indices(view.shape[axis])
        offset += start * view.strides[axis]
        strides[axis] *= step
    if 0 in shape:  # nothing is read: the start may lie outside
        offset = view.offset
    return [replace(view, shape=shape, strides=tuple(strides), offset=offset)]


def _windowed(view: View, steps: Shape, gaps: Shape, shape: Shape) -> list[View]:
    lead = len(view.shape) - len(steps)
    own = view.strides[lead:]
    strides = (
        *view.strides[:lead],
        *(step * s for step, s in zip(steps, own, strict=True)),
        *(gap * s for gap, s in zip(gaps, own, strict=True)),
    )
    return [replace(view, shape=shape, strides=strides)]


class _Arena:
    """Free places of an arena: first the smallest that is large enough."""

    def __init__(self) -> None:
        self.size = 0
        self.free: list[tuple[int, int]] = []  # (size, start), sorted
        self.ends: dict[int, tuple[int, int]] = {}
        self.starts: dict[int, tuple[int, int]] = {}

    def take(self, size: int) -> int:
        k = bisect.bisect_left(self.free, (size, 0))
        if k == len(self.free):
            start = self.size
            tail = self.ends.get(self.size)
            if tail is not None:  # the last place is free but too small: let it grow
                self._forget(tail)
                start = tail[1]
            self.size = start + size
            return start
        found, start = self.free[k]
        self._forget((found, start))
        if found > size:
            self._remember((found - size, start + size))
        return start

    def give(self, size: int, start: int) -> None:
        left = self.ends.get(start)
        if left is not None:
            self._forget(left)
            size, start = size + left[0], left[1]
        right = self.starts.get(start + size)
        if right is not None:
            self._forget(right)
            size += right[0]
        self._remember((size, start))

    def _remember(self, place: tuple[int, int]) -> None:
        bisect.insort(self.free, place)
        self.ends[place[0] + place[1]] = place
        self.starts[place[1]] = place

    def _forget(self, place: tuple[int, int]) -> None:
        del self.free[bisect.bisect_left(self.free, place)]
        del self.ends[place[0] + place[1]]
        del self.starts[place[1]]


def place(
    uses: Sequence[Use],
    heirs: dict[Buffer, Buffer],
) -> tuple[dict[Buffer, int], int]:
    """Give every scratch buffer a place in one arena.

    Parameters
    ----------
    uses : sequence of (reads, writes)
        The buffers each instruction reads and writes, in order of execution.
    heirs : dict of Buffer to Buffer
        Buffers that may take over the place of one that their instruction reads
        elementwise, if it is read for the last time there.

    Returns
    -------
    offsets : dict of Buffer to int
        Position of each in the arena, in bytes; multiples of 64.
    size : int
        Bytes of the arena.
    """
    last = _last_uses(uses)
    arena, offsets = _Arena(), dict[Buffer, int]()
    ending: dict[int, list[Buffer]] = {}
    for buffer, i in last.items():
        ending.setdefault(i, []).append(buffer)
    for i, (_, writes) in enumerate(uses):
        inherited = set()
        for buffer in (b.root[0] for b in writes):
            if buffer not in last or buffer in offsets:
                continue
            source = heirs.get(buffer)
            if source in offsets and last[source] == i and source not in inherited:
                offsets[buffer] = offsets[source]
                inherited.add(source)
            else:
                offsets[buffer] = arena.take(_rounded(buffer.n_bytes))
        for buffer in ending.get(i, ()):
            if buffer not in inherited:
                arena.give(_rounded(buffer.n_bytes), offsets[buffer])
    return offsets, arena.size


def _last_uses(uses: Sequence[Use]) -> dict[Buffer, int]:
    """Return the number of the last instruction that uses each scratch buffer."""
    last: dict[Buffer, int] = {}
    for i, (reads, writes) in enumerate(uses):
        for buffer in (b.root[0] for b in (*reads, *writes)):
            if buffer.kind == "scratch":
                last[buffer] = i
    return last


def _rounded(n_bytes: int) -> int:
    return max(1, -(-n_bytes // ALIGNMENT)) * ALIGNMENT
