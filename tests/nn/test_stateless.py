"""functional_call: pure, safe for threads, traceable."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import skgrad
from skgrad import nn
from skgrad.exceptions import DTypeError, ParameterError, ShapeError, TraceError
from skgrad.executor import trace


class Counting(nn.Module):
    """A layer that counts its calls in a buffer and averages its inputs."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1)
        self.register_buffer("count", 0.0)
        self.register_buffer("mean", np.zeros(3))

    def forward(self, x):
        self.count = self.count + 1.0
        self.mean = self.mean * 0.9 + skgrad.functional.mean(x, axis=0) * 0.1
        return self.layer(x - self.mean)


def leaves(module):
    return dict(module.named_parameters()), dict(module.named_buffers())


def zeros_like(tensors):
    return {name: skgrad.tensor(np.zeros(t.shape)) for name, t in tensors.items()}


def test_equals_the_call_and_returns_the_buffers(rng):
    module, x = Counting(), rng.standard_normal((4, 3))
    params, buffers = leaves(module)
    out, after = nn.functional_call(module, params, buffers, x)
    assert module.count.item() == 0.0
    np.testing.assert_array_equal(out.numpy(), module(x).numpy())
    assert list(after) == ["count", "mean"]
    assert after["count"].item() == module.count.item() == 1.0
    np.testing.assert_array_equal(after["mean"].numpy(), module.mean.numpy())


def test_uses_the_given_values_and_leaves_the_module_alone(rng):
    module, x = Counting(), rng.standard_normal((4, 3))
    state = module.state_dict()
    params, buffers = leaves(module)
    new = {**zeros_like(params), "layer.bias": np.array([7.0])}
    out, after = nn.functional_call(
        module, new, {**buffers, "count": skgrad.tensor(10.0)}, x
    )
    np.testing.assert_array_equal(out.numpy(), np.full((4, 1), 7.0))
    assert after["count"].item() == 11.0
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(array, state[name])


def test_unchanged_buffers_come_back():
    dropout = nn.Sequential(nn.Dropout(0.25)).eval()
    _, after = nn.functional_call(dropout, {}, leaves(dropout)[1], skgrad.tensor([1.0]))
    assert after["0.p"].item() == 0.25


def test_gradients_are_those_of_backward_and_of_torch(rng):
    theirs = torch.nn.Sequential(
        torch.nn.Linear(3, 5), torch.nn.SiLU(), torch.nn.Linear(5, 1)
    ).double()
    module = nn.Sequential(nn.Linear(3, 5), nn.SiLU(), nn.Linear(5, 1))
    module.load_state_dict(theirs.state_dict())
    x = rng.standard_normal((6, 3))

    def objective(params):
        out, _ = nn.functional_call(module, params, {}, x)
        return skgrad.ops.sum(out**2)

    value, grads = skgrad.value_and_grad(objective)(leaves(module)[0])
    expected = (theirs(torch.tensor(x)) ** 2).sum()
    expected.backward()
    np.testing.assert_allclose(value.numpy(), expected.item(), rtol=1e-12)
    for name, parameter in theirs.named_parameters():
        np.testing.assert_allclose(grads[name].numpy(), parameter.grad, rtol=1e-10)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_shared_parameters_are_replaced_everywhere(rng):
    module = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    module[1].weight = module[0].weight
    assert list(leaves(module)[0]) == ["0.weight"]
    new, x = rng.standard_normal((3, 3)), rng.standard_normal((2, 3))
    out, _ = nn.functional_call(module, {"0.weight": new}, {}, x)
    np.testing.assert_allclose(out.numpy(), x @ new.T @ new.T, rtol=1e-12)


def test_shared_modules_are_copied_once():
    inner = Counting()

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = inner
            self.b = inner

        def forward(self, x):
            return self.a(x) + self.b(x)

    twice = Twice()
    params, buffers = leaves(twice)
    assert list(buffers) == ["a.count", "a.mean"]
    _, after = nn.functional_call(twice, params, buffers, np.ones((2, 3)))
    assert after["a.count"].item() == 2.0
    assert inner.count.item() == 0.0


def test_training_mode_is_kept():
    dropout = nn.Dropout(0.5)
    x, buffers = skgrad.tensor(np.ones(100)), leaves(dropout)[1]
    out, _ = nn.functional_call(dropout, {}, buffers, x)
    assert (out.numpy() == 0).any()
    out, _ = nn.functional_call(dropout.eval(), {}, buffers, x)
    np.testing.assert_array_equal(out.numpy(), x.numpy())


def test_keyword_arguments_and_nested_outputs():
    class Two(nn.Module):
        def forward(self, x, *, shift):
            return {"x": x, "shifted": x + shift}

    out, _ = nn.functional_call(Two(), {}, {}, skgrad.tensor(1.0), shift=2.0)
    assert out["shifted"].item() == 3.0


def test_names_must_be_complete_and_known():
    module = Counting()
    params, buffers = leaves(module)
    x = np.ones((1, 3))
    with pytest.raises(ParameterError) as error:
        nn.functional_call(module, {"layer.bias": params["layer.bias"]}, buffers, x)
    assert "every parameter of Counting" in str(error.value)
    assert "Missing: ['layer.weight']" in str(error.value)
    assert "dict(module.named_parameters())" in str(error.value)
    with pytest.raises(ParameterError, match=r"Missing: \['count', 'mean'\]"):
        nn.functional_call(module, params, {}, x)
    extra = {**buffers, "cuont": buffers["count"]}
    with pytest.raises(ParameterError, match=r"'cuont'.*Did you mean 'count'"):
        nn.functional_call(module, params, extra, x)


