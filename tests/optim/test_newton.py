import numpy as np
import pytest
from optim.objectives import (
    barrier,
    huber,
    least_squares,
    logistic,
    poisson,
    rosenbrock,
)
from scipy import linalg, special

from skgrad.exceptions import ParameterError, ShapeError
from skgrad.optim import LBFGS, MinimizeStatus, Newton
from skgrad.optim.curvature import BlockDiagonal


def minimum_norm(X, y):
    # The cutoff is needed: the default, one eps, keeps directions of rounding errors.
    return linalg.lstsq(X, y, cond=1e-11)[0]


# ------------------------------------------------------------------ least squares


@pytest.mark.parametrize(
    ("n_samples", "n_features", "rank"),
    [
        (100, 5, 5),
        (100, 10, 6),
        (20, 50, 20),
        (20, 50, 7),
        (5000, 60, 50),
        (50, 1, 1),
        (1, 3, 1),
    ],
)
@pytest.mark.parametrize("tol", [0.0, 1e-8])
def test_least_squares_is_the_minimum_norm_closed_form(
    rng, n_samples, n_features, rank, tol
):
    X = rng.normal(size=(n_samples, rank)) @ rng.normal(size=(rank, n_features))
    y = rng.normal(size=n_samples)
    result = Newton(tol=tol).minimize(least_squares(X, y), np.zeros(n_features))
    np.testing.assert_allclose(result.x, minimum_norm(X, y), rtol=1e-8, atol=1e-9)
    assert result.success
    assert result.rank == rank


def test_one_iteration_and_one_hessian_do_for_least_squares(rng):
    X, y = rng.normal(size=(50, 4)), rng.normal(size=50)
    result = Newton().minimize(least_squares(X, y), np.full(4, 3.0))
    assert (result.nit, result.nhev, result.status) == (1, 1, 0)
    assert result.nfev <= 5


def test_redundant_one_hot_columns(rng):
    groups = np.eye(5)[rng.integers(0, 5, size=2000)]
    X = np.column_stack([np.ones(2000), groups, rng.normal(size=2000)])
    y = rng.normal(size=2000)
    result = Newton().minimize(least_squares(X, y), np.zeros(7))
    np.testing.assert_allclose(result.x, minimum_norm(X, y), rtol=1e-9, atol=1e-12)


def test_units_of_the_columns_do_not_matter(rng):
    X, y = rng.normal(size=(200, 6)), rng.normal(size=200)
    units = 10.0 ** np.array([-6, -4, -1, 0, 3, 6])
    result = Newton().minimize(least_squares(X * units, y), np.zeros(6))
    np.testing.assert_allclose(result.x * units, linalg.lstsq(X, y)[0], rtol=1e-11)


def test_minimum_norm_holds_in_the_given_units(rng):
    x, y = rng.normal(size=(100, 1)), rng.normal(size=100)
    X = np.hstack([x, 1000 * x])
    result = Newton().minimize(least_squares(X, y), np.zeros(2))
    np.testing.assert_allclose(result.x, minimum_norm(X, y), rtol=1e-9)


def test_a_column_of_rounding_errors_is_no_feature(rng):
    X = np.column_stack([rng.normal(size=(100, 2)), 1e-17 * rng.normal(size=100)])
    y = rng.normal(size=100)
    result = Newton().minimize(least_squares(X, y), np.zeros(3))
    np.testing.assert_allclose(result.x[:2], linalg.lstsq(X[:, :2], y)[0], rtol=1e-10)
    assert abs(result.x[2]) < 1e-12


@pytest.mark.parametrize("base", [1.0, 0.1])
def test_wampler_polynomials_to_nine_digits(base):
    # NIST StRD, Wampler1 and Wampler2: y = sum of (base * x)**i over i = 0..5 at
    # x = 0..20, whose certified coefficients are base**i exactly.
    x = np.arange(21.0)
    y = sum((base * x) ** i for i in range(6))
    powers = np.column_stack([x**i for i in range(1, 6)])
    mean, scale = powers.mean(axis=0), powers.std(axis=0)
    Z = np.column_stack([np.ones(21), (powers - mean) / scale])
    w = Newton().minimize(least_squares(Z, y), np.zeros(6)).x
    slopes = w[1:] / scale
    np.testing.assert_allclose(slopes, base ** np.arange(1, 6), rtol=1e-9)
    np.testing.assert_allclose(w[0] - slopes @ mean, 1.0, rtol=1e-9)


@pytest.mark.parametrize("degree", [4, 5, 6, 7])
def test_refinement_solves_ill_conditioned_polynomials(rng, degree):
    # Filip's abscissae (NIST StRD); condition number 2.5e3 (degree 4) to 3e6
    # (degree 7), its square 1e13: without refinement three digits would be left.
    x = np.linspace(-8.78, -3.13, 82)
    powers = np.column_stack([x**i for i in range(1, degree + 1)])
    Z = (powers - powers.mean(axis=0)) / powers.std(axis=0)
    y = Z.sum(axis=1) + 0.01 * rng.normal(size=82)
    result = Newton().minimize(least_squares(Z, y - y.mean()), np.zeros(degree))
    expected = linalg.lstsq(Z, y - y.mean(), cond=1e-14)[0]
    np.testing.assert_allclose(
        result.x, expected, atol=1e-8 * np.abs(expected).max(), rtol=0
    )


