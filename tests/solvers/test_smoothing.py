"""Smoothed losses against SciPy's minimisers, and coordinates there and back."""

from dataclasses import replace

import numpy as np
import pytest
import scipy
from solvers.quantile_problems import Case

from skgrad.solvers import QuantileProblem, solve_quantiles
from skgrad.solvers.smoothing import MAX_PASSES, Coordinates, locate

PLAIN = Case(n=3000, p=4, quantile=0.3, seed=3)
CASES = {
    "plain": PLAIN,
    "no intercept": replace(PLAIN, fit_intercept=False),
    "weights": replace(PLAIN, weights="exponential"),
    "penalty": replace(PLAIN, penalty="factors"),
    "bounds": replace(PLAIN, bounds="box", seed=5),
    "badly scaled": replace(PLAIN, inputs="badly scaled"),
    "outer level": replace(PLAIN, quantile=0.95),
}


def coordinates_of(problem):
    return Coordinates.of(problem, problem.X)


def standardised(problem):
    """Return inputs with a column of ones for the intercept."""
    coordinates = coordinates_of(problem)
    Z = (problem.X - coordinates.mean) / coordinates.scale
    return np.hstack([Z, np.ones((len(Z), int(problem.fit_intercept)))])


# ------------------------------------------------------------------------ locating


def smoothed(problem, level, width):
    """Return pinball losses averaged over a window, and their gradient.

    For |r| < h the mean of |r + u| over -h < u < h is (r² + h²) / 2h.
    """
    Z = standardised(problem)

    def value(theta):
        r = problem.y - Z @ theta
        inside = (r**2 + width**2) / (2 * width)
        absolute = np.where(np.abs(r) < width, inside, np.abs(r))
        slope = 0.5 * np.clip(r / width, -1, 1) + level - 0.5
        losses = 0.5 * absolute + (level - 0.5) * r
        return problem.w @ losses, -Z.T @ (problem.w * slope)

    return value


def by_scipy(problem, value):
    """Return the minimum with the penalty: coefficients are differences of two parts.

    The parts are not negative, so that the penalty is linear in them.
    """
    q = problem.n_columns
    rate = np.zeros(q)
    if problem.penalty is not None:
        rate[: len(problem.penalty)] = problem.penalty / coordinates_of(problem).scale
    low, high = coordinates_of(problem).bounds(problem)

    def of_parts(parts):
        total, gradient = value(parts[:q] + parts[q:])
        total += rate @ (parts[:q] - parts[q:])
        return total, np.concatenate([gradient + rate, gradient - rate])

    ends = np.concatenate(
        [
            np.column_stack([np.maximum(low, 0), np.maximum(high, 0)]),
            np.column_stack([np.minimum(low, 0), np.minimum(high, 0)]),
        ]
    )
    result = scipy.optimize.minimize(
        of_parts,
        np.clip(np.zeros(2 * q), *ends.T),
        jac=True,
        method="L-BFGS-B",
        bounds=ends,
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000, "maxfun": 50_000},
    )
    return result.fun, result.x[:q] + result.x[q:], rate


def settled(problem, level, width, theta):
    """Return where steps with one window lead: it does not shrink, as one is enough."""
    coordinates = coordinates_of(problem)
    levels, everything = np.array([level]), np.array([np.inf])
    for _ in range(30):
        found = locate(
            problem, coordinates, levels, theta[None], np.array([width]), everything
        )
        theta = found.theta[0]
    return theta


