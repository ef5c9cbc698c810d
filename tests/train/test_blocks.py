"""Sums over blocks of rows: what is made once, and how large they are on a GPU."""

from dataclasses import replace

import numpy as np
from backend.cuda.simulated import simulated_gpu
from train.problems import make_problem

import skgrad
from skgrad import nn
from skgrad.data import ArrayDataset, DataLoader
from skgrad.losses import SquaredError
from skgrad.optim import SGD, Constant
from skgrad.train import Data, Frame, Objective, initial_state, minus_loss
from skgrad.train.blocks import Blocks
from skgrad.train.evaluation import Evaluation


def test_blocks_that_last_are_made_once():
    data = Data(np.arange(1200.0).reshape(600, 2), np.zeros(600), np.ones(600))
    data = replace(data, block_bytes=1)
    n_made = []

    def made():
        n_made.append(0)
        return data.blocks()

    for lasting, n in ((True, 1), (False, 3)):
        n_made.clear()
        blocks = Blocks(made, lasting)
        for _ in range(3):
            parts = [leaves for _, group in blocks.groups() for leaves in group]
            assert len(parts) == data.n_blocks == 3
            assert all(np.shares_memory(leaves[0], data.X) for leaves in parts)
        assert len(n_made) == n


def test_rows_that_score_go_to_a_gpu_once():
    objective, data, frame = make_problem(n=20_000)
    objective.device = "cuda"
    params = objective.parameters()
    state = initial_state(objective, SGD(), Constant())
    loader = DataLoader(ArrayDataset(data.X, data.y, data.w), batch_size=20_000)
    with simulated_gpu() as gpu:
        score, of_loader = (minus_loss(objective, d, frame) for d in (data, loader))
        found = [score(replace(state, params=params * k)) for k in (1.0, 0.5, 2.0)]
        assert gpu.uploads.count(data.X.nbytes) == 1
        again = [of_loader(replace(state, params=params * k)) for k in (1.0, 0.5, 2.0)]
    objective.device = "cpu"
    here = minus_loss(objective, data, frame)
    expected = [here(replace(state, params=params * k)) for k in (1.0, 0.5, 2.0)]
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose(again, expected, rtol=1e-10)


def on_a_gpu(module, X):
    """Return the evaluation of a model of one output on a simulated GPU, and it."""
    with nn.default_dtype("float64"):
        objective = Objective(module, SquaredError(), None, device="cuda")
    data = Data(X, X[:, 0] ** 2, np.ones(len(X)))
    return Evaluation(objective, data, Frame.identity(X.shape[1], "float64"))


def test_blocks_of_a_gpu_are_as_large_as_what_is_computed_from_them(monkeypatch):
    X = np.random.default_rng(0).normal(size=(3000, 5))
    with skgrad.random_seed(0):
        wide = nn.Sequential(nn.Linear(5, 100), nn.Tanh(), nn.Linear(100, 1))
        linear = nn.Linear(5, 1)
    monkeypatch.setattr("skgrad.train.blocks.GPU_BLOCK_BYTES", 1000 * X[:1].nbytes)
    monkeypatch.setattr("skgrad.train.blocks.GPU_SCRATCH_BYTES", 1000 * 800)
    with simulated_gpu():
        narrow, large = (on_a_gpu(m, X) for m in (linear, wide))
        # The hidden layer of 100 units takes 800 bytes of a row, the rest a few more.
        assert narrow.data.block_size == 1000
        assert large.data.block_size == 750
        for evaluation in (narrow, large):
            theta = evaluation.objective.parameters()
            value, gradient = evaluation(theta)
            evaluation.objective.device = "cpu"
            here = Evaluation(
                evaluation.objective, evaluation.data, Frame.identity(5, "float64")
            )
            expected = here(theta)
            np.testing.assert_allclose(value, expected[0], rtol=1e-12)
            np.testing.assert_allclose(gradient, expected[1], rtol=1e-9, atol=1e-12)


def test_an_evaluation_on_a_gpu_waits_once():
    X = np.random.default_rng(0).normal(size=(3000, 5))
    with simulated_gpu() as gpu:
        evaluation = on_a_gpu(nn.Linear(5, 1), X)
        evaluation.data = replace(evaluation.data, block_bytes=300 * X[:1].nbytes)
        assert evaluation.data.n_blocks == 10
        for i in range(3):
            evaluation(np.full(6, float(i)))
            assert len(gpu.downloads) == i + 1
