"""Products of matrices by cuBLAS, through ctypes on the library CuPy has loaded.

CuPy's own products allocate and refuse to be captured; these do neither: a handle, a
stream and a workspace of our own, scalars on the host.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

from skgrad.backend.cuda.available import cupy
from skgrad.exceptions import DeviceError, ShapeError

__all__ = ["PRECISIONS", "Blas"]

# cublasComputeType_t: of float32, by precision, and of float64.
PRECISIONS = {"highest": 68, "tf32": 77, "bf16": 75}
"""How products of float32 are computed: in float32, or from rounded factors."""

_COMPUTE_FLOAT64 = 70
_TYPES = {"float32": (0, ctypes.c_float), "float64": (1, ctypes.c_double)}
_NO, _TRANSPOSED, _DEFAULT_ALGORITHM = 0, 1, -1
# What NVIDIA recommends for Hopper; elsewhere less would do.
_WORKSPACE = 32 * 2**20
_MOST = 2**31 - 1
_VERSIONS = (13, 12, 11)


def _library() -> ctypes.CDLL:
    """Return the library that CuPy has loaded."""
    cupy().cuda.device.get_cublas_handle()  # which loads it
    windows = os.name == "nt"
    for version in _VERSIONS:
        name = f"cublas64_{version}.dll" if windows else f"libcublas.so.{version}"
        try:
            # Not to be loaded anew: another version beside CuPy's would be a risk.
            mode = 0 if windows else os.RTLD_NOLOAD | os.RTLD_NOW
            return ctypes.CDLL(name, mode=mode)
        except OSError:
            continue
    raise DeviceError(
        f"cuBLAS of CUDA {', '.join(map(str, _VERSIONS))} is not among the libraries "
        f"of this process, though CuPy {cupy().__version__} should have loaded it."
    )


class Blas:
    """A handle of cuBLAS on one stream of the current device.

    Parameters
    ----------
    stream : int
        Its address.
    """

    def __init__(self, stream: int) -> None:
        self._library = _library()
        handle = ctypes.c_void_p()
        self._call("Create_v2", ctypes.byref(handle))
        self._handle = handle
        self._call("SetStream_v2", handle, ctypes.c_void_p(stream))
        # Its own would be allocated while a step is captured.
        self._workspace = cupy().cuda.alloc(_WORKSPACE)
        address = ctypes.c_void_p(self._workspace.ptr)
        self._call("SetWorkspace_v2", handle, address, ctypes.c_size_t(_WORKSPACE))

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, f"cublas{name}")(*arguments)
        if status:
            raise DeviceError(f"cublas{name} failed with status {status}.")

    def product(
        self,
        dtype: str,
        precision: str,
        pointers: tuple[int, int, int],
        sizes: tuple[int, ...],
        add: bool = False,
    ) -> None:
        """Ask for C = A B of matrices in C order, or many of them.

        Parameters
        ----------
        dtype : {"float32", "float64"}
            Of all three.
        precision : {"highest", "tf32", "bf16"}
            Of products in float32.
        pointers : tuple of int
            Addresses of A, B and C.
        sizes : tuple of int
            m, n, k, the lengths of the stored rows of A, B and C, whether A and B are
            stored transposed, how many products, and the strides from one to the next.
        add : bool, default=False
            Add to what C holds.
        """
        m, n, k, lda, ldb, ldc, ta, tb, count, *strides = sizes
        if 0 in (m, n, count):
            return
        if max(m, n, k, lda, ldb, ldc, count) > _MOST:
            raise ShapeError(
                f"A product of {m} x {k} and {k} x {n} is too large for cuBLAS: "
                f"extents are at most {_MOST}."
            )
        kind, number = _TYPES[dtype]
        compute = _COMPUTE_FLOAT64 if dtype == "float64" else PRECISIONS[precision]
        one, beta = number(1.0), number(1.0 if add else 0.0)
        a, b, c = map(ctypes.c_void_p, pointers)
        # In the order of columns, which cuBLAS reads, C is B'A' of the same memory.
        ops = [_TRANSPOSED if t else _NO for t in (tb, ta)]
        head = self._handle, *ops, n, m, k, ctypes.byref(one)
        tail = compute, _DEFAULT_ALGORITHM
        if count == 1:
            factors: tuple[Any, ...] = b, kind, ldb, a, kind, lda
            result: tuple[Any, ...] = ctypes.byref(beta), c, kind, ldc
            self._call("GemmEx", *head, *factors, *result, *tail)
            return
        sa, sb, sc = map(ctypes.c_longlong, strides)
        factors = b, kind, ldb, sb, a, kind, lda, sa
        result = ctypes.byref(beta), c, kind, ldc, sc, count
        self._call("GemmStridedBatchedEx", *head, *factors, *result, *tail)
