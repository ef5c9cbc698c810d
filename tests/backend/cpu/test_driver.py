"""The loop over instructions: order, steps, and no lock held."""

import threading
import time

import numpy as np

from skgrad.backend.cpu import engine
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


# Tells that it runs, then waits for an answer, without Python: for `sizes[0]` looks at
# most, so that a lock that is not let go is a failure and not a hang.
WAIT = """
define void @kernel(ptr %cells, ptr %sizes, i64 %step) {
entry:
  %answer = getelementptr i64, ptr %cells, i64 1
  %seen = getelementptr i64, ptr %cells, i64 2
  %limit = load i64, ptr %sizes
  store volatile i64 1, ptr %cells
  br label %look
look:
  %i = phi i64 [0, %entry], [%next, %again]
  %word = load volatile i64, ptr %answer
  %answered = icmp ne i64 %word, 0
  br i1 %answered, label %yes, label %again
again:
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %limit
  br i1 %more, label %look, label %no
yes:
  store i64 %word, ptr %seen
  ret void
no:
  ret void
}
"""


def test_other_threads_run_meanwhile():
    cells, looks = np.zeros(3, dtype=np.int64), np.array([2 * 10**10])
    address = engine.loaded(engine.compiled(WAIT), "kernel")
    records = np.array([[address, cells.ctypes.data, looks.ctypes.data]])

    def answer():
        for _ in range(60_000):
            if cells[0]:
                cells[1] = 42
                return
            time.sleep(0.001)

    thread = threading.Thread(target=answer)
    thread.start()
    run(records, 0, 1, 0, 1)
    thread.join()
    assert cells.tolist() == [1, 42, 42]


def test_records_of_another_layout_are_copied():
    table, out = np.arange(3.0), np.zeros(1)
    read, _kept = record("read_table", [table, out], [8])
    wide = np.zeros((2, 6), dtype=np.int64)
    wide[1, ::2] = read
    run(wide[:, ::2], 1, 2, 2, 1)
    assert out[0] == 2
