"""Parameters shared by the estimators: words, constraints, nesting."""

from __future__ import annotations

import inspect
from numbers import Integral, Real
from typing import Any

import numpy as np

from skgrad import nn
from skgrad.estimators.migration import advice, advising
from skgrad.estimators.sklearn_private import HasMethods, Interval, StrOptions
from skgrad.exceptions import ParameterError
from skgrad.losses import LOSSES, get_loss
from skgrad.optim import OPTIMIZERS, SCHEDULES, get_optimizer, get_schedule

__all__ = ["NestedParams", "documented"]

ACTIVATIONS = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "logistic": nn.Sigmoid,
    "mish": nn.Mish,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}

# One description per parameter, for every class whose __init__ takes it. A class that
# means something else by a name gives its own words to `documented`.
DESCRIPTIONS = {
    "loss": """str, Loss or callable, default={default}
        A name (see ``skgrad.losses.LOSSES``), a loss object such as
        ``losses.Huber(delta=2.0)``, or your own plain function
        ``loss(y_true, raw_prediction)`` returning one value per sample. It sees
        tensors of shape (n_samples,), or (n_samples, n_outputs). "gaussian_nll" and
        "student_t_nll" fit a scale too, see ``predict_distribution``.""",
    "ndcg_at": """int or None, default={default}
        How many ranks count in the NDCG of `score` and of ``scoring="ndcg"``; None:
        all. The loss "lambdarank" has a ``k`` of its own: ``LambdaRank(k=10)``.""",
    "quantile": """float or sequence of float, default={default}
        Levels in (0, 1) of the quantiles, strictly increasing if there are several.""",
    "hidden_layer_sizes": """tuple of int, default={default}
        Units of each hidden layer; an int means one layer.""",
    "activation": """str or callable, default={default}
        After each hidden layer: "relu", "leaky_relu", "elu", "selu", "silu", "gelu",
        "mish", "softplus", "tanh", "logistic" or "identity"; or what makes a module,
        such as ``nn.PReLU``.""",
    "dropout": """float in [0, 1), default={default}
        Rate of dropout after each hidden activation, while fitting only.""",
    "module": """class or callable
        Called as ``module(n_features, n_outputs, **module_params)``, returns an
        :class:`skgrad.nn.Module` that maps (n_samples, n_features) to
        (n_samples, n_outputs).""",
    "module_params": """dict, default={default}
        Further keyword arguments of ``module``; each is also a parameter of the
        estimator, ``module__<name>``.""",
    "alpha": """float, default={default}
        Strength of the penalty ``l1_ratio * |c|_1 + (1 - l1_ratio) / 2 * |c|²`` that is
        added to the (weighted) mean loss per sample, as in
        :class:`~sklearn.linear_model.ElasticNet`; biases are not penalised.""",
    "l1_ratio": """float in [0, 1], default={default}
        Part of L1 in the penalty.""",
    "alphas": """int or sequence of float, default={default}
        How many strengths of the penalty, from the smallest one at which all penalised
        coefficients are zero downwards, evenly in their logarithm; or which.""",
    "eps": """float or "auto", default={default}
        The last of so many strengths over the first; "auto" is 1e-4 if there are more
        rows than features, else 1e-2.""",
    "cv": """int, splitter or iterable, default={default}
        The folds, as scikit-learn's estimators take them: None means 5, stratified for
        classifiers; with ``groups`` given to ``fit`` also ``GroupKFold()``.""",
    "select": """{{"min", "1se"}}, default={default}
        Which strength to choose: that with the best mean of held-out rows, or the
        largest whose mean is within one standard error of it, which gives the sparser
        model.""",
    "n_jobs": """int or None, default={default}
        Threads for the folds, which share one copy of the inputs; -1 means all cores.
        None is 1 unless a ``joblib.parallel_config`` says otherwise.""",
    "penalty_factor": """array-like of shape (n_features,) or dict, default={default}
        What the penalty of each feature's coefficients (L1 and L2, of every output) is
        multiplied by, >= 0: 0 is never penalised, 1 the default. A dict goes from names
        (of a data frame) or numbers of columns to factors. They are taken as they are:
        glmnet's ``penalty.factor`` f is ``f * n_features / sum(f)`` here.""",
    "positive": """bool, default={default}
        Let no coefficient be negative.""",
    "bounds": """pair, array-like of shape (n_features, 2) or dict, default={default}
        Where coefficients may lie, on the original scale of inputs and targets: one
        pair ``(low, high)`` for all features, one for each, or a dict from names (of a
        data frame) or numbers of columns to pairs; None or an infinity is a free side.
        They hold for every output (every class, if there are more than two); of a loss
        with a distribution, for its locations. The intercept is free. With any bound
        `tol` is on the projected gradient, and stochastic optimizers project after each
        step.""",
    "monotonic_cst": """array-like of shape (n_features,) or dict, default={default}
        1 for coefficients >= 0, so that predictions do not fall with the feature, -1
        for coefficients <= 0, 0 for any; a dict as in `bounds`. All of `positive`,
        `bounds` and these hold at once.""",
    "non_crossing": """str, default={default}""",
    "fit_intercept": """bool, default={default}
        Fit an intercept, which is never penalised.""",
    "standardize": """bool, default={default}
        Scale the inputs to mean 0 and variance 1 inside the model (and, in networks
        with an identity link, the targets too, as in linear models with a loss that
        fits a distribution: the loss then sees standardised targets). Predictions and
        coefficients are on the original scale. With a penalty it acts on the
        coefficients of the standardised inputs.""",
    "optimizer": """str or optimizer, default={default}
        "sgd", "adam" or another of ``optim.OPTIMIZERS``, or an object such as
        ``optim.Adam(b1=0.95)`` or ``optim.Averaged(optim.Adam())``. "lbfgs",
        "newton_cg", "nonlinear_cg" and "fista" use all rows at once.""",
    "learning_rate": """float or "auto", default={default}
        Initial learning rate of a stochastic optimizer. "auto" finds one by a range
        test: some 140 steps with a rate that grows, thrown away afterwards; see
        :func:`skgrad.train.find_learning_rate`. Equal seeds find the same.""",
    "schedule": """str or schedule, default={default}
        What the learning rate is multiplied by over time: None or "constant", "step",
        "cosine", "plateau" or another of ``optim.SCHEDULES``, or an object such as
        ``optim.Warmup(optim.Cosine())``.""",
    "batch_size": """int, "auto" or None, default={default}
        Rows per step; "auto" means min(200, n_samples), None all rows.""",
    "shuffle": """bool, default={default}
        Shuffle the rows before each epoch.""",
    "max_iter": """int, default={default}
        Epochs for a stochastic optimizer, iterations otherwise.""",
    "max_time": """float or None, default={default}
        Seconds after which no further epoch or iteration is begun.""",
    "tol": """float or None, default={default}
        Stochastic: smallest improvement of the objective (with early stopping, of the
        validation score) that counts; None never stops early. All rows at once: bound
        on the max-norm of the gradient, relative to that of the linear model without
        coefficients (of a network at its initial weights).""",
    "n_iter_no_change": """int, default={default}
        Epochs without an improvement by ``tol`` that are tolerated.""",
    "early_stopping": """bool, default={default}
        Watch a validation score instead of the training objective, and keep the
        weights of the best epoch. Uses ``X_val, y_val`` if they are given to ``fit``,
        otherwise a part of the training rows.""",
    "validation_fraction": """float in (0, 1), default={default}
        Part of the rows set aside for early stopping; stratified for classifiers.""",
    "validation_splitter": """int, splitter or iterable, default={default}
        Chooses the rows set aside for early stopping in the place of the fraction: the
        first split of a scikit-learn splitter, such as ``TimeSeriesSplit()`` or, with
        ``groups`` given to ``fit``, ``GroupShuffleSplit()``.""",
    "scoring": """str or callable, default={default}
        What is watched on the validation rows: "loss" (minus the mean loss) or any
        scikit-learn scorer.""",
    "refit": """{{"best_epoch"}} or None, default={default}
        With early stopping: once the best epoch is known, fit anew for as many epochs
        on all rows, the validation rows included. The curves are those of the first
        fit.""",
    "conformalize": """bool, default={default}
        Keep a part of the rows out of the fit, and correct the intervals of
        ``predict_interval`` by them.""",
    "calibration_fraction": """float in (0, 1), default={default}
        Part of the rows kept out for ``conformalize``, at random by ``random_state``.
        A coverage c needs c / (1 - c) of them at least: 9 for 0.9, 99 for 0.99.""",
    "clip_norm": """float or None, default={default}
        Largest Euclidean norm of the gradient of a stochastic step.""",
    "on_divergence": """{{"recover", "raise"}}, default={default}
        What to do when the objective of a stochastic optimizer is no longer finite or
        has grown a hundredfold: "recover" goes back to the last good weights with a
        tenth of the learning rate, up to 8 times, and warns; then, or at once with
        "raise", it is a :class:`~skgrad.exceptions.DivergenceError`.""",
    "class_weight": """dict, "balanced" or None, default={default}
        Weights of the classes, multiplied with ``sample_weight``.""",
    "warm_start": """bool, default={default}
        Continue from the last fit: weights, optimizer state and epochs are kept.""",
    "random_state": """int, RandomState or None, default={default}
        Seed of initial weights, splits, shuffles and masks, each from a stream of its
        own. None takes fresh entropy; NumPy's global seed is never used.""",
    "dtype": """{{"float32", "float64"}} or None, default={default}
        Of the computation; None takes float32 for float32 inputs, else float64.""",
    "device": """str, default={default}
        Where to fit: "cpu"; "cuda", or "cuda:1" by number, a GPU (needs CuPy:
        ``pip install "skgrad[cuda12]"``); "auto", a GPU if there is one and the fit is
        so large that it is expected to take half the time there, by its shapes. Inputs,
        results and the fitted model are on the host either way: a model fitted on a
        GPU predicts and loads without one.""",
    "matmul_precision": """{{"highest", "tf32", "bf16"}}, default={default}
        How a GPU multiplies matrices of float32: in float32, or faster with factors
        rounded to 10 or 7 binary digits. The CPU always computes in full.""",
    "verbose": """int, default={default}
        1 prints a line now and then, 2 shows a progress bar with the time left
        (needs rich: ``pip install "skgrad[progress]"``).""",
}

