"""A plain function as a loss."""

import copy
import functools
import pickle

import numpy as np
import pytest
from sklearn.base import clone

import skgrad
from skgrad import functional, losses, ops
from skgrad.exceptions import DTypeError, ParameterError, ShapeError
from skgrad.executor import Traced
from skgrad.losses import FunctionLoss, LogLoss, SquaredError


def half_squared(y_true, raw_prediction):
    """The squared error once more; sums over outputs when there are several."""
    values = 0.5 * (y_true - raw_prediction) ** 2
    return values if values.ndim == 1 else values.sum(axis=1)


def cross_entropy(y_true, raw_prediction):
    n_classes = raw_prediction.shape[1]
    indicator = functional.one_hot(y_true, n_classes, raw_prediction.dtype)
    return -(indicator * functional.log_softmax(raw_prediction)).sum(axis=1)


class Power:
    """A callable object."""

    def __init__(self, exponent):
        self.exponent = exponent

    def __call__(self, y_true, raw_prediction):
        return abs(y_true - raw_prediction) ** self.exponent


@pytest.mark.parametrize("shape", [(7,), (7, 3), (0,), (1,)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equals_the_built_in_loss(shape, dtype, rng):
    y, raw = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    found, expected = FunctionLoss(half_squared)(y, raw), SquaredError()(y, raw)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)


def test_gradient_and_trace(rng):
    y, raw = rng.standard_normal((2, 9))

    def step(y, raw):
        loss = FunctionLoss(half_squared)
        return skgrad.value_and_grad(lambda f: loss(y, f).sum())(raw)

    value, gradient = Traced(step)(y, raw)
    assert value == pytest.approx(0.5 * np.sum((y - raw) ** 2))
    np.testing.assert_allclose(gradient, raw - y)


def test_class_codes_with_the_multinomial_link(rng):
    y, raw = rng.integers(0, 3, size=8), rng.standard_normal((8, 3))
    loss = FunctionLoss(cross_entropy, link="multinomial_logit")
    assert loss.labels
    np.testing.assert_allclose(loss(y, raw).numpy(), LogLoss()(y, raw).numpy())
    np.testing.assert_allclose(loss.inverse_link(raw), LogLoss().inverse_link(raw))
    with pytest.raises(ParameterError, match=r"must lie in \{0, 1, 2\}"):
        loss(y + 5, raw)
    with pytest.raises(ShapeError, match=r"Use raw_prediction\[:, 0\]"):
        loss(y, raw[:, :1])


def test_attributes():
    loss = FunctionLoss(half_squared)
    assert loss.name == "half_squared"
    assert loss.link == "identity"
    assert loss.task is None
    assert loss.twice_differentiable
    assert not loss.convex
    assert not loss.separable
    assert not loss.has_optimal_constant
    assert loss.hyperparameters() == {}
    assert str(loss.y_domain) == "(-inf, inf)"
    with pytest.raises(ParameterError, match=r"'half_squared' is not known"):
        loss.optimal_constant([1.0])


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (Power(2), "Power"),
        (functools.partial(half_squared), "partial"),
        (lambda y, f: (y - f) ** 2, "<lambda>"),
    ],
)
def test_other_callables(function, name):
    loss = losses.get_loss(function)
    assert loss.name == name
    assert loss([1.0], [3.0]).numpy() > 0


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (
            lambda y, f: ops.sum((y - f) ** 2),
            ShapeError,
            r"shape \(\): leave out",
        ),
        (lambda y, f: (y - f)[1:], ShapeError, r"shape \(2,\): return as many values"),
        (lambda y, f: ops.reshape(y - f, (3, 1)), ShapeError, r"values\.sum\(axis=1\)"),
        (lambda y, f: y > f, DTypeError, "returned dtype bool: return float values"),
        (lambda y, f: (y - f).numpy(), DTypeError, r"a NumPy array of shape \(3,\)"),
        (lambda y, f: None, DTypeError, r"None \(is the return statement missing"),
        (lambda y, f: 1.5, DTypeError, r"It returned float 1\.5: write it with"),
    ],
)
def test_what_a_function_must_not_return(function, error, message):
    with pytest.raises(error, match=message) as caught:
        FunctionLoss(function)(np.zeros(3), np.ones(3))
    assert "The loss function '<lambda>' must return one value per sample" in str(
        caught.value
    )
    assert "shape (3,)." in str(caught.value)


def test_shapes_are_checked_before_the_function_runs():
    def never(y_true, raw_prediction):
        raise AssertionError

    with pytest.raises(ShapeError, match=r"Use raw_prediction\[:, 0\]"):
        FunctionLoss(never)(np.zeros(5), np.zeros((5, 1)))
    with pytest.raises(DTypeError, match="y_true has dtype float64"):
        FunctionLoss(never)(np.zeros(5), np.zeros(5, dtype=np.float32))


def test_an_unknown_link_is_refused():
    loss = FunctionLoss(half_squared, link="lgo")
    with pytest.raises(ParameterError, match=r"Got 'lgo' instead\. Did you mean 'log'"):
        losses.get_loss(loss)


@pytest.mark.parametrize(
    "copied",
    [clone, copy.deepcopy, lambda loss: pickle.loads(pickle.dumps(loss))],
    ids=["clone", "deepcopy", "pickle"],
)
def test_copies(copied):
    # A function of the library: test modules cannot be imported by pickle.
    loss = FunctionLoss(ops.subtract, link="log")
    assert copied(loss) == loss
    assert copied(loss).function is ops.subtract


def test_equality_is_that_of_the_function_and_the_link():
    assert FunctionLoss(half_squared) == FunctionLoss(half_squared)
    assert FunctionLoss(half_squared) != FunctionLoss(cross_entropy)
    assert FunctionLoss(half_squared) != FunctionLoss(half_squared, link="log")
