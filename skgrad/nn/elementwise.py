"""What the activations share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from skgrad import ops
from skgrad.nn.module import Module
from skgrad.nn.registry import Kind, contents
from skgrad.tensor import Tensor

__all__ = ["Activation", "cast"]


class Activation(Module):
    """Base of the layers that keep the shape and the dtype of their input.

    Subclasses define `_activated`.
    """

    @abstractmethod
    def _activated(self, x: Any) -> Any:
        """Return the function's values."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the function's values, element by element or along an axis.

        Parameters
        ----------
        x : Tensor
            Any shape; several slopes of a `PReLU` belong to its axis 1.

        Returns
        -------
        Tensor
            Of the shape and dtype of `x`.
        """
        out: Tensor = self._activated(x)
        return out

    def extra_repr(self) -> str:
        """Return the hyperparameters, for the ``repr``.

        Returns
        -------
        str
            ``"alpha=1"``.
        """
        named = contents(self, Kind.HYPERPARAMETER)
        return ", ".join(f"{name}={_shown(value)}" for name, value in named)


def cast(hyperparameter: Tensor, x: Tensor) -> Any:
    """Return a hyperparameter in the dtype of an input."""
    return ops.astype(hyperparameter, x.dtype if x.dtype.kind == "f" else "float64")


def _shown(value: Tensor) -> str:
    return "traced" if value.is_traced else f"{value.item():g}"
