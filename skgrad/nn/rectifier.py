"""The family of the rectified linear unit."""

from __future__ import annotations

from typing import Any

import numpy as np

from skgrad import functional, ops
from skgrad.core.checks import check_integer
from skgrad.nn.module import Module
from skgrad.nn.parameter import Parameter, floating_dtype
from skgrad.tensor import Tensor
from skgrad.typing import DTypeLike

__all__ = ["CELU", "ELU", "SELU", "LeakyReLU", "PReLU", "ReLU", "ReLU6"]


def cast(hyperparameter: Tensor, x: Tensor) -> Any:
    """Return a hyperparameter in the dtype of an input."""
    return ops.astype(hyperparameter, x.dtype if x.dtype.kind == "f" else "float64")


def shown(module: Module, name: str) -> str:
    """Return a hyperparameter for the ``repr``."""
    value: Tensor = getattr(module, name)
    return f"{name}=traced" if value.is_traced else f"{name}={value.item():g}"


class ReLU(Module):
    """Rectified linear unit, max(x, 0); its derivative at 0 is 0.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.ReLU()(skgrad.tensor([-1.0, 2.0])).numpy()
    array([0., 2.])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return max(x, 0), elementwise.

        Parameters
        ----------
        x : Tensor
            Any shape.

        Returns
        -------
        Tensor
            Of the shape and dtype of `x`.
        """
        out: Tensor = functional.relu(x)
        return out


class LeakyReLU(Module):
    """Leaky rectified linear unit: x if x > 0, else negative_slope · x.

    Parameters
    ----------
    negative_slope : float, default=0.01
        Slope for negative x, an input of every trace.

    References
    ----------
    Maas, Hannun, Ng (2013). Rectifier nonlinearities improve neural network acoustic
    models. ICML workshop.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.LeakyReLU(0.1)(skgrad.tensor([-1.0, 2.0])).numpy()
    array([-0.1,  2. ])
    """

    negative_slope: Tensor

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.register_hyperparameter("negative_slope", negative_slope)

    def forward(self, x: Tensor) -> Tensor:
        """Return it, elementwise.

        Parameters
        ----------
        x : Tensor
            Any shape.

        Returns
        -------
        Tensor
            Of the shape and dtype of `x`.
        """
        out: Tensor = functional.leaky_relu(x, cast(self.negative_slope, x))
        return out

    def extra_repr(self) -> str:
        """Return the parameter.

        Returns
        -------
        str
            ``"negative_slope=0.01"``.
        """
        return shown(self, "negative_slope")


class ReLU6(Module):
    """Rectified linear unit cut at 6: min(max(x, 0), 6).

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.ReLU6()(skgrad.tensor([-1.0, 2.0, 7.0])).numpy()
    array([0., 2., 6.])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return it, elementwise.

        Parameters
        ----------
        x : Tensor
            Any shape.

        Returns
        -------
        Tensor
            Of the shape and dtype of `x`.
        """
        out: Tensor = functional.relu6(x)
        return out


class ELU(Module):
    """Exponential linear unit: x if x > 0, else alpha · (eˣ - 1).

    Parameters
    ----------
    alpha : float, default=1.0
        Minus the limit for small x, an input of every trace.

    References
    ----------
    Clevert, Unterthiner, Hochreiter (2016). Fast and accurate deep network learning by
    exponential linear units. ICLR.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.ELU()(skgrad.tensor([-100.0, 2.0])).numpy()
    array([-1.,  2.])
    """

    alpha: Tensor

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.register_hyperparameter("alpha", alpha)

    def forward(self, x: Tensor) -> Tensor:
        """Return it, elementwise.

        Parameters
        ----------
        x : Tensor
            Any shape.

        Returns
        -------
        Tensor
            Of the shape and dtype of `x`.
        """
        out: Tensor = functional.elu(x, cast(self.alpha, x))
        return out

    def extra_repr(self) -> str:
        """Return the parameter.

        Returns
        -------
        str
            ``"alpha=1.0"``.
        """
        return shown(self, "alpha")


class CELU(Module):
    """Continuously differentiable ELU: x if x > 0, else α (exp(x / α) - 1).

    Parameters
    ----------
    alpha : float, default=1.0
        Minus the limit for small x, an input of every trace; not 0.

    References
    ----------
    Barron (2017). Continuously differentiable exponential linear units.
    arXiv:1704.07483.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.CELU(0.5)(skgrad.tensor([-100.0, 2.0])).numpy()
    array([-0.5,  2. ])
    """

    alpha: Tensor

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.register_hyperparameter("alpha", alpha)

    def forward(self, x: Tensor) -> Tensor:
        """Return it, elementwise.

        Parameters
        ----------
        x : Tensor
            Any shape.

        Returns
        -------
        Tensor
            Of the shape and dtype of `x`.
        """
        out: Tensor = functional.celu(x, cast(self.alpha, x))
        return out

    def extra_repr(self) -> str:
        """Return the parameter.

        Returns
        -------
        str
            ``"alpha=1.0"``.
        """
        return shown(self, "alpha")


class SELU(Module):
    """Scaled ELU, which keeps mean 0 and variance 1 through a network.

    References
    ----------
    Klambauer, Unterthiner, Mayr, Hochreiter (2017). Self-normalizing neural networks.
    NeurIPS.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.SELU()(skgrad.tensor([0.0, 1.0])).numpy().round(4)
    array([0.    , 1.0507])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return it, elementwise.

        Parameters
        ----------
        x : Tensor
            Any shape.

        Returns
        -------
        Tensor
            Of the shape and dtype of `x`.
        """
        out: Tensor = functional.selu(x)
        return out


class PReLU(Module):
    """Parametric rectified linear unit: x if x > 0, else weight · x.

    Parameters
    ----------
    num_parameters : int, default=1
        One slope for all, or one for each channel (axis 1 of the input).
    init : float, default=0.25
        The first value of each.
    dtype : {"float32", "float64"}, numpy dtype or None, default=None
        Of the weight; None means that of `default_dtype`.

    Attributes
    ----------
    weight : Parameter of shape (num_parameters,)
        The slopes; weight decay draws them to 0.

    Raises
    ------
    ParameterError
        If `num_parameters` is not a positive int.
    ShapeError
        In ``forward``, if there are several slopes but not one for each channel.

    References
    ----------
    He, Zhang, Ren, Sun (2015). Delving deep into rectifiers. ICCV.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.PReLU()(skgrad.tensor([-1.0, 2.0])).numpy()
    array([-0.25,  2.  ])
    """

    weight: Tensor

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        n = check_integer("PReLU", "num_parameters", num_parameters)
        self.weight = Parameter(np.full(n, init, floating_dtype(dtype)))

    def forward(self, x: Tensor) -> Tensor:
        """Return it, elementwise.

        Parameters
        ----------
        x : Tensor
            Any shape; (n_samples, num_parameters, ...) for several slopes.

        Returns
        -------
        Tensor
            Of the shape and dtype of `x`.
        """
        out: Tensor = functional.prelu(x, self.weight)
        return out

    def extra_repr(self) -> str:
        """Return the number of slopes.

        Returns
        -------
        str
            ``"num_parameters=1"``.
        """
        return f"num_parameters={self.weight.size}"