@pytest.mark.parametrize("name", CASES)
def test_steps_lead_to_the_minimum_of_the_smoothed_losses(name):
    case = CASES[name]
    problem, width = case.problem(), 2.0
    value = smoothed(problem, case.quantile, width)
    low, high = coordinates_of(problem).bounds(problem)
    start = np.clip(np.zeros(problem.n_columns), low, high)
    least, expected, rate = by_scipy(problem, value)
    theta = settled(problem, case.quantile, width, start)
    assert ((theta >= low) & (theta <= high)).all()
    found = value(theta)[0] + rate @ np.abs(theta)
    np.testing.assert_allclose(found, least, rtol=1e-9)
    np.testing.assert_allclose(theta, expected, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_shrinking_windows_leave_few_rows_on_the_wrong_side(name):
    """About as many as asked for: the solver counts on four times as many."""
    case = replace(CASES[name], n=20_000)
    problem, reach = case.problem(), 30
    coordinates = coordinates_of(problem)
    low, high = coordinates.bounds(problem)
    theta = np.clip(np.zeros((1, problem.n_columns)), low, high)
    levels, width = np.array([case.quantile]), np.array([3.0])
    found = locate(problem, coordinates, levels, theta, width, np.array([1.0 * reach]))
    (exact,) = solve_quantiles(problem, levels)
    coef, intercept = coordinates.coefficients(found.theta[0], problem)
    near, best = (
        problem.y - problem.X @ b - b0
        for b, b0 in ((coef, intercept), (exact.coef, exact.intercept))
    )
    assert 0 < found.n_passes <= MAX_PASSES
    assert found.width[0] < 1.0
    assert np.count_nonzero((near > 0) != (best > 0)) <= 4 * reach


def test_levels_are_located_in_one_reading():
    problem = replace(PLAIN, n=10_000).problem()
    coordinates = coordinates_of(problem)
    levels = np.array([0.2, 0.5, 0.8])
    theta, width, reach = np.zeros((3, 5)), np.full(3, 2.0), np.full(3, 200.0)
    together = locate(problem, coordinates, levels, theta, width, reach)
    passes = []
    for k in range(3):
        at = slice(k, k + 1)
        parts = levels[at], theta[at], width[at], reach[at]
        apart = locate(problem, coordinates, *parts)
        np.testing.assert_allclose(together.theta[k], apart.theta[0], rtol=1e-9)
        np.testing.assert_allclose(together.width[k], apart.width[0], rtol=1e-9)
        assert together.count[k] == apart.count[0]
        passes.append(apart.n_passes)
    assert together.n_passes == max(passes)
    np.testing.assert_array_equal(theta, 0)  # what was given is not changed
    np.testing.assert_array_equal(width, 2.0)


def test_a_window_without_rows_grows(rng):
    X, y = rng.normal(size=(500, 2)), rng.normal(size=500)
    problem = QuantileProblem(X, y, np.ones(500))
    start, width = np.full((1, 3), 50.0), np.array([1e-6])
    parts = np.array([0.5]), start, width, np.array([np.inf])
    found = locate(problem, coordinates_of(problem), *parts)
    assert np.isfinite(found.theta).all()
    assert found.width[0] > width[0]


@pytest.mark.parametrize("targets", ["constant", "zero", "exact", "few values"])
def test_ties_give_no_warning_and_no_nan(targets):
    problem = replace(PLAIN, targets=targets).problem()
    parts = np.array([0.5]), np.zeros((1, 5)), np.array([1.0]), np.array([30.0])
    found = locate(problem, coordinates_of(problem), *parts)
    assert np.isfinite(found.theta).all()
    assert (found.width > 0).all()


# --------------------------------------------------------------------- coordinates

KINDS = ["normal", "badly scaled", "binary", "sparse", "collinear"]


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("inputs", KINDS)
def test_coefficients_predict_as_standardised_rows_do(inputs, fit_intercept, rng):
    case = replace(PLAIN, n=300, inputs=inputs, fit_intercept=fit_intercept)
    problem = case.problem()
    coordinates = coordinates_of(problem)
    theta = rng.normal(size=(2, 3, problem.n_columns))
    coef, intercept = coordinates.coefficients(theta, problem)
    assert coef.shape == (2, 3, 4)
    assert intercept.shape == (2, 3)
    Z = coordinates.rows(problem.X)
    np.testing.assert_allclose(Z, standardised(problem), rtol=1e-12)
    expected = Z @ theta[1, 2]
    predicted = problem.X @ coef[1, 2] + intercept[1, 2]
    np.testing.assert_allclose(predicted, expected, atol=1e-8)
    if not fit_intercept:
        np.testing.assert_array_equal(intercept, 0)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("inputs", KINDS)
def test_sums_of_raw_rows_give_those_of_standardised_rows(inputs, fit_intercept, rng):
    case = replace(PLAIN, n=300, inputs=inputs, fit_intercept=fit_intercept)
    problem = case.problem()
    coordinates = coordinates_of(problem)
    weights = rng.normal(size=(2, 300))
    pulled = coordinates.pulled(weights @ problem.X, weights.sum(axis=1))
    np.testing.assert_allclose(pulled, weights @ standardised(problem), atol=1e-6)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_rows_are_standardised(fit_intercept):
    """With an intercept to mean 0 and variance 1, else to a mean square of 1."""
    case = replace(PLAIN, inputs="badly scaled", fit_intercept=fit_intercept)
    problem = case.problem()
    Z = coordinates_of(problem).rows(problem.X)[:, :4]
    np.testing.assert_allclose(np.mean(Z**2, axis=0), 1, rtol=1e-9)
    if fit_intercept:
        np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-6)


