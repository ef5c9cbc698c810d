"""Object code of kernels, compiled once: in memory for a process, on disk for all.

Compiling a kernel takes some 20 ms, loading its object code 0.5 ms, and a fit needs
dozens of kernels; so object code is kept in one small file per kernel. The name of a
file is the hash of everything its content depends on (what the kernel computes, the
processor and LLVM's version, the source of the generator), so that a file is never out
of date: it is there or it is not. Files appear by an atomic rename and carry a
checksum, so that processes may share a directory without locks; the least recently
used ones go when the directory grows over its limit.

A cache is a convenience. Whatever is wrong with the directory, kernels are compiled
anew and the fit goes on; one warning per process says what is wrong and how to put
it right. The exception is trust: object code is run, so it is read only from files of
this user, in a directory where nobody else can put any.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import struct
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from skgrad.backend.cpu import engine

__all__ = ["clear", "directory", "function", "n_compiled", "n_loaded"]

# The last byte of the mark is the version of the file's format.
_MARK = b"skgrad\x00\x01"
_HEADER = struct.Struct("<8sQ32s")  # mark, length of the object code, checksum
_FILE = re.compile(r"[0-9a-f]{64}(\.[0-9a-f]{16})?\.(kernel|partial)")
# A kernel takes 2 to 20 KB: room for thousands, for several versions of the library.
_MAX_BYTES = 64 * 2**20
_GENERATOR = ("base.py", "cpu/*.py", "mathematics/*.py")  # all that shape a kernel
_DAY = 86_400.0  # seconds
_HOUR = 3_600.0

# One lock for all kernels: llvmlite lets one thread at a time into LLVM anyway.
# Reentrant, because the source of one kernel may ask for another.
_lock = threading.RLock()
_addresses: dict[str, int] = {}
_counts = {"compiled": 0, "loaded": 0}
_warnings: list[str] = []

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
def _store() -> _Store | None:
    path = None
    try:
        path = _location()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _fingerprint()  # without the source files' hash no object code has a name
        reason = _mistrust(os.stat(path))
        if not reason:
            return _Store(path)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        reason = str(error)
    _warn(path, reason)
    return None


def _location() -> Path:
    """Return the directory the environment asks for, absolute."""
    if chosen := os.environ.get("SKGRAD_CACHE_DIR"):
        return Path(chosen).expanduser().absolute()
    # A relative path is to be ignored: XDG Base Directory Specification, "Basics".
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else _platform_caches()) / "skgrad"


def _platform_caches() -> Path:
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path.home() / ".cache"


def _mistrust(status: os.stat_result) -> str:
    """Return why others could have put code into a file or directory, "" if not."""
    if sys.platform == "win32":  # its permissions are not in the mode
        return ""
    if status.st_uid != os.geteuid():
        return (
            f"it belongs to user {status.st_uid} and this process runs as user "
            f"{os.geteuid()}, so it would run code of somebody else"
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return (
            f"its mode {stat.S_IMODE(status.st_mode):04o} lets other users write to "
            "it, so it would run code of somebody else (`chmod go-w` puts it right)"
        )
    return ""


def _warn(path: Path | None, reason: str) -> None:
    if not _warnings:
        _warnings.append(
            "Compiled kernels cannot be kept in "
            f"{path or 'a directory of the user'}: {reason}. The fit goes on, but each "
            "process compiles its kernels anew. Set the environment variable "
            "SKGRAD_CACHE_DIR to a directory of your own with room for "
            f"{_MAX_BYTES >> 20} MiB."
        )
        # The caller is an estimator's fit, at no fixed distance.
        warnings.warn(_warnings[0], RuntimeWarning, stacklevel=2)


# --- disk -------------------------------------------------------------------------


class _Store:
    """Files of object code in one directory, of bounded size."""

    def __init__(self, path: Path, max_bytes: int = _MAX_BYTES) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._writable = True
        # Bytes saved since the directory was last measured; at first, nobody knows.
        self._unmeasured = max_bytes

    def load(self, name: str) -> bytes | None:
        """Return the object code called ``name``, None if there is none to trust."""
        file = self.path / f"{name}.kernel"
        try:
            with open(file, "rb") as stream:
                status = os.fstat(stream.fileno())
                content = b"" if _mistrust(status) else stream.read()
        except OSError:  # most often: it does not exist
            return None
        code = _unpacked(name, content)
        with contextlib.suppress(OSError):
            if code is None:
                file.unlink()
            elif time.time() - status.st_mtime > _DAY:
                os.utime(file)  # used: the last to be removed
        return code

    def save(self, name: str, code: bytes) -> None:
        """Keep object code under ``name``; after a failure, keep nothing any more."""
        if not self._writable:
            return
        try:
            self._write(self.path / f"{name}.kernel", _packed(name, code))
            self._unmeasured += len(code)
            # Measured now and then: it takes as long as compiling a kernel or two.
            if self._unmeasured > self.max_bytes // 16:
                self.shrink(self.max_bytes)
        except OSError as error:
            self._writable = False
            _warn(self.path, str(error))

    def shrink(self, max_bytes: int) -> None:
        """Remove the least recently used files until ``max_bytes`` are left."""
        total = 0
        for used, size, path in sorted(self._files(), reverse=True):
            total += size
            abandoned = path.endswith(".partial") and time.time() - used > _HOUR
            if total > max_bytes or abandoned:
                # Another process may have removed it.
                with contextlib.suppress(OSError):
                    os.unlink(path)
        self._unmeasured = 0

    def _write(self, file: Path, content: bytes) -> None:
        # Somebody may have emptied the place for caches meanwhile.
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.urandom(8).hex()}.partial")
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
        try:
            with open(os.open(partial, flags, 0o600), "wb") as stream:
                stream.write(content)
            os.replace(partial, file)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()
            # Windows does not replace a file that another process is reading: the
            # same kernel, just saved by somebody else.
            if not file.exists():
                raise

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """Yield time of use in seconds, bytes and path of the files of this cache."""
        with contextlib.suppress(OSError), os.scandir(self.path) as entries:
            for entry in entries:
                # A user may have chosen a directory that holds other things.
                if _FILE.fullmatch(entry.name):
                    with contextlib.suppress(OSError):
                        status = entry.stat()
                        yield status.st_mtime, status.st_size, entry.path


def _checksum(name: str, code: bytes) -> bytes:
    # With the name: a file that was renamed holds another kernel.
    return hashlib.sha256(name.encode() + code).digest()


def _packed(name: str, code: bytes) -> bytes:
    return _HEADER.pack(_MARK, len(code), _checksum(name, code)) + code


def _unpacked(name: str, content: bytes) -> bytes | None:
    if len(content) < _HEADER.size:
        return None
    mark, size, checksum = _HEADER.unpack_from(content)
    code = content[_HEADER.size :]
    intact = len(code) == size and checksum == _checksum(name, code)
    return code if intact and mark == _MARK else None
