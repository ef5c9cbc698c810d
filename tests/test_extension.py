"""Gradient rules and primitives of users: eager, traced, compiled, in estimators."""

import pickle
import subprocess
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest
import scipy.special
import torch
from user_ops import (
    Binary,
    clipped_gradient,
    clipped_loss,
    huber,
    huber_composed,
    huber_loss,
    log1mexp,
    softsign,
    softsign_composed,
    straight_through,
)

import skgrad
from skgrad import GradientLinearRegressor, MLPRegressor, ModuleRegressor
from skgrad.backend import get_backend
from skgrad.core.primitive import registered
from skgrad.exceptions import DTypeError, GradientError, ParameterError, ShapeError
from skgrad.executor import Traced, trace
from skgrad.testing import check_grads

ROOT = Path(__file__).parents[1]
X = np.random.default_rng(0).normal(size=(3, 4))


# --------------------------------------------------------------------- custom_vjp


def test_the_function_runs_and_the_rule_differentiates():
    x = skgrad.tensor(X, requires_grad=True)
    out = straight_through(x)
    np.testing.assert_array_equal(out.numpy(), np.sign(X))
    (out * X).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), X)
    assert not straight_through(X).requires_grad
    with skgrad.no_grad():
        assert not straight_through(x).requires_grad
    assert straight_through.__name__ == "straight_through"


def test_gradients_are_clipped_and_numbers_passed_on():
    def f(x):
        return (clipped_gradient(x, 0.3) ** 2).sum()

    np.testing.assert_allclose(
        skgrad.grad(f)(X).numpy(), np.clip(2 * X, -0.3, 0.3), rtol=1e-15
    )
    assert skgrad.grad(f)(X.astype(np.float32)).dtype == np.float32
    by_name = skgrad.grad(lambda x: clipped_gradient(bound=0.3, x=x).sum())(X)
    np.testing.assert_array_equal(by_name.numpy(), np.full_like(X, 0.3))


def test_a_stable_derivative_to_second_order():
    a = np.array([1e-30, 1e-5, 0.3, 0.693, 2.0, 40.0, 800.0])
    first = skgrad.grad(lambda a: log1mexp(a).sum())
    second = skgrad.grad(lambda a: first(a).sum())
    check_grads(log1mexp, [[0.3, 0.9, 2.0]])
    for found, expected in (
        (log1mexp(a), lambda a: mpmath.log(1 - mpmath.exp(-a))),
        (first(a), lambda a: 1 / mpmath.expm1(a)),
        (second(a[1:-1]), lambda a: -mpmath.exp(a) / mpmath.expm1(a) ** 2),
    ):
        points = a if found.size == a.size else a[1:-1]
        with mpmath.workdps(400):
            exact = [float(expected(mpmath.mpf(float(v)))) for v in points]
        np.testing.assert_allclose(found.numpy(), exact, rtol=1e-14)


class TorchCube(torch.autograd.Function):
    """x³ with the derivative 3 x² + 1, that of nothing."""

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x**3 * y

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return g * (3 * x**2 + 1) * y, g * x


@skgrad.custom_vjp(
    (lambda g, out, x, y: g * (3 * x**2 + 1) * y, lambda g, o, x, y: g * x)
)
def cube(x, y):
    return x**3 * y


def test_higher_orders_differentiate_the_rule_as_in_torch():
    x, y = (torch.tensor(v, requires_grad=True) for v in (X[0], X[1]))
    (first,) = torch.autograd.grad(TorchCube.apply(x, y).sum(), x, create_graph=True)
    second = torch.autograd.grad((first**2).sum(), (x, y))

    def squared_slope(x, y):
        slope = skgrad.grad(lambda x: cube(x, y).sum())(x)
        return (slope**2).sum()

    found = skgrad.grad(squared_slope, argnums=(0, 1))(X[0], X[1])
    for a, b in zip(found, second, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-13)
    # Forward mode transposes the rule.
    _, tangent = skgrad.jvp(cube, [X[0], X[1]], [X[2], X[1]])
    expected = (3 * X[0] ** 2 + 1) * X[1] * X[2] + X[0] * X[1]
    np.testing.assert_allclose(tangent.numpy(), expected, rtol=1e-13)


