"""Quadratic models of a linear model's loss, and their minima with a penalty."""

from __future__ import annotations

import numpy as np
import scipy.linalg.blas

from skgrad.optim.gram_descent import descend_gram
from skgrad.solvers.column_descent import minimize_columns
from skgrad.solvers.path_problem import PathProblem, Point
from skgrad.typing import Array

__all__ = ["ColumnModel", "GramModel"]

MAX_SWEEPS = 1000
# A matrix takes about as long as a step for each so many features: 14, 6, 2.7 and 1.3
# steps for 1,000, 512, 256 and 128 of 1,000. One of so few is made in float64.
STEP = 64
# The matrix is scaled where the sum of the second derivatives has changed by so large a
# part, but at most by this factor.
DRIFT, MOST_DRIFT = 0.02, 10.0
# Curvatures of rows below this part of the largest one count as that.
FLOOR = 1e-9


# Where no row is curved, a window has so many that are; what its width begins with, and
# how often it is taken four times as wide at most.
CURVED, FIRST_WINDOW, WIDENINGS = 0.1, 2.0**-20, 40


def curvature_of(problem: PathProblem, point: Point) -> Array:
    """Return second derivatives of the rows; where all are zero, over a window.

    A loss that is linear far from the targets, as Huber's, may have none anywhere: then
    they are differences of slopes over the smallest window in which a tenth of the rows
    is curved.

    Parameters
    ----------
    problem : PathProblem
        The problem.
    point : Point
        Where.

    Returns
    -------
    array
        Of the shape of the point's curvature.
    """
    found, width = point.curvature, FIRST_WINDOW
    if found.any() or point.coupled:
        return found
    for _ in range(WIDENINGS):
        above, below = (
            problem.at(point.coef, point.intercept, point.raw + side).slope
            for side in (width, -width)
        )
        differences = (above - below) / (2 * width)
        if np.isfinite(differences).all() and (differences > 0).mean() >= CURVED:
            return differences
        width *= 4.0
    return found


