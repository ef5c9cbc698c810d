"""The compiled loop over steps and instructions.

An instruction is a row of three addresses: a function, its table of pointers, its table
of sizes. The loop calls them in order, again and again, without Python: the lock of the
interpreter is released for the whole run.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

import numpy as np

from skgrad.backend.cpu.cache import function
from skgrad.typing import Array

__all__ = ["run", "source"]

# Calls through a pointer from LLVM IR cost 2 ns, from Python a thousand times as much.
_SIGNATURE = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64
)


def source() -> str:
    """Return the LLVM IR of ``kernel(records, n_records, first_step, n_steps)``.

    Returns
    -------
    str
        A module in LLVM's assembly language.

    Examples
    --------
    >>> from skgrad.backend.cpu.driver import source
    >>> "define void @kernel" in source()
    True
    """
    return """
define void @kernel(ptr %records, i64 %n, i64 %first, i64 %count) nounwind {
entry:
  %last = add nsw i64 %first, %count
  %some_steps = icmp sgt i64 %count, 0
  %some_records = icmp sgt i64 %n, 0
  %some = and i1 %some_steps, %some_records
  br i1 %some, label %steps, label %done
steps:
  %step = phi i64 [%first, %entry], [%next_step, %step_done]
  br label %calls
calls:
  %i = phi i64 [0, %steps], [%next, %calls]
  %row = mul nsw i64 %i, 3
  %p0 = getelementptr ptr, ptr %records, i64 %row
  %p1 = getelementptr ptr, ptr %p0, i64 1
  %p2 = getelementptr ptr, ptr %p0, i64 2
  %function = load ptr, ptr %p0
  %pointers = load ptr, ptr %p1
  %sizes = load ptr, ptr %p2
  call void %function(ptr %pointers, ptr %sizes, i64 %step)
  %next = add nuw nsw i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %calls, label %step_done
step_done:
  %next_step = add nsw i64 %step, 1
  %again = icmp slt i64 %next_step, %last
  br i1 %again, label %steps, label %done
done:
  ret void
}
"""


@cache
def _loop() -> Callable[[int, int, int, int], None]:
    return _SIGNATURE(function("driver", source))


def run(records: Array, start: int, stop: int, first_step: int, n_steps: int) -> None:
    """Call instructions in order, once for each step.

    Parameters
    ----------
    records : array of int64 of shape (n_instructions, 3)
        Addresses of a function, of its pointers and of its sizes. Nothing is checked:
        what they point to must be alive and of the sizes the function was told.
    start, stop : int
        Which of the instructions to call.
    first_step, n_steps : int
        The numbers of the steps, ``first_step`` to ``first_step + n_steps - 1``.

    Examples
    --------
    >>> import numpy as np
    >>> from skgrad.backend.cpu.driver import run
    >>> run(np.zeros((0, 3), dtype=np.int64), 0, 0, 0, 10)
    """
    rows = np.ascontiguousarray(records, dtype=np.int64)
    _loop()(rows.ctypes.data + 24 * start, stop - start, first_step, n_steps)
