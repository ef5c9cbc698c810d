"""Tensor: a value with operators. No formula lives here."""

from __future__ import annotations

import inspect
import operator
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from skgrad import ops
from skgrad.backend.base import backend_of, device_of, get_backend
from skgrad.core.graph import Node, backward, leaf_node
from skgrad.core.interpreter import concrete, is_recording, other_device, recording
from skgrad.core.primitive import Abstract, Primitive
from skgrad.core.value import Value, box, register_box
from skgrad.exceptions import DeviceError, DTypeError, GradientError, ShapeError
from skgrad.ops.promotion import as_value, checked_dtype
from skgrad.typing import ArrayLike, Axes, DTypeLike

__all__ = ["Tensor", "tensor"]

# NumPy functions that may be called on tensors: our function, and how many positional
# arguments mean the same in both.
_NUMPY_FUNCTIONS: dict[Any, tuple[Any, int]] = {
    np.sum: (ops.sum, 2),
    np.max: (ops.max, 2),
    np.amax: (ops.max, 2),
    np.min: (ops.min, 2),
    np.amin: (ops.min, 2),
    np.prod: (ops.prod, 2),
    np.cumsum: (ops.cumsum, 2),
    np.argmax: (ops.argmax, 2),
    np.argsort: (ops.argsort, 2),
    np.take: (ops.take, 3),
    np.where: (ops.where, 3),
    np.clip: (ops.clip, 3),
    np.reshape: (ops.reshape, 2),
    np.transpose: (ops.transpose, 2),
    np.swapaxes: (ops.swapaxes, 3),
    np.broadcast_to: (ops.broadcast_to, 2),
    np.expand_dims: (ops.expand_dims, 2),
    np.squeeze: (ops.squeeze, 2),
    np.concatenate: (ops.concatenate, 2),
}
_FLATTENING = (np.cumsum, np.argmax, np.take)  # without an axis


def register_numpy(counterparts: dict[Any, tuple[Any, int]]) -> None:
    """Add to the NumPy functions that may be called on tensors."""
    _NUMPY_FUNCTIONS.update(counterparts)


