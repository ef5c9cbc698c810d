"""Products of matrices."""

import math
from typing import Any

from skgrad.core.primitive import Abstract, Primitive, register
from skgrad.exceptions import ShapeError
from skgrad.ops.elementwise import add, broadcast_shapes, multiply
from skgrad.ops.promotion import operands, same_dtype
from skgrad.ops.reduction import sum as sum_
from skgrad.ops.shape import expand_dims, reshape, squeeze, swapaxes
from skgrad.typing import ArrayLike

__all__ = ["gram", "matmul"]


def _matmul_shape(x: Any, y: Any) -> Abstract:
    if x.shape[-1] != y.shape[-2]:
        raise ShapeError(
            f"matmul: shapes {x.shape} and {y.shape} do not fit: the last extent of "
            f"the first ({x.shape[-1]}) must equal the second-last extent of the "
            f"second ({y.shape[-2]})."
        )
    lead = broadcast_shapes("matmul", x.shape[:-2], y.shape[:-2])
    return Abstract((*lead, x.shape[-2], y.shape[-1]), same_dtype("matmul", x, y))


matmul_p: Primitive = register(
    Primitive(
        "matmul",
        _matmul_shape,
        (
            lambda g, out, x, y: matmul_p.bind(g, swapaxes(y, -1, -2)),
            lambda g, out, x, y: matmul_p.bind(swapaxes(x, -1, -2), g),
        ),
    )
)


def matmul(x: ArrayLike, y: ArrayLike) -> Any:
    """Return the matrix product; leading axes are a batch and broadcast.

    Parameters
    ----------
    x : tensor or array of shape (..., n, k) or (k,)
        The left factor.
    y : tensor or array of shape (..., k, m) or (k,)
        The right factor.

    Returns
    -------
    Tensor of shape (..., n, m)
        The product; the axis of a 1-d factor is dropped, as in NumPy.

    Raises
    ------
    ShapeError
        If a factor is 0-d or the extents do not fit.
    DTypeError
        If the floating dtypes differ.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.matmul([[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0])
    tensor([3., 7.])
    """
    left, right = operands("matmul", (x, y), "number")
    if left.ndim == 0 or right.ndim == 0:
        raise ShapeError(
            f"matmul: shapes {left.shape} and {right.shape}: a factor is a scalar. "
            "Use multiply (the * operator)."
        )
    if left.ndim == 1 and right.ndim == 1:
        return squeeze(matmul(expand_dims(left, 0), right), -1)
    if left.ndim == 1:
        return squeeze(matmul_p.bind(expand_dims(left, 0), right), -2)
    if right.ndim == 1:
        return squeeze(matmul_p.bind(left, expand_dims(right, -1)), -1)
    if left.ndim > 2 and right.ndim == 2 and right.shape[1] > 1 and _fit(left, right):
        # One product instead of one for each row of the batch, here and in the
        # derivatives: a transformer's step takes less than half the time.
        rows = reshape(left, (math.prod(left.shape[:-1]), left.shape[-1]))
        return reshape(matmul_p.bind(rows, right), (*left.shape[:-1], right.shape[1]))
    return matmul_p.bind(left, right)


def _fit(x: Any, y: Any) -> bool:
    return bool(x.shape[-1] == y.shape[-2])


def _gram_shape(x: Any, w: Any) -> Abstract:
    if len(x.shape) < 2 or x.shape[:-1] != w.shape:
        raise ShapeError(
            f"gram: shapes {x.shape} and {w.shape} do not fit: x needs two axes at "
            "least, and the weights have the shape of x without its last axis."
        )
    lead, p = x.shape[:-2], x.shape[-1]
    return Abstract((*lead, p, p), same_dtype("gram", x, w))


def _gram_vjp_x(g: Any, out: Any, x: Any, w: Any) -> Any:
    both = matmul_p.bind(x, add(g, swapaxes(g, -1, -2)))
    return multiply(expand_dims(w, -1), both)


def _gram_vjp_w(g: Any, out: Any, x: Any, w: Any) -> Any:
    return sum_(multiply(matmul_p.bind(x, g), x), -1)


gram_p: Primitive = register(Primitive("gram", _gram_shape, (_gram_vjp_x, _gram_vjp_w)))


def gram(x: ArrayLike, w: ArrayLike) -> Any:
    r"""Return the weighted Gram matrix :math:`X^T \mathrm{diag}(w) X`.

    It is symmetric, so half of the products are enough; ``matmul`` needs all of them.

    Parameters
    ----------
    x : tensor or array of shape (..., n, p)
        The rows; leading axes are a batch.
    w : tensor or array of shape (..., n)
        Weights of the rows, of any sign.

    Returns
    -------
    Tensor of shape (..., p, p)
        ``sum_i w_i x_i x_iᵀ``.

    Raises
    ------
    ShapeError
        If the shapes do not fit; they are not broadcast.
    DTypeError
        If the floating dtypes differ.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.gram([[1.0, 2.0], [3.0, 4.0]], [1.0, 0.5])
    tensor([[ 5.5,  8. ],
            [ 8. , 12. ]])
    """
    rows, weights = operands("gram", (x, w), "number")
    _gram_shape(rows, weights)  # NumPy would broadcast the weights
    return gram_p.bind(rows, weights)