# Fitted attributes of every estimator.
ATTRIBUTES = """n_iter_ : int
        Epochs or iterations, those of earlier calls included with ``warm_start``.
    loss_curve_ : list of float
        The objective over each epoch (each batch before its step), or after each
        iteration.
    loss_, best_loss_ : float
        Last and smallest entry of ``loss_curve_``.
    validation_scores_ : list of float
        Score of the validation rows after each epoch, larger is better.
    module_ : Module
        The fitted module, in evaluation mode; it sees standardised inputs.
    device_ : str
        Where it was fitted, "cpu" or "cuda:0"; ``fit_report_["device_reason"]`` says
        why.
    fit_report_ : FitReport
        Optimizer, executor, why the fit stopped, and more: a dict of plain values
        that prints as a table.
    n_outputs_ : int
        Number of outputs of the module: raw predictions per sample.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Their names, if the inputs had some."""

_UNIT = Interval(Real, 0, 1, closed="both")
_OPEN_UNIT = Interval(Real, 0, 1, closed="neither")
_POSITIVE = Interval(Real, 0, None, closed="neither")
_COUNT = Interval(Integral, 1, None, closed="left")


class DTypeOptions(StrOptions):
    """Dtypes by name, and what NumPy makes the same dtype of: np.float32, float ..."""

    def is_satisfied_by(self, val: Any) -> bool:
        """Return whether ``val`` is one of the dtypes."""
        if isinstance(val, type | np.dtype):
            val = str(np.dtype(val))
        return bool(super().is_satisfied_by(val))


