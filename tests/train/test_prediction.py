"""The forward pass of a fitted module as a function of arrays."""

import numpy as np
import torch
from backend.cuda.simulated import simulated_gpu

import skgrad
from skgrad import nn
from skgrad.train import predictor


def network():
    with skgrad.random_seed(0):
        module = nn.Sequential(
            nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(0.5)
        )
    X = np.random.default_rng(0).normal(size=(50, 3))
    module(X)  # the buffers are no longer those of the start
    return module.eval(), X


def pytorchs(module, X):
    linear, norm = torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)
    theirs = torch.nn.Sequential(linear, norm, torch.nn.Tanh()).double().eval()
    theirs.load_state_dict(
        {n: torch.tensor(v) for n, v in module.state_dict().items()}, strict=False
    )
    return theirs(torch.tensor(X)).detach().numpy()


def test_it_is_the_module_in_evaluation_mode():
    module, X = network()
    found = predictor(module)(X)
    np.testing.assert_allclose(found, pytorchs(module, X), rtol=1e-12)
    np.testing.assert_array_equal(found, predictor(module)(X))


def test_a_gpu_computes_the_same():
    module, X = network()
    before = {n: v.copy() for n, v in module.state_dict().items()}
    with simulated_gpu() as gpu:
        forward = predictor(module, "cuda")
        for rows in (X, X[:7], X):
            expected = pytorchs(module, rows)
            np.testing.assert_allclose(forward(rows), expected, rtol=1e-12)
        assert gpu.n_launched > 0
    for name, value in module.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
