"""Sums of tilted absolute residuals: their value, term by term, and their dual."""

import numpy as np
import pytest
import scipy

from skgrad.solvers import TiltedRows


@pytest.fixture
def rows(rng):
    m, q = 30, 4
    up, down = rng.exponential(size=(2, m))
    up[0] = down[1] = 0.0
    return TiltedRows(
        rng.normal(size=(m, q)), rng.normal(size=m), up, down, rng.normal(size=q)
    )


def by_terms(rows, coef):
    total = 0.0
    for a, y, up, down in zip(rows.A, rows.y, rows.up, rows.down, strict=True):
        r = y - sum(a_j * b_j for a_j, b_j in zip(a, coef, strict=True))
        total += up * r if r > 0 else -down * r
    return total - sum(c_j * b_j for c_j, b_j in zip(rows.linear, coef, strict=True))


def test_value_is_the_sum_of_its_terms(rows, rng):
    for coef in (np.zeros(4), *rng.normal(size=(5, 4))):
        np.testing.assert_allclose(rows.value(coef), by_terms(rows, coef), rtol=1e-12)


@pytest.mark.parametrize("quantile", [0.1, 0.5])
def test_weighted_targets_are_pinball_losses(quantile, rng):
    """Koenker and Bassett: q of a positive, 1 - q of a negative residual."""
    A, y, w = rng.normal(size=(20, 2)), rng.normal(size=20), rng.exponential(size=20)
    rows = TiltedRows(A, y, w * quantile, w * (1 - quantile), np.zeros(2))
    r = y - A @ [0.3, -0.2]
    expected = w @ (np.abs(r) + (2 * quantile - 1) * r) / 2
    np.testing.assert_allclose(rows.value(np.array([0.3, -0.2])), expected)


def test_a_penalty_and_a_bound_are_rows_of_a_unit_vector(rng):
    unit = np.eye(2)
    penalty = TiltedRows(
        unit[:1], np.zeros(1), np.full(1, 3.0), np.full(1, 3.0), 0 * unit[0]
    )
    assert penalty.value(np.array([-2.0, 9.0])) == 6.0
    high = TiltedRows(unit[1:], np.ones(1), np.zeros(1), np.full(1, 1e6), 0 * unit[0])
    assert high.value(np.array([0.0, 1.0])) == 0.0
    assert high.value(np.array([0.0, -5.0])) == 0.0
    assert high.value(np.array([0.0, 2.0])) == 1e6


def test_no_dual_value_is_above_a_primal_one(rows, rng):
    """Weak duality, with dual variables that balance: A'd = -c and -l <= d <= u."""
    for seed in range(20):
        d = np.random.default_rng(seed).uniform(-rows.down, rows.up)
        balanced = rows.with_linear(-d @ rows.A)
        for coef in rng.normal(size=(5, 4)):
            assert d @ rows.y <= balanced.value(coef) + 1e-12


def test_dual_variables_at_the_minimum_have_its_value():
    rng = np.random.default_rng(5)
    A, y, w = rng.normal(size=(40, 3)), rng.normal(size=40), rng.exponential(size=40)
    rows = TiltedRows(A, y, w * 0.3, w * 0.7, np.zeros(3))
    dual = scipy.optimize.linprog(
        -y, A_eq=A.T, b_eq=np.zeros(3), bounds=np.column_stack([-rows.down, rows.up])
    )
    np.testing.assert_allclose(rows.value(-dual.eqlin.marginals), -dual.fun, rtol=1e-9)


def test_joined_rows_add_up(rows, rng):
    other = TiltedRows(
        rng.normal(size=(5, 4)), rng.normal(size=5), *rng.random((2, 5)), np.zeros(4)
    )
    both, coef = rows.joined(other), rng.normal(size=4)
    assert len(both) == 35
    expected = rows.value(coef) + other.value(coef)
    np.testing.assert_allclose(both.value(coef), expected, rtol=1e-12)
    np.testing.assert_array_equal(both.linear, rows.linear)


def test_another_linear_term_leaves_the_rows(rows, rng):
    linear, coef = rng.normal(size=4), rng.normal(size=4)
    other = rows.with_linear(linear)
    difference = (rows.linear - linear) @ coef
    np.testing.assert_allclose(other.value(coef), rows.value(coef) + difference)
    assert other.A is rows.A


def test_sizes(rows):
    assert len(rows) == 30
    assert rows.n_columns == 4
    np.testing.assert_array_equal(rows.width, rows.up + rows.down)


def test_no_rows_are_a_linear_function():
    none = np.zeros(0)
    rows = TiltedRows(np.zeros((0, 2)), none, none, none, np.array([1.0, 2.0]))
    assert len(rows) == 0
    assert rows.value(np.array([3.0, 4.0])) == -11.0
