"""Optimizers around others: averaged weights, accumulated gradients."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import skgrad
from skgrad.core import tree_flatten, tree_leaves, tree_map
from skgrad.exceptions import ParameterError
from skgrad.executor import Traced
from skgrad.optim import SGD, Accumulated, Adam, Averaged, Newton, get_optimizer
from skgrad.testing import check_optimizer

WRAPPERS = [Averaged(Adam(b1=0.8), decay=0.9), Accumulated(SGD(), n_steps=3)]
WRAPPERS += [Accumulated(Averaged(SGD(momentum=0.5)), n_steps=2)]
EACH = pytest.mark.parametrize("wrapper", WRAPPERS, ids=repr)


def hyper_of(optimizer, learning_rate=0.1):
    return {**optimizer.hyperparameters(), "learning_rate": learning_rate}


def run(optimizer, gradients, w, learning_rate=0.1):
    """Return parameters and state after steps of the pure face."""
    w, hyper = skgrad.tensor(w), hyper_of(optimizer, learning_rate)
    state = optimizer.init(w)
    for g in gradients:
        w, state = optimizer.update(skgrad.tensor(g), state, w, hyper)
    return w, state


# ---------------------------------------------------------------- averaged weights


def torch_averages(gradients, w, **kwargs):
    """Return PyTorch's average after each step of SGD, and the weights."""
    model = torch.nn.Linear(len(w), 1, bias=False).double()
    model.weight.data[:] = torch.tensor(w)
    average = AveragedModel(model, **kwargs)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    averages, weights = [], []
    for g in gradients:
        model.weight.grad = torch.tensor(g[np.newaxis])
        optimizer.step()
        average.update_parameters(model)
        averages.append(average.module.weight.detach().numpy()[0].copy())
        weights.append(model.weight.detach().numpy()[0].copy())
    return averages, weights


def test_decay_of_one_is_the_plain_mean_of_torch(rng):
    w, gradients = rng.normal(size=3), rng.normal(size=(20, 3))
    expected, _ = torch_averages(gradients, w)
    for n in (1, 2, 20):
        optimizer = Averaged(SGD(), decay=1.0)
        found = optimizer.fitted(*run(optimizer, gradients[:n], w))
        np.testing.assert_allclose(found.numpy(), expected[n - 1], rtol=1e-13)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_decay_is_that_of_torch_without_its_weight_on_the_first_step(rng, decay):
    """PyTorch's average has Σ (1 - d) d^(t-s) p_s, and d^(t-1) instead for s = 1."""
    w, gradients = rng.normal(size=3), rng.normal(size=(20, 3))
    averages, weights = torch_averages(
        gradients, w, multi_avg_fn=get_ema_multi_avg_fn(decay)
    )
    for n in (1, 2, 20):
        optimizer = Averaged(SGD(), decay=decay)
        found = optimizer.fitted(*run(optimizer, gradients[:n], w))
        expected = (averages[n - 1] - decay**n * weights[0]) / (1 - decay**n)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_averaging_does_not_change_the_steps(rng):
    w, gradients = rng.normal(size=3), rng.normal(size=(20, 3))
    averaged, _ = run(Averaged(Adam(), decay=0.5), gradients, w)
    plain, _ = run(Adam(), gradients, w)
    np.testing.assert_array_equal(averaged.numpy(), plain.numpy())


def test_before_the_first_step_the_average_is_the_start():
    optimizer, w = Averaged(SGD()), skgrad.tensor([1.0, 2.0])
    assert optimizer.fitted(w, optimizer.init(w)).numpy().tolist() == [1.0, 2.0]


def test_a_loop_of_ones_own_has_the_averages_inside_the_block(rng):
    used, unused = (skgrad.tensor(rng.normal(size=2), requires_grad=True) for _ in "ab")
    optimizer = Averaged(SGD([used, unused], lr=0.1), decay=0.5)
    seen = []
    for _ in range(3):
        optimizer.zero_grad()
        (used**2).sum().backward()
        optimizer.step()
        seen.append(used.numpy().copy())
    own, other = used.numpy().copy(), unused.numpy().copy()
    with optimizer.averaged():
        expected = (seen[0] + 2 * seen[1] + 4 * seen[2]) / 7
        np.testing.assert_allclose(used.numpy(), expected, rtol=1e-14)
        np.testing.assert_array_equal(unused.numpy(), other)
    np.testing.assert_array_equal(used.numpy(), own)
    with pytest.raises(ZeroDivisionError), optimizer.averaged():
        1 / 0  # noqa: B018 - leaves the block by an error
    np.testing.assert_array_equal(used.numpy(), own)
    optimizer.lr = 0.0
    optimizer.step()
    np.testing.assert_array_equal(used.numpy(), own)


# ------------------------------------------------------------ accumulated gradients


