import numpy as np
import pytest
import torch

from skgrad.exceptions import ParameterError
from skgrad.losses import Huber, LogLoss, Poisson, SquaredError
from skgrad.train import RowDerivatives

RNG = np.random.default_rng(0)
N = 40
RAW, W = RNG.normal(size=N), RNG.uniform(0.5, 2, N)
COUNTS, LABELS = RNG.poisson(2.0, N).astype(float), RNG.integers(0, 2, N).astype(float)


def torch_derivatives(function, raw):
    """Return values and three derivatives of a function of each row alone."""
    x = torch.tensor(raw, requires_grad=True)
    found = [function(x)]
    for _ in range(3):
        (slope,) = torch.autograd.grad(found[-1].sum(), x, create_graph=True)
        found.append(slope)
    return [f.detach().numpy() for f in found]


CASES = {
    "log_loss": (
        LogLoss(),
        LABELS,
        lambda x, y: torch.nn.functional.softplus(x) - y * x,
    ),
    "poisson": (
        Poisson(),
        COUNTS,
        lambda x, y: torch.exp(x) - y * x,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_torch(name):
    loss, y, function = CASES[name]
    w, target = torch.tensor(W), torch.tensor(y)
    expected = torch_derivatives(lambda x: w * function(x, target), RAW)
    rows = RowDerivatives(loss, y, W)
    for order in range(4):
        found = rows(RAW, order)
        for got, want in zip(found[: order + 1], expected, strict=False):
            np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
        assert all(part is None for part in found[order + 1 :])


def test_classes_are_coupled():
    y = RNG.integers(0, 3, N)
    raw = RNG.normal(size=(N, 3))
    found = RowDerivatives(LogLoss(), y, W)(raw)
    p = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    slope = W[:, None] * (p - np.eye(3)[y])
    full = W[:, None, None] * (p[:, :, None] * np.eye(3) - p[:, :, None] * p[:, None])
    a, b = np.triu_indices(3)
    np.testing.assert_allclose(found.slope, slope, atol=1e-14)
    np.testing.assert_allclose(found.curvature, full[:, a, b], atol=1e-14)
    with pytest.raises(ParameterError, match="couples the 3 outputs"):
        RowDerivatives(LogLoss(), y, W)(raw, order=3)


def test_separable_outputs_stand_side_by_side():
    y, raw = RNG.normal(size=(N, 2)), RNG.normal(size=(N, 2))
    found = RowDerivatives(SquaredError(), y, W)(raw)
    np.testing.assert_allclose(found.slope, W[:, None] * (raw - y))
    np.testing.assert_allclose(found.curvature, np.repeat(W[:, None], 2, axis=1))


def test_some_rows():
    rows = RowDerivatives(Huber(delta=0.5), COUNTS, W)
    part = rows.rows(slice(5, 15))(RAW[5:15])
    for got, want in zip(part[:3], rows(RAW)[:3], strict=True):
        np.testing.assert_array_equal(got, want[5:15])
    assert part.total == part.loss.sum()
