"""SciPy's minimize with derived derivatives: against SciPy with written ones."""

import itertools
import re
import subprocess
import sys

import numpy as np
import pytest
from optimize.problems import HOCK_SCHITTKOWSKI, rosenbrock
from scipy import optimize
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint

import skgrad
from skgrad.exceptions import DTypeError, GradientError, ParameterError, ShapeError
from skgrad.executor import Traced
from skgrad.optimize.functions import Constraint
from skgrad.optimize.layout import Layout
from skgrad.optimize.minimize import METHODS

# From some starts a rounding error more or less in rosen_der changes the path of CG or
# TNC; from this one it does not.
START = [1.3, 0.7, 0.8, 1.9, 1.2]
WRITTEN = {"jac": optimize.rosen_der}
PRODUCTS = {**WRITTEN, "hessp": optimize.rosen_hess_prod}
HESSIANS = {**WRITTEN, "hess": optimize.rosen_hess}

# Each method of SciPy with the derivatives it uses, by SciPy's own documentation.
ROWS = {
    "nelder-mead": {},
    "powell": {},
    "cobyla": {},
    "cobyqa": {},
    "cg": WRITTEN,
    "bfgs": WRITTEN,
    "l-bfgs-b": WRITTEN,
    "tnc": WRITTEN,
    "slsqp": WRITTEN,
    "newton-cg": PRODUCTS,
    "trust-ncg": PRODUCTS,
    "trust-krylov": PRODUCTS,
    "trust-constr": PRODUCTS,
    "dogleg": HESSIANS,
    "trust-exact": HESSIANS,
}
METHOD = pytest.mark.parametrize("method", ROWS)


def test_every_method_has_a_row():
    assert set(ROWS) == set(METHODS)


# ------------------------------------------------------------------- against SciPy


@METHOD
def test_evaluations_are_those_of_scipy_with_written_derivatives(method):
    # The dogleg needs a positive definite Hessian all the way.
    x0 = [0.9, 0.9, 0.8] if method == "dogleg" else START
    found = skgrad.minimize(rosenbrock, x0, method)
    expected = optimize.minimize(optimize.rosen, x0, method=method, **ROWS[method])
    np.testing.assert_allclose(found.x, expected.x, atol=1e-5)
    for count in ("nfev", "njev", "nhev", "nit"):
        assert found.get(count) == expected.get(count)
    assert found.success == expected.success
    assert found.message == expected.message


CONSTRAINED = ["SLSQP", "trust-constr", "COBYQA"]
HARD = {(26, "COBYQA")}  # takes seconds


@pytest.mark.parametrize(
    ("number", "method"),
    [
        pytest.param(*row, marks=pytest.mark.long if row in HARD else ())
        for row in itertools.product(HOCK_SCHITTKOWSKI, CONSTRAINED)
    ],
)
def test_problems_of_hock_and_schittkowski(number, method):
    problem = dict(HOCK_SCHITTKOWSKI[number])
    x, value = problem.pop("minimum")
    tol = {"SLSQP": 1e-12, "COBYQA": 1e-8, "trust-constr": 1e-10}[method]
    found = skgrad.minimize(**problem, method=method, tol=tol)
    # SciPy's trust-constr ends with a barrier, with written derivatives too, and COBYQA
    # (without derivatives) where the rounding of the processor leads it.
    atol = {"SLSQP": 1e-6, "COBYQA": 1e-3, "trust-constr": 2e-5}[method]
    np.testing.assert_allclose(found.fun, value, atol=atol)
    if x is not None:
        np.testing.assert_allclose(found.x, x, atol=100 * atol)


