"""Outputs that do not decrease, whatever the inputs are."""

import numpy as np
import pytest

import skgrad
from skgrad import nn
from skgrad.testing import check_grads


def increasing(x):
    return nn.Increasing()(skgrad.tensor(x)).numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3, 1e30])
def test_outputs_never_decrease(dtype, size, rng):
    x = (size * rng.standard_normal((200, 7))).astype(dtype)
    y = increasing(x)
    assert y.dtype == dtype
    assert (np.diff(y) >= 0).all()
    np.testing.assert_array_equal(y[:, 0], x[:, 0])
    expected = x[:, :1] + np.cumsum(np.logaddexp(0.0, x[:, 1:], dtype="float64"), 1)
    rtol = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(y[:, 1:], expected, rtol=rtol, atol=rtol * size)


def test_a_single_output_stays(rng):
    x = rng.standard_normal((4, 1))
    np.testing.assert_array_equal(increasing(x), x)


def test_gradients(rng):
    check_grads(nn.Increasing(), [rng.standard_normal((3, 2, 4))])


@pytest.mark.parametrize("size", [1.0, 100.0])
def test_the_inverse(size, rng):
    y = np.sort(size * rng.standard_normal((5, 4)))
    np.testing.assert_allclose(increasing(nn.Increasing.inverse(y, 1e-9)), y, 1e-12)


def test_equal_numbers_become_increments_that_can_grow():
    y = increasing(nn.Increasing.inverse([2.0, 2.0, 3.0], smallest=0.01))
    np.testing.assert_allclose(y, [2.0, 2.01, 3.01], rtol=1e-12)
