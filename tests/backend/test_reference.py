"""The NumPy backend: expressions keep dtypes, instructions are pure."""

import numpy as np
import pytest

from skgrad.backend.reference import NUMPY
from skgrad.core.primitive import registered

EXPRESSIONS = {
    name: primitive.expression()
    for name, primitive in registered().items()
    if primitive.expression is not None and name != "astype"
}


@pytest.mark.parametrize("name", EXPRESSIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_expressions_compute_in_the_dtype_of_their_operands(name, dtype):
    expression = EXPRESSIONS[name]
    n = sum(f"{{{i}}}" in expression for i in range(4))
    args = [np.full(3, 0.5, dtype=dtype) for _ in range(n)]
    if name == "where":
        args[0] = args[0] > 0
    out = NUMPY.elementwise(expression, n)(*args)
    assert out.dtype in (np.dtype(dtype), np.dtype(bool))
    assert out.shape == (3,)


def test_functions_are_made_once():
    assert NUMPY.elementwise("({0} + {1})", 2) is NUMPY.elementwise("({0} + {1})", 2)
    assert NUMPY.instruction("sum") is NUMPY.instruction("sum")


def test_reverse_cumulative_sums():
    cumsum = NUMPY.instruction("cumsum")
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(
        cumsum(x, axis=-1, reverse=True), [[3, 3, 2], [12, 9, 5]]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scalar", [0.0, -0.0, 2.0])
def test_numbers_in_the_place_of_some_leave_the_others_as_they_are(scalar, dtype):
    where = NUMPY.elementwise("where({0}, {1}, {2})", 3)
    y = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-40, 3.0], dtype=dtype)
    x = np.array(scalar, dtype=dtype)
    for c in (y == y, y < 1, np.zeros(6, dtype=bool)):
        found = where(c, x, y)
        expected = np.array([x if k else v for k, v in zip(c, y, strict=True)])
        assert found.tobytes() == expected.tobytes()
    columns = np.stack([y, y])[:, ::2]  # not contiguous, and a broadcast condition
    np.testing.assert_array_equal(
        where(np.array([True, False, True]), x, columns)[:, 1], y[2]
    )


def test_a_gather_out_of_range_shows_the_positions():
    with pytest.raises(IndexError, match=r"from -1 to 3 are out .* of extent 3"):
        NUMPY.instruction("take")(np.zeros((2, 3)), np.array([3, -1]), axis=-1)
