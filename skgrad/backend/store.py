"""A directory of machine code: what was compiled by one process serves all others.

There is one small file per kernel. The name of a file is the hash of everything its
content depends on, so that a file is never out of date: it is there or it is not. Files
appear by an atomic rename and carry a checksum, so that processes may share a directory
without locks; the least recently used ones go when the directory grows over its limit.

A store is a convenience. Whatever is wrong with the directory, kernels are compiled
anew and the fit goes on; one warning per process says what is wrong and how to put
it right. The exception is trust: machine code is run, so it is read only from files of
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
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["HEADER", "Store", "location", "opened"]

# The last byte of the mark is the version of the file's format.
_MARK = b"skgrad\x00\x01"
HEADER = struct.Struct("<8sQ32s")
"""What a file begins with: mark, length of the code, checksum."""

_FILE = re.compile(r"[0-9a-f]{64}(\.[0-9a-f]{16})?\.(kernel|partial)")
# A kernel takes 2 to 20 KB: room for thousands, for several versions of the library.
_MAX_BYTES = 64 * 2**20
_DAY = 86_400.0  # seconds
_HOUR = 3_600.0
_warnings: list[str] = []


def opened(check: Callable[[], object] = lambda: None) -> Store | None:
    """Return the store that the environment asks for, its directory created if new.

    Parameters
    ----------
    check : callable
        Raises an OSError if nothing could be named in a store.

    Returns
    -------
    Store or None
        None if no directory can be used: it cannot be created or read, belongs to
        another user, or others can write to it.

    Warns
    -----
    RuntimeWarning
        Once per process, if no directory can be used.

    Examples
    --------
    >>> from skgrad.backend.store import opened
    >>> store = opened()
    >>> store is None or store.load("0" * 64) is None
    True
    """
    path = None
    try:
        path = location()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        check()
        reason = _mistrust(os.stat(path))
        if not reason:
            return Store(path)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        reason = str(error)
    _warn(path, reason)
    return None


def location() -> Path:
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


class Store:
    """Files of machine code in one directory, of bounded size.

    Parameters
    ----------
    path : pathlib.Path
        The directory.
    max_bytes : int, default=64 MiB
        What its files may take together.
    """

    def __init__(self, path: Path, max_bytes: int = _MAX_BYTES) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._writable = True
        # Bytes saved since the directory was last measured; at first, nobody knows.
        self._unmeasured = max_bytes

    def load(self, name: str) -> bytes | None:
        """Return the machine code called ``name``, None if there is none to trust."""
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
        """Keep machine code under ``name``; after a failure, keep nothing any more."""
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
    return HEADER.pack(_MARK, len(code), _checksum(name, code)) + code


def _unpacked(name: str, content: bytes) -> bytes | None:
    if len(content) < HEADER.size:
        return None
    mark, size, checksum = HEADER.unpack_from(content)
    code = content[HEADER.size :]
    intact = len(code) == size and checksum == _checksum(name, code)
    return code if intact and mark == _MARK else None
