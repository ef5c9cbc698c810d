"""How many threads BLAS uses during a fit: one, unless its products are large.

A step of training multiplies small matrices thousands of times a second. A second
thread hardly helps there, and as soon as another process holds its core, every product
waits until that thread is scheduled again: OpenBLAS was seen to fall from 100 to
2 GFLOP/s. Yet its number of threads belongs to the whole process, and fits may
overlap (``n_jobs`` with threads, a server), where "set, compute, restore" written
naively restores the wrong number. So requests are counted: the first one sets the
limit, the last one restores what was there.

Two properties of the libraries shape the code. NumPy and SciPy each bring an OpenBLAS
of their own, so there are several libraries to limit. And an OpenBLAS built on OpenMP
keeps the number per thread: there each thread sets and restores its own.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from skgrad.backend.cpu import blas

__all__ = ["blas_threads", "single_threaded"]

# Floating-point operations from which a product may use all threads. OpenBLAS 0.3.30
# on a 2-core AVX-512 machine, medians of 9 interleaved calls: time with one thread /
# time with two, float32 and float64; then the same with another process on one core.
#   128 x 128 x 128      1.2, 0.8    0.7, 1.6 (the slowest call 180 times as slow)
#   256 x 256 x 256      1.6, 1.2    1.2, 1.7
#   512 x 512 x 512      1.7, 1.5    1.2, 1.8
#   800 x 800 x 800      1.8, 2.0    1.7, 1.4
#   1024 x 1024 x 1024   1.9, 1.9    1.5, not measured
#   50 x 200,000 x 50    1.4, 0.9    0.5, 0.5: a small result and a long sum
# From 1e9 operations, about 10 ms of one thread, square products gain even then.
_MANY_OPERATIONS = 2.0**30


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Let BLAS use one thread within the ``with`` block.

    The limit holds for the whole process until the last of overlapping blocks, in
    whatever thread, is left; then each library has the number of threads it had before
    the first of them. Libraries that keep a number per thread are limited in the
    thread of the block. A limit that another thread has set with ``threadpoolctl`` and
    not yet lifted is left alone; where the libraries cannot be controlled, nothing is
    limited.

    Returns
    -------
    context manager
        To be entered and left in the same thread.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.backend.cpu.threads import single_threaded
    >>> with single_threaded():
    ...     product = np.ones((2, 3)) @ np.ones((3, 2))
    >>> float(product[0, 0])
    3.0
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def blas_threads(flops: float) -> AbstractContextManager[None]:
    """Let BLAS use the number of threads that suits the products of a block.

    The answer depends on ``flops`` only and so on shapes, never on a clock or on the
    load of the machine: results stay the same, bit by bit. Within an overlapping
    :func:`single_threaded` even large products have one thread.

    Parameters
    ----------
    flops : float
        Floating-point operations of the largest product of the block,
        ``2 * m * k * n`` for ``(m, k) @ (k, n)``. Products with a small result and a
        long sum, such as ``X.T @ X``, hardly gain from threads at any size.

    Returns
    -------
    context manager
        One thread below about 1e9 operations (10 ms), else the library's own number.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.backend.cpu.threads import blas_threads
    >>> X, W = np.ones((32, 20)), np.ones((20, 64))
    >>> with blas_threads(2 * 32 * 20 * 64):
    ...     product = X @ W
    >>> product.shape
    (32, 64)
    """
    if flops < _MANY_OPERATIONS:
        return single_threaded()
    return contextlib.nullcontext()


# --- counting ---------------------------------------------------------------------

_lock = threading.RLock()
_depths: Counter[int] = Counter()  # open blocks of each thread, by its identifier
_Changed = list[tuple[Any, int]]  # libraries, with the threads each had before
_changed: _Changed = []  # non-empty only within blocks, or after a fork within one
_changed_here = threading.local()  # .libraries: likewise, those that count per thread


def _enter() -> None:
    thread = threading.get_ident()
    with _lock:
        _depths[thread] += 1
        if _depths[thread] == 1:
            shared, per_thread = _libraries()
            _changed_here.libraries = _limited(per_thread)
            _changed.extend(_limited(shared))


def _leave() -> None:
    thread = threading.get_ident()
    with _lock:
        _depths[thread] -= 1
        if not _depths[thread]:
            del _depths[thread]
            _restore(_changed_here.libraries)
            if not _depths:
                _restore(_changed)


def _only_this_thread() -> None:
    """Forget the blocks of threads that do not exist in the child of a fork."""
    thread = threading.get_ident()
    for other in set(_depths) - {thread}:
        del _depths[other]
    _lock.release()


if sys.platform != "win32":
    os.register_at_fork(
        before=_lock.acquire,
        after_in_parent=_lock.release,
        after_in_child=_only_this_thread,
    )


# --- libraries --------------------------------------------------------------------


def _libraries() -> tuple[list[Any], list[Any]]:
    # SciPy's BLAS is perhaps loaded long after NumPy's.
    return _found(blas.is_loaded())


@cache
def _found(with_scipy: bool) -> tuple[list[Any], list[Any]]:
    """Return the BLAS libraries of this process: shared by threads, and per thread."""
    from threadpoolctl import ThreadpoolController  # noqa: PLC0415 - if a fit needs it

    shared: list[Any] = []
    per_thread: list[Any] = []
    with _harmless():
        for library in ThreadpoolController().select(user_api="blas").lib_controllers:
            (per_thread if _counts_per_thread(library) else shared).append(library)
    return shared, per_thread


def _counts_per_thread(library: Any) -> bool:
    # Before version 3.8 threadpoolctl changed the number of all threads here too;
    # that version brought clear_controlling_thread.
    return (
        getattr(library, "threading_layer", None) == "openmp"
        and library.internal_api == "openblas"
        and hasattr(library, "clear_controlling_thread")
    )


def _limited(libraries: list[Any]) -> _Changed:
    """Limit libraries to one thread; return those that had more."""
    changed: _Changed = []
    for library in libraries:
        with _harmless():
            before = library.num_threads
            if before is not None and before > 1:
                library.set_num_threads(1)
                # threadpoolctl ignores all but the thread whose limit is in force.
                if library.num_threads == 1:
                    changed.append((library, before))
    return changed


def _restore(changed: _Changed) -> None:
    """Give libraries back the threads they had, and empty the list."""
    while changed:  # the oldest entry of a library last
        library, before = changed.pop()
        with _harmless():
            # The first to enter has control of OpenBLAS, and the last to leave may be
            # another thread; afterwards nobody has it.
            _release_control(library)
            library.set_num_threads(before)
            _release_control(library)


def _release_control(library: Any) -> None:
    release = getattr(library, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)


def _harmless() -> AbstractContextManager[Any]:
    """Ignore every error: without a limit a fit is slower, and just as right."""
    return contextlib.suppress(Exception)
