"""Tracing: what is recorded, what is refused and how it is reported."""

import gc
import inspect
import threading
import tracemalloc

import numpy as np
import pytest

import skgrad
from skgrad import functional, ops
from skgrad.exceptions import DTypeError, GradientError, ShapeError, TraceError
from skgrad.executor import trace, verify

X = np.linspace(0.1, 1.0, 6).reshape(2, 3)


def line_of(function, text):
    """Return the number of the line of a function's source that contains a text."""
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if text in line)


def names(program):
    return [equation.primitive.name for equation in program.graph.equations]


def test_a_trace_computes_what_the_function_computes():
    def f(x, y):
        return {"a": ops.tanh(x @ y), "b": [x.sum(0), None, (y * 2.0,)]}

    y = np.ones((3, 2))
    program = trace(f, np.zeros((2, 3)), np.zeros((3, 2)))
    verify(program.graph)
    out, expected = program(X, y), f(skgrad.tensor(X), skgrad.tensor(y))
    np.testing.assert_array_equal(out["a"], expected["a"].numpy())
    np.testing.assert_array_equal(out["b"][0], expected["b"][0].numpy())
    assert out["b"][1] is None
    assert isinstance(out["b"][2], tuple)


def test_nothing_is_computed_and_no_value_is_kept():
    seen = []

    def f(x):
        seen.append(x)
        return x * 2.0

    program = trace(f, X)
    (tensor,) = seen
    assert tensor.is_traced
    assert (tensor.shape, tensor.dtype, tensor.ndim) == ((2, 3), np.float64, 2)
    assert "traced" in repr(tensor)
    assert str(program) == (
        "f(%0: float64[2, 3])\n"
        "  %1: float64[] = constant 2.0\n"
        "  %2: float64[2, 3] = multiply(%0, %1)\n"
        "  return %2"
    )


def branch(x):
    if x.sum() > 0:  # the branch
        return x
    return -x


def loop(x):
    while ops.sum(x) < 10:  # the loop
        x = x * 2.0
    return x


def conversion(x):
    return x * float(x.sum())  # the conversion


def to_numpy(x):
    return x + np.asarray(x).mean()  # to NumPy


def mask(x):
    return x[x > 0.5]  # the mask


def item(x):
    scale = x[0, 0].item()  # the item
    return x * scale


def formatted(x):
    return x * len(f"{x.sum():.3f}")  # the format


def integer(x):
    return x[int(x[0, 0])]  # the integer


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (branch, "# the branch"),
        (loop, "# the loop"),
        (conversion, "# the conversion"),
        (to_numpy, "# to NumPy"),
        (mask, "# the mask"),
        (item, "# the item"),
        (formatted, "# the format"),
        (integer, "# the integer"),
    ],
)
def test_values_asked_of_a_traced_tensor_are_reported_with_the_line(function, text):
    with pytest.raises(TraceError, match=r"shape .*traced.*skgrad\.where") as caught:
        trace(function, X)
    (note,) = caught.value.__notes__
    assert f"While tracing {function.__name__}" in note
    assert f"{__file__}:{line_of(function, text)}" in note


def test_equations_know_the_users_line():
    def f(x):
        y = x * 2.0  # first
        return functional.softmax(y)  # second

    graph = trace(f, X).graph
    lines = [equation.frame.lineno for equation in graph.equations]
    first, second = line_of(f, "# first"), line_of(f, "# second")
    assert lines[0] == first
    assert set(lines[1:]) == {second}
    assert {equation.frame.filename for equation in graph.equations} == {__file__}


def test_shape_errors_appear_at_trace_time():
    with pytest.raises(ShapeError, match=r"add.*\(2, 3\).*\(4,\)"):
        trace(lambda x: x + np.ones(4), X)
    with pytest.raises(DTypeError):
        trace(lambda x: x + np.ones(3, np.float32), X)


def test_escaped_tensors_are_refused_afterwards():
    kept = []

    def f(x):
        kept.append(x * 2.0)
        return x

    trace(f, X)
    (escaped,) = kept
    for use in (
        lambda: escaped + 1.0,
        lambda: X + escaped,
        lambda: ops.matmul(X.T, escaped),
        lambda: ops.concatenate([X, escaped]),
        lambda: trace(lambda y: y + escaped, X),
    ):
        with pytest.raises(TraceError, match="outside the trace"):
            use()
    with pytest.raises(TraceError):
        escaped.numpy()
    with pytest.raises(TraceError):
        trace(lambda x: x, escaped)(escaped)


def test_constants_are_operands_copied_and_kept_once():
    weights = np.ones(3)

    def f(x):
        return x * weights + ops.sum(weights) + x * 0.1

    program = trace(f, X)
    before = program(X)
    weights[:] = 100.0
    np.testing.assert_array_equal(program(X), before)
    assert all(
        len(e.params) == 0 or e.primitive.name == "sum" for e in program.graph.equations
    )
    arrays = [
        value for value in program.graph.constants.values() if value.shape == (3,)
    ]
    assert len(arrays) == 1


