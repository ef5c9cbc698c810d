"""The family of the rectified linear unit."""

from __future__ import annotations

from typing import Any

import numpy as np

from skgrad import functional
from skgrad.core.checks import check_integer
from skgrad.nn.elementwise import Activation, cast
from skgrad.nn.parameter import Parameter, floating_dtype
from skgrad.tensor import Tensor
from skgrad.typing import DTypeLike

__all__ = ["CELU", "ELU", "SELU", "LeakyReLU", "PReLU", "ReLU", "ReLU6"]


class ReLU(Activation):
    """Rectified linear unit, max(x, 0); its derivative at 0 is 0.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.ReLU()(skgrad.tensor([-1.0, 2.0])).numpy()
    array([0., 2.])
    """

    def _activated(self, x: Any) -> Any:
        return functional.relu(x)


class LeakyReLU(Activation):
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

    def _activated(self, x: Any) -> Any:
        return functional.leaky_relu(x, cast(self.negative_slope, x))


class ReLU6(Activation):
    """Rectified linear unit cut at 6: min(max(x, 0), 6).

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> nn.ReLU6()(skgrad.tensor([-1.0, 2.0, 7.0])).numpy()
    array([0., 2., 6.])
    """

    def _activated(self, x: Any) -> Any:
        return functional.relu6(x)


class ELU(Activation):
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

    def _activated(self, x: Any) -> Any:
        return functional.elu(x, cast(self.alpha, x))


class CELU(Activation):
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

    def _activated(self, x: Any) -> Any:
        return functional.celu(x, cast(self.alpha, x))


class SELU(Activation):
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

    def _activated(self, x: Any) -> Any:
        return functional.selu(x)


class PReLU(Activation):
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

    def _activated(self, x: Any) -> Any:
        return functional.prelu(x, self.weight)

    def extra_repr(self) -> str:
        """Return the number of slopes.

        Returns
        -------
        str
            ``"num_parameters=1"``.
        """
        return f"num_parameters={self.weight.size}"
