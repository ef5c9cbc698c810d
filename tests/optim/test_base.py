"""The stateful face: an optimizer with the parameters of one model."""

import pickle

import numpy as np
import pytest

import skgrad
from skgrad.exceptions import DTypeError, GradientError, ParameterError
from skgrad.optim import SGD, Adam, AdamW, RMSprop


def leaf(*values, dtype="float64"):
    return skgrad.tensor(values, dtype=dtype, requires_grad=True)


def backward(*tensors):
    sum((w * w).sum() for w in tensors).backward()


def test_step_updates_in_place():
    w = leaf(4.0)
    same = w
    optimizer = SGD([w], lr=0.25)
    backward(w)
    optimizer.step()
    assert same is w
    assert w.requires_grad
    np.testing.assert_array_equal(w.numpy(), [2.0])


def test_a_loop_fits_a_model(rng):
    X, w_true = rng.normal(size=(100, 3)), np.array([1.0, -2.0, 0.5])
    inputs, target = skgrad.tensor(X), skgrad.tensor(X @ w_true)
    w = leaf(0.0, 0.0, 0.0)
    optimizer = Adam([w], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        residual = inputs @ w - target
        (residual * residual).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(w.numpy(), w_true, atol=1e-3)


def test_any_iterable_of_parameters_will_do():
    w = leaf(1.0)
    for params in ([w], (w,), iter([w]), {"w": w}.values()):
        (found,) = SGD(params).params
        assert found is w


def test_gradients_accumulate_until_zero_grad():
    w = leaf(1.0)
    backward(w)
    backward(w)
    assert w.grad.item() == 4.0
    SGD([w]).zero_grad()
    assert w.grad is None


def test_learning_rate_may_be_assigned():
    w = leaf(1.0)
    optimizer = SGD([w], lr=0.5)
    backward(w)
    optimizer.lr = 0.0
    optimizer.step()
    np.testing.assert_array_equal(w.numpy(), [1.0])
    optimizer.lr = 0.25
    optimizer.step()
    np.testing.assert_array_equal(w.numpy(), [0.5])


@pytest.mark.parametrize(
    ("cls", "rate"), [(SGD, 1e-2), (RMSprop, 1e-2), (Adam, 1e-3), (AdamW, 1e-3)]
)
def test_default_learning_rates(cls, rate):
    assert cls([leaf(1.0)]).lr == rate
    assert cls().lr is None


def test_parameters_without_gradient_keep_value_and_state():
    used, unused = leaf(1.0), leaf(1.0)
    optimizer = Adam([used, unused], lr=0.1, weight_decay=0.5)
    backward(used)
    optimizer.step()
    np.testing.assert_array_equal(unused.numpy(), [1.0])
    # Its first step comes later and is a first step: of the length of the rate.
    optimizer.zero_grad()
    backward(unused)
    optimizer.step()
    np.testing.assert_allclose(unused.numpy(), [0.9], rtol=1e-6)


def test_step_records_no_gradient():
    w = leaf(1.0)
    optimizer = Adam([w])
    backward(w)
    optimizer.step()
    optimizer.zero_grad()
    backward(w)
    np.testing.assert_allclose(w.grad.numpy(), 2 * w.numpy())


def test_float32_parameters_stay_float32():
    w = leaf(1.0, dtype="float32")
    optimizer = AdamW([w])
    backward(w)
    optimizer.step()
    assert w.dtype == np.float32


def test_optimizer_and_parameters_are_pickled_together():
    w = leaf(1.0, 2.0)
    optimizer = Adam([w], lr=0.1)
    backward(w)
    optimizer.step()
    w2, copy = pickle.loads(pickle.dumps((w, optimizer)))
    for tensor, one in ((w, optimizer), (w2, copy)):
        one.zero_grad()
        backward(tensor)
        one.step()
    np.testing.assert_array_equal(w.numpy(), w2.numpy())


# ------------------------------------------------------------------------- errors


def test_step_without_any_gradient():
    with pytest.raises(GradientError, match=r"Call loss.backward\(\) first"):
        SGD([leaf(1.0), leaf(2.0)]).step()


@pytest.mark.parametrize("method", ["step", "zero_grad"])
def test_a_description_has_nothing_to_update(method):
    with pytest.raises(ParameterError, match=r"Adam\(model.parameters\(\), lr=0.001\)"):
        getattr(Adam(), method)()


def test_learning_rate_without_parameters_is_not_lost():
    with pytest.raises(ParameterError, match=r"learning_rate=0.1 beside"):
        Adam(lr=0.1)


def test_no_parameters():
    with pytest.raises(ParameterError, match="empty: there is nothing to fit"):
        SGD([])


@pytest.mark.parametrize("params", [leaf(1.0), 3])
def test_parameters_that_are_no_iterable_of_tensors(params):
    with pytest.raises(ParameterError, match="must be an iterable of tensors"):
        SGD(params)


def test_arrays_among_the_parameters():
    with pytest.raises(ParameterError, match=r"tensors only\. Got a ndarray"):
        SGD([np.ones(2)])


def test_integers_among_the_parameters():
    with pytest.raises(DTypeError, match=r"dtype int64 and shape \(2,\)"):
        SGD([skgrad.tensor([1, 2])])


def test_the_same_parameter_twice():
    w = leaf(1.0)
    with pytest.raises(ParameterError, match="holds a tensor twice"):
        SGD([w, w])


def test_hyperparameters_are_checked_at_once():
    with pytest.raises(ParameterError, match=r"'b1' parameter of Adam.*Got 2.0"):
        Adam([leaf(1.0)], b1=2.0)


@pytest.mark.parametrize("lr", [-1.0, np.nan, "fast"])
def test_learning_rate_is_checked(lr):
    with pytest.raises(ParameterError, match=r"'lr' parameter of SGD.*\[0, inf\)"):
        SGD([leaf(1.0)], lr=lr)
    optimizer = SGD([leaf(1.0)])
    optimizer.lr = lr
    backward(*optimizer.params)
    with pytest.raises(ParameterError, match="'lr' parameter of SGD"):
        optimizer.step()


# ------------------------------------------------------------------------ pitfalls


def test_a_forgotten_zero_grad_is_reported_at_the_backward(recwarn):
    w = skgrad.tensor([4.0], requires_grad=True)
    optimizer = SGD([w], lr=0.1)
    (w * w).sum().backward()
    (w * w).sum().backward()  # accumulates, as it should
    assert w.grad.item() == 16.0
    optimizer.step()
    assert not recwarn
    with pytest.warns(RuntimeWarning, match=r"adds to 1 gradient.*zero_grad") as found:
        (w * w).sum().backward()
    assert found[0].filename == __file__
    (w * w).sum().backward()  # said once a step


@pytest.mark.parametrize("reset", ["optimizer", "tensor", "attribute"])
def test_any_way_to_forget_gradients_will_do(reset, recwarn):
    w = skgrad.tensor([4.0], requires_grad=True)
    optimizer = SGD([w], lr=0.1)
    for _ in range(3):
        if reset == "optimizer":
            optimizer.zero_grad()
        elif reset == "tensor":
            w.zero_grad()
        else:
            w.grad = None
        (w * w).sum().backward()
        optimizer.step()
        optimizer.step()  # twice with one gradient: nobody's business
    assert not recwarn
