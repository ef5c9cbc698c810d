"""Quantile regressions are exact: against HiGHS, and by what their duals prove."""

from collections import Counter
from dataclasses import replace

import hypothesis
import numpy as np
import pytest
from solvers.quantile_problems import (
    BALANCE,
    ROUNDING,
    Case,
    by_highs,
    cases,
    certificate,
    limits,
    objective,
)

from skgrad.exceptions import SolverError
from skgrad.solvers import (
    QuantileProblem,
    Vertex,
    VertexStatus,
    programme,
    quantile,
    solve_quantiles,
)


def solved(problem, level, **options):
    (solution,) = solve_quantiles(problem, np.array([level]), **options)
    return solution


def value_of(problem, solution):
    return objective(problem, solution.quantile, solution.coef, solution.intercept)


def assert_equally_good(value, expected, terms):
    assert abs(value - expected) <= 1e-9 * abs(expected) + ROUNDING * terms


# ---------------------------------------------------------------- the certificate


def assert_certified(problem, solution):
    """Check a solution and its dual variables by weak duality alone."""
    q, dual = solution.quantile, solution.dual
    value, terms = value_of(problem, solution)
    assert_equally_good(solution.objective, value, terms)
    low, high = limits(problem)
    assert ((solution.coef >= low) & (solution.coef <= high)).all()
    if not problem.fit_intercept:
        assert solution.intercept == 0

    assert dual.shape == (problem.n_rows,)
    assert ((dual >= q - 1) & (dual <= q)).all()
    proven = certificate(problem, q, dual)
    assert (proven.imbalance <= BALANCE).all()
    assert proven.of_intercept <= BALANCE
    # What sums of dual variables are off by is multiplied by the coefficients.
    assert abs(value - proven.bound) <= 1e-9 * value + BALANCE * terms
    assert 0 <= solution.duality_gap <= 1e-9
    # Relative to the objective, or to a part of its terms that may be larger.
    stated = solution.duality_gap * max(value, 1e-5 * terms)
    assert abs(value - proven.bound - stated) <= BALANCE * terms
    assert_slack(problem, solution, terms)


def assert_slack(problem, solution, terms):
    """Check that a dual variable is at its limit where the residual is not zero."""
    q, dual = solution.quantile, solution.dual
    r = problem.y - problem.X @ solution.coef - solution.intercept
    size = np.abs(problem.y) + np.abs(problem.X) @ np.abs(solution.coef)
    apart = np.abs(r) > 1e-12 * (size + abs(solution.intercept))
    limit = np.where(r > 0, q, q - 1)
    far = apart & (problem.w * np.abs(r) > ROUNDING * terms)
    if solution.solver == "vertex":  # HiGHS's residuals are zero to 1e-7
        np.testing.assert_allclose(dual[far], limit[far], rtol=0, atol=1e-9)
    # Nor is the sum of what is left more than rounding.
    assert problem.w @ np.abs((limit - dual) * r) <= ROUNDING * terms


PLAIN = Case(n=400, p=6, quantile=0.3, seed=1)
CASES = {
    "plain": PLAIN,
    "no intercept": replace(PLAIN, fit_intercept=False),
    "penalty": replace(PLAIN, penalty="factors", weights="exponential"),
    "bounds": replace(PLAIN, bounds="box", n=2000),
    "pinned": replace(PLAIN, bounds="equal", penalty="equal", seed=4),
    "ties": replace(PLAIN, inputs="binary", targets="integers", n=1500),
    "collinear": replace(PLAIN, inputs="collinear", n=1500),
    "weights far apart": replace(PLAIN, weights="far apart", n=1500),
    "outer level": replace(PLAIN, quantile=0.999, targets="heavy tails", n=1500),
    "one row": replace(PLAIN, n=1),
    "fewer rows than columns": replace(PLAIN, n=4, p=9),
    "constant targets": replace(PLAIN, targets="constant", n=1500),
    "zero targets": replace(PLAIN, targets="zero", n=1500),
    "exact": replace(PLAIN, targets="exact", n=1500),
    "part of the rows": replace(PLAIN, n=20_000),
}


@pytest.mark.parametrize("name", CASES)
def test_dual_variables_prove_the_minimum(name):
    problem = CASES[name].problem()
    assert_certified(problem, solved(problem, CASES[name].quantile))


