"""scikit-learn's callbacks around the epochs of a fit."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import issparse

import skgrad
from skgrad.train import Progress, TrainState

__all__ = ["Hooks", "fit_key"]


class Hooks:
    """Calls the callbacks of an estimator; does nothing where there are none.

    The callbacks of skgrad find on the context of an epoch: ``progress``, the
    :class:`~skgrad.train.Progress` of the fit, ``key``, the hash of what the fit
    depends on, and ``seed``.
    """

    def __init__(
        self, estimator: Any, X: Any, y: Any, metadata: dict[str, Any]
    ) -> None:
        self.estimator = estimator
        self.callbacks = list(getattr(estimator, "_skl_callbacks", []))
        self.data = {"X": X, "y": y}
        metadata = {k: v for k, v in metadata.items() if v is not None}
        if metadata:
            self.data["metadata"] = metadata
        self.key = ""
        self.seed = 0
        self.task: Any = None
        self.n_tasks = estimator.max_iter
        # A search sees the fits inside of it, also where they have no callbacks.
        if self.callbacks or hasattr(estimator, "_parent_callback_ctx"):
            self.fit = estimator._init_callback_context(max_subtasks=self.n_tasks)
            self.fit.call_on_fit_task_begin(estimator=estimator, **self.data)

    @property
    def record_gradient(self) -> bool:
        """Whether a callback wants the norm of the gradient."""
        return any(getattr(c, "records_gradient", False) for c in self.callbacks)

    @property
    def restoring(self) -> list[Any]:
        """The callbacks that know of fits that were cut off."""
        return [c for c in self.callbacks if hasattr(c, "restore")]

    def restored(self, key: str, seed: int) -> tuple[Progress | None, int]:
        """Return progress and seed of a fit that was cut off, or the seed alone."""
        self.key, self.seed = key, seed
        for callback in self.restoring:
            found = callback.restore(key)
            if found is not None:
                progress, self.seed = found
                return progress, self.seed
        return None, seed

    def begin(self) -> None:
        """Begin an epoch."""
        if self.callbacks and self.n_tasks:
            self.n_tasks -= 1
            self.task = self.fit.subcontext(task_name="epoch")
            self.task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end(self, progress: Progress, attributes: Callable[[], dict[str, Any]]) -> None:
        """End an epoch and begin the next one; a callback may ask to stop."""
        if self.task is None:  # the epoch of a repetition after the last one
            return
        task, self.task = self.task, None
        self._tell(task, progress)
        stop = task.call_on_fit_task_end(
            estimator=self.estimator,
            **self.data,
            reconstruction_attributes=attributes,
        )
        if stop:
            raise StopIteration
        self.begin()

    def close(self, progress: Progress | None) -> None:
        """End the fit; an epoch that was begun in vain ends without data."""
        if not self.callbacks:
            return
        if self.task is not None:
            self.task.call_on_fit_task_end(estimator=self.estimator)
        self._tell(self.fit, progress)
        fitted = {n: v for n, v in vars(self.estimator).items() if n.endswith("_")}
        self.fit.call_on_fit_task_end(
            estimator=self.estimator, **self.data, reconstruction_attributes=fitted
        )

    def _tell(self, context: Any, progress: Progress | None) -> None:
        context.progress, context.key, context.seed = progress, self.key, self.seed


def fit_key(estimator: Any, arrays: Iterable[Any], state: TrainState | None) -> str:
    """Return a hash of everything a fit depends on, the same in every process.

    Parameters
    ----------
    estimator : estimator
        Its class and parameters.
    arrays : iterable of array, csr_array or None
        Training and validation rows.
    state : TrainState or None
        That of a fit that is continued.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    params = sorted(estimator.get_params(deep=True).items())
    words = [skgrad.__version__, type(estimator).__qualname__]
    words += [f"{k}={_word(v)}" for k, v in params]
    digest = hashlib.blake2b("\n".join(words).encode(), digest_size=16)
    start = () if state is None else (state.params, np.int64(state.step))
    for array in (*arrays, *start):
        digest.update(_word(array).encode())
    return digest.hexdigest()


def _word(value: Any) -> str:
    """Return a text that is equal for equal values, in every process."""
    if inspect.isroutine(value) or isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if hasattr(value, "get_params"):
        return type(value).__qualname__  # its parameters are listed by themselves
    if isinstance(value, np.ndarray):
        bits = np.ascontiguousarray(value)
        raw = repr(value.tolist()).encode() if value.dtype.hasobject else bits.data
        return f"{value.dtype}{value.shape}{hashlib.blake2b(raw).hexdigest()}"
    if issparse(value):
        parts = value.indptr, value.indices, value.data
        return f"sparse{value.shape}{_word(parts)}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_word, value))})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{k!r}: {_word(v)}' for k, v in value.items())}}}"
    if isinstance(value, partial):
        return _word((value.func, value.args, value.keywords))
    text = repr(value)
    if " object at 0x" in text:  # the address would differ
        return f"{type(value).__qualname__}{_word(vars(value))}"
    return text
