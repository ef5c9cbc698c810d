"""The step as a pure function: eager and traced agree, every float is an input."""

import itertools
from functools import partial

import numpy as np
import pytest
from train.problems import LOSS_ROWS, make_network, make_problem

import skgrad
from skgrad import nn
from skgrad.core import tree_leaves, tree_map
from skgrad.core.random import STREAMS
from skgrad.exceptions import ParameterError, ShapeError
from skgrad.executor import Traced
from skgrad.losses import LOSSES, Huber, SquaredError
from skgrad.optim import OPTIMIZERS, SGD, Adam, Constant, get_schedule
from skgrad.train import (
    Data,
    Frame,
    Objective,
    Settings,
    as_arrays,
    fit_stochastic,
    initial_state,
    mode,
    row_keys,
)

STOCHASTIC = {n: cls for n, cls in OPTIMIZERS.items() if cls.stochastic}
PENALTY = {"alpha": 0.0173, "l1_ratio": 0.31}

# What is switched on beside the loss and the optimizer.
SETTINGS = {
    "plain": {},
    "penalty": PENALTY,
    "everything": {**PENALTY, "clip_norm": 0.29, "dropout": 0.21},
}


def hyper_of(objective, optimizer, frame, seed=7):
    return {
        **objective.hyper(frame),
        "key": np.array([seed, STREAMS["mask"]], dtype=np.uint32),
        "optimizer": tree_map(np.float64, optimizer.hyperparameters()),
    }


def batch_of(data, step, learning_rate=0.02):
    rows = data.rows(np.arange(step % 3, data.n_samples, 2)[:10])
    return {
        "X": rows.X,
        "y": rows.y,
        "w": rows.w,
        "keys": rows.keys,
        "learning_rate": np.float64(learning_rate),
        "step": np.int64(step),
    }


def eager(function):
    """Return a function of tensors as one of arrays, without a trace."""

    def run(*args):
        return as_arrays(function(*tree_map(skgrad.tensor, args)))

    return run


def steps(run, objective, optimizer, data, hyper, n_steps=6):
    """Return every leaf after each of some steps."""
    start = initial_state(objective, optimizer, get_schedule(None))
    params, state, leaves = start.params, start.state, []
    with mode(objective.module, training=True):
        for step in range(n_steps):
            params, state, sums = run(params, state, hyper, batch_of(data, step))
            leaves.append(tree_leaves((params, state, sums)))
    return leaves


def assert_leaves_close(actual, desired, rtol=1e-12):
    for got, expected in zip(actual, desired, strict=True):
        for a, b in zip(got, expected, strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-14)


def test_every_loss_has_a_row():
    assert {name.partition("-")[0] for name in LOSS_ROWS} == set(LOSSES)


def combinations():
    """Yield losses, optimizers and settings; the long run has all combinations.

    The ordinary one has each loss, with everything switched on and the optimizers in
    turn, and the first loss with each optimizer and setting.
    """
    names = list(STOCHASTIC)
    for i, loss in enumerate(LOSS_ROWS):
        for name, setting in itertools.product(names, SETTINGS):
            in_turn = name == names[i % len(names)] and setting == "everything"
            marks = () if in_turn or i == 0 else pytest.mark.long
            yield pytest.param(loss, name, setting, marks=marks)


@pytest.mark.parametrize(("loss", "optimizer", "setting"), list(combinations()))
def test_eager_and_traced_steps_agree(loss, optimizer, setting):
    objective, data, frame = make_problem(loss, **SETTINGS[setting])
    optimizer = STOCHASTIC[optimizer](weight_decay=0.013)
    hyper = hyper_of(objective, optimizer, frame)
    step = partial(objective.step, optimizer)
    traced = Traced(step)
    expected = steps(eager(step), objective, optimizer, data, hyper)
    assert_leaves_close(steps(traced, objective, optimizer, data, hyper), expected)
    assert traced.n_traces == 1
    assert all(np.isfinite(leaf).all() for leaf in expected[-1])
    assert not np.array_equal(expected[0][0], expected[-1][0])


# ------------------------------------------------------------- numbers are inputs

