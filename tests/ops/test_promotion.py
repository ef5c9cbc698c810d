"""Which dtypes meet, which adapt, and what the errors say."""

import numpy as np
import pytest

import skgrad
from skgrad import ops
from skgrad.exceptions import DTypeError, ShapeError, SkgradError

F32, F64 = np.ones(3, np.float32), np.ones(3)
I8, I64, BOOL = np.ones(3, np.int8), np.ones(3, np.int64), np.ones(3, bool)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (F32, 2.0, "float32"),
        (F32, 2, "float32"),
        (F32, True, "float32"),
        (F32, np.float64(2.0), "float32"),
        (F32, np.int64(2), "float32"),
        (F32, I64, "float32"),
        (F32, BOOL, "float32"),
        (F64, I8, "float64"),
        (F64, np.float32(1.0), "float64"),
        (I64, 2.0, "float64"),
        (I8, 2, "int8"),
        (I8, I64, "int64"),
        (BOOL, BOOL, "int64"),
        (BOOL, 1, "int64"),
        (BOOL, 1.0, "float64"),
        (1, 2, "int64"),
        (1.0, 2, "float64"),
        (np.float32(1.0), 2.0, "float64"),
    ],
)
def test_dtype_of_a_sum(x, y, expected):
    assert ops.add(x, y).dtype == expected
    assert ops.add(y, x).dtype == expected


def test_scalars_keep_their_precision_until_they_meet_the_array():
    out = ops.multiply(F32, 0.1)
    np.testing.assert_array_equal(out.numpy(), F32 * np.float32(0.1))


@pytest.mark.parametrize("zero_d", [False, True])
def test_two_floating_dtypes_never_meet(zero_d):
    other = np.array(1.0) if zero_d else F64
    shape = r"\[\]" if zero_d else r"\[3\]"
    for combine in (ops.add, ops.maximum, ops.power, ops.less):
        with pytest.raises(DTypeError) as caught:
            combine(F32, other)
        assert caught.match(combine.__name__)
        assert caught.match(rf"float32\[3\], float64{shape}")
        assert caught.match("convert")
    with pytest.raises(DTypeError, match="where"):
        ops.where(BOOL, F32, other)
    with pytest.raises(DTypeError, match="concatenate"):
        ops.concatenate([F32, F64])
    with pytest.raises(DTypeError, match="matmul"):
        ops.matmul(F32, F64)
    with pytest.raises(DTypeError, match="pack"):
        ops.pack([F32, other])


@pytest.mark.parametrize(
    "bad", ["text", None, 1j, np.complex128(1), np.array(["a"]), object(), np.str_("1")]
)
def test_what_is_no_number_is_refused(bad):
    for call in (lambda: ops.add(F64, bad), lambda: ops.exp(bad)):
        with pytest.raises(DTypeError):
            call()


def test_half_precision_arrays_are_refused():
    with pytest.raises(DTypeError, match="float16"):
        ops.exp(np.ones(2, np.float16))


def test_integers_become_float64_where_only_floats_make_sense():
    for function in (ops.exp, ops.sqrt, ops.sigmoid, ops.floor):
        assert function(I64).dtype == np.float64
        assert function(BOOL).dtype == np.float64
    assert ops.divide(I64, I64).dtype == np.float64
    assert ops.square(I64).dtype == np.int64
    assert ops.negative(BOOL).dtype == np.int64


def test_gradients_flow_through_mixed_integers():
    x = skgrad.tensor(F32, requires_grad=True)
    (x * I64 * 2).sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.numpy(), [2, 2, 2])


def test_shape_errors_name_operation_and_shapes():
    with pytest.raises(ShapeError) as caught:
        ops.multiply(np.ones((2, 3)), np.ones((4,)))
    for part in ("multiply", r"\(2, 3\)", r"\(4,\)"):
        assert caught.match(part)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, SkgradError)


def test_results_share_no_memory_with_an_array_that_can_be_written_to():
    a = np.ones((2, 2))
    made = [
        ops.reshape(a, (4,)),
        ops.transpose(a),
        ops.broadcast_to(a, (3, 2, 2)),
        ops.getitem(a, 0),
        ops.astype(a, "float64"),
        ops.reshape(a[:, 0], (2,)),
        *ops.unpack(a[0], [(1,), (1,)]),
        *ops.promotion.operands("add", (a, a.T), "number"),
    ]
    for out in made:
        assert not np.shares_memory(out._data, a)
    a[:] = 9.0
    assert all((out._data == 1.0).all() for out in made)


def test_a_read_only_array_is_not_copied():
    a = np.ones(3)
    a.flags.writeable = False
    assert ops.promotion.as_value(a)._data is a


def test_conditions_must_be_bool():
    with pytest.raises(DTypeError, match="x != 0"):
        ops.where(F64, 1.0, 2.0)


def test_keywords_and_wrong_counts_of_arguments():
    assert ops.subtract(y=1.0, x=3.0).item() == 2.0
    with pytest.raises(TypeError):
        ops.subtract(1.0)
    with pytest.raises(TypeError):
        ops.exp(1.0, 2.0)


def test_astype():
    x = skgrad.tensor(F32, requires_grad=True)
    assert ops.astype(x, "float32") is x
    (ops.astype(x, np.float64) * [1.0, 2.0, 4.0]).sum().backward()
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.numpy(), [1.0, 2.0, 4.0])
    with pytest.raises(DTypeError, match="complex"):
        ops.astype(x, complex)
    with pytest.raises(DTypeError, match="not a dtype"):
        ops.astype(x, "nonsense")
    assert not ops.astype(x, "int32").requires_grad


def test_every_supported_dtype_can_be_converted_to_every_other():
    names = sorted(dtype.name for dtype in ops.promotion._DTYPES)
    for source in names:
        for target in names:
            out = ops.astype(np.array([0, 1], dtype=source), target)
            assert out.dtype == target
            assert out.numpy().tolist() == [0, 1]
