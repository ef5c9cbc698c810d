"""Stochastic optimizers: a pure pair of functions, and the object around it.

An optimizer is used in one of two ways. As a description, ``Adam(b1=0.9)``, it is the
pair ``init(params) -> state`` and ``update(grads, state, params, hyper) ->
(params', state')``, which the training step is traced with. As the companion of a
hand-written loop, ``Adam(model.parameters(), lr=0.01)``, it holds the parameters and
their states and has ``zero_grad()`` and ``step()``, which calls the same pair.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, ClassVar, TypeAlias

from skgrad import ops
from skgrad.core import no_grad
from skgrad.core.checks import Closed, check_boolean, check_interval
from skgrad.core.params import ParamsMixin
from skgrad.core.tree import tree_map
from skgrad.exceptions import DTypeError, GradientError, ParameterError
from skgrad.optim.links import Hyper, Link
from skgrad.tensor import Tensor
from skgrad.typing import Tree

__all__ = ["Optimizer"]

ParamsLike: TypeAlias = Iterable[Tensor] | Iterable[Mapping[str, Any]]


class Group(dict[str, Any]):
    """Parameters with hyperparameters of their own; others are the optimizer's.

    What a group does not hold is read from its optimizer, so that
    ``group["lr"] *= 0.1`` works whether it had a rate of its own or not.
    """

    def __init__(self, optimizer: "Optimizer", items: Mapping[str, Any]) -> None:
        super().__init__(items)
        self.optimizer = optimizer

    def __missing__(self, name: str) -> Any:
        if name == "lr" or name in self.optimizer.get_params():
            return getattr(self.optimizer, name)
        raise KeyError(name)

    def rule(self) -> "Optimizer":
        """Return the description of this group's steps, the optimizer's or its own."""
        own = {k: v for k, v in self.items() if k not in ("params", "lr")}
        if not own:
            return self.optimizer
        params = deepcopy(self.optimizer.get_params(deep=False))
        return type(self.optimizer)(**params).set_params(**own)


class Optimizer(ParamsMixin, ABC):
    """Update parameters from stochastic gradients.

    The common interface of `SGD`, `Adam` and the others; a new one gives its chain of
    links, the domains of its hyperparameters and a default rate.

    Parameters
    ----------
    params : iterable of Tensor or of dict, default=None
        Tensors to update in :meth:`step`, usually ``model.parameters()``; or groups,
        dicts that hold ``"params"``, an iterable of tensors, and any of ``"lr"`` and
        the hyperparameters, in the place of the optimizer's. ``None`` makes a pure
        description, as estimators take it.
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
        The tensors to update, of all groups.
    param_groups : list of dict
        The groups (one if `params` were plain tensors, none in a description). Their
        entries may be assigned between steps; what a group does not hold is read from
        the optimizer.

    Raises
    ------
    ParameterError
        If a hyperparameter is outside its domain (with `params` at once, otherwise
        when the description is used), `params` is empty, names a tensor twice or is
        no iterable of tensors or groups, or `lr` is given without `params`.
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

    ``.grad`` adds up until ``zero_grad()``: the gradients of several small batches
    make one step of a large one, when each loss is divided by their number.

    >>> X, y = skgrad.tensor([1.0, 2.0, 3.0, 4.0]), skgrad.tensor([2.0, 4.0, 6.0, 8.0])
    >>> optimizer.zero_grad()
    >>> for rows in (slice(0, 2), slice(2, 4)):
    ...     error = w * X[rows] - y[rows]
    ...     ((error * error).mean() / 2).backward()
    >>> whole = skgrad.grad(lambda w: ((w * X - y) ** 2).mean())(w)
    >>> w.grad.numpy(), whole.numpy()
    (array([-15.]), array([-15.]))

    Two groups of parameters, the second with a rate and a weight decay of its own:

    >>> w, b = (skgrad.tensor([1.0], requires_grad=True) for _ in range(2))
    >>> groups = [{"params": [w]}, {"params": [b], "lr": 0.5, "weight_decay": 1.0}]
    >>> optimizer = SGD(groups, lr=0.25)
    >>> (w + b).sum().backward()
    >>> optimizer.step()
    >>> w.numpy(), b.numpy()
    (array([0.75]), array([0.]))

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
    param_groups: list[Group]

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

    def fitted(self, params: Tree, state: Tree) -> Tree:
        """Return the parameters of the model that is fitted.

        Parameters
        ----------
        params : tree
            The parameters after a step.
        state : tree
            The state after that step.

        Returns
        -------
        tree
            `params`, or what the optimizer makes of them, as :class:`Averaged` does.

        Examples
        --------
        >>> from skgrad.optim import SGD
        >>> SGD().fitted(1.0, ())
        1.0
        """
        return params

    def hyperparameters(self) -> dict[str, Any]:
        """Return the numbers a step depends on, the learning rate excepted.

        Returns
        -------
        dict of str to float
            For the ``hyper`` of :meth:`update`; of a wrapper a nested dict.

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

        ``backward`` adds to the gradients that are there. A forgotten ``zero_grad``,
        after which a step would use old and new ones together, is reported by the next
        ``backward`` with a RuntimeWarning.

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
        if all(param.grad is None for param in params):
            raise GradientError(
                f"{type(self).__name__}.step() found no gradient on any of its "
                f"{len(params)} parameters. Call loss.backward() first, on a loss "
                f"computed from these very parameters outside of no_grad()."
            )
        steps = [self._prepared(group) for group in self.param_groups]
        each = [(p, rule, hyper) for group, rule, hyper in steps for p in group]
        with no_grad():
            for i, (param, rule, hyper) in enumerate(each):
                if param.grad is not None:
                    self._step_one(i, param, rule, hyper)

    def _prepared(self, group: Group) -> tuple[list[Tensor], "Optimizer", Hyper]:
        """Return the tensors of a group, what steps them and its checked numbers."""
        rule, lr = self._rule(group), group["lr"]
        rule.validate()
        check_interval(type(self).__name__, "lr", lr, 0, float("inf"), "left")
        return group["params"], rule, {**rule.hyperparameters(), "learning_rate": lr}

    def _rule(self, group: Group) -> "Optimizer":
        """Return the description of the steps of a group."""
        return group.rule()

    def _step_one(self, i: int, param: Tensor, rule: "Optimizer", hyper: Hyper) -> None:
        """Update parameter number `i`, whose state is made at its first step."""
        if i not in self._states:
            self._states[i] = rule.init(param)
        new, state = rule.update(param.grad, self._states[i], param, hyper)
        param.assign_(new)
        param.spend_grad()
        self._states[i] = state

    def _attach(self, params: ParamsLike | None, lr: float | None) -> None:
        """Store the constructor's `params` and `lr`; for use in ``__init__`` only."""
        self.params, self.param_groups, self.lr = None, [], lr
        self._states: dict[int, Tree] = {}
        if params is not None:
            self.lr = self.default_lr if lr is None else lr
            self.param_groups = [
                Group(self, items) for items in _groups(type(self).__name__, params)
            ]
            self.params = [p for group in self.param_groups for p in group["params"]]
            for group in self.param_groups:
                self._prepared(group)
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


