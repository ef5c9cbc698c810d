"""Containers: modules made of modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, overload

from skgrad import ops
from skgrad.exceptions import ParameterError, ShapeError
from skgrad.nn.module import Module
from skgrad.nn.registry import Kind, contents, registry

__all__ = ["ModuleDict", "ModuleList", "Residual", "Sequential"]


class _Modules(Module):
    """What `Sequential` and `ModuleList` share: modules registered by number."""

    def append(self, module: Any) -> Self:
        """Add a module at the end.

        Parameters
        ----------
        module : Module
            It becomes the last one.

        Returns
        -------
        Module
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
            owner = type(self).__name__
            raise ParameterError(
                f"{owner} takes modules. Got {_shown(module)} at position "
                f"{len(self)}. {_remedy(module)}"
            )
        index = len(self)
        while str(index) in registry(self):
            index += 1
        setattr(self, str(index), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end, in order.

        Parameters
        ----------
        modules : iterable of Module
            They become the last ones.

        Returns
        -------
        Module
            This container.

        Raises
        ------
        ParameterError
            If one is not a Module.

        Examples
        --------
        >>> from skgrad import nn
        >>> len(nn.ModuleList().extend([nn.Tanh(), nn.Tanh()]))
        2
        """
        for module in modules:
            self.append(module)
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
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Module:
        """Return a module, or a container that shares the modules of a slice."""
        modules = list(self)
        if isinstance(index, slice):
            return type(self)().extend(modules[index])
        try:
            return modules[index]
        except IndexError:
            raise IndexError(
                f"Index {index} is out of range: the {type(self).__name__} holds "
                f"{len(modules)} modules."
            ) from None


class Sequential(_Modules):
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
        self.extend(modules)

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


class ModuleList(_Modules):
    """Hold modules in a list, for a ``forward`` that applies them as it likes.

    Unlike a plain list, it is a module: its parameters are fitted, saved and moved.

    Parameters
    ----------
    modules : iterable of Module, default=()
        They are registered as ``"0"``, ``"1"``, ...

    Raises
    ------
    ParameterError
        If something is not a Module.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> class Sums(nn.Module):
    ...     def __init__(self, n_features):
    ...         super().__init__()
    ...         self.parts = nn.ModuleList(nn.Linear(n_features, 1) for _ in range(3))
    ...
    ...     def forward(self, x):
    ...         return sum(part(x) for part in self.parts)
    >>> Sums(2)(skgrad.tensor([[1.0, 2.0]])).shape
    (1, 1)
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)


class ModuleDict(Module):
    """Hold modules by name, for a ``forward`` that applies them as it likes.

    Parameters
    ----------
    modules : mapping of str to Module, default=None
        They keep their order.

    Raises
    ------
    ParameterError
        If something is not a Module, or a name cannot be an attribute's.

    Examples
    --------
    >>> from skgrad import nn
    >>> heads = nn.ModuleDict({"mean": nn.Linear(4, 1), "scale": nn.Linear(4, 1)})
    >>> list(heads), "mean" in heads
    (['mean', 'scale'], True)
    >>> heads["mean"]
    Linear(in_features=4, out_features=1, bias=True)  # 5 parameters
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        for name, module in (modules or {}).items():
            self[name] = module

    def __setitem__(self, name: str, module: Module) -> None:
        """Add a module, or replace the one of that name."""
        if not isinstance(module, Module):
            raise ParameterError(
                f"ModuleDict takes modules. Got {_shown(module)} for {name!r}."
            )
        setattr(self, name, module)

    def __getitem__(self, name: str) -> Module:
        """Return the module of a name."""
        for known, module in contents(self, Kind.MODULE):
            if known == name:
                return module  # type: ignore[no-any-return]
        raise KeyError(f"{name!r}: the ModuleDict holds {list(self)}.")

    def __delitem__(self, name: str) -> None:
        """Remove the module of a name."""
        self[name]  # an error that lists the names, if there is none
        delattr(self, name)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a module of a name."""
        return any(name == known for known in self)

    def __len__(self) -> int:
        """Return the number of modules."""
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, in order."""
        return (name for name, _ in contents(self, Kind.MODULE))

    def items(self) -> Iterator[tuple[str, Module]]:
        """Iterate over names and modules, in order.

        Yields
        ------
        name : str
            The name.
        module : Module
            The module.

        Examples
        --------
        >>> from skgrad import nn
        >>> list(nn.ModuleDict({"act": nn.Tanh()}).items())
        [('act', Tanh())]
        """
        return contents(self, Kind.MODULE)

    def values(self) -> Iterator[Module]:
        """Iterate over the modules, in order.

        Yields
        ------
        Module
            The modules.

        Examples
        --------
        >>> from skgrad import nn
        >>> list(nn.ModuleDict({"act": nn.Tanh()}).values())
        [Tanh()]
        """
        return (module for _, module in contents(self, Kind.MODULE))


class Residual(Module):
    """Add a module's input to its output: x + module(x).

    Parameters
    ----------
    module : Module
        Its output must have the shape of its input.

    Raises
    ------
    ParameterError
        If `module` is not a Module.
    ShapeError
        In ``forward``, if the output has another shape; it is not broadcast.

    References
    ----------
    He, Zhang, Ren, Sun (2016). Deep residual learning for image recognition. CVPR.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> block = nn.Residual(nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4)))
    >>> block(skgrad.tensor([[1.0, 2.0, 3.0, 4.0]])).shape
    (1, 4)
    """

    def __init__(self, module: Module) -> None:
        super().__init__()
        if not isinstance(module, Module):
            raise ParameterError(f"Residual takes a module. Got {_shown(module)}.")
        self.module = module

    def forward(self, x: Any) -> Any:
        """Return the sum.

        Parameters
        ----------
        x : Tensor
            Whatever the module takes.

        Returns
        -------
        Tensor
            Of the shape of `x`.
        """
        out = self.module(x)
        if out.shape != x.shape:
            raise ShapeError(
                f"Residual adds the input to the output of "
                f"{type(self.module).__name__}, which must have the same shape. Got "
                f"{x.shape} and {out.shape}."
            )
        return ops.add(x, out)


def _shown(value: Any) -> str:
    """Return what was given, short enough for a message."""
    return value.__name__ if isinstance(value, type) else type(value).__name__


def _remedy(value: Any) -> str:
    """Return the sentence that says what to pass instead."""
    if isinstance(value, type):
        return f"Pass an instance: {value.__name__}()."
    if isinstance(value, list | tuple):
        return "Unpack it: Sequential(*modules), or use extend."
    return "Write a Module whose forward does it."
