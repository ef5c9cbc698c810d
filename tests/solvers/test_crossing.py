"""Levels that do not cross, against HiGHS on the programme of all of them."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp

from skgrad.exceptions import SolverError
from skgrad.solvers import (
    QuantileProblem,
    crossing,
    solve_ordered_quantiles,
    solve_quantiles,
)


def by_highs(problem, levels):
    """Return the minimum of the sum of all levels with every condition written out."""
    X, w = problem.X, problem.w
    if problem.fit_intercept:
        X = np.column_stack([X, np.ones(len(X))])
    n, q, K = *X.shape, len(levels)
    rate = np.zeros(q)
    if problem.penalty is not None:
        rate[: len(problem.penalty)] = problem.penalty
    low, high = np.full(q, -np.inf), np.full(q, np.inf)
    if problem.low is not None:
        low[: len(problem.low)], high[: len(problem.high)] = problem.low, problem.high
    # Coefficients of all levels, their absolute values, residuals above and below.
    cost = np.concatenate(
        [np.zeros(K * q), np.tile(rate, K)]
        + [np.concatenate([w * level, w * (1 - level)]) for level in levels]
    )
    residuals = sp.hstack([sp.eye(n), -sp.eye(n)])
    equal = sp.hstack(
        [
            sp.block_diag([X] * K),
            sp.csr_matrix((K * n, K * q)),
            sp.block_diag([residuals] * K),
        ]
    )
    eye, rest = sp.eye(K * q), sp.csr_matrix((K * q, 2 * n * K))
    step = sp.diags([1.0, -1.0], [0, 1], shape=(K - 1, K))
    below = sp.vstack(
        [
            sp.hstack([eye, -eye, rest]),
            sp.hstack([-eye, -eye, rest]),
            sp.hstack(
                [sp.kron(step, X), sp.csr_matrix(((K - 1) * n, K * (q + 2 * n)))]
            ),
        ]
    )
    bounds = np.concatenate(
        [
            np.tile(np.column_stack([low, high]), (K, 1)),
            np.tile([0.0, np.inf], (K * (q + 2 * n), 1)),
        ]
    )
    result = scipy.optimize.linprog(
        cost,
        A_eq=equal,
        b_eq=np.tile(problem.y, K),
        A_ub=below,
        b_ub=np.zeros(below.shape[0]),
        bounds=bounds,
        method="highs",
    )
    assert result.status == 0
    return result.fun


def predicted(problem, solutions):
    return np.column_stack([problem.X @ s.coef + s.intercept for s in solutions])


def random_problem(seed, **kinds):
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(15, 150)), int(rng.integers(1, 5))
    X = rng.normal(size=(n, p))
    y = X @ rng.normal(size=p) + rng.normal(size=n)
    if seed % 3 == 0:
        y = np.round(y)
    if "positive_rows" in kinds:
        X = np.abs(X)
    w = rng.exponential(size=n) + 0.01 if "weights" in kinds else np.ones(n)
    penalty = np.full(p, 0.02 * n) if "penalty" in kinds else None
    bounds = (np.full(p, -0.3), np.full(p, 0.6)) if "bounds" in kinds else (None, None)
    intercept = "no_intercept" not in kinds
    problem = QuantileProblem(X, y, w, intercept, penalty, *bounds)
    levels = np.sort(rng.uniform(0.05, 0.95, int(rng.integers(2, 6))))
    return problem, levels


@pytest.mark.parametrize(
    "kinds",
    [
        {},
        {"weights": 1},
        {"penalty": 1},
        {"bounds": 1},
        {"weights": 1, "penalty": 1, "bounds": 1},
        {"no_intercept": 1},
        {"no_intercept": 1, "positive_rows": 1},
    ],
    ids=lambda kinds: "-".join(kinds) or "plain",
)
def test_the_minimum_of_all_levels_is_that_of_highs(kinds):
    crossed = 0
    for seed in range(6):
        problem, levels = random_problem(seed, **kinds)
        apart = solve_quantiles(problem, levels)
        together = solve_ordered_quantiles(problem, levels)
        crossed += (np.diff(predicted(problem, apart)) < -1e-9).any()
        assert np.diff(predicted(problem, together)).min() >= -1e-11
        total = sum(s.objective for s in together)
        assert total == pytest.approx(by_highs(problem, levels), rel=1e-9)
        assert max(s.duality_gap for s in together) < 1e-9
    assert crossed or "no_intercept" in kinds  # otherwise nothing was tried


def test_levels_that_do_not_cross_are_those_solved_apart():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 3))
    problem = QuantileProblem(X, X.sum(axis=1) + rng.normal(size=2000), np.ones(2000))
    levels = np.array([0.1, 0.5, 0.9])
    apart, together = (
        solve(problem, levels) for solve in (solve_quantiles, solve_ordered_quantiles)
    )
    for one, other in zip(apart, together, strict=True):
        np.testing.assert_array_equal(one.coef, other.coef)


def test_rows_fixed_to_their_signs_are_checked_again():
    # Levels this close cross, and the rows are too many for a single programme.
    rng = np.random.default_rng(1)
    X = rng.normal(size=(3000, 4))
    y = X @ rng.normal(size=4) + (1 + np.abs(X[:, 0])) * rng.normal(size=3000)
    problem = QuantileProblem(X, y, np.ones(3000))
    levels = np.linspace(0.45, 0.55, 11)
    apart, together = (
        solve(problem, levels) for solve in (solve_quantiles, solve_ordered_quantiles)
    )
    assert (np.diff(predicted(problem, apart)) < -1e-9).any()
    assert np.diff(predicted(problem, together)).min() >= -1e-11
    lost = sum(s.objective for s in together) - sum(s.objective for s in apart)
    assert 0 < lost < 1e-3 * sum(s.objective for s in apart)
    assert max(s.duality_gap for s in together) < 1e-9


def test_one_level_has_no_neighbour():
    problem, _ = random_problem(0)
    (alone,) = solve_ordered_quantiles(problem, np.array([0.3]))
    (same,) = solve_quantiles(problem, np.array([0.3]))
    np.testing.assert_array_equal(alone.coef, same.coef)


def test_a_programme_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(crossing, "MOST_BYTES", 1000)
    rng = np.random.default_rng(0)
    problem = QuantileProblem(
        rng.normal(size=(30, 3)), rng.normal(size=30), np.ones(30)
    )
    with pytest.raises(SolverError, match="GiB"):
        solve_ordered_quantiles(problem, np.linspace(0.4, 0.6, 9))
