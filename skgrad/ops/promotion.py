"""From arguments to operands: values of one dtype, or a typed error.

The rule, once for all operations: Python and NumPy *scalars* adapt to the arrays
beside them; bool and integer arrays adapt to a floating one; two different floating
dtypes never meet silently. And of devices: what is no tensor yet, scalars, lists and
NumPy arrays, goes to the device of the tensors beside it; two tensors on different
devices never meet silently.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skgrad.backend.base import backend_of, device_of
from skgrad.core.interpreter import Eager, current
from skgrad.core.primitive import Abstract, Primitive, register
from skgrad.core.value import Value, box, constant
from skgrad.exceptions import DTypeError
from skgrad.typing import ArrayLike, DTypeLike

__all__ = ["as_value", "astype", "operands"]

# np.str_ and its like are left to `as_value`, which refuses them.
_READY = (Value, bool, int, float, np.bool_, np.number)
_DTYPES = frozenset(
    np.dtype(name)
    for name in (
        *("bool", "float32", "float64"),
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    )
)


def checked_dtype(dtype: Any, what: str) -> np.dtype[Any]:
    """Return a NumPy dtype the engine computes with, or raise DTypeError."""
    try:
        found: np.dtype[Any] = np.dtype(dtype)
    except TypeError as error:
        raise DTypeError(f"{what}: {dtype!r} is not a dtype.") from error
    if found not in _DTYPES:
        raise DTypeError(
            f"{what}: dtype {found} is not supported. Use float32, float64, an integer "
            "dtype or bool (text and categories must be encoded as numbers first)."
        )
    return found


def same_dtype(name: str, *xs: Any) -> np.dtype[Any]:
    """Return the dtype the operands of a primitive share, or raise DTypeError."""
    dtype: np.dtype[Any] = xs[0].dtype
    if any(x.dtype != dtype for x in xs):
        shown = ", ".join(f"{x.dtype}{list(x.shape)}" for x in xs)
        raise DTypeError(f"{name}: operands of different dtypes ({shown}).")
    return dtype


def as_value(x: ArrayLike, name: str = "tensor") -> Any:
    """Return ``x`` as a value; an array that its owner may write to is copied.

    A gradient is computed later, from what the operands were. Internal code that has
    just made an array boxes it instead. A trace copies its constants itself, each
    array once: it must recognise them.
    """
    if isinstance(x, Value):
        return x
    safe = isinstance(x, np.ndarray) and not (
        x.flags.writeable and isinstance(current(), Eager)
    )
    if device_of(x) in (None, "cpu"):
        data = np.asarray(x) if safe else np.array(x)
        checked_dtype(data.dtype, name)
        return constant(data)
    checked_dtype(x.dtype, name)
    return box(backend_of(x).array(x))


def beside(value: Value, array: np.ndarray[Any, Any]) -> Any:
    """Return a new array as a value on the device of another, or under its trace."""
    if value.is_traced or value.is_constant:
        return constant(array)
    return box(backend_of(value._data).array(array))


def operands(name: str, args: Sequence[ArrayLike], kind: str) -> list[Any]:
    """Return the arguments of an elementwise operation as values of one dtype.

    ``kind`` is ``"number"`` (bool becomes int64), ``"float"`` (bool and integers
    become float64 when no float is present) or ``"any"``.
    """
    values = [x if isinstance(x, _READY) else as_value(x, name) for x in args]
    dtype = _common(name, values, kind)
    return [_cast(x, dtype) for x in values]


def _common(name: str, values: Sequence[Any], kind: str) -> np.dtype[Any]:
    found = {x._data.dtype for x in values if isinstance(x, Value)}
    floats = [d for d in found if d.kind == "f"]
    if len(floats) > 1:
        shapes = ", ".join(
            f"{x.dtype}{list(x.shape)}" for x in values if isinstance(x, Value)
        )
        raise DTypeError(
            f"{name}: operands have different floating dtypes ({shapes}). skgrad never "
            "changes a dtype silently; convert one of them, for example with "
            "x.to(dtype='float64')."
        )
    if floats:
        dtype: np.dtype[Any] = floats[0]
        return dtype
    scalars = [_scalar_dtype(name, x) for x in values if not isinstance(x, Value)]
    if any(d.kind == "f" for d in scalars):
        return np.dtype("float64")
    # Integer scalars adapt to integer arrays; alone, or beside bool, they are int64.
    strong = found or set(scalars)
    dtype = np.result_type(*strong)
    if dtype.kind == "b" and any(d.kind != "b" for d in scalars):
        dtype = np.dtype("int64")
    if kind == "float":
        return np.dtype("float64")
    if kind == "number" and dtype.kind == "b":
        return np.dtype("int64")
    return dtype


def _scalar_dtype(name: str, x: Any) -> np.dtype[Any]:
    return checked_dtype(np.asarray(x).dtype, name)


def _cast(x: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(x, Value):
        if x.dtype == dtype:
            return x
        return astype(x, dtype)
    if isinstance(x, np.complexfloating):
        raise DTypeError(f"Complex numbers are not supported. Got {x!r}.")
    return constant(np.asarray(x, dtype=dtype))


# --- conversion -------------------------------------------------------------------

astype_p = register(
    Primitive(
        "astype",
        lambda x, dtype: Abstract(x.shape, np.dtype(dtype)),
        (lambda g, out, x, dtype: astype(g, x.dtype),),
        lambda dtype: f"cast({{0}}, {dtype})",
    )
)


def astype(x: ArrayLike, dtype: DTypeLike) -> Any:
    """Return x converted to a dtype; derivatives are converted back.

    Parameters
    ----------
    x : tensor or array
        What to convert.
    dtype : dtype
        The target.

    Returns
    -------
    Tensor
        Of the same shape; ``x`` itself if it has the dtype already.

    Raises
    ------
    DTypeError
        If the engine does not compute with that dtype.

    Examples
    --------
    >>> from skgrad import ops
    >>> ops.astype([1.5, 2.5], "float32").dtype
    dtype('float32')
    """
    value: Value = as_value(x, "astype")
    target = checked_dtype(dtype, "astype")
    if value.dtype == target:
        return value
    return astype_p.bind(value, dtype=target.name)
