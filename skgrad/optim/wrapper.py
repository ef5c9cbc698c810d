"""What optimizers around another optimizer share."""

from __future__ import annotations

from typing import Any, Self

from skgrad.core.checks import check_interval
from skgrad.exceptions import ParameterError
from skgrad.optim.base import Group, Optimizer
from skgrad.optim.links import Hyper, Link
from skgrad.tensor import Tensor
from skgrad.typing import Tree

__all__ = ["Wrapper", "inner_link"]


class Wrapper(Optimizer):
    """An optimizer around the one in ``optimizer``, whose parameters it has."""

    optimizer: Any

    @property
    def params(self) -> list[Tensor] | None:  # type: ignore[override]
        """The tensors to update: those of the optimizer inside."""
        return self._inner().params

    @property
    def lr(self) -> float | None:
        """Learning rate of the optimizer inside; may be assigned between steps."""
        return self._inner().lr

    @lr.setter
    def lr(self, value: float | None) -> None:
        self._inner().lr = value

    @property
    def param_groups(self) -> list[Group]:  # type: ignore[override]
        """The groups of the optimizer inside."""
        return self._inner().param_groups

    @property
    def default_lr(self) -> float:  # type: ignore[override]
        """Learning rate of the optimizer inside when none is given."""
        return self._inner().default_lr

    def _inner(self) -> Optimizer:
        """Return the optimizer inside, or say that it is none of this kind."""
        if isinstance(self.optimizer, Optimizer):
            return self.optimizer
        kind = type(self).__name__
        raise ParameterError(
            f"The 'optimizer' parameter of {kind} must be a stochastic optimizer, such "
            f"as optim.Adam(). Got {self.optimizer!r} instead."
        )

    def _attached(self) -> list[Tensor]:
        return self._inner()._attached()

    def _start(self) -> None:
        """Make room for the states of :meth:`step`; for use in ``__init__`` only."""
        self._states: dict[int, Tree] = {}

    def _rule(self, group: Group) -> Self:
        own = {**self.get_params(deep=False), "optimizer": group.rule()}
        return type(self)(**own)

    def hyperparameters(self) -> dict[str, Any]:
        """Return the numbers a step depends on, the learning rate excepted.

        Returns
        -------
        dict of str to float or dict
            Those of the optimizer inside under ``"optimizer"``.
        """
        inner = self._inner().hyperparameters()
        return {**super().hyperparameters(), "optimizer": inner}

    def validate(self) -> None:
        """Check the hyperparameters.

        Raises
        ------
        ParameterError
            If one is outside its domain, or ``optimizer`` is no stochastic optimizer.
        """
        self._inner().validate()
        for name, domain in self.domains.items():
            check_interval(type(self).__name__, name, getattr(self, name), *domain)


def inner_link(optimizer: Optimizer) -> Link:
    """Return the link of an optimizer, reading ``hyper["optimizer"]`` and the rate."""
    link = optimizer._links()

    def update(
        updates: Tree, state: Tree, params: Tree, hyper: Hyper
    ) -> tuple[Tree, Tree]:
        own = {**hyper["optimizer"], "learning_rate": hyper["learning_rate"]}
        return link.update(updates, state, params, own)

    return Link(link.init, update)
