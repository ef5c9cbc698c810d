"""Advice after a fit: what probably went wrong, and the remedy.

Each kind of advice is a function that returns a message or None; ``CHECKS`` lists them.
A false alarm costs more than a mistake that is missed: thresholds are wide.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning

from skgrad.estimators.columns import (
    constant_columns,
    equal_columns,
    has_zeros,
    spread,
    spread_rows,
)
from skgrad.estimators.fitting import Fitting
from skgrad.exceptions import DataWarning, FitWarning
from skgrad.train import Fit, StopReason, recovered
from skgrad.typing import Array

__all__ = ["CHECKS", "examine"]

# Between fewer rows, columns of zeros and ones are equal by chance.
FEWEST_ROWS = 10
SAMPLE_ROWS = 1000  # enough for a standard deviation to 5 %
NAMED = 5


@dataclass(frozen=True)
class Case:
    """A fit that has ended, and what it started from."""

    estimator: Any
    fit: Fit
    work: Fitting

    @property
    def name(self) -> str:
        """Class of the estimator."""
        return type(self.estimator).__name__

    @property
    def inputs(self) -> Any:
        """Inputs of the training rows, an array or a csr_array."""
        return self.work.rows.X

    @property
    def n_rows(self) -> int:
        """Number of training rows."""
        return self.work.rows.n_rows

    @property
    def stochastic(self) -> bool:
        """Whether the fit made minibatch steps with a learning rate."""
        return self.work.solver.stochastic

    @property
    def same_scale(self) -> bool:
        """Whether raw predictions and targets are on one scale."""
        regression = self.estimator._task == "regression"
        return bool(regression and self.work.loss.link == "identity")

    @property
    def curve(self) -> Array:
        """The objective after each epoch or iteration of this fit."""
        return np.array([epoch.objective for epoch in self.fit.epochs])

    def column(self, j: int) -> str:
        """Return how the user calls a column."""
        names = getattr(self.estimator, "feature_names_in_", None)
        return f"column {j}" if names is None else repr(str(names[j]))


def examine(estimator: Any, fit: Fit, work: Fitting) -> None:
    """Warn of what probably went wrong, and note it in ``fit_report_["advice"]``."""
    case = Case(estimator, fit, work)
    interrupted = fit.reason is StopReason.INTERRUPTED
    kinds = ["interrupted", "recovered"] if interrupted else list(CHECKS)
    found = {kind: CHECKS[kind][0](case) for kind in kinds}
    advice = [{"kind": k, "message": m} for k, m in found.items() if m is not None]
    estimator.fit_report_["advice"] = advice
    for item in advice:
        category = CHECKS[item["kind"]][1]
        # Up through fit and scikit-learn's wrapper of it to the line that called them.
        warnings.warn(item["message"], category, stacklevel=4)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


# ------------------------------------------------------------------------- the data


# Two inputs that matter equally, 1000 rows, 100 epochs, the best of six rates: R² is
# 0.81 with "sgd" at a ratio of 10, 0.56 at 30 and 0.51, one of them lost, at 100; with
# "adam" 1.00, 1.00 and 0.85, at 300 it is 0.65. Below, a good rate can make up for it.
SCALE_RATIO = 100.0
NORMAL_WIDTH = 6.0  # from the smallest to the largest of a thousand, in deviations


def _different_scales(case: Case) -> str | None:
    """Name inputs whose scales no single learning rate suits."""
    harmless = not (case.stochastic or case.estimator._is_network)
    if case.estimator.standardize or harmless or case.n_rows < FEWEST_ROWS:
        return None
    sd, width = spread(case.inputs[spread_rows(case.n_rows, SAMPLE_ROWS)])
    # Rare ones among zeros are not small: the digits' pixels do no harm unscaled.
    size = np.where(width > 0, np.maximum(sd, width / NORMAL_WIDTH), np.inf)
    small, large = int(size.argmin()), int(sd.argmax())
    if sd[large] <= SCALE_RATIO * size[small]:
        return None
    return (
        f"The inputs of {case.name} have very different scales and "
        f"standardize=False: the standard deviation of {case.column(small)} is about "
        f"{sd[small]:.2g}, that of {case.column(large)} {sd[large]:.2g}. A learning "
        "rate that suits one does not suit the other. Set standardize=True, or scale "
        "them with sklearn.preprocessing.StandardScaler."
    )


def _constant_columns(case: Case) -> str | None:
    """Name inputs that do not vary; without an intercept one may stand for it."""
    no_intercept = not getattr(case.estimator, "fit_intercept", True)
    if no_intercept or case.n_rows < FEWEST_ROWS:
        return None
    columns = _suspicious(case.inputs, constant_columns(case.inputs))
    if not columns:
        return None
    later = (
        "what the network makes of another value later is arbitrary"
        if case.estimator._is_network
        else "their coefficients say nothing"
    )
    return (
        f"Inputs of {case.name} have one value in all training rows: "
        f"{_listed([case.column(j) for j in columns])}. Nothing can be learned from "
        f"them, and {later}. Drop them (sklearn.feature_selection.VarianceThreshold), "
        "or look where their values were lost."
    )


def _suspicious(X: Any, constant: list[int]) -> list[int]:
    """Return the constant columns that are no empty ones among pixels or categories.

    Zero is an ordinary value there: other columns have it as well.
    """
    if not constant:
        return []
    some = X[spread_rows(X.shape[0], SAMPLE_ROWS)]
    zero_is_ordinary = np.delete(has_zeros(some), constant).any()
    first = X[[0]].toarray()[0] if issparse(X) else X[0]
    columns = np.array(constant)
    found: list[int] = columns[(first[columns] != 0) | (not zero_is_ordinary)].tolist()
    return found


def _duplicate_columns(case: Case) -> str | None:
    """Name equal inputs whose coefficients are not determined."""
    e = case.estimator
    alpha, l1_ratio = e._penalty()
    unique = e._is_network or alpha * (1 - l1_ratio) > 0
    if unique or case.n_rows < FEWEST_ROWS:
        return None
    constant = set(constant_columns(case.inputs))
    varying = [j for j in range(case.inputs.shape[1]) if j not in constant]
    groups = equal_columns(case.inputs, varying)
    if not groups:
        return None
    return (
        f"Inputs of {case.name} are equal in all training rows: "
        f"{_listed([' = '.join(map(case.column, group)) for group in groups])}. Only "
        "the sum of their coefficients is determined. Drop all but one, or set "
        f"{'' if e._is_path else 'alpha > 0 with '}l1_ratio < 1, which shares it "
        "equally."
    )


# ---------------------------------------------------------------------- the history


# A fit that has moved the objective by less has not begun; a good one has halved it.
MOVED = 0.01
# A straight line: the second half of the epochs brought as much as the first, per unit
# of learning rate. Close to a minimum it brings far less.
STRAIGHT = 0.8
FEWEST_EPOCHS = 5
FEWEST_EPOCHS_WITHOUT_TOL = 50  # with tol=None a few epochs are what the user wants
# Rounding of a mean of float32 losses.
ROUNDING = 1e-6


def _rate_too_low(case: Case) -> str | None:
    """Tell that the objective fell along a straight line, and by next to nothing."""
    epochs, curve, e = case.fit.epochs, case.curve, case.estimator
    given = case.stochastic and isinstance(e.learning_rate, float | int)
    fewest = FEWEST_EPOCHS if e.tol is not None else FEWEST_EPOCHS_WITHOUT_TOL
    enough = len(curve) >= fewest and epochs[0].number == 1
    if not (given and enough and _hardly_falls(case)) or _stuck(case):
        return None
    fall = 100 * (curve[0] - curve[-1]) / abs(curve[0])
    clip = "" if e.clip_norm is None else f", a clip_norm above {e.clip_norm:g}"
    return (
        f"The learning rate of {case.name} is too low: the objective fell by "
        f"{max(fall, 0.0):.2g} % in {len(curve)} epochs, and as fast in the last as in "
        f"the first. Raise learning_rate={e.learning_rate:g}: try "
        f"{10 * e.learning_rate:g}{clip} or learning_rate='auto'."
    )


def _hardly_falls(case: Case) -> bool:
    curve = case.curve
    falls = -np.diff(curve)
    if np.ptp(curve) <= ROUNDING * abs(curve[0]):
        # Random weights are no minimum; coefficients of zero may be one.
        return bool(case.estimator._is_network)
    half = len(falls) // 2
    rates = np.array([epoch.learning_rate for epoch in case.fit.epochs])[1:]
    first = falls[:half].sum() * rates[-half:].sum()
    last = falls[-half:].sum() * rates[:half].sum()
    moved = curve[0] - curve[-1] > MOVED * abs(curve[0])
    return bool((falls > 0).all() and not moved and last >= STRAIGHT * first)


def _more_epochs(case: Case) -> str | None:
    """Tell that the fit ended before it converged, and how far it may have been."""
    tol = case.estimator.tol
    out_of_epochs = case.fit.reason is StopReason.MAX_ITER and tol is not None
    if not out_of_epochs or _rate_too_low(case) is not None:
        return None
    if case.estimator._is_path:
        return (
            f"Some strengths of the path of {case.name}, or of a fold, were left "
            f"after max_iter={case.work.max_iter} steps without converging to "
            f"tol={tol}. Increase max_iter, raise tol, or end the path earlier with a "
            "larger eps or other alphas: weak penalties take the most steps."
        )
    unit = "epoch" if case.stochastic else "iteration"
    rate = "the learning rate or " if case.stochastic else ""
    made = f"{case.name} made max_iter={case.work.max_iter} {unit}s"
    return (
        f"{made} without converging to tol={tol}. Increase max_iter"
        f"{_still_falling(case, unit)}, raise {rate}tol, or set tol=None if this many "
        "are what you want."
    )


def _still_falling(case: Case, unit: str) -> str:
    """Return the fall per epoch, and where it might become less than ``tol``."""
    curve, limit = case.curve, case.work.max_iter
    k = min(10, (len(curve) - 1) // 2)
    if k < 1 or case.estimator.early_stopping or curve[-1] >= curve[-1 - k]:
        return ""
    before = (curve[-1 - 2 * k] - curve[-1 - k]) / k
    now = (curve[-1 - k] - curve[-1]) / k
    more, e = np.inf, case.estimator
    if case.stochastic and e.tol and now < before:
        # As a geometric series: each k epochs bring now / before of the k before.
        left = k * np.log(now / e.tol) / np.log(before / now)
        more = np.ceil(left) + e.n_iter_no_change + 1
    enough = int(np.clip(len(curve) + more, 2 * limit, 10 * limit))
    return f" (the objective still falls by {now:.2g} per {unit}: try {enough})"


def _interrupted(case: Case) -> str | None:
    if case.fit.reason is not StopReason.INTERRUPTED:
        return None
    return (
        f"{case.name} was interrupted after {len(case.fit.epochs)} iterations; the "
        "best model so far is kept."
    )


def _out_of_time(case: Case) -> str | None:
    if case.fit.reason is not StopReason.MAX_TIME:
        return None
    return (
        f"{case.name} used up max_time={case.estimator.max_time:g} seconds in "
        f"{len(case.fit.epochs)} of max_iter={case.work.max_iter} epochs or iterations "
        "without converging. Increase max_time, or set tol=None and fewer max_iter if "
        "this many are what you want."
    )


def _recovered(case: Case) -> str | None:
    return recovered(case.fit.recoveries) if case.fit.recoveries else None


def _no_decrease(case: Case) -> str | None:
    if case.fit.reason is not StopReason.NO_DECREASE:
        return None
    return (
        f"{case.name} stopped after {len(case.fit.epochs)} iterations: no step "
        "decreases the objective, although its gradient is not zero. A loss with a "
        "kink (a derivative that jumps) does that close to its minimum; round the "
        "kink, or use optimizer='adam' with a falling schedule."
    )


# Part of what the validation score had gained that is lost again at the end.
LOST = 0.25
FEWEST_SCORES = 20


def _overfitting(case: Case) -> str | None:
    """Tell that the validation score was best long ago, and is much worse by now."""
    scores = np.array([e.score for e in case.fit.epochs if e.score is not None])
    watched = case.estimator.early_stopping or not case.stochastic
    if watched or len(scores) < FEWEST_SCORES:
        return None
    best = int(scores.argmax())
    last = scores[-5:].max()  # the best of the last: noise of single epochs is no loss
    long_ago = best < len(scores) // 2
    gained, lost = scores[best] - scores[0], scores[best] - last
    if not long_ago or gained <= 0 or lost < LOST * gained:
        return None
    return (
        f"{case.name} overfits: the validation score was best after epoch "
        f"{case.fit.epochs[best].number} ({scores[best]:.4g}), and is {scores[-1]:.4g} "
        f"after epoch {case.fit.epochs[-1].number}. Set early_stopping=True, which "
        "keeps the best epoch, or raise alpha."
    )


# ------------------------------------------------------------------------ the model


# Of the standard deviation of the targets, or in units of log-odds, margins and
# logarithms: a network that has learned anything varies more.
CONSTANT = 0.01
NOTHING = 1e-6  # rounding: nothing of the inputs comes through
# Below, the penalty of weights of order one is less than the loss of a constant model.
STRONG_PENALTY = 0.01
PREDICTED_ROWS = 200  # 0.5 ms with a hundred hidden units, 7.5 ms for 1000


def _spread(case: Case) -> tuple[float, float]:
    """Return the spread of the predictions of the output that varies most, and a unit.

    The unit is the spread of that output's target, if they are on one scale.
    """
    rows = spread_rows(case.n_rows, PREDICTED_ROWS)
    spread = np.atleast_1d(case.estimator._raw_of(case.inputs[rows]).std(axis=0))
    if not case.same_scale:
        return float(spread.max()), 1.0
    unit = np.atleast_1d(case.work.rows.y[rows].std(axis=0))
    ratio = spread[: len(unit)] / np.where(unit > 0, unit, np.inf)
    most = int(ratio.argmax())
    return float(spread[most]), float(unit[most])


def _stuck(case: Case) -> bool:
    """Return whether a network predicts a constant that no other rate would change."""
    if not case.estimator._is_network:
        return False
    spread, unit = _spread(case)
    unscaled = case.same_scale and not case.estimator.standardize
    return spread < (CONSTANT if unscaled else NOTHING) * unit


def _learned_the_mean(case: Case) -> str | None:
    """Tell that a network predicts the same for all rows."""
    if not case.estimator._is_network or _rate_too_low(case) is not None:
        return None
    spread, unit = _spread(case)
    if spread >= CONSTANT * unit:
        return None
    of_what = (
        f"where the target varies by {unit:.2g}"
        if case.same_scale
        else f"on the scale of the link {case.work.loss.link!r}"
    )
    return (
        f"{case.name} predicts almost the same for all rows: its predictions vary by "
        f"{spread:.2g} {of_what}. Either the inputs say nothing about the target, or "
        f"{_why_constant(case)}."
    )


def _why_constant(case: Case) -> str:
    """Return the likely cause, with its remedy."""
    e = case.estimator
    if e.alpha >= STRONG_PENALTY:
        return f"the penalty is too strong (alpha={e.alpha:g}: try {e.alpha / 100:g})"
    if case.same_scale and not e.standardize:
        return "the targets are far from the first predictions (set standardize=True)"
    if e.clip_norm is not None:
        return f"clip_norm={e.clip_norm:g} is too small"
    rate = f"={e.learning_rate:g}" if isinstance(e.learning_rate, float | int) else ""
    return (
        "the units of a layer died: with ReLU they stay at zero after a step too far "
        f"(lower learning_rate{rate}, or take 'leaky_relu' for activation)"
    )


def _all_zero_coefficients(case: Case) -> str | None:
    """Tell that L1 left no coefficient, and from which alpha on it does."""
    e, objective = case.estimator, case.work.objective
    alpha, l1_ratio = e._penalty()
    l1 = alpha * l1_ratio
    if e._is_network or e._is_path or not l1 or case.fit.params[objective.mask].any():
        return None
    gradient = case.work.solver.gradient(case.work, case.fit.params)
    most = float(np.abs(gradient[objective.mask]).max(initial=0.0)) / l1_ratio
    # With constant inputs or targets what is left is rounding, and no alpha helps.
    if most <= np.finfo(np.float64).eps * e.alpha:
        return None
    return (
        f"alpha={e.alpha:g} shrank every coefficient of {case.name} to zero: it "
        f"predicts a constant. All are zero from alpha={most:.3g} on; try "
        f"{most / 10:.1g}."
    )


# Of the training rows. Where true quantiles are lines, those of 0.1, 0.5 and 0.9 fitted
# to 120 rows of four inputs with heavy tails cross in 2 to 5 % of them.
CROSSED = 0.1
TOUCHING = 1e-9  # of the targets' spread: lines through the same rows meet up to it


def _crossing_quantiles(case: Case) -> str | None:
    """Tell that quantiles fitted one by one are out of order."""
    e, rows = case.estimator, spread_rows(case.n_rows, SAMPLE_ROWS)
    if getattr(e, "non_crossing", None) != "none" or len(e.quantiles_) == 1:
        return None
    steps = np.diff(e._raw_of(case.inputs[rows]), axis=1)
    crossed = steps < -TOUCHING * case.work.rows.y[rows].std()
    share, most = crossed.any(axis=1).mean(), int(crossed.sum(axis=0).argmax())
    if share <= CROSSED:
        return None
    low, high = e.quantiles_[most : most + 2]
    return (
        f"Quantiles of {case.name} cross in {100 * share:.2g} % of the training rows, "
        f"most often {low:g} and {high:g}: the higher one is predicted to be lower. "
        "Set non_crossing='rearrange', which sorts the predictions of each row, or "
        "'constrained', which fits the levels together; or fit fewer levels."
    )


def _small_for_a_gpu(case: Case) -> str | None:
    small = case.work.placement.too_small
    return f"A GPU does not pay for {small}" if small else None


Check = Callable[[Case], str | None]
CHECKS: dict[str, tuple[Check, type[Warning]]] = {
    "interrupted": (_interrupted, ConvergenceWarning),
    "recovered": (_recovered, ConvergenceWarning),
    "out_of_time": (_out_of_time, ConvergenceWarning),
    "different_scales": (_different_scales, DataWarning),
    "constant_columns": (_constant_columns, DataWarning),
    "duplicate_columns": (_duplicate_columns, DataWarning),
    "rate_too_low": (_rate_too_low, ConvergenceWarning),
    "more_epochs": (_more_epochs, ConvergenceWarning),
    "no_decrease": (_no_decrease, ConvergenceWarning),
    "overfitting": (_overfitting, FitWarning),
    "learned_the_mean": (_learned_the_mean, FitWarning),
    "all_zero_coefficients": (_all_zero_coefficients, FitWarning),
    "crossing_quantiles": (_crossing_quantiles, FitWarning),
    "small_for_a_gpu": (_small_for_a_gpu, FitWarning),
}
