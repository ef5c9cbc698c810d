"""Random zeros."""

from typing import Any

from skgrad import ops
from skgrad.core.checks import check_interval
from skgrad.exceptions import DTypeError
from skgrad.ops.promotion import as_value
from skgrad.tensor import Tensor
from skgrad.typing import ArrayLike

__all__ = ["dropout"]


def dropout(x: ArrayLike, p: Tensor | float = 0.5) -> Any:
    """Return x with each element 0 with probability p, the others divided by 1 - p.

    There is no mode: where it is called, it drops. The expectation is x.

    Parameters
    ----------
    x : tensor or array
        The elements, floating.
    p : float or Tensor of shape (), default=0.5
        The probability, in [0, 1). A tensor is an input of a trace; its value is
        checked outside of one.

    Returns
    -------
    Tensor
        Of the shape and dtype of x; drawn from the mask stream of the current
        `skgrad.random_seed` scope, anew in each call.

    Raises
    ------
    ParameterError
        If p is not in [0, 1).
    DTypeError
        If x is not floating.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov (2014). Dropout: a simple
    way to prevent neural networks from overfitting. JMLR 15.

    Examples
    --------
    >>> import numpy as np
    >>> import skgrad
    >>> from skgrad import functional as F
    >>> with skgrad.random_seed(0):
    ...     out = F.dropout(np.ones(100), 0.5)
    >>> sorted(set(out.numpy().tolist()))
    [0.0, 2.0]
    """
    value = as_value(x, "dropout")
    if value.dtype.kind != "f":
        raise DTypeError(
            f"Dropout needs a floating input. Got dtype {value.dtype}. Convert it "
            f"with skgrad.ops.astype(x, 'float64')."
        )
    if not (isinstance(p, Tensor) and p.is_traced):
        number = p.item() if isinstance(p, Tensor) else p
        check_interval("Dropout", "p", number, 0, 1, "left")
    rate = ops.astype(p, value.dtype)
    kept = ops.greater_equal(ops.random.uniform_like(value), rate)
    return ops.where(kept, ops.divide(value, ops.subtract(1.0, rate)), 0.0)
