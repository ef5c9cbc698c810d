"""A device that is simulated: its memory is the host's, its functions are C++.

What is launched runs at once, except while a step is captured. Memory that was not
written yet holds rubbish, and pieces of it are not reused while they are in use.
"""

import ctypes
import sys
from contextlib import contextmanager
from threading import RLock
from types import SimpleNamespace

import numpy as np
import pytest
from backend.cuda import host

from skgrad.backend.cuda import backend
from skgrad.backend.cuda.device import Buffer
from skgrad.backend.cuda.launch import THREADS
from skgrad.backend.cuda.printer import module

_DTYPES = {"float32": np.float32, "float64": np.float64}


def _at(address, n_bytes):
    """Return the bytes at an address as an array."""
    cells = (ctypes.c_uint8 * n_bytes).from_address(address)
    return np.frombuffer(cells, dtype=np.uint8)


def _matrix(address, dtype, shape, strides):
    size = np.dtype(dtype).itemsize
    reach = sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + 1
    return np.lib.stride_tricks.as_strided(
        _at(address, reach * size).view(dtype), shape, [s * size for s in strides]
    )


def rounded(x, bits):
    """Return float32 with fewer bits after the leading one; float64 stays."""
    if x.dtype != np.float32 or bits == 23:
        return x
    drop = np.uint32(23 - bits)
    half = np.uint32(1) << (drop - np.uint32(1))
    return ((x.view(np.uint32) + half) >> drop << drop).view(np.float32)


def multiply(dtype, pointers, sizes, add, bits=23):
    """Multiply matrices in C order, see ``Blas.product``."""
    m, n, k, lda, ldb, ldc, ta, tb, count, sa, sb, sc = sizes
    dtype = _DTYPES[dtype]
    a = _matrix(
        pointers[0], dtype, (count, m, k), (sa, *((1, lda) if ta else (lda, 1)))
    )
    b = _matrix(
        pointers[1], dtype, (count, k, n), (sb, *((1, ldb) if tb else (ldb, 1)))
    )
    c = _matrix(pointers[2], dtype, (count, m, n), (sc, ldc, 1))
    c[...] = rounded(a, bits) @ rounded(b, bits) + (c if add else 0)


class SimulatedDevice:
    """See ``skgrad.backend.cuda.device.Device``.

    One that is checked finds races, and what reaches beyond the memory of the device.
    """

    name = "cuda:0"

    def __init__(self, memory=2**33, checked=False):
        self.memory = memory
        self.checked = checked
        self.known = {}  # where memory begins, and where it ends
        self.used = 0
        self.uploads = []  # bytes of each
        self.downloads = []
        self.n_launched = 0
        self._lock = RLock()
        self._recorded = None

    @property
    def free_bytes(self):
        return self.memory - self.used

    @contextmanager
    def active(self):
        with self._lock:
            yield

    def allocate(self, n_bytes):
        memory = np.full(n_bytes + 256, 0xA5, dtype=np.uint8)
        self.used += n_bytes
        address = memory.ctypes.data + -memory.ctypes.data % 256
        self.known[address] = address + n_bytes
        return _Freed(address, n_bytes, memory, self)

    def pinned(self, n_bytes):
        return np.full(n_bytes, 0xA5, dtype=np.uint8)

    def upload(self, array, address):
        assert self._recorded is None
        assert array.flags.c_contiguous
        self.uploads.append(array.nbytes)
        ctypes.memmove(address, array.ctypes.data, array.nbytes)

    def upload_beside(self, array, address):
        self.upload(array, address)

    def copy(self, source, target, n_bytes):
        assert self._recorded is None
        ctypes.memmove(target, source, n_bytes)

    def download(self, address, array):
        assert self._recorded is None
        self.downloads.append(array.nbytes)
        ctypes.memmove(array.ctypes.data, address, array.nbytes)

    def functions(self, sources):
        library = host.build(module(sources), *(host.CHECKED if self.checked else ()))
        names = [name for names in sources.values() for name in names]
        return {name: (library, f"launch_{name}") for name in names}

    def launch(self, function, grid, cells):
        def launched():
            values = np.array(cells, np.int64)
            places = values.ctypes.data + 8 * np.arange(values.size)
            shape = np.array([*grid, THREADS], np.uint32)
            library, name = function
            if self.checked:
                host.know(library, self.known)
            host.call(getattr(library, name), places, shape)

        self._do(launched)

    def product(self, dtype, precision, pointers, sizes, add=False):
        bits = {"highest": 23, "tf32": 10, "bf16": 7}[precision]
        self._do(lambda: multiply(dtype, pointers, sizes, add, bits))

    def _do(self, what):
        if self._recorded is not None:
            self._recorded.append(what)
        else:
            self.n_launched += 1
            what()

    def captured(self, body):
        self._recorded = made = []
        body()
        self._recorded = None
        return made

    def replay(self, captured, times):
        for _ in range(times):
            for launched in captured:
                launched()


class _Freed(Buffer):
    """Memory that fills with rubbish when it is freed."""

    def __init__(self, address, n_bytes, owner, device):
        super().__init__(address, n_bytes, owner)
        self.device = device

    def __del__(self):
        self.device.used -= self.n_bytes
        self.device.known.pop(self.address)
        self._owner[...] = 0x5A


@contextmanager
def simulated_gpu():
    """Put a simulated device in the place of the first GPU."""
    device = SimulatedDevice()
    cupy = SimpleNamespace(cuda=SimpleNamespace(runtime=SimpleNamespace()))
    cupy.cuda.runtime.getDeviceCount = lambda: 1
    cupy.cuda.runtime.CUDARuntimeError = RuntimeError
    backend.backend.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", cupy)
        patch.setattr(backend, "_device", lambda name: device)
        yield device
    backend.backend.cache_clear()
