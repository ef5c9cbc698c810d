"""Reductions: axes, empty axes, integers, errors."""

import numpy as np
import pytest

import skgrad
from skgrad import ops
from skgrad.exceptions import ShapeError

AXES = [None, 0, -1, (0, 2), (-1, 0), [1], (), (2, 1, 0)]


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", ["sum", "max", "min", "prod"])
def test_axes_are_numpys(rng, name, axis, keepdims):
    x = rng.standard_normal((2, 3, 4))
    found = getattr(ops, name)(x, axis, keepdims).numpy()
    numpy_axis = tuple(axis) if isinstance(axis, list) else axis
    expected = getattr(np, name)(x, axis=numpy_axis, keepdims=keepdims)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    method = getattr(skgrad.tensor(x), name)(axis, keepdims).numpy()
    np.testing.assert_array_equal(method, found)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64", "uint32"])
def test_integers_accumulate_in_64_bits(dtype):
    x = np.ones((300, 2), dtype=dtype)
    for ours, numpys in ((ops.sum, np.sum), (ops.prod, np.prod), (ops.cumsum, None)):
        expected = np.cumsum(x, axis=-1) if numpys is None else numpys(x)
        found = ours(x).numpy()
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    assert ops.max(x).dtype == ops.min(x).dtype == dtype
    assert ops.min(np.array([1, 0, 1], dtype=dtype)).item() == 0


def test_empty_axes():
    x = np.ones((0, 3))
    np.testing.assert_array_equal(ops.sum(x, 0).numpy(), [0, 0, 0])
    np.testing.assert_array_equal(ops.prod(x, 0).numpy(), [1, 1, 1])
    assert ops.max(x, 1).shape == (0,)
    for name in ("max", "min", "argmax"):
        with pytest.raises(ShapeError, match=r"\(0, 3\)"):
            getattr(ops, name)(x, axis=0)
    assert np.isnan(skgrad.tensor(x).mean().item())


@pytest.mark.parametrize("name", ["sum", "max", "prod", "cumsum", "argmax", "argsort"])
def test_axes_out_of_range_are_refused(name):
    function = getattr(ops, name)
    for axis in (2, -3):
        with pytest.raises(ShapeError, match=name):
            function(np.ones((2, 2)), axis)
    if name in ("sum", "max", "prod"):
        with pytest.raises(ShapeError, match="twice"):
            function(np.ones((2, 2)), (0, -2))
    else:
        with pytest.raises(ShapeError):
            function(np.float64(1.0))


def test_argmax_takes_the_first_of_ties():
    assert ops.argmax([1.0, 5.0, 5.0]).item() == 1
    assert ops.argmax([[1.0, 1.0]], axis=0).numpy().tolist() == [0, 0]


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
def test_the_derivative_of_a_product_is_exact_at_zeros(rng, zeros):
    x = rng.uniform(0.5, 2.0, 7)
    x[:zeros] = 0.0
    expected = [np.prod(np.delete(x, i)) for i in range(7)]
    found = skgrad.grad(ops.prod)(x).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    skgrad.testing.check_grads(ops.prod, [x], order=2)
    curvature = skgrad.hessian(ops.prod)(skgrad.tensor(x)).numpy()
    pairs = [
        [0.0 if i == j else np.prod(np.delete(x, [i, j])) for j in range(7)]
        for i in range(7)
    ]
    np.testing.assert_allclose(curvature, pairs, rtol=1e-13, atol=1e-14)


def test_float32_sums_stay_float32():
    x = np.full((1000,), 0.1, dtype=np.float32)
    assert ops.sum(x).dtype == np.float32
    assert skgrad.tensor(x).mean().dtype == np.float32
