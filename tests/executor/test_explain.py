"""What a program says of itself: instructions, sizes, what was not compiled and why."""

import inspect

import numpy as np
import pytest

from skgrad import ops
from skgrad.backend.cpu import gemm
from skgrad.executor import trace


@pytest.fixture(autouse=True)
def by_blas(monkeypatch):
    """Leave products to BLAS: which are ours, with a workspace, the processor says."""
    monkeypatch.setattr(gemm, "prefers_own", lambda *_: False)


def net(w, b, x):
    h = ops.tanh(x @ w + b)
    return ops.sum(h * h), ops.transpose(h)


def ordered(x):
    h = ops.tanh(x)
    order = ops.argsort(h, -1)
    return ops.sum(ops.take(h, order, axis=0))


def network():
    return trace(net, np.zeros((5, 4)), np.zeros(4), np.zeros((6, 5))).on("cpu")


def line_of(function, text):
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if text in line)


def test_every_instruction_is_a_line():
    # Bytes: 6 x 5 + 5 x 4 + 6 x 4 numbers of eight; 6 x 4 + 4 + 6 x 4 + 1; twice 6 x 4.
    # Operations: 2 x 6 x 5 x 4; one of each of four for each of 6 x 4.
    assert str(network()).splitlines() == [
        "net(float64[5, 4], float64[4], float64[6, 5])",
        "    0  scratch0 = product(input2, input0) A B, 6 x 5 x 4; 592 B, 240 flop",
        "    1  scratch1, output0 = kernel add tanh multiply sum(scratch0, input1) "
        "over [6, 4]; 424 B, 96 flop",
        "    2  output1 = kernel copy(scratch1) over [4, 6]; 384 B",
        "  return float64[], float64[4, 6]",
        "  arena 192 B",
    ]


def test_what_was_fused_and_what_was_not():
    where = f"test_explain.py:{line_of(net, 'h * h')} in net"
    first, fused, copied = network().explain().splitlines()
    assert "3 instructions" in first
    assert "of 4 operations" in first
    assert first.endswith(", 0 reference instructions.")
    assert fused.startswith("fused over [6, 4]: add tanh multiply sum (")
    assert fused.endswith(f"{where})")
    assert copied.startswith("copied [4, 6]: ")


def test_a_transposed_factor_is_a_flag_and_no_copy():
    x = np.zeros((6, 5))
    program = trace(lambda x: ops.transpose(x) @ x, x).on("cpu")
    assert "output0 = product(input0) A' B, 5 x 6 x 5; 440 B" in str(program)
    assert ", 0 copies, " in program.explain()


def test_a_batch_of_products_says_how_many():
    def products(x, y):
        return x @ y

    program = trace(products, np.zeros((7, 2, 3)), np.zeros((7, 3, 4))).on("cpu")
    assert "A B, 2 x 3 x 4 x 7; 1.42 KiB, 336 flop" in str(program)


def test_large_sizes_have_large_units():
    program = trace(lambda x: ops.tanh(x) * x, np.zeros((600, 500))).on("cpu")
    assert "multiply(input0) over [600, 500]; 4.58 MiB, 6e+05 flop" in str(program)


def test_a_reference_instruction_names_its_reason_and_the_line():
    program = trace(ordered, np.zeros(6)).on("cpu")
    assert "1 = reference argsort(" in str(program)
    explanation = program.explain()
    assert "1 reference instructions." in explanation
    (why,) = [s for s in explanation.splitlines() if s.startswith("reference: ")]
    assert "argsort has no compiled instruction for float64[6]" in why
    assert f"test_explain.py:{line_of(ordered, 'argsort')} in ordered" in why


def test_on_the_reference_executor():
    program = network().on("reference")
    n = len(program.graph.equations)
    assert program.explain() == (
        f"The reference executor runs {n} equations with NumPy, one by one; nothing is "
        "fused."
    )
    assert str(program) == str(program.graph)
    assert "tanh" in str(program)