def norm_and_unit_vjp(g, out, x):
    (g_norm, g_unit), (norm, unit) = g, out
    return (g_norm * unit + (g_unit - unit * (unit * g_unit).sum()) / norm,)


@skgrad.custom_vjp(norm_and_unit_vjp)
def norm_and_unit(x):
    norm = skgrad.sqrt((x * x).sum())
    return norm, x / norm


@pytest.mark.parametrize("used", [(1, 0), (0, 1), (1, 1)])
def test_several_results(used):
    def composed(x):
        norm = skgrad.sqrt((x * x).sum())
        return used[0] * norm + used[1] * (x[0] / norm)

    def declared(x):
        norm, unit = norm_and_unit(x)
        return used[0] * norm + used[1] * unit[0]

    for order in (skgrad.grad, skgrad.hessian):
        np.testing.assert_allclose(
            order(declared)(X[0]).numpy(), order(composed)(X[0]).numpy(), atol=1e-14
        )


def test_in_a_trace_its_operations_are_fused_and_the_rule_differentiates():
    def f(x):
        return log1mexp(straight_through(x) + 2.0).sum()

    program = trace(skgrad.value_and_grad(f), X)
    names = {equation.primitive.name for equation in program.graph.equations}
    assert {"sign", "expm1"} <= names
    fast = program.on("cpu")
    assert ", 0 reference instructions." in fast.explain()
    for found, expected in zip(fast(X), skgrad.value_and_grad(f)(X), strict=True):
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-13)


def one_rule(g, out, x, y):
    return RULES["product"](g, x, y)


RULES = {}


@skgrad.custom_vjp(one_rule)
def product(x, y):
    return x * y


@pytest.mark.parametrize(
    ("rule", "error", "match"),
    [
        (
            lambda g, x, y: (g * y,),
            GradientError,
            r"rule of product must return a tuple of 2, .* Got 1",
        ),
        (lambda g, x, y: g * y, GradientError, "Got a tensor of float64"),
        (
            lambda g, x, y: (g * y, g * x),
            ShapeError,
            r"product returned for the argument 'y' a cotangent of shape \(3, 4\). "
            r"Expected that of the argument, \(4,\): sum it",
        ),
        (
            lambda g, x, y: ((g * y).to(dtype="float32"), None),
            DTypeError,
            "argument 'x' a cotangent of dtype float32. Expected .* float64",
        ),
    ],
)
def test_wrong_cotangents_are_refused(rule, error, match, monkeypatch):
    monkeypatch.setitem(RULES, "product", rule)
    with pytest.raises(error, match=match):
        skgrad.grad(lambda x: product(x, X[0]).sum())(X)


@pytest.mark.parametrize(
    ("y", "match"), [(2, "'y', a int, a cotangent"), (np.arange(4), "tensor of int64")]
)
def test_what_is_not_floating_has_no_cotangent(y, match, monkeypatch):
    monkeypatch.setitem(RULES, "product", lambda g, x, y: (g * y, g))
    with pytest.raises(GradientError, match=match):
        skgrad.grad(lambda x: product(x, y).sum())(X)


def test_tensors_the_rule_cannot_reach_are_refused():
    w = skgrad.tensor(2.0, requires_grad=True)

    @skgrad.custom_vjp(lambda g, out, x: (g,))
    def hidden(x):
        return w * x

    with pytest.raises(GradientError, match=r"hidden depends .* Make it an argument"):
        hidden(X)
    np.testing.assert_array_equal(
        skgrad.custom_vjp(lambda g, out, x: (g,))(lambda x: w.detach() * x)(X).numpy(),
        2 * X,
    )

    @skgrad.custom_vjp(lambda g, out, x: (g,))
    def no_tensor(x):
        return x.numpy()

    with pytest.raises(GradientError, match="no_tensor must return a tensor"):
        no_tensor(X)


