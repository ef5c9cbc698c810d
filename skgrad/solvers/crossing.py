"""Quantile regressions of several levels under the condition that none cross."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from skgrad.backend.cpu.threads import blas_threads
from skgrad.exceptions import SolverError
from skgrad.solvers.problem import QuantileProblem
from skgrad.solvers.programme import TOLERANCE, Programme, excess
from skgrad.solvers.quantile import (
    MAX_ROUNDS,
    QuantileFit,
    QuantileSolution,
    largest_product,
)
from skgrad.solvers.tilted import TiltedRows
from skgrad.solvers.vertex import (
    VertexStatus,
    minimize_vertex,
    starting_basis,
)
from skgrad.typing import Array

__all__ = ["solve_ordered_quantiles"]

# Conditions that join at once, per pair of levels and coefficient.
CONDITIONS = 2
# The programme of all levels is dense.
MOST_BYTES = 2**31


def solve_ordered_quantiles(
    problem: QuantileProblem, quantiles: Array, *, seed: int = 0
) -> list[QuantileSolution]:
    r"""Return the quantile regressions of all levels that do not cross at any row.

    .. math:: \min_{b_1, \ldots, b_K} \sum_k F_k(b_k) \quad\text{with}\quad
        x_i^\top b_k \le x_i^\top b_{k+1} \text{ for all rows } i

    Lines that do not cross at two points do not cross between them: nor, then, anywhere
    in the convex hull of the rows. The levels are solved by themselves first. Where
    some cross, the conditions at the rows that are worst join the programmes of all
    levels, as one; what it leaves crossed joins next.

    Parameters
    ----------
    problem : QuantileProblem
        What to minimise.
    quantiles : array of shape (k,)
        The levels, increasing.
    seed : int, default=0
        As in :func:`solve_quantiles`.

    Returns
    -------
    list of QuantileSolution
        One for each level. Where conditions hold one back, its ``duality_gap`` is that
        of the sum over all levels, and its dual variables balance with multipliers of
        the conditions that are not returned.

    Raises
    ------
    SolverError
        As :func:`solve_quantiles`, and if the programme of all levels is too large.

    References
    ----------
    H. D. Bondell, B. J. Reich and H. Wang, Noncrossing quantile regression curve
    estimation, Biometrika 97 (2010) 825-838.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers import QuantileProblem, solve_ordered_quantiles
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> problem = QuantileProblem(X, np.array([0.0, 3.0, 1.0, 2.0]), np.ones(4))
    >>> low, high = solve_ordered_quantiles(problem, np.array([0.45, 0.55]))
    >>> bool(np.all(X @ (high.coef - low.coef) + high.intercept >= low.intercept))
    True
    """
    with blas_threads(largest_product(problem)):
        return _OrderedFit(problem, np.asarray(quantiles, dtype=np.float64), seed).run()


class _OrderedFit(QuantileFit):
    """One fit of all levels together."""

    def run(self) -> list[QuantileSolution]:
        """Solve the levels apart, and together if that leaves some crossed."""
        apart = super().run()
        theta = np.array([p.vertex.coef for p in self.programmes])
        crossed = self._crossed(theta)
        if not any(len(rows) for rows in crossed):
            return apart
        for programme in self.programmes:
            if programme.basis is None:
                programme.make_basis(programme.vertex.coef)
        together = _Together(self.programmes, self._multiplier())
        for _ in range(MAX_ROUNDS):
            for k, rows in enumerate(crossed):
                together.keep_apart(k, rows, self._standardised(rows))
            if not together.minimize():
                raise self._no_solution("the vertex method gave up")
            theta = together.theta
            np.clip(theta, *self.coordinates.bounds(self.problem), out=theta)
            values, rounded, wrong = self._checked(self.programmes, theta)
            crossed = self._crossed(theta)
            insists = together.insists(crossed)
            for programme, rows in zip(self.programmes, wrong, strict=True):
                if len(rows):
                    self._join(programme, rows)
            if not insists and not any(len(rows) for rows in (*wrong, *crossed)):
                return self._certified(together, theta, values, sum(rounded))
        raise self._no_solution(f"levels still cross after {MAX_ROUNDS} programmes")

    def _multiplier(self) -> float:
        """Return more than the multiplier of any condition, with an intercept.

        Those between two levels then sum to the sum of the dual variables of the levels
        below.
        """
        return 2.0 * len(self.quantiles) * float(self.problem.w.sum())

    def _standardised(self, rows: Array) -> Array:
        X = self.problem.X[rows].astype(np.float64, copy=False)
        return self.coordinates.rows(X)

    def _crossed(self, theta: Array) -> list[Array]:
        """Return for each pair of neighbours the rows where they cross most."""
        problem = self.problem
        coef, intercept = self.coordinates.coefficients(theta, problem)
        found: list[list[tuple[Array, Array]]] = [[] for _ in coef[1:]]
        for at, X, _, _ in problem.blocks():
            F = coef @ X.T + intercept[:, None]
            size = np.abs(coef) @ np.abs(X).T + np.abs(intercept)[:, None]
            depth = F[:-1] - F[1:] - 1e-13 * (size[:-1] + size[1:])
            for k, row in enumerate(depth):
                below = np.flatnonzero(row > 0)
                found[k].append((below + at.start, row[below]))
        self.n_passes += 1
        most = CONDITIONS * problem.n_columns
        crossed = []
        for parts in found:
            index = np.concatenate([i for i, _ in parts])
            depth = np.concatenate([d for _, d in parts])
            crossed.append(index[np.argsort(-depth, kind="stable")[:most]])
        return crossed

    def _certified(
        self, together: _Together, theta: Array, values: Array, rounded: float
    ) -> list[QuantileSolution]:
        total = float(values.sum())
        residual = map(self._residual_of, self.programmes, theta)
        gap = rounded + together.excess(list(residual), theta)
        solutions = [
            self._solution(programme, t, value, gap * value / max(total, 1e-300))
            for programme, t, value in zip(self.programmes, theta, values, strict=True)
        ]
        for solution in solutions:
            if not solution.duality_gap <= TOLERANCE:
                raise self._not_certified(solution)
        return solutions

    def _no_solution(self, why: str) -> SolverError:
        return SolverError(
            f"Quantile regressions of {len(self.quantiles)} levels that do not cross "
            f"were not found: {why}. Use non_crossing='rearrange', or fewer levels."
        )


class _Together:
    """The programmes of all levels side by side, and the rows that keep them apart.

    A condition is a row too: the residual ``0 - x (b_above - b_below)`` must not be
    positive, and costs a slope beyond any multiplier if it is.
    """

    def __init__(self, programmes: list[Programme], multiplier: float) -> None:
        self.programmes = programmes
        self.multiplier = multiplier
        self.q = programmes[0].rows.n_columns
        K = len(programmes)
        self.pairs: list[Array] = [np.empty(0, dtype=np.int64) for _ in range(K - 1)]
        self.conditions: list[Array] = [np.empty((0, self.q)) for _ in range(K - 1)]
        # The basis by level (K and on are pairs) and position, as rows are added.
        self.basis = [
            (k, int(i)) for k, p in enumerate(programmes) for i in p.basis_rows
        ]
        self.theta = np.empty((K, self.q))
        self.rows, self.vertex = programmes[0].rows, programmes[0].vertex

    def keep_apart(self, k: int, index: Array, Z: Array) -> None:
        """Add conditions between level k and the next."""
        self.pairs[k] = np.append(self.pairs[k], index)
        self.conditions[k] = np.concatenate([self.conditions[k], Z])

    def insists(self, crossed: list[Array]) -> bool:
        """Raise the slope if conditions that are there were violated, and say so.

        They are taken from those that are to be added.
        """
        insists = False
        for k, index in enumerate(crossed):
            known = np.isin(index, self.pairs[k])
            insists = insists or bool(known.any())
            crossed[k] = index[~known]
        if insists:
            self.multiplier *= 100.0
        return insists

    def minimize(self) -> bool:
        """Minimise; return whether there is a minimum."""
        rows, starts = self._assembled()
        basis = np.array([starts[k] + i for k, i in self.basis])
        vertex = minimize_vertex(rows, basis)
        if vertex.status is VertexStatus.FAILED:
            basis, _ = starting_basis(rows.A, np.abs(rows.y - rows.A @ vertex.coef))
            vertex = minimize_vertex(rows, basis)
        if vertex.status is not VertexStatus.OPTIMAL:
            return False
        block = np.searchsorted(starts, vertex.basis, side="right") - 1
        places = np.column_stack([block, vertex.basis - starts[block]])
        self.basis = [(int(k), int(i)) for k, i in places]
        self.rows, self.vertex = rows, vertex
        self.theta = vertex.coef.reshape(len(self.programmes), self.q)
        for k, programme in enumerate(self.programmes):
            part = slice(starts[k], starts[k] + len(programme.rows))
            programme.vertex = replace(
                vertex, coef=self.theta[k], dual=vertex.dual[part]
            )
        self.programmes[0].n_pivots += vertex.n_pivots
        return True

    def _assembled(self) -> tuple[TiltedRows, Array]:
        """Return all rows, and where those of each level and pair begin."""
        K, q = len(self.programmes), self.q
        sizes = [len(p.rows) for p in self.programmes]
        sizes += [len(Z) for Z in self.conditions]
        starts = np.cumsum([0, *sizes])[:-1]
        m = sum(sizes)
        n_bytes = 8 * m * K * q
        if n_bytes > MOST_BYTES:
            raise SolverError(
                f"The programme of all {K} levels would take {n_bytes / 2**30:.1f} GiB."
                " Use non_crossing='rearrange', or fewer levels."
            )
        A, y, up, down = np.zeros((m, K * q)), np.zeros(m), np.zeros(m), np.zeros(m)
        for k, programme in enumerate(self.programmes):
            own = programme.rows
            at = slice(starts[k], starts[k] + len(own))
            A[at, k * q : (k + 1) * q] = own.A
            y[at], up[at], down[at] = own.y, own.up, own.down
        for k, Z in enumerate(self.conditions):
            at = slice(starts[K + k], starts[K + k] + len(Z))
            A[at, k * q : (k + 1) * q] = -Z
            A[at, (k + 1) * q : (k + 2) * q] = Z
            up[at] = self.multiplier
        linear = np.concatenate([p.rows.linear for p in self.programmes])
        return TiltedRows(A, y, up, down, linear), starts

    def excess(self, of_programmes: list[Array], theta: Array) -> float:
        """Return by how much the terms exceed what all dual variables prove."""
        residual = self.rows.y - self.rows.A @ theta.ravel()
        # Conditions hold, up to rounding.
        np.minimum(residual, 0.0, out=residual)
        known = np.concatenate(of_programmes)
        residual[: len(known)] = known
        return excess(self.rows, self.vertex.dual, residual)