def _groups(owner: str, params: ParamsLike) -> list[dict[str, Any]]:
    """Return `params` as groups of distinct floating tensors."""
    given = _listed(owner, params)
    if not any(isinstance(item, Mapping) for item in given):
        groups: list[dict[str, Any]] = [{"params": given}]
    else:
        groups = [_group(owner, item) for item in given]
    found = [param for group in groups for param in group["params"]]
    for param in found:
        _check_tensor(owner, param)
    if len({id(param) for param in found}) < len(found):
        raise ParameterError(
            f"The 'params' parameter of {owner} holds a tensor twice; it would be "
            f"updated twice per step. Pass each tensor once."
        )
    return groups


def _group(owner: str, item: object) -> dict[str, Any]:
    """Return one group with its tensors as a list."""
    if not isinstance(item, Mapping) or "params" not in item:
        raise ParameterError(
            f"Each group of parameters of {owner} must be a dict with the key "
            f"'params', such as {{'params': layer.parameters(), 'lr': 0.1}}. Got "
            f"{sorted(item) if isinstance(item, Mapping) else type(item).__name__}."
        )
    return {**item, "params": _listed(owner, item["params"])}


def _listed(owner: str, params: Any) -> list[Any]:
    """Return a non-empty list of what `params` holds."""
    single = isinstance(params, Tensor | Mapping)
    if single or not isinstance(params, Iterable):
        raise ParameterError(
            f"The 'params' parameter of {owner} must be an iterable of tensors, such "
            f"as model.parameters() or [w, b], or of groups, [{{'params': ...}}, ...]. "
            f"Got a {type(params).__name__} instead."
        )
    found = list(params)
    if not found:
        raise ParameterError(
            f"The 'params' parameter of {owner} is empty: there is nothing to fit. Is "
            f"every layer an attribute of its module?"
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
