"""Refits to resampled rows or errors: seeds, processes, weights."""

import numpy as np
import pytest
from estimators.test_quantile_inference import Exact, many_columns
from joblib import parallel_config

from skgrad.estimators.quantile_inference import quantile_summary

METHODS = pytest.mark.parametrize("method", ["bootstrap", "wild_bootstrap"])


@METHODS
def test_a_seed_says_it_all(method):
    X, y = many_columns(60, 2)
    model = Exact(quantile=[0.3, 0.5]).fit(X, y)

    def errors(random_state, n_jobs=None):
        return quantile_summary(
            model,
            X,
            y,
            method=method,
            n_bootstrap=6,
            random_state=random_state,
            n_jobs=n_jobs,
        ).standard_errors

    first = errors(0)
    with parallel_config(backend="threading"):
        np.testing.assert_array_equal(errors(0, n_jobs=2), first)
    np.testing.assert_array_equal(
        errors(np.random.RandomState(0)), errors(np.random.RandomState(0))
    )
    assert not np.array_equal(errors(1), first)
    assert not np.array_equal(errors(None), errors(None))


@METHODS
def test_weights_of_zero_are_rows_left_out(method):
    X, y = many_columns(60, 2)
    w = np.arange(60.0) % 3
    model = Exact().fit(X, y, w)
    found = quantile_summary(
        model, X, y, w, method=method, n_bootstrap=60, random_state=0
    )
    alone = quantile_summary(
        model,
        X[w > 0],
        y[w > 0],
        w[w > 0],
        method=method,
        n_bootstrap=60,
        random_state=0,
    )
    # Those of rows are the same draws; signs are drawn for all rows.
    rtol = 1e-6 if method == "bootstrap" else 0.4
    np.testing.assert_allclose(found.standard_errors, alone.standard_errors, rtol=rtol)


@METHODS
def test_the_spread_of_a_median_without_features(method):
    """Of normal errors: sqrt(pi / 2 n), by the density 1 / sqrt(2 pi) at zero."""
    rng = np.random.default_rng(0)
    X, y = np.ones((400, 1)), rng.standard_normal(400)
    model = Exact(fit_intercept=False).fit(X, y)
    found = quantile_summary(
        model, X, y, method=method, n_bootstrap=100, random_state=0
    )
    assert abs(found.standard_errors[0] / np.sqrt(np.pi / 800) - 1) < 0.3


def test_penalised_models_vary_too(rng):
    X, y = many_columns(60, 2)
    model = Exact(alpha=0.1).fit(X, y)
    found = quantile_summary(
        model, X, y, method="bootstrap", n_bootstrap=20, random_state=0
    )
    assert np.all(found.standard_errors >= 0)
