"""The first steps of the textbook, computed by hand.

Start w = 1, learning rate 0.1, gradients 4 and then -2; the arithmetic of each row is
written out beside it.
"""

import math

import numpy as np
import pytest

import skgrad
from skgrad.optim import SGD, Adagrad, Adam, AdamW, Lion, NAdam, RMSprop

RATE = 0.1

# Adam, b1 = 0.5 and b2 = 0.75. First step: mu = 2, nu = 4, corrected 4 and 16, ratio 1.
# Second: mu = 1 - 1 = 0, nu = 3 + 1 = 4: no step.
# RMSprop, rho = 0.75: nu = 4, step 4 / 2; nu = 3 + 1 = 4, step -2 / 2.
# Adagrad: total = 16, step 4 / 4; total = 20, step -2 / sqrt 20; from 9: 25 and 29.
# Lion, b1 = 0.5 and b2 = 0.75: c = 2, mu = 1; c = 0.5 - 1 < 0. With b1 = 0.9, c of the
# second step is 0.9 - 0.2 > 0.
# NAdam without decay: every momentum is b1 / 2 = 0.25. First step: mu = 2, corrected
# nu = 16, 0.25 / (1 - 0.25²) * 2 + 0.75 / (1 - 0.25) * 4 = 68 / 15. Second: mu = 0,
# nu / (1 - 0.75²) = 4 / 0.4375, 0.75 / (1 - 0.25²) * -2 = -1.6.
ROWS = [
    (Adagrad(eps=0.0), [1 - 0.1, 0.9 + 0.2 / math.sqrt(20)]),
    (Adagrad(eps=1.0), [1 - 0.08, 0.92 + 0.2 / (math.sqrt(20) + 1)]),
    (
        Adagrad(eps=0.0, initial_accumulator_value=9.0),
        [1 - 0.08, 0.92 + 0.2 / math.sqrt(29)],
    ),
    (Adagrad(eps=0.0, lr_decay=1.0), [1 - 0.1, 0.9 + 0.1 / math.sqrt(20)]),
    (Lion(b1=0.5, b2=0.75), [1 - 0.1, 0.9 + 0.1]),
    (Lion(b1=0.9, b2=0.75), [1 - 0.1, 0.9 - 0.1]),
    (Lion(b1=0.5, b2=0.75, weight_decay=2.0), [1 - 0.3, 0.7 - 0.1 * (-1 + 1.4)]),
    (
        NAdam(b1=0.5, b2=0.75, eps=0.0, momentum_decay=0.0),
        [1 - 0.1 * 17 / 15, 1 - 0.1 * 17 / 15 + 0.16 / math.sqrt(4 / 0.4375)],
    ),
    (SGD(), [1 - 0.4, 0.6 + 0.2]),
    (SGD(momentum=0.5), [1 - 0.4, 0.6 - 0.1 * (2 - 2)]),
    (SGD(momentum=0.5, nesterov=True), [1 - 0.1 * 6, 0.4 - 0.1 * (-2 + 0)]),
    (SGD(weight_decay=2.0), [1 - 0.1 * 6, 0.4 - 0.1 * (-2 + 0.8)]),
    (RMSprop(rho=0.75, eps=0.0), [1 - 0.2, 0.8 + 0.1]),
    (RMSprop(rho=0.75, eps=2.0), [1 - 0.1, 0.9 + 0.05]),
    (RMSprop(rho=0.75, eps=0.0, momentum=0.5), [1 - 0.2, 0.8 - 0.1 * (1 - 1)]),
    (Adam(b1=0.5, b2=0.75, eps=0.0), [1 - 0.1, 0.9]),
    (Adam(b1=0.0, b2=0.75, eps=0.0), [0.9, 0.9 + 0.2 / math.sqrt(4 / 0.4375)]),
    (Adam(b1=0.5, b2=0.75, eps=4.0), [1 - 0.05, 0.95]),
    (AdamW(b1=0.5, b2=0.75, eps=0.0, weight_decay=0.5), [0.85, 0.85 * 0.95]),
]


@pytest.mark.parametrize(("optimizer", "expected"), ROWS, ids=repr)
def test_first_two_steps(optimizer, expected):
    w = skgrad.tensor([1.0])
    state = optimizer.init(w)
    hyper = {**optimizer.hyperparameters(), "learning_rate": RATE}
    for gradient, value in zip([4.0, -2.0], expected, strict=True):
        w, state = optimizer.update(skgrad.tensor([gradient]), state, w, hyper)
        np.testing.assert_allclose(w.numpy(), [value], rtol=1e-14)


def test_adam_counts_its_steps():
    adam, w = Adam(), skgrad.tensor([1.0])
    state = adam.init(w)
    hyper = {**adam.hyperparameters(), "learning_rate": RATE}
    for expected in (0.0, 1.0, 2.0):
        (moments,) = [link for link in state if link]
        assert moments.count.item() == expected
        assert moments.count.dtype == np.float64
        w, state = adam.update(w, state, w, hyper)


def test_bias_correction_is_computed_in_float64():
    # 1 - b2 is 1e-7 to three digits only in float32, and the first step would be off.
    adam, w = Adam(b1=0.0, b2=1 - 1e-7, eps=0.0), skgrad.tensor([0.0], dtype="float32")
    hyper = {**adam.hyperparameters(), "learning_rate": 1.0}
    g = skgrad.tensor([3.0], dtype="float32")
    w, _ = adam.update(g, adam.init(w), w, hyper)
    np.testing.assert_allclose(w.numpy(), [-1.0], rtol=1e-6)


def test_nesterov_needs_momentum():
    with pytest.raises(ValueError, match="needs a positive 'momentum'"):
        SGD(nesterov=True).validate()
    with pytest.raises(ValueError, match=r"nesterov.*must be True or False"):
        SGD(momentum=0.9, nesterov=1).validate()
