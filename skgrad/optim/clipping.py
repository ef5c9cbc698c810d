"""Clipping gradients by their global norm."""

from collections.abc import Iterable
from typing import Any

from skgrad import ops
from skgrad.core import no_grad
from skgrad.core.checks import check_interval
from skgrad.core.tree import tree_leaves, tree_map
from skgrad.exceptions import GradientError
from skgrad.tensor import Tensor
from skgrad.typing import Tree

__all__ = ["clip_by_norm", "clip_grad_norm_"]


def clip_by_norm(grads: Tree, max_norm: float | Tensor) -> Tree:
    r"""Scale gradients down to a global norm; pure, traceable.

    .. math:: g' = g \min(1, c / \lVert g \rVert), \qquad
        \lVert g \rVert^2 = \sum_{\text{leaves}} \sum_i g_i^2

    Parameters
    ----------
    grads : tree of Tensor
        Gradients of any floating dtype.
    max_norm : float or Tensor of shape ()
        The bound c > 0; infinity clips nothing.

    Returns
    -------
    tree of Tensor
        The same tensors times one factor; dtypes are kept.

    See Also
    --------
    clip_grad_norm_ : For a hand-written loop.

    Notes
    -----
    The norm is computed in float64, so float32 gradients do not overflow. The scaled
    norm is the bound itself: PyTorch's is smaller by a factor 1 - 1e-6 / norm. A NaN
    gradient stays NaN.

    References
    ----------
    .. [1] Pascanu, R., Mikolov, T. and Bengio, Y. (2013). On the difficulty of
       training recurrent neural networks. ICML, algorithm 1.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim import clip_by_norm
    >>> clip_by_norm(skgrad.tensor([3.0, 4.0]), 1.0).numpy().round(6)
    array([0.6, 0.8])
    >>> clip_by_norm(skgrad.tensor([0.0, 0.0]), 1.0).numpy()
    array([0., 0.])
    """
    if not tree_leaves(grads):
        return grads
    factor = _factor(_global_norm(tree_leaves(grads)), max_norm)
    return tree_map(lambda g: ops.multiply(g, ops.astype(factor, g.dtype)), grads)


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale the ``.grad`` of parameters down to a global norm, in place.

    Parameters
    ----------
    parameters : iterable of Tensor
        Those without a gradient are left out of the norm.
    max_norm : float > 0
        The bound; infinity clips nothing.

    Returns
    -------
    float
        The global norm before clipping.

    Raises
    ------
    GradientError
        If no parameter has a gradient.
    ParameterError
        If `max_norm` is not positive.

    See Also
    --------
    clip_by_norm : The pure function.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim import clip_grad_norm_
    >>> w = skgrad.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_norm_([w], 5.0)
    10.0
    >>> w.grad.numpy()
    array([3., 4.])
    """
    check_interval("clip_grad_norm_", "max_norm", max_norm, 0, float("inf"), "right")
    ready = [param for param in parameters if param.grad is not None]
    if not ready:
        raise GradientError(
            "clip_grad_norm_ found no gradient on any parameter. Call loss.backward() "
            "first, and clip between backward() and step()."
        )
    with no_grad():
        grads = [param.grad for param in ready]
        norm = _global_norm(grads)
        for param, grad in zip(ready, clip_by_norm(grads, max_norm), strict=True):
            param.grad = grad
    return float(norm.item())


def _global_norm(leaves: list[Any]) -> Any:
    """Return the Euclidean norm of all leaves together, in float64."""
    squares = [ops.sum(ops.square(ops.astype(g, "float64"))) for g in leaves]
    total = squares[0]
    for square in squares[1:]:
        total = ops.add(total, square)
    return ops.sqrt(total)


def _factor(norm: Tensor, max_norm: float | Tensor) -> Any:
    """Return min(1, max_norm / norm) without ever dividing by zero."""
    above = ops.greater(norm, max_norm)
    return ops.where(above, ops.divide(max_norm, ops.where(above, norm, 1.0)), 1.0)
