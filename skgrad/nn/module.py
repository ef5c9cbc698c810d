"""Module: a function with parameters, buffers and submodules.

A module registers what is assigned to it: a `Parameter` is fitted, a buffer is state
that a forward pass may replace, a submodule brings its own. What is registered is an
ordinary instance attribute; one dict per module, from name to `Kind`, tells which
attributes are registered and in which order, and everything else here reads that dict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skgrad.exceptions import ParameterError
from skgrad.nn.parameter import Parameter, floating_dtype
from skgrad.nn.registry import (
    BUFFERS,
    PARAMETRIZATIONS,
    Kind,
    check_name,
    check_plain,
    contents,
    next_value,
    positions,
    registry,
    saved_positions,
    walk,
)
from skgrad.nn.state import IncompatibleKeys, load_arrays
from skgrad.tensor import Tensor, tensor
from skgrad.typing import ArrayLike, DTypeLike

__all__ = ["Module"]


class Module:
    """Base class of everything with parameters: layers and whole networks.

    Write ``super().__init__()`` first in ``__init__``, assign parameters and
    submodules to attributes, and define ``forward``. Calling the module calls
    ``forward``.

    Attributes
    ----------
    training : bool
        Whether the module is being fitted (the default) or evaluated; changed by
        `train` and `eval`. A plain Python value: the two modes are two traces.

    Notes
    -----
    The one side effect allowed in ``forward`` is the assignment of a registered
    buffer. Its shape and dtype must stay, and no gradient flows through it. Tensors
    that are not registered, and floats, are constants of a trace: make a float that a
    user may set with `register_hyperparameter`.

    Lists of modules are refused as attributes, for their parameters would not be
    found: use `ModuleList` or `ModuleDict`.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> class Net(nn.Module):
    ...     def __init__(self, n_features, n_outputs):
    ...         super().__init__()
    ...         self.hidden = nn.Linear(n_features, 8)
    ...         self.output = nn.Linear(8, n_outputs)
    ...         self.scale = nn.Parameter([1.0])
    ...
    ...     def forward(self, x):
    ...         return self.scale * self.output(skgrad.ops.tanh(self.hidden(x)))
    >>> net = Net(4, 1)
    >>> net(skgrad.tensor([[0.0, 1.0, 2.0, 3.0]])).shape
    (1, 1)
    >>> net
    Net(
      (hidden): Linear(in_features=4, out_features=8, bias=True)
      (output): Linear(in_features=8, out_features=1, bias=True)
    )  # 50 parameters
    """

    training: bool

    def __init__(self) -> None:
        object.__setattr__(self, "_registry", {})
        object.__setattr__(self, "training", True)

    # ---------------------------------------------------------------- computing

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return ``forward(*args, **kwargs)``."""
        registry(self)
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module's output; every module defines its own.

        Parameters
        ----------
        *args, **kwargs
            Whatever the module takes; most take one tensor of shape
            (n_samples, n_features).

        Returns
        -------
        Tensor
            Whatever the module gives.

        Raises
        ------
        NotImplementedError
            If the class does not define it.

        Examples
        --------
        >>> import skgrad
        >>> from skgrad import nn
        >>> class Double(nn.Module):
        ...     def forward(self, x):
        ...         return x * 2.0
        >>> Double()(skgrad.tensor([1.0, 2.0])).numpy()
        array([2., 4.])
        """
        name = type(self).__name__
        raise NotImplementedError(
            f"{name} defines no forward. Add 'def forward(self, x): ...' to {name}; "
            f"it returns the output for the input x."
        )

    # -------------------------------------------------------------- registering

    def __setattr__(self, name: str, value: Any) -> None:
        """Register parameters and submodules; replace buffers; refuse what is lost."""
        kind = self.__dict__.get("_registry", {}).get(name)
        if kind in BUFFERS:
            self.__dict__[name] = next_value(self, name, value)
        elif name in self.__dict__.get(PARAMETRIZATIONS, ()):
            self.__dict__[PARAMETRIZATIONS][name].assign(value)
        elif isinstance(value, Parameter):
            self._register(name, Kind.PARAMETER, value)
        elif isinstance(value, Module):
            self._register(name, Kind.MODULE, value)
        else:
            check_plain(self, name, kind, value, (Module, Parameter))
            if kind is not None:
                registry(self).pop(name)
            object.__setattr__(self, name, value)

    if not TYPE_CHECKING:  # a misspelt attribute would pass the type checker

        def __getattr__(self, name: str) -> Any:
            """Return a parametrised parameter, computed from its free one."""
            if name in self.__dict__.get(PARAMETRIZATIONS, ()):
                return self.__dict__[PARAMETRIZATIONS][name]()
            kind = type(self).__name__
            raise AttributeError(f"{kind!r} object has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        """Remove an attribute, registered or not."""
        object.__delattr__(self, name)
        registry(self).pop(name, None)

    def register_buffer(
        self, name: str, value: ArrayLike, persistent: bool = True
    ) -> None:
        """Register a tensor that is state: saved with the module, but not fitted.

        Afterwards ``self.name = new_value`` replaces it, also in ``forward``; the new
        value must have the same shape and dtype and is detached.

        Parameters
        ----------
        name : str
            The attribute that holds it.
        value : Tensor or array-like
            Its first value, copied.
        persistent : bool, default=True
            Whether `state_dict` contains it. Choose False for what ``__init__``
            computes again anyway.

        Raises
        ------
        ParameterError
            If the name is not an identifier, or is taken.

        Examples
        --------
        >>> import skgrad
        >>> from skgrad import nn
        >>> class Counter(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.register_buffer("count", 0.0)
        ...
        ...     def forward(self, x):
        ...         self.count = self.count + 1.0
        ...         return x
        >>> counter = Counter()
        >>> _ = counter(skgrad.tensor([1.0])), counter(skgrad.tensor([2.0]))
        >>> counter.count.item()
        2.0
        """
        kind = Kind.BUFFER if persistent else Kind.TRANSIENT
        self._register(name, kind, tensor(value), free=BUFFERS)

    def register_hyperparameter(self, name: str, value: float) -> None:
        """Register a float that a user may set, such as a dropout rate.

        It is a 0-d float64 buffer that `state_dict` leaves out and ``to(dtype=)``
        leaves alone. So it is an input of a trace instead of a constant, and changing
        it compiles nothing. Cast it where it is used:
        ``skgrad.ops.astype(self.rate, x.dtype)``.

        Parameters
        ----------
        name : str
            The attribute that holds it.
        value : float
            Its value. Later, ``self.name = 0.3`` sets another.

        Raises
        ------
        ParameterError
            If the name is not an identifier, or is taken.

        Examples
        --------
        >>> import skgrad
        >>> from skgrad import nn
        >>> class Scale(nn.Module):
        ...     def __init__(self, factor=2.0):
        ...         super().__init__()
        ...         self.register_hyperparameter("factor", factor)
        ...
        ...     def forward(self, x):
        ...         return x * skgrad.ops.astype(self.factor, x.dtype)
        >>> Scale()(skgrad.tensor([1.0, 2.0], dtype="float32")).numpy()
        array([2., 4.], dtype=float32)
        """
        data = tensor(float(value), dtype=np.float64)
        self._register(name, Kind.HYPERPARAMETER, data, free=BUFFERS)

    def _register(
        self, name: str, kind: Kind, value: Any, free: tuple[Kind, ...] | None = None
    ) -> None:
        """Make `value` the attribute `name`, known as `kind`.

        `free` are the kinds it may replace; None stands for anything.
        """
        check_name(self, name, kind)
        known = registry(self, f"assign the {kind.value} {name!r}")
        taken = name in self.__dict__ and free is not None
        if taken and (name not in known or known[name] not in (free or ())):
            raise ParameterError(
                f"{type(self).__name__} has an attribute {name!r} already. Delete it "
                f"first or choose another name for the {kind.value}."
            )
        known[name] = kind
        self.__dict__[name] = value

    # ---------------------------------------------------------------- traversing

    def children(self) -> Iterator[Module]:
        """Iterate over the submodules directly below, each once.

        Yields
        ------
        Module
            In the order of registration.

        Examples
        --------
        >>> from skgrad import nn
        >>> list(nn.Sequential(nn.Tanh(), nn.Identity()).children())
        [Tanh(), Identity()]
        """
        seen: set[int] = set()
        for _, child in contents(self, Kind.MODULE):
            if id(child) not in seen:
                seen.add(id(child))
                yield child

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Iterate over this module and everything below it, each once.

        Yields
        ------
        name : str
            The path with dots; ``""`` for the module itself.
        module : Module
            Parents before children, in the order of registration.

        Examples
        --------
        >>> from skgrad import nn
        >>> model = nn.Sequential(nn.Identity(), nn.Sequential(nn.Tanh()))
        >>> [name for name, module in model.named_modules()]
        ['', '0', '1', '1.0']
        """
        yield from walk("", self, set())

    def modules(self) -> Iterator[Module]:
        """Iterate over this module and everything below it, each once.

        Yields
        ------
        Module
            Parents before children, in the order of registration.

        Examples
        --------
        >>> from skgrad import nn
        >>> len(list(nn.Sequential(nn.Identity(), nn.Tanh()).modules()))
        3
        """
        for _, module in self.named_modules():
            yield module

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Iterate over the parameters of this module and of all below it.

        Yields
        ------
        name : str
            The path with dots. A parameter used in several places comes once, under
            its first name.
        parameter : Parameter
            The tensor itself, not a copy.

        Examples
        --------
        >>> from skgrad import nn
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> [(name, p.shape) for name, p in model.named_parameters()]
        [('0.weight', (3, 2)), ('0.bias', (3,)), ('2.weight', (1, 3)), ('2.bias', (1,))]
        """
        seen: set[int] = set()
        for name, owner, attribute in positions(self, Kind.PARAMETER):
            parameter = getattr(owner, attribute)
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield name, parameter

    def parameters(self) -> Iterator[Tensor]:
        """Iterate over the parameters of this module and of all below it, each once.

        Yields
        ------
        Parameter
            The tensor itself; what an optimizer is given.

        Examples
        --------
        >>> from skgrad import nn
        >>> [parameter.shape for parameter in nn.Linear(3, 2).parameters()]
        [(2, 3), (2,)]
        """
        for _, parameter in self.named_parameters():
            yield parameter

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Iterate over the buffers of this module and of all below it.

        Yields
        ------
        name : str
            The path with dots.
        buffer : Tensor
            The tensor itself; hyperparameters are among them.

        Examples
        --------
        >>> from skgrad import nn
        >>> [(name, b.item()) for name, b in nn.Dropout(0.25).named_buffers()]
        [('p', 0.25)]
        """
        for name, owner, attribute in positions(self, *BUFFERS):
            yield name, getattr(owner, attribute)

    def buffers(self) -> Iterator[Tensor]:
        """Iterate over the buffers of this module and of all below it.

        Yields
        ------
        Tensor
            The tensor itself; hyperparameters are among them.

        Examples
        --------
        >>> from skgrad import nn
        >>> [buffer.item() for buffer in nn.Dropout(0.25).buffers()]
        [0.25]
        """
        for _, buffer in self.named_buffers():
            yield buffer

    # ------------------------------------------------------------ saving, loading

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return copies of all parameters and persistent buffers by name.

        Returns
        -------
        dict of str to numpy.ndarray
            A shared parameter is there under each of its names, as in PyTorch.

        Examples
        --------
        >>> from skgrad import nn
        >>> sorted(nn.Linear(2, 1).state_dict())
        ['bias', 'weight']
        """
        return {
            name: np.array(getattr(owner, attribute).numpy())
            for name, owner, attribute in saved_positions(self)
        }

    def load_state_dict(
        self, state: Mapping[str, ArrayLike], strict: bool = True
    ) -> IncompatibleKeys:
        """Copy the values of `state` into the parameters and persistent buffers.

        Nothing is changed when anything does not fit.

        Parameters
        ----------
        state : mapping of str to array-like
            What `state_dict` returns, or the ``state_dict()`` of a PyTorch module of
            the same structure: whatever `numpy.asarray` takes.
        strict : bool, default=True
            Whether the names must be exactly those of `state_dict`. Otherwise missing
            names are left as they are and unexpected ones ignored.

        Returns
        -------
        IncompatibleKeys
            The names ``missing`` in `state` and those ``unexpected`` in it.

        Raises
        ------
        ParameterError
            If a name is missing or unexpected, or two names of one shared parameter
            come with different values.
        ShapeError
            If a shape differs.
        DTypeError
            If a dtype differs; nothing is cast silently.

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad import nn
        >>> layer = nn.Linear(2, 1)
        >>> layer.load_state_dict({"weight": np.ones((1, 2)), "bias": np.zeros(1)})
        IncompatibleKeys(missing=[], unexpected=[])
        >>> layer.weight.numpy()
        array([[1., 1.]])
        >>> layer.load_state_dict({"weight": np.ones((2, 1)), "bias": np.zeros(1)})
        Traceback (most recent call last):
            ...
        skgrad.exceptions.ShapeError: The state does not fit Linear:
          shape of 'weight': (1, 2) in the module, (2, 1) in the state
        """
        places = list(saved_positions(self))
        held = {name: getattr(owner, attribute) for name, owner, attribute in places}
        arrays, keys = load_arrays(type(self).__name__, held, state, strict)
        for name, owner, attribute in places:
            if name in arrays and isinstance(held[name], Parameter):
                held[name].assign_(arrays[name])
            elif name in arrays:
                value = tensor(arrays[name], device=held[name].device)
                setattr(owner, attribute, value)
        return keys

    # ------------------------------------------------------------------ switching

    def train(self, mode: bool = True) -> Self:
        """Set `training` here and in everything below.

        Parameters
        ----------
        mode : bool, default=True
            True for fitting, False for evaluation (as `eval`).

        Returns
        -------
        Module
            This module.

        Examples
        --------
        >>> from skgrad import nn
        >>> nn.Dropout().train(False).training
        False
        """
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Self:
        """Set `training` to False here and in everything below.

        Returns
        -------
        Module
            This module.

        Examples
        --------
        >>> from skgrad import nn
        >>> nn.Sequential(nn.Dropout()).eval()[0].training
        False
        """
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients accumulated in the parameters.

        Examples
        --------
        >>> import skgrad
        >>> from skgrad import nn
        >>> layer = nn.Linear(2, 1)
        >>> layer(skgrad.tensor([1.0, 2.0])).sum().backward()
        >>> layer.weight.grad.numpy()
        array([[1., 2.]])
        >>> layer.zero_grad()
        >>> layer.weight.grad is None
        True
        """
        for parameter in self.parameters():
            parameter.zero_grad()

    def to(self, *, dtype: DTypeLike | None = None, device: str | None = None) -> Self:
        """Convert all parameters and floating buffers, in place.

        The parameters become new tensors without gradients: make an optimizer after
        the conversion, not before. Shared parameters stay shared. Hyperparameters
        stay float64.

        Parameters
        ----------
        dtype : {"float32", "float64"}, numpy dtype or None, default=None
            The new dtype; None keeps it.
        device : str or None, default=None
            The new device, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``; None keeps it. All
            buffers move along.

        Returns
        -------
        Module
            This module.

        Raises
        ------
        DTypeError
            If `dtype` is not floating.
        DeviceError
            If `device` is unknown or not usable here.

        Examples
        --------
        >>> from skgrad import nn
        >>> nn.Linear(2, 1).to(dtype="float32").weight.dtype
        dtype('float32')
        """
        wanted = None if dtype is None else floating_dtype(dtype)
        moved: dict[int, Tensor] = {}
        for _, owner, name in positions(self, Kind.PARAMETER, *BUFFERS):
            old = owner.__dict__[name]
            if id(old) not in moved:
                fixed = registry(owner)[name] is Kind.HYPERPARAMETER
                floating = old.dtype.kind == "f"
                kept = None if fixed or not floating else wanted
                moved[id(old)] = _converted(old, device, kept)
            owner.__dict__[name] = moved[id(old)]
        return self

    # ------------------------------------------------------------------- printing

    def extra_repr(self) -> str:
        """Return what the ``repr`` shows between the parentheses.

        Returns
        -------
        str
            One line such as ``"in_features=2, out_features=1"``; empty by default.

        Examples
        --------
        >>> from skgrad import nn
        >>> class Scale(nn.Module):
        ...     def extra_repr(self):
        ...         return "factor=2"
        >>> Scale()
        Scale(factor=2)
        """
        return ""

    def __repr__(self) -> str:
        """Return the tree of modules and the number of parameters."""
        count = sum(parameter.size for parameter in self.parameters())
        unit = "parameter" if count == 1 else "parameters"
        return _describe(self) + (f"  # {count:,} {unit}" if count else "")


def _converted(old: Tensor, device: str | None, dtype: DTypeLike | None) -> Tensor:
    """Return `old` on another device or in another dtype, a Parameter if it was one."""
    new = old.detach().to(device=device, dtype=dtype)
    if not isinstance(old, Parameter):
        return new
    parameter = Parameter(new)
    parameter.requires_grad = old.requires_grad
    return parameter


def _describe(module: Module) -> str:
    """Return the tree below `module` in PyTorch's layout."""
    head = type(module).__name__
    lines = [module.extra_repr()] if module.extra_repr() else []
    children = list(contents(module, Kind.MODULE))
    if not children:
        return f"{head}({', '.join(lines)})"
    lines += [f"({name}): {_describe(child)}" for name, child in children]
    body = "\n".join(lines).replace("\n", "\n  ")
    return f"{head}(\n  {body}\n)"
