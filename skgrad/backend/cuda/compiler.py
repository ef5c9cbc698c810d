"""CUDA C to code of a device, through NVRTC; several sources side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from skgrad.backend.cuda.available import cupy
from skgrad.backend.cuda.printer import module
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
        Machine code; PTX where the compiler is older than the device.
    """
    nvrtc = cupy().cuda.nvrtc
    architecture = _architecture(nvrtc.getSupportedArchs(), capability)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda f: _binary(nvrtc, f, architecture), functions))


def _architecture(supported: Sequence[int], capability: int) -> str:
    """Return the option's value: code of the device itself, or PTX of an older one."""
    if capability in supported:
        return f"sm_{capability}"
    return f"compute_{max(s for s in supported if s < capability)}"


def _binary(nvrtc: Any, text: str, architecture: str) -> bytes:
    program = nvrtc.createProgram(module([text]), "skgrad.cu", (), ())
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
        ptx = architecture.startswith("compute")
        code = nvrtc.getPTX(program) if ptx else nvrtc.getCUBIN(program)
        return code if isinstance(code, bytes) else code.encode()
    finally:
        nvrtc.destroyProgram(program)
