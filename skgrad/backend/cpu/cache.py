"""Object code of kernels, compiled once: in memory for a process, on disk for all.

Compiling a kernel takes some 20 ms, loading its object code 0.5 ms, and a fit needs
dozens of kernels; so object code is kept, see :mod:`skgrad.backend.store`. Its name is
the hash of everything it depends on: what the kernel computes, the processor and LLVM's
version, the source of the generator.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

from skgrad.backend.cpu import engine
from skgrad.backend.store import Store, opened

__all__ = ["clear", "directory", "function", "n_compiled", "n_loaded"]

_GENERATOR = ("base.py", "cpu/*.py", "mathematics/*.py")  # all that shape a kernel

# One lock for all kernels: llvmlite lets one thread at a time into LLVM anyway.
# Reentrant, because the source of one kernel may ask for another.
_lock = threading.RLock()
_addresses: dict[str, int] = {}
_counts = {"compiled": 0, "loaded": 0}

if sys.platform != "win32":
    # A fork waits for the kernel being compiled. Otherwise the child, which has only
    # the forking thread, would find the locks here and in LLVM taken for ever.
    os.register_at_fork(
        before=_lock.acquire,
        after_in_parent=_lock.release,
        after_in_child=_lock.release,
    )


def function(key: str, source: Callable[[], str]) -> int:
    """Return the address of a compiled function, compiling it only where it is new.

    Parameters
    ----------
    key : str
        What the function computes, in full: the same key means the same source.
    source : callable
        Returns its LLVM IR, in which the function is called ``kernel``. Called only if
        the object code is neither in memory nor on disk. Since other processes load
        the object code, the IR must not contain addresses.

    Returns
    -------
    int
        The address, valid as long as the process. Safe to call from several threads:
        one of them compiles.

    Warns
    -----
    RuntimeWarning
        Once per process, if object code cannot be kept on disk.

    Examples
    --------
    >>> from skgrad.backend.cpu import cache
    >>> ir = "define void @kernel() { ret void }"
    >>> address = cache.function("a function that does nothing", lambda: ir)
    >>> address == cache.function("a function that does nothing", lambda: ir)
    True
    """
    address = _addresses.get(key)
    if address is None:
        with _lock:
            address = _addresses.get(key)
            if address is None:
                address = engine.loaded(_object_code(key, source), "kernel")
                _addresses[key] = address
    return address


def n_compiled() -> int:
    """Return how many kernels this process has compiled.

    Returns
    -------
    int
        Compilations since the process began (a forked one counts on from its parent).

    Examples
    --------
    >>> from skgrad.backend.cpu import cache
    >>> before = cache.n_compiled()
    >>> ir = "define void @kernel() { ret void }"
    >>> address = [cache.function("nothing, thrice", lambda: ir) for _ in range(3)]
    >>> cache.n_compiled() - before <= 1
    True
    """
    return _counts["compiled"]


def n_loaded() -> int:
    """Return how many kernels this process has taken from disk.

    Returns
    -------
    int
        Files loaded since the process began (a forked one counts on from its parent).

    Examples
    --------
    >>> from skgrad.backend.cpu import cache
    >>> cache.n_loaded() >= 0
    True
    """
    return _counts["loaded"]


def directory() -> Path | None:
    """Return the directory that holds object code, created at the first call.

    It is ``$SKGRAD_CACHE_DIR``; without it ``skgrad`` in ``$XDG_CACHE_HOME`` or else
    in the platform's place for caches (``~/.cache``, ``~/Library/Caches``,
    ``%LOCALAPPDATA%``). The environment is read once, at the first call.

    Returns
    -------
    pathlib.Path or None
        None if no directory can be used: it cannot be created or read, belongs to
        another user, or others can write to it.

    Warns
    -----
    RuntimeWarning
        At the first call, if no directory can be used.

    Examples
    --------
    >>> from skgrad.backend.cpu import cache
    >>> cache.directory() == cache.directory()
    True
    """
    with _lock:
        store = _store()
    return None if store is None else store.path


def clear() -> None:
    """Delete all object code on disk; what is in memory stays.

    Examples
    --------
    >>> from skgrad.backend.cpu import cache
    >>> cache.clear()  # doctest: +SKIP
    """
    with _lock:
        store = _store()
        if store is not None:
            store.shrink(0)


# --- between memory and disk ------------------------------------------------------


def _object_code(key: str, source: Callable[[], str]) -> bytes:
    store = _store()
    name = _name(key) if store is not None else ""
    code = store.load(name) if store is not None else None
    if code is not None:
        _counts["loaded"] += 1
        return code
    code = engine.compiled(source())
    _counts["compiled"] += 1
    if store is not None:
        store.save(name, code)
    return code


def _name(key: str) -> str:
    parts = (key, engine.target(), _fingerprint())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@cache
def _fingerprint() -> str:
    """Return the hash of the source files that turn keys into object code."""
    backend = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for file in sorted(f for part in _GENERATOR for f in backend.glob(part)):
        content = file.read_bytes()
        name = file.relative_to(backend).as_posix()
        digest.update(f"{name} {len(content)} ".encode())
        digest.update(content)
    return digest.hexdigest()


@cache
def _store() -> Store | None:
    # Without the hash of the source files no object code has a name.
    return opened(_fingerprint)
