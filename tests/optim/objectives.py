"""Smooth functions of a flat vector for the tests of full-batch optimizers.

They are called in the three ways: ``fun(x)``, ``fun(x, hessian=True)``,
``fun(x, vector=v)``.
"""

from functools import wraps

import numpy as np
from scipy import optimize, special


def with_products(fun):
    """Let a function with a Hessian give its products with vectors."""

    @wraps(fun)
    def also_products(x, hessian=False, vector=None):
        if vector is not None:
            return fun(x, hessian=True)[2] @ vector
        return fun(x, hessian)

    return also_products


def least_squares(X, y):
    """Return mean squared error / 2 with its gradient and Hessian."""

    def fun(w, hessian=False):
        r = X @ w - y
        first = 0.5 * r @ r / len(y), X.T @ r / len(y)
        return (*first, X.T @ X / len(y)) if hessian else first

    return with_products(fun)


def logistic(X, y, alpha=0.0):
    """Return the mean log loss with an L2 penalty."""

    def fun(w, hessian=False):
        z = X @ w
        p = special.expit(z)
        value = np.mean(np.logaddexp(0, z) - y * z) + alpha / 2 * w @ w
        first = value, X.T @ (p - y) / len(y) + alpha * w
        if not hessian:
            return first
        return (*first, (X.T * (p * (1 - p))) @ X / len(y) + alpha * np.eye(len(w)))

    return with_products(fun)


def huber(X, y, delta):
    """Return the mean Huber loss, whose Hessian is singular far from the data."""

    def fun(w, hessian=False):
        r = X @ w - y
        size = np.abs(r)
        inside = size <= delta
        values = np.where(inside, 0.5 * r**2, delta * (size - 0.5 * delta))
        first = values.mean(), X.T @ np.clip(r, -delta, delta) / len(y)
        return (*first, (X.T * inside) @ X / len(y)) if hessian else first

    return with_products(fun)


def poisson(X, y):
    """Return the mean Poisson deviance / 2 up to a constant; overflows far away."""

    def fun(w, hessian=False):
        z = X @ w
        with np.errstate(over="ignore", invalid="ignore"):
            mu = np.exp(z)
            first = np.mean(mu - y * z), X.T @ (mu - y) / len(y)
            return (*first, (X.T * mu) @ X / len(y)) if hessian else first

    return with_products(fun)


@with_products
def rosenbrock(x, hessian=False):
    first = optimize.rosen(x), optimize.rosen_der(x)
    return (*first, optimize.rosen_hess(x)) if hessian else first


@with_products
def barrier(x, hessian=False):
    """Return the sum of x - log x: NaN for a negative entry, least at ones."""
    value = np.sum(x - np.log(x)) if (x > 0).all() else np.nan
    first = value, 1 - 1 / x
    return (*first, np.diag(1 / x**2)) if hessian else first
