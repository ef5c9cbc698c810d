"""The loop over instructions: order, steps, and no lock held."""

import ctypes
import threading

import numpy as np

from skgrad.backend.cpu.backend import instruction
from skgrad.backend.cpu.driver import run


def record(name, arrays, sizes, dtypes=()):
    """Return an instruction, and what has to stay alive with it."""
    function, extra, sizes = instruction(name, dtypes, tuple(sizes))
    pointers = np.array([*(a.ctypes.data for a in arrays), *extra], dtype=np.int64)
    sizes = np.array(sizes, dtype=np.int64)
    return [function, pointers.ctypes.data, sizes.ctypes.data], (pointers, sizes)


def test_instructions_run_in_order_for_each_step():
    table, cell, out = np.arange(5.0), np.zeros(1), np.full(5, -1.0)
    read, kept = record("read_table", [table, cell], [8])
    write, also = record("write_table", [cell, out], [8])
    records = np.array([read, write])
    run(records, 0, 2, 1, 3)
    assert out.tolist() == [-1, 1, 2, 3, -1]
    run(records, 1, 2, 0, 1)  # only the second instruction: the cell is what it was
    assert out.tolist() == [3, 1, 2, 3, -1]
    assert len(kept) == len(also) == 2


def test_nothing_runs_without_steps_or_instructions():
    out = np.ones(3)
    fill, _kept = record("fill_zero", [out], [24])
    records = np.array([fill])
    run(records, 0, 1, 0, 0)
    run(records, 0, 0, 0, 5)
    run(records, 1, 1, 0, 5)
    assert out.all()
    run(records, 0, 1, 0, 1)
    assert not out.any()


def test_other_threads_run_meanwhile():
    """A kernel of ours waits in C until another Python thread has set a flag."""
    started, released = threading.Event(), []
    signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)

    @signature
    def wait(pointers, sizes, step):
        # Called from the loop, which let the lock go: the callback takes it again, and
        # gives way to the other thread inside `Event.wait`.
        started.set()
        released.append(other_ran.wait(timeout=60))

    other_ran = threading.Event()

    def other():
        started.wait(timeout=60)
        other_ran.set()

    thread = threading.Thread(target=other)
    thread.start()
    address = ctypes.cast(wait, ctypes.c_void_p).value
    run(np.array([[address, 0, 0]], dtype=np.int64), 0, 1, 0, 2)
    thread.join()
    assert released == [True, True]
