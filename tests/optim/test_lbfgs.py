import numpy as np
import pytest
from optim.objectives import barrier, least_squares, logistic, poisson, rosenbrock
from scipy import linalg, optimize

from skgrad.exceptions import ParameterError
from skgrad.optim import LBFGS, MinimizeStatus


@pytest.mark.parametrize("x0", [[-1.2, 1.0], [0.0, 0.0], [3.0, -4.0], [-1.0] * 10])
def test_rosenbrock(x0):
    result = LBFGS().minimize(rosenbrock, x0)
    assert result.status == MinimizeStatus.CONVERGED
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-7)


def test_least_squares(rng):
    X, y = rng.normal(size=(100, 5)), rng.normal(size=100)
    result = LBFGS(tol=1e-7).minimize(least_squares(X, y), np.zeros(5))
    np.testing.assert_allclose(result.x, linalg.lstsq(X, y)[0], atol=1e-6)
    assert np.abs(result.jac).max() <= 1e-7


def test_tolerance_is_the_max_norm_of_the_gradient(rng):
    X, y = rng.normal(size=(100, 5)), rng.integers(0, 2, size=100).astype(float)
    for tol in (1e-2, 1e-4, 1e-6):
        result = LBFGS(tol=tol).minimize(logistic(X, y, 0.1), np.zeros(5))
        assert np.abs(result.jac).max() <= tol
        assert result.message.startswith("Converged")


def test_rounding_floor_counts_as_success(rng):
    X, y = rng.normal(size=(100, 5)), rng.normal(size=100)
    result = LBFGS(tol=0.0).minimize(least_squares(X, y), np.zeros(5))
    assert result.status == MinimizeStatus.ROUNDING_FLOOR
    assert result.success
    np.testing.assert_allclose(result.x, linalg.lstsq(X, y)[0], rtol=1e-6)


def test_max_iter():
    result = LBFGS(max_iter=3).minimize(rosenbrock, [-1.2, 1.0])
    assert (result.nit, result.status) == (3, MinimizeStatus.MAX_ITER)


def test_wrong_gradient_is_reported():
    def wrong_sign(x):
        return float(x @ x), -2 * x

    result = LBFGS().minimize(wrong_sign, np.ones(2))
    assert result.status == MinimizeStatus.NO_DECREASE


# ------------------------------------------------------------------------ bounds


@pytest.mark.parametrize(
    "bounds",
    [
        [(None, 0.5), (0.1, None), (-np.inf, np.inf)],
        optimize.Bounds([-np.inf, 0.1, -np.inf], [0.5, np.inf, np.inf]),
    ],
)
def test_bounds_against_scipy(rng, bounds):
    X, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    result = LBFGS(tol=1e-9).minimize(
        least_squares(X, y + X[:, 0]), np.zeros(3), None, bounds
    )
    expected = optimize.lsq_linear(
        X, y + X[:, 0], ([-np.inf, 0.1, -np.inf], [0.5, np.inf, np.inf]), tol=1e-14
    )
    assert result.status == MinimizeStatus.CONVERGED
    np.testing.assert_allclose(result.x, expected.x, atol=1e-7)
    assert np.abs(result.jac).max() > 1e-3  # a bound is active


def test_lasso_as_a_difference_of_positive_parts(rng):
    # w = u - v with u, v >= 0 and the penalty alpha * sum(u + v). Zero is exact.
    X = rng.normal(size=(100, 4))
    y = X @ np.array([2.0, 0.0, 0.0, -1.0]) + 0.1 * rng.normal(size=100)
    smooth, alpha = least_squares(X, y), 0.3

    def fun(uv):
        value, gradient = smooth(uv[:4] - uv[4:])
        return value + alpha * uv.sum(), np.r_[gradient, -gradient] + alpha

    result = LBFGS().minimize(fun, np.zeros(8), bounds=[(0, None)] * 8)
    w = result.x[:4] - result.x[4:]
    assert result.success
    np.testing.assert_array_equal(w[1:3], 0.0)
    # Stationarity: the gradient of the smooth part is -alpha * sign(w).
    np.testing.assert_allclose(smooth(w)[1][[0, 3]], [-alpha, alpha], atol=1e-7)


def test_start_outside_of_the_bounds_is_clipped():
    result = LBFGS().minimize(lambda x: (x @ x, 2 * x), [5.0], bounds=[(1.0, 2.0)])
    assert result.x == [1.0]
    assert result.success


def test_wrong_number_of_bounds():
    with pytest.raises(
        ParameterError, match=r"one \(low, high\) pair per parameter, 2"
    ):
        LBFGS().minimize(rosenbrock, [0.0, 0.0], bounds=[(0, 1)])


def test_crossed_bounds():
    with pytest.raises(ParameterError, match="must be <= its upper bound"):
        LBFGS().minimize(rosenbrock, [0.0, 0.0], bounds=[(0, 1), (3, 2)])


# ------------------------------------------------------------------------- walls


def test_values_that_are_not_finite_shorten_the_step():
    result = LBFGS().minimize(barrier, [50.0, 0.001])
    assert result.status == MinimizeStatus.CONVERGED
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-7)


def test_values_out_of_proportion_shorten_the_step(rng):
    X = np.column_stack([np.ones(200), 30 * rng.normal(size=(200, 2))])
    y = rng.poisson(np.exp(X @ np.array([3.0, 0.02, -0.02]))).astype(float)
    result = LBFGS().minimize(poisson(X, y), np.full(3, -1.0))
    assert result.success
    np.testing.assert_allclose(result.x, [3.0, 0.02, -0.02], atol=0.1)


def test_start_that_is_not_finite():
    result = LBFGS().minimize(lambda x: (np.nan, x), np.zeros(2))
    assert result.status == MinimizeStatus.NOT_FINITE
    assert result.nfev == 1


def test_memory_is_checked():
    with pytest.raises(ParameterError, match="'memory' parameter of LBFGS"):
        LBFGS(memory=0).minimize(rosenbrock, [0.0, 0.0])
