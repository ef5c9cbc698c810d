"""Products: turned where a transpose cancels, written as sums where they are thin."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from executor.passes.graphs import names, run, simplified

import skgrad
from skgrad import ops
from skgrad.executor.passes import orient_products


@dataclass(frozen=True)
class Row:
    """A function, the same as a sum of products, operands, the equations left."""

    function: Callable[..., Any]
    subscripts: str
    shapes: tuple[tuple[int, ...], ...]
    left: str


def product(x, y):
    return x @ y


def turned(x):
    return ops.swapaxes(x, -1, -2)


TURNED = {
    "(x y)ᵀ": Row(
        lambda x, y: (x @ y).T,
        "ij,jk->ki",
        ((4, 3), (3, 5)),
        "transpose transpose matmul",
    ),
    "(xᵀ y)ᵀ": Row(
        lambda x, y: (x.T @ y).T, "ji,jk->ki", ((3, 4), (3, 5)), "transpose matmul"
    ),
    "(xᵀ yᵀ)ᵀ": Row(
        lambda x, y: (x.T @ y.T).T, "ji,kj->ki", ((3, 4), (5, 3)), "matmul"
    ),
    "(xᵀ yᵀ)ᵀ of a batch": Row(
        lambda x, y: turned(turned(x) @ turned(y)),
        "aji,akj->aki",
        ((2, 3, 4), (2, 5, 3)),
        "matmul",
    ),
}

THIN = {
    "column row": Row(product, "ij,jk->ik", ((4, 1), (1, 5)), "multiply"),
    "columns rows": Row(
        product, "aij,bcjk->baik", ((2, 4, 1), (3, 1, 1, 5)), "multiply"
    ),
    "matrix column": Row(
        product, "ij,jk->ik", ((4, 3), (3, 1)), "reshape multiply sum"
    ),
    "matrix vector": Row(product, "ij,j->i", ((4, 3), (3,)), "multiply sum reshape"),
    "matrix rowᵀ": Row(
        lambda x, y: x @ y.T, "ij,kj->ik", ((4, 3), (1, 3)), "multiply sum"
    ),
    "matrixᵀ column": Row(
        lambda x, y: x.T @ y, "ji,jk->ik", ((3, 4), (3, 1)), "multiply sum reshape"
    ),
    "(matrixᵀ column)ᵀ": Row(
        lambda x, y: (x.T @ y).T, "ji,jk->ki", ((3, 4), (3, 1)), "multiply sum"
    ),
    "row matrix": Row(product, "ij,jk->ik", ((1, 3), (3, 4)), "reshape multiply sum"),
    "columnᵀ matrix": Row(
        lambda x, y: x.T @ y, "ji,jk->ik", ((3, 1), (3, 4)), "multiply sum"
    ),
    "row matrixᵀ": Row(
        lambda x, y: x @ y.T, "ij,kj->ik", ((1, 3), (4, 3)), "multiply sum reshape"
    ),
    "row column": Row(product, "ij,jk->ik", ((1, 3), (3, 1)), "reshape multiply sum"),
    "vector vector": Row(
        product, "j,j->", ((3,), (3,)), "reshape multiply sum reshape"
    ),
    "one one": Row(product, "ij,jk->ik", ((1, 1), (1, 1)), "multiply"),
    "batch column": Row(
        product, "abij,bjk->abik", ((2, 3, 2, 4), (3, 4, 1)), "reshape multiply sum"
    ),
    "row batch": Row(
        product, "ij,ajk->aik", ((1, 4), (2, 4, 3)), "reshape multiply sum"
    ),
    "batchᵀ column": Row(
        lambda x, y: turned(x) @ y,
        "aji,jk->aik",
        ((2, 4, 3), (4, 1)),
        "multiply sum reshape",
    ),
    "moved batch column": Row(
        lambda x, y: ops.transpose(x, (1, 0, 2)) @ y,
        "baj,jk->abk",
        ((3, 2, 4), (4, 1)),
        "transpose reshape multiply sum",
    ),
    "no terms": Row(product, "ij,jk->ik", ((4, 0), (0, 1)), "reshape multiply sum"),
    "no rows": Row(product, "ij,jk->ik", ((0, 3), (3, 1)), "reshape multiply sum"),
    "a sum of single terms": Row(
        lambda x: ops.sum(x, 1), "ij->i", ((4, 1),), "reshape"
    ),
}

LEFT = {
    "a product": Row(product, "ij,jk->ik", ((4, 3), (3, 5)), "matmul"),
    "of a transpose": Row(
        lambda x, y: x.T @ y, "ji,jk->ik", ((3, 4), (3, 5)), "transpose matmul"
    ),
    "with other axes moved": Row(
        lambda x, y: ops.transpose(x @ y, (1, 0, 2)),
        "aij,ajk->iak",
        ((2, 4, 3), (2, 3, 5)),
        "matmul transpose",
    ),
}
ROWS = {**TURNED, **THIN, **LEFT}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_products(row, dtype, rng):
    args = [rng.standard_normal(shape) for shape in row.shapes]
    expected = np.einsum(row.subscripts, *args)
    args = [a.astype(dtype) for a in args]
    graph = simplified(orient_products, row.function, *args)
    assert names(graph) == row.left.split()
    (found,) = run(graph, *args)
    assert found.dtype == dtype
    # Five terms at most, each below 10, rounded as operand and as product.
    atol = 5 * 10 * 3 * np.finfo(dtype).eps
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


@pytest.mark.parametrize(
    "shapes", [((1, 3), (3, 4)), ((4, 3), (3, 1)), ((3, 1), (1, 2))]
)
def test_products_of_integers_are_left(shapes):
    x, y = (np.arange(np.prod(shape)).reshape(shape) for shape in shapes)
    graph = simplified(orient_products, product, x, y)
    assert names(graph) == ["matmul"]
    np.testing.assert_array_equal(run(graph, x, y)[0], np.einsum("ij,jk->ik", x, y))


@pytest.mark.parametrize("other", [lambda z: z, lambda z: z * 2.0])
def test_a_product_with_another_reader_is_not_turned(other, rng):
    x, y = rng.standard_normal((4, 3)), rng.standard_normal((3, 5))

    def function(x, y):
        z = x @ y
        return other(z), z.T

    graph = simplified(orient_products, function, x, y)
    assert names(graph).count("matmul") == names(graph).count("transpose") == 1
    np.testing.assert_allclose(run(graph, x, y)[1], np.einsum("ij,jk->ki", x, y))


def test_a_layers_gradient_is_made_in_the_layout_of_its_weight(rng):
    x, weight = rng.standard_normal((6, 3)), rng.standard_normal((4, 3))

    def loss(weight):
        return ops.sum(ops.tanh(x @ weight.T))

    graph = simplified(orient_products, skgrad.grad(loss), weight)
    last = graph.equations[-1]
    assert last.primitive.name == "matmul"
    assert last.outputs == graph.outputs
    slope = (1 - np.tanh(x @ weight.T) ** 2).T @ x
    np.testing.assert_allclose(run(graph, weight)[0], slope, rtol=1e-13)


def test_nothing_strided_is_read_for_a_linear_models_gradient(rng):
    """Both products go over x as it lies in memory."""
    x, y, w = (rng.standard_normal(shape) for shape in ((50, 3), 50, 3))

    def loss(w, x, y):
        return ops.sum(ops.square(x @ w - y)) * 0.5

    graph = simplified(orient_products, skgrad.grad(loss), w, x, y)
    assert {"matmul", "transpose"}.isdisjoint(names(graph))
    (slope,) = run(graph, w, x, y)
    np.testing.assert_allclose(slope, x.T @ (x @ w - y), rtol=1e-12)
