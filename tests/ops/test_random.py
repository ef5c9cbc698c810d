"""Counter-based bits: known answers, uniformity, identity of rows."""

import numpy as np
import pytest
from cases import philox
from scipy import stats

import skgrad
from skgrad import ops
from skgrad.backend.arrays import philox_4x32
from skgrad.core.random import RandomScope, entered
from skgrad.executor import trace

# The known-answer vectors of Random123 1.14 (tests/kat_vectors, philox4x32 10).
KNOWN = [
    (
        "00000000 00000000 00000000 00000000",
        "00000000 00000000",
        "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    ),
    (
        "ffffffff ffffffff ffffffff ffffffff",
        "ffffffff ffffffff",
        "408f276d 41c83b0e a20bc7c6 6d5451fd",
    ),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(counter, key, expected):
    found = philox_4x32(words(counter), words(key))
    assert [int(word) for word in found] == words(expected)
    assert philox(tuple(words(counter)), tuple(words(key))) == words(expected)


def uniform(n, k=1, seed=0, **scope):
    with entered(RandomScope(seed, **scope)):
        return ops.uniform_like(np.zeros((n, k))).numpy()


def test_numbers_are_uniform():
    sample = uniform(40_000, 5).ravel()
    assert sample.min() >= 0.0
    assert sample.max() < 1.0
    assert stats.kstest(sample, "uniform").pvalue > 1e-3
    lagged = np.corrcoef(sample[:-1], sample[1:])[0, 1]
    assert abs(lagged) < 5 / np.sqrt(sample.size)


def test_float32_and_float64_draw_the_same_numbers():
    with skgrad.random_seed(3):
        single = ops.uniform_like(np.zeros((5, 3), np.float32))
    with skgrad.random_seed(3):
        double = ops.uniform_like(np.zeros((5, 3)))
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single.numpy().astype(float), double.numpy())


def test_draws_steps_and_seeds_differ():
    with skgrad.random_seed(0):
        first, second = (ops.uniform_like(np.zeros(50)).numpy() for _ in range(2))
    step = skgrad.tensor(1)
    samples = [first, second, uniform(50, seed=1), uniform(50, step=step)]
    flat = [s.ravel() for s in samples]
    for i, a in enumerate(flat):
        for b in flat[:i]:
            assert not (a == b).any()


def test_a_row_draws_by_its_identity():
    rows = skgrad.tensor(np.array([7, 2, 7, 9], dtype=np.uint32))
    sample = uniform(4, 6, rows=rows)
    np.testing.assert_array_equal(sample[0], sample[2])
    assert not (sample[0] == sample[1]).any()
    moved = uniform(2, 6, rows=skgrad.tensor(np.array([9, 2], dtype=np.uint32)))
    np.testing.assert_array_equal(moved, sample[[3, 1]])


def test_the_first_elements_do_not_depend_on_the_shape():
    np.testing.assert_array_equal(uniform(3, 2), uniform(5, 9)[:3, :2])


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0), (2, 3, 4)])
def test_shapes(shape):
    with skgrad.random_seed(0):
        assert ops.uniform_like(np.zeros(shape)).shape == shape


def test_traced_draws_take_key_and_step_as_inputs():
    def draw(key, step, rows, x):
        with entered(RandomScope(0, key, step, rows)):
            return ops.uniform_like(x), ops.uniform_like(x)

    def arguments(seed, step):
        key = np.array([seed, 3], dtype=np.uint32)
        return key, np.array(step), np.arange(4, dtype=np.uint32) * 3, np.zeros((4, 5))

    program = trace(draw, *arguments(0, 0))
    seen = []
    for seed, step in ((0, 0), (0, 1), (5, 0)):
        args = arguments(seed, step)
        traced = program(*args)
        eager = draw(*map(skgrad.tensor, args))
        for t, e in zip(traced, eager, strict=True):
            np.testing.assert_array_equal(t, e.numpy())
            seen.append(t.tobytes())
    assert len(set(seen)) == 6


def test_no_gradient_flows_through_masks():
    x = skgrad.tensor(np.ones((3, 2)), requires_grad=True)
    assert not ops.uniform_like(x).requires_grad
