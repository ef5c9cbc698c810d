"""Derivatives of functions, their compositions, and what they leave behind."""

import gc
import weakref

import numpy as np
import pytest
import torch

import skgrad
from skgrad import functional, ops
from skgrad.exceptions import GradientError, ParameterError, ShapeError
from skgrad.executor import trace

A = np.random.default_rng(1).standard_normal((4, 4))
X = np.random.default_rng(2).standard_normal(4)
V = np.random.default_rng(3).standard_normal(4)


def scalar(x):
    """Return a scalar with a dense Hessian."""
    return ops.sum(ops.tanh(A @ x) * ops.exp(x * 0.3)) + ops.prod(x)


def scalar_torch(x):
    a = torch.tensor(A)
    return torch.sum(torch.tanh(a @ x) * torch.exp(x * 0.3)) + torch.prod(x)


def vector(x):
    return ops.sin(A @ x) * x


def vector_torch(x):
    return torch.sin(torch.tensor(A) @ x) * x


def close(found, expected, rtol=1e-11):
    found = found.numpy() if isinstance(found, skgrad.Tensor) else found
    np.testing.assert_allclose(found, np.asarray(expected), rtol=rtol, atol=1e-12)


AF = torch.autograd.functional
XT, VT = torch.tensor(X), torch.tensor(V)


def test_against_torch():
    value, pullback = skgrad.vjp(vector, X)
    close(value, vector_torch(XT))
    close(pullback(V)[0], AF.vjp(vector_torch, XT, VT)[1])
    value, tangent = skgrad.jvp(vector, [X], [V])
    close(value, vector_torch(XT))
    close(tangent, AF.jvp(vector_torch, XT, VT)[1])
    close(skgrad.hvp(scalar, [X], [V]), AF.hvp(scalar_torch, XT, VT)[1])
    close(skgrad.hessian(scalar)(X), AF.hessian(scalar_torch, XT))
    value, slope = skgrad.value_and_grad(scalar)(X)
    close(value, scalar_torch(XT))
    close(slope, AF.jacobian(scalar_torch, XT))


# Results with fewer, as many and more elements than the arguments: rows or columns.
W = np.random.default_rng(4).standard_normal((3, 2))
JACOBIANS = {
    "rows": (lambda x: ops.sum(ops.sin(x), axis=0), lambda x: torch.sin(x).sum(0)),
    "square": (lambda x: ops.exp(x) * x, lambda x: torch.exp(x) * x),
    "columns": (
        lambda x: ops.expand_dims(x, 0) * ops.tanh(ops.reshape(x, (-1, 1, 1))),
        lambda x: x[None] * torch.tanh(x.reshape(-1, 1, 1)),
    ),
    "scalar": (lambda x: ops.sum(x**3), lambda x: torch.sum(x**3)),
}


@pytest.mark.parametrize("name", JACOBIANS)
def test_jacobian_against_torch(name):
    function, in_torch = JACOBIANS[name]
    found = skgrad.jacobian(function)
    close(found(W), AF.jacobian(in_torch, torch.tensor(W)))
    assert not found(W).requires_grad
    np.testing.assert_array_equal(trace(found, W)(W), found(W).numpy())

    # Differentiated once more, by either way of doing it.
    def total(x):
        return ops.sum(ops.square(found(x)))

    def total_torch(x):
        return (AF.jacobian(in_torch, x, create_graph=True) ** 2).sum()

    close(skgrad.grad(total)(W), AF.jacobian(total_torch, torch.tensor(W)))
    close(
        skgrad.jacobian(found)(W),
        AF.jacobian(
            lambda x: AF.jacobian(in_torch, x, create_graph=True), torch.tensor(W)
        ),
    )


def test_jacobian_with_respect_to_several_arguments_and_trees():
    def affine(params, x):
        return params["w"] @ x + params["b"]

    params = {"w": W, "b": np.zeros(3)}
    tree, by_x = skgrad.jacobian(affine, argnums=(0, 1))(params, V[:2])
    close(tree["w"], np.einsum("ik,j->ikj", np.eye(3), V[:2]))
    close(tree["b"], np.eye(3))
    close(by_x, W)
    found = skgrad.jacobian(lambda x, y: ops.sin(y))(V, W)  # x has no influence
    close(found, np.zeros((3, 2, 4)))
    wide = skgrad.jacobian(lambda x: ops.broadcast_to(skgrad.tensor(1.0), (9,)))(V)
    close(wide, np.zeros((9, 4)))
    with pytest.raises(ParameterError, match="argnums"):
        skgrad.jacobian(affine, argnums=2)(params, V)


