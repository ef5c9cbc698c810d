"""Parameters of other libraries: each is ours, or the message says what it is here."""

import inspect
import re
from pathlib import Path

import pytest
from sklearn.base import clone
from sklearn.linear_model import (
    ElasticNetCV,
    LassoCV,
    LogisticRegressionCV,
    QuantileRegressor,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor

import skgrad
from skgrad import losses, optim
from skgrad.estimators.migration import LINEAR, NETWORK, PATHS

PAIRS = {
    MLPRegressor: skgrad.MLPRegressor,
    MLPClassifier: skgrad.MLPClassifier,
    SGDRegressor: skgrad.GradientLinearRegressor,
    SGDClassifier: skgrad.GradientLinearClassifier,
    QuantileRegressor: skgrad.QuantileRegressor,
    LassoCV: skgrad.GradientElasticNetCV,
    ElasticNetCV: skgrad.GradientElasticNetCV,
    LogisticRegressionCV: skgrad.GradientElasticNetClassifierCV,
}
THEIRS = [
    (theirs, ours, name)
    for theirs, ours in PAIRS.items()
    for name in inspect.signature(theirs).parameters
]
TABLE = (Path(__file__).parents[2] / "MIGRATION.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("theirs", "ours", "name"), THEIRS, ids=lambda v: getattr(v, "__name__", v)
)
def test_every_parameter_is_ours_or_explained(theirs, ours, name):
    assert f"| `{name}` |" in TABLE
    if name in inspect.signature(ours).parameters:
        return
    linear = PATHS if ours.__name__.endswith("CV") else LINEAR
    advice = re.escape((NETWORK if "MLP" in ours.__name__ else linear)[name])
    match = rf"{ours.__name__} has no parameter '{name}'\. Here it is {advice}"
    with pytest.raises(TypeError, match=match):
        ours(**{name: 1})
    with pytest.raises(ValueError, match=match):
        ours().set_params(**{name: 1})


@pytest.mark.parametrize("name", sorted({*NETWORK, *PATHS}))
def test_the_table_has_every_explanation(name):
    rows = [
        row for row in TABLE.splitlines() if f"`{name}`" in row.split("|")[1:2][0:1]
    ]
    rows = rows or [row for row in TABLE.splitlines() if row.startswith(f"| `{name}`")]
    assert rows


def test_explanations_name_what_exists():
    for text in {*NETWORK.values(), *PATHS.values()}:
        for module, name, arguments in re.findall(
            r"(optim|losses)\.(\w+)\(([^)]*)", text
        ):
            cls = getattr({"optim": optim, "losses": losses}[module], name)
            for argument in re.findall(r"(\w+)=", arguments):
                assert argument in inspect.signature(cls).parameters


def test_other_names_get_the_nearest_of_ours():
    with pytest.raises(TypeError, match="Did you mean 'learning_rate'"):
        skgrad.MLPRegressor(learning_rat=0.1)
    with pytest.raises(ValueError, match="Did you mean 'max_iter'"):
        skgrad.MLPRegressor().set_params(max_iters=3)
    with pytest.raises(TypeError, match="Its parameters are"):
        skgrad.MLPRegressor(xyz=0.1)
    with pytest.raises(TypeError, match="positional"):
        skgrad.MLPRegressor(0.1)


def test_the_signature_and_clones_are_as_before():
    for ours in PAIRS.values():
        parameters = inspect.signature(ours).parameters
        assert next(iter(parameters)) in ("loss", "quantile")
        assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())
        assert set(clone(ours(max_iter=7)).get_params()) == set(parameters)


def test_alpha_of_their_networks_is_ours_times_the_rows(rng):
    X, y = rng.standard_normal((60, 3)), rng.standard_normal(60)
    theirs = MLPRegressor(activation="tanh", solver="lbfgs", alpha=3.0)
    theirs.set_params(hidden_layer_sizes=(4,), max_iter=5000, tol=1e-10)
    theirs.set_params(random_state=0).fit(X, y)
    ours = skgrad.MLPRegressor(
        hidden_layer_sizes=(4,),
        activation="tanh",
        optimizer="lbfgs",
        alpha=3.0 / 60,
        standardize=False,
        max_iter=5000,
        tol=1e-9,
        random_state=0,
    ).fit(X, y)
    weights = [*ours.module_.state_dict().values()][::2]
    size = sum((w**2).sum() for w in weights)
    assert size > 0.1
    found = ((ours.predict(X) - y) ** 2).mean() / 2 + 3.0 / 60 / 2 * size
    assert found == pytest.approx(theirs.loss_, rel=1e-6)
