"""Tensors, modules and hand-written loops on a device give the CPU's numbers.

Each battery runs on the stand-in for CuPy, which finds what would leave the device in
silence, and where there is one on a GPU.
"""

import copy
import pickle
import sys
import warnings

import numpy as np
import pytest
from backend.cuda import absent
from backend.cuda.devices import DEVICES, standing_in

absent.stand_in_for_missing()

from cases import ELEMENTWISE, STRUCTURAL_ROWS  # noqa: E402
from losses.cases import EVERY  # noqa: E402
from nn.layers import LAYERS  # noqa: E402

import skgrad  # noqa: E402
from skgrad import data, losses, nn, ops, optim  # noqa: E402
from skgrad.backend import backend_of, get_backend  # noqa: E402
from skgrad.core.tree import tree_leaves  # noqa: E402
from skgrad.exceptions import DeviceError, ShapeError  # noqa: E402
from skgrad.executor import trace  # noqa: E402
from skgrad.train import Objective  # noqa: E402

DTYPES = ("float32", "float64")
# A GPU rounds exp and its like in its own way, and adds up in another order.
RTOL = {
    "stand-in": {"float32": 0.0, "float64": 0.0},
    "GPU": {"float32": 2e-5, "float64": 1e-12},
}


@pytest.fixture(params=DEVICES)
def device(request, monkeypatch):
    """The name of a device, of which there is a stand-in or a real one."""
    if request.param == "GPU":
        yield "cuda"
        return
    with standing_in(monkeypatch):
        yield "cuda"


@pytest.fixture
def same(request):
    """Compare what the device and the CPU gave."""
    tolerances = RTOL[request.node.callspec.params["device"]]

    def compare(found, expected, scale=1.0):
        found, expected = tree_leaves(found), tree_leaves(expected)
        assert len(found) == len(expected)
        for f, e in zip(found, expected, strict=True):
            assert (f.shape, f.dtype) == (e.shape, e.dtype)
            rtol, values = scale * tolerances.get(str(e.dtype), 0.0), e.numpy()
            size = np.abs(values[np.isfinite(values)]).max(initial=0) if rtol else 0
            np.testing.assert_allclose(f.numpy(), values, rtol, rtol * size)

    return compare


def on(device, arrays, requires_grad=True):
    return [
        skgrad.tensor(
            a, requires_grad=requires_grad and a.dtype.kind == "f", device=device
        )
        for a in arrays
    ]


def values_and_gradients(call, arrays, device):
    """Return what a call gives on a device, and the gradients of a weighted sum."""
    args = on(device, arrays)
    outs = tree_leaves(call(*args))
    sums = [weighted_sum(out) for out in outs if out.requires_grad]
    if sums:
        sum(sums[1:], sums[0]).backward()
    grads = [arg.grad for arg in args if arg.grad is not None]
    return [out.detach() for out in outs], grads


def weighted_sum(out):
    weights = np.linspace(0.5, 1.5, out.size, dtype=out.dtype).reshape(out.shape)
    return ops.sum(out * weights).to(dtype="float64")


def assert_same(same, call, arrays, device):
    found = values_and_gradients(call, arrays, device)
    for leaf in tree_leaves(found[1]):
        assert leaf.device == get_backend(device).device
    same(found, values_and_gradients(call, arrays, "cpu"))


# --- operations -------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(device, same, name, dtype, rng):
    case = ELEMENTWISE[name]
    for shape in [(), (2, 0), (2, 3)]:
        assert_same(same, case.call, case.args(rng, shape, dtype), device)
    args = case.args(rng, (2, 3), dtype)
    args[0] = args[0][:, :1]  # broadcast
    assert_same(same, case.call, args, device)


@pytest.mark.parametrize("name", ["sign", "relu", "maximum", "sigmoid", "softplus"])
def test_numbers_that_are_none(device, same, name):
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0])
    args = [special, special[::-1].copy()][: len(ELEMENTWISE[name].domains)]
    assert_same(same, ELEMENTWISE[name].call, args, device)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "case"),
    [pytest.param(name, case, id=f"{name}-{i}") for name, i, case in STRUCTURAL_ROWS],
)
def test_structural(device, same, name, case, dtype, rng):
    assert_same(same, case.call, case.args(rng, dtype), device)


