"""Activations against PyTorch's."""

import numpy as np
import pytest
import torch

import skgrad
from skgrad import nn
from skgrad.exceptions import ParameterError

PAIRS = [
    (nn.Identity(), torch.nn.Identity()),
    (nn.ReLU(), torch.nn.ReLU()),
    (nn.Tanh(), torch.nn.Tanh()),
    (nn.Sigmoid(), torch.nn.Sigmoid()),
    (nn.SiLU(), torch.nn.SiLU()),
    (nn.GELU(), torch.nn.GELU()),
    (nn.GELU(approximate="tanh"), torch.nn.GELU(approximate="tanh")),
    (nn.ReLU6(), torch.nn.ReLU6()),
    (nn.LeakyReLU(0.2), torch.nn.LeakyReLU(0.2)),
    (nn.ELU(0.5), torch.nn.ELU(0.5)),
    (nn.CELU(0.5), torch.nn.CELU(0.5)),
    (nn.SELU(), torch.nn.SELU()),
    (nn.Mish(), torch.nn.Mish()),
    (nn.Softplus(0.5), torch.nn.Softplus(0.5, threshold=100.0)),
]
IDS = [repr(ours) for ours, _ in PAIRS]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=IDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (4, 1, 5)])
def test_forward_and_first_two_derivatives(rng, ours, theirs, dtype, shape):
    data = (3 * rng.standard_normal(shape)).astype(dtype)
    rtol = 1e-5 if dtype == "float32" else 1e-10
    out = ours(skgrad.tensor(data))
    assert out.dtype == dtype
    assert out.shape == shape
    u = torch.tensor(data, requires_grad=True)
    expected = theirs(u)
    np.testing.assert_allclose(out.numpy(), expected.detach(), rtol=rtol, atol=rtol)

    def total(x):
        return skgrad.ops.sum(ours(x) ** 2)

    (slope,) = torch.autograd.grad((expected**2).sum(), u, create_graph=True)
    found = skgrad.grad(total)(skgrad.tensor(data))
    np.testing.assert_allclose(found.numpy(), slope.detach(), rtol=rtol, atol=rtol)
    (bend,) = torch.autograd.grad(slope.sum(), u)
    found = skgrad.grad(lambda x: skgrad.ops.sum(skgrad.grad(total)(x)))(
        skgrad.tensor(data)
    )
    np.testing.assert_allclose(found.numpy(), bend, rtol=10 * rtol, atol=10 * rtol)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=IDS)
def test_large_and_zero_inputs(ours, theirs):
    data = np.array([-1e4, -100.0, -0.0, 0.0, 100.0, 1e4])
    x, u = (
        skgrad.tensor(data, requires_grad=True),
        torch.tensor(data, requires_grad=True),
    )
    out, expected = ours(x), theirs(u)
    np.testing.assert_allclose(out.numpy(), expected.detach(), rtol=1e-12, atol=1e-40)
    out.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), u.grad, rtol=1e-12, atol=1e-40)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=IDS)
def test_no_parameters_and_the_repr_of_torch(ours, theirs):
    assert list(ours.parameters()) == []
    assert ours.state_dict() == {}
    assert repr(theirs).startswith(repr(ours)[:-1])  # Softplus has no threshold


def test_identity_returns_the_object():
    x = skgrad.tensor([1.0])
    assert nn.Identity()(x) is x


def test_gelu_refuses_other_approximations():
    with pytest.raises(ParameterError, match=r"'none' or 'tanh'\. Got 'fast'"):
        nn.GELU(approximate="fast")
