"""Outputs in increasing order, by construction."""

from __future__ import annotations

from typing import Any

import numpy as np

from skgrad import ops
from skgrad.nn.module import Module
from skgrad.tensor import Tensor
from skgrad.typing import Array

__all__ = ["Increasing"]


class Increasing(Module):
    r"""Map the last axis to numbers that never decrease along it.

    The first number stays, the others become increments:

    .. math:: y_1 = x_1, \quad y_j = y_{j-1} + \operatorname{softplus}(x_j).

    As the last layer of a network with an output per quantile it keeps the quantiles
    from crossing, for every input. A last axis of one element stays as it is.

    Notes
    -----
    With exact numbers the increments are positive; rounded ones may be 0 (a softplus of
    less than -745, or one that is nothing beside the sum), never negative.

    References
    ----------
    As the transformation of Stan's ``ordered`` vectors, with softplus in the place of
    the exponential function: Stan Reference Manual, section "Ordered vector".

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.Increasing()(skgrad.tensor([[1.0, 0.0, -9.0]])).numpy().round(4)
    array([[1.    , 1.6931, 1.6933]])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the cumulative sums of first number and increments.

        Parameters
        ----------
        x : Tensor of shape (..., n)
            Any numbers.

        Returns
        -------
        Tensor
            Of the shape and dtype of `x`.
        """
        n = x.shape[-1]
        if n == 1:
            return x
        steps = ops.where(np.arange(n) > 0, ops.softplus(x), x)
        out: Tensor = ops.cumsum(steps, axis=-1)
        return out

    @staticmethod
    def inverse(y: Any, smallest: float = 1e-3) -> Array:
        """Return what is mapped to some numbers, to begin a fit there.

        Parameters
        ----------
        y : array-like of shape (..., n)
            Numbers that do not decrease along the last axis.
        smallest : float, default=1e-3
            Smaller increments are taken as this, since a softplus is never 0.

        Returns
        -------
        ndarray of the same shape
            In float64.

        Examples
        --------
        >>> from skgrad import nn
        >>> nn.Increasing()(nn.Increasing.inverse([1.0, 2.0, 4.0])).numpy().round(12)
        array([1., 2., 4.])
        """
        y = np.array(y, dtype=np.float64)
        steps = np.maximum(np.diff(y), smallest)
        y[..., 1:] = steps + np.log(-np.expm1(-steps))
        return y