# Instances and classes alike have the methods that are asked for.
CONSTRAINTS: dict[str, list[Any]] = {
    "loss": [StrOptions(LOSSES.keys()), HasMethods("pointwise"), callable],
    "ndcg_at": [_COUNT, None],
    "quantile": [_OPEN_UNIT, "array-like"],
    "hidden_layer_sizes": ["array-like", _COUNT],
    "activation": [StrOptions(ACTIVATIONS.keys()), callable],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "module": [callable],
    "module_params": [dict, None],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "l1_ratio": [_UNIT],
    "alphas": [_COUNT, "array-like"],
    "eps": [_OPEN_UNIT, StrOptions({"auto"})],
    "cv": ["cv_object"],
    "select": [StrOptions({"min", "1se"})],
    "n_jobs": [Integral, None],
    "penalty_factor": ["array-like", dict, None],
    "positive": ["boolean"],
    "bounds": ["array-like", dict, None],
    "monotonic_cst": ["array-like", dict, None],
    "non_crossing": [StrOptions({"none", "rearrange", "constrained"})],
    "fit_intercept": ["boolean"],
    "standardize": ["boolean"],
    "optimizer": [
        StrOptions(OPTIMIZERS.keys()),
        HasMethods(["init", "update", "hyperparameters"]),
        HasMethods("minimize"),
    ],
    "learning_rate": [_POSITIVE, StrOptions({"auto"})],
    "schedule": [StrOptions(SCHEDULES.keys()), HasMethods("factors"), None],
    "batch_size": [StrOptions({"auto"}), _COUNT, None],
    "shuffle": ["boolean"],
    "max_iter": [_COUNT],
    "max_time": [_POSITIVE, None],
    "tol": [Interval(Real, 0, None, closed="left"), None],
    "n_iter_no_change": [_COUNT],
    "early_stopping": ["boolean"],
    "validation_fraction": [_OPEN_UNIT],
    "validation_splitter": ["cv_object"],
    "refit": [StrOptions({"best_epoch"}), None],
    "scoring": [str, callable],
    "conformalize": ["boolean"],
    "calibration_fraction": [_OPEN_UNIT],
    "clip_norm": [_POSITIVE, None],
    "on_divergence": [StrOptions({"recover", "raise"})],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "dtype": [DTypeOptions({"float32", "float64"}), None],
    "device": [str],
    "matmul_precision": [StrOptions({"highest", "tf32", "bf16"})],
    "verbose": ["verbose"],
}


