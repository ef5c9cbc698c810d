"""Finding a loss by name, object, class or function."""

import subprocess
import sys

import numpy as np
import pytest

from skgrad import losses
from skgrad.exceptions import ParameterError
from skgrad.losses import LOSSES, get_loss, registry


def half_cubed(y_true, raw_prediction):
    return 0.5 * abs(y_true - raw_prediction) ** 3


def test_names():
    assert sorted(LOSSES) == [
        "absolute_error",
        "expectile",
        "focal",
        "gamma",
        "gaussian_nll",
        "hinge",
        "huber",
        "kl_div",
        "lambdarank",
        "listnet",
        "log_cosh",
        "log_loss",
        "pairwise_logistic",
        "poisson",
        "quantile",
        "quantiles",
        "squared_error",
        "squared_hinge",
        "student_t_nll",
        "tweedie",
    ]


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_by_name_object_and_class(name):
    found = get_loss(name)
    assert type(found) is LOSSES[name]
    assert found.name == name
    assert get_loss(found) is found
    assert get_loss(LOSSES[name]) == found


def test_by_function():
    found = get_loss(half_cubed)
    assert isinstance(found, losses.FunctionLoss)
    assert found.function is half_cubed


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("hubber", r"named 'hubber'\. Did you mean 'huber'\?"),
        ("Squared_Error", r"Did you mean 'squared_error'\?"),
        ("zzz", r"named 'zzz'\. The losses are \['absolute_error', .*function"),
        (None, "named None"),
        (0.5, r"named 0\.5"),
        (dict, "class 'dict'"),
        ([], r"named \[\]"),
    ],
)
def test_anything_else_is_refused(wrong, message):
    with pytest.raises(ParameterError, match=message):
        get_loss(wrong)


def test_a_name_is_registered_once(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "LOSSES", registry._registered)

    @losses.register_loss("shifted")
    class Shifted(losses.SquaredError):
        """A loss that a user adds."""

    assert Shifted.name == "shifted"
    assert isinstance(get_loss("shifted"), Shifted)
    assert losses.SquaredError.name == "squared_error"
    with pytest.raises(ParameterError, match=r"'shifted' exists already: Shifted"):
        losses.register_loss("shifted")(Shifted)


def test_the_registry_is_read_only():
    with pytest.raises(TypeError, match="does not support item assignment"):
        LOSSES["mine"] = losses.Huber


def test_all_is_sorted_and_complete():
    names = losses.__all__
    assert all(isinstance(name, str) and hasattr(losses, name) for name in names)
    assert len(set(names)) == len(names)
    assert {cls.__name__ for cls in LOSSES.values()} <= set(names)


def test_importing_losses_leaves_scikit_learn_out():
    code = "import sys, skgrad.losses; sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_loss_written_by_a_user(rng):
    class Asymmetric(losses.SeparableLoss):
        hyperparameter_domains = {"weight": losses.Interval(0, np.inf)}  # noqa: RUF012

        def __init__(self, weight=2.0):
            self.weight = weight

        def elementwise(self, y_true, raw_prediction, **hyperparameters):
            below = y_true > raw_prediction
            factor = below * hyperparameters["weight"] + (1 - below)
            return factor * (y_true - raw_prediction) ** 2

        def _best_constant(self, y, weights):
            return float(y.mean())

    loss = get_loss(Asymmetric(weight=3.0))
    assert loss([1.0, 0.0], [0.0, 1.0]).numpy().tolist() == [3.0, 1.0]
    assert repr(loss) == "Asymmetric(weight=3.0)"
    with pytest.raises(ParameterError, match=r"'weight' .* Asymmetric .* \(0, inf\)"):
        get_loss(Asymmetric(weight=0))
