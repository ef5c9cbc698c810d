"""Which models a display was given, and by which names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skgrad.exceptions import ParameterError
from skgrad.typing import Array

__all__ = ["final_estimator", "named_models", "one_target", "require"]


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
