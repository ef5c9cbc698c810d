"""Sequences: a GRU and a small transformer on handwritten digits, point by point.

Pen-based digits: each is a path of eight points (x, y) on a tablet. Train and test
rows come from different writers. Beside two models of the sixteen numbers as they are,
for which the order means nothing: logistic regression, and nearest neighbours, which
the data set's authors report at 97.74 % (one neighbour).
"""

from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skgrad
from skgrad import ModuleClassifier, nn

DATA = Path(__file__).parent / "data" / "pendigits.npz"
N_TRAIN, LENGTH, N_FEATURES = 7494, 8, 2  # the official split


class Recurrent(nn.Module):
    """A GRU in both directions; the classes from the last states."""

    def __init__(self, n_features, n_outputs, hidden=32):
        super().__init__()
        self.gru = nn.GRU(N_FEATURES, hidden, bidirectional=True)
        self.output = nn.Linear(2 * hidden, n_outputs)

    def forward(self, x):
        _, last = self.gru(x.reshape((-1, LENGTH, N_FEATURES)))
        return self.output(skgrad.concatenate([last[0], last[1]], axis=1))


class Transformer(nn.Module):
    """Two layers of attention; the classes from the mean over the points."""

    def __init__(self, n_features, n_outputs, width=32, n_heads=4):
        super().__init__()
        self.embed = nn.Linear(N_FEATURES, width)
        self.position = nn.Parameter(np.zeros((LENGTH, width), dtype="float32"))
        nn.init.normal_(self.position, std=0.5)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, n_heads, 2 * width, dropout=0.0, norm_first=True
            )
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, n_outputs)

    def forward(self, x):
        x = self.embed(x.reshape((-1, LENGTH, N_FEATURES))) + self.position
        for layer in self.layers:
            x = layer(x)
        return self.output(self.norm(x).mean(axis=1))


def main():
    with np.load(DATA) as data:
        X, y = data["X"].astype("float32"), data["y"]
    X_train, X_test = X[:N_TRAIN], X[N_TRAIN:]
    y_train, y_test = y[:N_TRAIN], y[N_TRAIN:]

    shared = {
        "optimizer": "adamw",
        "schedule": "cosine",
        "batch_size": 100,
        "max_iter": 20,
        "tol": None,
        "random_state": 0,
    }
    models = {
        "LogisticRegression": make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=1000)
        ),
        "KNeighborsClassifier(1)": KNeighborsClassifier(1),
        "GRU": ModuleClassifier(module=Recurrent, learning_rate=0.01, **shared),
        "Transformer": ModuleClassifier(
            module=Transformer, learning_rate=0.005, **shared
        ),
    }
    print("Accuracy on the digits of other writers")
    for name, model in models.items():
        accuracy = model.fit(X_train, y_train).score(X_test, y_test)
        print(f"{name:26}{accuracy:.4f}")


if __name__ == "__main__":
    main()
