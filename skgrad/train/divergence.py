"""What a fit says when its numbers are no longer finite, or grow instead of falling."""

from __future__ import annotations

from collections.abc import Sequence

from skgrad.exceptions import DivergenceError
from skgrad.executor import Culprit
from skgrad.train.records import Recovery

__all__ = ["diverged", "gave_up", "not_finite", "recovered"]

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
        return DivergenceError(what, _likely(rate))
    if culprit.frame is not None and culprit.operation in _REMEDIES:
        return DivergenceError(f"{what}: {culprit}", f"{_REMEDIES[culprit.operation]}.")
    return DivergenceError(f"{what}: {culprit}", _likely(rate))


def diverged(what: str, rate: float) -> DivergenceError:
    """Return the error of an objective that grew.

    Parameters
    ----------
    what : str
        ``"grew from 0.5 to 70 by epoch 10"``.
    rate : float
        The learning rate.

    Returns
    -------
    DivergenceError
        Says the likely cause and the remedy.

    Examples
    --------
    >>> from skgrad.train.divergence import diverged
    >>> print(diverged("grew from 1 to 500 by epoch 9", 0.5))
    The objective grew from 1 to 500 by epoch 9. Most often the learning rate is too
    high (learning_rate=0.5: try 0.05), the inputs have very different scales (keep
    standardize=True), or a custom loss takes the logarithm or root of a value out of
    its domain. clip_norm=1.0 limits each step.
    """
    return DivergenceError(f"The objective {what}", _likely(rate))


def gave_up(failure: DivergenceError, n_tries: int, rate: float) -> DivergenceError:
    """Return the error of a fit that went back to good weights without success.

    Parameters
    ----------
    failure : DivergenceError
        The last one.
    n_tries : int
        How often it went back.
    rate : float
        The last learning rate.

    Returns
    -------
    DivergenceError
        The failure itself if there was no try.

    Examples
    --------
    >>> from skgrad.exceptions import DivergenceError
    >>> from skgrad.train.divergence import gave_up
    >>> failure = DivergenceError("The objective is nan", "Look at the loss.")
    >>> print(gave_up(failure, 3, 0.125))
    The objective is nan. Look at the loss. The fit went back to its last good weights \
3 times, with learning rates down to 0.125, in vain.
    """
    if not n_tries:
        return failure
    return DivergenceError(
        failure.what,
        f"{failure.advice} The fit went back to its last good weights {n_tries} times, "
        f"with learning rates down to {rate:g}, in vain.",
    )


def recovered(recoveries: Sequence[Recovery]) -> str:
    """Return the warning of a fit that went back to good weights with success.

    Parameters
    ----------
    recoveries : sequence of Recovery
        At least one.

    Returns
    -------
    str
        Says what broke first, what was tried, and what to set.

    Examples
    --------
    >>> from skgrad.train import Recovery, recovered
    >>> once = Recovery(3, None, 2, 0.25, "The objective grew", "Scale the inputs.")
    >>> print(recovered([once]))
    The objective grew. Scale the inputs. The fit went back to its weights after epoch \
2 and went on with learning_rate=0.25. Set that, or on_divergence='raise' to have an \
error instead.
    """
    first, rate = recoveries[0], recoveries[-1].learning_rate
    tries = f" ({len(recoveries)} tries)" if len(recoveries) > 1 else ""
    where = f"after epoch {first.back_to}" if first.back_to else "at the start"
    return (
        f"{first.message}. {first.advice} The fit went back to its weights {where} and "
        f"went on with learning_rate={rate:g}{tries}. Set that, or "
        "on_divergence='raise' to have an error instead."
    )


def _likely(rate: float | None) -> str:
    if rate is None:
        return f"Most often {_CAUSES}."
    return (
        f"Most often the learning rate is too high (learning_rate={rate:g}: try "
        f"{rate / 10:g}), {_CAUSES}. clip_norm=1.0 limits each step."
    )
