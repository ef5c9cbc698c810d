"""When a function is traced again, and when it is not."""

import warnings
from typing import NamedTuple

import numpy as np
import pytest

import skgrad
from skgrad import ops
from skgrad.exceptions import TraceError
from skgrad.executor import Traced


class Pair(NamedTuple):
    a: object
    b: object


def total(x, scale):
    return ops.sum(x * scale)


X = np.ones((3, 2))


@pytest.mark.parametrize(
    "args",
    [
        (X * 5.0, 2.0),
        (np.asfortranarray(X), np.float64(3.0)),
        (X[::-1], np.array(0.0)),
        (skgrad.tensor(X), skgrad.tensor(np.nan)),
    ],
)
def test_values_and_layouts_do_not_retrace(args):
    traced = Traced(total)
    traced(X, 1.0)
    found = traced(*args)
    np.testing.assert_array_equal(found, np.sum(np.asarray(args[0]) * float(args[1])))
    assert traced.n_traces == 1


@pytest.mark.parametrize(
    "args",
    [
        (np.ones((2, 3)), 1.0),
        (np.ones((3, 2, 1)), 1.0),
        (np.ones((3, 2), np.float32), np.float32(1.0)),
        (X, 1),
        (X, np.ones(1)),
        (X, np.ones(2)),
    ],
)
def test_shapes_and_dtypes_do(args):
    traced = Traced(total)
    traced(X, 1.0)
    traced(*args)
    assert traced.n_traces == 2
    traced(X, 1.0)
    assert traced.n_traces == 2


def test_structure_is_part_of_the_signature():
    traced = Traced(lambda tree: sum(skgrad.core.tree_leaves(tree)))
    for tree in ([1.0, 2.0], (1.0, 2.0), {"a": 1.0, "b": 2.0}, Pair(1.0, 2.0)):
        assert traced(tree) == 3.0
    assert traced.n_traces == 4
    traced({"b": 5.0, "a": 1.0})
    assert traced.n_traces == 4


def test_a_program_is_reused():
    traced = Traced(total)
    assert traced.program(X, 1.0) is traced.program(X + 1.0, 2.0)


def test_gradients_and_hessians_are_traced_once():
    def cubic(x):
        return ops.sum(x**3)

    for transform in (skgrad.grad, skgrad.hessian, skgrad.value_and_grad):
        traced = Traced(transform(cubic))
        for k in range(3):
            x = np.arange(3.0) + k
            for t, e in zip(
                skgrad.core.tree_leaves(traced(x)),
                skgrad.core.tree_leaves(transform(cubic)(x)),
                strict=True,
            ):
                np.testing.assert_array_equal(t, e.numpy())
        assert traced.n_traces == 1


def test_a_failed_trace_leaves_nothing_behind():
    def branching(x):
        return x if x.sum() > 0 else -x

    traced = Traced(branching)
    with pytest.raises(TraceError):
        traced(X)
    assert traced.n_traces == 0


def test_the_fallback_warns_and_runs_eagerly():
    def branching(x):
        return x * 2.0 if x.sum() > 0 else -x

    traced = Traced(branching, fallback=True)
    with pytest.warns(RuntimeWarning, match=r"branching cannot be traced.*test_traced"):
        found = traced(X)
    np.testing.assert_array_equal(found, X * 2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(traced(-X), X)
        np.testing.assert_array_equal(traced(X[:1]), X[:1] * 2.0)  # said once is enough
    assert traced.program(X).executor == "eager"
    np.testing.assert_array_equal(traced.program(X).run([X])[0], X * 2.0)
