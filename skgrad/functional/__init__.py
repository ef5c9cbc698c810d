"""Compositions of operations: no gradient rule of their own."""

from skgrad.functional.activation import (
    celu,
    elu,
    gelu,
    leaky_relu,
    log_sigmoid,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    silu,
)
from skgrad.functional.arranging import (
    one_hot,
    sort,
    stack,
    take_along_axis,
    unstack,
)
from skgrad.functional.attention import (
    attention_weights,
    scaled_dot_product_attention,
)
from skgrad.functional.convolution import conv1d, conv2d
from skgrad.functional.normalization import layer_norm, rms_norm
from skgrad.functional.pooling import avg_pool1d, avg_pool2d, max_pool1d, max_pool2d
from skgrad.functional.random import dropout
from skgrad.functional.soft_maxima import log_softmax, logsumexp, softmax
from skgrad.functional.statistics import dot, mean, norm, std, var

__all__ = [
    "attention_weights",
    "avg_pool1d",
    "avg_pool2d",
    "celu",
    "conv1d",
    "conv2d",
    "dot",
    "dropout",
    "elu",
    "gelu",
    "layer_norm",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "max_pool1d",
    "max_pool2d",
    "mean",
    "mish",
    "norm",
    "one_hot",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "scaled_dot_product_attention",
    "selu",
    "silu",
    "softmax",
    "sort",
    "stack",
    "std",
    "take_along_axis",
    "unstack",
    "var",
]
