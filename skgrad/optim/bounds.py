"""Box constraints of full-batch optimizers."""

from __future__ import annotations

import numpy as np
import scipy

from skgrad.exceptions import ParameterError
from skgrad.optim.full_batch import BoundsLike, Vector

__all__ = ["box_of", "projected", "refuse_bounds"]


def box_of(bounds: BoundsLike | None, size: int) -> scipy.optimize.Bounds:
    """Return `bounds` as two vectors, infinite where a side is free."""
    if bounds is None:
        return scipy.optimize.Bounds(np.full(size, -np.inf), np.full(size, np.inf))
    if isinstance(bounds, scipy.optimize.Bounds):
        low, high = bounds.lb, bounds.ub
    else:
        low = np.array([-np.inf if b[0] is None else b[0] for b in bounds], dtype=float)
        high = np.array([np.inf if b[1] is None else b[1] for b in bounds], dtype=float)
    if isinstance(bounds, scipy.optimize.Bounds) or len(bounds) == size:
        box = scipy.optimize.Bounds(
            np.broadcast_to(low, size), np.broadcast_to(high, size)
        )
        if not np.all(box.lb <= box.ub):
            raise ParameterError(f"Every lower bound must be <= its upper bound: {box}")
        return box
    raise ParameterError(
        f"'bounds' must hold one (low, high) pair per parameter, {size} in all. "
        f"Got {len(bounds)}."
    )


def projected(x: Vector, gradient: Vector, box: scipy.optimize.Bounds) -> Vector:
    """Return the gradient, cut off where its step would leave the box."""
    moved = np.clip(x - gradient, box.lb, box.ub)
    inside: Vector = np.where(moved == x - gradient, gradient, x - moved)
    return inside


def refuse_bounds(owner: str, bounds: BoundsLike | None) -> None:
    """Raise if `bounds` are given to an optimizer that takes none."""
    if bounds is not None:
        raise ParameterError(
            f"{owner} takes no bounds. Use LBFGS (optimizer='lbfgs') or FISTA, which "
            f"do."
        )
