"""Sliding windows over the last axes, and their transpose."""

from collections.abc import Sequence
from typing import Any

from skgrad.core.primitive import Abstract, Primitive, register
from skgrad.exceptions import ShapeError
from skgrad.ops.promotion import as_value
from skgrad.ops.shape import leading
from skgrad.typing import ArrayLike, Shape

__all__ = ["scatter_windows", "windows"]


def n_windows(n: int, size: int, stride: int, dilation: int) -> int:
    """Return how many windows of ``size`` elements fit into an axis of extent n."""
    return max(0, (n - dilation * (size - 1) - 1) // stride + 1)


def _windows_shape(x: Any, sizes: Shape, strides: Shape, dilations: Shape) -> Abstract:
    lead = leading(x, len(sizes))
    own = x.shape[len(lead) :]
    counts = tuple(map(n_windows, own, sizes, strides, dilations))
    return Abstract((*lead, *counts, *sizes), x.dtype)


def _windows_vjp(
    g: Any, out: Any, x: Any, sizes: Shape, strides: Shape, dilations: Shape
) -> Any:
    shape = x.shape[len(x.shape) - len(sizes) :]
    return scatter_windows_p.bind(g, strides=strides, dilations=dilations, shape=shape)


def _scatter_windows_shape(
    x: Any, strides: Shape, dilations: Shape, shape: Shape
) -> Abstract:
    return Abstract(leading(x, 2 * len(shape)) + shape, x.dtype)


def _scatter_windows_vjp(
    g: Any, out: Any, x: Any, strides: Shape, dilations: Shape, shape: Shape
) -> Any:
    sizes = x.shape[len(x.shape) - len(shape) :]
    return windows_p.bind(g, sizes=sizes, strides=strides, dilations=dilations)


windows_p = register(Primitive("windows", _windows_shape, (_windows_vjp,)))
scatter_windows_p = register(
    Primitive("scatter_windows", _scatter_windows_shape, (_scatter_windows_vjp,))
)


def windows(
    x: ArrayLike,
    sizes: Sequence[int],
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
) -> Any:
    """Return the windows that slide over the last axes, as axes of their own.

    No element is copied: it is what a convolution multiplies and a pooling reduces.

    Parameters
    ----------
    x : tensor or array of shape (..., n_1, ..., n_d)
        The elements.
    sizes : sequence of d ints
        Elements of a window along each of the last d axes, at least 1.
    strides : sequence of d ints, optional
        Steps from one window to the next, at least 1; all 1 by default.
    dilations : sequence of d ints, optional
        Steps from one element of a window to the next, at least 1; all 1 by default.

    Returns
    -------
    Tensor of shape (..., m_1, ..., m_d, *sizes)
        ``out[..., i, k] = x[..., i * stride + k * dilation]`` along each axis, with
        ``m = (n - dilation * (size - 1) - 1) // stride + 1`` windows: those that fit.

    Raises
    ------
    ShapeError
        If the numbers of sizes, strides and dilations differ or exceed the axes of x,
        one is not a positive int, or no window fits.

    See Also
    --------
    scatter_windows : The transpose.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.windows([1.0, 2.0, 3.0, 4.0], (2,))
    tensor([[1., 2.],
            [2., 3.],
            [3., 4.]])
    """
    value = as_value(x, "windows")
    own, strides, dilations = _checked(value, sizes, strides, dilations)
    fits = zip(value.shape[-len(own) :], own, strides, dilations, strict=True)
    if any(n_windows(*fit) == 0 for fit in fits):
        raise ShapeError(
            f"windows: no window of sizes {own} with dilations {dilations} fits into "
            f"the last axes of shape {value.shape}. Take smaller windows, or pad."
        )
    return windows_p.bind(value, sizes=own, strides=strides, dilations=dilations)


def _checked(
    value: Any,
    sizes: Sequence[int],
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
) -> tuple[Shape, Shape, Shape]:
    ones = (1,) * len(sizes)
    own, steps, gaps = (
        tuple(map(int, given)) for given in (sizes, strides or ones, dilations or ones)
    )
    counts = {len(own), len(steps), len(gaps)}
    if len(counts) > 1 or not 0 < len(own) <= value.ndim or min(own + steps + gaps) < 1:
        raise ShapeError(
            "windows: sizes, strides and dilations must be positive ints, one for each "
            f"of the last axes of shape {value.shape}. Got {sizes}, {strides} and "
            f"{dilations}."
        )
    return own, steps, gaps


def scatter_windows(
    x: ArrayLike,
    shape: Sequence[int],
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
) -> Any:
    """Return the sums of overlapping windows: the transpose of :func:`windows`.

    It is what a transposed convolution does with its products, PyTorch's ``fold``.

    Parameters
    ----------
    x : tensor or array of shape (..., m_1, ..., m_d, k_1, ..., k_d)
        The windows.
    shape : sequence of d ints
        Extents of the last d axes of the result.
    strides, dilations : sequence of d ints, optional
        As in :func:`windows`.

    Returns
    -------
    Tensor of shape (..., *shape)
        Zeros with each window added in its place.

    Raises
    ------
    ShapeError
        If :func:`windows` of the result would not have the shape of x.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.scatter_windows([[1.0, 2.0], [10.0, 20.0]], (3,))
    tensor([ 1., 12., 20.])
    """
    value = as_value(x, "scatter_windows")
    extents = tuple(map(int, shape))
    d = len(extents)
    sizes = value.shape[value.ndim - d :]
    own, steps, gaps = _checked(value, sizes, strides, dilations)
    counts = tuple(map(n_windows, extents, own, steps, gaps))
    if value.shape[value.ndim - 2 * d :] != (*counts, *own):
        raise ShapeError(
            f"scatter_windows: shape {extents} has {counts} windows of sizes {own} "
            f"with strides {steps} and dilations {gaps}. Got windows of shape "
            f"{value.shape}."
        )
    return scatter_windows_p.bind(value, strides=steps, dilations=gaps, shape=extents)
