"""From what users pass as rows to arrays that were checked."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import (
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from skgrad.estimators.fitting import Rows
from skgrad.estimators.sklearn_private import check_sample_weight
from skgrad.estimators.solving import uses_minibatches
from skgrad.estimators.sparse import as_rows, check_dense
from skgrad.typing import Array

__all__ = ["InputMixin"]

# Inputs from which on numbers that are not finite are left to the fit to find: 8 MB.
MANY_ELEMENTS = 2**20


class InputMixin(BaseEstimator):
    """What the inputs of an estimator may be, and how its rows are read."""

    # Whether X may be sparse: only a first layer that is linear multiplies it as it is.
    _takes_sparse: ClassVar[bool] = False
    # Whether a fit without minibatches begins with sums over all elements of all rows.
    _sums_all_rows: ClassVar[bool] = False

    @abstractmethod
    def _check_y(self, X: Any, y: Any, dtype: Any, reset: bool) -> tuple[Array, Array]:
        """Return validated inputs, of one of the dtypes, and targets."""

    def _rows(self, X, y, sample_weight, groups=None, *, dtype, reset) -> Rows:
        """Return the validated rows with a positive weight."""
        given = X
        X, y = self._check_y(X, y, dtype, reset)
        w = check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
        if groups is not None:
            groups = column_or_1d(groups)
            check_consistent_length(X, groups)
        rows = Rows(X, y, w, groups).present()
        if reset and rows.X is not X:
            self._check_seen(given)
        return rows

    def _looked_at(self, X: Any) -> bool:
        """Return whether a fit is sure to find what is not finite in its inputs.

        So it is where a linear model sums all rows before anything else: not a number
        among them makes a mean, or the first gradient, none. To look for it before
        takes as long as a tenth of a fit of squared error.
        """
        known = isinstance(X, np.ndarray) and X.dtype in (np.float32, np.float64)
        if not self._sums_all_rows or not known or X.ndim != 2:
            return False
        classes_may_be_absent = getattr(self, "class_weight", None) is not None
        partly = self.early_stopping or classes_may_be_absent or uses_minibatches(self)
        return X.size >= MANY_ELEMENTS and not partly

    def _check_seen(self, X: Any) -> None:
        """Refuse inputs that are not finite and were not looked at before the fit."""
        if self._looked_at(X):
            name = type(self).__name__
            assert_all_finite(X, estimator_name=name, input_name="X")

    def _validated(self, X: Any, *y: Any, **options: Any) -> Any:
        """Return inputs, and targets if given, as scikit-learn checks them."""
        if not self._takes_sparse:
            check_dense(self, X)
        options["accept_sparse"] = "csr" if self._takes_sparse else False
        if y and options["reset"]:
            options["ensure_all_finite"] = not self._looked_at(X)
        found = validate_data(self, X, *y, **options)
        return (as_rows(found[0]), *found[1:]) if y else as_rows(found)

    def _given_rows(self, validation: Any, rows: Rows) -> Rows | None:
        """Return the validation rows that were given, if there are any."""
        if validation[0] is None:
            return None
        given = self._rows(*validation, dtype=rows.X.dtype, reset=False)
        if given.y.shape[1:] != rows.y.shape[1:]:
            raise ValueError(
                f"y has shape {rows.y.shape} and y_val {given.y.shape}: they must have "
                "the same columns."
            )
        return given
