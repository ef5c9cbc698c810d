"""Compiled sweeps over columns against those in Python."""

import numpy as np
import pytest
import scipy.sparse

from skgrad.backend.cpu import column_descent, engine
from skgrad.solvers import column_descent as written

N, P = 41, 13


@pytest.fixture(
    scope="module", params=[None, "i32", pytest.param("i64", marks=pytest.mark.long)]
)
def index(request):
    """Compile sweeps for a kind of columns, without keeping them."""
    source = column_descent.source(request.param)
    code = column_descent._SIGNATURE(engine.loaded(engine.compiled(source), "kernel"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_descent, "_code", lambda index: code)
        yield request.param


def problem(index, rng, equal):
    X = scipy.sparse.random(N, P, 0.4, format="csc", random_state=rng)
    d = np.full(N, 0.7) if equal else rng.random(N) + 0.1
    side = X.T @ d
    h = X.multiply(X).T @ d - side**2 / d.sum()
    low, high = np.full(P, -np.inf), np.full(P, np.inf)
    low[::4], high[1::4] = 0.0, 0.1
    shift = np.array([0.3, d.sum(), 0.7 if equal else 0.0])
    l1, l2, b = rng.uniform(0, 2, P), rng.random(P), np.zeros(P)
    vectors = [d, rng.normal(size=N), side, h, l1, l2, low, high, b, shift]
    if index is None:
        return (np.ascontiguousarray(X.toarray().T), None, None), vectors
    integers = {"i32": np.int32, "i64": np.int64}[index]
    return (X.data, X.indices.astype(integers), X.indptr.astype(integers)), vectors


@pytest.mark.parametrize("most", [0, 1, 3, 100])
@pytest.mark.parametrize("equal", [True, False], ids=["equal", "weights"])
def test_equals_python(index, equal, most, rng):
    columns, vectors = problem(index, rng, equal)
    others = [v.copy() for v in vectors]
    order = np.array([0, 1, 2, 4, 5, 12, 7, 9], dtype=np.int64)
    swept = column_descent.sweeper(columns, vectors, 1e-14)(order, most)
    assert swept == written.sweeper(columns, others, 1e-14)(order, most)
    for got, want in zip(vectors, others, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
