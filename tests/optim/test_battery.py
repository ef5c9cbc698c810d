"""What holds for every stochastic optimizer of the registry.

A row of `ROWS` is an optimizer with hyperparameters away from their defaults where
they can hide something; an optimizer without a row fails.
"""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

import skgrad
from skgrad.core import tree_flatten, tree_leaves, tree_map
from skgrad.exceptions import ParameterError
from skgrad.executor import Traced
from skgrad.optim import (
    OPTIMIZERS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Lion,
    NAdam,
    RMSprop,
)

ROWS = {
    "sgd": (SGD, {}),
    "sgd-decay": (SGD, {"weight_decay": 0.1}),
    "sgd-momentum": (SGD, {"momentum": 0.9}),
    "sgd-momentum-decay": (SGD, {"momentum": 0.5, "weight_decay": 0.1}),
    "sgd-nesterov": (SGD, {"momentum": 0.9, "nesterov": True}),
    "sgd-nesterov-decay": (
        SGD,
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.05},
    ),
    "rmsprop": (RMSprop, {}),
    "rmsprop-momentum": (RMSprop, {"rho": 0.9, "momentum": 0.9, "eps": 1e-3}),
    "rmsprop-all": (RMSprop, {"rho": 0.5, "momentum": 0.3, "weight_decay": 0.1}),
    "adam": (Adam, {}),
    "adam-all": (Adam, {"b1": 0.5, "b2": 0.9, "eps": 0.1, "weight_decay": 0.1}),
    "adam-no-memory": (Adam, {"b1": 0.0, "b2": 0.0}),
    "adamw": (AdamW, {}),
    "adamw-all": (AdamW, {"b1": 0.8, "b2": 0.99, "eps": 1e-4, "weight_decay": 0.2}),
    "adagrad": (Adagrad, {}),
    "adagrad-all": (
        Adagrad,
        {
            "lr_decay": 0.01,
            "initial_accumulator_value": 0.5,
            "eps": 0.1,
            "weight_decay": 0.1,
        },
    ),
    "nadam": (NAdam, {}),
    "nadam-all": (
        NAdam,
        {
            "b1": 0.8,
            "b2": 0.9,
            "eps": 0.1,
            "momentum_decay": 0.1,
            "weight_decay": 0.1,
        },
    ),
    "nadam-no-decay": (
        NAdam,
        {"b1": 0.7, "b2": 0.99, "eps": 0.1, "momentum_decay": 0.0},
    ),
    "lion": (Lion, {}),
    "lion-all": (Lion, {"b1": 0.5, "b2": 0.8, "weight_decay": 0.1}),
}
CASES = pytest.mark.parametrize(("cls", "params"), ROWS.values(), ids=ROWS)
CLASSES = [cls for cls in OPTIMIZERS.values() if cls.stochastic]
EACH = pytest.mark.parametrize("cls", CLASSES)


class TextbookLion(torch.optim.Optimizer):
    """Algorithm 2 of Chen et al. (2023), line by line; PyTorch has none."""

    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                c = b1 * m + (1 - b1) * p.grad
                p.sub_(group["lr"] * (torch.sign(c) + group["decay"] * p))
                m.copy_(b2 * m + (1 - b2) * p.grad)


TORCH = {
    Adagrad: torch.optim.Adagrad,
    Lion: TextbookLion,
    NAdam: torch.optim.NAdam,
    SGD: torch.optim.SGD,
    RMSprop: torch.optim.RMSprop,
    Adam: torch.optim.Adam,
    AdamW: torch.optim.AdamW,
}


def parabola(w):
    return ((w - 1.0) * (w - 1.0)).sum()


def rosenbrock(w):
    return (100.0 * (w[1:] - w[:-1] ** 2) ** 2 + (1.0 - w[:-1]) ** 2).sum()


def loss(*tensors):
    """Return a convex loss of several tensors whose gradients differ in size."""
    total = 0.0
    for i, w in enumerate(tensors):
        total = total + 3.0**i * (0.05 * w**4 + 0.5 * w**2 - w * (i + 1.0)).sum()
    return total


def hyper_of(optimizer, learning_rate):
    return {**optimizer.hyperparameters(), "learning_rate": learning_rate}


