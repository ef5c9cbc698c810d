"""Initialisers against PyTorch's bounds and standard deviations."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import skgrad
from skgrad import nn
from skgrad.exceptions import ParameterError, ShapeError

SHAPES = [(300, 200), (40, 20, 5, 5)]
N_DRAWS = 60_000  # rows of SHAPES[0]; standard error of a std is std / sqrt(2 n)


def drawn(function, *args, shape=SHAPES[0], dtype="float64", seed=0, **kwargs):
    weight = nn.Parameter(np.zeros(shape, dtype))
    with skgrad.random_seed(seed):
        assert function(weight, *args, **kwargs) is weight
    return weight.numpy()


def torch_drawn(name, *args, shape=SHAPES[0], **kwargs):
    weight = torch.zeros(shape, dtype=torch.float64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return getattr(torch.nn.init, name)(weight, *args, **kwargs).numpy()


RANDOM = [
    ("uniform_", ()),
    ("uniform_", (-3.0, 5.0)),
    ("normal_", ()),
    ("normal_", (2.0, 0.1)),
    ("xavier_uniform_", ()),
    ("xavier_uniform_", (5 / 3,)),
    ("xavier_normal_", ()),
    ("kaiming_uniform_", ()),
    ("kaiming_uniform_", (math.sqrt(5),)),
    ("kaiming_uniform_", (0.0, "fan_out", "relu")),
    ("kaiming_normal_", ()),
    ("kaiming_normal_", (0.0, "fan_out", "tanh")),
]


@pytest.mark.parametrize(("name", "args"), RANDOM)
@pytest.mark.parametrize("shape", SHAPES)
def test_distribution_is_that_of_torch(name, args, shape):
    ours = drawn(getattr(nn.init, name), *args, shape=shape).ravel()
    theirs = torch_drawn(name, *args, shape=shape).ravel()
    # Two samples of one distribution: the Kolmogorov-Smirnov test does not reject.
    assert stats.ks_2samp(ours, theirs).pvalue > 1e-3
    np.testing.assert_allclose(ours.std(), theirs.std(), rtol=0.02)


@pytest.mark.parametrize(
    ("name", "args", "bound"),
    [
        ("xavier_uniform_", (), math.sqrt(6 / 500)),
        ("xavier_uniform_", (2.0,), 2 * math.sqrt(6 / 500)),
        ("kaiming_uniform_", (), math.sqrt(6 / 200)),
        ("kaiming_uniform_", (math.sqrt(5),), 1 / math.sqrt(200)),
        ("kaiming_uniform_", (0.0, "fan_out"), math.sqrt(6 / 300)),
    ],
)
def test_uniform_bounds(name, args, bound):
    values = drawn(getattr(nn.init, name), *args)
    assert np.abs(values).max() <= bound
    # P(no draw in the outer thousandth) = 0.999**60000 < 1e-26
    assert np.abs(values).max() > 0.999 * bound


@pytest.mark.parametrize(
    ("name", "args", "std"),
    [
        ("xavier_normal_", (), math.sqrt(2 / 500)),
        ("kaiming_normal_", (), math.sqrt(2 / 200)),
        ("kaiming_normal_", (0.0, "fan_out", "tanh"), 5 / 3 / math.sqrt(300)),
    ],
)
def test_normal_std(name, args, std):
    values = drawn(getattr(nn.init, name), *args)
    tolerance = 5 / math.sqrt(2 * N_DRAWS)
    np.testing.assert_allclose(values.std(), std, rtol=tolerance)
    assert abs(values.mean()) < 5 * std / math.sqrt(N_DRAWS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_constants(dtype):
    for function, args, value in [
        (nn.init.zeros_, (), 0.0),
        (nn.init.ones_, (), 1.0),
        (nn.init.constant_, (0.1,), 0.1),
    ]:
        values = drawn(function, *args, shape=(2, 3), dtype=dtype)
        assert values.dtype == dtype
        np.testing.assert_array_equal(values, np.full((2, 3), value, dtype))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3), (3, 0)])
def test_any_shape(shape):
    assert drawn(nn.init.uniform_, shape=shape).shape == shape
    assert drawn(nn.init.normal_, shape=shape).shape == shape
    if len(shape) == 2:
        assert drawn(nn.init.xavier_normal_, shape=shape).shape == shape
        assert drawn(nn.init.kaiming_uniform_, shape=shape).shape == shape


def test_float32_draws_are_rounded_float64_draws():
    wide = drawn(nn.init.normal_)
    narrow = drawn(nn.init.normal_, dtype="float32")
    np.testing.assert_array_equal(narrow, wide.astype("float32"))


def test_same_seed_same_draws_and_stream_advances():
    np.testing.assert_array_equal(drawn(nn.init.normal_), drawn(nn.init.normal_))
    assert (drawn(nn.init.normal_) != drawn(nn.init.normal_, seed=1)).any()
    with skgrad.random_seed(0):
        first = nn.init.normal_(nn.Parameter(np.zeros(5))).numpy().copy()
        second = nn.init.normal_(nn.Parameter(np.zeros(5))).numpy()
    assert (first != second).all()


def test_global_numpy_state_is_neither_used_nor_changed():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the state under test
    drawn(nn.init.uniform_)
    after = np.random.get_state()[1]  # noqa: NPY002 - the state under test
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    "nonlinearity", ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]
)
def test_gain_is_that_of_torch(nonlinearity):
    expected = torch.nn.init.calculate_gain(nonlinearity)
    assert nn.init.calculate_gain(nonlinearity) == pytest.approx(expected, rel=1e-15)


def test_gain_of_a_slope():
    expected = torch.nn.init.calculate_gain("leaky_relu", 0.3)
    assert nn.init.calculate_gain("leaky_relu", 0.3) == pytest.approx(expected)


def test_errors_name_the_value_and_the_choices():
    weight = nn.Parameter(np.zeros((2, 3)))
    with pytest.raises(ParameterError, match=r"'rleu' instead\. Did you mean 'relu'"):
        nn.init.kaiming_normal_(weight, nonlinearity="rleu")
    with pytest.raises(ParameterError, match=r"'fan_in' or 'fan_out'\. Got 'fan'"):
        nn.init.kaiming_uniform_(weight, mode="fan")
    with pytest.raises(ParameterError, match=r"'std' parameter of normal_ .* Got -1"):
        nn.init.normal_(weight, std=-1.0)
    with pytest.raises(ParameterError, match="'low' parameter of uniform_"):
        nn.init.uniform_(weight, 1.0, 0.0)
    with pytest.raises(ParameterError, match="'low' parameter of uniform_"):
        nn.init.uniform_(weight, -math.inf, 0.0)
    with pytest.raises(ParameterError, match="'high' parameter of uniform_"):
        nn.init.uniform_(weight, 0.0, math.nan)


@pytest.mark.parametrize("name", ["xavier_uniform_", "kaiming_normal_"])
def test_fans_need_two_axes(name):
    with pytest.raises(ShapeError, match=rf"{name} needs .* Got shape \(3,\)"):
        getattr(nn.init, name)(nn.Parameter(np.zeros(3)))
