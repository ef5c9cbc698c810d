"""Callbacks of a fit: checkpoints that a killed fit goes on from, and recorders.

They follow scikit-learn's protocol, ``estimator.set_callbacks(...)``, beside its own
``sklearn.callback.ProgressBar`` and ``ScoringMonitor``. A callback of one's own is any
object with ``setup``, ``teardown``, ``on_fit_task_begin`` and ``on_fit_task_end``. The
last is called after each epoch with a context, which has the
:class:`~skgrad.train.Progress` of the fit as ``context.progress``; it stops the fit by
returning True.
"""

from skgrad.callbacks.base import Callback
from skgrad.callbacks.checkpoint import Checkpoint
from skgrad.callbacks.recorder import Recorder

__all__ = ["Callback", "Checkpoint", "Recorder"]
