"""NAdam: Adam with Nesterov's look ahead."""

from typing import Any, ClassVar, NamedTuple

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
    missing_weight,
    running_mean,
    scale_by_learning_rate,
    zeros_like,
)
from skgrad.optim.registry import register_optimizer
from skgrad.tensor import Tensor, tensor
from skgrad.typing import Tree

__all__ = ["NAdam"]


class NAdamState(NamedTuple):
    """Steps made and the product of momenta (float64 scalars), and the moments."""

    count: Tensor  # type: ignore[assignment]  # hides tuple.count, as meant
    product: Tensor
    mu: Tree
    nu: Tree


def momentum_at(step: Any, hyper: Hyper) -> Any:
    """Return b1 (1 - 0.96 ** (step * momentum_decay) / 2), the momentum of a step."""
    power = ops.power(0.96, ops.multiply(step, hyper["momentum_decay"]))
    return ops.multiply(hyper["b1"], ops.subtract(1.0, ops.multiply(0.5, power)))


def scale_by_nadam() -> Link:
    """Return the link of NAdam, see the class for its recurrences."""

    def init(params: Tree) -> NAdamState:
        device = device_of(params)
        count = tensor(0.0, dtype="float64", device=device)
        product = tensor(1.0, dtype="float64", device=device)
        return NAdamState(count, product, zeros_like(params), zeros_like(params))

    def update(
        updates: Tree, state: NAdamState, params: Tree, hyper: Hyper
    ) -> tuple[Tree, NAdamState]:
        b1, b2 = hyper["b1"], hyper["b2"]
        count = ops.add(state.count, 1.0)
        now, later = momentum_at(count, hyper), momentum_at(ops.add(count, 1.0), hyper)
        product = ops.multiply(state.product, now)
        mu = tree_map(lambda u, m: running_mean(m, u, b1), updates, state.mu)
        nu = tree_map(
            lambda u, n: running_mean(n, ops.square(u), b2), updates, state.nu
        )
        correct_rms = ops.divide(1.0, ops.sqrt(missing_weight(b2, count)))
        of_u = ops.divide(ops.subtract(1.0, now), ops.subtract(1.0, product))
        of_mu = ops.divide(later, ops.subtract(1.0, ops.multiply(product, later)))

        def scale(u: Tensor, m: Tensor, n: Tensor) -> Any:
            rms = ops.multiply(ops.sqrt(n), cast(correct_rms, n))
            ahead = ops.multiply(m, cast(of_mu, m))
            mean = ops.add(ahead, ops.multiply(u, cast(of_u, u)))
            return ops.divide(mean, ops.add(rms, cast(hyper["eps"], n)))

        return tree_map(scale, updates, mu, nu), NAdamState(count, product, mu, nu)

    return Link(init, update)


@register_optimizer("nadam")
class NAdam(Optimizer):
    r"""NAdam: Adam that looks ahead along its momentum, as Nesterov's method does.

    .. math::
        u = g + \lambda p, \quad
        \mu_t = \beta_1 \mu_{t-1} + (1 - \beta_1) u, \quad
        \nu_t = \beta_2 \nu_{t-1} + (1 - \beta_2) u^2, \\
        m_t = \beta_1 (1 - \tfrac12 0.96^{t \psi}), \qquad
        p' = p - \eta \frac{
            \frac{m_{t+1}}{1 - \prod_{i \le t+1} m_i} \mu_t
            + \frac{1 - m_t}{1 - \prod_{i \le t} m_i} u
        }{\sqrt{\nu_t / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    params : iterable of Tensor or of dict, default=None
        Tensors to update in :meth:`step`, or groups of them; ``None`` makes a pure
        description.
    lr : float, default=None
        Learning rate η of :meth:`step`; ``None`` means 0.002. Only with `params`.
    b1, b2 : float in [0, 1), default=0.9 and 0.999
        Decay of the running means of the gradient and of its square.
    eps : float >= 0, default=1e-8
        Added to the root, outside of it.
    momentum_decay : float >= 0, default=0.004
        How fast ψ the momentum rises from about half of `b1` to `b1`.
    weight_decay : float >= 0, default=0.0
        Factor λ of the penalty :math:`\lambda p^2 / 2`, which acts on the gradient.

    See Also
    --------
    Adam : Without looking ahead.

    References
    ----------
    .. [1] Dozat, T. (2016). Incorporating Nesterov momentum into Adam. ICLR workshop,
       algorithm 2; the schedule of the momentum is PyTorch's.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim import NAdam
    >>> w = skgrad.tensor([4.0], requires_grad=True)
    >>> optimizer = NAdam([w], lr=0.1)
    >>> for _ in range(100):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> bool(abs(w.item()) < 0.1)
    True
    """

    default_lr: ClassVar[float] = 2e-3
    domains: ClassVar[dict[str, tuple[float, float, Closed]]] = {
        "b1": (0, 1, "left"),
        "b2": (0, 1, "left"),
        "eps": (0, float("inf"), "left"),
        "momentum_decay": (0, float("inf"), "left"),
        "weight_decay": (0, float("inf"), "left"),
    }

    def __init__(
        self,
        params: ParamsLike | None = None,
        lr: float | None = None,
        *,
        b1: float = 0.9,
        b2: float = 0.999,
        eps: float = 1e-8,
        momentum_decay: float = 4e-3,
        weight_decay: float = 0.0,
    ) -> None:
        self.b1 = b1
        self.b2 = b2
        self.eps = eps
        self.momentum_decay = momentum_decay
        self.weight_decay = weight_decay
        self._attach(params, lr)

    def _links(self) -> Link:
        return chain(add_decayed_weights(), scale_by_nadam(), scale_by_learning_rate())