def test_blocks_of_curvature_are_solved_for_one_by_one(rng):
    X, y = rng.normal(size=(20, 30)), rng.normal(size=(20, 3))
    index = rng.permutation(90).reshape(3, 30)

    def fun(x, hessian=False):
        r = X @ x[index].T - y
        gradient = np.zeros(90)
        gradient[index] = r.T @ X
        first = 0.5 * np.sum(r**2), gradient
        return (*first, BlockDiagonal((X.T @ X)[None], index)) if hessian else first

    result = Newton().minimize(fun, np.zeros(90))
    assert (result.nit, result.rank, result.success) == (1, 60, True)
    expected = minimum_norm(X, y).T
    np.testing.assert_allclose(result.x[index], expected, rtol=1e-8, atol=1e-10)


# ------------------------------------------------------------- other functions


@pytest.mark.parametrize("x0", [[-1.2, 1.0], [0.0, 0.0], [3.0, -4.0], [-1.0] * 10])
def test_rosenbrock(x0):
    result = Newton().minimize(rosenbrock, x0)
    assert result.success
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-10)


@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_logistic_regression(rng, alpha):
    X = np.column_stack([np.ones(300), rng.normal(size=(300, 4))])
    y = (rng.random(300) < 0.4).astype(float)
    fun = logistic(X, y, alpha)
    result = Newton().minimize(fun, np.zeros(5))
    other = LBFGS(tol=1e-10).minimize(fun, np.zeros(5))
    assert result.status == MinimizeStatus.CONVERGED
    assert np.abs(result.jac).max() < 1e-14
    np.testing.assert_allclose(result.x, other.x, atol=1e-8)


def test_separable_classes_end_on_a_small_gradient():
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    result = Newton().minimize(logistic(X, np.array([0.0, 0, 1, 1])), np.zeros(1))
    assert result.status == MinimizeStatus.CONVERGED


@pytest.mark.parametrize("delta", [1e-3, 0.1, 1.3])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_huber_from_where_the_curvature_vanishes(rng, delta, offset):
    X = np.column_stack([np.ones(200), rng.normal(size=(200, 3))])
    y = X @ np.arange(4.0) + rng.standard_t(2, size=200) + offset
    result = Newton().minimize(huber(X, y, delta), np.zeros(4))
    assert result.status == MinimizeStatus.CONVERGED
    assert np.abs(result.jac).max() < 1e-12


def test_poisson_whose_full_step_overflows(rng):
    X = np.column_stack([np.ones(200), rng.normal(size=(200, 2))])
    w = np.array([1.0, 0.5, -0.5])
    y = rng.poisson(np.exp(X @ w)).astype(float)
    result = Newton().minimize(poisson(X, y), np.array([-6.0, 3.0, 3.0]))
    assert result.status == MinimizeStatus.CONVERGED
    np.testing.assert_allclose(result.x, w, atol=0.2)


def test_values_that_are_not_finite_shorten_the_step():
    result = Newton().minimize(barrier, [5.0, 0.01])
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-12)


def test_negative_curvature_is_left():
    def double_well(x, hessian=False):
        first = 0.25 * np.sum(x**4) - 0.5 * np.sum(x**2), x**3 - x
        return (*first, np.diag(3 * x**2 - 1)) if hessian else first

    result = Newton().minimize(double_well, [0.1, -0.1])
    np.testing.assert_allclose(result.x, [1.0, -1.0], rtol=1e-12)


def test_linear_function_ends_at_max_iter():
    def linear(x, hessian=False):
        first = x.sum(), np.ones(2)
        return (*first, np.zeros((2, 2))) if hessian else first

    result = Newton(max_iter=5).minimize(linear, np.zeros(2))
    assert result.status == MinimizeStatus.MAX_ITER
    assert not result.success
    assert result.fun < -1


# ---------------------------------------------------------------------- stopping


def test_no_step_is_counted_at_the_solution(rng):
    X, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    w = linalg.lstsq(X, y)[0]
    result = Newton().minimize(least_squares(X, y), w)
    assert (result.nit, result.status) == (0, MinimizeStatus.CONVERGED)
    np.testing.assert_allclose(result.x, w, rtol=1e-12)


def test_max_iter():
    result = Newton(max_iter=3).minimize(rosenbrock, [-1.2, 1.0])
    assert (result.nit, result.status) == (3, MinimizeStatus.MAX_ITER)
    assert "max_iter=3" in result.message