def test_iterations_with_constraints_are_those_of_written_derivatives():
    """Number 71, all derivatives of first and second order by hand."""
    problem = HOCK_SCHITTKOWSKI[71]

    def hessian(x):
        H = np.zeros((4, 4))
        H[0] = [x[3], x[3], x[3], 2 * x[0] + x[1] + x[2]]
        H[1:3, 3] = x[0]
        return H + H.T

    def hessian_of_product(x, v):
        outer = np.prod(x) / np.outer(x, x)
        return v[0] * (outer - np.diag(np.diag(outer)))

    written = [
        NonlinearConstraint(
            lambda x: np.prod(x) - 25,
            0,
            np.inf,
            jac=lambda x: (np.prod(x) / x)[np.newaxis],
            hess=hessian_of_product,
        ),
        NonlinearConstraint(
            lambda x: x @ x - 40,
            0,
            0,
            jac=lambda x: 2 * x[np.newaxis],
            hess=lambda x, v: 2 * v[0] * np.eye(4),
        ),
    ]
    expected = optimize.minimize(
        lambda x: x[0] * x[3] * x[:3].sum() + x[2],
        problem["x0"],
        jac=lambda x: (
            x[3] * np.array([x[:3].sum() + x[0], x[0], x[0], 0])
            + [0, 0, 1, x[0] * x[:3].sum()]
        ),
        hess=hessian,
        method="trust-constr",
        bounds=problem["bounds"],
        constraints=written,
    )
    given = {k: v for k, v in problem.items() if k != "minimum"}
    found = skgrad.minimize(**given, method="trust-constr")
    assert (found.nit, found.nfev) == (expected.nit, expected.nfev)
    np.testing.assert_allclose(found.x, expected.x, rtol=1e-8)


def test_optimum_in_the_documentation_of_optim_of_r():
    """The box-constrained example of R's ?optim, in 25 dimensions: 368.1059."""

    def flb(x):
        before = skgrad.concatenate([[1.0], x[:-1]])
        weights = np.where(np.arange(25) == 0, 1.0, 4.0)
        return (weights * (x - before**2) ** 2).sum()

    found = skgrad.minimize(flb, np.full(25, 3.0), bounds=[(2, 4)] * 25)
    np.testing.assert_allclose(found.fun, 368.105912874334, rtol=1e-9)
    np.testing.assert_allclose(found.x[[0, 22, 23, 24]], [2, 2, 2.109093, 4], atol=1e-4)


def test_methods_by_default():
    constraint = {"type": "ineq", "fun": lambda x: 6.0 - (x**2).sum()}
    for given, method in [
        ({}, "BFGS"),
        ({"bounds": [(-2, 2)] * 5}, "L-BFGS-B"),
        ({"constraints": constraint}, "SLSQP"),
        ({"constraints": [constraint], "bounds": Bounds(-2, 2)}, "SLSQP"),
    ]:
        found = skgrad.minimize(rosenbrock, START, **given)
        expected = skgrad.minimize(rosenbrock, START, method, **given)
        np.testing.assert_array_equal(found.x, expected.x)
        assert found.nfev == expected.nfev


def test_tol_and_options_are_passed_on():
    few = skgrad.minimize(rosenbrock, START, "CG", options={"maxiter": 2})
    assert few.nit == 2
    tight = skgrad.minimize(rosenbrock, START, "CG", tol=1e-10)
    assert np.abs(optimize.rosen_der(tight.x)).max() <= 1e-10


# -------------------------------------------------------------------- constraints


def circle(x):
    return (x**2).sum()


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr", "COBYLA", "COBYQA"])
@pytest.mark.parametrize(
    "constraint",
    [
        {"type": "eq", "fun": lambda x: circle(x) - 1.0},
        {"type": "eq", "fun": lambda x, r: circle(x) - r, "args": (1.0,)},
        NonlinearConstraint(circle, 1.0, 1.0),
        [{"type": "ineq", "fun": lambda x: 1.0 - circle(x)}],
        (NonlinearConstraint(circle, -np.inf, 1.0),),
        LinearConstraint([[3.0, 4.0]], -np.inf, 5.0),  # the tangent there
    ],
)
def test_the_closest_point_of_a_circle(method, constraint):
    def distance(x):
        return ((x - np.array([3.0, 4.0])) ** 2).sum()

    given = {"constraints": constraint, "tol": 1e-7}
    found = skgrad.minimize(distance, [0.5, 0.5], method, **given)
    atol = 5e-4 if method == "trust-constr" else 5e-5
    np.testing.assert_allclose(found.x, [0.6, 0.8], atol=atol)


