"""Products of matrices."""

from typing import Any

from skgrad.core.primitive import Abstract, Primitive, register
from skgrad.exceptions import ShapeError
from skgrad.ops.elementwise import broadcast_shapes
from skgrad.ops.promotion import operands, same_dtype
from skgrad.ops.shape import expand_dims, squeeze, swapaxes
from skgrad.typing import ArrayLike

__all__ = ["matmul"]


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
    return matmul_p.bind(left, right)
