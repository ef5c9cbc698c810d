"""The networks: layers, scaling, agreement with PyTorch-like training by hand."""

from itertools import pairwise

import numpy as np
import pytest
from estimators.models import Residual
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, make_moons
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skgrad
from skgrad import (
    GradientLinearClassifier,
    GradientLinearRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleRegressor,
    losses,
    nn,
    optim,
)
from skgrad.estimators.parameters import ACTIVATIONS
from skgrad.exceptions import DataWarning, ParameterError

FAST = {"tol": None, "max_iter": 20, "random_state": 0, "batch_size": 16}


def make_data(k=None, n=60):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3)) * [1.0, 100.0, 0.01] + [0.0, 1e3, 5.0]
    y = np.sin(X[:, 0]) * 1e4 + X[:, 1]
    return X, y if k is None else np.column_stack([y * (j + 1) + j for j in range(k)])


# ------------------------------------------------------- standardize, done by hand


def by_hand(model):
    """Return the same with scikit-learn's scalers around it."""
    model.set_params(standardize=False)
    return TransformedTargetRegressor(
        make_pipeline(StandardScaler(), model), transformer=StandardScaler()
    )


@pytest.mark.parametrize("k", [None, 2])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"alpha": 0.1, "l1_ratio": 0.3, "loss": losses.Huber(delta=0.2)},
        {"optimizer": "lbfgs", "alpha": 0.1, "loss": "log_cosh"},
        {"optimizer": "sgd", "schedule": "cosine", "clip_norm": 0.1},
    ],
)
def test_a_perceptron_on_standardised_data(params, k):
    X, y = make_data(k)
    model = MLPRegressor(**FAST, **params).fit(X, y)
    expected = by_hand(MLPRegressor(**FAST, **params)).fit(X, y)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-8)
    inner = expected.regressor_[-1]
    np.testing.assert_allclose(model.loss_curve_, inner.loss_curve_, rtol=1e-8)


def test_a_module_on_standardised_data():
    X, y = make_data()
    model = ModuleRegressor(module=Residual, **FAST).fit(X, y)
    expected = by_hand(ModuleRegressor(module=Residual, **FAST)).fit(X, y)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-8)


@pytest.mark.parametrize("optimizer", ["auto", "adam"])
def test_a_linear_model_on_standardised_inputs(optimizer):
    X, y = make_data()
    params = {"alpha": 0.3, "optimizer": optimizer, **FAST}
    model = GradientLinearRegressor(**params).fit(X, y)
    plain = GradientLinearRegressor(**params, standardize=False)
    expected = make_pipeline(StandardScaler(), plain).fit(X, y)
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-8)


@pytest.mark.parametrize("cls", [MLPClassifier, GradientLinearClassifier])
def test_classifiers_on_standardised_inputs(cls):
    X, y = load_breast_cancer(return_X_y=True)
    params = FAST if cls is MLPClassifier else {}
    model = cls(**params).fit(X, y)
    expected = make_pipeline(StandardScaler(), cls(**params, standardize=False))
    np.testing.assert_allclose(
        model.predict_proba(X), expected.fit(X, y).predict_proba(X), rtol=1e-6
    )


def test_weighted_moments_scale_inputs_and_target():
    X, y = make_data()
    w = np.arange(60) % 4
    model = MLPRegressor(**{**FAST, "batch_size": None}).fit(X, y, w)
    rows = np.repeat(np.arange(60), w)
    expected = by_hand(MLPRegressor(**{**FAST, "batch_size": None}))
    expected.fit(X[rows], y[rows])
    np.testing.assert_allclose(model.predict(X), expected.predict(X), rtol=1e-6)


def test_with_a_log_link_the_network_learns_deviations_from_the_mean():
    X, _ = make_data()
    y = np.exp(0.1 * X[:, 0]) * 1e6
    params = {**FAST, "max_iter": 1, "learning_rate": 1e-300, "loss": "poisson"}
    model = MLPRegressor(**params).fit(X, y)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    output = model.module_(skgrad.tensor(Z)).numpy()[:, 0]
    np.testing.assert_allclose(model.predict(X), y.mean() * np.exp(output), rtol=1e-9)
    model.set_params(learning_rate=0.05, max_iter=100, schedule="cosine").fit(X, y)
    assert model.score(X, y) > 0.9
    plain = MLPRegressor(**params, standardize=False).fit(Z, y)
    output = plain.module_(skgrad.tensor(Z)).numpy()[:, 0]
    np.testing.assert_allclose(plain.predict(Z), np.exp(output), rtol=1e-12)


def test_a_constant_target_and_a_constant_column():
    X, _ = make_data()
    X[:, 1] = 3.0
    with pytest.warns(DataWarning, match="column 1"):
        model = MLPRegressor(**FAST).fit(X, np.full(60, 7.0))
    np.testing.assert_allclose(model.predict(X), 7.0, atol=0.5)


# ------------------------------------------------------------------------- layers


