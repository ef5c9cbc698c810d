"""Blocks of rows are all rows, once, in float64 and without copies."""

import numpy as np
import pytest

from skgrad.solvers import QuantileProblem
from skgrad.solvers.problem import BLOCK_BYTES


def problem_of(n, p, dtype=np.float64, **options):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p)).astype(dtype)
    return QuantileProblem(X, rng.normal(size=n), rng.exponential(size=n), **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "p"), [(1, 3), (64, 1), (5000, 60), (70, 10**4), (9, 0)])
def test_blocks_are_all_rows_once_and_in_order(n, p, dtype):
    problem = problem_of(n, p, dtype)
    parts = list(problem.blocks())
    index = np.concatenate([np.arange(n)[at] for at, *_ in parts])
    np.testing.assert_array_equal(index, np.arange(n))
    whole = [np.concatenate([part[k] for part in parts]) for k in (1, 2, 3)]
    for part, expected in zip(whole, (problem.X, problem.y, problem.w), strict=True):
        assert part.dtype == np.float64
        np.testing.assert_array_equal(part, expected)


def test_blocks_are_small_and_no_copies():
    problem = problem_of(50_000, 20)
    sizes = []
    for _, X, y, w in problem.blocks():
        assert np.shares_memory(X, problem.X)
        assert np.shares_memory(y, problem.y)
        assert np.shares_memory(w, problem.w)
        sizes.append(X.nbytes)
    assert len(sizes) > 1
    assert max(sizes) <= BLOCK_BYTES


def test_blocks_of_a_memory_map_are_read_one_by_one(tmp_path):
    problem = problem_of(20_000, 30)
    np.save(tmp_path / "X.npy", problem.X)
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    mapped = QuantileProblem(X, problem.y, problem.w)
    parts = [X for _, X, _, _ in mapped.blocks()]
    assert all(np.shares_memory(part, X) for part in parts)
    np.testing.assert_array_equal(np.concatenate(parts), problem.X)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_an_intercept_is_a_column(fit_intercept):
    problem = problem_of(7, 3, fit_intercept=fit_intercept)
    assert problem.n_rows == 7
    assert problem.n_columns == 3 + fit_intercept


def test_rows_are_a_copy_with_the_same_bounds_and_their_part_of_the_penalty():
    ends = {"penalty": np.arange(3.0), "low": np.zeros(3), "high": np.full(3, 2.0)}
    problem = problem_of(10, 3, np.float32, fit_intercept=False, **ends)
    index = np.array([7, 0, 7])
    part = problem.rows(index)
    assert part.X.dtype == np.float64
    assert not np.shares_memory(part.X, problem.X)
    np.testing.assert_array_equal(part.X, problem.X[index])
    np.testing.assert_array_equal(part.y, problem.y[index])
    np.testing.assert_array_equal(part.w, problem.w[index])
    assert not part.fit_intercept
    assert part.low is problem.low
    assert part.high is problem.high
    share = part.w.sum() / problem.w.sum()
    np.testing.assert_allclose(part.penalty, share * ends["penalty"])
