"""Compositions: stability, axes, conventions at kinks."""

import math

import mpmath
import numpy as np
import pytest
from scipy import special, stats

import skgrad
from skgrad import functional
from skgrad.exceptions import ParameterError, ShapeError
from skgrad.executor import trace
from skgrad.testing import check_grads

DTYPES = ["float32", "float64"]


def test_functions_of_the_package_are_these():
    for name in functional.__all__:
        if name in skgrad.__all__:
            assert getattr(skgrad, name) is getattr(functional, name)


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)], ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_statistics_are_numpys(rng, axis, keepdims):
    x = rng.standard_normal((3, 4, 5))
    kwargs = {"axis": axis, "keepdims": keepdims}
    close = np.testing.assert_allclose
    close(functional.mean(x, **kwargs).numpy(), np.mean(x, **kwargs), rtol=1e-13)
    for ddof in (0, 1):
        found = functional.var(x, ddof=ddof, **kwargs)
        close(found.numpy(), np.var(x, ddof=ddof, **kwargs), rtol=1e-13)
        found = functional.std(x, ddof=ddof, **kwargs)
        close(found.numpy(), np.std(x, ddof=ddof, **kwargs), rtol=1e-13)
    close(
        functional.logsumexp(x, **kwargs).numpy(),
        special.logsumexp(x, **kwargs),
        rtol=1e-13,
    )
    squares = np.sqrt(np.sum(x * x, **kwargs))
    close(functional.norm(x, **kwargs).numpy(), squares, rtol=1e-13)


def test_variance_is_that_of_the_centred_elements():
    x = 1e8 + np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(functional.var(x).item(), 2 / 3, rtol=1e-12)


def test_integers_are_averaged_in_float64():
    assert functional.mean([1, 2]).item() == 1.5
    assert skgrad.tensor([1, 2]).mean().dtype == np.float64
    assert functional.softmax([0, 0]).numpy().tolist() == [0.5, 0.5]


@pytest.mark.parametrize("dtype", DTYPES)
def test_soft_maxima_do_not_overflow(dtype):
    x = np.array([-1e4, 0.0, 1e4], dtype=dtype)
    np.testing.assert_array_equal(functional.softmax(x).numpy(), [0, 0, 1])
    np.testing.assert_array_equal(functional.log_softmax(x).numpy(), [-2e4, -1e4, 0])
    assert functional.logsumexp(x).item() == 1e4
    for function in (functional.softmax, functional.log_softmax, functional.logsumexp):
        assert function(x).dtype == dtype
        slope = skgrad.grad(lambda v, f=function: f(v).sum())(x)
        assert np.isfinite(slope.numpy()).all()


def test_logsumexp_with_infinities():
    inf = math.inf
    assert functional.logsumexp([-inf, -inf]).item() == -inf
    assert functional.logsumexp([-inf, 1.0]).item() == 1.0
    assert functional.logsumexp([inf, 1.0]).item() == inf
    slope = skgrad.grad(functional.logsumexp)(np.array([-inf, 1.0, 1.0]))
    np.testing.assert_allclose(slope.numpy(), [0.0, 0.5, 0.5])


@pytest.mark.parametrize("x", [-700.0, -5.0, 0.0, 3.0, 40.0])
def test_activations_against_exact_values(x):
    exact = mpmath.mpf(x)
    phi = mpmath.ncdf(exact)
    for found, expected in (
        (functional.log_sigmoid(x), -mpmath.log(1 + mpmath.exp(-exact))),
        (functional.silu(x), exact / (1 + mpmath.exp(-exact))),
        (functional.gelu(x), exact * phi),
    ):
        np.testing.assert_allclose(
            found.item(), float(expected), rtol=1e-12, atol=1e-14
        )


def test_gelu_refuses_other_approximations():
    with pytest.raises(ParameterError, match="'sigmoid'"):
        functional.gelu([1.0], "sigmoid")


@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_and_norm_have_zero_derivative_at_zero(dtype):
    zero = np.zeros(2, dtype=dtype)
    for function in (lambda x: functional.relu(x).sum(), functional.norm):
        assert skgrad.grad(function)(zero).numpy().tolist() == [0.0, 0.0]
    assert functional.relu([1, -1]).numpy().tolist() == [1, 0]


def test_one_hot():
    codes = np.array([[0, 2], [1, 5]])
    out = functional.one_hot(codes, 3, "float32").numpy()
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out[0], [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(out[1], [[0, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_sort_and_take_along_axis(rng, axis):
    x = rng.standard_normal((3, 4, 2))
    np.testing.assert_array_equal(functional.sort(x, axis).numpy(), np.sort(x, axis))
    picks = rng.integers(-x.shape[axis], x.shape[axis], size=x.shape)
    expected = np.take_along_axis(x, picks, axis)
    found = functional.take_along_axis(x, picks, axis).numpy()
    np.testing.assert_array_equal(found, expected)
    program = trace(lambda v, p: functional.take_along_axis(v, p, axis), x, picks)
    np.testing.assert_array_equal(program(x, picks), expected)
    check_grads(lambda v: functional.take_along_axis(v, picks, axis), [x])


def test_take_along_axis_does_not_reach_into_the_next_row():
    with pytest.raises(IndexError, match="2"):
        functional.take_along_axis([[1.0, 2.0], [3.0, 4.0]], [[2], [0]])


def test_stack_errors():
    with pytest.raises(ShapeError):
        functional.stack([])
    with pytest.raises(ShapeError):
        functional.stack([[1.0], [1.0, 2.0]])


SMOOTH = {
    "mean": lambda x: functional.mean(x, 0),
    "var": lambda x: functional.var(x, 1, ddof=1),
    "std": functional.std,
    "norm": lambda x: functional.norm(x, 1),
    "logsumexp": functional.logsumexp,
    "softmax": functional.softmax,
    "log_softmax": lambda x: functional.log_softmax(x, 0),
    "log_sigmoid": functional.log_sigmoid,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "gelu tanh": lambda x: functional.gelu(x, "tanh"),
    "relu": functional.relu,
    "sort": functional.sort,
    "dot": lambda x: functional.dot(x, x),
    "stack": lambda x: functional.stack([x, x * x], axis=1),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients(name, rng):
    check_grads(SMOOTH[name], [rng.standard_normal((3, 4))])


def test_gelu_is_x_times_the_normal_distribution_function(rng):
    x = rng.standard_normal(50) * 3
    expected = x * stats.norm.cdf(x)
    # As in PyTorch, 1 + erf loses the digits of the far left tail: absolute there.
    np.testing.assert_allclose(
        functional.gelu(x).numpy(), expected, rtol=1e-12, atol=1e-15
    )
