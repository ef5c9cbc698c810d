"""Pivots one by one against the same in NumPy: everything they write."""

import ctypes
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from skgrad.backend.cpu import engine, gemm_plan, pivots, pivots_code
from skgrad.backend.cpu.pivots import End
from skgrad.solvers import TiltedRows, vertex

MACHINES = {
    "free masks": replace(gemm_plan.AVX512, vector_bytes=32),
    "avx2": gemm_plan.AVX2,
    "sse": gemm_plan.SSE,
}


@cache
def kernel(name):
    """Return the code for a machine; this one runs it, whatever it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pivots_code, "host", lambda: MACHINES[name])
        code = engine.compiled(pivots_code.source())
    types = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    return ctypes.CFUNCTYPE(None, *types)(engine.loaded(code, "kernel"))


OTHERS = [pytest.param(name, marks=pytest.mark.long) for name in MACHINES]


@pytest.fixture(params=["host", *OTHERS])
def machine(request, monkeypatch):
    if request.param in MACHINES:
        monkeypatch.setattr(pivots, "_code", lambda: kernel(request.param))
    return request.param


def descents(m, q, monkeypatch):
    """Return the same descent for NumPy and for compiled pivots, in step."""
    rng = np.random.default_rng([m, q])
    A = rng.normal(size=(m, q))
    y = A @ rng.normal(size=q) + rng.standard_t(3, size=m)
    up, down = rng.uniform(0.1, 1.0, (2, m))
    up[::5] = down[::5] = 0.0
    rows = TiltedRows(A, y, up, down, np.zeros(q))
    both = [vertex._Descent(rows, np.arange(q), 1000) for _ in range(2)]
    for descent in both:
        descent.refresh(keep_ties=False)
    monkeypatch.setattr(vertex, "COMPILED_FROM", sys.maxsize)
    return both


@pytest.mark.parametrize("q", [1, 2, 4, 7, 8, 9, 17])
@pytest.mark.parametrize("m", [20, 63, 64, 65, 300])
def test_every_pivot_is_that_of_numpy(machine, m, q, monkeypatch):
    numpy, compiled = descents(m, q, monkeypatch)
    for _ in range(200):
        end = numpy.pivots(1)
        assert compiled.compiled_pivots(1) is end
        for name in ("n_pivots", "stalled"):
            assert getattr(compiled, name) == getattr(numpy, name)
        for name in ("basis", "side"):
            np.testing.assert_array_equal(getattr(compiled, name), getattr(numpy, name))
        for name in ("away", "edges", "pull", "basic_dual"):
            actual, desired = getattr(compiled, name), getattr(numpy, name)
            bound = 1e-9 * max(1.0, np.abs(desired).max())
            np.testing.assert_allclose(actual, desired, rtol=0, atol=bound)
        if end is not End.ENOUGH:
            break
    assert end is End.NO_ROW


def test_not_a_number_ends(monkeypatch):
    _, compiled = descents(100, 3, monkeypatch)
    compiled.away[:] = np.nan
    assert compiled.compiled_pivots(5) is End.NO_EDGE_END
    compiled.pull[:] = np.nan
    assert compiled.compiled_pivots(5) is End.NO_ROW


def test_source_lets_no_sum_be_reordered():
    words = set(pivots_code.source().replace("(", " ").split())
    assert words.isdisjoint({"fast", "nnan", "ninf", "nsz", "arcp", "reassoc"})