CHANGES = {
    "alpha": ("alpha", 0.5),
    "l1_ratio": ("l1_ratio", 0.9),
    "clip_norm": ("clip_norm", 0.05),
    "delta": ("loss", "delta", 2.5),
    "b1": ("optimizer", "b1", 0.3),
    "b2": ("optimizer", "b2", 0.6),
    "eps": ("optimizer", "eps", 0.07),
    "weight_decay": ("optimizer", "weight_decay", 0.4),
    "x_mean": ("frame", "x_mean", np.array([1.0, 2.0, 3.0])),
    "offset": ("frame", "offset", np.array(-1.5)),
    "key": ("key", np.array([99, 3], dtype=np.uint32)),
}


def changed(tree, *path):
    """Return a copy of nested dicts with one entry replaced."""
    name, *rest = path
    if len(rest) == 1:
        new = np.asarray(rest[0], dtype=np.asarray(tree[name]).dtype)
    else:
        new = changed(tree[name], *rest)
    assert name in tree
    return {**tree, name: new}


@pytest.mark.parametrize("what", [*CHANGES, "dropout", "learning_rate", "step"])
def test_a_changed_number_reaches_the_one_trace(rng, what):
    objective, data, frame = make_problem(**SETTINGS["everything"])
    objective.loss = Huber(delta=0.37)
    optimizer = Adam(weight_decay=0.013)
    hyper = hyper_of(objective, optimizer, frame)
    start = initial_state(objective, optimizer, get_schedule(None))
    # Not the first step, where Adam's moments hide b1 and b2.
    params, state, batch = start.params, start.state, batch_of(data, 0)
    moments = tree_map(lambda leaf: leaf + 0.1, state["optimizer"])
    state = {**state, "optimizer": moments}
    other = [params, state, hyper, batch]
    if what == "dropout":
        other[1] = changed(state, "buffers", "2.p", 0.6)
    elif what in batch:
        other[3] = changed(batch, what, 5)
    else:
        other[2] = changed(hyper, *CHANGES[what])
    step = partial(objective.step, optimizer)
    traced = Traced(step)
    with mode(objective.module, training=True):
        before = tree_leaves(traced(params, state, hyper, batch))
        after = tree_leaves(traced(*other))
        expected = tree_leaves(eager(step)(*other))
    assert traced.n_traces == 1
    assert_leaves_close([after], [expected])
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_no_number_of_the_user_is_a_constant_of_the_trace():
    objective, data, frame = make_problem("quantile", **SETTINGS["everything"])
    optimizer = Adam(b1=0.8765, b2=0.98765, eps=0.00123, weight_decay=0.0456)
    hyper = hyper_of(objective, optimizer, frame)
    start = initial_state(objective, optimizer, get_schedule(None))
    numbers = [0.0173, 0.31, 0.29, 0.21, 0.83, 0.8765, 0.98765, 0.00123, 0.0456, 0.02]
    derived = (
        [1 - x for x in numbers] + [-x for x in numbers] + [x / 2 for x in numbers]
    )
    with mode(objective.module, training=True):
        program = Traced(partial(objective.step, optimizer)).program(
            start.params, start.state, hyper, batch_of(data, 0)
        )
    for constant in program.graph.constants.values():
        for value in np.ravel(constant).astype(np.float64):
            assert not np.isclose(value, [*numbers, *derived], rtol=1e-6).any()
    # The frame has numbers too, and so have the rows.
    assert all(value.size == 1 for value in program.graph.constants.values())


# ------------------------------------------------------------------------ formulas


def test_sums_are_those_of_the_formula():
    objective, data, frame = make_problem(**PENALTY)
    theta = objective.parameters()
    hyper = objective.hyper(frame)
    batch = {"X": data.X, "y": data.y, "w": data.w}
    sums = as_arrays(objective.sums_and_gradient(theta, {}, hyper, batch))
    Z = (data.X - frame.x_mean) / frame.x_scale
    output = objective.module(skgrad.tensor(Z)).numpy()[:, 0] + frame.offset
    np.testing.assert_allclose(sums["loss"], data.w @ (data.y - output) ** 2 / 2)
    np.testing.assert_allclose(sums["weight"], data.w.sum())
    for j in range(theta.size):
        h = np.zeros_like(theta)
        h[j] = 1e-6
        high, low = (
            as_arrays(objective.sums(theta + s * h, {}, hyper, batch))["loss"]
            for s in (1, -1)
        )
        np.testing.assert_allclose(
            sums["gradient"][j], (high - low) / 2e-6, rtol=1e-6, atol=1e-7
        )


