"""What holds for every full-batch optimizer of the registry."""

import pickle
import re

import numpy as np
import pytest
from optim.objectives import barrier, least_squares, rosenbrock, with_products
from sklearn.base import clone

from skgrad.exceptions import ParameterError, ShapeError
from skgrad.optim import OPTIMIZERS, MinimizeStatus

CLASSES = [cls for cls in OPTIMIZERS.values() if not cls.stochastic]
EACH = pytest.mark.parametrize("cls", CLASSES)


@EACH
def test_start_is_not_modified(cls):
    x0 = np.array([-1.2, 1.0])
    cls().minimize(rosenbrock, x0)
    np.testing.assert_array_equal(x0, [-1.2, 1.0])


@EACH
def test_function_may_overwrite_what_it_gets_and_gave(cls):
    gradient = np.empty(2)

    @with_products
    def fun(x, hessian=False):
        shifted = x - 3
        x[:] = np.nan
        gradient[:] = 2 * shifted
        first = float(shifted @ shifted), gradient
        return (*first, 2 * np.eye(2)) if hessian else first

    np.testing.assert_allclose(cls().minimize(fun, np.zeros(2)).x, 3, rtol=1e-9)


@EACH
def test_callback_sees_every_iteration(cls):
    seen = []
    result = cls().minimize(rosenbrock, [-1.2, 1.0], lambda *args: seen.append(args))
    assert [nit for *_, nit in seen] == list(range(1, result.nit + 1))
    for x, value, norm, _ in seen:
        assert value == rosenbrock(x)[0]
        assert norm == np.abs(rosenbrock(x)[1]).max()
    values = [value for _, value, *_ in seen]
    assert values == sorted(values, reverse=True)


@EACH
def test_callback_stops_the_run(cls):
    def callback(x, value, norm, iteration):
        if iteration == 3:
            raise StopIteration

    result = cls().minimize(rosenbrock, [-1.2, 1.0], callback)
    assert (result.nit, result.status) == (3, MinimizeStatus.STOPPED)
    assert not result.success
    assert result.fun == rosenbrock(result.x)[0]


@EACH
def test_interrupt_passes_through(cls):
    def callback(x, value, norm, iteration):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cls().minimize(rosenbrock, [-1.2, 1.0], callback)


@EACH
def test_evaluations_are_counted(cls):
    calls = []

    def fun(x, hessian=False, vector=None):
        calls.append((vector is None, hessian or vector is not None))
        return rosenbrock(x, hessian, vector)

    result = cls().minimize(fun, [-1.2, 1.0])
    assert (result.nfev, result.nhev) == tuple(np.sum(calls, axis=0))


@EACH
def test_minimum_of_rosenbrocks_function(cls):
    for start in ([-1.2, 1.0], np.zeros(10)):
        result = cls(tol=1e-10).minimize(rosenbrock, start)
        assert result.status == MinimizeStatus.CONVERGED
        np.testing.assert_allclose(result.x, 1.0, atol=1e-8)
        np.testing.assert_array_equal(result.jac, rosenbrock(result.x)[1])


@EACH
def test_limit_of_iterations(cls):
    result = cls(max_iter=3).minimize(rosenbrock, [-1.2, 1.0])
    assert (result.nit, result.status) == (3, MinimizeStatus.MAX_ITER)
    assert re.search(r"max_iter=3 .*Increase max_iter", result.message)


@EACH
def test_start_at_the_minimum(cls):
    result = cls().minimize(rosenbrock, [1.0, 1.0])
    assert (result.nit, result.status) == (0, MinimizeStatus.CONVERGED)


@EACH
def test_walls_are_not_stepped_over(cls):
    result = cls().minimize(barrier, np.full(3, 0.01))
    assert result.status == MinimizeStatus.CONVERGED
    np.testing.assert_allclose(result.x, 1.0, atol=1e-7)


@EACH
def test_start_where_the_function_is_not_finite(cls):
    result = cls().minimize(barrier, [-1.0, 1.0])
    assert result.status == MinimizeStatus.NOT_FINITE
    assert not result.success


@EACH
def test_gradient_of_another_function(cls):
    def fun(x, hessian=False, vector=None):
        if vector is not None:
            return vector
        first = float(x @ x), -2 * x
        return (*first, np.eye(2)) if hessian else first

    result = cls().minimize(fun, [1.0, 2.0])
    assert result.status == MinimizeStatus.NO_DECREASE
    assert "check the gradient" in result.message


@EACH
def test_rounding_floor_counts_as_success(rng, cls):
    """The gradient cannot become smaller than the rounding of its terms."""
    X = rng.normal(size=(50, 3))
    fun = least_squares(X, 1e6 + rng.normal(size=50))
    result = cls(tol=1e-300).minimize(fun, np.zeros(3))
    assert result.status == MinimizeStatus.ROUNDING_FLOOR
    assert result.success


@EACH
def test_bounds_are_taken_or_refused(cls):
    def bounded():
        return cls().minimize(rosenbrock, [0.0, 0.0], bounds=[(None, 0.5), (0, None)])

    if "bounds" in cls.takes:
        # On the edge x = 0.5 the minimum over y is x².
        np.testing.assert_allclose(bounded().x, [0.5, 0.25], atol=1e-8)
    else:
        with pytest.raises(ParameterError, match=f"{cls.__name__} takes no bounds"):
            bounded()


@EACH
@pytest.mark.parametrize("x0", [np.zeros((2, 1)), 1.0])
def test_start_that_is_no_vector(cls, x0):
    with pytest.raises(ShapeError, match=r"x0 must be a vector"):
        cls().minimize(rosenbrock, x0)


@EACH
def test_start_with_nan(cls):
    with pytest.raises(ParameterError, match="x0 must be finite"):
        cls().minimize(rosenbrock, [np.nan, 1.0])


@EACH
def test_gradient_of_another_shape(cls):
    def fun(x, hessian=False):
        return (x @ x, np.ones(3), np.eye(2))[: 3 if hessian else 2]

    with pytest.raises(ShapeError, match=r"gradient.*\(2,\).*\(3,\)"):
        cls().minimize(fun, np.zeros(2))


@EACH
@pytest.mark.parametrize(
    ("name", "value"), [("max_iter", 0), ("max_iter", 1.5), ("tol", -1.0)]
)
def test_parameters_are_checked_on_use(cls, name, value):
    optimizer = cls(**{name: value})
    with pytest.raises(ParameterError, match=f"'{name}' parameter of {cls.__name__}"):
        optimizer.minimize(rosenbrock, [0.0, 0.0])


@EACH
def test_no_parameters_at_all(cls):
    def fun(x, hessian=False):
        return (1.0, x, np.zeros((0, 0)))[: 3 if hessian else 2]

    assert cls().minimize(fun, np.zeros(0)).success


@EACH
def test_is_a_parameter_object(cls):
    optimizer = cls(max_iter=7)
    assert clone(optimizer) == optimizer
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer
    assert repr(optimizer) == f"{cls.__name__}(max_iter=7)"
    assert not cls.stochastic
