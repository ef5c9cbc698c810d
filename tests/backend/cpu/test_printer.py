"""Compiled kernels against kernels run one turn at a time in Python."""

import re

import numpy as np
import pytest
from backend.cpu import interpreter
from hypothesis import given, settings
from hypothesis import strategies as st

from skgrad.backend.base import Binding, KernelSpec, Operand, Output
from skgrad.backend.cpu import engine, printer
from skgrad.backend.cpu.backend import kernel
from skgrad.backend.cpu.driver import run


def call(spec, arrays, extents):
    """Run the compiled kernel on arrays with one axis per loop."""
    pointers = np.array([a.ctypes.data for a in arrays], dtype=np.int64)
    strides = [
        array.strides[k] // array.itemsize
        for array, operand in zip(arrays, spec.operands, strict=True)
        for k, letter in enumerate(operand.strides)
        if letter == "s"
    ]
    sizes = np.array([*extents, *strides, 0], dtype=np.int64)
    record = [kernel(spec), pointers.ctypes.data, sizes.ctypes.data]
    run(np.array([record]), 0, 1, 0, 1)


def check(spec, arrays, extents, rtol=1e-12):
    """Compare a kernel with the interpreter; return the arrays it wrote."""
    expected = [a.copy(order="K") for a in arrays]
    interpreter.run(spec, expected, extents)
    call(spec, arrays, extents)
    for found, value in zip(arrays, expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=rtol, atol=rtol)
    return arrays


def floats(rng, *shape, dtype="float64"):
    return rng.normal(size=shape).astype(dtype)


def test_strides_of_every_class(rng):
    spec = KernelSpec(
        2,
        (
            Operand("float64", "s1"),
            Operand("float64", "01"),
            Operand("float64", "s0"),
            Operand("float64", "ss"),
        ),
        3,
        (Binding("(({0} * {1}) - {2})", (0, 1, 2), 2, "float64"),),
        (Output(3, 3),),
    )
    target = np.zeros((14, 10))[::-2, ::-2]
    arrays = [floats(rng, 7, 5), floats(rng, 1, 5), floats(rng, 7, 2)[:, :1], target]
    check(spec, arrays, (7, 5))
    assert (target != 0).all()
    assert not target.base[::2].any()  # what lies between is left alone


def test_a_scalar_is_computed_once_and_bools_are_bytes(rng):
    spec = KernelSpec(
        1,
        (
            Operand("float32", "1"),
            Operand("float32", "0"),
            Operand("bool", "1"),
            Operand("bool", "1"),
            Operand("float32", "1"),
        ),
        3,
        (
            Binding("exp({0})", (1,), 0, "float32"),
            Binding("logical_and(greater({0}, {1}), {2})", (0, 3, 2), 1, "bool"),
            Binding("where({0}, {1}, zero)", (4, 0), 1, "float32"),
        ),
        (Output(4, 3), Output(5, 4)),
    )
    x = floats(rng, 37, dtype="float32") + 1
    flags = rng.integers(0, 2, size=37).astype(bool)
    scale = np.array([0.1], dtype="float32")
    arrays = [x, scale, flags, np.zeros(37, bool), np.zeros_like(x)]
    check(spec, arrays, (37,), rtol=1e-6)


OVER = [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)]


@pytest.mark.parametrize(
    ("reduction", "over"),
    [*(("sum", over) for over in OVER), ("max", (0, 2)), ("prod", (1,)), ("max", (2,))],
)
def test_reductions_over_any_loops(reduction, over, rng):
    letters = "".join("0" if k in over else "s" for k in range(3))
    spec = KernelSpec(
        3,
        (Operand("float64", "ss1"), Operand("float64", letters)),
        1,
        (),
        (Output(0, 1, reduction, over),),
    )
    for extents in ((3, 4, 5), (2, 1, 19), (3, 0, 2), (0, 2, 2), (2, 2, 0)):
        shape = [1 if k in over else n for k, n in enumerate(extents)]
        arrays = [floats(rng, *extents), np.full(shape, np.nan)]
        check(spec, arrays, extents)


