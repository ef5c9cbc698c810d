"""Initialisers: fill a tensor in place with constants or random draws.

Each takes a leaf tensor, fills it and returns it. Random ones draw in float64 from
the ``"init"`` stream of the current `skgrad.random_seed` scope and round to the
tensor's dtype, so that a float32 module starts from the rounded values of its float64
twin. NumPy's global generator is neither read nor changed.

The fans of a weight of shape ``(out, in, *kernel)`` are ``fan_in = in * prod(kernel)``
and ``fan_out = out * prod(kernel)``, as in PyTorch.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from skgrad.core.checks import check_interval
from skgrad.core.params import did_you_mean
from skgrad.core.random import generator
from skgrad.exceptions import ParameterError, ShapeError
from skgrad.tensor import Tensor

__all__ = [
    "calculate_gain",
    "constant_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

FanMode = Literal["fan_in", "fan_out"]

_GAINS = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "leaky_relu": math.sqrt(2.0),
    "selu": 0.75,
}


def uniform_(tensor: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Fill `tensor` with draws from the uniform distribution on [low, high).

    Parameters
    ----------
    tensor : Tensor
        The leaf to fill, of any shape.
    low, high : float, default=0.0 and 1.0
        The bounds; PyTorch calls them ``a`` and ``b``. In float32 a draw just below
        `high` may round to it.

    Returns
    -------
    Tensor
        `tensor` itself.

    Raises
    ------
    ParameterError
        If a bound is not finite, or `low` is above `high`.

    Examples
    --------
    >>> import skgrad
    >>> from skgrad import nn
    >>> weight = nn.Parameter([0.0, 0.0, 0.0])
    >>> with skgrad.random_seed(0):
    ...     values = nn.init.uniform_(weight, -2.0, -1.0).numpy()
    >>> bool((values >= -2.0).all() and (values < -1.0).all())
    True
    """
    check_interval("uniform_", "high", high, -math.inf, math.inf)
    check_interval("uniform_", "low", low, -math.inf, high, "right")
    if low == -math.inf:
        raise ParameterError("The 'low' parameter of uniform_ must be finite.")
    return _fill(tensor, generator("init").uniform(low, high, tensor.shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Fill `tensor` with draws from the normal distribution.

    Parameters
    ----------
    tensor : Tensor
        The leaf to fill, of any shape.
    mean : float, default=0.0
        Its mean.
    std : float, default=1.0
        Its standard deviation, at least 0.

    Returns
    -------
    Tensor
        `tensor` itself.

    Raises
    ------
    ParameterError
        If `mean` or `std` is not finite, or `std` is negative.

    Examples
    --------
    >>> from skgrad import nn
    >>> nn.init.normal_(nn.Parameter([0.0, 0.0]), mean=3.0, std=0.0).numpy()
    array([3., 3.])
    """
    check_interval("normal_", "mean", mean, -math.inf, math.inf)
    check_interval("normal_", "std", std, 0, math.inf, "left")
    return _fill(tensor, generator("init").normal(mean, std, tensor.shape))


def constant_(tensor: Tensor, value: float) -> Tensor:
    """Fill `tensor` with one value.

    Parameters
    ----------
    tensor : Tensor
        The leaf to fill, of any shape.
    value : float
        What every element becomes.

    Returns
    -------
    Tensor
        `tensor` itself.

    Examples
    --------
    >>> from skgrad import nn
    >>> nn.init.constant_(nn.Parameter([0.0, 0.0]), 0.5).numpy()
    array([0.5, 0.5])
    """
    return _fill(tensor, np.full(tensor.shape, value))


def zeros_(tensor: Tensor) -> Tensor:
    """Fill `tensor` with zeros.

    Parameters
    ----------
    tensor : Tensor
        The leaf to fill, of any shape.

    Returns
    -------
    Tensor
        `tensor` itself.

    Examples
    --------
    >>> from skgrad import nn
    >>> nn.init.zeros_(nn.Parameter([1.0, 2.0])).numpy()
    array([0., 0.])
    """
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill `tensor` with ones.

    Parameters
    ----------
    tensor : Tensor
        The leaf to fill, of any shape.

    Returns
    -------
    Tensor
        `tensor` itself.

    Examples
    --------
    >>> from skgrad import nn
    >>> nn.init.ones_(nn.Parameter([0.0, 2.0])).numpy()
    array([1., 1.])
    """
    return constant_(tensor, 1.0)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor by which a weight's scale makes up for an activation.

    Parameters
    ----------
    nonlinearity : {"linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"}
        The activation that follows the layer.
    param : float, default=None
        The negative slope of ``"leaky_relu"``; ``None`` means 0.01, as in PyTorch.
        Unused by the others.

    Returns
    -------
    float
        1 for linear and sigmoid, 5/3 for tanh, √2 for relu, √(2 / (1 + slope²)) for
        leaky_relu and 3/4 for selu.

    Raises
    ------
    ParameterError
        If `nonlinearity` is not one of the six.

    References
    ----------
    He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015, eq. 15, for the
    rectifiers; the other values are PyTorch's.

    Examples
    --------
    >>> from skgrad.nn.init import calculate_gain
    >>> round(calculate_gain("relu"), 6)
    1.414214
    """
    if nonlinearity not in _GAINS:
        raise ParameterError(
            f"The 'nonlinearity' parameter of calculate_gain must be one of "
            f"{sorted(_GAINS)}. Got {nonlinearity!r} instead."
            f"{did_you_mean(nonlinearity, _GAINS)}"
        )
    if nonlinearity != "leaky_relu":
        return _GAINS[nonlinearity]
    slope = 0.01 if param is None else param
    return math.sqrt(2.0 / (1.0 + slope**2))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Fill `tensor` with Glorot's uniform draws.

    They are uniform on ±gain·√(6 / (fan_in + fan_out)).

    Parameters
    ----------
    tensor : Tensor
        The leaf to fill, of shape ``(out, in, *kernel)``.
    gain : float, default=1.0
        A factor for the activation that follows, see `calculate_gain`.

    Returns
    -------
    Tensor
        `tensor` itself.

    Raises
    ------
    ShapeError
        If `tensor` has fewer than two axes.

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward
    neural networks", AISTATS 2010, eq. 16.

    Examples
    --------
    >>> from skgrad import nn
    >>> weight = nn.Parameter([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> bool(abs(nn.init.xavier_uniform_(weight).numpy()).max() <= (6 / 5) ** 0.5)
    True
    """
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain, "xavier_uniform_")
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Fill `tensor` with Glorot's normal draws.

    They have mean 0 and standard deviation gain·√(2 / (fan_in + fan_out)).

    Parameters
    ----------
    tensor : Tensor
        The leaf to fill, of shape ``(out, in, *kernel)``.
    gain : float, default=1.0
        A factor for the activation that follows, see `calculate_gain`.

    Returns
    -------
    Tensor
        `tensor` itself.

    Raises
    ------
    ShapeError
        If `tensor` has fewer than two axes.

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward
    neural networks", AISTATS 2010, eq. 12.

    Examples
    --------
    >>> from skgrad import nn
    >>> nn.init.xavier_normal_(nn.Parameter([[1.0, 1.0]]), gain=0.0).numpy()
    array([[0., 0.]])
    """
    return normal_(tensor, 0.0, _xavier_std(tensor, gain, "xavier_normal_"))


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: FanMode = "fan_in",
    nonlinearity: str = "leaky_relu",
) -> Tensor:
    """Fill `tensor` with He's uniform draws.

    They are uniform on ±gain·√(3 / fan).

    Parameters
    ----------
    tensor : Tensor
        The leaf to fill, of shape ``(out, in, *kernel)``.
    a : float, default=0.0
        The negative slope when `nonlinearity` is ``"leaky_relu"``; 0 is a ReLU.
    mode : {"fan_in", "fan_out"}, default="fan_in"
        Whose variance to keep: that of the forward pass or that of the gradient.
    nonlinearity : str, default="leaky_relu"
        The activation that follows, see `calculate_gain`.

    Returns
    -------
    Tensor
        `tensor` itself.

    Raises
    ------
    ShapeError
        If `tensor` has fewer than two axes.
    ParameterError
        If `mode` or `nonlinearity` is unknown.

    References
    ----------
    He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015, eq. 15.

    Examples
    --------
    >>> from skgrad import nn
    >>> weight = nn.Parameter([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> bool(abs(nn.init.kaiming_uniform_(weight).numpy()).max() <= 2**0.5)
    True
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_uniform_")
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: FanMode = "fan_in",
    nonlinearity: str = "leaky_relu",
) -> Tensor:
    """Fill `tensor` with He's normal draws.

    They have mean 0 and standard deviation gain / √fan.

    Parameters
    ----------
    tensor : Tensor
        The leaf to fill, of shape ``(out, in, *kernel)``.
    a : float, default=0.0
        The negative slope when `nonlinearity` is ``"leaky_relu"``; 0 is a ReLU.
    mode : {"fan_in", "fan_out"}, default="fan_in"
        Whose variance to keep: that of the forward pass or that of the gradient.
    nonlinearity : str, default="leaky_relu"
        The activation that follows, see `calculate_gain`.

    Returns
    -------
    Tensor
        `tensor` itself.

    Raises
    ------
    ShapeError
        If `tensor` has fewer than two axes.
    ParameterError
        If `mode` or `nonlinearity` is unknown.

    References
    ----------
    He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015, eq. 15.

    Examples
    --------
    >>> from skgrad import nn
    >>> nn.init.kaiming_normal_(nn.Parameter([[0.0, 0.0]])).shape
    (1, 2)
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_normal_")
    return normal_(tensor, 0.0, std)


def _fill(tensor: Tensor, values: np.ndarray[Any, Any]) -> Tensor:
    """Put float64 `values` into `tensor`, rounded to its dtype."""
    tensor.assign_(np.asarray(values).astype(tensor.dtype))
    return tensor


def _xavier_std(tensor: Tensor, gain: float, caller: str) -> float:
    """Return the standard deviation of Glorot's initialisation."""
    fan_in, fan_out = _fans(tensor, caller)
    return gain * math.sqrt(2.0 / max(fan_in + fan_out, 1))


def _kaiming_std(
    tensor: Tensor, a: float, mode: FanMode, nonlinearity: str, caller: str
) -> float:
    """Return the standard deviation of He's initialisation."""
    if mode not in ("fan_in", "fan_out"):
        raise ParameterError(
            f"The 'mode' parameter of {caller} must be 'fan_in' or 'fan_out'. "
            f"Got {mode!r} instead."
        )
    fan_in, fan_out = _fans(tensor, caller)
    fan = fan_in if mode == "fan_in" else fan_out
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def _fans(tensor: Tensor, caller: str) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a weight of shape (out, in, *kernel)."""
    if tensor.ndim < 2:
        raise ShapeError(
            f"{caller} needs a weight of shape (out, in, ...), at least two axes, to "
            f"know how many inputs feed an output. Got shape {tensor.shape}. "
            f"Use uniform_ or normal_ with a scale of your own."
        )
    outputs, inputs, *kernel = tensor.shape
    field = math.prod(kernel)
    return inputs * field, outputs * field