@pytest.mark.parametrize("m", [1, 2, 5])
def test_derivatives_of_constraints(rng, m):
    A, x = rng.normal(size=(m, 3)), rng.normal(size=3)

    def fun(x):
        return skgrad.sin(A @ x) * x[0]

    constraint = Constraint(fun, Layout(x))
    sines, cosines = np.sin(A @ x), np.cos(A @ x)
    jacobian = cosines[:, np.newaxis] * A * x[0]
    jacobian[:, 0] += sines
    np.testing.assert_allclose(constraint.value(x), sines * x[0], rtol=1e-14)
    np.testing.assert_allclose(constraint.jac(x), jacobian, rtol=1e-13)
    u, v = rng.normal(size=m), rng.normal(size=3)
    H = -x[0] * (A.T * (u * sines)) @ A
    H[0] += (u * cosines) @ A
    H[:, 0] += (u * cosines) @ A
    np.testing.assert_allclose(constraint.hess(x, u) @ v, H @ v, rtol=1e-12)


def test_fixed_variables_and_intervals():
    constraint = NonlinearConstraint(lambda x: x[0] * x[1], [1.0], [4.0])
    found = skgrad.minimize(
        circle,
        [1.0, 1.0, 5.0],
        bounds=[(None, None)] * 2 + [(5, 5)],
        constraints=constraint,
    )
    np.testing.assert_allclose(found.x, [1, 1, 5], atol=1e-6)


# ------------------------------------------------------------------ forms of x0


def test_x0_of_any_shape(rng):
    target = rng.normal(size=(2, 3))

    def distance(x):
        assert x.shape == (2, 3)
        return ((x - target) ** 4).sum() + ((x - target) ** 2).sum()

    for method in ("BFGS", "trust-constr", "trust-exact", "Powell"):
        found = skgrad.minimize(distance, np.zeros((2, 3)), method)
        np.testing.assert_allclose(found.x, target, atol=1e-3)
        gradient = found.get("grad", found.get("jac"))
        assert gradient is None or np.shape(gradient) == (2, 3)
    bounds = Bounds(np.full((2, 3), -0.1), 0.1)
    found = skgrad.minimize(distance, np.zeros((2, 3)), bounds=bounds)
    np.testing.assert_allclose(found.x, target.clip(-0.1, 0.1), atol=1e-6)


def test_x0_that_is_a_dict(rng):
    X = rng.normal(size=(50, 3))
    y = X @ [1.0, -2.0, 0.5] + 3.0

    def loss(params):
        error = X @ params["linear"]["w"] + params["b"] - y
        return (error**2).mean()

    seen = []
    x0 = {"linear": {"w": [0.0, 0.0, 0.0]}, "b": 0}
    found = skgrad.minimize(loss, x0, callback=seen.append)
    np.testing.assert_allclose(found.x["linear"]["w"], [1, -2, 0.5], atol=1e-5)
    np.testing.assert_allclose(found.x["b"], 3.0, atol=1e-5)
    assert found.x["b"].shape == found.jac["b"].shape == ()
    assert set(seen[0]) == {"linear", "b"}
    assert len(seen) == found.nit
    low = [(None, 2.5), (None, None), (None, None), (None, None)]  # the leaf "b" first
    assert skgrad.minimize(loss, x0, bounds=low).x["b"] == 2.5


def test_a_single_number():
    found = skgrad.minimize(lambda x: (x - 2.0) ** 2 + 1.0, 0)
    assert found.x.shape == ()
    np.testing.assert_allclose(found.x, 2.0, rtol=1e-6)


def test_x0_that_is_a_tensor():
    x0 = skgrad.tensor([3.0, 2.0], requires_grad=True)
    found = skgrad.minimize(circle, x0)
    np.testing.assert_allclose(found.x, 0.0, atol=1e-6)
    assert x0.numpy().tolist() == [3.0, 2.0]


def test_further_arguments_are_passed_on_as_they_are():
    def fun(x, target, power):
        return ((x - target) ** power).sum()

    found = skgrad.minimize(fun, [0.0, 0.0], args=(np.array([1.0, 2.0]), 2))
    np.testing.assert_allclose(found.x, [1, 2], rtol=1e-6)
    found = skgrad.minimize(lambda x, a: (x - a) ** 2, 0.0, args=3.0)
    np.testing.assert_allclose(found.x, 3, rtol=1e-6)


# --------------------------------------------------------------------- callbacks