def test_shapes_and_dtypes_must_fit():
    module = Counting()
    params, buffers = leaves(module)
    x = np.ones((1, 3))
    with pytest.raises(ShapeError, match=r"'layer.bias'.*\(1,\).*\(2,\)"):
        nn.functional_call(module, {**params, "layer.bias": np.ones(2)}, buffers, x)
    with pytest.raises(DTypeError, match=r"'count'.*float64.*float32"):
        nn.functional_call(
            module, params, {**buffers, "count": np.zeros((), "float32")}, x
        )


# ----------------------------------------------------------- nothing mutable shared


class Hoarder(nn.Module):
    """Changes every kind of attribute in forward."""

    def __init__(self):
        super().__init__()
        self.steps = 0
        self.log = []
        self.cache = {"deep": [[0]]}
        self.seen = set()
        self.array = np.zeros(2)
        self.scale = nn.Parameter([2.0])
        self.method = self.double

    def double(self, x):
        return x * self.scale

    def forward(self, x):
        self.steps += 1
        self.log.append("called")
        self.cache["deep"][0].append(1)
        self.seen.add(1)
        self.array[0] += 1.0
        return self.method(x)


def test_python_side_effects_stay_on_the_copy():
    module = Hoarder()
    out, _ = nn.functional_call(
        module, {"scale": np.array([5.0])}, {}, skgrad.tensor([1.0])
    )
    assert out.item() == 5.0
    assert (module.steps, module.log, module.seen) == (0, [], set())
    assert module.cache == {"deep": [[0]]}
    np.testing.assert_array_equal(module.array, [0.0, 0.0])


def test_threads_do_not_see_one_another(rng):
    module = Counting()
    params, buffers = leaves(module)
    x = rng.standard_normal((8, 3))

    def run(i):
        new = {**zeros_like(params), "layer.bias": np.array([float(i)])}
        start = {**buffers, "count": skgrad.tensor(float(i))}
        out, after = nn.functional_call(module, new, start, x)
        return set(out.numpy().ravel()), after["count"].item()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(run, range(64)))
    assert results == [({float(i)}, i + 1.0) for i in range(64)]


# ----------------------------------------------------------------------- tracing


def test_trace_equals_eager_with_buffers_as_inputs(rng):
    module = nn.Sequential(Counting(), nn.Tanh())
    params, buffers = leaves(module)
    x = rng.standard_normal((4, 3))

    def call(params, buffers, x):
        return nn.functional_call(module, params, buffers, x)

    program = trace(call, params, buffers, x)
    for _ in range(3):
        out, after = program(params, buffers, x)
        expected, buffers = nn.functional_call(module, params, buffers, x)
        np.testing.assert_allclose(out, expected.numpy(), rtol=1e-13)
        np.testing.assert_allclose(after["0.count"], buffers["0.count"].numpy())
        np.testing.assert_allclose(
            after["0.mean"], buffers["0.mean"].numpy(), rtol=1e-13
        )
    assert module[0].count.item() == 0.0
    assert not any(p.is_traced for p in module.parameters())


def test_dropout_rate_is_an_input_of_the_trace():
    module = nn.Dropout(0.5)
    x = np.ones(1000)

    def call(buffers, x):
        return nn.functional_call(module, {}, buffers, x)[0]

    with skgrad.random_seed(0):
        program = trace(call, {"p": np.array(0.5)}, x)
    for p in (0.0, 0.3, 0.9):
        out = program({"p": np.array(p)}, x)
        np.testing.assert_allclose(out[out != 0], 1 / (1 - p), rtol=1e-12)
        assert abs((out == 0).mean() - p) < 5 * np.sqrt(0.25 / 1000)


def test_gradients_of_a_trace(rng):
    module = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 1))
    params, x = leaves(module)[0], rng.standard_normal((5, 3))

    def objective(params, x):
        return skgrad.ops.sum(nn.functional_call(module, params, {}, x)[0] ** 2)

    program = trace(skgrad.value_and_grad(objective), params, x)
    value, grads = program(params, x)
    expected = skgrad.ops.sum(module(x) ** 2)
    expected.backward()
    np.testing.assert_allclose(value, expected.numpy(), rtol=1e-12)
    for name, parameter in params.items():
        np.testing.assert_allclose(grads[name], parameter.grad.numpy(), rtol=1e-10)


@pytest.mark.parametrize(
    ("store", "where"),
    [
        (lambda self, x: self.items.append(x), "0.items"),
        (lambda self, x: self.table.update(x=[x]), "0.table"),
    ],
)
def test_a_traced_tensor_put_into_a_container_is_an_error(store, where):
    class Leaky(nn.Module):
        def __init__(self):
            super().__init__()
            self.items = []
            self.table = {}

        def forward(self, x):
            store(self, x)
            return x

    module = nn.Sequential(Leaky())
    with pytest.raises(TraceError, match=f"Leaky put .* attribute '{where}'"):
        trace(lambda x: nn.functional_call(module, {}, {}, x)[0], np.ones(3))
    assert module[0].items == []


def test_a_traced_tensor_assigned_to_an_attribute_is_an_error():
    class Leaky(nn.Module):
        def forward(self, x):
            self.last = x
            return x

    module = Leaky()
    with pytest.raises(TraceError, match=r"Leaky\.last was assigned a traced tensor"):
        trace(lambda x: nn.functional_call(module, {}, {}, x)[0], np.ones(3))
    assert not hasattr(module, "last")