def minimise(optimizer, loss, w, rates, n_steps):
    """Return the parameters after some steps of the pure face at each rate, traced."""
    gradient = skgrad.grad(loss)
    step = Traced(lambda w, *args: optimizer.update(gradient(w), args[0], w, args[1]))
    for rate in rates:
        hyper = tree_map(np.float64, hyper_of(optimizer, rate))
        state = tree_map(lambda t: t.numpy(), optimizer.init(skgrad.tensor(w)))
        for _ in range(n_steps):
            w, state = step(w, state, hyper)
    return w


def as_torch(cls, params, tensors, learning_rate):
    names = {"rho": "alpha"}
    arguments = {names.get(k, k): v for k, v in params.items() if k not in ("b1", "b2")}
    if "b1" in params:
        arguments["betas"] = params["b1"], params["b2"]
    return TORCH[cls](tensors, lr=learning_rate, **arguments)


def test_every_stochastic_optimizer_has_a_row():
    assert {cls for cls, _ in ROWS.values()} == set(CLASSES) == set(TORCH)


# ------------------------------------------------------------------- minimisation


@CASES
def test_parabola(cls, params):
    # Weight decay moves the minimum, so the row's is left out.
    optimizer = cls(**{**params, "weight_decay": 0.0})
    rates = {Adagrad: (2.0, 2.0, 2.0)}.get(cls, (0.05, 0.005, 0.0005))
    w = minimise(optimizer, parabola, np.array([5.0, -3.0, 0.5]), rates, 300)
    np.testing.assert_allclose(w, 1.0, atol=2e-3)


@EACH
def test_rosenbrock(cls):
    optimizer = cls(weight_decay=0.0)
    if cls is SGD:
        optimizer.set_params(momentum=0.9)
    rates = {SGD: [1e-3], Adagrad: [0.5, 0.5], Lion: [1e-2, 1e-3, 1e-4]}
    rates = rates.get(cls, [3e-2, 3e-3])
    w = minimise(optimizer, rosenbrock, np.array([-1.2, 1.0]), rates, 1000)
    assert rosenbrock(w) < 1e-2  # 24.2 at the start


# ------------------------------------------------------------------- trajectories