def test_second_derivatives(device, same, rng):
    def call(x):
        return skgrad.grad(lambda v: ops.sum(ops.tanh(v) * v[::2][:1]))(x)

    assert_same(same, call, [rng.standard_normal(5)], device)


@pytest.mark.parametrize("transform", [skgrad.jacobian, skgrad.hessian])
def test_transforms(device, same, transform, rng):
    def call(x):
        return transform(lambda v: ops.sum(v**3 * 2.0))(x)

    assert_same(same, call, [rng.standard_normal(3)], device)


INDICES = {
    "mask": np.array([True, False, True, True]),
    "positions": np.array([0, -1, 2, 2]),
    "several": (np.array([0, -1]), 1),
    "list": [3, 0],
    "mixed": (slice(None, None, -1), None, 1),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_square_brackets(device, same, index, rng):
    assert_same(same, lambda x: x[index], [rng.standard_normal((4, 3))], device)


def test_a_mask_computed_on_the_device(device, same, rng):
    assert_same(same, lambda x: x[x > 0], [rng.standard_normal((4, 3))], device)


@pytest.mark.parametrize("index", [[4], [-5], np.array([0, 99])])
def test_positions_out_of_range_are_refused(device, index):
    x = skgrad.tensor(np.zeros((4, 3)), device=device)
    for call in (lambda: x[index], lambda: ops.take(x, index)):
        with pytest.raises(IndexError, match="out of range"):
            call()
    with pytest.raises(IndexError, match="out of range"):
        ops.scatter_add(x[: len(index)], index, size=4)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "uint32"])
def test_integers_are_scattered(device, same, dtype):
    x = np.array([1, 0, 1, 1]).astype(dtype)
    found, expected = (
        ops.scatter_add(skgrad.tensor(x, device=d), [2, 0, 2, -1], size=3)
        for d in (device, "cpu")
    )
    same(found, expected)


def test_the_first_of_several_nan_is_the_largest(device, same):
    x = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, 5.0]])
    assert_same(same, ops.argmax, [x], device)


@pytest.mark.parametrize("shape", [(), (3,), (5, 7)])
def test_random_numbers_are_those_of_the_cpu(device, shape):
    found = []
    for where in (device, "cpu"):
        x = skgrad.tensor(np.zeros(shape), device=where)
        with skgrad.random_seed(3):
            drawn = [ops.uniform_like(x) for _ in range(2)]
        assert all(d.device == x.device for d in drawn)
        found.append([d.numpy() for d in drawn])
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


# --- tensors ----------------------------------------------------------------------


def test_a_tensor_knows_its_device_and_comes_back(device):
    x = skgrad.tensor([[1.0, 2.0]], dtype="float32", device=device, requires_grad=True)
    assert x.device == "cuda:0"
    assert get_backend("cuda") is get_backend("cuda:0") is backend_of(x._data)
    assert isinstance(x.numpy(), np.ndarray)
    assert x.sum().item() == float(x.sum()) == 3.0
    assert (int(x[0, 1]), bool(x[0, 0] > 0.5), 2.0 in x) == (2, True, True)
    assert repr(x) == (
        "tensor([[1., 2.]], dtype=float32, device='cuda:0', requires_grad=True)"
    )
    assert f"{x[0, 0]:.1f}" == "1.0"
    assert [len(row) for row in x] == [2]
    assert skgrad.tensor(x).device == "cuda:0"
    assert skgrad.tensor(x, device="cpu").device == "cpu"
    assert skgrad.tensor(x._data, dtype="float64").device == "cuda:0"
    assert (x + x._data).device == "cuda:0"
    assert x.to("cuda:0") is x
    assert x.to("cpu").to(dtype="float64").to(device).dtype == np.float64


def test_gradients_flow_back_through_a_move(device):
    x = skgrad.tensor([1.0, 2.0], requires_grad=True)
    ((x.to(device) ** 2).to("cpu") * x).sum().backward()
    assert x.grad.device == "cpu"
    np.testing.assert_array_equal(x.grad.numpy(), [3.0, 12.0])
    with skgrad.no_grad():
        assert not x.to(device).requires_grad


