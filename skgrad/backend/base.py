"""The protocol of a backend, and the registry of devices."""

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol, cast

import numpy as np

from skgrad.exceptions import DeviceError
from skgrad.typing import Array, ArrayLike, DTypeLike

__all__ = ["Backend", "backend_of", "get_backend"]

_MODULES = {"cpu": "skgrad.backend.reference"}


class Backend(Protocol):
    """What the layers above ask of a backend.

    A backend knows instructions (products, gathers, reductions) by name and
    elementwise primitives not at all: it is handed their scalar expression.

    Examples
    --------
    >>> from skgrad.backend import get_backend
    >>> get_backend("cpu").elementwise("({0} * {1})", 2)(3.0, 4.0)
    12.0
    """

    device: str

    def array(self, data: ArrayLike, dtype: DTypeLike = None) -> Array:
        """Return a new array of this backend holding a copy of ``data``."""

    def instruction(self, name: str) -> Callable[..., Any]:
        """Return the function of the instruction called ``name``."""

    def elementwise(self, expression: str, n_operands: int) -> Callable[..., Array]:
        """Return a function that evaluates a scalar expression on arrays."""


@cache
def get_backend(device: str) -> Backend:
    """Return the backend of a device.

    Parameters
    ----------
    device : str
        ``"cpu"``.

    Returns
    -------
    Backend
        The module that implements the protocol; the same one at each call.

    Raises
    ------
    DeviceError
        If the device is unknown.

    Examples
    --------
    >>> from skgrad.backend import get_backend
    >>> get_backend("cpu").device
    'cpu'
    """
    if device not in _MODULES:
        raise DeviceError(
            f"There is no device {device!r}. Known devices: {sorted(_MODULES)}."
        )
    # Imported by name so that a backend's libraries load only when it is used.
    return cast(Backend, importlib.import_module(_MODULES[device]))


def backend_of(array: Array) -> Backend:
    """Return the backend an array belongs to.

    Parameters
    ----------
    array : array
        An array of any backend.

    Returns
    -------
    Backend
        Its backend.

    Raises
    ------
    DeviceError
        If no backend owns arrays of this type.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.backend import backend_of
    >>> backend_of(np.zeros(3)).device
    'cpu'
    """
    if isinstance(array, (np.ndarray, np.generic)):
        return get_backend("cpu")
    raise DeviceError(f"No backend owns arrays of type {type(array).__name__}.")
