"""Neural network modules: parameters, layers, containers, initialisers."""

from skgrad.nn import init
from skgrad.nn.activation import (
    GELU,
    Identity,
    LogSoftmax,
    Mish,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from skgrad.nn.attention import MultiheadAttention, TransformerEncoderLayer
from skgrad.nn.container import ModuleDict, ModuleList, Residual, Sequential
from skgrad.nn.convolution import Conv1d, Conv2d
from skgrad.nn.dropout import Dropout
from skgrad.nn.embedding import Embedding
from skgrad.nn.flatten import Flatten
from skgrad.nn.increasing import Increasing
from skgrad.nn.linear import Linear
from skgrad.nn.module import Module
from skgrad.nn.normalization import BatchNorm1d, BatchNorm2d, LayerNorm, RMSNorm
from skgrad.nn.parameter import Parameter, default_dtype
from skgrad.nn.parametrize import (
    Bounded,
    Constraint,
    Positive,
    Simplex,
    parametrize,
)
from skgrad.nn.pooling import AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
from skgrad.nn.rectifier import CELU, ELU, SELU, LeakyReLU, PReLU, ReLU, ReLU6
from skgrad.nn.recurrent import GRU
from skgrad.nn.stateless import functional_call

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GRU",
    "SELU",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Bounded",
    "Constraint",
    "Conv1d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "Identity",
    "Increasing",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool1d",
    "MaxPool2d",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "PReLU",
    "Parameter",
    "Positive",
    "RMSNorm",
    "ReLU",
    "ReLU6",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Simplex",
    "Softmax",
    "Softplus",
    "Tanh",
    "TransformerEncoderLayer",
    "default_dtype",
    "functional_call",
    "init",
    "parametrize",
]
