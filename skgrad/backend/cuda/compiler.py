"""CUDA C to code of a device, through NVRTC; several sources side by side."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from skgrad.backend.cuda.available import cupy
from skgrad.backend.cuda.printer import module
from skgrad.backend.store import opened
from skgrad.exceptions import GraphError

__all__ = ["binaries"]


def binaries(functions: Sequence[str], capability: int) -> list[bytes]:
    """Return loadable code of functions, each a module of its own.

    Parameters
    ----------
    functions : sequence of str
        CUDA C, without the prelude.
    capability : int
        Of the device: 90 for 9.0.

    Returns
    -------
    list of bytes
        Machine code; PTX where the compiler is older than the device. It is kept on
        disk, see :mod:`skgrad.backend.store`, and compiled where it is new.
    """
    nvrtc, store = cupy().cuda.nvrtc, _store()
    architecture = _architecture(nvrtc.getSupportedArchs(), capability)

    def binary(text: str) -> bytes:
        name = hashlib.sha256(repr((text, *key)).encode()).hexdigest()
        found = None if store is None else store.load(name)
        if found is None:
            found = _compiled(nvrtc, text, architecture)
            if store is not None:
                store.save(name, found)
        return found

    key = architecture, nvrtc.getVersion()
    texts = [module([function]) for function in functions]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(binary, texts))


_store = cache(opened)


def _architecture(supported: Sequence[int], capability: int) -> str:
    """Return the option's value: code of the device itself, or PTX of an older one."""
    if capability in supported:
        return f"sm_{capability}"
    return f"compute_{max(s for s in supported if s < capability)}"


def _compiled(nvrtc: Any, text: str, architecture: str) -> bytes:
    program = nvrtc.createProgram(text, "skgrad.cu", (), ())
    # Neither --use_fast_math nor -ftz=true, which CuPy's own RawModule adds.
    options = f"--gpu-architecture={architecture}", "--std=c++17"
    try:
        nvrtc.compileProgram(program, options)
    except nvrtc.NVRTCError as error:
        log = nvrtc.getProgramLog(program)
        raise GraphError(
            f"NVRTC does not compile a kernel ({error}); please report it.\n{log}"
        ) from error
    else:
        if architecture.startswith("compute"):
            code = nvrtc.getPTX(program)
            return code if isinstance(code, bytes) else code.encode()
        # CuPy takes the last byte of it, zero, for the end of a string.
        return bytes(nvrtc.getCUBIN(program)) + b"\0"
    finally:
        nvrtc.destroyProgram(program)