def test_tensors_on_two_devices_do_not_meet(device):
    x, y = skgrad.tensor([1.0, 2.0], device=device), skgrad.tensor([1.0, 2.0])
    both = r"add: .*float64\[2\] on 'cuda:0' and float64\[2\] on 'cpu'.*x\.to\('cuda:0'"
    with pytest.raises(DeviceError, match=both):
        x + y
    for call in (
        lambda: ops.where(y > 1.0, x, 0.0),
        lambda: ops.concatenate([y, x]),
        lambda: x[skgrad.tensor([0])],
        lambda: x.assign_(y),
        lambda: x.sum().to("cpu") * x,
    ):
        with pytest.raises(DeviceError, match="different devices"):
            call()
    with pytest.raises(ShapeError):
        x + skgrad.tensor([1.0, 2.0, 3.0])
    leaf = skgrad.tensor([1.0, 2.0], device=device, requires_grad=True)
    with pytest.raises(DeviceError, match=r"backward: .* different devices"):
        (leaf * 2.0).backward(y)


def test_numbers_and_arrays_follow_a_tensor(device):
    x = skgrad.tensor([1.0, 2.0], device=device, requires_grad=True)
    out = 2.0 * x + np.array([1.0, 1.0]) - [1.0, 0.5] + ops.exp(0.0) + np.float64(1.0)
    assert out.device == x.device
    np.testing.assert_array_equal(out.numpy(), [4.0, 6.5])
    out.backward(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(x.grad.numpy(), [2.0, 4.0])
    x.assign_(np.array([5.0, 6.0]))
    assert x.device == "cuda:0"
    np.testing.assert_array_equal(x.numpy(), [5.0, 6.0])


def test_numpy_takes_nothing_from_a_device_in_silence(device):
    x = skgrad.tensor([1.0, 2.0], device=device)
    with pytest.raises(DeviceError, match=r"x\.numpy\(\)"):
        np.asarray(x)
    np.testing.assert_allclose(np.exp(x).numpy(), np.exp(x.numpy()))


def test_a_function_with_a_gradient_rule_of_its_own(device):
    @skgrad.custom_vjp(vjp=(lambda g, out, x, c: g * c, None))
    def scaled(x, c):
        return x * c

    x = skgrad.tensor([1.0, 2.0], device=device, requires_grad=True)
    scaled(x, np.array([3.0, 4.0])).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [3.0, 4.0])


# --- modules, losses, optimizers ----------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_layers(device, same, name, rng):
    row, results = LAYERS[name], []
    with skgrad.random_seed(0):
        layer = row.ours()
    args = row.args(rng)
    for where in (device, "cpu"):
        own = copy.deepcopy(layer).to(device=where)
        found = values_and_gradients(
            lambda *xs, layer=own: row.call(layer, *xs), args, where
        )
        params = list(own.parameters())
        homes = {tensor.device for tensor in (*params, *own.buffers())}
        assert homes <= {get_backend(where).device}
        grads = [p.grad for p in params if p.grad is not None]
        own.eval()
        with skgrad.no_grad():
            # NumPy's arrays follow the parameters.
            out = list(map(skgrad.tensor, tree_leaves(row.call(own, *args))))
        results.append((found, grads, list(own.buffers()), out))
    same(*results, scale=10.0)


def test_dropout(device):
    found = []
    for where in (device, "cpu"):
        x = skgrad.tensor(np.ones((6, 5)), device=where, requires_grad=True)
        layer = nn.Dropout(0.5).to(device=where)
        with skgrad.random_seed(1):
            out = layer(x)
        out.sum().backward()
        found.append((out.numpy(), x.grad.numpy()))
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("case", EVERY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_losses(device, same, case, dtype, rng):
    y, raw = case.data(rng, n=8, dtype=dtype)
    assert_same(same, lambda f: case.loss(y, f), [raw], device)
    given = skgrad.tensor(y, device=device)
    same(case.loss(given, skgrad.tensor(raw, device=device)), case.loss(y, raw), 10.0)


class Net(nn.Module):
    """One of each kind of layer that keeps something."""

    def __init__(self):
        super().__init__()
        self.codes = nn.Embedding(4, 3)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.2)
        self.hidden = nn.Linear(8, 4)
        self.output = nn.Linear(4, 1)
        self.register_buffer("seen", 0.0)

    def forward(self, x, codes):
        self.seen = self.seen + 1.0
        joined = ops.concatenate([x, self.codes(codes)], axis=-1)
        return self.output(ops.tanh(self.hidden(self.drop(self.norm(joined)))))[:, 0]


