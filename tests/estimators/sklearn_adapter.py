"""Our estimators behind the constructors of scikit-learn's, for scikit-learn's tests.

An adapter takes scikit-learn's parameters, translates them in ``fit`` and answers with
the fitted attributes of ours. What has no counterpart here is refused, so that no test
passes by ignoring it.
"""

import importlib.util
import inspect
from unittest import mock

import numpy as np
import pytest
import sklearn.linear_model
import sklearn.neural_network
from sklearn.base import BaseEstimator
from sklearn.utils import compute_sample_weight
from sklearn.utils.metaestimators import available_if

import skgrad
from skgrad.optim import SGD, Adam


class NoCounterpartError(Exception):
    """A parameter of scikit-learn that has no counterpart here."""


def needs(condition, what):
    if not condition:
        raise NoCounterpartError(what)


class Adapter(BaseEstimator):
    """What all adapters share: a model of ours that is made in ``fit``."""

    n_fits = 0

    def _ready(self, X, y, sample_weight):
        """Return our estimator with the parameters of the moment."""
        n = X.shape[0] if hasattr(X, "shape") else len(X)
        weights = np.ones(n) if sample_weight is None else sample_weight
        params = self.translate(weights * np.ones(n), y)
        params["random_state"] = 0 if self.random_state is None else self.random_state
        if not self.warm_start or "model" not in vars(self):
            self.model = self.ours(**params)
        return self.model.set_params(**params)

    # Defaults for what some of scikit-learn's estimators do not have.
    random_state = None
    warm_start = False

    def fit(self, X, y, sample_weight=None):
        Adapter.n_fits += 1
        self._ready(X, y, sample_weight).fit(X, y, sample_weight)
        return self

    @available_if(lambda self: getattr(self, "solver", None) in ("sgd", "adam"))
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        Adapter.n_fits += 1
        if "model" not in vars(self):
            self._ready(X, y, sample_weight)
        known = {} if classes is None else {"classes": classes}
        self.model.partial_fit(X, y, sample_weight=sample_weight, **known)
        return self

    def score(self, X, y, sample_weight=None):
        return self.model.score(X, y, sample_weight)

    def __sklearn_tags__(self):
        return self.ours().__sklearn_tags__()

    def __sklearn_is_fitted__(self):
        return "model" in vars(self)

    def __getattr__(self, name):
        if name == "model" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.model, name)


def init_like(cls):
    """Return a constructor with the signature of that of a class."""
    signature = inspect.signature(cls.__init__)

    def __init__(self, *args, **kwargs):  # noqa: N807 - it becomes a method
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        for name, value in list(bound.arguments.items())[1:]:
            setattr(self, name, value)

    __init__.__signature__ = signature
    return __init__


class MLP(Adapter):
    @property
    def coefs_(self):
        return [p.numpy().T for p in list(self.model.module_.parameters())[::2]]

    @property
    def intercepts_(self):
        return [p.numpy() for p in list(self.model.module_.parameters())[1::2]]

    def _optimizer(self):
        if self.solver == "sgd":
            ahead = self.nesterovs_momentum and self.momentum > 0
            return SGD(momentum=self.momentum, nesterov=ahead)
        if self.solver == "adam":
            return Adam(b1=self.beta_1, b2=self.beta_2, eps=self.epsilon)
        return "lbfgs"

    def translate(self, w, y):
        needs(self.learning_rate == "constant", "schedules of the learning rate")
        needs(self.max_fun == 15000, "a limit of evaluations")
        size = min(200, len(w)) if self.batch_size == "auto" else self.batch_size
        if self.solver == "lbfgs":
            size = len(w)
        patience = min(self.n_iter_no_change, self.max_iter)
        classifier = self.ours is skgrad.MLPClassifier
        return {
            "loss": "log_loss" if classifier else self.loss,
            "hidden_layer_sizes": self.hidden_layer_sizes,
            "activation": self.activation,
            "optimizer": self._optimizer(),
            "alpha": self.alpha / size,
            "batch_size": size,
            "learning_rate": self.learning_rate_init,
            "max_iter": self.max_iter,
            "shuffle": self.shuffle,
            "tol": self.tol,
            "verbose": self.verbose,
            "warm_start": self.warm_start,
            "early_stopping": self.early_stopping,
            "validation_fraction": self.validation_fraction,
            "n_iter_no_change": patience,
            "scoring": "accuracy" if classifier else "r2",
            "standardize": False,
        }


