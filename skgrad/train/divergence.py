"""What a fit says when its numbers are no longer finite, or grow instead of falling."""

from __future__ import annotations

from skgrad.exceptions import DivergenceError
from skgrad.executor import Culprit

__all__ = ["diverged", "not_finite"]

_CAUSES = (
    "the inputs have very different scales (keep standardize=True), or a custom loss "
    "takes the logarithm or root of a value out of its domain"
)
# What to do about an operation of the user's own, by its name.
_REMEDIES = {
    "log": (
        "Keep the operand positive: skgrad.log(skgrad.maximum(x, 1e-12)), or "
        "skgrad.log_sigmoid and skgrad.log_softmax for the logarithm of a probability"
    ),
    "log1p": "Keep the operand above -1: skgrad.log1p(skgrad.maximum(x, -1 + 1e-12))",
    "sqrt": (
        "Keep the operand positive: skgrad.sqrt(skgrad.maximum(x, 1e-12)); at 0 the "
        "derivative is infinite"
    ),
    "power": (
        "Keep the base positive, skgrad.maximum(x, 1e-12); at 0 the derivative of a "
        "power below 1 is infinite"
    ),
    "divide": "Keep the divisor away from 0: x / (y + 1e-12) for a positive y",
    "exp": (
        "Limit the exponent: skgrad.exp(skgrad.minimum(x, 50.0)), or let skgrad."
        "softplus, sigmoid or logsumexp take the exponential"
    ),
    "expm1": "Limit the exponent: skgrad.expm1(skgrad.minimum(x, 50.0))",
}


def not_finite(
    when: str, culprit: Culprit | None, rate: float | None = None
) -> DivergenceError:
    """Return the error of an objective, or a derivative of it, that is not finite.

    Parameters
    ----------
    when : str
        ``"in epoch 3"``.
    culprit : Culprit or None
        The operation to blame, if it was found.
    rate : float or None, default=None
        The learning rate of a stochastic fit.

    Returns
    -------
    DivergenceError
        Says what broke, the likely cause and the remedy.

    Examples
    --------
    >>> from skgrad.executor import Culprit
    >>> from skgrad.train.divergence import not_finite
    >>> print(not_finite("in epoch 1", Culprit("log", (-1.0,), float("nan"), None)))
    The objective or a derivative of it is not finite in epoch 1: log(-1) is nan. Most
    often the inputs have very different scales (keep standardize=True), or a custom
    loss takes the logarithm or root of a value out of its domain.
    """
    what = f"The objective or a derivative of it is not finite {when}"
    if culprit is None:
        return DivergenceError(f"{what}. {_likely(rate)}")
    if culprit.frame is not None and culprit.operation in _REMEDIES:
        return DivergenceError(f"{what}: {culprit}. {_REMEDIES[culprit.operation]}.")
    return DivergenceError(f"{what}: {culprit}. {_likely(rate)}")


def diverged(what: str, rate: float) -> DivergenceError:
    """Return the error of an objective that grew.

    Parameters
    ----------
    what : str
        ``"grew from 0.5 to 70 in 10 epochs"``.
    rate : float
        The learning rate.

    Returns
    -------
    DivergenceError
        Says the likely cause and the remedy.

    Examples
    --------
    >>> from skgrad.train.divergence import diverged
    >>> print(diverged("grew from 1 to 500 in 9 epochs", 0.5))
    The objective grew from 1 to 500 in 9 epochs. Most often the learning rate is too
    high (learning_rate=0.5: try 0.05), the inputs have very different scales (keep
    standardize=True), or a custom loss takes the logarithm or root of a value out of
    its domain. clip_norm=1.0 limits each step.
    """
    return DivergenceError(f"The objective {what}. {_likely(rate)}")


def _likely(rate: float | None) -> str:
    if rate is None:
        return f"Most often {_CAUSES}."
    return (
        f"Most often the learning rate is too high (learning_rate={rate:g}: try "
        f"{rate / 10:g}), {_CAUSES}. clip_norm=1.0 limits each step."
    )
