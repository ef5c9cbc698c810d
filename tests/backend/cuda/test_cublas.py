"""The call of cuBLAS, with a product in the order of columns in its place."""

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest
from backend.cuda.simulated import multiply

from skgrad.backend.cuda import cublas
from skgrad.exceptions import DeviceError, ShapeError

TYPES = {0: np.float32, 1: np.float64}


def number(x):
    return getattr(x, "value", x)


class ColumnOrder:
    """What the two functions do by their documentation: C = alpha A B + beta C."""

    def __init__(self):
        self.computed_in = []

    def cublasCreate_v2(self, handle):  # noqa: N802 - its name
        handle._obj.value = 1
        return 0

    def cublasSetStream_v2(self, handle, stream):  # noqa: N802
        return 0

    def cublasSetWorkspace_v2(self, handle, address, n_bytes):  # noqa: N802
        return 0

    def cublasGemmEx(self, handle, ta, tb, m, n, k, alpha, *rest):  # noqa: N802
        a, kind, lda, b, kb, ldb, beta, c, kc, ldc, compute, algorithm = rest
        more = a, kind, lda, 0, b, kb, ldb, 0, beta, c, kc, ldc, 0, 1
        return self._many(ta, tb, m, n, k, alpha, *more, compute, algorithm)

    def cublasGemmStridedBatchedEx(  # noqa: N802
        self, handle, ta, tb, m, n, k, alpha, *rest
    ):
        return self._many(ta, tb, m, n, k, alpha, *rest)

    def _many(self, ta, tb, m, n, k, alpha, *rest):
        a, kind, lda, sa, b, kb, ldb, sb, beta, c, kc, ldc, sc, count, *how = rest
        assert kind == kb == kc
        assert how[1] == -1
        self.computed_in.append(how[0])
        dtype = TYPES[kind]

        def matrix(address, rows, columns, ld, stride, i):
            size = np.dtype(dtype).itemsize
            start = number(address) + number(stride) * i * size
            cells = ctypes.c_uint8 * (size * (ld * (columns - 1) + rows))
            flat = np.frombuffer(cells.from_address(start), dtype)
            return np.lib.stride_tricks.as_strided(
                flat, (rows, columns), (size, ld * size)
            )

        for i in range(count):
            x = matrix(a, *((k, m) if ta else (m, k)), lda, sa, i)
            y = matrix(b, *((n, k) if tb else (k, n)), ldb, sb, i)
            z = matrix(c, m, n, ldc, sc, i)
            x, y = (x.T if ta else x), (y.T if tb else y)
            z[...] = alpha._obj.value * (x @ y) + beta._obj.value * z
        return 0


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