def test_backwards_and_extents_of_one_and_none(rng):
    spec = KernelSpec(
        2, (Operand("float64", "ss"), Operand("float64", "s1")), 1, (), (Output(0, 1),)
    )
    for extents in ((6, 5), (1, 5), (6, 1), (1, 1), (0, 5), (6, 0)):
        source = floats(rng, *extents)[::-1, ::-1]
        assert source.size == 0 or source.strides[0] < 0 or extents[0] == 1
        (_, copy) = check(spec, [source, np.zeros(extents)], extents)
        np.testing.assert_array_equal(copy, source)


def test_integers_bools_and_casts(rng):
    spec = KernelSpec(
        1,
        (
            *(Operand("int32", "1"), Operand("uint8", "1"), Operand("bool", "1")),
            *(Operand("float64", "1"), Operand("int64", "0"), Operand("uint8", "0")),
            *(Operand("bool", "0"), Operand("bool", "0"), Operand("int32", "0")),
        ),
        3,
        (
            Binding("cast({0}, float64)", (0,), 1, "float64"),
            Binding("cast({0}, int64)", (0,), 1, "int64"),
            Binding("({0} * {0})", (4,), 1, "int64"),
            Binding("logical_or(cast({0}, bool), {1})", (1, 2), 1, "bool"),
        ),
        (
            *(Output(3, 3), Output(5, 4, "sum", (0,)), Output(1, 5, "max", (0,))),
            *(Output(2, 6, "max", (0,)), Output(6, 7, "prod", (0,))),
            Output(0, 8, "max", (0,)),
        ),
    )
    for n, flags in ((50, 0), (50, 1), (3, 1), (1, 0), (0, 0)):
        arrays = [
            rng.integers(-(2**31), -1, size=n).astype("int32"),
            rng.integers(0, 256, size=n).astype("uint8"),
            np.full(n, bool(flags)),
            *(np.zeros(n), np.zeros(1, "int64"), np.zeros(1, "uint8")),
            *(np.zeros(1, bool), np.zeros(1, bool), np.zeros(1, "int32")),
        ]
        wanted = [a.copy() for a in arrays]
        interpreter.run(spec, wanted, (n,))
        call(spec, arrays, (n,))
        for found, value in zip(arrays, wanted, strict=True):
            np.testing.assert_array_equal(found, value)


def test_values_are_computed_at_their_depth(rng):
    spec = KernelSpec(
        2,
        (
            *(Operand("float64", "00"), Operand("float64", "10")),
            *(Operand("float64", "s1"), Operand("float64", "10")),
            *(Operand("float64", "s1"), Operand("float64", "00")),
        ),
        3,
        (
            Binding("({0} * {0})", (0,), 0, "float64"),
            Binding("({0} + {1})", (1, 3), 1, "float64"),
            Binding("({0} * {1})", (2, 4), 2, "float64"),
        ),
        (Output(4, 3), Output(5, 4), Output(5, 5, "sum", (0, 1))),
    )
    arrays = [floats(rng, 1, 1), floats(rng, 4, 1), floats(rng, 4, 9)]
    made = [np.zeros((4, 1)), np.zeros((4, 9)), np.full((1, 1), np.nan)]
    check(spec, [*arrays, *made], (4, 9))


def test_without_loops(rng):
    spec = KernelSpec(
        0,
        (Operand("float32", ""), Operand("float32", ""), Operand("float32", "")),
        2,
        (Binding("({0} - {1})", (0, 1), 0, "float32"),),
        (Output(2, 1), Output(2, 2, "sum", ())),
    )
    arrays = [np.array(x, "float32") for x in (5, 2, 0)]
    assert [a.item() for a in check(spec, arrays, ())] == [5, 3, 3]


