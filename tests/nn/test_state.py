"""state_dict and load_state_dict, from skgrad and from PyTorch."""

import numpy as np
import pytest
import torch

import skgrad
from skgrad import nn
from skgrad.exceptions import DTypeError, ParameterError, ShapeError


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))


def torch_network(dtype=torch.float64):
    return torch.nn.Sequential(
        torch.nn.Linear(3, 4, dtype=dtype),
        torch.nn.ReLU(),
        torch.nn.Linear(4, 1, dtype=dtype),
    )


def test_state_holds_copies():
    model = network()
    state = model.state_dict()
    assert list(state) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert all(type(array) is np.ndarray for array in state.values())
    expected = model[0].weight.numpy().copy()
    state["0.weight"][:] = 0.0
    np.testing.assert_array_equal(model[0].weight.numpy(), expected)
    saved = model.state_dict()
    model[0].weight.assign_(np.zeros((4, 3)))
    np.testing.assert_array_equal(saved["0.weight"], expected)


def test_round_trip_and_loading_from_torch(rng):
    x = rng.standard_normal((5, 3))
    theirs = torch_network()
    ours, other = network(), network()
    weight = ours[0].weight
    assert ours.load_state_dict(theirs.state_dict()) == ([], [])
    assert ours[0].weight is weight
    expected = theirs(torch.tensor(x)).detach()
    np.testing.assert_allclose(ours(x).numpy(), expected, rtol=1e-12)
    other.load_state_dict(ours.state_dict())
    np.testing.assert_array_equal(other(x).numpy(), ours(x).numpy())
    theirs.load_state_dict(
        {name: torch.tensor(array) for name, array in network().state_dict().items()}
    )


def test_loading_copies():
    model, state = network(), network().state_dict()
    model.load_state_dict(state)
    expected = state["0.bias"].copy()
    state["0.bias"][:] = 9.0
    np.testing.assert_array_equal(model[0].bias.numpy(), expected)


def test_buffers_are_loaded_and_transient_ones_are_not_saved():
    module = nn.Module()
    module.register_buffer("mean", [1.0, 2.0])
    module.register_buffer("table", [3.0], persistent=False)
    module.register_hyperparameter("rate", 0.5)
    assert list(module.state_dict()) == ["mean"]
    module.load_state_dict({"mean": [5.0, 6.0]})
    np.testing.assert_array_equal(module.mean.numpy(), [5.0, 6.0])
    module.mean = module.mean + 1.0
    np.testing.assert_array_equal(module.state_dict()["mean"], [6.0, 7.0])


def test_lists_and_tensors_can_be_loaded():
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": [[1.0, 2.0]], "bias": skgrad.tensor([3.0])})
    assert layer(np.array([1.0, 1.0])).item() == 6.0


def test_all_problems_are_listed_and_nothing_is_changed():
    model = network()
    state = model.state_dict()
    before = network().load_state_dict(state)
    assert before == ([], [])
    original = model.state_dict()
    state["0.wieght"] = state.pop("0.weight")
    state["0.bias"] = np.zeros(5)
    state["2.bias"] = np.zeros(1, "float32")
    state["2.weight"] = np.zeros((1, 4))
    with pytest.raises(ParameterError) as error:
        model.load_state_dict(state)
    message = str(error.value)
    for part in (
        "The state does not fit Sequential:",
        "missing: '0.weight'",
        "unexpected: '0.wieght'. Did you mean '0.weight'?",
        "strict=False",
        "shape of '0.bias': (4,) in the module, (5,) in the state",
        "dtype of '2.bias': float64 in the module, float32 in the state",
        ".to(dtype=...)",
    ):
        assert part in message
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, original[name])


def test_not_strict_takes_what_fits():
    model = network()
    weight = model[0].weight.numpy().copy()
    keys = model.load_state_dict({"0.bias": np.ones(4), "other": 1.0}, strict=False)
    assert keys.missing == ["0.weight", "2.weight", "2.bias"]
    assert keys.unexpected == ["other"]
    np.testing.assert_array_equal(model[0].bias.numpy(), np.ones(4))
    np.testing.assert_array_equal(model[0].weight.numpy(), weight)


@pytest.mark.parametrize("strict", [True, False])
def test_shapes_and_dtypes_must_fit_either_way(strict):
    model = network()
    wrong = {**model.state_dict(), "0.bias": np.zeros((4, 1))}
    with pytest.raises(ShapeError, match=r"'0.bias': \(4,\) in the module, \(4, 1\)"):
        model.load_state_dict(wrong, strict=strict)
    with pytest.raises(DTypeError, match="float64 in the module, float32 in the state"):
        model.load_state_dict(torch_network(torch.float32).state_dict(), strict=strict)
    model.to(dtype="float32").load_state_dict(torch_network(torch.float32).state_dict())


def test_shared_tensors_are_saved_under_each_name_and_must_agree():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    state = model.state_dict()
    assert list(state) == ["0.weight", "1.weight"]
    model.load_state_dict(state)
    assert model[0].weight is model[1].weight
    state["1.weight"] = state["1.weight"] + 1.0
    with pytest.raises(ParameterError, match=r"as '0\.weight' and as '1\.weight'"):
        model.load_state_dict(state)
    del state["0.weight"]
    model.load_state_dict(state, strict=False)
    np.testing.assert_array_equal(model[0].weight.numpy(), state["1.weight"])


def test_values_that_are_not_finite_can_be_loaded():
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": [[np.nan, np.inf]], "bias": [0.0]})
    np.testing.assert_array_equal(layer.weight.numpy(), [[np.nan, np.inf]])
