"""SciPy's BLAS by itself: the same functions, and a package that is whole later."""

import ctypes
import importlib.util
import subprocess
import sys
import textwrap
import types

import pytest
from scipy.linalg import cython_blas

from skgrad.backend.cpu import blas

NAMES = {"float32": "sgemm", "float64": "dgemm"}


def exported(name):
    """Return the address in SciPy's capsule, as ``ctypes`` reads it."""
    capsule = cython_blas.__pyx_capi__[name]
    read = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)
    named = read(("PyCapsule_GetName", ctypes.pythonapi))(capsule)
    get = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    return get(("PyCapsule_GetPointer", ctypes.pythonapi))(capsule, named)


@pytest.mark.parametrize("dtype", NAMES)
def test_addresses_are_those_scipy_exports(dtype):
    assert blas.blas_pointer(dtype) == exported(NAMES[dtype])


def run(script):
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_package_is_imported_whole_after_its_extension_was_loaded_alone():
    run(
        """
        import sys
        import numpy as np
        from skgrad.backend.cpu import blas, threads

        assert not blas.is_loaded()
        threads._libraries()  # without SciPy's, and remembered
        address = blas.blas_pointer("float64")
        assert blas.is_loaded()
        assert not any(name.startswith("scipy.linalg") for name in sys.modules)
        found = {library.filepath for library in sum(threads._libraries(), [])}

        import scipy.linalg
        import scipy.linalg.cython_blas
        import threadpoolctl
        assert scipy.linalg.cython_blas.__spec__.parent == "scipy.linalg"
        assert sys.modules["scipy.linalg.cython_blas"] is scipy.linalg.cython_blas
        x = np.arange(4.0).reshape(2, 2)
        assert (scipy.linalg.blas.dgemm(1.0, x, x) == x @ x).all()
        root = scipy.linalg.sqrtm(x @ x.T)  # in Cython, by this extension
        assert np.allclose(root @ root, x @ x.T)
        blas.blas_pointer.cache_clear()
        assert blas.blas_pointer("float64") == address
        libraries = threadpoolctl.ThreadpoolController().select(user_api="blas")
        assert found == {library.filepath for library in libraries.lib_controllers}
        """
    )


class Broken:
    """Loads nothing: the extension needs its package, say."""

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        raise ImportError("not alone")


@pytest.mark.parametrize(
    "spec",
    [None, importlib.util.spec_from_loader(blas._NAME, Broken())],
    ids=["not in a file", "not without its package"],
)
def test_what_cannot_be_loaded_alone_leaves_nothing_behind(monkeypatch, spec):
    finder = types.SimpleNamespace(find_spec=lambda *arguments: spec)
    monkeypatch.setattr(blas, "PathFinder", finder)
    monkeypatch.setitem(sys.modules, blas._NAME, cython_blas)  # restored at the end
    monkeypatch.setattr(blas, "_loaded_alone", [])
    with pytest.raises(ImportError):
        blas._alone()
    assert blas._loaded_alone == []


def test_where_the_extension_is_not_found_alone_it_comes_with_its_package():
    run(
        """
        import sys, types
        from skgrad.backend.cpu import blas

        blas.PathFinder = types.SimpleNamespace(find_spec=lambda *arguments: None)
        assert blas.blas_pointer("float32") > 0
        assert "scipy.linalg" in sys.modules
        """
    )
