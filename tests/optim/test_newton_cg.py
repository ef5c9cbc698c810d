"""Newton's equations by conjugate gradients: against Newton's method itself."""

import numpy as np
import pytest
from optim.objectives import least_squares, logistic, rosenbrock
from scipy import optimize

from skgrad.exceptions import ShapeError
from skgrad.optim import LBFGS, MinimizeStatus, Newton, NewtonCG


def test_logistic_regression_equals_newtons(rng):
    X = rng.normal(size=(300, 20))
    y = (X[:, 0] + rng.normal(size=300) > 0).astype(float)
    fun = logistic(X, y, alpha=0.01)
    found = NewtonCG(tol=1e-12).minimize(fun, np.zeros(20))
    expected = Newton(tol=1e-12).minimize(fun, np.zeros(20))
    assert found.success
    np.testing.assert_allclose(found.x, expected.x, rtol=1e-9, atol=1e-12)


def test_a_condition_number_that_a_gradient_method_crawls_on(rng):
    d = np.geomspace(1e-2, 1e2, 40)
    fun = least_squares(np.diag(np.sqrt(40 * d)), np.ones(40))
    found = NewtonCG(tol=1e-10).minimize(fun, np.zeros(40))
    other = LBFGS(tol=1e-10).minimize(fun, np.zeros(40))
    assert found.status == MinimizeStatus.CONVERGED
    assert found.nit < 30 < other.nit


def test_convergence_is_superlinear():
    norms = []
    NewtonCG(tol=1e-12).minimize(
        rosenbrock, np.zeros(10), lambda x, value, norm, nit: norms.append(norm)
    )
    assert norms[-1] < 1e-3 * norms[-2]


def test_negative_curvature_is_descended():
    """Between the two minima of a double well, and away from a saddle."""

    def fun(x, vector=None):
        if vector is not None:
            return (12 * x**2 - 4) * vector
        return float(np.sum(x**4 - 2 * x**2)), 4 * x**3 - 4 * x

    result = NewtonCG().minimize(fun, [0.01, -0.2, 0.3])
    np.testing.assert_allclose(result.x, [1, -1, 1], rtol=1e-7)
    assert result.fun == -3


def test_a_direction_without_curvature():
    def fun(x, vector=None):
        return (
            np.zeros(2)
            if vector is not None
            else (float(np.cosh(x[0] - 1)), np.array([np.sinh(x[0] - 1), 0]))
        )

    assert NewtonCG().minimize(fun, [3.0, 5.0]).x[1] == 5.0


def test_products_that_are_not_finite():
    def fun(x, vector=None):
        return np.full(2, np.nan) if vector is not None else (float(x @ x), 2 * x)

    assert NewtonCG().minimize(fun, [1.0, 1.0]).status == MinimizeStatus.NOT_FINITE


def test_a_product_of_another_shape():
    def fun(x, vector=None):
        return np.eye(2) if vector is not None else (float(x @ x), 2 * x)

    with pytest.raises(ShapeError, match=r"Hessian times v, of shape \(2,\)"):
        NewtonCG().minimize(fun, [1.0, 1.0])


def test_products_of_scipy_serve():
    def fun(x, vector=None):
        if vector is not None:
            return optimize.rosen_hess_prod(x, vector)
        return optimize.rosen(x), optimize.rosen_der(x)

    result = NewtonCG().minimize(fun, np.tile([-1.2, 1.0], 25))
    np.testing.assert_allclose(abs(result.x), 1.0, atol=0.02)
    assert result.status == MinimizeStatus.CONVERGED
