"""Bootstrap of linear quantile regression: refits to resampled rows or errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from skgrad.typing import Array

__all__ = ["bootstrap", "parameters_of", "refit"]

# What draws one replicate: estimator, X, y, w, parameters, generator -> parameters.
Replicate = Callable[..., Array]


def parameters_of(estimator: Any) -> Array:
    """Return all coefficients, the intercept first if there is one.

    Parameters
    ----------
    estimator : estimator
        A fitted linear model.

    Returns
    -------
    ndarray of shape (n_outputs, n_coefficients)
        A row per output, a single one included.
    """
    coef = np.atleast_2d(estimator.coef_)
    if not estimator.fit_intercept:
        return coef
    return np.column_stack([np.atleast_1d(estimator.intercept_), coef])


def refit(
    estimator: Any, X: Any, y: Array, sample_weight: Array, **params: Any
) -> Array:
    """Return the coefficients of a clone, fitted anew.

    Parameters
    ----------
    estimator : estimator
        A linear model; it stays as it is.
    X : array-like of shape (n_samples, n_features)
        Inputs.
    y : ndarray of shape (n_samples,)
        Targets.
    sample_weight : ndarray of shape (n_samples,)
        Weights.
    **params
        Parameters to change, such as ``quantile``.

    Returns
    -------
    ndarray of shape (n_outputs, n_coefficients)
        As :func:`parameters_of`.
    """
    model = clone(estimator).set_params(**params)
    return parameters_of(model.fit(X, y, sample_weight=sample_weight))


def bootstrap(
    estimator: Any,
    X: Any,
    y: Array,
    w: Array,
    fitted: Array,
    *,
    method: str,
    n_bootstrap: int,
    random_state: Any,
    n_jobs: int | None,
) -> Array:
    """Return the covariances of the coefficients over refits.

    Parameters
    ----------
    estimator : estimator
        A fitted linear quantile regression.
    X : array-like of shape (n_samples, n_features)
        Inputs it was fitted to; each refit sees them as they are, without a copy.
    y, w : ndarray of shape (n_samples,)
        Targets and weights.
    fitted : ndarray of shape (n_quantiles, n_samples)
        Its predictions.
    method : {"bootstrap", "wild_bootstrap"}
        Whether rows are resampled or errors.
    n_bootstrap : int
        Number of refits.
    random_state : int, RandomState or None
        Seed; the result depends on nothing else.
    n_jobs : int or None
        Processes of joblib.

    Returns
    -------
    ndarray of shape (n_quantiles, n_coefficients, n_coefficients)
        Covariances.
    """
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31)
    # A stream per refit, so that it does not matter which process draws it.
    seeds = np.random.SeedSequence(random_state).spawn(n_bootstrap)
    replicate = REPLICATES[method]
    found = Parallel(n_jobs=n_jobs)(
        delayed(replicate)(estimator, X, y, w, fitted, seed) for seed in seeds
    )
    by_output = np.moveaxis(np.array(found), 1, 0)
    return np.array([np.atleast_2d(np.cov(each.T)) for each in by_output])


def _resampled(estimator, X, y, w, fitted, seed) -> Array:
    """Refit to rows drawn with replacement: how often each was drawn is a weight."""
    rows = np.flatnonzero(w)
    drawn = np.random.default_rng(seed).choice(rows, len(rows))
    return refit(estimator, X, y, w * np.bincount(drawn, minlength=len(w)))


def _wild(estimator, X, y, w, fitted, seed) -> Array:
    """Refit to errors of the same size and new signs, in each row.

    The factors are 2 (1 - q) with probability 1 - q, otherwise -2 q: their quantile q
    is zero (Feng, He and Hu 2011).
    """
    rng = np.random.default_rng(seed)
    levels = np.atleast_1d(estimator.quantile)
    found = []
    for level, predicted in zip(levels, fitted, strict=True):
        below = rng.random(len(y)) < level
        factors = np.where(below, -2 * level, 2 * (1 - level))
        targets = predicted + factors * np.abs(y - predicted)
        found.append(refit(estimator, X, targets, w, quantile=float(level))[0])
    return np.array(found)


REPLICATES: dict[str, Replicate] = {"bootstrap": _resampled, "wild_bootstrap": _wild}
