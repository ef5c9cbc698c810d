"""Compiled sweeps against those in Python, to the bit."""

import numpy as np
import pytest

from skgrad.backend.cpu import descent, engine
from skgrad.optim import gram_descent


@pytest.fixture(scope="module", autouse=True)
def in_memory():
    """Compile the sweeps without keeping them."""
    address = engine.loaded(engine.compiled(descent.source()), "kernel")
    code = descent._SIGNATURE(address)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(descent, "_code", lambda: code)
        yield


def problem(k, rng, rank=None):
    """Return what :func:`descent.sweeper` takes, in memory that notices writes."""
    X = rng.normal(size=(rank or 2 * k + 1, k))
    G = X.T @ X
    l1 = rng.uniform(0.0, 2.0, k)
    l1[::3] = 0.0
    low, high = np.full(k, -np.inf), np.full(k, np.inf)
    low[::4], high[1::4], high[3::4] = 0.0, 0.1, 0.0
    coef = np.where(rng.uniform(size=k) < 0.5, rng.normal(size=k), 0.0)
    gradient = rng.normal(size=k) * 10
    arrays = [G, G.diagonal().copy(), l1, low, high, coef, gradient]
    return [guarded(x) for x in arrays]


def guarded(x):
    memory = np.full(x.size + 16, 7777.0)
    memory[8:-8] = x.ravel()
    return memory[8:-8].reshape(x.shape)


def is_guarded(x):
    memory = x
    while memory.base is not None:
        memory = memory.base
    return (memory[[*range(8), *range(-8, 0)]] == 7777.0).all()


@pytest.mark.parametrize("most", [0, 1, 2, 5, 200])
@pytest.mark.parametrize("k", [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33, 40])
def test_bits_are_those_of_python(k, most, rng):
    compiled = problem(k, rng)
    python = [x.copy() for x in compiled]
    before = [x.copy() for x in compiled[:5]]
    some = np.flatnonzero(rng.uniform(size=k) < 0.7)
    for order in (np.arange(k), some, some[::-1].copy(), some[:0]):
        actual = descent.sweeper(*compiled, tol=1e-8)(order, most)
        assert actual == gram_descent._sweeper(*python, tol=1e-8)(order, most)
        for x, y in zip(compiled, python, strict=True):
            assert is_guarded(x)
            np.testing.assert_array_equal(x, y)
    for x, y in zip(compiled, before, strict=False):
        np.testing.assert_array_equal(x, y)


def test_more_columns_than_rows(rng):
    compiled = problem(40, rng, rank=10)
    python = [x.copy() for x in compiled]
    order = np.arange(40)
    for tol in (1.0, 1e-3, 1e-6):
        actual = descent.sweeper(*compiled, tol=tol)(order, 50)
        assert actual == gram_descent._sweeper(*python, tol=tol)(order, 50)
        np.testing.assert_array_equal(compiled[5], python[5])


def test_sweeps_are_counted_up_to_the_one_that_changes_little():
    one, zero, large = np.ones(1), np.zeros(1), np.full(1, np.inf)
    order = np.array([0])

    def sweep(most, tol):
        coef, gradient = np.zeros(1), np.array([2.0])
        arrays = (one[:, None], one, 0.5 * one, -large, large, coef, gradient)
        done = descent.sweeper(*arrays, tol=tol)(order, most)
        return done, coef.item(), gradient.item()

    assert sweep(5, 1.0) == (2, 1.5, 0.5)
    assert sweep(1, 1.0) == (0, 1.5, 0.5)
    assert sweep(1, 2.25) == (1, 1.5, 0.5)
    assert sweep(0, 1.0) == (0, 0.0, 2.0)
    assert zero.item() == 0.0


@pytest.mark.parametrize("where", ["l1", "coef", "gradient"])
def test_not_a_number_does_not_move(where, rng):
    arrays = dict(
        zip(
            ("G", "diagonal", "l1", "low", "high", "coef", "gradient"),
            problem(9, rng),
            strict=True,
        )
    )
    arrays["low"][:], arrays["high"][:] = -np.inf, np.inf
    arrays[where][:] = np.nan
    before = arrays["coef"].copy()
    assert descent.sweeper(**arrays, tol=0.0)(np.arange(9), 10) in (1, 2)
    if where != "l1":
        np.testing.assert_array_equal(arrays["coef"], before)


def test_arrays_live_as_long_as_the_function(rng):
    arrays = problem(30, rng)
    expected = [x.copy() for x in arrays]
    sweep = descent.sweeper(*(x.copy() for x in arrays[:6]), arrays[6], tol=0.0)
    held = [np.full((30, 30), np.nan) for _ in range(20)]
    sweep(np.arange(30), 3)
    gram_descent._sweeper(*expected, tol=0.0)(np.arange(30), 3)
    np.testing.assert_array_equal(arrays[6], expected[6])
    assert len(held) == 20


def test_source_lets_no_sum_be_reordered():
    words = set(descent.source().replace("(", " ").split())
    forbidden = {"fast", "nnan", "ninf", "nsz", "arcp", "contract", "reassoc"}
    assert words.isdisjoint(forbidden)
