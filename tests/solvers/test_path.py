"""Regularisation paths against R's glmnet, scikit-learn and quasi-Newton methods."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy

from skgrad.losses import LogLoss, Poisson, SquaredError
from skgrad.solvers import path as module
from skgrad.solvers.columns import columns_of
from skgrad.solvers.moments import Moments, solve_moments
from skgrad.solvers.path import solve_path
from skgrad.solvers.path_problem import PathProblem
from skgrad.train import RowDerivatives

FILE = Path(__file__).parents[1] / "data_files" / "glmnet_paths.json"
GLMNET = json.loads(FILE.read_text())
LOSSES = {
    "gaussian": SquaredError(),
    "binomial": LogLoss(),
    "multinomial": LogLoss(),
    "poisson": Poisson(),
}


def problem_of(
    X, y, loss, w, l1_ratio=1.0, factors=None, bounds=(-np.inf, np.inf), k=None
):
    """Return a problem on standardised inputs, as glmnet's."""
    p = X.shape[1]
    w = w / w.sum()
    dense = X.toarray() if scipy.sparse.issparse(X) else X
    mean = w @ dense
    scale = np.sqrt(w @ (dense - mean) ** 2)
    rows = RowDerivatives(loss, y, w)
    known = {"n_classes": k} if k else {}
    start = np.atleast_1d(loss.optimal_constant(y, w, **known))
    return PathProblem(
        columns_of(X, mean),
        rows,
        start,
        vector=k is None,
        factors=np.ones(p) if factors is None else factors,
        scale=scale,
        low=np.full((k or 1, p), bounds[0]),
        high=np.full((k or 1, p), bounds[1]),
        l1_ratio=l1_ratio,
        quadratic=type(loss) is SquaredError,
    )


@pytest.mark.parametrize("most", [module.GRAM_MOST, 0], ids=["matrix", "columns"])
@pytest.mark.parametrize("case", GLMNET["problems"], ids=lambda case: case["name"])
def test_equals_glmnet(case, most, monkeypatch):
    monkeypatch.setattr(module, "GRAM_MOST", most)
    X, y = np.array(case["X"]), np.array(case["y"])
    k = 3 if case["family"] == "multinomial" else None
    if case["sparse"]:
        X = scipy.sparse.csc_array(X)
    problem = problem_of(
        X,
        y.astype(int) if k else y,
        LOSSES[case["family"]],
        np.array(GLMNET["weights"]),
        case["l1_ratio"],
        np.array(case["factors"]),
        (-0.2, 0.3) if "bounds" in case["name"] else (-np.inf, np.inf),
        k,
    )
    tol, near, some = 1e-9, 1e-5, slice(None)
    if k and not most:  # class by class, which takes many steps to the last digits
        tol, near, some = 1e-5, 2e-3, slice(8)
    path = solve_path(problem, case["alphas"][some], tol=tol, max_iter=1000)
    expected = np.array(case["coef"]).swapaxes(0, 1)[some]
    intercept = np.array(case["intercept"])[some]
    found = path.intercept
    if k:  # the same for all classes changes nothing
        found = found - found.mean(axis=1, keepdims=True)
        intercept = intercept - intercept.mean(axis=1, keepdims=True)
    assert path.residual.max() <= tol
    np.testing.assert_allclose(path.coef, expected, atol=near)
    np.testing.assert_allclose(found, intercept, atol=near)


@pytest.mark.parametrize(
    "case",
    [c for c in GLMNET["problems"] if c["family"] == "gaussian"],
    ids=lambda case: case["name"],
)
def test_moments_equal_glmnet(case):
    X, y, w = np.array(case["X"]), np.array(case["y"]), np.array(GLMNET["weights"])
    mean = np.average(X, axis=0, weights=w)
    scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=w))
    bound = (-0.2, 0.3) if "bounds" in case["name"] else (-np.inf, np.inf)
    low, high = (np.full((1, X.shape[1]), b) for b in bound)
    moments = Moments.of(X, y[:, None], w, X.mean(axis=0), np.zeros(1))
    factors, ratio = np.array(case["factors"]), case["l1_ratio"]
    path = solve_moments(
        moments, factors, scale, low, high, ratio, case["alphas"], tol=1e-9
    )
    assert path.residual.max() <= 1e-9
    np.testing.assert_allclose(path.coef[:, 0], np.array(case["coef"])[0], atol=1e-5)
    np.testing.assert_allclose(path.intercept, np.array(case["intercept"]), atol=1e-5)
