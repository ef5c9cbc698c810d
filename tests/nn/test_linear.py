"""Linear against PyTorch's."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

import skgrad
from skgrad import nn, ops
from skgrad.exceptions import DTypeError, ParameterError, ShapeError


def pair(in_features, out_features, bias=True, dtype="float64"):
    ours = nn.Linear(in_features, out_features, bias=bias, dtype=dtype)
    theirs = torch.nn.Linear(
        in_features, out_features, bias=bias, dtype=getattr(torch, dtype)
    )
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(3,), (5, 3), (0, 3), (1, 3), (2, 4, 3)])
def test_forward_and_gradients_are_those_of_torch(rng, bias, dtype, shape):
    ours, theirs = pair(3, 2, bias, dtype)
    data = rng.standard_normal(shape).astype(dtype)
    x, u = (
        skgrad.tensor(data, requires_grad=True),
        torch.tensor(data, requires_grad=True),
    )
    out, expected = ours(x), theirs(u)
    rtol = 1e-5 if dtype == "float32" else 1e-12
    assert out.dtype == dtype
    np.testing.assert_allclose(out.numpy(), expected.detach(), rtol=rtol, atol=rtol)
    (out * out).sum().backward()
    (expected * expected).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), u.grad, rtol=rtol, atol=rtol)
    for name, parameter in ours.named_parameters():
        grad = getattr(theirs, name).grad
        np.testing.assert_allclose(parameter.grad.numpy(), grad, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("in_features", [1, 4, 100])
def test_initial_values_are_uniform_on_the_interval_of_torch(in_features):
    bound = in_features**-0.5
    with skgrad.random_seed(0):
        layer = nn.Linear(in_features, 20_000 // in_features)
    for parameter in (layer.weight, layer.bias):
        values = parameter.numpy()
        assert np.abs(values).max() <= bound
        # The standard error of a uniform std is below std / sqrt(n).
        error = 5 / np.sqrt(values.size)
        np.testing.assert_allclose(values.std(), bound / np.sqrt(3), rtol=error)


def test_seed_reproduces_the_layer_in_both_dtypes():
    layers = []
    for dtype in ("float64", "float64", "float32"):
        with skgrad.random_seed(3):
            layers.append(nn.Linear(3, 2, dtype=dtype))
    first, second, narrow = (layer.weight.numpy() for layer in layers)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first.astype("float32"), narrow)


def test_default_dtype_scope():
    assert nn.Linear(2, 1).bias.dtype == np.float64
    with nn.default_dtype("float32"):
        assert nn.Linear(2, 1).bias.dtype == np.float32
        with nn.default_dtype(np.float64):
            assert nn.Linear(2, 1).bias.dtype == np.float64
        assert nn.Linear(2, 1, dtype="float64").weight.dtype == np.float64
        assert nn.Linear(2, 1).bias.dtype == np.float32
    assert nn.Linear(2, 1).bias.dtype == np.float64


@pytest.mark.parametrize("dtype", ["int64", "float16", "nonsense", object])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(DTypeError, match=r"'float32' or 'float64'\. Got"):
        nn.Linear(2, 1, dtype=dtype)
    with pytest.raises(DTypeError), nn.default_dtype(dtype):
        pytest.fail("the block must not run")


def test_no_bias():
    layer = nn.Linear(2, 1, bias=False)
    assert layer.bias is None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert list(layer.state_dict()) == ["weight"]
    assert repr(layer).startswith("Linear(in_features=2, out_features=1, bias=False)")


def test_arrays_lists_and_integers_are_inputs():
    layer, _ = pair(2, 1)
    expected = layer(skgrad.tensor([[1.0, 2.0]])).numpy()
    for x in ([[1.0, 2.0]], np.array([[1.0, 2.0]]), np.array([[1, 2]])):
        np.testing.assert_array_equal(layer(x).numpy(), expected)


@pytest.mark.parametrize("shape", [(), (2,), (3, 2), (3, 0)])
def test_wrong_length_is_refused(shape):
    with pytest.raises(ShapeError) as error:
        nn.Linear(3, 1)(skgrad.tensor(np.zeros(shape)))
    assert "last axis has length 3" in str(error.value)
    assert str(shape) in str(error.value)


def test_other_floating_dtype_is_refused_with_both_remedies():
    with pytest.raises(DTypeError) as error:
        nn.Linear(2, 1)(np.zeros((1, 2), "float32"))
    assert "x.to(dtype='float64')" in str(error.value)
    assert "module.to(dtype='float32')" in str(error.value)


@pytest.mark.parametrize("size", [0, -1, 2.0, "3", True, None])
def test_sizes_are_checked(size):
    with pytest.raises(ParameterError, match="'in_features' parameter of Linear"):
        nn.Linear(size, 1)
    with pytest.raises(ParameterError, match="'out_features' parameter of Linear"):
        nn.Linear(1, size)


def test_numpy_sizes_become_int():
    layer = nn.Linear(np.int64(2), np.int32(1))
    assert type(layer.in_features) is int
    assert repr(layer) == (
        "Linear(in_features=2, out_features=1, bias=True)  # 3 parameters"
    )


def test_repr_shows_float32():
    assert "dtype=float32" in repr(nn.Linear(2, 1, dtype="float32"))


@pytest.mark.parametrize("bias", [True, False])
def test_sparse_rows(bias):
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(9, 4)) * (rng.random((9, 4)) < 0.5)
    layer = nn.Linear(4, 3, bias=bias)
    x = ops.SparseRows.of(csr_array(dense)).take(np.array([8, 2, 2]))
    expected = layer(dense[[8, 2, 2]])
    np.testing.assert_allclose(layer(x).numpy(), expected.numpy(), atol=1e-14)
    x = x.standardised(dense.mean(axis=0), np.ones(4))
    expected = layer(dense[[8, 2, 2]] - dense.mean(axis=0))
    np.testing.assert_allclose(layer(x).numpy(), expected.numpy(), atol=1e-14)
