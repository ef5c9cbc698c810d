"""Random graphs: eager, traced and twice differentiated, against a scalar engine."""

import numpy as np
import pytest
import scalar_engine as scalar
from hypothesis import given, settings
from random_graphs import grown, points, steps

import skgrad
from skgrad.executor import trace


def check(graph, point):
    n = range(len(point))

    def f(*xs):
        return grown("skgrad", graph, xs)

    def curvature(*xs):
        """Return the derivative of the sum of the gradient."""
        total = skgrad.grad(lambda *v: sum(skgrad.grad(f, tuple(n))(*v)), tuple(n))
        return total(*xs)

    leaves = [scalar.Scalar(v) for v in point]
    out = scalar.Scalar.__add__(grown("scalar", graph, leaves), 0.0)
    first = scalar.gradient(out, leaves)
    total = first[0]
    for g in first[1:]:
        total = total + g
    second = scalar.gradient(total, leaves)

    tensors = [skgrad.tensor(v, requires_grad=True) for v in point]
    value = f(*tensors)
    value.backward()
    gradient = [0.0 if t.grad is None else t.grad.item() for t in tensors]
    close = {"rtol": 1e-9, "atol": 1e-9}
    np.testing.assert_allclose(value.item(), out.value, **close)
    np.testing.assert_allclose(gradient, [g.value for g in first], **close)
    eager = [t.item() for t in curvature(*map(skgrad.tensor, point))]
    np.testing.assert_allclose(eager, [g.value for g in second], **close)
    arrays = [np.array(v) for v in point]
    both = trace(lambda *xs: (f(*xs), skgrad.grad(f, tuple(n))(*xs)), *arrays)
    traced_value, traced_gradient = both(*arrays)
    # The same kernels in the same order: equal to the last bit.
    assert traced_value == value.item()
    np.testing.assert_array_equal(
        traced_gradient, [g.item() for g in skgrad.grad(f, tuple(n))(*arrays)]
    )
    np.testing.assert_array_equal(trace(curvature, *arrays)(*arrays), eager)


@given(steps, points)
@settings(max_examples=25)
def test_random_graphs(graph, point):
    check(graph, point)


@pytest.mark.long
@given(steps, points)
@settings(max_examples=3000)
def test_many_random_graphs(graph, point):
    check(graph, point)


def test_the_oracle_differentiates_twice():
    x = scalar.Scalar(0.7)
    (first,) = scalar.gradient(scalar.sin(x) * x, [x])
    (second,) = scalar.gradient(first, [x])
    np.testing.assert_allclose(first.value, np.sin(0.7) + 0.7 * np.cos(0.7))
    np.testing.assert_allclose(second.value, 2 * np.cos(0.7) - 0.7 * np.sin(0.7))
