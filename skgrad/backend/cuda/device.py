"""A GPU as the executor uses it: memory, copies, functions, products, captured steps.

All that needs CuPy for compiled programs is here, and nothing else is: tests put a
simulated device in its place.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from skgrad.backend.cuda.available import checked_number, cupy
from skgrad.backend.cuda.compiler import binaries
from skgrad.backend.cuda.cublas import Blas
from skgrad.backend.cuda.launch import THREADS
from skgrad.typing import Array

__all__ = ["Buffer", "CupyDevice", "Device", "aligned"]


def aligned(n_bytes: int) -> int:
    """Return how many bytes there are up to where the next array may begin.

    Examples
    --------
    >>> from skgrad.backend.cuda.device import aligned
    >>> aligned(0), aligned(1), aligned(256)
    (0, 256, 256)
    """
    return -(-n_bytes // 256) * 256


class Buffer:
    """Memory of a device, free again when nobody holds it any more.

    Parameters
    ----------
    address : int
        Where it begins, aligned to 256 bytes.
    n_bytes : int
        Its length.
    owner : object
        What frees it.
    """

    def __init__(self, address: int, n_bytes: int, owner: Any) -> None:
        self.address = address
        self.n_bytes = n_bytes
        self._owner = owner


class Device(Protocol):
    """What a device can do. One thread at a time computes: the one inside `active`."""

    name: str

    @property
    def free_bytes(self) -> int:
        """Memory that may be allocated."""

    def active(self) -> Any:
        """Return a context in which this thread computes on the device."""

    def allocate(self, n_bytes: int) -> Buffer:
        """Return memory, of any content."""

    def pinned(self, n_bytes: int) -> Array:
        """Return bytes of the host that are copied at full speed."""

    def upload(self, array: Array, address: int) -> None:
        """Copy an array in C order, before what is asked for next."""

    def upload_beside(self, array: Array, address: int) -> None:
        """Copy an array in C order while others compute, and wait until it is there."""

    def download(self, address: int, array: Array) -> None:
        """Copy to an array in C order, when all is done that was asked before."""

    def copy(self, source: int, target: int, n_bytes: int) -> None:
        """Copy on the device, before what is asked for next."""

    def functions(self, sources: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Return handles by name, of the functions whose names each source gives."""

    def launch(self, function: Any, grid: tuple[int, int], cells: list[int]) -> None:
        """Launch a function on arguments of 64 bits each."""

    def product(self, *arguments: Any) -> None:
        """Multiply matrices, see :meth:`skgrad.backend.cuda.cublas.Blas.product`."""

    def captured(self, body: Callable[[], None]) -> Any:
        """Return what the launches of a function are captured to; none is run."""

    def replay(self, captured: Any, times: int) -> None:
        """Run captured launches, again and again."""


class CupyDevice:
    """A GPU through CuPy.

    Parameters
    ----------
    name : str
        ``"cuda"`` or ``"cuda:1"``.

    Raises
    ------
    DeviceError
        If it cannot be used here.
    """

    def __init__(self, name: str) -> None:
        self.number = checked_number(name)
        self.name = f"cuda:{self.number}"
        self._cuda = cupy().cuda
        self._lock = threading.RLock()
        with self._cuda.Device(self.number) as device:
            # One stream for all that is computed: in the order it is asked for.
            self._stream = self._cuda.Stream(non_blocking=True)
            self._capability = int(device.compute_capability)
            self._blas = Blas(self._stream.ptr)

    # --- memory -------------------------------------------------------------------

    @property
    def free_bytes(self) -> int:
        """Memory that may be allocated, CuPy's own store of it included."""
        with self._cuda.Device(self.number):
            free, _ = self._cuda.runtime.memGetInfo()
            return int(free) + int(cupy().get_default_memory_pool().free_bytes())

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let this thread compute on the device, and no other."""
        with self._lock, self._cuda.Device(self.number):
            yield

    def allocate(self, n_bytes: int) -> Buffer:
        """Return memory, of any content."""
        # CuPy hands out again what was freed to the stream that had it: its own may
        # still be at work on theirs.
        with self._cuda.Device(self.number), self._stream:
            memory = self._cuda.alloc(max(1, n_bytes))
        return Buffer(memory.ptr, n_bytes, memory)

    def pinned(self, n_bytes: int) -> Array:
        """Return bytes of the host that are copied at full speed."""
        memory = self._cuda.alloc_pinned_memory(max(1, n_bytes))
        return np.frombuffer(memory, dtype=np.uint8, count=n_bytes)

    def upload(self, array: Array, address: int) -> None:
        """Copy an array in C order, before what is asked for next."""
        self._copy(address, array.ctypes.data, array.nbytes, self._stream)

    def upload_beside(self, array: Array, address: int) -> None:
        """Copy an array in C order while others compute, and wait until it is there."""
        with self._cuda.Device(self.number):
            stream = self._cuda.Stream(non_blocking=True)
            self._copy(address, array.ctypes.data, array.nbytes, stream)
            stream.synchronize()

    def download(self, address: int, array: Array) -> None:
        """Copy to an array in C order, when all is done that was asked before."""
        self._copy(array.ctypes.data, address, array.nbytes, self._stream)
        self._stream.synchronize()

    def copy(self, source: int, target: int, n_bytes: int) -> None:
        """Copy on the device, before what is asked for next."""
        self._copy(target, source, n_bytes, self._stream)

    def _copy(self, target: int, source: int, n_bytes: int, stream: Any) -> None:
        runtime = self._cuda.runtime
        if n_bytes:
            kind = runtime.memcpyDefault  # by the addresses
            runtime.memcpyAsync(target, source, n_bytes, kind, stream.ptr)

    # --- functions ----------------------------------------------------------------

    def functions(self, sources: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Return handles by name; each source gives the names that stand in it."""
        driver = self._cuda.driver
        handles = {}
        compiled = binaries(list(sources), self._capability)
        for binary, names in zip(compiled, sources.values(), strict=True):
            loaded = driver.moduleLoadData(binary)  # as long as the process
            for name in names:
                handles[name] = driver.moduleGetFunction(loaded, name)
        return handles

    def launch(self, function: Any, grid: tuple[int, int], cells: list[int]) -> None:
        """Launch a function on arguments of 64 bits each."""
        n = len(cells)
        values = (ctypes.c_int64 * n)(*cells)
        first = ctypes.addressof(values)
        places = (ctypes.c_void_p * n)(*range(first, first + 8 * n, 8))
        where, stream = ctypes.addressof(places), self._stream.ptr
        self._cuda.driver.launchKernel(
            function, *grid, 1, THREADS, 1, 1, 0, stream, where, 0
        )

    def product(self, *arguments: Any) -> None:
        """Multiply matrices, see :meth:`skgrad.backend.cuda.cublas.Blas.product`."""
        self._blas.product(*arguments)

    # --- captured steps -----------------------------------------------------------

    def captured(self, body: Callable[[], None]) -> Any:
        """Return the graph of the launches of a function; none is run."""
        # Of this thread's calls only: others may allocate meanwhile.
        mode = self._cuda.runtime.streamCaptureModeThreadLocal
        self._stream.begin_capture(mode)
        try:
            body()
        finally:
            graph = self._stream.end_capture()
        return graph

    def replay(self, captured: Any, times: int) -> None:
        """Run a graph, again and again."""
        for _ in range(times):
            captured.launch(self._stream)