def test_the_penalty_is_on_weights_and_not_on_biases():
    objective, _, frame = make_problem(**PENALTY)
    theta = objective.parameters()
    layers = [objective.module[0], objective.module[2]]
    c = np.concatenate([layer.weight.numpy().ravel() for layer in layers])
    assert objective.mask.sum() == c.size < theta.size
    expected = 0.0173 * (0.31 * np.abs(c).sum() + 0.69 / 2 * c @ c)
    penalty = objective.penalty(skgrad.tensor(theta), objective.hyper(frame))
    np.testing.assert_allclose(penalty.item(), expected)


def bounded_problem(rng):
    """Return a problem, and one more with factors and bounds that bind."""
    plain, data, frame = make_problem(**PENALTY)
    theta = plain.parameters()
    bounds = (
        np.where(rng.random(theta.size) < 0.5, theta - 1e-4, -np.inf),
        np.where(rng.random(theta.size) < 0.5, theta + 1e-4, np.inf),
    )
    factors = rng.integers(0, 4, size=theta.size)
    bounded = Objective(
        plain.module, plain.loss, None, **PENALTY, factors=factors, bounds=bounds
    )
    return plain, bounded, data, frame


def test_factors_multiply_the_penalty_of_each_coefficient(rng):
    _, bounded, _, frame = bounded_problem(rng)
    theta = bounded.parameters()
    terms = 0.31 * np.abs(theta) + 0.69 / 2 * theta**2
    penalty = bounded.penalty(skgrad.tensor(theta), bounded.hyper(frame))
    np.testing.assert_allclose(penalty.item(), 0.0173 * bounded.factors @ terms)
    assert not bounded.factors[~bounded.mask].any()
    assert bounded.factors.max() == 3


@pytest.mark.parametrize("run", [eager, Traced], ids=["eager", "traced"])
def test_a_step_ends_at_the_closest_parameters_within_the_bounds(rng, run):
    plain, bounded, data, frame = bounded_problem(rng)
    plain.factors = bounded.factors
    optimizer, ends = SGD(), []
    for objective in (plain, bounded):
        start = initial_state(objective, optimizer, get_schedule(None))
        params, _, _ = run(partial(objective.step, optimizer))(
            start.params,
            start.state,
            hyper_of(objective, optimizer, frame),
            batch_of(data, 0),
        )
        ends.append(params)
    np.testing.assert_array_equal(ends[1], np.clip(ends[0], *bounded.bounds))
    assert not np.array_equal(*ends)
    np.testing.assert_array_equal(bounded.projected(ends[0]), ends[1])
    np.testing.assert_array_equal(plain.projected(ends[0]), ends[0])


def test_a_step_of_sgd_is_the_gradient_of_mean_loss_plus_penalty():
    objective, data, frame = make_problem(**PENALTY)
    optimizer = SGD()
    hyper = hyper_of(objective, optimizer, frame)
    start = initial_state(objective, optimizer, get_schedule(None))
    batch = batch_of(data, 0)

    def value(theta):
        loss = objective.sums(theta, {}, hyper, batch)["loss"]
        return loss / 10.0 + objective.penalty(theta, hyper)

    params, _, sums = eager(partial(objective.step, optimizer))(
        start.params, start.state, hyper, batch
    )
    gradient = skgrad.grad(value)(skgrad.tensor(start.params)).numpy()
    np.testing.assert_allclose(params, start.params - 0.02 * gradient, rtol=1e-13)
    penalty = objective.penalty(skgrad.tensor(start.params), hyper).item()
    np.testing.assert_allclose(sums["penalty"], 10 * penalty)
    np.testing.assert_allclose(sums["weight"], batch["w"].sum())


def test_clipping_bounds_the_step():
    objective, data, frame = make_problem(clip_norm=1e-3)
    optimizer = SGD()
    start = initial_state(objective, optimizer, get_schedule(None))
    hyper = hyper_of(objective, optimizer, frame)
    params, *_ = eager(partial(objective.step, optimizer))(
        start.params, start.state, hyper, batch_of(data, 0)
    )
    np.testing.assert_allclose(np.linalg.norm(params - start.params), 0.02 * 1e-3)


def test_masks_follow_the_rows():
    objective, data, frame = make_problem(dropout=0.5)
    optimizer = SGD()
    start = initial_state(objective, optimizer, get_schedule(None))
    hyper = hyper_of(objective, optimizer, frame)
    step = Traced(partial(objective.step, optimizer))
    batch = batch_of(data, 0)
    turned = {**batch, **{k: batch[k][::-1] for k in ("X", "y", "w", "keys")}}
    with mode(objective.module, training=True):
        one = step(start.params, start.state, hyper, batch)
        other = step(start.params, start.state, hyper, turned)
    np.testing.assert_allclose(one[0], other[0], rtol=1e-12)


