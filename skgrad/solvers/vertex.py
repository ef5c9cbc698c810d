"""From vertex to vertex of a sum of tilted absolute residuals, downhill."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import scipy

from skgrad.backend.cpu import pivots as compiled
from skgrad.backend.cpu.pivots import End
from skgrad.solvers.tilted import TiltedRows
from skgrad.typing import Array

__all__ = ["Vertex", "VertexStatus", "minimize_vertex", "starting_basis"]

# Pivots after which the inverse of the basis and the residuals are computed anew.
REFRESH = 100
# Pivots in a row without a step after which the targets are perturbed, by this part of
# their scale.
STALL, PERTURBATION, MAX_PERTURBATIONS = 30, 1e-7, 8
# Breakpoints looked at first: nearly always enough, and a short sort.
NEAREST = 64
# A smaller pivot, relative to the largest, is taken for a sign of dependent rows.
INDEPENDENT = 1e-4
# A direction changes the residuals by less than this part of itself: not at all.
TINY = 1e-11
# Rounding: of a dual variable relative to the slopes, of sums relative to their terms.
DUAL_TOLERANCE, ROUNDING = 1e-12, 1e-14
# Gains that end a descent exactly may be rounded down.
SHARE = 1.0 - 100 * ROUNDING
# From so many numbers in the rows on, pivots are compiled: 14 for 64 us each at 500
# rows of 51, 9 for 28 ms in all at 800 rows of 100. The first use takes 36 ms in each
# process, and 170 ms more once per machine.
COMPILED_FROM = 20_000


class VertexStatus(Enum):
    """How the descent ended; the value is the sentence a user reads.

    Examples
    --------
    >>> from skgrad.solvers import VertexStatus
    >>> VertexStatus.OPTIMAL.value
    'no edge leads downhill'
    """

    OPTIMAL = "no edge leads downhill"
    UNBOUNDED = "the objective falls without end along an edge"
    FAILED = "the basis became singular, or too many pivots were needed"


@dataclass(frozen=True)
class Vertex:
    """Where a descent ended.

    Parameters
    ----------
    coef : array of shape (q,)
        The coefficients b.
    dual : array of shape (m,)
        The dual variables: slopes of the rows, of those in the basis in between.
    basis : array of int of shape (q,)
        The rows whose residual is zero and that determine b.
    status : VertexStatus
        How the descent ended.
    n_pivots : int
        Exchanges of a row of the basis.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers import TiltedRows, minimize_vertex
    >>> one = np.ones((1, 1))
    >>> rows = TiltedRows(one, np.array([3.0]), one[0], one[0], np.zeros(1))
    >>> vertex = minimize_vertex(rows, np.array([0]))
    >>> vertex.coef, vertex.basis, vertex.n_pivots
    (array([3.]), array([0]), 0)
    """

    coef: Array
    dual: Array
    basis: Array
    status: VertexStatus
    n_pivots: int


def minimize_vertex(
    rows: TiltedRows, basis: Array, *, max_pivots: int = 50_000
) -> Vertex:
    r"""Minimise a sum of tilted absolute residuals from vertex to vertex.

    At a vertex q rows with independent A, the basis, have no residual. Where the dual
    variable of such a row is outside its slopes, the edge along which only this row
    leaves zero leads downhill: the row with the steepest such edge leaves, and the edge
    is followed through all kinks until the objective rises, where another row enters
    (in the dual: the bounded simplex method with steepest edges and bound flips). A
    basis near the optimal one needs few pivots. Each costs one product of A with a
    vector and a sort of some breakpoints.

    Parameters
    ----------
    rows : TiltedRows
        What to minimise.
    basis : array of int of shape (q,)
        Rows to start with, whose A are independent, see :func:`starting_basis`.
    max_pivots : int, default=50000
        Pivots after which the descent is given up.

    Returns
    -------
    Vertex
        Optimal, or why not.

    Notes
    -----
    Where ties make many steps of length zero, the targets are perturbed at random, by
    about 1e-7 of their median, and restored at the end; the pivots that are then still
    needed are made with the true ones. The seed is fixed: equal rows give equal bits.

    References
    ----------
    I. Barrodale and F. D. K. Roberts, An improved algorithm for discrete l1 linear
    approximation, SIAM Journal on Numerical Analysis 10 (1973) 839-848; R. Koenker and
    V. d'Orey, Computing regression quantiles, Applied Statistics 36 (1987) 383-393; J.
    J. Forrest and D. Goldfarb, Steepest-edge simplex algorithms for linear programming,
    Mathematical Programming 57 (1992) 341-374.

    Examples
    --------
    The median of three numbers:

    >>> import numpy as np
    >>> from skgrad.solvers import TiltedRows, minimize_vertex
    >>> ones = np.ones(3)
    >>> y = np.array([1.0, 2.0, 6.0])
    >>> rows = TiltedRows(ones[:, None], y, ones, ones, np.zeros(1))
    >>> vertex = minimize_vertex(rows, np.array([2]))
    >>> vertex.coef, vertex.dual, vertex.status.name
    (array([2.]), array([-1.,  0.,  1.]), 'OPTIMAL')
    """
    descent = _Descent(rows, basis, max_pivots)
    try:
        status = descent.run()
        descent.polish()
    except np.linalg.LinAlgError:
        status = VertexStatus.FAILED
    dual = descent.dual()
    return Vertex(descent.coef, dual, descent.basis, status, descent.n_pivots)


def starting_basis(A: Array, distance: Array) -> tuple[Array, Array]:
    """Return independent rows, those near zero first, and what they leave out.

    Parameters
    ----------
    A : array of shape (m, q)
        The rows.
    distance : array of shape (m,)
        Size of their residuals.

    Returns
    -------
    basis : array of int
        At most q rows.
    missing : array of int
        Coefficients whose unit vectors complete the rows to a basis.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers import starting_basis
    >>> A = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    >>> basis, missing = starting_basis(A, np.array([0.5, 0.0, 1.0]))
    >>> basis.tolist(), len(missing)
    ([1], 1)
    """
    q = A.shape[1]
    near = np.argsort(distance, kind="stable")
    near = near[: max(4 * q, 64)]
    basis, missing = _independent(A, near, distance)
    if len(missing) and len(near) < len(A):
        near = np.argsort(distance, kind="stable")
        basis, missing = _independent(A, near, distance)
    return basis, missing


def _independent(A: Array, near: Array, distance: Array) -> tuple[Array, Array]:
    q = A.shape[1]
    away = distance[near]
    typical = away[: q + 1][-1] if len(away) else 0.0
    # A row counts for less the further it is away, so that near ones are chosen.
    counts = 1.0 / (1.0 + away / typical) if typical > 0 else np.ones(len(near))
    size = np.linalg.norm(A[near], axis=1)
    counts /= np.where(size > 0, size, 1.0)
    both = np.concatenate([A[near] * counts[:, None], 1e-9 * np.eye(q)])
    chosen = _pivots(both)
    return near[chosen[chosen < len(near)]], chosen[chosen >= len(near)] - len(near)


def _pivots(rows: Array) -> Array:
    """Return as many independent rows as there are columns.

    By partial pivoting; where that comes near a singular matrix, by the slower QR
    factorisation with column pivoting of the transpose.
    """
    q = rows.shape[1]
    triangle, swaps, _ = scipy.linalg.lapack.dgetrf(rows)
    diagonal = np.abs(np.diagonal(triangle))
    if q and diagonal.min() < INDEPENDENT * diagonal.max():
        order = scipy.linalg.qr(rows.T, mode="r", pivoting=True)[1]
        return np.asarray(order[:q])
    order = np.arange(len(rows))
    for i, j in enumerate(swaps.tolist()):
        order[i], order[j] = order[j], order[i]
    return order[:q]


class _Descent:
    """One descent: a basis, the inverse of its rows, residuals and sides.

    ``side`` is 1 where a row is above zero, -1 below, and 0 for the rows that do not
    count: those of the basis, and those without slopes. ``away`` is the size of the
    residual.
    """

    def __init__(self, rows: TiltedRows, basis: Array, max_pivots: int) -> None:
        self.rows = rows
        self.A = np.ascontiguousarray(rows.A, dtype=np.float64)
        self.y = rows.y
        self.up = np.ascontiguousarray(rows.up, dtype=np.float64)
        self.down = np.ascontiguousarray(rows.down, dtype=np.float64)
        self.sizes = np.abs(self.A)
        self.width = self.up + self.down
        # The slopes of a bound are large, and say nothing of what matters.
        self.slack = DUAL_TOLERANCE * np.minimum(self.width, np.median(self.width))
        self.basis = np.array(basis, dtype=np.int64)
        self.max_pivots = max_pivots
        self.n_pivots = 0
        self.stalled = 0  # the last steps, as far as they have no length
        self.no_length = 0.0
        self.side = np.ones(len(rows))
        self.side[self.width == 0] = 0.0
        self.side[self.basis] = 0.0
        self.coef = np.zeros(rows.n_columns)
        self.basic_dual = np.zeros(rows.n_columns)

    def run(self) -> VertexStatus:
        """Descend; perturb the targets where many steps have no length."""
        self.refresh(keep_ties=False)
        status = self.descend()
        some = np.abs(self.y[self.y != 0])  # bounds may be far larger than targets
        scale = float(np.median(some)) if len(some) else 1.0
        for seed in range(MAX_PERTURBATIONS):
            if status is not None:
                return status
            random = np.random.default_rng(seed)
            sizes = random.uniform(0.5, 1.0, len(self.y)) * PERTURBATION * scale
            self.y = self.rows.y + sizes * random.choice([-1.0, 1.0], len(self.y))
            self.refresh(keep_ties=False)
            status = self.descend()
            self.y = self.rows.y
            self.refresh()
            if status is VertexStatus.OPTIMAL:
                status = self.descend()
        return status or VertexStatus.FAILED

    def refresh(self, keep_ties: bool = True) -> None:
        """Compute anew what pivots update; sides follow from the residuals.

        A residual that is zero up to rounding stays on its side.
        """
        rows, B = self.rows, self.basis
        # Row k is column k of the inverse: what the coefficients change by with y_k.
        self.edges = np.linalg.inv(self.A[B]).T.copy()
        self.coef = self.y[B] @ self.edges
        residual = self.y - self.A @ self.coef
        apart = self.side != 0
        if keep_ties:
            # The inverse is exact to a part of its largest numbers, not of each.
            size = (np.abs(self.y[B]) @ np.abs(self.edges)).max(initial=0.0)
            noise = np.abs(self.y) + size * self.sizes.sum(axis=1)
            apart &= np.abs(residual) > 10 * ROUNDING * noise
        self.side[apart] = np.where(residual[apart] >= 0, 1.0, -1.0)
        self.away = np.abs(residual)
        self.away[B] = 0.0
        slopes = self.slopes()
        self.pull = rows.linear + slopes @ self.A
        noise = np.abs(rows.linear) + np.abs(slopes) @ self.sizes
        self.noise = ROUNDING * (np.abs(self.edges) @ noise)
        # Rows without a slope have a dual variable of zero, a sum that cancels: it is
        # exact to a part of the largest numbers of the inverse, not of each.
        none = self.width[B] == 0
        largest = np.abs(self.edges[none]).max(axis=1, initial=0.0)
        self.noise[none] = 1e-12 * largest * noise.sum()

    def slopes(self) -> Array:
        """Return the slopes of the rows outside the basis, 0 of those in it."""
        above, below = self.side > 0, self.side < 0
        return np.where(above, self.up, 0.0) - np.where(below, self.down, 0.0)

    def descend(self) -> VertexStatus | None:
        """Follow edges downhill; None where too many steps in a row have no length."""
        self.stalled = 0
        self.no_length = ROUNDING * np.abs(self.y).max(initial=0.0)
        while self.n_pivots < self.max_pivots:
            before = self.n_pivots
            end = self.pivots(min(REFRESH, self.max_pivots - before))
            if end is End.STALLED:
                return None
            if self.n_pivots == before:  # nothing that rounding could have changed
                if not np.isfinite(self.basic_dual).all():
                    return VertexStatus.FAILED
                optimal = end is End.NO_ROW
                return VertexStatus.OPTIMAL if optimal else VertexStatus.UNBOUNDED
            self.refresh()
        return VertexStatus.FAILED

    def pivots(self, most: int) -> End:
        """Do pivots, at most so many; return why they end."""
        if self.A.size >= COMPILED_FROM:
            return self.compiled_pivots(most)
        for _ in range(most):
            k, excess = self.leaving()
            if k is None:
                return End.NO_ROW
            length = self.pivot(k, excess)
            if length is None:
                return End.NO_EDGE_END
            self.stalled = 0 if length > self.no_length else self.stalled + 1
            if self.stalled > STALL:
                return End.STALLED
        return End.ENOUGH

    def compiled_pivots(self, most: int) -> End:
        """Do the same in one call."""
        limits = (TINY, SHARE, self.no_length)
        done = compiled.run(vars(self), most, self.stalled, STALL, limits)
        self.n_pivots += done.n_pivots
        self.stalled = done.stalled
        return done.end

    def leaving(self) -> tuple[int | None, float]:
        """Return the position in the basis with the steepest edge, and its excess.

        The excess is how far the dual variable is above (positive) or below (negative)
        its slopes.
        """
        B = self.basis
        self.basic_dual = dual = -(self.edges @ self.pull)
        high, low = dual - self.up[B], -self.down[B] - dual
        excess = np.maximum(high, low)
        limit = self.slack[B] + self.noise
        steepness = excess / np.sqrt(np.einsum("ij,ij->i", self.edges, self.edges))
        steepness[excess <= limit] = 0.0
        k = int(steepness.argmax())
        if steepness[k] <= 0:
            return None, 0.0
        return k, float(excess[k] if high[k] > low[k] else -excess[k])

    def pivot(self, k: int, excess: float) -> float | None:
        """Exchange the k-th row of the basis; return the length of the step.

        None if the edge has no end.
        """
        sign = 1.0 if excess > 0 else -1.0
        change = self.A @ self.edges[k]
        # How fast the other rows come nearer to their kinks.
        nears = change * self.side
        nears *= -sign
        candidates = np.flatnonzero(nears > TINY * np.abs(change).max())
        times = self.away[candidates] / nears[candidates]
        gains = nears[candidates] * self.width[candidates]
        order, j = _first_rise(times, gains, abs(excess))
        if j is None:
            return None
        entering, time = candidates[order[j]], float(times[order[j]])
        passed = candidates[order[:j]]
        if time > 0:
            self.away -= time * nears
            np.abs(self.away, out=self.away)
        if j:
            self.pull -= (self.side[passed] * self.width[passed]) @ self.A[passed]
            self.side[passed] *= -1.0
        self.exchange(k, int(entering), sign, time)
        return time

    def exchange(self, k: int, entering: int, side: float, away: float) -> None:
        """Let a row enter the basis in the place of its k-th, which ends on a side."""
        A, leaving = self.A, self.basis[k]
        slope = self.up[leaving] if side > 0 else -self.down[leaving]
        before = self.up[entering] if self.side[entering] > 0 else -self.down[entering]
        self.pull += slope * A[leaving] - before * A[entering]
        self.side[leaving] = side if self.width[leaving] > 0 else 0.0
        self.away[leaving] = away
        self.basis[k] = entering
        self.side[entering] = self.away[entering] = 0.0
        weights = self.edges @ A[entering]
        column = self.edges[k] / weights[k]
        weights[k] -= 1.0
        self.edges -= np.multiply.outer(weights, column)
        self.n_pivots += 1

    def polish(self) -> None:
        """Solve for coefficients and dual variables: more stable than an inverse."""
        rows, A = self.rows, self.A[self.basis]
        self.coef = np.linalg.solve(A, rows.y[self.basis])
        # A coefficient that one row determines alone is exact to the last bit.
        alone = np.flatnonzero(np.count_nonzero(A, axis=1) == 1)
        column = np.abs(A[alone]).argmax(axis=1)
        self.coef[column] = rows.y[self.basis[alone]] / A[alone, column]
        self.basic_dual = 0.0 - np.linalg.solve(
            A.T, rows.linear + self.slopes() @ self.A
        )

    def dual(self) -> Array:
        """Return the dual variables of all rows."""
        B = self.basis
        dual = self.slopes()
        dual[B] = np.clip(self.basic_dual, -self.down[B], self.up[B])
        return dual


def _first_rise(times: Array, gains: Array, descent: float) -> tuple[Array, int | None]:
    """Return the order of breakpoints, and at which of them a descent ends.

    The order is that of all breakpoints or of the nearest ones.
    """
    descent *= SHARE
    if len(times) > 2 * NEAREST:
        nearest = np.argpartition(times, NEAREST)[:NEAREST]
        order = nearest[np.argsort(times[nearest])]
        j = int(np.searchsorted(np.cumsum(gains[order]), descent))
        if j < len(order):
            return order, j
    order = np.argsort(times)
    j = int(np.searchsorted(np.cumsum(gains[order]), descent))
    return order, j if j < len(order) else None
