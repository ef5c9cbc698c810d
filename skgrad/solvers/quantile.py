"""Quantile regression, exactly: locate, fix signs, finish at a vertex, certify."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skgrad.backend.cpu.threads import blas_threads
from skgrad.exceptions import SolverError
from skgrad.solvers.problem import QuantileProblem
from skgrad.solvers.programme import TOLERANCE, Programme, excess
from skgrad.solvers.smoothing import WINDOW_ROWS, Coordinates, locate
from skgrad.solvers.tilted import TiltedRows
from skgrad.solvers.vertex import VertexStatus
from skgrad.typing import Array

__all__ = ["QuantileFit", "QuantileSolution", "solve_quantiles"]

# The programme has this many rows per coefficient and per root of the number of rows.
ROWS_PER_COLUMN, ROWS_PER_ROOT = 6, 2
# Problems up to so many times the programme are one.
DIRECT = 3
# Rows nearest to zero that the programme may begin with, where many are tied.
MOST = 4
# The part of the rows that is located first: this many times the root of n q.
PART, FEWEST = 4.0, 40
# The part of these that is in the first window of smoothing.
WINDOW = 0.25
MAX_ROUNDS = 60
# The error of locating is at most this part of that of a part of the rows, and leaves
# this margin to the rows that are fixed.
PRECISE, MARGIN = 0.3, 4.0
# An objective below this part of the numbers it is made of is one of rounding.
ROUNDING = 1e-5


@dataclass(frozen=True)
class QuantileSolution:
    """The minimum at one quantile, with its certificate.

    Parameters
    ----------
    quantile : float
        The level.
    coef : array of shape (p,)
        Coefficients.
    intercept : float
        Intercept, 0 without one.
    objective : float
        The minimum: the weighted sum of the losses and the penalty.
    duality_gap : float
        How much `objective` may exceed the minimum at most, relative to it, as the
        value of the dual variables is a lower bound. Where the objective is below 1e-5
        of the sum of all its terms, so that rounding shows, relative to that.
    above : array of bool of shape (n,)
        Whether each row lies above the fit.
    free_rows, free_dual : array of shape (m,)
        The rows whose dual variable is none of its two limits, or was not known to be,
        and these variables, per weight.
    n_pivots, n_passes : int
        Pivots of the vertex method, and how often all rows were read.
    solver : {"vertex", "highs"}
        What solved the last programme.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers import QuantileProblem, solve_quantiles
    >>> y = np.array([0.0, 1.0, 5.0])
    >>> problem = QuantileProblem(np.empty((3, 0)), y, np.ones(3))
    >>> (median,) = solve_quantiles(problem, np.array([0.5]))
    >>> median.intercept, median.objective, median.dual.tolist()
    (1.0, 2.5, [-0.5, 0.0, 0.5])
    """

    quantile: float
    coef: Array
    intercept: float
    objective: float
    duality_gap: float
    above: Array
    free_rows: Array
    free_dual: Array
    n_pivots: int
    n_passes: int
    solver: str

    @property
    def dual(self) -> Array:
        """The dual variables of the rows per weight, (n,), in [q - 1, q]."""
        dual = np.where(self.above, self.quantile, self.quantile - 1.0)
        dual[self.free_rows] = self.free_dual
        return dual


def solve_quantiles(
    problem: QuantileProblem, quantiles: Array, *, seed: int = 0
) -> list[QuantileSolution]:
    r"""Return the exact quantile regressions at some levels.

    Newton steps on smoothed losses, first on a random part of the rows, come near the
    solutions, all levels in one reading of the rows. The residuals that are far from
    zero there keep their signs, so that their losses are linear and add up to one
    vector; the rows near zero are a small linear programme, which is solved by
    :func:`minimize_vertex`. All signs are then checked, and rows whose sign was wrong
    join the programme until there are none.

    Parameters
    ----------
    problem : QuantileProblem
        What to minimise.
    quantiles : array of shape (k,)
        The levels, in (0, 1).
    seed : int, default=0
        Chooses the rows that are located first; it moves the time, not the minimum.

    Returns
    -------
    list of QuantileSolution
        One for each level, in their order. Where the minimum is attained by more than
        one solution it is a vertex of them.

    Raises
    ------
    SolverError
        If neither the vertex method nor HiGHS ends with a duality gap of 1e-9.

    References
    ----------
    S. Portnoy and R. Koenker, The Gaussian hare and the Laplacian tortoise, Statistical
    Science 12 (1997) 279-300, section 5.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers import QuantileProblem, solve_quantiles
    >>> X = np.arange(5.0)[:, None]
    >>> y = np.array([0.0, 1.0, 2.0, 3.0, 40.0])
    >>> (median,) = solve_quantiles(QuantileProblem(X, y, np.ones(5)), np.array([0.5]))
    >>> median.coef, median.duality_gap < 1e-12
    (array([1.]), True)
    """
    with blas_threads(largest_product(problem)):
        return QuantileFit(problem, np.asarray(quantiles, dtype=np.float64), seed).run()


def largest_product(problem: QuantileProblem) -> float:
    """Return the operations of the largest product: that of a window of smoothing."""
    return 2.0 * WINDOW_ROWS * problem.n_columns**2


class QuantileFit:
    """One fit of all levels."""

    def __init__(self, problem: QuantileProblem, quantiles: Array, seed: int) -> None:
        self.problem = problem
        self.quantiles = quantiles
        n, q = problem.n_rows, problem.n_columns
        self.n_near = int(ROWS_PER_COLUMN * q + ROWS_PER_ROOT * np.sqrt(n))
        n_part = int(max(PART * np.sqrt(n * q), FEWEST * q, 2000))
        self.part = problem
        self.direct = n <= DIRECT * self.n_near
        if not self.direct and n_part < n:
            chosen = np.random.default_rng(seed).choice(n, n_part, replace=False)
            self.part = problem.rows(np.sort(chosen))
        self.coordinates = Coordinates.of(problem, self.part.X)
        self.n_passes = 0

    def run(self) -> list[QuantileSolution]:
        """Solve."""
        theta = self._start()
        self.programmes = self._whole(theta) if self.direct else self._near(theta)
        return self._finished(self.programmes)

    # --- where to begin -----------------------------------------------------------

    def _start(self) -> Array:
        """Return least squares, or nothing if coefficients are penalised or bound."""
        part, k = self.part, len(self.quantiles)
        theta = np.zeros((k, part.n_columns))
        Z = self.coordinates.rows(part.X)
        restricted = (part.penalty, part.low, part.high)
        plain = all(x is None for x in restricted) and len(Z) >= 2 * Z.shape[1]
        if plain:
            H = Z.T @ Z
            H[np.diag_indices_from(H)] += 1e-10 * (np.trace(H) / len(H) or 1.0)
            theta += np.linalg.solve(H, Z.T @ part.y)
        elif part.low is not None or part.high is not None:
            low, high = self.coordinates.bounds(self.problem)
            theta[:] = np.clip(theta, low, high)
        self.residual = part.y - Z @ theta[0]
        if self.problem.fit_intercept:
            theta[:, -1] += np.quantile(self.residual, self.quantiles)
        return theta

    def _units(self, quantile: float, sums: Array) -> TiltedRows:
        """Return the penalty and the bounds as rows.

        The multiplier of a bound is at most the sum of the slopes of all other rows: a
        slope beyond that is as good as an infinite one.
        """
        problem, q = self.problem, self.problem.n_columns
        unit, none = np.eye(q), np.zeros(q)
        rate = none
        if problem.penalty is not None:
            rate = self.coordinates.scaled(problem.penalty / self.coordinates.scale)
        beyond = 2.0 * (sums * max(quantile, 1.0 - quantile) + rate)
        low, high = self.coordinates.bounds(self.problem)
        parts = [
            (rate > 0, none, rate, rate),
            (np.isfinite(low), low, beyond, none),
            (np.isfinite(high), high, none, beyond),
        ]
        rows = [
            TiltedRows(unit[on], y[on], up[on], down[on], none)
            for on, y, up, down in parts
        ]
        return rows[0].joined(rows[1]).joined(rows[2])

    # --- programmes ---------------------------------------------------------------

    def _whole(self, theta: Array) -> list[Programme]:
        """Return programmes of all rows."""
        problem = self.problem
        Z = self.coordinates.rows(problem.X)
        sums = problem.w @ np.abs(Z)
        programmes: list[Programme] = []
        every = np.arange(problem.n_rows)
        nothing = np.zeros(problem.n_rows, dtype=bool)
        for level, start in zip(self.quantiles, theta, strict=True):
            units = self._units(level, sums)
            outside = np.full(len(units), -1)
            programme = Programme(level, units, outside, nothing.copy())
            programme.add(every, Z, problem.y, problem.w, fixed=False)
            programme.start = start
            if programmes and programmes[-1].basis is not None:
                before = programmes[-1]
                if len(before.rows) == len(programme.rows):
                    programme.basis = before.basis
            self._solve(programme)
            programmes.append(programme)
        return programmes

    def _near(self, theta: Array) -> list[Programme]:
        """Return programmes of the rows near zero, the others fixed to their signs."""
        problem, coordinates = self.problem, self.coordinates
        q = problem.n_columns
        away = np.abs(self.residual)
        away = away[away > 0] if away.any() else np.ones(1)
        width = np.full(len(theta), np.quantile(away, WINDOW))
        if self.part is not problem:
            # What is left is the error of a random part of the rows: this many rows
            # are in a window of its half-width, by the density of the residuals.
            variance = self.quantiles * (1.0 - self.quantiles)
            random = np.sqrt(q * len(self.part.y) * variance)
            parts = self.quantiles, theta, width, PRECISE * random
            found = locate(self.part, coordinates, *parts)
            theta, width = (
                found.theta,
                2 * found.width * random / np.maximum(found.count, 1),
            )
        reach = np.full(len(theta), self.n_near / MARGIN)
        found = locate(problem, coordinates, self.quantiles, theta, width, reach)
        self.n_passes += found.n_passes
        cut = found.width * (self.n_near / np.maximum(found.count, 1))
        programmes = self._surveyed(found.theta, cut)
        for programme in programmes:
            self._solve(programme)
        return programmes

    def _surveyed(self, theta: Array, cut: Array) -> list[Programme]:
        """Fix the signs of the rows beyond `cut`; the others make programmes."""
        problem, coordinates = self.problem, self.coordinates
        K, n = len(theta), problem.n_rows
        coef, intercept = coordinates.coefficients(theta, problem)
        above = np.empty((K, n), dtype=bool)
        weighted, total = np.zeros((K, coef.shape[1])), np.zeros(K)
        sums = np.zeros(problem.n_columns)
        near: list[list[tuple[Array, Array]]] = [[] for _ in range(K)]
        bounded = problem.low is not None or problem.high is not None
        levels = self.quantiles[:, None]
        for at, X, y, w in problem.blocks():
            R = coef @ X.T
            np.subtract(y - intercept[:, None], R, out=R)
            np.greater(R, 0, out=above[:, at])
            slopes = above[:, at] + (levels - 1.0)
            slopes *= w
            weighted += slopes @ X
            total += slopes.sum(axis=1)
            np.abs(R, out=R)
            for k in range(K):
                inside = np.flatnonzero(R[k] <= cut[k])
                near[k].append((inside + at.start, R[k, inside]))
            if bounded:
                sums += w @ np.abs(coordinates.rows(X))
        self.n_passes += 1
        linear = coordinates.pulled(weighted, total)
        programmes = []
        for k, level in enumerate(self.quantiles):
            units = self._units(level, sums)
            outside = np.full(len(units), -1)
            programme = Programme(
                level, units.with_linear(linear[k]), outside, above[k]
            )
            programme.start = theta[k]
            index = np.concatenate([i for i, _ in near[k]])
            distance = np.concatenate([r for _, r in near[k]])
            most = MOST * self.n_near
            if len(index) > most:
                index = np.sort(index[np.argpartition(distance, most)[:most]])
            self._join(programme, index)
            programmes.append(programme)
        return programmes

    def _join(self, programme: Programme, at: Array) -> None:
        """Let rows that are fixed join a programme."""
        problem = self.problem
        Z = self.coordinates.rows(problem.X[at].astype(np.float64, copy=False))
        programme.add(at, Z, problem.y[at], problem.w[at], fixed=True)

    def _solve(self, programme: Programme) -> None:
        """Minimise a programme; one without a minimum has too few rows."""
        while programme.minimize().status is VertexStatus.UNBOUNDED:
            held = np.zeros(self.problem.n_rows, dtype=bool)
            held[programme.index[programme.is_row]] = True
            outside = np.flatnonzero(~held)
            if not len(outside):
                # No objective falls below zero: the vertex method was misled.
                vertex = programme.vertex = programme.minimize_otherwise()
                if vertex.status is VertexStatus.OPTIMAL:
                    return
                raise SolverError(
                    "The quantile regression has no minimum: the objective falls "
                    "without end. This is a matter of rounding; check the inputs for "
                    f"values of very different sizes (the largest is "
                    f"{np.abs(self.problem.X).max():.3g})."
                )
            distance = np.abs(self._residuals(programme.start))[outside]
            m = min(len(outside), int(held.sum()) + 1)
            nearest = np.argpartition(distance, m - 1)[:m]
            self._join(programme, np.sort(outside[nearest]))

    def _residuals(self, theta: Array) -> Array:
        coef, intercept = self.coordinates.coefficients(theta, self.problem)
        parts = [y - intercept - X @ coef for _, X, y, _ in self.problem.blocks()]
        return np.concatenate(parts)

    # --- the end ------------------------------------------------------------------

    def _finished(self, programmes: list[Programme]) -> list[QuantileSolution]:
        """Check the signs that were fixed, and solve again, until all are right."""
        solutions: list[QuantileSolution | None] = [None] * len(programmes)
        left = list(range(len(programmes)))
        low, high = self.coordinates.bounds(self.problem)
        for _ in range(MAX_ROUNDS):
            theta = np.array([programmes[k].vertex.coef for k in left])
            np.clip(theta, low, high, out=theta)
            checks = self._checked([programmes[k] for k in left], theta)
            again = []
            for k, t, value, noise, rows in zip(left, theta, *checks, strict=True):
                if len(rows):
                    self._join(programmes[k], rows)
                    self._solve(programmes[k])
                    again.append(k)
                    continue
                programme = programmes[k]
                residual = self._residual_of(programme, t)
                gap = noise + excess(programme.rows, programme.vertex.dual, residual)
                solution = self._solution(programme, t, value, gap)
                if not solution.duality_gap <= TOLERANCE:
                    if programmes[k].solver == "highs":
                        raise self._not_certified(solution)
                    programmes[k].vertex = programmes[k].minimize_otherwise()
                    again.append(k)
                solutions[k] = solution
            left = again
            if not left:
                return [s for s in solutions if s is not None]
        raise SolverError(
            f"The signs of the residuals still change after {MAX_ROUNDS} programmes. "
            "Use optimizer='smooth'."
        )

    def _checked(
        self, programmes: list[Programme], theta: Array
    ) -> tuple[Array, list[float], list[Array]]:
        """Return objectives, and the fixed rows whose sign is wrong.

        Between them: what those cost whose residual is zero up to rounding.
        """
        problem = self.problem
        coef, intercept = self.coordinates.coefficients(theta, problem)
        tilt = np.array([programme.quantile for programme in programmes]) - 0.5
        values = np.zeros(len(theta))
        if problem.penalty is not None:
            # Columns that count for nothing have a penalty, if their bounds exclude 0.
            values += np.abs(coef) @ problem.penalty
        wrong: list[list[tuple[Array, ...]]] = [[] for _ in programmes]
        for at, X, y, w in problem.blocks():
            R = coef @ X.T
            np.subtract(y - intercept[:, None], R, out=R)
            for k, programme in enumerate(programmes):
                other = np.flatnonzero((R[k] > 0) != programme.above[at])
                noise = np.abs(y[other]) + np.abs(X[other]) @ np.abs(coef[k])
                noise += np.abs(intercept[k])
                r = np.abs(R[k, other])
                wrong[k].append((other + at.start, w[other] * r, r > 1e-13 * noise))
            values += tilt * (R @ w)
            values += 0.5 * (np.abs(R, out=R) @ w)
        rounded, rows = [], []
        for programme, parts in zip(programmes, wrong, strict=True):
            programme.n_passes += 1
            index, cost, apart = map(np.concatenate, zip(*parts, strict=True))
            fixed = ~np.isin(index, programme.index)
            rounded.append(float(cost[fixed & ~apart].sum()))
            rows.append(index[fixed & apart])
        return values, rounded, rows

    def _residual_of(self, programme: Programme, theta: Array) -> Array:
        """Return the residuals of a programme, those of rows by the raw inputs."""
        coef, intercept = self.coordinates.coefficients(theta, self.problem)
        at = programme.index[programme.is_row]
        residual = self.problem.y[at] - self.problem.X[at] @ coef - intercept
        return programme.residual(theta, residual)

    def _solution(
        self, programme: Programme, theta: Array, value: float, gap: float
    ) -> QuantileSolution:
        problem, vertex = self.problem, programme.vertex
        coef, intercept = self.coordinates.coefficients(theta, problem)
        if gap > 1e-3 * TOLERANCE * value:
            gap /= max(value, ROUNDING * self._terms(coef, intercept), 1e-300)
        elif value > 0:
            gap /= value
        at = programme.index[programme.is_row]
        q = programme.quantile
        return QuantileSolution(
            quantile=q,
            coef=coef,
            intercept=float(intercept),
            objective=float(value),
            duality_gap=float(gap),
            above=programme.above,
            free_rows=at,
            free_dual=np.clip(vertex.dual[programme.is_row] / problem.w[at], q - 1, q),
            n_pivots=programme.n_pivots,
            n_passes=self.n_passes + programme.n_passes,
            solver=programme.solver,
        )

    def _terms(self, coef: Array, intercept: Array) -> float:
        """Return the weighted sum of all numbers that residuals are made of."""
        sizes = [
            w @ (np.abs(y) + np.abs(X) @ np.abs(coef))
            for _, X, y, w in self.problem.blocks()
        ]
        return float(sum(sizes) + self.problem.w.sum() * np.abs(intercept))

    def _not_certified(self, solution: QuantileSolution) -> SolverError:
        X, y = self.problem.X, self.problem.y
        return SolverError(
            f"The quantile regression at {solution.quantile:g} could not be certified: "
            f"its duality gap is {solution.duality_gap:.2g} where {TOLERANCE:g} is "
            f"asked. The largest input is {np.abs(X).max():.3g}, the largest target "
            f"{np.abs(y).max():.3g}: bring columns of very different sizes to one, or "
            "use optimizer='smooth'."
        )
