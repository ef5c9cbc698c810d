"""What the layers' rows leave out: odd paddings, second derivatives, refusals."""

import numpy as np
import pytest
import torch

import skgrad
from skgrad import functional, ops
from skgrad.exceptions import DTypeError, ParameterError, ShapeError
from skgrad.testing import check_grads


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 3])
def test_same_padding_puts_the_odd_zero_behind(size, dilation, rng):
    x, w = rng.standard_normal((2, 1, 7)), rng.standard_normal((1, 1, size))
    total = dilation * (size - 1)
    padded = np.pad(x, ((0, 0), (0, 0), (total // 2, total - total // 2)))
    theirs = torch.nn.functional.conv1d(
        torch.tensor(padded), torch.tensor(w), dilation=dilation
    )
    found = functional.conv1d(x, w, padding="same", dilation=dilation)
    assert found.shape == x.shape
    np.testing.assert_allclose(found.numpy(), theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (
            lambda x, w: functional.conv1d(x, w, stride=2, padding=1),
            [(2, 2, 4), (3, 2, 3)],
        ),
        (
            lambda x, w: functional.conv2d(x, w, groups=2),
            [(2, 4, 3, 2), (2, 2, 2, 2)],
        ),
    ],
    ids=["conv1d", "conv2d"],
)
def test_second_derivatives(function, shapes, rng):
    arrays = [rng.standard_normal(shape) for shape in shapes]
    check_grads(lambda x, w: ops.tanh(function(x, w)), arrays, order=2)


@pytest.mark.parametrize("pool", ["avg_pool1d", "max_pool1d"])
def test_poolings_of_vectors_and_second_derivatives(pool, rng):
    function = getattr(functional, pool)
    x = rng.permutation(9) * 0.3
    check_grads(lambda x: ops.sin(function(x, 3, 2, 1)), [x], order=2)
    assert function(x, 3, 2, 1).shape == (5,)


def test_ties_share_the_derivative():
    x = skgrad.tensor([2.0, 2.0, 1.0, 3.0], requires_grad=True)
    functional.max_pool1d(x, 2).sum().backward()
    assert x.grad.numpy().tolist() == [0.5, 0.5, 0.0, 1.0]


def test_padding_is_never_the_largest():
    found = functional.max_pool2d(-np.ones((1, 2, 2)), 2, 1, 1)
    assert found.numpy().tolist() == (-np.ones((1, 3, 3))).tolist()


X, W = np.zeros((2, 4, 6)), np.zeros((4, 2, 3))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda f: f.conv1d(X[0], W), ShapeError, r"\(n_samples, n_channels, length\)"),
        (lambda f: f.conv2d(X, W), ShapeError, r"height, width\) .* \(2, 4, 6\)"),
        (lambda f: f.conv1d(X, W), ShapeError, r"need an input with 2 channels"),
        (lambda f: f.conv1d(X, W[:3], groups=2), ShapeError, r"filters \(3\) must be"),
        (lambda f: f.conv1d(X, W, groups=2, dilation=3), ShapeError, "or pad"),
        (lambda f: f.conv1d(X, W, groups=0), ParameterError, r"'groups' .* \[1, inf\)"),
        (
            lambda f: f.conv1d(X, W, groups=2, stride=(1, 1)),
            ParameterError,
            "sequence of 1",
        ),
        (
            lambda f: f.conv1d(X, W, groups=2, stride=1.5),
            ParameterError,
            r"Got 1\.5 instead",
        ),
        (
            lambda f: f.conv1d(X, W, groups=2, padding=-1),
            ParameterError,
            r"int in \[0, inf\)",
        ),
        (lambda f: f.conv1d(X, W, padding="full", groups=2), ParameterError, "'valid'"),
        (
            lambda f: f.conv1d(X, W, padding="same", stride=2, groups=2),
            ParameterError,
            "needs stride 1",
        ),
        (lambda f: f.conv1d(X.astype("f4"), W), DTypeError, "float32"),
        (lambda f: f.max_pool1d(X, 2, padding=2), ParameterError, "at most half"),
        (lambda f: f.max_pool2d(X, (2, 2, 2)), ParameterError, "sequence of 2"),
        (lambda f: f.avg_pool1d(X, 7), ShapeError, r"no window of sizes \(7,\)"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, match):
    with pytest.raises(error, match=match):
        call(functional)