class MLPClassifier(MLP):
    ours = skgrad.MLPClassifier
    __init__ = init_like(sklearn.neural_network.MLPClassifier)


class MLPRegressor(MLP):
    ours = skgrad.MLPRegressor
    __init__ = init_like(sklearn.neural_network.MLPRegressor)


class Linear(Adapter):
    ours = skgrad.GradientLinearRegressor

    def translate(self, w, y):
        own = self.parameters(w, y)
        return {
            "fit_intercept": self.fit_intercept,
            "standardize": False,
            "warm_start": self.warm_start,
            **own,
        }


class LinearRegression(Linear):
    __init__ = init_like(sklearn.linear_model.LinearRegression)

    def parameters(self, w, y):
        # Bounds make the solution iterative: as exact as theirs.
        return {"positive": self.positive, "tol": 1e-12}


class ElasticNet(Linear):
    __init__ = init_like(sklearn.linear_model.ElasticNet)

    def parameters(self, w, y):
        needs(self.precompute is False, "a Gram matrix of the user")
        return {
            "alpha": self.alpha,
            "l1_ratio": self.l1_ratio,
            "positive": self.positive,
            "tol": 1e-10,
        }


class Lasso(ElasticNet):
    __init__ = init_like(sklearn.linear_model.Lasso)
    l1_ratio = 1.0


class QuantileRegressor(Linear):
    ours = skgrad.QuantileRegressor
    __init__ = init_like(sklearn.linear_model.QuantileRegressor)

    def parameters(self, w, y):
        return {"quantile": self.quantile, "alpha": self.alpha}


class LogisticRegression(Linear):
    ours = skgrad.GradientLinearClassifier
    __init__ = init_like(sklearn.linear_model.LogisticRegression)

    def parameters(self, w, y):
        needs(self.intercept_scaling == 1, "a penalised intercept")
        needs(not self.dual, "the dual problem")
        l1_ratio = {"l1": 1.0, "l2": 0.0}.get(self.penalty, self.l1_ratio)
        balanced = isinstance(self.class_weight, str)
        needs(not balanced or w.min() == w.max(), "balanced rows with weights")
        # Our penalty is relative to the sum of all weights, those of classes included.
        total = (w * compute_sample_weight(self.class_weight, y)).sum()
        # Iterations of Newton's method are comparable, those of other solvers are not.
        limit = {} if l1_ratio else {"max_iter": self.max_iter}
        return {
            **limit,
            "alpha": 0.0 if self.penalty is None else 1 / (self.C * total),
            "l1_ratio": l1_ratio,
            "class_weight": self.class_weight,
            "tol": 1e-9,
        }


ADAPTERS = {
    sklearn.neural_network: [MLPClassifier, MLPRegressor],
    sklearn.linear_model: [
        ElasticNet,
        Lasso,
        LinearRegression,
        LogisticRegression,
        QuantileRegressor,
    ],
}


def load(name, adapted):
    """Return a copy of a test module of scikit-learn that imports adapters instead."""
    spec = importlib.util.find_spec(name)
    module = importlib.util.module_from_spec(spec)
    patches = [
        mock.patch.object(package, cls.__name__, cls)
        for package, classes in ADAPTERS.items()
        for cls in classes
        if cls.__name__ in adapted
    ]
    for patch in patches:
        patch.start()
    try:
        spec.loader.exec_module(module)
    finally:
        for patch in patches:
            patch.stop()
    return module


def without(function, dropped):
    """Return whether a test has cases but those with values that are left out.

    Cases that are expected to fail for scikit-learn's own models are none here.

    Parameters
    ----------
    function : callable
        A test.
    dropped : dict
        Values to leave out by the name of the argument.
    """
    marks = getattr(function, "pytestmark", [])
    function.pytestmark = kept = [_filtered(mark, dropped) for mark in marks]
    return all(mark.args[1] for mark in kept if mark.name == "parametrize")


def _filtered(mark, dropped):
    if mark.name != "parametrize":
        return mark
    names, values = mark.args
    words = dropped.get(str(names), ())
    kept = [
        _unmarked(value)
        for value in values
        if not any(word in str(value) for word in words)
    ]
    return pytest.mark.parametrize(names, kept, **mark.kwargs).mark


def _unmarked(value):
    """Return a value without a mark that says it is known to fail."""
    if not isinstance(value, type(pytest.param(0))):
        return value
    marks = [mark for mark in value.marks if mark.name != "xfail"]
    return pytest.param(*value.values, marks=marks, id=value.id)
