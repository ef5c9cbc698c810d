"""Lion: steps of equal length along the sign of the momentum."""

from typing import ClassVar

from skgrad import ops
from skgrad.core.checks import Closed
from skgrad.core.tree import tree_map
from skgrad.optim.base import Optimizer, ParamsLike
from skgrad.optim.links import (
    Hyper,
    Link,
    MomentumState,
    add_decayed_weights,
    chain,
    running_mean,
    scale_by_learning_rate,
    zeros_like,
)
from skgrad.optim.registry import register_optimizer
from skgrad.typing import Tree

__all__ = ["Lion"]


def take_sign_of_momentum() -> Link:
    """Return the link of Lion, see the class for its recurrences."""

    def init(params: Tree) -> MomentumState:
        return MomentumState(zeros_like(params))

    def update(
        updates: Tree, state: MomentumState, params: Tree, hyper: Hyper
    ) -> tuple[Tree, MomentumState]:
        b1, b2 = hyper["b1"], hyper["b2"]
        signs = tree_map(
            lambda u, m: ops.sign(running_mean(m, u, b1)), updates, state.trace
        )
        trace = tree_map(lambda u, m: running_mean(m, u, b2), updates, state.trace)
        return signs, MomentumState(trace)

    return Link(init, update)


@register_optimizer("lion")
class Lion(Optimizer):
    r"""Lion: the sign of an interpolated momentum, with decoupled weight decay.

    .. math::
        p' = p - \eta \left(
            \mathrm{sign}(\beta_1 \mu + (1 - \beta_1) g) + \lambda p \right), \qquad
        \mu' = \beta_2 \mu + (1 - \beta_2) g

    Parameters
    ----------
    params : iterable of Tensor or of dict, default=None
        Tensors to update in :meth:`step`, or groups of them; ``None`` makes a pure
        description.
    lr : float, default=None
        Learning rate η of :meth:`step`, the length of every step in every coordinate;
        ``None`` means 1e-4. Only with `params`.
    b1, b2 : float in [0, 1), default=0.9 and 0.99
        Weight of the momentum in the step, and decay of the momentum.
    weight_decay : float >= 0, default=0.0
        Factor λ of the decay; it is multiplied by the learning rate.

    See Also
    --------
    AdamW : Adapts the length of steps.

    Notes
    -----
    The rate is a third to a tenth of AdamW's and the weight decay as much larger
    ([1]_, section 5). One moment is kept instead of two.

    References
    ----------
    .. [1] Chen, X. et al. (2023). Symbolic discovery of optimization algorithms.
       NeurIPS, algorithm 2.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim import Lion
    >>> w = skgrad.tensor([4.0, -0.1], requires_grad=True)
    >>> optimizer = Lion([w], lr=0.05)
    >>> (w * w).sum().backward()
    >>> optimizer.step()           # every step has length lr
    >>> w.numpy().round(6)
    array([ 3.95, -0.05])
    """

    default_lr: ClassVar[float] = 1e-4
    domains: ClassVar[dict[str, tuple[float, float, Closed]]] = {
        "b1": (0, 1, "left"),
        "b2": (0, 1, "left"),
        "weight_decay": (0, float("inf"), "left"),
    }

    def __init__(
        self,
        params: ParamsLike | None = None,
        lr: float | None = None,
        *,
        b1: float = 0.9,
        b2: float = 0.99,
        weight_decay: float = 0.0,
    ) -> None:
        self.b1 = b1
        self.b2 = b2
        self.weight_decay = weight_decay
        self._attach(params, lr)

    def _links(self) -> Link:
        return chain(
            take_sign_of_momentum(), add_decayed_weights(), scale_by_learning_rate()
        )
