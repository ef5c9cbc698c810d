"""Small training problems for the tests of the loops."""

import numpy as np

import skgrad
from skgrad import nn
from skgrad.losses import LOSSES, Huber, LogLoss, Quantile
from skgrad.train import Data, Frame, Objective, row_keys

# A row per registered loss, with hyperparameters away from their defaults, and one more
# for the two faces of the log loss.
LOSS_ROWS = {
    "squared_error": LOSSES["squared_error"](),
    "absolute_error": LOSSES["absolute_error"](),
    "huber": Huber(delta=0.37),
    "quantile": Quantile(quantile=0.83),
    "log_cosh": LOSSES["log_cosh"](),
    "poisson": LOSSES["poisson"](),
    "log_loss": LogLoss(),
    "log_loss-multinomial": LogLoss(),
}


def make_network(n_features=3, n_outputs=1, dropout=0.0, seed=0, dtype="float64"):
    with skgrad.random_seed(seed), nn.default_dtype(dtype):
        layers = [nn.Linear(n_features, 5), nn.Tanh()]
        layers += [nn.Dropout(dropout)] if dropout else []
        return nn.Sequential(*layers, nn.Linear(5, n_outputs))


def make_targets(name, rng, n):
    """Return targets for a row of `LOSS_ROWS` and the number of outputs."""
    if name == "log_loss":
        return rng.integers(0, 2, size=n).astype(np.float64), None
    if name == "log_loss-multinomial":
        return rng.integers(0, 3, size=n), 3
    if name == "poisson":
        return rng.poisson(2.0, size=n).astype(np.float64), None
    return rng.normal(size=n), None


def make_frame(dtype="float64"):
    numbers = [np.array([0.3, -0.2, 0.1]), np.array([1.5, 0.5, 2.0]), 0.25, 0.0, 1.0]
    return Frame(*(np.asarray(x, dtype=dtype) for x in numbers))


def make_problem(name="squared_error", n=23, dropout=0.0, rng=None, **penalty):
    """Return an objective, data with weights and a frame."""
    rng = rng or np.random.default_rng(0)
    X, w = rng.normal(size=(n, 3)), rng.uniform(0.2, 2.0, size=n)
    y, n_outputs = make_targets(name, rng, n)
    module = make_network(n_outputs=n_outputs or 1, dropout=dropout)
    objective = Objective(module, LOSS_ROWS[name], n_outputs, **penalty)
    return objective, Data(X, y, w / w.mean(), row_keys(X)), make_frame()
