"""The vertex method against linear programming, its two loops against each other."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy

from skgrad.backend.cpu import pivots
from skgrad.solvers import TiltedRows, VertexStatus, minimize_vertex, starting_basis
from skgrad.solvers import vertex as module


@pytest.fixture(params=["NumPy", "compiled"])
def loop(request, monkeypatch):
    """Choose one of the loops, whatever the size."""
    least = {"NumPy": sys.maxsize, "compiled": 0}[request.param]
    monkeypatch.setattr(module, "COMPILED_FROM", least)
    return request.param


def plain(rng, m=60, q=5, quantile=0.3):
    A = rng.normal(size=(m, q))
    y = A @ rng.normal(size=q) + rng.standard_t(3, size=m)
    w = rng.uniform(0.5, 2.0, size=m)
    return TiltedRows(A, y, w * quantile, w * (1 - quantile), np.zeros(q))


def one_coefficient(rng):
    return plain(rng, m=31, q=1)


def many_blocks(rng):
    """Return more rows than a block of breakpoints has, not a multiple of it."""
    return plain(rng, m=333, q=9, quantile=0.9)


def square(rng):
    return plain(rng, m=6, q=6)


def integers(rng):
    """Return rows with ties in residuals and slopes alike."""
    A = rng.integers(-2, 3, size=(80, 4)).astype(float)
    A[:, -1] = 1.0
    y = rng.integers(0, 4, size=80).astype(float)
    return TiltedRows(A, y, np.full(80, 0.5), np.full(80, 0.5), np.zeros(4))


def duplicated(rng):
    rows = plain(rng, m=20)
    return rows.joined(rows).joined(rows)


def without_slopes(rng):
    """Return rows of which some do not count, or on one side only."""
    rows = plain(rng)
    up, down = rows.up.copy(), rows.down.copy()
    up[::4] = down[::4] = 0.0
    up[1::8] = 0.0
    down[2::8] = 0.0
    return replace(rows, up=up, down=down)


def penalised(rng):
    """Return rows with a penalty strong enough for zeros, and a bound."""
    rows, q = plain(rng), 5
    rate, none = np.full(q, 8.0), np.zeros(q)
    penalty = TiltedRows(np.eye(q), none, rate, rate, none)
    high = TiltedRows(np.eye(q)[:1], np.array([-0.2]), none[:1], 1e3 + none[:1], none)
    return rows.joined(penalty).joined(high)


def tilted(rng):
    """Return rows with a linear term that leaves a minimum."""
    rows = plain(rng)
    dual = rng.uniform(-0.5 * rows.down, 0.5 * rows.up)
    return rows.with_linear(-dual @ rows.A)


CASES = [
    plain,
    one_coefficient,
    many_blocks,
    square,
    integers,
    duplicated,
    without_slopes,
    penalised,
    tilted,
]


def cold(rows):
    """Return a basis far from the optimal one: the first independent rows."""
    basis, missing = starting_basis(rows.A, np.arange(len(rows), dtype=float))
    assert not len(missing)
    return basis


def minimum(rows):
    """Return the minimum by HiGHS: A b + r⁺ - r⁻ = y."""
    m, q = rows.A.shape
    one = scipy.sparse.identity(m)
    solution = scipy.optimize.linprog(
        np.concatenate([-rows.linear, rows.up, rows.down]),
        A_eq=scipy.sparse.hstack([rows.A, one, -one]),
        b_eq=rows.y,
        bounds=[(None, None)] * q + [(0, None)] * (2 * m),
        options={"primal_feasibility_tolerance": 1e-10},
    )
    assert solution.status == 0
    return solution.fun


def assert_optimal(rows, vertex):
    """Check primal and dual values, and that the dual variables are feasible."""
    assert vertex.status is VertexStatus.OPTIMAL
    scale = np.abs(rows.y) @ rows.width
    value = rows.value(vertex.coef)
    assert value == pytest.approx(minimum(rows), abs=1e-9 * scale)
    assert rows.y @ vertex.dual == pytest.approx(value, abs=1e-11 * scale)
    size = np.abs(rows.linear) + rows.width @ np.abs(rows.A)
    assert (np.abs(rows.A.T @ vertex.dual + rows.linear) <= 1e-12 * size).all()
    assert (vertex.dual <= rows.up).all()
    assert (vertex.dual >= -rows.down).all()
    residual = rows.y - rows.A @ vertex.coef
    assert np.abs(residual[vertex.basis]).max() <= 1e-12 * np.abs(rows.y).max()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("case", CASES, ids=lambda f: f.__name__)
def test_minimum_is_that_of_linear_programming(case, seed, loop):
    rows = case(np.random.default_rng(seed))
    assert_optimal(rows, minimize_vertex(rows, cold(rows)))


@pytest.mark.parametrize("case", CASES, ids=lambda f: f.__name__)
def test_loops_agree(case, rng, monkeypatch):
    rows = case(rng)
    found = []
    for least in (sys.maxsize, 0):
        monkeypatch.setattr(module, "COMPILED_FROM", least)
        found.append(minimize_vertex(rows, cold(rows)))
    numpy, compiled = found
    assert numpy.status is compiled.status
    assert rows.value(compiled.coef) == pytest.approx(rows.value(numpy.coef), rel=1e-12)
    if case in (plain, one_coefficient, many_blocks, square, tilted):  # no ties
        assert compiled.n_pivots == numpy.n_pivots
        assert compiled.basis.tolist() == numpy.basis.tolist()
        np.testing.assert_allclose(compiled.dual, numpy.dual, rtol=1e-9, atol=1e-12)


def test_optimal_basis_needs_no_pivot(rng, loop):
    rows = plain(rng)
    basis = minimize_vertex(rows, cold(rows)).basis
    assert minimize_vertex(rows, basis).n_pivots == 0


def test_inputs_are_left_as_they_are(rng, loop):
    rows = plain(rng)
    rows = replace(rows, A=np.asfortranarray(rows.A), up=np.repeat(rows.up, 2)[::2])
    basis = cold(rows)
    arrays = (rows.A, rows.y, rows.up, rows.down, rows.linear, basis)
    copies = [x.copy() for x in arrays]
    assert_optimal(rows, minimize_vertex(rows, basis))
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_targets_are_perturbed_where_steps_have_no_length(rng, loop, monkeypatch):
    """All targets but few are equal, so are the residuals at nearly all vertices."""
    rows = integers(rng)
    rows = replace(rows, y=np.where(np.arange(len(rows)) % 9, 0.0, rows.y))
    basis = cold(rows)
    monkeypatch.setattr(module, "STALL", 0)
    monkeypatch.setattr(module, "MAX_PERTURBATIONS", 0)
    assert minimize_vertex(rows, basis).status is VertexStatus.FAILED
    monkeypatch.setattr(module, "STALL", 2)
    monkeypatch.setattr(module, "MAX_PERTURBATIONS", 8)
    assert_optimal(rows, minimize_vertex(rows, basis))


def test_no_minimum(rng, loop):
    rows = plain(rng)
    beyond = rows.with_linear(2.0 * rows.width @ np.abs(rows.A))
    vertex = minimize_vertex(beyond, cold(beyond))
    assert vertex.status is VertexStatus.UNBOUNDED


def test_singular_basis(rng, loop):
    rows = duplicated(rng)
    vertex = minimize_vertex(rows, np.array([0, 1, 2, 3, 20]))
    assert vertex.status is VertexStatus.FAILED


def test_not_a_number_is_no_optimum(rng, loop):
    rows = plain(rng)
    rows = rows.with_linear(np.full(5, np.nan))
    assert minimize_vertex(rows, cold(rows)).status is VertexStatus.FAILED


@pytest.mark.parametrize("most", [1, 2, 70])
def test_pivots_are_bounded(rng, loop, most):
    rows = plain(rng, m=600, q=20)
    vertex = minimize_vertex(rows, cold(rows), max_pivots=most)
    assert vertex.status is VertexStatus.FAILED
    assert vertex.n_pivots == most


def test_size_decides_about_compiling(rng, monkeypatch):
    rows = plain(rng)
    calls = []
    run = pivots.run
    monkeypatch.setattr(pivots, "run", lambda *a: calls.append(1) or run(*a))
    for least, some in ((rows.A.size + 1, False), (rows.A.size, True)):
        monkeypatch.setattr(module, "COMPILED_FROM", least)
        minimize_vertex(rows, cold(rows))
        assert bool(calls) == some


def test_few_rows_load_no_compiler():
    code = """
import sys
import numpy as np
from skgrad.solvers import TiltedRows, minimize_vertex
A = np.random.default_rng(0).normal(size=(300, 11))
ones = np.ones(300)
minimize_vertex(TiltedRows(A, A[:, 0] ** 2, ones, ones, np.zeros(11)), np.arange(11))
assert "llvmlite" not in sys.modules
"""
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