@METHOD
def test_callbacks_see_the_form_of_x0(method):
    seen = []
    x0 = np.array([[0.9, 0.8]])

    def by_point(x, *state):
        seen.append(x)

    found = skgrad.minimize(lambda x: rosenbrock(x[0]), x0, method, callback=by_point)
    assert {x.shape for x in seen} == {(1, 2)}
    assert found.x.shape == (1, 2)
    if method == "tnc":
        return
    results = []

    def by_result(intermediate_result):
        results.append(intermediate_result.x)

    skgrad.minimize(lambda x: rosenbrock(x[0]), x0, method, callback=by_result)
    np.testing.assert_array_equal(results, seen)


def test_a_callback_may_stop():
    def callback(x):
        raise StopIteration

    found = skgrad.minimize(rosenbrock, START, callback=callback)
    assert found.nit == 1
    assert not found.success


# ---------------------------------------------------------------------- execution


def test_functions_are_called_once_however_often_they_are_evaluated():
    calls = []

    def counted(x):
        calls.append("fun")
        return rosenbrock(x)

    def bound(x):
        calls.append("constraint")
        return x[0] + x[1]

    skgrad.minimize(
        counted, START, "trust-constr", constraints=NonlinearConstraint(bound, -9, 9)
    )
    # Value and gradient, products; value, rows of the Jacobian, products.
    assert calls.count("fun") == 2
    assert calls.count("constraint") == 3


def test_compiled_programs_lead_to_the_same_minimum(monkeypatch):
    problem = {k: v for k, v in HOCK_SCHITTKOWSKI[6].items() if k != "minimum"}
    made = []
    unwatched = Traced.program

    def watched(self, *args):
        made.append(unwatched(self, *args))
        return made[-1]

    monkeypatch.setattr(Traced, "program", watched)
    found = []
    for worth in (np.inf, 0.0):
        monkeypatch.setattr("skgrad.executor.work.WORTH_COMPILING", worth)
        found.append(skgrad.minimize(**problem, method="SLSQP"))
    assert [p.executor for p in made] == ["reference"] * 3 + ["cpu"] * 3
    explained = [p.explain() for p in made[3:]]
    assert all(re.search(r"\b0 reference instructions", text) for text in explained)
    assert found[0].nit == found[1].nit
    np.testing.assert_allclose(found[0].x, found[1].x, rtol=1e-8)


def test_control_flow_on_values_runs_eagerly_with_a_warning():
    def huber(x):
        total = 0.0
        for i in range(2):
            e = x[i] - 3.0
            total = total + (0.5 * e**2 if abs(float(e)) < 1 else abs(e) - 0.5)
        return total

    with pytest.warns(RuntimeWarning, match=r"huber cannot be traced .* in huber"):
        found = skgrad.minimize(huber, [0.0, 9.0])
    np.testing.assert_allclose(found.x, 3.0, rtol=1e-6)


# ------------------------------------------------------------------------- errors


@METHOD
@pytest.mark.parametrize("what", ["bounds", "constraints"])
def test_nothing_is_ignored(method, what):
    given = {
        "bounds": [(-9, 9)] * 2,
        "constraints": {"type": "ineq", "fun": lambda x: 9.0 - x[0]},
    }
    if what in METHODS[method].takes:
        assert len(skgrad.minimize(circle, [1.0, 1.0], method, **{what: given[what]}).x)
        return
    with pytest.raises(ParameterError, match=rf"takes no {what}. Use one of .*'SLSQP'"):
        skgrad.minimize(circle, [1.0, 1.0], method, **{what: given[what]})


def test_unknown_methods():
    with pytest.raises(ParameterError, match=r"Known are .* Did you mean 'bfgs'"):
        skgrad.minimize(circle, [1.0], "BFSG")
    with pytest.raises(ParameterError, match="Unknown method 3"):
        skgrad.minimize(circle, [1.0], 3)


