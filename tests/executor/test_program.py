"""Programs: arguments are checked, runs are independent."""

import threading

import numpy as np
import pytest

import skgrad
from skgrad import ops
from skgrad.exceptions import DTypeError, ShapeError
from skgrad.executor import trace
from skgrad.executor.reference import ReferenceExecutor

X = np.ones((2, 3))


def program():
    return trace(lambda a: ops.exp(a["x"]).sum(0) + a["y"], {"x": X, "y": 1.0})


@pytest.mark.parametrize(
    ("argument", "error", "match"),
    [
        ({"x": np.ones((3, 2)), "y": 1.0}, ShapeError, r"\(2, 3\).*\(3, 2\)"),
        ({"x": X, "y": np.ones(1)}, ShapeError, r"\(\).*\(1,\)"),
        ({"x": X, "y": 1}, DTypeError, "float64.*int64"),
        ({"x": X.astype("float32"), "y": 1.0}, DTypeError, "float64.*float32"),
        ({"x": X}, ShapeError, "structure"),
        ((X, 1.0), ShapeError, "structure"),
        ({"x": [X], "y": 1.0}, ShapeError, "structure"),
    ],
)
def test_arguments_must_be_those_of_the_trace(argument, error, match):
    with pytest.raises(error, match=match):
        program()(argument)
    with pytest.raises(ShapeError, match="structure"):
        program()({"x": X, "y": 1.0}, X)


def test_layouts_and_tensors_are_taken():
    expected = program()({"x": X, "y": 1.0})
    for x in (np.asfortranarray(X), np.ones((4, 6))[::2, ::-2], skgrad.tensor(X)):
        np.testing.assert_array_equal(program()({"x": x, "y": 1.0}), expected)


def test_arguments_are_left_alone():
    x = X.copy()
    x.flags.writeable = False
    program()({"x": x, "y": np.float64(1.0)})


def test_no_floating_point_warning_escapes():
    log = trace(lambda x: ops.log(x) / 0.0, X)
    assert not np.isfinite(log(np.zeros((2, 3)))).any()


def test_programs_are_thread_safe():
    step = trace(lambda x: ops.sum(ops.tanh(x @ x.T) * 3.0), np.ones((20, 20)))
    inputs = [np.random.default_rng(k).standard_normal((20, 20)) for k in range(8)]
    expected = [float(step(x)) for x in inputs]
    wrong = []

    def work(x, value):
        wrong.extend(1 for _ in range(50) if float(step(x)) != value)

    threads = [
        threading.Thread(target=work, args=pair)
        for pair in zip(inputs, expected, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_intermediate_arrays_are_dropped_after_their_last_use():
    chain = trace(lambda x: ops.exp(ops.sin(x * 2.0)), X)
    dead = [slots for *_, slots in ReferenceExecutor(chain.graph)._schedule.calls]
    # Each instruction drops its operands; the result stays.
    assert [len(slots) for slots in dead] == [2, 1, 1]
