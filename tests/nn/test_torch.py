"""Every layer: PyTorch's values and gradients, eager, traced and compiled."""

import inspect

import numpy as np
import pytest
import torch
from nn.layers import LAYERS, WITHOUT

import skgrad
from skgrad import nn, ops
from skgrad.core.tree import tree_leaves
from skgrad.executor import trace

RTOL = {"float32": 2e-5, "float64": 1e-10}
each = pytest.mark.parametrize("name", LAYERS)


def test_every_module_has_a_row():
    public = {getattr(nn, name) for name in nn.__all__}
    layers = {c.__name__ for c in public if inspect.isclass(c)} - {"Parameter"}
    assert layers == {name.split("-")[0] for name in LAYERS} | set(WITHOUT)


def total(leaves, weigh=ops.multiply):
    """Return a number that depends on every element of the outputs, differently."""
    value = 0.0
    for leaf in leaves:
        weights = np.cos(np.arange(leaf.size)).reshape(leaf.shape).astype(leaf.dtype)
        value = value + ops.sum(weigh(ops.square(leaf), weights))
    return value


def torch_total(leaves):
    value = 0.0
    for leaf in leaves:
        weights = torch.cos(torch.arange(leaf.numel()).double()).reshape(leaf.shape)
        value = value + (leaf**2 * weights.to(leaf.dtype)).sum()
    return value


def step(layer, call):
    """Return outputs, gradients and new buffers as a pure function."""

    def function(params, buffers, *inputs):
        floating = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]

        def objective(params, differentiated):
            given = list(inputs)
            for i, x in zip(floating, differentiated, strict=True):
                given[i] = x
            out, after = nn.functional_call(
                Called(layer, call), _in(params), _in(buffers), *given
            )
            leaves = tree_leaves(out)
            return total(leaves), (leaves, after)

        given = [inputs[i] for i in floating]
        (_, aux), gradients = skgrad.value_and_grad(
            objective, argnums=(0, 1), has_aux=True
        )(params, given)
        return aux, gradients

    return function


class Called(nn.Module):
    """A layer called in a certain way."""

    def __init__(self, layer, call):
        super().__init__()
        self.layer = layer
        self.call = call

    def forward(self, *inputs):
        return self.call(self.layer, *inputs)


def _in(named):
    return {f"layer.{name}": value for name, value in named.items()}


def results(name, dtype, training, rng):
    return results_of(LAYERS[name], dtype, training, rng)


def results_of(row, dtype, training, rng):
    """Return a layer's step, its arguments and what PyTorch makes of them."""
    ours, theirs = row.pair(dtype)
    args = row.args(rng, dtype)
    module = isinstance(theirs, torch.nn.Module)
    ours.train(training)
    if module:
        theirs.train(training)
    params, buffers = dict(ours.named_parameters()), dict(ours.named_buffers())
    given = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in args]
    expected = row.call(theirs, *given)
    leaves = tree_leaves(expected)
    torch_total(leaves).backward()
    gradients = {n: p.grad for n, p in theirs.named_parameters()} if module else {}
    state = dict(theirs.named_buffers()) if module else {}
    wanted = (
        [leaf.detach().numpy() for leaf in leaves],
        {n: state[n].numpy() for n in buffers if n in state},
        {n: g.numpy() for n, g in gradients.items()},
        [x.grad.numpy() for x in given if x.grad is not None],
    )
    arrays = [{n: p.numpy() for n, p in group.items()} for group in (params, buffers)]
    return step(ours, row.call), (*arrays, *args), wanted


def compare(found, wanted, tolerance):
    (leaves, after), (params, inputs) = found
    close = {"rtol": tolerance, "atol": tolerance}
    after = {n.removeprefix("layer."): b for n, b in after.items()}
    outputs, buffers, gradients, slopes = wanted
    for f, w in zip(leaves, outputs, strict=True):
        assert f.dtype == w.dtype
        np.testing.assert_allclose(f.numpy(), w, **close)
    for n, w in buffers.items():
        np.testing.assert_allclose(after[n].numpy(), w, **close)
    assert set(params) == set(gradients)
    for n, w in gradients.items():
        np.testing.assert_allclose(params[n].numpy(), w, **close)
    for f, w in zip(inputs, slopes, strict=True):
        np.testing.assert_allclose(f.numpy(), w, **close)


@each
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_buffers_and_gradients_are_torchs(name, training, dtype, rng):
    function, args, wanted = results(name, dtype, training, rng)
    tensors = skgrad.core.tree_map(skgrad.tensor, args)
    compare(function(*tensors), wanted, RTOL[dtype])


@each
def test_a_trace_computes_the_same(name, rng):
    function, args, _ = results(name, "float64", True, rng)
    eager = tree_leaves(function(*skgrad.core.tree_map(skgrad.tensor, args)))
    program = trace(function, *args)
    for e, t in zip(eager, tree_leaves(program(*args)), strict=True):
        np.testing.assert_array_equal(e.numpy(), t)


@each
def test_lowered_it_computes_the_same(name, rng, kernels):
    function, args, _ = results(name, "float64", True, rng)
    program = trace(function, *args)
    fast = program.on("cpu")
    assert "0 reference instructions" in fast.explain()
    for t, c in zip(tree_leaves(program(*args)), tree_leaves(fast(*args)), strict=True):
        np.testing.assert_allclose(c, t, rtol=1e-12, atol=1e-13)
