"""Conjugate gradients: what is theirs, and that SciPy's method is what runs."""

import numpy as np
from optim.objectives import least_squares, rosenbrock
from scipy import optimize

from skgrad.optim import MinimizeStatus, NonlinearCG


def test_iterations_are_those_of_scipy():
    expected = optimize.minimize(
        optimize.rosen,
        [-1.2, 1.0],
        jac=optimize.rosen_der,
        method="CG",
        options={"gtol": 1e-8},
    )
    found = NonlinearCG().minimize(rosenbrock, [-1.2, 1.0])
    assert (found.nit, found.nfev) == (expected.nit, expected.nfev)
    np.testing.assert_allclose(found.x, expected.x, rtol=1e-12)


def test_a_parabola_takes_few_iterations_per_distinct_curvature(rng):
    d = np.repeat([1.0, 10.0, 100.0], 20)
    fun = least_squares(np.diag(np.sqrt(60 * d)), rng.normal(size=60))
    result = NonlinearCG(tol=1e-8).minimize(fun, np.zeros(60))
    assert result.status == MinimizeStatus.CONVERGED
    assert result.nit < 20
