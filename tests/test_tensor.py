"""Tensor: attributes, gradients in place, conversions, life time, threads."""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

import skgrad
from skgrad import nn, ops
from skgrad.exceptions import (
    DeviceError,
    DTypeError,
    GradientError,
    ShapeError,
    SkgradError,
)


def leaf(data, **kwargs):
    return skgrad.tensor(data, requires_grad=True, **kwargs)


# --- making one -------------------------------------------------------------------


def test_attributes():
    x = skgrad.tensor([[1.0, 2.0, 3.0]])
    assert (x.shape, x.ndim, x.size, len(x)) == ((1, 3), 2, 3, 1)
    assert x.dtype == np.dtype("float64")
    assert (x.device, x.requires_grad, x.grad, x.is_traced) == (
        "cpu",
        False,
        None,
        False,
    )
    assert x.T.shape == (3, 1)
    assert [row.shape for row in x] == [(3,)]
    assert skgrad.tensor(2.0).shape == ()
    with pytest.raises(TypeError, match="0-d"):
        len(skgrad.tensor(2.0))


def test_the_data_is_copied():
    data = np.ones(3)
    x = skgrad.tensor(data)
    data[0] = 5.0
    assert x.numpy().tolist() == [1.0, 1.0, 1.0]
    y = skgrad.tensor(x, dtype="float32")
    assert y.dtype == np.float32


def test_a_gradient_does_not_change_with_an_operand_changed_later():
    x, a = leaf([1.0, 1.0]), np.ones(2)
    z = (x * a + a / x + ops.where([True, False], a, x) * x).sum()
    a[:] = 100.0
    z.backward()
    assert x.grad.numpy().tolist() == [1.0, 2.0]
    x, index = leaf([1.0, 2.0]), np.array([0])
    z = x[index].sum()
    index[:] = 1
    z.backward()
    assert x.grad.numpy().tolist() == [1.0, 0.0]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool", "uint8"])
def test_dtypes_of_arrays_are_kept(dtype):
    assert skgrad.tensor(np.ones(2, dtype=dtype)).dtype == dtype
    assert skgrad.tensor([1, 0], dtype=dtype).dtype == dtype


def test_dtypes_of_python_numbers():
    assert skgrad.tensor([1, 2]).dtype == np.int64
    assert skgrad.tensor([1, 2.0]).dtype == np.float64
    assert skgrad.tensor([True]).dtype == np.bool_


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: skgrad.tensor(["a"]), DTypeError),
        (lambda: skgrad.tensor([1j]), DTypeError),
        (lambda: skgrad.tensor(None), DTypeError),
        (lambda: skgrad.tensor([1.0], dtype="float16"), DTypeError),
        (lambda: skgrad.tensor([1.0], dtype="quux"), DTypeError),
        (lambda: skgrad.tensor(np.ones(2, dtype=object)), DTypeError),
        (lambda: skgrad.tensor([[1.0], [1.0, 2.0]]), ShapeError),
        (lambda: skgrad.tensor([1.0], device="tpu"), DeviceError),
        (lambda: skgrad.tensor([1.0]).to(device="tpu"), DeviceError),
        (lambda: skgrad.tensor([1, 2], requires_grad=True), GradientError),
    ],
)
def test_what_cannot_be_a_tensor(call, error):
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, SkgradError)


def test_repr():
    assert repr(skgrad.tensor([1.0])) == "tensor([1.])"
    assert repr(leaf([1.0], dtype="float32")) == (
        "tensor([1.], dtype=float32, requires_grad=True)"
    )
    assert f"{skgrad.tensor(1.23456):.2f}" == "1.23"
    assert f"{skgrad.tensor(1.5)}" == "tensor(1.5)"


# --- gradients --------------------------------------------------------------------


def test_gradients_accumulate_until_zero_grad():
    x = leaf([1.0, 2.0])
    (x * x).sum().backward()
    (3.0 * x).sum().backward()
    assert x.grad.numpy().tolist() == [5.0, 7.0]
    x.zero_grad()
    assert x.grad is None
    loss = (x * x).sum()
    loss.backward()
    loss.backward()
    assert x.grad.numpy().tolist() == [4.0, 8.0]


def test_leaves_do_not_share_gradients_with_each_other_or_the_caller():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    cotangent = np.ones(2)
    (x + y).backward(cotangent)
    cotangent[:] = 7.0
    assert x.grad is not y.grad
    assert x.grad.numpy().tolist() == [1.0, 1.0]
    x.grad.assign_([5.0, 5.0])
    assert y.grad.numpy().tolist() == [1.0, 1.0]
    assert not x.grad.requires_grad
    own = leaf([1.0])
    own.backward(leaf([2.0]))
    assert own.grad.numpy().tolist() == [2.0]
    assert not own.grad.requires_grad