@pytest.mark.parametrize(
    ("sizes", "widths"),
    [
        ((), [3, 1]),
        (5, [3, 5, 1]),
        ((5,), [3, 5, 1]),
        ([5, 4], [3, 5, 4, 1]),
        (np.array([6, 2]), [3, 6, 2, 1]),
    ],
)
def test_hidden_layers(sizes, widths):
    X, y = make_data()
    model = MLPRegressor(hidden_layer_sizes=sizes, **FAST).fit(X, y)
    linear = [m for m in model.module_.modules() if isinstance(m, nn.Linear)]
    shapes = [layer.weight.shape for layer in linear]
    assert shapes == [(b, a) for a, b in pairwise(widths)]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    X, y = make_data()
    model = MLPRegressor(activation=name, hidden_layer_sizes=(4, 4), **FAST).fit(X, y)
    found = [type(m) for m in model.module_.modules()]
    assert found.count(ACTIVATIONS[name]) == 2
    assert np.isfinite(model.loss_)


def test_an_activation_with_parameters_of_its_own():
    X, y = make_data()
    model = MLPRegressor(activation=nn.PReLU, hidden_layer_sizes=(4, 4), **FAST)
    layers = model.fit(X, y).module_.modules()
    slopes = [m.weight.item() for m in layers if isinstance(m, nn.PReLU)]
    assert len(set(slopes)) == 2  # one for each layer, both fitted
    with pytest.raises(ParameterError, match=r"Got a module: pass nn\.PReLU"):
        MLPRegressor(activation=nn.PReLU()).fit(X, y)


def test_dropout_follows_each_hidden_layer_and_rests_in_predict():
    X, y = make_data()
    model = MLPRegressor(hidden_layer_sizes=(4, 4), dropout=0.25, **FAST).fit(X, y)
    layers = [m for m in model.module_.modules() if isinstance(m, nn.Dropout)]
    assert [layer.p.item() for layer in layers] == [0.25, 0.25]
    np.testing.assert_array_equal(model.predict(X), model.predict(X))
    plain = MLPRegressor(hidden_layer_sizes=(4, 4), **FAST).fit(X, y)
    assert not np.array_equal(plain.predict(X), model.predict(X))


def test_no_hidden_layer_is_linear_regression():
    X, y = make_data()
    model = MLPRegressor(
        hidden_layer_sizes=(), optimizer="lbfgs", tol=1e-10, random_state=0
    )
    expected = LinearRegression().fit(X, y).predict(X)
    np.testing.assert_allclose(model.fit(X, y).predict(X), expected, rtol=1e-6)


def test_widths_that_are_no_counts_are_refused():
    with pytest.raises(ParameterError, match=r"must hold ints >= 1. Got \(5, 0\)"):
        MLPRegressor(hidden_layer_sizes=(5, 0)).fit(*make_data())


def test_a_module_instead_of_its_class_is_refused():
    model = ModuleRegressor(module=nn.Linear(3, 1))
    with pytest.raises(ParameterError) as caught:
        model.fit(*make_data())
    for part in ("'module' parameter of ModuleRegressor", "module=Linear"):
        assert caught.match(part)
    assert caught.match("module_params")


def test_initial_weights_are_those_of_linear_layers():
    X, y = make_data()
    params = {**FAST, "max_iter": 1, "learning_rate": 1e-300}
    model = MLPRegressor(hidden_layer_sizes=(200,), **params).fit(X, y)
    weight = model.module_[0].weight.numpy()
    assert np.abs(weight).max() <= 1 / np.sqrt(3)
    assert np.abs(weight).max() > 0.5 / np.sqrt(3)


# ---------------------------------------------------------------------- by hand


def test_equals_the_loop_written_by_hand():
    X, y = make_data()
    params = {**FAST, "hidden_layer_sizes": (6,), "shuffle": False}
    model = MLPRegressor(**params).fit(X, y)
    Z = skgrad.tensor((X - X.mean(axis=0)) / X.std(axis=0))
    target = skgrad.tensor((y - y.mean()) / y.std())
    with skgrad.random_seed(0):
        net = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 1))
    optimizer = optim.Adam(net.parameters(), lr=1e-3)
    loss_function = losses.SquaredError()
    for _ in range(20):
        for start in range(0, 60, 16):
            rows = slice(start, start + 16)
            optimizer.zero_grad()
            loss = loss_function(target[rows], net(Z[rows])[:, 0])
            skgrad.functional.mean(loss).backward()
            optimizer.step()
    expected = net(Z).numpy()[:, 0] * y.std() + y.mean()
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-9)


# -------------------------------------------------------------------- real problems


def test_moons():
    X, y = make_moons(400, noise=0.15, random_state=0)
    model = MLPClassifier(learning_rate=0.02, max_iter=100, tol=None, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.97
    assert GradientLinearClassifier().fit(X, y).score(X, y) < 0.9


def test_quantiles_of_a_network_cover_their_share():
    X, y = load_diabetes(return_X_y=True)
    for quantile in (0.1, 0.8):
        model = MLPRegressor(
            loss=losses.Quantile(quantile),
            schedule="cosine",
            learning_rate=0.01,
        ).set_params(random_state=0, max_iter=100, tol=None, hidden_layer_sizes=(16,))
        share = np.mean(y <= model.fit(X, y).predict(X))
        assert abs(share - quantile) < 0.04
