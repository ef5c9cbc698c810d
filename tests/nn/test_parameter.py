"""Parameter: a leaf that keeps its class, its values and its identity."""

import copy
import pickle
import threading

import numpy as np
import pytest

import skgrad
from skgrad import nn
from skgrad.exceptions import DTypeError


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_is_a_leaf_that_copies_its_data(rng, dtype, shape):
    data = np.asarray(rng.standard_normal(shape), dtype)
    parameter = nn.Parameter(data)
    expected = data.copy()
    data[...] = 7.0
    np.testing.assert_array_equal(parameter.numpy(), expected)
    assert isinstance(parameter, skgrad.Tensor)
    assert parameter.requires_grad
    assert parameter.grad is None
    assert (parameter.dtype, parameter.shape) == (dtype, shape)


def test_arrays_and_tensors_keep_their_dtype_lists_take_the_default():
    with nn.default_dtype("float32"):
        assert nn.Parameter(np.zeros(2)).dtype == np.float64
        assert nn.Parameter(skgrad.tensor([1.0])).dtype == np.float64
        assert nn.Parameter([0.0, 1.0]).dtype == np.float32
        assert nn.Parameter(3).dtype == np.float32
        assert nn.Parameter(np.zeros(2), dtype="float32").dtype == np.float32
        assert nn.Parameter([1.0], dtype="float64").dtype == np.float64


def test_made_of_a_computed_tensor_it_has_no_history():
    x = skgrad.tensor([1.0, 2.0], requires_grad=True)
    parameter = nn.Parameter(x * 2.0)
    (parameter * parameter).sum().backward()
    assert x.grad is None
    np.testing.assert_array_equal(parameter.grad.numpy(), [4.0, 8.0])


@pytest.mark.parametrize("data", [np.array([1, 2]), np.array([True])])
def test_integers_are_refused_with_the_ways_out(data):
    with pytest.raises(DTypeError) as error:
        nn.Parameter(data)
    assert f"Got {data.dtype}" in str(error.value)
    assert "dtype='float64'" in str(error.value)
    assert "register_buffer" in str(error.value)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))]
)
@pytest.mark.parametrize("frozen", [False, True])
def test_copies_are_parameters_with_values_of_their_own(copied, frozen):
    parameter = nn.Parameter([1.0, 2.0])
    parameter.requires_grad = not frozen
    other = copied(parameter)
    assert type(other) is nn.Parameter
    assert other.requires_grad is not frozen
    other.assign_(np.array([5.0, 6.0]))
    np.testing.assert_array_equal(parameter.numpy(), [1.0, 2.0])
    np.testing.assert_array_equal(other.numpy(), [5.0, 6.0])


def test_what_is_computed_from_it_is_no_parameter():
    parameter = nn.Parameter([1.0])
    assert type(parameter + 1.0) is skgrad.Tensor
    assert type(parameter.detach()) is skgrad.Tensor


def test_default_dtype_belongs_to_the_thread_and_survives_errors():
    found = []
    with nn.default_dtype("float32"):
        thread = threading.Thread(
            target=lambda: found.append(nn.Parameter([1.0]).dtype)
        )
        thread.start()
        thread.join()
    assert found == [np.float64]
    with pytest.raises(RuntimeError), nn.default_dtype("float32"):
        raise RuntimeError
    assert nn.Parameter([1.0]).dtype == np.float64
