import numpy as np
import pytest

from skgrad.train.moments import shifted_sums


@pytest.mark.parametrize(
    "dtype", ["float64", pytest.param("float32", marks=pytest.mark.long)]
)
def test_the_sums_are_those_of_numpy(rng, dtype, monkeypatch):
    monkeypatch.setattr("skgrad.train.data.BLOCK_BYTES", 2**14)  # several blocks
    X, w = (1e6 + rng.normal(size=(1500, 5))).astype(dtype), rng.uniform(size=1500)
    shift = X[:10].mean(axis=0, dtype=np.float64)
    first, second = shifted_sums(X, w, shift)
    centred = X.astype(np.float64) - shift
    np.testing.assert_allclose(first, w @ centred, rtol=1e-11)
    np.testing.assert_allclose(second, w @ centred**2, rtol=1e-12)
    assert first.dtype == second.dtype == np.float64
