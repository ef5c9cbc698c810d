"""Small training problems for the tests of the loops."""

import numpy as np

import skgrad
from skgrad import nn
from skgrad.losses import (
    LOSSES,
    Expectile,
    Focal,
    Huber,
    LambdaRank,
    LogLoss,
    Loss,
    PairwiseLogistic,
    Quantile,
    Quantiles,
    StudentTNLL,
    Tweedie,
)
from skgrad.train import Data, Frame, Objective, row_keys

# A row per registered loss, with hyperparameters away from their defaults, and one more
# for the second face of a loss of class codes.
LOSS_ROWS = {
    "squared_error": LOSSES["squared_error"](),
    "absolute_error": LOSSES["absolute_error"](),
    "huber": Huber(delta=0.37),
    "quantile": Quantile(quantile=0.83),
    "quantiles": Quantiles(quantiles=(0.37, 0.83)),
    "log_cosh": LOSSES["log_cosh"](),
    "poisson": LOSSES["poisson"](),
    "log_loss": LogLoss(),
    "log_loss-multinomial": LogLoss(),
    "expectile": Expectile(expectile=0.83),
    "gamma": LOSSES["gamma"](),
    "tweedie": Tweedie(power=1.7),
    "focal": Focal(gamma=1.3),
    "focal-multinomial": Focal(gamma=1.3),
    "hinge": LOSSES["hinge"](),
    "hinge-multinomial": LOSSES["hinge"](),
    "squared_hinge": LOSSES["squared_hinge"](),
    "squared_hinge-multinomial": LOSSES["squared_hinge"](),
    "kl_div": LOSSES["kl_div"](),
    "gaussian_nll": LOSSES["gaussian_nll"](),
    "student_t_nll": StudentTNLL(df=3.7),
    "pairwise_logistic": PairwiseLogistic(sigma=0.7),
    "lambdarank": LambdaRank(k=2, sigma=0.7),
    "listnet": LOSSES["listnet"](),
}


class Together(Loss):
    """The sum of losses that take the same targets and raw predictions.

    Compiled as one program, they share its kernels.
    """

    def __init__(self, *names):
        self.losses = {name: LOSS_ROWS[name] for name in names}

    def hyperparameters(self):
        return {
            f"{name}_{key}": value
            for name, loss in self.losses.items()
            for key, value in loss.hyperparameters().items()
        }

    def pointwise(self, y_true, raw_prediction, **hyperparameters):
        total = 0.0
        for name, loss in self.losses.items():
            own = {k: hyperparameters[f"{name}_{k}"] for k in loss.hyperparameters()}
            total = total + loss.pointwise(y_true, raw_prediction, **own)
        return total


def make_network(n_features=3, n_outputs=1, dropout=0.0, seed=0, dtype="float64"):
    with skgrad.random_seed(seed), nn.default_dtype(dtype):
        layers = [nn.Linear(n_features, 5), nn.Tanh()]
        layers += [nn.Dropout(dropout)] if dropout else []
        return nn.Sequential(*layers, nn.Linear(5, n_outputs))


def make_targets(name, rng, n):
    """Return targets for a row of `LOSS_ROWS` and the number of raw predictions."""
    loss = LOSS_ROWS[name]
    if loss.task == "ranking":
        y = rng.integers(0, 3, size=(n, 3)).astype(np.float64)
        y[rng.random(size=n) < 0.3, 2] = np.nan
        return y, 3
    if name.endswith("-multinomial"):
        return rng.integers(0, 3, size=n), 3
    if loss.labels:
        return rng.integers(0, 2, size=n).astype(np.float64), None
    if name == "kl_div":
        return rng.dirichlet(np.ones(3), size=n), 3
    if loss.link == "log":
        low = 0.0 if loss.y_domain.contains(0.0) else 0.5
        return rng.poisson(2.0, size=n) + low, None
    return rng.normal(size=n), None if loss.raw_per_target == 1 else 2


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