def documented(**own: str) -> Any:
    """Return a class decorator that describes and constrains ``__init__``'s arguments.

    It fills ``{parameters}`` in the docstring in the order of the signature,
    ``{attributes}`` with those every estimator has, and ``_parameter_constraints``; an
    argument without a description is an error at import. The constructor learns to name
    our parameter where one of another library is passed.

    Parameters
    ----------
    **own : str
        Descriptions that differ from the shared ones; ``attributes`` stands before
        those that every estimator has.

    Returns
    -------
    callable
        The decorator.

    Examples
    --------
    >>> from skgrad import MLPRegressor
    >>> "max_iter : int, default=200" in MLPRegressor.__doc__
    True
    """

    def decorate(cls: Any) -> Any:
        lines = ["Parameters", "    ----------"]
        arguments = list(inspect.signature(cls.__init__).parameters.values())[1:]
        for argument in arguments:
            text = own.get(argument.name) or DESCRIPTIONS[argument.name]
            default = argument.default
            shown = f'"{default}"' if isinstance(default, str) else repr(default)
            lines.append(f"    {argument.name} : {text.format(default=shown)}")
        text = cls.__doc__.replace("{parameters}", "\n".join(lines))
        attributes = own.get("attributes", "") + ATTRIBUTES
        cls.__doc__ = text.replace("{attributes}", attributes)
        cls._parameter_constraints = {
            a.name: _constraints(a.name, cls) for a in arguments
        }
        cls.__init__ = advising(cls.__init__)
        return cls

    return decorate


