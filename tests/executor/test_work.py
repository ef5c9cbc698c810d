"""The estimate of work: from shapes alone, and in proportion to what is done."""

import math

import numpy as np
import pytest
import scipy.sparse

from skgrad import ops
from skgrad.executor import Traced, trace
from skgrad.executor.work import chosen_executor, reference_seconds


def seconds(function, *shapes, dtype="float64"):
    return reference_seconds(
        trace(function, *(np.zeros(s, dtype) for s in shapes)).graph
    )


def test_elementwise_work_is_in_the_elements():
    few, many = (seconds(ops.exp, n) for n in (10**6, 10**7))
    np.testing.assert_allclose(many / few, 10, rtol=0.01)
    chain = seconds(lambda x: ops.exp(ops.sin(x)), 10**6)
    np.testing.assert_allclose(chain / few, 2, rtol=0.01)


def test_a_reduction_reads_and_a_broadcast_writes():
    whole = seconds(ops.exp, (1000, 1000))
    np.testing.assert_allclose(seconds(ops.sum, (1000, 1000)), whole)
    outer = seconds(lambda x, y: x + y, (1000, 1), (1, 1000))
    np.testing.assert_allclose(outer, whole)


def test_products_count_two_operations_for_each_triple():
    def product(x, y):
        return x @ y

    call = seconds(product, (1, 1), (1, 1))
    one = seconds(product, (300, 400), (400, 500)) - call
    two = seconds(product, (2, 300, 400), (2, 400, 500)) - call
    four = seconds(product, (600, 400), (400, 1000)) - call
    np.testing.assert_allclose([two / one, four / one], [2, 4], rtol=1e-6)
    # Some 10 to 100 GFLOP/s on one core.
    assert 1e10 < 2 * 300 * 400 * 500 / one < 1e11


def test_views_are_calls_and_nothing_more():
    small, large = (seconds(ops.transpose, (n, n)) for n in (2, 2000))
    assert 0 < small == large < 1e-5


def test_products_with_sparse_rows_count_what_is_stored():
    A = ops.SparseRows.of(scipy.sparse.eye_array(10_000, 50, format="csr") + 0.0)
    full = A._replace(data=np.ones(10**6), indices=np.zeros(10**6, dtype=np.int32))

    def product(X, k):
        return trace(ops.sparse_matmul, X, np.zeros((50, k))).reference_seconds

    whole, half = product(full, 3), product(full.take(slice(0, 5000)), 3)
    np.testing.assert_allclose(whole / half, 2, rtol=1e-3)
    np.testing.assert_allclose(product(full, 6) / whole, 2, rtol=1e-3)
    assert product(A, 3) < 0.01 * whole
    gram = trace(lambda X, w: ops.sparse_gram(X, w, 50), full, np.zeros(10_000))
    # Each of 100 elements with each of the same row.
    np.testing.assert_allclose(gram.reference_seconds / whole, 100 / 3, rtol=1e-2)


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_values_do_not_matter(value):
    def f(x):
        return ops.tanh(x) @ ops.transpose(x)

    program = trace(f, np.full((20, 30), value))
    expected = seconds(f, (20, 30))
    assert reference_seconds(program.graph) == program.reference_seconds == expected
    assert program.on("cpu").reference_seconds == expected


def test_the_executor_is_chosen_at_a_tenth_of_a_second():
    graph = trace(lambda x: ops.exp(x) * 2.0, np.zeros((100, 100))).graph
    n = 0.1 / reference_seconds(graph)
    assert chosen_executor(graph, 0) == "reference"
    assert chosen_executor(graph, n * 0.99) == "reference"
    assert chosen_executor(graph, n * 1.01) == "cpu"
    assert chosen_executor(graph, math.inf) == "cpu"


def test_an_empty_program_is_not_compiled():
    graph = trace(lambda x: x, np.zeros(3)).graph
    assert reference_seconds(graph) == 0
    assert chosen_executor(graph, 1e9) == "reference"


def test_the_first_program_chooses_for_all():
    def f(x):
        return ops.exp(x) * 2.0

    few, many = np.zeros(3), np.zeros(10**6)
    traced = Traced(f, n_runs=100)
    assert traced.executor is None
    assert traced.program(many).executor == "cpu"
    assert traced.program(few).executor == traced.executor == "cpu"
    traced = Traced(f, n_runs=100)
    assert traced.program(few).executor == "reference"
    assert traced.program(many).executor == "reference"
