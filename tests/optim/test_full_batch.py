"""What Newton and L-BFGS have in common."""

import pickle

import numpy as np
import pytest
from optim.objectives import rosenbrock
from sklearn.base import clone

from skgrad.exceptions import ParameterError, ShapeError
from skgrad.optim import LBFGS, MinimizeStatus, Newton

BOTH = pytest.mark.parametrize("cls", [LBFGS, Newton])


@BOTH
def test_start_is_not_modified(cls):
    x0 = np.array([-1.2, 1.0])
    cls().minimize(rosenbrock, x0)
    np.testing.assert_array_equal(x0, [-1.2, 1.0])


@BOTH
def test_function_may_overwrite_what_it_gets_and_gave(cls):
    gradient = np.empty(2)

    def fun(x, hessian=False):
        shifted = x - 3
        x[:] = np.nan
        gradient[:] = 2 * shifted
        first = float(shifted @ shifted), gradient
        return (*first, 2 * np.eye(2)) if hessian else first

    np.testing.assert_allclose(cls().minimize(fun, np.zeros(2)).x, 3, rtol=1e-9)


@BOTH
def test_callback_sees_every_iteration(cls):
    seen = []
    result = cls().minimize(rosenbrock, [-1.2, 1.0], lambda *args: seen.append(args))
    assert [nit for *_, nit in seen] == list(range(1, result.nit + 1))
    for x, value, norm, _ in seen:
        assert value == rosenbrock(x)[0]
        assert norm == np.abs(rosenbrock(x)[1]).max()
    values = [value for _, value, *_ in seen]
    assert values == sorted(values, reverse=True)


@BOTH
def test_callback_stops_the_run(cls):
    def callback(x, value, norm, iteration):
        if iteration == 3:
            raise StopIteration

    result = cls().minimize(rosenbrock, [-1.2, 1.0], callback)
    assert (result.nit, result.status) == (3, MinimizeStatus.STOPPED)
    assert not result.success
    assert result.fun == rosenbrock(result.x)[0]


@BOTH
def test_interrupt_passes_through(cls):
    def callback(x, value, norm, iteration):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cls().minimize(rosenbrock, [-1.2, 1.0], callback)


@BOTH
def test_evaluations_are_counted(cls):
    calls = []

    def fun(x, hessian=False):
        calls.append(hessian)
        return rosenbrock(x, hessian)

    result = cls().minimize(fun, [-1.2, 1.0])
    assert (result.nfev, result.nhev) == (len(calls), sum(calls))


@BOTH
@pytest.mark.parametrize("x0", [np.zeros((2, 1)), 1.0])
def test_start_that_is_no_vector(cls, x0):
    with pytest.raises(ShapeError, match=r"x0 must be a vector"):
        cls().minimize(rosenbrock, x0)


@BOTH
def test_start_with_nan(cls):
    with pytest.raises(ParameterError, match="x0 must be finite"):
        cls().minimize(rosenbrock, [np.nan, 1.0])


@BOTH
def test_gradient_of_another_shape(cls):
    def fun(x, hessian=False):
        return (x @ x, np.ones(3), np.eye(2))[: 3 if hessian else 2]

    with pytest.raises(ShapeError, match=r"gradient.*\(2,\).*\(3,\)"):
        cls().minimize(fun, np.zeros(2))


@BOTH
@pytest.mark.parametrize(
    ("name", "value"), [("max_iter", 0), ("max_iter", 1.5), ("tol", -1.0)]
)
def test_parameters_are_checked_on_use(cls, name, value):
    optimizer = cls(**{name: value})
    with pytest.raises(ParameterError, match=f"'{name}' parameter of {cls.__name__}"):
        optimizer.minimize(rosenbrock, [0.0, 0.0])


@BOTH
def test_no_parameters_at_all(cls):
    def fun(x, hessian=False):
        return (1.0, x, np.zeros((0, 0)))[: 3 if hessian else 2]

    assert cls().minimize(fun, np.zeros(0)).success


@BOTH
def test_is_a_parameter_object(cls):
    optimizer = cls(max_iter=7)
    assert clone(optimizer) == optimizer
    assert pickle.loads(pickle.dumps(optimizer)) == optimizer
    assert repr(optimizer) == f"{cls.__name__}(max_iter=7)"
    assert not cls.stochastic
