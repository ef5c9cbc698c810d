"""How kernels are launched follows from sizes alone, and covers all of them."""

import math

import pytest

from skgrad.backend.base import KernelSpec, Operand, Output
from skgrad.backend.cuda.launch import (
    THREADS,
    kernel_launches,
    kernel_workspace,
    lanes,
    passes,
)

ROW, COLUMN = Operand("float32", "01"), Operand("float32", "10")
MATRIX, SCALAR = Operand("float32", "s1"), Operand("float64", "00")


def summed(over, target):
    return KernelSpec(2, (MATRIX, target), 1, (), (Output(0, 1, "sum", over),))


def test_each_set_of_loops_is_reduced_over_in_a_pass_of_its_own():
    outputs = (
        *(Output(0, 2, "sum", (0,)), Output(0, 3, "sum", (0, 1)), Output(1, 1)),
        *(Output(0, 4), Output(0, 5, "max", (0,)), Output(0, 6, "sum", (1,))),
    )
    targets = (ROW, SCALAR, MATRIX, ROW, COLUMN)
    spec = KernelSpec(2, (MATRIX, SCALAR, *targets), 2, (), outputs)
    made = passes(spec)
    assert [(p.depth, p.over) for p in made] == [
        *((2, (0,)), (2, (0, 1)), (2, (1,))),
        (0, ()),
    ]
    assert [len(p.reduced) for p in made] == [2, 1, 1, 0]
    # What is stored at each element is stored on the way by the last of them, what is
    # stored once after it.
    assert [[o.operand for o in p.stored] for p in made] == [[], [], [4], [1]]


@pytest.mark.parametrize("along_reduced", [False, True])
def test_a_block_is_shared_out_in_powers_of_two(along_reduced):
    sizes = [0, 1, 2, 3, 31, 32, 33, 255, 256, 257, 10**6]
    for n_kept in sizes:
        for n_reduced in sizes:
            width = lanes(n_kept, n_reduced, along_reduced)
            assert 1 <= width <= THREADS
            assert THREADS % width == 0
            # Neighbours read neighbours, where there are as many: those that memory
            # hands out together, or a warp of elements that are kept.
            beside = THREADS // width if along_reduced else width
            n_beside = n_reduced if along_reduced else n_kept
            assert beside >= min(8 if along_reduced else 32, n_beside)


@pytest.mark.parametrize(
    ("over", "target"), [((0,), ROW), ((1,), COLUMN), ((0, 1), SCALAR)]
)
def test_splits_occupy_a_device_where_few_elements_are_kept(over, target):
    spec = summed(over, target)
    for extents in [(1, 10**6), (10**6, 1), (1000, 1000), (10**5, 10), (7, 3)]:
        n_kept = math.prod(n for k, n in enumerate(extents) if k not in over)
        first, *rest = kernel_launches(spec, extents)
        blocks, splits = first.grid
        assert first.sizes == (first.sizes[0], splits)
        assert blocks * splits <= 4096
        assert bool(rest) == (splits > 1)
        assert [one.function for one in rest] == ["_0_combine"] * len(rest)
        if rest:
            itemsize = 8 if target is SCALAR else 4
            least = splits * n_kept * itemsize
            assert least <= kernel_workspace(spec, extents) < least + 16 * itemsize
        else:
            assert kernel_workspace(spec, extents) == 0
    few = (30_000, 10) if over == (0,) else (10, 30_000)
    assert kernel_launches(spec, few)[0].grid[1] > 1


def test_nothing_is_launched_where_nothing_is_written():
    copy = KernelSpec(2, (MATRIX, MATRIX), 1, (), (Output(0, 1),))
    assert kernel_launches(copy, (0, 3)) == []
    assert kernel_launches(summed((1,), COLUMN), (0, 3)) == []
    # The sum of nothing is written.
    (zeros,) = kernel_launches(summed((1,), COLUMN), (3, 0))
    assert zeros.grid == (1, 1)


def test_extents_are_all_there_is_to_a_launch():
    spec = summed((0,), ROW)
    assert kernel_launches(spec, (999, 7)) == kernel_launches(spec, (999, 7))
    assert kernel_launches(spec, (10**9, 1))[0].grid == (1, 512)
