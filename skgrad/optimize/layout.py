"""Between the user's form of the argument and the flat vector SciPy works on."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from skgrad import ops
from skgrad.core.tree import tree_flatten, tree_unflatten
from skgrad.exceptions import DTypeError, ParameterError, ShapeError
from skgrad.optim.bounds import box_of
from skgrad.tensor import Tensor
from skgrad.typing import Tree

__all__ = ["Layout"]

Vector: TypeAlias = NDArray[np.float64]


class Layout:
    """How the flat vector is made of `x0`, and the other way."""

    def __init__(self, x0: Any) -> None:
        leaves, self.treedef = tree_flatten(_arrays(x0))
        self.shapes = [leaf.shape for leaf in leaves]
        flat = [leaf.ravel() for leaf in leaves]
        self.start: Vector = np.concatenate(flat) if flat else np.zeros(0)
        if not self.start.size:
            raise ParameterError("x0 is empty: there is nothing to minimise over.")
        if not np.isfinite(self.start).all():
            raise ParameterError(f"x0 must be finite. Got {x0!r} instead.")

    def tensors(self, flat: Any) -> Tree:
        """Return what the user's functions see of a flat tensor."""
        return tree_unflatten(self.treedef, ops.unpack(flat, self.shapes))

    def arrays(self, flat: Vector) -> Tree:
        """Return arrays in the form of `x0`, of their own memory."""
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])
        parts = np.split(np.array(flat), ends[:-1])
        shaped = [p.reshape(s) for p, s in zip(parts, self.shapes, strict=True)]
        return tree_unflatten(self.treedef, shaped)

    def bounds(self, bounds: Any) -> optimize.Bounds:
        """Return bounds of the flat vector."""
        if not isinstance(bounds, optimize.Bounds):
            return box_of(list(bounds), self.start.size)
        low, high = self._side(bounds.lb), self._side(bounds.ub)
        box = box_of(optimize.Bounds(low, high), self.start.size)
        return optimize.Bounds(box.lb, box.ub, np.ravel(bounds.keep_feasible))

    def _side(self, side: Any) -> Vector:
        """Return one side of the bounds as a vector, or of shape (1,)."""
        flat: Vector = np.array(side, dtype=np.float64)
        allowed = [(), (1,), self.start.shape, *self.shapes[: len(self.shapes) == 1]]
        if flat.shape in allowed:
            return flat.ravel()
        raise ShapeError(
            f"The arrays of Bounds must be numbers, of shape {self.start.shape} (a "
            f"number per element) or of the shape of x0. Got shape {flat.shape} and x0 "
            f"of shapes {self.shapes}."
        )

    def callback(
        self, callback: Callable[..., object] | None, method: str
    ) -> Callable[..., object] | None:
        """Return the user's callback, called with the form of `x0`."""
        if callback is None:
            return None
        names = set(inspect.signature(callback).parameters)
        if names == {"intermediate_result"} and method != "TNC":
            return lambda intermediate_result: callback(
                intermediate_result=self.result(intermediate_result)
            )
        return lambda x, *state: callback(self.arrays(x), *state)

    def result(self, result: optimize.OptimizeResult) -> optimize.OptimizeResult:
        """Return a result with the point and the gradient in the form of `x0`."""
        shaped = optimize.OptimizeResult(result)
        for name in ("x", "jac", "grad"):
            value = shaped.get(name)
            if isinstance(value, np.ndarray) and value.shape == self.start.shape:
                shaped[name] = self.arrays(value)
        return shaped


def _arrays(x0: Any) -> Tree:
    """Return the leaves of a dict, or anything else, as float64 arrays."""
    if isinstance(x0, Mapping):
        return {name: _arrays(value) for name, value in x0.items()}
    try:
        array = np.asarray(x0.detach() if isinstance(x0, Tensor) else x0)
    except ValueError as error:
        raise ShapeError(
            f"x0 must be an array, or a dict of arrays of any shapes. Got {x0!r}."
        ) from error
    if array.dtype.kind in "iub":
        return array.astype(np.float64)
    if array.dtype != np.float64:
        raise DTypeError(
            f"minimize computes in float64. Got x0 of dtype {array.dtype} and shape "
            f"{array.shape}; pass x0.astype('float64')."
        )
    return array
