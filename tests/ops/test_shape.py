"""Operations that move elements: results, views, errors."""

import numpy as np
import pytest

import skgrad
from skgrad import ops
from skgrad.exceptions import ShapeError

X = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    "shape", [(6, 4), (-1,), -1, (4, -1, 2), (24, 1), np.int64(24)]
)
def test_reshape(shape):
    np.testing.assert_array_equal(ops.reshape(X, shape).numpy(), np.reshape(X, shape))


@pytest.mark.parametrize("shape", [(5, 5), (-1, 5), (-1, -1), (0, -1)])
def test_reshape_refuses(shape):
    with pytest.raises(ShapeError, match=r"\(2, 3, 4\)"):
        ops.reshape(X, shape)


def test_methods_take_axes_one_by_one():
    x = skgrad.tensor(X)
    assert x.reshape(4, 6).shape == x.reshape((4, 6)).shape == (4, 6)
    assert x.transpose(1, 0, 2).shape == (3, 2, 4)
    assert x.transpose().shape == x.T.shape == (4, 3, 2)
    assert ops.swapaxes(x, 0, -1).shape == (4, 3, 2)


def test_nothing_to_do_returns_the_operand():
    x = skgrad.tensor(X)
    assert x.reshape(2, 3, 4) is x
    assert x.transpose(0, 1, 2) is x
    assert ops.broadcast_to(x, (2, 3, 4)) is x
    assert skgrad.tensor(1.0).sum() is not None


def test_expand_and_squeeze():
    assert ops.expand_dims(X, 0).shape == (1, 2, 3, 4)
    assert ops.expand_dims(X, -1).shape == (2, 3, 4, 1)
    assert ops.squeeze(ops.expand_dims(X, 1), 1).shape == X.shape
    with pytest.raises(ShapeError, match="squeeze"):
        ops.squeeze(X, 0)
    with pytest.raises(ShapeError, match="expand_dims"):
        ops.expand_dims(X, 5)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: ops.transpose(X, (0, 1)), "transpose"),
        (lambda: ops.transpose(X, (0, 0, 1)), "transpose"),
        (lambda: ops.swapaxes(X, 0, 3), "swapaxes"),
        (lambda: ops.broadcast_to(X, (3, 4)), "broadcast_to"),
        (lambda: ops.broadcast_to(np.ones(3), (2, 4)), "broadcast_to"),
        (lambda: ops.pad(X, [(1, 1)]), "pad"),
        (lambda: ops.pad(X, [(1, -1), (0, 0), (0, 0)]), "pad"),
        (lambda: ops.concatenate([]), "concatenate"),
        (lambda: ops.concatenate([X, X[0]]), "concatenate"),
        (lambda: ops.concatenate([X, X[:, :, :2]]), "concatenate"),
        (lambda: ops.concatenate([X, X], axis=3), "concatenate"),
        (lambda: ops.concatenate([1.0, 2.0]), "concatenate"),
        (lambda: ops.matmul(X, X), "matmul"),
        (lambda: ops.matmul(2.0, X), "matmul"),
        (lambda: ops.gram(X, X), "gram"),
        (lambda: ops.gram(X[0], 1.0), "gram"),
        (lambda: ops.matmul(np.ones((2, 2, 3)), np.ones((3, 3, 1))), "matmul"),
        (lambda: ops.pack([]), "pack"),
        (lambda: ops.unpack(np.ones(3), [(2,)]), "unpack"),
        (lambda: ops.unpack(np.ones((3, 1)), [(3,)]), "unpack"),
    ],
)
def test_shape_errors_name_the_operation(call, match):
    with pytest.raises(ShapeError, match=match):
        call()


def test_pack_and_unpack_invert_each_other(rng):
    leaves = [rng.standard_normal(s) for s in ((2, 3), (), (0,), (4,))]
    flat = ops.pack(leaves)
    for leaf, back in zip(
        leaves, ops.unpack(flat, [x.shape for x in leaves]), strict=True
    ):
        np.testing.assert_array_equal(leaf, back.numpy())


def test_only_some_leaves_of_unpack_used():
    flat = skgrad.tensor(np.arange(5.0), requires_grad=True)
    first, _ = ops.unpack(flat, [(2,), (3,)])
    (first * first).sum().backward()
    np.testing.assert_array_equal(flat.grad.numpy(), [0, 2, 0, 0, 0])


@pytest.mark.parametrize(
    ("left", "right"),
    [
        *(((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((5, 2, 3), (3, 4))),
        *(((5, 1, 2, 3), (4, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 3))),
        ((3,), (5, 3, 2)),
    ],
    ids=str,
)
def test_products_have_numpys_shapes(rng, left, right):
    x, y = rng.standard_normal(left), rng.standard_normal(right)
    np.testing.assert_allclose(ops.matmul(x, y).numpy(), x @ y, rtol=1e-13)
    assert (skgrad.tensor(x) @ y).shape == (x @ y).shape
    assert (x @ skgrad.tensor(y)).shape == (x @ y).shape