def _constraints(name: str, cls: Any) -> list[Any]:
    """Return what an argument may be; some classes choose the optimizer by a word."""
    shared = getattr(cls, "_own_constraints", {}).get(name, CONSTRAINTS[name])
    words = set(getattr(cls, "_optimizer_words", ()))
    return [StrOptions(words), *shared] if name == "optimizer" and words else shared


_RESOLVERS = {"loss": get_loss, "optimizer": get_optimizer, "schedule": get_schedule}
_EXAMPLES = {
    "loss": "loss=losses.Huber(), or a Loss class of your own with that parameter",
    "optimizer": "optimizer='newton' or optimizer=optim.LBFGS()",
    "schedule": "schedule='step' or schedule=optim.Step()",
}


class NestedParams:
    """``optimizer__b1``, ``loss__delta``, ``module__hidden`` as parameters.

    A loss, optimizer or schedule given by name or as a class becomes an object when one
    of its parameters is set. The entries of ``module_params`` are parameters of their
    own.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Include those of losses, optimizers, schedules and modules.

        Returns
        -------
        dict
            Names and values.
        """
        params: dict[str, Any] = super().get_params(deep)  # type: ignore[misc]
        module_params = params.get("module_params")
        if deep and isinstance(module_params, dict):
            params |= {f"module__{k}": value for k, value in module_params.items()}
        return params

    def set_params(self, **params: Any) -> Any:
        """Set parameters, nested ones too.

        Parameters
        ----------
        **params
            Names and values; ``optimizer__b1=0.95`` sets ``b1`` of the optimizer.

        Returns
        -------
        estimator
            The estimator itself.

        Raises
        ------
        ValueError
            If there is no such parameter, or ``optimizer__b1`` is set where the
            optimizer has no parameters.
        """
        known = self.get_params(deep=False)
        for name in params:
            holder = name.partition("__")[0]
            if holder not in known:
                raise ValueError(advice(type(self).__name__, holder, known))
        own = {k: v for k, v in params.items() if "__" not in k}
        nested = {k: v for k, v in params.items() if "__" in k}
        if own:
            super().set_params(**own)  # type: ignore[misc]
        module = {k: v for k, v in nested.items() if k.startswith("module__")}
        if module and hasattr(self, "module_params"):
            # A new dict: the old one may belong to the estimator this was cloned from.
            values = {k.removeprefix("module__"): v for k, v in module.items()}
            self.module_params: Any = {**(self.module_params or {}), **values}
            nested = {k: v for k, v in nested.items() if k not in module}
        for name in nested:
            self._make_holder(name)
        if nested:
            super().set_params(**nested)  # type: ignore[misc]
        return self

    def _make_holder(self, name: str) -> None:
        """Make what a nested parameter belongs to an object with parameters."""
        holder = name.partition("__")[0]
        if holder not in _RESOLVERS or not hasattr(self, holder):
            return
        value = getattr(self, holder)
        if isinstance(value, str | type | None) and value != "auto":
            setattr(self, holder, _RESOLVERS[holder](value))
        elif not hasattr(value, "set_params"):
            raise ParameterError(
                f"{name!r} cannot be set: the {holder!r} parameter of "
                f"{type(self).__name__} is {value!r}, which has no parameters. Choose "
                f"one that has them first, for example {_EXAMPLES[holder]}."
            )
