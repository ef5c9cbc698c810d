"""Records of a fit, epoch by epoch."""

from __future__ import annotations

from typing import Any

from skgrad.callbacks.base import Callback

__all__ = ["Recorder"]


class Recorder(Callback):
    """Record objective, score, learning rate and norm of the gradient of each epoch.

    The norm of the gradient is recorded only where a recorder asks for it; it is then
    in ``fit_report_["gradient_norms"]`` too, and each step takes a little longer. It is
    that of the objective, on standardised inputs, before ``clip_norm`` limits it: the
    root mean square over the steps of an epoch; the largest element for an optimizer of
    all rows.

    Parameters
    ----------
    gradient_norm : bool, default=True
        Record it too.

    Attributes
    ----------
    history : list of dict
        ``run`` (0 for the first fit that was recorded, 1 for the next ...), ``epoch``,
        ``objective``, ``score``, ``learning_rate``, ``gradient_norm`` and ``seconds``
        since the fit began. Fits in other processes record into copies.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import MLPRegressor
    >>> from skgrad.callbacks import Recorder
    >>> X = np.linspace(-1, 1, 100).reshape(-1, 1)
    >>> recorder = Recorder()
    >>> model = MLPRegressor(max_iter=5, tol=None, random_state=0)
    >>> model = model.set_callbacks(recorder).fit(X, X[:, 0])
    >>> [row["epoch"] for row in recorder.history]
    [1, 2, 3, 4, 5]
    >>> recorder.history[0]["gradient_norm"] > 0
    True
    """

    def __init__(self, gradient_norm: bool = True) -> None:
        self.gradient_norm = gradient_norm
        self.history: list[dict[str, Any]] = []
        self._n_runs = 0

    @property
    def records_gradient(self) -> bool:
        """Whether the steps of a fit must give the norm of their gradient."""
        return self.gradient_norm

    def _on_epoch(self, estimator: Any, context: Any) -> None:
        fit, progress = context.parent, context.progress
        if not hasattr(fit, "skgrad_run"):
            fit.skgrad_run = self._n_runs
            self._n_runs += 1
        self.history.append(
            {
                "run": fit.skgrad_run,
                "epoch": progress.epoch.number,
                "objective": progress.epoch.objective,
                "score": progress.epoch.score,
                "learning_rate": progress.epoch.learning_rate,
                "gradient_norm": progress.epoch.gradient_norm,
                "seconds": progress.seconds,
            }
        )