def test_bounds_go_there_and_back(rng):
    case = replace(PLAIN, bounds="one-sided", inputs="badly scaled")
    problem = case.problem()
    coordinates = coordinates_of(problem)
    low, high = coordinates.bounds(problem)
    assert low[-1] == -np.inf
    assert high[-1] == np.inf
    for end, expected in ((low, problem.low), (high, problem.high)):
        finite = np.isfinite(expected)
        np.testing.assert_array_equal(np.isfinite(end[:-1]), finite)
        coef, _ = coordinates.coefficients(np.where(np.isfinite(end), end, 0), problem)
        np.testing.assert_allclose(coef[finite], expected[finite], rtol=1e-14)
    # Never beyond them, however the way back is rounded.
    theta = np.clip(1e9 * rng.normal(size=(100, 5)), low, high)
    coef, _ = coordinates.coefficients(theta, problem)
    assert ((coef >= problem.low) & (coef <= problem.high)).all()


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_columns_that_count_for_nothing(fit_intercept, rng):
    X = np.column_stack([rng.normal(size=50), np.full(50, 7.0), np.zeros(50)])
    ends = np.full(3, 0.5), np.full(3, 2.0)
    parts = X, rng.normal(size=50), np.ones(50), fit_intercept, None
    problem = QuantileProblem(*parts, *ends)
    coordinates = coordinates_of(problem)
    nothing = [False, fit_intercept, True]
    np.testing.assert_array_equal(np.isinf(coordinates.scale), nothing)
    low, high = coordinates.bounds(problem)
    np.testing.assert_array_equal(np.isinf(low[:3]), nothing)
    np.testing.assert_array_equal(np.isinf(high[:3]), nothing)
    np.testing.assert_array_equal(coordinates.rows(X)[:, :3][:, nothing], 0)
    theta = rng.normal(size=problem.n_columns)
    coef, _ = coordinates.coefficients(theta, problem)
    np.testing.assert_array_equal(coef[nothing], 0.5)  # the bound that is next to zero


def test_a_value_that_a_part_of_the_rows_has_not_is_seen():
    X = np.zeros((1000, 2))
    X[:, 0] = np.arange(1000)
    X[-1, 1] = 1.0
    problem = QuantileProblem(X, np.zeros(1000), np.ones(1000))
    coordinates = Coordinates.of(problem, X[:100])
    np.testing.assert_allclose(coordinates.scale[1], X[:, 1].std())
    np.testing.assert_allclose(coordinates.mean[1], 0.001)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_scaled_appends_the_number_of_the_intercept(fit_intercept):
    coordinates = Coordinates(np.zeros(2), np.ones(2), fit_intercept)
    expected = [3.0, 4.0, 9.0] if fit_intercept else [3.0, 4.0]
    scaled = coordinates.scaled(np.array([3.0, 4.0]), 9.0)
    np.testing.assert_array_equal(scaled, expected)
