"""What targets, raw predictions and weights must look like."""

from __future__ import annotations

from typing import Any

import numpy as np

from skgrad.exceptions import DTypeError, ParameterError, ShapeError
from skgrad.tensor import Tensor

__all__ = ["check_dtypes", "check_shapes", "check_targets_and_weights"]


def check_dtypes(y_true: Tensor, raw_prediction: Tensor, *, labels: bool) -> None:
    """Check that raw predictions are floats, and targets of no other float dtype.

    Parameters
    ----------
    y_true, raw_prediction : Tensor
        Targets and raw predictions.
    labels : bool
        Whether `y_true` holds class codes, which may have any dtype.

    Raises
    ------
    DTypeError
        Otherwise.
    """
    if raw_prediction.dtype.kind != "f":
        raise DTypeError(
            f"raw_prediction must be float32 or float64. Got dtype "
            f"{raw_prediction.dtype} instead; convert it with "
            f"raw_prediction.to(dtype='float64')."
        )
    other_float = y_true.dtype.kind == "f" and y_true.dtype != raw_prediction.dtype
    if other_float and not labels:
        raise DTypeError(
            f"y_true has dtype {y_true.dtype} and raw_prediction "
            f"{raw_prediction.dtype}. Convert one of them, for example with "
            f"y_true.to(dtype='{raw_prediction.dtype}')."
        )


def check_shapes(
    y_true: Any, raw_prediction: Any, *, labels: bool = False, raw_per_target: int = 1
) -> None:
    """Check that targets and raw predictions have shapes a loss takes.

    Parameters
    ----------
    y_true : Tensor or ndarray
        Shape (n_samples,) or (n_samples, n_outputs).
    raw_prediction : Tensor or ndarray
        The same shape; for class codes (n_samples,) or (n_samples, n_classes) with
        at least two classes; with several raw predictions per target (n_samples,
        raw_per_target * n_outputs).
    labels : bool, default=False
        Whether `y_true` holds class codes.
    raw_per_target : int, default=1
        How many raw predictions there are for each target.

    Raises
    ------
    ShapeError
        Otherwise. The message names both shapes and the remedy.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.losses import check_shapes
    >>> check_shapes(np.zeros(5), np.zeros((5, 1)))
    Traceback (most recent call last):
        ...
    skgrad.exceptions.ShapeError: y_true has shape (5,) and raw_prediction has shape
    (5, 1); they must be the same. Use raw_prediction[:, 0].
    """
    y, raw = tuple(y_true.shape), tuple(raw_prediction.shape)
    if labels and y[:1] == raw[:1] and len(y) == 1 and len(raw) == 2 and raw[1] > 1:
        return
    if raw_per_target > 1 and len(y) in (1, 2):
        _check_several(y, raw, raw_per_target)
        return
    if y == raw and len(raw) in ((1,) if labels else (1, 2)):
        return
    rule = "one code per sample and one column per class" if labels else "the same"
    raise ShapeError(
        f"y_true has shape {y} and raw_prediction has shape {raw}; they must be "
        f"{rule}. {_shape_remedy(y, raw, labels)}"
    )


def _check_several(y: tuple[int, ...], raw: tuple[int, ...], n_raw: int) -> None:
    """Raise unless there is a column for each of the raw predictions of a target."""
    n_columns = n_raw * (y[1] if len(y) == 2 else 1)
    expected = (y[0], n_columns)
    if raw != expected:
        raise ShapeError(
            f"y_true has shape {y} and raw_prediction has shape {raw}; a loss with "
            f"{n_raw} raw predictions per target takes {expected}, all locations "
            f"first. Give the model {n_columns} outputs."
        )


def check_targets_and_weights(y: Any, sample_weight: Any) -> tuple[Any, Any]:
    """Return targets and float64 weights as arrays, checked.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets; at least one sample.
    sample_weight : array-like of shape (n_samples,) or None
        Weights; None means ones.

    Returns
    -------
    y, weights : ndarray
        Arrays of equal length.

    Raises
    ------
    ShapeError
        If a shape is another one.
    ParameterError
        If weights are negative, not finite or all zero.
    """
    y = np.asarray(y)
    if y.ndim not in (1, 2) or y.shape[0] == 0:
        raise ShapeError(
            f"y must have shape (n_samples,) or (n_samples, n_outputs) with at least "
            f"one sample. Got shape {y.shape} instead."
        )
    if sample_weight is None:
        return y, np.ones(y.shape[0])
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != y.shape[:1]:
        raise ShapeError(
            f"sample_weight must have shape {y.shape[:1]}, one weight per sample. "
            f"Got shape {weights.shape} instead."
        )
    if not (np.all(np.isfinite(weights)) and weights.min() >= 0 and weights.max() > 0):
        raise ParameterError(
            "sample_weight must be finite, non-negative and not all zero. Got weights "
            f"between {weights.min():g} and {weights.max():g} instead."
        )
    return y, weights


def _shape_remedy(y: tuple[int, ...], raw: tuple[int, ...], labels: bool) -> str:
    """Return what to do about two shapes that do not fit."""
    if not y or not raw:
        return "Pass one value per sample; a single one has shape (1,)."
    if y[0] != raw[0]:
        return f"There are {y[0]} targets but {raw[0]} predictions: use the same rows."
    if raw == (*y, 1):
        return "Use raw_prediction[:, 0]."
    if y == (*raw, 1):
        return "Use y_true[:, 0]."
    if labels and len(y) == 2:
        return (
            "Pass class codes 0, 1, ... of shape (n_samples,): y_true[:, 0] for a "
            "column of codes, y_true.argmax(axis=1) for indicator columns."
        )
    if len(y) == 1 and len(raw) == 2:
        return (
            f"The model has {raw[1]} outputs and y_true one: give the model one "
            f"output, or y_true {raw[1]} columns, or use log_loss for classes."
        )
    return "Reshape both to (n_samples,) or (n_samples, n_outputs)."