@pytest.mark.parametrize("method", [None, "Nelder-Mead"])
@pytest.mark.parametrize(
    ("fun", "error", "message"),
    [
        (lambda x: x**2, ShapeError, r"scalar. Got a tensor of shape \(2,\): reduce"),
        (lambda x: 3.0, GradientError, "must return a tensor .* Got a float"),
        (lambda x: [x[0], x[1]], GradientError, "Got a list"),
        (lambda x: skgrad.log(x - 1.0).sum(), ParameterError, "value .* finite at x0"),
        (
            lambda x: skgrad.astype(x, "float32").sum(),
            DTypeError,
            "Got float32 of shape",
        ),
    ],
)
def test_what_a_function_must_return(method, fun, error, message):
    with pytest.raises(error, match=message):
        skgrad.minimize(fun, [0.5, 0.5], method)


def test_a_numpy_array_instead_of_a_tensor():
    def detached(x):
        return np.linalg.norm(np.asarray(x))

    with (
        pytest.warns(RuntimeWarning, match="detached cannot be traced"),
        pytest.raises(
            GradientError, match=r"detached must return a tensor.*np.asarray"
        ),
    ):
        skgrad.minimize(detached, [1.0, 2.0])


def test_a_gradient_that_is_not_finite():
    def fun(x):
        return skgrad.sqrt(x).sum()

    with pytest.raises(ParameterError, match="The gradient of fun must be finite"):
        skgrad.minimize(fun, [0.0, 1.0])


@pytest.mark.parametrize(
    ("x0", "error", "message"),
    [
        (np.ones(2, np.float32), DTypeError, r"Got x0 of dtype float32 .*astype"),
        (np.ones(2, complex), DTypeError, "complex128"),
        ([[1.0, 2.0], [3.0]], ShapeError, "an array, or a dict of arrays"),
        ([np.nan], ParameterError, "x0 must be finite"),
        ([], ParameterError, "x0 is empty"),
        ({}, ParameterError, "x0 is empty"),
    ],
)
def test_starts_that_are_refused(x0, error, message):
    with pytest.raises(error, match=message):
        skgrad.minimize(circle, x0)


@pytest.mark.parametrize(
    ("bounds", "error", "message"),
    [
        ([(0, 1)], ParameterError, "one .* pair per parameter, 2 in all. Got 1"),
        ([(1, 0), (0, 1)], ParameterError, "lower bound must be <="),
        (Bounds(np.zeros(3), 1), ShapeError, r"Got shape \(3,\)"),
    ],
)
def test_bounds_that_do_not_fit(bounds, error, message):
    with pytest.raises(error, match=message):
        skgrad.minimize(circle, [0.5, 0.5], bounds=bounds)


@pytest.mark.parametrize(
    ("constraint", "error", "message"),
    [
        ({"type": "eq"}, ParameterError, r"Got \['type'\]"),
        (
            {"type": "eq", "fun": circle, "jac": circle},
            ParameterError,
            "Jacobian is derived",
        ),
        ({"type": "le", "fun": circle}, ParameterError, "'type' .* Got 'le'"),
        (circle, TypeError, "not iterable"),
        ([circle], ParameterError, "must be a dict .* Got a function"),
        (NonlinearConstraint(circle, 0, 1, jac=circle), ParameterError, "leave out"),
        (
            NonlinearConstraint(circle, 0, 1, hess=optimize.SR1()),
            ParameterError,
            "leave out 'jac', 'hess'",
        ),
        (
            {"type": "eq", "fun": lambda x: [x[0], x[1]]},
            GradientError,
            r"Got a list.*skgrad\.stack",
        ),
        (
            {"type": "eq", "fun": lambda x: x.reshape(1, 2)},
            ShapeError,
            r"shape \(\) or \(m,\). Got \(1, 2\)",
        ),
        (
            {"type": "ineq", "fun": lambda x: skgrad.log(x - 1.0)},
            ParameterError,
            "constraint of .* finite at x0",
        ),
    ],
)
def test_constraints_that_are_refused(constraint, error, message):
    with pytest.raises(error, match=message):
        skgrad.minimize(circle, [0.5, 0.5], constraints=constraint)


# ------------------------------------------------------------------------- import


def test_the_function_has_the_name_whatever_is_imported_first():
    """A module of the name of a function of its package must not take its place."""
    code = (
        "import skgrad.optimize.minimize, skgrad\n"
        "assert skgrad.optimize.minimize is skgrad.minimize\n"
        "assert callable(skgrad.minimize)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
