"""What the executor asks of this backend: functions by number, and to call them.

A function is compiled when it is first called, together with all others that wait.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np

from skgrad.backend.base import Binding, KernelSpec, Operand, Output
from skgrad.backend.cuda.device import CupyDevice, Device, aligned
from skgrad.backend.cuda.launch import Launch, kernel_launches, kernel_workspace
from skgrad.backend.cuda.library import LIBRARY, MOVES, as_move
from skgrad.backend.cuda.printer import source
from skgrad.backend.cuda.residents import Residents

__all__ = ["CudaBackend", "backend"]

# A Gram matrix is added up over rows that take so many bytes: they and their weighted
# copies stay in the cache between the kernel that makes the copy and the product.
_GRAM_BYTES = 2**24

Call: TypeAlias = tuple[int, list[int], list[int]]
"""The number of a function, addresses of its operands, its sizes."""


class _Function:
    """Something to be called with addresses and sizes."""

    def source(self) -> str:
        """Return its CUDA C, "" if it needs none of its own."""
        return ""

    def workspace(self, sizes: list[int]) -> int:
        """Return how many bytes it needs beside its operands."""
        return 0

    def call(
        self, at: CudaBackend, pointers: list[int], sizes: list[int], more: list[int]
    ) -> None:
        """Launch it; `more` are the addresses of the workspace and of the counter."""
        raise NotImplementedError


class CudaBackend:
    """Kernels and instructions of programs on one device.

    Parameters
    ----------
    device : Device
        Where.
    precision : {"highest", "tf32", "bf16"}
        Of products in float32.
    """

    def __init__(self, device: Device, precision: str = "highest") -> None:
        self.device = device
        self.precision = precision
        rounded = "" if precision == "highest" else f"/{precision}"
        self.name = device.name + rounded
        self.residents = Residents(device)
        self._lock = threading.Lock()
        self._functions: list[_Function] = []
        self._numbers: dict[Any, int] = {}
        self._waiting: list[_Function] = []
        self._handles: dict[str, Any] = {}

    def _number(self, key: Any, make: Callable[[str], _Function]) -> int:
        with self._lock:
            if key not in self._numbers:
                # A part of what is compiled, so the same in all processes.
                name = "f" + hashlib.sha256(repr(key).encode()).hexdigest()[:32]
                self._functions.append(make(name))
                self._waiting.append(self._functions[-1])
                self._numbers[key] = len(self._functions) - 1
            return self._numbers[key]

    def kernel(self, spec: KernelSpec) -> int:
        """Return the number of a kernel."""
        return self._number(spec, lambda name: _Kernel(name, spec))

    def instruction(
        self, name: str, dtypes: tuple[str, ...], sizes: tuple[int, ...]
    ) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        """Return the number of an instruction, no further addresses, and its sizes."""
        if name == "product":
            zero, *_ = self.instruction("fill_zero", (), ())
            number = self._number((name, dtypes), lambda _: _Product(dtypes[0], zero))
        elif name == "gram":
            scale = self.kernel(_row_scaling(dtypes[0]))
            zero, *_ = self.instruction("fill_zero", (), ())
            number = self._number(
                (name, dtypes), lambda _: _Gram(dtypes[0], scale, zero)
            )
        elif name in MOVES:
            number = self._number(name, lambda _: _Move(name))
        else:
            number = self._number(
                (name, dtypes), lambda prefix: _Routine(prefix, name, dtypes)
            )
        return number, (), sizes

    def workspace(self, name: str, dtype: str, sizes: tuple[int, ...]) -> int:
        """Return how many bytes a product or a Gram matrix needs beside its operands.

        See :func:`skgrad.backend.cpu.backend.workspace`.
        """
        if name != "gram":
            return 0
        return _gram_rows(dtype, sizes) * sizes[1] * np.dtype(dtype).itemsize

    def joined(self, calls: Iterable[Call]) -> list[Call]:
        """Return calls with neighbouring moves of bytes as one.

        What a step fetches, and then what it leaves in tables, takes longer to launch
        than to move. The two are not joined: what is left may have been fetched.
        """
        made: list[Call] = []
        for way, group in groupby(calls, key=lambda call: self._way(call[0])):
            neighbours = list(group)
            made += [self._moves(neighbours)] if way else neighbours
        return made

    def _way(self, number: int) -> str:
        function = self._functions[number]
        kind = function.kind if isinstance(function, _Move) else ""
        return kind and ("out" if kind == "write_table" else "in")

    def _moves(self, calls: list[Call]) -> Call:
        kinds: list[str] = []
        pointers: list[int] = []
        sizes: list[int] = []
        for number, *given in calls:
            move = self._functions[number]
            assert isinstance(move, _Move)
            operands, lengths = as_move(move.kind, *given)
            kinds.append(move.kind)
            pointers += operands
            sizes += lengths
        return self.instruction("moves", tuple(kinds), ())[0], pointers, sizes

    def workspace_of(self, calls: Iterable[Call]) -> int:
        """Return how many bytes the launches need that run one after the other."""
        needed = (self._functions[n].workspace(sizes) for n, _, sizes in calls)
        return max(needed, default=0)

    def call(self, calls: Iterable[Call], workspace: int, counter: int) -> None:
        """Launch functions, one after the other.

        Parameters
        ----------
        calls : iterable of (int, list of int, list of int)
            Number, addresses of the operands, sizes.
        workspace, counter : int
            Addresses of the memory that all share and of the number of the step.
        """
        self._compile()
        for number, pointers, sizes in calls:
            self._functions[number].call(self, pointers, sizes, [workspace, counter])

    def is_finite(self, address: int, size: int, dtype: str) -> bool:
        """Return whether an array on the device has no infinite element and no NaN."""
        number, found = self.kernel(_differences(dtype)), np.empty(1, dtype=dtype)
        room = self._functions[number].workspace([size])
        with self.device.active():
            start = aligned(found.nbytes)
            memory = self.device.allocate(start + room)
            call = number, [address, memory.address], [size]
            self.call([call], memory.address + start, 0)
            self.device.download(memory.address, found)
        return bool(np.isfinite(found[0]))

    def _compile(self) -> None:
        """Compile what waits for it."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        sources = {f.source(): f for f in waiting}
        sources.pop("", None)
        if sources:
            names = {text: _names(text) for text in sources}
            self._handles.update(self.device.functions(names))

    def launch(self, name: str, launches: Iterable[Launch], cells: list[int]) -> None:
        """Launch the functions of a kernel or a routine."""
        for one in launches:
            handle = self._handles[name + one.function]
            self.device.launch(handle, one.grid, [*cells, *one.sizes])