@register_box
class Tensor(Value):
    """An n-dimensional array that records the gradient of what is done with it.

    Make one with :func:`skgrad.tensor`. NumPy's operators, comparisons and indexing
    work, and so do NumPy functions that skgrad has under the same name
    (``np.exp(t)``). Python and NumPy scalars take the tensor's dtype; two arrays of
    different floating dtypes raise ``DTypeError``. Numbers, lists and NumPy arrays
    follow the tensor to its device; two tensors on different devices raise
    ``DeviceError``.

    Examples
    --------
    >>> import skgrad
    >>> x = skgrad.tensor([1.0, 2.0], requires_grad=True)
    >>> (x**2).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ()
    __hash__ = object.__hash__

    # --- the gradient -------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are recorded for this tensor; settable on leaves."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._node is not None and self._node.primitive is not None:
            raise GradientError(
                "requires_grad can be set on leaves only; this tensor was computed by "
                f"{self._node.primitive.name}. Use detach() to cut it off."
            )
        if value and self.dtype.kind != "f":
            raise GradientError(
                f"Only floating tensors have gradients. Got dtype {self.dtype}; "
                "convert with x.to(dtype='float64')."
            )
        if value != self.requires_grad:
            self._node = leaf_node() if value else None
            self._index = 0  # a constant stays where it is now

    @property
    def is_leaf(self) -> bool:
        """Whether the tensor was made by the user and not computed."""
        return self._node is None or self._node.primitive is None

    @property
    def grad(self) -> Tensor | None:
        """Gradients accumulated by ``backward`` since the last ``zero_grad``."""
        if self._node is None or not self.is_leaf:
            return None
        grad: Tensor | None = self._node.grad
        return grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if self._node is None or not self.is_leaf:
            raise GradientError("grad can be set on leaves with requires_grad only.")
        self._node.grad = value

    def zero_grad(self) -> None:
        """Forget the accumulated gradient."""
        if self._node is not None and self.is_leaf:
            self._node.grad = None

    def backward(self, gradient: ArrayLike = None) -> None:
        """Add the gradient of this tensor to ``.grad`` of every leaf it depends on.

        Parameters
        ----------
        gradient : array of the tensor's shape, optional
            The cotangent to start with; 1 for a scalar.

        Raises
        ------
        GradientError
            If nothing was recorded, or the tensor is no scalar and ``gradient`` is
            missing.
        ShapeError
            If ``gradient`` has another shape.
        DeviceError
            If ``gradient`` is a tensor on another device.

        Warns
        -----
        RuntimeWarning
            If a gradient is added to one that an optimizer has used for a step
            already: a forgotten ``zero_grad``.
        """
        if self._node is None:
            raise GradientError(
                "backward() needs a tensor that depends on one with requires_grad=True."
                " Nothing was recorded for this one (or it was computed under no_grad)."
            )
        start = self._cotangent(gradient)
        n_spent = 0
        with recording(False):
            for node, found in backward([self], [start]).items():
                # A tensor of its own: leaves may share `found`, but not later changes.
                own = box(found._data)
                n_spent += node.grad is not None and node.spent
                node.grad = own if node.grad is None else ops.add(node.grad, own)
                node.spent = False
        if n_spent:
            warnings.warn(
                f"backward() adds to {n_spent} gradient(s) that optimizer.step() has "
                "used already: the next step takes old and new ones together. Call "
                "optimizer.zero_grad() between step() and backward().",
                RuntimeWarning,
                stacklevel=2,
            )

    def spend_grad(self) -> None:
        """Note that ``.grad`` has served a step: nothing should be added to it.

        Optimizers call it; a step written by hand may, to have a forgotten
        ``zero_grad`` reported by the next ``backward``.
        """
        if self._node is not None:
            self._node.spent = True

    def _cotangent(self, gradient: ArrayLike) -> Any:
        if gradient is None:
            if self.size != 1:
                raise GradientError(
                    "backward() without an argument needs a scalar. This tensor has "
                    f"shape {self.shape}: reduce it with .mean() or .sum(), or pass "
                    "the cotangent as backward(gradient)."
                )
            ones = np.ones(self.shape, dtype=self.dtype)
            return tensor(ones, device=self.device)
        start = tensor(gradient, dtype=self.dtype, device=_own_device(gradient, self))
        if start.device != self.device:
            raise other_device("backward", (start, self))
        if start.shape != self.shape:
            raise ShapeError(
                f"backward: gradient has shape {start.shape}, the tensor {self.shape}."
            )
        return start

    def detach(self) -> Tensor:
        """Return the same elements without the recorded history."""
        return Tensor(self._data)

    # --- conversion ---------------------------------------------------------------

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return the elements as a read-only NumPy array.

        A view, to be copied before it is changed; of a tensor on a GPU a copy.
        """
        view = self._host("numpy()").view()
        view.flags.writeable = False
        return view

    def item(self) -> Any:
        """Return the only element as a Python number."""
        if self.size != 1:
            raise ShapeError(f"item() needs exactly one element. Got {self.shape}.")
        return self._host("item()").item()

    def _host(self, what: str) -> np.ndarray[Any, Any]:
        """Return the elements in a NumPy array; ``what`` asks for them."""
        data = concrete(self, what)
        return backend_of(data).host(data)

    def to(self, device: str | None = None, dtype: DTypeLike = None) -> Tensor:
        """Return the tensor on another device or in another dtype.

        Gradients flow back to the device they came from.

        Parameters
        ----------
        device : str, optional
            ``"cpu"``, ``"cuda"`` (the first GPU) or ``"cuda:1"``.
        dtype : dtype, optional
            The target.

        Returns
        -------
        Tensor
            The tensor itself where nothing changes.

        Raises
        ------
        DeviceError
            If the device is unknown or not usable here, or the tensor is traced: a
            trace computes on one device.
        DTypeError
            If the engine does not compute with the dtype.
        """
        out: Tensor = self if dtype is None else ops.astype(self, dtype)
        target = out.device if device is None else get_backend(device).device
        return out if target == out.device else _moved(out, target)

    def assign_(self, values: ArrayLike) -> Tensor:
        """Replace the elements of a leaf; gradients recorded before stay right.

        Parameters
        ----------
        values : tensor or array
            New elements, of the same shape and dtype.

        Returns
        -------
        Tensor
            The tensor itself.

        Raises
        ------
        GradientError
            If the tensor is not a leaf.
        ShapeError, DTypeError, DeviceError
            If shape, dtype or device differ.
        """
        new = as_value(values, "assign_")
        if not self.is_leaf:
            raise GradientError("assign_ works on leaves only.")
        if new.shape != self.shape:
            raise ShapeError(f"assign_: shape {new.shape} into shape {self.shape}.")
        if new.dtype != self.dtype:
            raise DTypeError(f"assign_: dtype {new.dtype} into dtype {self.dtype}.")
        if new.is_traced or self.is_traced:
            self._data = new._data
        elif new.is_constant:
            self._data = backend_of(self._data).array(new._data)
        elif new.device == self.device:
            self._data = new._data
        else:
            raise other_device("assign_", (self, new))
        return self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        what = "Conversion to a NumPy array"
        data = concrete(self, what)
        if not isinstance(data, np.ndarray):
            raise DeviceError(
                f"{what} of a tensor on {self.device!r} is never silent. Copy its "
                "elements with x.numpy()."
            )
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __float__(self) -> float:
        return float(self._host("float()").item())

    def __int__(self) -> int:
        return int(self._host("int()").item())

    def __index__(self) -> int:
        return operator.index(self._host("Use as an index").item())

    def __bool__(self) -> bool:
        return bool(self._host("if, while, and, or, not (bool())"))

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, item: Any) -> bool:
        return bool((self._host("in") == item).any())

    def __repr__(self) -> str:
        if self.is_traced:
            return f"tensor(traced, shape={self.shape}, dtype={self.dtype})"
        text = np.array2string(self.numpy(), separator=", ", prefix="tensor(")
        if self.dtype.name not in ("float64", "int64", "bool"):
            text += f", dtype={self.dtype.name}"
        if self.device != "cpu":
            text += f", device={self.device!r}"
        return f"tensor({text}{', requires_grad=True' if self.requires_grad else ''})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __reduce__(self) -> Any:
        data = np.array(self._host("pickle"))
        return _rebuild, (type(self), data, self.requires_grad, self.device)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        rebuild, args = self.__reduce__()
        copied: Tensor = rebuild(*args)
        memo[id(self)] = copied
        return copied

    # --- NumPy's functions --------------------------------------------------------

    def __array_ufunc__(
        self, ufunc: Any, method: str, *args: Any, **kwargs: Any
    ) -> Any:
        name = ufunc.__name__
        function: Any = _BITWISE.get(name) or getattr(ops, name, None)
        if method != "__call__" or function is None or kwargs:
            raise TypeError(_no_counterpart(f"np.{name}"))
        if name in _COMPARISONS:
            # NumPy hands its scalars over as 0-d arrays, in comparisons only.
            args = tuple(a[()] if isinstance(a, np.ndarray) else a for a in args)
        return function(*args)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        function, n_shared = _NUMPY_FUNCTIONS.get(func, (None, 0))
        known = function and set(kwargs) <= set(inspect.signature(function).parameters)
        if not known or len(args) > n_shared:
            raise TypeError(_no_counterpart(f"np.{func.__name__}"))
        axis = args[n_shared - 1] if len(args) == n_shared else kwargs.get("axis")
        if func in _FLATTENING and axis is None:
            kwargs.pop("axis", None)
            return function(ops.reshape(args[0], -1), *args[1 : n_shared - 1], **kwargs)
        return function(*args, **kwargs)

    # --- operators ----------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        return ops.add(self, other)

    def __radd__(self, other: Any) -> Any:
        return ops.add(other, self)

    def __sub__(self, other: Any) -> Any:
        return ops.subtract(self, other)

    def __rsub__(self, other: Any) -> Any:
        return ops.subtract(other, self)

    def __mul__(self, other: Any) -> Any:
        return ops.multiply(self, other)

    def __rmul__(self, other: Any) -> Any:
        return ops.multiply(other, self)

    def __truediv__(self, other: Any) -> Any:
        return ops.divide(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return ops.divide(other, self)

    def __pow__(self, other: Any) -> Any:
        if isinstance(other, int | float) and other == 2 and self.dtype.kind == "f":
            return ops.square(self)
        return ops.power(self, other)

    def __rpow__(self, other: Any) -> Any:
        return ops.power(other, self)

    def __matmul__(self, other: Any) -> Any:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return ops.matmul(other, self)

    def __neg__(self) -> Any:
        return ops.negative(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return ops.absolute(self)

    def __eq__(self, other: Any) -> Any:
        return ops.equal(self, other)

    def __ne__(self, other: Any) -> Any:
        return ops.not_equal(self, other)

    def __lt__(self, other: Any) -> Any:
        return ops.less(self, other)

    def __le__(self, other: Any) -> Any:
        return ops.less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return ops.greater(self, other)

    def __ge__(self, other: Any) -> Any:
        return ops.greater_equal(self, other)

    def __and__(self, other: Any) -> Any:
        return _and(self, other)

    def __rand__(self, other: Any) -> Any:
        return _and(other, self)

    def __or__(self, other: Any) -> Any:
        return _or(self, other)

    def __ror__(self, other: Any) -> Any:
        return _or(other, self)

    def __invert__(self) -> Any:
        return _not(self)

    def __getitem__(self, index: Any) -> Any:
        return ops.getitem(self, index)

    # --- methods ------------------------------------------------------------------

    @property
    def T(self) -> Any:  # noqa: N802 - NumPy's name
        """The transpose: all axes reversed."""
        return ops.transpose(self)

    def sum(self, axis: Axes = None, keepdims: bool = False) -> Any:
        """Return the sum, see :func:`skgrad.ops.sum`."""
        return ops.sum(self, axis, keepdims)

    def mean(self, axis: Axes = None, keepdims: bool = False) -> Any:
        """Return the mean; NaN over an empty axis."""
        total = ops.sum(self, axis, keepdims)
        return ops.divide(total, self.size / total.size if total.size else 1.0)

    def max(self, axis: Axes = None, keepdims: bool = False) -> Any:
        """Return the maximum, see :func:`skgrad.ops.max`."""
        return ops.max(self, axis, keepdims)

    def min(self, axis: Axes = None, keepdims: bool = False) -> Any:
        """Return the minimum, see :func:`skgrad.ops.min`."""
        return ops.min(self, axis, keepdims)

    def prod(self, axis: Axes = None, keepdims: bool = False) -> Any:
        """Return the product, see :func:`skgrad.ops.prod`."""
        return ops.prod(self, axis, keepdims)

    def cumsum(self, axis: int = -1) -> Any:
        """Return cumulative sums, see :func:`skgrad.ops.cumsum`."""
        return ops.cumsum(self, axis)

    def argmax(self, axis: int = -1) -> Any:
        """Return positions of maxima, see :func:`skgrad.ops.argmax`."""
        return ops.argmax(self, axis)

    def reshape(self, *shape: Any) -> Any:
        """Return the elements in another shape, see :func:`skgrad.ops.reshape`."""
        return ops.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: int) -> Any:
        """Return the axes in another order, see :func:`skgrad.ops.transpose`."""
        return ops.transpose(self, axes or None)


def _moved(x: Tensor, device: str) -> Tensor:
    """Return a tensor on another device; the way back is its gradient."""
    if x.is_traced:
        raise DeviceError(
            f"A traced tensor cannot be moved to {device!r}: a trace computes on one "
            "device. Move the arguments of the traced function."
        )
    data = get_backend(device).array(x._host("to()"))
    recorded = x.requires_grad and is_recording()
    node = Node(_move, (x,), {}, (data,)) if recorded else None
    out: Tensor = box(data, node)
    return out


# What nodes of moves refer to; it is neither executed nor traced.
_move = Primitive(
    "to",
    lambda x: Abstract(x.shape, x.dtype),
    (lambda g, out, x: _moved(g, x.device),),
)


def _own_device(data: ArrayLike, like: Tensor) -> str | None:
    """Return where to put data: tensors stay, all else goes beside a tensor."""
    return None if isinstance(data, Value) else like.device


def _rebuild(
    cls: type[Tensor], data: Any, requires_grad: bool, device: str = "cpu"
) -> Tensor:
    if device != "cpu":
        try:
            data = get_backend(device).array(data)
        except DeviceError as error:
            warnings.warn(
                f"A pickled tensor lived on {device!r}, and is on the CPU now: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
    out = Tensor.__new__(cls)
    Value.__init__(out, data, leaf_node() if requires_grad else None)
    return out


def _boolean(x: Any, symbol: str) -> Any:
    value = as_value(x, symbol)
    if value.dtype != np.bool_:
        raise DTypeError(
            f"{symbol} combines bool tensors. Got {value.dtype}; write a comparison "
            "such as x != 0, in parentheses."
        )
    return value


def _and(x: Any, y: Any) -> Any:
    return ops.logical_and(_boolean(x, "&"), _boolean(y, "&"))


def _or(x: Any, y: Any) -> Any:
    return ops.logical_or(_boolean(x, "|"), _boolean(y, "|"))


def _not(x: Any) -> Any:
    return ops.logical_not(_boolean(x, "~"))


_BITWISE = {"bitwise_and": _and, "bitwise_or": _or, "invert": _not}
_COMPARISONS = frozenset(
    ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
)


def _no_counterpart(name: str) -> str:
    return (
        f"{name} cannot be applied to a Tensor: skgrad has no function that means the "
        "same with these arguments, so no gradient would flow. Use skgrad.ops and "
        "skgrad.functional (x @ y for products of matrices), or tensor.numpy() where "
        "no gradient is needed."
    )


def tensor(
    data: ArrayLike,
    dtype: DTypeLike = None,
    requires_grad: bool = False,
    device: str | None = None,
) -> Tensor:
    """Return a new tensor holding a copy of the data.

    Parameters
    ----------
    data : array, nested sequence, scalar or tensor
        The elements: floating (float32, float64), integer or bool.
    dtype : dtype, optional
        Element type; by default that of the data as NumPy sees it (Python floats are
        float64).
    requires_grad : bool, default=False
        Record what is done with the tensor, so that ``backward`` finds its gradient.
    device : str, optional
        Where the elements live: ``"cpu"``, ``"cuda"`` (the first GPU) or ``"cuda:1"``;
        by default where those of a tensor or an array of CuPy are, and otherwise the
        CPU.

    Returns
    -------
    Tensor
        A leaf.

    Raises
    ------
    DTypeError
        If the elements are not numbers, or of a dtype the engine does not compute
        with.
    DeviceError
        If the device is unknown, or a GPU that cannot be used here.
    GradientError
        If ``requires_grad`` is asked of integers.

    Examples
    --------
    >>> import skgrad
    >>> skgrad.tensor([[1, 2], [3, 4]], dtype="float32")
    tensor([[1., 2.],
            [3., 4.]], dtype=float32)
    """
    if isinstance(data, Value):
        data = concrete(data, "tensor(...)")
    elif isinstance(data, list | tuple):
        data = _stacked(data)
    target = None if dtype is None else checked_dtype(dtype, "tensor")
    origin = device_of(data)
    source = np.asarray(data) if origin in (None, "cpu") else data
    if target is None or source.dtype.kind not in "biuf":
        checked_dtype(source.dtype, "tensor")
    backend = get_backend(device or origin or "cpu")
    if origin not in (None, backend.device):
        source = backend_of(source).host(source)
    out = Tensor(backend.array(source, target))
    if requires_grad:
        out.requires_grad = True
    return out


def _stacked(data: Any) -> Any:
    """Return nested sequences as an array, with a typed error for ragged ones."""
    try:
        return np.asarray(data)
    except ValueError as error:
        raise ShapeError(
            f"tensor: the nested sequence is ragged, rows differ in length. ({error})"
        ) from error
