"""Averaged: any optimizer, with a running average of the weights it passes through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

import numpy as np

from skgrad import ops
from skgrad.core.checks import Closed
from skgrad.core.tree import tree_map
from skgrad.optim.base import Optimizer
from skgrad.optim.links import Hyper, Link, cast, chain, device_of
from skgrad.optim.wrapper import Wrapper, inner_link
from skgrad.tensor import Tensor, tensor
from skgrad.typing import Tree

__all__ = ["Averaged"]


class AverageState(NamedTuple):
    """The sum of the weights in the average (a float64 scalar), and the average."""

    weight: Tensor
    average: Tree


def average_parameters() -> Link:
    """Return the link, the last of a chain, that averages what the step leads to.

    Updates pass through; the decay is ``hyper["decay"]``.
    """

    def init(params: Tree) -> AverageState:
        weight = tensor(0.0, dtype="float64", device=device_of(params))
        return AverageState(weight, tree_map(copied, params))

    def update(
        updates: Tree, state: AverageState, params: Tree, hyper: Hyper
    ) -> tuple[Tree, AverageState]:
        kept = ops.multiply(state.weight, hyper["decay"])
        weight = ops.add(kept, 1.0)
        new = ops.divide(1.0, weight)

        def moved(u: Tensor, a: Tensor, p: Tensor) -> Any:
            # Not a + (p' - a) / weight, which would not forget a first NaN or infinity.
            share = ops.multiply(ops.add(p, u), cast(new, p))
            return ops.add(ops.multiply(a, cast(ops.multiply(kept, new), a)), share)

        average = tree_map(moved, updates, state.average, params)
        return updates, AverageState(weight, average)

    return Link(init, update)


def copied(param: Tensor) -> Tensor:
    """Return a tensor of its own with the elements of `param`."""
    return tensor(np.array(param.numpy()), device=param.device)


class Averaged(Wrapper):
    r"""Average the weights another optimizer passes through.

    .. math::
        \bar p_t = \frac{\sum_{s=1}^t d^{\,t-s} p_s}{\sum_{s=1}^t d^{\,t-s}}

    The steps are those of `optimizer`, from the weights :math:`p_t` themselves. An
    estimator scores, keeps and predicts with the average :math:`\bar p`, and goes on
    from :math:`p` (``warm_start``, ``partial_fit``); in a loop of your own the block
    ``with optimizer.averaged():`` has the average in the parameters.

    Parameters
    ----------
    optimizer : Optimizer
        What makes the steps, ``Adam()``; in a loop of your own with its parameters,
        ``Adam(model.parameters(), lr=0.01)``.
    decay : float in [0, 1], default=0.999
        Weight d of a step's weights one step later: about :math:`1 / (1 - d)` steps
        are averaged. 1 is the plain mean of all of them, 0 the last alone.

    See Also
    --------
    skgrad.optim.Cosine : A falling rate reduces the noise of the last steps as well.

    Notes
    -----
    The weights are divided by their sum, so that a short fit is not held back by
    where it began: the recurrence of an exponential moving average, as PyTorch's
    ``get_ema_multi_avg_fn`` writes it, gives :math:`p_1` the weight
    :math:`d^{\,t-1}`, which is 0.9 after 100 steps with d = 0.999.

    A fit of a few hundred steps that is still falling is better off with a smaller
    decay, 0.99 or less: the average lags behind. Buffers (running statistics) are not
    averaged.

    References
    ----------
    .. [1] Polyak, B. T. and Juditsky, A. B. (1992). Acceleration of stochastic
       approximation by averaging. SIAM J. Control Optim. 30(4), 838-855.
    .. [2] Izmailov, P. et al. (2018). Averaging weights leads to wider optima and
       better generalization. UAI.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim import SGD, Averaged
    >>> w = skgrad.tensor([0.0], requires_grad=True)
    >>> optimizer = Averaged(SGD([w], lr=1.0), decay=1.0)
    >>> for _ in range(4):
    ...     optimizer.zero_grad()
    ...     ((w - 1.0) ** 2).sum().backward()
    ...     optimizer.step()           # too long a step: 2, 0, 2, 0
    >>> with optimizer.averaged():
    ...     print(w.numpy())
    [1.]
    >>> w.numpy()
    array([0.])
    """

    domains: ClassVar[dict[str, tuple[float, float, Closed]]] = {
        "decay": (0, 1, "both")
    }

    def __init__(self, optimizer: Optimizer, *, decay: float = 0.999) -> None:
        self.optimizer = optimizer
        self.decay = decay
        self._start()

    def _links(self) -> Link:
        return chain(inner_link(self._inner()), average_parameters())

    def fitted(self, params: Tree, state: Tree) -> Tree:
        """Return the average of the weights.

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
        return state[1].average

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the averages in the parameters inside the block.

        Yields
        ------
        None
            Afterwards the parameters have the values they had before.

        Raises
        ------
        ParameterError
            If the optimizer inside was made without parameters.
        """
        params = self._attached()
        before = [param.detach() for param in params]
        try:
            for i, state in self._states.items():
                params[i].assign_(self.fitted(params[i], state))
            yield
        finally:
            for param, own in zip(params, before, strict=True):
                param.assign_(own)
