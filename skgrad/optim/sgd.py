"""Stochastic gradient descent, with momentum."""

from typing import ClassVar

from skgrad.core.checks import Closed
from skgrad.exceptions import ParameterError
from skgrad.optim.base import Optimizer, ParamsLike
from skgrad.optim.links import (
    Link,
    accumulate_momentum,
    add_decayed_weights,
    chain,
    scale_by_learning_rate,
)
from skgrad.optim.registry import register_optimizer

__all__ = ["SGD"]


@register_optimizer("sgd")
class SGD(Optimizer):
    r"""Stochastic gradient descent, plain or with (Nesterov) momentum.

    .. math::
        u = g + \lambda p, \qquad b' = \mu b + u, \qquad
        p' = p - \eta b' \quad (\text{Nesterov: } p - \eta (u + \mu b'))

    Parameters
    ----------
    params : iterable of Tensor or of dict, default=None
        Tensors to update in :meth:`step`, or groups of them; ``None`` makes a pure
        description.
    lr : float, default=None
        Learning rate η of :meth:`step`; ``None`` means 0.01. Only with `params`.
    momentum : float in [0, 1), default=0.0
        Factor μ of the past steps.
    nesterov : bool, default=False
        Whether to look ahead; needs a positive `momentum`.
    weight_decay : float >= 0, default=0.0
        Factor λ of the penalty :math:`\lambda p^2 / 2`, which acts on the gradient.

    See Also
    --------
    Adam : Adapts the rate of each parameter.

    Notes
    -----
    The buffer of the momentum is part of the state even when `momentum` is 0, so that
    all values of `momentum` share one trace. There is no dampening.

    References
    ----------
    .. [1] Sutskever, I., Martens, J., Dahl, G. and Hinton, G. (2013). On the
       importance of initialization and momentum in deep learning. ICML.
       As in PyTorch, the rate is outside of the sum of past steps.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim import SGD
    >>> w = skgrad.tensor([4.0], requires_grad=True)
    >>> optimizer = SGD([w], lr=0.25, momentum=0.5)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w.numpy()
    array([0.])
    """

    default_lr: ClassVar[float] = 1e-2
    domains: ClassVar[dict[str, tuple[float, float, Closed]]] = {
        "momentum": (0, 1, "left"),
        "weight_decay": (0, float("inf"), "left"),
    }

    def __init__(
        self,
        params: ParamsLike | None = None,
        lr: float | None = None,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        self.momentum = momentum
        self.nesterov = nesterov
        self.weight_decay = weight_decay
        self._attach(params, lr)

    def validate(self) -> None:
        """Check the hyperparameters.

        Raises
        ------
        ParameterError
            If one is outside its domain, or `nesterov` is set without `momentum`.
        """
        super().validate()
        if self.nesterov and self.momentum == 0:
            raise ParameterError(
                "SGD(nesterov=True) needs a positive 'momentum', for example 0.9. "
                "Got momentum=0."
            )

    def _links(self) -> Link:
        return chain(
            add_decayed_weights(),
            accumulate_momentum(self.nesterov),
            scale_by_learning_rate(),
        )
