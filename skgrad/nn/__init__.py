"""Neural network modules: parameters, layers, containers, initialisers."""

from skgrad.nn import init
from skgrad.nn.activation import GELU, Identity, ReLU, Sigmoid, SiLU, Tanh
from skgrad.nn.container import Sequential
from skgrad.nn.dropout import Dropout
from skgrad.nn.linear import Linear
from skgrad.nn.module import Module
from skgrad.nn.parameter import Parameter, default_dtype
from skgrad.nn.stateless import functional_call

__all__ = [
    "GELU",
    "Dropout",
    "Identity",
    "Linear",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Tanh",
    "default_dtype",
    "functional_call",
    "init",
]
