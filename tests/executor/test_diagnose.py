"""The operation to blame for a number that is not finite."""

import linecache
import math

import numpy as np
import pytest

from skgrad import functional, grad, ops
from skgrad.executor import (
    Table,
    culprit,
    culprit_of_steps,
    culprit_of_sums,
    trace,
)


def blamed(function, *args):
    return culprit(trace(function, *args).graph, list(map(np.asarray, args)))


X = np.array([[1.0, 4.0], [-0.25, 9.0]])


def log_of_all(x):
    shifted = x * 2.0
    return ops.sum(ops.log(shifted))  # the line


def test_the_operation_its_operand_and_the_line():
    found = blamed(log_of_all, X)
    assert (found.name, found.operands) == ("log", (-0.5,))
    assert math.isnan(found.result)
    line = linecache.getline(__file__, found.frame.lineno)
    assert "# the line" in line
    text = str(found)
    assert text.startswith("log(-0.5) is nan in log_of_all, test_diagnose.py:")
    assert "return ops.sum(ops.log(shifted))" in text


@pytest.mark.parametrize(
    ("function", "name", "operands"),
    [
        (lambda x: ops.sqrt(x) @ np.ones(2), "sqrt", (-0.25,)),
        (lambda x: ops.transpose(ops.log1p(x * 8.0))[::-1], "log1p", (-2.0,)),
        (lambda x: ops.exp(x * 1000.0).sum(0), "exp", (1000.0,)),
        (lambda x: 1.0 / (x - 1.0), "divide", (1.0, 0.0)),
        (lambda x: ops.power(x, 0.5), "power", (-0.25, 0.5)),
        # Zero times infinity is NaN, but infinity was made by the logarithm.
        (lambda x: 0.0 * ops.log(x - 4.0 + np.array([[9.0, 0.0]])), "log", (0.0,)),
        # Only what is chosen counts.
        (
            lambda x: ops.where(x > 0, ops.log(x), 0.0) + ops.sqrt(x - 4.0),
            "sqrt",
            (-3.0,),
        ),
        # All are finite until the sum overflows.
        (lambda x: ops.sum(ops.absolute(x) * 1.5e307), "sum", ()),
        (lambda x: (x * 1e200) @ (x * 1e200), "matmul", ()),
    ],
)
def test_what_is_to_blame(function, name, operands):
    found = blamed(function, X)
    assert (found.name, found.operands) == (name, operands)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * 2.0,
        lambda x: functional.softmax(ops.where(x > 0, x, -np.inf)),
        lambda x: ops.where(x > 0, ops.log(x), 0.0),
        ops.argmax,
    ],
)
def test_nobody_is_where_all_results_are_finite(function):
    assert blamed(function, X) is None


def test_nobody_is_where_an_input_is_not_finite():
    assert blamed(ops.log, np.array([np.nan, 1.0])) is None


def test_a_derivative_is_blamed_on_the_line_of_the_operation():
    def root(x):
        return ops.sum(ops.sqrt(x * 3.0))  # differentiated

    found = blamed(grad(root), np.array([1.0, 0.0]))
    assert (found.name, found.operation) == ("divide", "sqrt")
    assert math.isinf(found.result)
    assert "is inf in the derivative of sqrt in root, test_diagnose.py:" in str(found)
    assert "# differentiated" in linecache.getline(__file__, found.frame.lineno)


def test_the_earliest_of_two():
    found = blamed(lambda x: (ops.sqrt(x), ops.exp(ops.log(x - 8.5))), X)
    assert found.name == "sqrt"


def test_the_first_step_that_breaks():
    def step(w, x, rate):
        return w - rate * grad(lambda v: ops.sum(ops.log(v * x)))(w), ops.sum(w)

    program = trace(step, X[0], X[0], np.float64(0))
    rates, rows = np.array([0.1, 0.1, 5.0, 0.1]), np.zeros((4, 0), dtype=np.int64)
    at, found = culprit_of_steps(
        program.graph, [X[0]], [X[0]], [Table(rates)], rows[:2]
    )
    assert (at, found) == (2, None)
    rates[1] = np.inf
    at, found = culprit_of_steps(program.graph, [X[0]], [X[0]], [Table(rates)], rows)
    assert at == 1
    assert found is None  # the rate, an input, is to blame


def test_the_block_of_rows_that_breaks():
    program = trace(lambda w, x: ops.sum(ops.log(x @ w)), X[0], X)
    blocks = [X + 1.0, X - 5.0, X - 6.0]
    found = culprit_of_sums(program.graph, [X[0]], ([block] for block in blocks))
    assert (found.name, found.operands) == ("log", (-8.0,))  # (1 - 5) 1 + (4 - 5) 4
    assert culprit_of_sums(program.graph, [X[0]], [[X + 1.0]]) is None