@pytest.mark.parametrize(
    "n_cases", [300, pytest.param(3000, marks=pytest.mark.long)], ids=str
)
def test_no_objective_is_above_that_of_highs(n_cases, record_property):
    counts = Counter()

    @hypothesis.settings(max_examples=n_cases)
    @hypothesis.given(case=cases(2000))
    def check(case):
        hypothesis.note(str(case))
        counts["cases"] += 1
        problem = case.problem()
        solution = solved(problem, case.quantile)
        assert_certified(problem, solution)
        reference = by_highs(problem, case.quantile)
        if reference is None:
            counts["HiGHS gave up"] += 1
            return
        value, terms = value_of(problem, solution)
        expected, _ = objective(problem, case.quantile, *reference)
        assert value - expected <= 1e-9 * expected + ROUNDING * terms

    check()
    for name, count in counts.items():
        record_property(name, count)
    # Those are left to the certificate alone.
    assert counts["HiGHS gave up"] <= 0.02 * counts["cases"]
    assert counts["cases"] >= n_cases


# -------------------------------------------------------------------- invariances


ORDINARY = {
    "plain": PLAIN,
    "many rows": replace(PLAIN, n=4000, quantile=0.9),
    "ties": replace(PLAIN, inputs="integers", targets="integers", n=1200),
    "weights": replace(PLAIN, weights="exponential", n=1200),
}


@pytest.fixture(params=ORDINARY)
def case(request):
    return ORDINARY[request.param]


def assert_objectives(problem, level, expected, terms):
    value, own = value_of(problem, solved(problem, level))
    assert_equally_good(value, expected, terms + own)


@pytest.fixture
def known(case):
    """Return a problem, its level, its minimum and the sum of its terms."""
    problem = case.problem()
    value, terms = value_of(problem, solved(problem, case.quantile))
    return problem, case.quantile, value, terms


@pytest.mark.parametrize("penalty", ["none", "factors"])
@pytest.mark.parametrize("n", [300, 1500])
def test_integer_weights_are_repeated_rows(n, penalty):
    case = replace(PLAIN, n=n, weights="integers", penalty=penalty)
    problem = case.problem()
    times = problem.w.astype(int)
    repeated = QuantileProblem(
        np.repeat(problem.X, times, axis=0),
        np.repeat(problem.y, times),
        np.ones(times.sum()),
        penalty=problem.penalty,
    )
    expected, terms = value_of(problem, solved(problem, case.quantile))
    assert_objectives(repeated, case.quantile, expected, terms)


@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e8])
def test_scaled_targets_scale_the_objective(known, factor):
    problem, level, value, terms = known
    scaled = replace(problem, y=factor * problem.y)
    assert_objectives(scaled, level, factor * value, factor * terms)


@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e8])
def test_scaled_weights_scale_the_objective(known, factor):
    problem, level, value, terms = known
    scaled = replace(problem, w=factor * problem.w)
    assert_objectives(scaled, level, factor * value, factor * terms)


def test_shifted_targets_shift_the_intercept(known):
    problem, level, value, terms = known
    assert_objectives(replace(problem, y=problem.y + 70), level, value, terms)


def test_linear_functions_of_the_inputs_are_followed(known, rng):
    problem, level, value, terms = known
    coef = rng.normal(size=problem.X.shape[1])
    moved = replace(problem, y=problem.y + problem.X @ coef)
    assert_objectives(moved, level, value, terms)


def test_other_coordinates_of_the_inputs_have_the_same_minimum(known, rng):
    problem, level, value, terms = known
    p = problem.X.shape[1]
    A = rng.normal(size=(p, p)) + 3 * np.eye(p)
    shift = 5 * rng.normal(size=p)
    assert_objectives(replace(problem, X=problem.X @ A + shift), level, value, terms)


def test_mirrored_targets_swap_the_levels(known):
    problem, level, value, terms = known
    assert_objectives(replace(problem, y=-problem.y), 1 - level, value, terms)


def test_the_order_of_rows_and_columns_is_of_no_account(known, rng):
    problem, level, value, terms = known
    n, p = problem.X.shape
    rows, columns = rng.permutation(n), rng.permutation(p)
    X, y, w = problem.X[rows][:, columns], problem.y[rows], problem.w[rows]
    assert_objectives(replace(problem, X=X, y=y, w=w), level, value, terms)


def as_memory_map(X, path):
    np.save(path / "X.npy", X)
    return np.load(path / "X.npy", mmap_mode="r")


