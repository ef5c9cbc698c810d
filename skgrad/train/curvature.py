"""Second derivatives: the Hessian of a linear model, and products with any Hessian."""

from __future__ import annotations

from typing import Any

import numpy as np

from skgrad import ops
from skgrad.losses import SquaredError
from skgrad.nn import Linear
from skgrad.optim.curvature import BlockDiagonal
from skgrad.train.objective import Objective
from skgrad.transforms import grad, hvp, vjp
from skgrad.typing import Array, Shape, Tree

__all__ = ["Curvature", "product_sums"]


def product_sums(
    objective: Objective,
    theta: Any,
    vector: Any,
    buffers: Tree,
    hyper: Tree,
    batch: Any,
) -> Any:
    """Return the Hessian of Σ wᵢ lossᵢ of some rows times a vector, of any model.

    Parameters
    ----------
    objective : Objective
        The model and its loss.
    theta, vector : tensor of shape (n_parameters,)
        Where, and what is multiplied.
    buffers, hyper, batch : tree
        As those of :meth:`Objective.sums`.

    Returns
    -------
    tensor of shape (n_parameters,)
        In float64.
    """

    def loss(flat: Any) -> Any:
        return objective.sums(flat, buffers, hyper, batch)["loss"]

    return ops.astype(hvp(loss, [theta], [vector]), "float64")


class Curvature:
    """Loss, gradient and Hessian sums of a linear model, from one pass over the rows.

    With Z the standardised inputs (and a column of ones for the intercept) and k
    outputs, the blocks of the Hessian are ``Zᵀ diag(w d_ab) Z`` where ``d_ab`` is the
    second derivative of the loss of a row with respect to outputs a and b. For a
    separable loss only a = b occurs, and for squared error all blocks are equal.

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
        self._diagonal = objective.loss.separable or self.n_outputs == 1
        # The second derivative of the loss is 1, whichever the output.
        self._equal = type(objective.loss) is SquaredError

    @property
    def available(self) -> bool:
        """Whether the model is linear, so that this Hessian is its Hessian."""
        module = self.objective.module
        fitted = len(self.objective.names) == len(list(module.parameters()))
        of_rows = not self.objective.documents
        return isinstance(module, Linear) and fitted and of_rows

    def sums(self, theta: Any, buffers: Tree, hyper: Tree, batch: Tree) -> Tree:
        """Return Σ wᵢ lossᵢ, Σ wᵢ, the gradient and the blocks of the Hessian."""
        objective = self.objective
        output, _ = objective.output(theta, buffers, hyper, batch["X"])
        Z = objective.scaled(hyper, batch["X"])

        def total(out: Any) -> Any:
            values = objective.values(out, hyper, batch["y"])
            return ops.sum(ops.multiply(batch["w"], values))

        gradient, pullback = vjp(grad(total), output)
        slopes = self._columns(gradient)
        leaves = [self._sides(slopes, Z), ops.sum(slopes, 0)]
        return {
            "loss": total(output),
            "weight": ops.sum(batch["w"]),
            "gradient": ops.pack(leaves[: len(objective.shapes)]),
            "hessian": self._blocks(pullback, output.shape, Z),
        }

    def _columns(self, x: Any) -> Any:
        return ops.expand_dims(x, -1) if x.ndim == 1 else x

    def _blocks(self, pullback: Any, shape: Shape, Z: Any) -> Any:
        """Return the blocks side by side, (q, m q).

        They are the m = k (k + 1) / 2 of the upper triangle of the k x k blocks, row by
        row; for separable losses the k of the diagonal, of which one is enough when
        all are equal.
        """
        if self._diagonal:
            second = self._columns(pullback(ops.broadcast_to(1.0, shape))[0])
            return self._row(second[:, :1] if self._equal else second, Z)
        rows = []
        for a, unit in enumerate(np.eye(self.n_outputs, dtype=self.objective.dtype)):
            (second,) = pullback(ops.broadcast_to(unit, shape))
            rows.append(self._row(second[:, a:], Z))
        return ops.concatenate(rows, axis=1)

    @property
    def _n_features(self) -> int:
        return int(self.objective.shapes[0][1])

    def _sides(self, d: Any, Z: Any) -> Any:
        """Return dᵀ Z."""
        if isinstance(Z, ops.SparseRows):
            Ztd = ops.sparse_matmul_transposed(Z, d, self._n_features)
            return ops.swapaxes(Ztd, 0, 1)
        return ops.matmul(ops.swapaxes(d, 0, 1), Z)

    def _gram(self, Z: Any, d: Any) -> Any:
        """Return Zᵀ diag(d) Z."""
        if isinstance(Z, ops.SparseRows):
            return ops.sparse_gram(Z, d, self._n_features)
        return ops.gram(Z, d)

    def _row(self, d: Any, Z: Any) -> Any:
        """Return Zᵀ diag(d_b) Z for the columns d_b of `d`, side by side.

        The column of ones of the intercept is never made: its products are sums.
        """
        p, m = self._n_features, d.shape[1]
        inner = [self._gram(Z, d[:, b]) for b in range(m)]
        if len(self.objective.shapes) == 1:
            return ops.concatenate(inner, axis=1)
        sides, corner = self._sides(d, Z), ops.sum(d, 0)
        blocks = []
        for b in range(m):
            side = ops.reshape(sides[b], (1, p))
            below = ops.concatenate([side, ops.reshape(corner[b], (1, 1))], axis=1)
            right = ops.concatenate([inner[b], ops.swapaxes(side, 0, 1)], axis=1)
            blocks.append(ops.concatenate([right, below], axis=0))
        return ops.concatenate(blocks, axis=1)

    def assembled(
        self, blocks: Array, weight: float = 1.0, ridge: Array | None = None
    ) -> Array | BlockDiagonal:
        """Return the Hessian of the objective from summed blocks.

        Parameters
        ----------
        blocks : array of shape (q, m * q)
            The sum of ``sums(...)["hessian"]`` over the rows.
        weight : float, default=1.0
            What the sum is divided by.
        ridge : array of shape (n_parameters,), default=None
            What is added to the diagonal; the same for every output.

        Returns
        -------
        array of shape (n_parameters, n_parameters) or BlockDiagonal
            Blocks for several outputs of a separable loss; without `ridge` always an
            array.
        """
        q = len(blocks)
        stacked = blocks.reshape(q, -1, q).swapaxes(0, 1) / weight
        index = self._index()
        if self._diagonal and ridge is not None and self.n_outputs > 1:
            stacked[:, range(q), range(q)] += ridge[index[: len(stacked)]]
            return BlockDiagonal(stacked, index)
        H = self._dense(stacked, index)
        if ridge is not None:
            H[np.diag_indices_from(H)] += ridge
        return H

    def _index(self) -> Array:
        """Return the positions (k, q) of each output's parameters in the flat vector.

        The weights of all outputs come first, then their biases.
        """
        k, p = self.objective.shapes[0]
        weights = np.arange(k * p).reshape(k, p)
        if len(self.objective.shapes) == 1:
            return weights
        return np.column_stack([weights, k * p + np.arange(k)])

    def _dense(self, stacked: Array, index: Array) -> Array:
        """Return blocks of the upper triangle, or of the diagonal, as one matrix."""
        if self._diagonal:
            return BlockDiagonal(stacked, index).dense()
        H = np.zeros((index.size, index.size))
        pairs = zip(*np.triu_indices(self.n_outputs), strict=True)
        for block, (a, b) in zip(stacked, pairs, strict=True):
            H[np.ix_(index[a], index[b])] = block
            H[np.ix_(index[b], index[a])] = block.T
        return H
