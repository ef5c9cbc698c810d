"""A row for every layer: how to make it, PyTorch's counterpart, what it is given.

Where PyTorch has the layer, its ``state_dict`` is loaded by name and the results are
compared; otherwise ``torch`` is a function of a PyTorch tensor that says the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from skgrad import nn


@dataclass(frozen=True)
class Row:
    """A layer, its counterpart and the shapes of its inputs."""

    ours: Callable[[], nn.Module]
    torch: Callable[[], Any]
    shapes: tuple[tuple[int, ...], ...]
    call: Callable[..., Any] = lambda layer, *xs: layer(*xs)
    integers: int | None = None

    def args(self, rng, dtype="float64"):
        if self.integers is not None:
            return [rng.integers(0, self.integers, size=s) for s in self.shapes]
        return [(2 * rng.standard_normal(s)).astype(dtype) for s in self.shapes]

    def pair(self, dtype="float64"):
        """Return both layers with the same parameters and buffers."""
        kind = {"float32": torch.float32, "float64": torch.float64}[dtype]
        theirs = self.torch()
        if not isinstance(theirs, torch.nn.Module):
            return self.ours().to(dtype=dtype), theirs
        theirs = theirs.to(kind)
        ours = self.ours().to(dtype=dtype)
        state = {name: value.numpy() for name, value in theirs.state_dict().items()}
        ours.load_state_dict(state)
        return ours, theirs


def elementwise(ours, theirs):
    return Row(ours, theirs, ((4, 3, 5),))


def _attention(*masks, **settings):
    """Return a call of both kinds of layers, with masks."""

    def call(layer, x, *others):
        theirs = isinstance(layer, torch.nn.Module)
        given = [torch.tensor(m) if theirs and m is not None else m for m in masks]
        key = others[0] if others else x
        if theirs:
            mask = {"key_padding_mask": given[0], "attn_mask": given[1]}
            return layer(x, key, key, **mask, **settings)
        return layer(x, key, key, given[0], True, given[1], **settings)

    return call


PADDING = np.array([[False, False, True], [False, True, False]])
CAUSAL = np.triu(np.ones((3, 3), dtype=bool), 1)
BIAS = np.linspace(-1.0, 1.0, 9).reshape(3, 3)

T = torch.nn
BATCH_FIRST = {"batch_first": True, "dtype": torch.float64}

LAYERS = {
    "Identity": elementwise(nn.Identity, T.Identity),
    "ReLU": elementwise(nn.ReLU, T.ReLU),
    "ReLU6": elementwise(nn.ReLU6, T.ReLU6),
    "LeakyReLU": elementwise(lambda: nn.LeakyReLU(0.2), lambda: T.LeakyReLU(0.2)),
    "ELU": elementwise(lambda: nn.ELU(0.7), lambda: T.ELU(0.7)),
    # PyTorch keeps 1 / alpha in single precision.
    "CELU": elementwise(lambda: nn.CELU(0.5), lambda: T.CELU(0.5)),
    "SELU": elementwise(nn.SELU, T.SELU),
    "PReLU": elementwise(nn.PReLU, T.PReLU),
    "PReLU-channels": elementwise(lambda: nn.PReLU(3), lambda: T.PReLU(3)),
    "Tanh": elementwise(nn.Tanh, T.Tanh),
    "Sigmoid": elementwise(nn.Sigmoid, T.Sigmoid),
    "SiLU": elementwise(nn.SiLU, T.SiLU),
    "Mish": elementwise(nn.Mish, T.Mish),
    "GELU": elementwise(nn.GELU, T.GELU),
    "GELU-tanh": elementwise(
        lambda: nn.GELU(approximate="tanh"), lambda: T.GELU(approximate="tanh")
    ),
    "Softplus": elementwise(lambda: nn.Softplus(0.5), lambda: T.Softplus(0.5, 100.0)),
    "Softmax": elementwise(lambda: nn.Softmax(1), lambda: T.Softmax(1)),
    "LogSoftmax": elementwise(nn.LogSoftmax, lambda: T.LogSoftmax(-1)),
    "Increasing": elementwise(
        nn.Increasing,
        lambda: (
            lambda x: torch.cat(
                [x[..., :1], T.functional.softplus(x[..., 1:])], -1
            ).cumsum(-1)
        ),
    ),
    "Flatten": elementwise(nn.Flatten, T.Flatten),
    "Linear": Row(lambda: nn.Linear(5, 2), lambda: T.Linear(5, 2), ((4, 3, 5),)),
    "Embedding": Row(
        lambda: nn.Embedding(6, 3), lambda: T.Embedding(6, 3), ((4, 5),), integers=6
    ),
    "Embedding-padding": Row(
        lambda: nn.Embedding(6, 3, padding_idx=-2),
        lambda: T.Embedding(6, 3, padding_idx=-2),
        ((4, 5),),
        integers=6,
    ),
    "BatchNorm1d": Row(lambda: nn.BatchNorm1d(3), lambda: T.BatchNorm1d(3), ((5, 3),)),
    "BatchNorm1d-length": Row(
        lambda: nn.BatchNorm1d(3, eps=0.1, momentum=None),
        lambda: T.BatchNorm1d(3, eps=0.1, momentum=None),
        ((5, 3, 4),),
    ),
    "BatchNorm2d": Row(
        lambda: nn.BatchNorm2d(3, momentum=0.5, affine=False),
        lambda: T.BatchNorm2d(3, momentum=0.5, affine=False),
        ((2, 3, 4, 2),),
    ),
    "LayerNorm": Row(
        lambda: nn.LayerNorm((3, 5)), lambda: T.LayerNorm((3, 5)), ((4, 3, 5),)
    ),
    "LayerNorm-plain": Row(
        lambda: nn.LayerNorm(5, eps=0.1, bias=False),
        lambda: T.LayerNorm(5, eps=0.1, bias=False),
        ((4, 5),),
    ),
    "RMSNorm": Row(lambda: nn.RMSNorm(5), lambda: T.RMSNorm(5), ((4, 3, 5),)),
    "Conv1d": Row(
        lambda: nn.Conv1d(2, 3, 3, stride=2, padding=1, dilation=2),
        lambda: T.Conv1d(2, 3, 3, stride=2, padding=1, dilation=2),
        ((4, 2, 9),),
    ),
    "Conv1d-same": Row(
        lambda: nn.Conv1d(4, 4, 3, padding="same", groups=2, bias=False),
        lambda: T.Conv1d(4, 4, 3, padding="same", groups=2, bias=False),
        ((2, 4, 6),),
    ),
    "Conv2d": Row(
        lambda: nn.Conv2d(2, 3, (3, 2), stride=(1, 2), padding=(1, 0)),
        lambda: T.Conv2d(2, 3, (3, 2), stride=(1, 2), padding=(1, 0)),
        ((2, 2, 5, 6),),
    ),
    "Conv2d-depthwise": Row(
        lambda: nn.Conv2d(3, 6, 3, dilation=2, groups=3, padding="valid"),
        lambda: T.Conv2d(3, 6, 3, dilation=2, groups=3, padding="valid"),
        ((2, 3, 7, 6),),
    ),
    "MaxPool1d": Row(
        lambda: nn.MaxPool1d(3, stride=2, padding=1),
        lambda: T.MaxPool1d(3, stride=2, padding=1),
        ((2, 3, 8),),
    ),
    "MaxPool2d": Row(lambda: nn.MaxPool2d(2), lambda: T.MaxPool2d(2), ((2, 3, 4, 7),)),
    "MaxPool2d-dilated": Row(
        lambda: nn.MaxPool2d((2, 3), 1, (1, 0), (2, 1)),
        lambda: T.MaxPool2d((2, 3), 1, (1, 0), (2, 1)),
        ((2, 3, 4, 7),),
    ),
    "AvgPool1d": Row(
        lambda: nn.AvgPool1d(3, stride=2, padding=1),
        lambda: T.AvgPool1d(3, stride=2, padding=1),
        ((2, 3, 8),),
    ),
    "AvgPool2d": Row(
        lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        lambda: T.AvgPool2d(3, 2, 1, count_include_pad=False),
        ((2, 3, 5, 4),),
    ),
    "MultiheadAttention": Row(
        lambda: nn.MultiheadAttention(4, 2),
        lambda: T.MultiheadAttention(4, 2, **BATCH_FIRST),
        ((2, 3, 4),),
        _attention(PADDING, CAUSAL),
    ),
    "MultiheadAttention-cross": Row(
        lambda: nn.MultiheadAttention(4, 1, bias=False),
        lambda: T.MultiheadAttention(4, 1, bias=False, **BATCH_FIRST),
        ((2, 5, 4), (2, 3, 4)),
        _attention(None, None),
    ),
    "TransformerEncoderLayer": Row(
        lambda: nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0),
        lambda: T.TransformerEncoderLayer(4, 2, 6, dropout=0.0, **BATCH_FIRST),
        ((2, 3, 4),),
    ),
    "TransformerEncoderLayer-first": Row(
        lambda: nn.TransformerEncoderLayer(
            4, 1, 6, 0.0, "gelu", norm_first=True, layer_norm_eps=1e-3
        ),
        lambda: T.TransformerEncoderLayer(
            4, 1, 6, 0.0, "gelu", norm_first=True, layer_norm_eps=1e-3, **BATCH_FIRST
        ),
        ((2, 3, 4),),
    ),
    "GRU": Row(
        lambda: nn.GRU(3, 4), lambda: T.GRU(3, 4, batch_first=True), ((2, 5, 3),)
    ),
    "GRU-deep": Row(
        lambda: nn.GRU(3, 4, num_layers=2, bidirectional=True, bias=False),
        lambda: T.GRU(3, 4, 2, bidirectional=True, bias=False, batch_first=True),
        ((2, 3, 3), (4, 2, 4)),
    ),
    "Sequential": Row(
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)),
        lambda: T.Sequential(T.Linear(3, 4), T.Tanh(), T.Linear(4, 2)),
        ((5, 3),),
    ),
    "Residual": Row(
        lambda: nn.Residual(nn.Tanh()), lambda: lambda x: x + x.tanh(), ((5, 3),)
    ),
}

# Not compared here, and why.
WITHOUT = {
    "Dropout": "random: tests/nn/test_dropout.py",
    "Bounded": "a constraint: tests/nn/test_parametrize.py",
    "Constraint": "the base class of constraints",
    "Module": "the base class",
    "ModuleDict": "has no forward",
    "ModuleList": "has no forward",
    "Positive": "a constraint: tests/nn/test_parametrize.py",
    "Simplex": "a constraint: tests/nn/test_parametrize.py",
}