def test_a_binding_of_another_dtype_is_an_error():
    spec = KernelSpec(
        1,
        (Operand("float32", "1"), Operand("float64", "1")),
        1,
        (Binding("({0} * {0})", (0,), 1, "float64"),),
        (Output(1, 1),),
    )
    with pytest.raises(TypeError, match=r"computes float32.*says float64.*Cast it"):
        printer.source(spec)


def test_not_a_number_wins_a_maximum(rng):
    spec = KernelSpec(
        1,
        (Operand("float32", "1"), Operand("float32", "0")),
        1,
        (),
        (Output(0, 1, "max", (0,)),),
    )
    x = floats(rng, 100, dtype="float32")
    x[63] = np.nan
    out = np.zeros(1, "float32")
    call(spec, [x, out], (100,))
    assert np.isnan(out[0])


ADAM = KernelSpec(
    1,
    (Operand("float32", "1"),) * 4 + (Operand("float32", "0"),) * 3,
    7,
    (
        Binding("(({0} * {1}) + ({2} * (one - {1})))", (1, 4, 3), 1, "float32"),
        Binding("(({0} * {1}) + (({2} * {2}) * (one - {1})))", (2, 5, 3), 1, "float32"),
        Binding("({0} - ({1} / (sqrt({2}) + {3})))", (0, 7, 8, 6), 1, "float32"),
    ),
    (Output(9, 0), Output(7, 1), Output(8, 2)),
)


def test_updates_in_place(rng):
    arrays = [abs(floats(rng, 1001, dtype="float32")) for _ in range(4)]
    scalars = [np.array([x], "float32") for x in (0.9, 0.999, 1e-3)]
    check(ADAM, [*arrays, *scalars], (1001,), rtol=1e-5)


def test_a_choice_in_place_is_no_masked_store(rng):
    flags, row = Operand("bool", "1"), Operand("float32", "1")
    binding = Binding("where({0}, zero, {1})", (0, 1), 1, "float32")
    spec = KernelSpec(1, (flags, row), 2, (binding,), (Output(2, 1),))
    x = floats(rng, 37, dtype="float32")
    check(spec, [rng.random(37) < 0.5, x], [37])
    module = engine.optimized(printer.source(spec))
    assert re.search(r"<\d+ x float> @llvm.canonicalize", str(module))  # vectorised
    assert "maskmov" not in engine._machine().emit_assembly(module)


def test_arrays_change_places(rng):
    """The old element is read, wherever it is read, before any is written."""
    both = (Operand("float64", "1"),) * 2
    spec = KernelSpec(1, both, 2, (), (Output(1, 0), Output(0, 1)))
    x, y = floats(rng, 37), floats(rng, 37)
    old = x.copy(), y.copy()
    call(spec, [x, y], (37,))
    np.testing.assert_array_equal(x, old[1])
    np.testing.assert_array_equal(y, old[0])


VECTORISED = {
    "elementwise": KernelSpec(
        1,
        (Operand("float32", "1"),) * 3,
        2,
        (Binding("({0} * tanh({1}))", (0, 1), 1, "float32"),),
        (Output(2, 2),),
    ),
    "bias and mask": KernelSpec(
        2,
        (
            *(Operand("float32", "s1"), Operand("float32", "01")),
            *(Operand("bool", "s1"), Operand("float32", "s1")),
        ),
        2,
        (
            Binding("({0} + {1})", (0, 1), 2, "float32"),
            Binding("less_equal({0}, zero)", (2,), 2, "bool"),
            Binding("where({0}, zero, {1})", (3, 2), 2, "float32"),
        ),
        (Output(3, 2), Output(4, 3)),
    ),
    "sum of each row": KernelSpec(
        2,
        (Operand("float32", "s1"), Operand("float32", "10")),
        1,
        (),
        (Output(0, 1, "sum", (1,)),),
    ),
    "sum of each column": KernelSpec(
        2,
        (Operand("float32", "s1"), Operand("float32", "01")),
        1,
        (),
        (Output(0, 1, "sum", (0,)),),
    ),
    "maximum": KernelSpec(
        1,
        (Operand("float32", "1"), Operand("float32", "0")),
        1,
        (),
        (Output(0, 1, "max", (0,)),),
    ),
    "adam": ADAM,
}


