"""Networks of several layers trained beside PyTorch's, thirty steps each."""

import numpy as np
import pytest
import torch

import skgrad
from skgrad import nn, optim

T = torch.nn


def images(m):
    # No bias in front of batch statistics: its derivative is rounding errors, of which
    # Adam makes whole steps.
    return m.Sequential(
        m.Conv2d(2, 4, 3, padding=1, bias=False),
        m.BatchNorm2d(4),
        m.ReLU(),
        m.MaxPool2d(2),
        m.Conv2d(4, 6, 2, groups=2),
        m.SiLU(),
        m.AvgPool2d(2, 1),
        m.Flatten(),
        m.Linear(6, 3),
        m.LogSoftmax(-1),
    )


def signals(m):
    return m.Sequential(
        m.Conv1d(2, 4, 3, dilation=2, bias=False),
        m.BatchNorm1d(4),
        m.PReLU(4),
        m.AvgPool1d(2),
        m.Conv1d(4, 4, 2, stride=2),
        m.GELU(),
        m.MaxPool1d(2),
        m.Flatten(),
        m.LayerNorm(8),
        m.Linear(8, 3),
    )


def categories(m):
    return m.Sequential(
        m.Embedding(7, 3, padding_idx=0),
        m.Flatten(),
        m.RMSNorm(12),
        m.Linear(12, 8),
        m.Mish(),
        m.Linear(8, 3),
        m.Softplus(),
    )


def sequences(m):
    first = {"batch_first": True} if m is T else {}
    return m.Sequential(
        m.TransformerEncoderLayer(
            4, 2, 8, dropout=0.0, norm_first=True, bias=False, **first
        ),
        m.TransformerEncoderLayer(
            4, 1, 6, dropout=0.0, activation="gelu", bias=False, **first
        ),
        m.Flatten(),
        m.Linear(20, 3),
    )


def recurrences(m):
    class Last(m.Module):
        def __init__(self):
            super().__init__()
            first = {"batch_first": True} if m is T else {}
            self.gru = m.GRU(4, 5, num_layers=2, bidirectional=True, **first)
            self.output = m.Linear(10, 3)

        def forward(self, x):
            out, _ = self.gru(x)
            return self.output(out[:, -1])

    return Last()


CASES = {
    "images": (images, (12, 2, 6, 6)),
    "signals": (signals, (12, 2, 20)),
    "categories": (categories, (12, 4)),
    "sequences": (sequences, (12, 5, 4)),
    "recurrences": (recurrences, (12, 5, 4)),
}
OPTIMIZERS = {
    "sgd": (optim.SGD, torch.optim.SGD, {"momentum": 0.9}, 0.02),
    "adamw": (optim.AdamW, torch.optim.AdamW, {"weight_decay": 0.1}, 0.01),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("case", CASES)
def test_thirty_steps(case, optimizer, rng):
    make, shape = CASES[case]
    torch.manual_seed(0)
    theirs = make(T).double()
    ours = make(nn)
    ours.load_state_dict({n: v.numpy() for n, v in theirs.state_dict().items()})
    own, reference, options, rate = OPTIMIZERS[optimizer]
    steps = own(ours.parameters(), lr=rate, **options)
    expected = reference(theirs.parameters(), lr=rate, **options)
    y = rng.standard_normal((shape[0], 3))
    for _ in range(30):
        if case == "categories":
            x = rng.integers(0, 7, size=shape)
        else:
            x = rng.standard_normal(shape)
        steps.zero_grad()
        ((ours(skgrad.tensor(x)) - y) ** 2).mean().backward()
        steps.step()
        expected.zero_grad()
        ((theirs(torch.tensor(x)) - torch.tensor(y)) ** 2).mean().backward()
        expected.step()
    found = ours.state_dict()
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, atol=1e-7)