OPTIMIZERS = {name: cls for name, cls in optim.OPTIMIZERS.items() if cls.stochastic}
WRAPPED = {
    **{name: lambda params, cls=cls: cls(params) for name, cls in OPTIMIZERS.items()},
    "sgd-nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "groups": lambda p: optim.AdamW(
        [{"params": [q], "weight_decay": 0.1 * i} for i, q in enumerate(p)]
    ),
}


@pytest.mark.parametrize("make", WRAPPED.values(), ids=WRAPPED)
def test_a_hand_written_loop(device, same, make, rng):
    x, y = rng.standard_normal((12, 5)), rng.standard_normal(12)
    codes = rng.integers(0, 4, 12)
    with skgrad.random_seed(0):
        first = Net()
    results = []
    for where in (device, "cpu"):
        net = copy.deepcopy(first).to(device=where)
        optimizer, loss = make(net.parameters()), losses.Huber()
        history = []
        with skgrad.random_seed(2):
            for rows in (slice(0, 6), slice(6, 12), slice(3, 9)):
                optimizer.zero_grad()
                xs, ys, cs = (
                    skgrad.tensor(a[rows], device=where) for a in (x, y, codes)
                )
                value = loss(ys, net(xs, cs)).mean()
                value.backward()
                optim.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
                history.append(value.item())
        assert net.seen.item() == 3.0
        results.append(
            (list(net.parameters()), list(net.buffers()), skgrad.tensor(history))
        )
    same(*results, scale=1000.0)


def test_a_module_goes_to_a_device_and_back(device):
    with skgrad.random_seed(0):
        net = Net()
    before = net.state_dict()
    assert net.to(device=device) is net
    assert {t.device for t in (*net.parameters(), *net.buffers())} == {"cuda:0"}
    after = net.state_dict()
    assert all(isinstance(a, np.ndarray) for a in after.values())
    net.load_state_dict(
        {name: 2.0 * a for name, a in after.items() if a.dtype == float}, strict=False
    )
    net.load_state_dict({"output.bias": net.output.bias}, strict=False)
    assert {t.device for t in (*net.parameters(), *net.buffers())} == {"cuda:0"}
    net.seen = 5.0
    net.seen = np.float64(7.0)
    net.seen = np.array(8.0)
    assert net.seen.device == "cuda:0"
    with pytest.raises(DeviceError, match=r"'seen' of Net lives on 'cuda:0'.*'cpu'"):
        net.seen = skgrad.tensor(1.0)
    net.to(device="cpu", dtype="float32")
    assert {t.device for t in (*net.parameters(), *net.buffers())} == {"cpu"}
    np.testing.assert_array_equal(
        net.hidden.weight.numpy(), 2 * before["hidden.weight"].astype("float32")
    )
    with pytest.raises(DeviceError, match="different devices"):
        net.hidden(skgrad.tensor(np.zeros((2, 8), "float32"), device=device))


def test_parameters_are_drawn_anew_where_they_are(device):
    found = []
    for where in (device, "cpu"):
        layer = nn.Linear(3, 2).to(device=where)
        with skgrad.random_seed(5):
            layer.reset_parameters()
        assert layer.weight.device == get_backend(where).device
        found.append(layer.weight.numpy())
    np.testing.assert_array_equal(*found)


def test_a_dataset_is_on_the_host(device):
    x = skgrad.tensor([1.0, 2.0], device=device)
    with pytest.raises(DeviceError, match=r"x\.numpy\(\)"):
        data.ArrayDataset(x)
    ((batch,),) = data.DataLoader(data.ArrayDataset(x.numpy()), batch_size=2)
    assert batch.to(device).device == "cuda:0"


