"""The call of cuBLAS, with a product in the order of columns in its place."""

from types import SimpleNamespace

import numpy as np
import pytest
from backend.cuda.fake_cupy import ColumnOrder
from backend.cuda.simulated import multiply

from skgrad.backend.cuda import cublas
from skgrad.exceptions import DeviceError, ShapeError


@pytest.fixture
def blas(monkeypatch):
    memory = SimpleNamespace(ptr=64)
    cupy = SimpleNamespace(cuda=SimpleNamespace(alloc=lambda n_bytes: memory))
    monkeypatch.setattr(cublas, "cupy", lambda: cupy)
    monkeypatch.setattr(cublas, "_library", ColumnOrder)
    return cublas.Blas(0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("ta", [0, 1])
@pytest.mark.parametrize("tb", [0, 1])
@pytest.mark.parametrize("add", [False, True])
def test_products_of_matrices_in_c_order(blas, dtype, count, ta, tb, add):
    rng = np.random.default_rng(0)
    m, n, k, lda, ldb, ldc = 3, 4, 5, 7, 8, 6
    a, b, c = (rng.normal(size=(count, 9, ld)).astype(dtype) for ld in (lda, ldb, ldc))
    expected = c.copy()
    strides = 9 * lda, 9 * ldb, 9 * ldc
    sizes = (m, n, k, lda, ldb, ldc, ta, tb, count, *strides)
    places = [[x.ctypes.data for x in (a, b, out)] for out in (expected, c)]
    multiply(dtype, places[0], sizes, add)
    blas.product(dtype, "highest", tuple(places[1]), sizes, add)
    tol = 1e-6 if dtype == "float32" else 1e-14
    np.testing.assert_allclose(c, expected, rtol=tol, atol=tol)
    if not (ta or tb or add):
        np.testing.assert_allclose(
            c[:, :m, :n], a[:, :m, :k] @ b[:, :k, :n], rtol=tol, atol=tol
        )


def test_precision_is_that_of_float32_only(blas):
    x = np.eye(2)
    y = x.astype("float32")
    sizes = (2, 2, 2, 2, 2, 2, 0, 0, 1, 0, 0, 0)
    for dtype, array in (("float32", y), ("float64", x)):
        for precision in ("highest", "tf32", "bf16"):
            out = array.copy()
            places = array.ctypes.data, array.ctypes.data, out.ctypes.data
            blas.product(dtype, precision, places, sizes)
    # cublasComputeType_t: 32F, 32F_FAST_TF32, 32F_FAST_16BF, then 64F.
    assert blas._library.computed_in == [68, 77, 75, 70, 70, 70]


def test_products_too_large_for_the_library_are_refused(blas):
    sizes = (2**31, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 0)
    with pytest.raises(ShapeError, match="2147483648 x 1 and 1 x 1"):
        blas.product("float32", "highest", (0, 0, 0), sizes)


def test_a_status_is_an_error(blas):
    blas._library.cublasGemmEx = lambda *arguments: 13
    with pytest.raises(DeviceError, match="cublasGemmEx failed with status 13"):
        blas.product("float32", "highest", (0, 0, 0), (1,) * 6 + (0, 0, 1, 0, 0, 0))
