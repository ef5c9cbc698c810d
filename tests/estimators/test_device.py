"""Where a fit runs, and what is said where it cannot."""

import numpy as np
import pytest
from estimators.battery import EACH, make_for
from sklearn.base import clone

from skgrad import MLPRegressor
from skgrad.estimators.device import step_seconds
from skgrad.exceptions import DeviceError


@EACH
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_small_fit_is_told_that_a_gpu_would_not_pay(estimator, device):
    model = clone(estimator).set_params(device=device)
    match = rf"There is no device '{device}'.*Nor would a GPU pay.*Set device='cpu'"
    with pytest.raises(DeviceError, match=match):
        model.fit(*make_for(estimator))
    assert not hasattr(model, "module_")


def test_a_large_fit_and_another_device_are_not():
    X = np.zeros((3000, 200), dtype=np.float32)
    large = MLPRegressor(device="cuda", hidden_layer_sizes=(512,), batch_size=1024)
    with pytest.raises(DeviceError) as error:
        large.fit(X, X[:, 0])
    assert "pay" not in str(error.value)
    with pytest.raises(
        DeviceError, match=r"no device 'tpu'\. Known devices: \['cpu'\]"
    ):
        MLPRegressor(device="tpu").fit(X[:20], X[:20, 0])


@pytest.mark.parametrize(
    ("n_rows", "hidden", "seconds"),
    # One core of a Zen 3, benchmarks/results/bench_fit.md: epochs of 20,000 rows.
    [(32, 64, 0.0024 / 625), (256, 256, 0.114 / 79)],
)
def test_the_estimate_is_of_the_size_of_what_was_measured(n_rows, hidden, seconds):
    depth = 1 if hidden == 64 else 2
    n_parameters = 20 * hidden + (depth - 1) * hidden**2 + hidden * depth + hidden + 1
    assert 1 / 3 < step_seconds(n_rows, n_parameters) / seconds < 3
