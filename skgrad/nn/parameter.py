"""The tensors that are fitted, and the dtype that modules create them in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from skgrad.exceptions import DTypeError
from skgrad.tensor import Tensor, tensor
from skgrad.typing import ArrayLike, DTypeLike

__all__ = ["Parameter", "default_dtype", "floating_dtype"]

_DEFAULT_DTYPE: ContextVar[str] = ContextVar(
    "skgrad.nn.default_dtype", default="float64"
)
_FLOATING = (np.dtype(np.float32), np.dtype(np.float64))


@contextmanager
def default_dtype(dtype: DTypeLike) -> Iterator[None]:
    """Set the dtype of the parameters that modules create inside a ``with`` block.

    It is ``float64`` outside of any block. Blocks nest, and each thread has its own.
    Only the creation is concerned: a module that exists keeps its dtype, and
    `Module.to` changes it.

    Parameters
    ----------
    dtype : {"float32", "float64"} or numpy dtype
        The dtype of parameters created without a dtype of their own.

    Yields
    ------
    None

    Raises
    ------
    DTypeError
        If `dtype` is not ``float32`` or ``float64``.

    Examples
    --------
    >>> from skgrad import nn
    >>> with nn.default_dtype("float32"):
    ...     layer = nn.Linear(3, 2)
    >>> layer.weight.dtype, nn.Linear(3, 2).weight.dtype
    (dtype('float32'), dtype('float64'))
    """
    token = _DEFAULT_DTYPE.set(floating_dtype(dtype).name)
    try:
        yield
    finally:
        _DEFAULT_DTYPE.reset(token)


def floating_dtype(dtype: DTypeLike | None = None) -> np.dtype[Any]:
    """Return `dtype` as a NumPy dtype a parameter can have.

    Parameters
    ----------
    dtype : {"float32", "float64"}, numpy dtype or None, default=None
        What was asked for; ``None`` means the one set by `default_dtype`.

    Returns
    -------
    numpy.dtype
        ``float32`` or ``float64``.

    Raises
    ------
    DTypeError
        If `dtype` is anything else.

    Examples
    --------
    >>> from skgrad.nn.parameter import floating_dtype
    >>> floating_dtype()
    dtype('float64')
    >>> floating_dtype("float32")
    dtype('float32')
    """
    if dtype is None:
        return np.dtype(_DEFAULT_DTYPE.get())
    found: np.dtype[Any]
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found not in _FLOATING:
        raise DTypeError(
            f"The dtype of a module must be 'float32' or 'float64'. Got {dtype!r} "
            f"instead."
        )
    return found


class Parameter(Tensor):
    """A leaf tensor that a `Module` registers when it is assigned to an attribute.

    Parameters
    ----------
    data : array-like
        The first values, copied.
    dtype : {"float32", "float64"}, numpy dtype or None, default=None
        None keeps the dtype of an array or a tensor; numbers and lists take that of
        `default_dtype`.
    device : str, optional
        Where the values live, as in :func:`skgrad.tensor`.

    Attributes
    ----------
    requires_grad : bool
        True at first; set it to False to freeze the parameter.

    Raises
    ------
    DTypeError
        If the dtype is not floating.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import nn
    >>> scale = nn.Parameter(np.ones(3))
    >>> (scale * 2.0).sum().backward()
    >>> scale.grad.numpy()
    array([2., 2., 2.])
    >>> with nn.default_dtype("float32"):
    ...     nn.Parameter(1).dtype
    dtype('float32')
    """

    __slots__ = ()

    def __init__(
        self, data: ArrayLike, dtype: DTypeLike | None = None, device: str | None = None
    ) -> None:
        own = getattr(data, "dtype", None) if dtype is None else dtype
        values = tensor(data, dtype=_parameter_dtype(own), device=device)
        super().__init__(values._data)
        self.requires_grad = True


def _parameter_dtype(dtype: DTypeLike | None) -> np.dtype[Any]:
    """Return the dtype of a parameter, or say how to get a floating one."""
    try:
        return floating_dtype(dtype)
    except DTypeError:
        raise DTypeError(
            f"A Parameter must be of dtype float32 or float64, for a gradient is taken "
            f"with respect to it. Got {dtype}. Pass dtype='float64', or register the "
            f"values with register_buffer if they are not to be fitted."
        ) from None
