"""Axes joined into one."""

from __future__ import annotations

import math

from skgrad import ops
from skgrad.exceptions import ShapeError
from skgrad.nn.module import Module
from skgrad.tensor import Tensor

__all__ = ["Flatten"]


class Flatten(Module):
    """Join neighbouring axes into one; by default all but the first.

    Parameters
    ----------
    start_dim, end_dim : int, default=1 and -1
        The first and the last axis that are joined; negative ones count from the end.

    Raises
    ------
    ShapeError
        In ``forward``, if the input does not have these axes in this order.

    Examples
    --------
    >>> import numpy as np
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.Flatten()(skgrad.tensor(np.zeros((5, 8, 3, 3)))).shape
    (5, 72)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with the axes joined.

        Parameters
        ----------
        x : Tensor
            Any dtype.

        Returns
        -------
        Tensor
            The same elements.
        """
        first, last = (
            a + x.ndim if a < 0 else a for a in (self.start_dim, self.end_dim)
        )
        if not 0 <= first <= last < x.ndim:
            raise ShapeError(
                f"Flatten({self.extra_repr()}) joins axes that an input of shape "
                f"{x.shape} does not have in this order."
            )
        joined = math.prod(x.shape[first : last + 1])
        out: Tensor = ops.reshape(x, (*x.shape[:first], joined, *x.shape[last + 1 :]))
        return out

    def extra_repr(self) -> str:
        """Return the axes.

        Returns
        -------
        str
            ``"start_dim=1, end_dim=-1"``.
        """
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
