"""Primitives, gradient rules, losses and modules of users, importable by pickle."""

import skgrad
from skgrad import nn


@skgrad.elementwise(
    "{0} / (one + absolute({0}))", (lambda g, out, x: g * (1.0 - abs(out)) ** 2,)
)
def softsign(x):
    """Return x / (1 + abs(x)).

    {operands}
    """


def softsign_composed(x):
    return x / (1.0 + skgrad.absolute(x))


@skgrad.elementwise(
    "where(absolute({0}) < {1}, 0.5 * {0} * {0}, {1} * (absolute({0}) - half * {1}))",
    lambda g, out, x, delta: (
        g * skgrad.clip(x, -delta, delta),
        g * skgrad.relu(abs(x) - delta),
    ),
)
def huber(x, delta):
    """Return Huber's function."""


def huber_loss(y_true, raw_prediction):
    return huber(raw_prediction - y_true, 0.7)


def huber_composed(y_true, raw_prediction):
    error = skgrad.absolute(raw_prediction - y_true)
    return skgrad.where(error < 0.7, 0.5 * error**2, 0.7 * (error - 0.35))


@skgrad.custom_vjp(lambda g, out, x: (g,))
def straight_through(x):
    return skgrad.sign(x)


@skgrad.custom_vjp(lambda g, out, x, bound: (skgrad.clip(g, -bound, bound), None))
def clipped_gradient(x, bound):
    return x


def log1mexp_vjp(g, out, a):
    return (g / skgrad.expm1(a),)


@skgrad.custom_vjp(log1mexp_vjp)
def log1mexp(a):
    """Return log(1 - exp(-a)): Mächler (2012), eq. 7."""
    small = skgrad.log(-skgrad.expm1(-a))
    return skgrad.where(a < 0.693, small, skgrad.log1p(-skgrad.exp(-a)))


@skgrad.custom_vjp(lambda g, out, error: (g * skgrad.clip(error, -0.7, 0.7),))
def half_square(error):
    return 0.5 * error**2


def clipped_loss(y_true, raw_prediction):
    """Return half squared errors that are fitted like Huber's."""
    return half_square(raw_prediction - y_true)


class Binary(nn.Module):
    """Hidden units of value -1 and 1, and a user's primitive."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.hidden = nn.Linear(n_features, 6)
        self.out = nn.Linear(6, n_outputs)

    def forward(self, x):
        return self.out(straight_through(self.hidden(x)) + softsign(self.hidden(x)))
