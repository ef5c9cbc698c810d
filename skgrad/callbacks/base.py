"""What callbacks have in common: hooks that do nothing."""

from __future__ import annotations

from typing import Any

from skgrad.train import Progress

__all__ = ["Callback"]


class Callback:
    """A callback of scikit-learn's protocol whose hooks do nothing yet.

    Override :meth:`on_epoch`, and return True from it to stop the fit.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad import MLPRegressor
    >>> from skgrad.callbacks import Callback
    >>> class StopBelow(Callback):
    ...     def __init__(self, objective):
    ...         self.objective = objective
    ...     def on_epoch(self, estimator, progress):
    ...         return progress.epoch.objective < self.objective
    >>> X = np.linspace(-1, 1, 100).reshape(-1, 1)
    >>> model = MLPRegressor(learning_rate=0.01, random_state=0)
    >>> model = model.set_callbacks(StopBelow(0.1)).fit(X, X[:, 0])
    >>> model.loss_ < 0.1 <= model.loss_curve_[-2], model.fit_report_["stop_reason"]
    (True, 'a callback asked to stop')
    """

    def setup(self, estimator: Any, context: Any) -> None:
        """Do what is to be done before a fit.

        Parameters
        ----------
        estimator : estimator
            The one that is fitted.
        context : sklearn.callback.CallbackContext
            Of the whole fit.
        """

    def teardown(self, estimator: Any, context: Any) -> None:
        """Do what is to be done after a fit, one that failed too.

        Parameters
        ----------
        estimator : estimator
            The one that is fitted.
        context : sklearn.callback.CallbackContext
            Of the whole fit.
        """

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do what is to be done before a fit and before each of its epochs.

        Parameters
        ----------
        estimator : estimator
            The one that is fitted.
        context : sklearn.callback.CallbackContext
            Of the fit or the epoch.
        """

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        """Call :meth:`on_epoch` or :meth:`on_end`.

        Parameters
        ----------
        estimator : estimator
            The one that is fitted.
        context : sklearn.callback.CallbackContext
            Of the fit or the epoch; ``context.progress`` is that of the fit.

        Returns
        -------
        bool
            Whether to stop.
        """
        progress = getattr(context, "progress", None)
        if progress is None:  # an epoch that was not run, or another's task
            return False
        if progress.reason is not None:
            self._on_end(estimator, context)
            return False
        return bool(self._on_epoch(estimator, context))

    # What needs more of the context than the progress overrides these two.

    def _on_epoch(self, estimator: Any, context: Any) -> bool | None:
        return self.on_epoch(estimator, context.progress)

    def _on_end(self, estimator: Any, context: Any) -> None:
        self.on_end(estimator, context.progress)

    def on_epoch(self, estimator: Any, progress: Progress) -> bool | None:
        """Do what is to be done after each epoch or iteration.

        Parameters
        ----------
        estimator : estimator
            The one that is fitted; its fitted attributes come after the fit.
        progress : Progress
            The fit so far.

        Returns
        -------
        bool or None
            True stops the fit.
        """
        return None

    def on_end(self, estimator: Any, progress: Progress) -> None:
        """Do what is to be done after a fit that came to its end.

        Parameters
        ----------
        estimator : estimator
            Fitted.
        progress : Progress
            The fit; ``progress.reason`` says why it ended.
        """
