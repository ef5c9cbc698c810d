"""Constructor parameters: read, changed, compared and printed by name.

Losses, optimizers and schedules are passed to estimators as parameters, so that
``optimizer__b1`` works in ``set_params`` and in a grid search. scikit-learn's
``clone`` recognises them by `ParamsMixin.get_params` alone; nothing is imported from
it here.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, ClassVar, Literal, Self

import numpy as np

from skgrad.core.checks import shown
from skgrad.exceptions import ParameterError

__all__ = ["ParamsMixin", "did_you_mean"]

Closed = Literal["both", "left", "neither", "right"]


class ParamsMixin:
    """Give a class ``get_params``, ``set_params``, equality and a short ``repr``.

    The parameters are the arguments of ``__init__``, each of which the constructor
    stores untouched under its own name: no check, no copy, no conversion (they are
    checked when the object is used). Two objects are equal when they have the same
    class and equal parameters.

    Attributes
    ----------
    non_parameters : frozenset of str
        Class attribute: names of constructor arguments that are no parameters, such
        as the tensors an optimizer works on.

    Examples
    --------
    >>> from skgrad.core.params import ParamsMixin
    >>> class Step(ParamsMixin):
    ...     def __init__(self, step_size=30, gamma=0.1):
    ...         self.step_size = step_size
    ...         self.gamma = gamma
    >>> Step().get_params()
    {'gamma': 0.1, 'step_size': 30}
    >>> Step().set_params(gamma=0.5)
    Step(gamma=0.5)
    >>> Step(gamma=0.5) == Step(), Step(30) == Step()
    (False, True)
    """

    non_parameters: ClassVar[frozenset[str]] = frozenset()

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the parameters of parameters, as ``name__subname``.

        Returns
        -------
        dict of str to object
            The values themselves, not copies, in alphabetical order of the names;
            those of a nested object follow the object.

        Raises
        ------
        AttributeError
            If the constructor did not store one of its arguments.

        Examples
        --------
        >>> from skgrad.losses import Huber
        >>> Huber(delta=2.0).get_params()
        {'delta': 2.0}
        """
        params: dict[str, Any] = {}
        for name in _parameters(type(self)):
            value = params[name] = _stored(self, name)
            if deep and isinstance(value, ParamsMixin):
                nested = value.get_params(deep=True)
                params.update({f"{name}__{key}": v for key, v in nested.items()})
        return params

    def set_params(self, **params: Any) -> Self:
        """Change parameters by name, in place.

        Parameters
        ----------
        **params : object
            New values; ``name__subname`` reaches a parameter of a parameter. Plain
            names are set first. Nothing is changed when a plain name is unknown.

        Returns
        -------
        self
            The same object.

        Raises
        ------
        ParameterError
            If there is no parameter of that name, or if ``name__subname`` is asked
            of a parameter that has no ``set_params``.

        Examples
        --------
        >>> from skgrad.losses import Huber
        >>> Huber().set_params(delta=3.0)
        Huber(delta=3.0)
        """
        nested: dict[str, dict[str, Any]] = {}
        plain: dict[str, Any] = {}
        for key, value in params.items():
            name, separator, subname = key.partition("__")
            _check_known(type(self), name)
            if separator:
                nested.setdefault(name, {})[subname] = value
            else:
                plain[name] = value
        for name, value in plain.items():
            setattr(self, name, value)
        for name, values in nested.items():
            _nested_target(self, name).set_params(**values)
        return self

    def __repr__(self) -> str:
        """Return the call that makes an equal object, defaults left out."""
        defaults = _parameters(type(self))
        changed = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if not _same(value, defaults[name].default)
        }
        arguments = ", ".join(f"{k}={shown(v)}" for k, v in changed.items())
        return f"{type(self).__name__}({arguments})"

    def __eq__(self, other: object) -> bool:
        """Tell whether `other` has the same class and equal parameters."""
        if type(self) is not type(other):
            return NotImplemented
        assert isinstance(other, ParamsMixin)
        mine, theirs = self.get_params(deep=False), other.get_params(deep=False)
        return all(_same(value, theirs[name]) for name, value in mine.items())

    def __hash__(self) -> int:
        """Return a hash that `set_params` does not change: that of the class."""
        return hash(type(self))


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a suggestion for a mistyped name, to be put behind an error message.

    Parameters
    ----------
    name : object
        What was given.
    known : iterable of str
        The names that exist.

    Returns
    -------
    str
        ``" Did you mean 'huber'?"`` (with the leading space), or the empty string
        when nothing is close.

    Examples
    --------
    >>> from skgrad.core.params import did_you_mean
    >>> did_you_mean("huberr", ["huber", "quantile"])
    " Did you mean 'huber'?"
    >>> did_you_mean("xyz", ["huber", "quantile"])
    ''
    """
    close = get_close_matches(str(name).lower(), list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _parameters(cls: type[ParamsMixin]) -> dict[str, inspect.Parameter]:
    """Return the constructor arguments of `cls` that are parameters, sorted."""
    constructor: Any = cls.__init__
    if constructor is object.__init__:
        return {}
    arguments = list(inspect.signature(constructor).parameters.values())[1:]
    for argument in arguments:
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            raise TypeError(
                f"{cls.__name__}.__init__ takes {str(argument)!r}; get_params needs "
                f"every constructor argument to be named in the signature."
            )
    return {
        argument.name: argument
        for argument in sorted(arguments, key=lambda argument: argument.name)
        if argument.name not in cls.non_parameters
    }


def _stored(owner: ParamsMixin, name: str) -> Any:
    """Return the stored argument, or say that the constructor did not store it."""
    try:
        return getattr(owner, name)
    except AttributeError:
        kind = type(owner).__name__
        raise AttributeError(
            f"{kind}.__init__ takes {name!r} but did not store it. "
            f"Write 'self.{name} = {name}' in {kind}.__init__."
        ) from None


def _check_known(cls: type[ParamsMixin], name: str) -> None:
    """Raise unless `name` is a parameter of `cls`."""
    known = list(_parameters(cls))
    if name not in known:
        raise ParameterError(
            f"Invalid parameter {name!r} for {cls.__name__}. Its parameters are "
            f"{known}.{did_you_mean(name, known)}"
        )


def _nested_target(owner: ParamsMixin, name: str) -> ParamsMixin:
    """Return the object whose parameters ``name__subname`` changes."""
    value = _stored(owner, name)
    if isinstance(value, ParamsMixin):
        return value
    raise ParameterError(
        f"Cannot set '{name}__...': the {name!r} parameter of {type(owner).__name__} "
        f"is {shown(value)}, which has no parameters of its own. Pass an object "
        f"instead of a name or a number, and then set its parameters."
    )


def _same(left: object, right: object) -> bool:
    """Tell whether two parameter values are equal; arrays elementwise, NaN to NaN."""
    if left is right:
        return True
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return np.array_equal(np.asarray(left), np.asarray(right))
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return bool(left == right)
