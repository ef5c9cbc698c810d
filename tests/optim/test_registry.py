import pytest

import skgrad
from skgrad.exceptions import ParameterError
from skgrad.optim import (
    OPTIMIZERS,
    SGD,
    Adam,
    Newton,
    get_optimizer,
    register_optimizer,
)

FULL_BATCH = {
    *("fista", "lbfgs", "newton", "newton_cg", "nonlinear_cg", "proximal_newton"),
}


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_name_class_and_object(name):
    cls = OPTIMIZERS[name]
    optimizer = cls()
    assert get_optimizer(optimizer) is optimizer
    assert get_optimizer(name) == get_optimizer(cls) == optimizer
    assert cls.stochastic == (name not in FULL_BATCH)


@pytest.mark.parametrize("spec", ["adm", "ADAM", 3, None, dict])
def test_unknown_optimizers(spec):
    with pytest.raises(
        ParameterError, match=r"Unknown optimizer .* Known are \['adagrad'"
    ):
        get_optimizer(spec)


def test_a_suggestion_is_made():
    with pytest.raises(ParameterError, match="Did you mean 'adam'"):
        get_optimizer("ADAM")


@pytest.mark.parametrize("spec", [Adam(b1=1.0), SGD(momentum=-1), Newton(tol=-1)])
def test_parameters_are_checked(spec):
    with pytest.raises(ParameterError, match=f"parameter of {type(spec).__name__}"):
        get_optimizer(spec)


def test_an_optimizer_of_one_model_is_no_description():
    spec = Adam([skgrad.tensor([1.0], requires_grad=True)], lr=0.1)
    with pytest.raises(ParameterError, match=r"Pass Adam\(\) without 'params'"):
        get_optimizer(spec)


def test_names_are_taken_once():
    with pytest.raises(ParameterError, match="'adam' is taken by Adam"):
        register_optimizer("adam")(SGD)