def test_every_nth_step_has_the_mean_gradient(rng):
    w, gradients = rng.normal(size=3), rng.normal(size=(12, 3))
    means = gradients.reshape(4, 3, 3).mean(axis=1)
    optimizer = Accumulated(Adam(), n_steps=3)
    for n in range(13):
        found, _ = run(optimizer, gradients[:n], w)
        expected, _ = run(Adam(), means[: n // 3], w)
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-14)


def test_between_the_steps_nothing_moves_by_a_bit(rng):
    w = rng.normal(size=3)
    found, state = run(Accumulated(Adam(weight_decay=0.5), n_steps=3), [w, w], w)
    np.testing.assert_array_equal(found.numpy(), w)
    for leaf, start in zip(
        tree_leaves(state.inner),
        tree_leaves(Adam().init(skgrad.tensor(w))),
        strict=True,
    ):
        np.testing.assert_array_equal(leaf.numpy(), start.numpy())


def test_gradients_of_small_batches_add_up_to_one_of_a_large_batch(rng):
    """In a loop of one's own .grad does it, PyTorch's habit."""
    X, y = rng.normal(size=(12, 3)), rng.normal(size=12)
    small, large = (skgrad.tensor(np.zeros(3), requires_grad=True) for _ in range(2))
    one, other = Adam([small], lr=0.1), Adam([large], lr=0.1)
    for _ in range(5):
        one.zero_grad()
        other.zero_grad()
        for rows in np.arange(12).reshape(4, 3):
            error = skgrad.tensor(X[rows]) @ small - skgrad.tensor(y[rows])
            ((error**2).mean() / 4).backward()
        ((skgrad.tensor(X) @ large - skgrad.tensor(y)) ** 2).mean().backward()
        one.step()
        other.step()
        np.testing.assert_allclose(small.numpy(), large.numpy(), rtol=1e-12)


# -------------------------------------------------------------------------- both


@EACH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_traced_steps_equal_eager_ones_and_are_traced_once(rng, wrapper, dtype):
    step = Traced(wrapper.update)
    eager = skgrad.tensor(rng.normal(size=5), dtype=dtype)
    eager_state = wrapper.init(eager)
    w, state = eager.numpy(), tree_map(lambda t: t.numpy(), eager_state)
    for i in range(10):
        g = rng.normal(size=5).astype(dtype)
        hyper = tree_map(lambda h, k=i: np.array(h * (1 - 0.01 * k)), hyper_of(wrapper))
        tensors = tree_map(skgrad.tensor, hyper)
        eager, eager_state = wrapper.update(
            skgrad.tensor(g), eager_state, eager, tensors
        )
        w, state = step(g, state, w, hyper)
        leaves = zip(
            tree_leaves((eager, eager_state)), tree_leaves((w, state)), strict=True
        )
        for one, other in leaves:
            rtol = 1e-5 if dtype == "float32" else 1e-13
            np.testing.assert_allclose(other, one.numpy(), rtol=rtol)
            assert one.dtype == other.dtype
    assert step.n_traces == 1
    assert tree_flatten(state)[1] == tree_flatten(eager_state)[1]


# The last one is both wrappers at once; each by itself is left to the long run.
@pytest.mark.parametrize(
    "wrapper",
    [*(pytest.param(w, marks=pytest.mark.long) for w in WRAPPERS[:-1]), WRAPPERS[-1]],
    ids=repr,
)
def test_what_the_rest_of_skgrad_relies_on(wrapper):
    check_optimizer(wrapper, n_steps=10_000, learning_rate=5e-4, factor=0.5)


@EACH
def test_is_a_parameter_object(wrapper):
    assert clone(wrapper) == wrapper
    assert pickle.loads(pickle.dumps(wrapper)) == wrapper
    changed = clone(wrapper).set_params(optimizer=SGD(momentum=0.25))
    assert changed != wrapper
    assert changed.set_params(optimizer__momentum=0.5).optimizer == SGD(momentum=0.5)


def test_pure_face_equals_stateful_face(rng):
    start, gradients = rng.normal(size=3), rng.normal(size=(7, 3))
    w = skgrad.tensor(start, requires_grad=True)
    optimizer = Accumulated(Averaged(SGD([w], lr=0.1)), n_steps=2)
    for g in gradients:
        w.grad = skgrad.tensor(g)
        optimizer.step()
    expected, _ = run(Accumulated(Averaged(SGD()), n_steps=2), gradients, start)
    np.testing.assert_array_equal(w.numpy(), expected.numpy())


# ------------------------------------------------------------------------- errors


@pytest.mark.parametrize("inside", [Newton(), "adam", None, Adam])
def test_what_goes_inside_is_a_stochastic_optimizer(inside):
    for cls in (Averaged, Accumulated):
        message = f"'optimizer' parameter of {cls.__name__} must be a stochastic"
        with pytest.raises(ParameterError, match=message):
            get_optimizer(cls(inside))


def test_parameters_are_checked():
    for wrapper, name in [
        (Averaged(Adam(), decay=1.5), "'decay' parameter of Averaged"),
        (Averaged(Adam(b1=2.0)), "'b1' parameter of Adam"),
        (Accumulated(Adam(), n_steps=0), "'n_steps' parameter of Accumulated"),
        (Accumulated(Adam(), n_steps=2.5), "'n_steps' parameter of Accumulated"),
    ]:
        with pytest.raises(ParameterError, match=name):
            get_optimizer(wrapper)


def test_a_description_has_nothing_to_average():
    optimizer = Averaged(Adam())
    with pytest.raises(ParameterError, match=r"This Adam has no parameters"):
        optimizer.step()
    with (
        pytest.raises(ParameterError, match=r"This Adam has no parameters"),
        optimizer.averaged(),
    ):
        pass
