"""Regularisation paths against R's glmnet, scikit-learn and quasi-Newton methods."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy

from skgrad.losses import LogLoss, Poisson, SquaredError
from skgrad.solvers import column_descent
from skgrad.solvers import path as module
from skgrad.solvers.columns import columns_of
from skgrad.solvers.local_models import GramModel
from skgrad.solvers.moments import Moments, solve_moments
from skgrad.solvers.path import solve_path
from skgrad.solvers.path_problem import PathProblem
from skgrad.solvers.strengths import tolerance_of
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


def poisson_rows(y):
    """Return derivatives of a log-linear model in NumPy: nothing is compiled."""

    def rows(raw):
        mean = np.exp(raw) / len(y)
        return mean - raw * y / len(y), mean - y / len(y), mean

    return rows


def counts(X, rng):
    """Return a problem of counts that depend on every twentieth column."""
    n, p = X.shape
    eta = X[:, ::20] @ rng.normal(size=-(-p // 20))
    y = rng.poisson(np.exp(0.5 * eta / eta.std())).astype(float)
    mean = X.T @ np.full(n, 1 / n)
    columns = columns_of(X, mean)
    return PathProblem(
        columns,
        poisson_rows(y),
        np.log([y.mean()]),
        vector=True,
        factors=np.ones(p),
        scale=np.sqrt(columns.squares(np.full(n, 1 / n))),
        low=np.full((1, p), -np.inf),
        high=np.full((1, p), np.inf),
        l1_ratio=1.0,
    )


@pytest.mark.parametrize("kind", ["C", "F", "sparse"])
def test_memory_beyond_the_result_is_one_copy(kind, rng, monkeypatch):
    if kind == "sparse":
        monkeypatch.setattr(column_descent, "COMPILED_FROM", 10**9)
        X = scipy.sparse.random_array((20_000, 1_000), density=0.02, rng=rng).tocsc()
        size = X.data.nbytes + X.indices.nbytes
    else:
        X = np.asarray(rng.normal(size=(20_000, 200)), order=kind)
        size = X.nbytes
    tracemalloc.start()
    problem = counts(X, rng)
    path = solve_path(problem, 10, 1e-2, tol=1e-2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (path.coef[-1] != 0).sum() > 0.3 * X.shape[1]
    assert peak - path.coef.nbytes <= size


def test_tolerances_fall_with_the_strength(rng):
    problem = counts(rng.normal(size=(300, 60)), rng)
    path = solve_path(problem, 20, 1e-2, tol=1e-3, ends_early=False)
    bounds = [tolerance_of(1e-3, s, path.strengths[0]) for s in path.strengths]
    np.testing.assert_allclose(bounds, 1e-3 * np.sqrt(np.geomspace(1, 1e-2, 20)))
    assert (path.residual <= bounds).all()


@pytest.mark.parametrize("strength", [0.0, 1e-9, 1e-3])
def test_tolerances_fall_to_a_thirtieth(strength):
    assert tolerance_of(1.0, strength, 1.0) == pytest.approx(0.0316, rel=1e-2)
    assert tolerance_of(1.0, 2.0, 1.0) == tolerance_of(1.0, strength, 0.0) == 1.0


def test_matrices_follow_the_mean_curvature(rng):
    problem = counts(rng.normal(size=(300, 5)), rng)
    zero = np.zeros((1, 5))
    points = [
        problem.at(zero, np.array([c]), np.full((300, 1), c))
        for c in np.log([1.0, 2.0])
    ]
    models = [GramModel(problem, point) for point in points]
    for model, point in zip(models, points, strict=True):
        model.admit(np.arange(5), point)
    rest = np.arange(5), zero, np.zeros(1), 0.1, 1e-9
    found = [model.solve(points[1], *rest)[0] for model in models]
    np.testing.assert_allclose(found[0], found[1])
    np.testing.assert_allclose(models[0].blocks[0].G, models[1].blocks[0].G)
