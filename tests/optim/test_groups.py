"""Groups of parameters with hyperparameters of their own, against PyTorch."""

import pickle

import numpy as np
import pytest
import torch

import skgrad
from skgrad.exceptions import ParameterError
from skgrad.optim import SGD, Adam, AdamW, Averaged


def loss(first, second, third):
    return (first**4).sum() + (second**2 * 3.0).sum() + ((third - 1.0) ** 2).sum()


def start(rng):
    return [rng.normal(size=shape) for shape in ((3, 2), (4,), ())]


def descend(one, tensors, n_steps=10):
    for _ in range(n_steps):
        one.zero_grad()
        loss(*tensors).backward()
        one.step()


def assert_equal(ours, theirs):
    for w, t in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(w.numpy(), t.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs", "first", "second"),
    [
        (SGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}, {"lr": 0.02}),
        (Adam, torch.optim.Adam, {"weight_decay": 0.1}, {"lr": 0.1, "eps": 0.1}),
        (AdamW, torch.optim.AdamW, {"lr": 0.0}, {"weight_decay": 0.5}),
    ],
)
def test_groups_equal_torch(rng, ours, theirs, first, second):
    values = start(rng)
    a, b, c = tensors = [skgrad.tensor(v, requires_grad=True) for v in values]
    d, e, f = expected = [torch.tensor(v, requires_grad=True) for v in values]
    optimizer = ours([{"params": [a], **first}, {"params": [b, c], **second}], lr=0.01)
    reference = theirs(
        [{"params": [d], **first}, {"params": [e, f], **second}], lr=0.01
    )
    descend(optimizer, tensors)
    descend(reference, expected)
    assert_equal(tensors, expected)
    for one in (optimizer, reference):
        for group in one.param_groups:  # the habit of a loop with a falling rate
            group["lr"] *= 0.1
    descend(optimizer, tensors)
    descend(reference, expected)
    assert_equal(tensors, expected)


def test_a_group_reads_what_it_does_not_hold_from_the_optimizer(rng):
    a, b, _ = tensors = [skgrad.tensor(v, requires_grad=True) for v in start(rng)]
    optimizer = SGD([{"params": [a]}, {"params": [b], "lr": 0.0}], lr=0.5)
    optimizer.lr = 0.25
    optimizer.set_params(momentum=0.5)
    first, second = optimizer.param_groups
    assert (first["lr"], second["lr"], second["momentum"]) == (0.25, 0.0, 0.5)
    with pytest.raises(KeyError):
        first["rate"]
    before = b.numpy().copy()
    descend(optimizer, tensors, 1)
    np.testing.assert_array_equal(b.numpy(), before)


def test_plain_parameters_are_one_group():
    w = skgrad.tensor([1.0], requires_grad=True)
    optimizer = SGD(iter([w]), lr=0.5)
    (group,) = optimizer.param_groups
    assert group["params"] == optimizer.params == [w]
    assert SGD().param_groups == []


def test_groups_may_come_from_any_iterables():
    layers = skgrad.nn.Linear(2, 3), skgrad.nn.Linear(3, 1)
    optimizer = Adam({"params": layer.parameters()} for layer in layers)
    assert len(optimizer.params) == 4
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 2]


def test_groups_are_pickled_with_their_optimizer(rng):
    tensors = [skgrad.tensor(v, requires_grad=True) for v in start(rng)]
    optimizer = Adam([{"params": tensors[:1], "b1": 0.5}, {"params": tensors[1:]}])
    descend(optimizer, tensors)
    others, copy = pickle.loads(pickle.dumps((tensors, optimizer)))
    descend(optimizer, tensors)
    descend(copy, others)
    assert_equal(tensors, others)
    copy.lr = 0.5
    assert copy.param_groups[0]["lr"] == 0.5
    assert optimizer.lr == 1e-3


def test_groups_of_a_wrapped_optimizer(rng):
    tensors = [skgrad.tensor(v, requires_grad=True) for v in start(rng)]
    inner = SGD([{"params": tensors[:1], "momentum": 0.5}, {"params": tensors[1:]}])
    other = [skgrad.tensor(w.numpy(), requires_grad=True) for w in tensors]
    plain = SGD([{"params": other[:1], "momentum": 0.5}, {"params": other[1:]}])
    descend(Averaged(inner), tensors)
    descend(plain, other)
    assert_equal(tensors, other)


# ------------------------------------------------------------------------- errors


def leaf():
    return skgrad.tensor([1.0], requires_grad=True)


def test_unknown_hyperparameter_of_a_group():
    with pytest.raises(ParameterError, match="'beta1' for Adam"):
        Adam([{"params": [leaf()], "beta1": 0.5}])


def test_hyperparameters_of_groups_are_checked():
    with pytest.raises(ParameterError, match="'b1' parameter of Adam"):
        Adam([{"params": [leaf()], "b1": 1.5}])
    optimizer = Adam([{"params": [leaf()]}])
    optimizer.param_groups[0]["lr"] = -1.0
    (optimizer.params[0] ** 2).sum().backward()
    with pytest.raises(ParameterError, match="'lr' parameter of Adam"):
        optimizer.step()


@pytest.mark.parametrize("groups", [[{"lr": 0.1}], [{"params": [leaf()]}, leaf()]])
def test_a_group_is_a_dict_with_parameters(groups):
    with pytest.raises(ParameterError, match="must be a dict with the key 'params'"):
        SGD(groups)


def test_a_group_alone_is_no_iterable_of_groups():
    with pytest.raises(ParameterError, match=r"or of groups, \[\{'params'.*Got a dict"):
        SGD({"params": [leaf()]})


def test_a_tensor_in_two_groups():
    w = leaf()
    with pytest.raises(ParameterError, match="holds a tensor twice"):
        SGD([{"params": [w]}, {"params": [w], "lr": 0.1}])
