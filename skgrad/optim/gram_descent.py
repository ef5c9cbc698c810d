"""Coordinate descent for a quadratic function with an L1 penalty and bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy

from skgrad.backend.cpu import descent as compiled
from skgrad.typing import Array

__all__ = ["GramMinimum", "descend_gram", "minimize_gram"]

# From so many coefficients on, sweeps are compiled: 99 penalties of a path take 3 to 5
# ms for 26 to 103 ms at 24 coefficients. The first use takes 40 to 50 ms in each
# process, and 50 ms more once per machine.
COMPILED_FROM = 20
# Sweeps over the free coefficients after which their system is solved. Along a path of
# 49 penalties for 200 rows of 300, neighbours correlated by 0.95, that makes 7000 of
# 65000 sweeps and 85 of 530 ms (tol: 1e-14 of the squares of y); at 1e-8 it changes
# little.
PATIENCE = 64
# Parts tried of the way to the minimum for the present signs, from the one after which
# the first coefficient stops to all of it; and what is added to the diagonal of the
# system, relative to its largest element.
STEPS, RIDGE = 16, 1e-12


class GramMinimum(NamedTuple):
    """Where coordinate descent ended.

    Parameters
    ----------
    coef : array of shape (k,)
        The coefficients b.
    gradient : array of shape (k,)
        What is left of the linear term, c - G b: the negative gradient of the smooth
        part.
    n_sweeps : int
        Sweeps used, those over free coefficients included.
    converged : bool
        Whether the last sweep went over all coefficients and changed none by much.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.optim.gram_descent import GramMinimum
    >>> GramMinimum(np.ones(1), np.zeros(1), n_sweeps=2, converged=True).coef
    array([1.])
    """

    coef: Array
    gradient: Array
    n_sweeps: int
    converged: bool


def minimize_gram(
    G: Array,
    c: Array,
    l1: Array,
    low: Array,
    high: Array,
    coef: Array,
    *,
    tol: float,
    max_sweeps: int,
) -> GramMinimum:
    r"""Minimise a quadratic function with an L1 penalty and bounds by its coordinates.

    .. math:: \min_b\ \tfrac12 b^\top G b - c^\top b + \sum_j l_j |b_j|,
              \quad \mathrm{low}_j \le b_j \le \mathrm{high}_j

    One coefficient after the other goes to its minimum given the others. After a sweep
    over all of them, further sweeps go over the free ones, neither zero nor at a bound,
    until these have settled; then comes a sweep over all again. Where the free ones do
    not settle soon, they go together towards the minimum for their signs; those that
    reach zero or a bound on the way stop there.

    Parameters
    ----------
    G : array of float64 of shape (k, k)
        A symmetric positive semidefinite matrix in C order; an L2 penalty is on its
        diagonal. Coefficients whose diagonal element is not positive stay as they are.
    c : array of float64 of shape (k,)
        The linear term.
    l1 : array of float64 of shape (k,)
        The penalties, not negative.
    low, high : array of float64 of shape (k,)
        The bounds, which may be infinite.
    coef : array of float64 of shape (k,)
        Where to start; not changed.
    tol : float
        Sweeps end when none changes a coefficient by d with :math:`d^2 G_{jj}` above
        this, in units of the objective: twice what the change gains.
    max_sweeps : int
        Sweeps after which the descent is given up, those over the free coefficients
        included.

    Returns
    -------
    GramMinimum
        Coefficients, the gradient there, sweeps used and whether they converged; not
        where c or G have elements that are not finite.

    Notes
    -----
    Nothing is checked: this is the inner loop of other solvers. The same bits come out
    whether sweeps are compiled, for many coefficients, or not.

    References
    ----------
    J. Friedman, T. Hastie and R. Tibshirani, Regularization paths for generalized
    linear models via coordinate descent, Journal of Statistical Software 33 (2010),
    sections 2.1 to 2.6. The step of the free coefficients is not in it.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.optim.gram_descent import minimize_gram
    >>> G, c = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([3.0, 1.0])
    >>> l1, bound = np.ones(2), np.full(2, np.inf)
    >>> minimum = minimize_gram(
    ...     G, c, l1, -bound, bound, np.zeros(2), tol=1e-12, max_sweeps=100
    ... )
    >>> minimum.coef, minimum.gradient, minimum.converged
    (array([1., 0.]), array([1., 0.]), True)
    """
    return descend_gram(
        G, c - G @ coef, l1, low, high, coef, tol=tol, max_sweeps=max_sweeps
    )


def descend_gram(
    G: Array,
    gradient: Array,
    l1: Array,
    low: Array,
    high: Array,
    coef: Array,
    *,
    tol: float,
    max_sweeps: int,
) -> GramMinimum:
    """Do what :func:`minimize_gram` does, from a known gradient.

    Parameters
    ----------
    gradient : array of float64 of shape (k,)
        ``c - G @ coef``; not changed.
    G, l1, low, high, coef, tol, max_sweeps
        As those of :func:`minimize_gram`.

    Returns
    -------
    GramMinimum
        As :func:`minimize_gram` returns it.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.optim.gram_descent import descend_gram
    >>> one, bound = np.ones(1), np.full(1, np.inf)
    >>> found = descend_gram(
    ...     one[:, None], 3 * one, one, -bound, bound, one, tol=1e-9, max_sweeps=9
    ... )
    >>> found.coef, found.gradient
    (array([3.]), array([1.]))
    """
    coef, gradient = coef.copy(), gradient.copy()
    make = compiled.sweeper if len(coef) >= COMPILED_FROM else _sweeper
    diagonal = G.diagonal().copy()
    sweep = make(G, diagonal, l1, low, high, coef, gradient, tol)
    everything = np.flatnonzero(diagonal > 0)
    n_sweeps = 0
    while n_sweeps < max_sweeps:
        n_sweeps += 1
        if sweep(everything, 1):
            # What is not a number does not move.
            converged = bool(np.isfinite(gradient).all())
            return GramMinimum(coef, gradient, n_sweeps, converged)
        most = min(PATIENCE, max_sweeps - n_sweeps)
        free = everything[_is_free(low, high, coef)[everything]]
        n_done = sweep(free, most)
        n_sweeps += n_done or most
        if not n_done and n_sweeps < max_sweeps:
            free = free[_is_free(low, high, coef)[free]]
            before = coef.copy()
            _jump(free, G, l1, low, high, coef, gradient)
            gradient -= G @ (coef - before)
    return GramMinimum(coef, gradient, n_sweeps, converged=False)


def _is_free(low: Array, high: Array, coef: Array) -> Array:
    return (coef != 0) & (low < coef) & (coef < high)


def _sweeper(
    G: Array,
    diagonal: Array,
    l1: Array,
    low: Array,
    high: Array,
    coef: Array,
    gradient: Array,
    tol: float,
) -> Callable[[Array, int], int]:
    """Do what :func:`skgrad.backend.cpu.descent.sweeper` does, in Python."""
    numbers = [x.tolist() for x in (diagonal, l1, low, high)]
    table = list(zip(*numbers, G, strict=True))

    def moves(j: int) -> bool:
        d, penalty, lowest, highest, row = table[j]
        old = coef.item(j)
        u = gradient.item(j) + d * old
        new = (u - min(max(u, -penalty), penalty)) / d
        new = min(max(new, lowest), highest)
        delta = new - old
        if not abs(delta) > 0:  # nor a number
            return False
        coef[j] = new
        np.subtract(gradient, delta * row, out=gradient)
        return bool(delta * delta * d > tol)

    def sweep(order: Array, most: int) -> int:
        coordinates = order.tolist()
        for n in range(1, most + 1):
            if not sum(map(moves, coordinates)):
                return n
        return 0

    return sweep


def _jump(
    free: Array,
    G: Array,
    l1: Array,
    low: Array,
    high: Array,
    coef: Array,
    gradient: Array,
) -> None:
    """Move free coefficients towards their minimum; none changes its sign."""
    if not len(free):
        return
    b, penalty, matrix = coef[free], l1[free], G[np.ix_(free, free)]
    slope = gradient[free] - penalty * np.sign(b)
    # Dependent columns have no shortest way of their own.
    ridge = RIDGE * matrix.diagonal().max() * np.eye(len(free))
    try:
        factor = scipy.linalg.cho_factor(matrix + ridge, check_finite=False)
    except np.linalg.LinAlgError:  # left to the sweeps
        return
    way = scipy.linalg.cho_solve(factor, slope, check_finite=False)
    kinked = penalty > 0
    lowest = np.where(kinked & (b > 0), np.maximum(low[free], 0.0), low[free])
    highest = np.where(kinked & (b < 0), np.minimum(high[free], 0.0), high[free])
    times = np.full(len(free), np.inf)
    ends = np.where(way > 0, highest, lowest)
    np.divide(ends - b, way, out=times, where=way != 0)
    first = min(1.0, times.min() * (1 + 1e-12))  # surely there
    parts = np.geomspace(1.0, first, STEPS)[:, None]
    places = np.clip(b + parts * way, lowest, highest)
    moves = places - b
    gains = moves @ slope - 0.5 * np.einsum("ij,ij->i", moves @ matrix, moves)
    best = gains.argmax()
    if gains[best] > 0:
        coef[free] = places[best]
