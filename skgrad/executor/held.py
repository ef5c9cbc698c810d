"""Arrays that stay where a program left them until somebody reads them."""

from __future__ import annotations

import math
import threading
from typing import Any, TypeAlias

import numpy as np

from skgrad.typing import Array, DTypeLike, Shape

__all__ = ["Carried", "Held", "is_finite"]


class Held:
    """An array in the memory of a device, copied to the host when it is first read.

    The state of a fit goes from one run of steps to the next without leaving the
    device: what Adam keeps of a large network takes longer to copy than many steps.

    Parameters
    ----------
    backend : CudaBackend
        Of the device.
    buffer : Buffer
        Memory that nobody writes any more.
    start : int
        Where in it the array begins, in bytes.
    shape : tuple of int
        Its shape.
    dtype : dtype
        Its dtype.
    """

    def __init__(
        self, backend: Any, buffer: Any, start: int, shape: Shape, dtype: np.dtype[Any]
    ) -> None:
        self.backend = backend
        self.shape = shape
        self.dtype = dtype
        self._place = buffer, start
        self._array: Array | None = None
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return self.size * self.dtype.itemsize

    def address_on(self, device: Any) -> int | None:
        """Return its address on a device; None if it is not there."""
        if self._array is not None or self.backend.device is not device:
            return None
        buffer, start = self._place
        return int(buffer.address + start)

    def is_finite(self) -> bool:
        """Return whether no element is infinite or no number; nothing is copied."""
        address = self.address_on(self.backend.device)
        if address is None:
            return is_finite(np.asarray(self))
        return bool(self.backend.is_finite(address, self.size, self.dtype.name))

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> Array:
        with self._lock:
            if self._array is None:
                array = np.empty(self.shape, dtype=self.dtype)
                buffer, start = self._place
                device = self.backend.device
                with device.active():
                    device.download(buffer.address + start, array)
                self._array, self._place = array, (None, 0)
        return np.array(self._array, dtype=dtype, copy=copy)

    def __reduce__(self) -> tuple[Any, ...]:
        return np.asarray, (np.asarray(self),)


Carried: TypeAlias = Array | Held
"""What goes from one run of steps to the next."""


def is_finite(array: Carried) -> bool:
    """Return whether no element of an array, held or not, is infinite or no number."""
    if isinstance(array, Held):
        return array.is_finite()
    return bool(np.isfinite(array).all())
