"""Buffers, views and the arena."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skgrad import ops
from skgrad.executor import trace
from skgrad.executor.storage import Buffer, View, contiguous_strides, place, views_of

X = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.reshape(x, (6, 4)),
        lambda x: ops.reshape(x, (2, 1, 12)),
        lambda x: ops.transpose(x, (2, 0, 1)),
        lambda x: ops.reshape(ops.transpose(x, (2, 0, 1)), (4, 1, 2, 3)),
        lambda x: x[1:, ::-1, 1::2],
        lambda x: x[:, 2:1],
        lambda x: ops.broadcast_to(x[:, :1], (5, 2, 3, 4)),
        lambda x: ops.unpack(ops.reshape(x, -1), [(2, 2), (5,), (15, 1)]),
        lambda x: ops.transpose(x[..., 1]),
        lambda x: ops.windows(x, (2, 2)),
        lambda x: ops.windows(ops.transpose(x)[:, ::-1], (1, 2), (2, 1), (3, 1)),
    ],
)
def test_views_are_numpys(function):
    program = trace(function, X)
    views = {
        program.graph.inputs[0]: View(
            Buffer(X.nbytes, "input"), X.dtype, X.shape, contiguous_strides(X.shape)
        )
    }
    for equation in program.graph.equations:
        made = views_of(equation, views[equation.inputs[0]])
        views.update(zip(equation.outputs, made, strict=True))
    for variable, expected in zip(program.graph.outputs, program.run([X]), strict=True):
        view = views[variable]
        if view.shape and 0 in view.shape:
            assert expected.size == 0
            continue
        strides = [8 * s for s in view.strides]
        found = np.ndarray(view.shape, "f8", X, 8 * view.offset, strides)
        np.testing.assert_array_equal(found, expected)


def test_a_reshape_across_strides_is_a_copy():
    program = trace(lambda x: ops.reshape(ops.transpose(x, (2, 0, 1)), (24,)), X)
    view = View(Buffer(X.nbytes, "input"), X.dtype, X.shape, (12, 4, 1))
    turned, flat = program.graph.equations
    (between,) = views_of(turned, view)
    assert views_of(flat, between) is None


def scratch(n_bytes):
    return Buffer(n_bytes, "scratch")


def test_places_are_reused_after_the_last_read():
    a, b, c = scratch(100), scratch(100), scratch(100)
    offsets, size = place([([], [a]), ([a], [b]), ([b], [c])], {})
    assert offsets[c] == offsets[a] != offsets[b]
    assert size == 256


def test_an_heir_takes_over_the_place_of_what_it_reads():
    a, b, c = scratch(64), scratch(64), scratch(64)
    uses = [([], [a]), ([a], [b]), ([b], [c]), ([b, c], [])]
    offsets, size = place(uses, {b: a, c: b})
    assert offsets[b] == offsets[a]
    assert offsets[c] != offsets[b]  # b is read once more
    assert size == 128


def test_parts_live_as_long_as_their_whole():
    whole = scratch(128)
    left = Buffer(64, "part", parent=whole)
    right = Buffer(64, "part", parent=whole, offset=64)
    other = scratch(128)
    uses = [([], [left]), ([], [other]), ([other], [right]), ([whole], [])]
    offsets, size = place(uses, {})
    assert abs(offsets[other] - offsets[whole]) >= 128
    assert right.root == (whole, 64)
    assert size == 256


@st.composite
def programs(draw):
    """Return buffers and, for each instruction, what it reads and writes."""
    n = draw(st.integers(1, 25))
    buffers = [scratch(draw(st.integers(0, 500))) for _ in range(n)]
    uses = []
    for i, buffer in enumerate(buffers):
        reads = draw(st.lists(st.sampled_from(buffers[:i]), max_size=3)) if i else []
        uses.append((reads, [buffer]))
    return buffers, uses


@given(programs())
def test_live_buffers_never_overlap(program):
    buffers, uses = program
    offsets, size = place(uses, {})
    last = {}
    for i, (reads, writes) in enumerate(uses):
        last.update(dict.fromkeys([*reads, *writes], i))
    first = {b: i for i, b in enumerate(buffers)}
    for a in buffers:
        assert offsets[a] % 64 == 0
        assert offsets[a] + a.n_bytes <= size
        for b in buffers:
            together = first[a] <= last[b] and first[b] <= last[a]
            apart = (
                offsets[a] + a.n_bytes <= offsets[b]
                or offsets[b] + b.n_bytes <= offsets[a]
            )
            assert a is b or not together or apart