@pytest.mark.parametrize("shape", [(0,), (2, 0), (1,), ()])
def test_jacobian_of_few_elements(shape):
    x = np.ones(shape)
    for function, factor in ((ops.square, 2.0), (lambda v: ops.sum(v * 3.0), 3.0)):
        found = skgrad.jacobian(function)(x)
        n = max(int(np.prod(found.shape)), 0)
        assert found.shape == function(x).shape + shape
        close(found.sum(), factor * min(n, x.size))
    assert skgrad.jacobian(ops.square)(x.astype(np.float32)).dtype == np.float32


def test_compositions():
    hessian = np.asarray(AF.hessian(scalar_torch, XT))
    slope = skgrad.grad(scalar)
    # grad of a directional derivative, jvp of a gradient, vjp of a gradient: all H v.
    close(skgrad.grad(lambda x: skgrad.jvp(scalar, [x], [V])[1])(X), hessian @ V)
    close(skgrad.jvp(slope, [X], [V])[1], hessian @ V)
    close(skgrad.vjp(slope, X)[1](V)[0], hessian @ V)
    close(skgrad.grad(lambda x: functional.dot(slope(x), V))(X), hessian @ V)
    twice = skgrad.jvp(lambda x: skgrad.jvp(scalar, [x], [V])[1], [X], [V])[1]
    close(twice, V @ hessian @ V)
    # Third derivatives: the gradient of vᵀHv.
    third = skgrad.grad(lambda x: functional.dot(skgrad.hvp(scalar, [x], [V]), V))(X)

    def quadratic(x):
        return VT @ AF.hessian(scalar_torch, x, create_graph=True) @ VT

    close(third, AF.jacobian(quadratic, XT), rtol=1e-9)
    close(
        skgrad.grad(lambda x: skgrad.hessian(scalar)(x).sum())(X).sum(),
        AF.jacobian(
            lambda x: AF.hessian(scalar_torch, x, create_graph=True).sum(), XT
        ).sum(),
        rtol=1e-9,
    )


@pytest.mark.parametrize("name", ["grad", "hvp", "hessian", "jvp", "vjp"])
def test_transforms_inside_traces(name):
    calls = {
        "grad": skgrad.grad(scalar),
        "hvp": lambda x: skgrad.hvp(scalar, [x], [V]),
        "hessian": skgrad.hessian(scalar),
        "jvp": lambda x: skgrad.jvp(vector, [x], [V])[1],
        "vjp": lambda x: skgrad.vjp(vector, x)[1](V)[0],
    }
    program = trace(calls[name], np.zeros(4))
    np.testing.assert_array_equal(program(X), calls[name](X).numpy())


def test_backward_inside_a_trace():
    def step(x):
        leaf = skgrad.Tensor(x._data)
        leaf.requires_grad = True
        scalar(leaf).backward()
        return leaf.grad

    close(trace(step, X)(X), AF.jacobian(scalar_torch, XT))


def test_trees_and_argnums():
    def f(params, scale, y):
        return ops.sum((params["w"] * scale + params["b"][0] - y) ** 2)

    params = {"w": np.array([1.0, 2.0]), "b": (np.array(0.5),)}
    y = np.array([0.0, 1.0])
    value, (tree, slope) = skgrad.value_and_grad(f, argnums=(0, 1))(params, 3.0, y)
    residual = np.array([3.5, 5.5])
    close(value, residual @ residual)
    assert set(tree) == {"w", "b"}
    assert isinstance(tree["b"], tuple)
    close(tree["w"], 6.0 * residual)
    close(tree["b"][0], 2.0 * residual.sum())
    close(slope, 2.0 * residual @ [1.0, 2.0])
    for bad in (3, -1, (0, 3)):
        with pytest.raises(ParameterError, match="argnums"):
            skgrad.grad(f, argnums=bad)(params, 3.0, y)


def test_aux_is_passed_through():
    def f(x):
        return ops.sum(x * x), {"doubled": x * 2.0, "note": "kept"}

    slope, aux = skgrad.grad(f, has_aux=True)(X)
    close(slope, 2 * X)
    close(aux["doubled"], 2 * X)
    assert aux["note"] == "kept"
    assert not aux["doubled"].requires_grad
    (value, _), slope = skgrad.value_and_grad(f, has_aux=True)(X)
    close(value, X @ X)


def test_unused_arguments_have_zero_gradients():
    found = skgrad.grad(lambda x, y: ops.sum(x), argnums=(0, 1))(X, np.ones((2, 1)))
    close(found[1], np.zeros((2, 1)))
    close(skgrad.jvp(lambda x: skgrad.tensor([1.0, 2.0]), [X], [V])[1], [0.0, 0.0])
    close(skgrad.hessian(ops.sum)(X), np.zeros((4, 4)))
    close(skgrad.hvp(ops.sum, [X], [V]), np.zeros(4))


