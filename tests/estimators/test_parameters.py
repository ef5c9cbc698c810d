"""Parameters: stored untouched, nested, checked in fit by name."""

import importlib
import inspect
import re

import numpy as np
import pytest
from estimators.models import Residual, asymmetric
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

import skgrad
from skgrad import (
    GradientElasticNetClassifierCV,
    GradientElasticNetCV,
    GradientLinearClassifier,
    GradientLinearRanker,
    GradientLinearRegressor,
    MLPClassifier,
    MLPQuantileRegressor,
    MLPRanker,
    MLPRegressor,
    ModuleClassifier,
    ModuleRanker,
    ModuleRegressor,
    QuantileRegressor,
    losses,
    optim,
)
from skgrad.estimators.parameters import CONSTRAINTS, DESCRIPTIONS, documented
from skgrad.exceptions import ParameterError

# Whose solver is no parameter.
PATHS = [GradientElasticNetCV, GradientElasticNetClassifierCV]
CLASSES = [
    GradientLinearClassifier,
    GradientLinearRanker,
    GradientLinearRegressor,
    MLPClassifier,
    MLPQuantileRegressor,
    MLPRanker,
    MLPRegressor,
    ModuleClassifier,
    ModuleRanker,
    ModuleRegressor,
    QuantileRegressor,
]
EACH = pytest.mark.parametrize("cls", CLASSES)
EACH_PATH = pytest.mark.parametrize("cls", PATHS)


def make(cls, **params):
    return cls(module=Residual, **params) if "Module" in cls.__name__ else cls(**params)


def make_data(cls):
    """Return what an estimator is fitted to, by name."""
    X = np.random.default_rng(0).normal(size=(30, 3))
    if "Ranker" in cls.__name__:
        return {"X": X, "y": X[:, 0], "qid": np.arange(30) % 10}
    return {"X": X, "y": X[:, 0] > 0 if "Classifier" in cls.__name__ else X[:, 0]}


# ------------------------------------------------------------------- construction


@EACH
def test_arguments_are_keyword_only_described_and_constrained(cls):
    arguments = list(inspect.signature(cls).parameters.values())
    assert {a.kind for a in arguments} == {inspect.Parameter.KEYWORD_ONLY}
    assert set(cls._parameter_constraints) == {a.name for a in arguments}
    for argument in arguments:
        assert re.search(rf"^ +{argument.name} : ", cls.__doc__, re.MULTILINE)
    # Nothing is left to be filled in; braces of formulas are.
    text = cls.__doc__.partition("Examples")[0]
    assert not re.search(r"\{[a-z_]+\}|\{\{", text)


def test_every_description_is_used():
    classes = [*CLASSES, *PATHS]
    used = {name for cls in classes for name in inspect.signature(cls).parameters}
    assert used == set(DESCRIPTIONS) == set(CONSTRAINTS)


def test_an_argument_without_a_description_is_an_error():
    class Model:
        """{parameters}"""

        def __init__(self, *, unheard_of=1):
            pass

    with pytest.raises(KeyError, match="unheard_of"):
        documented()(Model)


@EACH
def test_parameters_are_stored_untouched(cls):
    loss, optimizer, scoring = losses.get_loss, object(), object()
    model = make(cls, optimizer=optimizer, scoring=scoring, alpha="x")
    if "loss" in model.get_params():
        assert make(cls, loss=loss).loss is loss
    assert model.optimizer is optimizer
    assert model.scoring is scoring
    assert model.alpha == "x"
    model = make(cls, max_iter=2, tol=None, optimizer=optim.Adam(b1=0.5))
    before = model.get_params()
    model.fit(**make_data(cls))
    after = model.get_params()
    assert before.keys() == after.keys()
    assert all(before[k] is after[k] or before[k] == after[k] for k in before)


