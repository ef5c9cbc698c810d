r"""The parts that stochastic optimizers are chains of.

A link transforms updates: it gets the gradients (or what the link before it made of
them) and returns something of the same structure. Gradient descent is the chain of
one link, ``scale_by_learning_rate``; momentum is ``accumulate_momentum`` in front of
it; AdamW is ``scale_by_adam``, ``add_decayed_weights``, ``scale_by_learning_rate``.
The output of the last link is added to the parameters.

Links are pure and work on trees of tensors, eagerly or under a trace. Numbers a user
can set come in ``hyper``, so that a trace holds none of them. Step counts and bias
corrections are computed in float64 and cast to the dtype of a leaf where they meet it;
every leaf of a state keeps its shape and dtype.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from skgrad import ops
from skgrad.core.tree import tree_leaves, tree_map
from skgrad.tensor import Tensor, tensor
from skgrad.typing import Tree

__all__ = [
    "AdamState",
    "Link",
    "MomentumState",
    "RMSState",
    "accumulate_momentum",
    "add_decayed_weights",
    "chain",
    "scale_by_adam",
    "scale_by_learning_rate",
    "scale_by_rms",
]

Hyper: TypeAlias = Mapping[str, Any]


class Link(NamedTuple):
    """One transformation of updates.

    Attributes
    ----------
    init : callable
        ``init(params) -> state``.
    update : callable
        ``update(updates, state, params, hyper) -> (updates', state')``.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim.links import Link
    >>> halve = Link(lambda params: (), lambda u, state, params, hyper: (u / 2, state))
    >>> halve.update(skgrad.tensor([4.0]), (), skgrad.tensor([1.0]), {})[0].numpy()
    array([2.])
    """

    init: Callable[[Tree], Tree]
    update: Callable[[Tree, Tree, Tree, Hyper], tuple[Tree, Tree]]


class MomentumState(NamedTuple):
    """Running sum of past updates, in the structure of the parameters.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim.links import accumulate_momentum
    >>> accumulate_momentum().init(skgrad.tensor([1.0, 2.0])).trace.numpy()
    array([0., 0.])
    """

    trace: Tree


class RMSState(NamedTuple):
    """Running mean of squared gradients, in the structure of the parameters.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim.links import scale_by_rms
    >>> scale_by_rms().init(skgrad.tensor([1.0, 2.0])).nu.numpy()
    array([0., 0.])
    """

    nu: Tree


class AdamState(NamedTuple):
    """Steps made (a float64 scalar) and running first and second moments.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim.links import scale_by_adam
    >>> state = scale_by_adam().init(skgrad.tensor([1.0, 2.0]))
    >>> state.count.item(), state.mu.shape, state.nu.shape
    (0.0, (2,), (2,))
    """

    count: Tensor  # type: ignore[assignment]  # hides tuple.count, as meant
    mu: Tree
    nu: Tree


def chain(*links: Link) -> Link:
    """Return the link that applies `links` one after the other.

    Parameters
    ----------
    *links : Link
        The links, first applied first.

    Returns
    -------
    Link
        Its state is the tuple of theirs.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim.links import accumulate_momentum, chain
    >>> from skgrad.optim.links import scale_by_learning_rate
    >>> sgd = chain(accumulate_momentum(), scale_by_learning_rate())
    >>> w, g = skgrad.tensor([1.0]), skgrad.tensor([4.0])
    >>> hyper = {"momentum": 0.9, "learning_rate": 0.5}
    >>> updates, state = sgd.update(g, sgd.init(w), w, hyper)
    >>> updates.numpy(), state[0].trace.numpy()
    (array([-2.]), array([4.]))
    """

    def init(params: Tree) -> Tree:
        return tuple(link.init(params) for link in links)

    def update(
        updates: Tree, state: Tree, params: Tree, hyper: Hyper
    ) -> tuple[Tree, Tree]:
        after = []
        for link, before in zip(links, state, strict=True):
            updates, new = link.update(updates, before, params, hyper)
            after.append(new)
        return updates, tuple(after)

    return Link(init, update)


def scale_by_learning_rate() -> Link:
    r"""Return the link :math:`u' = -\eta u`, ``hyper["learning_rate"]`` being η.

    Returns
    -------
    Link
        Without state.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim.links import scale_by_learning_rate
    >>> link = scale_by_learning_rate()
    >>> g = skgrad.tensor([3.0])
    >>> link.update(g, link.init(g), g, {"learning_rate": 0.5})[0].numpy()
    array([-1.5])
    """

    def scale(updates: Tree, params: Tree, hyper: Hyper) -> Tree:
        rate = ops.negative(hyper["learning_rate"])
        return tree_map(lambda u: ops.multiply(cast(rate, u), u), updates)

    return _stateless(scale)


def add_decayed_weights() -> Link:
    r"""Return the link :math:`u' = u + \lambda p`, λ being ``hyper["weight_decay"]``.

    In front of a rescaling that is the gradient of the penalty :math:`\lambda p^2/2`;
    behind it, decoupled weight decay [1]_.

    Returns
    -------
    Link
        Without state.

    References
    ----------
    .. [1] Loshchilov, I. and Hutter, F. (2019). Decoupled weight decay
       regularization. ICLR, algorithm 2.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim.links import add_decayed_weights
    >>> link = add_decayed_weights()
    >>> w, g = skgrad.tensor([2.0]), skgrad.tensor([1.0])
    >>> link.update(g, link.init(w), w, {"weight_decay": 0.5})[0].numpy()
    array([2.])
    """

    def decay(updates: Tree, params: Tree, hyper: Hyper) -> Tree:
        weight = hyper["weight_decay"]
        return tree_map(
            lambda u, p: ops.add(u, ops.multiply(cast(weight, p), p)), updates, params
        )

    return _stateless(decay)


def accumulate_momentum(nesterov: bool = False) -> Link:
    r"""Return the link of (Nesterov) momentum, μ being ``hyper["momentum"]``.

    .. math:: b' = \mu b + u, \qquad u' = b' \text{ or, with Nesterov's, } u + \mu b'

    Parameters
    ----------
    nesterov : bool, default=False
        Whether to look ahead [2]_.

    Returns
    -------
    Link
        With a `MomentumState`.

    References
    ----------
    .. [1] Polyak, B. T. (1964). Some methods of speeding up the convergence of
       iteration methods. USSR Comp. Math. and Math. Physics 4(5), 1-17.
    .. [2] Sutskever, I., Martens, J., Dahl, G. and Hinton, G. (2013). On the
       importance of initialization and momentum in deep learning. ICML. The form here
       is the usual one in libraries: the rate is outside of the sum.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim.links import accumulate_momentum
    >>> link = accumulate_momentum(nesterov=True)
    >>> g = skgrad.tensor([1.0])
    >>> link.update(g, link.init(g), g, {"momentum": 0.5})[0].numpy()
    array([1.5])
    """

    def init(params: Tree) -> MomentumState:
        return MomentumState(zeros_like(params))

    def update(
        updates: Tree, state: MomentumState, params: Tree, hyper: Hyper
    ) -> tuple[Tree, MomentumState]:
        def add(u: Tensor, b: Tensor) -> Any:
            return ops.add(ops.multiply(cast(hyper["momentum"], u), b), u)

        trace = tree_map(add, updates, state.trace)
        ahead = tree_map(add, updates, trace) if nesterov else trace
        return ahead, MomentumState(trace)

    return Link(init, update)


def scale_by_rms() -> Link:
    r"""Return the link of RMSprop; ρ and ε are ``hyper["rho"]`` and ``hyper["eps"]``.

    .. math:: \nu' = \rho \nu + (1 - \rho) u^2, \qquad u' = u / (\sqrt{\nu'} + \epsilon)

    Returns
    -------
    Link
        With an `RMSState`.

    References
    ----------
    .. [1] Tieleman, T. and Hinton, G. (2012). Lecture 6.5: rmsprop. Coursera, Neural
       networks for machine learning.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim.links import scale_by_rms
    >>> link = scale_by_rms()
    >>> g = skgrad.tensor([3.0])
    >>> link.update(g, link.init(g), g, {"rho": 0.75, "eps": 0.0})[0].numpy()
    array([2.])
    """

    def init(params: Tree) -> RMSState:
        return RMSState(zeros_like(params))

    def update(
        updates: Tree, state: RMSState, params: Tree, hyper: Hyper
    ) -> tuple[Tree, RMSState]:
        nu = tree_map(
            lambda u, n: running_mean(n, ops.square(u), hyper["rho"]), updates, state.nu
        )
        scaled = tree_map(
            lambda u, n: ops.divide(u, ops.add(ops.sqrt(n), cast(hyper["eps"], u))),
            updates,
            nu,
        )
        return scaled, RMSState(nu)

    return Link(init, update)


def scale_by_adam() -> Link:
    r"""Return the link of Adam, with ``"b1"``, ``"b2"`` and ``"eps"`` from ``hyper``.

    .. math::
        \mu' = \beta_1 \mu + (1 - \beta_1) u, \quad
        \nu' = \beta_2 \nu + (1 - \beta_2) u^2, \quad
        u' = \frac{\mu' / (1 - \beta_1^t)}{\sqrt{\nu' / (1 - \beta_2^t)} + \epsilon}

    at step :math:`t = 1, 2, \dots` [1]_.

    Returns
    -------
    Link
        With an `AdamState`.

    References
    ----------
    .. [1] Kingma, D. P. and Ba, J. (2015). Adam: a method for stochastic
       optimization. ICLR, algorithm 1.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim.links import scale_by_adam
    >>> link = scale_by_adam()
    >>> g = skgrad.tensor([3.0, -0.1])
    >>> hyper = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}
    >>> updates, state = link.update(g, link.init(g), g, hyper)
    >>> updates.numpy().round(6)   # the first step has the length of the rate
    array([ 1., -1.])
    """

    def init(params: Tree) -> AdamState:
        count = tensor(0.0, dtype="float64", device=device_of(params))
        return AdamState(count, zeros_like(params), zeros_like(params))

    def update(
        updates: Tree, state: AdamState, params: Tree, hyper: Hyper
    ) -> tuple[Tree, AdamState]:
        b1, b2 = hyper["b1"], hyper["b2"]
        count = ops.add(state.count, 1.0)
        mu = tree_map(lambda u, m: running_mean(m, u, b1), updates, state.mu)
        nu = tree_map(
            lambda u, n: running_mean(n, ops.square(u), b2), updates, state.nu
        )
        correct_mu = ops.divide(1.0, missing_weight(b1, count))
        correct_rms = ops.divide(1.0, ops.sqrt(missing_weight(b2, count)))

        def scale(m: Tensor, n: Tensor) -> Any:
            rms = ops.multiply(ops.sqrt(n), cast(correct_rms, n))
            mean = ops.multiply(m, cast(correct_mu, m))
            return ops.divide(mean, ops.add(rms, cast(hyper["eps"], n)))

        return tree_map(scale, mu, nu), AdamState(count, mu, nu)

    return Link(init, update)


def zeros_like(params: Tree) -> Tree:
    """Return tensors of zeros with the shapes, dtypes and devices of `params`."""
    return tree_map(
        lambda p: tensor(np.zeros(p.shape, p.dtype), device=p.device), params
    )


def _stateless(transform: Callable[[Tree, Tree, Hyper], Tree]) -> Link:
    """Return the link of a transformation that remembers nothing."""

    def update(
        updates: Tree, state: Tree, params: Tree, hyper: Hyper
    ) -> tuple[Tree, Tree]:
        return transform(updates, params, hyper), state

    return Link(lambda params: (), update)


def cast(scalar: Any, like: Any) -> Any:
    """Return a float64 scalar in the dtype of `like`, in which it is about to act."""
    return ops.astype(scalar, like.dtype)


def running_mean(old: Tensor, new: Tensor, decay: Any) -> Any:
    """Return ``decay * old + (1 - decay) * new``."""
    kept = ops.multiply(cast(decay, old), old)
    return ops.add(kept, ops.multiply(cast(ops.subtract(1.0, decay), new), new))


def missing_weight(decay: Any, count: Tensor) -> Any:
    """Return 1 - decay**count, the weight a running mean has gathered so far."""
    return ops.subtract(1.0, ops.power(decay, count))


def device_of(params: Tree) -> str:
    """Return where the parameters live."""
    leaves = tree_leaves(params)
    return leaves[0].device if leaves else "cpu"
