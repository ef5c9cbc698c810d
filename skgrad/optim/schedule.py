"""The schedule interface: what the rate is multiplied by, epoch after epoch.

A schedule is pure. ``factors(epoch, n_steps, max_epochs, state)`` gives the factors
of all steps of one epoch, and a schedule that reacts to the course of the fit
(`Plateau`) carries what it remembers in a plain dict, so that a checkpoint holds it.
No factor exceeds 1: the learning rate of the optimizer is the largest one used.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from skgrad.core.params import ParamsMixin, did_you_mean
from skgrad.exceptions import ParameterError

__all__ = [
    "SCHEDULES",
    "Schedule",
    "get_schedule",
    "register_schedule",
]

Factors: TypeAlias = NDArray[np.float64]
State: TypeAlias = dict[str, float] | None
C = TypeVar("C", bound="type[Schedule]")

SCHEDULES: "dict[str, type[Schedule]]" = {}
"""Schedule classes by the name estimators know them by."""


def register_schedule(name: str) -> Callable[[C], C]:
    """Return a class decorator that enters a schedule under `name`.

    Parameters
    ----------
    name : str
        The name, in lower case.

    Returns
    -------
    callable
        The decorator; it returns the class itself.

    Raises
    ------
    ParameterError
        If the name is taken.

    Examples
    --------
    >>> from skgrad.optim import SCHEDULES
    >>> SCHEDULES["cosine"]()
    Cosine()
    """

    def register(cls: C) -> C:
        if name in SCHEDULES:
            raise ParameterError(
                f"The schedule name {name!r} is taken by {SCHEDULES[name].__name__}."
            )
        SCHEDULES[name] = cls
        return cls

    return register


class Schedule(ParamsMixin, ABC):
    """Say what the learning rate is multiplied by in each step.

    The common interface: ``state = init()`` before the first epoch, ``factors(...)``
    at the start of each epoch, ``state = advance(state, value)`` after each.

    Examples
    --------
    >>> from skgrad.optim import Cosine
    >>> schedule = Cosine()
    >>> state, used = schedule.init(), []
    >>> for epoch in range(4):
    ...     factors = schedule.factors(epoch, n_steps=2, max_epochs=4, state=state)
    ...     used.extend(factors.round(3).tolist())
    ...     state = schedule.advance(state, value=1.0)
    >>> used
    [1.0, 1.0, 0.854, 0.854, 0.5, 0.5, 0.146, 0.146]
    """

    def factors(
        self, epoch: int, n_steps: int, max_epochs: int, state: State = None
    ) -> Factors:
        """Return the factors of the steps of one epoch.

        Parameters
        ----------
        epoch : int
            Number of the epoch, from 0.
        n_steps : int
            Steps per epoch.
        max_epochs : int
            Epochs planned; from there on `Cosine` and `OneCycle` stay at the end.
        state : dict or None, default=None
            From :meth:`init` or :meth:`advance`; ``None`` means that of :meth:`init`.

        Returns
        -------
        ndarray of shape (n_steps,)
            float64, each in [0, 1].

        Raises
        ------
        ParameterError
            If a parameter of the schedule is outside its domain.

        Examples
        --------
        >>> from skgrad.optim import Step
        >>> Step(step_size=10).factors(epoch=10, n_steps=3, max_epochs=20)
        array([0.1, 0.1, 0.1])
        """
        self.validate()
        values = self._factors(epoch, n_steps, max_epochs, state or self.init())
        return np.full(n_steps, values, dtype=np.float64)

    @abstractmethod
    def _factors(
        self, epoch: int, n_steps: int, max_epochs: int, state: State
    ) -> float | Factors:
        """Return one factor for the epoch, or one per step."""

    @abstractmethod
    def validate(self) -> None:
        """Check the parameters.

        Raises
        ------
        ParameterError
            If one is outside its domain.
        """

    def init(self) -> State:
        """Return what is remembered before the first epoch.

        Returns
        -------
        dict of str to float, or None
            ``None`` for a schedule that depends on the epoch only.

        Examples
        --------
        >>> from skgrad.optim import Constant, Plateau
        >>> Constant().init(), Plateau().init()
        (None, {'best': inf, 'factor': 1.0, 'n_bad_epochs': 0.0})
        """
        return self._init()

    def advance(self, state: State, value: float) -> State:
        """Return what is remembered after an epoch; `state` is not modified.

        Parameters
        ----------
        state : dict or None
            The state during the epoch.
        value : float
            What is watched, smaller is better: the validation or training loss.

        Returns
        -------
        dict of str to float, or None
            The state during the next epoch.

        Examples
        --------
        >>> from skgrad.optim import Plateau
        >>> plateau = Plateau(factor=0.5, patience=0)
        >>> state = plateau.advance(plateau.init(), 1.0)
        >>> plateau.advance(state, 2.0)["factor"]
        0.5
        """
        return self._advance(state or self.init(), value)

    def _init(self) -> State:
        return None

    def _advance(self, state: State, value: float) -> State:
        return state


def get_schedule(spec: object) -> Schedule:
    """Return the schedule that `spec` describes, its parameters checked.

    Parameters
    ----------
    spec : None, str, Schedule or Schedule class
        ``None`` is a constant rate; a name of `SCHEDULES`; an object (returned as it
        is); a class (called without arguments).

    Returns
    -------
    Schedule
        The schedule.

    Raises
    ------
    ParameterError
        If there is no such schedule, or a parameter is outside its domain.

    Examples
    --------
    >>> from skgrad.optim import get_schedule
    >>> get_schedule(None), get_schedule("cosine")
    (Constant(), Cosine())
    >>> get_schedule("cosin")
    Traceback (most recent call last):
        ...
    skgrad.exceptions.ParameterError: Unknown schedule 'cosin'. Known are [...]; a \
Schedule object will do too. Did you mean 'cosine'?
    """
    schedule = _instance(spec)
    schedule.validate()
    return schedule


def _instance(spec: Any) -> Schedule:
    """Return the object that None, a name, a class or an object stands for."""
    if spec is None:
        return SCHEDULES["constant"]()
    if isinstance(spec, Schedule):
        return spec
    if isinstance(spec, type) and issubclass(spec, Schedule):
        return spec()
    if isinstance(spec, str) and spec in SCHEDULES:
        return SCHEDULES[spec]()
    known = sorted(SCHEDULES)
    raise ParameterError(
        f"Unknown schedule {spec!r}. Known are {known}; a Schedule object will do "
        f"too.{did_you_mean(spec, known)}"
    )
