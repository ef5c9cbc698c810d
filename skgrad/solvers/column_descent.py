"""Coordinate descent for weighted least squares with a penalty, column by column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from skgrad.backend.cpu import column_descent as compiled
from skgrad.typing import Array

__all__ = ["ColumnMinimum", "minimize_columns"]

# From so many elements on, sweeps are compiled: the first use takes 60 ms.
COMPILED_FROM = 1_000


class ColumnMinimum(NamedTuple):
    """Where coordinate descent ended.

    Parameters
    ----------
    coef : array of shape (p,)
        The coefficients.
    shift : float
        What the intercept changed by.
    n_sweeps : int
        Sweeps used.
    converged : bool
        Whether the last sweep went over all columns and changed none by much.
    slope : array of shape (n,)
        t at the minimum, the change of the intercept included.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers.column_descent import ColumnMinimum
    >>> one = np.ones(1)
    >>> ColumnMinimum(one, 0.0, n_sweeps=2, converged=True, slope=one).coef
    array([1.])
    """

    coef: Array
    shift: float
    n_sweeps: int
    converged: bool
    slope: Array


def minimize_columns(
    columns: tuple[Array, Array | None, Array | None],
    weights: Array,
    slope: Array,
    side: Array | None,
    curvature: Array,
    penalties: tuple[Array, Array],
    bounds: tuple[Array, Array],
    coef: Array,
    order: Array,
    *,
    tol: float,
    max_sweeps: int,
) -> ColumnMinimum:
    r"""Minimise a quadratic function of linear predictors with an L1 and L2 penalty.

    .. math:: \min_{b, c}\ t^\top \delta + \tfrac12 \delta^\top D \delta
        + \sum_j l_j |b_j| + \tfrac12 r_j b_j^2, \qquad
        \delta = X (b - b^0) + c, \quad \mathrm{low}_j \le b_j \le \mathrm{high}_j

    The intercept's change c is at its minimum all the time: columns count as centred by
    their weighted means, which a sparse matrix never is.

    Parameters
    ----------
    columns : data, indices, indptr
        X of shape (n, p): a sparse matrix in columns, or data of shape (p, n) in C
        order, a row for each column, and two None. float64.
    weights : array of shape (n,)
        The diagonal of D, not negative, of positive sum.
    slope : array of shape (n,)
        t; not changed.
    side : array of shape (p,), or None
        ``X.T @ weights``; None if there is no intercept.
    curvature : array of shape (p,)
        ``(X**2).T @ weights - side**2 / weights.sum()``.
    penalties : l1, l2
        Of shape (p,), not negative.
    bounds : low, high
        Of shape (p,); may be infinite.
    coef : array of shape (p,)
        :math:`b^0`; not changed.
    order : array of int64
        The columns that may move. Those without curvature or L2 penalty do not.
    tol : float
        Sweeps end when none changes a coefficient by d with :math:`d^2 (h_j + r_j)`
        above this, in units of the objective; h is the curvature.
    max_sweeps : int
        Sweeps after which the descent is given up.

    Returns
    -------
    ColumnMinimum
        Coefficients, the change of the intercept, sweeps used and whether they
        converged.

    Notes
    -----
    Nothing is checked: this is the inner loop of other solvers.

    References
    ----------
    J. Friedman, T. Hastie and R. Tibshirani, Regularization paths for generalized
    linear models via coordinate descent, Journal of Statistical Software 33 (2010),
    sections 2.2 and 2.3.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.solvers.column_descent import minimize_columns
    >>> X, none, large = np.array([[1.0, -1.0]]), np.zeros(1), np.full(1, np.inf)
    >>> found = minimize_columns(
    ...     (X, None, None),
    ...     weights=np.ones(2),
    ...     slope=np.array([-3.0, -1.0]),
    ...     side=none,
    ...     curvature=np.array([2.0]),
    ...     penalties=(np.ones(1), none),
    ...     bounds=(-large, large),
    ...     coef=none,
    ...     order=np.array([0]),
    ...     tol=1e-12,
    ...     max_sweeps=100,
    ... )
    >>> found.coef, found.shift
    (array([0.5]), 2.0)
    """
    t, b = slope.copy(), coef.copy()
    total = float(weights.sum())
    # The change of the intercept, the sum of the weights, and their value if all are
    # equal: then one number less is read for each element.
    equal = float(weights[0]) if np.ptp(weights) == 0 else 0.0
    shift = np.array([0.0, total, equal])
    if side is None:
        side = np.zeros(len(coef))
    else:
        shift[0] = -t.sum() / total
    vectors = [weights, t, side, curvature, *penalties, *bounds, b, shift]
    make = compiled.sweeper if columns[0].size >= COMPILED_FROM else sweeper
    sweep = make(columns, vectors, tol)
    everything = order[(curvature + penalties[1])[order] > 0]
    n_sweeps, converged = 0, False
    while n_sweeps < max_sweeps and not converged:
        n_sweeps += 1
        if sweep(everything, 1):
            converged = bool(np.isfinite(shift[0]) and np.isfinite(b).all())
            break
        at = b[everything]
        low, high = bounds[0][everything], bounds[1][everything]
        free = everything[(at != 0) & (low < at) & (at < high)]
        n_sweeps += sweep(free, max_sweeps - n_sweeps) or max_sweeps
    t += shift[0] * weights
    return ColumnMinimum(
        b, float(shift[0]), min(n_sweeps, max_sweeps), converged, slope=t
    )


def sweeper(columns: Any, vectors: list[Array], tol: float) -> Callable[..., int]:
    """Do what :func:`skgrad.backend.cpu.column_descent.sweeper` does, in Python."""
    data, indices, indptr = columns
    d, t, side, h, l1, l2, low, high, b, shift = vectors

    def column(j: int) -> tuple[Any, Array]:
        if indices is None:
            return slice(None), data[j]
        at = slice(indptr[j], indptr[j + 1])
        return indices[at], data[at]

    def moves(j: int) -> bool:
        rows, x = column(j)
        g = x @ t[rows] + shift[0] * side[j]
        u, stiff = h[j] * b[j] - g, h[j] + l2[j]
        new = (u - min(max(u, -l1[j]), l1[j])) / stiff
        delta = min(max(new, low[j]), high[j]) - b[j]
        if not abs(delta) > 0:  # nor a number
            return False
        b[j] += delta
        t[rows] += d[rows] * x * delta
        shift[0] -= side[j] / shift[1] * delta
        return bool(delta * delta * stiff > tol)

    def sweep(order: Array, most: int) -> int:
        coordinates = order.tolist()
        for n in range(1, most + 1):
            if not sum(map(moves, coordinates)):
                return n
        return 0

    return sweep
