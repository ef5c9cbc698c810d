"""Links between what a model computes and what it predicts.

``raw_prediction = link(y_pred)`` may be any real number; ``y_pred = inverse(
raw_prediction)`` is on the scale of the target: a mean, a rate, a probability. Links
work on NumPy arrays, after the fit; inside a loss the inverse link is never formed,
because losses are written in the raw prediction for accuracy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import scipy

from skgrad.core.params import did_you_mean
from skgrad.exceptions import ParameterError
from skgrad.losses.domain import REALS, Interval

__all__ = [
    "LINKS",
    "IdentityLink",
    "Link",
    "LogLink",
    "LogitLink",
    "MultinomialLogitLink",
    "get_link",
]


class Link(ABC):
    """Map predictions to the real line and back.

    Attributes
    ----------
    name : str
        Name under which losses ask for it.
    domain : Interval
        Where predictions on the scale of the target lie.

    Examples
    --------
    >>> from skgrad.losses import LINKS
    >>> for link in LINKS.values():
    ...     print(f"{link.name}: {link.domain}")
    identity: (-inf, inf)
    log: [0, inf)
    logit: [0, 1]
    multinomial_logit: [0, 1]
    """

    name: ClassVar[str]
    domain: ClassVar[Interval]

    def link(self, y_pred: Any) -> Any:
        """Return the raw prediction of a prediction.

        Parameters
        ----------
        y_pred : array-like
            Predictions on the scale of the target, in `domain`.

        Returns
        -------
        ndarray of the shape of `y_pred`
            Raw predictions; infinite where a prediction is the limit of none.

        Raises
        ------
        ParameterError
            If a value lies outside `domain`.

        Examples
        --------
        >>> from skgrad.losses import get_link
        >>> get_link("logit").link([0.5]).tolist()
        [0.0]
        """
        y_pred = _floating(y_pred)
        if not self.domain.includes(y_pred):
            outside = y_pred[~self.domain.contains(y_pred)].ravel()[0]
            raise ParameterError(
                f"The {self.name} link is defined on {self.domain}. "
                f"Got {outside:g} instead."
            )
        with np.errstate(divide="ignore"):
            return self._link(y_pred)

    def inverse(self, raw_prediction: Any) -> Any:
        """Return the prediction of a raw prediction.

        Parameters
        ----------
        raw_prediction : array-like
            Any real numbers.

        Returns
        -------
        ndarray of the shape of `raw_prediction`
            Predictions on the scale of the target. A rate too large for the dtype is
            infinite.

        Examples
        --------
        >>> from skgrad.losses import get_link
        >>> get_link("logit").inverse([0.0, 1e4]).tolist()
        [0.5, 1.0]
        """
        with np.errstate(over="ignore", under="ignore"):
            return self._inverse(_floating(raw_prediction))

    def __repr__(self) -> str:
        """Return the call that makes an equal link."""
        return f"{type(self).__name__}()"

    @abstractmethod
    def _link(self, y_pred: Any) -> Any:
        """Return the raw prediction of values in the domain."""

    @abstractmethod
    def _inverse(self, raw_prediction: Any) -> Any:
        """Return the prediction."""


class IdentityLink(Link):
    r"""Predict the raw prediction itself: :math:`\hat y = f`.

    Examples
    --------
    >>> from skgrad.losses import IdentityLink
    >>> IdentityLink().inverse([2.0]).tolist()
    [2.0]
    """

    name = "identity"
    domain = REALS

    def _link(self, y_pred: Any) -> Any:
        return y_pred

    def _inverse(self, raw_prediction: Any) -> Any:
        return raw_prediction


class LogLink(Link):
    r"""Predict a positive rate: :math:`\hat y = e^f`; the raw one is its logarithm.

    Examples
    --------
    >>> from skgrad.losses import LogLink
    >>> LogLink().inverse([0.0]).tolist(), LogLink().link([1.0]).tolist()
    ([1.0], [0.0])
    """

    name = "log"
    domain = Interval(0.0, np.inf, "left")

    def _link(self, y_pred: Any) -> Any:
        return np.log(y_pred)

    def _inverse(self, raw_prediction: Any) -> Any:
        return np.exp(raw_prediction)


class LogitLink(Link):
    r"""Predict a probability: :math:`\hat y = 1/(1+e^{-f})`; the raw one is log-odds.

    Examples
    --------
    >>> from skgrad.losses import LogitLink
    >>> LogitLink().inverse([0.0, -1e4]).tolist()
    [0.5, 0.0]
    """

    name = "logit"
    domain = Interval(0.0, 1.0, "both")

    def _link(self, y_pred: Any) -> Any:
        return scipy.special.logit(y_pred)

    def _inverse(self, raw_prediction: Any) -> Any:
        return scipy.special.expit(raw_prediction)


class MultinomialLogitLink(Link):
    r"""Predict the probabilities of k classes: the softmax over the last axis.

    :math:`\hat y_j = e^{f_j} / \sum_l e^{f_l}`. A constant added to all :math:`f_j`
    changes nothing, so `link` returns those that sum to zero,
    :math:`f_j = \log \hat y_j - \frac1k \sum_l \log \hat y_l`, with probabilities
    below the smallest normal number of the dtype raised to it (no class is then
    infinitely unlikely, and the softmax of the result is the input).

    References
    ----------
    F. M. Zahid and G. Tutz, Ridge estimation for multinomial logit models with
    symmetric side constraints, Computational Statistics 28 (2013) 1017-1034.

    Examples
    --------
    >>> from skgrad.losses import MultinomialLogitLink
    >>> MultinomialLogitLink().inverse([[1e4, 1e4]]).tolist()
    [[0.5, 0.5]]
    """

    name = "multinomial_logit"
    domain = Interval(0.0, 1.0, "both")

    def _link(self, y_pred: Any) -> Any:
        logs = np.log(np.maximum(y_pred, np.finfo(y_pred.dtype).tiny))
        return logs - logs.mean(axis=-1, keepdims=True)

    def _inverse(self, raw_prediction: Any) -> Any:
        return scipy.special.softmax(raw_prediction, axis=-1)


LINKS: Mapping[str, Link] = MappingProxyType(
    {
        link.name: link
        for link in (IdentityLink(), LogLink(), LogitLink(), MultinomialLogitLink())
    }
)
"""The links by name."""


def get_link(name: str) -> Link:
    """Return the link of a name.

    Parameters
    ----------
    name : {"identity", "log", "logit", "multinomial_logit"}
        The name, as in the attribute ``link`` of a loss.

    Returns
    -------
    Link
        The shared instance; links have no state.

    Raises
    ------
    ParameterError
        If there is no link of that name.

    Examples
    --------
    >>> from skgrad.losses import get_link
    >>> get_link("log")
    LogLink()
    """
    if isinstance(name, str) and name in LINKS:
        return LINKS[name]
    raise ParameterError(
        f"The 'link' parameter must be one of {sorted(LINKS)}. "
        f"Got {name!r} instead.{did_you_mean(name, LINKS)}"
    )


def _floating(values: Any) -> Any:
    """Return a float array: float32 and float64 as they are, others float64."""
    values = np.asarray(values)
    return values if values.dtype.kind == "f" else values.astype(np.float64)
