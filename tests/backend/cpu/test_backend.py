"""Which function serves a product, and that equal specifications share a kernel."""

import numpy as np
import pytest

from skgrad.backend.base import Binding, KernelSpec, Operand, Output
from skgrad.backend.cpu import backend, cache, gemm
from skgrad.backend.cpu.driver import run

OWN, BLAS = (32, 64, 20), (512, 512, 512)  # m, n, k of float32, second one transposed


def sizes_of(m, n, k, batch=1):
    """Return the sizes of ``batch`` products of contiguous A and B transposed."""
    return (m, n, k, k, k, n, 0, 1, batch, m * k, n * k, m * n)


def spec(expression):
    vector = Operand("float64", "1")
    binding = Binding(expression, (0,), 1, "float64")
    return KernelSpec(1, (vector, vector), 1, (binding,), (Output(1, 1),))


def test_equal_specifications_share_a_kernel():
    address = backend.kernel(spec("({0} * half)"))
    before = cache.n_compiled() + cache.n_loaded()
    assert backend.kernel(spec("({0} * half)")) == address
    assert cache.n_compiled() + cache.n_loaded() == before


def test_another_dtype_is_another_instruction():
    names = [("float32", "int64"), ("float64", "int64")]
    addresses = {backend.instruction("take", dtypes, ())[0] for dtypes in names}
    assert len(addresses) == 2
    again = backend.instruction("take", names[0], (1, 2, 3, 4))
    assert again[0] in addresses
    assert again[1:] == ((), (1, 2, 3, 4))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("extents", [OWN, BLAS], ids=["own", "BLAS"])
def test_products(extents, batch, rng):
    m, n, k = extents
    sizes = sizes_of(m, n, k, batch)
    a = rng.normal(size=(batch, m, k)).astype("float32")
    b = rng.normal(size=(batch, n, k)).astype("float32")
    out = np.full((batch, m, n), np.nan, dtype="float32")
    space = np.zeros(
        backend.workspace("product", "float32", sizes) + 64, dtype=np.uint8
    )
    spaces = [space[-space.ctypes.data % 64 :]]
    address, extra, table = backend.instruction("product", ("float32",), sizes)
    places = [x.ctypes.data for x in (a, b, out, *([] if extra else spaces))]
    pointers, table = np.array([*places, *extra]), np.array(table)
    run(np.array([[address, pointers.ctypes.data, table.ctypes.data]]), 0, 1, 0, 1)
    expected = a.astype(float) @ b.astype(float).swapaxes(1, 2)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)


def test_own_products_have_a_workspace_and_those_of_blas_none():
    assert gemm.prefers_own("float32", *OWN, False, True)
    assert not gemm.prefers_own("float32", *BLAS, False, True)
    assert backend.workspace("product", "float32", sizes_of(*OWN)) >= 64
    assert backend.workspace("product", "float32", sizes_of(*BLAS)) == 0
    assert backend.workspace("product", "float32", sizes_of(*OWN, batch=2)) == 0


def test_an_unknown_instruction_has_no_function():
    with pytest.raises(KeyError, match="no_such_instruction"):
        backend.instruction("no_such_instruction", (), ())
