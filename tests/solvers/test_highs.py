"""The same programme by HiGHS: against its primal form, and how it ends."""

import numpy as np
import pytest
import scipy

from skgrad.solvers import TiltedRows, VertexStatus, highs, minimize_highs


def random_rows(rng, m=40, q=3, quantile=0.3):
    w = rng.exponential(size=m)
    A, y = rng.normal(size=(m, q)), rng.standard_t(3, size=m)
    return TiltedRows(A, y, w * quantile, w * (1 - quantile), np.zeros(q))


def by_primal(rows):
    """Return the minimum, over coefficients and both parts of the residuals."""
    m = len(rows)
    result = scipy.optimize.linprog(
        np.concatenate([-rows.linear, rows.up, rows.down]),
        A_eq=np.hstack([rows.A, np.eye(m), -np.eye(m)]),
        b_eq=rows.y,
        bounds=[(None, None)] * rows.n_columns + [(0, None)] * (2 * m),
        method="highs-ipm",
    )
    assert result.status == 0
    return result.fun


@pytest.mark.parametrize("linear", [0.0, 0.5])
@pytest.mark.parametrize("quantile", [0.01, 0.3, 0.9])
def test_the_minimum_is_that_of_the_primal_programme(quantile, linear, rng):
    rows = random_rows(rng, quantile=quantile)
    # A linear term that some dual variables balance has a minimum.
    some = linear * rng.uniform(-rows.down, rows.up)
    rows = rows.with_linear(-some @ rows.A)
    found = minimize_highs(rows)
    assert found.status is VertexStatus.OPTIMAL
    expected = by_primal(rows)
    np.testing.assert_allclose(rows.value(found.coef), expected, rtol=1e-7)
    np.testing.assert_allclose(found.dual @ rows.y, expected, rtol=1e-7)


def test_dual_variables_are_within_the_slopes_and_balance(rng):
    rows = random_rows(rng, m=200, q=8)
    found = minimize_highs(rows)
    assert ((found.dual >= -rows.down) & (found.dual <= rows.up)).all()
    np.testing.assert_allclose(found.dual @ rows.A, 0, atol=1e-7 * rows.width.sum())
    r = rows.y - rows.A @ found.coef
    np.testing.assert_allclose(found.dual[r > 1e-6], rows.up[r > 1e-6])
    np.testing.assert_allclose(found.dual[r < -1e-6], -rows.down[r < -1e-6])


def test_the_weighted_median():
    """By hand: 3 of 5 lie at or below 4, 4 of 5 at or above it."""
    y, w = np.array([1.0, 4.0, 9.0]), np.array([1.0, 2.0, 2.0])
    found = minimize_highs(TiltedRows(np.ones((3, 1)), y, w, w, np.zeros(1)))
    np.testing.assert_allclose(found.coef, [4.0])
    np.testing.assert_allclose(found.dual, [-1.0, -1.0, 2.0])


@pytest.mark.parametrize("factor", [1e-9, 1e9])
@pytest.mark.parametrize("part", ["targets", "slopes"])
def test_sizes_of_targets_and_slopes_are_of_no_account(part, factor, rng):
    rows = random_rows(rng)
    y, up, down = rows.y, rows.up, rows.down
    if part == "targets":
        y = factor * y
    else:
        up, down = factor * up, factor * down
    found = minimize_highs(TiltedRows(rows.A, y, up, down, rows.linear))
    other = minimize_highs(rows)
    scale = factor if part == "targets" else 1.0
    np.testing.assert_allclose(found.coef, scale * other.coef, rtol=1e-6)
    np.testing.assert_allclose(found.dual * scale, factor * other.dual, rtol=1e-6)


def test_it_has_no_basis_and_counts_its_steps(rng):
    found = minimize_highs(random_rows(rng))
    assert found.basis.size == 0
    assert found.n_pivots > 0


def test_an_objective_that_falls_without_end_is_unbounded():
    one = np.ones(1)
    found = minimize_highs(TiltedRows(one[:, None], one, one, one, 3 * one))
    assert found.status is VertexStatus.UNBOUNDED
    assert found.coef.shape == found.dual.shape == (1,)


def test_other_ends_are_failures(rng, monkeypatch):
    result = scipy.optimize.OptimizeResult(status=4, message="numerical difficulties")
    monkeypatch.setattr(highs.scipy.optimize, "linprog", lambda *a, **k: result)
    assert minimize_highs(random_rows(rng)).status is VertexStatus.FAILED
