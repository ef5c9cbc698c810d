"""What the executor asks of this backend: addresses of functions, and to run them."""

from __future__ import annotations

from typing import Any

from skgrad.backend.base import KernelSpec
from skgrad.backend.cpu import cache as kernels
from skgrad.backend.cpu import gemm, gram
from skgrad.backend.cpu.blas import blas_pointer
from skgrad.backend.cpu.driver import run

__all__ = ["instruction", "kernel", "run", "workspace"]

# Printers are imported where a kernel is compiled: a process that finds all its object
# code on disk never loads them.


def kernel(spec: KernelSpec) -> int:
    """Return the address of the function of a kernel.

    Parameters
    ----------
    spec : KernelSpec
        What it computes.

    Returns
    -------
    int
        Valid as long as the process.
    """

    def source() -> str:
        from skgrad.backend.cpu import printer  # noqa: PLC0415 - see above

        return printer.source(spec)

    return kernels.function(repr(spec), source)


def _library(name: str, *dtypes: str) -> int:
    def source() -> str:
        from skgrad.backend.cpu import library, sparse  # noqa: PLC0415 - see above

        return (library.LIBRARY | sparse.SPARSE)[name](*dtypes)

    return kernels.function(" ".join((name, *dtypes)), source)


def instruction(
    name: str, dtypes: tuple[str, ...], sizes: tuple[int, ...]
) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Return what calls an instruction that is not a kernel.

    Parameters
    ----------
    name : str
        The instruction.
    dtypes : tuple of str
        Dtypes of its operands, where it needs them.
    sizes : tuple of int
        Its sizes.

    Returns
    -------
    function : int
        Address of the function.
    pointers : tuple of int
        Addresses to pass after those of the operands.
    sizes : tuple of int
        What the function takes as sizes.
    """
    if name == "product":
        return _product(dtypes[0], sizes)
    if name == "gram":
        (dtype,) = dtypes
        address = kernels.function(f"gram {dtype}", lambda: gram.source(dtype))
        return address, (), sizes
    return _library(name, *dtypes), (), sizes


def _product(
    dtype: str, sizes: tuple[int, ...]
) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    if _is_own(dtype, sizes):
        address = kernels.function(f"gemm {dtype}", lambda: gemm.source(dtype))
        return address, (), gemm.sizes(dtype, *_arguments(sizes))
    return _library("blas_gemm", dtype), (blas_pointer(dtype),), sizes


def _is_own(dtype: str, sizes: tuple[int, ...]) -> bool:
    m, n, k, _, _, _, ta, tb, batch, *_ = sizes
    return batch == 1 and gemm.prefers_own(dtype, m, n, k, bool(ta), bool(tb))


def _arguments(sizes: tuple[int, ...]) -> tuple[Any, ...]:
    m, n, k, lda, ldb, ldc, ta, tb, *_ = sizes
    return m, n, k, bool(ta), bool(tb), lda, ldb, ldc


def workspace(name: str, dtype: str, sizes: tuple[int, ...]) -> int:
    """Return how many bytes a product needs beside its operands.

    Parameters
    ----------
    name : {"product", "gram"}
        The instruction.
    dtype : {"float32", "float64"}
        Of the matrices.
    sizes : tuple of int
        Of a product: m, n, k, the lengths of the stored rows of A, B and C, whether A
        and B are transposed, how many products, and the strides from one to the next.

    Returns
    -------
    int
        Bytes; 0 for products that BLAS computes.
    """
    if name == "gram":
        return gram.workspace_bytes()
    if not _is_own(dtype, sizes):
        return 0
    # A place of its own even where no byte is used: the function takes four pointers.
    return max(64, gemm.workspace_bytes(dtype, *_arguments(sizes)))
