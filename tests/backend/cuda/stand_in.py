"""A stand-in for CuPy on two devices, over NumPy: what CuPy refuses, it refuses.

Its arrays are no NumPy arrays, and neither becomes the other in silence. Functions have
CuPy's arguments, take arrays of the current device, Python's numbers and NumPy's
scalars, and return arrays, never scalars. Where CuPy's results differ from NumPy's
(positions out of range, the largest among several NaN), so do these.
"""

import itertools
import operator
import threading
from types import ModuleType, SimpleNamespace

import numpy as np
import scipy.special

N_DEVICES = 2
_local = threading.local()


def _stack():
    if not hasattr(_local, "stack"):
        _local.stack = [0]
    return _local.stack


class Device:
    def __init__(self, number):
        assert 0 <= number < N_DEVICES
        self.id = number

    def __enter__(self):
        _stack().append(self.id)
        return self

    def __exit__(self, *args):
        _stack().pop()


class ndarray:  # noqa: N801 - CuPy's name
    """An array on a device; everything but its shape needs that device to be current.

    NumPy's ufuncs and functions refuse it; its operators work with NumPy's scalars.
    """

    __module__ = "cupy"
    __array_ufunc__ = None
    __hash__ = None

    def __init__(self, data, number=None):
        self._data = np.asarray(data)
        self.device = Device(_stack()[-1] if number is None else number)

    shape = property(lambda self: self._data.shape)
    dtype = property(lambda self: self._data.dtype)
    ndim = property(lambda self: self._data.ndim)
    size = property(lambda self: self._data.size)
    strides = property(lambda self: self._data.strides)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __array_function__(self, func, types, args, kwargs):
        raise TypeError(f"{func.__name__} of NumPy was called with an array of CuPy.")

    def get(self):
        return _checked(self).copy()

    def item(self):
        return self.get().item()

    def tolist(self):
        return self.get().tolist()

    def __bool__(self):
        return bool(self.get())

    def __int__(self):
        return int(self.get())

    def __float__(self):
        return float(self.get())

    def __index__(self):
        return operator.index(self.get())

    def __len__(self):
        return len(self._data)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        return f"stand-in for {self._data!r}"

    def __getitem__(self, index):
        return ndarray(_checked(self)[_unwrapped(index)])

    def __setitem__(self, index, value):
        _checked(self)[_unwrapped(index)] = _unwrapped(value)


def _checked(array):
    """Return the elements of an array on the current device."""
    if array.device.id != _stack()[-1]:
        raise ValueError(
            f"The device where the array resides ({array.device.id}) is different from "
            f"the current device ({_stack()[-1]})."
        )
    return array._data


def _unwrapped(x):
    if isinstance(x, ndarray):
        return _checked(x)
    if isinstance(x, tuple | list):
        return type(x)(map(_unwrapped, x))
    if x is None or x is Ellipsis or isinstance(x, slice | range | str | type):
        return x
    if isinstance(x, bool | int | float | np.generic | np.dtype):
        return x
    raise TypeError(f"Unsupported type {type(x)}")


def _wrapped(out):
    return type(out)(map(_wrapped, out)) if isinstance(out, tuple) else ndarray(out)


def _function(function, allowed=()):
    """Return a function of NumPy's as one of the arrays here."""

    def call(*args, **kwargs):
        assert set(kwargs) <= set(allowed), (function.__name__, kwargs)
        with np.errstate(all="ignore"):
            kwargs = {name: _unwrapped(value) for name, value in kwargs.items()}
            return _wrapped(function(*map(_unwrapped, args), **kwargs))

    return call


def _method(name, allowed=()):
    return _function(lambda x, *args, **kw: getattr(x, name)(*args, **kw), allowed)


for _name in ("astype", "reshape", "transpose", "nonzero"):
    setattr(ndarray, _name, _method(_name))
for _name in ("min", "max", "any", "all", "sum"):
    setattr(ndarray, _name, _method(_name, ("axis", "keepdims")))

_BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.true_divide,
    "pow": np.power,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "rshift": np.right_shift,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}


def _in_place(ufunc):
    def operate(self, other):
        ufunc(_checked(self), _unwrapped(other), out=self._data)
        return self

    return operate