@pytest.fixture
def torch_in_float64():
    """Make PyTorch keep scalars of a state (NAdam's product of momenta) in float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@CASES
@pytest.mark.usefixtures("torch_in_float64")
@pytest.mark.parametrize(
    "learning_rate", [0.05, pytest.param(0.003, marks=pytest.mark.long)]
)
def test_a_hundred_steps_equal_torch(rng, cls, params, learning_rate):
    start = [rng.normal(size=(3, 2)), rng.normal(size=4)]
    ours = [skgrad.tensor(a, requires_grad=True) for a in start]
    theirs = [torch.tensor(a, requires_grad=True) for a in start]
    optimizer = cls(ours, lr=learning_rate, **params)
    reference = as_torch(cls, params, theirs, learning_rate)
    for _ in range(100):
        for one in (optimizer, reference):
            one.zero_grad()
        loss(*ours).backward()
        loss(*theirs).backward()
        for one in (optimizer, reference):
            one.step()
        for w, t in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(
                w.numpy(), t.detach().numpy(), rtol=1e-10, atol=1e-10
            )


@CASES
def test_pure_face_equals_stateful_face(rng, cls, params):
    start = {"a": rng.normal(size=(3, 2)), "b": [rng.normal(size=4)]}
    tree = tree_map(skgrad.tensor, start)
    ours = [skgrad.tensor(a, requires_grad=True) for a in tree_leaves(start)]
    stateful, pure = cls(ours, lr=0.01, **params), cls(**params)
    state = pure.init(tree)
    gradient = skgrad.grad(lambda tree: loss(*tree_leaves(tree)))
    for _ in range(10):
        stateful.zero_grad()
        loss(*ours).backward()
        stateful.step()
        tree, state = pure.update(gradient(tree), state, tree, hyper_of(pure, 0.01))
        for w, leaf in zip(ours, tree_leaves(tree), strict=True):
            np.testing.assert_array_equal(w.numpy(), leaf.numpy())


@CASES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_traced_steps_equal_eager_ones_and_are_traced_once(rng, cls, params, dtype):
    optimizer = cls(**params)
    step = Traced(optimizer.update)
    eager = skgrad.tensor(rng.normal(size=5), dtype=dtype)
    eager_state = optimizer.init(eager)
    w, state = eager.numpy(), tree_map(lambda t: t.numpy(), eager_state)
    for i in range(10):
        g = rng.normal(size=5).astype(dtype)
        # Other values of every hyperparameter in each step: inputs, not constants.
        hyper = {
            name: np.array(value * (1 - 0.01 * i))
            for name, value in hyper_of(optimizer, 0.1).items()
        }
        tensors = {name: skgrad.tensor(value) for name, value in hyper.items()}
        eager, eager_state = optimizer.update(
            skgrad.tensor(g), eager_state, eager, tensors
        )
        w, state = step(g, state, w, hyper)
        np.testing.assert_allclose(
            w, eager.numpy(), rtol=1e-5 if dtype == "float32" else 1e-13
        )
        assert w.dtype == dtype
    assert step.n_traces == 1
    assert tree_flatten(state)[1] == tree_flatten(eager_state)[1]


# ----------------------------------------------------------- shapes, dtypes, purity


@CASES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("as_tensors", [False, True])
def test_dtypes_and_shapes_are_kept(rng, cls, params, dtype, as_tensors):
    optimizer = cls(**params)
    shapes = [(), (3,), (2, 0), (2, 3, 4)]
    tree = [skgrad.tensor(rng.normal(size=s), dtype=dtype) for s in shapes]
    grads = [skgrad.tensor(rng.normal(size=s), dtype=dtype) for s in shapes]
    hyper = hyper_of(optimizer, 0.1)
    if as_tensors:
        hyper = {name: skgrad.tensor(value) for name, value in hyper.items()}
    state = optimizer.init(tree)
    new_tree, new_state = optimizer.update(grads, state, tree, hyper)
    for before, after in ((tree, new_tree), (state, new_state)):
        assert tree_flatten(before)[1] == tree_flatten(after)[1]
        for old, new in zip(tree_leaves(before), tree_leaves(after), strict=True):
            assert (old.shape, old.dtype) == (new.shape, new.dtype)


@CASES
def test_large_leaves_of_the_state_have_the_dtype_of_the_parameters(cls, params):
    state = cls(**params).init(skgrad.tensor(np.ones(3, dtype=np.float32)))
    for leaf in tree_leaves(state):
        assert leaf.dtype == ("float64" if leaf.shape == () else "float32")


@CASES
def test_update_is_pure(rng, cls, params):
    optimizer = cls(**params)
    w, g = skgrad.tensor(rng.normal(size=3)), skgrad.tensor(rng.normal(size=3))
    state, hyper = optimizer.init(w), hyper_of(optimizer, 0.1)
    before = [leaf.numpy().copy() for leaf in tree_leaves((w, g, state))]
    first, _ = optimizer.update(g, state, w, hyper)
    second, _ = optimizer.update(g, state, w, hyper)
    np.testing.assert_array_equal(first.numpy(), second.numpy())
    for leaf, copy in zip(tree_leaves((w, g, state)), before, strict=True):
        np.testing.assert_array_equal(leaf.numpy(), copy)


@EACH
def test_zero_gradients_are_safe(cls):
    optimizer, w = cls(weight_decay=0.0), skgrad.tensor([1.0, 2.0])
    new, _ = optimizer.update(
        skgrad.tensor([0.0, 0.0]), optimizer.init(w), w, hyper_of(optimizer, 0.1)
    )
    np.testing.assert_array_equal(new.numpy(), [1.0, 2.0])


# ---------------------------------------------------------------- parameter object


@CASES
def test_is_a_parameter_object(cls, params):
    optimizer = cls(**params)
    assert clone(optimizer) == optimizer
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer
    assert set(optimizer.get_params()).isdisjoint({"params", "lr"})
    arguments = ", ".join(
        f"{k}={params[k]!r}" for k in sorted(params) if params[k] != getattr(cls(), k)
    )
    assert repr(optimizer) == f"{cls.__name__}({arguments})"


@EACH
@pytest.mark.parametrize("value", [-0.1, np.nan, "0.1", None])
def test_domains_are_checked_on_use(cls, value):
    for name in cls.domains:
        optimizer = cls(**{name: value})
        with pytest.raises(
            ParameterError, match=f"'{name}' parameter of {cls.__name__}"
        ):
            optimizer.validate()


@EACH
def test_hyperparameters_are_the_float_parameters(cls):
    hyper = cls().hyperparameters()
    assert set(hyper) == set(cls().get_params()) - {"nesterov"}
    assert all(type(value) is float for value in hyper.values())
