"""Module: registration, traversal, modes, conversion, copies, repr."""

import copy
import pickle

import numpy as np
import pytest
import torch

import skgrad
from skgrad import nn
from skgrad.exceptions import (
    DTypeError,
    ParameterError,
    ShapeError,
    TraceError,
)
from skgrad.executor import trace


class Net(nn.Module):
    """Two layers, a parameter and buffers of its own."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.scale = nn.Parameter([2.0])
        self.second = nn.Sequential(nn.Tanh(), nn.Linear(4, 1))
        self.register_buffer("count", 0.0)
        self.register_buffer("table", np.arange(3), persistent=False)
        self.register_hyperparameter("factor", 0.5)
        self.note = "plain"

    def forward(self, x):
        self.count = self.count + 1.0
        return self.second(self.first(x)) * self.scale * self.factor


class TorchNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        double = torch.float64
        self.first = torch.nn.Linear(3, 4, dtype=double)
        self.scale = torch.nn.Parameter(torch.tensor([2.0], dtype=double))
        self.second = torch.nn.Sequential(
            torch.nn.Tanh(), torch.nn.Linear(4, 1, dtype=double)
        )
        self.register_buffer("count", torch.tensor(0.0, dtype=double))
        self.register_buffer("table", torch.arange(3), persistent=False)

    def forward(self, x):
        return self.second(self.first(x)) * self.scale * 0.5


class Tied(nn.Module):
    """One parameter used in two places."""

    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(3, 3)
        self.decode = nn.Linear(3, 3, bias=False)
        self.decode.weight = self.encode.weight

    def forward(self, x):
        return self.decode(skgrad.ops.tanh(self.encode(x)))


# ------------------------------------------------------------------- registering


def test_names_order_and_kinds():
    net = Net()
    names = [name for name, _ in net.named_parameters()]
    assert names == [
        *("scale", "first.weight", "first.bias"),
        *("second.1.weight", "second.1.bias"),
    ]
    assert [name for name, _ in net.named_buffers()] == ["count", "table", "factor"]
    assert [name for name, _ in net.named_modules()] == [
        *("", "first", "second", "second.0", "second.1"),
    ]
    assert list(net.children()) == [net.first, net.second]
    assert next(net.modules()) is net
    assert next(net.parameters()) is net.scale
    assert list(net.buffers())[2] is net.factor


def test_names_are_those_of_torch():
    ours, theirs = Net(), TorchNet()
    assert [n for n, _ in ours.named_parameters()] == [
        n for n, _ in theirs.named_parameters()
    ]
    assert [n for n, _ in ours.named_modules()] == [
        n for n, _ in theirs.named_modules()
    ]
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_assigning_registers_and_deleting_removes():
    module = nn.Module()
    module.a = None
    module.a = nn.Parameter([1.0])
    module.b = nn.Identity()
    assert [name for name, _ in module.named_parameters()] == ["a"]
    module.a = nn.Parameter([2.0, 3.0])
    assert next(module.parameters()).shape == (2,)
    module.a = None
    assert module.a is None
    assert list(module.parameters()) == []
    del module.b
    assert not hasattr(module, "b")
    assert list(module.children()) == []
    with pytest.raises(AttributeError):
        del module.b


def test_a_name_can_change_its_kind():
    module = nn.Module()
    module.x = nn.Parameter([1.0])
    module.x = nn.Tanh()
    assert list(module.parameters()) == []
    assert [name for name, _ in module.named_modules()] == ["", "x"]
    del module.x
    module.register_buffer("x", [1.0])
    assert [name for name, _ in module.named_buffers()] == ["x"]


def test_shared_parameters_come_once():
    tied = Tied()
    names = [name for name, _ in tied.named_parameters()]
    assert names == ["encode.weight", "encode.bias"]
    assert list(tied.state_dict()) == ["encode.weight", "encode.bias", "decode.weight"]


def test_shared_modules_come_once_and_cycles_end():
    layer = nn.Linear(2, 2)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    assert [name for name, _ in model.named_modules()] == ["", "0", "1"]
    assert len(list(model.parameters())) == 2
    assert list(model.children()) == [layer, model[1]]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    loop = nn.Module()
    loop.inner = nn.Module()
    loop.inner.outer = loop
    assert len(list(loop.modules())) == 2
    assert loop.state_dict() == {}


def test_plain_attributes_are_left_alone():
    net = Net()
    assert net.note == "plain"
    net.constant = skgrad.tensor([1.0])
    net.sizes = [1, 2]
    assert "constant" not in dict(net.named_buffers())
    assert "constant" not in net.state_dict()


def test_wrong_replacements_are_refused():
    net = Net()
    for value in (skgrad.tensor([1.0]), np.ones(1), 1.0):
        with pytest.raises(ParameterError, match=r"Net\.scale is a parameter") as error:
            net.scale = value
        assert "nn.Parameter(...)" in str(error.value)
        assert "assign_" in str(error.value)
    with pytest.raises(ParameterError, match=r"Net\.first is a submodule.*Got str"):
        net.first = "linear"


@pytest.mark.parametrize("container", [list, tuple, set, lambda m: {"key": [*m]}])
def test_containers_of_modules_or_parameters_are_refused(container):
    module = nn.Module()
    with pytest.raises(ParameterError, match=r"nn\.ModuleList or nn\.ModuleDict"):
        module.layers = container([nn.Tanh(), nn.ReLU()])
    with pytest.raises(ParameterError, match="attributes of their own"):
        module.weights = container([nn.Parameter([1.0])])


def test_names_that_cannot_be_reached_are_refused():
    module = nn.Module()
    for name in ("a.b", "", 3):
        with pytest.raises(ParameterError, match="non-empty str without dots"):
            module.register_buffer(name, 1.0)
    with pytest.raises(ParameterError, match=r"would hide Module\.forward"):
        module.forward = nn.Parameter([1.0])
    with pytest.raises(ParameterError, match=r"would hide Module\.eval"):
        module.register_buffer("eval", 1.0)
    module.note = "taken"
    with pytest.raises(ParameterError, match="has an attribute 'note' already"):
        module.register_buffer("note", 1.0)
    module.weight = nn.Parameter([1.0])
    with pytest.raises(ParameterError, match="has an attribute 'weight' already"):
        module.register_hyperparameter("weight", 1.0)


def test_class_attributes_may_be_defaults():
    class Net(nn.Module):
        activation = nn.ReLU
        layer = None

        def __init__(self):
            super().__init__()
            self.activation = self.activation()
            self.layer = nn.Linear(2, 1)

    assert [name for name, _ in Net().named_modules()] == ["", "activation", "layer"]


@pytest.mark.parametrize(
    ("attempt", "named"),
    [
        (lambda m: setattr(m, "w", nn.Parameter([1.0])), "assign the parameter 'w'"),
        (lambda m: setattr(m, "m", nn.Tanh()), "assign the submodule 'm'"),
        (lambda m: m.register_buffer("b", 1.0), "assign the buffer 'b'"),
        (lambda m: list(m.parameters()), "use the module"),
        (lambda m: m(1.0), "use the module"),
        (repr, "use the module"),
    ],
)
def test_forgotten_super_init_is_explained(attempt, named):
    class Forgetful(nn.Module):
        def __init__(self):
            self.size = 3

    with pytest.raises(AttributeError) as error:
        attempt(Forgetful())
    assert named in str(error.value)
    assert "'super().__init__()' as the first line of Forgetful" in str(error.value)


def test_missing_forward_is_explained():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty defines no forward"):
        Empty()(1.0)


def test_missing_attribute_is_an_attribute_error():
    assert not hasattr(Net(), "nothing")
    with pytest.raises(AttributeError, match="nothing"):
        _ = Net().nothing


def test_call_passes_keywords():
    class Affine(nn.Module):
        def forward(self, x, *, shift=0.0):
            return x + shift

    assert Affine()(skgrad.tensor(1.0), shift=2.0).item() == 3.0


# ----------------------------------------------------------------------- buffers


def test_forward_may_replace_a_buffer():
    net = Net()
    for expected in (1.0, 2.0):
        net(np.zeros((1, 3)))
        assert net.count.item() == expected
    assert net.state_dict()["count"] == 2.0


def test_buffers_carry_no_history():
    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", [0.0, 0.0])

        def forward(self, x):
            self.mean = skgrad.functional.mean(x, axis=0)
            return x - self.mean

    module, x = Mean(), skgrad.tensor([[1.0, 2.0]], requires_grad=True)
    out = module(x)
    assert not module.mean.requires_grad
    out.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[1.0, 1.0]])


@pytest.mark.parametrize(
    ("first", "value", "expected"),
    [
        (0.0, 3, 3.0),
        (np.float32(0), 0.1, np.float32(0.1)),
        (np.float32(0), np.float64(0.1), np.float32(0.1)),
        (1, True, 1),
        ([0.0, 1.0], np.array([2.0, 3.0]), [2.0, 3.0]),
        ([0.0], skgrad.tensor([2.0]), [2.0]),
    ],
)
def test_values_a_buffer_takes(first, value, expected):
    module = nn.Module()
    module.register_buffer("b", first)
    dtype = module.b.dtype
    module.b = value
    assert isinstance(module.b, skgrad.Tensor)
    assert module.b.dtype == dtype
    np.testing.assert_array_equal(module.b.numpy(), expected)


def test_a_buffer_keeps_shape_dtype_and_kind():
    module = nn.Module()
    module.register_buffer("b", [0.0, 0.0])
    module.register_buffer("n", 0)
    with pytest.raises(ShapeError, match=r"'b' of Module has shape \(2,\).*\(3,\)"):
        module.b = skgrad.tensor([1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match=r"Got shape \(\)"):
        module.b = 0.0
    with pytest.raises(
        DTypeError, match=r"has dtype float64 and keeps it\. Got float32"
    ):
        module.b = np.zeros(2, "float32")
    with pytest.raises(DTypeError, match=r"has dtype int64 and keeps it\. Got float64"):
        module.n = 0.5
    with pytest.raises(ParameterError, match="Got NoneType instead"):
        module.b = None
    module.register_buffer("b", [1.0, 2.0, 3.0])
    assert module.b.shape == (3,)


def test_buffer_copies_its_data():
    data, module = np.zeros(2), nn.Module()
    module.register_buffer("b", data)
    data[:] = 1.0
    np.testing.assert_array_equal(module.b.numpy(), [0.0, 0.0])


# --------------------------------------------------------------------- tracing


def traced(module, x=((1.0, 2.0, 3.0),)):
    return trace(module, np.array(x))


class Keeper(nn.Module):
    """Stores its input wherever `store` says."""

    def __init__(self, store):
        super().__init__()
        self.inner = nn.Identity()
        self.register_buffer("last", np.zeros((1, 3)))
        self.weight = nn.Parameter([1.0])
        self.store = store

    def forward(self, x):
        self.store(self, x)
        return x


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kept", lambda x: x),
        ("kept", lambda x: [x]),
        ("kept", lambda x: {"a": (1, x * 2.0)}),
        ("weight", lambda x: x),
        ("inner", lambda x: x),
    ],
)
def test_a_traced_tensor_in_an_attribute_is_an_error(name, value):
    module = Keeper(lambda self, x: setattr(self, name, value(x)))
    with pytest.raises(TraceError) as error:
        traced(module)
    assert f"Keeper.{name} was assigned a traced tensor" in str(error.value)
    assert f"register_buffer({name!r}" in str(error.value)


def test_a_traced_value_cannot_be_read():
    module = Keeper(lambda self, x: bool(x.sum() > 0))
    with pytest.raises(TraceError):
        traced(module)


def test_trace_computes_what_forward_does(rng):
    net, x = nn.Sequential(nn.Linear(3, 2), nn.GELU()), rng.standard_normal((5, 3))
    with skgrad.no_grad():  # the parameters become constants, on purpose
        program = traced(net, x)
    np.testing.assert_allclose(program(x), net(x).numpy(), rtol=1e-14)


# ------------------------------------------------------- parameters, modes, dtype


def test_gradients_are_those_of_torch(rng):
    ours, theirs = Net(), TorchNet()
    ours.load_state_dict(theirs.state_dict())
    data = rng.standard_normal((6, 3))
    out, expected = ours(skgrad.tensor(data)), theirs(torch.tensor(data))
    np.testing.assert_allclose(out.numpy(), expected.detach(), rtol=1e-12)
    (out**2).mean().backward()
    (expected**2).mean().backward()
    grads = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(parameter.grad.numpy(), grads[name].grad, rtol=1e-10)
    ours.zero_grad()
    assert all(parameter.grad is None for parameter in ours.parameters())


def test_gradient_of_a_shared_parameter_is_the_sum(rng):
    tied, data = Tied(), rng.standard_normal((4, 3))
    weight = torch.tensor(tied.encode.weight.numpy().copy(), requires_grad=True)
    bias = torch.tensor(tied.encode.bias.numpy().copy())
    hidden = torch.tanh(torch.tensor(data) @ weight.T + bias)
    (hidden @ weight.T).sum().backward()
    tied(skgrad.tensor(data)).sum().backward()
    np.testing.assert_allclose(tied.encode.weight.grad.numpy(), weight.grad, rtol=1e-12)


def test_frozen_parameters_get_no_gradient():
    net = Net()
    net.first.weight.requires_grad = False
    net(np.ones((2, 3))).sum().backward()
    assert net.first.weight.grad is None
    assert net.first.bias.grad is not None


def test_train_and_eval_reach_everything_and_return_the_module():
    net = Net()
    assert net.training
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert net.train() is net
    assert all(module.training for module in net.modules())
    assert not net.train(False).second[0].training


def test_to_converts_what_is_floating_except_hyperparameters():
    net = Net()
    before = net.first.weight.numpy()
    assert net.to(dtype="float32") is net
    assert {p.dtype.name for p in net.parameters()} == {"float32"}
    assert all(isinstance(p, nn.Parameter) for p in net.parameters())
    assert all(p.requires_grad for p in net.parameters())
    dtypes = {name: b.dtype.name for name, b in net.named_buffers()}
    assert dtypes == {"count": "float32", "table": "int64", "factor": "float64"}
    np.testing.assert_array_equal(net.first.weight.numpy(), before.astype("float32"))


def test_to_keeps_sharing_and_freezing():
    tied = Tied()
    tied.encode.bias.requires_grad = False
    tied.to(dtype="float32")
    assert tied.encode.weight is tied.decode.weight
    assert not tied.encode.bias.requires_grad
    assert isinstance(tied.encode.bias, nn.Parameter)


def test_to_refuses_other_dtypes_and_devices():
    with pytest.raises(DTypeError, match="Got 'int64' instead"):
        Net().to(dtype="int64")
    with pytest.raises(skgrad.exceptions.DeviceError):
        Net().to(device="nowhere")
    assert Net().to(device="cpu").first.weight.device == "cpu"


# ---------------------------------------------------------------- copies and repr


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
@pytest.mark.parametrize("make", [Net, Tied])
def test_copies_compute_the_same_and_share_nothing(rng, copied, make):
    module, x = make().eval(), rng.standard_normal((2, 3))
    other = copied(module)
    assert not other.training
    np.testing.assert_array_equal(other(x).numpy(), module(x).numpy())
    assert repr(other) == repr(module)
    assert list(other.state_dict()) == list(module.state_dict())
    before = module(x).numpy()
    for parameter in other.parameters():
        assert isinstance(parameter, nn.Parameter)
        parameter.assign_(np.zeros(parameter.shape))
    np.testing.assert_array_equal(module(x).numpy(), before)


def test_copies_keep_sharing():
    for other in (copy.deepcopy(Tied()), pickle.loads(pickle.dumps(Tied()))):
        assert other.encode.weight is other.decode.weight


def test_repr():
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Linear(in_features=3, out_features=4, bias=True)\n"
        "  (second): Sequential(\n"
        "    (0): Tanh()\n"
        "    (1): Linear(in_features=4, out_features=1, bias=True)\n"
        "  )\n"
        ")  # 22 parameters"
    )
    assert repr(Tied()).endswith(")  # 12 parameters")
    assert repr(nn.Linear(99, 100)).endswith(")  # 10,000 parameters")
    assert repr(nn.Linear(1, 1, bias=False)).endswith(")  # 1 parameter")
    assert repr(nn.Sequential()) == "Sequential()"


def test_repr_shows_extra_information_above_the_children():
    class Tagged(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.Tanh()

        def extra_repr(self):
            return "tag=1"

    assert repr(Tagged()) == "Tagged(\n  tag=1\n  (act): Tanh()\n)"
