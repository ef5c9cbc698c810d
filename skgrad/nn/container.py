"""Containers: modules made of modules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self, overload

from skgrad.exceptions import ParameterError
from skgrad.nn.module import Module
from skgrad.nn.registry import Kind, contents, registry

__all__ = ["Sequential"]


class Sequential(Module):
    """Apply modules one after the other.

    It is also a list of modules: it has a length, an iterator, indices and slices.

    Parameters
    ----------
    *modules : Module
        In the order in which they are applied. They are registered as ``"0"``,
        ``"1"``, ...; one module may occur several times and then shares its
        parameters. Without any, the output is the input.

    Raises
    ------
    ParameterError
        If something is not a Module.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    >>> model(skgrad.tensor([[0.0, 1.0, 2.0, 3.0]])).shape
    (1, 1)
    >>> model[-1]
    Linear(in_features=8, out_features=1, bias=True)  # 9 parameters
    >>> model[:2]
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
    )  # 40 parameters
    """

    def __init__(self, *modules: Module) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def forward(self, x: Any) -> Any:
        """Return the output of the last module.

        Parameters
        ----------
        x : Tensor
            Whatever the first module takes.

        Returns
        -------
        Tensor
            Whatever the last module gives.
        """
        for module in self:
            x = module(x)
        return x

    def append(self, module: Module) -> Self:
        """Add a module at the end.

        Parameters
        ----------
        module : Module
            It becomes the last one to be applied.

        Returns
        -------
        Sequential
            This container.

        Raises
        ------
        ParameterError
            If `module` is not a Module.

        Examples
        --------
        >>> from skgrad import nn
        >>> len(nn.Sequential(nn.Tanh()).append(nn.Dropout()))
        2
        """
        if not isinstance(module, Module):
            raise ParameterError(
                f"Sequential takes modules. Got {_shown(module)} at position "
                f"{len(self)}. {_remedy(module)}"
            )
        index = len(self)
        while str(index) in registry(self):
            index += 1
        setattr(self, str(index), module)
        return self

    def __len__(self) -> int:
        """Return the number of modules."""
        return sum(1 for _ in contents(self, Kind.MODULE))

    def __iter__(self) -> Iterator[Module]:
        """Iterate over the modules in order; one that occurs twice comes twice."""
        return (module for _, module in contents(self, Kind.MODULE))

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module:
        """Return a module, or a Sequential that shares the modules of a slice."""
        modules = list(self)
        if isinstance(index, slice):
            return Sequential(*modules[index])
        try:
            return modules[index]
        except IndexError:
            raise IndexError(
                f"Index {index} is out of range: the Sequential holds "
                f"{len(modules)} modules."
            ) from None


def _shown(value: Any) -> str:
    """Return what was given, short enough for a message."""
    return value.__name__ if isinstance(value, type) else type(value).__name__


def _remedy(value: Any) -> str:
    """Return the sentence that says what to pass instead."""
    if isinstance(value, type):
        return f"Pass an instance: {value.__name__}()."
    if isinstance(value, list | tuple):
        return "Unpack it: Sequential(*modules)."
    return "Write a Module whose forward does it."
