"""Training steps of small problems, traced: what runs them is for a test to choose.

They need NumPy only, so that a device may be tested where nothing else is installed.
"""

from functools import partial

import numpy as np
from train.problems import make_frame, make_problem

import skgrad
from skgrad import nn
from skgrad.core import tree_leaves, tree_map
from skgrad.core.random import STREAMS
from skgrad.executor import Rows, Table, Traced
from skgrad.losses import SquaredError
from skgrad.optim import OPTIMIZERS, Adam, Constant
from skgrad.train import Data, Objective, initial_state, mode, row_keys

STOCHASTIC = {n: cls for n, cls in OPTIMIZERS.items() if cls.stochastic}
EVERYTHING = {"alpha": 0.0173, "l1_ratio": 0.31, "clip_norm": 0.29, "dropout": 0.21}
OPTIONS = {"sgd": {"momentum": 0.9, "nesterov": True}}
ALWAYS = np.inf  # runs of a program that make compiling worth while
N_ROWS = 10


def hyper_of(objective, optimizer, frame, seed=7):
    return {
        **objective.hyper(frame),
        "key": np.array([seed, STREAMS["mask"]], dtype=np.uint32),
        "optimizer": tree_map(np.float64, optimizer.hyperparameters()),
    }


def batch_of(data, per_row, **per_step):
    arrays = {"X": data.X, "y": data.y, "w": data.w, "keys": data.keys}
    return {**{name: per_row(a) for name, a in arrays.items()}, **per_step}


class Problem:
    """One training step, traced, and what it takes to run it many times."""

    def __init__(self, objective, data, frame, optimizer=None, n_rows=N_ROWS):
        self.objective, self.data, self.n_rows = objective, data, n_rows
        optimizer = optimizer or Adam()
        start = initial_state(objective, optimizer, Constant())
        self.carry = tree_leaves((start.params, start.state))
        hyper = hyper_of(objective, optimizer, frame)
        self.hyper = tree_leaves(hyper)
        self.traced = Traced(partial(objective.step, optimizer), n_runs=ALWAYS)
        args = (start.params, start.state, hyper)
        with mode(objective.module, training=True):
            for first in (0, 1):  # the values of a batch do not matter
                rows = np.arange(first, first + n_rows)
                batch = batch_of(
                    data,
                    lambda a, rows=rows: a[rows],
                    learning_rate=np.float64(first),
                    step=np.int64(first),
                )
                self.program = self.traced.program(*args, batch)

    def run(self, program, n_steps, seed=0):
        """Return every leaf of the state and the sums of each step."""
        rng = np.random.default_rng(seed)
        size = (n_steps, self.n_rows)
        rows = rng.integers(0, self.data.n_samples, size=size)
        batch = batch_of(
            self.data,
            Rows,
            learning_rate=Table(np.linspace(0.02, 0.01, n_steps)),
            step=Table(np.arange(n_steps)),
        )
        with mode(self.objective.module, training=True):
            carry, sums = program.steps(
                self.carry, self.hyper, tree_leaves(batch), rows
            )
        return [*carry, *sums]


def layers_problem(*layers):
    _, data, frame = make_problem()
    with skgrad.random_seed(0), nn.default_dtype("float64"):
        module = nn.Sequential(*(make() for make in layers))
    return Problem(Objective(module, SquaredError(), None), data, frame)


def float32_problem(n=23):
    _, data, _ = make_problem(n=n)
    arrays = (a.astype(np.float32) for a in (data.X, data.y, data.w))
    data = Data(*arrays, row_keys(data.X))
    with skgrad.random_seed(0), nn.default_dtype("float32"):
        module = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 1))
    objective = Objective(module, SquaredError(), None)
    return Problem(objective, data, make_frame("float32"))