@pytest.mark.parametrize("name", VECTORISED)
def test_kernels_are_vectorised_single_precision_and_call_nothing(name):
    text = str(engine.optimized(printer.source(VECTORISED[name])))
    assert re.search(r"<\d+ x float>", text)
    # That operands do not overlap is known, and not looked at in each call.
    assert "vector.body" in text
    assert "vector.memcheck" not in text
    words = set(re.findall(r"\w+", text))
    assert not words & {"double", "fast", "nnan", "ninf", "malloc", "alloca"}
    called = re.findall(r"call [^@]*@([\w.]+)", text)
    assert all(function.startswith("llvm.") for function in called), called


def test_nothing_in_a_kernel_is_a_size():
    assert printer.source(ADAM) == printer.source(ADAM)
    assert not re.search(r"\b(1001|71000)\b", printer.source(ADAM))


# --- random kernels -------------------------------------------------------------------

UNARY = ("({0} * {0})", "(-{0})", "absolute({0})", "maximum({0}, half)")
BINARY = ("({0} + {1})", "({0} - {1})", "where(less({0}, {1}), {0}, {1})")


@st.composite
def kernels(draw):
    """Return a specification, its arrays and extents."""
    rank = draw(st.integers(0, 3))
    extents = tuple(draw(st.sampled_from([0, 1, 2, 3, 9])) for _ in range(rank))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    operands, arrays = [], []

    def operand(moves):
        shape = [n if m else 1 for n, m in zip(extents, moves, strict=True)]
        gap = draw(st.sampled_from([1, 1, 2]))
        array = rng.normal(size=[*shape[:-1], *[n * gap for n in shape[-1:]]])
        array = array.astype(dtype)
        array = array[..., ::gap] if rank else array
        contiguous = rank > 0 and gap == 1
        letters = ["s" if m else "0" for m in moves]
        if contiguous and moves[-1]:
            letters[-1] = "1"
        operands.append(Operand(dtype, "".join(letters)))
        arrays.append(array)
        return len(operands) - 1

    n_reads = draw(st.integers(1, 3))
    for _ in range(n_reads):
        operand([draw(st.booleans()) for _ in range(rank)])
    bindings = []
    for _ in range(draw(st.integers(1, 4))):
        count = n_reads + len(bindings)
        text = draw(st.sampled_from(UNARY + BINARY))
        arguments = tuple(
            draw(st.integers(0, count - 1)) for _ in range(1 + (text in BINARY))
        )
        bindings.append(Binding(text, arguments, rank, dtype))
    outputs = []
    for _ in range(draw(st.integers(1, 3))):
        value = n_reads + draw(st.integers(0, len(bindings) - 1))
        over = tuple(k for k in range(rank) if draw(st.booleans()))
        name = draw(st.sampled_from(["sum", "max"])) if over else ""
        target = operand([k not in over for k in range(rank)])
        outputs.append(Output(value, target, name, over))
    spec = KernelSpec(rank, tuple(operands), n_reads, tuple(bindings), tuple(outputs))
    return spec, arrays, extents


@given(kernels())
@settings(max_examples=3)
def test_random_kernels(drawn):
    spec, arrays, extents = drawn
    check(spec, arrays, extents, rtol=1e-4 if arrays[0].itemsize == 4 else 1e-11)


@pytest.mark.long
@given(kernels())
@settings(max_examples=500)
def test_many_random_kernels(drawn):
    spec, arrays, extents = drawn
    check(spec, arrays, extents, rtol=1e-4 if arrays[0].itemsize == 4 else 1e-11)
