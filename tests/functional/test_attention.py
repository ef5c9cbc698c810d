"""Scaled dot products against PyTorch's, and queries that may see nothing."""

import numpy as np
import pytest
import torch

import skgrad
from skgrad import functional
from skgrad.exceptions import ShapeError

BOOL = np.array([[True, False, True], [True, True, False]])
FLOAT = np.array([[0.0, -np.inf, 1.0], [2.0, 0.5, -1.0]])


@pytest.mark.parametrize("mask", [None, BOOL, FLOAT], ids=["none", "bool", "float"])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_values_and_gradients_are_torchs(mask, scale, rng):
    shapes = (2, 4, 2, 5), (2, 4, 3, 5), (2, 4, 3, 6)
    arrays = [rng.standard_normal(s) for s in shapes]
    ours = [skgrad.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    out = functional.scaled_dot_product_attention(*ours, mask, scale=scale)
    wanted = torch.nn.functional.scaled_dot_product_attention(
        *theirs, None if mask is None else torch.tensor(mask), scale=scale
    )
    np.testing.assert_allclose(out.numpy(), wanted.detach(), rtol=1e-12, atol=1e-14)
    (out * out).sum().backward()
    (wanted * wanted).sum().backward()
    for o, t in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(o.grad.numpy(), t.grad, rtol=1e-11, atol=1e-13)


def test_causal_weights_are_torchs(rng):
    q, k, v = (rng.standard_normal((4, 3)) for _ in range(3))
    found = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    wanted = torch.nn.functional.scaled_dot_product_attention(
        *map(torch.tensor, (q, k, v)), is_causal=True
    )
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12)


def test_a_query_that_sees_no_key_gets_nothing_and_gives_no_gradient(rng):
    q = skgrad.tensor(rng.standard_normal((2, 3)), requires_grad=True)
    k, v = rng.standard_normal((2, 4, 3))
    mask = np.array([[True] * 4, [False] * 4])
    out = functional.scaled_dot_product_attention(q, k, v, mask)
    assert out.numpy()[1].tolist() == [0.0] * 3
    out.sum().backward()
    assert np.isfinite(q.grad.numpy()).all()
    assert q.grad.numpy()[1].tolist() == [0.0] * 3


def test_dropped_weights_keep_the_expectation():
    q, k = np.zeros((4000, 2)), np.zeros((10, 2))
    v = np.ones((10, 1))
    with skgrad.random_seed(0):
        found = functional.scaled_dot_product_attention(q, k, v, dropout_p=0.25)
    values = found.numpy().ravel() * 7.5  # kept weights are 1 / 7.5
    np.testing.assert_allclose(values, values.round(), atol=1e-12)
    # Of ten weights each is kept with probability ¾: mean 7.5, variance 1.875.
    assert abs(values.mean() - 7.5) < 4 * np.sqrt(1.875 / 4000)
    assert abs(values.var() - 1.875) < 0.2


def test_shapes_that_do_not_fit():
    x = np.zeros((2, 3))
    attend = functional.scaled_dot_product_attention
    with pytest.raises(ShapeError, match=r"Got \(2, 3\) and \(2, 4\)"):
        attend(x, np.zeros((2, 4)), x)
    with pytest.raises(ShapeError, match=r"Got \(3,\) and \(2, 3\)"):
        attend(x[0], x, x)
    with pytest.raises(ShapeError, match=r"scores of shape \(2, 2\).*Got \(3, 2\)"):
        attend(x, x, x, np.ones((3, 2), bool))
    with pytest.raises(ShapeError, match=r"scores of shape \(2, 2\).*Got \(4, 2, 2\)"):
        attend(x, x, x, np.ones((4, 2, 2)))
