"""Runs of many steps: what is fed back, what varies, what comes out."""

import numpy as np
import pytest

from skgrad import ops
from skgrad.core.tree import tree_flatten
from skgrad.executor import EagerProgram, Rows, Same, Table, trace
from skgrad.executor.steps import repeated, summed

SOURCE = np.arange(12.0).reshape(6, 2)
EXECUTORS = ("cpu", "reference", "eager")


def program(function, *example, executor):
    if executor == "eager":
        return EagerProgram(function, tree_flatten(example)[1])
    return trace(function, *example).on(executor)


def collect(total, scale, x, rate, offset):
    """Return the carry, then two results."""
    total = total + rate * scale * ops.sum(x, axis=0)
    return total, total * 2.0, x + offset


EXAMPLE = (np.zeros(2), 1.0, SOURCE[:3], 1.0, np.zeros(2))
ROWS = np.array([[0, 1, 2], [5, 5, 0], [3, 4, 4], [1, 0, 2]])
RATES = np.array([1.0, 0.5, -1.0, 2.0])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_carry_fixed_rows_table_and_same(executor):
    start, offset = np.array([1.0, -1.0]), np.array([10.0, 20.0])
    varying = [Rows(SOURCE), Table(RATES), Same(offset)]
    steps = program(collect, *EXAMPLE, executor=executor).steps
    (total,), (doubled, moved) = steps([start], [np.array(3.0)], varying, ROWS)
    expected = start.copy()
    for t, rows in enumerate(ROWS):
        expected = expected + RATES[t] * 3.0 * SOURCE[rows].sum(axis=0)
        np.testing.assert_allclose(doubled[t], 2 * expected)
        np.testing.assert_array_equal(moved[t], SOURCE[rows] + offset)
    np.testing.assert_allclose(total, expected)
    assert start.tolist() == [1.0, -1.0]
    assert doubled.shape == (4, 2)
    assert moved.shape == (4, 3, 2)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint32", "bool"])
def test_rows_and_tables_of_any_dtype(executor, dtype):
    source = (np.arange(12).reshape(6, 2) % 5).astype(dtype)
    table = (np.arange(8).reshape(4, 2) % 2).astype(dtype)

    def same(count, x, value):
        return count + 1.0, x, value

    steps = program(same, 0.0, source[:3], table[0], executor=executor).steps
    varying = [Rows(source), Table(table)]
    (count,), (gathered, values) = steps([np.zeros(())], [], varying, ROWS)
    assert float(count) == 4
    assert (gathered.dtype, values.dtype) == (source.dtype, table.dtype)
    np.testing.assert_array_equal(gathered, source[ROWS])
    np.testing.assert_array_equal(values, table)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "source",
    [
        np.asfortranarray(SOURCE),
        np.repeat(SOURCE, 2, axis=0)[::2],
        SOURCE[::-1][::-1],
        np.repeat(SOURCE, 2, axis=1)[:, ::2],
    ],
    ids=["fortran", "every second row", "turned twice", "every second column"],
)
def test_any_layout_is_gathered_from(executor, source):
    np.testing.assert_array_equal(source, SOURCE)
    steps = program(lambda n, x: (n + 1.0, x), 0.0, SOURCE[:3], executor=executor).steps
    _, (gathered,) = steps([np.zeros(())], [], [Rows(source)], ROWS)
    np.testing.assert_array_equal(gathered, SOURCE[ROWS])


def test_a_memory_mapped_source(tmp_path):
    SOURCE.tofile(tmp_path / "source")
    source = np.memmap(tmp_path / "source", dtype=float, mode="r", shape=(6, 2))
    for executor in EXECUTORS:
        steps = program(
            lambda n, x: (n + 1.0, x), 0.0, SOURCE[:3], executor=executor
        ).steps
        _, (gathered,) = steps([np.zeros(())], [], [Rows(source)], ROWS)
        np.testing.assert_array_equal(gathered, SOURCE[ROWS])


@pytest.mark.parametrize("executor", ["cpu", "reference"])
def test_results_of_one_run_survive_the_next(executor):
    runs = program(collect, *EXAMPLE, executor=executor)
    varying = [Rows(SOURCE), Table(RATES), Same(np.zeros(2))]
    one = runs.steps([np.zeros(2)], [np.array(1.0)], varying, ROWS)
    kept = [a.copy() for part in one for a in part]
    runs.steps([np.ones(2)], [np.array(5.0)], varying, ROWS[::-1])
    for a, b in zip([a for part in one for a in part], kept, strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_program_runs_each_way():
    """A plan for each: with steps or without, with rows or the same ones."""
    runs = program(collect, *EXAMPLE, executor="cpu")
    x, offset = SOURCE[:3], np.zeros(2)
    total, *_ = runs(np.zeros(2), 1.0, x, 2.0, offset)
    rows = np.array([[0, 1, 2]])
    fixed, rate = [np.array(1.0)], Table(np.array([2.0]))
    for first in (Rows(SOURCE), Same(x), Table(x[None])):
        (found,), _ = runs.steps(
            [np.zeros(2)], fixed, [first, rate, Same(offset)], rows
        )
        np.testing.assert_array_equal(found, total)
    np.testing.assert_array_equal(total, 2 * x.sum(axis=0))


@pytest.mark.parametrize("executor", ["cpu", "reference"])
def test_sums_over_blocks(executor):
    def moments(shift, x):
        return ops.sum(x - shift, axis=0), ops.sum(ops.square(x - shift))

    blocks = [[SOURCE[:3]], [SOURCE[3:]], [SOURCE[1:4]]]
    runs = program(moments, 0.0, SOURCE[:3], executor=executor)
    first, second = runs.sums([np.array(0.5)], iter(blocks))
    rows = np.concatenate([b for (b,) in blocks]) - 0.5
    np.testing.assert_allclose(first, rows.sum(axis=0))
    np.testing.assert_allclose(second, (rows**2).sum())
    again, _ = runs.sums([np.array(0.5)], blocks[:1])
    np.testing.assert_allclose(again, (SOURCE[:3] - 0.5).sum(axis=0))
    np.testing.assert_allclose(first, rows.sum(axis=0))  # not the memory of the second


def test_in_python():
    state, (seen,) = repeated(
        lambda arrays: [arrays[0] + arrays[1], arrays[0]],
        [np.array(0.0)],
        [],
        [Table(RATES)],
        np.zeros((4, 0), dtype=int),
    )
    assert float(state[0]) == RATES.sum()
    assert seen.tolist() == [0.0, 1.0, 1.5, 0.5]
    blocks = [[np.array(2.0)], [np.array(3.0)]]
    (total,) = summed(lambda arrays: [arrays[0] * arrays[1]], [np.array(10.0)], blocks)
    assert float(total) == 50.0
