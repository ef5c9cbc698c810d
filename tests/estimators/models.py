"""Losses and modules a user could write, importable so that workers find them."""

import skgrad
from skgrad import nn
from skgrad.losses import Loss


def fourth_power(y_true, raw_prediction):
    return (y_true - raw_prediction) ** 4


def asymmetric(y_true, raw_prediction):
    """Return squared errors that count four times where the prediction is low."""
    error = y_true - raw_prediction
    return skgrad.where(error > 0, 4.0 * error**2, error**2)


def squared_sum(y_true, raw_prediction):
    """Return squared errors summed over several outputs."""
    return skgrad.sum(0.5 * (y_true - raw_prediction) ** 2, axis=1)


def cross_entropy(y_true, raw_prediction):
    """Return the multinomial log loss, y_true holding codes."""
    codes = skgrad.reshape(y_true, (-1, 1))
    own = skgrad.take_along_axis(raw_prediction, codes, axis=1)[:, 0]
    return skgrad.logsumexp(raw_prediction, axis=1) - own


def squared_hinge(y_true, raw_prediction):
    """Return the squared hinge loss of codes 0 and 1."""
    return skgrad.relu(1.0 - (2.0 * y_true - 1.0) * raw_prediction) ** 2


class LaplaceNLL(Loss):
    """The negative log-likelihood of a Laplace distribution with its own scale."""

    task = "regression"
    raw_per_target = 2

    def pointwise(self, y_true, raw_prediction, **hyperparameters):
        location, log_scale = raw_prediction[:, 0], raw_prediction[:, 1]
        distance = abs(y_true - location)
        return log_scale + distance * skgrad.exp(-log_scale)


class LogMeanNLL(LaplaceNLL):
    """The same with the logarithm of the location as a raw prediction."""

    link = "log"

    def pointwise(self, y_true, raw_prediction, **hyperparameters):
        mean, log_scale = skgrad.exp(raw_prediction[:, 0]), raw_prediction[:, 1]
        return log_scale + abs(y_true - mean) * skgrad.exp(-log_scale)


def branching(y_true, raw_prediction):
    """Return squared errors after a look at a value, which no trace can record."""
    error = y_true - raw_prediction
    if float(error[0]) > 1e6:
        return abs(error)
    return 0.5 * error**2


class Residual(nn.Module):
    """A linear model plus a small network."""

    def __init__(self, n_features, n_outputs, hidden=8):
        super().__init__()
        self.linear = nn.Linear(n_features, n_outputs)
        self.network = nn.Sequential(
            nn.Linear(n_features, hidden), nn.Tanh(), nn.Linear(hidden, n_outputs)
        )

    def forward(self, x):
        return self.linear(x) + self.network(x)


class WithDropout(nn.Module):
    """A network with dropout."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.hidden = nn.Linear(n_features, 32)
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(32, n_outputs)

    def forward(self, x):
        return self.out(self.dropout(nn.ReLU()(self.hidden(x))))


class Counting(nn.Module):
    """A linear model with a buffer that counts its calls in training."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.linear = nn.Linear(n_features, n_outputs)
        self.register_buffer("n_calls", skgrad.tensor(0.0))

    def forward(self, x):
        if self.training:
            self.n_calls = self.n_calls + 1.0
        return self.linear(x)


class Bare(nn.Module):
    """A module without parameters."""

    def __init__(self, n_features, n_outputs):
        super().__init__()

    def forward(self, x):
        return x[:, :1]


class ThreeOutputs(nn.Module):
    """A module that ignores how many outputs it should have."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.linear = nn.Linear(n_features, 3)

    def forward(self, x):
        return self.linear(x)