@pytest.mark.parametrize(
    ("declare", "match"),
    [
        (lambda: skgrad.custom_vjp(np.sin)(skgrad.tensor(1.0)), "parentheses"),
        (lambda: skgrad.custom_vjp(lambda g, out: ())(cube), r"\(g, out, x, y\)"),
        (lambda: skgrad.custom_vjp((None,))(cube), "one gradient rule per argument"),
        (lambda: skgrad.custom_vjp(None)(cube), "needs a gradient rule"),
        (lambda: skgrad.custom_vjp(3)(cube), "is a function of .* Got a int"),
        (lambda: skgrad.custom_vjp(cube)(lambda *, x: x), r"\['x'\] .* by name only"),
    ],
)
def test_wrong_declarations_are_refused(declare, match):
    with pytest.raises(ParameterError, match=match):
        declare()


# -------------------------------------------------------------------- elementwise


def test_a_primitive_of_a_user_is_like_our_own():
    np.testing.assert_allclose(softsign(X).numpy(), X / (1 + abs(X)), rtol=1e-15)
    assert softsign(X.astype(np.float32)).dtype == np.float32
    check_grads(softsign, [X])
    check_grads(huber, [X[0], np.array(0.6)])
    np.testing.assert_allclose(
        huber(X, 0.6).numpy(), scipy.special.huber(0.6, X), rtol=1e-14
    )
    assert "Of the broadcast shape" in softsign.__doc__
    with pytest.raises(ShapeError, match="huber: shapes"):
        huber(X, X[:, :3])
    assert softsign.primitive.name not in registered()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_compiles_and_agrees_with_its_composition(dtype):
    def f(function, x):
        return function(x * 1.7).sum()

    x = X.astype(dtype)
    fast = trace(skgrad.grad(lambda x: f(softsign, x)), x).on("cpu")
    assert ", 0 reference instructions." in fast.explain()
    expected = skgrad.grad(lambda x: f(softsign_composed, x))(x).numpy()
    rtol = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(fast(x), expected, rtol=rtol)


def test_numbers_in_the_place_of_operands_stay_typed():
    # A literal would make the kernel take the exponential of a Python number.
    @skgrad.elementwise("exp({0}) * {1}", None)
    def scaled(x, y):
        pass

    program = trace(lambda y: scaled(1.0, y), X).on("cpu")
    np.testing.assert_allclose(program(X), np.e * X, rtol=1e-14)