for _name, _ufunc in _BINARY.items():
    setattr(ndarray, f"__{_name}__", _function(_ufunc))
    setattr(ndarray, f"__r{_name}__", _function(lambda x, y, f=_ufunc: f(y, x)))
    setattr(ndarray, f"__i{_name}__", _in_place(_ufunc))
for _name, _ufunc in {"neg": np.negative, "invert": np.invert}.items():
    setattr(ndarray, f"__{_name}__", _function(_ufunc))


# --- the module -------------------------------------------------------------------

_UFUNCS = (
    *("exp", "expm1", "log", "log1p", "sqrt", "absolute", "sign", "floor", "sin"),
    *("cos", "tanh", "power", "maximum", "minimum", "equal", "not_equal", "less"),
    *("less_equal", "greater", "greater_equal", "logical_and", "logical_or"),
    *("logical_not", "isnan", "isfinite", "logaddexp"),
)
# With the keywords that both have.
_FUNCTIONS = {
    "sum": ("axis", "keepdims"),
    "max": ("axis", "keepdims"),
    "prod": ("axis", "keepdims"),
    "cumsum": ("axis",),
    "flip": ("axis",),
    "matmul": (),
    "swapaxes": (),
    "moveaxis": (),
    "broadcast_to": (),
    "broadcast_arrays": (),
    "stack": ("axis",),
    "concatenate": ("axis",),
    "arange": ("dtype",),
    "zeros": ("dtype",),
    "where": (),
    "searchsorted": ("side",),
    "ascontiguousarray": (),
}


def _array(data, dtype=None, blocking=False):
    data = data.get() if isinstance(data, ndarray) else data
    return ndarray(np.array(data, dtype=dtype))


def _asarray(data):
    return data if isinstance(data, ndarray) else _array(data)


def _argsort(x, axis=-1, kind=None):
    assert kind in (None, "stable")
    return np.argsort(x, axis=axis, kind="stable")


def _take(x, indices, axis=None):
    return np.take(x, indices, axis=axis, mode="wrap")


def _last_largest(x, axis=None):
    if x.dtype.kind != "f":
        return np.argmax(x, axis=axis)
    last = x.shape[axis] - 1 - np.argmax(np.flip(np.isnan(x), axis), axis=axis)
    return np.where(np.isnan(x).any(axis=axis), last, np.argmax(x, axis=axis))


class ElementwiseKernel:
    """Of the kernels of the backend, what they compute."""

    def __init__(self, in_params, out_params, operation, name):
        self.compute = {"skgrad_add_runs": _add_runs}[name]

    def __call__(self, *args):
        self.compute(*map(_unwrapped, args))


def _add_runs(x, order, starts, width, out):
    assert order.dtype == starts.dtype == np.int64
    x, out = x.reshape(-1, width), out.reshape(-1, width)
    for row, (start, stop) in enumerate(itertools.pairwise(starts)):
        for k in range(start, stop):
            out[row] += x[order[k]]


class CUDARuntimeError(RuntimeError):
    """What CuPy raises where there is no driver."""


def _modules():
    cupy = ModuleType("cupy")
    for name in _UFUNCS:
        setattr(cupy, name, _function(getattr(np, name)))
    for name, allowed in _FUNCTIONS.items():
        setattr(cupy, name, _function(getattr(np, name), allowed))
    cupy.argsort = _function(_argsort, ("axis", "kind"))
    cupy.take = _function(_take, ("axis",))
    cupy.argmax = _function(_last_largest, ("axis",))
    cupy.array, cupy.asarray, cupy.ndarray = _array, _asarray, ndarray
    cupy.ElementwiseKernel = ElementwiseKernel
    as_strided = _function(np.lib.stride_tricks.as_strided)
    cupy.lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=as_strided))
    runtime = SimpleNamespace(
        getDeviceCount=lambda: N_DEVICES, CUDARuntimeError=CUDARuntimeError
    )
    cupy.cuda = SimpleNamespace(Device=Device, runtime=runtime)
    cupyx, cupyx_scipy = ModuleType("cupyx"), ModuleType("cupyx.scipy")
    special = ModuleType("cupyx.scipy.special")
    special.expit, special.erf = map(
        _function, (scipy.special.expit, scipy.special.erf)
    )
    cupyx_scipy.special = special
    return {
        "cupy": cupy,
        "cupyx": cupyx,
        "cupyx.scipy": cupyx_scipy,
        "cupyx.scipy.special": special,
    }


MODULES = _modules()
