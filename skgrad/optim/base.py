"""Stochastic optimizers: a pure pair of functions, and the object around it.

An optimizer is used in one of two ways. As a description, ``Adam(b1=0.9)``, it is the
pair ``init(params) -> state`` and ``update(grads, state, params, hyper) ->
(params', state')``, which the training step is traced with. As the companion of a
hand-written loop, ``Adam(model.parameters(), lr=0.01)``, it holds the parameters and
their states and has ``zero_grad()`` and ``step()``, which calls the same pair.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from skgrad import ops
from skgrad.core import no_grad
from skgrad.core.params import Closed, ParamsMixin, check_interval
from skgrad.core.tree import tree_map
from skgrad.exceptions import DTypeError, GradientError, ParameterError
from skgrad.optim.checks import check_boolean
from skgrad.optim.links import Hyper, Link
from skgrad.tensor import Tensor
from skgrad.typing import Tree

__all__ = ["Optimizer"]


class Optimizer(ParamsMixin, ABC):
    """Update parameters from stochastic gradients.

    The common interface of `SGD`, `RMSprop`, `Adam` and `AdamW`; a new one gives its
    chain of links, the domains of its hyperparameters and a default rate.

    Parameters
    ----------
    params : iterable of Tensor, default=None
        Tensors to update in :meth:`step`, usually ``model.parameters()``. ``None``
        makes a pure description, as estimators take it.
    lr : float, default=None
        Learning rate of :meth:`step`; ``None`` means ``default_lr``. Only together
        with `params`: a description gets its rate from whoever uses it.

    Attributes
    ----------
    stochastic : bool
        Class attribute, True: a step uses one minibatch.
    default_lr : float
        Class attribute: learning rate when none is given.
    lr : float
        The learning rate; may be assigned between steps.
    params : list of Tensor or None
        The tensors to update.

    Raises
    ------
    ParameterError
        If a hyperparameter is outside its domain (with `params` at once, otherwise
        when the description is used), `params` is empty, names a tensor twice or is
        no iterable of tensors, or `lr` is given without `params`.
    DTypeError
        If a parameter is not floating.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad.optim import SGD
    >>> w = skgrad.tensor([4.0], requires_grad=True)
    >>> optimizer = SGD([w], lr=0.25)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     loss = (w * w).sum()
    ...     loss.backward()
    ...     optimizer.step()
    >>> w.numpy()
    array([1.])

    The same steps as pure functions:

    >>> sgd = SGD()
    >>> w = skgrad.tensor([4.0])
    >>> state, hyper = sgd.init(w), {**sgd.hyperparameters(), "learning_rate": 0.25}
    >>> for _ in range(2):
    ...     w, state = sgd.update(2.0 * w, state, w, hyper)
    >>> w.numpy()
    array([1.])
    """

    stochastic: ClassVar[bool] = True
    default_lr: ClassVar[float]
    non_parameters: ClassVar[frozenset[str]] = frozenset({"params", "lr"})
    domains: ClassVar[dict[str, tuple[float, float, Closed]]]

    params: list[Tensor] | None
    lr: float | None

    @abstractmethod
    def _links(self) -> Link:
        """Return the chain that turns gradients into updates."""

    def init(self, params: Tree) -> Tree:
        """Return the state before the first step.

        Parameters
        ----------
        params : tree of Tensor
            The parameters; often one flat tensor.

        Returns
        -------
        tree of Tensor
            The state. No leaf of it ever changes shape or dtype.

        Examples
        --------
        >>> import skgrad
        >>> from skgrad.optim import Adam
        >>> (adam,) = [s for s in Adam().init(skgrad.tensor([1.0, 2.0])) if s]
        >>> adam.count.item(), adam.mu.numpy()
        (0.0, array([0., 0.]))
        """
        return self._links().init(params)

    def update(
        self, grads: Tree, state: Tree, params: Tree, hyper: Hyper
    ) -> tuple[Tree, Tree]:
        """Return the parameters and the state after one step; pure, traceable.

        Parameters
        ----------
        grads : tree of Tensor
            Gradients, in the structure of `params`.
        state : tree of Tensor
            From :meth:`init` or the step before.
        params : tree of Tensor
            The parameters.
        hyper : mapping of str to float or Tensor
            What :meth:`hyperparameters` names, and ``"learning_rate"``: floats or
            float64 tensors of shape ``()``.

        Returns
        -------
        params : tree of Tensor
            New tensors, of the old shapes and dtypes.
        state : tree of Tensor
            The state after the step.

        Raises
        ------
        ShapeError
            If the structures of `grads` and `params` differ.

        Examples
        --------
        >>> import skgrad
        >>> from skgrad.optim import SGD
        >>> sgd, w = SGD(momentum=0.9), skgrad.tensor([1.0])
        >>> hyper = {**sgd.hyperparameters(), "learning_rate": 0.5}
        >>> w, state = sgd.update(skgrad.tensor([1.0]), sgd.init(w), w, hyper)
        >>> w.numpy()
        array([0.5])
        """
        updates, state = self._links().update(grads, state, params, hyper)
        return tree_map(ops.add, params, updates), state

    def hyperparameters(self) -> dict[str, float]:
        """Return the numbers a step depends on, the learning rate excepted.

        Returns
        -------
        dict of str to float
            For the ``hyper`` of :meth:`update`.

        Examples
        --------
        >>> from skgrad.optim import SGD
        >>> SGD(momentum=0.9).hyperparameters()
        {'momentum': 0.9, 'weight_decay': 0.0}
        """
        return {name: float(getattr(self, name)) for name in sorted(self.domains)}

    def validate(self) -> None:
        """Check the hyperparameters.

        Raises
        ------
        ParameterError
            If one is outside its domain.

        Examples
        --------
        >>> from skgrad.optim import Adam
        >>> Adam(b1=1.0).validate()
        Traceback (most recent call last):
            ...
        skgrad.exceptions.ParameterError: The 'b1' parameter of Adam must be a float \
