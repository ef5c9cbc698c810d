"""Checkpoints: a fit that is killed goes on where it was."""

from __future__ import annotations

import os
import pickle
import warnings
from pathlib import Path
from typing import Any

from skgrad.callbacks.base import Callback
from skgrad.core.checks import check_integer
from skgrad.train import Progress, StopReason

__all__ = ["Checkpoint"]


class Checkpoint(Callback):
    """Write the state of a fit to disk, and go on from there if it was cut off.

    Run the same script again after a crash, a power cut or ``kill``: the fit finds its
    file and goes on, to the result it would have had, bit for bit on the same machine
    with the same number of threads. A fit is the same if estimator, parameters, data
    and weights are; each has a file of its own in the directory, so candidates of a
    grid search may share it. The file is removed when its fit has come to its end, and
    kept after Ctrl-C. With ``random_state=None`` the seed is taken from the file.

    Parameters
    ----------
    directory : str or path
        Where files are written; it is made if it does not exist. Unpickling is not safe
        against someone who can write there.
    every : int, default=1
        Epochs between two writes. A write takes some milliseconds, and replaces the
        file in one step.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from skgrad import MLPRegressor
    >>> from skgrad.callbacks import Checkpoint
    >>> X = np.linspace(-1, 1, 100).reshape(-1, 1)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     model = MLPRegressor(max_iter=20, tol=None, random_state=0)
    ...     model = model.set_callbacks(Checkpoint(directory)).fit(X, X[:, 0])
    ...     os.listdir(directory)
    []
    """

    def __init__(self, directory: str | os.PathLike[str], every: int = 1) -> None:
        self.directory = directory
        self.every = every

    def setup(self, estimator: Any, context: Any) -> None:
        """Check the parameters and make the directory.

        Parameters
        ----------
        estimator : estimator
            The one that is fitted.
        context : sklearn.callback.CallbackContext
            Of the whole fit.

        Raises
        ------
        ParameterError
            If ``every`` is no positive integer.
        """
        check_integer("Checkpoint", "every", self.every)
        Path(self.directory).mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Return the file of a fit.

        Parameters
        ----------
        key : str
            The hash of what the fit depends on.

        Returns
        -------
        Path
            It need not exist.
        """
        return Path(self.directory) / f"{key}.checkpoint"

    def restore(self, key: str) -> tuple[Progress, int] | None:
        """Return progress and seed of a fit that was cut off.

        Parameters
        ----------
        key : str
            The hash of what the fit depends on.

        Returns
        -------
        tuple of Progress and int, or None
            None if there is none, or, with a warning, if the file cannot be read.
        """
        path = self.path(key)
        try:
            progress, seed = pickle.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the file
            warnings.warn(
                f"The checkpoint {path} cannot be read ({type(error).__name__}: "
                f"{error}); the fit begins anew.",
                RuntimeWarning,
                stacklevel=7,  # who called fit
            )
            return None
        progress.reason = None
        return progress, seed

    def _on_epoch(self, estimator: Any, context: Any) -> None:
        if context.progress.epoch.number % self.every == 0:
            data = pickle.dumps((context.progress, context.seed))
            _write(self.path(context.key), data)

    def _on_end(self, estimator: Any, context: Any) -> None:
        if context.progress.reason is not StopReason.INTERRUPTED:
            path = self.path(context.key)
            path.unlink(missing_ok=True)
            path.with_suffix(".part").unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    """Replace a file in one step: it has the old or the new contents, never a part."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
