"""The protocol of a backend, and the registry of devices."""

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, cast

import numpy as np

from skgrad.exceptions import DeviceError
from skgrad.typing import Array, ArrayLike, DTypeLike

__all__ = [
    "Backend",
    "Binding",
    "KernelSpec",
    "Operand",
    "Output",
    "backend_of",
    "device_of",
    "get_backend",
    "register_arrays",
]

# Where arrays of a type live, by type. CuPy's are registered by their backend, which is
# loaded at the first sight of one.
_DEVICE_OF: dict[type, Callable[[Any], str]] = {}


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
    names: dict[str, tuple[str, ...]]

    def array(self, data: ArrayLike, dtype: DTypeLike = None) -> Array:
        """Return a new array of this backend holding a copy of ``data``."""

    def host(self, array: Array) -> np.ndarray[Any, Any]:
        """Return the elements as a NumPy array, which may be the array itself."""

    def constant(self, array: np.ndarray[Any, Any]) -> Array:
        """Return a NumPy array as one of this backend that nobody may write to."""

    def limits(self, array: Array) -> tuple[Any, Any]:
        """Return the least and the largest element as Python numbers."""

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
        ``"cpu"``, ``"cuda"`` (the first GPU) or ``"cuda:1"`` (by number).

    Returns
    -------
    Backend
        What implements the protocol; the same one at each call.

    Raises
    ------
    DeviceError
        If the device is unknown, or a GPU that cannot be used here: what is missing.

    Examples
    --------
    >>> from skgrad.backend import get_backend
    >>> get_backend("cpu").device
    'cpu'
    """
    # Imported by name so that a backend's libraries load only when it is used.
    if device == "cpu":
        reference = importlib.import_module("skgrad.backend.reference")
        return cast(Backend, reference.NUMPY)
    if device.partition(":")[0] == "cuda":
        return cast(Backend, _cuda().backend(device))
    raise DeviceError(
        f"There is no device {device!r}. Known devices: 'cpu'; 'cuda' or 'cuda:1' for "
        "a GPU."
    )


def _cuda() -> Any:
    return importlib.import_module("skgrad.backend.cuda.eager")


def register_arrays(kind: type, device_of: Callable[[Any], str]) -> None:
    """Tell on which device an array of a type lives.

    Parameters
    ----------
    kind : type
        The type of the arrays.
    device_of : callable
        Takes one of them; returns the name of its device.
    """
    _DEVICE_OF[kind] = device_of


def device_of(x: Any) -> str | None:
    """Return where an array lives.

    Parameters
    ----------
    x : object
        Anything.

    Returns
    -------
    str or None
        The name of its device; None if it is no array of a backend.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.backend import device_of
    >>> device_of(np.zeros(3)), device_of([1.0])
    ('cpu', None)
    """
    if isinstance(x, (np.ndarray, np.generic)):
        return "cpu"
    kind = type(x)
    if kind not in _DEVICE_OF and kind.__module__.partition(".")[0] == "cupy":
        _cuda().register()
    return _DEVICE_OF[kind](x) if kind in _DEVICE_OF else None


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
    device = device_of(array)
    if device is None:
        raise DeviceError(f"No backend owns arrays of type {type(array).__name__}.")
    return get_backend(device)


# --- kernels ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Operand:
    """An array a kernel reads or writes: a pointer and how it moves with the loops.

    Parameters
    ----------
    dtype : str
        Its NumPy dtype.
    strides : str
        One letter per loop, outermost first: ``"0"`` the pointer stays, ``"1"`` it
        moves by one element, ``"s"`` by a number of elements given at each call.

    Examples
    --------
    >>> from skgrad.backend import Operand
    >>> Operand("float32", "s1").strides  # rows of a matrix, contiguous within a row
    's1'
    """

    dtype: str
    strides: str

    @property
    def depth(self) -> int:
        """How many loops, from the outermost, it moves with."""
        return len(self.strides.rstrip("0"))


@dataclass(frozen=True, slots=True)
class Binding:
    """One scalar value of a kernel's body: ``value = expression(arguments)``.

    Parameters
    ----------
    expression : str
        A scalar expression in ``{0}, {1} ...``, with the names of the preambles.
    arguments : tuple of int
        Numbers of earlier values: the operands the kernel reads, in order, then the
        bindings.
    depth : int
        How many loops, from the outermost, it is computed inside of.
    dtype : str
        Its NumPy dtype.

    Examples
    --------
    >>> from skgrad.backend import Binding
    >>> Binding("({0} * {1})", (0, 1), 1, "float64").depth
    1
    """

    expression: str
    arguments: tuple[int, ...]
    depth: int
    dtype: str


@dataclass(frozen=True, slots=True)
class Output:
    """Where a value goes: stored at each turn of its loops, or reduced over some.

    Parameters
    ----------
    value : int
        Number of the value, see :class:`Binding`.
    operand : int
        Number of the operand written, see :class:`KernelSpec`. One that is also read
        is updated in place: its old elements are read before they are overwritten.
    reduction : {"", "sum", "max", "prod"}, default=""
        How elements are combined; NaN wins a max.
    over : tuple of int, default=()
        The loops reduced over; the operand has stride "0" in them.

    Examples
    --------
    >>> from skgrad.backend import Output
    >>> Output(3, 1, "sum", (0,)).over
    (0,)
    """

    value: int
    operand: int
    reduction: str = ""
    over: tuple[int, ...] = ()

    def identity(self, dtype: str) -> float:
        """Return what the reduction of no elements of a dtype gives."""
        if self.reduction != "max":
            return 0 if self.reduction == "sum" else 1
        kind = np.dtype(dtype).kind
        if kind in "ub":
            return 0
        return -math.inf if kind == "f" else int(np.iinfo(dtype).min)


@dataclass(frozen=True, slots=True)
class KernelSpec:
    """Loops over a body of scalar values: all a backend needs to write a kernel.

    Nothing in it is a size, an address or a number of the user's: a kernel serves every
    batch size, width and rate.

    Parameters
    ----------
    rank : int
        Number of loops, outermost first.
    operands : tuple of Operand
        The arrays: the ``n_reads`` first are read and are the values 0, 1, ...; an
        array that is written only comes after them. No two overlap, unless
        neither is written.
    n_reads : int
        How many are read.
    bindings : tuple of Binding
        The values ``n_reads``, ``n_reads + 1``, ...
    outputs : tuple of Output
        What is stored or reduced.

    Examples
    --------
    >>> from skgrad.backend import Binding, KernelSpec, Operand, Output
    >>> vector = Operand("float64", "1")
    >>> square = Binding("({0} * {0})", (0,), 1, "float64")
    >>> spec = KernelSpec(1, (vector, vector), 1, (square,), (Output(1, 1),))
    >>> spec.n_reads
    1
    """

    rank: int
    operands: tuple[Operand, ...]
    n_reads: int
    bindings: tuple[Binding, ...]
    outputs: tuple[Output, ...]

    @property
    def depths(self) -> tuple[int, ...]:
        """How many loops, from the outermost, each value is computed inside of."""
        reads = (operand.depth for operand in self.operands[: self.n_reads])
        return (*reads, *(binding.depth for binding in self.bindings))

    def depth(self, output: Output) -> int:
        """Return how many loops, from the outermost, an output has an element in."""
        loops = (level + 1 for level in output.over)
        return max(
            self.depths[output.value], self.operands[output.operand].depth, *loops, 0
        )
