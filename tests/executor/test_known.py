import gc
import weakref

import numpy as np
import pytest

from skgrad import ops
from skgrad.executor import known, trace
from skgrad.executor.compiled import CompiledExecutor
from skgrad.extension import elementwise


def graph(function, *shapes):
    return trace(function, *(np.zeros(shape) for shape in shapes)).graph


def scaled(number, keepdims=False, n_results=1):
    return lambda x: (ops.sum(x * number, keepdims=keepdims), x)[:n_results]


@elementwise("{0} * 2.0", None)
def twice(x):
    """Return 2x."""


def test_equal_graphs_are_one():
    assert graph(scaled(2.0), 3) is graph(scaled(2.0), 3)


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (scaled(3.0), (3,)),
        (scaled(-2.0), (3,)),
        (scaled(2.0), (4,)),
        (scaled(2.0), (3, 1)),
        (scaled(2.0, keepdims=True), (3,)),
        (scaled(2.0, n_results=2), (3,)),
    ],
)
def test_different_graphs_are_not(function, shape):
    assert graph(function, shape) is not graph(scaled(2.0), 3)


def test_zeros_of_both_signs_are_told_apart():
    one, other = (trace(lambda x, z=z: x * z, np.ones(2)) for z in (0.0, -0.0))
    assert np.signbit(other(np.ones(2))).all()
    assert not np.signbit(one(np.ones(2))).any()


def test_users_primitives_and_large_constants_are_not_kept():
    large = np.ones(known.MOST_BYTES)
    for function in (twice, lambda x: ops.sum(x * large)):
        assert graph(function, 1) is not graph(function, 1)


def test_the_oldest_are_forgotten(monkeypatch):
    monkeypatch.setattr(known, "_known", {})
    monkeypatch.setattr(known, "MOST_GRAPHS", 2)
    first = graph(scaled(1.5), 3)
    graph(scaled(2.5), 3)
    assert graph(scaled(1.5), 3) is first  # the last one used
    graph(scaled(3.5), 3)
    assert len(known._known) == 2
    assert graph(scaled(1.5), 3) is first


def test_plans_are_shared_and_memory_is_not():
    shared = graph(lambda x: x, 3)
    one, other = CompiledExecutor(shared).plan(), CompiledExecutor(shared).plan()
    assert one.code is other.code
    assert [p.run([np.arange(3.0)])[0].sum() for p in (one, other)] == [3, 3]
    memory = weakref.ref(one._idle[0])
    assert memory() is not other._idle[0]
    del one
    gc.collect()
    assert memory() is None
