"""Values and all gradients against PyTorch, in float64 and where we say the same."""

import numpy as np
import pytest
import torch

import skgrad
from skgrad import functional, ops

NN = torch.nn.functional
RTOL = 1e-12

PICKS = np.array([[2, 0, 1], [0, 0, 2]])
TIES = [1.0, 3.0, 3.0, -1.0, 3.0]

# (ours, PyTorch's, shapes of the arguments or the arguments themselves)
TABLE = {
    "arithmetic": (
        lambda x, y: (x + y) * x - y / (x * x + 1.0) + 2.0**y,
        lambda x, y: (x + y) * x - y / (x * x + 1.0) + 2.0**y,
        [(3, 4), (4,)],
    ),
    "broadcast both ways": (lambda x, y: x * y, lambda x, y: x * y, [(3, 1), (1, 4)]),
    "power": (lambda x, y: abs(x) ** y, lambda x, y: abs(x) ** y, [(5,), (5,)]),
    "integer power": (lambda x: x**3, lambda x: x**3, [(5,)]),
    "tanh": (ops.tanh, torch.tanh, [(5,)]),
    "sigmoid": (ops.sigmoid, torch.sigmoid, [(5,)]),
    "softplus": (ops.softplus, NN.softplus, [(5,)]),
    "erf": (ops.erf, torch.erf, [(5,)]),
    "sin": (ops.sin, torch.sin, [(5,)]),
    "cos": (ops.cos, torch.cos, [(5,)]),
    "exp": (ops.exp, torch.exp, [(5,)]),
    "expm1": (ops.expm1, torch.expm1, [(5,)]),
    "log": (lambda x: ops.log(abs(x)), lambda x: torch.log(abs(x)), [(5,)]),
    "log1p": (lambda x: ops.log1p(x * x), lambda x: torch.log1p(x * x), [(5,)]),
    "sqrt": (lambda x: ops.sqrt(abs(x)), lambda x: torch.sqrt(abs(x)), [(5,)]),
    "absolute at its kink": (abs, abs, [[-2.0, 0.0, 3.0]]),
    "maximum with ties": (
        ops.maximum,
        torch.maximum,
        [TIES, [1.0, 2.0, 3.0, -1.0, 4.0]],
    ),
    "minimum with ties": (
        ops.minimum,
        torch.minimum,
        [TIES, [1.0, 2.0, 3.0, -1.0, 4.0]],
    ),
    "clip at its bounds": (
        lambda x: ops.clip(x, -1.0, 3.0),
        lambda x: torch.clamp(x, -1.0, 3.0),
        [[-2.0, -1.0, 0.0, 3.0, 4.0]],
    ),
    "amax with ties": (lambda x: ops.max(x, -1), lambda x: torch.amax(x, -1), [[TIES]]),
    "amin with ties": (ops.min, torch.amin, [[TIES]]),
    "where": (
        lambda x, y: ops.where(x > y, x * y, y),
        lambda x, y: torch.where(x > y, x * y, y),
        [(3, 4), (4,)],
    ),
    "sum": (lambda x: x.sum((0, 2)), lambda x: x.sum((0, 2)), [(2, 3, 4)]),
    "mean": (lambda x: functional.mean(x, 1), lambda x: x.mean(1), [(2, 3, 4)]),
    "var": (lambda x: functional.var(x, 1, ddof=1), lambda x: x.var(1), [(2, 3, 4)]),
    "std": (functional.std, lambda x: x.std(correction=0), [(2, 3)]),
    "prod": (lambda x: x.prod(1), lambda x: x.prod(1), [(2, 3, 4)]),
    "prod with zeros": (ops.prod, torch.prod, [[2.0, 0.0, 3.0]]),
    "cumsum": (lambda x: x.cumsum(1), lambda x: x.cumsum(1), [(2, 3, 4)]),
    "norm": (functional.norm, torch.linalg.norm, [(5,)]),
    "norm at zero": (functional.norm, torch.linalg.norm, [[0.0, 0.0]]),
    "matmul": (ops.matmul, torch.matmul, [(5, 2, 3), (3, 4)]),
    "matmul of batches": (ops.matmul, torch.matmul, [(2, 1, 2, 3), (4, 3, 2)]),
    "matrix by vector": (ops.matmul, torch.matmul, [(2, 3), (3,)]),
    "vector by matrix": (ops.matmul, torch.matmul, [(3,), (3, 2)]),
    "logsumexp": (
        lambda x: functional.logsumexp(x, 1),
        lambda x: torch.logsumexp(x, 1),
        [(2, 3, 4)],
    ),
    "logsumexp of all": (
        lambda x: functional.logsumexp(10.0 * x),
        lambda x: torch.logsumexp(10.0 * x, (0, 1)),
        [(2, 3)],
    ),
    "softmax": (functional.softmax, lambda x: torch.softmax(x, -1), [(2, 5)]),
    "log_softmax": (
        lambda x: functional.log_softmax(x, 0),
        lambda x: torch.log_softmax(x, 0),
        [(2, 5)],
    ),
    "log_sigmoid": (
        functional.log_sigmoid,
        NN.logsigmoid,
        [[-800.0, -1.0, 0.0, 2.0, 800.0]],
    ),
    "relu at its kink": (functional.relu, torch.relu, [[-1.0, 0.0, 2.0]]),
    "silu": (functional.silu, NN.silu, [(5,)]),
    "gelu": (functional.gelu, NN.gelu, [(5,)]),
    "gelu, tanh": (
        lambda x: functional.gelu(x, "tanh"),
        lambda x: NN.gelu(x, approximate="tanh"),
        [(5,)],
    ),
    "shapes": (
        lambda x: x.reshape(3, 8).T.transpose(1, 0)[:, 1:-1].reshape(-1),
        lambda x: x.reshape(3, 8).T.permute(1, 0)[:, 1:-1].reshape(-1),
        [(2, 3, 4)],
    ),
    "concatenate": (
        lambda x, y: ops.concatenate([x, y, x], 1),
        lambda x, y: torch.cat([x, y, x], 1),
        [(2, 3), (2, 1)],
    ),
    "stack": (
        lambda x, y: functional.stack([x, y], 1),
        lambda x, y: torch.stack([x, y], 1),
        [(2, 3), (2, 3)],
    ),
    "pad": (
        lambda x: ops.pad(x, [(1, 0), (2, 3)]),
        lambda x: NN.pad(x, (2, 3, 1, 0)),
        [(2, 3)],
    ),
    "take": (
        lambda x: ops.take(x, [1, 1, 0]),
        lambda x: torch.index_select(x, 0, torch.tensor([1, 1, 0])),
        [(2, 3)],
    ),
    "take_along_axis": (
        lambda x: functional.take_along_axis(x, PICKS, 0),
        lambda x: torch.gather(x, 0, torch.tensor(PICKS)),
        [(3, 3)],
    ),
    "scatter_add": (
        lambda x: ops.scatter_add(x, [1, 1, 0], size=2),
        lambda x: torch.zeros(2, 4, dtype=x.dtype).index_add(
            0, torch.tensor([1, 1, 0]), x
        ),
        [(3, 4)],
    ),
    "sort": (lambda x: functional.sort(x, 0), lambda x: torch.sort(x, 0)[0], [(5, 2)]),
    "index arrays": (
        lambda x: x[[0, 2, 0], [1, 1, 1]],
        lambda x: x[[0, 2, 0], [1, 1, 1]],
        [(3, 2)],
    ),
    "fan out and in": (
        lambda x: (x * x + x) * (x * x) + x,
        lambda x: (x * x + x) * (x * x) + x,
        [(4,)],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_values_gradients_and_second_derivatives(name, rng):
    ours, theirs, given = TABLE[name]
    arrays = [
        rng.standard_normal(a) if isinstance(a, tuple) else np.array(a) for a in given
    ]
    xs = [skgrad.tensor(a, requires_grad=True) for a in arrays]
    us = [torch.tensor(a, requires_grad=True) for a in arrays]
    out, expected = ours(*xs), theirs(*us)
    assert out.shape == tuple(expected.shape)
    np.testing.assert_allclose(out.numpy(), expected.detach(), rtol=RTOL, atol=RTOL)
    weights = rng.standard_normal(out.shape)
    (out * weights).sum().backward()
    cotangent = torch.tensor(weights)
    grads = torch.autograd.grad((expected * cotangent).sum(), us, create_graph=True)
    for x, g in zip(xs, grads, strict=True):
        np.testing.assert_allclose(x.grad.numpy(), g.detach(), rtol=RTOL, atol=RTOL)
    if "ties" in name or "at" in name.split() or "zero" in name:
        return  # second derivatives at kinks are nobody's convention
    directions = [rng.standard_normal(a.shape) for a in arrays]
    slope = sum(
        (g * torch.tensor(d)).sum() for g, d in zip(grads, directions, strict=True)
    )
    second = (
        torch.autograd.grad(slope, us, allow_unused=True)
        if slope.requires_grad
        else [None] * len(us)
    )

    def inner(*v):
        gs = skgrad.grad(lambda *w: (ours(*w) * weights).sum(), tuple(range(len(v))))(
            *v
        )
        return sum((g * d).sum() for g, d in zip(gs, directions, strict=True))

    found = skgrad.grad(inner, tuple(range(len(arrays))))(*arrays)
    for f, s in zip(found, second, strict=True):
        expected = np.zeros(f.shape) if s is None else s.detach().numpy()
        np.testing.assert_allclose(f.numpy(), expected, rtol=1e-11, atol=1e-11)