LAYOUTS = {
    "float32": lambda X, path: X.astype(np.float32),
    "columns": lambda X, path: np.asfortranarray(X),
    "strided": lambda X, path: np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
    "reversed": lambda X, path: X[::-1].copy()[::-1],
    "read-only": lambda X, path: np.broadcast_to(X, (1, *X.shape))[0],
    "memory-mapped": as_memory_map,
    "memory-mapped float32": lambda X, path: as_memory_map(X.astype(np.float32), path),
}


@pytest.mark.parametrize("n", [100, 5000])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_inputs_may_lie_in_memory_as_they_like(layout, n, tmp_path):
    problem = replace(PLAIN, n=n).problem()
    problem = replace(problem, X=problem.X.astype(np.float32).astype(np.float64))
    other = replace(problem, X=LAYOUTS[layout](problem.X, tmp_path))
    one, two = solved(problem, 0.3), solved(other, 0.3)
    np.testing.assert_allclose(two.objective, one.objective, rtol=1e-12)
    np.testing.assert_allclose(two.coef, one.coef, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(two.dual == 0.3, one.dual == 0.3)
    assert_certified(other, two)


def test_inputs_are_not_changed():
    problem = replace(CASES["bounds"], weights="exponential").problem()
    arrays = [problem.X, problem.y, problem.w, problem.low, problem.high]
    before = [a.copy() for a in arrays]
    for a in arrays:
        a.setflags(write=False)
    solved(problem, 0.5)
    for a, b in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("targets", ["noisy", "integers"])
def test_the_seed_moves_the_time_but_not_the_minimum(targets):
    problem = replace(PLAIN, n=8000, targets=targets).problem()
    expected, terms = value_of(problem, solved(problem, 0.2))
    for seed in range(1, 5):
        value, _ = value_of(problem, solved(problem, 0.2, seed=seed))
        assert_equally_good(value, expected, terms)


def test_equal_calls_give_equal_bits():
    problem = replace(PLAIN, n=8000, targets="integers").problem()
    one, two = (solved(problem, 0.2, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.coef, two.coef)
    np.testing.assert_array_equal(one.dual, two.dual)
    assert (one.intercept, one.objective) == (two.intercept, two.objective)


@pytest.mark.parametrize("name", ["plain", "penalty", "bounds", "ties", "collinear"])
def test_levels_together_are_those_apart(name):
    problem = CASES[name].problem()
    levels = np.array([0.9, 0.05, 0.5, 0.5, 0.999])
    together = solve_quantiles(problem, levels)
    assert [s.quantile for s in together] == levels.tolist()
    for solution in together:
        assert_certified(problem, solution)
        apart, terms = value_of(problem, solved(problem, solution.quantile))
        assert_equally_good(solution.objective, apart, terms)


# ------------------------------------------------------------------- closed forms


def group_minimum(y, w, level):
    """Return the minimum over all constants: it is at a weighted quantile."""
    order = np.argsort(y)
    share = np.cumsum(w[order]) / w.sum()
    r = y - y[order][np.searchsorted(share, level)]
    return w @ np.where(r > 0, level * r, (level - 1) * r)


@pytest.mark.parametrize("level", [0.001, 0.25, 0.5, 0.9])
def test_without_inputs_it_is_the_weighted_quantile(level, rng):
    y, w = rng.normal(size=1000), rng.exponential(size=1000)
    problem = QuantileProblem(np.empty((1000, 0)), y, w)
    solution = solved(problem, level)
    np.testing.assert_allclose(solution.objective, group_minimum(y, w, level))
    assert solution.coef.shape == (0,)
    assert solution.intercept in y


@pytest.mark.parametrize("targets", ["continuous", "integers"])
@pytest.mark.parametrize("level", [0.1, 0.5, 0.99])
def test_one_hot_inputs_are_the_quantiles_of_the_groups(level, targets, rng):
    n, p = 50_000, 12
    group = rng.integers(0, p, n)
    y = 3 * rng.normal(size=p)[group] + rng.standard_t(3, size=n)
    if targets == "integers":
        y = np.round(y)
    w = rng.integers(1, 4, n).astype(float)
    problem = QuantileProblem(np.eye(p)[group], y, w, fit_intercept=False)
    solution = solved(problem, level)
    expected = sum(group_minimum(y[group == g], w[group == g], level) for g in range(p))
    np.testing.assert_allclose(solution.objective, expected, rtol=1e-12)
    assert_certified(problem, solution)


def test_a_line_through_most_points_is_found(rng):
    """Any level passes through them, as its part of the others is on either side."""
    n = 50_000
    X = rng.normal(size=(n, 4))
    coef, noise = np.array([2.0, -1.0, 0.5, 0.0]), rng.standard_cauchy(n)
    y = 1 + X @ coef + np.where(np.arange(n) % 2, noise, 0.0)
    problem = QuantileProblem(X, y, np.ones(n))
    for solution in solve_quantiles(problem, np.array([0.4, 0.5, 0.6])):
        np.testing.assert_allclose(solution.coef, coef, atol=1e-12)
        np.testing.assert_allclose(solution.intercept, 1, atol=1e-12)
        assert_certified(problem, solution)


def test_a_large_penalty_leaves_the_quantile_of_the_targets(rng):
    X, y, w = rng.normal(size=(500, 3)), rng.normal(size=500), np.ones(500)
    problem = QuantileProblem(X, y, w, penalty=np.full(3, 1e4))
    solution = solved(problem, 0.75)
    np.testing.assert_array_equal(solution.coef, 0)
    np.testing.assert_allclose(solution.objective, group_minimum(y, w, 0.75))


def test_coefficients_are_exactly_zero_or_at_their_bounds(rng):
    """At a vertex as many as there are rows without a residual are neither."""
    n, p = 500, 20
    X, y = rng.normal(size=(n, p)), rng.normal(size=n)
    low, high = np.full(p, -0.02), np.full(p, 0.03)
    problem = QuantileProblem(X, y, np.ones(n), True, np.full(p, 8.0), low, high)
    solution = solved(problem, 0.5)
    coef, zeros = solution.coef, np.count_nonzero(solution.coef == 0)
    at_bounds = np.count_nonzero(np.isclose(coef, low) | np.isclose(coef, high))
    assert zeros >= 3
    assert at_bounds >= 3
    residual = y - X @ coef - solution.intercept
    assert zeros + at_bounds + np.count_nonzero(np.abs(residual) < 1e-12) >= p + 1


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_constant_and_zero_columns_cost_their_penalty_alone(fit_intercept, rng):
    """Their coefficients are as near to zero as bounds allow."""
    n = 200
    X = np.column_stack([np.zeros(n), rng.normal(size=n), np.full(n, 3.0)])
    low = np.array([1.5, -np.inf, 1.0 if fit_intercept else -np.inf])
    problem = QuantileProblem(
        X, rng.normal(size=n), np.ones(n), fit_intercept, np.ones(3), low
    )
    solution = solved(problem, 0.5)
    assert solution.coef[0] == 1.5
    if fit_intercept:
        assert solution.coef[2] == 1.0
    assert_certified(problem, solution)


@pytest.mark.parametrize("level", [0.1, 0.5])
def test_inputs_that_are_all_zero_count_for_nothing(level, rng):
    y, w = rng.normal(size=100), np.ones(100)
    problem = QuantileProblem(np.zeros((100, 2)), y, w, fit_intercept=False)
    solution = solved(problem, level)
    np.testing.assert_array_equal(solution.coef, 0)
    expected, _ = objective(problem, level, np.zeros(2), 0)
    np.testing.assert_allclose(solution.objective, expected)


# --------------------------------------------------------------------- many rows


@pytest.mark.parametrize("level", [0.1, 0.5, 0.99])
def test_a_few_of_many_rows_make_the_programme(level):
    n, p = 100_000, 10
    problem = Case(n=n, p=p, quantile=level, seed=7).problem()
    solution = solved(problem, level)
    assert_certified(problem, solution)
    assert len(solution.free_rows) <= 1500  # 6 per coefficient, 2 per root of n: 698
    assert solution.n_passes <= 12
    assert solution.n_pivots <= 300
    assert solution.solver == "vertex"


def degenerate(rng, n, p):
    X = 1.0 * (rng.random((n, p)) < 0.5)
    return X, np.round(X @ rng.normal(size=p) + 2 * rng.normal(size=n))


@pytest.mark.parametrize("level", [0.05, 0.5])
def test_many_ties_are_neither_slow_nor_wrong(level, rng):
    """Pivots and passes are counted, as times depend on the machine."""
    X, y = degenerate(rng, 50_000, 8)
    problem = QuantileProblem(X, y, np.ones(len(y)))
    solution = solved(problem, level)
    assert_certified(problem, solution)
    assert solution.solver == "vertex"
    assert solution.n_pivots <= 1000
    assert solution.n_passes <= 40


@pytest.mark.long
@pytest.mark.parametrize("name", ["one-hot", "binary", "duplicated", "sparse"])
@pytest.mark.parametrize("targets", ["integers", "few values", "half exact"])
def test_every_kind_of_tie_among_many_rows(name, targets):
    levels = np.array([0.01, 0.25, 0.5, 0.9])
    case = Case(n=50_000, p=15, quantile=0.5, inputs=name, targets=targets)
    for fit_intercept in (True, False):
        problem = replace(case, fit_intercept=fit_intercept).problem()
        for solution in solve_quantiles(problem, levels):
            assert_certified(problem, solution)


DEPENDENT = {
    "pinned": Case(3, 16, 0.999, "integers", "integers", bounds="equal", seed=111),
    "exact powers": Case(14, 16, 0.4, "powers", "half exact", "integers", seed=2081),
    "no intercept": Case(7, 28, 0.1, bounds="equal", fit_intercept=False, seed=1349),
    "far apart": Case(
        5,
        30,
        0.001,
        "badly scaled",
        "exact",
        "far apart",
        bounds="equal",
        seed=972538566,
    ),
}


@pytest.mark.parametrize("name", DEPENDENT)
def test_dependent_columns_are_left_to_no_other_solver(name):
    """Rounding must not make an edge downhill of a direction that changes nothing."""
    problem = DEPENDENT[name].problem()
    solution = solved(problem, DEPENDENT[name].quantile)
    assert_certified(problem, solution)
    assert solution.solver == "vertex"


# ------------------------------------------------------- where the vertex method ends


def ends_with(monkeypatch, status):
    """Let the vertex method end in some way, whatever the problem."""

    def end(rows, basis, **options):
        zeros = np.zeros(rows.n_columns), np.zeros(len(rows))
        return Vertex(*zeros, basis, status, 1)

    monkeypatch.setattr(programme, "minimize_vertex", end)


STATUSES = [VertexStatus.FAILED, VertexStatus.UNBOUNDED]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("name", ["plain", "penalty", "bounds", "ties"])
def test_highs_takes_over_from_the_vertex_method(name, status, monkeypatch):
    problem, level = CASES[name].problem(), CASES[name].quantile
    expected, terms = value_of(problem, solved(problem, level))
    ends_with(monkeypatch, status)
    solution = solved(problem, level)
    assert solution.solver == "highs"
    value, _ = value_of(problem, solution)
    assert abs(value - expected) <= 1e-9 * expected + ROUNDING * terms


def test_dual_variables_that_prove_nothing_are_refused(monkeypatch):
    problem = PLAIN.problem()
    ends_with(monkeypatch, VertexStatus.OPTIMAL)

    def wrong(rows):
        dual = np.where(np.arange(len(rows)) % 2, rows.up, -rows.down)
        coef = np.zeros(rows.n_columns)
        return Vertex(coef, dual, np.array([]), VertexStatus.OPTIMAL, 1)

    monkeypatch.setattr(programme, "minimize_highs", wrong)
    message = (
        r"The quantile regression at 0\.3 could not be certified: its duality gap is "
        r"inf where 1e-09 is asked\. The largest input is .*, the largest target .*"
        r"bring columns of very different sizes to one, or use optimizer='smooth'"
    )
    with pytest.raises(SolverError, match=message):
        solved(problem, 0.3)


def test_a_minimum_that_is_not_found_is_an_error(monkeypatch):
    problem = PLAIN.problem()
    ends_with(monkeypatch, VertexStatus.UNBOUNDED)

    def unbounded(rows):
        return Vertex(
            np.zeros(rows.n_columns), np.zeros(len(rows)), np.array([]), STATUSES[1], 0
        )

    monkeypatch.setattr(programme, "minimize_highs", unbounded)
    largest = f"{np.abs(problem.X).max():.3g}"
    message = rf"no minimum: .* a matter of rounding.* \(the largest is {largest}\)"
    with pytest.raises(SolverError, match=message):
        solved(problem, 0.3)


def test_signs_that_do_not_settle_are_an_error(monkeypatch):
    monkeypatch.setattr(quantile, "MAX_ROUNDS", 0)
    message = "signs of the residuals still change after 0 programmes.*'smooth'"
    with pytest.raises(SolverError, match=message):
        solved(PLAIN.problem(), 0.3)
