"""Elementwise operations where floats end: extremes, NaN, infinities."""

import math

import numpy as np
import pytest

import skgrad
from skgrad import ops

DTYPES = ["float32", "float64"]
INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("function", "points", "values", "slopes"),
    [
        ("sigmoid", [-1e4, 1e4, -INF, INF], [0, 1, 0, 1], [0, 0, 0, 0]),
        ("softplus", [-1e4, 1e4, -INF, INF], [0, 1e4, 0, INF], [0, 1, 0, 1]),
        ("tanh", [-1e4, 1e4, -INF, INF], [-1, 1, -1, 1], [0, 0, 0, 0]),
        ("erf", [-1e4, 1e4, -INF, INF], [-1, 1, -1, 1], [0, 0, 0, 0]),
        ("exp", [-1e4, 1e4, -INF], [0, INF, 0], [0, INF, 0]),
        ("log", [0.0, INF], [-INF, INF], [INF, 0]),
        ("sqrt", [INF], [INF], [0]),
        ("absolute", [-INF, INF], [INF, INF], [-1, 1]),
        ("square", [1e30], [1e60], [2e30]),
    ],
)
def test_extremes(dtype, function, points, values, slopes):
    if dtype == "float32" and function == "square":
        values = [INF]
    x = skgrad.tensor(points, dtype=dtype, requires_grad=True)
    out = getattr(ops, function)(x)
    out.sum().backward()
    np.testing.assert_allclose(out.numpy(), values, rtol=1e-6)
    np.testing.assert_allclose(x.grad.numpy(), slopes, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_small_arguments_keep_their_digits(dtype):
    x = np.array([1e-12], dtype=dtype)
    np.testing.assert_allclose(ops.expm1(x).numpy(), x, rtol=1e-6)
    np.testing.assert_allclose(ops.log1p(x).numpy(), x, rtol=1e-6)
    np.testing.assert_allclose(ops.softplus(-30.0).item(), math.exp(-30.0), rtol=1e-12)


def test_nan_is_never_lost():
    x = np.array([NAN])
    unary = (
        *(
            "absolute",
            "cos",
            "erf",
            "exp",
            "expm1",
            "floor",
            "log",
            "log1p",
            "negative",
        ),
        *("sigmoid", "sign", "sin", "softplus", "sqrt", "square", "tanh"),
    )
    for name in unary:
        assert np.isnan(getattr(ops, name)(x).numpy()).all(), name
    for name in ("add", "divide", "maximum", "minimum", "multiply", "power"):
        assert np.isnan(getattr(ops, name)(x, 2.0).numpy()).all(), name
        assert np.isnan(getattr(ops, name)(2.0, x).numpy()).all(), name
    assert np.isnan(ops.clip(x, 0.0, 1.0).numpy()).all()
    assert np.isnan(ops.max([1.0, NAN]).item())
    assert np.isnan(ops.min([1.0, NAN]).item())
    assert np.isnan(skgrad.relu(x).numpy()).all()


def test_no_floating_point_warning_escapes():
    out = ops.log(np.array([0.0, -1.0])) / 0.0 + ops.exp(1e4)
    assert not np.isfinite(out.numpy()).any()


def test_a_branch_not_chosen_gives_no_gradient():
    x = skgrad.tensor([-1.0, 4.0], requires_grad=True)
    safe = ops.where(x > 0, x, 1.0)
    ops.where(x > 0, ops.sqrt(safe), 0.0).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0.0, 0.25])


def test_comparisons_and_logic_return_bool_without_history():
    x = skgrad.tensor([1.0, 2.0], requires_grad=True)
    for out in (x > 1, x == 1, (x > 1) & (x < 3), ~(x > 1), ops.isnan(x)):
        assert out.dtype == np.bool_
        assert not out.requires_grad


def test_powers():
    x = np.array([-2.0, 0.0, 3.0])
    np.testing.assert_array_equal(ops.power(x, 3).numpy(), [-8, 0, 27])
    assert np.isnan(ops.power(-2.0, 0.5).item())
    second = skgrad.grad(skgrad.grad(lambda v: ops.power(v, 2.0)))
    assert second(0.0).item() == 2.0
    third = skgrad.grad(skgrad.grad(skgrad.grad(lambda v: v**3)))
    assert third(0.0).item() == 6.0
