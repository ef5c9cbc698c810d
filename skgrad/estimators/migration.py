"""What other libraries' parameters are called here."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from skgrad.core.params import did_you_mean

__all__ = ["LINEAR", "NETWORK", "PATHS", "advice", "advising"]

# Of scikit-learn's linear models and networks, of skorch, of LightGBM's and XGBoost's
# rankers; and what one estimator here has and another has not.
SHARED = {
    "C": "alpha: alpha = 1 / (C * n_samples), with standardize=False",
    "average": "optimizer=optim.Averaged(optim.SGD(), decay=1.0)",
    "beta_1": "optimizer=optim.Adam(b1=...)",
    "beta_2": "optimizer=optim.Adam(b2=...)",
    "callbacks": "the method set_callbacks",
    "criterion": "loss",
    "eta0": "learning_rate",
    "eval_at": "ndcg_at",
    "eval_metric": "scoring, with early_stopping=True",
    "learning_rate_init": "learning_rate, which is the initial rate",
    "loss": "quantile, the level; other losses are for GradientLinearRegressor and "
    "MLPRegressor",
    "lr": "learning_rate",
    "max_epochs": "max_iter",
    "max_fun": "max_iter",
    "momentum": "optimizer=optim.SGD(momentum=...)",
    "n_jobs": "nothing: one program fits all classes at once",
    "nesterovs_momentum": "optimizer=optim.SGD(momentum=..., nesterov=True)",
    "objective": "loss",
    "penalty": "alpha and l1_ratio: 0 for 'l2', 1 for 'l1'; alpha=0 for none",
    "power_t": "schedule, for example schedule=optim.Exponential(gamma=...)",
    "quantile": "loss=losses.Quantile(quantile=...), or the estimators "
    "QuantileRegressor and MLPQuantileRegressor",
    "solver": "optimizer",
    "solver_options": "nothing: the exact solver has no options",
    "train_split": "early_stopping, with validation_fraction or validation_splitter",
}
NETWORK = {**SHARED, "epsilon": "optimizer=optim.Adam(eps=...)"}
LINEAR = {**SHARED, "epsilon": "loss=losses.Huber(delta=...)"}
# Of scikit-learn's LassoCV, ElasticNetCV and LogisticRegressionCV.
PATHS = {
    **LINEAR,
    "C": "alphas: alpha = 1 / (C * n_samples), with standardize=False",
    "Cs": "alphas: alpha = 1 / (C * n_samples), with standardize=False",
    "alpha": "alphas: a number of strengths, or which",
    "copy_X": "nothing: X is never changed",
    "dual": "nothing: there is one solver",
    "intercept_scaling": "nothing: intercepts are not penalised",
    "l1_ratios": "l1_ratio: one part of L1 or several",
    "n_alphas": "alphas: a number of strengths, or which",
    "optimizer": "nothing: there is one solver",
    "penalty": "l1_ratio: 0 for 'l2', 1 for 'l1'; alphas=[0] for none",
    "precompute": "nothing: products of columns are kept where that pays",
    "random_state": "nothing: nothing is random but what cv is",
    "refit": "nothing: the chosen model is fitted to all rows",
    "selection": "nothing: coordinates are taken in turn",
    "solver": "nothing: there is one solver",
    "use_legacy_attributes": "nothing: alpha_, l1_ratio_ and tables of one path",
}


def advice(owner: str, name: str, known: Iterable[str]) -> str:
    """Return the message about a parameter that an estimator does not have.

    Parameters
    ----------
    owner : str
        The estimator's class.
    name : str
        What was passed.
    known : iterable of str
        Its parameters.

    Returns
    -------
    str
        With our name for it, or the nearest one.

    Examples
    --------
    >>> from skgrad.estimators.migration import advice
    >>> advice("MLPRegressor", "solver", ["optimizer"])
    "MLPRegressor has no parameter 'solver'. Here it is optimizer."
    """
    text = f"{owner} has no parameter {name!r}."
    names = list(known)
    table = NETWORK if "dtype" in names else PATHS if "alphas" in names else LINEAR
    if name in table:
        return f"{text} Here it is {table[name]}."
    return f"{text}{did_you_mean(name, names)} Its parameters are {sorted(names)}."


def advising(init: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor that names our parameter for one of another library."""
    known = list(inspect.signature(init).parameters)[1:]

    @functools.wraps(init)
    def advised(self: Any, *args: Any, **params: Any) -> None:
        for name in params:
            if name not in known:
                raise TypeError(advice(type(self).__name__, name, known))
        init(self, *args, **params)

    return advised
