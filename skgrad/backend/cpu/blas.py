"""Addresses of SciPy's BLAS, without the 0.2 s that importing SciPy's algebra takes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from typing import Any

import scipy

__all__ = ["blas_pointer", "is_loaded"]

_NAME = "scipy.linalg.cython_blas"
_loaded_alone: list[Any] = []


def is_loaded() -> bool:
    """Return whether this process has SciPy's BLAS, from here or from elsewhere.

    Returns
    -------
    bool
        Once true, it stays so.

    Examples
    --------
    >>> from skgrad.backend.cpu import blas
    >>> address = blas.blas_pointer("float64")
    >>> blas.is_loaded()
    True
    """
    return bool(_loaded_alone) or "scipy.linalg" in sys.modules


@cache
def blas_pointer(dtype: str) -> int:
    """Return the address of SciPy's ``gemm`` for a dtype.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Of the matrices.

    Returns
    -------
    int
        Address of a function with Fortran's arguments and 32-bit integers.

    Examples
    --------
    >>> from skgrad.backend.cpu.blas import blas_pointer
    >>> blas_pointer("float64") > 0
    True
    """
    name = {"float32": "sgemm", "float64": "dgemm"}[dtype]
    capsule = _cython_blas().__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return int(api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule)))


def _cython_blas() -> Any:
    """Return the extension that exports BLAS, alone where its package is not there yet.

    Alone it takes 2 ms to load, with its package 180 ms.
    """
    if "scipy.linalg" not in sys.modules:
        with contextlib.suppress(ImportError):
            return _alone()
    from scipy.linalg import cython_blas  # noqa: PLC0415 - heavy

    return cython_blas


def _alone() -> Any:
    folders = [os.path.join(folder, "linalg") for folder in scipy.__path__]
    spec = PathFinder.find_spec(_NAME, folders)
    if spec is None or spec.loader is None:  # SciPy is not in files of its own
        raise ImportError(_NAME)
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    finally:
        # Its package will import it again, as a part of its own: the same module.
        sys.modules.pop(_NAME, None)
    _loaded_alone.append(module)
    return module
