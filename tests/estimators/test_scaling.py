import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgrad import MLPRegressor
from skgrad.estimators.scaling import weighted_mean, weighted_mean_and_scale


def moments(X, w):
    scaler = StandardScaler().fit(X, sample_weight=w)
    return scaler.mean_, scaler.scale_


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e8])
def test_equals_standard_scaler(rng, offset):
    X, w = rng.normal(size=(50, 3)) + offset, rng.uniform(0.1, 3, size=50)
    mean, scale = weighted_mean_and_scale(X, w)
    expected = moments(X, w)
    np.testing.assert_allclose(mean, expected[0], rtol=1e-12)
    np.testing.assert_allclose(scale, expected[1], rtol=1e-10 if offset < 1e8 else 1e-6)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_first_rows_may_be_far_from_the_others(rng, dtype):
    n = 70_000
    X = np.column_stack([np.arange(n), np.where(np.arange(n) < 100, 0.0, 1e6)])
    X[:, 1] += rng.normal(size=n)
    X, w = X.astype(dtype), rng.uniform(0.1, 3, size=n)
    for actual, expected in zip(
        weighted_mean_and_scale(X, w), moments(X.astype(float), w), strict=True
    ):
        np.testing.assert_allclose(actual, expected, rtol=1e-11)


def test_many_rows_have_the_moments_of_few(rng, monkeypatch):
    X, w = rng.normal(size=(1000, 3)) + 1e3, rng.uniform(0.1, 3, size=1000)
    X[:, 2] = 0.1
    expected = weighted_mean_and_scale(X, w)
    monkeypatch.setattr("skgrad.estimators.scaling.COMPILED_ELEMENTS", 0)
    for actual, other in zip(weighted_mean_and_scale(X, w), expected, strict=True):
        np.testing.assert_allclose(actual, other, rtol=1e-13)


def test_weights_are_repetitions(rng):
    X, w = rng.normal(size=(20, 3)) + 5, rng.integers(1, 4, size=20)
    one = weighted_mean_and_scale(X, w.astype(float))
    other = weighted_mean_and_scale(np.repeat(X, w, axis=0), np.ones(w.sum()))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e8 / 3, -1e-30])
def test_a_constant_column_has_scale_one(rng, value):
    X = np.column_stack([np.full(1000, value), rng.normal(size=1000)])
    mean, scale = weighted_mean_and_scale(X, rng.uniform(0.1, 3, size=1000))
    np.testing.assert_allclose(mean[0], value, rtol=1e-12)
    assert scale[0] == 1.0
    assert scale[1] != 1.0


def test_a_vector_has_scalar_moments():
    mean, scale = weighted_mean_and_scale(np.array([1.0, 3.0]), np.ones(2))
    assert (mean, scale) == (2.0, 1.0)
    assert np.shape(mean) == ()


def test_one_row():
    mean, scale = weighted_mean_and_scale(np.array([[1.0, 3.0]]), np.ones(1))
    assert (mean.tolist(), scale.tolist()) == ([1.0, 3.0], [1.0, 1.0])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_a_whole_fit_equals_scikit_learns_scalers_by_hand(optimizer, loss):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3)) * [1.0, 1e5, 1e-3] + [0.0, 1e5, 1e-3]
    y = 1e6 * np.sin(X[:, 0]) + X[:, 1]
    params = {
        "optimizer": optimizer,
        "loss": loss,
        "learning_rate": 0.01,
        "hidden_layer_sizes": 8,
        "batch_size": 16,
        "max_iter": 30,
        "tol": None,
        "random_state": 0,
    }
    model = MLPRegressor(**params).fit(X, y)
    by_hand = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), MLPRegressor(**params, standardize=False)),
        transformer=StandardScaler(),
    ).fit(X, y)
    inner = by_hand.regressor_[-1]
    np.testing.assert_allclose(model.loss_curve_, inner.loss_curve_, rtol=1e-12)
    np.testing.assert_allclose(
        model.predict(X), by_hand.predict(X), rtol=1e-12, atol=1e-12 * np.abs(y).max()
    )
    assert model.loss_curve_[-1] < 0.8 * model.loss_curve_[0]


# ----------------------------------------------------------------------------- sparse


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("offset", [0.0, 1.0, 1e3, 1e8])
def test_zeros_of_sparse_columns_count(rng, offset, dtype):
    X = rng.normal(size=(60, 4)) * (rng.random((60, 4)) < 0.3)
    X[:, 0] = offset + rng.normal(size=60)  # without a zero
    X = X.astype(dtype)
    X[:, 3] = 0.0
    w = rng.uniform(0.1, 3, size=60)
    mean, scale = weighted_mean_and_scale(csr_array(X), w)
    expected = weighted_mean_and_scale(X, w)
    np.testing.assert_allclose(mean, expected[0], rtol=1e-13)
    np.testing.assert_allclose(scale, expected[1], rtol=1e-12 * max(1.0, offset / 1e2))
    np.testing.assert_allclose(weighted_mean(csr_array(X), w), mean, rtol=1e-13)
    if dtype == "float32" and offset == 1e8:
        return  # its variance is negative
    # As StandardScaler, which has them from dense columns.
    theirs = moments(X.astype(float), w)
    np.testing.assert_allclose(mean, theirs[0], rtol=1e-12)
    np.testing.assert_allclose(scale, theirs[1], rtol=1e-10 * max(1.0, offset / 1e4))


@pytest.mark.parametrize("value", [1.0, 0.1, 1e8 / 3, -1e-30])
def test_a_sparse_column_that_is_constant_has_scale_one(rng, value):
    X = csr_array(np.column_stack([np.full(1000, value), rng.random(1000) < 0.1]))
    mean, scale = weighted_mean_and_scale(X, rng.uniform(0.1, 3, size=1000))
    np.testing.assert_allclose(mean[0], value, rtol=1e-12)
    assert scale[0] == 1.0
    assert 0.2 < scale[1] < 0.4


def test_sparse_columns_too_large_for_a_variance():
    X = csr_array(np.diag([1e200, 1.0]))
    with pytest.raises(ValueError, match=r"values as large as 1e\+200"):
        weighted_mean_and_scale(X, np.ones(2))
