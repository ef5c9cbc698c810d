"""The reference executor: equations one by one, arrays dropped in time."""

import tracemalloc

import numpy as np
import pytest

from skgrad import grad, ops
from skgrad.executor import Equation, Graph, Variable, trace
from skgrad.executor.fuse import fuse
from skgrad.executor.passes import COMPILED_PASSES
from skgrad.executor.reference import ReferenceExecutor
from skgrad.ops.packing import unpack_p

X = np.random.default_rng(0).normal(size=(6, 5))


def function(x):
    h = ops.tanh(x @ ops.transpose(x))
    return ops.sum(h * h), h[1:, ::2], ops.argsort(ops.reshape(h, -1), -1)


def expected(x):
    h = np.tanh(x @ x.T)
    return np.sum(h * h), h[1:, ::2], np.argsort(h.reshape(-1), kind="stable")


def test_it_computes_what_numpy_computes():
    found = ReferenceExecutor(trace(function, X).graph).run([X])
    for f, e in zip(found, expected(X), strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-13)
        assert isinstance(f, np.ndarray)


def test_every_pass_leaves_it_the_same():
    def loss(x):
        return grad(lambda x: ops.sum(ops.log1p(ops.exp(x @ ops.transpose(x)))))(x)

    graph = trace(loss, X).graph
    (first,) = ReferenceExecutor(graph).run([X])
    for transform in (*COMPILED_PASSES, fuse):
        graph = transform(graph)
        (after,) = ReferenceExecutor(graph).run([X])
        np.testing.assert_allclose(after, first, rtol=1e-12)
    assert any(e.primitive.name == "fused" for e in graph.equations)


def test_memory_is_that_of_two_arrays_whatever_the_length():
    def chain(x, n):
        for _ in range(n):
            x = ops.sin(x)
        return x

    x = np.ones(100_000)

    def peak(n):
        executor = ReferenceExecutor(trace(lambda x: chain(x, n), x).graph)
        tracemalloc.start()
        try:
            executor.run([x])
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert 0.9 * x.nbytes < peak(2) < 2.2 * x.nbytes
    assert peak(20) < 2.2 * x.nbytes


def test_a_result_nobody_reads_is_dropped_at_once():
    x = np.arange(6.0)
    graph = trace(lambda x: ops.unpack(x * 2.0, [(2,), (4,)])[1], x).graph
    executor = ReferenceExecutor(graph)
    (found,) = executor.run([x])
    np.testing.assert_array_equal(found, 2.0 * x[2:])
    *_, (_, _, targets, dead) = executor._schedule.calls
    product, unread, _ = range(2, 5)  # behind the input and the constant
    assert targets == slice(unread, unread + 2)
    assert set(dead) == {product, unread}


def test_a_single_output_may_come_in_a_tuple():
    x, out = (Variable(shape, np.dtype("float64"), None) for shape in ((6,), (2, 3)))
    equation = Equation(unpack_p, (x,), {"shapes": ((2, 3),)}, (out,))
    (found,) = ReferenceExecutor(Graph((x,), {}, (equation,), (out,))).run([np.ones(6)])
    np.testing.assert_array_equal(found, np.ones((2, 3)))


@pytest.mark.parametrize("twice", [lambda x: (x, x), lambda x: (x * 2.0,) * 2])
def test_an_output_may_come_twice(twice):
    one, other = ReferenceExecutor(trace(twice, X).graph).run([X])
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one, twice(X)[0])


def test_no_warning_escapes_and_the_setting_comes_back():
    graph = trace(lambda x: ops.log(x) + ops.exp(-x * 1e6), X).graph
    with np.errstate(all="raise"):
        (found,) = ReferenceExecutor(graph).run([X])
        assert np.geterr()["invalid"] == "raise"
    assert np.isnan(found).any()