def test_backward_needs_a_scalar_or_a_cotangent():
    x = leaf([1.0, 2.0])
    with pytest.raises(GradientError, match=r"\(2,\).*mean"):
        (x * x).backward()
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        (x * x).backward([1.0, 2.0, 3.0])
    (x * x).backward([1.0, 10.0])
    assert x.grad.numpy().tolist() == [2.0, 40.0]
    one = leaf([[3.0]])
    (one * one).backward()
    assert one.grad.numpy().tolist() == [[6.0]]


def test_backward_of_what_was_not_recorded():
    with pytest.raises(GradientError, match="requires_grad"):
        skgrad.tensor(1.0).backward()
    x = leaf(1.0)
    with skgrad.no_grad():
        y = x * 2.0
    assert not y.requires_grad
    with pytest.raises(GradientError, match="no_grad"):
        y.backward()
    with pytest.raises(GradientError):
        (x > 0).backward()


def test_no_grad_nests_and_ends_on_errors():
    x = leaf(1.0)
    with skgrad.no_grad():
        with skgrad.no_grad():
            pass
        assert not (x * x).requires_grad
    assert (x * x).requires_grad
    with pytest.raises(ZeroDivisionError), skgrad.no_grad():
        raise ZeroDivisionError
    assert (x * x).requires_grad


def test_requires_grad_is_set_on_leaves_only():
    x = skgrad.tensor([1.0])
    x.requires_grad = True
    y = x * 2.0
    with pytest.raises(GradientError, match="multiply"):
        y.requires_grad = False
    y.sum().backward()
    assert x.grad.numpy().tolist() == [2.0]
    x.requires_grad = False
    assert not (x * 2.0).requires_grad
    with pytest.raises(GradientError, match="int64"):
        skgrad.tensor([1]).requires_grad = True
    with pytest.raises(GradientError, match="leaves"):
        y.grad = x


@pytest.mark.parametrize(
    ("left", "right"), [((3, 1), (4,)), ((), (2, 3)), ((1,), (0,)), ((2, 1, 3), (4, 1))]
)
def test_broadcasting_is_undone_in_gradients(rng, left, right):
    x, y = leaf(rng.standard_normal(left)), leaf(rng.standard_normal(right))
    (x * y).sum().backward()
    for a, b in ((x, y), (y, x)):
        full = np.broadcast_to(b.numpy(), np.broadcast_shapes(left, right))
        extra = tuple(range(full.ndim - a.ndim))
        summed = full.sum(extra)
        ones = tuple(i for i, n in enumerate(a.shape) if n == 1)
        np.testing.assert_allclose(a.grad.numpy(), summed.sum(ones, keepdims=True))


def test_detach_cuts_and_shares():
    x = leaf(3.0)
    (x * x.detach()).backward()
    assert x.grad.item() == 3.0
    assert x.detach().is_leaf


@pytest.mark.parametrize("requires_grad", [True, False])
def test_an_assigned_tensor_keeps_the_gradient_at_its_old_value(requires_grad):
    w = leaf([2.0])
    x = skgrad.tensor([5.0], requires_grad=requires_grad)
    loss = (w * w * x).sum()
    w.assign_([100.0])
    x.assign_(np.array([-1.0]))
    loss.backward()
    assert w.grad.numpy().tolist() == [20.0]
    assert w.numpy().tolist() == [100.0]


def test_assign_checks():
    x = leaf([1.0, 2.0])
    with pytest.raises(ShapeError, match=r"\(3,\).*\(2,\)"):
        x.assign_(np.zeros(3))
    with pytest.raises(DTypeError, match="float32"):
        x.assign_(np.zeros(2, np.float32))
    with pytest.raises(GradientError):
        (x * 1.0).assign_(np.zeros(2))
    data = np.zeros(2)
    assert x.assign_(data) is x
    data[0] = 9.0
    assert x.numpy().tolist() == [0.0, 0.0]


# --- conversion -------------------------------------------------------------------


def test_numpy_is_a_read_only_view():
    x = leaf([1.0, 2.0])
    view = x.numpy()
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 3.0
    for array in (np.asarray(x), x.numpy()):
        assert np.shares_memory(array, x.numpy())
        assert not array.flags.writeable
    mine = np.array(x)
    mine[0] = 3.0
    assert x.numpy()[0] == 1.0
    assert np.asarray(x, dtype="float32").dtype == np.float32