in [0, 1). Got 1.0 instead.
        """
        owner = type(self).__name__
        for name, value in self.get_params(deep=False).items():
            if name in self.domains:
                check_interval(owner, name, value, *self.domains[name])
            else:
                check_boolean(owner, name, value)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters.

        Raises
        ------
        ParameterError
            If the optimizer was made without parameters.

        Examples
        --------
        >>> import skgrad
        >>> from skgrad.optim import SGD
        >>> w = skgrad.tensor([4.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> SGD([w]).zero_grad()
        >>> w.grad is None
        True
        """
        for param in self._attached():
            param.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient, in place.

        A parameter without one (a frozen or unused layer) keeps its value and its
        state.

        Raises
        ------
        GradientError
            If no parameter has a gradient.
        ParameterError
            If the optimizer was made without parameters, or a hyperparameter or
            ``lr`` was set outside its domain.

        Examples
        --------
        >>> import skgrad
        >>> from skgrad.optim import SGD
        >>> w = skgrad.tensor([4.0], requires_grad=True)
        >>> optimizer = SGD([w], lr=0.25)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> w.numpy()
        array([2.])
        """
        params = self._attached()
        ready = [i for i, param in enumerate(params) if param.grad is not None]
        if not ready:
            raise GradientError(
                f"{type(self).__name__}.step() found no gradient on any of its "
                f"{len(params)} parameters. Call loss.backward() first, on a loss "
                f"computed from these very parameters outside of no_grad()."
            )
        hyper = self._own_hyper()
        with no_grad():
            for i in ready:
                self._step_one(i, params[i], hyper)

    def _step_one(self, i: int, param: Tensor, hyper: Hyper) -> None:
        """Update parameter number `i`, whose state is made at its first step."""
        if i not in self._states:
            self._states[i] = self.init(param)
        new, state = self.update(param.grad, self._states[i], param, hyper)
        param.assign_(new)
        self._states[i] = state

    def _own_hyper(self) -> dict[str, Any]:
        """Return the checked hyperparameters of the stateful face."""
        self.validate()
        check_interval(type(self).__name__, "lr", self.lr, 0, float("inf"), "left")
        return {**self.hyperparameters(), "learning_rate": self.lr}

    def _attach(self, params: Iterable[Tensor] | None, lr: float | None) -> None:
        """Store the constructor's `params` and `lr`; for use in ``__init__`` only."""
        self.params = None if params is None else _tensors(type(self).__name__, params)
        self.lr = self.default_lr if lr is None and self.params is not None else lr
        self._states: dict[int, Tree] = {}
        if self.params is not None:
            self._own_hyper()
        elif lr is not None:
            raise ParameterError(
                f"{type(self).__name__}(lr={lr}) has no parameters to update. In a "
                f"hand-written loop pass them, {type(self).__name__}("
                f"model.parameters(), lr={lr}); to an estimator pass "
                f"learning_rate={lr} beside the optimizer."
            )

    def _attached(self) -> list[Tensor]:
        """Return the parameters, or say how to give some."""
        if self.params is None:
            name = type(self).__name__
            raise ParameterError(
                f"This {name} has no parameters. Make it with {name}("
                f"model.parameters(), lr={self.default_lr:g}) to use step() and "
                f"zero_grad()."
            )
        return self.params


def _tensors(owner: str, params: Iterable[Tensor]) -> list[Tensor]:
    """Return `params` as a list of distinct floating tensors."""
    if isinstance(params, Tensor) or not isinstance(params, Iterable):
        raise ParameterError(
            f"The 'params' parameter of {owner} must be an iterable of tensors, such "
            f"as model.parameters() or [w, b]. Got a {type(params).__name__} instead."
        )
    found = list(params)
    if not found:
        raise ParameterError(
            f"The 'params' parameter of {owner} is empty: there is nothing to fit. Is "
            f"every layer an attribute of its module?"
        )
    for param in found:
        _check_tensor(owner, param)
    if len({id(param) for param in found}) < len(found):
        raise ParameterError(
            f"The 'params' parameter of {owner} holds a tensor twice; it would be "
            f"updated twice per step. Pass each tensor once."
        )
    return found


def _check_tensor(owner: str, param: object) -> None:
    if not isinstance(param, Tensor):
        raise ParameterError(
            f"The 'params' parameter of {owner} must hold tensors only. Got a "
            f"{type(param).__name__} among them."
        )
    if param.dtype.kind != "f":
        raise DTypeError(
            f"{owner} updates floating tensors only. Got one of dtype {param.dtype} "
            f"and shape {param.shape}."
        )
