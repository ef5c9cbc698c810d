"""The stack of interpreters."""

import numpy as np
import pytest

import skgrad
from skgrad.core.interpreter import current, pushed, recording
from skgrad.core.value import Value
from skgrad.exceptions import TraceError


class Counting:
    """An interpreter that counts and passes on."""

    def __init__(self, below):
        self.below = below
        self.names = []

    def process(self, primitive, args, params):
        self.names.append(primitive.name)
        return self.below.process(primitive, args, params)

    def differentiating(self, node):
        self.names.append(f"rules of {node.primitive.name}" if node else "end")


def test_the_top_of_the_stack_processes():
    counting = Counting(current())
    with pushed(counting):
        (skgrad.tensor([1.0]) * 2.0).sum()
    skgrad.tensor([1.0]) * 2.0
    assert counting.names == ["multiply", "sum"]


def test_it_is_told_whose_gradient_rules_follow():
    counting = Counting(current())
    x = skgrad.tensor([1.0], requires_grad=True)
    with pushed(counting):
        skgrad.sin(x).sum().backward()
    assert counting.names == [
        *("sin", "sum", "rules of sum", "reshape"),
        *("rules of sin", "cos", "multiply", "end"),
    ]


def test_the_stack_is_restored_after_an_error():
    below = current()
    with pytest.raises(ZeroDivisionError), pushed(Counting(below)):
        raise ZeroDivisionError
    assert current() is below


def test_recording_is_a_switch():
    x = skgrad.tensor(1.0, requires_grad=True)
    with skgrad.no_grad():
        assert not (x * 1.0).requires_grad
        with recording(True):
            assert (x * 1.0).requires_grad


def test_values_without_a_box():
    assert Value(np.zeros((2, 3))).size == 6
    assert Value(np.zeros(3)).device == "cpu"


def test_a_symbol_has_no_elements():
    def f(x):
        assert x.device == "cpu"
        assert x.size == 3
        with pytest.raises(TraceError, match="numpy"):
            x.numpy()
        return x

    skgrad.executor.trace(f, np.zeros(3))
