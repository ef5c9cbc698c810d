"""Sequential: a module and a list of modules."""

import numpy as np
import pytest
import torch

import skgrad
from skgrad import nn
from skgrad.exceptions import ParameterError


def make():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def test_forward_and_gradients_are_those_of_torch(rng):
    theirs = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)
    ).double()
    ours = make()
    ours.load_state_dict(theirs.state_dict())
    data = rng.standard_normal((5, 3))
    out, expected = ours(skgrad.tensor(data)), theirs(torch.tensor(data))
    np.testing.assert_allclose(out.numpy(), expected.detach(), rtol=1e-12)
    out.sum().backward()
    expected.sum().backward()
    for found, wanted in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(found.grad.numpy(), wanted.grad, rtol=1e-10)


def test_length_iteration_and_indices():
    model = make()
    modules = list(model)
    assert len(model) == len(modules) == 3
    assert model[0] is modules[0]
    assert model[-1] is modules[2]
    assert [type(module).__name__ for module in model] == ["Linear", "Tanh", "Linear"]
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"Index {index} .* holds 3 modules"):
            model[index]


def test_slices_share_the_modules():
    model = make()
    body = model[:-1]
    assert isinstance(body, nn.Sequential)
    assert list(body) == list(model)[:-1]
    assert [name for name, _ in model[1:].named_modules()] == ["", "0", "1"]
    assert list(model[::-1]) == list(model)[::-1]
    assert list(model[5:]) == []


def test_append_returns_the_container_and_registers():
    model = nn.Sequential()
    assert model.append(nn.Linear(3, 3)) is model
    model.append(nn.ReLU()).append(nn.Linear(3, 1))
    assert [name for name, _ in model.named_parameters()] == [
        *("0.weight", "0.bias", "2.weight", "2.bias"),
    ]


def test_append_after_a_removal_overwrites_nothing():
    model = make()
    last = model[2]
    delattr(model, "0")
    model.append(nn.ReLU())
    assert list(model)[1] is last
    assert len(model) == 3


def test_replacing_by_name_keeps_the_place():
    model = make()
    setattr(model, "1", nn.ReLU())
    assert isinstance(model[1], nn.ReLU)
    assert len(model) == 3


def test_one_module_twice_is_applied_twice():
    layer = nn.Linear(2, 2)
    model, x = nn.Sequential(layer, layer), np.ones((1, 2))
    np.testing.assert_array_equal(model(x).numpy(), layer(layer(x)).numpy())
    assert len(model) == 2
    assert len(list(model.parameters())) == 2


def test_empty_is_the_identity():
    x = skgrad.tensor([1.0])
    assert nn.Sequential()(x) is x


@pytest.mark.parametrize(
    ("wrong", "shown", "remedy"),
    [
        (nn.ReLU, "Got ReLU", r"Pass an instance: ReLU\(\)"),
        ([nn.ReLU()], "Got list", r"Unpack it: Sequential\(\*modules\)"),
        (np.tanh, "Got ufunc", "Write a Module"),
        (None, "Got NoneType", "Write a Module"),
    ],
)
def test_other_things_are_refused_with_the_remedy(wrong, shown, remedy):
    with pytest.raises(ParameterError, match=f"{shown} at position 1.*{remedy}"):
        nn.Sequential(nn.Tanh(), wrong)
