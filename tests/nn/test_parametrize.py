"""Constrained parameters: the constraint always holds, and PyTorch agrees."""

import pickle

import numpy as np
import pytest
import torch
from torch.nn.utils import parametrize as torch_parametrize

import skgrad
from skgrad import nn, ops
from skgrad.exceptions import ParameterError
from skgrad.executor import trace


class TorchPositive(torch.nn.Module):
    def forward(self, free):
        return torch.nn.functional.softplus(free)


class TorchBounded(torch.nn.Module):
    def forward(self, free):
        return -2 + 5 * torch.sigmoid(free)


class TorchSimplex(torch.nn.Module):
    def forward(self, free):
        return torch.softmax(free, 0)


PAIRS = [
    (nn.Positive(), TorchPositive(), lambda w: (w > 0).all()),
    (nn.Bounded(-2.0, 3.0), TorchBounded(), lambda w: ((w >= -2) & (w <= 3)).all()),
    (nn.Simplex(0), TorchSimplex(), lambda w: np.allclose(w.sum(0), 1, rtol=1e-15)),
]
each = pytest.mark.parametrize(
    ("ours", "theirs", "holds"), PAIRS, ids=[repr(pair[0]) for pair in PAIRS]
)


def layers(ours, theirs):
    """Return both layers; ours has loaded the state of PyTorch's by name."""
    expected = torch.nn.Linear(3, 2, dtype=torch.float64)
    torch_parametrize.register_parametrization(expected, "weight", theirs)
    layer = nn.parametrize(nn.Linear(3, 2), "weight", ours)
    state = {n: v.numpy() for n, v in expected.state_dict().items()}
    layer.load_state_dict(state)
    return layer, expected


@each
def test_values_gradients_and_names_are_torchs(ours, theirs, holds, rng):
    layer, expected = layers(ours, theirs)
    x = rng.standard_normal((4, 3))
    out = layer(skgrad.tensor(x))
    wanted = expected(torch.tensor(x))
    np.testing.assert_allclose(out.numpy(), wanted.detach(), rtol=1e-13, atol=1e-15)
    (out * out).sum().backward()
    (wanted * wanted).sum().backward()
    theirs = dict(expected.named_parameters())
    assert {n for n, _ in layer.named_parameters()} == set(theirs)
    for name, parameter in layer.named_parameters():
        gradient = theirs[name].grad
        # Those of a simplex are differences: small ones have the rounding of large
        # ones.
        np.testing.assert_allclose(
            parameter.grad.numpy(), gradient, rtol=1e-12, atol=2e-15
        )
    assert holds(layer.weight.numpy())


@each
def test_the_constraint_holds_for_any_free_values(ours, theirs, holds, rng):
    layer, _ = layers(ours, theirs)
    for size in (1e-3, 1.0, 30.0):
        free = size * rng.standard_normal((2, 3))
        layer.parametrizations["weight"].original.assign_(free)
        assert holds(layer.weight.numpy())


@each
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_value_that_is_set_is_the_value(ours, theirs, holds, dtype):
    layer = nn.parametrize(nn.Linear(2, 3, dtype=dtype), "weight", ours)
    value = np.array([[0.1, 0.25], [0.4, 0.5], [0.5, 0.25]], dtype)
    layer.weight = value
    np.testing.assert_allclose(layer.weight.numpy(), value, rtol=1e-6)
    assert layer.weight.dtype == dtype


@each
def test_values_that_violate_it_are_refused(ours, theirs, holds):
    layer = nn.parametrize(nn.Linear(2, 3), "weight", ours)
    before = layer.weight.numpy()
    with pytest.raises(ParameterError, match=r"must .* Got values from -5 to 7"):
        layer.weight = np.array([[7.0, -5.0]] * 3)
    with pytest.raises(ParameterError, match=r"shape \(3, 2\)\. Got .* \(2,\)"):
        layer.weight = [0.5, 0.5]
    np.testing.assert_array_equal(layer.weight.numpy(), before)


def test_module_of_ones_own_traced_pickled_and_called_with_other_values(rng):
    class Mixture(nn.Module):
        def __init__(self):
            super().__init__()
            self.shares = nn.Parameter(np.zeros(3))
            nn.parametrize(self, "shares", nn.Simplex())

        def forward(self, x):
            return ops.sum(x * self.shares, axis=-1)

    model, x = Mixture(), rng.standard_normal((5, 3))
    (name,) = dict(model.named_parameters())
    free = np.array([0.0, 1.0, 2.0])
    shares = np.exp(free) / np.exp(free).sum()

    def call(free, x):
        return nn.functional_call(model, {name: free}, {}, x)[0]

    np.testing.assert_allclose(trace(call, free, x)(free, x), x @ shares, rtol=1e-14)
    np.testing.assert_allclose(model(skgrad.tensor(x)).numpy(), x.mean(1), rtol=1e-13)
    layer = nn.parametrize(nn.Linear(2, 1), "weight", nn.Positive())
    twin = pickle.loads(pickle.dumps(layer))
    np.testing.assert_array_equal(twin.weight.numpy(), layer.weight.numpy())


def test_any_module_may_be_the_map_but_then_values_cannot_be_set():
    layer = nn.parametrize(nn.Linear(2, 1), "weight", nn.Tanh())
    assert (abs(layer.weight) < 1).numpy().all()
    with pytest.raises(ParameterError, match=r"Tanh is no nn\.Constraint"):
        layer.weight = [[0.1, 0.2]]


def test_what_cannot_be_parametrised():
    layer = nn.parametrize(nn.Linear(2, 2), "weight", nn.Positive())
    for name in ("weight", "weights", "in_features"):
        with pytest.raises(ParameterError, match=r"no parameter .* has \['bias'\]"):
            nn.parametrize(layer, name, nn.Positive())
    with pytest.raises(ParameterError, match=r"must keep the shape of 'bias', \(2,\)"):
        nn.parametrize(layer, "bias", nn.Linear(2, 1))
    assert layer.bias.shape == (2,)
    with pytest.raises(AttributeError, match="no attribute 'wieght'"):
        _ = layer.wieght


@pytest.mark.parametrize("bounds", [(1.0, 0.0), (0.0, np.inf), (0.5, 0.5), (None, 1)])
def test_bounds_are_finite_and_in_order(bounds):
    with pytest.raises(ParameterError, match="parameter of Bounded"):
        nn.Bounded(*bounds)
