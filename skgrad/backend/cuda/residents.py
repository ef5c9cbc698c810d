"""Arrays of the host that stay on a device as long as they are used."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from skgrad.backend.cuda.device import Buffer, Device, aligned
from skgrad.typing import Array

__all__ = ["Mirror", "Residents"]

# What is smaller travels with the arguments of a run.
_LEAST_BYTES = 2**16
# Part of the free memory that is left to arenas, results and other programs.
_RESERVE = 0.2


class Mirror:
    """Arrays side by side in pinned memory of the host, and the same on a device.

    Parameters
    ----------
    device : Device
        Where.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.host: Array = np.empty(0, dtype=np.uint8)
        self.buffer = Buffer(0, 0, None)

    def places(self, sizes: Iterable[int]) -> tuple[list[int], int]:
        """Return where arrays of so many bytes begin, and where the last one ends."""
        starts, end = [], 0
        for size in sizes:
            starts.append(end)
            end += aligned(size)
        if end > len(self.host):
            self.host = self.device.pinned(end)
            self.buffer = self.device.allocate(end)
        return starts, end

    def put(self, array: Array, start: int) -> None:
        """Copy an array in C order to its place on the host."""
        flat = array.reshape(-1).view(np.uint8)
        self.host[start : start + len(flat)] = flat

    def get(self, array: Array, start: int) -> None:
        """Copy from its place on the host to an array in C order."""
        flat = array.reshape(-1).view(np.uint8)
        flat[...] = self.host[start : start + len(flat)]

    def upload(self, last: int) -> None:
        """Copy the first bytes to the device, before what it is asked to do next."""
        self.device.upload(self.host[:last], self.buffer.address)

    def download(self, first: int, last: int) -> None:
        """Copy some bytes from the device, after all that it was asked to do."""
        self.device.download(self.buffer.address + first, self.host[first:last])


class Residents:
    """Copies of arrays on a device, kept as long as the arrays themselves.

    An array is known by its identity: one that is changed in place must not be made
    resident. Programs are given views that a fit makes for itself.

    Parameters
    ----------
    device : Device
        Where.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self._kept: dict[int, tuple[weakref.ref[Array], Buffer]] = {}

    def get(self, array: Array, least: int = _LEAST_BYTES) -> Buffer | None:
        """Return the copy of an array, made at its first use; None without room.

        Arrays with fewer bytes than the least are not kept: they take no time to copy.
        """
        key = id(array)
        if key in self._kept:
            return self._kept[key][1]
        if array.nbytes < least or not self.fits(array):
            return None
        buffer = self.device.allocate(array.nbytes)
        # The identity is another array's once this one is gone.
        alive = weakref.ref(array, lambda _: self._kept.pop(key, None))
        self.device.upload_beside(array, buffer.address)
        self._kept[key] = alive, buffer
        return buffer

    def all_of(self, blocks: Iterable[Iterable[Array]]) -> list[list[Buffer]] | None:
        """Return the copies of all arrays, small ones too; None without room."""
        found: list[list[Buffer]] = []
        for block in blocks:
            copies = [self.get(array, least=0) for array in block]
            kept = [copy for copy in copies if copy is not None]
            if len(kept) < len(copies):
                return None
            found.append(kept)
        return found

    def fits(self, array: Array) -> bool:
        """Return whether there is a copy of an array, or room for one."""
        room = (1.0 - _RESERVE) * self.device.free_bytes
        return id(array) in self._kept or array.nbytes <= room

    def streamed(self, blocks: Iterable[Iterable[Array]]) -> Iterator[list[Any]]:
        """Yield blocks of arrays as they are on the device.

        What does not fit is copied while the block before it is computed on: two
        blocks are there at a time.
        """
        slots = Mirror(self.device), Mirror(self.device)
        with ThreadPoolExecutor(1) as pool:
            waiting: Future[list[Any]] | None = None
            for number, block in enumerate(map(list, blocks)):
                following = self._placed(pool, block, slots[number % 2])
                if waiting is not None:
                    yield waiting.result()
                waiting = following
            if waiting is not None:
                yield waiting.result()

    def _placed(
        self, pool: ThreadPoolExecutor, block: list[Array], slot: Mirror
    ) -> Future[list[Any]]:
        kept = list(map(self.get, block))
        missing = [
            i
            for i, array in enumerate(block)
            if kept[i] is None and array.nbytes >= _LEAST_BYTES
        ]
        found = [a if k is None else k for a, k in zip(block, kept, strict=True)]
        if missing:
            return pool.submit(_copied, found, missing, slot)
        done: Future[list[Any]] = Future()
        done.set_result(found)
        return done


def _copied(block: list[Any], numbers: list[int], slot: Mirror) -> list[Any]:
    """Return a block with the arrays of some numbers copied to a slot."""
    starts, end = slot.places(block[i].nbytes for i in numbers)
    for i, start in zip(numbers, starts, strict=True):
        slot.put(block[i], start)
    slot.device.upload_beside(slot.host[:end], slot.buffer.address)
    copies = {
        i: Buffer(slot.buffer.address + start, block[i].nbytes, slot.buffer)
        for i, start in zip(numbers, starts, strict=True)
    }
    return [copies.get(i, given) for i, given in enumerate(block)]
