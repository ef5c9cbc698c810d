"""Which devices there are, and what is missing where there is none."""

from __future__ import annotations

import importlib
import re
from types import ModuleType

from skgrad.exceptions import DeviceError

__all__ = ["checked_number", "cupy", "is_cuda", "missing"]

_NAME = re.compile(r"cuda(?::(\d+))?")
_EXTRA = "pip install 'skgrad[cuda12]' (or 'skgrad[cuda13]' for a driver of CUDA 13)"


def is_cuda(device: str) -> bool:
    """Return whether this is the name of a GPU: ``"cuda"``, ``"cuda:1"``.

    Examples
    --------
    >>> from skgrad.backend.cuda.available import is_cuda
    >>> is_cuda("cuda:1"), is_cuda("cpu"), is_cuda("cuda1")
    (True, False, False)
    """
    return _NAME.fullmatch(device) is not None


def cupy() -> ModuleType:
    """Return CuPy; it is imported at the first call.

    Raises
    ------
    ImportError
        If it is not installed, or finds no CUDA to load.
    """
    return importlib.import_module("cupy")


def missing() -> str | None:
    """Return what keeps GPUs from being used and how to mend it; None if nothing.

    Returns
    -------
    str or None
        Whether CuPy, the driver or a device is missing.
    """
    try:
        cuda = cupy().cuda
    except (ImportError, AttributeError) as error:  # a folder of that name is no CuPy
        return f"CuPy is not installed ({error}). Install it: {_EXTRA}."
    try:
        count = int(cuda.runtime.getDeviceCount())
    except cuda.runtime.CUDARuntimeError as error:
        return (
            f"CuPy {cupy().__version__} is installed, but there is no usable GPU or "
            f"driver: {error}. Check what `nvidia-smi` says."
        )
    if count == 0:
        return "CuPy is installed, but the driver sees no GPU: check `nvidia-smi`."
    return None


def checked_number(device: str) -> int:
    """Return the number of a device that can be used.

    Parameters
    ----------
    device : str
        ``"cuda"``, which is the first, or ``"cuda:1"``.

    Returns
    -------
    int
        Its number.

    Raises
    ------
    DeviceError
        If CuPy or a GPU is missing, which of the two, and what to install; or if there
        are not so many.
    """
    found = _NAME.fullmatch(device)
    if found is None:
        raise DeviceError(
            f"There is no device {device!r}. A GPU is 'cuda', or 'cuda:1' by number."
        )
    why = missing()
    if why is not None:
        raise DeviceError(f"device={device!r} cannot be used here: {why}")
    number, count = int(found[1] or 0), cupy().cuda.runtime.getDeviceCount()
    if number >= count:
        raise DeviceError(
            f"device={device!r} does not exist: this machine has {count} "
            f"GPU{'s' * (count > 1)}, from 'cuda:0' to 'cuda:{count - 1}'."
        )
    return number
