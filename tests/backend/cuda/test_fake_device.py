"""The device on what stands in for CuPy: all of it runs but CuPy itself."""

import functools
import gc
import sys

import numpy as np
import pytest
from backend.cuda.fake_cupy import ColumnOrder, FakeCupy, Memory
from backend.cuda.programs import made

from skgrad import ops
from skgrad.backend.cuda import backend, compiler, cublas
from skgrad.backend.cuda.device import CupyDevice
from skgrad.exceptions import DeviceError
from skgrad.executor import Rows, trace


@pytest.fixture
def fake(monkeypatch, tmp_path):
    made = FakeCupy()
    monkeypatch.setitem(sys.modules, "cupy", made)
    monkeypatch.setattr(cublas, "_library", lambda: ColumnOrder(made.streams))
    monkeypatch.setattr(compiler, "_store", functools.cache(lambda: None))
    for function in (backend.backend, backend._device):
        function.cache_clear()
    yield made
    for function in (backend.backend, backend._device):
        function.cache_clear()
    assert made.current == []


def test_steps_are_the_references(fake):
    case = made("float32 step")
    program = case.program.on("cuda:1")
    assert program.executor == "cuda:1"
    expected = case.run(case.program.on("reference"))
    for _ in range(2):
        for f, e in zip(case.run(program), expected, strict=True):
            assert (f.shape, f.dtype) == (e.shape, e.dtype)
            np.testing.assert_allclose(f, e, rtol=case.rtol, atol=case.rtol)
    compiled = fake.compiled
    assert 5 < len(compiled) < 30
    case.run(case.program.on("reference").on("cuda:1"))
    assert fake.compiled == compiled


def test_another_process_compiles_the_same_text(fake):
    first, second = np.zeros(3), np.zeros((2, 3))
    one, other = trace(lambda x: x + x, first), trace(lambda x: x.sum(axis=0), second)
    texts = []
    for programs in ((one, other), (other, one)):
        for function in (backend.backend, backend._device):
            function.cache_clear()
        fake.compiled.clear()
        for program in programs:
            program.on("cuda").run([np.zeros(v.shape) for v in program.graph.inputs])
        texts.append(sorted(fake.compiled))
    assert texts[0] == texts[1]
    assert len(set(texts[0])) == 3  # with the counter of steps


def test_its_memory_is_free_again(fake):
    def step(total, x):
        return total + x.sum(axis=0), ops.gram(x, x[:, 0])

    X = np.random.default_rng(0).normal(size=(5000, 3))
    program = trace(step, np.zeros(3), np.zeros((50, 3))).on("cuda")
    rows = np.arange(5000).reshape(100, 50)
    (total,), (grams,) = program.steps([np.zeros(3)], [], [Rows(X)], rows)
    np.testing.assert_allclose(total, X.sum(axis=0), rtol=1e-10)
    weighted = X[:50, :1] * X[:50]
    np.testing.assert_allclose(grams[0], X[:50].T @ weighted, rtol=1e-10)
    before = Memory.alive
    del X
    assert Memory.alive == before - 1
    del program  # its arena, and what was copied for a run
    gc.collect()
    assert Memory.alive == before - 3
    assert backend._device("cuda:0").free_bytes == 2**33


def test_a_device_that_is_not_there(fake):
    with pytest.raises(DeviceError, match="2 GPUs, from 'cuda:0' to 'cuda:1'"):
        CupyDevice("cuda:2")
    with pytest.raises(DeviceError, match="'cuda', or 'cuda:1' by number"):
        CupyDevice("gpu")