def test_no_perturbation_confusion():
    # d/dx (x · d/dy (x + y)) = 1: Siskind and Pearlmutter (2005), section 2.
    def outer(x):
        return x * skgrad.grad(lambda y: x + y)(1.0)

    assert skgrad.grad(outer)(1.0).item() == 1.0

    def forward(x):
        return x * skgrad.jvp(lambda y: x + y, [1.0], [1.0])[1]

    assert skgrad.jvp(forward, [1.0], [1.0])[1].item() == 1.0
    # d/dx of x · d/dy (x² y³) at y = x: x · 3x² y² = 3x⁵, whose derivative is 15 x⁴.
    nested = skgrad.grad(lambda x: x * skgrad.grad(lambda y: x**2 * y**3)(x))
    np.testing.assert_allclose(nested(2.0).item(), 15 * 2.0**4)


def test_closures_over_tensors_with_gradients():
    w = skgrad.tensor(3.0, requires_grad=True)
    slope = skgrad.grad(lambda x: w * w * x**3)(2.0)
    assert slope.requires_grad
    slope.backward()
    assert w.grad.item() == 2 * 3.0 * 3 * 4.0
    with skgrad.no_grad():
        assert not skgrad.grad(lambda x: w * w * x**3)(2.0).requires_grad


def test_arguments_that_require_gradients_are_differentiable_too():
    x = skgrad.tensor(2.0, requires_grad=True)
    slope = skgrad.grad(lambda v: v**3)(x)
    slope.backward()
    assert x.grad.item() == 12.0


def test_results_have_no_history_of_their_own():
    for out in (
        skgrad.grad(scalar)(X),
        skgrad.hvp(scalar, [X], [V]),
        skgrad.hessian(scalar)(X),
        *skgrad.jvp(vector, [X], [V]),
        skgrad.vjp(vector, X)[0],
        *skgrad.vjp(vector, X)[1](V),
        *skgrad.value_and_grad(scalar)(X),
    ):
        assert not out.requires_grad


def test_gradient_descent_by_hand_does_not_grow():
    x = skgrad.tensor(X)
    seen = []
    gc.disable()
    try:
        for _ in range(20):
            slope = skgrad.grad(lambda v: ops.sum(v * v))(x)
            seen.append(weakref.ref(slope))
            x = x - 0.1 * slope
        del slope
        assert not any(ref() for ref in seen)
    finally:
        gc.enable()
    close(x, X * 0.8**20)


def test_a_function_recorded_under_no_grad_is_still_differentiated():
    with skgrad.no_grad():
        close(skgrad.grad(lambda x: ops.sum(x * x))(X), 2 * X)


def test_gradients_inside_the_function_are_independent():
    def f(x):
        leaf = skgrad.tensor(x.detach(), requires_grad=True)
        (leaf * leaf).sum().backward()
        return ops.sum(x * leaf.grad)

    close(skgrad.grad(f)(X), 2 * X)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda: skgrad.grad(vector)(X),
            GradientError,
            r"vector returned shape \(4,\)",
        ),
        (lambda: skgrad.grad(lambda x: 1.0)(X), GradientError, "float"),
        (lambda: skgrad.grad(scalar)(np.arange(4)), GradientError, "int64"),
        (lambda: skgrad.vjp(vector, X)[1](np.ones(3)), ShapeError, r"\(3,\)"),
        (lambda: skgrad.jvp(vector, [X], [np.ones(3)]), ShapeError, r"\(3,\)"),
        (lambda: skgrad.jvp(vector, [X], []), ShapeError, "one tangent per primal"),
        (lambda: skgrad.hvp(scalar, [X], [np.ones(3)]), ShapeError, r"\(3,\)"),
        (lambda: skgrad.jacobian(np.sin)(np.arange(4)), GradientError, "int64"),
        (lambda: skgrad.jacobian(lambda x: x > 0)(X), GradientError, "dtype bool"),
        (lambda: skgrad.jacobian(lambda x: [x])(X), GradientError, "returned list"),
    ],
)
def test_errors(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_float32_stays_float32():
    x = X.astype(np.float32)
    assert skgrad.grad(lambda v: ops.sum(v * v))(x).dtype == np.float32
    assert skgrad.hessian(lambda v: ops.sum(v * v))(x).dtype == np.float32
    value, tangent = skgrad.jvp(lambda v: v * v, [x], [x])
    assert value.dtype == tangent.dtype == np.float32


def test_pullbacks_may_be_called_again():
    _, pullback = skgrad.vjp(vector, X)
    close(pullback(V)[0], pullback(V)[0].numpy())
