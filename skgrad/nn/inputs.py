"""What layers with parameters accept."""

from __future__ import annotations

from typing import Any

import numpy as np

from skgrad.exceptions import DTypeError
from skgrad.ops.promotion import as_value
from skgrad.tensor import Tensor

__all__ = ["input_of"]


def input_of(layer: Any, x: Any, dtype: np.dtype[Any]) -> Tensor:
    """Return the input of a layer as a Tensor; refuse another floating dtype.

    Parameters
    ----------
    layer : Module
        The layer, for the message.
    x : Tensor or array-like
        Its input.
    dtype : numpy.dtype
        Of the layer's parameters.

    Returns
    -------
    Tensor
        `x`; integers stay what they are.

    Raises
    ------
    DTypeError
        If `x` is of another floating dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import nn
    >>> from skgrad.nn.inputs import input_of
    >>> input_of(nn.Linear(1, 1), [[1.0]], np.dtype("float64"))
    tensor([[1.]])
    """
    value: Tensor = as_value(x, type(layer).__name__)  # beside the parameters
    if value.dtype.kind == "f" and value.dtype != dtype:
        raise DTypeError(
            f"{type(layer).__name__}({layer.extra_repr()}) holds {dtype} parameters. "
            f"Got an input of dtype {value.dtype}. Convert the input with "
            f"x.to(dtype={str(dtype)!r}), or the module with "
            f"module.to(dtype={str(value.dtype)!r})."
        )
    return value
