"""Accumulated: any optimizer, stepping once for several minibatches."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from skgrad import ops
from skgrad.core.checks import Closed, check_integer
from skgrad.core.tree import tree_map
from skgrad.optim.base import Optimizer
from skgrad.optim.links import Hyper, Link, cast, device_of, zeros_like
from skgrad.optim.wrapper import Wrapper, inner_link
from skgrad.tensor import Tensor, tensor
from skgrad.typing import Tree

__all__ = ["Accumulated"]


class AccumulatedState(NamedTuple):
    """Gradients added up (a float64 scalar), their sum, the state of what steps."""

    count: Tensor  # type: ignore[assignment]  # hides tuple.count, as meant
    total: Tree
    inner: Tree


def accumulate_gradients(link: Link) -> Link:
    """Return `link` acting on the mean of every ``hyper["n_steps"]`` gradients.

    In between, the updates are zero and its state stays.
    """

    def init(params: Tree) -> AccumulatedState:
        count = tensor(0.0, dtype="float64", device=device_of(params))
        return AccumulatedState(count, zeros_like(params), link.init(params))

    def update(
        updates: Tree, state: AccumulatedState, params: Tree, hyper: Hyper
    ) -> tuple[Tree, AccumulatedState]:
        count = ops.add(state.count, 1.0)
        full = ops.greater_equal(count, hyper["n_steps"])
        total = tree_map(ops.add, state.total, updates)
        share = ops.divide(1.0, hyper["n_steps"])
        mean = tree_map(lambda t: ops.multiply(t, cast(share, t)), total)
        new, inner = link.update(mean, state.inner, params, hyper)

        def chosen(then: Any, otherwise: Any) -> Any:
            return ops.where(full, then, otherwise)

        def unless_full(x: Tensor) -> Any:
            return chosen(cast(0.0, x), x)

        return tree_map(lambda u: chosen(u, cast(0.0, u)), new), AccumulatedState(
            unless_full(count),
            tree_map(unless_full, total),
            tree_map(chosen, inner, state.inner),
        )

    return Link(init, update)


class Accumulated(Wrapper):
    r"""Step once for several minibatches, with the mean of their gradients.

    .. math:: \bar g = \frac{1}{n} \sum_{i=1}^n g_i

    after every n-th minibatch; in between the parameters and the state of `optimizer`
    stay as they are. It fits batches that are too large for the memory: ``n`` of
    ``batch_size`` rows make the step of one with ``n * batch_size``.

    Parameters
    ----------
    optimizer : Optimizer
        What makes the steps, ``Adam()``.
    n_steps : int >= 1, default=4
        Minibatches per step n.

    Notes
    -----
    The learning rate is that of the minibatch which completes the n. Gradients that
    are left at the end of an epoch wait for the next one. A minibatch with fewer rows
    counts as much as any other.

    A loop of your own needs no wrapper: ``.grad`` adds up until ``zero_grad()``, see
    `Optimizer`.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim import SGD, Accumulated
    >>> optimizer, w = Accumulated(SGD(), n_steps=2), skgrad.tensor([1.0])
    >>> hyper = {**optimizer.hyperparameters(), "learning_rate": 0.5}
    >>> state = optimizer.init(w)
    >>> for gradient in (1.0, 3.0):
    ...     g = skgrad.tensor([gradient])
    ...     w, state = optimizer.update(g, state, w, hyper)
    ...     print(w.numpy())
    [1.]
    [0.]
    """

    domains: ClassVar[dict[str, tuple[float, float, Closed]]] = {
        "n_steps": (1, float("inf"), "left")
    }

    def __init__(self, optimizer: Optimizer, *, n_steps: int = 4) -> None:
        self.optimizer = optimizer
        self.n_steps = n_steps
        self._start()

    def validate(self) -> None:
        """Check the hyperparameters.

        Raises
        ------
        ParameterError
            If `n_steps` is no positive integer, or `optimizer` is not stochastic.
        """
        check_integer("Accumulated", "n_steps", self.n_steps, 1)
        super().validate()

    def _links(self) -> Link:
        return accumulate_gradients(inner_link(self._inner()))

    def fitted(self, params: Tree, state: Tree) -> Tree:
        """Return what the optimizer inside makes of the parameters.

        Parameters
        ----------
        params : tree
            The parameters after a step.
        state : tree
            The state after that step.

        Returns
        -------
        tree
            In the structure of `params`.
        """
        return self._inner().fitted(params, state.inner)
