"""What a fit prints while it runs."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Any

from skgrad.train import Progress

__all__ = ["Bar", "Lines", "Silent", "reporter"]

# Without news for so many seconds, a line is printed in any case.
SECONDS = 1.0


class Silent:
    """Prints nothing."""

    def __call__(self, progress: Progress) -> None:
        """Do nothing after an epoch."""

    def close(self, progress: Progress | None) -> None:
        """Do nothing after the fit."""


class Lines(Silent):
    """Prints a line after epochs 1, 2, 5, 10, 20, 50, ..., and after a second."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.last = perf_counter()
        self.printed = 0

    def __call__(self, progress: Progress) -> None:
        """Print a line if it is time for one."""
        number = len(progress.epochs)
        leading = number / 10 ** (len(str(number)) - 1)
        if leading in (1, 2, 5) or perf_counter() - self.last >= SECONDS:
            self._print(progress)

    def _print(self, progress: Progress) -> None:
        self.last, self.printed = perf_counter(), len(progress.epochs)
        sys.stdout.write(
            f"{self.name}  {progress.epoch.number:5d}  {_figures(progress)}\n"
        )

    def close(self, progress: Progress | None) -> None:
        """Print the last epoch, and why it was the last."""
        if progress is None or progress.reason is None or not progress.epochs:
            return
        if len(progress.epochs) != self.printed:
            self._print(progress)
        sys.stdout.write(
            f"{self.name}  {progress.seconds:.3g} s: {progress.reason.value}\n"
        )


class Bar(Silent):
    """Shows a bar with the time that is left."""

    def __init__(self, name: str, max_iter: int) -> None:
        try:
            from rich import progress as bars  # noqa: PLC0415
        except ImportError as error:
            raise ImportError(
                "verbose=2 shows a progress bar, which needs rich: pip install "
                '"skgrad[progress]". verbose=1 prints lines without it.'
            ) from error
        self.bar: Any = bars.Progress(
            bars.TextColumn("{task.description}", table_column=_column(len(name))),
            bars.BarColumn(bar_width=12),
            bars.MofNCompleteColumn(table_column=_column(2 * len(str(max_iter)) + 1)),
            bars.TimeRemainingColumn(table_column=_column(7)),
            bars.TextColumn("{task.fields[figures]}"),
        )
        self.task = self.bar.add_task(name, total=max_iter, figures="")
        self.bar.start()

    def __call__(self, progress: Progress) -> None:
        """Move the bar."""
        done = len(progress.epochs)
        self.bar.update(self.task, completed=done, figures=_figures(progress, 4))

    def close(self, progress: Progress | None) -> None:
        """Leave the bar as it is, and say why the fit ended."""
        self.bar.stop()
        if progress is not None and progress.reason is not None:
            self.bar.console.print(progress.reason.value)


def _column(width: int) -> Any:
    """Return a column of the bar that a narrow terminal does not cut."""
    from rich.table import Column  # noqa: PLC0415

    return Column(min_width=width, no_wrap=True)


def reporter(name: str, verbose: int, max_iter: int) -> Silent:
    """Return what is called with the progress after each epoch, and closed at the end.

    Parameters
    ----------
    name : str
        Of the estimator.
    verbose : int
        0 prints nothing, 1 a line now and then, more shows a progress bar.
    max_iter : int
        Epochs or iterations the fit may take.

    Returns
    -------
    Silent, Lines or Bar
        Prints to the standard output.

    Raises
    ------
    ImportError
        If there is to be a progress bar and rich is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.estimators.verbose import reporter
    >>> from skgrad.train import Epoch, Patience, Progress, TrainState
    >>> progress = Progress(TrainState(np.zeros(1), {}), Patience(None, 10))
    >>> progress.epochs.append(Epoch(1, 0.5, -0.25, 1e-3))
    >>> reporter("MLPRegressor", 1, 10)(progress)
    MLPRegressor      1  objective 0.5  validation -0.25
    """
    if not verbose:
        return Silent()
    return Lines(name) if verbose == 1 else Bar(name, max_iter)


def _figures(progress: Progress, digits: int = 6) -> str:
    epoch = progress.epoch
    score = "" if epoch.score is None else f"  validation {epoch.score:.{digits}g}"
    return f"objective {epoch.objective:.{digits}g}{score}"
