"""Adagrad: the gradient divided by the size of all gradients so far."""

from typing import ClassVar, NamedTuple

import numpy as np

from skgrad import ops
from skgrad.core.checks import Closed
from skgrad.core.tree import tree_map
from skgrad.optim.base import Optimizer, ParamsLike
from skgrad.optim.links import (
    Hyper,
    Link,
    add_decayed_weights,
    cast,
    chain,
    device_of,
    scale_by_learning_rate,
)
from skgrad.optim.registry import register_optimizer
from skgrad.tensor import Tensor, tensor
from skgrad.typing import Tree

__all__ = ["Adagrad"]


class AdagradState(NamedTuple):
    """Steps made (a float64 scalar) and sums of squared gradients."""

    count: Tensor  # type: ignore[assignment]  # hides tuple.count, as meant
    total: Tree


def scale_by_root_of_sum(initial: float) -> Link:
    """Return the link that divides by the root of the sum of squares so far.

    The sums start at `initial`. The result decays with the steps made, by
    ``hyper["lr_decay"]``.
    """

    def init(params: Tree) -> AdagradState:
        count = tensor(0.0, dtype="float64", device=device_of(params))
        return AdagradState(count, tree_map(start, params))

    def start(param: Tensor) -> Tensor:
        return tensor(np.full(param.shape, initial, param.dtype), device=param.device)

    def update(
        updates: Tree, state: AdagradState, params: Tree, hyper: Hyper
    ) -> tuple[Tree, AdagradState]:
        elapsed = ops.multiply(state.count, hyper["lr_decay"])
        decay = ops.divide(1.0, ops.add(1.0, elapsed))
        total = tree_map(lambda u, t: ops.add(t, ops.square(u)), updates, state.total)

        def scale(u: Tensor, t: Tensor) -> Tree:
            root = ops.add(ops.sqrt(t), cast(hyper["eps"], t))
            return ops.divide(ops.multiply(u, cast(decay, u)), root)

        count = ops.add(state.count, 1.0)
        return tree_map(scale, updates, total), AdagradState(count, total)

    return Link(init, update)


@register_optimizer("adagrad")
class Adagrad(Optimizer):
    r"""Adagrad: a rate per parameter that falls with the gradients it has seen.

    .. math::
        u = g + \lambda p, \qquad s' = s + u^2, \qquad
        p' = p - \frac{\eta}{1 + (t - 1) \gamma} \frac{u}{\sqrt{s'} + \epsilon}

    at step :math:`t = 1, 2, \dots`

    Parameters
    ----------
    params : iterable of Tensor or of dict, default=None
        Tensors to update in :meth:`step`, or groups of them; ``None`` makes a pure
        description.
    lr : float, default=None
        Learning rate η of :meth:`step`; ``None`` means 0.01. Only with `params`.
    lr_decay : float >= 0, default=0.0
        Decay γ of the rate with the number of steps.
    initial_accumulator_value : float >= 0, default=0.0
        Where the sums s start.
    eps : float >= 0, default=1e-10
        Added to the root, outside of it.
    weight_decay : float >= 0, default=0.0
        Factor λ of the penalty :math:`\lambda p^2 / 2`, which acts on the gradient.

    See Also
    --------
    RMSprop : Forgets old gradients, so that the rate does not fall to zero.

    References
    ----------
    .. [1] Duchi, J., Hazan, E. and Singer, Y. (2011). Adaptive subgradient methods for
       online learning and stochastic optimization. JMLR 12, 2121-2159, figure 1 with
       the diagonal matrix. ``lr_decay`` and ``eps`` follow PyTorch.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim import Adagrad
    >>> w = skgrad.tensor([4.0], requires_grad=True)
    >>> optimizer = Adagrad([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()           # the first step has length lr
    >>> w.numpy().round(6)
    array([3.5])
    """

    default_lr: ClassVar[float] = 1e-2
    domains: ClassVar[dict[str, tuple[float, float, Closed]]] = {
        "eps": (0, float("inf"), "left"),
        "initial_accumulator_value": (0, float("inf"), "left"),
        "lr_decay": (0, float("inf"), "left"),
        "weight_decay": (0, float("inf"), "left"),
    }

    def __init__(
        self,
        params: ParamsLike | None = None,
        lr: float | None = None,
        *,
        lr_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
    ) -> None:
        self.lr_decay = lr_decay
        self.initial_accumulator_value = initial_accumulator_value
        self.eps = eps
        self.weight_decay = weight_decay
        self._attach(params, lr)

    def _links(self) -> Link:
        return chain(
            add_decayed_weights(),
            scale_by_root_of_sum(self.initial_accumulator_value),
            scale_by_learning_rate(),
        )
