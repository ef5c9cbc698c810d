"""Penalties with a kink, which proximal methods step over exactly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from skgrad.exceptions import ParameterError, ShapeError
from skgrad.optim.full_batch import Vector

__all__ = ["L1", "GroupL1", "Penalty"]


class Penalty(ABC):
    """A convex penalty of a vector that can be minimised together with a parabola.

    Attributes
    ----------
    separable : bool
        Class attribute: whether it is a sum over the parameters, so that bounds may
        be added by clipping.

    Examples
    --------
    >>> from skgrad.optim import L1, GroupL1
    >>> L1(1.0).separable, GroupL1(1.0, [0, 0]).separable
    (True, False)
    """

    separable: ClassVar[bool] = False

    @abstractmethod
    def value(self, x: Vector) -> float:
        """Return the penalty of `x`.

        Parameters
        ----------
        x : ndarray of shape (n_parameters,)
            The vector.

        Returns
        -------
        float
            The penalty.
        """

    @abstractmethod
    def prox(self, x: Vector, step: float) -> Vector:
        """Return the minimum over z of ``penalty(z) + |z - x|² / (2 step)``.

        Parameters
        ----------
        x : ndarray of shape (n_parameters,)
            The vector.
        step : float
            How much the penalty counts.

        Returns
        -------
        ndarray of shape (n_parameters,)
            The minimum, with exact zeros.
        """

    @abstractmethod
    def check(self, size: int) -> None:
        """Check that the penalty fits vectors of a size.

        Parameters
        ----------
        size : int
            Number of parameters.

        Raises
        ------
        ParameterError
            If a rate is negative or not finite.
        ShapeError
            If it has another shape than the parameters.
        """


@dataclass(frozen=True, eq=False)
class L1(Penalty):
    r"""The sum of absolute values, :math:`\sum_i \lambda_i |x_i|`.

    Parameters
    ----------
    rate : float or array-like of shape (n_parameters,)
        The rates λ >= 0; 0 for parameters that are not penalised.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.optim import L1
    >>> penalty = L1(0.5)
    >>> penalty.value(np.array([3.0, -1.0]))
    2.0
    >>> penalty.prox(np.array([3.0, -0.5, 1.0]), step=1.0)
    array([ 2.5, -0. ,  0.5])
    """

    rate: float | NDArray[np.float64]

    separable: ClassVar[bool] = True

    def value(self, x: Vector) -> float:
        """Return the penalty of `x`, see `Penalty.value`."""
        return float(np.sum(self.rate * np.abs(x)))

    def rates(self, size: int) -> Vector:
        """Return the rate of each of so many parameters."""
        return np.broadcast_to(np.asarray(self.rate, dtype=np.float64), size)

    def prox(self, x: Vector, step: float) -> Vector:
        """Return the soft threshold of `x`, see `Penalty.prox`."""
        shrunk = np.maximum(np.abs(x) - step * np.asarray(self.rate), 0.0)
        return np.copysign(shrunk, x)

    def check(self, size: int) -> None:
        """Check the rates, see `Penalty.check`."""
        _check_rates("L1", self.rate, (size,))


@dataclass(frozen=True, eq=False)
class GroupL1(Penalty):
    r"""The sum of Euclidean norms, :math:`\sum_g \lambda_g \lVert x_g \rVert_2`.

    A group is zero as a whole or not at all (the group lasso [1]_).

    Parameters
    ----------
    rate : float or array-like of shape (n_groups,)
        The rates λ >= 0. The group lasso has them proportional to the root of the
        size of a group.
    groups : array-like of int of shape (n_parameters,)
        Number of each parameter's group, from 0; -1 for those not penalised.

    References
    ----------
    .. [1] Yuan, M. and Lin, Y. (2006). Model selection and estimation in regression
       with grouped variables. JRSS B 68(1), 49-67.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.optim import GroupL1
    >>> penalty = GroupL1(1.0, [0, 0, 1, -1])
    >>> penalty.value(np.array([3.0, 4.0, -2.0, 9.0]))
    7.0
    >>> penalty.prox(np.array([3.0, 4.0, -0.5, 9.0]), step=1.0)
    array([ 2.4,  3.2, -0. ,  9. ])
    """

    rate: float | NDArray[np.float64]
    groups: NDArray[np.intp]

    def value(self, x: Vector) -> float:
        """Return the penalty of `x`, see `Penalty.value`."""
        return float(np.sum(self.rate * self._norms(x)))

    def prox(self, x: Vector, step: float) -> Vector:
        """Return `x` with each group shortened, see `Penalty.prox`."""
        norms = self._norms(x)
        left = np.maximum(norms - step * np.asarray(self.rate), 0.0)
        factors = np.append(left / np.where(norms > 0, norms, 1.0), 1.0)
        shortened: Vector = x * factors[np.asarray(self.groups)]  # of -1 the last
        return shortened

    def check(self, size: int) -> None:
        """Check rates and groups, see `Penalty.check`."""
        groups = np.asarray(self.groups)
        if groups.shape != (size,) or groups.dtype.kind != "i":
            raise ShapeError(
                f"The 'groups' of GroupL1 must hold an int per parameter, {size} in "
                f"all. Got {groups.dtype} of shape {groups.shape}."
            )
        if groups.min(initial=0) < -1:
            raise ParameterError(
                f"The 'groups' of GroupL1 must be >= -1. Got {groups.min()}."
            )
        _check_rates("GroupL1", self.rate, (int(groups.max(initial=-1)) + 1,))

    def _norms(self, x: Vector) -> Vector:
        groups = np.asarray(self.groups)
        # Shifted by one: those of -1 are counted in front and left out.
        squares = np.bincount(groups + 1, x**2, minlength=1)[1:]
        norms: Vector = np.sqrt(squares)
        return norms


def _check_rates(owner: str, rate: object, shape: tuple[int, ...]) -> None:
    rates = np.asarray(rate, dtype=np.float64)
    if rates.shape not in ((), shape):
        raise ShapeError(
            f"The 'rate' of {owner} must be a float or of shape {shape}. Got shape "
            f"{rates.shape}."
        )
    if not (np.isfinite(rates) & (rates >= 0)).all():
        raise ParameterError(
            f"The 'rate' of {owner} must be finite and >= 0. Got {rate!r} instead."
        )
