"""Regularisation paths: linear models of any smooth loss, for many penalties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skgrad.solvers.columns import Columns
from skgrad.solvers.local_models import ColumnModel, GramModel
from skgrad.solvers.path_problem import PathProblem, Point
from skgrad.solvers.strengths import (
    Path,
    check_null_loss,
    ends,
    grid_of,
    largest_strength,
    residuals,
    tolerance_of,
)
from skgrad.typing import Array

__all__ = ["solve_path"]

# Gram matrices of at most so many coordinates are made; beyond, columns are read.
GRAM_MOST = 3000
# Where such a matrix is made, at least so many features come in at a time, and as many
# as there are: all of it is made anew, which takes a third more than adding to it.
BATCH = 64
# From so large a part of the coordinates on, products are those of all of them: what is
# not in the working set needs the gradient once for each strength anyway. So large a
# part of the inputs may be copied.
EVERY = 0.25
# A step that leaves so much of the residual is slow: second derivatives are old.
SLOW = 0.3
# Inner problems are solved to so small a part of the residual that is asked for.
INNER = 0.3
MAX_HALVINGS = 30
# After so many strengths in a row that were not solved, the others get one step each.
PATIENCE = 3
# A value that rises by so small a part of it is no larger.
ROUNDING = 1e-14


def solve_path(
    problem: PathProblem,
    strengths: int | Sequence[float] | Array = 100,
    eps: float = 1e-3,
    *,
    tol: float = 1e-5,
    max_iter: int = 100,
    ends_early: bool = True,
) -> Path:
    """Solve for a decreasing sequence of strengths.

    Parameters
    ----------
    problem : PathProblem
        The problem.
    strengths : int or sequence of float, default=100
        How many of them, from the smallest one at which all penalised coefficients are
        zero down to `eps` times it; or the strengths themselves, in any order.
    eps : float, default=1e-3
        The last strength over the first.
    tol : float, default=1e-5
        Bound on :attr:`Path.residual` for the largest strength. It falls with the
        square root of the strength, to 3 % of this at most, which makes duality gaps
        more alike.
    max_iter : int, default=100
        Steps for each strength.
    ends_early : bool, default=True
        Whether a path whose strengths are not given ends where they hardly change the
        loss any more.

    Returns
    -------
    Path
        The solutions; there may be fewer than were asked for.

    Notes
    -----
    Each solution starts at the one before, on the coordinates that are not zero or that
    the strong rule does not discard; those whose slopes turn out too large are added
    [1]_. A step minimises a quadratic model by coordinate descent. Up to 3000
    coordinates its matrix is kept from one strength to the next: it is scaled as second
    derivatives change in the mean and corrected by the change of the gradient that each
    step shows (BFGS). It is made anew where the number of coordinates doubles, and
    where steps that gain little have cost as much. For more of them, and for sparse
    matrices, the columns themselves are read. Neither dense inputs nor sparse columns
    are copied, but for a quarter of the former at most.

    References
    ----------
    .. [1] R. Tibshirani, J. Bien, J. Friedman, T. Hastie, N. Simon, J. Taylor and R. J.
       Tibshirani, Strong rules for discarding predictors in lasso-type problems,
       Journal of the Royal Statistical Society B 74 (2012) 245-266.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.losses import SquaredError
    >>> from skgrad.solvers import PathProblem, columns_of, solve_path
    >>> from skgrad.train import RowDerivatives
    >>> X, y = np.array([[-1.0], [0.0], [1.0]]), np.array([-3.0, 0.0, 3.0])
    >>> rows = RowDerivatives(SquaredError(), y, np.full(3, 1 / 3))
    >>> one, free = np.ones(1), np.full((1, 1), np.inf)
    >>> problem = PathProblem(
    ...     columns_of(X, 0 * one),
    ...     rows,
    ...     start=0 * one,
    ...     vector=True,
    ...     factors=one,
    ...     scale=one,
    ...     low=-free,
    ...     high=free,
    ...     l1_ratio=1.0,
    ...     quadratic=True,
    ... )
    >>> path = solve_path(problem, [2.0, 1.0, 0.0])
    >>> path.coef.ravel().round(6)
    array([0. , 1.5, 3. ])
    """
    return _Solver(problem, tol, max_iter).path(strengths, eps, ends_early)


class _Solver:
    """The state of a path."""

    def __init__(self, problem: PathProblem, tol: float, max_iter: int) -> None:
        self.problem = problem
        self.tol, self.max_iter = tol, max_iter
        self.columns = problem.columns
        p = self.columns.shape[1]
        self.l1, self.l2 = problem.l1, problem.l2
        self.strength = 0.0
        self.size = 1.0
        self.gradient = np.zeros((problem.n_outputs, p))  # where it was last computed
        self.up_to_date = False
        self.known: tuple[Point, float, Array] | None = None  # residuals
        # The last strength with its solution; and the one before it, with what part of
        # the change from that to this is to come next.
        self.before: tuple[float, tuple[Array, ...]] | None = None
        self.last: tuple[float, tuple[Array, ...]] | None = None
        # The coordinates that may move: not penalised, or not zero at the start.
        coef = np.clip(np.zeros((problem.n_outputs, p)), problem.low, problem.high)
        self.working = np.flatnonzero((problem.factors == 0) | coef.any(axis=0))
        self.part: tuple[Array, Columns] | None = None  # these, while they are few
        intercept = problem.start.astype(np.float64)
        raw = self.columns.times(coef) + intercept
        self.point = self.problem.at(coef, intercept, raw)
        self.model: GramModel | ColumnModel | None = None

    # --- the path -----------------------------------------------------------------

    def path(self, strengths: Any, eps: float, ends_early: bool) -> Path:
        """Return the solutions."""
        check_null_loss(self.point.loss)
        self._start()
        null_loss = self.point.loss
        given = not isinstance(strengths, int | np.integer)
        problem = self.problem
        largest = largest_strength(
            self.gradient,
            self.point.coef,
            (problem.low, problem.high),
            problem.factors * problem.scale,
            problem.l1_ratio,
        )
        grid = grid_of(strengths, largest, eps)
        coefs = np.empty((len(grid), *self.point.coef.shape))
        found: list[tuple[Any, ...]] = []
        before, left, most = max(largest, grid[0]), PATIENCE, self.max_iter
        tol = self.tol
        for at, strength in enumerate(grid):
            self.tol = tolerance_of(tol, float(strength), largest)
            steps_and_residual = self._solve(float(strength), before)
            before = float(strength)
            left = PATIENCE if steps_and_residual[1] <= self.tol else left - 1
            # A loss without a minimum has none for the strengths that follow.
            self.max_iter = most if left > 0 else 1
            point = self.point
            intercept = point.intercept - point.coef @ self.columns.centre
            coefs[at] = point.coef
            found.append((intercept, point.loss, *steps_and_residual))
            losses = [one[1] for one in found]
            if not given and ends_early and ends(null_loss, losses):
                break
        intercepts, loss, n_steps, residual = map(np.array, zip(*found, strict=True))
        done, coefs = grid[: len(found)], coefs[: len(found)]
        return Path(
            done, coefs, intercepts, loss, residual, null_loss, self.size, n_steps
        )

    def _start(self) -> None:
        """Fit what is not penalised, and see how large slopes are without the rest."""
        self.gradient, self.up_to_date = self._pulled(), True
        self.size = float(np.abs(self.gradient / self.problem.scale).max(initial=0.0))
        self.size = self.size or 1.0
        if len(self.working) or self.problem.fit_intercept:
            self._descend()
            self.gradient, self.up_to_date = self._pulled(), True

    # --- one strength -------------------------------------------------------------

    def _solve(self, strength: float, before: float) -> tuple[int, float]:
        """Move to the solution for a strength; return steps and the residual."""
        self._extrapolate(strength, before)
        # Slopes change by less than the strength does, as a rule.
        bound = self.l1 * (2 * strength - before)
        strong = (np.abs(self.gradient) >= bound).any(axis=0)
        self._admit(np.flatnonzero(strong))
        n_steps = 0
        while True:
            n_steps += self._descend(n_steps)
            if not self.up_to_date:
                self.gradient, self.up_to_date = self._pulled(), True
            residuals = self._all_residuals()
            wrong = (residuals > self.tol * self.size).any(axis=0)
            wrong[self.working] = False
            if not wrong.any() or n_steps >= self.max_iter:
                return n_steps, float(residuals.max(initial=0.0)) / self.size
            self._admit(np.flatnonzero(wrong))

    def _extrapolate(self, strength: float, before: float) -> None:
        """Go on along the line through the last two solutions, if that is known.

        For a quadratic loss all that follows from coefficients is linear in them, and
        the solutions are so between changes of the active set.
        """
        point, quadratic = self.point, self.problem.quadratic
        kept: tuple[Array, ...] = (point.coef,)
        if quadratic:
            kept = (*point[:3], self.gradient.copy())
        self.strength = strength
        self.last = None
        if self.before is not None and self.before[0] > before:
            part = (before - strength) / (self.before[0] - before)
            self.last = part, self.before[1]
        self.before = before, kept
        if self.last is None or not quadratic:
            return
        part, then = self.last
        pairs = zip(kept, then, strict=True)
        coef, intercept, raw, gradient = (
            now + part * (now - was) for now, was in pairs
        )
        inside = (coef >= self.problem.low) & (coef <= self.problem.high)
        if not inside.all():
            return
        point = self.problem.at(coef, intercept, raw)
        if self._value(point) < self._value(self.point):
            self.point, self.gradient = point, gradient

    def _admit(self, features: Array) -> None:
        """Take features into the working set, if there are new ones in it."""
        out = np.ones(self.columns.shape[1], dtype=bool)
        out[self.working] = False
        if not out[features].any():
            return
        if self.point.coupled or not self.columns.sparse:
            # Many at once; the others are those closest to moving.
            most = max(BATCH, len(self.working))
            near = np.abs(self.gradient).max(axis=0) / np.maximum(self.l1, 1e-300)
            near[features] = np.inf
            candidates = np.flatnonzero(out)
            most = min(max(most, np.isinf(near[candidates]).sum()), len(candidates))
            order = np.argpartition(-near[candidates], most - 1)[:most]
            features = candidates[order]
        out[features] = False
        self.working = np.flatnonzero(~out)

    def _pulled(self) -> Array:
        return self.columns.pulled(self.point.slope)

    def _few(self, which: Array) -> Columns | None:
        """Return the columns of features that are so few that a copy pays."""
        if self.columns.sparse or len(which) > EVERY * self.columns.shape[1]:
            self.part = None
            return None
        if self.part is None or self.part[0] is not which:
            self.part = which, self.columns.some(which)
        return self.part[1]

    def _residuals(self, gradient: Array, which: Any = slice(None)) -> Array:
        """Return how far slopes are from balancing the penalty, for scale one."""
        problem, b = self.problem, self.point.coef[:, which]
        u = gradient + self.strength * self.l2[which] * b
        bounds = problem.low[:, which], problem.high[:, which]
        found = residuals(u, b, self.strength * self.l1[which], bounds)
        return np.asarray(found / problem.scale[which])

    def _all_residuals(self) -> Array:
        """Return those of all coordinates, whose gradient is up to date."""
        key = self.point, self.strength
        if self.known is None or self.known[0] is not key[0] or self.known[1] != key[1]:
            self.known = (*key, self._residuals(self.gradient))
        return self.known[2]

    def _value(self, point: Point) -> float:
        b = point.coef
        penalty = self.l1 @ np.abs(b).sum(axis=0) + 0.5 * (self.l2 @ (b**2).sum(axis=0))
        return float(point.loss + self.strength * penalty)

    def _descend(self, n_before: int = 0) -> int:
        """Move to the minimum over the working set; return the number of steps."""
        which = self.working
        model = self._model_of(which)
        gradient, sides = self._gradient(which)
        last = np.inf
        for n_steps in range(self.max_iter - n_before):
            if self.up_to_date:
                residual = self._all_residuals()[:, which].max(initial=0.0)
            else:
                residual = self._residuals(gradient, which).max(initial=0.0)
            if self.problem.fit_intercept:
                residual = max(residual, np.abs(sides).max())
            if residual <= self.tol * self.size:
                return n_steps
            if n_steps and residual > SLOW * last:
                model.slowed(self.point)
            last = residual
            target = INNER * self.tol * self.size
            if self.problem.quadratic:  # one step should do, but where it does not
                target *= 10.0 / 10.0**n_steps
            else:  # the model is not exact
                target = max(target, model.INNER * residual)
            before = self.point
            guess = self._guess(which) if n_steps == n_before == 0 else None
            if not self._step(model, which, gradient, sides, target, guess):
                return n_steps + 1
            old, old_sides = gradient, sides
            gradient, sides = self._gradient(which)
            model.learn(
                self.point.coef[:, which] - before.coef[:, which],
                self.point.intercept - before.intercept,
                gradient - old,
                sides - old_sides,
            )
        return self.max_iter - n_before

    def _gradient(self, which: Array) -> tuple[Array, Array]:
        """Return the slopes of coefficients (k, q) and intercepts (k,)."""
        sides = self.point.slope.sum(axis=0)
        if not self.up_to_date:
            few = self._few(which)
            if few is None:
                self.gradient = self._pulled()
            else:
                self.gradient[:, which] = few.pulled(self.point.slope)
            self.up_to_date = few is None
        return self.gradient[:, which], sides

    def _model_of(self, which: Array) -> GramModel | ColumnModel:
        """Return the quadratic model, of these coordinates too."""
        problem = self.problem
        n_classes = self.point.curvature.shape[1] if self.point.coupled else 1
        small = n_classes * (len(which) + 1) <= GRAM_MOST
        # A sparse matrix has fewer elements than its products would have.
        gram = small and (self.point.coupled or not self.columns.sparse)
        wanted = GramModel if gram else ColumnModel
        if type(self.model) is not wanted:
            self.model = wanted(problem, self.point)
        self.model.admit(which, self.point)
        return self.model

    def _guess(self, which: Array) -> Array | None:
        """Return where the last change of the coefficients leads to, if it goes on."""
        if self.last is None or self.problem.quadratic:
            return None
        part, then = self.last[0], self.last[1][0][:, which]
        now = self.point.coef[:, which]
        guess = now + part * (now - then)
        guess = np.where(guess * now > 0, guess, 0.0)
        return np.clip(guess, self.problem.low[:, which], self.problem.high[:, which])

    def _step(
        self,
        model: Any,
        which: Array,
        gradient: Array,
        sides: Array,
        target: float,
        guess: Array | None,
    ) -> bool:
        """Take a step, or a part of it that goes down; tell whether there is one."""
        for tries in (3, MAX_HALVINGS):
            coef, intercept, raw = model.solve(
                self.point, which, gradient, sides, self.strength, target, guess
            )
            with np.errstate(over="ignore", invalid="ignore"):  # no step then
                new = self._downhill(which, coef, intercept, raw, tries)
            if new is not None:
                self.point, self.up_to_date = new, False
                return True
            model.renew(self.point)
        return False

    def _downhill(
        self,
        which: Array,
        coef: Array,
        intercept: Array,
        raw: Array | None,
        tries: int,
    ) -> Point | None:
        """Return the first point on the way back whose value is no larger, if any."""
        point, value, length = self.point, self._value(self.point), 1.0
        move, shift = coef - point.coef[:, which], intercept - point.intercept
        if raw is None:
            few = self._few(which)
            if few is None:
                change = np.zeros_like(point.coef)
                change[:, which] = move
                raw = self.columns.times(change) + shift
            else:
                raw = few.times(move) + shift
        for _ in range(tries):
            whole = point.coef.copy()
            # The end itself, to the bit: what is zero there is zero.
            whole[:, which] = coef if length == 1 else whole[:, which] + length * move
            part = raw if length == 1 else length * raw
            new = self.problem.at(
                whole, point.intercept + length * shift, point.raw + part
            )
            if self._value(new) <= value + ROUNDING * max(abs(value), abs(new.loss)):
                return new
            length *= 0.5
        return None
