import numpy as np
import pytest
from train.problems import LOSS_ROWS, make_frame, make_network, make_targets

import skgrad
from skgrad import nn
from skgrad.core import tree_map
from skgrad.losses import SquaredError
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


def test_a_separable_loss_has_only_the_diagonal_blocks(rng):
    objective, batch = make_linear("squared_error", rng, True, 4)
    sums = Curvature(objective).sums(
        objective.parameters(), {}, objective.hyper(make_frame()), batch
    )
    assert sums["hessian"].shape == (4, 4, 4)  # outputs, then weights and bias twice


def test_is_there_for_linear_modules_only():
    assert Curvature(Objective(nn.Linear(3, 1), SquaredError(), None)).available
    assert not Curvature(Objective(make_network(), SquaredError(), None)).available
