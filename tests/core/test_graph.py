"""The walk back: order, targets, several outputs, errors."""

import numpy as np
import pytest

import skgrad
from skgrad import ops
from skgrad.core.graph import backward, leaves_of
from skgrad.core.primitive import Abstract, Primitive
from skgrad.exceptions import GradientError


def leaf(x):
    return skgrad.tensor(x, requires_grad=True)


def test_the_walk_visits_each_node_once_in_topological_order():
    order = []

    def noted(name):
        def rule(g, out, x):
            order.append(name)
            return g

        primitive = Primitive(
            name, lambda x: Abstract(x.shape, x.dtype), (rule,), lambda: "({0} + zero)"
        )
        return primitive.bind

    x = leaf(1.0)
    a = noted("a")(x)
    b, c = noted("b")(a), noted("c")(a)
    d = b + c
    (d + a).backward()
    assert order == ["c", "b", "a"]
    assert x.grad.item() == 3.0


def test_targets_end_the_walk():
    x = leaf(2.0)
    y = x * x
    z = ops.exp(y)
    found = backward([z], [skgrad.tensor(1.0)], [y._node])
    assert list(found) == [y._node]
    np.testing.assert_allclose(found[y._node].item(), np.exp(4.0))


def test_what_is_older_than_the_targets_is_not_visited():
    def explode(g, out, x):
        raise AssertionError("visited")

    bomb = Primitive(
        "bomb", lambda x: Abstract(x.shape, x.dtype), (explode,), lambda: "{0}"
    )
    w = bomb.bind(leaf(3.0))
    assert skgrad.jvp(lambda x: x * w, [2.0], [1.0])[1].detach().item() == 3.0


def test_several_outputs_and_cotangents():
    x = leaf([1.0, 2.0])
    outs = [x * 2.0, x * x]
    found = backward(outs, [skgrad.tensor([1.0, 1.0]), skgrad.tensor([1.0, 10.0])])
    np.testing.assert_array_equal(found[x._node].numpy(), [4.0, 42.0])


def test_a_missing_rule_is_reported_by_name():
    primitive = Primitive(
        "opaque", lambda x: Abstract(x.shape, x.dtype), (None,), lambda: "{0}"
    )
    x = leaf(1.0)
    primitive.bind(x).backward()
    assert x.grad is None
    node = primitive.bind(x)._node
    primitive.vjp = None
    y = skgrad.Tensor(np.array(1.0), node)
    with pytest.raises(GradientError, match="opaque"):
        y.backward()


def test_leaves_of():
    x, y = leaf(1.0), leaf(2.0)
    assert leaves_of([x * y + 1.0]) == {x._node, y._node}
    assert leaves_of([skgrad.tensor(1.0)]) == set()