def _names(text: str) -> list[str]:
    """Return the names of the functions in a source."""
    head = "__global__ void "
    return [part[: part.index("(")] for part in text.split(head)[1:]]


class _Kernel(_Function):
    def __init__(self, name: str, spec: KernelSpec) -> None:
        self.name = name
        self.spec = spec

    def source(self) -> str:
        return source(self.spec, self.name)

    def workspace(self, sizes: list[int]) -> int:
        return kernel_workspace(self.spec, sizes[: self.spec.rank])

    def call(
        self, at: CudaBackend, pointers: list[int], sizes: list[int], more: list[int]
    ) -> None:
        launches = kernel_launches(self.spec, sizes[: self.spec.rank])
        at.launch(self.name, launches, [*pointers, *more, *sizes])


class _Routine(_Function):
    def __init__(self, prefix: str, name: str, dtypes: tuple[str, ...]) -> None:
        self.prefix = prefix
        self.routine = LIBRARY[name]
        self.dtypes = dtypes

    def source(self) -> str:
        return self.routine.source(self.prefix, *self.dtypes)

    def workspace(self, sizes: list[int]) -> int:
        return self.routine.workspace(*sizes)

    def call(
        self, at: CudaBackend, pointers: list[int], sizes: list[int], more: list[int]
    ) -> None:
        launches = self.routine.launches(*sizes)
        at.launch(self.prefix, launches, [*pointers, *more, *sizes])


class _Move(_Function):
    """A move of bytes, never called: `CudaBackend.joined` makes a routine of it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


class _Product(_Function):
    """A product by the device's library."""

    def __init__(self, dtype: str, zero: int) -> None:
        self.dtype = dtype
        self.zero = zero

    def call(
        self, at: CudaBackend, pointers: list[int], sizes: list[int], more: list[int]
    ) -> None:
        a, b, c = pointers
        m, n, k, *_, count, _, _, _ = sizes
        if k == 0:  # a sum of nothing
            n_bytes = count * m * n * np.dtype(self.dtype).itemsize
            at.call([(self.zero, [c], [n_bytes])], *more)
        else:
            at.device.product(self.dtype, at.precision, (a, b, c), tuple(sizes), False)


def _row_scaling(dtype: str) -> KernelSpec:
    """Return the kernel that multiplies the rows of a matrix by a vector."""
    matrix, vector = Operand(dtype, "s1"), Operand(dtype, "10")
    product = Binding("({0} * {1})", (0, 1), 2, dtype)
    return KernelSpec(2, (matrix, vector, matrix), 2, (product,), (Output(2, 2),))


def _differences(dtype: str) -> KernelSpec:
    """Return the kernel that adds up x - x: zero, or NaN where x is not finite."""
    operands = Operand(dtype, "1"), Operand(dtype, "0")
    zero = Binding("({0} - {0})", (0,), 1, dtype)
    return KernelSpec(1, operands, 1, (zero,), (Output(1, 1, "sum", (0,)),))


def _gram_rows(dtype: str, sizes: Sequence[int]) -> int:
    """Return how many rows of a Gram matrix are added up at once."""
    n, p, *_ = sizes
    row_bytes = max(1, p * np.dtype(dtype).itemsize)
    return max(1, min(n, _GRAM_BYTES // row_bytes))


class _Gram(_Function):
    """X'DX, some rows after the other."""

    def __init__(self, dtype: str, scale: int, zero: int) -> None:
        self.dtype = dtype
        self.scale = scale
        self.zero = zero

    def call(
        self, at: CudaBackend, pointers: list[int], sizes: list[int], more: list[int]
    ) -> None:
        x, w, c, weighted = pointers
        n, p, row = sizes
        size = np.dtype(self.dtype).itemsize
        if n == 0:
            at.call([(self.zero, [c], [p * p * size])], *more)
        most = _gram_rows(self.dtype, sizes)
        for first in range(0, n, most):
            rows = min(most, n - first)
            some, weights = x + first * row * size, w + first * size
            scaled = self.scale, [some, weights, weighted], [rows, p, row, p]
            at.call([scaled], *more)
            product = (p, p, rows, row, p, p, 1, 0, 1, 0, 0, 0)
            operands = (some, weighted, c)
            at.device.product(self.dtype, at.precision, operands, product, first > 0)


@cache
def backend(name: str, precision: str = "highest") -> CudaBackend:
    """Return the backend of a device, the same one at each call.

    Parameters
    ----------
    name : str
        ``"cuda"`` or ``"cuda:1"``.
    precision : {"highest", "tf32", "bf16"}
        Of products in float32.

    Returns
    -------
    CudaBackend
        Its kernels are compiled as they are used.

    Raises
    ------
    DeviceError
        If the device cannot be used here.
    """
    return CudaBackend(_device(name), precision)


@cache
def _device(name: str) -> Device:
    return CupyDevice(name)
