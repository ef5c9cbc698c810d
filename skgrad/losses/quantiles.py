"""The pinball losses of several quantiles of one target, summed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skgrad import ops
from skgrad.exceptions import ParameterError
from skgrad.losses.base import Hyper
from skgrad.losses.registry import register_loss
from skgrad.losses.regression import Quantile
from skgrad.losses.separable import KinkedLoss
from skgrad.tensor import Tensor

__all__ = ["Quantiles", "check_levels"]


@register_loss("quantiles")
class Quantiles(KinkedLoss):
    r"""The sum of the pinball losses of several quantiles of one target.

    With a raw prediction :math:`f_j` for each level :math:`q_j`

    .. math:: \ell(y, f) = \sum_j \max\bigl(q_j (y - f_j),\; (q_j - 1)(y - f_j)\bigr)

    Parameters
    ----------
    quantiles : sequence of float, default=(0.1, 0.5, 0.9)
        The K levels :math:`q_j`, strictly increasing in (0, 1). They are inputs of a
        trace: other levels, as many, compile nothing.

    Raises
    ------
    ParameterError
        On use, if the levels are not strictly increasing in (0, 1).

    Notes
    -----
    ``y_domain`` all reals, identity link. K raw predictions per target: shape
    (n_samples, K) for targets of shape (n_samples,), and (n_samples, K * k) for k
    outputs, all outputs of the first level first. They are the quantiles themselves,
    which ``inverse_link`` returns all. Derivatives as for `Quantile`; nothing keeps the
    predictions of two levels from crossing, which is a matter of the model
    (:class:`skgrad.nn.Increasing`). The best constants are the weighted quantiles. The
    smoothed loss exceeds the loss by K quarters of the width at most.

    References
    ----------
    R. Koenker and G. Bassett, Regression quantiles, Econometrica 46 (1978) 33-50,
    eq. (3.1).

    Examples
    --------
    >>> from skgrad.losses import Quantiles
    >>> loss = Quantiles(quantiles=(0.25, 0.75))
    >>> loss([2.0, 0.0], [[0.0, 2.0], [0.0, 2.0]]).numpy().tolist()
    [0.5, 0.5]
    >>> loss.optimal_constant([0.0, 1.0, 2.0, 3.0, 4.0]).tolist()
    [1.0, 3.0]
    """

    task = "regression"
    separable = True
    convex = True

    def __init__(self, quantiles: Sequence[float] = (0.1, 0.5, 0.9)) -> None:
        self.quantiles = quantiles

    @property
    def raw_per_target(self) -> int:  # type: ignore[override]
        """How many levels there are."""
        return int(np.size(self.quantiles))

    def hyperparameters(self) -> dict[str, Any]:
        """Return the levels.

        Returns
        -------
        dict
            ``{"quantiles": ndarray of shape (K,)}``.

        Examples
        --------
        >>> from skgrad.losses import Quantiles
        >>> Quantiles().hyperparameters()
        {'quantiles': array([0.1, 0.5, 0.9])}
        """
        return {"quantiles": np.asarray(self.quantiles, dtype=np.float64)}

    def validate(self) -> None:
        """Check the levels, see `Loss.validate`."""
        check_levels(type(self).__name__, "quantiles", self.quantiles)

    def pointwise(
        self, y_true: Tensor, raw_prediction: Tensor, **hyperparameters: Hyper
    ) -> Tensor:
        """Return the pinball losses, summed over levels and outputs, without any check.

        See `Loss.pointwise`.
        """
        y, raw, levels = self._aligned(y_true, raw_prediction, hyperparameters)
        return _summed(Quantile().elementwise(y, raw, quantile=levels))

    def smoothed(
        self,
        y_true: Tensor,
        raw_prediction: Tensor,
        width: Hyper,
        **hyperparameters: Hyper,
    ) -> Tensor:
        """Return the loss averaged over a window, see `KinkedLoss.smoothed`."""
        y, raw, levels = self._aligned(y_true, raw_prediction, hyperparameters)
        values = Quantile().smoothed_elementwise(y, raw, width, quantile=levels)
        return _summed(values)

    def _aligned(
        self, y_true: Tensor, raw_prediction: Tensor, hyperparameters: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what broadcasts to (n_samples, K) or (n_samples, K, n_outputs)."""
        levels = {**self.hyperparameters(), **hyperparameters}["quantiles"]
        levels = ops.astype(levels, raw_prediction.dtype)
        n, *outputs = y_true.shape
        raw = ops.reshape(raw_prediction, (n, levels.shape[0], *outputs))
        if outputs:
            levels = ops.expand_dims(levels, -1)
        return ops.expand_dims(y_true, 1), raw, levels

    def inverse_link(self, raw_prediction: Any) -> Any:
        """Return the quantiles: all raw predictions, see `Loss.inverse_link`."""
        return np.asarray(raw_prediction)

    def rescaled(self, shift: Any, scale: Any) -> tuple[Any, Any]:
        """Return shift and scale, the same for each level, see `Loss.rescaled`."""
        K = self.raw_per_target
        if K == 1:
            return shift, scale
        return np.tile(np.atleast_1d(shift), K), np.tile(np.atleast_1d(scale), K)

    def optimal_constant(self, y: Any, sample_weight: Any = None) -> Any:
        """Return the weighted quantiles, those of the first level first.

        See `Loss.optimal_constant`; with several levels an array in any case.
        """
        self.validate()
        best = [
            Quantile(float(level)).optimal_constant(y, sample_weight)
            for level in np.asarray(self.quantiles)
        ]
        return best[0] if len(best) == 1 else np.ravel(best)


def check_levels(owner: str, name: str, levels: Any) -> None:
    """Check that a parameter holds levels of quantiles.

    Parameters
    ----------
    owner : str
        Class the parameter belongs to, for the message.
    name : str
        Name of the parameter, for the message.
    levels : object
        What to check.

    Raises
    ------
    ParameterError
        If they are no sequence of numbers, strictly increasing in (0, 1).

    Examples
    --------
    >>> from skgrad.losses.quantiles import check_levels
    >>> check_levels("Quantiles", "quantiles", (0.1, 0.9))
    >>> check_levels("Quantiles", "quantiles", (0.9, 0.1))
    Traceback (most recent call last):
        ...
    skgrad.exceptions.ParameterError: The 'quantiles' parameter of Quantiles must hold
    floats in (0, 1), strictly increasing. Got (0.9, 0.1): sort them.
    """
    rule = f"The {name!r} parameter of {owner} must hold floats in (0, 1), strictly"
    try:
        numbers = np.asarray(levels)
    except ValueError:  # of sequences of different lengths
        numbers = np.asarray(None)
    if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "iuf":
        raise ParameterError(
            f"{rule} increasing. Got {levels!r}: pass a sequence such as (0.1, 0.9)."
        )
    outside = numbers[~((numbers > 0) & (numbers < 1))]
    if outside.size:
        raise ParameterError(f"{rule} increasing. Got {outside[0]:g} among them.")
    if (np.diff(numbers) <= 0).any():
        twice = np.unique(numbers).size < numbers.size
        remedy = "leave out what is there twice" if twice else "sort them"
        raise ParameterError(f"{rule} increasing. Got {levels!r}: {remedy}.")


def _summed(values: Tensor) -> Tensor:
    """Return values per sample from those per sample, level and maybe output."""
    summed: Tensor = ops.sum(values, axis=tuple(range(1, values.ndim)))
    return summed
