"""The public checks: they pass what is right and catch what is wrong."""

import numpy as np
import pytest
from losses.cases import CASES

import skgrad
from skgrad import ops
from skgrad.core.primitive import Abstract, Primitive
from skgrad.exceptions import DTypeError, ParameterError
from skgrad.losses import LOSSES
from skgrad.losses.base import Loss
from skgrad.optim import OPTIMIZERS, SGD
from skgrad.testing import check_grads, check_loss, check_optimizer

X = np.array([0.3, -1.2, 2.0])


def primitive(name, rule, expression="sin({0})"):
    return Primitive(
        name, lambda x: Abstract(x.shape, x.dtype), (rule,), lambda: expression
    )


# --- check_grads ------------------------------------------------------------------


def test_gradients_of_trees_integers_and_scalars():
    indices = np.array([0, 2, 2])
    check_grads(lambda x, i: {"a": ops.take(x, i) ** 2, "b": i}, [X, indices])
    check_grads(lambda x, y: (x * y, ops.exp(x)), [1.5, X])
    check_grads(lambda x: x.sum(), [np.zeros((0, 2))])
    check_grads(ops.tanh, [X], order=3)


@pytest.mark.parametrize("mode", ["rev", "fwd"])
def test_a_wrong_rule_is_found(mode):
    wrong = primitive("wrong", lambda g, out, x: g * ops.sin(x))
    with pytest.raises(AssertionError, match=rf"derivative 1 of bind \({mode}\).*rule"):
        check_grads(wrong.bind, [X], modes=[mode])


def test_a_wrong_second_derivative_is_found():
    # Right to first order: the cosine is a constant for the second.
    half = primitive("half", lambda g, out, x: g * ops.cos(x.detach()))
    check_grads(half.bind, [X], order=1)
    with pytest.raises(AssertionError, match=r"derivative 2 of bind \(rev of rev\)"):
        check_grads(half.bind, [X], modes=["rev"])


def test_a_kink_is_found():
    with pytest.raises(AssertionError, match="kink"):
        check_grads(abs, [np.array([1e-4, 1.0])], order=1)


def test_arguments_of_check_grads():
    with pytest.raises(DTypeError, match="float32"):
        check_grads(ops.exp, [X.astype("float32")])
    with pytest.raises(ParameterError, match="'forward'"):
        check_grads(ops.exp, [X], modes=["forward"])


# --- check_loss -------------------------------------------------------------------

RAW = np.array([0.3, -0.7, 1.9, 0.4])
# Whose values overflow, as is documented, at the extremes below.
OVERFLOWING = ("poisson", "gamma", "gaussian_nll")


@pytest.mark.parametrize("name", LOSSES)
def test_the_losses_pass(name, rng):
    y, raw = CASES[name].data(rng, n=4)
    extremes = () if name in OVERFLOWING else (-1e4, 1e4)
    check_loss(CASES[name].loss, y, raw, extremes=extremes)


def test_losses_of_several_outputs():
    rng = np.random.default_rng(0)
    raw = rng.standard_normal((5, 3))
    check_loss("huber", rng.standard_normal((5, 3)), raw)
    check_loss("log_loss", np.array([0, 2, 1, 1, 0]), raw, extremes=(1e3,))


def ranked(y_true, raw_prediction):
    order = ops.argsort(ops.argsort(raw_prediction))
    return (y_true - raw_prediction) ** 2 * (order + 1)


def promoted(y_true, raw_prediction):
    return ops.astype((y_true - raw_prediction) ** 2, "float64")


def detached(y_true, raw_prediction):
    return (y_true - raw_prediction) * (y_true - raw_prediction).detach()


def overflowing(y_true, raw_prediction):
    return ops.log(1.0 + ops.exp(raw_prediction)) - y_true * raw_prediction


class Counter:
    """A loss that depends on how often it was called."""

    def __init__(self):
        self.n = 0

    def __call__(self, y_true, raw_prediction):
        self.n += 1
        return (y_true - raw_prediction) ** 2 * (1.0 + (self.n > 9) * self.n)


@pytest.mark.parametrize(
    ("loss", "match"),
    [
        (ranked, "among all rows"),
        (promoted, "must keep the dtype"),
        (detached, "central differences"),
        (Counter(), "traced|repeated|among"),
    ],
)
def test_bad_losses_are_found(loss, match):
    with pytest.raises(AssertionError, match=match):
        check_loss(loss, np.array([0.1, 1.0, -2.0, 0.9]), RAW)


def test_overflow_is_found_when_asked():
    y = np.array([0.0, 1.0, 1.0, 0.0])
    check_loss(overflowing, y, RAW)
    with pytest.raises(AssertionError, match="softplus"):
        check_loss(overflowing, y, RAW, extremes=(1e4,))


class Uneven(Loss):
    """Returns two values per sample."""

    name = "uneven"

    def pointwise(self, y_true, raw_prediction, **hyperparameters):
        values = (y_true - raw_prediction) ** 2
        return ops.concatenate([values, values])

    def optimal_constant(self, y, sample_weight=None):
        return 0.0


def test_the_shape_is_checked():
    with pytest.raises(AssertionError, match=r"'uneven'.*\(4,\).*\(8,\)"):
        check_loss(Uneven(), RAW * 0.5, RAW)


# --- check_optimizer --------------------------------------------------------------


# One of minibatches and one of all rows; tests/optim has what all of them must do.
SOME = ("adam", "lbfgs")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in SOME else pytest.mark.long)
        for name in OPTIMIZERS
    ],
)
def test_the_optimizers_pass(name):
    # The steps of Adagrad become shorter than those of the others at the same rate.
    check_optimizer(name, learning_rate={"adagrad": 0.1}.get(name, 1e-3))


class Ascent(SGD):
    def update(self, grads, state, params, hyper):
        negated = skgrad.core.tree_map(lambda g: -g, grads)
        return super().update(negated, state, params, hyper)


class Promoting(SGD):
    def update(self, grads, state, params, hyper):
        params, state = super().update(grads, state, params, hyper)
        return skgrad.core.tree_map(lambda p: ops.astype(p, "float64"), params), state


class Growing(SGD):
    def init(self, params):
        return [skgrad.tensor([0.0])]

    def update(self, grads, state, params, hyper):
        params, _ = super().update(grads, super().init(params), params, hyper)
        return params, [ops.concatenate([state[0], state[0]])]


class Constant(SGD):
    """Ignores the rate it is given after the first call."""

    rate = None

    def update(self, grads, state, params, hyper):
        if not hyper["learning_rate"].is_traced:
            self.rate = self.rate or hyper["learning_rate"].item()
            hyper = {**hyper, "learning_rate": self.rate}
        return super().update(grads, state, params, hyper)


@pytest.mark.parametrize(
    ("optimizer", "match"),
    [
        (Ascent(), "brought a parabola"),
        (Promoting(), "dtypes of the parameters.*float32.*float64"),
        (Growing(), "of the state"),
        (Constant(), "traced.*hyper"),
    ],
)
def test_bad_optimizers_are_found(optimizer, match):
    with pytest.raises(AssertionError, match=match):
        check_optimizer(optimizer, n_steps=500)


def test_a_full_batch_optimizer_that_stops_early_is_found():
    with pytest.raises(AssertionError, match=r"a parabola.*max_iter"):
        check_optimizer(OPTIMIZERS["lbfgs"](max_iter=3))
