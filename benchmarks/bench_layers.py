"""Layers in training: epochs of convolutions, a GRU and a transformer beside PyTorch.

    python benchmarks/bench_layers.py

The networks of examples/convolution.py and examples/sequences.py without dropout, on
their data, and a wider one on larger images, in float32 with AdamW: the same initial
weights, rows and permutations on both sides. The mean loss of the first epoch is
compared before anything is timed. An epoch of skgrad is a longer fit less a shorter
one, over the epochs between, its shuffle included; PyTorch's is one of a loop already
warm, permutations ready made. One thread and one core each, medians of interleaved
rounds. Writes results/bench_layers.md.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import platform
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

import skgrad
from skgrad import losses, nn, optim, train

HERE = Path(__file__).parent
RESULT = HERE / "results" / "bench_layers.md"
PEN = HERE.parent / "examples" / "data" / "pendigits.npz"
ROUNDS, BATCH, RATE = 7, 100, 1e-3
SHORT, LONG = 1, 5  # epochs of the two fits


def convolutions(m, channels=1, width=16, size=8):
    return m.Sequential(
        m.Conv2d(channels, width, 3, padding=1, bias=False),
        m.BatchNorm2d(width),
        m.ReLU(),
        m.MaxPool2d(2),
        m.Conv2d(width, 2 * width, 3, padding=1, bias=False),
        m.BatchNorm2d(2 * width),
        m.ReLU(),
        m.MaxPool2d(2),
        m.Flatten(),
        m.Linear(2 * width * (size // 4) ** 2, 10),
    )


def larger(m):
    return convolutions(m, channels=3, width=32, size=32)


def recurrent(m):
    class Recurrent(m.Module):
        def __init__(self):
            super().__init__()
            first = {"batch_first": True} if m is torch.nn else {}
            self.gru = m.GRU(2, 32, bidirectional=True, **first)
            self.output = m.Linear(64, 10)

        def forward(self, x):
            _, last = self.gru(x)
            join = torch.cat if m is torch.nn else skgrad.concatenate
            return self.output(join([last[0], last[1]], 1))

    return Recurrent()


def transformer(m):
    first = {"batch_first": True} if m is torch.nn else {}
    layers = [
        m.TransformerEncoderLayer(32, 4, 64, dropout=0.0, norm_first=True, **first)
        for _ in range(2)
    ]
    return m.Sequential(
        m.Linear(2, 32), *layers, m.LayerNorm(32), m.Flatten(), m.Linear(256, 10)
    )


def problems():
    """Yield a name, the maker of a network, inputs and class codes."""
    images, codes = load_digits(return_X_y=True)
    images = (images / 16.0).astype("float32").reshape(-1, 1, 8, 8)
    yield "two convolutions, 1797 x 1 x 8 x 8", convolutions, images, codes
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(1000, 3, 32, 32)).astype("float32")
    noise[np.arange(1000), 0, codes[:1000], :] += 2.0  # a bright row for each class
    yield "the same, wider, 1000 x 3 x 32 x 32 (simulated)", larger, noise, codes[:1000]
    with np.load(PEN) as data:
        paths = (data["X"].astype("float32") / 50.0 - 1.0).reshape(-1, 8, 2)
        codes = data["y"].astype("int64")
    yield "GRU, both directions, 10992 x 8 x 2", recurrent, paths, codes
    yield "two transformer layers, 10992 x 8 x 2", transformer, paths, codes


class Ours:
    """Fits through skgrad.train."""

    def __init__(self, model, X, y):
        self.objective = train.Objective(model, losses.LogLoss(), 10)
        self.data = train.Data(X, y, np.ones(len(y), "float32"))
        self.frame = train.Frame.identity(X.shape[1:], "float32")

    def fit(self, n_epochs):
        return train.fit_stochastic(
            self.objective,
            optim.AdamW(),
            optim.Constant(),
            self.data,
            self.frame,
            train.Settings(
                learning_rate=RATE, batch_size=BATCH, max_iter=n_epochs, tol=None
            ),
        )

    def permutation(self):
        parts = self.data.epoch(BATCH, 0, 0, True)
        return [rows for part in parts for rows in part]

    def seconds(self):
        times = []
        for n_epochs in (SHORT, LONG):
            start = time.perf_counter()
            self.fit(n_epochs)
            times.append(time.perf_counter() - start)
        return (times[1] - times[0]) / (LONG - SHORT)


class Theirs:
    """PyTorch's loop, eager."""

    def __init__(self, model, X, y, batches):
        self.model = model
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
        self.X, self.y = torch.tensor(X), torch.tensor(y)
        self.batches = [torch.tensor(rows) for rows in batches]

    def epoch(self):
        total = 0.0
        for rows in self.batches:
            self.optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(
                self.model(self.X[rows]), self.y[rows]
            )
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(rows)
        return total / len(self.y)

    def seconds(self):
        start = time.perf_counter()
        self.epoch()
        return time.perf_counter() - start


def control():
    """Return seconds of a product outside both libraries: is the machine steady?"""
    x = np.ones((500, 500))
    start = time.perf_counter()
    x @ x @ x
    return time.perf_counter() - start


def measured(make, X, y):
    """Return the medians of an epoch and of the control, and the first losses."""
    torch.manual_seed(0)
    reference = make(torch.nn)
    with nn.default_dtype("float32"):
        model = make(nn)
    state = {name: value.numpy() for name, value in reference.state_dict().items()}
    model.load_state_dict(state)
    ours = Ours(model, X, y)
    theirs = Theirs(reference, X, y, ours.permutation())
    fit = ours.fit(1)
    first = fit.epochs[0].objective, theirs.epoch()
    assert fit.executor == "cpu"
    assert abs(first[0] - first[1]) < 5e-3 * first[1], first
    rounds = [(ours.seconds(), theirs.seconds(), control()) for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)], first


def main():
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    lines = [
        "# Layers beside PyTorch",
        "",
        "Written by `python benchmarks/bench_layers.py`, which says what is compared.",
        f"Batches of {BATCH}, AdamW, float32, one thread; skgrad {skgrad.__version__}, "
        f"torch {torch.__version__}, Python {platform.python_version()}.",
        "",
        "| network and data | skgrad, s per epoch | PyTorch, eager | ratio | first "
        "epoch's loss | PyTorch's | control, ms |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, make, X, y in problems():
        (ours, theirs, steady), first = measured(make, X, y)
        lines.append(
            f"| {name} | {ours:.4f} | {theirs:.4f} | {theirs / ours:.2f} | "
            f"{first[0]:.4f} | {first[1]:.4f} | {1e3 * steady:.1f} |"
        )
        print(lines[-1], file=sys.stderr)
    RESULT.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
