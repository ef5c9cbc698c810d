"""Sandwich covariances: from derivatives of rows to those of coefficients."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from skgrad import ops
from skgrad.estimators.design import is_singular
from skgrad.estimators.sample import Sample, check_rows, named
from skgrad.estimators.scaling import row_blocks
from skgrad.exceptions import FitWarning
from skgrad.losses import Loss
from skgrad.tensor import tensor
from skgrad.transforms import grad, vjp
from skgrad.typing import Array

__all__ = ["POWERS", "Sandwich", "derivatives"]

# By which power of 1 - leverage each score is divided.
POWERS = {"HC0": 0.0, "HC1": 0.0, "HC2": 0.5, "HC3": 1.0}
# How many standard errors coefficients may be from the minimum, and how far beside the
# largest prediction, where there is next to no error.
FAR, ROUNDING = 0.01, 1e-8


def derivatives(loss: Loss, y: Array, raw: Array) -> tuple[Array, Array]:
    """Return first and second derivatives with respect to k raw predictions.

    (n, k) and (n, k), or (n, k, k) where the loss does not separate the outputs.
    """
    n, k = len(raw), raw[:1].size
    apart = loss.separable or k == 1
    slopes, second = np.empty((n, k)), np.empty((n, k) if apart else (n, k, k))
    for rows in row_blocks(raw):
        y_true, f = tensor(y[rows]), tensor(raw[rows])

        def total(f: Any, y_true: Any = y_true) -> Any:
            return ops.sum(loss.pointwise(y_true, f))

        slope, pullback = vjp(grad(total), f)
        slopes[rows] = slope.numpy().reshape(-1, k)
        if apart:
            second[rows] = pullback(np.ones(f.shape))[0].numpy().reshape(-1, k)
            continue
        for a, unit in enumerate(np.eye(k)):
            moved = np.broadcast_to(unit, f.shape).copy()
            second[rows, a] = pullback(moved)[0].numpy()
    if not (np.isfinite(slopes).all() and np.isfinite(second).all()):
        raise ValueError(
            f"The derivatives of the loss {loss.name!r} are not finite in every row: "
            "pass the rows the model was fitted to."
        )
    return slopes, second


@dataclass(frozen=True, eq=False)
class Sandwich:
    """How the covariance of coefficients follows from derivatives of the rows."""

    sample: Sample
    loss_name: str
    cov_type: str
    codes: Array | None
    dispersed: bool

    @property
    def df(self) -> int:
        """Degrees of freedom of the t distribution."""
        if self.codes is not None:
            return int(self.codes.max())
        return self.sample.n - len(self.sample.names)

    @cached_property
    def _rounding(self) -> float:
        """Distance to the minimum that is left where there is next to no error."""
        return ROUNDING * float(np.abs(self.sample.fitted()).max())

    def covariances(self, slopes: Array, second: Array) -> Array:
        """Return the covariance of each output from derivatives, (k, q, q)."""
        together = [(slopes, second)]
        if second.ndim == 2:  # each output by itself
            pairs = zip(slopes.T, second.T, strict=True)
            together = [(s[:, None], d[:, None, None]) for s, d in pairs]
        found: list[Array] = []
        for pair in together:
            found.extend(self._joint(*pair))
        return np.array(found)

    def _joint(self, slopes: Array, second: Array) -> list[Array]:
        """Return the covariance of each of k outputs estimated together."""
        sample, k = self.sample, slopes.shape[1]
        u, d = sample.w[:, None] * slopes, sample.w[:, None, None] * second
        p = k * len(sample.names)
        check_rows(sample.n, p)
        inverse = self._inverse(sample.design.joint_gram(d))
        if self.cov_type == "nonrobust":
            covariance = self._dispersion(u, d, p) * inverse
        else:
            covariance = inverse @ self._meat(u, d, inverse, p) @ inverse
        self._check_minimum(inverse @ sample.design.total(u), covariance)
        grid = covariance.reshape(k, p // k, k, p // k)
        return [sample.design.original(grid[a, :, a]) for a in range(k)]

    def _inverse(self, hessian: Array) -> Array:
        values, vectors = np.linalg.eigh(hessian)
        if not is_singular(values):
            return vectors / values @ vectors.T
        names = self.sample.names * (len(hessian) // len(self.sample.names))
        raise ValueError(
            f"The loss {self.loss_name!r} has no curvature at the predictions, or not "
            f"for the coefficients of {named(names, vectors[:, 0])}: standard errors "
            "cannot be estimated from its second derivatives. It may be straight there "
            "(as absolute error is everywhere: see QuantileRegressor), or classes may "
            "be separated without error."
        )

    def _dispersion(self, u: Array, d: Array, p: int) -> float:
        """Return φ: Pearson's statistic over its degrees of freedom, or 1."""
        if not self.dispersed:
            return 1.0
        return float(np.sum(u**2 / d[:, :, 0]) / (self.sample.n - p))

    def _meat(self, u: Array, d: Array, inverse: Array, p: int) -> Array:
        n = self.sample.n
        if self.codes is not None:
            n_groups = self.codes.max() + 1
            factor = n_groups / (n_groups - 1) * (n - 1) / (n - p)
            return factor * self.sample.design.grouped_gram(u, self.codes)
        power = POWERS[self.cov_type]
        if power:
            u = self._enlarged(u, d, inverse, power)
        J = self.sample.design.joint_gram(u[:, :, None] * u[:, None])
        return J * n / (n - p) if self.cov_type == "HC1" else J

    def _enlarged(self, u: Array, d: Array, inverse: Array, power: float) -> Array:
        """Return the scores divided by a power of 1 - leverage, a matrix of outputs."""
        leverage = d @ self.sample.design.quadratic(inverse)
        left = np.eye(len(leverage[0])) - leverage
        values, vectors = np.linalg.eig(left)
        if values.real.min() < 1e-10:
            row = values.real.min(axis=1).argmin()
            raise ValueError(
                f"Row {row} (of those with a positive weight) has leverage 1 or more: "
                f"it alone determines a coefficient, and cov_type={self.cov_type!r} "
                "divides by 0. Use cov_type='HC1', or leave out the column that only "
                "it has."
            )
        inside = np.linalg.solve(vectors, u[:, :, None])
        return (vectors @ (values[:, :, None] ** -power * inside))[:, :, 0].real

    def _check_minimum(self, step: Array, covariance: Array) -> None:
        """Warn of coefficients that are not where tests and intervals assume."""
        errors = np.sqrt(np.diag(covariance))
        step = np.maximum(np.abs(step) - self._rounding, 0.0)
        if (step > FAR * errors).any():
            far = step / np.maximum(errors, np.finfo(np.float64).tiny)
            j = int(far.argmax())
            name = self.sample.names[j % len(self.sample.names)]
            warnings.warn(
                "The coefficients are not those of least loss over these rows: that "
                f"of {name!r} is {far[j]:.2g} standard errors away, and tests and "
                "intervals are off by as much. Pass the rows and weights of the fit, "
                "and fit with a smaller tol, without early_stopping, or with "
                "optimizer='newton'.",
                FitWarning,
                stacklevel=5,
            )