def test_float32_sums_are_float64_and_parameters_float32():
    module = make_network(dtype="float32")
    objective = Objective(module, SquaredError(), None, **PENALTY)
    X = np.ones((4, 3), dtype=np.float32)
    start = initial_state(objective, Adam(), get_schedule(None))
    hyper = hyper_of(objective, Adam(), Frame.identity(3, "float32"))
    batch = {"X": X, "y": X[:, 0], "w": X[:, 0], "keys": np.arange(4, dtype=np.uint32)}
    batch |= {"learning_rate": np.float64(0.1), "step": np.int64(0)}
    params, _, sums = Traced(partial(objective.step, Adam()))(
        start.params, start.state, hyper, batch
    )
    assert params.dtype == np.float32
    assert {leaf.dtype for leaf in sums.values()} == {np.dtype(np.float64)}


# ------------------------------------------------------------ modules and buffers


def test_parameters_and_buffers_travel_to_the_module_and_back():
    objective, _, _ = make_problem(dropout=0.4)
    theta = objective.parameters()
    objective.store(theta + 1.0, {"2.p": np.array(0.1)})
    np.testing.assert_array_equal(objective.parameters(), theta + 1.0)
    assert objective.buffers() == {"2.p": 0.1}


def test_mode_restores_each_flag():
    module = make_network(dropout=0.5)
    module.train()
    module[2].eval()
    with mode(module, training=True):
        assert all(m.training for m in module.modules())
    assert module.training
    assert not module[2].training


def test_a_module_without_parameters_is_refused():
    with pytest.raises(ParameterError, match=r"Tanh has no parameters to fit"):
        Objective(nn.Tanh(), SquaredError(), None)


def test_parameters_of_two_dtypes_are_refused():
    module = make_network()
    module[0].to(dtype="float32")
    with pytest.raises(ParameterError, match=r"different dtypes.*float32.*float64"):
        Objective(module, SquaredError(), None)


@pytest.mark.parametrize(
    ("n_made", "n_outputs", "message"),
    [
        (3, None, r"shape \(4,\) for 4 rows.*Got \(4, 3\).*needs 1 outputs"),
        (1, 3, r"shape \(4, 3\) for 4 rows.*Got \(4, 1\).*needs 3 outputs"),
    ],
)
def test_an_output_of_the_wrong_shape_is_refused(n_made, n_outputs, message):
    objective = Objective(make_network(n_outputs=n_made), SquaredError(), n_outputs)
    hyper = objective.hyper(Frame.identity(3, "float64"))
    with pytest.raises(ShapeError, match=message):
        objective.output(objective.parameters(), {}, hyper, np.ones((4, 3)))


def test_an_output_that_is_no_tensor_is_refused():
    class Pair(nn.Linear):
        def forward(self, x):
            return super().forward(x), x

    objective = Objective(Pair(3, 1), SquaredError(), None)
    hyper = objective.hyper(Frame.identity(3, "float64"))
    with pytest.raises(ShapeError, match=r"Pair.forward must return a Tensor.*tuple"):
        objective.output(objective.parameters(), {}, hyper, np.ones((4, 3)))


def test_frozen_parameters_are_inputs_and_stay(rng):
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    frozen = next(module.parameters())
    frozen.requires_grad = False
    before = frozen.numpy().copy()
    X = rng.normal(size=(20, 3))
    data = Data(X, X[:, 0], np.ones(20), row_keys(X))
    objective = Objective(module, SquaredError(), None)
    assert objective.names == ["0.bias", "2.weight", "2.bias"]
    frame = Frame.identity(3, "float64")
    fit = fit_stochastic(
        objective, Adam(), Constant(), data, frame, Settings(max_iter=3, tol=None)
    )
    objective.store(fit.state.params, fit.state.state["buffers"])
    np.testing.assert_array_equal(frozen.numpy(), before)
    assert fit.n_traces == 1
    assert fit.epochs[-1].objective < fit.epochs[0].objective
    for parameter in module.parameters():
        parameter.requires_grad = False
    with pytest.raises(ParameterError, match=r"no parameters to fit.*requires_grad"):
        Objective(module, SquaredError(), None)
