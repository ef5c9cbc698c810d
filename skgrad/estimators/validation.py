"""Which rows a fit is watched on."""

from __future__ import annotations

from typing import Any

import numpy as np

from skgrad.core.random import host_generator
from skgrad.estimators.fitting import Rows
from skgrad.exceptions import ParameterError
from skgrad.typing import Array

__all__ = ["check_validation", "split_rows"]


def check_validation(X_val: Any, y_val: Any, sample_weight_val: Any) -> None:
    """Raise if validation data are given in part.

    Parameters
    ----------
    X_val, y_val, sample_weight_val : array-like or None
        As given to ``fit``.

    Raises
    ------
    ValueError
        Says what is missing.
    """
    if (X_val is None) != (y_val is None):
        raise ValueError("Pass both X_val and y_val, or neither of them.")
    if X_val is None and sample_weight_val is not None:
        raise ValueError("sample_weight_val weights X_val, which is missing.")


def split_rows(
    estimator: Any, rows: Rows, strata: Array | None, seed: int
) -> tuple[Rows, Rows]:
    """Return training and validation rows, by fraction or by the first split.

    Parameters
    ----------
    estimator : estimator
        Gives ``validation_fraction`` and ``validation_splitter``.
    rows : Rows
        All rows, with groups for a splitter that keeps them together.
    strata : array of shape (n_rows,) or None
        What a fraction is stratified by.
    seed : int
        Of the fit; a splitter has its own.

    Returns
    -------
    tuple of Rows
        Training and validation rows.

    Raises
    ------
    ParameterError
        If there is no splitter that would need the groups, or a split leaves no rows.
    """
    # Imported by the fits that split: 0.1 s of a process that does nothing else.
    from sklearn.model_selection import check_cv, train_test_split  # noqa: PLC0415

    splitter = estimator.validation_splitter
    if splitter is None and rows.groups is not None:
        raise ParameterError(
            "groups are used by a validation_splitter, and there is none. Set, for "
            "example, validation_splitter=GroupShuffleSplit(n_splits=1)."
        )
    if splitter is not None:
        split = check_cv(splitter, rows.y, classifier=strata is not None)
        train, held_out = next(iter(split.split(rows.X, rows.y, rows.groups)))
    else:
        state = np.random.RandomState(host_generator(seed, "split").integers(2**31))
        train, held_out = train_test_split(
            np.arange(rows.n_rows),
            test_size=estimator.validation_fraction,
            random_state=state,
            stratify=strata,
        )
    parts = rows.take(train), rows.take(held_out)
    if not all(part.n_rows for part in parts):
        raise ParameterError(
            f"validation_splitter={splitter!r} leaves {parts[0].n_rows} rows to train "
            f"on and {parts[1].n_rows} to validate."
        )
    return parts
