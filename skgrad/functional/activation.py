"""Activations: elementwise, composed of operations."""

import math
from typing import Any, TypeAlias

from skgrad import ops
from skgrad.exceptions import ParameterError, ShapeError
from skgrad.functional.convert import as_float
from skgrad.ops import relu
from skgrad.tensor import Tensor
from skgrad.typing import ArrayLike

__all__ = [
    "celu",
    "elu",
    "gelu",
    "leaky_relu",
    "log_sigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "silu",
]

Scalar: TypeAlias = Tensor | float

# The fixed point of Klambauer et al. (2017), equation (14), to the digits of a double.
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def log_sigmoid(x: ArrayLike) -> Any:
    """Return log(1 / (1 + e⁻ˣ)) without overflow.

    Parameters
    ----------
    x : tensor or array
        The elements.

    Returns
    -------
    Tensor
        Of the same shape.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.log_sigmoid([-1000.0])
    tensor([-1000.])
    """
    return ops.negative(ops.softplus(ops.negative(x)))


def leaky_relu(x: ArrayLike, negative_slope: Scalar = 0.01) -> Any:
    """Return x where it is positive, elsewhere negative_slope · x.

    Parameters
    ----------
    x : tensor or array
        The elements.
    negative_slope : float or tensor, default=0.01
        Also the derivative at 0.

    Returns
    -------
    Tensor
        Of the same shape.

    References
    ----------
    Maas, Hannun, Ng (2013). Rectifier nonlinearities improve neural network acoustic
    models. ICML workshop.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.leaky_relu([-1.0, 2.0])
    tensor([-0.01,  2.  ])
    """
    value = as_float(x, "leaky_relu")
    return ops.where(ops.greater(value, 0.0), value, value * negative_slope)


def relu6(x: ArrayLike) -> Any:
    """Return min(max(x, 0), 6); the derivative is 0 at both kinks.

    Parameters
    ----------
    x : tensor or array
        The elements.

    Returns
    -------
    Tensor
        Of the same shape.

    References
    ----------
    Krizhevsky (2010). Convolutional deep belief networks on CIFAR-10.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.relu6([-1.0, 2.0, 7.0])
    tensor([0., 2., 6.])
    """
    value = as_float(x, "relu6")
    inside = ops.logical_and(ops.greater(value, 0.0), ops.less(value, 6.0))
    return ops.where(inside, value, ops.clip(value, 0.0, 6.0).detach())


def elu(x: ArrayLike, alpha: Scalar = 1.0) -> Any:
    """Return x where it is positive, elsewhere alpha · (eˣ - 1).

    Parameters
    ----------
    x : tensor or array
        The elements.
    alpha : float or tensor, default=1.0
        Minus the limit for small x.

    Returns
    -------
    Tensor
        Of the same shape.

    References
    ----------
    Clevert, Unterthiner, Hochreiter (2016). Fast and accurate deep network learning by
    exponential linear units. ICLR.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.elu([-100.0, 2.0])
    tensor([-1.,  2.])
    """
    value = as_float(x, "elu")
    positive = ops.greater(value, 0.0)
    # Only what is not positive goes through the exponential: inf · 0 would be NaN.
    below = ops.expm1(ops.where(positive, 0.0, value))
    return ops.where(positive, value, below * alpha)


def selu(x: ArrayLike) -> Any:
    """Return 1.0507 · elu(x, 1.67326): it keeps mean 0 and variance 1.

    Parameters
    ----------
    x : tensor or array
        The elements.

    Returns
    -------
    Tensor
        Of the same shape.

    References
    ----------
    Klambauer, Unterthiner, Mayr, Hochreiter (2017). Self-normalizing neural networks.
    NeurIPS; the constants are those of equation (14), for the fixed point (0, 1).

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.selu([0.0, 1.0]).numpy().round(4)
    array([0.    , 1.0507])
    """
    return elu(x, SELU_ALPHA) * SELU_SCALE


