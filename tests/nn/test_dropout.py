"""Dropout: scaling, modes, randomness."""

import numpy as np
import pytest

import skgrad
from skgrad import nn
from skgrad.exceptions import DTypeError, ParameterError


def masked(module, x, seed=0):
    with skgrad.random_seed(seed):
        return module(x).numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
def test_inverted_scaling(p, dtype):
    x = np.full((200, 100), 3.0, dtype)
    out = masked(nn.Dropout(p), skgrad.tensor(x))
    assert out.dtype == dtype
    scaled = out[out != 0]
    np.testing.assert_allclose(scaled, 3 / (1 - p), rtol=1e-6)
    # Five standard errors of a proportion of 20,000 draws.
    error = 5 * np.sqrt(p * (1 - p) / x.size)
    assert abs((out == 0).mean() - p) <= error
    if p == 0:
        np.testing.assert_array_equal(out, x)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3)])
def test_any_shape(shape):
    assert masked(nn.Dropout(), skgrad.tensor(np.ones(shape))).shape == shape


def test_zeroes_infinities_and_nan_too():
    x = skgrad.tensor(np.full(1000, np.inf))
    assert set(masked(nn.Dropout(), x)) == {0.0, np.inf}


def test_identity_in_evaluation_mode():
    x = skgrad.tensor([1.0, 2.0])
    model = nn.Sequential(nn.Dropout(0.9)).eval()
    assert model(x) is x
    integers = skgrad.tensor([1, 2])
    assert model(integers) is integers


def test_masks_follow_the_seed_and_differ_between_calls():
    x, dropout = skgrad.tensor(np.ones(1000)), nn.Dropout()
    np.testing.assert_array_equal(masked(dropout, x), masked(dropout, x))
    assert (masked(dropout, x) != masked(dropout, x, seed=1)).any()
    with skgrad.random_seed(0):
        first, second = dropout(x).numpy(), dropout(x).numpy()
        other = nn.Dropout()(x).numpy()
    assert (first != second).any()
    assert (second != other).any()
    # Independent fair masks agree in half of the places: sd sqrt(1000) / 2 = 16.
    assert abs((first == second).sum() - 500) < 80


def test_initial_weights_do_not_move_the_masks():
    x, dropout = skgrad.tensor(np.ones(100)), nn.Dropout()
    with skgrad.random_seed(0):
        nn.Linear(3, 3)
        after = dropout(x).numpy()
    np.testing.assert_array_equal(after, masked(dropout, x))


def test_gradient_is_the_mask():
    x = skgrad.tensor(np.ones(50), requires_grad=True)
    with skgrad.random_seed(0):
        out = nn.Dropout(0.25)(x)
    out.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), out.numpy())


@pytest.mark.parametrize("p", [-0.1, 1.0, 2, float("nan"), "0.5", None, True])
def test_rate_is_checked(p):
    with pytest.raises(ParameterError, match=r"in \[0, 1\). Got .* instead") as error:
        nn.Dropout(p)
    assert repr(p) in str(error.value)


def test_rate_set_later_is_checked_at_the_next_call():
    dropout = nn.Dropout(0.5)
    dropout.p = 0.25
    assert dropout.p.item() == 0.25
    assert repr(dropout) == "Dropout(p=0.25)"
    dropout.p = 1.5
    with pytest.raises(ParameterError, match=r"in \[0, 1\). Got 1.5 instead"):
        dropout(skgrad.tensor([1.0]))


def test_integers_are_refused():
    with pytest.raises(DTypeError, match=r"floating input\. Got dtype int64"):
        nn.Dropout()(skgrad.tensor(np.array([1, 2])))


def test_rate_is_an_input_and_no_part_of_the_state():
    model = nn.Sequential(nn.Dropout(0.25)).to(dtype="float32")
    buffers = dict(model.named_buffers())
    assert {name: b.item() for name, b in buffers.items()} == {"0.p": 0.25}
    assert buffers["0.p"].dtype == np.float64
    assert model.state_dict() == {}