class GramModel:
    """A matrix of second derivatives, corrected by what steps show of the gradient."""

    # It is minimised to so small a part of the present residual. Sweeps are cheap here.
    INNER = 0.2

    def __init__(self, problem: PathProblem, point: Point) -> None:
        self.problem = problem
        self.columns = problem.columns
        self.features = np.empty(0, dtype=np.int64)
        self._make(point)

    def admit(self, which: Array, point: Point) -> None:
        """Take these features, the former ones among them."""
        if len(which) > len(self.features):
            self.features = which
            self._make(point)

    def renew(self, point: Point) -> None:
        """Compute the matrix anew."""
        if not self.problem.quadratic:
            self._make(point)

    def slowed(self, point: Point) -> None:
        """Note a step that left much; renew where such steps cost as much as that."""
        self.n_slow += 1
        if STEP * self.n_slow >= len(self.features):
            self.renew(point)

    def _make(self, point: Point) -> None:
        self.blocks: list[_Block] = []  # the memory of the former ones is free
        self.n_slow = 0
        self.curvature, self.coupled = self._convex(point), point.coupled
        classes = np.arange(self.problem.n_outputs)
        groups = [classes] if self.coupled else np.split(classes, len(classes))
        self.blocks = [_Block(self, group) for group in groups]
        self.sizes = self._sizes(point)

    def _sizes(self, point: Point) -> Array:
        """Return the sum of the second derivatives for each block."""
        sums = point.curvature.sum(axis=0)
        return sums.sum(keepdims=True) if self.coupled else sums

    def _follow(self, point: Point) -> None:
        """Scale the matrix as second derivatives changed in the mean."""
        if self.problem.quadratic or not self.problem.convex:
            return
        sizes = self._sizes(point)
        with np.errstate(all="ignore"):  # such ratios are left alone
            ratios = sizes / self.sizes
        for at, ratio in enumerate(ratios):
            away = abs(ratio - 1) > DRIFT
            if away and 1 / MOST_DRIFT < ratio < MOST_DRIFT:
                self.blocks[at].G *= ratio
                self.sizes[at] = sizes[at]

    def _convex(self, point: Point) -> Array:
        """Return second derivatives of the rows, without curvature that is negative."""
        if self.problem.convex or not point.coupled:
            return curvature_of(self.problem, point)
        upper = np.triu_indices(self.problem.n_outputs)
        whole = np.zeros((len(point.raw), *[self.problem.n_outputs] * 2))
        whole[:, upper[1], upper[0]] = point.curvature  # the part that is read
        values, vectors = np.linalg.eigh(whole)
        values = np.abs(values)
        return ((vectors * values[:, None]) @ vectors.mT)[:, upper[0], upper[1]]

    def weights(self, a: int, b: int) -> Array:
        """Return the second derivatives of the rows by two outputs."""
        k = self.problem.n_outputs
        if not self.coupled:
            return self.curvature[:, a]
        a, b = min(a, b), max(a, b)
        return self.curvature[:, a * k - a * (a - 1) // 2 + b - a]

    def solve(
        self,
        point: Point,
        which: Array,
        gradient: Array,
        sides: Array,
        strength: float,
        target: float,
        guess: Array | None = None,
    ) -> tuple[Array, Array, None]:
        """Return coefficients (k, q) and intercepts at the minimum of the model.

        Coordinate descent starts at a guess of the coefficients, if there is one.
        """
        self._follow(point)
        coef, intercept = point.coef[:, which].copy(), point.intercept.copy()
        parts = which, gradient, sides, coef, intercept, strength, target, guess
        for block in self.blocks:
            block.solve(*parts)
        return coef, intercept, None

    def learn(self, *changes: Array) -> None:
        """Correct the matrix by a step and the change of the gradient."""
        if not self.problem.quadratic:
            for block in self.blocks:
                block.learn(*changes)


class _Block:
    """The part of the matrix that belongs to classes that are coupled.

    Coordinates are the intercepts of the classes, then the features of each class.
    """

    def __init__(self, model: GramModel, classes: Array) -> None:
        self.model, self.classes = model, classes
        self.n_free = len(classes) * model.problem.fit_intercept
        size = self.n_free + len(classes) * len(model.features)
        self.G = np.empty((size, size))
        for a in range(len(classes)):
            for b in range(a, len(classes)):
                self._fill(a, b)

    def _fill(self, a: int, b: int) -> None:
        """Put the second derivatives by two classes in their places."""
        columns, features = self.model.columns, self.model.features
        w = self.model.weights(self.classes[a], self.classes[b])
        if a == b:
            w = np.maximum(w, FLOOR * w.max(initial=0.0))
        # Steps correct the matrix, but not that of a quadratic function.
        exact = self.model.problem.quadratic or len(features) <= STEP
        dtype = np.float64 if exact else np.float32
        starts = (self.n_free + c * len(features) for c in (a, b))
        mine, others = (slice(start, start + len(features)) for start in starts)
        self.G[mine, others] = columns.gram(w, features, dtype)
        if self.n_free:
            self.G[a, b] = w.sum()
            sides = columns.pulled(w[:, None])[0, features]
            self.G[a, others] = self.G[b, mine] = sides
            self.G[others, a], self.G[mine, b] = self.G[a, others], self.G[b, mine]
            self.G[b, a] = self.G[a, b]
        self.G[others, mine] = self.G[mine, others].T

    def _gathered(self, rows: Array, ends: Array) -> Array:
        """Return numbers of coefficients (k, q) and intercepts (k,) by coordinate."""
        free = ends[self.classes[: self.n_free]]
        return np.concatenate([free, rows[self.classes].ravel()])

    def solve(
        self,
        which: Array,
        gradient: Array,
        sides: Array,
        coef: Array,
        intercept: Array,
        strength: float,
        target: float,
        guess: Array | None,
    ) -> None:
        """Put the minimum of the model in the place of coefficients and intercepts."""
        problem = self.model.problem
        free = np.zeros(problem.n_outputs)
        k = problem.n_outputs

        def penalty(rates: Array) -> Array:
            rows = np.broadcast_to(strength * rates[which], (k, len(which)))
            return self._gathered(rows, free)

        b = self._gathered(coef, intercept)
        g = self._gathered(gradient, sides)
        l1, l2 = penalty(problem.l1), penalty(problem.l2)
        low = self._gathered(problem.low[:, which], free - np.inf)
        high = self._gathered(problem.high[:, which], free + np.inf)
        scale = self._gathered(np.tile(problem.scale[which], (k, 1)), free + 1)
        diagonal = self.G.diagonal().copy()
        stiff = ((diagonal + l2) / scale**2).max(initial=1e-300)
        self.G[np.diag_indices_from(self.G)] = diagonal + l2
        start, slope = b, -g - l2 * b
        if guess is not None:
            start = self._gathered(guess, intercept)
            slope -= self.G @ (start - b)
        minimum = descend_gram(
            self.G,
            slope,
            l1,
            low,
            high,
            start,
            tol=target**2 / stiff,
            max_sweeps=MAX_SWEEPS,
        )
        self.G[np.diag_indices_from(self.G)] = diagonal
        found = minimum.coef
        if self.n_free:
            intercept[self.classes] = found[: self.n_free]
        shape = len(self.classes), len(which)
        coef[self.classes] = found[self.n_free :].reshape(shape)

    def learn(
        self, move: Array, shift: Array, change: Array, change_of_sides: Array
    ) -> None:
        """Correct the matrix so that it explains the change of the gradient."""
        s = self._gathered(move, shift)
        y = self._gathered(change, change_of_sides)
        Gs = self.G @ s
        seen, expected = s @ y, s @ Gs
        if not (expected > 0 and seen > 0.1 * expected and np.isfinite(seen)):
            return
        parts = np.array([y / np.sqrt(seen), Gs / np.sqrt(expected)])
        signed = parts * [[1.0], [-1.0]]
        # In its place: the matrix is symmetric, so its transpose is in Fortran's order.
        scipy.linalg.blas.dgemm(
            1.0, parts.T, signed, beta=1.0, c=self.G.T, overwrite_c=1
        )


class ColumnModel:
    """Weighted least squares over the columns, one class after the other."""

    # 0.2 takes a third more sweeps along the sparse paths of bench_path.py.
    INNER = 0.5

    def __init__(self, problem: PathProblem, point: Point) -> None:
        self.problem = problem
        self.columns = problem.columns
        self.of = point.curvature
        self.prepared = self._all_prepared(point)

    def admit(self, which: Array, point: Point) -> None:
        """Take features in: nothing is to be done."""

    def renew(self, point: Point) -> None:
        """Take other second derivatives of the rows, if these are not they."""
        if point.curvature is not self.of and not self.problem.quadratic:
            self.of, self.prepared = point.curvature, self._all_prepared(point)

    def slowed(self, point: Point) -> None:
        """Do nothing: each step takes second derivatives of its own."""

    def _all_prepared(self, point: Point) -> list[tuple[Array, Array | None, Array]]:
        k = self.problem.n_outputs
        starts = [a * k - a * (a - 1) // 2 for a in range(k)]
        # The outputs of a row move at once: twice the diagonal bounds the whole.
        found = curvature_of(self.problem, point)
        own = 2 * found[:, starts] if point.coupled else found
        return [self._prepared(w) for w in own.T]

    def _prepared(self, w: Array) -> tuple[Array, Array | None, Array]:
        floor = FLOOR * w.max(initial=0.0)
        w = np.maximum(w, floor) if (w < floor).any() else np.ascontiguousarray(w)
        h = self.columns.squares(w)
        if not self.problem.fit_intercept:
            return w, None, h
        side = self.columns.pulled(w[:, None])[0]
        return w, side, np.maximum(h - side**2 / w.sum(), 0.0)

    def solve(
        self,
        point: Point,
        which: Array,
        gradient: Array,
        sides: Array,
        strength: float,
        target: float,
        guess: Array | None = None,
    ) -> tuple[Array, Array, Array | None]:
        """Return coefficients (k, q) and intercepts at the minimum of the model.

        For a quadratic loss also what the raw predictions (n, k) change by.
        """
        problem = self.problem
        self.renew(point)
        coef, intercept = point.coef[:, which].copy(), point.intercept.copy()
        l1, l2 = strength * problem.l1, strength * problem.l2
        raw = np.empty_like(point.raw) if problem.quadratic else None
        for a, (w, side, h) in enumerate(self.prepared):
            stiff = ((h + l2) / problem.scale**2)[which].max(initial=1e-300)
            found = minimize_columns(
                self.columns.arrays,
                w,
                np.ascontiguousarray(point.slope[:, a]),
                side,
                h,
                (l1, l2),
                (problem.low[a], problem.high[a]),
                point.coef[a],
                which,
                tol=target**2 / stiff,
                max_sweeps=MAX_SWEEPS,
            )
            coef[a] = found.coef[which]
            intercept[a] += found.shift
            if raw is not None:  # slopes are differences of raw predictions then
                raw[:, a] = (found.slope - point.slope[:, a]) / w
        return coef, intercept, raw

    def learn(self, *changes: Array) -> None:
        """Learn nothing: the next step takes second derivatives of its own."""