def test_python_numbers():
    x = skgrad.tensor([[2.5]])
    assert (x.item(), float(x), int(x)) == (2.5, 2.5, 2)
    assert [10, 20, 30][skgrad.tensor(1)] == 20
    assert bool(skgrad.tensor(0.0)) is False
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        skgrad.tensor([1.0, 2.0]).item()
    with pytest.raises(ValueError, match="ambiguous"):
        bool(skgrad.tensor([1.0, 2.0]))
    assert 2.0 in skgrad.tensor([1.0, 2.0])


def test_to():
    x = leaf([1.0])
    assert x.to() is x
    assert x.to(device="cpu", dtype="float32").dtype == np.float32
    x.to(dtype="float32").sum().backward()
    assert x.grad.dtype == np.float64


@pytest.mark.parametrize("make", [skgrad.tensor, nn.Parameter])
def test_pickle_and_deepcopy(make):
    x = make(np.arange(3.0))
    for twin in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert type(twin) is type(x)
        assert twin.requires_grad == x.requires_grad
        np.testing.assert_array_equal(twin.numpy(), x.numpy())
        assert not np.shares_memory(twin.numpy(), x.numpy())
    one, other = copy.deepcopy([x, x])
    assert one is other


# --- operators and NumPy ----------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda x, y: x + y,
        lambda x, y: x - y,
        lambda x, y: x * y,
        lambda x, y: x / y,
        lambda x, y: x**y,
        lambda x, y: x == y,
        lambda x, y: x != y,
        lambda x, y: x < y,
        lambda x, y: x <= y,
        lambda x, y: x > y,
        lambda x, y: x >= y,
    ],
)
def test_operators_with_arrays_and_scalars_on_both_sides(call):
    a, b = np.array([1.0, 2.0, 4.0]), np.array([3.0, 2.0, 1.0])
    x, y = skgrad.tensor(a), skgrad.tensor(b)
    expected = call(a, b)
    for left, right in ((x, y), (x, b), (a, y)):
        out = call(left, right)
        assert isinstance(out, skgrad.Tensor)
        np.testing.assert_array_equal(out.numpy(), expected)
    for scalar in (
        2.0,
        2,
        np.float64(2.0),
        np.float32(2.0),
        np.int64(2),
        np.array(2.0),
    ):
        np.testing.assert_array_equal(call(x, scalar).numpy(), call(a, 2.0))
        out = call(scalar, x)
        assert isinstance(out, skgrad.Tensor)
        np.testing.assert_array_equal(out.numpy(), call(2.0, a))


def test_unary_and_logical_operators():
    x = skgrad.tensor([-1.0, 2.0])
    assert (-x).numpy().tolist() == [1.0, -2.0]
    assert (+x) is x
    assert abs(x).numpy().tolist() == [1.0, 2.0]
    mask = x > 0
    assert (~mask).numpy().tolist() == [True, False]
    assert (mask & True).numpy().tolist() == [False, True]
    assert (np.array([True, True]) & mask).numpy().tolist() == [False, True]
    assert (False | mask).numpy().tolist() == [False, True]
    with pytest.raises(DTypeError, match="parentheses"):
        _ = x & mask
    with pytest.raises(DTypeError, match="bool"):
        _ = ~x


def test_squares_have_the_dtype_of_other_powers():
    x = skgrad.tensor([1, 2, 3])
    assert (x**2).dtype == (x**3).dtype == np.float64


def test_tensors_are_hashable_by_identity():
    x, y = skgrad.tensor([1.0]), skgrad.tensor([1.0])
    assert len({x, y, x}) == 2


