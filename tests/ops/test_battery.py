"""Every primitive: values, layouts, dtypes, gradients, traces, from one table."""

import itertools

import mpmath
import numpy as np
import pytest
from cases import CASES, ELEMENTWISE, STRUCTURAL_ROWS, missing

import skgrad
from skgrad import ops
from skgrad.core.primitive import registered
from skgrad.core.tree import tree_leaves
from skgrad.core.value import box
from skgrad.executor import trace
from skgrad.testing import check_grads

DTYPES = ("float32", "float64")
SHAPES = ((), (0,), (1,), (7,), (2, 3), (2, 0, 3), (1, 1))
# Float64 results are within a few units in the last place; float32 ones likewise, and
# sums and products of a dozen of them.
RTOL = {"float32": 2e-6, "float64": 4e-15}

elementwise = pytest.mark.parametrize("name", ELEMENTWISE)
structural = pytest.mark.parametrize(
    ("name", "case"),
    [pytest.param(name, case, id=f"{name}-{i}") for name, i, case in STRUCTURAL_ROWS],
)
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def strided(x):
    """Return equal elements with gaps between them."""
    big = np.zeros([2 * n for n in x.shape], dtype=x.dtype)
    view = big[(..., *(slice(None, None, 2) for _ in x.shape))]
    view[...] = x
    return view


def backwards(x):
    """Return equal elements with negative strides."""
    every = (..., *(slice(None, None, -1) for _ in x.shape))
    return x[every].copy()[every]


def readonly(x):
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": strided,
    "reversed": backwards,
    "read-only": readonly,
}


def outputs_of(call, arrays):
    """Return what a call gives eagerly, having compared the trace with it."""
    kept = [a.copy() for a in arrays]
    # In a box, as `as_value` would copy an array and lose its layout.
    eager = [leaf.numpy() for leaf in tree_leaves(call(*map(box, arrays)))]
    program = trace(call, *arrays)
    for array, before in zip(arrays, kept, strict=True):
        np.testing.assert_array_equal(array, before)
    traced = tree_leaves(program(*arrays))
    for variable, e, t in zip(program.graph.outputs, eager, traced, strict=True):
        assert (variable.shape, variable.dtype) == (e.shape, e.dtype)
        assert (t.shape, t.dtype) == (e.shape, e.dtype)
        np.testing.assert_array_equal(t, e)
    for array, before in zip(arrays, kept, strict=True):
        np.testing.assert_array_equal(array, before)
    return eager


def assert_elementwise(name, arrays, dtype):
    case = ELEMENTWISE[name]
    (out,) = outputs_of(case.call, arrays)
    assert out.dtype == (case.out or dtype)
    expected = case.value(*arrays)
    assert out.shape == expected.shape
    np.testing.assert_allclose(out, expected, rtol=RTOL[dtype], atol=RTOL[dtype] / 4)


def test_every_primitive_has_a_row():
    assert missing() == set()


@elementwise
@dtypes
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_elementwise_values(name, dtype, shape, rng):
    assert_elementwise(name, ELEMENTWISE[name].args(rng, shape, dtype), dtype)


@elementwise
@dtypes
@pytest.mark.parametrize("layout", LAYOUTS)
def test_elementwise_layouts(name, dtype, layout, rng):
    args = ELEMENTWISE[name].args(rng, (3, 2), dtype)
    assert_elementwise(name, [LAYOUTS[layout](a) for a in args], dtype)


BROADCASTS = {
    1: [],
    2: [((3,), ()), ((2, 1), (3,)), ((), (0, 2)), ((2, 3), (1, 3)), ((1,), (2, 0))],
    3: [((3,), (), ()), ((2, 1), (3,), (1, 1)), ((), (3,), (2, 1)), ((1,), (), (0,))],
}


@elementwise
@dtypes
def test_elementwise_broadcasting(name, dtype, rng):
    case = ELEMENTWISE[name]
    for shapes in BROADCASTS[len(case.domains)]:
        args = [
            rng.uniform(*domain, size=shape).astype(dtype)
            for domain, shape in zip(case.domains, shapes, strict=True)
        ]
        assert_elementwise(name, args, dtype)


@elementwise
def test_elementwise_gradients(name, rng):
    case = ELEMENTWISE[name]
    n = len(case.domains)
    for shapes in [((3,),) * n, *BROADCASTS[n]]:
        args = [
            rng.uniform(*domain, size=shape)
            for domain, shape in zip(case.domains, shapes, strict=True)
        ]
        if case.differentiable:
            check_grads(case.call, args, order=2)
        assert_gradients(case.call, args, case.differentiable)


