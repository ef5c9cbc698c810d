"""Small networks that use every module, a family at a time.

All map (n, 3) to (n, 1). There is no bias that does not matter, such as one in front of
batch statistics: its derivative is rounding errors, and Adam makes whole steps of them.
"""

import numpy as np

import skgrad
from skgrad import nn, ops

ELEMENTWISE = {
    "CELU": lambda: nn.CELU(0.7),
    "ELU": lambda: nn.ELU(0.7),
    "GELU": nn.GELU,
    "Identity": nn.Identity,
    "LeakyReLU": lambda: nn.LeakyReLU(0.2),
    "Mish": nn.Mish,
    "ReLU": nn.ReLU,
    "ReLU6": nn.ReLU6,
    "SELU": nn.SELU,
    "SiLU": nn.SiLU,
    "Sigmoid": nn.Sigmoid,
    "Softplus": lambda: nn.Softplus(0.7),
    "Tanh": nn.Tanh,
}


class Activations(nn.Module):
    """The mean of all activations."""

    USES = frozenset(ELEMENTWISE) | {"Linear", "ModuleDict"}

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 5), nn.Linear(5, 1)
        made = {name: make() for name, make in ELEMENTWISE.items()}
        self.activations = nn.ModuleDict(made)

    def forward(self, x):
        hidden = self.first(x)
        total = sum(activation(hidden) for activation in self.activations.values())
        return self.last(total / len(self.activations))


class Images(nn.Module):
    """Two convolutions of images, poolings and batch statistics."""

    USES = frozenset(
        {"AvgPool2d", "BatchNorm2d", "Conv2d", "Flatten", "MaxPool2d", "Sequential"}
    )

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 2 * 6 * 4)
        self.layers = nn.Sequential(
            nn.Conv2d(2, 4, (3, 2), padding=(1, 0), stride=(1, 1), bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d((2, 1)),
            nn.Conv2d(4, 4, 2, groups=2, bias=False),
            nn.AvgPool2d(2, 1),
            nn.Flatten(),
            nn.Linear(4, 1),
        )

    def forward(self, x):
        return self.layers(self.first(x).reshape((-1, 2, 6, 4)))


class Signals(nn.Module):
    """Convolutions along one axis."""

    USES = frozenset(
        {"AvgPool1d", "BatchNorm1d", "Conv1d", "Increasing", "MaxPool1d", "PReLU"}
        | {"Residual"}
    )

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 2 * 12)
        self.layers = nn.Sequential(
            nn.Conv1d(2, 3, 3, dilation=2, bias=False),
            nn.BatchNorm1d(3),
            nn.PReLU(3),
            nn.MaxPool1d(3, 2, padding=1),
            nn.Residual(nn.Conv1d(3, 3, 3, padding="same")),
            nn.AvgPool1d(2),
            nn.Flatten(),
            nn.Increasing(),
            nn.Linear(6, 1),
        )

    def forward(self, x):
        return self.layers(self.first(x).reshape((-1, 2, 12)))


class Sequences(nn.Module):
    """Attention and a recurrence."""

    USES = frozenset(
        {"Dropout", "GRU", "LayerNorm", "MultiheadAttention", "RMSNorm"}
        | {"TransformerEncoderLayer"}
    )

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 5 * 4)
        self.encoder = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.1, bias=False)
        self.norm = nn.RMSNorm(4)
        self.gru = nn.GRU(4, 3, bidirectional=True)
        self.attention = nn.MultiheadAttention(6, 3, dropout=0.1, bias=False)
        self.last = nn.Linear(6, 1)

    def forward(self, x):
        x = self.norm(self.encoder(self.first(x).reshape((-1, 5, 4)), is_causal=True))
        x, _ = self.gru(x)
        x, _ = self.attention(x, x, x, need_weights=False)
        return self.last(x.mean(axis=1))


class Tables(nn.Module):
    """Embeddings of codes, and constrained parameters."""

    USES = frozenset(
        {"Bounded", "Constraint", "Embedding", "LogSoftmax", "ModuleList", "Positive"}
        | {"Simplex", "Softmax"}
    )

    def __init__(self):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(4, 2, padding_idx=0) for _ in range(3))
        self.positive = nn.parametrize(nn.Linear(6, 3), "weight", nn.Positive())
        self.bounded = nn.parametrize(nn.Linear(3, 3), "weight", nn.Bounded(-1.0, 2.0))
        self.shares = nn.Parameter(np.zeros(3))
        nn.parametrize(self, "shares", nn.Simplex())
        self.softmax, self.log_softmax = nn.Softmax(), nn.LogSoftmax()

    def forward(self, x):
        codes = ops.astype(ops.clip(ops.floor(x) + 2.0, 0.0, 3.0), "int64")
        parts = [table(codes[:, i]) for i, table in enumerate(self.tables)]
        hidden = self.positive(ops.concatenate(parts, axis=1))
        hidden = self.softmax(hidden) + 0.1 * self.log_softmax(self.bounded(x))
        return skgrad.sum(hidden * self.shares, axis=1, keepdims=True)


FAMILIES = [Activations, Images, Sequences, Signals, Tables]
