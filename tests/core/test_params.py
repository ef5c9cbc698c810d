"""Constructor parameters by name, and scikit-learn's contract on them."""

import copy
import math
import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

from skgrad.core.checks import check_interval
from skgrad.core.params import ParamsMixin, did_you_mean
from skgrad.exceptions import ParameterError


class Inner(ParamsMixin):
    def __init__(self, b1=0.9, b2=0.999):
        self.b1 = b1
        self.b2 = b2


class Outer(ParamsMixin):
    non_parameters = frozenset({"tensors"})

    def __init__(self, tensors=None, rate=0.1, *, inner=None, table=None):
        self.tensors = tensors
        self.rate = rate
        self.inner = inner
        self.table = table


class Required(ParamsMixin):
    def __init__(self, size):
        self.size = size


class Plain(ParamsMixin):
    pass


class Estimator(BaseEstimator):
    def __init__(self, optimizer="adam"):
        self.optimizer = optimizer


# ----------------------------------------------------------------- get and set


def test_get_params_is_sorted_and_deep():
    inner = Inner(b1=0.5)
    outer = Outer(rate=1.0, inner=inner)
    assert outer.get_params(deep=False) == {"inner": inner, "rate": 1.0, "table": None}
    assert outer.get_params() == {
        "inner": inner,
        "inner__b1": 0.5,
        "inner__b2": 0.999,
        "rate": 1.0,
        "table": None,
    }
    assert outer.get_params()["inner"] is inner
    assert Plain().get_params() == {}


def test_set_params_returns_itself_and_reaches_inside():
    outer = Outer(inner=Inner())
    assert outer.set_params(rate=2.0, inner__b1=0.1) is outer
    assert (outer.rate, outer.inner.b1, outer.inner.b2) == (2.0, 0.1, 0.999)
    assert outer.set_params() is outer


def test_set_params_replaces_before_it_reaches_inside():
    old, new = Inner(), Inner()
    outer = Outer(inner=old).set_params(inner__b1=0.1, inner=new)
    assert outer.inner is new
    assert (old.b1, new.b1) == (0.9, 0.1)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"rat": 1},
            r"'rat' for Outer\. .*'rate', 'table'\]\. Did .*'rate'",
        ),
        ({"zzz__b1": 1}, "Invalid parameter 'zzz' for Outer"),
        ({"inner__b3": 1}, "Invalid parameter 'b3' for Inner"),
        ({"tensors": []}, "Invalid parameter 'tensors' for Outer"),
        ({"rate__b1": 1}, r"Cannot set 'rate__\.\.\.'.* is 0\.1, which has no param"),
    ],
)
def test_unknown_names_are_refused(params, message):
    outer = Outer(inner=Inner())
    with pytest.raises(ParameterError, match=message):
        outer.set_params(**params)
    assert outer == Outer(inner=Inner())


def test_an_unknown_name_changes_nothing():
    outer = Outer()
    with pytest.raises(ParameterError):
        outer.set_params(rate=5.0, wrong=1)
    assert outer.rate == 0.1


def test_an_argument_that_is_not_stored_is_named():
    class Forgets(ParamsMixin):
        def __init__(self, gamma=0.1):
            pass

    with pytest.raises(AttributeError, match=r"Write 'self\.gamma = gamma'"):
        Forgets().get_params()


@pytest.mark.parametrize("kind", ["*args", "**kwargs"])
def test_unnamed_arguments_are_refused(kind):
    namespace = {}
    exec(f"def __init__(self, {kind}): pass", namespace)
    cls = type("Unnamed", (ParamsMixin,), namespace)
    with pytest.raises(TypeError, match="every constructor argument to be named"):
        cls().get_params()


# ------------------------------------------------------------------ comparison


def test_repr_shows_what_is_not_default():
    assert repr(Outer()) == "Outer()"
    assert repr(Outer(rate=0.1, tensors=[1])) == "Outer()"
    assert repr(Outer(inner=Inner(b1=0.5))) == "Outer(inner=Inner(b1=0.5))"
    assert repr(Required(np.float64(2.0))) == "Required(size=2.0)"
    assert repr(Required(None)) == "Required(size=None)"