@EACH_PATH
def test_parameters_of_paths_are_stored_untouched(cls):
    alphas, scoring = np.array([1.0, 0.1]), object()
    model = make(cls, alphas=alphas, scoring=scoring, tol="x")
    assert model.alphas is alphas
    assert model.scoring is scoring
    model = make(cls, alphas=alphas)
    before = model.get_params()
    model.fit(**make_data(cls))
    assert all(before[k] is v for k, v in model.get_params().items())
    assert cls().set_params(**before).get_params() == before


# ---------------------------------------------------------------- nested parameters


@EACH
@pytest.mark.parametrize(
    ("start", "name", "value", "object_"),
    [
        ({"optimizer": "adam"}, "optimizer__b1", 0.7, optim.Adam(b1=0.7)),
        (
            {"optimizer": optim.SGD()},
            "optimizer__momentum",
            0.7,
            optim.SGD(momentum=0.7),
        ),
        ({"schedule": "step"}, "schedule__gamma", 0.3, optim.Step(gamma=0.3)),
    ],
)
def test_names_become_objects_when_a_part_is_set(cls, start, name, value, object_):
    model = make(cls, **start).set_params(**{name: value})
    holder = name.partition("__")[0]
    assert getattr(model, holder) == object_
    assert model.get_params()[name] == value
    assert name not in model.get_params(deep=False)
    again = clone(model)
    assert getattr(again, holder) == object_
    assert getattr(again, holder) is not getattr(model, holder)
    again.set_params(**{name: 0.1})
    assert model.get_params()[name] == value


@pytest.mark.parametrize(
    ("loss", "name", "value"),
    [
        ("huber", "loss__delta", 2.0),
        (losses.Huber(), "loss__delta", 2.0),
        (losses.Huber, "loss__delta", 2.0),
        ("quantile", "loss__quantile", 0.9),
    ],
)
def test_parameters_of_a_loss(loss, name, value):
    X, y = make_data(MLPRegressor).values()
    model = GradientLinearRegressor(loss=loss).set_params(**{name: value})
    direct = type(model.loss)(**{name.partition("__")[2]: value})
    expected = GradientLinearRegressor(loss=direct).fit(X, y**2)
    np.testing.assert_array_equal(model.fit(X, y**2).coef_, expected.coef_)


def test_a_name_and_its_part_in_one_call():
    model = MLPRegressor(optimizer="sgd")
    model.set_params(optimizer="adam", optimizer__b2=0.9, loss="huber", loss__delta=3)
    assert model.optimizer == optim.Adam(b2=0.9)
    assert model.loss == losses.Huber(delta=3)


def test_parameters_of_a_module():
    model = ModuleRegressor(module=Residual, module_params={"hidden": 3})
    assert model.get_params()["module__hidden"] == 3
    copied = clone(model).set_params(module__hidden=5)
    assert model.module_params == {"hidden": 3}
    assert copied.get_params()["module__hidden"] == 5
    X, y = make_data(ModuleRegressor).values()
    copied.set_params(max_iter=1, tol=None).fit(X, y)
    assert copied.module_.network[0].weight.shape == (5, 3)
    assert ModuleRegressor(module=Residual).set_params(module__hidden=5).module_params


def test_nested_parameters_through_a_pipeline():
    pipeline = make_pipeline(MLPRegressor(optimizer="adam", loss="huber"))
    pipeline.set_params(mlpregressor__optimizer__b1=0.4, mlpregressor__loss__delta=2.5)
    assert pipeline[-1].optimizer == optim.Adam(b1=0.4)
    assert pipeline.get_params()["mlpregressor__loss__delta"] == 2.5


@EACH
def test_a_round_trip_of_all_parameters(cls):
    model = make(cls, optimizer=optim.Adam(b1=0.5), schedule=optim.Cosine(final=0.1))
    other = make(cls, optimizer=optim.Adam(), schedule=optim.Cosine())
    assert other.set_params(**model.get_params()).get_params() == model.get_params()


@pytest.mark.parametrize(
    "params",
    [{"b1": 0.5}, {"optimizer__nope": 1}, {"loss__nope": 1}, {"nope__b1": 1}],
)
def test_unknown_names_raise(params):
    with pytest.raises(ValueError, match=r"nvalid parameter|no parameter"):
        MLPRegressor(optimizer="adam", loss="huber").set_params(**params)