def celu(x: ArrayLike, alpha: Scalar = 1.0) -> Any:
    """Return x where it is positive, elsewhere alpha · (exp(x / alpha) - 1).

    Parameters
    ----------
    x : tensor or array
        The elements.
    alpha : float or tensor, default=1.0
        Minus the limit for small x; not 0.

    Returns
    -------
    Tensor
        Of the same shape.

    References
    ----------
    Barron (2017). Continuously differentiable exponential linear units.
    arXiv:1704.07483.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.celu([-100.0, 2.0], alpha=0.5)
    tensor([-0.5,  2. ])
    """
    value = as_float(x, "celu")
    positive = ops.greater(value, 0.0)
    below = ops.expm1(ops.where(positive, 0.0, value) / alpha)
    return ops.where(positive, value, below * alpha)


def mish(x: ArrayLike) -> Any:
    """Return x · tanh(softplus(x)).

    Parameters
    ----------
    x : tensor or array
        The elements.

    Returns
    -------
    Tensor
        Of the same shape.

    References
    ----------
    Misra (2020). Mish: a self regularized non-monotonic activation function. BMVC.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.mish([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.8651])
    """
    value = as_float(x, "mish")
    return value * ops.tanh(ops.softplus(value))


def prelu(x: ArrayLike, weight: ArrayLike) -> Any:
    """Return x where it is positive, elsewhere weight · x, a weight for each channel.

    Parameters
    ----------
    x : tensor or array of shape (n_samples, n_channels, ...) or any
        The elements.
    weight : tensor or array of shape (), (1,) or (n_channels,)
        Slopes for negative x; several belong to the channels, axis 1 of x.

    Returns
    -------
    Tensor
        Of the shape of x.

    Raises
    ------
    ShapeError
        If there are several weights, but not one for each channel.

    References
    ----------
    He, Zhang, Ren, Sun (2015). Delving deep into rectifiers. ICCV.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.prelu([[-1.0, -1.0]], [0.25, 0.5])
    tensor([[-0.25, -0.5 ]])
    """
    value, slopes = as_float(x, "prelu"), as_float(weight, "prelu")
    if slopes.size == 1:
        slopes = ops.reshape(slopes, ())
    elif value.ndim < 2 or slopes.shape != value.shape[1:2]:
        raise ShapeError(
            f"prelu: weights of shape {slopes.shape} do not fit an input of shape "
            f"{value.shape}: pass one weight, or one for each channel (axis 1)."
        )
    else:
        slopes = ops.reshape(slopes, (-1, *(1,) * (value.ndim - 2)))
    return leaky_relu(value, slopes)


def silu(x: ArrayLike) -> Any:
    """Return x · sigmoid(x), the SiLU or swish.

    Parameters
    ----------
    x : tensor or array
        The elements.

    Returns
    -------
    Tensor
        Of the same shape.

    References
    ----------
    Elfwing, Uchibe, Doya (2018). Sigmoid-weighted linear units. Neural Networks 107.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.silu([0.0])
    tensor([0.])
    """
    return ops.multiply(x, ops.sigmoid(x))


def gelu(x: ArrayLike, approximate: str = "none") -> Any:
    """Return x · Φ(x), Φ the normal distribution function.

    Parameters
    ----------
    x : tensor or array
        The elements.
    approximate : {"none", "tanh"}, default="none"
        ``"tanh"``: ½x(1 + tanh(√(2/π)(x + 0.044715x³))).

    Returns
    -------
    Tensor
        Of the same shape.

    Raises
    ------
    ParameterError
        If ``approximate`` is something else.

    References
    ----------
    Hendrycks, Gimpel (2016). Gaussian error linear units. arXiv:1606.08415.

    Examples
    --------
    >>> from skgrad import functional as F
    >>> F.gelu([0.0])
    tensor([0.])
    """
    value = as_float(x, "gelu")
    if approximate == "none":
        phi = ops.erf(ops.multiply(value, 1.0 / math.sqrt(2.0)))
    elif approximate == "tanh":
        cubic = ops.multiply(ops.multiply(ops.square(value), value), 0.044715)
        phi = ops.tanh(ops.multiply(ops.add(value, cubic), math.sqrt(2.0 / math.pi)))
    else:
        raise ParameterError(
            "The 'approximate' parameter of gelu must be 'none' or 'tanh'. "
            f"Got {approximate!r} instead."
        )
    return ops.multiply(ops.multiply(value, 0.5), ops.add(phi, 1.0))