def test_equality():
    assert Outer(inner=Inner()) == Outer(inner=Inner())
    assert Outer(inner=Inner()) != Outer(inner=Inner(b1=0.5))
    assert Outer(rate=1) == Outer(rate=1.0)
    assert Outer(rate=math.nan) == Outer(rate=float("nan"))
    assert Outer(rate=math.nan) != Outer(rate=1.0)
    assert Required(0.9) != Inner()
    assert Plain() != 3
    assert Outer(table=np.arange(3)) == Outer(table=np.arange(3))
    assert Outer(table=np.arange(3)) != Outer(table=np.arange(4))
    assert Outer(table=np.arange(3)) != Outer(table=None)


def test_equal_objects_have_equal_hashes_that_do_not_change():
    inner = Inner()
    before = hash(inner)
    assert hash(Inner()) == before
    assert hash(inner.set_params(b1=0.5)) == before


# --------------------------------------------------------------- scikit-learn


@pytest.mark.parametrize(
    "copied",
    [clone, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))],
    ids=["clone", "deepcopy", "pickle"],
)
def test_copies_share_nothing(copied):
    # Only optimizers and losses of importable modules pickle; this one is.
    from skgrad.losses import Huber  # noqa: PLC0415

    loss = Huber(delta=2.0)
    other = copied(loss)
    assert other == loss
    assert other.set_params(delta=3.0) != loss


def test_clone_copies_nested_objects():
    outer = Outer(inner=Inner(b1=0.5), rate=3.0)
    other = clone(outer)
    assert other == outer
    assert other.inner is not outer.inner


def test_nested_in_an_estimator():
    estimator = Estimator(optimizer=Inner())
    assert estimator.get_params()["optimizer__b1"] == 0.9
    estimator.set_params(optimizer__b1=0.5)
    assert clone(estimator).optimizer == Inner(b1=0.5)
    assert "Inner(b1=0.5)" in repr(estimator)


# -------------------------------------------------------------------- helpers


@pytest.mark.parametrize(
    ("value", "ends", "closed"),
    [
        (0.5, (0, 1), "neither"),
        (0, (0, 1), "left"),
        (1.0, (0, 1), "right"),
        (np.int64(1), (0, 1), "both"),
        (np.float32(0.5), (0, 1), "neither"),
        (math.inf, (0, math.inf), "both"),
    ],
)
def test_check_interval_accepts(value, ends, closed):
    check_interval("Owner", "name", value, *ends, closed)


@pytest.mark.parametrize(
    ("value", "ends", "closed", "message"),
    [
        (0, (0, 1), "neither", r"The 'name' parameter of Owner .* \(0, 1\)\. Got 0 i"),
        (1, (0, 1), "left", r"in \[0, 1\)"),
        (0, (0, 1), "right", r"in \(0, 1\]"),
        (1.5, (0, 1), "both", r"in \[0, 1\]\. Got 1\.5 instead"),
        (math.inf, (0, math.inf), "left", r"in \[0, inf\)\. Got inf"),
        (math.nan, (-math.inf, math.inf), "both", "Got nan"),
        (True, (0, 2), "neither", "Got True"),
        ("1", (0, 2), "neither", "Got '1'"),
        (None, (0, 2), "neither", "Got None"),
        (np.float64(3), (0, 2), "neither", r"Got 3\.0 instead"),
        (1j, (0, 2), "neither", "Got 1j"),
    ],
)
def test_check_interval_refuses(value, ends, closed, message):
    with pytest.raises(ParameterError, match=message):
        check_interval("Owner", "name", value, *ends, closed)


def test_did_you_mean():
    assert did_you_mean("Hubber", ["huber", "poisson"]) == " Did you mean 'huber'?"
    assert did_you_mean("x", ["huber"]) == ""
    assert did_you_mean(None, ["huber"]) == ""
    assert did_you_mean(3, []) == ""