def assert_gradients(call, args, differentiable):
    """Check vjps: traced as eager, float32 as float64, None or zero as declared."""

    def pulled(*xs):
        value, pullback = skgrad.vjp(lambda *v: tree_leaves(call(*v)), *xs)
        return pullback([ops.add(ops.multiply(v, 0.0), 1.5) for v in value])

    if not differentiable:
        tensors = [skgrad.tensor(a, requires_grad=True) for a in args]
        assert not any(leaf.requires_grad for leaf in tree_leaves(call(*tensors)))
        return
    eager = [g.numpy() for g in pulled(*args)]
    for e, t, arg in zip(eager, trace(pulled, *args)(*args), args, strict=True):
        assert (e.shape, e.dtype) == (arg.shape, arg.dtype)
        np.testing.assert_array_equal(e, t)
    singles = [a.astype("float32") for a in args]
    doubles = [a.astype("float64") for a in singles]
    for s, d in zip(pulled(*singles), pulled(*doubles), strict=True):
        assert s.dtype == np.float32
        np.testing.assert_allclose(s.numpy(), d.numpy(), rtol=1e-5, atol=1e-5)


SMOOTH = [n for n, case in ELEMENTWISE.items() if case.differentiable and case.smooth]


@pytest.mark.parametrize("name", SMOOTH)
def test_elementwise_derivatives_to_twelve_digits(name, rng):
    case = ELEMENTWISE[name]
    n = len(case.domains)
    point = [float(rng.uniform(*domain)) for domain in case.domains]
    for i in range(n):
        first = skgrad.grad(case.call, argnums=i)
        order = [int(k == i) for k in range(n)]
        np.testing.assert_allclose(
            first(*point).item(), derivative(case, point, order), rtol=1e-12, atol=1e-14
        )
        for j in range(n):
            both = [int(k == i) + int(k == j) for k in range(n)]
            np.testing.assert_allclose(
                skgrad.grad(first, argnums=j)(*point).item(),
                derivative(case, point, both),
                rtol=1e-12,
                atol=1e-14,
            )


def derivative(case, point, order):
    exact = tuple(map(mpmath.mpf, point))
    if len(exact) == 1:
        return float(mpmath.diff(case.expected, exact[0], order[0]))
    return float(mpmath.diff(case.expected, exact, tuple(order)))


KINKS = [
    pytest.param(case.call, kink, id=f"{name}-{i}")
    for name, cases in CASES.items()
    for case in cases
    for i, kink in enumerate(case.kinks)
]


@pytest.mark.parametrize(("call", "kink"), KINKS)
@dtypes
def test_subgradients_at_kinks(call, kink, dtype):
    args = [np.asarray(a, dtype=dtype) for a in kink.args]
    found = skgrad.grad(call, argnums=tuple(range(len(args))))(*args)
    for g, expected in zip(found, kink.grads, strict=True):
        assert g.dtype == dtype
        np.testing.assert_allclose(g.numpy(), expected)


@structural
@dtypes
@pytest.mark.parametrize("layout", LAYOUTS)
def test_structural_values(name, case, dtype, layout, rng):
    args = [LAYOUTS[layout](a) for a in case.args(rng, dtype)]
    found = outputs_of(case.call, args)
    expected = case.expected(*args)
    expected = expected if isinstance(expected, list) else [expected]
    for f, e in zip(found, expected, strict=True):
        if f.dtype.kind == "f" and name != "astype":
            assert f.dtype == dtype
        assert f.shape == np.shape(e)
        np.testing.assert_allclose(f, e, rtol=RTOL[dtype] * 4, atol=RTOL[dtype])


@structural
def test_structural_gradients(name, case, rng):
    args = case.args(rng)
    if case.differentiable:
        check_grads(case.call, args, order=2)
    if name != "astype":
        assert_gradients(case.call, args, case.differentiable)


@structural
def test_a_leading_batch_axis_changes_no_parameter(name, case, rng):
    if case.batched is None:
        assert case.no_batch
        return
    args = case.args(rng)
    graph = trace(case.call, *args).graph
    equation = next(e for e in graph.equations if e.primitive.name == name)
    kernel = equation.primitive.kernel(
        skgrad.backend.get_backend("cpu"), equation.params
    )
    operands = []
    for variable in equation.inputs:
        if variable in graph.constants:
            operands.append(graph.constants[variable])
        else:
            operands.append(rng.standard_normal(variable.shape))
    batches = [
        np.stack([x, x + 1.0, x - 2.0]) if i in case.batched else x
        for i, x in enumerate(operands)
    ]
    together = np.asarray(kernel(*batches))
    for k in range(3):
        alone = kernel(
            *[b[k] if i in case.batched else b for i, b in enumerate(batches)]
        )
        np.testing.assert_allclose(together[k], alone, rtol=1e-13)


@pytest.mark.parametrize("name", registered())
def test_rules_see_no_leading_axis(name):
    """Axes in static parameters count from the end."""
    for case in CASES[name]:
        shapes = getattr(case, "shapes", ((2, 3),) * len(getattr(case, "domains", ())))
        graph = trace(case.call, *map(np.ones, shapes)).graph
        for equation in graph.equations:
            axes = [v for k, v in equation.params.items() if k in ("axis", "axes")]
            assert all(a < 0 for a in itertools.chain(*map(np.atleast_1d, axes)))