def test_a_module_is_called_with_other_parameters(device, same, rng):
    layer = nn.Linear(3, 2).to(device=device)
    params = {"weight": rng.standard_normal((2, 3)), "bias": rng.standard_normal(2)}
    out, _ = nn.functional_call(layer, params, {}, rng.standard_normal((4, 3)))
    assert out.device == "cuda:0"


@pytest.mark.parametrize("constraint", [nn.Positive(), nn.Bounded(-9.0, 9.0)])
def test_constrained_parameters(device, constraint):
    layer = nn.parametrize(nn.Linear(3, 1), "weight", copy.deepcopy(constraint))
    layer.to(device=device)
    layer.weight = np.full((1, 3), 0.5)
    np.testing.assert_allclose(layer.weight.numpy(), 0.5, rtol=1e-12)
    layer(np.ones((2, 3))).sum().backward()
    assert all(p.grad.device == "cuda:0" for p in layer.parameters())


def test_averaged_parameters_stay_on_the_device(device):
    w = skgrad.tensor([4.0, 2.0], device=device, requires_grad=True)
    optimizer = optim.Averaged(optim.SGD())
    state = optimizer.init(w)
    hyper = {**optimizer.hyperparameters(), "learning_rate": 0.5}
    new, state = optimizer.update(w.detach(), state, w.detach(), hyper)
    assert {x.device for x in tree_leaves((new, state))} == {"cuda:0"}


# --- pickles ----------------------------------------------------------------------


def test_a_pickle_comes_back_to_the_device(device):
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).to(device=device)
    again = pickle.loads(pickle.dumps(model))
    for old, new in zip(model.parameters(), again.parameters(), strict=True):
        assert type(new) is type(old)
        assert (new.device, new.requires_grad) == ("cuda:0", True)
        np.testing.assert_array_equal(new.numpy(), old.numpy())


def test_without_the_device_a_pickle_loads_on_the_cpu(monkeypatch):
    with standing_in(monkeypatch):
        x = skgrad.tensor([1.0, 2.0], device="cuda:1", requires_grad=True)
        data = pickle.dumps(x)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.warns(RuntimeWarning, match=r"lived on 'cuda:1'.*CPU now.*CuPy"):
        y = pickle.loads(data)
    assert (y.device, y.requires_grad) == ("cpu", True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pickle.loads(pickle.dumps(y)).device == "cpu"


# --- several devices ----------------------------------------------------------------


def test_the_second_device(monkeypatch):
    """Only the stand-in has two; computing there needs no current device."""
    with standing_in(monkeypatch):
        x = skgrad.tensor([3.0, 1.0, 2.0], requires_grad=True).to("cuda:1")
        assert x.device == "cuda:1"
        out = ops.sum(ops.sigmoid(x)[ops.argsort(x)] * np.arange(3.0)) + x.max()
        assert out.device == "cuda:1"
        assert np.isfinite(out.item())
        model = nn.Linear(3, 1).to(device="cuda:1")
        model(x).sum().backward()
        assert model.weight.grad.device == "cuda:1"
        with pytest.raises(DeviceError, match=r"'cuda:1' and .* 'cuda:0'"):
            x + x.to("cuda")
        with pytest.raises(DeviceError, match="2 GPUs"):
            x.to("cuda:2")


def test_without_a_gpu_the_reason_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match="CuPy is not installed"):
        skgrad.tensor([1.0]).to("cuda")
    with pytest.raises(DeviceError, match=r"'gpu'.*'cpu'; 'cuda'"):
        nn.Linear(1, 1).to(device="gpu")


def test_what_is_compiled_takes_tensors_and_modules_of_the_host(device):
    outside = skgrad.tensor([1.0, 2.0], device=device)
    with pytest.raises(DeviceError, match=r"shape \(2,\) on 'cuda:0' cannot be a con"):
        trace(lambda x: x + outside, np.zeros(2))
    module = nn.Linear(2, 1).to(device=device)
    with pytest.raises(DeviceError, match=r"parameters of Linear are on \['cuda:0'\]"):
        Objective(module, losses.SquaredError(), None)