NUMPY_CALLS = {
    "exp": lambda m, x: m.exp(-x),
    "abs": lambda m, x: m.abs(x * 2.0),
    "true_divide": lambda m, x: m.true_divide(x, 2.0),
    "add": lambda m, x: m.add(1.0, x),
    "matmul": lambda m, x: m.matmul(x, x.T),
    "power": lambda m, x: m.power(x, 2),
    "where": lambda m, x: m.where(x > 0, x, 0.0),
    "sum": lambda m, x: m.sum(x, axis=1),
    "sum positional": lambda m, x: m.sum(x, 0),
    "mean": lambda m, x: m.mean(x, 0, keepdims=True),
    "var": lambda m, x: m.var(x, axis=0, ddof=1),
    "std": lambda m, x: m.std(x),
    "max": lambda m, x: m.max(x, 1),
    "amin": lambda m, x: m.amin(x),
    "prod": lambda m, x: m.prod(x, axis=-1),
    "argmax": lambda m, x: m.argmax(x),
    "argmax with axis": lambda m, x: m.argmax(x, axis=0),
    "cumsum": lambda m, x: m.cumsum(x),
    "cumsum with axis": lambda m, x: m.cumsum(x, 0),
    "take": lambda m, x: m.take(x, [0, 4]),
    "take with axis": lambda m, x: m.take(x, [1], axis=1),
    "clip": lambda m, x: m.clip(x, -0.5, 0.5),
    "concatenate": lambda m, x: m.concatenate([x, x], axis=1),
    "stack": lambda m, x: m.stack([x, x]),
    "transpose": lambda m, x: m.transpose(x),
    "reshape": lambda m, x: m.reshape(x, (3, 2)),
    "squeeze": lambda m, x: m.squeeze(m.expand_dims(x, 0), 0),
    "swapaxes": lambda m, x: m.swapaxes(x, 0, 1),
    "broadcast_to": lambda m, x: m.broadcast_to(x, (2, 2, 3)),
    "sort": lambda m, x: m.sort(x, 0),
    "argsort": lambda m, x: m.argsort(x),
    "norm": lambda m, x: m.linalg.norm(x),
    "norm with axis": lambda m, x: m.linalg.norm(x, axis=1),
}


@pytest.mark.parametrize("name", NUMPY_CALLS)
def test_numpy_functions_mean_what_they_mean_in_numpy(name, rng):
    data = rng.standard_normal((2, 3))
    out = NUMPY_CALLS[name](np, leaf(data))
    assert isinstance(out, skgrad.Tensor)
    np.testing.assert_allclose(out.numpy(), NUMPY_CALLS[name](np, data), rtol=1e-13)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (np.median, "median"),
        (lambda x: np.dot(x, x), "dot"),
        (lambda x: np.linalg.norm(x, 1), "norm"),
        (np.linalg.inv, "inv"),
        (np.arctan, "arctan"),
        (np.add.reduce, "add"),
        (lambda x: np.exp(x, out=np.zeros(4)), "exp"),
        (lambda x: np.sum(x, dtype="float32"), "sum"),
        (lambda x: np.mean(x, 0, None), "mean"),
        (lambda x: np.sum(x, where=[True]), "sum"),
    ],
)
def test_numpy_functions_without_a_counterpart_say_so(call, name):
    with pytest.raises(TypeError, match=rf"np\.{name}.*skgrad\.ops"):
        call(skgrad.tensor([[1.0]]))


def test_in_place_operators_on_arrays_are_refused_and_on_tensors_rebind():
    array, x = np.ones(2), leaf([1.0, 2.0])
    with pytest.raises(TypeError, match=r"np\.add"):
        array += x
    y = x
    y *= 2.0
    assert x.numpy().tolist() == [1.0, 2.0]
    with pytest.raises(TypeError):
        x[0] = 1.0


# --- graphs -----------------------------------------------------------------------


def test_deep_graphs_need_no_recursion():
    x = leaf(1.0)
    y = x
    for _ in range(50_000):
        y = y * 1.0
    y.backward()
    assert x.grad.item() == 1.0
    del y


def test_wide_fan_out():
    x = leaf(2.0)
    total = x
    for _ in range(20):
        total = total + total  # 2²⁰ paths, 20 nodes
    total.backward()
    assert x.grad.item() == 2.0**20


def test_a_graph_is_freed_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        x = leaf(np.ones(3))
        hidden = x * 2.0
        loss = ops.tanh(hidden).sum()
        nodes = [weakref.ref(loss._node), weakref.ref(hidden._node)]
        loss.backward()
        skgrad.grad(lambda v: (v * v).sum())(x)
        del hidden, loss
        assert [ref() for ref in nodes] == [None, None]
    finally:
        gc.enable()


def test_no_grad_is_local_to_its_thread():
    inside, done = threading.Event(), threading.Event()
    x = leaf(1.0)

    def other():
        with skgrad.no_grad():
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    recorded = (x * 2.0).requires_grad
    done.set()
    thread.join()
    assert recorded


def test_many_threads_differentiate_at_once():
    found = {}

    def work(k):
        x = leaf(float(k))
        for _ in range(100):
            x.zero_grad()
            (x * x * x).backward()
        found[k] = x.grad.item()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: 3.0 * k * k for k in range(8)}
