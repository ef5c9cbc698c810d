"""Constants follow tensors to their device; whatever has a device of its own stays."""

import numpy as np

import skgrad
from skgrad import ops
from skgrad.core.value import constant


def test_what_is_computed_from_constants_alone_is_one():
    x = skgrad.tensor([1.0, 2.0])
    assert ops.exp([0.0, 1.0]).is_constant
    assert ops.add(ops.exp(np.zeros(2)), 1.0).is_constant
    assert all(part.is_constant for part in ops.unpack(np.zeros(2), [(1,), (1,)]))
    assert not ops.add(x, 1.0).is_constant
    assert not ops.take(x, [0]).is_constant
    assert not any(part.is_constant for part in ops.unpack(x, [(1,), (1,)]))


def test_tensors_are_none():
    x = constant(np.zeros(2))
    assert x.is_constant
    assert not skgrad.tensor(x).is_constant
    assert not x.detach().is_constant
    x.requires_grad = True
    assert not x.is_constant
    assert not x.to(dtype="float32").is_constant
    (x * 2.0).sum().backward()
    assert not x.grad.is_constant


def test_random_numbers_live_where_their_model_is():
    assert not ops.uniform_like(skgrad.tensor([1.0, 2.0])).is_constant
    assert ops.uniform_like(np.ones(2)).is_constant
