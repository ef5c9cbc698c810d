import numpy as np
import pytest
from train.problems import LOSS_ROWS, make_frame, make_network, make_targets

import skgrad
from skgrad import nn
from skgrad.core import tree_map
from skgrad.losses import SquaredError
from skgrad.optim.curvature import BlockDiagonal
from skgrad.train import Curvature, Objective, as_arrays


def make_linear(name, rng, bias, n_outputs=None):
    X, w = rng.normal(size=(30, 3)), rng.uniform(0.2, 2.0, size=30)
    y, k = make_targets(name, rng, 30)
    if n_outputs:
        y, k = rng.normal(size=(30, n_outputs)), n_outputs
    module = nn.Linear(3, k or 1, bias=bias)
    return Objective(module, LOSS_ROWS[name], k), {"X": X, "y": y, "w": w}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("name", "n_outputs"),
    [
        *((name, None) for name in LOSS_ROWS),
        ("squared_error", 1),
        ("squared_error", 2),
        ("huber", 3),
    ],
)
def test_equals_the_hessian_of_the_sums(rng, name, n_outputs, bias):
    objective, batch = make_linear(name, rng, bias, n_outputs)
    hyper, theta = objective.hyper(make_frame()), objective.parameters()
    hyper_tensors, rows = (tree_map(skgrad.tensor, t) for t in (hyper, batch))

    def total(flat):
        return objective.sums(flat, {}, hyper_tensors, rows)["loss"]

    curvature = Curvature(objective)
    sums = as_arrays(curvature.sums(theta, {}, hyper, batch))
    np.testing.assert_allclose(sums["loss"], total(skgrad.tensor(theta)).item())
    np.testing.assert_allclose(sums["weight"], batch["w"].sum())
    gradient = skgrad.grad(total)(skgrad.tensor(theta)).numpy()
    np.testing.assert_allclose(sums["gradient"], gradient, rtol=1e-10, atol=1e-12)
    H = skgrad.hessian(total)(skgrad.tensor(theta)).numpy()
    assembled = curvature.assembled(sums["hessian"])
    np.testing.assert_allclose(assembled, H, rtol=1e-9, atol=1e-11)


def sums_of(objective, batch):
    return Curvature(objective).sums(
        objective.parameters(), {}, objective.hyper(make_frame()), batch
    )


@pytest.mark.parametrize(
    ("name", "n_blocks"), [("squared_error", 1), ("huber", 4), ("log_loss", None)]
)
def test_no_block_is_formed_twice(rng, name, n_blocks):
    k = 4 if n_blocks else None
    objective, batch = make_linear(name, rng, True, k)
    k = objective.n_outputs or 1
    n_blocks = n_blocks or k * (k + 1) // 2
    assert sums_of(objective, batch)["hessian"].shape == (4, 4 * n_blocks)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("name", "n_outputs"),
    [("squared_error", 3), ("huber", 3), ("squared_error", None), ("log_loss", None)],
)
def test_the_weight_divides_and_the_ridge_is_added(rng, name, n_outputs, bias):
    objective, batch = make_linear(name, rng, bias, n_outputs)
    blocks = as_arrays(sums_of(objective, batch))["hessian"]
    ridge = 0.3 * objective.mask
    curvature = Curvature(objective)
    finished = curvature.assembled(blocks, 7.0, ridge)
    assert isinstance(finished, BlockDiagonal) == (n_outputs is not None)
    H = finished.dense() if n_outputs else finished
    expected = curvature.assembled(blocks) / 7.0 + np.diag(ridge)
    np.testing.assert_allclose(H, expected, rtol=1e-14, atol=1e-15)


def test_a_subclass_of_squared_error_has_a_block_for_each_output(rng):
    class WeightedSquaredError(SquaredError):
        def elementwise(self, y_true, raw_prediction, **hyper):
            values = super().elementwise(y_true, raw_prediction, **hyper)
            return values * np.array([1.0, 2.0])

    objective, batch = make_linear("squared_error", rng, False, 2)
    equal = as_arrays(sums_of(objective, batch))["hessian"]
    blocks = as_arrays(sums_of(objective.with_loss(WeightedSquaredError()), batch))[
        "hessian"
    ]
    np.testing.assert_allclose(blocks, np.hstack([equal, 2 * equal]), rtol=1e-12)


def test_is_there_for_linear_modules_only():
    assert Curvature(Objective(nn.Linear(3, 1), SquaredError(), None)).available
    assert not Curvature(Objective(make_network(), SquaredError(), None)).available
