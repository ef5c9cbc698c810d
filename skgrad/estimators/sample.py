"""A fitted linear model and its rows: what every table of coefficients begins with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skgrad.core.checks import wrong_parameter
from skgrad.estimators.bootstrap import parameters_of
from skgrad.estimators.constraints import Features, coefficient_bounds
from skgrad.estimators.design import Design, is_singular
from skgrad.exceptions import ParameterError
from skgrad.typing import Array

__all__ = ["Sample", "check_free", "check_option", "check_rows", "named"]


@dataclass(frozen=True, eq=False)
class Sample:
    """Validated rows a linear model was fitted to, its coefficients and their names."""

    y: Array
    w: Array
    parameters: Array
    names: tuple[str, ...]
    design: Design

    @classmethod
    def of(cls, estimator: Any, X: Array, y: Array, w: Array) -> Sample:
        """Return validated rows, or raise where they cannot be told apart."""
        parameters = parameters_of(estimator)
        check_rows(int(np.count_nonzero(w)), parameters.shape[1])
        names = tuple(getattr(estimator, "feature_names_in_", ()))
        names = names or tuple(f"x{j}" for j in range(X.shape[1]))
        names = ("intercept",) * estimator.fit_intercept + names
        design = Design.of(X, w, estimator.fit_intercept)
        sample = cls(y, w, parameters, names, design)
        sample._check_rank()
        return sample

    @property
    def n(self) -> int:
        """Number of rows, those of weight zero left out."""
        return int(np.count_nonzero(self.w))

    def fitted(self) -> Array:
        """Return the raw predictions, (n_outputs, n_samples)."""
        return np.array([self.design.predict(row) for row in self.parameters])

    def _check_rank(self) -> None:
        values, vectors = np.linalg.eigh(self.design.gram(self.w))
        if is_singular(values):
            raise ValueError(
                f"The columns {named(self.names, vectors[:, 0])} of X are linearly "
                "dependent, or too nearly so for float64, and so only sums of their "
                "coefficients have standard errors. Leave one of them out."
            )


def named(names: Sequence[str], direction: Array) -> str:
    """Return the names of the first ten coefficients that a direction moves."""
    used = np.flatnonzero(np.abs(direction) > 1e-3)
    return ", ".join(repr(names[j]) for j in used[:10])


def check_rows(n: int, p: int) -> None:
    """Refuse fewer rows than coefficients, or as many."""
    if n <= p:
        raise ValueError(
            f"X has {n} rows with a positive weight for {p} coefficients: no row is "
            "left to estimate their errors from. Fit fewer features, or more rows."
        )


def check_option(owner: str, name: str, value: Any, options: Collection[str]) -> None:
    """Refuse a parameter that is none of its options."""
    if value not in options:
        raise wrong_parameter(owner, name, f"be one of {list(options)}", value)


def check_free(estimator: Any, owner: str, remedy: str) -> None:
    """Refuse a model whose coefficients are not those of least loss alone."""
    alpha = getattr(estimator, "alpha", 0.0)
    if alpha:
        raise ParameterError(
            f"{owner}: with the penalty alpha={alpha:g} coefficients are biased, and "
            f"formulas for their standard errors do not hold. {remedy}"
        )
    names = tuple(getattr(estimator, "feature_names_in_", ()))
    features = Features(np.shape(estimator.coef_)[-1], names)
    given = ("positive", "bounds", "monotonic_cst")
    limits = {
        name: getattr(estimator, name) for name in given if hasattr(estimator, name)
    }
    low, high = coefficient_bounds(features, **limits)
    coef = np.atleast_2d(estimator.coef_)
    at_bound = ((coef <= low) | (coef >= high)).any(axis=0)
    if at_bound.any():
        columns = ", ".join(map(features.label, np.flatnonzero(at_bound).tolist()))
        raise ParameterError(
            f"{owner}: coefficients of the features {columns} lie at a bound, where "
            f"formulas for their standard errors do not hold. {remedy}"
        )
