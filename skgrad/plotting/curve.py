"""The history of a fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from skgrad.estimators.solving import uses_minibatches
from skgrad.plotting.models import final_estimator, require

__all__ = ["TrainingCurve"]


@dataclass(frozen=True)
class TrainingCurve:
    """The history of one fit.

    Parameters
    ----------
    objective : array-like of shape (n_iter,)
        Training objective per epoch or iteration.
    validation : array-like, default=()
        Validation loss, or score if ``score_name`` is given, of the last epochs.
    score_name : str, default=None
        What the validation score is, if not the loss.
    best_epoch : int, default=None
        The epoch that was kept, counted from 1.
    learning_rates, gradient_norms : array-like, default=()
        One per epoch or iteration, of the last ones.
    unit : str, default="epoch"
        "epoch" or "iteration".

    Examples
    --------
    >>> from skgrad.plotting import TrainingCurve
    >>> TrainingCurve([1.0, 0.5], validation=[1.1, 0.7]).unit
    'epoch'
    """

    objective: Any
    validation: Any = ()
    score_name: str | None = None
    best_epoch: int | None = None
    learning_rates: Any = ()
    gradient_norms: Any = ()
    unit: str = "epoch"

    @classmethod
    def from_estimator(cls, model: Any) -> Self:
        """Return the history of a fitted estimator.

        Parameters
        ----------
        model : estimator
            One with a ``loss_curve_``, or a pipeline or search that ends with it.

        Returns
        -------
        TrainingCurve
            Its history.

        Examples
        --------
        >>> import numpy as np
        >>> from skgrad import GradientLinearRegressor
        >>> from skgrad.plotting import TrainingCurve
        >>> X = np.arange(6.0).reshape(-1, 1)
        >>> TrainingCurve.from_estimator(GradientLinearRegressor().fit(X, X[:, 0])).unit
        'iteration'
        """
        model = final_estimator(model)
        objective = require(model, "loss_curve_", "Fit it first, by an iterative fit.")
        report = getattr(model, "fit_report_", {})
        score = getattr(model, "scoring", "score")
        validation = getattr(model, "validation_scores_", None)
        validation = np.asarray(() if validation is None else validation, dtype=float)
        batches = not hasattr(model, "optimizer") or uses_minibatches(model)
        return cls(
            objective,
            -validation if score == "loss" else validation,
            None if score == "loss" else _score_name(score),
            report.get("best_epoch"),
            report.get("learning_rates") or (),
            report.get("gradient_norms") or (),
            "epoch" if batches else "iteration",
        )

    def above(self, optimum: float) -> Self:
        """Return the history of the distance of the objective from its minimum.

        Parameters
        ----------
        optimum : float
            The minimum; where the objective reaches it there is a gap.

        Returns
        -------
        TrainingCurve
            The history; a validation loss, whose minimum is another, is left out.

        Examples
        --------
        >>> from skgrad.plotting import TrainingCurve
        >>> TrainingCurve([3.0, 2.0]).above(1.5).objective.tolist()
        [1.5, 0.5]
        """
        distance = np.asarray(self.objective, dtype=float) - optimum
        return replace(
            self,
            objective=np.where(distance > 0, distance, np.nan),
            validation=() if self.score_name is None else self.validation,
        )


def _score_name(scoring: Any) -> str:
    if isinstance(scoring, str):
        return scoring.replace("_", " ")
    return str(getattr(scoring, "__name__", "score")).replace("_", " ")