def test_value_that_never_decreases_is_told_from_the_rounding_floor():
    def wrong_sign(x, hessian=False):
        first = float(x @ x), -2 * x
        return (*first, 2 * np.eye(len(x))) if hessian else first

    result = Newton().minimize(wrong_sign, np.ones(2))
    assert result.status == MinimizeStatus.NO_DECREASE
    assert "finite differences" in result.message


@pytest.mark.parametrize("where", ["value", "gradient", "hessian"])
def test_start_that_is_not_finite(where):
    def fun(x, hessian=False):
        parts = {"value": 1.0, "gradient": np.ones(2), "hessian": np.eye(2)}
        parts[where] = parts[where] * np.nan
        return tuple(parts.values())[: 3 if hessian else 2]

    result = Newton().minimize(fun, np.zeros(2))
    assert result.status == MinimizeStatus.NOT_FINITE
    assert not result.success


def test_bounds_are_refused():
    with pytest.raises(ParameterError, match="Use LBFGS"):
        Newton().minimize(rosenbrock, [0.0, 0.0], bounds=[(0, 1), (0, 1)])


@pytest.mark.parametrize(
    "H", [np.eye(3), BlockDiagonal(np.ones((1, 1, 1)), np.array([[0], [1], [2]]))]
)
def test_hessian_of_another_shape(H):
    def fun(x, hessian=False):
        first = x @ x, 2 * x
        return (*first, H) if hessian else first

    with pytest.raises(ShapeError, match=r"Hessian.*\(2, 2\).*\(3, 3\)"):
        Newton().minimize(fun, np.zeros(2))


# ------------------------------------------------------- what is known beforehand


def test_a_quadratic_function_is_known_after_one_evaluation(rng):
    X, y = rng.normal(size=(50, 4)), rng.normal(size=50)
    fun = least_squares(X, y)
    result = Newton().minimize(fun, np.full(4, 3.0), quadratic=True)
    assert (result.nit, result.nhev) == (1, 1)
    assert result.nfev <= 2  # the second only for the last digits
    expected = linalg.lstsq(X, y)[0]
    np.testing.assert_allclose(result.x, expected, rtol=1e-13)
    value, gradient = least_squares(X, y)(expected)
    np.testing.assert_allclose(result.fun, value, rtol=1e-13)
    np.testing.assert_allclose(result.jac, gradient, atol=1e-12)


def test_unless_it_is_ill_conditioned_or_nothing_is_left(rng):
    X, y = rng.normal(size=(50, 4)), rng.normal(size=50)
    close = np.column_stack([X, X[:, 0] + 1e-4 * y])
    for design, target in ((close, y), (X, X @ [1.0, 2.0, 3.0, 4.0])):
        fun, x0 = least_squares(design, target), np.zeros(design.shape[1])
        result = Newton().minimize(fun, x0, quadratic=True)
        assert result.nfev > 1
        expected = linalg.lstsq(design, target)[0]
        np.testing.assert_allclose(result.x, expected, rtol=1e-9, atol=1e-8)
        assert result.fun >= 0


def test_a_hessian_that_will_be_wanted_comes_with_value_and_gradient(rng):
    X = rng.normal(size=(300, 3))
    y = (rng.random(300) < special.expit(20 * X[:, 0])).astype(float)  # many steps
    fun, points = logistic(X, y), []

    def recorded(x, hessian=False):
        points.append(tuple(x))
        return fun(x, hessian)

    result = Newton(tol=1e-6).minimize(recorded, np.zeros(3))
    assert result.nit >= 6
    assert len(points) - len(set(points)) <= 2  # the first step says nothing yet


def test_a_hessian_close_to_the_first_one_does_for_the_first_step(rng):
    X = rng.normal(size=(300, 3))
    y = (X[:, 0] + rng.normal(size=300) > 0).astype(float)
    fun = logistic(X, y)
    expected = Newton().minimize(fun, np.zeros(3))
    near = expected.x + 0.01
    close = fun(near, hessian=True)[2] * 1.01
    result = Newton().minimize(fun, near, hessian=close)
    np.testing.assert_allclose(result.x, expected.x, rtol=1e-9)
    without = Newton().minimize(fun, near)
    assert (result.nhev, result.nfev) <= (without.nhev, without.nfev - 1)
    with pytest.raises(ShapeError, match=r"\(3, 3\).*\(2, 2\)"):
        Newton().minimize(fun, near, hessian=np.eye(2))


def test_a_hessian_that_misleads_is_evaluated_anew(rng):
    X = rng.normal(size=(300, 3))
    y = (X[:, 0] + rng.normal(size=300) > 0).astype(float)
    fun = logistic(X, y)
    expected = Newton().minimize(fun, np.zeros(3)).x
    for wrong in (1e6 * np.eye(3), 1e-6 * np.eye(3), -np.eye(3), np.zeros((3, 3))):
        result = Newton().minimize(fun, np.ones(3), hessian=wrong)
        np.testing.assert_allclose(result.x, expected, rtol=1e-8)
        assert result.success