@EACH_PATH
def test_paths_have_no_optimizer(cls):
    with pytest.raises(
        ValueError, match=f"{cls.__name__} has no parameter 'optimizer'"
    ):
        cls().set_params(optimizer__b1=0.5)
    model = cls(loss="huber").set_params(loss__delta=2.0)
    assert model.loss == losses.Huber(delta=2.0)


@pytest.mark.parametrize(
    ("model", "name", "parts"),
    [
        (
            GradientLinearRegressor(),
            "optimizer__tol",
            ["'auto'", "optimizer='newton'", r"optim\.LBFGS\(\)"],
        ),
        (MLPRegressor(loss=asymmetric), "loss__delta", ["asymmetric", r"Huber\(\)"]),
        (MLPRegressor(schedule=abs), "schedule__gamma", ["built-in", r"Step\(\)"]),
    ],
)
def test_a_part_of_what_has_no_parts_is_refused(model, name, parts):
    with pytest.raises(ParameterError, match=name) as caught:
        model.set_params(**{name: 1.0})
    for part in parts:
        assert caught.match(part)


def test_an_optimizer_can_be_chosen_and_set_in_one_call():
    model = GradientLinearRegressor()
    model.set_params(optimizer="newton", optimizer__tol=1e-3)
    assert model.optimizer == optim.Newton(tol=1e-3)


def test_objects_of_every_kind_fit_as_their_names_do():
    X, y = make_data(MLPRegressor).values()
    same = {
        "loss": ["squared_error", losses.SquaredError(), losses.SquaredError],
        "optimizer": ["adam", optim.Adam(), optim.Adam],
        "schedule": ["cosine", optim.Cosine(), optim.Cosine],
    }
    fits = []
    for i in range(3):
        params = {name: kinds[i] for name, kinds in same.items()}
        model = MLPRegressor(**params, max_iter=3, tol=None, random_state=0)
        fits.append(model.fit(X, y).loss_curve_)
    assert fits[0] == fits[1] == fits[2]


# ----------------------------------------------------------------------- validation

