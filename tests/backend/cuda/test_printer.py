"""Kernels as CUDA C: those of the CPU's tests, and what their text must be."""

import re

import numpy as np
import pytest
from backend.cpu import test_printer as cpu
from backend.cuda import host
from hypothesis import given, settings

from skgrad.backend.base import Binding, KernelSpec, Operand, Output
from skgrad.backend.cuda.launch import SIDE_BY_SIDE
from skgrad.backend.cuda.printer import module, source


@pytest.fixture(autouse=True)
def on_the_host(monkeypatch):
    host.compiler()
    monkeypatch.setattr(cpu, "call", host.call_kernel)


test_strides_of_every_class = cpu.test_strides_of_every_class
test_a_scalar_and_bools = cpu.test_a_scalar_is_computed_once_and_bools_are_bytes
test_reductions_over_any_loops = cpu.test_reductions_over_any_loops
test_backwards_and_extents_of_one = cpu.test_backwards_and_extents_of_one_and_none
test_integers_bools_and_casts = cpu.test_integers_bools_and_casts
test_values_are_computed_at_their_depth = cpu.test_values_are_computed_at_their_depth
test_without_loops = cpu.test_without_loops
test_not_a_number_wins_a_maximum = cpu.test_not_a_number_wins_a_maximum
test_updates_in_place = cpu.test_updates_in_place
test_arrays_change_places = cpu.test_arrays_change_places


# Enough for every shape of a reduction: few and many elements, of few and many.
SHAPES = [(1, 100_000), (3, 30_001), (40, 5_000), (3_000, 40), (70_001, 2), (257, 256)]


@pytest.mark.parametrize("over", [(0,), (1,), (0, 1)])
def test_reductions_of_many_elements(over, rng):
    letters = "".join("0" if k in over else "s" for k in range(2))
    target = Operand("float32", letters)
    spec = KernelSpec(
        2,
        (Operand("float32", "s1"), target, target, Operand("float32", "s1")),
        1,
        (Binding("({0} * {0})", (0,), 2, "float32"),),
        (Output(0, 1, "sum", over), Output(1, 2, "max", over), Output(1, 3)),
    )
    for shape in SHAPES:
        x = rng.normal(size=shape).astype("float32")
        outs = [np.full([1 if k in over else n for k, n in enumerate(shape)], np.nan)]
        outs = [outs[0].astype("float32"), outs[0].astype("float32")]
        square = np.zeros_like(x)
        host.call_kernel(spec, [x, *outs, square], shape)
        total = x.sum(axis=over, keepdims=True, dtype="float64")
        size = np.abs(x).sum(axis=over, keepdims=True, dtype="float64")
        # A sum of n numbers in pairs: Higham (2002), Accuracy and Stability of
        # Numerical Algorithms, section 4.2, with some dozens of them in a row.
        assert (np.abs(outs[0] - total) <= 64 * 2.0**-24 * size).all()
        np.testing.assert_array_equal(outs[1], (x * x).max(axis=over, keepdims=True))
        np.testing.assert_array_equal(square, x * x)


def test_what_is_stored_in_place_is_read_before(rng):
    """A sum and a scalar's update see the old numbers."""
    spec = KernelSpec(
        1,
        (Operand("float64", "1"), Operand("float64", "0"), Operand("float64", "0")),
        2,
        (
            Binding("({0} * {1})", (0, 1), 1, "float64"),
            Binding("({0} + {0})", (1,), 0, "float64"),
        ),
        (Output(3, 1), Output(2, 0), Output(0, 2, "sum", (0,))),
    )
    x, scale, total = rng.normal(size=3000), np.array([3.0]), np.zeros(1)
    before = x.copy()
    host.call_kernel(spec, [x, scale, total], (3000,))
    np.testing.assert_array_equal(x, before * 3.0)
    np.testing.assert_allclose(total, before.sum(), rtol=1e-12)
    assert scale == 6.0


def test_a_binding_of_another_dtype_is_an_error():
    vector = Operand("float32", "1")
    wrong = Binding("({0} * {0})", (0,), 1, "float64")
    spec = KernelSpec(1, (vector, vector), 1, (wrong,), (Output(1, 1),))
    with pytest.raises(TypeError, match=r"computes float32.*says float64.*Cast it"):
        source(spec)


NO_FLOAT64 = re.compile(r"\bdouble\b|0x[0-9a-f.]+p[+-]\d+(?!\d*f)|\b\d+\.\d+(?!\d*f)")
FAST = re.compile(r"\b__\w*(exp|log|sin|cos|pow|div|rcp|sqrt|tanh)\w*|\batomic\w*")


@pytest.mark.parametrize("name", cpu.VECTORISED)
def test_kernels_are_single_precision_and_exact(name):
    text = source(cpu.VECTORISED[name])
    assert not NO_FLOAT64.search(text)
    assert not FAST.search(text)


def test_devices_compute_as_ieee_754_says(tmp_path):
    """Subnormal numbers count, quotients and roots are correctly rounded."""
    texts = [source(spec, f"k{i}") for i, spec in enumerate(cpu.VECTORISED.values())]
    path = tmp_path / "kernels"
    assert host.device_code(module(texts), path, "-ptx", "-arch=sm_80") == ""
    code = path.read_text()
    assert {"fma.rn.f32", "div.rn.f32", "sqrt.rn.f32"} <= set(
        re.findall(r"[\w.]+", code)
    )
    assert not re.search(r"\.ftz|\.approx|\.full|\.f64\b|\batom", code)


def test_a_thread_reads_some_elements_before_it_stores_one(tmp_path):
    """Updates in place as well: memory is waited for once, and divided is nothing."""
    matrix, row = Operand("float32", "s1"), Operand("float32", "01")
    total = Binding("({0} + {1})", (0, 1), 2, "float32")
    spec = KernelSpec(2, (matrix, row), 2, (total,), (Output(2, 0),))
    path = tmp_path / "kernel"
    assert host.device_code(module([source(spec)]), path, "-ptx", "-arch=sm_80") == ""
    loop = path.read_text().rpartition("ld.param")[2].rpartition("div.")[2]
    accesses = re.findall(r"\b(ld|st)\.global", loop)
    assert accesses == ["ld"] * 2 * SIDE_BY_SIDE + ["st"] * SIDE_BY_SIDE


def test_nothing_in_a_kernel_is_a_size():
    assert source(cpu.ADAM) == source(cpu.ADAM)
    assert not re.search(r"\b(1001|71000)\b", source(cpu.ADAM))


@given(cpu.kernels())
@settings(max_examples=3)
def test_random_kernels(drawn):
    spec, arrays, extents = drawn
    cpu.check(spec, arrays, extents, rtol=1e-4 if arrays[0].itemsize == 4 else 1e-11)


@pytest.mark.long
@given(cpu.kernels())
@settings(max_examples=100)
def test_many_random_kernels(drawn):
    spec, arrays, extents = drawn
    cpu.check(spec, arrays, extents, rtol=1e-4 if arrays[0].itemsize == 4 else 1e-11)
