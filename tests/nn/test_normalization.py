"""Batch statistics and their traps; what the layers' rows leave out."""

import numpy as np
import pytest
import torch

import skgrad
from skgrad import nn, optim
from skgrad.exceptions import DTypeError, ParameterError, ShapeError
from skgrad.losses import SquaredError
from skgrad.train import (
    Data,
    Frame,
    Objective,
    Settings,
    fit_full_batch,
    fit_stochastic,
    row_keys,
)


def test_running_statistics_of_several_batches_are_torchs(rng):
    for momentum in (0.1, 0.0, 1.0, None):
        ours = nn.BatchNorm1d(3, momentum=momentum)
        theirs = torch.nn.BatchNorm1d(3, momentum=momentum, dtype=torch.float64)
        for n in (4, 7, 2):
            x = rng.standard_normal((n, 3)) * 3 + 1
            ours(skgrad.tensor(x))
            theirs(torch.tensor(x))
        for name, value in theirs.state_dict().items():
            np.testing.assert_allclose(ours.state_dict()[name], value, rtol=1e-12)


def test_in_evaluation_a_row_does_not_depend_on_the_others(rng):
    layer, x = nn.BatchNorm1d(3), skgrad.tensor(rng.standard_normal((6, 3)))
    layer(x)
    layer.eval()
    before = layer.state_dict()
    np.testing.assert_array_equal(layer(x[:1]).numpy(), layer(x).numpy()[:1])
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_one_row_has_no_variance():
    layer = nn.BatchNorm1d(2)
    with pytest.raises(ShapeError, match=r"shape \(1, 2\).*last batch .*batch_size"):
        layer(np.zeros((1, 2)))
    assert layer.num_batches_tracked.item() == 0
    assert layer(np.zeros((1, 2, 5))).shape == (1, 2, 5)
    assert layer.eval()(np.zeros((1, 2))).shape == (1, 2)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(2), (3, 4)),
        (nn.BatchNorm1d(2), (2,)),
        (nn.BatchNorm2d(2), (3, 2, 4)),
        (nn.LayerNorm(2), (3, 4)),
        (nn.LayerNorm((2, 4)), (4,)),
        (nn.RMSNorm(2), (3, 4)),
    ],
    ids=repr,
)
def test_shapes_that_do_not_fit(layer, shape):
    with pytest.raises(ShapeError, match=str(shape).replace("(", r"\(")[:4]):
        layer(np.zeros(shape))


def test_other_dtypes_are_refused():
    for layer in (nn.BatchNorm1d(2), nn.LayerNorm(2), nn.RMSNorm(2)):
        with pytest.raises(DTypeError, match="float32"):
            layer(np.zeros((3, 2), "float32"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.BatchNorm1d(0),
        lambda: nn.BatchNorm1d(2, eps=-1.0),
        lambda: nn.BatchNorm1d(2, momentum=1.5),
        lambda: nn.LayerNorm(()),
        lambda: nn.LayerNorm((2, 0)),
        lambda: nn.RMSNorm(2, eps=-1e-3),
    ],
)
def test_settings_out_of_range(make):
    with pytest.raises(ParameterError, match="parameter of"):
        make()


def fitted(optimizer, rng):
    X = rng.standard_normal((40, 3))
    data = Data(X, X @ [1.0, -2.0, 0.5], np.ones(40), row_keys(X))
    with skgrad.random_seed(0):
        model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1))
    objective = Objective(model, SquaredError(), None)
    frame = Frame.identity(3, "float64")
    if not optimizer.stochastic:
        return X, fit_full_batch(
            objective, optimizer, data, frame, max_iter=10, tol=1e-6
        )
    settings = Settings(learning_rate=0.1, batch_size=8, max_iter=30, tol=None)
    fit = fit_stochastic(objective, optimizer, optim.Constant(), data, frame, settings)
    return X, fit


def test_a_fit_carries_the_running_statistics(rng):
    X, fit = fitted(optim.Adam(), rng)
    buffers = fit.state.state["buffers"]
    assert buffers["0.num_batches_tracked"] == 150
    np.testing.assert_allclose(buffers["0.running_mean"], X.mean(0), atol=0.3)
    np.testing.assert_allclose(buffers["0.running_var"], X.var(0), rtol=0.4)
    assert fit.epochs[-1].objective < 0.3 * fit.epochs[0].objective


def test_optimizers_of_all_rows_refuse_batch_statistics(rng):
    with pytest.raises(ParameterError, match=r"running_mean.*'adam'"):
        fitted(optim.LBFGS(), rng)