INVALID = {
    "quantile": [0.0, 1.0, 90, "median", None, (), (0.5, 0.5), (0.9, 0.1), (0.1, 1)],
    "non_crossing": ["yes", None, True],
    "conformalize": ["yes", 0.5],
    "calibration_fraction": [0.0, 1.0, None],
    "loss": ["nope", 3],
    "ndcg_at": [0, 2.5, "all"],
    "hidden_layer_sizes": [0, "wide", (5, 0), (5, 2.5)],
    "activation": ["swish", None],
    "dropout": [1.0, -0.1],
    "alpha": [-1.0, "1", None],
    "l1_ratio": [-0.1, 1.1],
    "alphas": [0, -1, 0.1, "all", [], [-1.0], [1.0, np.inf], [np.nan], [[1.0]], ["a"]],
    "eps": [0.0, 1.0, "small", None],
    "cv": ["five", 2.5, [(range(30), [])]],
    "select": ["max", None],
    "n_jobs": [2.5, "all"],
    "penalty_factor": [2.0, "l1", [1, 2], [1, 1, -1], {"age": 0}],
    "positive": ["yes", 3],
    "bounds": [1, "low", (0, 1, 2), (1, 0), {"age": (0, 1)}],
    "monotonic_cst": [1, "up", [1, 0], [2, 0, 0], {"age": 1}],
    "fit_intercept": ["yes", 3],
    "standardize": ["yes", None],
    "optimizer": ["adamm", None, 3, lambda: optim.SGD, losses.Huber()],
    "learning_rate": [0.0, -1, "constant"],
    "schedule": ["linear", 0.1, lambda epoch: 0.9**epoch, optim.Adam],
    "batch_size": [0, 2.5, "all"],
    "shuffle": ["yes"],
    "max_iter": [0, 2.5],
    "max_time": [0, -1.0, "1 h"],
    "tol": [-1e-3, "none"],
    "n_iter_no_change": [0],
    "early_stopping": ["auto"],
    "validation_fraction": [0.0, 1.0, 2],
    "validation_splitter": ["fold", 2.5],
    "refit": [True, "best"],
    "scoring": [3, "nope"],
    "clip_norm": [0.0, -1],
    "on_divergence": [None, "ignore"],
    "class_weight": ["even", 3],
    "warm_start": ["no"],
    "random_state": [-1, "seed", 0.5],
    "dtype": ["float16", 3, int, np.float16, np.dtype("int32"), np.dtype(">f8"), str],
    "device": [0],
    "matmul_precision": ["float16", 0],
    "verbose": ["loud", -1],
    "module": ["Net", 3],
    "module_params": [[("hidden", 3)]],
}


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (cls, name)
        for cls in [*CLASSES, *PATHS]
        for name in inspect.signature(cls).parameters
    ],
)
def test_a_wrong_value_is_refused_by_name(cls, name):
    data = make_data(cls)
    extra = {}
    if name == "scoring" and cls not in PATHS:
        extra = {"early_stopping": True, "optimizer": "adam"}
    for value in INVALID[name]:
        model = make(cls, **extra).set_params(**{name: value})
        with pytest.raises(ValueError, match=name):
            model.fit(**data)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss": losses.Huber(delta=-1.0)}, "'delta' parameter of Huber .* Got -1.0"),
        ({"loss": losses.Quantile(quantile=2)}, "'quantile' parameter of Quantile"),
        ({"optimizer": optim.Adam(b1=1.5)}, "'b1' parameter of Adam"),
        ({"schedule": optim.Step(gamma=-1.0)}, "'gamma' parameter of Step"),
        ({"loss": "hubber"}, "'loss' parameter of MLPRegressor.*'hubber'"),
        ({"optimizer": "auto"}, "'optimizer' parameter of MLPRegressor.*'auto'"),
        ({"optimizer": lambda: 0}, "'optimizer' parameter of MLPRegressor"),
        ({"schedule": lambda: 0}, "'schedule' parameter of MLPRegressor"),
        ({"dtype": int}, "'dtype' parameter of MLPRegressor .*'float32'"),
    ],
)
def test_a_wrong_part_is_refused_by_name(params, message):
    X, y = make_data(MLPRegressor).values()
    with pytest.raises(ValueError, match=message):
        MLPRegressor(**params).fit(X, y)


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("float32")])
def test_a_dtype_in_each_spelling(dtype):
    X, y = make_data(MLPRegressor).values()
    model = MLPRegressor(dtype=dtype, max_iter=1, tol=None).fit(X, y)
    assert model.predict(X).dtype == np.float32


@pytest.mark.parametrize("optimizer", [optim.LBFGS, optim.LBFGS(), "auto"])
def test_optimizers_of_all_rows(optimizer):
    X, y = make_data(GradientLinearRegressor).values()
    GradientLinearRegressor(optimizer=optimizer).fit(X, y)


def test_the_text_representation_shows_what_was_changed():
    model = MLPRegressor(loss=asymmetric, optimizer=optim.Adam(b1=0.5), alpha=0.1)
    text = " ".join(repr(model).split())
    assert "alpha=0.1" in text
    assert "Adam(b1=0.5)" in text
    assert "learning_rate" not in text
    assert "MLPRegressor" in model._repr_html_()
    assert skgrad.MLPRegressor is MLPRegressor


def test_a_loss_registered_later_is_known_by_name(monkeypatch):
    registry = importlib.import_module("skgrad.losses.registry")
    monkeypatch.setitem(registry._registered, "mine", losses.SquaredError)
    X = np.arange(6.0).reshape(6, 1)
    model = GradientLinearRegressor(loss="mine").fit(X, X[:, 0])
    assert model.score(X, X[:, 0]) == pytest.approx(1.0)
    with pytest.raises(ValueError, match=r"'huber'.*Got 'yours'"):
        GradientLinearRegressor(loss="yours").fit(X, X[:, 0])
