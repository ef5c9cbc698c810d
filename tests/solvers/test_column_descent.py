"""Coordinate descent over columns against quasi-Newton methods of SciPy."""

import numpy as np
import pytest
import scipy

from skgrad.solvers.column_descent import minimize_columns

N, P = 60, 15


def problem(rng, l1=0.3, l2=0.2):
    X = scipy.sparse.random(N, P, 0.3, format="csc", random_state=rng)
    d, t = rng.random(N) + 0.1, rng.normal(size=N)
    side = X.T @ d
    return X, {
        "weights": d,
        "slope": t,
        "side": side,
        "curvature": X.multiply(X).T @ d - side**2 / d.sum(),
        "penalties": (np.full(P, l1), np.full(P, l2)),
        "bounds": (np.full(P, -0.4), np.full(P, 0.5)),
        "coef": 0.1 * rng.normal(size=P),
        "order": np.arange(P),
        "tol": 1e-20,
        "max_sweeps": 1000,
    }


def minimum(X, args, intercept=True):
    """Return coefficients, as differences of their parts, and the shift."""
    D, (l1, l2), start = X.toarray(), args["penalties"], args["coef"]
    low, high = args["bounds"]

    def function(z):
        b = z[:P] - z[P : 2 * P]
        delta = D @ (b - start) + z[-1]
        slope = args["slope"] + args["weights"] * delta
        value = delta @ (args["slope"] + 0.5 * args["weights"] * delta)
        value += l1 @ (z[:P] + z[P : 2 * P]) + 0.5 * l2 @ b**2
        g = D.T @ slope + l2 * b
        return value, np.r_[g + l1, l1 - g, slope.sum()]

    ends = (None, None) if intercept else (0, 0)
    bounds = [(0, h) for h in high] + [(0, -h) for h in low] + [ends]
    options = {"ftol": 1e-16, "gtol": 1e-12, "maxiter": 10_000, "maxfun": 100_000}
    start_at = np.zeros(2 * P + 1)
    z = scipy.optimize.minimize(
        function, start_at, jac=True, bounds=bounds, method="L-BFGS-B", options=options
    ).x
    return z[:P] - z[P : 2 * P], z[-1]


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("intercept", [True, False])
def test_equals_scipy(dense, intercept, rng):
    X, args = problem(rng)
    if not intercept:
        args["side"] = None
        args["curvature"] = X.multiply(X).T @ args["weights"]
    columns = (X.data, X.indices, X.indptr)
    if dense:
        columns = (np.ascontiguousarray(X.toarray().T), None, None)
    found = minimize_columns(columns, **args)
    coef, shift = minimum(X, args, intercept)
    assert found.converged
    np.testing.assert_allclose(found.coef, coef, atol=1e-7)
    np.testing.assert_allclose(found.shift, shift, atol=1e-7)


def test_only_columns_of_the_order_move(rng):
    X, args = problem(rng)
    args["order"] = np.array([2, 3])
    found = minimize_columns((X.data, X.indices, X.indptr), **args)
    kept = np.delete(np.arange(P), [2, 3])
    np.testing.assert_array_equal(found.coef[kept], args["coef"][kept])


def test_arguments_are_not_changed(rng):
    X, args = problem(rng)
    before = {name: np.copy(args[name]) for name in ("slope", "coef", "weights")}
    minimize_columns((X.data, X.indices, X.indptr), **args)
    for name, value in before.items():
        np.testing.assert_array_equal(args[name], value)


def test_too_few_sweeps(rng):
    X, args = problem(rng)
    args["max_sweeps"] = 2
    found = minimize_columns((X.data, X.indices, X.indptr), **args)
    assert (found.converged, found.n_sweeps) == (False, 2)
