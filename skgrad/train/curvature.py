"""The Hessian of a linear model: Zᵀ D Z from the loss's second derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from skgrad import ops
from skgrad.functional import stack
from skgrad.nn import Linear
from skgrad.train.objective import Objective
from skgrad.transforms import grad
from skgrad.typing import Array, Tree

__all__ = ["Curvature"]


class Curvature:
    """Loss, gradient and Hessian sums of a linear model, from one pass over the rows.

    With Z the standardised inputs (and a column of ones for the intercept) and k
    outputs, the blocks of the Hessian are ``Zᵀ diag(w d_ab) Z`` where ``d_ab`` is the
    second derivative of the loss of a row with respect to outputs a and b. For a
    separable loss only a = b occurs.

    Parameters
    ----------
    objective : Objective
        Its module must be one :class:`~skgrad.nn.Linear` layer for the Hessian.

    Examples
    --------
    >>> from skgrad import nn
    >>> from skgrad.losses import SquaredError
    >>> from skgrad.train import Curvature, Objective
    >>> Curvature(Objective(nn.Linear(2, 1), SquaredError(), None)).n_outputs
    1
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.n_outputs = objective.n_outputs or 1

    @property
    def available(self) -> bool:
        """Whether the model is linear, so that this Hessian is its Hessian."""
        module = self.objective.module
        fitted = len(self.objective.names) == len(list(module.parameters()))
        return isinstance(module, Linear) and fitted

    def sums(self, theta: Any, buffers: Tree, hyper: Tree, batch: Tree) -> Tree:
        """Return Σ wᵢ lossᵢ, Σ wᵢ, the gradient and the blocks of the Hessian."""
        objective = self.objective
        output, _ = objective.output(theta, buffers, hyper, batch["X"])
        Z = self._design(hyper, batch["X"])

        def total(out: Any) -> Any:
            values = objective.values(out, hyper, batch["y"])
            return ops.sum(ops.multiply(batch["w"], values))

        slopes = self._columns(grad(total)(output))
        return {
            "loss": total(output),
            "weight": ops.sum(batch["w"]),
            "gradient": self._flat(ops.matmul(ops.swapaxes(slopes, 0, 1), Z)),
            "hessian": self._blocks(grad(total), output, Z),
        }

    def _design(self, hyper: Tree, X: Any) -> Any:
        frame = hyper["frame"]
        Z = ops.multiply(ops.subtract(X, frame["x_mean"]), frame["x_inverse_scale"])
        if len(self.objective.shapes) == 1:
            return Z
        return ops.concatenate([Z, np.ones((X.shape[0], 1), dtype=X.dtype)], axis=1)

    def _columns(self, x: Any) -> Any:
        return ops.expand_dims(x, -1) if x.ndim == 1 else x

    def _flat(self, rows: Any) -> Any:
        """Return (k, q) rows in the order of the flat vector: weights, then biases."""
        p = self.objective.shapes[0][1]
        return ops.pack([rows[:, :p], rows[:, p:]])

    def _blocks(self, gradient: Any, output: Any, Z: Any) -> Any:
        """Return the blocks (k, k, q, q); only the diagonal for separable losses."""
        k = self.n_outputs
        if self.objective.loss.separable or k == 1:
            second = grad(lambda out: ops.sum(gradient(out)))(output)
            columns = self._columns(second)
            return stack([self._block(columns[:, a], Z) for a in range(k)])
        rows = []
        for a in range(k):
            second = grad(lambda out, a=a: ops.sum(gradient(out)[:, a]))(output)
            rows.append(stack([self._block(second[:, b], Z) for b in range(k)]))
        return stack(rows)

    def _block(self, d: Any, Z: Any) -> Any:
        return ops.matmul(
            ops.swapaxes(ops.multiply(Z, ops.expand_dims(d, -1)), 0, 1), Z
        )

    def assembled(self, blocks: Array) -> Array:
        """Return the Hessian of the flat vector from summed blocks."""
        k, q = self.n_outputs, blocks.shape[-1]
        full = np.zeros((k, q, k, q))
        for a in range(k):
            if blocks.ndim == 3:
                full[a, :, a, :] = blocks[a]
            else:
                full[a] = blocks[a].transpose(1, 0, 2)
        p = self.objective.shapes[0][1]
        position = np.arange(k * q).reshape(k, q)
        order = np.concatenate([position[:, :p].ravel(), position[:, p:].ravel()])
        H = full.reshape(k * q, k * q)
        return H[np.ix_(order, order)]
