"""RMSprop: the gradient divided by its recent size."""

from typing import ClassVar

from skgrad.core.checks import Closed
from skgrad.optim.base import Optimizer, ParamsLike
from skgrad.optim.links import (
    Link,
    accumulate_momentum,
    add_decayed_weights,
    chain,
    scale_by_learning_rate,
    scale_by_rms,
)
from skgrad.optim.registry import register_optimizer

__all__ = ["RMSprop"]


@register_optimizer("rmsprop")
class RMSprop(Optimizer):
    r"""RMSprop, optionally with momentum.

    .. math::
        u = g + \lambda p, \qquad \nu' = \rho \nu + (1 - \rho) u^2, \qquad
        b' = \mu b + \frac{u}{\sqrt{\nu'} + \epsilon}, \qquad p' = p - \eta b'

    Parameters
    ----------
    params : iterable of Tensor or of dict, default=None
        Tensors to update in :meth:`step`, or groups of them; ``None`` makes a pure
        description.
    lr : float, default=None
        Learning rate η of :meth:`step`; ``None`` means 0.01. Only with `params`.
    rho : float in [0, 1), default=0.99
        Decay of the running mean of squared gradients; PyTorch's ``alpha``.
    eps : float >= 0, default=1e-8
        Added to the root, outside of it.
    momentum : float in [0, 1), default=0.0
        Factor μ of the past steps.
    weight_decay : float >= 0, default=0.0
        Factor λ of the penalty :math:`\lambda p^2 / 2`, which acts on the gradient.

    References
    ----------
    .. [1] Tieleman, T. and Hinton, G. (2012). Lecture 6.5: rmsprop. Coursera, Neural
       networks for machine learning. ``eps`` and ``momentum`` follow PyTorch.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim import RMSprop
    >>> w = skgrad.tensor([4.0], requires_grad=True)
    >>> optimizer = RMSprop([w], lr=0.1, rho=0.75)
    >>> (w * w).sum().backward()
    >>> optimizer.step()           # the first step has length lr / sqrt(1 - rho)
    >>> w.numpy().round(6)
    array([3.8])
    """

    default_lr: ClassVar[float] = 1e-2
    domains: ClassVar[dict[str, tuple[float, float, Closed]]] = {
        "eps": (0, float("inf"), "left"),
        "momentum": (0, 1, "left"),
        "rho": (0, 1, "left"),
        "weight_decay": (0, float("inf"), "left"),
    }

    def __init__(
        self,
        params: ParamsLike | None = None,
        lr: float | None = None,
        *,
        rho: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        self.rho = rho
        self.eps = eps
        self.momentum = momentum
        self.weight_decay = weight_decay
        self._attach(params, lr)

    def _links(self) -> Link:
        return chain(
            add_decayed_weights(),
            scale_by_rms(),
            accumulate_momentum(),
            scale_by_learning_rate(),
        )