def test_a_name_may_be_declared_again_and_may_be_that_of_our_own():
    def declare(factor):
        @skgrad.elementwise(f"{factor} * {{0}}", (lambda g, out, x: factor * g,))
        def add(x):
            pass

        return add

    double, triple = declare(2.0), declare(3.0)
    program = trace(lambda x: (double(x), triple(x), x + x), X)
    for found, expected in zip(program(X), (2 * X, 3 * X, 2 * X), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert skgrad.grad(triple)(1.0).item() == 3.0


def test_other_kinds():
    @skgrad.elementwise("{0} + 2 * {1}", None, kind="number")
    def weighted(x, y):
        pass

    @skgrad.elementwise("(absolute({0}) > one) & ~isnan({0})", None, out="bool")
    def outlying(x):
        pass

    assert weighted(np.arange(3), 1).numpy().tolist() == [2, 3, 4]
    assert outlying(X).dtype == bool
    np.testing.assert_array_equal(outlying(X).numpy(), abs(X) > 1)


def test_the_docstring_lists_what_an_expression_may_use():
    for names in get_backend("cpu").names.values():
        for name in names:
            assert f"{name}," in skgrad.elementwise.__doc__ or (
                f"{name}." in skgrad.elementwise.__doc__
            )


@pytest.mark.parametrize(
    ("vjp", "kwargs", "match"),
    [
        ((None, None), {}, "one gradient rule per argument"),
        ((lambda g, out: g,), {}, r"must take \(g, out, x\)"),
        (None, {"kind": "double"}, "'kind' parameter of elementwise"),
    ],
)
def test_wrong_rules_of_primitives_are_refused(vjp, kwargs, match):
    with pytest.raises(ParameterError, match=match):

        @skgrad.elementwise("-{0}", vjp, **kwargs)
        def mirrored(x):
            pass


@pytest.mark.parametrize(
    ("vjp", "match"),
    [
        (lambda g, out, x: g, "must return a tuple of 1, .* Got a tensor of float64"),
        ((lambda g, out, x: (g,),), "must return tensors or None. Got a tuple"),
    ],
)
def test_what_rules_of_primitives_return_is_checked(vjp, match):
    @skgrad.elementwise("{0} * {0}", vjp)
    def squared(x):
        pass

    with pytest.raises(GradientError, match=match):
        skgrad.grad(squared)(1.0)


NOTEBOOK = """
import pickle, sys
from joblib import wrap_non_picklable_objects
import skgrad

@skgrad.elementwise("{0} * {1}", lambda g, out, x, y: (g * y, g * x))
def scaled(x, y):
    pass

@skgrad.custom_vjp(lambda g, out, x: (3.0 * g,))
def thrice(x):
    return scaled(x, 2.0)

sys.stdout.buffer.write(pickle.dumps(wrap_non_picklable_objects(thrice)))
"""


def test_declarations_in_a_notebook_travel_to_other_processes():
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK], capture_output=True, check=True, cwd=ROOT
    )
    thrice = pickle.loads(done.stdout)
    value, slope = skgrad.value_and_grad(thrice)(5.0)
    assert (value.item(), slope.item()) == (10.0, 3.0)
    program = trace(skgrad.jacobian(thrice), 5.0)
    assert program(5.0).item() == 3.0


# ------------------------------------------------------------ inside of estimators


@pytest.fixture
def rows(rng):
    X = rng.normal(size=(60, 3))
    return X, X[:, 0] - abs(X[:, 1]) + rng.standard_t(2, size=60)


FAST = {"learning_rate": 0.02, "batch_size": 30, "max_iter": 5, "tol": None}
ESTIMATORS = {
    "primitive": (
        lambda loss: MLPRegressor(
            loss=loss, hidden_layer_sizes=(8,), random_state=0, **FAST
        ),
        (huber_loss, huber_composed),
    ),
    "module-and-rule": (
        lambda loss: ModuleRegressor(module=Binary, loss=loss, random_state=0, **FAST),
        (clipped_loss, huber_composed),  # of the same gradient
    ),
}


def plans_of(program):
    return list(program._executor._plans.values())


@pytest.mark.parametrize("name", ESTIMATORS)
def test_compiled_fits(name, rows, monkeypatch):
    X, y = rows
    make, losses = ESTIMATORS[name]
    fitted, programs = [], []
    made = Traced._made
    monkeypatch.setattr(
        Traced, "_made", lambda *args: programs.append(made(*args)) or programs[-1]
    )
    for loss, worth in zip(losses, (0.0, np.inf), strict=True):
        monkeypatch.setattr("skgrad.executor.work.WORTH_COMPILING", worth)
        fitted.append(make(loss).fit(X, y))
    own, other = fitted
    assert [program.executor for program in programs] == ["cpu", "reference"]
    assert [plan.calls for plan in plans_of(programs[0])] == [[]]  # no reference calls
    assert own.fit_report_["executor"] == "cpu"
    np.testing.assert_allclose(own.predict(X), other.predict(X), rtol=1e-9)
    copy = pickle.loads(pickle.dumps(own))
    np.testing.assert_array_equal(copy.predict(X), own.predict(X))


def test_in_a_linear_model(rows):
    fitted = [
        GradientLinearRegressor(loss=loss, optimizer="lbfgs", tol=1e-10).fit(*rows)
        for loss in (huber_loss, huber_composed)
    ]
    np.testing.assert_allclose(fitted[0].coef_, fitted[1].coef_, rtol=1e-6)
