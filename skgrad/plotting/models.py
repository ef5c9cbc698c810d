"""Which models a display was given, and by which names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skgrad.estimators.quantiles import QuantileMixin
from skgrad.exceptions import ParameterError
from skgrad.typing import Array

__all__ = [
    "feature_names",
    "final_estimator",
    "input_scales",
    "named_models",
    "one_target",
    "require",
    "row_names",
]


def named_models(models: Any) -> dict[str, Any]:
    """Return fitted models by name.

    Parameters
    ----------
    models : estimator, list of estimators or dict of estimators
        Those of a list get the names of their classes, numbered if several share one.

    Returns
    -------
    dict
        Names and estimators.
    """
    if isinstance(models, Mapping):
        named = {str(name): model for name, model in models.items()}
    else:
        listed = list(models) if isinstance(models, list | tuple) else [models]
        named = dict(zip(_class_names(listed), listed, strict=True))
    if not named:
        raise ParameterError("There is no model to draw. Pass at least one.")
    return named


def _class_names(models: list[Any]) -> list[str]:
    names = [type(final_estimator(model)).__name__ for model in models]
    totals, seen, numbered = Counter(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        numbered.append(name if totals[name] == 1 else f"{name} {seen[name]}")
    return numbered


def final_estimator(model: Any) -> Any:
    """Return what predicts: the last step of a pipeline, the best of a search.

    Parameters
    ----------
    model : estimator
        A fitted estimator.

    Returns
    -------
    estimator
        The innermost one.
    """
    if isinstance(model, Pipeline):
        return final_estimator(model[-1])
    if hasattr(model, "best_estimator_"):
        return final_estimator(model.best_estimator_)
    return model


def require(model: Any, attribute: str, remedy: str) -> Any:
    """Return an attribute of a fitted model, or say how to get it.

    Parameters
    ----------
    model : estimator
        The model.
    attribute : str
        Its name.
    remedy : str
        What to do where there is none.

    Returns
    -------
    object
        The attribute.

    Raises
    ------
    ParameterError
        If there is none.
    """
    value = getattr(model, attribute, None)
    if value is None:
        raise ParameterError(f"{type(model).__name__} has no {attribute}. {remedy}")
    return value


def one_target(values: Any, what: str) -> Array:
    """Return targets or predictions of one output as a vector.

    Parameters
    ----------
    values : array-like of shape (n_samples,) or (n_samples, 1)
        The values.
    what : str
        What they are, for the message.

    Returns
    -------
    ndarray of shape (n_samples,)
        The same values.

    Raises
    ------
    ParameterError
        If there are several outputs.
    """
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ParameterError(
            f"{what} must have one output here. Got the shape {array.shape}: draw one "
            "display per output, made from its column."
        )
    return array


def row_names(model: Any, n_rows: int) -> list[str]:
    """Return the names of the rows of ``coef_``; a single one has none.

    Parameters
    ----------
    model : estimator
        A fitted linear model.
    n_rows : int
        How many rows there are.

    Returns
    -------
    list of str
        Classes, quantiles, or what the outputs are.
    """
    if n_rows == 1:
        return [""]
    classes = getattr(model, "classes_", ())
    if len(classes) == n_rows:
        return [str(label) for label in classes]
    if isinstance(model, QuantileMixin):
        return [f"quantile {level:g}" for level in model.quantiles_]
    if n_rows == 2 and hasattr(model, "predict_distribution"):
        return ["location", "log scale"]
    return [f"output {i}" for i in range(n_rows)]


def input_scales(model: Any) -> Array:
    """Return the standard deviations by which a model divides its inputs.

    Parameters
    ----------
    model : estimator
        A fitted linear model of skgrad.

    Returns
    -------
    ndarray of shape (n_features,)
        1 for columns that do not vary.

    Raises
    ------
    ParameterError
        If the model does not know them.
    """
    if not getattr(model, "standardize", False):
        raise ParameterError(
            "standardized=True needs a model of skgrad with standardize=True, which "
            f"knows the standard deviations of its features. Got {model!r}. Multiply "
            "yourself: CoefficientDisplay({'name': model.coef_ * X.std(axis=0)})."
        )
    return np.asarray(model._frame.x_scale)


def feature_names(model: Any) -> Any:
    """Return the names of the inputs of a linear model, in a pipeline or alone.

    Parameters
    ----------
    model : estimator
        A fitted estimator.

    Returns
    -------
    ndarray of str or None
        None if they have no names.
    """
    if isinstance(model, Pipeline) and len(model) > 1:
        return model[:-1].get_feature_names_out()
    model = getattr(model, "best_estimator_", model)
    if isinstance(model, Pipeline):
        return feature_names(model)
    return getattr(model, "feature_names_in_", None)
