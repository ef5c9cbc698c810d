"""Activations as modules: elementwise, without parameters."""

from __future__ import annotations

from typing import Any, Literal

from skgrad import functional, ops
from skgrad.exceptions import ParameterError
from skgrad.nn.elementwise import Activation, cast
from skgrad.tensor import Tensor

__all__ = [
    "GELU",
    "Identity",
    "LogSoftmax",
    "Mish",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]


class Identity(Activation):
    """Return the input: the activation that does nothing.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.Identity()(skgrad.tensor([-1.0, 2.0])).numpy()
    array([-1.,  2.])
    """

    def _activated(self, x: Any) -> Any:
        return x


class Tanh(Activation):
    """Hyperbolic tangent.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.Tanh()(skgrad.tensor([0.0, 1.0])).numpy().round(4)
    array([0.    , 0.7616])
    """

    def _activated(self, x: Any) -> Any:
        return ops.tanh(x)


class Sigmoid(Activation):
    """Logistic function, 1 / (1 + exp(-x)), evaluated without overflow.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.Sigmoid()(skgrad.tensor([-1000.0, 0.0])).numpy()
    array([0. , 0.5])
    """

    def _activated(self, x: Any) -> Any:
        return ops.sigmoid(x)


class SiLU(Activation):
    """Sigmoid linear unit (swish), x·sigmoid(x).

    References
    ----------
    Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units for neural network
    function approximation in reinforcement learning", Neural Networks 107, 2018.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.SiLU()(skgrad.tensor([0.0, 1.0])).numpy().round(4)
    array([0.    , 0.7311])
    """

    def _activated(self, x: Any) -> Any:
        return functional.silu(x)


class GELU(Activation):
    """Gaussian error linear unit, x·Φ(x), Φ being the normal distribution function.

    Parameters
    ----------
    approximate : {"none", "tanh"}, default="none"
        ``"none"`` is x·Φ(x) itself; ``"tanh"`` is the approximation
        x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))).

    Raises
    ------
    ParameterError
        If `approximate` is neither.

    References
    ----------
    Hendrycks and Gimpel, "Gaussian error linear units", arXiv:1606.08415, section 2.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.GELU()(skgrad.tensor([0.0, 1.0])).numpy().round(4)
    array([0.    , 0.8413])
    """

    def __init__(self, approximate: Literal["none", "tanh"] = "none") -> None:
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ParameterError(
                f"The 'approximate' parameter of GELU must be 'none' or 'tanh'. "
                f"Got {approximate!r} instead."
            )
        self.approximate = approximate

    def _activated(self, x: Any) -> Any:
        return functional.gelu(x, approximate=self.approximate)

    def extra_repr(self) -> str:
        """Return the approximation, for the ``repr``.

        Returns
        -------
        str
            ``"approximate='none'"`` or ``"approximate='tanh'"``.
        """
        return f"approximate={self.approximate!r}"


class Mish(Activation):
    """Mish, x · tanh(log(1 + eˣ)).

    References
    ----------
    Misra (2020). Mish: a self regularized non-monotonic activation function. BMVC.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.Mish()(skgrad.tensor([0.0, 1.0])).numpy().round(4)
    array([0.    , 0.8651])
    """

    def _activated(self, x: Any) -> Any:
        return functional.mish(x)


class Softplus(Activation):
    """Softplus, log(1 + exp(beta · x)) / beta, without overflow.

    Parameters
    ----------
    beta : float, default=1.0
        Sharpness of the bend at 0, an input of every trace; positive.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.Softplus()(skgrad.tensor([0.0, 1000.0])).numpy().round(4)
    array([6.931e-01, 1.000e+03])
    """

    beta: Tensor

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        self.register_hyperparameter("beta", beta)

    def _activated(self, x: Any) -> Any:
        beta = cast(self.beta, x)
        return ops.softplus(x * beta) / beta


class Softmax(Activation):
    """Softmax along an axis: exp(x) / Σ exp(x), without overflow.

    Parameters
    ----------
    axis : int, default=-1
        The axis; PyTorch calls it ``dim``.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.Softmax()(skgrad.tensor([[0.0, 0.0]])).numpy()
    array([[0.5, 0.5]])
    """

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def _activated(self, x: Any) -> Any:
        return functional.softmax(x, self.axis)

    def extra_repr(self) -> str:
        """Return the axis, see `Module.extra_repr`."""
        return f"axis={self.axis}"


class LogSoftmax(Activation):
    """Logarithm of the softmax along an axis.

    Parameters
    ----------
    axis : int, default=-1
        The axis; PyTorch calls it ``dim``.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.LogSoftmax()(skgrad.tensor([[0.0, 0.0]])).numpy().round(4)
    array([[-0.6931, -0.6931]])
    """

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def _activated(self, x: Any) -> Any:
        return functional.log_softmax(x, self.axis)

    def extra_repr(self) -> str:
        """Return the axis, see `Module.extra_repr`."""
        return f"axis={self.axis}"
