"""Adam, and AdamW, which decouples the weight decay from the rescaling."""

from typing import ClassVar

from skgrad.core.checks import Closed
from skgrad.optim.base import Optimizer, ParamsLike
from skgrad.optim.links import (
    Link,
    add_decayed_weights,
    chain,
    scale_by_adam,
    scale_by_learning_rate,
)
from skgrad.optim.registry import register_optimizer

__all__ = ["Adam", "AdamW"]

DOMAINS: dict[str, tuple[float, float, Closed]] = {
    "b1": (0, 1, "left"),
    "b2": (0, 1, "left"),
    "eps": (0, float("inf"), "left"),
    "weight_decay": (0, float("inf"), "left"),
}


@register_optimizer("adam")
class Adam(Optimizer):
    r"""Adam: momentum divided by the root of the recent mean square.

    .. math::
        u = g + \lambda p, \quad
        \mu' = \beta_1 \mu + (1 - \beta_1) u, \quad
        \nu' = \beta_2 \nu + (1 - \beta_2) u^2, \quad
        p' = p - \eta \frac{\mu' / (1 - \beta_1^t)}
                           {\sqrt{\nu' / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    params : iterable of Tensor or of dict, default=None
        Tensors to update in :meth:`step`, or groups of them; ``None`` makes a pure
        description.
    lr : float, default=None
        Learning rate η of :meth:`step`; ``None`` means 0.001. Only with `params`.
    b1, b2 : float in [0, 1), default=0.9 and 0.999
        Decay of the running means of the gradient and of its square.
    eps : float >= 0, default=1e-8
        Added to the root, outside of it.
    weight_decay : float >= 0, default=0.0
        Factor λ of the penalty :math:`\lambda p^2 / 2`, which acts on the gradient
        and so is rescaled with it.

    See Also
    --------
    AdamW : Weight decay that is not rescaled; usually the better one.

    References
    ----------
    .. [1] Kingma, D. P. and Ba, J. (2015). Adam: a method for stochastic
       optimization. ICLR, algorithm 1.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim import Adam
    >>> w = skgrad.tensor([4.0], requires_grad=True)
    >>> optimizer = Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()           # the first step has length lr
    >>> w.numpy().round(6)
    array([3.9])
    """

    default_lr: ClassVar[float] = 1e-3
    domains: ClassVar[dict[str, tuple[float, float, Closed]]] = DOMAINS

    def __init__(
        self,
        params: ParamsLike | None = None,
        lr: float | None = None,
        *,
        b1: float = 0.9,
        b2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        self.b1 = b1
        self.b2 = b2
        self.eps = eps
        self.weight_decay = weight_decay
        self._attach(params, lr)

    def _links(self) -> Link:
        return chain(add_decayed_weights(), scale_by_adam(), scale_by_learning_rate())


@register_optimizer("adamw")
class AdamW(Optimizer):
    r"""Adam with decoupled weight decay.

    .. math::
        p' = p - \eta \lambda p - \eta \frac{\mu' / (1 - \beta_1^t)}
                                            {\sqrt{\nu' / (1 - \beta_2^t)} + \epsilon}

    with the running means of the gradient alone.

    Parameters
    ----------
    params : iterable of Tensor or of dict, default=None
        Tensors to update in :meth:`step`, or groups of them; ``None`` makes a pure
        description.
    lr : float, default=None
        Learning rate η of :meth:`step`; ``None`` means 0.001. Only with `params`.
    b1, b2 : float in [0, 1), default=0.9 and 0.999
        Decay of the running means of the gradient and of its square.
    eps : float >= 0, default=1e-8
        Added to the root, outside of it.
    weight_decay : float >= 0, default=0.01
        Factor λ of the decay; it is multiplied by the learning rate, as in PyTorch
        and unlike algorithm 2 of [1]_, which multiplies by the schedule only.

    See Also
    --------
    Adam : The decay acts on the gradient.

    References
    ----------
    .. [1] Loshchilov, I. and Hutter, F. (2019). Decoupled weight decay
       regularization. ICLR.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim import AdamW
    >>> w = skgrad.tensor([4.0], requires_grad=True)
    >>> optimizer = AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()           # 4 - 0.1 - 0.1 * 0.5 * 4
    >>> w.numpy().round(6)
    array([3.7])
    """

    default_lr: ClassVar[float] = 1e-3
    domains: ClassVar[dict[str, tuple[float, float, Closed]]] = DOMAINS

    def __init__(
        self,
        params: ParamsLike | None = None,
        lr: float | None = None,
        *,
        b1: float = 0.9,
        b2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        self.b1 = b1
        self.b2 = b2
        self.eps = eps
        self.weight_decay = weight_decay
        self._attach(params, lr)

    def _links(self) -> Link:
        return chain(scale_by_adam(), add_decayed_weights(), scale_by_learning_rate())