def test_a_returned_constant_cannot_be_changed():
    program = trace(lambda x: (x, np.ones(3)), X)
    _, constant = program(X)
    with pytest.raises(ValueError, match="read-only"):
        constant[0] = 2.0


def test_examples_are_not_copied():
    x = np.ones(100_000)
    tracemalloc.start()
    try:
        trace(lambda x: x * 2.0, x)
        assert tracemalloc.get_traced_memory()[1] < x.nbytes / 2
    finally:
        tracemalloc.stop()


def test_dead_code_is_removed_and_unused_inputs_kept():
    def f(x, unused):
        _ = ops.exp(x) + np.ones(3)
        return x + 1.0

    program = trace(f, X, np.zeros(5))
    assert names(program) == ["add"]
    assert len(program.graph.constants) == 1
    np.testing.assert_array_equal(program(X, np.zeros(5)), X + 1.0)


def test_the_backward_pass_keeps_only_what_is_needed():
    program = trace(skgrad.grad(lambda x: ops.sum(x * 3.0)), X)
    np.testing.assert_array_equal(program(X), np.full((2, 3), 3.0))
    assert "sum" not in names(program)


def test_outputs_may_be_inputs_constants_and_repeated():
    program = trace(lambda x: [x, x, x * 1.0, 2.0, np.arange(2)], X)
    out = program(X)
    np.testing.assert_array_equal(out[0], X)
    np.testing.assert_array_equal(out[1], X)
    assert out[3] == 2.0
    assert out[4].tolist() == [0, 1]
    assert all(isinstance(leaf, np.ndarray) for leaf in out)


def test_scalars_booleans_and_empty_arrays_may_be_arguments():
    program = trace(
        lambda a, b, c: (a * 2.0, ~b, c.sum()), 1.5, np.array(True), np.zeros(0)
    )
    a, b, c = program(2.5, np.array(True), np.zeros(0))
    assert (a, b, c) == (5.0, False, 0.0)


def test_nested_traces():
    inner = []

    def f(x):
        inner.append(trace(lambda y: y * 3.0, X))
        return x + 1.0

    program = trace(f, X)
    assert names(program) == ["add"]
    np.testing.assert_array_equal(inner[0](X), X * 3.0)


def test_a_trace_does_not_touch_other_threads():
    results = []

    def f(x):
        thread = threading.Thread(
            target=lambda: results.append((skgrad.tensor(X) * 2.0).numpy())
        )
        thread.start()
        thread.join()
        return x

    trace(f, X)
    np.testing.assert_array_equal(results[0], X * 2.0)


def test_an_error_inside_ends_the_trace():
    def f(x):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        trace(f, X)
    assert (skgrad.tensor(X) + 1.0).numpy().shape == (2, 3)


def test_long_loops_unroll():
    def f(x):
        for _ in range(2000):
            x = x * 1.0001
        return x

    np.testing.assert_allclose(trace(f, X)(X), X * 1.0001**2000)


def test_dropout_masks_follow_key_and_step():
    def loss(x, key, step):
        scope = skgrad.core.random.RandomScope(0, key, step)
        with skgrad.core.random.entered(scope):
            keep = ops.uniform_like(x) > 0.5
        return ops.sum(ops.where(keep, x * x, 0.0))

    key = np.array([11, 3], dtype=np.uint32)
    program = trace(skgrad.value_and_grad(loss), X, key, np.array(0))
    values = set()
    for step in range(5):
        value, slope = program(X, key, np.array(step))
        expected = skgrad.value_and_grad(loss)(X, *map(skgrad.tensor, (key, step)))
        assert value == expected[0].item()
        np.testing.assert_array_equal(slope, expected[1].numpy())
        values.add(float(value))
    assert len(values) > 1


@pytest.mark.parametrize("computed", [False, True])
def test_a_tensor_with_a_gradient_is_not_frozen_in_silence(computed):
    weight = skgrad.tensor([1.0, 2.0], requires_grad=True)
    used = weight * 2.0 if computed else weight
    with pytest.raises(GradientError, match=r"constant of the trace.*argument"):
        trace(lambda x: (x * used).sum(), np.zeros(2))
    trace(lambda x: (x * used.detach()).sum(), np.zeros(2))
    with skgrad.no_grad():
        program = trace(lambda x: (x * used).sum(), np.zeros(2))
    assert program(np.ones(2)) == used.numpy().sum()


def test_a_program_leaves_nothing_to_the_garbage_collection():
    def f(w, x):
        return skgrad.grad(lambda w: ops.sum(ops.tanh(x @ w) * 2.0))(w)

    def used():
        program = trace(f, np.zeros(3), np.zeros((2, 3))).on("cpu")
        program(np.zeros(3), np.zeros((2, 3)))

    used()
    gc.collect()
    gc.disable()
    try:
        used()
        assert gc.collect() == 0
    finally:
        gc.enable()
