"""Square brackets, take and scatter_add against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

import skgrad
from skgrad import ops
from skgrad.exceptions import DTypeError, ShapeError
from skgrad.executor import trace
from skgrad.testing import check_grads

X = np.arange(24.0).reshape(2, 3, 4)
MASK = X[0] % 3 == 0

INDICES = [
    0,
    -1,
    slice(None),
    slice(None, None, -1),
    slice(3, None, -2),
    slice(-1, -10, -1),
    slice(5, 1),
    slice(1, 100),
    Ellipsis,
    None,
    (Ellipsis, 1),
    (0, Ellipsis, -1),
    (None, 0, None, slice(1, 3)),
    (1, 2, 3),
    (slice(None), slice(None, None, -2), slice(None, None, 3)),
    [1, 0, 1],
    np.array([[0, -1], [1, 1]]),
    (slice(None), [2, 0]),
    (slice(None), [2, -1], [0, 3]),
    (slice(None), np.array([[2], [0]]), np.array([[1, -4, 3]])),
    (0, [1, 2]),
    ([1, 0], [0, 2], [3, -1]),
    (Ellipsis, [3, 3, 0]),
    (slice(None, None, -1), [0, 2]),
    (None, [1, 0]),
    (slice(None), MASK),
    (1, MASK),
    X > 11.0,
    (X > 100.0),
    (slice(None), np.array([True, False, True])),
    (slice(None), np.array([True, False, True]), 2),
    ([], slice(None)),
    np.uint8([1, 0]),
    (np.uint8([1, 0]), np.uint8([2, 2])),
    np.int32(1),
    (),
    (slice(None), [2, 0], [1, 1], Ellipsis),
    (Ellipsis, [1, 0], [2, 0], [1, 1]),
    (0, Ellipsis, 1, 2),
]


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_square_brackets_are_numpys(index):
    x = skgrad.tensor(X, requires_grad=True)
    out, expected = x[index], X[index]
    assert out.shape == expected.shape
    np.testing.assert_array_equal(out.numpy(), expected)
    weights = np.linspace(1.0, 2.0, expected.size).reshape(expected.shape)
    (out * weights).sum().backward()
    grad = np.zeros_like(X)
    np.add.at(grad, index, weights)
    np.testing.assert_allclose(x.grad.numpy(), grad)
    if not any(_is_mask(i) for i in (index if isinstance(index, tuple) else (index,))):
        np.testing.assert_array_equal(trace(lambda x: x[index], X)(X), expected)


def _is_mask(item):
    return np.asarray(item).dtype == bool


@given(st_numpy.basic_indices((3, 4, 5), allow_ellipsis=True, allow_newaxis=True))
@settings(max_examples=200)
def test_any_basic_index(index):
    x = np.arange(60.0).reshape(3, 4, 5)
    np.testing.assert_array_equal(ops.getitem(x, index).numpy(), x[index])


@given(st_numpy.integer_array_indices((3, 4), result_shape=st_numpy.array_shapes()))
@settings(max_examples=50)
def test_any_index_arrays(index):
    x = np.arange(60.0).reshape(3, 4, 5)
    np.testing.assert_array_equal(ops.getitem(x, index).numpy(), x[index])


@given(st.integers(-12, 12), st.integers(-12, 12), st.integers(-5, 5).filter(bool))
@settings(max_examples=100)
def test_slices_and_their_gradients(start, stop, step):
    x = skgrad.tensor(np.arange(10.0), requires_grad=True)
    out = x[start:stop:step]
    np.testing.assert_array_equal(out.numpy(), np.arange(10.0)[start:stop:step])
    out.sum().backward()
    expected = np.zeros(10)
    expected[start:stop:step] = 1
    np.testing.assert_array_equal(x.grad.numpy(), expected)


@pytest.mark.parametrize(
    ("index", "error"),
    [
        ((0, 0, 0, 0), ShapeError),
        ((Ellipsis, Ellipsis), ShapeError),
        (([0], slice(None), [0]), ShapeError),
        (np.ones((2, 2), dtype=bool), ShapeError),
        ((slice(None), np.array([True, True])), ShapeError),
        (True, DTypeError),
        (np.array(True), DTypeError),
        (1.0, DTypeError),
        ("a", DTypeError),
        (2, IndexError),
        ((0, -4), IndexError),
        ([0, 2], IndexError),
        ((slice(None), [3], [0]), IndexError),
    ],
    ids=repr,
)
def test_bad_indices_are_refused(index, error):
    with pytest.raises(error):
        ops.getitem(X, index)


@pytest.mark.parametrize("between", [Ellipsis, None])
@pytest.mark.parametrize("last", [[0, 1], 1, np.array([True, True, False, False])])
def test_what_stands_between_index_arrays_separates_them(between, last):
    index = (slice(None), [0, 1], between, last)
    assert not np.array_equal(X[index], X[:, [0, 1], last])
    with pytest.raises(ShapeError, match="neighbouring axes"):
        ops.getitem(X, index)


def test_index_arrays_may_be_traced():
    def f(x, i, j):
        return x[:, i, j], x[i]

    i, j = np.array([1, -1]), np.array([[3], [-4]])
    x = np.arange(60.0).reshape(3, 4, 5)
    both, rows = trace(f, x, i, j)(x, i, j)
    np.testing.assert_array_equal(both, x[:, i, j])
    np.testing.assert_array_equal(rows, x[i])


def test_take_and_scatter_add_are_transposes(rng):
    indices = rng.integers(-5, 5, size=(3, 2))
    x, y = rng.standard_normal((4, 5, 2)), rng.standard_normal((4, 3, 2, 2))
    taken = ops.take(x, indices, axis=1).numpy()
    scattered = ops.scatter_add(y, indices, axis=1, size=5).numpy()
    np.testing.assert_allclose(np.sum(taken * y), np.sum(x * scattered))
    check_grads(lambda x: ops.take(x, indices, axis=1), [x])
    check_grads(lambda y: ops.scatter_add(y, indices, axis=1, size=5), [y])


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: ops.take(X, [2]), IndexError),
        (lambda: ops.take(X, [-3]), IndexError),
        (lambda: ops.take(X, [0.5]), DTypeError),
        (lambda: ops.take(X, [True]), DTypeError),
        (lambda: ops.take(X, [0], axis=3), ShapeError),
        (lambda: ops.scatter_add(X, [0, 1, 2], size=3), ShapeError),
        (lambda: ops.scatter_add(X, [0, 5], size=3), IndexError),
        (lambda: ops.scatter_add(X, [[0, 0]], axis=0, size=1), ShapeError),
    ],
)
def test_errors(call, error):
    with pytest.raises(error):
        call()


def test_argsort_is_stable_and_puts_nan_last():
    x = np.array([2.0, np.nan, 1.0, 2.0, 1.0])
    assert ops.argsort(x).numpy().tolist() == [2, 4, 0, 3, 1]
    assert skgrad.sort(x[[0, 2]]).numpy().tolist() == [1.0, 2.0]
